// Who listens on a port, read from what the system's own programs print. All of it is untrusted text.
import { unseen } from './printable.js';

export interface PortOwner {
  /** Printable, 60 characters at most. */
  program: string;
  pid: number;
}

/** A TCP socket that listens. */
export interface Listening<T = PortOwner> {
  address: string;
  port: number;
  /** Empty where they can't be seen, as another user's. */
  owners: readonly T[];
}

/**
 * The owner in the output of `ss -H -ltnp`: of this very address, else of a wildcard that covers it. Undefined where ss
 * shows nobody: another user's, or no such listener.
 */
export function ownerFromSs(output: string, address: string, port: number): PortOwner | undefined {
  return choose(readSs(output), address, port);
}

/** What listens by the output of `ss -ltnp`, with or without its heading. */
export function readSs(output: string): Listening[] {
  // A program's name may hold a line's end.
  return output.split(/\n(?=LISTEN\s)/).flatMap((record) => {
    const [, address, port] = /^LISTEN\s+\d+\s+\d+\s+(\S+):(\d+)\s/.exec(record) ?? [];
    return address === undefined ? [] : [{ address, port: Number(port), owners: ownersInSs(record) }];
  });
}

/** The owners at the end of a record of ss. */
export function ownersInSs(record: string): PortOwner[] {
  // What follows is looked at, too: a name may look like the end of an entry.
  const users = record.matchAll(/\("(.{0,64}?)",pid=(\d+),fd=\d+\)(?=,\("|\)\s*$)/gsu);
  return [...users].flatMap(([, name, pid]) => portOwner(name, pid));
}

/**
 * The owner in the field output of `lsof -nP -iTCP:PORT -sTCP:LISTEN -F pctn`, as `ownerFromSs`. Without the type field a
 * wildcard counts for both families.
 */
export function ownerFromLsof(output: string, address: string, port: number): PortOwner | undefined {
  return choose(readLsof(output), address, port);
}

/** What listens by such an output. */
export function readLsof(output: string): Listening[] {
  return readLsofNames(output).flatMap(({ type, name, owners }) => {
    const local = splitPort(name);
    if (!local) return [];
    const wildcard = type === 'IPv4' ? '0.0.0.0' : type === 'IPv6' ? '::' : '*';
    return [{ ...local, address: local.address === '*' ? wildcard : local.address, owners }];
  });
}

/** The names of files in lsof's field output. */
export function readLsofNames(output: string): { type?: string; name: string; owners: readonly PortOwner[] }[] {
  const names: { type?: string; name: string; owners: readonly PortOwner[] }[] = [];
  let pid: string | undefined;
  let program: string | undefined;
  let type: string | undefined;
  for (const line of output.split('\n')) {
    const value = line.slice(1);
    switch (line.charAt(0)) {
      case 'p':
        pid = value;
        program = type = undefined;
        break;
      case 'c':
        program = unescapeLsof(value);
        break;
      case 't':
        type = value;
        break;
      case 'n':
        names.push({ name: value, owners: portOwner(program, pid), ...(type !== undefined && { type }) });
    }
  }
  return names;
}

/** The owner's pid in the output of Windows' `netstat -ano`, in any language; with `-p TCP` or `-p TCPv6` as well. */
export function ownerFromNetstat(output: string, address: string, port: number): number | undefined {
  const listening: Listening<{ pid: number }>[] = [];
  for (const line of output.split('\n')) {
    const [, own = '', foreign = '', ...rest] = line.trim().split(/\s+/);
    // The state's word is translated; that nobody is at the other end is not.
    if (!['0.0.0.0:0', '[::]:0'].includes(foreign)) continue;
    const local = splitPort(own);
    const pid = readPid(rest.at(-1));
    if (local) listening.push({ ...local, owners: pid === undefined ? [] : [{ pid }] });
  }
  return choose(listening, address, port)?.pid;
}

/** The program's name in the output of Windows' `tasklist /FI "PID eq N" /FO CSV /NH`. */
export function programFromTasklist(output: string, pid: number): string | undefined {
  for (const line of output.split('\n')) {
    const [, name, id] = /^"([^"]*)","(\d+)"/.exec(line.trim()) ?? [];
    if (readPid(id) === pid) return portOwner(name, id)[0]?.program;
  }
  return undefined;
}

function choose<T extends { pid: number }>(
  listening: readonly Listening<T>[],
  address: string,
  port: number,
): T | undefined {
  const asked = normalise(address);
  const ranked = listening
    .filter((one) => one.port === port)
    .map((one) => ({ ...one, rank: coverRank(normalise(one.address), asked) }));
  const best = Math.min(...ranked.map(({ rank }) => rank));
  if (best === Infinity) return undefined;
  return mainOwner(ranked.filter(({ rank }) => rank === best).flatMap((one) => one.owners));
}

/** Of programs that share a socket the first is the parent; 1 is the system's own, which listens for others. */
export function mainOwner<T extends { pid: number }>(owners: readonly T[]): T | undefined {
  return owners.toSorted((a, b) => Number(a.pid === 1) - Number(b.pid === 1) || a.pid - b.pid)[0];
}

/** How surely a listener on one address blocks another: 0 is the surest, Infinity: not at all. */
function coverRank(listening: string, asked: string): number {
  const sameFamily = listening.includes(':') === asked.includes(':');
  if (listening === asked) return 0;
  if (sameFamily && isWildcard(listening)) return 1;
  if (listening === '*') return 2;
  // May serve both families; not all programs tell.
  if (listening === '::') return 3;
  return sameFamily && isWildcard(asked) ? 4 : Infinity;
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** One spelling of each address: no brackets, no zone, an IPv4-mapped one as IPv4. */
export function normalise(address: string): string {
  const bare = address.replace(/%[^\]]*/, '').replace(/^\[(.*)\]$/, '$1');
  const url = `http://[${bare}]`;
  if (!URL.canParse(url)) return bare;
  const { hostname } = new URL(url);
  const [, high, low] = /^\[::ffff:([\da-f]+):([\da-f]+)\]$/.exec(hostname) ?? [];
  if (high === undefined || low === undefined) return hostname.slice(1, -1);
  return [high, low].flatMap((hex) => [parseInt(hex, 16) >> 8, parseInt(hex, 16) & 0xff]).join('.');
}

function splitPort(text: string): { address: string; port: number } | undefined {
  const [, address, port] = /^(\S+):(\d+)$/.exec(text) ?? [];
  return address === undefined ? undefined : { address, port: Number(port) };
}

/** lsof writes what isn't printable ASCII in the C locale as \xNN, \n and so on, and a backslash twice. */
function unescapeLsof(text: string): string {
  return text.replace(/((?:\\x[\da-f]{2})+)|\\([\\bfnrt])/g, (_, bytes?: string, sign?: string) => {
    if (bytes !== undefined) return Buffer.from(bytes.replaceAll('\\x', ''), 'hex').toString();
    return sign === '\\' ? sign : '';
  });
}

/** None when the name or the pid doesn't tell anything. */
export function portOwner(name: string | undefined, pidText: string | undefined): PortOwner[] {
  const pid = readPid(pidText);
  const seen = (name ?? '').replace(new RegExp(unseen, 'gu'), '').trim();
  const program = Array.from(seen).slice(0, 60).join('');
  if (pid === undefined || program === '') return [];
  // Newer versions of Node name their main thread (nodejs/node#56416), which on Linux is the process's name.
  return [{ program: /^(node-)?MainThread$/.test(program) ? 'node' : program, pid }];
}

function readPid(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
}
