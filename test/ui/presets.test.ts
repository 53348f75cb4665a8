// Presets of a workspace and their owner's trust, in a real VS Code in a browser: clicked through, with screenshots.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';
import { exchange } from '../support/targets.js';
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
          ],
        },
        folderSettings: {
          'sshTunnels.presets': [
            { name: 'Theirs', host: 'web01', forwards: [`-L ${port}:localhost:${bench.webPort}`], autoStart: true },
          ],
        },
      });
      await window.answerTrust(false);
      tunnels = await bench.openView();
    });

    it('locks the workspace’s presets and says why, but not the user’s own', async () => {
      await shows(
        'Presets · ',
        `Theirs · workspace not trusted · localhost:${bench.webPort} via web01 · workspace`,
        `Mine · localhost:${bench.webPort} via web01 · user`,
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
      await window.pressToast('wants to start', 'Review…');
      assert.equal((await window.modal()).message, 'Start “Theirs” from the workspace settings?');
      await window.pressModal('Start');
      await window.page.keyboard.press('Escape');
      await eventually(async () => assert.equal((await status())?.text, '2'));
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
        const settings = { 'sshTunnels.presets': [preset(`Page of ${folder}`, await freePort())] };
        writeFileSync(join(root, folder, '.vscode/settings.json'), JSON.stringify(settings));
      }
      const both = {
        folders: [{ path: 'api' }, { path: 'shop' }],
        settings: { 'sshTunnels.presets': [preset('Page of all', await freePort())] },
      };
      writeFileSync(join(root, 'both.code-workspace'), JSON.stringify(both));
      window = await bench.open('folders', {
        workspace: join(root, 'both.code-workspace'),
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

    it('names the folder that a preset came with before it starts', async () => {
      await tunnels.pressInline('Page of shop', 'Start Preset');
      assert.equal((await window.modal()).message, 'Start “Page of shop” from the settings of the folder shop?');
      await window.pressModal('Start');
      await eventually(async () => assert.equal((await status())?.text, '1'));
    });
  });
});
