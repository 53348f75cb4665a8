// What the user is told about without looking: what became of that which was just asked for, and what is down for good.
import type { EngineEvent } from './engine.js';
import { innermost, type Failure } from './failure.js';
import { connectionOf, isWanted } from './plan.js';
import { isTakenElsewhere, movedText, readyName, readyProblems, readyText, reasonText, tunnelName } from './present.js';
import { portHolder, type SessionState, type Tunnel } from './session.js';
import { tunnelState, type TunnelState } from './snapshot.js';
import { t } from './translate.js';
import { engineRestartedText, isWider } from './wording.js';

export type Notice =
  | {
      kind: 'ready';
      tunnels: readonly string[];
      text: string;
      /** Something is not as asked for: a warning. */
      partly: boolean;
      remedies: readonly Remedy[];
    }
  | { kind: 'failed'; tunnels: readonly string[]; text: string; remedies: readonly Remedy[] }
  /** The engine, which ran these. */
  | { kind: 'restarted'; tunnels: readonly string[]; text: string; remedies: readonly Remedy[] };

/** What the user may do about it at once, the best first. `tunnels` are those of the notice that it is for. */
export type Remedy =
  /** Start them on the next free port. */
  | { kind: 'nextFree'; tunnels: readonly string[] }
  /** Stop another tunnel of this window, which has their port, and start them. */
  | { kind: 'stopOther'; tunnels: readonly string[]; tunnel: string; name: string }
  | { kind: 'stop'; tunnels: readonly string[] }
  /** Start them, to answer what nobody is asked in the background. */
  | { kind: 'answer'; tunnels: readonly string[] }
  /** Tell the makers. */
  | { kind: 'report'; tunnels: readonly string[] };

/** Which notices appear: all of them, those of what is not as wanted, or none but those that wait for an answer. */
export type NoticeLevel = 'all' | 'problems' | 'none';

export function readNoticeLevel(value: unknown): NoticeLevel {
  return value === 'problems' || value === 'none' ? value : 'all';
}

export type Severity = 'error' | 'warning' | 'information';

export function severityOf(notice: Notice): Severity {
  switch (notice.kind) {
    case 'restarted':
      return 'warning';
    case 'ready':
      return notice.partly ? 'warning' : 'information';
    case 'failed':
      return isQuestion(notice) ? 'warning' : 'error';
  }
}

/** Whether it appears: what waits for an answer always does. */
export function isShown(notice: Notice, level: NoticeLevel): boolean {
  if (isQuestion(notice) || level === 'all') return true;
  return level === 'problems' && severityOf(notice) !== 'information';
}

function isQuestion({ remedies }: Notice): boolean {
  return remedies.some(({ kind }) => kind === 'answer');
}

/** What the notices to come depend on, by the tunnels' ids. */
export interface Watched {
  /** The user started them and has heard nothing of them. */
  asked: ReadonlySet<string>;
  /** Their servers opened them wider than asked, and the user knows. */
  wider: ReadonlySet<string>;
  /** The port that each had last, and in which start. */
  ports: ReadonlyMap<string, { run: number; port: number }>;
}

export const nothingWatched: Watched = { asked: new Set(), wider: new Set(), ports: new Map() };

export interface Noticed extends Watched {
  notices: readonly Notice[];
}

/**
 * Decides after each event. Those of one connection that were asked for are told of together, once all are settled;
 * failures at once, those with one reason together, and what a server opened too wide at once, too, whoever started it;
 * silent are a cancel, a port in use that only an automatic start wanted, what another window has told of, what fails again
 * as it did, and what comes back by itself as it was: one that comes back with another port is told of.
 */
