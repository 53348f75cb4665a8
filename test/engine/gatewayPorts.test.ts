import assert from 'node:assert/strict';
import dns from 'node:dns/promises';
import { once } from 'node:events';
import { connect, createServer, isIP, type Server, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Access, Ask, BoundAddress, Reply } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { accessBy } from '../../src/engine/serverAccess.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import {
  bytes,
  connectThrough,
  connectTo,
  digest,
  echo,
  exchange,
  read,
  readToEnd,
  startTarget,
  type Target,
} from '../support/targets.js';

/** 127.0.0.2 stands for the network: only who listens on all interfaces, or there, has it. */
const addresses = ['127.0.0.1', '::1', '127.0.0.2'] as const;

const allow = (ask: Ask): Reply => ({ kind: ask.kind === 'openToNetwork' ? 'allow' : 'cancel' });

/** Whether a listener that is bound so can be reached at an address. */
function isReached(bound: readonly BoundAddress[], address: string): boolean {
  const wildcard = isIP(address) === 4 ? '0.0.0.0' : '::';
  return bound.some((one) => one.kind === 'tcp' && [address, wildcard].includes(one.address));
}

async function answers(address: string, port: number): Promise<boolean> {
  const { received, end } = await exchange(port, Buffer.from('hello'), address);
  assert.match(end, /^(end|ECONNREFUSED)$/);
  if (end === 'end') assert.equal(received.toString(), 'hello');
  return end === 'end';
}

const prefix = (bind: string | undefined) => (bind === undefined ? '' : bind.includes(':') ? `[${bind}]:` : `${bind}:`);

describe('the answers to our knocking', () => {
  const [loop, six, other, outer] = ['127.0.0.1', '::1', '127.83.83.72', '192.0.2.7'];
  const table: readonly (readonly [
    title: string,
    address: string,
    answers: Parameters<typeof accessBy>[1],
    isOverridden: boolean,
    expected: ReturnType<typeof accessBy>,
  ])[] = [
    ['a name on loopback alone may be on the network, too', 'db.test', new Map([[loop, 'ours'], [six, 'refused'], [other, 'refused']]), false, { bound: [loop], others: [], access: 'unknown' }],
    ['localhost on loopback alone is for the server itself', 'localhost', new Map([[loop, 'ours'], [six, 'refused'], [other, 'refused']]), false, { bound: [loop], others: [], access: 'machine' }],
    ['an address on loopback alone is for the server itself', outer, new Map([[loop, 'ours'], [six, 'ours'], [other, 'refused'], [outer, 'refused']]), false, { bound: [loop, six], others: [], access: 'machine' }],
    ['an outer address that is ours is for the network', outer, new Map([[loop, 'refused'], [six, 'refused'], [other, 'refused'], [outer, 'ours']]), false, { bound: [outer], others: [], access: 'network' }],
    ['a widened one has all of IPv4 only if an IPv4 knock came back', 'localhost', new Map([[loop, 'other'], [six, 'ours'], [other, 'refused']]), true, { bound: ['::'], others: [loop], access: 'network' }],
    ['a widened one that none came back to has all addresses, of whichever family', outer, new Map(), true, { bound: ['*'], others: [], access: 'network' }],
    ['one for all addresses that only IPv6 came back to may be on loopback alone or not', '', new Map([[loop, 'other'], [six, 'ours'], [other, 'refused']]), false, { bound: [six], others: [loop], access: 'unknown' }],
    ['what something else has of localhost is told', 'localhost', new Map([[loop, 'ours'], [six, 'other'], [other, 'refused']]), false, { bound: [loop], others: [six], access: 'machine' }],
    ['what nobody has of localhost is not told', 'localhost', new Map([[loop, 'refused'], [six, 'ours'], [other, 'refused']]), false, { bound: [six], others: [], access: 'unknown' }],
    ['what nobody asked for is anybody’s', six, new Map([[loop, 'other'], [six, 'ours'], [other, 'refused']]), false, { bound: [six], others: [], access: 'machine' }],
    ['nobody else is blamed when no knock came back', '', new Map([[loop, 'other'], [six, 'refused'], [other, 'refused']]), false, { bound: ['*'], others: [], access: 'unknown' }],
  ]; // prettier-ignore
  for (const [title, address, answers, isOverridden, expected] of table)
    it(`say: ${title}`, () => assert.deepEqual(accessBy(address, answers, isOverridden), expected));
});

