// The only place that joins two streams: a TCP connection on this machine and an SSH channel.
import type { Socket } from 'node:net';
import type { SshChannel } from './channel.js';

/** How long a client may still talk to a channel that is gone, in milliseconds, before its connection is closed. */
const lingerMs = 1000;

/** Up to that a copy is cheaper than several pieces, in bytes. */
const mostCopied = 16 * 1024;
const smallBytes = 1024;
const mostSmall = 256;

export interface Joined {
  /** Resets the client, so that it can't take what it got for the whole, and closes the channel. */
  cut(): void;
}

/**
 * Joins a paused socket (allowHalfOpen) and a fresh channel: all bytes both ways in order, half-close both ways
 * (RFC 4254 section 5.3), and no more in memory than the channel's window and what one read brings. `onClosed` is called once
 * when both ends are closed.
 */
export function join(socket: Socket, channel: SshChannel, onClosed: () => void): Joined {
  let socketClosed = false;
  let remoteEnded = false;
  let linger: NodeJS.Timeout | undefined;
  const settle = () => {
    if (socketClosed && channel.isClosed) onClosed();
  };

  // To the server.
  const toChannel = (data: Buffer) => {
    if (!channel.write(data)) socket.pause();
  };
  socket.on('data', toChannel);
  socket.on('end', () => channel.end());
  // A proxy's client may have ended behind its request: a socket that is paused with nothing to read says so all the same.
  if (socket.readableEnded) channel.end();

  // From the server. What one read of the connection brings is one write.
  let pieces: Buffer[] = [];
  let bytes = 0;
  /** How many of the last pieces are small. */
  let small = 0;
  const writing: number[] = [];
  const onWritten = () => channel.consumed(writing.shift()!);
  const merge = (count: number) => {
    pieces.push(Buffer.concat(pieces.splice(-count)));
    small = 0;
  };
  const flush = () => {
    if (bytes === 0) return;
    if (bytes <= mostCopied && pieces.length > 1) merge(pieces.length);
    const all = pieces;
    writing.push(bytes);
    pieces = [];
    bytes = 0;
    small = 0;
    if (all.length === 1) socket.write(all[0]!, onWritten);
    else {
      socket.cork();
      const last = all.pop()!;
      for (const piece of all) socket.write(piece);
      socket.write(last, onWritten);
      socket.uncork();
    }
  };
  socket.on('drain', flush);
  channel.read({
    data(piece) {
      // Nobody hears it, but its end is still to come.
      if (socketClosed) return channel.consumed(piece.length);
      if (bytes === 0 && !socket.writableNeedDrain) process.nextTick(flush);
      pieces.push(piece);
      bytes += piece.length;
      small = piece.length < smallBytes ? small + 1 : 0;
      // Each costs more to keep than it has bytes.
      if (small === mostSmall) merge(small);
    },
    end() {
      remoteEnded = true;
      flush();
      socket.end();
    },
    drain: () => socket.resume(),
    closed() {
      settle();
      if (socketClosed) return;
      // Nobody hears the client any more. What it was told shall reach it: a close with unread bytes would be a reset, so
      // they are read and dropped until it has understood.
      socket.removeListener('data', toChannel);
      socket.on('data', () => {});
      socket.resume();
      socket.end(() => {
        if (socketClosed) return;
        if (socket.readableEnded) socket.destroy();
        else linger = setTimeout(() => socket.destroy(), lingerMs);
      });
      socket.once('end', () => {
        if (socket.writableFinished) socket.destroy();
      });
    },
  });

  // The client went away without a word, or was cut: what is still under way has no reader.
  socket.on('error', () => {});
  socket.on('close', (hadError) => {
    socketClosed = true;
    clearTimeout(linger);
    settle();
    if (!channel.isClosed && (hadError || !socket.readableEnded || !remoteEnded)) channel.close();
  });
  socket.resume();

  return {
    cut() {
      reset(socket);
      channel.close();
    },
  };
}

/** Closes at once, so that the peer can't take what it got for the whole. A Unix socket has no reset: it ends. */
export function reset(socket: Socket): void {
  // With the shutdown under way the system refuses the reset, and Node would lose the socket without closing it.
  if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0) {
    socket.destroy();
    return;
  }
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy();
  }
}
