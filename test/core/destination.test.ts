import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import fc from 'fast-check';
import { parseDestination, printDestination, printOption, type Destination } from '../../src/core/destination.js';
import type { DestinationProblem } from '../../src/core/failure.js';
import { quoteShell } from '../../src/core/shellWords.js';
import { destinationProblem } from '../../src/core/wording.js';
import { askEach, hasOpenSsh, run } from '../support/openSsh.js';

/** The destination, or the place and problem of the refusal. */
function answer(text: string): Destination | { at: number; problem: DestinationProblem } {
  const result = parseDestination(text);
  return result.ok ? result.destination : { at: result.failure.at, problem: result.failure.problem };
}

describe('parseDestination', () => {
  const accepted: [string, Destination][] = [
    ['web01', { host: 'web01' }],
    [' web01\t', { host: 'web01' }],
    ['bob@web01', { host: 'web01', user: 'bob' }],
    ['bob@web01:2222', { host: 'web01', user: 'bob', port: 2222 }],
    ['web01:2222', { host: 'web01', port: 2222 }],
    ['web01:00022', { host: 'web01', port: 22 }],
    ['web01:65535', { host: 'web01', port: 65535 }],
    ['192.0.2.7:22', { host: '192.0.2.7', port: 22 }],
    ['::1', { host: '::1' }],
    ['bob@2001:db8::1', { host: '2001:db8::1', user: 'bob' }],
    ['[::1]', { host: '::1' }],
    ['[::1]:2222', { host: '::1', port: 2222 }],
    ['bob@[fe80::1%eth0]:2222', { host: 'fe80::1%eth0', user: 'bob', port: 2222 }],
    ['[web01]:2222', { host: 'web01', port: 2222 }],
    ['bob@example.com@web01', { host: 'web01', user: 'bob@example.com' }],
    ['CORP\\bob@web01', { host: 'web01', user: 'CORP\\bob' }],
    ['ssh://web01', { host: 'web01' }],
    ['ssh://bob@web01:2222', { host: 'web01', user: 'bob', port: 2222 }],
    ['ssh://bob@web01:2222/', { host: 'web01', user: 'bob', port: 2222 }],
    ['SSH://web01/', { host: 'web01' }],
    ['ssh://bob%40example.com@web01', { host: 'web01', user: 'bob@example.com' }],
    ['ssh://100%@web01', { host: 'web01', user: '100%' }],
    ['bob:target@web01', { host: 'web01', user: 'bob:target' }],
    ['ssh://[::1]:2222', { host: '::1', port: 2222 }],
    // ssh's options, in the words of a shell
    ['-p 2222 web01', { host: 'web01', port: 2222 }],
    ['web01 -p2222 -l bob', { host: 'web01', user: 'bob', port: 2222 }],
    ['-p 2222 -l alice bob@web01:22', { host: 'web01', user: 'alice', port: 2222 }],
    ['bob@web01:22 -p 2222 -l alice', { host: 'web01', user: 'bob', port: 22 }],
    ['-o Port=3 -p 4 -o User=zed -l bob web01', { host: 'web01', user: 'zed', port: 3 }],
    ['  -J bastion\tweb01 ', { host: 'web01', options: [['ProxyJump', 'bastion']] }],
    ['-J NONE web01', { host: 'web01', options: [['ProxyJump', 'none']] }],
    [
      '-Jssh://ann%40x@a:22/,b@[::1]:2222,[::2] web01',
      { host: 'web01', options: [['ProxyJump', 'ann@x@a:22,b@[::1]:2222,[::2]']] },
    ],
    ['-i "~/my keys/id" web01', { host: 'web01', options: [['IdentityFile', '~/my keys/id']] }],
    [
      "-i/b -i '/a' -o IdentityFile=/b -o 'IdentityFile \"/c d\"' web01",
      { host: 'web01', options: [['IdentityFile', '/b'], ['IdentityFile', '/a'], ['IdentityFile', '/c d']] }, // prettier-ignore
    ],
    ['-i C:\\Users\\ann\\id web01', { host: 'web01', options: [['IdentityFile', 'C:\\Users\\ann\\id']] }],
    ['-i $HOME/id web01', { host: 'web01', options: [['IdentityFile', '${HOME}/id']] }],
    ['-46 web01', { host: 'web01', options: [['AddressFamily', 'inet6']] }],
    ['-4 -o AddressFamily=any web01', { host: 'web01', options: [['AddressFamily', 'inet']] }],
    ['-b 127.0.0.1 -b 127.0.0.2 -o BindAddress=127.0.0.3 web01', { host: 'web01', options: [['BindAddress', '127.0.0.2']] }], // prettier-ignore
    [
      '-o connecttimeout=1m -oIdentitiesOnly=TRUE -o " ProxyJump = a " -o serveraliveinterval=5 CORP\\\\bob@web01',
      {
        host: 'web01',
        user: 'CORP\\bob',
        options: [
          ['ProxyJump', 'a'],
          ['IdentitiesOnly', 'yes'],
          ['ConnectTimeout', '1m'],
          ['ServerAliveInterval', '5'],
        ],
      },
    ],
    ['-o ServerAliveCountMax=7 -- web01', { host: 'web01', options: [['ServerAliveCountMax', '7']] }],
    ['-p 22 web01 # the old one', { host: 'web01', port: 22 }],
  ];
  for (const [text, destination] of accepted) it(`reads “${text}”`, () => assert.deepEqual(answer(text), destination));

  const character = (character: string): DestinationProblem => ({ kind: 'character', character });
  const badPort = (text: string): DestinationProblem => ({ kind: 'port', text });
  const refused: [string, number, DestinationProblem][] = [
    ['', 0, { kind: 'hostMissing' }],
    ['   ', 3, { kind: 'hostMissing' }],
    ['bob@', 4, { kind: 'hostMissing' }],
    [':22', 0, { kind: 'hostMissing' }],
    ['[]:22', 0, { kind: 'hostMissing' }],
    ['ssh://', 6, { kind: 'hostMissing' }],
    ['@web01', 0, { kind: 'userMissing' }],
    ['ssh://@web01', 6, { kind: 'userMissing' }],
    ['bob@-web01', 4, { kind: 'leadingDash' }],
    ['-bob@web01', 10, { kind: 'hostMissing' }],
    ['ssh://%2Dbob@web01', 6, { kind: 'leadingDash' }],
    ['ssh://bob:hunter2@web01', 9, { kind: 'password' }],
    ['ssh://:hunter2@web01', 6, { kind: 'password' }],
    ['web 01', 3, character(' ')],
    ['ssh web01', 3, character(' ')],
    ['web01; reboot', 5, character(';')],
    ['bob@web$(reboot)', 7, character('$')],
    ['web`01', 3, character('`')],
    ['web\\01', 3, character('\\')],
    ['[web|01]:22', 4, character('|')],
    ['we\u0000b', 2, character('\u0000')],
    ['we\u202eb', 2, character('\u202e')],
    ['bob\u2066@web01', 3, character('\u2066')],
    ['ssh://b%E2%80%AE@web01', 6, character('\u202e')],
    ['-J a\u200b,b web01', 4, character('\u200b')],
    ['b"ob@web01', 1, character('"')],
    ['CORP\\b ob@web01', 6, character(' ')],
    ['bob\\@web01', 3, character('\\')],
    ['  b&b@web01', 3, character('&')],
    ['ssh://b%20b@web01', 6, character(' ')],
    ['ssh://ssh:%2F%2Fx@web01', 9, { kind: 'password' }],
    ['ssh://bob%3A%2F%2Fx@web01', 6, character('/')],
    ['ssh://bob:hunter/2@web01/home', 9, { kind: 'password' }],
    ['web01:', 6, badPort('')],
    ['web01:0', 6, badPort('0')],
    ['web01:65536', 6, badPort('65536')],
    ['web01:ssh', 6, badPort('ssh')],
    ['web01:-1', 6, badPort('-1')],
    ['web01: 22', 6, badPort(' 22')],
    ['[::1]:99999', 6, badPort('99999')],
    ['http://web01', 5, badPort('//web01')],
    ['[::1', 0, { kind: 'bracket' }],
    ['bob@[::1]2222', 4, { kind: 'bracket' }],
    ['web]:22', 0, { kind: 'bracket' }],
    ['a]:b:c', 0, { kind: 'bracket' }],
    ['ssh://web01/home', 11, { kind: 'path' }],
    ['-J bastion', 10, { kind: 'hostMissing' }],
    ['web01 -J', 6, { kind: 'optionValue', option: '-J', text: '' }],
    ['-i "" web01', 0, { kind: 'optionValue', option: '-i', text: '' }],
    ['-J a -J b web01', 5, { kind: 'jumpTwice' }],
    ['-J a,,b web01', 5, { kind: 'hostMissing' }],
    ['-J "a,b c" web01', 7, character(' ')],
    ['-J a,b:99999 web01', 7, badPort('99999')],
    ['-J "a,-x" web01', 6, { kind: 'leadingDash' }],
    ['-J a,b@::1 web01', 5, { kind: 'bracket' }],
    ["-J 'a;b' web01", 5, character(';')],
    ['-p 70000 web01', 3, badPort('70000')],
    ['-p22x web01', 2, badPort('22x')],
    ['-l b\\;ob web01', 4, character(';')],
    ['-l ssh://x web01', 7, character('/')],
    ['-l -x web01', 3, { kind: 'leadingDash' }],
    ['-4 web01 db01', 9, { kind: 'word', text: 'db01' }],
    ['-4 -- web01 -p 22', 12, { kind: 'word', text: '-p' }],
    ['-4 web\\ 01', 6, character(' ')],
    ['-4 web01; reboot', 8, character(';')],
    ['-4 web01 > x', 9, character('>')],
    ['-4 web$(reboot)', 6, character('$')],
    ['-4 web$HOST', 6, character('$')],
    ['-i "~/my key web01', 3, { kind: 'quote' }],
    ['-4 web01\\', 8, { kind: 'backslash' }],
    ['-N web01', 0, { kind: 'option', option: '-N', reason: 'needless' }],
    ['-4NL 80:a:80 web01', 2, { kind: 'option', option: '-N', reason: 'needless' }],
    ['-L 80:a:80 web01', 0, { kind: 'option', option: '-L', reason: 'forward' }],
    ['-F x web01', 0, { kind: 'option', option: '-F', reason: 'configFile' }],
    ['-P work web01', 0, { kind: 'option', option: '-P', reason: 'elsewhere' }],
    ['-Z web01', 0, { kind: 'option', option: '-Z', reason: 'unknown' }],
    ['-oProxyCommand=x', 2, { kind: 'option', option: 'ProxyCommand', reason: 'program' }],
    ['-o "ProxyCommand nc a 22" web01', 4, { kind: 'option', option: 'ProxyCommand', reason: 'program' }],
    ['-o StrictHostKeyChecking=no web01', 3, { kind: 'option', option: 'StrictHostKeyChecking', reason: 'hostKey' }],
    ['-o UserKnownHostsFile=/dev/null web01', 3, { kind: 'option', option: 'UserKnownHostsFile', reason: 'hostKey' }],
    ['-o localforward="80 a:80" web01', 3, { kind: 'option', option: 'localforward', reason: 'forward' }],
    ['-o Compression=yes web01', 3, { kind: 'option', option: 'Compression', reason: 'elsewhere' }],
    ['-o =yes web01', 3, { kind: 'optionValue', option: '-o', text: '=yes' }],
    ['-o ConnectTimeout= web01', 18, { kind: 'optionValue', option: 'ConnectTimeout', text: '' }],
    ['-o ConnectTimeout=soon web01', 18, { kind: 'optionValue', option: 'ConnectTimeout', text: 'soon' }],
    ['-o IdentitiesOnly=maybe web01', 18, { kind: 'optionValue', option: 'IdentitiesOnly', text: 'maybe' }],
    ['-o "IdentityAgent=/a b" web01', 18, { kind: 'optionValue', option: 'IdentityAgent', text: '/a b' }],
    ["-o 'IdentityAgent=\"/a b' web01", 18, { kind: 'optionValue', option: 'IdentityAgent', text: '"/a b' }],
    ['-i "/a\nProxyCommand x" web01', 4, { kind: 'optionValue', option: 'IdentityFile', text: '/a\nProxyCommand x' }],
    ['-o PreferredAuthentications=-x web01', 28, { kind: 'optionValue', option: 'PreferredAuthentications', text: '-x' }], // prettier-ignore
    ['-o "HostName=a;b" web01', 13, { kind: 'optionValue', option: 'HostName', text: 'a;b' }],
  ];
  for (const [text, at, problem] of refused)
    it(`refuses ${JSON.stringify(text)}: ${problem.kind} at ${at}`, () =>
      assert.deepEqual(answer(text), { at, problem }));

  for (const setting of [
    'HostKeyAlias=evil',
    'hostkeyalias=a',
    'StreamLocalBindMask=0111',
    'StreamLocalBindUnlink=yes',
    'PermitRemoteOpen=any',
    'PermitRemoteOpen="a:1 b:2"',
  ])
    // prettier-ignore
    it(`leaves to ssh_config what could undo it: ${setting}`, () => {
      const option = setting.split('=')[0]!;
      const problem: DestinationProblem = { kind: 'option', option, reason: 'elsewhere' };
      assert.deepEqual(answer(`-o '${setting}' web01`), { at: 4, problem });
      assert.equal(destinationProblem(problem), `${option} can’t be set here; set it for this host in ssh_config`);
    });

  it('lets no mark of a shell into what %h, %n, %r, %k and %j of the user’s own ssh_config stand for', () => {
    const places: ((mark: string) => string)[] = [
      (mark) => `a${mark}b`,
      (mark) => `a${mark}b@web01`,
      (mark) => `-4 ${quoteShell(`a${mark}b`)}`,
      (mark) => `-l ${quoteShell(`a${mark}b`)} web01`,
      (mark) => `-J ${quoteShell(`x,a${mark}b`)} web01`,
      (mark) => `-J ${quoteShell(`a${mark}b@x`)} web01`,
      (mark) => `-b ${quoteShell(`a${mark}b`)} web01`,
      ...['HostName', 'User', 'ProxyJump', 'BindAddress', 'PreferredAuthentications'].map(
        (keyword) => (mark: string) => `-o ${quoteShell(`${keyword}="a${mark.replace(/["\\]/, '\\$&')}b"`)} web01`,
      ),
    ];
    for (const mark of [
      '$(touch${IFS}/tmp/x)',
      "'",
      '"',
      '`',
      '$',
      ';',
      '&',
      '<',
      '>',
      '|',
      '(',
      ')',
      '{',
      '}',
      ' ',
      '\n',
      '\u202e',
      '\u2028',
    ])
      // prettier-ignore
      for (const place of places) {
        const result = parseDestination(place(mark));
        assert.ok(!result.ok, place(mark));
        assert.ok(['character', 'optionValue'].includes(result.failure.problem.kind), JSON.stringify(result.failure));
      }
  });

  it('refuses a mark that nobody sees in a file’s name', () => {
    for (const option of ['-i', '-oIdentityFile', '-oIdentityAgent'])
      for (const mark of ['\u202e', '\u200b', '\u2028', '\u2029'])
        assert.ok(
          !parseDestination(`${option}${option === '-i' ? '' : '='}'/a${mark}b' web01`).ok,
          `${option} ${mark}`,
        );
  });

  it('names the text of a refusal', () =>
    assert.deepEqual(parseDestination('bob@'), {
      ok: false,
      failure: { kind: 'badDestination', text: 'bob@', at: 4, problem: { kind: 'hostMissing' } },
    }));

  it('takes for host, user and port what ssh takes for them', async function () {
    if (!hasOpenSsh) this.skip();
    const texts = ['web01', 'bob@web01', 'a@b@web01', 'ssh://bob@web01:2222', 'ssh://bob%40x@web01/', 'CORP\\bob@web01', '192.0.2.7', '::1', '%h']; // prettier-ignore
    const theirs = await askEach(texts, async (text): Promise<Destination> => {
      const { stdout } = await run('ssh', ['-G', '-F', '/dev/null', '--', text]);
      const value = (keyword: string) => new RegExp(`^${keyword} (.*)$`, 'm').exec(stdout)?.[1] ?? '';
      const [host, user, port] = [value('host'), value('user'), Number(value('port'))];
      return { host, ...(user !== userInfo().username && { user }), ...(port !== 22 && { port }) };
    });
    assert.deepEqual(texts.map(answer), theirs);
  });

  it('understands options, their order and their values as ssh does', async function () {
    if (!hasOpenSsh) this.skip();
    const options = ['-p 2222', '-l alice', '-oPort=3', '-o User=zed', '-J a,u@b:22', '-J none', '-J a:b:c', '-o ProxyJump=c', '-J ssh://u@a:5', '-4', '-6', '-46', '-o AddressFamily=INET6', '-o AddressFamily=4', '-b 127.0.0.2', '-o "BindAddress 127.0.0.3"', '-o IdentityFile="/etc/hosts"', `-o 'IdentityFile "/etc/passwd"'`, '-i/etc/group', '-o IdentitiesOnly=true', '-o HostName=real', '-o ConnectTimeout=7', '-o ConnectTimeout=x', '-o ServerAliveCountMax=2', '-o NumberOfPasswordPrompts=1', '-o ExitOnForwardFailure=yes', '-o PreferredAuthentications=password', `-o 'IdentityAgent="/a b"'`]; // prettier-ignore
    const some = fc.array(fc.constantFrom(...options), { maxLength: 4 });
    const host = fc.constantFrom('web01', 'bob@web01', 'ssh://bob@web01:9', '-- web01');
    const texts = fc
      .sample(
        // Behind `-- host` stands a command.
        fc
          .tuple(some, host, some)
          .map(([front, host, behind]) => (host.startsWith('--') ? [...front, host] : [...front, host, ...behind])),
        { numRuns: 150, seed: Number(process.env['SSH_TUNNELS_SEED'] ?? Date.now() % 2 ** 31) },
      )
      .map((words) => words.join(' '));
    const ask = async (text: string) => {
      const { code, stdout } = await run('sh', ['-c', `exec ssh -G -F /dev/null ${text}`]);
      return code === 0 ? stdout : undefined;
    };
    const asked = await askEach(texts, async (text) => {
      const read = parseDestination(text);
      return { text, ours: read.ok ? await ask(sshArguments(read.destination)) : undefined, theirs: await ask(text) };
    });
    for (const { text, ours, theirs } of asked) assert.equal(ours, theirs, text);
    const accepted = asked.filter(({ theirs }) => theirs !== undefined).length;
    assert.ok(accepted > 40 && accepted < 150, `${accepted} were accepted`);
  });
});

