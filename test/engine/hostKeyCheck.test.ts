import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reply } from '../../src/core/engine.js';
import { failureOf, type Failure } from '../../src/core/failure.js';
import { hostConfig, parseOptionLines } from '../../src/core/sshConfig.js';
import { wholeStrings } from '../../src/core/publicKey.js';
import { wireStrings } from '../../src/core/wire.js';
import { createHostKeyCheck, type HostKeyCheck, type ProveKeys, type Question } from '../../src/engine/hostKeyCheck.js';
import { keygen, publicKey } from '../support/sshd.js';

// An address that is not of loopback can't be connected to in a test; ssh leaves CheckHostIP out for all others.
const address = '192.0.2.7';

describe('a check of a host’s key', () => {
  let folder: string;
  let asked: Question[];
  let logged: string[];
  let accepted: Set<string>;
  let signal: AbortSignal;
  const keys: Record<string, { line: string; blob: Buffer }> = {};
  const file = (name: string) => join(folder, name);
  const known = () => (existsSync(file('known')) ? readFileSync(file('known'), 'utf8') : undefined);

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'host-key-check-'));
    for (const name of ['shown', 'other', 'third']) {
      keygen(file(name));
      const line = publicKey(file(`${name}.pub`));
      keys[name] = { line, blob: Buffer.from(line.split(' ')[1]!, 'base64') };
    }
  });
  beforeEach(() => {
    asked = [];
    logged = [];
    accepted = new Set();
    signal = new AbortController().signal;
    rmSync(file('known'), { force: true });
    rmSync(file('global'), { force: true });
  });
  after(() => rmSync(folder, { recursive: true }));

  async function check(
    text: string | undefined,
    options: readonly string[] = [],
    reply?: Reply,
  ): Promise<HostKeyCheck> {
    if (text !== undefined) writeFileSync(file('known'), text);
    const lines = [...options, `userknownhostsfile ${file('known')}`, `globalknownhostsfile ${file('global')}`];
    const local = { name: 'ann', home: folder, hostName: 'here', env: {}, windows: false };
    const config = hostConfig('web01', parseOptionLines(lines.join('\n')), local);
    const ask = (question: Question): Promise<Reply> => {
      asked.push(question);
      return Promise.resolve(reply ?? { kind: 'cancel' });
    };
    return createHostKeyCheck(config, ask, accepted, (line) => logged.push(line), signal);
  }
  const verdict = (made: HostKeyCheck, blob = keys['shown']!.blob, at: string | undefined = address) =>
    made.verify(blob, at).then(
      () => undefined,
      (error: unknown): Failure => failureOf(error),
    );
  const proveAll = (blobs: readonly Buffer[]) => Promise.resolve(blobs);
  const line = (hosts: string, name = 'shown') => `${hosts} ${keys[name]!.line}\n`;

  describe('with CheckHostIP', () => {
    const on = 'checkhostip yes';

    it('passes a host whose address has the same key, and stores nothing', async () => {
      const text = line('web01') + line(address);
      const made = await check(text, [on]);
      assert.equal(await verdict(made), undefined);
      await made.proven();
      assert.equal(known(), text);
    });

    it('stores the address of a known host when the key is proved, and not before', async () => {
      const made = await check(line('web01'), [on]);
      assert.equal(await verdict(made), undefined);
      assert.equal(known(), line('web01'));
      await made.proven();
      await made.proven();
      assert.equal(known(), line('web01') + line(address));
    });

    it('stores the address beside the name of a new host, or on a line of its own when hashed', async () => {
      const made = await check('', [on, 'stricthostkeychecking accept-new']);
      assert.equal(await verdict(made), undefined);
      await made.proven();
      assert.equal(known(), line(`web01,${address}`));
      const hashed = await check('', [on, 'stricthostkeychecking accept-new', 'hashknownhosts yes']);
      assert.equal(await verdict(hashed), undefined);
      await hashed.proven();
      for (const name of ['web01', address])
        assert.match(
          execFileSync('ssh-keygen', ['-F', name, '-f', file('known')], { encoding: 'utf8' }),
          /found: line/,
        );
    });

    for (const strict of ['yes', 'accept-new'])
      it(`refuses a host whose address is known with another key, where StrictHostKeyChecking is ${strict}`, async () => {
        const made = await check(line('web01') + line(address, 'other'), [on, `stricthostkeychecking ${strict}`]);
        const failure = await verdict(made);
        assert.ok(failure?.kind === 'hostAddressChanged');
        assert.deepEqual([failure.address, failure.file, failure.line], [address, file('known'), 2]);
        assert.deepEqual(asked, []);
      });

    it('asks where a person may decide, remembers nothing, and does not ask again when the key was proved', async () => {
      const text = line('web01') + line(address, 'other');
      assert.equal((await verdict(await check(text, [on])))?.kind, 'hostAddressChanged');
      const reply = { kind: 'hostKey', accept: 'once' } as const;
      const made = await check(text, [on], reply);
      assert.equal(await verdict(made), undefined);
      const [, question] = asked;
      assert.ok(question?.kind === 'hostKey');
      assert.equal(question.file, undefined);
      assert.deepEqual(question.known, [
        { kind: 'address', hosts: address, keyType: 'ssh-ed25519', file: file('known'), line: 2 },
      ]);
      await made.proven();
      assert.equal(await verdict(await check(text, [on])), undefined);
      assert.equal(asked.length, 2);
      assert.equal(known(), text);
    });

    it('only tells of it where StrictHostKeyChecking is no', async () => {
      const made = await check(line('web01') + line(address, 'other'), [on, 'stricthostkeychecking no']);
      assert.equal(await verdict(made), undefined);
      assert.match(logged.join(), /line 2 of .* has for 192\.0\.2\.7/);
    });

    it('refuses a key that is revoked for the address', async () => {
      const made = await check(`${line('web01')}@revoked ${line(address)}`, [on]);
      assert.equal((await verdict(made))?.kind, 'hostKeyRevoked');
    });

    it('is left out for loopback, through a proxy and when it is off', async () => {
      const text = line('web01') + line(`${address},127.0.0.1,::1`, 'other');
      for (const at of ['127.0.0.1', '::1', '::ffff:127.0.0.1', undefined]) {
        const made = await check(text, [on]);
        assert.equal(await made.verify(keys['shown']!.blob, at).then(() => 'good'), 'good');
      }
      assert.equal(await verdict(await check(text)), undefined);
    });

    it('takes the port into account', async () => {
      const made = await check(line('[web01]:2222') + line(`[${address}]:2222`, 'other') + line(address), [on, 'port 2222', 'stricthostkeychecking yes']); // prettier-ignore
      assert.equal((await verdict(made))?.kind, 'hostAddressChanged');
    });
  });

  it('asks with the picture, the other names of the key and the authorities of the host', async () => {
    await verdict(await check(line('web02') + line('|1|AAAA|AAAA') + `@cert-authority ${line('*', 'other')}`));
    const [question] = asked;
    assert.ok(question?.kind === 'hostKey');
    const drawn = execFileSync('ssh-keygen', ['-lvf', file('shown.pub')], { encoding: 'utf8' });
    assert.equal(drawn.trimEnd().split('\n').slice(1).join('\n'), question.art);
    const place = { keyType: 'ssh-ed25519', file: file('known') };
    assert.deepEqual(question.known, [
      { kind: 'authority', hosts: '*', ...place, line: 3 },
      { kind: 'otherName', hosts: 'web02', ...place, line: 1 },
    ]);
    assert.equal(question.visual, undefined);
    await verdict(await check('', ['visualhostkey yes']));
    assert.ok(asked[1]?.kind === 'hostKey' && asked[1].visual);
  });

  it('remembers what was accepted only when it is proved', async () => {
    const reply = { kind: 'hostKey', accept: 'remember' } as const;
    const made = await check(undefined, [], reply);
    assert.equal(await verdict(made), undefined);
    assert.equal(known(), undefined);
    assert.equal(accepted.size, 0);
    await made.proven();
    assert.equal(known(), line('web01'));
  });

  it('forgets what was accepted when another key is shown in the end', async () => {
    const made = await check('', [], { kind: 'hostKey', accept: 'remember' });
    assert.equal(await verdict(made), undefined);
    writeFileSync(file('known'), '');
    assert.equal((await verdict(made, Buffer.from('nonsense')))?.kind, 'handshakeFailed');
    await made.proven();
    assert.equal(known(), '');
  });

  it('takes no further keys of a server that a line of the system’s file, or nobody, vouches for', async () => {
    const update = 'updatehostkeys yes';
    writeFileSync(file('global'), line('web01'));
    const system = await check('', [update]);
    assert.equal(await verdict(system), undefined);
    const both = [keys['shown']!.blob, keys['third']!.blob];
    await system.named(both, proveAll);
    rmSync(file('global'));
    const stranger = await check('', [update, 'stricthostkeychecking accept-new']);
    assert.equal(await verdict(stranger), undefined);
    await stranger.proven();
    await stranger.named(both, proveAll);
    assert.equal(known(), line('web01'));
  });

  it('takes further keys of a server that a person vouches for, but asks nobody about them', async () => {
    const both = [keys['shown']!.blob, keys['third']!.blob];
    const reply = { kind: 'hostKey', accept: 'remember' } as const;
    for (const [update, lines] of [
      ['yes', line('web01') + line('web01', 'third')],
      ['ask', line('web01')],
      ['no', line('web01')],
    ]) {
      rmSync(file('known'), { force: true });
      accepted.clear();
      const made = await check(undefined, [`updatehostkeys ${update}`], reply);
      assert.equal(await verdict(made), undefined);
      await made.proven();
      await made.named(both, proveAll);
      assert.equal(known(), lines);
    }
    assert.ok(logged.some((text) => text.includes('UpdateHostKeys ask')));
    assert.equal(asked.length, 3);
  });

  describe('with UpdateHostKeys', () => {
    const [shown, other, third] = ['shown', 'other', 'third'].map((name) => () => keys[name]!.blob) as [() => Buffer, () => Buffer, () => Buffer]; // prettier-ignore
    /** What the server was asked to prove, and known_hosts then. */
    const update = async (
      named: readonly Buffer[],
      prove: ProveKeys,
      text = line('web01') + line('web01', 'other'),
    ) => {
      const made = await check(text, ['updatehostkeys yes']);
      assert.equal(await verdict(made), undefined);
      const proofs: Buffer[] = [];
      await made.named(named, (blobs) => (proofs.push(...blobs), prove(blobs)));
      return { proofs, known: known() };
    };
    const proveNone = () => Promise.resolve([]);

    it('asks for a proof of what is new alone, and keeps what the server named', async () => {
      assert.deepEqual(await update([shown(), other(), third()], proveAll), {
        proofs: [third()],
        known: line('web01') + line('web01', 'other') + line('web01', 'third'),
      });
      assert.deepEqual(await update([shown(), other()], proveNone), {
        proofs: [],
        known: line('web01') + line('web01', 'other'),
      });
    });

    it('removes what the server does not name, without a proof of the rest', async () =>
      assert.deepEqual(await update([shown()], proveNone), { proofs: [], known: line('web01') }));

    it('removes nothing where a proof is missing, but takes what was proved', async () => {
      const before = line('web01') + line('web01', 'other');
      assert.deepEqual(await update([shown(), third()], proveNone), { proofs: [third()], known: before });
      keygen(file('fourth'));
      const fourth = publicKey(file('fourth.pub'));
      const half = (blobs: readonly Buffer[]) => Promise.resolve(blobs.filter((blob) => blob.equals(third())));
      const named = [shown(), third(), Buffer.from(fourth.split(' ')[1]!, 'base64')];
      assert.equal((await update(named, half)).known, before + line('web01', 'third'));
    });

    it('keeps the line of a key that the server names twice, or that is not allowed here', async () => {
      const before = line('web01') + line('web01', 'other');
      assert.equal((await update([shown(), shown()], proveAll)).known, before);
      execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', file('rsa')]);
      const rsa = publicKey(file('rsa.pub'));
      const blob = Buffer.from(rsa.split(' ')[1]!, 'base64');
      const text = `${line('web01')}web01 ${rsa}\n`;
      for (const option of ['hostkeyalgorithms ssh-ed25519', 'requiredrsasize 3072'])
        for (const lines of [text, line('web01')]) {
          const made = await check(lines, ['updatehostkeys yes', option]);
          assert.equal(await verdict(made), undefined);
          await made.named([shown(), blob], proveAll);
          assert.equal(known(), lines);
        }
    });

    it('writes a key once where two connections learn it', async () => {
      const both = await Promise.all([check(line('web01'), ['updatehostkeys yes']), check(undefined, ['updatehostkeys yes'])]); // prettier-ignore
      for (const made of both) assert.equal(await verdict(made), undefined);
      await Promise.all(both.map((made) => made.named([shown(), third()], proveAll)));
      assert.equal(known(), line('web01') + line('web01', 'third'));
    });
  });

  it('asks once, and writes once, for two connections to the same new host', async () => {
    const reply = { kind: 'hostKey', accept: 'remember' } as const;
    const [one, later, beside] = [await check(undefined, [], reply), await check(undefined, [], reply), await check(undefined, [], reply)]; // prettier-ignore
    accepted = new Set();
    assert.equal(await verdict(beside), undefined);
    assert.equal(await verdict(one), undefined);
    await one.proven();
    await beside.proven();
    assert.equal(asked.length, 2);
    assert.equal(await verdict(later), undefined);
    await later.proven();
    assert.equal(asked.length, 2);
    assert.equal(known(), line('web01'));
  });

  it('lets StrictHostKeyChecking yes count more than what was accepted before', async () => {
    const once = await check('', [], { kind: 'hostKey', accept: 'once' });
    assert.equal(await verdict(once), undefined);
    await once.proven();
    assert.equal(await verdict(await check('')), undefined);
    const failure = await verdict(await check('', ['stricthostkeychecking yes']));
    assert.ok(failure?.kind === 'hostKeyUnknown' && failure.because === 'strict');
  });

  it('names the line that ssh-keygen -R would take from other hosts, too', async () => {
    for (const [text, shared] of [
      [line('web01', 'other'), undefined],
      [line('web01', 'other') + line('*', 'third'), { line: 2, hosts: '*' }],
      [line(`web01,${address}`, 'other'), undefined],
      [line(`web01,db01`, 'other'), { line: 1, hosts: 'web01,db01' }],
    ] as const) {
      const failure = await verdict(await check(text));
      assert.ok(failure?.kind === 'hostKeyChanged');
      assert.deepEqual(failure.shared, shared);
    }
    const made = await check(line('web01') + line(`${address},db01`, 'other'), ['checkhostip yes', 'stricthostkeychecking yes']); // prettier-ignore
    const failure = await verdict(made);
    assert.ok(failure?.kind === 'hostAddressChanged');
    assert.deepEqual(failure.shared, { line: 2, hosts: `${address},db01` });
  });

  it('takes any key at a loopback address where NoHostAuthenticationForLocalhost is set, but none that is revoked', async () => {
    const options = ['nohostauthenticationforlocalhost yes', 'updatehostkeys yes'];
    const text = line('web01', 'other');
    for (const at of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1']) {
      const made = await check(text, options);
      assert.equal(await verdict(made, keys['shown']!.blob, at), undefined);
      await made.proven();
      await made.named([keys['shown']!.blob], proveAll);
    }
    assert.equal(known(), text);
    assert.deepEqual(asked, []);
    assert.equal((await verdict(await check(text, options)))?.kind, 'hostKeyChanged');
    const through = await check(text, options);
    await assert.rejects(through.verify(keys['shown']!.blob, undefined));
    writeFileSync(file('revoked'), `${keys['shown']!.line}\n`);
    const made = await check(text, [...options, `revokedhostkeys ${file('revoked')}`]);
    assert.equal((await verdict(made, keys['shown']!.blob, '127.0.0.1'))?.kind, 'hostKeyRevoked');
  });

  it('refuses a revoked RSA key whose numbers are written otherwise', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', file('revokedRsa')]);
    const [, encoded] = publicKey(file('revokedRsa.pub')).split(' ');
    const [type, e, n] = wholeStrings(Buffer.from(encoded!, 'base64'))!;
    const padded = wireStrings(type!, e!, Buffer.concat([Buffer.of(0), n!]));
    const made = await check(`@revoked * rsa-sha2-512 ${encoded}\n`, ['stricthostkeychecking no']);
    assert.equal((await verdict(made, padded))?.kind, 'hostKeyRevoked');
  });

  it('refuses an RSA key that is shorter than RequiredRSASize asks', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', file('short')]);
    const shortKey = publicKey(file('short.pub'));
    const blob = Buffer.from(shortKey.split(' ')[1]!, 'base64');
    const text = `web01 ${shortKey}\n`;
    assert.equal(await verdict(await check(text, ['requiredrsasize 2048']), blob), undefined);
    assert.deepEqual(await verdict(await check(text, ['requiredrsasize 2049']), blob), {
      kind: 'hostKeyTooShort',
      host: 'web01',
      bits: 2048,
      least: 2049,
      isAsked: true,
    });
  });

  it('refuses an RSA key that is too short', async () => {
    // 768 bits: a length that ssh-keygen no longer makes.
    const field = (bytes: Buffer) => Buffer.concat([Buffer.of(0, 0, 0, bytes.length), bytes]);
    const modulus = Buffer.concat([Buffer.of(0), Buffer.alloc(96, 0xc5)]);
    const blob = Buffer.concat([Buffer.from('ssh-rsa'), Buffer.of(1, 0, 1), modulus].map(field));
    const made = await check('', ['stricthostkeychecking no']);
    const failure = await verdict(made, blob);
    assert.ok(failure?.kind === 'hostKeyTooShort');
    assert.equal(failure.bits, 768);
  });
});
