// ssh's own spelling in a window: commands pasted and copied, and the command line of a live connection.
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';
import { exchange, fetchPage } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

describe('ssh commands in a window', () => {
  const bench = useWindowBench();
  let window: Workbench;
  let tunnels: View;
  let local: number;
  let remote: number;
  let proxy: number;
  let added: number;

  before(async () => {
    [local, remote, proxy, added] = [await freePort(), await freePort(), await freePort(), await freePort()];
    window = await bench.open('commands', {
      colorTheme: 'Default Dark Modern',
      settings: { 'sshTunnels.sshConfigFile': bench.sshd.configPath('web01') },
    });
    tunnels = await bench.openView();
    await window.widenSideBar(520);
  });

  const labels = async () => (await window.quickInput.items()).map(({ label }) => label);
  const states = async () => (await tunnels.rows()).filter(({ level }) => level === 2).map((row) => row.description);

  it('takes a command of several lines, says what it opens and what has no effect, and opens all of it', async () => {
    const { quickInput } = window;
    await tunnels.pane.getByText('Paste it', { exact: true }).click();
    await quickInput.step('New Tunnel from ssh Command');
    await quickInput.accept('ssh -N -L 99999:db:80 web01');
    await eventually(async () =>
      assert.match((await labels())[0] ?? '', /“99999” is not a port to listen on.*at character 11/),
    );
    await window.setClipboard(
      [
        '$ ssh -f -N -A \\',
        `    -L ${local}:localhost:${bench.webPort} \\`,
        `    -R ${remote}:localhost:${bench.webPort} \\`,
        `    -D "${proxy}" \\`,
        '    web01',
      ].join('\n'),
    );
    await quickInput.paste();
    await eventually(async () => assert.equal((await labels())[0], 'Open 3 tunnels through web01'));
    const [, ...rest] = await quickInput.items();
    assert.deepEqual(
      rest.slice(0, 3).map(({ label, detail }) => [label, detail]),
      [
        [
          `localhost:${local} on the machine that runs VS Code → localhost:${bench.webPort}, as web01 sees it`,
          'Only the machine that runs VS Code can connect.',
        ],
        [
          `localhost:${remote} on web01 → localhost:${bench.webPort}, as the machine that runs VS Code sees it`,
          'Only web01 can connect.',
        ],
        [
          `localhost:${proxy} on the machine that runs VS Code → SOCKS proxy, as web01 sees the network`,
          'Only the machine that runs VS Code can connect.',
        ],
      ],
    );
    await eventually(async () => {
      const [lines, ignored] = (await labels()).slice(4);
      assert.match(lines ?? '', /^\d lines were pasted: they are read as lines$/);
      assert.match(ignored ?? '', /^Ignored: .*-A/);
    });
    await window.screenshot('paste-command');
    await quickInput.accept();
    await eventually(async () => assert.deepEqual(await states(), ['ready', 'ready', 'ready']));
    await window.screenshot('paste-command-opened');
    assert.equal(await fetchPage(local), 'the page behind web01');
    assert.equal(await fetchPage(remote), 'the page behind web01');
    assert.equal(bench.sshd.sessions().length > 0, true);
  });

  it('takes an ssh inside an ssh, which becomes a jump', async () => {
    const { quickInput } = window;
    await window.runCommand('SSH Tunnels: New Tunnel from ssh Command…');
    await quickInput.step('New Tunnel from ssh Command');
    await quickInput.type('ssh -L 8080:localhost:9090 alice@m1 ssh -L 9090:db:80 m2');
    await eventually(async () => assert.match((await labels())[0] ?? '', /^Open a tunnel through m2 \(-J alice@m1\)$/));
    await window.screenshot('paste-nested');
    await quickInput.dismiss();
  });

  it('takes a command in Forward Port, too', async () => {
    const { quickInput } = window;
    await window.runCommand('SSH Tunnels: Forward Port');
    await quickInput.step('Forward Port (1/2)');
    await quickInput.type('ssh -p 2222 -J bastion alice@machine');
    await eventually(async () => assert.match((await labels())[0] ?? '', /^Connect to .*alice@machine/));
    await window.screenshot('forward-port-command');
    await quickInput.accept();
    await quickInput.step('Forward Port (2/2)');
    await quickInput.type('ssh -N -L 5000:db:5432 -v alice@machine');
    await eventually(async () =>
      assert.deepEqual(
        (await quickInput.items()).map(({ icon, label }) => [icon, label]),
        [
          ['arrow-right', 'Open a tunnel through alice@machine'],
          ['', 'localhost:5000 on the machine that runs VS Code → db:5432, as machine sees it'],
          ['info', 'Ignored: -N, -v'],
        ],
      ),
    );
    assert.equal((await quickInput.items())[1]!.detail, 'Only the machine that runs VS Code can connect.');
    await window.screenshot('forward-port-command-2');
    await quickInput.dismiss();
  });

  it('has the command line of a connection: help, completion, and refusals with their place', async () => {
    const { quickInput } = window;
    await window.dismissToasts();
    await tunnels.pressMenu('web01', 'SSH Command Line…');
    await quickInput.step('SSH Command Line: web01');
    await quickInput.accept('?');
    // It stays open, ready for a line.
    await eventually(async () => assert.equal(await quickInput.value(), ''));
    await eventually(async () => assert.ok((await labels()).some((label) => /^-KL \[bind_address:\]port/.test(label))));
    await window.screenshot('command-line-help');
    await quickInput.type('-L');
    await eventually(async () => assert.deepEqual(await labels(), ['-L [bind_address:]port:host:hostport']));
    await quickInput.type('-L 80:db');
    await eventually(async () => assert.deepEqual(await labels(), ['Target port missing, at the end.']));
    await quickInput.accept();
    assert.match(await quickInput.title(), /SSH Command Line/);
    await window.screenshot('command-line-refused');
    await quickInput.type('-K');
    await eventually(async () =>
      assert.deepEqual((await labels()).sort(), [`-KD ${proxy}`, `-KL ${local}`, `-KR ${remote}`]),
    );
    await window.screenshot('command-line-completion');
    await quickInput.type(`-L ${added}:localhost:${bench.webPort}`);
    await eventually(async () =>
      assert.match((await quickInput.items())[0]!.detail, /^localhost:\d+ on the machine that runs VS Code/),
    );
    await window.screenshot('command-line-add');
    await quickInput.accept();
    await eventually(async () => assert.deepEqual(await states(), ['ready', 'ready', 'ready', 'ready']));
    assert.equal(await fetchPage(added), 'the page behind web01');
  });

  it('cancels a forward by the completed line, and disturbs no other', async () => {
    const { quickInput } = window;
    await window.runCommand('SSH Tunnels: SSH Command Line…');
    await quickInput.step('SSH Command Line: web01');
    await quickInput.type(`-KL ${String(added).slice(0, 2)}`);
    await eventually(async () => assert.ok((await labels()).includes(`-KL ${added}`)));
    await quickInput.pick(`-KL ${added}`);
    await eventually(async () => assert.match((await quickInput.items())[0]!.detail, /^Cancels localhost:/));
    await window.screenshot('command-line-cancel');
    await quickInput.accept();
    await eventually(async () => assert.deepEqual(await states(), ['ready', 'ready', 'ready', 'stopped']));
    await eventually(async () => assert.equal((await exchange(added, Buffer.from('x'))).end, 'ECONNREFUSED'));
    assert.equal(await fetchPage(local), 'the page behind web01');
  });

  it('adds a forward to the connection by its button', async () => {
    const { quickInput } = window;
    await tunnels.pressInline('web01', 'Add Forward to Connection…');
    await quickInput.step('Forward Port (2/2)');
    await quickInput.accept(`auto:localhost:${bench.webPort}`);
    await eventually(async () => assert.deepEqual(await states(), ['ready', 'ready', 'ready', 'stopped', 'ready']));
  });

  it('copies tunnels as an ssh command and as an ssh_config block', async () => {
    await tunnels.pressMenu(`localhost:${added} → localhost:${bench.webPort}`, 'Remove');
    await tunnels.pressMenu('web01', 'Copy as ssh Command');
    await eventually(async () => assert.match(await window.clipboard(), /^ssh -F \S+ -N .* web01$/));
    assert.ok(
      (await window.clipboard()).includes(
        `-L ${local}:localhost:${bench.webPort} -R ${remote}:localhost:${bench.webPort}`,
      ),
    );
    await tunnels.pressMenu('web01', 'Copy as ssh_config Block');
    await eventually(async () =>
      assert.match(
        await window.clipboard(),
        new RegExp(`^Host web01\\n  LocalForward ${local} localhost:${bench.webPort}\\n`),
      ),
    );
    await window.screenshot('copied');
    await tunnels.row('web01').click({ button: 'right' });
    await window.page.locator('.monaco-menu').first().waitFor();
    await window.screenshot('connection-menu');
    await window.page.keyboard.press('Escape');
  });
});
