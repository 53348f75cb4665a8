// What ssh_config depends on of this machine: files, programs, networks and names.
import { execFile, spawn } from 'node:child_process';
import { lookup, resolveCname } from 'node:dns/promises';
import type { BigIntStats } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { errorCode } from '../core/failure.js';
import type { LocalUser } from '../core/sshConfig.js';
import { ConfigError, type ConfigText, type ConfigWorld } from '../core/sshConfigFile.js';

/** ms that a `Match exec` may take. */
const longestRun = 10_000;
/** Bytes of a file; more is no ssh_config. */
const longestFile = 4_194_304;
/** Folders that one Include may have opened; a wildcard in each part of a path would be the whole disk. */
const mostFolders = 2048;
/** ms for which tunnels may wait while a file is read. */
const longestStall = 8;
/** ms: of FAT's times, which are the coarsest. */
const coarsestTick = 2000;

/** A world whose files stay as they were read first. */
export interface ReadWorld extends ConfigWorld {
  /** Whether reading all of it again would give the same. */
  isCurrent(): Promise<boolean>;
}

/**
 * This machine as ssh_config sees it. Files are read once, so that many hosts can be resolved with the same world. With
 * `programs` the commands of `Match exec` are run, until `abort`.
 */
export function createConfigWorld(user: LocalUser, programs?: { abort: AbortSignal }): ReadWorld {
  const texts = new Map<string, Promise<{ found: ConfigText; stamp: string | undefined }>>();
  const globs = new Map<string, Promise<readonly string[]>>();
  let addresses: readonly string[] | undefined;
  let resumed = performance.now();
  const once = <V>(known: Map<string, Promise<V>>, key: string, make: () => Promise<V>): Promise<V> => {
    const value = known.get(key) ?? make();
    known.set(key, value);
    return value;
  };
  const isSame = (some: readonly string[], others: readonly string[]) => some.join('\0') === others.join('\0');
  return {
    user,
    read: async (path) => (await once(texts, path, () => readConfigText(path))).found,
    glob: (pattern) => once(globs, pattern, () => expandGlob(pattern, user.windows)),
    ...(programs && { run: (command: string) => runShell(command, user, programs.abort) }),
    addresses: () => (addresses ??= ownAddresses()),
    lookUp: lookUpName,
    pause: () => {
      if (performance.now() - resumed < longestStall) return undefined;
      return new Promise((resolve) => setImmediate(resolve)).then(() => void (resumed = performance.now()));
    },
    isCurrent: async () => {
      if (addresses && !isSame(addresses, ownAddresses())) return false;
      for (const [path, text] of texts) {
        const { stamp } = await text;
        if (stamp === undefined || stamp !== (await stampOf(path))) return false;
      }
      for (const [pattern, found] of globs)
        if (!isSame(await found, await expandGlob(pattern, user.windows))) return false;
      return true;
    },
  };
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}

/** What changes with a file, or why it can't be told. */
function stampOf(path: string): Promise<string> {
  return stat(path, { bigint: true }).then(printStamp, errorCode);
}

function printStamp({ dev, ino, size, mode, uid, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mode, uid, mtimeNs, ctimeNs].join();
}

