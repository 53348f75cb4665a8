// Tunnels come back after a reload of the window and a crash of the extension host, in a real VS Code in a browser.
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';
import { exchange, fetchPage } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

const page = 'the page behind web01';

describe('tunnels of the window before', () => {
  const bench = useWindowBench();
  let window: Workbench;
  let tunnels: View;
  let ports: number[];

  before(async () => {
    ports = [await freePort(), await freePort()];
    window = await bench.open('restore', {
      colorTheme: 'Default Dark Modern',
      settings: {
        'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
        'sshTunnels.presets': [
          {
            name: 'Shop',
            host: 'web01',
            forwards: ports.map((port) => `-L 127.0.0.1:${port}:localhost:${bench.webPort}`),
          },
        ],
      },
    });
    tunnels = await bench.openView();
    await window.widenSideBar(420);
  });

  /** The states of the connection and its tunnels. */
  const shows = (...expected: string[]) =>
    eventually(async () => {
      const rows = (await tunnels.rows()).slice(0, expected.length);
      assert.deepEqual(
        rows.map(({ description }) => description.split(' · ')[0]),
        expected,
      );
    }, 30_000);
  const serve = async () => {
    for (const port of ports) assert.equal(await fetchPage(port), page);
  };
  const refuse = () =>
    eventually(async () => {
      for (const port of ports) assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    });
  const question = '2 tunnels were running when this window closed';
  const asksNothing = async () => {
    const toasts = await window.toasts();
    assert.ok(!toasts.some(({ text }) => text.includes('when this window closed')), JSON.stringify(toasts));
  };

  it('are listed after a reload, stopped, and run again when the user says so', async () => {
    await tunnels.pressInline('Shop', 'Start Preset');
    await shows('ready', 'ready', 'ready');
    await serve();
    await window.reload();
    tunnels = await bench.openView();
    const toast = await window.toast(question);
    const listed = ports.map((port) => `127.0.0.1:${port} → localhost:${bench.webPort} (web01)`);
    assert.equal(toast.text, `${question}: ${listed.join(' and ')}. Start them again?`);
    assert.deepEqual(toast.buttons, ['Start', 'Always', 'Never']);
    await shows('stopped', 'stopped', 'stopped');
    await refuse();
    await window.screenshot('restore-question-dark');
    // VS Code puts the question away after some seconds, to those behind the bell.
    await window.pressToast(question, 'Start');
    await shows('ready', 'ready', 'ready');
    await serve();
    await window.toast('are ready');
  });

  it('are asked about after a crash of the extension host, too, and no more when the answer was “Always”', async () => {
    await window.runCommand('Preferences: Toggle between Light/Dark Themes');
    await bench.windows.killExtensionHost();
    await window.toast(question);
    await window.screenshot('restore-question-light');
    await window.pressToast(question, 'Always');
    await shows('ready', 'ready', 'ready');
    await serve();
    await bench.windows.killExtensionHost();
    await shows('ready', 'ready', 'ready');
    await serve();
    await asksNothing();
    await window.screenshot('restored-always');
  });

  it('stay stopped when they were stopped by hand', async () => {
    await tunnels.pressInline('web01', 'Stop');
    await shows('stopped', 'stopped', 'stopped');
    await window.reload();
    tunnels = await bench.openView();
    await shows('stopped', 'stopped', 'stopped');
    await refuse();
    await asksNothing();
  });

  it('are told of in the diagnostics, without their names', async () => {
    await window.runCommand('SSH Tunnels: Copy Diagnostics');
    await window.pressToast('Diagnostics are on the clipboard', 'Open');
    await eventually(async () => assert.match(await window.editorText(), /# SSH Tunnels diagnostics/));
    const text = await window.clipboard();
    assert.match(text, /^ {4}sshTunnels\.restoreTunnels +"always"$/m);
    assert.match(text, /## Tunnels \(2\)\n\n {4}1\. -L 127\.0\.0\.1:\d+:localhost:\d+ through host\d+: stopped\n/);
    assert.doesNotMatch(text, /web01/);
    await window.screenshot('diagnostics');
  });
});
