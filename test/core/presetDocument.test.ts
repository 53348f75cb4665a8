import assert from 'node:assert/strict';
import type { PresetWorld } from '../../src/core/preset.js';
import {
  findInPresets,
  findPresetNamed,
  presetDocumentProblems,
  presetHover,
  presetOffers,
} from '../../src/core/presetDocument.js';

const world: PresetWorld = { folders: [{ name: 'shop', path: '/home/bob/shop' }], env: { HOST: 'web01' } };

/** `part → message` of each problem. */
const problemsOf = (text: string) =>
  presetDocumentProblems(text, { kind: 'workspace' }, world).map(
    ({ start, end, message }) => `${text.slice(start, end)} → ${message}`,
  );
const settings = (presets: string) =>
  `{\n  // mine\n  "editor.fontSize": 12,\n  "sshTunnels.presets": ${presets},\n}\n`;

describe('presets in the text of a settings file', () => {
  const wrong: [string, string, string[]][] = [
    [
      'the place in a forward',
      '[{ "name": "DB", "host": "web01", "forwards": ["-L 5432:db:5432", "-L 1:db:x"] }]',
      ['x → “x” is not a target port (1 to 65535)'],
    ],
    [
      'the end of one that is too short',
      '[{ "name": "DB", "host": "web01", "forwards": ["-L 5432:db"] }]',
      ['b → target port missing'],
    ],
    [
      'the place behind an escaped mark',
      '[{ "name": "DB", "host": "web01", "forwards": ["-L \\u0031:db:x\\u0079z"] }]',
      ['x\\u0079z → “xyz” is not a target port (1 to 65535)'],
    ],
    [
      'a variable',
      '[{ "name": "DB", "host": "${file}.example", "forwards": ["-D 1080"] }]',
      [
        '${file} → ${file} is not known here; the variables of presets are ${workspaceFolder}, ${workspaceFolder:name}, ${env:NAME}, ${input:name}',
      ],
    ],
    [
      'a name that is there twice',
      '[{ "name": "DB", "host": "a", "forwards": ["-D 1080"] }, { "name": "DB", "host": "b", "forwards": ["-D 1081"] }]',
      ['"DB" → another preset is called “DB” already'],
    ],
    [
      'what is for no remote forward',
      '[{ "name": "DB", "connect": "onDemand", "host": "a", "forwards": ["-R 1:b:2"] }]',
      [
        '"onDemand" → "onDemand" is not for -R: a server listens only while it is connected; put the -R forwards into a preset of their own',
      ],
    ],
    [
      'an input that is not asked',
      '[{ "name": "DB", "host": "${input:a}", "forwards": ["-D 1080"], "inputs": { "a": {}, "b": {} } }]',
      ['"b" → nothing asks for it: ${input:b} stands neither in the host nor in a forward'],
    ],
    ['nothing that the schema tells', '[{ "host": 5 }, 7]', []],
    ['nothing where all is well', '[{ "name": "DB", "host": "web01", "forwards": ["-D 1080"] }]', []],
  ];
  for (const [what, presets, problems] of wrong)
    it(`have their problems at their place: ${what}`, () => {
      assert.deepEqual(problemsOf(settings(presets)), problems);
      assert.deepEqual(problemsOf(`{ "folders": [], "settings": ${settings(presets)} }`), problems);
    });

  it('are none where the setting is not', () => {
    for (const text of ['', '{}', '{ "sshTunnels.presets": ', '[]', '// sshTunnels.presets'])
      assert.deepEqual(problemsOf(text), []);
  });

  it('are found by their path and by their name', () => {
    const text = settings(
      '[{ "name": "Other" }, { "name": " DB ", "host": "a", "forwards": ["-D x", "-D 1"], "port": 22 }]',
    );
    const at = (span: { start: number; end: number } | undefined) => span && text.slice(span.start, span.end);
    assert.equal(at(findInPresets(text, [1, 'forwards', 0])), '"-D x"');
    assert.equal(at(findInPresets(text, [1, 'port'])), '"port": 22');
    assert.equal(at(findInPresets(text, [0, 'host'])), '{');
    assert.equal(at(findInPresets(text, [0])), '{ "name": "Other" }');
    assert.equal(at(findPresetNamed(text, 'DB')), ' DB ');
    assert.equal(findPresetNamed(text, 'None'), undefined);
    assert.equal(findInPresets('{}', [0]), undefined);
  });
});

