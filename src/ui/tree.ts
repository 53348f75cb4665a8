import * as vscode from 'vscode';
import type { Presented, Row, Status } from '../core/present.js';
import { commands, contextKeys, views } from './contributions.js';
import { paragraphs } from './markdown.js';
import type { Presentation } from './presentation.js';

export interface Tree extends vscode.Disposable {
  readonly selection: readonly Row[];
  /** Shows the view with the forward selected. */
  reveal(forward: string): Promise<void>;
}

export function createTree(presentation: Presentation): Tree {
  const changed = new vscode.EventEmitter<void>();
  const provider: vscode.TreeDataProvider<Row> = {
    onDidChangeTreeData: changed.event,
    getChildren: (row) => [...(row ? childrenOf(row) : presentation.presented.rows)],
    getParent: (row) => presentation.presented.rows.find((parent) => childrenOf(parent).some(isRow(row))),
    getTreeItem: treeItem,
  };
  const view = vscode.window.createTreeView(views.tunnels, {
    treeDataProvider: provider,
    canSelectMany: true,
  });
  let endProgress: (() => void) | undefined;

  const show = (presented: Presented) => {
    changed.fire();
    const { ready } = presented;
    view.badge =
      ready === 0 ? undefined : { value: ready, tooltip: ready === 1 ? '1 tunnel ready' : `${ready} tunnels ready` };
    const states = forwardsOf(presented).map(({ status }) => status);
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
    setContext(contextKeys.tunnels, [...new Set(states)].join(' '));
    setContext(contextKeys.presets, [...new Set(presetStates(presented))].join(' '));
  };

  const parts = vscode.Disposable.from(
    view,
    changed,
    presentation.onDidChange(show),
    view.onDidChangeSelection(({ selection: [row, ...others] }) =>
      setContext(contextKeys.selected, row && others.length === 0 ? contextValue(row) : ''),
    ),
    { dispose: () => endProgress?.() },
  );
  return {
    get selection() {
      return view.selection;
    },
    async reveal(forward) {
      presentation.flush();
      const row = forwardsOf(presentation.presented).find(({ id }) => id === forward);
      if (!row) return;
      await view.reveal(row, { select: true, focus: true });
      // It shows the row as it was when asked to reveal it, and what has changed since would stay unseen.
      changed.fire();
    },
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
  return rows
    .flatMap((row) => (row.kind === 'presets' ? row.rows : []))
    .flatMap((row) => (row.kind === 'preset' ? [row.locked === undefined ? row.status : 'locked'] : []));
}

function childrenOf(row: Row): readonly Row[] {
  switch (row.kind) {
    case 'connection':
      return row.forwards;
    case 'presets':
      return row.rows;
    case 'forward':
    case 'preset':
    case 'problem':
      return [];
  }
}

/** The same row, also when it was made by another `present`. */
function isRow(row: Row): (other: Row) => boolean {
  const id = rowId(row);
  return (other) => rowId(other) === id;
}

function rowId(row: Row): string {
  switch (row.kind) {
    case 'connection':
    case 'forward':
      return `${row.kind} ${row.id}`;
    case 'presets':
      return row.kind;
    case 'preset':
      return `${row.kind} ${JSON.stringify([row.preset.scope, row.preset.name])}`;
    case 'problem':
      return `${row.kind} ${JSON.stringify([row.scope, row.label])}`;
  }
}

function contextValue(row: Row): string {
  switch (row.kind) {
    case 'connection':
    case 'forward':
      return `${row.kind}.${row.status}`;
    case 'preset':
      return `${row.kind}.${row.locked === undefined ? row.status : 'locked'}`;
    case 'presets':
    case 'problem':
      return row.kind;
  }
}

function treeItem(row: Row): vscode.TreeItem {
  const label = row.kind === 'presets' ? 'Presets' : row.label;
  const item = new vscode.TreeItem(label);
  item.id = rowId(row);
  item.contextValue = contextValue(row);
  item.iconPath = icon(row);
  if (row.kind === 'connection' || row.kind === 'presets')
    item.collapsibleState = vscode.TreeItemCollapsibleState.Expanded;
  if (row.kind === 'presets') return item;
  item.tooltip = paragraphs(row.tooltip);
  item.accessibilityInformation = { label: spoken(row) };
  if (row.kind === 'problem') {
    item.command = { command: commands.editPresets, title: 'Open Settings', arguments: [row] };
    return item;
  }
  item.description = row.description;
  if (row.kind === 'preset' && row.status === 'stopped')
    item.command = { command: commands.startPreset, title: 'Start Preset', arguments: [row] };
  return item;
}

/** What a screen reader says of a row. */
function spoken(row: Exclude<Row, { kind: 'presets' }>): string {
  const said = (parts: readonly string[]) => parts.join(', ').replaceAll(' → ', ' to ').replaceAll(' · ', ', ');
  switch (row.kind) {
    case 'connection':
      return said([`SSH connection to ${row.label}`, row.description]);
    case 'forward':
      return said([`Tunnel ${row.label}`, row.description]) + (row.problem === undefined ? '' : `. ${row.problem}`);
    case 'preset':
      return said([
        `Preset ${row.label}`,
        row.description,
        ...(row.status === 'stopped' && !row.locked ? ['stopped'] : []),
      ]);
    case 'problem':
      return `Problem in ${row.label}`;
  }
}

function icon(row: Row): vscode.ThemeIcon {
  switch (row.kind) {
    case 'connection':
      return statusIcon(row.status);
    case 'forward':
      if (row.status === 'ready' && row.problem !== undefined) return themed('warning', 'list.warningForeground');
      return statusIcon(row.status);
    case 'preset':
      return row.locked === undefined ? statusIcon(row.status) : new vscode.ThemeIcon('lock');
    case 'presets':
      return new vscode.ThemeIcon('bookmark');
    case 'problem':
      return themed('warning', 'list.warningForeground');
  }
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
