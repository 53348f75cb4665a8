// An engine that is put through faults, and what is looked at after each: the state that it shows against what a client
// finds, how long it took, and what is left when it is closed.
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../../src/core/engine.js';
import type { PlannedConnection, Waits } from '../../src/core/plan.js';
import { emptySnapshot, reduce, tunnelState, type Snapshot, type TunnelState } from '../../src/core/snapshot.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from './engineProbe.js';
import { eventually } from './eventually.js';
import { startFaultyProxy, type FaultyProxy } from './faultyProxy.js';
import { freePort, knownHostsLine, publicKey, startSshd, type Sshd, type SshdOptions } from './sshd.js';
import { connectTo, echo, readToEnd, startTarget, type Exchange, type Place, type Target } from './targets.js';

export interface FaultBench extends EngineProbe {
  /** How long it took to come up when nothing was wrong, in ms: the measure of this machine at this time. */
  plainMs: number;
  /** Waits until all forwards listen. */
  allReady(): Promise<void>;
  /** As a row would show it. */
  state(forward: string): TunnelState;
  /**
   * Waits until a row and a client agree, of each forward: `ready`, and what is said to an echo there comes back; or not,
   * and nothing does. A row may be wrong for three seconds, or what a busy machine needs for a start.
   */
  agrees(places: Readonly<Record<string, Place>>, ms?: number): Promise<void>;
}

/** Waits until all forwards listen. */
export async function startBench(
  engine: Engine,
  connections: readonly PlannedConnection[],
  waits?: Waits,
): Promise<FaultBench> {
  const started = performance.now();
  const probed = probe(engine);
  let snapshot: Snapshot = emptySnapshot;
  engine.onEvent((event) => (snapshot = reduce(snapshot, event)));
  const tunnels = connections.flatMap(({ host: { destination }, forwards }) =>
    forwards.map(({ id, spec, run, wish }) => ({ id, spec, run, wish, destination, automatic: false })),
  );
  const state = (id: string) =>
    tunnelState(
      tunnels.find((tunnel) => tunnel.id === id)!,
      snapshot,
    );
  const allReady = () =>
    eventually(() =>
      assert.deepEqual(
        tunnels.map(({ id }) => state(id)).filter(({ kind }) => kind !== 'ready'),
        [],
      ),
    );
  engine.apply({ connections, ...(waits && { waits }) });
  try {
    await allReady();
  } catch (error) {
    await engine.close();
    throw error;
  }
  probed.skip();
  const plainMs = performance.now() - started;
  return {
    ...probed,
    plainMs,
    allReady,
    state,
    agrees: (places, ms = Math.max(3000, 3 * plainMs)) =>
      eventually(async () => {
        for (const [id, place] of Object.entries(places)) {
          const before = state(id).kind;
          const isAnswered = await answers(place, before === 'ready' ? 5000 : 200);
          // It has changed meanwhile: looked at once more.
          assert.equal(state(id).kind, before);
          assert.equal(isAnswered, before === 'ready', `${id} is shown as ${before}`);
        }
      }, ms),
  };
}

/** Whether what is said there comes back within `ms`. */
export async function answers(place: Place, ms: number): Promise<boolean> {
  const over = new AbortController();
  const said = Buffer.from(`hello ${Math.random()}`);
  try {
    const socket = await connectTo(place);
    try {
      return await Promise.race([
        sleep(ms, false, { signal: over.signal }).catch(() => false),
        new Promise<boolean>((resolve) => {
          const heard: Buffer[] = [];
          socket.on('data', (chunk: Buffer) => {
            heard.push(chunk);
            if (Buffer.concat(heard).equals(said)) resolve(true);
          });
          socket.once('close', () => resolve(false));
          socket.write(said);
        }),
      ]);
    } finally {
      over.abort();
      socket.resetAndDestroy();
    }
  } catch {
    return false;
  }
}

/** Milliseconds from `since`, of performance.now(), until a client is answered again. */
export async function recovery(place: Place, since: number, ms = 15_000): Promise<number> {
  const until = performance.now() + ms;
  while (!(await answers(place, Math.max(until - performance.now(), 1)))) {
    assert.ok(performance.now() < until, `no client was answered within ${ms} ms`);
    await sleep(20);
  }
  return performance.now() - since;
}

export interface LeakCheck {
  /** Fails when something is left that wasn't there when it was made; then nothing of it stays. */
  done(): Promise<void>;
}

/**
 * From now on files for a while go to a folder of this suite alone. To be made before all else that a suite makes, and
 * asked when all of that is closed.
 */
export async function startLeakCheck(): Promise<LeakCheck> {
  // When mocha's own timer for a hook runs already, as it will when it is asked.
  await new Promise(setImmediate);
  const held = heldResources();
  const before = openFiles().length;
  const timers = countTimers();
  const usual = process.env['TMPDIR'];
  const folder = mkdtempSync(join(tmpdir(), 'faults-'));
  process.env['TMPDIR'] = folder;
  return {
    async done() {
      try {
        await eventually(() => {
          assert.deepEqual(heldBeyond(held), []);
          assert.ok(openFiles().length <= before, `more files are open than before: ${openFiles().join(' ')}`);
          assert.ok(countTimers() <= timers, `${countTimers() - timers} timers run on`);
          assert.deepEqual(readdirSync(folder), []);
        });
      } finally {
        if (usual === undefined) delete process.env['TMPDIR'];
        else process.env['TMPDIR'] = usual;
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

const countTimers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

function openFiles(): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // the folder itself
    }
  });
}

