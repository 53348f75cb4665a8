// How a host is reached and why so: what "Explain Connection" shows. Plain data, no secret in it.
import type { Origin } from './configForward.js';
import type { Failure } from './failure.js';

/** Where an effective value comes from. */
export type ValueSource = { kind: 'file'; origin: Origin } | { kind: 'given' } | { kind: 'default' };

/** One host of the way there, the jump hosts first. */
export interface ExplainedHost {
  /** As it was asked for. */
  name: string;
  options: readonly { keyword: string; value: string; source: ValueSource }[];
  /** What would be offered, in order; `fingerprint` as `ssh-keygen -l` prints it. */
  identities: readonly { name: string; keyType: string; fingerprint: string; note?: string }[];
  /** All keys of the agent; absent: there is no agent. */
  agent?:
    | { path: string; keys: readonly { comment: string; keyType: string; fingerprint: string }[] }
    | { path: string; failure: Failure };
  /** The lines of known_hosts that are about this host. */
  knownHosts: readonly (Origin & { keyType: string; fingerprint: string; marker?: 'revoked' | 'cert-authority' })[];
  /** Of the try to connect, in order. Absent phases were not reached. */
  phases: readonly { name: string; ms: number; note?: string }[];
  failure?: Failure;
}

export interface Explanation {
  hosts: readonly ExplainedHost[];
  /** Why nothing could be found out at all. */
  failure?: Failure;
}
