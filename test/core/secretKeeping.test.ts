import assert from 'node:assert/strict';
import type { EngineEvent } from '../../src/core/engine.js';
import {
  keepAfterEvent,
  keepAnswer,
  lastTick,
  nothingKept,
  secretName,
  type SecretAsk,
  isPasswordRound,
  isSecretAsk,
} from '../../src/core/secretKeeping.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const passphrase = (attempt: number, connection = 'web01'): SecretAsk => ({
  id: `${connection}#${attempt}`,
  connection,
  kind: 'passphrase',
  path: '/id',
  attempt,
});
const password: SecretAsk = {
  id: 'web01#9',
  connection: 'web01',
  kind: 'password',
  user: 'alice',
  host: '10.0.0.5',
  port: 22,
  attempt: 1,
};
const connecting = (connection = 'web01'): EngineEvent => ({ kind: 'connecting', connection, attempt: 1 });
const connected = (connection = 'web01'): EngineEvent => ({ kind: 'connected', connection, server: 'alice@10.0.0.5' });

/** A window: sees events, gets answers, and tells what it stored. */
function createKeeper() {
  let keeping = nothingKept;
  const stored: (readonly [string, string])[] = [];
  const see = (...events: EngineEvent[]) => {
    for (const event of events) {
      const after = keepAfterEvent(keeping, event);
      keeping = after.keeping;
      stored.push(...after.toStore);
    }
  };
  return {
    see,
    stored,
    ask(ask: SecretAsk, secret: string, remember: boolean) {
      see({ kind: 'asked', ask });
      keeping = keepAnswer(keeping, ask, { secret, remember });
    },
    tick: (ask: SecretAsk) => lastTick(keeping, ask),
    get kept() {
      return keeping;
    },
  };
}

describe('the keeping of secrets', () => {
  it('stores a ticked secret once its connection is up, and once only', () => {
    const keeper = createKeeper();
    keeper.see(connecting());
    keeper.ask(passphrase(1), 'right', true);
    assert.deepEqual(keeper.stored, []);
    keeper.see(connected(), connected());
    assert.deepEqual(keeper.stored, [['passphrase:/id', 'right']]);
    assert.equal(keeper.kept.size, 0);
  });

  it('stores nothing without the tick', () => {
    const keeper = createKeeper();
    keeper.see(connecting());
    keeper.ask(passphrase(1), 'right', false);
    keeper.see(connected());
    assert.deepEqual(keeper.stored, []);
  });

  it('forgets a ticked wrong answer when it asks again, and keeps the tick', () => {
    const keeper = createKeeper();
    keeper.see(connecting());
    keeper.ask(passphrase(1), 'wrong', true);
    keeper.see({ kind: 'asked', ask: passphrase(2) });
    assert.equal(keeper.tick(passphrase(2)), true);
    keeper.see(connected());
    assert.deepEqual(keeper.stored, []);
  });

  it('takes the last answer and its tick', () => {
    const unticked = createKeeper();
    unticked.ask(passphrase(1), 'wrong', true);
    unticked.ask(passphrase(2), 'right', false);
    assert.equal(unticked.tick(passphrase(3)), false);
    unticked.see(connected());
    assert.deepEqual(unticked.stored, []);
    const ticked = createKeeper();
    ticked.ask(passphrase(1), 'wrong', false);
    ticked.ask(passphrase(2), 'right', true);
    ticked.see(connected());
    assert.deepEqual(ticked.stored, [['passphrase:/id', 'right']]);
  });

  it('stores each of several secrets of a login', () => {
    const keeper = createKeeper();
    keeper.ask(passphrase(1), 'of the key', true);
    keeper.ask(password, 'of alice', true);
    keeper.see(connected());
    assert.deepEqual(keeper.stored, [
      ['passphrase:/id', 'of the key'],
      ['password:alice@10.0.0.5:22', 'of alice'],
    ]);
    assert.equal(secretName(password), 'password:alice@10.0.0.5:22');
  });

  it('drops the answers of a dial that did not come up or was given up, with their ticks', () => {
    const ends: EngineEvent[] = [
      connecting(),
      { kind: 'connectionFailed', connection: 'web01', failure: { kind: 'cancelled' } },
      { kind: 'connectionLost', connection: 'web01', failure: { kind: 'cancelled' }, attempt: 1, retryAt: 0 },
      { kind: 'connectionClosed', connection: 'web01' },
      { kind: 'engineEnded', detail: 'out of memory' },
    ];
    for (const end of ends) {
      const keeper = createKeeper();
      keeper.ask(passphrase(1), 'unproven', true);
      keeper.see(end, connected());
      assert.deepEqual(keeper.stored, [], end.kind);
      assert.equal(keeper.tick(passphrase(1)), undefined, end.kind);
    }
  });

  it('leaves a secret alone when something else is asked before its connection is up', () => {
    const key = { host: 'web01', keyType: 'ssh-ed25519', fingerprint: 'SHA256:abc', art: '', known: [] };
    const spec = mustParseSpec('-L *:80:db:80');
    const keeper = createKeeper();
    keeper.ask(passphrase(1), 'right', true);
    keeper.see(
      { kind: 'asked', ask: { id: 'web01#2', connection: 'web01', kind: 'hostKey', ...key } },
      {
        kind: 'asked',
        ask: { id: 'web01#3', connection: 'web01', kind: 'openToNetwork', forward: 'f', spec, addresses: [] },
      },
      { kind: 'askSettled', id: 'web01#3' },
      connected(),
    );
    assert.deepEqual(keeper.stored, [['passphrase:/id', 'right']]);
  });

  it('keeps connections apart, also one that is called like a property of every object', () => {
    const keeper = createKeeper();
    keeper.ask(passphrase(1, '__proto__'), 'mine', true);
    keeper.ask(passphrase(1, 'web02'), 'other', true);
    keeper.see(connecting('web02'), connected('web02'), connected('constructor'));
    assert.deepEqual(keeper.stored, []);
    keeper.see(connected('__proto__'));
    assert.deepEqual(keeper.stored, [['passphrase:/id', 'mine']]);
  });
});

