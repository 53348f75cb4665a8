// Links from elsewhere: they fill in the form of Forward Port or show a row, and start nothing.
import * as vscode from 'vscode';
import { readLink } from '../core/link.js';
import { printable } from '../core/printable.js';
import { presetCalled } from '../core/subject.js';
import { t } from '../core/translate.js';
import { commands, focusTunnelsView } from './contributions.js';
import type { Messages } from './messages.js';
import type { PresetSettings } from './presets.js';
import type { Tree } from './tree.js';

export function openLinks(
  presetSettings: Pick<PresetSettings, 'current'>,
  tree: Pick<Tree, 'revealPreset'>,
  messages: Pick<Messages, 'show'>,
): vscode.Disposable {
  const handleUri = async ({ path, query }: vscode.Uri): Promise<void> => {
    const link = readLink(path, query);
    switch (link.kind) {
      case 'forward': {
        const { host, forward } = link;
        return void vscode.commands.executeCommand(commands.forwardPort, { answers: { host, forward } });
      }
      case 'preset': {
        const preset = presetCalled(presetSettings.current.presets, link.name);
        if (preset) return tree.revealPreset(preset);
        return void messages.show('error', t('No preset is called “{name}”.', { name: printable(link.name) }));
      }
      case 'view':
        return void vscode.commands.executeCommand(focusTunnelsView);
      case 'refused':
        return void messages.show('error', t('The link can’t be used. {reason}', { reason: link.reason }));
    }
  };
  return vscode.window.registerUriHandler({ handleUri });
}
