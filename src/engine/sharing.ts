// Windows that want the same tunnel share it: one runs it, the others tell how it stands there, and take over when that one
// lets go or dies. An engine around an engine, which is given only the forwards whose leases are had.
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ask, BoundAddress, ElsewhereState, Engine, EngineEvent } from '../core/engine.js';
import { FailureError, failureOf, innermost, unanswered, type Failure } from '../core/failure.js';
import { printEndpoint } from '../core/forwardSpec.js';
import { forwardIdentity, parseOwnerWord, printOwnerWord } from '../core/ownerWord.js';
import type { ConnectionId, ForwardId, Plan, PlannedConnection, PlannedForward } from '../core/plan.js';
import { connectionSeen, emptySnapshot, reduce, tunnelState, type TunnelState } from '../core/snapshot.js';
import { failureText } from '../core/wording.js';
import { openLease, type Lease } from './lease.js';
import { openLeaseRoom, type LeaseRoom } from './leaseRoom.js';
import { probeElsewhere } from './probeElsewhere.js';

/** A forward that this window wants and may share. */
interface Claim {
  readonly identity: string;
  connection: PlannedConnection;
  forward: PlannedForward;
  /** Absent: there is no asking others, and it is had. */
  lease: Lease | undefined;
  stand: Stand;
  /** It is about to be started again, for a port that the one before still holds. */
  isTriedAgain: boolean;
  /** It was taken over from another window, at this time on the clock of `performance`, where it was bound to this. */
  taken?: { at: number; bound: readonly BoundAddress[] };
}

type Stand =
  /** Nobody knows yet. */
  | { kind: 'asking' }
  | { kind: 'owned' }
  /** `bound`: when it was ready last. */
  | { kind: 'elsewhere'; state: ElsewhereState; told: string; bound: readonly BoundAddress[] }
  /** Here (the engine knows it), or in the window that had it. Nobody has it until a person starts it again. */
  | { kind: 'failed'; isOwn: boolean };

/** How long a lease is kept for a listener that nobody has seen, in milliseconds, and for one that takes long to close. */
const unseenMs = 500;
const closingMs = 10_000;
/** What one window loses at once is taken over together. */
const gatherMs = 20;
/** How long what the window before had may be held by the system or a server that is still busy with its end. */
const heldMs = 5_000;
const againMs = 250;
/** How much later than a client's reset it is heard at most that the window has let go, or why it reset it. */
const wordMs = 500;
const wordStepMs = 25;
/** More starts than a person makes. */
const restartsFactor = 2 ** 32;

/**
 * Shares the inner engine's tunnels with the other windows of this user that were given the same folder, which is made. Where
 * it can't be used, they are not shared, and a warning says why.
 */
