// Marks of what is wrong in the documents that are open, made anew when their text has settled.
import * as vscode from 'vscode';

export interface DocumentMarks extends vscode.Disposable {
  /** Looks at all that are open again. */
  refresh(): void;
}

const settleMs = 200;

/** `find` gives what is wrong in one of ours; undefined: nothing can be said of it. `name` is that of the collection. */
export function markDocuments(
  name: string,
  isOurs: (document: vscode.TextDocument) => boolean,
  find: (document: vscode.TextDocument) => readonly vscode.Diagnostic[] | undefined,
): DocumentMarks {
  const diagnostics = vscode.languages.createDiagnosticCollection(name);
  const timers = new Map<vscode.TextDocument, NodeJS.Timeout>();
  const check = (document: vscode.TextDocument) => {
    const found = isOurs(document) ? find(document) : undefined;
    if (found) diagnostics.set(document.uri, found);
    else diagnostics.delete(document.uri);
  };
  const checkSoon = (document: vscode.TextDocument) => {
    clearTimeout(timers.get(document));
    const timer = setTimeout(() => {
      timers.delete(document);
      if (!document.isClosed) check(document);
    }, settleMs);
    timers.set(document, timer);
  };
  const forget = (document: vscode.TextDocument) => {
    clearTimeout(timers.get(document));
    timers.delete(document);
    diagnostics.delete(document.uri);
  };
  const refresh = () => vscode.workspace.textDocuments.forEach(check);
  const parts = vscode.Disposable.from(
    diagnostics,
    vscode.workspace.onDidOpenTextDocument(check),
    vscode.workspace.onDidCloseTextDocument(forget),
    vscode.workspace.onDidChangeTextDocument(({ document }) => isOurs(document) && checkSoon(document)),
    { dispose: () => timers.forEach((timer) => clearTimeout(timer)) },
  );
  refresh();
  return { refresh, dispose: () => void parts.dispose() };
}
