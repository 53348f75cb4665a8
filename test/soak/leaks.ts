// What this process holds of the system, to be compared before and after.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';

export interface Held {
  /** Node's own count: sockets, servers, timers, processes. */
  resources: readonly string[];
  /** File descriptors with what they lead to. */
  files: readonly string[];
  /** Processes that this one has started and that still run. */
  children: readonly string[];
}

export function held(): Held {
  return {
    resources: process.getActiveResourcesInfo(),
    // Each run of it has a descriptor of its own, which is gone when its name is read.
    files: readdirSync('/proc/self/fd').flatMap((fd) => nameOf(fd)),
    children: childrenOf(process.pid),
  };
}

function nameOf(fd: string): string[] {
  // The number of a socket says nothing, and another one in its place is none that leaks.
  const name = linkOf(`/proc/self/fd/${fd}`)?.replace(/\d+/g, '');
  // libuv keeps one for each event loop, from its first stream on, to have one to give when there are no more.
  return name === undefined || name === '/dev/null' ? [] : [name];
}

function childrenOf(parent: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [state, of] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        return Number(of) === parent && state !== 'Z' ? [command || `process ${pid}`] : [];
      } catch {
        return [];
      }
    });
}

/** What is there now and was not before, by what it is. */
export function heldBeyond(before: Held, after: Held): string[] {
  return (['resources', 'files', 'children'] as const).flatMap((kind) => {
    const rest = [...before[kind]];
    return after[kind].filter((name) => {
      const at = rest.indexOf(name);
      if (at >= 0) rest.splice(at, 1);
      return at < 0;
    });
  });
}

/**
 * Whether the other end of a TCP connection of this machine is held by one of the processes; undefined when nobody holds it
 * any more.
 */
export function isHeldBy(pids: readonly number[], { localPort, remotePort }: Socket): boolean | undefined {
  const hex = (port: number | undefined) => (port ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const other = new RegExp(
    `^ *\\d+: [0-9A-F]+:${hex(remotePort)} [0-9A-F]+:${hex(localPort)} (?:\\S+ +){6}(\\d+)`,
    'm',
  );
  const inode = ['tcp', 'tcp6']
    .map((name) => other.exec(readFileSync(`/proc/net/${name}`, 'latin1'))?.[1])
    .find((found) => found !== undefined);
  if (inode === undefined || inode === '0') return undefined;
  const holds = (pid: number) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`);
    } catch {
      return false;
    }
  };
  return pids.some(holds);
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