export function shareTunnels(inner: Engine, folder: string): Engine {
  const listeners = new Set<(event: EngineEvent) => void>();
  const claims = new Map<ForwardId, Claim>();
  /** Those that are no longer wanted, until the inner engine listens no more. */
  const leaving = new Map<Claim, NodeJS.Timeout>();
  const closings = new Set<Promise<void>>();
  const timers = new Set<NodeJS.Timeout>();
  /** How often a forward was started again that was taken over, as long as the inner engine has it. */
  const restarts = new Map<ForwardId, number>();
  /** Of what is tried again. */
  const passing = new WeakSet<Failure>();
  /** What was taken over last of these, and no person of this window has started anything of since. */
  const unattended = new Set<ConnectionId>();
  /** The last question about each. */
  const questions = new Map<ConnectionId, Ask>();
  let room: LeaseRoom | undefined;
  let isShared: boolean | undefined;
  let current: Plan = { connections: [] };
  /** What the inner engine was given last. */
  let sent: Plan = { connections: [] };
  let snapshot = emptySnapshot;
  let closing = false;

  const emit = (event: EngineEvent) => {
    for (const listener of listeners) listener(event);
  };
  const warn = (error: unknown) => {
    const reason = error instanceof FailureError ? failureText(failureOf(error)) : (error as Error).message;
    emit({ kind: 'logged', level: 'warning', text: `Tunnels aren’t shared with other windows: ${reason}` });
  };
  /** Windows meet when the first of them wants a tunnel. */
  const meet = (): LeaseRoom | undefined => {
    if (isShared !== undefined) return room;
    try {
      room = openLeaseRoom(folder);
      isShared = true;
    } catch (error) {
      isShared = false;
      warn(error);
    }
    return room;
  };
  const later = (ms: number, work: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timers.add(timer);
  };

  const sentForward = (id: ForwardId) => forwardIn(sent, id);
  const isCurrent = (claim: Claim) => claims.get(claim.forward.id) === claim;
  const release = (claim: Claim) => {
    clearTimeout(leaving.get(claim));
    leaving.delete(claim);
    const closed = claim.lease?.close();
    if (!closed) return;
    closings.add(closed);
    void closed.finally(() => closings.delete(closed));
  };

  const newClaim = (identity: string, connection: PlannedConnection, forward: PlannedForward): void => {
    const claim: Claim = {
      identity,
      connection,
      forward,
      lease: undefined,
      stand: { kind: 'asking' },
      isTriedAgain: false,
    };
    claims.set(forward.id, claim);
    const room = meet();
    if (!room) {
      claim.stand = { kind: 'owned' };
      return;
    }
    claim.lease = openLease(room, identity, {
      onOwned: () => isCurrent(claim) && owned(claim),
      onHeard: (word) => isCurrent(claim) && heard(claim, word),
      onBroken(error) {
        claim.lease = undefined;
        if (!isCurrent(claim)) return;
        warn(error);
        if (claim.stand.kind !== 'failed') owned(claim);
      },
    });
    claim.lease.contend();
  };

  const owned = (claim: Claim) => {
    const before = claim.stand;
    claim.stand = { kind: 'owned' };
    tellOwn(claim);
    if (before.kind !== 'elsewhere') return push();
    claim.taken = { at: performance.now(), bound: before.bound };
    unattended.add(claim.connection.id);
    // What was seen of the other window is over.
    emit({ kind: 'forwardClosed', forward: claim.forward.id });
    later(gatherMs, push);
  };

  const heard = (claim: Claim, text: string | undefined) => {
    const word = text === undefined ? undefined : parseOwnerWord(text);
    const { id, run } = claim.forward;
    if (word?.kind === 'failed') {
      if (claim.stand.kind === 'failed') return;
      claim.lease?.observe();
      claim.stand = { kind: 'failed', isOwn: false };
      push();
      emit({ kind: 'listenFailed', forward: id, run, failure: word.failure });
      return;
    }
    // Who says nothing may be about to die, or not to have it.
    if (!word && claim.stand.kind === 'failed') return;
    claim.lease?.contend();
    const { told, bound } = claim.stand.kind === 'elsewhere' ? claim.stand : { told: '', bound: [] };
    const state = word ?? { kind: 'connecting' };
    claim.stand = { kind: 'elsewhere', state, told, bound: state.kind === 'ready' ? state.bound : bound };
    push();
    showElsewhere(claim);
  };

  const showElsewhere = ({ stand, forward: { id, run } }: Claim, again = false) => {
    if (stand.kind !== 'elsewhere') return;
    const event: EngineEvent = { kind: 'runningElsewhere', forward: id, run, state: stand.state };
    const told = JSON.stringify(event);
    if (told === stand.told && !again) return;
    stand.told = told;
    emit(event);
  };

  /** How the inner engine has it. */
  const ownState = ({ connection, forward }: Claim): TunnelState => {
    const { destination } = connection.host;
    const { id, spec, run } = forward;
    return tunnelState({ id, destination, spec, wish: 'exact', automatic: false, run }, snapshot);
  };
  const tellOwn = (claim: Claim) => {
    const state: TunnelState = sentForward(claim.forward.id) ? ownState(claim) : { kind: 'connecting' };
    // One that has failed is told when it does: until then that is of an earlier start.
    claim.lease?.tell(printOwnerWord(state.kind === 'failed' ? { kind: 'connecting' } : state));
  };

  const tellChange = (claim: Claim, event: EngineEvent) => {
    const { lease, stand } = claim;
    if (!lease || !sentForward(claim.forward.id)) return;
    const state = ownState(claim);
    if (stand.kind === 'owned' && state.kind === 'failed' && isFailedBy(event, claim)) {
      // Nobody else shall ask a person the same again; but whoever starts it by hand may have it.
      claim.stand = { kind: 'failed', isOwn: true };
      lease.observe(lastWord(claim, state));
    } else if (stand.kind === 'owned') tellOwn(claim);
    else if (stand.kind === 'failed' && stand.isOwn && state.kind !== 'failed') {
      // By itself, with its connection: if somebody else has it now, that will be heard.
      claim.stand = { kind: 'owned' };
      lease.contend();
    }
  };

  /** A person who has called it off here has not done so for the others: there it waits to be started. */
  const lastWord = ({ connection }: Claim, state: TunnelState & { kind: 'failed' }): string | undefined => {
    if (innermost(state.failure).kind !== 'cancelled') return printOwnerWord(state);
    const ask = questions.get(connection.id);
    return ask && printOwnerWord({ kind: 'failed', failure: unanswered(ask, connection.host.destination.host) });
  };

  const leave = (claim: Claim) => {
    const { forward, stand } = claim;
    claims.delete(forward.id);
    const isOwned = stand.kind === 'owned' && sentForward(forward.id) && claim.lease;
    if (isOwned) {
      const isSeen = Object.hasOwn(snapshot.forwards, forward.id);
      leaving.set(
        claim,
        setTimeout(() => release(claim), isSeen ? closingMs : unseenMs),
      );
    } else release(claim);
    const isForeign = stand.kind === 'elsewhere' || (stand.kind === 'failed' && !stand.isOwn);
    if (isForeign) emit({ kind: 'forwardClosed', forward: forward.id });
  };

  /** What has failed may run again: its lease is asked for anew, before it does. */
  const startAgain = (claim: Claim) => {
    if (claim.stand.kind !== 'failed') return;
    const { isOwn } = claim.stand;
    claim.stand = { kind: claim.lease ? 'asking' : 'owned' };
    if (!isOwn) emit({ kind: 'forwardClosed', forward: claim.forward.id });
    claim.lease?.contend();
  };

  const want = (connection: PlannedConnection, forward: PlannedForward, isRevived: boolean) => {
    const identity = forwardIdentity(connection.host, forward.spec);
    const back = [...leaving.keys()].find((one) => one.forward.id === forward.id && one.identity === identity);
    if (back) {
      clearTimeout(leaving.get(back));
      leaving.delete(back);
      claims.set(forward.id, back);
    }
    const claim = claims.get(forward.id);
    if (!claim) return newClaim(identity, connection, forward);
    const before = claim.forward.run;
    const isAnew = before !== forward.run || claim.connection.run !== connection.run;
    // Where it is up that is about ports which its server holds.
    const isRetried =
      claim.connection.retry !== connection.retry && connectionSeen(snapshot, connection.id)?.kind !== 'ready';
    claim.connection = connection;
    claim.forward = forward;
    if (isAnew || isRetried || isRevived) startAgain(claim);
    if (before !== forward.run) showElsewhere(claim);
  };

  /** Whether all that has failed with a connection gets another try, since more is asked of it. */
  const revives = (connection: PlannedConnection, before: Plan): boolean => {
    const seen = connectionSeen(snapshot, connection.id);
    const isDown = !seen || seen.kind === 'failed';
    return isDown && hasNewRuns(connection, before);
  };

  /** The part of the plan that is this window's to run. */
  const ownPart = (): Plan => {
    const connections = current.connections.map((connection): PlannedConnection => {
      const asking = connection.forwards.filter(({ id }) => claims.get(id)?.stand.kind === 'asking');
      const last = sent.connections.find(({ id }) => id === connection.id);
      // What has failed is kept as it is while others are asked: a connection that was closed would forget its secrets.
      if (last && asking.some(({ id }) => sentForward(id)))
        return {
          ...last,
          forwards: last.forwards.filter(({ id }) => connection.forwards.some((one) => one.id === id)),
        };
      const forwards = connection.forwards.flatMap((forward): PlannedForward[] => {
        const isSent = sentForward(forward.id) !== undefined;
        const run = forward.run + (restarts.get(forward.id) ?? 0) * restartsFactor;
        if (forward.wish !== 'exact') return forward.wish === 'nextFree' || isSent ? [{ ...forward, run }] : [];
        const claim = claims.get(forward.id);
        const isOwn = claim?.stand.kind === 'owned' || (claim?.stand.kind === 'failed' && claim.stand.isOwn);
        // All at once: a connection that fails early would be dialled again for each that comes later.
        if (!claim || !isOwn || (!isSent && asking.length > 0)) return [];
        const preferredPort = allocated(claim);
        return [{ ...forward, run, ...(preferredPort !== undefined && { preferredPort }) }];
      });
      return { ...connection, forwards, ...(unattended.has(connection.id) && { isUnattended: true as const }) };
    });
    return { ...current, connections: connections.filter(({ forwards }) => forwards.length > 0) };
  };

  const push = () => {
    if (closing) return;
    const next = ownPart();
    if (JSON.stringify(next) === JSON.stringify(sent)) return;
    sent = next;
    for (const id of restarts.keys()) if (!sentForward(id)) restarts.delete(id);
    inner.apply(next);
    for (const claim of claims.values()) if (claim.stand.kind === 'owned') tellOwn(claim);
  };

  /** What the window before had is still held, since it has only just ended: it is tried again, and nobody hears of it. */
  const triesAgain = (forward: ForwardId, failure: Failure): boolean => {
    const claim = claims.get(forward);
    if (claim?.stand.kind !== 'owned' || !claim.taken || performance.now() - claim.taken.at > heldMs) return false;
    const { bound } = claim.taken;
    if (failure.kind === 'socketStale' && bound.some((one) => one.kind === 'unix' && one.path === failure.path))
      rmSync(failure.path, { force: true });
    else if (!isHeld(failure)) return false;
    passing.add(failure);
    tryAgain(claim);
    return true;
  };
  const tryAgain = (claim: Claim) => {
    if (claim.isTriedAgain) return;
    claim.isTriedAgain = true;
    later(againMs, () => {
      claim.isTriedAgain = false;
      const { id } = claim.forward;
      if (!isCurrent(claim) || claim.stand.kind !== 'owned') return;
      restarts.set(id, (restarts.get(id) ?? 0) + 1);
      push();
    });
  };
  /** With ExitOnForwardFailure the whole connection has failed for nothing but that. */
  const triesAllAgain = (connection: ConnectionId, failure: Failure): boolean => {
    if (failure.kind !== 'forwardsIncomplete' || !failure.failures.every((one) => passing.has(one))) return false;
    for (const claim of claims.values()) if (claim.taken && claim.connection.id === connection) tryAgain(claim);
    return true;
  };

  inner.onEvent((told) => {
    const event = 'run' in told ? { ...told, run: told.run % restartsFactor } : told;
    if (event.kind === 'listenFailed' && triesAgain(event.forward, event.failure)) return;
    if (event.kind === 'connectionFailed' && triesAllAgain(event.connection, event.failure)) return;
    if (event.kind === 'asked') questions.set(event.ask.connection, event.ask);
    if (event.kind === 'connectionClosed') questions.delete(event.connection);
    const before = snapshot;
    snapshot = reduce(snapshot, event);
    // Before whoever hears it changes the plan: the other windows hear why it ends.
    if (snapshot !== before) for (const claim of claims.values()) tellChange(claim, event);
    emit(event);
    if (event.kind === 'forwardClosed') {
      const claim = claims.get(event.forward);
      if (claim) showElsewhere(claim, true);
    }
    for (const claim of [...leaving.keys()]) if (isClosedBy(event, claim)) release(claim);
  });

  return {
    ...inner,
    apply(plan) {
      if (closing || JSON.stringify(plan) === JSON.stringify(current)) return;
      const before = current;
      current = plan;
      for (const claim of [...claims.values()]) {
        const next = plan.connections
          .flatMap(({ host, forwards }) => forwards.map((forward) => ({ host, ...forward })))
          .find(({ id, wish }) => id === claim.forward.id && wish === 'exact');
        if (!next || forwardIdentity(next.host, next.spec) !== claim.identity) leave(claim);
      }
      for (const id of unattended) {
        const connection = plan.connections.find((one) => one.id === id);
        if (!connection || isStarted(connection, before)) unattended.delete(id);
      }
      for (const connection of plan.connections) {
        const isRevived = revives(connection, before);
        for (const forward of connection.forwards) {
          if (forward.wish === 'exact') want(connection, forward, isRevived);
          // It has never listened here, and so has no clients.
          else if (forward.wish === 'drain' && !sentForward(forward.id) && !drainedIn(before, forward))
            queueMicrotask(() => emit({ kind: 'drained', forward: forward.id, run: forward.run }));
        }
      }
      push();
    },
    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async probe(id, calledOff) {
      const claim = claims.get(id);
      if (claim?.stand.kind !== 'elsewhere') return inner.probe(id, calledOff);
      const { spec } = claim.forward;
      const readyElsewhere = () =>
        claim.stand.kind === 'elsewhere' && claim.stand.state.kind === 'ready' ? claim.stand.state : undefined;
      const [bound] = readyElsewhere()?.bound ?? [];
      if (!bound) throw new FailureError({ kind: 'cancelled' });
      if (spec.kind !== 'local') return undefined;
      if (await probeElsewhere(bound, () => readyElsewhere()?.isIdle === true, calledOff)) return undefined;
      for (let waited = 0; waited < wordMs && readyElsewhere() && !readyElsewhere()?.refused; waited += wordStepMs)
        await sleep(wordStepMs);
      if (!readyElsewhere()) throw new FailureError({ kind: 'cancelled' });
      const { host } = claim.connection.host.destination;
      const target = printEndpoint(spec.target);
      const detail = 'reset in the window that runs the tunnel';
      return readyElsewhere()?.refused ?? { kind: 'channelRefused', target, host, refusal: 'other', detail };
    },
    async close() {
      closing = true;
      for (const timer of timers) clearTimeout(timer);
      for (const claim of [...claims.values()]) leave(claim);
      await inner.close();
      for (const claim of [...leaving.keys()]) release(claim);
      await Promise.all(closings);
    },
  };
}

