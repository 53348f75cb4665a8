// A network that loses packets between two machines. What it leads to is reached by Unix sockets, which both have.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createEngine } from '../../src/engine/reconciler.js';
import { download, startCheckedService, upload } from '../support/checkedStreams.js';
import { planned } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import {
  connectedClient,
  isLong,
  keepaliveLines,
  noticedMs,
  recovery,
  recoveryBoundMs,
  startBench,
  startLeakCheck,
  type FaultBench,
  type LeakCheck,
} from '../support/faultBench.js';
import { startFaultyNetwork, whyNoFaultyNetwork, type FaultyNetwork } from '../support/faultyNetwork.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { echo, startTarget, type Place, type Target } from '../support/targets.js';

const whyNot = whyNoFaultyNetwork();

(whyNot === undefined ? describe : describe.skip)(
  `a tunnel whose network fails${whyNot ? ` (skipped: ${whyNot})` : ''}`,
  function () {
    this.timeout(isLong ? 150_000 : 60_000);
    let leaks: LeakCheck;
    let network: FaultyNetwork;
    let sshd: Sshd;
    let service: Target;
    let checked: Awaited<ReturnType<typeof startCheckedService>>;
    let bench: FaultBench | undefined;

    before(async () => {
      leaks = await startLeakCheck();
      network = await startFaultyNetwork();
      sshd = await startSshd({ machine: network.machine });
      service = await startTarget(echo, { path: join(sshd.folder, 'echo.sock') });
      checked = await startCheckedService({ path: join(sshd.folder, 'checked.sock') });
    });
    afterEach(async () => {
      network.heal();
      await bench?.close();
      bench = undefined;
      // What never heard that nobody is there any more would wait for long.
      sshd.killSessions();
      await eventually(() => assert.deepEqual(sshd.sessions(), []));
      await eventually(() => assert.equal(service.sockets.size + checked.sockets.size, 0));
    });
    after(async () => {
      await service.close();
      await checked.close();
      await sshd.stop();
      await network.close();
      await leaks.done();
    });

    const start = async (lines: readonly string[] = []) => {
      const [one, two] = [await freePort(), await freePort()];
      const [id, toChecked] = [
        `-L ${one}:${join(sshd.folder, 'echo.sock')}`,
        `-L ${two}:${join(sshd.folder, 'checked.sock')}`,
      ];
      const configFile = sshd.configPath('far', [...lines, ...keepaliveLines, 'ConnectTimeout 2']);
      bench = await startBench(createEngine(), [planned('far', [id, toChecked], { configFile })]);
      const at = (port: number): Place => ({ host: '127.0.0.1', port });
      return { bench, id, place: at(one), streams: at(two), streamsId: toChecked };
    };
    const noticedIn = async (bench: FaultBench, fault: () => void) => {
      const since = performance.now();
      fault();
      const { failure } = await bench.next('connectionLost');
      return { failure, noticed: performance.now() - since };
    };
    /** A dial that began while nothing went through ends at its ConnectTimeout; then comes the wait that was told. */
    const healedBoundMs = (bench: FaultBench) => {
      const seen = bench.events.findLast((event) => event.kind === 'connectionLost');
      return (seen ? Math.max(seen.retryAt - Date.now(), 0) : 0) + 2000 + 4000 + recoveryBoundMs(bench);
    };
    const silentSeconds = isLong ? 30 : 4;

    it(`notices that all packets are dropped, says so for ${silentSeconds} s, and is back when they pass`, async () => {
      const { bench, id, place } = await start();
      const client = await connectedClient(place);
      const since = performance.now();
      const { failure, noticed } = await noticedIn(bench, () => network.dropAll());
      assert.ok(failure.kind === 'connectionLost' && failure.reason === 'keepalive');
      assert.ok(noticed < noticedMs, `it was noticed after ${noticed.toFixed(0)} ms`);
      assert.equal((await client.gone).end, 'ECONNRESET');
      const { failure: next } = await bench.next('connectionLost');
      assert.equal(next.kind, 'connectTimeout');
      await eventually(() => assert.ok(performance.now() - since > silentSeconds * 1000), 40_000);
      await bench.agrees({ [id]: place });
      assert.notEqual(bench.state(id).kind, 'ready');
      const bound = healedBoundMs(bench);
      network.heal();
      const took = await recovery(place, performance.now(), 40_000);
      assert.ok(took < bound, `it took ${took.toFixed(0)} ms of ${bound.toFixed(0)}`);
      await bench.agrees({ [id]: place });
      assert.equal(bench.state(id).kind, 'ready');
    });

    it('carries every byte over a line that loses 30 % of its packets', async () => {
      const { bench, id, place, streams } = await start(['ServerAliveCountMax 30']);
      const before = bench.kinds().length;
      network.lose(30, 'down');
      const ends = await Promise.all(
        Array.from({ length: 6 }, (_, index) => (index % 2 ? upload : download)(streams, `lossy${index}`, 500_000)),
      );
      assert.deepEqual(
        ends.map(({ kind }) => kind),
        Array(6).fill('whole'),
      );
      assert.deepEqual(
        bench
          .kinds()
          .slice(before)
          .filter((kind) => kind !== 'channelOpened'),
        [],
      );
      await bench.agrees({ [id]: place });
    });

    it('comes up again over such a line', async () => {
      const { bench, id, place } = await start(['ServerAliveCountMax 30', 'ConnectTimeout 15']);
      network.lose(30, 'up');
      sshd.killSessions();
      await bench.next('connectionLost');
      await recovery(place, performance.now(), 40_000);
      await bench.agrees({ [id]: place }, 30_000);
      assert.equal(bench.state(id).kind, 'ready');
    });

    it('is reset in mid-transfer by a machine that knows it no more, and is back when that listens', async () => {
      const { bench, id, place, streams, streamsId } = await start();
      const going = download(streams, 'rejected', 200_000_000);
      await eventually(async () => {
        const [client] = await bench.engine.clients(streamsId);
        assert.ok(client && client.received > 1_000_000);
      });
      const { failure, noticed } = await noticedIn(bench, () => network.rejectAll());
      // Which of the two Node does not always know (test/support/trueEnd.ts).
      assert.ok(failure.kind === 'connectionLost' && ['reset', 'closed'].includes(failure.reason));
      assert.ok(noticed < 1000, `it was noticed after ${noticed.toFixed(0)} ms`);
      assert.deepEqual(await going, { kind: 'cut', code: 'ECONNRESET' });
      const { failure: next } = await bench.next('connectionLost');
      assert.ok(next.kind === 'connectFailed' && next.code === 'ECONNREFUSED');
      await bench.agrees({ [id]: place });
      network.heal();
      await recovery(place, performance.now());
      await bench.agrees({ [id]: place });
      assert.equal(bench.state(id).kind, 'ready');
    });

    it('comes back when this machine had lost its address, and has it again', async () => {
      const { bench, id, place } = await start();
      network.address('down');
      try {
        const { noticed } = await noticedIn(bench, () => {});
        assert.ok(noticed < noticedMs, `it was noticed after ${noticed.toFixed(0)} ms`);
        await bench.agrees({ [id]: place });
        assert.notEqual(bench.state(id).kind, 'ready');
      } finally {
        network.address('up');
      }
      await recovery(place, performance.now(), 20_000);
      await bench.agrees({ [id]: place });
      assert.equal(bench.state(id).kind, 'ready');
    });
  },
);
