// The two ends of a stream, which know what the other sends: every byte is compared where it arrives.
import { createCipheriv, createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Random } from './random.js';

/** Who half-closes first, or neither waits for the other. */
export type Order = 'client' | 'service' | 'neither';

/** What one end does. */
export interface Part {
  /** Bytes to send. */
  bytes: number;
  /** Milliseconds of silence in the middle of them. */
  idleMs: number;
  /** Reads 64 KiB at most and then nothing for so many milliseconds; 0: as fast as they come. */
  readsEveryMs: number;
}

export interface StreamPlan {
  client: Part;
  service: Part;
  order: Order;
  /** The client goes without a word when it has sent and got so many bytes, by a reset or a close. */
  vanish?: { after: number; by: 'reset' | 'close' };
}

const mostBytes = 4 * 1024 * 1024;
const mostBytesSlowly = 256 * 1024;
const pieceBytes = 64 * 1024;

export function drawStream(random: Random): StreamPlan {
  const part = (): Part => {
    const readsEveryMs = random.chance(0.15) ? random.between(5, 150) : 0;
    return {
      bytes: random.sized(1, mostBytes),
      idleMs: random.chance(0.1) ? random.between(200, 4000) : 0,
      readsEveryMs,
    };
  };
  const [client, service] = [part(), part()];
  const bounded = (bytes: number, reader: Part) => (reader.readsEveryMs > 0 ? Math.min(bytes, mostBytesSlowly) : bytes);
  const plan: StreamPlan = {
    client: { ...client, bytes: bounded(client.bytes, service) },
    service: { ...service, bytes: bounded(service.bytes, client) },
    order: random.pick(['client', 'service', 'neither']),
  };
  if (!random.chance(0.07)) return plan;
  const after = random.between(0, plan.client.bytes + plan.service.bytes);
  return { ...plan, vanish: { after, by: random.pick(['reset', 'close']) } };
}

/** What is sent under a name: the same bytes each time, piece by piece. */
export function keystream(name: string): (length: number) => Buffer {
  const key = createHash('sha256').update(name).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  return (length) => cipher.update(Buffer.alloc(length));
}

export interface EndSeen {
  sent: number;
  received: number;
  /** `end`: the peer ended in order; `left`: we went first; else a system's code, or `closed` where there is none. */
  outcome: string;
  /** What came and was not sent. */
  wrong?: string;
}

export interface End {
  readonly seen: Promise<EndSeen>;
  /** Bytes so far, both ways. */
  readonly moved: number;
  /** Whether the peer has ended in order. */
  readonly hasEnded: boolean;
  /** Goes away without a word. */
  leave(): void;
}

export interface EndOptions {
  part: Part;
  /** Bytes that are to come. */
  expected: number;
  /** Names what is sent and what is to come. */
  sends: string;
  expects: string;
  /** It sends when the peer has ended. */
  isSecond: boolean;
  vanish?: StreamPlan['vanish'];
  onFirstByte?: () => void;
}

/** Plays one end on a paused socket (allowHalfOpen); the socket is closed when `seen` resolves. */
export function playEnd(socket: Socket, options: EndOptions): End {
  const { part, expected, isSecond, vanish } = options;
  const outgoing = keystream(options.sends);
  const incoming = keystream(options.expects);
  let sent = 0;
  let received = 0;
  let hasEnded = false;
  let outcome: string | undefined;
  let wrong: string | undefined;
  let hasIdled = part.idleMs === 0;
  let pause: NodeJS.Timeout | undefined;
  let idle: NodeJS.Timeout | undefined;

  const leave = (by: 'reset' | 'close' = 'close') => {
    outcome = 'left';
    // A Unix socket has no reset.
    if (by === 'reset' && socket.remotePort !== undefined) socket.resetAndDestroy();
    else socket.destroy();
  };
  /** Whether it has gone. */
  const vanishes = () => {
    if (vanish && !socket.destroyed && sent + received >= vanish.after) leave(vanish.by);
    return socket.destroyed;
  };
  const send = () => {
    if (vanishes() || socket.writableEnded) return;
    while (sent < part.bytes) {
      if (!hasIdled && sent * 2 >= part.bytes) {
        hasIdled = true;
        idle = setTimeout(send, part.idleMs);
        return;
      }
      const piece = outgoing(Math.min(pieceBytes, part.bytes - sent));
      sent += piece.length;
      const takesMore = socket.write(piece);
      if (vanishes()) return;
      if (!takesMore) return void socket.once('drain', send);
    }
    socket.end();
  };
  socket.on('data', (data: Buffer) => {
    if (received === 0) options.onFirstByte?.();
    const right = incoming(data.length);
    if (received + data.length > expected) wrong ??= `${received + data.length} bytes of ${expected}`;
    else if (!right.equals(data)) wrong ??= `other bytes between ${received} and ${received + data.length}`;
    received += data.length;
    if (vanishes()) return;
    if (part.readsEveryMs > 0) {
      socket.pause();
      pause = setTimeout(() => socket.resume(), part.readsEveryMs);
    }
  });
  const { localPort, remotePort } = socket;
  socket.on('end', () => {
    hasEnded = true;
    outcome ??= received < expected && wasReset(localPort, remotePort) ? 'ECONNRESET' : 'end';
    // Too early: what it has still to say has no use.
    if (received < expected) socket.destroy();
    else if (isSecond) send();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // An error behind the end is one of sending.
    if (outcome === undefined || outcome === 'end') outcome = error.code ?? error.message;
  });
  const seen = new Promise<EndSeen>((resolve) => {
    socket.once('close', () => {
      clearTimeout(pause);
      clearTimeout(idle);
      resolve({ sent, received, outcome: outcome ?? 'closed', ...(wrong !== undefined && { wrong }) });
    });
  });
  if (!isSecond) send();
  socket.resume();
  return {
    seen,
    get moved() {
      return sent + received;
    },
    get hasEnded() {
      return hasEnded;
    },
    leave: () => leave(),
  };
}

/**
 * Whether what Node has told as the end of a TCP connection was a reset: libuv tells an end where a reset comes right behind
 * the last bytes (uv__stream_io, POLLHUP after a read that wasn't full). The kernel keeps a connection that was ended in
 * order: half closed, or for a minute in TIME_WAIT.
 */
function wasReset(localPort: number | undefined, remotePort: number | undefined): boolean {
  if (localPort === undefined || remotePort === undefined) return false;
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');
  const ends = new RegExp(`^ *\\d+: [0-9A-F]+:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} `, 'm');
  return !['tcp', 'tcp6'].some((name) => ends.test(readFileSync(`/proc/net/${name}`, 'latin1')));
}
