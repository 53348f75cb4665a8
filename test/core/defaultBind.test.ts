import assert from 'node:assert/strict';
import { readDefaultBind, withDefaultBind } from '../../src/core/defaultBind.js';
import { parseAnswer, printSpec } from '../../src/core/forwardSpec.js';
import { askedAccess } from '../../src/core/wording.js';

function typed(text: string) {
  const read = parseAnswer(text);
  assert.ok(read.ok, text);
  return read.spec;
}

describe('the bind address of the settings', () => {
  const rows: readonly (readonly [text: string, bind: 'localhost' | '127.0.0.1' | '::1' | '*', becomes: string])[] = [
    ['5432', 'localhost', '-L 5432:localhost:5432'],
    ['5432', '127.0.0.1', '-L 127.0.0.1:5432:localhost:5432'],
    ['5432', '::1', '-L [::1]:5432:localhost:5432'],
    ['db:5432', '*', '-L *:5432:db:5432'],
    ['auto:5432', '127.0.0.1', '-L 127.0.0.1:auto:localhost:5432'],
    ['-L 8080:/run/web.sock', '127.0.0.1', '-L 127.0.0.1:8080:/run/web.sock'],
    ['-D 1080', '*', '-D *:1080'],
    // Who wrote one meant it, and what the server listens on is the server's.
    ['-L localhost:5432:db:5432', '*', '-L localhost:5432:db:5432'],
    ['-L :5432:db:5432', '127.0.0.1', '-L :5432:db:5432'],
    ['-D 127.0.0.2:1080', '*', '-D 127.0.0.2:1080'],
    ['-R 8080:localhost:80', '*', '-R 8080:localhost:80'],
    ['-L /tmp/here.sock:db:5432', '*', '-L /tmp/here.sock:db:5432'],
  ];
  for (const [text, bind, becomes] of rows)
    it(`${bind} makes ${text} into ${becomes}`, () =>
      assert.equal(printSpec(withDefaultBind(typed(text), bind)), becomes));

  it('lets the network in only where the setting says so', () => {
    const access = (bind: string) => askedAccess(withDefaultBind(typed('5432'), readDefaultBind(bind)));
    assert.deepEqual(['localhost', '127.0.0.1', '::1', '*', '0.0.0.0', ''].map(access), [
      'machine',
      'machine',
      'machine',
      'network',
      'machine',
      'machine',
    ]);
  });
});
