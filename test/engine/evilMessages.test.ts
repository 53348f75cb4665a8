import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { Connection, ServerChannel } from 'ssh2';
import { FailureError } from '../../src/core/failure.js';
import type { SshChannel } from '../../src/engine/channel.js';
import { createReadBuffer } from '../../src/engine/readBuffer.js';
import { openSession, type SessionEnd, type SshOptions } from '../../src/engine/sshClient.js';
import { createUserAuth } from '../../src/engine/userauth.js';
import { withinTime } from '../../src/engine/withinTime.js';
import { eventually } from '../support/eventually.js';
import { uint32 } from '../support/fakeAgent.js';
import { startForgedServer } from '../support/forgedServer.js';
import {
  letIn,
  startHandMadeServer,
  string,
  type HandMadeServer,
  type HandMadeSession,
} from '../support/handMadeServer.js';

const { publicKey: point, privateKey } = generateKeyPairSync('ed25519');
const hostKey = {
  blob: Buffer.concat([string('ssh-ed25519'), string(point.export({ format: 'der', type: 'spki' }).subarray(-32))]),
  sign: (data: Buffer) => Buffer.concat([string('ssh-ed25519'), string(sign(null, data, privateKey))]),
};
const honest = { kex: 'curve25519-sha256', hostKeyAlgorithm: 'ssh-ed25519', hostKey };

const message = (type: number, ...parts: readonly Buffer[]) => Buffer.concat([Buffer.of(type), ...parts]);
const confirmed = (id: number) => message(91, uint32(id), uint32(id), uint32(2 ** 21), uint32(2 ** 15));
const data = (id: number, content: Buffer) => message(94, uint32(id), string(content));
const channelClose = (id: number) => message(97, uint32(id));
const channelRequest = (id: number) => message(98, uint32(id), string('keepalive@openssh.com'), Buffer.of(1));
const globalRequest = message(80, string('keepalive@openssh.com'), Buffer.of(1));
const knocked = (port: number, id: number) =>
  message(90, string('forwarded-tcpip'), uint32(id), uint32(2 ** 21), uint32(2 ** 15), string('localhost'), uint32(port), string('192.0.2.9'), uint32(50_000)); // prettier-ignore

const target = { host: 'db', port: 1 };
const origin = { address: '127.0.0.1', port: 1 };

/** The client's number of the channel that it asks for. */
async function askedFor(session: HandMadeSession): Promise<number> {
  for (;;) {
    const given = await session.read();
    if (given[0] === 90) return given.readUInt32BE(5 + given.readUInt32BE(1));
  }
}
/** Sends so often, in turn with all else that this process does. */
async function flood(session: HandMadeSession, count: number, ...payloads: readonly Buffer[]): Promise<void> {
  for (let sent = 0; sent < count; sent += 100) {
    await session.sendInTurn(...Array.from({ length: 100 }, () => payloads).flat());
    await setImmediate();
  }
}
/** Takes what comes and hands nothing on. */
function stall(channel: SshChannel): { bytes: number } {
  const came = { bytes: 0 };
  channel.read({ data: ({ length }) => (came.bytes += length), end() {}, drain() {}, closed() {} });
  return came;
}

