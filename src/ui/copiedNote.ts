// Where an address that was copied leads anywhere, when that is not where the browser is.
import * as vscode from 'vscode';
import { isCopiedElsewhere, machineName } from '../core/machine.js';
import { t } from '../core/translate.js';
import { withoutIcons } from './messages.js';

const shownMs = 8000;

/** Says so in the status bar for a while; the notification of a tunnel and its tooltip say it, too. */
export function showCopiedNote(addresses: readonly string[]): void {
  if (addresses.length === 0 || !isCopiedElsewhere()) return;
  const values = { address: addresses[0]!, count: addresses.length, machine: machineName() };
  const text =
    addresses.length === 1
      ? t('Copied {address}, an address on {machine}', values)
      : t('Copied {count} addresses on {machine}', values);
  vscode.window.setStatusBarMessage(`$(info) ${withoutIcons(text)}`, shownMs);
}
