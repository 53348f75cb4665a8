// What the Tunnel Details view shows of a tunnel or a connection: plain data, all of its words ready.
import type { Client, ForwardNumbers, TrafficSeries, WayHost } from './engine.js';
import type { Failure } from './failure.js';
import { connectionKey, forwardKey, notesKept, type FailureNotes } from './failureNotes.js';
import { machineName, placeNote } from './machine.js';
import { connectionOf, type ConnectionId } from './plan.js';
import {
  ageText,
  browserUrl,
  bytesText,
  clientAddress,
  connectionShown,
  connectionStatus,
  connectionText,
  problemOf,
  reasonText,
  stateText,
  statusText,
  takeOverText,
  tunnelName,
  type ConnectionShown,
  type Status,
} from './present.js';
import type { Preset } from './preset.js';
import { tunnelsOf, type SessionState, type Tunnel } from './session.js';
import { boundOf, connectionSeen, tunnelState, type TunnelState } from './snapshot.js';
import { findPreset, type Subject } from './subject.js';
import { t } from './translate.js';
import { accessText, askedAccess, boundText, failureText, isLoopback, listenText, targetText } from './wording.js';

/** `idle`: it is made when a client comes; `unknown`: nobody has tried it; `waiting`: what is before it is missing. */
export type LegStatus = Status | 'idle' | 'unknown' | 'waiting';

/** The way from one station to the next. */
export interface Leg {
  status: LegStatus;
  /** The state in words, short. */
  text: string;
  /** The same as a sentence that names both stations. */
  sentence: string;
  problem?: string;
}

export interface Station {
  kind: 'clients' | 'listener' | 'machine' | 'hop' | 'server' | 'target';
  label: string;
  detail?: string;
  /** Absent at the end of the path. */
  leg?: Leg;
}

export interface DetailsClient {
  id: number;
  peer: string;
  target?: string;
  /** Bytes in words, or that it waits. */
  sent: string;
  received: string;
  waits?: string;
  age: string;
  /** What its button says to a screen reader. */
  closeLabel: string;
}

export const detailsActions = ['start', 'startOnFreePort', 'retryNow', 'stop', 'openInBrowser', 'copyAddress'] as const;
export type DetailsAction = (typeof detailsActions)[number];

export interface Details {
  /** What it is about; another text is about something else. */
  subject: string;
  title: string;
  status: Status;
  state: string;
  /** What else there is to know, a sentence each. */
  notes: readonly string[];
  problem?: string;
  actions: readonly { id: DetailsAction; label: string }[];
  path: readonly Station[];
  /** Absent for a connection, and where another window runs the tunnel. */
  traffic?: { series: TrafficSeries; totals: string; summary: string };
  clients?: { rows: readonly DetailsClient[]; /** How many there are beyond. */ more?: string };
  /** The newest first; `at` in ms since 1970. */
  failures: readonly { at: number; text: string }[];
}

export type DetailsSubject = { kind: 'tunnel'; tunnel: Tunnel } | { kind: 'connection'; id: ConnectionId };

/** What the engine says of it. */
export interface DetailsFacts {
  numbers?: ForwardNumbers | undefined;
  way: readonly WayHost[];
  clients: readonly Client[];
  failures: FailureNotes;
  /** ms since 1970 */
  now: number;
}

/** The texts of the view that don’t depend on what it shows. */
export function detailsTexts() {
  return {
    nothing: t('Select a tunnel in the view above to see its path, its traffic and its connections.'),
    path: t('Path'),
    traffic: t('Traffic of the last 5 minutes'),
    connections: t('Connections'),
    noConnections: t('No connections'),
    failures: t('Last failures'),
    from: t('From'),
    bytes: t('Data'),
    age: t('Age'),
    close: t('Close'),
    sent: t('Sent per second'),
    received: t('Received per second'),
    open: t('Connections'),
    minutes: t('min'),
    locale: t('en-GB'),
  };
}
export type DetailsTexts = ReturnType<typeof detailsTexts>;

