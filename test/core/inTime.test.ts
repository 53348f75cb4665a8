import assert from 'node:assert/strict';
import { inTime } from '../../src/ui/inTime.js';

describe('work that may take too long', () => {
  it('gives what it comes to', async () => {
    assert.equal(await inTime(60_000, Promise.resolve(7)), 7);
  });

  it('is not waited for longer than that', async () => {
    assert.equal(await inTime(1, new Promise(() => {})), undefined);
  });

  it('may fail', async () => {
    assert.equal(await inTime(60_000, Promise.reject(new Error('no'))), undefined);
  });
});
