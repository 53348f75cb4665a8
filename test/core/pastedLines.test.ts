import assert from 'node:assert/strict';
import { pastedLines } from '../../src/core/pastedLines.js';

describe('pastedLines', () => {
  const first = 'ssh -N -L 5000:db:5432 web01 # the database';
  const second = 'ssh -N -D 1080 web02';

  it('counts the lines that an input has joined, by blanks or by nothing', () => {
    for (const end of ['\n', '\r\n', '\n\n', '\n  '])
      for (const joint of [' ', '  ', ''])
        assert.equal(pastedLines(`${first}${joint}${second}`, `${first}${end}${second}\n`), 2);
  });

  it('is nothing for one line, for what was changed since, and for what was not copied', () => {
    assert.equal(pastedLines(first, `${first}\n`), 0);
    assert.equal(pastedLines(`${first} ${second} -v`, `${first}\n${second}`), 0);
    assert.equal(pastedLines(`${first} ${second}`, 'something\nelse'), 0);
    assert.equal(pastedLines('', '\n\n'), 0);
  });
});