describe('a session with an evil server', () => {
  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  const join = async (socket: Duplex, options: Partial<SshOptions> = {}) => {
    const session = await openSession({
      socket,
      user: 'ann',
      knownKeyTypes: [],
      algorithms: {},
      verifyHostKey: async () => {},
      authenticate: async (transport) => void (await createUserAuth(transport).none()),
      serverSaid() {},
      keepaliveSeconds: 0,
      keepaliveCount: 3,
      log() {},
      ...options,
    });
    undo.push(() => session.close());
    const ended = new Promise<SessionEnd | undefined>((resolve) => session.onEnd(resolve));
    return { session, ended };
  };
  const start = async (serve: (session: HandMadeSession) => Promise<void>): Promise<HandMadeServer> => {
    const server = await startHandMadeServer(honest, {}, letIn(serve));
    undo.push(() => server.close());
    return server;
  };
  const reach = async (port: number, options: Partial<TcpNetConnectOpts> = {}): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, ...options });
    await once(socket, 'connect');
    return socket;
  };

  it('ends when it asks on and on about a channel that is open, and takes no answer', async () => {
    const line = { isDeaf: false };
    const server = await start(async (session) => {
      const id = await askedFor(session);
      session.send(confirmed(id));
      line.isDeaf = true;
      await flood(session, 100_000, channelRequest(id));
    });
    const { session, ended } = await join(throughLine(await reach(server.port), line));
    stall(await session.openTcp(target, origin));
    assert.deepEqual(await ended, { reason: 'reset', detail: 'the server asked on and did not take the answers' });
  });

  it('says nothing more to one that takes nothing, however often it is allowed to', async () => {
    const line = { isDeaf: false };
    let isOver = false;
    const server = await start(async (session) => {
      const id = await askedFor(session);
      session.send(confirmed(id));
      line.isDeaf = true;
      for (let sent = 0; sent < 5000; sent++) {
        await session.sendInTurn(message(93, uint32(id), uint32(1)));
        // Each is read by itself.
        await setImmediate();
        await setImmediate();
      }
      isOver = true;
    });
    const socket = throughLine(await reach(server.port), line);
    const { session } = await join(socket);
    stall(await session.openTcp(target, origin));
    while (!isOver) await setImmediate();
    assert.ok(socket.writableLength < socket.writableHighWaterMark + 1000, `${socket.writableLength}`);
  });

  it('ends when it asks on and on and never answers that new keys are to be exchanged', async () => {
    let keysAsked = () => 0;
    const server = await start(async (session) => {
      // It does hear what it is told.
      const hear = async () => {
        for (;;) await session.read();
      };
      hear().catch(() => {});
      while (keysAsked() < 2) await session.sendInTurn(message(2, string(Buffer.alloc(10_000))));
      await flood(session, 100_000, globalRequest);
    });
    keysAsked = () => server.heard.filter((type) => type === 20).length;
    const { ended } = await join(await reach(server.port), { rekeyLimit: { bytes: 100_000, seconds: 0 } });
    assert.deepEqual(await ended, { reason: 'reset', detail: 'the server asked on and did not take the answers' });
  });

  it('ends when it sends more than it was allowed to, with packets without a byte in between', async () => {
    const server = await start(async (session) => {
      const id = await askedFor(session);
      session.send(confirmed(id));
      await flood(session, 2_000, data(id, Buffer.alloc(2 ** 15)), data(id, Buffer.alloc(0)));
    });
    const { session, ended } = await join(await reach(server.port));
    const came = stall(await session.openTcp(target, origin));
    assert.deepEqual(await ended, { reason: 'reset', detail: 'the server sent more data than it was allowed to' });
    assert.ok(came.bytes <= 2 ** 21 * 1.1, `${came.bytes}`);
  });

  it('counts a channel that it closed until what came by it has been handed on', async () => {
    const numbers: number[] = [];
    const refusals: number[] = [];
    let served: HandMadeSession;
    const server = await start(async (session) => {
      served = session;
      for (;;) {
        const given = await session.read();
        if (given[0] === 80) session.send(message(81));
        if (given[0] === 91) numbers.push(given.readUInt32BE(5));
        if (given[0] === 92) refusals.push(given.readUInt32BE(5));
      }
    });
    const { session } = await join(await reach(server.port));
    const accepted: SshChannel[] = [];
    await session.listenTcp('localhost', 4000, (incoming) => {
      const channel = incoming.accept()!;
      accepted.push(channel);
      stall(channel);
    });
    const open = async (from: number, count: number) => {
      const before = numbers.length;
      const answers = before + refusals.length + count;
      await served.sendInTurn(...Array.from({ length: count }, (_, at) => knocked(4000, from + at)));
      while (numbers.length + refusals.length < answers) await setImmediate();
      for (const id of numbers.slice(before)) await served.sendInTurn(data(id, Buffer.of(1)), channelClose(id));
    };
    for (let id = 0; id < 10_000; id += 500) await open(id, 500);
    assert.deepEqual([numbers.length, refusals], [10_000, []]);
    await eventually(() => assert.ok(accepted.every(({ isClosed }) => isClosed)));
    await open(10_000, 1);
    assert.deepEqual([numbers.length, refusals], [10_000, [4]]);
    accepted[0]!.consumed(1);
    await open(10_001, 1);
    assert.deepEqual([numbers.length, refusals], [10_001, [4]]);
    await eventually(() => assert.ok(accepted.at(-1)!.isClosed));
    for (const channel of accepted.slice(1)) channel.consumed(1);
  });

  it('ends at once when it says goodbye and does not close', async () => {
    const server = await start(async (session) => {
      await askedFor(session);
      session.send(message(1, uint32(11), string('goodbye'), string('')));
    });
    const { session, ended } = await join(throughLine(await reach(server.port), { isDeaf: false }));
    const asked = assert.rejects(session.openTcp(target, origin), FailureError);
    assert.deepEqual(await withinTime(5000, ended), { reason: 'closed' });
    await asked;
  });

  it('takes for a refusal that a channel is closed before it was opened', async () => {
    const server = await start(async (session) => {
      for (;;) session.send(channelClose(await askedFor(session)));
    });
    const { session } = await join(await reach(server.port));
    for (let time = 0; time < 2; time++)
      await assert.rejects(session.openTcp(target, origin), (error: unknown) => {
        assert.ok(error instanceof FailureError && error.failure.kind === 'channelRefused');
        assert.deepEqual([error.failure.refusal, error.failure.detail], ['other', 'the server closed it']);
        return true;
      });
  });

  for (const isLent of [true, false])
    it(`loses nothing when it changes from AES-GCM to ChaCha20 in the middle of a read, ${isLent ? 'of one buffer' : 'of new ones'}`, async () => {
      let channel: ServerChannel | undefined;
      const server = await startForgedServer((connection) => {
        connection.on('tcpip', (accept) => {
          channel = accept().on('error', () => {});
          channel.resume();
        });
      });
      undo.push(() => server.close());
      const port = Number(/Port (\d+)/.exec(readFileSync(server.configPath, 'utf8'))![1]);
      const reading = createReadBuffer();
      const socket = await reach(port, isLent ? { onread: reading.onread } : {});
      if (isLent) reading.serve(socket);
      const { session, ended } = await join(socket, {
        algorithms: { cipher: ['aes128-gcm@openssh.com', 'chacha20-poly1305@openssh.com'] },
      });
      let end: SessionEnd | undefined;
      void ended.then((found) => (end = found));
      const opened = await session.openTcp(target, origin);
      const came: Buffer[] = [];
      opened.read({ data: (bytes) => void came.push(bytes), end() {}, drain() {}, closed() {} });

      const [connection] = server.connections;
      const letGo = await changeCipher(connection!, 'chacha20-poly1305@openssh.com');
      channel!.write(Buffer.alloc(5000, 'a'));
      await setImmediate();
      const held = letGo.take();
      // In the clear: the length of SSH_MSG_NEWKEYS by AES-GCM.
      assert.equal(held.readUInt32BE(0), 16);
      // Without the last packet's MAC.
      letGo.write(held.subarray(0, -16));
      await eventually(() => assert.ok(socket.bytesRead >= letGo.written));
      channel!.write(Buffer.alloc(8000, 'b'));
      await setImmediate();
      letGo.write(Buffer.concat([held.subarray(-16), letGo.take()]));
      letGo.end();
      await eventually(() => assert.ok(end ?? Buffer.concat(came).length === 13_000));
      assert.equal(end, undefined);
      assert.ok(Buffer.concat(came).equals(Buffer.concat([Buffer.alloc(5000, 'a'), Buffer.alloc(8000, 'b')])));
    });
});

