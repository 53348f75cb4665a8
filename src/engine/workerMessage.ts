// What the extension host and the engine's thread say to each other: plain data.
import type { Client, EngineEvent, Reply } from '../core/engine.js';
import type { ForwardId, Plan } from '../core/plan.js';

export type ToWorker =
  | { kind: 'apply'; plan: Plan }
  | { kind: 'answer'; askId: string; reply: Reply }
  | { kind: 'hosts'; request: number; configFile: string | undefined }
  | { kind: 'clients'; request: number; forward: ForwardId }
  | { kind: 'disconnect'; forward: ForwardId; client: number }
  | { kind: 'close' };

export type FromWorker = { kind: 'event'; event: EngineEvent } | ({ request: number } & Answer) | { kind: 'closed' };

/** What a request is answered with. */
export type Answer = { kind: 'hosts'; hosts: readonly string[] } | { kind: 'clients'; clients: readonly Client[] };
