"""Airbyte's source-salesforce, unmodified, as a process of its own: refresh token at
https://login.salesforce.com, describe, queryAll by REST, and Bulk 2.0."""

import json
import os
import subprocess
import sys

import mock

ROWS = 2500
org = mock.Mock(tls=True)
environment = {**os.environ, **mock.Proxy(org).environment()}
org.commit(*[mock.create("Account %05d" % i) for i in range(ROWS)])
catalog = None


def source(command, bulk=False, *arguments):
    config = org.folder + "/config.json"
    with open(config, "w") as f:
        json.dump({"client_id": mock.KEY, "client_secret": mock.SECRET, "refresh_token": mock.REFRESH,
                   "start_date": "2026-01-01T00:00:00Z", "force_use_bulk_api": bulk,
                   "streams_criteria": [{"criteria": "exacts", "value": "Account"}]}, f)
    done = subprocess.run([os.path.join(os.path.dirname(sys.executable), "source-salesforce"), command, "--config",
                           config, *arguments], env=environment, capture_output=True, text=True, timeout=170)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, (done.stderr + done.stdout)[-3000:]
    return messages


def its_connection_check_succeeds():
    statuses = [m["connectionStatus"] for m in source("check") if m["type"] == "CONNECTION_STATUS"]
    assert [s["status"] for s in statuses] == ["SUCCEEDED"], statuses


def it_discovers_the_object():
    global catalog
    streams = [m["catalog"]["streams"] for m in source("discover") if m["type"] == "CATALOG"][0]
    account = [s for s in streams if s["name"] == "Account"][0]
    assert "SystemModstamp" in account["json_schema"]["properties"]
    catalog = {"streams": [{"stream": account, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}]}


def read(bulk):
    path = org.folder + "/catalog.json"
    with open(path, "w") as f:
        json.dump(catalog, f)
    ids = [m["record"]["data"]["Id"] for m in source("read", bulk, "--catalog", path) if m["type"] == "RECORD"]
    assert len(ids) == len(set(ids)) >= ROWS, len(ids)
    return sorted(ids)


def it_reads_by_REST_and_by_Bulk_2_the_same_rows():
    assert read(False) == read(True)


with org:
    mock.run(its_connection_check_succeeds, it_discovers_the_object, it_reads_by_REST_and_by_Bulk_2_the_same_rows)
