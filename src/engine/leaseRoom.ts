// Where windows of one user meet: a folder of sockets that nobody else gets into; on Windows named pipes.
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../core/failure.js';
import { longestPath } from './listener.js';

export interface LeaseRoom {
  /** What names a lease for all windows; it tells nothing of the identity. */
  keyOf(identity: string): string;
  /** Listens as one more that wants a lease, in the sight of all; undefined where one has it and no other can stand beside. */
  enter(key: string, onSocket: (socket: Socket) => void): Promise<Contender | undefined>;
  /** The names of all that want or have a lease, and of those that have died meanwhile; the first goes before the others. */
  contenders(key: string): readonly string[];
  connectTo(name: string): Socket;
  /** Takes away what one has left behind that is dead, as `connectTo` has shown. */
  bury(name: string): void;
  /** How long whoever has a name need not prove to be a window, in milliseconds. */
  unprovenMs: number;
  /** What who listens to another one says first, a line that was never said before; undefined where only windows listen. */
  challenge(): string | undefined;
  /** What goes over the wire for a text, without a line's end, and back; undefined for what no window has sealed for this place. */
  seal(text: string, place: Place): string;
  unseal(line: string, place: Place): string | undefined;
}

/** Where a line belongs: it is nothing but noise to who listens elsewhere, or later. */
export interface Place {
  /** Of the lease. */
  key: string;
  challenge: string | undefined;
  /** How many lines went before. */
  count: number;
}

export interface Contender {
  /** No other has it, nor ever had. */
  name: string;
  /** From now on nobody finds it. Those who are connected are their owner's. */
  leave(): void;
}

/** More windows than anybody opens. */
const mostWindows = 256;
/** How long a socket may be in the making, in milliseconds. */
const makingMs = 60_000;
/** Systems clean up temporary files that nobody has touched for days. */
const touchMs = 6 * 3_600_000;
/** What nobody has touched for so long can't be asked, and is dead: its machine has been started again since. */
const forgottenMs = 7 * 24 * 3_600_000;

/** The code of a connect that says that nobody listens there any more, and nobody ever will. */
export function isDead(code: string): boolean {
  return code === 'ECONNREFUSED' || code === 'ENOTSOCK';
}

/**
 * Throws an Error with a reason for a person where windows can't meet. `network` names the machine and its network: others may
 * have the same folder, whose tunnels are no use here and whose sockets don't answer.
 */
export function openLeaseRoom(folder: string, network: string = networkHere()): LeaseRoom {
  return process.platform === 'win32' ? openPipeRoom(folder) : openSocketRoom(folder, network);
}

/** Of this machine since it started, and of this container where it has a network of its own. */
function networkHere(): string {
  if (process.platform !== 'linux') return '';
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')}${readlinkSync('/proc/self/ns/net')}`;
  } catch {
    return hostname();
  }
}

interface Machine {
  uid: number;
  /** As os.tmpdir() has it. */
  temporary: string;
  /** Bytes of a socket's path. */
  longest: number;
}

const nameLength = 28;

/** The folder where the sockets go: the one that is asked for, or a stand-in of the same user where its path is too long. */
export function socketFolder(folder: string, { uid, temporary, longest }: Machine): string {
  const standIn = `ssh-tunnels-${uid}-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}`;
  const found = [folder, join(temporary, standIn), join('/tmp', standIn)].find(
    (one) => Buffer.byteLength(join(one, 'x'.repeat(nameLength))) <= longest,
  );
  if (found === undefined) throw new Error(`${folder} is too long a path for sockets`);
  return found;
}

/** Makes a folder that only its user gets into, or makes sure that it is one. */
function claimFolder(folder: string, uid: number | undefined): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory()) throw new Error(`${folder} is no folder`);
  if (uid === undefined) return;
  if (found.uid !== uid) throw new Error(`${folder} belongs to another user`);
  if ((found.mode & 0o077) !== 0)
    throw new Error(`others may enter ${folder} (its mode is ${(found.mode & 0o777).toString(8)})`);
}

/**
 * A lease is a socket for each that wants it, under a name that is never used again: one that is dead can be taken away by
 * anybody at any time, and nobody takes away another one by mistake. A name is seen only while its socket listens.
 */
