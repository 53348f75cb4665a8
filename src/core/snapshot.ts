// What is seen of the engine's work. `reduce` is the only writer.
import type { Ask, BoundAddress, ElsewhereState, EngineEvent, Listened, Ready } from './engine.js';
import type { Failure } from './failure.js';
import { connectionOf, isWanted, type ConnectionId, type ForwardId } from './plan.js';
import type { Tunnel } from './session.js';

export type ConnectionSeen =
  | { kind: 'connecting'; attempt: number }
  | { kind: 'ready'; server: string }
  /** It waits for a client; `failure` of the last dial. */
  | { kind: 'idle'; failure?: Failure }
  /** `attempt`: the one that failed; without `retryAt` (ms since 1970) the one that is under way. */
  | { kind: 'retrying'; failure: Failure; attempt: number; retryAt?: number }
  | { kind: 'failed'; failure: Failure };

/** `run` is the start of the tunnel that it is about. */
export type ForwardSeen =
  | ({ kind: 'listening'; run: number; /** of the last channel */ refused?: Failure } & Listened)
  | { kind: 'failed'; run: number; failure: Failure }
  | { kind: 'retrying'; run: number; failure: Failure; attempt: number; retryAt: number }
  /** In another window. */
  | { kind: 'elsewhere'; run: number; state: ElsewhereState };

export interface Snapshot {
  connections: Readonly<Record<ConnectionId, ConnectionSeen>>;
  forwards: Readonly<Record<ForwardId, ForwardSeen>>;
  /** Open questions, the oldest first. */
  asks: readonly Ask[];
  /** Why the engine ended last: so stand the tunnels that it lost. */
  ended?: ConnectionSeen & { kind: 'failed' };
}

export const emptySnapshot: Snapshot = { connections: {}, forwards: {}, asks: [] };

export function reduce(snapshot: Snapshot, event: EngineEvent): Snapshot {
  const connection = (id: ConnectionId, seen: ConnectionSeen): Snapshot => ({
    ...snapshot,
    connections: { ...snapshot.connections, [id]: seen },
  });
  const forward = (id: ForwardId, seen: ForwardSeen): Snapshot => ({
    ...snapshot,
    forwards: { ...snapshot.forwards, [id]: seen },
  });
  switch (event.kind) {
    case 'connecting': {
      const { attempt } = event;
      const before = connectionSeen(snapshot, event.connection);
      // In the background it is still the same trouble; the first attempt is one that a person wants.
      if (attempt > 1 && before?.kind === 'retrying')
        return connection(event.connection, { kind: 'retrying', failure: before.failure, attempt });
      return connection(event.connection, { kind: 'connecting', attempt });
    }
    case 'connected':
      return connection(event.connection, { kind: 'ready', server: event.server });
    case 'connectionLost':
      return connection(event.connection, {
        kind: 'retrying',
        failure: event.failure,
        attempt: event.attempt,
        retryAt: event.retryAt,
      });
    case 'connectionFailed':
      return connection(event.connection, { kind: 'failed', failure: event.failure });
    case 'connectionIdle':
      return connection(event.connection, { kind: 'idle', ...(event.failure && { failure: event.failure }) });
    case 'connectionClosed':
      return { ...snapshot, connections: without(snapshot.connections, event.connection) };
    case 'listening':
      return forward(event.forward, {
        kind: 'listening',
        run: event.run,
        bound: event.bound,
        unbound: event.unbound,
        asked: event.asked,
        access: event.access,
      });
    case 'listenFailed':
      return forward(event.forward, { kind: 'failed', run: event.run, failure: event.failure });
    case 'listenRetrying': {
      const { run, failure, attempt, retryAt } = event;
      return forward(event.forward, { kind: 'retrying', run, failure, attempt, retryAt });
    }
    case 'runningElsewhere':
      return forward(event.forward, { kind: 'elsewhere', run: event.run, state: event.state });
    case 'forwardClosed':
      return { ...snapshot, forwards: without(snapshot.forwards, event.forward) };
    case 'channelOpened':
    case 'channelFailed': {
      const seen = snapshot.forwards[event.forward];
      if (seen?.kind !== 'listening') return snapshot;
      const { refused, ...listening } = seen;
      if (event.kind === 'channelFailed') return forward(event.forward, { ...listening, refused: event.failure });
      return refused ? forward(event.forward, listening) : snapshot;
    }
    case 'asked':
      return { ...snapshot, asks: [...snapshot.asks, event.ask] };
    case 'askSettled':
      return { ...snapshot, asks: snapshot.asks.filter(({ id }) => id !== event.id) };
    case 'engineEnded': {
      // What was lost before is so still.
      if (event.isRestarted) return { ...emptySnapshot, ...(snapshot.ended && { ended: snapshot.ended }) };
      const ended = { kind: 'failed', failure: { kind: 'engineEnded', detail: event.detail } } as const;
      return { ...emptySnapshot, ended };
    }
    case 'serverSaid':
    case 'drained':
    case 'logged':
      return snapshot;
  }
}

