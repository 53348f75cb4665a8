// The tour: from a window with nothing to a page that came through a tunnel of the sandbox, step by step of the walkthrough; and
// then all of it is taken away.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { eventually } from '../../support/eventually.js';
import { startExtensionWindows, type ExtensionWindows } from '../../support/extensionWindows.js';
import { beginStory, type Story } from '../../support/story.js';
import { exchange, fetchPage } from '../../support/targets.js';
import { webviewFrame } from '../../support/webview.js';
import type { View, Workbench } from '../../support/workbench.js';

describe('the tour', () => {
  let windows: ExtensionWindows;
  let window: Workbench;
  let tunnels: View;
  let story: Story;
  /** Where the page is, and where the sandbox's SSH server listens. */
  let pagePort: number;
  let sshPort: number;
  const knownBefore = knownHosts();

  const steps = () => window.page.locator('.getting-started-step');
  const step = (title: string): Locator => steps().filter({ hasText: title }).first();
  const completes = (title: string) =>
    eventually(async () =>
      assert.equal(await step(title).locator('.codicon-getting-started-step-checked').count(), 1, title),
    );
  /** With the step’s own picture, which is a page of its own. */
  const picture = async (words: string) => {
    const page = window.page.frameLocator('.getting-started-media iframe').frameLocator('#active-frame');
    await story.aside(() => page.locator('svg text', { hasText: words }).first().waitFor());
    await story.picture();
  };
  const press = (button: string) => window.page.getByRole('button', { name: button, exact: true }).first().click();
  const refuses = async (port: number) => (await exchange(port, Buffer.from('x'))).end === 'ECONNREFUSED';

  before(async () => {
    windows = await startExtensionWindows();
    window = await windows.open('tour', { colorTheme: 'Default Dark Modern' });
    await window.page.setViewportSize({ width: 1500, height: 860 });
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await window.screenshot(`failed-${this.currentTest.title}`);
  });
  after(() => windows.close());

  it('begins in the empty view, and opens a tunnel and its page by one button', async () => {
    story = beginStory(window, 'the tour with the sandbox', 'tour');
    tunnels = await window.view('SSH Tunnels', 'Tunnels');
    const { text, buttons } = await tunnels.welcome();
    assert.deepEqual(buttons, ['Forward Port']);
    assert.match(text, /Try with a sandbox server[^]*Paste it[^]*Open the walkthrough/);
    await story.picture();
    await window.page.locator('.welcome-view-content').getByText('Open the walkthrough').click();
    await steps().nth(3).waitFor();
    await picture('localhost:8080');
    const opened = window.page.context().waitForEvent('page');
    await press('Try with a Sandbox Server');
    const toast = await window.toast('Remove the sandbox when you have seen enough');
    assert.deepEqual(toast.buttons, ['Open in Browser', 'Remove Sandbox']);
    await completes('Open a tunnel');
    await story.aside(async () => {
      pagePort = Number(/localhost:(\d+)/.exec(toast.text)?.[1]);
      const page = await opened;
      // VS Code's server would pass it on by this way; what there is to see comes from the tunnel itself.
      assert.match(page.url(), new RegExp(`/proxy/${pagePort}/`));
      await page.goto(`http://localhost:${pagePort}/`);
      assert.equal(await page.locator('h1').innerText(), 'It works');
      await page.screenshot({ path: 'out/screenshots/story-tour-page.png' });
      await page.close();
      const [connection] = await tunnels.rows();
      sshPort = Number(/^sandbox:(\d+)$/.exec(connection?.label ?? '')?.[1]);
      assert.equal(await refuses(sshPort), false);
      assert.match(await fetchPage(pagePort), /This page came through an SSH tunnel/);
    });
    await window.dismissToasts();
    await story.picture();
  });

  it('goes on to the details of the tunnel', async () => {
    await step('See what it does').click();
    await press('Show Tunnel Details');
    await completes('See what it does');
    const page = await story.aside(() => webviewFrame(window.page, '.station'));
    await story.aside(() =>
      eventually(async () => assert.match(await page.locator('h1').innerText(), /Sandbox page/, 'the details')),
    );
    await story.picture();
  });

  it('goes on to a preset in the workspace’s settings', async () => {
    await step('Keep it with your project').click();
    await picture('{');
    await press('New Preset');
    for (const answer of ['Database', 'db01', '5432']) {
      await window.quickInput.step('New Preset: ');
      await window.quickInput.accept(answer);
    }
    await window.quickInput.pick('Save');
    await completes('Keep it with your project');
    await story.aside(() =>
      eventually(async () =>
        assert.ok(
          (await tunnels.rows()).some(({ label }) => label === 'Database'),
          'the preset is listed',
        ),
      ),
    );
  });

  it('goes on to what the tunnel is for', async () => {
    await step('Use it').click();
    await picture('localhost:5432');
    await press('Copy Address');
    await completes('Use it');
  });

  it('ends with the sandbox taken away, and nothing of it left', async () => {
    assert.equal(sandboxFolders(windows.tmp).length, 1, 'it has files while it runs');
    await tunnels.pressMenu('Sandbox page', 'Remove Sandbox');
    await eventually(async () =>
      assert.deepEqual(
        (await tunnels.rows()).filter(({ label }) => /sandbox/i.test(label)),
        [],
      ),
    );
    await story.picture();
    const told = story.end();
    assert.ok(told.seconds < 120, `${told.seconds} s`);
    await eventually(async () => {
      assert.deepEqual(sandboxFolders(windows.tmp), []);
      assert.deepEqual([await refuses(pagePort), await refuses(sshPort)], [true, true]);
    });
    assert.equal(knownHosts(), knownBefore);
    await eventually(async () => {
      const offered = await window.offeredCommands('SSH Tunnels: Remove Sandbox');
      assert.equal(offered.includes('SSH Tunnels: Remove Sandbox'), false, 'it is not offered any more');
    });
  });

  it('leaves nothing when the window is reloaded, and does not come back', async () => {
    await window.runCommand('SSH Tunnels: Try with a Sandbox Server');
    await window.toast('Remove the sandbox when you have seen enough');
    const row = (await tunnels.rows()).find(({ label }) => label.startsWith('sandbox:'));
    assert.equal(sandboxFolders(windows.tmp).length, 1, 'it has files while it runs');
    await window.reload();
    tunnels = await window.view('SSH Tunnels', 'Tunnels');
    await eventually(async () => {
      const labels = (await tunnels.rows()).map(({ label }) => label);
      assert.ok(labels.includes('Database'), labels.join());
      assert.ok(!labels.some((label) => /sandbox/i.test(label)), labels.join());
    });
    // What an extension host that was killed has left goes some seconds after the next one's start.
    await eventually(async () => {
      assert.deepEqual(sandboxFolders(windows.tmp), []);
      assert.equal(await refuses(Number(row!.label.slice('sandbox:'.length))), true, 'its server is gone');
    }, 30_000);
    assert.deepEqual(await window.toasts(), []);
  });
});

/** Of sandboxes, in the extension's storage in the window `tour`. */
function sandboxFolders(tmp: string): string[] {
  const folder = join(tmp, 'tour/server/data/User/globalStorage/ssh-tunnels.ssh-tunnels/sandbox');
  return existsSync(folder) ? readdirSync(folder) : [];
}

function knownHosts(): string | undefined {
  const path = join(homedir(), '.ssh/known_hosts');
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
