import assert from 'node:assert/strict';
import fc from 'fast-check';
import { printDiagnostics, type Diagnostics } from '../../src/core/diagnostics.js';
import type { EngineEvent } from '../../src/core/engine.js';
import { eventText } from '../../src/core/eventText.js';
import type { Logged } from '../../src/core/logFolding.js';
import { parseDestination } from '../../src/core/destination.js';
import { nothingWanted, stopTunnels, wantTunnels, type NewTunnel } from '../../src/core/session.js';
import { emptySnapshot, reduce } from '../../src/core/snapshot.js';
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
    settings: [['sshTunnels.presets', '2 of the user']],
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
    const settings = [['sshTunnels.sshConfigFile', '"/home/alice/x"']] as const;
    const engineEnds = [{ at: now - 1000, detail: 'out of memory', isRestarted: true }];
    assert.equal(
      diagnostics([db], ready, { settings, engineEnds }),
      `# SSH Tunnels diagnostics

Host and user names are replaced: host1, user1, or private1 and public1 for an address, the same one for the same name throughout. What servers and programs said is left out, and so are names of tunnels and presets. No password, passphrase or key is in here. Read it through before you post it: a name that stood in the middle of other text may have been missed.

## Versions

    SSH Tunnels  1.2.3

## Settings

    sshTunnels.sshConfigFile  "/home/user1/x"

## Tunnels (1)

    1. -L 5432:host1:5432 through user1@host2: ready
       listens on 127.0.0.1:5432
       who can connect: only this machine

## Ends of the engine

    2026-01-02T03:04:04.678Z  started again: out of memory

## Log, the last 3 lines, up to 2026-01-02T03:04:05.678Z

    2026-01-02T03:04:05.678Z info    user1@host2: connecting (attempt 1)
    2026-01-02T03:04:05.678Z info    user1@host2: connected as user1@private1:22
    2026-01-02T03:04:05.678Z info    user1@host2 -L 5432:host1:5432: listening on 127.0.0.1:5432.
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
      '1. -L 5432:host1:5432 through user1@host2: stopped',
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
        'user1@host2: host3 said 2 lines, left out here',
        'user1@host2: ProxyCommand: …',
        'user1@host2: Debug output from server: …',
      ],
    );
    assert.doesNotMatch(text, /Acme|Secret/);
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
