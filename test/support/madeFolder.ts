import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Makes a folder that is costly to fill, once. `fill` gets a staging folder beside it, which is renamed when it is complete:
 * an interrupted run leaves no half of it, and of two processes that fill at once the second takes what the first made.
 */
export async function madeFolder(folder: string, fill: (staging: string) => Promise<void>): Promise<string> {
  if (existsSync(folder)) return folder;
  await removeAbandoned(folder);
  await mkdir(dirname(folder), { recursive: true });
  const staging = await mkdtemp(`${folder}.${process.pid}.`);
  try {
    await fill(staging);
    await rename(staging, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return folder;
}

/** Staging folders carry the id of the process that fills them; those of processes that are gone will never be complete. */
async function removeAbandoned(folder: string): Promise<void> {
  const prefix = `${basename(folder)}.`;
  const siblings = existsSync(dirname(folder)) ? await readdir(dirname(folder)) : [];
  const abandoned = siblings.filter(
    (name) => name.startsWith(prefix) && !isAlive(Number.parseInt(name.slice(prefix.length))),
  );
  await Promise.all(abandoned.map((name) => rm(join(dirname(folder), name), { recursive: true, force: true })));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
