import * as vscode from 'vscode';
import { decideNotices, type Notice } from '../core/notice.js';
import { browserUrl, clientAddress } from '../core/present.js';
import { tunnelState } from '../core/snapshot.js';
import type { Session } from '../core/session.js';
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

export function createNotifications(session: Session, messages: Messages): Notifications {
  let asked: ReadonlySet<string> = new Set();
  let before = session.state;

  const buttons = ({ kind, tunnels }: Notice): Button[] => {
    const rows = tunnels.map((id) => ({ kind: 'forward', id }));
    const [row] = rows;
    const run = (label: string, command: string, ...args: unknown[]): Button => ({
      label,
      press: () => vscode.commands.executeCommand(command, ...args),
    });
    const tunnel = session.state.wanted.tunnels.find(({ id }) => id === row?.id);
    const isOne = rows.length === 1 && tunnel !== undefined;
    switch (kind) {
      case 'ready': {
        const address = isOne ? clientAddress(tunnel, tunnelState(tunnel, session.state.snapshot)) : undefined;
        if (!tunnel || address === undefined) return [];
        const copy = run('Copy Address', commands.copyAddress, row);
        return browserUrl(tunnel, address) ? [run('Open in Browser', commands.openInBrowser, row), copy] : [copy];
      }
      case 'failed':
        return [
          run('Show Log', commands.showLog),
          ...(isOne ? [run('Edit', commands.edit, row)] : []),
          run('Retry', commands.start, row, rows),
        ];
    }
  };

  const show = async (notice: Notice): Promise<void> => {
    const severity = notice.kind === 'failed' ? 'error' : notice.partly ? 'warning' : 'information';
    const offered = buttons(notice);
    const pressed = await messages.show(severity, notice.text, ...offered.map(({ label }) => label));
    await offered.find(({ label }) => label === pressed)?.press();
  };

  const stop = session.onChange((state) => {
    const decided = decideNotices(before, state, asked);
    before = state;
    asked = decided.asked;
    for (const notice of decided.notices) void show(notice);
  });
  return {
    expect(tunnels) {
      asked = new Set([...asked, ...tunnels]);
    },
    dispose: stop,
  };
}
