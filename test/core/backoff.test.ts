import assert from 'node:assert/strict';
import fc from 'fast-check';
import { attemptAfter, backoff } from '../../src/core/backoff.js';

describe('backoff', () => {
  const attempts = fc.integer({ min: 1, max: 100_000 });
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it('waits between a quarter of a second and half a minute, in whole milliseconds', () =>
    fc.assert(
      fc.property(attempts, random, (attempt, random) => {
        const wait = backoff(attempt, random);
        assert.ok(Number.isInteger(wait) && wait >= 250 && wait <= 30_000, `${wait}`);
      }),
    ));

  it('never waits less after more attempts', () =>
    fc.assert(
      fc.property(attempts, random, (attempt, random) =>
        assert.ok(backoff(attempt + 1, random) >= backoff(attempt, random)),
      ),
    ));

  it('doubles from half a second up to half a minute, of which a random half is taken off', () => {
    const almostOne = 1 - Number.EPSILON / 2;
    const attempts = [1, 2, 3, 4, 5, 6, 7, 8, 1000];
    assert.deepEqual(
      attempts.map((attempt) => backoff(attempt, almostOne)),
      [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
    );
    assert.deepEqual(
      attempts.map((attempt) => backoff(attempt, 0)),
      [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000],
    );
    assert.equal(backoff(1, 0.5), 375);
  });

  it('begins anew only behind a connection that held for half a minute', () => {
    assert.deepEqual([attemptAfter(1, 0), attemptAfter(7, 29_999), attemptAfter(7, 30_000)], [1, 7, 1]);
  });
});
