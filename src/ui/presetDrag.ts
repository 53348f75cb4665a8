// Presets dragged in the tree.
import * as vscode from 'vscode';
import type { Row } from '../core/present.js';
import { readSubjects, type PresetKey } from '../core/subject.js';
import type { BelowForward } from './clientLists.js';
import { views } from './contributions.js';

/** VS Code’s name for what is dragged within the tree. */
const mimeType = `application/vnd.code.tree.${views.tunnels.toLowerCase()}`;

/** `drop` is called with what was let go on a row. */
export function dragPresets(
  drop: (presets: readonly PresetKey[], target: Row | BelowForward) => Promise<void>,
): vscode.TreeDragAndDropController<Row | BelowForward> {
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
