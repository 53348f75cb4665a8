// Tunnels that a program wants for a while, and not the user: opened, waited for, and stopped when the last one lets go.
import { FailureError, type Failure } from './failure.js';
import { isWanted } from './plan.js';
import {
  removeTunnels,
  startTunnels,
  stopTunnels,
  tunnelId,
  type Holder,
  type NewTunnel,
  type Session,
} from './session.js';
import { tunnelState, type TunnelState } from './snapshot.js';

export interface Hold {
  /** The ids of its tunnels. */
  tunnels: readonly string[];
  /**
   * Resolves when all are ready; rejects with a FailureError where one has failed, was stopped, or is let go before. One that
   * is tried again is waited for.
   */
  ready: Promise<void>;
  /**
   * Lets go. A tunnel that the user had, has asked for since or started again is left alone; another one is stopped with its
   * last hold, and taken off the list if it was not there. Once.
   */
  release(): void;
  /** Lets go, and leaves them to the user as if they had been started by hand. Once. */
  keep(): void;
}

export interface Holds {
  /** Starts those that don’t run. */
  hold(tunnels: readonly NewTunnel[], heldBy: Holder): Hold;
}

interface Held {
  count: number;
  /** The start that was ours. */
  run: number;
}

export function createHolds(session: Session): Holds {
  const held = new Map<string, Held>();
  const find = (id: string) => session.state.wanted.tunnels.find((tunnel) => tunnel.id === id);
  const stateOf = (id: string): TunnelState | undefined => {
    const tunnel = find(id);
    return tunnel && tunnelState(tunnel, session.state.snapshot);
  };

  /** Gives those of the ids that are held, and not the user’s. */
  const take = (ids: readonly string[], tunnels: readonly NewTunnel[], heldBy: Holder): ReadonlyMap<string, Held> => {
    const before = new Map(ids.map((id) => [id, find(id)]));
    const lent = tunnels.map((tunnel) => ({ ...tunnel, heldBy }));
    const { wanted, started } = startTunnels(session.state, lent);
    if (started.length > 0) session.update(() => wanted);
    const owned = new Map<string, Held>();
    for (const id of ids) {
      const known = held.get(id);
      const listed = before.get(id);
      const isOurs = known !== undefined && listed?.run === known.run;
      // What runs, or failed while it was wanted, is the user’s.
      if (!isOurs && listed && (isWanted(listed) || listed.wish === 'lost')) continue;
      const { run } = find(id)!;
      // One that has gone and come again is another's: an older hold has nothing to do with it.
      const own = isOurs ? known : { count: 0, run };
      own.count++;
      own.run = run;
      held.set(id, own);
      owned.set(id, own);
    }
    return owned;
  };

  const letGo = (owned: ReadonlyMap<string, Held>): void => {
    const over = [...owned].flatMap(([id, known]) => {
      if (held.get(id) !== known) return [];
      known.count--;
      if (known.count > 0) return [];
      held.delete(id);
      const tunnel = find(id);
      return tunnel?.run === known.run ? [tunnel] : [];
    });
    const lent = over.filter(({ lentTo }) => lentTo).map(({ id }) => id);
    const added = over.filter(({ heldBy }) => heldBy).map(({ id }) => id);
    if (lent.length === 0 && added.length === 0) return;
    session.update((wanted) => removeTunnels(stopTunnels(wanted, lent), added));
  };

  return {
    hold(tunnels, heldBy) {
      const ids = [...new Set(tunnels.map(tunnelId))];
      const old = new Map(ids.map((id) => [id, failureOf(stateOf(id))]));
      const owned = take(ids, tunnels, heldBy);
      let end = (): void => {};
      const ready = new Promise<void>((resolve, reject) => {
        const look = (): boolean => {
          const states = ids.map((id) => ({ id, state: stateOf(id) }));
          const gone = states.some(({ state }) => !state || state.kind === 'stopped');
          // One that failed as it had before has not heard of its start yet.
          const failure = states.map(({ id, state }) =>
            old.get(id) === failureOf(state) ? undefined : failureOf(state),
          );
          const first = failure.find((one) => one !== undefined);
          if (first || gone) reject(new FailureError(first ?? { kind: 'cancelled' }));
          else if (states.every(({ state }) => state?.kind === 'ready')) resolve();
          else return false;
          return true;
        };
        if (look()) return;
        const stop = session.onChange(() => {
          if (look()) stop();
        });
        end = () => {
          stop();
          reject(new FailureError({ kind: 'cancelled' }));
        };
      });
      // Who lets go may not wait for it.
      ready.catch(() => {});
      let isHeld = true;
      return {
        tunnels: ids,
        ready,
        release() {
          if (!isHeld) return;
          isHeld = false;
          end();
          letGo(owned);
        },
        keep() {
          if (!isHeld) return;
          isHeld = false;
          end();
          for (const [id, own] of owned) if (held.get(id) === own) held.delete(id);
          const listed = tunnels.filter((tunnel) => find(tunnelId(tunnel)));
          session.update(() => startTunnels(session.state, listed).wanted);
        },
      };
    },
  };
}

function failureOf(state: TunnelState | undefined): Failure | undefined {
  return state?.kind === 'failed' ? state.failure : undefined;
}
