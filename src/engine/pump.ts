// The only place that joins two streams: a TCP connection on this machine and an SSH channel.
import type { Socket } from 'node:net';
import type { SshChannel } from './sshClient.js';

/** How long a client may still talk to a channel that is gone, in milliseconds, before its connection is closed. */
const lingerMs = 1000;

export interface Joined {
  /** Resets the client, so that it can't take what it got for the whole, and closes the channel. */
  cut(): void;
}

/**
 * Joins a paused socket (allowHalfOpen) and a fresh channel: all bytes both ways in order, half-close both ways
 * (RFC 4254 section 5.3), and no more in memory than the streams' high-water marks. `hold` asks before reading on
 * whether the SSH connection takes more; `onClosed` is called once when both ends are closed.
 */
export function join(
  socket: Socket,
  channel: SshChannel,
  hold: (resume: () => void) => boolean,
  onClosed: () => void,
): Joined {
  let socketClosed = false;
  let channelClosed = false;
  let remoteEnded = false;
  let linger: NodeJS.Timeout | undefined;
  const settle = () => {
    if (socketClosed && channelClosed) onClosed();
  };

  // To the server.
  const readOn = () => socket.resume();
  const toChannel = (data: Buffer) => {
    if (!channel.write(data)) {
      socket.pause();
      channel.once('drain', readOn);
    } else if (hold(readOn)) socket.pause();
  };
  socket.on('data', toChannel);
  socket.on('end', () => channel.end());
  // A proxy's client may have ended behind its request: a socket that is paused with nothing to read says so all the same.
  if (socket.readableEnded) channel.end();
  channel.on('finish', () => {
    if (remoteEnded) channel.close();
  });

  // From the server.
  const toSocket = (data: Buffer) => {
    if (!socket.write(data)) {
      channel.pause();
      socket.once('drain', () => channel.resume());
    }
  };
  channel.on('data', toSocket);
  const onRemoteEnd = () => {
    remoteEnded = true;
    if (channel.writableFinished) channel.close();
    socket.end();
  };
  channel.on('end', onRemoteEnd);
  if (channel.readableEnded) onRemoteEnd();
  channel.on('error', () => reset(socket));
  channel.on('close', () => {
    channelClosed = true;
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
  });

  // The client went away without a word, or was cut: what is still under way has no reader.
  socket.on('error', () => {});
  socket.on('close', (hadError) => {
    socketClosed = true;
    clearTimeout(linger);
    settle();
    if (channelClosed) return;
    if (hadError || !socket.readableEnded || !remoteEnded) channel.close();
    // Read to its end, or it would never close: nobody drains a socket that is gone.
    channel.removeListener('data', toSocket);
    channel.on('data', () => {});
    channel.resume();
  });
  // Either may have been read before, and paused.
  socket.resume();
  channel.resume();

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

/** Closes a channel that nobody listens to: what it still has is read and dropped, or it would never close. */
export function discard(channel: SshChannel): void {
  channel.on('data', () => {});
  channel.resume();
  channel.close();
}
