// Builds the parts and puts them together; nothing is decided here.
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Engine } from './core/engine.js';
import { createHolds } from './core/holds.js';
import { placeOf, usePlace, type Surroundings } from './core/machine.js';
import type { Presented } from './core/present.js';
import { createSession } from './core/session.js';
import { useTranslations } from './core/translate.js';
import { taskType } from './core/tunnelTask.js';
import { createTurns } from './core/turns.js';
import { createSandboxes } from './engine/sandboxThread.js';
import { startWorkerEngine } from './engine/workerEngine.js';
import { createAfterOpen } from './ui/afterOpen.js';
import type { AgentTools } from './ui/agentTools.js';
import type { SshTunnelsApi } from './ui/api.js';
import { answerAsks } from './ui/asks.js';
import { createClientLists } from './ui/clientLists.js';
import { createConfigList } from './ui/configList.js';
import { settings, views } from './ui/contributions.js';
import { recordForDiagnostics } from './ui/diagnosticsRecord.js';
import { configSelector, presetSelector } from './ui/documentSelectors.js';
import { createExtensionApi } from './ui/extensionApi.js';
import { watchFailures } from './ui/failureWatch.js';
import { openLinks } from './ui/links.js';
import { createLog } from './ui/log.js';
import { createMessages } from './ui/messages.js';
import { createNetworkConsents } from './ui/networkConsents.js';
import { createNotifications } from './ui/notifications.js';
import { ownMs } from './ui/ownTime.js';
import { createPortHolds } from './ui/portHolds.js';
import { createPresentation } from './ui/presentation.js';
import { createPresetAnswers } from './ui/presetAnswers.js';
import { dragPresets } from './ui/presetDrag.js';
import { createPresets, watchPresets } from './ui/presets.js';
import { registerAgentTools } from './ui/registerAgentTools.js';
import { registerCommands } from './ui/registerCommands.js';
import { createRestoring, tunnelsKey } from './ui/restore.js';
import { createSandboxTrial } from './ui/sandbox.js';
import { createSecrets } from './ui/secrets.js';
import { hostDefaults, noticeLevel, sshConfigFile, waits } from './ui/settings.js';
import { createStatusBar } from './ui/statusBar.js';
import { keepTerminalVariables } from './ui/terminalVariables.js';
import { createTree } from './ui/tree.js';
import { whenOpened } from './ui/whenOpened.js';
import type { OnDemand } from './onDemand.js';

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
  /** How long `activate` took, as `ownMs` counts. */
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
  const began = ownMs();
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
    async (...preset) => (await onDemand()).askInputs(...preset),
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
  const drag = dragPresets(async (presets, target) => (await onDemand()).dropPresets(presets, target));
  const tree = createTree(presentation, session, clientLists, configList, drag);
  const failures = watchFailures(session);
  const holds = createHolds(session);
  const extensionApi = createExtensionApi(session, holds, presets, presetSettings);
  const agentTools = registerAgentTools(async () => (await onDemand()).agentTools);
  const portHolds = createPortHolds();
  const taskParts = { session, engine, holds, portHolds, presets, presetSettings, messages };
  const sandboxes = createSandboxes(workerPath, join(context.globalStorageUri.fsPath, 'sandbox'));
  const sandboxTrial = createSandboxTrial(session, sandboxes, tree, messages, log);
  // At once: what the engine's end tells must not change the list that is kept.
  close = async () => void (await Promise.all([restoring.close(), engine.close(), sandboxTrial.close()]));
  const diagnosticsRecord = recordForDiagnostics(session);
  let built: OnDemand | undefined;
  let building: Promise<OnDemand> | undefined;
  const onDemand = () =>
    (building ??= import('./onDemand.js').then(({ buildOnDemand }) => {
      built = buildOnDemand({
        context,
        session,
        engine,
        clients,
        configFile,
        defaults,
        configList,
        diagnosticsRecord,
        failures,
        presentation,
        tree,
        notifications,
        presets,
        presetSettings,
        presetAnswers,
        turns,
        secrets,
        sandboxTrial,
        taskParts,
        messages,
        log,
      });
      context.subscriptions.push(built);
      return built;
    }));
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
    failures,
    extensionApi,
    agentTools,
    openLinks(presetSettings, tree, messages),
    sandboxTrial,
    diagnosticsRecord,
    createStatusBar(presentation),
    answerAsks(session, secrets, networkConsents, turns, messages, log),
    registerCommands(async () => (await onDemand()).commandHandlers),
    vscode.window.registerWebviewViewProvider(views.details, {
      resolveWebviewView: async (view) => (await onDemand()).details.resolveWebviewView(view),
    }),
    portHolds,
    vscode.tasks.registerTaskProvider(taskType, {
      provideTasks: async () => (await onDemand()).tunnelTasks.provideTasks(),
      resolveTask: async (task) => (await onDemand()).tunnelTasks.resolveTask(task),
    }),
    keepTerminalVariables(context, session, presetSettings, presets, log),
    whenOpened(
      () => [configSelector(configFile()), presetSelector],
      () => void onDemand().then(({ editDocuments }) => editDocuments()),
    ),
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
    detailsPaints: () => built?.details.paints ?? 0,
    kept: () => context.workspaceState.get(tunnelsKey),
    openByAgent: agentTools.open,
    activateMs: ownMs() - began,
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

export async function deactivate(): Promise<void> {
  await close?.();
}
