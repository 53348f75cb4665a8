// The port between what is wanted and what runs: implemented by engine/reconciler (in this thread) and by
// engine/workerEngine (in a worker thread). Everything that crosses it is plain data.
import type { Failure } from './failure.js';
import type { Plan, ConnectionId, ForwardId } from './plan.js';

export interface Engine {
  /** Makes what runs equal to the plan. The whole plan each time; the same plan twice does nothing. */
  apply(plan: Plan): void;
  /** Answers an ask; an id that is no longer open is ignored. */
  answer(askId: string, reply: Reply): void;
  /** Calls the listener with every event from now on, in order; returns what ends that. */
  onEvent(listener: (event: EngineEvent) => void): () => void;
  /** The names a person can pick: Host entries of the ssh_config file (default ~/.ssh/config), patterns left out. */
  hosts(configFile: string | undefined): Promise<readonly string[]>;
  /** Ends every listener, channel and connection; resolves when they are closed. */
  close(): Promise<void>;
}

/** An address that is really bound, as the system reports it. */
export interface BoundAddress {
  address: string;
  family: 4 | 6;
  /** 1 to 65535 */
  port: number;
}

/** A question that only a person can answer. `attempt` counts from 1. */
export type Ask = { id: string; connection: ConnectionId } & (
  | {
      kind: 'hostKey';
      /** As it will stand in known_hosts: `web01` or `[web01]:2222`. */
      host: string;
      keyType: string;
      /** `SHA256:...`, as ssh-keygen -l prints it. */
      fingerprint: string;
      /** Other keys of this host that known_hosts has: a server that changed its key's type, or somebody in between. */
      known: readonly { keyType: string; file: string; line: number }[];
      /** Where Accept and Remember will write; absent: it can't be remembered. */
      file?: string;
    }
  | { kind: 'passphrase'; path: string; attempt: number }
  | { kind: 'password'; user: string; host: string; port: number; attempt: number }
);

export type Reply =
  { kind: 'cancel' } | { kind: 'hostKey'; accept: 'once' | 'remember' } | { kind: 'secret'; secret: string };

export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

/** Facts, in the past tense. */
export type EngineEvent =
  | { kind: 'connecting'; connection: ConnectionId; attempt: number }
  | { kind: 'connected'; connection: ConnectionId; /** `user@address:port` after ssh_config */ server: string }
  | {
      kind: 'connectionLost';
      connection: ConnectionId;
      failure: Failure;
      attempt: number;
      /** ms since 1970 */ retryAt: number;
    }
  | { kind: 'connectionFailed'; connection: ConnectionId; failure: Failure }
  | { kind: 'connectionClosed'; connection: ConnectionId }
  | {
      kind: 'listening';
      forward: ForwardId;
      /** The planned run that listens. */
      run: number;
      bound: readonly BoundAddress[];
      /** asked for, but not to be had */ unbound: readonly Failure[];
    }
  | { kind: 'listenFailed'; forward: ForwardId; run: number; failure: Failure }
  | { kind: 'forwardClosed'; forward: ForwardId }
  | { kind: 'channelOpened'; forward: ForwardId }
  | { kind: 'channelFailed'; forward: ForwardId; failure: Failure }
  | { kind: 'asked'; ask: Ask }
  | { kind: 'askSettled'; id: string }
  | { kind: 'logged'; level: LogLevel; text: string }
  | { kind: 'engineEnded'; detail: string };
