// One SSH connection and its forwards: dial, listen; dial again when it breaks.
import { attemptAfter, backoff } from '../core/backoff.js';
import type { Client, EngineEvent, ForwardNumbers, LogLevel, Reply, WayHost } from '../core/engine.js';
import { FailureError, failureOf, innermost, unanswered, type Failure } from '../core/failure.js';
import type { PlannedConnection, PlannedForward, Waits } from '../core/plan.js';
import { serverText, type HostConfig } from '../core/sshConfig.js';
import { failureText } from '../core/wording.js';
import { dialHost, lostFailure, type Dial, type DialPhase, type JumpHosts } from './dial.js';
import type { AskUser, Question } from './hostKeyCheck.js';
import { openForward, type Forward, type ForwardContext, type RemoteHad } from './forward.js';
import { createForcing } from './forcing.js';
import { createIdling } from './idling.js';
import { orCancelled } from './openSocket.js';
import { createParking } from './parking.js';
import type { SignsOfLife, SshSession } from './sshClient.js';
import { resolveRoute } from './sshFiles.js';

export interface ConnectionContext {
  emit(event: EngineEvent): void;
  /** Puts a question to the person; `cancelled` withdraws it. */
  ask(question: Question, cancelled: AbortSignal): Promise<Reply>;
  hops: JumpHosts;
  /** As the plan of the moment has them. */
  waits(): Waits;
}

/** How many clients of a connection wait for it at most. */
const mostParked = 512;

export interface Connection {
  readonly planned: PlannedConnection;
  /** While it is up. */
  readonly session: SshSession | undefined;
  /** Takes over a changed plan; `free` resolves when the ports that others give up are free. */
  update(planned: PlannedConnection, free: Promise<void>): void;
  /** The machine woke, or its network is another: what is down is dialled, what is up is to prove it. */
  machineChanged(): void;
  /** Resolves when the ports of this machine that it gives up now are free. */
  portsFree(): Promise<void>;
  /** Who is connected through a forward; undefined when it is not one of this connection's. */
  clients(forward: string): readonly Client[] | undefined;
  /** See Engine.numbers. */
  numbers(forward: string): ForwardNumbers | undefined;
  /** See Engine.way. */
  way(): readonly WayHost[];
  disconnect(forward: string, client: number): void;
  /** See Engine.probe; undefined when it is not a forward of this connection that listens. */
  probe(forward: string, gone: AbortSignal): Promise<Failure | undefined> | undefined;
  close(): Promise<void>;
}

/** How a dial ended that was not the last. */
interface Trouble {
  failure: Failure;
  attempt: number;
}

type State =
  /** It is dialled when a client comes, but not before `until`, in ms of performance.now(). */
  | { kind: 'idle'; last?: Trouble; until: number; /** Ends the look into ssh_config. */ resolving?: AbortController }
  | {
      kind: 'dialling';
      dial: Dial;
      attempt: number;
      /** A person may be asked. */
      isAttended: boolean;
      /** ms of performance.now() */
      began: number;
      /** Some host of the way has answered this dial, with its key. */
      isAnswered: boolean;
    }
  | { kind: 'up'; session: SshSession }
  /** It is dialled again when the timer says so. */
  | { kind: 'waiting'; last: Trouble; until: number; timer: NodeJS.Timeout }
  | { kind: 'failed' }
  | { kind: 'closed' };

