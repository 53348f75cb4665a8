import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { planned, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, keygen, publicKey } from '../support/sshd.js';
import { connectTo, exchange, read, readToEnd } from '../support/targets.js';
import { engineInThread, useThreadBench } from '../support/threadBench.js';

describe('the engine in its worker thread', () => {
  const bench = useThreadBench();
  const { plan, threads } = bench;
  let engine: EngineProbe;
  beforeEach(() => (engine = engineInThread()));
  afterEach(() => engine.close());

  it('starts no thread for an empty plan, and ends the one it started', async () => {
    const before = threads();
    engine.engine.apply({ connections: [] });
    assert.equal(threads(), before);
    const port = await freePort();
    engine.engine.apply(plan(port));
    await engine.next('listening');
    await engine.close();
    assert.equal(threads(), before);
    assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    assert.deepEqual(engine.kinds().slice(-2), ['forwardClosed', 'connectionClosed']);
  });

  it('carries bytes while the thread of the editor is busy', async () => {
    const [port, behind] = [await freePort(), await freePort()];
    engine.engine.apply({
      connections: [planned('web01', [`-L ${port}:127.0.0.1:${behind}`], { configFile: bench.config })],
    });
    await engine.next('listening');
    // Another process is client and service; this one only blocks, as an extension does that computes.
    const file = join(bench.sshd.folder, 'client.js');
    writeFileSync(
      file,
      `const net = require('net');
       net.createServer((s) => s.pipe(s)).listen(${behind}, '127.0.0.1', () => {
         const times = [];
         let sent;
         const s = net.connect({ port: ${port}, host: '127.0.0.1', noDelay: true }, () => process.send('up'));
         const ping = () => { sent = performance.now(); s.write('x'); };
         s.on('data', () => { times.push(performance.now() - sent); if (times.length < 200) ping(); else { process.send(times); process.disconnect(); process.exit(); } });
         process.on('message', ping);
       });`,
    );
    const child = fork(file);
    const said = () => new Promise<unknown>((resolve) => child.once('message', resolve));
    await said();
    child.send('go');
    const until = Date.now() + 1500;
    while (Date.now() < until);
    const times = ((await said()) as number[]).sort((a, b) => a - b);
    assert.equal(times.length, 200);
    assert.ok(times.at(-1)! < 700, `an echo took ${times.at(-1)} ms beside a thread that was blocked for 1500 ms`);
  });

  it('carries bytes while it opens a key that takes a second', async () => {
    const path = join(bench.sshd.folder, 'slow');
    keygen(path, '-a', '48', '-N', 'open sesame');
    appendFileSync(bench.sshd.authorizedKeysPath, `${publicKey(`${path}.pub`)}\n`);
    const slow = join(bench.sshd.folder, 'slow-config');
    const own = readFileSync(bench.config, 'utf8').replace('Host web01', 'Host web02');
    writeFileSync(slow, own.replace(/^\s*IdentityFile .*$/m, `IdentityFile ${path}`), { mode: 0o600 });
    const port = await freePort();
    const first = plan(port).connections[0]!;
    engine.engine.apply({ connections: [first] });
    await engine.next('listening');
    const second = planned('web02', [`-L ${await freePort()}:127.0.0.1:1`], { configFile: slow });
    engine.engine.apply({ connections: [first, second] });
    const { ask } = await engine.next('asked');
    assert.equal(ask.kind, 'passphrase');
    const begun = performance.now();
    let opened: number | undefined;
    engine.engine.onEvent(({ kind }) => {
      if (kind === 'connected') opened = performance.now() - begun;
    });
    engine.engine.answer(ask.id, { kind: 'secret', secret: 'open sesame' });
    const echoes: number[] = [];
    while (opened === undefined) {
      const sent = performance.now();
      assert.equal((await exchange(port, Buffer.from('x'))).received.toString(), 'x');
      echoes.push(performance.now() - sent);
    }
    const longest = Math.max(...echoes);
    assert.ok(longest < opened / 2, `an echo took ${longest} ms of the ${opened} ms that the key took`);
  });

  it('starts no new thread after it was closed', async () => {
    engine.engine.apply(plan(await freePort()));
    await engine.next('listening');
    await engine.close();
    const after = threads();
    engine.engine.apply(plan(await freePort()));
    assert.deepEqual(await engine.engine.hosts(bench.config), []);
    assert.equal(threads(), after);
  });

  it('lists and disconnects the clients of a forward, from the thread', async () => {
    const port = await freePort();
    engine.engine.apply(plan(port));
    const { forward } = await engine.next('listening');
    const [one, other] = [await connectTo({ host: '127.0.0.1', port }), await connectTo({ host: '127.0.0.1', port })];
    one.write('hello');
    assert.equal((await read(one, 5)).toString(), 'hello');
    const clients = await eventually(async () => {
      const list = await engine.engine.clients(forward);
      assert.equal(list.length, 2);
      return list;
    });
    const { id, since, ...seen } = clients.find(({ peer }) => peer === `127.0.0.1:${one.localPort}`)!;
    assert.deepEqual(seen, { peer: `127.0.0.1:${one.localPort}`, sent: 5, received: 5 });
    assert.ok(Math.abs(Date.now() - since) < 10_000);
    engine.engine.disconnect(forward, 0);
    engine.engine.disconnect('nothing', id);
    const gone = readToEnd(one);
    engine.engine.disconnect(forward, id);
    assert.equal((await gone).end, 'ECONNRESET');
    other.end('bye');
    assert.equal((await readToEnd(other)).received.toString(), 'bye');
    await eventually(async () => assert.deepEqual(await engine.engine.clients(forward), []));
  });

  it('knows no clients without a thread, and starts none to ask', async () => {
    const before = threads();
    assert.deepEqual(await engine.engine.clients('nothing'), []);
    engine.engine.disconnect('nothing', 1);
    assert.equal(threads(), before);
    engine.engine.apply(plan(await freePort()));
    const { forward } = await engine.next('listening');
    // The thread ends before it comes to the question, and so does the next one.
    engine.engine.apply({ connections: [1] } as never);
    assert.deepEqual(await engine.engine.clients(forward), []);
    await engine.next('engineEnded');
    assert.equal((await engine.next('engineEnded')).isRestarted, undefined);
    assert.deepEqual(await engine.engine.clients(forward), []);
  });

  it('ends its thread in time beside a server that answers no more', async () => {
    const port = await freePort();
    engine.engine.apply(plan(port));
    await engine.next('listening');
    const client = readToEnd(await connectTo({ host: '127.0.0.1', port }));
    const frozen = await bench.sshd.settledSessions();
    for (const pid of frozen) process.kill(pid, 'SIGSTOP');
    try {
      const started = performance.now();
      await engine.close();
      // Before it would be ended by force.
      assert.ok(performance.now() - started < 2000);
      assert.equal((await client).end, 'ECONNRESET');
      assert.deepEqual(engine.kinds().slice(-2), ['forwardClosed', 'connectionClosed']);
    } finally {
      for (const pid of frozen) process.kill(pid, 'SIGCONT');
    }
  });

  it('answers which hosts there are, from the thread', async () => {
    assert.deepEqual(await engine.engine.hosts(bench.config), ['web01']);
  });
});
