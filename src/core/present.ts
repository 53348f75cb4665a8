// What the views show, made from the state: rows of the tree, the status bar's line, the badge. Pure, so that a test can
// compare all of it at once.
import { printDestination } from './destination.js';
import type { Failure } from './failure.js';
import { connectionOf, isWanted, type ConnectionId } from './plan.js';
import type { Preset, PresetProblem, PresetScope } from './preset.js';
import { presetTunnels } from './preset.js';
import { tunnelId, tunnelsOf, type SessionState, type Tunnel } from './session.js';
import { connectionSeen, tunnelState, type TunnelState } from './snapshot.js';
import {
  accessProblem,
  accessText,
  boundText,
  effectText,
  failureText,
  hostPort,
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
  /** The network can reach it. */
  isOpen: boolean;
  /** Where to connect to: on this machine, for a remote forward on the server. */
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
  const running = tunnels.some(isWanted);
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
  const path = pathText(tunnel, state);
  const machine = spec.kind === 'remote' ? host : 'this machine';
  const problem = problemOf(state, host);
  const address = clientAddress(tunnel, state);
  const url = address && browserUrl(tunnel, address);
  return {
    kind: 'forward',
    id: tunnel.id,
    label: tunnel.label ?? path,
    // The state first: a narrow side bar cuts off what comes last.
    description: [stateText(state), ...(tunnel.label === undefined ? [] : [path])].join(' · '),
    status: state.kind,
    ...(problem !== undefined && { problem }),
    isOpen: state.kind === 'ready' && state.access === 'network',
    tooltip: [
      `${path}, through ${host}`,
      ...(state.kind === 'ready'
        ? [
            `Listens on ${boundText(state.bound)} of ${machine}${otherPortText(tunnel, state)}`,
            `Who can connect: ${accessText(state.access, machine)}`,
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
      return [
        'ready',
        ...(state.access === 'network' ? ['open to the network'] : []),
        ...(state.asked === 'network' && state.access === 'machine' ? ['not open to the network'] : []),
        ...(state.unbound.length > 0 ? ['partly bound'] : []),
        ...(state.refused ? ['last connection failed'] : []),
      ].join(', ');
    case 'stopped':
      return state.draining ? 'stopped, open connections finish' : 'stopped';
    case 'retrying':
    case 'failed':
      return state.kind;
  }
}

/** `localhost:5432 → db:5432`; of a remote forward `on web01: localhost:8080 → localhost:3000`. With the real port. */
function pathText({ spec, destination }: Tunnel, state: TunnelState): string {
  const port = realPort(state);
  const listen = spec.listen.kind === 'tcp' && port !== undefined ? { ...spec.listen, port } : spec.listen;
  const where = spec.kind === 'remote' ? `on ${destination.host}: ` : '';
  return `${where}${listenText(listen)} → ${targetText(spec)}`;
}

/** The port that was chosen where the forward leaves it open, or took the next free one. */
function realPort(state: TunnelState): number | undefined {
  const [first] = state.kind === 'ready' ? state.bound : [];
  return first?.kind === 'tcp' ? first.port : undefined;
}

/** Said when a tunnel runs on another port than its own. */
function otherPortText({ spec: { listen } }: Tunnel, state: TunnelState): string {
  const port = realPort(state);
  if (listen.kind !== 'tcp' || listen.port === 0 || port === undefined || port === listen.port) return '';
  return `, instead of ${listen.port} until it is started again`;
}

/** What the user should know of a tunnel that is ready: what could not be bound, and who can connect against expectation. */
export function boundProblems(state: TunnelState & { kind: 'ready' }, machine: string): string[] {
  const unbound = state.unbound.map(failureText);
  if (unbound.length > 0) unbound.unshift(`Only ${boundText(state.bound)} could be bound.`);
  const access = accessProblem(state.asked, state.access, machine);
  return [...unbound, ...(access === undefined ? [] : [access])];
}

function problemOf(state: TunnelState, machine: string): string | undefined {
  switch (state.kind) {
    case 'ready': {
      const all = [...boundProblems(state, machine), ...(state.refused ? [failureText(state.refused)] : [])];
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
 * `localhost:5432`: what a client connects to, on this machine or, for a remote forward, on the server. A listener on all
 * interfaces is reached by localhost too, but one that got only a part of what it asked for by what it got: the other part
 * may be another program's.
 */
export function clientAddress({ spec: { listen } }: Tunnel, state: TunnelState): string | undefined {
  if (listen.kind === 'unix') return listen.path;
  const [first] = state.kind === 'ready' ? state.bound : [];
  const bound = first?.kind === 'tcp' ? first : undefined;
  const port = bound?.port ?? listen.port;
  if (port === 0) return undefined;
  const isPartly = state.kind === 'ready' && state.unbound.length > 0;
  const place =
    (isPartly ? bound?.address : undefined) ?? (['', '*'].includes(listen.bind ?? '') ? 'localhost' : listen.bind!);
  // A wildcard of one family is reached by that family's loopback.
  const wildcards: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  return hostPort(wildcards[place] ?? place, port);
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
        tunnel.spec.kind === 'remote' ? `${tunnel.destination.host}: ${listen}` : listen,
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
  const host = printDestination(tunnel.destination);
  const isRemote = tunnel.spec.kind === 'remote';
  const where = `${boundText(state.bound)}${isRemote ? ` on ${host}` : ''} → ${targetText(tunnel.spec)} (via ${host})`;
  const isExpected = state.access === 'network' && state.asked === 'network';
  return `${name}${where} is ready.${isExpected ? ' Open to the network.' : ''}`;
}
