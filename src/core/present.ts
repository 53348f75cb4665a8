// What the views show, made from the state: rows of the tree, the status bar's line, the badge. Pure, so that a test can
// compare all of it at once.
import { printDestination } from './destination.js';
import type { Failure } from './failure.js';
import { connectionOf, type ConnectionId } from './plan.js';
import type { Preset, PresetProblem, PresetScope } from './preset.js';
import { presetTunnels } from './preset.js';
import { tunnelId, tunnelsOf, type SessionState, type Tunnel } from './session.js';
import { connectionSeen, tunnelState, type TunnelState } from './snapshot.js';
import {
  accessText,
  boundText,
  effectText,
  failureText,
  hostPort,
  isLoopback,
  listenText,
  targetText,
} from './wording.js';

export type Status = TunnelState['kind'];

export interface ForwardRow {
  kind: 'forward';
  id: string;
  /** The name that the user gave, else listen address → target. */
  label: string;
  description: string;
  status: Status;
  /** Something the user should know although the tunnel works, or the reason why it does not. */
  problem?: string;
  tooltip: readonly string[];
  /** Where to connect to on this machine, when it listens on a TCP port. */
  address?: string;
  /** What Open in Browser opens. */
  url?: string;
}

export interface ConnectionRow {
  kind: 'connection';
  id: ConnectionId;
  label: string;
  description: string;
  status: Status;
  tooltip: readonly string[];
  forwards: readonly ForwardRow[];
}

export interface PresetRow {
  kind: 'preset';
  preset: Preset;
  label: string;
  description: string;
  /** `stopped` unless one of its tunnels runs. */
  status: Status;
  tooltip: readonly string[];
  /** Why it can't be started, in words. */
  locked?: string;
}

export interface ProblemRow {
  kind: 'problem';
  label: string;
  tooltip: readonly string[];
  scope: PresetScope;
}

export interface PresetGroupRow {
  kind: 'presets';
  rows: readonly (PresetRow | ProblemRow)[];
}

export type Row = ConnectionRow | PresetGroupRow | ForwardRow | PresetRow | ProblemRow;

export interface StatusLine {
  /** With VS Code's icon codes: `$(radio-tower) 2`. */
  text: string;
  /** Bind address, target and state of each tunnel, for the tooltip's table. */
  table: readonly (readonly [listen: string, target: string, state: string])[];
  /** A tunnel that the user wants is down for good. */
  isError: boolean;
  accessibleText: string;
}

export interface Presented {
  rows: readonly (ConnectionRow | PresetGroupRow)[];
  /** Absent while there is no tunnel. */
  statusLine?: StatusLine;
  /** How many tunnels are ready. */
  ready: number;
}

export interface Shown {
  session: SessionState;
  presets: readonly Preset[];
  problems: readonly PresetProblem[];
  trusted: boolean;
}

export function present({ session, presets, problems, trusted }: Shown): Presented {
  const { wanted, snapshot } = session;
  const states = new Map(wanted.tunnels.map((tunnel) => [tunnel.id, tunnelState(tunnel, snapshot)]));
  const connections = [...new Set(wanted.tunnels.map(connectionOf))].map((id) => connectionRow(id, session, states));
  const presetRows = presets.map((preset) => presetRow(preset, states, trusted));
  const group: PresetGroupRow = { kind: 'presets', rows: [...presetRows, ...problems.map(problemRow)] };
  const ready = [...states.values()].filter(({ kind }) => kind === 'ready').length;
  return {
    rows: group.rows.length > 0 ? [...connections, group] : connections,
    ...(wanted.tunnels.length > 0 && { statusLine: statusLine(wanted.tunnels, states, ready) }),
    ready,
  };
}

