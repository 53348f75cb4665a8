import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parsePresets, type StoredPreset } from '../../src/core/preset.js';
import {
  choicesOf,
  draftProblems,
  draftRows,
  emptyDraft,
  forwardEffect,
  readForwardText,
  textOf,
  textProblem,
  withText,
  type ChoiceField,
  type DraftPlace,
  type TextField,
} from '../../src/core/presetDraft.js';

const place: DraftPlace = {
  world: { folders: [{ name: 'shop', path: '/shop' }], env: { USER: 'bob' } },
  taken: ['Taken'],
};
const scope = { kind: 'workspace' } as const;
const preset: StoredPreset = { name: 'Database', host: 'web01', forwards: ['-L 5432:db:5432'] };
const full: StoredPreset = {
  ...preset,
  autoStart: true,
  connect: 'onDemand',
  afterOpen: 'copy',
  terminalVariables: true,
  group: 'Shop',
  icon: 'database',
  color: 'red',
  description: 'All of it',
  inputs: { user: { default: 'bob' } },
};
const textFields: readonly TextField[] = ['name', 'host', 'description', 'group', 'icon', 'forward 0'];
const choiceFields: readonly ChoiceField[] = ['start', 'connect', 'afterOpen', 'color', 'terminalVariables'];
const told = (value: StoredPreset) =>
  draftRows({ preset: value, scope }, place).map(({ label, value }) => `${label}: ${value}`);

