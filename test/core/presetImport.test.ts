import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parsePresets } from '../../src/core/preset.js';
import {
  ofConfig,
  ofRemotePorts,
  ofTunnels,
  presetsOf,
  readRemotePorts,
  withImported,
} from '../../src/core/presetImport.js';
import { parseSshCommand } from '../../src/core/sshCommand.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

describe('the import of presets', () => {
  it('makes one preset of each host of ssh_config, with the forwards that are picked', () => {
    const forwards = [
      { host: 'web01', spec: mustParseSpec('-L 8080:localhost:80') },
      { host: 'db', spec: mustParseSpec('-D 1080') },
      { host: 'web01', spec: mustParseSpec('-R 9000:localhost:3000') },
      { host: 'web01', spec: mustParseSpec('-L 8080:localhost:80') },
    ];
    assert.deepEqual(presetsOf(ofConfig(forwards)), [
      { name: 'web01', host: 'web01', forwards: ['-L 8080:localhost:80', '-R 9000:localhost:3000'] },
      { name: 'db', host: 'db', forwards: ['-D 1080'] },
    ]);
  });

  it('keeps the way of a pasted command', () => {
    const read = parseSshCommand('ssh -N -J bastion -p 2222 -L 5000:db:5432 bob@machine');
    assert.ok(read.ok, 'the command reads');
    const presets = presetsOf(ofTunnels(read.tunnels));
    assert.deepEqual(
      presets.map(({ forwards }) => forwards),
      [['-L 5000:db:5432']],
    );
    assert.match(presets[0]!.host, /-J bastion .*bob@machine/);
    assert.deepEqual(parsePresets(presets, { kind: 'user' }).problems, []);
  });

  it('reads the ports of Remote-SSH, and leaves out what is none', () => {
    const value = [
      { name: 'Web', localPort: 8080, remotePort: 80 },
      { remotePort: 3000 },
      { name: ' ', localPort: '5901', remotePort: '5900' },
      { name: 'x\u202ey', remotePort: 9 },
      ...[{}, null, 5, 'x', { remotePort: 70000 }, { remotePort: -1 }, { remotePort: 0 }, { localPort: 80 }],
      { localPort: 'x', remotePort: 80 },
    ];
    assert.deepEqual(readRemotePorts(value), [
      { name: 'Web', localPort: 8080, remotePort: 80 },
      { localPort: 3000, remotePort: 3000 },
      { localPort: 5901, remotePort: 5900 },
      { localPort: 9, remotePort: 9 },
    ]);
    assert.deepEqual([undefined, null, {}, 'x'].flatMap(readRemotePorts), []);
    assert.deepEqual(presetsOf(ofRemotePorts(readRemotePorts(value).slice(0, 3), 'web01')), [
      { name: 'Web', host: 'web01', forwards: ['-L 8080:localhost:80'] },
      { name: 'web01', host: 'web01', forwards: ['-L 3000:localhost:3000', '-L 5901:localhost:5900'] },
    ]);
  });

  const preset = { name: 'web01', host: 'web01', forwards: ['-D 1080'] };

  it('overwrites nothing: a name that is taken gets a number', () => {
    const list = [{ name: 'web01', host: 'other', forwards: ['-D 1'] }, 5, { name: 'web01 2' }];
    assert.deepEqual(withImported(list, [preset]), {
      list: [...list, { ...preset, name: 'web01 3' }],
      added: ['web01 3'],
    });
    assert.deepEqual(withImported(undefined, [preset]), { list: [preset], added: ['web01'] });
  });

  it('does not add again what is there already', () => {
    const mine = { ...preset, name: 'Mine', icon: 'database' };
    assert.deepEqual(withImported([mine], [preset, { ...preset, host: 'b' }]), {
      list: [mine, { ...preset, host: 'b' }],
      added: ['web01'],
    });
  });

  it('keeps every entry that was there, and gives names that no other has', () => {
    const entry = fc.record({ name: fc.constantFrom('a', 'a 2', 'b'), host: fc.constantFrom('h', 'i'), forwards: fc.subarray(['-D 1', '-D 2'], { minLength: 1 }) }); // prettier-ignore
    const anything = fc.oneof(entry, fc.constantFrom<unknown>(5, null, { name: 7 }));
    fc.assert(
      fc.property(fc.array(anything), fc.array(entry), (list, presets) => {
        const after = withImported(list, presets);
        assert.deepEqual(after.list.slice(0, list.length), list);
        const names = after.list.slice(list.length).map((one) => (one as { name: string }).name);
        assert.deepEqual(names, after.added);
        assert.equal(new Set(after.added).size, after.added.length);
        const before = list.map((one) => (one as { name?: unknown } | null)?.name);
        assert.ok(!after.added.some((name) => before.includes(name)), 'a name is taken');
        assert.deepEqual(withImported(after.list, presets), { list: after.list, added: [] });
      }),
    );
  });
});
