// The CometD project's own client, which knows nothing of Salesforce: an extension of ours adds the replay id.
'use strict';
const assert = require('assert');
require('cometd-nodejs-client').adapt();
const { CometD } = require('cometd');
const { Mock, Inbox, credentials, numbered, run, within } = require('./mock');

const CHANNEL = '/data/AccountChangeEvent';
const mock = new Mock();

async function token() {
  const answer = await fetch(`${mock.base}/services/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'password', client_id: credentials.key, client_secret: credentials.secret,
      username: credentials.username, password: credentials.password + credentials.token,
    }),
  });
  return (await answer.json()).access_token;
}

class Replay {
  constructor(from) { this.last = from; }
  outgoing(message) {
    if (message.channel === '/meta/subscribe') message.ext = { ...message.ext, replay: { [CHANNEL]: this.last } };
    return message;
  }
  incoming(message) {
    if (message.data && message.data.event) this.last = message.data.event.replayId;
    return message;
  }
}

async function follow(replay, inbox) {
  const client = new CometD();
  client.unregisterTransport('websocket');
  client.configure({
    url: `${mock.base}/cometd/59.0`, requestHeaders: { Authorization: `Bearer ${await token()}` },
    appendMessageTypeToURL: false, logLevel: 'error',
  });
  client.registerExtension('replay', replay);
  // A new handshake has no subscriptions: whoever wants to go on subscribes whenever one succeeds.
  const subscribed = new Promise((done, fail) => {
    client.addListener('/meta/handshake', (h) => {
      if (h.successful) {
        client.subscribe(CHANNEL, (m) => inbox.put(m.data), (s) => (s.successful ? done() : fail(new Error(s.error))));
      }
    });
  });
  client.handshake();
  await within(subscribed, 'subscribe');
  return client;
}

const leave = (client) => within(new Promise((done) => client.disconnect(done)), 'disconnect');

async function a_created_record_comes_as_its_change_event() {
  const inbox = new Inbox();
  const client = await follow(new Replay(-1), inbox);
  await mock.commit(['first']);
  const [data] = await inbox.take(1);
  assert.strictEqual(data.payload.ChangeEventHeader.changeType, 'CREATE');
  assert.strictEqual(data.payload.Name, 'first');
  await leave(client);
}

async function a_client_that_was_forgotten_comes_back_and_goes_on_where_it_was() {
  const inbox = new Inbox();
  const client = await follow(new Replay(-1), inbox);
  await mock.commit(['here']);
  await inbox.take(1);
  await mock.control('POST', 'faults', { forget_clients: {} });
  await mock.commit(numbered('away', 5));
  assert.deepStrictEqual((await inbox.take(5)).map((d) => d.payload.Name), numbered('away', 5));
  await leave(client);
}

async function it_survives_a_restart_of_the_server_by_itself() {
  const inbox = new Inbox();
  const client = await follow(new Replay(-1), inbox);
  await mock.commit(numbered('before', 20));
  const before = await inbox.take(20);
  await mock.kill();
  await mock.start();
  await mock.commit(numbered('between', 20));
  const names = before.concat(await inbox.take(20)).map((d) => d.payload.Name);
  assert.deepStrictEqual(names, [...numbered('before', 20), ...numbered('between', 20)]);
  await leave(client);
}

run(mock, [
  a_created_record_comes_as_its_change_event, a_client_that_was_forgotten_comes_back_and_goes_on_where_it_was,
  it_survives_a_restart_of_the_server_by_itself,
]);
