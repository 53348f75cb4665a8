import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedConnection, Waits } from '../../src/core/plan.js';
import { createParking } from '../../src/engine/parking.js';
import { createEngine } from '../../src/engine/reconciler.js';
import type { SshSession } from '../../src/engine/sshClient.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startFaultyProxy, type FaultyProxy } from '../support/faultyProxy.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import {
  connectThrough,
  connectTo,
  echo,
  exchange,
  readToEnd,
  startTarget,
  type Place,
  type Target,
} from '../support/targets.js';

describe('a client that comes while the connection is down', () => {
  let sshd: Sshd;
  let proxy: FaultyProxy;
  let configFile: string;
  let service: Target;
  let engine: EngineProbe;
  let port: number;
  let spec: string;
  let heldBefore: string[];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    proxy = await startFaultyProxy(sshd);
    configFile = sshd.configPath('web01', [
      `Port ${proxy.port}`,
      `HostKeyAlias [127.0.0.1]:${sshd.port}`,
      'ServerAliveInterval 1',
      'ServerAliveCountMax 2',
    ]);
    service = await startTarget(echo);
  });
  beforeEach(async () => {
    engine = probe(createEngine());
    port = await freePort();
    spec = `-L ${port}:${target()}`;
  });
  afterEach(async () => {
    await engine.close();
    proxy.thaw();
    proxy.resetAll();
    await proxy.accept();
    await eventually(() => assert.equal(service.sockets.size, 0));
  });
  after(async () => {
    await service.close();
    await proxy.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const target = () => `127.0.0.1:${service.port}`;
  const web01 = (specs: readonly string[], more: Partial<PlannedConnection> = {}) =>
    planned('web01', specs, { configFile, ...more });
  const apply = (connection: PlannedConnection | undefined, waits?: Waits) =>
    engine.engine.apply({ connections: connection ? [connection] : [], ...(waits && { waits }) });
  const waits = (parkSeconds: number): Waits => ({ parkSeconds, idleSeconds: 600 });
  /** Up, and then cut off until `proxy.accept`. */
  const cutOff = async (specs: readonly string[] = [spec], given?: Waits) => {
    apply(web01(specs), given);
    for (const _ of specs) await engine.next('listening');
    await proxy.refuse();
    proxy.resetAll();
    await engine.next('connectionLost');
  };
  const parked = (count: number, of = spec) =>
    eventually(async () => {
      const clients = await engine.engine.clients(of);
      assert.equal(clients.filter(({ isParked }) => isParked).length, count);
      return clients;
    });
  const at = (port: number): Place => ({ host: '127.0.0.1', port });

  it('is listed as parked, and its request is answered over the next connection', async () => {
    await cutOff();
    const request = exchange(port, Buffer.from('early'));
    const [client, ...others] = await parked(1);
    assert.deepEqual(others, []);
    assert.deepEqual([client!.sent, client!.received], [0, 0]);
    await proxy.accept();
    assert.deepEqual(await request, { received: Buffer.from('early'), end: 'end' });
    assert.equal(engine.kinds().filter((kind) => kind === 'listening').length, 1);
    assert.deepEqual(
      engine.kinds().filter((kind) => kind === 'channelFailed' || kind === 'forwardClosed'),
      [],
    );
    await parked(0);
  });

  for (const kind of ['SOCKS4a', 'SOCKS5', 'HTTP CONNECT'] as const)
    it(`speaks ${kind} when the connection is back`, async () => {
      spec = `-D ${port}`;
      await cutOff();
      const through = connectThrough(at(port), kind, '127.0.0.1', service.port);
      await parked(1);
      await proxy.accept();
      const socket = await through;
      socket.end('asked');
      assert.equal((await readToEnd(socket)).received.toString(), 'asked');
    });

  it('on a Unix socket waits, too', async () => {
    const path = join(sshd.folder, 'parked.sock');
    spec = `-L ${path}:${target()}`;
    await cutOff();
    const request = exchange({ path }, Buffer.from('local'));
    await parked(1);
    await proxy.accept();
    assert.equal((await request).received.toString(), 'local');
  });

  it('goes on in the order in which it came', async () => {
    const order: string[] = [];
    const ordered = await startTarget((socket) => {
      socket.on('data', (data) => order.push(data.toString()));
      socket.on('end', () => socket.end());
    });
    try {
      spec = `-L ${port}:127.0.0.1:${ordered.port}`;
      await cutOff();
      const sockets: Socket[] = [];
      for (const name of 'abcdefgh') {
        const socket = await connectTo(at(port));
        socket.write(name);
        sockets.push(socket);
        await parked(sockets.length);
      }
      await proxy.accept();
      await eventually(() => assert.equal(order.length, 8));
      assert.equal(order.join(''), 'abcdefgh');
      for (const socket of sockets) socket.destroy();
      await eventually(() => assert.equal(ordered.sockets.size, 0));
    } finally {
      await ordered.close();
    }
  });

  it('is reset when it has waited long enough, each in its own time', async () => {
    await cutOff([spec], waits(0.6));
    const times: number[] = [];
    const wait = async () => {
      const began = performance.now();
      const { received, end } = await exchange(port, Buffer.from('in vain'));
      times.push(performance.now() - began);
      // Not an end in order, which would look like an empty answer.
      assert.deepEqual([received.length, end], [0, 'ECONNRESET']);
    };
    const first = wait();
    await sleep(200);
    await Promise.all([first, wait()]);
    for (const time of times) assert.ok(time > 500 && time < 2500, times.join());
    await parked(0);
    await proxy.accept();
    await engine.next('connected');
    assert.equal((await exchange(port, Buffer.from('late'))).received.toString(), 'late');
  });

  it('is reset at once when nobody is to wait', async () => {
    await cutOff([spec], waits(0));
    const began = performance.now();
    assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNRESET');
    assert.ok(performance.now() - began < 500);
  });

  it('waits as long as the newest plan says', async () => {
    await cutOff([spec], waits(60));
    const waiting = exchange(port, Buffer.from('x'));
    await parked(1);
    apply(web01([spec]), waits(0.5));
    assert.equal((await waiting).end, 'ECONNRESET');
  });

  it('is forgotten when it is gone, as far as that can be seen, and leaves nothing', async () => {
    await cutOff();
    const socket = await connectTo(at(port));
    await parked(1);
    socket.resetAndDestroy();
    await proxy.accept();
    await engine.next('connected');
    await eventually(async () => assert.deepEqual(await engine.engine.clients(spec), []));
    assert.equal((await exchange(port, Buffer.from('next'))).received.toString(), 'next');
  });

  it('is disconnected by hand', async () => {
    await cutOff();
    const [first, second] = [exchange(port, Buffer.from('one')), exchange(port, Buffer.from('two'))];
    const [client] = await parked(2);
    engine.engine.disconnect(spec, client!.id);
    assert.equal((await Promise.race([first, second])).end, 'ECONNRESET');
    await parked(1);
    await proxy.accept();
    const ends = (await Promise.all([first, second])).map(({ end }) => end);
    assert.deepEqual(ends.sort(), ['ECONNRESET', 'end']);
  });

  for (const what of [
    'the forward is stopped',
    'the forward is restarted',
    'the connection is restarted',
    'the engine is closed',
  ] as const)
    // prettier-ignore
    it(`is reset when ${what}`, async () => {
      await cutOff();
      const waiting = exchange(port, Buffer.from('x'));
      await parked(1);
      const plan = web01([spec]);
      if (what === 'the forward is stopped') apply(web01([]));
      else if (what === 'the forward is restarted')
        apply({ ...plan, forwards: plan.forwards.map((forward) => ({ ...forward, run: 1 })) });
      else if (what === 'the connection is restarted') apply({ ...plan, run: 1 });
      else void engine.close();
      assert.equal((await waiting).end, 'ECONNRESET');
    });

  it('is reset when the connection fails for good', async () => {
    await cutOff();
    const waiting = exchange(port, Buffer.from('x'));
    await parked(1);
    const strict = { ...web01([spec]), reconnect: false };
    apply(strict);
    assert.equal((await waiting).end, 'ECONNRESET');
    await engine.next('connectionFailed');
  });

  it('goes on though its forward is stopped in peace meanwhile', async () => {
    await cutOff();
    const waiting = exchange(port, Buffer.from('still'));
    await parked(1);
    const plan = web01([spec]);
    apply({ ...plan, forwards: plan.forwards.map((forward) => ({ ...forward, wish: 'drain' })) });
    await engine.next('forwardClosed');
    assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    assert.equal(engine.kinds().includes('drained'), false);
    await proxy.accept();
    assert.equal((await waiting).received.toString(), 'still');
    await engine.next('drained');
  });

  it('waits for the next connection when its channel was asked for on one that was dead', async () => {
    apply(web01([spec]));
    await engine.next('listening');
    const open = await connectTo(at(port));
    const cut = readToEnd(open);
    open.write('x');
    await eventually(async () => assert.equal((await engine.engine.clients(spec))[0]?.received, 1));
    proxy.drop();
    const waiting = exchange(port, Buffer.from('again'));
    await engine.next('connectionLost');
    // One that had something of the session can't take what it got for the whole.
    assert.equal((await cut).end, 'ECONNRESET');
    await parked(1);
    proxy.thaw();
    assert.equal((await waiting).received.toString(), 'again');
  });

  it('is one of 512 at most: others are reset, with one line in the log', async () => {
    await cutOff();
    const clients = Array.from({ length: 2000 }, (_, index) => exchange(port, Buffer.from(`client ${index}`)));
    await parked(512);
    await proxy.accept();
    const results = await Promise.all(clients);
    const served = results.filter(({ received, end }, index) => received.toString() === `client ${index}` && end === 'end'); // prettier-ignore
    const reset = results.filter(({ received, end }) => received.length === 0 && end === 'ECONNRESET');
    // Some may come when it is back.
    assert.ok(served.length >= 512);
    assert.equal(served.length + reset.length, 2000);
    const lines = engine.events.filter((event) => event.kind === 'logged' && /wait for it already/.test(event.text));
    assert.equal(lines.length, 1);
    await eventually(async () => assert.deepEqual(await engine.engine.clients(spec), []));
  });

  it('is in nobody’s way: its neighbours of other connections go on', async () => {
    const neighbour = await freePort();
    const other = planned('web02', [`-L ${neighbour}:${target()}`], { configFile: sshd.configPath('web02') });
    engine.engine.apply({ connections: [web01([spec]), other] });
    await engine.next('listening');
    await engine.next('listening');
    await proxy.refuse();
    proxy.resetAll();
    await engine.next('connectionLost');
    const waiting = connect({ ...at(port), allowHalfOpen: true }).on('error', () => {});
    await parked(1);
    assert.equal((await exchange(neighbour, Buffer.from('here'))).received.toString(), 'here');
    waiting.destroy();
  });
});

