import assert from 'node:assert/strict';
import type { Ask, Engine, EngineEvent, Reply } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import {
  connectionOf,
  defaultWaits,
  isWanted,
  planTunnels,
  readKeepalive,
  readWaits,
  type Plan,
  type PlannedForward,
} from '../../src/core/plan.js';
import {
  createSession,
  nothingWanted,
  portHolder,
  removeTunnels,
  renameTunnel,
  restartConnection,
  restartTunnels,
  retryConnection,
  retryingOf,
  retryTunnels,
  startTunnels,
  stopTunnels,
  tunnelId,
  tunnelsOf,
  wantTunnels,
  type NewTunnel,
  type SessionState,
  type Tunnel,
  type Wanted,
  type Wish,
} from '../../src/core/session.js';
import { emptySnapshot, reduce } from '../../src/core/snapshot.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const web01 = { host: 'web01', user: 'bob' };
const web02 = { host: 'web02' };
const newTunnel = (destination: NewTunnel['destination'], spec: string, label?: string): NewTunnel => ({
  destination,
  spec: mustParseSpec(spec),
  ...(label !== undefined && { label }),
});
const db = newTunnel(web01, '-L 5432:db:5432');
const site = newTunnel(web01, '-L 8080:localhost:80', 'Site');
const proxy = newTunnel(web02, '-D 1080');
const [dbId, siteId, proxyId] = [db, site, proxy].map(tunnelId) as [string, string, string];

const listed = (tunnel: NewTunnel, run: number, wish: Wish = 'exact'): Tunnel => ({
  ...tunnel,
  id: tunnelId(tunnel),
  wish,
  automatic: false,
  run,
});
const all = wantTunnels(nothingWanted, [db, site, proxy]);

