// The mock as a client test has it: `tidemark serve` on a free port, killed and started again on the same org.
'use strict';
const { spawn } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const readline = require('readline');

const WAIT_MS = 20000;
const credentials = {
  username: 'integration@tidemark.example', password: 'tidemark', token: 'TOKEN',
  key: 'tidemark-consumer-key', secret: 'tidemark-consumer-secret', refresh: 'tidemark-refresh-token',
};

class Mock {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidemark-client-'));
    this.port = '0';
  }
  async start() {
    const flags = ['serve', '--quiet', '--port', this.port, '--org', path.join(this.folder, 'org.db')];
    this.process = spawn(process.env.TIDEMARK_BIN, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of readline.createInterface({ input: this.process.stdout })) {
      this.base = line;
      break;
    }
    this.port = new URL(this.base).port;
    return this;
  }
  async end(signal) {
    const gone = new Promise((done) => this.process.once('exit', done));
    this.process.kill(signal);
    await gone;
  }
  kill() { return this.end('SIGKILL'); } // nothing is flushed, nobody is told
  async stop() {
    await this.end('SIGTERM');
    fs.rmSync(this.folder, { recursive: true });
  }
  async control(method, what, body) {
    const answer = await fetch(`${this.base}/tidemark/v1/${what}`,
      { method, body: body === undefined ? undefined : JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${what}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
  commit(names) {
    return this.control('POST', 'commit',
      { changes: names.map((Name) => ({ change: 'create', object: 'Account', fields: { Name } })) });
  }
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`${what}: not in time`)), WAIT_MS); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Events in order of arrival; take(n) waits for the next n of them.
class Inbox {
  constructor() { this.got = []; this.wanted = null; }
  put(item) {
    this.got.push(item);
    if (this.wanted && this.got.length >= this.wanted.count) this.wanted.done();
  }
  async take(count) {
    if (this.got.length < count) {
      await within(new Promise((done) => { this.wanted = { count, done }; }), `event ${this.got.length + 1} of ${count}`);
      this.wanted = null;
    }
    return this.got.splice(0, count);
  }
}

const numbered = (word, count) => Array.from({ length: count }, (_, i) => `${word} ${i}`);

// Each test is a function whose name says what it shows.
async function run(mock, tests) {
  let failed = 0;
  await mock.start();
  for (const test of tests) {
    try {
      await test();
      console.log('ok   ', test.name.replace(/_/g, ' '));
    } catch (e) {
      failed++;
      console.log('FAIL ', test.name.replace(/_/g, ' '));
      console.error(e);
    }
  }
  await mock.stop();
  process.exit(failed ? 1 : 0);
}

module.exports = { Mock, Inbox, credentials, numbered, run, within };
