import assert from 'node:assert/strict';
import type { Ask } from '../../src/core/engine.js';
import type { Preset } from '../../src/core/preset.js';
import { consentPrompt, hostKeyPrompt, secretPrompt, waitingText } from '../../src/core/prompt.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const hostKey: Ask & { kind: 'hostKey' } = {
  id: '1',
  connection: 'web01',
  kind: 'hostKey',
  host: '[10.0.0.5]:2222',
  keyType: 'ssh-ed25519',
  fingerprint: 'SHA256:abc',
  known: [],
};

describe('the words of a question', () => {
  it('name the host as typed and as known_hosts will have it, with type and fingerprint', () => {
    assert.deepEqual(hostKeyPrompt(hostKey), {
      title: 'Connect to web01 ([10.0.0.5]:2222) for the first time?',
      detail: 'It shows this ssh-ed25519 key:\nSHA256:abc\n\nCompare it with what the server’s administrator gave you.',
    });
    assert.equal(
      hostKeyPrompt({ ...hostKey, connection: 'web01', host: 'web01' }).title,
      'Connect to web01 for the first time?',
    );
  });

  it('are stronger when other keys of the host are known', () => {
    const { title, detail } = hostKeyPrompt({ ...hostKey, known: [{ keyType: 'ssh-rsa', file: '/k', line: 3 }] });
    assert.match(title, /shows a key that is not known/);
    assert.match(detail, /ssh-rsa \(line 3 of \/k\)\. Somebody may be listening in/);
  });

  it('say for what a secret is, and that the last one was wrong', () => {
    assert.deepEqual(secretPrompt({ id: '1', connection: 'web01', kind: 'passphrase', path: '/id', attempt: 1 }), {
      title: 'Passphrase of /id',
      detail: 'Unlocks the key to connect to web01.',
    });
    const password = { id: '1', connection: 'web01', kind: 'password', user: 'alice', host: '::1', port: 22 } as const;
    assert.deepEqual(secretPrompt({ ...password, attempt: 2 }), {
      title: 'Password of alice on [::1]:22',
      detail: 'The last one was wrong. Logs in to connect to web01.',
    });
  });

  it('say what still waits for an answer', () => {
    const ask = { id: '1', connection: 'web01', attempt: 1 };
    assert.equal(waitingText({ ...ask, kind: 'passphrase', path: '/id' }), 'web01 waits for the passphrase of /id.');
    assert.equal(
      waitingText({ ...ask, kind: 'password', user: 'alice', host: '10.0.0.5', port: 2222 }),
      'web01 waits for the password of alice on 10.0.0.5:2222.',
    );
  });

  it('say what a preset of the workspace opens, and for whom', () => {
    const preset: Preset = {
      name: 'DB',
      destination: { host: 'web01' },
      forwards: [mustParseSpec('-L 5432:db:5432'), mustParseSpec('-L *:80:db:80')],
      autoStart: false,
      scope: { kind: 'workspace' },
    };
    const { title, detail } = consentPrompt(preset);
    assert.equal(title, 'Start “DB” from the workspace settings?');
    assert.match(detail, /localhost:5432 on this machine → db:5432, as web01 sees it\n.*only this machine/);
    assert.match(detail, /\*:80 on this machine → db:80, as web01 sees it.*\n.*everyone on the network/);
  });
});
