// A process that has the engine as the extension host has it: in a worker thread, behind a main thread that may be busy.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { startWorkerEngine } from '../../src/engine/workerEngine.js';
import type { Plan } from '../../src/core/plan.js';
import type { Engine } from '../../src/core/engine.js';
import type { Told, Wanted } from './window.js';

const busyMs = 200;
const everyMs = 400;
/** Of the timer that measures; what it is late is the delay. */
const resolutionMs = 1;

const tell = (told: Told) => process.send!(told);

async function startedMs(engine: Engine, plan: Plan): Promise<number> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    engine.onEvent((event) => {
      if (event.kind === 'listening') resolve(performance.now() - begun);
      if (event.kind === 'connectionFailed' || event.kind === 'listenFailed' || event.kind === 'engineEnded')
        reject(new Error(JSON.stringify(event)));
    });
    engine.apply(plan);
  });
}

const delay = monitorEventLoopDelay({ resolution: resolutionMs });
let engine: Engine | undefined;
let blocking: NodeJS.Timeout | undefined;

async function carryOut(wanted: Wanted): Promise<void> {
  switch (wanted.kind) {
    case 'start':
      engine = startWorkerEngine(wanted.workerPath);
      return void tell({ kind: 'done', value: await startedMs(engine, wanted.plan) });
    case 'block':
      clearInterval(blocking);
      if (wanted.on)
        blocking = setInterval(() => {
          const until = performance.now() + busyMs;
          while (performance.now() < until);
        }, everyMs);
      return void tell({ kind: 'done' });
    case 'watchDelay':
      delay.reset();
      delay.enable();
      return void tell({ kind: 'done' });
    case 'delay':
      delay.disable();
      return void tell({ kind: 'done', value: Math.max(0, delay.percentile(99) / 1e6 - resolutionMs) });
    case 'close':
      clearInterval(blocking);
      await engine?.close();
      process.disconnect();
  }
}

process.on('message', (wanted: Wanted) => {
  carryOut(wanted).catch((error: unknown) => tell({ kind: 'failed', text: String(error) }));
});
