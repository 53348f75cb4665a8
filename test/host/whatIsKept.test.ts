import assert from 'node:assert/strict';
import { hostname, userInfo } from 'node:os';
import * as vscode from 'vscode';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { extensionUnderTest } from './extensionUnderTest.js';

describe('what the extension keeps and tells', () => {
  const { activate, access, configure, run, forwards, lastNotice, become, removeAll } = extensionUnderTest();
  let sshd: Sshd;

  before(async () => {
    await activate();
    sshd = await startSshd();
    await configure('sshConfigFile', sshd.configPath('web01'));
  });
  afterEach(removeAll);
  after(async () => {
    await configure('sshConfigFile', undefined);
    await sshd.stop();
  });

  /** Host, forward and how it ran of each tunnel that is kept; it is written soon, not at once. */
  const isKept = (...expected: readonly (readonly [string, string, string?])[]) =>
    eventually(() => {
      const { tunnels = [] } = (access().kept() ?? {}) as {
        tunnels?: { host: string; forward: string; run?: string }[];
      };
      assert.deepEqual(
        tunnels.map(({ host, forward, run }) => [host, forward, ...(run === undefined ? [] : [run])]),
        expected,
      );
    });

  it('keeps the tunnels for the next window: those that run, those that are stopped, none when none is left', async () => {
    const [first, second] = [await freePort(), await freePort()];
    await run('forwardPort', { host: 'web01', forward: `${first}:localhost:80` });
    await become('ready');
    await isKept(['web01', `-L ${first}:localhost:80`, 'exact']);
    await run('forwardPort', { host: 'web01', forward: `${second}:localhost:80` });
    await become('ready', 'ready');
    await run('stop', { kind: 'forward', id: forwards()[0]!.id, how: 'stop' });
    await isKept(['web01', `-L ${first}:localhost:80`], ['web01', `-L ${second}:localhost:80`, 'exact']);
    await removeAll();
    await isKept();
    assert.equal(access().kept(), undefined);
  });

  it('copies diagnostics that tell of a tunnel and name neither its host nor its user', async () => {
    const port = await freePort();
    await run('forwardPort', { host: 'web01', forward: `${port}:db.corp.example:80`, label: 'Secret project' });
    await become('ready');
    await run('copyDiagnostics');
    await eventually(() => assert.match(lastNotice(), /^Diagnostics are on the clipboard\./));
    const text = await vscode.env.clipboard.readText();
    assert.match(text, /^# SSH Tunnels diagnostics\n/);
    assert.match(text, /^ {4}VS Code +1\.\d+\.\d+/m);
    assert.match(text, /^ {4}Node +\d+\./m);
    assert.match(text, /^ {4}sshTunnels\.restoreTunnels +"ask"$/m);
    assert.match(text, /^ {4}sshTunnels\.presets +0 of the user, 0 of the workspace, 0 problems$/m);
    assert.match(text, new RegExp(`^ {4}1\\. -L ${port}:host\\d+:80 through host\\d+: ready$`, 'm'));
    assert.match(text, new RegExp(`info +host\\d+ -L ${port}:host\\d+:80: listening on 127\\.0\\.0\\.1:${port}`));
    const [, written = ''] = text.split('## Tunnels');
    for (const name of ['web01', 'corp', 'Secret', userInfo().username, hostname()])
      assert.doesNotMatch(written, new RegExp(`\\b${name}\\b`, 'i'));
  });
});
