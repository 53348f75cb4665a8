// The commands that work with presets: make, edit, save, copy, order, remove and import them, and start and stop their groups.
import * as vscode from 'vscode';
import { connectionOf, sandboxOf } from '../core/plan.js';
import { presetRowsOf, scopeText, type PresetGroupRow, type PresetRow } from '../core/present.js';
import type { StoredPreset } from '../core/preset.js';
import { textProblem } from '../core/presetDraft.js';
import { copyName, duplicatePreset, movePreset, removePreset, renameGroup } from '../core/presetList.js';
import type { Session, Tunnel } from '../core/session.js';
import { findPreset, readSubjects, samePreset, sameScope, scopesOf, type PresetKey } from '../core/subject.js';
import { t } from '../core/translate.js';
import type { Turns } from '../core/turns.js';
import type { ConfigList } from './configList.js';
import { commands } from './contributions.js';
import type { Messages } from './messages.js';
import type { Presentation } from './presentation.js';
import type { PresetFiles } from './presetFiles.js';
import { createPresetForm } from './presetForm.js';
import { createPresetImport } from './presetImport.js';
import type { Presets, PresetSettings } from './presets.js';
import type { RowPicker } from './rowPicker.js';
import { savePresets } from './savePresets.js';
import { presetWorld } from './settings.js';
import { readHow, type Stopping } from './stopping.js';
import type { Tree } from './tree.js';

export interface PresetWorkParts {
  session: Session;
  files: PresetFiles;
  presets: Presets;
  presetSettings: PresetSettings;
  configList: Pick<ConfigList, 'refresh'>;
  hosts: () => Promise<readonly string[]>;
  presentation: Presentation;
  picker: RowPicker;
  tree: Pick<Tree, 'revealPreset'>;
  stopping: Stopping;
  turns: Turns;
  messages: Messages;
}

export function createPresetWork({
  session,
  files,
  presets,
  presetSettings,
  configList,
  hosts,
  presentation,
  picker,
  tree,
  stopping,
  turns,
  messages,
}: PresetWorkParts) {
  const form = createPresetForm({ files, hosts, consents: presets.consents, messages });
  const importPresets = createPresetImport(files, configList, hosts, messages);
  const groupRows = () =>
    presentation.presented.rows
      .flatMap((row) => (row.kind === 'presets' ? row.rows : []))
      .filter((row): row is PresetGroupRow => row.kind === 'presetGroup');

  /** The groups that a command is about; without a row one that the user picks. */
  const groups = async (
    title: string,
    given: unknown,
    selected: unknown,
    isOffered: (row: PresetGroupRow) => boolean,
  ): Promise<readonly PresetGroupRow[]> => {
    const named = picker.subjects(given, selected)?.flatMap((row) => (row.kind === 'presetGroup' ? [row.name] : []));
    if (named) return groupRows().filter(({ name }) => named.includes(name));
    const items = groupRows()
      .filter(isOffered)
      .map((row) => ({ label: row.label, description: row.description, row }));
    const picked = await turns.take(() => vscode.window.showQuickPick(items, { title, matchOnDescription: true }));
    return picked ? [picked.row] : [];
  };
  const shown = async (preset: PresetKey): Promise<void> => {
    // The settings are read again a moment after they are written.
    if (!findPreset(presetSettings.current.presets, preset)) await nextChange(presetSettings.onDidChange);
    await tree.revealPreset(preset);
  };
  const move = async (given: unknown, selected: unknown, direction: 'up' | 'down'): Promise<void> => {
    const [key, ...others] = await picker.presets(t('Move Preset'), given, selected, () => true);
    if (!key || others.length > 0) return;
    const { presets: all } = presetSettings.current;
    const own = all.filter(({ scope }) => sameScope(scope, key.scope));
    const first = all.findIndex(({ scope }) => sameScope(scope, key.scope));
    const groupsAbove = all.slice(0, first).flatMap(({ group }) => group ?? []);
    const names = own.map(({ name }) => name);
    await files.change(key.scope, (value) => movePreset(value, key.name, direction, names, groupsAbove));
  };

  /** Asks first; false: the user said no. */
  const remove = async (keys: readonly PresetKey[]): Promise<boolean> => {
    const rows = presetRowsOf(presentation.presented).filter(({ preset }) =>
      keys.some((key) => samePreset(preset, key)),
    );
    if (rows.length === 0) return true;
    const yes = t('Remove');
    const { title, detail } = removalText(rows);
    if ((await vscode.window.showWarningMessage(title, { modal: true, detail }, yes)) !== yes) return false;
    for (const { preset } of rows) await files.change(preset.scope, (value) => removePreset(value, preset.name));
    return true;
  };

  const handlers = {
    async [commands.newPreset](given?: unknown) {
      const saved = await turns.take(() => form.create(readGiven(given)));
      if (!saved) return;
      await shown(saved.preset);
      if (saved.starts) await presets.start(saved.preset);
    },

    async [commands.editPreset](given?: unknown, selected?: unknown) {
      const [key] = await picker.presets(t('Edit Preset'), given, selected, () => true);
      const saved = key && (await turns.take(() => form.edit(key)));
      if (saved) await shown(saved.preset);
    },

    async [commands.duplicatePreset](given?: unknown, selected?: unknown) {
      const keys = await picker.presets(t('Duplicate Preset'), given, selected, () => true);
      for (const { name, scope } of keys) {
        const copy = copyName(files.value(scope), name);
        const isDone = await files.change(scope, (value) => duplicatePreset(value, name));
        if (isDone && keys.length === 1) await shown({ name: copy, scope });
      }
    },

    [commands.movePresetUp]: (given?: unknown, selected?: unknown) => move(given, selected, 'up'),

    [commands.movePresetDown]: (given?: unknown, selected?: unknown) => move(given, selected, 'down'),

    async [commands.removePreset](given?: unknown, selected?: unknown) {
      await remove(await picker.presets(t('Remove Preset'), given, selected, () => true));
    },

    async [commands.savePreset](given?: unknown, selected?: unknown) {
      const lasts = (tunnel: Tunnel) => sandboxOf(session.state.wanted, connectionOf(tunnel)) === undefined;
      const picked = await picker.tunnels(t('Save as Preset'), given, selected);
      const tunnels = picked.filter(lasts);
      if (picked.length > 0 && tunnels.length === 0)
        return void messages.show(
          'information',
          t('The sandbox ends with this window, so it can’t be saved as a preset.'),
        );
      await turns.take(() => savePresets(tunnels, { files, consents: presets.consents, presetSettings }));
    },

    async [commands.importPresets]() {
      const [first] = await turns.take(importPresets);
      if (first) await shown(first);
    },

    async [commands.startGroup](given?: unknown, selected?: unknown) {
      const picked = await groups(t('Start Group'), given, selected, (row) => row.canStart === true);
      for (const { rows } of picked) {
        // Those that are locked say why, once, where there is nothing else to start.
        const unlocked = rows.filter(({ locked }) => locked === undefined);
        const down = unlocked.filter(({ status }) => status === 'stopped' || status === 'failed');
        for (const { preset } of unlocked.length > 0 ? down : rows.slice(0, 1)) {
          await presets.start(preset);
          // Who says no to one is not asked for the others.
          if (!preset.questions && !presets.consents.has(preset)) break;
        }
      }
    },

    async [commands.stopGroup](given?: unknown, selected?: unknown) {
      const picked = await groups(t('Stop Group'), given, selected, (row) => row.canStop === true);
      const tunnels = picked.flatMap(({ kind, name }) => picker.tunnelsOf({ kind, name }));
      await stopping.stop([...new Set(tunnels)], readHow(given));
    },
  };

  /** F2 on a group or a preset; false: the rows are none of these. */
  const rename = async (given: unknown, selected: unknown): Promise<boolean> => {
    const [row, ...others] = picker.subjects(given, selected) ?? [];
    if (row?.kind !== 'preset' && row?.kind !== 'presetGroup') return false;
    if (others.length > 0) return true;
    if (row.kind === 'preset') {
      const saved = await turns.take(() => form.edit(row.preset, 'name'));
      if (saved) await shown(saved.preset);
      return true;
    }
    const box = {
      title: t('Rename Group'),
      prompt: t('Name of the group; one that is there takes these presets in; empty: no group'),
      value: row.name,
      // What the reader of the settings would refuse is not written.
      validateInput: (text: string) => textProblem('group', text, { world: presetWorld({ kind: 'user' }), taken: [] }),
    };
    const typed = await turns.take(() => vscode.window.showInputBox(box));
    const name = typed?.trim();
    if (name === undefined || name === row.name) return true;
    const renamed = presetSettings.current.presets.filter(({ group }) => group === row.name);
    for (const scope of scopesOf(renamed))
      await files.change(scope, (value) => renameGroup(value, row.name, name === '' ? undefined : name));
    return true;
  };
  return { handlers, remove, rename };
}

