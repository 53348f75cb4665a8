import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuthContext, Connection } from 'ssh2';
import type { Ask, EngineEvent, Reply } from '../../src/core/engine.js';
import { eventText } from '../../src/core/eventText.js';
import { innermost, type Failure } from '../../src/core/failure.js';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { startAgent, type Agent } from '../support/agent.js';
import { makeAuthority } from '../support/certificates.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import {
  framed,
  identitiesAnswer,
  makeSecurityKey,
  startFakeAgent,
  string,
  type FakeAgent,
} from '../support/fakeAgent.js';
import { startForgedServer, type ForgedServer } from '../support/forgedServer.js';
import { run } from '../support/openSsh.js';
import { freePort, keygen, lockKey, publicKey, startSshd, type Sshd } from '../support/sshd.js';
import { addSystemUser, whyNoSystemUser } from '../support/systemUser.js';

const putty = join(import.meta.dirname, '../support/putty');

describe('authentication', () => {
  let heldBefore: string[];
  let sshd: Sshd;
  const engines: EngineProbe[] = [];
  const closers: (() => unknown)[] = [];
  const file = (name: string) => join(sshd.folder, name);

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    for (const close of closers.splice(0).reverse()) await close();
  });
  after(async () => {
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const defaults = { IdentityAgent: 'none', PreferredAuthentications: 'publickey' };
  let configs = 0;
  /** An ssh_config for a server in which nothing stands but what it says. */
  const configOf = (server: Sshd, lines: readonly string[], user = server.user): string => {
    const path = join(server.folder, `config-${++configs}`);
    const set = new Set(lines.map((line) => line.split(' ', 1)[0]));
    const more = Object.entries(defaults).flatMap(([name, value]) => (set.has(name) ? [] : [`${name} ${value}`]));
    const way = ['HostName 127.0.0.1', `Port ${server.port}`, `User ${user}`];
    const known = [`UserKnownHostsFile ${server.knownHostsPath}`, 'GlobalKnownHostsFile /dev/null'];
    writeFileSync(path, ['Host web01', ...lines, ...more, ...way, ...known, ''].join('\n'), { mode: 0o600 });
    return path;
  };

  const start = async (configFile: string, answer?: (ask: Ask) => Reply): Promise<EngineProbe> => {
    const engine = probe(createEngine(), answer);
    engines.push(engine);
    engine.engine.apply({
      connections: [planned('web01', [`-L ${await freePort()}:127.0.0.1:1`], { configFile })],
    });
    return engine;
  };
  /** The failure, or undefined when it came up. */
  const outcome = async (engine: EngineProbe): Promise<Failure | undefined> => {
    const isEnd = ({ kind }: EngineEvent) => kind === 'connected' || kind === 'connectionFailed';
    await eventually(() => assert.ok(engine.events.some(isEnd)), 19_000);
    const end = engine.events.find(isEnd)!;
    return end.kind === 'connectionFailed' ? end.failure : undefined;
  };
  const comesUp = async (configFile: string, answer?: (ask: Ask) => Reply): Promise<EngineProbe> => {
    const engine = await start(configFile, answer);
    const failure = await outcome(engine);
    assert.equal(failure && failureText(failure), undefined);
    return engine;
  };
  const fails = async (configFile: string, answer?: (ask: Ask) => Reply) => {
    const engine = await start(configFile, answer);
    const failure = await outcome(engine);
    assert.ok(failure, 'it came up');
    return { failure, text: failureText(failure), engine };
  };
  const asksOf = ({ events }: EngineProbe) => events.flatMap((event) => (event.kind === 'asked' ? [event.ask] : []));
  const allow = (...lines: readonly string[]) => appendFileSync(sshd.authorizedKeysPath, `${lines.join('\n')}\n`);
  const offeredIn = ({ events }: EngineProbe) =>
    events.flatMap((event) => /^web01: Offering (.*) \(/.exec(event.kind === 'logged' ? event.text : '')?.[1] ?? []);
  const owned = async <T extends { stop(): Promise<void> } | { close(): Promise<void> }>(opening: Promise<T>) => {
    const opened = await opening;
    closers.push(() => ('stop' in opened ? opened.stop() : opened.close()));
    return opened;
  };
  /** Everything that an engine said, in each form that it is shown in. */
  const allSaid = ({ events }: EngineProbe) =>
    [JSON.stringify(events), ...events.map((event) => eventText(event, 0)?.text ?? '')].join('\n');

  describe('with a key’s file', () => {
    const secret: Reply = { kind: 'secret', secret: 'open sesame' };
    for (const [type, bits] of [
      ['ed25519'],
      ['ecdsa', '256'],
      ['ecdsa', '384'],
      ['ecdsa', '521'],
      ['rsa', '2048'],
    ] as const)
      for (const form of ['OpenSSH', 'PEM', 'PKCS8'])
        it(`reads ${type}${bits ?? ''} in the form of ${form}, encrypted and not`, async function () {
          if (type === 'ed25519' && form !== 'OpenSSH') this.skip();
          const args = ['-t', type, ...(bits ? ['-b', bits] : []), ...(form === 'OpenSSH' ? [] : ['-m', form])];
          const path = file(`key-${type}${bits ?? ''}-${form}`);
          keygen(path, ...args);
          allow(publicKey(`${path}.pub`));
          rmSync(`${path}.pub`);
          assert.deepEqual(asksOf(await comesUp(configOf(sshd, [`IdentityFile ${path}`]))), []);
          execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'open sesame', ...args.slice(args.indexOf('-m') >>> 0, args.length), '-f', path]); // prettier-ignore
          const engine = await comesUp(configOf(sshd, [`IdentityFile ${path}`]), () => secret);
          assert.deepEqual(asksOf(engine).map(({ kind }) => kind), ['passphrase']); // prettier-ignore
          assert.doesNotMatch(allSaid(engine), /sesame/);
        });

    it('reads ed25519 in PKCS#8, which ssh-keygen does not write', async () => {
      const path = file('key-pkcs8');
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      for (const encryption of [{}, { cipher: 'aes-256-cbc', passphrase: 'open sesame' }]) {
        writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }), { mode: 0o600 });
        const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url');
        allow(`ssh-ed25519 ${Buffer.concat([string('ssh-ed25519'), string(raw)]).toString('base64')}`);
        await comesUp(configOf(sshd, [`IdentityFile ${path}`]), () => secret);
      }
    });

    for (const type of ['ed25519', 'nistp256', 'nistp384', 'nistp521', 'rsa'])
      for (const form of ['2', '3', '2-encrypted', '3-encrypted'])
        it(`reads ${type} of PuTTY, version ${form}`, async () => {
          const path = file(`putty-${type}-${form}.ppk`);
          copyFileSync(join(putty, `${type}-${form}.ppk`), path);
          chmodSync(path, 0o600);
          allow(readFileSync(join(putty, `${type}.pub`), 'utf8').trim());
          const engine = await comesUp(configOf(sshd, [`IdentityFile ${path}`]), () => secret);
          assert.equal(asksOf(engine).length, form.endsWith('encrypted') ? 1 : 0);
        });

    it('signs with no file whose .pub is another key’s', async () => {
      const path = file('mismatched');
      keygen(path);
      copyFileSync(`${sshd.keyPath}.pub`, `${path}.pub`);
      const { text } = await fails(configOf(sshd, [`IdentityFile ${path}`]));
      assert.match(text, /mismatched is not a private key that can be used/);
    });

    it('names a file that is missing, and that a security key’s file takes an agent', async () => {
      const { text } = await fails(configOf(sshd, [`IdentityFile ${file('gone')}`]));
      assert.match(text, /gone does not exist/);
      const { line } = makeSecurityKey('ed25519');
      writeFileSync(file('id_sk'), 'not needed', { mode: 0o600 });
      writeFileSync(file('id_sk.pub'), line);
      assert.match(
        (await fails(configOf(sshd, [`IdentityFile ${file('id_sk')}`]))).text,
        /id_sk points to a security key.*ssh-add/,
      );
    });

    it('signs RSA with what PubkeyAcceptedAlgorithms says, and with nothing else', async () => {
      const path = file('rsa-choice');
      keygen(path, '-t', 'rsa');
      allow(publicKey(`${path}.pub`));
      const choose = (names: string) => configOf(sshd, [`IdentityFile ${path}`, `PubkeyAcceptedAlgorithms ${names}`]);
      const before = sshd.log().length;
      await comesUp(choose('rsa-sha2-256'));
      assert.match(sshd.log().slice(before), /RSA.*signature|rsa-sha2-256/);
      const { text } = await fails(choose('ssh-rsa'));
      assert.match(text, /There was nothing to try/);
    });
  });

  describe('with certificates', () => {
    let ca: ReturnType<typeof makeAuthority>;
    let server: Sshd;
    const at = (name: string) => join(server.folder, name);

    before(async () => {
      server = await startSshd({
        config: (folder) => {
          ca = makeAuthority(folder);
          return [`TrustedUserCAKeys ${ca.keyPath}.pub`];
        },
      });
      writeFileSync(server.authorizedKeysPath, '');
    });
    after(() => server.stop());

    for (const type of ['ed25519', 'ecdsa', 'rsa'])
      it(`takes the -cert.pub beside an ${type} key, encrypted or not`, async () => {
        const path = at(`beside-${type}`);
        keygen(path, '-t', type);
        ca.signUser(`${path}.pub`, { principals: [server.user] });
        const engine = await comesUp(configOf(server, [`IdentityFile ${path}`]));
        assert.deepEqual(offeredIn(engine), [path, `${path}-cert.pub`]);
        lockKey(path, 'open sesame');
        const asked = await comesUp(configOf(server, [`IdentityFile ${path}`]), () => ({ kind: 'secret', secret: 'open sesame' })); // prettier-ignore
        assert.equal(asksOf(asked).length, 1);
      });

    it('takes CertificateFile first, with its key from the agent or a file', async () => {
      const path = at('named');
      keygen(path);
      const certificate = ca.signUser(`${path}.pub`, { principals: [server.user] });
      copyFileSync(certificate, at('elsewhere.pub'));
      rmSync(certificate);
      const lines = [`CertificateFile ${at('elsewhere.pub')}`];
      const engine = await comesUp(configOf(server, [...lines, `IdentityFile ${path}`]));
      assert.deepEqual(offeredIn(engine), [at('elsewhere.pub')]);
      const agent = await owned(startAgent());
      agent.add(path);
      await comesUp(configOf(server, [...lines, `IdentityAgent ${agent.socketPath}`]));
      const { text } = await fails(configOf(server, [...lines, `IdentityFile ${at('client')}`]));
      assert.match(text, /elsewhere\.pub is not used, since its private key was found neither/);
    });

    it('takes one that the agent has', async () => {
      const path = at('agents');
      keygen(path);
      ca.signUser(`${path}.pub`, { principals: [server.user] });
      const agent = await owned(startAgent());
      agent.add(path);
      await comesUp(configOf(server, [`IdentityAgent ${agent.socketPath}`, `IdentityFile ${at('nothing')}`]));
    });

    it('is not let in with one that is expired, for somebody else, or of another authority', async () => {
      const other = makeAuthority(server.folder, 'other-authority');
      for (const [name, sign] of [
        ['expired', (path: string) => ca.signUser(path, { principals: [server.user], validity: 'expired' })],
        ['for-others', (path: string) => ca.signUser(path, { principals: ['somebody-else'] })],
        ['of-others', (path: string) => other.signUser(path, { principals: [server.user] })],
      ] as const) {
        keygen(at(name));
        sign(`${at(name)}.pub`);
        const { failure } = await fails(configOf(server, [`IdentityFile ${at(name)}`]));
        assert.equal(failure.kind, 'authFailed', name);
      }
    });
  });

  describe('with an agent', () => {
    let agent: Agent;
    beforeEach(async () => {
      agent = await owned(startAgent());
    });

    it('offers what ssh offers, in its order', async () => {
      const names = ['in-agent', 'named', 'in-file', 'stranger'];
      const paths = names.map((name) => file(`order-${name}`));
      for (const path of paths) keygen(path, '-C', path);
      for (const index of [3, 0, 1]) agent.add(paths[index]!);
      makeAuthority(sshd.folder, 'order-ca').signUser(`${paths[2]}.pub`);
      for (const more of [[], ['IdentitiesOnly yes']]) {
        const lines = [`IdentityAgent ${agent.socketPath}`, `IdentityFile ${paths[2]}`, `IdentityFile ${paths[1]}`];
        const config = configOf(sshd, [...lines, ...more]);
        const { engine } = await fails(config);
        const { stderr } = await run('ssh', ['-v', '-F', config, '-o', 'BatchMode=yes', 'web01', 'true']);
        const blobs = new Map(paths.map((path) => [path, publicKey(`${path}.pub`).split(' ')[1]!]));
        const prints = [...stderr.matchAll(/Offering public key: (\S+) (\S+) (SHA256:\S+)/g)].map((found) => `${found[1]} ${found[2]}`); // prettier-ignore
        const ours = offeredIn(engine).map((name) => name.replace(/ \(agent\)$/, '').replace(/-cert\.pub$/, ''));
        assert.deepEqual(ours, prints.map((print) => print.split(' ')[0]), `${[...blobs.keys()].join()}\n${stderr}`); // prettier-ignore
        assert.ok(ours.length >= 3);
      }
    });

    it('with a key that is only for this host (ssh-add -h)', async () => {
      const path = file('constrained');
      keygen(path);
      allow(publicKey(`${path}.pub`));
      const elsewhere = file('constrained-elsewhere');
      keygen(elsewhere);
      allow(publicKey(`${elsewhere}.pub`));
      // ssh-add takes host keys by their name, which has no port.
      const known = file('known-by-name');
      const stranger = file('another-host');
      keygen(stranger);
      writeFileSync(known, `here ${publicKey(`${sshd.hostKeyPath}.pub`)}\nthere ${publicKey(`${stranger}.pub`)}\n`);
      agent.add(path, '-H', known, '-h', 'here');
      const lines = [`IdentityAgent ${agent.socketPath}`, `IdentityFile ${file('nothing')}`];
      assert.equal(offeredIn(await comesUp(configOf(sshd, lines))).length, 1);
      agent.remove(path);
      agent.add(elsewhere, '-H', known, '-h', 'there');
      assert.equal((await fails(configOf(sshd, lines))).failure.kind, 'authFailed');
    });
  });

  describe('with a security key', () => {
    const agentWith = (key: ReturnType<typeof makeSecurityKey>): Promise<FakeAgent> =>
      owned(
        startFakeAgent((request, socket) => {
          if (request[0] === 11) return socket.write(identitiesAnswer(key.blob));
          if (request[0] !== 13) return socket.write(framed(5));
          const start = 1 + 4 + key.blob.length + 4;
          const data = request.subarray(start, start + request.readUInt32BE(start - 4));
          return socket.write(framed(14, string(key.sign(data))));
        }),
      );

    for (const kind of ['ed25519', 'ecdsa'] as const)
      it(`of type ${kind} passes its signature with flags and counter untouched`, async () => {
        const key = makeSecurityKey(kind);
        allow(key.line);
        const { socketPath } = await agentWith(key);
        await comesUp(configOf(sshd, [`IdentityAgent ${socketPath}`, `IdentityFile ${file('nothing')}`]));
        writeFileSync(file('sk-name.pub'), key.line);
        await comesUp(configOf(sshd, [`IdentityAgent ${socketPath}`, `IdentityFile ${file('sk-name.pub')}`, 'IdentitiesOnly yes'])); // prettier-ignore
      });

    it('that nobody touched is refused by the server, and we say so', async () => {
      const key = makeSecurityKey('ed25519', false);
      allow(key.line);
      const { socketPath } = await agentWith(key);
      const { failure } = await fails(configOf(sshd, [`IdentityAgent ${socketPath}`, `IdentityFile ${file('nothing')}`])); // prettier-ignore
      assert.equal(failure.kind, 'authFailed');
    });

    it('of an agent that replies with random bytes lets nobody in, and hangs nowhere', async () => {
      const noise = await owned(
        startFakeAgent((request, socket) => socket.end(Buffer.from([0, 0, 0, 9, request[0]! + 1, 1, 2, 3, 4, 5, 6, 7, 8]))), // prettier-ignore
      );
      const { text } = await fails(configOf(sshd, [`IdentityAgent ${noise.socketPath}`, `IdentityFile ${file('nothing')}`])); // prettier-ignore
      assert.match(text, /agent at .* can’t be reached/);
    });
  });

  describe('in several steps', () => {
    it('gives two keys, each once, and never the first one again', async () => {
      const server = await owned(startSshd({ config: ['AuthenticationMethods publickey,publickey'] }));
      const second = join(server.folder, 'second');
      keygen(second);
      appendFileSync(server.authorizedKeysPath, readFileSync(`${second}.pub`));
      const lines = [`IdentityFile ${server.keyPath}`, `IdentityFile ${second}`];
      assert.deepEqual(offeredIn(await comesUp(configOf(server, lines))), [server.keyPath, second]);
      const { failure, text, engine } = await fails(configOf(server, lines.slice(0, 1)));
      assert.equal(failure.kind, 'authFailed');
      assert.match(text, /It took .*client, but wants more/);
      assert.deepEqual(offeredIn(engine), [server.keyPath]);
    });

    it('gives a key and a password, or a key and an answer, asking each once', async function () {
      if (whyNoSystemUser() !== undefined) return this.skip();
      const password = 'Correct-Horse-8';
      const { name: user, remove } = addSystemUser(password);
      closers.push(remove);
      const methods = 'AuthenticationMethods publickey,password publickey,keyboard-interactive';
      const server = await owned(startSshd({ config: ['UsePAM yes', 'PasswordAuthentication yes', 'KbdInteractiveAuthentication yes', methods] })); // prettier-ignore
      // The server reads the user's keys as that user.
      chmodSync(server.folder, 0o711);
      chmodSync(server.authorizedKeysPath, 0o644);
      for (const [method, reply] of [
        ['password', { kind: 'secret', secret: password }],
        ['keyboard-interactive', { kind: 'answers', answers: [password] }],
      ] as const) {
        const lines = [`IdentityFile ${server.keyPath}`, `PreferredAuthentications publickey,${method}`];
        const engine = await comesUp(configOf(server, lines, user), () => reply);
        const kind = method === 'password' ? 'password' : 'interactive';
        assert.deepEqual(asksOf(engine).map((ask) => [ask.kind, 'attempt' in ask && ask.attempt]), [[kind, 1]]); // prettier-ignore
        assert.doesNotMatch(allSaid(engine), new RegExp(password));
        assert.match(allSaid(engine), /The server took .*client and wants more/);
        await engines.pop()!.close();
      }
      const lines = [`IdentityFile ${server.keyPath}`, 'PreferredAuthentications publickey,keyboard-interactive', 'NumberOfPasswordPrompts 2']; // prettier-ignore
      const { engine } = await fails(configOf(server, lines, user), () => ({
        kind: 'answers',
        answers: ['wrong-answer'],
      }));
      assert.deepEqual(asksOf(engine).map((ask) => 'attempt' in ask && ask.attempt), [1, 2]); // prettier-ignore
      assert.doesNotMatch(allSaid(engine), /wrong-answer/);
      await engines.pop()!.close();
    });
  });

  describe('with a server’s questions', () => {
    /** Lets in who answers as `login` wants; what it tells of a request goes to `requests`. */
    const forged = async (logIn: (context: AuthContext, connection: Connection) => void): Promise<ForgedServer> =>
      owned(startForgedServer(() => {}, { logIn }));
    const configWith = (server: ForgedServer, ...lines: readonly string[]): string => {
      const path = `${server.configPath}-${++configs}`;
      writeFileSync(path, ['Host web01', ...lines, '', readFileSync(server.configPath, 'utf8')].join('\n'), { mode: 0o600 }); // prettier-ignore
      return path;
    };
    const rounds =
      (
        wanted: readonly {
          title?: string;
          text?: string;
          prompts: readonly { prompt: string; echo: boolean }[];
          answers: readonly string[];
        }[],
      ) =>
      // prettier-ignore
      (context: AuthContext) => {
        if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive']);
        const next = (index: number) => {
          const round = wanted[index];
          if (!round) return context.accept();
          context.prompt([...round.prompts], round.title ?? '', round.text ?? '', (answers) => {
            if (JSON.stringify(answers) === JSON.stringify(round.answers)) next(index + 1);
            else context.reject(['keyboard-interactive']);
          });
        };
        next(0);
      };

    it('asks every round, shows those without a prompt, and hands on names, instructions and echo', async () => {
      const server = await forged(
        rounds([
          { prompts: [{ prompt: 'Password: ', echo: false }], answers: ['hidden-one'] },
          { title: 'Push', text: 'Sent to your phone.\nLook there.\u001b[2J', prompts: [], answers: [] },
          {
            title: 'Two',
            text: 'things',
            prompts: [
              { prompt: 'Name: ', echo: true },
              { prompt: 'Code: ', echo: false },
            ],
            answers: ['ann', 'hidden-two'],
          },
        ]),
      );
      const engine = await comesUp(configWith(server), (ask) => ({
        kind: 'answers',
        answers: ask.kind === 'interactive' && ask.prompts.length === 2 ? ['ann', 'hidden-two'] : ['hidden-one'],
      }));
      const asks = asksOf(engine).map((ask) => {
        assert.ok(ask.kind === 'interactive');
        return [ask.name, ask.instruction, ask.attempt, ...ask.prompts.map(({ text, echo }) => `${text}${echo}`)];
      });
      assert.deepEqual(asks, [
        ['', '', 1, 'Password:false'],
        ['Two', 'things', 1, 'Name:true', 'Code:false'],
      ]);
      const said = engine.events.filter((event) => event.kind === 'serverSaid');
      assert.deepEqual(said, [
        {
          ...{ kind: 'serverSaid', connection: 'web01', host: 'web01', about: 'login' },
          text: 'Push\nSent to your phone.\nLook there.?[2J',
        },
      ]);
      assert.doesNotMatch(allSaid(engine), /hidden-/);
    });

    it('gives a password again by itself in the background, and waits for the person where a code is wanted', async () => {
      let wantsCode = false;
      const password = { prompts: [{ prompt: 'Password: ', echo: false }], answers: ['pass-phrase'] };
      const code = { prompts: [{ prompt: 'Verification code: ', echo: false }], answers: ['123456'] };
      const server = await forged((context) => rounds(wantsCode ? [password, code] : [password])(context));
      const engine = await comesUp(configWith(server), () => ({ kind: 'answers', answers: ['pass-phrase'] }));
      const cut = () => {
        for (const connection of server.connections) connection.end();
      };
      engine.skip();
      await eventually(() => assert.equal(server.connections.size, 1));
      cut();
      await engine.next('connected');
      assert.equal(asksOf(engine).length, 1);
      wantsCode = true;
      await eventually(() => assert.equal(server.connections.size, 1));
      cut();
      const { failure } = await engine.next('connectionFailed');
      assert.deepEqual(failure, { kind: 'answerNeeded', host: 'web01', what: 'interactive' });
      assert.equal(asksOf(engine).length, 1);
    });

    it('tells a banner, cut to what can be shown', async () => {
      const server = await forged((context) => context.accept());
      void server;
      const withBanner = await owned(startSshd({ config: (folder) => {
        writeFileSync(join(folder, 'banner'), 'Authorised use only.\n\u001b[31mReally.\n');
        return [`Banner ${join(folder, 'banner')}`];
      } })); // prettier-ignore
      const engine = await comesUp(configOf(withBanner, [`IdentityFile ${withBanner.keyPath}`]));
      const said = engine.events.find((event) => event.kind === 'serverSaid');
      assert.ok(said?.kind === 'serverSaid' && said.about === 'banner');
      assert.match(said.text, /^Authorised use only\.\n/);
      assert.ok(!said.text.includes('\u001b'));
    });

    it('says that a password has expired, and what to do', async () => {
      const server = await forged((context) => {
        if (context.method !== 'password') return context.reject(['password']);
        context.requestChange('Choose a new one:', () => context.accept());
      });
      const { failure, text } = await fails(configWith(server), () => ({ kind: 'secret', secret: 'old-secret' }));
      assert.deepEqual(failure, { kind: 'passwordExpired', user: 'ann', host: 'web01' });
      assert.doesNotMatch(text, /old-secret/);
    });

    it('asks nobody in BatchMode, and tells both what was tried and what the server accepts', async () => {
      const server = await forged((context) => context.reject(['password', 'keyboard-interactive', 'hostbased']));
      const { text, engine } = await fails(configWith(server, 'BatchMode yes'));
      assert.deepEqual(asksOf(engine), []);
      assert.match(text, /There was nothing to try\. The server accepts: password, keyboard-interactive, hostbased\./);
    });

    it('tries methods in the order of PreferredAuthentications, as often as NumberOfPasswordPrompts says', async () => {
      const requests: string[] = [];
      const server = await forged((context) => {
        requests.push(context.method);
        if (context.method === 'keyboard-interactive')
          (context).prompt([{ prompt: 'Code: ', echo: false }], '', '', () => context.reject(['password', 'keyboard-interactive'])); // prettier-ignore
        else context.reject(['password', 'keyboard-interactive']);
      });
      const order = ['PreferredAuthentications password,keyboard-interactive', 'NumberOfPasswordPrompts 2'];
      const { engine } = await fails(configWith(server, ...order), (ask) =>
        ask.kind === 'password' ? { kind: 'secret', secret: 'x' } : { kind: 'answers', answers: ['y'] },
      );
      const [k, p] = ['keyboard-interactive', 'password'];
      assert.deepEqual(requests, ['none', p, p, k, k]);
      assert.deepEqual(asksOf(engine).map((ask) => 'attempt' in ask && ask.attempt), [1, 2, 1, 2]); // prettier-ignore
    });

    it('asks no more of a server that asks nothing, and gives up one that asks for ever', async () => {
      let requests = 0;
      const mute = await forged((context) => {
        requests++;
        context.reject(['keyboard-interactive']);
      });
      assert.equal((await fails(configWith(mute))).failure.kind, 'authFailed');
      assert.equal(requests, 2);
      const endless = await forged((context) => {
        if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive']);
        const ask = () => context.prompt([], '', '', ask);
        ask();
      });
      const { failure } = await fails(configWith(endless));
      assert.equal(failure.kind, 'unexpected');
      let partial = 0;
      const generous = await forged((context) => {
        partial++;
        context.reject(['password'], true);
      });
      assert.equal((await fails(configWith(generous), () => ({ kind: 'secret', secret: 'x' }))).failure.kind, 'authFailed'); // prettier-ignore
      assert.ok(partial < 20, `${partial} requests`);
    });

    it('goes on through key exchanges before a round, and while it is answered', async () => {
      const server = await forged((context, connection) => {
        if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive']);
        const round = context;
        round.prompt([{ prompt: 'One:', echo: true }], '', '', (first) => {
          if (first[0] !== 'first') return context.reject();
          connection.rekey(() => {
            round.prompt([{ prompt: 'Two:', echo: true }], '', '', ([second]) => {
              if (second === 'second') context.accept();
              else context.reject();
            });
            // The client has its part of it before its answer.
            connection.rekey();
          });
        });
      });
      await comesUp(configWith(server), (ask) => ({
        kind: 'answers',
        answers: [ask.kind === 'interactive' && ask.prompts[0]!.text === 'One:' ? 'first' : 'second'],
      }));
    });
  });

  it('waits in the background for the passphrase of a key that it was never asked for', async () => {
    const path = file('locked-later');
    keygen(path);
    const open = file('open-first');
    keygen(open);
    const keys = readFileSync(sshd.authorizedKeysPath);
    allow(publicKey(`${path}.pub`), publicKey(`${open}.pub`));
    lockKey(path, 'right');
    const engine = await comesUp(configOf(sshd, [`IdentityFile ${open}`, `IdentityFile ${path}`]));
    writeFileSync(sshd.authorizedKeysPath, `${publicKey(`${path}.pub`)}\n`);
    try {
      sshd.killSessions();
      const { failure } = await engine.next('connectionFailed');
      assert.deepEqual(innermost(failure), { kind: 'answerNeeded', host: 'web01', what: 'passphrase', path });
      assert.deepEqual(asksOf(engine), []);
      assert.ok(existsSync(path));
    } finally {
      writeFileSync(sshd.authorizedKeysPath, keys);
    }
  });
});
