import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { uint32 } from '../support/fakeAgent.js';
import { letIn, startHandMadeServer, string, type HandMadeSession, type Lies } from '../support/handMadeServer.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { bytes, connectTo, digest, echo, exchange, readToEnd, startTarget, type Target } from '../support/targets.js';

const { publicKey: point, privateKey } = generateKeyPairSync('ed25519');
const hostKey = {
  blob: Buffer.concat([string('ssh-ed25519'), string(point.export({ format: 'der', type: 'spki' }).subarray(-32))]),
  sign: (data: Buffer) => Buffer.concat([string('ssh-ed25519'), string(sign(null, data, privateKey))]),
};
const honest = { kex: 'curve25519-sha256', hostKeyAlgorithm: 'ssh-ed25519', hostKey };

const message = (type: number, ...parts: readonly Buffer[]) => Buffer.concat([Buffer.of(type), ...parts]);
const opened = (port: number, id: number) =>
  message(90, string('forwarded-tcpip'), uint32(id), uint32(2 ** 21), uint32(2 ** 15), string('localhost'), uint32(port), string('192.0.2.9'), uint32(50_000)); // prettier-ignore
const windowAdjust = (id: number, more: number) => message(93, uint32(id), uint32(more));
const data = (id: number, content: Buffer) => message(94, uint32(id), string(content));
const channelClose = (id: number) => message(97, uint32(id));
const ignore = message(2, string(Buffer.alloc(1000)));
const debug = message(4, Buffer.of(1), string('on and on'), string(''));
const kexInit = () => {
  const lists = ['curve25519-sha256', 'ssh-ed25519', ...Array<string>(2).fill('aes128-gcm@openssh.com'), ...Array<string>(2).fill('hmac-sha2-256'), 'none', 'none', '', '']; // prettier-ignore
  return message(20, randomBytes(16), ...lists.map(string), Buffer.alloc(5));
};

interface Served {
  session: HandMadeSession;
  /** The numbers of the client's channels that are open. */
  channels: number[];
  /** How many of the server's channels were let in, and how many were not. */
  confirmed: number[];
  refused: number;
  /** What the server may send on all channels: what it was granted, without what it has sent. */
  window: number;
}

/**
 * Serves as a good server does what the client asks for: every channel is an echo, and it listens wherever it shall, but
 * lets nobody knock there. `window` is what a channel may send.
 */
async function serveWell(served: Served, window = 2 ** 21): Promise<void> {
  const { session, channels } = served;
  for (;;) {
    const given = await session.read();
    const id = given.length >= 5 ? given.readUInt32BE(1) : 0;
    switch (given[0]!) {
      case 80:
        if (given.includes('tcpip-forward')) session.send(message(81));
        else session.send(message(82));
        break;
      case 90: {
        const at = 5 + id;
        const theirs = given.readUInt32BE(at);
        const port = given.readUInt32BE(at + 12 + 4 + given.readUInt32BE(at + 12));
        if (port === knockedAt)
          session.send(message(92, uint32(theirs), uint32(2), string('Connection refused'), string(''))); // prettier-ignore
        else {
          channels.push(theirs);
          served.window += given.readUInt32BE(at + 4);
          session.send(message(91, uint32(theirs), uint32(theirs), uint32(window), uint32(2 ** 15)));
        }
        break;
      }
      case 91:
        served.confirmed.push(given.readUInt32BE(5));
        break;
      case 92:
        served.refused++;
        break;
      case 93:
        served.window += given.readUInt32BE(5);
        break;
      case 94:
        session.send(data(id, given.subarray(9)), windowAdjust(id, given.length - 9));
        break;
      case 96:
        session.send(message(96, uint32(id)), channelClose(id));
        break;
    }
  }
}
/** Where remote forwards are asked for in these tests. */
const knockedAt = 4000;