describe('who can connect to a remote forward', function () {
  this.timeout(30_000);
  let heldBefore: string[];
  const servers = {} as Record<'no' | 'yes' | 'clientspecified', Sshd>;
  const engines: EngineProbe[] = [];
  const targets: Target[] = [];
  const others: Server[] = [];

  before(async () => {
    heldBefore = heldResources();
    const settings = ['no', 'yes', 'clientspecified'] as const;
    const started = await Promise.all(settings.map((setting) => startSshd({ config: [`GatewayPorts ${setting}`] })));
    for (const [index, setting] of settings.entries()) servers[setting] = started[index]!;
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    for (const target of targets.splice(0)) {
      await eventually(() => assert.equal(target.sockets.size, 0), 5000);
      await target.close();
    }
    for (const server of others.splice(0)) await new Promise((closed) => server.close(closed));
  });
  after(async () => {
    for (const sshd of Object.values(servers)) {
      await eventually(() => assert.deepEqual(sshd.sessions(), []));
      await sshd.stop();
    }
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
  const apply = (engine: EngineProbe, sshd: Sshd, forwards: readonly string[]) =>
    engine.engine.apply({ connections: [planned('web01', forwards, { configFile: sshd.configPath('web01') })] });
  /** Another program of the server. */
  const occupy = async (host: string, port: number): Promise<{ accepted: number; received: string }> => {
    const heard = { accepted: 0, received: '' };
    const server = createServer((socket) => {
      heard.accepted++;
      socket.on('error', () => {});
      socket.on('data', (data) => (heard.received += data.toString('hex')));
    });
    others.push(server);
    server.listen({ host, port, ipv6Only: true });
    await once(server, 'listening');
    return heard;
  };

  const loopback = ['127.0.0.1', '::1'];
  const all = ['0.0.0.0', '::'];
  type Expected = readonly [bound: readonly string[], access: Access];
  const cases: readonly (readonly [
    bind: string | undefined,
    asked: Access,
    byServer: Readonly<Record<keyof typeof servers, Expected>>,
  ])[] = [
    [undefined, 'machine', { no: [loopback, 'machine'], yes: [all, 'network'], clientspecified: [loopback, 'machine'] }],
    ['localhost', 'machine', { no: [loopback, 'machine'], yes: [all, 'network'], clientspecified: [loopback, 'machine'] }],
    ['*', 'network', { no: [loopback, 'machine'], yes: [all, 'network'], clientspecified: [all, 'network'] }],
    ['', 'network', { no: [loopback, 'machine'], yes: [all, 'network'], clientspecified: [all, 'network'] }],
    ['0.0.0.0', 'network', { no: [loopback, 'machine'], yes: [all, 'network'], clientspecified: [['0.0.0.0'], 'network'] }],
    ['::', 'network', { no: [loopback, 'machine'], yes: [all, 'network'], clientspecified: [['::'], 'network'] }],
    ['127.0.0.1', 'machine', { no: [['127.0.0.1'], 'machine'], yes: [all, 'network'], clientspecified: [['127.0.0.1'], 'machine'] }],
    ['::1', 'machine', { no: [['::1'], 'machine'], yes: [all, 'network'], clientspecified: [['::1'], 'machine'] }],
    ['127.0.0.2', 'machine', { no: [loopback, 'machine'], yes: [all, 'network'], clientspecified: [['127.0.0.2'], 'machine'] }],
  ]; // prettier-ignore
  for (const setting of ['no', 'yes', 'clientspecified'] as const)
    for (const [bind, asked, byServer] of cases) {
      const [expected, access] = byServer[setting];
      it(`-R ${prefix(bind)}port with GatewayPorts ${setting} is told as ${expected.join(', ')}, and is so`, async () => {
        const service = await target();
        const port = await freePort();
        const engine = start();
        apply(engine, servers[setting], [`-R ${prefix(bind)}${port}:127.0.0.1:${service.port}`]);
        const listening = await engine.next('listening');
        assert.equal(service.accepted, 0);
        assert.deepEqual(
          { bound: listening.bound, unbound: listening.unbound, asked: listening.asked, access: listening.access },
          { bound: expected.map((address) => ({ kind: 'tcp', address, port })), unbound: [], asked, access },
        );
        for (const address of addresses)
          assert.equal(await answers(address, port), isReached(listening.bound, address), address);
        const asks = engine.events.flatMap((event) => (event.kind === 'asked' ? [event.ask] : []));
        assert.deepEqual(
          asks.map((ask) => ask.kind === 'openToNetwork' && ask.addresses),
          asked === 'network' ? [[]] : [],
        );
      });
    }

  it('says what was bound when the server chose the port', async () => {
    const service = await target();
    const engine = start();
    apply(engine, servers.clientspecified, [`-R *:0:127.0.0.1:${service.port}`]);
    const { bound, access } = await engine.next('listening');
    const [first] = bound;
    assert.ok(first?.kind === 'tcp' && first.port > 0);
    assert.deepEqual(bound, all.map((address) => ({ kind: 'tcp', address, port: first.port }))); // prettier-ignore
    assert.equal(access, 'network');
    assert.equal(service.accepted, 0);
    assert.equal(await answers('127.0.0.2', first.port), true);
  });

  it('keeps apart who has the same port at other addresses, and shows no target our knocking', async () => {
    const port = await freePort();
    const binds = ['127.0.0.1', '127.0.0.2', '::1', '127.83.83.72'];
    const services: Target[] = [];
    for (const _ of binds) services.push(await target());
    const engine = start();
    const forwards = binds.map((bind, index) => `-R ${prefix(bind)}${port}:127.0.0.1:${services[index]!.port}`);
    apply(engine, servers.clientspecified, forwards);
    const told = new Map<string, readonly BoundAddress[]>();
    for (const _ of binds) {
      const { forward, bound } = await engine.next('listening');
      told.set(forward, bound);
    }
    for (const [index, bind] of binds.entries())
      assert.deepEqual(told.get(forwards[index]!), [{ kind: 'tcp', address: bind, port }]);
    assert.deepEqual(
      services.map(({ accepted }) => accepted),
      binds.map(() => 0),
    );
    for (const bind of binds) assert.equal(await answers(bind, port), true);
    assert.deepEqual(
      services.map(({ accepted }) => accepted),
      binds.map(() => 1),
    );
  });

  it('does not say that only the server can connect at a name: it may stand for other addresses, too', async () => {
    const service = await target();
    const port = await freePort();
    const engine = start();
    // Looked up by the server, like any name that is no address: as 127.0.0.1.
    apply(engine, servers.clientspecified, [`-R 127.1:${port}:127.0.0.1:${service.port}`]);
    const { bound, access } = await engine.next('listening');
    assert.deepEqual({ bound, access }, { bound: [{ kind: 'tcp', address: '127.0.0.1', port }], access: 'unknown' });
    assert.equal(await answers('127.0.0.1', port), true);
  });

  for (const [setting, bind, expected] of [
    ['yes', undefined, [['::'], 'network']],
    ['yes', '127.0.0.2', [['::'], 'network']],
    ['yes', '*', [['::1'], 'unknown']],
    ['clientspecified', '*', [['::1'], 'unknown']],
    ['no', '*', [['::1'], 'unknown']],
  ] as const)
    it(`-R ${prefix(bind)}port with GatewayPorts ${setting} is told as ${expected[0].join()} when another program has all of IPv4`, async () => {
      const service = await target();
      const port = await freePort();
      await occupy('0.0.0.0', port);
      const half: Failure = {
        kind: 'remoteHalf',
        host: 'web01',
        address: bind === '127.0.0.2' ? bind : '127.0.0.1',
        port,
      };
      const engine = start();
      apply(engine, servers[setting], [`-R ${prefix(bind)}${port}:127.0.0.1:${service.port}`]);
      const { bound, unbound, access } = await engine.next('listening');
      assert.deepEqual([bound.map((one) => one.kind === 'tcp' && one.address), access], expected);
      assert.deepEqual(unbound, [half]);
      assert.equal(await answers('::1', port), true);
      assert.equal(service.accepted, 1);
    });

  it('tells of another program that has one half of the port, and says nothing to it', async () => {
    for (const [host, own] of [
      ['127.0.0.1', '::1'],
      ['::1', '127.0.0.1'],
    ] as const) {
      const service = await target();
      const port = await freePort();
      const heard = await occupy(host, port);
      const engine = start();
      apply(engine, servers.no, [`-R ${port}:127.0.0.1:${service.port}`]);
      const { bound, unbound } = await engine.next('listening');
      assert.deepEqual(bound, [{ kind: 'tcp', address: own, port }]);
      assert.deepEqual(unbound, [{ kind: 'remoteHalf', host: 'web01', address: host, port }]);
      assert.deepEqual(heard, { accepted: 1, received: '' });
      assert.equal(service.accepted, 0);
      assert.equal(await answers(own, port), true);
    }
  });

  it('blames nobody for the half that a server of one family does not bind', async () => {
    const sshd = await startSshd({ config: ['AddressFamily inet'] });
    try {
      const service = await target();
      const port = await freePort();
      const engine = start();
      apply(engine, sshd, [`-R ${port}:127.0.0.1:${service.port}`]);
      const { bound, unbound } = await engine.next('listening');
      assert.deepEqual({ bound, unbound }, { bound: [{ kind: 'tcp', address: '127.0.0.1', port }], unbound: [] });
      for (const engine of engines.splice(0)) await engine.close();
    } finally {
      await sshd.stop();
    }
  });

  describe('a client that comes while we knock', () => {
    /** Makes the knocking last: another program takes it, and does not give it back. */
    const beginSlowly = async (
      onSocket?: (socket: Socket) => void,
      isProxy = false,
      beside: readonly string[] = [],
    ) => {
      const service = await target(onSocket);
      const port = await freePort();
      const heard = await occupy('127.83.83.72', port);
      const engine = start();
      apply(engine, servers.no, [`-R ${port}${isProxy ? '' : `:127.0.0.1:${service.port}`}`, ...beside]);
      await eventually(() => assert.equal(heard.accepted, 1));
      assert.ok(
        !engine.events.some((event) => event.kind === 'listening' && event.forward.startsWith('-R')),
        'it knocks',
      );
      return { service, port, engine };
    };

    it('is served with every byte, whatever it says first', async () => {
      const { service, port, engine } = await beginSlowly();
      const said = [0, 1, 15, 16, 17, 100, 3_000_000].map((length) => bytes(Math.max(length, 4), `said ${length}`).subarray(0, length)); // prettier-ignore
      const got = await Promise.all(said.map((data) => exchange(port, data)));
      for (const [index, { received, end }] of got.entries()) {
        assert.equal(end, 'end');
        assert.equal(digest(received), digest(said[index]!), `${said[index]!.length} bytes`);
      }
      assert.equal(service.accepted, said.length);
      await engine.next('listening');
    });

    it('is greeted by a target that speaks first', async () => {
      const { port, engine } = await beginSlowly((socket) => socket.end('220 hello\r\n'));
      const socket = await connectTo({ host: '127.0.0.1', port });
      assert.equal((await read(socket, 11)).toString(), '220 hello\r\n');
      socket.end();
      await readToEnd(socket);
      await engine.next('listening');
    });

    it('is served byte by byte and with half-close both ways', async () => {
      const { port } = await beginSlowly((socket) => {
        const parts: Buffer[] = [];
        socket.on('data', (part) => parts.push(part));
        socket.on('end', () => socket.end(digest(Buffer.concat(parts))));
      });
      const data = bytes(40, 'dripping');
      const socket = await connectTo({ host: '127.0.0.1', port });
      for (const byte of data) {
        socket.write(Buffer.of(byte));
        await sleep(1);
      }
      socket.end();
      assert.equal((await readToEnd(socket)).received.toString(), digest(data));
    });

    it('is served as a proxy’s, too', async () => {
      const { service, port, engine } = await beginSlowly(echo, true);
      const kinds = ['SOCKS4', 'SOCKS4a', 'SOCKS5', 'HTTP CONNECT'] as const;
      const got = await Promise.all(
        kinds.map(async (kind) => {
          const socket = await connectThrough({ host: '127.0.0.1', port }, kind, '127.0.0.1', service.port);
          socket.end(kind);
          return (await readToEnd(socket)).received.toString();
        }),
      );
      assert.deepEqual(got, kinds);
      await engine.next('listening');
      assert.equal(service.accepted, kinds.length);
    });

    it('is refused, not kept, when the tunnel is stopped', async () => {
      // The connection stays: with it, it would go anyway.
      const beside = [`-L ${await freePort()}:127.0.0.1:1`];
      const { service, port, engine } = await beginSlowly(undefined, false, beside);
      const socket = await connectTo({ host: '127.0.0.1', port });
      const gone = readToEnd(socket.once('end', () => socket.end()));
      const since = performance.now();
      apply(engine, servers.no, beside);
      await engine.next('forwardClosed');
      await gone;
      assert.ok(performance.now() - since < 3000, `${performance.now() - since} ms`);
      assert.equal(service.accepted, 0);
    });
  });

  it('shows no target our knocking on a line that is very slow', async () => {
    const line = await startSlowLine(servers.no.port);
    try {
      const service = await target();
      const port = await freePort();
      const config = servers.no.configPath('slow', [
        `Port ${line.port}`,
        'HostKeyAlias slow',
        'StrictHostKeyChecking accept-new',
      ]);
      const engine = start();
      const forwards = (list: readonly string[]) => [planned('slow', list, { configFile: config })];
      engine.engine.apply({ connections: forwards([`-L ${await freePort()}:127.0.0.1:1`]) });
      await engine.next('listening');
      line.delayMs = 600;
      engine.engine.apply({ connections: forwards([`-R ${port}:127.0.0.1:${service.port}`]) });
      const { access } = await engine.next('listening', 20_000);
      assert.equal(access, 'machine');
      assert.equal(service.accepted, 0);
      line.delayMs = 0;
      assert.equal(await answers('127.0.0.1', port), true);
      assert.equal(service.accepted, 1);
    } finally {
      for (const engine of engines.splice(0)) await engine.close();
      await line.close();
    }
  });

  for (const [title, lines] of [
    ['lets nothing be tried (AllowTcpForwarding remote)', ['AllowTcpForwarding remote']],
    ['lets nothing be tried (PermitOpen none)', ['PermitOpen none']],
  ] as const)
    it(`is not known where the server ${title}, and it works all the same`, async () => {
      const sshd = await startSshd({ config: [...lines, 'GatewayPorts clientspecified'] });
      try {
        const service = await target();
        const engine = start();
        const ports = [await freePort(), await freePort()];
        const forwards = [`-R ${ports[0]}:127.0.0.1:${service.port}`, `-R *:${ports[1]}:127.0.0.1:${service.port}`];
        apply(engine, sshd, forwards);
        const told = [await engine.next('listening'), await engine.next('listening')];
        const of = (forward: string | undefined) => {
          const { bound, asked, access } = told.find((event) => event.forward === forward)!;
          return { bound, asked, access };
        };
        const bound = (address: string, port: number | undefined) => [{ kind: 'tcp', address, port }];
        assert.deepEqual(of(forwards[0]), { bound: bound('localhost', ports[0]), asked: 'machine', access: 'unknown' });
        assert.deepEqual(of(forwards[1]), { bound: bound('*', ports[1]), asked: 'network', access: 'unknown' });
        assert.equal(service.accepted, 0);
        assert.equal(await answers('127.0.0.1', ports[0]!), true);
        assert.equal(await answers('127.0.0.2', ports[1]!), true);
        for (const engine of engines.splice(0)) await engine.close();
      } finally {
        await sshd.stop();
      }
    });

  it('knows from the server’s own words that it widened the address, even where nothing can be tried', async () => {
    const sshd = await startSshd({ config: ['PermitOpen none', 'GatewayPorts yes'] });
    try {
      const service = await target();
      const engine = start();
      apply(engine, sshd, [`-R ${await freePort()}:127.0.0.1:${service.port}`]);
      const { bound, access } = await engine.next('listening');
      assert.equal(access, 'network');
      assert.deepEqual(bound.map((one) => one.kind === 'tcp' && one.address), ['*']); // prettier-ignore
      for (const engine of engines.splice(0)) await engine.close();
    } finally {
      await sshd.stop();
    }
  });
});

/** Brings bytes to a port of loopback and back, late. */
async function startSlowLine(to: number): Promise<{ port: number; delayMs: number; close(): Promise<void> }> {
  const pairs = new Set<Socket>();
  const line = { port: 0, delayMs: 0, close };
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: to, host: '127.0.0.1', noDelay: true });
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      pairs.add(from);
      let last: Promise<unknown> = Promise.resolve();
      from.on('error', () => {});
      from.on('close', () => into.destroy());
      from.on('data', (data) => {
        const due = sleep(line.delayMs);
        last = last.then(() => due).then(() => into.write(data));
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  line.port = (server.address() as { port: number }).port;
  return line;

  async function close() {
    for (const socket of pairs) socket.destroy();
    await new Promise((closed) => server.close(closed));
  }
}

describe('who can connect to a forward that listens on this machine', () => {
  let heldBefore: string[];
  let sshd: Sshd;
  let service: Target;
  let engine: EngineProbe;
  let reply: Reply;
  const asks: Ask[] = [];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    service = await startTarget(echo);
  });
  beforeEach(() => {
    asks.splice(0);
    reply = { kind: 'allow' };
    engine = probe(createEngine(), (ask) => {
      asks.push(ask);
      return reply;
    });
  });
  afterEach(() => engine.close());
  after(async () => {
    await service.close();
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const apply = (forward: string, lines: readonly string[]) =>
    engine.engine.apply({
      connections: [planned('web01', [forward], { configFile: sshd.configPath('web01', lines) })],
    });
  const spec = (option: '-L' | '-D', bind: string | undefined, port: number) =>
    `${option} ${prefix(bind)}${port}${option === '-L' ? `:127.0.0.1:${service.port}` : ''}`;
  const isOpen = async (address: string, port: number) =>
    (await exchange(port, Buffer.from('GET / HTTP/1.1\r\n\r\n'), address)).end === 'end';

  const all = ['0.0.0.0', '::'];
  const loopback = ['127.0.0.1', '::1'];
  const cases: readonly (readonly [bind: string | undefined, lines: readonly string[], bound: readonly string[]])[] = [
    [undefined, [], loopback],
    [undefined, ['GatewayPorts yes'], all],
    [undefined, ['GatewayPorts yes', 'AddressFamily inet'], ['0.0.0.0']],
    ['localhost', ['GatewayPorts yes'], loopback],
    ['localhost', ['AddressFamily inet6'], ['::1']],
    ['*', [], all],
    ['', [], all],
    ['0.0.0.0', [], ['0.0.0.0']],
    ['::', [], ['::']],
    ['127.0.0.1', ['GatewayPorts yes'], ['127.0.0.1']],
    ['::1', [], ['::1']],
    ['127.0.0.2', [], ['127.0.0.2']],
  ];
  for (const option of ['-L', '-D'] as const)
    for (const [bind, lines, expected] of cases) {
      const isAsked = expected.some((address) => all.includes(address));
      const config = lines.length > 0 ? ` with ${lines.join(', ')}` : '';
      it(`${option} ${prefix(bind)}port${config} binds ${expected.join(', ')}${isAsked ? ', and asks first' : ''}`, async () => {
        const port = await freePort();
        // AddressFamily is about the connection, too, and the server is at 127.0.0.1.
        const family = lines.includes('AddressFamily inet6') ? ['HostName ::ffff:127.0.0.1'] : [];
        apply(spec(option, bind, port), [
          ...lines,
          ...family,
          'HostKeyAlias web01',
          'StrictHostKeyChecking accept-new',
        ]);
        const { bound, unbound, asked, access } = await engine.next('listening');
        const forward = spec(option, bind, port);
        assert.deepEqual(
          { bound, unbound, asked, access },
          {
            bound: expected.map((address) => ({ kind: 'tcp', address, port })),
            unbound: [],
            asked: isAsked ? 'network' : 'machine',
            access: isAsked ? 'network' : 'machine',
          },
        );
        for (const address of addresses) assert.equal(await isOpen(address, port), isReached(bound, address), address);
        assert.deepEqual(
          asks.map((ask) => ask.kind === 'openToNetwork' && [ask.forward, ask.addresses]),
          isAsked ? [[forward, expected]] : [],
        );
      });
    }

  for (const option of ['-L', '-D'] as const)
    it(`${option} binds nothing when it may not be opened to the network`, async () => {
      reply = { kind: 'cancel' };
      const port = await freePort();
      apply(spec(option, '*', port), []);
      assert.deepEqual((await engine.next('listenFailed')).failure, { kind: 'cancelled' });
      for (const address of addresses) assert.equal(await isOpen(address, port), false);
      // Nobody is asked again when the connection comes back.
      sshd.killSessions();
      await engine.next('connectionLost');
      await engine.next('connected');
      await sleep(100);
      assert.equal(asks.length, 1);
      for (const address of addresses) assert.equal(await isOpen(address, port), false);
    });

  it('asks once, although the connection is made again', async () => {
    const port = await freePort();
    apply(`-R *:${port}:127.0.0.1:${service.port}`, []);
    await engine.next('listening');
    sshd.killSessions();
    await engine.next('connectionLost');
    await engine.next('listening');
    assert.equal(asks.length, 1);
  });

  it('withdraws the question when the tunnel is stopped, and binds nothing', async () => {
    const port = await freePort();
    const unanswered = probe(createEngine());
    try {
      const forward = spec('-L', '*', port);
      const configFile = sshd.configPath('web01');
      unanswered.engine.apply({ connections: [planned('web01', [forward], { configFile })] });
      const { ask } = await unanswered.next('asked');
      for (const address of addresses) assert.equal(await isOpen(address, port), false);
      unanswered.engine.apply({ connections: [planned('web01', [], { configFile })] });
      assert.equal((await unanswered.next('askSettled')).id, ask.id);
      await unanswered.next('forwardClosed');
      for (const address of addresses) assert.equal(await isOpen(address, port), false);
    } finally {
      await unanswered.close();
    }
  });

  it('binds every address that a name resolves to', async () => {
    const real = dns.lookup;
    const port = await freePort();
    const found = ['127.0.0.2', '::1', '127.0.0.3'].map((address) => ({ address, family: isIP(address) }));
    try {
      dns.lookup = ((name: string, options: never) =>
        name === 'three.test' ? Promise.resolve(found) : real(name, options)) as never;
      apply(spec('-L', 'three.test', port), []);
      const { bound, access } = await engine.next('listening');
      assert.deepEqual(
        bound,
        found.map(({ address }) => ({ kind: 'tcp', address, port })),
      );
      assert.equal(access, 'machine');
    } finally {
      dns.lookup = real;
    }
    assert.equal(await isOpen('127.0.0.1', port), false);
    for (const { address } of found) assert.equal(await isOpen(address, port), true);
  });

  it('binds what the machine’s own names resolve to', async () => {
    for (const name of ['ip6-localhost', 'ip6-loopback', hostname()]) {
      const found = await dns.lookup(name, { all: true }).catch(() => []);
      // A name of the network is not for a test.
      if (found.length === 0 || !found.every(({ address }) => /^(127\.|::1$)/.test(address))) continue;
      const port = await freePort();
      apply(spec('-L', name, port), []);
      const { bound } = await engine.next('listening');
      const expected = [...new Set(found.map(({ address }) => address))];
      assert.deepEqual(
        bound,
        expected.map((address) => ({ kind: 'tcp', address, port })),
      );
    }
  });
});
