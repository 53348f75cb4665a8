// What the views show, made from the state: rows of the tree, the status bar's line, the badge. Pure, so that a test can
// compare all of it at once.
import { longestMs } from './backoff.js';
import { configTunnel, type ConfigForward, type ConfigForwards, type Origin } from './configForward.js';
import { printDestination } from './destination.js';
import type { BoundAddress, Client } from './engine.js';
import { innermost, type Failure } from './failure.js';
import { machineName, placeNote, placeText } from './machine.js';
import { connectionOf, isPlanned, isWanted, type ConnectionId, type Waits } from './plan.js';
import type { Preset, PresetProblem, PresetScope } from './preset.js';
import { needsTrust, presetHost, presetTunnels } from './preset.js';
import { printable } from './printable.js';
import { portHolder, tunnelId, tunnelsOf, type Holder, type SessionState, type Tunnel } from './session.js';
import { boundOf, connectionSeen, tunnelState, type ConnectionSeen, type TunnelState } from './snapshot.js';
import { scopesOf } from './subject.js';
import { t } from './translate.js';
import {
  accessText,
  boundText,
  clientHost,
  effectText,
  failureText,
  hostPort,
  isLoopback,
  listenedProblems,
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
  /** The same for a screen reader, where the description counts down. */
  spoken?: string;
  status: Status;
  /** Something the user should know although the tunnel works, or the reason why it does not. */
  problem?: string;
  tooltip: readonly string[];
  /** The network can reach it. */
  isOpen: boolean;
  /** Somebody can be connected through it, or wait at it, in this window. */
  hasClients?: true;
  /** Where to connect to: on this machine, for a remote forward on the server. */
  address?: string;
  /** What Open in Browser opens. */
  url?: string;
}

/** A connection through a forward, below it. */
export interface ClientRow {
  kind: 'client';
  /** The forward that it goes through. */
  forward: string;
  /** Its number within the forward. */
  id: number;
  label: string;
  description: string;
  /** It waits for the connection. */
  isParked?: true;
  tooltip: readonly string[];
}

export interface ConnectionRow {
  kind: 'connection';
  id: ConnectionId;
  label: string;
  description: string;
  /** As a forward's. */
  spoken?: string;
  status: Status;
  /** It is made when a client comes. */
  isIdle?: true;
  /** All its tunnels are in another window. */
  isElsewhere?: true;
  tooltip: readonly string[];
  forwards: readonly ForwardRow[];
}

export interface PresetRow {
  kind: 'preset';
  preset: Preset;
  label: string;
  description: string;
  /** The worst of its tunnels': `stopped` also when some of them run, since a start completes it. */
  status: Status;
  /** It has stopped in part: it can be stopped, too. */
  isPartly?: true;
  /** All its tunnels wait for a client. */
  isIdle?: true;
  /** All its tunnels are in another window. */
  isElsewhere?: true;
  tooltip: readonly string[];
  /** Why it can't be started, in words. */
  locked?: string;
}

export interface ProblemRow {
  kind: 'problem';
  label: string;
  tooltip: readonly string[];
  scope: PresetScope;
  /** The place below the setting: `[2, 'forwards', 0]`. */
  path: PresetProblem['path'];
}

/** Presets with the same `group`, whatever settings file they stand in. */
export interface PresetGroupRow {
  kind: 'presetGroup';
  name: string;
  label: string;
  description: string;
  /** The worst of its presets', as a preset's is of its tunnels'. */
  status: Status;
  isElsewhere?: true;
  /** One of them can be started, or stopped. */
  canStart?: true;
  canStop?: true;
  tooltip: readonly string[];
  /** Why none of them can be started, in words. */
  locked?: string;
  /** At least one. */
  rows: readonly PresetRow[];
}

export interface PresetsRow {
  kind: 'presets';
  rows: readonly (PresetRow | PresetGroupRow | ProblemRow)[];
}

/** A forward that stands in ssh_config; its state is that of the tunnel with its id, and `stopped` while there is none. */
export interface ConfigForwardRow extends Omit<ForwardRow, 'kind'> {
  kind: 'configForward';
  origin: Origin;
}

/** A host of ssh_config with the forwards that stand there for it. */
export interface ConfigHostRow {
  kind: 'configHost';
  host: string;
  label: string;
  description: string;
  /** As a preset's. */
  status: Status;
  isPartly?: true;
  isIdle?: true;
  isElsewhere?: true;
  tooltip: readonly string[];
  /** At least one. */
  forwards: readonly ConfigForwardRow[];
}

/** A line of ssh_config that can't be read. */
export interface ConfigProblemRow {
  kind: 'configProblem';
  label: string;
  tooltip: readonly string[];
  origin: Origin;
}

export interface ConfigGroupRow {
  kind: 'sshConfig';
  rows: readonly (ConfigHostRow | ConfigProblemRow)[];
}

export type GroupRow = ConnectionRow | PresetsRow | ConfigGroupRow;
export type Row =
  GroupRow | ForwardRow | PresetRow | PresetGroupRow | ProblemRow | ConfigHostRow | ConfigForwardRow | ConfigProblemRow;

