// Ports that look well in a picture or a sample.
import { createServer, type AddressInfo, type Server } from 'node:net';

/** Listens at that port of 127.0.0.1 or, where it is taken, at any, and gives which. */
export async function listenNear(server: Server, wanted: number): Promise<number> {
  for (const port of [wanted, 0]) {
    const bound = await new Promise<boolean>((done) => {
      server.once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => done(true));
    });
    if (bound) return (server.address() as AddressInfo).port;
  }
  throw new Error('No port to listen on is left.');
}

/** Only a suggestion: whoever binds it later may find it taken. */
export async function portNear(wanted: number): Promise<number> {
  const server = createServer();
  const port = await listenNear(server, wanted);
  await new Promise((closed) => server.close(closed));
  return port;
}
