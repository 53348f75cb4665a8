import assert from 'node:assert/strict';
import type { BoundAddress, EngineEvent } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import type { Preset, PresetProblem } from '../../src/core/preset.js';
import {
  browserUrl,
  localAddress,
  present,
  readyText,
  scopeText,
  type PresetRow,
  type Presented,
} from '../../src/core/present.js';
import {
  nothingWanted,
  renameTunnel,
  stopTunnels,
  tunnelId,
  wantTunnels,
  type NewTunnel,
  type Tunnel,
  type Wanted,
} from '../../src/core/session.js';
import { emptySnapshot, reduce } from '../../src/core/snapshot.js';
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
  { address: '127.0.0.1', family: 4, port: 5432 },
  { address: '::1', family: 6, port: 5432 },
];
const listening: EngineEvent = { kind: 'listening', forward: dbId, run: 1, bound, unbound: [] };
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
): Presented {
  return present({ session: { wanted, snapshot: events.reduce(reduce, emptySnapshot) }, presets, problems, trusted });
}

const one = wantTunnels(nothingWanted, [db]);
const forwardRow = {
  kind: 'forward',
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
              tooltip: [
                through,
                'Listens on 127.0.0.1:5432, [::1]:5432',
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

  it('shows what a retry waits for', () => {
    const events: EngineEvent[] = [
      connected,
      listening,
      { kind: 'connectionLost', connection, failure: lost, attempt: 2, retryAt: 1000 },
    ];
    assert.deepEqual(said(one, events), {
      connection: 'retrying',
      status: 'retrying',
      description: 'retrying',
      problem: 'web01 no longer answers. Trying again (attempt 2).',
      text: '$(sync~spin) 0',
      isError: false,
      ready: 0,
    });
  });

  it('shows that somebody has to answer', () => {
    const ask = { id: 'a', connection, kind: 'passphrase', path: '/k', attempt: 1 } as const;
    assert.equal(said(one, [connecting, { kind: 'asked', ask }]).description, 'connecting, waiting for you');
    assert.equal(
      said(one, [connecting, { kind: 'asked', ask: { ...ask, connection: 'x' } }]).description,
      'connecting',
    );
  });

  it('shows what of a ready tunnel could not be bound, and a connection that was refused', () => {
    const half: EngineEvent = {
      kind: 'listening',
      forward: dbId,
      run: 1,
      bound: bound.slice(0, 1),
      unbound: [inUse],
    };
    const noChannel: EngineEvent = {
      kind: 'channelFailed',
      forward: dbId,
      failure: { kind: 'channelRefused', target: 'db:5432', host: 'web01', refusal: 'prohibited', detail: '' },
    };
    const onlyHalf = `Only 127.0.0.1:5432 could be bound. ${inUseText}`;
    const forbidden = 'web01 forbids forwarding to db:5432. Ask who runs it about AllowTcpForwarding and PermitOpen.';
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

  it('shows all tunnels as failed when the engine has ended', () => {
    const { connection, status, problem } = said(one, [{ kind: 'engineEnded', detail: 'out of memory' }]);
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
        tooltip: ['*:8443 → localhost:443, through web01', 'State: connecting'],
        address: 'localhost:8443',
        url: 'https://localhost:8443',
      },
    ]);
  });

  it('says who can connect to a listener, here or on the server', () => {
    const access = (spec: string) => {
      const tunnel = newTunnel('web01', spec);
      const event: EngineEvent = { kind: 'listening', forward: tunnelId(tunnel), run: 1, bound, unbound: [] };
      const [row] = shown(wantTunnels(nothingWanted, [tunnel]), [connected, event]).rows;
      assert.ok(row?.kind === 'connection');
      return row.forwards[0]?.tooltip[2];
    };
    assert.equal(access('-L :1:a:2'), 'Who can connect: everyone on the network who reaches this machine');
    assert.equal(access('-L 1:a:2'), 'Who can connect: only this machine');
    assert.equal(access('-R 1:a:2'), 'Who can connect: only web01');
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

  it('say how their tunnels are, the worst first', () => {
    const both: Preset = { ...preset, forwards: [db.spec, site.spec] };
    const wanted = wantTunnels(nothingWanted, [db, site]);
    const said = (wanted: Wanted, events: EngineEvent[]) =>
      rows(wanted, events, [both]).map((row) => (row.kind === 'preset' ? [row.status, row.description] : row));
    assert.deepEqual(said(nothingWanted, []), [['stopped', '2 forwards via web01']]);
    assert.deepEqual(said(wanted, [connected, listening]), [['connecting', 'connecting · 2 forwards via web01']]);
    assert.deepEqual(said(stopTunnels(wanted, [siteId]), [connected, listening]), [
      ['stopped', '1 of 2 ready · 2 forwards via web01'],
    ]);
    assert.deepEqual(
      said(wanted, [connected, listening, { kind: 'listenFailed', forward: siteId, run: 1, failure: inUse }]),
      [['failed', 'failed · 2 forwards via web01']],
    );
  });

  it('tell of what is wrong in the settings, with the place', () => {
    const problem: PresetProblem = {
      place: 'presets[2].forwards[0]',
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
      },
    ]);
  });

  it('name their settings', () => {
    assert.deepEqual([{ kind: 'user' } as const, scope, { kind: 'folder', folder: 'api' } as const].map(scopeText), [
      'your user settings',
      'the workspace settings',
      'the settings of the folder api',
    ]);
  });
});

