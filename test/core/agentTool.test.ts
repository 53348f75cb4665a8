import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  agentList,
  agentTunnel,
  decideOpen,
  openPrompt,
  refusalOf,
  type AgentWorld,
} from '../../src/core/agentTool.js';
import { printSpec } from '../../src/core/forwardSpec.js';
import { parsePresets, presetTunnels, type PresetScope } from '../../src/core/preset.js';
import { tunnelId } from '../../src/core/session.js';
import { askedAccess } from '../../src/core/wording.js';

const presetsOf = (value: unknown, scope: PresetScope) => parsePresets(value, scope).presets;
const presets = [
  ...presetsOf([{ name: 'Theirs', host: 'web02', forwards: ['-L 8080:localhost:80'] }], { kind: 'workspace' }),
  ...presetsOf(
    [
      {
        name: 'Billing DB',
        host: '-J bastion ann@web01',
        forwards: ['-L 5432:db:5432', '-D 1080'],
        description: 'secret',
      },
      { name: 'Wide', host: 'web01', forwards: ['-L 5432:db:5432', '-L *:80:db:80'] },
      { name: 'Back', host: 'web01', forwards: ['-R 8080:localhost:3000', '-L /tmp/a.sock:db:5432'] },
      { name: 'Asked', host: 'web01', forwards: ['-L ${input:port}:db:5432'] },
    ],
    { kind: 'user' },
  ),
];
const world: AgentWorld = { hosts: ['web01', 'web02', '*.lan'], presets, trusted: true };
const reasonOf = (input: unknown, given = world) => {
  const decision = decideOpen(input, given);
  return decision.ok ? 'opens' : decision.reason;
};

