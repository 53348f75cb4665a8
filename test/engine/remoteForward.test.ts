import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Connection, ServerChannel } from 'ssh2';
import type { Ask, Reply } from '../../src/core/engine.js';
import type { PlannedConnection } from '../../src/core/plan.js';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startForgedServer, type ForgedServer } from '../support/forgedServer.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import {
  bytes,
  connectTo,
  digest,
  echo,
  exchange,
  proxyTurns,
  read,
  readToEnd,
  startTarget,
  startTwins,
  type Target,
} from '../support/targets.js';

const allow = (ask: Ask): Reply => ({ kind: ask.kind === 'openToNetwork' ? 'allow' : 'cancel' });

describe('a remote forward', () => {
  let sshd: Sshd;
  let heldBefore: string[];
  const engines: EngineProbe[] = [];
  const targets: Target[] = [];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd({ config: ['GatewayPorts clientspecified'] });
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    for (const target of targets.splice(0)) {
      await eventually(() => assert.equal(target.sockets.size, 0), 5000);
      await target.close();
    }
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
  });
  after(async () => {
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  async function target(onSocket: (socket: Socket) => void = echo): Promise<Target> {
    const made = await startTarget(onSocket);
    targets.push(made);
    return made;
  }
  function start(): EngineProbe {
    const engine = probe(createEngine(), allow);
    engines.push(engine);
    return engine;
  }
  const web01 = (forwards: readonly string[], server = sshd, lines: readonly string[] = []): PlannedConnection =>
    planned('web01', forwards, { configFile: server.configPath('web01', lines) });
  const apply = (engine: EngineProbe, ...connections: PlannedConnection[]) => engine.engine.apply({ connections });
  const answers = async (port: number, host = '127.0.0.1') =>
    assert.equal((await exchange(port, Buffer.from('hi'), host)).received.toString(), 'hi');
  const refuses = async (port: number, host = '127.0.0.1') =>
    assert.equal((await exchange(port, Buffer.from('hi'), host)).end, 'ECONNREFUSED');
  /** The port of each forward, when all listen. */
  const portsOf = async (engine: EngineProbe, forwards: readonly string[]): Promise<number[]> => {
    const ports = new Map<string, number>();
    for (const _ of forwards) {
      const { forward, bound } = await engine.next('listening');
      if (bound[0]?.kind === 'tcp') ports.set(forward, bound[0].port);
    }
    return forwards.map((forward) => ports.get(forward)!);
  };

  it('tells the ports that the server chose, of two at once', async () => {
    const [one, two] = [await target((socket) => socket.end('one')), await target((socket) => socket.end('two'))];
    const engine = start();
    const forwards = [`-R 0:127.0.0.1:${one.port}`, `-R 0:localhost:${two.port}`];
    apply(engine, web01(forwards));
    const ports = await portsOf(engine, forwards);
    assert.ok(ports.every((port) => port > 0) && ports[0] !== ports[1], ports.join());
    assert.equal((await exchange(ports[0]!, Buffer.alloc(0))).received.toString(), 'one');
    assert.equal((await exchange(ports[1]!, Buffer.alloc(0))).received.toString(), 'two');
    apply(engine, web01([forwards[1]!]));
    await engine.next('forwardClosed');
    await refuses(ports[0]!);
    assert.equal((await exchange(ports[1]!, Buffer.alloc(0))).received.toString(), 'two');
  });

  it('keeps the one when the other with its port, at another address, is stopped', async () => {
    const service = await target();
    const port = await freePort();
    const forwards = [
      `-R 127.0.0.1:${port}:127.0.0.1:${service.port}`,
      `-R 127.0.0.2:${port}:localhost:${service.port}`,
    ];
    const engine = start();
    apply(engine, web01(forwards));
    await portsOf(engine, forwards);
    apply(engine, web01([forwards[1]!]));
    await engine.next('forwardClosed');
    await refuses(port);
    await answers(port, '127.0.0.2');
  });

  it('starts and stops on the same port again and again', async () => {
    const service = await target();
    const port = await freePort();
    const engine = start();
    for (let time = 0; time < 10; time++) {
      apply(engine, web01([`-R ${port}:127.0.0.1:${service.port}`]));
      await engine.next('listening');
      await answers(port);
      apply(engine, web01([]));
      await engine.next('forwardClosed');
      await refuses(port);
    }
    assert.equal(engine.kinds().filter((kind) => kind === 'connected').length, 1);
  });

  it('lets its clients finish when it is stopped in peace', async () => {
    const service = await target();
    const port = await freePort();
    const engine = start();
    const plan = web01([`-R ${port}:127.0.0.1:${service.port}`]);
    apply(engine, plan);
    await engine.next('listening');
    const socket = await connectTo({ host: '127.0.0.1', port });
    socket.write('one');
    assert.equal((await read(socket, 3)).toString(), 'one');
    apply(engine, { ...plan, forwards: plan.forwards.map((forward) => ({ ...forward, wish: 'drain' })) });
    await engine.next('forwardClosed');
    await refuses(port);
    socket.end('two');
    assert.equal((await readToEnd(socket)).received.toString(), 'two');
    await engine.next('drained');
  });

  it('cuts its clients when it is stopped at once', async () => {
    const service = await target();
    const port = await freePort();
    const engine = start();
    apply(engine, web01([`-R ${port}:127.0.0.1:${service.port}`]));
    await engine.next('listening');
    const socket = await connectTo({ host: '127.0.0.1', port });
    socket.write('one');
    await read(socket, 3);
    const gone = readToEnd(socket.once('end', () => socket.end()));
    apply(engine, web01([]));
    await engine.next('forwardClosed');
    await gone;
    await eventually(() => assert.equal(service.sockets.size, 0), 2000);
  });

  it('says that another program of the server has the port', async () => {
    // Both families, or the server would take the one that is free.
    const others = await startTwins(echo);
    targets.push(...others);
    const engine = start();
    for (const bind of ['', '127.0.0.1:']) {
      apply(engine, web01([`-R ${bind}${others[0].port}:127.0.0.1:1`]));
      const { failure } = await engine.next('listenFailed');
      assert.ok(failure.kind === 'remoteRefused' && failure.inUse);
      assert.match(failureText(failure), /^(localhost|127\.0\.0\.1):\d+ is already in use on web01\b/);
    }
  });

  it('says so of a port that we have there ourselves, and does not try it at our own target', async () => {
    const [first, second] = [await target(), await target()];
    const port = await freePort();
    const engine = start();
    apply(engine, web01([`-R ${port}:127.0.0.1:${first.port}`]));
    await engine.next('listening');
    apply(engine, web01([`-R ${port}:127.0.0.1:${first.port}`, `-R ${port}:127.0.0.1:${second.port}`]));
    const { failure } = await engine.next('listenFailed');
    assert.ok(failure.kind === 'remoteRefused' && failure.inUse);
    assert.deepEqual([first.accepted, second.accepted], [0, 0]);
    await answers(port);
  });

  for (const lines of [
    ['AllowTcpForwarding local'],
    ['AllowTcpForwarding no'],
    ['DisableForwarding yes'],
    ['PermitListen 127.0.0.1:1'],
  ])
    it(`says that the server refused, where it has ${lines.join(', ')}`, async () => {
      const server = await startSshd({ config: lines });
      try {
        const engine = start();
        apply(engine, web01([`-R ${await freePort()}:127.0.0.1:1`, '-R 0:127.0.0.1:1'], server));
        for (let told = 0; told < 2; told++) {
          const { failure } = await engine.next('listenFailed');
          assert.ok(failure.kind === 'remoteRefused' && !failure.inUse);
          assert.match(
            failureText(failure),
            /^web01 refused to (listen on localhost:\d+|choose a port)\. .*PermitListen/,
          );
        }
        assert.deepEqual(engine.kinds().filter((kind) => /asked|connectionFailed/.test(kind)), []); // prettier-ignore
        for (const engine of engines.splice(0)) await engine.close();
      } finally {
        await server.stop();
      }
    });

  it('listens again by itself after the session was killed, and was closed in between', async () => {
    const service = await target();
    const port = await freePort();
    const forwards = [`-R ${port}:127.0.0.1:${service.port}`, `-R 0:127.0.0.1:${service.port}`];
    const engine = start();
    apply(engine, web01(forwards));
    await portsOf(engine, forwards);
    await answers(port);
    engine.skip();
    const from = engine.events.length;
    sshd.killSessions();
    await engine.next('connectionLost');
    const ports = await portsOf(engine, forwards);
    for (const port of ports) await answers(port);
    assert.equal(ports[0], port);
    const told = engine.events.slice(from).filter(({ kind }) => !/logged|channel/.test(kind));
    assert.deepEqual(
      told.map(({ kind }) => kind),
      ['forwardClosed', 'forwardClosed', 'connectionLost', 'connecting', 'connected', 'listening', 'listening'],
    );
  });

  it('resets the target’s connections when the session is killed', async () => {
    const ends: string[] = [];
    const service = await target((socket) => {
      socket.write('hello');
      void readToEnd(socket).then(({ end }) => ends.push(end));
    });
    const engine = start();
    const port = await freePort();
    apply(engine, web01([`-R ${port}:127.0.0.1:${service.port}`]));
    await engine.next('listening');
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    await once(socket, 'data');
    sshd.killSessions();
    await eventually(() => assert.deepEqual(ends, ['ECONNRESET']), 3000);
  });

  it('closes the target’s connection when the client goes, and the client’s when the target does', async () => {
    const service = await target((socket) => {
      socket.write('hello');
      socket.on('data', () => socket.resetAndDestroy());
      socket.on('end', () => socket.end());
    });
    const engine = start();
    const port = await freePort();
    const forward = `-R ${port}:127.0.0.1:${service.port}`;
    apply(engine, web01([forward]));
    await engine.next('listening');
    const goes = connect({ port, host: '127.0.0.1' });
    await once(goes, 'data');
    goes.resetAndDestroy();
    await eventually(() => assert.equal(service.sockets.size, 0), 3000);
    const stays = await connectTo({ host: '127.0.0.1', port });
    stays.write('reset me');
    const { received } = await readToEnd(stays.once('end', () => stays.end()));
    assert.equal(received.toString(), 'hello');
    await eventually(async () => assert.deepEqual(await engine.engine.clients(forward), []));
  });

  it('brings 50 connections at once without mixing them', async () => {
    const service = await target();
    const engine = start();
    const port = await freePort();
    apply(engine, web01([`-R ${port}:127.0.0.1:${service.port}`]));
    await engine.next('listening');
    const sent = Array.from({ length: 50 }, (_, index) => bytes(200_000, `stream ${index}`));
    const got = await Promise.all(sent.map((data) => exchange(port, data)));
    assert.deepEqual(
      got.map(({ received }) => digest(received)),
      sent.map(digest),
    );
  });

  const missing: readonly (readonly [title: string, target: (port: number) => string, code: string, text: RegExp])[] = [
    ['refuses', (port) => `127.0.0.1:${port}`, 'ECONNREFUSED', /refused the connection, as this machine sees it/],
    ['refuses at every address of its name', (port) => `localhost:${port}`, 'ECONNREFUSED', /refused the connection/],
    ['can’t be found', (port) => `nowhere.invalid:${port}`, 'ENOTFOUND', /was not found by this machine/],
    ['is no socket', () => '/nowhere/db.sock', 'ENOENT', /\/nowhere\/db\.sock does not exist on this machine/],
  ];
  for (const [title, to, code, text] of missing)
    it(`closes the server’s client and says why when the target ${title}`, async () => {
      const name = to(await freePort());
      const engine = start();
      const port = await freePort();
      apply(engine, web01([`-R ${port}:${name}`]));
      await engine.next('listening');
      const since = Date.now();
      const socket = await connectTo({ host: '127.0.0.1', port });
      const { received } = await readToEnd(socket.once('end', () => socket.end()));
      assert.equal(received.length, 0);
      assert.ok(Date.now() - since < 2000, `${Date.now() - since} ms`);
      const { failure } = await engine.next('channelFailed');
      assert.deepEqual(failure, { kind: 'targetFailed', target: name, code });
      assert.match(failureText(failure), text);
    });

  it('tells a refused target once, and its recovery once', async () => {
    const later = await freePort();
    const port = await freePort();
    const engine = start();
    apply(engine, web01([`-R ${port}:127.0.0.1:${later}`]));
    await engine.next('listening');
    for (let time = 0; time < 3; time++) await exchange(port, Buffer.from('x'));
    const service = await startTarget(echo, { host: '127.0.0.1', port: later });
    targets.push(service);
    for (let time = 0; time < 3; time++) await answers(port);
    const told = engine.kinds().filter((kind) => kind.startsWith('channel'));
    assert.deepEqual(told, ['channelFailed', 'channelOpened']);
  });

  it('tells that its target is still refused after the connection was lost', async () => {
    const engine = start();
    apply(engine, web01([`-R 0:127.0.0.1:${await freePort()}`]));
    for (const _ of ['before', 'after']) {
      const { bound } = await engine.next('listening');
      assert.ok(bound[0]?.kind === 'tcp');
      await exchange(bound[0].port, Buffer.from('x'));
      await engine.next('channelFailed');
      sshd.killSessions();
      await engine.next('connectionLost');
    }
  });

  it('obeys a PermitRemoteOpen that was written after its first dial', async () => {
    const service = await target();
    const engine = start();
    const connection = web01(['-R 0'], sshd, ['PermitRemoteOpen any']);
    apply(engine, connection);
    await engine.next('listening');
    sshd.configPath('web01', ['PermitRemoteOpen none']);
    sshd.killSessions();
    await engine.next('connectionLost');
    const [port] = await portsOf(engine, ['-R 0']);
    await exchange(port!, Buffer.concat(proxyTurns('SOCKS5', '127.0.0.1', service.port)));
    const { failure } = await engine.next('channelFailed');
    assert.equal(failure.kind, 'targetNotPermitted');
    assert.equal(service.accepted, 0);
  });

  describe('as a proxy, held by PermitRemoteOpen', () => {
    const cases: readonly (readonly [permitted: (port: number) => string, host: string, isPermitted: boolean])[] = [
      [() => 'any', '127.0.0.1', true],
      [() => 'none', '127.0.0.1', false],
      [(port) => `127.0.0.1:${port}`, '127.0.0.1', true],
      [(port) => `127.0.0.1:${port}`, 'localhost', false],
      [(port) => `127.0.0.1:${port + 1}`, '127.0.0.1', false],
      [(port) => `*:${port}`, 'localhost', true],
      [() => '*:80', '127.0.0.1', false],
      [() => '127.0.0.1:*', '127.0.0.1', true],
      [(port) => `db:1 [::1]:${port} localhost:${port}`, 'localhost', true],
    ];
    for (const [permitted, host, isPermitted] of cases)
      it(`“${permitted(5432)}” ${isPermitted ? 'lets' : 'does not let'} ${host}:5432 pass`, async () => {
        const service = await target();
        const engine = start();
        apply(engine, web01(['-R 0'], sshd, [`PermitRemoteOpen ${permitted(service.port)}`]));
        const [port] = await portsOf(engine, ['-R 0']);
        const replies = [];
        for (const kind of ['SOCKS5', 'SOCKS4a', 'HTTP CONNECT'] as const) {
          const said = Buffer.concat([...proxyTurns(kind, host, service.port), Buffer.from('through')]);
          replies.push((await exchange(port!, said)).received.toString('latin1'));
        }
        const [socks5, socks4, http] = replies;
        assert.equal(
          socks5,
          `\x05\0\x05${isPermitted ? '\0' : '\x02'}\0\x01\0\0\0\0\0\0${isPermitted ? 'through' : ''}`,
        );
        assert.equal(socks4, `\0${isPermitted ? '\x5a' : '\x5b'}\0\0\0\0\0\0${isPermitted ? 'through' : ''}`);
        assert.match(http!, isPermitted ? /^HTTP\/1\.1 200 .*through$/s : /^HTTP\/1\.1 403 /);
        assert.equal(service.accepted, isPermitted ? 3 : 0);
        const told = engine.events.findLast((event) => event.kind === 'channelFailed');
        assert.deepEqual(
          told?.kind === 'channelFailed' && told.failure,
          !isPermitted && { kind: 'targetNotPermitted', target: `${host}:${service.port}` },
        );
      });
  });
});

