// A real OpenSSH server for one suite: own keys, own config, a free port of loopback.
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.js';

/** A server of some make that runs for a test. */
export interface SshServer {
  port: number;
  /** Who may log in: whoever runs the tests. */
  user: string;
  /** A private folder that goes with the server. */
  folder: string;
  /** The client's unencrypted ed25519 key. */
  keyPath: string;
  /** known_hosts with the server's keys under its address, `[127.0.0.1]:port` and `[localhost]:port`. */
  knownHostsPath: string;
  /** The server's first host key, to be replaced or compared; it and the others are `host_<type>` in the folder. */
  hostKeyPath: string;
  authorizedKeysPath: string;
  /** An ssh_config with `Host alias` that reaches the server with all of the above. */
  configPath(alias: string, lines?: readonly string[]): string;
  /** What the server has written to its log. */
  log(): string;
  /** Process ids of the sessions that are connected. */
  sessions(): number[];
  /** Cuts them off, without a word to their clients. */
  killSessions(): void;
  stop(): Promise<void>;
}

export interface Sshd extends SshServer {
  /** Options for dist/tunnel.js that reach the server with no file of the user. */
  clientOptions: readonly string[];
  /** Those that stay: a log-in has some that are soon gone. */
  settledSessions(): Promise<number[]>;
  /** Ends the listening server only: sessions live on, and a later `start` uses the same port. */
  stopListening(): Promise<void>;
  start(): Promise<void>;
}

export const hostKeyTypes = ['ed25519', 'ecdsa', 'rsa'] as const;
export type HostKeyType = (typeof hostKeyTypes)[number];

/** An OpenSSH server's program. */
export interface SshdProgram {
  command: readonly [string, ...string[]];
  /** Lines of sshd_config that it can't do without. */
  config: readonly string[];
}

export interface SshdOptions {
  /** Lines of sshd_config that come first, and so win; made from the folder where the host keys lie, if need be. */
  config?: readonly string[] | ((folder: string) => readonly string[]);
  /** Its host keys, ed25519 alone unless told otherwise. */
  hostKeys?: readonly [HostKeyType, ...HostKeyType[]];
  /** The one of the system unless told otherwise. */
  program?: SshdProgram;
  /** Variables of its environment. */
  env?: NodeJS.ProcessEnv;
  /** The machine that it runs on, this one unless told otherwise. */
  machine?: Machine;
}

/** Where a server runs. */
export interface Machine {
  /** What it listens on, as clients reach it. */
  address: string;
  /** What runs a program there: the program and its arguments follow. */
  command: readonly string[];
}

const thisMachine: Machine = { address: '127.0.0.1', command: [] };

const installed: SshdProgram = { command: ['/usr/sbin/sshd'], config: [] };

/** Makes a key without a passphrase, ed25519 unless the further arguments say `-t`; of RSA with 2048 bits unless they say `-b`. */
export function keygen(path: string, ...args: readonly string[]): void {
  // ssh-keygen's own 3072 bits cost it a second of a processor each.
  const bits = args.includes('rsa') && !args.includes('-b') ? ['-b', '2048'] : [];
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path, ...bits, ...args]);
}

/** Gives a key a passphrase, with one round of bcrypt: a round costs every login that opens it some 20 ms of a processor. */
export function lockKey(path: string, passphrase: string): void {
  execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', passphrase, '-a', '1', '-f', path]);
}

/** Type and key of a public key file, without the comment. */
export function publicKey(path: string): string {
  return readFileSync(path, 'utf8').trim().split(' ').slice(0, 2).join(' ');
}

/** A line for a server of these tests, by both names of loopback; `mark` is `@cert-authority` or `@revoked`. */
export function knownHostsLine(port: number, key: string, mark?: string): string {
  return `${mark ? `${mark} ` : ''}[127.0.0.1]:${port},[localhost]:${port} ${key}\n`;
}

