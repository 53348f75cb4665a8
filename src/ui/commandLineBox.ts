// SSH Command Line: forwards are added to a connection and cancelled as with ~C in ssh.
import * as vscode from 'vscode';
import {
  cancelLine,
  controlLineHelp,
  findCancelled,
  parseControlLine,
  type ListeningForward,
} from '../core/controlLine.js';
import type { Failure } from '../core/failure.js';
import { connectionOf, isWanted } from '../core/plan.js';
import { tunnelName } from '../core/present.js';
import type { NewTunnel, SessionState, Tunnel } from '../core/session.js';
import { tunnelsOf } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';
import { t } from '../core/translate.js';
import { effectOf, problemText } from './sshCommandBox.js';

/** What a line means for a connection. */
export type LineMeaning =
  | { kind: 'add'; tunnel: NewTunnel }
  | { kind: 'cancel'; tunnels: readonly Tunnel[]; name: string }
  | { kind: 'help' | 'empty' }
  | { kind: 'refused'; failure: Failure };

/** Reads a line for the connection of a tunnel. */
export function readLine(line: string, { destination }: Pick<Tunnel, 'destination'>, state: SessionState): LineMeaning {
  const read = parseControlLine(line, process.env);
  switch (read.kind) {
    case 'add':
      return { kind: 'add', tunnel: { destination, spec: read.spec } };
    case 'cancel': {
      const found = findCancelled(runningForwards(connectionOf({ destination }), state), read);
      if (!found.ok) return { kind: 'refused', failure: found.failure };
      const tunnels = found.forwards.map(({ tunnel }) => tunnel);
      return { kind: 'cancel', tunnels, name: found.forwards.map(({ name }) => name).join(', ') };
    }
    default:
      return read;
  }
}

interface RunningForward extends ListeningForward {
  tunnel: Tunnel;
  name: string;
}

function runningForwards(connection: string, { wanted, snapshot }: SessionState): RunningForward[] {
  return tunnelsOf(wanted, connection)
    .filter(isWanted)
    .map((tunnel) => {
      const state = tunnelState(tunnel, snapshot);
      const [bound] = state.kind === 'ready' ? state.bound : [];
      const name = tunnelName(tunnel, state);
      return { tunnel, name, spec: tunnel.spec, ...(bound?.kind === 'tcp' && { port: bound.port }) };
    });
}

type LineMeant = LineMeaning & { kind: 'add' | 'cancel' };
/** `line` is put into the input when it is picked; `meaning` is what Enter does. */
type LineItem = vscode.QuickPickItem & { line?: string; meaning?: LineMeaning };

/** Asks for a line; undefined when it was closed. `state` gives what runs now. */
export function askLine(tunnel: Tunnel, state: () => SessionState, typed = ''): Promise<LineMeant | undefined> {
  const pick = vscode.window.createQuickPick<LineItem>();
  const show = () => {
    pick.items = lineItems(pick.value, tunnel, state());
  };
  pick.title = t('SSH Command Line: {connectionOf}', { connectionOf: connectionOf(tunnel) });
  pick.placeholder = t('-L 5432:db:5432, -KL 5432 or ? for help');
  pick.ignoreFocusOut = true;
  pick.value = typed;
  show();
  return new Promise((resolve) => {
    pick.onDidChangeValue(show);
    pick.onDidAccept(() => {
      const line = pick.selectedItems[0]?.line;
      const meaning = readLine(pick.value, tunnel, state());
      // A row that completes what is typed is not run at once: it may cancel something.
      if (line !== undefined && line !== pick.value) pick.value = line;
      else if (meaning.kind === 'help') pick.value = '';
      else if (meaning.kind === 'add' || meaning.kind === 'cancel') {
        resolve(meaning);
        pick.hide();
      }
      show();
    });
    pick.onDidHide(() => {
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
  });
}

function lineItems(typed: string, tunnel: Tunnel, state: SessionState): LineItem[] {
  const meaning = readLine(typed, tunnel, state);
  const line = typed.trim();
  const item = (icon: string, label: string, rest: Partial<LineItem>): LineItem => ({
    label,
    iconPath: new vscode.ThemeIcon(icon),
    alwaysShow: true,
    ...rest,
  });
  const cancels = runningForwards(connectionOf(tunnel), state).map((forward) =>
    item('circle-slash', cancelLine(forward), { line: cancelLine(forward), description: forward.name }),
  );
  switch (meaning.kind) {
    case 'add': {
      const { effect, access, isOpen } = effectOf(meaning.tunnel);
      return [item(isOpen ? 'broadcast' : 'add', line, { description: access, detail: effect })];
    }
    case 'cancel':
      return [
        item('circle-slash', line, {
          detail: t('Cancels {name}. Connections that are open may finish.', { name: meaning.name }),
        }),
      ];
    case 'refused': {
      // What is only the beginning of a line is no mistake yet.
      const dashed = line.replace(/^-?(?=[KLRD])/, '-');
      const begun = [cancels, helpItems(item)].map((all) => all.filter(({ label }) => label.startsWith(dashed)));
      return begun.find((items) => items.length > 0) ?? [item('error', problemText(meaning.failure), {})];
    }
    case 'help':
      return [item('question', line, { description: t('What can be typed here') }), ...helpItems(item), ...cancels];
    case 'empty':
      return [
        ...helpItems(item),
        ...(cancels.length > 0 ? [{ label: t('Cancel a forward'), kind: vscode.QuickPickItemKind.Separator }] : []),
        ...cancels,
      ];
  }
}

function helpItems(item: (icon: string, label: string, rest: Partial<LineItem>) => LineItem): LineItem[] {
  return controlLineHelp()
    .split('\n')
    .flatMap((text) => {
      const [syntax = '', meaning] = text.split(/ {2,}/);
      if (meaning === undefined) return [item('info', text, {})];
      return [item('blank', syntax, { line: `${syntax.split(' ')[0]} `, description: meaning })];
    });
}
