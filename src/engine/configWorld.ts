// What ssh_config depends on of this machine: files, programs, networks and names.
import { execFile, spawn } from 'node:child_process';
import { lookup, resolveCname } from 'node:dns/promises';
import { open, readdir, stat } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { errorCode } from '../core/failure.js';
import type { LocalUser } from '../core/sshConfig.js';
import type { ConfigText, ConfigWorld } from '../core/sshConfigFile.js';

/** ms that a `Match exec` may take. */
const longestRun = 10_000;
/** Bytes of a file; more is no ssh_config. */
const longestFile = 4_194_304;

/**
 * This machine as ssh_config sees it. Files are read once, so that many hosts can be resolved with the same world. With
 * `programs` the commands of `Match exec` are run, until `abort`.
 */
export function createConfigWorld(user: LocalUser, programs?: { abort: AbortSignal }): ConfigWorld {
  const texts = new Map<string, Promise<ConfigText>>();
  const globs = new Map<string, Promise<readonly string[]>>();
  const once = <V>(known: Map<string, Promise<V>>, key: string, make: () => Promise<V>): Promise<V> => {
    const value = known.get(key) ?? make();
    known.set(key, value);
    return value;
  };
  return {
    user,
    read: (path) => once(texts, path, () => readConfigText(path)),
    glob: (pattern) => once(globs, pattern, () => expandGlob(pattern, user.windows)),
    ...(programs && { run: (command: string) => runShell(command, user, programs.abort) }),
    addresses: () => Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
    lookUp: lookUpName,
  };
}

async function readConfigText(path: string): Promise<ConfigText> {
  try {
    const handle = await open(path, 'r');
    try {
      const stats = await handle.stat();
      const isOpen =
        process.platform !== 'win32' &&
        ((stats.mode & 0o022) !== 0 || (stats.uid !== 0 && stats.uid !== process.getuid?.()));
      // A folder or device has no lines.
      if (!stats.isFile() && !stats.isFIFO()) return { kind: 'text', text: '', isOpen };
      if (stats.size > longestFile) return { kind: 'unreadable', reason: 'File too large' };
      return { kind: 'text', text: await handle.readFile('utf8'), isOpen };
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return { kind: 'missing' };
    if (code === 'EISDIR') return { kind: 'text', text: '', isOpen: false };
    return { kind: 'unreadable', reason: reasons[code] ?? code };
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
  for (const part of parts.slice(1)) {
    if (!isMagic(part)) {
      found = found.map((path) => `${path}/${part}`);
      continue;
    }
    const folders = await Promise.all(
      found.map(async (path) => {
        const names = await readdir(path || '/').catch(() => []);
        return names.filter((name) => matchesGlob(name, part, windows)).map((name) => `${path}/${name}`);
      }),
    );
    found = folders.flat();
  }
  const there = await Promise.all(found.map((path) => stat(path).then(() => true, (error: unknown) => errorCode(error) === 'EACCES'))); // prettier-ignore
  return found.filter((_, index) => there[index]).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
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