describe('the wanted tunnels', () => {
  it('are named by destination and forward', () =>
    assert.deepEqual(
      [dbId, siteId, proxyId],
      ['bob@web01 -L 5432:db:5432', 'bob@web01 -L 8080:localhost:80', 'web02 -D 1080'],
    ));

  it('run in the order in which they were added', () =>
    assert.deepEqual(all, {
      tunnels: [listed(db, 1), listed(site, 1), listed(proxy, 1)],
      connectionRuns: {},
      connectionRetries: {},
      starts: 1,
    } satisfies Wanted));

  it('hold the same forward once, with the name given last', () => {
    const again = newTunnel({ user: 'bob', host: 'web01' }, '-L 05432:db:postgresql', 'Database');
    assert.equal(tunnelId(again), dbId);
    assert.deepEqual(wantTunnels(all, [again]), {
      tunnels: [{ ...listed(db, 2), label: 'Database' }, listed(site, 1), listed(proxy, 1)],
      connectionRuns: {},
      connectionRetries: {},
      starts: 2,
    });
    assert.deepEqual(wantTunnels(nothingWanted, [site, newTunnel(web01, '-L 8080:localhost:80')]).tunnels, [
      listed(site, 1),
    ]);
  });

  it('stop, and start with a number that no start before had', () => {
    const stopped = stopTunnels(all, [dbId, proxyId, 'nobody']);
    assert.deepEqual(stopped.tunnels, [listed(db, 1, 'stop'), listed(site, 1), listed(proxy, 1, 'stop')]);
    const started = restartTunnels(stopped, [dbId, siteId]);
    assert.deepEqual(started.tunnels, [listed(db, 2), listed(site, 2), listed(proxy, 1, 'stop')]);
    assert.deepEqual(wantTunnels(removeTunnels(started, [dbId]), [db]).tunnels.at(-1), listed(db, 3));
  });

  it('let their clients finish when they are drained, however often, and cut them when stopped', () => {
    const drained = stopTunnels(all, [dbId], 'drain');
    assert.deepEqual(drained.tunnels, [listed(db, 1, 'drain'), listed(site, 1), listed(proxy, 1)]);
    assert.deepEqual(stopTunnels(drained, [dbId], 'drain'), drained);
    assert.deepEqual(stopTunnels(drained, [dbId]).tunnels[0], listed(db, 1, 'stop'));
    assert.deepEqual(stopTunnels(stopTunnels(all, [dbId]), [dbId], 'drain').tunnels[0], listed(db, 1, 'stop'));
    assert.deepEqual(restartTunnels(drained, [dbId]).tunnels[0], listed(db, 2));
  });

  it('take the next free port once: a later start goes back to their own', () => {
    const moved = restartTunnels(all, [dbId], false, 'nextFree');
    assert.deepEqual(moved.tunnels[0], listed(db, 2, 'nextFree'));
    assert.deepEqual(renameTunnel(moved, dbId, 'Database').tunnels[0], {
      ...listed(db, 2, 'nextFree'),
      label: 'Database',
    });
    assert.deepEqual(restartTunnels(moved, [dbId]).tunnels[0], listed(db, 3));
  });

  it('are two when they are opened to others, although the port is the same', () => {
    const specs = [
      '-L 80:db:80',
      '-L localhost:80:db:80',
      '-L 127.0.0.1:80:db:80',
      '-L *:80:db:80',
      '-L 0.0.0.0:80:db:80',
    ];
    assert.equal(new Set(specs.map((spec) => tunnelId(newTunnel(web01, spec)))).size, specs.length);
  });

  it('remember whether a window or a hand started them last', () => {
    const begun = wantTunnels(nothingWanted, [db], true);
    assert.equal(begun.tunnels[0]?.automatic, true);
    assert.equal(restartTunnels(begun, [dbId]).tunnels[0]?.automatic, false);
  });

  it('leave the list when removed', () =>
    assert.deepEqual(removeTunnels(all, [siteId]).tunnels, [listed(db, 1), listed(proxy, 1)]));

  it('take a name, and give it back for an empty one', () => {
    const renamed = renameTunnel(all, dbId, 'Database');
    assert.deepEqual(renamed.tunnels, [{ ...listed(db, 1), label: 'Database' }, listed(site, 1), listed(proxy, 1)]);
    assert.deepEqual(renameTunnel(renamed, dbId, ''), all);
  });

  it('are found by connection', () => {
    assert.deepEqual(tunnelsOf(all, 'bob@web01'), [listed(db, 1), listed(site, 1)]);
    assert.deepEqual(tunnelsOf(all, 'web01'), []);
  });

  it('never change a list that was given', () => {
    const before = structuredClone(all);
    wantTunnels(all, [db]);
    restartTunnels(stopTunnels(removeTunnels(renameTunnel(all, dbId, 'x'), [siteId]), [proxyId]), [dbId]);
    restartConnection(all, 'web02');
    assert.deepEqual(all, before);
  });
});

