import * as vscode from 'vscode';
import { printDestination } from '../core/destination.js';
import type { Engine } from '../core/engine.js';
import { printSpec } from '../core/forwardSpec.js';
import { connectionOf, isWanted } from '../core/plan.js';
import type { PresetRow, Status } from '../core/present.js';
import { presetTunnels } from '../core/preset.js';
import {
  removeTunnels,
  renameTunnel,
  restartConnection,
  restartTunnels,
  startTunnels,
  stopTunnels,
  tunnelId,
  tunnelsOf,
  type NewTunnel,
  type Session,
  type Tunnel,
} from '../core/session.js';
import { findPreset, readSubjects, type Subject } from '../core/subject.js';
import type { Turns } from '../core/turns.js';
import { connectionSeen } from '../core/snapshot.js';
import { failureText } from '../core/wording.js';
import { commands, settings, type CommandId } from './contributions.js';
import { askForward, readForward, type WizardAnswers, type WizardHosts } from './forwardWizard.js';
import type { Messages } from './messages.js';
import type { Notifications } from './notifications.js';
import type { Presentation } from './presentation.js';
import type { Presets, PresetSettings } from './presets.js';
import type { Secrets } from './secrets.js';
import { openPresetsFile } from './settings.js';
import type { Tree } from './tree.js';

export interface CommandParts {
  context: vscode.ExtensionContext;
  session: Session;
  hosts: Engine['hosts'];
  configFile: () => string | undefined;
  presentation: Presentation;
  tree: Tree;
  notifications: Notifications;
  presets: Presets;
  presetSettings: PresetSettings;
  turns: Turns;
  secrets: Secrets;
  messages: Messages;
  log: vscode.LogOutputChannel;
}

const recentKey = 'recentHosts';
const recentCount = 8;

