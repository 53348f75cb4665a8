// The connections below the forwards that are looked at: read each second while there are any, and never otherwise.
import * as vscode from 'vscode';
import type { Engine } from '../core/engine.js';
import { clientRows, type ClientRow } from '../core/present.js';
import { t } from '../core/translate.js';

/** Says that there is nobody, or how many more there are. */
export interface NoteRow {
  kind: 'note';
  forward: string;
  text: string;
}
export type BelowForward = ClientRow | NoteRow;

/** The words of some rows, or which rows there are. */
export type ClientChange = { kind: 'words'; rows: readonly BelowForward[] } | { kind: 'rows'; forward: string };

export interface ClientLists extends vscode.Disposable {
  /** The rows below a forward, as last read while it is looked at. */
  rows(forward: string): Promise<readonly BelowForward[]>;
  /** These forwards' rows are on the screen now, and no others. */
  look(forwards: readonly string[]): void;
  readonly onDidChange: vscode.Event<ClientChange>;
}

const intervalMs = 1000;
/** More rows than anybody reads would keep VS Code busy each second. */
const rowsShown = 100;

export function createClientLists(clients: Engine['clients']): ClientLists {
  const changed = new vscode.EventEmitter<ClientChange>();
  const read = new Map<string, readonly BelowForward[]>();
  let looked: readonly string[] = [];
  let timer: NodeJS.Timeout | undefined;

  const readNow = async (forward: string): Promise<readonly BelowForward[]> => {
    const all = await clients(forward);
    const rows = clientRows(forward, all.slice(0, rowsShown), Date.now());
    if (rows.length === all.length && rows.length > 0) return rows;
    const text = rows.length === 0 ? t('No connections') : t('{count} more', { count: all.length - rows.length });
    return [...rows, { kind: 'note', forward, text }];
  };

  const update = async (forward: string): Promise<void> => {
    const now = await readNow(forward);
    if (!looked.includes(forward)) return;
    const before = read.get(forward) ?? [];
    read.set(forward, now);
    const isSame = now.length === before.length && now.every((row, index) => keyOf(row) === keyOf(before[index]!));
    if (!isSame) return changed.fire({ kind: 'rows', forward });
    const rows = now.filter((row, index) => JSON.stringify(row) !== JSON.stringify(before[index]));
    if (rows.length > 0) changed.fire({ kind: 'words', rows });
  };

  return {
    onDidChange: changed.event,
    async rows(forward) {
      const known = read.get(forward);
      if (known) return known;
      const rows = await readNow(forward);
      if (looked.includes(forward)) read.set(forward, rows);
      return rows;
    },
    look(forwards) {
      looked = forwards;
      for (const forward of read.keys()) if (!forwards.includes(forward)) read.delete(forward);
      if (forwards.length > 0)
        timer ??= setInterval(() => looked.forEach((forward) => void update(forward)), intervalMs);
      else {
        clearInterval(timer);
        timer = undefined;
      }
    },
    dispose() {
      clearInterval(timer);
      changed.dispose();
    },
  };
}

/** What tells a row from the others of its forward. */
function keyOf(row: BelowForward): string {
  return row.kind === 'client' ? String(row.id) : row.kind;
}