describe('what a language model may open', () => {
  for (const [forward, spec] of [
    ['5432', '-L localhost:5432:localhost:5432'],
    ['-L 5000:db:5432', '-L localhost:5000:db:5432'],
    ['-L 127.0.0.1:5000:db:5432', '-L 127.0.0.1:5000:db:5432'],
    ['-L [::1]:5000:db:5432', '-L [::1]:5000:db:5432'],
    ['-L auto:/run/db.sock', '-L localhost:auto:/run/db.sock'],
    ['-D 1080', '-D localhost:1080'],
  ] as const)
    it(`is a forward of loopback to a host of ssh_config: ${forward}`, () => {
      const decision = decideOpen({ host: 'web01', forward }, world);
      assert.ok(decision.ok && decision.open.kind === 'forward', JSON.stringify(decision));
      assert.deepEqual(decision.open.tunnel.destination, { host: 'web01' });
      assert.equal(printSpec(decision.open.tunnel.spec), spec);
    });

  for (const host of [
    'web03',
    'WEB01',
    ' web01',
    'web01 ',
    'ann@web01',
    'web01:22',
    'ssh://web01',
    '-J web02 web01',
    '-oProxyCommand=x web01',
    '-oProxyCommand=x',
    'web01 -J web02',
    '*.lan',
    'a.lan',
    '',
  ])
    it(`is no host but by its very name: ${JSON.stringify(host)}`, () =>
      assert.match(reasonOf({ host, forward: '5432' }), /is not a host of ssh_config|^Give either/));

  for (const [forward, reason] of [
    ['-L *:5000:db:5432', /opens nothing to the network/],
    ['-L 0.0.0.0:5000:db:5432', /opens nothing to the network/],
    ['-L 192.0.2.7:5000:db:5432', /opens nothing to the network/],
    ['-L :5000:db:5432', /opens nothing to the network/],
    ['-D *:1080', /opens nothing to the network/],
    ['-R 8080:localhost:3000', /opens no remote forward/],
    ['-L /tmp/a.sock:db:5432', /opens no Unix socket/],
    ['-L 5000:${HOST}:5432', /can’t have variables/],
    ['ssh -L 5000:db:5432 web01', /“ssh -L 5000:db:5432 web01”/],
    ['0', /is not a|can’t be/],
    ['9'.repeat(301), /^Give either/],
  ] as const)
    it(`is not ${forward.slice(0, 30)}`, () => assert.match(reasonOf({ host: 'web01', forward }), reason));

  it('is a preset by its very name, unless it is open to the network', () => {
    const decision = decideOpen({ preset: 'Billing DB' }, world);
    assert.ok(decision.ok && decision.open.kind === 'preset', JSON.stringify(decision));
    assert.equal(decision.open.preset.name, 'Billing DB');
    assert.equal(reasonOf({ preset: 'Theirs', host: '', forward: '' }), 'opens');
    assert.match(reasonOf({ preset: 'billing db' }), /^No preset is called “billing db”/);
    assert.match(reasonOf({ preset: 'Wide' }), /opens nothing to the network/);
    assert.match(reasonOf({ preset: 'Back out' }, { ...world, presets: presetsOf([{ name: 'Back out', host: 'web01', forwards: ['-R *:8080:localhost:3000'] }], { kind: 'user' }) }), /opens nothing to the network/); // prettier-ignore
  });

  it('is a workspace’s preset only where that is trusted', () => {
    assert.equal(reasonOf({ preset: 'Theirs' }), 'opens');
    assert.match(reasonOf({ preset: 'Theirs' }, { ...world, trusted: false }), /^This workspace is not trusted/);
    const names = (trusted: boolean) => agentList({ ...world, trusted }).presets.map(({ name }) => name);
    assert.deepEqual(names(true), ['Theirs', 'Billing DB', 'Wide', 'Back', 'Asked']);
    assert.deepEqual(names(false), ['Billing DB', 'Wide', 'Back', 'Asked']);
  });

  it('is no preset of the user’s that is about a folder of a workspace that nobody trusts', () => {
    const stored = { name: 'Of the folder', host: 'web01', forwards: ['-L ${workspaceFolder}/db.sock:db:5432'] };
    const folders = [{ name: 'shop', path: '/home/ann/shop' }];
    const given = (trusted: boolean): AgentWorld => {
      const { presets } = parsePresets([stored], { kind: 'user' }, { folders, ...(!trusted && { isUntrusted: true }) });
      return { ...world, presets, trusted };
    };
    assert.equal(reasonOf({ preset: 'Of the folder' }, given(true)), 'opens');
    assert.match(reasonOf({ preset: 'Of the folder' }, given(false)), /^This workspace is not trusted/);
    assert.deepEqual(agentList(given(false)).presets, []);
  });

  it('is judged again when a preset’s inputs have been filled', () => {
    assert.equal(refusalOf(presetTunnels(presets[1]!)), undefined);
    assert.match(refusalOf(presetTunnels(presets[2]!)) ?? '', /opens nothing to the network/);
  });

  for (const input of [
    undefined,
    null,
    'web01',
    [],
    {},
    { host: 'web01' },
    { forward: '5432' },
    { host: 1, forward: 2 },
    { preset: 'Billing DB', host: 'web01', forward: '5432' },
    { host: 'web01', forward: '5432', label: 'x' },
  ])
    it(`is not ${JSON.stringify(input)}`, () => assert.match(reasonOf(input), /^Give either a host and a forward/));

  it('is never anything but loopback of a known host, whatever it says', () => {
    const host = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('web01', 'web02') },
      fc.constantFrom('*.lan', 'ann@web01', 'web01:22', '-J web02 web01', ' web01'),
      fc.string(),
    );
    const bind = fc.constantFrom(
      '',
      '',
      'localhost:',
      '127.0.0.1:',
      '[::1]:',
      '*:',
      ':',
      '0.0.0.0:',
      '[::]:',
      '192.0.2.7:',
    );
    const listen = fc.tuple(bind, fc.constantFrom('5000', 'auto', '80', '/tmp/a.sock')).map((parts) => parts.join(''));
    const target = fc.constantFrom(':db:5432', ':[::1]:80', ':/run/db.sock', '');
    const forward = fc.oneof(
      { weight: 6, arbitrary: fc.tuple(fc.constantFrom('-L ', '-L', '-R ', '-D ', ''), listen, target) },
      fc.tuple(fc.string()),
    );
    let opened = 0;
    fc.assert(
      fc.property(host, forward, (host, parts) => {
        const decision = decideOpen({ host, forward: parts.join('') }, world);
        if (!decision.ok) return;
        opened++;
        assert.ok(decision.open.kind === 'forward' && world.hosts.includes(host), host);
        const { spec } = decision.open.tunnel;
        assert.ok(spec.kind !== 'remote' && askedAccess(spec) === 'machine', tunnelId(decision.open.tunnel));
        assert.ok(spec.listen.kind === 'tcp' && spec.listen.bind !== undefined, 'loopback is written out');
      }),
      { numRuns: 2000 },
    );
    assert.ok(opened > 100, `${opened} of them opened`);
  });
});

