// The clients of one forward: who they are, what came of the last one, and their end.
import type { Socket } from 'node:net';
import type { Client, EngineEvent, ForwardNumbers } from '../core/engine.js';
import { failureOf, type Failure } from '../core/failure.js';
import { hostPort } from '../core/wording.js';
import { createTraffic, type Totals } from './traffic.js';

export interface Clients {
  /** How many there are that have nothing of any session yet. */
  readonly waiting: number;
  /**
   * Registers a client whose other side is being opened. `cut` ends it abruptly, at any time. One that `waits` has nothing of
   * the session yet, and outlives it.
   */
  add(peer: string, cut: () => void, waits?: true): ClientEntry;
  list(): readonly Client[];
  numbers(): ForwardNumbers;
  disconnect(id: number): void;
  cutAll(): void;
  /** The session has gone: cuts those that have something of it. */
  cutJoined(): void;
  /** Calls back when there is no client left, at once if there is none. */
  whenGone(then: () => void): void;
  /** Tells what came of the last connection to the target; only a change is news. */
  report(failure: Failure | undefined): void;
  /** The next result is news again. */
  forget(): void;
}

export interface ClientEntry {
  /** It carries data now: bytes are counted at `socket`; `isTarget` when that is the target's end. */
  joined(socket: Socket, cut: () => void, isTarget?: boolean): void;
  /** Where it asked to go. */
  target(text: string): void;
  /** Whether it waits for a session. */
  parked(isParked: boolean): void;
  setCut(cut: () => void): void;
  readonly gone: () => void;
}

interface Entry {
  peer: string;
  target?: string;
  since: number;
  cut: () => void;
  waits: boolean;
  isParked: boolean;
  counted?: { socket: Socket; isTarget: boolean };
}

let numbers = 0;

/** `count` is told of each that comes and goes. */
export function createClients(
  forward: string,
  emit: (event: EngineEvent) => void,
  count: (change: 1 | -1) => void,
): Clients {
  const entries = new Map<number, Entry>();
  const whenGone: (() => void)[] = [];
  let lastReport: string | undefined;
  let reached = 0;
  /** Of those that are gone. */
  const past: Totals = { sent: 0, received: 0 };
  const totals = () => {
    const sum = { ...past };
    for (const { counted } of entries.values()) add(sum, bytesOf(counted));
    return sum;
  };
  const traffic = createTraffic(totals);

  const cutAll = () => {
    for (const { cut } of [...entries.values()]) cut();
  };
  return {
    get waiting() {
      return [...entries.values()].filter(({ waits }) => waits).length;
    },
    add(peer, cut, waits) {
      const id = ++numbers;
      const entry: Entry = { peer, since: Date.now(), cut, waits: waits ?? false, isParked: false };
      entries.set(id, entry);
      count(1);
      traffic.opened(entries.size);
      return {
        joined(socket, nextCut, isTarget = false) {
          entry.waits = false;
          entry.counted = { socket, isTarget };
          entry.cut = nextCut;
        },
        target: (text) => (entry.target = text),
        parked: (isParked) => (entry.isParked = isParked),
        setCut: (next) => (entry.cut = next),
        gone: () => {
          if (!entries.delete(id)) return;
          add(past, bytesOf(entry.counted));
          count(-1);
          traffic.opened(entries.size);
          if (entries.size === 0) for (const then of whenGone.splice(0)) then();
        },
      };
    },
    // Node counts the bytes of a socket anyway: nothing is counted here until somebody looks.
    list: () =>
      [...entries].map(([id, { peer, target, since, isParked, counted }]) => {
        return {
          id,
          peer,
          ...(target !== undefined && { target }),
          ...(isParked && { isParked }),
          ...bytesOf(counted),
          since,
        };
      }),
    numbers: () => ({ series: traffic.read(), ...totals(), reached }),
    disconnect: (id) => entries.get(id)?.cut(),
    cutAll,
    cutJoined() {
      for (const { waits, cut } of [...entries.values()]) if (!waits) cut();
    },
    whenGone(then) {
      if (entries.size === 0) then();
      else whenGone.push(then);
    },
    report(failure) {
      if (!failure) reached++;
      const text = failure && JSON.stringify(failure);
      if (text === lastReport) return;
      lastReport = text;
      emit(failure ? { kind: 'channelFailed', forward, failure } : { kind: 'channelOpened', forward });
    },
    forget: () => (lastReport = undefined),
  };
}

function bytesOf(counted: Entry['counted']): Totals {
  const { bytesRead: read = 0, bytesWritten: written = 0 } = counted?.socket ?? {};
  return counted?.isTarget ? { sent: written, received: read } : { sent: read, received: written };
}

function add(sum: Totals, { sent, received }: Totals): void {
  sum.sent += sent;
  sum.received += received;
}

/** Where a client of this machine comes from. */
export function peerText({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress === undefined ? '' : hostPort(remoteAddress, remotePort ?? 0);
}

/** A refusal with the names that the channel did not know. */
export function refusalOf(error: unknown, target: string, host: string): Failure {
  const failure = failureOf(error);
  return failure.kind === 'channelRefused' ? { ...failure, target, host } : failure;
}
