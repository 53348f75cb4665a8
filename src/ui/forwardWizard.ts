import * as vscode from 'vscode';
import { withDefaultBind, type DefaultBind } from '../core/defaultBind.js';
import { parseDestination, printDestination, type Destination } from '../core/destination.js';
import { parseAnswer } from '../core/forwardSpec.js';
import { forwardOf, type ServerPort } from '../core/serverPort.js';
import type { NewTunnel } from '../core/session.js';
import { t } from '../core/translate.js';
import { failureText, serverPortText } from '../core/wording.js';
import { withoutIcons } from './messages.js';
import { createPastedText } from './pastedText.js';
import {
  commandItems,
  commandNotes,
  commandTitle,
  effectOf,
  isSshCommand,
  problemText,
  readSshCommand,
} from './sshCommandBox.js';
import { back, isMatch, isWholeHost } from './steps.js';

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
  /** What listens on a server; rejects where that can't be known, or it is called off. */
  ports(destination: Destination, calledOff: AbortSignal): Promise<readonly ServerPort[]>;
  /** Where a forward listens that is typed without a bind address. */
  defaultBind(): DefaultBind;
}

function wizardTitle(): string {
  return t('Forward Port');
}

/**
 * Asks for a host, then for what to forward; undefined when it was closed before its end. A whole ssh command is an answer
 * to both. What is typed stands in `answers` at once, so that one that was interrupted can go on. With a destination it
 * begins at the second step.
 */
export async function askForward(
  hosts: WizardHosts,
  answers: WizardAnswers,
  given?: Destination,
): Promise<readonly NewTunnel[] | undefined> {
  let destination = given;
  for (;;) {
    if (!destination) {
      const answer = await askHost(hosts, answers);
      if (!answer) return undefined;
      if (answer.tunnels.length > 0) return answer.tunnels;
      destination = answer.destination;
    }
    const tunnels = await askTunnels(destination, answers, hosts);
    if (tunnels !== back) return tunnels;
    destination = undefined;
  }
}

/** Asks for a host alone; undefined when it was closed. */
export async function askDestination(
  hosts: Pick<WizardHosts, 'configured' | 'recent'>,
  title: string,
): Promise<Destination | undefined> {
  const answer = await askHost(hosts, { host: '', forward: '' }, title);
  return answer?.destination;
}

/** Where to, and the forwards if a whole command said so. */
interface HostAnswer {
  destination: Destination;
  tunnels: readonly NewTunnel[];
}
type HostItem = vscode.QuickPickItem & { answer?: HostAnswer };

/** `alone`: the title where it is no step of the two. */
function askHost(
  hosts: Pick<WizardHosts, 'configured' | 'recent'>,
  answers: WizardAnswers,
  alone?: string,
): Promise<HostAnswer | undefined> {
  const pick = vscode.window.createQuickPick<HostItem>();
  let configured: readonly string[] = [];
  const show = () => {
    const known = hostItems(configured, hosts.recent());
    const typed = typedItem(pasted.of(pick.value), known, pasted.note(pick.value));
    const separator = { label: t('As typed'), kind: vscode.QuickPickItemKind.Separator };
    if (typed && isWholeHost(pick.value.trim())) pick.items = [typed, ...known];
    else pick.items = typed ? [...known, separator, typed] : known;
  };
  const pasted = createPastedText(show);
  pick.title = alone ?? wizardTitle();
  if (alone === undefined) {
    pick.step = 1;
    pick.totalSteps = 2;
  }
  pick.placeholder = t('Host to connect to: pick one, or type user@host:port');
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
      void pasted.look(value);
      show();
    });
    pick.onDidAccept(async () => {
      const entered = pick.value;
      await pasted.look(entered);
      // Who has typed on meanwhile has not pressed Enter on that.
      if (pick.value !== entered) return;
      const [picked] = pick.selectedItems;
      // Enter may come before the list has followed what was typed: then that counts, and not the row of before.
      const answer = picked && isMatch(pick.value, picked.label) ? picked.answer : readHost(pasted.of(pick.value));
      if (!answer) return;
      answers.host = printDestination(answer.destination);
      resolve(answer);
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
      const answer = readHost(name);
      return answer ? [{ label: name, iconPath: new vscode.ThemeIcon(icon), answer }] : [];
    });
    return items.length > 0 ? [{ label, kind: vscode.QuickPickItemKind.Separator }, ...items] : [];
  };
  return [
    ...group(
      t('Recent'),
      'history',
      recent.filter((name) => !configured.includes(name)),
    ),
    ...group(t('From ssh_config'), 'server', configured),
  ];
}

