import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readLink } from '../../src/core/link.js';
import { unseen } from '../../src/core/printable.js';

describe('a link', () => {
  for (const [what, path, query, link] of [
    [
      'fills in a host and a forward',
      '/forward',
      'host=web01&forward=5432',
      { kind: 'forward', host: 'web01', forward: '5432' },
    ],
    [
      'fills in a user and a port',
      '/forward',
      'host=bob@web01:2222&forward=-L 5000:db:5432',
      { kind: 'forward', host: 'bob@web01:2222', forward: '-L 5000:db:5432' },
    ],
    [
      'takes what it knows, in any order',
      '/forward/',
      'from=mail&forward=-D 1080&host=web01',
      { kind: 'forward', host: 'web01', forward: '-D 1080' },
    ],
    ['shows a preset', '/preset', 'name=Billing DB = main', { kind: 'preset', name: 'Billing DB = main' }],
    ['of another path opens the view', '/start', 'host=web01&forward=5432', { kind: 'view' }],
    ['of no path opens the view', '', '', { kind: 'view' }],
  ] as const)
    // prettier-ignore
    it(what, () => assert.deepEqual(readLink(path, query), link));

  for (const [what, query, reason] of [
    ['without a host', 'forward=5432', 'The link does not say “host”.'],
    ['without a forward', 'host=web01&forward= ', 'The link does not say “forward”.'],
    ['with an option in the place of the host', 'host=-oProxyCommand=x&forward=5432', /can’t|unknown|missing|option/i],
    ['with options beside the host', 'host=-J bastion web01&forward=5432', /can’t have options/],
    ['with a program in the host', 'host=-o ProxyCommand=evil web01&forward=5432', /names a program to run/],
    ['with a password in the host', 'host=ssh://bob:secret@web01&forward=5432', /^The host has a password in it/],
    [
      'with an invisible mark in the host',
      'host=web\u202e01&forward=5432',
      /“host” in the link has a mark that nobody sees/,
    ],
    ['with the end of a line in the forward', 'host=web01&forward=5432\n', /“forward” in the link has a mark/],
    ['with a variable in the forward', 'host=web01&forward=${HOME}:1', /can’t have variables/],
    ['with a forward that can’t be read', 'host=web01&forward=0', /is not a|can’t be/],
    ['that says something twice', 'host=web01&host=web02&forward=1', 'The link says “host” twice.'],
    ['with a value that is too long', `host=${'a'.repeat(301)}&forward=1`, '“host” in the link is too long.'],
    ['that is too long', `host=a&forward=1&x=${'a'.repeat(2000)}`, 'The link is too long.'],
  ] as const)
    // prettier-ignore
    it(`is refused ${what}`, () => {
      const link = readLink('/forward', query);
      assert.equal(link.kind, 'refused', JSON.stringify(link));
      if (typeof reason === 'string') assert.deepEqual(link, { kind: 'refused', reason });
      else assert.match(link.kind === 'refused' ? link.reason : '', reason);
    });

  it('never brings an option, a variable or a mark that nobody sees into the form, whatever it says', () => {
    const evil = fc.constantFrom(
      '-',
      ' -J x',
      '-oProxyCommand=x',
      '${HOME}',
      '$',
      '\u202e',
      '\n',
      '\0',
      ' ',
      '%h',
      "'",
    );
    const around = (plain: string[]) => {
      const piece = fc.oneof(fc.constant(''), fc.constant(''), evil, fc.string({ unit: 'binary', maxLength: 3 }));
      return fc.tuple(piece, fc.constantFrom(...plain), piece).map((pieces) => pieces.join(''));
    };
    const hosts = around(['web01', 'bob@web01:2222', 'ssh://bob@web01', '[::1]:22']);
    const forwards = around(['5432', 'db:5432', '-L 5000:db:5432', '-R 80:[::1]:80', '-D 1080', '-L /a.sock:/b.sock']);
    let read = 0;
    fc.assert(
      fc.property(hosts, forwards, (host, forward) => {
        const link = readLink('/forward', `host=${host}&forward=${forward}`);
        if (link.kind !== 'forward') return;
        read++;
        assert.ok(!/^-|\s-/.test(link.host), `host: ${link.host}`);
        assert.ok(!unseen.test(link.host + link.forward), 'a mark that nobody sees');
        assert.ok(!link.forward.includes('$'), link.forward);
      }),
      { numRuns: 1000 },
    );
    assert.ok(read > 100, `${read} of them read`);
  });
});