export interface StatusLine {
  /** With VS Code's icon codes: `$(radio-tower) 2`. */
  text: string;
  /** Bind address, target and state of each tunnel, for the tooltip's table. */
  table: readonly (readonly [listen: string, target: string, state: string])[];
  /** Below the table, in a remote window: on which machine all this is. */
  note?: string;
  /** A tunnel that the user wants is down for good. */
  isError: boolean;
  accessibleText: string;
}

export interface Presented {
  rows: readonly GroupRow[];
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
  /** What stands in ssh_config. */
  config: Pick<ConfigForwards, 'forwards' | 'problems'>;
  waits: Waits;
  /** ms since 1970 */
  now: number;
}

/** When the rows are shown, and what they say of waiting. */
type Moment = Pick<Shown, 'session' | 'waits' | 'now'>;

/** The rows of presets, those in groups, too. */
export function presetRowsOf({ rows }: Presented): PresetRow[] {
  return rows
    .flatMap((row) => (row.kind === 'presets' ? row.rows : []))
    .flatMap((row) => (row.kind === 'presetGroup' ? row.rows : row.kind === 'preset' ? [row] : []));
}

export function present(shown: Shown): Presented {
  const { session, presets, problems, config } = shown;
  const { wanted, snapshot } = session;
  const states = new Map(wanted.tunnels.map((tunnel) => [tunnel.id, tunnelState(tunnel, snapshot)]));
  const connections = [...new Set(wanted.tunnels.map(connectionOf))].map((id) => connectionRow(id, shown, states));
  const presetRows = presetListRows(presets, states, shown);
  const groups: readonly (PresetsRow | ConfigGroupRow)[] = [
    { kind: 'presets', rows: [...presetRows, ...problems.map(problemRow)] },
    {
      kind: 'sshConfig',
      rows: [...configHostRows(config.forwards, shown), ...config.problems.map(configProblemRow)],
    },
  ];
  const ready = [...states.values()].filter(({ kind }) => kind === 'ready').length;
  return {
    rows: [...connections, ...groups.filter(({ rows }) => rows.length > 0)],
    ...(wanted.tunnels.length > 0 && { statusLine: statusLine(session, states, ready) }),
    ready,
  };
}

/**
 * Milliseconds until what counts down says something else; undefined: nothing does. Of several that wait it is the one
 * that is tried first. `now` in ms since 1970.
 */
export function countdownStep({ snapshot }: SessionState, now: number): number | undefined {
  const times = [...Object.values(snapshot.connections), ...Object.values(snapshot.forwards)].flatMap((seen) =>
    seen.kind === 'retrying' && seen.retryAt !== undefined && seen.retryAt > now ? [seen.retryAt - now] : [],
  );
  return times.length > 0 ? Math.min(...times) % 1000 || 1000 : undefined;
}

function connectionRow(
  id: ConnectionId,
  { session, waits, now }: Moment,
  states: ReadonlyMap<string, TunnelState>,
): ConnectionRow {
  const tunnels = tunnelsOf(session.wanted, id);
  const own = tunnels.map((tunnel) => states.get(tunnel.id)!);
  const seen = connectionShown(id, own, session);
  const text = connectionText(seen, now);
  const calm = connectionText(seen);
  const server = seen.kind === 'ready' && 'server' in seen ? seen.server : undefined;
  const beside = server !== undefined && server !== id ? ` · ${server}` : '';
  return {
    kind: 'connection',
    id,
    label: id,
    description: `${text}${beside}`,
    ...(text !== calm && { spoken: `${calm}${beside}` }),
    status: connectionStatus(seen),
    ...(seen.kind === 'idle' && { isIdle: true }),
    ...('isElsewhere' in seen && { isElsewhere: true }),
    tooltip: [
      t('SSH connection to {id}: {calm}', { id, calm }),
      ...(server ? [t('Connected as {server}', { server })] : []),
      ...(seen.kind === 'idle' && !('isElsewhere' in seen) ? [onDemandText(waits)] : []),
      ...('failure' in seen && seen.failure ? [failureText(seen.failure)] : []),
      ...(seen.kind === 'retrying' && !('isElsewhere' in seen) ? retryLines(connectsAgain(), own, waits) : []),
      ...('isElsewhere' in seen ? [takeOverText()] : []),
    ],
    forwards: tunnels.map((tunnel) => forwardRow(tunnel, states.get(tunnel.id)!, { session, waits, now })),
  };
}

/** What is said of a connection: of all of its tunnels, where it is another window's or none. */
export type ConnectionShown =
  | ConnectionSeen
  | { kind: 'connecting' | 'stopped' }
  | { kind: 'connecting' | 'ready' | 'retrying' | 'failed' | 'idle'; isElsewhere: true };