/** Registers every contributed command. Those about rows take `(row, selected rows)`, and ask which tunnel without them. */
export function registerCommands({
  context,
  session,
  hosts,
  configFile,
  presentation,
  tree,
  notifications,
  presets,
  presetSettings,
  turns,
  secrets,
  messages,
  log,
}: CommandParts): vscode.Disposable {
  const wizardHosts: WizardHosts = {
    configured: () => hosts(configFile()),
    recent: () => context.globalState.get<readonly string[]>(recentKey, []),
  };
  const rememberHost = async ({ destination }: NewTunnel): Promise<void> => {
    const name = printDestination(destination);
    const recent = [name, ...wizardHosts.recent().filter((other) => other !== name)];
    await context.globalState.update(recentKey, recent.slice(0, recentCount));
  };

  /** What was typed into a wizard that was closed before its end. */
  let draft: WizardAnswers = { host: '', forward: '' };

  const forwardRows = (statuses?: readonly Status[]) =>
    presentation.presented.rows
      .flatMap((row) => (row.kind === 'connection' ? row.forwards : []))
      .filter(({ status }) => !statuses || statuses.includes(status));

  const rowsOf = (tunnels: readonly Tunnel[]) =>
    forwardRows().filter(({ id }) => tunnels.some((tunnel) => tunnel.id === id));

  const tunnelsOfSubject = (subject: Subject): readonly Tunnel[] => {
    const { wanted } = session.state;
    switch (subject.kind) {
      case 'forward':
        return wanted.tunnels.filter(({ id }) => id === subject.id);
      case 'connection':
        return tunnelsOf(wanted, subject.id);
      case 'preset': {
        const preset = findPreset(presetSettings.current.presets, subject.preset);
        const ids = preset ? presetTunnels(preset).map(tunnelId) : [];
        return wanted.tunnels.filter(({ id }) => ids.includes(id));
      }
      case 'selection':
        return tree.selection.flatMap(tunnelsOfSubject);
      case 'presets':
      case 'problem':
        return [];
    }
  };
  /** The rows that the arguments of a command name; undefined: the user picks. */
  const subjectsOf = (given: unknown, selected: unknown): readonly Subject[] | undefined =>
    readSubjects(given, selected)?.flatMap<Subject>((row) => (row.kind === 'selection' ? tree.selection : [row]));

  /** The tunnels that a command is about, each once; without a row one that the user picks among those with the statuses. */
  const tunnelsFor = async (
    question: string,
    given: unknown,
    selected: unknown,
    statuses?: readonly Status[],
  ): Promise<readonly Tunnel[]> => {
    const subjects = subjectsOf(given, selected);
    if (subjects) return [...new Set(subjects.flatMap(tunnelsOfSubject))];
    const items = forwardRows(statuses).map(({ id, label, description }) => ({ id, label, description }));
    const picked = await pick(question, items);
    return picked ? tunnelsOfSubject({ kind: 'forward', id: picked.id }) : [];
  };
  const pick = <T extends vscode.QuickPickItem>(question: string, items: T[]): Promise<T | undefined> =>
    turns.take(() => vscode.window.showQuickPick(items, { title: question, matchOnDescription: true }));

  const presetsFor = async (
    question: string,
    given: unknown,
    selected: unknown,
    isOffered: (row: PresetRow) => boolean,
  ) => {
    const subjects = subjectsOf(given, selected);
    if (subjects) return subjects.flatMap((subject) => (subject.kind === 'preset' ? [subject.preset] : []));
    const items = presentation.presented.rows
      .flatMap((row) => (row.kind === 'presets' ? row.rows : []))
      .flatMap((row) => (row.kind === 'preset' && isOffered(row) ? [row] : []))
      .map(({ label, description, preset }) => ({ label, description, preset }));
    const picked = await pick(question, items);
    return picked ? [picked.preset] : [];
  };

  const start = (tunnels: readonly NewTunnel[]): void => {
    const { wanted, started } = startTunnels(session.state, tunnels);
    if (started.length === 0) return;
    notifications.expect(started);
    session.update(() => wanted);
  };
  const handlers: Record<CommandId, (...args: never[]) => unknown> = {
    async [commands.forwardPort](given?: { host?: unknown; forward?: unknown; label?: unknown } | null) {
      if (typeof given?.host === 'string' && typeof given.forward === 'string') {
        const { host, forward, label } = given;
        const read = readForward({ host, forward });
        if (!read.ok) return void messages.show('error', failureText(read.failure));
        return start([{ ...read.tunnel, ...(typeof label === 'string' && { label }) }]);
      }
      const tunnel = await turns.take(() => askForward(wizardHosts, draft));
      if (!tunnel) return;
      draft = { host: '', forward: '' };
      await rememberHost(tunnel);
      start([tunnel]);
      await tree.reveal(tunnelId(tunnel));
    },

    async [commands.edit](given?: unknown, selected?: unknown) {
      const [old] = await tunnelsFor('Edit Tunnel', given, selected, ['stopped', 'failed']);
      if (!old) return;
      const answers = { host: printDestination(old.destination), forward: printSpec(old.spec) };
      const tunnel = await turns.take(() => askForward(wizardHosts, answers, old.destination));
      if (!tunnel) return;
      await rememberHost(tunnel);
      if (tunnelId(tunnel) !== old.id) session.update((wanted) => removeTunnels(wanted, [old.id]));
      start([{ ...tunnel, ...(old.label !== undefined && { label: old.label }) }]);
      await tree.reveal(tunnelId(tunnel));
    },

    async [commands.start](given?: unknown, selected?: unknown) {
      start(await tunnelsFor('Start Tunnel', given, selected, ['stopped', 'failed', 'retrying']));
    },

    async [commands.stop](given?: unknown, selected?: unknown) {
      const running = ['connecting', 'ready', 'retrying', 'failed'] as const;
      const tunnels = await tunnelsFor('Stop Tunnel', given, selected, running);
      session.update((wanted) => stopTunnels(wanted, tunnels.map(idOf)));
    },

    [commands.stopOrRemove](given: unknown = { kind: 'selection' }, selected?: unknown) {
      const rows = subjectsOf(given, selected) ?? [];
      const running = rows.flatMap(tunnelsOfSubject).filter(isWanted);
      if (running.length > 0) return session.update((wanted) => stopTunnels(wanted, running.map(idOf)));
      const stopped = rows.filter(({ kind }) => kind !== 'preset').flatMap(tunnelsOfSubject);
      session.update((wanted) => removeTunnels(wanted, stopped.map(idOf)));
    },

    async [commands.restart](given?: unknown, selected?: unknown) {
      const tunnels = await tunnelsFor('Restart Tunnel', given, selected);
      const rows = subjectsOf(given, selected) ?? [];
      const running = tunnels.filter(isWanted);
      const ids = (running.length > 0 ? running : tunnels).map(idOf);
      const connections = [
        ...rows.flatMap((row) => (row.kind === 'connection' && tunnelsOfSubject(row).length > 0 ? [row.id] : [])),
        ...tunnels.map(connectionOf).filter((id) => connectionSeen(session.state.snapshot, id)?.kind !== 'ready'),
      ];
      notifications.expect(ids);
      session.update((wanted) => [...new Set(connections)].reduce(restartConnection, restartTunnels(wanted, ids)));
    },

    async [commands.remove](given?: unknown, selected?: unknown) {
      const tunnels = await tunnelsFor('Remove Tunnel', given, selected);
      session.update((wanted) => removeTunnels(wanted, tunnels.map(idOf)));
    },

    async [commands.rename](given?: unknown, selected?: unknown) {
      const [tunnel, another] = await tunnelsFor('Rename Tunnel', given, selected);
      // One name is for one tunnel: several rows, or a host with several tunnels, are no subject.
      if (!tunnel || another) return;
      const box = {
        title: 'Rename Tunnel',
        prompt: 'Name of the tunnel; empty: its addresses',
        value: tunnel.label ?? '',
      };
      const label = await turns.take(() => vscode.window.showInputBox(box));
      if (label !== undefined) session.update((wanted) => renameTunnel(wanted, tunnel.id, label.trim()));
    },

    async [commands.copyAddress](given?: unknown, selected?: unknown) {
      const tunnels = await tunnelsFor('Copy Local Address', given, selected, ['ready']);
      const addresses = rowsOf(tunnels).flatMap(({ address }) => address ?? []);
      if (addresses.length > 0) await vscode.env.clipboard.writeText(addresses.join('\n'));
    },

    async [commands.openInBrowser](given?: unknown, selected?: unknown) {
      const tunnels = await tunnelsFor('Open in Browser', given, selected, ['ready']);
      for (const { url } of rowsOf(tunnels))
        if (url !== undefined) await vscode.env.openExternal(await vscode.env.asExternalUri(vscode.Uri.parse(url)));
    },

    [commands.showLog]: () => log.show(),

    async [commands.savePreset](given?: unknown, selected?: unknown) {
      const tunnels = await tunnelsFor('Save as Preset', given, selected);
      await turns.take(() => presets.save(tunnels));
    },

    async [commands.startPreset](given?: unknown, selected?: unknown) {
      const isDown = ({ status, locked }: PresetRow) => locked === undefined && ['stopped', 'failed'].includes(status);
      for (const preset of await presetsFor('Start Preset', given, selected, isDown)) await presets.start(preset);
    },

    async [commands.stopPreset](given?: unknown, selected?: unknown) {
      const isUp = ({ status }: PresetRow) => status !== 'stopped';
      for (const preset of await presetsFor('Stop Preset', given, selected, isUp)) presets.stop(preset);
    },

    async [commands.editPresets](given?: unknown) {
      const [subject] = readSubjects(given, undefined) ?? [];
      if (subject?.kind === 'problem') return openPresetsFile(subject.scope);
      if (subject?.kind === 'preset') return openPresetsFile(subject.preset.scope);
      await vscode.commands.executeCommand('workbench.action.openSettings', settings.presets);
    },

    [commands.manageTrust]: () => vscode.commands.executeCommand('workbench.trust.manage'),

    async [commands.forgetSecrets]() {
      const count = await secrets.forgetAll();
      const text = count === 0 ? 'No secrets were saved.' : `Saved secrets forgotten: ${count}.`;
      void messages.show('information', text);
    },
  };
  return vscode.Disposable.from(
    ...Object.entries(handlers).map(([id, handler]) => vscode.commands.registerCommand(id, handler)),
  );
}

function idOf({ id }: Tunnel): string {
  return id;
}
