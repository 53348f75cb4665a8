import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { PlannedConnection } from '../../src/core/plan.js';
import { emptySnapshot, reduce } from '../../src/core/snapshot.js';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startFaultyProxy, type FaultyProxy } from '../support/faultyProxy.js';
import { freePort, killAll, knownHostsLine, publicKey, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';

describe('a remote forward whose connection was lost', () => {
  let sshd: Sshd;
  let proxy: FaultyProxy;
  let service: Target;
  let engine: EngineProbe;
  let heldBefore: string[];
  /** Sessions that know nothing of their end, since they stand still. */
  let stale: number[] = [];

  before(async () => {
    heldBefore = heldResources();
    service = await startTarget(echo);
  });
  beforeEach(() => (engine = probe(createEngine())));
  afterEach(async () => {
    await engine.close();
    killAll(stale.splice(0));
    await proxy.close();
    try {
      await eventually(() => assert.deepEqual(sshd.sessions(), []));
    } finally {
      await sshd.stop();
    }
    await eventually(() => assert.equal(service.sockets.size, 0));
  });
  after(async () => {
    await service.close();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  /** A server behind a proxy, and a connection to it that has the forwards. */
  const connectTo = async (forwards: readonly string[], config: readonly string[] = []): Promise<PlannedConnection> => {
    sshd = await startSshd({ config });
    proxy = await startFaultyProxy(sshd);
    appendFileSync(sshd.knownHostsPath, knownHostsLine(proxy.port, publicKey(`${sshd.hostKeyPath}.pub`)));
    const plan = planned('web01', forwards, { configFile: sshd.configPath('web01', [`Port ${proxy.port}`]) });
    apply(plan);
    for (const _ of forwards) await engine.next('listening');
    return plan;
  };
  const apply = (...connections: PlannedConnection[]) => engine.engine.apply({ connections });
  /** As when a laptop wakes up elsewhere: the client's end is gone, and the server's does not know. */
  const goStale = async () => {
    stale = await sshd.settledSessions();
    for (const pid of stale) process.kill(pid, 'SIGSTOP');
    engine.skip();
    proxy.resetAll();
    await engine.next('connectionLost');
  };
  const answers = async (port: number) =>
    assert.equal((await exchange(port, Buffer.from('hi'))).received.toString(), 'hi');
  const to = () => `127.0.0.1:${service.port}`;
  const seen = (forward: string) => engine.events.reduce(reduce, emptySnapshot).forwards[forward];

  for (const [title, config] of [
    ['', []],
    [', also where nobody may knock there', ['AllowTcpForwarding remote']],
  ] as const)
    it(`asks for its port until a stale session has let go of it${title}`, async () => {
      const port = await freePort();
      const forward = `-R ${port}:${to()}`;
      await connectTo([forward], config);
      await goStale();
      const first = await engine.next('listenRetrying');
      assert.ok(first.failure.kind === 'remoteRefused' && first.failure.isStale);
      assert.match(failureText(first.failure), new RegExp(`^localhost:${port} on web01 is still held, .*ClientAliveI`));
      assert.deepEqual([first.forward, first.run, first.attempt], [forward, 0, 1]);
      assert.ok(first.retryAt > Date.now() - 1000 && first.retryAt <= Date.now() + 500);
      const second = await engine.next('listenRetrying');
      assert.equal(second.attempt, 2);
      assert.equal(seen(forward)?.kind, 'retrying');
      killAll(stale);
      const killedAt = performance.now();
      await engine.next('listening');
      assert.ok(performance.now() - killedAt < 5000);
      await Promise.all(Array.from({ length: 5 }, () => answers(port)));
      assert.ok(!engine.kinds().includes('listenFailed'));
    });

  it('asks at once, in the same run, when the user does not want to wait', async () => {
    const port = await freePort();
    const plan = await connectTo([`-R ${port}:${to()}`]);
    await goStale();
    // By then the next one is two seconds away, or more.
    let asked = await engine.next('listenRetrying');
    while (asked.attempt < 4) asked = await engine.next('listenRetrying');
    killAll(stale);
    await eventually(async () => assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED'));
    const from = engine.events.length;
    apply({ ...plan, retry: 1 });
    const { run } = await engine.next('listening');
    assert.ok(Date.now() < asked.retryAt);
    assert.equal(run, 0);
    assert.ok(!engine.events.slice(from).some(({ kind }) => ['forwardClosed', 'connecting'].includes(kind)));
    await answers(port);
  });

  for (const [title, next] of [
    ['it', (plan: PlannedConnection) => ({ forwards: plan.forwards.map((forward) => ({ ...forward, run: 1 })) })],
    ['its connection', () => ({ run: 1 })],
  ] as const)
    it(`goes on asking when ${title} is started again`, async () => {
      const port = await freePort();
      const plan = await connectTo([`-R ${port}:${to()}`]);
      await goStale();
      await engine.next('listenRetrying');
      engine.skip();
      apply({ ...plan, ...next(plan) });
      const { failure } = await engine.next('listenRetrying');
      assert.ok(failure.kind === 'remoteRefused' && failure.isStale);
      killAll(stale);
      await engine.next('listening');
      await answers(port);
      assert.ok(!engine.kinds().includes('listenFailed'));
    });

  it('goes on asking when its connection is started again while it seems to be up', async () => {
    const port = await freePort();
    const plan = await connectTo([`-R ${port}:${to()}`]);
    stale = await sshd.settledSessions();
    for (const pid of stale) process.kill(pid, 'SIGSTOP');
    engine.skip();
    apply({ ...plan, run: 1 });
    const { failure } = await engine.next('listenRetrying');
    assert.ok(failure.kind === 'remoteRefused' && failure.isStale);
    killAll(stale);
    await engine.next('listening');
    await answers(port);
  });

  it('is no longer its server’s to hold when that has given it up: it fails when another one has the port then', async () => {
    const port = await freePort();
    const plan = await connectTo([`-R ${port}:${to()}`, `-R 0:${to()}`]);
    const [first, other] = plan.forwards;
    apply({ ...plan, forwards: [other!] });
    await engine.next('forwardClosed');
    const squatter = createServer().listen(port);
    await once(squatter, 'listening');
    try {
      apply({ ...plan, forwards: [{ ...first!, run: 1 }, other!] });
      const { failure } = await engine.next('listenFailed');
      assert.ok(failure.kind === 'remoteRefused' && failure.inUse && !failure.isStale);
    } finally {
      squatter.close();
    }
  });

  it('goes on asking over the next connection when that one is lost, too', async () => {
    const port = await freePort();
    const forward = `-R ${port}:${to()}`;
    await connectTo([forward]);
    await goStale();
    await engine.next('listenRetrying');
    const from = engine.events.length;
    proxy.resetAll();
    await engine.next('connected');
    const { attempt } = await engine.next('listenRetrying');
    assert.equal(attempt, 1);
    const told = engine.events.slice(from).map(({ kind }) => kind);
    assert.deepEqual(
      told.slice(told.indexOf('forwardClosed')).filter((kind) => kind !== 'logged'),
      ['forwardClosed', 'connectionLost', 'connecting', 'connected', 'listenRetrying'],
    );
    killAll(stale);
    await engine.next('listening');
    await answers(port);
  });

  it('is stopped at once while it asks, and leaves nothing', async () => {
    const port = await freePort();
    const plan = await connectTo([`-R ${port}:${to()}`]);
    await goStale();
    await engine.next('listenRetrying');
    const from = engine.events.length;
    const stoppedAt = performance.now();
    apply({ ...plan, forwards: [] });
    await engine.next('forwardClosed');
    assert.ok(performance.now() - stoppedAt < 1000);
    killAll(stale);
    await eventually(async () => assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED'));
    // The first wait is over by then.
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    assert.deepEqual(
      engine.events.slice(from).flatMap(({ kind }) => (/listen/.test(kind) ? [kind] : [])),
      [],
    );
    assert.equal(seen(plan.forwards[0]!.id), undefined);
  });

  it('is ended with its connection while it asks', async () => {
    await connectTo([`-R ${await freePort()}:${to()}`]);
    await goStale();
    await engine.next('listenRetrying');
    const from = engine.events.length;
    const closedAt = performance.now();
    await engine.close();
    assert.ok(performance.now() - closedAt < 1500);
    assert.deepEqual(
      engine.events.slice(from).flatMap(({ kind }) => (/listen/.test(kind) ? [kind] : [])),
      [],
    );
  });

  it('gets the number again that was allocated to it', async () => {
    const [forward] = [`-R 0:${to()}`];
    await connectTo([forward]);
    const portNow = () => {
      const found = seen(forward);
      assert.ok(found?.kind === 'listening' && found.bound[0]?.kind === 'tcp');
      return found.bound[0].port;
    };
    const port = portNow();
    engine.skip();
    sshd.killSessions();
    await engine.next('listening');
    assert.equal(portNow(), port);
    await answers(port);
    assert.deepEqual(warnings(), []);
    // Held by a stale session, the next best is another one; it is told.
    await goStale();
    await engine.next('listening');
    const other = portNow();
    assert.notEqual(other, port);
    await answers(other);
    assert.equal(warnings().length, 1);
    assert.match(warnings()[0]!, new RegExp(`web01 gave port ${other} this time.*port ${port}\\b`));
  });
  const warnings = () =>
    engine.events.flatMap((event) => (event.kind === 'logged' && event.level === 'warning' ? [event.text] : []));

  it('fails where the server has new rules and forbids the port', async () => {
    const port = await freePort();
    await connectTo([`-R ${port}:${to()}`]);
    const path = join(sshd.folder, 'sshd_config');
    await sshd.stopListening();
    writeFileSync(path, `PermitListen 127.0.0.1:1\n${readFileSync(path, 'utf8')}`);
    await sshd.start();
    engine.skip();
    proxy.resetAll();
    const { failure } = await engine.next('listenFailed');
    assert.ok(failure.kind === 'remoteRefused' && !failure.isStale && !failure.inUse);
    assert.match(failureText(failure), /PermitListen/);
  });

  it('fails for the file that sshd leaves of a Unix socket, and says what to do', async () => {
    const forward = () => `-R ${sshd.folder}/left.sock:${to()}`;
    const plan = await connectTo([]);
    const path = join(sshd.folder, 'left.sock');
    const own = planned('web01', [forward()]).forwards;
    apply({ ...plan, forwards: own });
    await engine.next('listening');
    sshd.killSessions();
    const { failure } = await engine.next('listenFailed');
    assert.ok(existsSync(path));
    assert.ok(failure.kind === 'remoteRefused' && failure.isStale);
    assert.match(failureText(failure), /left\.sock again\. .*Remove the file there/);
    assert.equal(seen(forward())?.kind, 'failed');
    rmSync(path);
    apply({ ...plan, forwards: own.map((forward) => ({ ...forward, run: 1 })) });
    await engine.next('listening');
    const { received } = await exchange({ path }, Buffer.from('hi'));
    assert.equal(received.toString(), 'hi');
  });

  it('takes no client of the listener that a stale session still has', async () => {
    const port = await freePort();
    await connectTo([`-R ${port}:${to()}`]);
    await goStale();
    await engine.next('listenRetrying');
    const { accepted } = service;
    // The kernel lets it in; the session that it belongs to stands still.
    const client = connect({ port, host: '127.0.0.1' }).on('error', () => {});
    client.write('lost');
    const gone = new Promise((resolve) => client.once('close', resolve));
    killAll(stale);
    await gone;
    await engine.next('listening');
    assert.equal(service.accepted, accepted);
    await answers(port);
  });
});
