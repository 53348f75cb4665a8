import { connectionOf, sandboxOf } from '../core/plan.js';
import type { ForwardRow } from '../core/present.js';
import type { SessionState } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';

/**
 * What menus ask of a forward beyond its status: its last connections finish, a browser can open it, its port is another's,
 * its connection waits for a client, another window runs it, it leads to the sandbox.
 */
export type RowFlag = 'draining' | 'url' | 'portInUse' | 'idle' | 'elsewhere' | 'sandbox';

export function rowFlags({ id, url }: Pick<ForwardRow, 'id' | 'url'>, session: SessionState): readonly RowFlag[] {
  const tunnel = session.wanted.tunnels.find((other) => other.id === id);
  if (!tunnel) return [];
  const state = tunnelState(tunnel, session.snapshot);
  const failures = state.kind === 'failed' ? [state.failure] : state.kind === 'ready' ? state.unbound : [];
  const flags: readonly [RowFlag, boolean][] = [
    ['draining', state.kind === 'stopped' && state.draining],
    ['url', state.kind === 'ready' && url !== undefined],
    ['portInUse', failures.some(({ kind }) => kind === 'portInUse')],
    ['idle', state.kind === 'ready' && state.isIdle === true],
    ['elsewhere', 'isElsewhere' in state],
    ['sandbox', sandboxOf(session.wanted, connectionOf(tunnel)) !== undefined],
  ];
  return flags.flatMap(([flag, isSet]) => (isSet ? [flag] : []));
}
