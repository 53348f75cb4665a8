// What the extension host and the engine's thread say to each other: plain data.
import type { EngineEvent, Reply } from '../core/engine.js';
import type { Plan } from '../core/plan.js';

export type ToWorker =
  | { kind: 'apply'; plan: Plan }
  | { kind: 'answer'; askId: string; reply: Reply }
  | { kind: 'hosts'; request: number; configFile: string | undefined }
  | { kind: 'close' };

export type FromWorker =
  | { kind: 'event'; event: EngineEvent }
  | { kind: 'hosts'; request: number; hosts: readonly string[] }
  | { kind: 'closed' };
