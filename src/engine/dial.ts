// One dial: resolve the host's options, and for each hop on the way and itself: connect, check its key, authenticate.
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { LogLevel } from '../core/engine.js';
import { FailureError, failureOf, type Failure } from '../core/failure.js';
import type { HostRequest } from '../core/plan.js';
import type { HostConfig } from '../core/sshConfig.js';
import { hostPort } from '../core/wording.js';
import { channelStream } from './channelStream.js';
import { runtimeAbilities } from './algorithms.js';
import { createAuthentication, type Authentication, type Secrets } from './authentication.js';
import { createHostKeyCheck, type AskUser } from './hostKeyCheck.js';
import { createEnding } from './ending.js';
import { createHops, type Hops, type Joined } from './hops.js';
import { openProxyCommand, type ProxyCommand } from './proxyCommand.js';
import { DialError, openSession, type SessionEnd, type SignsOfLife, type SshSession } from './sshClient.js';
import { resolveRoute } from './sshFiles.js';
import { openSocket, orCancelled } from './openSocket.js';

/** What a person has given or accepted, for reconnects in the background; it goes with the connection. */
export interface Memory {
  secrets: Secrets;
  acceptedKeys: Pick<Set<string>, 'has' | 'add'>;
}

/** A try to connect that can be called off at any point. */
export interface Dial {
  abort: AbortController;
  /** Set when a person said no, so that the end is told as that. */
  cancelled: boolean;
}

/**
 * A step of reaching one host, in their order; it lasts until the next one begins. `handshake` goes on behind `hostKey`, up
 * to `authentication`; `ready` has no length. Time in which a person is asked counts, too.
 */
export type DialPhase = 'resolve' | 'connect' | 'handshake' | 'hostKey' | 'authentication' | 'ready';

/**
 * Called as each phase begins: once with `resolve` for the destination and all its jump hosts, then with the others for
 * each host of the way in turn, the first hop first. `host` is its alias.
 */
export type DialWatch = (host: string, phase: DialPhase) => void;

export interface DialContext {
  ask: AskUser;
  memory: Memory;
  log(text: string, level?: LogLevel): void;
  /** What a server tells who logs in, without a question; printable. `host` is its alias. */
  serverSaid?(about: 'banner' | 'login', text: string, host: string): void;
  /** Nobody is there: `ask` only notes what would be asked, and waits are shorter. */
  isUnattended?: boolean;
  watch?: DialWatch;
  /** The hosts of the way, where they are known already; absent: ssh_config is asked. */
  route?: readonly HostConfig[];
  /** Told the hosts of the way, the first hop first, when they are known. */
  onRoute?(route: readonly HostConfig[]): void;
  /** The options to dial a host of the way with, instead of its own. */
  adjust?(config: HostConfig): HostConfig;
  /** Jump hosts that others come by, too; absent: all are for this dial alone. */
  hops?: JumpHosts;
}

/** The jump hosts of one engine that are connected; made by createHops. */
export type JumpHosts = Hops<JumpHost>;

/** A session with the options that it was made of. */
interface Reached {
  session: SshSession;
  config: HostConfig;
}

interface Dialled extends Reached {
  /** All on the way, the first hop first and this one last. */
  way: readonly { config: HostConfig; life: SignsOfLife }[];
}

/** One that others are reached through. */
interface JumpHost extends Dialled {
  /** What it was let in with, and all before it, for those who come by it and may have to open it anew. */
  given: { secrets: ReadonlyMap<string, string>; acceptedKeys: ReadonlySet<string> };
  onEnd(listener: () => void): void;
  close(first?: Promise<void>): Promise<void>;
}

/** What a dial is about, for each of its hops. */
interface Trip extends DialContext {
  dial: Dial;
  hops: JumpHosts;
}

/**
 * Brings a session up, through the host's jump hosts if it has any, or throws a FailureError; the dial's abort ends it at
 * any point. Jump hosts that are connected already are shared. Closing the session closes those that nobody else uses;
 * when one of them is gone, so is the session.
 */
export async function dialHost(request: HostRequest, dial: Dial, context: DialContext): Promise<Dialled> {
  const { log, watch } = context;
  const { host } = request.destination;
  watch?.(host, 'resolve');
  // The first handshake would have to wait for it; ssh takes its time to resolve the options.
  setImmediate(runtimeAbilities);
  const resolved =
    context.route ?? (await orCancelled(resolveRoute(request, dial.abort.signal, log), dial.abort.signal));
  const route = resolved.map((config) => context.adjust?.(config) ?? config);
  context.onRoute?.(route);
  const trip: Trip = { ...context, dial, hops: context.hops ?? createHops() };
  try {
    const before = await joinHop(route.slice(0, -1), trip);
    return await openBehind(before, route.at(-1)!, trip);
  } catch (error) {
    const failure = failureOf(error);
    throw failure.kind === 'hop' ? new FailureError({ ...failure, host }) : error;
  }
}

