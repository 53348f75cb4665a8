// What the user is told about without looking: what became of that which was just asked for, and what is down for good.
import { connectionOf } from './plan.js';
import { boundProblems, clientAddress, isElsewhere, readyText } from './present.js';
import type { SessionState, Tunnel } from './session.js';
import { tunnelState, type TunnelState } from './snapshot.js';
import { failureText } from './wording.js';

export type Notice =
  | { kind: 'ready'; tunnels: readonly string[]; text: string; /** something asked for is missing */ partly: boolean }
  | { kind: 'failed'; tunnels: readonly string[]; text: string };

export interface Noticed {
  notices: readonly Notice[];
  /** The ids that are still waited for. */
  asked: ReadonlySet<string>;
}

/**
 * Decides after each event. `asked` are the tunnels that the user started and has heard nothing of. Those of one
 * connection are told of together, once all are settled; failures at once, those with one reason together; silent are a
 * cancel, and a port in use that only an automatic start wanted.
 */
export function decideNotices(before: SessionState, after: SessionState, asked: ReadonlySet<string>): Noticed {
  if (before.snapshot === after.snapshot) return { notices: [], asked };
  const seen = after.wanted.tunnels.map((tunnel) => ({
    tunnel,
    was: before.wanted.tunnels.some(({ id }) => id === tunnel.id) ? tunnelState(tunnel, before.snapshot) : undefined,
    is: tunnelState(tunnel, after.snapshot),
  }));

  const failed = new Map<string, string[]>();
  for (const { tunnel, was, is } of seen) {
    if (is.kind !== 'failed' || is.failure.kind === 'cancelled') continue;
    if (was?.kind === 'failed' && was.failure === is.failure) continue;
    if (isElsewhere(tunnel, is.failure)) continue;
    const text = failureText(is.failure);
    failed.set(text, [...(failed.get(text) ?? []), tunnel.id]);
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
    if (up.length > 0) ready.push(readyNotice(up));
  }

  return {
    notices: [...ready, ...[...failed].map(([text, tunnels]): Notice => ({ kind: 'failed', tunnels, text }))],
    asked: waiting,
  };
}

const idOf = ({ tunnel }: { tunnel: Tunnel }) => tunnel.id;

function isSettled(state: TunnelState): boolean {
  return state.kind === 'ready' || state.kind === 'failed';
}

function isSame(was: TunnelState | undefined, is: TunnelState): boolean {
  return was?.kind === is.kind && (is.kind !== 'failed' || (was.kind === 'failed' && was.failure === is.failure));
}

function readyNotice(up: readonly { tunnel: Tunnel; state: TunnelState & { kind: 'ready' } }[]): Notice {
  const [first] = up;
  const problems = [...new Set(up.flatMap(({ tunnel, state }) => boundProblems(state, tunnel.destination.host)))];
  const text =
    up.length === 1 && first
      ? readyText(first.tunnel, first.state)
      : `${up.length} tunnels are ready: ${up.map(({ tunnel, state }) => tunnel.label ?? clientAddress(tunnel, state) ?? tunnel.id).join(', ')}.`;
  return {
    kind: 'ready',
    tunnels: up.map(idOf),
    text: [text, ...problems].join(' '),
    partly: problems.length > 0,
  };
}
