// Logging in with rounds of questions, in a real VS Code in a browser: clicked through, with screenshots.
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.js';
import { forwardPort, startExtensionWindows, type ExtensionWindows } from '../support/extensionWindows.js';
import { startForgedServer, type ForgedServer } from '../support/forgedServer.js';
import { freePort } from '../support/sshd.js';
import type { View, Workbench } from '../support/workbench.js';

describe('logging in with rounds of questions in a window', () => {
  let windows: ExtensionWindows;
  let server: ForgedServer;
  let window: Workbench;
  let tunnels: View;
  /** What each login was answered with, round by round. */
  const answers: string[][] = [];

  before(async () => {
    windows = await startExtensionWindows();
    server = await startForgedServer(() => {}, {
      logIn(context) {
        if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive']);
        context.prompt([{ prompt: 'Password: ', echo: false }], '', '', ([password = '']) =>
          context.prompt([{ prompt: 'Code: ', echo: true }], 'Shop', 'Look at your phone.', ([code = '']) => {
            answers.push([password, code]);
            if (code === '123456') context.accept();
            else context.reject(['keyboard-interactive']);
          }),
        );
      },
    });
    window = await windows.open('logins', {
      colorTheme: 'Default Dark Modern',
      settings: { 'sshTunnels.sshConfigFile': server.configPath, 'sshTunnels.findServerPorts': false },
    });
    tunnels = await window.view('SSH Tunnels', 'Tunnels');
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await window.screenshot(`failed-${this.currentTest.title}`);
  });
  after(async () => {
    await windows.close();
    await server.close();
  });

  const rows = async () => (await tunnels.rows()).map(({ label, description }) => `${label} · ${description}`);

  const says = (pattern: RegExp) => eventually(async () => assert.match(await window.quickInput.message(), pattern));

  it('asks one prompt after the other in the server’s words, and offers to keep no code', async () => {
    const { quickInput } = window;
    await forwardPort(window, 'web01', `-L ${await freePort()}:localhost:80`);
    await says(/The server says: “Password:” It will not be remembered/);
    await window.screenshot('round-password');
    await quickInput.accept('hunter2');
    await says(/The server says: “Shop Look at your phone\. Code:” \(Press/);
    await window.screenshot('round-code');
    await quickInput.accept('000000');
    await says(/the last try was refused.*“Password:”/);
    await quickInput.accept('hunter2');
    await says(/Code:”/);
    await quickInput.accept('123456');
    await eventually(async () => assert.match((await rows())[0] ?? '', /^web01 · ready/));
    assert.deepEqual(answers, [
      ['hunter2', '000000'],
      ['hunter2', '123456'],
    ]);
  });

  it('asks nothing by itself when the connection breaks, and its row says that it waits', async () => {
    const { quickInput } = window;
    for (const connection of server.connections) connection.end();
    await eventually(async () => assert.match((await rows())[0] ?? '', /^web01 · .*waiting for you/));
    assert.equal(answers.length, 2);
    await window.toast(
      'web01 waits for you: it asks for something that only you know, such as a code. Start it to answer.',
    );
    await window.screenshot('waiting-for-you');
    await window.pressToast('web01 waits for you', 'Answer…');
    // The password was right, and this window knows it; a code is good for once.
    await says(/Code:”/);
    await quickInput.accept('123456');
    await eventually(async () => assert.match((await rows())[0] ?? '', /^web01 · ready/));
    assert.deepEqual(answers.at(-1), ['hunter2', '123456']);
  });
});
