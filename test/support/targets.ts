// What stands behind a tunnel in the tests, and who connects through it: plain services and clients on loopback.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get } from 'node:http';
import { connect, createServer, isIP, type AddressInfo, type Socket } from 'node:net';

/** Where something listens: a port of loopback, or a Unix socket. */
export type Place = { host: string; port: number } | { path: string };

export interface Target {
  /** 0 for a Unix socket. */
  port: number;
  /** Connections that are open now. */
  sockets: Set<Socket>;
  /** Connections that there ever were. */
  readonly accepted: number;
  close(): Promise<void>;
}

/** A service, on a free port of 127.0.0.1 unless told otherwise; half-open allowed, errors of clients are theirs. */
export async function startTarget(
  onSocket: (socket: Socket) => void,
  at: Place = { host: '127.0.0.1', port: 0 },
): Promise<Target> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  server.listen(at);
  await once(server, 'listening');
  return {
    port: 'path' in at ? 0 : (server.address() as AddressInfo).port,
    sockets,
    get accepted() {
      return accepted;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** A service at 127.0.0.1 and one at ::1, on the same port. */
export async function startTwins(onSocket: (socket: Socket) => void): Promise<readonly [four: Target, six: Target]> {
  for (;;) {
    const four = await startTarget(onSocket);
    try {
      return [four, await startTarget(onSocket, { host: '::1', port: four.port })];
    } catch (error) {
      await four.close();
      // Another program has it there.
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
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

/** Connects to a port or a place, sends, half-closes, and reads until the peer ends. */
export function exchange(to: number | Place, send: Buffer, host = '127.0.0.1'): Promise<Exchange> {
  const place = typeof to === 'number' ? { port: to, host } : to;
  const socket = connect({ ...place, allowHalfOpen: true }, () => socket.end(send));
  return readToEnd(socket);
}

/** Reads until the peer ends or is gone. */
export function readToEnd(socket: Socket): Promise<Exchange> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let end: string | undefined;
    socket.on('data', (part) => parts.push(part));
    socket.on('end', () => (end ??= 'end'));
    socket.on('error', (error) => (end = (error as NodeJS.ErrnoException).code ?? error.message));
    socket.on('close', () => resolve({ received: Buffer.concat(parts), end: end ?? 'closed' }));
    socket.resume();
  });
}

export type ProxyKind = 'SOCKS4' | 'SOCKS4a' | 'SOCKS5' | 'HTTP CONNECT';

/** What a client of a proxy says, turn by turn, to get to a host; each turn but the last is answered by two bytes. */
export function proxyTurns(kind: ProxyKind, host: string, port: number): readonly Buffer[] {
  const port16 = Buffer.of(port >> 8, port & 0xff);
  switch (kind) {
    case 'SOCKS4':
      return [Buffer.from([4, 1, ...port16, ...host.split('.').map(Number), 0])];
    case 'SOCKS4a':
      return [Buffer.concat([Buffer.of(4, 1), port16, Buffer.from(`\0\0\0\x01\0${host}\0`)])];
    case 'SOCKS5':
      return [Buffer.of(5, 1, 0), Buffer.concat([Buffer.of(5, 1, 0), socks5Address(host), port16])];
    case 'HTTP CONNECT': {
      const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      return [Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)];
    }
  }
}

function socks5Address(host: string): Buffer {
  if (isIP(host) === 4) return Buffer.from([1, ...host.split('.').map(Number)]);
  // Enough for the tests: loopback alone.
  if (host === '::1') return Buffer.from([4, ...Array<number>(15).fill(0), 1]);
  return Buffer.concat([Buffer.of(3, host.length), Buffer.from(host)]);
}

/** Connects through a proxy; rejects with its words when it says anything but yes. The socket is paused, half-open allowed. */
export async function connectThrough(place: Place, kind: ProxyKind, host: string, port: number): Promise<Socket> {
  const socket = await connectTo(place);
  const turns = proxyTurns(kind, host, port);
  for (const turn of turns.slice(0, -1)) {
    socket.write(turn);
    await read(socket, 2);
  }
  socket.write(turns.at(-1)!);
  if (kind === 'HTTP CONNECT') {
    let head = '';
    while (!head.endsWith('\r\n\r\n')) head += (await read(socket, 1)).toString('latin1');
    if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(head);
  } else {
    const reply = await read(socket, kind === 'SOCKS5' ? 10 : 8);
    const [first, code] = reply;
    if (kind === 'SOCKS5' ? first !== 5 || code !== 0 : first !== 0 || code !== 0x5a)
      throw new Error(reply.toString('hex'));
  }
  return socket;
}

/** Paused, half-open allowed; its errors are for `readToEnd`. */
export async function connectTo(place: Place): Promise<Socket> {
  const socket = connect({ ...place, allowHalfOpen: true, noDelay: true });
  await once(socket, 'connect');
  socket.on('error', () => {});
  return socket;
}

/** Exactly so many bytes; rejects when the peer ends before. */
export async function read(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const data = socket.read(length) as Buffer | null;
    if (data?.length === length) return data;
    if (data || socket.readableEnded || socket.destroyed)
      throw new Error(`the peer ended${data ? ` after ${data.toString('hex')}` : ''}`);
    await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')]);
  }
}

/** The body of `http://127.0.0.1:port/`, by a connection that is closed behind it. */
export function fetchPage(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (body += part));
      response.on('end', () => resolve(body));
      response.on('error', reject);
    }).on('error', reject);
  });
}
