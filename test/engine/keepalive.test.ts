import assert from 'node:assert/strict';
import { stat } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKeepalive, type KeepaliveOptions, type Outgoing } from '../../src/engine/keepalive.js';
import { eventually } from '../support/eventually.js';

/** Nothing runs in this thread for so long. */
const stall = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

describe('the keepalive', () => {
  const alive: { end(): void }[] = [];
  afterEach(() => alive.splice(0).forEach((one) => one.end()));
  function start(given: Partial<KeepaliveOptions> = {}) {
    const asked: number[] = [];
    const answers: (() => void)[] = [];
    const begun = performance.now();
    let die = (_ms: number) => {};
    const dead = new Promise<number>((resolve) => (die = resolve));
    const keepalive = createKeepalive({
      intervalSeconds: 0.4,
      count: 3,
      isFull: () => false,
      send(answered) {
        asked.push(performance.now() - begun);
        answers.push(answered);
      },
      onDead: () => die(performance.now() - begun),
      ...given,
    });
    keepalive.start();
    alive.push(keepalive);
    return { keepalive, asked, answers, dead };
  }
  /** After a turn, since mocha has one of its own for a test that waits. */
  const timers = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  };

  it('asks as often as it is told before it gives a server up, each time early enough for an answer', async () => {
    const before = await timers();
    const check = async (count: number) => {
      const { asked, dead } = start({ intervalSeconds: 0.8 / Math.max(count, 1), count });
      const ms = await dead;
      assert.equal(asked.length, Math.max(count, 1));
      const step = 800 / (asked.length + 1);
      for (const [index, at] of asked.entries()) assert.ok(at >= (index + 1) * step - 2, String(asked));
      assert.ok(ms >= 800 && ms < 1800, String(ms));
      assert.ok(ms - asked.at(-1)! > step, String(asked));
    };
    // A count of none is one.
    await Promise.all([0, 1, 2, 5].map(check));
    assert.equal(await timers(), before);
  });

  it('begins anew with each byte', async () => {
    const { keepalive, dead } = start({ intervalSeconds: 0.2, count: 1 });
    let isDead = false;
    void dead.then(() => (isDead = true));
    for (let times = 0; times < 8; times++) {
      await sleep(100);
      keepalive.heard();
    }
    assert.equal(isDead, false);
    await dead;
  });

  it('reads what has come before it gives a server up', async () => {
    const { keepalive, dead } = start({ intervalSeconds: 0.4, count: 1 });
    let isDead = false;
    void dead.then(() => (isDead = true));
    // Due at 650 ms; what is read comes behind the timers.
    await sleep(600);
    stat('.', () => keepalive.heard());
    stall(150);
    await sleep(100);
    assert.equal(isDead, false);
  });

  it('asks once more when this thread has stood still, and gives time for the answer', async () => {
    const { keepalive, asked, answers, dead } = start({ intervalSeconds: 0.6, count: 1 });
    let isDead = false;
    void dead.then(() => (isDead = true));
    await eventually(() => assert.equal(asked.length, 1));
    stall(1200);
    await eventually(() => assert.equal(asked.length, 2));
    assert.equal(answers.length, 2);
    await sleep(150);
    assert.equal(isDead, false);
    keepalive.heard();
    await sleep(500);
    assert.equal(isDead, false);
    assert.ok((await dead) < 4000);
  });

  it('has few questions open at a server that talks and answers none', async () => {
    const { keepalive, asked, answers } = start({ intervalSeconds: 0.05, count: 2 });
    const talk = async () => {
      for (let times = 0; times < 8; times++) {
        await sleep(60);
        keepalive.heard();
        keepalive.ask();
      }
    };
    await talk();
    assert.equal(asked.length, 4);
    answers.forEach((answered) => answered());
    await talk();
    assert.equal(asked.length, 8);
  });

  it('asks once while its question waits behind others, and notices silence as ever', async () => {
    const { keepalive, asked, dead } = start({ intervalSeconds: 0.2, isFull: () => true });
    keepalive.probe(5);
    await dead;
    assert.equal(asked.length, 1);
  });

  describe('on a full line', () => {
    /** It has taken so many bytes of those that it was given. */
    const line = (given = 100_000_000) => {
      const state = { given, taken: 0, refused: 50_000 };
      return { state, options: { isFull: () => true, outgoing: () => ({ ...state }) } };
    };
    const every100Ms = async (times: number, act: () => void) => {
      for (let time = 0; time < times; time++) {
        act();
        await sleep(100);
      }
    };
    const stays = async (dead: Promise<number>, work: Promise<void>) =>
      assert.equal(await Promise.race([dead, work]), undefined);

    it('gives nobody up while bytes leave, by the interval or by a probe, and in time when none leaves any more', async () => {
      const check = async (step: (state: Outgoing) => void, given: Partial<KeepaliveOptions>, within?: number) => {
        const { state, options } = line();
        const { keepalive, dead } = start({ ...options, ...given });
        if (within !== undefined) keepalive.probe(within);
        const begun = performance.now();
        await stays(
          dead,
          every100Ms(25, () => step(state)),
        );
        const stopped = performance.now() - begun;
        const ms = (await dead) - stopped;
        // Seen at most a look before its end; the last question has its grace.
        assert.ok(ms > 250 && ms < 600 + 1000, String(ms));
      };
      const whole = (state: Outgoing) => (state.taken += 5000);
      const part = (state: Outgoing) => (state.refused -= 500);
      await Promise.all([
        check(whole, { intervalSeconds: 0.6, count: 1 }),
        check(part, { intervalSeconds: 0.2, count: 3 }),
        check(whole, { intervalSeconds: 0 }, 0.6),
        check(part, { intervalSeconds: 0 }, 0.6),
      ]);
    });

    it('does not take for a sign of life what a system takes that had room', async () => {
      const { state, options } = line();
      state.refused = 0;
      const { keepalive, dead } = start({ ...options, intervalSeconds: 0 });
      keepalive.probe(0.6);
      const feeding = every100Ms(8, () => (state.taken += 5000));
      assert.ok((await dead) < 1600);
      await feeding;
    });

    it('gives up who takes far more than was written before the question, and never answers it', async () => {
      const { state, options } = line(1_000_000);
      const { dead } = start({ ...options, intervalSeconds: 0.6, count: 1 });
      let isDead = false;
      void dead.then(() => (isDead = true));
      const feeding = every100Ms(40, () => (state.taken += isDead ? 0 : 1_000_000));
      const ms = await dead;
      assert.ok(ms > 900 && ms < 3000, String(ms));
      await feeding;
    });

    it('looks no more when the server is heard', async () => {
      const before = await timers();
      const { keepalive } = start({ ...line().options, intervalSeconds: 0 });
      keepalive.ask();
      assert.equal(await timers(), before + 1);
      await sleep(5);
      keepalive.heard();
      await eventually(async () => assert.equal(await timers(), before));
    });
  });

  it('measures the round trip', async () => {
    const { keepalive, answers } = start();
    assert.equal(keepalive.roundTripMs, undefined);
    keepalive.ask();
    await sleep(100);
    answers[0]!();
    assert.ok(keepalive.roundTripMs! >= 99 && keepalive.roundTripMs! < 1000);
  });

  it('is off with an interval of 0, but for probes, of which the strictest counts', async () => {
    const { keepalive, asked, dead } = start({ intervalSeconds: 0 });
    await sleep(300);
    assert.deepEqual(asked, []);
    keepalive.probe(5);
    keepalive.probe(0.3);
    keepalive.probe(9);
    const ms = await dead;
    assert.ok(ms >= 590 && ms < 1600, String(ms));
  });

  it('forgets a probe at the first byte behind it, and begins the next anew', async () => {
    const before = await timers();
    const { keepalive, dead } = start({ intervalSeconds: 0 });
    keepalive.probe(0.2);
    await sleep(100);
    keepalive.heard();
    await sleep(400);
    keepalive.probe(0.2);
    const ms = await dead;
    assert.ok(ms >= 690, String(ms));
    assert.equal(await timers(), before);
  });

  it('says nothing after its end', async () => {
    const before = await timers();
    const { keepalive, asked, dead } = start({ intervalSeconds: 0.1 });
    keepalive.probe(0.2);
    keepalive.end();
    keepalive.probe(0.1);
    keepalive.ask();
    assert.equal(await timers(), before);
    assert.equal(await Promise.race([dead, sleep(500)]), undefined);
    assert.equal(asked.length, 1);
  });
});