function connectionRow(
  id: ConnectionId,
  { wanted, snapshot }: SessionState,
  states: ReadonlyMap<string, TunnelState>,
): ConnectionRow {
  const tunnels = tunnelsOf(wanted, id);
  const running = tunnels.some((tunnel) => tunnel.running);
  const seen = running ? connectionSeen(snapshot, id) : undefined;
  const status: Status = running ? (seen?.kind ?? 'connecting') : 'stopped';
  const server = seen?.kind === 'ready' ? seen.server : undefined;
  const failure = seen?.kind === 'failed' || seen?.kind === 'retrying' ? failureText(seen.failure) : undefined;
  return {
    kind: 'connection',
    id,
    label: id,
    description: server !== undefined && server !== id ? `${status} · ${server}` : status,
    status,
    tooltip: [
      `SSH connection to ${id}: ${status}`,
      ...(server ? [`Connected as ${server}`] : []),
      ...(failure ? [failure] : []),
    ],
    forwards: tunnels.map((tunnel) => forwardRow(tunnel, states.get(tunnel.id)!)),
  };
}

function forwardRow(tunnel: Tunnel, state: TunnelState): ForwardRow {
  const { spec } = tunnel;
  const host = printDestination(tunnel.destination);
  const path = `${listenText(spec.listen)} → ${targetText(spec)}`;
  const problem = problemOf(state);
  const address = localAddress(tunnel, state);
  const url = address && browserUrl(tunnel, address);
  return {
    kind: 'forward',
    id: tunnel.id,
    label: tunnel.label ?? path,
    // The state first: a narrow side bar cuts off what comes last.
    description: [stateText(state), ...(tunnel.label === undefined ? [] : [path])].join(' · '),
    status: state.kind,
    ...(problem !== undefined && { problem }),
    tooltip: [
      `${path}, through ${host}`,
      ...(state.kind === 'ready'
        ? [
            `Listens on ${boundText(state.bound)}`,
            `Who can connect: ${accessText(spec.listen, spec.kind === 'remote' ? host : undefined)}`,
          ]
        : []),
      `State: ${stateText(state)}`,
      ...(problem === undefined ? [] : [problem]),
    ],
    ...(address !== undefined && { address }),
    ...(url !== undefined && { url }),
  };
}

/** The state in words, short enough for a row. */
function stateText(state: TunnelState): string {
  switch (state.kind) {
    case 'connecting':
      return state.ask ? 'connecting, waiting for you' : 'connecting';
    case 'ready':
      return state.refused
        ? 'ready, last connection failed'
        : state.unbound.length > 0
          ? 'ready, partly bound'
          : 'ready';
    case 'retrying':
    case 'failed':
    case 'stopped':
      return state.kind;
  }
}

function problemOf(state: TunnelState): string | undefined {
  switch (state.kind) {
    case 'ready': {
      const unbound = state.unbound.map(failureText);
      if (unbound.length > 0) unbound.unshift(`Only ${boundText(state.bound)} could be bound.`);
      const all = [...unbound, ...(state.refused ? [failureText(state.refused)] : [])];
      return all.length > 0 ? all.join(' ') : undefined;
    }
    case 'retrying':
      return `${failureText(state.failure)} Trying again (attempt ${state.attempt}).`;
    case 'failed':
      return failureText(state.failure);
    case 'connecting':
    case 'stopped':
      return undefined;
  }
}

/**
 * `localhost:5432`: what a client on this machine connects to. A listener on all interfaces is reached by localhost too,
 * but one that got only a part of what it asked for by what it got: the other part may be another program's.
 */
export function localAddress({ spec }: Tunnel, state: TunnelState): string | undefined {
  if (spec.kind === 'remote' || spec.listen.kind === 'unix') return undefined;
  const { bind, port } = spec.listen;
  const [first] = state.kind === 'ready' && state.unbound.length > 0 ? state.bound : [];
  const place = first?.address ?? (bind === '' || bind === '*' ? undefined : bind);
  // A wildcard of one family is reached by that family's loopback.
  const wildcards: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  return hostPort(place === undefined ? 'localhost' : (wildcards[place] ?? place), first?.port ?? port);
}

export function browserUrl({ spec }: Tunnel, address: string): string | undefined {
  if (spec.kind !== 'local' || spec.target.kind !== 'tcp') return undefined;
  return `${[443, 8443].includes(spec.target.port) ? 'https' : 'http'}://${address}`;
}

