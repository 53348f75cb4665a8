import assert from 'node:assert/strict';
import fc from 'fast-check';
import { noConfigForwards, type ConfigForward, type ConfigForwards } from '../../src/core/configForward.js';
import type { Access, Ask, BoundAddress, Client, ElsewhereState, EngineEvent } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import { defaultWaits } from '../../src/core/plan.js';
import { parsePresets, type Preset, type PresetProblem } from '../../src/core/preset.js';
import {
  browserUrl,
  clientAddress,
  clientRows,
  countdownStep,
  present,
  readyName,
  readyText,
  scopeText,
  tunnelName,
  type ClientRow,
  type ConfigForwardRow,
  type PresetRow,
  type Presented,
  type Shown,
} from '../../src/core/present.js';
import {
  nothingWanted,
  renameTunnel,
  restartTunnels,
  stopTunnels,
  tunnelId,
  wantTunnels,
  type NewTunnel,
  type Tunnel,
  type Wanted,
} from '../../src/core/session.js';
import { emptySnapshot, reduce, type TunnelState } from '../../src/core/snapshot.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const newTunnel = (host: string, spec: string, label?: string): NewTunnel => ({
  destination: { host },
  spec: mustParseSpec(spec),
  ...(label !== undefined && { label }),
});
const db = newTunnel('web01', '-L 5432:db:5432');
const site = newTunnel('web01', '-L *:8443:localhost:443', 'Site');
const dbId = tunnelId(db);
const siteId = tunnelId(site);

const connection = 'web01';
const server = 'bob@192.0.2.7:22';
const connecting: EngineEvent = { kind: 'connecting', connection, attempt: 1 };
const connected: EngineEvent = { kind: 'connected', connection, server };
const bound: BoundAddress[] = [
  { kind: 'tcp', address: '127.0.0.1', port: 5432 },
  { kind: 'tcp', address: '::1', port: 5432 },
];
type Listening = EngineEvent & { kind: 'listening' };
const onlyHere = { unbound: [], asked: 'machine', access: 'machine' } as const;
const listening: Listening = { kind: 'listening', forward: dbId, run: 1, bound, ...onlyHere };
const tcp = (port: number, ...addresses: string[]): BoundAddress[] =>
  addresses.map((address) => ({ kind: 'tcp', address, port }));
const refused: Failure = { kind: 'connectFailed', host: 'web01', port: 22, code: 'ECONNREFUSED' };
const refusedText = 'web01:22 refused the connection. Check that an SSH server runs there and the port is right.';
const lost: Failure = { kind: 'connectionLost', host: 'web01', reason: 'keepalive' };
const inUse: Failure = { kind: 'portInUse', address: '::1', port: 5432 };
const inUseText =
  '[::1]:5432 is already in use on this machine. Stop the program that uses it, or choose another port.';

function shown(
  wanted: Wanted,
  events: readonly EngineEvent[] = [],
  presets: readonly Preset[] = [],
  problems: readonly PresetProblem[] = [],
  trusted = true,
  config: Pick<ConfigForwards, 'forwards' | 'problems'> = noConfigForwards,
  more: Partial<Pick<Shown, 'waits' | 'now'>> = {},
): Presented {
  const session = { wanted, snapshot: events.reduce(reduce, emptySnapshot) };
  return present({ session, presets, problems, trusted, config, waits: defaultWaits, now: 0, ...more });
}

const one = wantTunnels(nothingWanted, [db]);
const forwardRow = {
  kind: 'forward',
  isOpen: false,
  id: dbId,
  label: 'localhost:5432 → db:5432',
  address: 'localhost:5432',
  url: 'http://localhost:5432',
} as const;
const through = 'localhost:5432 → db:5432, through web01';