/** The stamp is undefined for a file so new that it might change once more within the same tick of its clock. */
async function readConfigText(path: string): Promise<{ found: ConfigText; stamp: string | undefined }> {
  try {
    const handle = await open(path, 'r');
    try {
      const stats = await handle.stat({ bigint: true });
      const isNew = Date.now() - Number(stats.mtimeNs / 1_000_000n) < coarsestTick;
      const stamp = isNew ? undefined : printStamp(stats);
      const isOpen =
        process.platform !== 'win32' &&
        ((stats.mode & 0o022n) !== 0n || (stats.uid !== 0n && Number(stats.uid) !== process.getuid?.()));
      // A folder or device has no lines.
      if (!stats.isFile() && !stats.isFIFO()) return { found: { kind: 'text', text: '', isOpen }, stamp };
      if (stats.size > longestFile) return { found: { kind: 'unreadable', reason: 'File too large' }, stamp };
      return { found: { kind: 'text', text: await handle.readFile('utf8'), isOpen }, stamp };
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return { found: { kind: 'missing' }, stamp: code };
    if (code === 'EISDIR') return { found: { kind: 'text', text: '', isOpen: false }, stamp: undefined };
    return { found: { kind: 'unreadable', reason: reasons[code] ?? code }, stamp: code };
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  ENOTDIR: 'Not a directory',
  ELOOP: 'Too many levels of symbolic links',
};

/** glob(7): `*`, `?` and `[...]` in every part of an absolute path, in the order of their bytes. */
async function expandGlob(pattern: string, windows: boolean): Promise<readonly string[]> {
  const separator = windows ? /[\\/]/ : /\//;
  const isMagic = (part: string) => /[*?[]/.test(part) || (!windows && part.includes('\\'));
  const parts = pattern.split(separator);
  let found = [parts[0]!];
  let opened = 0;
  for (const part of parts.slice(1)) {
    if (!isMagic(part)) {
      found = found.map((path) => `${path}/${part}`);
      continue;
    }
    const next: string[] = [];
    for (const path of found) {
      if (++opened > mostFolders) throw new ConfigError(`Include ${pattern} looks into too many folders`);
      const names = await readdir(path || '/').catch(() => []);
      for (const name of names) if (matchesGlob(name, part, windows)) next.push(`${path}/${name}`);
    }
    found = next;
  }
  // As in glob(3): what can't be looked at is no match.
  const there: string[] = [];
  for (let at = 0; at < found.length; at += 64) {
    const paths = found.slice(at, at + 64);
    const isThere = await Promise.all(paths.map((path) => stat(path).then(() => true, () => false))); // prettier-ignore
    there.push(...paths.filter((_, index) => isThere[index]));
  }
  return there.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** What a wildcard stands for has no dot in front. Time grows with the product of both lengths. */
function matchesGlob(name: string, part: string, windows: boolean): boolean {
  if (name.startsWith('.') && /^[*?[]/.test(part)) return false;
  const marks = globMarks(part, windows);
  let at = 0;
  let next = 0;
  let star = -1;
  let resume = 0;
  while (at < name.length) {
    const mark = marks[next];
    if (mark === '*') {
      star = next++;
      resume = at;
    } else if (mark?.(name[at]!)) {
      at++;
      next++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++resume;
    } else return false;
  }
  return marks.slice(next).every((mark) => mark === '*');
}

type GlobMark = '*' | ((character: string) => boolean);

function globMarks(part: string, windows: boolean): GlobMark[] {
  const marks: GlobMark[] = [];
  for (let at = 0; at < part.length; at++) {
    const isNegated = /^[!^]$/.test(part[at + 1] ?? '');
    const close = part[at] === '[' ? part.indexOf(']', at + (isNegated ? 3 : 2)) : -1;
    if (part[at] === '*') marks.push('*');
    else if (part[at] === '?') marks.push(() => true);
    else if (close > 0) {
      const set = [...part.slice(at + (isNegated ? 2 : 1), close).matchAll(/([^])-([^])|([^])/g)];
      marks.push(
        (character) =>
          set.some(([, from, to, one]) =>
            one === undefined ? character >= from! && character <= to! : character === one,
          ) !== isNegated,
      );
      at = close;
    } else {
      if (part[at] === '\\' && !windows && at + 1 < part.length) at++;
      const literal = part[at]!;
      marks.push((character) => character === literal);
    }
  }
  return marks;
}

function runShell(command: string, { env, windows }: LocalUser, abort: AbortSignal): Promise<boolean> {
  const options = { timeout: longestRun, windowsHide: true, signal: abort };
  return new Promise((resolve) => {
    if (windows) return void execFile(env['ComSpec'] ?? 'cmd.exe', ['/d', '/s', '/c', command], options, (error) => resolve(!error)); // prettier-ignore
    const child = spawn(env['SHELL'] || '/bin/sh', ['-c', command], { ...options, stdio: 'ignore' }); // prettier-ignore
    child.on('error', () => resolve(false));
    child.on('exit', (code) => resolve(code === 0));
  });
}

async function lookUpName(name: string): Promise<{ canonical?: string } | undefined> {
  const found = await lookup(name).catch(() => undefined);
  if (!found) return undefined;
  let canonical = '';
  // A chain of CNAMEs that leads round has no end.
  for (let next = [name], steps = 0; next[0] !== undefined && steps < 16; steps++) {
    if (steps > 0) canonical = next[0];
    next = await resolveCname(next[0]).catch(() => []);
  }
  return canonical === '' ? {} : { canonical };
}
