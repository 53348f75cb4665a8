// Another machine, as far as the network goes: a namespace with a cable to this one, on which packets can be lost. All of
// it hangs on one process that ends with this one, so that nothing is left behind by a test that dies.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { userInfo } from 'node:os';
import { eventually } from './eventually.js';
import type { Machine } from './sshd.js';

export interface FaultyNetwork {
  /** The other machine. Both have the same files, and so the same Unix sockets. */
  machine: Machine;
  /** This machine's address on the cable. */
  ownAddress: string;
  /** Packets are lost without a word, both ways unless one is named: to the other machine (`up`), or back from it. */
  dropAll(way?: 'up' | 'down'): void;
  /**
   * So many of a hundred packets are lost, both ways unless one is named. Of both, TCP may pause for long: each packet that
   * is lost again doubles the wait for the next try.
   */
  lose(percent: number, way?: 'up' | 'down'): void;
  /** The other machine answers every TCP packet by a reset: it knows of no connection, and listens nowhere. */
  rejectAll(): void;
  /** All packets pass again. */
  heal(): void;
  /** Takes this machine's address on the cable away, or gives it back: as when a VPN ends. */
  address(state: 'up' | 'down'): void;
  close(): Promise<void>;
}

const inNewNetwork = ['unshare', '--net'] as const;

/** What becomes of a packet that comes in at the other machine, and of one that goes out there. */
function rules({ up = '', down = '' }: { up?: string; down?: string }): string {
  const chain = (name: string, hook: string, rule: string) =>
    `chain ${name} {\n type filter hook ${hook} priority 0\n ${rule}\n}`;
  return `flush ruleset\ntable inet faults {\n${chain('up', 'input', up)}\n${chain('down', 'output', down)}\n}\n`;
}

const lost = (percent: number) => `numgen random mod 100 < ${percent} drop`;
const reset = 'meta l4proto tcp reject with tcp reset';

/** Why there can be no such network here; nothing where there can. */
export function whyNoFaultyNetwork(): string | undefined {
  if (process.platform !== 'linux') return 'there are network namespaces on Linux alone';
  if (userInfo().uid !== 0) return 'only root may make a network namespace and a cable to it';
  for (const [name, program] of [
    ['iproute2', 'ip'],
    ['nftables', 'nft'],
  ])
    if (spawnSync(program!, ['-V']).error) return `${name} is not installed`;
  const tried = spawnSync(inNewNetwork[0], ['--net', 'nft', '-f', '-'], {
    input: rules({ up: lost(30), down: reset }),
    encoding: 'utf8',
  });
  if (tried.error || tried.status !== 0)
    return `the kernel takes no such namespace or filter: ${tried.error?.message ?? tried.stderr.split('\n')[0]}`;
  return undefined;
}

function run(command: readonly string[], input?: string): string {
  const [program, ...args] = command;
  return execFileSync(program!, args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], input });
}

/** A network with room for two, that isn't routed anywhere yet. */
export function freeSubnet(): { subnet: string; own: string; other: string } {
  for (;;) {
    const part = () => Math.floor(Math.random() * 256);
    const network = `10.${part()}.${part()}`;
    const first = 4 * Math.floor(Math.random() * 64);
    const other = `${network}.${first + 2}`;
    const routes = JSON.parse(run(['ip', '-j', 'route', 'show', 'to', 'match', other])) as { dst: string }[];
    if (routes.every(({ dst }) => dst === 'default'))
      return { subnet: `${network}.${first}/30`, own: `${network}.${first + 1}`, other };
  }
}

/** A network namespace: what holds it, and what runs a program in it. */
export interface Namespace {
  pid: number;
  command: readonly string[];
  close(): Promise<void>;
}

export async function startNamespace(): Promise<Namespace> {
  // Reads from this process: it ends when this one does, however that is.
  const holder = spawn(inNewNetwork[0], ['--net', 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = once(holder, 'exit');
  const close = async () => {
    holder.stdin.end();
    await ended;
  };
  try {
    await eventually(() =>
      assert.notEqual(readlinkSync(`/proc/${holder.pid}/ns/net`), readlinkSync('/proc/self/ns/net')),
    );
  } catch (error) {
    await close();
    throw error;
  }
  return { pid: holder.pid!, command: ['nsenter', '-t', String(holder.pid), '-n'], close };
}

export async function startFaultyNetwork(): Promise<FaultyNetwork> {
  const { subnet, own, other } = freeSubnet();
  const { pid, command: inside, close: closeNamespace } = await startNamespace();
  const near = `faulty${pid}`;
  const close = async () => {
    // The cable goes with the namespace, but not at once.
    spawnSync('ip', ['link', 'delete', near]);
    await closeNamespace();
  };
  const filter = (which: Parameters<typeof rules>[0]) => void run([...inside, 'nft', '-f', '-'], rules(which));
  const filterWay = (rule: string, way: 'up' | 'down' | undefined) =>
    filter({ up: way === 'down' ? '' : rule, down: way === 'up' ? '' : rule });
  /** With lost packets sent again soon, so that a test need not wait out the kernel's patience. */
  const addAddress = (address: string, link: string, where: readonly string[] = []) => {
    run([...where, 'ip', 'address', 'add', `${address}/30`, 'dev', link]);
    run([...where, 'ip', 'route', 'replace', subnet, 'dev', link, 'src', address, 'rto_min', '20ms']);
  };
  try {
    run(['ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', 'far', 'netns', String(pid)]);
    run(['ip', 'link', 'set', near, 'up']);
    for (const link of ['lo', 'far']) run([...inside, 'ip', 'link', 'set', link, 'up']);
    addAddress(own, near);
    addAddress(other, 'far', inside);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    machine: { address: other, command: inside },
    ownAddress: own,
    dropAll: (way) => filterWay('drop', way),
    lose: (percent, way) => filterWay(lost(percent), way),
    rejectAll: () => filter({ up: reset }),
    heal: () => filter({}),
    address(state) {
      if (state === 'up') return addAddress(own, near);
      run(['ip', 'address', 'flush', 'dev', near]);
      // Or the packets would try their luck in the real network.
      run(['ip', 'route', 'replace', subnet, 'dev', near]);
    },
    close,
  };
}
