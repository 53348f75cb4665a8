import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ownerFromLsof, ownerFromNetstat, ownerFromSs, programFromTasklist } from '../../src/core/portOwner.js';

/** Address, port, and the pid that is expected; undefined: nobody. */
type Asked = [address: string, port: number, pid: number | undefined];

// iproute2 6.1; columns are as wide as the widest cell.
const ss = `\
LISTEN 0      511             127.0.0.1:8080 0.0.0.0:* users:(("node",pid=4242,fd=18))
LISTEN 0      511             127.0.0.2:8080 0.0.0.0:* users:(("node",pid=4243,fd=25))
LISTEN 0      128               0.0.0.0:22   0.0.0.0:* users:(("sshd",pid=700,fd=3))
LISTEN 0      128             127.0.0.1:22   0.0.0.0:* users:(("tunnel",pid=701,fd=3))
LISTEN 0      4096        127.0.0.53%lo:53   0.0.0.0:*
LISTEN 0      511    [::ffff:127.0.0.1]:9001       *:* users:(("java",pid=900,fd=24))
LISTEN 0      511                     *:3000       *:* users:(("MainThread",pid=531,fd=21))
LISTEN 0      511               0.0.0.0:80   0.0.0.0:* users:(("nginx",pid=13,fd=6),("nginx",pid=12,fd=6),("nginx",pid=9,fd=6))
LISTEN 0      244             127.0.0.1:5432 0.0.0.0:*
LISTEN 0      244                     *:5432       *:* users:(("mine",pid=77,fd=5))
LISTEN 0      4096                 [::]:631     [::]:* users:(("cupsd",pid=650,fd=7),("systemd",pid=1,fd=45))
LISTEN 0      511                 [::1]:8081    [::]:* users:(("v6only",pid=4250,fd=20))
LISTEN 0      128    [fe80::fc:ff:fe00:1]%eth0:546    [::]:* users:(("dhclient",pid=300,fd=5))
LISTEN 0      128               0.0.0.0%eth0:68 0.0.0.0:* users:(("bound",pid=301,fd=5))
LISTEN 0      128                     *:111        *:* users:(("systemd",pid=1,fd=51))
`;

const asTold = { ss: ownerFromSs, lsof: ownerFromLsof } as const;

function pidFrom(tool: keyof typeof asTold | 'netstat', output: string, address: string, port: number) {
  return tool === 'netstat' ? ownerFromNetstat(output, address, port) : asTold[tool](output, address, port)?.pid;
}

function expectOwners(tool: keyof typeof asTold | 'netstat', output: string, table: readonly Asked[]) {
  const found = table.map(([address, port]) => [address, port, pidFrom(tool, output, address, port)]);
  assert.deepEqual(found, table);
}

