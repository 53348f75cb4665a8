// One buffer for all that a connection reads: to have a new one for each read costs more than to decrypt what is in it.
import type { OnReadOpts, Socket } from 'node:net';

/** As much as the system has, mostly, in bytes. */
const bufferBytes = 256 * 1024;

/** Whether a socket's listeners are done with what they are given when they return. */
const areLent = new WeakMap<object, () => boolean>();

export interface ReadBuffer {
  /** Of the socket's options. */
  onread: OnReadOpts;
  /** Has the socket tell of what it reads by `data`, as others do. */
  serve(socket: Socket): void;
}

/** What is read is handed on as a copy, unless the listeners don't keep it (`lendReads`). */
export function createReadBuffer(): ReadBuffer {
  let socket: Socket | undefined;
  return {
    onread: {
      buffer: Buffer.allocUnsafeSlow(bufferBytes),
      callback(length, buffer) {
        const read = (buffer as Buffer).subarray(0, length);
        socket!.emit('data', areLent.get(socket!)?.() ? read : Buffer.from(read));
        return true;
      },
    },
    serve: (its) => (socket = its),
  };
}

/** The listeners of the socket's `data` keep nothing of what they get while it is so; asked at each read. */
export function lendReads(socket: object, areReadsLent: () => boolean): void {
  areLent.set(socket, areReadsLent);
}
