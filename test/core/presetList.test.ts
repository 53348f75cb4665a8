import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addPreset,
  copyName,
  duplicatePreset,
  findStored,
  groupPresets,
  isPresetList,
  movePreset,
  placePresets,
  presetGroups,
  presetNames,
  removePreset,
  renameGroup,
  replacePreset,
  tunnelFields,
} from '../../src/core/presetList.js';

/** `b/G`: the preset b in the group G. */
const preset = (text: string) => {
  const [name = '', group] = text.split('/');
  return { name, host: 'web01', forwards: ['-D 1080'], ...(group !== undefined && { group }) };
};
const list = (...texts: string[]) => texts.map(preset);
const told = (value: readonly unknown[]) =>
  value.map((entry) => {
    const { name, group } = entry as { name: string; group?: string };
    return group === undefined ? name : `${name}/${group}`;
  });
const broken = { name: 'b', host: 'web01', forwards: '-D 1080' };
const strange = [5, null, 'x', {}, { name: 7 }, { name: 'odd', colour: 'red' }];

describe('the list of presets of a settings file', () => {
  it('is one where presets can be added, or not there', () => {
    assert.deepEqual([undefined, null, [], [5], {}, 'x', 5].map(isPresetList), [
      true,
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('tells names and groups of whatever stands in it', () => {
    const value = [...strange, ...list(' a ', 'b/G', 'c/ G ', 'd/')];
    assert.deepEqual(presetNames(value), ['odd', 'a', 'b', 'c', 'd']);
    assert.deepEqual(presetGroups(value), ['G']);
    assert.deepEqual([presetNames('x'), presetGroups(undefined)], [[], []]);
  });

  it('gives the entry that a row stands for: not one of the same name that is wrong', () => {
    assert.equal(findStored([broken, preset('b')], 'b')?.forwards[0], '-D 1080');
    assert.equal(findStored([broken], 'b'), undefined);
    assert.equal(findStored(list('a'), 'b'), undefined);
  });

  it('adds at the end, or behind the last of the group', () => {
    assert.deepEqual(told(addPreset(undefined, preset('a'))), ['a']);
    assert.deepEqual(told(addPreset(list('a/G', 'b'), preset('c'))), ['a/G', 'b', 'c']);
    assert.deepEqual(told(addPreset(list('a/G', 'b'), preset('c/G'))), ['a/G', 'c/G', 'b']);
  });

  it('replaces what a preset has, and keeps fields that are not known here', () => {
    const value = [{ ...preset('a/G'), color: 'red', note: 'mine' }, 5];
    assert.deepEqual(replacePreset(value, 'a', preset('b')), [{ ...preset('b'), note: 'mine' }, 5]);
    assert.deepEqual(told(replacePreset(list('a'), 'x', preset('b'))), ['a', 'b']);
  });

  describe('saves tunnels', () => {
    const stored = { name: 'Database', host: 'bob@web01', forwards: ['-L 5432:db:5432'] };
    const other = { name: 'Other', host: 'web02', forwards: ['-D 1080'] };
    const save = (value: unknown, saved: typeof stored = stored) =>
      replacePreset(value, stored.name, saved, tunnelFields);

    it('behind the others', () => {
      assert.deepEqual(save(undefined), [stored]);
      assert.deepEqual(save([other]), [other, stored]);
      assert.deepEqual(save('x'), [stored]);
    });

    it('in the place of the one with their name, and keeps what the user wrote beside', () => {
      const before = { ...stored, name: ' Database ', host: 'old', description: 'Mine', autoStart: true };
      assert.deepEqual(save([before, other]), [{ ...stored, description: 'Mine', autoStart: true }, other]);
      // When it connects is the tunnels' own.
      assert.deepEqual(save([{ ...stored, connect: 'onDemand' }]), [stored]);
      // And so are the variables, which tunnels don't have.
      const asks = { ...stored, host: '${input:server}', inputs: { server: {} }, group: 'Mine' };
      assert.deepEqual(save([asks]), [{ ...stored, group: 'Mine' }]);
      const onDemand = { ...stored, connect: 'onDemand' as const };
      assert.deepEqual(save([stored], onDemand), [onDemand]);
    });

    it('in the place of the one with a row, where another of that name can’t be read', () => {
      const wrong = { ...broken, name: 'Database' };
      assert.deepEqual(save([wrong, { ...stored, host: 'old' }]), [wrong, stored]);
    });

    it('and keeps other entries as they are, wrong ones too, and the list it was given', () => {
      const value = [...strange, other];
      const copy = structuredClone(value);
      assert.deepEqual(save(value), [...copy, stored]);
      assert.deepEqual(value, copy);
    });
  });

  it('removes one, the one with a row', () => {
    assert.deepEqual(removePreset([broken, preset('b'), 5], 'b'), [broken, 5]);
    assert.deepEqual(told(removePreset(list('a'), 'x')), ['a']);
  });

  it('puts a copy behind its original, with a name that no other has', () => {
    const twice = duplicatePreset(duplicatePreset(list('a/G', 'b'), 'a'), 'a');
    assert.deepEqual(told(twice), ['a/G', 'a copy 2/G', 'a copy/G', 'b']);
    assert.equal(copyName(twice, 'a copy 2'), 'a copy 3');
    assert.equal(copyName(twice, 'b'), 'b copy');
  });

  const moves: [what: string, from: string[], name: string, direction: 'up' | 'down', to: string[]][] = [
    ['up', ['a', 'b', 'c'], 'c', 'up', ['a', 'c', 'b']],
    ['down', ['a', 'b', 'c'], 'a', 'down', ['b', 'a', 'c']],
    ['not above the first', ['a', 'b'], 'a', 'up', ['a', 'b']],
    ['not below the last', ['a', 'b'], 'b', 'down', ['a', 'b']],
    ['above a group', ['a', 'b/G', 'c/G', 'd'], 'd', 'up', ['a', 'd', 'b/G', 'c/G']],
    ['below a group', ['a', 'b/G', 'c/G', 'd'], 'a', 'down', ['b/G', 'c/G', 'a', 'd']],
    ['below a group at the end', ['a', 'b/G', 'c/G'], 'a', 'down', ['b/G', 'c/G', 'a']],
    ['below a group that is scattered', ['a', 'b/G', 'c', 'd/G'], 'a', 'down', ['b/G', 'a', 'c', 'd/G']],
    ['within its group', ['b/G', 'a', 'c/G'], 'c', 'up', ['c/G', 'b/G', 'a']],
    ['down within its group', ['b/G', 'a', 'c/G', 'd'], 'b', 'down', ['a', 'c/G', 'b/G', 'd']],
    ['not out of its group', ['a', 'b/G', 'c'], 'b', 'up', ['a', 'b/G', 'c']],
  ];
  for (const [what, from, name, direction, to] of moves)
    it(`moves a preset ${what}`, () => {
      const shown = from.map((text) => text.split('/')[0]!);
      assert.deepEqual(told(movePreset(list(...from), name, direction, shown)), to);
    });

  it('moves past what has no row, and past a group whose row stands elsewhere', () => {
    assert.deepEqual(movePreset([preset('a'), 5, broken, preset('c')], 'c', 'up', ['a', 'c']), [
      preset('c'),
      preset('a'),
      5,
      broken,
    ]);
    assert.deepEqual(told(movePreset(list('a', 'b/G', 'c'), 'c', 'up', ['a', 'b', 'c'], ['G'])), ['c', 'a', 'b/G']);
  });

  it('puts presets beside the one they are dropped on, and into its group', () => {
    assert.deepEqual(told(placePresets(list('a', 'b', 'c'), ['a'], 'c')), ['b', 'c', 'a']);
    assert.deepEqual(told(placePresets(list('a', 'b', 'c'), ['c'], 'a')), ['c', 'a', 'b']);
    assert.deepEqual(told(placePresets(list('a', 'b/G', 'c'), ['c', 'a'], 'b')), ['b/G', 'a/G', 'c/G']);
    assert.deepEqual(told(placePresets(list('a/G', 'b'), ['a'], 'b')), ['b', 'a']);
    assert.deepEqual(told(placePresets(list('a', 'b'), ['a'], 'a')), ['a', 'b']);
    assert.deepEqual(told(placePresets(list('a', 'b'), ['a'], 'x')), ['a', 'b']);
  });

  it('puts presets at the end of a group, and takes them out', () => {
    assert.deepEqual(told(groupPresets(list('a', 'b/G', 'c'), ['a', 'c', 'b'], 'G')), ['b/G', 'a/G', 'c/G']);
    assert.deepEqual(told(groupPresets(list('a', 'b'), ['a'], 'New')), ['b', 'a/New']);
    assert.deepEqual(told(groupPresets(list('b/G', 'a'), ['b'], undefined)), ['a', 'b']);
  });

  it('renames a group, and ends it', () => {
    assert.deepEqual(renameGroup([...list('a/G', 'b/H'), 5], 'G', 'New'), [...list('a/New', 'b/H'), 5]);
    assert.deepEqual(told(renameGroup(list('a/G', 'b/G'), 'G', undefined)), ['a', 'b']);
  });

  const names = ['a', 'b', 'c', 'd', 'e'];
  const entry = fc.oneof(
    fc.record({
      name: fc.constantFrom(...names),
      host: fc.constant('web01'),
      forwards: fc.constant(['-D 1080']),
      group: fc.constantFrom('G', 'H'),
    }, { requiredKeys: ['name', 'host', 'forwards'] }), // prettier-ignore
    fc.constantFrom<unknown>(broken, ...strange),
  );
  const lists = fc.array(entry, { maxLength: 8 });
  const same = (one: readonly unknown[], other: readonly unknown[]) => {
    const sorted = (value: readonly unknown[]) => value.map((item) => JSON.stringify(item)).sort();
    assert.deepEqual(sorted(one), sorted(other));
  };

  it('neither loses nor changes an entry that is moved', () => {
    fc.assert(
      fc.property(lists, fc.constantFrom(...names), fc.constantFrom('up', 'down'), (value, name, direction) =>
        same(movePreset(value, name, direction, names), value),
      ),
    );
  });

  it('takes a move back by the opposite one, where each is one row', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.constantFrom(...names)), fc.constantFrom(...names), (order, name) => {
        const value = list(...order);
        const down = movePreset(value, name, 'down', names);
        const isLast = order.at(-1) === name || !order.includes(name);
        assert.deepEqual(isLast ? value : movePreset(down, name, 'up', names), value);
      }),
    );
  });

  it('changes nothing but the group of what is dropped', () => {
    const withoutGroup = (value: readonly unknown[]) =>
      value.map((item) => (typeof item === 'object' && item !== null ? { ...item, group: undefined } : item));
    fc.assert(
      fc.property(lists, fc.subarray(names), fc.constantFrom(...names), (value, dropped, target) => {
        same(withoutGroup(placePresets(value, dropped, target)), withoutGroup(value));
        same(withoutGroup(groupPresets(value, dropped, target)), withoutGroup(value));
      }),
    );
  });

  it('has one entry more or less after what is added, copied or removed, and the others as they were', () => {
    fc.assert(
      fc.property(lists, fc.constantFrom(...names), (value, name) => {
        const copied = duplicatePreset(value, name);
        same(
          copied.filter((item) => (item as { name?: unknown } | null)?.name !== copyName(value, name)),
          value,
        );
        const added = addPreset(value, preset('new/G'));
        same(
          added.filter((item) => (item as { name?: unknown } | null)?.name !== 'new'),
          value,
        );
        const known = presetNames(value).includes(name);
        assert.deepEqual(
          [copied.length, removePreset(value, name).length],
          known ? [value.length + 1, value.length - 1] : [value.length, value.length],
        );
      }),
    );
  });
});
