// ssh -R: the server listens, and each of its connections is brought to a target that this machine reaches.
import { connect, Socket } from 'node:net';
import { backoff } from '../core/backoff.js';
import type { Access, BoundAddress } from '../core/engine.js';
import { errorCode, FailureError, failureOf, type Failure } from '../core/failure.js';
import { printEndpoint, printSpec, type Endpoint, type ForwardSpec, type Listen } from '../core/forwardSpec.js';
import { proxyReply, type ProxyRequest } from '../core/socks.js';
import { permitsRemoteOpen } from '../core/permitRemoteOpen.js';
import { expandPath } from '../core/sshConfig.js';
import { askedAccess, hostPort } from '../core/wording.js';
import { channelStream, type ChannelStream } from './channelStream.js';
import type { ClientEntry } from './clients.js';
import type { ListeningOpener, RemoteHad } from './forward.js';
import { socketPath } from './listener.js';
import { endWith, outcomeOf, readProxyRequest } from './proxyClient.js';
import { join } from './pump.js';
import { createServerAccess, isNobodyThere, type ServerAccess } from './serverAccess.js';
import { ListenRefused, type IncomingChannel, type RemoteListener, type SshSession } from './sshClient.js';
import { expandServerPath } from './serverPath.js';
import { localUser } from './sshFiles.js';
import { withinTime } from './withinTime.js';

type RemoteRefused = Failure & { kind: 'remoteRefused' };