/** A connection that takes nothing more while it is deaf, and goes on to give; also when it was told that no more comes. */
function throughLine(socket: Socket, line: { isDeaf: boolean }): Duplex {
  const through: Duplex = new Duplex({
    read: () => void socket.resume(),
    write(bytes: Buffer, _, done) {
      if (!line.isDeaf) socket.write(bytes, done);
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (bytes) => through.push(bytes) || socket.pause());
  socket.on('error', () => {});
  socket.on('close', () => through.destroy());
  return through;
}

/** What is used of the inside of ssh2's server. */
interface ServerInside {
  _protocol: {
    _cipher: { encrypt(packet: Buffer): void };
    _offer: { lists: Record<'kex' | 'serverHostKey', { array: string[] }> & { cs: { mac: { array: string[] } } } };
    rekey(): void;
  };
  _sock: Socket;
}
interface Held {
  /** What the server has sent since: its SSH_MSG_NEWKEYS first. */
  take(): Buffer;
  write(bytes: Buffer): void;
  /** Bytes that the socket has been given, ever. */
  readonly written: number;
  /** Nothing is held any more. */
  end(): void;
}

/** Has the server exchange keys for that cipher; from its SSH_MSG_NEWKEYS on what it sends is held. */
async function changeCipher(connection: Connection, cipher: string): Promise<Held> {
  const { _protocol: protocol, _sock: socket } = connection as unknown as ServerInside;
  const load = createRequire(__filename);
  const { KexInit } = load('ssh2/lib/protocol/kex.js') as {
    KexInit: new (lists: object) => ServerInside['_protocol']['_offer'];
  };
  const { kex, serverHostKey, cs } = protocol._offer.lists;
  const both = { cipher: [cipher], mac: cs.mac.array, compress: ['none'], lang: [] };
  protocol._offer = new KexInit({ kex: kex.array, serverHostKey: serverHostKey.array, cs: both, sc: both });

  const held: Buffer[] = [];
  let isHeld = false;
  const write = socket.write.bind(socket);
  socket.write = (bytes: Uint8Array) => {
    if (!isHeld) return write(bytes);
    held.push(Buffer.from(bytes));
    return true;
  };
  const { _cipher: old } = protocol;
  const encrypt = old.encrypt.bind(old);
  old.encrypt = (packet) => {
    isHeld ||= packet[5] === 21;
    encrypt(packet);
  };
  const rekeyed = once(connection, 'rekey');
  protocol.rekey();
  await rekeyed;
  return {
    take: () => Buffer.concat(held.splice(0)),
    write: (bytes) => void write(bytes),
    get written() {
      return socket.bytesWritten;
    },
    end: () => (isHeld = false),
  };
}