describe('present', () => {
  it('shows nothing while nothing is wanted', () => {
    assert.deepEqual(shown(nothingWanted), { rows: [], ready: 0 } satisfies Presented);
  });

  it('shows a tunnel that connects', () => {
    assert.deepEqual(shown(one, [connecting]), {
      rows: [
        {
          kind: 'connection',
          id: 'web01',
          label: 'web01',
          description: 'connecting',
          status: 'connecting',
          tooltip: ['SSH connection to web01: connecting'],
          forwards: [
            {
              ...forwardRow,
              description: 'connecting',
              status: 'connecting',
              tooltip: [through, 'State: connecting'],
            },
          ],
        },
      ],
      statusLine: {
        text: '$(sync~spin) 0',
        table: [['localhost:5432', 'db:5432 (web01)', 'connecting']],
        isError: false,
        accessibleText: 'SSH tunnels: 0 ready, connecting',
      },
      ready: 0,
    } satisfies Presented);
  });

  it('shows a tunnel that is ready, with what is really bound', () => {
    assert.deepEqual(shown(one, [connected, listening]), {
      rows: [
        {
          kind: 'connection',
          id: 'web01',
          label: 'web01',
          description: `ready · ${server}`,
          status: 'ready',
          tooltip: ['SSH connection to web01: ready', `Connected as ${server}`],
          forwards: [
            {
              ...forwardRow,
              description: 'ready',
              status: 'ready',
              hasClients: true,
              tooltip: [
                through,
                'Listens on this machine: 127.0.0.1:5432, [::1]:5432',
                'Who can connect: only this machine',
                'State: ready',
              ],
            },
          ],
        },
      ],
      statusLine: {
        text: '$(radio-tower) 1',
        table: [['127.0.0.1:5432, [::1]:5432', 'db:5432 (web01)', 'ready']],
        isError: false,
        accessibleText: 'SSH tunnels: 1 ready',
      },
      ready: 1,
    } satisfies Presented);
  });

  it('shows a tunnel whose connection has failed', () => {
    assert.deepEqual(shown(one, [{ kind: 'connectionFailed', connection, failure: refused }]), {
      rows: [
        {
          kind: 'connection',
          id: 'web01',
          label: 'web01',
          description: 'failed',
          status: 'failed',
          tooltip: ['SSH connection to web01: failed', refusedText],
          forwards: [
            {
              ...forwardRow,
              description: 'failed',
              status: 'failed',
              problem: refusedText,
              tooltip: [through, 'State: failed', refusedText],
            },
          ],
        },
      ],
      statusLine: {
        text: '$(radio-tower) 0',
        table: [['localhost:5432', 'db:5432 (web01)', 'failed']],
        isError: true,
        accessibleText: 'SSH tunnels: 0 ready, 1 failed',
      },
      ready: 0,
    } satisfies Presented);
  });

  /** What the first tunnel's rows and the status bar say. */
  const said = (wanted: Wanted, events: readonly EngineEvent[]) => {
    const { rows, statusLine, ready } = shown(wanted, events);
    const [row] = rows;
    assert.ok(row?.kind === 'connection' && row.forwards[0] && statusLine);
    const { status, description, problem } = row.forwards[0];
    return {
      connection: row.description,
      status,
      description,
      problem,
      text: statusLine.text,
      isError: statusLine.isError,
      ready,
    };
  };

  it('shows that somebody has to answer', () => {
    const ask = { id: 'a', connection, kind: 'passphrase', path: '/k', attempt: 1 } as const;
    assert.equal(said(one, [connecting, { kind: 'asked', ask }]).description, 'connecting, waiting for you');
    assert.equal(
      said(one, [connecting, { kind: 'asked', ask: { ...ask, connection: 'x' } }]).description,
      'connecting',
    );
  });

  it('shows what of a ready tunnel could not be bound, and a connection that was refused', () => {
    const half: EngineEvent = { ...listening, bound: bound.slice(0, 1), unbound: [inUse] };
    const noChannel: EngineEvent = {
      kind: 'channelFailed',
      forward: dbId,
      failure: { kind: 'channelRefused', target: 'db:5432', host: 'web01', refusal: 'prohibited', detail: '' },
    };
    const onlyHalf =
      'Only 127.0.0.1:5432 could be bound. [::1]:5432 is in use by another program. A client of localhost:5432 may reach that instead. Stop it, or choose another port.';
    const forbidden = 'web01 forbids forwarding to db:5432 (PermitOpen or AllowTcpForwarding). Ask who runs it.';
    const base = {
      connection: `ready · ${server}`,
      status: 'ready',
      text: '$(radio-tower) 1',
      isError: false,
      ready: 1,
    };
    assert.deepEqual(said(one, [connected, half]), { ...base, description: 'ready, partly bound', problem: onlyHalf });
    assert.deepEqual(said(one, [connected, listening, noChannel]), {
      ...base,
      description: 'ready, last connection failed',
      problem: forbidden,
    });
    assert.equal(said(one, [connected, half, noChannel]).problem, `${onlyHalf} ${forbidden}`);
  });

  it('shows a forward that can’t listen on a connection that stands', () => {
    const { connection, ...rest } = said(one, [
      connected,
      { kind: 'listenFailed', forward: dbId, run: 1, failure: inUse },
    ]);
    assert.equal(connection, `ready · ${server}`);
    assert.deepEqual(rest, {
      status: 'failed',
      description: 'failed',
      problem: inUseText,
      text: '$(radio-tower) 0',
      isError: true,
      ready: 0,
    });
  });

  it('gives no alarm when a port of a tunnel that came with the window is taken, most likely by another window', () => {
    const events: EngineEvent[] = [connected, { kind: 'listenFailed', forward: dbId, run: 1, failure: inUse }];
    const { status, isError } = said(wantTunnels(nothingWanted, [db], true), events);
    assert.deepEqual([status, isError], ['failed', false]);
  });

  it('gives the alarm when another tunnel of this window has the port', () => {
    const other = newTunnel('web02', '-L 5432:db2:5432', 'Other DB');
    const wanted = wantTunnels(wantTunnels(nothingWanted, [db], true), [other]);
    const events: EngineEvent[] = [
      connected,
      { kind: 'connected', connection: 'web02', server: 'x' },
      { ...listening, forward: tunnelId(other), run: 2 },
      { kind: 'listenFailed', forward: dbId, run: 1, failure: { ...inUse, owner: { program: 'code', pid: 7 } } },
    ];
    const { problem, isError } = said(wanted, events);
    assert.deepEqual(
      [problem, isError],
      [
        '[::1]:5432 is already in use on this machine by the tunnel “Other DB” of this window. Stop it, or choose another port.',
        true,
      ],
    );
  });

  it('shows that open connections finish, and that the SSH connection stays up for them', () => {
    const drained = stopTunnels(one, [dbId], 'drain');
    const { connection, status, description } = said(drained, [connected, listening]);
    assert.deepEqual(
      [connection, status, description],
      [`ready · ${server}`, 'stopped', 'stopped, open connections finish'],
    );
  });

  it('shows stopped tunnels as stopped, whatever is still seen of the connection', () => {
    for (const events of [[], [connected, listening], [{ kind: 'engineEnded', detail: 'x' }]] as EngineEvent[][])
      assert.deepEqual(said(stopTunnels(one, [dbId]), events), {
        connection: 'stopped',
        status: 'stopped',
        description: 'stopped',
        problem: undefined,
        text: '$(radio-tower) 0',
        isError: false,
        ready: 0,
      });
  });

  it('shows one that waits for a person, also on the way, as that', () => {
    const answerNeeded: Failure = { kind: 'answerNeeded', host: 'web01', what: 'interactive' };
    const hop: Failure = { kind: 'hop', hop: 'bastion', host: 'web01', failure: answerNeeded };
    for (const failure of [answerNeeded, hop]) {
      const [row] = shown(one, [{ kind: 'connectionFailed', connection, failure }]).rows;
      assert.ok(row?.kind === 'connection');
      assert.deepEqual([row.forwards[0]!.description, row.forwards[0]!.status], ['waiting for you', 'failed']);
      assert.deepEqual(
        [row.description, row.tooltip[0]],
        ['waiting for you', 'SSH connection to web01: waiting for you'],
      );
    }
  });

  it('shows all tunnels as failed when the engine has ended', () => {
    const lost = { ...one, tunnels: one.tunnels.map((tunnel) => ({ ...tunnel, wish: 'lost' as const })) };
    const { connection, status, problem } = said(lost, [{ kind: 'engineEnded', detail: 'out of memory' }]);
    assert.deepEqual([connection, status], ['failed', 'failed']);
    assert.equal(
      problem,
      'The tunnel engine ended unexpectedly (out of memory). Start the tunnel again; the log has more.',
    );
  });

  it('puts tunnels below their connections in the order in which they were added', () => {
    const { rows, statusLine } = shown(wantTunnels(one, [newTunnel('web02', '-D 1080'), site]));
    assert.deepEqual(
      rows.map((row) => (row.kind === 'connection' ? [row.id, row.forwards.map(({ id }) => id)] : row)),
      [
        ['web01', [dbId, siteId]],
        ['web02', ['web02 -D 1080']],
      ],
    );
    assert.deepEqual(
      statusLine?.table.map(([, target]) => target),
      ['db:5432 (web01)', 'SOCKS (web02)', 'localhost:443 (web01)'],
    );
  });

  it('shows a tunnel by its name, and its path beside', () => {
    const [row] = shown(wantTunnels(nothingWanted, [site])).rows;
    assert.ok(row?.kind === 'connection');
    assert.deepEqual(row.forwards, [
      {
        kind: 'forward',
        id: siteId,
        label: 'Site',
        description: 'connecting · *:8443 → localhost:443',
        status: 'connecting',
        isOpen: false,
        tooltip: ['*:8443 → localhost:443, through web01', 'State: connecting'],
        address: 'localhost:8443',
        url: 'https://localhost:8443',
      },
    ]);
  });

  it('shows that somebody has to say whether the network is let in', () => {
    const ask: Ask = {
      id: 'a',
      connection,
      kind: 'openToNetwork',
      forward: siteId,
      spec: site.spec,
      addresses: ['::'],
    };
    const { description } = said(wantTunnels(nothingWanted, [site]), [connected, { kind: 'asked', ask }]);
    assert.equal(description, 'connecting, waiting for you · *:8443 → localhost:443');
  });
});

