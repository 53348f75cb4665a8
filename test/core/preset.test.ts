import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  parsePresets,
  presetFingerprint,
  presetTunnels,
  printPreset,
  type Preset,
  type PresetScope,
} from '../../src/core/preset.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const user: PresetScope = { kind: 'user' };
const stored = { name: 'Database', host: 'bob@web01', forwards: ['-L 5432:db:5432'] };
const preset: Preset = {
  name: 'Database',
  destination: { host: 'web01', user: 'bob' },
  forwards: [mustParseSpec('-L 5432:db:5432')],
  autoStart: false,
  scope: user,
};

/** `place: message` of each problem. */
const problemsOf = (value: unknown) =>
  parsePresets(value, user).problems.map(({ place, message }) => `${place}: ${message}`);

describe('parsePresets', () => {
  it('reads presets with all that they can hold, and in which settings they stand', () => {
    const scope: PresetScope = { kind: 'folder', folder: 'api' };
    const full = {
      name: ' All ',
      host: 'ssh://web02:2222',
      forwards: ['-L [::1]:8080:/run/web.sock', '-R 9000:localhost:3000', '-D 1080'],
      autoStart: true,
      description: 'All of it',
    };
    assert.deepEqual(parsePresets([stored, full], scope), {
      presets: [
        { ...preset, scope },
        {
          name: 'All',
          destination: { host: 'web02', port: 2222 },
          forwards: full.forwards.map(mustParseSpec),
          autoStart: true,
          description: 'All of it',
          scope,
        },
      ],
      problems: [],
    });
  });

  it('finds nothing where nothing is set', () => {
    for (const value of [undefined, null, []])
      assert.deepEqual(parsePresets(value, user), { presets: [], problems: [] });
  });

  it('names the preset and the forward whose target port is missing', () => {
    const wrong = { name: 'Web', host: 'web01', forwards: ['-L 8080:web'] };
    assert.deepEqual(problemsOf([stored, { ...stored, name: 'Other' }, wrong]), [
      'presets[2].forwards[0]: target port missing',
    ]);
  });

  const wrong: [string, unknown, string[]][] = [
    ['a text', 'x', ['presets: a list expected']],
    ['an object', {}, ['presets: a list expected']],
    ['a number for a preset', [5], ['presets[0]: an object expected, not 5']],
    ['null for a preset', [null], ['presets[0]: an object expected, not null']],
    ['a text for a preset', ['x'], ['presets[0]: an object expected, not "x"']],
    ['an empty preset', [{}], ['presets[0].name: missing', 'presets[0].host: missing', 'presets[0].forwards: missing']],
    ['a number for a name', [{ ...stored, name: 5 }], ['presets[0].name: a text expected, not 5']],
    ['a blank name', [{ ...stored, name: ' ' }], ['presets[0].name: name is empty']],
    [
      'a name that turns its line around',
      [{ ...stored, name: 'DB \u202e liame' }],
      ['presets[0].name: a control character in the text'],
    ],
    [
      'a name of several lines',
      [{ ...stored, name: 'DB\nTrusted' }],
      ['presets[0].name: a control character in the text'],
    ],
    [
      'lines that only some readers see',
      [{ ...stored, name: 'DB\u2028x', description: 'a\u2029b' }],
      ['presets[0].name: a control character in the text', 'presets[0].description: a control character in the text'],
    ],
    ['a list for a host', [{ ...stored, host: [] }], ['presets[0].host: a text expected, not a list']],
    ['an empty host', [{ ...stored, host: '' }], ['presets[0].host: host missing; write user@host or user@host:port']],
    [
      'a host that is a command',
      [{ ...stored, host: '-oProxyCommand=x' }],
      ['presets[0].host: ProxyCommand can’t be set here since it names a program to run; set it in your ssh_config'],
    ],
    [
      'a host key that is checked as another host’s',
      [{ ...stored, host: "-o 'HostKeyAlias=a$(touch${IFS}/tmp/x)' web01" }],
      ['presets[0].host: HostKeyAlias can’t be set here; set it for this host in ssh_config'],
    ],
    ['a port of the host', [{ ...stored, host: 'web01:0' }], ['presets[0].host: “0” is not a port (1 to 65535)']],
    [
      'a text for forwards',
      [{ ...stored, forwards: '-D 1080' }],
      ['presets[0].forwards: a list of forwards expected, not "-D 1080"'],
    ],
    [
      'an object for forwards',
      [{ ...stored, forwards: {} }],
      ['presets[0].forwards: a list of forwards expected, not an object'],
    ],
    ['no forwards', [{ ...stored, forwards: [] }], ['presets[0].forwards: no forward; add one like "-L 5432:db:5432"']],
    [
      'a number for a forward',
      [{ ...stored, forwards: ['-D 1080', 5432] }],
      ['presets[0].forwards[1]: a forward like "-L 5432:db:5432" expected, not 5432'],
    ],
    [
      'a forward without its option',
      [{ ...stored, forwards: ['5432:db:5432'] }],
      ['presets[0].forwards[0]: expected -L, -R or -D first'],
    ],
    [
      'several wrong forwards',
      [{ ...stored, forwards: ['-L 0:a:1', '-D 1080', '-X 1', '-L 1:a:b'] }],
      [
        'presets[0].forwards[0]: port 0 can’t be listened on; name a port from 1 to 65535',
        'presets[0].forwards[2]: -X is not -L, -R or -D',
        'presets[0].forwards[3]: “b” is not a target port (1 to 65535)',
      ],
    ],
    [
      'a wrong host and a wrong forward',
      [{ ...stored, host: 'bob@', forwards: ['-L 1'] }],
      [
        'presets[0].host: host missing; write user@host or user@host:port',
        'presets[0].forwards[0]: target missing; write port:host:hostport',
      ],
    ],
    [
      'a variable that is not known',
      [{ ...stored, forwards: ['-L 1:${HOME}/x'] }],
      ['presets[0].forwards[0]: ${HOME} is not known here; for the environment’s write ${env:HOME}'],
    ],
    [
      'a word for connect that is none',
      [{ ...stored, connect: 'lazy' }],
      ['presets[0].connect: "now" or "onDemand" expected, not "lazy"'],
    ],
    [
      'a remote forward on demand',
      [{ ...stored, connect: 'onDemand', forwards: ['-L 1:a:1', '-R 8080:localhost:80'] }],
      [
        'presets[0].connect: "onDemand" is not for -R: a server listens only while it is connected; put the -R forwards into a preset of their own',
      ],
    ],
    [
      'a text for autoStart',
      [{ ...stored, autoStart: 'yes' }],
      ['presets[0].autoStart: true or false expected, not "yes"'],
    ],
    ['a number for a description', [{ ...stored, description: 5 }], ['presets[0].description: a text expected, not 5']],
    ['a name that is not known', [{ ...stored, port: 22 }], ['presets[0].port: this name is not known here']],
    ['the same name twice', [stored, stored], ['presets[1].name: another preset is called “Database” already']],
  ];
  for (const [what, value, problems] of wrong)
    it(`tells of ${what}`, () => assert.deepEqual(problemsOf(value), problems));

  it('still reads the good presets beside wrong ones, and says where the wrong ones stand', () => {
    const scope: PresetScope = { kind: 'workspace' };
    assert.deepEqual(parsePresets([5, stored, { ...stored, name: 'Bad', forwards: ['-L 1:a'] }], scope), {
      presets: [{ ...preset, scope }],
      problems: [
        { place: 'presets[0]', path: [0], message: 'an object expected, not 5', scope, isInSchema: true },
        {
          place: 'presets[2].forwards[0]',
          path: [2, 'forwards', 0],
          at: 6,
          message: 'target port missing',
          scope,
        },
      ],
    });
  });

  it('never throws, and reads or tells of every entry', () => {
    const text = fc.oneof(fc.string(), fc.constantFrom('Database', 'web01', '-L 5432:db:5432', ''));
    const entry = fc.record(
      {
        name: fc.oneof(text, fc.jsonValue()),
        host: fc.oneof(text, fc.jsonValue()),
        forwards: fc.oneof(fc.array(text), fc.jsonValue()),
        autoStart: fc.oneof(fc.boolean(), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    let read = 0;
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.array(fc.oneof(entry, fc.jsonValue(), fc.constant(stored)))), (value) => {
        const { presets, problems } = parsePresets(value, user);
        read += presets.length;
        const places = new Set(problems.map(({ place }) => /^presets(\[\d+\])?/.exec(place)?.[0]));
        if (Array.isArray(value)) assert.equal(presets.length + places.size, value.length);
        else assert.equal(places.size, value === null ? 0 : 1);
        for (const { message } of problems) assert.doesNotMatch(message, /^$|undefined|\[object/);
      }),
      { numRuns: 2000 },
    );
    assert.ok(read > 0);
  });
});

describe('printPreset', () => {
  it('writes what is needed and leaves the rest out', () => {
    assert.deepEqual(printPreset(preset), stored);
    assert.deepEqual(printPreset({ ...preset, autoStart: true, description: 'x' }), {
      ...stored,
      autoStart: true,
      description: 'x',
    });
  });

  it('writes that it connects on demand, and reads it back', () => {
    const onDemand: Preset = { ...preset, onDemand: true };
    assert.deepEqual(printPreset(onDemand), { ...stored, connect: 'onDemand' });
    assert.deepEqual(parsePresets([printPreset(onDemand)], user).presets, [onDemand]);
    assert.deepEqual(parsePresets([{ ...stored, connect: 'now' }], user).presets, [preset]);
  });

  it('writes what reads back as the same preset', () => {
    const specs = ['-L 5432:db:5432', '-L :8080:[::1]:80', '-L /a:/b', '-R 0:localhost:80', '-R 1080', '-D [::1]:1080'];
    const presets = fc.record<Preset>(
      {
        name: fc.string({ minLength: 1 }).filter((name) => name !== '' && name === name.trim()),
        destination: fc.constantFrom({ host: 'web01' }, { host: '::1', user: 'bob', port: 2222 }),
        forwards: fc.array(fc.constantFrom(...specs).map(mustParseSpec), { minLength: 1 }),
        autoStart: fc.boolean(),
        description: fc.string(),
        scope: fc.constant(user),
      },
      { requiredKeys: ['name', 'destination', 'forwards', 'autoStart', 'scope'], noNullPrototype: true },
    );
    fc.assert(
      fc.property(presets, (preset) => {
        const written: unknown = JSON.parse(JSON.stringify([printPreset(preset)]));
        assert.deepEqual(parsePresets(written, user), { presets: [preset], problems: [] });
      }),
    );
  });
});

describe('presetTunnels', () => {
  it('gives the preset’s name to a single forward', () =>
    assert.deepEqual(presetTunnels(preset), [
      { destination: preset.destination, spec: preset.forwards[0], label: 'Database' },
    ]));

  it('leaves several forwards without a name', () => {
    const forwards = ['-L 5432:db:5432', '-D 1080'].map(mustParseSpec);
    assert.deepEqual(
      presetTunnels({ ...preset, forwards }),
      forwards.map((spec) => ({ destination: preset.destination, spec })),
    );
  });
});

describe('the tunnels of a preset', () => {
  it('connect on demand where it says so', () => {
    const forwards = ['-L 5432:db:5432', '-D 1080'].map(mustParseSpec);
    const tunnels = presetTunnels({ ...preset, forwards, onDemand: true });
    assert.deepEqual(
      tunnels.map(({ onDemand }) => onDemand),
      [true, true],
    );
  });

  it('come from the workspace where its settings have it', () => {
    const from = (scope: Preset['scope']) => presetTunnels({ ...preset, scope }).map((tunnel) => tunnel.fromWorkspace);
    assert.deepEqual(from({ kind: 'user' }), [undefined]);
    assert.deepEqual(from({ kind: 'workspace' }), [true]);
    assert.deepEqual(from({ kind: 'folder', folder: 'a' }), [true]);
  });
});

describe('presetFingerprint', () => {
  it('changes with the place, name, host, forwards, autoStart and what comes after, and with nothing else', () => {
    const looks = { description: 'x', group: 'x', icon: 'x', color: 'red' } as const;
    const same = presetFingerprint({ ...preset, ...looks, onDemand: true });
    assert.equal(presetFingerprint(preset), same);
    const others: Preset[] = [
      { ...preset, autoStart: !preset.autoStart },
      { ...preset, afterOpen: 'browser' },
      { ...preset, afterOpen: 'copy' },
      { ...preset, terminalVariables: true },
      { ...preset, scope: { kind: 'workspace' } },
      { ...preset, scope: { kind: 'folder', folder: 'a' } },
      { ...preset, scope: { kind: 'folder', folder: 'b' } },
      { ...preset, name: 'Data' },
      { ...preset, destination: { host: 'web01' } },
      { ...preset, destination: { host: 'web01', user: 'bob', port: 22 } },
      { ...preset, forwards: [mustParseSpec('-L 5432:db:5433')] },
      { ...preset, forwards: [mustParseSpec('-L *:5432:db:5432')] },
      { ...preset, forwards: [...preset.forwards, mustParseSpec('-D 1080')] },
    ];
    assert.equal(new Set([same, ...others.map(presetFingerprint)]).size, others.length + 1);
  });
});
