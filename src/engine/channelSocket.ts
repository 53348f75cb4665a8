// A channel of one SSH connection as the socket of the next, which is what a jump host is for.
import { Duplex } from 'node:stream';
import type { SshChannel } from './sshClient.js';

/**
 * A socket for a session that runs inside another one. Destroying it closes the channel, and closes the socket at once:
 * ssh2's own channels are open until the server in between has answered.
 */
export function channelSocket(channel: SshChannel): Duplex {
  const take = (data: Buffer) => {
    if (!socket.push(data)) channel.pause();
  };
  const socket = new Duplex({
    read: () => void channel.resume(),
    write: (data: Buffer, _encoding, done) => void channel.write(data, done),
    final: (done) => void channel.end(() => done()),
    destroy(error, done) {
      // Read to its end, or it would never close.
      channel.removeListener('data', take);
      channel.resume();
      channel.close();
      done(error);
    },
  });
  socket.on('error', () => {});
  channel.on('data', take);
  channel.on('end', () => socket.push(null));
  channel.on('close', () => {
    // What came before the end is still to be read: a server's words before it hangs up.
    if (socket.readableEnded) socket.destroy();
    else socket.once('end', () => socket.destroy());
  });
  return socket;
}