describe('planTunnels', () => {
  const planned = (tunnel: NewTunnel, run = 1, wish: PlannedForward['wish'] = 'exact') => ({
    id: tunnelId(tunnel),
    spec: tunnel.spec,
    run,
    wish,
  });

  it('makes one connection for each destination, with its forwards', () => {
    const elsewhere = newTunnel({ ...web01, port: 2222 }, '-L 5432:db:5432');
    assert.deepEqual(planTunnels(wantTunnels(all, [elsewhere]), undefined), {
      connections: [
        {
          id: 'bob@web01',
          host: { destination: web01, options: [] },
          forwards: [planned(db), planned(site)],
          run: 0,
          reconnect: true,
        },
        {
          id: 'web02',
          host: { destination: web02, options: [] },
          forwards: [planned(proxy)],
          run: 0,
          reconnect: true,
        },
        {
          id: 'bob@web01:2222',
          host: { destination: { ...web01, port: 2222 }, options: [] },
          forwards: [planned(elsewhere, 2)],
          run: 0,
          reconnect: true,
        },
      ],
    } satisfies Plan);
  });

  it('leaves out stopped tunnels, and connections without any', () => {
    const plan = planTunnels(stopTunnels(all, [siteId, proxyId]), undefined);
    assert.deepEqual(
      plan.connections.map(({ id, forwards }) => [id, forwards]),
      [['bob@web01', [planned(db)]]],
    );
    assert.deepEqual(planTunnels(nothingWanted, undefined), { connections: [] });
  });

  it('names the config file for every connection', () =>
    assert.deepEqual(
      planTunnels(all, '/etc/my_config').connections.map(({ host }) => host.configFile),
      ['/etc/my_config', '/etc/my_config'],
    ));

  it('says of every host what the settings say, but no key where it has its own', () => {
    const own = newTunnel({ host: 'web03', options: [['IdentityFile', '~/.ssh/work']] }, '-D 1081');
    const defaults = { identityFile: '/keys/mine', keepaliveSeconds: 0 };
    assert.deepEqual(
      planTunnels(wantTunnels(all, [own]), undefined, undefined, defaults).connections.map(({ host }) => [
        host.options,
        host.keepaliveSeconds,
      ]),
      [
        [[['IdentityFile', '/keys/mine']], 0],
        [[['IdentityFile', '/keys/mine']], 0],
        [[], 0],
      ],
    );
  });

  it('reads seconds of silence from 0 to an hour, and nothing else', () =>
    assert.deepEqual([0, 15, 3600, 3601, -1, 1.5, '15', null, undefined].map(readKeepalive), [
      0,
      15,
      3600,
      ...Array<undefined>(6).fill(undefined),
    ]));

  it('says that a workspace asks for a host only where nobody else does', () => {
    const theirs = [db, proxy].map((tunnel) => ({ ...tunnel, fromWorkspace: true as const }));
    const from = (wanted: Wanted) => planTunnels(wanted, undefined).connections.map(({ host }) => host.fromWorkspace);
    const list = wantTunnels(nothingWanted, theirs);
    assert.deepEqual(from(list), [true, true]);
    assert.deepEqual(from(renameTunnel(list, dbId, 'x')), [true, true]);
    // Another tunnel of the host, and the same one, from a hand.
    assert.deepEqual(from(wantTunnels(list, [site])), [undefined, true]);
    assert.deepEqual(from(stopTunnels(wantTunnels(list, [site]), [siteId])), [true, true]);
    assert.deepEqual(from(wantTunnels(list, [proxy])), [true, undefined]);
    // What a hand has wanted stays so.
    assert.deepEqual(from(wantTunnels(all, theirs)), [undefined, undefined]);
  });

  it('says how each is wanted, and leaves out what is stopped', () => {
    const moved = restartTunnels(stopTunnels(all, [dbId], 'drain'), [siteId], false, 'nextFree');
    assert.deepEqual(
      planTunnels(stopTunnels(moved, [proxyId]), undefined).connections.map(({ id, forwards }) => [id, forwards]),
      [['bob@web01', [planned(db, 1, 'drain'), planned(site, 2, 'nextFree')]]],
    );
  });

  it('says what connects on demand, what waits for what, and what comes back from its first dial on', () => {
    const waits = { parkSeconds: 5, idleSeconds: 60 };
    const list = wantTunnels(wantTunnels(nothingWanted, [{ ...db, onDemand: true }, site]), [proxy], true);
    const plan = planTunnels(retryConnection(list, 'web02'), undefined, waits);
    assert.deepEqual(plan.waits, waits);
    assert.deepEqual(
      plan.connections.map(({ id, retry, isPersistent, forwards }) => [
        id,
        retry,
        isPersistent,
        forwards.map(({ onDemand }) => onDemand),
      ]),
      [
        ['bob@web01', undefined, undefined, [true, undefined]],
        ['web02', 1, true, [undefined]],
      ],
    );
  });

  it('is the same for the same list, and after a name was given', () => {
    assert.deepEqual(planTunnels(all, 'x'), planTunnels(structuredClone(all), 'x'));
    assert.deepEqual(planTunnels(renameTunnel(all, dbId, 'Database'), 'x'), planTunnels(all, 'x'));
  });

  it('counts the new connections that the user asked for, whatever the host is called', () => {
    for (const host of ['web02', 'constructor', '__proto__']) {
      const wanted = wantTunnels(nothingWanted, [newTunnel({ host }, '-D 1080')]);
      const runs = (wanted: Wanted) => planTunnels(wanted, undefined).connections.map(({ run }) => run);
      assert.deepEqual(runs(wanted), [0]);
      assert.deepEqual(runs(restartConnection(restartConnection(wanted, host), host)), [2]);
      assert.deepEqual(runs(restartConnection(wanted, 'another')), [0]);
    }
  });
});

