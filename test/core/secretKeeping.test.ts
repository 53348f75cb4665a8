import assert from 'node:assert/strict';
import type { EngineEvent } from '../../src/core/engine.js';
import {
  keepAfterEvent,
  keepAnswer,
  lastTick,
  nothingKept,
  secretNames,
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
  keepAs: secretNames.passphrase('/id'),
});
const login = { user: 'alice', host: '10.0.0.5', port: 22, hostKey: 'SHA256:abc' };
const password: SecretAsk = {
  id: 'web01#9',
  connection: 'web01',
  kind: 'password',
  user: 'alice',
  host: '10.0.0.5',
  port: 22,
  attempt: 1,
  keepAs: secretNames.password(login),
};
const connecting = (connection = 'web01'): EngineEvent => ({ kind: 'connecting', connection, attempt: 1 });
/** Without names: all that this file asks for was right. */
const connected = (connection = 'web01', proven?: readonly string[]): EngineEvent => ({
  kind: 'connected',
  connection,
  server: 'alice@10.0.0.5',
  proven: proven ?? ['passphrase:/id', secretNames.password(login), secretNames.round(login, 'Password:')],
});

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
      ['password:alice@10.0.0.5:22 SHA256:abc', 'of alice'],
    ]);
  });

  it('stores nothing that the engine does not tell to be right, when another method lets the user in', () => {
    const keeper = createKeeper();
    for (const attempt of [1, 2, 3]) keeper.ask(passphrase(attempt), 'wrong', true);
    keeper.ask(password, 'right', true);
    keeper.see(connected('web01', [password.keepAs]));
    assert.deepEqual(keeper.stored, [[password.keepAs, 'right']]);
    keeper.ask(passphrase(1), 'wrong', true);
    keeper.see({ kind: 'connected', connection: 'web01', server: 'alice@10.0.0.5' });
    assert.equal(keeper.stored.length, 1);
  });

  it('names a password by the server’s key, since an address may be another machine’s', () => {
    const names = ['SHA256:abc', 'SHA256:def'].flatMap((hostKey) => [
      secretNames.password({ ...login, hostKey }),
      secretNames.round({ ...login, hostKey }, 'Password: '),
    ]);
    assert.equal(new Set(names).size, 4);
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
  const hidden = (text: string, name = '', instruction = '') => ({
    name,
    instruction,
    prompts: [{ text, echo: false }],
  });
  const round = (text: string, attempt = 1): SecretAsk => ({
    ...{ id: 'web01#1', connection: 'web01', kind: 'interactive', user: 'alice', host: '10.0.0.5', port: 22 },
    ...{ ...hidden(text), attempt, keepAs: secretNames.round(login, text) },
  });

  it('may be kept where it is the only one, is not shown, and is a password', () => {
    for (const text of ['Password: ', 'password', 'alice@web01’s password:', 'Password for alice@web01:'])
      assert.ok(isPasswordRound(hidden(text)), text);
    for (const name of ['Password Authentication', 'Keyboard-interactive', 'SSH', 'PAM authentication'])
      assert.ok(isPasswordRound(hidden('Password:', name)), name);
    assert.ok(isPasswordRound(hidden('Password:', '', 'Using keyboard-interactive authentication.')));
    const [prompt] = hidden('Password: ').prompts;
    assert.ok(!isPasswordRound({ ...hidden(''), prompts: [{ text: 'Password: ', echo: true }] }));
    assert.ok(!isPasswordRound({ ...hidden(''), prompts: [prompt!, { text: 'Code: ', echo: false }] }));
    assert.ok(!isPasswordRound({ ...hidden(''), prompts: [] }));
  });

  for (const text of [
    ...['Verification code: ', 'One-time password (OATH) for alice: ', 'One time password:', 'OTP password: '],
    ...['Password + token: ', 'New password: ', 'Retype new password: ', 'Current password: ', '(old) password:'],
    ...['Password expired. Change it: ', 'PIN: ', 'Passcode or option (1-2): ', 'Response: ', 'Yubikey for alice: '],
    ...['Password (RSA SecurID): ', 'Einmalpassword:', 'Duo password:', 'Password 2:', 'SMS password', 'PIN+password'],
    ...['Password displayed on your device:', 'Second password:', 'Temporary password', 'Mobile password:'],
    ...['Password for token:', 'Duo’s password:', 'LDAP Password', 'Passwort: ', ''],
  ])
    it(`is never kept for “${text}”`, () => assert.ok(!isPasswordRound(hidden(text))));

  it('is never kept where the words around the prompt may mean a code', () => {
    for (const words of ['Second factor', 'RSA SecurID', 'Enter the code of your device', 'Your password has expired'])
      for (const [name, instruction] of [
        [words, ''],
        ['', words],
      ] as const)
        // prettier-ignore
        assert.ok(!isPasswordRound(hidden('Password:', name, instruction)), words);
  });

  it('is stored where the engine says so, once it was right', () => {
    const { keepAs, ...unnamed } = round('Password: ');
    assert.ok(isSecretAsk(round('Password: ')));
    assert.ok(!isSecretAsk(unnamed));
    assert.equal(keepAs, 'interactive:alice@10.0.0.5:22 SHA256:abc Password:');
    const keeper = createKeeper();
    keeper.ask(round('Password: '), 'wrong', true);
    keeper.ask(round('Password: ', 2), 'right', true);
    keeper.see(connected());
    assert.deepEqual(keeper.stored, [[keepAs, 'right']]);
  });
});