/** `own`: the states of its tunnels. */
export function connectionShown(
  id: ConnectionId,
  own: readonly TunnelState[],
  { wanted: list, snapshot }: SessionState,
): ConnectionShown {
  const tunnels = tunnelsOf(list, id);
  const wanted = tunnels.flatMap((tunnel, at) => (isPlanned(tunnel) ? [own[at]!] : []));
  if (wanted.length === 0)
    return (tunnels.some(({ wish }) => wish === 'lost') ? snapshot.ended : undefined) ?? { kind: 'stopped' };
  // There is none here, or one for others.
  if (wanted.every((state) => 'isElsewhere' in state)) {
    const { status, isIdle } = together(wanted);
    return { kind: isIdle ? 'idle' : status === 'stopped' ? 'ready' : status, isElsewhere: true };
  }
  const seen = connectionSeen(snapshot, id);
  // They failed in another window, and nothing is under way here.
  const failed = wanted.find((state) => state.kind === 'failed');
  if (!seen && failed && wanted.every((state) => state.kind !== 'connecting' || state.isElsewhere)) return failed;
  // Only what a person wants may ask.
  const isAsking = snapshot.asks.some(({ connection }) => connection === id);
  return seen && !(seen.kind === 'retrying' && isAsking) ? seen : { kind: 'connecting' };
}

export function connectionStatus({ kind }: ConnectionShown): Status {
  return kind === 'idle' ? 'ready' : kind;
}

/** The one word for a state. */
export function statusText(status: Status): string {
  switch (status) {
    case 'connecting':
      return t('connecting');
    case 'ready':
      return t('ready');
    case 'retrying':
      return t('retrying');
    case 'failed':
      return t('failed');
    case 'stopped':
      return t('stopped');
  }
}

function elsewhereText(status: Status): string {
  return t('{status} in another window', { status: statusText(status) });
}

/** With `now`, in ms since 1970, a retry is counted down. */
export function connectionText(seen: ConnectionShown, now?: number): string {
  if ('isElsewhere' in seen)
    return seen.kind === 'idle' ? t('not connected, in another window') : elsewhereText(seen.kind);
  switch (seen.kind) {
    case 'failed':
      return failedText(seen.failure);
    case 'idle':
      return t('not connected, waits for a client');
    case 'retrying':
      return retryingText(seen, now);
    default:
      return statusText(seen.kind);
  }
}

function forwardRow(tunnel: Tunnel, state: TunnelState, { session, waits, now }: Moment): ForwardRow {
  const path = pathText(tunnel, state);
  const problem = problemOf(tunnel, state, session);
  const address = clientAddress(tunnel, state);
  const url = address && browserUrl(tunnel, address);
  // The state first: a narrow side bar cuts off what comes last.
  const description = (now?: number) =>
    [stateText(tunnel, state, now), ...(tunnel.label === undefined ? [] : [path])].join(' · ');
  const isElsewhere = 'isElsewhere' in state;
  const isDraining = state.kind === 'stopped' && state.draining;
  return {
    kind: 'forward',
    id: tunnel.id,
    label: tunnelName(tunnel, state),
    description: description(now),
    ...(description() !== description(now) && { spoken: description() }),
    status: state.kind,
    ...(problem !== undefined && { problem }),
    isOpen: state.kind === 'ready' && state.access === 'network',
    ...((isDraining || (boundOf(state).length > 0 && !isElsewhere)) && { hasClients: true }),
    tooltip: [
      t('{path}, through {host}', { path, host: printDestination(tunnel.destination) }),
      ...(state.kind === 'ready' ? listenedText(tunnel, state) : []),
      t('State: {state}', { state: stateText(tunnel, state) }),
      ...(state.kind === 'ready' && state.isIdle && !isElsewhere ? [onDemandText(waits)] : []),
      ...(problem === undefined ? [] : [problem]),
      ...(state.kind === 'retrying' && !isElsewhere
        ? retryLines(isHeld(tunnel, session) ? asksAgain() : connectsAgain(), [state], waits)
        : []),
      ...(tunnel.heldBy ? [heldText(tunnel.heldBy)] : []),
      ...(isElsewhere ? [takeOverText(), t('Stop takes it off this window alone.')] : []),
    ],
    ...(address !== undefined && { address }),
    ...(url !== undefined && { url }),
  };
}

function heldText(holder: Holder): string {
  switch (holder) {
    case 'extension':
      return t('Another extension opened it, and closes it when it no longer needs it.');
    case 'task':
      return t('A task opened it, and closes it when it ends.');
    case 'agent':
      return t('A language model asked for it, and you agreed.');
  }
}

function connectsAgain(): string {
  return t('It connects again by itself; Retry Now does it at once.');
}

function asksAgain(): string {
  return t('The server is asked again by itself; Retry Now does it at once.');
}

export function takeOverText(): string {
  return t('Another window of VS Code runs it. It is taken over here when that window stops it or closes.');
}

/** The connection is up, and its server does not give the port yet. */
function isHeld(tunnel: Tunnel, { snapshot }: SessionState): boolean {
  return connectionSeen(snapshot, connectionOf(tunnel))?.kind === 'ready';
}

/** How it goes on, and what becomes of those who come meanwhile. */
function retryLines(how: string, states: readonly TunnelState[], { parkSeconds }: Waits): string[] {
  if (!states.some((state) => boundOf(state).length > 0)) return [how];
  return [
    how,
    parkSeconds > 0
      ? t('Clients that connect now wait up to {seconds} s.', { seconds: parkSeconds })
      : t('Clients that connect now are reset.'),
  ];
}

function onDemandText({ idleSeconds }: Waits): string {
  return t('It connects when a client comes, and hangs up after {age} without one.', {
    age: ageText(idleSeconds * 1000),
  });
}

