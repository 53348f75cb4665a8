import assert from 'node:assert/strict';
import { printExplanation, questionText, shownValue, type ExplainedHost } from '../../src/core/explanation.js';
import { failureText } from '../../src/core/wording.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const fingerprint = (letter: string) => `SHA256:${letter.repeat(43)}`;
const file = (line: number) => ({ kind: 'file' as const, origin: { file: '~/.ssh/config', line } });

const bastion: ExplainedHost = {
  name: 'bastion',
  server: 'ann@203.0.113.7:2222',
  options: [
    { keyword: 'hostname', value: '203.0.113.7', source: file(2) },
    { keyword: 'port', value: '2222', source: file(3) },
    { keyword: 'compression', value: 'no', source: { kind: 'default' } },
    { keyword: 'tcpkeepalive', value: 'yes', source: { kind: 'default' } },
  ],
  identities: [
    { name: 'work (agent)', keyType: 'ssh-ed25519', fingerprint: fingerprint('a'), note: 'named by ~/.ssh/work.pub' },
    { name: '~/.ssh/old', keyType: '' },
  ],
  missing: ['~/.ssh/id_rsa'],
  notes: [{ kind: 'keyUnprotected', path: '~/.ssh/open', mode: 0o644 }],
  agent: {
    path: '/run/user/1000/agent',
    keys: [{ name: 'work', keyType: 'ssh-ed25519', fingerprint: fingerprint('a') }],
  },
  knownHosts: {
    name: '[203.0.113.7]:2222',
    lines: [
      { file: '~/.ssh/known_hosts', line: 7, keyType: 'ssh-ed25519', fingerprint: fingerprint('b') },
      { file: '~/.ssh/known_hosts', line: 9, keyType: 'ssh-rsa', fingerprint: fingerprint('c'), marker: 'revoked' },
    ],
  },
  phases: [
    { phase: 'connect', ms: 12.34 },
    { phase: 'handshake', ms: 45.6 },
    { phase: 'hostKey', ms: 3.21 },
    { phase: 'authentication', ms: 30.2 },
    { phase: 'ready', ms: 0 },
  ],
  asked: [],
  said: ['No smoking'],
};

const web01: ExplainedHost = {
  name: 'web01',
  server: 'alice@10.0.0.5:22',
  options: [
    { keyword: 'user', value: 'alice', source: { kind: 'given' } },
    { keyword: 'proxyjump', value: 'bastion' },
    { keyword: 'compression', value: 'no', source: { kind: 'default' } },
  ],
  identities: [],
  missing: [],
  notes: [],
  knownHosts: { name: '10.0.0.5', lines: [] },
  phases: [
    { phase: 'connect', ms: 20 },
    { phase: 'handshake', ms: 12_000 },
    { phase: 'hostKey', ms: 1 },
  ],
  asked: ['whether the host key of 10.0.0.5 is right (ssh-ed25519 SHA256:x)'],
  said: [],
};

/** As a block of short lines. */
const block = (text: string) =>
  text
    .match(/\S.{0,99}(?=\s|$)/g)!
    .map((line) => `    ${line}`)
    .join('\n');

