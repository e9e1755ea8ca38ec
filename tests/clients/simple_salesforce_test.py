"""simple-salesforce, unmodified: it speaks https to login.salesforce.com, and a proxy leads it here."""

import datetime
import os
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from simple_salesforce import Salesforce, exceptions

import mock

ROWS = 4500  # three pages


def certificate(folder):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tidemark client test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256()))
    with open(folder + "/key.pem", "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))
    with open(folder + "/cert.pem", "wb") as f:
        f.write(made.public_bytes(serialization.Encoding.PEM))


keys = tempfile.TemporaryDirectory()
certificate(keys.name)
org = mock.Mock("--jwt-certificate", keys.name + "/cert.pem", tls=True)
os.environ.update(mock.Proxy(org).environment())
org.commit(*[mock.create("Account %05d" % i) for i in range(ROWS)])


def client(**how):
    if not how:
        how = {"username": mock.USERNAME, "password": mock.PASSWORD, "security_token": mock.TOKEN}
    return Salesforce(**how)


def signs_in_by_soap_password():
    assert client().limits()["DailyApiRequests"]["Max"] > 0


def a_wrong_password_is_a_typed_error():
    try:
        client(username=mock.USERNAME, password="wrong", security_token="")
    except exceptions.SalesforceAuthenticationFailed as e:
        assert e.code == "INVALID_LOGIN", e.code
        return
    raise AssertionError("it was let in")


def signs_in_by_oauth_password():
    sf = client(username=mock.USERNAME, password=mock.PASSWORD + mock.TOKEN, consumer_key=mock.KEY,
                consumer_secret=mock.SECRET)
    assert sf.query("SELECT count() FROM Account")["totalSize"] >= ROWS


def signs_in_by_client_credentials():
    sf = client(consumer_key=mock.KEY, consumer_secret=mock.SECRET, domain="tide.my")
    assert sf.query("SELECT count() FROM Account")["totalSize"] >= ROWS


def signs_in_by_jwt_bearer():
    sf = client(username=mock.USERNAME, consumer_key=mock.KEY, privatekey_file=keys.name + "/key.pem")
    assert sf.query("SELECT count() FROM Account")["totalSize"] >= ROWS


def describes_the_org_and_an_object():
    sf = client()
    assert {"Account", "Opportunity"} <= {o["name"] for o in sf.describe()["sobjects"]}
    fields = {f["name"]: f["type"] for f in sf.Account.describe()["fields"]}
    assert fields["Id"] == "id" and fields["SystemModstamp"] == "datetime"


def pages_through_a_long_query_each_row_once():
    rows = client().query_all("SELECT Id, Name, SystemModstamp FROM Account ORDER BY Name")
    names = [r["Name"] for r in rows["records"]]
    assert rows["totalSize"] == len(names) == len(set(names)) >= ROWS


def a_malformed_query_is_a_typed_error():
    try:
        client().query("SELECT Id FROM")
    except exceptions.SalesforceMalformedRequest as e:
        assert e.content[0]["errorCode"] == "MALFORMED_QUERY", e.content
        return
    raise AssertionError("it was answered")


def a_record_lives_and_dies():
    sf = client()
    made = sf.Account.create({"Name": "Client Ltd", "BillingCity": "Hull"})
    assert made["success"], made
    assert sf.Account.get(made["id"])["BillingCity"] == "Hull"
    assert sf.Account.update(made["id"], {"BillingCity": None}) == 204
    assert sf.Account.get(made["id"])["BillingCity"] is None
    assert sf.Account.delete(made["id"]) == 204
    try:
        sf.Account.get(made["id"])
        raise AssertionError("a deleted record was read")
    except exceptions.SalesforceResourceNotFound:
        pass
    gone = sf.query_all("SELECT Id, IsDeleted FROM Account WHERE Id = '%s'" % made["id"], include_deleted=True)
    assert [r["IsDeleted"] for r in gone["records"]] == [True]
    now = datetime.datetime.now(datetime.timezone.utc)
    window = now - datetime.timedelta(hours=1), now + datetime.timedelta(seconds=1)
    assert made["id"] in [r["id"] for r in sf.Account.deleted(*window)["deletedRecords"]]
    assert len(sf.Account.updated(*window)["ids"]) >= ROWS


def an_expired_session_is_refreshed_without_a_word():
    sf = client()
    org.control("POST", "faults", {"expire_tokens": {}})
    assert sf.query("SELECT count() FROM Account")["totalSize"] >= ROWS


def bulk_1_queries():
    rows = client().bulk.Account.query("SELECT Id, Name FROM Account", lazy_operation=False)
    assert len({r["Id"] for r in rows}) >= ROWS


def bulk_2_queries():
    import csv
    import io
    parts = client().bulk2.Account.query("SELECT Id, Name FROM Account", max_records=2000)
    rows = [r for part in parts for r in csv.DictReader(io.StringIO(part))]
    assert len({r["Id"] for r in rows}) == len(rows) >= ROWS


def bulk_1_writes():
    sf = client()
    done = sf.bulk.Account.insert([{"Name": "Bulk one %d" % i} for i in range(300)], batch_size=100)
    assert len(done) == 300 and all(r["success"] for r in done), done[:2]
    assert sf.query("SELECT count() FROM Account WHERE Name LIKE 'Bulk one %'")["totalSize"] == 300


def bulk_2_writes():
    sf = client()
    done = sf.bulk2.Account.insert(records=[{"Name": "Bulk two %d" % i} for i in range(300)])
    assert sum(int(j["numberRecordsProcessed"]) for j in done) == 300, done
    assert sf.query("SELECT count() FROM Account WHERE Name LIKE 'Bulk two %'")["totalSize"] == 300


with org:
    mock.run(signs_in_by_soap_password, a_wrong_password_is_a_typed_error, signs_in_by_oauth_password,
             signs_in_by_client_credentials, signs_in_by_jwt_bearer, describes_the_org_and_an_object,
             pages_through_a_long_query_each_row_once, a_malformed_query_is_a_typed_error,
             a_record_lives_and_dies, an_expired_session_is_refreshed_without_a_word, bulk_1_queries,
             bulk_2_queries, bulk_1_writes, bulk_2_writes)
