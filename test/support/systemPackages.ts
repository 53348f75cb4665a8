import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Of Debian. */
export interface SystemPackage {
  readonly name: string;
  isThere(): boolean;
}

/** One that is there when its programs are, in PATH or where only root looks. */
export function packageWith(name: string, ...programs: readonly string[]): SystemPackage {
  return { name, isThere: () => programs.every(isInstalled) };
}

/** What tests and measurements beside a real sshd can't do without. */
export const sshPackages: readonly SystemPackage[] = [
  packageWith('openssh-server', 'sshd'),
  packageWith('openssh-client', 'ssh', 'ssh-keygen', 'ssh-agent', 'ssh-add'),
  packageWith('curl', 'curl'),
  packageWith('lsof', 'lsof'),
  ...(process.platform === 'linux' ? [packageWith('iproute2', 'ss')] : []),
];

/**
 * Installs what is missing of both by apt-get, where this is root. Throws when something of `needed` can't be had; of
 * `wanted` there is then what can be had.
 */
export function ensureSystemPackages(needed: readonly SystemPackage[], wanted: readonly SystemPackage[] = []): void {
  const missing = [...needed, ...wanted].filter((one) => !one.isThere()).map(({ name }) => name);
  const isRoot = process.getuid?.() === 0;
  if (missing.length > 0 && isRoot && isInstalled('apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...args: string[]) =>
      spawnSync('apt-get', ['-qq', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env });
    console.log(`Installing ${missing.join(', ')}`);
    apt('update');
    // One by one: a package that isn't to be had keeps none of the others away.
    for (const name of missing) apt('install', '-y', '--no-install-recommends', name);
  }
  const lacking = needed.filter((one) => !one.isThere()).map(({ name }) => name);
  if (lacking.length > 0) throw new Error(`What runs here needs ${lacking.join(', ')}: please install.`);
  // sshd wants it for its privilege separation; where no init system has started sshd it isn't there.
  if (isRoot && process.platform === 'linux') mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
}

function isInstalled(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.some((folder) => existsSync(join(folder, program)));
}