type Ready = TunnelState & { kind: 'ready' };

function listenedText(tunnel: Tunnel, state: Ready): string[] {
  const { spec } = tunnel;
  const machine = spec.kind === 'remote' ? tunnel.destination.host : machineName();
  const instead = otherPortText(tunnel, state);
  return [
    t('Listens on {machine}: {addresses}', { machine, addresses: state.bound.map(interfaceText).join(', ') }),
    ...(instead === undefined ? [] : [instead]),
    t('Who can connect: {who}', { who: accessText(state.access, machine, spec.listen.kind) }),
    ...(spec.kind === 'remote' ? [] : placeNotes()),
  ];
}

/** What a remote window makes of a tunnel’s address; nothing in a plain one. */
function placeNotes(): string[] {
  const note = placeNote();
  return note === undefined ? [] : [note];
}

function interfaceText(bound: BoundAddress): string {
  const text = boundText([bound]);
  if (bound.kind === 'unix') return text;
  if (bound.address === '::') return t('{address} (all IPv6 addresses)', { address: text });
  return bound.address === '0.0.0.0' ? t('{address} (all IPv4 addresses)', { address: text }) : text;
}

/** The state in words, short enough for a row. With `now`, in ms since 1970, a retry is counted down. */
export function stateText(tunnel: Tunnel, state: TunnelState, now?: number): string {
  const inWords = (status: Status) => ('isElsewhere' in state ? elsewhereText(status) : statusText(status));
  switch (state.kind) {
    case 'connecting':
      return state.ask ? t('connecting, waiting for you') : inWords('connecting');
    case 'ready': {
      const ports = otherPort(tunnel, state);
      return [
        state.isIdle ? idleText('isElsewhere' in state) : inWords('ready'),
        ...(state.isIdle ? [t('not connected')] : []),
        ...(ports ? [t('port {real} instead of {own}', { real: ports.real, own: ports.own })] : []),
        ...(state.access === 'network' ? [t('open to the network')] : []),
        ...(state.asked === 'network' && state.access === 'machine' ? [t('not open to the network')] : []),
        ...(state.unbound.length > 0 ? [t('partly bound')] : []),
        ...(state.refused ? [t('last connection failed')] : []),
      ].join(', ');
    }
    case 'stopped':
      return state.draining ? t('stopped, open connections finish') : statusText('stopped');
    case 'failed':
      return failedText(state.failure);
    case 'retrying':
      return 'isElsewhere' in state ? elsewhereText('retrying') : retryingText(state, now);
  }
}

/** Of one that listens and connects when a client comes. */
function idleText(isElsewhere: boolean): string {
  return isElsewhere ? t('listening in another window') : t('listening');
}

/** `retrying in 12 s (attempt 3)`: the attempt that comes, or is under way. */
function retryingText({ attempt, retryAt }: { attempt: number; retryAt?: number }, now?: number): string {
  if (retryAt === undefined) return t('retrying now (attempt {attempt})', { attempt });
  const next = attempt + 1;
  if (now === undefined) return t('retrying (attempt {attempt})', { attempt: next });
  // A clock that was set back says nothing of the wait.
  const left = Math.min(retryAt - now, longestMs);
  return left > 0
    ? t('retrying in {seconds} s (attempt {attempt})', { seconds: Math.ceil(left / 1000), attempt: next })
    : t('retrying now (attempt {attempt})', { attempt: next });
}

/** Whether all that is missing is a person’s answer, for which nothing is asked in the background. */
function failedText(failure: Failure): string {
  return innermost(failure).kind === 'answerNeeded' ? t('waiting for you') : statusText('failed');
}

/** The name that the user gave, else where it listens → where it comes out, with the port that it really has. */
export function tunnelName(tunnel: Tunnel, state: TunnelState): string {
  return tunnel.label ?? pathText(tunnel, state);
}

/** `localhost:5432 → db:5432`; of a remote forward `on web01: localhost:8080 → localhost:3000`. With the real port. */
function pathText({ spec, destination }: Tunnel, state: TunnelState): string {
  const port = realPort(state);
  const listen = spec.listen.kind === 'tcp' && port !== undefined ? { ...spec.listen, port } : spec.listen;
  const path = `${listenText(listen)} → ${targetText(spec)}`;
  return spec.kind === 'remote' ? t('on {host}: {path}', { host: destination.host, path }) : path;
}

/** The port that was chosen where the forward leaves it open, or took the next free one. */
function realPort(state: TunnelState): number | undefined {
  const [first] = boundOf(state);
  return first?.kind === 'tcp' ? first.port : undefined;
}

/** Of a tunnel that took the next free port: the one that it has, and the one that is written. */
function otherPort({ spec: { listen } }: Tunnel, state: TunnelState): { real: number; own: number } | undefined {
  const real = realPort(state);
  if (listen.kind === 'unix' || listen.port === 0 || real === undefined || real === listen.port) return undefined;
  return { real, own: listen.port };
}

function otherPortText(tunnel: Tunnel, state: TunnelState): string | undefined {
  const ports = otherPort(tunnel, state);
  return (
    ports && t('It has port {real} instead of {own} until it is started again.', { real: ports.real, own: ports.own })
  );
}

