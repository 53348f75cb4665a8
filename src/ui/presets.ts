// Presets of the settings files: read, started and stopped. Those of a workspace need its trust and a consent.
import * as vscode from 'vscode';
import { printDestination } from '../core/destination.js';
import { isWanted } from '../core/plan.js';
import {
  fillPreset,
  needsTrust,
  parsePresets,
  presetFingerprint,
  presetTunnels,
  type Preset,
  type PresetScope,
  type StoredPreset,
} from '../core/preset.js';
import { consentPrompt, networkConsentKey } from '../core/prompt.js';
import { startTunnels, tunnelId, type NewTunnel, type Session } from '../core/session.js';
import { createSharedQuestions } from '../core/sharedQuestions.js';
import { findPreset, type PresetKey } from '../core/subject.js';
import { askedAccess, failureText } from '../core/wording.js';
import { t } from '../core/translate.js';
import type { Turns } from '../core/turns.js';
import type { AfterOpen } from './afterOpen.js';
import { commands, settings } from './contributions.js';
import type { Messages } from './messages.js';
import type { NetworkConsents } from './networkConsents.js';
import type { Notifications } from './notifications.js';
import type { PresetAnswers } from './presetAnswers.js';
import type { AskInputs } from './presetInputs.js';
import { presetWorld, readPresets, startsPresets, type ReadPresets } from './settings.js';

/** What the settings files hold now. */
export interface PresetSettings extends vscode.Disposable {
  readonly current: ReadPresets;
  readonly onDidChange: vscode.Event<void>;
}

export function watchPresets(answers: PresetAnswers): PresetSettings {
  const changed = new vscode.EventEmitter<void>();
  const latest = (preset: PresetKey) => answers.of(preset)[0];
  let current = readPresets(latest);
  const read = () => {
    current = readPresets(latest);
    changed.fire();
  };
  const parts = vscode.Disposable.from(
    changed,
    vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration(settings.presets) && read()),
    vscode.workspace.onDidChangeWorkspaceFolders(read),
    vscode.workspace.onDidGrantWorkspaceTrust(read),
    answers.onDidChange(read),
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
  start(preset: PresetKey): Promise<void>;
  /**
   * Asks the user where a consent is missing, and gives the preset's tunnels for somebody else to start; undefined: they may
   * not. `workspaceUntrusted` is said by whoever asks.
   */
  agree(preset: Preset, place?: string): Promise<readonly NewTunnel[] | undefined>;
  /** Those that may start without a question. */
  allowed(): readonly Preset[];
  /** Starts those with autoStart, all or those that the workspace’s trust is for; where a consent is missing, offers to. */
  startAutomatic(which: 'all' | 'workspace'): Promise<void>;
  /**
   * For a preset that the user has written in a form or saved: they know what is in it, and need not be asked again when it
   * starts. `way`: where it leads to once its inputs are answered as before.
   */
  readonly consents: {
    has(preset: PresetKey): boolean;
    give(preset: StoredPreset, scope: PresetScope, way?: Pick<Preset, 'destination' | 'forwards'>): Promise<void>;
  };
}

const consentsKey = 'consents';
/** The workspace's automatic presets are not to be offered again. */
const offerSilencedKey = 'offerSilenced';

