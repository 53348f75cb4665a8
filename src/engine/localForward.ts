// ssh -L and -D: listens on this machine and opens a channel for each connection.
import type { Socket } from 'node:net';
import type { Access } from '../core/engine.js';
import { FailureError } from '../core/failure.js';
import { printEndpoint, type Endpoint, type Listen } from '../core/forwardSpec.js';
import { proxyReply, type ProxyRequest } from '../core/socks.js';
import { expandPath } from '../core/sshConfig.js';
import { hostPort, isLoopback } from '../core/wording.js';
import { peerText, refusalOf, type ClientEntry } from './clients.js';
import type { ListeningOpener } from './forward.js';
import { listenTcp, listenUnix, resolveBind, type Listener } from './listener.js';
import { endWith, outcomeOf, readProxyRequest } from './proxyClient.js';
import { join, reset } from './pump.js';
import type { SshSession } from './sshClient.js';
import { expandServerPath } from './serverPath.js';
import { localUser } from './sshFiles.js';

type NextSession = () => Promise<SshSession | undefined>;

export const openLocalForward: ListeningOpener = ({ id, spec, run, wish }, clients, allow, context) => {
  const { host } = context;
  let listener: Listener | undefined;

  const onSocket = (socket: Socket) => {
    const client = clients.add(peerText(socket), () => reset(socket), true);
    socket.once('close', client.gone);
    const nextSession = waitingAt(socket, client);
    if (spec.kind === 'dynamic') void serveProxy(socket, client, nextSession);
    else if (spec.target.kind !== 'socks') void connect(socket, client, nextSession, spec.target);
  };

  /** What gives a client the session of the moment, or parks it until there is one; undefined: it is reset. */
  const waitingAt = (socket: Socket, client: ClientEntry) => {
    /** ms */
    let waited = 0;
    return async (): Promise<SshSession | undefined> => {
      const gone = new AbortController();
      const onClose = () => gone.abort();
      const began = performance.now();
      client.parked(true);
      socket.once('close', onClose);
      const session = await context.nextSession({ since: began - waited, gone: gone.signal });
      socket.removeListener('close', onClose);
      client.parked(false);
      waited += performance.now() - began;
      if (session && !socket.destroyed) return session;
      reset(socket);
      return undefined;
    };
  };

  const serveProxy = async (socket: Socket, client: ClientEntry, nextSession: NextSession) => {
    // Not a byte is read of one that may have to be reset.
    if (!context.session() && !(await nextSession())) return;
    const request = await readProxyRequest(socket, ({ kind }) => context.log(`${id}: refused a client (${kind})`));
    if (!request) return;
    client.target(hostPort(request.host, request.port));
    await connect(socket, client, nextSession, { kind: 'tcp', host: request.host, port: request.port }, request);
  };

  /**
   * Opens the channel, tells the client of a proxy what came of it, and joins the two. When the session goes before that,
   * nothing has been said to anybody, and it is tried on the next one.
   */
  const connect = async (
    socket: Socket,
    client: ClientEntry,
    nextSession: NextSession,
    target: Endpoint,
    request?: ProxyRequest,
  ): Promise<void> => {
    while (!socket.destroyed) {
      const session = context.session() ?? (await nextSession());
      if (!session) return;
      try {
        // While the server connects, the client's first bytes are read already.
        if (!request) socket.read(0);
        const origin = { address: socket.remoteAddress ?? '127.0.0.1', port: socket.remotePort ?? 0 };
        const channel = await openChannel(session, target, origin);
        if (socket.destroyed || context.session() !== session) {
          channel.close();
          continue;
        }
        if (request) socket.write(proxyReply(request, 'connected'));
        socket.removeListener('close', client.gone);
        const joined = join(socket, channel, client.gone);
        client.joined(socket, () => joined.cut());
        clients.report(undefined);
      } catch (error) {
        // A channel that was refused since the whole connection went is told by the connection.
        if (context.session() !== session) continue;
        const failure = refusalOf(error, printEndpoint(target), host);
        clients.report(failure);
        if (request) endWith(socket, proxyReply(request, outcomeOf(failure)));
        else reset(socket);
      }
      return;
    }
  };

  const openChannel = (session: SshSession, target: Endpoint, origin: { address: string; port: number }) =>
    target.kind === 'tcp'
      ? session.openTcp(target, origin)
      : session.openUnix(expandServerPath(target.path, context.config().tokens));

  const open = async (at: Listen): Promise<{ opened: Listener; access: Access }> => {
    const handlers = { onSocket, log: context.log };
    if (at.kind === 'unix') {
      const config = context.config();
      const path = expandPath(at.path, config.tokens, localUser());
      const mask = config.streamLocalBindMask;
      const opened = await listenUnix(path, { mask, unlink: config.streamLocalBindUnlink }, handlers);
      // A named pipe of Windows lets everybody on the machine read.
      const isPrivate = process.platform !== 'win32' && (mask & 0o077) === 0o077;
      return { opened, access: isPrivate ? 'user' : 'machine' };
    }
    const candidates = await resolveBind(at.bind, at.port, {
      gatewayPorts: context.config().gatewayPorts,
      family: context.config().addressFamily,
    });
    const open = candidates.map(({ address }) => address).filter((address) => !isLoopback(address));
    if (open.length > 0) await allow(open);
    const opened = await listenTcp(candidates, at.port, wish === 'nextFree', handlers);
    const isOpen = opened.bound.some((one) => one.kind === 'tcp' && !isLoopback(one.address));
    return { opened, access: isOpen ? 'network' : 'machine' };
  };

  const listenHere = async () => {
    // It outlives the session: clients that come while SSH is down wait.
    if (listener) return;
    const { opened, access } = await open(spec.listen);
    listener = opened;
    const { bound, unbound } = opened;
    context.emit({ kind: 'listening', forward: id, run, bound, unbound, asked: access, access });
  };

  return {
    listen: listenHere,
    listenHere,
    detach() {},
    async probe(gone) {
      if (spec.kind !== 'local') return undefined;
      const session = context.session() ?? (await context.nextSession({ since: performance.now(), gone }));
      if (!session) throw new FailureError({ kind: 'cancelled' });
      try {
        const channel = await openChannel(session, spec.target, { address: '127.0.0.1', port: 0 });
        channel.close();
        clients.report(undefined);
        return undefined;
      } catch (error) {
        if (context.session() !== session) throw error;
        const failure = refusalOf(error, printEndpoint(spec.target), host);
        clients.report(failure);
        return failure;
      }
    },
    async stop() {
      await listener?.close();
    },
  };
};