function without<T>(record: Readonly<Record<string, T>>, key: string): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(record).filter(([other]) => other !== key));
}

/** What is seen of a connection; nothing before the engine comes to it. */
export function connectionSeen({ connections }: Snapshot, id: ConnectionId): ConnectionSeen | undefined {
  return Object.hasOwn(connections, id) ? connections[id] : undefined;
}

/**
 * The five states of a tunnel, with what each has to say. What is `bound` while there is no connection listens all the time:
 * its clients wait.
 */
export type TunnelState =
  | {
      kind: 'connecting';
      ask?: Ask;
      bound?: readonly BoundAddress[];
      /** Another window has it. */ isElsewhere?: true;
    }
  | (Ready & { isElsewhere?: true })
  | {
      kind: 'retrying';
      failure: Failure;
      attempt: number;
      /** Absent: it is tried right now. */ retryAt?: number;
      bound?: readonly BoundAddress[];
      isElsewhere?: true;
    }
  | { kind: 'failed'; failure: Failure }
  | { kind: 'stopped'; /** Its last clients finish. */ draining: boolean };

/** What a tunnel's connection and listener make together: it is ready only when both are up. */
export function tunnelState(tunnel: Tunnel, snapshot: Snapshot): TunnelState {
  if (tunnel.wish === 'lost' && snapshot.ended) return snapshot.ended;
  if (!isWanted(tunnel)) return { kind: 'stopped', draining: tunnel.wish === 'drain' };
  const id = connectionOf(tunnel);
  const connection = connectionSeen(snapshot, id);
  const seen = snapshot.forwards[tunnel.id];
  const forward = seen?.run === tunnel.run ? seen : undefined;
  // Its connection here is for others, if there is one.
  if (forward?.kind === 'elsewhere') return { ...forward.state, isElsewhere: true };
  // Its connection's coming back does not mend it; there is none where it was another window's, which has let go of it.
  if (forward?.kind === 'failed' && connection?.kind !== 'failed') return { kind: 'failed', failure: forward.failure };
  const waiting = forward?.kind === 'listening' && tunnel.spec.kind !== 'remote' ? { bound: forward.bound } : {};
  switch (connection?.kind) {
    case undefined:
    case 'connecting':
      return { kind: 'connecting', ...askOf(snapshot, (ask) => ask.connection === id), ...waiting };
    case 'retrying': {
      // Only what a person wants may ask.
      const open = askOf(snapshot, (ask) => ask.connection === id);
      return open.ask ? { kind: 'connecting', ...open, ...waiting } : { ...connection, ...waiting };
    }
    case 'failed':
      return connection;
    case 'idle':
    case 'ready': {
      const state = forwardState(forward);
      if (state.kind === 'connecting')
        return { ...state, ...askOf(snapshot, (ask) => ask.kind === 'openToNetwork' && ask.forward === tunnel.id) };
      if (state.kind !== 'ready' || connection.kind !== 'idle') return state;
      return { ...state, isIdle: true, ...(connection.failure && { refused: connection.failure }) };
    }
  }
}

function askOf({ asks }: Snapshot, isAbout: (ask: Ask) => boolean): { ask?: Ask } {
  const ask = asks.find(isAbout);
  return ask ? { ask } : {};
}

function forwardState(forward: Exclude<ForwardSeen, { kind: 'elsewhere' }> | undefined): TunnelState {
  switch (forward?.kind) {
    case undefined:
      return { kind: 'connecting' };
    case 'failed':
      return { kind: 'failed', failure: forward.failure };
    case 'retrying': {
      const { run: _, ...retrying } = forward;
      return retrying;
    }
    case 'listening': {
      const { bound, unbound, asked, access, refused } = forward;
      return { kind: 'ready', bound, unbound, asked, access, ...(refused && { refused }) };
    }
  }
}

/** Where a tunnel listens now, whatever becomes of its clients. */
export function boundOf(state: TunnelState): readonly BoundAddress[] {
  return ('bound' in state ? state.bound : undefined) ?? [];
}
