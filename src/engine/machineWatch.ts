// When this machine has slept, or its network has changed: a connection may have died then without a word.
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';

export type MachineChange = 'woke' | 'network';

/** What the machine is asked for; tests give their own. */
export interface Machine {
  /**
   * ms since 1970. By the clock on the wall, since the others (CLOCK_MONOTONIC on Linux, and with it performance.now() and
   * all timers) stand still while the machine sleeps, so that to them nothing has happened.
   */
  now(): number;
  interfaces(): NodeJS.Dict<readonly NetworkInterfaceInfo[]>;
  /** Calls `act` in so many ms; returns what undoes it. */
  after(ms: number, act: () => void): () => void;
}

const thisMachine: Machine = {
  now: () => Date.now(),
  interfaces: networkInterfaces,
  after(ms, act) {
    const timer = setTimeout(act, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** How often it looks, in ms. */
const checkMs = 2000;
/** For how long a network that has changed must stay as it is, in ms, and how many times that is waited for. */
const settleMs = 1000;
const mostSettles = 5;
/** How far the clock must be from where the timer should have it, in ms. */
const jumpMs = 3000;

/**
 * Calls the listener with `woke` when the clock has jumped: the machine has slept, this thread has stood still for some
 * seconds, or somebody has set the clock, either way. With `network` when interfaces or addresses have come or gone, once
 * for a burst of changes. Either may be wrong, and is worth no more than a question to the server. Returns what ends it.
 */
export function watchMachine(onChange: (change: MachineChange) => void, machine: Machine = thisMachine): () => void {
  let hasEnded = false;
  let stop = () => {};
  let seen = networkOf(machine) ?? '';
  let settles = 0;

  const tell = (change: MachineChange) => {
    if (!hasEnded) onChange(change);
  };
  const checkIn = (ms: number) => {
    if (hasEnded) return;
    const expected = machine.now() + ms;
    stop = machine.after(ms, () => check(machine.now() - expected));
  };
  const check = (jump: number) => {
    if (Math.abs(jump) > jumpMs) tell('woke');
    const found = networkOf(machine) ?? seen;
    const isChanging = found !== seen;
    seen = found;
    if (isChanging) settles++;
    if (settles > 0 && (!isChanging || settles > mostSettles)) {
      settles = 0;
      tell('network');
    }
    checkIn(settles > 0 ? settleMs : checkMs);
  };
  checkIn(checkMs);
  return () => {
    hasEnded = true;
    stop();
  };
}

/** What of the network's state counts, as a text; undefined where the system does not tell. */
function networkOf(machine: Machine): string | undefined {
  try {
    const lines = Object.entries(machine.interfaces()).flatMap(([name, addresses]) =>
      (addresses ?? []).flatMap((one) => linesOf(name, one)),
    );
    return [...new Set(lines)].sort().join('\n');
  } catch {
    return undefined;
  }
}

function linesOf(name: string, { address, netmask, family, internal }: NetworkInterfaceInfo): string[] {
  if (internal) return [];
  if (family === 'IPv4') return [`${name} ${address} ${netmask}`];
  // Every interface has one, also the many of containers that lead nowhere.
  if (/^fe[89ab]/i.test(address)) return [];
  // Temporary addresses (RFC 8981) come and go by themselves, within the network of the lasting one.
  return [`${name} ${networkPart(address)}`];
}

/** The first 64 bits of an IPv6 address. */
function networkPart(address: string): string {
  const [before = '', after] = address.split('%')[0]!.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [first, last] = [groups(before), groups(after ?? '')];
  const zeros = Array<string>(Math.max(8 - first.length - last.length, 0)).fill('0');
  return [...first, ...zeros, ...last].slice(0, 4).join(':');
}