function openSocketRoom(asked: string, network: string): LeaseRoom {
  const uid = process.getuid!();
  const folder = socketFolder(asked, { uid, temporary: tmpdir(), longest: longestPath });
  const pathOf = (name: string) => join(folder, name);
  const here = hashOf(network, 4);
  /** Of this window: among those that want several leases the same one goes first, so that they stay together. */
  const window = randomBytes(3).toString('hex');
  let made = 0;
  const bury = (name: string) => rmSync(pathOf(name), { force: true });
  claimFolder(folder, uid);
  sweep(folder, here, bury);
  return {
    keyOf: (identity) => `${here}${hashOf(identity, 12)}`,
    async enter(key, onSocket) {
      claimFolder(folder, uid);
      const own = `${window}${(made++).toString(36).padStart(4, '0')}`;
      const name = `${key}.${own}`;
      const making = pathOf(`.${here}.${own}`);
      const server = await listen(making, onSocket);
      try {
        renameSync(making, pathOf(name));
      } catch (error) {
        server.close();
        throw error;
      }
      const touching = setInterval(() => {
        try {
          utimesSync(pathOf(name), new Date(), new Date());
        } catch {
          // Whoever has taken it away wanted to.
        }
      }, touchMs);
      touching.unref();
      return {
        name,
        leave() {
          clearInterval(touching);
          bury(name);
          server.close();
        },
      };
    },
    contenders: (key) =>
      readdirSync(folder)
        .filter((name) => name.startsWith(`${key}.`))
        .sort(),
    connectTo: (name) => connect({ path: pathOf(name) }),
    bury,
    unprovenMs: Infinity,
    challenge: () => undefined,
    seal: (text) => text,
    unseal: (line) => line,
  };
}

function hashOf(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}

/** Takes away what windows have left that were killed: their tunnels may never be wanted again. */
function sweep(folder: string, here: string, bury: (name: string) => void): void {
  for (const name of readdirSync(folder)) {
    const [, network] = /^([0-9a-f]{4})(?:[0-9a-f]{12})?\.[0-9a-z]{10,}$/.exec(name.replace(/^\./, '')) ?? [];
    if (network === undefined) continue;
    const found = lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (!found?.isSocket()) continue;
    const age = Date.now() - found.mtimeMs;
    if (age > forgottenMs && network !== here) bury(name);
    // One that is being made does not listen yet; one of another machine seems dead from here.
    if (network !== here || (name.startsWith('.') && age < makingMs)) continue;
    const socket = connect({ path: join(folder, name) });
    socket.on('error', (error) => isDead(errorCode(error)) && bury(name));
    socket.on('connect', () => socket.destroy());
  }
}

function listen(path: string, onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.maxConnections = mostWindows;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.removeListener('error', reject);
      server.on('error', () => {});
      resolve(server);
    });
  });
}

/**
 * A pipe has one server, and its name goes with it: whoever can make it has the lease. Everybody on the machine can list and
 * read pipes, and make one of a name that is free, so what goes over them is sealed with a secret of the user's profile, for
 * the one who listens and for once.
 */
function openPipeRoom(folder: string): LeaseRoom {
  claimFolder(folder, undefined);
  const secret = sharedSecret(folder);
  return pipeRoom(secret, pipePath);
}

/** Of the key of a lease; 256 characters at most. */
export function pipePath(key: string): string {
  return `\\\\.\\pipe\\ssh-tunnels-${key}`;
}

/** `pathOf`: where the pipe of a lease is. `unprovenMs`: see LeaseRoom. */
export function pipeRoom(secret: Buffer, pathOf: (key: string) => string, unprovenMs = 10_000): LeaseRoom {
  const { seal, unseal } = sealing(secret);
  return {
    keyOf: (identity) => createHmac('sha256', secret).update(identity).digest('hex').slice(0, 32),
    async enter(key, onSocket) {
      try {
        const server = await listen(pathOf(key), onSocket);
        return { name: key, leave: () => void server.close() };
      } catch (error) {
        if (errorCode(error) === 'EADDRINUSE') return undefined;
        throw error;
      }
    },
    contenders: (key) => [key],
    connectTo: (name) => connect({ path: pathOf(name) }),
    bury() {},
    unprovenMs,
    challenge: () => randomBytes(16).toString('hex'),
    seal,
    unseal,
  };
}

/** Made by the first window, the same for all: hexadecimal text of 32 bytes in a file. */
export function sharedSecret(folder: string): Buffer {
  const path = join(folder, 'secret');
  const mine = join(folder, `.${randomBytes(8).toString('hex')}`);
  writeFileSync(mine, randomBytes(32).toString('hex'), { flag: 'wx', mode: 0o600 });
  try {
    linkSync(mine, path);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  } finally {
    unlinkSync(mine);
  }
  const secret = Buffer.from(readFileSync(path, 'utf8'), 'hex');
  if (secret.length !== 32) throw new Error(`${path} holds no secret`);
  return secret;
}

/** Lines that only those who have the secret can read or make, and that mean nothing in another place. */
function sealing(secret: Buffer): Pick<LeaseRoom, 'seal' | 'unseal'> {
  const key = createHash('sha256').update('seal').update(secret).digest();
  const printPlace = ({ key, challenge, count }: Place) => Buffer.from(JSON.stringify([key, challenge, count]));
  return {
    seal(text, place) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(printPlace(place));
      return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
        'base64',
      );
    },
    unseal(line, place) {
      const sealed = Buffer.from(line, 'base64');
      if (sealed.length < 28) return undefined;
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
          .setAAD(printPlace(place))
          .setAuthTag(sealed.subarray(-16));
        return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString('utf8');
      } catch {
        return undefined;
      }
    },
  };
}