const clientsShown = 200;

export function detailsOf(session: SessionState, subject: DetailsSubject, facts: DetailsFacts): Details {
  return subject.kind === 'tunnel'
    ? tunnelDetails(session, subject.tunnel, facts)
    : connectionDetails(session, subject.id, facts);
}

function tunnelDetails(session: SessionState, tunnel: Tunnel, facts: DetailsFacts): Details {
  const state = tunnelState(tunnel, session.snapshot);
  const problem = problemOf(tunnel, state, session);
  const isElsewhere = 'isElsewhere' in state;
  const { numbers, clients, now } = facts;
  const note = tunnel.spec.kind === 'remote' ? undefined : placeNote();
  const who = whoText(session, tunnel, state);
  const id = connectionOf(tunnel);
  return {
    subject: forwardKey(tunnel.id),
    title: tunnelName(tunnel, state),
    status: state.kind,
    state: stateText(tunnel, state),
    notes: [
      ...(who === undefined ? [] : [t('Who can connect: {who}', { who })]),
      ...(note === undefined ? [] : [note]),
      ...(isElsewhere ? [takeOverText(), t('Its traffic and its connections are shown there.')] : []),
    ],
    ...(problem !== undefined && { problem }),
    actions: tunnelActions(tunnel, state),
    path: tunnelPath(session, tunnel, state, facts),
    ...(numbers && !isElsewhere && { traffic: trafficText(numbers) }),
    ...(numbers &&
      !isElsewhere && {
        clients: {
          rows: clients.slice(0, clientsShown).map((client) => clientRow(client, now)),
          ...(clients.length > clientsShown && { more: t('{count} more', { count: clients.length - clientsShown }) }),
        },
      }),
    failures: failureTexts([forwardKey(tunnel.id), connectionKey(id)], facts.failures, session),
  };
}

function connectionDetails(session: SessionState, id: ConnectionId, facts: DetailsFacts): Details {
  const tunnels = tunnelsOf(session.wanted, id);
  const own = tunnels.map((tunnel) => tunnelState(tunnel, session.snapshot));
  const seen = connectionShown(id, own, session);
  const status = connectionStatus(seen);
  const isElsewhere = 'isElsewhere' in seen;
  const hosts = hostStations(id, tunnels[0], facts.way);
  const problem = 'failure' in seen && seen.failure ? reasonText(seen.failure, session) : undefined;
  return {
    subject: connectionKey(id),
    title: id,
    status,
    state: connectionText(seen),
    notes: isElsewhere ? [takeOverText()] : [],
    ...(problem !== undefined && { problem }),
    actions: [
      ...(status === 'stopped' || status === 'failed' ? [action('start')] : []),
      ...(status === 'retrying' && !isElsewhere ? [action('retryNow')] : []),
      ...(status === 'stopped' ? [] : [action('stop')]),
    ],
    path: joined([machineStation(), ...hosts], wayLegs(session, seen, facts.way)),
    failures: failureTexts([connectionKey(id)], facts.failures, session),
  };
}

/** What is written says nothing of a server's listener: its GatewayPorts decides once there is one. */
function whoText(session: SessionState, tunnel: Tunnel, state: TunnelState): string | undefined {
  const { spec, destination } = tunnel;
  const real = realAccess(session, tunnel, state);
  if (spec.kind === 'remote') return real && accessText(real, destination.host, spec.listen.kind);
  return accessText(real ?? askedAccess(spec), machineName(), spec.listen.kind);
}

/** Who may connect to what listens, also while its connection is down. */
function realAccess({ snapshot }: SessionState, { id, run }: Tunnel, state: TunnelState) {
  if (state.kind === 'ready') return state.access;
  const bound = boundOf(state);
  if (bound.length === 0) return undefined;
  const seen = snapshot.forwards[id];
  if (seen?.kind === 'listening' && seen.run === run) return seen.access;
  return bound.some((one) => one.kind === 'tcp' && !isLoopback(one.address)) ? 'network' : undefined;
}