describe('what comes back by itself', () => {
  const again = 'It connects again by itself; Retry Now does it at once.';
  const waits = 'Clients that connect now wait up to 20 s.';
  const retryAt = 1_700_000_012_000;
  const gone: EngineEvent = { kind: 'connectionLost', connection, failure: lost, attempt: 2, retryAt };
  const dialling: EngineEvent = { kind: 'connecting', connection, attempt: 3 };
  const at = (now: number, events: readonly EngineEvent[], more: Partial<Shown> = {}, wanted = one) =>
    shown(wanted, events, [], [], true, noConfigForwards, { now, ...more });
  const connectionOf = ({ rows }: Presented) => {
    const [row] = rows;
    assert.ok(row?.kind === 'connection');
    return row;
  };

  it('shows the attempt that comes, counted down, with the reason and what becomes of clients', () =>
    assert.deepEqual(at(retryAt - 11_001, [connected, listening, gone]), {
      rows: [
        {
          kind: 'connection',
          id: 'web01',
          label: 'web01',
          description: 'retrying in 12 s (attempt 3)',
          spoken: 'retrying (attempt 3)',
          status: 'retrying',
          tooltip: ['SSH connection to web01: retrying (attempt 3)', 'web01 no longer answers.', again, waits],
          forwards: [
            {
              ...forwardRow,
              description: 'retrying in 12 s (attempt 3)',
              spoken: 'retrying (attempt 3)',
              status: 'retrying',
              problem: 'web01 no longer answers.',
              hasClients: true,
              tooltip: [through, 'State: retrying (attempt 3)', 'web01 no longer answers.', again, waits],
            },
          ],
        },
      ],
      statusLine: {
        text: '$(history) 0',
        table: [['127.0.0.1:5432, [::1]:5432', 'db:5432 (web01)', 'retrying (attempt 3)']],
        isError: false,
        accessibleText: 'SSH tunnels: 0 ready, 1 retrying',
      },
      ready: 0,
    } satisfies Presented));

  it('counts down to the second, and on the way to an attempt and while it is under way says that it is now', () => {
    const said = (now: number, ...events: EngineEvent[]) => {
      const row = connectionOf(at(now, [connected, listening, ...events]));
      assert.equal(row.description, row.forwards[0]?.description);
      return [row.description, row.spoken];
    };
    assert.deepEqual(said(retryAt - 12_000, gone), ['retrying in 12 s (attempt 3)', 'retrying (attempt 3)']);
    assert.deepEqual(said(retryAt - 11_000, gone), ['retrying in 11 s (attempt 3)', 'retrying (attempt 3)']);
    assert.deepEqual(said(retryAt - 1, gone), ['retrying in 1 s (attempt 3)', 'retrying (attempt 3)']);
    assert.deepEqual(said(retryAt, gone), ['retrying now (attempt 3)', 'retrying (attempt 3)']);
    assert.deepEqual(said(retryAt, gone, dialling), ['retrying now (attempt 3)', undefined]);
    assert.deepEqual(said(retryAt, gone, { ...dialling, attempt: 1 }), ['connecting', undefined]);
    // The clock was set back by an hour.
    assert.deepEqual(said(retryAt - 3_600_000, gone)[0], 'retrying in 30 s (attempt 3)');
  });

  it('tells when it has to be drawn again, by the one that comes first', () => {
    const other: EngineEvent = { ...gone, connection: 'web02', retryAt: retryAt + 300 };
    const step = (now: number, ...events: EngineEvent[]) =>
      countdownStep({ wanted: one, snapshot: events.reduce(reduce, emptySnapshot) }, now);
    assert.equal(step(retryAt - 11_400, gone), 400);
    assert.equal(step(retryAt - 11_000, gone), 1000);
    assert.equal(step(retryAt - 11_400, gone, other), 400);
    assert.equal(step(retryAt + 100, gone, other), 200);
    for (const events of [[connected], [gone, dialling], [{ kind: 'connectionFailed', connection, failure: lost }]])
      assert.equal(step(retryAt - 1000, ...(events as EngineEvent[])), undefined);
    assert.equal(step(retryAt, gone), undefined);
    const held: EngineEvent = { kind: 'listenRetrying', forward: dbId, run: 1, failure: lost, attempt: 1, retryAt };
    assert.equal(step(retryAt - 1300, connected, held), 300);
  });

  it('says that a person is waited for where one has to answer', () => {
    const ask = { id: 'a', connection, kind: 'passphrase', path: '/k', attempt: 1 } as const;
    const row = connectionOf(at(retryAt, [connected, listening, gone, dialling, { kind: 'asked', ask }]));
    assert.deepEqual([row.description, row.forwards[0]?.description], ['connecting', 'connecting, waiting for you']);
  });

  it('says how long clients wait, and that they are reset where they shall not', () => {
    const tooltip = (parkSeconds: number) =>
      connectionOf(at(0, [connected, listening, gone], { waits: { ...defaultWaits, parkSeconds } })).forwards[0]
        ?.tooltip;
    assert.equal(tooltip(90)?.at(-1), 'Clients that connect now wait up to 90 s.');
    assert.equal(tooltip(0)?.at(-1), 'Clients that connect now are reset.');
  });

  it('says nothing of clients where nothing listens', () => {
    const row = connectionOf(at(0, [gone]));
    assert.equal(row.tooltip.at(-1), again);
    assert.deepEqual([row.forwards[0]?.tooltip.at(-1), row.forwards[0]?.hasClients], [again, undefined]);
  });

  it('keeps the port that was chosen while it waits', () => {
    const auto = newTunnel('web01', '-L auto:db:80');
    const wanted = wantTunnels(nothingWanted, [auto]);
    const events: EngineEvent[] = [
      connected,
      { ...listening, forward: tunnelId(auto), bound: tcp(49152, '127.0.0.1') },
    ];
    for (const more of [[], [gone], [gone, dialling], [gone, { ...dialling, attempt: 1 }]] as EngineEvent[][]) {
      const [row] = connectionOf(at(0, [...events, ...more], {}, wanted)).forwards;
      assert.deepEqual([row?.label, row?.address], ['localhost:49152 → db:80', 'localhost:49152']);
    }
  });

  it('shows a port that the server still holds on a connection that is up', () => {
    const remote = newTunnel('web01', '-R 8080:localhost:80');
    const { listen } = remote.spec;
    const failure: Failure = { kind: 'remoteRefused', host: 'web01', user: 'bob', listen, inUse: true, isStale: true };
    const held: EngineEvent = {
      kind: 'listenRetrying',
      forward: tunnelId(remote),
      run: 1,
      failure,
      attempt: 1,
      retryAt,
    };
    const row = connectionOf(at(retryAt - 3000, [connected, held], {}, wantTunnels(nothingWanted, [remote])));
    assert.equal(row.description, `ready · ${server}`);
    const { description, status, problem, tooltip } = row.forwards[0]!;
    assert.deepEqual([description, status], ['retrying in 3 s (attempt 2)', 'retrying']);
    assert.match(problem ?? '', /^localhost:8080 on web01 is still held/);
    assert.deepEqual(tooltip.slice(2), [problem, 'The server is asked again by itself; Retry Now does it at once.']);
  });
});

describe('a tunnel on demand', () => {
  const onDemand = wantTunnels(nothingWanted, [{ ...db, onDemand: true }]);
  const idle: EngineEvent = { kind: 'connectionIdle', connection };
  const how = 'It connects when a client comes, and hangs up after 10 min without one.';

  it('listens without a connection, which is made when a client comes', () =>
    assert.deepEqual(shown(onDemand, [idle, listening]), {
      rows: [
        {
          kind: 'connection',
          id: 'web01',
          label: 'web01',
          description: 'not connected, waits for a client',
          status: 'ready',
          isIdle: true,
          tooltip: ['SSH connection to web01: not connected, waits for a client', how],
          forwards: [
            {
              ...forwardRow,
              description: 'listening, not connected',
              status: 'ready',
              hasClients: true,
              tooltip: [
                through,
                'Listens on this machine: 127.0.0.1:5432, [::1]:5432',
                'Who can connect: only this machine',
                'State: listening, not connected',
                how,
              ],
            },
          ],
        },
      ],
      statusLine: {
        text: '$(radio-tower) 1',
        table: [['127.0.0.1:5432, [::1]:5432', 'db:5432 (web01)', 'listening, not connected']],
        isError: false,
        accessibleText: 'SSH tunnels: 1 ready',
      },
      ready: 1,
    } satisfies Presented));

  it('says after how long it hangs up, and what the last dial came to', () => {
    const [row] = shown(onDemand, [listening, { ...idle, failure: refused }], [], [], true, noConfigForwards, {
      waits: { ...defaultWaits, idleSeconds: 60 },
    }).rows;
    assert.ok(row?.kind === 'connection');
    const after = 'It connects when a client comes, and hangs up after 1 min without one.';
    assert.deepEqual(row.tooltip.slice(1), [after, refusedText]);
    assert.deepEqual(
      [row.forwards[0]?.description, row.forwards[0]?.problem, row.forwards[0]?.tooltip.slice(4)],
      ['listening, not connected, last connection failed', refusedText, [after, refusedText]],
    );
  });
});