/** The failure of a session to `host` that is gone. */
export function lostFailure({ host: hop, ...end }: SessionEnd, host: string): Failure {
  if (hop === undefined) return { kind: 'connectionLost', host, ...end };
  return { kind: 'hop', hop, host, failure: { kind: 'connectionLost', host: hop, ...end } };
}

/** The last host of a way that others may go, too; undefined for a way without any. Failures of it have no `host` yet. */
async function joinHop(route: readonly HostConfig[], trip: Trip): Promise<Joined<JumpHost> | undefined> {
  const config = route.at(-1);
  if (!config) return undefined;
  const { dial, log, watch, memory } = trip;
  const given = { secrets: new Map<string, string>(), acceptedKeys: new Set<string>() };
  let isUnanswered = false;
  const ask: AskUser = async (question) => {
    const reply = await trip.ask(question);
    if (reply.kind === 'cancel') isUnanswered = true;
    return reply;
  };
  const joined = await trip.hops.join(JSON.stringify(route), {
    abort: dial.abort.signal,
    isOwn: () => isUnanswered,
    async open() {
      // With its question: one that is not answered on the way is a reason of this opener's alone, too.
      const before = await joinHop(route.slice(0, -1), { ...trip, ask });
      try {
        const opened = await openBehind(before, config, { ...trip, ask, memory: noting(memory, given) });
        for (const [name, secret] of before?.shared.given.secrets ?? []) given.secrets.set(name, secret);
        for (const key of before?.shared.given.acceptedKeys ?? []) given.acceptedKeys.add(key);
        return { ...opened, given };
      } catch (error) {
        const failure = failureOf(error);
        if (['cancelled', 'hop', 'unexpected'].includes(failure.kind)) throw error;
        throw new FailureError({ kind: 'hop', hop: config.alias, host: '', failure });
      }
    },
  });
  if (joined.wasOpen) {
    log(`Going through ${config.alias}, which is connected already`);
    watch?.(config.alias, 'ready');
    for (const [name, secret] of joined.shared.given.secrets) memory.secrets.set(name, secret);
    for (const key of joined.shared.given.acceptedKeys) memory.acceptedKeys.add(key);
  }
  return joined;
}

/** A memory that notes what of it is of use. */
function noting({ secrets, acceptedKeys }: Memory, noted: { secrets: Secrets; acceptedKeys: Set<string> }): Memory {
  return {
    secrets: {
      keys: () => secrets.keys(),
      get(name) {
        const secret = secrets.get(name);
        if (secret !== undefined) noted.secrets.set(name, secret);
        return secret;
      },
      set(name, secret) {
        noted.secrets.set(name, secret);
        return secrets.set(name, secret);
      },
      delete(name) {
        noted.secrets.delete(name);
        return secrets.delete(name);
      },
    },
    acceptedKeys: {
      has(key) {
        const isAccepted = acceptedKeys.has(key);
        if (isAccepted) noted.acceptedKeys.add(key);
        return isAccepted;
      },
      add(key) {
        noted.acceptedKeys.add(key);
        return acceptedKeys.add(key);
      },
    },
  };
}

/** Reaches a host through the one before, which it leaves when it is closed, or can't be reached. */
async function openBehind(
  before: Joined<JumpHost> | undefined,
  config: HostConfig,
  trip: Trip,
): Promise<Omit<JumpHost, 'given'>> {
  const { signal } = trip.dial.abort;
  const abort = new AbortController();
  const onAbort = () => abort.abort();
  let lost: SessionEnd | undefined;
  const stopWatching = before?.shared.session.onEnd((end) => {
    // Whatever is behind it goes, too, and is not the reason.
    lost = { reason: 'closed', host: before.shared.config.alias, ...end };
    abort.abort();
  });
  signal.addEventListener('abort', onAbort);
  try {
    signal.throwIfAborted();
    const session = await dialOne(config, before?.shared, abort, trip);
    if (!signal.aborted && !lost) return linked(session, config, before);
    await session.close();
    throw new FailureError({ kind: 'cancelled' });
  } catch (error) {
    // Its own end is none that counts.
    stopWatching?.();
    // A program that is asked about its key runs on for nobody.
    abort.abort();
    await before?.leave();
    if (signal.aborted) throw new FailureError({ kind: 'cancelled' });
    throw lost ? new FailureError(lostFailure(lost, '')) : error;
  } finally {
    stopWatching?.();
    signal.removeEventListener('abort', onAbort);
  }
}

