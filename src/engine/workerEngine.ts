// The engine as the extension host sees it: the port of core/engine, over a worker thread that starts when it is needed.
import { Worker } from 'node:worker_threads';
import type { Engine, EngineEvent } from '../core/engine.js';
import type { Answer, FromWorker, ToWorker } from './workerMessage.js';

/** How long the thread may take to close everything, in milliseconds; VS Code gives a deactivation about five seconds. */
const closeMs = 3000;

/** `workerPath`: dist/worker.js. The thread starts with the first plan that wants something, or the first question. */
export function startWorkerEngine(workerPath: string): Engine {
  const listeners = new Set<(event: EngineEvent) => void>();
  const waiting = new Map<number, (answer: Answer | undefined) => void>();
  let requests = 0;
  let worker: Worker | undefined;
  let closing = false;

  const emit = (event: EngineEvent) => {
    for (const listener of listeners) listener(event);
  };

  const started = (): Worker => {
    if (worker) return worker;
    const thread = new Worker(workerPath, { name: 'ssh-tunnels' });
    worker = thread;
    thread.on('message', (message: FromWorker) => {
      if (message.kind === 'event') emit(message.event);
      else if (message.kind !== 'closed') {
        waiting.get(message.request)?.(message);
        waiting.delete(message.request);
      }
    });
    let reason = 'its thread ended';
    thread.on('error', (error) => (reason = error.message));
    thread.on('exit', () => {
      if (worker === thread) worker = undefined;
      for (const answer of waiting.values()) answer(undefined);
      waiting.clear();
      if (!closing) emit({ kind: 'engineEnded', detail: reason });
    });
    return thread;
  };
  const send = (message: ToWorker) => started().postMessage(message);
  /** Undefined: the thread has ended before it answered. */
  const ask = (message: (request: number) => ToWorker): Promise<Answer | undefined> => {
    const request = ++requests;
    return new Promise((resolve) => {
      waiting.set(request, resolve);
      send(message(request));
    });
  };

  return {
    apply(plan) {
      if (!closing && (worker || plan.connections.length > 0)) send({ kind: 'apply', plan });
    },
    answer: (askId, reply) => {
      if (worker) send({ kind: 'answer', askId, reply });
    },
    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async hosts(configFile) {
      if (closing) return [];
      const answer = await ask((request) => ({ kind: 'hosts', request, configFile }));
      return answer?.kind === 'hosts' ? answer.hosts : [];
    },
    async clients(forward) {
      if (closing || !worker) return [];
      const answer = await ask((request) => ({ kind: 'clients', request, forward }));
      return answer?.kind === 'clients' ? answer.clients : [];
    },
    disconnect(forward, client) {
      if (worker) send({ kind: 'disconnect', forward, client });
    },
    async close() {
      closing = true;
      const thread = worker;
      if (!thread) return;
      const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
      thread.postMessage({ kind: 'close' } satisfies ToWorker);
      const impatient = setTimeout(() => void thread.terminate(), closeMs);
      await ended;
      clearTimeout(impatient);
    },
  };
}
