// What a person sees when things go wrong, in a real VS Code in a browser: clicked through, with screenshots.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { forwardPort } from '../support/extensionWindows.js';
import { freePort } from '../support/sshd.js';
import { exchange, fetchPage } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

describe('the extension in a window', () => {
  const bench = useWindowBench();
  const { rows, shows, status } = bench;
  let window: Workbench;
  let tunnels: View;

  describe('when things go wrong', () => {
    const light = { colorTheme: 'Default Light Modern' } as const;
    let port: number;
    let refusing: number;
    let closed: number;

    before(async () => {
      port = await freePort();
      closed = await freePort();
      refusing = await freePort();
      const config = bench.sshd.configPath('web01');
      const other = readFileSync(`${bench.keyPath}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
      writeFileSync(join(bench.sshd.folder, 'changed'), `# kept since 2021\n[127.0.0.1]:${bench.sshd.port} ${other}\n`);
      appendFileSync(
        config,
        [
          'Host impostor',
          '  HostName 127.0.0.1',
          `  Port ${bench.sshd.port}`,
          `  UserKnownHostsFile ${join(bench.sshd.folder, 'changed')}`,
          'Host locked',
          '  HostName 127.0.0.1',
          `  Port ${bench.sshd.port}`,
          `  IdentityFile ${bench.keyPath}`,
          '  IdentitiesOnly yes',
          '  IdentityAgent none',
          `  UserKnownHostsFile ${bench.sshd.knownHostsPath}`,
          '',
        ].join('\n'),
      );
      window = await bench.open('wrong', {
        ...light,
        settings: { 'sshTunnels.sshConfigFile': config },
        folderSettings: {
          'sshTunnels.presets': [
            { name: 'Database', host: 'web01', forwards: [`-L ${port}:localhost:${refusing}`] },
            { name: 'No target', host: 'web01', forwards: ['-L 5432:db'] },
          ],
        },
      });
      tunnels = await bench.openView();
    });

    const forward = (host: string, text: string) => forwardPort(window, host, text);

    it('names the wrong preset with its place beside the good one', async () => {
      await shows(
        'Presets · ',
        `Database · localhost:${refusing} via web01`,
        'presets[1].forwards[0]: target port missing · ',
      );
      assert.equal((await tunnels.rows())[2]!.icon, 'warning');
    });

    it('says that no server runs, with the next step, and the status bar turns to it', async () => {
      await forward(`127.0.0.1:${closed}`, '4000');
      const toast = await window.toast('refused the connection');
      assert.deepEqual([toast.severity, toast.buttons], ['error', ['Show Log', 'Edit', 'Retry']]);
      await eventually(async () => assert.equal((await status())?.background, 'error'));
      const failed = (await tunnels.rows())[1]!;
      assert.match(failed.description, /failed/);
      await window.screenshot('server-down-light');
      assert.equal((await window.toasts()).length, 1);
      await tunnels.pressInline(failed.label, 'Remove');
      await eventually(async () => assert.equal(await status(), undefined));
    });

    it('offers the hosts used last', async () => {
      await window.dismissToasts();
      await window.runCommand('SSH Tunnels: Forward Port');
      await window.quickInput.step('Forward Port (1/2)');
      await eventually(async () =>
        assert.deepEqual(
          (await window.quickInput.items()).map(({ label, group }) => [label, group]),
          [
            [`127.0.0.1:${closed}`, 'Recent'],
            ['web01', 'From ssh_config'],
            ['impostor', ''],
            ['locked', ''],
          ],
        ),
      );
      await window.screenshot('recent-hosts-light');
      await window.quickInput.dismiss();
    });

    it('leads from the notification to the log, to the wizard, and to another try that succeeds', async () => {
      const [first, second] = [await freePort(), await freePort()];
      const refused = `127.0.0.1:${bench.sshd.port} refused the connection`;
      await bench.sshd.stopListening();
      try {
        await forward('web01', `${first}:localhost:${bench.webPort}`);
        await window.toast(refused);
        await window.pressToast(refused, 'Show Log');
        await eventually(async () => assert.ok((await window.outputText()).includes(refused)));
        await window.screenshot('log-light');
        await tunnels.pressInline(`localhost:${first} → localhost:${bench.webPort}`, 'Start');
        await window.pressToast(refused, 'Edit');
        await window.quickInput.step('Forward Port (2/2)');
        assert.equal(await window.quickInput.value(), `-L ${first}:localhost:${bench.webPort}`);
        await window.quickInput.accept(`${second}:localhost:${bench.webPort}`);
        await window.toast(refused);
        await shows(
          'web01 · failed',
          `localhost:${second} → localhost:${bench.webPort} · failed`,
          'Presets · ',
          `Database · localhost:${refusing} via web01`,
          'presets[1].forwards[0]: target port missing · ',
        );
      } finally {
        await bench.sshd.start();
      }
      await window.pressToast(refused, 'Retry');
      await window.toast('is ready');
      assert.equal(await fetchPage(second), 'the page behind web01');
      await tunnels.pressMenu('web01', 'Remove');
      await eventually(async () => assert.equal(await status(), undefined));
    });

    it('keeps no secret of a login that failed, ticked or not', async () => {
      const { quickInput } = window;
      await forward('locked', '4002');
      await quickInput.step('Passphrase of');
      await quickInput.pressButton('Remember');
      await eventually(async () => assert.match(await quickInput.message(), /be remembered in/));
      await quickInput.accept('wrong');
      for (let attempt = 2; attempt <= 3; attempt++) {
        await eventually(async () => {
          assert.match(await quickInput.message(), /The last one was wrong.*be remembered in/);
          assert.equal(await quickInput.value(), '');
        });
        await quickInput.accept('wrong');
      }
      await window.toast('passphrase');
      await window.screenshot('passphrase-wrong-light');
      await bench.windows.killExtensionHost();
      await eventually(async () => assert.match((await rows())[1] ?? '', /stopped/));
      await forward('locked', '4002');
      await quickInput.step('Passphrase of');
      assert.match(await quickInput.message(), /^Unlocks the key.*It will not be remembered/);
      await window.page.keyboard.press('Escape');
      await window.pressToast('locked waits for the passphrase', 'Cancel');
      await eventually(async () => assert.match((await rows())[1] ?? '', /stopped/));
      await tunnels.pressMenu('locked', 'Remove');
      await eventually(async () => assert.equal(await status(), undefined));
    });

    it('refuses a changed host key, says where the old one stands, and has no button that accepts it', async () => {
      await window.dismissToasts();
      await forward('impostor', '4001');
      const toast = await window.toast('has changed');
      assert.match(toast.text, /line 2 of .*changed has another\..*removes the old one/);
      assert.deepEqual(toast.buttons, ['Show Log', 'Edit', 'Retry']);
      await window.screenshot('host-key-changed-light');
      await tunnels.pressInline('localhost:4001 → localhost:4001', 'Remove');
      await eventually(async () => assert.equal(await status(), undefined));
      await window.dismissToasts();
    });

    it('starts nothing when the user does not agree', async () => {
      await tunnels.pressInline('Database', 'Start Preset');
      await window.modal();
      await window.pressModal('Cancel');
      await window.page.waitForTimeout(500);
      assert.equal(await status(), undefined);
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    });

    it('asks once before a preset of the workspace starts, in plain words, and shows its failing target', async () => {
      await tunnels.row('Database').dblclick();
      const { message, detail, buttons } = await window.modal();
      assert.equal(message, 'Start “Database” from the workspace settings?');
      assert.match(
        detail,
        new RegExp(
          `connects to web01[^]*localhost:${port} on the machine that runs VS Code → localhost:\\d+, as web01 sees it[^]*only the machine that runs VS Code`,
        ),
      );
      assert.deepEqual(buttons, ['Cancel', 'Start']);
      await window.screenshot('consent-light');
      await window.pressModal('Start');
      await window.toast('is ready');
      assert.equal(await window.page.locator('.monaco-dialog-box').count(), 0);
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNRESET');
      await eventually(async () => assert.match((await rows())[1] ?? '', /ready, last connection failed/));
      assert.equal((await tunnels.rows())[1]!.icon, 'warning');
      assert.match(await tunnels.tooltip('Database'), /refused the connection, as web01 sees it/);
      await window.screenshot('target-refused-light');
    });

    it('recovers by itself when the session is killed', async () => {
      const killed = bench.sshd.sessions();
      for (const pid of killed) process.kill(pid, 'SIGKILL');
      await eventually(() => {
        const now = bench.sshd.sessions();
        assert.ok(now.length > 0 && !now.some((pid) => killed.includes(pid)));
      });
      await eventually(async () => assert.match((await rows())[0] ?? '', /^web01 · ready/));
    });
  });
});
