// What stands behind a tunnel in the tests: plain TCP services on loopback.
import { createHash } from 'node:crypto';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Target {
  port: number;
  /** Connections that are open now. */
  sockets: Set<Socket>;
  close(): Promise<void>;
}

/** A TCP service on a free port of 127.0.0.1; half-open allowed, errors of clients are theirs. */
export async function startTarget(onSocket: (socket: Socket) => void): Promise<Target> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** Sends back what it gets, and ends when the client has ended and got all of it. */
export const echo = (socket: Socket): void => void socket.pipe(socket);

/** Bytes that look random and are the same for the same seed. */
export function bytes(length: number, seed: string): Buffer {
  const block = createHash('sha512').update(seed).digest();
  const made = Buffer.alloc(length, block);
  for (let at = 0; at < length; at += 4096) made.writeUInt32LE(at >>> 0, Math.min(at, length - 4));
  return made;
}

export const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

export interface Exchange {
  received: Buffer;
  /** `end`: the peer closed in order; an error's code: it did not. */
  end: string;
}

/** Connects, sends, half-closes, and reads until the peer ends. */
export function exchange(port: number, send: Buffer, host = '127.0.0.1'): Promise<Exchange> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let end: string | undefined;
    const socket = connect({ port, host, allowHalfOpen: true }, () => socket.end(send));
    socket.on('data', (part) => parts.push(part));
    socket.on('end', () => (end = 'end'));
    socket.on('error', (error) => (end = (error as NodeJS.ErrnoException).code ?? error.message));
    socket.on('close', () => resolve({ received: Buffer.concat(parts), end: end ?? 'closed' }));
  });
}
