import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  commands,
  contextKeys,
  languageModelTools,
  settings,
  viewContainers,
  views,
  walkthrough,
} from '../../src/ui/contributions.js';

interface MenuItem {
  command: string;
  when?: string;
  group?: string;
}

interface Manifest {
  icon: string;
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: string[] } };
  contributes: {
    commands: { command: string; title?: string; category?: string; icon?: unknown; enablement?: string }[];
    viewsContainers: Record<string, { id: string; icon: string }[]>;
    views: Record<string, { id: string; icon: string; when?: string }[]>;
    viewsWelcome: { view: string; contents: string }[];
    menus: Record<string, MenuItem[]>;
    keybindings: { command: string; when: string }[];
    walkthroughs: {
      id: string;
      steps: { description: string; media: { svg: string; altText: string }; completionEvents: string[] }[];
    }[];
    languageModelTools: { name: string }[];
    configuration: {
      properties: Record<string, { description?: string; markdownDescription?: string; default?: unknown }>;
    };
  };
}

const root = join(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
const { contributes } = manifest;
const nls = JSON.parse(readFileSync(join(root, 'package.nls.json'), 'utf8')) as Record<string, string>;

/** The rows' `viewItem`s that a menu can meet. */
const statuses = ['connecting', 'ready', 'retrying', 'failed', 'stopped'];
const viewItems = [
  ...['forward', 'connection', 'preset', 'configForward', 'configHost'].flatMap((kind) =>
    statuses.map((status) => `${kind}.${status}`),
  ),
  'forward.ready.url',
  'forward.ready.url.portInUse',
  'forward.failed.portInUse',
  'forward.draining',
  'forward.ready.url.idle',
  'forward.ready.url.elsewhere',
  'forward.ready.elsewhere',
  'forward.retrying.elsewhere',
  'connection.retrying.elsewhere',
  ...statuses.map((status) => `forward.${status}.sandbox`),
  'forward.ready.url.sandbox',
  'forward.draining.sandbox',
  'configForward.ready.url',
  'configForward.ready.url.portInUse',
  'configForward.failed.portInUse',
  'configForward.draining',
  'configHost.stopped.partly',
  'configProblem',
  'sshConfig',
  'client',
  'note',
  'preset.locked',
  'preset.stopped.partly',
  'presetGroup.locked',
  ...statuses.map((status) => `presetGroup.${status}.canStart.canStop`),
  'presets',
  'problem',
];

/** The text that stands for a key in package.nls.json. */
function english(text: string): string {
  return text.replace(/^%(.+)%$/, (_, key: string) => {
    assert.ok(nls[key], key);
    return nls[key];
  });
}

type Context = Readonly<Record<string, string | boolean>>;

/** Whether a `when` clause holds: of its grammar what package.json uses, without brackets. */
function holds(when: string, context: Context): boolean {
  if (when === '') return true;
  const isTrue = (term: string): boolean => {
    const [, negated, key, operator, value] = /^(!?)([\w.]+)(?:\s*(=~|==|!=)\s*(.+))?$/.exec(term.trim()) ?? [];
    assert.ok(key, when);
    if (key === 'true' || key === 'false') return (key === 'true') !== (negated === '!');
    const found = context[key] ?? '';
    if (operator === undefined) return (found !== '' && found !== false) !== (negated === '!');
    const text = value!.trim();
    if (operator !== '=~') return (String(found) === text.replace(/^'(.*)'$/, '$1')) === (operator === '==');
    return new RegExp(/^\/(.*)\/$/.exec(text)![1]!).test(String(found));
  };
  // Neither mark is used within a pattern with blanks around it.
  return when.split(' || ').some((all) => all.split(' && ').every(isTrue));
}

function walkthroughTexts(): string[] {
  return contributes.walkthroughs.flatMap(({ steps }) => steps.map(({ description }) => description));
}

function offered({ when = '' }: MenuItem, viewItem: string): boolean {
  const pattern = /viewItem =~ \/(.*)\//.exec(when)?.[1];
  assert.ok(pattern, when);
  return new RegExp(pattern).test(viewItem);
}

describe('contributions', () => {
  it('declares exactly the commands, views, settings and tools that the code knows', () => {
    assert.deepEqual(contributes.commands.map(({ command }) => command).sort(), Object.values(commands).sort());
    assert.deepEqual(
      Object.values(contributes.viewsContainers)
        .flat()
        .map(({ id }) => id),
      Object.values(viewContainers),
    );
    assert.deepEqual(
      Object.values(contributes.views)
        .flat()
        .map(({ id }) => id),
      Object.values(views),
    );
    assert.deepEqual(Object.keys(contributes.configuration.properties), Object.values(settings));
    assert.deepEqual(
      contributes.languageModelTools.map(({ name }) => name),
      Object.values(languageModelTools),
    );
  });

  it('gives every command a title and the one category', () => {
    for (const { command, title, category } of contributes.commands) {
      assert.ok(title, command);
      assert.equal(category, 'SSH Tunnels', command);
    }
  });

  it('names only declared commands in menus, keybindings and the welcome view', () => {
    const declared = new Set<string>(Object.values(commands));
    const linked = [...contributes.viewsWelcome.map(({ contents }) => contents), ...walkthroughTexts()].flatMap(
      (text) => [...english(text).matchAll(/\(command:(sshTunnels[^)]+)\)/g)].map((match) => match[1]!),
    );
    assert.ok(linked.includes(commands.trySandbox), linked.join(' '));
    const named = [
      ...Object.values(contributes.menus)
        .flat()
        .map(({ command }) => command),
      ...contributes.keybindings.map(({ command }) => command),
      ...linked,
    ];
    assert.deepEqual(
      named.filter((command) => !declared.has(command)),
      [],
    );
  });

  it('asks only for context keys that the code sets', () => {
    const own = new Set<string>([...Object.values(contextKeys), ...Object.values(views)]);
    const { menus, keybindings, views: shown } = contributes;
    const clauses = [...Object.values(menus).flat(), ...keybindings, ...Object.values(shown).flat()].map(
      ({ when = '' }) => when,
    );
    const used = clauses.flatMap((when) => when.match(/sshTunnels\.\w+/g) ?? []);
    assert.deepEqual(
      [...new Set(used)].filter((key) => !own.has(key)),
      [],
    );
  });

  it('puts at most three inline actions on a row', () => {
    const inline = contributes.menus['view/item/context']!.filter(({ group }) => group?.startsWith('inline'));
    for (const viewItem of viewItems) {
      const actions = inline.filter((item) => offered(item, viewItem));
      assert.ok(actions.length <= 3, `${viewItem}: ${actions.map(({ command }) => command).join(', ')}`);
    }
  });

  it('offers to retry and to give up in place of a start and a row’s stop, where it is this window that retries', () => {
    const commandsOf = (viewItem: string, group: RegExp) =>
      contributes.menus['view/item/context']!.filter(
        (item) => group.test(item.group ?? '') && offered(item, viewItem),
      ).map(({ command }) => command);
    for (const kind of ['forward', 'connection', 'configForward']) {
      for (const group of [/^inline/, /^2_run/])
        for (const viewItem of [`${kind}.retrying`, ...(kind === 'forward' ? ['forward.retrying.sandbox'] : [])]) {
          const retrying = commandsOf(viewItem, group);
          assert.ok(retrying.includes(commands.retryNow) && retrying.includes(commands.giveUp), `${viewItem} ${group}`);
          assert.ok(!retrying.includes(commands.start), `${viewItem} ${group}`);
        }
      for (const status of ['connecting', 'ready', 'failed', 'stopped', 'retrying.elsewhere'])
        assert.ok(!commandsOf(`${kind}.${status}`, /./).includes(commands.retryNow), `${kind} ${status}`);
    }
    // What else is selected, or on its connection, may run.
    for (const kind of ['forward', 'connection', 'configForward', 'configHost']) {
      assert.ok(!commandsOf(`${kind}.retrying`, /^inline/).includes(commands.stop), kind);
      assert.ok(commandsOf(`${kind}.retrying`, /^2_run/).includes(commands.stop), kind);
    }
    assert.ok(commandsOf('forward.retrying.elsewhere', /^inline/).includes(commands.stop));
    assert.ok(!commandsOf('forward.ready.url.elsewhere', /./).includes(commands.restart));
    for (const item of contributes.menus['commandPalette']!.filter(({ command }) => command === commands.retryNow)) {
      const pattern = new RegExp(/=~ \/(.*)\//.exec(item.when ?? '')![1]!);
      assert.deepEqual(
        ['ready retrying', 'retrying url', 'ready retrying.elsewhere elsewhere', 'ready'].map((states) =>
          pattern.test(states),
        ),
        [true, true, false, false],
      );
    }
  });

  it('offers to remove the sandbox on the rows of its tunnels alone, however they stand, and saves none of them', () => {
    const offeredOn = (command: string) =>
      viewItems.filter((viewItem) =>
        contributes.menus['view/item/context']!.some((item) => item.command === command && offered(item, viewItem)),
      );
    const ofSandbox = viewItems.filter((viewItem) => viewItem.endsWith('.sandbox'));
    assert.equal(ofSandbox.length, statuses.length + 2);
    assert.deepEqual(offeredOn(commands.removeSandbox), ofSandbox);
    assert.ok(!offeredOn(commands.savePreset).some((viewItem) => ofSandbox.includes(viewItem)), 'one can be saved');
  });

  /** When the palette offers each: always, never (it needs a row or an argument), or in these states. */
  const offers: Record<string, 'always' | 'never' | { tunnels: string } | { presets: string }> = {
    forwardPort: 'always',
    newFromCommand: 'always',
    newPreset: 'always',
    importPresets: 'always',
    editPresets: 'always',
    startConfigForward: 'always',
    explain: 'always',
    showLog: 'always',
    copyDiagnostics: 'always',
    forgetSecrets: 'always',
    openWalkthrough: 'always',
    trySandbox: 'always',
    stopOrRemove: 'never',
    disconnectClient: 'never',
    goToDefinition: 'never',
    manageTrust: 'never',
    localPort: 'never',
    movePresetUp: 'never',
    movePresetDown: 'never',
    addForward: { tunnels: 'any' },
    commandLine: { tunnels: 'any' },
    restart: { tunnels: 'any' },
    remove: { tunnels: 'any' },
    rename: { tunnels: 'any' },
    copySshCommand: { tunnels: 'any' },
    copyConfigBlock: { tunnels: 'any' },
    savePreset: { tunnels: 'any' },
    showDetails: { tunnels: 'any', presets: 'any' },
    start: { tunnels: 'stopped failed draining' },
    edit: { tunnels: 'stopped failed draining' },
    startOnFreePort: { tunnels: 'portInUse' },
    stop: { tunnels: 'connecting ready retrying elsewhere failed draining portInUse url sandbox' },
    retryNow: { tunnels: 'retrying' },
    giveUp: { tunnels: 'retrying' },
    copyAddress: { tunnels: 'ready portInUse url sandbox' },
    openInBrowser: { tunnels: 'url sandbox' },
    removeSandbox: { tunnels: 'sandbox' },
    startPreset: { presets: 'stopped failed' },
    stopPreset: { presets: 'connecting ready retrying failed partly' },
    editPreset: { presets: 'any' },
    duplicatePreset: { presets: 'any' },
    removePreset: { presets: 'any' },
    startGroup: { presets: 'canStart' },
    stopGroup: { presets: 'canStop' },
  };
  /** What the keys hold while there is one tunnel, or one preset, in that state. */
  const tunnelStates: Record<string, string> = {
    connecting: 'connecting',
    ready: 'ready',
    retrying: 'retrying',
    elsewhere: 'retrying.elsewhere elsewhere',
    failed: 'failed',
    stopped: 'stopped',
    draining: 'stopped draining',
    portInUse: 'ready portInUse',
    url: 'ready url',
    sandbox: 'ready url sandbox',
  };
  const presetStates: Record<string, string> = {
    connecting: 'connecting',
    ready: 'ready',
    retrying: 'retrying',
    failed: 'failed',
    stopped: 'stopped',
    partly: 'stopped partly',
    locked: 'locked',
    canStart: 'locked group.canStart',
    canStop: 'locked group.canStop',
  };
  const isOffered = (command: string, context: Context) => {
    const own = contributes.commands.find((one) => one.command === command);
    const item = contributes.menus['commandPalette']!.find((one) => one.command === command);
    return holds(own?.enablement ?? '', context) && holds(item?.when ?? '', context);
  };

  it('offers each command in the palette when it can do something, and only then', () => {
    const names = contributes.commands.map(({ command }) => command.slice('sshTunnels.'.length));
    assert.deepEqual(
      names.filter((name) => !(name in offers)),
      [],
      'the table has every command',
    );
    for (const name of names) {
      const command = `sshTunnels.${name}`;
      const expected = offers[name]!;
      const inTunnels = typeof expected === 'object' && 'tunnels' in expected ? expected.tunnels.split(' ') : [];
      const inPresets = typeof expected === 'object' && 'presets' in expected ? expected.presets.split(' ') : [];
      const always = expected === 'always';
      assert.equal(isOffered(command, {}), always, `${name} with nothing there`);
      for (const [state, words] of Object.entries(tunnelStates))
        assert.equal(
          isOffered(command, { [contextKeys.tunnels]: words }),
          always || inTunnels.includes(state) || inTunnels.includes('any'),
          `${name} with a tunnel that is ${state}`,
        );
      for (const [state, words] of Object.entries(presetStates)) {
        const isStart = state === 'partly' && inPresets.includes('stopped');
        assert.equal(
          isOffered(command, { [contextKeys.presets]: words }),
          always || isStart || inPresets.includes(state) || inPresets.includes('any'),
          `${name} with a preset that is ${state}`,
        );
      }
    }
  });

  it('enables each command wherever a menu or a key offers it', () => {
    for (const { command, enablement = '' } of contributes.commands) {
      const isAbout = (kind: RegExp) =>
        (contributes.menus['view/item/context'] ?? []).some(
          (item) =>
            item.command === command && viewItems.some((viewItem) => kind.test(viewItem) && offered(item, viewItem)),
        );
      // A row of these kinds stands for a tunnel on the list, so that the key is not empty.
      if (isAbout(/^(forward|connection|client)/))
        assert.ok(holds(enablement, { [contextKeys.tunnels]: 'ready url sandbox' }), `${command} on a tunnel`);
      if (isAbout(/^preset\./)) {
        const context = { [contextKeys.presets]: 'stopped', [contextKeys.tunnels]: 'retrying' };
        assert.ok(holds(enablement, context), `${command} on a preset`);
      }
      // One of ssh_config may be on no list.
      if (isAbout(/^config\w+\.stopped$/))
        assert.ok(
          holds(enablement, { [contextKeys.config]: 'stopped' }),
          `${command} on a stopped forward of ssh_config`,
        );
    }
  });

  it('shows the details beside whatever has some, and to a newcomer once they were asked for', () => {
    const { when = '' } = contributes.views['sshTunnels']!.find(({ id }) => id === views.details)!;
    assert.equal(holds(when, {}), false);
    for (const key of [contextKeys.tunnels, contextKeys.presets, contextKeys.config, contextKeys.detailsAsked])
      assert.equal(holds(when, { [key]: key === contextKeys.detailsAsked || 'stopped' }), true, key);
  });

  it('offers the details on each row that has some', () => {
    const menu = contributes.menus['view/item/context']!.find(({ command }) => command === commands.showDetails)!;
    const of = (viewItem: string) => offered(menu, viewItem);
    const having = ['forward.stopped', 'connection.ready', 'configForward.stopped', 'preset.ready.elsewhere.single'];
    assert.deepEqual(
      having.filter((viewItem) => !of(viewItem)),
      [],
    );
    assert.deepEqual(['preset.stopped', 'configHost.stopped', 'presetGroup.stopped', 'client'].filter(of), []);
  });

  it('gives every command that is inline or a title’s an icon', () => {
    const shown = Object.values(contributes.menus)
      .flat()
      .filter(({ group = '' }) => /^(inline|navigation)/.test(group));
    for (const { command } of shown)
      assert.ok(contributes.commands.find((one) => one.command === command)?.icon, command);
  });

  it('describes every setting', () => {
    for (const [name, { description, markdownDescription }] of Object.entries(contributes.configuration.properties))
      assert.ok(description ?? markdownDescription, name);
  });

  it('has every setting in the README’s table, with its default', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const rows = readme.split('\n').filter((line) => /^\| `sshTunnels\./.test(line));
    const told = rows.map((row) =>
      row
        .split('|')
        .slice(1, 3)
        .map((cell) => cell.trim()),
    );
    const properties = Object.entries(contributes.configuration.properties);
    assert.deepEqual(
      told,
      properties.map(([name, { default: value }]) => [`\`${name}\``, `\`${JSON.stringify(value)}\``]),
    );
  });

  it('restricts the settings that can run programs, name keys or open ports to trusted workspaces', () => {
    const { restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;
    const { autoStart, sshConfigFile, identityFile, defaultBind } = settings;
    assert.deepEqual(restrictedConfigurations, [autoStart, sshConfigFile, identityFile, defaultBind]);
  });

  it('has one walkthrough, of four steps that each complete by doing and have a themed picture with a text', () => {
    assert.deepEqual(
      contributes.walkthroughs.map(({ id, steps }) => [id, steps.length]),
      [[walkthrough, 4]],
    );
    for (const { media, completionEvents } of contributes.walkthroughs[0]!.steps) {
      const picture = readFileSync(join(root, media.svg), 'utf8');
      assert.match(picture, /var\(--vscode-foreground/, media.svg);
      // VS Code’s page takes no style but its own.
      assert.doesNotMatch(picture, /<style|style=|<script|href/, media.svg);
      // A colour of its own stands only where a theme has none.
      assert.doesNotMatch(picture.replace(/var\([^;"]*\)/g, ''), /#[0-9a-f]{3}/i, media.svg);
      assert.ok(english(media.altText).length > 20, media.svg);
      for (const event of completionEvents)
        assert.match(event, /^(onCommand|onContext|onView|onSettingChanged):sshTunnels\./);
      assert.ok(completionEvents.length > 0, media.svg);
    }
  });

  it('names icons that exist', () => {
    const icons = [
      manifest.icon,
      ...[...Object.values(contributes.viewsContainers), ...Object.values(contributes.views)]
        .flat()
        .map(({ icon }) => icon),
    ];
    for (const icon of icons) assert.ok(existsSync(join(root, icon)), icon);
  });
});
