import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { EngineEvent } from '../../src/core/engine.js';
import { createRedaction } from '../../src/core/redaction.js';
import { namesIn } from '../../src/core/unnamed.js';

const names = (hosts: readonly string[], users: readonly string[] = []) => ({
  hosts: new Set(hosts),
  users: new Set(users),
});

describe('a text without names', () => {
  const redact = () =>
    createRedaction(names(['web01', 'db.internal', 'gw', '10.1.2.3', 'web'], ['alice', 'CORP\\bob'])).text;
  for (const [what, text, expected] of [
    ['a known host and user', 'alice@web01: connecting', 'user1@host1: connecting'],
    ['them in any case', 'Alice at WEB01', 'user1 at host1'],
    ['the longer of two names', 'web01 and web', 'host1 and host2'],
    ['no part of a word', 'web0123 website alicent', 'web0123 website alicent'],
    ['a name with a port', '-L 5432:db.internal:5432', '-L 5432:host1:5432'],
    ['a name in a list of words', '-J gw,gw alice@web01', '-J host1,host1 user1@host2'],
    ['a user of a domain', 'CORP\\bob@web01', 'user1@host1'],
    ['users and hosts that it was not told of', 'carol@prod7 and prod7', 'user1@host1 and prod7'],
    ['a host with a port that it was not told of', 'Going on to prod7:22', 'Going on to host1:22'],
    ['a full name that it was not told of', 'see https://wiki.corp.example/x', 'see https://host1/x'],
    [
      'paths, but for what is called so everywhere',
      'key /home/carol/.ssh/acme.pub, C:\\Users\\Carol\\.ssh\\config, /data/carol',
      'key /home/user1/.ssh/name1.pub, C:\\Users\\user1\\.ssh\\config, /data/user1',
    ],
    ['a home directory with a blank, or with twice as many backslashes', 'C:\\Users\\Bob Smith\\.ssh and C:\\\\Users\\\\bob\\\\.ssh', 'C:\\Users\\user1\\.ssh and C:\\\\Users\\\\user2\\\\.ssh'], // prettier-ignore
    ['a path in quotes, with blanks', "open '/srv/acme corp/x y/config': no", "open '/srv/name1/name2/config': no"], // prettier-ignore
    ['a Windows share', '\\\\fileserver\\home\\carol', '\\\\host1\\home\\user1'],
    ['a path behind a name', 'prod7:/home/carol and known_hosts:/home/carol', 'prod7:/home/user1 and known_hosts:/home/user1'], // prettier-ignore
    ['the home directory of somebody', '~carol/.ssh ~/.ssh', '~user1/.ssh ~/.ssh'],
    ['private addresses', '10.1.2.3 10.9.9.9 192.168.0.1:22 172.16.0.1 100.64.0.1', 'private1 private2 private3:22 private4 private5'], // prettier-ignore
    ['public addresses', '8.8.8.8, 172.32.0.1, 8.8.8.8.', 'public1, public2, public1.'],
    ['link-local addresses', '169.254.1.1 fe80::1%eth0', 'linkLocal1 linkLocal2'],
    ['IPv6 addresses', '[2001:db8::1]:22 [fd00::1] ::ffff:10.1.2.3', '[public1]:22 [private1] private2'],
    ['an address of a user', 'alice@[2001:db8::1]:22', 'user1@[public1]:22'],
    ['loopback and wildcards: they stay', '127.0.0.1:80 [::1]:80 0.0.0.0 :: localhost:80 *:80', '127.0.0.1:80 [::1]:80 0.0.0.0 :: localhost:80 *:80'], // prettier-ignore
    ['algorithms: they stay', 'aes256-gcm@openssh.com, ssh-ed25519-cert-v01@openssh.com', 'aes256-gcm@openssh.com, ssh-ed25519-cert-v01@openssh.com'], // prettier-ignore
    ['fingerprints and paths: they stay', 'SHA256:0a1/b SHA256:/x MD5:11 (/dist/worker.js:12:3)', 'SHA256:0a1/b SHA256:/x MD5:11 (/dist/worker.js:12:3)'], // prettier-ignore
    ['settings: they stay', 'Mend sshTunnels.presets first', 'Mend sshTunnels.presets first'],
  ] as const)
    it(`has ${what}`, () => assert.equal(redact()(text), expected));

  it('has the same placeholder for the same name in all texts', () => {
    const one = redact();
    assert.equal(one('db.internal'), 'host1');
    assert.equal(one('carol@web01'), 'user1@host2');
    assert.equal(one('web01 db.internal carol@x'), 'host2 host1 carol@x'.replace('carol@x', 'user1@host3'));
  });

  it('takes no placeholder that is somebody’s name', () => {
    const one = createRedaction(names(['host1', 'web01'], ['user1'])).text;
    assert.equal(one('user1@host1, web01'), 'user2@host2, host3');
  });

  const word = fc.stringMatching(/^[a-z][a-z0-9-]{3,12}[a-z0-9]$/).map((text) => `q${text}`);
  const host = fc.oneof(
    word,
    fc.tuple(word, word).map((parts) => parts.join('.')),
    fc.ipV4().map((text) => (text.startsWith('127.') || text === '0.0.0.0' ? '9.9.9.9' : text)),
    fc.stringMatching(/^q[\p{L}]{4,8}$/u),
  );
  const user = fc.oneof(word, word.map((text) => `CORP\\${text}`), word.map((text) => `${text}+x_$`)); // prettier-ignore
  it('has no name that was given, whatever stands around it', () => {
    const around = fc.constantFrom(
      ' ',
      ':',
      ',',
      '“',
      '(',
      '[',
      '\n',
      '/',
      '@',
      ' -',
      "'",
      '=',
      '22:',
      ':22 ',
      '. ',
      '%',
    );
    fc.assert(
      fc.property(
        fc.array(host, { minLength: 1, maxLength: 5 }),
        fc.array(user, { minLength: 1, maxLength: 5 }),
        fc.infiniteStream(around),
        (hosts, users, marks) => {
          const all = [...hosts, ...users];
          const text = all.map((name) => `${marks.next().value}${name}${marks.next().value}`).join(' ');
          const redacted = createRedaction(names(hosts, users)).text(text).toLowerCase();
          for (const name of all) {
            const escaped = name.toLowerCase().replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
            const asWord = new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, 'u');
            assert.doesNotMatch(redacted, asWord, text);
          }
        },
      ),
    );
  });

  it('knows a name in both cases of a letter that has more characters in the lower one', () => {
    const { text } = createRedaction(names(['qİAAA']));
    assert.equal(text(`qİAAA, ${'qİAAA'.toLowerCase()}`), 'host1, host1');
  });

  it('takes time that grows with the text, and not with the names', () => {
    const many = Array.from({ length: 5000 }, (_, index) => `prod-${index}-server.region${index % 7}.corp`);
    const { text } = createRedaction(names(['web01', ...many]));
    const parts = [
      'a.',
      'a-',
      'a@',
      'a:',
      ':',
      'a+',
      '/',
      '"/',
      ' /a',
      'x word ',
      'prod-',
      'prod-7-server.',
      '1.',
      '::1 ',
      '~',
    ];
    for (const part of parts) {
      const short = part.repeat(10_000);
      const begun = performance.now();
      text(short);
      // What grows with the square of its length took more than ten seconds for the half of it.
      assert.ok(performance.now() - begun < 3000, `${part}: ${performance.now() - begun} ms`);
    }
  });
});

