// What the user wants, and what is seen of it. Every command makes a new list of wanted tunnels, and the whole plan goes
// to the engine again.
import { printDestination, type Destination } from './destination.js';
import type { Ask, Engine, EngineEvent, Reply } from './engine.js';
import type { Failure } from './failure.js';
import { printSpec, type ForwardSpec } from './forwardSpec.js';
import { addressesOverlap } from './hostAddress.js';
import {
  connectionOf,
  connectionRun,
  countOf,
  isPlanned,
  isWanted,
  planTunnels,
  type ConnectionId,
  type HostDefaults,
  type Waits,
} from './plan.js';
import { connectionSeen, emptySnapshot, reduce, tunnelState, type ConnectionSeen, type Snapshot } from './snapshot.js';

/**
 * What the user wants of a tunnel: to run on its port or not at all, to run on the next free port from its own upwards, to
 * listen no more while its clients finish, or to be stopped. A `lost` one was to run when the engine ended: it has failed,
 * and waits to be started again.
 */
export type Wish = 'exact' | 'nextFree' | 'drain' | 'stop' | 'lost';

/** A forward that the user has put on the list, running or not. */
export interface Tunnel {
  /** Made of destination and spec: the same forward asked for twice is one tunnel. */
  id: string;
  destination: Destination;
  spec: ForwardSpec;
  label?: string;
  wish: Wish;
  /** Its last start came with the window, not from a hand. */
  automatic: boolean;
  /** The number of its last start, which no other start has: what is seen of an earlier one is not taken for this one's. */
  run: number;
  /** It came with a workspace, and nobody else has asked for it. */
  fromWorkspace?: true;
  /** Who opened it for a while; nobody else has asked for it. */
  heldBy?: Holder;
  /** It was on the list, stopped, and runs for a while for a holder; nobody else has asked for it. */
  lentTo?: Holder;
  /** As its last start wanted it: it listens, and its connection is made when somebody comes. */
  onDemand?: true;
}

export interface Wanted {
  tunnels: readonly Tunnel[];
  connectionRuns: Readonly<Record<ConnectionId, number>>;
  /** How often the user wanted a connection dialled at once. */
  connectionRetries: Readonly<Record<ConnectionId, number>>;
  /** How many starts there were. */
  starts: number;
  /** Hosts that are reached by an ssh_config file of their own, and not by the user's: it ends with the window. */
  sandboxes?: Readonly<Record<ConnectionId, string>>;
}

/** Who opens a tunnel and closes it when it is no longer needed: another extension, a task, a language model that is asked. */
export type Holder = 'extension' | 'task' | 'agent';

export interface NewTunnel {
  destination: Destination;
  spec: ForwardSpec;
  label?: string;
  fromWorkspace?: true;
  heldBy?: Holder;
  onDemand?: true;
}

export function tunnelId({ destination, spec }: NewTunnel): string {
  return `${printDestination(destination)} ${printSpec(spec)}`;
}

export const nothingWanted: Wanted = { tunnels: [], connectionRuns: {}, connectionRetries: {}, starts: 0 };

/** Puts tunnels on the list, running. One that is there already is started again if it does not run or has failed. */
export function wantTunnels(wanted: Wanted, added: readonly NewTunnel[], automatic = false): Wanted {
  return begin(listTunnels(wanted, added, automatic), added.map(tunnelId), automatic);
}

/** Puts tunnels on the list; what is said anew of one that is there is taken over. */
function listTunnels(wanted: Wanted, added: readonly NewTunnel[], automatic: boolean): Wanted {
  return added.reduce<Wanted>((list, tunnel) => {
    const id = tunnelId(tunnel);
    if (!list.tunnels.some((other) => other.id === id))
      return { ...list, tunnels: [...list.tunnels, { ...tunnel, id, wish: 'exact', automatic, run: 0 }] };
    return change(list, [id], ({ fromWorkspace, heldBy, lentTo, onDemand: _, ...other }) => ({
      ...other,
      ...(tunnel.label !== undefined && { label: tunnel.label }),
      ...(fromWorkspace && tunnel.fromWorkspace && { fromWorkspace }),
      ...(heldBy && tunnel.heldBy && { heldBy }),
      ...(!heldBy &&
        tunnel.heldBy &&
        (lentTo ?? !['exact', 'nextFree', 'lost'].includes(other.wish)) && { lentTo: lentTo ?? tunnel.heldBy }),
      ...(tunnel.onDemand && { onDemand: true }),
    }));
  }, wanted);
}

/** What somebody else asks for, too, is no longer its holder's alone; it may run, and goes on. */
function keepTunnels(wanted: Wanted, added: readonly NewTunnel[]): Wanted {
  const ids = added.filter(({ heldBy }) => !heldBy).map(tunnelId);
  const lent = wanted.tunnels
    .filter(({ id, heldBy, lentTo }) => (heldBy ?? lentTo) && ids.includes(id))
    .map(({ id }) => id);
  return lent.length > 0 ? change(wanted, lent, asOwn) : wanted;
}

