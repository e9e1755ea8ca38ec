// jsforce: sign-in by SOAP and OAuth, REST, Bulk 1.0 and 2.0, and streaming by faye with its replay extension.
'use strict';
const assert = require('assert');
const jsforce = require('jsforce');
const { StreamingExtension } = require('jsforce/lib/api/streaming');
const { Mock, Inbox, credentials, numbered, run } = require('./mock');

let rows; // in the org: some pages of them
const CHANNEL = '/data/AccountChangeEvent';
const VERSION = '59.0';
const mock = new Mock();

async function bySoap() {
  const conn = new jsforce.Connection({ loginUrl: mock.base, version: VERSION });
  await conn.login(credentials.username, credentials.password + credentials.token);
  return conn;
}

async function signs_in_by_SOAP_and_out_again() {
  const conn = await bySoap();
  assert.strictEqual(new URL(conn.instanceUrl).origin, mock.base);
  assert.strictEqual((await conn.identity()).username, credentials.username);
  await conn.logout();
}

async function signs_in_by_OAuth_password_and_refreshes_an_expired_session() {
  const conn = new jsforce.Connection({
    version: VERSION, oauth2: { loginUrl: mock.base, clientId: credentials.key, clientSecret: credentials.secret },
  });
  await conn.login(credentials.username, credentials.password + credentials.token);
  await mock.control('POST', 'faults', { expire_tokens: {} });
  const again = new jsforce.Connection({
    version: VERSION, instanceUrl: mock.base, accessToken: conn.accessToken, refreshToken: credentials.refresh,
    oauth2: { loginUrl: mock.base, clientId: credentials.key, clientSecret: credentials.secret },
  });
  assert.ok((await again.query('SELECT count() FROM Account')).totalSize >= 0);
}

async function a_wrong_password_is_told() {
  const conn = new jsforce.Connection({ loginUrl: mock.base, version: VERSION });
  await assert.rejects(conn.login(credentials.username, 'wrong'), /INVALID_LOGIN/);
}

async function describes_and_pages_through_a_long_query() {
  const conn = await bySoap();
  await mock.commit(numbered('Account', 2500));
  rows = (await conn.query('SELECT count() FROM Account')).totalSize;
  assert.ok(rows >= 2500);
  const described = await conn.sobject('Account').describe();
  assert.ok(described.fields.some((f) => f.name === 'SystemModstamp' && f.type === 'datetime'));
  assert.ok((await conn.describeGlobal()).sobjects.some((o) => o.name === 'Opportunity'));
  const all = await conn.query('SELECT Id, Name FROM Account', { autoFetch: true, maxFetch: 10 * rows });
  assert.strictEqual(new Set(all.records.map((r) => r.Id)).size, rows);
}

async function a_record_lives_and_dies() {
  const conn = await bySoap();
  const made = await conn.sobject('Account').create({ Name: 'Client Ltd' });
  assert.ok(made.success);
  await conn.sobject('Account').update({ Id: made.id, BillingCity: 'Hull' });
  assert.strictEqual((await conn.sobject('Account').retrieve(made.id)).BillingCity, 'Hull');
  await conn.sobject('Account').destroy(made.id);
  await assert.rejects(conn.sobject('Account').retrieve(made.id), /ENTITY_IS_DELETED|entity is deleted/);
}

async function server_errors_are_retried() {
  const conn = await bySoap();
  await mock.control('POST', 'faults', { server_error: { count: 2, class: 'query' } });
  assert.ok((await conn.query('SELECT count() FROM Account')).totalSize > 0);
}

async function csvRows(stream) {
  const ids = [];
  for await (const row of stream) ids.push(row.Id);
  return ids;
}

async function Bulk_1_queries() {
  const conn = await bySoap();
  conn.bulk.pollInterval = 200;
  conn.bulk.pollTimeout = 30000;
  const ids = await csvRows(await conn.bulk.query('SELECT Id, Name FROM Account'));
  assert.strictEqual(new Set(ids).size, rows);
}

async function Bulk_2_queries() {
  const conn = await bySoap();
  conn.bulk2.pollInterval = 200;
  conn.bulk2.pollTimeout = 30000;
  const ids = await csvRows(await conn.bulk2.query('SELECT Id, Name FROM Account'));
  assert.strictEqual(new Set(ids).size, rows);
}

async function Bulk_1_and_2_write() {
  const conn = await bySoap();
  conn.bulk.pollInterval = conn.bulk2.pollInterval = 200;
  conn.bulk.pollTimeout = conn.bulk2.pollTimeout = 30000;
  const one = await conn.bulk.load('Account', 'insert', numbered('bulk one', 100).map((Name) => ({ Name })));
  assert.ok(one.length === 100 && one.every((r) => r.success));
  const two = await conn.bulk2.loadAndWaitForResults({
    object: 'Account', operation: 'insert', input: numbered('bulk two', 100).map((Name) => ({ Name })),
  });
  assert.strictEqual(two.successfulResults.length, 100);
}

async function follow(replay, inbox) {
  const conn = await bySoap();
  const client = conn.streaming.createClient([
    new StreamingExtension.Replay(CHANNEL, replay),
    new StreamingExtension.AuthFailure(() => {}),
  ]);
  await client.subscribe(CHANNEL, (event) => inbox.put(event));
  return { client }; // faye's client is a promise to whoever awaits it
}

async function a_created_record_comes_as_its_change_event() {
  const inbox = new Inbox();
  const { client } = await follow(-1, inbox);
  const made = await (await bySoap()).sobject('Account').create({ Name: 'streamed' });
  const [event] = await inbox.take(1);
  assert.deepStrictEqual(event.payload.ChangeEventHeader.recordIds, [made.id]);
  assert.strictEqual(event.payload.Name, 'streamed');
  await client.disconnect();
}

async function after_a_crash_of_the_server_nothing_is_lost_and_nothing_comes_twice() {
  const inbox = new Inbox();
  const { client } = await follow(-1, inbox);
  await mock.commit(numbered('before', 20));
  const before = await inbox.take(20);
  await mock.kill();
  await mock.start();
  await mock.commit(numbered('between', 20));
  const between = await inbox.take(20); // faye comes back, subscribes again, and its extension says from where
  await client.disconnect();
  await mock.commit(numbered('away', 20));
  const again = await follow(between[19].event.replayId, inbox);
  await mock.commit(numbered('after', 20));
  const names = [...before, ...between, ...await inbox.take(40)].map((e) => e.payload.Name);
  assert.deepStrictEqual(names, ['before', 'between', 'away', 'after'].flatMap((w) => numbered(w, 20)));
  await again.client.disconnect();
}

run(mock, [
  signs_in_by_SOAP_and_out_again, signs_in_by_OAuth_password_and_refreshes_an_expired_session, a_wrong_password_is_told,
  describes_and_pages_through_a_long_query, server_errors_are_retried, Bulk_1_queries, Bulk_2_queries, Bulk_1_and_2_write,
  a_record_lives_and_dies, a_created_record_comes_as_its_change_event,
  after_a_crash_of_the_server_nothing_is_lost_and_nothing_comes_twice,
]);