describe('ownerFromSs', () => {
  it('tells the program and the pid', () => {
    assert.deepEqual(ownerFromSs(ss, '127.0.0.1', 8080), { program: 'node', pid: 4242 });
  });

  it('takes the listener on the very address, and on no other port or loopback address', () => {
    expectOwners('ss', ss, [
      ['127.0.0.2', 8080, 4243],
      ['127.0.0.3', 8080, undefined],
      ['127.0.0.1', 808, undefined],
      ['127.0.0.1', 80800, undefined],
      ['::1', 8080, undefined],
      ['::1', 8081, 4250],
      ['127.0.0.1', 8081, undefined],
    ]);
  });

  it('takes a wildcard that covers the address, after the address itself', () => {
    expectOwners('ss', ss, [
      ['127.0.0.1', 22, 701],
      ['127.0.0.9', 22, 700],
      ['::1', 22, undefined],
      ['127.0.0.1', 3000, 531],
      ['::1', 3000, 531],
      ['::1', 631, 650],
      ['127.0.0.1', 631, 650],
    ]);
  });

  it('takes whoever is in the way of a wildcard', () => {
    expectOwners('ss', ss, [
      ['0.0.0.0', 22, 700],
      ['0.0.0.0', 8081, undefined],
      ['0.0.0.0', 8080, 4242],
      ['::', 8081, 4250],
      ['::', 8080, undefined],
      ['::', 3000, 531],
    ]);
  });

  it('blames nobody else where the owner can’t be seen', () => {
    expectOwners('ss', ss, [
      ['127.0.0.1', 5432, undefined],
      ['127.0.0.53', 53, undefined],
      ['::1', 5432, 77],
    ]);
  });

  it('knows an address however it is spelt', () => {
    expectOwners('ss', ss, [
      ['127.0.0.1', 9001, 900],
      ['::ffff:127.0.0.1', 8080, 4242],
      ['0:0:0:0:0:0:0:1', 8081, 4250],
      ['[::1]', 8081, 4250],
      ['FE80::FC:FF:FE00:1%eth0', 546, 300],
      ['192.168.1.5', 68, 301],
    ]);
  });

  it('takes the parent of programs that share a socket, and the system’s own only when it is alone', () => {
    expectOwners('ss', ss, [
      ['127.0.0.1', 80, 9],
      ['::1', 631, 650],
      ['127.0.0.1', 111, 1],
    ]);
  });

  it('reads the headed output of old versions, where * is the wildcard of one family', () => {
    const old = `\
State      Recv-Q Send-Q Local Address:Port               Peer Address:Port              
LISTEN     0      128          *:22                       *:*                   users:(("sshd",pid=3057,fd=3))
LISTEN     0      128         :::22                      :::*                   users:(("sshd",pid=3057,fd=4))
LISTEN     0      128        ::1:631                     :::*                   users:(("cupsd",pid=88,fd=4))
`;
    expectOwners('ss', old, [
      ['127.0.0.1', 22, 3057],
      ['::1', 22, 3057],
      ['::1', 631, 88],
    ]);
  });

  const names: [printed: string, program: string][] = [
    ['Web Content', 'Web Content'],
    ['a "b" (c)', 'a "b" (c)'],
    ['a",pid=1,fd=2)', 'a",pid=1,fd=2)'],
    ['((sd-pam))', '((sd-pam))'],
    ['né\u202ee\u001b[31m', 'née[31m'],
    ['two\nlines', 'twolines'],
    ['MainThread', 'node'],
    ['node-MainThread', 'node'],
    ['MainThreads', 'MainThreads'],
    ['é'.repeat(64), 'é'.repeat(60)],
  ];
  it('reads names with quotes, blanks, brackets and what can’t be shown', () => {
    for (const [printed, program] of names) {
      const users = `users:(("${printed}",pid=43,fd=3),("${printed}",pid=42,fd=3))`;
      const output = `LISTEN 0 5 127.0.0.1:81 0.0.0.0:* ${users}  \nLISTEN 0 5 127.0.0.1:82 0.0.0.0:*\n`;
      assert.deepEqual(ownerFromSs(output, '127.0.0.1', 81), { program, pid: 42 });
      assert.equal(ownerFromSs(output, '127.0.0.1', 82), undefined);
    }
  });

  it('tells nobody of a nameless program', () => {
    assert.equal(ownerFromSs('LISTEN 0 5 *:81 *:* users:(("\u0007",pid=42,fd=3))', '::1', 81), undefined);
  });
});