/** What the user should know of a tunnel that is ready: what could not be bound, and who can connect against expectation. */
export function readyProblems({ spec, destination }: Tunnel, state: Ready, session: SessionState): string[] {
  return listenedProblems(spec, state, destination.host, (failure) => holderName(failure, session));
}

/** A failure in words; a port that another tunnel of this window has is said to be that one's. */
export function reasonText(failure: Failure, session: SessionState): string {
  return failureText(failure, holderName(failure, session));
}

function holderName(failure: Failure, session: SessionState): string | undefined {
  const holder = portHolder(failure, session);
  return holder && tunnelName(holder, tunnelState(holder, session.snapshot));
}

export function problemOf(tunnel: Tunnel, state: TunnelState, session: SessionState): string | undefined {
  switch (state.kind) {
    case 'ready': {
      const all = [...readyProblems(tunnel, state, session), ...(state.refused ? [failureText(state.refused)] : [])];
      return all.length > 0 ? all.join(' ') : undefined;
    }
    case 'retrying':
    case 'failed':
      return reasonText(state.failure, session);
    case 'connecting':
    case 'stopped':
      return undefined;
  }
}

/**
 * `localhost:5432`: what a client connects to, on this machine or, for a remote forward, on the server; a socket's path.
 * It is an address that the listener really has: of localhost another program may have a part, and a server may have
 * bound something else than it was asked for. Undefined while the port is open.
 */
export function clientAddress({ spec: { listen } }: Tunnel, state: TunnelState): string | undefined {
  const bound = boundOf(state);
  const [first] = bound;
  if (listen.kind === 'unix') return first?.kind === 'unix' ? first.path : listen.path;
  const port = realPort(state) ?? listen.port;
  if (port === 0) return undefined;
  const written = ['', '*'].includes(listen.bind ?? '') ? 'localhost' : listen.bind!;
  const addresses = bound.flatMap((one) => (one.kind === 'tcp' ? [one.address] : []));
  const isPartly = state.kind === 'ready' && state.unbound.length > 0;
  const place = addresses.length > 0 && (isPartly || !isReached(written, addresses)) ? addresses[0]! : written;
  return hostPort(place === '*' ? 'localhost' : clientHost(place), port);
}

/** Whether a client that is told the written address comes to one of these. A name's addresses are not known here. */
function isReached(written: string, addresses: readonly string[]): boolean {
  const isName = !/^[\d.]+$|:/.test(written);
  const isLocal = addresses.every((address) => isLoopback(address));
  if (/^localhost$/i.test(written)) return !isLocal || addresses.some((address) => address !== '::1');
  if (isName) return !isLocal;
  const wildcard = written.includes(':') ? '::' : '0.0.0.0';
  return addresses.some((address) => address === written || address === wildcard);
}

export function browserUrl({ spec }: Pick<Tunnel, 'spec'>, address: string): string | undefined {
  if (spec.kind !== 'local' || spec.listen.kind !== 'tcp' || spec.target.kind !== 'tcp') return undefined;
  return `${[443, 8443].includes(spec.target.port) ? 'https' : 'http'}://${address}`;
}

/** In the order of the settings; a group stands where its first preset does. */
function presetListRows(
  presets: readonly Preset[],
  states: ReadonlyMap<string, TunnelState>,
  shown: Shown,
): (PresetRow | PresetGroupRow)[] {
  const rows = (own: readonly Preset[]): PresetRow[] => {
    const isMixed = scopesOf(own).length > 1;
    return own.map((preset) => {
      const row = presetRow(preset, states, shown);
      return isMixed ? { ...row, description: `${row.description} · ${scopeName(preset.scope)}` } : row;
    });
  };
  const single = rows(presets.filter(({ group }) => group === undefined));
  return [...new Set(presets.map(({ group }, at) => group ?? at))].map((group) =>
    typeof group === 'string'
      ? presetGroupRow(group, rows(presets.filter((preset) => preset.group === group)))
      : single.find(({ preset }) => preset === presets[group])!,
  );
}

function presetGroupRow(name: string, rows: readonly PresetRow[]): PresetGroupRow {
  const { status, text } = presetsTogether(rows);
  const unlocked = rows.filter(({ locked }) => locked === undefined);
  const locked = unlocked.length === 0 ? rows[0]?.locked : undefined;
  const isElsewhere = rows.every((row) => row.isElsewhere);
  return {
    kind: 'presetGroup',
    name,
    label: name,
    description: [...(locked === undefined ? [] : [t('workspace not trusted')]), text].join(' · '),
    status,
    ...(isElsewhere && { isElsewhere }),
    ...(unlocked.some((row) => row.status === 'stopped' || row.status === 'failed') && { canStart: true }),
    ...(rows.some((row) => row.status !== 'stopped' || row.isPartly) && { canStop: true }),
    tooltip: [
      t('Group of presets: {names}', { names: rows.map(({ label }) => label).join(', ') }),
      ...(locked === undefined ? [] : [locked]),
    ],
    ...(locked !== undefined && { locked }),
    rows,
  };
}