/** What a group’s row, a keybinding or a link fills in. */
function readGiven(given: unknown): Partial<StoredPreset> | undefined {
  const [subject] = readSubjects(given, undefined) ?? [];
  if (subject?.kind === 'presetGroup') return { group: subject.name };
  if (subject || typeof given !== 'object' || given === null) return undefined;
  const { name, host, forwards, group } = given as Partial<Record<keyof StoredPreset, unknown>>;
  const texts = Array.isArray(forwards) ? forwards.filter((one): one is string => typeof one === 'string') : [];
  const filled = {
    ...(typeof name === 'string' && { name }),
    ...(typeof host === 'string' && { host }),
    ...(texts.length > 0 && { forwards: texts }),
    ...(typeof group === 'string' && group !== '' && { group }),
  };
  return Object.keys(filled).length > 0 ? filled : undefined;
}

function removalText(rows: readonly PresetRow[]): { title: string; detail: string } {
  const [first] = rows;
  const places = [...new Set(rows.map(({ preset }) => scopeText(preset.scope)))];
  const isUp = rows.some(({ status, isPartly }) => status !== 'stopped' || isPartly);
  const from =
    rows.length === 1
      ? t('It is taken out of {place}.', { place: places.join(', ') })
      : t('They are taken out of {places}: {names}.', {
          places: places.join(', '),
          names: rows.map(({ label }) => label).join(', '),
        });
  return {
    title:
      rows.length === 1
        ? t('Remove the preset “{name}”?', { name: first!.label })
        : t('Remove {count} presets?', { count: rows.length }),
    detail: isUp ? `${from} ${t('Tunnels that run go on until you stop them.')}` : from,
  };
}

const settleMs = 1000;

/** At most a second: nothing may have changed. */
function nextChange(event: vscode.Event<void>): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      listening.dispose();
      resolve();
    };
    const timer = setTimeout(end, settleMs);
    const listening = event(end);
  });
}
