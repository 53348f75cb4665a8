// "Copy Diagnostics": the text on the clipboard, and in an editor for who wants to read it first.
import * as vscode from 'vscode';
import { printDiagnostics, type Diagnostics, type Fact } from '../core/diagnostics.js';
import type { Engine } from '../core/engine.js';
import type { Names } from '../core/redaction.js';
import type { Session } from '../core/session.js';
import { settings } from './contributions.js';
import type { Log } from './log.js';
import type { Messages } from './messages.js';
import type { PresetSettings } from './presets.js';

export interface DiagnosticsCopier extends vscode.Disposable {
  /** Resolves when they are on the clipboard. */
  copy(): Promise<void>;
}

const address = vscode.Uri.from({ scheme: 'ssh-tunnels-diagnostics', path: '/SSH Tunnels Diagnostics' });
const rememberedEnds = 20;

/** `machine`: what the extension runs on, and the names that this machine and its user have. */
export function createDiagnostics(
  session: Session,
  engine: Pick<Engine, 'hosts'>,
  configFile: () => string | undefined,
  presetSettings: PresetSettings,
  log: Log,
  messages: Messages,
  machine: { versions: readonly Fact[]; names: Names },
): DiagnosticsCopier {
  let text = '';
  const engineEnds: Diagnostics['engineEnds'][number][] = [];
  const changed = new vscode.EventEmitter<vscode.Uri>();
  const stop = session.onChange((_, event) => {
    if (event?.kind !== 'engineEnded') return;
    engineEnds.splice(0, engineEnds.length - rememberedEnds + 1);
    engineEnds.push({ at: Date.now(), detail: event.detail, isRestarted: event.isRestarted === true });
  });
  const parts = vscode.Disposable.from(
    { dispose: stop },
    changed,
    vscode.workspace.registerTextDocumentContentProvider(address.scheme, {
      onDidChange: changed.event,
      provideTextDocumentContent: () => text,
    }),
  );
  const offer = async (): Promise<void> => {
    const open = 'Open';
    const said = 'Diagnostics are on the clipboard. Names of hosts and users are replaced in them.';
    if ((await messages.show('information', said, open)) !== open) return;
    const document = await vscode.workspace.openTextDocument(address);
    await vscode.window.showTextDocument(await vscode.languages.setTextDocumentLanguage(document, 'markdown'), {
      preview: false,
    });
  };
  return {
    async copy() {
      const hosts = await engine.hosts(configFile());
      text = printDiagnostics({
        versions: [...versionsHere(), ...machine.versions],
        settings: settingValues(presetSettings),
        session: session.state,
        engineEnds,
        log: log.recent,
        names: { hosts: new Set([...machine.names.hosts, ...hosts]), users: machine.names.users },
        now: Date.now(),
      });
      changed.fire(address);
      await vscode.env.clipboard.writeText(text);
      void offer();
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

function settingValues({ current }: PresetSettings): Fact[] {
  const configuration = vscode.workspace.getConfiguration();
  return Object.values(settings).map((name): Fact => {
    if (name !== settings.presets) return [name, JSON.stringify(configuration.get<unknown>(name)) ?? 'none'];
    const ofUser = current.presets.filter(({ scope }) => scope.kind === 'user').length;
    const counts = [`${ofUser} of the user`, `${current.presets.length - ofUser} of the workspace`];
    return [name, [...counts, `${current.problems.length} problems`].join(', ')];
  });
}