describe('the names in an event', () => {
  const found = (event: EngineEvent) => {
    const { hosts, users } = namesIn(event);
    return { hosts: [...hosts].sort(), users: [...users].sort() };
  };
  for (const [event, hosts, users] of [
    [{ kind: 'connected', connection: 'alice@web01', server: 'root@10.0.0.1:22' }, ['10.0.0.1', 'web01'], ['alice', 'root']], // prettier-ignore
    [{ kind: 'connecting', connection: '-J bob@gw:22,gw2 -o HostName=in web01', attempt: 1 }, ['gw', 'gw2', 'in', 'web01'], ['bob']], // prettier-ignore
    [
      { kind: 'forwardClosed', forward: 'alice@web01 -R nas:80:cam.home:8080' },
      ['cam.home', 'nas', 'web01'],
      ['alice'],
    ],
    [
      {
        kind: 'connectionFailed',
        connection: 'web01',
        failure: { kind: 'hop', hop: 'gw', host: 'web01', failure: { kind: 'authFailed', user: 'eve', host: 'gw', tried: [], offered: [], notes: [] } }, // prettier-ignore
      },
      ['gw', 'web01'],
      ['eve'],
    ],
    [
      {
        kind: 'channelFailed',
        forward: 'web01 -D 1080',
        failure: { kind: 'channelRefused', target: 'secret.example:443', host: 'web01', refusal: 'other', detail: '' },
      },
      ['secret.example', 'web01'],
      [],
    ],
  ] as const satisfies readonly [EngineEvent, readonly string[], readonly string[]][])
    it(`are all of those that ${event.kind} tells`, () => assert.deepEqual(found(event), { hosts, users }));
});