/** A session that ends with those that it goes through. */
function linked(own: SshSession, config: HostConfig, before: Joined<JumpHost> | undefined): Omit<JumpHost, 'given'> {
  const ending = createEnding<SessionEnd | undefined>();
  let closing: Promise<void> | undefined;
  const close = (first = Promise.resolve()) => {
    if (closing) return closing;
    const closed = first.then(() => own.close());
    // At once: who dials anew must not go on through what may be the trouble.
    const left = before?.leave(closed);
    closing = Promise.all([closed, left]).then(() => {});
    return closing;
  };
  const end = (found: SessionEnd | undefined) => {
    stopWatching?.();
    ending.end(found);
    void close();
  };
  const stopWatching = before?.shared.session.onEnd((found) =>
    end({ reason: 'closed', host: before.shared.config.alias, ...found }),
  );
  own.onEnd((found) => end(found?.reason === 'keepalive' ? silentFirst(found, own.life, before?.shared) : found));
  const session: SshSession = {
    ...own,
    probe(withinSeconds) {
      own.probe(withinSeconds);
      before?.shared.session.probe(withinSeconds);
    },
    get roundTripMs() {
      return own.roundTripMs;
    },
    onEnd: (listener) => ending.onEnd(listener),
    close: () => close(),
  };
  return {
    session,
    config,
    way: [...(before?.shared.way ?? []), { config, life: own.life }],
    onEnd: (listener) => void session.onEnd(listener),
    close,
  };
}

/**
 * A host no longer answers when one before it does not, and its keepalive may be the first to tell. Those with a keepalive
 * are asked with it, and all by a probe: the first of these that has said nothing since is the reason.
 */
function silentFirst(end: SessionEnd, { askedAt }: SignsOfLife, before: JumpHost | undefined): SessionEnd {
  const silent = before?.way.find(({ life }) => life.askedAt >= askedAt && life.heardAt < askedAt);
  return silent ? { ...end, host: silent.config.alias } : end;
}

/** One hop, through the one before it. */
async function dialOne(
  config: HostConfig,
  before: JumpHost | undefined,
  abort: AbortController,
  { ask, memory, log, watch, serverSaid, isUnattended = false }: Trip,
): Promise<SshSession> {
  const network = createNetworkWatch(config, abort);
  const begin = (phase: DialPhase) => watch?.(config.alias, phase);
  // Time that a person takes to answer is not the network's.
  const askAndWait: AskUser = (question) => {
    if (config.batchMode) return Promise.resolve({ kind: 'cancel' });
    return network.paused(() => ask(question));
  };
  let authentication: Authentication | undefined;
  let program: ProxyCommand | undefined;
  let socket: Duplex | undefined;
  const giveUp = () => socket?.destroy();
  abort.signal.addEventListener('abort', giveUp);
  try {
    // Neither are the files and the user's own program that it looks into.
    const checking = network.paused(() =>
      createHostKeyCheck(config, askAndWait, memory.acceptedKeys, log, abort.signal),
    );
    const hostKey = await orCancelled(checking, abort.signal);
    begin('connect');
    if (before) {
      log(`Going on from ${before.config.alias} to ${hostPort(config.hostName, config.port)}`);
      socket = await openChannel(config, before, abort.signal);
    } else if (config.proxyCommand !== undefined) {
      log(`Going through the ProxyCommand of ${config.alias}`);
      program = openProxyCommand(config.proxyCommand, log);
      ({ socket } = program);
    } else socket = await network.paused(() => openSocket(config, abort.signal));
    authentication = createAuthentication({
      config,
      ask: askAndWait,
      atLeisure: (work) => network.paused(work, isUnattended ? leisureSeconds.unattended : leisureSeconds.attended),
      serverSaid: (text) => serverSaid?.('login', text, config.alias),
      secrets: memory.secrets,
      isUnattended,
      log,
    });
    begin('handshake');
    const address = socket instanceof Socket ? socket.remoteAddress : undefined;
    const session = await openSession({
      socket,
      user: config.user,
      knownKeyTypes: hostKey.knownKeyTypes,
      algorithms: config.algorithms,
      verifyHostKey: (blob) => {
        begin('hostKey');
        return network.paused(() => hostKey.verify(blob, address));
      },
      hostKeyProven: () => void hostKey.proven(),
      hostKeysNamed: (blobs, prove) =>
        void hostKey.named(blobs, prove).catch((error: unknown) => log(`known_hosts: ${String(error)}`)),
      authenticate: (transport) => {
        begin('authentication');
        return authentication!.run(transport);
      },
      serverSaid: (text) => serverSaid?.('banner', text, config.alias),
      keepaliveSeconds: config.serverAliveInterval,
      keepaliveCount: config.serverAliveCountMax,
      // The last one with a keepalive, which asks those before it in its turn: one without is left in peace.
      onAsk: () => before?.way.findLast(({ config }) => config.serverAliveInterval > 0)?.life.ask(),
      ...(config.rekeyLimit && { rekeyLimit: config.rekeyLimit }),
      log,
    });
    begin('ready');
    return session;
  } catch (error) {
    socket?.destroy();
    if (network.expired !== undefined)
      throw new FailureError({
        kind: 'connectTimeout',
        host: config.hostName,
        port: config.port,
        seconds: network.expired,
      });
    if (!(error instanceof DialError)) throw error;
    if (program && error.end.kind === 'closedEarly' && !abort.signal.aborted)
      throw new FailureError({ kind: 'proxyCommandFailed', host: config.alias, ...(await program.ended()) });
    throw new FailureError(dialFailure(error, config, authentication));
  } finally {
    network.end();
    abort.signal.removeEventListener('abort', giveUp);
  }
}

