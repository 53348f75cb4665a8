import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readConfigDocument, type DocumentProblem } from '../../src/core/configDocument.js';
import { printSpec } from '../../src/core/forwardSpec.js';

const env = { DB: 'db.internal' };
const read = (...lines: string[]) => readConfigDocument(lines.join('\n'), env);
/** What the place covers. */
const covered = (lines: readonly string[], { line, start, end }: DocumentProblem['place']) =>
  lines[line]!.slice(start, end);

describe('the forwards in the text of an ssh_config file', () => {
  it('are told with their place and the hosts that they are for', () => {
    const lines = [
      'Host web01 web02 *.example.com',
      '  HostName 192.0.2.1',
      '\tLocalForward 5432 ${DB}:5432  # the staging database',
      '  dynamicforward=1080',
      'Host git',
      '  RemoteForward "8080" localhost:3000',
    ];
    assert.deepEqual(
      read(...lines).forwards.map(({ spec, place, hosts }) => [printSpec(spec), covered(lines, place), hosts]),
      [
        ['-L 5432:db.internal:5432', 'LocalForward 5432 ${DB}:5432  # the staging database', ['web01', 'web02']],
        ['-D 1080', 'dynamicforward=1080', ['web01', 'web02']],
        ['-R 8080:localhost:3000', 'RemoteForward "8080" localhost:3000', ['git']],
      ],
    );
    assert.deepEqual(read(...lines).problems, []);
  });

  it('are read the same with the line ends of Windows', () => {
    const lines = ['Host web01', '  LocalForward 80 db:80', ''];
    assert.deepEqual(readConfigDocument(lines.join('\r\n'), env), read(...lines));
  });

  const forwardHosts: [title: string, lines: string[], hosts: string[]][] = [
    ['every name of the file before the first block', ['LocalForward 80 db:80', 'Host a', 'Host b'], ['a', 'b']],
    ['every name of the file under Match all', ['Host a', 'Match all', 'LocalForward 80 db:80'], ['a']],
    ['no name under another Match', ['Host a', 'Match host a', 'LocalForward 80 db:80'], []],
    ['the names that a pattern has', ['Host a.eu', 'Host b.us', 'Host *.eu', 'LocalForward 80 db:80'], ['a.eu']],
    [
      'none that is taken away by !',
      ['Host a.eu b.eu', 'Host !b.* *.eu', 'LocalForward 80 db:80', 'Host c.eu'],
      ['a.eu', 'c.eu'],
    ],
    ['nobody where only patterns are', ['Host *.eu', 'LocalForward 80 db:80'], []],
    ['no word that ssh takes for no host', ['Host a -b c,d "e f" g@h', 'LocalForward 80 db:80'], ['a']],
    ['quoted names', ['Host "a"', 'LocalForward 80 db:80'], ['a']],
  ];
  for (const [title, lines, hosts] of forwardHosts)
    it(`are for ${title}`, () => assert.deepEqual(read(...lines).forwards[0]?.hosts, hosts));

  it('name the line with a GatewayPorts that may let in the network', () => {
    const gateways = (...lines: string[]) => read(...lines).forwards.map(({ gatewayPorts }) => gatewayPorts);
    const forwards = ['LocalForward 80 db:80', 'LocalForward 127.0.0.1:81 db:80', 'RemoteForward 82 db:80'];
    const none = [undefined, undefined, undefined];
    assert.deepEqual(gateways('Host a', ...forwards, 'Host *', 'GatewayPorts yes'), [5, undefined, undefined]);
    assert.deepEqual(gateways('Host a', ...forwards, 'Match user bob', 'GatewayPorts yes'), [5, undefined, undefined]);
    assert.deepEqual(gateways('Host a', 'GatewayPorts no', ...forwards), none);
    assert.deepEqual(gateways('Host a', ...forwards, 'Host b', 'GatewayPorts yes'), none);
  });
});

