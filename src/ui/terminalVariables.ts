import * as vscode from 'vscode';
import type { Session, SessionState } from '../core/session.js';
import { terminalVariables } from '../core/terminalVariables.js';
import { t } from '../core/translate.js';
import type { Log } from './log.js';
import type { Presets, PresetSettings } from './presets.js';

/** Keeps the variables of new terminals as the presets that ask for them stand. */
export function keepTerminalVariables(
  context: vscode.ExtensionContext,
  session: Session,
  presetSettings: PresetSettings,
  presets: Pick<Presets, 'allowed'>,
  log: Pick<Log, 'warn'>,
): vscode.Disposable {
  const collection = context.environmentVariableCollection;
  // A later window has other tunnels.
  collection.persistent = false;
  let last = '{}';
  const told = new Set<string>();
  const update = () => {
    if (last === '{}' && !presetSettings.current.presets.some((preset) => preset.terminalVariables)) return;
    const { variables, hidden } = terminalVariables(presets.allowed(), session.state);
    for (const { preset, by } of hidden) {
      const text = `New terminals have no variables of “${preset}”: those of “${by}” have the same names`;
      if (!told.has(text)) log.warn(text);
      told.add(text);
    }
    const now = JSON.stringify(variables);
    if (now === last) return;
    last = now;
    collection.clear();
    const names = Object.keys(variables);
    collection.description = t('Ports of tunnels that are ready: {names}', { names: names.join(', ') });
    for (const name of names) collection.replace(name, variables[name]!);
  };
  let before = session.state;
  const onChange = (state: SessionState) => {
    const isSame = state.wanted === before.wanted && state.snapshot === before.snapshot;
    before = state;
    if (!isSame) update();
  };
  collection.clear();
  return vscode.Disposable.from({ dispose: session.onChange(onChange) }, presetSettings.onDidChange(update), {
    dispose: () => collection.clear(),
  });
}