/**
 * A port that is free on both loopback families, and stays so: none of those that the system gives to whoever takes any, such
 * as the suites that run beside.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(12_000, 32_000);
  const servers = [createServer().listen(port, '127.0.0.1'), createServer().listen(port, '::1')];
  const results = await Promise.allSettled(servers.map((server) => once(server, 'listening')));
  for (const server of servers) await new Promise((closed) => server.close(closed));
  const errors = results.flatMap((one) => (one.status === 'rejected' ? [one.reason as NodeJS.ErrnoException] : []));
  for (const error of errors) if (error.code !== 'EADDRINUSE') throw error;
  return errors.length > 0 ? freePort() : port;
}

type Reached = Omit<SshServer, 'log' | 'sessions' | 'killSessions' | 'stop'>;

/** The keys, names and files of a server that is to be started, and of who may log in, in a new folder. */
export async function prepareServer(
  prefix: string,
  hostKeys: readonly [HostKeyType, ...HostKeyType[]],
  address = thisMachine.address,
): Promise<Reached> {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  const file = (name: string) => join(folder, name);
  for (const type of hostKeys) keygen(file(`host_${type}`), '-t', type);
  keygen(file('client'));
  writeFileSync(file('authorized_keys'), readFileSync(file('client.pub')), { mode: 0o600 });
  const port = await freePort();
  const publicKeys = hostKeys.map((type) => publicKey(file(`host_${type}.pub`)));
  const byAddress = address === thisMachine.address ? '' : `[${address}]:${port},`;
  writeFileSync(file('known_hosts'), publicKeys.map((key) => `${byAddress}${knownHostsLine(port, key)}`).join(''));
  const { username } = userInfo();
  return {
    port,
    user: username,
    folder,
    keyPath: file('client'),
    knownHostsPath: file('known_hosts'),
    hostKeyPath: file(`host_${hostKeys[0]}`),
    authorizedKeysPath: file('authorized_keys'),
    configPath(alias, lines = []) {
      const path = file(`config_${alias}`);
      writeFileSync(
        path,
        [
          `Host ${alias}`,
          ...lines.map((line) => `  ${line}`),
          `  HostName ${address}`,
          `  Port ${port}`,
          `  User ${username}`,
          `  IdentityFile ${file('client')}`,
          '  IdentitiesOnly yes',
          '  IdentityAgent none',
          `  UserKnownHostsFile ${file('known_hosts')}`,
          '  GlobalKnownHostsFile /dev/null',
          '',
        ].join('\n'),
      );
      chmodSync(path, 0o600);
      return path;
    },
  };
}

export async function startSshd({
  config = [],
  hostKeys = ['ed25519'],
  program = installed,
  env = {},
  machine = thisMachine,
}: SshdOptions = {}): Promise<Sshd> {
  const { address } = machine;
  const reached = await prepareServer('sshd-', hostKeys, address);
  const { folder, port } = reached;
  const file = (name: string) => join(folder, name);
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  writeFileSync(
    file('sshd_config'),
    [
      ...(typeof config === 'function' ? config(folder) : config),
      ...program.config,
      `ListenAddress ${address}`,
      `Port ${port}`,
      ...hostKeys.map((type) => `HostKey ${file(`host_${type}`)}`),
      `AuthorizedKeysFile ${file('authorized_keys')}`,
      `PidFile ${file('sshd.pid')}`,
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin yes',
      'StrictModes no',
      'UsePAM no',
      'UseDNS no',
      'PrintMotd no',
      'MaxStartups 1000',
      'MaxSessions 1000',
      'LogLevel DEBUG1',
      '',
    ].join('\n'),
  );
  let server: ChildProcess | undefined;

  const start = async () => {
    const log = file('sshd.log');
    const [command, ...args] = [...machine.command, ...program.command];
    const child = spawn(command!, [...args, '-D', '-f', file('sshd_config'), '-E', log], {
      stdio: 'ignore',
      env: { ...process.env, ...env },
    });
    server = child;
    let ended: number | null | undefined;
    child.once('error', () => (ended = null));
    child.once('exit', (code) => (ended = code));
    const until = Date.now() + 10_000;
    while (!existsSync(log) || !readFileSync(log, 'utf8').includes(`Server listening on ${address} port ${port}`)) {
      if (ended !== undefined || Date.now() > until)
        throw new Error(`sshd did not start (${ended})\n${existsSync(log) ? readFileSync(log, 'utf8') : ''}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const sessions = () => descendants(server?.pid);
  const stopListening = async () => {
    const child = server;
    server = undefined;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
    // A start that follows must see its own line, not this one's.
    rmSync(file('sshd.log'), { force: true });
  };
  await start();
  const clientOptions = [
    ...['-F', '/dev/null', '-i', file('client'), '-p', String(port), '-l', reached.user],
    ...['-o', `UserKnownHostsFile=${file('known_hosts')}`, '-o', 'GlobalKnownHostsFile=/dev/null'],
    ...['-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
  ];
  return {
    ...reached,
    clientOptions,
    log: () => readFileSync(file('sshd.log'), 'utf8'),
    sessions,
    async settledSessions() {
      const seen: string[] = [];
      await eventually(() => {
        seen.push(sessions().join());
        assert.ok(seen.at(-1) !== '' && seen.length >= 5 && new Set(seen.slice(-5)).size === 1);
      });
      return sessions();
    },
    stopListening,
    start,
    killSessions: () => killAll(sessions()),
    async stop() {
      killAll(sessions());
      await stopListening();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/** Children and grandchildren of a server: its sessions. Read from /proc, since a bare Debian has no ps. */
export function descendants(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const afterName = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)!;
      parents.set(Number(name), Number(afterName.split(' ')[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const descends = (child: number): boolean => {
    const parent = parents.get(child);
    return parent !== undefined && (parent === pid || descends(parent));
  };
  return [...parents.keys()].filter(descends);
}
