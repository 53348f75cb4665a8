import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineEvent } from '../../src/core/engine.js';
import type { PlannedConnection, PlannedForward } from '../../src/core/plan.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import {
  bytes,
  connectThrough,
  connectTo,
  digest,
  echo,
  readToEnd,
  startTarget,
  type Place,
  type Target,
} from '../support/targets.js';

describe('the clients of a forward', () => {
  let sshd: Sshd;
  let config: string;
  let service: Target;
  let engine: EngineProbe;
  let heldBefore: string[];
  const sockets: Socket[] = [];
  const servers: Server[] = [];
  let paths = 0;

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    config = sshd.configPath('web01');
    service = await startTarget(echo);
  });
  beforeEach(() => (engine = probe(createEngine())));
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await engine.close();
    for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed));
    // None of them has left anything behind.
    await eventually(() => assert.equal(service.sockets.size, 0));
  });
  after(async () => {
    await service.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const web01 = (specs: readonly string[], more: Partial<PlannedConnection> = {}) =>
    planned('web01', specs, { configFile: config, ...more });
  const apply = (...connections: PlannedConnection[]) => engine.engine.apply({ connections });
  const client = async (place: Place | number) => {
    const socket = await connectTo(typeof place === 'number' ? { host: '127.0.0.1', port: place } : place);
    sockets.push(socket);
    return socket;
  };
  /** Says it, and hears it again. */
  const said = async (socket: Socket, text: string | Buffer) => {
    const data = Buffer.from(text);
    const heard: Buffer[] = [];
    await new Promise<void>((resolve, reject) => {
      const onData = (part: Buffer) => {
        heard.push(part);
        if (Buffer.concat(heard).length < data.length) return;
        socket.removeListener('data', onData).removeListener('close', onClose);
        resolve();
      };
      const onClose = () => reject(new Error(`closed after ${Buffer.concat(heard).length} of ${data.length} bytes`));
      socket.on('data', onData).on('close', onClose).resume();
      socket.write(data);
    });
    assert.equal(digest(Buffer.concat(heard)), digest(data));
  };
  const clientsOf = (forward: string) => engine.engine.clients(forward);
  const peerOf = (socket: Socket) => `127.0.0.1:${socket.localPort}`;

  interface Way {
    name: string;
    /** The spec, and where its clients connect. */
    make(): Promise<{ spec: string; place: Place }>;
    isProxy: boolean;
    /** How a new client is turned away when nothing listens any more. */
    refused: string;
  }
  const atPort = async (spec: (port: number) => string) => {
    const port = await freePort();
    return { spec: spec(port), place: { host: '127.0.0.1', port } };
  };
  const atPath = (spec: (path: string) => string) => {
    const path = `${sshd.folder}/${++paths}.sock`;
    return Promise.resolve({ spec: spec(path), place: { path } });
  };
  const target = () => `127.0.0.1:${service.port}`;
  const ways: readonly Way[] = [
    {
      name: '-L',
      make: () => atPort((port) => `-L ${port}:${target()}`),
      isProxy: false,
      refused: 'ECONNREFUSED',
    },
    {
      name: '-L on a Unix socket',
      make: () => atPath((path) => `-L ${path}:${target()}`),
      isProxy: false,
      refused: 'ENOENT',
    },
    {
      name: '-R',
      make: () => atPort((port) => `-R ${port}:${target()}`),
      isProxy: false,
      refused: 'ECONNREFUSED',
    },
    {
      name: '-R on a Unix socket',
      make: () => atPath((path) => `-R ${path}:${target()}`),
      isProxy: false,
      refused: 'ECONNREFUSED',
    },
    {
      name: '-D',
      make: () => atPort((port) => `-D ${port}`),
      isProxy: true,
      refused: 'ECONNREFUSED',
    },
    {
      name: '-R, speaking SOCKS',
      make: () => atPort((port) => `-R ${port}`),
      isProxy: true,
      refused: 'ECONNREFUSED',
    },
  ];
  const clientBy = async ({ isProxy }: Way, place: Place) => {
    if (!isProxy) return client(place);
    const socket = await connectThrough(place, 'SOCKS5', '127.0.0.1', service.port);
    sockets.push(socket);
    return socket;
  };

  for (const way of ways) {
    it(`of ${way.name} are listed with where they come from and go to, their bytes and their time`, async () => {
      const { spec, place } = await way.make();
      const before = Date.now();
      apply(web01([spec]));
      await engine.next('listening');
      assert.deepEqual(await clientsOf(spec), []);
      const [first, second] = [await clientBy(way, place), await clientBy(way, place)];
      await said(first, bytes(100_000, 'first'));
      await said(second, 'second');
      const [one, other, ...more] = await clientsOf(spec);
      assert.ok(one && other);
      assert.deepEqual(more, []);
      const isUnix = 'path' in place;
      assert.equal(one.peer, isUnix ? '' : peerOf(first));
      assert.equal(other.peer, isUnix ? '' : peerOf(second));
      assert.deepEqual([one.target, other.target], way.isProxy ? [target(), target()] : [undefined, undefined]);
      // What the proxy and its client said to each other is theirs, too.
      const least = (count: number, length: number) => assert.ok(count >= length && count < length + 40, String(count));
      for (const count of [one.sent, one.received]) least(count, 100_000);
      for (const count of [other.sent, other.received]) least(count, 6);
      assert.ok(before <= one.since && one.since <= other.since && other.since <= Date.now());
      assert.ok(one.id < other.id);

      first.end();
      assert.equal((await readToEnd(first)).end, 'end');
      await eventually(async () => assert.deepEqual(await clientsOf(spec), [other]));
      await said(second, 'more');
      assert.ok((await clientsOf(spec))[0]!.sent >= 10);
    });

    it(`of ${way.name} are disconnected one by one, and the others go on`, async () => {
      const { spec, place } = await way.make();
      const neighbour = `-L ${await freePort()}:${target()}`;
      apply(web01([spec, neighbour]));
      await engine.next('listening');
      await engine.next('listening');
      const [first, second] = [await clientBy(way, place), await clientBy(way, place)];
      await said(first, 'first');
      await said(second, 'second');
      const [one, other] = await clientsOf(spec);
      first.on('end', () => first.end());
      const gone = readToEnd(first);
      // Not of this forward, not of this connection, never there.
      engine.engine.disconnect(neighbour, one!.id);
      engine.engine.disconnect(spec, -1);
      engine.engine.disconnect(spec, other!.id + 1000);
      engine.engine.disconnect('nothing', one!.id);
      await said(first, 'still here');
      assert.equal((await clientsOf(spec)).length, 2);
      engine.engine.disconnect(spec, one!.id);
      const { end } = await gone;
      // A Unix socket has no reset, and what a server's client sees is up to the server.
      if (spec.startsWith('-R') || 'path' in place) assert.match(end, /^(end|closed|ECONNRESET|EPIPE)$/);
      else assert.equal(end, 'ECONNRESET');
      await eventually(() => assert.equal(service.sockets.size, 1));
      await eventually(async () => assert.equal((await clientsOf(spec)).length, 1));
      engine.engine.disconnect(spec, one!.id);
      await said(second, 'still here');
      assert.equal((await clientsOf(spec))[0]?.id, other!.id);
    });
  }

  it('are listed and disconnected while the server has not answered yet', async () => {
    const port = await freePort();
    const spec = `-L ${port}:${target()}`;
    apply(web01([spec]));
    await engine.next('listening');
    const frozen = await sshd.settledSessions();
    const { accepted } = service;
    for (const pid of frozen) process.kill(pid, 'SIGSTOP');
    try {
      const socket = await client(port);
      const gone = readToEnd(socket);
      socket.write('early');
      const [one] = await eventually(async () => {
        const list = await clientsOf(spec);
        assert.equal(list.length, 1);
        return list;
      });
      assert.deepEqual([one!.peer, one!.sent, one!.received], [peerOf(socket), 0, 0]);
      engine.engine.disconnect(spec, one!.id);
      assert.equal((await gone).end, 'ECONNRESET');
      await eventually(async () => assert.deepEqual(await clientsOf(spec), []));
    } finally {
      for (const pid of frozen) process.kill(pid, 'SIGCONT');
    }
    // The channel that comes after all is not kept.
    await eventually(() => assert.equal(service.accepted, accepted + 1));
    await eventually(() => assert.equal(service.sockets.size, 0));
    assert.equal(engine.kinds().includes('connectionLost'), false);
  });

  it('are nobody for a forward that isn’t there', async () => {
    assert.deepEqual(await clientsOf('nothing'), []);
    engine.engine.disconnect('nothing', 1);
    apply(web01([]));
    await engine.next('connected');
    assert.deepEqual(await clientsOf('nothing'), []);
  });

  describe('when the forward is stopped in peace', () => {
    const drained = () =>
      engine.events.filter((event): event is EngineEvent & { kind: 'drained' } => event.kind === 'drained');
    const change = (connection: PlannedConnection, next: Partial<PlannedForward>, at = 0): PlannedConnection => ({
      ...connection,
      forwards: connection.forwards.map((forward, index) => (index === at ? { ...forward, ...next } : forward)),
    });
    const turnsAway = async (place: Place, code: string) => {
      const socket = connect(place);
      const { end } = await readToEnd(socket);
      assert.equal(end, code);
    };

    for (const way of ways)
      it(`finish over ${way.name} while new ones are turned away, and the last one’s end is told once`, async () => {
        const { spec, place } = await way.make();
        const plan = change(web01([spec]), { run: 7 });
        apply(plan);
        await engine.next('listening');
        const [first, second] = [await clientBy(way, place), await clientBy(way, place)];
        await said(first, 'before');
        await said(second, 'before');
        const sessions = await sshd.settledSessions();

        apply(change(plan, { wish: 'drain' }));
        await engine.next('forwardClosed');
        await turnsAway(place, way.refused);
        const data = bytes(1_000_000, 'while it drains');
        await said(first, data);
        await said(second, data);
        assert.equal((await clientsOf(spec)).length, 2);
        first.end('last words');
        assert.deepEqual(await readToEnd(first), { received: Buffer.from('last words'), end: 'end' });
        await eventually(async () => assert.equal((await clientsOf(spec)).length, 1));
        // A plan that changes elsewhere is no news for it.
        const other = await freePort();
        apply({
          ...change(plan, { wish: 'drain' }),
          forwards: [...change(plan, { wish: 'drain' }).forwards, ...web01([`-L ${other}:${target()}`]).forwards],
        });
        await engine.next('listening');
        await said(second, data);
        assert.deepEqual(drained(), []);

        second.end();
        assert.equal((await readToEnd(second)).end, 'end');
        assert.deepEqual(await engine.next('drained'), { kind: 'drained', forward: spec, run: 7 });
        apply(change(plan, { wish: 'drain' }));
        await engine.next('forwardClosed');
        assert.deepEqual(sshd.sessions(), sessions);
        assert.equal(drained().length, 1);
        assert.equal(engine.kinds().filter((kind) => kind === 'connected').length, 1);
        apply();
        await engine.next('connectionClosed');
        await eventually(() => assert.deepEqual(sshd.sessions(), []));
      });

    // The server leaves the file of a Unix socket behind, and can’t listen there again.
    for (const way of ways.filter(({ name }) => name !== '-R on a Unix socket'))
      it(`finish over ${way.name} beside those of its next start`, async () => {
        const { spec, place } = await way.make();
        const plan = web01([spec]);
        apply(change(plan, { run: 1 }));
        await engine.next('listening');
        const old = await clientBy(way, place);
        await said(old, 'old');
        apply(change(plan, { run: 1, wish: 'drain' }));
        apply(change(plan, { run: 2 }));
        await engine.next('forwardClosed');
        assert.equal((await engine.next('listening')).run, 2);
        const young = await clientBy(way, place);
        await said(young, 'new');
        await said(old, 'old');
        const [first, second] = await clientsOf(spec);
        assert.ok(first!.id < second!.id);
        // Stopped in peace once more: each run is told for itself.
        apply(change(plan, { run: 2, wish: 'drain' }));
        await engine.next('forwardClosed');
        await said(young, 'new');
        young.end();
        assert.equal((await engine.next('drained')).run, 2);
        engine.engine.disconnect(spec, first!.id);
        assert.equal((await engine.next('drained')).run, 1);
        assert.deepEqual(
          drained().map(({ run }) => run),
          [2, 1],
        );
      });

    it('may stay longer than a stop waits for anything', async () => {
      const port = await freePort();
      const plan = web01([`-L ${port}:${target()}`]);
      apply(plan);
      await engine.next('listening');
      const socket = await client(port);
      await said(socket, 'one');
      apply(change(plan, { wish: 'drain' }));
      await engine.next('forwardClosed');
      await sleep(3500);
      await said(socket, 'two');
      assert.deepEqual(drained(), []);
    });

    it('are reset when the tunnel is taken out of the plan, without harm to a neighbour', async () => {
      const [port, other] = [await freePort(), await freePort()];
      const plan = web01([`-L ${port}:${target()}`, `-L ${other}:${target()}`]);
      apply(plan);
      await engine.next('listening');
      await engine.next('listening');
      const [socket, neighbour] = [await client(port), await client(other)];
      await said(socket, 'one');
      await said(neighbour, 'one');
      apply(change(plan, { wish: 'drain' }));
      await engine.next('forwardClosed');
      const gone = readToEnd(socket);
      apply({ ...plan, forwards: plan.forwards.slice(1) });
      assert.equal((await gone).end, 'ECONNRESET');
      await said(neighbour, 'two');
      await eventually(() => assert.equal(service.sockets.size, 1));
    });

    for (const end of ['the plan drops it', 'it is restarted', 'it is lost', 'the engine is closed'] as const)
      it(`are reset with their SSH connection when ${end}`, async () => {
        const port = await freePort();
        const plan = web01([`-L ${port}:${target()}`]);
        apply(plan);
        await engine.next('listening');
        const socket = await client(port);
        await said(socket, 'one');
        apply(change(plan, { wish: 'drain' }));
        await engine.next('forwardClosed');
        const gone = readToEnd(socket);
        if (end === 'the plan drops it') apply();
        else if (end === 'it is restarted') apply({ ...change(plan, { wish: 'drain' }), run: 1 });
        else if (end === 'it is lost') for (const pid of await sshd.settledSessions()) process.kill(pid, 'SIGKILL');
        else void engine.close();
        assert.equal((await gone).end, 'ECONNRESET');
        assert.equal((await engine.next('drained')).run, 0);
      });

    it('are none when none has come: that is told at once', async () => {
      const port = await freePort();
      const plan = web01([`-L ${port}:${target()}`]);
      apply(plan);
      await engine.next('listening');
      apply(change(plan, { wish: 'drain' }));
      await engine.next('drained', 1000);
      await turnsAway({ host: '127.0.0.1', port }, 'ECONNREFUSED');
      assert.deepEqual(engine.kinds().slice(-2), ['forwardClosed', 'drained']);
    });

    it('are none when it never listened: the port is taken, the connection is not up, or it is new', async () => {
      const silent = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      servers.push(silent);
      const plan = web01([`-L ${service.port}:x:1`]);
      const none = { ...plan, forwards: [] };
      apply(
        change(plan, {
          spec: { ...plan.forwards[0]!.spec, listen: { kind: 'tcp', bind: '127.0.0.1', port: service.port } } as never,
        }),
      );
      assert.equal((await engine.next('listenFailed')).failure.kind, 'portInUse');
      apply(change(plan, { wish: 'drain' }));
      assert.equal((await engine.next('drained', 1000)).run, 0);
      // Known to be over before it has begun.
      apply(none);
      apply(change(plan, { wish: 'drain', run: 1 }));
      assert.equal((await engine.next('drained', 1000)).run, 1);
      apply();
      await engine.next('connectionClosed');

      const { port } = silent.address() as { port: number };
      const waiting = planned('waiting', [`-L ${await freePort()}:x:1`], {
        configFile: 'none',
        options: [
          ['HostName', '127.0.0.1'],
          ['Port', String(port)],
        ],
      });
      apply(change(waiting, { wish: 'drain', run: 2 }));
      assert.equal((await engine.next('drained', 1000)).run, 2);
      apply(change(waiting, { run: 3 }));
      await sleep(100);
      apply(change(waiting, { wish: 'drain', run: 3 }));
      assert.equal((await engine.next('drained', 1000)).run, 3);
      assert.deepEqual(
        drained().map(({ run }) => run),
        [0, 1, 2, 3],
      );
    });
  });
});
