// The list of tunnels as it is kept for the next window of a workspace, and what comes back of it. Their texts are as people
// write them, so that a later version reads what an earlier one kept.
import * as v from 'valibot';
import { parseDestination, printDestination } from './destination.js';
import { parseSpec, printSpec } from './forwardSpec.js';
import { presetTunnels, type Preset } from './preset.js';
import { connectionOf, sandboxOf } from './plan.js';
import { tunnelName } from './present.js';
import { printable, unseen } from './printable.js';
import {
  restartTunnels,
  startTunnels,
  tunnelId,
  type NewTunnel,
  type SessionState,
  type Tunnel,
  type Wanted,
} from './session.js';
import { inEnglish, t } from './translate.js';
import { destinationProblem, specProblem } from './wording.js';

/** How a tunnel ran: on its own port or on the next free one. */
export type Run = 'exact' | 'nextFree';

/** A tunnel of the window before; without `run` it was stopped. */
export interface Kept extends NewTunnel {
  id: string;
  run?: Run;
}

interface StoredTunnel {
  host: string;
  forward: string;
  label?: string;
  onDemand?: true;
  fromWorkspace?: true;
  run?: Run;
}

/** What workspaceState holds. */
export interface StoredTunnels {
  version: 1;
  tunnels: readonly StoredTunnel[];
}

/**
 * What is to be kept of the list; undefined: nothing. Those that were lost with the engine count as running, and so do the
 * `unanswered`: nobody has said yet what becomes of them. A stopped one stays on the list as the user left it, but that of a
 * workspace's preset: it is listed there. None of a sandbox is
 * kept, and what another extension opened is for it to open again. Those that `wait` are not on the list, and are kept as they are.
 */
export function storeTunnels(
  wanted: Wanted,
  unanswered: ReadonlyMap<string, Run> = new Map(),
  wait: readonly Kept[] = [],
): StoredTunnels | undefined {
  const lasting = wanted.tunnels.filter((tunnel) => sandboxOf(wanted, connectionOf(tunnel)) === undefined);
  const stored = lasting.flatMap((tunnel): StoredTunnel[] => {
    const run = runOf(tunnel) ?? (tunnel.wish === 'stop' ? unanswered.get(tunnel.id) : undefined);
    const isLeftOut = tunnel.heldBy || (!run && tunnel.fromWorkspace);
    return isLeftOut ? [] : [storedTunnelOf(tunnel, run)];
  });
  const waiting = stillWaiting(wanted, wait).map((tunnel) => storedTunnelOf(tunnel, tunnel.run));
  const all = [...stored, ...waiting];
  return all.length > 0 ? { version: 1, tunnels: all } : undefined;
}

function storedTunnelOf({ destination, spec, label, onDemand, fromWorkspace }: NewTunnel, run?: Run): StoredTunnel {
  return {
    host: printDestination(destination),
    forward: printSpec(spec),
    ...(label !== undefined && { label }),
    ...(onDemand && { onDemand }),
    ...(fromWorkspace && { fromWorkspace }),
    ...(run && { run }),
  };
}

function runOf({ wish, lentTo }: Tunnel): Run | undefined {
  if (lentTo) return undefined;
  if (wish === 'exact' || wish === 'nextFree') return wish;
  return wish === 'lost' ? 'exact' : undefined;
}

const shownText = v.pipe(
  v.string(),
  v.check((text) => !unseen.test(text), 'a mark that nobody sees'),
);
const mark = v.optional(v.literal(true));
const storedTunnel = v.object({
  host: v.string(),
  forward: v.string(),
  label: v.optional(shownText),
  onDemand: mark,
  fromWorkspace: mark,
  run: v.optional(v.picklist(['exact', 'nextFree'])),
});
const storedTunnels = v.object({ version: v.literal(1), tunnels: v.array(v.unknown()) });

/** Reads what `storeTunnels` made; never throws, whatever stands there. `problems`: what was left out and why, for the log. */
export function readTunnels(value: unknown): { tunnels: readonly Kept[]; problems: readonly string[] } {
  return inEnglish(() => readAll(value));
}

function readAll(value: unknown): { tunnels: readonly Kept[]; problems: readonly string[] } {
  if (value === undefined) return { tunnels: [], problems: [] };
  const list = v.safeParse(storedTunnels, value);
  if (!list.success) return { tunnels: [], problems: [`The tunnels of the window before can’t be read: ${issueText(list.issues)}`] }; // prettier-ignore
  const tunnels = new Map<string, Kept>();
  const problems: string[] = [];
  list.output.tunnels.forEach((entry, index) => {
    const read = readTunnel(entry);
    if (typeof read === 'string') problems.push(`Tunnel ${index + 1} of the window before is left out: ${read}`);
    else if (!tunnels.has(read.id)) tunnels.set(read.id, read);
  });
  return { tunnels: [...tunnels.values()], problems };
}