export function openConnection(first: PlannedConnection, free: Promise<void>, context: ConnectionContext): Connection {
  const { id } = first;
  const { emit } = context;
  const host = first.host.destination.host;
  const memory = { secrets: new Map<string, string>(), acceptedKeys: new Set<string>() };
  const forwards = new Map<string, Forward>();
  /** What remote forwards had on the server. */
  const had = new Map<string, RemoteHad>();
  /** Those that listen no more, while their clients finish. */
  const draining = new Set<Forward>();
  /** Closings under way: a port is asked for again only when they are done. */
  const closings = new Set<Promise<void>>();
  /** Those of them whose ports are this machine's, and so may be wanted for another host. */
  const localClosings = new Set<Promise<void>>();
  let planned = first;
  let portsFree = free;
  let state: State = { kind: 'idle', until: 0 };
  let config: HostConfig | undefined;
  /** The hosts of the way as of the last dial, and those that it has reached. */
  let route: readonly HostConfig[] = [];
  let reached: readonly { config: HostConfig; life?: SignsOfLife }[] = [];
  /** Dials under way, also those that were called off: what they have opened on the way still has to close. */
  const dials = new Set<ReturnType<typeof dialHost>>();
  let everReady = false;
  /** A person was asked, and it has not been up since. */
  let hasAsked = false;

  const current = () => (state.kind === 'up' ? state.session : undefined);
  const isOver = () => state.kind === 'failed' || state.kind === 'closed';
  /** A forward that was started again has two: the clients of the one before may still finish. */
  const running = (id: string) => [...draining, ...forwards.values()].filter((forward) => forward.planned.id === id);
  const log = (text: string, level: LogLevel = 'debug') => emit({ kind: 'logged', level, text: `${id}: ${text}` });

  /** Takes the next state, and ends what the last one had under way. */
  const become = (next: State) => {
    if (state.kind === 'waiting') clearTimeout(state.timer);
    if (state.kind === 'idle') state.resolving?.abort();
    // A question that is still open has nobody left to hear its answer.
    if (state.kind === 'dialling' && next.kind !== 'up') state.dial.abort.abort();
    state = next;
  };

  const parking = createParking({
    most: mostParked,
    longestMs: () => context.waits().parkSeconds * 1000,
    onFull: () => log(`${mostParked} clients wait for it already: others are reset`, 'warning'),
    onDeserted() {
      if (state.kind === 'waiting' && isOnDemand(planned)) restFrom(state);
    },
  });

  const whileClosing = (work: Promise<void>, among = closings) => {
    const closing = work.finally(() => among.delete(closing));
    among.add(closing);
  };
  /** Takes a forward out of those that run, while it stops listening. */
  const leave = ({ planned: { id, spec } }: Forward, stopped: Promise<void>) => {
    forwards.delete(id);
    whileClosing(stopped);
    if (spec.kind !== 'remote') whileClosing(stopped, localClosings);
  };
  const closeForward = (forward: Forward) => leave(forward, forward.close());
  const closeForwards = async () => {
    for (const forward of [...forwards.values()]) closeForward(forward);
    for (const forward of draining) forward.clients.cutAll();
    await Promise.all(closings);
  };
  const drained = ({ id, run }: PlannedForward) => emit({ kind: 'drained', forward: id, run });
  /** Those that never listened have no clients; told a little later, since whoever hears it changes the plan. */
  const drainIdle = (wanted: readonly PlannedForward[]) => {
    for (const one of wanted)
      if (one.wish === 'drain' && ![...draining].some(({ planned }) => isSameRun(planned, one)))
        queueMicrotask(() => drained(one));
  };
  const drainForward = (forward: Forward) => {
    draining.add(forward);
    const done = () => {
      draining.delete(forward);
      drained(forward.planned);
    };
    leave(forward, forward.drain(done));
  };

  const forwardContext = (first: HostConfig): ForwardContext => ({
    host,
    config: () => config ?? first,
    session: current,
    nextSession(client) {
      if (state.kind === 'up') return Promise.resolve(state.session);
      if (isOver()) return Promise.resolve(undefined);
      const waiting = parking.wait(client);
      if (!client.gone.aborted) hasten();
      return waiting;
    },
    had,
    countClients: idling.count,
    emit,
    async ask(question, cancelled) {
      if (!planned.isUnattended) return context.ask(question, cancelled);
      const reply = await context.ask({ ...question, isUnattended: true }, cancelled);
      if (reply.kind === 'cancel' && !cancelled.aborted) throw new FailureError(unanswered(question, host));
      return reply;
    },
    log,
  });

  const startForward = async (wanted: PlannedForward): Promise<void> => {
    if (wanted.wish === 'drain') return;
    await portsFree;
    await Promise.all(closings);
    if (isOver() || !config || !planned.forwards.includes(wanted) || forwards.has(wanted.id)) return;
    const session = current();
    if (!session && wanted.spec.kind === 'remote') return;
    forwards.set(wanted.id, openForward(wanted, session, forwardContext(config)));
  };
  const startForwards = async () => {
    const at = state;
    await Promise.all(planned.forwards.map(startForward));
    if (state !== at || !config?.exitOnForwardFailure) return;
    const results = await Promise.all([...forwards.values()].map((forward) => forward.opened));
    const failures = results.filter((failure) => failure !== undefined);
    if (failures.length > 0 && state === at) await giveUp({ kind: 'forwardsIncomplete', failures });
  };

  const giveUp = async (failure: Failure) => {
    if (state.kind === 'closed') return;
    const dead = current();
    become({ kind: 'failed' });
    // It may be mended by another line of ssh_config.
    config = undefined;
    emit({ kind: 'connectionFailed', connection: id, failure });
    for (const forward of forwards.values()) forward.detach();
    parking.turnAway();
    await Promise.all([closeForwards(), dead?.close()]);
  };

  /** The session is gone, or is to go: those who had something of it are reset. Whoever hears of it may change the plan. */
  const detach = (): { isOurs(): boolean } => {
    const detached: State = { kind: 'idle', until: 0 };
    become(detached);
    for (const forward of [...forwards.values(), ...draining]) forward.detach();
    return { isOurs: () => state === detached };
  };

  /** The connection is gone that came up at this attempt and held so long. */
  const lost = (failure: Failure, attempt: number, upMs: number) => {
    if (!detach().isOurs()) return;
    // Those whose channels were being opened come to the parking in a moment.
    const isAwaited = [...forwards.values(), ...draining].some(({ clients }) => clients.waiting > 0);
    if (!planned.reconnect) void giveUp(failure);
    else goOn({ failure, attempt: attemptAfter(attempt, upMs) }, isAwaited);
  };

  /** Dials again later, as long as somebody wants that. */
  const goOn = (last: Trouble, isAwaited = parking.size > 0) => {
    const delay = backoff(last.attempt, Math.random(), isAwaited ? eagerMs : undefined);
    if (isOnDemand(planned) && !isAwaited) rest(last, Math.min(delay, eagerMs));
    else wait(last, delay);
  };
  const wait = (last: Trouble, delay: number) => {
    const again = () => {
      if (isOnDemand(planned) && parking.size === 0) rest(last);
      else dialNow(last.attempt + 1, mayAskForClients());
    };
    become({ kind: 'waiting', last, until: performance.now() + delay, timer: setTimeout(again, delay) });
    emit({ kind: 'connectionLost', connection: id, ...last, retryAt: Date.now() + Math.round(delay) });
  };

  /** Waits for a client. What was in the way lately may still be: it is not dialled again before the delay is over. */
  const rest = (last?: Trouble, delay = 0) => {
    const idle: State = { kind: 'idle', ...(last && { last }), until: performance.now() + delay };
    become(idle);
    emit({ kind: 'connectionIdle', connection: id, ...(last && { failure: last.failure }) });
    if (state === idle) void prepare(idle).catch((error: unknown) => giveUp(failureOf(error)));
  };
  /** What it waits for is not over yet. */
  const restFrom = ({ last, until }: State & { kind: 'waiting' }) =>
    rest(last, Math.min(Math.max(until - performance.now(), 0), eagerMs));
  /** Listens, by what ssh_config says of the host. */
  const prepare = async (idle: State & { kind: 'idle' }) => {
    if (!config) {
      const { signal } = (idle.resolving = new AbortController());
      try {
        config = (await orCancelled(resolveRoute(planned.host, signal, log), signal)).at(-1);
      } catch (error) {
        if (state === idle) await giveUp(failureOf(error));
        return;
      }
    }
    if (state === idle) await startForwards();
  };
  /** A client has come, who does not wait for long. */
  const hasten = () => {
    if (state.kind !== 'idle' && state.kind !== 'waiting') return;
    const { kind, last, until } = state;
    const left = until - performance.now();
    if (kind === 'waiting') {
      if (left > eagerMs) wait(last, eagerMs);
    } else if (!last || left < -forgottenMs) dialNow(1, mayAskForClients());
    else if (left <= 0) dialNow(last.attempt + 1, mayAskForClients());
    // One that may not wait is reset, and leaves nothing to wait for.
    else if (parking.size > 0) wait(last, left);
  };
  /** A program that connects again and again must not put question after question. */
  const mayAskForClients = () => isOnDemand(planned) && !hasAsked;

  const idling = createIdling(
    () => context.waits().idleSeconds * 1000,
    () => {
      const session = current();
      if (!session || !isOnDemand(planned)) return;
      log('No client for a while: it is closed until one comes');
      const detached = detach();
      whileClosing(session.close());
      if (detached.isOurs()) rest();
    },
  );
  /** Whether it is hung up when nobody uses it depends on the plan and on whether it is up. */
  const watchIdling = () => idling.watch(state.kind === 'up' && isOnDemand(planned));

  /** By hand: it is dialled, or listens for who wants it. */
  const begin = () => {
    hasAsked = false;
    if (isOnDemand(planned)) rest();
    else dialNow(1, !planned.isUnattended);
  };

  /** What a person wants is attempt 1, and may ask; later ones run in the background and don't. */
  const dialNow = (attempt: number, isAttended: boolean) => {
    const dial: Dial = { abort: new AbortController(), cancelled: false };
    const own: State = { kind: 'dialling', dial, attempt, isAttended, began: performance.now(), isAnswered: false };
    become(own);
    emit({ kind: 'connecting', connection: id, attempt });
    if (state !== own) return;
    const isUnattended = !isAttended;
    /** Nothing is remembered here yet; it may be kept elsewhere. */
    const asksKept = isUnattended && planned.isUnattended && !everReady;
    const serverSaid = (about: 'banner' | 'login', text: string, host: string) => {
      // Nobody has asked for a login in the background: the log is enough.
      emit({ kind: 'serverSaid', connection: id, host, about: isUnattended ? 'banner' : about, text });
    };
    /** The first question that nobody could be asked. */
    let unasked: Question | undefined;
    const ask: AskUser = async (question) => {
      if (isUnattended) {
        const mayBeKept = asksKept && 'keepAs' in question && question.keepAs !== undefined;
        const kept = mayBeKept && (await context.ask({ ...question, isUnattended: true }, dial.abort.signal));
        if (kept && kept.kind !== 'cancel') return kept;
        unasked ??= question;
        return { kind: 'cancel' };
      }
      hasAsked = true;
      const reply = await context.ask(question, dial.abort.signal);
      if (reply.kind === 'cancel') {
        dial.cancelled = true;
        dial.abort.abort();
      }
      return reply;
    };
    reached = [];
    const onRoute = (found: readonly HostConfig[]) => (route = found);
    const watch = (name: string, phase: DialPhase) => {
      if (state === own && phase === 'ready') {
        // Of a hop that was connected already, all before it are.
        const at = route.findIndex(({ alias }, index) => index >= reached.length && alias === name);
        reached = route.slice(0, Math.max(at + 1, reached.length)).map((config) => ({ config }));
      }
      // A host that was connected already says that it is ready, and may be dead.
      if (phase === 'hostKey' || phase === 'authentication') own.isAnswered = true;
    };
    const way = { ask, memory, log, serverSaid, isUnattended, watch, onRoute, hops: context.hops };
    const reaching = dialHost(planned.host, dial, way);
    dials.add(reaching);
    reaching
      .then(
        async ({ session: opened, config: resolved, way: through }) => {
          if (state !== own) return opened.close();
          reached = through;
          config = resolved;
          everReady = true;
          hasAsked = false;
          forcing.relax();
          become({ kind: 'up', session: opened });
          const since = performance.now();
          opened.onEnd((end) => {
            if (end && current() === opened) lost(lostFailure(end, host), attempt, performance.now() - since);
          });
          // What is remembered was right.
          const proven = [...memory.secrets.keys()];
          emit({
            kind: 'connected',
            connection: id,
            server: serverText(resolved),
            ...(proven.length > 0 && { proven }),
          });
          if (current() !== opened) return;
          for (const forward of forwards.values()) forward.attach(opened);
          parking.admit(opened);
          idling.begin();
          watchIdling();
          await startForwards();
        },
        async (error: unknown) => {
          if (state !== own) return;
          const found: Failure = dial.cancelled ? { kind: 'cancelled' } : failureOf(error);
          const failure = unasked ? answerNeeded(unasked, found, host) : found;
          dial.abort.abort();
          forcing.relax();
          log(failureText(failure));
          if (failure.kind === 'unexpected' && error instanceof Error) log(error.stack ?? error.message);
          const isTriedAgain = planned.reconnect && (everReady || mayFailFirst(planned));
          if (isTriedAgain && mayPass(failure, everReady)) goOn({ failure, attempt });
          else await giveUp(failure);
        },
      )
      .catch((error: unknown) => giveUp(failureOf(error)))
      .finally(() => dials.delete(reaching));
  };

  /** The machine or its network has changed: a dial that waits need not, and one without any answer may wait in vain. */
  const forcing = createForcing((changedAt) => {
    if (state.kind === 'waiting') dialNow(2, mayAskForClients());
    else if (state.kind === 'dialling' && !state.isAnswered && state.began < changedAt) {
      dialNow(state.attempt, state.isAttended);
      return { calledOff: true };
    }
    return { calledOff: false };
  });

  drainIdle(first.forwards);
  begin();

  return {
    get planned() {
      return planned;
    },
    get session() {
      return current();
    },
    update(next, nowFree) {
      const isRestarted = next.run !== planned.run;
      const isRetried = next.retry !== planned.retry;
      const isNowAttended = planned.isUnattended && !next.isUnattended && state.kind === 'dialling';
      const asksForMore = next.forwards.some(
        (wanted) => !planned.forwards.some((old) => old.id === wanted.id && old.run === wanted.run),
      );
      const toldDrained = planned.forwards.filter(({ wish }) => wish === 'drain');
      planned = next;
      portsFree = nowFree;
      parking.retime();
      for (const forward of [...forwards.values()]) {
        const wanted = next.forwards.find((other) => other.id === forward.planned.id);
        if (wanted?.wish === 'drain') drainForward(forward);
        else if (isRestarted || wanted?.run !== forward.planned.run) closeForward(forward);
      }
      // Those that drain go with their session, too.
      for (const forward of draining)
        if (isRestarted || !next.forwards.some((other) => other.id === forward.planned.id)) forward.clients.cutAll();
      drainIdle(next.forwards.filter((wanted) => !toldDrained.some((old) => isSameRun(old, wanted))));
      if (isRestarted) {
        const old = current();
        become({ kind: 'idle', until: 0 });
        // Its server's ports are asked for again only when it is closed.
        if (old) whileClosing(old.close());
        config = undefined;
        begin();
      } else if ((isRetried || isNowAttended) && !isByHand(state)) {
        hasAsked = false;
        dialNow(1, true);
      } else if (isRetried && state.kind === 'up') for (const forward of forwards.values()) forward.retry();
      else if (state.kind === 'failed' && asksForMore) begin();
      else if (state.kind === 'idle' && !isOnDemand(next)) begin();
      else if (state.kind === 'waiting' && isOnDemand(next) && parking.size === 0) restFrom(state);
      else if (state.kind === 'waiting' && !isOnDemand(next) && asksForMore) begin();
      watchIdling();
      for (const wanted of next.forwards) void startForward(wanted);
    },
    machineChanged() {
      if (state.kind === 'up') state.session.probe(probeSeconds);
      else forcing.force();
    },
    portsFree: () => Promise.all(localClosings).then(() => {}),
    clients(forward) {
      const own = running(forward);
      return own.length > 0 ? own.flatMap(({ clients }) => clients.list()) : undefined;
    },
    numbers(forward) {
      const own = running(forward).map(({ clients }) => clients.numbers());
      return own.length > 0 ? own.reduce(sumOf) : undefined;
    },
    way() {
      const isUp = state.kind === 'up';
      const isLive = isUp || state.kind === 'dialling';
      return route.map((host, index) => {
        const life = isUp ? reached[index]?.life : undefined;
        // Nobody may have asked it yet, and one that looks wants to know; but without keepalive it is to be left in peace.
        const isNew = life?.roundTripMs === undefined;
        const isAsked = host.serverAliveInterval > 0;
        if (life && isAsked && performance.now() - life.askedAt > (isNew ? firstAskedMs : askedEveryMs)) life.ask();
        return {
          host: host.alias,
          server: serverText(host),
          isConnected: isLive && index < reached.length,
          ...(life?.roundTripMs !== undefined && { roundTripMs: life.roundTripMs }),
        };
      });
    },
    disconnect(forward, client) {
      for (const { clients } of running(forward)) clients.disconnect(client);
    },
    probe: (forward, gone) => forwards.get(forward)?.probe(gone),
    async close() {
      const old = current();
      become({ kind: 'closed' });
      idling.watch(false);
      forcing.stop();
      // Nothing on the server has to be cancelled one by one: it goes with the connection.
      for (const forward of forwards.values()) forward.detach();
      parking.turnAway();
      // What they have opened on the way closes, too.
      const leftOver = [...dials].map((reaching) =>
        reaching.then((reached) => reached.session.close()).catch(() => {}),
      );
      // Together: a server that answers no more would keep the forwards waiting for it.
      await Promise.all([closeForwards(), old?.close(), ...leftOver]);
      memory.secrets.clear();
      memory.acceptedKeys.clear();
      emit({ kind: 'connectionClosed', connection: id });
    },
  };
}