function action(id: DetailsAction): { id: DetailsAction; label: string } {
  return { id, label: actionLabel(id) };
}

function actionLabel(id: DetailsAction): string {
  switch (id) {
    case 'start':
      return t('Start');
    case 'startOnFreePort':
      return t('Use Next Free Port');
    case 'retryNow':
      return t('Retry Now');
    case 'stop':
      return t('Stop');
    case 'openInBrowser':
      return t('Open in Browser');
    case 'copyAddress':
      return t('Copy Address');
  }
}

function tunnelActions(tunnel: Tunnel, state: TunnelState): Details['actions'] {
  const address = clientAddress(tunnel, state);
  const isDown = state.kind === 'stopped' || state.kind === 'failed';
  const isReady = state.kind === 'ready' && address !== undefined;
  const isTaken = state.kind === 'failed' && state.failure.kind === 'portInUse';
  return [
    ...(isReady && browserUrl(tunnel, address) !== undefined ? [action('openInBrowser')] : []),
    ...(isReady ? [action('copyAddress')] : []),
    ...(isDown ? [action('start')] : []),
    ...(isTaken ? [action('startOnFreePort')] : []),
    ...(state.kind === 'retrying' && !state.isElsewhere ? [action('retryNow')] : []),
    ...(state.kind === 'stopped' && !state.draining ? [] : [action('stop')]),
  ];
}

/** The row that an action is about, of what the view shows of `row`: `start` of a preset’s row is that of the preset. */
export function actionRow(
  action: DetailsAction,
  subject: DetailsSubject,
  row: Subject,
  presets: readonly Preset[],
): Subject {
  if (subject.kind === 'connection') return { kind: 'connection', id: subject.id };
  const own: Subject = { kind: 'forward', id: subject.tunnel.id };
  if (action !== 'start') return own;
  // What is not on the list yet is known by its row alone.
  if (row.kind === 'configForward') return row;
  // Of a preset with several tunnels the one is shown that runs: the others are not meant.
  return row.kind === 'preset' && findPreset(presets, row.preset)?.forwards.length === 1 ? row : own;
}

type BareStation = Omit<Station, 'leg'>;
type BareLeg = Omit<Leg, 'sentence'>;

/** Stations with the legs between them, one less. */
function joined(stations: readonly BareStation[], legs: readonly BareLeg[]): Station[] {
  return stations.map((station, index) => {
    const leg = legs[index];
    const next = stations[index + 1];
    if (!leg || !next) return station;
    const names = { from: nameOf(station), to: nameOf(next), state: leg.text };
    return { ...station, leg: { ...leg, sentence: t('From {from} to {to}: {state}.', names) } };
  });
}

function nameOf({ label, detail, kind }: BareStation): string {
  return kind === 'clients' && detail !== undefined ? detail : label;
}

function machineStation(): BareStation {
  return { kind: 'machine', label: machineName() };
}

/** The hops and the server; before a first dial the server alone, as it is written. */
function hostStations(id: ConnectionId, tunnel: Tunnel | undefined, way: readonly WayHost[]): BareStation[] {
  if (way.length === 0) return [{ kind: 'server', label: tunnel?.destination.host ?? id }];
  return way.map(({ host, server }, index) => ({
    kind: index === way.length - 1 ? 'server' : 'hop',
    label: host,
    detail: server,
  }));
}

