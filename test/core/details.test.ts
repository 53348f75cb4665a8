import assert from 'node:assert/strict';
import { actionRow, detailsOf, type DetailsFacts } from '../../src/core/details.js';
import type { ElsewhereState, EngineEvent, Listened, WayHost } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import { listedNotes, noteFailure, type FailureNotes } from '../../src/core/failureNotes.js';
import { parsePresets } from '../../src/core/preset.js';
import { present } from '../../src/core/present.js';
import {
  nothingWanted,
  stopTunnels,
  wantTunnels,
  type SessionState,
  type Tunnel,
  type Wanted,
} from '../../src/core/session.js';
import { emptySnapshot, reduce } from '../../src/core/snapshot.js';
import type { Subject } from '../../src/core/subject.js';
import { useTranslations } from '../../src/core/translate.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const listened: Listened = {
  bound: [{ kind: 'tcp', address: '127.0.0.1', port: 5432 }],
  unbound: [],
  asked: 'machine',
  access: 'machine',
};
const refused: Failure = { kind: 'channelRefused', target: 'db:5432', host: 'web01', refusal: 'connectFailed', detail: 'Connection refused' }; // prettier-ignore
const lost: Failure = { kind: 'connectionLost', host: 'bastion', reason: 'keepalive' };
const series = { sent: [0, 500], received: [0, 2000], open: [0, 1] };
const way: readonly WayHost[] = [
  { host: 'bastion', server: 'alice@10.0.0.1:22', isConnected: true, roundTripMs: 12.4 },
  { host: 'web01', server: 'bob@10.0.0.2:22', isConnected: true, roundTripMs: 3.21 },
];

function wantedOf(spec: string): Wanted {
  return wantTunnels(nothingWanted, [{ destination: { host: 'web01' }, spec: mustParseSpec(spec) }]);
}

/** `status text` of each leg, between the stations’ labels. */
function pathOf(wanted: Wanted, events: readonly EngineEvent[], facts: Partial<DetailsFacts> = {}): string[] {
  const { path } = shown(wanted, events, facts);
  return path.flatMap(({ label, leg }) => (leg ? [label, `${leg.status}: ${leg.text}`] : [label]));
}

function shown(wanted: Wanted, events: readonly EngineEvent[], facts: Partial<DetailsFacts> = {}) {
  const session: SessionState = { wanted, snapshot: events.reduce(reduce, emptySnapshot) };
  const [tunnel] = wanted.tunnels;
  assert.ok(tunnel, 'a tunnel is wanted');
  return detailsOf(session, { kind: 'tunnel', tunnel }, { way, clients: [], failures: {}, now: 60_000, ...facts });
}