function asOwn({ heldBy: _, lentTo: __, ...tunnel }: Tunnel): Tunnel {
  return tunnel;
}

/** `drain`: those that run listen no more, and their clients may finish; those that finish already go on. */
export function stopTunnels(wanted: Wanted, ids: readonly string[], how: 'stop' | 'drain' = 'stop'): Wanted {
  return change(wanted, ids, ({ lentTo: _, ...tunnel }) => ({ ...tunnel, wish: isPlanned(tunnel) ? how : 'stop' }));
}

/** The engine has ended, and with it the clients of those that drained. */
function loseTunnels(wanted: Wanted): Wanted {
  const running = wanted.tunnels.filter(isWanted).map(({ id }) => id);
  return change(stopTunnels(wanted, drainingIn(wanted)), running, (tunnel) => ({ ...tunnel, wish: 'lost' }));
}

function drainingIn({ tunnels }: Wanted): readonly string[] {
  return tunnels.filter(({ wish }) => wish === 'drain').map(({ id }) => id);
}

/**
 * Starts stopped ones, and starts again those that run, on their own port or the next free one. Who asks for that has asked
 * for them: they are no longer a holder's alone.
 */
export function restartTunnels(
  wanted: Wanted,
  ids: readonly string[],
  automatic = false,
  wish: 'exact' | 'nextFree' = 'exact',
): Wanted {
  return begin(change(wanted, ids, asOwn), ids, automatic, wish);
}

function begin(
  wanted: Wanted,
  ids: readonly string[],
  automatic: boolean,
  wish: 'exact' | 'nextFree' = 'exact',
): Wanted {
  const run = wanted.starts + 1;
  return { ...change(wanted, ids, (tunnel) => ({ ...tunnel, wish, automatic, run })), starts: run };
}

/** A new SSH connection for the running tunnels of the host. */
export function restartConnection(wanted: Wanted, id: ConnectionId): Wanted {
  return { ...wanted, connectionRuns: { ...wanted.connectionRuns, [id]: connectionRun(wanted, id) + 1 } };
}

/**
 * Dials a host at once that waits to be dialled again; its listeners and those who wait at them stay. One that is up is asked
 * at once for the ports that it still holds.
 */
export function retryConnection(wanted: Wanted, id: ConnectionId): Wanted {
  const { connectionRetries } = wanted;
  return { ...wanted, connectionRetries: { ...connectionRetries, [id]: countOf(connectionRetries, id) + 1 } };
}

export function removeTunnels(wanted: Wanted, ids: readonly string[]): Wanted {
  return { ...wanted, tunnels: wanted.tunnels.filter((tunnel) => !ids.includes(tunnel.id)) };
}

/** An empty label gives the default one back. */
export function renameTunnel(wanted: Wanted, id: string, label: string): Wanted {
  return change(wanted, [id], ({ label: _, ...tunnel }) => ({ ...tunnel, ...(label !== '' && { label }) }));
}

function change(wanted: Wanted, ids: readonly string[], next: (tunnel: Tunnel) => Tunnel): Wanted {
  return { ...wanted, tunnels: wanted.tunnels.map((tunnel) => (ids.includes(tunnel.id) ? next(tunnel) : tunnel)) };
}

export interface SessionState {
  wanted: Wanted;
  snapshot: Snapshot;
}

/**
 * Puts tunnels on the list and starts those that don't run, in `started`; one that runs is left alone. A connection that is
 * down is dialled again at once.
 */
export function startTunnels(
  { wanted, snapshot }: SessionState,
  added: readonly NewTunnel[],
  automatic = false,
): { wanted: Wanted; started: readonly string[] } {
  const down = added.filter((tunnel) => {
    const known = wanted.tunnels.find(({ id }) => id === tunnelId(tunnel));
    return !known || !['connecting', 'ready'].includes(tunnelState(known, snapshot).kind);
  });
  // Those listen all the time, and may have clients that wait.
  const retrying = retryingOf({ wanted, snapshot }, wanted.tunnels).map(({ id }) => id);
  const isRetrying = (tunnel: NewTunnel) => retrying.includes(tunnelId(tunnel));
  const stopped = down.filter((tunnel) => !isRetrying(tunnel)).map(tunnelId);
  const listed = listTunnels(keepTunnels(wanted, added), down, automatic);
  const begun = stopped.length > 0 ? begin(listed, stopped, automatic) : listed;
  const connections = [...new Set(down.map(connectionOf))];
  const are = (kind: ConnectionSeen['kind']) => connections.filter((id) => connectionSeen(snapshot, id)?.kind === kind);
  const held = down.filter(isRetrying).map(connectionOf);
  return {
    // Where one waits to be dialled again, others may have clients that wait, too.
    wanted: [...new Set([...are('retrying'), ...held])].reduce(
      retryConnection,
      are('failed').reduce(restartConnection, begun),
    ),
    started: down.map(tunnelId),
  };
}

