// The Tunnel Details view: what is known of the selected row. The engine is asked only while the view is seen.
import * as vscode from 'vscode';
import { noConfigForwards, configTunnel } from '../core/configForward.js';
import {
  actionRow,
  detailsActions,
  detailsOf,
  detailsTexts,
  type Details,
  type DetailsSubject,
} from '../core/details.js';
import type { Engine } from '../core/engine.js';
import { createPainter } from '../core/painter.js';
import { connectionOf, isPlanned, isWanted } from '../core/plan.js';
import { presetTunnels } from '../core/preset.js';
import { tunnelId, tunnelsOf, type NewTunnel, type Session, type Tunnel } from '../core/session.js';
import { findPreset, readSubjects, type Subject } from '../core/subject.js';
import type { ConfigList } from './configList.js';
import { commands, contextKeys, views } from './contributions.js';
import type { FailureWatch } from './failureWatch.js';
import type { PresetSettings } from './presets.js';
import type { Tree } from './tree.js';

export interface DetailsView extends vscode.Disposable {
  resolveWebviewView(view: vscode.WebviewView): void;
  /** Shows what a row is about, and the view. */
  show(row: Subject | undefined): Promise<void>;
  /** How often it was painted. */
  readonly paints: number;
}

/** The engine is asked twice a second at most, and once while nothing happens; the page is sent what has changed. */
const paintMs = 500;
const askMs = 1000;

