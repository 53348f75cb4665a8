import assert from 'node:assert/strict';
import type { Access, EngineEvent } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import {
  decideNotices,
  isShown,
  nothingWatched,
  readNoticeLevel,
  type Notice,
  type Watched,
} from '../../src/core/notice.js';
import {
  nothingWanted,
  renameTunnel,
  restartTunnels,
  startTunnels,
  stopTunnels,
  type NewTunnel,
  type SessionState,
} from '../../src/core/session.js';
import { emptySnapshot, reduce } from '../../src/core/snapshot.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const tunnel = (spec: string, label?: string): NewTunnel => ({
  destination: { host: 'web01' },
  spec: mustParseSpec(spec),
  ...(label !== undefined && { label }),
});
const db = tunnel('-L 5432:db:5432');
const dbId = 'web01 -L 5432:db:5432';
const web = tunnel('-L 8080:localhost:80', 'site');
const webId = 'web01 -L 8080:localhost:80';

const connected: EngineEvent = { kind: 'connected', connection: 'web01', server: 'alice@10.0.0.1:22' };
const lost = (failure: Failure): EngineEvent => ({
  kind: 'connectionLost',
  connection: 'web01',
  failure,
  attempt: 1,
  retryAt: 1000,
});
const failedWith = (failure: Failure): EngineEvent => ({ kind: 'connectionFailed', connection: 'web01', failure });
const listening = (
  forward: string,
  port: number,
  unbound: readonly Failure[] = [],
): EngineEvent & { kind: 'listening' } => ({
  kind: 'listening',
  forward,
  run: 1,
  bound: [{ kind: 'tcp', address: '127.0.0.1', port }],
  unbound,
  asked: 'machine',
  access: 'machine',
});
const listenFailed = (forward: string, failure: Failure, run = 1): EngineEvent => ({
  kind: 'listenFailed',
  forward,
  run,
  failure,
});
const refused: Failure = { kind: 'connectFailed', host: 'web01', port: 22, code: 'ECONNREFUSED' };
const refusedText = 'web01:22 refused the connection. Check that an SSH server runs there and the port is right.';

/** A window in which tunnels are started and events come; tells what was noticed at each step. */
function createWindow(...tunnels: NewTunnel[]) {
  let state: SessionState = {
    wanted: startTunnels({ wanted: nothingWanted, snapshot: emptySnapshot }, tunnels).wanted,
    snapshot: emptySnapshot,
  };
  let watched: Watched = nothingWatched;
  const become = (next: SessionState, event?: EngineEvent): readonly Notice[] => {
    const { notices, ...rest } = decideNotices(state, next, watched, event);
    state = next;
    watched = rest;
    return notices;
  };
  return {
    expect: (...ids: string[]) => (watched = { ...watched, asked: new Set([...watched.asked, ...ids]) }),
    want: (next: (wanted: SessionState['wanted']) => SessionState['wanted']) =>
      become({ ...state, wanted: next(state.wanted) }),
    /** The engine ends, and loses these. */
    lose: (detail: string, ...ids: string[]) => {
      const tunnels = state.wanted.tunnels.map((one) =>
        ids.includes(one.id) ? { ...one, wish: 'lost' as const } : one,
      );
      const snapshot = reduce(state.snapshot, { kind: 'engineEnded', detail });
      return become({ wanted: { ...state.wanted, tunnels }, snapshot }, { kind: 'engineEnded', detail });
    },
    see: (...events: EngineEvent[]) =>
      events.flatMap((event) => become({ ...state, snapshot: reduce(state.snapshot, event) }, event)),
    get asked() {
      return [...watched.asked];
    },
  };
}

