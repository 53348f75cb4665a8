import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { ownMs } from '../../src/ui/ownTime.js';
import { extensionUnderTest } from './extensionUnderTest.js';
import { say } from './resultLine.js';

// Needs no server, so that it can run on every system.
describe('activation', () => {
  const { activate, access } = extensionUnderTest();
  const { extensionPath, packageJSON } = vscode.extensions.getExtension('ssh-tunnels.ssh-tunnels')! as {
    readonly extensionPath: string;
    readonly packageJSON: { readonly contributes: { readonly commands: readonly { readonly command: string }[] } };
  };

  before(() => activate());

  it('holds up the editor for a moment only', () => {
    const dist = join(extensionPath, 'dist');
    const load = (time: number): number => {
      // Below the extension, or VS Code doesn't know whose they are.
      const copy = mkdtempSync(join(__dirname, 'activation-'));
      try {
        // Other texts each time, so that the runtime compiles them anew.
        for (const name of readdirSync(dist).filter((one) => one.endsWith('.js')))
          writeFileSync(join(copy, name), `// ${time}\n${readFileSync(join(dist, name), 'utf8')}`);
        const began = ownMs();
        module.require(join(copy, 'extension.js'));
        return ownMs() - began;
      } finally {
        rmSync(copy, { recursive: true });
      }
    };
    const loadMs = Math.min(...[1, 2, 3, 4, 5].map(load));
    const { activateMs } = access();
    say(
      `activation: ${(loadMs + activateMs).toFixed(1)} ms of our own code, ${loadMs.toFixed(1)} ms to load and ${activateMs.toFixed(1)} ms to activate (goal: 20 ms)`,
    );
    assert.ok(loadMs + activateMs < 250, 'some times the goal of 20 ms, for a machine that is busy with other things');
  });

  it('leaves no command of package.json without its handler', async () => {
    const known = new Set(await vscode.commands.getCommands(true));
    assert.deepEqual(
      packageJSON.contributes.commands.map(({ command }) => command).filter((command) => !known.has(command)),
      [],
    );
  });
});
