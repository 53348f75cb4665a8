import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { connectionTokens } from '../../src/core/configTokens.js';
import {
  expandPath,
  hostConfig,
  isOverridable,
  knownHostsName,
  parseOptionLines,
  serverText,
  type HostConfig,
  type LocalUser,
} from '../../src/core/sshConfig.js';
import { hasOpenSsh, run } from '../support/openSsh.js';

// ssh takes the user's name and home from the password database, and so must what it is compared with.
const { username: name, homedir: home } = userInfo();
const local: LocalUser = {
  name,
  home,
  hostName: 'here',
  env: { SSH_AUTH_SOCK: '/run/agent', MY_AGENT: '/run/mine' },
  windows: false,
};
const ann: LocalUser = { name: 'ann', home: '/home/ann', hostName: 'here', env: {}, windows: false };

const byHand = (lines: string, user = ann) => hostConfig('web01', parseOptionLines(lines), user);

describe('the options that ssh -G prints', () => {
  let folder: string;
  before(function () {
    if (!hasOpenSsh) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-config-'));
  });
  after(() => folder && rmSync(folder, { recursive: true }));

  async function optionsOf(config: string, alias: string) {
    const file = join(folder, 'config');
    writeFileSync(file, config);
    const { code, stdout, stderr } = await run('ssh', ['-G', '-F', file, alias], { ...process.env, ...local.env });
    assert.equal(code, 0, stderr);
    return parseOptionLines(stdout);
  }

  const cases: { title: string; config: string; alias?: string; expected: Partial<HostConfig> }[] = [
    {
      title: 'name, user and port of a host',
      config: 'Host web01\n  HostName web01.example.com\n  User bob\n  Port 2222',
      expected: { alias: 'web01', hostName: 'web01.example.com', user: 'bob', port: 2222 },
    },
    {
      title: 'the first value of several blocks, and patterns',
      config: 'Host web*\n  Port 2201\nHost web01\n  Port 2202\n  User bob\nHost *\n  HostName %h.example.com',
      expected: { hostName: 'web01.example.com', user: 'bob', port: 2201 },
    },
    {
      title: 'a name in capitals as ssh has it, in small letters',
      config: '',
      alias: 'WEB01',
      expected: { alias: 'WEB01', hostName: 'web01', user: name, port: 22 },
    },
    {
      title: 'identity files with ~, tokens, quotes and variables',
      config: 'User bob\nPort 2222\nIdentityFile ~/.ssh/id_web\nIdentityFile %d/keys/%r@%h:%p-%n-%%\nIdentityFile "~/my keys/%u"\nIdentityFile ${MY_AGENT}.pub\nIdentitiesOnly yes', // prettier-ignore
      expected: {
        identityFiles: [
          `${home}/.ssh/id_web`,
          `${home}/keys/bob@web01:2222-web01-%`,
          `${home}/my keys/${name}`,
          '/run/mine.pub',
        ],
        identitiesOnly: true,
      },
    },
    { title: 'no identity files', config: 'IdentityFile none', expected: { identityFiles: [], identitiesOnly: false } },
    {
      title: 'lists of known hosts files, one with a blank in its name',
      config: 'UserKnownHostsFile ~/.ssh/known_a "/tmp/known hosts" %d/known_%h\nGlobalKnownHostsFile /etc/known_a /etc/known_b', // prettier-ignore
      expected: {
        userKnownHostsFiles: [`${home}/.ssh/known_a`, '/tmp/known hosts', `${home}/known_web01`],
        globalKnownHostsFiles: ['/etc/known_a', '/etc/known_b'],
      },
    },
    {
      title: 'no known hosts files',
      config: 'UserKnownHostsFile none\nGlobalKnownHostsFile none\nHashKnownHosts yes',
      expected: { userKnownHostsFiles: [], globalKnownHostsFiles: [], hashKnownHosts: true },
    },
    {
      title: 'times with units',
      config: 'ServerAliveInterval 1m\nServerAliveCountMax 7\nConnectTimeout 1m30s',
      expected: { serverAliveInterval: 60, serverAliveCountMax: 7, connectTimeout: 90 },
    },
    {
      title: 'our own times where nobody set any',
      config: '',
      expected: { serverAliveCountMax: 3, connectTimeout: 20 },
    },
    {
      title: 'when new keys are due',
      config: 'RekeyLimit 1.5M 1h',
      expected: { rekeyLimit: { bytes: 1_572_864, seconds: 3600 } },
    },
    { title: 'no bytes after which they are', config: 'RekeyLimit default 30m', expected: { rekeyLimit: { bytes: 0, seconds: 1800 } } }, // prettier-ignore
    { title: 'the ciphers’ own limit', config: 'RekeyLimit default none', expected: { rekeyLimit: undefined } },
    {
      title: 'ways to log in',
      config: 'PreferredAuthentications password,publickey\nNumberOfPasswordPrompts 1\nBatchMode yes\nExitOnForwardFailure yes', // prettier-ignore
      expected: {
        preferredAuthentications: ['password', 'publickey'],
        numberOfPasswordPrompts: 1,
        batchMode: true,
        exitOnForwardFailure: true,
      },
    },
    { title: 'no agent', config: 'IdentityAgent none', expected: { identityAgent: undefined } },
    { title: 'the agent’s path', config: 'IdentityAgent ~/.agent', expected: { identityAgent: `${home}/.agent` } },
    { title: 'an agent by variable', config: 'IdentityAgent $MY_AGENT', expected: { identityAgent: '/run/mine' } },
    { title: 'an agent by unset variable', config: 'IdentityAgent $NOBODY', expected: { identityAgent: undefined } },
    {
      title: 'the standard agent by name',
      config: 'IdentityAgent SSH_AUTH_SOCK',
      expected: { identityAgent: '/run/agent' },
    },
    { title: 'the standard agent', config: '', expected: { identityAgent: '/run/agent' } },
    { title: 'IPv4 only', config: 'AddressFamily inet', expected: { addressFamily: 4 } },
    { title: 'IPv6 only', config: 'AddressFamily inet6', expected: { addressFamily: 6 } },
    { title: 'any family', config: 'AddressFamily any', expected: { addressFamily: 0 } },
    { title: 'no jump host', config: 'ProxyJump none\nProxyJump bastion', expected: { proxyJump: [] } },
    {
      title: 'jump hosts, nearest first, with users, ports and tokens',
      config: 'HostName 192.0.2.1\nUser bob\nPort 2222\nProxyJump ann@gw:2022,[2001:db8::1]:22,DOM\\bob@x%%y,%r@gw-%h-%n-%p', // prettier-ignore
      expected: {
        proxyJump: [
          { host: 'gw', user: 'ann', port: 2022 },
          { host: '2001:db8::1', port: 22 },
          { host: 'x%y', user: 'DOM\\bob' },
          { host: 'gw-192.0.2.1-web01-2222', user: 'bob' },
        ],
      },
    },
    {
      title: 'a jump host as a URI',
      config: 'ProxyJump ssh://ann@gw.example.com:2022',
      expected: { proxyJump: [{ host: 'gw.example.com', user: 'ann', port: 2022 }] },
    },
    { title: 'the length of RSA keys', config: 'RequiredRSASize 3072', expected: { requiredRsaBits: 3072 } },
    {
      title: 'trust in localhost',
      config: 'NoHostAuthenticationForLocalhost yes',
      expected: { trustsLocalhost: true },
    },
    { title: 'a host key’s alias', config: 'HostKeyAlias web', expected: { hostKeyAlias: 'web' } },
    ...(
      [
        ['ask', 'ask'],
        ['accept-new', 'accept-new'],
        ['yes', 'yes'],
        ['no', 'no'],
        ['off', 'no'],
      ] as const
    ).map(([written, strictHostKeyChecking]) => ({
      title: `StrictHostKeyChecking ${written}`,
      config: `StrictHostKeyChecking ${written}`,
      expected: { strictHostKeyChecking },
    })),
  ];
  for (const { title, config, alias = 'web01', expected } of cases)
    it(`give ${title}`, async () => {
      const made = hostConfig(alias, await optionsOf(config, alias), local);
      const compared = Object.keys(expected).map((key) => [key, made[key as keyof HostConfig]] as const);
      assert.deepEqual(Object.fromEntries(compared), expected);
    });

  it('give all of a host’s options when nothing is set', async () => {
    const { identityFiles, globalKnownHostsFiles, algorithms, ...rest } = hostConfig(
      'web01',
      await optionsOf('', 'web01'),
      local,
    );
    assert.ok(identityFiles.includes(`${home}/.ssh/id_ed25519`), identityFiles.join());
    assert.equal(globalKnownHostsFiles.length, 2);
    assert.ok(algorithms.cipher?.includes('aes128-gcm@openssh.com'));
    assert.ok(algorithms.kex?.includes('curve25519-sha256'));
    assert.ok(algorithms.mac?.includes('hmac-sha2-256'));
    assert.ok(algorithms.hostKey?.includes('ssh-ed25519'));
    assert.deepEqual(rest, {
      alias: 'web01',
      hostName: 'web01',
      port: 22,
      user: name,
      proxyJump: [],
      connectionAttempts: 1,
      addressFamily: 0,
      certificateFiles: [],
      identitiesOnly: false,
      identityAgent: '/run/agent',
      userKnownHostsFiles: [`${home}/.ssh/known_hosts`, `${home}/.ssh/known_hosts2`],
      strictHostKeyChecking: 'ask',
      hashKnownHosts: false,
      visualHostKey: false,
      requiredRsaBits: 1024,
      trustsLocalhost: false,
      checkHostIp: false,
      updateHostKeys: 'yes',
      preferredAuthentications: ['publickey', 'keyboard-interactive', 'password'],
      numberOfPasswordPrompts: 3,
      batchMode: false,
      connectTimeout: 20,
      // Nobody set it, which resolveRoute finds out.
      serverAliveInterval: 0,
      serverAliveCountMax: 3,
      exitOnForwardFailure: false,
      gatewayPorts: false,
      streamLocalBindMask: 0o177,
      streamLocalBindUnlink: false,
      tokens: connectionTokens({ original: 'web01', hostName: 'web01', port: 22, user: name, jump: '' }, local),
    } satisfies Omit<HostConfig, 'identityFiles' | 'globalKnownHostsFiles' | 'algorithms'>);
  });
});

