// Stopping and removing tunnels: at once, or, where somebody is connected through them, as the user says.
import * as vscode from 'vscode';
import type { Engine } from '../core/engine.js';
import { isPlanned, isWanted } from '../core/plan.js';
import { tunnelName } from '../core/present.js';
import { stopPrompt } from '../core/prompt.js';
import { removeTunnels, stopTunnels, type Session, type Tunnel } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';
import type { Turns } from '../core/turns.js';

/** What becomes of open connections: they may finish, or are cut. */
export type How = 'drain' | 'stop';

export interface Stopping extends vscode.Disposable {
  /** Stops tunnels; a single one that was stopped in peace before is cut. Asks unless told `how`; does nothing when not answered. */
  stop(tunnels: readonly Tunnel[], how?: How): Promise<void>;
  /** Takes tunnels off the list: those whose connections may finish when the last has. False: not answered, and nothing done. */
  remove(tunnels: readonly Tunnel[], how?: How): Promise<boolean>;
}

export function createStopping(session: Session, clients: Engine['clients'], turns: Turns): Stopping {
  /** To be removed when they have drained. */
  const leaving = new Set<string>();

  /** As they are now, each once: what was picked may be old. */
  const current = (tunnels: readonly Tunnel[]) =>
    session.state.wanted.tunnels.filter(({ id }) => tunnels.some((tunnel) => tunnel.id === id));

  /** What shall become of connections that are open; undefined: the user leaves all as it is. */
  const ask = async (
    tunnels: readonly Tunnel[],
    isAbout: (tunnel: Tunnel) => boolean,
  ): Promise<How | 'idle' | undefined> => {
    const counted = await Promise.all(
      tunnels.filter(isPlanned).map(async (tunnel) => ({ tunnel, count: (await clients(tunnel.id)).length })),
    );
    const inUse = counted.filter(({ count }) => count > 0);
    if (!inUse.some(({ tunnel }) => isAbout(tunnel))) return 'idle';
    const { title, detail, choices } = stopPrompt(
      inUse.map(({ tunnel }) => tunnelName(tunnel, tunnelState(tunnel, session.state.snapshot))),
      inUse.reduce((sum, { count }) => sum + count, 0),
    );
    const items = choices.map((choice) => ({ ...choice, iconPath: new vscode.ThemeIcon(icons[choice.how]) }));
    const options = { title, placeHolder: detail, ignoreFocusOut: true };
    const picked = await turns.take(() => vscode.window.showQuickPick(items, options));
    return picked?.how;
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
      const [first, ...others] = current(tunnels);
      const isSecondStop = first?.wish === 'drain' && others.length === 0;
      const how = given ?? (isSecondStop ? 'stop' : await ask(current(tunnels), isPlanned));
      if (!how) return;
      // All of them in peace: one that nobody used may have got a client while the question was open.
      session.update((wanted) => stopTunnels(wanted, tunnels.map(idOf), how === 'drain' ? 'drain' : 'stop'));
    },
    async remove(tunnels, given) {
      const how = given ?? (await ask(current(tunnels), isWanted));
      if (!how) return false;
      const finishes = { drain: isPlanned, idle: ({ wish }: Tunnel) => wish === 'drain', stop: () => false }[how];
      const drained = current(tunnels).filter(finishes).map(idOf);
      for (const id of drained) leaving.add(id);
      const others = tunnels.map(idOf).filter((id) => !drained.includes(id));
      session.update((wanted) => stopTunnels(removeTunnels(wanted, others), drained, 'drain'));
      return true;
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
