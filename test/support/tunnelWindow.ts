// Windows of VS Code without VS Code: engines that share their tunnels, in this process and in others.
import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Engine, EngineEvent } from '../../src/core/engine.js';
import type { Plan } from '../../src/core/plan.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { shareTunnels } from '../../src/engine/sharing.js';
import { probe, type EngineProbe } from './engineProbe.js';

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
    clients: unused,
    disconnect: unused,
  };
  return { ...probe(engine), process: child };
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