export const openRemoteForward: ListeningOpener = ({ id, spec, run, preferredPort }, clients, allow, context) => {
  const { host } = context;
  const target = spec.kind === 'remote' ? spec.target : undefined;
  let listener: { session: SshSession; remote: RemoteListener } | undefined;
  let access: ServerAccess | undefined;
  const key = hadKey(id, spec);
  const had = () => context.had.get(key);
  const remember = (had: RemoteHad) => context.had.set(key, had);
  let isRetrying = false;
  let endPause = () => {};
  let isStopped = false;

  const serve = (session: SshSession, incoming: IncomingChannel) => {
    // It may have waited for us to knock at the listener.
    if (isStopped || context.session() !== session) return incoming.reject();
    const peer = incoming.origin ? hostPort(incoming.origin.address, incoming.origin.port) : '';
    if (target?.kind === 'socks') void serveProxy(session, incoming, peer);
    else if (target)
      bring(
        session,
        incoming,
        clients.add(peer, () => {}),
        target,
      );
  };

  const serveProxy = async (session: SshSession, incoming: IncomingChannel, peer: string) => {
    const channel = incoming.accept();
    if (!channel) return;
    const stream = channelStream(channel);
    const client = clients.add(peer, () => stream.destroy());
    stream.once('close', client.gone);
    const request = await readProxyRequest(stream, ({ kind }) => context.log(`${id}: refused a client (${kind})`));
    if (!request) return;
    const name = hostPort(request.host, request.port);
    client.target(name);
    if (!permitsRemoteOpen(context.config().permitRemoteOpen, request.host, request.port)) {
      const failure: Failure = { kind: 'targetNotPermitted', target: name };
      clients.report(failure);
      return endWith(stream, proxyReply(request, outcomeOf(failure)));
    }
    const accepted = { ...incoming, accept: () => stream.release(), reject: () => stream.destroy() };
    bring(session, accepted, client, { kind: 'tcp', host: request.host, port: request.port }, { stream, request });
  };

  /** Connects to the target first: a server's client is let in only when there is somebody to talk to. */
  const bring = (
    session: SshSession,
    incoming: IncomingChannel,
    client: ClientEntry,
    to: Endpoint,
    proxy?: { stream: ChannelStream; request: ProxyRequest },
  ) => {
    const socket = dialTarget(to);
    const refuse = () => {
      socket.removeAllListeners().on('error', () => {});
      socket.destroy();
      client.gone();
      incoming.reject();
    };
    client.setCut(refuse);
    socket.once('error', (error) => {
      if (context.session() !== session) return refuse();
      const failure: Failure = { kind: 'targetFailed', target: printEndpoint(to), code: errorCode(error) };
      clients.report(failure);
      if (proxy) endWith(proxy.stream, proxyReply(proxy.request, outcomeOf(failure)));
      else refuse();
    });
    socket.once('connect', () => {
      const channel = context.session() === session ? incoming.accept() : undefined;
      if (!channel) return refuse();
      socket.removeAllListeners('error').removeAllListeners('connect');
      if (proxy) channel.write(proxyReply(proxy.request, 'connected'));
      const joined = join(socket, channel, client.gone);
      client.joined(socket, () => joined.cut(), true);
      clients.report(undefined);
    });
  };

  const dialTarget = (to: Endpoint): Socket => {
    const options = { allowHalfOpen: true, noDelay: true };
    if (to.kind === 'unix') {
      try {
        return connect({ ...options, path: socketPath(expandPath(to.path, context.config().tokens, localUser())) });
      } catch {
        return new Socket().destroy(Object.assign(new Error('too long'), { code: 'ENAMETOOLONG' }));
      }
    }
    // As in ssh: one address after the other, and a slow one is waited for.
    return connect({ ...options, host: to.host, port: to.port, autoSelectFamilyAttemptTimeout: 2500 });
  };

  const listenTcp = async (session: SshSession, { bind, port }: Listen & { kind: 'tcp' }, asked: Access) => {
    const address = askedAddress(bind);
    const open = async (at: number) => {
      const probing = (access = createServerAccess(session, address, (incoming) => serve(session, incoming)));
      const remote = await session.listenTcp(address, at, (incoming) => {
        if (!probing.offer(incoming)) serve(session, incoming);
      });
      return { probing, remote };
    };
    const orRefused = (error: unknown) => {
      if (!(error instanceof ListenRefused)) throw error;
    };
    const before = port === 0 ? (had()?.port ?? preferredPort) : undefined;
    // Whoever was told the number may still use it.
    const again = before === undefined ? undefined : await open(before).catch(orRefused);
    const { probing, remote } = again ?? (await open(port));
    remember({ port: remote.port, bound: [] });
    // The end of the session may stand behind the answer in the same packet, and is told before we go on.
    if (context.session() !== session) return;
    listener = { session, remote };
    listenersOf(session).add(remote);
    if (before !== undefined && remote.port !== before)
      context.log(
        `${id}: ${host} gave port ${remote.port} this time, since port ${before} was not to be had`,
        'warning',
      );
    const { others, ...found } = await probing.find(remote);
    if (listener?.session !== session) return;
    remember({ port: remote.port, bound: found.bound });
    const unbound = others.map((address): Failure => ({ kind: 'remoteHalf', host, address, port: remote.port }));
    context.emit({ kind: 'listening', forward: id, run, ...found, unbound, asked });
  };

  const listenUnix = async (session: SshSession, path: string, asked: Access) => {
    const remote = await session.listenUnix(path, (incoming) => serve(session, incoming));
    const bound: BoundAddress[] = [{ kind: 'unix', path }];
    remember({ port: 0, bound });
    if (context.session() !== session) return;
    listener = { session, remote };
    context.emit({ kind: 'listening', forward: id, run, bound, unbound: [], asked, access: 'unknown' });
  };

  /**
   * Stale is what was ours until the connection broke, unless nobody answers there: sshd notices late that a client is
   * gone. Whether the server lets us knock or not, it gave the port before, and seldom changes its rules.
   */
  const refusal = async (session: SshSession, at: Listen, isAskedTwice: boolean): Promise<RemoteRefused> => {
    const base = { kind: 'remoteRefused', host, user: context.config().user, listen: at } as const;
    const stale = had() && { isStale: true as const };
    if (isAskedTwice) return { ...base, inUse: true };
    // sshd leaves the file of a socket behind, and takes no path that is there (without StreamLocalBindUnlink).
    if (at.kind === 'unix') return { ...base, inUse: false, ...stale };
    if (at.port === 0) return { ...base, inUse: false };
    if ([...listenersOf(session)].some(({ port }) => port === at.port)) return { ...base, inUse: true };
    const [first] = had()?.bound ?? [];
    const answer = await answerAt(session, first?.kind === 'tcp' ? first.address : at.bind, at.port);
    return { ...base, inUse: answer === 'yes', ...(answer !== 'no' && stale) };
  };

  /** Ends early when the session does, or the forward is stopped. */
  const pause = (session: SshSession, ms: number) =>
    new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        forget();
        endPause = () => {};
        resolve();
      };
      const timer = setTimeout(end, ms);
      const forget = session.onEnd(end);
      endPause = end;
    });

  return {
    async listen(session) {
      const at = spec.listen;
      const asked = askedAccess(spec);
      if (asked === 'network') await allow([]);
      const isOver = () => isStopped || context.session() !== session;
      let wasFree = false;
      for (let attempt = 1; ; attempt++) {
        try {
          if (at.kind === 'tcp') await listenTcp(session, at, asked);
          else await listenUnix(session, expandServerPath(at.path, context.config().tokens), asked);
          isRetrying = false;
          return;
        } catch (error) {
          if (!(error instanceof ListenRefused)) throw error;
          // The connection that went in the middle tells for itself.
          if (isOver()) return;
          const failure = await refusal(session, at, error.isOurs);
          if (isOver()) return;
          // A file that sshd replaces may be in the way for the moment in which two sessions ask for it.
          if (failure.isStale && (at.kind === 'tcp' || attempt < socketTries)) {
            wasFree = false;
            isRetrying = true;
            const delay = backoff(attempt, Math.random(), longestRetryMs);
            context.emit({ kind: 'listenRetrying', forward: id, run, failure, attempt, retryAt: Date.now() + delay });
            await pause(session, delay);
            if (isOver()) return;
          } else if (had() && !failure.isStale && !failure.inUse && !wasFree) {
            // What was there may have gone since. A server that refuses a free port again does so by its rules.
            wasFree = true;
          } else {
            isRetrying = false;
            throw new FailureError(failure);
          }
        }
      }
    },
    detach() {
      if (listener || isRetrying) context.emit({ kind: 'forwardClosed', forward: id });
      listener = undefined;
      isRetrying = false;
      // The next listener has no result yet.
      clients.forget();
    },
    retry: () => endPause(),
    async stop() {
      isStopped = true;
      access?.end();
      endPause();
      const last = listener;
      listener = undefined;
      if (!last) return;
      listenersOf(last.session).delete(last.remote);
      const isFree = await last.remote.close();
      // Whoever has it next is another one. A number that was allocated is asked for again, and may be another then.
      if (isFree && !(spec.listen.kind === 'tcp' && spec.listen.port === 0)) context.had.delete(key);
    },
  };
};

