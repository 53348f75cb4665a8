// Explain Connection in a real VS Code in a browser: clicked through, with screenshots.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { eventually } from '../support/eventually.js';
import { forwardPort, inBothThemes } from '../support/extensionWindows.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { useWindowBench } from '../support/windowBench.js';
import type { Workbench } from '../support/workbench.js';

describe('Explain Connection in a window', () => {
  const bench = useWindowBench();
  let inner: Sshd;
  let window: Workbench;

  before(async () => {
    inner = await startSshd();
    const config = bench.sshd.configPath('bastion');
    appendFileSync(
      config,
      readFileSync(inner.configPath('web01', ['ProxyJump bastion', 'LocalForward 5432 db:5432']), 'utf8'),
    );
    window = await bench.open('explain', {
      colorTheme: 'Default Dark Modern',
      settings: { 'sshTunnels.sshConfigFile': config },
    });
  });
  after(async () => {
    await inner.stop();
  });

  const tabs = () => window.page.locator('.tabs-container .tab .label-name').allInnerTexts();
  const shows = (pattern: RegExp) => eventually(async () => assert.match(await window.editorText(), pattern));

  it('asks which host, and tells in a document that can’t be changed how it is reached', async () => {
    const { quickInput } = window;
    await window.runCommand('SSH Tunnels: Explain Connection');
    await quickInput.step('Explain Connection');
    await eventually(async () =>
      assert.deepEqual(
        (await quickInput.items()).map(({ label }) => label),
        ['bastion', 'web01'],
      ),
    );
    await window.screenshot('explain-host');
    await quickInput.pick('web01');
    await shows(/^# web01\s/);
    assert.match(await window.editorText(), /Reached\.\*\* Connected in \d+ ms\./);
    assert.deepEqual(await tabs(), ['Explain web01']);
    await window.page.locator('.monaco-workbench').click({ position: { x: 700, y: 300 } });
    await inBothThemes(window, 'explain');
    await window.page.locator('.editor-group-container.active .view-lines').click();
    await window.page.keyboard.press('ControlOrMeta+End');
    await shows(/-L 5432:db:5432/);
    await shows(/SSH Tunnels \d+\.\d+\.\d+, VS Code/);
    await window.screenshot('explain-end');
    const before = await window.editorText();
    await window.page.keyboard.type('x');
    assert.equal(await window.editorText(), before);
  });

  it('tells anew of a connection by its menu, and how far the way goes', async () => {
    const tunnels = await window.view('SSH Tunnels', 'Tunnels');
    await forwardPort(window, 'web01', String(await freePort()));
    await window.toast('is ready.');
    writeFileSync(inner.authorizedKeysPath, '');
    await tunnels.pressMenu('web01', 'Explain Connection');
    await shows(/Not reached\.\*\*/);
    assert.deepEqual(await tabs(), ['Explain web01']);
    await window.screenshot('explain-failed');
    // The tunnel goes on.
    assert.match((await tunnels.rows())[0]?.description ?? '', /^ready/);
  });
});
