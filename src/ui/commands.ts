import * as vscode from 'vscode';
import { printDestination } from '../core/destination.js';
import type { Engine } from '../core/engine.js';
import { printSpec } from '../core/forwardSpec.js';
import { connectionOf } from '../core/plan.js';
import { type ForwardRow, type PresetRow, type Row, type Status } from '../core/present.js';
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
import { failureText } from '../core/wording.js';
import { commands, settings, type CommandId } from './contributions.js';
import { askForward, readForward, type WizardAnswers, type WizardHosts } from './forwardWizard.js';
import type { Messages } from './messages.js';
import type { Notifications } from './notifications.js';
import type { Presentation } from './presentation.js';
import type { Presets } from './presets.js';
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
  secrets: Secrets;
  messages: Messages;
  log: vscode.LogOutputChannel;
}

/** What a menu, a notification's button or a keybinding says it is about; `selection` stands for the selected rows. */
type Subject = Pick<ForwardRow, 'kind' | 'id'> | Exclude<Row, ForwardRow> | { kind: 'selection' };

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

  const forwardRows = (statuses?: readonly Status[]) =>
    presentation.presented.rows
      .flatMap((row) => (row.kind === 'connection' ? row.forwards : []))
      .filter(({ status }) => !statuses || statuses.includes(status));

  const tunnelsOfSubject = (subject: Subject): readonly Tunnel[] => {
    const { wanted } = session.state;
    switch (subject.kind) {
      case 'forward':
        return wanted.tunnels.filter(({ id }) => id === subject.id);
      case 'connection':
        return tunnelsOf(wanted, subject.id);
      case 'preset': {
        const ids = presetTunnels(subject.preset).map(tunnelId);
        return wanted.tunnels.filter(({ id }) => ids.includes(id));
      }
      case 'selection':
        return tree.selection.flatMap(tunnelsOfSubject);
      case 'presets':
      case 'problem':
        return [];
    }
  };
  const subjects = (subject: Subject, selected: readonly Subject[] | undefined): readonly Subject[] =>
    selected?.length ? selected : subject.kind === 'selection' ? tree.selection : [subject];

  /** The tunnels that a command is about, each once; without a row one that the user picks among those with the statuses. */
  const tunnelsFor = async (
    question: string,
    subject?: Subject,
    selected?: readonly Subject[],
    statuses?: readonly Status[],
  ): Promise<readonly Tunnel[]> => {
    if (subject) return [...new Set(subjects(subject, selected).flatMap(tunnelsOfSubject))];
    const items = forwardRows(statuses).map(({ id, label, description }) => ({ id, label, description }));
    const picked = await vscode.window.showQuickPick(items, { title: question, matchOnDescription: true });
    return picked ? tunnelsOfSubject({ kind: 'forward', id: picked.id }) : [];
  };

  const pickPreset = async (question: string, isOffered: (row: PresetRow) => boolean) => {
    const items = presentation.presented.rows
      .flatMap((row) => (row.kind === 'presets' ? row.rows : []))
      .flatMap((row) => (row.kind === 'preset' && isOffered(row) ? [row] : []))
      .map(({ label, description, preset }) => ({ label, description, preset }));
    return (await vscode.window.showQuickPick(items, { title: question, matchOnDescription: true }))?.preset;
  };
  const presetsFor = (subject: Subject, selected?: readonly Subject[]) =>
    subjects(subject, selected).flatMap((row) => (row.kind === 'preset' ? [row.preset] : []));

  const start = (tunnels: readonly NewTunnel[]): void => {
    const { wanted, started } = startTunnels(session.state, tunnels);
    if (started.length === 0) return;
    notifications.expect(started);
    session.update(() => wanted);
  };
  const handlers: Record<CommandId, (...args: never[]) => unknown> = {
    async [commands.forwardPort](given?: Partial<WizardAnswers> & { label?: string }) {
      if (typeof given?.host === 'string' && typeof given.forward === 'string') {
        const read = readForward({ host: given.host, forward: given.forward });
        if (!read.ok) return void messages.show('error', failureText(read.failure));
        return start([{ ...read.tunnel, ...(given.label !== undefined && { label: given.label }) }]);
      }
      const tunnel = await askForward(wizardHosts);
      if (!tunnel) return;
      await rememberHost(tunnel);
      start([tunnel]);
      await tree.reveal(tunnelId(tunnel));
    },

    async [commands.edit](subject?: Subject, selected?: readonly Subject[]) {
      const [old] = await tunnelsFor('Edit Tunnel', subject, selected, ['stopped', 'failed']);
      if (!old) return;
      const given = { host: printDestination(old.destination), forward: printSpec(old.spec) };
      const tunnel = await askForward(wizardHosts, given);
      if (!tunnel) return;
      await rememberHost(tunnel);
      if (tunnelId(tunnel) !== old.id) session.update((wanted) => removeTunnels(wanted, [old.id]));
      start([{ ...tunnel, ...(old.label !== undefined && { label: old.label }) }]);
      await tree.reveal(tunnelId(tunnel));
    },

    async [commands.start](subject?: Subject, selected?: readonly Subject[]) {
      start(await tunnelsFor('Start Tunnel', subject, selected, ['stopped', 'failed', 'retrying']));
    },

    async [commands.stop](subject?: Subject, selected?: readonly Subject[]) {
      const running = ['connecting', 'ready', 'retrying', 'failed'] as const;
      const tunnels = await tunnelsFor('Stop Tunnel', subject, selected, running);
      session.update((wanted) => stopTunnels(wanted, tunnels.map(idOf)));
    },

    [commands.stopOrRemove](subject: Subject, selected?: readonly Subject[]) {
      const rows = subjects(subject, selected);
      const running = rows.flatMap(tunnelsOfSubject).filter((tunnel) => tunnel.running);
      if (running.length > 0) return session.update((wanted) => stopTunnels(wanted, running.map(idOf)));
      const stopped = rows.filter(({ kind }) => kind !== 'preset').flatMap(tunnelsOfSubject);
      session.update((wanted) => removeTunnels(wanted, stopped.map(idOf)));
    },

    async [commands.restart](subject?: Subject, selected?: readonly Subject[]) {
      const tunnels = await tunnelsFor('Restart Tunnel', subject, selected);
      const rows = subject ? subjects(subject, selected) : [];
      const running = tunnels.filter((tunnel) => tunnel.running);
      const ids = (running.length > 0 ? running : tunnels).map(idOf);
      const connections = [
        ...rows.flatMap((row) => (row.kind === 'connection' ? [row.id] : [])),
        ...tunnels.map(connectionOf).filter((id) => session.state.snapshot.connections[id]?.kind !== 'ready'),
      ];
      notifications.expect(ids);
      session.update((wanted) => [...new Set(connections)].reduce(restartConnection, restartTunnels(wanted, ids)));
    },

    async [commands.remove](subject?: Subject, selected?: readonly Subject[]) {
      const tunnels = await tunnelsFor('Remove Tunnel', subject, selected);
      session.update((wanted) => removeTunnels(wanted, tunnels.map(idOf)));
    },

    async [commands.rename](subject?: Subject, selected?: readonly Subject[]) {
      const [tunnel] = await tunnelsFor('Rename Tunnel', subject, selected);
      if (!tunnel) return;
      const label = await vscode.window.showInputBox({
        title: 'Rename Tunnel',
        prompt: 'Name of the tunnel; empty: its addresses',
        value: tunnel.label ?? '',
      });
      if (label !== undefined) session.update((wanted) => renameTunnel(wanted, tunnel.id, label.trim()));
    },

    async [commands.copyAddress](subject?: Subject, selected?: readonly Subject[]) {
      const tunnels = await tunnelsFor('Copy Local Address', subject, selected, ['ready']);
      const addresses = forwardRows()
        .filter(({ id }) => tunnels.some((tunnel) => tunnel.id === id))
        .flatMap(({ address }) => address ?? []);
      if (addresses.length > 0) await vscode.env.clipboard.writeText(addresses.join('\n'));
    },

    async [commands.openInBrowser](subject?: Subject, selected?: readonly Subject[]) {
      const tunnels = await tunnelsFor('Open in Browser', subject, selected, ['ready']);
      for (const { url } of forwardRows().filter(({ id }) => tunnels.some((tunnel) => tunnel.id === id)))
        if (url !== undefined) await vscode.env.openExternal(await vscode.env.asExternalUri(vscode.Uri.parse(url)));
    },

    [commands.showLog]: () => log.show(),

    async [commands.savePreset](subject?: Subject, selected?: readonly Subject[]) {
      const tunnels = await tunnelsFor('Save as Preset', subject, selected);
      await presets.save(tunnels.filter((tunnel) => connectionOf(tunnel) === connectionOf(tunnels[0]!)));
    },

    async [commands.startPreset](subject?: Subject, selected?: readonly Subject[]) {
      if (subject) {
        for (const preset of presetsFor(subject, selected)) await presets.start(preset);
        return;
      }
      const isDown = ({ status, locked }: PresetRow) => locked === undefined && ['stopped', 'failed'].includes(status);
      const preset = await pickPreset('Start Preset', isDown);
      if (preset) await presets.start(preset);
    },

    async [commands.stopPreset](subject?: Subject, selected?: readonly Subject[]) {
      if (subject) return presetsFor(subject, selected).forEach((preset) => presets.stop(preset));
      const preset = await pickPreset('Stop Preset', ({ status }) => status !== 'stopped');
      if (preset) presets.stop(preset);
    },

    async [commands.editPresets](subject?: Subject) {
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
