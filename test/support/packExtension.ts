import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './vscodeServer';

/** Names the package in the environment of all that a run starts. */
export const packageVariable = 'SSH_TUNNELS_VSIX';
/** Names a folder in which the package is installed for each edition of VS Code, by the first suite of the run that wants it. */
export const installedVariable = 'SSH_TUNNELS_INSTALLED';

let packed = process.env[packageVariable];

/** Makes the package of what is built, unless the run has made it, and gives its path. It takes some seconds. */
export function packExtension(): string {
  if (packed !== undefined) return packed;
  const path = join(repositoryRoot, 'out', 'ssh-tunnels.vsix');
  // Moved there whole: other processes may make and install the same.
  const staging = `${path}.${process.pid}`;
  mkdirSync(join(repositoryRoot, 'out'), { recursive: true });
  execFileSync('npm', ['run', 'package', '--silent', '--', '--out', staging], {
    cwd: repositoryRoot,
    stdio: 'pipe',
    shell: process.platform === 'win32',
  });
  renameSync(staging, path);
  return (packed = path);
}