describe('a tunnel of another window', () => {
  const elsewhere = (state: ElsewhereState, forward = dbId): EngineEvent => ({ kind: 'runningElsewhere', forward, run: 1, state }); // prettier-ignore
  const ready: ElsewhereState = { kind: 'ready', bound, ...onlyHere };
  const retrying: ElsewhereState = { kind: 'retrying', failure: lost, attempt: 1, retryAt: 5000 };
  const shared = [
    'Another window of VS Code runs it. It is taken over here when that window stops it or closes.',
    'Stop takes it off this window alone.',
  ];

  it('is shown as it is there, without clients here', () =>
    assert.deepEqual(shown(one, [elsewhere(ready)]), {
      rows: [
        {
          kind: 'connection',
          id: 'web01',
          label: 'web01',
          description: 'ready in another window',
          status: 'ready',
          isElsewhere: true,
          tooltip: ['SSH connection to web01: ready in another window', shared[0]!],
          forwards: [
            {
              ...forwardRow,
              description: 'ready in another window',
              status: 'ready',
              tooltip: [
                through,
                'Listens on this machine: 127.0.0.1:5432, [::1]:5432',
                'Who can connect: only this machine',
                'State: ready in another window',
                ...shared,
              ],
            },
          ],
        },
      ],
      statusLine: {
        text: '$(radio-tower) 1',
        table: [['127.0.0.1:5432, [::1]:5432', 'db:5432 (web01)', 'ready in another window']],
        isError: false,
        accessibleText: 'SSH tunnels: 1 ready',
      },
      ready: 1,
    } satisfies Presented));

  const said = (wanted: Wanted, ...events: EngineEvent[]) => {
    const [row] = shown(wanted, events).rows;
    assert.ok(row?.kind === 'connection');
    return [row.status, row.description, ...row.forwards.map(({ description }) => description)];
  };

  it('is never counted down here', () => {
    const [row] = shown(one, [elsewhere(retrying)]).rows;
    assert.ok(row?.kind === 'connection');
    const text = 'retrying in another window';
    assert.deepEqual([row.status, row.description, row.spoken], ['retrying', text, undefined]);
    assert.deepEqual(row.tooltip, [`SSH connection to web01: ${text}`, shared[0]]);
    assert.deepEqual(row.forwards[0]?.tooltip, [through, `State: ${text}`, 'web01 no longer answers.', ...shared]);
    assert.equal(countdownStep({ wanted: one, snapshot: reduce(emptySnapshot, elsewhere(retrying)) }, 0), undefined);
  });

  it('is connecting there, or waits for a client there', () => {
    const connects = 'connecting in another window';
    assert.deepEqual(said(one, elsewhere({ kind: 'connecting' })), ['connecting', connects, connects]);
    assert.deepEqual(said(one, elsewhere({ ...ready, isIdle: true })), [
      'ready',
      'not connected, in another window',
      'listening in another window, not connected',
    ]);
  });

  it('makes its connection’s row with all that are there, by the worst of them', () => {
    const two = wantTunnels(nothingWanted, [db, site]);
    assert.deepEqual(said(two, elsewhere(ready), elsewhere(retrying, siteId)).slice(0, 2), [
      'retrying',
      'retrying in another window',
    ]);
    // One that is stopped has no part in it; one that is here has the connection.
    assert.deepEqual(said(stopTunnels(two, [siteId]), elsewhere(ready)).slice(0, 2), [
      'ready',
      'ready in another window',
    ]);
    assert.deepEqual(said(two, elsewhere(ready), connecting).slice(0, 2), ['connecting', 'connecting']);
    assert.deepEqual(said(two, elsewhere(ready), connected).slice(0, 2), ['ready', `ready · ${server}`]);
  });

  it('is failed, with its connection’s row, when it failed there and nothing is under way here', () => {
    const there = (forward: string): EngineEvent => ({ kind: 'listenFailed', forward, run: 1, failure: refused });
    const two = wantTunnels(nothingWanted, [db, site]);
    assert.deepEqual(said(one, there(dbId)), ['failed', 'failed', 'failed']);
    assert.deepEqual(said(two, elsewhere(ready), there(siteId)).slice(0, 2), ['failed', 'failed']);
    assert.deepEqual(said(two, elsewhere({ kind: 'connecting' }), there(siteId)).slice(0, 2), ['failed', 'failed']);
    assert.deepEqual(said(two, there(siteId)).slice(0, 2), ['connecting', 'connecting']);
    assert.deepEqual(said(two, there(siteId), connected).slice(0, 2), ['ready', `ready · ${server}`]);
    const [row] = shown(one, [there(dbId)]).rows;
    assert.ok(row?.kind === 'connection');
    assert.deepEqual(row.tooltip, ['SSH connection to web01: failed', refusedText]);
  });
});

