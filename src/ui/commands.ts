import * as vscode from 'vscode';
import { noConfigForwards, originOf, type Origin } from '../core/configForward.js';
import { parseDestination, printDestination, type Destination } from '../core/destination.js';
import type { Engine } from '../core/engine.js';
import { printSpec, type ForwardSpec } from '../core/forwardSpec.js';
import { connectionOf, isWanted, requestFor, sshFor, type HostDefaults, type HostRequest } from '../core/plan.js';
import type { ForwardRow, PresetRow } from '../core/present.js';
import {
  removeTunnels,
  renameTunnel,
  restartConnection,
  restartTunnels,
  retryingOf,
  retryTunnels,
  startTunnels,
  tunnelId,
  type NewTunnel,
  type Session,
  type Tunnel,
} from '../core/session.js';
import { readSubjects, type Subject } from '../core/subject.js';
import { printSshCommand } from '../core/printSshCommand.js';
import { printSshConfigBlocks } from '../core/sshConfigBlock.js';
import { t } from '../core/translate.js';
import type { Turns } from '../core/turns.js';
import { connectionSeen } from '../core/snapshot.js';
import { failureText } from '../core/wording.js';
import { askLine, readLine } from './commandLineBox.js';
import { chooseConfigForwards } from './configForwards.js';
import type { ConfigList } from './configList.js';
import { showCopiedNote } from './copiedNote.js';
import { commands, settings, walkthrough, type CommandId } from './contributions.js';
import type { DetailsView } from './details.js';
import type { DiagnosticsCopier } from './diagnostics.js';
import type { Explanations } from './explain.js';
import { askDestination, askForward, type WizardAnswers, type WizardHosts } from './forwardWizard.js';
import { readForward } from './givenForward.js';
import type { Log } from './log.js';
import type { Messages } from './messages.js';
import type { Notifications } from './notifications.js';
import type { Presentation } from './presentation.js';
import { openPresetsFile } from './openPresetsFile.js';
import { createPresetWork } from './presetCommands.js';
import type { PresetFiles } from './presetFiles.js';
import type { Presets, PresetSettings } from './presets.js';
import { rowFlags } from './rowFlags.js';
import { createRowPicker, isOneOf } from './rowPicker.js';
import type { SandboxTrial } from './sandbox.js';
import type { Secrets } from './secrets.js';
import { defaultBind, findsServerPorts } from './settings.js';
import { askSshCommand, commandNotes, commandTitle, readSshCommand } from './sshCommandBox.js';
import { readHow, type Stopping } from './stopping.js';
import type { Tree } from './tree.js';

export interface CommandParts {
  context: vscode.ExtensionContext;
  session: Session;
  engine: Pick<Engine, 'hosts' | 'serverPorts' | 'disconnect'>;
  configFile: () => string | undefined;
  defaults: () => HostDefaults;
  configList: ConfigList;
  explanations: Pick<Explanations, 'show'>;
  diagnostics: Pick<DiagnosticsCopier, 'copy'>;
  presentation: Presentation;
  tree: Tree;
  details: Pick<DetailsView, 'show'>;
  stopping: Stopping;
  notifications: Notifications;
  presets: Presets;
  presetSettings: PresetSettings;
  presetFiles: PresetFiles;
  turns: Turns;
  secrets: Secrets;
  sandboxTrial: Pick<SandboxTrial, 'try' | 'remove'>;
  localPort: (given: unknown) => Promise<string | undefined>;
  messages: Messages;
  log: Pick<Log, 'show'>;
}

const recentKey = 'recentHosts';
const recentCount = 8;

export type CommandHandlers = Readonly<Record<CommandId, (...args: never[]) => unknown>>;

