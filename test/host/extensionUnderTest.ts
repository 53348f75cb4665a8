import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { ConnectionRow, ForwardRow, PresetsRow } from '../../src/core/present.js';
import type { Activated } from '../../src/extension.js';
import type { SshTunnelsApi } from '../../src/ui/api.js';
import { eventually } from '../support/eventually.js';

const extensionId = 'ssh-tunnels.ssh-tunnels';

/** The extension in this VS Code, and what it shows. `activate` comes first. */
export function extensionUnderTest() {
  const extension = vscode.extensions.getExtension<Activated>(extensionId);
  assert.ok(extension, 'the extension is there');
  const access = () => {
    const { test } = extension.exports;
    assert.ok(test, 'it runs in test mode');
    return test;
  };
  const rows = () => access().presented().rows;
  const connections = () => rows().filter((row): row is ConnectionRow => row.kind === 'connection');
  const forwards = (): ForwardRow[] => connections().flatMap((row) => [...row.forwards]);
  const run = (command: string, ...args: unknown[]) => vscode.commands.executeCommand(`sshTunnels.${command}`, ...args);

  return {
    activate: () => extension.activate(),
    /** What other extensions get. */
    api: (): SshTunnelsApi => extension.exports,
    access,
    configure: (key: string, value: unknown, target = vscode.ConfigurationTarget.Global) =>
      vscode.workspace.getConfiguration('sshTunnels').update(key, value, target),
    run,
    rows,
    connections,
    forwards,
    presets: () => rows().find((row): row is PresetsRow => row.kind === 'presets')?.rows ?? [],
    notices: () => access().notices(),
    lastNotice: () => access().notices().at(-1) ?? '',
    /** Waits until these are the states of the tunnels. */
    become: (...statuses: string[]) =>
      eventually(() =>
        assert.deepEqual(
          forwards().map((row) => row.status),
          statuses,
          JSON.stringify(forwards()),
        ),
      ),
    /** Takes all tunnels off the list, whoever is connected. */
    async removeAll(): Promise<void> {
      await Promise.all(forwards().map(({ id }) => run('remove', { kind: 'forward', id, how: 'stop' })));
      await eventually(() => assert.deepEqual(forwards(), []));
    },
  };
}
