import assert from 'node:assert/strict';
import fc from 'fast-check';
import { permitsRemoteOpen } from '../../src/core/permitRemoteOpen.js';

describe('permitsRemoteOpen', () => {
  const cases: readonly (readonly [permitted: string, host: string, port: number, expected: boolean])[] = [
    ['db:5432', 'db', 5432, true],
    ['db:5432', 'db', 5433, false],
    ['db:5432', 'db2', 5432, false],
    ['db:5432', 'xdb', 5432, false],
    ['db:5432 cache:6379', 'cache', 6379, true],
    ['db:5432 cache:6379', 'db', 6379, false],
    ['*:80', 'anywhere', 80, true],
    ['*:80', '::1', 80, true],
    ['*:80', 'anywhere', 81, false],
    ['db:*', 'db', 1, true],
    ['db:*', 'db', 65535, true],
    ['db:*', 'cache', 1, false],
    ['*:*', 'anywhere', 1, true],
    ['[::1]:80', '::1', 80, true],
    ['[::1]:80', '::2', 80, false],
    ['[::1]:*', '::1', 443, true],
    ['[db]:80', 'db', 80, true],
    ['10.0.0.1:22', '10.0.0.1', 22, true],
    // A port may be a service's name, and zeros may lead, as everywhere in ssh.
    ['db:http', 'db', 80, true],
    ['db:http', 'db', 443, false],
    ['db:0080', 'db', 80, true],
    // No patterns, no look-up, no folding of case: what is compared is text.
    ['*.example.com:80', 'www.example.com', 80, false],
    ['localhost:80', '127.0.0.1', 80, false],
    ['[::1]:80', '0:0:0:0:0:0:0:1', 80, false],
    ['DB:80', 'db', 80, false],
    [':80', 'db', 80, false],
    ['db', 'db', 80, false],
    ['db:', 'db', 80, false],
    ['db:nonsense', 'db', 80, false],
  ];
  for (const [permitted, host, port, expected] of cases)
    it(`${expected ? 'lets' : 'does not let'} ${host} at ${port} pass with “${permitted}”`, () =>
      assert.equal(permitsRemoteOpen(permitted.split(' '), host, port), expected));

  const host = fc.stringMatching(/^[a-z0-9.:*-]{1,12}$/);
  const port = fc.integer({ min: 1, max: 65535 });

  it('lets everything pass when nothing is said, and nothing with none', () => {
    fc.assert(
      fc.property(host, port, (host, port) => {
        assert.equal(permitsRemoteOpen(undefined, host, port), true);
        assert.equal(permitsRemoteOpen([], host, port), false);
      }),
    );
  });

  it('takes no name of a client for a wildcard', () => {
    fc.assert(
      fc.property(host, port, (asked, port) => {
        fc.pre(asked !== 'db');
        assert.equal(permitsRemoteOpen([`db:${port}`], asked, port), false);
      }),
    );
    assert.equal(permitsRemoteOpen(['db:80'], '*', 80), false);
  });
});
