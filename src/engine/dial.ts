// One dial: resolve the host's options, and for each hop on the way and itself: connect, check its key, authenticate.
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FailureError, errorCode, failureOf, type Failure } from '../core/failure.js';
import type { HostRequest } from '../core/plan.js';
import type { HostConfig } from '../core/sshConfig.js';
import { hostPort } from '../core/wording.js';
import { channelSocket } from './channelSocket.js';
import { createAuthentication, type Authentication, type Secrets } from './authentication.js';
import { createHostKeyCheck, type AskUser } from './hostKeyCheck.js';
import { createScope } from './scope.js';
import { DialError, openSession, type SessionEnd, type SshSession } from './sshClient.js';
import { resolveRoute } from './sshFiles.js';

/** What a person has given or accepted, for reconnects in the background; it goes with the connection. */
export interface Memory {
  secrets: Secrets;
  acceptedKeys: Set<string>;
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
  log(text: string): void;
  watch?: DialWatch;
}

/** A session with the options that it was made of. */
interface Reached {
  session: SshSession;
  config: HostConfig;
}

/**
 * Brings a session up, through the host's jump hosts if it has any, or throws a FailureError; the dial's abort ends it at
 * any point. Closing the session closes those of its jump hosts, too; when one of them is gone, so is the session.
 */
export async function dialHost(request: HostRequest, dial: Dial, context: DialContext): Promise<Reached> {
  const { log, watch } = context;
  watch?.(request.destination.host, 'resolve');
  const route = await resolveRoute(request, dial.abort.signal, log);
  const scope = createScope((error) => log(`closing: ${String(error)}`));
  const listeners = new Set<(end: SessionEnd | undefined) => void>();
  let reached: Reached | undefined;
  let lost: (SessionEnd & { host: string }) | undefined;
  let isOver = false;
  const onGone = ({ alias }: HostConfig, end: SessionEnd | undefined) => {
    // Whatever is behind it goes, too, and is not the reason.
    if (isOver) return;
    isOver = true;
    if (end) lost = { ...end, host: alias };
    for (const listener of listeners) listener(lost);
    void scope.close();
  };
  try {
    for (const config of route) {
      dial.abort.signal.throwIfAborted();
      const session = await dialOne(config, reached, dial, context);
      scope.own(() => session.close());
      session.onEnd((end) => onGone(config, end));
      reached = { session, config };
    }
    dial.abort.signal.throwIfAborted();
    if (lost) throw lostError(lost);
  } catch (error) {
    await scope.close();
    // An abort ends the first hop, and with it the rest.
    throw lost && !dial.abort.signal.aborted ? lostError(lost) : error;
  }
  const { session, config } = reached!;
  return {
    session: {
      ...session,
      onEnd(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      close: () => scope.close(),
    },
    config,
  };
}

function lostError(end: SessionEnd & { host: string }): FailureError {
  return new FailureError({ kind: 'connectionLost', ...end });
}

/** One hop, through the one before it. */
async function dialOne(
  config: HostConfig,
  before: Reached | undefined,
  dial: Dial,
  { ask, memory, log, watch }: DialContext,
): Promise<SshSession> {
  const network = createNetworkWatch(config, dial);
  const begin = (phase: DialPhase) => watch?.(config.alias, phase);
  // Time that a person takes to answer is not the network's.
  const askAndWait: AskUser = (question) => {
    if (config.batchMode) return Promise.resolve({ kind: 'cancel' });
    return network.paused(() => ask(question));
  };
  let authentication: Authentication | undefined;
  try {
    const hostKey = await createHostKeyCheck(config, askAndWait, memory.acceptedKeys, log);
    dial.abort.signal.throwIfAborted();
    if (before) log(`Going on from ${before.config.alias} to ${hostPort(config.hostName, config.port)}`);
    begin('connect');
    const socket = await (before ? openChannel(config, before) : openSocket(config, dial));
    authentication = createAuthentication({
      config,
      ask: askAndWait,
      atLeisure: (work) => network.paused(work),
      secrets: memory.secrets,
      log,
    });
    begin('handshake');
    const session = await openSession({
      socket,
      user: config.user,
      knownKeyTypes: hostKey.knownKeyTypes,
      algorithms: config.algorithms,
      verifyHostKey: (blob) => {
        begin('hostKey');
        return hostKey.verify(blob);
      },
      authenticate: (state) => {
        if (state.offered === undefined) begin('authentication');
        return authentication!.next(state);
      },
      keepaliveSeconds: config.serverAliveInterval,
      keepaliveCount: config.serverAliveCountMax,
      log,
    });
    begin('ready');
    return session;
  } catch (error) {
    if (network.expired)
      throw new FailureError({
        kind: 'connectTimeout',
        host: config.hostName,
        port: config.port,
        seconds: config.connectTimeout,
      });
    throw error instanceof DialError ? new FailureError(dialFailure(error, config, authentication)) : error;
  } finally {
    network.end();
  }
}

interface NetworkWatch {
  readonly expired: boolean;
  /** Does not count the time of the work. */
  paused<T>(work: () => Promise<T>): Promise<T>;
  end(): void;
}

/** Ends the dial when the network takes longer than ConnectTimeout between two answers of a person. */
function createNetworkWatch({ connectTimeout }: HostConfig, dial: Dial): NetworkWatch {
  let expired = false;
  let ended = false;
  let pauses = 0;
  let timer: NodeJS.Timeout | undefined;
  const run = () => {
    clearTimeout(timer);
    if (ended || pauses > 0) return;
    timer = setTimeout(() => {
      expired = true;
      dial.abort.abort();
    }, connectTimeout * 1000);
  };
  run();
  return {
    get expired() {
      return expired;
    },
    async paused(work) {
      pauses++;
      clearTimeout(timer);
      try {
        return await work();
      } finally {
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

/** A connected socket that the dial's abort destroys, with no-delay from the start. Throws a FailureError. */
function openSocket({ hostName, port, addressFamily, bindAddress }: HostConfig, dial: Dial): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostName,
      port,
      family: addressFamily,
      ...(bindAddress !== undefined && { localAddress: bindAddress }),
      noDelay: true,
      autoSelectFamilyAttemptTimeout: 2500,
    });
    const fail = (error: Error) => {
      const code = errorCode(error);
      if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
        reject(new FailureError({ kind: 'hostNotFound', host: hostName }));
      else reject(new FailureError({ kind: 'connectFailed', host: hostName, port, code: innerCode(error) }));
    };
    socket.on('error', fail);
    dial.abort.signal.addEventListener('abort', () => {
      socket.destroy();
      reject(new FailureError({ kind: 'cancelled' }));
    });
    socket.once('connect', () => resolve(socket));
  });
}

/** A channel of the hop before as a socket. Throws a FailureError. */
async function openChannel({ hostName: host, port }: HostConfig, before: Reached): Promise<Duplex> {
  try {
    return channelSocket(await before.session.openTcp({ host, port }, origin));
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

/** A name with several addresses fails with all their errors at once; the first one tells enough. */
function innerCode(error: Error): string {
  return error instanceof AggregateError ? errorCode(error.errors[0]) : errorCode(error);
}

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
    case 'denied': {
      const { tried = [], offered = [], notes = [] } = authentication ?? {};
      return {
        kind: 'authFailed',
        user,
        host,
        tried,
        offered,
        notes,
        ...(end.detail !== undefined && { detail: end.detail }),
      };
    }
    case 'lost':
      return { kind: 'connectionLost', host, ...end.end };
  }
}
