// What this process holds of the system, to be compared before and after.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

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
  try {
    // The number of a socket says nothing, and another one in its place is none that leaks.
    return [readlinkSync(`/proc/self/fd/${fd}`).replace(/\d+/g, '')];
  } catch {
    return [];
  }
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