describe('readWaits', () => {
  it('takes whole numbers within their bounds, and the defaults for anything else', () => {
    assert.deepEqual(readWaits(0, 1), { parkSeconds: 0, idleSeconds: 60 });
    assert.deepEqual(readWaits(600, 1440), { parkSeconds: 600, idleSeconds: 86_400 });
    for (const [park, idle] of [
      [-1, 0],
      [601, 1441],
      [1.5, 1.5],
      ['5', '5'],
      [NaN, Infinity],
      [undefined, null],
    ])
      assert.deepEqual(readWaits(park, idle), defaultWaits);
  });
});

describe('portHolder', () => {
  const ready = (tunnel: NewTunnel, ...addresses: string[]): EngineEvent => ({
    kind: 'listening',
    forward: tunnelId(tunnel),
    run: 1,
    bound: addresses.map((address) => ({ kind: 'tcp', address, port: 5432 })),
    unbound: [],
    asked: 'machine',
    access: 'machine',
  });
  const remote = newTunnel(web01, '-R 5432:localhost:5432');
  const socket = newTunnel(web01, '-L /run/db.sock:db:5432');
  const wanted = wantTunnels(all, [remote, socket]);
  const holder = (failure: Failure, event: EngineEvent, list = wanted) =>
    portHolder(failure, { wanted: list, snapshot: reduce(emptySnapshot, event) })?.id;
  const inUse = (address: string, port = 5432): Failure => ({ kind: 'portInUse', address, port });
  const refused = (host: string, bind?: string, port = 5432, inUse = true): Failure => ({
    kind: 'remoteRefused',
    host,
    user: 'bob',
    listen: { kind: 'tcp', bind, port },
    inUse,
  });

  it('is the tunnel that listens on the address or on all of its family', () => {
    const table: [string, ...string[]][] = [
      ['127.0.0.1', '127.0.0.1'],
      ['127.0.0.1', '::1', '127.0.0.1'],
      ['127.0.0.1', '0.0.0.0'],
      ['0.0.0.0', '127.0.0.1'],
      ['::1', '::'],
      ['::', '::1'],
    ];
    for (const [asked, ...bound] of table) assert.equal(holder(inUse(asked), ready(db, ...bound)), dbId, asked);
  });

  it('is nobody where another family, address or port is bound', () => {
    const table: [string, ...string[]][] = [
      ['::1', '127.0.0.1'],
      ['::1', '0.0.0.0'],
      ['127.0.0.1', '::'],
      ['127.0.0.1', '127.0.0.2'],
    ];
    for (const [asked, ...bound] of table) assert.equal(holder(inUse(asked), ready(db, ...bound)), undefined, asked);
    assert.equal(holder(inUse('127.0.0.1', 5433), ready(db, '127.0.0.1')), undefined);
    assert.equal(
      holder({ kind: 'portForbidden', address: '127.0.0.1', port: 5432 }, ready(db, '127.0.0.1')),
      undefined,
    );
  });

  it('is nobody that has stopped, drains or has failed', () => {
    const listening = ready(db, '127.0.0.1');
    assert.equal(holder(inUse('127.0.0.1'), listening, stopTunnels(wanted, [dbId])), undefined);
    assert.equal(holder(inUse('127.0.0.1'), listening, stopTunnels(wanted, [dbId], 'drain')), undefined);
    const failed: EngineEvent = { kind: 'listenFailed', forward: dbId, run: 1, failure: inUse('127.0.0.1') };
    assert.equal(holder(inUse('127.0.0.1'), failed), undefined);
  });

  it('is looked for on the machine that refused: a remote forward listens on its server', () => {
    const onServer = ready(remote, '127.0.0.1');
    assert.equal(holder(inUse('127.0.0.1'), onServer), undefined);
    assert.equal(holder(refused('web01'), onServer), tunnelId(remote));
    assert.equal(holder(refused('web02'), onServer), undefined);
    assert.equal(holder(refused('web01', undefined, 5433), onServer), undefined);
    assert.equal(holder(refused('web01', undefined, 5432, false), onServer), undefined);
    assert.equal(holder(refused('web01'), ready(db, '127.0.0.1')), undefined);
  });

  it('is no tunnel that listens on a Unix socket', () => {
    const bound = [{ kind: 'unix', path: '/run/db.sock' }] as const;
    const event: EngineEvent = { kind: 'listening', forward: tunnelId(socket), run: 1, bound, unbound: [], asked: 'user', access: 'user' }; // prettier-ignore
    assert.equal(holder(inUse('127.0.0.1'), event), undefined);
  });
});

