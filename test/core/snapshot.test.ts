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
    ['connectionClosed', [connected, { kind: 'connectionClosed', connection }], {}],
    ['connectionClosed of one that is not there', [{ kind: 'connectionClosed', connection }], {}],
    ['listening', [listening], { forwards: { [forward]: seenListening } }],
    ['listening to more than was asked for', [{ ...listening, access: 'network' }], { forwards: { [forward]: { ...seenListening, access: 'network' } } }], // prettier-ignore
    ['listening to nobody knows whom', [{ ...listening, access: 'unknown' }], { forwards: { [forward]: { ...seenListening, access: 'unknown' } } }], // prettier-ignore
    ['listenFailed', [listenFailed], { forwards: { [forward]: { kind: 'failed', run: 1, failure: inUse } } }],
    ['listening after a failure', [listenFailed, listening], { forwards: { [forward]: seenListening } }],
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
  const ready = { kind: 'ready', ...opened } as const;
  const table: [string, EngineEvent[], TunnelState][] = [
    ['connecting before anything was heard', [], { kind: 'connecting' }],
    ['connecting while the connection is', [connecting], { kind: 'connecting' }],
    ['connecting while the listener still stands', [listening, connecting], { kind: 'connecting' }],
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
    ['retrying with the connection', [connected, listening, lost], { kind: 'retrying', failure: refused, attempt: 3, retryAt: 1000 }], // prettier-ignore
    ['failed with the connection', [listening, failed], { kind: 'failed', failure: refused }],
    ['connecting when the engine has ended before it was started', [ended], { kind: 'connecting' }],
  ];
  for (const [title, events, state] of table)
    it(`is ${title}`, () => assert.deepEqual(tunnelState(tunnel, after(...events)), state));

  it('is stopped when the user stopped it, whatever is still seen', () => {
    const [stopped] = stopTunnels(wanted, [forward]).tunnels;
    for (const events of [[], [connected, listening], [failed], [ended]])
      assert.deepEqual(tunnelState(stopped!, after(...events)), { kind: 'stopped', draining: false });
  });

  it('is failed when the engine has ended that ran it, also when another one has begun', () => {
    const lost: Tunnel = { ...tunnel, wish: 'lost' };
    assert.deepEqual(tunnelState(lost, after(connected, listening, ended)), dead);
    assert.deepEqual(tunnelState(lost, after(ended, connecting, connected)), dead);
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