describe('decideNotices', () => {
  it('tells where a tunnel listens that was asked for, once', () => {
    const window = createWindow(db);
    window.expect(dbId);
    assert.deepEqual(window.see({ kind: 'connecting', connection: 'web01', attempt: 1 }, connected), []);
    assert.deepEqual(window.see(listening(dbId, 5432)), [
      {
        kind: 'ready',
        tunnels: [dbId],
        text: '127.0.0.1:5432 → db:5432 (via web01) is ready.',
        partly: false,
        remedies: [],
      },
    ]);
    assert.deepEqual(window.asked, []);
    assert.deepEqual(window.see({ kind: 'channelOpened', forward: dbId }), []);
  });

  it('says nothing of one that nobody asked for, nor of a reconnect', () => {
    const window = createWindow(db);
    const broken: Failure = { kind: 'connectionLost', host: 'web01', reason: 'keepalive' };
    assert.deepEqual(window.see(connected, listening(dbId, 5432), lost(broken), connected), []);
  });

  it('tells of a failure at once, and also if nobody asked', () => {
    const notice = { kind: 'failed', tunnels: [dbId], text: refusedText, remedies: [] };
    const window = createWindow(db);
    assert.deepEqual(window.see(failedWith(refused)), [notice]);
    const asking = createWindow(db);
    asking.expect(dbId);
    assert.deepEqual(asking.see(failedWith(refused)), [notice]);
    assert.deepEqual(asking.asked, []);
  });

  it('tells once of a connection that failed with several forwards', () => {
    const window = createWindow(db, web);
    window.expect(dbId, webId);
    assert.deepEqual(window.see(failedWith(refused)), [
      { kind: 'failed', tunnels: [dbId, webId], text: refusedText, remedies: [] },
    ]);
  });

  it('tells again when a second try fails in the same way', () => {
    const window = createWindow(db);
    window.see(failedWith(refused));
    assert.deepEqual(
      window.want((wanted) => restartTunnels(wanted, [dbId])),
      [],
    );
    assert.equal(window.see(failedWith({ ...refused })).length, 1);
  });

  it('is silent about a port in use that only an automatic start wanted', () => {
    const inUse: EngineEvent = {
      kind: 'listenFailed',
      forward: dbId,
      run: 1,
      failure: { kind: 'portInUse', address: '127.0.0.1', port: 5432 },
    };
    const automatic = createWindow();
    automatic.want((wanted) => startTunnels({ wanted, snapshot: emptySnapshot }, [db], true).wanted);
    assert.deepEqual(automatic.see(connected, inUse), []);
    assert.equal(automatic.see(failedWith(refused)).length, 1);
    assert.equal(createWindow(db).see(connected, inUse).length, 1);
  });

  it('is silent about the failure of another window, unless a person started it here or asked', () => {
    const there: EngineEvent = { kind: 'runningElsewhere', forward: dbId, run: 1, state: { kind: 'connecting' } };
    const told = (automatic: boolean, ...asked: string[]) => {
      const window = createWindow();
      window.want((wanted) => startTunnels({ wanted, snapshot: emptySnapshot }, [db], automatic).wanted);
      window.expect(...asked);
      return window.see(there, listenFailed(dbId, refused)).length;
    };
    assert.deepEqual([told(true), told(true, dbId), told(false)], [0, 1, 1]);
  });

  it('is silent about a cancel', () => {
    const window = createWindow(db);
    window.expect(dbId);
    assert.deepEqual(window.see(failedWith({ kind: 'cancelled' })), []);
    assert.deepEqual(window.asked, []);
  });

  it('tells of the tunnels of one connection together, when all are settled', () => {
    const window = createWindow(db, web);
    window.expect(dbId, webId);
    assert.deepEqual(window.see(connected, listening(dbId, 5432)), []);
    assert.deepEqual(window.see(listening(webId, 8080)), [
      {
        kind: 'ready',
        tunnels: [dbId, webId],
        text: '2 tunnels are ready: localhost:5432, site.',
        partly: false,
        remedies: [],
      },
    ]);
  });

  it('tells of the one that is ready and of the one that is not', () => {
    const window = createWindow(db, web);
    window.expect(dbId, webId);
    const inUse: Failure = { kind: 'portInUse', address: '127.0.0.1', port: 8080 };
    const notices = window.see(
      connected,
      { kind: 'listenFailed', forward: webId, run: 1, failure: inUse },
      listening(dbId, 5432),
    );
    assert.deepEqual(
      notices.map(({ kind, tunnels }) => ({ kind, tunnels })),
      [
        { kind: 'failed', tunnels: [webId] },
        { kind: 'ready', tunnels: [dbId] },
      ],
    );
  });

  it('names what could not be bound', () => {
    const window = createWindow(db);
    window.expect(dbId);
    const inUse: Failure = { kind: 'portInUse', address: '::1', port: 5432 };
    assert.deepEqual(window.see(connected, listening(dbId, 5432, [inUse])), [
      {
        kind: 'ready',
        tunnels: [dbId],
        text: '127.0.0.1:5432 → db:5432 (via web01) is ready. Only 127.0.0.1:5432 could be bound. [::1]:5432 is in use by another program. A client of localhost:5432 may reach that instead. Stop it, or choose another port.',
        partly: true,
        remedies: [{ kind: 'nextFree', tunnels: [dbId] }],
      },
    ]);
  });

  it('waits for the restart of one that is ready', () => {
    const window = createWindow(db);
    window.see(connected, listening(dbId, 5432));
    window.expect(dbId);
    assert.deepEqual(
      window.want((wanted) => restartTunnels(wanted, [dbId])),
      [],
    );
    assert.deepEqual(
      window.see({ kind: 'channelOpened', forward: dbId }, { kind: 'forwardClosed', forward: dbId }),
      [],
    );
    assert.equal(window.see({ ...listening(dbId, 5432), run: 2 }).length, 1);
  });

  it('forgets one that was stopped meanwhile', () => {
    const window = createWindow(db);
    window.expect(dbId);
    window.want((wanted) => stopTunnels(wanted, [dbId]));
    assert.deepEqual(window.see({ kind: 'connectionClosed', connection: 'web01' }), []);
    assert.deepEqual(window.asked, []);
  });

  it('tells of what the engine lost when it ended, once', () => {
    const window = createWindow(db, web);
    window.see(connected, listening(dbId, 5432));
    const told = (...lost: string[]) => window.lose('out of memory', ...lost).map(({ tunnels }) => tunnels);
    assert.deepEqual(told(dbId, webId), [[dbId, webId]]);
    window.want((wanted) => startTunnels({ wanted, snapshot: emptySnapshot }, [web]).wanted);
    assert.deepEqual(window.see(connected, { ...listening(webId, 8080), run: 2 }), []);
    assert.deepEqual(told(dbId, webId), [[webId]]);
  });

  it('says which tunnel a warning is about when it tells of several', () => {
    const window = createWindow(db, web);
    window.expect(dbId, webId);
    const inUse: Failure = { kind: 'portInUse', address: '::1', port: 8080, owner: { program: 'node', pid: 42 } };
    assert.deepEqual(window.see(connected, listening(dbId, 5433), listening(webId, 8080, [inUse])), [
      {
        kind: 'ready',
        tunnels: [dbId, webId],
        text: '2 tunnels are ready: localhost:5433, site. site: Only 127.0.0.1:8080 could be bound. [::1]:8080 is in use by node (pid 42). A client of localhost:8080 may reach that instead. Stop it, or choose another port.',
        partly: true,
        remedies: [{ kind: 'nextFree', tunnels: [webId] }],
      },
    ]);
  });
});

