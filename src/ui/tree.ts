import * as vscode from 'vscode';
import {
  statusText,
  type ConfigForwardRow,
  type ConnectionRow,
  type ForwardRow,
  type Presented,
  type PresetGroupRow,
  type PresetRow,
  type Row,
  type Status,
} from '../core/present.js';
import { placeText } from '../core/machine.js';
import type { Session } from '../core/session.js';
import { samePreset, type PresetKey } from '../core/subject.js';
import { t } from '../core/translate.js';
import type { BelowForward, ClientChange, ClientLists } from './clientLists.js';
import type { ConfigList } from './configList.js';
import { commands, contextKeys, views } from './contributions.js';
import { paragraphs } from './markdown.js';
import type { Presentation } from './presentation.js';
import { rowFlags, type RowFlag } from './rowFlags.js';

type TreeRow = Row | BelowForward;

/** How long a tooltip is left to be read in a row that counts down. */
const readingMs = 8000;

export interface Tree extends vscode.Disposable {
  readonly selection: readonly TreeRow[];
  readonly onDidSelect: vscode.Event<readonly TreeRow[]>;
  /** Shows the view with the forward selected. */
  reveal(forward: string): Promise<void>;
  /** The same with a preset. */
  revealPreset(preset: PresetKey): Promise<void>;
}