export function createDetailsView(
  extensionUri: vscode.Uri,
  session: Session,
  engine: Pick<Engine, 'numbers' | 'way' | 'clients' | 'disconnect'>,
  tree: Pick<Tree, 'selection' | 'onDidSelect'>,
  presetSettings: PresetSettings,
  configList: Pick<ConfigList, 'current'>,
  failures: Pick<FailureWatch, 'notes'>,
): DetailsView {
  let row: Subject | undefined;
  let view: vscode.WebviewView | undefined;
  /** Its page is there and listens. */
  let isReady = false;
  let last = '';
  let lastAt = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  let asking: NodeJS.Timeout | undefined;
  let paints = 0;
  /** What the page shows: what is pressed there is about that. */
  let shown: { key: string; subject: DetailsSubject; row: Subject } | undefined;

  const listed = (tunnel: NewTunnel): Tunnel => {
    const id = tunnelId(tunnel);
    const known = session.state.wanted.tunnels.find((other) => other.id === id);
    return known ?? { ...tunnel, id, wish: 'stop', automatic: false, run: 0 };
  };
  const subjectOf = (of: Subject): DetailsSubject | undefined => {
    const { wanted } = session.state;
    const one = (tunnel: Tunnel | undefined): DetailsSubject | undefined => tunnel && { kind: 'tunnel', tunnel };
    switch (of.kind) {
      case 'forward':
        return one(wanted.tunnels.find(({ id }) => id === of.id));
      case 'client':
        return one(wanted.tunnels.find(({ id }) => id === of.forward));
      case 'connection':
        return tunnelsOf(wanted, of.id).length > 0 ? { kind: 'connection', id: of.id } : undefined;
      case 'configForward': {
        const { forwards } = configList.current ?? noConfigForwards;
        const found = forwards.map(configTunnel).find((tunnel) => tunnelId(tunnel) === of.id);
        return one(found && listed(found));
      }
      case 'preset': {
        const preset = findPreset(presetSettings.current.presets, of.preset);
        const own = (preset ? presetTunnels(preset) : []).map(listed);
        const running = own.filter(isPlanned);
        return own.length === 1 ? one(own[0]) : running.length === 1 ? one(running[0]) : undefined;
      }
      default:
        return undefined;
    }
  };

  const detailsNow = async (subject: DetailsSubject): Promise<Details> => {
    const connection = subject.kind === 'tunnel' ? connectionOf(subject.tunnel) : subject.id;
    const forward = subject.kind === 'tunnel' && isPlanned(subject.tunnel) ? subject.tunnel.id : undefined;
    const [numbers, way, clients] = await Promise.all([
      forward === undefined ? undefined : engine.numbers(forward),
      engine.way(connection),
      forward === undefined ? [] : engine.clients(forward),
    ]);
    return detailsOf(session.state, subject, { numbers, way, clients, failures: failures.notes, now: Date.now() });
  };

  const isSeen = () => view?.visible === true && isReady;
  const schedule = createPainter({
    isSeen,
    row: () => row,
    async read(of) {
      const subject = of && subjectOf(of);
      const details = subject && (await detailsNow(subject));
      return details && { details, shown: { key: details.subject, subject, row: of } };
    },
    async show(page) {
      shown = page?.shown;
      const message = { texts: detailsTexts(), ...(page && { details: page.details }) };
      const text = JSON.stringify(message);
      if (text === last) return;
      last = text;
      paints++;
      const hasArrived = await view?.webview.postMessage(message).then(Boolean, () => false);
      if (!hasArrived) last = '';
    },
    later(paint) {
      const begin = () => {
        lastAt = performance.now();
        paint();
      };
      timer = setTimeout(begin, Math.max(0, lastAt + paintMs - performance.now()));
    },
  });
  /** Asks on and on while it is seen and shows something. */
  const look = () => {
    const isAsked = isSeen() && row !== undefined;
    if (isAsked) asking ??= setInterval(schedule, askMs);
    else {
      clearInterval(asking);
      asking = undefined;
    }
    schedule();
  };

  const select = (next: Subject | undefined) => {
    // A row that goes, and one that several stand for, leave what was there.
    if (!next) return;
    row = next;
    look();
  };

  const selectOne = (chosen: Tree['selection']) => {
    const [first, ...others] = readSubjects(chosen[0], chosen) ?? [];
    select(others.length === 0 ? first : undefined);
  };

  const onMessage = (message: unknown) => {
    const { kind, subject, action, client } = (message ?? {}) as Record<string, unknown>;
    if (kind === 'ready') {
      isReady = true;
      last = '';
      return look();
    }
    if (!shown || subject !== shown.key) return;
    if (kind === 'close' && typeof client === 'number' && shown.subject.kind === 'tunnel')
      return engine.disconnect(shown.subject.tunnel.id, client);
    const known = detailsActions.find((one) => one === action);
    if (kind !== 'action' || !known) return;
    const of = actionRow(known, shown.subject, shown.row, presetSettings.current.presets);
    void vscode.commands.executeCommand(of.kind === 'preset' ? commands.startPreset : commands[known], of);
  };

  const parts = vscode.Disposable.from(tree.onDidSelect(selectOne), { dispose: session.onChange(schedule) });
  selectOne(tree.selection);
  return {
    resolveWebviewView(opened) {
      view = opened;
      isReady = false;
      const { webview } = opened;
      const dist = vscode.Uri.joinPath(extensionUri, 'dist');
      webview.options = { enableScripts: true, localResourceRoots: [dist] };
      const parts = vscode.Disposable.from(
        webview.onDidReceiveMessage(onMessage),
        opened.onDidChangeVisibility(() => {
          // Its page goes when it is hidden, and says so when it is back.
          if (!opened.visible) isReady = false;
          look();
        }),
      );
      opened.onDidDispose(() => {
        parts.dispose();
        if (view !== opened) return;
        view = undefined;
        look();
      });
      webview.html = pageOf(webview, dist);
    },
    async show(given) {
      const [first] = readSubjects(tree.selection[0], tree.selection) ?? [];
      // Who asks for details with nothing selected means a tunnel that is there.
      const { tunnels } = session.state.wanted;
      const shownFirst = tunnels.find(isWanted) ?? tunnels[0];
      select(given ?? first ?? (shownFirst && { kind: 'forward', id: shownFirst.id }));
      await vscode.commands.executeCommand('setContext', contextKeys.detailsAsked, true);
      await vscode.commands.executeCommand(`${views.details}.focus`);
    },
    get paints() {
      return paints;
    },
    dispose() {
      view = undefined;
      clearTimeout(timer);
      clearInterval(asking);
      parts.dispose();
    },
  };
}

function pageOf(webview: vscode.Webview, dist: vscode.Uri): string {
  const nonce = crypto.randomUUID();
  const uri = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(dist, name)).toString();
  const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src ${webview.cspSource}`;
  const language = vscode.env.language.replace(/[^\w-]/g, '');
  return `<!DOCTYPE html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tunnel Details</title>
<link rel="stylesheet" href="${uri('details.css')}">
</head>
<body>
<main id="details"></main>
<script nonce="${nonce}" src="${uri('details.js')}"></script>
</body>
</html>`;
}