describe('the details of a tunnel', () => {
  const local = wantedOf('-L 5432:db:5432');
  const [{ id, run }] = local.tunnels as readonly [Tunnel];
  const connected: EngineEvent = { kind: 'connected', connection: 'web01', server: 'bob@10.0.0.2:22' };
  const listening: EngineEvent = { kind: 'listening', forward: id, run, ...listened };
  const numbers = { series, sent: 500, received: 2000, reached: 1 };

  it('have the path from who may connect, over each hop with its round trip, to the target', () => {
    assert.deepEqual(pathOf(local, [connected, listening], { numbers }), [
      'Who can connect',
      'ready: listens',
      '127.0.0.1:5432',
      'ready: ready',
      'this machine',
      'ready: connected, answers in 12 ms',
      'bastion',
      'ready: connected, answers in 3.2 ms',
      'web01',
      'ready: answered the last connection',
      'db:5432',
    ]);
  });

  it('write a round trip as the language writes numbers', () => {
    useTranslations({ 'en-GB': 'de-DE' });
    try {
      const legs = pathOf(local, [connected, listening]).filter((text) => /answers in/.test(text));
      assert.deepEqual(legs, ['ready: connected, answers in 12 ms', 'ready: connected, answers in 3,2 ms']);
    } finally {
      useTranslations(undefined);
    }
  });

  const whoOf = (wanted: Wanted, events: readonly EngineEvent[]) =>
    shown(wanted, events).path.find(({ kind }) => kind === 'clients')?.detail;

  it('say who can really connect also while its listener waits for the connection', () => {
    const open: EngineEvent = { ...listening, access: 'network' };
    const lostNow: EngineEvent = { kind: 'connectionLost', connection: 'web01', failure: lost, attempt: 1, retryAt: 61_000 }; // prettier-ignore
    const dialled: EngineEvent = { kind: 'connecting', connection: 'web01', attempt: 2 };
    const everyone = 'everyone on the network who reaches this machine';
    for (const events of [[open], [open, lostNow], [open, lostNow, dialled]]) {
      assert.equal(whoOf(local, [connected, ...events]), everyone);
      assert.ok(shown(local, [connected, ...events]).notes.includes(`Who can connect: ${everyone}`), 'a note says so');
    }
    assert.equal(whoOf(local, [dialled]), 'only this machine');
  });

  it('say nothing of who can connect to a server’s listener before there is one', () => {
    const remote = wantedOf('-R 8080:localhost:3000');
    const [tunnel] = remote.tunnels as readonly [Tunnel];
    assert.equal(whoOf(remote, []), undefined);
    assert.deepEqual(shown(remote, []).notes, []);
    const open: EngineEvent = {
      kind: 'listening',
      forward: tunnel.id,
      run: tunnel.run,
      ...listened,
      access: 'network',
    };
    assert.equal(whoOf(remote, [connected, open]), 'everyone on the network who reaches web01');
  });

  it('have it the other way round for a remote forward', () => {
    const remote = wantedOf('-R 8080:localhost:3000');
    const [tunnel] = remote.tunnels as readonly [Tunnel];
    const bound = [{ kind: 'tcp', address: '127.0.0.1', port: 8080 }] as const;
    const events: EngineEvent[] = [connected, { kind: 'listening', forward: tunnel.id, run: tunnel.run, ...listened, bound }]; // prettier-ignore
    const stations = shown(remote, events).path.map(({ kind, label }) => `${kind} ${label}`);
    assert.deepEqual(stations, [
      'clients Who can connect',
      'listener 127.0.0.1:8080',
      'server web01',
      'hop bastion',
      'machine this machine',
      'target localhost:3000',
    ]);
  });

  it('do not say that a target answers before anybody has been brought to it', () => {
    const none = { ...numbers, reached: 0 };
    assert.equal(pathOf(local, [connected, listening], { numbers: none }).at(-2), 'unknown: not tried yet');
  });

  it('tell a target that fails from all that is up before it, with its reason', () => {
    const { path } = shown(local, [connected, listening, { kind: 'channelFailed', forward: id, failure: refused }]);
    assert.deepEqual(path.map(({ leg }) => leg?.status), ['ready', 'ready', 'ready', 'ready', 'failed', undefined]); // prettier-ignore
    assert.match(path[4]!.leg!.problem!, /^db:5432 refused the connection, as web01 sees it/);
    assert.equal(path[4]!.leg!.sentence, 'From web01 to db:5432: the last connection failed.');
  });

  it('name the hop that is gone, and what is behind it as not reached', () => {
    const failure: Failure = { kind: 'hop', hop: 'bastion', host: 'web01', failure: lost };
    const down = way.map((host) => ({ ...host, isConnected: false }));
    const events: EngineEvent[] = [connected, listening, { kind: 'connectionLost', connection: 'web01', failure, attempt: 1, retryAt: 61_000 }]; // prettier-ignore
    const statuses = shown(local, events, { way: down }).path.map(({ leg }) => leg?.status);
    assert.deepEqual(statuses, ['ready', 'idle', 'retrying', 'waiting', 'waiting', undefined]);
  });

  it('say of the hops before the host that failed that they were reached', () => {
    const failure: Failure = { kind: 'connectTimeout', host: 'web01', port: 22, seconds: 10 };
    const down = way.map((host) => ({ ...host, isConnected: false }));
    const failed: EngineEvent = { kind: 'connectionFailed', connection: 'web01', failure };
    const { path } = shown(local, [failed], { way: down });
    assert.deepEqual(path.map(({ leg }) => leg?.status), ['waiting', 'waiting', 'idle', 'failed', 'waiting', undefined]); // prettier-ignore
    assert.equal(path[2]!.leg!.sentence, 'From this machine to bastion: reached by the last try.');
    assert.equal(path[3]!.leg!.sentence, 'From bastion to web01: failed.');
  });

  it('show how far a dial has come', () => {
    const half = way.map((host, index) => ({ ...host, isConnected: index === 0 }));
    const statuses = shown(local, [{ kind: 'connecting', connection: 'web01', attempt: 1 }], { way: half }).path.map(({ leg }) => leg?.status); // prettier-ignore
    assert.deepEqual(statuses, ['waiting', 'waiting', 'ready', 'connecting', 'waiting', undefined]);
  });

  it('say of a port in use that it is the listener', () => {
    const failure: Failure = { kind: 'portInUse', address: '127.0.0.1', port: 5432 };
    const { path, actions } = shown(local, [connected, { kind: 'listenFailed', forward: id, run, failure }]);
    assert.deepEqual(path.map(({ leg }) => leg?.status), ['failed', 'waiting', 'ready', 'ready', 'waiting', undefined]); // prettier-ignore
    assert.deepEqual(actions.map((one) => one.id), ['start', 'startOnFreePort', 'stop']); // prettier-ignore
  });

  it('have nothing but its path of one that is stopped', () => {
    const { path, actions, traffic, clients } = shown(stopTunnels(local, [id]), [], { way: [] });
    assert.deepEqual(path.map(({ leg }) => leg?.status), ['stopped', 'stopped', 'stopped', 'stopped', undefined]); // prettier-ignore
    assert.deepEqual([actions.map((one) => one.id), traffic, clients], [['start'], undefined, undefined]);
  });

  it('leave numbers to the other window that runs it', () => {
    const state = { kind: 'ready', ...listened } as const;
    const { notes, traffic } = shown(local, [{ kind: 'runningElsewhere', forward: id, run, state }]);
    assert.equal(traffic, undefined);
    assert.equal(notes.at(-1), 'Its traffic and its connections are shown there.');
  });

  it('show 200 connections at most, and say how many more there are', () => {
    const clients = Array.from({ length: 250 }, (_, index) => ({ id: index, peer: `10.0.0.9:${index}`, sent: 1, received: 2, since: 0 })); // prettier-ignore
    const { rows, more } = shown(local, [connected, listening], { numbers, clients }).clients!;
    assert.deepEqual([rows.length, more, rows[0]!.age], [200, '50 more', '1 min']);
  });

  it('keep the last ten failures of a tunnel and its connection, the same one in a row once', () => {
    const failed = (at: number): EngineEvent => ({ kind: 'listenFailed', forward: id, run, failure: { kind: 'portInUse', address: '127.0.0.1', port: at } }); // prettier-ignore
    let failures: FailureNotes = {};
    for (let at = 1; at <= 12; at++) failures = noteFailure(failures, failed(at), at);
    for (const at of [20, 21]) failures = noteFailure(failures, { kind: 'connectionFailed', connection: 'web01', failure: lost }, at); // prettier-ignore
    failures = noteFailure(failures, { kind: 'connectionFailed', connection: 'web01', failure: { kind: 'cancelled' } }, 22); // prettier-ignore
    const found = shown(local, [], { failures }).failures;
    assert.deepEqual(found.map(({ at }) => at), [21, 12, 11, 10, 9, 8, 7, 6, 5, 4]); // prettier-ignore
    assert.match(found[0]!.text, /^2 times: /);
  });

  it('forget the failures of tunnels and connections that are on the list no more', () => {
    const failed: EngineEvent = { kind: 'listenFailed', forward: id, run, failure: refused };
    const ended: EngineEvent = { kind: 'connectionFailed', connection: 'web01', failure: lost };
    const notes = [failed, ended].reduce((all, event) => noteFailure(all, event, 1), {});
    assert.deepEqual(listedNotes(notes, local), notes);
    assert.deepEqual(listedNotes(notes, wantedOf('-L 1:db:1')), noteFailure({}, ended, 1));
    assert.deepEqual(listedNotes(notes, nothingWanted), {});
  });

  it('have a start that is the shown tunnel’s, and the preset’s where that has no other', () => {
    const forwards = ['-L 5432:db:5432', '-D 1080'];
    const scope = { kind: 'user' } as const;
    const { presets } = parsePresets(
      [
        { name: 'One', host: 'web01', forwards: forwards.slice(0, 1) },
        { name: 'Two', host: 'web01', forwards },
      ],
      scope,
    );
    const [tunnel] = local.tunnels as readonly [Tunnel];
    const forward = { kind: 'forward', id };
    const presetRow = (name: string): Subject => ({ kind: 'preset', preset: { name, scope } });
    const onTunnel = (action: 'start' | 'stop', row: Subject) =>
      actionRow(action, { kind: 'tunnel', tunnel }, row, presets);
    assert.deepEqual(onTunnel('start', presetRow('One')), presetRow('One'));
    for (const name of ['Two', 'Gone']) assert.deepEqual(onTunnel('start', presetRow(name)), forward, name);
    assert.deepEqual(onTunnel('start', { kind: 'client', forward: id, id: 1 }), forward);
    assert.deepEqual(onTunnel('start', { kind: 'configForward', id }), { kind: 'configForward', id });
    for (const row of [presetRow('One'), { kind: 'configForward', id } as const])
      assert.deepEqual(onTunnel('stop', row), forward);
    const connection = { kind: 'connection', id: 'web01' } as const;
    assert.deepEqual(actionRow('start', connection, connection, presets), connection);
  });
});