/** What each contributed command does. Those about rows take `(row, selected rows)`, and ask which tunnel without them. */
export function createCommandHandlers({
  context,
  session,
  engine,
  configFile,
  defaults,
  configList,
  explanations,
  diagnostics,
  presentation,
  tree,
  details,
  stopping,
  notifications,
  presets,
  presetSettings,
  presetFiles,
  turns,
  secrets,
  sandboxTrial,
  localPort,
  messages,
  log,
}: CommandParts): CommandHandlers {
  const sshOf = (connection: string) => sshFor(session.state.wanted, connection, configFile(), defaults());
  const requestOf = (destination: Destination): HostRequest => {
    const own = session.state.wanted.tunnels.filter((tunnel) => connectionOf(tunnel) === printDestination(destination));
    return requestFor(own, destination, ...sshOf(printDestination(destination)));
  };
  const wizardHosts: WizardHosts = {
    configured: () => engine.hosts(configFile()),
    recent: () => context.globalState.get<readonly string[]>(recentKey, []),
    ports: async (destination, calledOff) =>
      findsServerPorts() ? engine.serverPorts(requestOf(destination), calledOff) : [],
    defaultBind,
  };
  const rememberHosts = async (tunnels: readonly NewTunnel[]): Promise<void> => {
    const names = [...new Set(tunnels.map(connectionOf))];
    const recent = [...names, ...wizardHosts.recent().filter((other) => !names.includes(other))];
    await context.globalState.update(recentKey, recent.slice(0, recentCount));
  };

  /** What was typed into a wizard that was closed before its end. */
  let draft = noAnswers();

  const picker = createRowPicker(session, presentation, presetSettings, configList, tree, turns);
  const rowsOf = (tunnels: readonly Tunnel[]) =>
    picker.forwardRows().filter(({ id }) => tunnels.some((tunnel) => tunnel.id === id));

  const start = (tunnels: readonly NewTunnel[]): void => {
    const { wanted, started } = startTunnels(session.state, tunnels);
    if (started.length > 0) notifications.expect(started);
    session.update(() => wanted);
  };
  /** Starts what was typed, and shows it in the tree. */
  const open = async (tunnels: readonly NewTunnel[]): Promise<void> => {
    await rememberHosts(tunnels);
    start(tunnels);
    if (tunnels[0]) await tree.reveal(tunnelId(tunnels[0]));
  };
  const closeClients = (rows: readonly Subject[]) => {
    for (const row of rows) if (row.kind === 'client') engine.disconnect(row.forward, row.id);
  };
  const isDraining = (row: ForwardRow) => rowFlags(row, session.state).includes('draining');
  const isRetrying = (row: ForwardRow) =>
    isOneOf('retrying')(row) && !rowFlags(row, session.state).includes('elsewhere');
  const isPortTaken = (tunnel: { id: string; url?: string }) => rowFlags(tunnel, session.state).includes('portInUse');

  const presetWork = createPresetWork({
    session,
    files: presetFiles,
    presets,
    presetSettings,
    configList,
    hosts: wizardHosts.configured,
    presentation,
    picker,
    tree,
    stopping,
    turns,
    messages,
  });
  return {
    ...presetWork.handlers,

    async [commands.forwardPort](
      given?: { host?: unknown; forward?: unknown; label?: unknown; answers?: unknown } | null,
    ) {
      if (typeof given?.host === 'string' && typeof given.forward === 'string') {
        const { host, forward, label } = given;
        const read = readForward({ host, forward });
        if (!read.ok) return void messages.show('error', failureText(read.failure));
        return start([{ ...read.tunnel, ...(typeof label === 'string' && { label }) }]);
      }
      const filled = readAnswers(given?.answers);
      // A link may have filled it in: nobody logs in to its host before the person has seen it all.
      const hosts = filled ? { ...wizardHosts, ports: () => Promise.resolve([]) } : wizardHosts;
      const tunnels = await turns.take(() => askForward(hosts, filled ?? draft));
      if (!tunnels) return;
      if (!filled) draft = noAnswers();
      await open(tunnels);
    },

    async [commands.newFromCommand](given?: { command?: unknown } | null) {
      if (typeof given?.command !== 'string') {
        const tunnels = await turns.take(async () => {
          const read = await askSshCommand();
          return read?.tunnels.length === 0 ? askForward(wizardHosts, noAnswers(), read.destination) : read?.tunnels;
        });
        return tunnels && open(tunnels);
      }
      const read = readSshCommand(given.command);
      if (!read.ok) return void messages.show('error', failureText(read.failure));
      const [first] = read.tunnels;
      const notes = commandNotes(read).map((note) => `${note}.`);
      const { host } = read.destination;
      if (!first) return void messages.show('error', [failureText({ kind: 'noForward', host }), ...notes].join(' '));
      start(read.tunnels);
      if (notes.length > 0) void messages.show('information', [`${commandTitle(read)}.`, ...notes].join(' '));
    },

    async [commands.addForward](given?: unknown) {
      const [tunnel] = (await picker.connection(t('Add Forward to Connection'), given)) ?? [];
      if (!tunnel) return;
      const tunnels = await turns.take(() => askForward(wizardHosts, noAnswers(), tunnel.destination));
      if (tunnels) await open(tunnels);
    },

    async [commands.commandLine](given?: unknown, more?: unknown) {
      const [tunnel] = (await picker.connection(t('SSH Command Line'), given)) ?? [];
      if (!tunnel) return;
      const line = typeof more === 'string' ? more : (given as { line?: unknown } | null | undefined)?.line;
      const read = readLine(typeof line === 'string' ? line : '', tunnel, session.state);
      if (read.kind === 'refused') return void messages.show('error', failureText(read.failure));
      const isComplete = read.kind === 'add' || read.kind === 'cancel';
      const meant = isComplete ? read : await turns.take(() => askLine(tunnel, () => session.state));
      if (meant?.kind === 'add') start([meant.tunnel]);
      // As in ssh: it is the listener that is cancelled, and open connections go on.
      if (meant?.kind === 'cancel') await stopping.stop(meant.tunnels, 'drain');
    },

    async [commands.edit](given?: unknown, selected?: unknown) {
      const isDown = (row: ForwardRow) => isOneOf('stopped', 'failed')(row) && !isDraining(row);
      const [old] = await picker.tunnels(t('Edit Tunnel'), given, selected, isDown);
      if (!old) return;
      const answers = { host: printDestination(old.destination), forward: printSpec(old.spec) };
      // What it listens on is known: without a bind address as it was.
      const hosts: WizardHosts = { ...wizardHosts, defaultBind: () => 'localhost' };
      const tunnels = await turns.take(() => askForward(hosts, answers, old.destination));
      const [first, ...more] = tunnels ?? [];
      if (!first) return;
      // A keybinding or an old notification may be about one that runs.
      if (tunnelId(first) !== old.id && !(await stopping.remove([old]))) return;
      const isOnDemand = old.onDemand && first.spec.kind !== 'remote';
      const kept = {
        ...(old.label !== undefined && { label: old.label }),
        ...(isOnDemand && { onDemand: true as const }),
      };
      await open([{ ...first, ...kept }, ...more]);
    },

    async [commands.start](given?: unknown, selected?: unknown) {
      start(await picker.newTunnels(t('Start Tunnel'), given, selected, isOneOf('stopped', 'failed')));
    },

    async [commands.startOnFreePort](given?: unknown, selected?: unknown) {
      const tunnels = await picker.tunnels(t('Use Next Free Port'), given, selected, isPortTaken);
      const ids = tunnels.filter(isPortTaken).map(idOf);
      notifications.expect(ids);
      session.update((wanted) => restartTunnels(wanted, ids, false, 'nextFree'));
    },

    async [commands.stop](given?: unknown, selected?: unknown) {
      const isUp = isOneOf('connecting', 'ready', 'retrying', 'failed');
      const isOffered = (row: ForwardRow) => isUp(row) || isDraining(row);
      await stopping.stop(await picker.tunnels(t('Stop Tunnel'), given, selected, isOffered), readHow(given));
    },

    async [commands.stopOrRemove](given: unknown = { kind: 'selection' }, selected?: unknown) {
      const rows = picker.subjects(given, selected) ?? [];
      closeClients(rows);
      const running = rows.flatMap(picker.tunnelsOf).filter(({ wish }) => wish !== 'stop');
      if (running.length > 0) return stopping.stop(running, readHow(given));
      if (!(await presetWork.remove(rows.flatMap((row) => (row.kind === 'preset' ? [row.preset] : []))))) return;
      const listed = rows.filter(({ kind }) => kind === 'forward' || kind === 'connection');
      // Some may have been started while the user was asked.
      const stopped = listed.flatMap(picker.tunnelsOf).filter(({ wish }) => wish === 'stop');
      session.update((wanted) => removeTunnels(wanted, stopped.map(idOf)));
    },

    async [commands.retryNow](given?: unknown, selected?: unknown) {
      const tunnels = retryingOf(session.state, await picker.tunnels(t('Retry Now'), given, selected, isRetrying));
      if (tunnels.length === 0) return;
      notifications.expect(tunnels.map(idOf));
      session.update(() => retryTunnels(session.state, tunnels));
    },

    async [commands.giveUp](given?: unknown, selected?: unknown) {
      const tunnels = retryingOf(session.state, await picker.tunnels(t('Give Up'), given, selected, isRetrying));
      // Nobody is connected: those who wait are reset.
      await stopping.stop(tunnels, 'stop');
    },

    async [commands.restart](given?: unknown, selected?: unknown) {
      const tunnels = await picker.tunnels(t('Restart Tunnel'), given, selected);
      const rows = picker.subjects(given, selected) ?? [];
      const running = tunnels.filter(isWanted);
      const ids = (running.length > 0 ? running : tunnels).map(idOf);
      const connections = [
        ...rows.flatMap((row) => (row.kind === 'connection' && picker.tunnelsOf(row).length > 0 ? [row.id] : [])),
        ...tunnels.map(connectionOf).filter((id) => connectionSeen(session.state.snapshot, id)?.kind !== 'ready'),
      ];
      notifications.expect(ids);
      session.update((wanted) => [...new Set(connections)].reduce(restartConnection, restartTunnels(wanted, ids)));
    },

    async [commands.remove](given?: unknown, selected?: unknown) {
      await stopping.remove(await picker.tunnels(t('Remove Tunnel'), given, selected), readHow(given));
    },

    [commands.disconnectClient](given?: unknown, selected?: unknown) {
      closeClients(picker.subjects(given, selected) ?? []);
    },

    async [commands.rename](given?: unknown, selected?: unknown) {
      if (await presetWork.rename(given, selected)) return;
      const [tunnel, another] = await picker.tunnels(t('Rename Tunnel'), given, selected);
      // One name is for one tunnel: several rows, or a host with several tunnels, are no subject.
      if (!tunnel || another) return;
      const box = {
        title: t('Rename Tunnel'),
        prompt: t('Name of the tunnel; empty: its addresses'),
        value: tunnel.label ?? '',
      };
      const label = await turns.take(() => vscode.window.showInputBox(box));
      if (label !== undefined) session.update((wanted) => renameTunnel(wanted, tunnel.id, label.trim()));
    },

    async [commands.copyAddress](given?: unknown, selected?: unknown) {
      const tunnels = await picker.tunnels(t('Copy Address'), given, selected, isOneOf('ready'));
      const onServer = tunnels.filter(({ spec }) => spec.kind === 'remote').map(idOf);
      const rows = rowsOf(tunnels);
      await copy(rows.flatMap(({ address }) => address ?? []));
      showCopiedNote(rows.flatMap(({ id, address }) => (onServer.includes(id) ? [] : (address ?? []))));
    },

    async [commands.copySshCommand](given?: unknown, selected?: unknown) {
      const tunnels = await picker.newTunnels(t('Copy as ssh Command'), given, selected);
      const commandOf = ([first, specs]: ReturnType<typeof byHost>[number]) =>
        printSshCommand(first.destination, specs, sshOf(connectionOf(first))[0]);
      await copy(byHost(tunnels).map(commandOf));
    },

    async [commands.copyConfigBlock](given?: unknown, selected?: unknown) {
      const tunnels = await picker.tunnels(t('Copy as ssh_config Block'), given, selected);
      const groups = byHost(tunnels).map(([{ destination }, specs]) => ({ destination, specs }));
      if (groups.length > 0) await copy([printSshConfigBlocks(groups)]);
    },

    async [commands.openInBrowser](given?: unknown, selected?: unknown) {
      const isPage = (row: ForwardRow) => rowFlags(row, session.state).includes('url');
      const tunnels = await picker.tunnels(t('Open in Browser'), given, selected, isPage);
      for (const { url } of rowsOf(tunnels))
        if (url !== undefined) await vscode.env.openExternal(await vscode.env.asExternalUri(vscode.Uri.parse(url)));
    },

    [commands.showDetails]: (given?: unknown, selected?: unknown) =>
      details.show(picker.subjects(given, selected)?.[0]),

    [commands.showLog]: () => log.show(),

    [commands.copyDiagnostics]: () => diagnostics.copy(),

    async [commands.startPreset](given?: unknown, selected?: unknown) {
      const isDown = ({ status, locked }: PresetRow) => locked === undefined && ['stopped', 'failed'].includes(status);
      for (const preset of await picker.presets(t('Start Preset'), given, selected, isDown))
        await presets.start(preset);
    },

    async [commands.stopPreset](given?: unknown, selected?: unknown) {
      const isUp = ({ status, isPartly }: PresetRow) => status !== 'stopped' || isPartly === true;
      const stopped = await picker.presets(t('Stop Preset'), given, selected, isUp);
      const tunnels = stopped.flatMap((preset) => picker.tunnelsOf({ kind: 'preset', preset }));
      await stopping.stop(tunnels, readHow(given));
    },

    async [commands.editPresets](given?: unknown) {
      const [subject] = readSubjects(given, undefined) ?? [];
      if (subject?.kind === 'problem') return openPresetsFile(subject.scope, subject.path && { path: subject.path });
      if (subject?.kind === 'preset') return openPresetsFile(subject.preset.scope, { name: subject.preset.name });
      await vscode.commands.executeCommand('workbench.action.openSettings', settings.presets);
    },

    async [commands.startConfigForward](given?: unknown) {
      start(await chooseConfigForwards(given, presentation, configList, turns, messages));
    },

    async [commands.goToDefinition](given?: unknown, selected?: unknown) {
      const [subject] = picker.subjects(given, selected) ?? [];
      const origin = subject && originOf(subject, configList.current ?? noConfigForwards);
      if (origin) await openLine(origin, messages);
    },

    async [commands.explain](given?: unknown, selected?: unknown) {
      const rows = picker.subjects(given, selected);
      const named = rows?.flatMap((row) =>
        row.kind === 'connection' ? [row.id] : row.kind === 'configHost' ? [row.host] : [],
      )[0];
      if (rows && named === undefined) return;
      const read = named === undefined ? undefined : parseDestination(named);
      const picked = read ?? (await turns.take(() => askDestination(wizardHosts, t('Explain Connection'))));
      const destination = picked && 'ok' in picked ? picked.ok && picked.destination : picked;
      if (destination) await explanations.show(requestOf(destination));
    },

    [commands.localPort]: (given?: unknown) => localPort(given),

    [commands.openWalkthrough]: () =>
      vscode.commands.executeCommand('workbench.action.openWalkthrough', `${context.extension.id}#${walkthrough}`),

    [commands.trySandbox]: () => sandboxTrial.try(),

    [commands.removeSandbox]: () => sandboxTrial.remove(),

    [commands.manageTrust]: () => vscode.commands.executeCommand('workbench.trust.manage'),

    async [commands.forgetSecrets]() {
      const count = await secrets.forgetAll();
      const text = count === 0 ? t('No secrets were saved.') : t('Saved secrets forgotten: {count}.', { count });
      void messages.show('information', text);
    },
  };
}

