import assert from 'node:assert/strict';
import { configTunnel, isHostName, originOf, type ConfigForwards } from '../../src/core/configForward.js';
import { tunnelId } from '../../src/core/session.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const file = '/home/bob/.ssh/config';
const forward = (host: string, spec: string, line: number) => ({
  host,
  spec: mustParseSpec(spec),
  origin: { file, line },
});
const list: ConfigForwards = {
  forwards: [forward('web01', '-L 5432:db:5432', 2), forward('web01', '-D 1080', 3), forward('web02', '-D 1080', 6)],
  problems: [{ origin: { file, line: 9 }, message: 'target missing' }],
  files: [file],
};

describe('a forward of ssh_config', () => {
  it('is the same tunnel as when it is typed', () =>
    assert.equal(tunnelId(configTunnel(list.forwards[0]!)), 'web01 -L 5432:db:5432'));

  it('has the line where it is written', () => {
    assert.deepEqual(originOf({ kind: 'configForward', id: 'web02 -D 1080' }, list), { file, line: 6 });
    assert.deepEqual(originOf({ kind: 'configHost', host: 'web01' }, list), { file, line: 2 });
    assert.deepEqual(originOf({ kind: 'configProblem', origin: { file, line: 9 } }, list), { file, line: 9 });
  });

  it('has none that the list does not know', () => {
    assert.equal(originOf({ kind: 'configForward', id: 'web03 -D 1080' }, list), undefined);
    assert.equal(originOf({ kind: 'configHost', host: 'web03' }, list), undefined);
    for (const origin of [
      { file, line: 8 },
      { file: '/etc/shadow', line: 9 },
    ])
      assert.equal(originOf({ kind: 'configProblem', origin }, list), undefined);
    assert.equal(originOf({ kind: 'connection', id: 'web01' }, list), undefined);
  });
});

describe('a name of a Host line', () => {
  it('is one that ssh takes as it stands', () => {
    for (const name of ['web01', 'web-1.example.com', '192.0.2.1', 'prod/db', 'µ']) assert.ok(isHostName(name), name);
  });

  it('is no pattern, and nothing that ssh would read otherwise or refuse', () => {
    for (const word of ['*', 'web?', '!web', 'a,b', '', '-v', 'u@h', 'h:22', '[h]:22', 'a b', '$(x)', 'a\u202eb'])
      assert.ok(!isHostName(word), word);
  });
});
