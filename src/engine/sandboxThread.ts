// Sandboxes as the extension host sees them: each a thread of dist/worker.js, with a folder of its own.
import { createHash, randomBytes } from 'node:crypto';
import { readFile, readdir, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Sandbox, Sandboxes } from '../core/sandbox.js';
import type { FromSandbox, ToSandbox, WorkerData } from './workerMessage.js';

/** How long the thread may take to close, in milliseconds; VS Code gives a deactivation about five seconds. */
const closeMs = 2000;
/** Whether somebody listens on this machine is known sooner, in milliseconds. */
const knockMs = 1000;
/** No window has a sandbox for so long, in milliseconds. Of another machine’s nothing else tells here whether it is there. */
const forgottenMs = 30 * 24 * 3_600_000;

/** Several machines may have the same folder, each with processes and ports of its own. */
const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** `workerPath`: dist/worker.js; `root`: the folder of all sandboxes of this user, made when the first one is started. */
export function createSandboxes(workerPath: string, root: string): Sandboxes {
  const own = new Set<string>();

  return {
    async start(page) {
      const name = `${machine}-${process.pid}-${randomBytes(6).toString('hex')}`;
      const folder = join(root, name);
      const data: WorkerData = { path: workerPath, sandbox: { folder, page } };
      own.add(name);
      const thread = new Worker(workerPath, { name: 'ssh-tunnels-sandbox', workerData: data });
      let reason = 'its thread ended';
      thread.on('error', (error) => (reason = error.message));
      const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()))
        .then(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
        .catch(() => {}) // what is left is removed with the next window's start
        .finally(() => own.delete(name));
      const message = await new Promise<FromSandbox>((resolve) => {
        thread.once('message', resolve);
        void ended.then(() => resolve({ kind: 'sandboxFailed', detail: reason }));
      });
      if (message.kind === 'sandboxFailed') {
        void thread.terminate();
        await ended;
        throw new Error(message.detail);
      }
      const { port, configFile } = message;
      const close = async () => {
        thread.postMessage({ kind: 'close' } satisfies ToSandbox);
        const impatient = setTimeout(() => void thread.terminate(), closeMs);
        await ended;
        clearTimeout(impatient);
      };
      return { port, configFile, ended, close } satisfies Sandbox;
    },

    async clean() {
      const names = await readdir(root).catch(() => []);
      for (const name of names) {
        const folder = join(root, name);
        if (own.has(name) || (await isInUse(folder, name))) continue;
        await rm(folder, { recursive: true, force: true }).catch(() => {});
      }
    },
  };
}

/** One without this machine in its name is taken for another’s: its process and its port can’t be seen from here. */
async function isInUse(folder: string, name: string): Promise<boolean> {
  const [madeBy, pid] = name.split('-');
  if (madeBy === machine) return isRunning(folder, Number(pid));
  const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs < forgottenMs;
}

/** Whether another window's: its process is there, and somebody listens where its config says, which is written last. */
async function isRunning(folder: string, pid: number): Promise<boolean> {
  if (!isProcess(pid)) return false;
  const config = await readFile(join(folder, 'config'), 'utf8').catch(() => undefined);
  if (config === undefined) return true;
  const port = Number(/^ *Port (\d+)$/m.exec(config)?.[1] ?? 0);
  return port > 0 && port <= 65535 && (await isListening(port));
}

function isProcess(pid: number): boolean {
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (isThere: boolean) => {
      socket.destroy();
      resolve(isThere);
    };
    socket.setTimeout(knockMs, () => end(true));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
