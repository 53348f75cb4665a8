import assert from 'node:assert/strict';
import { createTurns } from '../../src/core/turns.js';

/** Inputs by name, with the order in which they were opened and closed. */
function createScreen() {
  const seen: string[] = [];
  const closing = new Map<string, (error?: Error) => void>();
  return {
    seen,
    show: (name: string) => () => {
      seen.push(`${name} opens`);
      return new Promise<string>((resolve, reject) =>
        closing.set(name, (error) => {
          seen.push(`${name} closes`);
          if (error) reject(error);
          else resolve(name);
        }),
      );
    },
    async close(name: string, error?: Error) {
      closing.get(name)?.(error);
      await settle();
    },
  };
}

async function settle(): Promise<void> {
  for (let tick = 0; tick < 20; tick++) await Promise.resolve();
}

describe('turns', () => {
  it('ask one question after the other', async () => {
    const screen = createScreen();
    const turns = createTurns();
    const answers = Promise.all([turns.wait(screen.show('first')), turns.wait(screen.show('second'))]);
    await settle();
    assert.deepEqual(screen.seen, ['first opens']);
    await screen.close('first');
    await screen.close('second');
    assert.deepEqual(screen.seen, ['first opens', 'first closes', 'second opens', 'second closes']);
    assert.deepEqual(await answers, ['first', 'second']);
  });

  it('keep a question back until what the user called for is closed', async () => {
    const screen = createScreen();
    const turns = createTurns();
    void turns.take(screen.show('wizard'));
    void turns.wait(screen.show('question'));
    await settle();
    void turns.take(screen.show('rename'));
    await screen.close('wizard');
    assert.deepEqual(screen.seen, ['wizard opens', 'rename opens', 'wizard closes']);
    await screen.close('rename');
    assert.deepEqual(screen.seen.slice(3), ['rename closes', 'question opens']);
  });

  it('show what the user calls for at once, also over a question', async () => {
    const screen = createScreen();
    const turns = createTurns();
    void turns.wait(screen.show('question'));
    await settle();
    assert.equal(await Promise.race([turns.take(() => Promise.resolve('at once')), settle()]), 'at once');
  });

  it('go on after an input that failed', async () => {
    const screen = createScreen();
    const turns = createTurns();
    const taken = assert.rejects(turns.take(screen.show('wizard')), /gone/);
    const waited = assert.rejects(turns.wait(screen.show('first')), /gone too/);
    void turns.wait(screen.show('second'));
    await screen.close('wizard', new Error('gone'));
    await screen.close('first', new Error('gone too'));
    await Promise.all([taken, waited]);
    assert.equal(screen.seen.at(-1), 'second opens');
  });
});
