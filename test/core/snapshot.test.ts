import assert from 'node:assert/strict';
import type { Ask, BoundAddress, EngineEvent } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import { stopTunnels, nothingWanted, wantTunnels, type Tunnel } from '../../src/core/session.js';
import {
  connectionSeen,
  emptySnapshot,
  reduce,
  tunnelState,
  type Snapshot,
  type TunnelState,
} from '../../src/core/snapshot.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const wanted = wantTunnels(nothingWanted, [{ destination: { host: 'web01' }, spec: mustParseSpec('-L 5432:db:5432') }]);
const tunnel = wanted.tunnels[0]!;
const connection = 'web01';
const forward = tunnel.id;
const refused: Failure = { kind: 'connectFailed', host: 'web01', port: 22, code: 'ECONNREFUSED' };
const inUse: Failure = { kind: 'portInUse', address: '127.0.0.1', port: 5432 };
const noChannel: Failure = { kind: 'channelRefused', target: 'db:5432', host: 'web01', refusal: 'prohibited', detail: '' }; // prettier-ignore
const bound: BoundAddress[] = [{ kind: 'tcp', address: '127.0.0.1', port: 5432 }];
const ask: Ask = { id: 'a', connection, kind: 'passphrase', path: '/k', attempt: 1 };
const networkAsk: Ask = { id: 'n', connection, kind: 'openToNetwork', forward, spec: tunnel.spec, addresses: ['::'] };
const otherAsk: Ask = { id: 'b', connection: 'web02', kind: 'password', user: 'u', host: 'h', port: 22, attempt: 2 };

const connecting: EngineEvent = { kind: 'connecting', connection, attempt: 2 };
const connected: EngineEvent = { kind: 'connected', connection, server: 'bob@192.0.2.7:22' };
const lost: EngineEvent = { kind: 'connectionLost', connection, failure: refused, attempt: 3, retryAt: 1000 };
const failed: EngineEvent = { kind: 'connectionFailed', connection, failure: refused };
const opened = { bound, unbound: [inUse], asked: 'machine', access: 'machine' } as const;
const listening: EngineEvent & { kind: 'listening' } = { kind: 'listening', forward, run: 1, ...opened };
const listenFailed: EngineEvent & { kind: 'listenFailed' } = { kind: 'listenFailed', forward, run: 1, failure: inUse };
const listenRetrying: EngineEvent = { kind: 'listenRetrying', forward, run: 1, failure: inUse, attempt: 1, retryAt: 2000 }; // prettier-ignore
const idle: EngineEvent = { kind: 'connectionIdle', connection };
const ready = { kind: 'ready', ...opened } as const;
const elsewhere: EngineEvent & { kind: 'runningElsewhere' } = { kind: 'runningElsewhere', forward, run: 1, state: ready }; // prettier-ignore
const channelFailed: EngineEvent = { kind: 'channelFailed', forward, failure: noChannel };
const ended: EngineEvent = { kind: 'engineEnded', detail: 'out of memory' };

const after = (...events: EngineEvent[]) => events.reduce(reduce, emptySnapshot);
const seenListening = { kind: 'listening', run: 1, ...opened } as const;
const dead = { kind: 'failed', failure: { kind: 'engineEnded', detail: 'out of memory' } } as const;

