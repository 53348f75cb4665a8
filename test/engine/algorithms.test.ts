import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { failureText } from '../../src/core/wording.js';
import { isAesQuick, offeredAlgorithms, runtimeAbilities, type Offer } from '../../src/engine/algorithms.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { makeAuthority } from '../support/certificates.js';
import { planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { newerOpenSsh } from '../support/newerOpenSsh.js';
import {
  freePort,
  keygen,
  knownHostsLine,
  publicKey,
  startSshd,
  type Sshd,
  type SshdOptions,
} from '../support/sshd.js';
import { bytes, connectTo, digest, echo, readToEnd, startTarget, type Target } from '../support/targets.js';

const offer = (...args: Parameters<typeof offeredAlgorithms>): Offer => {
  const made = offeredAlgorithms(...args);
  assert.equal('use' in made, false);
  return made as Offer;
};
const without = (...lacking: readonly string[]) =>
  new Set([...runtimeAbilities()].filter((ability) => !lacking.some((one) => ability.startsWith(one))));

describe('what is offered to a server', () => {
  it('is what OpenSSH 10 offers and can be done here, the fastest cipher first, when nobody asks for anything', () => {
    assert.deepEqual(offer({}, [], new Set([...runtimeAbilities(), 'quick aes'])), {
      kex: [
        'mlkem768x25519-sha256',
        'curve25519-sha256',
        'curve25519-sha256@libssh.org',
        'ecdh-sha2-nistp256',
        'ecdh-sha2-nistp384',
        'ecdh-sha2-nistp521',
        'diffie-hellman-group-exchange-sha256',
        'diffie-hellman-group16-sha512',
        'diffie-hellman-group18-sha512',
        'diffie-hellman-group14-sha256',
      ],
      hostKey: [
        'ssh-ed25519',
        'ecdsa-sha2-nistp256',
        'ecdsa-sha2-nistp384',
        'ecdsa-sha2-nistp521',
        'rsa-sha2-512',
        'rsa-sha2-256',
        'ssh-ed25519-cert-v01@openssh.com',
        'ecdsa-sha2-nistp256-cert-v01@openssh.com',
        'ecdsa-sha2-nistp384-cert-v01@openssh.com',
        'ecdsa-sha2-nistp521-cert-v01@openssh.com',
        'rsa-sha2-512-cert-v01@openssh.com',
        'rsa-sha2-256-cert-v01@openssh.com',
      ],
      cipher: [
        'aes128-gcm@openssh.com',
        'aes256-gcm@openssh.com',
        'aes128-ctr',
        'aes192-ctr',
        'aes256-ctr',
        'chacha20-poly1305@openssh.com',
      ],
      mac: [
        'hmac-sha2-256-etm@openssh.com',
        'hmac-sha2-512-etm@openssh.com',
        'hmac-sha1-etm@openssh.com',
        'hmac-sha2-256',
        'hmac-sha2-512',
        'hmac-sha1',
      ],
    });
  });

  it('has ChaCha20 first where AES is slow, as long as ssh_config names no ciphers', () => {
    const slow = without('quick aes');
    const first = ['chacha20-poly1305@openssh.com', 'aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr'];
    assert.deepEqual(offer({}, [], slow).cipher, [...first, 'aes192-ctr', 'aes256-ctr']);
    const asked = ['aes256-ctr', 'chacha20-poly1305@openssh.com'];
    assert.deepEqual(offer({ cipher: asked }, [], slow).cipher, asked);
    assert.equal(offer({}, [], without('quick aes', 'cipher chacha20')).cipher[0], 'aes128-gcm@openssh.com');
  });

  it('tells quick AES by the best of some trials beside ChaCha20', () => {
    const quick = (aes: readonly number[], chaCha: readonly number[]) => {
      const left: Record<string, number[]> = { 'aes-128-gcm': [...aes], chacha20: [...chaCha] };
      return isAesQuick((cipher) => left[cipher]!.shift()!);
    };
    // As measured with and without the instructions (16 KiB, in microseconds); the first ones of all are slower.
    assert.equal(quick([90, 8, 12, 8], [60, 7, 10, 8]), true);
    assert.equal(quick([150, 63, 55, 55], [60, 21, 13, 14]), false);
    assert.equal(quick([8, 900, 900, 900], [7, 7, 7, 7]), true);
    assert.equal(quick([55, 55, 55, 55], [900, 900, 14, 900]), false);
  });

  it('follows the lists of ssh_config in their order, less what can’t be done', () => {
    const asked = {
      kex: ['sntrup761x25519-sha512', 'diffie-hellman-group14-sha1', 'curve25519-sha256', 'curve25519-sha256'],
      cipher: ['chacha20-poly1305@openssh.com', 'aes256-cbc', 'aes128-gcm@openssh.com'],
      mac: ['umac-64-etm@openssh.com', 'hmac-sha1', 'hmac-sha2-512'],
      hostKey: ['rsa-sha2-256', 'sk-ssh-ed25519@openssh.com', 'ssh-rsa', 'ssh-ed25519'],
    };
    assert.deepEqual(offer(asked, []), {
      kex: ['diffie-hellman-group14-sha1', 'curve25519-sha256'],
      cipher: ['chacha20-poly1305@openssh.com', 'aes256-cbc', 'aes128-gcm@openssh.com'],
      mac: ['hmac-sha1', 'hmac-sha2-512'],
      hostKey: ['rsa-sha2-256', 'ssh-rsa', 'ssh-ed25519'],
    });
  });

  it('has the host keys that are known first, and certificates where an authority is known', () => {
    const first = (known: readonly string[], count: number) => offer({}, known).hostKey.slice(0, count);
    assert.deepEqual(first(['ecdsa-sha2-nistp384', 'ssh-rsa'], 3), [
      'ecdsa-sha2-nistp384',
      'rsa-sha2-512',
      'rsa-sha2-256',
    ]);
    const certificates = ['ssh-rsa-cert-v01@openssh.com', 'ssh-ed25519-cert-v01@openssh.com'];
    assert.deepEqual(first(certificates, 3), [
      'rsa-sha2-512-cert-v01@openssh.com',
      'rsa-sha2-256-cert-v01@openssh.com',
      'ssh-ed25519-cert-v01@openssh.com',
    ]);
    assert.deepEqual(offer({ hostKey: ['ssh-ed25519', 'rsa-sha2-256'] }, ['ssh-rsa', 'ssh-dss']).hostKey, [
      'rsa-sha2-256',
      'ssh-ed25519',
    ]);
    assert.equal(new Set(offer({}, certificates).hostKey).size, 12);
  });

  it('leaves out what Electron’s BoringSSL lacks', () => {
    const electron = without('cipher chacha20', 'curve secp521r1');
    const all = {
      kex: ['diffie-hellman-group1-sha1', 'ecdh-sha2-nistp521'],
      cipher: ['chacha20-poly1305@openssh.com', 'aes128-ctr'],
    };
    const narrowed = offer(all, [], electron);
    assert.deepEqual([narrowed.kex, narrowed.cipher], [['diffie-hellman-group1-sha1'], ['aes128-ctr']]);
    assert.doesNotMatch(JSON.stringify(offer({}, [], electron)), /chacha|nistp521/);
    assert.doesNotMatch(JSON.stringify(offer({}, [], without('x25519', 'ed25519', 'hash sha1'))), /25519|sha1/);
    assert.deepEqual(offeredAlgorithms({ cipher: ['chacha20-poly1305@openssh.com'] }, [], electron), {
      use: 'cipher',
      asked: ['chacha20-poly1305@openssh.com'],
      possible: offer({}, [], electron).cipher.concat('aes128-cbc', 'aes192-cbc', 'aes256-cbc', '3des-cbc'),
    });
  });

  it('needs no MAC beside ciphers that have their own, and names MACs when others are asked for', () => {
    const umac = { mac: ['umac-64-etm@openssh.com'] };
    assert.deepEqual(offer(umac, []).cipher, [
      'aes128-gcm@openssh.com',
      'aes256-gcm@openssh.com',
      'chacha20-poly1305@openssh.com',
    ]);
    const nothing = offeredAlgorithms({ ...umac, cipher: ['aes128-ctr'] }, []);
    assert.equal('use' in nothing && nothing.use, 'mac');
  });
});

describe('a server that takes one algorithm alone', function () {
  this.timeout(40_000);
  let target: Target;
  let engine: EngineProbe | undefined;
  let sshd: Sshd | undefined;

  before(async () => {
    target = await startTarget(echo);
  });
  afterEach(async () => {
    await engine?.close();
    await sshd?.stop();
    engine = sshd = undefined;
  });
  after(() => target.close());

  const start = async (options: SshdOptions) => (sshd = await startSshd(options));
  /** Connects with further lines of ssh_config; gives the failure's sentence, or the port that is forwarded. */
  const dial = async (lines: readonly string[] = []): Promise<number | string> => {
    const port = await freePort();
    const forward = `-L 127.0.0.1:${port}:127.0.0.1:${target.port}`;
    engine = probe(createEngine());
    engine.engine.apply({
      connections: [planned('web01', [forward], { configFile: sshd!.configPath('web01', lines), reconnect: false })],
    });
    return eventually(() => {
      const failed = engine!.events.find(({ kind }) => kind === 'connectionFailed' || kind === 'connectionLost');
      if (failed && 'failure' in failed && failed.failure) return failureText(failed.failure);
      assert.equal(engine!.events.filter(({ kind }) => kind === 'listening').length, 1);
      return port;
    }, 15_000);
  };
  const carries = async (port: number | string, length: number) => {
    assert.equal(typeof port, 'number', String(port));
    const socket = await connectTo({ host: '127.0.0.1', port: port as number });
    const sent = bytes(length, 'there and back');
    socket.end(sent);
    const { received } = await readToEnd(socket);
    assert.equal(digest(received), digest(sent));
  };
  const isWeak = /sha1$|-96$|md5|cbc/;

  for (const kex of [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group-exchange-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group14-sha1',
    'diffie-hellman-group-exchange-sha1',
    'diffie-hellman-group1-sha1',
  ])
    it(`is reached by ${kex}, and begins anew while bytes flow both ways`, async () => {
      await start({ config: [`KexAlgorithms ${kex}`, 'RekeyLimit 1M'] });
      await carries(await dial(isWeak.test(kex) ? [`KexAlgorithms ${kex}`] : []), 4_000_000);
      const log = sshd!.log();
      assert.match(log, new RegExp(`kex: algorithm: ${kex.replace('.', '\\.')}\\b`));
      assert.ok(log.split(`kex: algorithm: ${kex}`).length > 3, 'it has not begun anew');
    });

  for (const cipher of [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
    'chacha20-poly1305@openssh.com',
    'aes128-cbc',
    'aes192-cbc',
    'aes256-cbc',
    '3des-cbc',
  ])
    it(`is reached by ${cipher}`, async () => {
      await start({ config: [`Ciphers ${cipher}`] });
      await carries(await dial(isWeak.test(cipher) ? [`Ciphers ${cipher}`] : []), 1_000_000);
      assert.match(sshd!.log(), new RegExp(`server->client cipher: ${cipher} `));
    });

  for (const mac of [
    'hmac-sha2-256-etm@openssh.com',
    'hmac-sha2-512-etm@openssh.com',
    'hmac-sha1-etm@openssh.com',
    'hmac-sha2-256',
    'hmac-sha2-512',
    'hmac-sha1',
    'hmac-sha1-96',
    'hmac-md5',
    'hmac-md5-96',
  ])
    it(`is reached by ${mac}`, async () => {
      await start({ config: ['Ciphers aes128-ctr', `MACs ${mac}`] });
      await carries(await dial(/-96$|md5/.test(mac) ? [`MACs ${mac}`] : []), 1_000_000);
      assert.match(sshd!.log(), new RegExp(`MAC: ${mac} `));
    });

  const hostKeys: readonly [algorithm: string, type: string, bits?: string][] = [
    ['ssh-ed25519', 'ed25519'],
    ['ecdsa-sha2-nistp256', 'ecdsa', '256'],
    ['ecdsa-sha2-nistp384', 'ecdsa', '384'],
    ['ecdsa-sha2-nistp521', 'ecdsa', '521'],
    ['rsa-sha2-512', 'rsa'],
    ['rsa-sha2-256', 'rsa'],
    ['ssh-rsa', 'rsa'],
  ];
  for (const [algorithm, type, bits] of hostKeys) {
    const prepared = (folder: string) => {
      const path = join(folder, 'own_key');
      keygen(path, '-t', type, ...(bits ? ['-b', bits] : []));
      return path;
    };
    /** With a key of the type and nothing else, known to the client as `lines` say. */
    const startWith = async (more: (folder: string, path: string) => readonly string[]) => {
      let path = '';
      const server = await start({
        config: (folder) => [`HostKey ${(path = prepared(folder))}`, ...more(folder, path)],
      });
      return { server, path };
    };

    it(`is reached by the host key algorithm ${algorithm}`, async () => {
      const { server, path } = await startWith(() => [`HostKeyAlgorithms ${algorithm}`]);
      writeFileSync(server.knownHostsPath, knownHostsLine(server.port, publicKey(`${path}.pub`)));
      await carries(await dial(algorithm === 'ssh-rsa' ? ['HostKeyAlgorithms ssh-rsa'] : []), 100_000);
      assert.match(server.log(), new RegExp(`kex: host key algorithm: ${algorithm}\\b`));
    });
    if (algorithm === 'ssh-rsa') continue;

    const certificate = `${algorithm}-cert-v01@openssh.com`;
    const startSigned = (algorithms: readonly string[]) =>
      startWith((folder, path) => [
        `HostCertificate ${makeAuthority(folder).signHost(`${path}.pub`, { principals: ['127.0.0.1'] })}`,
        `HostKeyAlgorithms ${algorithms.join()}`,
      ]);
    const authorityLine = (server: Sshd) =>
      knownHostsLine(server.port, publicKey(join(server.folder, 'authority.pub')), '@cert-authority');

    it(`is reached by ${certificate} when its authority alone is known, and asks nobody`, async () => {
      const { server } = await startSigned([certificate, algorithm]);
      writeFileSync(server.knownHostsPath, authorityLine(server));
      await carries(await dial(), 100_000);
      assert.match(server.log(), new RegExp(`kex: host key algorithm: ${certificate}`));
      assert.ok(!engine!.kinds().includes('asked'));
    });

    it(`is reached by ${algorithm} when its key alone is known, though it has a certificate, too`, async () => {
      const { server, path } = await startSigned([certificate, algorithm]);
      writeFileSync(server.knownHostsPath, knownHostsLine(server.port, publicKey(`${path}.pub`)));
      await carries(await dial(), 100_000);
      assert.match(server.log(), new RegExp(`kex: host key algorithm: ${algorithm}\\b(?!-cert)`));
    });

    it(`is reached by ${certificate} when its key alone is known and it shows nothing else`, async () => {
      const { server, path } = await startSigned([certificate]);
      writeFileSync(server.knownHostsPath, knownHostsLine(server.port, publicKey(`${path}.pub`)));
      await carries(await dial(), 100_000);
      assert.match(server.log(), new RegExp(`kex: host key algorithm: ${certificate}`));
    });
  }

  it('is reached by a certificate through all rekeys', async () => {
    const server = await start({
      config: (folder) => [
        `HostCertificate ${makeAuthority(folder).signHost(join(folder, 'host_ed25519.pub'), { principals: ['127.0.0.1'] })}`,
        'RekeyLimit 1M',
      ],
    });
    const line = knownHostsLine(server.port, publicKey(join(server.folder, 'authority.pub')), '@cert-authority');
    writeFileSync(server.knownHostsPath, line);
    await carries(await dial(), 4_000_000);
    assert.ok(server.log().split('kex: host key algorithm: ssh-ed25519-cert-v01@openssh.com').length > 3);
  });

  describe('of a newer OpenSSH', () => {
    for (const lines of [['KexAlgorithms mlkem768x25519-sha256'], []])
      it(`is reached by ML-KEM ${lines.length ? 'and nothing else' : 'of itself'}, and begins anew while bytes flow`, async function () {
        const newer = await newerOpenSsh();
        if ('missing' in newer) {
          console.log(`      ${newer.missing}`);
          return this.skip();
        }
        await start({ program: newer.sshd, config: [...lines, 'RekeyLimit 1M'] });
        await carries(await dial(), 4_000_000);
        assert.ok(sshd!.log().split('kex: algorithm: mlkem768x25519-sha256').length > 3);
      }).timeout(90_000);
  });

  const unreachable: readonly [string, string[], string[], RegExp][] = [
    [
      'old key exchanges',
      ['KexAlgorithms diffie-hellman-group1-sha1,diffie-hellman-group14-sha1'],
      [],
      /no key exchange in common\. The server has diffie-hellman-group1-sha1, diffie-hellman-group14-sha1; this machine offers mlkem768x25519-sha256, .*too old to be safe.*KexAlgorithms \+diffie-hellman-group1-sha1/,
    ],
    [
      'old ciphers',
      ['Ciphers aes128-cbc'],
      [],
      /no cipher in common\. The server has aes128-cbc; .*Ciphers \+aes128-cbc/,
    ],
    [
      'MACs that are unknown here',
      ['Ciphers aes128-ctr', 'MACs umac-64-etm@openssh.com'],
      [],
      /no MAC in common\. The server has umac-64-etm@openssh\.com; .*Check MACs in ssh_config/,
    ],
    [
      'host keys that ssh_config leaves out',
      ['HostKeyAlgorithms ssh-ed25519'],
      ['HostKeyAlgorithms rsa-sha2-512'],
      /no type of host key in common\. The server has ssh-ed25519; this machine offers rsa-sha2-512\. Check HostKeyAlgorithms/,
    ],
    [
      'all, but ssh_config asks for what can’t be done here',
      [],
      ['KexAlgorithms sntrup761x25519-sha512@openssh.com'],
      /KexAlgorithms in ssh_config leaves nothing to offer to web01: it names sntrup761x25519-sha512@openssh\.com, and possible here are mlkem768x25519-sha256, /,
    ],
  ];
  for (const [what, serverLines, clientLines, sentence] of unreachable)
    it(`is not reached with ${what}, and both sides are listed`, async () => {
      await start({ config: serverLines });
      assert.match(String(await dial(clientLines)), sentence);
    });

  it('gets the order of ssh_config’s Ciphers, and the fastest first where there is none', async () => {
    await start({});
    await carries(await dial(['Ciphers aes256-ctr,aes128-gcm@openssh.com']), 1_000);
    assert.match(sshd!.log(), /server->client cipher: aes256-ctr /);
    await engine!.close();
    await carries(await dial(), 1_000);
    const fastest = offer({}, []).cipher[0]!;
    assert.match(sshd!.log(), new RegExp(`server->client cipher: ${fastest.replaceAll('.', '\\.')} `));
  });
});