function readHost(text: string): HostAnswer | undefined {
  if (isSshCommand(text)) {
    const read = readSshCommand(text);
    return read.ok ? read : undefined;
  }
  const result = parseDestination(text);
  return result.ok ? { destination: result.destination, tunnels: [] } : undefined;
}

/** An item for what is typed, if it is not in the list: with an answer when it is one, else with what is wrong. */
function typedItem(value: string, known: readonly HostItem[], linesNote?: string): HostItem | undefined {
  if (value.trim() === '') return undefined;
  const refused = (label: string): HostItem => ({
    label,
    iconPath: new vscode.ThemeIcon('error'),
    alwaysShow: true,
  });
  const taken = (label: string, detail: string, answer: HostAnswer): HostItem => ({
    label,
    ...(detail !== '' && { detail }),
    iconPath: new vscode.ThemeIcon('arrow-right'),
    answer,
    alwaysShow: true,
  });
  if (isSshCommand(value)) {
    const read = readSshCommand(value);
    if (!read.ok) return refused(problemText(read.failure));
    const effects = read.tunnels.map((tunnel) => effectOf(tunnel).effect);
    return taken(commandTitle(read), [...effects, ...commandNotes(read, linesNote)].join(' · '), read);
  }
  const result = parseDestination(value);
  if (!result.ok) return refused(failureText(result.failure));
  const { destination } = result;
  const name = printDestination(destination);
  if (known.some(({ answer }) => answer && printDestination(answer.destination) === name)) return undefined;
  return taken(t('Connect to {name}', { name }), '', { destination, tunnels: [] });
}

type ForwardItem = vscode.QuickPickItem & {
  /** What picking it starts; a row of what is typed has none where that can't be taken. */
  tunnels?: readonly NewTunnel[];
  /** Of the row of what is typed. */
  typed?: string;
};

