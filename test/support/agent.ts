// A real ssh-agent of a test's own.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Agent {
  /** For IdentityAgent and SSH_AUTH_SOCK. */
  socketPath: string;
  /** Adds a private key with the certificate that lies beside it; the arguments are ssh-add's, such as `-h`, `host`. */
  add(keyPath: string, ...args: readonly string[]): void;
  remove(keyPath: string): void;
  /** Its keys and certificates as `ssh-add -L` prints them, without comments. */
  list(): string[];
  stop(): Promise<void>;
}

export async function startAgent(): Promise<Agent> {
  const folder = mkdtempSync(join(tmpdir(), 'agent-'));
  const socketPath = join(folder, 'socket');
  const child = spawn('ssh-agent', ['-D', '-a', socketPath], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  // It tells where it listens as soon as it does.
  await Promise.race([
    once(child.stdout, 'data'),
    ended.then(() => Promise.reject(new Error('ssh-agent did not start'))),
  ]);
  child.stdout.resume();
  const sshAdd = (...args: readonly string[]): string => {
    const env = { ...process.env, SSH_AUTH_SOCK: socketPath };
    const { status, stdout, stderr } = spawnSync('ssh-add', args, { env, encoding: 'utf8' });
    const isEmpty = args[0] === '-L' && status === 1;
    if (status !== 0 && !isEmpty) throw new Error(`ssh-add ${args.join(' ')}: ${stderr}`);
    return isEmpty ? '' : stdout;
  };
  return {
    socketPath,
    add: (keyPath, ...args) => void sshAdd('-q', ...args, keyPath),
    remove: (keyPath) => void sshAdd('-q', '-d', keyPath),
    list: () =>
      sshAdd('-L')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split(' ').slice(0, 2).join(' ')),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
