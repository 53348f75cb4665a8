import * as vscode from 'vscode';
import type { PresetProblem, PresetScope } from '../core/preset.js';
import { findInPresets, findPresetNamed } from '../core/presetDocument.js';
import { settings } from './contributions.js';
import { folderScope } from './settings.js';

/** Opens the settings file of a scope at the presets, or at a field or the preset of a name there. */
export async function openPresetsFile(
  scope: PresetScope,
  target: { path?: PresetProblem['path']; name?: string } = {},
): Promise<void> {
  const editor = await openSettingsFile(scope);
  if (!editor) return;
  const { document } = editor;
  const text = document.getText();
  const { path = [], name } = target;
  const found = (name === undefined ? undefined : findPresetNamed(text, name)) ?? findInPresets(text, path);
  if (!found) return;
  const [start, end] = [document.positionAt(found.start), document.positionAt(found.end)];
  const isPlace = name !== undefined || path.length > 0;
  editor.selection = new vscode.Selection(start, isPlace ? end : start);
  editor.revealRange(editor.selection, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}

async function openSettingsFile(scope: PresetScope): Promise<vscode.TextEditor | undefined> {
  const { workspaceFile, workspaceFolders: folders = [] } = vscode.workspace;
  const folder = scope.kind === 'folder' ? folders.find((one) => folderScope(one).folder === scope.folder) : folders[0];
  const inFolder = folder && vscode.Uri.joinPath(folder.uri, '.vscode', 'settings.json');
  const uri = scope.kind === 'workspace' ? (workspaceFile ?? inFolder) : inFolder;
  if (scope.kind !== 'user' && uri) {
    try {
      return await vscode.window.showTextDocument(uri, { preview: false });
    } catch {
      // It is not there yet: VS Code makes one.
    }
  }
  const command = {
    user: 'workbench.action.openSettingsJson',
    workspace: 'workbench.action.openWorkspaceSettingsFile',
    folder: 'workbench.action.openFolderSettingsFile',
  }[scope.kind];
  await vscode.commands.executeCommand(command, { revealSetting: { key: settings.presets } });
  const { activeTextEditor } = vscode.window;
  return /settings\.json$|\.code-workspace$/.test(activeTextEditor?.document.uri.path ?? '')
    ? activeTextEditor
    : undefined;
}
