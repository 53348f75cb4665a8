// Builds the parts and puts them together; nothing is decided here.
import { homedir, hostname, release, userInfo } from 'node:os';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Engine } from './core/engine.js';
import { createHolds } from './core/holds.js';
import { placeOf, usePlace, type Surroundings } from './core/machine.js';
import type { Presented } from './core/present.js';
import { createSession } from './core/session.js';
import { useTranslations } from './core/translate.js';
import { createTurns } from './core/turns.js';
import { createSandboxes } from './engine/sandboxThread.js';
import { startWorkerEngine } from './engine/workerEngine.js';
import type { SshTunnelsApi } from './ui/api.js';
import { createAfterOpen } from './ui/afterOpen.js';
import { createAgentTools, type AgentTools } from './ui/agentTools.js';
import { answerAsks } from './ui/asks.js';
import { createClientLists } from './ui/clientLists.js';
import { registerCommands } from './ui/commands.js';
import { editConfigs } from './ui/configEditor.js';
import { createConfigList } from './ui/configList.js';
import { settings } from './ui/contributions.js';
import { createDetailsView } from './ui/details.js';
import { createDiagnostics } from './ui/diagnostics.js';
import { createExplanations } from './ui/explain.js';
import { createExtensionApi } from './ui/extensionApi.js';
import { localPort } from './ui/localPort.js';
import { openLinks } from './ui/links.js';
import { createLog } from './ui/log.js';
import { createMessages } from './ui/messages.js';
import { createNetworkConsents } from './ui/networkConsents.js';
import { createNotifications } from './ui/notifications.js';
import { createPortHolds } from './ui/portHolds.js';
import { createPresentation } from './ui/presentation.js';
import { createPresetAnswers } from './ui/presetAnswers.js';
import { editPresets } from './ui/presetEditor.js';
import { dragPresets } from './ui/presetDrag.js';
import { createPresetFiles } from './ui/presetFiles.js';
import { createPresets, watchPresets } from './ui/presets.js';
import { createRestoring, tunnelsKey } from './ui/restore.js';
import { createSandboxTrial } from './ui/sandbox.js';
import { createSecrets } from './ui/secrets.js';
import { hostDefaults, noticeLevel, sshConfigFile, waits } from './ui/settings.js';
import { createStatusBar } from './ui/statusBar.js';
import { createStopping } from './ui/stopping.js';
import { keepTerminalVariables } from './ui/terminalVariables.js';
import { createTree } from './ui/tree.js';
import { provideTunnelTasks } from './ui/tunnelTasks.js';

/** What the tests inside VS Code see; they get it beside the API. */
export interface TestAccess {
  presented(): Presented;
  notices(): readonly string[];
  clients: Engine['clients'];
  /** How often the extension has asked for a forward's clients. */
  clientReads(): number;
  /** How often the details were painted. */
  detailsPaints(): number;
  /** The list of tunnels that is kept for the next window. */
  kept(): unknown;
  /** The tool of language models that opens tunnels, behind VS Code’s own question. */
  openByAgent: AgentTools['open'];
  /** How long `activate` took. */
  activateMs: number;
}

/** The settings that every plan is made with. */
const inPlan = [
  settings.sshConfigFile,
  settings.parkSeconds,
  settings.idleMinutes,
  settings.keepaliveSeconds,
  settings.identityFile,
];

let close: (() => Promise<void>) | undefined;

/** In the tests inside VS Code with their access. */
export type Activated = SshTunnelsApi & { readonly test?: TestAccess };

