import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FailureError } from '../../src/core/failure.js';
import { parsePublicLine } from '../../src/core/userKey.js';
import { readPrivateKey } from '../../src/engine/privateKey.js';
import { readKeyFile } from '../../src/engine/sshFiles.js';
import { keygen } from '../support/sshd.js';

describe('a private key', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-'))));
  after(() => rmSync(folder, { recursive: true }));

  let keys = 0;
  /** One that ssh-keygen made, and its public half. */
  const made = (...options: readonly string[]) => {
    const path = join(folder, `key-${++keys}`);
    keygen(path, ...options);
    const blob = parsePublicLine(readFileSync(`${path}.pub`, 'utf8'))!.blob;
    return { path, text: readFileSync(path, 'utf8'), blob };
  };
  const encrypted = (...options: readonly string[]) =>
    made('-t', 'ed25519', '-a', '1', '-N', 'open sesame', ...options);
  /** The same file with other bytes in it. */
  const changed = (text: string, change: (data: Buffer) => Buffer) => {
    const data = change(Buffer.from(text.replace(/-----[^-]+-----/g, ''), 'base64'));
    const lines = data.toString('base64').replace(/.{70}/g, '$&\n');
    return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
  };
  const withRounds = (text: string, rounds: number) =>
    changed(text, (data) => {
      // "bcrypt", the length of its options, the length of the salt, the salt.
      const salt = data.indexOf('bcrypt') + 6 + 4;
      data.writeUInt32BE(rounds, salt + 4 + data.readUInt32BE(salt));
      return data;
    });

  for (const cipher of ['aes256-ctr', 'aes256-gcm@openssh.com', 'aes128-gcm@openssh.com', 'aes192-cbc', '3des-cbc'])
    it(`is opened where it is encrypted with ${cipher}, and says when the passphrase is wrong`, () => {
      const { text, blob } = encrypted('-Z', cipher);
      assert.equal(readPrivateKey(text, undefined).kind, 'encrypted');
      assert.equal(readPrivateKey(text, 'wrong').kind, 'wrongPassphrase');
      assert.equal(readPrivateKey(text, '').kind, 'wrongPassphrase');
      const opened = readPrivateKey(text, 'open sesame');
      assert.ok(opened.kind === 'key');
      assert.deepEqual(opened.key.publicBlob, blob);
    });

  it('says at once that its cipher or derivation is unknown, before anybody is asked for a passphrase', () => {
    const name = 'chacha20-poly1305@openssh.com';
    const { text } = encrypted('-Z', name);
    for (const passphrase of [undefined, 'open sesame', 'wrong'])
      assert.deepEqual(readPrivateKey(text, passphrase), { kind: 'cipherUnknown', name });
    const other = changed(encrypted().text, (data) => {
      data.write('scrypt', data.indexOf('bcrypt'));
      return data;
    });
    assert.deepEqual(readPrivateKey(other, undefined), { kind: 'cipherUnknown', name: 'scrypt' });
  });

  it('is not opened where that takes for ever', () => {
    const { text } = encrypted();
    assert.equal(readPrivateKey(withRounds(text, 256), undefined).kind, 'encrypted');
    for (const rounds of [257, 0xffff_ffff])
      for (const passphrase of [undefined, 'open sesame'])
        assert.deepEqual(readPrivateKey(withRounds(text, rounds), passphrase), { kind: 'tooMuchWork' });
  });

  it('is no key where it is damaged, rather than one with a wrong passphrase', () => {
    const { text } = encrypted();
    const longer = changed(text, (data) => Buffer.concat([data, Buffer.alloc(4)]));
    assert.equal(readPrivateKey(longer, 'open sesame').kind, 'invalid');
    assert.equal(readPrivateKey(withRounds(text, 0), 'open sesame').kind, 'invalid');
  });

  it('tells what OpenSSL can’t decrypt from a wrong passphrase', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const whole = privateKey.export({ format: 'der', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'open sesame' });
    const pem = (der: Buffer) =>
      `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
    assert.equal(readPrivateKey(pem(whole), undefined).kind, 'encrypted');
    assert.equal(readPrivateKey(pem(whole), 'wrong').kind, 'wrongPassphrase');
    assert.equal(readPrivateKey(pem(whole), 'open sesame').kind, 'key');
    const unknown = Buffer.from(whole);
    // The last byte of aes256-CBC's object identifier (RFC 3565).
    unknown[unknown.indexOf(Buffer.from('60864801650304012a', 'hex')) + 8] = 0x7f;
    assert.deepEqual(readPrivateKey(pem(unknown), 'open sesame'), { kind: 'cipherUnknown', name: '' });
  });

  for (const options of [['ed25519'], ['ecdsa', '-b', '521'], ['rsa', '-b', '2048']])
    it(`is the same again without its passphrase: ${options.join(' ')}`, () => {
      const { text, blob } = made('-a', '1', '-N', 'open sesame', '-t', ...options);
      const opened = readPrivateKey(text, 'open sesame');
      assert.ok(opened.kind === 'key');
      const again = readPrivateKey(opened.key.pem(), undefined);
      assert.ok(again.kind === 'key');
      assert.deepEqual(again.key.publicBlob, blob);
    });

  it('is not read where others can read the user’s own file', async function () {
    if (process.getuid === undefined) this.skip();
    const { path, text } = made('-t', 'ed25519');
    chmodSync(path, 0o640);
    await assert.rejects(
      readKeyFile(path),
      (error) => error instanceof FailureError && error.failure.kind === 'keyUnprotected',
    );
    chmodSync(path, 0o600);
    assert.equal(await readKeyFile(path), text);
  });

  it('is read where it is another owner’s, who may let this user’s group read it', async function () {
    // Only root can give a file away.
    if (process.getuid?.() !== 0) this.skip();
    const path = join(folder, 'of another');
    writeFileSync(path, 'a key');
    chmodSync(path, 0o640);
    chownSync(path, 1000, 0);
    assert.equal(await readKeyFile(path), 'a key');
  });
});
