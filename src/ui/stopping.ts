// Stopping and removing tunnels: at once, or, where somebody is connected through them, as the user says.
import * as vscode from 'vscode';
import type { Engine } from '../core/engine.js';
import { isWanted } from '../core/plan.js';
import { tunnelName } from '../core/present.js';
import { stopPrompt } from '../core/prompt.js';
import { removeTunnels, stopTunnels, type Session, type Tunnel } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';
import type { Turns } from '../core/turns.js';

/** What becomes of open connections: they may finish, or are cut. */
export type How = 'drain' | 'stop';

export interface Stopping extends vscode.Disposable {
  /** Stops tunnels; one that was stopped in peace before is cut. Asks unless told `how`; does nothing when not answered. */
  stop(tunnels: readonly Tunnel[], how?: How): Promise<void>;
  /** Takes tunnels off the list: those whose connections may finish when the last has. */
  remove(tunnels: readonly Tunnel[], how?: How): Promise<void>;
}

export function createStopping(session: Session, clients: Engine['clients'], turns: Turns): Stopping {
  /** To be removed when they have drained. */
  const leaving = new Set<string>();

  /** The running ones that are in use, and what shall become of them; undefined: the user leaves all as it is. */
  const ask = async (
    tunnels: readonly Tunnel[],
    how: How | undefined,
  ): Promise<{ how: How; inUse: readonly string[] } | undefined> => {
    const counted = await Promise.all(
      tunnels.filter(isWanted).map(async (tunnel) => ({ tunnel, count: (await clients(tunnel.id)).length })),
    );
    const inUse = counted.filter(({ count }) => count > 0);
    const ids = inUse.map(({ tunnel }) => tunnel.id);
    if (how || inUse.length === 0) return { how: how ?? 'stop', inUse: ids };
    const { title, detail, choices } = stopPrompt(
      inUse.map(({ tunnel }) => tunnelName(tunnel, tunnelState(tunnel, session.state.snapshot))),
      inUse.reduce((sum, { count }) => sum + count, 0),
    );
    const items = choices.map((choice) => ({ ...choice, iconPath: new vscode.ThemeIcon(icons[choice.how]) }));
    const options = { title, placeHolder: detail, ignoreFocusOut: true };
    const picked = await turns.take(() => vscode.window.showQuickPick(items, options));
    return picked && { how: picked.how, inUse: ids };
  };

  const forget = session.onChange(({ wanted }) => {
    if (leaving.size === 0) return;
    const gone = wanted.tunnels.filter(({ id, wish }) => leaving.has(id) && wish === 'stop').map(idOf);
    // One that was started again stays.
    for (const id of leaving)
      if (wanted.tunnels.find((tunnel) => tunnel.id === id)?.wish !== 'drain') leaving.delete(id);
    if (gone.length > 0) session.update((now) => removeTunnels(now, gone));
  });
  return {
    async stop(tunnels, given) {
      const answer = await ask(tunnels, given);
      if (!answer) return;
      const { how, inUse } = answer;
      // Those that finish already go on when the others shall finish, too.
      const others = tunnels.filter(({ id, wish }) => !inUse.includes(id) && !(how === 'drain' && wish === 'drain'));
      session.update((wanted) => stopTunnels(stopTunnels(wanted, others.map(idOf)), inUse, how));
    },
    async remove(tunnels, given) {
      const answer = await ask(tunnels, given);
      if (!answer) return;
      const drained = answer.how === 'drain' ? answer.inUse : [];
      for (const id of drained) leaving.add(id);
      const others = tunnels.map(idOf).filter((id) => !drained.includes(id));
      session.update((wanted) => stopTunnels(removeTunnels(wanted, others), drained, 'drain'));
    },
    dispose: forget,
  };
}

/** As a keybinding or a task says it beside the row: `{ "kind": "connection", "id": "web01", "how": "drain" }`. */
export function readHow(given: unknown): How | undefined {
  const how = (given as { how?: unknown } | null | undefined)?.how;
  return how === 'drain' || how === 'stop' ? how : undefined;
}

const icons = { drain: 'clock', stop: 'debug-disconnect' } as const;

function idOf({ id }: Tunnel): string {
  return id;
}