/** A destination without the port behind its host, which ssh does not take. */
function sshArguments({ host, user, port, options = [] }: Destination): string {
  const words = [...options.flatMap(printOption), host];
  if (user !== undefined) words.unshift('-l', user);
  if (port !== undefined) words.unshift('-p', String(port));
  return words.map(quoteShell).join(' ');
}

describe('printDestination', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'ab1:@[]%/\\-.+ $ü\t') }),
    fc.array(fc.constantFrom('-J ', '-i ', '-o ', '-4', ' ', ' ', '-p 22', '-l ', "'", '"', 'ProxyJump=', 'IdentityFile=', 'IdentityAgent ', 'BindAddress=', 'a:1', '/a b', '#', ',', '\\', 'web01', 'web01', '$x', '\u00a0', 'C:\\'), {maxLength: 9}).map((parts) => parts.join('')), // prettier-ignore
    fc.array(fc.constantFrom('ssh://', 'bob', '@', 'web01', ':', '22', '[::1]', '[', ']', '%2F', '%40', '/', ' ', '\\'), {maxLength: 8}).map((parts) => parts.join('')), // prettier-ignore
  );

  it('prints what reads back as the same destination, and no text makes the reader throw', () => {
    let read = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const result = parseDestination(text);
        if (result.ok) {
          read++;
          assert.deepEqual(answer(printDestination(result.destination)), result.destination);
        } else {
          assert.equal(result.failure.text, text);
          assert.ok(result.failure.at >= 0 && result.failure.at <= text.length, `${result.failure.at}`);
        }
      }),
      { numRuns: 5000 },
    );
    assert.ok(read > 500, `${read} were accepted`);
  });

  it('prints options so that they read back, whatever their values hold', () => {
    const value = fc.string({ unit: fc.constantFrom(...'ab ~/\\\'"#$%=`,;&ü-'), minLength: 1, maxLength: 9 });
    const files = fc.array(fc.tuple(fc.constantFrom('IdentityFile', 'IdentityAgent'), value), { maxLength: 3 });
    const user = fc.option(fc.constantFrom('bob', 'CORP\\bob', 'a@b', 'bob#', '~'), { nil: undefined });
    fc.assert(
      fc.property(files, user, (options, user) => {
        const words = [...options.flatMap(printOption), `${user === undefined ? '' : `${user}@`}web01`];
        const text = `-p 22 ${words.map(quoteShell).join(' ')}`;
        const result = parseDestination(text);
        assert.ok(result.ok, text);
        const kept = result.destination.options ?? [];
        for (const [keyword, text] of options)
          assert.ok(
            kept.some((option) => option[0] === keyword && (keyword === 'IdentityAgent' || option[1] === text)),
          );
        assert.deepEqual(answer(printDestination(result.destination)), result.destination);
      }),
    );
  });

  const table: [Destination, string][] = [
    [{ host: 'web01' }, 'web01'],
    [{ host: 'web01', user: 'bob', port: 2222 }, 'bob@web01:2222'],
    [{ host: '::1' }, '[::1]'],
    [{ host: '::1', user: 'bob', port: 22 }, 'bob@[::1]:22'],
    [{ host: 'web01', options: [['ProxyJump', 'bastion']] }, '-J bastion web01'],
    [{ host: 'web01', options: [['IdentityFile', '~/.ssh/work']] }, '-i ~/.ssh/work web01'],
    [{ host: '::1', port: 22, options: [['AddressFamily', 'inet6']] }, "-6 '[::1]:22'"],
    [
      { host: 'web01', user: 'bob', options: [['IdentityFile', '~/my keys/id'], ['IdentityAgent', '/a b'], ['AddressFamily', 'any']] },
      `-i '~/my keys/id' -o 'IdentityAgent="/a b"' -o AddressFamily=any bob@web01`,
    ], // prettier-ignore
  ];
  for (const [destination, text] of table)
    it(`prints “${text}”`, () => assert.equal(printDestination(destination), text));
});