/** The longest wait between two dials while a client waits, in milliseconds, and that of its first one. */
const eagerMs = 1_000;

/** How long a connection on demand goes on counting its attempts after the last, in milliseconds, when nobody comes. */
const forgottenMs = 30_000;

/** Whether it is dialled when a client comes, and not before: nothing of it has to be there all the time. */
function isOnDemand({ forwards }: PlannedConnection): boolean {
  const canWait = ({ onDemand, spec, wish }: PlannedForward) =>
    wish === 'drain' || (onDemand && spec.kind !== 'remote');
  return forwards.some(({ onDemand }) => onDemand) && forwards.every(canWait);
}

/** Its first dial, too, is no reason to give up. */
function mayFailFirst(planned: PlannedConnection): boolean {
  return planned.isPersistent || planned.isUnattended || isOnDemand(planned);
}

/** It is up, or on the way by a person's wish. */
function isByHand(state: State): boolean {
  return state.kind === 'up' || (state.kind === 'dialling' && state.isAttended);
}

/** How long a server may take to prove that it is still there, in seconds. */
const probeSeconds = 10;

function isSameRun(a: PlannedForward, b: PlannedForward): boolean {
  return a.id === b.id && a.run === b.run;
}

/**
 * Whether waiting can mend it: the network's failures, not those of keys, names and rules. With `hasRun` it has been up with
 * much the same: files that are being edited, a program that needs the network, or bytes that were garbled on the way.
 */
