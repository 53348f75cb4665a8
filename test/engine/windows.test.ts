import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createWindowBudget, type ReceiveWindow } from '../../src/engine/windows.js';

const mib = 1024 * 1024;

/** A server that sends what it may, one round trip after the other, to a reader that hands on `pace` bytes in each at most. */
function roundTrips(window: ReceiveWindow, count: number, roundTripMs: number, pace = Infinity) {
  let allowed = window.initial;
  let held = 0;
  let now = 0;
  const sent: number[] = [];
  for (let trip = 0; trip < count; trip++) {
    const bytes = allowed;
    allowed = 0;
    assert.equal(window.received(bytes), true);
    held += bytes;
    sent.push(bytes);
    let left = Math.min(held, pace);
    held -= left;
    // As a socket takes them: in pieces, spread over the round trip.
    const pieces = Math.ceil(left / 65536) || 1;
    for (let piece = 0; piece < pieces; piece++) {
      now += roundTripMs / pieces;
      const some = Math.min(left, 65536);
      left -= some;
      allowed += window.consumed(some, now, roundTripMs);
    }
  }
  return { sent, held };
}

describe('a window', () => {
  it('begins as OpenSSH’s', () => {
    assert.equal(createWindowBudget().open().initial, 2 * mib);
  });

  it('grows while its reader uses up half of it in a round trip, up to 32 MiB', () => {
    const { sent } = roundTrips(createWindowBudget().open(), 30, 100);
    assert.ok(sent[4]! >= 8 * mib, String(sent));
    assert.ok(Math.max(...sent) <= 32 * mib, String(sent));
    assert.ok(sent.at(-1)! > 24 * mib, String(sent));
  });

  it('stays as it is where the way is short, though much is sent', () => {
    const window = createWindowBudget().open();
    let allowed = window.initial;
    // 600 MB/s over 0.3 ms
    for (let now = 0; now < 2000; now += 0.1) {
      const bytes = Math.min(60_000, allowed);
      allowed -= bytes;
      window.received(bytes);
      allowed += window.consumed(bytes, now, 0.3);
    }
    assert.ok(allowed <= 2 * mib);
  });

  it('stays as it is before a round trip was measured', () => {
    const window = createWindowBudget().open();
    let most = 0;
    for (let now = 0; now < 3000; now += 10) {
      window.received(window.initial / 8);
      most = Math.max(most, window.consumed(window.initial / 8, now, undefined));
    }
    assert.equal(most, window.initial / 8);
  });

  it('does not grow for a reader that is slow', () => {
    const { sent, held } = roundTrips(createWindowBudget().open(), 50, 100, 100_000);
    assert.ok(Math.max(...sent) <= 2 * mib);
    assert.ok(held <= 2 * mib);
  });

  it('shrinks for a reader that has become slow, so that less waits for it', () => {
    const window = createWindowBudget().open();
    roundTrips(window, 10, 100);
    let now = 10_000;
    let allowed = 0;
    // 1 MB/s
    for (let second = 0; second < 400; second++) {
      now += 100;
      window.received(100_000);
      allowed += window.consumed(100_000, now, 100) - 100_000;
    }
    assert.ok(allowed < -20 * mib, String(allowed));
  });

  it('takes a tenth more than was allowed, as OpenSSH does, and no byte beyond', () => {
    const window = createWindowBudget().open();
    assert.equal(window.received(window.initial), true);
    assert.equal(window.received(Math.floor(window.initial / 10)), true);
    assert.equal(window.received(1), false);
  });

  it('is not deceived by packets without a byte', () => {
    const window = createWindowBudget().open();
    let received = 0;
    while (received < 4 * mib && window.received(50_000)) {
      received += 50_000;
      window.received(0);
    }
    assert.ok(received < 2.3 * mib, String(received));
  });

  it('never lets a server send more than there is room for, whatever comes and goes', () => {
    const step = fc.record({
      part: fc.double({ min: 0, max: 1, noNaN: true }),
      taken: fc.double({ min: 0, max: 1, noNaN: true }),
      ms: fc.double({ min: 0, max: 500, noNaN: true }),
      roundTripMs: fc.option(fc.double({ min: 0.01, max: 1000, noNaN: true }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const window = createWindowBudget().open();
        let allowed = window.initial;
        let held = 0;
        let now = 0;
        for (const { part, taken, ms, roundTripMs } of steps) {
          now += ms;
          const bytes = Math.floor(allowed * part);
          assert.equal(window.received(bytes), true);
          allowed -= bytes;
          held += bytes;
          const used = Math.floor(held * taken);
          held -= used;
          const more = window.consumed(used, now, roundTripMs);
          assert.ok(Number.isInteger(more) && more >= 0);
          allowed += more;
          assert.ok(allowed + held <= 32 * mib);
        }
        // A reader that has taken all gets more: nothing stalls.
        for (let again = 0; again < 40 && allowed === 0; again++) allowed += window.consumed(0, (now += 100), 100);
        const last = window.consumed(held, now + 1000, 100);
        assert.ok(allowed + last > 0);
      }),
    );
  });
});

describe('the windows of all channels', () => {
  it('begin smaller when there are many, and grow to OpenSSH’s where they are used all the same', () => {
    const budget = createWindowBudget(256 * mib);
    const windows = Array.from({ length: 5000 }, () => budget.open());
    assert.equal(windows[100]!.initial, 2 * mib);
    assert.equal(windows.at(-1)!.initial, 128 * 1024);
    const { sent } = roundTrips(windows.at(-1)!, 10, 100);
    assert.ok(Math.max(...sent) >= 2 * mib, String(sent));
  });

  it('leave something for others, however long those that have grown are idle', () => {
    const budget = createWindowBudget(256 * mib);
    for (let count = 0; count < 40; count++) roundTrips(budget.open(), 30, 100);
    const { sent } = roundTrips(budget.open(), 30, 100);
    assert.ok(Math.max(...sent) >= 2 * mib, String(sent));
  });

  it('get back what the others had', () => {
    const budget = createWindowBudget(256 * mib);
    for (let count = 0; count < 100; count++) {
      const window = budget.open();
      const { held } = roundTrips(window, 30, 100);
      window.close();
      window.consumed(held, 1e6, 100);
    }
    const { sent } = roundTrips(budget.open(), 30, 100);
    assert.equal(Math.max(...sent), 32 * mib);
  });

  it('never are more than there is beyond OpenSSH’s', () => {
    const total = 64 * mib;
    const budget = createWindowBudget(total);
    const most = Array.from({ length: 20 }, () => Math.max(...roundTrips(budget.open(), 30, 100).sent));
    const sum = most.reduce((one, other) => one + Math.max(0, other - 2 * mib), 0);
    assert.ok(sum <= total, `${sum / mib} MiB`);
  });
});
