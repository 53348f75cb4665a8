// Streams of which every byte is known beforehand: a service, and clients that say what became of theirs.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { bytes, connectTo, digest, startTarget, type Place, type Target } from './targets.js';
import { onTrueEnd } from './trueEnd.js';

export interface CheckedService extends Target {
  /** Names of uploads that came whole. */
  whole: ReadonlySet<string>;
  /** Names of uploads that were ended in order, and weren't whole. */
  truncated: ReadonlySet<string>;
}

/**
 * `whole`: it ended in order, with every byte. `cut`: by a reset, or nobody took it. `truncated`: it ended in order before
 * its time, so that the client takes a part for the whole. What came was right, or it is no end but an error.
 */
export type StreamEnd = { kind: 'whole' } | { kind: 'cut'; code: string } | { kind: 'truncated' };

/**
 * Takes one line, `down name length` or `up name length`. Sends so many bytes and ends; or takes bytes up to the client's
 * end and says `whole`.
 */
export async function startCheckedService(at?: Place): Promise<CheckedService> {
  const whole = new Set<string>();
  const truncated = new Set<string>();
  const serve = (socket: Socket) => {
    let head = Buffer.alloc(0);
    const onHead = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\n');
      if (end < 0) return;
      socket.removeListener('data', onHead);
      const [way, name, length] = head.subarray(0, end).toString().split(' ');
      const expected = bytes(Number(length), name!);
      if (way === 'down') socket.resume().end(expected);
      else take(name!, expected, head.subarray(end + 1));
    };
    const take = (name: string, expected: Buffer, first: Buffer) => {
      const parts = [first];
      socket.on('data', (chunk: Buffer) => parts.push(chunk));
      onTrueEnd(socket, (isInOrder) => {
        if (!isInOrder) return;
        const isWhole = digest(Buffer.concat(parts)) === digest(expected);
        (isWhole ? whole : truncated).add(name);
        if (isWhole) socket.end('whole');
        else socket.destroy();
      });
    };
    socket.on('data', onHead);
    socket.once('end', () => {
      // Whoever connected was cut before it said anything.
      if (socket.listeners('data').includes(onHead)) socket.destroy();
    });
  };
  return Object.assign(await startTarget(serve, at), { whole, truncated });
}

/** Reads a stream of the service, and compares each byte as it comes. */
export async function download(place: Place, name: string, length: number): Promise<StreamEnd> {
  const expected = bytes(length, name);
  let received = 0;
  const end = await talk(place, `down ${name} ${length}\n`, undefined, (chunk) => {
    const right = expected.subarray(received, received + chunk.length);
    assert.ok(chunk.equals(right), `${name}: wrong bytes behind the first ${received} of ${length}`);
    received += chunk.length;
  });
  if (end !== 'end') return { kind: 'cut', code: end };
  return { kind: received === length ? 'whole' : 'truncated' };
}

/** Sends a stream to the service, and waits for its word that it has the whole. */
export async function upload(place: Place, name: string, length: number): Promise<StreamEnd> {
  let said = '';
  const end = await talk(place, `up ${name} ${length}\n`, bytes(length, name), (chunk) => (said += chunk.toString()));
  if (end !== 'end') return { kind: 'cut', code: end };
  return { kind: said === 'whole' ? 'whole' : 'truncated' };
}

/** How it ended: `end`, or an error's code. */
async function talk(
  place: Place,
  line: string,
  data: Buffer | undefined,
  onData: (chunk: Buffer) => void,
): Promise<string> {
  let socket: Socket;
  try {
    socket = await connectTo(place);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return new Promise((resolve, reject) => {
    let end: string | undefined;
    socket.on('data', (chunk: Buffer) => {
      try {
        onData(chunk);
      } catch (error) {
        socket.destroy();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    if (data) socket.once('end', () => (end ??= 'end'));
    else
      onTrueEnd(socket, (isInOrder) => {
        if (!isInOrder) return;
        end = 'end';
        socket.end();
      });
    socket.on('error', (error: NodeJS.ErrnoException) => (end = error.code ?? error.message));
    socket.once('close', () => resolve(end ?? 'closed'));
    socket.write(line);
    if (data) socket.end(data);
  });
}
