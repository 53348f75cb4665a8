// What every kind of forward has: clients, a listener that it owns, an end in peace or at once.
import type { Ask, BoundAddress, EngineEvent, LogLevel, Reply } from '../core/engine.js';
import { FailureError, failureOf, type Failure } from '../core/failure.js';
import type { ForwardKind } from '../core/forwardSpec.js';
import type { PlannedForward } from '../core/plan.js';
import type { HostConfig } from '../core/sshConfig.js';
import { createClients, type Clients } from './clients.js';
import { openLocalForward } from './localForward.js';
import { openRemoteForward } from './remoteForward.js';
import type { WaitingClient } from './parking.js';
import type { SshSession } from './sshClient.js';
import { withinTime } from './withinTime.js';

export interface ForwardContext {
  /** The host's name as typed, for messages. */
  host: string;
  /** The options of the host, as of the last dial. */
  config(): HostConfig;
  /** The session of the moment; undefined while the connection is down. */
  session(): SshSession | undefined;
  /**
   * The session of the moment, or the next one, which a connection on demand is dialled for; undefined when the client has
   * waited too long or is gone, too many wait, or there will be none.
   */
  nextSession(client: WaitingClient): Promise<SshSession | undefined>;
  /** What the server may hold for an earlier run, or one before a connection that was lost. */
  had: Map<string, RemoteHad>;
  /** Told of each client that comes and goes. */
  countClients(change: 1 | -1): void;
  emit(event: EngineEvent): void;
  /** Asks whether the network may be let in; `cancelled` withdraws the question. */
  ask(question: NetworkQuestion, cancelled: AbortSignal): Promise<Reply>;
  /** `level` is `debug` unless it is said. */
  log(text: string, level?: LogLevel): void;
}

/** What a remote forward had on the server when it listened last. */
export interface RemoteHad {
  port: number;
  bound: readonly BoundAddress[];
}

type NetworkAsk = Ask & { kind: 'openToNetwork' };
export type NetworkQuestion = Omit<NetworkAsk, 'id' | 'connection'>;

/** What a kind of forward has to do; every method may be called at any time. */
export interface Listening {
  /** Listens, and emits `listening`; throws a FailureError. Called again for each new session. */
  listen(session: SshSession): Promise<void>;
  /** The same before there is a session; absent where the server listens. */
  listenHere?(): Promise<void>;
  /** The SSH connection is gone. */
  detach(): void;
  /** Tries at once what it waits to try again. */
  retry?(): void;
  /** Whether the target answers, see Engine.probe; absent where that is not on the server's side. */
  probe?(gone: AbortSignal): Promise<Failure | undefined>;
  /** Listens no more; resolves when the port is free. Called again when a `listen` that was under way has ended. */
  stop(): Promise<void>;
}

/** How long a stop waits for a `listen` that is under way, in milliseconds; it ends what that is finding out (serverAccess). */
const patienceMs = 2500;

/** `allow` asks before the network is let in, and rejects with a FailureError when it shall not be. */
export type ListeningOpener = (
  planned: PlannedForward,
  clients: Clients,
  allow: (addresses: readonly string[]) => Promise<void>,
  context: ForwardContext,
) => Listening;

export interface Forward {
  readonly planned: PlannedForward;
  readonly clients: Clients;
  /** Whether it listened, or why not, the last time that it was to. */
  readonly opened: Promise<Failure | undefined>;
  /** The SSH connection is up, or up again. */
  attach(session: SshSession): void;
  /** It is gone, and with it the clients that had something of it: they are reset. */
  detach(): void;
  /** A person does not want to wait for its next try to listen. */
  retry(): void;
  /** Whether the target answers, see Engine.probe. */
  probe(gone: AbortSignal): Promise<Failure | undefined>;
  /** Listens no more, and calls back when the last client has left. */
  drain(then: () => void): Promise<void>;
  /** Listens no more, resets the clients, and resolves when the port is free. */
  close(): Promise<void>;
}

const openers: Readonly<Record<ForwardKind, ListeningOpener>> = {
  local: openLocalForward,
  dynamic: openLocalForward,
  remote: openRemoteForward,
};

/** Opens a forward on a session that is up, or, one that listens on this machine, before there is one. */
export function openForward(planned: PlannedForward, session: SshSession | undefined, given: ForwardContext): Forward {
  const { id, run } = planned;
  const ended = new AbortController();
  const context: ForwardContext = {
    ...given,
    emit(event) {
      // Of one that is stopped already: its listener goes as it comes.
      if (!(event.kind === 'listening' && ended.signal.aborted)) given.emit(event);
    },
  };
  const clients = createClients(id, context.emit, context.countClients);
  /** Asked once: a reconnect in the background must not ask again, whatever the answer was. */
  let reply: Promise<Reply> | undefined;
  const allow = async (addresses: readonly string[]) => {
    const { spec } = planned;
    reply ??= context.ask({ kind: 'openToNetwork', forward: id, spec, addresses }, ended.signal);
    if ((await reply).kind !== 'allow') throw new FailureError({ kind: 'cancelled' });
  };
  const listening = openers[planned.spec.kind](planned, clients, allow, context);
  let opened: Promise<Failure | undefined>;
  /** One after the other: a session that comes while the last one's request is under way waits for its end. */
  const attach = (to: SshSession | undefined, before: Promise<unknown>) => {
    const listen = () => (to ? listening.listen(to) : listening.listenHere?.());
    opened = before
      .then(() => (ended.signal.aborted ? undefined : listen()))
      .then(
        () => undefined,
        (error: unknown) => {
          const failure = failureOf(error);
          if (!ended.signal.aborted) context.emit({ kind: 'listenFailed', forward: id, run, failure });
          return failure;
        },
      );
  };
  const stop = async () => {
    ended.abort();
    await listening.stop();
    // A server that does not answer must not keep us; what it still says is undone whenever it comes.
    await withinTime(
      patienceMs,
      opened.then(() => listening.stop()),
    );
    context.emit({ kind: 'forwardClosed', forward: id });
  };
  attach(session, Promise.resolve());
  return {
    planned,
    clients,
    get opened() {
      return opened;
    },
    attach: (to) => attach(to, opened),
    detach() {
      listening.detach();
      clients.cutJoined();
    },
    retry: () => listening.retry?.(),
    probe: async (gone) => listening.probe?.(gone),
    async drain(then) {
      await stop();
      clients.whenGone(then);
    },
    async close() {
      clients.cutAll();
      await stop();
      clients.cutAll();
    },
  };
}