/** The tunnel, or what is wrong with it. */
function readTunnel(entry: unknown): Kept | string {
  const stored = v.safeParse(storedTunnel, entry);
  if (!stored.success) return issueText(stored.issues);
  const { host, forward, label, onDemand, fromWorkspace, run } = stored.output;
  const destination = parseDestination(host);
  if (!destination.ok) return `host: ${destinationProblem(destination.failure.problem)}`;
  const spec = parseSpec(forward);
  if (!spec.ok) return `forward: ${specProblem(spec.failure.problem)}`;
  const tunnel: NewTunnel = {
    destination: destination.destination,
    spec: spec.spec,
    ...(label !== undefined && { label }),
    ...(onDemand && { onDemand }),
    ...(fromWorkspace && { fromWorkspace }),
  };
  return { ...tunnel, id: tunnelId(tunnel), ...(run && { run }) };
}

function issueText([issue]: readonly [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]]): string {
  const path = (issue.path ?? []).map(({ key }) => String(key)).join('.');
  return printable(path === '' ? issue.message : `${path}: ${issue.message}`);
}

/** What becomes of the tunnels of the window before. */
export interface Comeback {
  /** They are on the list again, stopped. */
  listed: readonly Kept[];
  /** Those of them that ran, and that no preset starts by itself. */
  ran: ReadonlyMap<string, Run>;
  /** Those that ran, and that nothing allows now: a later window may, or this one when it is trusted. */
  waiting: readonly Kept[];
}

/** A workspace whose presets change all the time does not fill what is kept. */
const mostWaiting = 50;

/**
 * `allowed`: the presets that may start without a question. A workspace's tunnel comes back only while one of them still asks
 * for the same.
 */
export function decideComeback(kept: readonly Kept[], allowed: readonly Preset[]): Comeback {
  const asFor = (presets: readonly Preset[]) => new Set(presets.flatMap(presetTunnels).map(sameness));
  const wanted = asFor(allowed);
  const automatic = asFor(allowed.filter(({ autoStart }) => autoStart));
  const isAllowed = (tunnel: Kept) => !tunnel.fromWorkspace || wanted.has(sameness(tunnel));
  const listed = kept.filter(isAllowed);
  const ran = listed.flatMap((tunnel) =>
    tunnel.run && !automatic.has(sameness(tunnel)) ? [[tunnel.id, tunnel.run] as const] : [],
  );
  return {
    listed,
    ran: new Map(ran),
    waiting: kept.filter((tunnel) => tunnel.run && !isAllowed(tunnel)).slice(-mostWaiting),
  };
}

function sameness(tunnel: NewTunnel): string {
  return JSON.stringify([tunnelId(tunnel), tunnel.onDemand === true]);
}

/** Puts them on the list, stopped; one that is there already stays as it is. */
export function listTunnels(wanted: Wanted, listed: readonly Kept[]): Wanted {
  const known = new Set(wanted.tunnels.map(({ id }) => id));
  const added = listed
    .filter(({ id }) => !known.has(id))
    .map(({ run: _, ...tunnel }): Tunnel => ({ ...tunnel, wish: 'stop', automatic: false, run: 0 }));
  return { ...wanted, tunnels: [...added, ...wanted.tunnels] };
}

/** Those that still wait for an answer: neither started nor removed since. */
export function stillStopped({ tunnels }: Wanted, ran: ReadonlyMap<string, Run>): ReadonlyMap<string, Run> {
  const stopped = new Set(tunnels.filter(({ wish }) => wish === 'stop').map(({ id }) => id));
  return new Map([...ran].filter(([id]) => stopped.has(id)));
}

/** Those that nobody has put on the list since. */
export function stillWaiting({ tunnels }: Wanted, waiting: readonly Kept[]): readonly Kept[] {
  const known = new Set(tunnels.map(({ id }) => id));
  return waiting.filter(({ id }) => !known.has(id));
}

/** Starts those that are still stopped, as they ran. `automatic`: nobody was asked. */
export function startAgain(
  state: SessionState,
  ran: ReadonlyMap<string, Run>,
  automatic: boolean,
): { wanted: Wanted; started: readonly string[] } {
  const due = stillStopped(state.wanted, ran);
  const tunnels = state.wanted.tunnels.filter(({ id }) => due.has(id));
  const { wanted, started } = startTunnels(state, tunnels, automatic);
  const free = started.filter((id) => due.get(id) === 'nextFree');
  return { wanted: free.length > 0 ? restartTunnels(wanted, free, automatic, 'nextFree') : wanted, started };
}

/** Named in the question; the rest are a number. */
const mostNames = 3;

/** The question that comes with the window: `2 tunnels were running when this window closed: … Start them again?` */
export function restoreQuestion(tunnels: readonly Tunnel[]): string {
  const names = tunnels.slice(0, mostNames).map((tunnel) => nameOf(tunnel));
  const rest = tunnels.length - names.length;
  const all = [...names, ...(rest > 0 ? [t('{count} more', { count: rest })] : [])];
  const list =
    all.length > 1 ? t('{before} and {last}', { before: all.slice(0, -1).join(', '), last: all.at(-1)! }) : all[0]!;
  return tunnels.length === 1
    ? t('A tunnel was running when this window closed: {list}. Start it again?', { list })
    : t('{count} tunnels were running when this window closed: {list}. Start them again?', {
        count: tunnels.length,
        list,
      });
}

function nameOf(tunnel: Tunnel): string {
  const name = tunnelName(tunnel, { kind: 'stopped', draining: false });
  return `${name} (${printDestination(tunnel.destination)})`;
}