export function decideNotices(
  before: SessionState,
  after: SessionState,
  { asked, wider, ports }: Watched,
  event?: EngineEvent,
): Noticed {
  const restarted = event ? restartNotices(event, before) : [];
  if (before.snapshot === after.snapshot) return { notices: restarted, asked, wider, ports };
  const seen = after.wanted.tunnels.map((tunnel) => {
    const old = before.wanted.tunnels.find(({ id }) => id === tunnel.id);
    return {
      tunnel,
      was: old && tunnelState(old, before.snapshot),
      is: tunnelState(tunnel, after.snapshot),
      isLostAgain: old?.wish === 'lost' && tunnel.wish === 'lost',
    };
  });

  const failed = new Map<string, { tunnels: Tunnel[]; failure: Failure }>();
  for (const { tunnel, was, is, isLostAgain } of seen) {
    if (is.kind !== 'failed' || is.failure.kind === 'cancelled' || isLostAgain) continue;
    if (was?.kind === 'failed' && was.failure === is.failure) continue;
    if (isOldTrouble(tunnel, is.failure, before, after)) continue;
    // The window that ran it has told of it.
    if (tunnel.automatic && was && 'isElsewhere' in was && !asked.has(tunnel.id)) continue;
    if (isTakenElsewhere(tunnel, is.failure, after)) continue;
    const text = reasonText(is.failure, after);
    failed.set(text, { tunnels: [...(failed.get(text)?.tunnels ?? []), tunnel], failure: is.failure });
  }

  const waiting = new Set(seen.filter(({ tunnel, is }) => asked.has(tunnel.id) && is.kind !== 'stopped').map(idOf));
  const portsNow = new Map(
    seen.flatMap(({ tunnel: { id, run }, is }) => {
      const [bound] = is.kind === 'ready' ? is.bound : [];
      const old = ports.get(id);
      if (bound?.kind === 'tcp') return [[id, { run, port: bound.port }] as const];
      return old && old.run === run ? [[id, old] as const] : [];
    }),
  );
  const moved = new Map(
    seen.flatMap(({ tunnel, is }) => {
      const old = ports.get(tunnel.id);
      const now = portsNow.get(tunnel.id);
      const hasMoved = is.kind === 'ready' && old && now && old.run === now.run && old.port !== now.port;
      return hasMoved ? [[tunnel.id, movedText(tunnel, is, old.port)] as const] : [];
    }),
  );

  const ready: Notice[] = [];
  for (const connection of new Set(seen.map(({ tunnel }) => connectionOf(tunnel)))) {
    const group = seen.filter(({ tunnel }) => waiting.has(tunnel.id) && connectionOf(tunnel) === connection);
    // One that is settled as it was before has not heard of the start yet.
    const settledNow = group.some(({ was, is }) => isSettled(is) && !isSame(was, is));
    if (!settledNow || !group.every(({ is }) => isSettled(is))) continue;
    for (const { tunnel } of group) waiting.delete(tunnel.id);
    const up = group.flatMap(({ tunnel, is }) => (is.kind === 'ready' ? [{ tunnel, state: is }] : []));
    if (up.length > 0) ready.push(readyNotice(up, after));
  }
  for (const [id, text] of moved) ready.push({ kind: 'ready', tunnels: [id], text, partly: true, remedies: [] });

  const open = seen.flatMap(({ tunnel, is }) =>
    is.kind === 'ready' && !is.isElsewhere && isWider(tunnel.spec, is) ? [{ tunnel, state: is }] : [],
  );
  const news = open.filter(({ tunnel: { id } }) => !wider.has(id) && !asked.has(id));
  for (const connection of new Set(news.map(({ tunnel }) => connectionOf(tunnel))))
    ready.push(
      readyNotice(
        news.filter(({ tunnel }) => connectionOf(tunnel) === connection),
        after,
      ),
    );
  // It may be opened in the same way again when its connection is back.
  const down = seen.filter(({ is }) => is.kind === 'connecting' || is.kind === 'retrying').map(idOf);

  return {
    notices: [
      ...restarted,
      ...ready,
      ...[...failed].map(([text, { tunnels, failure }]): Notice => {
        const ids = tunnels.map(({ id }) => id);
        return { kind: 'failed', tunnels: ids, text, remedies: failureRemedies(failure, ids, after) };
      }),
    ],
    asked: waiting,
    wider: new Set([...open.map(idOf), ...down.filter((id) => wider.has(id))]),
    ports: portsNow,
  };
}

const idOf = ({ tunnel }: { tunnel: Tunnel }) => tunnel.id;

function isSettled(state: TunnelState): boolean {
  return state.kind === 'ready' || state.kind === 'failed';
}