function mayPass(found: Failure, hasRun: boolean): boolean {
  const failure = innermost(found);
  if (hasRun && ['sshConfig', 'jumpLoop', 'knownHostsCommandFailed', 'handshakeFailed'].includes(failure.kind))
    return true;
  // The shell's own code for a program that is not there, or the system's for a shell.
  if (failure.kind === 'proxyCommandFailed') return !/^(127|E.*)$/.test(String(failure.code));
  if (failure.kind === 'hopRefused') return failure.refusal !== 'prohibited' && failure.refusal !== 'unknownType';
  return ['hostNotFound', 'connectFailed', 'connectTimeout', 'connectionLost', 'notSsh'].includes(failure.kind);
}

/** What a dial in the background came to in which a question was not put: that, where the question was the reason. */
function answerNeeded(unasked: Question, found: Failure, host: string): Failure {
  if (found.kind === 'hop') return { ...found, failure: answerNeeded(unasked, found.failure, found.hop) };
  if (
    !['authFailed', 'hostKeyUnknown', 'hostAddressChanged', 'cancelled'].includes(found.kind) ||
    unasked.kind === 'openToNetwork'
  )
    return found;
  return unanswered(unasked, host);
}

/** How often a host of the way is asked how far it is while somebody looks, in ms. */
const askedEveryMs = 5000;
const firstAskedMs = 500;

function sumOf(one: ForwardNumbers, other: ForwardNumbers): ForwardNumbers {
  const both = (a: readonly number[], b: readonly number[]) => a.map((value, index) => value + b[index]!);
  const { sent, received, open } = one.series;
  return {
    series: {
      sent: both(sent, other.series.sent),
      received: both(received, other.series.received),
      open: both(open, other.series.open),
    },
    sent: one.sent + other.sent,
    received: one.received + other.received,
    reached: one.reached + other.reached,
  };
}
