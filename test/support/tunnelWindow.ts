// Windows of VS Code without VS Code: engines that share their tunnels, in this process and in others.
import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ElsewhereState, Engine, EngineEvent } from '../../src/core/engine.js';
import type { Plan, PlannedConnection } from '../../src/core/plan.js';
import { emptySnapshot, reduce, type ForwardSeen, type Snapshot } from '../../src/core/snapshot.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { shareTunnels } from '../../src/engine/sharing.js';
import { probe, type EngineProbe } from './engineProbe.js';
import { eventually } from './eventually.js';
import { exchange } from './targets.js';

/** In this process. */
export function openWindow(folder: string): EngineProbe {
  return probe(shareTunnels(createEngine(), folder));
}

export interface DistantWindow extends EngineProbe {
  process: ChildProcess;
}

type ToWindow = { kind: 'apply'; plan: Plan } | { kind: 'close' };

/** In a process of its own. */
export async function forkWindow(folder: string): Promise<DistantWindow> {
  const root = join(__dirname, '../..');
  const child = fork(__filename, [folder], {
    cwd: root,
    execArgv: ['--import', 'tsx', '--import', './test/support/patchedSsh2.mjs'],
  });
  const ended = once(child, 'exit');
  const listeners = new Set<(event: EngineEvent) => void>();
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('exit', () => reject(new Error('the window did not open')));
  });
  child.on('message', (event: EngineEvent) => {
    for (const listener of listeners) listener(event);
  });
  const say = (message: ToWindow) => {
    if (child.connected) child.send(message);
  };
  const unused = () => assert.fail('not for a distant window');
  const engine: Engine = {
    apply: (plan) => say({ kind: 'apply', plan }),
    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      say({ kind: 'close' });
      await ended;
    },
    answer: unused,
    hosts: unused,
    configForwards: unused,
    explain: unused,
    serverPorts: unused,
    probe: unused,
    clients: unused,
    numbers: unused,
    way: unused,
    disconnect: unused,
  };
  return { ...probe(engine), process: child };
}

export function want(window: EngineProbe, ...connections: PlannedConnection[]): void {
  window.engine.apply({ connections });
}

/** What a window sees of its only forward. */
export function seen({ events }: EngineProbe): ForwardSeen | undefined {
  return Object.values(events.reduce<Snapshot>(reduce, emptySnapshot).forwards)[0];
}

export async function isElsewhere(window: EngineProbe, kind: ElsewhereState['kind'] = 'ready'): Promise<void> {
  await eventually(() => {
    const forward = seen(window);
    assert.ok(forward?.kind === 'elsewhere', JSON.stringify(window.events.slice(-5)));
    assert.equal(forward.state.kind, kind);
  });
}

export async function listens(window: EngineProbe): Promise<void> {
  await eventually(() => assert.equal(seen(window)?.kind, 'listening', JSON.stringify(window.events.slice(-5))));
}

/** Wants nothing, until there is nothing left to see. */
export async function rest(window: EngineProbe): Promise<void> {
  want(window);
  await eventually(() => {
    const { connections, forwards } = window.events.reduce<Snapshot>(reduce, emptySnapshot);
    assert.deepEqual([connections, forwards], [{}, {}]);
  });
}

/** Whether an echo answers at a port. */
export async function isOpen(port: number): Promise<boolean> {
  return (await exchange(port, Buffer.from('hi'))).received.toString() === 'hi';
}

/** For how long nobody answered at the port while the work was done and a little later, in milliseconds. */
export async function gapDuring(port: number, work: () => Promise<void>): Promise<number> {
  let isDone = false;
  let lastAnswer = performance.now();
  let longest = 0;
  const polling = (async () => {
    let after = 0;
    while (after < 10) {
      if (await isOpen(port)) {
        longest = Math.max(longest, performance.now() - lastAnswer);
        lastAnswer = performance.now();
        if (isDone) after++;
      }
      await sleep(5);
    }
  })();
  await work();
  isDone = true;
  await polling;
  return longest;
}

function serve(folder: string): void {
  const engine = shareTunnels(createEngine(), folder);
  engine.onEvent((event) => process.send!(event));
  process.on('message', (message: ToWindow) => {
    if (message.kind === 'apply') engine.apply(message.plan);
    else void engine.close().then(() => process.disconnect());
  });
  process.once('disconnect', () => process.exit());
  process.send!('open');
}

if (require.main === module) serve(process.argv[2]!);
