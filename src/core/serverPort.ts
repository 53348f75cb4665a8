// What listens on a server, as its own `ss`, `lsof` or `netstat` tells it. All of it is untrusted text.
import { parseSpec, printSpec, type ForwardSpec } from './forwardSpec.js';
import {
  mainOwner,
  normalise,
  ownersInSs,
  portOwner,
  readLsof,
  readLsofNames,
  readSs,
  type PortOwner,
} from './portOwner.js';
import { unseen } from './printable.js';

/** `program` and `pid` are there where the login may see them. */
export type ServerPort =
  | {
      kind: 'tcp';
      /** as bound: `127.0.0.1`, `::1`; `*`: all interfaces */ address: string;
      port: number;
      program?: string;
      pid?: number;
    }
  | { kind: 'unix'; path: string; program?: string; pid?: number };

export interface ServerPorts {
  /** Which of the server's programs answered; absent: none. */
  tool?: 'ss' | 'lsof' | 'netstat';
  /** TCP, then Unix sockets, last what the SSH server has itself; no two lead to the same target. */
  ports: readonly ServerPort[];
}

/**
 * What to run on the server: the first program that is there answers, each answer below a line with its name. In words
 * that every shell hands on to sh as they are. Where ss is, it tells all; lsof tells a user's own only, and netstat no
 * programs or not all. Busybox's netstat knows no -p; BSD's means something else by it, and says that it lacks a word.
 */
export const serverPortsCommand = `sh -c '${[
  'exec 2>/dev/null',
  'LC_ALL=C PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin; export LC_ALL PATH',
  'say() { printf "= %s\\n%s\\n" "$1" "$2"; }',
  'if o=$(ss -tlnp); then say ss "$o"; say ss-unix "$(ss -xlp)"; exit; fi',
  'o=$(lsof -nP -iTCP -sTCP:LISTEN -F pctn); test -n "$o" && say lsof "$o"',
  'o=$(lsof -nP -U -F pctn); test -n "$o" && say lsof-unix "$o"',
  'o=$( (netstat -lnp || netstat -an) | grep -v -e ESTAB -e _WAIT -e CONNECTED); test -n "$o" && say netstat "$o"',
].join('; ')}'`;

/** Reads what that command printed. */
export function readServerPorts(output: string): ServerPorts {
  const sections = new Map<string, string>();
  for (const [, name, text] of output.matchAll(/^= ([a-z-]+)\n(.*?)(?=^= [a-z-]+\n|$(?![^]))/gms))
    sections.set(name!, sections.get(name!) ?? text!);
  const of = (name: string) => sections.get(name) ?? '';
  const tool = (['ss', 'lsof', 'netstat'] as const).find((name) => sections.has(name));
  const found: Found[] = [
    ...readSs(of('ss')).map(tcp),
    ...readLsof(of('lsof')).map(tcp),
    ...readNetstat(of('netstat')),
    ...readSsUnix(of('ss-unix')),
    ...readLsofUnix(of('lsof-unix')),
  ];
  const ports = tcpPorts(found);
  const own = ports.filter(isSshServer);
  const others = ports.filter((port) => !isSshServer(port)).slice(0, mostPorts);
  return { ...(tool && { tool }), ports: [...others, ...unixPorts(found), ...own.slice(0, mostOwnPorts)] };
}

/** What the pick of one starts: a port leads to the same one here, a socket to any free one. Undefined: it has no name. */
export function forwardOf(found: ServerPort): ForwardSpec | undefined {
  const spec = specOf(found);
  // What can't be written could not be shown, copied or kept either.
  const read = parseSpec(printSpec(spec));
  return read.ok && printSpec(read.spec) === printSpec(spec) ? spec : undefined;
}

function specOf(found: ServerPort): ForwardSpec {
  if (found.kind === 'tcp') {
    const { port } = found;
    return {
      kind: 'local',
      listen: { kind: 'tcp', bind: undefined, port },
      target: { kind: 'tcp', host: isAtLocalhost(found.address) ? 'localhost' : found.address, port },
    };
  }
  const port = Number(/\.s\.PGSQL\.(\d+)$/.exec(found.path)?.[1] ?? 0);
  return {
    kind: 'local',
    listen: { kind: 'tcp', bind: undefined, port: port <= 65535 ? port : 0 },
    target: { kind: 'unix', path: found.path },
  };
}