function askTunnels(
  destination: Destination,
  answers: WizardAnswers,
  hosts: Pick<WizardHosts, 'ports' | 'defaultBind'>,
): Promise<readonly NewTunnel[] | typeof back | undefined> {
  const pick = vscode.window.createQuickPick<ForwardItem>();
  const through = printDestination(destination);
  let found: readonly ForwardItem[] = [];
  /** Whether the list stands as it is for what is typed. */
  let isFollowed = false;
  const read = () => readTunnels(pasted.of(pick.value), destination, hosts.defaultBind(), pasted.note(pick.value));
  const show = () => {
    answers.forward = pick.value;
    if (pick.value.trim() === '') {
      pick.items = found;
      return;
    }
    const { tunnels, items } = read();
    const separator = { label: t('As typed'), kind: vscode.QuickPickItemKind.Separator };
    // What is no forward may be the beginning of a program's name.
    if (tunnels) pick.items = [...items, ...found];
    else pick.items = found.length > 0 ? [...found, separator, ...items] : items;
  };
  const pasted = createPastedText(show);
  pick.title = wizardTitle();
  pick.step = 2;
  pick.totalSteps = 2;
  pick.placeholder = t('What to forward through {through}: 5432, db:5432 or ssh’s own -L, -R, -D', { through });
  pick.buttons = [vscode.QuickInputButtons.Back];
  pick.ignoreFocusOut = true;
  pick.value = answers.forward;
  pick.busy = true;
  show();
  const search = new AbortController();
  void hosts
    .ports(destination, search.signal)
    .then(
      (ports) => {
        if (search.signal.aborted) return;
        found = foundItems(ports, destination, hosts.defaultBind());
        show();
      },
      // It is an offer; whatever is in its way shows when the tunnel starts.
      () => {},
    )
    .finally(() => (pick.busy = false));
  return new Promise((resolve) => {
    pick.onDidChangeValue((value) => {
      isFollowed = false;
      void pasted.look(value);
      show();
    });
    pick.onDidChangeActive(([active]) => {
      if (active?.typed === pick.value) isFollowed = true;
    });
    pick.onDidTriggerButton(() => {
      resolve(back);
      pick.hide();
    });
    pick.onDidAccept(async () => {
      const entered = pick.value;
      await pasted.look(entered);
      // Who has typed on meanwhile has not pressed Enter on that.
      if (pick.value !== entered) return;
      const typed = pick.value.trim() === '' ? undefined : read().tunnels;
      const [picked] = pick.selectedItems;
      const isFound = picked !== undefined && found.includes(picked) && isMatch(pick.value, picked.label);
      // Enter may come before the list has followed what was typed: then that counts, and not the row of before.
      const tunnels = isFound && (!typed || isFollowed) ? picked.tunnels : typed;
      if (!tunnels) return;
      resolve(tunnels);
      pick.hide();
    });
    pick.onDidHide(() => {
      search.abort();
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
  });
}

/** What listens on the server, to be had at the same port here. */
function foundItems(ports: readonly ServerPort[], destination: Destination, bind: DefaultBind): ForwardItem[] {
  const items = ports.flatMap((port): ForwardItem[] => {
    const own = forwardOf(port);
    if (!own) return [];
    const spec = withDefaultBind(own, bind);
    // Where it listens is told by the setting, and seen nowhere else.
    const detail = bind === 'localhost' ? undefined : effectOf({ destination, spec }).effect;
    const program = port.program && withoutIcons(port.program);
    const name = port.kind === 'tcp' ? String(port.port) : port.path;
    return [
      {
        label: program === undefined ? name : `${name} — ${program}`,
        description: serverPortText(port, spec, destination.host),
        ...(detail !== undefined && { detail }),
        iconPath: new vscode.ThemeIcon('plug'),
        tunnels: [{ destination, spec }],
      },
    ];
  });
  const separator = {
    label: t('Listening on {host}', { host: destination.host }),
    kind: vscode.QuickPickItemKind.Separator,
  };
  return items.length > 0 ? [separator, ...items] : [];
}

interface ReadTunnels {
  /** Absent when it can't be taken. */
  tunnels?: readonly NewTunnel[];
  /** What it will do, or what is wrong and where. */
  items: readonly ForwardItem[];
}

function readTunnels(text: string, destination: Destination, bind: DefaultBind, linesNote?: string): ReadTunnels {
  const item = (icon: string, label: string): ForwardItem => ({
    label,
    iconPath: new vscode.ThemeIcon(icon),
    alwaysShow: true,
  });
  if (!isSshCommand(text)) {
    const result = parseAnswer(text, process.env);
    if (!result.ok) return { items: [item('error', problemText(result.failure))] };
    const tunnel = { destination, spec: withDefaultBind(result.spec, bind) };
    const { effect, access, isOpen } = effectOf(tunnel);
    // With the text itself as its label it stays above every other row that the list finds for that text.
    const row = {
      ...item(isOpen ? 'broadcast' : 'arrow-right', text.trim()),
      description: `${access}.`,
      detail: effect,
    };
    return { tunnels: [tunnel], items: [{ ...row, typed: text }] };
  }
  const read = readSshCommand(text);
  const items = commandItems(read, linesNote);
  if (!read.ok) return { items };
  if (read.tunnels.length === 0)
    return { items: [item('error', t('This command has no -L, -R or -D: nothing to forward.'))] };
  return { tunnels: read.tunnels, items };
}