describe('a tunnel that is ready', () => {
  interface Seen {
    bound: BoundAddress[];
    asked: Access;
    access: Access | 'unknown';
  }
  /** What the user sees of it: the row, the status bar's table and the notification. */
  const seen = (tunnel: NewTunnel, { bound, asked, access }: Seen) => {
    const wanted = wantTunnels(nothingWanted, [tunnel]);
    const event: EngineEvent = {
      kind: 'listening',
      forward: tunnelId(tunnel),
      run: 1,
      bound,
      unbound: [],
      asked,
      access,
    };
    const { rows, statusLine } = shown(wanted, [connected, event]);
    const [row] = rows;
    assert.ok(row?.kind === 'connection' && row.forwards[0]);
    const { label, description, tooltip, isOpen, address, problem } = row.forwards[0];
    const state: TunnelState = { kind: 'ready', bound, unbound: [], asked, access };
    return {
      label,
      description,
      tooltip,
      isOpen,
      address,
      ...(problem !== undefined && { problem }),
      table: statusLine?.table[0],
      notification: readyText(wanted.tunnels[0]!, state),
    };
  };

  it('of a remote forward listens on its server', () =>
    assert.deepEqual(
      seen(newTunnel('web01', '-R 8080:localhost:3000'), { ...onlyHere, bound: tcp(8080, '127.0.0.1', '::1') }),
      {
        label: 'on web01: localhost:8080 → localhost:3000',
        description: 'ready',
        tooltip: [
          'on web01: localhost:8080 → localhost:3000, through web01',
          'Listens on web01: 127.0.0.1:8080, [::1]:8080',
          'Who can connect: only web01',
          'State: ready',
        ],
        isOpen: false,
        address: 'localhost:8080',
        table: ['web01: 127.0.0.1:8080, [::1]:8080', 'localhost:3000 (web01)', 'ready'],
        notification: '127.0.0.1:8080, [::1]:8080 on web01 → localhost:3000 is ready.',
      },
    ));

  it('of a dynamic forward is a SOCKS proxy, and open to the network where that was asked for', () =>
    assert.deepEqual(
      seen(newTunnel('web01', '-D *:1080'), { bound: tcp(1080, '0.0.0.0', '::'), asked: 'network', access: 'network' }),
      {
        label: '*:1080 → SOCKS',
        description: 'ready, open to the network',
        tooltip: [
          '*:1080 → SOCKS, through web01',
          'Listens on this machine: 0.0.0.0:1080 (all IPv4 addresses), [::]:1080 (all IPv6 addresses)',
          'Who can connect: everyone on the network who reaches this machine',
          'State: ready, open to the network',
        ],
        isOpen: true,
        address: 'localhost:1080',
        table: ['0.0.0.0:1080, [::]:1080', 'SOCKS (web01)', 'ready, open to the network'],
        notification: '0.0.0.0:1080, [::]:1080 → SOCKS (via web01) is ready. Open to the network.',
      },
    ));

  it('listens on a Unix socket, here for its user and on a server for whom that lets in', () => {
    const bound: BoundAddress[] = [{ kind: 'unix', path: '/home/ann/db.sock' }];
    assert.deepEqual(seen(newTunnel('web01', '-L ~/db.sock:db:5432'), { bound, asked: 'user', access: 'user' }), {
      label: '~/db.sock → db:5432',
      description: 'ready',
      tooltip: [
        '~/db.sock → db:5432, through web01',
        'Listens on this machine: /home/ann/db.sock',
        'Who can connect: only you on this machine',
        'State: ready',
      ],
      isOpen: false,
      address: '/home/ann/db.sock',
      table: ['/home/ann/db.sock', 'db:5432 (web01)', 'ready'],
      notification: '/home/ann/db.sock → db:5432 (via web01) is ready.',
    });
    assert.deepEqual(
      seen(newTunnel('web01', '-R /run/db.sock:db:5432'), { bound, asked: 'user', access: 'unknown' }).tooltip[2],
      'Who can connect: only your user on web01, unless StreamLocalBindMask in its sshd_config lets in others',
    );
  });

  it('shows the port that was chosen for it wherever it is named', () => {
    const auto: NewTunnel = {
      destination: { host: 'web01' },
      spec: {
        kind: 'local',
        listen: { kind: 'tcp', bind: undefined, port: 0 },
        target: { kind: 'tcp', host: 'db', port: 80 },
      },
    };
    const came = { ...onlyHere, bound: tcp(49152, '127.0.0.1', '::1') };
    assert.deepEqual(seen(auto, came), {
      label: 'localhost:49152 → db:80',
      description: 'ready',
      tooltip: [
        'localhost:49152 → db:80, through web01',
        'Listens on this machine: 127.0.0.1:49152, [::1]:49152',
        'Who can connect: only this machine',
        'State: ready',
      ],
      isOpen: false,
      address: 'localhost:49152',
      table: ['127.0.0.1:49152, [::1]:49152', 'db:80 (web01)', 'ready'],
      notification: '127.0.0.1:49152, [::1]:49152 → db:80 (via web01) is ready.',
    });
    assert.equal(seen({ ...auto, label: 'DB' }, came).description, 'ready · localhost:49152 → db:80');
    const remote = seen(newTunnel('web01', '-R 0:localhost:3000'), came);
    assert.deepEqual([remote.label, remote.address], ['on web01: localhost:49152 → localhost:3000', 'localhost:49152']);
    const [row] = shown(wantTunnels(nothingWanted, [auto])).rows;
    assert.ok(row?.kind === 'connection');
    const { label, address, url } = row.forwards[0]!;
    assert.deepEqual([label, address, url], ['localhost:auto → db:80', undefined, undefined]);
  });

  it('says on which port it is instead of its own', () => {
    const came = { ...onlyHere, bound: tcp(5433, '127.0.0.1', '::1') };
    const instead = 'It has port 5433 instead of 5432 until it is started again.';
    assert.deepEqual(seen({ ...db, label: 'Billing DB' }, came), {
      label: 'Billing DB',
      description: 'ready, port 5433 instead of 5432 · localhost:5433 → db:5432',
      tooltip: [
        'localhost:5433 → db:5432, through web01',
        'Listens on this machine: 127.0.0.1:5433, [::1]:5433',
        instead,
        'Who can connect: only this machine',
        'State: ready, port 5433 instead of 5432',
      ],
      isOpen: false,
      address: 'localhost:5433',
      table: ['127.0.0.1:5433, [::1]:5433', 'db:5432 (web01)', 'ready, port 5433 instead of 5432'],
      notification: `Billing DB: 127.0.0.1:5433, [::1]:5433 → db:5432 (via web01) is ready. ${instead}`,
    });
  });

  it('goes back to its own port when it is started again', () => {
    const wanted = restartTunnels(one, [dbId], false, 'nextFree');
    const moved: EngineEvent = { ...listening, run: 2, bound: tcp(5433, '127.0.0.1') };
    const [row] = shown(restartTunnels(wanted, [dbId]), [connected, moved]).rows;
    assert.ok(row?.kind === 'connection');
    assert.equal(row.forwards[0]?.label, 'localhost:5432 → db:5432');
  });

  it('warns when a server lets in more or fewer than it was asked for', () => {
    const wide = seen(newTunnel('web01', '-R 8080:localhost:3000'), { bound: tcp(8080, '0.0.0.0', '::'), asked: 'machine', access: 'network' }); // prettier-ignore
    assert.deepEqual([wide.description, wide.isOpen], ['ready, open to the network', true]);
    assert.match(wide.problem ?? '', /^web01 opened it on all its addresses to the network/);
    assert.equal(wide.tooltip.at(-1), wide.problem);
    assert.equal(wide.tooltip[2], 'Who can connect: everyone on the network who reaches web01');
    const narrow = seen(newTunnel('web01', '-R *:8080:localhost:3000'), { bound: tcp(8080, '127.0.0.1', '::1'), asked: 'network', access: 'machine' }); // prettier-ignore
    assert.deepEqual([narrow.description, narrow.isOpen], ['ready, not open to the network', false]);
    assert.match(narrow.problem ?? '', /^Only web01 itself can connect/);
    assert.deepEqual(narrow.table?.[2], 'ready, not open to the network');
  });

  it('names the server without its user where it is the machine', () => {
    const tunnel: NewTunnel = {
      ...newTunnel('web01', '-R 8080:localhost:3000'),
      destination: { host: 'web01', user: 'bob' },
    };
    const event: EngineEvent = { ...listening, forward: tunnelId(tunnel), bound: tcp(8080, '127.0.0.1') };
    const [row] = shown(wantTunnels(nothingWanted, [tunnel]), [{ ...connected, connection: 'bob@web01' }, event]).rows;
    assert.ok(row?.kind === 'connection');
    assert.deepEqual(row.forwards[0]?.tooltip, [
      'on web01: localhost:8080 → localhost:3000, through bob@web01',
      'Listens on web01: 127.0.0.1:8080',
      'Who can connect: only web01',
      'State: ready',
    ]);
  });
});

