// A line with a round trip: a cable to another network namespace that delays packets, which is a real one to TCP; where
// that can't be had, a proxy that delays bytes.
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, appendFileSync, constants, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { freeSubnet, startNamespace } from '../support/faultyNetwork.js';
import { knownHostsLine, publicKey, startSshd, type SshdOptions } from '../support/sshd.js';
import type { Place } from './peers.js';
import type { Traffic } from './traffic.js';

export interface DelayedNetwork {
  /** What it is, for people. */
  kind: string;
  place: Place;
  /** For all that is sent from now on; forgets what the kernel has learnt of the line before. */
  setRoundTrip(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** A program of wire.c, what it said first, and how it is told the delay. */
interface Wire {
  said: string;
  setOneWay(us: number): Promise<void>;
  close(): Promise<void>;
}

async function startWire(program: string, ...args: readonly string[]): Promise<Wire> {
  const child: ChildProcess = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin!.on('error', () => {});
  const ended = once(child, 'exit');
  const lines = createInterface(child.stdout!);
  const next = async () => {
    const line = once(lines, 'line').then(([text]) => text as string);
    const none = ended.then(() => Promise.reject(new Error(`wire ${args.join(' ')} has ended`)));
    none.catch(() => {});
    return Promise.race([line, none]);
  };
  return {
    said: await next(),
    async setOneWay(us) {
      const heard = next();
      child.stdin!.write(`${Math.round(us)}\n`);
      await heard;
    },
    async close() {
      child.stdin!.end();
      await ended;
    },
  };
}

/** Why no cable can be had here; nothing where it can. */
function whyNoCable(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may make a network namespace';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return 'there is no /dev/net/tun';
  }
  return spawnSync('ip', ['-V']).error ? 'iproute2 is not installed' : undefined;
}

/** `sendBufferMiB` is the most that TCP may have under way from the server; else the kernel’s own limit, mostly 4 MiB. */
export async function startDelayedNetwork(
  program: string,
  traffic: Traffic,
  options: SshdOptions,
  sendBufferMiB?: number,
): Promise<DelayedNetwork> {
  const why = whyNoCable();
  return why === undefined
    ? startCable(program, traffic, options, sendBufferMiB)
    : startProxy(program, traffic, options, `a proxy that delays bytes (${why})`);
}

/** It decides on much where the way is long. */
function congestionControl(): string {
  return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
}

async function startCable(
  program: string,
  traffic: Traffic,
  options: SshdOptions,
  sendBufferMiB: number | undefined,
): Promise<DelayedNetwork> {
  const undo: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const one of undo.toReversed()) await one();
  };
  try {
    const { own, other } = freeSubnet();
    const { pid, command: inside, close: closeNamespace } = await startNamespace();
    undo.push(closeNamespace);
    const near = `delayed${pid}`;
    const wire = await startWire(program, 'tun', near, 'far', `/proc/${pid}/ns/net`);
    undo.push(() => wire.close());
    const ip = (where: readonly string[], words: string) => {
      const [command, ...args] = [...where, 'ip', ...words.split(' ')];
      execFileSync(command!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    };
    for (const [where, link, address] of [
      [[], near, own],
      [inside, 'far', other],
    ] as const) {
      ip(where, `address add ${address}/30 dev ${link}`);
      ip(where, `link set ${link} up`);
    }
    ip(inside, 'link set lo up');
    const send = sendBufferMiB === undefined ? '' : `, up to ${sendBufferMiB} MiB in the server’s send buffer`;
    if (sendBufferMiB !== undefined) {
      const [command, ...args] = [...inside, 'tee', '/proc/sys/net/ipv4/tcp_wmem'];
      execFileSync(command, args, {
        input: `4096 16384 ${sendBufferMiB * 2 ** 20}`,
        stdio: ['pipe', 'ignore', 'pipe'],
      });
    }
    const sshd = await startSshd({ ...options, machine: { address: other, command: inside } });
    undo.push(() => sshd.stop());
    const target = await traffic.serve('127.0.0.1', inside);
    undo.push(() => target.stop());
    const open = await traffic.serve(other, inside);
    undo.push(() => open.stop());
    const forget = (where: readonly string[], address: string) => {
      const [command, ...args] = [...where, 'ip', 'tcp_metrics', 'flush', address];
      spawnSync(command, args, { stdio: 'ignore' });
    };
    return {
      kind: `two network namespaces and a cable that delays packets, TCP with ${congestionControl()}${send}`,
      place: {
        sshd,
        address: other,
        port: sshd.port,
        target: target.port,
        direct: { address: other, port: open.port },
      },
      async setRoundTrip(ms) {
        await wire.setOneWay(ms * 500);
        forget([], other);
        forget(inside, own);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startProxy(
  program: string,
  traffic: Traffic,
  options: SshdOptions,
  kind: string,
): Promise<DelayedNetwork> {
  const address = '127.0.0.1';
  const sshd = await startSshd(options);
  const target = await traffic.serve(address);
  const wires = await Promise.all(
    [sshd.port, target.port].map((port) => startWire(program, 'delay', address, String(port))),
  );
  const [port, directPort] = wires.map(({ said }) => Number(said)) as [number, number];
  appendFileSync(sshd.knownHostsPath, knownHostsLine(port, publicKey(`${sshd.hostKeyPath}.pub`)));
  return {
    kind,
    place: { sshd, address, port, target: target.port, direct: { address, port: directPort } },
    async setRoundTrip(ms) {
      for (const wire of wires) await wire.setOneWay(ms * 500);
    },
    async close() {
      for (const wire of wires) await wire.close();
      await target.stop();
      await sshd.stop();
    },
  };
}