function presetsTogether(rows: readonly PresetRow[]): { status: Status; text: string } {
  const status =
    (['failed', 'retrying', 'connecting', 'stopped'] as const).find((kind) =>
      rows.some((row) => row.status === kind),
    ) ?? 'ready';
  const count = rows.length;
  const ready = rows.filter((row) => row.status === 'ready').length;
  const presets = count === 1 ? t('1 preset') : t('{count} presets', { count });
  const readyOf = t('{ready} of {count} ready', { ready, count });
  switch (status) {
    case 'ready':
      return { status, text: t('ready · {presets}', { presets }) };
    case 'stopped':
      return { status, text: ready > 0 ? readyOf : presets };
    case 'connecting':
      return { status, text: t('connecting · {readyOf}', { readyOf }) };
    case 'retrying':
      return { status, text: t('retrying · {readyOf}', { readyOf }) };
    case 'failed':
      return { status, text: t('failed · {readyOf}', { readyOf }) };
  }
}

/** Short, for a row among those of other settings files. */
function scopeName(scope: PresetScope): string {
  switch (scope.kind) {
    case 'user':
      return t('user');
    case 'workspace':
      return t('workspace');
    case 'folder':
      return t('folder {folder}', { folder: scope.folder });
  }
}

function presetRow(
  preset: Preset,
  states: ReadonlyMap<string, TunnelState>,
  { session, trusted, waits }: Shown,
): PresetRow {
  const own = presetTunnels(preset).map((tunnel) => states.get(tunnelId(tunnel)) ?? notRunning);
  const { status, isPartly, isIdle, isElsewhere, text } = together(own);
  const locked = needsTrust(preset) && !trusted ? failureText({ kind: 'workspaceUntrusted' }) : undefined;
  const host = presetHost(preset);
  // Variables that are not filled are shown as they stand there.
  const forwards = preset.isUnfilled ? (preset.written?.forwards ?? []) : [];
  const number = preset.forwards.length + forwards.length;
  const count =
    number === 1 ? (forwards[0] ?? targetText(preset.forwards[0]!)) : t('{count} forwards', { count: number });
  return {
    kind: 'preset',
    preset,
    label: preset.name,
    description: [
      ...(locked ? [t('workspace not trusted')] : []),
      ...(!locked || status === 'stopped' ? text : []),
      t('{forwards} via {host}', { forwards: count, host }),
    ].join(' · '),
    status,
    ...(isPartly && { isPartly }),
    ...(isIdle && { isIdle }),
    ...(isElsewhere && { isElsewhere }),
    tooltip: [
      ...(preset.description !== undefined ? [preset.description] : []),
      ...preset.forwards.map((spec) => effectText(spec, host)),
      ...forwards.map((text) => t('{forward}, through {host}', { forward: text, host })),
      ...askedText(preset),
      ...presetOnDemandText(preset, session, waits),
      preset.autoStart && !preset.isUnfilled
        ? t('From {scope}, starts with the window', { scope: scopeText(preset.scope) })
        : t('From {scope}', { scope: scopeText(preset.scope) }),
      ...(locked ? [locked] : []),
    ],
    ...(locked !== undefined && { locked }),
  };
}

/** What is asked before it starts, and why it doesn't start by itself. */
function askedText({ questions, isUnfilled, autoStart }: Preset): string[] {
  if (!questions) return [];
  const names = questions.map(({ id }) => id).join(', ');
  return isUnfilled && autoStart
    ? [t('Asks when it is started: {names}. It doesn’t start with the window until that is answered once.', { names })]
    : [t('Asks when it is started: {names}', { names })];
}

/** Its tunnels go on as they were started, whatever it says by now. */
function presetOnDemandText(preset: Preset, { wanted }: SessionState, waits: Waits): string[] {
  const own = presetTunnels(preset);
  const isEdited = own.some((tunnel) =>
    wanted.tunnels.some((one) => one.id === tunnelId(tunnel) && isWanted(one) && one.onDemand !== tunnel.onDemand),
  );
  if (!isEdited) return preset.onDemand ? [onDemandText(waits)] : [];
  const age = ageText(waits.idleSeconds * 1000);
  return [
    preset.onDemand
      ? t(
          'Once it is stopped and started again as a preset, it connects when a client comes, and hangs up after {age} without one.',
          { age },
        )
      : t(
          'Until it is stopped and started again as a preset, it connects when a client comes, and hangs up after {age} without one.',
          { age },
        ),
  ];
}

const notRunning: TunnelState = { kind: 'stopped', draining: false };

/** The worst state of several tunnels, and how many of them are ready where that tells more. */
function together(own: readonly TunnelState[]): {
  status: Status;
  isPartly: boolean;
  /** All wait for a client. */
  isIdle: boolean;
  isElsewhere: boolean;
  text: readonly string[];
} {
  const kinds = own.map(({ kind }) => kind);
  // One that runs in part can be started: that completes it.
  const status =
    (['failed', 'retrying', 'connecting', 'stopped'] as const).find((kind) => kinds.includes(kind)) ??
    (own.length > 0 ? 'ready' : 'stopped');
  const ready = kinds.filter((kind) => kind === 'ready').length;
  const readyOf = ready > 0 ? [t('{ready} of {count} ready', { ready, count: own.length })] : [];
  const isIdle = own.length > 0 && own.every((state) => state.kind === 'ready' && state.isIdle);
  const isElsewhere = own.length > 0 && own.every((state) => 'isElsewhere' in state);
  const text = isIdle
    ? isElsewhere
      ? t('listening in another window, not connected')
      : t('listening, not connected')
    : isElsewhere
      ? elsewhereText(status)
      : statusText(status);
  return {
    status,
    isPartly: status === 'stopped' && kinds.some((kind) => kind !== 'stopped'),
    isIdle,
    isElsewhere,
    text: status === 'stopped' ? readyOf : [text],
  };
}

