import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PlannedConnection } from '../../src/core/plan.js';
import { heldBeyond, heldResources, planned } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { connectTo, echo, exchange, readToEnd, startTarget, type Target } from '../support/targets.js';
import {
  forkWindow,
  gapDuring,
  isElsewhere,
  isOpen,
  listens,
  openWindow,
  rest,
  seen,
  want,
  type DistantWindow,
} from '../support/tunnelWindow.js';

describe('windows in processes of their own that want the same tunnel', () => {
  let sshd: Sshd;
  let config: string;
  let service: Target;
  let heldBefore: string[];
  /** Those that live on are used again. */
  const distant: DistantWindow[] = [];
  const distantFolder = mkdtempSync(join(tmpdir(), 'windows-'));

  before(async () => {
    heldBefore = heldResources();
    [sshd, service] = await Promise.all([startSshd(), startTarget(echo)]);
    config = sshd.configPath('web01');
    distant.push(...(await Promise.all([1, 2].map(() => forkWindow(distantFolder)))));
  });
  after(async () => {
    // One that a test has left frozen would not close.
    for (const { process } of distant) process.kill('SIGCONT');
    await Promise.all(distant.map((window) => window.close()));
    assert.deepEqual(readdirSync(distantFolder), []);
    rmSync(distantFolder, { recursive: true });
    await service.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const web01 = (ports: readonly number[], more: Partial<PlannedConnection> = {}) =>
    planned(
      'web01',
      ports.map((port) => `-L ${port}:127.0.0.1:${service.port}`),
      { configFile: config, ...more },
    );

  it('take over when the one that has it is killed', async () => {
    const port = await freePort();
    const [first, second] = distant as [DistantWindow, DistantWindow];
    want(first, web01([port]));
    await listens(first);
    want(second, web01([port]));
    await isElsewhere(second);
    const gap = await gapDuring(port, async () => {
      first.process.kill('SIGKILL');
      await listens(second);
    });
    assert.ok(gap < 2000, `nobody answered for ${gap} ms`);
    await rest(second);
    distant[0] = await forkWindow(distantFolder);
  });

  it('have one winner when two start at the same instant', async () => {
    const port = await freePort();
    const [first, second] = distant as [DistantWindow, DistantWindow];
    for (let round = 0; round < 20; round++) {
      want(first, web01([port], { run: round }));
      want(second, web01([port], { run: round }));
      await eventually(() => {
        const kinds = [first, second].map((window) => seen(window)?.kind);
        assert.deepEqual(kinds.sort(), ['elsewhere', 'listening']);
      });
      await Promise.all([rest(first), rest(second)]);
      for (const { events } of [first, second]) {
        assert.ok(!events.some(({ kind }) => kind === 'listenFailed'));
        events.length = 0;
      }
    }
  });

  it('take over a Unix socket that one has left behind that was killed', async () => {
    const path = join(sshd.folder, 'forward.sock');
    const connection = planned('web01', [`-L ${path}:127.0.0.1:${service.port}`], { configFile: config });
    const [first, second] = distant as [DistantWindow, DistantWindow];
    want(first, connection);
    await listens(first);
    want(second, connection);
    await isElsewhere(second);
    first.process.kill('SIGKILL');
    await listens(second);
    assert.equal((await exchange({ path }, Buffer.from('hi'))).received.toString(), 'hi');
    assert.ok(!second.events.some(({ kind }) => kind === 'listenFailed'));
    await rest(second);
    distant[0] = await forkWindow(distantFolder);
  });

  it('keep the clients of what was taken over at a second try, when it is retried by hand or stopped in peace', async () => {
    const path = join(sshd.folder, 'kept.sock');
    const connection = planned('web01', [`-L ${path}:127.0.0.1:${service.port}`], { configFile: config });
    const [first, second] = distant as [DistantWindow, DistantWindow];
    want(first, connection);
    await listens(first);
    want(second, connection);
    await isElsewhere(second);
    first.process.kill('SIGKILL');
    await listens(second);
    const client = await connectTo({ path });
    client.write('a');
    await once(client, 'data');
    const before = second.events.length;
    const retried = { ...connection, retry: 1 };
    want(second, retried);
    const forwards = connection.forwards.map((forward) => ({ ...forward, wish: 'drain' as const }));
    want(second, { ...retried, forwards });
    await eventually(() => assert.equal(seen(second), undefined));
    client.end('b');
    assert.deepEqual((await readToEnd(client)).received.toString(), 'b');
    await second.next('drained');
    const kinds = second.events.slice(before).map(({ kind }) => kind);
    assert.deepEqual(
      kinds.filter((kind) => kind !== 'logged'),
      ['forwardClosed', 'drained'],
    );
    await rest(second);
    distant[0] = await forkWindow(distantFolder);
  });

  it('try all again with ExitOnForwardFailure while something is still held', async () => {
    const path = join(sshd.folder, 'exit.sock');
    const own = await freePort();
    const lines = [`-L ${path}:127.0.0.1:${service.port}`, `-L ${own}:127.0.0.1:${service.port}`];
    const { host, ...more } = planned('web01', lines, { configFile: config });
    const connection = { ...more, host: { ...host, options: [['ExitOnForwardFailure', 'yes']] as const } };
    const [first, second] = distant as [DistantWindow, DistantWindow];
    want(first, connection);
    await eventually(async () => assert.ok(await isOpen(own)));
    await listens(first);
    want(second, connection);
    await isElsewhere(second);
    first.process.kill('SIGKILL');
    await listens(second);
    await eventually(async () => assert.ok(await isOpen(own)));
    assert.equal((await exchange({ path }, Buffer.from('hi'))).received.toString(), 'hi');
    assert.ok(!second.events.some(({ kind }) => kind === 'listenFailed' || kind === 'connectionFailed'));
    await rest(second);
    distant[0] = await forkWindow(distantFolder);
  });

  it('ask the server first for the port that it has allocated to the one that is killed', async () => {
    const connection = planned('web01', [`-R 0:127.0.0.1:${service.port}`], { configFile: config });
    const [first, second] = distant as [DistantWindow, DistantWindow];
    want(first, connection);
    await listens(first);
    want(second, connection);
    await isElsewhere(second);
    const boundIn = (window: DistantWindow) => {
      const forward = seen(window);
      return forward?.kind === 'listening' ? forward.bound : [];
    };
    first.process.kill('SIGKILL');
    await listens(second);
    assert.deepEqual(boundIn(second), boundIn(first));
    await rest(second);
    distant[0] = await forkWindow(distantFolder);
  });

  it('take over a remote forward from one that is killed, beside a connection of their own', async () => {
    const [first, second] = distant as [DistantWindow, DistantWindow];
    const [port, own] = [await freePort(), await freePort()];
    const remote = planned('web01', [`-R ${port}:127.0.0.1:${service.port}`], { configFile: config });
    const both = { ...remote, forwards: [...remote.forwards, ...web01([own]).forwards] };
    want(first, remote);
    await listens(first);
    want(second, both);
    await eventually(async () => assert.ok(await isOpen(own)));
    await isElsewhere(second);
    const gap = await gapDuring(port, async () => {
      first.process.kill('SIGKILL');
      await listens(second);
    });
    assert.ok(gap < 2000, `nobody answered for ${gap} ms`);
    assert.ok(!second.events.some(({ kind }) => kind === 'listenFailed'));
    await rest(second);
    distant[0] = await forkWindow(distantFolder);
  });

  it('know of one that is frozen, and go on when it goes on', async () => {
    const port = await freePort();
    const [first, second] = distant as [DistantWindow, DistantWindow];
    want(first, web01([port]));
    await listens(first);
    first.process.kill('SIGSTOP');
    want(second, web01([port]));
    await isElsewhere(second, 'connecting');
    first.process.kill('SIGCONT');
    await isElsewhere(second);
    // It was ready, and is no longer to be believed.
    first.process.kill('SIGSTOP');
    await isElsewhere(second, 'connecting');
    first.process.kill('SIGCONT');
    await isElsewhere(second);
    // One that waits and is frozen keeps nobody.
    second.process.kill('SIGSTOP');
    const begun = performance.now();
    await rest(first);
    assert.ok(performance.now() - begun < 2000);
    second.process.kill('SIGCONT');
    await listens(second);
    await rest(second);
  });

  it('clean up after those that were killed, whatever they had', async () => {
    const one = await forkWindow(distantFolder);
    const port = await freePort();
    want(one, web01([port]));
    await listens(one);
    const left = readdirSync(distantFolder);
    assert.equal(left.length, 1);
    one.process.kill('SIGKILL');
    await once(one.process, 'exit');
    assert.deepEqual(readdirSync(distantFolder), left);
    const other = openWindow(distantFolder);
    const free = await freePort();
    want(other, web01([free]));
    await other.next('listening');
    await eventually(() => assert.ok(!readdirSync(distantFolder).includes(left[0]!)));
    await other.close();
  });
});
