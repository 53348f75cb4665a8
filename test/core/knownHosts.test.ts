import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  fingerprint,
  judgeHostKey,
  matchesHost,
  orderKeyTypes,
  parseKnownHosts,
  planUpdate,
  printKnownHost,
  sharedLine,
  withoutLines,
  type KnownHost,
} from '../../src/core/knownHosts.js';
import { knownHostsCommand } from '../../src/core/knownHostsCommand.js';
import { blobType } from '../../src/core/publicKey.js';
import { askEach, hasOpenSsh, run } from '../support/openSsh.js';

/** A key's blob as on the wire: its strings, the type first. */
function blobOf(type: string, ...strings: Buffer[]): Buffer {
  return Buffer.concat(
    [Buffer.from(type), ...strings].flatMap((text) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(text.length);
      return [length, text];
    }),
  );
}

const ed25519 = (fill: number) => blobOf('ssh-ed25519', Buffer.alloc(32, fill));
const rsa = blobOf('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.alloc(257, 7));
const line = (hosts: string, blob: Buffer) => `${hosts} ${blobType(blob)} ${blob.toString('base64')}`;

describe('parseKnownHosts', () => {
  const key = ed25519(1).toString('base64');
  const entry = { file: 'f', hosts: 'web01', keyType: 'ssh-ed25519', key };
  const table: [string, string, Partial<KnownHost> | undefined][] = [
    ['a plain line', `web01 ssh-ed25519 ${key}`, {}],
    ['a comment behind the key', `web01 ssh-ed25519 ${key} ann@home # x`, {}],
    ['blanks and tabs between the words', ` \tweb01\t ssh-ed25519  ${key} `, {}],
    ['a line end of Windows', `web01 ssh-ed25519 ${key}\r`, {}],
    ['a list of hosts as it is', `web01,!db,* ssh-ed25519 ${key}`, { hosts: 'web01,!db,*' }],
    ['a revoked key', `@revoked web01 ssh-ed25519 ${key}`, { marker: 'revoked' }],
    ['an authority', `@cert-authority web01 ssh-ed25519 ${key}`, { marker: 'cert-authority' }],
    ['nothing in an unknown marker', `@trusted web01 ssh-ed25519 ${key}`, undefined],
    ['nothing in two markers', `@revoked @revoked web01 ssh-ed25519 ${key}`, undefined],
    ['nothing in a comment', `#web01 ssh-ed25519 ${key}`, undefined],
    ['nothing in a line without a key', 'web01 ssh-ed25519', undefined],
    ['nothing in a key cut off', `web01 ssh-ed25519 ${key.slice(0, 40)}`, undefined],
    ['nothing in a key cut off behind its type', `web01 ssh-ed25519 ${key.slice(0, 20)}`, undefined],
    ['nothing in a key with more behind it', `web01 ssh-ed25519 ${key}AAAA`, undefined],
    ['nothing in a key with a foreign character', `web01 ssh-ed25519 ${key.slice(0, 30)}!${key.slice(30)}`, undefined],
    ['nothing in a key of another type', `web01 ssh-rsa ${key}`, undefined],
    ['nothing in an empty line', '', undefined],
  ];
  for (const [what, text, found] of table)
    it(`reads ${what}`, () =>
      assert.deepEqual(parseKnownHosts(`\n${text}\n`, 'f'), found ? [{ ...entry, line: 2, ...found }] : []));

  it('reads RSA keys by the names of their algorithms, and numbers with zeroes before them, as ssh does', () => {
    const padded = blobOf('ssh-rsa', Buffer.from([0, 1, 0, 1]), Buffer.concat([Buffer.of(0, 0), Buffer.alloc(257, 7)]));
    for (const [type, blob] of [
      ['rsa-sha2-256', rsa],
      ['rsa-sha2-512', rsa],
      ['ssh-rsa', padded],
      ['ssh-rsa', blobOf('rsa-sha2-512', Buffer.from([1, 0, 1]), Buffer.alloc(257, 7))],
    ] as const)
      for (const marker of ['', '@revoked ', '@cert-authority '])
        assert.deepEqual(
          parseKnownHosts(`${marker}web01 ${type} ${blob.toString('base64')}`, 'f').map(({ keyType, key }) => [keyType, key]),
          [['ssh-rsa', rsa.toString('base64')]],
        ); // prettier-ignore
    assert.deepEqual(parseKnownHosts(`web01 rsa-sha2-512 ${key}`, 'f'), []);
  });

  it('passes over blanks that are none to the words of a line, as ssh does', () => {
    for (const text of [`${key}\v`, `${key.slice(0, 9)}\f${key.slice(9)}`, `${key.slice(0, 9)}\r${key.slice(9)}`, `${key}\0A`])
      assert.deepEqual(parseKnownHosts(`@revoked web01 ssh-ed25519 ${text}`, 'f'), [{ ...entry, line: 1, marker: 'revoked' }]); // prettier-ignore
  });

  it('counts every line', () => {
    const text = ['# known', line('a', ed25519(1)), 'garbage', line('b', rsa)].join('\r\n');
    assert.deepEqual(
      parseKnownHosts(text, 'f').map(({ hosts, line }) => [hosts, line]),
      [
        ['a', 2],
        ['b', 4],
      ],
    );
  });
});

describe('matchesHost', () => {
  const table: [string, string, boolean][] = [
    ['web01', 'web01', true],
    ['WEB01', 'web01', true],
    ['web01', 'Web01', true],
    ['web01', 'web012', false],
    ['web01', '[web01]:22', false],
    ['[web01]:2222', '[web01]:2222', true],
    ['[web01]:2222', 'web01', false],
    ['db,web01', 'web01', true],
    ['web*', 'web01', true],
    ['*', 'anything', true],
    ['w?b01', 'web01', true],
    ['w?b01', 'wb01', false],
    ['web0[12]', 'web01', false],
    ['*.example.com', 'web01.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*,!web01', 'web01', false],
    ['!web01,*', 'web01', false],
    ['*,!web01', 'web02', true],
    ['!web01', 'web02', false],
    ['', 'web01', false],
    [',', 'web01', false],
    ['|1|x', 'web01', false],
    ['|2|AAAA|AAAA', 'web01', false],
  ];
  for (const [hosts, name, matches] of table)
    it(`${matches ? 'finds' : 'does not find'} ${name} by “${hosts}”`, () =>
      assert.equal(matchesHost(hosts, name), matches));

  it('is not stalled by a pattern of many stars', () => {
    const started = performance.now();
    assert.equal(matchesHost(`${'*a'.repeat(500)}b`, 'a'.repeat(5000)), false);
    assert.ok(performance.now() - started < 1000);
  });
});

describe('judgeHostKey', () => {
  const known = ed25519(1);
  const other = ed25519(2);
  const names = { name: 'web01', principal: 'web01' };
  const judge = (text: string, blob = known) => judgeHostKey(parseKnownHosts(text, 'f'), names, { plain: blob }, 0);
  const entry = (line: number, blob: Buffer, more: Partial<KnownHost> = {}): KnownHost => ({
    file: 'f',
    line,
    hosts: 'web01',
    keyType: blobType(blob),
    key: blob.toString('base64'),
    ...more,
  });

  it('knows a key that a line has', () =>
    assert.deepEqual(judge(line('web01', known)), { kind: 'known', entry: entry(1, known), isExact: true }));

  it('knows a key among several of its type', () =>
    assert.equal(judge(`${line('web01', other)}\n${line('web01', known)}`).kind, 'known'));

  it('does not know a host without lines', () =>
    assert.deepEqual(judge(line('db', known)), { kind: 'unknown', authorities: [] }));

  it('sees another key of the same type as changed, with its line', () =>
    assert.deepEqual(judge(`# x\n${line('web01', other)}`), { kind: 'changed', entry: entry(2, other) }));

  it('sees a key of another type as changed, as ssh does, but names the line of its own type', () => {
    assert.deepEqual(judge(line('web01', rsa)), { kind: 'changed', entry: entry(1, rsa) });
    assert.deepEqual(judge(`${line('web01', rsa)}\n${line('web01', other)}`), {
      kind: 'changed',
      entry: entry(2, other),
    });
  });

  it('lets a revocation count before a line that has the key, wherever it stands', () => {
    const revoked = (line: number) => ({
      kind: 'revoked',
      entry: entry(line, known, { hosts: '*', marker: 'revoked' }),
      isAuthority: false,
    });
    assert.deepEqual(judge(`${line('web01', known)}\n@revoked ${line('*', known)}`), revoked(2));
    assert.deepEqual(judge(`\n@revoked ${line('*', known)}\n${line('web01', known)}`), revoked(2));
  });

  it('leaves other keys and hosts alone when one is revoked', () => {
    assert.equal(judge(`@revoked ${line('web01', other)}\n${line('web01', known)}`).kind, 'known');
    assert.equal(judge(`@revoked ${line('db', known)}\n${line('web01', known)}`).kind, 'known');
    assert.deepEqual(judge(`@revoked ${line('web01', other)}`), { kind: 'unknown', authorities: [] });
  });

  it('does not take an authority’s key for the host’s own', () =>
    assert.deepEqual(judge(`@cert-authority ${line('*', known)}`), {
      kind: 'unknown',
      authorities: [entry(1, known, { hosts: '*', marker: 'cert-authority' })],
    }));

  it('knows a key on another port by the host alone, as ssh does, but sees no change there', () => {
    const onPort = (text: string) => {
      const names = { name: '[web01]:2222', bare: 'web01', principal: 'web01' };
      const verdict = judgeHostKey(parseKnownHosts(text, 'f'), names, { plain: known }, 0);
      return verdict.kind === 'known' ? `known ${verdict.isExact ? 'exactly' : 'by the host'}` : verdict.kind;
    };
    assert.equal(onPort(line('web01', known)), 'known by the host');
    assert.equal(onPort(line('[web01]:2222', known)), 'known exactly');
    assert.equal(onPort(line('web01', other)), 'unknown');
    assert.equal(onPort(`@revoked ${line('web01', known)}`), 'revoked');
    assert.equal(onPort(`${line('web01', known)}\n${line('[web01]:2222', other)}`), 'changed');
  });

  it('keeps a host with another port apart', () => assert.equal(judge(line('[web01]:2222', other)).kind, 'unknown'));

  it('takes what KnownHostsCommand prints for the exact name alone', () => {
    const printed = (text: string) => parseKnownHosts(text, knownHostsCommand);
    const names = { name: '[web01]:2222', bare: 'web01', principal: 'web01' };
    const judge = (text: string) => judgeHostKey([], names, { plain: known }, 0, undefined, printed(text)).kind;
    assert.equal(judge(line('[web01]:2222', known)), 'known');
    assert.equal(judge(line('[web01]:2222', other)), 'changed');
    assert.equal(judge(`@revoked ${line('*', known)}`), 'revoked');
    assert.equal(judge(line('web01', known)), 'unknown');
  });

  it('never knows a key that is not there, whatever the file holds', () => {
    const words = fc.constantFrom(`\n${line('web01', other)}\n`, ...line('web01', other).split(' '), '*', 'web01', '@revoked', '@cert-authority', '\n', '\r\n', ' ', '#', known.toString('base64').slice(0, -4)); // prettier-ignore
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.array(words, { maxLength: 30 }).map((parts) => parts.join(' ')),
    );
    const verdicts = new Set<string>();
    fc.assert(
      fc.property(texts, fc.uint8Array(), (text, bytes) => {
        for (const blob of [known, Buffer.from(bytes)]) {
          const { kind } = judge(text, blob);
          verdicts.add(kind);
          assert.ok(kind === 'changed' || kind === 'unknown', kind);
        }
      }),
      { numRuns: 2000 },
    );
    assert.deepEqual([...verdicts].sort(), ['changed', 'unknown']);
  });
});

