// A machine that slept, or whose clock was set: what counts is the time that really went by.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEngine } from '../../src/engine/reconciler.js';
import { noticedMs, recovery, recoveryBoundMs, useFaultyServer } from '../support/faultBench.js';
import { connectTo, readToEnd } from '../support/targets.js';

describe('a tunnel while the clock jumps', function () {
  this.timeout(60_000);
  const faulty = useFaultyServer({}, createEngine);
  const now = Date.now;
  const hour = 3_600_000;
  const setClock = (offset: number) => (Date.now = () => now() + offset);
  afterEach(() => (Date.now = now));

  for (const [where, offset] of [
    ['forward', hour],
    ['back', -hour],
  ] as const) {
    describe(`an hour ${where}`, () => {
      it('keeps a session that is well', async () => {
        const { bench, id, place } = await faulty.start();
        const socket = await connectTo(place);
        setClock(offset);
        await sleep(noticedMs);
        setClock(0);
        await sleep(1000);
        socket.end('still here');
        assert.equal((await readToEnd(socket)).received.toString(), 'still here');
        assert.deepEqual(
          bench.kinds().filter((kind) => kind.startsWith('connect')),
          ['connecting', 'connected'],
        );
        await bench.agrees({ [id]: place });
      });

      it('comes back none the later from a kill', async () => {
        const { bench, id, place } = await faulty.start();
        faulty.sshd.killSessions();
        await bench.next('connectionLost');
        const since = performance.now();
        setClock(offset);
        const took = await recovery(place, since);
        assert.ok(took < recoveryBoundMs(bench), `it took ${took.toFixed(0)} ms`);
        setClock(0);
        await bench.agrees({ [id]: place });
        assert.equal(bench.state(id).kind, 'ready');
      });

      it('notices a silent peer none the later', async () => {
        const { bench, place, id } = await faulty.startThroughProxy();
        const since = performance.now();
        faulty.proxy.drop();
        setClock(offset);
        await bench.next('connectionLost');
        const noticed = performance.now() - since;
        assert.ok(noticed < noticedMs, `it was noticed after ${noticed.toFixed(0)} ms`);
        faulty.proxy.thaw();
        faulty.proxy.resetAll();
        await recovery(place, performance.now());
        setClock(0);
        await bench.agrees({ [id]: place });
      });
    });
  }
});