describe('a server that opens what nobody asked for', () => {
  let heldBefore: string[];
  let forged: ForgedServer;
  let server: Connection;
  let engine: EngineProbe;
  let service: Target;
  /** What we asked it to listen on, as it understood that. */
  const asked: unknown[] = [];

  before(async () => {
    heldBefore = heldResources();
    service = await startTarget((socket) => socket.end('reached'));
    forged = await startForgedServer((connection) => {
      server = connection;
      connection.on('request', (accept, reject, name, info) => {
        asked.push([name, info]);
        if (/forward/.test(name)) accept?.();
        else reject?.();
      });
    });
  });
  beforeEach(async () => {
    asked.splice(0);
    engine = probe(createEngine(), allow);
    engine.engine.apply({ connections: [plan] });
    for (const _ of plan.forwards) await engine.next('listening');
  });
  let plan: PlannedConnection;
  before(() => {
    const forwards = [`-R 4000:127.0.0.1:${service.port}`, `-R /run/asked.sock:127.0.0.1:${service.port}`];
    plan = planned('web01', forwards, { configFile: forged.configPath });
  });
  afterEach(() => engine.close());
  after(async () => {
    await forged.close();
    await service.close();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  type Opened = (error: Error | undefined, channel: ServerChannel) => void;
  /** What the client makes of a channel: what came through it, or the reason (RFC 4254 section 5.1). */
  const outcome = (open: (opened: Opened) => void) =>
    new Promise<string | number>((resolve) =>
      open((error, channel) => {
        if (error) return resolve((error as { reason?: number }).reason ?? error.message);
        const parts: Buffer[] = [];
        channel.on('data', (part: Buffer) => parts.push(part));
        channel.on('close', () => resolve(Buffer.concat(parts).toString()));
        channel.end();
      }),
    );
  const tcp = (address: string, port: number) =>
    outcome((opened) => server.forwardOut(address, port, '192.0.2.9', 50_000, opened));
  const unix = (path: string) =>
    outcome((opened) => server.openssh_forwardOutStreamLocal(path, ((error?: Error, channel?: ServerChannel) => opened(error, channel!)))); // prettier-ignore

  const prohibited = 1;
  const isRefused = (given: string | number) => typeof given === 'number';

  it('reaches only the targets of the ports and sockets that were asked for', async () => {
    assert.deepEqual(asked.slice(0, 2).map((one) => (one as string[])[0]).sort(), ['streamlocal-forward@openssh.com', 'tcpip-forward']); // prettier-ignore
    assert.equal(await tcp('localhost', 4000), 'reached');
    assert.equal(await unix('/run/asked.sock'), 'reached');
    const { accepted } = service;
    for (const [address, port] of [
      ['localhost', 4001],
      ['localhost', 0],
      ['127.0.0.1', 4000],
      ['0.0.0.0', 4000],
      ['', 4000],
      ['localhost', 22],
      ['__proto__', 4000],
    ] as const)
      assert.equal(await tcp(address, port), prohibited, `${address}:${port}`);
    for (const path of ['/run/other.sock', '', 'asked.sock', 'constructor', '__proto__'])
      assert.ok(isRefused(await unix(path)), path);
    assert.equal(await outcome((opened) => server.x11('localhost', 6000, opened)), prohibited);
    assert.equal(service.accepted, accepted);
  });

  it('reaches nothing by a port that was given back, not even before it has heard of that', async () => {
    engine.engine.apply({ connections: [{ ...plan, forwards: [] }] });
    // In the same breath: its own answer to the cancel comes later.
    const early = await Promise.all([tcp('localhost', 4000), unix('/run/asked.sock')]);
    await engine.next('forwardClosed');
    await engine.next('forwardClosed');
    assert.equal(await tcp('localhost', 4000), prohibited);
    assert.equal(await unix('/run/asked.sock'), prohibited);
    assert.ok(early.every(isRefused), early.join());
  });

  it('is served by a forward that listens again after the connection was lost, and by that alone', async () => {
    for (const connection of forged.connections) connection.end();
    await engine.next('connectionLost');
    for (const _ of plan.forwards) await engine.next('listening');
    assert.equal(await tcp('localhost', 4000), 'reached');
    assert.equal(await tcp('localhost', 4001), prohibited);
  });
});

describe('a server that lets listen and hangs up', () => {
  for (const at of ['4000', '/run/some.sock'])
    it(`is not said to listen at ${at} when its end comes with the answer`, async () => {
      const forged = await startForgedServer((connection) => {
        const { _sock: socket, _protocol: protocol } = connection as unknown as {
          _sock: Socket;
          _protocol: { disconnect(reason: number): void };
        };
        connection.on('request', (accept) => {
          socket.cork();
          accept?.();
          protocol.disconnect(2);
          socket.uncork();
          connection.end();
        });
      });
      const engine = probe(createEngine());
      try {
        engine.engine.apply({ connections: [planned('web01', [`-R ${at}:db:1`], { configFile: forged.configPath })] });
        // What was to be told of the first session would have been told before the second one goes.
        for (const _ of [1, 2]) await engine.next('connectionLost');
        assert.deepEqual([...new Set(engine.kinds())], ['connecting', 'connected', 'connectionLost']);
      } finally {
        await engine.close();
        await forged.close();
      }
    });
});

describe('a server that means harm to a channel', () => {
  it('forges no line of the log by its words', async () => {
    const forged = await startForgedServer((connection) => {
      const { _protocol: protocol } = connection as unknown as HarmfulChannel['_client'];
      protocol.channelOpenFail = (
        (fail) => (recipient: number, reason: number) =>
          fail(recipient, reason, 'no\n2026-11-22 [error] forged\u202e')
      )(protocol.channelOpenFail.bind(protocol));
      connection.on('tcpip', (_, reject) => reject());
    });
    const engine = probe(createEngine());
    const port = await freePort();
    const plan = planned('web01', [`-L ${port}:db:1`], { configFile: forged.configPath });
    engine.engine.apply({ connections: [plan] });
    await engine.next('listening');
    await exchange(port, Buffer.from('x'));
    const { failure } = await engine.next('channelFailed');
    assert.equal(failure.kind === 'channelRefused' && failure.detail, 'no?2026-11-22 [error] forged?');
    await engine.close();
    await forged.close();
  });

  const harms: readonly (readonly [title: string, harm: (channel: HarmfulChannel) => void, size?: number])[] = [
    [
      'speaks on the second stream after its end',
      ({ _client, outgoing }) => {
        _client._protocol.channelEOF(outgoing.id);
        _client._protocol.channelExtData(outgoing.id, Buffer.from('late'), 1);
      },
    ],
    ['takes packets of no bytes', () => {}, 0],
  ];
  for (const [title, harm, packetSize] of harms)
    it(`ends no tunnel but its own when it ${title}`, async () => {
      const heldBefore = heldResources();
      const forged = await startForgedServer((connection) => {
        const { _protocol: protocol } = connection as unknown as HarmfulChannel['_client'];
        const confirm = protocol.channelOpenConfirm.bind(protocol);
        if (packetSize !== undefined)
          protocol.channelOpenConfirm = (remote, local, window) => confirm(remote, local, window, packetSize);
        connection.on('tcpip', (accept) => {
          const channel = accept();
          channel.on('error', () => {}).resume();
          harm(channel as unknown as HarmfulChannel);
        });
      });
      const engine = probe(createEngine());
      const port = await freePort();
      const plan = planned('web01', [`-L ${port}:db:1`], { configFile: forged.configPath });
      engine.engine.apply({ connections: [plan] });
      await engine.next('listening');
      const client = connect(port, '127.0.0.1').on('error', () => {});
      await once(client, 'connect');
      client.write('hello');
      const alive = connect(port, '127.0.0.1').on('error', () => {});
      await once(alive, 'connect');
      client.destroy();
      alive.destroy();
      await eventually(async () => assert.deepEqual(await engine.engine.clients(`-L ${port}:db:1`), []));
      await engine.close();
      await forged.close();
      await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
    });
});

/** What ssh2's types keep to itself. */
interface HarmfulChannel {
  outgoing: { id: number };
  _client: {
    _protocol: {
      channelOpenFail(recipient: number, reason: number, text: string): void;
      channelEOF(id: number): void;
      channelExtData(id: number, data: Buffer, type: number): void;
      channelOpenConfirm(remote: number, local: number, window: number, packetSize: number): void;
    };
  };
}