describe('startTunnels', () => {
  const bound = [{ kind: 'tcp', address: '127.0.0.1', port: 5432 }] as const;
  const failure = { kind: 'cancelled' } as const;
  const state = (...events: EngineEvent[]): SessionState => ({
    wanted: all,
    snapshot: events.reduce(reduce, emptySnapshot),
  });
  const connected: EngineEvent = { kind: 'connected', connection: 'bob@web01', server: 'bob@web01:22' };
  const lost: EngineEvent = { kind: 'connectionLost', connection: 'bob@web01', failure, attempt: 1, retryAt: 1 };

  it('adds what is new', () => {
    const start = startTunnels({ wanted: nothingWanted, snapshot: emptySnapshot }, [db]);
    assert.deepEqual(start, { wanted: wantTunnels(nothingWanted, [db]), started: [dbId] });
  });

  it('leaves alone what runs or is about to', () => {
    const listening: EngineEvent = { kind: 'listening', forward: dbId, run: 1, bound, unbound: [], asked: 'machine', access: 'machine' }; // prettier-ignore
    const { wanted, started } = startTunnels(state(connected, listening), [db, site]);
    assert.deepEqual(started, []);
    assert.deepEqual(planTunnels(wanted, undefined), planTunnels(all, undefined));
  });

  it('starts what has stopped', () => {
    const wanted = stopTunnels(all, [dbId]);
    const start = startTunnels({ wanted, snapshot: state(connected).snapshot }, [db, site]);
    assert.deepEqual(start, { wanted: wantTunnels(wanted, [db]), started: [dbId] });
  });

  it('dials a connection that is down at once', () => {
    const failed: EngineEvent = { kind: 'connectionFailed', connection: 'bob@web01', failure };
    const { wanted, started } = startTunnels(state(connected, failed), [db, site]);
    assert.deepEqual(started, [dbId, siteId]);
    assert.deepEqual([wanted.connectionRuns, wanted.connectionRetries], [{ 'bob@web01': 1 }, {}]);
  });

  it('dials one at once that waits to be dialled again, and lets those wait who wait for it', () => {
    const { wanted, started } = startTunnels(state(connected, lost), [db]);
    assert.deepEqual(started, [dbId]);
    assert.deepEqual(wanted, { ...all, connectionRetries: { 'bob@web01': 1 } });
    const both = startTunnels({ wanted: stopTunnels(all, [siteId]), snapshot: state(lost).snapshot }, [db, site]);
    assert.deepEqual(both.started, [dbId, siteId]);
    assert.deepEqual(both.wanted, {
      ...wanted,
      tunnels: [listed(db, 1), listed(site, 2), listed(proxy, 1)],
      starts: 2,
    });
  });

  it('asks a server again for a port that it holds, and takes over what is said anew', () => {
    const stale: EngineEvent = { kind: 'listenRetrying', forward: dbId, run: 1, failure, attempt: 1, retryAt: 1 };
    const { wanted } = startTunnels(state(connected, stale), [{ ...db, label: 'Database' }]);
    assert.deepEqual(wanted, {
      ...renameTunnel(all, dbId, 'Database'),
      connectionRetries: { 'bob@web01': 1 },
    });
  });

  it('starts one that another window retries', () => {
    const there: EngineEvent = { kind: 'runningElsewhere', forward: dbId, run: 1, state: { kind: 'retrying', failure, attempt: 1 } }; // prettier-ignore
    assert.deepEqual(startTunnels(state(there), [db]).wanted, wantTunnels(all, [db]));
  });

  it('makes a tunnel on demand when it is started so, and no longer when it is not', () => {
    const first = startTunnels({ wanted: nothingWanted, snapshot: emptySnapshot }, [{ ...db, onDemand: true }]).wanted;
    assert.deepEqual(planTunnels(first, undefined).connections[0]?.forwards[0]?.onDemand, true);
    assert.equal(restartTunnels(first, [dbId]).tunnels[0]?.onDemand, true);
    assert.equal(wantTunnels(first, [db]).tunnels[0]?.onDemand, undefined);
    assert.equal(wantTunnels(all, [{ ...db, onDemand: true }]).tunnels[0]?.onDemand, true);
  });
});

