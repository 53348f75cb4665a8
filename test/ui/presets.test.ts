// Presets of a workspace and their owner's trust, in a real VS Code in a browser: clicked through, with screenshots.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';
import { exchange } from '../support/targets.js';
import { webviewFrame } from '../support/webview.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

describe('the extension in a window', () => {
  const bench = useWindowBench();
  const { rows, shows, status } = bench;
  let window: Workbench;
  let tunnels: View;

  describe('in a workspace that is not trusted', () => {
    let port: number;

    before(async () => {
      port = await freePort();
      window = await bench.open('untrusted', {
        trust: 'ask',
        colorTheme: 'Default Dark Modern',
        settings: {
          'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
          'sshTunnels.presets': [
            { name: 'Mine', host: 'web01', forwards: [`-L ${await freePort()}:localhost:${bench.webPort}`] },
            {
              name: 'Mine here',
              host: 'web01',
              forwards: [`-L \${workspaceFolder}/page.sock:localhost:${bench.webPort}`],
              autoStart: true,
            },
          ],
        },
        folderSettings: {
          'sshTunnels.presets': [
            { name: 'Theirs', host: 'web01', forwards: [`-L ${port}:localhost:${bench.webPort}`], autoStart: true },
            { name: 'Of mine', host: 'web01', forwards: ['-L ${env:HOME}/shop.sock:localhost:80'] },
          ],
        },
      });
      await window.answerTrust(false);
      tunnels = await bench.openView();
    });

    it('locks the workspace’s presets and says why, and of the user’s own only one about its folder', async () => {
      await shows(
        'Presets · ',
        `Theirs · workspace not trusted · localhost:${bench.webPort} via web01 · workspace`,
        // Nothing of the environment is read for it.
        'Of mine · workspace not trusted · -L ${env:HOME}/shop.sock:localhost:80 via web01 · workspace',
        `Mine · localhost:${bench.webPort} via web01 · user`,
        `Mine here · workspace not trusted · -L \${workspaceFolder}/page.sock:localhost:${bench.webPort} via web01 · user`,
      );
      assert.match(await tunnels.tooltip('Theirs'), /This workspace is not trusted, so its presets don’t start/);
      assert.equal((await tunnels.inlineActions('Theirs')).includes('Start Preset'), false);
      await window.screenshot('untrusted-dark');
      await tunnels.pressInline('Mine', 'Start Preset');
      await window.toast('is ready');
    });

    it('opens no port of the workspace’s presets, and says so when one is clicked', async () => {
      await window.dismissToasts();
      await tunnels.row('Theirs').click();
      const toast = await window.toast('This workspace is not trusted, so its presets don’t start.');
      assert.deepEqual([toast.severity, toast.buttons], ['error', ['Manage Workspace Trust']]);
      const offered = await window.offeredCommands('SSH Tunnels: Start Preset');
      assert.equal(offered.includes('SSH Tunnels: Start Preset'), false);
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
      await window.dismissToasts();
    });

    it('asks before it starts one by itself when the workspace is trusted', async () => {
      await window.runCommand('Workspaces: Manage Workspace Trust');
      await window.page.getByRole('button', { name: 'Trust', exact: true }).first().click();
      const toast = await window.toast('“Theirs” wants to start with this workspace.');
      assert.deepEqual(toast.buttons, ['Review…', 'Not Now', 'Don’t Show Again']);
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
      await window.screenshot('auto-start-dark');
      await eventually(async () =>
        assert.match((await rows()).join('\n'), /^Of mine · localhost:80 via web01 · workspace$/m),
      );
      await window.pressToast('wants to start', 'Review…');
      assert.equal((await window.modal()).message, 'Start “Theirs” from the workspace settings?');
      await window.pressModal('Start');
      await window.page.keyboard.press('Escape');
      await eventually(async () => assert.equal((await status())?.text, '3'));
    });

    it('has started by then what is the user’s own and had waited for its folder', async () => {
      await eventually(async () =>
        assert.match((await rows()).join('\n'), /^Mine here · ready · localhost:\d+ via web01 · user$/m),
      );
    });
  });

  describe('with presets that start by themselves', () => {
    before(async () => {
      window = await bench.open('automatic', {
        settings: {
          'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
          'sshTunnels.presets': [
            { name: 'Taken', host: 'web01', forwards: [`-L 127.0.0.1:${bench.webPort}:localhost:80`], autoStart: true },
          ],
        },
        folderSettings: {
          'sshTunnels.presets': [
            { name: 'Theirs', host: 'web01', forwards: [`-L ${await freePort()}:localhost:80`], autoStart: true },
          ],
        },
      });
      tunnels = await bench.openView();
    });

    it('shows in the row alone that a port is in use: it may be up in another window', async () => {
      await eventually(async () => assert.match((await rows())[1] ?? '', /^Taken · failed/));
      assert.match((await tunnels.rows())[1]!.accessibleLabel, /is already in use on the machine that runs VS Code/);
      await window.toast('“Theirs” wants to start');
      assert.equal((await window.toasts()).length, 1);
      await tunnels.pressInline('Taken', 'Start');
      await window.toast('is already in use');
    });

    it('does not offer the workspace’s again when told so', async () => {
      await window.pressToast('“Theirs” wants to start', 'Don’t Show Again');
      await window.reload();
      tunnels = await bench.openView();
      await eventually(async () => assert.match((await rows())[1] ?? '', /^Taken · failed/));
      await window.page.waitForTimeout(1000);
      assert.deepEqual(await window.toasts(), []);
    });
  });

  describe('in a workspace of two folders', () => {
    const preset = (name: string, port: number) => ({
      name,
      host: 'web01',
      forwards: [`-L ${port}:localhost:${bench.webPort}`],
    });

    before(async () => {
      const root = join(bench.windows.tmp, 'folders');
      for (const folder of ['api', 'shop']) {
        mkdirSync(join(root, folder, '.vscode'), { recursive: true });
        const own = { ...preset(`Page of ${folder}`, await freePort()), afterOpen: 'simpleBrowser' };
        const settings = { 'sshTunnels.presets': [own] };
        writeFileSync(join(root, folder, '.vscode/settings.json'), JSON.stringify(settings));
      }
      const both = {
        folders: [{ path: 'api' }, { path: 'shop' }],
        settings: { 'sshTunnels.presets': [preset('Page of all', await freePort())] },
      };
      writeFileSync(join(root, 'both.code-workspace'), JSON.stringify(both));
      window = await bench.open('folders', {
        workspace: join(root, 'both.code-workspace'),
        builtin: ['simple-browser'],
        settings: {
          'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
          'sshTunnels.presets': [preset('Mine', await freePort())],
        },
      });
      tunnels = await bench.openView();
    });

    it('shows the presets of the workspace, of each folder and the user’s, each once', async () => {
      const via = `localhost:${bench.webPort} via web01`;
      await shows(
        'Presets · ',
        `Page of all · ${via} · workspace`,
        `Page of api · ${via} · folder api`,
        `Page of shop · ${via} · folder shop`,
        `Mine · ${via} · user`,
      );
      assert.match(await tunnels.tooltip('Page of shop'), /From the settings of the folder shop/);
    });

    it('changes the settings of the folder that a preset stands in, and no others', async () => {
      const filed = (path: string) =>
        (
          JSON.parse(readFileSync(join(bench.windows.tmp, 'folders', path), 'utf8')) as Record<
            string,
            { name: string }[]
          >
        )['sshTunnels.presets']?.map(({ name }) => name);
      await tunnels.pressMenu('Page of shop', 'Duplicate Preset');
      await eventually(() =>
        assert.deepEqual(filed('shop/.vscode/settings.json'), ['Page of shop', 'Page of shop copy']),
      );
      await tunnels.pressMenu('Page of shop copy', 'Remove Preset…');
      assert.equal((await window.modal()).detail, 'It is taken out of the settings of the folder shop.');
      await window.pressModal('Remove');
      await eventually(() => assert.deepEqual(filed('shop/.vscode/settings.json'), ['Page of shop']));
      assert.deepEqual(filed('api/.vscode/settings.json'), ['Page of api']);
    });

    it('shows the details of one that was never started, while there is no tunnel', async () => {
      // The rows have moved together again where one was taken out.
      await eventually(async () => assert.equal((await rows()).length, 5));
      await tunnels.pressMenu('Page of shop', 'Show Details');
      const page = await webviewFrame(window.page, '.station');
      await eventually(async () => assert.equal(await page.locator('h1').innerText(), 'Page of shop'));
      assert.equal(await page.locator('.state').innerText(), 'stopped');
      await page.getByRole('button', { name: 'Start', exact: true }).waitFor();
      await window.screenshot('details-of-a-preset-dark');
    });

    it('names the folder that a preset came with before it starts', async () => {
      await tunnels.pressInline('Page of shop', 'Start Preset');
      const { message, detail } = await window.modal();
      assert.equal(message, 'Start “Page of shop” from the settings of the folder shop?');
      assert.match(detail, /When you start it, its address is opened in the Simple Browser\./);
      await window.pressModal('Start');
      await eventually(async () => assert.equal((await status())?.text, '1'));
    });

    it('opens its address in the Simple Browser, as it says', async () => {
      const url = (await webviewFrame(window.page, '.url-input')).locator('.url-input');
      await eventually(async () => assert.match(await url.inputValue({ timeout: 2000 }), /\/proxy\/\d+/));
    });
  });

  describe('with presets that ask', () => {
    let port: number;
    const settingsFile = () => join(bench.windows.tmp, 'asking/shop/.vscode/settings.json');
    const marker = () => window.page.locator('.monaco-editor .squiggly-error');
    const write = (...forwards: string[]) =>
      writeFileSync(
        settingsFile(),
        JSON.stringify(
          { 'sshTunnels.presets': [{ name: 'Shop page', group: 'Web', host: 'web01', forwards }] },
          null,
          2,
        ),
      );

    before(async () => {
      port = await freePort();
      window = await bench.open('asking', {
        colorTheme: 'Default Dark Modern',
        settings: {
          'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
          'sshTunnels.presets': [
            {
              name: 'Page',
              host: '${input:server}',
              forwards: [`-L \${input:port}:localhost:${bench.webPort}`, '-D auto'],
              autoStart: true,
              afterOpen: 'copy',
              inputs: {
                server: { description: 'Which server?', options: ['web01', 'web02'] },
                port: { default: String(port) },
              },
            },
            {
              name: 'In the browser',
              host: 'web01',
              forwards: [`-L ${await freePort()}:localhost:${bench.webPort}`],
              afterOpen: 'simpleBrowser',
            },
          ],
        },
      });
      tunnels = await bench.openView();
    });

    it('shows one as it is written, and why it does not start by itself', async () => {
      await eventually(async () => assert.equal((await rows())[1], 'Page · 2 forwards via ${input:server}'));
      assert.match(
        await tunnels.tooltip('Page', () => window.screenshot('preset-unanswered-dark')),
        /Asks when it is started: server, port. It doesn’t start with the window until that is answered once./,
      );
    });

    it('asks one thing after the other, goes back, and takes nothing that does not fit', async () => {
      const { quickInput } = window;
      await tunnels.pressInline('Page', 'Start Preset');
      await quickInput.step('Which server?');
      assert.equal(await quickInput.title(), 'Page (1/2)');
      assert.deepEqual(
        (await quickInput.items()).map(({ label }) => label),
        ['web01', 'web02'],
      );
      await quickInput.type('web03');
      await eventually(async () => assert.equal((await quickInput.items()).at(-1)?.label, 'Use “web03”'));
      await quickInput.type('web01:22');
      await eventually(async () =>
        assert.match((await quickInput.items()).at(-1)?.label ?? '', /^A variable stands for one part of the host/),
      );
      await window.screenshot('preset-input-options-dark');
      await quickInput.type('');
      await quickInput.pick('web02');
      await quickInput.step('Value of port');
      assert.equal(await quickInput.value(), String(port));
      await quickInput.type('http:80');
      await quickInput.step('is not a port to listen on');
      assert.equal(await quickInput.isInvalid(), true);
      await window.screenshot('preset-input-refused-dark');
      await quickInput.accept();
      assert.equal(await quickInput.title(), 'Page (2/2)');
      await quickInput.back();
      await quickInput.step('Which server?');
      await quickInput.pick('web01');
      await quickInput.step('Value of port');
      await quickInput.accept(String(port));
      await window.toast('2 tunnels are ready');
      assert.equal((await exchange(port, Buffer.from('GET / HTTP/1.0\r\n\r\n'))).end, 'end');
    });

    it('copies the address of one that says so, and shows it with its answers', async () => {
      const note = `Copied localhost:${port}, an address on the machine that runs VS Code`;
      await window.page.locator('.part.statusbar').getByText(note).waitFor();
      await eventually(async () => assert.equal(await window.clipboard(), `localhost:${port}`));
      await eventually(async () => assert.match((await rows()).join('\n'), /^Page · ready · 2 forwards via web01$/m));
      await window.screenshot('preset-answered-dark');
      await window.dismissToasts();
    });

    it('offers what was answered last, and starts nothing when it is closed', async () => {
      const { quickInput } = window;
      const inPresets = async () => (await rows()).filter((row) => row.startsWith('Page · '));
      await tunnels.pressInline('Page', 'Stop Preset');
      await eventually(async () => assert.doesNotMatch((await inPresets()).join(), /ready/));
      await tunnels.pressInline('Page', 'Start Preset');
      await quickInput.step('Which server?');
      await quickInput.pick('web01');
      await quickInput.step('Value of port');
      assert.equal(await quickInput.value(), String(port));
      await quickInput.dismiss();
      assert.doesNotMatch((await inPresets()).join(), /ready/);
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    });

    it('opens the address of one that says so, in the browser where there is no Simple Browser', async () => {
      const opened = window.page.context().waitForEvent('page');
      await tunnels.pressInline('In the browser', 'Start Preset');
      const page = await opened;
      await eventually(() => assert.match(page.url(), /\/proxy\/\d+/));
      await page.close();
      await window.dismissToasts();
    });

    it('brings back what ran with its answers after a reload, and knows it by them', async () => {
      write(`-L \${input:port}:localhost:${bench.webPort}`);
      const own = await freePort();
      await eventually(async () => assert.ok((await rows()).some((row) => row.startsWith('Shop page · '))));
      await tunnels.pressInline('Shop page', 'Start Preset');
      await window.quickInput.step('Value of port');
      await window.quickInput.accept(String(own));
      const { message, detail } = await window.modal();
      assert.equal(message, 'Start “Shop page” from the workspace settings?');
      assert.match(detail, new RegExp(`localhost:${own} on`));
      await window.pressModal('Start');
      await window.toast('is ready');
      await window.reload();
      tunnels = await bench.openView();
      await window.pressToast('2 tunnels were running', 'Start');
      await eventually(async () =>
        assert.match((await rows()).join('\n'), /^Shop page · ready · localhost:\d+ via web01/m),
      );
      assert.equal((await exchange(own, Buffer.from('GET / HTTP/1.0\r\n\r\n'))).end, 'end');
      await window.dismissToasts();
    });

    it('marks what is wrong in the settings file, which opens at the field', async () => {
      write('-L 8080:localhost:80', '-L 8081:localhost:x80');
      const label = 'presets[0].forwards[1]: “x80” is not a target port (1 to 65535)';
      await eventually(async () =>
        assert.ok(
          (await rows()).some((row) => row.startsWith(label)),
          (await rows()).join(),
        ),
      );
      await tunnels.row(label).click();
      await eventually(async () => assert.equal(await marker().count(), 1));
      const cursor = window.page.locator('.statusbar-item', { hasText: /^Ln 9, Col \d+ \(23 selected\)$/ });
      await cursor.waitFor();
      await window.page.keyboard.press('F8');
      await window.page.locator('.marker-widget', { hasText: 'is not a target port' }).waitFor();
      await window.screenshot('preset-problem-dark');
      await window.page.keyboard.press('Escape');
      write('-L 8080:localhost:80');
      await eventually(async () => assert.equal(await marker().count(), 0));
    });

    it('tells in a hover what a forward does', async () => {
      const forward = window.page.locator('.view-line', { hasText: '8080' }).locator('span span').last();
      await eventually(async () => {
        await window.page.mouse.move(900, 600);
        await forward.hover({ position: { x: 80, y: 8 } });
        const hover = window.page.locator('.monaco-hover:not(.hidden)').first();
        await hover.waitFor({ timeout: 3000 });
        assert.match((await hover.innerText()).replaceAll('\u00a0', ' '), /→ localhost:80, as web01 sees it/);
      });
      await window.screenshot('preset-hover-dark');
      await window.page.keyboard.press('Escape');
    });

    it('offers the hosts of ssh_config', async () => {
      const { page } = window;
      await page.locator('.view-line', { hasText: '"web01"' }).click();
      await page.keyboard.press('End');
      for (let index = 0; index < 2; index++) await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('Backspace');
      await page.keyboard.press('Control+Space');
      await page.locator('.suggest-widget.visible .monaco-list-row', { hasText: 'web01' }).first().waitFor();
      await window.screenshot('preset-completion-dark');
      await page.keyboard.press('Enter');
      await eventually(async () => assert.match(await window.editorText(), /"host": "web01",/));
    });
  });
});
