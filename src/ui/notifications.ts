import * as vscode from 'vscode';
import {
  decideNotices,
  isShown,
  nothingWatched,
  severityOf,
  type Notice,
  type NoticeLevel,
  type Remedy,
  type Watched,
} from '../core/notice.js';
import { isWanted } from '../core/plan.js';
import { browserUrl, clientAddress } from '../core/present.js';
import { tunnelState } from '../core/snapshot.js';
import type { Session, SessionState } from '../core/session.js';
import { t } from '../core/translate.js';
import { commands } from './contributions.js';
import type { Messages } from './messages.js';

export interface Notifications extends vscode.Disposable {
  /** Tells what becomes of these tunnels: the user has just asked for them. */
  expect(tunnels: readonly string[]): void;
}

interface Button {
  label: string;
  press(): Thenable<unknown>;
}

/** `level`: what of it appears, as the settings have it at the moment. */
export function createNotifications(session: Session, messages: Messages, level: () => NoticeLevel): Notifications {
  let watched: Watched = nothingWatched;
  let before = session.state;

  const run = (label: string, command: string, ...args: unknown[]): Button => ({
    label,
    press: () => vscode.commands.executeCommand(command, ...args),
  });
  const rowsOf = (tunnels: readonly string[]) => tunnels.map((id) => ({ kind: 'forward', id }));

  const buttons = (notice: Notice): Button[] => {
    const remedies = notice.remedies.map(remedyButton);
    const rows = rowsOf(notice.tunnels);
    const [row] = rows;
    const tunnel = session.state.wanted.tunnels.find(({ id }) => id === row?.id);
    const isOne = rows.length === 1 && tunnel !== undefined;
    switch (notice.kind) {
      case 'ready': {
        const address = isOne ? clientAddress(tunnel, tunnelState(tunnel, session.state.snapshot)) : undefined;
        if (!tunnel || address === undefined) return remedies;
        const copy = run(t('Copy Address'), commands.copyAddress, row);
        const open = run(t('Open in Browser'), commands.openInBrowser, row);
        return [...remedies, ...(browserUrl(tunnel, address) ? [open] : []), copy];
      }
      case 'restarted':
        return remedies;
      case 'failed': {
        const isAnswer = notice.remedies.some(({ kind }) => kind === 'answer');
        if (isAnswer) return remedies;
        const isReport = notice.remedies.some(({ kind }) => kind === 'report');
        const edit = isOne ? [run(t('Edit'), commands.edit, row)] : [];
        const retry = run(t('Retry'), commands.start, row, rows);
        const log = run(t('Show Log'), commands.showLog);
        if (isReport) return [log, ...remedies, retry];
        return remedies.length > 0 ? [...remedies, ...edit, retry] : [log, ...edit, retry];
      }
    }
  };

  /** A notification may be pressed long after it came. */
  const isStillWanted = (id: string) =>
    session.state.wanted.tunnels.some((tunnel) => tunnel.id === id && isWanted(tunnel));

  const remedyButton = (remedy: Remedy): Button => {
    const rows = rowsOf(remedy.tunnels);
    switch (remedy.kind) {
      case 'nextFree':
        return run(t('Use Next Free Port'), commands.startOnFreePort, rows[0], rows);
      case 'answer':
        return run(t('Answer…'), commands.start, rows[0], rows);
      case 'report':
        return run(t('Copy Diagnostics'), commands.copyDiagnostics);
      case 'stop':
        return {
          label: t('Stop'),
          press: async () => {
            const still = rowsOf(remedy.tunnels.filter(isStillWanted));
            if (still.length > 0) await vscode.commands.executeCommand(commands.stop, still[0], still);
          },
        };
      case 'stopOther':
        return {
          label: t('Stop “{name}”', { name: remedy.name }),
          press: async () => {
            // One that finishes by now has given its port back: another stop would cut its clients.
            if (isStillWanted(remedy.tunnel))
              await vscode.commands.executeCommand(commands.stop, { kind: 'forward', id: remedy.tunnel });
            // The user may have left it running when asked about its connections.
            if (await isGone(remedy.tunnel)) await vscode.commands.executeCommand(commands.restart, rows[0], rows);
          },
        };
    }
  };

  /** Resolves when a tunnel listens no more, with false when it is wanted again or still. */
  const isGone = (id: string): Promise<boolean> =>
    new Promise((resolve) => {
      const look = ({ wanted, snapshot }: SessionState) => {
        const tunnel = wanted.tunnels.find((other) => other.id === id);
        const goesOn = tunnel !== undefined && isWanted(tunnel);
        if (!goesOn && snapshot.forwards[id]) return;
        stopLooking();
        resolve(!goesOn);
      };
      const stopLooking = session.onChange((state) => look(state));
      look(session.state);
    });

  const show = async (notice: Notice): Promise<void> => {
    const severity = severityOf(notice);
    const offered = buttons(notice).slice(0, 3);
    const pressed = await messages.show(severity, notice.text, ...offered.map(({ label }) => label));
    await offered.find(({ label }) => label === pressed)?.press();
  };

  const stop = session.onChange((state, event) => {
    const { notices, ...next } = decideNotices(before, state, watched, event);
    before = state;
    watched = next;
    for (const notice of notices) if (isShown(notice, level())) void show(notice);
  });
  return {
    expect(tunnels) {
      watched = { ...watched, asked: new Set([...watched.asked, ...tunnels]) };
    },
    dispose: stop,
  };
}