describe('ownerFromLsof', () => {
  // Newer versions give the descriptor (f) unasked.
  const lsof = `\
p612
cControlCenter
f10
tIPv4
n*:5000
f11
tIPv6
n[fe80:1::1]:5001
p800
cGoogle\\x20Chrome
f55
tIPv4
n127.0.0.1:5000
tIPv6
n[::1]:5002
p900
cjava
f9
tIPv6
n*:8080
tIPv6
n127.0.0.1:9001
p44
cnginx
tIPv4
n*:80
p45
cnginx
tIPv4
n*:80
`;

  it('tells the program and the pid', () => {
    assert.deepEqual(ownerFromLsof(lsof, '127.0.0.1', 5000), { program: 'Google Chrome', pid: 800 });
  });

  it('follows the same rules as ss', () => {
    expectOwners('lsof', lsof, [
      ['127.0.0.2', 5000, 612],
      ['::1', 5000, undefined],
      ['::1', 5002, 800],
      ['127.0.0.1', 5002, undefined],
      ['::1', 8080, 900],
      ['127.0.0.1', 8080, 900],
      ['::ffff:127.0.0.1', 9001, 900],
      ['0.0.0.0', 9001, 900],
      ['127.0.0.1', 80, 44],
      ['127.0.0.1', 500, undefined],
    ]);
  });

  it('takes a wildcard for both families where lsof gives no type', () => {
    expectOwners('lsof', 'p7\ncnode\nn*:3000\n', [
      ['127.0.0.1', 3000, 7],
      ['::1', 3000, 7],
    ]);
  });

  const names: [printed: string, program: string][] = [
    ['a "b" (c)', 'a "b" (c)'],
    ['n\\xc3\\xa9', 'né'],
    ['back\\\\x41slash', 'back\\x41slash'],
    ['two\\nlines', 'twolines'],
    ['cut\\xc3', 'cut\ufffd'],
    ['\\xe2\\x80\\xaeright', 'right'],
  ];
  it('reads names that lsof has escaped', () => {
    for (const [printed, program] of names)
      assert.deepEqual(ownerFromLsof(`p7\nc${printed}\nn*:3000\n`, '::1', 3000), { program, pid: 7 });
  });

  it('does not give one program the name of another', () => {
    assert.equal(ownerFromLsof('p7\ncnode\nn*:3000\np8\nn*:3001\n', '::1', 3001), undefined);
  });
});

describe('ownerFromNetstat', () => {
  const english = `\r
Active Connections\r
\r
  Proto  Local Address          Foreign Address        State           PID\r
  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1044\r
  TCP    0.0.0.0:3000           0.0.0.0:0              LISTENING       27280\r
  TCP    127.0.0.1:3000         0.0.0.0:0              LISTENING       27281\r
  TCP    127.0.0.1:8080         127.0.0.1:50123        ESTABLISHED     999\r
  TCP    127.0.0.1:8081         127.0.0.1:50124        TIME_WAIT       0\r
  TCP    [::]:80                [::]:0                 LISTENING       4\r
  TCP    [::1]:8080             [::]:0                 LISTENING       5000\r
  TCP    [fe80::1%5]:80         [::]:0                 LISTENING       5001\r
  UDP    0.0.0.0:5353           *:*                                    2000\r
  UDP    [::1]:1900             *:*                                    2001\r
`;

  it('follows the same rules as ss', () => {
    expectOwners('netstat', english, [
      ['127.0.0.1', 135, 1044],
      ['::1', 135, undefined],
      ['127.0.0.1', 3000, 27281],
      ['192.168.1.5', 3000, 27280],
      ['::1', 8080, 5000],
      ['fe80::1', 80, 5001],
      ['::1', 80, 4],
    ]);
  });

  it('takes neither connections nor UDP for listeners', () => {
    expectOwners('netstat', english, [
      ['127.0.0.1', 8080, undefined],
      ['127.0.0.1', 8081, undefined],
      ['127.0.0.1', 5353, undefined],
      ['::1', 1900, undefined],
    ]);
  });

  it('knows a listener in any language and code page', () => {
    const translated = (state: string) => `\
Aktive Verbindungen\r
\r
  Proto  Lokale Adresse         Remoteadresse          Status           PID\r
  TCP    127.0.0.1:8080         0.0.0.0:0              ${state}         4321\r
  TCP    127.0.0.1:8080         127.0.0.1:50123        HERGESTELLT      4000\r
`;
    for (const state of ['ABHÖREN', 'ABH\ufffdREN', 'À L’ÉCOUTE', '侦听', ''])
      assert.equal(ownerFromNetstat(translated(state), '127.0.0.1', 8080), 4321, state);
  });
});

