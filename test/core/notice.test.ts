import assert from 'node:assert/strict';
import type { EngineEvent } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import { decideNotices, type Notice } from '../../src/core/notice.js';
import {
  nothingWanted,
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
  bound: [{ address: '127.0.0.1', family: 4, port }],
  unbound,
});
const refused: Failure = { kind: 'connectFailed', host: 'web01', port: 22, code: 'ECONNREFUSED' };
const refusedText = 'web01:22 refused the connection. Check that an SSH server runs there and the port is right.';

/** A window in which tunnels are started and events come; tells what was noticed at each step. */
function createWindow(...tunnels: NewTunnel[]) {
  let state: SessionState = {
    wanted: startTunnels({ wanted: nothingWanted, snapshot: emptySnapshot }, tunnels).wanted,
    snapshot: emptySnapshot,
  };
  let asked: ReadonlySet<string> = new Set();
  const become = (next: SessionState): readonly Notice[] => {
    const decided = decideNotices(state, next, asked);
    state = next;
    asked = decided.asked;
    return decided.notices;
  };
  return {
    expect: (...ids: string[]) => (asked = new Set([...asked, ...ids])),
    want: (next: (wanted: SessionState['wanted']) => SessionState['wanted']) =>
      become({ ...state, wanted: next(state.wanted) }),
    see: (...events: EngineEvent[]) =>
      events.flatMap((event) => become({ ...state, snapshot: reduce(state.snapshot, event) })),
    get asked() {
      return [...asked];
    },
  };
}

describe('decideNotices', () => {
  it('tells where a tunnel listens that was asked for, once', () => {
    const window = createWindow(db);
    window.expect(dbId);
    assert.deepEqual(window.see({ kind: 'connecting', connection: 'web01', attempt: 1 }, connected), []);
    assert.deepEqual(window.see(listening(dbId, 5432)), [
      { kind: 'ready', tunnels: [dbId], text: '127.0.0.1:5432 → db:5432 (via web01) is ready.', partly: false },
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
    const notice = { kind: 'failed', tunnels: [dbId], text: refusedText };
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
    assert.deepEqual(window.see(failedWith(refused)), [{ kind: 'failed', tunnels: [dbId, webId], text: refusedText }]);
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
      { kind: 'ready', tunnels: [dbId, webId], text: '2 tunnels are ready: localhost:5432, site.', partly: false },
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
        text: '127.0.0.1:5432 → db:5432 (via web01) is ready. [::1]:5432 is already in use on this machine. Stop the program that uses it, or choose another port.',
        partly: true,
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
});
