import assert from 'node:assert/strict';
import { stat } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKeepalive, type KeepaliveOptions } from '../../src/engine/keepalive.js';
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

  it('asks nothing while nothing can be sent, and still notices silence', async () => {
    const { keepalive, asked, dead } = start({ intervalSeconds: 0.2, isFull: () => true });
    keepalive.probe(5);
    await dead;
    assert.deepEqual(asked, []);
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
