// A person's first hours with the extension, in a real VS Code in a browser: clicked through, with screenshots of each state.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { inBothThemes } from '../support/extensionWindows.js';
import { freePort } from '../support/sshd.js';
import { exchange, fetchPage } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

describe('the extension in a window', () => {
  const bench = useWindowBench();
  const { rows, shows, status, passphrase, statusId } = bench;
  let window: Workbench;
  let tunnels: View;

  describe('for a newcomer', () => {
    let port: number;
    let config: string;

    before(async () => {
      port = await freePort();
      config = bench.sshd.configPath('web01', [
        `UserKnownHostsFile ${join(bench.sshd.folder, 'known_by_newcomer')}`,
        `IdentityFile ${bench.keyPath}`,
      ]);
      // The given key file alone: the other one needs no passphrase.
      writeFileSync(config, readFileSync(config, 'utf8').replace(`  IdentityFile ${bench.sshd.keyPath}\n`, ''));
      appendFileSync(config, 'Host db-* !x\nHost bastion\n  HostName 192.0.2.1\n');
      window = await bench.open('newcomer', {
        colorTheme: 'Default Dark Modern',
        settings: { 'sshTunnels.sshConfigFile': config },
      });
    });

    it('welcomes with one button', async () => {
      tunnels = await bench.openView();
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
          /^arrow-right · 5432 · .* · localhost:5432 on the machine that runs VS Code → localhost:5432, as web01 sees it$/,
        ),
      );
      await quickInput.type(`-L 127.0.0.1:${port}:localhost:${bench.webPort}`);
      await eventually(async () =>
        assert.match(
          await quickInput.verdict(),
          new RegExp(
            `127\\.0\\.0\\.1:${port} on the machine that runs VS Code → localhost:${bench.webPort}, as web01 sees it`,
          ),
        ),
      );
      await window.screenshot('forward-port-effect');
      await quickInput.back();
      await quickInput.step('Forward Port (1/2)');
      await eventually(async () => assert.ok((await quickInput.items()).some(({ label }) => label === 'web01')));
      await quickInput.pick('web01');
      await quickInput.step('Forward Port (2/2)');
      assert.equal(await quickInput.value(), `-L 127.0.0.1:${port}:localhost:${bench.webPort}`);
      await quickInput.accept();
    });

    it('asks about the unknown host key with its fingerprint', async () => {
      const { message, detail, buttons } = await window.modal();
      const printed = execFileSync('ssh-keygen', ['-lf', `${bench.sshd.hostKeyPath}.pub`], { encoding: 'utf8' }).split(
        ' ',
      )[1]!;
      assert.equal(message, `Connect to web01 ([127.0.0.1]:${bench.sshd.port}) for the first time?`);
      assert.ok(detail.includes(printed));
      assert.deepEqual(buttons, ['Accept Once', 'Accept and Remember', 'Cancel', 'Copy Fingerprint', 'Show Picture']);
      await window.screenshot('host-key');
      await window.pressModal('Show Picture');
      const drawn = execFileSync('ssh-keygen', ['-lvf', `${bench.sshd.hostKeyPath}.pub`], { encoding: 'utf8' });
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
      const toast = await window.toast(`web01 waits for the passphrase of ${bench.keyPath}.`);
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
      const effect = `127.0.0.1:${port} → localhost:${bench.webPort}`;
      await shows(`web01 · ready · ${bench.sshd.user}@127.0.0.1:${bench.sshd.port}`, `${effect} · ready`);
      assert.equal(await fetchPage(port), 'the page behind web01');
      const toast = await window.toast(`${effect} (via web01) is ready.`);
      assert.equal(toast.severity, 'info');
      assert.deepEqual(toast.buttons, ['Open in Browser', 'Copy Address']);
      await eventually(async () => assert.deepEqual((await status())?.icons, ['radio-tower']));
      assert.equal((await status())?.text, '1');
      assert.equal((await status())?.background, 'none');
      await eventually(async () => assert.equal(await window.badge('SSH Tunnels'), '1'));
      await window.screenshot('ready');
      await window.pressToast(effect, 'Copy Address');
      await eventually(async () => assert.equal(await window.clipboard(), `127.0.0.1:${port}`));
      await inBothThemes(window, 'tree');
      assert.match(
        await window.statusTooltip(statusId, () => window.screenshot('status-tooltip')),
        new RegExp(`127\\.0\\.0\\.1:${port}[^]*localhost:${bench.webPort}[^]*ready`),
      );
    });

    it('tells of it again after a restart, though the last notification is in the notification centre', async () => {
      const label = `127.0.0.1:${port} → localhost:${bench.webPort}`;
      await tunnels.pressMenu(label, 'Restart');
      await window.toast(`${label} (via web01) is ready.`);
      await window.hideToasts();
      await tunnels.pressMenu(label, 'Restart');
      await window.toast(`${label} (via web01) is ready.`);
      assert.equal((await window.toasts()).length, 1);
    });

    it('copies with Ctrl+C, renames with F2, and has at most three inline actions', async () => {
      const label = `127.0.0.1:${port} → localhost:${bench.webPort}`;
      assert.deepEqual(await tunnels.inlineActions(label), ['Open in Browser', 'Copy Address (Ctrl+C)', 'Stop']);
      await window.setClipboard('');
      await tunnels.press(label, 'ControlOrMeta+c');
      await eventually(async () => assert.equal(await window.clipboard(), `127.0.0.1:${port}`));
      await tunnels.select(label);
      await window.pressToOpen('F2', 'input');
      await window.quickInput.step('Rename Tunnel');
      await window.quickInput.accept('Shop page');
      await shows(`web01 · ready · ${bench.sshd.user}@127.0.0.1:${bench.sshd.port}`, `Shop page · ready · ${label}`);
    });

    it('saves it as a preset of the workspace, and asks before it replaces one', async () => {
      await tunnels.pressMenu('Shop page', 'Save as Preset…');
      await window.quickInput.step('Save as Preset');
      assert.equal(await window.quickInput.value(), 'Shop page');
      await window.quickInput.accept();
      await shows(
        `web01 · ready · ${bench.sshd.user}@127.0.0.1:${bench.sshd.port}`,
        `Shop page · ready · 127.0.0.1:${port} → localhost:${bench.webPort}`,
        'Presets · ',
        `Shop page · ready · localhost:${bench.webPort} via web01`,
      );
      const written = JSON.parse(
        readFileSync(join(bench.windows.tmp, 'newcomer/shop/.vscode/settings.json'), 'utf8'),
      ) as Record<string, unknown>;
      assert.deepEqual(written['sshTunnels.presets'], [
        { name: 'Shop page', host: 'web01', forwards: [`-L 127.0.0.1:${port}:localhost:${bench.webPort}`] },
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
      tunnels = await bench.openView();
      const stopped = `Shop page · stopped · 127.0.0.1:${port} → localhost:${bench.webPort}`;
      await shows('web01 · stopped', stopped, 'Presets · ', `Shop page · localhost:${bench.webPort} via web01`);
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
      tunnels = await bench.openView();
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
      await window.quickInput.accept(`${second}:localhost:${bench.webPort}`);
      const label = `localhost:${second} → localhost:${bench.webPort}`;
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
      await shows('Presets · ', `Shop page · localhost:${bench.webPort} via web01`);
      assert.equal(await status(), undefined);
    });
  });
});