describe('the details of a connection', () => {
  const wanted = wantedOf('-L 5432:db:5432');
  const [{ id, run }] = wanted.tunnels as readonly [Tunnel];
  const ofConnection = { connection: 'web01' } as const;
  const connected: EngineEvent = { kind: 'connected', ...ofConnection, server: 'bob@10.0.0.2:22' };
  const lostNow: EngineEvent = { kind: 'connectionLost', ...ofConnection, failure: lost, attempt: 1, retryAt: 61_000 };
  const asked: EngineEvent = { kind: 'asked', ask: { id: '7', ...ofConnection, kind: 'passphrase', path: '~/.ssh/id', attempt: 1 } }; // prettier-ignore
  const elsewhere = (state: ElsewhereState): EngineEvent => ({ kind: 'runningElsewhere', forward: id, run, state });
  const ready: ElsewhereState = { kind: 'ready', ...listened };
  const situations: readonly [
    what: string,
    list: Wanted,
    events: readonly EngineEvent[],
    status: string,
    legs: string,
    actions: string,
  ][] = [
    ['is stopped', stopTunnels(wanted, [id]), [], 'stopped', 'stopped, stopped', 'start'],
    ['waits for the engine', wanted, [], 'connecting', 'ready, ready', 'stop'],
    ['is up', wanted, [connected], 'ready', 'ready, ready', 'stop'],
    ['waits for a client', wanted, [{ kind: 'connectionIdle', ...ofConnection }], 'ready', 'idle, idle', 'stop'],
    ['is tried again', wanted, [connected, lostNow], 'retrying', 'idle, retrying', 'retryNow, stop'],
    ['asks while it is tried again', wanted, [connected, lostNow, asked], 'connecting', 'ready, ready', 'stop'],
    ['is ready in another window', wanted, [elsewhere(ready)], 'ready', 'ready, ready', 'stop'],
    ['waits for a client in another window', wanted, [elsewhere({ ...ready, isIdle: true })], 'ready', 'idle, idle', 'stop'], // prettier-ignore
    ['is dialled in another window', wanted, [elsewhere({ kind: 'connecting' })], 'connecting', 'connecting, connecting', 'stop'], // prettier-ignore
    ['is tried again in another window', wanted, [elsewhere({ kind: 'retrying', failure: lost, attempt: 2 })], 'retrying', 'retrying, retrying', 'stop'], // prettier-ignore
  ];
  for (const [what, list, events, status, legs, actions] of situations)
    it(`say what its row says when it ${what}`, () => {
      const session: SessionState = { wanted: list, snapshot: events.reduce(reduce, emptySnapshot) };
      const facts = { way, clients: [], failures: {}, now: 60_000 };
      const details = detailsOf(session, { kind: 'connection', id: 'web01' }, facts);
      const waits = { parkSeconds: 20, idleSeconds: 300 };
      const shown = { session, presets: [], problems: [], trusted: true, config: { forwards: [], problems: [] }, waits, now: 60_000 }; // prettier-ignore
      const [row] = present(shown).rows;
      assert.ok(row?.kind === 'connection', 'its row is the first');
      const calm = (row.spoken ?? row.description).replace(/ · .*/, '');
      assert.deepEqual([details.status, details.state], [row.status, calm]);
      assert.equal(details.status, status);
      assert.equal(details.path.flatMap(({ leg }) => leg?.status ?? []).join(', '), legs);
      assert.equal(details.actions.map((one) => one.id).join(', '), actions);
    });

  it('tell why the engine’s end has stopped it', () => {
    const lostList = { ...wanted, tunnels: wanted.tunnels.map((tunnel): Tunnel => ({ ...tunnel, wish: 'lost' })) };
    const snapshot = reduce(emptySnapshot, { kind: 'engineEnded', detail: 'out of memory' });
    const subject = { kind: 'connection', id: 'web01' } as const;
    const details = detailsOf({ wanted: lostList, snapshot }, subject, { way: [], clients: [], failures: {}, now: 0 });
    assert.equal(details.status, 'failed');
    assert.match(details.problem ?? '', /out of memory/);
    assert.deepEqual(details.actions.map((one) => one.id), ['start', 'stop']); // prettier-ignore
  });
});
