import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Plan, PlannedConnection, PlannedForward } from '../../src/core/plan.js';
import { emptySnapshot, reduce, type Snapshot } from '../../src/core/snapshot.js';
import type { MachineChange } from '../../src/engine/machineWatch.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startFaultyProxy, type FaultyProxy } from '../support/faultyProxy.js';
import { mustParseSpec } from '../support/mustParseSpec.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { bytes, connectThrough, connectTo, echo, readToEnd, startTarget, type Target } from '../support/targets.js';

interface WantedForward {
  run: number;
  wish: 'exact' | 'drain' | undefined;
  onDemand: boolean;
}

describe('the engine, whatever befalls it and its server', function () {
  this.timeout(60_000);
  let sshd: Sshd;
  let proxy: FaultyProxy;
  let service: Target;
  let engine: EngineProbe;
  let change: ((what: MachineChange) => void) | undefined;
  let heldBefore: string[];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    proxy = await startFaultyProxy(sshd);
    service = await startTarget(echo);
    const watch = (onChange: (what: MachineChange) => void) => {
      change = onChange;
      return () => (change = undefined);
    };
    engine = probe(createEngine({ watch }));
  });
  after(async () => {
    await engine.close();
    await service.close();
    await proxy.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  it('does what the last of 80 random plans says, loses no byte that a client was told is there, and keeps nothing', async () => {
    const target = `127.0.0.1:${service.port}`;
    const lines = [
      `Port ${proxy.port}`,
      `HostKeyAlias [127.0.0.1]:${sshd.port}`,
      'ServerAliveInterval 1',
      'ServerAliveCountMax 2',
    ];
    const [one, two, three, four] = [await freePort(), await freePort(), await freePort(), await freePort()];
    const connections = [
      {
        id: 'web01',
        specs: [`-L ${one}:${target}`, `-R ${two}:${target}`],
        configFile: sshd.configPath('web01', lines),
      },
      { id: 'web02', specs: [`-L ${three}:${target}`, `-D ${four}`], configFile: sshd.configPath('web02', lines) },
    ];
    const ports = [one, three];
    const actions = [
      'start',
      'start on demand',
      'stop',
      'drain',
      'restart forward',
      'restart connection',
      'retry',
      'persist',
      'kill',
      'cut',
      'refuse',
      'accept',
      'woke',
      'network',
      'waits',
      'client',
      'client',
      'client',
    ] as const;
    const step = fc.record({
      at: fc.nat({ max: 1 }),
      forward: fc.nat({ max: 1 }),
      action: fc.constantFrom(...actions),
      pause: fc.nat({ max: 120 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 80, maxLength: 80 }), async (steps) => {
        let snapshot: Snapshot = emptySnapshot;
        const forget = engine.engine.onEvent((event) => (snapshot = reduce(snapshot, event)));
        const wanted = connections.map(() => ({
          run: 0,
          retry: 0,
          isPersistent: false,
          forwards: [0, 1].map((): WantedForward => ({ run: 0, wish: 'exact', onDemand: false })),
        }));
        let parkSeconds = 1;
        let starts = 0;
        const plan = (): Plan => ({
          waits: { parkSeconds, idleSeconds: 0.3 },
          connections: connections.flatMap(({ id, specs, configFile }, at): PlannedConnection[] => {
            const own = wanted[at]!;
            const forwards = specs.flatMap((text, index): PlannedForward[] => {
              const { run, wish, onDemand } = own.forwards[index]!;
              if (!wish) return [];
              return [{ id: text, spec: mustParseSpec(text), run, wish, ...(onDemand && { onDemand }) }];
            });
            if (forwards.length === 0) return [];
            const { run, retry, isPersistent } = own;
            return [planned(id, [], { configFile, forwards, run, retry, ...(isPersistent && { isPersistent }) })];
          }),
        });
        const clients: Promise<void>[] = [];
        /** It is echoed all that it says, or it is reset: never told of an end before that. */
        const client = async (port: number, text: string) => {
          const said = bytes(30_000, text);
          const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true }, () => socket.end(said));
          const { received, end } = await readToEnd(socket);
          if (end === 'end') assert.ok(received.equals(said), `${received.length} bytes, and an end`);
          else assert.ok(said.subarray(0, received.length).equals(received));
        };
        engine.engine.apply(plan());
        for (const [index, { at, forward, action, pause }] of steps.entries()) {
          const connection = wanted[at]!;
          const own = connection.forwards[forward]!;
          switch (action) {
            case 'start':
            case 'start on demand':
              connection.forwards[forward] = { run: ++starts, wish: 'exact', onDemand: action === 'start on demand' };
              break;
            case 'stop':
              own.wish = undefined;
              break;
            case 'drain':
              if (own.wish) own.wish = 'drain';
              break;
            case 'restart forward':
              own.run = ++starts;
              break;
            case 'restart connection':
              connection.run++;
              break;
            case 'retry':
              connection.retry++;
              break;
            case 'persist':
              connection.isPersistent = !connection.isPersistent;
              break;
            case 'kill':
              sshd.killSessions();
              break;
            case 'cut':
              proxy.resetAll();
              break;
            case 'refuse':
              await proxy.refuse();
              break;
            case 'accept':
              await proxy.accept();
              break;
            case 'woke':
            case 'network':
              change?.(action);
              break;
            case 'waits':
              parkSeconds = index % 2;
              break;
            case 'client':
              clients.push(client(ports[at]!, `client ${index}`));
          }
          engine.engine.apply(plan());
          await sleep(pause);
        }
        await proxy.accept();
        parkSeconds = 20;
        // What has failed for good is wanted once more.
        for (const connection of wanted) connection.retry++;
        engine.engine.apply(plan());
        let last: readonly PlannedConnection[] = [];
        // What breaks last may be heard of later.
        await eventually(async () => {
          // Started again while the server has not done with the session before, its port is in use.
          const remote = wanted[0]!.forwards[1]!;
          if (snapshot.forwards[connections[0]!.specs[1]!]?.kind === 'failed') remote.run = ++starts;
          engine.engine.apply(plan());
          last = plan().connections;
          const ids = (of: object) => Object.keys(of).sort();
          assert.deepEqual(ids(snapshot.connections), last.map(({ id }) => id).sort());
          for (const { id, forwards } of last) {
            const listening = forwards.filter(({ wish }) => wish !== 'drain');
            const canIdle = forwards.some(({ onDemand }) => onDemand) && listening.every(({ onDemand, spec }) => onDemand && spec.kind !== 'remote'); // prettier-ignore
            const { kind } = snapshot.connections[id]!;
            assert.ok(kind === 'ready' || (canIdle && kind === 'idle'), `${id} is ${kind}`);
            for (const { id, run } of listening) {
              const seen = snapshot.forwards[id];
              assert.deepEqual([seen?.kind, seen?.run], ['listening', run], id);
            }
          }
          const running = last.flatMap(({ forwards }) => forwards.filter(({ wish }) => wish !== 'drain'));
          assert.deepEqual(ids(snapshot.forwards), running.map(({ id }) => id).sort());
          for (const { id } of running) {
            const place = { host: '127.0.0.1', port: Number(/^-. (\d+)/.exec(id)![1]) };
            const socket = await (id.startsWith('-D')
              ? connectThrough(place, 'SOCKS5', '127.0.0.1', service.port)
              : connectTo(place));
            assert.equal((await readToEnd(socket.end(id))).received.toString(), id);
          }
        });
        await Promise.all(clients);
        // Those on demand have no client any more.
        await eventually(() => {
          for (const { id, forwards } of last)
            if (forwards.every(({ onDemand, spec }) => onDemand && spec.kind !== 'remote'))
              assert.equal(snapshot.connections[id]!.kind, 'idle');
        });
        engine.engine.apply({ connections: [] });
        await eventually(() => assert.deepEqual(snapshot, emptySnapshot));
        assert.equal(change, undefined);
        await eventually(() => {
          assert.deepEqual(sshd.sessions(), []);
          assert.equal(service.sockets.size, 0);
          assert.equal(proxy.connections, 0);
        });
        forget();
      }),
      { numRuns: 2, endOnFailure: true },
    );
  });
});