describe('reduce', () => {
  const other: Snapshot = {
    connections: { web02: { kind: 'ready', server: 'x' } },
    forwards: { 'web02 -D 1080': { kind: 'failed', run: 1, failure: inUse } },
    asks: [otherAsk],
  };
  const table: [string, EngineEvent[], Partial<Snapshot>][] = [
    ['connecting', [connecting], { connections: { [connection]: { kind: 'connecting', attempt: 2 } } }],
    ['connected', [connecting, connected], { connections: { [connection]: { kind: 'ready', server: 'bob@192.0.2.7:22' } } }], // prettier-ignore
    ['connectionLost', [connected, lost], { connections: { [connection]: { kind: 'retrying', failure: refused, attempt: 3, retryAt: 1000 } } }], // prettier-ignore
    ['connectionFailed', [connecting, failed], { connections: { [connection]: { kind: 'failed', failure: refused } } }],
    ['connecting in the background, which is still the same trouble', [connected, { ...lost, attempt: 1 }, connecting], { connections: { [connection]: { kind: 'retrying', failure: refused, attempt: 2 } } }], // prettier-ignore
    ['the next trouble', [connected, { ...lost, attempt: 1 }, connecting, lost], { connections: { [connection]: { kind: 'retrying', failure: refused, attempt: 3, retryAt: 1000 } } }], // prettier-ignore
    ['connecting because a person wants it', [connected, lost, { ...connecting, attempt: 1 }], { connections: { [connection]: { kind: 'connecting', attempt: 1 } } }], // prettier-ignore
    ['connectionIdle', [connected, idle], { connections: { [connection]: { kind: 'idle' } } }],
    ['connectionIdle after a dial that failed', [connecting, { ...idle, failure: refused }], { connections: { [connection]: { kind: 'idle', failure: refused } } }], // prettier-ignore
    ['connectionClosed', [connected, { kind: 'connectionClosed', connection }], {}],
    ['connectionClosed of one that is not there', [{ kind: 'connectionClosed', connection }], {}],
    ['listening', [listening], { forwards: { [forward]: seenListening } }],
    ['listening to more than was asked for', [{ ...listening, access: 'network' }], { forwards: { [forward]: { ...seenListening, access: 'network' } } }], // prettier-ignore
    ['listening to nobody knows whom', [{ ...listening, access: 'unknown' }], { forwards: { [forward]: { ...seenListening, access: 'unknown' } } }], // prettier-ignore
    ['listenFailed', [listenFailed], { forwards: { [forward]: { kind: 'failed', run: 1, failure: inUse } } }],
    ['listening after a failure', [listenFailed, listening], { forwards: { [forward]: seenListening } }],
    ['listenRetrying', [listenRetrying], { forwards: { [forward]: { kind: 'retrying', run: 1, failure: inUse, attempt: 1, retryAt: 2000 } } }], // prettier-ignore
    ['runningElsewhere', [listening, elsewhere], { forwards: { [forward]: { kind: 'elsewhere', run: 1, state: ready } } }], // prettier-ignore
    ['forwardClosed', [listening, { kind: 'forwardClosed', forward }], {}],
    ['channelFailed', [listening, channelFailed], { forwards: { [forward]: { ...seenListening, refused: noChannel } } }], // prettier-ignore
    ['channelOpened, which ends a refusal', [listening, channelFailed, { kind: 'channelOpened', forward }], { forwards: { [forward]: seenListening } }], // prettier-ignore
    ['channelFailed of a forward that is closed', [channelFailed], {}],
    ['channelFailed of a forward that does not listen', [listenFailed, channelFailed], { forwards: { [forward]: { kind: 'failed', run: 1, failure: inUse } } }], // prettier-ignore
    ['asked', [{ kind: 'asked', ask }], { asks: [ask] }],
    [
      'askSettled',
      [
        { kind: 'asked', ask },
        { kind: 'askSettled', id: 'a' },
      ],
      {},
    ],
    ['askSettled of an ask that is not open', [{ kind: 'asked', ask }, { kind: 'askSettled', id: 'c' }], { asks: [ask] }], // prettier-ignore
    ['drained', [listening, { kind: 'drained', forward, run: 1 }], { forwards: { [forward]: seenListening } }],
    ['logged', [{ kind: 'logged', level: 'info', text: 'x' }], {}],
  ];
  for (const [title, events, expected] of table)
    it(`takes ${title} in, and leaves all else as it was`, () => {
      const before = structuredClone(other);
      assert.deepEqual(events.reduce(reduce, other), {
        connections: { ...other.connections, ...expected.connections },
        forwards: { ...other.forwards, ...expected.forwards },
        asks: [...other.asks, ...(expected.asks ?? [])],
      } satisfies Snapshot);
      assert.deepEqual(other, before);
    });

  it('gives the same snapshot back when an event changes nothing', () => {
    assert.equal(reduce(other, { kind: 'logged', level: 'info', text: 'x' }), other);
    assert.equal(reduce(other, channelFailed), other);
  });

  it('forgets all when the engine has ended, and remembers why', () => {
    const snapshot = after(connected, listening, { kind: 'asked', ask }, ended);
    assert.deepEqual(snapshot, { connections: {}, forwards: {}, asks: [], ended: dead } satisfies Snapshot);
    assert.deepEqual(reduce(snapshot, connecting), { ...after(connecting), ended: dead });
  });

  it('forgets all, and no tunnel is lost, when the engine was started again', () => {
    const snapshot = after(connected, listening, { kind: 'asked', ask }, { ...ended, isRestarted: true });
    assert.deepEqual(snapshot, emptySnapshot);
  });

  it('remembers why an engine ended although the next one was started again', () =>
    assert.deepEqual(after(ended, connected, { ...ended, detail: 'again', isRestarted: true }), {
      ...emptySnapshot,
      ended: dead,
    }));
});