describe('a hover in a settings file', () => {
  /** At the `|` in the text. */
  const hover = (presets: string, where = world) => {
    const marked = settings(presets);
    const text = marked.replace('|', '');
    return presetHover(text, marked.indexOf('|'), where)?.lines;
  };

  it('tells what a forward does and who can connect', () => {
    assert.deepEqual(hover('[{ "name": "DB", "host": "bob@web01", "forwards": ["-L 54|32:db:5432"] }]'), [
      'localhost:5432 on this machine → db:5432, as bob@web01 sees it',
      'Who can connect: only this machine',
    ]);
  });

  it('tells it with what was answered last, and else what is asked', () => {
    const presets = '[{ "name": "DB", "host": "web01", "forwards": ["-L 5432:${input:db}:54|32"] }]';
    assert.deepEqual(hover(presets), ['Asks when it is started: db']);
    const answered = { ...world, answers: (name: string) => (name === 'DB' ? { db: 'staging' } : undefined) };
    assert.deepEqual(hover(presets, answered), [
      'localhost:5432 on this machine → staging:5432, as web01 sees it',
      'Who can connect: only this machine',
      'With what was answered last; asks again when it is started',
    ]);
  });

  it('tells which host the variables come to', () => {
    assert.deepEqual(hover('[{ "name": "DB", "host": "bob@${env:HO|ST}", "forwards": ["-D 1080"] }]'), [
      'Comes to bob@web01',
    ]);
    assert.equal(hover('[{ "name": "DB", "host": "we|b01", "forwards": ["-D 1080"] }]'), undefined);
  });

  it('is none elsewhere, or where something is wrong', () => {
    assert.equal(hover('[{ "name": "D|B", "host": "web01", "forwards": ["-D 1080"] }]'), undefined);
    assert.equal(hover('[{ "name": "DB", "host": "web01", "forwards": ["-D x|x"] }]'), undefined);
  });
});

describe('a completion in a settings file', () => {
  /** At the `|` in the text: what is offered, and what is replaced. */
  const offers = (presets: string) => {
    const marked = settings(presets);
    const text = marked.replace('|', '');
    const offer = presetOffers(text, marked.indexOf('|'));
    return offer && { ...offer, start: undefined, end: undefined, replaces: text.slice(offer.start, offer.end) };
  };
  const offer = (what: string, replaces: string, known: string[] = [], isQuoted = false) => ({
    what,
    known,
    isQuoted,
    start: undefined,
    end: undefined,
    replaces,
  });

  it('offers hosts for the word that is written', () => {
    assert.deepEqual(offers('[{ "host": "|" }]'), offer('host', ''));
    assert.deepEqual(offers('[{ "host": "we|b01" }]'), offer('host', 'web01'));
    assert.deepEqual(offers('[{ "host": "bob@we|b:22" }]'), offer('host', 'web'));
    assert.deepEqual(offers('[{ "host": "-J a,ba|st bob@web" }]'), offer('host', 'bast'));
    assert.deepEqual(offers('[{ "host": | }]'), offer('host', '', [], true));
  });

  it('offers the groups in use', () => {
    assert.deepEqual(
      offers('[{ "group": "Staging" }, { "group": "Prod" }, { "group": "Staging" }, { "group": "S|t" }]'),
      offer('group', 'St', ['Staging', 'Prod']),
    );
  });

  it('offers variables behind a dollar', () => {
    const known = ['workspaceFolder', 'env:', 'input:db', 'input:'];
    const preset = (host: string, forward: string) =>
      `[{ "host": "${host}", "forwards": ["${forward}"], "inputs": { "db": {} } }]`;
    assert.deepEqual(offers(preset('bob@$|', '')), offer('variable', '$', known));
    assert.deepEqual(offers(preset('a', '-L 1:${i|}:2')), offer('variable', '${i}', known));
    assert.deepEqual(offers(preset('a', '-L 1:${in|:2')), offer('variable', '${in', known));
    assert.equal(offers(preset('a', '-L 1:|')), undefined);
  });

  it('offers nothing elsewhere', () => {
    for (const presets of ['[{ "name": "|" }]', '[{ | }]', '|[]', '[{ "host": "a" }|]', '{ "host": "|" }'])
      assert.equal(offers(presets), undefined, presets);
  });
});