/** How long a server or an agent may let wait that has a person to ask. A server mostly ends a login after 120. */
const leisureSeconds = { attended: 300, unattended: 60 };

interface NetworkWatch {
  /** How many seconds were too few. */
  readonly expired: number | undefined;
  /** Does not count the time of the work, which ends the dial only when it takes longer than `mostSeconds`. */
  paused<T>(work: () => Promise<T>, mostSeconds?: number): Promise<T>;
  end(): void;
}

/** Ends the dial when the network takes longer than ConnectTimeout between two answers of a person. */
function createNetworkWatch({ connectTimeout }: HostConfig, abort: AbortController): NetworkWatch {
  let expired: number | undefined;
  let ended = false;
  let pauses = 0;
  let timer: NodeJS.Timeout | undefined;
  const endAfter = (seconds: number) =>
    setTimeout(() => {
      expired = seconds;
      abort.abort();
    }, seconds * 1000);
  const run = () => {
    clearTimeout(timer);
    if (ended || pauses > 0) return;
    timer = endAfter(connectTimeout);
  };
  run();
  return {
    get expired() {
      return expired;
    },
    async paused(work, mostSeconds) {
      pauses++;
      clearTimeout(timer);
      const late = mostSeconds === undefined ? undefined : endAfter(mostSeconds);
      try {
        return await work();
      } finally {
        clearTimeout(late);
        pauses--;
        run();
      }
    },
    end() {
      ended = true;
      clearTimeout(timer);
    },
  };
}

/** A channel of the hop before as a socket. Throws a FailureError. */
async function openChannel({ hostName: host, port }: HostConfig, before: Reached, abort: AbortSignal): Promise<Duplex> {
  try {
    return channelStream(
      await orCancelled(before.session.openTcp({ host, port }, origin), abort, (late) => late.close()),
    );
  } catch (error) {
    const failure = failureOf(error);
    if (failure.kind !== 'channelRefused') throw error;
    const { refusal, detail } = failure;
    const hop = before.config.alias;
    throw new FailureError({ kind: 'hopRefused', hop, target: hostPort(host, port), refusal, detail });
  }
}

/** What `ssh -W`, and so ssh with a jump host, says where it comes from. */
const origin = { address: '127.0.0.1', port: 65535 };

function dialFailure({ end }: DialError, config: HostConfig, authentication: Authentication | undefined): Failure {
  const { alias: host, hostName, port, user } = config;
  switch (end.kind) {
    case 'failure':
      return end.failure;
    case 'notSsh':
      return { kind: 'notSsh', host: hostName, port, said: end.said };
    case 'closedEarly':
      return { kind: 'connectFailed', host: hostName, port, code: 'ECONNRESET' };
    case 'handshake':
      return { kind: 'handshakeFailed', host, detail: end.detail.replace(/^Handshake failed: /, '') };
    case 'noCommonAlgorithm':
    case 'nothingToOffer':
      return { ...end, host };
    case 'denied': {
      const { tried = [], passed = [], offered = [], notes = [] } = authentication ?? {};
      return {
        kind: 'authFailed',
        user,
        host,
        tried,
        ...(passed.length > 0 && { passed }),
        offered,
        notes,
        ...(end.detail !== undefined && { detail: end.detail }),
        ...(end.detail !== undefined && authentication?.isUnfinished && { isUnfinished: true }),
        ...(config.batchMode && { isBatch: true }),
      };
    }
    case 'lost':
      return { kind: 'connectionLost', host, ...end.end };
  }
}