describe('the question before a language model opens something', () => {
  const promptOf = (input: unknown) => {
    const decision = decideOpen(input, world);
    assert.ok(decision.ok, 'it may be opened');
    return openPrompt(decision.open);
  };

  it('says what it opens, who can connect, and where it connects to', () =>
    assert.deepEqual(promptOf({ host: 'web01', forward: '5432' }), {
      title: 'Open an SSH tunnel?',
      lines: [
        'localhost:5432 on this machine → localhost:5432, as web01 sees it',
        'Who can connect: only this machine',
        'It connects to web01 over SSH with your keys.',
        'It stays open until you stop it.',
      ],
    }));

  it('says all that a preset opens, and where it is from', () =>
    assert.deepEqual(promptOf({ preset: 'Billing DB' }), {
      title: 'Start the preset “Billing DB”?',
      lines: [
        'The preset “Billing DB” from your user settings',
        'localhost:5432 on this machine → db:5432, as -J bastion ann@web01 sees it',
        'Who can connect: only this machine',
        'localhost:1080 on this machine → SOCKS proxy, as -J bastion ann@web01 sees the network',
        'Who can connect: only this machine',
        'It connects to -J bastion ann@web01 over SSH with your keys.',
        'It stays open until you stop it.',
      ],
    }));

  it('says what else than a forward of loopback the user has written in a preset', () => {
    const { lines } = promptOf({ preset: 'Back' });
    assert.ok(lines.includes('localhost:8080 on web01 → localhost:3000, as this machine sees it'), lines.join('\n'));
    assert.ok(lines.includes('/tmp/a.sock on this machine → db:5432, as web01 sees it'), lines.join('\n'));
  });

  it('says that a preset’s inputs will be asked for', () => {
    const { lines } = promptOf({ preset: 'Asked' });
    assert.ok(lines.includes('-L ${input:port}:db:5432'), lines.join('\n'));
    assert.ok(lines.includes('You will be asked for its inputs.'), lines.join('\n'));
  });
});

describe('what a language model is told', () => {
  it('is the hosts by name, and presets without their descriptions', () => {
    const list = agentList(world);
    assert.deepEqual(list.hosts, ['web01', 'web02']);
    assert.equal(JSON.stringify(list).includes('secret'), false);
    assert.deepEqual(list.presets[4], { name: 'Asked', host: 'web01', forwards: ['-L ${input:port}:db:5432'] });
  });

  it('is presets as they are written, and nothing that a variable stands for', () => {
    const written = { name: 'DB', host: '${env:WHO}@web01', forwards: ['-L ${input:port}:${env:DB}:5432', '-D 1080'] };
    const where = { folders: [], env: { WHO: 'ann-secret', DB: 'db.secret' }, answers: () => ({ port: '6001' }) };
    const { presets: filled } = parsePresets([written], { kind: 'user' }, where);
    assert.deepEqual(presetTunnels(filled[0]!).map(tunnelId), [
      'ann-secret@web01 -L 6001:db.secret:5432',
      'ann-secret@web01 -D 1080',
    ]);
    assert.deepEqual(agentList({ ...world, presets: filled }).presets, [written]);
    const info = {
      id: 'ann-secret@web01 -L 6001:db.secret:5432',
      label: 'localhost:6001 → db.secret:5432',
      host: 'ann-secret@web01',
      kind: 'local',
      state: 'failed',
      listen: [],
      target: 'db.secret:5432',
      failure: { code: 'channelRefused', message: 'db.secret:5432 refused the connection' },
    };
    const told = { preset: 'DB', kind: 'local', state: 'failed', listen: [], failure: { code: 'channelRefused' } };
    assert.deepEqual(agentTunnel(info, filled), told);
    const other = { ...info, id: 'web01 -L 6001:db:5432' };
    assert.equal(agentTunnel(other, filled), other);
  });
});
