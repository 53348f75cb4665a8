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
  const { status } = bench;
  let window: Workbench;
  let tunnels: View;
  const stored = (name: string): (Stored & Record<string, unknown>)[] => {
    const path = join(bench.windows.tmp, name, 'shop/.vscode/settings.json');
    const text = readFileSync(path, 'utf8');
    return ((JSON.parse(text) as Record<string, unknown>)['sshTunnels.presets'] ?? []) as never;
  };
  const namesIn = (name: string) => stored(name).map((one) => one.name);
  /** From the presets on. */
  const presetRows = async () => {
    const all = await tunnels.rows();
    return all.slice(all.findIndex(({ label }) => label === 'Presets'));
  };
  /** Rows as a tree: each indented by its level. */
  const outline = async () =>
    (await presetRows()).map(({ label, level }) => `${'  '.repeat(level - 1)}${label}`).join('\n');
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
      await quickInput.type('we');
      await quickInput.back();
      await quickInput.step('New Preset: Name (1/3)');
      await quickInput.accept();
      await quickInput.step('New Preset: Host (2/3)');
      assert.equal(await quickInput.value(), 'we');
      await quickInput.type('web');
      await eventually(async () => assert.equal((await quickInput.items())[0]?.label, 'web01'));
      await window.screenshot('preset-host-dark');
      await quickInput.accept();
      await quickInput.step('New Preset: Forward (3/3)');
      await quickInput.accept('8080:web');
      await eventually(async () => assert.match(await quickInput.message(), /“web” is not a target port/));
      await quickInput.type(`${port}:localhost:${bench.webPort}`);
      await eventually(async () =>
        assert.equal(
          await quickInput.message(),
          `localhost:${port} on the machine that runs VS Code → localhost:${bench.webPort}, as web01 sees it`,
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
      await window.screenshot('preset-form-dark');
    });

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
        const row = (await tunnels.rows()).find(({ label }) => label === 'Shop page');
        assert.ok(row, 'the row of the preset');
      });
      await inBothThemes(window, 'preset-saved');
    });
  });

  describe('in groups', () => {
    const preset = (name: string, port: number, group?: string) => ({
      name,
      host: 'web01',
      forwards: [`-L ${port}:localhost:${bench.webPort}`],
      ...(group !== undefined && { group }),
    });
    let port: number;

    before(async () => {
      const ports = await Promise.all(Array.from({ length: 6 }, () => freePort()));
      port = ports[0]!;
      const forwards = [`LocalForward ${await freePort()} localhost:${bench.webPort}`, 'DynamicForward 1080'];
      window = await bench.open('groups', {
        colorTheme: 'Default Dark Modern',
        settings: {
          'sshTunnels.sshConfigFile': bench.sshd.configPath('web01', forwards),
          'sshTunnels.presets': [{ ...preset('Mine', ports[2]!, 'Shop'), icon: 'person', color: 'purple' }],
          'remote.SSH.defaultForwardedPorts': [{ name: 'Metrics', localPort: 9100, remotePort: 9100 }],
        },
        folderSettings: {
          'sshTunnels.presets': [
            preset('Plain', ports[3]!),
            { ...preset('Page', port, 'Shop'), icon: 'globe', color: 'blue' },
            { ...preset('Store', ports[1]!, 'Shop'), icon: 'database', color: 'orange' },
            preset('Other', ports[4]!),
          ],
        },
      });
      tunnels = await bench.openView();
      await tunnels.toggle('ssh_config');
    });

    const below = ['Presets', '  Plain', '  Shop', '    Page', '    Store', '    Mine', '  Other'];
    const rowOf = async (label: string) => (await presetRows()).find((row) => row.label === label);

    /** It has the focus then, too. */
    const isSelected = (label: string) =>
      eventually(async () => assert.equal((await rowOf(label))?.selected, true, `${label} is selected`));

    it('shows those of one group below a row of its own, whatever file they stand in, each with its icon', async () => {
      await shows(...below, 'ssh_config');
      const icons = await Promise.all(['Shop', 'Page', 'Store', 'Mine', 'Plain'].map(rowOf));
      assert.deepEqual(
        icons.map((row) => row?.icon),
        ['folder', 'globe', 'database', 'person', 'circle-outline'],
      );
      assert.equal((await rowOf('Shop'))?.accessibleLabel, 'Group Shop: 3 presets');
      assert.match((await rowOf('Mine'))?.description ?? '', / · user$/);
      assert.deepEqual(await tunnels.inlineActions('Shop'), ['Start All of Group', 'New Preset…']);
      assert.deepEqual(await tunnels.inlineActions('Page'), ['Start Preset', 'Edit Preset…']);
    });

    it('starts all of a group, one question after the other, and stops them together', async () => {
      await tunnels.pressInline('Shop', 'Start All of Group');
      assert.equal((await window.modal()).message, 'Start “Page” from the workspace settings?');
      await window.pressModal('Start');
      assert.equal((await window.modal()).message, 'Start “Store” from the workspace settings?');
      await window.pressModal('Start');
      await eventually(async () => assert.equal((await rowOf('Shop'))?.description, 'ready · 3 presets'));
      assert.equal((await status())?.text, '3');
      assert.equal((await rowOf('Page'))?.icon, 'globe');
      await inBothThemes(window, 'preset-group-ready');
      const actions = await tunnels.inlineActions('Shop');
      assert.deepEqual(actions, ['Stop All of Group', 'New Preset…']);
      await tunnels.pressInline('Shop', 'Stop All of Group');
      await eventually(async () => assert.equal((await status())?.text, '0'));
      await window.dismissToasts();
      // Its tunnels have rows of the same names.
      const connection = window.page.getByRole('treeitem', { name: /^SSH connection to web01/ });
      await connection.click();
      await tunnels.row('Other').click({ modifiers: ['Control'] });
      await window.pressToOpen('Delete', 'question');
      assert.equal((await window.modal()).message, 'Remove the preset “Other”?');
      await window.pressModal('Cancel');
      // It is still there, and goes by itself.
      await connection.click();
      await tunnels.pressMenu('web01', 'Copy as ssh Command');
      await eventually(async () => assert.match(await window.clipboard(), /^ssh .*web01/));
      await connection.click();
      await press('Delete');
      await eventually(async () => assert.equal((await tunnels.rows())[0]?.label, 'Presets'));
    });

    it('moves a preset within its group by the menu, and past a group outside of it', async () => {
      await tunnels.pressMenu('Store', 'Move Up');
      await shows('Presets', '  Plain', '  Shop', '    Store', '    Page', '    Mine', '  Other', 'ssh_config');
      await tunnels.pressMenu('Other', 'Move Up');
      await shows('Presets', '  Plain', '  Other', '  Shop', '    Store', '    Page', '    Mine', 'ssh_config');
      assert.deepEqual(namesIn('groups'), ['Plain', 'Other', 'Store', 'Page']);
    });

    it('takes a preset that is dragged into a group and out of it, within its settings file alone', async () => {
      await tunnels.row('Plain').dragTo(tunnels.row('Shop'));
      await shows('Presets', '  Other', '  Shop', '    Store', '    Page', '    Plain', '    Mine', 'ssh_config');
      await tunnels.row('Page').dragTo(tunnels.row('Other'));
      await shows('Presets', '  Page', '  Other', '  Shop', '    Store', '    Plain', '    Mine', 'ssh_config');
      await tunnels.row('Mine').dragTo(tunnels.row('Page'));
      await window.toast('A preset is moved within its settings file.');
      await shows('Presets', '  Page', '  Other', '  Shop', '    Store', '    Plain', '    Mine', 'ssh_config');
      await window.dismissToasts();
    });

    it('puts a copy behind its original, and edits it: what else it has stays', async () => {
      const { quickInput } = window;
      await tunnels.pressMenu('Store', 'Duplicate Preset');
      await shows(
        'Presets',
        '  Page',
        '  Other',
        '  Shop',
        '    Store',
        '    Store copy',
        '    Plain',
        '    Mine',
        'ssh_config',
      );
      await isSelected('Store copy');
      await window.pressToOpen('F2', 'input');
      await quickInput.step('Edit Preset “Store copy”: Name');
      assert.equal(await quickInput.value(), 'Store copy');
      await quickInput.accept('Store');
      await eventually(async () =>
        assert.match(await quickInput.message(), /Another preset there is called “Store” already/),
      );
      await quickInput.accept('Archive');
      await quickInput.step('Pick a field');
      await window.screenshot('preset-edit-dark');
      await field('Save In');
      await quickInput.step('Edit Preset “Store copy”: Save In');
      await window.screenshot('preset-scope-dark');
      await quickInput.pick('Your user settings');
      await quickInput.step('Pick a field');
      await field('Save');
      await shows(
        'Presets',
        '  Page',
        '  Other',
        '  Shop',
        '    Store',
        '    Plain',
        '    Mine',
        '    Archive',
        'ssh_config',
      );
      assert.equal((await rowOf('Archive'))?.icon, 'database');
      assert.deepEqual(namesIn('groups'), ['Page', 'Other', 'Store', 'Plain']);
    });

    it('removes the selected one by Delete, after a question that names its file', async () => {
      await isSelected('Archive');
      await window.pressToOpen('Delete', 'question');
      const { message, detail } = await window.modal();
      assert.deepEqual([message, detail], ['Remove the preset “Archive”?', 'It is taken out of your user settings.']);
      await window.screenshot('preset-remove-dark');
      await window.pressModal('Remove');
      await shows('Presets', '  Page', '  Other', '  Shop', '    Store', '    Plain', '    Mine', 'ssh_config');
    });

    it('renames a group in every file, by F2', async () => {
      await tunnels.select('Shop');
      await window.pressToOpen('F2', 'input');
      await window.quickInput.step('Rename Group');
      await window.quickInput.accept('👩‍💻 Shop');
      await eventually(async () => assert.match(await window.quickInput.message(), /A control character in the text/));
      await window.quickInput.accept('Shop of web01');
      await shows(
        'Presets',
        '  Page',
        '  Other',
        '  Shop of web01',
        '    Store',
        '    Plain',
        '    Mine',
        'ssh_config',
      );
    });

    it('imports forwards of ssh_config, overwrites nothing and says how many were added', async () => {
      const { quickInput } = window;
      const pickSource = async (label: string) => {
        await window.runCommand('SSH Tunnels: Import Presets…');
        await quickInput.step('Where to import from');
        await quickInput.pick(label);
      };
      await pickSource('From ssh_config');
      await quickInput.step('Tick what to import');
      const items = await quickInput.items();
      assert.deepEqual(
        items.map(({ group, ticked }) => [group, ticked]),
        [
          ['web01', true],
          ['', true],
        ],
      );
      await window.screenshot('preset-import-dark');
      await quickInput.tick('-D 1080');
      await quickInput.accept();
      await quickInput.step('Where the presets are saved');
      await quickInput.pick('The workspace settings');
      await window.toast('1 preset was added to the workspace settings.');
      assert.deepEqual(stored('groups').at(-1)?.forwards, [items[0]?.label]);
      await pickSource('From Remote-SSH');
      await quickInput.step('which one are the presets for?');
      await eventually(async () => assert.equal((await quickInput.items())[0]?.label, 'web01'));
      await quickInput.accept();
      await quickInput.step('Tick what to import');
      await quickInput.accept();
      await quickInput.pick('The workspace settings');
      await eventually(() => {
        const { name, host, forwards } = stored('groups').at(-1)!;
        assert.deepEqual([name, host, forwards], ['Metrics', 'web01', ['-L 9100:localhost:9100']]);
      });
      await pickSource('From an ssh Command');
      await quickInput.accept('ssh -N -L 9100:localhost:9100 web01');
      await quickInput.step('Tick what to import');
      await quickInput.accept();
      await quickInput.pick('The workspace settings');
      await window.toast('No preset was added to the workspace settings. 1 was there already.');
      await window.screenshot('preset-imported-dark');
    });
  });
});
