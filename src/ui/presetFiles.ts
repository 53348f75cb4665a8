// The settings files that hold presets, and changes of their lists.
import * as vscode from 'vscode';
import type { PresetScope } from '../core/preset.js';
import { isPresetList } from '../core/presetList.js';
import { scopeText } from '../core/present.js';
import { sameScope } from '../core/subject.js';
import { t } from '../core/translate.js';
import { settings } from './contributions.js';
import type { Messages } from './messages.js';
import { openPresetsFile } from './openPresetsFile.js';
import { folderScope, presetValues } from './settings.js';

export interface PresetFiles {
  /** Where presets can be written now, in the order of their rows. */
  scopes(): readonly PresetScope[];
  /** What the setting holds there, as it is written. */
  value(scope: PresetScope): unknown;
  /** Whether a list stands there, or nothing; anything else is said as below. */
  canChange(scope: PresetScope): boolean;
  /**
   * Writes what `next` makes of the list there; one change after the other. What can't be written is said, with a button that
   * opens the file: then it is false.
   */
  change(scope: PresetScope, next: (value: unknown) => readonly unknown[]): Promise<boolean>;
}

export function createPresetFiles(messages: Messages): PresetFiles {
  let last: Promise<unknown> = Promise.resolve();

  const sayNotChanged = async (text: string, scope: PresetScope): Promise<void> => {
    const open = t('Open Settings');
    if ((await messages.show('error', text, open)) === open) await openPresetsFile(scope);
  };

  const canChange = (scope: PresetScope): boolean => {
    if (isPresetList(valueIn(scope))) return true;
    const text = t('The presets in {place} are not a list, so none can be changed. Mend the setting {setting} first.', {
      place: scopeText(scope),
      setting: settings.presets,
    });
    void sayNotChanged(text, scope);
    return false;
  };

  const changeNow = async (scope: PresetScope, next: (value: unknown) => readonly unknown[]): Promise<boolean> => {
    if (!canChange(scope)) return false;
    const value = valueIn(scope);
    const changed = next(value);
    if (JSON.stringify(changed) === JSON.stringify(value ?? [])) return true;
    try {
      await write(scope, changed);
      return true;
    } catch (error) {
      const [place, reason] = [scopeText(scope), error instanceof Error ? error.message : String(error)];
      void sayNotChanged(t('The presets in {place} were not changed: {reason}', { place, reason }), scope);
      return false;
    }
  };

  return {
    scopes() {
      const isOpen =
        (vscode.workspace.workspaceFolders?.length ?? 0) > 0 || vscode.workspace.workspaceFile !== undefined;
      return presetValues()
        .map(({ scope }) => scope)
        .filter(({ kind }) => kind !== 'workspace' || isOpen);
    },
    value: valueIn,
    canChange,
    change(scope, next) {
      const changed = last.then(() => changeNow(scope, next));
      last = changed.catch(() => {});
      return changed;
    },
  };
}

function valueIn(scope: PresetScope): unknown {
  return presetValues().find((one) => sameScope(one.scope, scope))?.value;
}

/** Throws what VS Code throws when the settings file can't be written. */
async function write(scope: PresetScope, value: readonly unknown[]): Promise<void> {
  const { Global, Workspace, WorkspaceFolder } = vscode.ConfigurationTarget;
  const target = { user: Global, workspace: Workspace, folder: WorkspaceFolder }[scope.kind];
  const folder = vscode.workspace.workspaceFolders?.find(
    (one) => scope.kind === 'folder' && folderScope(one).folder === scope.folder,
  );
  if (scope.kind === 'folder' && !folder)
    throw new Error(t('The folder {folder} is not open.', { folder: scope.folder }));
  // An empty list that was the only content is not left behind.
  await vscode.workspace
    .getConfiguration(undefined, folder?.uri ?? null)
    .update(settings.presets, value.length > 0 ? value : undefined, target);
}