export function createTree(
  presentation: Presentation,
  session: Session,
  clientLists: ClientLists,
  configList: Pick<ConfigList, 'read'>,
  drag: vscode.TreeDragAndDropController<Row | BelowForward>,
): Tree {
  const changed = new vscode.EventEmitter<TreeRow[] | undefined>();
  const selected = new vscode.EventEmitter<readonly TreeRow[]>();
  /** The rows on the screen by id: VS Code knows a row as the very object that it was given, whatever it says now. */
  const shown = new Map<string, { given: TreeRow; now: TreeRow }>();
  /** Rows that stand otherwise than at first: forwards that were opened, other rows that were closed. */
  const toggled = new Set<string>();
  /** Rows whose tooltip was asked for while they count down, and until when it may be read, in ms since 1970. */
  const read = new Map<string, number>();
  let drawn: Presented = { rows: [], ready: 0 };
  let endProgress: (() => void) | undefined;

  const nowOf = (row: TreeRow) => shown.get(rowId(row))?.now ?? row;
  const give = (rows: readonly TreeRow[]): TreeRow[] => {
    for (const row of rows) shown.set(rowId(row), { given: row, now: row });
    return [...rows];
  };
  const provider: vscode.TreeDataProvider<TreeRow> = {
    onDidChangeTreeData: changed.event,
    async getChildren(row) {
      if (row?.kind !== 'forward') return give(row ? childrenOf(nowOf(row)) : presentation.presented.rows);
      toggle(row, true);
      const now = nowOf(row);
      return give(now.kind === 'forward' && now.hasClients ? await clientLists.rows(row.id) : []);
    },
    getParent: (row) => allRows(presentation.presented.rows).find((parent) => childrenOf(parent).some(isRow(row))),
    getTreeItem(row) {
      const now = nowOf(row);
      const item = treeItem(now, flagsOf(now));
      if (countsDown(now)) item.tooltip = undefined;
      return item;
    },
    // Called when a row's tooltip is to be shown.
    resolveTreeItem(item, row) {
      const now = nowOf(row);
      if (!countsDown(now)) return item;
      read.set(rowId(row), Date.now() + readingMs);
      item.tooltip = paragraphs(now.tooltip);
      return item;
    },
  };
  const view = vscode.window.createTreeView(views.tunnels, {
    treeDataProvider: provider,
    dragAndDropController: drag,
    canSelectMany: true,
  });

  const flagsOf = (row: TreeRow) =>
    row.kind === 'forward' || row.kind === 'configForward' ? rowFlags(row, session.state) : [];

  const toggle = (row: TreeRow, isToggled: boolean) => {
    if (isToggled) toggled.add(rowId(row));
    else toggled.delete(rowId(row));
    look();
  };
  /** Clients are read only while they can be seen. */
  const look = () => {
    const opened = presentation.presented.rows
      .filter((row) => row.kind === 'connection' && !toggled.has(rowId(row)))
      .flatMap((row) => (row.kind === 'connection' ? row.forwards : []))
      .filter((row) => toggled.has(rowId(row)) && row.hasClients);
    clientLists.look(view.visible ? opened.map(({ id }) => id) : []);
  };
  const redraw = () => {
    shown.clear();
    changed.fire(undefined);
  };
  /** Draws only the rows that say something else now: below a forward there may be many. */
  const redrawChanged = (before: Presented, after: Presented) => {
    const isSame = (one: readonly Row[], other: readonly Row[]) =>
      JSON.stringify(one.map((row) => rowId(row))) === JSON.stringify(other.map((row) => rowId(row)));
    if (!isSame(before.rows, after.rows)) return redraw();
    const changedOf = (old: Row, now: Row): Row[] => {
      const [below, children] = [childrenOf(old), childrenOf(now)];
      const textOf = isRead(now) ? calmText : ownText;
      if (!isSame(below, children) || textOf(old) !== textOf(now)) return [now];
      return children.flatMap((child, at) => changedOf(below[at]!, child));
    };
    for (const row of allRows(after.rows)) {
      const known = shown.get(rowId(row));
      if (known) known.now = row;
    }
    const changedRows = after.rows.flatMap((row, index) => changedOf(before.rows[index]!, row));
    const given = changedRows.flatMap((row) => shown.get(rowId(row))?.given ?? []);
    if (given.length > 0) changed.fire(given);
  };
  /** To draw a row closes its tooltip, and those of the rows below it. */
  const isRead = (row: Row) => allRows([row]).some((one) => (read.get(rowId(one)) ?? 0) > Date.now());
  const redrawBelow = (change: ClientChange) => {
    const ids = change.kind === 'rows' ? [rowId({ kind: 'forward', id: change.forward })] : change.rows.map(rowId);
    if (change.kind === 'words')
      for (const row of change.rows) {
        const known = shown.get(rowId(row));
        if (known) known.now = row;
      }
    changed.fire(ids.flatMap((id) => shown.get(id)?.given ?? []));
  };

  const show = (presented: Presented) => {
    for (const row of forwardsOf(presented)) if (!row.hasClients) toggled.delete(rowId(row));
    const ids = allRows(presented.rows).map((row) => rowId(row));
    for (const id of toggled) if (!ids.includes(id)) toggled.delete(id);
    for (const id of read.keys()) if (!ids.includes(id)) read.delete(id);
    look();
    redrawChanged(drawn, presented);
    drawn = presented;
    // Above no rows at all it would take the place of what is said to a newcomer.
    view.message = presented.rows.length > 0 ? placeText() : undefined;
    const { ready } = presented;
    view.badge =
      ready === 0
        ? undefined
        : { value: ready, tooltip: ready === 1 ? t('1 tunnel ready') : t('{ready} tunnels ready', { ready }) };
    const forwards = forwardsOf(presented);
    const states = forwards.map((row) => (flagsOf(row).includes('elsewhere') ? `${row.status}.elsewhere` : row.status));
    if (states.includes('connecting')) {
      if (!endProgress)
        void vscode.window.withProgress(
          { location: { viewId: views.tunnels } },
          () => new Promise<void>((resolve) => (endProgress = resolve)),
        );
    } else {
      endProgress?.();
      endProgress = undefined;
    }
    const flags = forwards.flatMap(flagsOf);
    setContext(contextKeys.tunnels, [...new Set([...states, ...flags])].join(' '));
    setContext(contextKeys.presets, [...new Set(presetStates(presented))].join(' '));
    setContext(contextKeys.config, [...new Set(configStates(presented))].join(' '));
  };

  /** What stands in ssh_config is read once it can be seen: that takes the engine's thread. */
  const readConfig = () => {
    if (view.visible) void configList.read();
  };
  readConfig();
  presentation.look(view.visible);

  const parts = vscode.Disposable.from(
    view,
    changed,
    selected,
    view.onDidChangeSelection(({ selection }) => selected.fire(selection)),
    presentation.onDidChange(show),
    clientLists.onDidChange(redrawBelow),
    view.onDidExpandElement(({ element }) => toggle(element, element.kind === 'forward')),
    view.onDidCollapseElement(({ element }) => toggle(element, element.kind !== 'forward')),
    view.onDidChangeVisibility(({ visible }) => {
      presentation.look(visible);
      readConfig();
      look();
      // What was read of clients before it was hidden is old. Without them VS Code draws it anyway, and a row that is
      // pressed while it is drawn once more would be lost to its command.
      if (visible && toggled.size > 0) redraw();
    }),
    view.onDidChangeSelection(({ selection: [row, ...others] }) =>
      setContext(contextKeys.selected, row && others.length === 0 ? contextValue(nowOf(row), flagsOf(nowOf(row))) : ''),
    ),
    { dispose: () => endProgress?.() },
  );
  const reveal = async (isMeant: (row: Row) => boolean): Promise<void> => {
    presentation.flush();
    const row = allRows(presentation.presented.rows).find(isMeant);
    if (!row) return;
    await view.reveal(row, { select: true, focus: true });
    // It shows the row as it was when asked to reveal it, and what has changed since would stay unseen.
    redraw();
  };
  return {
    get selection() {
      return view.selection;
    },
    onDidSelect: selected.event,
    reveal: (forward) => reveal((row) => row.kind === 'forward' && row.id === forward),
    revealPreset: (preset) => reveal((row) => row.kind === 'preset' && samePreset(row.preset, preset)),
    dispose: () => void parts.dispose(),
  };
}

