import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  certificateProblem,
  isCertificate,
  parseHostCertificate,
  plainHostKey,
  type CertificateProblem,
} from '../../src/core/hostCertificate.js';
import { judgeHostKey, parseKnownHosts } from '../../src/core/knownHosts.js';
import { randomArt } from '../../src/core/randomArt.js';
import { wireStrings } from '../../src/core/wire.js';
import { hasOpenSsh } from '../support/openSsh.js';

const keyTypes: [name: string, ...args: string[]][] = [
  ['ed25519', '-t', 'ed25519'],
  ['ecdsa256', '-t', 'ecdsa', '-b', '256'],
  ['ecdsa384', '-t', 'ecdsa', '-b', '384'],
  ['ecdsa521', '-t', 'ecdsa', '-b', '521'],
  ['rsa2048', '-t', 'rsa', '-b', '2048'],
  ['rsa3071', '-t', 'rsa', '-b', '3071'],
];

describe('host certificates', () => {
  let folder: string;
  const file = (name: string) => join(folder, name);
  const blobOf = (name: string) => Buffer.from(readFileSync(file(name), 'utf8').split(' ')[1]!, 'base64');
  const keygen = (...args: string[]) => execFileSync('ssh-keygen', ['-q', ...args]);
  /** A certificate of a host's key by an authority, both of `keyTypes`. */
  const sign = (key: string, authority: string, ...args: string[]) => {
    keygen('-s', file(authority), '-I', 'an id', ...args, file(`${key}.pub`));
    return blobOf(`${key}-cert.pub`);
  };

  before(function () {
    if (!hasOpenSsh) this.skip();
    this.timeout(60_000);
    folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-certificates-'));
    for (const [name, ...args] of keyTypes) keygen(...args, '-N', '', '-C', '', '-f', file(name));
  });
  after(() => folder && rmSync(folder, { recursive: true }));

  it('are read, and their signatures checked, for each type of key and of authority', () => {
    for (const [key] of keyTypes)
      for (const [authority] of keyTypes) {
        const certificate = parseHostCertificate(sign(key, authority, '-h', '-n', 'web01,web02', '-z', '7'));
        assert.ok(certificate, `${key} by ${authority}`);
        assert.deepEqual(certificate.plainKey, blobOf(`${key}.pub`));
        assert.deepEqual(certificate.authority, blobOf(`${authority}.pub`));
        const { isSigned, isHost, keyId, serial, principals } = certificate;
        assert.deepEqual(
          { isSigned, isHost, keyId, serial, principals },
          { isSigned: true, isHost: true, keyId: 'an id', serial: 7n, principals: ['web01', 'web02'] },
        );
      }
  });

  const now = Date.UTC(2026, 2, 1);
  const table: [what: string, args: string[], problem: CertificateProblem['kind'] | undefined][] = [
    ['one for the host', ['-h', '-n', 'web01'], undefined],
    ['one for several hosts', ['-h', '-n', 'db,web01'], undefined],
    ['one that is valid now', ['-h', '-n', 'web01', '-V', '20260101:20270101'], undefined],
    ['one that has expired', ['-h', '-n', 'web01', '-V', '20250101:20260101'], 'expired'],
    ['one that is not valid yet', ['-h', '-n', 'web01', '-V', '20270101:20280101'], 'notYetValid'],
    ['one for another host', ['-h', '-n', 'db'], 'otherPrincipal'],
    ['one for another spelling', ['-h', '-n', 'WEB01'], 'otherPrincipal'],
    ['one with a pattern, which is none', ['-h', '-n', 'web*'], 'otherPrincipal'],
    ['one for no host', ['-h'], 'otherPrincipal'],
    ['one of a user', ['-n', 'web01'], 'user'],
    ['one with a condition that nobody knows', ['-h', '-n', 'web01', '-O', 'critical:x@y=1'], 'options'],
    ['one with an extension that nobody knows', ['-h', '-n', 'web01', '-O', 'extension:x@y=1'], undefined],
  ];
  for (const [what, args, problem] of table)
    it(`count or not: ${what}`, () => {
      const certificate = parseHostCertificate(sign('ed25519', 'ecdsa256', ...args))!;
      assert.equal(certificateProblem(certificate, 'web01', now)?.kind, problem);
    });

  it('end at the very second', () => {
    const certificate = parseHostCertificate(sign('ed25519', 'ed25519', '-h', '-n', 'a', '-V', '0x10:0x20'))!;
    const kinds = [15_999, 16_000, 31_999, 32_000].map((ms) => certificateProblem(certificate, 'a', ms));
    assert.deepEqual(kinds, [
      { kind: 'notYetValid', from: 16_000 },
      undefined,
      undefined,
      { kind: 'expired', until: 32_000 },
    ]);
  });

  it('are signed by what CASignatureAlgorithms allows, and never with SHA-1', () => {
    const problem = (algorithms: string[] | undefined, ...args: string[]) =>
      certificateProblem(parseHostCertificate(sign('ed25519', 'rsa2048', '-h', '-n', 'a', ...args))!, 'a', now, algorithms); // prettier-ignore
    assert.equal(problem(undefined), undefined);
    assert.equal(problem(undefined, '-t', 'rsa-sha2-256'), undefined);
    assert.deepEqual(problem(['ssh-ed25519', 'rsa-sha2-256']), { kind: 'algorithm', name: 'rsa-sha2-512' });
    const old = parseHostCertificate(sign('ed25519', 'rsa2048', '-h', '-n', 'a', '-t', 'ssh-rsa'))!;
    assert.equal(old.isSigned, false);
    assert.deepEqual(certificateProblem(old, 'a', now), { kind: 'algorithm', name: 'ssh-rsa' });
  });

  it('are judged by the authorities of known_hosts, revoked ones first', () => {
    const certificate = parseHostCertificate(sign('ed25519', 'ecdsa384', '-h', '-n', 'web01'))!;
    const line = (hosts: string, name: string) =>
      `${hosts} ${readFileSync(file(`${name}.pub`), 'utf8')
        .split(' ')
        .slice(0, 2)
        .join(' ')
        .trim()}`;
    const cert = `* ${readFileSync(file('ed25519-cert.pub'), 'utf8').split(' ').slice(0, 2).join(' ')}`;
    const judge = (...lines: string[]) => {
      const names = { name: '[web01]:2222', bare: 'web01', principal: 'web01' };
      const shown = { plain: certificate.plainKey, certificate };
      const verdict = judgeHostKey(parseKnownHosts(lines.join('\n'), 'f'), names, shown, now);
      return verdict.kind === 'revoked' && verdict.isAuthority ? 'authority revoked' : verdict.kind;
    };
    const ours = `@cert-authority ${line('web01', 'ecdsa384')}`;
    assert.equal(judge(ours), 'certified');
    assert.equal(judge(`@cert-authority ${line('*', 'ecdsa384')}`), 'certified');
    assert.equal(judge(`@cert-authority ${line('db', 'ecdsa384')}`), 'unknown');
    assert.equal(judge(`@cert-authority ${line('*', 'ecdsa256')}`), 'unknown');
    assert.equal(judge(line('web01', 'ecdsa384')), 'unknown');
    assert.equal(judge(ours, `@revoked ${line('web01', 'ecdsa384')}`), 'authority revoked');
    assert.equal(judge(ours, `@revoked ${line('*', 'ed25519')}`), 'revoked');
    assert.equal(judge(ours, `@revoked ${cert}`), 'revoked');
    assert.equal(judge(ours, line('[web01]:2222', 'ecdsa521')), 'certified');
    // The key of a certificate by a stranger is a key as any other.
    assert.equal(judge(line('[web01]:2222', 'ed25519')), 'known');
    assert.equal(judge(line('[web01]:2222', 'ecdsa521')), 'changed');
    assert.equal(judge(`@cert-authority ${cert}`), 'unknown');
  });

  it('of a known authority that do not count leave their key to be known by itself, and never to be new', () => {
    const certificate = parseHostCertificate(sign('ed25519', 'ecdsa384', '-h', '-n', 'db'))!;
    const text = (hosts: string, name: string) => `${hosts} ${readFileSync(file(`${name}.pub`), 'utf8')}`;
    const judge = (more: string) =>
      judgeHostKey(
        parseKnownHosts(`@cert-authority ${text('*', 'ecdsa384')}\n${more}`, 'f'),
        { name: 'web01', principal: 'web01' },
        { plain: certificate.plainKey, certificate },
        now,
      ).kind;
    assert.equal(judge(''), 'certificateRefused');
    assert.equal(judge(text('web01', 'ed25519')), 'known');
    assert.equal(judge(text('web01', 'rsa2048')), 'changed');
  });

  it('are refused with any bit changed, and with bytes missing or too many', function () {
    this.timeout(60_000);
    for (const key of ['ed25519', 'ecdsa256', 'rsa2048']) {
      const blob = sign(key, 'ed25519', '-h', '-n', 'web01');
      assert.equal(parseHostCertificate(blob)?.isSigned, true);
      for (let at = 0; at < blob.length; at++) {
        const changed = Buffer.from(blob);
        changed[at]! ^= 1 << (at & 7);
        assert.notEqual(parseHostCertificate(changed)?.isSigned, true, `${key}, byte ${at}`);
      }
      for (let length = 0; length < blob.length; length++)
        assert.equal(parseHostCertificate(blob.subarray(0, length)), undefined, `${key}, ${length} bytes`);
      assert.equal(parseHostCertificate(Buffer.concat([blob, Buffer.alloc(1)])), undefined);
    }
  });

  it('can’t be authorities, and plain keys are no certificates', () => {
    const blob = sign('ed25519', 'ed25519', '-h', '-n', 'web01');
    const authority = blobOf('ed25519.pub');
    const at = blob.lastIndexOf(authority) - 4;
    const chained = Buffer.concat([blob.subarray(0, at), wireStrings(blob), blob.subarray(at + 4 + authority.length)]);
    assert.equal(parseHostCertificate(chained)?.isSigned, false);
    assert.equal(parseHostCertificate(authority), undefined);
    assert.equal(plainHostKey(authority), undefined);
    assert.equal(isCertificate(authority), false);
    assert.equal(isCertificate(blob), true);
    assert.deepEqual(plainHostKey(blob), authority);
  });

  it('of random bytes never throw and are never signed', () => {
    const types = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa'].map((type) => `${type}-cert-v01@openssh.com`);
    const part = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new Uint8Array(32)), fc.constant(new Uint8Array([1, 0, 1]))); // prettier-ignore
    fc.assert(
      fc.property(
        fc.constantFrom(...types),
        fc.array(part, { maxLength: 14 }),
        fc.uint8Array(),
        (type, parts, tail) => {
          const blob = Buffer.concat([wireStrings(type, ...parts.map((bytes) => Buffer.from(bytes))), tail]);
          for (const data of [blob, Buffer.from(tail)]) assert.notEqual(parseHostCertificate(data)?.isSigned, true);
        },
      ),
      { numRuns: 3000 },
    );
  });

  describe('beside them, the picture of a key', () => {
    it('is the one that ssh-keygen -lv draws', function () {
      this.timeout(60_000);
      for (const [name, ...args] of keyTypes)
        for (let round = 0; round < 4; round++) {
          rmSync(file('art'), { force: true });
          if (name.startsWith('rsa') && round > 0) continue;
          keygen(...args, '-N', '', '-f', file('art'));
          const drawn = execFileSync('ssh-keygen', ['-lvf', file('art.pub')], { encoding: 'utf8' });
          assert.equal(randomArt(blobOf('art.pub')), drawn.trimEnd().split('\n').slice(1).join('\n'));
        }
    });

    it('is not drawn of what is no key', () => {
      fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.equal(randomArt(Buffer.from(bytes)), '')));
    });
  });
});
