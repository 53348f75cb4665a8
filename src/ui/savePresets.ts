// Save as Preset: tunnels become presets of the settings, one for each of their hosts.
import * as vscode from 'vscode';
import { printDestination, type Destination } from '../core/destination.js';
import { connectionOf } from '../core/plan.js';
import { presetTunnels, printPreset, type StoredPreset } from '../core/preset.js';
import { textProblem } from '../core/presetDraft.js';
import { findStored, presetNames, replacePreset, tunnelFields } from '../core/presetList.js';
import { scopeText } from '../core/present.js';
import { tunnelId, type Tunnel } from '../core/session.js';
import { t } from '../core/translate.js';
import { withoutLinks } from './messages.js';
import type { PresetFiles } from './presetFiles.js';
import type { Presets, PresetSettings } from './presets.js';
import { presetWorld, scopeForNew } from './settings.js';

export interface SaveParts {
  files: PresetFiles;
  consents: Presets['consents'];
  presetSettings: Pick<PresetSettings, 'current'>;
}

/** Asks for the name of each, and before one takes the place of another. */
export async function savePresets(tunnels: readonly Tunnel[], parts: SaveParts): Promise<void> {
  if (tunnels.length === 0 || !parts.files.canChange(scopeForNew())) return;
  const hosts = new Map(tunnels.map((tunnel) => [connectionOf(tunnel), tunnel.destination]));
  for (const [host, destination] of hosts) {
    const own = tunnels.filter((tunnel) => connectionOf(tunnel) === host);
    if (!(await saveOfHost(own, destination, parts))) return;
  }
}

/** Tells whether they are saved. */
async function saveOfHost(
  tunnels: readonly Tunnel[],
  destination: Destination,
  { files, consents, presetSettings }: SaveParts,
): Promise<boolean> {
  const scope = scopeForNew();
  const place = scopeText(scope);
  const host = printDestination(destination);
  const typed = await vscode.window.showInputBox({
    title: t('Save as Preset'),
    prompt: withoutLinks(t('Name of the preset for {host} in {place}', { host, place })),
    value: (tunnels.length === 1 ? tunnels[0]?.label : undefined) ?? host,
    validateInput: (text) => textProblem('name', text, { world: presetWorld(scope), taken: [] }),
  });
  const name = typed?.trim();
  if (!name) return false;
  const isThere = presetNames(files.value(scope)).includes(name);
  if (isThere) {
    const title = t('Replace the preset “{name}”?', { name });
    const detail =
      tunnels.length === 1
        ? t('It stands in {place}. Its host and forwards will be those of this tunnel.', { place })
        : t('It stands in {place}. Its host and forwards will be those of these tunnels.', { place });
    const replace = t('Replace');
    if ((await vscode.window.showWarningMessage(title, { modal: true, detail }, replace)) !== replace) return false;
  }
  // What else stands in one that is replaced may be nobody's whom the user knows.
  const isOwn = !isThere || consents.has({ name, scope });
  const forwards = tunnels.map(({ spec }) => spec);
  const onDemand = tunnels.every((tunnel) => tunnel.onDemand && tunnel.spec.kind !== 'remote');
  // Of a preset with variables those are kept: what they stand for belongs into no settings file.
  const ids = tunnels.map(({ id }) => id);
  const source = presetSettings.current.presets.find((one) => {
    const own = one.written ? presetTunnels(one).map(tunnelId) : [];
    return own.length === ids.length && own.every((id) => ids.includes(id));
  });
  const preset = printPreset({
    name,
    destination,
    forwards,
    autoStart: false,
    ...(onDemand && { onDemand }),
    ...(source?.written && { written: source.written }),
    ...(source?.inputs && { inputs: source.inputs }),
  });
  let saved: StoredPreset | undefined;
  const isWritten = await files.change(scope, (value) => {
    const list = replacePreset(value, name, preset, tunnelFields);
    saved = findStored(list, name);
    return list;
  });
  if (isWritten && saved && isOwn) await consents.give(saved, scope, { destination, forwards });
  return isWritten;
}
