import assert from 'node:assert/strict';
import { parsePresets } from '../../src/core/preset.js';
import { printSpec } from '../../src/core/forwardSpec.js';
import { findPreset, presetCalled, readEditorLine, readSubjects, sameScope, scopesOf } from '../../src/core/subject.js';

describe('the subjects of a command', () => {
  it('are the row, or all selected ones, by what names them', () => {
    const row = { kind: 'forward', id: 'a', label: 'shown', status: 'ready' };
    assert.deepEqual(readSubjects(row, undefined), [{ kind: 'forward', id: 'a' }]);
    assert.deepEqual(readSubjects(row, []), [{ kind: 'forward', id: 'a' }]);
    assert.deepEqual(readSubjects(row, [row, { kind: 'connection', id: 'web01', forwards: [row] }]), [
      { kind: 'forward', id: 'a' },
      { kind: 'connection', id: 'web01' },
    ]);
    const preset = { name: 'DB', scope: { kind: 'folder', folder: 'shop' }, forwards: ['-L 1:evil:1'] };
    assert.deepEqual(readSubjects({ kind: 'preset', preset }, undefined), [
      { kind: 'preset', preset: { name: 'DB', scope: { kind: 'folder', folder: 'shop' } } },
    ]);
  });

  it('are a client by its forward and number, and a connection by its name alone', () => {
    const client = { kind: 'client', forward: 'a', id: 3, label: '127.0.0.1:50100' };
    assert.deepEqual(readSubjects(client, undefined), [{ kind: 'client', forward: 'a', id: 3 }]);
    assert.deepEqual(readSubjects({ connection: 'web01', line: '-KL 5432' }, undefined), [
      { kind: 'connection', id: 'web01' },
    ]);
  });

  it('are rows of ssh_config by host, tunnel and line', () => {
    const origin = { file: '/home/bob/.ssh/config', line: 3 };
    const rows = [
      { kind: 'sshConfig', rows: [] },
      { kind: 'configHost', host: 'web01', forwards: [] },
      { kind: 'configForward', id: 'web01 -D 1080', origin },
      { kind: 'configProblem', label: 'shown', origin },
    ];
    assert.deepEqual(readSubjects(rows[0], rows), [
      { kind: 'sshConfig' },
      { kind: 'configHost', host: 'web01' },
      { kind: 'configForward', id: 'web01 -D 1080' },
      { kind: 'configProblem', origin },
    ]);
  });

  it('are not given from the palette', () => {
    assert.equal(readSubjects(undefined, undefined), undefined);
    assert.equal(readSubjects(null, undefined), undefined);
  });

  it('are nothing when they can’t be read', () => {
    for (const wrong of [
      0,
      '',
      'forward',
      [],
      {},
      { kind: 'forward' },
      { kind: 'host', id: 'a' },
      { kind: 'preset' },
      { connection: 1 },
      { kind: 'client', forward: 'a' },
      { kind: 'configHost', id: 'a' },
      { kind: 'configProblem', origin: '/etc/passwd' },
    ])
      assert.deepEqual(readSubjects(wrong, undefined), [], JSON.stringify(wrong));
    const scope = { kind: 'folder' };
    assert.deepEqual(readSubjects({ kind: 'preset', preset: { name: 'DB', scope } }, 'all'), []);
  });
});

describe('a line in the editor of an ssh_config file', () => {
  const line = { file: '/home/bob/.ssh/config', hosts: ['web01', 'web02'], forward: '-L /tmp/%h.sock:db:80' };

  it('is its file, the names it is for and the forward', () => {
    const { spec, ...rest } = readEditorLine(line)!;
    assert.deepEqual(rest, { file: line.file, hosts: line.hosts });
    assert.equal(printSpec(spec), line.forward);
  });

  it('is nothing when it can’t be read', () => {
    for (const wrong of [
      undefined,
      7,
      {},
      { ...line, hosts: [] },
      { ...line, hosts: ['-oProxyCommand=x'] },
      { ...line, hosts: ['a b'] },
      { ...line, hosts: ['*'] },
      { ...line, forward: '5432:db:5432' },
      { ...line, file: 1 },
    ])
      assert.equal(readEditorLine(wrong), undefined, JSON.stringify(wrong));
  });
});

describe('findPreset', () => {
  const value = [{ name: 'DB', host: 'web01', forwards: ['-L 5432:db:5432'] }];
  const { presets } = parsePresets(value, { kind: 'folder', folder: 'shop' });

  it('takes the preset of the settings, not the one given', () => {
    const given = { ...presets[0]!, forwards: [] };
    assert.equal(findPreset(presets, given), presets[0]);
  });

  it('finds none of another name or place', () => {
    assert.equal(findPreset(presets, { name: 'Db', scope: { kind: 'folder', folder: 'shop' } }), undefined);
    assert.equal(findPreset(presets, { name: 'DB', scope: { kind: 'folder', folder: 'api' } }), undefined);
    assert.equal(findPreset(presets, { name: 'DB', scope: { kind: 'user' } }), undefined);
  });
});

describe('presetCalled', () => {
  const stored = { name: 'DB', host: 'web01', forwards: ['-L 5432:db:5432'] };
  const presets = [{ kind: 'workspace' } as const, { kind: 'user' } as const].flatMap(
    (scope) => parsePresets([stored], scope).presets,
  );

  it('takes the first of that name, blanks around it or not', () => {
    assert.equal(presetCalled(presets, 'DB'), presets[0]);
    assert.equal(presetCalled(presets, ' DB '), presets[0]);
    assert.equal(presetCalled(presets, 'db'), undefined);
  });
});

describe('the settings files of presets', () => {
  it('are the same by what they are, however that is written', () => {
    assert.ok(sameScope({ kind: 'folder', folder: 'shop' }, { folder: 'shop', kind: 'folder' }), 'one folder');
    assert.equal(sameScope({ kind: 'folder', folder: 'shop' }, { kind: 'folder', folder: 'api' }), false);
    assert.equal(sameScope({ kind: 'workspace' }, { kind: 'user' }), false);
  });

  it('are told each once', () => {
    const scopes = [{ kind: 'user' }, { kind: 'folder', folder: 'shop' }, { kind: 'user' }] as const;
    assert.deepEqual(scopesOf(scopes.map((scope) => ({ name: 'DB', scope }))), scopes.slice(0, 2));
  });
});
