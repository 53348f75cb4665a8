// A whole ssh command, pasted: what it opens, and what of it has no effect here.
import * as vscode from 'vscode';
import { printDestination, printOptions, type Destination } from '../core/destination.js';
import type { Failure } from '../core/failure.js';
import { machineName } from '../core/machine.js';
import type { NewTunnel } from '../core/session.js';
import { parseSshCommand, type SshCommand, type SshCommandResult } from '../core/sshCommand.js';
import { t } from '../core/translate.js';
import {
  accessText,
  askedAccess,
  commandProblem,
  destinationProblem,
  effectText,
  failureText,
  specProblem,
  listOf,
} from '../core/wording.js';
import { createPastedText } from './pastedText.js';

/** Whether a text is meant to be a command, and not a host or a forward. */
export function isSshCommand(text: string): boolean {
  return /(^|[\s/\\"])(auto)?ssh(\.exe)?"?\s/i.test(text);
}

export function readSshCommand(text: string): SshCommandResult {
  return parseSshCommand(text, process.env);
}

/** What a forward will do and who can connect. */
export function effectOf({ destination, spec }: NewTunnel): { effect: string; access: string; isOpen: boolean } {
  const { host } = destination;
  const access = askedAccess(spec);
  const who = accessText(access, spec.kind === 'remote' ? host : machineName(), spec.listen.kind);
  return {
    effect: effectText(spec, host),
    access: capitalized(t('{who} can connect', { who })),
    isOpen: access === 'network',
  };
}

/** What is wrong and where, without the text itself: that is on the screen, and may be long. */
export function problemText(failure: Failure): string {
  switch (failure.kind) {
    case 'badSpec':
      return placed(specProblem(failure.problem), failure);
    case 'badDestination':
      return placed(destinationProblem(failure.problem), failure);
    case 'badCommand':
      return placed(commandProblem(failure.problem), failure);
    default:
      return failureText(failure);
  }
}

function placed(problem: string, { text, at }: { text: string; at: number }): string {
  return capitalized(
    at < text.length
      ? t('{problem}, at character {at}.', { problem, at: at + 1 })
      : t('{problem}, at the end.', { problem }),
  );
}

function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** `Open 2 tunnels through machine (-J bastion)`, or where to when there is no forward. */
export function commandTitle({ tunnels, destination }: SshCommand): string {
  if (tunnels.length === 0) return t('Connect to {host}', { host: hostText(destination) });
  const hosts = [...new Set(tunnels.map((tunnel) => hostText(tunnel.destination)))];
  const through = listOf(hosts);
  return tunnels.length === 1
    ? t('Open a tunnel through {hosts}', { hosts: through })
    : t('Open {count} tunnels through {hosts}', { count: tunnels.length, hosts: through });
}

function hostText({ options = [], ...address }: Destination): string {
  return printDestination(address) + (options.length > 0 ? ` (${printOptions(options).join(' ')})` : '');
}

/** What is otherwise than it is written. */
export function commandNotes({ ignored, notes }: SshCommand, linesNote?: string): string[] {
  return [
    ...(linesNote === undefined ? [] : [linesNote]),
    ...(ignored.length > 0 ? [t('Ignored: {ignored}', { ignored: ignored.join(', ') })] : []),
    ...notes,
  ];
}

/** Asks for a command; undefined when it was closed. */
export function askSshCommand(title = t('New Tunnel from ssh Command')): Promise<SshCommand | undefined> {
  const pick = vscode.window.createQuickPick();
  const show = () => {
    const read = readSshCommand(pasted.of(pick.value));
    pick.items = pick.value.trim() === '' ? [] : commandItems(read, pasted.note(pick.value));
  };
  const pasted = createPastedText(show);
  pick.title = title;
  pick.placeholder = t('Paste it: ssh -N -L 5000:db:5432 user@machine');
  pick.ignoreFocusOut = true;
  return new Promise((resolve) => {
    pick.onDidChangeValue((value) => {
      void pasted.look(value);
      show();
    });
    pick.onDidAccept(async () => {
      // Enter may come before it is known what was pasted.
      await pasted.look(pick.value);
      const read = readSshCommand(pasted.of(pick.value));
      if (!read.ok) return;
      resolve(read);
      pick.hide();
    });
    pick.onDidHide(() => {
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
  });
}

/** What it comes to, for reading: Enter means all of it, whichever row is selected. */
export function commandItems(read: SshCommandResult, linesNote?: string): vscode.QuickPickItem[] {
  const item = (icon: string | undefined, label: string, detail?: string): vscode.QuickPickItem => ({
    label,
    ...(detail !== undefined && { detail }),
    ...(icon !== undefined && { iconPath: new vscode.ThemeIcon(icon) }),
    alwaysShow: true,
  });
  if (!read.ok) return [item('error', problemText(read.failure))];
  const { tunnels } = read;
  return [
    item('arrow-right', commandTitle(read)),
    ...tunnels.map((tunnel) => {
      const { effect, access, isOpen } = effectOf(tunnel);
      return item(isOpen ? 'broadcast' : undefined, effect, `${access}.`);
    }),
    ...commandNotes(read, linesNote).map((note) => item('info', note)),
  ];
}
