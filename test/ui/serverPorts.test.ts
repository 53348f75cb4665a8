// Forward Port with what listens on the server, in a real VS Code in a browser: clicked through, with screenshots.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';
import { fetchPage } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

describe('what listens on the server', () => {
  const bench = useWindowBench();
  let server: ChildProcess;
  /** At 127.0.0.2 alone, so that the same port is free here. */
  let port: number;
  let window: Workbench;
  let tunnels: View;

  before(async () => {
    port = await freePort();
    // Its name is its own among those of all other programs of the machine.
    const script = `
      process.title = 'webshop';
      const { createServer } = require('http');
      const answer = (_request, response) => response.end('the page of webshop');
      for (const at of [[${port}, '127.0.0.2'], [${JSON.stringify(join(bench.sshd.folder, 'docker.sock'))}]])
        createServer(answer).listen(...at, () => process.send('up'));`;
    server = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await once(server, 'message');
    await once(server, 'message');
    window = await bench.open('ports', {
      colorTheme: 'Default Dark Modern',
      settings: { 'sshTunnels.sshConfigFile': bench.sshd.configPath('web01') },
    });
    tunnels = await bench.openView();
  });
  after(async () => {
    server.kill();
    await once(server, 'exit');
  });

  const labels = async () => (await window.quickInput.items()).map(({ label }) => label);
  const toSecondStep = async (host: string) => {
    const { quickInput } = window;
    await window.runCommand('SSH Tunnels: Forward Port');
    await quickInput.step('Forward Port (1/2)');
    await quickInput.type(host);
    await eventually(async () => assert.ok((await labels()).length > 0));
    await quickInput.accept();
    await quickInput.step('Forward Port (2/2)');
  };
  const isActive = async (label: string) =>
    (await window.quickInput.item(label).getAttribute('class'))?.split(' ').includes('focused') ?? false;
  const isFound = () => eventually(async () => assert.ok((await labels()).includes(`${port} — webshop`)));

  const isReady = (forward: string) =>
    eventually(async () =>
      assert.deepEqual(
        (await tunnels.rows()).slice(1).map(({ label, description }) => [label, description]),
        [[forward, 'ready']],
      ),
    );
  const clear = async () => {
    await window.dismissToasts();
    await tunnels.pressMenu('web01', 'Remove');
    await tunnels.welcome();
  };

  it('is offered with its program and where it listens, while one can type', async () => {
    const { quickInput } = window;
    await toSecondStep('web01');
    await isFound();
    const items = await quickInput.items();
    assert.equal(items[0]?.group, 'Listening on web01');
    assert.equal(items.find(({ label }) => label === `${port} — webshop`)?.description, '127.0.0.2 on web01');
    // Below more than the list shows at once where much else listens on this machine.
    const path = join(bench.sshd.folder, 'docker.sock');
    await quickInput.type(path);
    await eventually(async () => {
      const socket = (await quickInput.items()).find(({ label }) => label === `${path} — webshop`);
      assert.equal(socket?.description, 'Unix socket on web01, at a free port here');
    });
    await quickInput.type('');
    await isFound();
    assert.equal(await quickInput.isBusy(), false);
    await inBothThemesOf('server-ports');
  });

  it('stands below what is typed, which Enter takes, and is found by its program’s name', async () => {
    const { quickInput } = window;
    await toSecondStep('web01');
    await isFound();
    await quickInput.type(String(port));
    await eventually(async () => assert.deepEqual((await labels()).slice(0, 2), [String(port), `${port} — webshop`]));
    assert.match(await quickInput.verdict(), new RegExp(`^arrow-right · ${port} · .* → localhost:${port}, as web01`));
    await inBothThemesOf('server-ports-typed');
    await toSecondStep('web01');
    await isFound();
    await quickInput.type('webshop');
    const socket = `${join(bench.sshd.folder, 'docker.sock')} — webshop`;
    await eventually(async () =>
      assert.deepEqual((await labels()).slice(0, -1).toSorted(), [socket, `${port} — webshop`].toSorted()),
    );
    await eventually(async () => assert.equal((await quickInput.items()).at(-1)?.icon, 'error'));
    await window.screenshot('server-ports-by-name');
    // Enter takes the row that has been gone to.
    while (!(await isActive(`${port} — webshop`))) await window.page.keyboard.press('ArrowDown');
    await quickInput.accept();
    await isReady(`localhost:${port} → 127.0.0.2:${port}`);
    assert.equal(await fetchPage(port), 'the page of webshop');
    await clear();
  });

  it('is not mixed up with a port that is typed and taken at once', async () => {
    const { quickInput } = window;
    await toSecondStep('web01');
    await isFound();
    await quickInput.accept(String(port));
    await isReady(`localhost:${port} → localhost:${port}`);
    await clear();
  });

  it('is picked below what is typed', async () => {
    const { quickInput } = window;
    await toSecondStep('web01');
    await isFound();
    await quickInput.type(String(port));
    await eventually(async () => assert.equal((await labels())[0], String(port)));
    await quickInput.pick(`${port} — webshop`);
    await isReady(`localhost:${port} → 127.0.0.2:${port}`);
    await clear();
  });

  it('says nothing where the login may not run a command', async () => {
    const { quickInput } = window;
    const key = readFileSync(`${bench.sshd.keyPath}.pub`, 'utf8');
    writeFileSync(bench.sshd.authorizedKeysPath, `command="false" ${key}`);
    const logins = () => bench.sshd.log().split('Accepted publickey').length;
    const before = logins();
    await toSecondStep('web01');
    await eventually(() => assert.ok(logins() > before));
    await eventually(async () => assert.equal(await quickInput.isBusy(), false));
    assert.deepEqual(await labels(), []);
    assert.deepEqual(await window.toasts(), []);
    await window.screenshot('server-ports-none');
    await quickInput.type('5432');
    await eventually(async () => assert.deepEqual(await labels(), ['5432']));
    await quickInput.dismiss();
    writeFileSync(bench.sshd.authorizedKeysPath, key);
  });

  it('ends its login with the list', async () => {
    const { quickInput } = window;
    const key = readFileSync(`${bench.sshd.keyPath}.pub`, 'utf8');
    const started = join(bench.sshd.folder, 'started');
    writeFileSync(bench.sshd.authorizedKeysPath, `command="touch ${started}; sleep 60" ${key}`);
    await toSecondStep('web01');
    await eventually(() => assert.ok(existsSync(started)));
    const since = performance.now();
    await quickInput.dismiss();
    await eventually(() => assert.deepEqual(bench.sshd.sessions(), []));
    // Before the command would be given up.
    assert.ok(performance.now() - since < 3000);
    writeFileSync(bench.sshd.authorizedKeysPath, key);
  });

  /** The list stays open: the theme's command would take its place. */
  async function inBothThemesOf(name: string): Promise<void> {
    const { quickInput } = window;
    const value = await quickInput.value();
    await window.screenshot(`${name}-dark`);
    await quickInput.dismiss();
    await window.runCommand('Preferences: Toggle between Light/Dark Themes');
    await window.page.locator('.monaco-workbench.vs').waitFor();
    await toSecondStep('web01');
    await isFound();
    if (value !== '') await quickInput.type(value);
    await eventually(async () => assert.ok((await labels()).includes(`${port} — webshop`)));
    await window.page.waitForTimeout(300);
    await window.screenshot(`${name}-light`);
    await quickInput.dismiss();
    await window.runCommand('Preferences: Toggle between Light/Dark Themes');
    await window.page.locator('.monaco-workbench.vs-dark').waitFor();
  }
});
