// What the user is told about without looking: what became of that which was just asked for, and what is down for good.
import { connectionOf } from './plan.js';
import type { Failure } from './failure.js';
import { isTakenElsewhere, readyName, readyProblems, readyText, reasonText, tunnelName } from './present.js';
import { portHolder, type SessionState, type Tunnel } from './session.js';
import { tunnelState, type TunnelState } from './snapshot.js';
import { isWider } from './wording.js';

export type Notice =
  | {
      kind: 'ready';
      tunnels: readonly string[];
      text: string;
      /** Something is not as asked for: a warning. */
      partly: boolean;
      remedies: readonly Remedy[];
    }
  | { kind: 'failed'; tunnels: readonly string[]; text: string; remedies: readonly Remedy[] };

/** What the user may do about it at once, the best first. `tunnels` are those of the notice that it is for. */
export type Remedy =
  /** Start them on the next free port. */
  | { kind: 'nextFree'; tunnels: readonly string[] }
  /** Stop another tunnel of this window, which has their port, and start them. */
  | { kind: 'stopOther'; tunnels: readonly string[]; tunnel: string; name: string }
  | { kind: 'stop'; tunnels: readonly string[] };

/** What the notices to come depend on, by the tunnels' ids. */
export interface Watched {
  /** The user started them and has heard nothing of them. */
  asked: ReadonlySet<string>;
  /** Their servers opened them wider than asked, and the user knows. */
  wider: ReadonlySet<string>;
}

export const nothingWatched: Watched = { asked: new Set(), wider: new Set() };

export interface Noticed extends Watched {
  notices: readonly Notice[];
}

/**
 * Decides after each event. Those of one connection that were asked for are told of together, once all are settled;
 * failures at once, those with one reason together, and what a server opened too wide at once, too, whoever started it;
 * silent are a cancel, and a port in use that only an automatic start wanted.
 */
export function decideNotices(before: SessionState, after: SessionState, { asked, wider }: Watched): Noticed {
  if (before.snapshot === after.snapshot) return { notices: [], asked, wider };
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
    if (isTakenElsewhere(tunnel, is.failure, after)) continue;
    const text = reasonText(is.failure, after);
    failed.set(text, { tunnels: [...(failed.get(text)?.tunnels ?? []), tunnel], failure: is.failure });
  }

  const waiting = new Set(seen.filter(({ tunnel, is }) => asked.has(tunnel.id) && is.kind !== 'stopped').map(idOf));
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

  const open = seen.flatMap(({ tunnel, is }) =>
    is.kind === 'ready' && isWider(tunnel.spec, is) ? [{ tunnel, state: is }] : [],
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
      ...ready,
      ...[...failed].map(([text, { tunnels, failure }]): Notice => {
        const ids = tunnels.map(({ id }) => id);
        return { kind: 'failed', tunnels: ids, text, remedies: portRemedies(failure, ids, after) };
      }),
    ],
    asked: waiting,
    wider: new Set([...open.map(idOf), ...down.filter((id) => wider.has(id))]),
  };
}

const idOf = ({ tunnel }: { tunnel: Tunnel }) => tunnel.id;

function isSettled(state: TunnelState): boolean {
  return state.kind === 'ready' || state.kind === 'failed';
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
      : `${up.length} tunnels are ready: ${up.map(({ tunnel, state }) => readyName(tunnel, state)).join(', ')}.`;
  const wider = up.filter(({ tunnel, state }) => isWider(tunnel.spec, state)).map(idOf);
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

/** What helps when a port is taken; a server has no next free port to offer. */
function portRemedies(failure: Failure, tunnels: readonly string[], session: SessionState): Remedy[] {
  const holder = portHolder(failure, session);
  const name = holder && tunnelName(holder, tunnelState(holder, session.snapshot));
  return [
    ...(holder && name !== undefined ? [{ kind: 'stopOther', tunnels, tunnel: holder.id, name } as const] : []),
    ...(failure.kind === 'portInUse' ? [{ kind: 'nextFree', tunnels } as const] : []),
  ];
}
