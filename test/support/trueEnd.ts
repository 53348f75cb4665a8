import type { Socket } from 'node:net';

/** What is used of Node's own handle of a TCP socket. */
interface Handle {
  getpeername?(into: object): number;
  readStart(): number;
}

/**
 * Calls back once the peer has ended, and tells whether that was in order. libuv takes a reset for an end where it follows
 * bytes that weren't read yet (uv__stream_io: a partial read with POLLHUP): read once more, the socket tells the truth. For a
 * socket whose own side is still open; its errors are heard by others, too.
 */
export function onTrueEnd(socket: Socket, then: (isInOrder: boolean) => void): void {
  socket.once('end', () => {
    const handle = (socket as unknown as { _handle: Handle | null })._handle;
    // After an end in order it is still connected the other way.
    if (!handle?.getpeername || handle.getpeername({}) === 0) return then(true);
    const onError = () => tell(false);
    const timer = setTimeout(() => tell(true), 200);
    const tell = (isInOrder: boolean) => {
      clearTimeout(timer);
      socket.removeListener('error', onError);
      then(isInOrder);
    };
    socket.once('error', onError);
    handle.readStart();
  });
}