describe('parseOptionLines', () => {
  it('keeps the values of each keyword in order, in whatever letters and line ends', () =>
    assert.deepEqual(
      [...parseOptionLines('Port 22\r\nidentityfile  ~/a b \nIDENTITYFILE ~/c\n\nuser\n')],
      [
        ['port', ['22']],
        ['identityfile', ['~/a b', '~/c']],
        ['user', ['']],
      ],
    ));

  it('never throws', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.array(fc.constantFrom('Host', 'Include', ' ', '=', '"', '*', 'web01', '\n', '\r\n', '#', '\t')).map((parts) => parts.join('')), // prettier-ignore
    );
    fc.assert(
      fc.property(texts, (text) => {
        for (const values of parseOptionLines(text).values()) assert.ok(values.length > 0);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('hostConfig', () => {
  it('takes OpenSSH’s defaults for what is not given', () =>
    assert.deepEqual(byHand(''), {
      alias: 'web01',
      hostName: 'web01',
      port: 22,
      user: 'ann',
      proxyJump: [],
      connectionAttempts: 1,
      addressFamily: 0,
      identityFiles: ['rsa', 'ecdsa', 'ecdsa_sk', 'ed25519', 'ed25519_sk'].map((type) => `/home/ann/.ssh/id_${type}`),
      certificateFiles: [],
      identitiesOnly: false,
      userKnownHostsFiles: ['/home/ann/.ssh/known_hosts', '/home/ann/.ssh/known_hosts2'],
      globalKnownHostsFiles: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
      strictHostKeyChecking: 'ask',
      hashKnownHosts: false,
      visualHostKey: false,
      requiredRsaBits: 1024,
      trustsLocalhost: false,
      checkHostIp: false,
      updateHostKeys: 'no',
      preferredAuthentications: ['publickey', 'keyboard-interactive', 'password'],
      algorithms: {},
      numberOfPasswordPrompts: 3,
      batchMode: false,
      connectTimeout: 20,
      serverAliveInterval: 15,
      serverAliveCountMax: 3,
      exitOnForwardFailure: false,
      gatewayPorts: false,
      streamLocalBindMask: 0o177,
      streamLocalBindUnlink: false,
      tokens: {
        '%': '%',
        C: createHash('sha1').update('hereweb0122ann').digest('hex'),
        L: 'here',
        d: '/home/ann',
        h: 'web01',
        j: '',
        k: 'web01',
        l: 'here',
        n: 'web01',
        p: '22',
        r: 'ann',
        u: 'ann',
      },
    } satisfies HostConfig));

  it('leaves out the methods that are switched off', () => {
    assert.deepEqual(byHand('pubkeyauthentication no').preferredAuthentications, ['keyboard-interactive', 'password']);
    assert.deepEqual(byHand('passwordauthentication No').preferredAuthentications, [
      'publickey',
      'keyboard-interactive',
    ]);
    assert.deepEqual(byHand('pubkeyauthentication host-bound').preferredAuthentications, [
      'publickey',
      'keyboard-interactive',
      'password',
    ]);
  });

  it('keeps times within what a timer takes', () => {
    assert.equal(byHand('connecttimeout 5w').connectTimeout, 2_147_483);
    // A program may be waiting for a person.
    assert.equal(byHand('proxycommand cloudflared %h').connectTimeout, 300);
    assert.equal(byHand('proxycommand cloudflared %h\nconnecttimeout 7').connectTimeout, 7);
    assert.equal(byHand('serveraliveinterval 3000000').serverAliveInterval, 2_147_483);
  });

  it('asks the server whether it lives unless told not to', () => {
    assert.equal(byHand('').serverAliveInterval, 15);
    assert.equal(byHand('serveraliveinterval 0').serverAliveInterval, 0);
  });

  it('reads the system-wide files as ssh prints them on Windows', () => {
    const made = hostConfig(
      'web01',
      parseOptionLines(
        'globalknownhostsfile __PROGRAMDATA__\\ssh/ssh_known_hosts __PROGRAMDATA__\\ssh/ssh_known_hosts2',
      ),
      {
        ...local,
        windows: true,
        env: { ProgramData: 'C:\\ProgramData' },
      },
    );
    assert.deepEqual(made.globalKnownHostsFiles, [
      'C:\\ProgramData\\ssh/ssh_known_hosts',
      'C:\\ProgramData\\ssh/ssh_known_hosts2',
    ]);
  });

  const wrong: [string, string][] = [
    ['port 0', 'port 0: expected a number'],
    ['port 65536', 'port 65536: expected 1 to 65535'],
    ['port ssh', 'port ssh: expected a number'],
    ['addressfamily ipx', 'addressfamily ipx: expected any, inet or inet6'],
    ['stricthostkeychecking maybe', 'stricthostkeychecking maybe: expected ask, accept-new, yes or no'],
    ['identitiesonly 1', 'identitiesonly 1: expected yes or no'],
    ['proxyjump a,,b', 'proxyjump a,,b: a host is missing'],
    ['proxyjump a,-b', 'proxyjump a,-b: -b is not a host'],
    ['proxyjump %x', 'proxyjump %x: unknown token %x'],
    ['proxyjump a%', 'proxyjump a%: unknown token %'],
    ['batchmode', 'batchmode : expected yes or no'],
    ['connecttimeout soon', 'connecttimeout soon: expected a time'],
    ['connecttimeout 0', 'connecttimeout 0: expected a time'],
    ['serveraliveinterval -1', 'serveraliveinterval -1: expected a time'],
    ['serveraliveinterval 5x', 'serveraliveinterval 5x: expected a time'],
    ['rekeylimit 1M', 'rekeylimit 1M: expected bytes and seconds'],
    ['serveralivecountmax 1.5', 'serveralivecountmax 1.5: expected a number'],
    ['numberofpasswordprompts x', 'numberofpasswordprompts x: expected a number'],
  ];
  for (const [line, message] of wrong)
    it(`says “${message}”`, () => assert.throws(() => byHand(line), new Error(message)));

  it('reads values as they are written by hand', () => {
    const made = byHand('connecttimeout 1h2M3\nserveraliveinterval 2w\nidentitiesonly TRUE\naddressfamily INET6\nhashknownhosts on'); // prettier-ignore
    assert.deepEqual(
      [made.connectTimeout, made.serverAliveInterval, made.identitiesOnly, made.addressFamily, made.hashKnownHosts],
      [3723, 1_209_600, true, 6, true],
    );
  });

  it('jumps nowhere when nothing is named', () => {
    for (const line of ['proxyjump', 'proxyjump ""', 'proxyjump NONE', ''])
      assert.deepEqual(byHand(line).proxyJump, [], line);
  });

  it('takes the pipe of OpenSSH’s agent and the machine’s known hosts on Windows', () => {
    const windows = {
      name: 'ann',
      home: 'C:\\Users\\Ann Lee',
      hostName: 'here',
      env: { ProgramData: 'C:\\ProgramData' },
      windows: true,
    };
    const made = byHand(
      'userknownhostsfile C:\\Users\\Ann Lee/.ssh/known_hosts C:\\Users\\Ann Lee/.ssh/known_hosts2',
      windows,
    );
    assert.equal(made.identityAgent, '\\\\.\\pipe\\openssh-ssh-agent');
    assert.deepEqual(made.globalKnownHostsFiles, ['C:\\ProgramData/ssh/ssh_known_hosts']);
    assert.deepEqual(made.userKnownHostsFiles, [
      'C:\\Users\\Ann Lee/.ssh/known_hosts',
      'C:\\Users\\Ann Lee/.ssh/known_hosts2',
    ]);
  });

  it('parts quoted files by their quotes', () =>
    assert.deepEqual(byHand('userknownhostsfile "a b" c "~/d e"').userKnownHostsFiles, ['a b', 'c', '/home/ann/d e']));
});

describe('expandPath', () => {
  const user: LocalUser = { ...ann, home: '/home/100%h', env: { KEYS: '%h/keys' } };
  const expand = (text: string) => expandPath(text, { '%': '%', h: 'web01' }, user);
  const table: [string, string][] = [
    ['~/.ssh/%h', '/home/100%h/.ssh/web01'],
    ['~', '/home/100%h'],
    ['~bob/x', '~bob/x'],
    ['/a/~/b', '/a/~/b'],
    ['${KEYS}/%%h', '%h/keys/%h'],
    ['${NOPE}/%x%', '${NOPE}/%x%'],
  ];
  for (const [text, expected] of table)
    it(`makes “${expected}” of “${text}”`, () => assert.equal(expand(text), expected));
});

describe('the names of a host', () => {
  it('stand in known_hosts with a port other than 22, or as HostKeyAlias', () => {
    assert.equal(knownHostsName(byHand('hostname web.example.com')), 'web.example.com');
    assert.equal(knownHostsName(byHand('port 2222')), '[web01]:2222');
    assert.equal(knownHostsName(byHand('port 2222\nhostkeyalias web')), 'web');
  });

  it('are dialled as user@host:port', () => {
    assert.equal(serverText(byHand('hostname web.example.com\nport 2222')), 'ann@web.example.com:2222');
    assert.equal(serverText(byHand('hostname ::1\nuser bob')), 'bob@[::1]:22');
  });
});

describe('isOverridable', () => {
  it('knows the keywords of -o in any letters, and no others', () => {
    assert.deepEqual(['Port', 'port', 'IDENTITYFILE', 'StrictHostKeyChecking'].map(isOverridable), [
      true,
      true,
      true,
      true,
    ]);
    assert.deepEqual(['RemoteCommand', 'LocalCommand', '', 'constructor'].map(isOverridable), [
      false,
      false,
      false,
      false,
    ]);
  });
});
