import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { bytes, digest, echo, exchange, startTarget, type Target } from '../support/targets.js';

describe('a local forward', () => {
  let sshd: Sshd;
  let config: string;
  let heldBefore: string[];
  const engines: EngineProbe[] = [];
  const targets: Target[] = [];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    config = sshd.configPath('web01');
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    for (const target of targets.splice(0)) await target.close();
  });
  after(async () => {
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  async function target(onSocket: (socket: Socket) => void): Promise<Target> {
    const made = await startTarget(onSocket);
    targets.push(made);
    return made;
  }
  async function forwardTo(port: number, host = '127.0.0.1'): Promise<{ port: number; engine: EngineProbe }> {
    const listen = await freePort();
    const engine = probe(createEngine());
    engines.push(engine);
    engine.engine.apply({ connections: [planned('web01', [`-L ${listen}:${host}:${port}`], { configFile: config })] });
    await engine.next('listening');
    return { port: listen, engine };
  }

  it('brings 20 MB there and back bit for bit, with half-close both ways', async () => {
    const { port } = await forwardTo((await target(echo)).port);
    const sent = bytes(20_000_000, 'there and back');
    const { received, end } = await exchange(port, sent);
    assert.equal(received.length, sent.length);
    assert.equal(digest(received), digest(sent));
    assert.equal(end, 'end');
  });

  it('brings what a target says first without the 40 ms for which systems wait to confirm', async () => {
    const { port } = await forwardTo((await target((socket) => socket.write('hello'))).port);
    let least = Infinity;
    for (let time = 0; time < 8; time++) {
      const since = performance.now();
      const client = connect({ port, host: '127.0.0.1' });
      await once(client, 'data');
      least = Math.min(least, performance.now() - since);
      client.destroy();
      // Whatever is still to be confirmed of this one.
      await sleep(60);
    }
    assert.ok(least < 35, `${least} ms`);
  });

  it('brings the answer that the server gives only after the client has ended', async () => {
    const answer = bytes(5_000_000, 'answer');
    const heard: Buffer[] = [];
    const { port } = await forwardTo(
      (
        await target((socket) => {
          socket.on('data', (part) => heard.push(part));
          socket.on('end', () => socket.end(answer));
        })
      ).port,
    );
    const question = bytes(3_000_000, 'question');
    const { received } = await exchange(port, question);
    assert.equal(digest(Buffer.concat(heard)), digest(question));
    assert.equal(digest(received), digest(answer));
  });

  it('keeps the last bytes when the server ends first and the client reads late', async () => {
    const answer = bytes(6_000_000, 'late');
    const { port } = await forwardTo((await target((socket) => socket.end(answer))).port);
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.pause();
    await once(client, 'connect');
    await sleep(500);
    const parts: Buffer[] = [];
    client.on('data', (part) => parts.push(part));
    client.resume();
    await once(client, 'end');
    client.end();
    assert.equal(digest(Buffer.concat(parts)), digest(answer));
  });

  it('lets the client go on sending after the server has ended', async () => {
    const heard: Buffer[] = [];
    let done = false;
    const { port } = await forwardTo(
      (
        await target((socket) => {
          socket.end('bye');
          socket.on('data', (part) => heard.push(part));
          socket.on('end', () => (done = true));
        })
      ).port,
    );
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.resume();
    await once(client, 'end');
    const sent = bytes(1_000_000, 'after');
    client.end(sent);
    await eventually(() => assert.ok(done));
    assert.equal(digest(Buffer.concat(heard)), digest(sent));
  });

  it('carries 50 connections at once without mixing them', async () => {
    const { port } = await forwardTo((await target(echo)).port);
    const sent = Array.from({ length: 50 }, (_, index) => bytes(200_000, `stream ${index}`));
    const got = await Promise.all(sent.map((data) => exchange(port, data)));
    assert.deepEqual(
      got.map(({ received }) => digest(received)),
      sent.map(digest),
    );
  });

  it('closes the channel when the client resets, and leaves nothing open at the target', async () => {
    const service = await target((socket) => {
      socket.write('hello');
      socket.on('end', () => socket.end());
    });
    const { port } = await forwardTo(service.port);
    const client = connect({ port, host: '127.0.0.1' });
    await once(client, 'data');
    assert.equal(service.sockets.size, 1);
    client.resetAndDestroy();
    await eventually(() => assert.equal(service.sockets.size, 0), 3000);
  });

  it('closes the channel when the client goes away in the middle of a download', async () => {
    const service = await target((socket) => {
      const more = () => {
        while (!socket.destroyed && socket.write(bytes(65_536, 'endless')));
      };
      socket.on('drain', more);
      more();
    });
    const { port } = await forwardTo(service.port);
    const client = connect({ port, host: '127.0.0.1' });
    await once(client, 'data');
    client.destroy();
    await eventually(() => assert.equal(service.sockets.size, 0), 3000);
  });

  it('frees what was under way when clients leave in the middle, so that cancelled downloads cost nothing', async () => {
    const service = await target((socket) => {
      socket.end(bytes(4_000_000, 'download'));
    });
    const { port } = await forwardTo(service.port);
    const leave = async () => {
      const client = connect({ port, host: '127.0.0.1' });
      await once(client, 'data');
      client.destroy();
    };
    for (let time = 0; time < 5; time++) await leave();
    const before = process.memoryUsage();
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 10 }, leave));
    await eventually(() => assert.equal(service.sockets.size, 0));
    await sleep(200);
    const after = process.memoryUsage();
    // 100 downloads of 4 MB: kept, they would be hundreds.
    const grown = (after.external + after.arrayBuffers - before.external - before.arrayBuffers) / 2 / (1 << 20);
    assert.ok(grown < 60, `${grown.toFixed(0)} MiB are kept of 100 downloads that nobody wants`);
  });

  it('holds a fast sender back while the server reads nothing', async () => {
    const service = await target((socket) => socket.pause());
    const { port } = await forwardTo(service.port);
    const before = process.memoryUsage().rss;
    const client = connect({ port, host: '127.0.0.1' });
    client.on('error', () => {});
    let sent = 0;
    const chunk = bytes(1 << 20, 'flood');
    const more = () => {
      while (sent < 256 && client.write(chunk)) sent++;
    };
    client.on('drain', more);
    await once(client, 'connect');
    more();
    await sleep(1500);
    assert.ok(sent < 64, `${sent} MiB went into a tunnel that nobody reads`);
    assert.ok(process.memoryUsage().rss - before < 80 << 20);
    client.destroy();
  });

  it('resets the client and says why when the target refuses', async () => {
    const closed = await freePort();
    const { port, engine } = await forwardTo(closed);
    const { end, received } = await exchange(port, Buffer.from('hello'));
    assert.equal(end, 'ECONNRESET');
    assert.equal(received.length, 0);
    const { failure } = await engine.next('channelFailed');
    assert.deepEqual(failure, {
      kind: 'channelRefused',
      target: `127.0.0.1:${closed}`,
      host: 'web01',
      refusal: 'connectFailed',
      detail: 'Connection refused',
    });
  });

  it('tells a refused target once, and its recovery once', async () => {
    const later = await freePort();
    const { port, engine } = await forwardTo(later);
    for (let time = 0; time < 3; time++) await exchange(port, Buffer.from('x'));
    const service = createServer((socket) => socket.resume().end('here')).listen(later, '127.0.0.1');
    await once(service, 'listening');
    for (let time = 0; time < 3; time++)
      assert.equal((await exchange(port, Buffer.from('x'))).received.toString(), 'here');
    service.close();
    const told = engine.kinds().filter((kind) => kind.startsWith('channel'));
    assert.deepEqual(told, ['channelFailed', 'channelOpened']);
  });

  it('resets the clients when the SSH session is killed in the middle, so that no download looks complete', async () => {
    const { port, engine } = await forwardTo((await target((socket) => socket.write(bytes(1_000_000, 'half')))).port);
    const client = connect({ port, host: '127.0.0.1' });
    let ended = false;
    client.on('end', () => (ended = true));
    const failed = once(client, 'error');
    await once(client, 'data');
    client.resume();
    await sleep(100);
    for (const pid of await sshd.settledSessions()) process.kill(pid, 'SIGKILL');
    const [error] = (await failed) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
    assert.equal(ended, false);
    await engine.next('connectionLost');
  });

  it('connects again by itself after the session was killed, with the same listener', async () => {
    const { port, engine } = await forwardTo((await target(echo)).port);
    assert.equal((await exchange(port, Buffer.from('one'))).received.toString(), 'one');
    for (const pid of await sshd.settledSessions()) process.kill(pid, 'SIGKILL');
    await engine.next('connectionLost');
    await engine.next('connected');
    assert.equal((await exchange(port, Buffer.from('two'))).received.toString(), 'two');
    assert.equal(engine.kinds().filter((kind) => kind === 'listening').length, 1);
  });

  it('opens 300 connections, ten at a time, and leaves none behind', async () => {
    const service = await target(echo);
    const { port } = await forwardTo(service.port);
    for (let round = 0; round < 30; round++) {
      const got = await Promise.all(Array.from({ length: 10 }, () => exchange(port, Buffer.from('x'))));
      assert.ok(got.every(({ received }) => received.toString() === 'x'));
    }
    await eventually(() => assert.equal(service.sockets.size, 0));
  });
});
