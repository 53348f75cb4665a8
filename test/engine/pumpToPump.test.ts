import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { createChannel, type ChannelSender, type OpenChannel, type SshChannel } from '../../src/engine/channel.js';
import { channelStream } from '../../src/engine/channelStream.js';
import { readProxyRequest } from '../../src/engine/proxyClient.js';
import { join } from '../../src/engine/pump.js';
import { createWindowBudget } from '../../src/engine/windows.js';
import { eventually } from '../support/eventually.js';
import { bytes, digest } from '../support/targets.js';

/** Whole numbers from 0 to below another one. */
type Chance = (below: number) => number;

function chanceOf(seed: number): Chance {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Both ends of a channel, over a connection that loses nothing, and is slow or full now and then. */
function channelPair(chance: Chance): [SshChannel, SshChannel] {
  const budget = createWindowBudget(chance(2) ? 1_000_000 : 256 * 2 ** 20);
  const windows = [budget.open(), budget.open()] as const;
  const ends: OpenChannel[] = [];
  const side = (me: 0 | 1) => {
    const other = () => ends[1 - me]!;
    const queue: (() => void)[] = [];
    const deliver = () => {
      const now = queue.splice(0, 1 + chance(8));
      for (const step of now) step();
      if (queue.length > 0) later();
    };
    const later = () => void (chance(4) ? setImmediate(deliver) : setTimeout(deliver, 1));
    const post = (step: () => void) => {
      queue.push(step);
      if (queue.length === 1) later();
    };
    const waiting = new Set<() => void>();
    const sender: ChannelSender = {
      data(_, source, start, end) {
        const copy = Buffer.from(source.subarray(start, end));
        post(() => assert.ok(other().onData(copy), 'more than the window'));
      },
      windowAdjust: (_, more) => post(() => other().onWindowAdjust(more)),
      eof: () => post(() => other().onEof()),
      close: () => post(() => other().onClose()),
      hold(resume) {
        if (chance(3) > 0) return false;
        waiting.add(resume);
        setTimeout(() => waiting.delete(resume) && resume(), chance(3));
        return true;
      },
      roundTripMs: 2,
      packetBytes: 32_768,
    };
    const { initial: window } = windows[1 - me]!;
    const packetSize = 1 + chance(40_000);
    return createChannel({ sender, recipient: 1, window, packetSize, own: windows[me], onClosed() {} });
  };
  ends.push(side(0), side(1));
  return [ends[0]!.channel, ends[1]!.channel];
}

async function socketPair(): Promise<{ client: Socket; served: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
  const [served] = (await once(server, 'connection')) as [Socket];
  server.close();
  return { client, served };
}

/** Reads to the end, and stops now and then. */
async function readSlowly(socket: Socket, chance: Chance): Promise<Buffer> {
  const came: Buffer[] = [];
  socket.on('data', (data: Buffer) => {
    came.push(data);
    if (chance(20) > 0) return;
    socket.pause();
    setTimeout(() => socket.resume(), chance(5));
  });
  await once(socket, 'end');
  return Buffer.concat(came);
}

async function writeInPieces(socket: Socket, content: Buffer, chance: Chance): Promise<void> {
  for (let at = 0; at < content.length;) {
    const length = 1 + chance(chance(3) ? 200 : 200_000);
    if (!socket.write(content.subarray(at, at + length))) await once(socket, 'drain');
    at += length;
    if (chance(50) === 0) await sleep(2);
  }
  socket.end();
}

const connectRequest = Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80]);
const connectReply = Buffer.from([5, 0]);

const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });
/** More of them would take longer than the suite has. */
const limits = { numRuns: 20, interruptAfterTimeLimit: 4000, timeout: 15_000, endOnFailure: true };

describe('two pumps with a channel in between', function () {
  this.timeout(30_000);

  for (const [title, hand] of [
    ['at once', async (channel: SshChannel) => Promise.resolve(channel)],
    [
      'a while after the first data',
      async (channel: SshChannel, chance: Chance) => {
        await sleep(chance(30));
        return channel;
      },
    ],
    [
      'by a stream that looked at its beginning',
      async (channel: SshChannel, chance: Chance) => {
        const stream = channelStream(channel);
        const look = () => {};
        stream.on('readable', look);
        await sleep(chance(30));
        stream.removeListener('readable', look);
        if (stream.readableLength >= 16) stream.unshift(stream.read(16));
        if (chance(2)) await sleep(chance(30));
        return stream.release();
      },
    ],
    [
      'by a stream that read a proxy’s request',
      async (channel: SshChannel, chance: Chance) => {
        const stream = channelStream(channel);
        assert.ok(await readProxyRequest(stream, () => {}));
        await sleep(chance(30));
        return stream.release();
      },
    ],
  ] as const)
    it(`lose no byte and end on both sides, joined ${title}`, async () => {
      const isProxied = title.includes('proxy');
      await fc.assert(
        fc.asyncProperty(seed, async (given) => {
          const chance = chanceOf(given);
          const up = bytes(4 + chance(chance(5) ? 1_000_000 : 100), `up ${given}`);
          const down = chance(5) ? bytes(4 + chance(1_000_000), `down ${given}`) : Buffer.alloc(0);
          const [near, far] = channelPair(chance);
          const [one, two] = [await socketPair(), await socketPair()];
          let closed = 0;
          join(one.served, near, () => closed++);
          const joining = hand(far, chance).then((channel) => join(two.served, channel, () => closed++));
          const [atTwo, atOne] = await Promise.all([
            readSlowly(two.client, chance),
            readSlowly(one.client, chance),
            writeInPieces(one.client, isProxied ? Buffer.concat([connectRequest, up]) : up, chance),
            writeInPieces(two.client, down, chance),
            joining,
          ]);
          assert.equal(digest(atTwo), digest(up));
          assert.equal(digest(atOne), digest(isProxied ? Buffer.concat([connectReply, down]) : down));
          await eventually(() => assert.equal(closed, 2));
          for (const { client } of [one, two]) client.destroy();
        }),
        limits,
      );
    });

  it('bring whole what was sent before the other side closed without an end, though the client talks on', async () => {
    await fc.assert(
      fc.asyncProperty(seed, async (given) => {
        const chance = chanceOf(given);
        const content = bytes(4 + chance(1_000_000), `close ${given}`);
        const [near, far] = channelPair(chance);
        const { client, served } = await socketPair();
        let closed = 0;
        join(served, near, () => closed++);
        let goOn = () => {};
        far.read({ data: ({ length }) => far.consumed(length), end() {}, drain: () => goOn(), closed: () => goOn() });
        const reading = readSlowly(client, chance);
        const talking = setInterval(() => client.writable && client.write(Buffer.alloc(chance(5000))), 1);
        for (let at = 0; at < content.length;) {
          const length = 1 + chance(100_000);
          if (!far.write(content.subarray(at, at + length))) await new Promise<void>((resolve) => (goOn = resolve));
          at += length;
        }
        far.close();
        const came = await reading.finally(() => clearInterval(talking));
        client.end();
        assert.equal(digest(came), digest(content));
        await eventually(() => assert.equal(closed, 1));
        client.destroy();
      }),
      limits,
    );
  });
});
