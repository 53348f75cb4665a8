import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ask, Reply } from '../../src/core/engine.js';
import type { PlannedConnection, PlannedForward, Waits } from '../../src/core/plan.js';
import { emptySnapshot, reduce, type Snapshot } from '../../src/core/snapshot.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startFaultyProxy, type FaultyProxy } from '../support/faultyProxy.js';
import { freePort, keygen, startSshd, type Sshd } from '../support/sshd.js';
import { connectThrough, connectTo, echo, exchange, readToEnd, startTarget, type Target } from '../support/targets.js';

describe('a connection on demand', () => {
  let sshd: Sshd;
  let proxy: FaultyProxy;
  let configFile: string;
  let service: Target;
  let engine: EngineProbe;
  let snapshot: Snapshot;
  let port: number;
  let spec: string;
  let heldBefore: string[];
  let answer: ((ask: Ask) => Reply | Promise<Reply>) | undefined;

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    proxy = await startFaultyProxy(sshd);
    service = await startTarget(echo);
  });
  beforeEach(async () => {
    configFile = config();
    answer = undefined;
    engine = probe(createEngine(), (ask) => answer?.(ask) ?? assert.fail(`asked for ${ask.kind}`));
    snapshot = emptySnapshot;
    engine.engine.onEvent((event) => (snapshot = reduce(snapshot, event)));
    port = await freePort();
    spec = `-L ${port}:${target()}`;
  });
  afterEach(async () => {
    await engine.close();
    assert.deepEqual(snapshot, emptySnapshot);
    proxy.thaw();
    proxy.resetAll();
    await proxy.accept();
  });
  after(async () => {
    await service.close();
    await proxy.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const target = () => `127.0.0.1:${service.port}`;
  const config = (...lines: string[]) =>
    sshd.configPath('web01', [...lines, `Port ${proxy.port}`, `HostKeyAlias [127.0.0.1]:${sshd.port}`]);
  const web01 = (specs: readonly string[] = [spec], more: Partial<PlannedConnection> = {}): PlannedConnection => {
    const plan = planned('web01', specs, { configFile, ...more });
    return { ...plan, forwards: plan.forwards.map((forward) => ({ ...forward, onDemand: true })) };
  };
  const change = (plan: PlannedConnection, next: Partial<PlannedForward>): PlannedConnection => ({
    ...plan,
    forwards: plan.forwards.map((forward) => ({ ...forward, ...next })),
  });
  const apply = (connection: PlannedConnection | undefined, waits?: Partial<Waits>) =>
    engine.engine.apply({
      connections: connection ? [connection] : [],
      waits: { parkSeconds: 20, idleSeconds: 600, ...waits },
    });
  const listens = async (waits?: Partial<Waits>, plan = web01()) => {
    apply(plan, waits);
    await engine.next('connectionIdle');
    await engine.next('listening');
  };
  const answers = async (text = 'hi', to = port) =>
    assert.deepEqual(await exchange(to, Buffer.from(text)), { received: Buffer.from(text), end: 'end' });
  const count = (kind: string) => engine.kinds().filter((one) => one === kind).length;
  const attempts = () => engine.events.flatMap((event) => (event.kind === 'connecting' ? [event.attempt] : []));
  const seen = () => snapshot.connections['web01'];

  it('listens without a word to its server, and is dialled by the first client, who is answered', async () => {
    const { up } = proxy.passed;
    await listens();
    assert.deepEqual(engine.kinds(), ['connectionIdle', 'listening']);
    assert.deepEqual(seen(), { kind: 'idle' });
    await sleep(300);
    assert.deepEqual([proxy.connections, proxy.passed.up], [0, up]);
    await answers('first');
    await answers('second');
    assert.deepEqual(engine.kinds().slice(2), ['connecting', 'connected']);
    assert.equal(seen()?.kind, 'ready');
  });

  it('of a dynamic forward is dialled in the same way', async () => {
    spec = `-D ${port}`;
    await listens();
    const socket = await connectThrough({ host: '127.0.0.1', port }, 'SOCKS5', '127.0.0.1', service.port);
    assert.equal((await readToEnd(socket.end('through'))).received.toString(), 'through');
  });

  it('hangs up when nobody has used it for a while, listens on, and is dialled again', async () => {
    await listens({ idleSeconds: 0.4 });
    await answers();
    const began = performance.now();
    assert.equal((await engine.next('connectionIdle')).failure, undefined);
    assert.ok(performance.now() - began > 250);
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    await answers('again');
    assert.deepEqual([count('listening'), count('connected'), count('connectionLost')], [1, 2, 0]);
    await engine.next('connectionIdle');
  });

  it('stays up as long as there is a client, though he says nothing', async () => {
    await listens({ idleSeconds: 0.4 });
    const quiet = await connectTo({ host: '127.0.0.1', port });
    await engine.next('connected');
    await sleep(1000);
    assert.equal(seen()?.kind, 'ready');
    quiet.end('still here');
    assert.equal((await readToEnd(quiet)).received.toString(), 'still here');
    await engine.next('connectionIdle');
  });

  it('asks for a passphrase at the first client, and not again after it was idle', async () => {
    const key = `${sshd.folder}/encrypted`;
    keygen(key, '-N', 'secret words', '-q');
    const authorized = readFileSync(sshd.authorizedKeysPath, 'utf8');
    writeFileSync(sshd.authorizedKeysPath, readFileSync(`${key}.pub`, 'utf8'));
    try {
      configFile = config(`IdentityFile ${key}`);
      answer = () => ({ kind: 'secret', secret: 'secret words' });
      await listens({ idleSeconds: 0.4 });
      assert.equal(count('asked'), 0);
      await answers();
      await engine.next('connectionIdle');
      await answers();
      assert.equal(count('asked'), 1);
    } finally {
      writeFileSync(sshd.authorizedKeysPath, authorized);
    }
  });

  it('resets its clients when it is lost, and is idle until the next one comes', async () => {
    await listens();
    const open = await connectTo({ host: '127.0.0.1', port });
    open.write('x');
    await eventually(async () => assert.equal((await engine.engine.clients(spec))[0]?.received, 1));
    proxy.resetAll();
    assert.equal((await readToEnd(open)).end, 'ECONNRESET');
    const { failure } = await engine.next('connectionIdle');
    assert.equal(failure?.kind, 'connectionLost');
    await sleep(800);
    assert.equal(count('connecting'), 1);
    await answers('next');
    assert.equal(count('listening'), 1);
  });

  it('is dialled until its server is back while a client waits, who is answered then', async () => {
    await listens();
    await proxy.refuse();
    const request = exchange(port, Buffer.from('patient'));
    await engine.next('connectionLost');
    await engine.next('connectionLost');
    await proxy.accept();
    assert.equal((await request).received.toString(), 'patient');
    assert.equal(count('connectionFailed'), 0);
  });

  it('is idle again, with what went wrong, when nobody waits any more', async () => {
    await listens({ parkSeconds: 0.6 });
    await proxy.refuse();
    assert.equal((await exchange(port, Buffer.from('in vain'))).end, 'ECONNRESET');
    const { failure } = await engine.next('connectionIdle');
    assert.equal(failure?.kind, 'connectFailed');
    assert.deepEqual(seen(), { kind: 'idle', failure });
    const dials = count('connecting');
    await sleep(800);
    assert.equal(count('connecting'), dials);
    await proxy.accept();
    await answers();
  });

  it('goes on waiting as long as it was to, and counting, when all who waited are gone and the next one comes', async () => {
    await listens();
    await proxy.refuse();
    const first = exchange(port, Buffer.from('in vain'));
    let lost = await engine.next('connectionLost');
    while (lost.attempt < 4) lost = await engine.next('connectionLost');
    for (const { id } of await engine.engine.clients(spec)) engine.engine.disconnect(spec, id);
    assert.equal((await first).end, 'ECONNRESET');
    await engine.next('connectionIdle');
    const next = exchange(port, Buffer.from('next'));
    const again = await engine.next('connectionLost');
    assert.equal(again.attempt, 4);
    assert.ok(Math.abs(again.retryAt - lost.retryAt) < 300, `${again.retryAt - lost.retryAt} ms later`);
    await proxy.accept();
    assert.equal((await next).received.toString(), 'next');
    assert.deepEqual(attempts(), [1, 2, 3, 4, 5]);
  });

  it('is dialled no more often for a program that connects again and again, where nobody is to wait', async () => {
    await listens({ parkSeconds: 0 });
    await proxy.refuse();
    const began = performance.now();
    while (performance.now() - began < 1500) assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNRESET');
    assert.ok(count('connecting') >= 2 && count('connecting') <= 5, `${count('connecting')} dials`);
    assert.deepEqual(attempts(), attempts().map((_, index) => index + 1)); // prettier-ignore
    // Nobody waits for a next try.
    assert.equal(count('connectionLost'), 0);
    await proxy.accept();
    await eventually(() => answers());
  });

  it('fails for good when the question is cancelled, and asks nothing more', async () => {
    configFile = config(`UserKnownHostsFile ${sshd.folder}/nobody_known`);
    answer = () => ({ kind: 'cancel' });
    await listens();
    assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNRESET');
    assert.deepEqual((await engine.next('connectionFailed')).failure, { kind: 'cancelled' });
    assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    assert.equal(count('asked'), 1);
  });

  it('puts no second question for its clients when the first came to nothing', async () => {
    configFile = config(`UserKnownHostsFile ${sshd.folder}/nobody_known`);
    answer = () => new Promise(() => {});
    await listens();
    const waiting = exchange(port, Buffer.from('x'));
    await engine.next('asked');
    proxy.resetAll();
    await engine.next('askSettled');
    await engine.next('connectionLost');
    const { failure } = await engine.next('connectionFailed');
    assert.deepEqual(failure, { kind: 'answerNeeded', host: 'web01', what: 'hostKey' });
    assert.equal((await waiting).end, 'ECONNRESET');
    assert.equal(count('asked'), 1);
    // By hand it may.
    answer = () => ({ kind: 'hostKey', accept: 'once' });
    apply(web01([spec], { retry: 1 }));
    await engine.next('listening');
    await answers();
  });

  it('is dialled at once for a forward that can’t wait, and hangs up some time after that has gone', async () => {
    await listens({ idleSeconds: 0.4 });
    const other = await freePort();
    const here = planned('web01', [`-L ${other}:${target()}`], { configFile });
    apply({ ...here, forwards: [...web01().forwards, ...here.forwards] }, { idleSeconds: 0.4 });
    await engine.next('connected');
    await answers('there', other);
    await sleep(800);
    assert.equal(seen()?.kind, 'ready');
    apply(web01(), { idleSeconds: 0.4 });
    await engine.next('connectionIdle');
    await answers();
    assert.equal(engine.events.filter((event) => event.kind === 'listening' && event.forward === spec).length, 1);
  });

  it('is none where a remote forward is to listen', async () => {
    const remote = await freePort();
    apply(web01([spec, `-R ${remote}:${target()}`]));
    await engine.next('connected');
    await engine.next('listening');
    await engine.next('listening');
    await answers('from the server', remote);
    assert.equal(count('connectionIdle'), 0);
  });

  it('is dialled by hand', async () => {
    await listens();
    apply(web01([spec], { retry: 1 }));
    await engine.next('connected');
    assert.equal(count('listening'), 1);
  });

  it('asks before the network is let in, though it is not connected', async () => {
    spec = `-L *:${port}:${target()}`;
    answer = (ask) => ({ kind: ask.kind === 'openToNetwork' ? 'allow' : 'cancel' });
    apply(web01());
    await engine.next('connectionIdle');
    await engine.next('asked');
    assert.equal((await engine.next('listening')).access, 'network');
    await answers();
    assert.equal(count('asked'), 1);
  });

  it('fails for good when ssh_config is refused', async () => {
    writeFileSync(configFile, 'Host web01\n  NoSuchOption yes\n');
    apply(web01());
    assert.equal((await engine.next('connectionFailed')).failure.kind, 'sshConfig');
    assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    configFile = config();
    apply(web01([spec], { run: 1 }));
    await engine.next('connectionIdle');
    await engine.next('listening');
    await answers();
  });

  it('heeds ExitOnForwardFailure though it is not connected', async () => {
    const taken = createServer((socket) => socket.destroy());
    await new Promise<void>((listening) => taken.listen({ port, host: '127.0.0.1' }, listening));
    try {
      const only = `-L 127.0.0.1:${spec.slice(3)}`;
      const other = `-L ${await freePort()}:${target()}`;
      apply(web01([only, other]));
      assert.equal((await engine.next('listenFailed')).failure.kind, 'portInUse');
      assert.deepEqual(seen(), { kind: 'idle' });
      apply(undefined);
      await engine.next('connectionClosed');
      configFile = config('ExitOnForwardFailure yes');
      apply(web01([only, other]));
      const { failure } = await engine.next('connectionFailed');
      assert.equal(failure.kind, 'forwardsIncomplete');
      await eventually(() => assert.deepEqual(snapshot.forwards[other], undefined));
      assert.equal(count('connecting'), 0);
    } finally {
      await new Promise((closed) => taken.close(closed));
    }
  });

  it('has forwards that are stopped, drained, added and restarted while it is idle', async () => {
    const [second, third] = [`-L ${await freePort()}:${target()}`, `-L ${await freePort()}:${target()}`];
    await listens(undefined, web01([spec, second]));
    await engine.next('listening');
    apply(web01([spec, second, third]));
    assert.equal((await engine.next('listening')).forward, third);
    apply(web01([spec, second]));
    assert.equal((await engine.next('forwardClosed')).forward, third);
    const [first, other] = web01([spec, second]).forwards;
    apply({ ...web01(), forwards: [first!, { ...other!, wish: 'drain' }] });
    assert.equal((await engine.next('forwardClosed')).forward, second);
    assert.equal((await engine.next('drained')).forward, second);
    apply(change(web01(), { run: 1 }));
    assert.equal((await engine.next('forwardClosed')).forward, spec);
    assert.equal((await engine.next('listening')).run, 1);
    assert.equal(count('connecting'), 0);
    await answers();
    apply(change(web01(), { run: 1, wish: 'drain' }));
    await engine.next('drained');
    assert.equal(count('connecting'), 1);
  });

  it('is idle anew when it is restarted, idle or up', async () => {
    await listens();
    apply(web01([spec], { run: 1 }));
    await engine.next('connectionIdle');
    await engine.next('listening');
    await answers();
    const open = await connectTo({ host: '127.0.0.1', port });
    const gone = readToEnd(open);
    apply(web01([spec], { run: 2 }));
    assert.equal((await gone).end, 'ECONNRESET');
    await engine.next('connectionIdle');
    await engine.next('listening');
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    await answers();
  });

  it('tells what listens on the server, and how it is reached, as one that is not up', async () => {
    await listens();
    const { host } = web01();
    const ports = await engine.engine.serverPorts(host);
    assert.ok(ports.some((one) => 'port' in one && one.port === sshd.port));
    assert.equal((await engine.engine.explain(host)).failure, undefined);
    assert.deepEqual(engine.kinds(), ['connectionIdle', 'listening']);
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
  });

  it('is closed at any moment of its life', async () => {
    for (const moment of ['idle', 'dialling', 'waiting', 'up'] as const) {
      apply(web01());
      if (moment !== 'dialling') await engine.next('listening');
      else await eventually(() => assert.equal(snapshot.forwards[spec]?.kind, 'listening'));
      if (moment === 'waiting') await proxy.refuse();
      const client = moment === 'idle' ? undefined : readToEnd(await connectTo({ host: '127.0.0.1', port }));
      if (moment === 'dialling') await engine.next('connecting');
      if (moment === 'waiting') await engine.next('connectionLost');
      if (moment === 'up') await engine.next('connected');
      apply(undefined);
      await engine.next('connectionClosed');
      if (client) assert.equal((await client).end, 'ECONNRESET', moment);
      assert.deepEqual(snapshot, emptySnapshot);
      await proxy.accept();
      engine.skip();
    }
  });
});
