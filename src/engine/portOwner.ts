// Runs the system's programs that know who listens on a port.
import { execFile } from 'node:child_process';
import { delimiter, join } from 'node:path';
import {
  ownerFromLsof,
  ownerFromNetstat,
  ownerFromSs,
  programFromTasklist,
  type PortOwner,
} from '../core/portOwner.js';

const limitMs = 2_000;

/**
 * The program that listens on an address and port of this machine; undefined when it can't be told (another user's, no
 * tool, slow tool). Never throws, takes 2 s at most.
 */
export async function findPortOwner(address: string, port: number): Promise<PortOwner | undefined> {
  const abort = AbortSignal.timeout(limitMs);
  const lookUp = process.platform === 'win32' ? lookUpOnWindows : lookUpOnUnix;
  return lookUp(address, port, abort).catch(() => undefined);
}

async function lookUpOnUnix(address: string, port: number, abort: AbortSignal): Promise<PortOwner | undefined> {
  if (process.platform === 'linux') {
    const sockets = await run('ss', ['-H', '-ltnp', 'sport', '=', `:${port}`], abort);
    if (sockets !== undefined) return ownerFromSs(sockets, address, port);
  }
  const files = await run('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-F', 'pctn'], abort);
  return files === undefined ? undefined : ownerFromLsof(files, address, port);
}

async function lookUpOnWindows(address: string, port: number, abort: AbortSignal): Promise<PortOwner | undefined> {
  // By path: Windows would look for them in the current folder first.
  const folder = join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32');
  const sockets = await run(join(folder, 'netstat.exe'), ['-ano'], abort);
  const pid = sockets === undefined ? undefined : ownerFromNetstat(sockets, address, port);
  if (pid === undefined) return undefined;
  const tasks = await run(join(folder, 'tasklist.exe'), ['/FI', `PID eq ${pid}`, '/FO', 'CSV', '/NH'], abort);
  const program = tasks === undefined ? undefined : programFromTasklist(tasks, pid);
  return program === undefined ? undefined : { program, pid };
}

/** What a program printed; undefined when it isn't there, or failed without a word. */
function run(program: string, args: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  // Some systems keep these programs where only an administrator's PATH leads.
  const path = [process.env['PATH'], '/usr/sbin', '/sbin'].filter(Boolean).join(delimiter);
  const env = { ...process.env, LC_ALL: 'C', ...(process.platform === 'win32' ? {} : { PATH: path }) };
  const options = { signal, env, windowsHide: true, maxBuffer: 4 * 1024 * 1024 };
  return new Promise((resolve) => {
    // lsof ends with 1 also when it has found something.
    const child = execFile(program, args, options, (error, stdout) => {
      resolve(error && stdout === '' ? undefined : stdout);
    });
    // What it has started may hold its output open, and what hangs in the kernel ends at no signal.
    signal.addEventListener('abort', () => {
      resolve(undefined);
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
  });
}
