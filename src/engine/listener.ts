// Listening on this machine. Ports are acquired, never probed: a port is free when it could be bound.
import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
} from 'node:fs';
import { lookup } from 'node:dns/promises';
import { connect, createServer, isIP, type AddressInfo, type ListenOptions, type Server, type Socket } from 'node:net';
import { devNull } from 'node:os';
import { dirname, join } from 'node:path';
import type { BoundAddress, LogLevel } from '../core/engine.js';
import { errorCode, FailureError, type Failure } from '../core/failure.js';
import { findPortOwner } from './portOwner.js';
import { reset } from './pump.js';

export interface Listener {
  bound: readonly BoundAddress[];
  /** Addresses that were asked for and could not be bound, when at least one could. */
  unbound: readonly Failure[];
  /** Stops listening; resolves when the ports are free. Connections that were accepted are their owner's. */
  close(): Promise<void>;
}

/** What is done with a listener's connections: handed on paused, half-open allowed, no-delay set. */
export interface ListenHandlers {
  onSocket(socket: Socket): void;
  /** `level` is `debug` unless it is said. */
  log(text: string, level?: LogLevel): void;
}

export interface Candidate {
  address: string;
  /** A machine without this family or address is no surprise to the user. */
  optional: boolean;
}

/**
 * What a bind address means (ssh(1), -L): the addresses to bind. `family` is AddressFamily's. Rejects with a
 * FailureError for a name that nothing is known of.
 */
export async function resolveBind(
  bind: string | undefined,
  port: number,
  { gatewayPorts, family }: { gatewayPorts: boolean; family: 0 | 4 | 6 },
): Promise<readonly Candidate[]> {
  const both = (four: string, six: string): Candidate[] => [
    { address: four, optional: false },
    { address: six, optional: family !== 6 },
  ];
  const ofFamily = (all: readonly Candidate[]) => all.filter(({ address }) => family === 0 || isIP(address) === family);
  if (bind === '' || bind === '*' || (bind === undefined && gatewayPorts)) return ofFamily(both('0.0.0.0', '::'));
  if (bind === undefined || bind.toLowerCase() === 'localhost') return ofFamily(both('127.0.0.1', '::1'));
  const found = isIP(bind) ? [{ address: bind }] : await lookup(bind, { all: true }).catch(() => []);
  const all = ofFamily(found.map(({ address }) => ({ address, optional: false })));
  if (all.length === 0) throw new FailureError({ kind: 'addressUnavailable', address: bind, port });
  // A hosts file may name an address twice.
  return all.filter(({ address }, index) => all.findIndex((other) => other.address === address) === index);
}

/** How far above its own port a forward looks for a free one. */
const portsTried = 100;

/**
 * Binds the addresses: one is enough, as in ssh; the others are told in `unbound`. Port 0 is any free port, the same for
 * all addresses; `nextFree` takes the first port from `port` upwards that all can have, and `port` itself where there is
 * none. Throws the FailureError of the first address if none could be bound.
 */
export async function listenTcp(
  candidates: readonly Candidate[],
  port: number,
  nextFree: boolean,
  handlers: ListenHandlers,
): Promise<Listener> {
  const last = port === 0 ? portsTried : nextFree ? Math.min(portsTried, 65535 - port) : -1;
  for (let tried = 0; tried <= last; tried++) {
    const here = port === 0 ? 0 : port + tried;
    const attempt = await bindAll(candidates, here, handlers);
    // Windows keeps ranges of ports for itself: one that was not asked for is no better for being forbidden.
    const isTaken = ({ kind }: Failure) => kind === 'portInUse' || (tried > 0 && kind === 'portForbidden');
    if (!attempt.unbound.some(isTaken)) return settled(attempt, candidates, here);
    await attempt.close();
  }
  return settled(await bindAll(candidates, port, handlers), candidates, port);
}

async function settled(attempt: Listener, candidates: readonly Candidate[], port: number): Promise<Listener> {
  const unbound = await Promise.all(attempt.unbound.map(withOwner));
  if (attempt.bound.length > 0) return { ...attempt, unbound };
  const address = candidates[0]?.address ?? 'localhost';
  throw new FailureError(unbound[0] ?? { kind: 'addressUnavailable', address, port });
}

async function withOwner(failure: Failure): Promise<Failure> {
  if (failure.kind !== 'portInUse') return failure;
  const owner = await findPortOwner(failure.address, failure.port);
  return owner ? { ...failure, owner } : failure;
}

async function bindAll(candidates: readonly Candidate[], port: number, handlers: ListenHandlers): Promise<Listener> {
  const servers: Server[] = [];
  const bound: BoundAddress[] = [];
  const unbound: Failure[] = [];
  let real = port;
  for (const { address, optional } of candidates) {
    try {
      // ipv6Only: the wildcards are bound one by one, so that each can be told.
      const server = await bindOne({ host: address, port: real, ipv6Only: true }, `${address}:${real}`, handlers);
      servers.push(server);
      const { address: realAddress, port: realPort } = server.address() as AddressInfo;
      real = realPort;
      bound.push({ kind: 'tcp', address: realAddress, port: realPort });
    } catch (error) {
      const code = errorCode(error);
      const missing = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL'].includes(code);
      if (!(missing && optional)) unbound.push(listenFailure(address, real, code));
    }
  }
  return { bound, unbound, close: () => closeAll(servers) };
}

/** The ports are free at once; what `close` would call back for is the end of the last connection. */
function closeAll(servers: readonly Server[]): Promise<void> {
  for (const server of servers) server.close();
  return Promise.resolve();
}

