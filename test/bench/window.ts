// Starts windowHost.ts as a program of its own: bundled, since what runs TypeScript here would be measured with it.
import { build } from 'esbuild';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Plan } from '../../src/core/plan.js';
import { planned } from '../support/engineProbe.js';
import { freePort } from '../support/sshd.js';
import type { Place } from './peers.js';

export type Wanted =
  | { kind: 'start'; workerPath: string; plan: Plan }
  | { kind: 'block'; on: boolean }
  | { kind: 'watchDelay' }
  | { kind: 'delay' }
  | { kind: 'close' };

export type Told = { kind: 'done'; value?: number } | { kind: 'failed'; text: string };

export interface WindowHost {
  /** Of its tunnel, on loopback. */
  port: number;
  /** Keeps the main thread busy for 200 of every 400 ms, or no more. */
  block(on: boolean): Promise<void>;
  watchDelay(): Promise<void>;
  /** Since `watchDelay`. */
  delayP99Ms(): Promise<number>;
  /** How long a thread of another process took from its start until its tunnel listened. */
  startMs(): Promise<number>;
  close(): Promise<void>;
}

/** Builds the program into a folder; its path. */
export async function buildWindowHost(folder: string): Promise<string> {
  const outfile = join(folder, 'windowHost.cjs');
  await build({
    entryPoints: [join(__dirname, 'windowHost.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'warning',
  });
  return outfile;
}

interface Process {
  port: number;
  startMs: number;
  ask(wanted: Wanted): Promise<number>;
  close(): Promise<void>;
}

async function startProcess(program: string, dist: string, { sshd, target }: Place): Promise<Process> {
  const child = fork(program, { execArgv: [] });
  const ended = once(child, 'exit');
  const ask = async (wanted: Wanted) => {
    const heard = once(child, 'message') as Promise<[Told]>;
    child.send(wanted);
    const [told] = await Promise.race([
      heard,
      ended.then(([status]) => Promise.reject(new Error(`the window’s host ended with ${status}`))),
    ]);
    if (told.kind === 'failed') throw new Error(told.text);
    return told.value ?? NaN;
  };
  const close = async () => {
    if (child.connected) child.send({ kind: 'close' } satisfies Wanted);
    const impatient = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(impatient);
  };
  try {
    const port = await freePort();
    const plan: Plan = {
      connections: [planned('bench', [`-L ${port}:127.0.0.1:${target}`], { configFile: sshd.configPath('bench') })],
    };
    const startMs = await ask({ kind: 'start', workerPath: join(dist, 'worker.js'), plan });
    return { port, startMs, ask, close };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

export async function startWindow(program: string, dist: string, place: Place): Promise<WindowHost> {
  const { port, ask, close } = await startProcess(program, dist, place);
  return {
    port,
    block: async (on) => void (await ask({ kind: 'block', on })),
    watchDelay: async () => void (await ask({ kind: 'watchDelay' })),
    delayP99Ms: () => ask({ kind: 'delay' }),
    async startMs() {
      const other = await startProcess(program, dist, place);
      await other.close();
      return other.startMs;
    },
    close,
  };
}
