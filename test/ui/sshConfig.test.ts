// The forwards of a person's ssh_config: found in the tree, started there, and at hand in the file itself.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { eventually } from '../support/eventually.js';
import { inBothThemes } from '../support/extensionWindows.js';
import { freePort } from '../support/sshd.js';
import { exchange } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

describe('the forwards of ssh_config in a window', () => {
  const bench = useWindowBench();
  let window: Workbench;
  let tunnels: View;
  let port: number;
  let proxy: number;
  let page: string;

  before(async () => {
    [port, proxy] = [await freePort(), await freePort()];
    page = `localhost:${port} → localhost:${bench.webPort}`;
    window = await bench.open('config', {
      colorTheme: 'Default Dark Modern',
      settings: { 'sshTunnels.sshConfigFile': write() },
    });
  });

  const write = (...more: string[]) =>
    bench.sshd.configPath('web01', [
      `LocalForward ${port} localhost:${bench.webPort}`,
      `DynamicForward ${proxy}`,
      ...more,
    ]);
  const curl = async (url: string, ...options: string[]) =>
    (await promisify(execFile)('curl', ['-sS', '--noproxy', '', ...options, url])).stdout;
  /** Those below the group. */
  const listed = async () => {
    const all = await bench.rows();
    return all.slice(all.indexOf('ssh_config · ') + 1);
  };
  const lenses = () => window.page.locator('.codelens-decoration a');
  const lensTitles = async () => (await lenses().allInnerTexts()).map((text) => text.replaceAll('\u00a0', ' ').trim());

  it('stand in the tree under their host, with what they do', async () => {
    tunnels = await bench.openView();
    await window.widenSideBar(420);
    await eventually(async () =>
      assert.deepEqual(await bench.rows(), [
        'ssh_config · ',
        'web01 · 2 forwards',
        `${page} · `,
        `localhost:${proxy} → SOCKS · `,
      ]),
    );
    assert.deepEqual(
      (await tunnels.rows()).map(({ level }) => level),
      [1, 2, 3, 3],
    );
    const tooltip = await tunnels.tooltip(page);
    assert.match(tooltip, /on the machine that runs VS Code → localhost:\d+, as web01 sees it/);
    assert.match(tooltip, /Line 2 of .*config_web01/);
    assert.deepEqual(await tunnels.inlineActions(page), ['Start', 'Go to Definition']);
    assert.deepEqual(await tunnels.menu('web01'), [
      'Start',
      'Go to Definition',
      'Copy as ssh Command',
      'Explain Connection',
    ]);
    await inBothThemes(window, 'ssh-config-tree');
  });

  it('start from the tree, and carry a page', async () => {
    await tunnels.pressInline(page, 'Start');
    await eventually(async () =>
      assert.deepEqual(await listed(), ['web01 · 1 of 2 ready', `${page} · ready`, `localhost:${proxy} → SOCKS · `]),
    );
    assert.equal(await curl(`http://localhost:${port}/`), 'the page behind web01');
    assert.match(
      (await window.toast('is ready')).text,
      new RegExp(`:${port} → localhost:${bench.webPort} \\(via web01\\)`),
    );
    await window.screenshot('ssh-config-started');
  });

  it('are stopped by the lens above their line in the file', async () => {
    await tunnels.pressInline(`localhost:${proxy} → SOCKS`, 'Go to Definition');
    await eventually(async () =>
      assert.deepEqual(await lensTitles(), ['Stop · web01 · ready', 'Start · web01'], (await lensTitles()).join()),
    );
    await window.dismissToasts();
    await inBothThemes(window, 'ssh-config-editor');
    await lenses().first().click();
    await eventually(async () => assert.deepEqual(await lensTitles(), ['Start · web01', 'Start · web01']));
    await eventually(async () => assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED'));
    assert.deepEqual(await listed(), ['web01 · 2 forwards', `${page} · `, `localhost:${proxy} → SOCKS · `]);
  });

  it('start by the lens', async () => {
    await lenses().nth(1).click();
    await eventually(async () => assert.equal((await lensTitles())[1], 'Stop · web01 · ready'));
    const through = ['--proxy', `socks5h://127.0.0.1:${proxy}`];
    assert.equal(await curl(`http://localhost:${bench.webPort}/`, ...through), 'the page behind web01');
  });

  it('say in a hover what they do', async () => {
    const keyword = window.page.locator('.view-line', { hasText: 'LocalForward' }).locator('span span').first();
    await eventually(async () => {
      await window.page.mouse.move(900, 600);
      await keyword.hover({ position: { x: 40, y: 8 } });
      const hover = window.page.locator('.monaco-hover:not(.hidden)').first();
      await hover.waitFor({ timeout: 3000 });
      const text = (await hover.innerText()).replaceAll('\u00a0', ' ');
      assert.match(text, /on the machine that runs VS Code → localhost:\d+, as web01 sees it/);
      assert.match(text, /Who can connect: only the machine that runs VS Code/);
    });
    await window.screenshot('ssh-config-hover');
  });

  it('follow the file, and name what is wrong with it', async () => {
    const other = await freePort();
    write(`LocalForward ${other} db.internal:5432`);
    await eventually(async () =>
      assert.deepEqual(await listed(), [
        'web01 · 1 of 3 ready',
        `${page} · `,
        `localhost:${proxy} → SOCKS · ready`,
        `localhost:${other} → db.internal:5432 · `,
      ]),
    );
    write(`RemoteForward ${port} nonsense`);
    await eventually(async () => assert.match((await listed())[0] ?? '', /^config_web01:4: /));
    await tunnels.row((await listed())[0]!.replace(/ · $/, '')).click();
    await eventually(async () => assert.equal(await window.page.locator('.monaco-editor .squiggly-error').count(), 1));
    await inBothThemes(window, 'ssh-config-problem');
    write();
    await eventually(async () => assert.equal((await listed()).length, 3));
  });

  it('start from the palette, all of a host at once', async () => {
    const { quickInput } = window;
    await window.runCommand('SSH Tunnels: Start Forward of ssh_config…');
    await quickInput.step('Start Forward of ssh_config');
    assert.deepEqual(
      (await quickInput.items()).map(({ label }) => label),
      ['All 2 forwards', page, `localhost:${proxy} → SOCKS`],
    );
    await window.screenshot('ssh-config-pick');
    await quickInput.accept();
    await eventually(async () => assert.equal((await listed())[0], 'web01 · ready · 2 forwards'));
    assert.equal(await curl(`http://localhost:${port}/`), 'the page behind web01');
  });
});
