import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseHostCertificate } from '../../src/core/hostCertificate.js';
import { parseRevokedKeys, revocationOf } from '../../src/core/keyRevocationList.js';
import { hasOpenSsh } from '../support/openSsh.js';

describe('a list of revoked keys', () => {
  let folder: string;
  const file = (name: string) => join(folder, name);
  const keygen = (...args: string[]) => execFileSync('ssh-keygen', ['-q', ...args]);
  const blobOf = (name: string) => Buffer.from(readFileSync(file(name), 'utf8').split(' ')[1]!, 'base64');
  /** A key revocation list of these lines (ssh-keygen(1), KEY REVOCATION LISTS). */
  const makeList = (lines: readonly string[], authority?: string) => {
    writeFileSync(file('spec'), lines.map((line) => `${line}\n`).join(''));
    keygen('-k', '-f', file('krl'), ...(authority === undefined ? [] : ['-s', file(`${authority}.pub`)]), file('spec'));
    return readFileSync(file('krl'));
  };
  const certificates: Record<string, { authority: string; serial: bigint; id: string }> = {};

  before(function () {
    if (!hasOpenSsh) this.skip();
    this.timeout(60_000);
    folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-revoked-'));
    for (const name of ['one', 'two', 'caOne', 'caTwo'])
      keygen('-t', 'ed25519', '-N', '', '-C', name, '-f', file(name));
    keygen('-t', 'rsa', '-N', '', '-C', 'a comment', '-f', file('rsa'));
    const add = (authority: string, serial: bigint, id: string) => {
      const name = `${authority}-${serial}-${id}`;
      keygen('-s', file(authority), '-h', '-n', 'web01', '-I', id, '-z', String(serial), file('one.pub'));
      writeFileSync(file(name), readFileSync(file('one-cert.pub')));
      certificates[name] = { authority, serial, id };
    };
    for (const authority of ['caOne', 'caTwo'])
      for (const serial of [0n, 1n, 2n, 5n, 7n, 100n, 1000n, (1n << 63n) + 5n, (1n << 64n) - 1n])
        add(authority, serial, serial === 7n ? 'seven' : 'host');
  });
  after(() => folder && rmSync(folder, { recursive: true }));

  /** What ssh-keygen -Q says of it, and what we say. */
  const compare = (data: Buffer, names: readonly string[], what: string) => {
    writeFileSync(file('list'), data);
    const revoked = parseRevokedKeys(data);
    assert.ok(revoked, what);
    for (const name of names) {
      const asked = spawnSync('ssh-keygen', ['-Q', '-f', file('list'), file(name)], { encoding: 'utf8' });
      const theirs = /REVOKED/.test(asked.stdout);
      assert.equal(asked.status, theirs ? 1 : 0, asked.stderr);
      const blob = blobOf(name);
      const certificate = parseHostCertificate(blob);
      const ours = revocationOf(revoked, certificate?.plainKey ?? blob, certificate);
      assert.equal(ours !== undefined, theirs, `${name} in ${what}: ${ours}`);
    }
    return revoked;
  };

  it('revokes what ssh-keygen -Q calls revoked', function () {
    this.timeout(120_000);
    const all = ['one.pub', 'two.pub', 'rsa.pub', 'caOne.pub', ...Object.keys(certificates)];
    const lists: [lines: string[], authority?: string][] = [
      [['serial: 5'], 'caOne'],
      [['serial: 1-7'], 'caOne'],
      [['serial: 1', 'serial: 2', 'serial: 5', 'serial: 7', 'serial: 9', 'serial: 12'], 'caTwo'],
      [['serial: 100', 'serial: 1000', 'serial: 5000-9000'], 'caOne'],
      [[`serial: ${(1n << 63n) + 1n}-${(1n << 64n) - 1n}`], 'caOne'],
      [['id: seven'], 'caOne'],
      [['id: seven', 'id: nobody', 'serial: 1'], 'caTwo'],
      [['serial: 2'], 'none'],
      [[`key: ${readFileSync(file('two.pub'), 'utf8').trim()}`]],
      [[`key: ${readFileSync(file('one.pub'), 'utf8').trim()}`]],
      [[`key: ${readFileSync(file('caTwo.pub'), 'utf8').trim()}`]],
      [[`sha1: ${readFileSync(file('rsa.pub'), 'utf8').trim()}`]],
      [[`sha256: ${readFileSync(file('one.pub'), 'utf8').trim()}`]],
      [[readFileSync(file('caOne-5-host'), 'utf8').trim()]],
      [[]],
    ];
    for (const [lines, authority] of lists) {
      // A list for certificates of any authority is asked for by an authority that does not exist.
      const data =
        authority === 'none'
          ? (writeFileSync(file('spec'), `${lines.join('\n')}\n`),
            keygen('-k', '-f', file('krl'), '-s', 'none', file('spec')),
            readFileSync(file('krl')))
          : makeList(lines, authority);
      compare(data, all, `${lines.join('; ')} by ${authority}`);
    }
  });

  it('may be a text of public keys', () => {
    const [one, two, rsa] = ['one', 'two', 'rsa'].map((name) => readFileSync(file(`${name}.pub`), 'utf8'));
    const certificate = readFileSync(file('caOne-5-host'), 'utf8');
    const revokedIn = (text: string) => {
      const revoked = parseRevokedKeys(Buffer.from(text))!;
      return ['one.pub', 'two.pub', 'rsa.pub', 'caOne-5-host'].map((name) => {
        const certificate = parseHostCertificate(blobOf(name));
        return revocationOf(revoked, certificate?.plainKey ?? blobOf(name), certificate) ?? 'good';
      });
    };
    assert.deepEqual(revokedIn(`# revoked\n\n${one}  ${rsa}`), ['key', 'good', 'key', 'key']);
    assert.deepEqual(revokedIn(two!.replace('\n', '\r\n')), ['good', 'key', 'good', 'good']);
    assert.deepEqual(revokedIn(''), ['good', 'good', 'good', 'good']);
    assert.deepEqual(revokedIn(readFileSync(file('caOne.pub'), 'utf8')), ['good', 'good', 'good', 'authority']);
    assert.deepEqual(revokedIn(certificate), ['key', 'good', 'good', 'key']);
  });

  it('can’t be read where ssh can’t read it', () => {
    const one = readFileSync(file('one.pub'), 'utf8').trim();
    const list = makeList(['serial: 1-7', 'id: seven'], 'caOne');
    const broken: Record<string, Buffer> = {
      'a word': Buffer.from('nonsense\n'),
      'a key cut off': Buffer.from(`${one.slice(0, 50)}\n`),
      'a key of another type': Buffer.from(`${one.replace('ssh-ed25519', 'ssh-rsa')}\n`),
      'a good key and a bad one': Buffer.from(`${one}\nssh-ed25519 AAAA\n`),
      'a list cut off': list.subarray(0, -1),
      'a list with more behind it': Buffer.concat([list, Buffer.of(0)]),
      'a list of another version': Buffer.concat([list.subarray(0, 11), Buffer.of(2), list.subarray(12)]),
    };
    for (const [what, data] of Object.entries(broken)) {
      assert.equal(parseRevokedKeys(data), undefined, what);
      writeFileSync(file('broken'), data);
      // It reads no texts.
      if (what.startsWith('a list'))
        assert.notEqual(spawnSync('ssh-keygen', ['-Q', '-f', file('broken'), file('two.pub')]).status, 0, what);
    }
  });

  it('of random or damaged bytes never throws, and is not read where it is cut off', () => {
    const list = makeList(['serial: 1-7', 'serial: 9', 'id: seven'], 'caOne');
    const magic = list.subarray(0, 44);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(list.length - 1), fc.nat(255), (bytes, at, byte) => {
        parseRevokedKeys(Buffer.from(bytes));
        parseRevokedKeys(Buffer.concat([magic, bytes]));
        const changed = Buffer.from(list);
        changed[at] = byte;
        parseRevokedKeys(changed);
      }),
      { numRuns: 3000 },
    );
    for (let length = 45; length < list.length; length++)
      assert.equal(parseRevokedKeys(list.subarray(0, length)), undefined, `${length} bytes`);
  });
});
