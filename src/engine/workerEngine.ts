// The engine as the extension host sees it: the port of core/engine, over a worker thread that starts when it is needed.
import { Worker } from 'node:worker_threads';
import type { Engine, EngineEvent } from '../core/engine.js';
import { FailureError } from '../core/failure.js';
import type { Plan } from '../core/plan.js';
import type { Answered, FromWorker, Question, ToWorker, WorkerData } from './workerMessage.js';

/** How long the thread may take to close everything, in milliseconds; VS Code gives a deactivation about five seconds. */
const closeMs = 3000;
/** A thread that ends by itself is started again, unless another one has ended so many milliseconds ago or less. */
const steadyMs = 60_000;
const nothing: Plan = { connections: [] };
/**
 * A leak ends the thread, and not the extension host with all that runs in it. Two thousand connections take 12 MB of it;
 * buffers don’t count.
 */
const resourceLimits = { maxOldGenerationSizeMb: 512 };

export interface WorkerEngineOptions {
  /** Tunnels are shared with the other windows of this user that were given the same folder. */
  sharedFolder?: string;
}

/**
 * `workerPath`: dist/worker.js. The thread starts with the first plan that wants something, or the first question; it is
 * started again, with the plan that was applied last, when it ends by itself, but not twice within a minute.
 */
export function startWorkerEngine(workerPath: string, { sharedFolder }: WorkerEngineOptions = {}): Engine {
  const listeners = new Set<(event: EngineEvent) => void>();
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let requests = 0;
  let worker: Worker | undefined;
  let closing = false;
  /** Applied last; what is lost when a thread ends. */
  let current: Plan = nothing;
  /** What the last thread lost. */
  let lost: Plan = nothing;
  /** When a thread has ended by itself, on the clock of `performance`. */
  let endedAt = -Infinity;

  const emit = (event: EngineEvent) => {
    for (const listener of listeners) listener(event);
  };

  const started = (): Worker => {
    if (worker) return worker;
    const data: WorkerData = { path: workerPath, lost, ...(sharedFolder !== undefined && { sharedFolder }) };
    const thread = new Worker(workerPath, { name: 'ssh-tunnels', workerData: data, resourceLimits });
    worker = thread;
    thread.on('message', (message: FromWorker) => {
      if (message.kind === 'event') emit(message.event);
      else if (message.kind !== 'closed') {
        const asker = waiting.get(message.request);
        waiting.delete(message.request);
        if (message.kind === 'answer') asker?.resolve(message.value);
        else asker?.reject(new FailureError(message.failure));
      }
    });
    let reason = 'its thread ended';
    thread.on('error', (error) => (reason = error.message));
    thread.on('exit', () => {
      if (worker === thread) worker = undefined;
      const ended = new FailureError({ kind: 'engineEnded', detail: reason });
      for (const asker of waiting.values()) asker.reject(ended);
      waiting.clear();
      if (!closing) restart(reason);
    });
    return thread;
  };
  const restart = (detail: string) => {
    const isSteady = performance.now() - endedAt > steadyMs;
    endedAt = performance.now();
    const before = (lost = current);
    if (!isSteady) {
      current = lost = nothing;
      return emit({ kind: 'engineEnded', detail });
    }
    emit({ kind: 'engineEnded', detail, isRestarted: true });
    // Whoever has heard it may want something else.
    if (current === before) apply(before);
  };
  const send = (message: ToWorker) => started().postMessage(message);
  /** Rejects with a FailureError: the engine's own, that it was called off, or that the thread has ended before it answered. */
  const ask = <Name extends Answered>(
    name: Name,
    arg: Parameters<Engine[Name]>[0],
    calledOff?: AbortSignal,
  ): ReturnType<Engine[Name]> => {
    const answer = new Promise((resolve, reject) => {
      if (closing || calledOff?.aborted) return reject(new FailureError({ kind: 'cancelled' }));
      const request = ++requests;
      const callOff = () => {
        if (!waiting.delete(request)) return;
        worker?.postMessage({ kind: 'callOff', request } satisfies ToWorker);
        reject(new FailureError({ kind: 'cancelled' }));
      };
      calledOff?.addEventListener('abort', callOff, { once: true });
      const done = () => calledOff?.removeEventListener('abort', callOff);
      waiting.set(request, {
        resolve: (value) => (done(), resolve(value)),
        reject: (error) => (done(), reject(error)),
      });
      send({ kind: 'question', request, question: { name, arg } as Question });
    });
    return answer as ReturnType<Engine[Name]>;
  };

  const apply = (plan: Plan) => {
    if (closing) return;
    current = plan;
    if (worker || plan.connections.length > 0) send({ kind: 'apply', plan });
  };

  return {
    apply,
    answer: (askId, reply) => {
      if (worker) send({ kind: 'answer', askId, reply });
    },
    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    // A list that can't be made is an empty one.
    hosts: (configFile) => ask('hosts', configFile).catch(() => []),
    configForwards: (configFile) => ask('configForwards', configFile),
    clients: async (forward) => (worker ? ask('clients', forward).catch(() => []) : []),
    numbers: async (forward) => (worker ? ask('numbers', forward).catch(() => undefined) : undefined),
    way: async (connection) => (worker ? ask('way', connection).catch(() => []) : []),
    explain: (host, calledOff) => ask('explain', host, calledOff),
    serverPorts: (host, calledOff) => ask('serverPorts', host, calledOff),
    probe: (forward, calledOff) => ask('probe', forward, calledOff),
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