describe('localAddress and browserUrl', () => {
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
    ['-L /run/a.sock:web:80', undefined, undefined],
    ['-D 1080', 'localhost:1080', undefined],
    ['-R 8080:web:80', undefined, undefined],
  ];
  for (const [spec, address, url] of table)
    it(`give ${address ?? 'nothing'} and ${url ?? 'nothing'} for ${spec}`, () => {
      const tunnel: Tunnel = { ...newTunnel('web01', spec), id: 'x', running: true, automatic: false, run: 1 };
      assert.equal(localAddress(tunnel, { kind: 'stopped' }), address);
      assert.equal(address && browserUrl(tunnel, address), url);
    });
});

describe('localAddress', () => {
  it('is what was really bound when another program has the rest', () => {
    const tunnel: Tunnel = {
      ...newTunnel('web01', '-L 8080:web:80'),
      id: 'x',
      running: true,
      automatic: false,
      run: 1,
    };
    const unbound: Failure[] = [{ kind: 'portInUse', address: '127.0.0.1', port: 8080 }];
    const bound: BoundAddress[] = [{ address: '::1', family: 6, port: 8080 }];
    assert.equal(localAddress(tunnel, { kind: 'ready', bound, unbound }), '[::1]:8080');
    assert.equal(localAddress(tunnel, { kind: 'ready', bound, unbound: [] }), 'localhost:8080');
  });
});

describe('readyText', () => {
  const said = (wanted: Wanted, bound: BoundAddress[]) =>
    readyText(wanted.tunnels[0]!, { kind: 'ready', bound, unbound: [] });

  it('says what listens where, and by which way', () => {
    assert.equal(said(one, bound), '127.0.0.1:5432, [::1]:5432 → db:5432 (via web01) is ready.');
    assert.equal(
      said(renameTunnel(one, dbId, 'Database'), bound.slice(0, 1)),
      'Database: 127.0.0.1:5432 → db:5432 (via web01) is ready.',
    );
  });

  it('warns of a listener that others on the network reach', () => {
    const everywhere: BoundAddress[] = [{ address: '0.0.0.0', family: 4, port: 8443 }];
    assert.equal(
      said(wantTunnels(nothingWanted, [site]), everywhere),
      'Site: 0.0.0.0:8443 → localhost:443 (via web01) is ready. Open to the network.',
    );
  });
});
