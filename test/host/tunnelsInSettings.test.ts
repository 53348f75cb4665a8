import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { eventually } from '../support/eventually.js';
import { startSshd, type Sshd } from '../support/sshd.js';
import { extensionUnderTest } from './extensionUnderTest.js';

describe('presets in a settings file', () => {
  const { activate, configure, presets, notices, run } = extensionUnderTest();
  let sshd: Sshd;
  let uri: vscode.Uri;
  let document: vscode.TextDocument;

  before(async () => {
    await activate();
    sshd = await startSshd();
    await configure('sshConfigFile', sshd.configPath('web01'));
    const folder = join(vscode.workspace.workspaceFolders![0]!.uri.fsPath, '.vscode');
    await mkdir(folder, { recursive: true });
    uri = vscode.Uri.file(join(folder, 'settings.json'));
  });
  after(async () => {
    await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
    await configure('presets', undefined, vscode.ConfigurationTarget.Workspace);
    await configure('sshConfigFile', undefined);
    await sshd.stop();
  });

  /** Opens the file with this text; `|` is taken out, and its place given. */
  const open = async (presets: string): Promise<vscode.Position> => {
    const marked = `{\n  // ours\n  "sshTunnels.presets": ${presets}\n}\n`;
    const text = marked.replace('|', '');
    if (document === undefined) {
      writeFileSync(uri.fsPath, text);
      document = await vscode.workspace.openTextDocument(uri);
    }
    const edit = new vscode.WorkspaceEdit();
    edit.replace(uri, new vscode.Range(0, 0, document.lineCount, 0), text);
    assert.ok(await vscode.workspace.applyEdit(edit), 'not edited');
    return document.positionAt(Math.max(marked.indexOf('|'), 0));
  };
  const problems = () =>
    vscode.languages
      .getDiagnostics(uri)
      .filter(({ source }) => source === 'SSH Tunnels')
      .map(({ range, message }) => `${document.getText(range)}: ${message}`);
  const complete = async (presets: string) => {
    const place = await open(presets);
    const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(
      'vscode.executeCompletionItemProvider',
      uri,
      place,
    );
    return items.map(({ label }) => (typeof label === 'string' ? label : label.label));
  };

  it('have what is wrong marked at its place, and no more once it is mended', async () => {
    await open('[{ "name": "DB", "host": "web01", "forwards": ["-L 5432:db:x"] }]');
    await eventually(() => assert.deepEqual(problems(), ['x: “x” is not a target port (1 to 65535)']));
    await open('[{ "name": "DB", "host": "web01", "forwards": ["-L 5432:db:5432"] }]');
    await eventually(() => assert.deepEqual(problems(), []));
  });

  it('tell in a hover what a forward does', async () => {
    const place = await open('[{ "name": "DB", "host": "bob@web01", "forwards": ["-L 54|32:db:5432"] }]');
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', uri, place);
    const [text] = hovers.flatMap(({ contents }) => contents.map((one) => (one as vscode.MarkdownString).value));
    assert.match((text ?? '').replaceAll('&nbsp;', ' ').replaceAll('\\', ''), /db:5432, as bob@web01 sees it/);
  });

  it('offer the hosts of ssh_config, the groups in use and the variables', async () => {
    assert.ok((await complete('[{ "host": "|" }]')).includes('web01'), 'no host');
    assert.ok((await complete('[{ "host": "-J ba|" }]')).includes('web01'), 'no host behind an option');
    const groups = await complete('[{ "group": "Staging" }, { "group": "|" }]');
    assert.ok(groups.includes('Staging'), groups.join());
    const variables = await complete('[{ "host": "${|}", "inputs": { "server": {} } }]');
    for (const variable of ['${workspaceFolder}', '${env:}', '${input:server}'])
      assert.ok(variables.includes(variable), variables.join());
  });

  it('open at the field that a problem is about', async () => {
    await open('[{ "name": "DB", "host": "web01", "forwards": ["-L 5432:db:x"] }]');
    await document.save();
    await eventually(() => assert.equal(presets()[0]?.kind, 'problem'));
    await run('editPresets', presets()[0]);
    await eventually(() => {
      const editor = vscode.window.activeTextEditor;
      assert.equal(editor?.document.uri.toString(), uri.toString());
      assert.equal(editor.document.getText(editor.selection), '"-L 5432:db:x"');
    });
  });

  it('are not overwritten by a form that was opened before they were changed', async () => {
    const preset = (port: number) => [{ name: 'Mine', host: 'web01', forwards: [`-L ${port}:db:1`] }];
    const stored = () => vscode.workspace.getConfiguration('sshTunnels').inspect('presets')?.globalValue;
    const mine = { kind: 'preset', preset: { name: 'Mine', scope: { kind: 'user' } } };
    /** Picks the first row of the form, Save, until it has done so: the list may not stand yet. */
    const save = (done: () => void) =>
      eventually(async () => {
        // A field that was opened instead has no rows, and is left by the next one.
        await Promise.resolve(vscode.commands.executeCommand('quickInput.first')).catch(() => {});
        await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
        done();
      });
    await configure('presets', preset(4001));
    const editing = run('editPreset', mine);
    await configure('presets', preset(4002));
    const before = notices().length;
    await save(() => assert.match(notices().slice(before).join('\n'), /^“Mine” has changed in the settings meanwhile/));
    await editing;
    assert.deepEqual(stored(), preset(4002));
    // The next form has what stands there now, and is not refused for the last one's sake.
    let isClosed = false;
    void run('editPreset', mine).then(() => (isClosed = true));
    await save(() => assert.ok(isClosed, 'the form is open'));
    assert.equal(notices().length, before + 1);
    assert.deepEqual(stored(), preset(4002));
    await configure('presets', undefined);
  });
});
