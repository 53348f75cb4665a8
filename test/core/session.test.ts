import assert from 'node:assert/strict';
import type { Ask, Engine, EngineEvent, Reply } from '../../src/core/engine.js';
import { connectionOf, planTunnels, unsupportedForward, type Plan } from '../../src/core/plan.js';
import {
  createSession,
  nothingWanted,
  removeTunnels,
  renameTunnel,
  restartConnection,
  restartTunnels,
  startTunnels,
  stopTunnels,
  tunnelId,
  tunnelsOf,
  wantTunnels,
  type NewTunnel,
  type SessionState,
  type Tunnel,
  type Wanted,
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

const listed = (tunnel: NewTunnel, run: number, running = true): Tunnel => ({
  ...tunnel,
  id: tunnelId(tunnel),
  running,
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
      starts: 1,
    } satisfies Wanted));

  it('hold the same forward once, with the name given last', () => {
    const again = newTunnel({ user: 'bob', host: 'web01' }, '-L 05432:db:postgresql', 'Database');
    assert.equal(tunnelId(again), dbId);
    assert.deepEqual(wantTunnels(all, [again]), {
      tunnels: [{ ...listed(db, 2), label: 'Database' }, listed(site, 1), listed(proxy, 1)],
      connectionRuns: {},
      starts: 2,
    });
    assert.deepEqual(wantTunnels(nothingWanted, [site, newTunnel(web01, '-L 8080:localhost:80')]).tunnels, [
      listed(site, 1),
    ]);
  });

  it('stop, and start with a number that no start before had', () => {
    const stopped = stopTunnels(all, [dbId, proxyId, 'nobody']);
    assert.deepEqual(stopped.tunnels, [listed(db, 1, false), listed(site, 1), listed(proxy, 1, false)]);
    const started = restartTunnels(stopped, [dbId, siteId]);
    assert.deepEqual(started.tunnels, [listed(db, 2), listed(site, 2), listed(proxy, 1, false)]);
    assert.deepEqual(wantTunnels(removeTunnels(started, [dbId]), [db]).tunnels.at(-1), listed(db, 3));
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
  const planned = (tunnel: NewTunnel, run = 1) => ({ id: tunnelId(tunnel), spec: tunnel.spec, run });

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

describe('unsupportedForward', () => {
  const table: [string, string | undefined][] = [
    ['-L 5432:db:5432', undefined],
    ['-L *:5432:db:5432', undefined],
    ['-L 5432:/run/db.sock', 'A forward from or to a Unix socket'],
    ['-L /run/db.sock:db:5432', 'A forward from or to a Unix socket'],
    ['-R 8080:localhost:80', 'A remote forward (-R)'],
    ['-D 1080', 'A dynamic forward (-D)'],
  ];
  for (const [spec, what] of table)
    it(`${what === undefined ? 'takes' : 'refuses'} ${spec}`, () =>
      assert.deepEqual(
        unsupportedForward(mustParseSpec(spec)),
        what === undefined ? undefined : { kind: 'notSupportedYet', what },
      ));
});

describe('startTunnels', () => {
  const bound = [{ address: '127.0.0.1', family: 4, port: 5432 }] as const;
  const failure = { kind: 'cancelled' } as const;
  const state = (...events: EngineEvent[]): SessionState => ({
    wanted: all,
    snapshot: events.reduce(reduce, emptySnapshot),
  });
  const connected: EngineEvent = { kind: 'connected', connection: 'bob@web01', server: 'bob@web01:22' };

  it('adds what is new', () => {
    const start = startTunnels({ wanted: nothingWanted, snapshot: emptySnapshot }, [db]);
    assert.deepEqual(start, { wanted: wantTunnels(nothingWanted, [db]), started: [dbId] });
  });

  it('leaves alone what runs or is about to', () => {
    const listening: EngineEvent = { kind: 'listening', forward: dbId, run: 1, bound, unbound: [] };
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
    const downs: EngineEvent[] = [
      { kind: 'connectionFailed', connection: 'bob@web01', failure },
      { kind: 'connectionLost', connection: 'bob@web01', failure, attempt: 1, retryAt: 1 },
    ];
    for (const down of downs) {
      const { wanted, started } = startTunnels(state(connected, down), [db, site]);
      assert.deepEqual(started, [dbId, siteId]);
      assert.deepEqual(wanted.connectionRuns, { 'bob@web01': 1 });
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
    const running = session.state.wanted.tunnels.filter((tunnel) => tunnel.running);
    assert.deepEqual(
      running.map(({ id }) => id),
      [proxyId],
    );
    assert.deepEqual(
      plans.at(-1)?.connections.map(({ id }) => id),
      [connectionOf(proxy)],
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