function setContext(key: string, value: string): void {
  void vscode.commands.executeCommand('setContext', key, value);
}

function forwardsOf({ rows }: Presented) {
  return rows.flatMap((row) => (row.kind === 'connection' ? row.forwards : []));
}

function presetStates({ rows }: Presented): string[] {
  const all = rows.flatMap((row) => (row.kind === 'presets' ? allRows([row]) : []));
  return all.flatMap((row) => {
    if (row.kind === 'preset') return presetState(row);
    return row.kind === 'presetGroup' ? groupFlags(row).map((flag) => `group.${flag}`) : [];
  });
}

function configStates({ rows }: Presented): Status[] {
  const all = rows.flatMap((row) => (row.kind === 'sshConfig' ? allRows([row]) : []));
  return all.flatMap((row) => (row.kind === 'configForward' ? row.status : []));
}

function groupFlags({ canStart, canStop }: PresetGroupRow): string[] {
  return [...(canStart ? ['canStart'] : []), ...(canStop ? ['canStop'] : [])];
}

function presetState({ status, isPartly, isElsewhere, locked }: PresetRow): string[] {
  return locked === undefined
    ? [status, ...(isPartly ? ['partly'] : []), ...(isElsewhere ? ['elsewhere'] : [])]
    : ['locked'];
}

/** Those that are there without asking the engine. */
function childrenOf(row: TreeRow): readonly Row[] {
  switch (row.kind) {
    case 'connection':
      return row.forwards;
    case 'presets':
    case 'presetGroup':
    case 'sshConfig':
      return row.rows;
    case 'configHost':
      return row.forwards;
    default:
      return [];
  }
}

/** With all that is below them. */
function allRows(rows: readonly Row[]): Row[] {
  return rows.flatMap((row) => [row, ...allRows(childrenOf(row))]);
}

/** What a row itself says. */
function ownText(row: Row): string {
  return JSON.stringify({ ...row, forwards: undefined, rows: undefined });
}

/** The same without what counts down. */
function calmText(row: Row): string {
  return ownText(countsDown(row) ? { ...row, description: row.spoken } : row);
}

function countsDown(row: TreeRow): row is (ConnectionRow | ForwardRow | ConfigForwardRow) & { spoken: string } {
  return 'spoken' in row && row.spoken !== undefined;
}

/** The same row, also when it was made by another `present`. */
function isRow(row: TreeRow): (other: TreeRow) => boolean {
  const id = rowId(row);
  return (other) => rowId(other) === id;
}

type RowKey<R extends TreeRow = TreeRow> = R extends ForwardRow | ConfigForwardRow ? Pick<R, 'kind' | 'id'> : R;