describe('connectionSeen', () => {
  it('is nothing for a host that the engine has not come to, whatever it is called', () => {
    for (const id of ['web01', 'constructor', '__proto__']) {
      assert.equal(connectionSeen(emptySnapshot, id), undefined);
      assert.deepEqual(connectionSeen(after({ ...connecting, connection: id }), id), {
        kind: 'connecting',
        attempt: 2,
      });
      assert.equal(connectionSeen(after(ended), id), undefined);
    }
  });
});

describe('tunnelState', () => {
  const table: [string, EngineEvent[], TunnelState][] = [
    ['connecting before anything was heard', [], { kind: 'connecting' }],
    ['connecting while the connection is', [connecting], { kind: 'connecting' }],
    [
      'connecting while the listener stands, at which clients wait',
      [listening, connecting],
      { kind: 'connecting', bound },
    ],
    ['connecting with the question that is open', [connecting, { kind: 'asked', ask: otherAsk }, { kind: 'asked', ask }], { kind: 'connecting', ask }], // prettier-ignore
    ['connecting without another connection’s question', [connecting, { kind: 'asked', ask: otherAsk }], { kind: 'connecting' }], // prettier-ignore
    ['connecting until it listens', [connected], { kind: 'connecting' }],
    ['connecting while only an earlier start listens', [connected, { ...listening, run: 0 }], { kind: 'connecting' }],
    ['connecting while only an earlier start has failed', [connected, { ...listenFailed, run: 0 }], { kind: 'connecting' }], // prettier-ignore
    ['connecting with the question whether the network is let in', [connected, { kind: 'asked', ask }, { kind: 'asked', ask: networkAsk }], { kind: 'connecting', ask: networkAsk }], // prettier-ignore
    ['connecting without the question about another forward', [connected, { kind: 'asked', ask: { ...networkAsk, forward: 'web01 -D 1080' } }], { kind: 'connecting' }], // prettier-ignore
    ['ready when both are', [connected, listening], ready],
    ['ready with whom it really lets in', [connected, { ...listening, asked: 'network', access: 'unknown' }], { ...ready, asked: 'network', access: 'unknown' }], // prettier-ignore
    ['ready with the last refusal', [connected, listening, channelFailed], { ...ready, refused: noChannel }], // prettier-ignore
    ['connecting when the listener has closed', [connected, listening, { kind: 'forwardClosed', forward }], { kind: 'connecting' }], // prettier-ignore
    ['failed when it can’t listen', [connected, listenFailed], { kind: 'failed', failure: inUse }], // prettier-ignore
    ['retrying with the connection', [connected, listening, lost], { kind: 'retrying', failure: refused, attempt: 3, retryAt: 1000, bound }], // prettier-ignore
    ['retrying without a listener', [connected, lost, { ...listening, run: 0 }], { kind: 'retrying', failure: refused, attempt: 3, retryAt: 1000 }], // prettier-ignore
    ['retrying while it is dialled in the background', [connected, listening, lost, { ...connecting, attempt: 4 }], { kind: 'retrying', failure: refused, attempt: 4, bound }], // prettier-ignore
    ['connecting while that asks, since a person wanted it', [connected, listening, lost, { ...connecting, attempt: 4 }, { kind: 'asked', ask }], { kind: 'connecting', ask, bound }], // prettier-ignore
    ['retrying when the server still holds its port', [connected, listenRetrying], { kind: 'retrying', failure: inUse, attempt: 1, retryAt: 2000 }], // prettier-ignore
    ['ready without a connection while it waits for a client', [idle, listening], { ...ready, isIdle: true }],
    ['ready with what the last dial came to', [listening, { ...idle, failure: refused }], { ...ready, isIdle: true, refused }], // prettier-ignore
    ['connecting until it listens for the first client', [idle], { kind: 'connecting' }],
    ['connecting with the question whether the network is let in, before the first client', [idle, { kind: 'asked', ask: networkAsk }], { kind: 'connecting', ask: networkAsk }], // prettier-ignore
    ['failed when it can’t listen for the first client', [idle, listenFailed], { kind: 'failed', failure: inUse }],
    ['as in another window, whatever becomes of the connection here', [elsewhere, connecting], { ...ready, isElsewhere: true }], // prettier-ignore
    ['retrying in another window', [connected, { ...elsewhere, state: { kind: 'retrying', failure: refused, attempt: 2 } }], { kind: 'retrying', failure: refused, attempt: 2, isElsewhere: true }], // prettier-ignore
    ['connecting when another window had the start before', [{ ...elsewhere, run: 0 }], { kind: 'connecting' }],
    ['failed although its connection is dialled again, which does not mend it', [connected, listenFailed, lost], { kind: 'failed', failure: inUse }], // prettier-ignore
    ['failed until it listens again', [connected, listenFailed, lost, connecting, connected], { kind: 'failed', failure: inUse }], // prettier-ignore
    ['failed while a connection on demand is dialled for others', [idle, listenFailed, { ...connecting, attempt: 1 }], { kind: 'failed', failure: inUse }], // prettier-ignore
    ['ready when it listens again', [connected, listenFailed, lost, connected, listening], ready],
    ['failed with its connection before all', [connected, listenFailed, failed], { kind: 'failed', failure: refused }],
    ['failed with the connection', [listening, failed], { kind: 'failed', failure: refused }],
    ['connecting when the engine has ended before it was started', [ended], { kind: 'connecting' }],
  ];
  for (const [title, events, state] of table)
    it(`is ${title}`, () => assert.deepEqual(tunnelState(tunnel, after(...events)), state));

  it('of a remote forward has no listener without a connection', () => {
    const [remote] = wantTunnels(nothingWanted, [{ ...tunnel, spec: mustParseSpec('-R 8080:localhost:80') }]).tunnels;
    const stale = { ...listening, forward: remote!.id };
    assert.deepEqual(tunnelState(remote!, after(stale, connecting)), { kind: 'connecting' });
  });

  it('is stopped when the user stopped it, whatever is still seen', () => {
    const [stopped] = stopTunnels(wanted, [forward]).tunnels;
    for (const events of [[], [connected, listening], [failed], [ended]])
      assert.deepEqual(tunnelState(stopped!, after(...events)), { kind: 'stopped', draining: false });
  });

  it('is failed when the engine has ended that ran it, also when another one has begun', () => {
    const lost: Tunnel = { ...tunnel, wish: 'lost' };
    assert.deepEqual(tunnelState(lost, after(connected, listening, ended)), dead);
    assert.deepEqual(tunnelState(lost, after(ended, connecting, connected)), dead);
    assert.deepEqual(tunnelState(lost, after(ended, connecting, { ...ended, detail: 'again', isRestarted: true })), dead); // prettier-ignore
  });

  it('is stopped, too, while its last clients finish', () => {
    const [draining] = stopTunnels(wanted, [forward], 'drain').tunnels;
    for (const events of [
      [],
      [connected, listening],
      [connected, listening, { kind: 'forwardClosed', forward }],
    ] as const)
      assert.deepEqual(tunnelState(draining!, after(...events)), { kind: 'stopped', draining: true });
  });
});