type Found =
  { kind: 'tcp'; address: string; port: number; owner?: PortOwner } | { kind: 'unix'; path: string; owner?: PortOwner };

function tcp(one: { address: string; port: number; owners: readonly PortOwner[] }): Found {
  return { kind: 'tcp', address: one.address, port: one.port, ...owned(one.owners) };
}

function unix(path: string, owners: readonly PortOwner[]): Found {
  return { kind: 'unix', path, ...owned(owners) };
}

function owned(owners: readonly PortOwner[]): { owner?: PortOwner } {
  const owner = mainOwner(owners);
  return owner ? { owner } : {};
}

/** Stream sockets in the output of `ss -xlp`: their name, an inode, and nobody at the other end. */
function readSsUnix(output: string): Found[] {
  return output.split(/\n(?=u_\w+\s+LISTEN\s)/).flatMap((record) => {
    const [, path] = /^u_str\s+LISTEN\s+\d+\s+\d+\s+(\/\S.*?)\s+\d+\s+\*\s+0(?:\s|$)/.exec(headOf(record)) ?? [];
    return path === undefined ? [] : [unix(path, ownersInSs(record))];
  });
}

function readLsofUnix(output: string): Found[] {
  return readLsofNames(output).flatMap(({ name, owners }) => {
    const [, path, type = 'STREAM', state = 'LISTEN'] =
      /^(\/.*?)(?: type=(\w+))?(?: \((\w+)\))?$/.exec(headOf(name)) ?? [];
    return path === undefined || type !== 'STREAM' || state !== 'LISTEN' ? [] : [unix(path, owners)];
  });
}

/** netstat of Linux, busybox, macOS and the BSDs (a dot before the port), and Windows. */
function readNetstat(output: string): Found[] {
  return output.split('\n').flatMap((whole): Found[] => {
    const line = headOf(whole);
    const [, protocol = '', address, port, owner = ''] =
      /^\s*(tcp\S*)\s+(?:\d+\s+\d+\s+)?(\S+)[.:](\d+)\s+\S+\s+LISTEN(?:ING)?\b\s*(.*)$/i.exec(line) ?? [];
    if (address !== undefined) {
      const wildcard = /4$/.test(protocol) && !/46$/.test(protocol) ? '0.0.0.0' : /tcp6$/.test(protocol) ? '::' : '*';
      return [
        tcp({ address: address === '*' ? wildcard : address, port: Number(port), owners: ownerInNetstat(owner) }),
      ];
    }
    const [, who = '', path] =
      /^unix\s+\d+\s+\[ ACC \]\s+STREAM\s+LISTENING\s+\d+\s+(?:(\d+\/.*?|-)\s+)?(\/.*?)\s*$/.exec(line) ?? [];
    if (path !== undefined) return [unix(path, ownerInNetstat(who))];
    // Of the BSDs' sockets with a name those that have a file and no peer listen.
    const [, inode = '', bound] =
      /^[\da-f]+\s+stream\s+\d+\s+\d+\s+([\da-f]+)\s+0+\s+[\da-f]+\s+[\da-f]+\s+(\/.*?)\s*$/.exec(line) ?? [];
    return bound === undefined || /^0+$/.test(inode) ? [] : [unix(bound, [])];
  });
}

/** A path has 108 bytes at most, and its column is as wide: a line of blanks without end must not be looked at for long. */
function headOf(record: string): string {
  return record.slice(0, 600);
}

/** `700/sshd: /usr/sbin` */
function ownerInNetstat(text: string): PortOwner[] {
  const [, pid, name] = /^(\d+)\/([^:]+)/.exec(text) ?? [];
  return portOwner(name, pid);
}

const mostPorts = 100;
const mostOwnPorts = 20;
const mostSockets = 30;
/** Of each kind that is looked at: no honest server has as many, and another could keep this machine busy. */
const mostFound = 2000;