describe('retryTunnels', () => {
  const connected: EngineEvent = { kind: 'connected', connection: 'bob@web01', server: 'bob@web01:22' };
  const failure: Failure = { kind: 'connectFailed', host: 'web02', port: 22, code: 'ECONNREFUSED' };
  const lost: EngineEvent = { kind: 'connectionLost', connection: 'web02', failure, attempt: 1, retryAt: 1 };
  const stale = (run: number): EngineEvent => ({ kind: 'listenRetrying', forward: dbId, run, failure, attempt: 1, retryAt: 1 }); // prettier-ignore
  const state = (wanted: Wanted, ...events: EngineEvent[]): SessionState => ({
    wanted,
    snapshot: events.reduce(reduce, emptySnapshot),
  });

  it('dials the connections at once, each once, and leaves their tunnels as they are', () => {
    const two = wantTunnels(all, [newTunnel(web02, '-L 81:localhost:81')]);
    const retried = retryTunnels(state(two, lost), two.tunnels);
    assert.deepEqual(retried, { ...two, connectionRetries: { web02: 1 } });
    assert.deepEqual(retryTunnels(state(retried, lost), two.tunnels).connectionRetries, { web02: 2 });
  });

  it('asks a server again for a port that it holds, without a new run, and leaves its other tunnels alone', () => {
    const retried = retryTunnels(state(all, connected, stale(1)), all.tunnels);
    assert.deepEqual(retried, { ...all, connectionRetries: { 'bob@web01': 1 } });
  });

  it('does nothing to one that is up, has failed, was stopped or runs in another window', () => {
    const other: EngineEvent = { kind: 'runningElsewhere', forward: proxyId, run: 1, state: { kind: 'retrying', failure, attempt: 1 } }; // prettier-ignore
    const states = [
      state(all, connected),
      state(all, { kind: 'connectionFailed', connection: 'web02', failure }),
      state(stopTunnels(all, [proxyId]), lost),
      state(all, lost, other),
    ];
    for (const session of states) {
      assert.deepEqual(retryingOf(session, session.wanted.tunnels), []);
      assert.equal(retryTunnels(session, session.wanted.tunnels), session.wanted);
    }
  });
});