export function createPresets(
  context: vscode.ExtensionContext,
  session: Session,
  presetSettings: PresetSettings,
  answers: PresetAnswers,
  notifications: Notifications,
  afterOpen: Pick<AfterOpen, 'expect'>,
  networkConsents: NetworkConsents,
  turns: Turns,
  messages: Messages,
  askInputs: AskInputs,
): Presets {
  const consents = () => context.workspaceState.get<readonly string[]>(consentsKey, []);
  const hasConsent = (preset: Preset) => preset.scope.kind === 'user' || consents().includes(presetFingerprint(preset));
  const giveConsent = (preset: Preset) =>
    context.workspaceState.update(consentsKey, [...new Set([...consents(), presetFingerprint(preset)])]);
  const isAllowed = (preset: Preset) => vscode.workspace.isTrusted || !needsTrust(preset);

  const run = (preset: Preset, isAsked: boolean): void => {
    const { wanted, started } = startTunnels(session.state, presetTunnels(preset), !isAsked);
    const isExpected = isAsked && started.length > 0;
    if (isExpected) notifications.expect(started);
    // Also where all of it runs: what a task holds is the user's from here on, too.
    if (wanted !== session.state.wanted) session.update(() => wanted);
    if (isExpected) afterOpen.expect(preset);
  };
  /** With what was answered before: also its earlier tunnels may come back. */
  const filledBefore = (preset: Preset): Preset[] => {
    if (!preset.questions) return [preset];
    const world = presetWorld(preset.scope);
    return answers.of(preset).flatMap((given) => {
      const filled = fillPreset(preset, world, given);
      return filled.ok ? [filled.preset] : [];
    });
  };

  const [consentOnce, inputsOnce] = [createSharedQuestions(), createSharedQuestions()];
  const askConsent = async (preset: Preset, place?: string): Promise<boolean> => {
    const { title, detail } = consentPrompt(preset, place);
    const begin = t('Start');
    const show = () => vscode.window.showInformationMessage(title, { modal: true, detail }, begin);
    return (await consentOnce(presetFingerprint(preset), show)) === begin;
  };

  const start = async (key: PresetKey): Promise<void> => {
    const preset = findPreset(presetSettings.current.presets, key);
    if (!preset) return;
    if (!isAllowed(preset)) {
      const manage = t('Manage Workspace Trust');
      const pressed = await messages.show('error', failureText({ kind: 'workspaceUntrusted' }), manage);
      if (pressed === manage) await vscode.commands.executeCommand(commands.manageTrust);
      return;
    }
    const agreed = await agreeTo(preset);
    if (agreed) run(agreed, true);
  };

  /** The preset with its inputs answered and a consent; asks the user for what is missing. */
  const agreeTo = async (preset: Preset, place?: string): Promise<Preset | undefined> => {
    // One that runs is completed as it is.
    const runs = presetTunnels(preset).map(tunnelId);
    if (!preset.questions || session.state.wanted.tunnels.some((one) => isWanted(one) && runs.includes(one.id)))
      return (await isAgreed(preset, place)) ? preset : undefined;
    const world = presetWorld(preset.scope);
    const given = await inputsOnce(presetFingerprint(preset), () =>
      turns.take(() => askInputs(preset, world, answers.of(preset)[0])),
    );
    const filled = given && fillPreset(preset, world, given);
    if (!given || !filled?.ok || filled.preset.isUnfilled || !(await isAgreed(filled.preset, place))) return undefined;
    await answers.keep(preset, given);
    return filled.preset;
  };

  /** The user is asked where a consent is missing. */
  const isAgreed = async (preset: Preset, place?: string): Promise<boolean> => {
    if (hasConsent(preset)) return true;
    if (!(await askConsent(preset, place))) return false;
    await giveConsent(preset);
    await networkConsents.give(shownAsOpen(preset));
    return true;
  };

  return {
    start,
    async agree(preset, place) {
      const agreed = isAllowed(preset) ? await agreeTo(preset, place) : undefined;
      return agreed && !agreed.isUnfilled ? presetTunnels(agreed) : undefined;
    },
    allowed: () => {
      const starts = startsPresets();
      return presetSettings.current.presets.filter(isAllowed).flatMap((preset) =>
        filledBefore(preset)
          .filter(hasConsent)
          .map((filled) => {
            // With earlier answers it does not start by itself.
            const isLatest = presetFingerprint(filled) === presetFingerprint(preset);
            return { ...filled, autoStart: filled.autoStart && starts && isLatest };
          }),
      );
    },
    async startAutomatic(which) {
      if (!startsPresets()) return;
      const automatic = presetSettings.current.presets.filter(
        (preset) =>
          preset.autoStart && !preset.isUnfilled && isAllowed(preset) && (which === 'all' || needsTrust(preset)),
      );
      for (const preset of automatic.filter(hasConsent)) run(preset, false);
      const unasked = automatic.filter((preset) => !hasConsent(preset));
      if (unasked.length === 0 || context.workspaceState.get<boolean>(offerSilencedKey, false)) return;
      const names = unasked.map(({ name }) => t('“{name}”', { name })).join(', ');
      const review = t('Review…');
      const never = t('Don’t Show Again');
      const text =
        unasked.length === 1
          ? t('{names} wants to start with this workspace.', { names })
          : t('{names} want to start with this workspace.', { names });
      const pressed = await messages.show('information', text, review, t('Not Now'), never);
      if (pressed === never) await context.workspaceState.update(offerSilencedKey, true);
      if (pressed === review) for (const preset of unasked) await start(preset);
    },
    consents: {
      has(key) {
        const preset = findPreset(presetSettings.current.presets, key);
        return preset !== undefined && hasConsent(preset);
      },
      async give(stored, scope, way) {
        if (scope.kind === 'user') return;
        const [preset] = parsePresets([stored], scope, presetWorld(scope)).presets;
        // What its inputs are answered with is asked for when it starts.
        if (preset && (way || !preset.isUnfilled)) await giveConsent({ ...preset, ...way });
      },
    },
  };
}

/** What the question before a preset's start has said of the network, see consentPrompt, is not asked again. */
function shownAsOpen(preset: Preset): string[] {
  const connection = printDestination(preset.destination);
  return presetTunnels(preset).flatMap((tunnel) => {
    const { spec } = tunnel;
    if (askedAccess(spec) !== 'network' || spec.listen.kind !== 'tcp') return [];
    const { bind = '' } = spec.listen;
    // As the engine will ask: an empty one stands for all addresses, and those of a server are not known.
    const addresses = spec.kind === 'remote' ? [] : [['', '*'].includes(bind) ? '0.0.0.0' : bind];
    const forward = tunnelId(tunnel);
    return [networkConsentKey({ kind: 'openToNetwork', id: '', connection, forward, spec, addresses })];
  });
}