describe('a ClearAllForwardings in the text of an ssh_config file', () => {
  const cleared = (...lines: string[]) => read(...lines).forwards.map(({ cleared }) => cleared);
  it('is told with the forwards of its block', () => {
    assert.deepEqual(cleared('Host a', 'LocalForward 80 db:80', 'ClearAllForwardings yes'), [2]);
    assert.deepEqual(cleared('Host a', 'ClearAllForwardings no', 'ClearAllForwardings yes', 'LocalForward 80 db:80'), [
      undefined,
    ]);
    assert.deepEqual(cleared('Host a', 'LocalForward 80 db:80', 'Host b', 'ClearAllForwardings yes'), [undefined]);
  });
});

describe('the problems in the text of an ssh_config file', () => {
  const unreadable: [line: string, covered: string, message: string][] = [
    ['LocalForward 5432', 'LocalForward 5432', 'Target missing; write LocalForward port host:hostport.'],
    ['  LocalForward', 'LocalForward', 'Nothing to forward.'],
    ['LocalForward 99999 db:80', '99999 db:80', '“99999” is not a port to listen on (1 to 65535).'],
    ['LocalForward 0 db:80', '0 db:80', 'Port 0 can’t be listened on; name a port from 1 to 65535.'],
    ['LocalForward 80 db:x', 'x', '“x” is not a target port (1 to 65535).'],
    ['LocalForward "80 db:80', '"80 db:80', 'A quote is not closed.'],
    ['DynamicForward 1080 db:80', 'db:80', 'DynamicForward takes one word: the port to listen on.'],
    ['LocalForward 80 db:80 x', 'x', 'LocalForward takes two words: the port to listen on and the target.'],
    ['LocalForward "8 0" db:80', ' 0" db:80', 'A blank inside the forward.'],
    [
      'LocalForward 80:localhost:80',
      'LocalForward 80:localhost:80',
      'Write the port and the target as two words: LocalForward 80 localhost:80.',
    ],
    [
      'remoteforward *:80:/run/my.sock',
      'remoteforward *:80:/run/my.sock',
      'Write the port and the target as two words: RemoteForward *:80 /run/my.sock.',
    ],
    ['Host "b', '"b', 'A quote is not closed.'],
    ['Match host b exec "x', '"x', 'A quote is not closed.'],
    ['RemoteForward ::1:80 db:80', 'db:80', 'Too many fields; write an IPv6 address in [brackets].'],
    ['LocalForward 80 ${NOPE}:80', '${NOPE}:80', 'Environment variable NOPE is not set.'],
  ];
  for (const [line, place, message] of unreadable)
    it(`are said at their place: ${line.trim()}`, () => {
      const lines = ['Host a', line];
      const { forwards, problems } = read(...lines);
      assert.deepEqual(forwards, []);
      assert.deepEqual(
        problems.map((problem) => [problem.message, covered(lines, problem.place), problem.severity]),
        [[message, place, message.startsWith('Environment') ? 'warning' : 'error']],
      );
    });

  const duplicates: [title: string, lines: string[], problems: [line: number, severity: string, message: string][]][] =
    [
      [
        'two forwards of a host on one port',
        ['Host a', 'LocalForward 80 db:80', 'DynamicForward localhost:80'],
        [
          [
            2,
            'warning',
            'localhost:80 is listened on in line 2 already: only one of the two can. Choose another port.',
          ],
        ],
      ],
      [
        'blocks that are both for a name',
        ['Host a.eu', 'LocalForward *:80 db:80', 'Host *.eu', 'LocalForward 127.0.0.1:80 x:1'],
        [
          [
            3,
            'warning',
            '127.0.0.1:80 is listened on in line 2 already: only one of the two can. Choose another port.',
          ],
        ],
      ],
      [
        'two hosts, of which only one can run',
        ['Host a', 'LocalForward 80 db:80', 'Host b', 'LocalForward 80 db:80'],
        [[3, 'information', 'localhost:80 is listened on for a in line 2, too: only one of them can run at a time.']],
      ],
      [
        'a forward that is written twice',
        ['Host a', 'LocalForward 80 db:80', 'LocalForward 080 db:http'],
        [[2, 'information', 'This forward stands in line 2 already; ssh takes it once.']],
      ],
      [
        'remote forwards of one host',
        ['Host a', 'RemoteForward 80 db:80', 'RemoteForward 0.0.0.0:80 x:1'],
        [
          [
            2,
            'warning',
            '0.0.0.0:80 of the server is listened on in line 2 already: only one of the two can. Choose another port.',
          ],
        ],
      ],
      [
        'one socket',
        ['Host a', 'LocalForward /tmp/s db:80', 'LocalForward /tmp/s x:1'],
        [[2, 'warning', '/tmp/s is listened on in line 2 already: only one of the two can. Choose another port.']],
      ],
      ['no remote forwards of two hosts', ['Host a', 'RemoteForward 80 db:80', 'Host b', 'RemoteForward 80 x:1'], []],
      ['no two sides', ['Host a', 'LocalForward 80 db:80', 'RemoteForward 80 x:1'], []],
      ['no two addresses', ['Host a', 'LocalForward 127.0.0.2:80 db:80', 'LocalForward 127.0.0.3:80 x:1'], []],
      ['no two families', ['Host a', 'LocalForward 0.0.0.0:80 db:80', 'LocalForward [::]:80 x:1'], []],
      ['no ports that the server chooses', ['Host a', 'RemoteForward 0 db:80', 'RemoteForward 0 x:1'], []],
    ];
  for (const [title, lines, expected] of duplicates)
    it(`are listeners that collide: ${title}`, () =>
      assert.deepEqual(
        read(...lines).problems.map(({ place, severity, message }) => [place.line, severity, message]),
        expected,
      ));

  it('stand at the listening end, and name the other line', () => {
    const lines = ['Host a', 'LocalForward 80 db:80', '  LocalForward   80   x:1'];
    const [problem] = read(...lines).problems;
    assert.equal(covered(lines, problem!.place), '80');
    assert.equal(covered(lines, problem!.related!.place), 'LocalForward 80 db:80');
    assert.equal(problem!.related!.message, 'localhost:80 is listened on here first');
  });

  it('come in the order of their lines', () => {
    const lines = ['Host a', 'LocalForward 80 db:80', 'LocalForward 80 x:1', 'LocalForward x', 'LocalForward 80 y:1'];
    assert.deepEqual(
      read(...lines).problems.map(({ place }) => place.line),
      [2, 3, 4],
    );
  });

  it('are found in no time, however many names and patterns stand in a line', () => {
    const many = (count: number, name: (at: number) => string) => Array.from({ length: count }, (_, at) => name(at));
    const forwards = many(200, (at) => `LocalForward ${10_000 + at} db:80`);
    for (const patterns of [[], many(20_000, (at) => `x${at}*`)]) {
      const lines = [`Host ${[...many(20_000, (at) => `web${at}`), ...patterns].join(' ')}`, ...forwards];
      const since = performance.now();
      const { hosts } = read(...lines, 'Host *', ...forwards).forwards[0]!;
      assert.ok(performance.now() - since < 1500);
      assert.equal(hosts[0], 'web0');
      assert.equal(hosts.length, 1000);
    }
  });

  it('are none of a text that nobody writes by hand', () => {
    const line = 'LocalForward 80 db:80\n';
    assert.deepEqual(readConfigDocument(line.repeat(50_000), env), { forwards: [], problems: [] });
  });
});

describe('any text as an ssh_config file', () => {
  const word = fc.constantFrom(
    ...['Host', 'Match', 'all', 'a', '*', '!a', 'LocalForward', 'RemoteForward', 'DynamicForward', 'GatewayPorts'],
    ...['yes', '80', '0', '[::1]:80', '*:80', 'db:80', '/s', '"', '=', '#', '${X}', '\\', '\0', '\u202e', '\t', '\r'],
  );
  const line = fc.oneof(
    fc.array(word, { maxLength: 6 }).map((words) => words.join(' ')),
    fc.string({ unit: 'binary' }),
  );

  it('never throws, and every place is in its line', () =>
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (written) => {
        const text = written.join('\n');
        const lines = text.split('\n');
        const { forwards, problems } = readConfigDocument(text, {});
        const related = problems.flatMap((problem) => (problem.related ? [problem.related.place] : []));
        for (const place of [...forwards, ...problems].map((one) => one.place).concat(related)) {
          assert.ok(place.start >= 0 && place.start < place.end, JSON.stringify(place));
          assert.ok(place.end <= lines[place.line]!.length, JSON.stringify(place));
        }
      }),
    ));
});