export function activate(context: vscode.ExtensionContext): Activated {
  const began = performance.now();
  useTranslations(vscode.l10n.bundle);
  usePlace(placeOf(surroundings(context)));
  const configFile = () => sshConfigFile(homedir());
  const defaults = () => hostDefaults(homedir());
  const workerPath = context.asAbsolutePath('dist/worker.js');
  const engine = startWorkerEngine(workerPath, {
    sharedFolder: join(context.globalStorageUri.fsPath, 'shared'),
  });

  const session = createSession(engine, configFile, waits, defaults);
  const log = createLog(session);
  const messages = createMessages();
  const turns = createTurns();
  const secrets = createSecrets(context, session, log);
  const notifications = createNotifications(session, messages, noticeLevel);
  const presetAnswers = createPresetAnswers(context);
  const presetSettings = watchPresets(presetAnswers);
  const afterOpen = createAfterOpen(session);
  const networkConsents = createNetworkConsents(context);
  const presets = createPresets(
    context,
    session,
    presetSettings,
    presetAnswers,
    notifications,
    afterOpen,
    networkConsents,
    turns,
    messages,
  );
  const configList = createConfigList(engine, configFile, log);
  const presentation = createPresentation(session, presetSettings, configList, waits);
  const restoring = createRestoring(context, session, presets, notifications, messages, log);
  let clientReads = 0;
  const clients = (forward: string) => {
    clientReads++;
    return engine.clients(forward);
  };
  const clientLists = createClientLists(clients);
  const presetFiles = createPresetFiles(messages);
  const drag = dragPresets(presetFiles, messages);
  const tree = createTree(presentation, session, clientLists, configList, drag);
  const details = createDetailsView(context.extensionUri, session, engine, tree, presetSettings, configList);
  const holds = createHolds(session);
  const extensionApi = createExtensionApi(session, holds, presets, presetSettings);
  const agentTools = createAgentTools(session, holds, presets, presetSettings, () => engine.hosts(configFile()));
  const portHolds = createPortHolds();
  const taskParts = { session, engine, holds, portHolds, presets, presetSettings, messages };
  const sandboxes = createSandboxes(workerPath, join(context.globalStorageUri.fsPath, 'sandbox'));
  const sandboxTrial = createSandboxTrial(session, sandboxes, tree, messages, log);
  // At once: what the engine's end tells must not change the list that is kept.
  close = async () => void (await Promise.all([restoring.close(), engine.close(), sandboxTrial.close()]));
  const stopping = createStopping(session, clients, turns);
  const explanations = createExplanations(engine, messages, aboutText(context));
  const diagnostics = createDiagnostics(session, engine, configFile, presetSettings, log, messages, machine(context));
  context.subscriptions.push(
    log,
    secrets,
    notifications,
    presetAnswers,
    presetSettings,
    afterOpen,
    configList,
    presentation,
    clientLists,
    tree,
    details,
    extensionApi,
    agentTools,
    openLinks(presetSettings, tree, messages),
    sandboxTrial,
    stopping,
    explanations,
    diagnostics,
    createStatusBar(presentation),
    answerAsks(session, secrets, networkConsents, turns, messages, log),
    registerCommands({
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
      localPort: (given) => localPort(given, taskParts),
      messages,
      log,
    }),
    portHolds,
    provideTunnelTasks(taskParts),
    keepTerminalVariables(context, session, presetSettings, presets, log),
    editConfigs(session, presentation, configList, configFile),
    editPresets(engine, configFile, presetSettings, presetAnswers),
    vscode.workspace.onDidGrantWorkspaceTrust(() => presets.startAutomatic('workspace')),
    vscode.workspace.onDidChangeConfiguration(
      (event) => inPlan.some((name) => event.affectsConfiguration(name)) && session.update((wanted) => wanted),
    ),
  );
  void restoring.restore();
  void presets.startAutomatic('all');
  const { api } = extensionApi;
  if (context.extensionMode !== vscode.ExtensionMode.Test) return api;
  const test: TestAccess = {
    presented: () => presentation.presented,
    notices: () => messages.shown,
    clients: (forward) => engine.clients(forward),
    clientReads: () => clientReads,
    detailsPaints: () => details.paints,
    kept: () => context.workspaceState.get(tunnelsKey),
    openByAgent: agentTools.open,
    activateMs: performance.now() - began,
  };
  return Object.freeze({ ...api, test });
}

function surroundings({ extension }: vscode.ExtensionContext): Surroundings {
  return {
    remoteName: vscode.env.remoteName,
    extension: extension.extensionKind === vscode.ExtensionKind.UI ? 'ui' : 'workspace',
    shownIn: vscode.env.uiKind === vscode.UIKind.Web ? 'web' : 'desktop',
    hostName: hostname(),
    wslName: process.env['WSL_DISTRO_NAME'],
  };
}

function machine({ extension }: vscode.ExtensionContext): Parameters<typeof createDiagnostics>[6] {
  const { version } = extension.packageJSON as { version: string };
  const side = extension.extensionKind === vscode.ExtensionKind.UI ? 'window' : 'remote machine';
  return {
    versions: [
      ['SSH Tunnels', `${version}, at the side of the ${side}`],
      ['Node', process.versions.node],
      ['System', `${process.platform} ${release()} ${process.arch}`],
    ],
    names: { hosts: new Set([hostname()]), users: new Set(userName()) },
  };
}

/** A system may know no name of its user. */
function userName(): string[] {
  try {
    return [userInfo().username];
  } catch {
    return [];
  }
}

function aboutText({ extension }: vscode.ExtensionContext): string {
  const { version } = extension.packageJSON as { version: string };
  return `SSH Tunnels ${version}, VS Code ${vscode.version}, ${process.platform} ${process.arch}`;
}

export async function deactivate(): Promise<void> {
  await close?.();
}
