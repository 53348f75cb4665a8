// What `npm run screenshots` runs: makes the README's pictures anew, of the installed package in a real VS Code, in both themes.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startExtensionWindows } from '../support/extensionWindows.js';
import { listenNear, portNear } from '../support/portNear.js';
import { startSshd } from '../support/sshd.js';
import { repositoryRoot } from '../support/vscodeServer.js';
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
      await window.page.setViewportSize(size);
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
      await window.close();
    }
  } finally {
    await windows.close();
    page.close();
    other.close();
    await sshd.stop();
  }
}

async function keep(window: Workbench, name: string): Promise<void> {
  await window.page.mouse.move(size.width / 2, size.height / 2);
  const path = join(repositoryRoot, 'media', `${name}.png`);
  const small = withPalette(readFileSync(await window.screenshot(`readme-${name}`)));
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
