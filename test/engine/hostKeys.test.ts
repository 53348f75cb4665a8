import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ask, Reply } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { makeAuthority, type Authority, type Terms } from '../support/certificates.js';
import { planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startForgedServer } from '../support/forgedServer.js';
import { run } from '../support/openSsh.js';
import { freePort, keygen, publicKey, startSshd, type Sshd } from '../support/sshd.js';

describe('the key of a host', () => {
  let folder: string;
  let authority: Authority;
  let stranger: Authority;
  const servers = new Map<string, Sshd>();
  const engines: EngineProbe[] = [];
  const file = (name: string) => join(folder, name);

  /** What a server shows; those of a certificate have an Ed25519 key. */
  const certificates: Record<string, (keyPath: string) => string> = {
    certified: (path) => authority.signHost(path, { principals: ['127.0.0.1', 'web01'] }),
    expired: (path) => authority.signHost(path, { principals: ['127.0.0.1'], validity: 'expired' }),
    early: (path) => authority.signHost(path, { principals: ['127.0.0.1'], validity: 'not yet' }),
    'of another': (path) => authority.signHost(path, { principals: ['db01'] }),
    'of nobody': (path) => authority.signHost(path),
    conditional: (path) => authority.signHost(path, { principals: ['127.0.0.1'], args: ['-O', 'critical:x@y=1'] }),
    'of a stranger': (path) => stranger.signHost(path, { principals: ['127.0.0.1'] } satisfies Terms),
  };

  before(async function () {
    this.timeout(60_000);
    folder = mkdtempSync(join(tmpdir(), 'host-keys-'));
    authority = makeAuthority(folder);
    stranger = makeAuthority(folder, 'stranger');
    servers.set('plain', await startSshd({ hostKeys: ['ed25519', 'ecdsa', 'rsa'] }));
    servers.set('rsa', await startSshd({ hostKeys: ['rsa'] }));
    for (const [name, sign] of Object.entries(certificates)) {
      const config = (made: string) => [`HostCertificate ${sign(join(made, 'host_ed25519.pub'))}`];
      servers.set(name, await startSshd({ config }));
    }
    keygen(file('other'));
    keygen(file('otherRsa'), '-t', 'rsa');
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
  });
  after(async () => {
    for (const sshd of servers.values()) await sshd.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const server = (name: string) => servers.get(name)!;
  const named = ({ port }: Sshd) => `[127.0.0.1]:${port}`;
  const hostKey = (sshd: Sshd, type = 'ed25519') => publicKey(join(sshd.folder, `host_${type}.pub`));

  interface Reached {
    failure?: Failure;
    engine: EngineProbe;
  }

  /** Tries to forward a port through the server with these known_hosts and options. */
  async function reach(
    sshd: Pick<Sshd, 'configPath'>,
    knownHosts: string | undefined,
    options: readonly string[] = [],
    answer?: (ask: Ask) => Reply,
  ): Promise<Reached> {
    if (knownHosts !== undefined) writeFileSync(file('known'), knownHosts);
    const configFile = sshd.configPath('web01', [...options, `UserKnownHostsFile ${file('known')}`]);
    const engine = probe(createEngine(), answer);
    engines.push(engine);
    const forward = `-L ${await freePort()}:127.0.0.1:9`;
    engine.engine.apply({ connections: [planned('web01', [forward], { configFile, reconnect: false })] });
    return eventually(() => {
      const failed = engine.events.find((event) => event.kind === 'connectionFailed');
      if (failed) return { engine, failure: failed.failure };
      assert.ok(engine.events.some(({ kind }) => kind === 'listening'));
      return { engine };
    });
  }

  /** Whether ssh goes on to the forwards with the same. */
  async function sshReaches(sshd: Sshd, knownHosts: string, options: readonly string[]): Promise<boolean> {
    writeFileSync(file('known'), knownHosts);
    const configFile = sshd.configPath('web01', [...options, `UserKnownHostsFile ${file('known')}`]);
    const { code } = await run('ssh', [
      ...['-F', configFile, '-o', 'BatchMode=yes', '-o', 'ExitOnForwardFailure=yes'],
      ...['-L', `${await freePort()}:127.0.0.1:9`, 'web01', 'true'],
    ]);
    return code === 0;
  }

  /** The server's log of what came since; for a refusal it holds its whole end. */
  function logSince(sshd: Sshd): () => string {
    const { length } = sshd.log();
    return () => sshd.log().slice(length);
  }

  async function assertNothingSent(log: () => string): Promise<void> {
    await eventually(() => assert.match(log(), /Connection (?:closed|reset) by|Disconnected from|Received disconnect/));
    assert.match(log(), /Connection from 127\.0\.0\.1/);
    assert.doesNotMatch(log(), /userauth-request|Accepted|direct-tcpip|Postponed|Failed/);
  }

  const ca = (hosts: string) => `@cert-authority ${hosts} ${authority.publicKey}\n`;
  /** `on`: the server; `ours`: how it ends here, for refusals; `stricter`: ssh would go on. */
  interface Case {
    on: string;
    known: (sshd: Sshd) => string;
    options?: readonly string[];
    ours?: Failure['kind'];
    stricter?: boolean;
  }
  const hashed = (sshd: Sshd, key: string) => {
    writeFileSync(file('hashed'), `${named(sshd)} ${key}\n`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file('hashed')], { stdio: 'ignore' });
    return readFileSync(file('hashed'), 'utf8');
  };
  const own = (sshd: Sshd) => `${named(sshd)} ${hostKey(sshd)}\n`;
  const other = (sshd: Sshd) => `${named(sshd)} ${publicKey(file('other.pub'))}\n`;
  const cases: Record<string, Case> = {
    'that is known': { on: 'plain', known: own },
    'that is known by its hashed name': { on: 'plain', known: (sshd) => hashed(sshd, hostKey(sshd)) },
    'that has another hashed': { on: 'plain', known: (sshd) => hashed(sshd, publicKey(file('other.pub'))), ours: 'hostKeyChanged' }, // prettier-ignore
    'that is known by a pattern': { on: 'plain', known: (sshd) => `[127.*]:* ${hostKey(sshd)}\n` },
    'that is known without its port': { on: 'plain', known: (sshd) => `127.0.0.1 ${hostKey(sshd)}\n` },
    'that is known on another port': { on: 'plain', known: (sshd) => `[127.0.0.1]:1 ${hostKey(sshd)}\n`, ours: 'hostKeyUnknown' }, // prettier-ignore
    'whose pattern is taken back': { on: 'plain', known: (sshd) => `*,!${named(sshd)},!127.0.0.1 ${hostKey(sshd)}\n`, ours: 'hostKeyUnknown' }, // prettier-ignore
    'of a type that is not the first': { on: 'plain', known: (sshd) => `${named(sshd)} ${hostKey(sshd, 'rsa')}\n` },
    'of which nothing is known': { on: 'plain', known: () => '', ours: 'hostKeyUnknown' },
    'of which nothing is known, where that will do': { on: 'plain', known: () => '', options: ['StrictHostKeyChecking accept-new'] }, // prettier-ignore
    'of which nothing is known, where all will do': { on: 'plain', known: () => '', options: ['StrictHostKeyChecking no'] }, // prettier-ignore
    'of which nothing is known, where that is not enough': { on: 'plain', known: () => '', options: ['StrictHostKeyChecking yes'], ours: 'hostKeyUnknown' }, // prettier-ignore
    'that has changed': { on: 'plain', known: other, ours: 'hostKeyChanged' },
    'that has changed, though new ones will do': { on: 'plain', known: other, options: ['StrictHostKeyChecking accept-new'], ours: 'hostKeyChanged' }, // prettier-ignore
    'that has changed, though all will do': { on: 'plain', known: other, options: ['StrictHostKeyChecking no'], ours: 'hostKeyChanged' }, // prettier-ignore
    'that has changed its type': { on: 'rsa', known: other, ours: 'hostKeyChanged' },
    'that has changed its type, though new ones will do': { on: 'rsa', known: other, options: ['StrictHostKeyChecking accept-new'], ours: 'hostKeyChanged' }, // prettier-ignore
    'that is one of several': { on: 'plain', known: (sshd) => other(sshd) + own(sshd) },
    'that is revoked': { on: 'plain', known: (sshd) => `${own(sshd)}@revoked * ${hostKey(sshd)}\n`, ours: 'hostKeyRevoked' }, // prettier-ignore
    'that is revoked for another host': { on: 'plain', known: (sshd) => `${own(sshd)}@revoked db01 ${hostKey(sshd)}\n` }, // prettier-ignore
    'that is revoked and nothing else': { on: 'plain', known: (sshd) => `@revoked * ${hostKey(sshd)}\n`, options: ['StrictHostKeyChecking no'], ours: 'hostKeyRevoked' }, // prettier-ignore
    'that is revoked by the name of an algorithm': { on: 'rsa', known: (sshd) => `${named(sshd)} ${hostKey(sshd, 'rsa')}\n@revoked * ${hostKey(sshd, 'rsa').replace('ssh-rsa', 'rsa-sha2-512')}\n`, ours: 'hostKeyRevoked' }, // prettier-ignore
    'that is known by the name of an algorithm': { on: 'rsa', known: (sshd) => `${named(sshd)} ${hostKey(sshd, 'rsa').replace('ssh-rsa', 'rsa-sha2-256')}\n` }, // prettier-ignore
    'that is revoked with a blank in it': { on: 'plain', known: (sshd) => `${own(sshd)}@revoked * ${hostKey(sshd).replace('AAAA', 'AAAA\f')}\v\n`, ours: 'hostKeyRevoked' }, // prettier-ignore
    'that is shorter than RequiredRSASize asks': { on: 'rsa', known: (sshd) => `${named(sshd)} ${hostKey(sshd, 'rsa')}\n`, options: ['RequiredRSASize 4096'], ours: 'hostKeyTooShort' }, // prettier-ignore
    'that has changed, where none of localhost counts': { on: 'plain', known: other, options: ['NoHostAuthenticationForLocalhost yes'] }, // prettier-ignore
    'by its alias': { on: 'plain', known: (sshd) => `the-web ${hostKey(sshd)}\n`, options: ['HostKeyAlias the-web'] },
    'by its own name where it has an alias': { on: 'plain', known: own, options: ['HostKeyAlias the-web'], ours: 'hostKeyUnknown' }, // prettier-ignore
    'that an unreadable line has': { on: 'plain', known: (sshd) => own(sshd).slice(0, -10), ours: 'hostKeyUnknown' },
    'with a certificate of the authority': { on: 'certified', known: () => ca('*') },
    'with a certificate, the authority known without the port': { on: 'certified', known: () => ca('127.0.0.1') },
    'with a certificate of an authority for other hosts': { on: 'certified', known: () => ca('*.example.com'), ours: 'hostKeyUnknown' }, // prettier-ignore
    'with a certificate by its alias': { on: 'certified', known: () => ca('web01'), options: ['HostKeyAlias web01'] },
    'with a certificate, though another key is known': { on: 'certified', known: (sshd) => other(sshd) + ca('*') },
    'with a certificate whose authority is no authority': { on: 'certified', known: () => ca('*').replace('@cert-authority ', ''), ours: 'hostKeyChanged' }, // prettier-ignore
    'with a certificate whose authority is revoked': { on: 'certified', known: () => ca('*') + ca('*').replace('cert-authority', 'revoked'), ours: 'hostKeyRevoked' }, // prettier-ignore
    'with a certificate that is itself revoked': { on: 'certified', known: (sshd) => `${ca('*')}@revoked * ${hostKey(sshd)}\n`, ours: 'hostKeyRevoked' }, // prettier-ignore
    'with a certificate that was signed by what is not allowed': { on: 'certified', known: () => ca('*'), options: ['CASignatureAlgorithms rsa-sha2-512'], ours: 'hostCertificateInvalid' }, // prettier-ignore
    'with an expired certificate': { on: 'expired', known: () => ca('*'), ours: 'hostCertificateExpired' },
    'with an expired certificate, but known': { on: 'expired', known: (sshd) => ca('*') + own(sshd) },
    'with an expired certificate, where all will do': { on: 'expired', known: () => ca('*'), options: ['StrictHostKeyChecking no'], ours: 'hostCertificateExpired', stricter: true }, // prettier-ignore
    'with a certificate that is not valid yet': { on: 'early', known: () => ca('*'), ours: 'hostCertificateEarly' },
    'with a certificate of another host': { on: 'of another', known: () => ca('*'), ours: 'hostCertificateForOthers' },
    'with a certificate of no host': { on: 'of nobody', known: () => ca('*'), ours: 'hostCertificateForOthers', stricter: true }, // prettier-ignore
    'with a certificate with conditions': { on: 'conditional', known: () => ca('*'), ours: 'hostCertificateInvalid' },
    'with a certificate of an unknown authority': { on: 'of a stranger', known: () => ca('*'), ours: 'hostKeyUnknown' },
    'with a certificate of an unknown authority, but known': { on: 'of a stranger', known: (sshd) => ca('*') + own(sshd) }, // prettier-ignore
    'with a certificate of an unknown authority, and changed': { on: 'of a stranger', known: (sshd) => ca('*') + other(sshd), ours: 'hostKeyChanged' }, // prettier-ignore
  };
  for (const [what, { on, known, options = [], ours, stricter = false }] of Object.entries(cases))
    it(`is ${ours === undefined ? 'accepted' : 'refused'}, ${stricter ? 'though not by ssh' : 'as by ssh'}: one ${what}`, async () => {
      const sshd = server(on);
      const text = known(sshd);
      assert.equal(await sshReaches(sshd, text, options), ours === undefined || stricter);
      const log = logSince(sshd);
      const { failure } = await reach(sshd, text, ['BatchMode yes', ...options]);
      assert.equal(failure?.kind, ours, failure && failureText(failure));
      if (ours === undefined) return;
      await assertNothingSent(log);
      assert.equal(readFileSync(file('known'), 'utf8'), text);
    });

  describe('that RevokedHostKeys names', () => {
    const listOf = (...lines: string[]) => {
      writeFileSync(file('revoked.pub'), lines.map((line) => `${line}\n`).join(''));
      return ['-q', '-k', '-f', file('krl'), '-s', `${authority.keyPath}.pub`, file('revoked.pub')];
    };
    const lists: Record<string, { on: string; make: (sshd: Sshd) => string; ours?: Failure['kind'] }> = {
      'by a text': { on: 'plain', make: (sshd) => (writeFileSync(file('krl'), `${hostKey(sshd)}\n`), 'krl'), ours: 'hostKeyRevoked' }, // prettier-ignore
      'not, by a text': { on: 'plain', make: () => (copyFileSync(file('other.pub'), file('krl')), 'krl') },
      'by its authority’s key': { on: 'certified', make: () => (writeFileSync(file('krl'), `${authority.publicKey}\n`), 'krl'), ours: 'hostKeyRevoked' }, // prettier-ignore
      'by a list': { on: 'plain', make: (sshd) => (execFileSync('ssh-keygen', listOf(`sha256: ${hostKey(sshd)}`)), 'krl'), ours: 'hostKeyRevoked' }, // prettier-ignore
      'by the number of its certificate': { on: 'certified', make: () => (execFileSync('ssh-keygen', listOf('serial: 1')), 'krl'), ours: 'hostKeyRevoked' }, // prettier-ignore
      'not, by another number': {
        on: 'certified',
        make: () => (execFileSync('ssh-keygen', listOf('serial: 2')), 'krl'),
      },
      'in a file that can’t be read': { on: 'plain', make: () => (writeFileSync(file('krl'), 'nonsense\n'), 'krl'), ours: 'revokedKeysUnreadable' }, // prettier-ignore
      'in a file that is not there': { on: 'plain', make: () => 'missing', ours: 'revokedKeysUnreadable' },
    };
    for (const [what, { on, make, ours }] of Object.entries(lists))
      it(`is ${ours === undefined ? 'accepted' : 'refused'}, as by ssh: ${what}`, async () => {
        const sshd = server(on);
        const options = [`RevokedHostKeys ${file(make(sshd))}`];
        const known = own(sshd) + ca('*');
        assert.equal(await sshReaches(sshd, known, options), ours === undefined);
        const log = logSince(sshd);
        const { failure } = await reach(sshd, known, options);
        assert.equal(failure?.kind, ours, failure && failureText(failure));
        assert.doesNotMatch(ours === undefined ? '' : log(), /userauth-request|Accepted/);
      });
  });

  describe('that KnownHostsCommand prints', () => {
    /** A program that writes its arguments to a file and prints what it was made with. */
    const command = (prints: string, end = '') => {
      writeFileSync(file('printed'), prints);
      const text = `#!/bin/sh\nfor word; do echo "$word" >> ${file('asked')}; done\ncat ${file('printed')}\necho a word >&2\n${end}\n`;
      writeFileSync(file('command'), text);
      chmodSync(file('command'), 0o700);
      rmSync(file('asked'), { force: true });
      return `KnownHostsCommand ${file('command')} %I %H %t "%h and %p" %f`;
    };

    it('is accepted, and the command is asked as ssh asks it', async () => {
      const sshd = server('rsa');
      const option = command(`${named(sshd)} ${hostKey(sshd, 'rsa')}\n`);
      const asked = () => readFileSync(file('asked'), 'utf8').trimEnd().split('\n');
      assert.equal(await sshReaches(sshd, '', [option]), true);
      const theirs = asked();
      rmSync(file('asked'));
      const { failure, engine } = await reach(sshd, '', [option]);
      assert.equal(failure, undefined);
      assert.deepEqual(asked().slice(0, 4), ['ORDER', named(sshd), 'NONE', `127.0.0.1 and ${sshd.port}`]);
      // OpenSSH 9.2 leaves the port out there, where later versions don't.
      assert.deepEqual(asked().slice(2), theirs.slice(2));
      const logged = engine.events.flatMap((event) => (event.kind === 'logged' ? [event.text] : []));
      assert.ok(logged.some((text) => text.endsWith('KnownHostsCommand: a word')));
      assert.ok(!logged.some((text) => text.includes(hostKey(sshd, 'rsa').split(' ')[1]!)));
    });

    it('is refused where the command prints another one, or revokes it', async () => {
      const sshd = server('plain');
      for (const [prints, ours] of [
        [other(sshd), 'hostKeyChanged'],
        [`@revoked * ${hostKey(sshd)}\n`, 'hostKeyRevoked'],
      ] as const) {
        const option = command(prints);
        const known = prints.startsWith('@') ? own(sshd) : '';
        assert.equal(await sshReaches(sshd, known, [option]), false);
        const log = logSince(sshd);
        assert.equal((await reach(sshd, known, [option])).failure?.kind, ours);
        await assertNothingSent(log);
      }
    });

    it('counts for nothing where the command fails', async () => {
      const sshd = server('plain');
      const option = command(own(sshd), 'exit 3');
      assert.equal(await sshReaches(sshd, own(sshd), [option]), false);
      const { failure } = await reach(sshd, own(sshd), [option]);
      assert.ok(failure?.kind === 'knownHostsCommandFailed');
      assert.equal(failure.detail, 'exit code 3');
    });
  });

  describe('is remembered', () => {
    const lines = () => readFileSync(file('known'), 'utf8').trimEnd().split('\n').sort();

    it('as ssh writes it', async () => {
      const sshd = server('plain');
      for (const option of ['StrictHostKeyChecking accept-new', 'StrictHostKeyChecking no']) {
        const options = [option, 'UpdateHostKeys no'];
        await sshReaches(sshd, '# mine\n', options);
        const theirs = lines();
        await reach(sshd, '# mine\n', options);
        await eventually(() => assert.deepEqual(lines(), theirs));
        assert.equal(theirs.length, 2);
      }
    });

    it('with those that the server proves to have besides, and without those that it has no more, as ssh does', async () => {
      const sshd = server('plain');
      const options = ['UpdateHostKeys yes'];
      const before = `# mine\n${named(sshd)} ${hostKey(sshd, 'ecdsa')}\nweb02 ${publicKey(file('other.pub'))}\n`;
      const old = `${named(sshd)} ${publicKey(file('otherRsa.pub'))} an old key\n`;
      for (const known of [before, `${before}${old}`, `${before}# no end of line`]) {
        assert.equal(await sshReaches(sshd, known, options), true);
        const theirs = lines();
        const { failure } = await reach(sshd, known, options);
        assert.equal(failure, undefined);
        await eventually(() => assert.deepEqual(lines(), theirs));
        assert.equal(readFileSync(file('known'), 'utf8').startsWith(before), true);
        assert.equal(theirs.filter((line) => line.startsWith(named(sshd))).length, 3);
      }
    });

    const untouched: Record<string, (sshd: Sshd) => [known: string, ...options: string[]]> = {
      'where nobody asks for it': (sshd) => [own(sshd), 'UpdateHostKeys no'],
      'where it is known by a pattern': (sshd) => [`[127.0.0.*]:* ${hostKey(sshd)}\n`],
      'where it is known without its port': (sshd) => [`127.0.0.1 ${hostKey(sshd)}\n`],
      'where another name has the key, too': (sshd) => [`${own(sshd)}web02 ${hostKey(sshd)}\n`],
      'where a revocation holds for it': (sshd) => [`${own(sshd)}@revoked * ${publicKey(file('other.pub'))}\n`],
      'where an authority holds for it': (sshd) => [own(sshd) + ca('*')],
    };
    for (const [what, make] of Object.entries(untouched))
      it(`alone ${what}, as ssh does`, async () => {
        const sshd = server('plain');
        const [known, ...options] = make(sshd);
        if (options.length === 0) options.push('UpdateHostKeys yes');
        assert.equal(await sshReaches(sshd, known, options), true);
        assert.equal(readFileSync(file('known'), 'utf8'), known);
        const { failure, engine } = await reach(sshd, known, options);
        assert.equal(failure, undefined);
        // What the server says of its keys comes before what it answers to this.
        await engine.engine.close();
        assert.equal(readFileSync(file('known'), 'utf8'), known);
      });
  });

  describe('of a server that evil has come between', () => {
    it('is not remembered, and nothing is sent, when the server shows a key that is not its own', async () => {
      const genuine = publicKey(file('other.pub'));
      const blob = Buffer.from(genuine.split(' ')[1]!, 'base64');
      const forged = await startForgedServer(() => {}, { shows: () => blob });
      try {
        const configPath = (_: string, lines: readonly string[] = []) => {
          const path = file('forged_config');
          const given = readFileSync(forged.configPath, 'utf8').split('\n');
          writeFileSync(path, [given[0], ...lines, ...given.slice(1)].join('\n'));
          return path;
        };
        const accepts: [options: string[], known: string | undefined, asks: number][] = [
          [[], `* ${genuine}\n`, 0],
          [['StrictHostKeyChecking accept-new'], undefined, 0],
          [[], undefined, 1],
        ];
        for (const [options, known, asks] of accepts) {
          rmSync(file('known'), { force: true });
          const { failure, engine } = await reach({ configPath }, known, options, () => ({
            kind: 'hostKey',
            accept: 'remember',
          }));
          assert.equal(failure?.kind, 'handshakeFailed');
          assert.equal(engine.events.filter(({ kind }) => kind === 'asked').length, asks);
          await engine.close();
          assert.equal(existsSync(file('known')), known !== undefined);
        }
        assert.equal(forged.logins, 0);
      } finally {
        await forged.close();
      }
    });

    it('drops a connection whose key changes when keys are exchanged again', async () => {
      const keys = ['first', 'second'].map((name) => {
        keygen(file(name));
        return readFileSync(file(name), 'utf8');
      });
      let current = 0;
      const forged = await startForgedServer(() => {}, { hostKey: () => keys[current]! });
      try {
        const { engine, failure } = await reach({ configPath: () => forged.configPath }, undefined);
        assert.equal(failure, undefined);
        const [connection] = forged.connections;
        // The same key passes again,
        await new Promise<void>((done) => connection!.rekey(done));
        assert.ok(!engine.events.some(({ kind }) => kind === 'connectionLost' || kind === 'connectionFailed'));
        // and another one does not.
        current = 1;
        connection!.rekey();
        await eventually(() =>
          assert.ok(engine.events.some(({ kind }) => kind === 'connectionLost' || kind === 'connectionFailed')),
        );
        await eventually(() => assert.equal(forged.connections.size, 0));
        assert.ok(engine.events.some(({ kind }) => kind === 'forwardClosed' || kind === 'connectionFailed'));
      } finally {
        await forged.close();
      }
    });
  });
});