function presetRow(preset: Preset, states: ReadonlyMap<string, TunnelState>, trusted: boolean): PresetRow {
  const own = presetTunnels(preset).map((tunnel) => states.get(tunnelId(tunnel))?.kind ?? 'stopped');
  // One that runs in part can be started: that completes it.
  const status =
    (['failed', 'retrying', 'connecting', 'stopped'] as const).find((kind) => own.includes(kind)) ?? 'ready';
  const ready = own.filter((kind) => kind === 'ready').length;
  const locked = preset.scope.kind !== 'user' && !trusted ? failureText({ kind: 'workspaceUntrusted' }) : undefined;
  const host = printDestination(preset.destination);
  const count = preset.forwards.length === 1 ? targetText(preset.forwards[0]!) : `${preset.forwards.length} forwards`;
  return {
    kind: 'preset',
    preset,
    label: preset.name,
    description: [
      ...(locked ? ['workspace not trusted'] : []),
      ...(!locked && status !== 'stopped' ? [status] : []),
      ...(status === 'stopped' && ready > 0 ? [`${ready} of ${own.length} ready`] : []),
      `${count} via ${host}`,
    ].join(' · '),
    status,
    tooltip: [
      ...(preset.description !== undefined ? [preset.description] : []),
      ...preset.forwards.map((spec) => effectText(spec, host)),
      `From ${scopeText(preset.scope)}${preset.autoStart ? ', starts with the window' : ''}`,
      ...(locked ? [locked] : []),
    ],
    ...(locked !== undefined && { locked }),
  };
}

function problemRow({ place, message, scope }: PresetProblem): ProblemRow {
  return {
    kind: 'problem',
    label: `${place}: ${message}`,
    tooltip: [`${place}: ${message}`, `In ${scopeText(scope)}`],
    scope,
  };
}

export function scopeText(scope: PresetScope): string {
  switch (scope.kind) {
    case 'user':
      return 'your user settings';
    case 'workspace':
      return 'the workspace settings';
    case 'folder':
      return `the settings of the folder ${scope.folder}`;
  }
}

/** A tunnel that starts with every window, and whose port is taken: most likely by the window before. */
export function isElsewhere(tunnel: Tunnel, failure: Failure): boolean {
  return tunnel.automatic && failure.kind === 'portInUse';
}

function statusLine(tunnels: readonly Tunnel[], states: ReadonlyMap<string, TunnelState>, ready: number): StatusLine {
  const kinds = [...states.values()].map(({ kind }) => kind);
  const busy = kinds.includes('connecting') || kinds.includes('retrying');
  const failed = kinds.filter((kind) => kind === 'failed').length;
  const alarming = tunnels.some((tunnel) => {
    const state = states.get(tunnel.id)!;
    return state.kind === 'failed' && !isElsewhere(tunnel, state.failure);
  });
  return {
    text: `$(${busy ? 'sync~spin' : 'radio-tower'}) ${ready}`,
    table: tunnels.map((tunnel) => {
      const state = states.get(tunnel.id)!;
      const listen = state.kind === 'ready' ? boundText(state.bound) : listenText(tunnel.spec.listen);
      return [
        listen,
        `${targetText(tunnel.spec)} (${printDestination(tunnel.destination)})`,
        stateText(state),
      ] as const;
    }),
    isError: alarming,
    accessibleText: [
      `SSH tunnels: ${ready} ready`,
      ...(busy ? ['connecting'] : []),
      ...(failed > 0 ? [`${failed} failed`] : []),
    ].join(', '),
  };
}

/** The words of a notification for a tunnel that has just become ready. */
export function readyText(tunnel: Tunnel, state: TunnelState & { kind: 'ready' }): string {
  const name = tunnel.label === undefined ? '' : `${tunnel.label}: `;
  const where = `${boundText(state.bound)} → ${targetText(tunnel.spec)} (via ${printDestination(tunnel.destination)})`;
  const open = tunnel.spec.listen.kind === 'tcp' && !isLoopback(tunnel.spec.listen.bind) ? ' Open to the network.' : '';
  return `${name}${where} is ready.${open}`;
}
