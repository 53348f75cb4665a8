// A line that is long, and one that is cut again and again, under many streams.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { download, upload } from '../support/checkedStreams.js';
import { recovery, recoveryBoundMs, useFaultyServer } from '../support/faultBench.js';
import { allWhole, useStreams } from '../support/streamBench.js';

describe('a tunnel on a bad day', function () {
  this.timeout(60_000);
  const faulty = useFaultyServer();
  const streams = useStreams(faulty);

  it('carries all over a line of 600 ms, is not given up there, and comes back after a kill', async () => {
    const { bench, id, place, fourStreams, news } = await streams.start();
    faulty.proxy.delay(300);
    assert.deepEqual(await fourStreams(1_000_000), allWhole);
    assert.deepEqual(news(), []);
    const since = performance.now();
    faulty.sshd.killSessions();
    const took = await recovery(place, since);
    // A dial takes some round trips, and so does a client.
    assert.ok(took < recoveryBoundMs(bench) + 12 * 600, `it took ${took.toFixed(0)} ms`);
    await bench.agrees({ [id]: place });
  });

  it('survives 20 drops under 50 streams: each is carried whole in the end, and none was called so before', async () => {
    const { bench, id, place, local, remote, retryNow, fourStreams } = await streams.start();
    faulty.proxy.rate(8_000_000);
    const faults = [() => faulty.proxy.resetAll(), () => faulty.proxy.finAll(), () => faulty.sshd.killSessions()];
    const drops = 20;
    let dropped = 0;
    let cuts = 0;
    let isOver = false;
    /** Streams one after the other, each until it has come whole, as long as there are drops and once more. */
    const client = async (index: number) => {
      const isRemote = index % 5 === 4;
      const go = index % 2 === 0 ? download : upload;
      for (let isLast = false; !isLast;) {
        isLast = dropped === drops;
        const name = streams.streamName(isRemote);
        while (!isOver) {
          const { kind } = await go(isRemote ? remote : local, name, 100_000);
          if (kind === 'whole') break;
          if (!isRemote) assert.equal(kind, 'cut', `${name} was ended in order before its time`);
          cuts++;
          await sleep(20);
        }
        if (go === upload && !isOver) assert.ok(streams.checked.whole.has(name), `${name} was called whole, and isn’t`);
      }
    };
    const clients = Promise.all(Array.from({ length: 50 }, (_, index) => client(index)));
    const dropAll = async () => {
      for (; dropped < drops; dropped++) {
        await streams.passed('up', 100_000);
        faults[dropped % faults.length]!();
        await bench.next('connectionLost');
        retryNow();
        await bench.next('connected');
      }
    };
    try {
      await Promise.all([clients, dropAll()]);
    } finally {
      isOver = true;
    }
    assert.ok(cuts > drops, `${cuts} streams were cut`);
    streams.assertNoTargetTruncated();
    await bench.allReady();
    await bench.agrees({ [id]: place });
    assert.deepEqual(await fourStreams(1_000_000), allWhole);
  });
});
