import * as vscode from 'vscode';
import { parseDestination, printDestination, type Destination } from '../core/destination.js';
import type { Failure } from '../core/failure.js';
import { parseAnswer, type ForwardSpec } from '../core/forwardSpec.js';
import type { NewTunnel } from '../core/session.js';
import { effectText, failureText } from '../core/wording.js';
import { withoutLinks } from './messages.js';

/** What is typed into the two steps. */
export interface WizardAnswers {
  host: string;
  forward: string;
}

export interface WizardHosts {
  /** Hosts of ssh_config. */
  configured(): Promise<readonly string[]>;
  /** Those used last, the latest first. */
  recent(): readonly string[];
}

const title = 'Forward Port';
const back = Symbol('back');
type Step<T> = T | typeof back | undefined;

/**
 * Asks for a host, then for what to forward; undefined when it was closed before its end. What is typed stands in
 * `answers` at once, so that one that was interrupted can go on. With a destination it begins at the second step.
 */
export async function askForward(
  hosts: WizardHosts,
  answers: WizardAnswers,
  given?: Destination,
): Promise<NewTunnel | undefined> {
  let destination = given;
  for (;;) {
    destination ??= await askHost(hosts, answers);
    if (!destination) return undefined;
    const spec = await askSpec(destination, answers);
    if (spec === undefined) return undefined;
    if (spec !== back) return { destination, spec };
    destination = undefined;
  }
}

/** Reads what a keybinding or a task gives instead of the two steps. */
export function readForward(answers: WizardAnswers): { ok: true; tunnel: NewTunnel } | { ok: false; failure: Failure } {
  const host = parseDestination(answers.host);
  if (!host.ok) return host;
  const forward = parseAnswer(answers.forward);
  return forward.ok ? { ok: true, tunnel: { destination: host.destination, spec: forward.spec } } : forward;
}

type HostItem = vscode.QuickPickItem & { destination?: Destination };

function askHost(hosts: WizardHosts, answers: WizardAnswers): Promise<Destination | undefined> {
  const pick = vscode.window.createQuickPick<HostItem>();
  let configured: readonly string[] = [];
  const show = () => {
    const known = hostItems(configured, hosts.recent());
    const typed = typedItem(pick.value, known);
    const separator = { label: 'As typed', kind: vscode.QuickPickItemKind.Separator };
    // Who writes a user or a port means just that; a bare name may be the beginning of one in the list.
    if (typed && /[@:]/.test(pick.value)) pick.items = [typed, ...known];
    else pick.items = typed ? [...known, separator, typed] : known;
  };
  pick.title = title;
  pick.step = 1;
  pick.totalSteps = 2;
  pick.placeholder = 'Host to connect to: pick one, or type user@host:port';
  pick.ignoreFocusOut = true;
  pick.value = answers.host;
  pick.busy = true;
  show();
  void hosts.configured().then(
    (found) => {
      configured = found;
      pick.busy = false;
      show();
    },
    () => (pick.busy = false),
  );
  return new Promise((resolve) => {
    pick.onDidChangeValue((value) => {
      answers.host = value;
      show();
    });
    pick.onDidAccept(() => {
      const [picked] = pick.selectedItems;
      // Enter may come before the list has followed what was typed: then that counts, and not the row of before.
      const destination = picked && isMatch(pick.value, picked.label) ? picked.destination : readHost(pick.value);
      if (!destination) return;
      answers.host = printDestination(destination);
      resolve(destination);
      pick.hide();
    });
    pick.onDidHide(() => {
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
  });
}

function hostItems(configured: readonly string[], recent: readonly string[]): HostItem[] {
  const group = (label: string, icon: string, names: readonly string[]): HostItem[] => {
    const items = names.flatMap((name) => {
      const read = parseDestination(name);
      const iconPath = new vscode.ThemeIcon(icon);
      return read.ok ? [{ label: name, iconPath, destination: read.destination }] : [];
    });
    return items.length > 0 ? [{ label, kind: vscode.QuickPickItemKind.Separator }, ...items] : [];
  };
  return [
    ...group(
      'Recent',
      'history',
      recent.filter((name) => !configured.includes(name)),
    ),
    ...group('From ssh_config', 'server', configured),
  ];
}

/** Whether a row can be in the list for what is typed: its letters are in the label, in their order. */
function isMatch(typed: string, label: string): boolean {
  let at = 0;
  return [...typed.toLowerCase().replace(/\s/g, '')].every((letter) => {
    at = label.toLowerCase().indexOf(letter, at) + 1;
    return at > 0;
  });
}

function readHost(text: string): Destination | undefined {
  const result = parseDestination(text);
  return result.ok ? result.destination : undefined;
}

/** An item for what is typed, if it is not in the list: with a destination when it is one, else with what is wrong. */
function typedItem(value: string, known: readonly HostItem[]): HostItem | undefined {
  if (value.trim() === '') return undefined;
  const result = parseDestination(value);
  if (!result.ok)
    return { label: failureText(result.failure), iconPath: new vscode.ThemeIcon('error'), alwaysShow: true };
  const name = printDestination(result.destination);
  if (known.some(({ destination }) => destination && printDestination(destination) === name)) return undefined;
  return {
    label: `Connect to ${name}`,
    iconPath: new vscode.ThemeIcon('arrow-right'),
    destination: result.destination,
    alwaysShow: true,
  };
}

function askSpec(destination: Destination, answers: WizardAnswers): Promise<Step<ForwardSpec>> {
  const host = printDestination(destination);
  const input = vscode.window.createInputBox();
  const check = () => {
    answers.forward = input.value;
    input.validationMessage = input.value.trim() === '' ? undefined : verdict(input.value, host);
  };
  input.title = title;
  input.step = 2;
  input.totalSteps = 2;
  input.prompt = `What to forward through ${host}: a port, host:port, or ssh’s own spelling`;
  input.placeholder = '5432, db:5432 or -L 127.0.0.1:5000:db:5432';
  input.buttons = [vscode.QuickInputButtons.Back];
  input.ignoreFocusOut = true;
  input.value = answers.forward;
  check();
  return new Promise((resolve) => {
    input.onDidChangeValue(check);
    input.onDidTriggerButton(() => {
      resolve(back);
      input.hide();
    });
    input.onDidAccept(() => {
      const result = parseAnswer(input.value);
      if (!result.ok) {
        input.validationMessage = verdict(input.value, host);
        return;
      }
      resolve(result.spec);
      input.hide();
    });
    input.onDidHide(() => {
      resolve(undefined);
      input.dispose();
    });
    input.show();
  });
}

/** What it will do, or what is wrong and where. */
function verdict(text: string, host: string): vscode.InputBoxValidationMessage {
  const result = parseAnswer(text);
  return {
    message: withoutLinks(result.ok ? effectText(result.spec, host) : failureText(result.failure)),
    severity: result.ok ? vscode.InputBoxValidationSeverity.Info : vscode.InputBoxValidationSeverity.Error,
  };
}
