import assert from 'node:assert/strict';
import { createEnding } from '../../src/engine/ending.js';

describe('an end', () => {
  const turn = () => new Promise((next) => setImmediate(next));

  it('is heard once by all that ask before, and only the first counts', () => {
    const ending = createEnding<string>();
    const heard: string[] = [];
    ending.onEnd((end) => heard.push(`one ${end}`));
    ending.onEnd((end) => heard.push(`two ${end}`));
    ending.end('a');
    ending.end('b');
    assert.deepEqual(heard, ['one a', 'two a']);
  });

  it('is heard once by one that asks too late, a little later, also when there was nothing to tell', async () => {
    const ending = createEnding<string | undefined>();
    const heard: (string | undefined)[] = [];
    ending.end(undefined);
    ending.onEnd((end) => heard.push(end));
    assert.deepEqual(heard, []);
    await turn();
    ending.end('again');
    await turn();
    assert.deepEqual(heard, [undefined]);
  });

  it('is not heard by one that wants it no more', async () => {
    const ending = createEnding<string>();
    ending.onEnd(() => assert.fail())();
    ending.end('a');
    ending.onEnd(() => assert.fail())();
    await turn();
  });

  it('is heard by one that asks while others are told', async () => {
    const ending = createEnding<string>();
    const heard: string[] = [];
    ending.onEnd(() => ending.onEnd((end) => heard.push(end)));
    ending.end('a');
    await turn();
    assert.deepEqual(heard, ['a']);
  });
});
