import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { ConfigGroupRow } from '../../src/core/present.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';
import { extensionUnderTest } from './extensionUnderTest.js';

describe('ssh_config in an editor inside VS Code', () => {
  const { activate, configure, run, rows, forwards, notices, lastNotice, become, removeAll } = extensionUnderTest();
  let sshd: Sshd;
  let service: Target;
  let port: number;
  let file: vscode.Uri;

  before(async () => {
    await activate();
    sshd = await startSshd();
    service = await startTarget(echo);
    port = await freePort();
    file = vscode.Uri.file(
      sshd.configPath('web01', [
        `LocalForward ${port} localhost:${service.port}`,
        `DynamicForward 127.0.0.1:${port}`,
        'RemoteForward 8080',
      ]),
    );
    await configure('sshConfigFile', file.fsPath);
  });
  afterEach(async () => {
    await removeAll();
    await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
  });
  after(async () => {
    await configure('sshConfigFile', undefined);
    await service.close();
    await sshd.stop();
  });

  const open = async (uri: vscode.Uri) => {
    const document = await vscode.workspace.openTextDocument(uri);
    return vscode.window.showTextDocument(document);
  };
  const lenses = async (uri: vscode.Uri) => {
    const found = await vscode.commands.executeCommand<vscode.CodeLens[]>('vscode.executeCodeLensProvider', uri);
    return found.toSorted((a, b) => a.range.start.line - b.range.start.line);
  };
  const titles = async (uri: vscode.Uri) =>
    (await lenses(uri)).map(({ range, command }) => `${range.start.line}: ${command?.title}`);
  const press = async (uri: vscode.Uri, title: RegExp) => {
    const lens = (await lenses(uri)).find(({ command }) => title.test(command?.title ?? ''));
    assert.ok(lens?.command, String(title));
    await vscode.commands.executeCommand(lens.command.command, ...(lens.command.arguments as unknown[]));
  };
  const problems = (uri: vscode.Uri) =>
    vscode.languages
      .getDiagnostics(uri)
      .filter(({ source }) => source === 'SSH Tunnels')
      .map(({ range, severity, message }) => [range.start.line, severity, message]);
  const configRows = () => rows().find((row): row is ConfigGroupRow => row.kind === 'sshConfig')?.rows ?? [];

  it('starts and stops a forward by the lens above it', async () => {
    await open(file);
    await eventually(async () =>
      assert.deepEqual(await titles(file), [
        '1: $(play) Start · web01',
        '2: $(play) Start · web01',
        '3: $(play) Start · web01',
      ]),
    );
    await press(file, /Start/);
    await become('ready');
    assert.equal(String((await exchange(port, Buffer.from('ping'))).received), 'ping');
    await eventually(async () =>
      assert.equal((await titles(file))[0], '1: $(debug-stop) Stop · web01 · ready', (await titles(file)).join()),
    );
    await press(file, /Stop/);
    await become('stopped');
    await eventually(async () => assert.equal((await titles(file))[0], '1: $(play) Start · web01'));
  });

  it('starts what the text says now, saved or not', async () => {
    const other = await freePort();
    const editor = await open(file);
    const { range } = editor.document.lineAt(1);
    await editor.edit((edit) => edit.replace(range, `  LocalForward ${other} localhost:${service.port}`));
    await press(file, /Start/);
    await become('ready');
    assert.equal(String((await exchange(other, Buffer.from('ping'))).received), 'ping');
    assert.ok(editor.document.isDirty);
  });

  it('says in a hover where a forward listens, who can connect, and where it comes out', async () => {
    const hovers = (line: number) =>
      vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', file, new vscode.Position(line, 6));
    await open(file);
    await eventually(async () => {
      const text = (await hovers(1))
        .flatMap(({ contents }) => contents)
        .map((content) => (typeof content === 'string' ? content : content.value))
        .join('\n')
        .replaceAll('&nbsp;', ' ');
      assert.match(
        text,
        new RegExp(
          `localhost:${port} on (this machine|the machine that runs VS Code) → localhost:${service.port}, as web01 sees it`,
        ),
      );
      assert.match(text, /Who can connect: only (this machine|the machine that runs VS Code)/);
    });
    assert.deepEqual(await hovers(0), []);
  });

  it('names ports that are listened on twice, and forwards that can’t be read, as they are typed', async () => {
    const { Error: error, Warning: warning } = vscode.DiagnosticSeverity;
    const twice = `127.0.0.1:${port} is listened on in line 2 already: only one of the two can. Choose another port.`;
    const editor = await open(file);
    await eventually(() => assert.deepEqual(problems(file), [[2, warning, twice]]));
    const { range } = editor.document.lineAt(3);
    await editor.edit((edit) => edit.replace(range, '  RemoteForward 99999'));
    const unreadable = '“99999” is not a port to listen on (1 to 65535).';
    await eventually(() =>
      assert.deepEqual(problems(file), [
        [2, warning, twice],
        [3, error, unreadable],
      ]),
    );
    await vscode.commands.executeCommand('workbench.action.files.revert');
    await eventually(() => assert.deepEqual(problems(file), [[2, warning, twice]]));
  });

  it('knows a file by its place, whatever the setting says', async () => {
    const folder = join(vscode.workspace.workspaceFolders![0]!.uri.fsPath, '.ssh');
    mkdirSync(folder, { recursive: true });
    const strange = vscode.Uri.file(join(folder, 'config'));
    writeFileSync(strange.fsPath, 'Host elsewhere\n  LocalForward 80 db\n');
    const { document } = await open(strange);
    assert.equal(document.languageId, 'ssh_config');
    await eventually(() => assert.equal(problems(strange).length, 1));
  });

  it('starts nothing of a file that ssh does not read, and says why', async () => {
    const strange = vscode.Uri.file(join(vscode.workspace.workspaceFolders![0]!.uri.fsPath, '.ssh/config'));
    writeFileSync(strange.fsPath, `Host web01\n  LocalForward ${port} localhost:1\n`);
    await run('startConfigForward', { file: strange.fsPath, hosts: ['web01'], forward: `-L ${port}:localhost:1` });
    await eventually(() =>
      assert.match(lastNotice(), /^ssh does not read .*\.ssh\/config, so its hosts are not known/),
    );
    assert.deepEqual(forwards(), []);
    await open(strange);
    await eventually(() => assert.deepEqual(problems(strange), []));
    assert.deepEqual(await titles(strange), []);
  });

  it('lists the forwards, starts those of a host by its row, and follows the file', async () => {
    const labels = () =>
      configRows().map((row) =>
        row.kind === 'configHost' ? [row.label, ...row.forwards.map(({ label }) => label)] : [row.label],
      );
    const [first, second] = [await freePort(), await freePort()];
    const write = (...lines: string[]) => sshd.configPath('web01', lines);
    write(`LocalForward ${first} localhost:${service.port}`);
    // The list has been read by now, and is kept up to date.
    await eventually(() => assert.deepEqual(labels(), [['web01', `localhost:${first} → localhost:${service.port}`]]));
    await run('start', { kind: 'configHost', host: 'web01' });
    await become('ready');
    assert.equal(String((await exchange(first, Buffer.from('ping'))).received), 'ping');
    const added = `LocalForward ${second} localhost:${service.port}`;
    write(`LocalForward ${first} localhost:${service.port}`, added);
    await eventually(() => {
      const [host, ...more] = configRows();
      assert.ok(host?.kind === 'configHost');
      const states = host.forwards.map(({ status }) => status);
      assert.deepEqual(states, ['ready', 'stopped'], JSON.stringify(labels()));
      assert.deepEqual(more, []);
    });
    // ssh refuses the whole file for one line; what runs goes on.
    write(`LocalForward ${first} localhost:${service.port}`, 'LocalForward nonsense', added);
    await eventually(() => {
      const [problem, ...more] = configRows();
      assert.ok(problem?.kind === 'configProblem' && problem.origin.line === 3, JSON.stringify(labels()));
      assert.deepEqual(more, []);
    });
    await become('ready');
    const [problem] = configRows();
    await run('goToDefinition', problem);
    const editor = vscode.window.activeTextEditor;
    assert.equal(editor?.document.uri.fsPath, file.fsPath);
    assert.equal(editor?.selection.start.line, 2);
    write(`LocalForward ${first} localhost:${service.port}`);
    await eventually(() => assert.equal(configRows()[0]?.kind, 'configHost'));
    await run('stop', { kind: 'configHost', host: 'web01', how: 'stop' });
    await become('stopped');
  });

  it('notices a file that comes to be where an Include looks', async () => {
    const folder = join(sshd.folder, 'conf.d');
    mkdirSync(folder);
    sshd.configPath('web01', [`Include ${folder}/*.conf`]);
    await eventually(() => assert.deepEqual(configRows(), []));
    const path = join(folder, 'db.conf');
    await eventually(() => {
      // The folder may not be watched yet.
      writeFileSync(path, `LocalForward ${port} localhost:${service.port}\n`);
      const [host] = configRows();
      assert.ok(host?.kind === 'configHost');
      assert.deepEqual(
        host.forwards.map(({ origin }) => origin),
        [{ file: path, line: 1 }],
      );
    });
  });

  it('opens, starts and stops nothing that the list does not have', async () => {
    const before = notices().length;
    const origin = { file: join(sshd.folder, 'client'), line: 1 };
    for (const wrong of [
      { kind: 'configHost', host: 'nope' },
      { kind: 'configForward', id: 'web01 -L 1:x:1' },
      { kind: 'configProblem', origin },
    ])
      for (const command of ['start', 'stop', 'stopOrRemove', 'copyAddress', 'copySshCommand', 'goToDefinition'])
        await run(command, wrong);
    for (const wrong of [7, {}, { file: file.fsPath, hosts: ['-oProxyCommand=x'], forward: '-D 1' }])
      await run('startConfigForward', wrong);
    assert.deepEqual(forwards(), []);
    assert.notEqual(vscode.window.activeTextEditor?.document.uri.fsPath, origin.file);
    assert.deepEqual(notices().slice(before), []);
  });
});