describe('programFromTasklist', () => {
  it('tells the name of the process with this pid', () => {
    assert.equal(programFromTasklist('"node.exe","4242","Console","1","45,678 K"\r\n', 4242), 'node.exe');
    const two = '"a, b.exe","42","Console","1","4,004 K"\r\n"System","4","Services","0","144 K"\r\n';
    assert.equal(programFromTasklist(two, 42), 'a, b.exe');
    assert.equal(programFromTasklist(two, 4), 'System');
    assert.equal(programFromTasklist(two, 2), undefined);
  });

  it('tells nothing when the process has ended', () => {
    const said = 'INFO: No tasks are running which match the specified criteria.\r\n';
    assert.equal(programFromTasklist(said, 4242), undefined);
  });
});

describe('what the system’s programs print', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      ...[
        'LISTEN ',
        '0 ',
        '127.0.0.1:80 ',
        '*:80 ',
        '[::1%x]:80 ',
        '[::]:0 ',
        '0.0.0.0:0 ',
        'users:((',
        '("',
        '",pid=',
      ],
      ...[
        '7',
        ',fd=3)',
        '))',
        '\n',
        '\r\n',
        'TCP ',
        'p7',
        'cx',
        'n*:80',
        'tIPv6',
        '\\x',
        'c3',
        '"',
        ',',
        '[::ffff:1]:80 ',
      ],
    ),
  );
  const output = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''));
  const address = fc.oneof(fc.constantFrom('127.0.0.1', '::1', '0.0.0.0', '::', ''), fc.string());

  it('never makes the reading throw, nor shows more than sixty printable characters', () => {
    const check = (owner: { program: string; pid: number } | undefined) => {
      if (!owner) return;
      assert.match(owner.program, /^[^\p{Cc}\p{Cf}\p{Cs}]{1,60}$/u);
      assert.ok(Number.isSafeInteger(owner.pid) && owner.pid > 0);
    };
    const property = fc.property(output, address, (text, asked) => {
      check(ownerFromSs(text, asked, 80));
      check(ownerFromLsof(text, asked, 80));
      const pid = ownerFromNetstat(text, asked, 80);
      const program = programFromTasklist(text, 7);
      check({ program: program ?? 'none', pid: pid ?? 1 });
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it('shows any name printably, whichever program told it', () => {
    const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 64 }).filter((text) => !/["\n\r\\]/.test(text));
    const property = fc.property(name, (text) => {
      const shown = [
        ownerFromSs(`LISTEN 0 5 *:80 *:* users:(("${text}",pid=7,fd=3))`, '::1', 80)?.program,
        ownerFromLsof(`p7\nc${text}\nn*:80\n`, '::1', 80)?.program,
        programFromTasklist(`"${text}","7","Console","1","4 K"`, 7),
      ];
      const printable = Array.from(text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '').trim());
      const expected = printable.length > 0 ? printable.slice(0, 60).join('') : undefined;
      assert.deepEqual(shown, [expected, expected, expected]);
    });
    fc.assert(property);
  });

  it('is read in no time however long it is', () => {
    const started = performance.now();
    ownerFromSs(`LISTEN 0 5 *:80 *:* ${'("'.repeat(500_000)}`, '::1', 80);
    ownerFromSs('LISTEN 0 5 '.repeat(100_000), '::1', 80);
    ownerFromLsof(`p7\nc${'\\x'.repeat(500_000)}\nn${':'.repeat(500_000)}`, '::1', 80);
    ownerFromNetstat(`TCP ${':'.repeat(500_000)} 0.0.0.0:0 x 1`, '::1', 80);
    assert.ok(performance.now() - started < 5_000);
  });
});
