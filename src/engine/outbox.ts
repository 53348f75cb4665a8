// What goes to a server: all packets of a turn of the event loop leave in one write, since each costs more than a packet does.
import type { Duplex } from 'node:stream';

export interface Outbox {
  write(bytes: Buffer): void;
  flush(): void;
  /** Whether it has enough to send for now; the socket says when it has drained. */
  readonly isFull: boolean;
  /** Whether there is anything that this turn will send. */
  readonly isDue: boolean;
  /** How often it has sent. */
  readonly sends: number;
  /** Bytes that have left, as far as the socket knows. */
  readonly taken: number;
}

/** What a turn may bring before others have to wait, in bytes. */
const mostBytes = 512 * 1024;
/** Up to that a copy is cheaper than many pieces, in bytes. */
const mostCopied = 16 * 1024;

/** `onFlushed` is called when all that there was has been given to the socket. */
export function createOutbox(socket: Duplex, onFlushed: () => void): Outbox {
  let pieces: Buffer[] = [];
  let bytes = 0;
  let isDue = false;
  let sends = 0;
  let sent = 0;

  const flush = () => {
    isDue = false;
    if (bytes === 0) return;
    const all = pieces;
    const length = bytes;
    pieces = [];
    bytes = 0;
    if (!socket.writable) return;
    sends++;
    sent += length;
    if (all.length === 1) socket.write(all[0]);
    else if (length <= mostCopied) socket.write(Buffer.concat(all, length));
    else {
      socket.cork();
      for (const piece of all) socket.write(piece);
      socket.uncork();
    }
    onFlushed();
  };
  return {
    write(piece) {
      pieces.push(piece);
      bytes += piece.length;
      // Never at once: a packet may come in pieces.
      if (!isDue) {
        isDue = true;
        setImmediate(flush);
      }
    },
    flush,
    get isFull() {
      return bytes >= mostBytes || socket.writableNeedDrain;
    },
    get isDue() {
      return isDue;
    },
    get sends() {
      return sends;
    },
    get taken() {
      return sent - socket.writableLength;
    },
  };
}
