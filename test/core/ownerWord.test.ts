import assert from 'node:assert/strict';
import type { Failure } from '../../src/core/failure.js';
import { forwardIdentity, parseOwnerWord, printOwnerWord } from '../../src/core/ownerWord.js';
import type { HostRequest } from '../../src/core/plan.js';
import type { TunnelState } from '../../src/core/snapshot.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const lost: Failure = { kind: 'connectionLost', host: 'web01', reason: 'keepalive' };
const bound = [
  { kind: 'tcp', address: '127.0.0.1', port: 5432 },
  { kind: 'unix', path: '/run/db.sock' },
] as const;

describe('what the window with a tunnel says of it', () => {
  const states: readonly (readonly [TunnelState, unknown])[] = [
    [{ kind: 'connecting' }, { kind: 'connecting' }],
    // A question is put in the window that asks.
    [
      {
        kind: 'connecting',
        ask: { kind: 'passphrase', id: '1', connection: 'web01', path: '/home/ann/.ssh/id', attempt: 1 },
      },
      { kind: 'connecting' },
    ],
    [
      { kind: 'ready', bound, unbound: [], asked: 'machine', access: 'machine' },
      { kind: 'ready', bound, unbound: [], asked: 'machine', access: 'machine' },
    ],
    [
      { kind: 'ready', bound, unbound: [lost], asked: 'network', access: 'unknown', refused: lost, isIdle: true },
      { kind: 'ready', bound, unbound: [lost], asked: 'network', access: 'unknown', refused: lost, isIdle: true },
    ],
    [
      { kind: 'retrying', failure: lost, attempt: 3, retryAt: 1_800_000_000_000 },
      { kind: 'retrying', failure: lost, attempt: 3, retryAt: 1_800_000_000_000 },
    ],
    [
      { kind: 'retrying', failure: lost, attempt: 3 },
      { kind: 'retrying', failure: lost, attempt: 3 },
    ],
    [
      { kind: 'failed', failure: lost },
      { kind: 'failed', failure: lost },
    ],
  ];
  for (const [state, word] of states)
    it(`is heard as it was said: ${JSON.stringify(state).slice(0, 70)}`, () => {
      const line = printOwnerWord(state);
      assert.ok(!line.includes('\n'));
      assert.deepEqual(parseOwnerWord(line), word);
    });

  const none = [
    '',
    'connecting',
    'null',
    '[]',
    '{}',
    '{"kind":"stopped"}',
    '{"kind":"ready"}',
    '{"kind":"ready","bound":[{"kind":"tcp","address":"::1","port":0}],"unbound":[],"asked":"user","access":"user"}',
    '{"kind":"ready","bound":[],"unbound":[],"asked":"anybody","access":"user"}',
    '{"kind":"retrying","failure":null,"attempt":1}',
    '{"kind":"retrying","failure":{"kind":"cancelled"},"attempt":-1}',
    '{"kind":"failed"}',
    '{"kind":"failed","failure":{"kind":"nothingOfThisVersion"}}',
    '{"kind":"failed","failure":{"kind":"constructor"}}',
    // Its words want more than that.
    '{"kind":"failed","failure":{"kind":"authFailed"}}',
  ];
  for (const text of none)
    it(`is nothing that is not said so: ${text}`, () => assert.equal(parseOwnerWord(text), undefined));
});

describe('the identity of a forward', () => {
  const spec = mustParseSpec('-L 5432:db:5432');
  const host: HostRequest = { destination: { host: 'web01' }, options: [] };
  const same = (other: HostRequest, text = '-L 5432:db:5432') =>
    forwardIdentity(host, spec) === forwardIdentity(other, mustParseSpec(text));

  it('is the same however it is written', () => {
    assert.ok(same(host, '-L5432:db:5432'));
    assert.ok(same({ options: [], destination: { host: 'web01' } }));
  });

  it('is another one for another way there, file, option or forward', () => {
    assert.ok(!same({ ...host, destination: { host: 'web01', port: 2222 } }));
    assert.ok(!same({ ...host, destination: { host: 'web01', user: 'ann' } }));
    assert.ok(!same({ ...host, configFile: '/home/ann/config' }));
    assert.ok(!same({ ...host, options: [['Port', '22']] }));
    // Resolved without Match exec.
    assert.ok(!same({ ...host, fromWorkspace: true }));
    assert.ok(!same(host, '-L 5433:db:5432'));
    assert.ok(!same(host, '-L *:5432:db:5432'));
    assert.ok(!same(host, '-R 5432:db:5432'));
  });
});
