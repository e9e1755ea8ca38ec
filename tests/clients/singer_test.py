"""singer's tap-salesforce, unmodified, as a process of its own: it signs in by refresh token at
https://login.salesforce.com, discovers by composite/batch, and syncs by REST or by Bulk 1.0."""

import json
import os
import subprocess
import sys

import mock

ROWS = 2500
org = mock.Mock(tls=True)
environment = {**os.environ, **mock.Proxy(org).environment()}
org.commit(*[mock.create("Account %05d" % i) for i in range(ROWS)])


def tap(api, *arguments):
    config = org.folder + "/config.json"
    with open(config, "w") as f:
        json.dump({"client_id": mock.KEY, "client_secret": mock.SECRET, "refresh_token": mock.REFRESH,
                   "start_date": "2020-01-01T00:00:00Z", "api_type": api, "select_fields_by_default": "true"}, f)
    done = subprocess.run([os.path.join(os.path.dirname(sys.executable), "tap-salesforce"), "--config", config,
                           *arguments], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def discovered(api):
    """What it finds, and the same with Account alone selected."""
    catalog = json.loads(tap(api, "--discover"))
    account = [s for s in catalog["streams"] if s["stream"] == "Account"][0]
    for entry in account["metadata"]:
        if entry["breadcrumb"] == []:
            entry["metadata"]["selected"] = True
    return [s["stream"] for s in catalog["streams"]], {"streams": [account]}


def discovers_every_object_with_its_fields():
    streams, catalog = discovered("REST")
    assert {"Account", "Opportunity", "User"} <= set(streams)
    stamp = catalog["streams"][0]["schema"]["properties"]["SystemModstamp"]
    assert "date-time" in json.dumps(stamp), stamp


def synced(api):
    path = org.folder + "/catalog.json"
    with open(path, "w") as f:
        json.dump(discovered(api)[1], f)
    messages = [json.loads(line) for line in tap(api, "--properties", path).splitlines()]
    ids = [m["record"]["Id"] for m in messages if m["type"] == "RECORD"]
    assert len(ids) == len(set(ids)) >= ROWS, len(ids)
    return ids


def syncs_by_REST_and_by_Bulk_1_the_same_rows():
    assert sorted(synced("BULK")) == sorted(synced("REST"))


with org:
    mock.run(discovers_every_object_with_its_fields, syncs_by_REST_and_by_Bulk_1_the_same_rows)
