import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Failure } from '../../src/core/failure.js';
import type { ProxyRefusal } from '../../src/core/socks.js';
import { readProxyRequest } from '../../src/engine/proxyClient.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startForgedServer, type ForgedServer } from '../support/forgedServer.js';
import { run } from '../support/openSsh.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import {
  bytes,
  connectThrough,
  connectTo,
  digest,
  echo,
  exchange,
  proxyTurns,
  readToEnd,
  startTarget,
  type ProxyKind,
  type Target,
} from '../support/targets.js';

const options = ['-D', '-R'] as const;
type Option = (typeof options)[number];

/** What both the server (PermitOpen) and the client (PermitRemoteOpen) let pass. */
const permitted = '127.0.0.1:* localhost:* [::1]:* nowhere.invalid:*';
/** On this machine, like 127.0.0.1, but not permitted. */
const forbidden = '127.0.0.3';

describe('a dynamic forward', () => {
  let sshd: Sshd;
  let engine: EngineProbe;
  let heldBefore: string[];
  let echoing: Target;
  let web: Server;
  const ids = {} as Record<Option, string>;
  const ports = {} as Record<Option, number>;

  /** Tells what it was asked, and whom the forward brings there. */
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const body: Buffer[] = [];
    for await (const part of request) body.push(part as Buffer);
    const option: Option = request.headers['x-option'] === '-R' ? '-R' : '-D';
    const clients = await engine.engine.clients(ids[option]);
    const { method, url } = request;
    const asked = clients.map(({ target }) => target);
    response.end(JSON.stringify({ method, url, body: digest(Buffer.concat(body)), asked }));
  };

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd({ config: [`PermitOpen ${permitted}`] });
    echoing = await startTarget(echo);
    web = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1');
    await once(web, 'listening');
    for (const option of options) {
      ports[option] = await freePort();
      ids[option] = `${option} ${ports[option]}`;
    }
    const configFile = sshd.configPath('web01', [`PermitRemoteOpen ${permitted}`]);
    engine = probe(createEngine());
    engine.engine.apply({ connections: [planned('web01', Object.values(ids), { configFile })] });
    for (const _ of options) await engine.next('listening');
  });
  beforeEach(() => engine.skip());
  afterEach(async () => {
    await eventually(async () => {
      for (const option of options) assert.deepEqual(await engine.engine.clients(ids[option]), []);
      assert.equal(echoing.sockets.size, 0);
    }, 5000);
  });
  after(async () => {
    await engine.close();
    await echoing.close();
    web.closeAllConnections();
    await new Promise((closed) => web.close(closed));
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const place = (option: Option) => ({ host: '127.0.0.1', port: ports[option] });
  /** Says all at once and does not end: what it is told, how it ends, and after how many milliseconds. */
  const tell = async (option: Option, said: Buffer) => {
    const socket = await connectTo(place(option));
    const since = Date.now();
    socket.write(said);
    socket.once('end', () => socket.end());
    return { ...(await readToEnd(socket)), ms: Date.now() - since };
  };
  const request = (kind: ProxyKind, host: string, port: number) => Buffer.concat(proxyTurns(kind, host, port));

  for (const option of options)
    describe(`${option} with curl`, () => {
      before(function () {
        if (spawnSync('curl', ['--version'], { stdio: 'ignore' }).error) this.skip();
      });

      const { NO_PROXY: _, no_proxy: __, ...env } = process.env;
      const curl = (proxyOption: string, host: string, ...rest: readonly string[]) => {
        const proxy = `127.0.0.1:${ports[option]}`;
        const by = proxyOption === '--proxytunnel' ? [proxyOption, '--proxy', `http://${proxy}`] : [proxyOption, proxy];
        const { port } = web.address() as AddressInfo;
        const fixed = ['-q', '-sS', '--max-time', '10', '-H', `x-option: ${option}`];
        return run('curl', [...fixed, ...by, ...rest, `http://${host}:${port}/page`], env);
      };
      const ways: readonly (readonly [proxyOption: string, host: string, asked: string])[] = [
        ['--socks4', '127.0.0.1', '127.0.0.1'],
        ['--socks4a', 'localhost', 'localhost'],
        ['--socks5', '127.0.0.1', '127.0.0.1'],
        ['--socks5-hostname', 'localhost', 'localhost'],
        ['--proxytunnel', 'localhost', 'localhost'],
      ];
      for (const [proxyOption, host, asked] of ways) {
        it(`gets a page with ${proxyOption}, with the name ${asked} for the other side to resolve`, async () => {
          const { port } = web.address() as AddressInfo;
          const { code, stdout, stderr } = await curl(proxyOption, host);
          assert.equal(code, 0, stderr);
          assert.deepEqual(JSON.parse(stdout), {
            method: 'GET',
            url: '/page',
            body: digest(Buffer.alloc(0)),
            asked: [`${asked}:${port}`],
          });
        });
        it(`posts a body with ${proxyOption}`, async () => {
          const { code, stdout, stderr } = await curl(proxyOption, host, '--data-binary', 'x'.repeat(100_000));
          assert.equal(code, 0, stderr);
          const { method, body } = JSON.parse(stdout) as { method: string; body: string };
          assert.deepEqual([method, body], ['POST', digest(Buffer.alloc(100_000, 'x'))]);
        });
      }

      it('serves several at once', async () => {
        const got = await Promise.all(ways.map(([proxyOption, host]) => curl(proxyOption, host)));
        assert.deepEqual(
          got.map(({ code }) => code),
          ways.map(() => 0),
        );
      });

      it('says what to do instead of a plain http:// request', async () => {
        const { stdout } = await curl('--proxy', 'localhost', '-w', '%{http_code}');
        assert.match(stdout, /^This port is a SOCKS and HTTP CONNECT proxy\..*\n405$/);
      });
    });

  type Reply = string | RegExp;
  const yes = '0500';
  const socks5 = (code: string) => `${yes}05${code}0001000000000000`;
  const no4 = '005b000000000000';
  const failing: readonly (readonly [
    title: string,
    host: string,
    replies: readonly (readonly [ProxyKind, Reply])[],
    ofServer: Partial<Failure>,
    ofClient: Partial<Failure>,
  ])[] = [
    [
      'refuses',
      '127.0.0.1',
      [
        ['SOCKS4', no4],
        ['SOCKS4a', no4],
        ['SOCKS5', socks5('05')],
        ['HTTP CONNECT', /^HTTP\/1\.1 502 .*\n127\.0\.0\.1:\d+ refused the connection\.\n$/s],
      ],
      { kind: 'channelRefused', refusal: 'connectFailed', detail: 'Connection refused' },
      { kind: 'targetFailed', code: 'ECONNREFUSED' },
    ],
    [
      'can’t be found',
      'nowhere.invalid',
      [
        ['SOCKS4a', no4],
        ['SOCKS5', socks5('04')],
        ['HTTP CONNECT', /^HTTP\/1\.1 502 .*\nnowhere\.invalid:\d+ can’t be found or reached\.\n$/s],
      ],
      { kind: 'channelRefused', refusal: 'connectFailed' },
      { kind: 'targetFailed', code: 'ENOTFOUND' },
    ],
    [
      'is forbidden',
      forbidden,
      [
        ['SOCKS4', no4],
        ['SOCKS5', socks5('02')],
        ['HTTP CONNECT', /^HTTP\/1\.1 403 .*\nThis tunnel may not connect to 127\.0\.0\.3:\d+\.\n$/s],
      ],
      { kind: 'channelRefused', refusal: 'prohibited' },
      { kind: 'targetNotPermitted' },
    ],
  ];
  for (const option of options)
    for (const [title, host, replies, ofServer, ofClient] of failing)
      for (const [kind, expected] of replies)
        it(`${option} tells a ${kind} client that its target ${title}, whole and at once`, async () => {
          const port = await freePort();
          // What is sent too soon must not make the end a reset, which would take the reply with it.
          const said = Buffer.concat([request(kind, host, port), bytes(8_000_000, 'too soon')]);
          const { received, end, ms } = await tell(option, said);
          if (expected instanceof RegExp) assert.match(received.toString(), expected);
          else assert.equal(received.toString('hex'), expected);
          assert.equal(end, 'end');
          assert.ok(ms < 2000, `${ms} ms`);
          const told = engine.events.findLast((event) => event.kind === 'channelFailed');
          const { kind: failed, ...facts } = option === '-D' ? ofServer : ofClient;
          assert.ok(told?.kind === 'channelFailed' && told.forward === ids[option]);
          assert.equal(told.failure.kind, failed);
          assert.ok('target' in told.failure && told.failure.target === `${host}:${port}`);
          for (const [name, value] of Object.entries(facts)) assert.equal((told.failure as never)[name], value);
        });

  const kinds: readonly ProxyKind[] = ['SOCKS4', 'SOCKS4a', 'SOCKS5', 'HTTP CONNECT'];
  for (const option of options)
    for (const kind of kinds) {
      it(`${option} understands ${kind} in single bytes`, async () => {
        const socket = await connectTo(place(option));
        for (const byte of request(kind, '127.0.0.1', echoing.port)) {
          socket.write(Buffer.of(byte));
          await sleep(1);
        }
        socket.end('hello');
        const { received, end } = await readToEnd(socket);
        assert.match(received.toString('latin1'), /hello$/);
        assert.equal(end, 'end');
      });

      it(`${option} brings what comes behind a ${kind} request in the same packet`, async () => {
        const data = bytes(500_000, `${option} ${kind}`);
        const socket = await connectTo(place(option));
        socket.end(Buffer.concat([request(kind, '127.0.0.1', echoing.port), data]));
        const { received, end } = await readToEnd(socket);
        assert.equal(digest(received.subarray(-data.length)), digest(data));
        assert.equal(end, 'end');
      });

      it(`${option} hears a ${kind} client end that has nothing to say behind its request`, async () => {
        const { received, end } = await exchange(place(option), request(kind, '127.0.0.1', echoing.port));
        assert.ok(received.length > 0);
        assert.equal(end, 'end');
      });

      it(`${option} forgets a ${kind} client that leaves in the middle of its request`, async () => {
        const whole = request(kind, '127.0.0.1', echoing.port);
        const { accepted } = echoing;
        for (const length of [0, 1, whole.length >> 1, whole.length - 1])
          for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
            const socket = await connectTo(place(option));
            if (length > 0) socket.write(whole.subarray(0, length));
            await sleep(5);
            socket[leave]();
            if (leave === 'end') assert.equal((await readToEnd(socket)).end, 'end');
          }
        assert.equal(echoing.accepted, accepted);
      });
    }

  for (const option of options) {
    it(`${option} closes on a TLS client`, async () => {
      const hello = Buffer.concat([Buffer.from('16030102000100', 'hex'), bytes(509, 'hello')]);
      const { received, end, ms } = await tell(option, hello);
      assert.equal(received.length, 0);
      assert.equal(end, 'end');
      assert.ok(ms < 2000, `${ms} ms`);
    });

    it(`${option} resets a client, or ends it, when the tunnel is stopped in the middle of its request`, async () => {
      const spare = await freePort();
      const connections = (forwards: readonly string[]) => [
        planned('web01', forwards, { configFile: sshd.configPath('web01', [`PermitRemoteOpen ${permitted}`]) }),
      ];
      engine.engine.apply({ connections: connections([...Object.values(ids), `${option} ${spare}`]) });
      await engine.next('listening');
      const socket = await connectTo({ host: '127.0.0.1', port: spare });
      socket.write(Buffer.of(5));
      const gone = readToEnd(socket.once('end', () => socket.end()));
      await eventually(async () => assert.equal((await engine.engine.clients(`${option} ${spare}`)).length, 1));
      engine.engine.apply({ connections: connections(Object.values(ids)) });
      await engine.next('forwardClosed');
      const { end } = await gone;
      assert.equal(end, option === '-D' ? 'ECONNRESET' : 'end');
    });
  }
});

