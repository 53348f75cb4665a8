import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { ChannelReader, SshChannel } from '../../src/engine/channel.js';
import { join, reset } from '../../src/engine/pump.js';
import { eventually } from '../support/eventually.js';

describe('a socket that is reset', () => {
  const moments: readonly (readonly [title: string, act: (socket: Socket) => void])[] = [
    ['at once', (socket) => reset(socket)],
    [
      'in the tick of its end',
      (socket) => {
        socket.end();
        reset(socket);
      },
    ],
    [
      'right after its end',
      (socket) => {
        socket.end();
        process.nextTick(() => reset(socket));
      },
    ],
    [
      'right after its last words',
      (socket) => {
        socket.end('bye');
        process.nextTick(() => reset(socket));
      },
    ],
    [
      'a moment after its end',
      (socket) => {
        socket.end();
        setImmediate(() => reset(socket));
      },
    ],
    [
      'with much to send',
      (socket) => {
        socket.end(Buffer.alloc(20_000_000));
        setImmediate(() => reset(socket));
      },
    ],
  ];
  for (const [title, act] of moments)
    it(`is closed and leaves nothing when it happens ${title}`, async () => {
      let closed = 0;
      const count = 20;
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {});
        socket.on('close', () => closed++);
        // In the phase in which a channel's end arrives.
        socket.once('data', () => act(socket));
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const clients = Array.from({ length: count }, () => {
        const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => client.write('x'));
        client.on('error', () => {}).resume();
        return client;
      });
      await eventually(() => assert.equal(closed, count), 5000);
      for (const client of clients) client.destroy();
      await new Promise((done) => server.close(done));
    });
});

describe('a client that stops reading', () => {
  it('has tiny pieces wait for it as few large ones, and gets all of them in their order', async () => {
    const taken: Buffer[] = [];
    let take: (() => void) | undefined;
    // It takes the first piece when it is told to, and then all others.
    const client = new Duplex({
      read() {},
      write(piece: Buffer, _, done) {
        taken.push(piece);
        if (take) done();
        else take = done;
      },
    });
    let reader: ChannelReader | undefined;
    let consumed = 0;
    const channel: SshChannel = {
      read: (its) => (reader = its),
      unread() {},
      consumed: (bytes) => (consumed += bytes),
      write: () => true,
      end() {},
      close() {},
      isClosed: false,
    };
    join(client as Socket, channel, () => {});
    const sent = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251));
    reader!.data(Buffer.alloc(client.writableHighWaterMark));
    await eventually(() => assert.ok(take));
    for (let at = 0; at < sent.length; at++) {
      reader!.data(sent.subarray(at, at + 1));
      // As by many reads of the connection.
      if (at % 50 === 0) await turn();
    }
    take!();
    await eventually(() => assert.equal(consumed, client.writableHighWaterMark + sent.length));
    const [, ...pieces] = taken;
    assert.ok(Buffer.concat(pieces).equals(sent));
    assert.ok(pieces.length < 1000, `${pieces.length}`);
    client.destroy();
  });
});
