import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogLevel } from '../../src/core/engine.js';
import { fold, isFolding, nothingFolded, unfold, type Folding, type Logged } from '../../src/core/logFolding.js';

const line = (text: string, at: number, level: LogLevel = 'warning'): Logged => ({ at, level, text });

/** All that is written of the lines, with what is counted at the end. */
function written(lines: readonly Logged[]): string[] {
  let folding: Folding = nothingFolded;
  const all: Logged[] = [];
  for (const one of lines) {
    const next = fold(folding, one);
    folding = next.folding;
    all.push(...next.write);
  }
  return [...all, ...unfold(folding, lines.at(-1)?.at ?? 0)].map(({ at, level, text }) => `${at} ${level} ${text}`);
}

describe('the folding of log lines', () => {
  it('writes what is told once, at once', () => {
    const { folding, write } = fold(nothingFolded, line('refused', 5000));
    assert.deepEqual(write, [line('refused', 5000)]);
    assert.equal(isFolding(folding), false);
  });

  it('writes a thousand equal lines of a second as one, with their number', () => {
    const lines = Array.from({ length: 1000 }, (_, index) => line('refused', 5000 + index / 2));
    assert.deepEqual(written(lines), ['5000 warning refused', '5499.5 warning refused (999 more within a second)']);
  });

  it('folds those that come by turns, too', () => {
    const lines = Array.from({ length: 10 }, (_, index) => line(index % 2 ? 'b' : 'a', 5000));
    assert.deepEqual(written(lines), [
      '5000 warning a',
      '5000 warning b',
      '5000 warning a (4 more within a second)',
      '5000 warning b (4 more within a second)',
    ]);
  });

  it('writes a line again in the next second, and before it what was counted', () => {
    assert.deepEqual(written([line('a', 5000), line('a', 5999), line('a', 6000)]), [
      '5000 warning a',
      '6000 warning a (1 more within a second)',
      '6000 warning a',
    ]);
  });

  it('counts what differs after 200 lines of a level, and leaves the other levels alone', () => {
    const lines = Array.from({ length: 1000 }, (_, index) => line(`client ${index}`, 5000));
    const all = written([...lines, line('failed', 5000, 'error')]);
    assert.equal(all.length, 202);
    assert.deepEqual(all.slice(-2), ['5000 error failed', '5000 warning 800 more lines within a second are left out']);
  });

  it('goes on when the clock was set back', () => {
    assert.deepEqual(written([line('a', 900_000), line('a', 5000)]), ['900000 warning a', '5000 warning a']);
  });

  it('keeps account of every line', () => {
    const text = fc.constantFrom('a', 'b', 'c');
    const step = fc.record({ text, after: fc.nat(700), level: fc.constantFrom<LogLevel>('info', 'warning') });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        let at = 10_000;
        const lines = steps.map(({ text, after, level }) => line(text, (at += after), level));
        const sum = written(lines).reduce((sum, one) => sum + Number(/\((\d+) more/.exec(one)?.[1] ?? 1), 0);
        assert.equal(sum, lines.length);
      }),
    );
  });
});