describe('the rows of clients', () => {
  const now = 1_700_000_000_000;
  const client = (more: Partial<Client>): Client => ({
    id: 1,
    peer: '127.0.0.1:50100',
    sent: 0,
    received: 0,
    since: now,
    ...more,
  });
  const only = (more: Partial<Client>): ClientRow => clientRows(dbId, [client(more)], now)[0]!;

  it('name the peer, what was sent each way and the age', () =>
    assert.deepEqual(clientRows(dbId, [client({ sent: 1_234_567, received: 340_000, since: now - 300_000 })], now), [
      {
        kind: 'client',
        forward: dbId,
        id: 1,
        label: '127.0.0.1:50100',
        description: '↑ 1.2 MB ↓ 340 KB · 5 min',
        tooltip: ['From 127.0.0.1:50100', '1.2 MB sent to the target, 340 KB received from it', 'Open for 5 min'],
      },
    ] satisfies ClientRow[]));

  it('name the target that a proxy’s client asked for, and a process that has no address', () =>
    assert.deepEqual(clientRows(dbId, [client({ id: 7, peer: '', target: 'db:5432' })], now), [
      {
        kind: 'client',
        forward: dbId,
        id: 7,
        label: 'a local process → db:5432',
        description: '↑ 0 B ↓ 0 B · 0 s',
        tooltip: [
          'From a local process: a Unix socket does not tell which',
          'To db:5432',
          '0 B sent to the target, 0 B received from it',
          'Open for 0 s',
        ],
      },
    ] satisfies ClientRow[]));

  it('say how long one has waited for the connection', () =>
    assert.deepEqual(clientRows(dbId, [client({ isParked: true, since: now - 5000 })], now), [
      {
        kind: 'client',
        forward: dbId,
        id: 1,
        label: '127.0.0.1:50100',
        description: 'waits for the connection · 5 s',
        isParked: true,
        tooltip: ['From 127.0.0.1:50100', 'Has waited for the SSH connection for 5 s'],
      },
    ] satisfies ClientRow[]));

  it('keep their order', () =>
    assert.deepEqual(
      clientRows(dbId, [client({ id: 2 }), client({ id: 9 }), client({ id: 11 })], now).map(({ id }) => id),
      [2, 9, 11],
    ));

  it('say sizes in the unit that fits', () => {
    const table: [number, string][] = [
      [999, '999 B'],
      [1000, '1 KB'],
      [1049, '1 KB'],
      [1050, '1.1 KB'],
      [9949, '9.9 KB'],
      [9950, '10 KB'],
      [340_499, '340 KB'],
      [999_499, '999 KB'],
      [999_500, '1 MB'],
      [1_200_000_000, '1.2 GB'],
      [45_000_000_000_000, '45 TB'],
    ];
    for (const [sent, text] of table) assert.equal(only({ sent }).description, `↑ ${text} ↓ 0 B · 0 s`);
  });

  it('never need more than three digits for a size', () =>
    fc.assert(
      fc.property(fc.nat({ max: 999_000_000_000_000 }), (sent) => {
        const [, size] = /^↑ (\S+) [KMGT]?B ↓/.exec(only({ sent }).description) ?? [];
        assert.match(size ?? '', /^(\d\.\d|\d{1,3})$/);
      }),
    ));

  it('say ages in the biggest unit that is full', () => {
    const table: [number, string][] = [
      [-5, '0 s'],
      [59_999, '59 s'],
      [60_000, '1 min'],
      [3_599_999, '59 min'],
      [3_600_000, '1 h'],
      [86_399_999, '23 h'],
      [86_400_000, '1 d'],
      [864_000_000, '10 d'],
    ];
    for (const [age, text] of table) assert.equal(only({ since: now - age }).description, `↑ 0 B ↓ 0 B · ${text}`);
  });
});

describe('the rows of presets', () => {
  const scope = { kind: 'workspace' } as const;
  const preset: Preset = {
    name: 'Database',
    destination: { host: 'web01' },
    forwards: [db.spec],
    autoStart: false,
    scope,
  };
  const rows = (...rest: Parameters<typeof shown>) => {
    const group = shown(...rest).rows.at(-1);
    assert.ok(group?.kind === 'presets');
    return group.rows;
  };
  const row: PresetRow = {
    kind: 'preset',
    preset,
    label: 'Database',
    description: 'db:5432 via web01',
    status: 'stopped',
    tooltip: ['localhost:5432 on this machine → db:5432, as web01 sees it', 'From the workspace settings'],
  };
  const locked = 'This workspace is not trusted, so its presets don’t start. Trust the workspace first.';

  it('stand behind the connections, and need no tunnel', () => {
    assert.deepEqual(shown(nothingWanted, [], [preset]), { rows: [{ kind: 'presets', rows: [row] }], ready: 0 });
    assert.deepEqual(
      shown(one, [], [preset]).rows.map(({ kind }) => kind),
      ['connection', 'presets'],
    );
  });

  it('are locked while the workspace that they came with is not trusted', () => {
    assert.deepEqual(rows(nothingWanted, [], [preset], [], false), [
      {
        ...row,
        description: 'workspace not trusted · db:5432 via web01',
        tooltip: [...row.tooltip, locked],
        locked,
      },
    ]);
  });

  it('are not locked when they are the user’s own', () => {
    const own: Preset = { ...preset, scope: { kind: 'user' }, autoStart: true, description: 'Mine' };
    assert.deepEqual(rows(nothingWanted, [], [own], [], false), [
      {
        ...row,
        preset: own,
        tooltip: ['Mine', row.tooltip[0]!, 'From your user settings, starts with the window'],
      },
    ]);
  });

  it('are locked, too, when they are the user’s own and about a folder that nobody trusts', () => {
    const written = { host: 'web01', forwards: ['-L ${workspaceFolder}/db.sock:db:5432'] };
    const own: Preset = { ...preset, scope: { kind: 'user' }, written };
    const [untrusted] = rows(nothingWanted, [], [{ ...own, forwards: [], isUnfilled: true }], [], false);
    assert.deepEqual(untrusted?.kind === 'preset' && [untrusted.description, untrusted.locked], [
      'workspace not trusted · -L ${workspaceFolder}/db.sock:db:5432 via web01',
      locked,
    ]);
    const [trusted] = rows(nothingWanted, [], [own]);
    assert.equal(trusted?.kind === 'preset' && trusted.locked, undefined);
  });

  it('say how their tunnels are, the worst first', () => {
    const both: Preset = { ...preset, forwards: [db.spec, site.spec] };
    const wanted = wantTunnels(nothingWanted, [db, site]);
    const said = (wanted: Wanted, events: EngineEvent[]) =>
      rows(wanted, events, [both]).map((row) =>
        row.kind === 'preset' ? [row.status, row.description, ...(row.isPartly ? ['can be stopped'] : [])] : row,
      );
    assert.deepEqual(said(nothingWanted, []), [['stopped', '2 forwards via web01']]);
    assert.deepEqual(said(wanted, [connected, listening]), [['connecting', 'connecting · 2 forwards via web01']]);
    assert.deepEqual(said(stopTunnels(wanted, [siteId]), [connected, listening]), [
      ['stopped', '1 of 2 ready · 2 forwards via web01', 'can be stopped'],
    ]);
    assert.deepEqual(
      said(wanted, [connected, listening, { kind: 'listenFailed', forward: siteId, run: 1, failure: inUse }]),
      [['failed', 'failed · 2 forwards via web01']],
    );
  });

  it('say when all their tunnels wait for a client, or run in another window', () => {
    const both: Preset = { ...preset, forwards: [db.spec, site.spec], onDemand: true };
    const wanted = wantTunnels(
      nothingWanted,
      [db, site].map((tunnel) => ({ ...tunnel, onDemand: true })),
    );
    const idle: EngineEvent = { kind: 'connectionIdle', connection };
    const other = { ...listening, forward: siteId };
    const elsewhere = (forward: string): EngineEvent => ({ kind: 'runningElsewhere', forward, run: 1, state: { kind: 'ready', bound, ...onlyHere } }); // prettier-ignore
    const said = (...events: EngineEvent[]) => {
      const [row] = rows(wanted, events, [both]);
      assert.ok(row?.kind === 'preset');
      return [row.status, row.description, ...(row.isIdle ? ['idle'] : []), ...(row.isElsewhere ? ['elsewhere'] : [])];
    };
    assert.deepEqual(said(idle, listening, other), [
      'ready',
      'listening, not connected · 2 forwards via web01',
      'idle',
    ]);
    assert.deepEqual(said(connected, listening, other), ['ready', 'ready · 2 forwards via web01']);
    assert.deepEqual(said(elsewhere(dbId), elsewhere(siteId)), ['ready', 'ready in another window · 2 forwards via web01', 'elsewhere']); // prettier-ignore
    assert.deepEqual(said(connected, listening, elsewhere(siteId)), ['ready', 'ready · 2 forwards via web01']);
  });

  it('say from when on they connect as was edited, while their tunnels run as they were started', () => {
    const demand = { ...preset, onDemand: true as const };
    const lines = (preset: Preset, onDemand: boolean, next = (wanted: Wanted) => wanted) => {
      const wanted = wantTunnels(nothingWanted, [{ ...db, ...(onDemand && { onDemand }) }]);
      const [row] = rows(next(wanted), [], [preset]);
      assert.ok(row?.kind === 'preset');
      return row.tooltip.filter((line) => /connects when/.test(line));
    };
    const plain = 'It connects when a client comes, and hangs up after 10 min without one.';
    const edited = plain.replace('It', 'it is stopped and started again as a preset, it');
    assert.deepEqual(lines(demand, false), [`Once ${edited}`]);
    assert.deepEqual(lines(preset, true), [`Until ${edited}`]);
    assert.deepEqual([lines(preset, false), lines(demand, true)], [[], [plain]]);
    const stopped = (wanted: Wanted) => stopTunnels(wanted, [dbId]);
    assert.deepEqual([lines(preset, true, stopped), lines(demand, false, stopped)], [[], [plain]]);
  });

  it('say that they connect when a client comes', () => {
    const [row] = rows(nothingWanted, [], [{ ...preset, onDemand: true }]);
    assert.deepEqual(row?.tooltip.slice(1), [
      'It connects when a client comes, and hangs up after 10 min without one.',
      'From the workspace settings',
    ]);
  });

  it('tell of what is wrong in the settings, with the place', () => {
    const problem: PresetProblem = {
      place: 'presets[2].forwards[0]',
      path: [2, 'forwards', 0],
      message: 'target port missing',
      scope: { kind: 'folder', folder: 'api' },
    };
    assert.deepEqual(rows(nothingWanted, [], [preset], [problem]), [
      row,
      {
        kind: 'problem',
        label: 'presets[2].forwards[0]: target port missing',
        tooltip: ['presets[2].forwards[0]: target port missing', 'In the settings of the folder api'],
        scope: problem.scope,
        path: problem.path,
      },
    ]);
  });

  it('show a preset as it is written until it has its answers, and why it does not start by itself', () => {
    const stored = { name: 'DB', host: 'bob@${input:server}', forwards: ['-L 5432:${input:db}:5432'], autoStart: true };
    const { presets } = parsePresets([stored], { kind: 'user' });
    const [row] = rows(nothingWanted, [], presets);
    assert.deepEqual(row, {
      kind: 'preset',
      preset: presets[0],
      label: 'DB',
      description: '-L 5432:${input:db}:5432 via bob@${input:server}',
      status: 'stopped',
      tooltip: [
        '-L 5432:${input:db}:5432, through bob@${input:server}',
        'Asks when it is started: server, db. It doesn’t start with the window until that is answered once.',
        'From your user settings',
      ],
    });
  });

  it('name their settings', () => {
    assert.deepEqual([{ kind: 'user' } as const, scope, { kind: 'folder', folder: 'api' } as const].map(scopeText), [
      'your user settings',
      'the workspace settings',
      'the settings of the folder api',
    ]);
  });
});

