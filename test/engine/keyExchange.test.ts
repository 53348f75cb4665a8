import assert from 'node:assert/strict';
import {
  createDiffieHellmanGroup,
  createHash,
  generateKeyPairSync,
  generatePrimeSync,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { shake128 } from '@noble/hashes/sha3.js';
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import fc from 'fast-check';
import { FailureError } from '../../src/core/failure.js';
import type { Algorithms } from '../../src/core/sshConfig.js';
import type { ProveKeys } from '../../src/engine/hostKeyCheck.js';
import { provableKeys } from '../../src/engine/hostKeyProofs.js';
import { checkAnswer, checkGroup, groupHalf, namedGroupHalf, startHybrid } from '../../src/engine/keyExchange.js';
import { DialError, openSession, type DialEnd, type SshSession } from '../../src/engine/sshClient.js';
import { createUserAuth } from '../../src/engine/userauth.js';
import { eventually } from '../support/eventually.js';
import {
  letIn,
  mpint,
  startHandMadeServer,
  string,
  type HandMadeKey,
  type HandMadeServer,
  type HandMadeSession,
  type Honest,
  type Lies,
} from '../support/handMadeServer.js';

function ed25519Key(): HandMadeKey & { privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  return {
    privateKey,
    blob: Buffer.concat([string('ssh-ed25519'), string(point)]),
    sign: (data) => Buffer.concat([string('ssh-ed25519'), string(sign(null, data, privateKey))]),
  };
}

function rsaKey(algorithm: 'rsa-sha2-512' | 'rsa-sha2-256' | 'ssh-rsa', bits = 2048): HandMadeKey {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  const { e, n } = publicKey.export({ format: 'jwk' });
  const hash = { 'rsa-sha2-512': 'sha512', 'rsa-sha2-256': 'sha256', 'ssh-rsa': 'sha1' }[algorithm];
  return {
    blob: Buffer.concat([string('ssh-rsa'), ...[e!, n!].map((part) => mpint(Buffer.from(part, 'base64url')))]),
    sign: (data) => Buffer.concat([string(algorithm), string(sign(hash, data, privateKey))]),
  };
}

const curve = { kex: 'curve25519-sha256', hostKeyAlgorithm: 'ssh-ed25519' };
const group14 = createDiffieHellmanGroup('modp14').getPrime();

describe('a key exchange', function () {
  this.timeout(30_000);
  const hostKey = ed25519Key();
  const servers: HandMadeServer[] = [];
  const sessions: SshSession[] = [];
  const stray: unknown[] = [];
  const onStray = (error: unknown) => stray.push(error);

  before(() => {
    process.on('unhandledRejection', onStray);
  });
  after(() => {
    process.off('unhandledRejection', onStray);
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
    for (const server of servers.splice(0)) await server.close();
    assert.deepEqual(stray.splice(0), []);
  });

  interface Try {
    algorithms?: Algorithms;
    known?: readonly string[];
    /** What was shown as the host's key, and whether it is accepted. */
    verify?(blob: Buffer): Promise<void>;
    hostKeysNamed?(blobs: readonly Buffer[], prove: ProveKeys): void;
  }
  const open = async (port: number, { algorithms = {}, known = [], verify = async () => {}, hostKeysNamed }: Try) => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const verified: Buffer[] = [];
    let authenticated = 0;
    try {
      const session = await openSession({
        socket,
        user: 'ann',
        knownKeyTypes: known,
        algorithms,
        verifyHostKey: (blob) => {
          verified.push(blob);
          return verify(blob);
        },
        async authenticate(transport) {
          authenticated++;
          await createUserAuth(transport).none();
        },
        serverSaid() {},
        ...(hostKeysNamed && { hostKeysNamed }),
        keepaliveSeconds: 0,
        keepaliveCount: 3,
        log() {},
      });
      sessions.push(session);
      return { session, verified, authenticated };
    } catch (error) {
      assert.ok(error instanceof DialError, String(error));
      await eventually(() => assert.equal(socket.destroyed, true));
      return { end: error.end, verified, authenticated };
    }
  };
  const openAt = async (honest: Partial<Honest>, lies: Lies = {}, options: Try = {}) => {
    const server = await startHandMadeServer({ ...curve, hostKey, ...honest }, lies, letIn());
    servers.push(server);
    return { server, ...(await open(server.port, options)) };
  };
  const mustRefuse = async (honest: Partial<Honest>, lies: Lies, kind: DialEnd['kind'] = 'handshake', text = /./) => {
    const { end, authenticated, server } = await openAt(honest, lies);
    assert.equal(end?.kind, kind, JSON.stringify(end));
    assert.match(JSON.stringify(end), text);
    assert.equal(authenticated, 0);
    // A service request would be the first thing to say to a host that is who it says.
    assert.ok(!server.heard.includes(5) && !server.heard.includes(50), server.heard.join());
  };

  for (const kex of [
    'mlkem768x25519-sha256',
    'curve25519-sha256',
    'ecdh-sha2-nistp256',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group-exchange-sha256',
  ])
    it(`agrees on ${kex} with a server that shares no code with it`, async () => {
      const { session, verified } = await openAt({ kex });
      assert.ok(session);
      assert.deepEqual(verified, [hostKey.blob]);
    });

  it('agrees on what ssh_config asks for, though it is weak', async () => {
    const asked = { kex: ['diffie-hellman-group1-sha1'], hostKey: ['ssh-rsa'] };
    const weak = { kex: 'diffie-hellman-group1-sha1', hostKeyAlgorithm: 'ssh-rsa', hostKey: rsaKey('ssh-rsa') };
    assert.ok((await openAt(weak, {}, { algorithms: asked })).session);
    assert.equal((await openAt(weak)).end?.kind, 'noCommonAlgorithm');
  });

  for (const algorithm of ['rsa-sha2-512', 'rsa-sha2-256'] as const)
    it(`takes an RSA host key by ${algorithm}, and by no other hash than the one agreed on`, async () => {
      assert.ok((await openAt({ hostKeyAlgorithm: algorithm, hostKey: rsaKey(algorithm) })).session);
      const other = algorithm === 'rsa-sha2-512' ? 'rsa-sha2-256' : 'rsa-sha2-512';
      for (const made of [other, 'ssh-rsa'] as const)
        await mustRefuse({ hostKeyAlgorithm: algorithm, hostKey: rsaKey(made) }, {}, 'handshake', /has not proved/);
    });

  describe('ends, without a word more to the server, when that', () => {
    const cut = (bytes: number) => (data: Buffer) => data.subarray(0, data.length - bytes);
    const flip = (at: number) => (data: Buffer) => {
      const changed = Buffer.from(data);
      changed[at < 0 ? changed.length + at : at]! ^= 1;
      return changed;
    };
    const mlkem = { kex: 'mlkem768x25519-sha256' };
    const gex = { kex: 'diffie-hellman-group-exchange-sha256' };
    const group = { kex: 'diffie-hellman-group14-sha256' };
    const less = (prime: Buffer, by: number) => {
      const number = Buffer.from(prime);
      number[number.length - 1]! -= by;
      return Buffer.concat([Buffer.of(0), number]);
    };
    // The text tells a refusal for this reason from one for a signature that is wrong as well.
    const unproved = /has not proved/;
    const damaged = /host key is damaged/;
    const early = /before the host key was accepted/;
    const cases: readonly [string, Partial<Honest>, Lies, RegExp?][] = [
      ['signs something else', {}, { signature: flip(-1) }, unproved],
      ['has a signature that is cut off', {}, { signature: cut(1) }, unproved],
      ['has bytes behind its signature', {}, { signature: (one) => Buffer.concat([one, Buffer.of(0)]) }, unproved],
      ['has no signature', {}, { signature: () => Buffer.alloc(0) }, unproved],
      [
        'signs with another key than the one it shows',
        {},
        { signature: () => ed25519Key().sign(randomBytes(32)) },
        unproved,
      ],
      ['has bytes behind its key', {}, { hostKey: (blob) => Buffer.concat([blob, Buffer.of(0)]) }, damaged],
      ['has a key that is cut off', {}, { hostKey: cut(1) }, damaged],
      ['has an empty key', {}, { hostKey: () => Buffer.alloc(0) }, /malformed host public key|damaged|does not match/],
      [
        'has a key of another type than agreed on',
        { hostKey: rsaKey('rsa-sha2-512') },
        {},
        /does not match negotiated type/,
      ],
      [
        'has an RSA key of 768 bits',
        { hostKeyAlgorithm: 'rsa-sha2-512', hostKey: rsaKey('rsa-sha2-512', 768) },
        {},
        damaged,
      ],
      ['has a reply that is cut off', {}, { reply: cut(10) }, /malformed KEX/],
      [
        'replies with another message',
        {},
        { reply: (payload) => Buffer.concat([Buffer.of(33), payload.subarray(1)]) },
        /Received packet 33/,
      ],
      ['gives an X25519 value of zero', {}, { answer: () => Buffer.alloc(32) }, /computing DH secret/],
      ['gives an X25519 value that is too short', {}, { answer: cut(1) }, /X25519 value has a wrong length/],
      [
        'gives a point that is not on the curve',
        { kex: 'ecdh-sha2-nistp256' },
        { answer: flip(-1) },
        /computing DH secret/,
      ],
      [
        'gives a compressed point',
        { kex: 'ecdh-sha2-nistp256' },
        { answer: (a) => Buffer.concat([Buffer.of(2), a.subarray(1, 33)]) },
        /wrong form/,
      ],
      ['gives a short ML-KEM answer', mlkem, { answer: cut(1) }, /wrong length/],
      [
        'gives a long ML-KEM answer',
        mlkem,
        { answer: (answer) => Buffer.concat([answer, Buffer.of(0)]) },
        /wrong length/,
      ],
      ['gives no ML-KEM answer', mlkem, { answer: () => Buffer.alloc(0) }, /wrong length/],
      ['gives an ML-KEM answer for another key', mlkem, { answer: flip(0) }, unproved],
      [
        'gives an ML-KEM answer with an X25519 value of zero',
        mlkem,
        { answer: (a) => Buffer.concat([a.subarray(0, 1088), Buffer.alloc(32)]) },
        /failed during derivation|zero/,
      ],
      ['gives the Diffie-Hellman value 0', group, { answer: () => Buffer.alloc(0) }, /out of range/],
      ['gives the Diffie-Hellman value 1', group, { answer: () => Buffer.of(1) }, /out of range/],
      ['gives the Diffie-Hellman value 2', group, { answer: () => Buffer.of(2) }, /trivial/],
      ['gives the Diffie-Hellman value p - 1', group, { answer: () => less(group14, 1) }, /out of range/],
      ['gives the Diffie-Hellman value p', group, { answer: () => less(group14, 0) }, /out of range/],
      ['gives a negative Diffie-Hellman value', group, { answer: () => Buffer.alloc(256, 0xff) }, /out of range/],
      [
        'gives a group of 1024 bits',
        gex,
        { group: { prime: createDiffieHellmanGroup('modp2').getPrime(), generator: Buffer.of(2) } },
        /1024 bits/,
      ],
      ['gives a group of 0 bits', gex, { group: { prime: Buffer.alloc(0), generator: Buffer.of(2) } }, /0 bits/],
      [
        'gives an even group',
        gex,
        { group: { prime: less(group14, 1).subarray(1), generator: Buffer.of(2) } },
        /group is none/,
      ],
      [
        'gives a group with the generator 1',
        gex,
        { group: { prime: group14, generator: Buffer.of(1) } },
        /group is none/,
      ],
      [
        'gives a group with the generator p - 1',
        gex,
        { group: { prime: group14, generator: less(group14, 1) } },
        /group is none/,
      ],
      ['sends a message of authentication before KEXINIT', {}, { beforeKexInit: [Buffer.of(52)] }],
      ['sends nonsense before KEXINIT', {}, { beforeKexInit: [Buffer.of(31, 1, 2, 3)] }, /packet 31 before KEXINIT/],
      ['sends nonsense behind KEXINIT', {}, { afterKexInit: [Buffer.of(31, 1, 2, 3)] }],
      [
        'sends KEXINIT twice',
        {},
        { kexInit: (one) => one, afterKexInit: [Buffer.concat([Buffer.of(20), Buffer.alloc(61)])] },
      ],
      ['sends a KEXINIT that is cut off', {}, { kexInit: cut(20) }],
      ['lets the client in before its key was accepted', {}, { afterNewKeys: [Buffer.of(52)] }, early],
      [
        'begins anew before its key was accepted',
        {},
        { afterNewKeys: [Buffer.concat([Buffer.of(20), Buffer.alloc(61)])] },
        early,
      ],
      [
        'asks to forward before its key was accepted',
        {},
        { afterNewKeys: [Buffer.concat([Buffer.of(90), string('forwarded-tcpip'), Buffer.alloc(40)])] },
        early,
      ],
    ];
    for (const [what, honest, lies, text] of cases) it(what, () => mustRefuse(honest, lies, 'handshake', text));

    it('lets the client in while a person looks at its key', async () => {
      let decide = () => {};
      const looking = new Promise<void>((resolve) => (decide = resolve));
      const server = await startHandMadeServer({ ...curve, hostKey }, { afterNewKeys: [Buffer.of(52)] }, letIn());
      servers.push(server);
      const opened = open(server.port, { verify: () => looking });
      assert.equal((await opened).end?.kind, 'handshake');
      decide();
      await looking;
      assert.ok(!server.heard.includes(5));
    });

    it('is gone when the person has looked at its key', async () => {
      let decide = () => {};
      const server = await startHandMadeServer({ ...curve, hostKey }, {}, letIn());
      servers.push(server);
      const asked = new Promise<void>((resolve) => {
        const opened = open(server.port, {
          verify: () => {
            resolve();
            return new Promise((yes) => (decide = yes));
          },
        });
        void opened.then(({ end }) => assert.equal(end?.kind, 'lost'));
      });
      await asked;
      servers.splice(0);
      await server.close();
      await new Promise((done) => setImmediate(done));
      decide();
      await new Promise((done) => setImmediate(done));
    });

    it('is told no by the person', async () => {
      const refused = new FailureError({ kind: 'cancelled' });
      const { end, authenticated } = await openAt({}, {}, { verify: () => Promise.reject(refused) });
      assert.deepEqual(end, { kind: 'failure', failure: { kind: 'cancelled' } });
      assert.equal(authenticated, 0);
    });

    it('sends random bytes, at any point', async () => {
      const points: readonly ((bytes: Buffer) => Lies)[] = [
        (bytes) => ({ ident: Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), bytes]) }),
        (bytes) => ({ ident: bytes }),
        (bytes) => ({ kexInit: () => Buffer.concat([Buffer.of(20), bytes]) }),
        (bytes) => ({ reply: () => Buffer.concat([Buffer.of(31), bytes]) }),
        (bytes) => ({ reply: (payload) => Buffer.concat([payload.subarray(0, 60), bytes]) }),
        (bytes) => ({ hostKey: () => bytes }),
        (bytes) => ({ hostKey: (blob) => Buffer.concat([blob.subarray(0, 15), bytes]) }),
        (bytes) => ({ signature: () => bytes }),
        (bytes) => ({ signature: () => Buffer.concat([string('ssh-ed25519'), string(bytes)]) }),
        (bytes) => ({ answer: () => bytes }),
        (bytes) => ({ afterNewKeys: [Buffer.concat([Buffer.of(60), bytes])] }),
      ];
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...points),
          fc.uint8Array({ minLength: 1, maxLength: 300 }),
          fc.constantFrom('curve25519-sha256', 'mlkem768x25519-sha256', 'diffie-hellman-group14-sha256'),
          async (point, bytes, kex) => {
            const server = await startHandMadeServer({ ...curve, kex, hostKey }, point(Buffer.from(bytes)), letIn());
            // What looks like the beginning of a long packet is waited for; the peer ends that.
            const impatient = setTimeout(() => void server.close(), 500);
            const { end, authenticated } = await open(server.port, {});
            clearTimeout(impatient);
            assert.ok(end, 'it was accepted');
            assert.equal(authenticated, 0);
            await server.close().catch(() => {});
          },
        ),
        { numRuns: 60 },
      );
      assert.deepEqual(stray, []);
    });
  });

  describe('lists both sides when nothing is in common', () => {
    const init = (at: number, names: string) => (payload: Buffer) => {
      const lists: Buffer[] = [];
      for (let from = 17; lists.length < 10; from += 4 + lists.at(-1)!.length)
        lists.push(payload.subarray(from + 4, from + 4 + payload.readUInt32BE(from)));
      lists[at] = Buffer.from(names);
      return Buffer.concat([payload.subarray(0, 17), ...lists.map(string), Buffer.alloc(5)]);
    };
    const theirs = ['made-up@example.org', 'another'];
    for (const [at, use, asked] of [
      [0, 'kex', ['curve25519-sha256', 'ecdh-sha2-nistp256']],
      [1, 'hostKey', ['rsa-sha2-256', 'ssh-ed25519']],
      [2, 'cipher', ['aes256-ctr', 'aes128-ctr']],
      [3, 'cipher', ['aes256-ctr', 'aes128-gcm@openssh.com']],
    ] as const)
      it(`of ${use} (list ${at})`, async () => {
        const lie = { kexInit: init(at, theirs.join()) };
        const { end } = await openAt({}, lie, { algorithms: { cipher: ['aes128-gcm@openssh.com'], [use]: asked } });
        assert.deepEqual(end, { kind: 'noCommonAlgorithm', use, ours: asked, theirs });
      });

    it('of MACs, with what is not printable left out of a server’s names', async () => {
      const both = (payload: Buffer) => init(4, 'ev\u001bil,b')(init(3, 'aes128-ctr')(init(2, 'aes128-ctr')(payload)));
      const { end } = await openAt(
        {},
        { kexInit: both },
        { algorithms: { cipher: ['aes128-ctr'], mac: ['hmac-sha2-512'] } },
      );
      const { theirs, ...rest } = end as DialEnd & { kind: 'noCommonAlgorithm' };
      assert.deepEqual(rest, { kind: 'noCommonAlgorithm', use: 'mac', ours: ['hmac-sha2-512'] });
      assert.equal(theirs.length, 2);
      assert.doesNotMatch(theirs.join(), /\u001b/);
    });

    it('and destroys the socket before a byte is sent when ssh_config leaves nothing to offer', async () => {
      const seen: Buffer[] = [];
      const server = createServer((socket) =>
        socket.on('data', (data: Buffer) => seen.push(data)).on('error', () => {}),
      );
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { end } = await open((server.address() as AddressInfo).port, {
        algorithms: { kex: ['sntrup761x25519-sha512'] },
      });
      const { possible, ...rest } = end as DialEnd & { kind: 'nothingToOffer' };
      assert.deepEqual(rest, { kind: 'nothingToOffer', use: 'kex', asked: ['sntrup761x25519-sha512'] });
      assert.ok(possible.includes('curve25519-sha256'));
      await new Promise((closed) => server.close(closed));
      assert.deepEqual(seen, []);
    });
  });

  describe('is followed by the keys that a server says it has', () => {
    const second = ed25519Key();
    const rsa = rsaKey('rsa-sha2-512');
    const announce = (
      blobs: readonly Buffer[],
      prove: (session: HandMadeSession, asked: Buffer[]) => Promise<void> | void,
    ) =>
      letIn(async (session) => {
        session.send(
          Buffer.concat([Buffer.of(80), string('hostkeys-00@openssh.com'), Buffer.of(0), ...blobs.map(string)]),
        );
        const request = await session.read();
        const asked: Buffer[] = [];
        const from = 1 + 4 + 'hostkeys-prove-00@openssh.com'.length + 1;
        for (let at = from; at < request.length; at += 4 + asked.at(-1)!.length)
          asked.push(request.subarray(at + 4, at + 4 + request.readUInt32BE(at)));
        await prove(session, asked);
      });
    const data = (session: HandMadeSession, blob: Buffer) =>
      Buffer.concat([string('hostkeys-prove-00@openssh.com'), string(session.sessionId), string(blob)]);
    const answer = (session: HandMadeSession, proofs: readonly Buffer[]) =>
      session.send(Buffer.concat([Buffer.of(81), ...proofs.map(string)]));
    const provedBy = async (
      serve: (session: HandMadeSession) => Promise<void>,
      until: (proved: Buffer[][]) => void,
    ) => {
      const server = await startHandMadeServer({ ...curve, hostKey }, {}, serve);
      servers.push(server);
      const proved: Buffer[][] = [];
      const { session } = await open(server.port, {
        hostKeysNamed: (blobs, prove) => {
          const asked = provableKeys(blobs);
          if (asked.length > 0) void prove(asked).then((sound) => sound.length > 0 && proved.push([...sound]));
        },
      });
      assert.ok(session);
      await eventually(() => until(proved));
      return { proved, session };
    };

    it('as far as it proves them', async () => {
      const strange = Buffer.concat([string('ssh-mldsa-87'), string(randomBytes(100))]);
      const certificate = Buffer.concat([string('ssh-ed25519-cert-v01@openssh.com'), string(randomBytes(32))]);
      const privateFile = Buffer.from('-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n');
      const named = [hostKey.blob, strange, second.blob, certificate, Buffer.alloc(0), privateFile, rsa.blob];
      let asked: Buffer[] = [];
      await provedBy(
        announce(named, (session, blobs) => {
          asked = blobs;
          answer(session, [
            hostKey.sign(data(session, hostKey.blob)),
            hostKey.sign(data(session, second.blob)),
            rsa.sign(data(session, rsa.blob)),
          ]);
        }),
        (proved) => assert.deepEqual(proved, [[hostKey.blob, rsa.blob]]),
      );
      assert.deepEqual(asked, [hostKey.blob, second.blob, rsa.blob]);
    });

    const unproved: readonly [string, readonly Buffer[], (session: HandMadeSession) => void][] = [
      ['it refuses to prove', [hostKey.blob], (session) => session.send(Buffer.of(82))],
      [
        'it proves for another session',
        [hostKey.blob],
        (session) => answer(session, [hostKey.sign(data({ ...session, sessionId: randomBytes(32) }, hostKey.blob))]),
      ],
      [
        'it proves too few',
        [hostKey.blob, second.blob],
        (session) => answer(session, [hostKey.sign(data(session, hostKey.blob))]),
      ],
      ['it proves with nothing', [hostKey.blob], (session) => answer(session, [])],
      [
        'it proves with noise',
        [hostKey.blob],
        (session) => session.send(Buffer.concat([Buffer.of(81), randomBytes(50)])),
      ],
    ];
    for (const [what, blobs, prove] of unproved)
      it(`but for none where ${what}, and goes on`, async () => {
        let isOver = false;
        const { proved, session } = await provedBy(
          announce(blobs, async (session) => {
            prove(session);
            // The answer to what comes next shows that the client has seen the proofs.
            session.send(Buffer.concat([Buffer.of(80), string('keepalive@openssh.com'), Buffer.of(1)]));
            for (;;) if ((await session.read())[0] === 82) break;
            isOver = true;
            for (;;) await session.read();
          }),
          () => assert.equal(isOver, true),
        );
        assert.deepEqual(proved, []);
        let ended = false;
        session.onEnd(() => (ended = true));
        assert.equal(ended, false);
      });

    it('but not when it names one twice: that is asked for nothing', async () => {
      let replied: number | undefined;
      await provedBy(
        letIn(async (session) => {
          for (const blobs of [[second.blob, second.blob]])
            session.send(
              Buffer.concat([Buffer.of(80), string('hostkeys-00@openssh.com'), Buffer.of(0), ...blobs.map(string)]),
            );
          session.send(Buffer.concat([Buffer.of(80), string('keepalive@openssh.com'), Buffer.of(1)]));
          replied = (await session.read())[0];
        }),
        () => assert.equal(replied, 82),
      );
    });
  });
});

