// "Copy Diagnostics": the text on the clipboard, and in an editor for who wants to read it first.
import * as vscode from 'vscode';
import { printDiagnostics, type Diagnostics, type Fact } from '../core/diagnostics.js';
import type { Engine } from '../core/engine.js';
import type { Names } from '../core/redaction.js';
import type { Session } from '../core/session.js';
import { t } from '../core/translate.js';
import { namesIn } from '../core/unnamed.js';
import { settings } from './contributions.js';
import { inTime } from './inTime.js';
import type { Log } from './log.js';
import type { Messages } from './messages.js';
import type { PresetSettings } from './presets.js';

export interface DiagnosticsCopier extends vscode.Disposable {
  /** Resolves when they are on the clipboard. */
  copy(): Promise<void>;
}

const address = vscode.Uri.from({ scheme: 'ssh-tunnels-diagnostics', path: '/SSH Tunnels Diagnostics' });
const rememberedEnds = 20;
/** Names of this window, besides those that its list and log have now. */
const rememberedNames = 10_000;
/** An engine that does not answer is no reason for none. */
const hostsWithinMs = 2000;

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
  const seen = { hosts: new Set<string>(), users: new Set<string>() };
  const remember = (value: unknown) => {
    const { hosts, users } = namesIn(value);
    for (const [all, found] of [
      [seen.hosts, hosts],
      [seen.users, users],
    ] as const)
      // prettier-ignore
      for (const name of found) if (all.size < rememberedNames) all.add(name);
  };
  let { tunnels } = session.state.wanted;
  remember(tunnels);
  const stop = session.onChange(({ wanted }, event) => {
    if (wanted.tunnels !== tunnels) remember((tunnels = wanted.tunnels));
    // A log line may name it long after. Where a proxy's clients want to go has no end, and is told in the event alone.
    if (event && event.kind !== 'channelFailed') remember(event);
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
        engineEnds,
        log: log.recent,
        names: {
          hosts: new Set([...machine.names.hosts, ...seen.hosts, ...(hosts ?? [])]),
          users: new Set([...machine.names.users, ...seen.users]),
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
