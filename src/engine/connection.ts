// One SSH connection and its forwards: dial, listen; dial again when it breaks.
import { attemptAfter, backoff } from '../core/backoff.js';
import type { Client, EngineEvent, LogLevel, Reply } from '../core/engine.js';
import { failureOf, innermost, type Failure } from '../core/failure.js';
import type { PlannedConnection, PlannedForward, Waits } from '../core/plan.js';
import { serverText, type HostConfig } from '../core/sshConfig.js';
import { failureText } from '../core/wording.js';
import { dialHost, lostFailure, type Dial, type JumpHosts } from './dial.js';
import type { AskUser, Question } from './hostKeyCheck.js';
import { openForward, type Forward, type ForwardContext } from './forward.js';
import { createParking } from './parking.js';
import type { SshSession } from './sshClient.js';

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
  /** Resolves when the ports of this machine that it gives up now are free. */
  portsFree(): Promise<void>;
  /** Who is connected through a forward; undefined when it is not one of this connection's. */
  clients(forward: string): readonly Client[] | undefined;
  disconnect(forward: string, client: number): void;
  close(): Promise<void>;
}

export function openConnection(first: PlannedConnection, free: Promise<void>, context: ConnectionContext): Connection {
  const { id } = first;
  const { emit } = context;
  const host = first.host.destination.host;
  const memory = { secrets: new Map<string, string>(), acceptedKeys: new Set<string>() };
  const forwards = new Map<string, Forward>();
  /** Those that listen no more, while their clients finish. */
  const draining = new Set<Forward>();
  /** Closings under way: a port is asked for again only when they are done. */
  const closings = new Set<Promise<void>>();
  /** Those of them whose ports are this machine's, and so may be wanted for another host. */
  const localClosings = new Set<Promise<void>>();
  let planned = first;
  let portsFree = free;
  let session: SshSession | undefined;
  let config: HostConfig | undefined;
  let dialling: Dial | undefined;
  /** Dials under way, also those that were called off: what they have opened on the way still has to close. */
  const dials = new Set<ReturnType<typeof dialHost>>();
  let retry: NodeJS.Timeout | undefined;
  let failed = false;
  let closed = false;
  let everReady = false;

  /** A forward that was started again has two: the clients of the one before may still finish. */
  const running = (id: string) => [...draining, ...forwards.values()].filter((forward) => forward.planned.id === id);
  const log = (text: string, level: LogLevel = 'debug') => emit({ kind: 'logged', level, text: `${id}: ${text}` });

  const parking = createParking({
    most: mostParked,
    longestMs: () => context.waits().parkSeconds * 1000,
    onFull: () => log(`${mostParked} clients wait for it already: others are reset`, 'warning'),
    onDeserted() {},
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
    session: () => session,
    nextSession: (client) => {
      if (session) return Promise.resolve(session);
      return failed || closed ? Promise.resolve(undefined) : parking.wait(client);
    },
    countClients() {},
    emit,
    ask: context.ask,
    log,
  });

  const startForward = async (wanted: PlannedForward): Promise<void> => {
    if (wanted.wish === 'drain') return;
    await portsFree;
    await Promise.all(closings);
    if (closed || failed || !session || !config || !planned.forwards.includes(wanted) || forwards.has(wanted.id))
      return;
    forwards.set(wanted.id, openForward(wanted, session, forwardContext(config)));
  };

  const giveUp = async (failure: Failure) => {
    failed = true;
    dialling?.abort.abort();
    dialling = undefined;
    emit({ kind: 'connectionFailed', connection: id, failure });
    const dead = session;
    session = undefined;
    for (const forward of forwards.values()) forward.detach();
    await Promise.all([closeForwards(), dead?.close()]);
  };

  /** The connection is gone that came up at this attempt and held so long. */
  const lost = (failure: Failure, attempt: number, upMs: number) => {
    session = undefined;
    for (const forward of [...forwards.values(), ...draining]) forward.detach();
    if (closed || failed) return;
    if (!planned.reconnect) void giveUp(failure);
    else again(failure, attemptAfter(attempt, upMs));
  };

  const again = (failure: Failure, attempt: number) => {
    const delay = backoff(attempt, Math.random());
    emit({ kind: 'connectionLost', connection: id, failure, attempt, retryAt: Date.now() + delay });
    retry = setTimeout(() => start(attempt + 1), delay);
  };

  /** Attempt 1 is the user's wish and may ask; later ones run in the background and never do. */
  const start = (attempt: number) => {
    clearTimeout(retry);
    failed = false;
    const dial: Dial = { abort: new AbortController(), cancelled: false };
    dialling = dial;
    emit({ kind: 'connecting', connection: id, attempt });
    const isUnattended = attempt > 1;
    const serverSaid = (about: 'banner' | 'login', text: string, host: string) => {
      // Nobody has asked for a login in the background: the log is enough.
      emit({ kind: 'serverSaid', connection: id, host, about: isUnattended ? 'banner' : about, text });
    };
    /** The first question that nobody could be asked. */
    let unasked: Question | undefined;
    const ask: AskUser = async (question) => {
      if (isUnattended) {
        unasked ??= question;
        return { kind: 'cancel' };
      }
      const reply = await context.ask(question, dial.abort.signal);
      if (reply.kind === 'cancel') {
        dial.cancelled = true;
        dial.abort.abort();
      }
      return reply;
    };
    const reaching = dialHost(planned.host, dial, { ask, memory, log, serverSaid, isUnattended, hops: context.hops });
    dials.add(reaching);
    reaching
      .then(
        async ({ session: opened, config: resolved }) => {
          if (dialling !== dial) return opened.close();
          dialling = undefined;
          session = opened;
          config = resolved;
          everReady = true;
          const since = performance.now();
          opened.onEnd((end) => {
            if (end && session === opened) lost(lostFailure(end, host), attempt, performance.now() - since);
          });
          // What is remembered was right.
          const proven = [...memory.secrets.keys()];
          emit({
            kind: 'connected',
            connection: id,
            server: serverText(resolved),
            ...(proven.length > 0 && { proven }),
          });
          for (const forward of forwards.values()) forward.attach(opened);
          parking.admit(opened);
          await Promise.all(planned.forwards.map(startForward));
          if (!resolved.exitOnForwardFailure) return;
          const results = await Promise.all([...forwards.values()].map((forward) => forward.opened));
          const failures = results.filter((failure) => failure !== undefined);
          if (failures.length > 0 && session === opened) await giveUp({ kind: 'forwardsIncomplete', failures });
        },
        async (error: unknown) => {
          if (dialling !== dial) return;
          const found: Failure = dial.cancelled ? { kind: 'cancelled' } : failureOf(error);
          const failure = unasked ? answerNeeded(unasked, found, host) : found;
          dialling = undefined;
          // A question that is still open has nobody left to hear its answer.
          dial.abort.abort();
          log(failureText(failure));
          if (failure.kind === 'unexpected' && error instanceof Error) log(error.stack ?? error.message);
          if (everReady && planned.reconnect && mayPass(failure)) again(failure, attempt);
          else await giveUp(failure);
        },
      )
      .catch((error: unknown) => giveUp(failureOf(error)))
      .finally(() => dials.delete(reaching));
  };

  drainIdle(first.forwards);
  start(1);

  return {
    get planned() {
      return planned;
    },
    get session() {
      return session;
    },
    update(next, nowFree) {
      const restart = next.run !== planned.run;
      const asksForMore = next.forwards.some(
        (wanted) => !planned.forwards.some((old) => old.id === wanted.id && old.run === wanted.run),
      );
      const idle = !session && !dialling;
      const toldDrained = planned.forwards.filter(({ wish }) => wish === 'drain');
      planned = next;
      parking.retime();
      portsFree = nowFree;
      for (const forward of [...forwards.values()]) {
        const wanted = next.forwards.find((other) => other.id === forward.planned.id);
        if (wanted?.wish === 'drain') drainForward(forward);
        else if (restart || wanted?.run !== forward.planned.run) closeForward(forward);
      }
      // Those that drain go with their session, too.
      for (const forward of draining)
        if (restart || !next.forwards.some((other) => other.id === forward.planned.id)) forward.clients.cutAll();
      drainIdle(next.forwards.filter((wanted) => !toldDrained.some((old) => isSameRun(old, wanted))));
      if (restart || (idle && asksForMore)) {
        dialling?.abort.abort();
        dialling = undefined;
        const old = session;
        session = undefined;
        // Its server's ports are asked for again only when it is closed.
        if (old) whileClosing(old.close());
        start(1);
      } else if (session) {
        for (const wanted of next.forwards) void startForward(wanted);
      }
    },
    portsFree: () => Promise.all(localClosings).then(() => {}),
    clients(forward) {
      const own = running(forward);
      return own.length > 0 ? own.flatMap(({ clients }) => clients.list()) : undefined;
    },
    disconnect(forward, client) {
      for (const { clients } of running(forward)) clients.disconnect(client);
    },
    async close() {
      closed = true;
      clearTimeout(retry);
      dialling?.abort.abort();
      dialling = undefined;
      const old = session;
      session = undefined;
      // Nothing on the server has to be cancelled one by one: it goes with the connection.
      for (const forward of forwards.values()) forward.detach();
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

function isSameRun(a: PlannedForward, b: PlannedForward): boolean {
  return a.id === b.id && a.run === b.run;
}

/** Whether waiting can mend it: the network's failures, not those of keys, names and rules. */
function mayPass(found: Failure): boolean {
  const failure = innermost(found);
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
  const path = unasked.kind === 'passphrase' ? { path: unasked.path } : {};
  return { kind: 'answerNeeded', host, what: unasked.kind, ...path };
}