describe('what comes back by itself', () => {
  const broken: Failure = { kind: 'connectionLost', host: 'web01', reason: 'keepalive' };
  const again: EngineEvent = { kind: 'connecting', connection: 'web01', attempt: 2 };

  it('is not told of, however often it is tried', () => {
    const window = createWindow(db);
    const tries = [lost(broken), again, lost(refused), again, lost(refused), again];
    assert.deepEqual(window.see(connected, listening(dbId, 5432), ...tries, connected), []);
  });

  const inUse = (program: string): EngineEvent =>
    listenFailed(webId, { kind: 'portInUse', address: '127.0.0.1', port: 8080, owner: { program, pid: 42 } });

  it('is told of once when it can’t listen, and not again with each reconnect', () => {
    const window = createWindow(db, web);
    assert.equal(window.see(connected, listening(dbId, 5432), inUse('node')).length, 1);
    for (const program of ['node', 'python3'])
      assert.deepEqual(window.see(lost(broken), again, connected, inUse(program)), []);
    // One that had come back is in new trouble.
    const [notice] = window.see(lost(broken), again, connected, listening(webId, 8080), inUse('node'));
    assert.deepEqual(notice?.tunnels, [webId]);
    window.want((wanted) => restartTunnels(wanted, [webId]));
    assert.equal(window.see({ ...inUse('node'), run: 2 } as EngineEvent).length, 1);
  });

  it('is told of when it can’t listen for another reason', () => {
    const window = createWindow(db, web);
    window.see(connected, listening(dbId, 5432), inUse('node'), lost(broken), again, connected);
    const gone: Failure = { kind: 'addressUnavailable', address: '127.0.0.1', port: 8080 };
    assert.equal(window.see(listenFailed(webId, gone)).length, 1);
    assert.deepEqual(window.see(failedWith(refused)).map(({ tunnels }) => tunnels), [[dbId, webId]]); // prettier-ignore
  });

  it('is told of once when it comes back no more', () => {
    const window = createWindow(db, web);
    window.see(connected, listening(dbId, 5432), listening(webId, 8080), lost(broken), again);
    assert.deepEqual(window.see(failedWith(refused), { kind: 'forwardClosed', forward: dbId }), [
      { kind: 'failed', tunnels: [dbId, webId], text: refusedText, remedies: [] },
    ]);
  });

  it('can be answered where only that is missing', () => {
    const window = createWindow(db);
    window.see(connected, listening(dbId, 5432), lost(broken), again);
    const needed: Failure = { kind: 'answerNeeded', host: 'bastion', what: 'password' };
    const [notice] = window.see(failedWith({ kind: 'hop', hop: 'bastion', host: 'web01', failure: needed }));
    assert.deepEqual(notice?.remedies, [{ kind: 'answer', tunnels: [dbId] }]);
  });

  it('is told of when a person wanted it at once', () => {
    const window = createWindow(db);
    window.see(connected, listening(dbId, 5432), lost(broken));
    window.expect(dbId);
    assert.deepEqual(window.see({ ...again, attempt: 1 }, lost(refused), again), []);
    assert.equal(window.see(connected).length, 1);
  });

  const hook = tunnel('-R 0:localhost:3000');
  const hookId = 'web01 -R 0:localhost:3000';
  const away: EngineEvent[] = [{ kind: 'forwardClosed', forward: hookId }, lost(broken), again, connected];
  const cameBack = (label = '') => [
    {
      kind: 'ready',
      tunnels: [hookId],
      text: `${label}on web01: localhost:40002 → localhost:3000 came back with port 40002 instead of 40001. Connect to localhost:40002 on web01 from now on.`,
      partly: true,
      remedies: [],
    },
  ];

  it('is told of when its server gave it another port', () => {
    const window = createWindow(hook);
    window.see(connected, listening(hookId, 40001));
    assert.deepEqual(window.see(...away, listening(hookId, 40001)), []);
    assert.deepEqual(window.see(...away), []);
    assert.deepEqual(window.see(listening(hookId, 40002)), cameBack());
    assert.deepEqual(window.see(...away, listening(hookId, 40002)), []);
  });

  it('is told of by its name when it has one', () => {
    const window = createWindow({ ...hook, label: 'Hook' });
    assert.deepEqual(window.see(connected, listening(hookId, 40001), ...away, listening(hookId, 40002)), cameBack('Hook: ')); // prettier-ignore
  });

  it('may have another port when it was started again', () => {
    const window = createWindow(hook);
    window.see(connected, listening(hookId, 40001));
    window.want((wanted) => restartTunnels(wanted, [hookId]));
    assert.deepEqual(window.see({ ...listening(hookId, 40002), run: 2 }), []);
  });

  it('is told of with the engine that ended and was started again, though nothing was seen of it yet', () => {
    const ended: EngineEvent = { kind: 'engineEnded', detail: 'out of memory', isRestarted: true };
    const text =
      'The tunnel engine ended unexpectedly (out of memory) and was started again; open connections were cut.';
    const notices = [{ kind: 'restarted', tunnels: [dbId], text, remedies: [] }];
    const window = createWindow(db);
    assert.deepEqual(window.see(ended), notices);
    assert.deepEqual(window.see(connected, listening(dbId, 5432), ended, connected, listening(dbId, 5432)), notices);
    assert.deepEqual(createWindow().see(ended), []);
  });

  it('can be reported when the engine ended for good', () => {
    const window = createWindow(db);
    window.see(connected, listening(dbId, 5432));
    assert.deepEqual(window.lose('out of memory', dbId), [
      {
        kind: 'failed',
        tunnels: [dbId],
        text: 'The tunnel engine ended unexpectedly (out of memory). Start the tunnel again; the log has more.',
        remedies: [{ kind: 'report', tunnels: [dbId] }],
      },
    ]);
  });
});

