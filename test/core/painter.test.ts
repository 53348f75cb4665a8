import assert from 'node:assert/strict';
import { createPainter } from '../../src/core/painter.js';

/** A page whose rows are read when the test says so. */
function createPage() {
  const shown: string[] = [];
  const reading: { row: string; done: (failure?: Error) => void }[] = [];
  const paints: (() => void)[] = [];
  const page = { row: 'a', isSeen: true };
  const ask = createPainter({
    isSeen: () => page.isSeen,
    row: () => page.row,
    read: (row: string) =>
      new Promise<string>((resolve, reject) =>
        reading.push({ row, done: (failure) => (failure ? reject(failure) : resolve(`what ${row} is`)) }),
      ),
    show: (text) => Promise.resolve(void shown.push(text)),
    later: (paint) => void paints.push(paint),
  });
  return {
    page,
    shown,
    ask,
    /** How many paints wait for their time. */
    waiting: () => paints.length,
    /** The time of the next paint has come: gives the row that it reads. */
    begin(): string | undefined {
      paints.shift()?.();
      return reading.at(-1)?.row;
    },
    async end(failure?: Error): Promise<void> {
      reading.pop()!.done(failure);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('a page that is painted', () => {
  it('is painted once, whoever asks before its time', async () => {
    const { ask, begin, end, shown, waiting } = createPage();
    ask();
    ask();
    assert.equal(waiting(), 1);
    assert.equal(begin(), 'a');
    await end();
    assert.deepEqual([shown, waiting()], [['what a is'], 0]);
  });

  it('shows the row that is asked for, and not the one that was read meanwhile', async () => {
    const { page, ask, begin, end, shown, waiting } = createPage();
    ask();
    begin();
    page.row = 'b';
    ask();
    await end();
    assert.deepEqual([shown, waiting()], [[], 1]);
    assert.equal(begin(), 'b');
    await end();
    assert.deepEqual(shown, ['what b is']);
  });

  it('is painted again, once, after what was asked for while it was painted', async () => {
    const { ask, begin, end, shown, waiting } = createPage();
    ask();
    begin();
    ask();
    ask();
    assert.equal(waiting(), 0, 'two are painted at once');
    await end();
    assert.equal(waiting(), 1);
    begin();
    await end();
    assert.deepEqual([shown.length, waiting()], [2, 0]);
  });

  it('is painted the next time, and at once where that was asked for, when it could not be read', async () => {
    const { ask, begin, end, shown, waiting } = createPage();
    ask();
    begin();
    await end(new Error('the engine has ended'));
    assert.deepEqual([shown, waiting()], [[], 0]);
    ask();
    begin();
    ask();
    await end(new Error('the engine has ended'));
    begin();
    await end();
    assert.deepEqual(shown, ['what a is']);
  });

  it('is left alone while nobody sees it', async () => {
    const { page, ask, begin, end, shown, waiting } = createPage();
    ask();
    begin();
    page.isSeen = false;
    ask();
    await end();
    ask();
    assert.deepEqual([shown, waiting()], [[], 0]);
    page.isSeen = true;
    ask();
    begin();
    await end();
    assert.deepEqual(shown, ['what a is']);
  });
});
