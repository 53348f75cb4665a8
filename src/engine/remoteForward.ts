// ssh -R: the server listens, and each of its connections is brought to a target that this machine reaches.
import { connect, Socket } from 'node:net';
import type { BoundAddress } from '../core/engine.js';
import { errorCode, FailureError, type Failure } from '../core/failure.js';
import { printEndpoint, type Endpoint, type Listen } from '../core/forwardSpec.js';
import { proxyReply, type ProxyRequest } from '../core/socks.js';
import { permitsRemoteOpen } from '../core/permitRemoteOpen.js';
import { expandPath } from '../core/sshConfig.js';
import { askedAccess, hostPort } from '../core/wording.js';
import type { ClientEntry } from './clients.js';
import type { ListeningOpener } from './forward.js';
import { socketPath } from './listener.js';
import { endWith, outcomeOf, readProxyRequest } from './proxyClient.js';
import { discard, join } from './pump.js';
import { createServerAccess, type ServerAccess } from './serverAccess.js';
import {
  ListenRefused,
  type IncomingChannel,
  type RemoteListener,
  type SshChannel,
  type SshSession,
} from './sshClient.js';
import { expandServerPath } from './serverPath.js';
import { localUser } from './sshFiles.js';
import { withinTime } from './withinTime.js';

export const openRemoteForward: ListeningOpener = ({ id, spec, run }, clients, allow, context) => {
  const { host } = context;
  const target = spec.kind === 'remote' ? spec.target : undefined;
  let listener: { session: SshSession; remote: RemoteListener } | undefined;
  let access: ServerAccess | undefined;
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
    const client = clients.add(peer, () => channel.close());
    channel.once('close', client.gone);
    const request = await readProxyRequest(channel, ({ kind }) => context.log(`${id}: refused a client (${kind})`));
    if (!request) return;
    const name = hostPort(request.host, request.port);
    client.target(name);
    if (!permitsRemoteOpen(context.config().permitRemoteOpen, request.host, request.port)) {
      const failure: Failure = { kind: 'targetNotPermitted', target: name };
      clients.report(failure);
      return endWith(channel, proxyReply(request, outcomeOf(failure)));
    }
    const accepted = { ...incoming, accept: () => channel, reject: () => channel.close() };
    bring(session, accepted, client, { kind: 'tcp', host: request.host, port: request.port }, { channel, request });
  };

  /** Connects to the target first: a server's client is let in only when there is somebody to talk to. */
  const bring = (
    session: SshSession,
    incoming: IncomingChannel,
    client: ClientEntry,
    to: Endpoint,
    proxy?: { channel: SshChannel; request: ProxyRequest },
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
      if (proxy) endWith(proxy.channel, proxyReply(proxy.request, outcomeOf(failure)));
      else refuse();
    });
    socket.once('connect', () => {
      const channel = context.session() === session ? incoming.accept() : undefined;
      if (!channel) return refuse();
      socket.removeAllListeners('error').removeAllListeners('connect');
      if (proxy) {
        channel.removeListener('close', client.gone);
        channel.write(proxyReply(proxy.request, 'connected'));
      }
      const joined = join(socket, channel, (resume) => session.hold(resume), client.gone);
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

  const refusal = async (session: SshSession, at: Listen, isAskedTwice: boolean): Promise<Failure> => {
    const base = { kind: 'remoteRefused', host, user: context.config().user, listen: at } as const;
    if (isAskedTwice) return { ...base, inUse: true };
    if (at.kind === 'unix' || at.port === 0) return { ...base, inUse: false };
    const isOurs = [...listenersOf(session)].some(({ port }) => port === at.port);
    return { ...base, inUse: isOurs || (await answersAt(session, at.bind, at.port)) };
  };

  return {
    async listen(session) {
      const at = spec.listen;
      const asked = askedAccess(spec);
      if (asked === 'network') await allow([]);
      try {
        if (at.kind === 'unix') {
          const path = expandServerPath(at.path, context.config().tokens);
          const remote = await session.listenUnix(path, (incoming) => serve(session, incoming));
          listener = { session, remote };
          const bound: BoundAddress[] = [{ kind: 'unix', path }];
          return context.emit({ kind: 'listening', forward: id, run, bound, unbound: [], asked, access: 'unknown' });
        }
        const address = askedAddress(at.bind);
        const probing = (access = createServerAccess(session, address, (incoming) => serve(session, incoming)));
        const remote = await session.listenTcp(address, at.port, (incoming) => {
          if (!probing.offer(incoming)) serve(session, incoming);
        });
        listener = { session, remote };
        listenersOf(session).add(remote);
        const { others, ...found } = await probing.find(remote);
        if (listener?.session !== session) return;
        const unbound = others.map((address): Failure => ({ kind: 'remoteHalf', host, address, port: remote.port }));
        context.emit({ kind: 'listening', forward: id, run, ...found, unbound, asked });
      } catch (error) {
        if (!(error instanceof ListenRefused)) throw error;
        // The connection that went in the middle tells for itself.
        if (context.session() === session) throw new FailureError(await refusal(session, at, error.isOurs));
      }
    },
    detach() {
      if (listener) context.emit({ kind: 'forwardClosed', forward: id });
      listener = undefined;
      // The next listener has no result yet.
      clients.forget();
    },
    async stop() {
      isStopped = true;
      access?.end();
      const last = listener;
      listener = undefined;
      if (!last) return;
      listenersOf(last.session).delete(last.remote);
      await last.remote.close();
    },
  };
};

const listeners = new WeakMap<SshSession, Set<RemoteListener>>();

/** Our own listeners at ports of a server. */
function listenersOf(session: SshSession): Set<RemoteListener> {
  const all = listeners.get(session) ?? new Set();
  listeners.set(session, all);
  return all;
}

/** How long a server may take to say whether a port is taken, in milliseconds. */
const answerMs = 2_000;

/** Whether something listens at a port of the server. It hears nothing of us but a connection that closes. */
async function answersAt(session: SshSession, bind: string | undefined, port: number): Promise<boolean> {
  const host = bind === undefined || ['', '*', 'localhost'].includes(bind) ? '127.0.0.1' : bind;
  const opened = session.openTcp({ host, port }, { address: '127.0.0.1', port: 0 }).then(
    (channel) => {
      discard(channel);
      return true;
    },
    () => false,
  );
  return (await withinTime(answerMs, opened)) ?? false;
}

/** What the protocol has for a bind address (RFC 4254 section 7.1; OpenSSH's channel_rfwd_bind_host). */
function askedAddress(bind: string | undefined): string {
  if (bind === undefined) return 'localhost';
  return bind === '*' ? '' : bind;
}
