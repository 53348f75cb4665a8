// A German window, clicked through with screenshots. VS Code’s own words stay English: its language packs are not here.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';
import { repositoryRoot } from '../support/vscodeServer.js';
import { webviewFrame } from '../support/webview.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

const readJson = (path: string) =>
  JSON.parse(readFileSync(join(repositoryRoot, path), 'utf8')) as Record<string, string>;
const titles = Object.entries(readJson('package.nls.de.json')).flatMap(([key, text]) =>
  key.startsWith('command.') ? [text] : [],
);
/** Sentences that German says otherwise. */
const english = new Set(
  Object.entries(readJson('l10n/bundle.l10n.de.json')).flatMap(([key, text]) => (key === text ? [] : [key])),
);

describe('the extension in a German window', () => {
  const bench = useWindowBench();
  let window: Workbench;
  let tunnels: View;
  let port: number;

  before(async () => {
    port = await freePort();
    window = await bench.open('german', {
      language: 'de',
      colorTheme: 'Default Dark Modern',
      settings: {
        'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
        'sshTunnels.findServerPorts': false,
        'sshTunnels.presets': [
          { name: 'Datenbank', host: 'web01', forwards: [`-L ${port}:localhost:${bench.webPort}`], group: 'Laden' },
          { name: 'Proxy', host: 'web01', forwards: [`-D ${await freePort()}`], connect: 'onDemand' },
        ],
      },
    });
    tunnels = await bench.openView('Tunnel');
  });

  const shows = (pattern: RegExp) => eventually(async () => assert.match((await bench.rows()).join('\n'), pattern));

  it('offers its commands by German titles alone', async () => {
    const offered = await window.offeredCommands('SSH Tunnels: ');
    const own = offered.filter((title) => title.startsWith('SSH Tunnels: '));
    assert.ok(own.length > 5, String(own));
    assert.deepEqual(
      own.filter((title) => !titles.includes(title.slice('SSH Tunnels: '.length)) && !isOfVsCode(title)),
      [],
    );
    await window.page.keyboard.press('Escape');
  });

  it('asks in German for the host and the forward, and says what it would open', async () => {
    const { quickInput } = window;
    await window.runCommand('SSH Tunnels: Port weiterleiten');
    await quickInput.step('Port weiterleiten (1/2)');
    await window.screenshot('german-host');
    await quickInput.type('web01');
    await eventually(async () => assert.ok((await quickInput.items()).length > 0, 'a host is offered'));
    await quickInput.accept();
    await quickInput.step('Port weiterleiten (2/2)');
    await quickInput.type(`*:${port}:db:5432`);
    await eventually(async () => {
      const [item] = await quickInput.items();
      assert.match(JSON.stringify(item), /auf dem Computer von VS Code → db:5432, aus Sicht von web01\. Offen für/);
    });
    await window.screenshot('german-forward');
    await quickInput.type('-L 80:db');
    await eventually(async () =>
      assert.match(JSON.stringify(await quickInput.items()), /Das Ziel fehlt|Der Zielport fehlt|fehlt, am Ende/i),
    );
    await window.page.keyboard.press('Escape');
  });

  it('tells how a preset stands, in its row, its tooltip and a notification', async () => {
    await shows(/^Laden · /m);
    await shows(/^Datenbank · localhost:\d+ über web01/m);
    await tunnels.pressInline('Datenbank', 'Voreinstellung starten');
    const toast = await window.toast('ist bereit');
    assert.deepEqual([...toast.buttons].sort(), ['Adresse kopieren', 'Im Browser öffnen']);
    await shows(/^Datenbank · bereit · /m);
    await shows(/^Datenbank · bereit · localhost:\d+ → localhost:\d+$/m);
    await window.screenshot('german-dark');
    await window.dismissToasts();
    assert.match(
      await tunnels.tooltip('Datenbank'),
      /Lauscht auf dem Computer von VS Code: .*Wer sich verbinden kann: nur der Computer von VS Code.*Zustand: bereit/s,
    );
    assert.match((await bench.status())?.accessibleLabel ?? '', /^SSH-Tunnel: 1 bereit/);
  });

  it('shows the details in German, none of it cut off', async () => {
    await tunnels.select('Datenbank');
    const page = await webviewFrame(window.page, '.station');
    await eventually(async () => assert.match(await page.locator('body').innerText(), /Datenverkehr/));
    const lines = (await page.locator('body').innerText()).split('\n').map((line) => line.trim());
    assert.deepEqual(
      lines.filter((line) => english.has(line)),
      [],
    );
    const beyond = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    assert.equal(beyond, 0);
    await window.screenshot('german-details');
    await page.locator('.plot').scrollIntoViewIfNeeded();
    await window.screenshot('german-details-traffic');
  });

  it('has German menus', async () => {
    const menu = await tunnels.menu('Datenbank');
    assert.ok(menu.length > 5, `the menu has ${menu.join()}`);
    assert.deepEqual(
      menu.filter((label) => !titles.includes(label)),
      [],
    );
    await window.page.keyboard.press('Escape');
  });

  it('edits a preset in a German form', async () => {
    const { quickInput } = window;
    await window.runCommand('SSH Tunnels: Neue Voreinstellung…');
    await quickInput.step('Neue Voreinstellung: Name');
    await quickInput.accept('Lager');
    await quickInput.step('Neue Voreinstellung: Host');
    await quickInput.accept('web01');
    await quickInput.step('Neue Voreinstellung: Weiterleitung');
    await quickInput.accept('8081:localhost:80');
    await quickInput.step('Wählen Sie ein Feld, um es zu ändern');
    await window.screenshot('german-form');
    const items = await quickInput.items();
    assert.ok(items.length > 5, JSON.stringify(items));
    assert.deepEqual(
      items.flatMap(({ label, description, detail }) =>
        [label, description, detail].filter((text) => english.has(text ?? '')),
      ),
      [],
    );
    await window.page.keyboard.press('Escape');
  });

  it('says in German what failed, where, and the next step', async () => {
    await window.runCommand('SSH Tunnels: Port weiterleiten');
    await window.quickInput.step('Port weiterleiten (1/2)');
    await window.quickInput.accept(`nobody@127.0.0.1:${await freePort()}`);
    await window.quickInput.step('Port weiterleiten (2/2)');
    await window.quickInput.accept(`${await freePort()}:db:80`);
    const toast = await window.toast('hat die Verbindung abgelehnt. Prüfen Sie, ob dort ein SSH-Server läuft');
    assert.deepEqual([...toast.buttons].sort(), ['Bearbeiten', 'Erneut versuchen', 'Protokoll anzeigen']);
    await window.screenshot('german-failed');
    await window.dismissToasts();
  });
});

/** VS Code makes a command of each view, with its own words. */
function isOfVsCode(title: string): boolean {
  return /: Focus on .* View$/.test(title);
}
