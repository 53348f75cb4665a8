import assert from 'node:assert/strict';
import fc from 'fast-check';
import { printDiagnostics, type Diagnostics } from '../../src/core/diagnostics.js';
import type { EngineEvent } from '../../src/core/engine.js';
import { eventText } from '../../src/core/eventText.js';
import type { Failure } from '../../src/core/failure.js';
import type { Logged } from '../../src/core/logFolding.js';
import { machineName, usePlace } from '../../src/core/machine.js';
import { parseDestination } from '../../src/core/destination.js';
import { nothingWanted, stopTunnels, wantTunnels, type NewTunnel } from '../../src/core/session.js';
import { emptySnapshot, reduce } from '../../src/core/snapshot.js';
import { failureText } from '../../src/core/wording.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const now = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

function tunnel(host: string, forward: string, more: Partial<NewTunnel> = {}): NewTunnel {
  const parsed = parseDestination(host);
  assert.ok(parsed.ok, host);
  return { destination: parsed.destination, spec: mustParseSpec(forward), ...more };
}

function logged(event: EngineEvent, at = now): Logged[] {
  const line = eventText(event, at);
  return line ? [{ ...line, at, event }] : [];
}

const nobody = { hosts: new Set<string>(), users: new Set<string>() };

function diagnostics(tunnels: readonly NewTunnel[], events: readonly EngineEvent[], more: Partial<Diagnostics> = {}) {
  const snapshot = events.reduce(reduce, emptySnapshot);
  return printDiagnostics({
    versions: [['SSH Tunnels', '1.2.3']],
    presets: ['sshTunnels.presets', '2 of the user'],
    settings: [],
    session: { wanted: wantTunnels(nothingWanted, tunnels), snapshot },
    engineEnds: [],
    log: events.flatMap((event) => logged(event)),
    names: nobody,
    now,
    ...more,
  });
}

/** What stands under a heading. */
function section(text: string, heading: string): string[] {
  const [, body = ''] = text.split(new RegExp(`^## ${heading}.*\n\n`, 'm'));
  return body.trimEnd().split('\n\n')[0]!.split('\n').map((line) => line.replace(/^ {4}/, '')); // prettier-ignore
}

