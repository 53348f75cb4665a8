// Work with presets in a real VS Code in a browser: made in the form by keyboard alone, grouped, ordered, imported.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { inBothThemes } from '../support/extensionWindows.js';
import { freePort } from '../support/sshd.js';
import { exchange } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

interface Stored {
  name: string;
  host: string;
  forwards: string[];
  group?: string;
}

describe('work with presets', () => {
  const bench = useWindowBench();
  const { rows, status } = bench;
  let window: Workbench;
  let tunnels: View;
  const stored = (name: string): (Stored & Record<string, unknown>)[] => {
    const path = join(bench.windows.tmp, name, 'shop/.vscode/settings.json');
    const text = readFileSync(path, 'utf8');
    return ((JSON.parse(text) as Record<string, unknown>)['sshTunnels.presets'] ?? []) as never;
  };
  const namesIn = (name: string) => stored(name).map((one) => one.name);
  /** Rows as a tree: each indented by its level. */
  const outline = async () =>
    (await tunnels.rows()).map(({ label, level }) => `${'  '.repeat(level - 1)}${label}`).join('\n');
  const shows = (...expected: string[]) => eventually(async () => assert.equal(await outline(), expected.join('\n')));
  const press = async (...keys: string[]) => {
    for (const key of keys) await window.page.keyboard.press(key);
  };
  /** Filters the list of fields, and opens the one that is left. */
  const field = async (name: string) => {
    await window.quickInput.type(name);
    await eventually(async () => assert.equal((await window.quickInput.items())[0]?.label, name));
    await window.quickInput.accept();
  };

  describe('in the form', () => {
    let port: number;

    before(async () => {
      port = await freePort();
      window = await bench.open('form', {
        colorTheme: 'Default Dark Modern',
        settings: { 'sshTunnels.sshConfigFile': bench.sshd.configPath('web01') },
        folderSettings: { 'editor.tabSize': 2 },
      });
      tunnels = await bench.openView();
    });

    it('leads through name, host and forward, says what is wrong with each, and what the forward does', async () => {
      const { quickInput } = window;
      await window.runCommand('SSH Tunnels: New Preset…');
      await quickInput.step('New Preset: Name (1/3)');
      await quickInput.accept('');
      await eventually(async () => assert.match(await quickInput.message(), /name is empty/i));
      await quickInput.accept('Shop page');
      await quickInput.step('New Preset: Host (2/3)');
      await quickInput.type('web');
      await eventually(async () => assert.equal((await quickInput.items())[0]?.label, 'web01'));
      await inBothPictures('preset-host');
      await quickInput.accept();
      await quickInput.step('New Preset: Forward (3/3)');
      await quickInput.accept('8080:web');
      await eventually(async () => assert.match(await quickInput.message(), /Target port missing/));
      await quickInput.type(`${port}:localhost:${bench.webPort}`);
      await eventually(async () =>
        assert.equal(
          await quickInput.message(),
          `localhost:${port} on this machine → localhost:${bench.webPort}, as web01 sees it`,
        ),
      );
      await window.screenshot('preset-forward-dark');
      await quickInput.accept();
      await quickInput.step('New Preset');
      const items = await quickInput.items();
      assert.deepEqual(
        items.slice(0, 6).map(({ label, description }) => `${label}: ${description}`),
        [
          'Save: to the workspace settings',
          'Save and Start: ',
          'Name: Shop page',
          'Host: web01',
          `Forward: -L ${port}:localhost:${bench.webPort}`,
          'Add Forward…: ',
        ],
      );
      await inBothPictures('preset-form');
    });

    const inBothPictures = async (name: string) => {
      await window.screenshot(`${name}-dark`);
    };

    it('changes group, icon, colour and what comes after by keyboard alone', async () => {
      const { quickInput } = window;
      await field('Group');
      await quickInput.step('New Preset: Group');
      await quickInput.accept('Shop');
      await quickInput.step('Pick a field');
      await field('Icon');
      await quickInput.step('New Preset: Icon');
      await quickInput.type('glo');
      await eventually(async () => assert.equal((await quickInput.items())[0]?.label, 'globe'));
      await window.screenshot('preset-icons-dark');
      await quickInput.accept();
      await quickInput.step('Pick a field');
      await field('Colour');
      await quickInput.step('New Preset: Colour');
      await window.screenshot('preset-colours-dark');
      await quickInput.type('Blue');
      await quickInput.accept();
      await quickInput.step('Pick a field');
      await field('Connect');
      await quickInput.step('New Preset: Connect');
      await press('ArrowDown');
      await quickInput.accept();
      await quickInput.step('Pick a field');
      await eventually(async () => {
        const items = await quickInput.items();
        assert.equal(items.find(({ label }) => label === 'Connect')?.description, 'On demand');
      });
    });

    it('asks nothing when it is closed, and goes on with all of it the next time', async () => {
      const { quickInput } = window;
      await field('Description');
      await quickInput.type('The page of the sh');
      await quickInput.dismiss();
      assert.deepEqual(await window.toasts(), []);
      await window.runCommand('SSH Tunnels: New Preset…');
      await quickInput.step('New Preset: Description');
      assert.equal(await quickInput.value(), 'The page of the sh');
      await quickInput.accept('The page of the shop');
      await quickInput.step('Pick a field');
      const items = await quickInput.items();
      assert.deepEqual(
        ['Name', 'Group', 'Icon', 'Colour', 'Description'].map(
          (name) => items.find(({ label }) => label === name)?.description,
        ),
        ['Shop page', 'Shop', 'globe', 'Blue', 'The page of the shop'],
      );
      await window.screenshot('preset-form-filled-dark');
    });

    it('saves it beside the other settings, shows its row, and starts it without a question: it was typed here', async () => {
      const { quickInput } = window;
      await field('Save and Start');
      await window.toast('listens, and connects when a client comes');
      assert.deepEqual(stored('form'), [
        {
          name: 'Shop page',
          host: 'web01',
          forwards: [`-L ${port}:localhost:${bench.webPort}`],
          group: 'Shop',
          icon: 'globe',
          color: 'blue',
          connect: 'onDemand',
          description: 'The page of the shop',
        },
      ]);
      await quickInput.closed();
      const reply = await exchange(port, Buffer.from('GET / HTTP/1.0\r\n\r\n'));
      assert.match(reply.received.toString(), /the page behind web01/);
      await eventually(async () => {
        const row = (await tunnels.rows()).find(({ label }) => label === 'Shop page' && label !== '');
        assert.ok(row, 'the row of the preset');
      });
      await inBothThemes(window, 'preset-saved');
    });
  });
});
