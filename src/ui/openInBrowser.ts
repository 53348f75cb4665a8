import * as vscode from 'vscode';

/** Opens an address of this side, wherever the window is; in VS Code's Simple Browser where that is wished and there. */
export async function openInBrowser(url: string, inside = false): Promise<void> {
  const outer = await vscode.env.asExternalUri(vscode.Uri.parse(url));
  if (inside && (await showInside(outer))) return;
  await vscode.env.openExternal(outer);
}

/** It is an extension of VS Code's own, which may be turned off. */
async function showInside(uri: vscode.Uri): Promise<boolean> {
  try {
    await vscode.commands.executeCommand('simpleBrowser.show', uri.toString(true));
    return true;
  } catch {
    return false;
  }
}