async function openLine({ file, line }: Origin, messages: Messages): Promise<void> {
  const place = new vscode.Position(line - 1, 0);
  try {
    await vscode.window.showTextDocument(vscode.Uri.file(file), { selection: new vscode.Range(place, place) });
  } catch (error) {
    void messages.show(
      'error',
      t('{file} can’t be opened: {message}', { file, message: error instanceof Error ? error.message : String(error) }),
    );
  }
}

/** The tunnels of each host together, with the first of them. */
function byHost(tunnels: readonly NewTunnel[]): [first: NewTunnel, specs: readonly ForwardSpec[]][] {
  return [...new Set(tunnels.map(connectionOf))].map((host) => {
    const own = tunnels.filter((tunnel) => connectionOf(tunnel) === host);
    return [own[0]!, own.map(({ spec }) => spec)];
  });
}

async function copy(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await vscode.env.clipboard.writeText(lines.join('\n'));
}

const noAnswers = (): WizardAnswers => ({ host: '', forward: '' });

/** What a link or a keybinding fills in; nothing of it starts before Enter is pressed at both steps. */
function readAnswers(given: unknown): WizardAnswers | undefined {
  const { host, forward } = (given ?? {}) as Readonly<Record<string, unknown>>;
  return typeof host === 'string' && typeof forward === 'string' ? { host, forward } : undefined;
}

function idOf({ id }: Tunnel): string {
  return id;
}
