import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { canonicalAddress, matchesNetworks, matchesPattern } from '../../src/core/configPattern.js';
import { printSpec } from '../../src/core/forwardSpec.js';
import type { LocalUser } from '../../src/core/sshConfig.js';
import {
  ConfigError,
  optionsOf,
  printConfigLines,
  resolveConfig,
  type ConfigQuery,
  type ConfigWorld,
} from '../../src/core/sshConfigFile.js';

const ann: LocalUser = {
  name: 'ann',
  uid: 1000,
  home: '/home/ann',
  hostName: 'desk.example.com',
  env: { DIR: '/srv' },
  windows: false,
};
const user = '/home/ann/.ssh/config';
const system = '/etc/ssh/ssh_config';

/** A machine with these files, on which nothing runs and no name is known. */
function world(files: Readonly<Record<string, string>>, more: Partial<ConfigWorld> = {}): ConfigWorld {
  return {
    user: ann,
    read: (path) =>
      Promise.resolve(
        Object.hasOwn(files, path)
          ? { kind: 'text' as const, text: files[path]!, isOpen: false }
          : { kind: 'missing' as const },
      ),
    glob: (pattern) => Promise.resolve(Object.keys(files).filter((path) => matchesPattern(path, pattern))),
    addresses: () => ['127.0.0.1', '192.168.7.9', 'fe80::1%eth0'],
    ...more,
  };
}

async function resolve(
  files: string | Readonly<Record<string, string>>,
  more: Partial<ConfigWorld> = {},
  query: Partial<ConfigQuery> = {},
) {
  const written = typeof files === 'string' ? { [user]: files } : files;
  const resolved = await resolveConfig({ host: 'web01', options: [], ...query }, world(written, more));
  const line = (keyword: string) => resolved.lines.find((one) => one.keyword === keyword);
  return {
    ...resolved,
    value: (keyword: string) => line(keyword)?.value,
    source: (keyword: string) => line(keyword)?.source,
  };
}

const from = (file: string, line: number) => ({ kind: 'file', origin: { file, line } });
const matches = async (criteria: string, more: Partial<ConfigWorld> = {}, before = '') =>
  (await resolve(`${before}\nMatch ${criteria}\n  Port 7`, more)).value('port') === '7';

