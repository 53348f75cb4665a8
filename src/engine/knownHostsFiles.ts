// known_hosts on this machine: read as a whole, and changed so that nothing of it is lost.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FailureError, errorCode } from '../core/failure.js';
import { parseKnownHosts, type KnownHost } from '../core/knownHosts.js';
import { parseRevokedKeys, type RevokedKeys } from '../core/keyRevocationList.js';

/** The entries of all files that exist. One that is there and can't be read is a failure: its host might be in it. */
export async function readKnownHosts(files: readonly string[]): Promise<KnownHost[]> {
  const entries: KnownHost[] = [];
  for (const file of files) {
    try {
      entries.push(...parseKnownHosts(await readFile(file, 'utf8'), file));
    } catch (error) {
      const code = errorCode(error);
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw new FailureError({ kind: 'knownHostsUnreadable', file, code });
    }
  }
  return entries;
}

/** What RevokedHostKeys names. Throws a FailureError, also when the file does not exist: who is revoked is not known then. */
export async function readRevokedKeys(file: string): Promise<RevokedKeys> {
  const data = await readFile(file).catch((error: unknown) => {
    throw new FailureError({ kind: 'revokedKeysUnreadable', file, code: errorCode(error) });
  });
  const revoked = parseRevokedKeys(data);
  if (!revoked) throw new FailureError({ kind: 'revokedKeysUnreadable', file, code: 'INVALID' });
  return revoked;
}

const isWindows = process.platform === 'win32';

/** Of each file, what is under way: two connections to a new host change one file at the same time. */
const changes = new Map<string, Promise<void>>();

function inTurn(file: string, change: () => Promise<void>): Promise<void> {
  const done = (changes.get(file) ?? Promise.resolve()).catch(() => {}).then(change);
  const settled = done.finally(() => {
    if (changes.get(file) === settled) changes.delete(file);
  });
  changes.set(file, settled);
  return settled;
}

/**
 * Appends lines in one write, to the end of a line; makes the file (0600) and its folder (0700) if need be. `lines` may be
 * made when nobody else here changes the file. Rejects with the system's error, and leaves no half of a line behind then,
 * unless another program has appended to the file at the same time.
 */
export function appendLines(file: string, lines: string | (() => Promise<string>)): Promise<void> {
  return inTurn(file, async () => {
    const text = typeof lines === 'string' ? lines : await lines();
    if (text !== '') await append(file, Buffer.from(text));
  });
}

async function append(file: string, lines: Buffer): Promise<void> {
  // Another program may put a new file in the place of the one that was open, and have read it before.
  for (let tries = 0; tries < 3; tries++) {
    if (await appendOnce(file, lines)) return;
    if ((await readFile(file)).includes(lines)) return;
  }
}

/** Whether the file is still there that it was appended to. */
async function appendOnce(file: string, lines: Buffer): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size, ino } = await handle.stat();
    const data = (await endsInLine(handle, size)) ? lines : Buffer.concat([Buffer.from('\n'), lines]);
    let written = 0;
    try {
      while (written < data.length) written += (await handle.write(data, written)).bytesWritten;
    } catch (error) {
      // Only where all that is new is ours: another program may have appended a line meanwhile.
      if (written > 0 && (await handle.stat()).size === size + written) await handle.truncate(size);
      throw error;
    }
    return (await stat(file)).ino === ino;
  } finally {
    await handle.close();
  }
}

async function endsInLine(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 0 || buffer[0] === 0x0a;
}

/**
 * Replaces a file's text by what `change` makes of it, at once: a new file beside it takes its place, with its mode and
 * owner; where the path is a symlink, at its end. Rejects with the system's error, or when the file was changed by another
 * meanwhile; the old file is as it was then.
 */
export function rewriteFile(file: string, change: (text: string) => string): Promise<void> {
  return inTurn(file, async () => {
    const target = await realpath(file);
    const old = await open(target, 'r');
    let beside: string | undefined;
    try {
      const { mode, uid, gid } = await old.stat();
      // A byte for a character: what isn't UTF-8 stays as it is.
      const before = await old.readFile('latin1');
      // Windows replaces no file that is open, not even by its own reader.
      if (isWindows) await old.close();
      const after = change(before);
      if (after === before) return;
      beside = `${target}.${randomBytes(6).toString('hex')}`;
      const fresh = await open(beside, 'wx', 0o600);
      try {
        await fresh.writeFile(after, 'latin1');
        // Not allowed to everybody, and only needed where root changes the file of another.
        await fresh.chown(uid, gid).catch(() => {});
        await fresh.chmod(mode & 0o7777);
        await fresh.sync();
      } finally {
        await fresh.close();
      }
      if ((await readFile(target, 'latin1')) !== before) throw Object.assign(new Error(), { code: 'EBUSY' });
      await rename(beside, target);
      beside = undefined;
      // Another program may have appended to the old one after it was compared.
      const late = isWindows ? Buffer.alloc(0) : await old.readFile();
      if (late.length > 0) await append(target, late);
    } finally {
      await old.close();
      if (beside !== undefined) await rm(beside, { force: true });
    }
  });
}
