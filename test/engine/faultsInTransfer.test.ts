// Faults while bytes are under way: what a client was told is the whole is the whole, and what isn't was reset.
import assert from 'node:assert/strict';
import { recovery, recoveryBoundMs, useFaultyServer } from '../support/faultBench.js';
import { allWhole, useStreams } from '../support/streamBench.js';

const megabyte = 1_000_000;

describe('a tunnel that fails in mid-transfer, while keys are exchanged every megabyte', function () {
  this.timeout(60_000);
  const faulty = useFaultyServer({ config: ['RekeyLimit 1M'] });
  const streams = useStreams(faulty);

  for (const [what, fault] of [
    ['a reset', () => faulty.proxy.resetAll()],
    ['an end', () => faulty.proxy.finAll()],
    ['a kill of the session', () => faulty.sshd.killSessions()],
  ] as const)
    it(`takes ${what} for a cut, and carries the whole again soon after`, async () => {
      const { bench, id, place, fourStreams } = await streams.start();
      faulty.proxy.rate(8 * megabyte);
      const cut = fourStreams(10 * megabyte);
      await Promise.all([streams.passed('up', megabyte), streams.passed('down', megabyte)]);
      const since = performance.now();
      fault();
      const { localDown, localUp, remoteDown, remoteUp } = await cut;
      assert.deepEqual([localDown, localUp], Array(2).fill({ kind: 'cut', code: 'ECONNRESET' }));
      // Of these the clients are the server's to end.
      assert.ok(remoteDown.kind !== 'whole' && remoteUp.kind !== 'whole');
      faulty.proxy.rate(Infinity);
      const took = await recovery(place, since);
      assert.ok(took < recoveryBoundMs(bench), `it took ${took.toFixed(0)} ms`);
      await bench.allReady();
      await bench.agrees({ [id]: place });
      assert.deepEqual(await fourStreams(megabyte), allWhole);
      streams.assertNoTargetTruncated();
    });

  it('carries all when nothing fails', async () => {
    const { fourStreams, news } = await streams.start();
    const before = faulty.sshd.log().length;
    assert.deepEqual(await fourStreams(5 * megabyte), allWhole);
    const log = faulty.sshd.log().slice(before);
    const exchanged = log.match(/SSH2_MSG_NEWKEYS sent/g)?.length ?? 0;
    assert.ok(exchanged >= 10, `keys were exchanged ${exchanged} times`);
    assert.deepEqual(news(), []);
  });
});