function tcpPorts(found: readonly Found[]): (ServerPort & { kind: 'tcp' })[] {
  const ports = found
    .flatMap((one) => (one.kind === 'tcp' ? [one] : []))
    .slice(0, mostFound)
    .map((one) => ({ ...one, address: normalise(one.address) }))
    // A link-local address is none without its interface.
    .filter(({ address, port }) => port >= 1 && port <= 65535 && !/^fe[89ab]/i.test(address))
    .map((one) => ({ ...one, address: isWildcard(one.address) ? '*' : one.address }))
    .toSorted((a, b) => nearness(a.address) - nearness(b.address) || Number(!a.owner) - Number(!b.owner));
  const kept = new Map<number, typeof ports>();
  for (const one of ports) {
    const isSame = (other: (typeof ports)[number]) =>
      // One program that listens at several addresses, or that can't be seen at one of them, is reached at the first.
      other.owner?.program === one.owner?.program ||
      !one.owner ||
      (isAtLocalhost(one.address) && isAtLocalhost(other.address));
    const known = kept.get(one.port) ?? [];
    if (!known.some(isSame)) known.push(one);
    kept.set(one.port, known);
  }
  return [...kept.values()]
    .flat()
    .toSorted((a, b) => a.port - b.port)
    .map(({ address, port, owner }) => ({ kind: 'tcp' as const, address, port, ...owner }))
    .filter((one) => forwardOf(one) !== undefined);
}

/** What listens at localhost is told of first, since that is how it is reached. */
function nearness(address: string): number {
  const order = ['127.0.0.1', '*', '::1'].indexOf(address);
  return order < 0 ? 3 : order;
}

function isWildcard(address: string): boolean {
  return ['0.0.0.0', '::', '*'].includes(address);
}

/** `localhost` may be no name of `::1`. */
function isAtLocalhost(address: string): boolean {
  return address === '127.0.0.1' || address === '*';
}

/** The login's own door, and what others forward through it. */
function isSshServer({ port, program = '' }: ServerPort & { kind: 'tcp' }): boolean {
  return port === 22 || /^(sshd|dropbear|tinysshd)(?![a-z])/.test(program);
}

/** Where databases and the like listen. */
const wellKnown = [
  /\/(docker|podman)\.sock$/,
  /\/\.s\.PGSQL\.\d+$/,
  /\/(mysqld?|mysqlx|mariadb)\.sock$/,
  /redis[^/]*\.sock$/,
];

/** Of the system's own workings and of a person's desktop: nobody forwards them. An agent's would lend its keys. */
const workings =
  /^(\/var)?\/run\/(systemd|dbus|udev|user\/\d+|snapd|acpid|uuidd|lvm|rpcbind|multipath|irqbalance|nscd|avahi|cups)\b|agent|containerd|journal|dbus|gnupg|gpg|pulse|pipewire|vscode|\.X11-unix|\.ICE-unix|\/ssh-/i;

function unixPorts(found: readonly Found[]): ServerPort[] {
  const rank = (path: string) => {
    const at = wellKnown.findIndex((pattern) => pattern.test(path));
    return at < 0 ? wellKnown.length : at;
  };
  const sockets = new Map<string, Found & { kind: 'unix' }>();
  for (const one of found) {
    if (one.kind !== 'unix' || sockets.size >= mostFound) continue;
    const known = sockets.get(realPath(one.path));
    if (!known || (!known.owner && one.owner)) sockets.set(realPath(one.path), one);
  }
  return (
    [...sockets.values()]
      // A mark that ssh or a shell reads in its own way would name another socket.
      .filter(({ path }) => !new RegExp(unseen, 'u').test(path) && !/[\s%$\\~"']/.test(path))
      .filter(({ path }) => rank(path) < wellKnown.length || !workings.test(path))
      .toSorted((a, b) => rank(a.path) - rank(b.path) || (a.path < b.path ? -1 : 1))
      .map(({ path, owner }) => ({ kind: 'unix' as const, path, ...owner }))
      .filter((one) => forwardOf(one) !== undefined)
      .slice(0, mostSockets)
  );
}

/** /var/run is /run. */
function realPath(path: string): string {
  return path.replace(/^\/var\/run\//, '/run/');
}
