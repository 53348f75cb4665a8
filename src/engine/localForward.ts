// ssh -L: listens on this machine and opens a channel for each connection.
import type { Socket } from 'node:net';
import type { EngineEvent } from '../core/engine.js';
import { FailureError, failureOf, type Failure } from '../core/failure.js';
import type { ForwardSpec } from '../core/forwardSpec.js';
import { unsupportedForward, type PlannedForward } from '../core/plan.js';
import { hostPort } from '../core/wording.js';
import { listen } from './listener.js';
import { join } from './pump.js';
import { createScope } from './scope.js';
import type { SshSession } from './sshClient.js';

export interface ForwardContext {
  /** The host's name as typed, for messages. */
  host: string;
  /** The session of the moment; undefined while the connection is down. */
  session(): SshSession | undefined;
  emit(event: EngineEvent): void;
  log(text: string): void;
}

export interface LocalForward {
  readonly planned: PlannedForward;
  /** Whether it listens, or why not. */
  readonly opened: Promise<Failure | undefined>;
  /** Resets the clients that are connected now, since their channels are gone; goes on listening. */
  cutAll(): void;
  /** Stops listening, resets the clients, and resolves when the port is free. */
  close(): Promise<void>;
}

export function openLocalForward(planned: PlannedForward, context: ForwardContext): LocalForward {
  const { id, spec, run } = planned;
  const clients = new Set<() => void>();
  const scope = createScope((error) => context.log(`Closing ${id}: ${String(error)}`));
  let lastFailure: string | undefined;

  const report = (failure: Failure | undefined) => {
    // Each connection has a result; only a change is news.
    const text = failure && JSON.stringify(failure);
    if (text === lastFailure) return;
    lastFailure = text;
    context.emit(failure ? { kind: 'channelFailed', forward: id, failure } : { kind: 'channelOpened', forward: id });
  };

  const serve = async (socket: Socket, target: { host: string; port: number }) => {
    const session = context.session();
    if (!session) {
      socket.resetAndDestroy();
      return;
    }
    let cut = (): void => {
      socket.resetAndDestroy();
    };
    const abandon = () => cut();
    clients.add(abandon);
    try {
      const origin = { address: socket.remoteAddress ?? '127.0.0.1', port: socket.remotePort ?? 0 };
      const channel = await session.openTcp(target, origin);
      if (socket.destroyed) {
        clients.delete(abandon);
        channel.close();
        channel.resume();
        return;
      }
      const joined = join(
        socket,
        channel,
        (resume) => session.hold(resume),
        () => clients.delete(abandon),
      );
      cut = () => joined.cut();
      report(undefined);
    } catch (error) {
      clients.delete(abandon);
      socket.resetAndDestroy();
      // A channel that was refused since the whole connection went is told by the connection.
      if (context.session() !== session) return;
      const failure = failureOf(error);
      report(
        failure.kind === 'channelRefused'
          ? { ...failure, target: hostPort(target.host, target.port), host: context.host }
          : failure,
      );
    }
  };

  const cutAll = () => {
    for (const cut of [...clients]) cut();
    clients.clear();
  };

  const open = async (): Promise<Failure | undefined> => {
    try {
      const { listen: at, target } = supported(spec);
      const listener = await listen(at.bind, at.port, (socket) => void serve(socket, target), context.log);
      scope.own(() => listener.close());
      scope.own(cutAll);
      context.emit({ kind: 'listening', forward: id, run, bound: listener.bound, unbound: listener.unbound });
      return undefined;
    } catch (error) {
      const failure = failureOf(error);
      context.emit({ kind: 'listenFailed', forward: id, run, failure });
      return failure;
    }
  };

  const opened = open();
  return {
    planned,
    opened,
    cutAll,
    async close() {
      await opened;
      await scope.close();
      context.emit({ kind: 'forwardClosed', forward: id });
    },
  };
}

/** The parts of a spec that this version runs; throws a FailureError for the rest. */
function supported(spec: ForwardSpec) {
  if (spec.kind === 'local' && spec.listen.kind === 'tcp' && spec.target.kind === 'tcp')
    return { listen: spec.listen, target: spec.target };
  throw new FailureError(unsupportedForward(spec) ?? { kind: 'unexpected', detail: spec.kind });
}