describe('orderKeyTypes', () => {
  const plain = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa'];
  const certificates = plain.map((type) => `${type}-cert-v01@openssh.com`);
  const order = (text: string, bare?: string) =>
    orderKeyTypes(parseKnownHosts(text, 'f'), { name: bare ? `[${bare}]:2222` : 'web01', ...(bare && { bare }) });

  it('puts the types of a host’s own keys first, so that it does not look new', () => {
    assert.deepEqual(order(line('web01', rsa)).slice(0, 2), ['ssh-rsa', 'ssh-ed25519']);
    assert.deepEqual(order(line('web01', rsa), 'web01').slice(0, 2), ['ssh-rsa', 'ssh-ed25519']);
    for (const text of ['', line('db', rsa), `@revoked ${line('web01', rsa)}`])
      assert.deepEqual(order(text), [...plain, ...certificates]);
  });

  it('puts certificates first where the host has an authority', () => {
    const text = `${line('web01', rsa)}\n@cert-authority ${line('*', ed25519(1))}`;
    assert.deepEqual(order(text), [...certificates, 'ssh-rsa', ...plain.slice(0, 4)]);
  });
});

describe('UpdateHostKeys', () => {
  const [old, kept, fresh] = [ed25519(1), rsa, ed25519(3)];
  const plan = (text: string, wanted: Buffer[], name = 'web01', address?: string, named = wanted) =>
    planUpdate(parseKnownHosts(text, 'f'), name, address, named, wanted);
  const text = [line('web01', old), line('web01', kept), line('db', ed25519(9))].join('\n');

  it('adds what is new and removes what is gone', () => {
    const update = plan(text, [kept, fresh]);
    assert.deepEqual(update?.added, [fresh]);
    assert.deepEqual(
      update?.removed.map(({ line }) => line),
      [1],
    );
  });

  it('keeps what the server named, though it is not wanted', () => {
    const update = plan(text, [fresh], 'web01', undefined, [old, kept, fresh]);
    assert.deepEqual(update, { added: [fresh], removed: [] });
    assert.equal(plan(text, [kept], 'web01', undefined, [old, kept, fresh]), undefined);
  });

  const untouched: [string, string, Buffer[], string?][] = [
    ['nothing is new', text, [old, kept]],
    ['nothing is wanted', text, []],
    ['the host is not known', text, [fresh], 'other'],
    ['a line has a pattern', `${line('web*', old)}`, [fresh]],
    ['a line has another name', `${line('web01,db', old)}`, [fresh]],
    ['a revocation holds for it', `${text}\n@revoked ${line('web01', ed25519(8))}`, [kept, fresh]],
    ['an authority holds for it', `${text}\n@cert-authority ${line('*', ed25519(8))}`, [kept, fresh]],
    ['a new key is known by another name', `${text}\n${line('alias', fresh)}`, [kept, fresh]],
    ['an old key is known by another name', `${text}\n${line('alias', old)}`, [kept, fresh]],
  ];
  for (const [what, text, proved, name] of untouched)
    it(`changes nothing where ${what}`, () => assert.equal(plan(text, proved, name), undefined));

  it('takes the address beside the name, where CheckHostIP counts it in', () => {
    assert.equal(plan(line('web01,192.0.2.7', old), [fresh]), undefined);
    assert.equal(plan(line('web01,192.0.2.7', old), [fresh], 'web01', '192.0.2.7')?.removed.length, 1);
  });

  it('tells which line ssh-keygen -R would take from other hosts, too', () => {
    const found = (text: string, address?: string) => sharedLine(parseKnownHosts(text, 'f'), 'web01', address, 'f');
    assert.deepEqual(found(`${line('web01', old)}\n${line('web*', kept)}`), { line: 2, hosts: 'web*' });
    assert.deepEqual(found(line('WEB01,db', old)), { line: 1, hosts: 'WEB01,db' });
    assert.deepEqual(found(line('web01,192.0.2.7', old)), { line: 1, hosts: 'web01,192.0.2.7' });
    assert.equal(found(line('WEB01,192.0.2.7', old), '192.0.2.7'), undefined);
    assert.equal(
      found(`@revoked ${line('*', old)}\n@cert-authority ${line('*', old)}\n${line('db*', old)}`),
      undefined,
    );
    assert.equal(found(printKnownHost('web01', old, Buffer.alloc(20, 1))), undefined);
  });

  it('takes lines out and leaves the rest byte for byte', () => {
    assert.equal(withoutLines('a\r\nb\n\n# c\nd', new Set([2, 5])), 'a\r\n\n# c\n');
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '\n', '\r') }), (text) => {
        assert.equal(withoutLines(text, new Set()), text);
      }),
    );
  });
});

