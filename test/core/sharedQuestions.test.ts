import assert from 'node:assert/strict';
import { createSharedQuestions } from '../../src/core/sharedQuestions.js';

/** Questions by name, in the order in which they came to the screen; the test answers them. */
function createScreen() {
  const seen: string[] = [];
  const open = new Map<string, { resolve: (answer: string) => void; reject: (error: Error) => void }>();
  const show = (name: string) => () => {
    seen.push(name);
    return new Promise<string>((resolve, reject) => open.set(name, { resolve, reject }));
  };
  return { seen, open, show };
}

describe('a question that several ask', () => {
  it('is on the screen once, and its answer is everybody’s', async () => {
    const { seen, open, show } = createScreen();
    const ask = createSharedQuestions();
    const both = Promise.all([ask('host', show('host')), ask('host', show('host'))]);
    const another = ask('port', show('port'));
    assert.deepEqual(seen, ['host', 'port']);
    open.get('host')!.resolve('web01');
    open.get('port')!.resolve('22');
    assert.deepEqual([await both, await another], [['web01', 'web01'], '22']);
  });

  it('is asked anew once it was answered, and once it could not be asked', async () => {
    const { seen, open, show } = createScreen();
    const ask = createSharedQuestions();
    const first = ask('host', show('host'));
    open.get('host')!.resolve('web01');
    assert.equal(await first, 'web01');
    const second = ask('host', show('host'));
    const beside = ask('host', show('host'));
    open.get('host')!.reject(new Error('no window'));
    await Promise.all([assert.rejects(second, /no window/), assert.rejects(beside, /no window/)]);
    const third = ask('host', show('host'));
    assert.equal(seen.length, 3);
    open.get('host')!.resolve('web02');
    assert.equal(await third, 'web02');
  });
});