/** It could not listen, and when its connection was back it could not in the same words, whoever has the port by now. */
function isOldTrouble({ id }: Tunnel, failure: Failure, before: SessionState, after: SessionState): boolean {
  const [was, is] = [before.snapshot.forwards[id], after.snapshot.forwards[id]];
  if (was?.kind !== 'failed' || is?.kind !== 'failed' || was.run !== is.run || is.failure !== failure) return false;
  const text = (failure: Failure) => {
    if (failure.kind !== 'portInUse') return reasonText(failure, after);
    const { owner: _, ...unowned } = failure;
    return reasonText(unowned, after);
  };
  return text(was.failure) === text(is.failure);
}

function isSame(was: TunnelState | undefined, is: TunnelState): boolean {
  return was?.kind === is.kind && (is.kind !== 'failed' || (was.kind === 'failed' && was.failure === is.failure));
}

function readyNotice(
  up: readonly { tunnel: Tunnel; state: TunnelState & { kind: 'ready' } }[],
  session: SessionState,
): Notice {
  const [first, ...more] = up;
  const isOne = more.length === 0;
  const problems = up.flatMap(({ tunnel, state }) => {
    const of = isOne ? '' : `${tunnelName(tunnel, state)}: `;
    return readyProblems(tunnel, state, session).map((problem) => `${of}${problem}`);
  });
  const text =
    isOne && first
      ? readyText(first.tunnel, first.state)
      : t('{count} tunnels are ready: {names}.', {
          count: up.length,
          names: up.map(({ tunnel, state }) => readyName(tunnel, state)).join(', '),
        });
  // A stop here would close nothing.
  const wider = up.filter(({ tunnel, state }) => !state.isElsewhere && isWider(tunnel.spec, state)).map(idOf);
  return {
    kind: 'ready',
    tunnels: up.map(idOf),
    text: [text, ...problems].join(' '),
    partly: problems.length > 0,
    remedies: mergeRemedies([
      ...up.flatMap(({ tunnel, state }) =>
        state.unbound.flatMap((failure) => portRemedies(failure, [tunnel.id], session)),
      ),
      ...(wider.length > 0 ? [{ kind: 'stop', tunnels: wider } as const] : []),
    ]),
  };
}

/** Two that do the same for several tunnels are one: a notification tells its buttons apart by their words. */
function mergeRemedies(remedies: readonly Remedy[]): Remedy[] {
  const deed = ({ tunnels: _, ...rest }: Remedy) => JSON.stringify(rest);
  return [...new Set(remedies.map(deed))].map((one) => {
    const same = remedies.filter((remedy) => deed(remedy) === one);
    return { ...same[0]!, tunnels: [...new Set(same.flatMap(({ tunnels }) => tunnels))] };
  });
}

function restartNotices(event: EngineEvent, { wanted }: SessionState): Notice[] {
  if (event.kind !== 'engineEnded' || !event.isRestarted) return [];
  const tunnels = wanted.tunnels.filter(isWanted).map(({ id }) => id);
  // It may have been at work for a list alone.
  if (tunnels.length === 0) return [];
  return [{ kind: 'restarted', tunnels, text: engineRestartedText(event.detail), remedies: [] }];
}

function failureRemedies(failure: Failure, tunnels: readonly string[], session: SessionState): Remedy[] {
  switch (innermost(failure).kind) {
    case 'answerNeeded':
      return [{ kind: 'answer', tunnels }];
    case 'engineEnded':
      return [{ kind: 'report', tunnels }];
    default:
      return portRemedies(failure, tunnels, session);
  }
}

/** What helps when a port is taken; a server has no next free port to offer. */
function portRemedies(failure: Failure, tunnels: readonly string[], session: SessionState): Remedy[] {
  const holder = portHolder(failure, session);
  const name = holder && tunnelName(holder, tunnelState(holder, session.snapshot));
  return [
    ...(holder && name !== undefined ? [{ kind: 'stopOther', tunnels, tunnel: holder.id, name } as const] : []),
    ...(failure.kind === 'portInUse' ? [{ kind: 'nextFree', tunnels } as const] : []),
  ];
}
