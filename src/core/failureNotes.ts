// What failed lately, for those who look at it later.
import type { EngineEvent } from './engine.js';
import type { Failure } from './failure.js';
import { connectionOf, type ConnectionId, type ForwardId } from './plan.js';
import type { Wanted } from './session.js';

/** What failed lately, by what it is about. */
export type FailureNotes = Readonly<Record<string, readonly FailureNote[]>>;
export interface FailureNote {
  /** ms since 1970; of the last time */
  at: number;
  failure: Failure;
  /** How often in a row. */
  times: number;
}

export const notesKept = 10;

/** Takes a failure down, `now` in ms since 1970; the last 10 of each tunnel and each connection are kept. */
export function noteFailure(notes: FailureNotes, event: EngineEvent, now: number): FailureNotes {
  if (event.kind !== 'channelFailed' && event.kind !== 'listenFailed' && event.kind !== 'connectionLost' && event.kind !== 'connectionFailed') return notes; // prettier-ignore
  const { failure } = event;
  if (failure.kind === 'cancelled') return notes;
  const key = 'forward' in event ? forwardKey(event.forward) : connectionKey(event.connection);
  const [last, ...before] = notes[key] ?? [];
  const isAgain = last !== undefined && JSON.stringify(last.failure) === JSON.stringify(failure);
  const note = { at: now, failure, times: isAgain ? last.times + 1 : 1 };
  const older = isAgain || !last ? before : [last, ...before];
  return { ...notes, [key]: [note, ...older].slice(0, notesKept) };
}

/** Those of tunnels on the list and of their connections: what is gone for good is forgotten. */
export function listedNotes(notes: FailureNotes, { tunnels }: Wanted): FailureNotes {
  const kept = Object.entries(notes).filter(([key]) =>
    tunnels.some((tunnel) => key === forwardKey(tunnel.id) || key === connectionKey(connectionOf(tunnel))),
  );
  return Object.fromEntries(kept);
}

/** The key of a forward’s notes. */
export function forwardKey(id: ForwardId): string {
  return `forward ${id}`;
}

/** The key of a connection’s notes. */
export function connectionKey(id: ConnectionId): string {
  return `connection ${id}`;
}
