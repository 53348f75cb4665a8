import * as vscode from 'vscode';
import type { StatusLine } from '../core/present.js';
import { t } from '../core/translate.js';
import { focusTunnelsView } from './contributions.js';
import { table } from './markdown.js';
import type { Presentation } from './presentation.js';

export function createStatusBar(presentation: Presentation): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('tunnels', vscode.StatusBarAlignment.Left);
  item.name = 'SSH Tunnels';
  item.command = focusTunnelsView;
  const show = (line: StatusLine | undefined) => {
    if (!line) return item.hide();
    item.text = line.text;
    item.tooltip = table([t('Listen'), t('Target'), t('State')], line.table, line.note);
    item.backgroundColor = line.isError ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined;
    item.accessibilityInformation = { label: line.accessibleText };
    item.show();
  };
  return vscode.Disposable.from(
    item,
    presentation.onDidChange(({ statusLine }) => show(statusLine)),
  );
}
