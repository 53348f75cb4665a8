// What was answered to the inputs of presets: offered the next time, and kept with the workspace, so that a window that is
// opened anew knows its tunnels by it. Nothing secret is asked so.
import * as vscode from 'vscode';
import type { Answers } from '../core/presetVariables.js';
import type { PresetKey } from '../core/subject.js';

export interface PresetAnswers extends vscode.Disposable {
  /** The latest first. */
  of(preset: PresetKey): readonly Answers[];
  keep(preset: PresetKey, answers: Answers): Promise<void>;
  readonly onDidChange: vscode.Event<void>;
}

const answersKey = 'presetAnswers';
const mostPresets = 50;
const mostAnswers = 10;

type Kept = Readonly<Record<string, readonly Answers[]>>;

export function createPresetAnswers({ workspaceState }: vscode.ExtensionContext): PresetAnswers {
  const changed = new vscode.EventEmitter<void>();
  const kept = () => workspaceState.get<Kept>(answersKey, {});
  const keyOf = ({ name, scope }: PresetKey) => JSON.stringify([scope, name]);
  const of = (preset: PresetKey) => kept()[keyOf(preset)] ?? [];
  return {
    of,
    async keep(preset, answers) {
      const [key, text] = [keyOf(preset), JSON.stringify(answers)];
      const own = [answers, ...of(preset).filter((other) => JSON.stringify(other) !== text)].slice(0, mostAnswers);
      const others = Object.entries(kept()).filter(([other]) => other !== key);
      await workspaceState.update(answersKey, Object.fromEntries([...others.slice(1 - mostPresets), [key, own]]));
      changed.fire();
    },
    onDidChange: changed.event,
    dispose: () => changed.dispose(),
  };
}
