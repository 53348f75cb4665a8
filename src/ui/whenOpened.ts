import * as vscode from 'vscode';

/** Calls back once: when a document is open that one of the selectors means, which are asked for each time. */
export function whenOpened(selectors: () => readonly vscode.DocumentSelector[], then: () => void): vscode.Disposable {
  const look = () => {
    const isOurs = (document: vscode.TextDocument) =>
      selectors().some((selector) => vscode.languages.match(selector, document) > 0);
    if (!vscode.workspace.textDocuments.some(isOurs)) return;
    parts.dispose();
    then();
  };
  const parts = vscode.Disposable.from(
    vscode.workspace.onDidOpenTextDocument(look),
    vscode.workspace.onDidChangeConfiguration(look),
  );
  look();
  return { dispose: () => void parts.dispose() };
}
