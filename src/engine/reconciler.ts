// The engine: makes what runs equal to the plan, and carries events and asks.
import { printDestination } from '../core/destination.js';
import type { Engine, EngineEvent, Reply } from '../core/engine.js';
import { FailureError } from '../core/failure.js';
import { defaultWaits, type HostRequest, type Plan, type PlannedConnection } from '../core/plan.js';
import { openConnection, type Connection, type ConnectionContext } from './connection.js';
import type { JumpHosts } from './dial.js';
import { createHops } from './hops.js';
import { explain } from './explain.js';
import { watchMachine } from './machineWatch.js';
import { dialServerPorts, listServerPorts } from './serverPorts.js';
import { readConfigForwards, readHosts } from './sshFiles.js';

/** `watch` tells of changes of the machine (watchMachine), while there is a connection; it returns what ends that. */
export function createEngine({ watch = watchMachine }: { watch?: typeof watchMachine } = {}): Engine {
  const connections = new Map<string, Connection>();
  const listeners = new Set<(event: EngineEvent) => void>();
  const openAsks = new Map<string, (reply: Reply) => void>();
  /** Closings under way, by connection: the same host is dialled again, and its ports asked for, when they are done. */
  const closings = new Map<string, Promise<void>>();
  const hops: JumpHosts = createHops();
  let stopWatching: (() => void) | undefined;
  let asked = 0;
  let current: Plan = { connections: [] };

  const emit = (event: EngineEvent) => {
    for (const listener of listeners) listener(event);
  };

  const contextOf = (connection: string): ConnectionContext => ({
    emit,
    ask: (question, cancelled) =>
      new Promise((resolve) => {
        if (cancelled.aborted) return resolve({ kind: 'cancel' });
        const id = `${connection}#${++asked}`;
        const settle = (reply: Reply) => {
          if (!openAsks.delete(id)) return;
          cancelled.removeEventListener('abort', withdraw);
          emit({ kind: 'askSettled', id });
          resolve(reply);
        };
        const withdraw = () => settle({ kind: 'cancel' });
        openAsks.set(id, settle);
        cancelled.addEventListener('abort', withdraw);
        emit({ kind: 'asked', ask: { ...question, id, connection } });
      }),
    hops,
    waits: () => current.waits ?? defaultWaits,
  });

  const close = (id: string, connection: Connection) => {
    connections.delete(id);
    const closing = connection.close().finally(() => {
      if (closings.get(id) === closing) closings.delete(id);
    });
    closings.set(id, closing);
  };

  const watchWhileNeeded = () => {
    if (connections.size === 0) {
      stopWatching?.();
      stopWatching = undefined;
      return;
    }
    stopWatching ??= watch((change) => {
      emit({ kind: 'logged', level: 'info', text: changeTexts[change] });
      for (const connection of connections.values()) connection.machineChanged();
    });
  };

  let isReconciling = false;
  let hasChanged = false;
  /** Whoever hears of a step may change the plan: that one comes next, when each connection is on the list. */
  const reconcile = () => {
    hasChanged = true;
    if (isReconciling) return;
    isReconciling = true;
    try {
      while (hasChanged) {
        hasChanged = false;
        reconcileWith(current);
      }
    } finally {
      isReconciling = false;
    }
  };

  const reconcileWith = (plan: Plan) => {
    for (const [id, connection] of [...connections]) {
      const planned = plan.connections.find((other) => other.id === id);
      if (!planned || !sameHost(planned, connection.planned)) close(id, connection);
    }
    // Asked when all have their new plans: what one gives up another may want.
    const free = Promise.resolve().then(async () => {
      await Promise.all([...closings.values(), ...[...connections.values()].map((one) => one.portsFree())]);
    });
    for (const planned of plan.connections) {
      const connection = connections.get(planned.id);
      const closing = closings.get(planned.id);
      if (connection) connection.update(planned, free);
      // The old one's last events must not be taken for the new one's.
      else if (closing) void closing.then(reconcile);
      else connections.set(planned.id, openConnection(planned, free, contextOf(planned.id)));
    }
    watchWhileNeeded();
  };

  /** Tries to connect that are no part of the plan. */
  const asides = new Map<AbortController, Promise<unknown>>();
  const aside = <T>(calledOff: AbortSignal | undefined, work: (abort: AbortController) => Promise<T>): Promise<T> => {
    const abort = new AbortController();
    const callOff = () => abort.abort();
    if (calledOff?.aborted) callOff();
    calledOff?.addEventListener('abort', callOff);
    const ended = () => {
      asides.delete(abort);
      calledOff?.removeEventListener('abort', callOff);
    };
    const working = work(abort)
      .finally(ended)
      .finally(() => {
        if (calledOff?.aborted) throw new FailureError({ kind: 'cancelled' });
      });
    asides.set(abort, working);
    return working;
  };
  const logOf =
    (host: HostRequest) =>
    (text: string): void =>
      emit({ kind: 'logged', level: 'debug', text: `${printDestination(host.destination)}: ${text}` });

  const apply = (plan: Plan) => {
    // The same plan twice does nothing.
    if (JSON.stringify(plan) === JSON.stringify(current)) return;
    current = plan;
    reconcile();
  };

  return {
    apply,
    answer: (askId, reply) => openAsks.get(askId)?.(reply),
    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    hosts: (configFile) => readHosts(configFile),
    configForwards: (configFile) => readConfigForwards(configFile),
    explain: (host, calledOff) => aside(calledOff, (abort) => explain(host, abort, logOf(host))),
    serverPorts(host, calledOff) {
      const log = logOf(host);
      const up = [...connections.values()].find(({ planned }) => isSameRequest(planned.host, host))?.session;
      // Over one that is up it is a matter of seconds, and its answer is left alone.
      return up ? listServerPorts(up, log) : aside(calledOff, (abort) => dialServerPorts(host, abort, hops, log));
    },
    clients(forward) {
      const found = [...connections.values()].map((connection) => connection.clients(forward)).find((list) => list);
      return Promise.resolve(found ?? []);
    },
    async probe(forward, calledOff = new AbortController().signal) {
      for (const connection of connections.values()) {
        const probing = connection.probe(forward, calledOff);
        if (probing) return probing;
      }
      throw new FailureError({ kind: 'cancelled' });
    },
    numbers(forward) {
      const found = [...connections.values()].map((connection) => connection.numbers(forward)).find((one) => one);
      return Promise.resolve(found);
    },
    way: (connection) => Promise.resolve(connections.get(connection)?.way() ?? []),
    disconnect(forward, client) {
      for (const connection of connections.values()) connection.disconnect(forward, client);
    },
    async close() {
      apply({ connections: [] });
      for (const abort of asides.keys()) abort.abort();
      await Promise.all([...closings.values(), Promise.allSettled(asides.values())]);
    },
  };
}

const changeTexts = {
  woke: 'The machine slept, or its clock was set: connections are looked after',
  network: 'The network has changed: connections are looked after',
} as const;

/**
 * Whether it is dialled in the same way: the same host may be meant by another text, or with another file. Who asks for
 * it is no reason to dial anew.
 */
function isSameRequest(a: HostRequest, b: HostRequest): boolean {
  const key = ({ destination, configFile, options }: HostRequest) =>
    JSON.stringify([printDestination(destination), configFile ?? null, options]);
  return key(a) === key(b);
}

function sameHost(a: PlannedConnection, b: PlannedConnection): boolean {
  return isSameRequest(a.host, b.host);
}