function configHostRows(forwards: readonly ConfigForward[], moment: Moment): ConfigHostRow[] {
  return [...new Set(forwards.map(({ host }) => host))].map((host) => {
    const own = forwards
      .filter((forward) => forward.host === host)
      .map((forward) => ({ forward, ...listedOrNot(forward, moment.session) }));
    const { status, isPartly, isIdle, isElsewhere, text } = together(own.map(({ state }) => state));
    const count = own.length === 1 ? t('1 forward') : t('{count} forwards', { count: own.length });
    return {
      kind: 'configHost',
      host,
      label: host,
      // How many are ready tells how many there are.
      description: status === 'stopped' ? (text[0] ?? count) : `${text[0]} · ${count}`,
      status,
      ...(isPartly && { isPartly }),
      ...(isIdle && { isIdle }),
      ...(isElsewhere && { isElsewhere }),
      tooltip: [
        t('Forwards that stand in ssh_config for {host}', { host }),
        ...own.map(({ forward }) => effectText(forward.spec, host)),
      ],
      forwards: own.map(({ forward, tunnel, state }) => configForwardRow(forward, tunnel, state, moment)),
    };
  });
}

/** The tunnel of a forward of ssh_config, as it would be while it is not on the list. */
function listedOrNot(
  forward: ConfigForward,
  { wanted, snapshot }: SessionState,
): { tunnel: Tunnel; state: TunnelState } {
  const wish = configTunnel(forward);
  const id = tunnelId(wish);
  const listed = wanted.tunnels.find((other) => other.id === id);
  const tunnel: Tunnel = listed ?? { ...wish, id, wish: 'stop', automatic: false, run: 0 };
  return { tunnel, state: tunnelState(tunnel, snapshot) };
}

function configForwardRow(
  forward: ConfigForward,
  tunnel: Tunnel,
  state: TunnelState,
  moment: Moment,
): ConfigForwardRow {
  const isOff = state.kind === 'stopped' && !state.draining;
  const { description, tooltip, ...row } = forwardRow(tunnel, state, moment);
  return {
    ...row,
    kind: 'configForward',
    description: isOff ? '' : description,
    tooltip: [...(isOff ? [effectText(forward.spec, forward.host)] : tooltip), originText(forward.origin)],
    origin: forward.origin,
  };
}

function configProblemRow({ origin, message }: ConfigForwards['problems'][number]): ConfigProblemRow {
  const name = origin.file.split(/[\\/]/).at(-1)!;
  const text = printable(message);
  return {
    kind: 'configProblem',
    label: `${printable(name)}:${origin.line}: ${text}`,
    tooltip: [text, originText(origin)],
    origin,
  };
}

function originText({ file, line }: Origin): string {
  return t('Line {line} of {file}', { line, file: printable(file) });
}

function problemRow({ place, message, scope, path }: PresetProblem): ProblemRow {
  return {
    kind: 'problem',
    label: `${place}: ${message}`,
    tooltip: [`${place}: ${message}`, t('In {scope}', { scope: scopeText(scope) })],
    scope,
    path,
  };
}

export function scopeText(scope: PresetScope): string {
  switch (scope.kind) {
    case 'user':
      return t('your user settings');
    case 'workspace':
      return t('the workspace settings');
    case 'folder':
      return t('the settings of the folder {folder}', { folder: scope.folder });
  }
}

/** A tunnel that starts with every window, and whose port is taken: most likely by the window before. */
export function isTakenElsewhere(tunnel: Tunnel, failure: Failure, session: SessionState): boolean {
  return tunnel.automatic && failure.kind === 'portInUse' && portHolder(failure, session) === undefined;
}

function statusLine(session: SessionState, states: ReadonlyMap<string, TunnelState>, ready: number): StatusLine {
  const { tunnels } = session.wanted;
  const count = (wanted: Status) => [...states.values()].filter(({ kind }) => kind === wanted).length;
  const [connecting, retrying, failed] = [count('connecting'), count('retrying'), count('failed')];
  const note = placeNote();
  const alarming = tunnels.some((tunnel) => {
    const state = states.get(tunnel.id)!;
    return state.kind === 'failed' && !isTakenElsewhere(tunnel, state.failure, session);
  });
  return {
    text: `$(${connecting > 0 ? 'sync~spin' : retrying > 0 ? 'history' : 'radio-tower'}) ${ready}`,
    table: tunnels.map((tunnel) => {
      const state = states.get(tunnel.id)!;
      const bound = boundOf(state);
      const listen = bound.length > 0 ? boundText(bound) : listenText(tunnel.spec.listen);
      return [
        tunnel.spec.kind === 'remote' ? `${tunnel.destination.host}: ${listen}` : listen,
        `${targetText(tunnel.spec)} (${printDestination(tunnel.destination)})`,
        stateText(tunnel, state),
      ] as const;
    }),
    ...(note !== undefined && { note }),
    isError: alarming,
    accessibleText: [
      t('SSH tunnels: {ready} ready', { ready }),
      ...(connecting > 0 ? [t('connecting')] : []),
      ...(retrying > 0 ? [t('{retrying} retrying', { retrying })] : []),
      ...(failed > 0 ? [t('{failed} failed', { failed })] : []),
    ].join(', '),
  };
}

