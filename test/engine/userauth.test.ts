import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineEvent } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import { failureText } from '../../src/core/wording.js';
import { parsePublicLine } from '../../src/core/userKey.js';
import { createAuthentication } from '../../src/engine/authentication.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { resolveRoute } from '../../src/engine/sshFiles.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { framed, identitiesAnswer, startFakeAgent, uint32 } from '../support/fakeAgent.js';
import { startHandMadeServer, string, type HandMadeSession } from '../support/handMadeServer.js';
import { freePort, keygen, publicKey, startSshd } from '../support/sshd.js';

const { publicKey: point, privateKey } = generateKeyPairSync('ed25519');
const hostKey = {
  blob: Buffer.concat([string('ssh-ed25519'), string(point.export({ format: 'der', type: 'spki' }).subarray(-32))]),
  sign: (data: Buffer) => Buffer.concat([string('ssh-ed25519'), string(sign(null, data, privateKey))]),
};
const honest = { kex: 'curve25519-sha256', hostKeyAlgorithm: 'ssh-ed25519', hostKey };

const failure = (methods: string) => Buffer.concat([Buffer.of(51), string(methods), Buffer.of(0)]);
const disconnect = (text: string) => Buffer.concat([Buffer.of(1), uint32(2), string(text), string('')]);
const debug = (text: string) => Buffer.concat([Buffer.of(4, 1), string(text), string('')]);

const ended = new AbortController().signal;