describe('the rows of ssh_config', () => {
  const file = '/home/bob/.ssh/config';
  const forward = (host: string, spec: string, line: number): ConfigForward => ({
    host,
    spec: mustParseSpec(spec),
    origin: { file, line },
  });
  const config = {
    forwards: [
      forward('web01', '-L 5432:db:5432', 2),
      forward('web01', '-R 8080:localhost:3000', 3),
      forward('web02', '-D *:1080', 7),
    ],
    problems: [{ origin: { file, line: 9 }, message: 'target\u202e missing' }],
  };
  const group = (wanted: Wanted, events: EngineEvent[] = [], given: typeof config = config) => {
    const last = shown(wanted, events, [], [], true, given).rows.at(-1);
    assert.ok(last?.kind === 'sshConfig');
    return last.rows;
  };
  const idleForward: ConfigForwardRow = {
    kind: 'configForward',
    id: dbId,
    label: 'localhost:5432 → db:5432',
    description: '',
    status: 'stopped',
    isOpen: false,
    tooltip: ['localhost:5432 on this machine → db:5432, as web01 sees it', `Line 2 of ${file}`],
    address: 'localhost:5432',
    url: 'http://localhost:5432',
    origin: { file, line: 2 },
  };

  it('stand behind the presets, and need no tunnel', () => {
    const preset: Preset = { name: 'x', destination: { host: 'a' }, forwards: [db.spec], autoStart: false, scope: { kind: 'user' } }; // prettier-ignore
    assert.deepEqual(
      shown(one, [], [preset], [], true, config).rows.map(({ kind }) => kind),
      ['connection', 'presets', 'sshConfig'],
    );
    assert.equal(shown(nothingWanted, [], [], [], true, config).statusLine, undefined);
    assert.deepEqual(shown(nothingWanted, [], [], [], true, { forwards: [], problems: [] }).rows, []);
  });

  it('are the hosts with their forwards, and what could not be read', () => {
    assert.deepEqual(group(nothingWanted), [
      {
        kind: 'configHost',
        host: 'web01',
        label: 'web01',
        description: '2 forwards',
        status: 'stopped',
        tooltip: [
          'Forwards that stand in ssh_config for web01',
          'localhost:5432 on this machine → db:5432, as web01 sees it',
          'localhost:8080 on web01 → localhost:3000, as this machine sees it',
        ],
        forwards: [
          idleForward,
          {
            kind: 'configForward',
            id: 'web01 -R 8080:localhost:3000',
            label: 'on web01: localhost:8080 → localhost:3000',
            description: '',
            status: 'stopped',
            isOpen: false,
            tooltip: ['localhost:8080 on web01 → localhost:3000, as this machine sees it', `Line 3 of ${file}`],
            address: 'localhost:8080',
            origin: { file, line: 3 },
          },
        ],
      },
      {
        kind: 'configHost',
        host: 'web02',
        label: 'web02',
        description: '1 forward',
        status: 'stopped',
        tooltip: [
          'Forwards that stand in ssh_config for web02',
          '*:1080 on this machine → SOCKS proxy, as web02 sees the network. Open to the network!',
        ],
        forwards: [
          {
            kind: 'configForward',
            id: 'web02 -D *:1080',
            label: '*:1080 → SOCKS',
            description: '',
            status: 'stopped',
            isOpen: false,
            tooltip: [
              '*:1080 on this machine → SOCKS proxy, as web02 sees the network. Open to the network!',
              `Line 7 of ${file}`,
            ],
            address: 'localhost:1080',
            origin: { file, line: 7 },
          },
        ],
      },
      {
        kind: 'configProblem',
        label: 'config:9: target? missing',
        tooltip: ['target? missing', `Line 9 of ${file}`],
        origin: { file, line: 9 },
      },
    ]);
  });

  it('say how the tunnels are that were started from them, or by their words', () => {
    const [host] = group(one, [connected, listening]);
    assert.ok(host?.kind === 'configHost');
    assert.deepEqual([host.status, host.description, host.isPartly], ['stopped', '1 of 2 ready', true]);
    assert.deepEqual(host.forwards[0], {
      ...idleForward,
      status: 'ready',
      description: 'ready',
      hasClients: true,
      tooltip: [
        through,
        'Listens on this machine: 127.0.0.1:5432, [::1]:5432',
        'Who can connect: only this machine',
        'State: ready',
        `Line 2 of ${file}`,
      ],
    });
    const [stopped] = group(stopTunnels(one, [dbId]), [connected, listening]);
    assert.ok(stopped?.kind === 'configHost');
    assert.deepEqual(stopped.forwards[0], idleForward);
    assert.equal(stopped.isPartly, undefined);
  });

  it('say what still finishes, and what failed', () => {
    const said = (wanted: Wanted, events: EngineEvent[]) => {
      const [host] = group(wanted, events);
      assert.ok(host?.kind === 'configHost');
      const [{ status, description, problem }] = host.forwards as [ConfigForwardRow];
      return [host.status, host.description, status, description, problem];
    };
    assert.deepEqual(said(stopTunnels(one, [dbId], 'drain'), [connected, listening]), [
      'stopped',
      '2 forwards',
      'stopped',
      'stopped, open connections finish',
      undefined,
    ]);
    assert.deepEqual(said(one, [{ kind: 'connectionFailed', connection, failure: refused }]), [
      'failed',
      'failed · 2 forwards',
      'failed',
      'failed',
      refusedText,
    ]);
  });
});

