// A person's first hours with the extension, in a real VS Code in a browser: clicked through, with screenshots of each state.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import {
  forwardPort,
  inBothThemes,
  startExtensionWindows,
  type ExtensionWindows,
} from '../support/extensionWindows.js';
import { freePort, keygen, startSshd, type Sshd } from '../support/sshd.js';
import { exchange, fetchPage } from '../support/targets.js';
import type { View, Workbench } from '../support/workbench.js';

const statusId = 'ssh-tunnels.ssh-tunnels';
const passphrase = 'correct horse';

describe('the extension in a window', () => {
  let windows: ExtensionWindows;
  let sshd: Sshd;
  let web: Server;
  let webPort: number;
  let keyPath: string;
  let window: Workbench;
  let tunnels: View;

  before(async () => {
    windows = await startExtensionWindows();
    sshd = await startSshd();
    keyPath = join(sshd.folder, 'id_locked');
    keygen(keyPath);
    execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', passphrase, '-f', keyPath]);
    appendFileSync(sshd.authorizedKeysPath, readFileSync(`${keyPath}.pub`));
    web = createServer((_request, response) => response.end('the page behind web01'));
    await new Promise<void>((listening) => web.listen(0, '127.0.0.1', listening));
    webPort = (web.address() as AddressInfo).port;
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await window.screenshot(`failed-${this.currentTest.title}`);
  });
  after(async () => {
    await windows.close();
    web.close();
    await sshd.stop();
  });

  const rows = async () => (await tunnels.rows()).map(({ label, description }) => `${label} · ${description}`);
  const shows = (...expected: string[]) => eventually(async () => assert.deepEqual(await rows(), expected));
  const status = () => window.statusItem(statusId);

  const open = async (...given: Parameters<ExtensionWindows['open']>) => (window = await windows.open(...given));
  const openView = async () => (tunnels = await window.view('SSH Tunnels', 'Tunnels'));

  describe('for a newcomer', () => {
    let port: number;
    let config: string;

    before(async () => {
      port = await freePort();
      config = sshd.configPath('web01', [
        `UserKnownHostsFile ${join(sshd.folder, 'known_by_newcomer')}`,
        `IdentityFile ${keyPath}`,
      ]);
      // The given key file alone: the other one needs no passphrase.
      writeFileSync(config, readFileSync(config, 'utf8').replace(`  IdentityFile ${sshd.keyPath}\n`, ''));
      appendFileSync(config, 'Host db-* !x\nHost bastion\n  HostName 192.0.2.1\n');
      await open('newcomer', { colorTheme: 'Default Dark Modern', settings: { 'sshTunnels.sshConfigFile': config } });
    });

    it('welcomes with one button', async () => {
      await openView();
      const { text, buttons } = await tunnels.welcome();
      assert.match(text, /Reach a port of a server/);
      assert.deepEqual(buttons, ['Forward Port']);
      assert.equal(await status(), undefined);
      await inBothThemes(window, 'welcome');
    });

    it('offers the hosts of ssh_config and takes a typed one, but no nonsense', async () => {
      await tunnels.pressWelcome('Forward Port');
      const { quickInput } = window;
      await quickInput.step('Forward Port');
      await eventually(async () =>
        assert.deepEqual(
          (await quickInput.items()).map(({ label }) => label),
          ['web01', 'bastion'],
        ),
      );
      assert.equal((await quickInput.items())[0]?.group, 'From ssh_config');
      await window.screenshot('forward-port-host');
      await quickInput.type('alice@web 01');
      await eventually(async () =>
        assert.match(
          (await quickInput.items())[0]?.label ?? '',
          /“alice@web 01”: a blank inside the name, at character 10/,
        ),
      );
      await quickInput.accept();
      assert.match(await quickInput.title(), /Forward Port/);
      await quickInput.type('alice@10.0.0.5:2222');
      await eventually(async () =>
        assert.equal((await quickInput.items())[0]?.label, 'Connect to alice@10.0.0.5:2222'),
      );
      // What is typed is no host of ssh_config, and stands under no heading that says so.
      for (const [typed, labels] of [
        ['web', ['web01', 'Connect to web']],
        ['nowhere', ['Connect to nowhere']],
      ] as const) {
        await quickInput.type(typed);
        await eventually(async () =>
          assert.deepEqual(
            (await quickInput.items()).map(({ label }) => label),
            labels,
          ),
        );
        assert.notEqual((await quickInput.items()).at(-1)?.group, 'From ssh_config');
      }
    });

    it('keeps the wizard open while something else is clicked, and goes on with what was typed when it was interrupted', async () => {
      const { quickInput, page } = window;
      await page.locator('.part.statusbar').click({ position: { x: 500, y: 10 } });
      await page.waitForTimeout(300);
      assert.match(await quickInput.title(), /Forward Port \(1\/2\)/);
      await page.keyboard.press('F1');
      await eventually(async () => assert.equal(await quickInput.value(), '>'));
      await window.runCommand('SSH Tunnels: Forward Port');
      await quickInput.step('Forward Port (1/2)');
      assert.equal(await quickInput.value(), 'nowhere');
      await quickInput.type('');
      await quickInput.dismiss();
      await tunnels.welcome();
    });

    it('shows while typing what a forward will do, refuses nonsense with its place, and goes back and forth', async () => {
      const { quickInput } = window;
      await window.runCommand('SSH Tunnels: Forward Port');
      await quickInput.step('Forward Port (1/2)');
      await eventually(async () => assert.ok((await quickInput.items()).length > 0));
      await quickInput.pick('web01');
      await quickInput.step('Forward Port (2/2)');
      await quickInput.type('5432:db:http:x:y');
      const isRefused = async () =>
        assert.match(await quickInput.verdict(), /^error · Too many fields; .*, at character 16\.$/);
      await eventually(isRefused);
      await window.screenshot('forward-port-wrong');
      await quickInput.accept();
      await isRefused();
      assert.match(await quickInput.title(), /Forward Port \(2\/2\)/);
      await quickInput.type('5432');
      await eventually(async () =>
        assert.match(
          await quickInput.verdict(),
          /^arrow-right · 5432 · .* · localhost:5432 on this machine → localhost:5432, as web01 sees it$/,
        ),
      );
      await quickInput.type(`-L 127.0.0.1:${port}:localhost:${webPort}`);
      await eventually(async () =>
        assert.match(
          await quickInput.verdict(),
          new RegExp(`127\\.0\\.0\\.1:${port} on this machine → localhost:${webPort}, as web01 sees it`),
        ),
      );
      await window.screenshot('forward-port-effect');
      await quickInput.back();
      await quickInput.step('Forward Port (1/2)');
      await eventually(async () => assert.ok((await quickInput.items()).some(({ label }) => label === 'web01')));
      await quickInput.pick('web01');
      await quickInput.step('Forward Port (2/2)');
      assert.equal(await quickInput.value(), `-L 127.0.0.1:${port}:localhost:${webPort}`);
      await quickInput.accept();
    });

    it('asks about the unknown host key with its fingerprint', async () => {
      const { message, detail, buttons } = await window.modal();
      const printed = execFileSync('ssh-keygen', ['-lf', `${sshd.hostKeyPath}.pub`], { encoding: 'utf8' }).split(
        ' ',
      )[1]!;
      assert.equal(message, `Connect to web01 ([127.0.0.1]:${sshd.port}) for the first time?`);
      assert.ok(detail.includes(printed));
      assert.deepEqual(buttons, ['Accept Once', 'Accept and Remember', 'Cancel', 'Copy Fingerprint', 'Show Picture']);
      await window.screenshot('host-key');
      await window.pressModal('Show Picture');
      const drawn = execFileSync('ssh-keygen', ['-lvf', `${sshd.hostKeyPath}.pub`], { encoding: 'utf8' });
      await eventually(async () => {
        const shown = await window.editorText();
        for (const line of drawn.trimEnd().split('\n').slice(1)) assert.ok(shown.includes(line), shown);
      });
      await eventually(async () => assert.equal((await window.modal()).message, message));
      await window.screenshot('host-key-picture');
      // Whoever types as it comes up accepts nothing.
      await window.page.keyboard.press('Enter');
      await eventually(async () => assert.equal(await window.clipboard(), printed));
      assert.equal((await window.modal()).message, message);
      assert.equal((await rows())[0], 'web01 · connecting');
      await window.pressModal('Accept and Remember');
    });

    it('asks for the passphrase of the key, again after a wrong one, and leaves the tick as it was', async () => {
      const { quickInput } = window;
      await quickInput.step('Passphrase of');
      assert.match(await quickInput.message(), /It will not be remembered/);
      await eventually(async () => assert.deepEqual((await rows()).slice(0, 1), ['web01 · connecting']));
      await window.page.waitForTimeout(300); // faded in
      await window.screenshot('passphrase');
      await quickInput.pressButton('Remember');
      await eventually(async () =>
        assert.match(await quickInput.message(), /It will be remembered in VS Code’s secret storage/),
      );
      await quickInput.accept('wrong');
      await eventually(async () =>
        assert.match(await quickInput.message(), /The last one was wrong.*be remembered in/),
      );
    });

    it('waits with a notification when another input takes the place of the question', async () => {
      const { quickInput, page } = window;
      await page.keyboard.press('F1');
      const toast = await window.toast(`web01 waits for the passphrase of ${keyPath}.`);
      assert.deepEqual([toast.severity, toast.buttons], ['warning', ['Answer', 'Cancel']]);
      await page.keyboard.press('Escape');
      await quickInput.closed();
      await window.screenshot('passphrase-waits');
      await window.pressToast('web01 waits', 'Answer');
      await quickInput.step('Passphrase of');
      assert.match(await quickInput.message(), /be remembered in/);
      await quickInput.pressButton('Don’t remember');
      await eventually(async () => assert.match(await quickInput.message(), /It will not be remembered/));
      await quickInput.accept(passphrase);
    });

    it('shows the ready tunnel in the tree, the status bar and a notification, and brings the page', async () => {
      const effect = `127.0.0.1:${port} → localhost:${webPort}`;
      await shows(`web01 · ready · ${sshd.user}@127.0.0.1:${sshd.port}`, `${effect} · ready`);
      assert.equal(await fetchPage(port), 'the page behind web01');
      const toast = await window.toast(`${effect} (via web01) is ready.`);
      assert.equal(toast.severity, 'info');
      assert.deepEqual(toast.buttons, ['Open in Browser', 'Copy Address']);
      await eventually(async () => assert.deepEqual((await status())?.icons, ['radio-tower']));
      assert.equal((await status())?.text, '1');
      assert.equal((await status())?.background, 'none');
      assert.equal(await window.badge('SSH Tunnels'), '1');
      await window.screenshot('ready');
      await window.pressToast(effect, 'Copy Address');
      await eventually(async () => assert.equal(await window.clipboard(), `127.0.0.1:${port}`));
      await inBothThemes(window, 'tree');
      assert.match(
        await window.statusTooltip(statusId, () => window.screenshot('status-tooltip')),
        new RegExp(`127\\.0\\.0\\.1:${port}[^]*localhost:${webPort}[^]*ready`),
      );
    });

    it('tells of it again after a restart, though the last notification is in the notification centre', async () => {
      const label = `127.0.0.1:${port} → localhost:${webPort}`;
      await tunnels.pressMenu(label, 'Restart');
      await window.toast(`${label} (via web01) is ready.`);
      // It goes there by itself, unanswered, after ten seconds.
      await window.page.locator('.notification-toast').first().waitFor({ state: 'hidden' });
      await tunnels.pressMenu(label, 'Restart');
      await window.toast(`${label} (via web01) is ready.`);
      assert.equal((await window.toasts()).length, 1);
    });

    it('copies with Ctrl+C, renames with F2, and has at most three inline actions', async () => {
      const label = `127.0.0.1:${port} → localhost:${webPort}`;
      assert.deepEqual(await tunnels.inlineActions(label), ['Open in Browser', 'Copy Address (Ctrl+C)', 'Stop']);
      await window.setClipboard('');
      await tunnels.press(label, 'ControlOrMeta+c');
      await eventually(async () => assert.equal(await window.clipboard(), `127.0.0.1:${port}`));
      await tunnels.press(label, 'F2');
      await window.quickInput.step('Rename Tunnel');
      await window.quickInput.accept('Shop page');
      await shows(`web01 · ready · ${sshd.user}@127.0.0.1:${sshd.port}`, `Shop page · ready · ${label}`);
    });

    it('saves it as a preset of the workspace, and asks before it replaces one', async () => {
      await tunnels.pressMenu('Shop page', 'Save as Preset…');
      await window.quickInput.step('Save as Preset');
      assert.equal(await window.quickInput.value(), 'Shop page');
      await window.quickInput.accept();
      await shows(
        `web01 · ready · ${sshd.user}@127.0.0.1:${sshd.port}`,
        `Shop page · ready · 127.0.0.1:${port} → localhost:${webPort}`,
        'Presets · ',
        `Shop page · ready · localhost:${webPort} via web01`,
      );
      const written = JSON.parse(
        readFileSync(join(windows.tmp, 'newcomer/shop/.vscode/settings.json'), 'utf8'),
      ) as Record<string, unknown>;
      assert.deepEqual(written['sshTunnels.presets'], [
        { name: 'Shop page', host: 'web01', forwards: [`-L 127.0.0.1:${port}:localhost:${webPort}`] },
      ]);
      await inBothThemes(window, 'preset');
      await window.runCommand('SSH Tunnels: Save as Preset…');
      await window.quickInput.pick('Shop page');
      await window.quickInput.step('Name of the preset for web01');
      await window.quickInput.accept(' Shop page ');
      assert.equal((await window.modal()).message, 'Replace the preset “Shop page”?');
      await window.screenshot('replace-preset');
      await window.pressModal('Cancel');
    });

    it('asks for the secret again after a reload when it was not to be remembered, but not while the user types', async () => {
      const { quickInput, page } = window;
      await window.reload();
      await openView();
      const stopped = `Shop page · stopped · 127.0.0.1:${port} → localhost:${webPort}`;
      await shows('web01 · stopped', stopped, 'Presets · ', `Shop page · localhost:${webPort} via web01`);
      await eventually(async () => assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED'));
      await window.runCommand('SSH Tunnels: Forward Port');
      await quickInput.step('Forward Port (1/2)');
      await quickInput.type('web02');
      await tunnels.pressInline('Shop page', 'Start');
      await eventually(async () => assert.match((await rows())[1] ?? '', /^Shop page · .*waiting for you/));
      await page.waitForTimeout(500);
      assert.match(await quickInput.title(), /Forward Port \(1\/2\)/);
      assert.equal(await quickInput.value(), 'web02');
      await quickInput.type('');
      await page.keyboard.press('Escape');
      await quickInput.step('Passphrase of');
      assert.match(
        await quickInput.message(),
        /connect to web01\. Leave it empty to go on without this key\. It will not be remembered/,
      );
      await quickInput.pressButton('Remember');
      await eventually(async () => assert.match(await quickInput.message(), /be remembered in/));
      await quickInput.accept(passphrase);
      await window.toast('is ready.');
    });

    it('starts the tunnel again after a reload, without asking what it knows', async () => {
      await window.reload();
      await openView();
      await window.pressToast('A tunnel was running when this window closed: Shop page (web01).', 'Start');
      await window.toast('is ready.');
      assert.equal(await fetchPage(port), 'the page behind web01');
      await window.screenshot('reloaded');
    });

    it('shows the view when the status item is pressed', async () => {
      await window.runCommand('View: Show Explorer');
      await tunnels.pane.waitFor({ state: 'hidden' });
      await window.pressStatusItem(statusId);
      await tunnels.pane.waitFor();
    });

    it('stops several rows at once with Delete, and removes them with another', async () => {
      const second = await freePort();
      await window.runCommand('SSH Tunnels: Forward Port');
      await window.quickInput.step('Forward Port (1/2)');
      await eventually(async () => assert.ok((await window.quickInput.items()).some(({ label }) => label === 'web01')));
      await window.quickInput.pick('web01');
      await window.quickInput.step('Forward Port (2/2)');
      await window.quickInput.accept(`${second}:localhost:${webPort}`);
      const label = `localhost:${second} → localhost:${webPort}`;
      await eventually(async () => assert.deepEqual((await rows())[2], `${label} · ready`));
      const [connection, first] = await tunnels.rows();
      assert.match(connection!.label, /web01/);
      await tunnels.select(first!.label, label);
      await window.page.keyboard.press('Delete');
      await eventually(async () =>
        assert.deepEqual(
          (await rows()).slice(1, 3).map((row) => row.split(' · ')[1]),
          ['stopped', 'stopped'],
        ),
      );
      await eventually(async () => assert.equal((await exchange(second, Buffer.from('x'))).end, 'ECONNREFUSED'));
      await window.screenshot('stopped');
      await window.page.keyboard.press('Delete');
      await shows('Presets · ', `Shop page · localhost:${webPort} via web01`);
      assert.equal(await status(), undefined);
    });
  });

  describe('when things go wrong', () => {
    const light = { colorTheme: 'Default Light Modern' } as const;
    let port: number;
    let refusing: number;
    let closed: number;

    before(async () => {
      port = await freePort();
      closed = await freePort();
      refusing = await freePort();
      const config = sshd.configPath('web01');
      const other = readFileSync(`${keyPath}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
      writeFileSync(join(sshd.folder, 'changed'), `# kept since 2021\n[127.0.0.1]:${sshd.port} ${other}\n`);
      appendFileSync(
        config,
        [
          'Host impostor',
          '  HostName 127.0.0.1',
          `  Port ${sshd.port}`,
          `  UserKnownHostsFile ${join(sshd.folder, 'changed')}`,
          'Host locked',
          '  HostName 127.0.0.1',
          `  Port ${sshd.port}`,
          `  IdentityFile ${keyPath}`,
          '  IdentitiesOnly yes',
          '  IdentityAgent none',
          `  UserKnownHostsFile ${sshd.knownHostsPath}`,
          '',
        ].join('\n'),
      );
      await open('wrong', {
        ...light,
        settings: { 'sshTunnels.sshConfigFile': config },
        folderSettings: {
          'sshTunnels.presets': [
            { name: 'Database', host: 'web01', forwards: [`-L ${port}:localhost:${refusing}`] },
            { name: 'No target', host: 'web01', forwards: ['-L 5432:db'] },
          ],
        },
      });
      await openView();
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
      const refused = `127.0.0.1:${sshd.port} refused the connection`;
      await sshd.stopListening();
      try {
        await forward('web01', `${first}:localhost:${webPort}`);
        await window.toast(refused);
        await window.pressToast(refused, 'Show Log');
        await eventually(async () => assert.ok((await window.outputText()).includes(refused)));
        await window.screenshot('log-light');
        await tunnels.pressInline(`localhost:${first} → localhost:${webPort}`, 'Start');
        await window.pressToast(refused, 'Edit');
        await window.quickInput.step('Forward Port (2/2)');
        assert.equal(await window.quickInput.value(), `-L ${first}:localhost:${webPort}`);
        await window.quickInput.accept(`${second}:localhost:${webPort}`);
        await window.toast(refused);
        await shows(
          'web01 · failed',
          `localhost:${second} → localhost:${webPort} · failed`,
          'Presets · ',
          `Database · localhost:${refusing} via web01`,
          'presets[1].forwards[0]: target port missing · ',
        );
      } finally {
        await sshd.start();
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
      await window.reload();
      await openView();
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
          `connects to web01[^]*localhost:${port} on this machine → localhost:\\d+, as web01 sees it[^]*only this machine`,
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
      const killed = sshd.sessions();
      for (const pid of killed) process.kill(pid, 'SIGKILL');
      await eventually(() => {
        const now = sshd.sessions();
        assert.ok(now.length > 0 && !now.some((pid) => killed.includes(pid)));
      });
      await eventually(async () => assert.match((await rows())[0] ?? '', /^web01 · ready/));
    });
  });

  describe('in a workspace that is not trusted', () => {
    let port: number;

    before(async () => {
      port = await freePort();
      await open('untrusted', {
        trust: 'ask',
        colorTheme: 'Default Dark Modern',
        settings: {
          'sshTunnels.sshConfigFile': sshd.configPath('web01'),
          'sshTunnels.presets': [
            { name: 'Mine', host: 'web01', forwards: [`-L ${await freePort()}:localhost:${webPort}`] },
          ],
        },
        folderSettings: {
          'sshTunnels.presets': [
            { name: 'Theirs', host: 'web01', forwards: [`-L ${port}:localhost:${webPort}`], autoStart: true },
          ],
        },
      });
      await window.answerTrust(false);
      await openView();
    });

    it('locks the workspace’s presets and says why, but not the user’s own', async () => {
      await shows(
        'Presets · ',
        `Theirs · workspace not trusted · localhost:${webPort} via web01`,
        `Mine · localhost:${webPort} via web01`,
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
      await open('automatic', {
        settings: {
          'sshTunnels.sshConfigFile': sshd.configPath('web01'),
          'sshTunnels.presets': [
            { name: 'Taken', host: 'web01', forwards: [`-L 127.0.0.1:${webPort}:localhost:80`], autoStart: true },
          ],
        },
        folderSettings: {
          'sshTunnels.presets': [
            { name: 'Theirs', host: 'web01', forwards: [`-L ${await freePort()}:localhost:80`], autoStart: true },
          ],
        },
      });
      await openView();
    });

    it('shows in the row alone that a port is in use: it may be up in another window', async () => {
      await eventually(async () => assert.match((await rows())[1] ?? '', /^Taken · failed/));
      assert.match((await tunnels.rows())[1]!.accessibleLabel, /is already in use on this machine/);
      await window.toast('“Theirs” wants to start');
      assert.equal((await window.toasts()).length, 1);
      await tunnels.pressInline('Taken', 'Start');
      await window.toast('is already in use');
    });

    it('does not offer the workspace’s again when told so', async () => {
      await window.pressToast('“Theirs” wants to start', 'Don’t Show Again');
      await window.reload();
      await openView();
      await eventually(async () => assert.match((await rows())[1] ?? '', /^Taken · failed/));
      await window.page.waitForTimeout(1000);
      assert.deepEqual(await window.toasts(), []);
    });
  });

  describe('in a workspace of two folders', () => {
    const preset = (name: string, port: number) => ({
      name,
      host: 'web01',
      forwards: [`-L ${port}:localhost:${webPort}`],
    });

    before(async () => {
      const root = join(windows.tmp, 'folders');
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
      await open('folders', {
        workspace: join(root, 'both.code-workspace'),
        settings: {
          'sshTunnels.sshConfigFile': sshd.configPath('web01'),
          'sshTunnels.presets': [preset('Mine', await freePort())],
        },
      });
      await openView();
    });

    it('shows the presets of the workspace, of each folder and the user’s, each once', async () => {
      const via = `localhost:${webPort} via web01`;
      await shows(
        'Presets · ',
        ...['Page of all', 'Page of api', 'Page of shop', 'Mine'].map((name) => `${name} · ${via}`),
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