describe('what a notice offers', () => {
  const owner = { program: 'node', pid: 42 };
  const inUse: Failure = { kind: 'portInUse', address: '127.0.0.1', port: 5432, owner };

  it('is the next free port when a program has the port', () => {
    const window = createWindow(db);
    assert.deepEqual(window.see(connected, listenFailed(dbId, inUse)), [
      {
        kind: 'failed',
        tunnels: [dbId],
        text: '127.0.0.1:5432 is already in use on this machine by node (pid 42). Stop it, or choose another port.',
        remedies: [{ kind: 'nextFree', tunnels: [dbId] }],
      },
    ]);
  });

  it('is to stop the other tunnel of this window first, which is named', () => {
    const replica: NewTunnel = { ...tunnel('-L 5432:replica:5432'), destination: { host: 'web02' } };
    const other = 'web02 -L 5432:replica:5432';
    const window = createWindow(db, replica);
    window.see(connected, { ...connected, connection: 'web02' }, listening(other, 5432));
    const notices = (name: string) => [
      {
        kind: 'failed',
        tunnels: [dbId],
        text: `127.0.0.1:5432 is already in use on this machine by the tunnel “${name}” of this window. Stop it, or choose another port.`,
        remedies: [
          { kind: 'stopOther', tunnels: [dbId], tunnel: other, name },
          { kind: 'nextFree', tunnels: [dbId] },
        ],
      },
    ];
    assert.deepEqual(window.see(listenFailed(dbId, inUse)), notices('localhost:5432 → replica:5432'));
    window.want((wanted) => renameTunnel(restartTunnels(wanted, [dbId]), other, 'Replica'));
    assert.deepEqual(window.see(listenFailed(dbId, inUse, 2)), notices('Replica'));
  });

  it('is to stop the other tunnel alone where a server has the port', () => {
    const first = 'web01 -R 8080:localhost:80';
    const second = 'web01 -R 8080:localhost:81';
    const window = createWindow(tunnel('-R 8080:localhost:80', 'One'), tunnel('-R 8080:localhost:81'));
    window.see(connected, listening(first, 8080));
    const { listen } = mustParseSpec('-R 8080');
    const taken: Failure = { kind: 'remoteRefused', host: 'web01', user: 'bob', listen, inUse: true };
    assert.deepEqual(window.see(listenFailed(second, taken)), [
      {
        kind: 'failed',
        tunnels: [second],
        text: 'localhost:8080 is already in use on web01 by the tunnel “One” of this window. Stop it, or choose another port.',
        remedies: [{ kind: 'stopOther', tunnels: [second], tunnel: first, name: 'One' }],
      },
    ]);
  });

  it('is nothing for a port that only administrators may take, or when the reason is another one', () => {
    const reasons: Failure[] = [
      { kind: 'portForbidden', address: '127.0.0.1', port: 80 },
      { kind: 'addressUnavailable', address: '192.0.2.7', port: 5432 },
      { kind: 'socketInUse', path: '/run/a' },
    ];
    for (const failure of reasons) {
      const [notice] = createWindow(db).see(connected, listenFailed(dbId, failure));
      assert.deepEqual(notice?.remedies, [], failure.kind);
    }
  });

  it('tells of a port that another tunnel of this window has also where an automatic start wanted it', () => {
    const other = tunnel('-L 5432:replica:5432', 'Replica');
    const window = createWindow(other);
    window.see(connected, listening('web01 -L 5432:replica:5432', 5432));
    window.want((wanted) => startTunnels({ wanted, snapshot: emptySnapshot }, [db], true).wanted);
    assert.equal(window.see(listenFailed(dbId, inUse, 2)).length, 1);
  });

  const remote = (spec: string, asked: Access, access: Access, address: string) => {
    const window = createWindow(tunnel(spec));
    const forward = `web01 ${spec}`;
    window.expect(forward);
    const bound = [{ kind: 'tcp', address, port: 8080 }] as const;
    return window.see(connected, { kind: 'listening', forward, run: 1, bound, unbound: [], asked, access });
  };

  it('is to stop a tunnel that its server opened wider than asked', () =>
    assert.deepEqual(remote('-R 8080:localhost:80', 'machine', 'network', '0.0.0.0'), [
      {
        kind: 'ready',
        tunnels: ['web01 -R 8080:localhost:80'],
        text: '0.0.0.0:8080 on web01 → localhost:80 is ready. web01 opened it on all its addresses to the network, although you asked for web01 alone (GatewayPorts yes in its sshd_config). Stop it if that must not be, and ask who runs web01 for GatewayPorts clientspecified.',
        partly: true,
        remedies: [{ kind: 'stop', tunnels: ['web01 -R 8080:localhost:80'] }],
      },
    ]));

  const opened = (spec: string, access: Access, run = 1): EngineEvent & { kind: 'listening' } => ({
    kind: 'listening',
    forward: `web01 ${spec}`,
    run,
    bound: [{ kind: 'tcp', address: access === 'network' ? '0.0.0.0' : '127.0.0.1', port: 8080 }],
    unbound: [],
    asked: 'machine',
    access,
  });
  const broken = lost({ kind: 'connectionLost', host: 'web01', reason: 'keepalive' });
  const shown = (notices: readonly Notice[]) =>
    notices.map((notice) => [notice.kind === 'ready' && notice.partly, notice.remedies]);

  it('is to stop one that was opened wider, too, when nobody asked for it, once while it stays so', () => {
    const spec = '-R 8080:localhost:80';
    const id = `web01 ${spec}`;
    const warned = [[true, [{ kind: 'stop', tunnels: [id] }]]];
    const again: EngineEvent[] = [{ kind: 'forwardClosed', forward: id }, broken, connected];
    const window = createWindow(tunnel(spec));
    assert.deepEqual(window.see(connected, opened(spec, 'machine')), []);
    assert.deepEqual(shown(window.see(...again, opened(spec, 'network'))), warned);
    assert.deepEqual(window.see({ kind: 'channelOpened', forward: id }, ...again, opened(spec, 'network')), []);
    assert.deepEqual(window.see(...again, opened(spec, 'machine')), []);
    assert.deepEqual(shown(window.see(...again, opened(spec, 'network'))), warned);
    window.want((wanted) => stopTunnels(wanted, [id]));
    window.see({ kind: 'forwardClosed', forward: id });
    window.want((wanted) => restartTunnels(wanted, [id], true));
    assert.deepEqual(shown(window.see(opened(spec, 'network', 2))), warned);
  });

  it('is nothing for one of another window, which is told of there', () => {
    const spec = '-R 8080:localhost:80';
    const id = `web01 ${spec}`;
    const { kind: _, forward, run, ...listened } = opened(spec, 'network');
    const there: EngineEvent = { kind: 'runningElsewhere', forward, run, state: { kind: 'ready', ...listened } };
    const window = createWindow(tunnel(spec));
    assert.deepEqual(window.see(there), []);
    // Here now.
    const taken = [{ kind: 'forwardClosed', forward: id } as const, connected, opened(spec, 'network')];
    assert.deepEqual(shown(window.see(...taken)), [[true, [{ kind: 'stop', tunnels: [id] }]]]);
    const asking = createWindow(tunnel(spec));
    asking.expect(id);
    const [notice] = asking.see(there);
    assert.deepEqual(shown([notice!]), [[true, []]]);
    assert.match(notice!.text, /is ready in another window\. .* Stop it in the other window if that must not be,/);
  });

  it('is one warning for one that was asked for', () => {
    const spec = '-R 8080:localhost:80';
    const window = createWindow(tunnel(spec), db);
    window.expect(`web01 ${spec}`, dbId);
    assert.deepEqual(window.see(connected, opened(spec, 'network')), []);
    assert.equal(window.see(listening(dbId, 5432)).length, 1);
    assert.deepEqual(window.see({ kind: 'channelOpened', forward: dbId }), []);
  });

  it('is one of a kind for several tunnels', () => {
    const window = createWindow(db, web);
    window.expect(dbId, webId);
    const taken = (port: number): Failure => ({ kind: 'portInUse', address: '::1', port, owner });
    const [notice] = window.see(connected, listening(dbId, 5432, [taken(5432)]), listening(webId, 8080, [taken(8080)]));
    assert.deepEqual(notice?.remedies, [{ kind: 'nextFree', tunnels: [dbId, webId] }]);
  });

  it('is nothing but a warning when its server opened it less wide, and no warning when it is as asked', () => {
    const [narrow] = remote('-R *:8080:localhost:80', 'network', 'machine', '127.0.0.1');
    assert.ok(narrow?.kind === 'ready');
    assert.deepEqual([narrow.partly, narrow.remedies], [true, []]);
    assert.match(narrow.text, /is ready\. Only web01 itself can connect, not the network as you asked/);
    assert.deepEqual(remote('-R *:8080:localhost:80', 'network', 'network', '0.0.0.0'), [
      {
        kind: 'ready',
        tunnels: ['web01 -R *:8080:localhost:80'],
        text: '0.0.0.0:8080 on web01 → localhost:80 is ready. Open to the network.',
        partly: false,
        remedies: [],
      },
    ]);
  });

  it('is not there for a tunnel that finishes: the user has stopped it', () => {
    const window = createWindow(db);
    window.see(connected, listening(dbId, 5432));
    window.want((wanted) => stopTunnels(wanted, [dbId], 'drain'));
    assert.deepEqual(
      window.see({ kind: 'forwardClosed', forward: dbId }, { kind: 'drained', forward: dbId, run: 1 }),
      [],
    );
  });
});

describe('the notification level', () => {
  const base = { tunnels: [dbId], text: 'x', remedies: [] };
  const notices: Record<string, Notice> = {
    ready: { ...base, kind: 'ready', partly: false },
    partly: { ...base, kind: 'ready', partly: true },
    failed: { ...base, kind: 'failed' },
    restarted: { ...base, kind: 'restarted' },
    question: { ...base, kind: 'failed', remedies: [{ kind: 'answer', tunnels: [dbId] }] },
  };
  const shown = (value: unknown) =>
    Object.keys(notices).filter((name) => isShown(notices[name]!, readNoticeLevel(value)));

  it('shows all, problems, or questions alone', () => {
    assert.deepEqual(shown('all'), Object.keys(notices));
    assert.deepEqual(shown('problems'), ['partly', 'failed', 'restarted', 'question']);
    assert.deepEqual(shown('none'), ['question']);
  });

  it('is all for what is none of its values', () => assert.deepEqual(shown(7), shown('all')));
});
