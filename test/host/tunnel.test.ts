import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { StoredPreset } from '../../src/core/preset.js';
import { eventually } from '../support/eventually.js';
import { freePort, keygen, startSshd, type Sshd } from '../support/sshd.js';
import { bytes, digest, echo, exchange, fetchPage, startTarget, type Target } from '../support/targets.js';
import { extensionUnderTest } from './extensionUnderTest.js';

describe('the extension inside VS Code', () => {
  const { activate, access, configure, run, connections, forwards, presets, notices, lastNotice, become, removeAll } =
    extensionUnderTest();
  let sshd: Sshd;
  let web: Server;
  let service: Target;

  before(async () => {
    await activate();
    sshd = await startSshd();
    web = createServer((_request, response) => response.end('a page behind the server'));
    await new Promise<void>((listening) => web.listen(0, '127.0.0.1', listening));
    service = await startTarget(echo);
    await configure('sshConfigFile', sshd.configPath('web01'));
  });
  afterEach(removeAll);
  after(async () => {
    await configure('sshConfigFile', undefined);
    await service.close();
    web.close();
    await sshd.stop();
  });

  const webPort = () => (web.address() as AddressInfo).port;

  it('has no thread for the engine until a tunnel is wanted, also with an ssh_config in an editor', async () => {
    const threads = () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
    const before = threads();
    const file = vscode.Uri.file(sshd.configPath('web01', ['LocalForward 80 db:80', 'LocalForward 80']));
    await vscode.window.showTextDocument(file);
    await eventually(() => assert.equal(vscode.languages.getDiagnostics(file).length, 1));
    const lenses = await vscode.commands.executeCommand<unknown[]>('vscode.executeCodeLensProvider', file);
    assert.equal(lenses.length, 1);
    await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
    assert.equal(threads(), before);
    sshd.configPath('web01');
    await run('forwardPort', { host: 'web01', forward: `${await freePort()}:localhost:${webPort()}` });
    await become('ready');
    assert.equal(threads(), before + 1);
  });

  it('forwards a port: row, status bar, notification, and a page through a real sshd', async () => {
    const port = await freePort();
    const before = notices().length;
    await run('forwardPort', { host: 'web01', forward: `127.0.0.1:${port}:localhost:${webPort()}` });
    await become('ready');
    assert.equal(await fetchPage(port), 'a page behind the server');
    const [row] = forwards();
    assert.equal(row!.label, `127.0.0.1:${port} → localhost:${webPort()}`);
    assert.equal(row!.description, 'ready');
    assert.deepEqual(
      connections().map(({ label, status }) => [label, status]),
      [['web01', 'ready']],
    );
    assert.equal(access().presented().statusLine?.text, '$(radio-tower) 1');
    assert.equal(access().presented().statusLine?.isError, false);
    await eventually(() =>
      assert.deepEqual(
        // Where VS Code’s server runs the tests, it says on which machine it listens, too.
        notices()
          .slice(before)
          .map((text) => text.replace(/ It listens on .*\.$/, '')),
        [`127.0.0.1:${port} → localhost:${webPort()} (via web01) is ready.`],
      ),
    );
  });

  it('brings 20 MB through the extension host bit for bit, with half-close both ways', async () => {
    const port = await freePort();
    await run('forwardPort', { host: 'web01', forward: `${port}:localhost:${service.port}` });
    await become('ready');
    const sent = bytes(20_000_000, 'host');
    const { received, end } = await exchange(port, sent);
    assert.equal(digest(received), digest(sent));
    assert.equal(end, 'end');
  });

  it('stops, starts, restarts, renames and removes', async () => {
    const port = await freePort();
    await run('forwardPort', { host: 'web01', forward: `${port}:localhost:${webPort()}`, label: 'Page' });
    await become('ready');
    // Without a question about the connection of the page, which may be on its way out.
    const subject = { kind: 'forward', id: forwards()[0]!.id, how: 'stop' };
    assert.equal(forwards()[0]!.label, 'Page');
    await run('copyAddress', subject);
    assert.equal(await vscode.env.clipboard.readText(), `localhost:${port}`);
    await run('stop', subject);
    await become('stopped');
    await eventually(async () => assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED'));
    assert.equal(access().presented().statusLine?.text, '$(radio-tower) 0');
    await run('start', subject);
    await become('ready');
    await run('restart', subject);
    await become('ready');
    await eventually(async () => assert.equal(await fetchPage(port), 'a page behind the server'));
    await run('stopOrRemove', subject);
    await become('stopped');
    await run('stopOrRemove', subject);
    assert.deepEqual(forwards(), []);
    assert.equal(access().presented().statusLine, undefined);
  });

  it('saves a preset in the workspace, shows it, and starts it by its row', async () => {
    const port = await freePort();
    await run('forwardPort', { host: 'web01', forward: `${port}:localhost:${webPort()}`, label: 'Page' });
    await become('ready');
    const saved = run('savePreset', { kind: 'forward', id: forwards()[0]!.id });
    // The name's input box, with the label in it.
    await eventually(async () => {
      await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
      assert.equal(presets().length, 1);
    });
    await saved;
    const file = join(vscode.workspace.workspaceFolders![0]!.uri.fsPath, '.vscode/settings.json');
    const { 'sshTunnels.presets': written } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, StoredPreset[]>;
    assert.deepEqual(written, [{ name: 'Page', host: 'web01', forwards: [`-L ${port}:localhost:${webPort()}`] }]);
    await run('remove', { kind: 'forward', id: forwards()[0]!.id });
    await run('startPreset', presets()[0]);
    await become('ready');
    assert.equal(await fetchPage(port), 'a page behind the server');
    await run('stopPreset', { ...presets()[0], how: 'stop' });
    await become('stopped');
  });

  it('saves the tunnel of a preset with its variables, and needs no other consent to start what was saved', async () => {
    await configure('presets', undefined, vscode.ConfigurationTarget.Workspace);
    process.env['SSH_TUNNELS_TEST_TARGET'] = 'localhost';
    const written = {
      host: '${input:host}',
      forwards: [`-L ${await freePort()}:\${env:SSH_TUNNELS_TEST_TARGET}:${webPort()}`],
      inputs: { host: { default: 'web01' } },
    };
    await configure('presets', [{ name: 'Mine', ...written }]);
    await eventually(() => assert.equal(presets().length, 1));
    const accepted = (done: () => void) =>
      eventually(async () => {
        await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
        done();
      });
    const started = run('startPreset', presets()[0]);
    await accepted(() => assert.equal(forwards().length, 1));
    await started;
    await become('ready');
    const saved = run('savePreset', { kind: 'forward', id: forwards()[0]!.id });
    await accepted(() => assert.equal(presets().length, 2));
    await saved;
    const { workspaceValue } = vscode.workspace.getConfiguration('sshTunnels').inspect('presets') ?? {};
    assert.deepEqual(workspaceValue, [{ name: 'Mine', ...written }]);
    await removeAll();
    // A question in a dialog would be answered with a no: VS Code shows none to a test.
    const again = run('startPreset', { kind: 'preset', preset: { name: 'Mine', scope: { kind: 'workspace' } } });
    await accepted(() => assert.equal(forwards().length, 1));
    await again;
    await become('ready');
    for (const target of [vscode.ConfigurationTarget.Workspace, vscode.ConfigurationTarget.Global])
      await configure('presets', undefined, target);
    delete process.env['SSH_TUNNELS_TEST_TARGET'];
    await eventually(() => assert.deepEqual(presets(), []));
  });

  it('saves tunnels of two hosts as two presets', async () => {
    await configure('presets', undefined, vscode.ConfigurationTarget.Workspace);
    const [first, second] = [await freePort(), await freePort()];
    await run('forwardPort', { host: 'web01', forward: `${first}:db:1` });
    await run('forwardPort', { host: 'nobody@127.0.0.1:1', forward: `${second}:db:1` });
    const saved = run('savePreset', forwards()[0], forwards());
    await eventually(async () => {
      await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
      assert.deepEqual(
        presets().map(({ label }) => label),
        ['web01', 'nobody@127.0.0.1:1'],
      );
    });
    await saved;
    await configure('presets', undefined, vscode.ConfigurationTarget.Workspace);
    await eventually(() => assert.deepEqual(presets(), []));
  });

  it('adds no preset where the setting is no list, and leaves it as it is', async () => {
    await run('forwardPort', { host: 'web01', forward: `${await freePort()}:localhost:${webPort()}` });
    await become('ready');
    await configure('presets', { mine: 1 }, vscode.ConfigurationTarget.Workspace);
    void run('savePreset', { kind: 'forward', id: forwards()[0]!.id });
    await eventually(() => assert.match(lastNotice(), /^The presets in the workspace settings are not a list/));
    const kept = vscode.workspace.getConfiguration('sshTunnels').inspect('presets')?.workspaceValue;
    assert.deepEqual(kept, { mine: 1 });
    await configure('presets', undefined, vscode.ConfigurationTarget.Workspace);
  });

  it('runs the preset of the settings, whatever object a command is given', async () => {
    const port = await freePort();
    const scope = { kind: 'user' };
    await configure('presets', [{ name: 'Mine', host: 'web01', forwards: [`-L ${port}:localhost:${webPort()}`] }]);
    await eventually(() => assert.equal(presets().length, 1));
    const evil = { destination: { host: 'evil' }, forwards: [], autoStart: true };
    await run('startPreset', { kind: 'preset', preset: { ...evil, name: 'Theirs', scope } });
    assert.deepEqual(forwards(), []);
    await run('startPreset', { kind: 'preset', preset: { ...evil, name: 'Mine', scope } });
    await become('ready');
    assert.equal(await fetchPage(port), 'a page behind the server');
    await run('stopPreset', { kind: 'preset', preset: { ...evil, name: 'Mine', scope }, how: 'stop' });
    await become('stopped');
    await configure('presets', undefined);
  });

  it('starts the tunnel of the very row, also where another one has its address', async () => {
    const port = await freePort();
    // The same words in two rows: nothing listens on the host of the first.
    for (const host of ['nobody@127.0.0.1:1', 'web01'])
      await run('forwardPort', { host, forward: `${port}:localhost:${webPort()}` });
    await eventually(() => assert.equal(forwards().length, 2));
    for (const { id } of forwards()) await run('stop', { kind: 'forward', id, how: 'stop' });
    await become('stopped', 'stopped');
    assert.equal(forwards()[0]!.label, forwards()[1]!.label);
    await run('start', forwards()[1]);
    await become('stopped', 'ready');
    assert.equal(await fetchPage(port), 'a page behind the server');
  });

  it('does nothing for what is not there, nor for what can’t be read', async () => {
    await run('forwardPort', { host: 'web01', forward: `${await freePort()}:localhost:${webPort()}` });
    await become('ready');
    const before = notices().length;
    const about = ['start', 'stop', 'stopOrRemove', 'restart', 'remove', 'rename', 'edit', 'copyAddress'];
    about.push('openInBrowser', 'savePreset', 'startPreset', 'stopPreset', 'addForward', 'commandLine');
    about.push('startOnFreePort', 'copySshCommand', 'copyConfigBlock', 'disconnectClient');
    for (const command of about)
      for (const wrong of [{ kind: 'forward', id: 'nope' }, { kind: 'connection', id: 'nope' }, { kind: 'preset' }, 7])
        await run(command, wrong);
    await run('stopOrRemove');
    await become('ready');
    assert.deepEqual(notices().slice(before), []);
  });

  it('names a wrong preset with its place, and still has the good one', async () => {
    const good = { name: 'Good', host: 'web01', forwards: ['-L 4000:db:1'] };
    await configure(
      'presets',
      [good, { name: 'No host', forwards: [] }, { ...good, name: 'Bad', forwards: ['-L 5432:db'] }],
      vscode.ConfigurationTarget.Workspace,
    );
    await eventually(() =>
      assert.deepEqual(
        presets().map(({ label }) => label),
        [
          'Good',
          'presets[1].host: missing',
          'presets[1].forwards: no forward; add one like "-L 5432:db:5432"',
          'presets[2].forwards[0]: target port missing',
        ],
      ),
    );
    await configure('presets', undefined, vscode.ConfigurationTarget.Workspace);
    await eventually(() => assert.deepEqual(presets(), []));
  });

  describe('says what is wrong, in the row and in one notification', () => {
    async function failsWith(text: RegExp, given: { host: string; forward: string }): Promise<void> {
      const before = notices().length;
      await run('forwardPort', given);
      await become('failed');
      await eventually(() => assert.equal(notices().length, before + 1, JSON.stringify(notices().slice(before))));
      assert.match(lastNotice(), text);
      assert.match(forwards()[0]!.problem ?? '', text);
      assert.equal(access().presented().statusLine?.isError, true);
    }

    it('when the text is no forward', async () => {
      for (const [given, text] of [
        [{ host: 'web01', forward: '8080:db:http:x:y' }, /too many fields.*at character 16/],
        [
          { host: 'web01', forward: '-L 99999:db:80' },
          /“99999” is not a port to listen on \(1 to 65535\), at character 4/,
        ],
        [{ host: 'web01', forward: '-X 80:db:80' }, /-X is not -L, -R or -D, at character 1/],
        [{ host: 'web 01', forward: '80' }, /a blank inside the name, at character 4/],
      ] as const) {
        await run('forwardPort', given);
        await eventually(() => assert.match(lastNotice(), text));
        assert.deepEqual(forwards(), []);
      }
    });

    it('when no server runs', async () => {
      await failsWith(/refused the connection\. Check that an SSH server runs there/, {
        host: `127.0.0.1:${await freePort()}`,
        forward: '4000',
      });
    });

    it('when the port is in use', async () => {
      const taken = await startTarget(() => {});
      await failsWith(
        /127\.0\.0\.1:\d+ is already in use on (this machine|the machine that runs VS Code)( by .+ \(pid \d+\))?\. Stop/,
        {
          host: 'web01',
          forward: `127.0.0.1:${taken.port}:x:1`,
        },
      );
      await taken.close();
    });

    it('when the host key has changed', async () => {
      const changed = join(sshd.folder, 'changed');
      keygen(join(sshd.folder, 'another'));
      const key = readFileSync(join(sshd.folder, 'another.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
      writeFileSync(changed, `[127.0.0.1]:${sshd.port} ${key}\n`);
      await configure('sshConfigFile', sshd.configPath('web01', [`UserKnownHostsFile ${changed}`]));
      await failsWith(/host key of .* has changed.*line 1 of/, { host: 'web01', forward: '4000' });
      await configure('sshConfigFile', sshd.configPath('web01'));
    });

    it('when the key is not one that the server knows', async () => {
      keygen(join(sshd.folder, 'stranger'));
      await configure('sshConfigFile', sshd.configPath('web01', [`IdentityFile ${join(sshd.folder, 'stranger')}`]));
      writeFileSync(sshd.authorizedKeysPath, '');
      await failsWith(/web01 did not let .* in\. Tried: .*stranger/, { host: 'web01', forward: '4000' });
      writeFileSync(sshd.authorizedKeysPath, readFileSync(`${sshd.keyPath}.pub`));
      await configure('sshConfigFile', sshd.configPath('web01'));
    });

    it('when the target refuses, while the tunnel stays ready', async () => {
      const [port, closed] = [await freePort(), await freePort()];
      await run('forwardPort', { host: 'web01', forward: `${port}:localhost:${closed}` });
      await become('ready');
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNRESET');
      await eventually(() =>
        assert.match(forwards()[0]!.problem ?? '', /^localhost:\d+ refused the connection, as web01 sees it/),
      );
      assert.equal(forwards()[0]!.description, 'ready, last connection failed');
    });
  });
});
