// Who is measured: each opens one tunnel as a process of its own, and is reached at a port of loopback.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, type Sshd } from '../support/sshd.js';
import type { Traffic } from './traffic.js';

export const peerNames = ['direct', 'openssh', 'openssh-gcm', 'ours'] as const;
export type PeerName = (typeof peerNames)[number];

/** What ours is compared with. */
export const references = ['openssh', 'openssh-gcm'] as const;

/** A server, and the traffic's server as it sees it on its loopback. */
export interface Place {
  sshd: Sshd;
  /** Where the server is reached. */
  address: string;
  port: number;
  target: number;
  /** Where the traffic's server is reached without a tunnel. */
  direct: { address: string; port: number };
}

export interface Tunnel {
  address: string;
  port: number;
  /** Its process; nothing where there is none. */
  pid?: number;
  /** From the start of its process to the first byte that came back through it. */
  firstByteMs?: number;
  close(): Promise<void>;
}

export type ForwardKind = 'local' | 'remote';

export interface Peers {
  open(name: PeerName, place: Place, kind: ForwardKind): Promise<Tunnel>;
}

const firstByteLimitMs = 30_000;

export function createPeers(traffic: Traffic, dist: string): Peers {
  const programs = {
    openssh: ['ssh'],
    'openssh-gcm': ['ssh', '-c', 'aes128-gcm@openssh.com'],
    ours: [process.execPath, join(dist, 'tunnel.js')],
  } as const;

  const openProgram = async (name: keyof typeof programs, place: Place, kind: ForwardKind): Promise<Tunnel> => {
    const port = await freePort();
    const { sshd, address, target } = place;
    const [program, ...first] = programs[name];
    const forward = [kind === 'local' ? '-L' : '-R', `127.0.0.1:${port}:127.0.0.1:${target}`];
    const options = [
      ...['-N', '-F', '/dev/null', '-i', sshd.keyPath, '-p', String(place.port), '-l', sshd.user],
      ...['-o', `UserKnownHostsFile=${sshd.knownHostsPath}`, '-o', 'GlobalKnownHostsFile=/dev/null'],
      ...['-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'ExitOnForwardFailure=yes'],
    ];
    // It knocks from before the start on, so that its own start isn't counted.
    const firstByte = traffic.run('first', '127.0.0.1', port, firstByteLimitMs);
    firstByte.catch(() => {});
    await sleep(60);
    const startedAt = Number(process.hrtime.bigint()) / 1e6;
    const child = spawn(program, [...first, ...options, ...forward, address], { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = once(child, 'close');
    ended.catch(() => {});
    let said = '';
    child.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-2000)));
    const close = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const impatient = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(impatient);
    };
    const at = await Promise.race([firstByte.then((outcome) => outcome.at), ended.then(() => undefined)]);
    if (at === undefined) {
      await close();
      throw new Error(`${name} opened no tunnel: ${said.trim() || `it ended with ${child.exitCode}`}`);
    }
    return { address: '127.0.0.1', port, pid: child.pid!, firstByteMs: at * 1000 - startedAt, close };
  };

  return {
    open: async (name, place, kind) =>
      name === 'direct' ? { ...place.direct, close: async () => {} } : openProgram(name, place, kind),
  };
}

/** The cipher of each peer as the server's log tells it, of one connection each beside those that are measured. */
export async function ciphersOf(
  peers: Peers,
  names: readonly PeerName[],
  place: Place,
): Promise<Map<PeerName, string>> {
  const found = new Map<PeerName, string>();
  for (const name of names.filter((other) => other !== 'direct')) {
    const before = place.sshd.log().length;
    const tunnel = await peers.open(name, place, 'local');
    await tunnel.close();
    const cipher = /kex: server->client cipher: (\S+) MAC: (\S+)/.exec(place.sshd.log().slice(before));
    found.set(name, cipher ? `${cipher[1]}${cipher[2] === '<implicit>' ? '' : ` ${cipher[2]}`}` : 'not told');
  }
  return found;
}
