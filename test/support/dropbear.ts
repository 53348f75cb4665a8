// A real dropbear server for one suite: own keys, a free port of loopback.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { accountEnvironment, accountPackage, whyNoAccount } from './account.js';
import { eventually } from './eventually.js';
import { descendants, killAll, prepareServer, type HostKeyType, type SshServer } from './sshd.js';

export interface DropbearOptions {
  /** Its host keys, ed25519 alone unless told otherwise. */
  hostKeys?: readonly [HostKeyType, ...HostKeyType[]];
  /** Who may log in and how, instead of with a key alone: `-t` takes the account's password besides. */
  args?: readonly string[];
}

const program = '/usr/sbin/dropbear';

export const dropbearPackages = ['dropbear-bin', accountPackage];

/** Why there can be no dropbear here; nothing where there can. */
export function whyNoDropbear(): string | undefined {
  if (spawnSync(program, ['-V']).error) return 'dropbear-bin is not installed';
  return whyNoAccount();
}

/** Who may log in is told in `authorizedKeysPath`, as with sshd. */
export async function startDropbear({
  hostKeys = ['ed25519'],
  args = ['-s'],
}: DropbearOptions = {}): Promise<SshServer> {
  const reached = await prepareServer('dropbear-', hostKeys);
  const { folder, port } = reached;
  const file = (name: string) => join(folder, name);
  for (const type of hostKeys)
    execFileSync('dropbearconvert', ['openssh', 'dropbear', file(`host_${type}`), file(`dropbear_${type}`)], {
      stdio: 'pipe',
    });
  // It looks for authorized_keys in the home of whoever logs in, and so is told of another home than the real one.
  mkdirSync(file('.ssh'), { mode: 0o700 });
  copyFileSync(reached.authorizedKeysPath, file('.ssh/authorized_keys'));
  const log = openSync(file('log'), 'a');
  const server = spawn(
    program,
    [
      ...['-F', '-E', '-m', '-p', `127.0.0.1:${port}`, '-P', file('pid')],
      ...hostKeys.flatMap((type) => ['-r', file(`dropbear_${type}`)]),
      ...args,
    ],
    {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...accountEnvironment(folder) },
    },
  );
  closeSync(log);
  const ended = once(server, 'exit');
  const text = () => readFileSync(file('log'), 'utf8');
  await eventually(() => {
    if (!text().includes('Not backgrounding')) throw new Error(`dropbear did not start\n${text()}`);
  }, 10_000);
  const sessions = () => descendants(server.pid);
  return {
    ...reached,
    authorizedKeysPath: file('.ssh/authorized_keys'),
    log: text,
    sessions,
    killSessions: () => killAll(sessions()),
    async stop() {
      killAll(sessions());
      server.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