describe('a login', () => {
  let heldBefore: string[];
  let folder: string;
  const closers: (() => unknown)[] = [];
  before(() => {
    heldBefore = heldResources();
    folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-'));
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const start = async (port: number, known: string, user: string, lines: readonly string[]): Promise<EngineProbe> => {
    const set = new Set(lines.map((line) => line.split(' ', 1)[0]));
    const more = ['IdentityAgent none', 'IdentityFile none'].filter((line) => !set.has(line.split(' ', 1)[0]));
    const config = join(folder, 'config');
    writeFileSync(join(folder, 'known'), known);
    const way = ['HostName 127.0.0.1', `Port ${port}`, `User ${user}`];
    const files = [`UserKnownHostsFile ${join(folder, 'known')}`, 'GlobalKnownHostsFile /dev/null', ''];
    writeFileSync(config, ['Host web01', ...lines, ...more, ...way, ...files].join('\n'), { mode: 0o600 });
    const engine = probe(createEngine());
    closers.push(() => engine.close());
    engine.engine.apply({
      connections: [planned('web01', [`-L ${await freePort()}:127.0.0.1:1`], { configFile: config })],
    });
    return engine;
  };
  const outcome = async (engine: EngineProbe): Promise<Failure | undefined> => {
    const isEnd = ({ kind }: EngineEvent) => kind === 'connected' || kind === 'connectionFailed';
    await eventually(() => assert.ok(engine.events.some(isEnd)), 15_000);
    const end = engine.events.find(isEnd)!;
    return end.kind === 'connectionFailed' ? end.failure : undefined;
  };
  /** `answer` gets each request to log in, `none` first. */
  const reach = async (
    answer: (request: Buffer, session: HandMadeSession) => void,
    lines: readonly string[] = [],
  ): Promise<EngineProbe> => {
    const server = await startHandMadeServer(honest, {}, async (session) => {
      for (;;) {
        const message = await session.read();
        if (message[0] === 5) session.send(Buffer.concat([Buffer.of(6), string('ssh-userauth')]));
        if (message[0] === 50 || message[0] === 61) answer(message, session);
      }
    });
    closers.push(() => server.close());
    return start(server.port, `* ssh-ed25519 ${hostKey.blob.toString('base64')}\n`, 'ann', lines);
  };
  const isNone = (request: Buffer) => request.includes(string('none'));

  it('is refused in the server’s own words where it says goodbye', async () => {
    const found = await outcome(await reach((_, { send }) => send(disconnect('no room'))));
    assert.ok(found?.kind === 'authFailed');
    assert.equal(found.detail, 'no room');
    assert.match(failureText(found), /It said: no room\. /);
  });

  for (const [title, message] of [
    ['a damaged question', Buffer.concat([Buffer.of(60), string('')])],
    ['a damaged refusal', Buffer.of(51, 0, 0, 0, 9)],
  ] as const)
    it(`breaks off with ${title}, in words that are not the server’s`, async () => {
      const answer = (request: Buffer, { send }: HandMadeSession) =>
        send(isNone(request) && title === 'a damaged question' ? failure('keyboard-interactive') : message);
      const found = await outcome(await reach(answer));
      assert.ok(found?.kind === 'connectionLost', JSON.stringify(found));
      assert.equal(found.reason, 'reset');
      assert.match(failureText(found), /^The connection to web01 broke \(.*Malformed/);
    });

  it('takes no memory for questions that a server only claims', async () => {
    const claimed = Buffer.concat([Buffer.of(60), string(''), string(''), string(''), uint32(2 ** 25 - 1), Buffer.alloc(5)]); // prettier-ignore
    // Kilobytes; what 2^25 places in an array take is 256 MB.
    const before = process.resourceUsage().maxRSS;
    const engine = await reach((request, { send }) => send(isNone(request) ? failure('keyboard-interactive') : claimed)); // prettier-ignore
    const found = await outcome(engine);
    assert.equal(found?.kind, 'connectionLost');
    const grown = process.resourceUsage().maxRSS - before;
    assert.ok(grown < 100_000, `${grown} KB more`);
  });

  it('logs some of what a server says for debugging, and not thousands', async () => {
    const engine = await reach((_, { send }) => {
      for (let count = 0; count < 2_000; count++) send(debug(`word ${count}`));
      send(failure('publickey'));
    });
    await outcome(engine);
    const logged = engine.events.flatMap((event) => (event.kind === 'logged' ? [event.text] : []));
    assert.equal(logged.filter((text) => /: "word \d+"$/.test(text)).length, 100);
    assert.equal(logged.filter((text) => text.includes('left out')).length, 1);
  });

  it('goes on with the next key where one is longer than a message', async () => {
    const long = Buffer.concat([string('ssh-rsa'), string(Buffer.of(1, 0, 1)), string(Buffer.alloc(40_000, 1))]);
    const short = Buffer.concat([string('ssh-ed25519'), string(Buffer.alloc(32, 1))]);
    const agent = await startFakeAgent((request, socket) =>
      socket.write(request[0] === 11 ? identitiesAnswer(long, short) : framed(5)),
    );
    closers.push(() => agent.close());
    let isOffered = false;
    const answer = (request: Buffer, { send }: HandMadeSession) => {
      isOffered ||= request.includes(short);
      send(failure('publickey'));
    };
    const found = await outcome(await reach(answer, [`IdentityAgent ${agent.socketPath}`]));
    assert.ok(found?.kind === 'authFailed');
    assert.ok(isOffered);
    assert.deepEqual(found.notes, [{ kind: 'keyTooLong', key: 'ssh-rsa (agent)' }]);
  });

  it('opens an encrypted key once, as long as its file stays the same', async () => {
    const path = join(folder, 'encrypted');
    const config = join(folder, 'encrypted-config');
    writeFileSync(config, `Host web01\nIdentityFile ${path}\nIdentityAgent none\nUser ann\n`, { mode: 0o600 });
    const { destination } = planned('web01', []).host;
    const secrets = new Map<string, string>();
    /** How often a passphrase was asked for, by a server that wants the signature. */
    const logIn = async (): Promise<number> => {
      const [host] = await resolveRoute({ destination, options: [], configFile: config }, ended, () => {});
      let asked = 0;
      const authentication = createAuthentication({
        config: host!,
        ask: () => {
          asked++;
          return Promise.resolve({ kind: 'secret', secret: 'open sesame' });
        },
        atLeisure: (work) => work(),
        serverSaid() {},
        secrets,
        isUnattended: false,
        log() {},
      });
      let isSigned = false;
      const blob = parsePublicLine(readFileSync(`${path}.pub`, 'utf8'))!.blob;
      await authentication.run({
        user: 'ann',
        sessionId: Buffer.alloc(32),
        serverAlgorithms: undefined,
        binding: undefined,
        ended,
        send(payload, method) {
          if (method === 'none') return Promise.resolve({ kind: 'failure', methods: ['publickey'], partial: false });
          isSigned = payload.includes(Buffer.concat([string('publickey'), Buffer.of(1)]));
          return Promise.resolve(isSigned ? { kind: 'success' } : { kind: 'keyOk', algorithm: 'ssh-ed25519', blob });
        },
      });
      assert.ok(isSigned);
      return asked;
    };
    keygen(path, '-a', '1', '-N', 'open sesame');
    assert.equal(await logIn(), 1);
    // Without the passphrase, only the opened key can be used.
    for (const name of secrets.keys()) if (name.startsWith('passphrase')) secrets.delete(name);
    assert.equal(await logIn(), 0);
    for (const file of [path, `${path}.pub`]) rmSync(file);
    keygen(path, '-a', '1', '-N', 'open sesame');
    assert.equal(await logIn(), 1);
  });

  it('says that RSA with SHA-1 is not used, where ssh would go on to it', async () => {
    const path = join(folder, 'rsa');
    keygen(path, '-t', 'rsa', '-b', '2048');
    const notes = async (...lines: readonly string[]) => {
      const engine = await reach((_, { send }) => send(failure('publickey')), [`IdentityFile ${path}`, ...lines]);
      const found = await outcome(engine);
      assert.ok(found?.kind === 'authFailed');
      return found.notes;
    };
    const note = { kind: 'keyNotAllowed', key: path, wantsSha1: true };
    assert.deepEqual(await notes('PubkeyAcceptedAlgorithms +ssh-rsa'), [note]);
    assert.deepEqual(await notes('PubkeyAcceptedAlgorithms ssh-rsa'), [note]);
    assert.deepEqual(await notes('PubkeyAcceptedAlgorithms ssh-ed25519'), [{ kind: 'keyNotAllowed', key: path }]);
    assert.deepEqual(await notes(), []);
    const short = { kind: 'keyTooShort', key: path, bits: 2048, least: 3072 };
    assert.deepEqual(await notes('RequiredRSASize 3072'), [short]);
  });

  it('says that nobody was asked in BatchMode', async () => {
    const found = await outcome(await reach((_, { send }) => send(failure('password')), ['BatchMode yes']));
    assert.ok(found?.kind === 'authFailed');
    assert.match(failureText(found), /BatchMode in ssh_config lets nobody be asked/);
  });

  it('says what helps where a server gives up at one of several keys, and does not say it at the last', async () => {
    const sshd = await startSshd({ config: ['MaxAuthTries 2'] });
    closers.push(() => sshd.stop());
    const paths = [1, 2, 3].map((count) => join(folder, `key-${count}`));
    for (const path of paths) keygen(path);
    const tryKeys = async (count: number) => {
      const lines = [
        ...paths.slice(0, count).map((path) => `IdentityFile ${path}`),
        'PreferredAuthentications publickey',
      ];
      return start(sshd.port, readFileSync(sshd.knownHostsPath, 'utf8'), sshd.user, lines);
    };
    const found = await outcome(await tryKeys(3));
    assert.ok(found?.kind === 'authFailed');
    assert.deepEqual(found.tried, paths.slice(0, 2));
    assert.match(
      failureText(found),
      /Too many authentication failures.*IdentityFile in ssh_config, and set IdentitiesOnly/,
    );
    const last = await outcome(await tryKeys(2));
    assert.ok(last?.kind === 'authFailed');
    assert.match(failureText(last), /Check the user name/);
    appendFileSync(sshd.authorizedKeysPath, `${publicKey(`${paths[1]!}.pub`)}\n`);
    assert.equal(await outcome(await tryKeys(3)), undefined);
  });
});
