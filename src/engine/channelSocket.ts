// A channel of one SSH connection as the socket of the next, which is what a jump host is for.
import type { Duplex } from 'node:stream';
import type { SshChannel } from './sshClient.js';
import { streamSocket } from './streamSocket.js';

/**
 * A socket for a session that runs inside another one. Destroying it closes the channel, and closes the socket at once:
 * ssh2's own channels are open until the server in between has answered.
 */
export function channelSocket(channel: SshChannel): Duplex {
  const socket = streamSocket(channel, channel, () => {
    // Read to its end, or it would never close.
    channel.resume();
    channel.close();
  });
  channel.on('end', () => socket.push(null));
  channel.on('close', () => {
    // What came before the end is still to be read: a server's words before it hangs up.
    if (socket.readableEnded) socket.destroy();
    else socket.once('end', () => socket.destroy());
  });
  return socket;
}