describe('known_hosts beside ssh-keygen', () => {
  let folder: string;
  let publicKeys: string[];
  const inFolder = (name: string) => join(folder, name);

  before(function () {
    if (!hasOpenSsh) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-known-'));
    publicKeys = ['ed25519', 'ecdsa', 'rsa'].map((type) => {
      spawnSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'a comment', '-f', inFolder(type)]);
      return readFileSync(inFolder(`${type}.pub`), 'utf8').trim();
    });
  });
  after(() => folder && rmSync(folder, { recursive: true }));

  const blobIn = (publicKey: string) => Buffer.from(publicKey.split(' ')[1]!, 'base64');

  it('prints the fingerprint that ssh-keygen -l prints', async () => {
    for (const [index, type] of ['ed25519', 'ecdsa', 'rsa'].entries()) {
      const { stdout } = await run('ssh-keygen', ['-lf', inFolder(`${type}.pub`)]);
      assert.equal(fingerprint(blobIn(publicKeys[index]!)), stdout.split(' ')[1]);
    }
  });

  it('prints lines that ssh-keygen -F finds, plain and hashed', async () => {
    const names = ['web01', 'WEB01', '192.0.2.7', '::1', '[web01]:2222', '[::1]:2222'];
    for (const [index, name] of names.entries())
      for (const salt of [undefined, Buffer.alloc(20, index + 1)]) {
        const printed = printKnownHost(name, blobIn(publicKeys[0]!), salt);
        assert.equal(printed.includes(name.toLowerCase()), salt === undefined);
        const file = inFolder('printed');
        writeFileSync(file, printed);
        const { stdout } = await run('ssh-keygen', ['-F', name.toLowerCase(), '-f', file]);
        assert.equal(stdout, `# Host ${name.toLowerCase()} found: line 1 \n${printed}`);
        const [entry] = parseKnownHosts(printed, file);
        assert.ok(entry && matchesHost(entry.hosts, name));
      }
  });

  it('finds the lines that ssh-keygen finds in random files', async function () {
    this.timeout(60_000);
    const names = ['web01', 'db', 'web01.example.com', '192.0.2.7', '::1', '[web01]:2222', '[192.0.2.7]:22'];
    writeFileSync(inFolder('hashed'), names.map((name) => `${name} ${publicKeys[0]}\n`).join(''));
    spawnSync('ssh-keygen', ['-H', '-f', inFolder('hashed')]);
    const hashed = readFileSync(inFolder('hashed'), 'utf8').trim().split('\n');
    assert.ok(hashed.length === names.length && hashed.every((text) => text.startsWith('|1|')));

    const pattern = fc.constantFrom(...names, 'WEB01', 'web*', 'w?b01', '*', '*.example.com', '[web*]:2222', '192.0.2.*', 'web0[1]', '', '?', '*:*', 'ü'); // prettier-ignore
    const hosts = fc
      .array(fc.tuple(fc.constantFrom('', '', '', '!'), pattern), { minLength: 1, maxLength: 3 })
      .map((patterns) => patterns.map((parts) => parts.join('')).join(','));
    const publicKey = fc.constantFrom(...publicKeys);
    const damaged = fc
      .tuple(publicKey, fc.nat(100), fc.constantFrom('', '!', ' ', '=', 'A', '\v', '\f'))
      .map(([key, at, put]) => {
        const cut = key.length - 9 - 1 - at;
        return put === '' ? key.slice(0, cut) : key.slice(0, cut) + put + key.slice(cut);
      });
    const key = fc.oneof(
      { weight: 6, arbitrary: publicKey },
      { weight: 1, arbitrary: damaged },
      { weight: 1, arbitrary: publicKey.map((text) => text.replace(/^\S+/, 'ssh-rsa')) },
      { weight: 1, arbitrary: publicKey.map((text) => text.replace(/^\S+/, 'rsa-sha2-512')) },
      { weight: 1, arbitrary: fc.constantFrom('', 'ssh-ed25519', 'ssh-ed25519 AAAA', '1024 35 123456789') },
    );
    const marker = fc.constantFrom('', '', '', '', '', '@revoked ', '@cert-authority ', '@revoked  ', '@other ', '@');
    const blanks = fc.constantFrom(' ', ' ', '\t', '  ');
    const fileLine = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.tuple(fc.constantFrom('', '', ' ', '#'), marker, hosts, blanks, key).map((parts) => parts.join('')), // prettier-ignore
      },
      { weight: 2, arbitrary: fc.constantFrom(...hashed) },
      { weight: 1, arbitrary: fc.constantFrom('', '  ', '# a comment', 'garbage', '|1|x|y ssh-ed25519 AAAA') },
    );
    const files = fc.record({
      name: fc.constantFrom(...names),
      text: fc.tuple(fc.array(fileLine, { minLength: 4, maxLength: 12 }), fc.constantFrom('\n', '\n', '\r\n')).map(([lines, end]) => lines.map((text) => text + end).join('')), // prettier-ignore
    });

    const seed = Number(process.env['SSH_TUNNELS_SEED'] ?? Date.now() % 2 ** 31);
    const asked = fc
      .sample(files, { numRuns: Number(process.env['SSH_TUNNELS_SPECS'] ?? 300), seed })
      .map((file, index) => ({ ...file, index }));
    // -l makes ssh-keygen read the keys, too: without it a line with a broken key is found.
    const theirs = await askEach(asked, async ({ name, text, index }) => {
      writeFileSync(inFolder(`known${index}`), text);
      const { stdout } = await run('ssh-keygen', ['-l', '-F', name, '-f', inFolder(`known${index}`)]);
      return [...stdout.matchAll(/^# Host .* found: line (\d+) ?(\w*)$/gm)].map(([, line, marker]) => `${line} ${marker}`); // prettier-ignore
    });
    const word = { revoked: 'REVOKED', 'cert-authority': 'CA', none: '' };
    let found = 0;
    for (const [index, { name, text }] of asked.entries()) {
      const ours = parseKnownHosts(text, 'f').filter(({ hosts }) => matchesHost(hosts, name));
      assert.deepEqual(
        ours.map(({ line, marker }) => `${line} ${word[marker ?? 'none']}`),
        theirs[index],
        `SSH_TUNNELS_SEED=${seed}: ${name} in ${JSON.stringify(text)}`,
      );
      found += ours.length;
    }
    assert.ok(found > asked.length / 3, `${found} lines were found`);
  });
});