function tunnelPath(session: SessionState, tunnel: Tunnel, state: TunnelState, facts: DetailsFacts): Station[] {
  const { spec, destination } = tunnel;
  const id = connectionOf(tunnel);
  const isRemote = spec.kind === 'remote';
  const bound = boundOf(state);
  const hosts = hostStations(id, tunnel, facts.way);
  const viewer = isRemote ? machineName() : destination.host;
  const isProxy = spec.kind === 'dynamic' || spec.target.kind === 'socks';
  const who = whoText(session, tunnel, state);
  const clients: BareStation = { kind: 'clients', label: t('Who can connect'), ...(who !== undefined && { detail: who }) }; // prettier-ignore
  const listener: BareStation = {
    kind: 'listener',
    label: bound.length > 0 ? boundText(bound) : listenText(spec.listen),
    detail: t('listens on {machine}', { machine: isRemote ? destination.host : machineName() }),
  };
  const target: BareStation = {
    kind: 'target',
    label: isProxy ? t('wherever its clients ask') : targetText(spec),
    detail: isProxy ? t('by SOCKS, as {host} sees it', { host: viewer }) : t('as {host} sees it', { host: viewer }),
  };
  const listening = listenLegs(session, tunnel, state);
  const isListeners = listening.some(({ status }) => status === 'failed' || status === 'retrying');
  const legs = wayLegs(session, wayState(session, id, state, isListeners), facts.way);
  const last = targetLeg(state, facts.numbers);
  return isRemote
    ? joined([clients, listener, ...hosts.toReversed(), machineStation(), target], [...listening, ...legs.toReversed(), last]) // prettier-ignore
    : joined([clients, listener, machineStation(), ...hosts, target], [...listening, ...legs, last]);
}

/** From who may connect to the listener, and from that to the machine that it is on. */
function listenLegs(session: SessionState, tunnel: Tunnel, state: TunnelState): BareLeg[] {
  const both = (leg: BareLeg, then = leg): BareLeg[] => [leg, then];
  if (state.kind === 'stopped')
    return both(state.draining ? { status: 'stopped', text: t('stopped, open connections finish') } : legOf('stopped'));
  if (boundOf(state).length > 0) {
    const isUp = state.kind === 'ready' && !state.isIdle;
    return both(
      { status: 'ready', text: t('listens') },
      isUp ? { status: 'ready', text: t('ready') } : { status: 'idle', text: t('clients wait for the connection') },
    );
  }
  const seen = connectionSeen(session.snapshot, connectionOf(tunnel));
  const isConnections = seen?.kind === 'failed' || seen?.kind === 'retrying';
  if ((state.kind === 'failed' || state.kind === 'retrying') && !isConnections)
    return both({ ...legOf(state.kind), problem: reasonText(state.failure, session) }, legOf('waiting'));
  return both(legOf(state.kind === 'connecting' && seen?.kind === 'ready' ? 'connecting' : 'waiting'));
}

type WayState = ConnectionShown | { kind: Exclude<Status, 'ready'>; failure?: Failure; isElsewhere?: true };

/** What a tunnel's way is like; `isListeners`: what failed is told of its listener. */
function wayState(session: SessionState, id: ConnectionId, state: TunnelState, isListeners: boolean): WayState {
  if (state.kind === 'stopped' && !state.draining) return { kind: 'stopped' };
  const seen = 'isElsewhere' in state ? undefined : connectionSeen(session.snapshot, id);
  if (seen) return seen;
  if (state.kind === 'ready') return { kind: state.isIdle ? 'idle' : 'ready', isElsewhere: true };
  return {
    kind: state.kind,
    ...(!isListeners && 'failure' in state && { failure: state.failure }),
    ...('isElsewhere' in state && { isElsewhere: true }),
  };
}

/** From this machine to each host of the way in turn. */
function wayLegs(session: SessionState, seen: WayState, way: readonly WayHost[]): BareLeg[] {
  const count = Math.max(way.length, 1);
  const all = (leg: BareLeg) => Array.from({ length: count }, () => leg);
  const failing = (status: LegStatus, found: Failure): BareLeg[] => {
    const at = failingHost(found, way, count);
    // Where it was called off is not told.
    const before: BareLeg = found.kind === 'cancelled' ? legOf('waiting') : { status: 'idle', text: t('reached by the last try') }; // prettier-ignore
    return all(legOf('waiting')).map((leg, index) =>
      index === at ? { ...legOf(status), problem: reasonText(found, session) } : index < at ? before : leg,
    );
  };
  const failure = 'failure' in seen ? seen.failure : undefined;
  // What is known of the way is this window's.
  const isElsewhere = 'isElsewhere' in seen;
  switch (seen.kind) {
    case 'ready':
      return way.length === 0 || isElsewhere ? all(connectedLeg(undefined)) : way.map(connectedLeg);
    case 'connecting': {
      if (isElsewhere) return all(legOf('connecting'));
      const reached = way.filter(({ isConnected }) => isConnected).length;
      return all(legOf('waiting')).map((leg, index) =>
        index < reached ? connectedLeg(way[index]) : index === reached ? legOf('connecting') : leg,
      );
    }
    case 'idle':
      return failure ? failing('failed', failure) : all(legOf('idle'));
    case 'retrying':
    case 'failed':
      return failure ? failing(seen.kind, failure) : all(legOf(seen.kind));
    case 'stopped':
      return all(legOf('stopped'));
  }
}

