// The engine's thread: a busy extension host does not stall a tunnel, and a busy tunnel does not stall the editor. Or, when
// the engine starts it once more, the thread in which an encrypted key is opened.
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { failureOf } from '../core/failure.js';
import type { Engine } from '../core/engine.js';
import type { Plan, PlannedConnection } from '../core/plan.js';
import { openHere } from './keyThread.js';
import { createEngine } from './reconciler.js';
import { runSandbox } from './sandboxServer.js';
import { shareTunnels } from './sharing.js';
import type { FromWorker, Question, ToWorker, WorkerData } from './workerMessage.js';

/** Does what the thread that calls it was started for. */
export function runWorker(): void {
  if (!parentPort) throw new Error('runs in a worker thread only');
  const { key, sandbox, sharedFolder, lost } = (workerData ?? {}) as Partial<WorkerData>;
  if (key) return parentPort.postMessage(openHere(key));
  if (sandbox) return runSandbox(parentPort, sandbox);
  runEngine(parentPort, sharedFolder === undefined ? createEngine() : shareTunnels(createEngine(), sharedFolder), lost);
}

function runEngine(port: MessagePort, engine: Engine, lost: Plan | undefined): void {
  const send = (message: FromWorker) => port.postMessage(message);
  const asked = new Map<number, AbortController>();
  engine.onEvent((event) => send({ kind: 'event', event }));

  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'apply':
        engine.apply(lost ? withUnattended(message.plan, lost) : message.plan);
        break;
      case 'answer':
        engine.answer(message.askId, message.reply);
        break;
      case 'question': {
        const { request, question } = message;
        const abort = new AbortController();
        asked.set(request, abort);
        // Nothing that is asked on the side may end the tunnels.
        void answerTo(engine, question, abort.signal)
          .then(
            (value) => send({ kind: 'answer', request, value }),
            (error: unknown) => send({ kind: 'refused', request, failure: failureOf(error) }),
          )
          .finally(() => asked.delete(request));
        break;
      }
      case 'callOff':
        asked.get(message.request)?.abort();
        break;
      case 'disconnect':
        engine.disconnect(message.forward, message.client);
        break;
      case 'close':
        void engine.close().then(() => {
          send({ kind: 'closed' });
          port.close();
        });
    }
  });
}

async function answerTo(engine: Engine, { name, arg }: Question, calledOff: AbortSignal): Promise<unknown> {
  const method = engine[name] as (arg: unknown, calledOff: AbortSignal) => Promise<unknown>;
  return method(arg, calledOff);
}

function withUnattended(plan: Plan, lost: Plan): Plan {
  const connections = plan.connections.map((connection) =>
    isStartedSince(lost, connection) ? connection : { ...connection, isUnattended: true as const },
  );
  return { ...plan, connections };
}

/** Whether somebody has asked for something of it that was not in the plan. */
function isStartedSince({ connections }: Plan, { id, run, retry, forwards }: PlannedConnection): boolean {
  const before = connections.find((connection) => connection.id === id);
  if (!before || before.run !== run || before.retry !== retry) return true;
  return forwards.some(
    (forward) => !before.forwards.some((other) => other.id === forward.id && other.run === forward.run),
  );
}
