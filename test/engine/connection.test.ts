import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ask, Reply } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startHandMadeServer, string, type HandMadeServer } from '../support/handMadeServer.js';
import { freePort, keygen, lockKey, startSshd, type Sshd } from '../support/sshd.js';
import { addSystemUser, whyNoSystemUser } from '../support/systemUser.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';

type Options = readonly (readonly [string, string])[];

describe('a connection', () => {
  let sshd: Sshd;
  let service: Target;
  let heldBefore: string[];
  const engines: EngineProbe[] = [];
  const servers: Server[] = [];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    service = await startTarget(echo);
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    for (const server of servers.splice(0)) server.close();
  });
  after(async () => {
    await service.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  /** Options that reach the server without any file of the user; later ones of the same name are dropped. */
  const reach = (...first: Options): Options => [
    ...first,
    ['HostName', '127.0.0.1'],
    ['Port', String(sshd.port)],
    ['User', sshd.user],
    ...(first.some(([keyword]) => keyword === 'IdentityFile') ? [] : [['IdentityFile', sshd.keyPath] as const]),
    ['IdentityAgent', 'none'],
    ['UserKnownHostsFile', sshd.knownHostsPath],
    ['GlobalKnownHostsFile', '/dev/null'],
  ];

  async function start(options: Options, answer?: (ask: Ask) => Reply): Promise<{ engine: EngineProbe; port: number }> {
    const port = await freePort();
    const engine = probe(createEngine(), answer);
    engines.push(engine);
    const forwards = [`-L ${port}:127.0.0.1:${service.port}`];
    engine.engine.apply({ connections: [planned('web01', forwards, { configFile: 'none', options })] });
    return { engine, port };
  }
  async function comesUp(options: Options, answer?: (ask: Ask) => Reply): Promise<EngineProbe> {
    const { engine, port } = await start(options, answer);
    await Promise.race([
      engine.next('listening'),
      failedOf(engine).then((failure) => assert.fail(failureText(failure))),
    ]);
    assert.equal((await exchange(port, Buffer.from('hello'))).received.toString(), 'hello');
    return engine;
  }
  async function failedOf(engine: EngineProbe): Promise<Failure> {
    for (;;) {
      const failed = engine.events.find((event) => event.kind === 'connectionFailed');
      if (failed) return failed.failure;
      if (engine.events.some(({ kind }) => kind === 'listening')) return new Promise(() => {});
      await sleep(20);
    }
  }
  async function fails(
    options: Options,
    answer?: (ask: Ask) => Reply,
  ): Promise<{ failure: Failure; text: string; engine: EngineProbe }> {
    const { engine, port } = await start(options, answer);
    const { failure } = await engine.next('connectionFailed', 15_000);
    assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    return { failure, text: failureText(failure), engine };
  }
  const asksOf = (engine: EngineProbe) => engine.events.flatMap((event) => (event.kind === 'asked' ? [event.ask] : []));
  const file = (name: string) => join(sshd.folder, name);
  const logSince = () => {
    const length = sshd.log().length;
    return () => sshd.log().slice(length);
  };

  describe('to a server that lets in and hangs up', () => {
    const made: HandMadeServer[] = [];
    afterEach(async () => {
      for (const server of made.splice(0)) await server.close();
    });
    /** `after`: messages that come in one piece with the word that it lets in. */
    async function reachStrange(...after: readonly Buffer[]): Promise<EngineProbe> {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
      const hostKey = {
        blob: Buffer.concat([string('ssh-ed25519'), string(point)]),
        sign: (data: Buffer) => Buffer.concat([string('ssh-ed25519'), string(sign(null, data, privateKey))]),
      };
      const honest = { kex: 'curve25519-sha256', hostKeyAlgorithm: 'ssh-ed25519', hostKey };
      const server = await startHandMadeServer(honest, {}, async (session) => {
        for (;;) {
          const [kind] = await session.read();
          if (kind === 5) session.send(Buffer.concat([Buffer.of(6), string('ssh-userauth')]));
          if (kind === 50) session.send(Buffer.of(52), ...after);
        }
      });
      made.push(server);
      writeFileSync(file('strange'), `* ssh-ed25519 ${hostKey.blob.toString('base64')}\n`);
      const { engine } = await start(reach(['Port', String(server.port)], ['UserKnownHostsFile', file('strange')]));
      return engine;
    }
    const disconnect = (reason: number) =>
      Buffer.concat([Buffer.of(1, 0, 0, 0, reason), string('no room'), string('')]);

    it('is lost though its end comes with the word that it is let in', async () => {
      const engine = await reachStrange(disconnect(2));
      const { failure } = await engine.next('connectionLost');
      assert.deepEqual(engine.kinds().slice(0, 3), ['connecting', 'connected', 'connectionLost']);
      assert.deepEqual(failure, { kind: 'connectionLost', host: 'web01', reason: 'disconnected', detail: 'no room' });
    });

    it('is tried again after longer and longer', async () => {
      const engine = await reachStrange(disconnect(11));
      const attempts: number[] = [];
      for (let count = 0; count < 4; count++) attempts.push((await engine.next('connectionLost')).attempt);
      assert.deepEqual(attempts, [1, 2, 3, 4]);
      assert.equal(engine.kinds().filter((kind) => kind === 'connected').length, 4);
    });
  });

  describe('checks the host key', () => {
    it('and connects without a word when known_hosts has it', async () => {
      assert.deepEqual(asksOf(await comesUp(reach())), []);
    });

    it('and asks with the fingerprint that ssh-keygen prints when it is unknown', async () => {
      const engine = await comesUp(reach(['UserKnownHostsFile', file('new/known')]), () => ({
        kind: 'hostKey',
        accept: 'once',
      }));
      const [ask] = asksOf(engine);
      const printed = execFileSync('ssh-keygen', ['-lf', `${sshd.hostKeyPath}.pub`], { encoding: 'utf8' }).split(
        ' ',
      )[1];
      assert.ok(ask?.kind === 'hostKey');
      assert.equal(ask.fingerprint, printed);
      assert.equal(ask.host, `[127.0.0.1]:${sshd.port}`);
      assert.equal(ask.keyType, 'ssh-ed25519');
      assert.equal(existsSync(file('new/known')), false);
    });

    for (const hashed of ['no', 'yes'])
      it(`and remembers it where ssh-keygen -F finds it (HashKnownHosts ${hashed})`, async () => {
        const path = file(`remembered-${hashed}`);
        writeFileSync(path, '# no end of line', { mode: 0o600 });
        await comesUp(reach(['UserKnownHostsFile', path], ['HashKnownHosts', hashed]), () => ({
          kind: 'hostKey',
          accept: 'remember',
        }));
        const found = execFileSync('ssh-keygen', ['-F', `[127.0.0.1]:${sshd.port}`, '-f', path], { encoding: 'utf8' });
        assert.match(found, /found: line 2/);
        assert.equal(readFileSync(path, 'utf8').includes('127.0.0.1'), hashed === 'no');
        assert.equal(statSync(path).mode & 0o777, 0o600);
        assert.deepEqual(asksOf(await comesUp(reach(['UserKnownHostsFile', path]))), []);
      });

    it('and stops when the person says no, before any key or password was offered', async () => {
      const log = logSince();
      const { failure } = await fails(reach(['UserKnownHostsFile', file('none')]), () => ({ kind: 'cancel' }));
      assert.deepEqual(failure, { kind: 'cancelled' });
      await sleep(200);
      assert.doesNotMatch(log(), /userauth-request for user|Accepted/);
    });

    it('and refuses a changed key without asking, names file and line, and sends no secret', async () => {
      keygen(file('other'));
      const other = readFileSync(file('other.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
      writeFileSync(file('changed'), `# a comment\n[127.0.0.1]:${sshd.port} ${other}\n`);
      const log = logSince();
      for (const strict of ['ask', 'accept-new', 'no', 'yes']) {
        const { failure, text, engine } = await fails(
          reach(['UserKnownHostsFile', file('changed')], ['StrictHostKeyChecking', strict]),
        );
        assert.equal(failure.kind, 'hostKeyChanged');
        assert.match(text, /has changed.*line 2 of .*changed/);
        assert.deepEqual(asksOf(engine), []);
      }
      await sleep(200);
      assert.doesNotMatch(log(), /userauth-request for user|Accepted/);
    });

    it('and does not take the time of a KnownHostsCommand for the network’s', async () => {
      const path = file('slow-command');
      writeFileSync(path, `#!/bin/sh\nsleep 1.2\ncat ${sshd.knownHostsPath}\n`, { mode: 0o700 });
      const options: Options = [['ConnectTimeout', '1'], ['KnownHostsCommand', path], ['UserKnownHostsFile', file('none')]]; // prettier-ignore
      assert.deepEqual(asksOf(await comesUp(reach(...options))), []);
    });

    it('and refuses a revoked key', async () => {
      const mine = readFileSync(sshd.knownHostsPath, 'utf8');
      writeFileSync(file('revoked'), `${mine}@revoked * ${mine.split(' ').slice(1).join(' ')}`);
      assert.equal((await fails(reach(['UserKnownHostsFile', file('revoked')]))).failure.kind, 'hostKeyRevoked');
    });

    it('and with StrictHostKeyChecking yes refuses an unknown one without asking', async () => {
      const { text, engine } = await fails(
        reach(['UserKnownHostsFile', file('none')], ['StrictHostKeyChecking', 'yes']),
      );
      assert.match(text, /is not known .*StrictHostKeyChecking/);
      assert.deepEqual(asksOf(engine), []);
    });

    it('and with accept-new stores an unknown one without asking', async () => {
      await comesUp(reach(['UserKnownHostsFile', file('accepted')], ['StrictHostKeyChecking', 'accept-new']));
      assert.match(readFileSync(file('accepted'), 'utf8'), /ssh-ed25519/);
    });

    it('and asks in BatchMode nobody, but refuses', async () => {
      const { failure, engine } = await fails(reach(['UserKnownHostsFile', file('none')], ['BatchMode', 'yes']));
      assert.equal(failure.kind, 'hostKeyUnknown');
      assert.deepEqual(asksOf(engine), []);
    });

    it('and asks the server for the type of key that is known, so that the host does not look new', async () => {
      execFileSync('ssh-keygen', ['-q', '-t', 'ecdsa', '-N', '', '-f', file('host_ecdsa')]);
      const two = await startSshd({ config: [`HostKey ${file('host_ecdsa')}`] });
      try {
        const key = readFileSync(file('host_ecdsa.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
        writeFileSync(file('ecdsa'), `[127.0.0.1]:${two.port} ${key}\n`);
        const options: Options = [
          ['Port', String(two.port)],
          ['IdentityFile', two.keyPath],
          ['UserKnownHostsFile', file('ecdsa')],
        ];
        assert.deepEqual(asksOf(await comesUp(reach(...options))), []);
        await engines.pop()!.close();
      } finally {
        await two.stop();
      }
    });

    it('and accepts once for as long as the tunnel is wanted: a reconnect asks nobody', async () => {
      const engine = await comesUp(reach(['UserKnownHostsFile', file('once')]), () => ({
        kind: 'hostKey',
        accept: 'once',
      }));
      sshd.killSessions();
      await engine.next('connectionLost');
      await engine.next('connected');
      assert.equal(asksOf(engine).length, 1);
      assert.equal(existsSync(file('once')), false);
    });

    it('and knows one that is stored without its port, as ssh does', async () => {
      const key = readFileSync(sshd.knownHostsPath, 'utf8').split(' ').slice(1).join(' ');
      writeFileSync(file('portless'), `127.0.0.1 ${key}`);
      await comesUp(reach(['UserKnownHostsFile', file('portless')], ['StrictHostKeyChecking', 'yes']));
    });

    it('and withdraws its question when the server has not waited for the answer', async () => {
      const hasty = await startSshd({ config: ['LoginGraceTime 1'] });
      try {
        const options = reach(['Port', String(hasty.port)], ['UserKnownHostsFile', file('none')]);
        const { engine } = await start(options);
        const { ask } = await engine.next('asked');
        await engine.next('connectionFailed');
        assert.ok(engine.events.some((event) => event.kind === 'askSettled' && event.id === ask.id));
        engine.engine.answer(ask.id, { kind: 'hostKey', accept: 'remember' });
        await sleep(100);
        assert.equal(existsSync(file('none')), false);
        await engines.pop()!.close();
      } finally {
        await hasty.stop();
      }
    });

    it('and goes no further when it was stopped while known_hosts was read', async () => {
      execFileSync('mkfifo', [file('slow_known_hosts')]);
      const log = logSince();
      const { engine } = await start(reach(['UserKnownHostsFile', file('slow_known_hosts')]));
      await engine.next('connecting');
      // Open as soon as somebody reads it.
      const writer = await open(file('slow_known_hosts'), 'w');
      engine.engine.apply({ connections: [] });
      await engine.next('connectionClosed');
      await writer.close();
      await sleep(300);
      assert.doesNotMatch(log(), /Connection from 127\.0\.0\.1/);
    });

    it('and fails when a known_hosts file can’t be read, rather than take the host for new', async () => {
      const { text } = await fails(reach(['UserKnownHostsFile', sshd.folder]));
      assert.match(text, /can’t be read \(EISDIR\)/);
    });
  });

  describe('authenticates', () => {
    it('with a key file', async () => {
      await comesUp(reach());
    });

    for (const type of ['ed25519', 'ecdsa', 'rsa'])
      for (const format of ['OpenSSH', 'PEM'])
        it(`with an encrypted ${type} key in ${format} form, asking for its passphrase once`, async function () {
          if (type === 'ed25519' && format === 'PEM') this.skip();
          const path = file(`encrypted-${type}-${format}`);
          execFileSync('ssh-keygen', [
            '-q',
            '-t',
            type,
            '-N',
            'open sesame',
            '-f',
            path,
            ...(format === 'PEM' ? ['-m', 'PEM'] : []),
          ]);
          appendFileSync(sshd.authorizedKeysPath, readFileSync(`${path}.pub`));
          if (format === 'OpenSSH') rmSync(`${path}.pub`);
          const engine = await comesUp(reach(['IdentityFile', path]), () => ({
            kind: 'secret',
            secret: 'open sesame',
          }));
          assert.deepEqual(
            asksOf(engine).map(({ id: _, ...ask }) => ask),
            [{ connection: 'web01', kind: 'passphrase', path, attempt: 1, keepAs: `passphrase:${path}` }],
          );
          assert.doesNotMatch(JSON.stringify(engine.events), /sesame/);
        });

    it('asking again after a wrong passphrase, and says so after the third', async () => {
      const path = file('locked');
      keygen(path);
      lockKey(path, 'right');
      appendFileSync(sshd.authorizedKeysPath, readFileSync(`${path}.pub`));
      const right = await comesUp(reach(['IdentityFile', path]), (ask) => ({
        kind: 'secret',
        secret: ask.kind === 'passphrase' && ask.attempt === 2 ? 'right' : 'wrong',
      }));
      assert.deepEqual(
        asksOf(right).map((ask) => ask.kind === 'passphrase' && ask.attempt),
        [1, 2],
      );
      const { text, engine } = await fails(
        reach(['IdentityFile', path], ['PreferredAuthentications', 'publickey']),
        () => ({ kind: 'secret', secret: 'wrong' }),
      );
      assert.match(text, /passphrase of .*locked was wrong.*Start it again for another try/);
      assert.equal(asksOf(engine).length, 3);
      assert.doesNotMatch(JSON.stringify(engine.events), /"wrong"/);
    });

    it('without asking for the passphrase of a key that the server does not take', async () => {
      const path = file('stranger');
      keygen(path);
      lockKey(path, 'right');
      const { failure, text, engine } = await fails(reach(['IdentityFile', path]));
      assert.equal(failure.kind, 'authFailed');
      assert.match(text, new RegExp(`did not let ${sshd.user} in.*stranger.*accepts: publickey`));
      assert.deepEqual(asksOf(engine), []);
    });

    it('with the agent’s key, whose file is not needed', async () => {
      await withAgent([sshd.keyPath], async (socket) => {
        await comesUp(reach(['IdentityAgent', socket], ['IdentityFile', file('missing')]));
      });
    });

    it('with the one key of a full agent that IdentityFile’s .pub names, before the server loses patience', async () => {
      const many = Array.from({ length: 8 }, (_, index) => file(`many-${index}`));
      for (const path of many) keygen(path);
      await withAgent([...many, sshd.keyPath], async (socket) => {
        copyFileSync(`${sshd.keyPath}.pub`, file('named.pub'));
        await comesUp(reach(['IdentityAgent', socket], ['IdentityFile', file('named.pub')], ['IdentitiesOnly', 'yes']));
        const { text } = await fails(reach(['IdentityAgent', socket], ['IdentityFile', file('missing')]));
        assert.match(text, /Too many authentication failures/);
      });
    });

    it('with an agent that takes longer than ConnectTimeout, since a person may be asked there', async () => {
      await withAgent([sshd.keyPath], async (real) => {
        const slow = createServer((client) => {
          const agent = connect(real);
          for (const socket of [client, agent]) socket.on('error', () => {});
          client.on('data', (request) => setTimeout(() => agent.write(request), 1200));
          client.on('close', () => agent.destroy());
          agent.pipe(client);
        });
        servers.push(slow);
        const path = file('slow-agent');
        await new Promise<void>((listening) => slow.listen(path, listening));
        await comesUp(reach(['IdentityAgent', path], ['IdentityFile', file('missing')], ['ConnectTimeout', '1']));
      });
    });

    it('with an agent that declines to sign, and says so', async () => {
      const path = file('declining-agent');
      const blob = Buffer.from(readFileSync(`${sshd.keyPath}.pub`, 'utf8').split(' ')[1]!, 'base64');
      const string = (data: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, data.length]), data]);
      const identities = Buffer.concat([Buffer.from([12, 0, 0, 0, 1]), string(blob), string(Buffer.from('touchy'))]);
      const declining = createServer((client) => {
        client.on('error', () => {});
        // SSH_AGENTC_REQUEST_IDENTITIES is 11; anything else is answered with SSH_AGENT_FAILURE, 5.
        client.on('data', (request) => client.write(string(request[4] === 11 ? identities : Buffer.from([5]))));
      });
      servers.push(declining);
      await new Promise<void>((listening) => declining.listen(path, listening));
      const { text } = await fails(reach(['IdentityAgent', path], ['IdentityFile', file('missing')]));
      assert.match(text, /did not sign with touchy/);
    });

    it('with no method that ssh_config does not list', async () => {
      const { text } = await fails(reach(['PreferredAuthentications', 'password'], ['BatchMode', 'yes']));
      assert.match(text, /There was nothing to try/);
    });

    it('with the next key when the agent has none of use', async () => {
      keygen(file('useless'));
      await withAgent([file('useless')], async (socket) => {
        await comesUp(reach(['IdentityAgent', socket]));
      });
    });

    it('with the key file when the agent can’t be reached', async () => {
      await comesUp(reach(['IdentityAgent', file('no-agent')]));
    });

    it('with no key file that others can read, and says how to mend it', async () => {
      copyFileSync(sshd.keyPath, file('open'));
      chmodSync(file('open'), 0o644);
      const { text } = await fails(reach(['IdentityFile', file('open')]));
      assert.match(text, /can be read by others \(mode 0644\).*chmod 600 .*open/);
    });

    it('with nothing that is no key, and names it', async () => {
      writeFileSync(file('nonsense'), 'this is no key\n', { mode: 0o600 });
      const { text } = await fails(reach(['IdentityFile', file('nonsense')]));
      assert.match(text, /nonsense is not a private key/);
    });

    it('in the background with the passphrase of before, without asking again', async () => {
      const path = file('kept');
      keygen(path);
      lockKey(path, 'right');
      appendFileSync(sshd.authorizedKeysPath, readFileSync(`${path}.pub`));
      const engine = await comesUp(reach(['IdentityFile', path]), () => ({ kind: 'secret', secret: 'right' }));
      sshd.killSessions();
      await engine.next('connectionLost');
      await engine.next('connected');
      assert.equal(asksOf(engine).length, 1);
    });

    it('with a password, three tries, and keeps it out of all that is said', async function () {
      if (whyNoSystemUser() !== undefined) this.skip();
      const password = 'Correct-Horse-7';
      const { name: user, remove } = addSystemUser(password);
      const server = await startSshd({ config: ['PasswordAuthentication yes'] });
      try {
        const options = reach(
          ['Port', String(server.port)],
          ['User', user],
          ['UserKnownHostsFile', server.knownHostsPath],
        );
        const engine = await comesUp(options, (ask) => ({
          kind: 'secret',
          secret: ask.kind === 'password' && ask.attempt === 2 ? password : 'wrong-password',
        }));
        const [, hostKey] = execFileSync('ssh-keygen', ['-lf', server.hostKeyPath], { encoding: 'utf8' }).split(' ');
        assert.deepEqual(
          asksOf(engine).map(({ id: _, ...ask }) => ask),
          [1, 2].map((attempt) => ({
            connection: 'web01',
            kind: 'password',
            user,
            host: '127.0.0.1',
            port: server.port,
            alias: 'web01',
            attempt,
            keepAs: `password:${user}@127.0.0.1:${server.port} ${hostKey}`,
          })),
        );
        assert.doesNotMatch(JSON.stringify(engine.events), /Correct-Horse|wrong-password/);
        const { failure, text } = await fails(options, () => ({ kind: 'secret', secret: 'wrong-password' }));
        assert.equal(failure.kind, 'authFailed');
        assert.match(text, new RegExp(`did not let ${user} in.*password`));
        await Promise.all(engines.splice(0).map((one) => one.close()));
      } finally {
        await server.stop();
        remove();
      }
    });
  });

  describe('says what is wrong', () => {
    const silent = async (onSocket: (socket: Socket) => void): Promise<number> => {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.resume();
        onSocket(socket);
      });
      servers.push(server);
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
      return (server.address() as { port: number }).port;
    };
    const cases: [title: string, port: () => Promise<number>, options: Options, text: RegExp][] = [
      ['when no server runs', freePort, [], /^127\.0\.0\.1:\d+ refused the connection\. Check/],
      [
        'when something else answers',
        () => silent((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
        [],
        /^127\.0\.0\.1:\d+ does not speak SSH/,
      ],
      [
        'when the server has too many connections',
        () => silent((socket) => socket.end('Exceeded MaxStartups\r\n')),
        [],
        /takes no connection now \(“Exceeded MaxStartups”\)\. Try again later/,
      ],
      [
        'when the port closes at once',
        () => silent((socket) => socket.destroy()),
        [],
        /closed the connection before SSH began/,
      ],
      [
        'when nothing answers within ConnectTimeout',
        () => silent(() => {}),
        [['ConnectTimeout', '1']],
        /did not answer within 1 s/,
      ],
      [
        'when the name does not exist',
        freePort,
        [['HostName', 'no-such-host.invalid']],
        /no-such-host\.invalid was not found/,
      ],
    ];
    for (const [title, port, options, text] of cases)
      it(title, async () => {
        assert.match((await fails(reach(...options, ['Port', String(await port())]))).text, text);
      });

    it('when ssh_config allows nothing that both sides know', async () => {
      for (const [line, text] of [
        ['HostKeyAlgorithms rsa-sha2-512', /no type of host key in common/],
        ['Ciphers 3des-cbc', /no cipher in common.*3des-cbc/],
        ['KexAlgorithms diffie-hellman-group1-sha1', /no key exchange in common/],
        ['MACs hmac-md5\n  Ciphers aes128-ctr', /no MAC in common.*hmac-md5/],
      ] as const) {
        const engine = probe(createEngine());
        engines.push(engine);
        engine.engine.apply({
          connections: [planned('web01', ['-L 4000:x:1'], { configFile: sshd.configPath('web01', line.split('\n')) })],
        });
        const { failure } = await engine.next('connectionFailed');
        assert.equal(failure.kind, 'noCommonAlgorithm', line);
        assert.match(failureText(failure), text);
      }
    });

    it('but nothing when ssh_config narrows what is offered to something that both know', async () => {
      const lines = [
        'Ciphers aes256-gcm@openssh.com',
        'KexAlgorithms ecdh-sha2-nistp256',
        'HostKeyAlgorithms ssh-ed25519',
        'BindAddress 127.0.0.5',
      ];
      const engine = probe(createEngine());
      engines.push(engine);
      const log = logSince();
      engine.engine.apply({
        connections: [
          planned('web01', [`-L ${await freePort()}:x:1`], { configFile: sshd.configPath('web01', lines) }),
        ],
      });
      await engine.next('listening');
      assert.match(log(), /cipher: aes256-gcm@openssh\.com/);
      assert.match(log(), /kex: algorithm: ecdh-sha2-nistp256/);
      assert.match(log(), /Connection from 127\.0\.0\.5/);
    });

    it('when ssh_config has an error, with its file and line', async () => {
      writeFileSync(file('bad_config'), 'Host web01\n  NoSuchOption yes\n');
      const engine = probe(createEngine());
      engines.push(engine);
      engine.engine.apply({ connections: [planned('web01', ['-L 4000:x:1'], { configFile: file('bad_config') })] });
      assert.match(
        failureText((await engine.next('connectionFailed')).failure),
        /bad_config: line 2: Bad configuration option/,
      );
    });

    it('when the server forbids forwarding', async () => {
      const strict = await startSshd({ config: ['AllowTcpForwarding no'] });
      try {
        const { engine, port } = await start(
          reach(
            ['Port', String(strict.port)],
            ['IdentityFile', strict.keyPath],
            ['UserKnownHostsFile', strict.knownHostsPath],
          ),
        );
        await engine.next('listening');
        assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNRESET');
        assert.match(
          failureText((await engine.next('channelFailed')).failure),
          /^web01 forbids forwarding to 127\.0\.0\.1:\d+ \(PermitOpen or AllowTcpForwarding\)\. Ask/,
        );
        await engines.pop()!.close();
      } finally {
        await strict.stop();
      }
    });

    it('and tries no further in the background when the server no longer lets it in', async () => {
      const engine = await comesUp(reach());
      const keys = readFileSync(sshd.authorizedKeysPath);
      writeFileSync(sshd.authorizedKeysPath, '');
      try {
        sshd.killSessions();
        await engine.next('connectionLost');
        assert.equal((await engine.next('connectionFailed')).failure.kind, 'authFailed');
      } finally {
        writeFileSync(sshd.authorizedKeysPath, keys);
      }
    });

    it('and tries again while the server is away, until it is back', async () => {
      const engine = await comesUp(reach());
      const sessions = sshd.sessions();
      await sshd.stopListening();
      for (const pid of sessions) process.kill(pid, 'SIGKILL');
      await engine.next('connectionLost');
      await engine.next('connectionLost');
      await sshd.start();
      await engine.next('connected');
    });
  });

  async function withAgent(keys: readonly string[], use: (socket: string) => Promise<void>): Promise<void> {
    const socket = file(`agent-${Math.random().toString(36).slice(2)}`);
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    try {
      await eventually(() => assert.ok(existsSync(socket)));
      for (const key of keys)
        execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket }, stdio: 'pipe' });
      await use(socket);
      for (const engine of engines.splice(0)) await engine.close();
    } finally {
      agent.kill();
    }
  }
});