describe('the numbers of Diffie-Hellman', () => {
  for (const name of ['modp2', 'modp14', 'modp15', 'modp16', 'modp17', 'modp18'])
    it(`are those of node:crypto for ${name}`, () => {
      const theirs = createDiffieHellmanGroup(name);
      const ours = namedGroupHalf(name);
      assert.deepEqual(ours.getPrime(), theirs.getPrime());
      assert.deepEqual(ours.getGenerator(), theirs.getGenerator());
      const secret = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`);
      const answer = theirs.generateKeys();
      assert.equal(secret(ours.computeSecret(answer)), secret(theirs.computeSecret(ours.generateKeys())));
    });

  it('take no longer than the blink of an eye, for 8192 bits too', () => {
    const prime = createDiffieHellmanGroup('modp18').getPrime();
    const began = performance.now();
    const half = groupHalf(prime, Buffer.of(2));
    half.computeSecret(half.generateKeys());
    assert.ok(performance.now() - began < 2_000);
  });

  it('are not the same twice', () => {
    assert.notDeepEqual(namedGroupHalf('modp14').generateKeys(), namedGroupHalf('modp14').generateKeys());
  });

  it('are refused at the bounds, as OpenSSH does', () => {
    const prime = generatePrimeSync(256, { safe: false });
    const number = BigInt(`0x${Buffer.from(prime).toString('hex')}`);
    const bytes = (value: bigint) => {
      const hex = value.toString(16);
      return mpint(Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')).subarray(4);
    };
    const check = (value: bigint) =>
      checkAnswer('diffie-hellman-group14-sha256', bytes(value), {
        prime: Buffer.concat([Buffer.of(0), Buffer.from(prime)]),
      });
    for (const value of [0n, 1n, number - 1n, number, number + 1n, number * 2n]) assert.throws(() => check(value));
    for (const value of [15n, number - 2n, number / 2n]) check(value);
    for (const value of [2n, 3n, 7n, 1n << 200n]) assert.throws(() => check(value), /trivial/);
    const group = (bits: number) => Buffer.concat([Buffer.of(0), Buffer.alloc(bits / 8, 0xff)]);
    checkGroup(group(2048), Buffer.of(2), 2048, 8192);
    checkGroup(group(8192), Buffer.of(2), 2048, 8192);
    for (const bits of [1024, 2040, 8200, 16_384])
      assert.throws(() => checkGroup(group(bits), Buffer.of(2), 2048, 8192));
  });
});

describe('ML-KEM', () => {
  it('is that of FIPS 203, by the accumulated vectors of c2sp.org/CCTV/ML-KEM', () => {
    const inputs = shake128.create({});
    const outputs = shake128.create({});
    for (let round = 0; round < 100; round++) {
      const { publicKey, secretKey } = ml_kem768.keygen(inputs.xof(64));
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, inputs.xof(32));
      assert.deepEqual(ml_kem768.decapsulate(cipherText, secretKey), sharedSecret);
      outputs.update(publicKey).update(cipherText).update(sharedSecret);
      outputs.update(ml_kem768.decapsulate(inputs.xof(1088), secretKey));
    }
    const sum = Buffer.from(outputs.xof(32)).toString('hex');
    assert.equal(sum, '1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415');
  });

  it('throws for random answers of any length, and never shares a secret with itself', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1300 }), (bytes) => {
        fc.pre(bytes.length !== 1120);
        assert.throws(() => startHybrid().secret(Buffer.from(bytes)));
      }),
      { numRuns: 20 },
    );
  });

  it('sends a key of ML-KEM and one of X25519, new ones each time', () => {
    const [one, other] = [startHybrid().publicValue, startHybrid().publicValue];
    assert.equal(one.length, 1184 + 32);
    assert.notDeepEqual(one.subarray(0, 1184), other.subarray(0, 1184));
    assert.notDeepEqual(one.subarray(1184), other.subarray(1184));
    assert.notEqual(createHash('sha256').update(one).digest('hex'), createHash('sha256').update(other).digest('hex'));
  });
});
