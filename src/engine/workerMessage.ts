// What the extension host and the engine's thread say to each other: plain data.
import type { Engine, EngineEvent, Reply } from '../core/engine.js';
import type { Failure } from '../core/failure.js';
import type { ForwardId, Plan } from '../core/plan.js';

/** What a thread of dist/worker.js is started with. */
export interface WorkerData {
  /** Of dist/worker.js. */
  path: string;
  /** What the thread before has lost: for whatever of it nobody has started since no person is asked. */
  lost?: Plan;
  /** The engine shares its tunnels with those of other windows that were given the same folder. */
  sharedFolder?: string;
  /** The thread opens this encrypted key, says what it found (`OpenedKey`), and ends; absent: it is the engine. */
  key?: { text: string; passphrase: string };
  /** The thread is a sandbox, with its files in this folder, which it makes, and this HTML as its page (`FromSandbox`, `ToSandbox`). */
  sandbox?: { folder: string; page: string };
}

/** A sandbox tells that it is up, or why not. */
export type FromSandbox =
  { kind: 'sandboxReady'; port: number; configFile: string } | { kind: 'sandboxFailed'; detail: string };

/** It ends, and its thread with it. */
export type ToSandbox = { kind: 'close' };

export type ToWorker =
  | { kind: 'apply'; plan: Plan }
  | { kind: 'answer'; askId: string; reply: Reply }
  | { kind: 'question'; request: number; question: Question }
  /** Nobody waits for the answer any more. */
  | { kind: 'callOff'; request: number }
  | { kind: 'disconnect'; forward: ForwardId; client: number }
  | { kind: 'close' };

export type FromWorker =
  | { kind: 'event'; event: EngineEvent }
  /** `value`: of the type that the engine's method resolves to. */
  | { kind: 'answer'; request: number; value: unknown }
  | { kind: 'refused'; request: number; failure: Failure }
  | { kind: 'closed' };

/** The methods of the engine that are answered. */
export type Answered = 'hosts' | 'configForwards' | 'clients' | 'explain' | 'serverPorts' | 'probe' | 'numbers' | 'way';

/** A call of one of them; what calls it off is told by a message of its own. */
export type Question = {
  [Name in Answered]: { name: Name; arg: Parameters<Engine[Name]>[0] };
}[Answered];
