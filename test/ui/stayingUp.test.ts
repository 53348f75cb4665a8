// The lid closes, the server goes down and comes back: what the rows say of it, in a real VS Code in a browser.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { eventually } from '../support/eventually.js';
import { inBothThemes } from '../support/extensionWindows.js';
import { freePort, keygen, killAll } from '../support/sshd.js';
import { exchange, fetchPage } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

const page = 'the page behind web01';

describe('tunnels that stay up, in a window', () => {
  const bench = useWindowBench();
  let window: Workbench;
  let tunnels: View;
  let port: number;
  let lazyPort: number;

  before(async () => {
    [port, lazyPort] = [await freePort(), await freePort()];
    const forward = (at: number) => [`-L 127.0.0.1:${at}:localhost:${bench.webPort}`];
    window = await bench.open('staying', {
      colorTheme: 'Default Dark Modern',
      settings: {
        'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
        'sshTunnels.presets': [
          { name: 'Shop page', host: 'web01', forwards: forward(port) },
          { name: 'Wiki', host: 'web01', forwards: forward(lazyPort), connect: 'onDemand' },
        ],
      },
    });
    tunnels = await bench.openView();
    await window.widenSideBar(420);
  });

  /** What the rows of the connection and of its first tunnel say. */
  const states = async () => {
    const [connection, forward] = await tunnels.rows();
    return [connection, forward].map((row) => (row?.description ?? '').split(' · ')[0]!);
  };
  const shows = (...expected: [connection: string, forward: string]) =>
    eventually(async () => assert.deepEqual(await states(), expected));
  const goDown = async () => {
    const sessions = bench.sshd.sessions();
    await bench.sshd.stopListening();
    killAll(sessions);
  };
  /** Waits until the rows count down from at least so many seconds, and gives how many. */
  const countsDown = (least: number) =>
    eventually(async () => {
      const [connection, forward] = await states();
      const [, seconds] = /^retrying in (\d+) s \(attempt \d+\)$/.exec(forward!) ?? [];
      assert.ok(Number(seconds) >= least, forward);
      assert.equal(connection, forward);
      return Number(seconds);
    });

  it('listens for a preset on demand without a connection, and connects with the first request', async () => {
    await tunnels.pressInline('Wiki', 'Start Preset');
    await window.toast('listens, and connects when a client comes.');
    await shows('not connected, waits for a client', 'listening, not connected');
    assert.deepEqual(bench.sshd.sessions(), []);
    const [connection, forward] = await tunnels.rows();
    assert.deepEqual([connection!.icon, forward!.icon], ['pass', 'pass']);
    assert.match(
      await tunnels.tooltip('Wiki'),
      /It connects when a client comes, and hangs up after 10 min without one\./,
    );
    await inBothThemes(window, 'on-demand');
    assert.equal(await fetchPage(lazyPort), page);
    await shows('ready', 'ready');
    await window.dismissToasts();
    await tunnels.press('Wiki', 'Delete');
    await shows('stopped', 'stopped');
    await window.page.keyboard.press('Delete');
    // The next test presses a row below them, which moves when they go.
    await eventually(async () => assert.equal((await tunnels.rows())[0]!.label, 'Presets'));
  });

  it('comes back by itself, and answers a request that came meanwhile', async () => {
    await tunnels.pressInline('Shop page', 'Start Preset');
    await shows('ready', 'ready');
    await window.dismissToasts();
    await goDown();
    await eventually(async () => assert.match((await states())[1]!, /^retrying /));
    const answer = fetchPage(port);
    await tunnels.toggle('Shop page');
    await eventually(async () =>
      assert.match((await tunnels.rows())[2]!.description, /^waits for the connection · \d s$/),
    );
    await window.screenshot('waiting-client-dark');
    await bench.sshd.start();
    await shows('ready', 'ready');
    assert.equal(await answer, page);
    await tunnels.toggle('Shop page');
    const [connection, forward] = await tunnels.rows();
    assert.deepEqual([connection!.icon, forward!.icon], ['pass-filled', 'pass-filled']);
    const item = await window.statusItem('ssh-tunnels.ssh-tunnels');
    assert.deepEqual([item?.icons, item?.background, item?.accessibleLabel], [['radio-tower'], 'none', 'SSH tunnels: 1 ready']); // prettier-ignore
    await inBothThemes(window, 'recovered');
    assert.deepEqual(await window.toasts(), []);
  });

  it('counts down to the next try, says why and what becomes of clients, and tries at once when told', async () => {
    await goDown();
    const seconds = await countsDown(3);
    assert.deepEqual(
      (await tunnels.rows()).slice(0, 2).map(({ icon }) => icon),
      ['history', 'history'],
    );
    assert.match((await tunnels.rows())[1]!.accessibleLabel, /^Tunnel Shop page, retrying \(attempt \d+\)/);
    await eventually(async () => {
      const [, left] = /^retrying in (\d+) s/.exec((await states())[1]!) ?? [];
      assert.ok(left !== undefined && Number(left) < seconds, left);
    });
    const item = await window.statusItem('ssh-tunnels.ssh-tunnels');
    assert.deepEqual([item?.icons, item?.background, item?.accessibleLabel], [['history'], 'none', 'SSH tunnels: 0 ready, 1 retrying']); // prettier-ignore
    assert.deepEqual(await tunnels.inlineActions('Shop page'), ['Retry Now', 'Give Up']);
    const tooltip = await eventually(async () => {
      let stays = false;
      const text = await tunnels.tooltip('Shop page', async () => {
        // Longer than it takes to count down.
        await window.page.waitForTimeout(1200);
        stays = await window.showsHover();
        await window.screenshot('retrying-tooltip');
      });
      assert.ok(stays);
      return text;
    }, 30_000);
    assert.match(tooltip, /refused the connection\. Check that an SSH server runs there/);
    assert.match(tooltip, /It connects again by itself; Retry Now does it at once\./);
    assert.match(tooltip, /Clients that connect now wait up to 20 s\./);
    await inBothThemes(window, 'retrying');
    // Nobody waits for it, who would make it try sooner: there is time to press.
    await countsDown(5);
    await bench.sshd.start();
    await eventually(async () => {
      const retries = async () => (await states())[1]!.startsWith('retrying in ');
      if (await retries()) await tunnels.pressInline('Shop page', 'Retry Now');
      // Its row is drawn anew each second, and a press that falls between is lost.
      await window.page.waitForTimeout(500);
      assert.equal(await retries(), false);
    });
    await window.toast('is ready.');
    await shows('ready', 'ready');
    assert.equal(await fetchPage(port), page);
    await window.dismissToasts();
  });

  it('gives up when told, and starts again', async () => {
    const offered = async () => (await window.offeredCommands('SSH Tunnels: Give Up')).includes('SSH Tunnels: Give Up');
    assert.equal(await offered(), false);
    await goDown();
    await eventually(async () => assert.match((await states())[1]!, /^retrying /));
    assert.equal(await offered(), true);
    await tunnels.pressMenu('Shop page', 'Give Up');
    await shows('stopped', 'stopped');
    await inBothThemes(window, 'given-up');
    await eventually(async () => assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED'));
    await bench.sshd.start();
    await tunnels.pressInline('Shop page', 'Start');
    await shows('ready', 'ready');
    await window.dismissToasts();
  });

  it('fails for good, once and with words, where trying again mends nothing', async () => {
    await goDown();
    await eventually(async () => assert.match((await states())[1]!, /^retrying /));
    for (const path of [bench.sshd.hostKeyPath, `${bench.sshd.hostKeyPath}.pub`]) rmSync(path);
    keygen(bench.sshd.hostKeyPath);
    await bench.sshd.start();
    await shows('failed', 'failed');
    const toast = await window.toast(`The host key of [127.0.0.1]:${bench.sshd.port} has changed`);
    assert.deepEqual([toast.severity, toast.buttons], ['error', ['Show Log', 'Edit', 'Retry']]);
    assert.equal((await window.toasts()).length, 1);
    assert.equal((await window.statusItem('ssh-tunnels.ssh-tunnels'))?.background, 'error');
    await inBothThemes(window, 'failed-for-good');
    // A second one would have come by now; the first has gone from the corner, not from the list.
    await window.runCommand('Notifications: Show Notifications');
    const listed = window.page.locator('.notifications-center .notification-list-item-message');
    await listed.first().waitFor();
    assert.deepEqual(await listed.allTextContents(), [toast.text]);
  });
});
