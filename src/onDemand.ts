// The parts that nobody needs before they are asked for: a file of its own in dist, so that a window starts without it.
// Builds them; nothing is decided here.
import { hostname, release, userInfo } from 'node:os';
import * as vscode from 'vscode';
import type { Engine } from './core/engine.js';
import type { Row } from './core/present.js';
import type { PresetKey } from './core/subject.js';
import type { BelowForward } from './ui/clientLists.js';
import { createAgentTools, type AgentTools } from './ui/agentTools.js';
import { createCommandHandlers, type CommandHandlers, type CommandParts } from './ui/commands.js';
import { editConfigs } from './ui/configEditor.js';
import { createDetailsView, type DetailsView } from './ui/details.js';
import { createDiagnostics, type MachineFacts } from './ui/diagnostics.js';
import type { DiagnosticsRecord } from './ui/diagnosticsRecord.js';
import { createExplanations } from './ui/explain.js';
import type { FailureWatch } from './ui/failureWatch.js';
import { localPort, type PortParts } from './ui/localPort.js';
import type { Log } from './ui/log.js';
import type { PresetAnswers } from './ui/presetAnswers.js';
import { dropPresets } from './ui/presetDrop.js';
import { editPresets } from './ui/presetEditor.js';
import { createPresetFiles } from './ui/presetFiles.js';
import { askInputs, type AskInputs } from './ui/presetInputs.js';
import { createStopping } from './ui/stopping.js';
import { createTunnelTasks, type TaskParts, type TunnelTasks } from './ui/tunnelTasks.js';

type Made = 'details' | 'diagnostics' | 'explanations' | 'localPort' | 'presetFiles' | 'stopping';

export interface OnDemandParts extends Omit<CommandParts, Made | 'engine' | 'log'> {
  engine: Engine;
  /** How the clients of a forward are asked for. */
  clients: Engine['clients'];
  diagnosticsRecord: DiagnosticsRecord;
  failures: FailureWatch;
  presetAnswers: PresetAnswers;
  taskParts: TaskParts & PortParts;
  log: Log;
}

export interface OnDemand extends vscode.Disposable {
  readonly agentTools: AgentTools;
  readonly tunnelTasks: TunnelTasks;
  readonly commandHandlers: CommandHandlers;
  readonly details: DetailsView;
  readonly askInputs: AskInputs;
  dropPresets(presets: readonly PresetKey[], target: Row | BelowForward): Promise<void>;
  /** Lenses, hovers, completions and marks in ssh_config and settings files. */
  editDocuments(): void;
}

export function buildOnDemand(parts: OnDemandParts): OnDemand {
  const { context, session, engine, configFile, configList, presentation, presetSettings, turns, messages, log } =
    parts;
  const stopping = createStopping(session, parts.clients, turns);
  const explanations = createExplanations(engine, messages, aboutText(context));
  const diagnostics = createDiagnostics(
    session,
    parts.diagnosticsRecord,
    engine,
    configFile,
    presetSettings,
    log,
    messages,
    machine(context),
  );
  const details = createDetailsView(
    context.extensionUri,
    session,
    engine,
    parts.tree,
    presetSettings,
    configList,
    parts.failures,
  );
  const presetFiles = createPresetFiles(messages);
  const commandHandlers = createCommandHandlers({
    ...parts,
    stopping,
    explanations,
    diagnostics,
    details,
    presetFiles,
    localPort: (given) => localPort(given, parts.taskParts),
  });
  const disposables: vscode.Disposable[] = [stopping, explanations, diagnostics, details];
  const { holds } = parts.taskParts;
  return {
    agentTools: createAgentTools(session, holds, parts.presets, presetSettings, () => engine.hosts(configFile())),
    tunnelTasks: createTunnelTasks(parts.taskParts),
    commandHandlers,
    details,
    askInputs,
    dropPresets: (presets, target) => dropPresets(presets, target, presetFiles, messages),
    editDocuments: () =>
      void disposables.push(
        editConfigs(session, presentation, configList, configFile),
        editPresets(engine, configFile, presetSettings, parts.presetAnswers),
      ),
    dispose: () => void vscode.Disposable.from(...disposables).dispose(),
  };
}

function machine({ extension }: vscode.ExtensionContext): MachineFacts {
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