describe('diagnostics', () => {
  const db = tunnel('alice@web01', '-L 5432:db.corp:5432', { label: 'Secret project' });
  const id = 'alice@web01 -L 5432:db.corp:5432';
  const ready: readonly EngineEvent[] = [
    { kind: 'connecting', connection: 'alice@web01', attempt: 1 },
    { kind: 'connected', connection: 'alice@web01', server: 'alice@10.1.2.3:22' },
    {
      kind: 'listening',
      forward: id,
      run: 1,
      bound: [{ kind: 'tcp', address: '127.0.0.1', port: 5432 }],
      unbound: [],
      asked: 'machine',
      access: 'machine',
    },
  ];

  it('are all of this', () => {
    const settings = [['sshTunnels.sshConfigFile', 'C:\\Users\\alice\\x'], ['sshTunnels.restoreTunnels', 'ask'], ['sshTunnels.parkSeconds', 20]] as const; // prettier-ignore
    const engineEnds = [{ at: now - 1000, detail: 'out of memory', isRestarted: true }];
    assert.equal(
      diagnostics([db], ready, { settings, engineEnds }),
      `# SSH Tunnels diagnostics

Names of hosts and users are replaced: host1, user1, or private1 and public1 for an address, the same one for the same name throughout; so are those of files and keys (name1, key1) that are not called so everywhere. What servers and programs said is left out (…), and so are names of tunnels and presets. No password, passphrase or key is in here. Read it through before you post it: a name that stood in the middle of other text may have been missed.

## Versions

    SSH Tunnels  1.2.3

## Settings

    sshTunnels.presets         2 of the user
    sshTunnels.sshConfigFile   "C:\\Users\\user1\\name1"
    sshTunnels.restoreTunnels  "ask"
    sshTunnels.parkSeconds     20

## Tunnels (1)

    1. -L 5432:host2:5432 through user1@host1: ready
       listens on 127.0.0.1:5432
       who can connect: only this machine

## Ends of the engine

    2026-01-02T03:04:04.678Z  started again: out of memory

## Log, the last 3 lines, up to 2026-01-02T03:04:05.678Z

    2026-01-02T03:04:05.678Z info    user1@host1: connecting (attempt 1)
    2026-01-02T03:04:05.678Z info    user1@host1: connected as user1@private1:22
    2026-01-02T03:04:05.678Z info    user1@host1 -L 5432:host2:5432: listening on 127.0.0.1:5432.
`,
    );
  });

  it('tell why a tunnel does not run', () => {
    const failure = { kind: 'connectFailed', host: 'web01', port: 22, code: 'ECONNREFUSED' } as const;
    const retrying = { kind: 'connectionLost', connection: 'alice@web01', failure, attempt: 4, retryAt: now + 2500 } as const; // prettier-ignore
    const [first = '', attempt = '', why = ''] = section(diagnostics([db], [retrying]), 'Tunnels');
    assert.match(first, /^1\. -L 5432:host\d:5432 through user1@host\d: retrying/);
    assert.equal(attempt, '   attempt 4, again in 2.5 s');
    assert.match(why, /^ {3}host\d:22 refused the connection/);
  });

  it('tell what kind of tunnel it is', () => {
    const wanted = wantTunnels(nothingWanted, [{ ...db, fromWorkspace: true, onDemand: true }], true);
    const { tunnels } = stopTunnels(wanted, [id]);
    const text = diagnostics([], [], { session: { wanted: { ...wanted, tunnels }, snapshot: emptySnapshot } });
    assert.deepEqual(section(text, 'Tunnels'), [
      '1. -L 5432:host2:5432 through user1@host1: stopped',
      '   started with the window, of the workspace, on demand',
    ]);
  });

  it('say that there is nothing', () => {
    const text = diagnostics([], []);
    for (const heading of ['Tunnels', 'Ends of the engine', 'Log']) assert.deepEqual(section(text, heading), ['None.']);
  });

  it('leave out what servers and programs said, and labels', () => {
    const text = diagnostics(
      [db],
      [
        { kind: 'serverSaid', connection: 'alice@web01', host: 'gw', about: 'banner', text: 'Welcome to Acme\nline 2' },
        { kind: 'logged', level: 'debug', text: 'alice@web01: ProxyCommand: token Acme' },
        { kind: 'logged', level: 'debug', text: 'alice@web01: Debug output from server: Acme\nAcme' },
      ],
    );
    assert.deepEqual(
      section(text, 'Log').map((line) => line.slice(33)),
      [
        'user1@host1: host3 said 2 lines, left out here',
        'user1@host1: ProxyCommand: …',
        'user1@host1: Debug output from server: …',
      ],
    );
    assert.doesNotMatch(text, /Acme|Secret/);
  });

  const mark = 'Qacme7';
  const own = { host: mark, keyType: 'ssh-ed25519', fingerprint: 'SHA256:abc', file: `/x/${mark}`, line: 3 };
  /** The mark stands wherever a server, a program, a file or a name may have brought it in. */
  const failures: { readonly [kind in Failure['kind']]: readonly (Failure & { kind: kind })[] } = {
    badSpec: [{ kind: 'badSpec', text: mark, at: 0, problem: { kind: 'listenPort', text: mark } }],
    badDestination: [{ kind: 'badDestination', text: mark, at: 0, problem: { kind: 'word', text: mark } }],
    badCommand: [{ kind: 'badCommand', text: mark, at: 0, problem: { kind: 'notSsh', word: mark } }],
    noForward: [{ kind: 'noForward', host: mark }],
    noSuchForward: [{ kind: 'noSuchForward', line: `-KL ${mark}`, near: [`-L 1:${mark}:1`] }],
    notSupportedYet: [{ kind: 'notSupportedYet', what: `${mark} x` }],
    sshConfig: [{ kind: 'sshConfig', detail: `/etc/${mark} line 3: Bad configuration option: ${mark}` }],
    jumpLoop: [{ kind: 'jumpLoop', host: mark, hop: mark }],
    hostNotFound: [{ kind: 'hostNotFound', host: mark }],
    connectFailed: [{ kind: 'connectFailed', host: mark, port: 22, code: 'ECONNREFUSED' }],
    connectTimeout: [{ kind: 'connectTimeout', host: mark, port: 22, seconds: 1 }],
    hopRefused: [
      { kind: 'hopRefused', hop: mark, target: `${mark}:22`, refusal: 'other', detail: mark },
      { kind: 'hopRefused', hop: mark, target: `${mark}:22`, refusal: 'connectFailed', detail: `${mark}: Connection refused` }, // prettier-ignore
      { kind: 'hopRefused', hop: mark, target: `${mark}:22`, refusal: 'connectFailed', detail: mark },
    ],
    hop: [{ kind: 'hop', hop: mark, host: mark, failure: { kind: 'notSsh', host: mark, port: 22, said: mark } }],
    proxyCommandFailed: [
      { kind: 'proxyCommandFailed', host: mark, code: 1, said: `${mark}. Check it in ssh_config; ${mark}` },
      { kind: 'proxyCommandFailed', host: mark, code: 'ENOENT', said: mark },
    ],
    notSsh: [
      { kind: 'notSsh', host: mark, port: 22, said: mark },
      { kind: 'notSsh', host: mark, port: 22, said: `Exceeded MaxStartups ${mark}` },
    ],
    handshakeFailed: [{ kind: 'handshakeFailed', host: mark, detail: mark }],
    noCommonAlgorithm: [{ kind: 'noCommonAlgorithm', host: mark, use: 'kex', ours: ['curve25519-sha256'], theirs: [mark, 'x@acme.example'] }], // prettier-ignore
    nothingToOffer: [{ kind: 'nothingToOffer', host: mark, use: 'kex', asked: ['none'], possible: ['curve25519-sha256'] }], // prettier-ignore
    hostKeyUnknown: [{ kind: 'hostKeyUnknown', ...own, because: 'strict' }],
    hostKeyChanged: [{ kind: 'hostKeyChanged', ...own, knownType: 'ssh-rsa', lax: false, shared: { line: 1, hosts: `${mark},${mark}2` } }], // prettier-ignore
    hostAddressChanged: [{ kind: 'hostAddressChanged', ...own, address: '10.9.8.7' }],
    hostKeyRevoked: [{ kind: 'hostKeyRevoked', ...own, what: 'key' }],
    hostKeyTooShort: [{ kind: 'hostKeyTooShort', host: mark, bits: 1, least: 2 }],
    hostCertificateExpired: [{ kind: 'hostCertificateExpired', host: mark, until: 1 }],
    hostCertificateEarly: [{ kind: 'hostCertificateEarly', host: mark, from: 1 }],
    hostCertificateForOthers: [{ kind: 'hostCertificateForOthers', host: mark, principals: [mark, `*.${mark}`] }],
    hostCertificateInvalid: [
      { kind: 'hostCertificateInvalid', host: mark, reason: 'options', names: [mark] },
      { kind: 'hostCertificateInvalid', host: mark, reason: 'algorithm', names: [mark] },
    ],
    revokedKeysUnreadable: [{ kind: 'revokedKeysUnreadable', file: `/x/${mark}`, code: 'EACCES' }],
    knownHostsCommandFailed: [{ kind: 'knownHostsCommandFailed', program: `/x/${mark}`, detail: mark }],
    knownHostsUnreadable: [{ kind: 'knownHostsUnreadable', file: `/x/${mark}`, code: 'EACCES' }],
    authFailed: [
      {
        ...{ kind: 'authFailed', user: mark, host: mark, tried: ['password', `/x/${mark}`, `${mark}’s key`] },
        ...{ passed: [`/x/${mark}`], offered: ['publickey', mark], detail: mark },
        notes: [{ kind: 'keyCipherUnknown', path: `/x/${mark}`, cipher: mark }],
      },
    ],
    keyUnreadable: [{ kind: 'keyUnreadable', path: `/x/${mark}`, code: 'EACCES' }],
    keyInvalid: [{ kind: 'keyInvalid', path: `C:\\x\\${mark}` }],
    keyUnprotected: [{ kind: 'keyUnprotected', path: `/x/${mark}`, mode: 0o644 }],
    passphraseWrong: [{ kind: 'passphraseWrong', path: `/x/${mark}` }],
    keyCipherUnknown: [{ kind: 'keyCipherUnknown', path: `/x/${mark}`, cipher: mark }],
    keyTooMuchWork: [{ kind: 'keyTooMuchWork', path: `/x/${mark}` }],
    keyNeedsAgent: [{ kind: 'keyNeedsAgent', path: `/x/${mark}` }],
    keyNotAllowed: [{ kind: 'keyNotAllowed', key: `${mark} of Bob` }],
    keyTooShort: [{ kind: 'keyTooShort', key: mark, bits: 1, least: 2 }],
    keyTooLong: [{ kind: 'keyTooLong', key: mark }],
    certificateUnusable: [{ kind: 'certificateUnusable', path: `/x/${mark}`, reason: 'host' }],
    passwordExpired: [{ kind: 'passwordExpired', user: mark, host: mark }],
    answerNeeded: [{ kind: 'answerNeeded', host: mark, what: 'passphrase', path: `/x/${mark}` }],
    agentUnreachable: [{ kind: 'agentUnreachable', path: `/x/${mark}`, code: 'ENOENT' }],
    signatureRefused: [{ kind: 'signatureRefused', key: mark }],
    connectionLost: (['closed', 'reset', 'disconnected'] as const).map((reason) => ({ kind: 'connectionLost', host: mark, reason, detail: mark })), // prettier-ignore
    portInUse: [{ kind: 'portInUse', address: '10.9.8.7', port: 1, owner: { program: `/x/${mark}`, pid: 1 } }],
    portForbidden: [{ kind: 'portForbidden', address: mark, port: 1 }],
    addressUnavailable: [{ kind: 'addressUnavailable', address: mark, port: 1 }],
    listenFailed: [{ kind: 'listenFailed', address: mark, port: 1, code: 'EIO' }],
    socketInUse: [{ kind: 'socketInUse', path: `/x/${mark}` }],
    socketStale: [{ kind: 'socketStale', path: `/x/${mark}` }],
    socketBlocked: [{ kind: 'socketBlocked', path: `/x/${mark}` }],
    socketFailed: [{ kind: 'socketFailed', path: `/x/${mark}`, code: 'EIO' }],
    remoteRefused: [
      { kind: 'remoteRefused', host: mark, user: mark, listen: { kind: 'tcp', bind: mark, port: 1 }, inUse: false },
      { kind: 'remoteRefused', host: mark, user: mark, listen: { kind: 'unix', path: `/x/${mark}` }, inUse: true },
    ],
    remoteHalf: [{ kind: 'remoteHalf', host: mark, address: '10.9.8.7', port: 1 }],
    targetFailed: [{ kind: 'targetFailed', target: `${mark}:1`, code: 'ECONNREFUSED' }],
    targetNotPermitted: [{ kind: 'targetNotPermitted', target: `/x/${mark}` }],
    channelRefused: (['other', 'connectFailed'] as const).flatMap((refusal) => [
      { kind: 'channelRefused', target: `${mark}:1`, host: mark, refusal, detail: mark },
      { kind: 'channelRefused', target: `/x/${mark}`, host: mark, refusal, detail: `Permission denied for ${mark}` },
    ]),
    forwardsIncomplete: [{ kind: 'forwardsIncomplete', failures: [{ kind: 'notSsh', host: mark, port: 22, said: mark }] }], // prettier-ignore
    workspaceUntrusted: [{ kind: 'workspaceUntrusted' }],
    // Of our own mistakes: as any text.
    engineEnded: [{ kind: 'engineEnded', detail: `Cannot find /x/${mark}` }],
    cancelled: [{ kind: 'cancelled' }],
    unexpected: [{ kind: 'unexpected', detail: `Cannot find /x/${mark}` }],
  };
  for (const [kind, list] of Object.entries(failures))
    it(`tell of ${kind} without names, and without what others said`, () => {
      const names = { hosts: new Set(['a', 'connecting', 'L', 'code', 'failed']), users: new Set(['the', 'vscode']) };
      for (const failure of list) {
        const lost = { kind: 'connectionLost', connection: 'alice@web01', failure, attempt: 4, retryAt: now } as const;
        const shown = diagnostics([db], [lost], { names });
        assert.doesNotMatch(shown, new RegExp(`${mark}|acme|10\\.9`, 'i'));
        // As a line that tells of no event.
        const words = JSON.parse(JSON.stringify(failure), (key, value: unknown) =>
          /^(?:said|detail|theirs|offered|names|cipher)$/.test(key)
            ? (JSON.parse(JSON.stringify(value).replaceAll(mark, 'theirWords')) as unknown)
            : value,
        ) as Failure;
        const said = diagnostics([], [{ kind: 'logged', level: 'debug', text: `alice@web01: ${failureText(words)}` }]);
        if (kind !== 'unexpected' && kind !== 'engineEnded') assert.doesNotMatch(said, /theirWords/);
      }
    });

  it('keep our own words, whatever hosts and users are called', () => {
    const names = { hosts: new Set(['a', 'connecting', 'L', 'code', 'attempt']), users: new Set(['visual', 'vscode']) };
    const versions = [['VS Code', '1.9 (Visual Studio Code)']] as const;
    const failure = { kind: 'proxyCommandFailed', host: 'code', code: 1, said: 'x' } as const;
    const text = diagnostics(
      [db],
      [
        { kind: 'connecting', connection: 'vscode@code', attempt: 1 },
        { kind: 'connectionFailed', connection: 'a', failure },
        { kind: 'forwardClosed', forward: 'connecting -L 1:a:1' },
      ],
      { names, versions },
    );
    assert.deepEqual(section(text, 'Versions'), ['VS Code  1.9 (Visual Studio Code)']);
    assert.match(section(text, 'Tunnels')[0]!, /^1\. -L 5432:host\d:5432 through user\d@host\d: connecting$/);
    const [connecting = '', failed = '', closed = ''] = section(text, 'Log').map((line) => line.slice(33));
    assert.match(connecting, /^user\d@host\d: connecting \(attempt 1\)$/);
    assert.match(failed, /^host\d: failed\. The ProxyCommand of host\d ended before SSH began \(exit code 1\)\. Its last words: …\. Check it/); // prettier-ignore
    assert.match(closed, /^host\d -L 1:host\d:1: stopped listening$/);
  });

  it('tell what the system said through a server', () => {
    const refused = (detail: string) => ({ kind: 'channelFailed', forward: id, failure: { kind: 'channelRefused', target: 'db:1', host: 'web01', refusal: 'connectFailed', detail } }) as const; // prettier-ignore
    const [first = '', second = ''] = section(diagnostics([], [refused('Connection refused'), refused('Name or service not known')]), 'Log'); // prettier-ignore
    assert.match(first, /host\d:1 refused the connection, as host\d sees it/);
    assert.match(second, /host\d was not found by host\d/);
  });

  it('hide names that a line of the log alone has', () => {
    const line = (text: string): Logged => ({ at: now, level: 'info', text });
    const log = ['oldhost -L 5432:olddb:5432: does not come back', 'x@oldhost: Going through bastion, which is connected already', 'x@oldhost: ssh2 protocol: Hello oldhost', 'oldhost: Going on from bastion to prod:22'].map(line); // prettier-ignore
    assert.deepEqual(
      section(diagnostics([], [], { log }), 'Log').map((line) => line.slice(33)),
      [
        'host1 -L 5432:host2:5432: does not come back',
        'user1@host1: Going through host3, which is connected already',
        'user1@host1: ssh2 protocol: …',
        'host1: Going on from host3 to host4:22',
      ],
    );
  });

  it('count what repeats', () => {
    const event = { kind: 'forwardClosed', forward: id } as const;
    const text = `${id}: stopped listening (3 more within a second)`;
    const [said = ''] = section(diagnostics([], [], { log: [{ at: now, level: 'info', text, event }] }), 'Log');
    assert.match(said, /: stopped listening \(3 more within a second\)$/);
  });

  it('take no longer for long texts and many names', () => {
    const names = { ...nobody, hosts: new Set(Array.from({ length: 5000 }, (_, index) => `prod-${index}.corp`)) };
    const log = Array.from({ length: 200 }, (_, at): Logged => ({ at, level: 'info', text: 'a-'.repeat(50_000) }));
    const settings = [['sshTunnels.sshConfigFile', 'a:'.repeat(50_000)]] as const;
    const begun = performance.now();
    const text = diagnostics([], [], { names, log, settings, engineEnds: [{ at: now, detail: 'a-'.repeat(50_000), isRestarted: true }] }); // prettier-ignore
    assert.ok(performance.now() - begun < 5000, `${performance.now() - begun} ms`);
    assert.ok(text.length < 1_000_000);
  });

  it('tell where a name may have been missed', () => {
    assert.match(diagnostics([], [], { lacksConfigHosts: true }), /\n\nThe hosts of ssh_config could not be read/);
  });

  it('do not tell the name of the machine of a remote window', () => {
    const failure: Failure = { kind: 'portInUse', address: '127.0.0.1', port: 5432 };
    usePlace({ kind: 'remote', remote: 'named', name: 'build07' });
    try {
      const text = diagnostics([db], [...ready.slice(0, 2), { kind: 'listenFailed', forward: id, run: 1, failure }]);
      assert.match(section(text, 'Tunnels').join('\n'), /already in use on this machine/);
      assert.doesNotMatch(text, /build07/);
      assert.equal(machineName(), 'build07');
    } finally {
      usePlace({ kind: 'here' });
    }
  });

  it('are no Markdown but their own, whatever a text holds', () => {
    const evil = '```\n# x\r\n<script>\u202e\u0007\n[a](command:x)';
    const text = diagnostics([], [{ kind: 'logged', level: 'info', text: evil }]);
    for (const line of text.split('\n').slice(4)) assert.match(line, /^$|^## |^None\.$|^ {4}/);
    assert.doesNotMatch(text, /[\u202e\u0007\r]/);
  });

  const word = fc.stringMatching(/^q[a-z]{5,10}[0-9]$/);
  it('hold no host or user name of tunnels, events and ssh_config', () => {
    const some = fc.record({
      user: word,
      host: word,
      gateway: word,
      target: word,
      address: fc.ipV4(),
      configured: word,
    });
    fc.assert(
      fc.property(some, ({ user, host, gateway, target, address, configured }) => {
        fc.pre(!address.startsWith('127.') && address !== '0.0.0.0');
        const destination = `-J ${user}@${gateway} ${user}@${host}`;
        const forward = `-R 80:${target}.lan:80`;
        const failure = { kind: 'hop', hop: gateway, host, failure: { kind: 'hostNotFound', host: gateway } } as const;
        const text = diagnostics(
          [tunnel(destination, forward)],
          [
            { kind: 'connected', connection: destination, server: `${user}@${address}:22` },
            { kind: 'forwardClosed', forward: `${destination} ${forward}` },
            { kind: 'logged', level: 'debug', text: `${destination}: Going through ${configured}, up ${address}` },
            { kind: 'connectionLost', connection: destination, failure, attempt: 1, retryAt: now },
          ],
          { names: { hosts: new Set([configured]), users: new Set() } },
        );
        for (const name of [user, host, gateway, target, configured, address]) assert.ok(!text.includes(name), text);
      }),
    );
  });
});
