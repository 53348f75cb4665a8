import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { bytes, connectTo, digest, echo, read, startTarget, type Target } from '../support/targets.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const mebibyte = 2 ** 20;
const data = bytes(16 * mebibyte, 'slow');
const whole = digest(data);

/** What a stopped stream may keep: the window of its channel, and what is on its way in sockets. */
const keptOfEach = 4 * mebibyte;
/** What the machine takes for other things meanwhile. */
const slack = 24 * mebibyte;

describe('a connection with peers who do not read', function () {
  this.timeout(90_000);
  let heldBefore: string[];
  let sshd: Sshd;
  let engine: EngineProbe;
  const targets: Target[] = [];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
  });
  beforeEach(() => (engine = probe(createEngine())));
  afterEach(async () => {
    await engine.close();
    for (const target of targets.splice(0)) {
      await eventually(() => assert.equal(target.sockets.size, 0));
      await target.close();
    }
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
  });
  after(async () => {
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const target = async (onSocket: (socket: Socket) => void): Promise<number> => {
    const made = await startTarget(onSocket);
    targets.push(made);
    return made.port;
  };
  const listen = async (...forwards: readonly string[]) => {
    engine.engine.apply({ connections: [planned('web01', forwards, { configFile: sshd.configPath('web01') })] });
    for (const _ of forwards) await engine.next('listening');
  };
  const at = (port: number) => ({ host: '127.0.0.1', port });
  const digestOf = async (socket: Socket): Promise<string> => {
    const hash = createHash('sha256');
    for await (const part of socket) hash.update(part as Buffer);
    return hash.digest('hex');
  };
  const memory = () => {
    collectGarbage();
    const { rss, external } = process.memoryUsage();
    return { rss, external };
  };
  /** Until nothing moves any more: `moved` counts. */
  const stuck = async (moved: () => number) => {
    for (let last = -1; moved() !== last; await sleep(300)) last = moved();
  };
  /** What a busy machine has not come to free yet is none that is kept. */
  const mayKeep = (streams: number, before: ReturnType<typeof memory>) =>
    eventually(() => {
      const now = memory();
      const [rss, external] = [now.rss - before.rss, now.external - before.external];
      const most = streams * keptOfEach + slack;
      const told = `${(rss / mebibyte).toFixed(1)} MiB more, ${(external / mebibyte).toFixed(1)} of them in buffers`;
      assert.ok(rss < most && external < most, `${streams} stopped streams keep ${told}`);
    });
  /** How long a neighbour on the same connection takes for all of the data, in milliseconds. */
  const neighbour = async (port: number): Promise<number> => {
    const since = performance.now();
    assert.equal(await digestOf(await connectTo(at(port))), whole);
    return performance.now() - since;
  };
  const isQuick = (took: number, alone: number) =>
    assert.ok(took < 3 * alone + 500, `${took.toFixed(0)} ms, where it was ${alone.toFixed(0)} alone`);

  it('keeps little for clients who stop reading, is as quick for others, and loses nothing', async () => {
    let sent = 0;
    const source = await target((socket) => {
      socket.end(data);
      socket.on('close', () => (sent += socket.bytesWritten));
    });
    const port = await freePort();
    await listen(`-L ${port}:127.0.0.1:${source}`);
    const alone = await neighbour(port);
    const before = memory();
    const clients = await Promise.all(Array.from({ length: 6 }, () => connectTo(at(port))));
    await stuck(() => clients.reduce((sum, { bytesRead }) => sum + bytesRead, 0));
    assert.equal(sent, data.length);
    isQuick(await neighbour(port), alone);
    await mayKeep(clients.length, before);
    const digests = await Promise.all(clients.map(digestOf));
    assert.deepEqual(new Set(digests), new Set([whole]));
  });

  it('keeps little for clients who send and never read, and loses nothing when they do', async () => {
    const echoing = await target(echo);
    const source = await target((socket) => socket.end(data));
    const [port, other] = [await freePort(), await freePort()];
    await listen(`-L ${port}:127.0.0.1:${echoing}`, `-L ${other}:127.0.0.1:${source}`);
    const alone = await neighbour(other);
    const clients = await Promise.all(Array.from({ length: 6 }, () => connectTo(at(port))));
    const before = memory();
    for (const client of clients) client.end(data);
    await stuck(() => [...targets[0]!.sockets].reduce((sum, { bytesRead }) => sum + bytesRead, 0));
    assert.ok([...targets[0]!.sockets].every(({ bytesRead }) => bytesRead < data.length));
    isQuick(await neighbour(other), alone);
    await mayKeep(clients.length, before);
    const digests = await Promise.all(clients.map(digestOf));
    assert.deepEqual(new Set(digests), new Set([whole]));
  });

  it('keeps little for targets of a remote forward who stop reading, and loses nothing', async () => {
    const stopped: Socket[] = [];
    const sink = await target((socket) => void stopped.push(socket));
    const source = await target((socket) => socket.end(data));
    const [port, other] = [await freePort(), await freePort()];
    await listen(`-R ${port}:127.0.0.1:${sink}`, `-L ${other}:127.0.0.1:${source}`);
    const alone = await neighbour(other);
    const before = memory();
    const clients = await Promise.all(Array.from({ length: 6 }, () => connectTo(at(port))));
    for (const client of clients) client.resume().end(data);
    await stuck(() => stopped.reduce((sum, { bytesRead }) => sum + bytesRead, 0));
    assert.equal(stopped.length, clients.length);
    isQuick(await neighbour(other), alone);
    await mayKeep(clients.length, before);
    const digests = await Promise.all(
      stopped.map(async (socket) => {
        const found = await digestOf(socket);
        socket.destroy();
        return found;
      }),
    );
    assert.deepEqual(new Set(digests), new Set([whole]));
  });

  it('carries a byte each way for each of 5,000 clients who are idle, and keeps nothing of them', async function () {
    // Of each there are the client, what is accepted and the target in this process, and one in sshd's.
    const files = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' })) || 1024;
    const count = Math.min(5000, Math.floor((files - 300) / 3));
    const echoing = await target(echo);
    const port = await freePort();
    const forward = `-L ${port}:127.0.0.1:${echoing}`;
    await listen(forward);
    const [session] = await sshd.settledSessions();
    const open = () => ({ own: readdirSync('/proc/self/fd').length, sshd: readdirSync(`/proc/${session}/fd`).length });
    const openBefore = open();
    const before = memory();
    const clients: Socket[] = [];
    const each = async (work: (client: Socket, index: number) => Promise<unknown>) => {
      for (let from = 0; from < count; from += 250)
        await Promise.all(clients.slice(from, from + 250).map((client, index) => work(client, from + index)));
    };
    const said = async (client: Socket, index: number) => {
      client.write(Buffer.of(index));
      assert.deepEqual(await read(client, 1), Buffer.of(index));
    };
    while (clients.length < count) {
      const some = Math.min(250, count - clients.length);
      clients.push(...(await Promise.all(Array.from({ length: some }, () => connectTo(at(port))))));
    }
    await each(said);
    assert.equal((await engine.engine.clients(forward)).length, count);
    const kept = (memory().rss - before.rss) / count;
    await sleep(500);
    await each(said);
    console.log(
      `      ${(kept / 1024).toFixed(1)} KiB for each of ${count} idle connections, its client and its target among it`,
    );
    assert.ok(kept < 100 * 1024, `${kept} bytes`);
    await each(async (client) => {
      const closed = once(client.resume(), 'close');
      client.end();
      await closed;
    });
    await eventually(async () => assert.deepEqual(await engine.engine.clients(forward), []));
    await eventually(() => assert.deepEqual(open(), openBefore));
    assert.ok(!engine.kinds().includes('channelFailed'));
  });
});