/** The words of a notification for a tunnel that has just become ready. */
export function readyText(tunnel: Tunnel, state: Ready): string {
  const instead = otherPortText(tunnel, state);
  const isOpen = state.access === 'network' && state.asked === 'network';
  const place = tunnel.spec.kind === 'remote' ? undefined : placeText();
  return [
    becameText(namedPath(tunnel, boundPath(tunnel, state)), state),
    ...(instead === undefined ? [] : [instead]),
    ...(isOpen ? [t('Open to the network.')] : []),
    ...(place === undefined ? [] : [t('It listens on {machine}.', { machine: machineName() })]),
  ].join(' ');
}

function boundPath(tunnel: Tunnel, state: Ready): string {
  const values = {
    addresses: boundText(state.bound),
    target: targetText(tunnel.spec),
    host: printDestination(tunnel.destination),
  };
  return tunnel.spec.kind === 'remote'
    ? t('{addresses} on {host} → {target}', values)
    : t('{addresses} → {target} (via {host})', values);
}

function namedPath({ label }: Tunnel, path: string): string {
  return label === undefined ? path : `${label}: ${path}`;
}

/** The words of a notification for a tunnel that has come back with another port than it had. */
export function movedText(tunnel: Tunnel, state: Ready, oldPort: number): string {
  return t('{tunnel} came back with port {port} instead of {oldPort}. Connect to {address} from now on.', {
    tunnel: namedPath(tunnel, pathText(tunnel, state)),
    port: realPort(state) ?? '',
    oldPort,
    address: placedAddress(tunnel, state),
  });
}

function becameText(tunnel: string, { isIdle, isElsewhere }: Ready): string {
  if (isIdle)
    return isElsewhere
      ? t('{tunnel} listens in another window, and connects when a client comes.', { tunnel })
      : t('{tunnel} listens, and connects when a client comes.', { tunnel });
  return isElsewhere ? t('{tunnel} is ready in another window.', { tunnel }) : t('{tunnel} is ready.', { tunnel });
}

/** Where a client connects to, and of a remote forward on which server. */
function placedAddress(tunnel: Tunnel, state: Ready): string {
  const address = clientAddress(tunnel, state) ?? tunnel.id;
  return tunnel.spec.kind === 'remote' ? t('{address} on {host}', { address, host: tunnel.destination.host }) : address;
}

/** A tunnel among several that are ready: its name, and its address where that does not tell the port that was chosen. */
export function readyName(tunnel: Tunnel, state: Ready): string {
  const address = placedAddress(tunnel, state);
  if (tunnel.label === undefined) return address;
  const { listen } = tunnel.spec;
  const isChosen = listen.kind === 'tcp' && listen.port !== realPort(state);
  return isChosen ? `${tunnel.label} (${address})` : tunnel.label;
}

/** The rows of a forward's clients, the oldest first. `now` in ms since 1970. */
export function clientRows(forward: string, clients: readonly Client[], now: number): ClientRow[] {
  return clients.map(({ id, peer, target, isParked, sent, received, since }) => {
    const age = ageText(now - since);
    return {
      kind: 'client',
      forward,
      id,
      label: `${peer || t('a local process')}${target === undefined ? '' : ` → ${target}`}`,
      description: isParked
        ? t('waits for the connection · {age}', { age })
        : `↑ ${bytesText(sent)} ↓ ${bytesText(received)} · ${age}`,
      ...(isParked && { isParked }),
      tooltip: [
        peer ? t('From {peer}', { peer }) : t('From a local process: a Unix socket does not tell which'),
        ...(target === undefined ? [] : [t('To {target}', { target })]),
        ...(isParked
          ? [t('Has waited for the SSH connection for {age}', { age })]
          : [
              t('{sent} sent to the target, {received} received from it', {
                sent: bytesText(sent),
                received: bytesText(received),
              }),
              t('Open for {age}', { age }),
            ]),
      ],
    };
  });
}

/** `340 KB`: three digits at most, in steps of 1000. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = bytes;
  // What would be rounded to 1000 belongs to the next.
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  const digits = value < 9.95 && unit > 0 ? 1 : 0;
  return `${value.toLocaleString(t('en-GB'), { maximumFractionDigits: digits })} ${units[unit]}`;
}

/** `5 min`: the biggest unit that is full. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return t('{count} s', { count: seconds });
  if (seconds < 3600) return t('{count} min', { count: Math.floor(seconds / 60) });
  return seconds < 86_400
    ? t('{count} h', { count: Math.floor(seconds / 3600) })
    : t('{count} d', { count: Math.floor(seconds / 86_400) });
}
