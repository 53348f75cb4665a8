// Listening on this machine. Ports are acquired, never probed: a port is free when it could be bound.
import { lookup } from 'node:dns/promises';
import { createServer, isIP, type AddressInfo, type Server, type Socket } from 'node:net';
import type { BoundAddress } from '../core/engine.js';
import { errorCode, FailureError, type Failure } from '../core/failure.js';

export interface Listener {
  bound: readonly BoundAddress[];
  /** Addresses that were asked for and could not be bound, when at least one could. */
  unbound: readonly Failure[];
  /** Stops listening; resolves when the ports are free. Connections that were accepted are their owner's. */
  close(): Promise<void>;
}

interface Candidate {
  address: string;
  /** A machine without this family or address is no surprise to the user. */
  optional: boolean;
}

/** What a bind address means (ssh(1), -L): the addresses to bind. Rejects with a FailureError for an unknown name. */
async function candidates(bind: string | undefined, port: number): Promise<Candidate[]> {
  if (bind === undefined || bind.toLowerCase() === 'localhost')
    return [
      { address: '127.0.0.1', optional: false },
      { address: '::1', optional: true },
    ];
  if (bind === '' || bind === '*')
    return [
      { address: '0.0.0.0', optional: false },
      { address: '::', optional: true },
    ];
  if (isIP(bind)) return [{ address: bind, optional: false }];
  try {
    const found = await lookup(bind, { all: true });
    return found.map(({ address }) => ({ address, optional: false }));
  } catch {
    throw new FailureError({ kind: 'addressUnavailable', address: bind, port });
  }
}

/**
 * Binds every address that `bind` means and hands each accepted connection on: paused, half-open allowed, no-delay.
 * One address is enough, as in ssh; the others are told in `unbound`. Throws the FailureError of the first if none is.
 */
export async function listen(
  bind: string | undefined,
  port: number,
  onSocket: (socket: Socket) => void,
  log: (text: string) => void,
): Promise<Listener> {
  const servers: Server[] = [];
  const bound: BoundAddress[] = [];
  const unbound: Failure[] = [];
  const close = async () => {
    await Promise.all(servers.map((server) => new Promise<void>((closed) => server.close(() => closed()))));
  };
  for (const { address, optional } of await candidates(bind, port)) {
    try {
      const server = await bindOne(address, port, onSocket, log);
      servers.push(server);
      const { family, address: real, port: realPort } = server.address() as AddressInfo;
      bound.push({ address: real, family: family === 'IPv6' ? 6 : 4, port: realPort });
    } catch (error) {
      const code = errorCode(error);
      const missing = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL'].includes(code);
      if (!(missing && optional)) unbound.push(listenFailure(address, port, code));
    }
  }
  if (bound.length === 0)
    throw new FailureError(unbound[0] ?? { kind: 'addressUnavailable', address: bind ?? 'localhost', port });
  return { bound, unbound, close };
}

function bindOne(
  address: string,
  port: number,
  onSocket: (socket: Socket) => void,
  log: (text: string) => void,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // ipv6Only: the wildcards are bound one by one, so that each can be told.
    server.listen({ host: address, port, ipv6Only: true, exclusive: true, backlog: 4096 }, () => {
      server.removeListener('error', reject);
      server.on('error', (error) => log(`Listening on ${address}:${port}: ${errorCode(error)}`));
      resolve(server);
    });
  });
}

function listenFailure(address: string, port: number, code: string): Failure {
  switch (code) {
    case 'EADDRINUSE':
      return { kind: 'portInUse', address, port };
    case 'EACCES':
      return { kind: 'portForbidden', address, port };
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'EINVAL':
      return { kind: 'addressUnavailable', address, port };
    default:
      return { kind: 'listenFailed', address, port, code };
  }
}