describe('an answer to a round of questions', () => {
  const hidden = (text: string) => [{ text, echo: false }];
  const round = (text: string, attempt = 1): SecretAsk => ({
    ...{ id: 'web01#1', connection: 'web01', kind: 'interactive', user: 'alice', host: '10.0.0.5', port: 22 },
    ...{ name: '', instruction: '', prompts: hidden(text), attempt },
  });

  it('may be kept where it is the only one, is not shown, and is a password', () => {
    for (const text of ['Password: ', 'alice@web01’s password:', 'LDAP Password'])
      assert.ok(isPasswordRound(hidden(text)), text);
    assert.ok(!isPasswordRound([{ text: 'Password: ', echo: true }]));
    assert.ok(!isPasswordRound([...hidden('Password: '), ...hidden('Code: ')]));
    assert.ok(!isPasswordRound([]));
  });

  for (const text of [
    ...[
      'Verification code: ',
      'One-time password (OATH) for alice: ',
      'One time password:',
      'OTP password: ',
      'Password + token: ',
    ],
    ...[
      'New password: ',
      'Retype new password: ',
      'Current password: ',
      '(old) password:',
      'Password expired. Change it: ',
    ],
    ...['PIN: ', 'Passcode or option (1-2): ', 'Response: ', 'Yubikey for alice: ', 'Passwort: ', ''],
  ])
    it(`is never kept for “${text}”`, () => {
      assert.ok(!isPasswordRound(hidden(text)));
      assert.ok(!isSecretAsk(round(text)));
    });

  it('is stored for this prompt of this login alone, once it was right', () => {
    assert.ok(isSecretAsk(round('Password: ')));
    assert.equal(secretName(round('Password: ')), 'interactive:alice@10.0.0.5:22 Password:');
    const keeper = createKeeper();
    keeper.ask(round('Password: '), 'wrong', true);
    keeper.ask(round('Password: ', 2), 'right', true);
    keeper.see(connected());
    assert.deepEqual(keeper.stored, [['interactive:alice@10.0.0.5:22 Password:', 'right']]);
  });
});
