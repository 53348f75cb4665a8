// Tunnels that ran come back after a reload of the window, or a crash of the extension host.
import * as vscode from 'vscode';
import {
  decideComeback,
  listTunnels,
  readTunnels,
  restoreQuestion,
  startAgain,
  stillStopped,
  stillWaiting,
  storeTunnels,
  type Kept,
  type Run,
} from '../core/restore.js';
import type { Session } from '../core/session.js';
import { t } from '../core/translate.js';
import { settings } from './contributions.js';
import type { Log } from './log.js';
import type { Messages } from './messages.js';
import type { Notifications } from './notifications.js';
import type { Presets } from './presets.js';
import { restoresTunnels } from './settings.js';

export interface Restoring {
  /** Puts the list of the window before on this one's; starts or offers to start what ran. Resolves when that is answered. */
  restore(): Promise<void>;
  /** Keeps the list as it is now: what ends with the window is to come back. */
  close(): Promise<void>;
}

/** In workspaceState. */
export const tunnelsKey = 'tunnels';

/** A list that changes often is written as often as this, in ms; the first change at once. */
const settleMs = 200;

/** The list is kept from the first change on, so `restore` comes before any. */
export function createRestoring(
  context: vscode.ExtensionContext,
  session: Session,
  presets: Pick<Presets, 'allowed'>,
  notifications: Notifications,
  messages: Messages,
  log: Log,
): Restoring {
  /** Nobody has said yet whether they are to run again. */
  let unanswered: ReadonlyMap<string, Run> = new Map();
  /** Nothing allows them now. */
  let waiting: readonly Kept[] = [];
  let { wanted } = session.state;
  let written = JSON.stringify(context.workspaceState.get(tunnelsKey));
  let timer: NodeJS.Timeout | undefined;
  let isLate = false;

  const write = async (): Promise<void> => {
    const stored = storeTunnels(session.state.wanted, unanswered, waiting);
    const text = JSON.stringify(stored);
    if (text === written) return;
    written = text;
    try {
      await context.workspaceState.update(tunnelsKey, stored);
    } catch (error) {
      log.warn(`The list of tunnels is not kept for the next window: ${error instanceof Error ? error.message : String(error)}`); // prettier-ignore
    }
  };
  const writeSoon = () => {
    if (timer) return void (isLate = true);
    void write();
    timer = setTimeout(() => {
      timer = undefined;
      if (!isLate) return;
      isLate = false;
      writeSoon();
    }, settleMs);
  };
  const stop = session.onChange((state) => {
    if (state.wanted === wanted) return;
    wanted = state.wanted;
    unanswered = stillStopped(wanted, unanswered);
    waiting = stillWaiting(wanted, waiting);
    writeSoon();
  });

  const start = (ran: ReadonlyMap<string, Run>, automatic: boolean) => {
    const { wanted, started } = startAgain(session.state, ran, automatic);
    if (started.length === 0) return;
    if (!automatic) notifications.expect(started);
    session.update(() => wanted);
  };
  const setTo = async (value: 'always' | 'never') => {
    try {
      await vscode.workspace
        .getConfiguration()
        .update(settings.restoreTunnels, value, vscode.ConfigurationTarget.Global);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      void messages.show(
        'error',
        t('The setting {restoreTunnels} was not changed: {reason}', {
          restoreTunnels: settings.restoreTunnels,
          reason,
        }),
      );
    }
  };
  const ask = async (ran: ReadonlyMap<string, Run>): Promise<void> => {
    const tunnels = session.state.wanted.tunnels.filter(({ id }) => ran.has(id));
    const [again, always, never] = [t('Start'), t('Always'), t('Never')];
    const pressed = await messages.show('information', restoreQuestion(tunnels), again, always, never);
    // An old question is about those that nobody has started, stopped or removed since.
    const due = new Map([...unanswered].filter(([id]) => ran.has(id)));
    unanswered = new Map([...unanswered].filter(([id]) => !ran.has(id)));
    if (pressed === never) waiting = [];
    if (pressed === again || pressed === always) start(due, false);
    writeSoon();
    if (pressed === always) await setTo('always');
    if (pressed === never) await setTo('never');
  };

  /** From here on what is listed counts as stopped, but for those that are to be asked about. */
  const bringBack = async (tunnels: readonly Kept[]): Promise<void> => {
    const comeback = decideComeback(tunnels, presets.allowed());
    const { listed, ran } = comeback;
    const answer = restoresTunnels();
    waiting = answer === 'never' ? [] : comeback.waiting;
    for (const { id } of comeback.waiting)
      log.info(`${id}: does not come back now, since no preset of this workspace may start it`);
    if (answer !== 'never') unanswered = new Map([...unanswered, ...ran]);
    if (listed.length > 0) session.update((wanted) => listTunnels(wanted, listed));
    if (answer === 'never') return writeSoon();
    if (ran.size === 0) return;
    return answer === 'always' ? start(ran, true) : ask(ran);
  };
  // Before the presets start that do so by themselves.
  const trusted = vscode.workspace.onDidGrantWorkspaceTrust(() => void bringBack(waiting));

  return {
    restore() {
      const { tunnels, problems } = readTunnels(context.workspaceState.get(tunnelsKey));
      for (const problem of problems) log.warn(problem);
      return bringBack(tunnels);
    },
    async close() {
      stop();
      trusted.dispose();
      clearTimeout(timer);
      await write();
    },
  };
}
