import * as vscode from 'vscode';
import type { CommandHandlers } from './commands.js';
import { commands } from './contributions.js';

/** Registers every contributed command; what they do is asked for when the first of them is run. */
export function registerCommands(handlers: () => Promise<CommandHandlers>): vscode.Disposable {
  return vscode.Disposable.from(
    ...Object.values(commands).map((id) =>
      vscode.commands.registerCommand(id, async (...args: never[]) => (await handlers())[id](...args)),
    ),
  );
}