/** Ends a server and its sessions, as when its machine goes down. */
export async function endServer(server: Sshd): Promise<void> {
  const pids = server.sessions();
  await server.stopListening();
  signalAll(pids, 'SIGKILL');
}

/** A client that has been answered; `gone` tells its end. */
export async function connectedClient(place: Place): Promise<{ gone: Promise<Exchange> }> {
  const socket = await connectTo(place);
  socket.write('x');
  await new Promise((heard) => socket.once('data', heard));
  return { gone: readToEnd(socket) };
}

/** Two seconds by what is promised to users; a machine that is busy has what a plain start takes besides. */
export function recoveryBoundMs({ plainMs }: FaultBench): number {
  return 1500 + Math.max(500, 3 * plainMs);
}

const keepalive = { seconds: 1, count: 2 };

/** In ssh_config: a silent peer is given up after two seconds. */
export const keepaliveLines = [`ServerAliveInterval ${keepalive.seconds}`, `ServerAliveCountMax ${keepalive.count}`];

/** How long it may take until a silent peer is noticed: a second more, and what a busy machine needs. */
export const noticedMs = (keepalive.seconds * keepalive.count + 1) * 1000 + 500;

/** Set for the tests' longer variants. */
export const isLong = process.env['SSH_TUNNELS_LONG_FAULTS'] === '1';

export interface FaultyServer {
  sshd: Sshd;
  /** Before the sshd, whose keys are known under its port, too. */
  proxy: FaultyProxy;
  /** An echo. */
  service: Target;
  /** An engine with local forwards to the echo; `lines` of ssh_config come first. Closed after the test. */
  start(lines?: readonly string[]): Promise<Started>;
  /** The same by way of the proxy. */
  startThroughProxy(lines?: readonly string[]): Promise<Started>;
  /** Closes it after the test, before it is looked at what is left on the servers. */
  owns<T extends { close(): Promise<void> }>(bench: T): T;
  /** Closes it at the end of the suite, before it is looked at what is left. */
  ownsToTheEnd<T extends { close(): Promise<void> }>(part: T): T;
  /** Another server, up to the end of the suite; its sessions have to be gone after each test, too. */
  alsoServer(server: Sshd): Sshd;
  /** Stops processes; they go on after the test at the latest. */
  freeze(pids: readonly number[]): void;
  thaw(): void;
}

interface Started {
  bench: FaultBench;
  /** Of its forward. */
  id: string;
  place: Place;
}

/** Deaf to the network's changes: suites that run meanwhile make some, and it would dial at once. */
export function createDeafEngine(): Engine {
  return createEngine({ watch: () => () => {} });
}

/** Has the suite that calls it start all this, and look for what is left over after each test and at its end. */
export function useFaultyServer(options: SshdOptions = {}, newEngine = createDeafEngine): FaultyServer {
  const suite = {} as FaultyServer;
  const servers: Sshd[] = [];
  const owned: { close(): Promise<void> }[] = [];
  const parts: { close(): Promise<void> }[] = [];
  const frozen: number[] = [];
  let leaks: LeakCheck;

  before(async () => {
    leaks = await startLeakCheck();
    suite.sshd = suite.alsoServer(await startSshd(options));
    suite.service = await startTarget(echo);
    suite.proxy = await startFaultyProxy({ port: suite.sshd.port });
    const key = publicKey(`${suite.sshd.hostKeyPath}.pub`);
    appendFileSync(suite.sshd.knownHostsPath, knownHostsLine(suite.proxy.port, key));
  });
  afterEach(async () => {
    for (const one of owned.splice(0)) await one.close();
    suite.thaw();
    suite.proxy.delay(0);
    suite.proxy.rate(Infinity);
    suite.proxy.thaw();
    await suite.proxy.accept();
    await eventually(() =>
      assert.deepEqual(
        servers.flatMap((server) => server.sessions()),
        [],
      ),
    );
    await eventually(() => assert.equal(suite.service.sockets.size, 0));
    await eventually(() => assert.equal(suite.proxy.connections, 0));
  });
  after(async () => {
    await suite.proxy.close();
    await suite.service.close();
    for (const part of parts) await part.close();
    for (const server of servers) await server.stop();
    await leaks.done();
  });

  return Object.assign(suite, {
    async start(lines: readonly string[] = []): Promise<Started> {
      const port = await freePort();
      const id = `-L ${port}:127.0.0.1:${suite.service.port}`;
      const configFile = suite.sshd.configPath('web01', [...lines, ...keepaliveLines]);
      const bench = suite.owns(await startBench(newEngine(), [planned('web01', [id], { configFile })]));
      return { bench, id, place: { host: '127.0.0.1', port } };
    },
    startThroughProxy: (lines: readonly string[] = []) => suite.start([...lines, `Port ${suite.proxy.port}`]),
    owns<T extends { close(): Promise<void> }>(bench: T): T {
      owned.push(bench);
      return bench;
    },
    ownsToTheEnd<T extends { close(): Promise<void> }>(part: T): T {
      parts.push(part);
      return part;
    },
    alsoServer(server: Sshd): Sshd {
      servers.push(server);
      return server;
    },
    freeze(pids: readonly number[]) {
      frozen.push(...pids);
      signalAll(pids, 'SIGSTOP');
    },
    thaw: () => signalAll(frozen.splice(0), 'SIGCONT'),
  });
}

/** Signals those that are still there. */
function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
  }
}
