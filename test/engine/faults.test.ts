// What befalls a server: after each fault the tunnel comes back, and its row has told the truth.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { innermost } from '../../src/core/failure.js';
import { planned } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import {
  connectedClient,
  createDeafEngine,
  endServer,
  keepaliveLines,
  noticedMs,
  recovery,
  recoveryBoundMs,
  startBench,
  useFaultyServer,
} from '../support/faultBench.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';

describe('a tunnel whose server fails', function () {
  this.timeout(60_000);
  const faulty = useFaultyServer();

  it('is back within two seconds of its session’s kill -9, and resets who was connected', async () => {
    const { bench, id, place } = await faulty.start();
    const client = await connectedClient(place);
    const killed = performance.now();
    faulty.sshd.killSessions();
    const { failure, attempt } = await bench.next('connectionLost');
    assert.equal(failure.kind, 'connectionLost');
    assert.equal(attempt, 1);
    assert.equal((await client.gone).end, 'ECONNRESET');
    const took = await recovery(place, killed);
    assert.ok(took < recoveryBoundMs(bench), `it took ${took.toFixed(0)} ms`);
    await bench.agrees({ [id]: place });
    assert.equal(bench.state(id).kind, 'ready');
  });

  it('is back soon each time that it is killed again, for who waits', async () => {
    const { bench, id, place } = await faulty.start();
    const took: number[] = [];
    for (let kill = 0; kill < 6; kill++) {
      const killed = performance.now();
      faulty.sshd.killSessions();
      await bench.next('connectionLost');
      took.push(Math.round(await recovery(place, killed)));
    }
    // A server that hangs up again and again is called less often, but while somebody waits within a second.
    assert.ok(Math.max(...took) < recoveryBoundMs(bench), `they took ${took.join(', ')} ms`);
    await bench.agrees({ [id]: place });
    assert.equal(bench.state(id).kind, 'ready');
  });

  it('notices a session that was stopped, and comes back beside it', async () => {
    const { bench, id, place } = await faulty.start();
    const client = await connectedClient(place);
    const pids = await faulty.sshd.settledSessions();
    const since = performance.now();
    faulty.freeze(pids);
    const { failure } = await bench.next('connectionLost');
    const noticed = performance.now() - since;
    assert.ok(failure.kind === 'connectionLost' && failure.reason === 'keepalive');
    assert.ok(noticed < noticedMs, `it was noticed after ${noticed.toFixed(0)} ms`);
    assert.equal((await client.gone).end, 'ECONNRESET');
    const took = await recovery(place, since + noticed);
    assert.ok(took < recoveryBoundMs(bench), `it took ${took.toFixed(0)} ms`);
    await bench.agrees({ [id]: place });
    // Woken, it finds that nobody is there any more.
    faulty.thaw();
    await eventually(() => assert.ok(pids.every((pid) => !faulty.sshd.sessions().includes(pid))));
    await bench.agrees({ [id]: place });
    assert.equal(bench.state(id).kind, 'ready');
  });

  it('comes back when the whole server was restarted', async () => {
    const { bench, id, place } = await faulty.start();
    await endServer(faulty.sshd);
    await bench.next('connectionLost');
    const { failure } = await bench.next('connectionLost');
    assert.ok(failure.kind === 'connectFailed' && failure.code === 'ECONNREFUSED');
    await bench.agrees({ [id]: place });
    assert.notEqual(bench.state(id).kind, 'ready');
    await faulty.sshd.start();
    await recovery(place, performance.now());
    await bench.agrees({ [id]: place });
    assert.equal(bench.state(id).kind, 'ready');
  });

  describe('behind two jump hosts', () => {
    let bastion: Sshd;
    let middle: Sshd;
    before(async () => {
      [bastion, middle] = await Promise.all([startSshd(), startSshd()]);
      for (const server of [bastion, middle]) faulty.alsoServer(server);
    });

    const startBehind = async () => {
      const block = (alias: string, host: Sshd, ...lines: string[]) =>
        readFileSync(host.configPath(alias, [...lines, ...keepaliveLines]), 'utf8');
      const configFile = join(faulty.sshd.folder, 'config_hops');
      writeFileSync(
        configFile,
        [
          block('db01', faulty.sshd, 'ProxyJump middle'),
          block('middle', middle, 'ProxyJump bastion'),
          block('bastion', bastion),
        ].join('\n'),
        { mode: 0o600 },
      );
      const port = await freePort();
      const id = `-L ${port}:127.0.0.1:${faulty.service.port}`;
      const bench = faulty.owns(await startBench(createDeafEngine(), [planned('db01', [id], { configFile })]));
      return { bench, id, place: { host: '127.0.0.1', port } };
    };

    it('is back soon when the session of the middle one is killed', async () => {
      const { bench, id, place } = await startBehind();
      const client = await connectedClient(place);
      const killed = performance.now();
      middle.killSessions();
      const { failure } = await bench.next('connectionLost');
      assert.ok(failure.kind === 'hop' && failure.hop === 'middle' && failure.failure.kind === 'connectionLost');
      assert.equal((await client.gone).end, 'ECONNRESET');
      const took = await recovery(place, killed);
      assert.ok(took < recoveryBoundMs(bench), `it took ${took.toFixed(0)} ms`);
      await bench.agrees({ [id]: place });
      assert.equal(bench.state(id).kind, 'ready');
    });

    it('says that the middle one is down, and is back when it is', async () => {
      const { bench, id, place } = await startBehind();
      await endServer(middle);
      await bench.next('connectionLost');
      const { failure } = await bench.next('connectionLost');
      assert.ok(failure.kind === 'hop' && failure.hop === 'middle', JSON.stringify(failure));
      assert.equal(innermost(failure).kind, 'hopRefused');
      await bench.agrees({ [id]: place });
      assert.notEqual(bench.state(id).kind, 'ready');
      await middle.start();
      await recovery(place, performance.now());
      await bench.agrees({ [id]: place });
      assert.equal(bench.state(id).kind, 'ready');
    });

    it('notices that the middle one was stopped, and comes back beside it', async () => {
      const { bench, id, place } = await startBehind();
      const pids = await middle.settledSessions();
      const since = performance.now();
      faulty.freeze(pids);
      const { failure } = await bench.next('connectionLost');
      const noticed = performance.now() - since;
      assert.ok(noticed < noticedMs, `it was noticed after ${noticed.toFixed(0)} ms`);
      assert.equal(innermost(failure).kind, 'connectionLost');
      const took = await recovery(place, since + noticed);
      assert.ok(took < recoveryBoundMs(bench), `it took ${took.toFixed(0)} ms`);
      await bench.agrees({ [id]: place });
      assert.equal(bench.state(id).kind, 'ready');
    });
  });
});