function bindOne(where: ListenOptions, name: string, { onSocket, log }: ListenHandlers): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {});
    const shortage = fileShortage();
    if (shortage === undefined) return onSocket(socket);
    reset(socket);
    if (isNewShortage()) log(`${name}: clients are refused while no more files can be opened (${shortage})`, 'warning');
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, exclusive: true, backlog: 4096 }, () => {
      server.removeListener('error', reject);
      server.on('error', (error) => log(`Listening on ${name}: ${errorCode(error)}`));
      resolve(server);
    });
  });
}

/**
 * The error of opening one more file, if there is one. Node can't stop accepting when none is left: libuv then takes each
 * client that waits and closes it, as if that were the whole answer, and no event tells (uv__emfile_trick in its
 * src/unix/stream.c). So the last file is kept free: the client who has it is reset, those that are connected go on, and
 * new ones are served when some of them have left.
 */
function fileShortage(): string | undefined {
  // Sockets are no files there.
  if (process.platform === 'win32') return undefined;
  const now = performance.now();
  if (certain.files > 0 && now < certain.until) {
    certain.files--;
    return undefined;
  }
  try {
    closeSync(openSync(devNull, 'r'));
    certain = { files: Math.min(Math.floor(filesLeft() / 2), mostCertain), until: now + certainMs };
    return undefined;
  } catch (error) {
    const code = errorCode(error);
    return code === 'EMFILE' || code === 'ENFILE' ? code : undefined;
  }
}

/**
 * How many clients will find a file without a look, and until when, by performance.now(): the look costs as much as the
 * listening itself, and others of this process want files, too.
 */
let certain = { files: 0, until: 0 };
let mostFiles: number | undefined;
const fewFiles = 64;
const mostCertain = 256;
const certainMs = 50;

/** Files that can be opened still; 0 for a few, and where the system does not tell. */
function filesLeft(): number {
  if (process.platform !== 'linux') return 0;
  try {
    mostFiles ??= Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
    const left = mostFiles - readdirSync('/proc/self/fd').length;
    return left > fewFiles ? left : 0;
  } catch {
    return 0;
  }
}

/** When a client was last refused, in ms since 1970: the process has one limit for all its listeners. */
let lastShortage = -Infinity;

/** Whether this is not the one of a minute ago, which was told. */
function isNewShortage(): boolean {
  const since = Date.now() - lastShortage;
  lastShortage = Date.now();
  return since > 60_000;
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

/** Bytes of sun_path without its end mark: Node would cut a longer one short, and listen or connect elsewhere. */
export const longestPath = process.platform === 'darwin' ? 103 : 107;

/** Throws a FailureError for a path that is too long once it is expanded. */
export function socketPath(path: string): string {
  if (process.platform === 'win32') return path.replaceAll('/', '\\');
  if (Buffer.byteLength(path) > longestPath)
    throw new FailureError({ kind: 'socketFailed', path, code: 'ENAMETOOLONG' });
  return path;
}

/**
 * Listens on a Unix socket, on Windows a named pipe. `mask` is StreamLocalBindMask; with `unlink` a socket that stands
 * there is replaced. The file goes when it is closed, if it is still ours. Throws a FailureError.
 */
export async function listenUnix(
  path: string,
  { mask, unlink }: { mask: number; unlink: boolean },
  handlers: ListenHandlers,
): Promise<Listener> {
  const at = socketPath(path);
  const bound: BoundAddress[] = [{ kind: 'unix', path }];
  try {
    if (process.platform === 'win32') {
      const server = await bindOne({ path: at }, path, handlers);
      return { bound, unbound: [], close: () => closeAll([server]) };
    }
    if (unlink && !isFree(at) && !isSocket(at)) throw new FailureError({ kind: 'socketBlocked', path });
    // Made where nobody else gets in, and shown when its mode is right: a worker thread has no umask of its own.
    const folder = mkdtempSync(join(dirname(at), '.'));
    const hidden = join(folder, 's');
    let server: Server | undefined;
    try {
      server = await bindOne({ path: socketPath(hidden) }, path, handlers);
      chmodSync(hidden, 0o777 & ~mask);
      const { dev, ino } = lstatSync(hidden);
      if (unlink) renameSync(hidden, at);
      else linkSync(hidden, at);
      const listening = server;
      const close = async () => {
        // Somebody may have put another one in its place.
        const now = lstatSync(at, { throwIfNoEntry: false });
        if (now?.dev === dev && now.ino === ino) unlinkSync(at);
        await closeAll([listening]);
      };
      return { bound, unbound: [], close };
    } catch (error) {
      if (server) await closeAll([server]);
      throw error;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } catch (error) {
    if (error instanceof FailureError) throw error;
    const code = errorCode(error);
    if (code === 'EADDRINUSE' || code === 'EEXIST') throw new FailureError({ kind: await standing(at), path });
    throw new FailureError({ kind: 'socketFailed', path, code });
  }
}

function isFree(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) === undefined;
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

/** What keeps a path from being listened on. */
function standing(path: string): Promise<'socketInUse' | 'socketStale' | 'socketBlocked'> {
  if (process.platform !== 'win32' && !isSocket(path)) return Promise.resolve('socketBlocked');
  return new Promise((resolve) => {
    const client = connect({ path });
    client.on('error', (error) => resolve(errorCode(error) === 'ECONNREFUSED' ? 'socketStale' : 'socketInUse'));
    client.on('connect', () => {
      resolve('socketInUse');
      client.destroy();
    });
  });
}