describe('clientAddress and browserUrl', () => {
  const tunnelOf = (spec: string): Tunnel => wantTunnels(nothingWanted, [newTunnel('web01', spec)]).tunnels[0]!;
  const stopped: TunnelState = { kind: 'stopped', draining: false };
  const table: [spec: string, address: string | undefined, url: string | undefined][] = [
    ['-L 8080:web:80', 'localhost:8080', 'http://localhost:8080'],
    ['-L :8080:web:80', 'localhost:8080', 'http://localhost:8080'],
    ['-L 0.0.0.0:8080:web:80', '127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['-L [::]:8080:web:80', '[::1]:8080', 'http://[::1]:8080'],
    ['-L 127.0.0.2:8080:web:80', '127.0.0.2:8080', 'http://127.0.0.2:8080'],
    ['-L [::1]:8080:web:80', '[::1]:8080', 'http://[::1]:8080'],
    ['-L 8443:web:443', 'localhost:8443', 'https://localhost:8443'],
    ['-L 8080:web:8443', 'localhost:8080', 'https://localhost:8080'],
    ['-L 8080:/run/web.sock', 'localhost:8080', undefined],
    ['-L /run/a.sock:web:80', '/run/a.sock', undefined],
    ['-D 1080', 'localhost:1080', undefined],
    ['-R 8080:web:80', 'localhost:8080', undefined],
    ['-R *:8080:web:80', 'localhost:8080', undefined],
    ['-R /run/a.sock:web:80', '/run/a.sock', undefined],
    ['-R 0:web:80', undefined, undefined],
  ];
  for (const [spec, address, url] of table)
    it(`give ${address ?? 'nothing'} and ${url ?? 'nothing'} for ${spec}`, () => {
      const tunnel = tunnelOf(spec);
      assert.equal(clientAddress(tunnel, stopped), address);
      assert.equal(address && browserUrl(tunnel, address), url);
    });

  const real: [spec: string, bound: string[], isPartly: boolean, address: string][] = [
    ['-L 8080:web:80', ['127.0.0.1', '::1'], false, 'localhost:8080'],
    ['-L 8080:web:80', ['127.0.0.1'], false, 'localhost:8080'],
    // AddressFamily inet6, or another program has 127.0.0.1.
    ['-L 8080:web:80', ['::1'], false, '[::1]:8080'],
    ['-L 8080:web:80', ['::1'], true, '[::1]:8080'],
    ['-L 8080:web:80', ['127.0.0.1'], true, '127.0.0.1:8080'],
    ['-L *:8080:web:80', ['0.0.0.0', '::'], false, 'localhost:8080'],
    ['-L *:8080:web:80', ['::'], true, '[::1]:8080'],
    ['-L web.test:8080:web:80', ['192.0.2.7'], false, 'web.test:8080'],
    ['-R 8080:web:80', ['::1'], false, '[::1]:8080'],
    ['-R 127.0.0.2:8080:web:80', ['127.0.0.2'], false, '127.0.0.2:8080'],
    ['-R 127.0.0.2:8080:web:80', ['127.0.0.1', '::1'], false, '127.0.0.1:8080'],
    ['-R 192.0.2.7:8080:web:80', ['127.0.0.1', '::1'], false, '127.0.0.1:8080'],
    ['-R 192.0.2.7:8080:web:80', ['0.0.0.0'], false, '192.0.2.7:8080'],
    ['-R web.test:8080:web:80', ['127.0.0.1', '::1'], false, '127.0.0.1:8080'],
    ['-R *:8080:web:80', ['127.0.0.1', '::1'], false, 'localhost:8080'],
    ['-R *:8080:web:80', ['*'], false, 'localhost:8080'],
    ['-R 8080:web:80', ['localhost'], false, 'localhost:8080'],
  ];
  for (const [spec, addresses, isPartly, address] of real)
    it(`give ${address} for ${spec} that ${isPartly ? 'has only' : 'has'} ${addresses.join(' and ')}`, () => {
      const unbound: Failure[] = isPartly ? [inUse] : [];
      const state: TunnelState = { kind: 'ready', ...onlyHere, bound: tcp(8080, ...addresses), unbound };
      assert.equal(clientAddress(tunnelOf(spec), state), address);
    });
});

describe('the names of tunnels', () => {
  const ready = (port: number): TunnelState & { kind: 'ready' } => ({
    kind: 'ready',
    ...onlyHere,
    bound: tcp(port, '127.0.0.1'),
  });
  const named = (label?: string): Tunnel => ({ ...one.tunnels[0]!, ...(label !== undefined && { label }) });

  it('are the user’s own, or else what leads where', () => {
    assert.equal(tunnelName(named('Billing DB'), ready(5432)), 'Billing DB');
    assert.equal(tunnelName(named(), ready(5433)), 'localhost:5433 → db:5432');
  });

  it('come with the address among others where they hide a port that was chosen', () => {
    assert.equal(readyName(named('Billing DB'), ready(5432)), 'Billing DB');
    assert.equal(readyName(named('Billing DB'), ready(5433)), 'Billing DB (localhost:5433)');
    assert.equal(readyName(named(), ready(5433)), 'localhost:5433');
  });
});

describe('readyText', () => {
  const said = (wanted: Wanted, bound: BoundAddress[], access: Access = 'machine') =>
    readyText(wanted.tunnels[0]!, { kind: 'ready', bound, unbound: [], asked: access, access });

  it('says what listens where, and by which way', () => {
    assert.equal(said(one, bound), '127.0.0.1:5432, [::1]:5432 → db:5432 (via web01) is ready.');
    assert.equal(
      said(renameTunnel(one, dbId, 'Database'), bound.slice(0, 1)),
      'Database: 127.0.0.1:5432 → db:5432 (via web01) is ready.',
    );
  });

  it('says that it waits for a client, or that another window runs it', () => {
    const came = { kind: 'ready', bound: bound.slice(0, 1), ...onlyHere } as const;
    const text = (more: object) => readyText(one.tunnels[0]!, { ...came, ...more });
    const what = '127.0.0.1:5432 → db:5432 (via web01)';
    assert.equal(text({ isIdle: true }), `${what} listens, and connects when a client comes.`);
    assert.equal(text({ isElsewhere: true }), `${what} is ready in another window.`);
    assert.equal(text({ isIdle: true, isElsewhere: true }), `${what} listens in another window, and connects when a client comes.`); // prettier-ignore
  });

  it('warns of a listener that others on the network reach', () =>
    assert.equal(
      said(wantTunnels(nothingWanted, [site]), tcp(8443, '0.0.0.0'), 'network'),
      'Site: 0.0.0.0:8443 → localhost:443 (via web01) is ready. Open to the network.',
    ));
});
