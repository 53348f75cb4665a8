import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { reset } from '../../src/engine/pump.js';
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
