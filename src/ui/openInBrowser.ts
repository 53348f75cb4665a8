import * as vscode from 'vscode';

const simpleBrowser = 'simpleBrowser.show';

/** Opens an address of this side, wherever the window is; in VS Code's Simple Browser where that is wished and there. */
export async function openInBrowser(url: string, inside = false): Promise<void> {
  const outer = await vscode.env.asExternalUri(vscode.Uri.parse(url));
  if (inside && (await vscode.commands.getCommands(true)).includes(simpleBrowser))
    await vscode.commands.executeCommand(simpleBrowser, outer.toString());
  else await vscode.env.openExternal(outer);
}