function rowId(row: RowKey): string {
  switch (row.kind) {
    case 'connection':
    case 'forward':
    case 'configForward':
      return `${row.kind} ${row.id}`;
    case 'configHost':
      return `${row.kind} ${row.host}`;
    case 'configProblem':
      return `${row.kind} ${JSON.stringify([row.origin, row.label])}`;
    case 'client':
      return `${row.kind} ${JSON.stringify([row.forward, row.id])}`;
    case 'note':
      return `${row.kind} ${row.forward}`;
    case 'presets':
    case 'sshConfig':
      return row.kind;
    case 'presetGroup':
      return `${row.kind} ${row.name}`;
    case 'preset':
      return `${row.kind} ${JSON.stringify([row.preset.scope, row.preset.name])}`;
    case 'problem':
      return `${row.kind} ${JSON.stringify([row.scope, row.label])}`;
  }
}

function contextValue(row: TreeRow, flags: readonly RowFlag[]): string {
  switch (row.kind) {
    case 'connection':
    case 'configHost': {
      const isPartly = row.kind === 'configHost' && row.isPartly;
      return [row.kind, row.status, ...(isPartly ? ['partly'] : []), ...(row.isElsewhere ? ['elsewhere'] : [])].join(
        '.',
      );
    }
    case 'forward':
    case 'configForward':
      // One that is drained is stopped and is not.
      return [row.kind, ...(flags.includes('draining') ? [] : [row.status]), ...flags].join('.');
    case 'preset':
      // Of several forwards the details show none.
      return [row.kind, ...presetState(row), ...(row.preset.forwards.length === 1 ? ['single'] : [])].join('.');
    case 'presetGroup':
      return [row.kind, row.locked === undefined ? row.status : 'locked', ...groupFlags(row)].join('.');
    case 'client':
    case 'note':
    case 'presets':
    case 'problem':
    case 'sshConfig':
    case 'configProblem':
      return row.kind;
  }
}

function treeItem(row: TreeRow, flags: readonly RowFlag[]): vscode.TreeItem {
  const item = new vscode.TreeItem(labelOf(row));
  item.id = rowId(row);
  item.contextValue = contextValue(row, flags);
  item.iconPath = icon(row, flags);
  if (['connection', 'presets', 'presetGroup', 'sshConfig', 'configHost'].includes(row.kind))
    item.collapsibleState = vscode.TreeItemCollapsibleState.Expanded;
  if (row.kind === 'forward' && row.hasClients) item.collapsibleState = vscode.TreeItemCollapsibleState.Collapsed;
  if (row.kind === 'presets' || row.kind === 'sshConfig') return item;
  if (row.kind === 'note') {
    item.description = row.text;
    item.accessibilityInformation = { label: row.text };
    return item;
  }
  item.tooltip = paragraphs(row.tooltip);
  item.accessibilityInformation = { label: spoken(row) };
  if (row.kind === 'problem') {
    item.command = { command: commands.editPresets, title: t('Open Settings'), arguments: [row] };
    return item;
  }
  if (row.kind === 'configProblem') {
    item.command = { command: commands.goToDefinition, title: t('Go to Definition'), arguments: [row] };
    return item;
  }
  item.description = row.description;
  if (row.kind === 'preset' && row.status === 'stopped')
    item.command = { command: commands.startPreset, title: t('Start Preset'), arguments: [row] };
  return item;
}

function labelOf(row: TreeRow): string {
  switch (row.kind) {
    case 'presets':
      return t('Presets');
    case 'sshConfig':
      return 'ssh_config';
    case 'note':
      return '';
    default:
      return row.label;
  }
}

