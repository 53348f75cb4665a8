import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Ask, Reply } from '../../src/core/engine.js';
import { failureOf, innermost, type Failure } from '../../src/core/failure.js';
import { failureText } from '../../src/core/wording.js';
import { channelStream } from '../../src/engine/channelStream.js';
import { dialHost } from '../../src/engine/dial.js';
import { createEngine } from '../../src/engine/reconciler.js';
import type { SshSession } from '../../src/engine/sshClient.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, keygen, startSshd, type Sshd } from '../support/sshd.js';
import { bytes, digest, echo, exchange, startTarget, type Target } from '../support/targets.js';

type Options = readonly (readonly [string, string])[];

describe('a connection through jump hosts', function () {
  this.timeout(30_000);
  const hosts = {} as { bastion: Sshd; middle: Sshd; db01: Sshd };
  let service: Target;
  let heldBefore: string[];
  const engines: EngineProbe[] = [];
  const targets: Target[] = [];

  before(async () => {
    heldBefore = heldResources();
    const alsoSix = { config: ['ListenAddress ::1'] };
    const [bastion, middle, db01] = await Promise.all([startSshd(alsoSix), startSshd(), startSshd()]);
    Object.assign(hosts, { bastion, middle, db01 });
    const [hostKey] = readFileSync(bastion.knownHostsPath, 'utf8').split('\n');
    writeFileSync(file('six'), `the-bastion ${hostKey!.split(' ').slice(1).join(' ')}\n`);
    service = await startTarget(echo);
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    for (const target of targets.splice(0)) await target.close();
    await eventually(() => assert.deepEqual(sessions(), []));
  });
  after(async () => {
    await service.close();
    for (const host of Object.values(hosts)) await host.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const sessions = () => Object.entries(hosts).flatMap(([alias, sshd]) => (sshd.sessions().length > 0 ? [alias] : []));
  const end = (sshd: Sshd, signal: NodeJS.Signals = 'SIGKILL') => {
    if (signal === 'SIGKILL') sshd.killSessions();
    else for (const pid of sshd.sessions()) process.kill(pid, signal);
  };
  const file = (name: string) => join(hosts.db01.folder, name);
  /** A block that reaches a server; `lines` come first, and so win. */
  const block = (alias: string, sshd: Sshd, ...lines: string[]) => readFileSync(sshd.configPath(alias, lines), 'utf8');
  function config(...blocks: string[]): string {
    const path = file('config_of_all');
    writeFileSync(path, blocks.join('\n'), { mode: 0o600 });
    return path;
  }
  const { bastion, middle, db01 } = {
    bastion: (...lines: string[]) => block('bastion', hosts.bastion, ...lines),
    middle: (...lines: string[]) => block('middle', hosts.middle, ...lines),
    db01: (...lines: string[]) => block('db01', hosts.db01, ...lines),
  };

  async function start(
    configFile: string,
    { destination = 'db01', options = [] as Options, answer = undefined as ((ask: Ask) => Reply) | undefined } = {},
  ): Promise<{ engine: EngineProbe; port: number }> {
    const port = await freePort();
    const engine = probe(createEngine(), answer);
    engines.push(engine);
    const forwards = [`-L 127.0.0.1:${port}:127.0.0.1:${service.port}`];
    engine.engine.apply({ connections: [planned(destination, forwards, { configFile, options })] });
    return { engine, port };
  }
  async function comesUp(...args: Parameters<typeof start>): ReturnType<typeof start> {
    const started = await start(...args);
    await eventually(() => {
      const failed = started.engine.events.find((event) => event.kind === 'connectionFailed');
      assert.equal(failed && failureText(failed.failure), undefined);
      assert.ok(started.engine.kinds().includes('listening'), JSON.stringify(started.engine.events.slice(-5)));
    });
    started.engine.skip();
    return started;
  }
  async function fails(...args: Parameters<typeof start>): Promise<{ failure: Failure; text: string; asks: Ask[] }> {
    const { engine } = await start(...args);
    const { failure } = await engine.next('connectionFailed');
    return { failure, text: failureText(failure), asks: asksOf(engine) };
  }
  const asksOf = (engine: EngineProbe) => engine.events.flatMap((event) => (event.kind === 'asked' ? [event.ask] : []));
  const echoed = async (port: number, text: string) => (await exchange(port, Buffer.from(text))).received.toString();

  /** Without an engine, which would tidy up after it. */
  function dial(configFile: string, destination = 'db01') {
    const { host } = planned(destination, [], { configFile });
    const ask = () => Promise.reject(new Error('nobody is asked'));
    const memory = { secrets: new Map<string, string>(), acceptedKeys: new Set<string>() };
    return dialHost(host, { abort: new AbortController(), cancelled: false }, { ask, memory, log: () => {} });
  }

  /** Which host connected on to which port meanwhile, as their logs have it. */
  async function routeOf(use: () => Promise<void>): Promise<string[]> {
    const names = new Map(Object.entries(hosts).map(([alias, { port }]) => [String(port), alias]));
    names.set(String(service.port), 'service');
    const before = Object.values(hosts).map((sshd) => sshd.log().length);
    await use();
    return Object.entries(hosts).flatMap(([alias, sshd], index) =>
      [
        ...sshd
          .log()
          .slice(before[index])
          .matchAll(/direct_tcpip: originator .* target 127\.0\.0\.1 port (\d+)/g),
      ].map(([, port]) => `${alias} to ${names.get(port!)}`),
    );
  }
  const sayThroughSsh = (configFile: string, args: readonly string[], destination: string) =>
    new Promise<string>((resolve, reject) => {
      const options = ['-F', configFile, '-o', 'BatchMode=yes', '-W', `127.0.0.1:${service.port}`];
      const ssh = spawn('ssh', [...options, ...args, destination], { stdio: 'pipe' });
      let said = '';
      for (const output of [ssh.stdout, ssh.stderr]) output.setEncoding('utf8').on('data', (text) => (said += text));
      ssh.on('error', reject);
      ssh.on('close', () => resolve(said));
      ssh.stdin.end('hello');
    });

  const oneHop = ['bastion to db01', 'db01 to service'];
  const twoHops = ['bastion to middle', 'middle to db01', 'db01 to service'];
  const routes: {
    title: string;
    blocks: () => string[];
    jump?: string;
    route: readonly string[];
  }[] = [
    { title: 'ProxyJump', blocks: () => [db01('ProxyJump bastion'), bastion()], route: oneHop },
    { title: 'a list', blocks: () => [db01('ProxyJump bastion,middle'), bastion(), middle()], route: twoHops },
    {
      title: 'the ProxyJump of a jump host',
      blocks: () => [db01('ProxyJump middle'), middle('ProxyJump bastion'), bastion()],
      route: twoHops,
    },
    {
      title: 'a list, whose later hosts’ own ProxyJump does not count',
      blocks: () => [db01('ProxyJump bastion,middle'), middle('ProxyJump nowhere'), bastion()],
      route: twoHops,
    },
    {
      title: 'a list, whose later hosts’ ProxyCommand does not count',
      blocks: () => [db01('ProxyJump bastion,middle'), middle('ProxyCommand false'), bastion()],
      route: twoHops,
    },
    {
      title: '-J instead of the host’s own ProxyJump',
      blocks: () => [db01('ProxyJump nowhere'), bastion(), middle()],
      jump: 'bastion,middle',
      route: twoHops,
    },
    {
      title: '-J and the ProxyJump of its first host',
      blocks: () => [db01(), bastion(), middle('ProxyJump bastion')],
      jump: 'middle',
      route: twoHops,
    },
    {
      title: 'a host that jumps through the destination itself, when asked to come by it',
      blocks: () => [db01(), middle('ProxyJump db01')],
      jump: 'middle',
      route: ['middle to db01', 'db01 to middle', 'db01 to service'],
    },
    {
      title: 'nothing, when -J says none',
      blocks: () => [db01('ProxyJump nowhere')],
      jump: 'none',
      route: ['db01 to service'],
    },
    {
      title: 'nothing, when the host’s own block says none',
      blocks: () => [db01('ProxyJump none'), 'Host *\n  ProxyJump bastion\n', bastion()],
      route: ['db01 to service'],
    },
    {
      title: 'the same host twice',
      blocks: () => [db01('ProxyJump bastion,middle,bastion'), bastion(), middle()],
      route: ['bastion to middle', 'bastion to db01', 'middle to bastion', 'db01 to service'],
    },
    {
      title: 'an address and a port of each hop',
      blocks: () => [
        db01(`ProxyJump [::1]:${hosts.bastion.port},127.0.0.1:${hosts.middle.port}`),
        block('::1', hosts.bastion, 'HostName ::1', 'HostKeyAlias the-bastion', `UserKnownHostsFile ${file('six')}`),
        block('127.0.0.1', hosts.middle),
      ],
      route: twoHops,
    },
    {
      title: 'a name that is made of the destination’s',
      blocks: () => [db01('ProxyJump gate-of-%n'), block('gate-of-db01', hosts.bastion)],
      route: oneHop,
    },
  ];
  for (const { title, blocks, jump, route } of routes)
    it(`takes the way that ssh takes: ${title}`, async () => {
      const file = config(...blocks());
      const ways: Parameters<typeof start>[1][] =
        jump === undefined ? [{}] : [{ options: [['ProxyJump', jump]] }, { destination: `-J ${jump} db01` }];
      for (const way of ways) {
        const ours = await routeOf(async () => {
          const { engine, port } = await comesUp(file, way);
          assert.equal(await echoed(port, 'hello'), 'hello');
          await engine.close();
        });
        assert.deepEqual(ours, route);
      }
      const ssh = await routeOf(async () => {
        assert.equal(await sayThroughSsh(file, jump === undefined ? [] : ['-J', jump], 'db01'), 'hello');
      });
      assert.deepEqual(ssh, route);
    });

  it('brings 5 MB there and back bit for bit through three hops', async () => {
    const far = await startSshd();
    try {
      const { port } = await comesUp(
        config(block('far', far, 'ProxyJump bastion,middle,db01'), bastion(), middle(), db01()),
        { destination: 'far' },
      );
      assert.deepEqual(sessions(), ['bastion', 'middle', 'db01']);
      const sent = bytes(5_000_000, 'far');
      const { received, end } = await exchange(port, sent);
      assert.equal(received.length, sent.length);
      assert.equal(digest(received), digest(sent));
      assert.equal(end, 'end');
      await engines.pop()!.close();
      await eventually(() => assert.deepEqual([...sessions(), ...far.sessions()], []));
    } finally {
      await far.stop();
    }
  });

  it('tells where it really is connected: the destination, not the jump host', async () => {
    const { engine } = await comesUp(config(db01('ProxyJump bastion'), bastion()));
    const connected = engine.events.find((event) => event.kind === 'connected');
    assert.equal(connected?.server, `${hosts.db01.user}@127.0.0.1:${hosts.db01.port}`);
  });

  describe('takes a jump host for itself', () => {
    it('with its user and port as they stand in ProxyJump, and its key by ssh_config', async () => {
      const gate = ['Host gate', 'HostName 127.0.0.1', `IdentityFile ${hosts.bastion.keyPath}`, 'User nobody-there'];
      const known = [`UserKnownHostsFile ${hosts.bastion.knownHostsPath}`, 'IdentitiesOnly yes', 'IdentityAgent none'];
      const jump = `ProxyJump ${hosts.bastion.user}@gate:${hosts.bastion.port}`;
      const { port } = await comesUp(config(db01(jump), [...gate, ...known, ''].join('\n')));
      assert.equal(await echoed(port, 'hello'), 'hello');
      assert.deepEqual(sessions(), ['bastion', 'db01']);
    });

    it('with none of the options that were given for the destination', async () => {
      const bare = 'Host db01\n  HostName 127.0.0.1\n  IdentityAgent none\n  ProxyJump bastion\n';
      const options: Options = [
        ['User', hosts.db01.user],
        ['Port', String(hosts.db01.port)],
        ['IdentityFile', hosts.db01.keyPath],
        ['UserKnownHostsFile', hosts.db01.knownHostsPath],
        ['StrictHostKeyChecking', 'yes'],
      ];
      const { port } = await comesUp(config(bare, bastion()), { options });
      assert.equal(await echoed(port, 'hello'), 'hello');
      const { text } = await fails(config(bare, bastion('Port 1')), { options });
      assert.match(text, /^On the way to db01, at bastion: 127\.0\.0\.1:1 refused/);
    });

    it('and asks for the key of each by its own name, and once for all reconnects', async () => {
      const strangers = [`UserKnownHostsFile ${file('none')}`];
      const { engine, port } = await comesUp(
        config(db01('ProxyJump bastion', ...strangers), bastion('HostKeyAlias the-bastion', ...strangers)),
        { answer: () => ({ kind: 'hostKey', accept: 'once' }) },
      );
      const names = ['the-bastion', `[127.0.0.1]:${hosts.db01.port}`];
      assert.deepEqual(
        asksOf(engine).map((ask) => ask.kind === 'hostKey' && ask.host),
        names,
      );
      end(hosts.bastion);
      await engine.next('connectionLost');
      await engine.next('connected');
      assert.equal(await echoed(port, 'again'), 'again');
      assert.equal(asksOf(engine).length, 2);
    });

    it('and asks once for the passphrase of a key that opens all of them', async () => {
      keygen(file('shared'), '-N', 'open sesame');
      for (const { authorizedKeysPath } of Object.values(hosts))
        appendFileSync(authorizedKeysPath, readFileSync(file('shared.pub')));
      const shared = (text: string) => text.replace(/IdentityFile .*/, `IdentityFile ${file('shared')}`);
      const { engine } = await comesUp(config(...[db01('ProxyJump bastion,middle'), bastion(), middle()].map(shared)), {
        answer: () => ({ kind: 'secret', secret: 'open sesame' }),
      });
      assert.deepEqual(
        asksOf(engine).map(({ kind }) => kind),
        ['passphrase'],
      );
    });

    it('and asks nobody in BatchMode', async () => {
      const { failure, asks } = await fails(
        config(db01('ProxyJump bastion'), bastion(`UserKnownHostsFile ${file('none')}`)),
        { options: [['batchmode', 'yes']] },
      );
      assert.equal(failure.kind === 'hop' && failure.hop, 'bastion');
      const unknown = innermost(failure);
      assert.equal(unknown.kind === 'hostKeyUnknown' && unknown.host, `[127.0.0.1]:${hosts.bastion.port}`);
      assert.deepEqual(asks, []);
    });
  });

  describe('says', () => {
    it('which jump host did not let it in', async () => {
      keygen(file('stranger'));
      const stranger = (text: string) => text.replace(/IdentityFile .*/, `IdentityFile ${file('stranger')}`);
      const { failure, text } = await fails(config(db01('ProxyJump bastion,middle'), bastion(), stranger(middle())));
      assert.equal(innermost(failure).kind, 'authFailed');
      assert.match(text, /^On the way to db01: middle did not let .* in\..*stranger/);
    });

    it('that the destination refused, as the jump host sees it', async () => {
      const closed = await freePort();
      const { failure, text } = await fails(config(db01('ProxyJump bastion', `Port ${closed}`), bastion()));
      assert.deepEqual(failure, {
        kind: 'hopRefused',
        hop: 'bastion',
        target: `127.0.0.1:${closed}`,
        refusal: 'connectFailed',
        detail: 'Connection refused',
      });
      assert.match(text, new RegExp(`^127\\.0\\.0\\.1:${closed} refused the connection, as bastion sees it\\.`));
    });

    it('that the jump host does not find the destination', async () => {
      const name = 'no-such-host.invalid';
      const { text } = await fails(config(db01('ProxyJump bastion', `HostName ${name}`), bastion()));
      assert.match(text, /^no-such-host\.invalid:\d+ can’t be reached from bastion \(.+\)\./);
    });

    for (const line of ['AllowTcpForwarding no', 'PermitOpen 127.0.0.1:1'])
      it(`that the jump host forbids connecting on (${line})`, async () => {
        const strict = await startSshd({ config: [line] });
        try {
          const { text } = await fails(config(db01('ProxyJump gate'), block('gate', strict)));
          assert.match(text, new RegExp(`^gate forbids connecting on to 127\\.0\\.0\\.1:${hosts.db01.port}\\. Ask`));
          await eventually(() => assert.deepEqual(strict.sessions(), []));
        } finally {
          await strict.stop();
        }
      });

    it('that what answers behind the jump host is no SSH server, with its words', async () => {
      const other = await startTarget((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      targets.push(other);
      const { failure } = await fails(config(db01('ProxyJump bastion', `Port ${other.port}`), bastion()));
      assert.deepEqual(failure, {
        kind: 'notSsh',
        host: '127.0.0.1',
        port: other.port,
        said: 'HTTP/1.1 400 Bad Request',
      });
    });

    it('which host did not answer within its own ConnectTimeout, and leaves no session', async () => {
      const silent = await startTarget((socket) => socket.resume().on('end', () => socket.end()));
      targets.push(silent);
      const { failure } = await fails(
        config(db01('ProxyJump bastion', `Port ${silent.port}`, 'ConnectTimeout 1'), bastion('ConnectTimeout 60')),
      );
      assert.deepEqual(failure, { kind: 'connectTimeout', host: '127.0.0.1', port: silent.port, seconds: 1 });
      await eventually(() => assert.deepEqual([...sessions(), silent.sockets.size], [0]));
    });

    const loops: [title: string, blocks: () => string[], failure: Failure][] = [
      [
        'that jump hosts lead in a circle',
        () => [db01('ProxyJump bastion'), bastion('ProxyJump middle'), middle('ProxyJump bastion')],
        { kind: 'jumpLoop', host: 'db01', hop: 'bastion' },
      ],
      [
        'that a jump host lies behind the destination',
        () => [db01('ProxyJump bastion'), bastion('ProxyJump db01')],
        { kind: 'jumpLoop', host: 'db01', hop: 'bastion' },
      ],
      [
        'that a list of all hosts leads in a circle',
        () => [db01(), 'Host *\n  ProxyJump bastion,middle\n', bastion(), middle()],
        { kind: 'jumpLoop', host: 'db01', hop: 'bastion' },
      ],
      [
        'that jump hosts lead on for ever',
        () => [db01(), 'Host *\n  ProxyJump x%n\n'],
        { kind: 'jumpLoop', host: 'db01', hop: `${'x'.repeat(17)}db01` },
      ],
      [
        'that a jump host is its own',
        () => [db01('ProxyJump bastion'), bastion('ProxyJump bastion')],
        { kind: 'jumpLoop', host: 'db01', hop: 'bastion' },
      ],
      [
        'that a jump host is its own, in ssh’s words',
        () => [db01('ProxyJump gate'), 'Host gate\n  ProxyJump gate\n'],
        { kind: 'sshConfig', detail: 'jumphost loop via gate.' },
      ],
    ];
    for (const [title, blocks, expected] of loops)
      it(title, async () => assert.deepEqual((await fails(config(...blocks()))).failure, expected));
  });

  describe('ends as a whole', () => {
    const chain = (...more: string[]) =>
      config(db01('ProxyJump bastion,middle', ...more), bastion(...more), middle(...more));

    for (const alias of ['bastion', 'middle', 'db01'] as const)
      it(`when ${alias} is gone, says so, resets the clients, and comes back by a new chain`, async () => {
        const { engine, port } = await comesUp(chain());
        const client = connect({ port, host: '127.0.0.1' });
        let ended = false;
        client.on('end', () => (ended = true));
        const reset = once(client, 'error');
        client.write('hello');
        await once(client, 'data');
        end(hosts[alias]);
        const { failure } = await engine.next('connectionLost');
        assert.equal(innermost(failure).kind, 'connectionLost');
        assert.match(failureText(failure), new RegExp(`${alias === 'db01' ? '^' : '^On the way to db01: .*'}${alias}`));
        const [error] = (await reset) as [NodeJS.ErrnoException];
        assert.equal(error.code, 'ECONNRESET');
        assert.equal(ended, false);
        await engine.next('connected');
        assert.equal(await echoed(port, 'again'), 'again');
        engine.engine.apply({ connections: [] });
        await engine.next('connectionClosed');
        await eventually(() => assert.deepEqual(sessions(), []));
      });

    it('when the last host is away, and tries again until it is back', async () => {
      const { engine, port } = await comesUp(chain());
      const running = hosts.db01.sessions();
      await hosts.db01.stopListening();
      for (const pid of running) process.kill(pid, 'SIGKILL');
      await engine.next('connectionLost');
      const { failure } = await engine.next('connectionLost');
      assert.equal(failure.kind === 'hopRefused' && failure.refusal, 'connectFailed');
      await hosts.db01.start();
      await engine.next('connected');
      assert.equal(await echoed(port, 'again'), 'again');
    });

    it('when a host on the way no longer answers', async () => {
      const { engine, port } = await comesUp(
        config(db01('ProxyJump bastion,middle'), bastion(), middle('ServerAliveInterval 1', 'ServerAliveCountMax 1')),
      );
      const client = connect({ port, host: '127.0.0.1' });
      const reset = once(client, 'error');
      client.write('hello');
      await once(client, 'data');
      end(hosts.middle, 'SIGSTOP');
      try {
        const { failure } = await engine.next('connectionLost');
        assert.deepEqual(failure, {
          kind: 'hop',
          hop: 'middle',
          host: 'db01',
          failure: { kind: 'connectionLost', host: 'middle', reason: 'keepalive' },
        });
        await reset;
        await eventually(() => assert.equal(engine.kinds().at(-1), 'connected'));
      } finally {
        end(hosts.middle, 'SIGCONT');
      }
      assert.equal(await echoed(port, 'again'), 'again');
    });

    it('within a moment when it is stopped, though the first host does not answer the goodbye', async () => {
      const { engine } = await comesUp(chain());
      end(hosts.bastion, 'SIGSTOP');
      const before = heldResources();
      try {
        engine.engine.apply({ connections: [] });
        await engine.next('connectionClosed', 2000);
        assert.equal(heldResources().length < before.length, true);
      } finally {
        end(hosts.bastion, 'SIGCONT');
      }
    });

    it('when it is stopped while the second host is dialled', async () => {
      const silent = await startTarget((socket) => socket.resume().on('end', () => socket.end()));
      targets.push(silent);
      const { engine } = await start(
        config(db01('ProxyJump bastion,middle'), bastion(), middle(`Port ${silent.port}`)),
      );
      await eventually(() => assert.equal(silent.sockets.size, 1));
      assert.deepEqual(sessions(), ['bastion']);
      engine.engine.apply({ connections: [] });
      await engine.next('connectionClosed');
      await eventually(() => assert.deepEqual([...sessions(), silent.sockets.size], [0]), 3000);
    });

    it('when a person says no to the second host', async () => {
      const { failure } = await fails(
        config(db01('ProxyJump bastion', `UserKnownHostsFile ${file('none')}`), bastion()),
        { answer: () => ({ kind: 'cancel' }) },
      );
      assert.deepEqual(failure, { kind: 'cancelled' });
      await eventually(() => assert.deepEqual(sessions(), []), 3000);
    });

    it('when the first host goes while a person is asked about the second, and withdraws the question', async () => {
      const { engine } = await start(
        config(db01('ProxyJump bastion', `UserKnownHostsFile ${file('none')}`), bastion()),
      );
      const { ask } = await engine.next('asked');
      end(hosts.bastion);
      const { failure } = await engine.next('connectionFailed');
      assert.match(failureText(failure), /^On the way to db01: .*bastion/);
      assert.equal(
        engine.events.some((event) => event.kind === 'askSettled' && event.id === ask.id),
        true,
      );
      await eventually(() => assert.deepEqual(sessions(), []), 3000);
    });

    it('when the host before no longer answers while a person is asked about the next', async () => {
      const { engine } = await start(
        config(
          db01('ProxyJump bastion,middle', `UserKnownHostsFile ${file('none')}`),
          bastion(),
          middle('ServerAliveInterval 1', 'ServerAliveCountMax 1'),
        ),
      );
      await engine.next('asked');
      end(hosts.middle, 'SIGSTOP');
      try {
        const { failure } = await engine.next('connectionFailed');
        assert.deepEqual(failure, {
          kind: 'hop',
          hop: 'middle',
          host: 'db01',
          failure: { kind: 'connectionLost', host: 'middle', reason: 'keepalive' },
        });
      } finally {
        end(hosts.middle, 'SIGCONT');
      }
    });

    it('before its dial fails, when the second host does not let it in', async () => {
      const path = config(db01('ProxyJump bastion', 'User nobody-there', 'BatchMode yes'), bastion());
      const held = heldResources();
      await assert.rejects(dial(path), (error) => failureOf(error).kind === 'authFailed');
      assert.deepEqual(heldResources(), held);
      await eventually(() => assert.deepEqual(sessions(), []), 3000);
    });

    it('before its closing is done', async () => {
      const path = chain();
      const held = heldResources();
      const { session } = await dial(path);
      assert.deepEqual(sessions(), ['bastion', 'middle', 'db01']);
      await session.close();
      assert.deepEqual(heldResources(), held);
    });
  });

  describe('has a channel for its socket, which', () => {
    let session: SshSession;
    beforeEach(async () => ({ session } = await dial(config(bastion()), 'bastion')));
    afterEach(() => session.close());
    const reach = async ({ port }: Target) =>
      session.openTcp({ host: '127.0.0.1', port }, { address: '127.0.0.1', port: 1 });

    it('keeps what came before the end until it is read', async () => {
      const brief = await startTarget((socket) => socket.end('Exceeded MaxStartups'));
      targets.push(brief);
      const channel = await reach(brief);
      const socket = channelStream(channel);
      socket.end();
      await eventually(() => assert.equal(channel.isClosed, true));
      const parts: Buffer[] = [];
      socket.on('data', (part: Buffer) => parts.push(part));
      await once(socket, 'close');
      assert.equal(Buffer.concat(parts).toString(), 'Exceeded MaxStartups');
    });

    it('closes the channel when it is destroyed, though more comes than anybody reads', async () => {
      const flood = await startTarget((socket) => socket.write(bytes(10_000_000, 'flood')));
      targets.push(flood);
      const channel = await reach(flood);
      const socket = channelStream(channel);
      await once(socket, 'readable');
      socket.destroy();
      await eventually(() => assert.equal(channel.isClosed, true));
      await eventually(() => assert.equal(flood.sockets.size, 0));
    });

    it('is closed at once when it is destroyed, though the server does not answer', async () => {
      const socket = channelStream(await reach(service));
      end(hosts.bastion, 'SIGSTOP');
      try {
        const closed = once(socket, 'close', { signal: AbortSignal.timeout(500) });
        socket.destroy();
        await closed;
      } finally {
        end(hosts.bastion, 'SIGCONT');
      }
    });
  });
});