function failingHost(failure: Failure, way: readonly WayHost[], count: number): number {
  if (failure.kind === 'hop')
    return Math.max(
      way.findIndex(({ host }) => host === failure.hop),
      0,
    );
  return ['sshConfig', 'jumpLoop', 'engineEnded'].includes(failure.kind) ? 0 : count - 1;
}

function connectedLeg(host: WayHost | undefined): BareLeg {
  if (host?.roundTripMs === undefined) return { status: 'ready', text: t('connected') };
  const digits = host.roundTripMs < 9.95 ? 1 : 0;
  const inDigits = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const ms = host.roundTripMs.toLocaleString(t('en-GB'), inDigits);
  return { status: 'ready', text: t('connected, answers in {ms} ms', { ms }) };
}

function targetLeg(state: TunnelState, numbers: ForwardNumbers | undefined): BareLeg {
  if (state.kind === 'stopped') return legOf('stopped');
  if (state.kind !== 'ready') return legOf('waiting');
  // While it is idle, that was the last dial.
  if (state.refused && !state.isIdle)
    return {
      status: 'failed',
      text: t('the last connection failed'),
      problem: failureText(state.refused),
    };
  if (numbers && numbers.reached > 0) return { status: 'ready', text: t('answered the last connection') };
  return legOf(state.isIdle ? 'idle' : 'unknown');
}

function legOf(status: LegStatus): BareLeg {
  return { status, text: legText(status) };
}

function legText(status: LegStatus): string {
  switch (status) {
    case 'idle':
      return t('not connected until a client comes');
    case 'unknown':
      return t('not tried yet');
    case 'waiting':
      return t('not reached yet');
    default:
      return statusText(status);
  }
}

function trafficText(numbers: ForwardNumbers): Details['traffic'] {
  const { series } = numbers;
  const sum = (values: readonly number[]) => bytesText(values.reduce((all, value) => all + value, 0));
  const bytes = { sent: sum(series.sent), received: sum(series.received), open: Math.max(...series.open) };
  return {
    series,
    totals: t('Since it was started: {sent} sent, {received} received.', {
      sent: bytesText(numbers.sent),
      received: bytesText(numbers.received),
    }),
    summary: t('In the last 5 minutes: {sent} sent, {received} received, connections at once: {open} at most.', bytes),
  };
}

function clientRow({ id, peer, target, isParked, sent, received, since }: Client, now: number): DetailsClient {
  const from = peer || t('a local process');
  return {
    id,
    peer: from,
    ...(target !== undefined && { target }),
    sent: bytesText(sent),
    received: bytesText(received),
    ...(isParked && { waits: t('waits') }),
    age: ageText(now - since),
    closeLabel: t('Close the connection from {peer}', { peer: from }),
  };
}

function failureTexts(keys: readonly string[], notes: FailureNotes, session: SessionState): Details['failures'] {
  return keys
    .flatMap((key) => notes[key] ?? [])
    .sort((a, b) => b.at - a.at)
    .slice(0, notesKept)
    .map(({ at, failure, times }) => {
      const text = reasonText(failure, session);
      return { at, text: times === 1 ? text : t('{count} times: {failure}', { count: times, failure: text }) };
    });
}
