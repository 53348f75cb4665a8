// Presets dragged in the tree: beside another one of their settings file, into a group, and out of it.
import * as vscode from 'vscode';
import type { Row } from '../core/present.js';
import type { PresetScope } from '../core/preset.js';
import { groupPresets, placePresets } from '../core/presetList.js';
import { readSubjects, type PresetKey } from '../core/subject.js';
import { t } from '../core/translate.js';
import type { BelowForward } from './clientLists.js';
import { views } from './contributions.js';
import type { Messages } from './messages.js';
import type { PresetFiles } from './presetFiles.js';

/** VS Code’s name for what is dragged within the tree. */
const mimeType = `application/vnd.code.tree.${views.tunnels.toLowerCase()}`;

export function dragPresets(
  files: PresetFiles,
  messages: Messages,
): vscode.TreeDragAndDropController<Row | BelowForward> {
  const drop = async (keys: readonly PresetKey[], target: Row | BelowForward): Promise<void> => {
    const scopes = [...new Map(keys.map(({ scope }) => [JSON.stringify(scope), scope])).values()];
    const namesIn = (scope: PresetScope) => keys.filter((key) => isSame(key.scope, scope)).map(({ name }) => name);
    switch (target.kind) {
      case 'presetGroup':
        for (const scope of scopes)
          await files.change(scope, (value) => groupPresets(value, namesIn(scope), target.name));
        return;
      case 'presets':
        for (const scope of scopes)
          await files.change(scope, (value) => groupPresets(value, namesIn(scope), undefined));
        return;
      case 'preset': {
        const { name, scope } = target.preset;
        const names = namesIn(scope);
        if (names.length > 0) await files.change(scope, (value) => placePresets(value, names, name));
        if (names.length === keys.length) return;
        const text = t('A preset is moved within its settings file. To save it in another one, edit it.');
        void messages.show('information', text);
        return;
      }
      default:
        return;
    }
  };

  return {
    dragMimeTypes: [mimeType],
    dropMimeTypes: [mimeType],
    handleDrag(rows, transfer) {
      const dragged = rows.filter(({ kind }) => kind === 'preset');
      if (dragged.length > 0) transfer.set(mimeType, new vscode.DataTransferItem(JSON.stringify(dragged)));
    },
    async handleDrop(target, transfer) {
      const text = await transfer.get(mimeType)?.asString();
      if (!target || !text) return;
      const rows: unknown = JSON.parse(text);
      const keys = (readSubjects(rows, rows) ?? []).flatMap((row) => (row.kind === 'preset' ? [row.preset] : []));
      if (keys.length > 0) await drop(keys, target);
    },
  };
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
