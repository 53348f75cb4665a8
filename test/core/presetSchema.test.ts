import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type AnySchema } from 'ajv';
import { parsePresets } from '../../src/core/preset.js';

interface Manifest {
  contributes: { configuration: { properties: Record<string, AnySchema> } };
}

describe('the schema of sshTunnels.presets in package.json', () => {
  const manifest = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as Manifest;
  // VS Code's own words in a schema, such as defaultSnippets, are none of JSON Schema's.
  const validate = new Ajv({ strict: false }).compile(
    manifest.contributes.configuration.properties['sshTunnels.presets']!,
  );
  const good = { name: 'DB', host: 'alice@web01:2222', forwards: ['-L 5432:db:5432'] };

  const accepted: unknown[] = [
    [],
    [good],
    [{ ...good, autoStart: true, description: 'the database' }],
    [{ ...good, host: 'ssh://alice@[::1]:2222' }],
    [{ ...good, forwards: ['-L 127.0.0.1:5432:db:5432', '-L5433:[::1]:5432', '  -L *:80:db:http '] }],
  ];
  for (const value of accepted)
    it(`takes what the parser takes: ${JSON.stringify(value)}`, () => {
      assert.deepEqual(parsePresets(value, { kind: 'user' }).problems, []);
      assert.ok(validate(value), JSON.stringify(validate.errors));
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
    [{ ...good, forwards: '-L 5432:db:5432' }],
    [{ ...good, forwards: [] }],
    [{ ...good, forwards: ['5432'] }],
    [{ ...good, forwards: ['-L 5432:db'] }],
    [{ ...good, forwards: ['-X 5432:db:5432'] }],
    [{ ...good, autostart: true }],
    [{ ...good, autoStart: 'yes' }],
    [{ ...good, description: 1 }],
  ];
  for (const value of refused)
    it(`refuses what the parser refuses: ${JSON.stringify(value)}`, () => {
      const written: unknown = JSON.parse(JSON.stringify(value));
      assert.notDeepEqual(parsePresets(written, { kind: 'user' }).problems, []);
      assert.equal(validate(written), false);
    });
});