describe('an evil server', function () {
  this.timeout(90_000);
  let heldBefore: string[];
  let folder: string;
  let sshd: Sshd;
  let service: Target;
  let engine: EngineProbe;
  let neighbourPort: number;
  let neighbour: ReturnType<typeof planned>;
  const closers: (() => unknown)[] = [];

  before(async () => {
    heldBefore = heldResources();
    folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-'));
    sshd = await startSshd();
    service = await startTarget(echo);
  });
  beforeEach(async () => {
    engine = probe(createEngine());
    neighbourPort = await freePort();
    const forward = `-L ${neighbourPort}:127.0.0.1:${service.port}`;
    neighbour = planned('web01', [forward], { configFile: sshd.configPath('web01') });
    engine.engine.apply({ connections: [neighbour] });
    await engine.next('listening');
  });
  afterEach(async () => {
    await engine.close();
    for (const close of closers.splice(0).reverse()) await close();
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    await eventually(() => assert.equal(service.sockets.size, 0));
  });
  after(async () => {
    await service.close();
    await sshd.stop();
    rmSync(folder, { recursive: true });
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const reach = (port: number, forwards: readonly string[], lines: readonly string[] = []) => {
    const configFile = join(folder, 'config');
    writeFileSync(join(folder, 'known'), `* ssh-ed25519 ${hostKey.blob.toString('base64')}\n`);
    const more = ['IdentityAgent none', 'IdentityFile none', 'HostName 127.0.0.1', `Port ${port}`, 'User ann'];
    const files = [`UserKnownHostsFile ${join(folder, 'known')}`, 'GlobalKnownHostsFile /dev/null', ''];
    writeFileSync(configFile, ['Host evil', ...lines, ...more, ...files].join('\n'), { mode: 0o600 });
    engine.skip();
    engine.engine.apply({ connections: [neighbour, planned('evil', forwards, { configFile })] });
  };
  /** A server that serves well, and its first session when somebody has logged in. */
  const start = async (
    forwards: readonly string[],
    { window, lies = {} }: { window?: number; lies?: Lies } = {},
  ): Promise<Served> => {
    let login: (served: Served) => void;
    const first = new Promise<Served>((resolve) => (login = resolve));
    const serve = letIn((session) => {
      const served: Served = { session, channels: [], confirmed: [], refused: 0, window: 0 };
      login(served);
      return serveWell(served, window);
    });
    const server = await startHandMadeServer(honest, lies, serve);
    closers.push(() => server.close());
    reach(server.port, forwards);
    const served = await first;
    await engine.next('listening');
    return served;
  };
  const answers = async (port: number, text = 'hello') =>
    assert.equal((await exchange(port, Buffer.from(text))).received.toString(), text);
  /** Does the work, and asks the neighbour meanwhile, who is to be about as quick as ever. */
  const besideNeighbour = async (work: Promise<unknown>): Promise<void> => {
    let isOver = false;
    const started = performance.now();
    const done = work.finally(() => (isOver = true));
    done.catch(() => {});
    let longest = 0;
    do {
      const since = performance.now();
      await answers(neighbourPort);
      longest = Math.max(longest, performance.now() - since);
      await sleep(20);
    } while (!isOver);
    await done;
    // The machine may have other things to do, too.
    const most = Math.max(1000, (performance.now() - started) / 3);
    assert.ok(longest < most, `the neighbour took ${longest.toFixed(0)} ms, not ${most.toFixed(0)} at most`);
  };
  const megabytes = (count: number) => `${(count / 2 ** 20).toFixed(0)} MiB`;
  const grownDuring = async (work: () => Promise<unknown>): Promise<number> => {
    const before = process.memoryUsage().rss;
    let most = before;
    const timer = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
    await work().finally(() => clearInterval(timer));
    return most - before;
  };

  const ends: readonly (readonly [title: string, harm: (served: Served) => void, text: RegExp])[] = [
    ['claims a packet of 4 GB', ({ session }) => session.sendRaw(Buffer.alloc(64, 0xff)), /Bad packet length/],
    ['sends a packet of no length', ({ session }) => session.sendRaw(Buffer.alloc(64)), /Bad packet length/],
    ['sends packets that nobody has signed', ({ session }) => session.sendRaw(Buffer.concat([uint32(32), randomBytes(64)])), /auth|state/i], // prettier-ignore
    ['sends data that claims 4 GB', ({ session, channels: [id = 0] }) => session.send(message(94, uint32(id), uint32(2 ** 32 - 1))), /Malformed/], // prettier-ignore
    ['speaks of the last channel of all', ({ session }) => session.send(data(2 ** 32 - 1, Buffer.of(1))), /Invalid channel id/], // prettier-ignore
    ['ends a program by half a signal', ({ session, channels: [id = 0] }) => session.send(message(98, uint32(id), string('exit-signal'), Buffer.of(0))), /Malformed/], // prettier-ignore
    ['begins to exchange keys with nonsense', ({ session }) => session.send(message(20, randomBytes(40))), /./],
    ['exchanges keys and speaks of other things', ({ session }) => session.send(kexInit(), data(0, Buffer.of(1))), /./],
  ];
  for (const [title, harm, text] of ends)
    it(`is left when it ${title}`, async () => {
      const port = await freePort();
      const served = await start([`-L ${port}:db:1`]);
      const client = await connectTo({ host: '127.0.0.1', port });
      client.write('x');
      await once(client, 'readable');
      const gone = readToEnd(client);
      harm(served);
      const { connection, failure } = await engine.next('connectionLost');
      assert.equal(connection, 'evil');
      assert.ok(failure.kind === 'connectionLost' && failure.reason === 'reset', JSON.stringify(failure));
      assert.match(failureText(failure), text);
      assert.equal((await gone).end, 'ECONNRESET');
      await answers(neighbourPort);
    });

  it('is borne when it sends up to a tenth more than the window that it has, again and again, and all of it arrives', async () => {
    const port = await freePort();
    const served = await start([`-L ${port}:db:1`]);
    const { session, channels } = served;
    const client = await connectTo({ host: '127.0.0.1', port });
    await eventually(() => assert.equal(channels.length, 1));
    const [id] = channels as [number];
    const sent: Buffer[] = [];
    const send = async (length: number) => {
      for (let left = length; left > 0; left -= 2 ** 15) {
        const part = randomBytes(Math.min(left, 2 ** 15));
        sent.push(part);
        served.window -= part.length;
        await session.sendInTurn(data(id, part));
      }
    };
    /** Until the client, which reads nothing, has had it all, and the server is granted no more. */
    const fill = async () => {
      for (let quiet = 0; quiet < 10; quiet++) {
        if (served.window > 0) quiet = 0;
        while (served.window > 0) await send(Math.min(served.window, 2 ** 15));
        await sleep(50);
      }
    };
    const read = async () => {
      const received: Buffer[] = [];
      const total = sent.reduce((sum, { length }) => sum + length, 0);
      for (let length = 0; length < total;) {
        const part = client.read() as Buffer | null;
        if (part) received.push(part);
        else await once(client, 'readable');
        length += part?.length ?? 0;
      }
      assert.equal(digest(Buffer.concat(received)), digest(Buffer.concat(sent)));
      sent.length = 0;
    };
    for (let time = 0; time < 2; time++) {
      await fill();
      // In parts, the first of which begins within nothing.
      await send(200_000);
      await read();
      served.window = Math.max(served.window, 0);
    }
    client.end();
    await answers(port);
    assert.ok(!engine.kinds().includes('connectionLost'));
  });

  it('is left when it sends more than the window that it has', async () => {
    const port = await freePort();
    const { session, channels } = await start([`-L ${port}:db:1`]);
    const client = await connectTo({ host: '127.0.0.1', port });
    await eventually(() => assert.equal(channels.length, 1));
    const [id] = channels as [number];
    const part = data(id, Buffer.alloc(2 ** 15));
    const flood = async () => {
      // A client that reads nothing takes some megabytes all the same: those that the kernel keeps.
      for (let sent = 0; sent < 64 * 2 ** 20; sent += 2 ** 15) await session.sendInTurn(part);
    };
    const grown = await grownDuring(() => assert.rejects(flood()));
    const { failure } = await engine.next('connectionLost');
    assert.match(failureText(failure), /more data than it was allowed/);
    await eventually(async () => assert.deepEqual(await engine.engine.clients(`-L ${port}:db:1`), []));
    client.destroy();
    assert.ok(grown < 60 * 2 ** 20, megabytes(grown));
    await answers(neighbourPort);
  });

  it('is borne when it speaks of channels that are not there, closes twice, and answers what nobody asked', async () => {
    const port = await freePort();
    const served = await start([`-L ${port}:db:1`]);
    const { session, channels } = served;
    const client = await connectTo({ host: '127.0.0.1', port });
    await eventually(() => assert.equal(channels.length, 1));
    const [id] = channels as [number];
    for (const other of [id + 1, 2 ** 31, 2 ** 32 - 2])
      session.send(
        data(other, Buffer.from('who?')),
        message(95, uint32(other), uint32(1), string('who?')),
        windowAdjust(other, 2 ** 32 - 1),
        message(91, uint32(other), uint32(0), uint32(0), uint32(0)),
        message(92, uint32(other), uint32(1), string(''), string('')),
        message(96, uint32(other)),
        ...Array<Buffer>(2).fill(channelClose(other)),
        ...[99, 100].map((type) => message(type, uint32(other))),
        message(98, uint32(other), string('exit-signal'), Buffer.of(1), string('TERM'), Buffer.of(0), string(''), string('')), // prettier-ignore
      );
    for (let time = 0; time < 1000; time++)
      session.send(windowAdjust(id, 2 ** 32 - 1), message(81), message(82), message(99, uint32(id)), message(200));
    const sent = bytes(300_000, 'much');
    client.end(sent);
    const { received, end } = await readToEnd(client);
    assert.deepEqual([digest(received), end], [digest(sent), 'end']);
    session.send(channelClose(id), channelClose(id));
    await answers(port);
    assert.ok(!engine.kinds().includes('connectionLost'));
  });

  it('is borne when it never stops to say nothing, and the others are as quick as before', async () => {
    const port = await freePort();
    const { session } = await start([`-L ${port}:db:1`]);
    let sent = 0;
    const until = performance.now() + 1000;
    const talk = async () => {
      const some = Array.from({ length: 50 }, (_, at) => (at % 2 ? ignore : debug));
      for (; performance.now() < until; sent += some.length) {
        await session.sendInTurn(...some);
        await setImmediate();
      }
    };
    const grown = await grownDuring(() => besideNeighbour(talk()));
    assert.ok(sent > 1000, `${sent}`);
    assert.ok(grown < 60 * 2 ** 20, megabytes(grown));
    await answers(port);
    const logged = engine.events.filter((event) => event.kind === 'logged' && event.text.includes('on and on'));
    assert.equal(logged.length, 100);
  });

  it('opens 100,000 channels that nobody asked for, and each is refused', async () => {
    const port = await freePort();
    const served = await start([`-L ${port}:db:1`]);
    const flood = async () => {
      for (let id = 0; id < 100_000; id += 100) {
        await served.session.sendInTurn(...Array.from({ length: 100 }, (_, at) => opened(knockedAt, id + at)));
        // So that the others of this thread have their turn.
        await setImmediate();
      }
      await eventually(() => assert.equal(served.refused, 100_000), 30_000);
    };
    const grown = await grownDuring(() => besideNeighbour(flood()));
    assert.deepEqual(served.confirmed, []);
    assert.ok(grown < 100 * 2 ** 20, megabytes(grown));
    await answers(port);
  });

  it('is left when it asks on and on and takes no answer', async () => {
    const port = await freePort();
    let isDeaf = false;
    const serve = letIn(async (session) => {
      // It reads no more.
      isDeaf = true;
      for (let id = 0; id < 1_000_000; id += 100) {
        await session.sendInTurn(...Array.from({ length: 100 }, (_, at) => opened(knockedAt, id + at)));
        await setImmediate();
      }
    });
    const server = await startHandMadeServer(honest, {}, serve);
    closers.push(() => server.close());
    const grown = await grownDuring(async () => {
      reach(server.port, [`-L ${port}:db:1`]);
      const lost = engine.next('connectionLost', 60_000);
      await besideNeighbour(lost);
      assert.match(failureText((await lost).failure), /did not take the answers/);
    });
    assert.ok(isDeaf);
    assert.ok(grown < 150 * 2 ** 20, megabytes(grown));
  });

  it('gets 10,000 channels to a port that it was asked for and no more, until some are closed', async () => {
    // A proxy, which lets each in before it connects to anything: 10,000 targets would be as many files.
    const served = await start([`-R ${knockedAt}`]);
    const { session } = served;
    const open = async (from: number, count: number) => {
      const before = served.confirmed.length + served.refused;
      for (let id = from; id < from + count; id += 100) {
        await session.sendInTurn(...Array.from({ length: 100 }, (_, at) => opened(knockedAt, id + at)));
        await setImmediate();
      }
      await eventually(() => assert.equal(served.confirmed.length + served.refused - before, count), 60_000);
    };
    const grown = await grownDuring(() => besideNeighbour(open(0, 15_000)));
    assert.deepEqual([served.confirmed.length, served.refused], [10_000, 5_000]);
    assert.equal((await engine.engine.clients(`-R ${knockedAt}`)).length, 10_000);
    assert.ok(grown / 10_000 < 60_000, megabytes(grown));
    for (const id of served.confirmed.slice(0, 1000)) session.send(channelClose(id));
    await eventually(async () => assert.equal((await engine.engine.clients(`-R ${knockedAt}`)).length, 9_000), 60_000);
    await open(20_000, 1_100);
    assert.deepEqual([served.confirmed.length, served.refused], [11_000, 5_100]);
    engine.engine.apply({ connections: [neighbour] });
    await engine.next('connectionClosed');
    assert.deepEqual(await engine.engine.clients(`-R ${knockedAt}`), []);
  });

  it('that begins to exchange keys and never ends it has its clients wait, with little in memory', async () => {
    const port = await freePort();
    const served = await start([`-L ${port}:db:1`], { window: 2 ** 32 - 1 });
    const client = await connectTo({ host: '127.0.0.1', port });
    await eventually(() => assert.equal(served.channels.length, 1));
    served.session.send(kexInit());
    const part = Buffer.alloc(2 ** 20);
    const grown = await grownDuring(async () => {
      // Until nothing is taken for half a second.
      for (let taken = 0; taken < 100; taken++) {
        if (client.write(part)) continue;
        const isStuck = await Promise.race([
          once(client, 'drain').then(() => false),
          new Promise<boolean>((resolve) => setTimeout(resolve, 500, true)),
        ]);
        if (isStuck) return;
      }
      assert.fail('the client can write 100 MiB');
    });
    assert.ok(!engine.kinds().includes('connectionLost'));
    assert.ok(grown < 60 * 2 ** 20, megabytes(grown));
    await answers(neighbourPort);
    client.destroy();
  });

  describe('before anybody has logged in', () => {
    const never = Array<Buffer>(200).fill(ignore);
    for (const [title, lies, serve, kind] of [
      ['greets for ever', { ident: Buffer.from('hello\r\n'.repeat(3000)) }, undefined, 'notSsh'],
      ['greets by a line that never ends', { ident: Buffer.alloc(100_000, 'x') }, undefined, 'notSsh'],
      ['claims a first packet of 4 GB', { ident: Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(64, 0xff)]) }, undefined, 'handshakeFailed'], // prettier-ignore
      ['sends a first packet of no length', { ident: Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(64)]) }, undefined, 'handshakeFailed'], // prettier-ignore
      ['says nothing for ever, when keys are exchanged', {}, async (session: HandMadeSession) => {
        for (;;) {
          await session.sendInTurn(...never);
          await setImmediate();
        }
      }, 'connectTimeout'], // prettier-ignore
    ] as const)
      it(`is given up when it ${title}`, async () => {
        const server = await startHandMadeServer(honest, lies, serve);
        closers.push(() => server.close());
        reach(server.port, [`-L ${await freePort()}:db:1`], ['ConnectTimeout 1']);
        const { connection, failure } = await engine.next('connectionFailed');
        assert.equal(connection, 'evil');
        const found = failure.kind === 'hop' ? failure.failure : failure;
        assert.equal(found.kind, kind, JSON.stringify(failure));
        assert.ok(failureText(failure).length < 500);
        await answers(neighbourPort);
      });

    it('is given up when it says a byte now and then', async () => {
      const drips = new Set<NodeJS.Timeout>();
      const server = createServer((socket) => {
        socket.on('error', () => {}).resume();
        const drip = setInterval(() => socket.write('x'), 50);
        drips.add(drip);
        socket.on('close', () => clearInterval(drip));
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      closers.push(() => new Promise((closed) => server.close(closed)));
      reach((server.address() as AddressInfo).port, [`-L ${await freePort()}:db:1`], ['ConnectTimeout 1']);
      const since = performance.now();
      const { failure } = await engine.next('connectionFailed');
      assert.ok(performance.now() - since < 4000);
      assert.equal(failure.kind, 'connectTimeout');
      for (const drip of drips) clearInterval(drip);
    });
  });
});
