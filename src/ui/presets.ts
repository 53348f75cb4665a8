// Presets of the settings files: read, started, stopped and saved. Those of a workspace need its trust and a consent.
import * as vscode from 'vscode';
import { printDestination } from '../core/destination.js';
import { presetFingerprint, presetTunnels, printPreset, type Preset } from '../core/preset.js';
import { scopeText } from '../core/present.js';
import { consentPrompt } from '../core/prompt.js';
import { startTunnels, stopTunnels, tunnelId, type Session, type Tunnel } from '../core/session.js';
import { failureText } from '../core/wording.js';
import { commands, settings } from './contributions.js';
import type { Messages } from './messages.js';
import type { Notifications } from './notifications.js';
import { hasPreset, openPresetsFile, readPresets, scopeForNew, writePreset, type ReadPresets } from './settings.js';

/** What the settings files hold now. */
export interface PresetSettings extends vscode.Disposable {
  readonly current: ReadPresets;
  readonly onDidChange: vscode.Event<void>;
}

export function watchPresets(): PresetSettings {
  const changed = new vscode.EventEmitter<void>();
  let current = readPresets();
  const read = () => {
    current = readPresets();
    changed.fire();
  };
  const parts = vscode.Disposable.from(
    changed,
    vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration(settings.presets) && read()),
    vscode.workspace.onDidChangeWorkspaceFolders(read),
  );
  return {
    get current() {
      return current;
    },
    onDidChange: changed.event,
    dispose: () => void parts.dispose(),
  };
}

export interface Presets {
  /** Starts one for the user, who is asked first where a consent is missing. */
  start(preset: Preset): Promise<void>;
  stop(preset: Preset): void;
  /** Starts those with autoStart; where a consent is missing, offers to. */
  startAutomatic(scopes: 'all' | 'workspace'): Promise<void>;
  /** Asks for a name and writes the tunnels, which have one destination, as a preset. */
  save(tunnels: readonly Tunnel[]): Promise<void>;
}

const consentsKey = 'consents';

export function createPresets(
  context: vscode.ExtensionContext,
  session: Session,
  presetSettings: PresetSettings,
  notifications: Notifications,
  messages: Messages,
): Presets {
  const consents = () => context.workspaceState.get<readonly string[]>(consentsKey, []);
  const hasConsent = (preset: Preset) => preset.scope.kind === 'user' || consents().includes(presetFingerprint(preset));
  const giveConsent = (preset: Preset) =>
    context.workspaceState.update(consentsKey, [...new Set([...consents(), presetFingerprint(preset)])]);
  const isAllowed = ({ scope }: Preset) => scope.kind === 'user' || vscode.workspace.isTrusted;

  const run = (preset: Preset, isAsked: boolean): void => {
    const { wanted, started } = startTunnels(session.state, presetTunnels(preset), !isAsked);
    if (started.length === 0) return;
    if (isAsked) notifications.expect(started);
    session.update(() => wanted);
  };

  const start = async (preset: Preset): Promise<void> => {
    if (!isAllowed(preset)) {
      const manage = 'Manage Workspace Trust';
      const pressed = await messages.show('error', failureText({ kind: 'workspaceUntrusted' }), manage);
      if (pressed === manage) await vscode.commands.executeCommand(commands.manageTrust);
      return;
    }
    if (!hasConsent(preset)) {
      const { title, detail } = consentPrompt(preset);
      const pressed = await vscode.window.showInformationMessage(title, { modal: true, detail }, 'Start');
      if (pressed !== 'Start') return;
      await giveConsent(preset);
    }
    run(preset, true);
  };

  return {
    start,
    stop(preset) {
      session.update((wanted) => stopTunnels(wanted, presetTunnels(preset).map(tunnelId)));
    },
    async startAutomatic(scopes) {
      const automatic = presetSettings.current.presets.filter(
        (preset) => preset.autoStart && isAllowed(preset) && (scopes === 'all' || preset.scope.kind !== 'user'),
      );
      for (const preset of automatic.filter(hasConsent)) run(preset, false);
      const unasked = automatic.filter((preset) => !hasConsent(preset));
      if (unasked.length === 0) return;
      const names = unasked.map(({ name }) => `“${name}”`).join(', ');
      const want = unasked.length === 1 ? 'wants' : 'want';
      const review = 'Review…';
      const text = `${names} ${want} to start with this workspace.`;
      if ((await messages.show('information', text, review, 'Not Now')) !== review) return;
      for (const preset of unasked) await start(preset);
    },
    async save(tunnels) {
      const [first] = tunnels;
      if (!first) return;
      const scope = scopeForNew();
      const place = scopeText(scope);
      const typed = await vscode.window.showInputBox({
        title: 'Save as Preset',
        prompt: `Name of the preset in ${place}`,
        value: (tunnels.length === 1 ? first.label : undefined) ?? printDestination(first.destination),
        validateInput: (text) => (text.trim() === '' ? 'The name is empty.' : undefined),
      });
      const name = typed?.trim();
      if (!name) return;
      if (hasPreset(scope, name)) {
        const question = `A preset called “${name}” exists in ${place}. Replace it?`;
        if ((await vscode.window.showWarningMessage(question, { modal: true }, 'Replace')) !== 'Replace') return;
      }
      const forwards = tunnels.map(({ spec }) => spec);
      const preset: Preset = { name, destination: first.destination, forwards, autoStart: false, scope };
      try {
        if (scope.kind !== 'user') await giveConsent(preset);
        await writePreset(scope, printPreset(preset));
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const open = 'Open Settings';
        const pressed = await messages.show('error', `“${name}” was not saved to ${place}: ${reason}`, open);
        if (pressed === open) await openPresetsFile(scope);
      }
    },
  };
}
