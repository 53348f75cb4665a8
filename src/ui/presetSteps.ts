// Steps that more than one form of presets has: which host, and which settings file.
import * as vscode from 'vscode';
import type { PresetScope } from '../core/preset.js';
import { scopeText } from '../core/present.js';
import { sameScope } from '../core/subject.js';
import { t } from '../core/translate.js';
import { askChoice, askName, isWholeHost, type Answer, type Step } from './steps.js';

/** One of ssh_config's hosts, or another one. */
export function askHost(
  step: Step,
  placeholder: string,
  hosts: () => Promise<readonly string[]>,
  problem: (text: string) => string | undefined,
): Promise<Answer<string>> {
  const offered = hosts().then((names) => {
    const separator = { label: t('From ssh_config'), kind: vscode.QuickPickItemKind.Separator };
    const items = names.map((name) => ({ label: name, iconPath: new vscode.ThemeIcon('server'), answer: name }));
    return items.length > 0 ? [separator, ...items] : [];
  });
  return askName(step, placeholder, offered, problem, isWholeHost);
}

/** `now`: where the preset stands, if it does anywhere. */
export function askScope(
  step: Step,
  placeholder: string,
  scopes: readonly PresetScope[],
  active: PresetScope,
  now?: PresetScope,
): Promise<Answer<PresetScope>> {
  const items = scopes.map((scope) => {
    const text = scopeText(scope);
    return {
      label: `${text.charAt(0).toUpperCase()}${text.slice(1)}`,
      detail: whoHas(scope),
      ...(now && sameScope(scope, now) && { description: t('as now') }),
      isActive: sameScope(scope, active),
      answer: scope,
    };
  });
  return askChoice<PresetScope>(step, placeholder, items);
}

function whoHas({ kind }: PresetScope): string {
  switch (kind) {
    case 'user':
      return t('For you alone, in every window');
    case 'workspace':
      return t('For everyone who opens this workspace; others are asked before it starts the first time');
    case 'folder':
      return t('For everyone who opens this folder; others are asked before it starts the first time');
  }
}
