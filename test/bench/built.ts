// The build of ours that is measured.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = join(__dirname, '../..');
const bundles = ['tunnel.js', 'worker.js'] as const;
const sources = ['src', 'esbuild.mjs', 'ssh2Patches.mjs', 'package.json'] as const;

/** Its folder. The project's own is built where it is older than what it is made from. */
export function ensureBuilt(folder?: string): string {
  if (folder !== undefined) {
    const lacking = bundles.filter((name) => !existsSync(join(folder, name)));
    if (lacking.length > 0) throw new Error(`--dist ${folder}: there is no ${lacking.join(' and no ')} in it.`);
    return resolve(folder);
  }
  const dist = join(root, 'dist');
  const builtAt = Math.min(...bundles.map((name) => changedAt(join(dist, name)) ?? 0));
  if (builtAt > newest()) return dist;
  const { status } = spawnSync(process.execPath, ['esbuild.mjs'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error(`The build failed (esbuild.mjs ended with ${status}).`);
  return dist;
}

function changedAt(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

function newest(): number {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).map((name) => join('src', name));
  return Math.max(...[...sources, ...files].map((name) => changedAt(join(root, name)) ?? 0));
}
