// What others open, in a real VS Code in a browser: another extension, a language model, a link. And where it all listens, since
// VS Code's server is not where the browser is.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { inBothThemes } from '../support/extensionWindows.js';
import { freePort } from '../support/sshd.js';
import { exchange, fetchPage } from '../support/targets.js';
import { installVsix, repositoryRoot } from '../support/vscodeServer.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

const machine = 'the machine that runs VS Code';

/** Another extension: each of its commands runs a line of code with its API of VS Code and ours. */
async function installOther(tmp: string, code: Readonly<Record<string, string>>): Promise<void> {
  const folder = join(tmp, 'other');
  mkdirSync(folder, { recursive: true });
  const commands = Object.keys(code).map((title) => ({ command: `other.${title}`, title, category: 'Other' }));
  const manifest = {
    name: 'other',
    publisher: 'test',
    version: '1.0.0',
    engines: { vscode: '^1.100.0' },
    main: './main.js',
    extensionDependencies: ['ssh-tunnels.ssh-tunnels'],
    contributes: { commands },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const handlers = Object.entries(code).map(([title, line]) => `'${title}': async () => { ${line} }`);
  const main = `const vscode = require('vscode');
    const api = vscode.extensions.getExtension('ssh-tunnels.ssh-tunnels').exports;
    const say = (text) => void vscode.window.showInformationMessage(text);
    let tunnel;
    const handlers = { ${handlers.join(',\n')} };
    exports.activate = (context) => {
      for (const [title, handler] of Object.entries(handlers))
        context.subscriptions.push(vscode.commands.registerCommand('other.' + title, () => handler().catch((error) => say('No: ' + error.message))));
    };`;
  writeFileSync(join(folder, 'main.js'), main);
  writeFileSync(join(folder, 'README.md'), 'Another extension, for a test.');
  const packagePath = join(tmp, 'other.vsix');
  writeFileSync(join(folder, '.vscodeignore'), '');
  const vsce = join(repositoryRoot, 'node_modules/@vscode/vsce/vsce');
  const options = ['--no-dependencies', '--allow-missing-repository', '--skip-license', '--out', packagePath];
  execFileSync(process.execPath, [vsce, 'package', ...options], { cwd: folder, stdio: 'pipe' });
  await installVsix(packagePath, join(tmp, 'extensions'));
}

describe('the extension in a window', () => {
  const bench = useWindowBench();
  const { rows, shows, statusId } = bench;
  let window: Workbench;
  let tunnels: View;

  describe('with others who want tunnels', () => {
    let port: number;
    let toolPort: number;
    const label = () => `127.0.0.1:${port} → localhost:${bench.webPort}`;
    const connected = () => `web01 · ready · ${bench.sshd.user}@127.0.0.1:${bench.sshd.port}`;
    const preset = () => `Presets · `;
    const presetRow = () => `Web page · localhost:${bench.webPort} via web01`;

    before(async () => {
      [port, toolPort] = [await freePort(), await freePort()];
      const link = (query: string) =>
        `await vscode.commands.executeCommand('vscode.open', vscode.Uri.parse(vscode.env.uriScheme + '://ssh-tunnels.ssh-tunnels${query}'));`;
      const forward = `-L 127.0.0.1:${port}:localhost:${bench.webPort}`;
      await installOther(bench.windows.tmp, {
        'Open Tunnel': `tunnel = await api.openTunnel({ host: 'web01', forward: '${forward}' }); say('Opened at ' + tunnel.port);`,
        'Close Tunnel': `tunnel.dispose();`,
        'Have an Agent Open': `const result = await vscode.lm.invokeTool('sshTunnels_open', { input: { host: 'web01', forward: '${toolPort}:localhost:${bench.webPort}' } }); say('Agent: ' + result.content[0].value);`,
        'Follow Link': link(`/forward?host=web01&forward=${encodeURIComponent(forward)}`),
        'Follow Link to Preset': link('/preset?name=Web%20page'),
        'Follow Bad Link': link('/forward?host=-oProxyCommand%3Dtouch%20x&forward=80'),
      });
      window = await bench.open('others', {
        colorTheme: 'Default Dark Modern',
        settings: {
          'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
          'sshTunnels.presets': [
            { name: 'Web page', host: 'web01', forwards: [`-L ${await freePort()}:localhost:${bench.webPort}`] },
          ],
        },
      });
      tunnels = await bench.openView();
      await shows(preset(), presetRow());
    });

    it('fills in the form by a link, and starts nothing before Enter is pressed at both steps', async () => {
      const { quickInput } = window;
      const log = bench.sshd.log();
      await window.runCommand('Other: Follow Link');
      await quickInput.step('Forward Port (1/2)');
      assert.equal(await quickInput.value(), 'web01');
      await window.screenshot('link-host');
      await eventually(async () => assert.ok((await quickInput.items()).length > 0, 'hosts are listed'));
      await quickInput.accept();
      await quickInput.step('Forward Port (2/2)');
      assert.equal(await quickInput.value(), `-L 127.0.0.1:${port}:localhost:${bench.webPort}`);
      await eventually(async () =>
        assert.match(
          await quickInput.verdict(),
          new RegExp(`Only ${machine} can connect\\..*127\\.0\\.0\\.1:${port} on ${machine} → `),
        ),
      );
      await window.screenshot('link-forward');
      await quickInput.dismiss();
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
      // Not even to ask the host which of its ports listen.
      assert.equal(bench.sshd.log(), log);
      await shows(preset(), presetRow());
    });

    it('says what is wrong with a link', async () => {
      await window.runCommand('Other: Follow Bad Link');
      const toast = await window.toast('The link can’t be used.');
      assert.equal(toast.severity, 'error');
      await window.screenshot('link-refused');
      await window.dismissToasts();
    });

    it('shows a preset by a link, and does not start it', async () => {
      await window.runCommand('Other: Follow Link to Preset');
      await eventually(async () =>
        assert.deepEqual(
          (await tunnels.rows()).map(({ label, selected }) => [label, selected]),
          [
            ['Presets', false],
            ['Web page', true],
          ],
        ),
      );
      await shows(preset(), presetRow());
    });

    it('opens a tunnel for another extension, says so, and where it listens', async () => {
      await window.runCommand('Other: Open Tunnel');
      await window.toast(`Opened at ${port}`);
      await shows(connected(), `${label()} · ready`, preset(), presetRow());
      assert.equal(await fetchPage(port), 'the page behind web01');
      const tooltip = await tunnels.tooltip(label(), () => inBothThemes(window, 'listens-elsewhere'));
      assert.match(tooltip, new RegExp(`Listens on ${machine}: 127\\.0\\.0\\.1:${port}`));
      assert.match(
        tooltip,
        new RegExp(`Tunnels listen on ${machine}: a browser on your computer gets there by Open in`),
      );
      assert.match(tooltip, /Another extension opened it/);
      assert.equal(await tunnels.message(), `Listening on ${machine}`);
      const status = await window.statusTooltip(statusId, () => window.screenshot('listens-elsewhere-status'));
      assert.match(status, new RegExp(`Tunnels listen on ${machine}`));
      await tunnels.pressInline(label(), 'Copy Address');
      await eventually(async () => assert.equal(await window.clipboard(), `127.0.0.1:${port}`));
      const note = `Copied 127.0.0.1:${port}, an address on ${machine}`;
      await window.page.locator('.part.statusbar').getByText(note).waitFor();
      await window.screenshot('copied-elsewhere');
      await window.runCommand('Other: Close Tunnel');
      await shows(preset(), presetRow());
      await window.dismissToasts();
    });

    it('asks before a language model opens a tunnel, and opens none without a yes', async () => {
      await window.runCommand('Other: Have an Agent Open');
      const { message, detail, buttons } = await window.modal();
      assert.equal(message, 'Open an SSH tunnel?');
      assert.match(
        detail,
        new RegExp(`localhost:${toolPort} on ${machine} → localhost:${bench.webPort}, as web01 sees`),
      );
      assert.match(detail, new RegExp(`Who can connect: only ${machine}`));
      assert.match(detail, /It connects to web01 over SSH with your keys\./);
      await window.screenshot('agent-asks');
      const no = buttons.find((button) => /cancel|no/i.test(button));
      assert.ok(no !== undefined, buttons.join(', '));
      await window.pressModal(no);
      await window.toast('No: ');
      assert.deepEqual(await rows(), [preset(), presetRow()]);
      await window.dismissToasts();
      await window.runCommand('Other: Have an Agent Open');
      const yes = (await window.modal()).buttons.find((button) => button !== no);
      await window.pressModal(yes!);
      await window.toast(`Connect to localhost:${toolPort}.`);
      assert.equal(await fetchPage(toolPort), 'the page behind web01');
      assert.equal((await rows()).length, 4);
      await window.screenshot('agent-opened');
    });
  });
});
