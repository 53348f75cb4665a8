// The Tunnel Details view in a real VS Code in a browser: clicked through, with screenshots.
import assert from 'node:assert/strict';
import type { Frame } from 'playwright-core';
import { axeFindings } from '../support/axe.js';
import { eventually } from '../support/eventually.js';
import { forwardPort, inBothThemes } from '../support/extensionWindows.js';
import { freePort } from '../support/sshd.js';
import { connectTo, echo, exchange, startTarget, type Target } from '../support/targets.js';
import { legsOf, webviewFrame } from '../support/webview.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

describe('the details of a tunnel in a window', () => {
  const bench = useWindowBench();
  let window: Workbench;
  let tunnels: View;
  let service: Target;
  let port: number;
  let page: Frame;

  before(async () => {
    service = await startTarget(echo);
    port = await freePort();
    window = await bench.open('details', {
      colorTheme: 'Default Dark Modern',
      settings: { 'sshTunnels.sshConfigFile': bench.sshd.configPath('web01') },
    });
    tunnels = await bench.openView();
    await forwardPort(window, 'web01', `${port}:127.0.0.1:${service.port}`);
    await window.toast('is ready');
    await window.dismissToasts();
  });
  after(() => service.close());

  const texts = (selector: string) => page.locator(selector).allInnerTexts();
  const name = () => `localhost:${port} → 127.0.0.1:${service.port}`;

  it('shows the path of the selected tunnel, each leg with its state in words', async () => {
    await tunnels.select(name());
    page = await webviewFrame(window.page, '.station');
    await eventually(async () => assert.deepEqual(await legsOf(page), ['ready', 'ready', 'ready', 'unknown']));
    assert.equal(await page.locator('h1').innerText(), name());
    const stations = await texts('.station .label');
    assert.equal(stations[0], 'Who can connect');
    assert.match(stations[1]!, new RegExp(`127\\.0\\.0\\.1:${port}`));
    assert.equal(stations.at(-2), 'web01');
    assert.equal(stations.at(-1), `127.0.0.1:${service.port}`);
    await inBothThemes(window, 'details');
  });

  it('shows what goes through it, and closes a connection by the keyboard', async () => {
    const socket = await connectTo({ host: '127.0.0.1', port });
    socket.on('error', () => {}).resume();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(Buffer.alloc(500_000));
    await eventually(async () => assert.deepEqual(await legsOf(page), ['ready', 'ready', 'ready', 'ready']));
    await eventually(async () => assert.match((await texts('.totals'))[0] ?? '', /500 KB sent, 500 KB received/));
    await eventually(async () =>
      assert.match((await page.locator('.plot').getAttribute('aria-label')) ?? '', /500 KB sent, 500 KB received/),
    );
    assert.equal(await page.locator('.plot canvas').count(), 1);
    assert.deepEqual(await texts('.legend li'), ['↑ Sent per second', '↓ Received per second', 'Connections']);
    const close = page.getByRole('button', { name: `Close the connection from 127.0.0.1:${socket.localPort}` });
    await close.scrollIntoViewIfNeeded();
    await window.screenshot('details-traffic');
    await close.focus();
    await window.page.keyboard.press('Enter');
    await closed;
    await eventually(async () => assert.equal(await close.count(), 0));
    assert.deepEqual(await axeFindings(page), []);
  });

  it('keeps the focus on its actions when the one that was pressed goes', async () => {
    const focused = () =>
      page.evaluate("document.activeElement.closest('.actions')?.querySelector(':focus').textContent");
    await page.locator('.actions').getByRole('button', { name: 'Stop' }).focus();
    await window.page.keyboard.press('Enter');
    await eventually(async () => assert.deepEqual(await texts('.actions button'), ['Start']));
    assert.equal(await focused(), 'Start');
    await window.page.keyboard.press('Enter');
    await eventually(async () => assert.deepEqual(await legsOf(page), ['ready', 'ready', 'ready', 'unknown']));
    assert.notEqual(await focused(), undefined);
  });

  it('tells a target that does not answer from all that is up before it', async () => {
    await service.close();
    assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNRESET');
    await eventually(async () => assert.deepEqual(await legsOf(page), ['ready', 'ready', 'ready', 'failed']));
    assert.match((await texts('.leg .why:visible')).at(-1)!, /refused the connection, as web01 sees it/);
    assert.match((await texts('.failures li'))[0]!, /refused the connection/);
    await page.locator('.leg[data-status=failed]').scrollIntoViewIfNeeded();
    await window.screenshot('details-failing-target');
  });

  it('stays readable in high contrast and at 200 %', async () => {
    for (const [theme, picture] of [
      ['Dark High Contrast', 'details-hc-black'],
      ['Light High Contrast', 'details-hc-light'],
    ] as const) {
      await window.runCommand('Preferences: Color Theme');
      await window.quickInput.accept(theme);
      await window.quickInput.closed();
      await page.locator(`body.vscode-high-contrast[data-vscode-theme-name*="${theme}"]`).waitFor();
      await eventually(async () => assert.deepEqual(await axeFindings(page), []));
      await window.screenshot(picture);
    }
    await page.evaluate('document.documentElement.style.zoom = 2');
    const beyond = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    await window.screenshot('details-200-percent');
    assert.equal(beyond, 0);
    await page.evaluate('document.documentElement.style.zoom = 1');
  });

  it('is there again when it was hidden, with what happened meanwhile', async () => {
    const explorer = window.page.locator('.activitybar').getByRole('tab', { name: 'Explorer' });
    await explorer.click();
    await eventually(() => assert.equal(page.isDetached(), true));
    await window.view('SSH Tunnels', 'Tunnels');
    page = await webviewFrame(window.page, '.station');
    await eventually(async () => assert.deepEqual(await legsOf(page), ['ready', 'ready', 'ready', 'failed']));
    assert.equal((await texts('.failures li')).length, 1);
  });
});
