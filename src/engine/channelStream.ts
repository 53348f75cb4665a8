// A channel as a stream: for what is no forward's data, and for the socket of the next hop.
import { Duplex } from 'node:stream';
import type { SshChannel } from './channel.js';

/** Destroying it closes the channel, and itself at once; it closes by itself when all was read of one that is closed. */
export interface ChannelStream extends Duplex {
  /** Gives the channel back, with what was not read. The stream says nothing any more. */
  release(): SshChannel;
}

export function channelStream(channel: SshChannel): ChannelStream {
  let unread = 0;
  let written: (() => void) | undefined;
  const goOn = () => {
    const done = written;
    written = undefined;
    done?.();
  };
  const stream = new Duplex({
    // What one read of a busy connection brings.
    highWaterMark: 256 * 1024,
    autoDestroy: false,
    read() {
      const bytes = unread;
      unread = 0;
      if (bytes > 0) channel.consumed(bytes);
    },
    write(data: Buffer, _encoding, done) {
      if (channel.write(data)) done();
      else written = done;
    },
    final(done) {
      channel.end();
      done();
    },
    destroy(error, done) {
      channel.close();
      done(error);
    },
  });
  stream.on('error', () => {});
  channel.read({
    data(bytes) {
      if (stream.destroyed) return;
      unread += bytes.length;
      if (!stream.push(bytes)) return;
      channel.consumed(unread);
      unread = 0;
    },
    end() {
      if (!stream.destroyed) stream.push(null);
    },
    drain: goOn,
    closed() {
      goOn();
      if (stream.readableEnded) stream.destroy();
      else stream.once('end', () => stream.destroy());
    },
  });
  return Object.assign(stream, {
    release() {
      const rest = stream.read() as Buffer | null;
      stream.removeAllListeners();
      stream.on('error', () => {});
      if (rest) {
        // The next reader says the same of all of it.
        channel.consumed(unread - rest.length);
        channel.unread(rest);
      }
      return channel;
    },
  });
}
