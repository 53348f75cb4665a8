import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { notAccepted, orderIdentities, type Identity, type IdentitySources } from '../../src/core/identityOrder.js';
import { puttyPublicBlob, readPuttyKey } from '../../src/core/puttyKey.js';
import { parsePublicLine, readUserKey, signatureAlgorithm, wantsSha1, type UserKey } from '../../src/core/userKey.js';
import { wireStrings, wireUint32 } from '../../src/core/wire.js';

const ed25519 = (fill: number) => wireStrings('ssh-ed25519', Buffer.alloc(32, fill));
const rsa = wireStrings('ssh-rsa', Buffer.of(1, 0, 1), Buffer.alloc(257, 1));

/** OpenSSH PROTOCOL.certkeys, with an authority and signature that nobody checks here. */
function certificateOf(type: string, fields: readonly Buffer[], kind: number): Buffer {
  const eight = Buffer.alloc(8);
  const end = wireStrings('', '', '', wireStrings('ssh-ed25519', Buffer.alloc(32)), wireStrings('ssh-ed25519', Buffer.alloc(64))); // prettier-ignore
  const start = wireStrings(`${type}-cert-v01@openssh.com`, Buffer.alloc(32), ...fields);
  return Buffer.concat([start, eight, wireUint32(kind), wireStrings('id', wireStrings('ann')), eight, eight, end]);
}

function key(blob: Buffer): UserKey {
  const read = readUserKey(blob);
  assert.ok(read);
  return read;
}

describe('a key to log in with', () => {
  it('is read with its type, and a certificate with the key that it is of', () => {
    assert.deepEqual(readUserKey(ed25519(1)), { blob: ed25519(1), type: 'ssh-ed25519', plain: ed25519(1) });
    const certificate = certificateOf('ssh-ed25519', [Buffer.alloc(32, 1)], 1);
    assert.deepEqual(readUserKey(certificate), {
      blob: certificate,
      type: 'ssh-ed25519',
      plain: ed25519(1),
      certificate: 'user',
    });
    assert.equal(readUserKey(certificateOf('ssh-ed25519', [Buffer.alloc(32, 1)], 2))?.certificate, 'host');
    const securityKey = certificateOf('sk-ssh-ed25519', [Buffer.alloc(32, 1), Buffer.from('ssh:')], 1);
    assert.deepEqual(
      readUserKey(securityKey)?.plain,
      wireStrings('sk-ssh-ed25519@openssh.com', Buffer.alloc(32, 1), 'ssh:'),
    );
  });

  it('is none where bytes are missing, left over, or of another type', () => {
    const whole = certificateOf('ssh-ed25519', [Buffer.alloc(32, 1)], 1);
    for (let length = 0; length < whole.length; length++)
      assert.equal(readUserKey(whole.subarray(0, length)), undefined);
    assert.equal(readUserKey(Buffer.concat([ed25519(1), Buffer.of(0)])), undefined);
    assert.equal(readUserKey(certificateOf('ssh-ed25519', [Buffer.alloc(32, 1)], 3)), undefined);
    assert.equal(readUserKey(wireStrings('ssh-dss', ...['p', 'q', 'g', 'y'])), undefined);
    assert.equal(readUserKey(wireStrings('__proto__', 'x')), undefined);
  });

  it('never throws, whatever its bytes', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (bytes, text) => {
        readUserKey(Buffer.from(bytes));
        readUserKey(Buffer.concat([wireStrings('ssh-rsa-cert-v01@openssh.com'), bytes]));
        parsePublicLine(text);
        parsePublicLine(`ssh-ed25519 ${Buffer.from(bytes).toString('base64')}`);
      }),
    ));

  it('stands on the first line of a .pub that is no comment, under its own name', () => {
    const encoded = ed25519(7).toString('base64');
    assert.deepEqual(parsePublicLine(`# mine\n\nssh-ed25519 ${encoded} ann@home\n`)?.blob, ed25519(7));
    assert.equal(parsePublicLine(`ssh-rsa ${encoded}`), undefined);
    assert.equal(parsePublicLine('ssh-ed25519'), undefined);
    assert.equal(parsePublicLine('ssh-ed25519 ***'), undefined);
  });

  const both = ['rsa-sha2-256', 'rsa-sha2-512'];
  const algorithms: [title: string, blob: Buffer, accepted: string[] | undefined, server: string[] | undefined, expected: [string, string] | undefined][] = [
    ['ed25519 as itself', ed25519(1), undefined, undefined, ['ssh-ed25519', 'ssh-ed25519']],
    ['no key that is not accepted', ed25519(1), ['rsa-sha2-512'], undefined, undefined],
    ['RSA with SHA-512 first', rsa, undefined, both, ['rsa-sha2-512', 'rsa-sha2-512']],
    ['RSA in the user’s order', rsa, both, both, ['rsa-sha2-256', 'rsa-sha2-256']],
    ['RSA with what the server takes', rsa, undefined, ['rsa-sha2-256'], ['rsa-sha2-256', 'rsa-sha2-256']],
    ['RSA with SHA-512 where the server says nothing', rsa, undefined, undefined, ['rsa-sha2-512', 'rsa-sha2-512']],
    ['no RSA with SHA-1', rsa, ['ssh-rsa'], ['ssh-rsa'], undefined],
    ['no RSA for a server that has SHA-1 alone', rsa, undefined, ['ssh-rsa'], undefined],
    ['a certificate of RSA under its own name', certificateOf('ssh-rsa', [Buffer.of(1, 0, 1), Buffer.alloc(257, 1)], 1), undefined, both, ['rsa-sha2-512-cert-v01@openssh.com', 'rsa-sha2-512']],
    ['no certificate where only its key is accepted', certificateOf('ssh-ed25519', [Buffer.alloc(32, 1)], 1), ['ssh-ed25519'], undefined, undefined],
    ['a certificate of a security key', certificateOf('sk-ssh-ed25519', [Buffer.alloc(32, 1), Buffer.from('ssh:')], 1), undefined, undefined, ['sk-ssh-ed25519-cert-v01@openssh.com', 'sk-ssh-ed25519@openssh.com']],
  ]; // prettier-ignore
  for (const [title, blob, accepted, server, expected] of algorithms)
    it(`signs: ${title}`, () => {
      const [offered, signature] = expected ?? [];
      assert.deepEqual(
        signatureAlgorithm(key(blob), accepted, server),
        expected && { offered: offered!, signature: signature! },
      );
    });
});