describe('the form of a preset', () => {
  it('lists every field with what it says, or what holds without it', () => {
    assert.deepEqual(told(preset), [
      'Name: Database',
      'Host: web01',
      'Forward: -L 5432:db:5432',
      'Add Forward…: ',
      'Start: By hand',
      'Connect: At once',
      'After Opening: Nothing',
      'Terminal Variables: No',
      'Group: No group',
      'Icon: No icon',
      'Colour: No colour',
      'Description: No description',
      'Save In: the workspace settings',
    ]);
    assert.deepEqual(told({ ...full, forwards: ['-D 1080', '-D 1081'] }), [
      'Name: Database',
      'Host: web01',
      'Forward 1: -D 1080',
      'Forward 2: -D 1081',
      'Add Forward…: ',
      'Start: With the window',
      'Connect: On demand',
      'After Opening: Copy address',
      'Terminal Variables: Yes',
      'Group: Shop',
      'Icon: database',
      'Colour: Red',
      'Description: All of it',
      'Save In: the workspace settings',
    ]);
  });

  it('says in words what a forward does, and who can connect when that is the network', () => {
    assert.equal(
      forwardEffect('5432', 'bob@web01', place.world),
      'localhost:5432 on this machine → localhost:5432, as web01 sees it',
    );
    assert.match(forwardEffect('-L *:8080:web:80', 'web01', place.world)!, /Who can connect: everyone on the network/);
    assert.match(forwardEffect('-L 1:db:2', '', place.world)!, /as the host sees it/);
    assert.deepEqual(
      ['', '-L x', '-L 1:${input:db}:2'].map((text) => forwardEffect(text, 'web01', place.world)),
      [undefined, undefined, undefined],
    );
  });

  const forwards: [text: string, stored: string | undefined, problem?: RegExp][] = [
    ['5432', '-L 5432:localhost:5432'],
    ['db:5432', '-L 5432:db:5432'],
    ['8080:web:80', '-L 8080:web:80'],
    [' -R 9000:localhost:3000 ', '-R 9000:localhost:3000'],
    ['-L 1:${input:db}:5432', '-L 1:${input:db}:5432'],
    ['-L 1:${env:USER}:5432', '-L 1:${env:USER}:5432'],
    ['', undefined, /^\p{Lu}.*\.$/u],
    ['-L 5432', undefined, /^\p{Lu}.*\.$/u],
    ['-L 1:${env:NONE}:5432', undefined, /environment variable NONE is not set/],
    ['web', undefined, /^\p{Lu}|^“/u],
  ];
  for (const [text, stored, problem] of forwards)
    it(`reads the forward “${text}” ${stored === undefined ? 'as wrong, and says why' : `as ${stored}`}`, () => {
      const read = readForwardText(text, place.world);
      if (read.ok) assert.equal(read.text, stored);
      else assert.match(read.problem, problem ?? /never/);
    });

  it('refuses what can’t stand in a field, in a sentence', () => {
    const wrong: [TextField, string, RegExp][] = [
      ['name', '', /name is empty/i],
      ['name', ' ', /name is empty/i],
      ['name', 'Taken', /Another preset there is called “Taken” already/],
      ['name', 'a\u202eb', /control character/],
      ['host', '', /./],
      ['host', 'a b', /./],
      ['host', '${env:NONE}', /NONE is not set/],
      ['icon', 'No Icon', /product icon/],
      ['group', 'a\u0007', /control character/],
      ['forward 1', '-L', /./],
    ];
    for (const [field, text, message] of wrong) assert.match(textProblem(field, text, place) ?? '', message, field);
    for (const field of ['description', 'group', 'icon'] as const)
      assert.equal(textProblem(field, ' ', place), undefined, field);
    assert.equal(textProblem('host', '${env:USER}@${input:host}', place), undefined);
  });

  it('names the first field that keeps it from being saved', () => {
    const problems = (value: StoredPreset) =>
      draftProblems({ preset: value, scope }, place).map(({ field, message }) => `${field}: ${message}`);
    assert.deepEqual(problems(emptyDraft), [
      'name: The name is missing.',
      'host: The host is missing.',
      'forward 0: There is no forward yet.',
    ]);
    assert.deepEqual(problems(full), []);
    assert.deepEqual(problems({ ...preset, name: 'Taken' }), ['name: Another preset there is called “Taken” already.']);
    const [remote] = problems({ ...preset, connect: 'onDemand', forwards: ['-R 9000:localhost:3000'] });
    assert.match(remote ?? '', /^connect: "onDemand" is not for -R/);
    const [second] = problems({ ...preset, forwards: ['-D 1080', '-L 8080:web'] });
    assert.match(second ?? '', /^forward 1: Target port missing/);
  });

  it('takes an optional field away when nothing is written, and a forward', () => {
    assert.deepEqual(withText(full, 'group', ' '), (({ group: _, ...rest }) => rest)(full));
    assert.deepEqual(withText({ ...preset, forwards: ['-D 1', '-D 2'] }, 'forward 0', '').forwards, ['-D 2']);
    assert.deepEqual(withText(preset, 'forward 1', ' -D 1 ').forwards, ['-L 5432:db:5432', '-D 1']);
  });

  it('gives back what is written into a field, and leaves the others alone', () => {
    fc.assert(
      fc.property(fc.constantFrom(...textFields), fc.string({ minLength: 1 }), (field, text) => {
        fc.pre(text.trim() !== '');
        const written = withText(full, field, text);
        assert.equal(textOf(written, field), text.trim());
        assert.deepEqual(withText(written, field, textOf(full, field)), full);
      }),
    );
  });

  it('has one answer chosen for each question, whatever was chosen before; none of them is refused', () => {
    fc.assert(
      fc.property(fc.constantFrom(...choiceFields), fc.boolean(), (field, isFull) => {
        const before = isFull ? full : preset;
        for (const [at, choice] of choicesOf(field).entries()) {
          const after = choice.chosen(before);
          assert.deepEqual(
            choicesOf(field).map(({ isChosen }) => isChosen(after)),
            choicesOf(field).map((_, index) => index === at),
          );
          assert.deepEqual(parsePresets([after], scope).problems, []);
          const back = choicesOf(field).find(({ isChosen }) => isChosen(before))!;
          assert.deepEqual(back.chosen(after), before);
        }
      }),
    );
  });

  it('takes “connect”: “now” for what it is', () => {
    const chosen = choicesOf('connect').filter(({ isChosen }) => isChosen({ ...preset, connect: 'now' }));
    assert.deepEqual(
      chosen.map(({ label }) => label),
      ['At once'],
    );
  });
});
