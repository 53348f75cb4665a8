// What `npm run screenshots` runs: makes the README's pictures anew, of the installed package in a real VS Code, in both themes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Locator } from 'playwright-core';
import { eventually } from '../support/eventually.js';
import { startExtensionWindows } from '../support/extensionWindows.js';
import { listenNear, portNear } from '../support/portNear.js';
import { startSshd } from '../support/sshd.js';
import { connectTo } from '../support/targets.js';
import { repositoryRoot } from '../support/vscodeServer.js';
import { webviewFrame } from '../support/webview.js';
import type { Workbench } from '../support/workbench.js';
import { withPalette } from './png.js';

const themes = ['dark', 'light'] as const;
const size = { width: 1120, height: 640 };

async function main(): Promise<void> {
  const { status } = spawnSync(process.execPath, ['esbuild.mjs'], { cwd: repositoryRoot, stdio: 'inherit' });
  if (status !== 0) throw new Error(`The build failed (esbuild.mjs ended with ${status}).`);
  const sshd = await startSshd();
  const page = createServer((request, response) =>
    response.end('x'.repeat(Number(request.headers['content-length'] ?? 20_000))),
  );
  const web = await listenNear(page, 8080);
  const other = createServer();
  const otherPort = await listenNear(other, 5433);
  const windows = await startExtensionWindows();
  try {
    const [dashboard, database, proxy] = [await portNear(3000), await portNear(5432), await portNear(1080)];
    const preset = (name: string, host: string, ...forwards: string[]) => ({ name, host, forwards });
    for (const theme of themes) {
      const window = await windows.open(`pictures-${theme}`, {
        colorTheme: theme === 'dark' ? 'Default Dark Modern' : 'Default Light Modern',
        settings: {
          'sshTunnels.sshConfigFile': sshd.configPath('web01'),
          'sshTunnels.presets': [
            { ...preset('Dashboard', 'web01', `-L ${dashboard}:localhost:${web}`), icon: 'graph', color: 'blue' },
            {
              ...preset('Billing DB', 'web01', `-L ${database}:localhost:${otherPort}`),
              group: 'Shop',
              icon: 'database',
            },
            { ...preset('Proxy to the office', 'web01', `-D ${proxy}`), group: 'Shop', icon: 'globe' },
          ],
        },
      });
      await resize(window, size);
      const tunnels = await window.view('SSH Tunnels', 'Tunnels');
      await window.widenSideBar(420);
      for (const name of ['Dashboard', 'Billing DB']) {
        await tunnels.pressInline(name, 'Start Preset');
        await window.toast(`${name}:`);
        if (name === 'Dashboard') await window.dismissToasts();
      }
      await keep(window, `tunnels-${theme}`);
      await window.dismissToasts();

      await tunnels.pressTitleAction('Forward Port');
      await window.quickInput.step('Forward Port (1/2)');
      await window.quickInput.pick('web01');
      await window.quickInput.step('Forward Port (2/2)');
      await window.quickInput.type('5433:db.internal:5432');
      await sleep(500);
      await keep(window, `forward-port-${theme}`);
      await window.quickInput.dismiss();

      await resize(window, { ...size, height: 1190 });
      await tunnels.select('Dashboard');
      const details = await webviewFrame(window.page, '.station');
      const browser = await connectTo({ host: '127.0.0.1', port: dashboard });
      await browse(dashboard, 45);
      const { pane } = await window.view('SSH Tunnels', 'Tunnel Details');
      const edge = await pane.boundingBox();
      await window.page.mouse.move(edge!.x + 100, edge!.y);
      await window.page.mouse.down();
      await window.page.mouse.move(edge!.x + 100, 280, { steps: 4 });
      await window.page.mouse.up();
      await details.locator('.plot canvas').waitFor();
      await keep(window, `details-${theme}`, window.page.locator('.part.sidebar'));
      browser.destroy();
      await window.close();
    }
  } finally {
    await windows.close();
    page.close();
    other.close();
    await sshd.stop();
  }
}

/** VS Code does not hear of a new size while it starts. */
async function resize({ page }: Workbench, wanted: typeof size): Promise<void> {
  await eventually(async () => {
    await page.setViewportSize({ ...wanted, width: wanted.width + 1 });
    await page.setViewportSize(wanted);
    await page.waitForTimeout(200);
    const box = await page.locator('.monaco-workbench').boundingBox();
    assert.deepEqual([box?.width, box?.height], [wanted.width, wanted.height]);
  });
}

/** Has the page send more and less, as somebody does who looks around. */
async function browse(port: number, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 0.5) {
    const body = 'x'.repeat(30_000 + 25_000 * Math.sin(second / 7));
    await (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body })).arrayBuffer();
    await sleep(500);
  }
}

async function keep(window: Workbench, name: string, part?: Locator): Promise<void> {
  await window.page.mouse.move(size.width - 100, size.height / 2);
  const path = join(repositoryRoot, 'media', `${name}.png`);
  const small = withPalette(readFileSync(await window.screenshot(`readme-${name}`, part)));
  writeFileSync(path, small);
  console.log(`media/${name}.png: ${(small.length / 1000).toFixed(1)} KB`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