describe('printExplanation', () => {
  it('tells the way, each host of it, what happened and the forwards', () => {
    const text = printExplanation(
      {
        host: 'alice@web01',
        hosts: [bastion, web01],
        resolved: 25,
        forwards: [{ spec: mustParseSpec('-L 5432:db:5432'), origin: { file: '~/.ssh/config', line: 11 } }],
        failure: { kind: 'cancelled' },
      },
      'SSH Tunnels 0.1.0',
    );
    const expected = `\
# alice@web01

\`ann@203.0.113.7:2222\` → \`alice@10.0.0.5:22\`

**Not reached.**

    Cancelled.

## Jump host 1: bastion

### Options

    hostname  203.0.113.7  ~/.ssh/config:2
    port      2222         ~/.ssh/config:3

OpenSSH’s defaults for 2 others.

### Identities, in the order in which they are offered

    work (agent)  ssh-ed25519  ${fingerprint('a')}  named by ~/.ssh/work.pub
    ~/.ssh/old                 known with its passphrase only

Not there: \`~/.ssh/id_rsa\`.

${block(failureText(bastion.notes[0]!))}

### Agent

\`/run/user/1000/agent\`

    work  ssh-ed25519  ${fingerprint('a')}

### Known host keys

For \`[203.0.113.7]:2222\`:

    ~/.ssh/known_hosts:7  ssh-ed25519  ${fingerprint('b')}
    ~/.ssh/known_hosts:9  ssh-rsa      ${fingerprint('c')}  @revoked

### A try to connect

    read ssh_config      25 ms
    connect              12 ms
    agree on algorithms  46 ms
    check the host key   3.2 ms
    log in               30 ms
    ready

    The server says: No smoking

## web01

### Options

    user       alice    asked for
    proxyjump  bastion  not known from where

OpenSSH’s defaults for one other.

### Identities, in the order in which they are offered

None.

### Agent

None.

### Known host keys

None for \`10.0.0.5\`.

### A try to connect

    connect              20 ms
    agree on algorithms  12.0 s
    check the host key   1.0 ms  and no further

    A person would be asked whether the host key of 10.0.0.5 is right (ssh-ed25519 SHA256:x).

## Forwards in ssh_config

    -L 5432:db:5432  ~/.ssh/config:11

SSH Tunnels 0.1.0
`;
    assert.equal(text, expected);
  });

  it('says how long it took when it was reached', () => {
    const text = printExplanation({ host: 'bastion', hosts: [bastion], resolved: 25, forwards: [] }, 'about');
    assert.match(text, /\*\*Reached\.\*\* Connected in 116 ms\./);
    assert.match(text, /## bastion\n/);
    assert.match(text, /None for this host\.\n\nabout\n$/);
    assert.doesNotMatch(text, /no further/);
  });

  it('says why where nothing could be found out', () => {
    const failure = { kind: 'jumpLoop', host: 'web01', hop: 'web01' } as const;
    const text = printExplanation({ host: 'web01', hosts: [], forwards: [], failure }, 'about');
    assert.match(text, /^# web01\n\n    web01 .*\n.*\n\n## Forwards/);
  });

  it('has nothing of a server, a file or an agent where Markdown is read', () => {
    const evil = '![p](https://evil.example/p) [Click](command:x) <b> @torvalds fixes #1 `` ` ```\n# h\n\n- l\n1. o';
    const all: ExplainedHost = {
      ...bastion,
      name: evil,
      server: evil,
      identities: [{ name: evil, keyType: evil, fingerprint: evil, note: evil }],
      missing: [evil],
      notes: [{ kind: 'hop', hop: evil, host: evil, failure: { kind: 'unexpected', detail: evil } }],
      agent: { path: evil, keys: [{ name: evil, keyType: evil }] },
      knownHosts: { name: evil, lines: [] },
      asked: [evil],
      said: [evil],
    };
    const failure = { kind: 'unexpected', detail: evil } as const;
    const hosts: ExplainedHost[] = [
      all,
      { ...all, agent: { path: evil, failure }, knownHosts: { name: evil, lines: [], failure } },
      { ...all, knownHosts: { name: evil, lines: [{ file: evil, line: 1, keyType: evil, fingerprint: evil }] } },
    ];
    for (const failed of [{}, { failure }]) {
      for (const explained of [hosts, []]) {
        const text = printExplanation({ host: evil, hosts: explained, forwards: [], ...failed }, 'about');
        const live = text
          .split('\n')
          .filter((line) => !line.startsWith('    '))
          // Code spans (CommonMark 6.1): as many backticks at the end as at the beginning.
          .map((line) => line.replace(/(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)/g, ''));
        for (const line of live) assert.doesNotMatch(line, /[[<@`]|evil|fixes|^- |^1/, line);
      }
    }
  });

  it('shows no mark that nobody sees', () => {
    const said = printExplanation(
      {
        host: 'web01',
        hosts: [{ ...web01, identities: [{ name: 'a\u202e\u001b[31m\nb', keyType: 'x', fingerprint: 'y' }] }],
        forwards: [],
      },
      'about',
    );
    assert.match(said, / {4}a\?\?\[31m\?b {2}x {2}y\n/);
  });
});

describe('shownValue', () => {
  const table: [keyword: string, value: string, shown: string][] = [
    ['hostname', 'db.example', 'db.example'],
    ['proxycommand', 'sshpass -p hunter2 ssh bastion', 'sshpass …'],
    ['proxycommand', 'none', 'none'],
    ['proxycommand', 'SSHPASS=hunter2 sshpass -e ssh bastion', 'sshpass …'],
    ['proxycommand', 'A=1 SSHPASS=hunter2 /usr/bin/sshpass', '/usr/bin/sshpass'],
    ['proxycommand', 'SSHPASS="my hunter2" sshpass', '…'],
    ['proxycommand', 'SSHPASS=my\\ hunter2 sshpass', '…'],
    ['proxycommand', 'SSHPASS=$(echo hunter2) sshpass', '…'],
    ['proxycommand', 'SSHPASS=hunter2', '…'],
    ['proxycommand', 'curl${IFS}-uuser:hunter2${IFS}x', '…'],
    ['proxycommand', '"/opt/my hunter2/nc" %h %p', '…'],
    ['proxycommand', 'curl;hunter2 x', '…'],
    ['proxycommand', 'C:\\bin\\nc.exe hunter2', 'C:\\bin\\nc.exe …'],
    ['knownhostscommand', '/usr/bin/keys --token=hunter2 %H', '/usr/bin/keys …'],
    ['localcommand', 'notify hunter2', 'notify …'],
    ['remotecommand', 'login hunter2', 'login …'],
    ['setenv', 'TOKEN=hunter2 B=1', 'TOKEN=…'],
    ['setenv', 'TOKEN hunter2', 'TOKEN=…'],
    ['sendenv', 'LANG', 'LANG'],
    ['identityfile', '~/my keys/id', '~/my keys/id'],
  ];
  it('keeps back what may be a secret', () => {
    for (const [keyword, value, shown] of table) assert.equal(shownValue(keyword, value), shown);
  });
});

describe('questionText', () => {
  it('names what would be asked for, and not what somebody types', () => {
    const server = { user: 'ann', host: 'web01', port: 22, attempt: 1 };
    assert.deepEqual(
      [
        questionText({ kind: 'passphrase', path: '~/.ssh/id', attempt: 1 }),
        questionText({ kind: 'password', ...server }),
        questionText({
          kind: 'interactive',
          ...server,
          name: '',
          instruction: '',
          prompts: [
            { text: 'Password: ', echo: false },
            { text: 'Code\u0007:', echo: true },
          ],
        }),
      ],
      ['for the passphrase of ~/.ssh/id', 'for the password of ann', 'for “Password:” and “Code?:”'],
    );
  });
});