describe('the order of identities', () => {
  const [a, b, c, d] = [1, 2, 3, 4].map((fill) => key(ed25519(fill))) as [UserKey, UserKey, UserKey, UserKey];
  const certificate = (fill: number, kind = 1) => key(certificateOf('ssh-ed25519', [Buffer.alloc(32, fill)], kind));
  const order = (sources: Partial<IdentitySources>) =>
    orderIdentities({ files: [], certificates: [], agent: [], identitiesOnly: false, accepted: undefined, ...sources });
  const names = (identities: readonly Identity[]) =>
    identities.map((one) => (one.kind === 'agent' ? one.comment : one.path));

  it('is certificates by name, keys of the agent that a file names, other keys of the agent, files', () => {
    const sources = {
      files: [{ path: 'fa', key: a }, { path: 'fb', key: b }, { path: 'unknown' }],
      certificates: [{ path: 'certificate', key: certificate(1) }],
      agent: [
        { key: c, comment: 'c' },
        { key: b, comment: 'b' },
        { key: d, comment: 'd' },
      ],
    };
    assert.deepEqual(names(order(sources)), ['certificate', 'b', 'c', 'd', 'fa', 'unknown']);
    assert.deepEqual(names(order({ ...sources, identitiesOnly: true })), ['certificate', 'b', 'fa', 'unknown']);
  });

  it('keeps the agent’s own order among the keys that files name', () => {
    const files = [
      { path: 'fa', key: a },
      { path: 'fb', key: b },
    ];
    const agent = [
      { key: b, comment: 'b' },
      { key: a, comment: 'a' },
    ];
    assert.deepEqual(names(order({ files, agent })), ['b', 'a']);
  });

  it('has a key’s own certificate behind the key, and not where CertificateFile names others', () => {
    const files = [{ path: 'fa', key: a, certificate: { path: 'fa-cert.pub', key: certificate(1) } }];
    assert.deepEqual(order({ files }), [
      { kind: 'file', path: 'fa', key: a },
      { kind: 'certificate', path: 'fa-cert.pub', key: certificate(1), keyPath: 'fa' },
    ]);
    assert.deepEqual(names(order({ files, certificates: [{ path: 'other', key: certificate(2) }] })), ['other', 'fa']);
  });

  it('has nothing twice, no host’s certificate, and nothing that is not accepted', () => {
    const agent = [
      { key: a, comment: 'a' },
      { key: a, comment: 'again' },
      { key: certificate(1, 2), comment: 'host' },
      { key: key(rsa), comment: 'rsa' },
    ];
    assert.deepEqual(names(order({ agent, accepted: ['ssh-ed25519'] })), ['a']);
  });
});

