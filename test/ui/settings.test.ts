// Settings that change what is seen and done, in a real VS Code in a browser.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { forwardPort } from '../support/extensionWindows.js';
import { freePort } from '../support/sshd.js';
import { exchange, fetchPage } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

describe('the extension in a window with settings of its own', () => {
  const bench = useWindowBench();
  const { rows } = bench;
  let window: Workbench;
  let tunnels: View;
  let port: number;
  let presetPort: number;

  before(async () => {
    [port, presetPort] = [await freePort(), await freePort()];
    // A host that is let in by a key of which only a setting tells.
    const config = bench.sshd.configPath('web01');
    writeFileSync(config, readFileSync(config, 'utf8').replace(/^ *IdentityFile .*\n/m, ''), { mode: 0o600 });
    window = await bench.open('settings', {
      colorTheme: 'Default Dark Modern',
      settings: {
        'sshTunnels.sshConfigFile': config,
        'sshTunnels.identityFile': join(bench.sshd.folder, 'client'),
        'sshTunnels.defaultBind': '127.0.0.1',
        'sshTunnels.notifications': 'problems',
        'sshTunnels.autoStart': false,
        'sshTunnels.presets': [
          { name: 'Page', host: 'web01', forwards: [`-L ${presetPort}:localhost:${bench.webPort}`], autoStart: true },
        ],
      },
    });
    tunnels = await bench.openView();
  });

  it('says below what is typed where it will listen, and listens there, let in by the key of the setting', async () => {
    const { quickInput } = window;
    await window.runCommand('SSH Tunnels: Forward Port');
    await quickInput.step('Forward Port (1/2)');
    await quickInput.pick('web01');
    await quickInput.step('Forward Port (2/2)');
    await quickInput.type(`${port}:${bench.webPort}`);
    await eventually(async () => {
      const [typed] = await quickInput.items();
      assert.match(typed?.detail ?? '', new RegExp(`^127\\.0\\.0\\.1:${port} on `));
    });
    await window.screenshot('default-bind-dark');
    await quickInput.accept();
    await eventually(async () =>
      assert.ok(
        (await rows()).some((row) => row.startsWith(`127.0.0.1:${port} → localhost:${bench.webPort} · ready`)),
        (await rows()).join(', '),
      ),
    );
    assert.equal(await fetchPage(port), 'the page behind web01');
  });

  it('leaves what came about unsaid, and tells of what failed', async () => {
    assert.deepEqual(await window.toasts(), []);
    await forwardPort(window, 'web01', `-L 127.0.0.1:${port}:x:1`);
    const toast = await window.toast('is already in use');
    assert.equal(toast.severity, 'error');
    assert.equal((await window.toasts()).length, 1);
    await window.dismissToasts();
  });

  it('leaves a preset that would start by itself to be started by hand', async () => {
    assert.equal((await exchange(presetPort, Buffer.from('x'))).end, 'ECONNREFUSED');
    await tunnels.pressInline('Page', 'Start Preset');
    await eventually(async () => assert.equal(await fetchPage(presetPort), 'the page behind web01'));
    // Presets mean what they say: nothing of the bind address that is for what is typed.
    await eventually(async () =>
      assert.ok(
        (await rows()).some((row) => row.includes(`localhost:${presetPort} → localhost:${bench.webPort}`)),
        (await rows()).join(', '),
      ),
    );
    assert.deepEqual(await window.toasts(), []);
  });
});
