// What befalls the way to a server: after each fault the tunnel comes back, and its row has told the truth.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connectedClient,
  isLong,
  noticedMs,
  recovery,
  recoveryBoundMs,
  useFaultyServer,
} from '../support/faultBench.js';
import { connectTo, readToEnd } from '../support/targets.js';

describe('a tunnel whose line fails', function () {
  this.timeout(60_000);
  const faulty = useFaultyServer();

  const refusedSeconds = isLong ? 60 : 1;

  it(`counts down while the port is refused for ${refusedSeconds} s, and keeps what it promises`, async function () {
    if (isLong) this.timeout(200_000);
    const { bench, id, place } = await faulty.startThroughProxy();
    const start = performance.now();
    // As it is told: whoever waits for the event may hear of it late.
    const waits: number[] = [];
    bench.engine.onEvent((event) => {
      if (event.kind === 'connectionLost') waits.push(event.retryAt - Date.now());
    });
    await faulty.proxy.refuse();
    faulty.proxy.resetAll();
    let losses = 0;
    let promised = 0;
    for (;;) {
      const { attempt, retryAt } = await bench.next('connectionLost', 35_000);
      promised = retryAt - Date.now();
      assert.equal(attempt, ++losses);
      const state = bench.state(id);
      assert.ok(state.kind === 'retrying' && state.attempt === attempt && state.retryAt === retryAt);
      if (performance.now() - start > refusedSeconds * 1000) break;
      assert.equal((await bench.next('connecting', promised + 2000)).attempt, attempt + 1);
      const late = Date.now() - retryAt;
      assert.ok(late >= -5 && late < 1000, `it dialled ${late} ms after the time that it told`);
    }
    // Longer each time, up to its bound; a random part of it is off.
    waits.forEach((wait, index) => {
      const full = Math.min(500 * 2 ** index, 30_000);
      assert.ok(wait > full / 2 - 50 && wait <= full, `wait ${index + 1} was ${wait} ms`);
    });
    await faulty.proxy.accept();
    const took = await recovery(place, performance.now(), promised + 10_000);
    assert.ok(took < promised + recoveryBoundMs(bench), `${took.toFixed(0)} ms, and ${promised} ms were promised`);
    await bench.agrees({ [id]: place });
    assert.equal(bench.state(id).kind, 'ready');
  });

  for (const way of ['both', 'down', 'up'] as const) {
    const what = { both: 'nothing goes through', down: 'nothing comes back', up: 'nothing gets there' }[way];
    it(`notices in time that ${what}, and is back when it does`, async () => {
      const { bench, id, place } = await faulty.startThroughProxy();
      const client = await connectedClient(place);
      const since = performance.now();
      faulty.proxy.drop(way === 'both' ? undefined : way);
      const { failure } = await bench.next('connectionLost');
      const noticed = performance.now() - since;
      assert.ok(failure.kind === 'connectionLost' && failure.reason === 'keepalive');
      assert.ok(noticed < noticedMs, `it was noticed after ${noticed.toFixed(0)} ms`);
      assert.equal((await client.gone).end, 'ECONNRESET');
      await bench.agrees({ [id]: place });
      assert.notEqual(bench.state(id).kind, 'ready');
      faulty.proxy.thaw();
      // Also what dials now: it would wait for an answer up to its ConnectTimeout.
      faulty.proxy.resetAll();
      await recovery(place, performance.now());
      await bench.agrees({ [id]: place });
      assert.equal(bench.state(id).kind, 'ready');
    });
  }

  it('stays up over a pause that is shorter than it may be, and loses nothing', async () => {
    const { bench, id, place } = await faulty.startThroughProxy();
    const socket = await connectTo(place);
    const all = readToEnd(socket);
    bench.skip();
    const before = bench.kinds().length;
    for (let round = 0; round < 2; round++) {
      faulty.proxy.freeze();
      socket.write(`round ${round} `);
      await sleep(900);
      faulty.proxy.thaw();
      await sleep(200);
    }
    socket.end();
    const { received, end } = await all;
    assert.equal(`${received.toString()}, ${end}`, 'round 0 round 1 , end');
    assert.deepEqual(bench.kinds().slice(before), []);
    await bench.agrees({ [id]: place });
  });
});