describe('readProxyRequest', () => {
  const limitMs = 150;
  let proxy: Target;
  const outcomes: (Awaited<ReturnType<typeof readProxyRequest>> | ProxyRefusal)[] = [];

  before(async () => {
    proxy = await startTarget((socket) => {
      socket.pause();
      const refused = (reason: ProxyRefusal) => outcomes.push(reason);
      void readProxyRequest(socket, refused, limitMs).then((request) => outcomes.push(request));
    });
  });
  beforeEach(() => outcomes.splice(0));
  afterEach(() => eventually(() => assert.equal(proxy.sockets.size, 0)));
  after(() => proxy.close());

  const drips: readonly (readonly [title: string, said: string, again: string])[] = [
    ['says nothing', '', ''],
    ['stops in the middle', '\x05\x01', ''],
    ['sends a byte now and then', 'CONNECT db:5432 HTTP/1.1\r\n', 'x'],
  ];
  for (const [title, said, again] of drips)
    it(`drops a client that ${title}`, async () => {
      const socket = await connectTo({ host: '127.0.0.1', port: proxy.port });
      const since = Date.now();
      socket.write(said);
      const drip = setInterval(() => again && socket.write(again), 20);
      socket.once('end', () => socket.end());
      const { end } = await readToEnd(socket);
      clearInterval(drip);
      assert.match(end, /^(end|ECONNRESET|EPIPE)$/);
      assert.deepEqual(outcomes, [undefined]);
      const ms = Date.now() - since;
      assert.ok(ms >= limitMs - 20 && ms < 2000, `${ms} ms`);
    });

  it('does not count the time after the request', async () => {
    const socket = await connectTo({ host: '127.0.0.1', port: proxy.port });
    socket.write(Buffer.concat(proxyTurns('SOCKS4', '127.0.0.1', 80)));
    await eventually(() => assert.equal(outcomes.length, 1));
    await sleep(2 * limitMs);
    assert.equal(proxy.sockets.size, 1);
    assert.deepEqual(outcomes, [{ protocol: 'socks4', host: '127.0.0.1', port: 80 }]);
    socket.destroy();
    // It was left paused, and so it does not hear of the end.
    for (const left of proxy.sockets) left.destroy();
  });
});