/** Those of the tunnels that are tried again by themselves, by this window. */
export function retryingOf({ snapshot }: SessionState, tunnels: readonly Tunnel[]): readonly Tunnel[] {
  return tunnels.filter((tunnel) => {
    const state = tunnelState(tunnel, snapshot);
    return state.kind === 'retrying' && !state.isElsewhere;
  });
}

/** Tries tunnels at once that are tried again by themselves; those that are not are left alone. */
export function retryTunnels(session: SessionState, tunnels: readonly Tunnel[]): Wanted {
  const connections = new Set(retryingOf(session, tunnels).map(connectionOf));
  return [...connections].reduce(retryConnection, session.wanted);
}

/** Holds the one state of a window and tells who listens when it has changed. */
export interface Session {
  readonly state: SessionState;
  /** Replaces the wanted list by what `next` makes of it, and sends the plan. */
  update(next: (wanted: Wanted) => Wanted): void;
  answer(ask: Ask, reply: Reply): void;
  /** Calls the listener after every change with the event that made it, if one did; returns what ends that. */
  onChange(listener: (state: SessionState, event: EngineEvent | undefined) => void): () => void;
}

/** `configFile`, `waits` and `defaults` are read each time a plan is made: the settings may change. */
export function createSession(
  engine: Engine,
  configFile: () => string | undefined,
  waits: () => Waits | undefined = () => undefined,
  defaults: () => HostDefaults = () => ({}),
): Session {
  let state: SessionState = { wanted: nothingWanted, snapshot: emptySnapshot };
  const listeners = new Set<(state: SessionState, event: EngineEvent | undefined) => void>();
  const become = (next: SessionState, event?: EngineEvent) => {
    state = next;
    for (const listener of listeners) listener(state, event);
  };
  /** The whole plan each time; it is the state's own, which a listener may have changed once more. */
  const want = (next: SessionState, event?: EngineEvent) => {
    become(next, event);
    engine.apply(planTunnels(state.wanted, configFile(), waits(), defaults()));
  };
  engine.onEvent((event) => {
    const snapshot = reduce(state.snapshot, event);
    // The next engine has this plan already; what drained went with the last one.
    if (event.kind === 'engineEnded' && event.isRestarted)
      return want({ wanted: stopTunnels(state.wanted, drainingIn(state.wanted)), snapshot }, event);
    // No plan, which would start the next engine: that is for the user to want.
    if (event.kind === 'engineEnded') return become({ wanted: loseTunnels(state.wanted), snapshot }, event);
    const ended = endedBy(event, state.wanted);
    if (ended.length === 0) return become({ ...state, snapshot }, event);
    want({ wanted: stopTunnels(state.wanted, ended), snapshot }, event);
  });
  return {
    get state() {
      return state;
    },
    update: (next) => want({ ...state, wanted: next(state.wanted) }),
    answer: (ask, reply) => engine.answer(ask.id, reply),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The tunnels that are no longer wanted: who cancels a question does not want what it was asked for; one has drained. */
function endedBy(event: EngineEvent, wanted: Wanted): readonly string[] {
  switch (event.kind) {
    case 'connectionFailed':
      if (event.failure.kind !== 'cancelled') return [];
      return tunnelsOf(wanted, event.connection).map(({ id }) => id);
    case 'listenFailed':
      return event.failure.kind === 'cancelled' ? [event.forward] : [];
    case 'drained':
      return wanted.tunnels
        .filter(({ id, run, wish }) => id === event.forward && run === event.run && wish === 'drain')
        .map(({ id }) => id);
    default:
      return [];
  }
}

/** The tunnel of this window that has the port which a failure says is in use. */
export function portHolder(failure: Failure, { wanted, snapshot }: SessionState): Tunnel | undefined {
  return wanted.tunnels.find((tunnel) => {
    const seen = snapshot.forwards[tunnel.id];
    if (!isWanted(tunnel) || seen?.kind !== 'listening') return false;
    const isRemote = tunnel.spec.kind === 'remote';
    return seen.bound.some((bound) => {
      if (bound.kind === 'unix') return false;
      switch (failure.kind) {
        case 'portInUse':
          return !isRemote && bound.port === failure.port && addressesOverlap(bound.address, failure.address);
        case 'remoteRefused':
          return (
            isRemote &&
            failure.inUse &&
            failure.listen.kind === 'tcp' &&
            bound.port === failure.listen.port &&
            tunnel.destination.host === failure.host
          );
        default:
          return false;
      }
    });
  });
}

/** The tunnels of one connection, in the order in which they were added. */
export function tunnelsOf(wanted: Wanted, connection: ConnectionId): readonly Tunnel[] {
  return wanted.tunnels.filter((tunnel) => connectionOf(tunnel) === connection);
}