function forwardIn({ connections }: Plan, id: ForwardId): PlannedForward | undefined {
  for (const { forwards } of connections) {
    const found = forwards.find((forward) => forward.id === id);
    if (found) return found;
  }
  return undefined;
}

function hasNewRuns({ forwards }: PlannedConnection, before: Plan): boolean {
  return forwards.some(({ id, run }) => forwardIn(before, id)?.run !== run);
}

/** Whether a person has started something of it. */
function isStarted(connection: PlannedConnection, before: Plan): boolean {
  const old = before.connections.find(({ id }) => id === connection.id);
  return !old || old.run !== connection.run || old.retry !== connection.retry || hasNewRuns(connection, before);
}

/** The port that the server has allocated to the window before. */
function allocated({ forward: { spec }, taken }: Claim): number | undefined {
  if (spec.kind !== 'remote' || spec.listen.kind !== 'tcp' || spec.listen.port !== 0) return undefined;
  const [first] = taken?.bound ?? [];
  return first?.kind === 'tcp' ? first.port : undefined;
}

function isFailedBy(event: EngineEvent, { connection, forward }: Claim): boolean {
  if (event.kind === 'connectionFailed') return event.connection === connection.id;
  return event.kind === 'listenFailed' && event.forward === forward.id;
}

function isClosedBy(event: EngineEvent, { connection, forward }: Claim): boolean {
  if (event.kind === 'connectionClosed') return event.connection === connection.id;
  return event.kind === 'forwardClosed' && event.forward === forward.id;
}

function drainedIn(plan: Plan, { id, run }: PlannedForward): boolean {
  const found = forwardIn(plan, id);
  return found?.wish === 'drain' && found.run === run;
}

/** By the window that had it, or on the server by its session: neither has been given up yet. */
function isHeld(failure: Failure): boolean {
  const { kind } = failure;
  return kind === 'portInUse' || kind === 'socketInUse' || (kind === 'remoteRefused' && failure.inUse);
}