describe('a dynamic forward, beside a server that is slow to answer,', () => {
  let forged: ForgedServer;
  let engine: EngineProbe;
  let port: number;
  let heldBefore: string[];
  const asked: { host: string; port: number; accept: () => void; reject: () => void }[] = [];

  before(async () => {
    heldBefore = heldResources();
    forged = await startForgedServer((connection) => {
      connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
        const open = () => {
          const channel = accept();
          channel.on('error', () => {});
          channel.on('data', (data: Buffer) => channel.write(data));
          channel.on('end', () => channel.end());
        };
        asked.push({ host: destIP, port: destPort, accept: open, reject });
      });
    });
    port = await freePort();
    engine = probe(createEngine());
    engine.engine.apply({ connections: [planned('web01', [`-D ${port}`], { configFile: forged.configPath })] });
    await engine.next('listening');
  });
  beforeEach(() => {
    asked.splice(0);
    engine.skip();
  });
  after(async () => {
    await engine.close();
    await forged.close();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const clients = () => engine.engine.clients(`-D ${port}`);
  const ask = async () => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.on('error', () => {});
    socket.write(Buffer.concat(proxyTurns('SOCKS4a', 'db.internal', 5432)));
    await eventually(() => assert.equal(asked.length, 1));
    return socket;
  };

  it('hands it the name that only it can resolve', async () => {
    const through = connectThrough({ host: '127.0.0.1', port }, 'SOCKS5', 'db.internal', 5432);
    await eventually(() => assert.equal(asked.length, 1));
    assert.deepEqual([asked[0]!.host, asked[0]!.port], ['db.internal', 5432]);
    asked[0]!.accept();
    const socket = await through;
    socket.end('hello');
    assert.equal((await readToEnd(socket)).received.toString(), 'hello');
  });

  for (const leave of ['end', 'resetAndDestroy'] as const)
    for (const verdict of ['accept', 'reject'] as const)
      it(`leaves nothing of a client that goes (${leave}) before the server says ${verdict}`, async () => {
        const socket = await ask();
        socket[leave]();
        await sleep(20);
        asked[0]![verdict]();
        if (leave === 'end') await readToEnd(socket);
        await eventually(async () => assert.deepEqual(await clients(), []));
      });

  it('resets a client at once when it is cut before the server has answered', async () => {
    const socket = await ask();
    const gone = readToEnd(socket);
    const [client] = await clients();
    assert.equal(client?.target, 'db.internal:5432');
    engine.engine.disconnect(`-D ${port}`, client.id);
    assert.equal((await gone).end, 'ECONNRESET');
    asked[0]!.accept();
    await eventually(async () => assert.deepEqual(await clients(), []));
    // And the next one is served.
    const next = exchange(port, Buffer.concat([...proxyTurns('SOCKS4a', 'db.internal', 5432), Buffer.from('next')]));
    await eventually(() => assert.equal(asked.length, 2));
    asked[1]!.accept();
    assert.match((await next).received.toString('latin1'), /next$/);
  });

  it('keeps a client’s request when the connection dies before the server has answered, and blames no target', async () => {
    const before = engine.events.length;
    const socket = await ask();
    const [first] = await clients();
    for (const connection of forged.connections) connection.end();
    await engine.next('connectionLost');
    await eventually(async () => assert.deepEqual(await clients(), [{ ...first, isParked: true }]));
    await engine.next('connected');
    await eventually(() => assert.equal(asked.length, 2));
    assert.deepEqual([asked[1]!.host, asked[1]!.port], ['db.internal', 5432]);
    asked[1]!.accept();
    socket.end('hello');
    // SOCKS 4: granted, and six bytes that say nothing.
    assert.equal((await readToEnd(socket)).received.subarray(8).toString(), 'hello');
    assert.ok(engine.events.slice(before).every(({ kind }) => kind !== 'channelFailed'));
    await eventually(async () => assert.deepEqual(await clients(), []));
  });
});