/** How often a server is asked for the path of a socket that was ours. */
const socketTries = 2;

/** The same forward, also in another run. */
function hadKey(id: string, spec: ForwardSpec): string {
  return `${id} ${printSpec(spec)}`;
}

const listeners = new WeakMap<SshSession, Set<RemoteListener>>();

/** Our own listeners at ports of a server. */
function listenersOf(session: SshSession): Set<RemoteListener> {
  const all = listeners.get(session) ?? new Set();
  listeners.set(session, all);
  return all;
}

/** The longest wait between two tries for a port that a stale session holds, in milliseconds. */
const longestRetryMs = 10_000;

/** How long a server may take to say whether a port is taken, in milliseconds. */
const answerMs = 2_000;

/** Whether something listens at a port of the server. It hears nothing of us but a connection that closes. */
async function answerAt(
  session: SshSession,
  bind: string | undefined,
  port: number,
): Promise<'yes' | 'no' | 'unknown'> {
  const host = loopbackOf(bind);
  const opened = session.openTcp({ host, port }, { address: '127.0.0.1', port: 0 }).then(
    (channel) => {
      channel.close();
      return 'yes' as const;
    },
    (error: unknown) => (isNobodyThere(failureOf(error)) ? ('no' as const) : ('unknown' as const)),
  );
  return (await withinTime(answerMs, opened)) ?? 'unknown';
}

/** An address of the server at which a listener answers. */
function loopbackOf(bind = 'localhost'): string {
  if (bind === '::') return '::1';
  return ['', '*', '0.0.0.0', 'localhost'].includes(bind) ? '127.0.0.1' : bind;
}

/** What the protocol has for a bind address (RFC 4254 section 7.1; OpenSSH's channel_rfwd_bind_host). */
function askedAddress(bind: string | undefined): string {
  if (bind === undefined) return 'localhost';
  return bind === '*' ? '' : bind;
}
