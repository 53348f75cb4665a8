// Where windows of one user meet: a folder of sockets that nobody else gets into; on Windows named pipes.
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
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
  /** What goes over the wire for a text, without a line's end, and back; undefined for what no window has sealed. */
  seal(text: string): string;
  unseal(line: string): string | undefined;
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

/** The code of a connect that says that nobody listens there any more, and nobody ever will. */
export function isDead(code: string): boolean {
  return code === 'ECONNREFUSED' || code === 'ENOTSOCK';
}

/** Throws an Error with a reason for a person where windows can't meet. */
export function openLeaseRoom(folder: string): LeaseRoom {
  return process.platform === 'win32' ? openPipeRoom(folder) : openSocketRoom(folder);
}

interface Machine {
  uid: number;
  /** As os.tmpdir() has it. */
  temporary: string;
  /** Bytes of a socket's path. */
  longest: number;
}

const nameLength = 24;

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
function openSocketRoom(asked: string): LeaseRoom {
  const uid = process.getuid!();
  const folder = socketFolder(asked, { uid, temporary: tmpdir(), longest: longestPath });
  const pathOf = (name: string) => join(folder, name);
  /** Of this window: among those that want several leases the same one goes first, so that they stay together. */
  const window = randomBytes(3).toString('hex');
  let made = 0;
  const bury = (name: string) => rmSync(pathOf(name), { force: true });
  claimFolder(folder, uid);
  sweep(folder, bury);
  return {
    keyOf: (identity) => createHash('sha256').update(identity).digest('hex').slice(0, 12),
    async enter(key, onSocket) {
      claimFolder(folder, uid);
      const own = `${window}${(made++).toString(36).padStart(4, '0')}`;
      const name = `${key}.${own}`;
      const server = await listen(pathOf(`.${own}`), onSocket);
      try {
        renameSync(pathOf(`.${own}`), pathOf(name));
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
    seal: (text) => text,
    unseal: (line) => line,
  };
}

/** Takes away what windows have left that were killed: their tunnels may never be wanted again. */
function sweep(folder: string, bury: (name: string) => void): void {
  for (const name of readdirSync(folder)) {
    if (!/^([0-9a-f]{12})?\.[0-9a-z]{10,}$/.test(name)) continue;
    const found = lstatSync(join(folder, name), { throwIfNoEntry: false });
    // One that is being made does not listen yet.
    if (!found?.isSocket() || (name.startsWith('.') && Date.now() - found.mtimeMs < makingMs)) continue;
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
 * read pipes, so what goes over them is sealed with a secret of the user's profile.
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

/** `pathOf`: where the pipe of a lease is. */
export function pipeRoom(secret: Buffer, pathOf: (key: string) => string): LeaseRoom {
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

/** Lines that only those who have the secret can read or make. */
function sealing(secret: Buffer): Pick<LeaseRoom, 'seal' | 'unseal'> {
  const key = createHash('sha256').update('seal').update(secret).digest();
  return {
    seal(text) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
        'base64',
      );
    },
    unseal(line) {
      const sealed = Buffer.from(line, 'base64');
      if (sealed.length < 28) return undefined;
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAuthTag(sealed.subarray(-16));
        return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString('utf8');
      } catch {
        return undefined;
      }
    },
  };
}