describe('what is left out', () => {
  it('is each named key and certificate that PubkeyAcceptedAlgorithms does not have', () => {
    const [a, b] = [key(ed25519(1)), key(rsa)];
    const signed = key(certificateOf('ssh-ed25519', [Buffer.alloc(32, 1)], 1));
    const sources = {
      files: [{ path: 'fa', key: a }, { path: 'fb', key: b }, { path: 'unknown' }],
      certificates: [{ path: 'certificate', key: signed }],
      agent: [{ key: b, comment: 'b' }],
      identitiesOnly: false,
    };
    const names = (accepted: readonly string[] | undefined) =>
      notAccepted({ ...sources, accepted }).map(({ path }) => path);
    assert.deepEqual(names(undefined), []);
    assert.deepEqual(names(['ssh-ed25519']), ['certificate', 'fb']);
    assert.deepEqual(names(['ssh-ed25519-cert-v01@openssh.com', 'rsa-sha2-256']), ['fa']);
  });

  const sha1: [
    title: string,
    blob: Buffer,
    accepted: string[] | undefined,
    server: string[] | undefined,
    is: boolean,
  ][] = [
    ['an option that has it alone', rsa, ['ssh-rsa', 'ssh-ed25519'], undefined, true],
    ['a server that has it alone', rsa, undefined, ['ssh-rsa', 'ssh-dss'], true],
    ['an option that has SHA-2, too', rsa, ['ssh-rsa', 'rsa-sha2-256'], undefined, false],
    ['a server that takes no RSA', rsa, undefined, ['ssh-ed25519'], false],
    ['a key of another type', ed25519(1), ['ssh-rsa'], undefined, false],
  ];
  for (const [title, blob, accepted, server, is] of sha1)
    it(`${is ? 'is' : 'is not'} RSA with SHA-1 for ${title}`, () =>
      assert.equal(wantsSha1(key(blob), accepted, server), is));
});

describe('a key of PuTTY', () => {
  const folder = join(import.meta.dirname, '../support/putty');
  const text = (name: string) => readFileSync(join(folder, `${name}.ppk`), 'utf8');
  const all = ['ed25519', 'nistp256', 'nistp384', 'nistp521', 'rsa'].flatMap((type) => [`${type}-2`, `${type}-3`]);

  for (const name of all)
    it(`is read in the form of ${name}, encrypted and not`, () => {
      const expected = parsePublicLine(readFileSync(join(folder, `${name.slice(0, -2)}.pub`), 'utf8'))!.blob;
      const open = readPuttyKey(text(name), undefined);
      const closed = readPuttyKey(text(`${name}-encrypted`), 'open sesame');
      assert.ok(open.kind === 'key' && closed.kind === 'key');
      assert.deepEqual([open.publicBlob, closed.publicBlob], [expected, expected]);
      assert.deepEqual(closed.privateBlob.subarray(0, open.privateBlob.length), open.privateBlob);
      assert.deepEqual(puttyPublicBlob(text(`${name}-encrypted`)), expected);
    });

  it('wants a passphrase, and the right one', () => {
    for (const name of ['nistp256-2-encrypted', 'nistp256-3-encrypted']) {
      assert.equal(readPuttyKey(text(name), undefined).kind, 'encrypted');
      assert.equal(readPuttyKey(text(name), 'wrong').kind, 'wrongPassphrase');
    }
  });

  it('is read with the line ends of Windows', () =>
    assert.equal(readPuttyKey(text('rsa-3').replaceAll('\n', '\r\n'), undefined).kind, 'key'));

  it('is none where anything of it was changed', () => {
    const whole = text('ed25519-3');
    for (const [found, instead] of [
      ['Comment: a', 'Comment: b'],
      ['Encryption: none', 'Encryption: aes256-cbc'],
      [/Private-MAC: .*/, 'Private-MAC: 00'],
      [/Private-MAC: .*/, ''],
      ['Private-Lines: 1', 'Private-Lines: 9999'],
      ['ssh-ed25519', 'ssh-rsa'],
      ['PuTTY-User-Key-File-3', 'PuTTY-User-Key-File-4'],
    ] as const) {
      const changed = whole.replace(found, instead);
      assert.notEqual(changed, whole);
      assert.equal(readPuttyKey(changed, undefined).kind, 'invalid', String(found));
    }
  });

  it('is not opened where it asks for more memory or time than any key needs, or for what nobody knows', () => {
    const whole = text('nistp256-3-encrypted');
    const rows = [
      ['Argon2-Memory', '9999999999', { kind: 'tooMuchWork' }],
      ['Argon2-Memory', '65537', { kind: 'tooMuchWork' }],
      ['Argon2-Passes', '1048577', { kind: 'tooMuchWork' }],
      ['Argon2-Parallelism', '0', { kind: 'invalid' }],
      ['Argon2-Parallelism', '1025', { kind: 'invalid' }],
      ['Argon2-Salt', 'xx', { kind: 'invalid' }],
      ['Key-Derivation', 'Argon3', { kind: 'cipherUnknown', name: 'Argon3' }],
      ['Encryption', 'aes512-cbc', { kind: 'cipherUnknown', name: 'aes512-cbc' }],
    ] as const;
    for (const [name, value, expected] of rows)
      for (const passphrase of [undefined, 'open sesame'])
        assert.deepEqual(
          readPuttyKey(whole.replace(new RegExp(`^${name}: .*`, 'm'), `${name}: ${value}`), passphrase),
          expected,
          `${name} ${value}`,
        );
  });

  it('never throws, whatever stands in it', () =>
    fc.assert(
      fc.property(fc.nat(2000), fc.string({ maxLength: 5 }), (at, text) => {
        const whole = readFileSync(join(folder, 'rsa-2.ppk'), 'utf8');
        const changed = `${whole.slice(0, at)}${text}${whole.slice(at + text.length)}`;
        readPuttyKey(changed, 'x');
      }),
    ));
});
