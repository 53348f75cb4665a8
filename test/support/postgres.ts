// A real PostgreSQL for one suite: its own data, whoever reaches its port may log in.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.js';
import type { SystemPackage } from './systemPackages.js';

export const postgresPackage: SystemPackage = { name: 'postgresql', isThere: () => programs() !== undefined };

export interface Postgres {
  stop(): Promise<void>;
}

/** Debian keeps the server’s programs out of PATH. */
function programs(): string | undefined {
  const folder = '/usr/lib/postgresql';
  const versions = existsSync(folder) ? readdirSync(folder).sort((a, b) => Number(b) - Number(a)) : [];
  return versions
    .map((version) => join(folder, version, 'bin'))
    .find((bin) => ['initdb', 'postgres', 'psql'].every((name) => existsSync(join(bin, name))));
}

/** Why there can be none here; nothing where there can. */
export function whyNoPostgres(): string | undefined {
  return programs() === undefined ? 'PostgreSQL is not installed' : undefined;
}

/** Listens on 127.0.0.1:5432 of a network of its own, in which `command` runs a program; `sql` is run before anybody comes. */
export async function startPostgres(command: readonly string[], sql: string): Promise<Postgres> {
  const bin = programs();
  assert.ok(bin, 'PostgreSQL is installed');
  const folder = mkdtempSync(join(tmpdir(), 'postgres-'));
  // It refuses to run as root.
  const isRoot = userInfo().uid === 0;
  const [uid, gid] = isRoot ? ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres']))) : [];
  if (isRoot) chownSync(folder, uid!, gid!);
  const asOwner = isRoot ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : [];
  const data = join(folder, 'data');
  const [setUp, ...setUpArgs] = [...asOwner, join(bin, 'initdb')];
  try {
    // It is gone in a minute: what it writes need not survive a power cut.
    execFileSync(setUp, [...setUpArgs, '-D', data, '-U', 'owner', '-A', 'trust', '-E', 'UTF8', '--no-sync'], {
      stdio: 'pipe',
      cwd: folder,
    });
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
  const [program, ...args] = [...command, ...asOwner, join(bin, 'postgres')];
  const server = spawn(
    program,
    [...args, '-D', data, '-k', folder, '-F', '-c', 'listen_addresses=127.0.0.1', '-c', 'port=5432'],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder },
  );
  const ended = once(server, 'exit');
  let said = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (part: Buffer) => (said += part.toString()));
  const stop = async () => {
    // Fast shutdown: clients are disconnected.
    server.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await eventually(() => {
      const [psql, ...psqlArgs] = [...asOwner, join(bin, 'psql')];
      const more = ['-h', folder, '-U', 'owner', '-d', 'postgres', '-v', 'ON_ERROR_STOP=1', '-q', '-f', '-'];
      const done = spawnSync(psql, [...psqlArgs, ...more], { input: sql, encoding: 'utf8', cwd: folder });
      assert.equal(done.status, 0, `${done.stderr}\n${said}`);
    });
    return { stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
