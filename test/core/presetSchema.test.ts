import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type AnySchema } from 'ajv';
import { afterOpens, parsePresets, presetColors } from '../../src/core/preset.js';
import { presetIcons } from '../../src/ui/presetIcons.js';

interface Manifest {
  contributes: { configuration: { properties: Record<string, AnySchema> } };
}

interface Snippets {
  defaultSnippets: { body: unknown }[];
}
interface Words {
  enum: readonly string[];
}
interface Schema {
  items: Snippets & {
    properties: {
      host: Snippets;
      forwards: Snippets & { items: Snippets };
      icon: { examples: readonly string[] };
      color: Words;
      afterOpen: Words;
    };
  };
}

describe('the schema of sshTunnels.presets in package.json', () => {
  const manifest = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as Manifest;
  // VS Code's own words in a schema, such as defaultSnippets, are none of JSON Schema's.
  const validate = new Ajv({ strict: false }).compile(
    manifest.contributes.configuration.properties['sshTunnels.presets']!,
  );
  const good = { name: 'DB', host: 'alice@web01:2222', forwards: ['-L 5432:db:5432'] };

  const world = { folders: [], env: { HOST: 'web02' } };

  const accepted: unknown[] = [
    [],
    [good],
    [{ ...good, autoStart: true, description: 'the database' }],
    [{ ...good, connect: 'now', forwards: ['-R 8080:localhost:3000'] }],
    [{ ...good, connect: 'onDemand', forwards: ['-L 5432:db:5432', ' -D 1080'] }],
    [{ ...good, host: 'ssh://alice@[::1]:2222' }],
    [{ ...good, forwards: ['-L 127.0.0.1:5432:db:5432', '-L5433:[::1]:5432', '  -L *:80:db:http '] }],
    [{ ...good, host: '-J bastion,alice@[::1]:2222 -i "~/.ssh/my key" alice@machine' }],
    [{ ...good, host: 'machine -4 -o ConnectTimeout=5' }],
    [{ ...good, forwards: ['-R 8080:localhost:3000', '-R 0:db:80', '-R 1080', '-R *:1080', '-R/run/a.sock:[::1]:80'] }],
    [{ ...good, forwards: ['-D 1080', '-D [::1]:auto', '-D /tmp/my proxy.sock'] }],
    [{ ...good, forwards: ['-L auto:db:5432', '-L 127.0.0.1:auto:db:5432', '-L 2375:/var/run/docker.sock'] }],
    [{ ...good, forwards: ['-L /tmp/a.sock:/var/run/b.sock', '-L/tmp/a.sock:db:80'] }],
    [{ ...good, group: 'Staging', icon: 'database', color: 'blue', afterOpen: 'simpleBrowser' }],
    [{ ...good, afterOpen: 'nothing', terminalVariables: true, inputs: {} }],
    [{ ...good, host: '${input:who}@${env:HOST}:${input:port}', inputs: { who: { description: 'Who?' }, port: {} } }],
    [{ ...good, inputs: { 'a-1.b_c': { default: 'x', options: ['x', 'y'] } } }],
    [{ ...good, host: '-J ${env:HOST} -i "${env:HOST}/a b" ${input:host}' }],
    [{ ...good, forwards: ['-L ${input:port}:${env:HOST}:5432', '-D ${input:port}', '-L 5432:${input:target}:5432'] }],
  ];
  for (const value of accepted)
    it(`takes what the parser takes: ${JSON.stringify(value)}`, () => {
      assert.deepEqual(parsePresets(value, { kind: 'user' }, world).problems, []);
      assert.ok(validate(value), JSON.stringify(validate.errors));
    });

  it('knows the same words for colours, for what comes after and for icons', () => {
    const { properties } = (manifest.contributes.configuration.properties['sshTunnels.presets'] as Schema).items;
    assert.deepEqual(properties.color.enum, presetColors);
    assert.deepEqual(properties.afterOpen.enum, afterOpens);
    assert.deepEqual(properties.icon.examples, presetIcons);
  });

  it('proposes only what the parser takes', () => {
    const schema = manifest.contributes.configuration.properties['sshTunnels.presets'] as Schema;
    const { host, forwards } = schema.items.properties;
    const written = (body: unknown): unknown => JSON.parse(JSON.stringify(body).replace(/\$\{\d+:([^}]*)\}/g, '$1'));
    const bodies = (snippets: Snippets) => snippets.defaultSnippets.map(({ body }) => written(body));
    const proposed = [
      ...bodies(schema.items),
      ...bodies(host).map((value) => ({ ...good, host: value })),
      ...bodies(forwards).map((value) => ({ ...good, forwards: value })),
      ...bodies(forwards.items).map((value) => ({ ...good, forwards: [value] })),
    ];
    assert.equal(proposed.length, 3 + 2 + 7 + 7);
    for (const value of proposed) {
      assert.deepEqual(parsePresets([value], { kind: 'user' }).problems, [], JSON.stringify(value));
      assert.ok(validate([value]), JSON.stringify(value));
    }
  });

  const refused: unknown[] = [
    {},
    ['x'],
    [{}],
    [{ ...good, name: ' ' }],
    [{ ...good, name: 1 }],
    [{ ...good, host: undefined }],
    [{ ...good, host: 'web 01' }],
    [{ ...good, host: '-oProxyCommand=x' }],
    [{ ...good, host: '-o ProxyCommand=x machine' }],
    [{ ...good, host: '-A machine' }],
    [{ ...good, forwards: '-L 5432:db:5432' }],
    [{ ...good, forwards: [] }],
    [{ ...good, forwards: ['5432'] }],
    [{ ...good, forwards: ['-L 5432:db'] }],
    [{ ...good, forwards: ['-X 5432:db:5432'] }],
    [{ ...good, forwards: ['-R'] }],
    [{ ...good, forwards: ['-D '] }],
    [{ ...good, forwards: ['-L /tmp/a.sock'] }],
    [{ ...good, autostart: true }],
    [{ ...good, autoStart: 'yes' }],
    [{ ...good, connect: 'lazy' }],
    [{ ...good, connect: true }],
    [{ ...good, connect: 'onDemand', forwards: ['-L 5432:db:5432', ' -R 8080:localhost:3000'] }],
    [{ ...good, description: 1 }],
    [{ ...good, group: ' ' }],
    [{ ...good, group: null }],
    [{ ...good, icon: '$(database)' }],
    [{ ...good, icon: '' }],
    [{ ...good, color: 'charts.red' }],
    [{ ...good, afterOpen: true }],
    [{ ...good, terminalVariables: 'yes' }],
    [{ ...good, inputs: [] }],
    [{ ...good, inputs: { 'a b': {} } }],
    [{ ...good, inputs: { a: 'x' } }],
    [{ ...good, inputs: { a: { prompt: 'x' } } }],
    [{ ...good, inputs: { a: { options: [1] } } }],
    [{ ...good, forwards: ['-L ${input:all}'] }],
    [{ ...good, forwards: ['${input:all}'] }],
  ];
  for (const value of refused)
    it(`refuses what the parser refuses: ${JSON.stringify(value)}`, () => {
      const written: unknown = JSON.parse(JSON.stringify(value));
      assert.notDeepEqual(parsePresets(written, { kind: 'user' }).problems, []);
      assert.equal(validate(written), false);
    });
});