describe('resolveConfig', () => {
  it('says of each value which line it comes from', async () => {
    const found = await resolve(
      {
        [user]: '# mine\nHost web*\n  User bob\n  Include work\n  IdentityFile ~/a\n',
        '/home/ann/.ssh/work': '\nPort 2222\nLocalForward 8080 db:80',
        [system]: 'Host *\n  User nobody\n  HashKnownHosts yes\n  IdentityFile /b',
      },
      {},
      { options: [['ConnectTimeout', '5']] },
    );
    assert.deepEqual(found.source('user'), from(user, 3));
    assert.deepEqual(found.source('port'), from('/home/ann/.ssh/work', 2));
    assert.deepEqual(found.source('hashknownhosts'), from(system, 3));
    assert.deepEqual(found.source('connecttimeout'), { kind: 'given' });
    assert.deepEqual(found.source('batchmode'), { kind: 'default' });
    assert.deepEqual(
      found.lines.filter(({ keyword }) => keyword === 'identityfile').map(({ value, source }) => [value, source]),
      [
        ['~/a', from(user, 5)],
        ['/b', from(system, 4)],
      ],
    );
    assert.deepEqual(
      found.forwards.map(({ spec, source }) => [printSpec(spec), source]),
      [['-L 8080:db:80', from('/home/ann/.ssh/work', 3)]],
    );
    assert.deepEqual(found.files, [user, '/home/ann/.ssh/work', system]);
  });

  it('reads no file for “none”, the given one alone, or the user’s and the system’s', async () => {
    const files = { [user]: 'Port 1', [system]: 'Port 2\nUser bob', '/x': 'User carl' };
    const values = async (configFile?: string) => {
      const found = await resolve(files, {}, configFile === undefined ? {} : { configFile });
      return [found.value('port'), found.value('user')];
    };
    assert.deepEqual(await values(), ['1', 'bob']);
    assert.deepEqual(await values('/x'), ['22', 'carl']);
    assert.deepEqual(await values('none'), ['22', 'ann']);
    assert.deepEqual((await resolve({})).files, [user, system]);
  });

  it('tells which files would be read, were they there', async () =>
    assert.deepEqual((await resolve('Include later /abs *.conf')).files, [user, '/home/ann/.ssh/later', '/abs', '/home/ann/.ssh/*.conf', system])); // prettier-ignore

  it('takes a relative Include from the folder of its file, and ~ in the user’s alone', async () => {
    const files = { [system]: 'Include a', '/etc/ssh/a': 'Port 1', '/home/ann/.ssh/a': 'Port 2' };
    assert.equal((await resolve(files)).value('port'), '1');
    assert.equal((await resolve({ ...files, [user]: 'Include ~/.ssh/a' })).value('port'), '2');
    await assert.rejects(
      resolve({ [system]: '\nInclude ~/x' }),
      new RegExp(`^Error: ${system} line 2: bad include path ~/x\\.$`),
    );
  });

  it('carries the place of an error apart from its words', async () => {
    const error = await resolve({ [user]: 'Include a', '/home/ann/.ssh/a': '\n\nPort x' }).catch((thrown: unknown) => thrown); // prettier-ignore
    assert.ok(error instanceof ConfigError);
    assert.deepEqual([error.origin, error.detail], [{ file: '/home/ann/.ssh/a', line: 3 }, "Bad port 'x'."]);
    assert.deepEqual(error.files, [user, '/home/ann/.ssh/a']);
  });

  it('runs no program unless it may, and tells of every line that has one', async () => {
    const ran: string[] = [];
    const run = (command: string) => {
      ran.push(command);
      return Promise.resolve(true);
    };
    const config = 'Match exec "check %h %p"\nPort 1\nMatch host nope exec a\nUser a\nHost nope\nMatch !exec b\nUser b';
    const without = await resolve(config);
    assert.deepEqual([without.value('port'), without.value('user')], ['22', 'ann']);
    assert.deepEqual(without.programs.map(({ line }) => line), [1, 3, 6]); // prettier-ignore
    const running = await resolve(config, { run });
    assert.deepEqual([running.value('port'), running.value('user')], ['1', 'ann']);
    assert.deepEqual(ran, ['check web01 22', 'b']);
  });

  it('counts what only ssh can find as one that may run a program', async () => {
    assert.equal((await resolve('Include ~bob/x')).programs.length, 1);
    assert.equal((await resolve('Include /x/[[:alpha:]]')).programs.length, 1);
    assert.equal((await resolve('Include ${DIR}/x\nHost no\nInclude /%h')).programs.length, 2);
    assert.equal((await resolve('Include ~/x /y/[ab]*')).programs.length, 0);
  });

  it('matches networks of this machine', async () => {
    assert.equal(await matches('localnetwork 192.168.7.0/24'), true);
    assert.equal(await matches('localnetwork 10.0.0.0/8,fe80::/10'), true);
    assert.equal(await matches('localnetwork 10.0.0.0/8'), false);
    assert.equal(await matches('!localnetwork 10.0.0.0/8'), true);
    assert.equal(await matches('localnetwork !192.168.7.9,192.168.7.0/24'), false);
    await assert.rejects(matches('localnetwork 192.168.7.9/24'), /Invalid network entry/);
    await assert.rejects(matches('localnetwork home'), /line 2: Bad Match condition/);
  });

  it('matches tags, versions, and the session of a tunnel', async () => {
    assert.equal(await matches('tagged work,home', {}, 'Tag home'), true);
    assert.equal(await matches('tagged work', {}, 'Tag home'), false);
    assert.equal(await matches('tagged ""'), true);
    assert.equal(await matches('tagged *'), false);
    assert.equal(await matches('version OpenSSH_10.*'), true);
    assert.equal(await matches('sessiontype none'), true);
    assert.equal(await matches('sessiontype shell'), false);
    assert.equal(await matches('command ""'), true);
    assert.equal(await matches('command rsync*'), false);
  });

  it('refuses a connection that RefuseConnection refuses, with its reason', async () => {
    await assert.rejects(resolve('Host web*\n  RefuseConnection "use web02"'), /line 2: RefuseConnection: use web02$/);
    assert.equal((await resolve('Host db\nRefuseConnection x')).value('port'), '22');
  });

  it('prints newer options only where they are written', async () => {
    const found = await resolve('Tag x\nObscureKeystrokeTiming no\nChannelTimeout *=5m session=1h\nVersionAddendum y');
    assert.deepEqual(['tag', 'obscurekeystroketiming', 'channeltimeout', 'versionaddendum'].map(found.value), [
      'x',
      'no',
      '*=5m session=1h',
      'y',
    ]);
    assert.doesNotMatch(printConfigLines(await resolve('')), /^(tag|obscure|channeltimeout|version)/m);
  });

  it('knows algorithms of a newer OpenSSH, and leaves its own lists as they are', async () => {
    assert.match((await resolve('KexAlgorithms ^mlkem768x25519-sha256')).value('kexalgorithms')!, /^mlkem768x25519-sha256,sntrup/); // prettier-ignore
    assert.doesNotMatch((await resolve('')).value('kexalgorithms')!, /mlkem/);
  });

  it('has the jump host in %C and %j', async () => {
    const { value } = await resolve('ProxyJump bob@jump:22\nControlPath /%C/%j/%i/%L/%l');
    const hash = createHash('sha1').update('desk.example.comweb0122annjump').digest('hex');
    assert.equal(value('controlpath'), `/${hash}/jump/1000/desk/desk.example.com`);
  });

  it('keeps a blank within a file’s name apart from one between two', async () => {
    const found = await resolve('UserKnownHostsFile "~/a b" c');
    assert.equal(found.value('userknownhostsfile'), '/home/ann/a b c');
    assert.deepEqual(optionsOf(found).get('userknownhostsfile'), ['"/home/ann/a b" "c"']);
  });

  describe('with CanonicalizeHostname', () => {
    const names: Readonly<Record<string, string | undefined>> = {
      'web01.a.example.com.': undefined,
      'db.b.example.com.': 'real.c.example.org.',
      'web01': 'elsewhere.example.org',
      'full.example.com.': 'cname.example.net',
    }; // prettier-ignore
    const asked: string[] = [];
    const lookUp: ConfigWorld['lookUp'] = (name) => {
      asked.push(name);
      if (!Object.hasOwn(names, name)) return Promise.resolve(undefined);
      const canonical = names[name];
      return Promise.resolve(canonical === undefined ? {} : { canonical });
    };
    const config = 'CanonicalizeHostname yes\nCanonicalDomains b.example.com a.example.com\n';
    const name = async (text: string, host: string) => {
      const found = await resolve(config + text, { lookUp }, { host });
      return [found.value('hostname'), found.value('port')];
    };

    it('tries the domains in turn, and reads the files again with the name that was found', async () => {
      asked.length = 0;
      assert.deepEqual(await name('Host *.a.example.com\n  Port 5\nMatch canonical\n  User x', 'web01'), ['web01.a.example.com', '5']); // prettier-ignore
      assert.deepEqual(asked, ['web01.b.example.com.', 'web01.a.example.com.']);
    });

    it('follows a CNAME where a rule permits it', async () => {
      assert.deepEqual(await name('', 'db'), ['db.b.example.com', '22']);
      assert.deepEqual(await name('CanonicalizePermittedCNAMEs *.b.example.com:*.example.org', 'db'), ['real.c.example.org', '22']); // prettier-ignore
      assert.deepEqual(await name('CanonicalizePermittedCNAMEs *.b.example.com:*.net', 'db'), [
        'db.b.example.com',
        '22',
      ]);
    });

    it('takes an anchored name as it is', async () =>
      assert.deepEqual(await name('', 'full.example.com.'), ['full.example.com', '22']));

    it('leaves a name with dots enough, one behind a proxy, and one that nobody knows', async () => {
      assert.deepEqual(await name('', 'a.b.c'), ['a.b.c', '22']);
      assert.deepEqual(await name('ProxyJump jump', 'web01'), ['web01', '22']);
      assert.deepEqual(await name('', 'nobody'), ['nobody', '22']);
      const always = await resolve(config.replace('yes', 'always') + 'ProxyJump jump', { lookUp });
      assert.equal(always.value('hostname'), 'web01.a.example.com');
    });

    it('refuses a name that nobody knows without CanonicalizeFallbackLocal', () =>
      assert.rejects(name('CanonicalizeFallbackLocal no', 'nobody'), /Could not resolve host "nobody"/));

    it('looks nothing up where that is not wanted', async () =>
      assert.equal((await resolve(`${config}CanonicalizeFallbackLocal no`)).value('hostname'), 'web01'));
  });

  it('knows the option that Apple’s ssh has, and there alone', async () => {
    const config = 'UseKeychain yes\nPort 7';
    assert.equal((await resolve(config, { user: { ...ann, mac: true } })).value('port'), '7');
    await assert.rejects(resolve(config, { user: ann }), /Bad configuration option: usekeychain/i);
  });

  describe('on Windows', () => {
    const windows: LocalUser = {
      name: 'ann',
      home: 'C:\\Users\\Ann Lee',
      hostName: 'desk',
      env: { ProgramData: 'D:\\Data' },
      windows: true,
    };
    it('reads the files of the user and of %ProgramData%, and what they include', async () => {
      const found = await resolve(
        {
          'C:\\Users\\Ann Lee\\.ssh\\config': 'User bob\nInclude work "C:\\keys\\more" ~\\last\nIdentityFile C:\\keys\\id\nIdentityFile ~\\x\n', // prettier-ignore
          'C:\\Users\\Ann Lee\\.ssh/work': 'Port 1\n',
          'C:\\keys\\more': 'HostName more',
          'C:\\Users\\Ann Lee\\last': 'Compression yes',
          'D:\\Data\\ssh\\ssh_config': 'User nobody\nInclude all\n',
          'D:\\Data\\ssh/all': 'ConnectTimeout 9',
        },
        { user: windows },
      );
      assert.deepEqual(['user', 'port', 'hostname', 'compression', 'connecttimeout', 'identityfile'].map(found.value), [
        'bob',
        '1',
        'more',
        'yes',
        '9',
        'C:\\keys\\id',
      ]);
      assert.deepEqual(found.source('connecttimeout'), from('D:\\Data\\ssh/all', 1));
      assert.deepEqual(optionsOf(found).get('userknownhostsfile'), [
        '"C:\\Users\\Ann Lee\\.ssh/known_hosts" "C:\\Users\\Ann Lee\\.ssh/known_hosts2"',
      ]);
      assert.equal(found.value('globalknownhostsfile'), 'D:\\Data\\ssh/ssh_known_hosts D:\\Data\\ssh/ssh_known_hosts2');
    });

    it('has no %i', () =>
      assert.rejects(resolve({ 'C:\\Users\\Ann Lee\\.ssh\\config': 'ControlPath %i' }, { user: windows }), /unknown key %i/)); // prettier-ignore
  });

  it('never throws anything but its own error, and ends', async function () {
    this.timeout(60_000);
    const words = ['Host', 'Match', 'Include', 'exec', 'host', 'final', 'all', 'User', 'Port', 'IdentityFile', 'ProxyJump', 'ProxyCommand', 'LocalForward', 'UserKnownHostsFile', 'SetEnv', 'SendEnv', 'RekeyLimit', 'IPQoS', 'Ciphers', 'localnetwork', 'CanonicalizeHostname', 'CanonicalDomains', '*', '!', ',', '"', "'", '\\', '=', '#', ' ', '\t', '\n', '\r\n', '\0', '%', '%h', '${', '${DIR}', '}', '~', '/', '/etc/ssh/a', 'a', '::', '[', ']', ':', '-', '+', '^', '1', '99999999999999999999', 'é', '\ud800']; // prettier-ignore
    const text = fc.oneof(
      fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((some) => some.join('')),
      fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((some) => some.join(' ')),
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('utf8')),
    );
    await fc.assert(
      fc.asyncProperty(text, text, async (mine, included) => {
        const files = { [user]: mine, '/etc/ssh/a': included };
        const lookUp = () => Promise.resolve({ canonical: included });
        try {
          const { lines } = await resolveConfig({ host: 'web01', options: [] }, world(files, { lookUp }));
          assert.ok(lines.length > 60);
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('ends soon for very many lines, and for very many words', async function () {
    this.timeout(20_000);
    const many = (count: number, make: (at: number) => string, between = '\n') =>
      Array.from({ length: count }, (_, at) => make(at)).join(between);
    for (const [keyword, text] of [
      ['localforward', many(20_000, (at) => `LocalForward ${at + 1} x:1`)],
      ['sendenv', many(30_000, (at) => `SendEnv A${at}`)],
      ['setenv', `SetEnv ${many(80_000, (at) => `A${at}=1`, ' ')}`],
    ] as const) {
      const started = performance.now();
      const { lines } = await resolve(text);
      assert.ok(lines.filter((line) => line.keyword === keyword).length >= 20_000);
      assert.ok(performance.now() - started < 5000, keyword);
    }
  });

  it('ends soon for long lines and many stars', async () => {
    const long = 'a'.repeat(100_000);
    const stars = `Host ${'*a'.repeat(2000)}b`;
    const started = performance.now();
    for (const text of [`User ${long}`, `Host ${long}`, `${' '.repeat(100_000)}x`, `Match host ${'*,'.repeat(50_000)}`, `ConnectTimeout ${'1m'.repeat(50_000)}x`, `ProxyJump ${'a,'.repeat(20_000)}a`, `LocalForward ${':'.repeat(50_000)} x`, `Port ${' '.repeat(100_000)}`, `RekeyLimit ${'9'.repeat(100_000)}`, `CanonicalDomains ${'a.'.repeat(50_000)}`]) await resolve(text).catch(() => {}); // prettier-ignore
    await resolve(stars, {}, { host: 'a'.repeat(5000) });
    assert.ok(performance.now() - started < 5000, `${performance.now() - started} ms`);
  });
});

describe('matchesPattern', () => {
  it('is what a regular expression of the same meaning is', () =>
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', '.') }),
        fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?') }),
        (text, pattern) => {
          const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
          assert.equal(matchesPattern(text, pattern), new RegExp(`^${source}$`).test(text));
        },
      ),
    ));
});

describe('matchesNetworks', () => {
  const table: [addresses: string[], list: string, expected: boolean | undefined][] = [
    [['10.1.2.3'], '10.0.0.0/8', true],
    [['10.1.2.3'], '10.1.2.3', true],
    [['10.1.2.3'], '10.1.2.3/33', undefined],
    [['10.1.2.3'], '10.1.2.3/', undefined],
    [['10.1.2.3'], '0.0.0.0/0', true],
    [['2001:db8::5'], '2001:db8::/32', true],
    [['2001:db8::5'], '0.0.0.0/0', false],
    [['::1'], '::1/128,10.0.0.0/8', true],
    [[], '10.0.0.0/8', false],
    [['10.1.2.3'], '', undefined],
  ];
  for (const [addresses, list, expected] of table)
    it(`says ${expected} of ${addresses.join()} in “${list}”`, () => assert.equal(matchesNetworks(addresses, list), expected)); // prettier-ignore
});

describe('canonicalAddress', () => {
  const table: [text: string, address: string | undefined][] = [
    ['web01', undefined],
    ['1.2.3.4', '1.2.3.4'],
    ['1.2.3', '1.2.0.3'],
    ['256.1.1.1', undefined],
    ['1.2.3.4.5', undefined],
    ['08.1.1.1', undefined],
    ['0xff.1', '255.0.0.1'],
    ['4294967296', undefined],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::', '::'],
    ['::1.2.3.4', '::1.2.3.4'],
    ['1::2::3', undefined],
    ['1:2:3', undefined],
    ['fe80::1%lo', 'fe80::1%lo'],
    ['', undefined],
    [':', undefined],
  ];
  for (const [text, address] of table)
    it(`makes ${address} of “${text}”`, () => assert.equal(canonicalAddress(text), address));
});