describe('parking', () => {
  const session = {} as SshSession;
  const client = (since = performance.now()) => ({ since, gone: new AbortController().signal });
  const heldTimers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const told: string[] = [];
  let longest = 60_000;
  const create = () =>
    createParking({
      most: 3,
      longestMs: () => longest,
      onFull: () => told.push('full'),
      onDeserted: () => told.push('deserted'),
    });
  beforeEach(() => {
    told.splice(0);
    longest = 60_000;
  });

  it('has one timer for all, and none when nobody waits', async () => {
    // The test has its own from here on.
    await Promise.resolve();
    const before = heldTimers();
    const parking = create();
    const waiting = [parking.wait(client()), parking.wait(client()), parking.wait(client())];
    assert.equal(parking.size, 3);
    assert.equal(heldTimers(), before + 1);
    parking.admit(session);
    assert.deepEqual(await Promise.all(waiting), [session, session, session]);
    assert.equal(heldTimers(), before);
    assert.deepEqual(told, []);
  });

  it('turns away whom it has no room for, and says so once until all that waited are gone', async () => {
    const parking = create();
    for (let time = 0; time < 2; time++) {
      const waiting = [1, 2, 3].map(() => parking.wait(client()));
      assert.equal(await parking.wait(client()), undefined);
      assert.equal(await parking.wait(client()), undefined);
      parking.turnAway();
      assert.deepEqual(await Promise.all(waiting), [undefined, undefined, undefined]);
    }
    assert.deepEqual(told, ['full', 'full']);
  });

  it('lets go of one that is gone, and tells when nobody is left', async () => {
    await Promise.resolve();
    const before = heldTimers();
    const parking = create();
    const gone = [new AbortController(), new AbortController()];
    const waiting = gone.map(({ signal }) => parking.wait({ since: performance.now(), gone: signal }));
    gone[0]!.abort();
    assert.equal(await waiting[0], undefined);
    assert.deepEqual([parking.size, told.length], [1, 0]);
    gone[1]!.abort();
    assert.equal(await waiting[1], undefined);
    assert.deepEqual(told, ['deserted']);
    assert.equal(heldTimers(), before);
  });

  it('counts what one has waited before', async () => {
    const parking = create();
    longest = 1000;
    const patient = parking.wait(client());
    const began = performance.now();
    assert.equal(await parking.wait(client(began - 1500)), undefined);
    assert.equal(await parking.wait(client(began - 800)), undefined);
    const took = performance.now() - began;
    assert.ok(took >= 199 && took < 900, String(took));
    assert.equal(parking.size, 1);
    assert.equal(await patient, undefined);
    assert.deepEqual(told, ['deserted']);
  });

  it('lets nobody wait that is gone already', async () => {
    const parking = create();
    assert.equal(await parking.wait({ since: performance.now(), gone: AbortSignal.abort() }), undefined);
    assert.equal(parking.size, 0);
  });
});
