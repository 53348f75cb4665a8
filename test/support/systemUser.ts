// A user of the system with a password, for servers that ask PAM or shadow(5) and log in as somebody else.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface SystemUser {
  readonly name: string;
  remove(): void;
}

const prefix = 'tunnels-test-';

/** Why there can be no such user here; nothing where there can. */
export function whyNoSystemUser(): string | undefined {
  if (process.platform !== 'linux') return 'users are added with the tools of Linux alone';
  return process.getuid?.() === 0 ? undefined : 'only root adds users';
}

/** One without a home, which no other run at the same time has. Users left by runs that were interrupted go first. */
export function addSystemUser(password: string): SystemUser {
  const left = [...readFileSync('/etc/passwd', 'utf8').matchAll(new RegExp(`^${prefix}(\\d+):`, 'gm'))]
    .map(([, pid]) => Number(pid))
    .filter((pid) => pid === process.pid || !runs(pid));
  // Another run may have removed one of them meanwhile.
  for (const pid of left) spawnSync('userdel', [`${prefix}${pid}`]);
  const name = `${prefix}${process.pid}`;
  execFileSync('useradd', ['-M', name], { stdio: 'pipe' });
  execFileSync('chpasswd', { input: `${name}:${password}\n`, stdio: 'pipe' });
  return { name, remove: () => void execFileSync('userdel', [name], { stdio: 'pipe' }) };
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
