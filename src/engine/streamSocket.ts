// Two streams of something else as the socket of a session.
import { Duplex, type Readable, type Writable } from 'node:stream';

/**
 * A socket that gives what `input` gives and hands what it is told to `output`, each as fast as the other side takes it.
 * What `output` can't take is dropped, and said by the end of the socket, which is the maker's: push null when no more
 * comes. `close` ends both when the socket is destroyed; the socket is closed when it resolves.
 */
export function streamSocket(input: Readable, output: Writable, close: () => Promise<void> | void): Duplex {
  const take = (data: Buffer) => {
    if (!socket.push(data)) input.pause();
  };
  const socket = new Duplex({
    read: () => void input.resume(),
    write: (data: Buffer, _encoding, done) => void output.write(data, () => done()),
    final: (done) => void output.end(() => done()),
    destroy(error, done) {
      input.removeListener('data', take);
      void Promise.resolve(close()).then(() => done(error));
    },
  });
  socket.on('error', () => {});
  input.on('data', take);
  return socket;
}