/** What a screen reader says of a row. */
function spoken(row: Exclude<TreeRow, { kind: 'presets' | 'sshConfig' | 'note' }>): string {
  const said = (parts: readonly string[]) =>
    parts
      .join(', ')
      .replaceAll(' → ', ` ${t('to')} `)
      .replaceAll(' · ', ', ');
  switch (row.kind) {
    case 'connection':
      return said([t('SSH connection to {label}', { label: row.label }), row.spoken ?? row.description]);
    case 'configHost':
      return said([t('Host {label} of ssh_config', { label: row.label }), row.description]);
    case 'forward':
    case 'configForward':
      return (
        said([t('Tunnel {label}', { label: row.label }), row.spoken ?? (row.description || statusText(row.status))]) +
        (row.problem === undefined ? '' : `. ${row.problem}`)
      );
    case 'client':
      return t('Connection {said}', { said: said([...row.tooltip]) });
    case 'preset':
      return said([
        t('Preset {label}', { label: row.label }),
        row.description,
        ...(row.status === 'stopped' && !row.locked ? [statusText('stopped')] : []),
      ]);
    case 'presetGroup':
      return t('Group {name}: {description}', { name: row.label, description: said([row.description]) });
    case 'problem':
    case 'configProblem':
      return t('Problem in {label}', { label: row.label });
  }
}

function icon(row: TreeRow, flags: readonly RowFlag[]): vscode.ThemeIcon | undefined {
  switch (row.kind) {
    case 'connection':
    case 'configHost':
    case 'preset': {
      if (row.kind === 'preset' && row.locked !== undefined) return new vscode.ThemeIcon('lock');
      if (row.kind === 'preset' && hasLooks(row)) return ownIcon(row);
      if (row.status !== 'ready') return statusIcon(row.status);
      return readyIcon(row);
    }
    case 'presetGroup':
      if (row.locked !== undefined) return new vscode.ThemeIcon('lock');
      if (row.status === 'stopped') return new vscode.ThemeIcon('folder');
      return row.status === 'ready' ? readyIcon(row) : statusIcon(row.status);
    case 'forward':
    case 'configForward':
      if (flags.includes('draining')) return new vscode.ThemeIcon('debug-pause');
      if (row.status !== 'ready') return statusIcon(row.status);
      if (row.problem !== undefined) return themed('warning', 'list.warningForeground');
      if (row.isOpen) return themed('broadcast', 'list.warningForeground');
      return readyIcon({ isElsewhere: flags.includes('elsewhere'), isIdle: flags.includes('idle') });
    case 'client':
      return new vscode.ThemeIcon(row.isParked ? 'debug-pause' : 'arrow-swap');
    case 'note':
      return undefined;
    case 'presets':
      return new vscode.ThemeIcon('bookmark');
    case 'sshConfig':
      return new vscode.ThemeIcon('file-code');
    case 'problem':
    case 'configProblem':
      return themed('warning', 'list.warningForeground');
  }
}

/** A preset’s own icon and colour stand for it while nothing of its state asks for attention; the words tell whether it runs. */
function hasLooks({ preset, status, isElsewhere }: PresetRow): boolean {
  const isCalm = (status === 'ready' || status === 'stopped') && !isElsewhere;
  return isCalm && (preset.icon !== undefined || preset.color !== undefined);
}

function ownIcon({ preset: { icon, color }, status }: PresetRow): vscode.ThemeIcon {
  const name = icon ?? (status === 'ready' ? 'pass-filled' : 'circle-outline');
  if (color !== undefined) return themed(name, `charts.${color}`);
  return status === 'ready' ? themed(name, 'testing.iconPassed') : new vscode.ThemeIcon(name);
}

function readyIcon({ isElsewhere, isIdle }: { isElsewhere?: boolean; isIdle?: boolean }): vscode.ThemeIcon {
  if (isElsewhere) return themed('multiple-windows', 'testing.iconPassed');
  return isIdle ? themed('pass', 'testing.iconPassed') : statusIcon('ready');
}

/** Told apart by shape; the colour only helps. */
function statusIcon(status: Status): vscode.ThemeIcon {
  switch (status) {
    case 'connecting':
      return new vscode.ThemeIcon('sync~spin');
    case 'ready':
      return themed('pass-filled', 'testing.iconPassed');
    case 'retrying':
      return themed('history', 'list.warningForeground');
    case 'failed':
      return themed('error', 'list.errorForeground');
    case 'stopped':
      return new vscode.ThemeIcon('circle-outline');
  }
}

function themed(name: string, color: string): vscode.ThemeIcon {
  return new vscode.ThemeIcon(name, new vscode.ThemeColor(color));
}
