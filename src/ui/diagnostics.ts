// "Copy Diagnostics": the text on the clipboard, and in an editor for who wants to read it first.
import * as vscode from 'vscode';
import { printDiagnostics, type Diagnostics, type Fact } from '../core/diagnostics.js';
import type { Engine } from '../core/engine.js';
import type { Names } from '../core/redaction.js';
import type { Session } from '../core/session.js';
import { t } from '../core/translate.js';
import { settings } from './contributions.js';
import type { DiagnosticsRecord } from './diagnosticsRecord.js';
import { inTime } from './inTime.js';
import type { Log } from './log.js';
import type { Messages } from './messages.js';
import type { PresetSettings } from './presets.js';

/** What the extension runs on, and the names that this machine and its user have. */
export interface MachineFacts {
  versions: readonly Fact[];
  names: Names;
}

export interface DiagnosticsCopier extends vscode.Disposable {
  /** Resolves when they are on the clipboard. */
  copy(): Promise<void>;
}

const address = vscode.Uri.from({ scheme: 'ssh-tunnels-diagnostics', path: '/SSH Tunnels Diagnostics' });
/** An engine that does not answer is no reason for none. */
const hostsWithinMs = 2000;

export function createDiagnostics(
  session: Session,
  record: DiagnosticsRecord,
  engine: Pick<Engine, 'hosts'>,
  configFile: () => string | undefined,
  presetSettings: PresetSettings,
  log: Log,
  messages: Messages,
  machine: MachineFacts,
): DiagnosticsCopier {
  let text = '';
  const changed = new vscode.EventEmitter<vscode.Uri>();
  const parts = vscode.Disposable.from(
    changed,
    vscode.workspace.registerTextDocumentContentProvider(address.scheme, {
      onDidChange: changed.event,
      provideTextDocumentContent: () => text,
    }),
  );
  const offer = async (lacksConfigHosts: boolean): Promise<void> => {
    const open = t('Open');
    const said = [
      t('Diagnostics are on the clipboard. Names of hosts and users are replaced in them.'),
      ...(lacksConfigHosts ? [t('The hosts of ssh_config could not be read for that: look for their names.')] : []),
    ].join(' ');
    if ((await messages.show('information', said, open)) !== open) return;
    const document = await vscode.workspace.openTextDocument(address);
    await vscode.window.showTextDocument(await vscode.languages.setTextDocumentLanguage(document, 'markdown'), {
      preview: false,
    });
  };
  return {
    async copy() {
      const hosts = await inTime(hostsWithinMs, engine.hosts(configFile()));
      text = printDiagnostics({
        versions: [...versionsHere(), ...machine.versions],
        presets: presetCounts(presetSettings),
        settings: settingValues(),
        session: session.state,
        engineEnds: record.engineEnds,
        log: log.recent,
        names: {
          hosts: new Set([...machine.names.hosts, ...record.names.hosts, ...(hosts ?? [])]),
          users: new Set([...machine.names.users, ...record.names.users]),
        },
        lacksConfigHosts: hosts === undefined,
        now: Date.now(),
      });
      changed.fire(address);
      await vscode.env.clipboard.writeText(text);
      void offer(hosts === undefined);
    },
    dispose: () => void parts.dispose(),
  };
}

function versionsHere(): Fact[] {
  const { appName, remoteName, uiKind } = vscode.env;
  const isWeb = uiKind === vscode.UIKind.Web;
  return [
    ['VS Code', `${vscode.version} (${appName}, ${isWeb ? 'in a browser' : 'on a desktop'})`],
    ['Remote', remoteName ?? 'none'],
    ['Workspace', vscode.workspace.isTrusted ? 'trusted' : 'not trusted'],
  ];
}

function settingValues(): Diagnostics['settings'] {
  const configuration = vscode.workspace.getConfiguration();
  const named = Object.values(settings).filter((name) => name !== settings.presets);
  return named.map((name) => [name, configuration.get<unknown>(name)]);
}

function presetCounts({ current }: PresetSettings): Fact {
  const ofUser = current.presets.filter(({ scope }) => scope.kind === 'user').length;
  const counts = [`${ofUser} of the user`, `${current.presets.length - ofUser} of the workspace`];
  return [settings.presets, [...counts, `${current.problems.length} problems`].join(', ')];
}