/** An engine that only remembers what it was told. */
function createFakeEngine() {
  const plans: Plan[] = [];
  const answers: [string, Reply][] = [];
  const listeners = new Set<(event: EngineEvent) => void>();
  const engine: Engine = {
    apply: (plan) => void plans.push(plan),
    answer: (askId, reply) => void answers.push([askId, reply]),
    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    hosts: () => Promise.resolve([]),
    configForwards: () => Promise.resolve({ forwards: [], problems: [], files: [] }),
    explain: () => Promise.resolve({ host: '', hosts: [], forwards: [] }),
    serverPorts: () => Promise.resolve([]),
    probe: () => Promise.resolve(undefined),
    clients: () => Promise.resolve([]),
    numbers: () => Promise.resolve(undefined),
    way: () => Promise.resolve([]),
    disconnect: () => {},
    close: () => Promise.resolve(),
  };
  const emit = (event: EngineEvent) => listeners.forEach((listener) => listener(event));
  return { engine, plans, answers, emit };
}

describe('createSession', () => {
  const connecting: EngineEvent = { kind: 'connecting', connection: 'web02', attempt: 1 };

  it('begins with nothing', () => {
    const { engine, plans } = createFakeEngine();
    const session = createSession(engine, () => undefined);
    assert.deepEqual(session.state, { wanted: nothingWanted, snapshot: emptySnapshot });
    assert.deepEqual(plans, []);
  });

  it('sends the whole plan after each change, with the config file of that moment', () => {
    const { engine, plans } = createFakeEngine();
    let configFile: string | undefined = undefined;
    const session = createSession(engine, () => configFile);
    session.update((wanted) => wantTunnels(wanted, [db, proxy]));
    const first = session.state.wanted;
    configFile = '/etc/my_config';
    session.update((wanted) => stopTunnels(wanted, [dbId]));
    assert.deepEqual(plans, [planTunnels(first, undefined), planTunnels(session.state.wanted, '/etc/my_config')]);
  });

  it('takes the engine’s events into its snapshot and sends nothing for them', () => {
    const { engine, plans, emit } = createFakeEngine();
    const session = createSession(engine, () => undefined);
    emit(connecting);
    assert.deepEqual(session.state, { wanted: nothingWanted, snapshot: reduce(emptySnapshot, connecting) });
    assert.deepEqual(plans, []);
  });

  it('stops the tunnels of a connection whose question was cancelled, and only those', () => {
    const { engine, plans, emit } = createFakeEngine();
    const session = createSession(engine, () => undefined);
    session.update((wanted) => wantTunnels(wanted, [db, site, proxy]));
    emit({ kind: 'connectionFailed', connection: connectionOf(db), failure: { kind: 'cancelled' } });
    const running = session.state.wanted.tunnels.filter(isWanted);
    assert.deepEqual(
      running.map(({ id }) => id),
      [proxyId],
    );
    assert.deepEqual(
      plans.at(-1)?.connections.map(({ id }) => id),
      [connectionOf(proxy)],
    );
  });

  /** A session that wants db and proxy, where db drains. */
  const draining = () => {
    const { engine, plans, emit } = createFakeEngine();
    const session = createSession(engine, () => undefined);
    session.update((wanted) => stopTunnels(wantTunnels(wanted, [db, proxy]), [dbId], 'drain'));
    const wishes = () => session.state.wanted.tunnels.map(({ wish }) => wish);
    return { session, plans, emit, wishes };
  };

  it('stops a tunnel when its last client has left, and only the start that drains', () => {
    const { session, plans, emit, wishes } = draining();
    assert.deepEqual(plans.at(-1)?.connections[0]?.forwards, [{ id: dbId, spec: db.spec, run: 1, wish: 'drain' }]);
    emit({ kind: 'drained', forward: proxyId, run: 1 });
    emit({ kind: 'drained', forward: dbId, run: 0 });
    assert.deepEqual(wishes(), ['drain', 'exact']);
    assert.equal(plans.length, 1);
    emit({ kind: 'drained', forward: dbId, run: 1 });
    assert.deepEqual(wishes(), ['stop', 'exact']);
    assert.deepEqual(plans.at(-1), planTunnels(session.state.wanted, undefined));
    assert.equal(plans.length, 2);
  });

  it('keeps a tunnel that was started again while it drained', () => {
    const { session, emit, wishes } = draining();
    session.update((wanted) => restartTunnels(wanted, [dbId]));
    emit({ kind: 'drained', forward: dbId, run: 1 });
    assert.deepEqual(wishes(), ['exact', 'exact']);
  });

  it('loses what ran when the engine has ended, and starts another engine only for what is started again', () => {
    const { session, plans, emit, wishes } = draining();
    emit({ kind: 'engineEnded', detail: 'out of memory' });
    assert.deepEqual(wishes(), ['stop', 'lost']);
    assert.equal(plans.length, 1);
    session.update((wanted) => renameTunnel(wanted, dbId, 'Database'));
    assert.deepEqual(wishes(), ['stop', 'lost']);
    assert.deepEqual(plans.at(-1), { connections: [] });
    session.update(() => startTunnels(session.state, [db]).wanted);
    assert.deepEqual(
      plans.at(-1)?.connections.map(({ id }) => id),
      [connectionOf(db)],
    );
    session.update((wanted) => stopTunnels(wanted, [proxyId], 'drain'));
    assert.deepEqual(wishes(), ['exact', 'stop']);
  });

  it('sends nothing that was lost when somebody changes the plan at the very end of the engine', () => {
    const { session, plans, emit } = draining();
    session.onChange(
      (_, event) => event?.kind === 'engineEnded' && session.update((now) => removeTunnels(now, [dbId])),
    );
    emit({ kind: 'engineEnded', detail: 'out of memory' });
    assert.deepEqual(plans.at(-1), { connections: [] });
  });

  it('runs what it had lost when that is started', () => {
    const { session, plans, emit, wishes } = draining();
    emit({ kind: 'engineEnded', detail: 'out of memory' });
    const { wanted, started } = startTunnels(session.state, [proxy]);
    assert.deepEqual(started, [proxyId]);
    session.update(() => wanted);
    assert.deepEqual(wishes(), ['stop', 'exact']);
    assert.equal(plans.at(-1)?.connections.length, 1);
  });

  it('stops the tunnel that the network was not let into, and only that', () => {
    const { engine, emit } = createFakeEngine();
    const session = createSession(engine, () => undefined);
    session.update((wanted) => wantTunnels(wanted, [db, site]));
    emit({ kind: 'listenFailed', forward: dbId, run: 1, failure: { kind: 'cancelled' } });
    emit({
      kind: 'listenFailed',
      forward: siteId,
      run: 1,
      failure: { kind: 'portForbidden', address: '::1', port: 80 },
    });
    assert.deepEqual(
      session.state.wanted.tunnels.map(({ wish }) => wish),
      ['stop', 'exact'],
    );
  });

  it('tells its listeners after each change, with the event if one made it, until they leave', () => {
    const { engine, emit } = createFakeEngine();
    const session = createSession(engine, () => undefined);
    const heard: [SessionState, EngineEvent | undefined][] = [];
    const leave = session.onChange((state, event) => heard.push([state, event]));
    session.update((wanted) => wantTunnels(wanted, [db]));
    const afterUpdate = session.state;
    emit(connecting);
    const afterEvent = session.state;
    leave();
    session.update((wanted) => removeTunnels(wanted, [dbId]));
    assert.deepEqual(heard, [
      [afterUpdate, undefined],
      [afterEvent, connecting],
    ]);
  });

  it('passes an answer on by the ask’s id', () => {
    const { engine, answers } = createFakeEngine();
    const ask: Ask = { id: 'ask-7', connection: 'web02', kind: 'passphrase', path: '/k', attempt: 1 };
    createSession(engine, () => undefined).answer(ask, { kind: 'secret', secret: 'x' });
    assert.deepEqual(answers, [['ask-7', { kind: 'secret', secret: 'x' }]]);
  });
});
