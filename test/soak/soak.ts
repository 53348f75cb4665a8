// npm run soak -- [--minutes 10] [--seed text]: tunnels of every kind to real servers, many clients, and faults without
// an end, drawn from the seed. It ends with a table, and with code 1 where anything was wrong.
//
// The same seed draws the same ports, streams and actions in the same order. When each happens, and so what meets what,
// is the machine's: it isn't repeated, nor are the engine's own random waits.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { defaultWaits, type Waits } from '../../src/core/plan.js';
import { createSession, restartConnection, restartTunnels, wantTunnels } from '../../src/core/session.js';
import { failureText } from '../../src/core/wording.js';
import { watchMachine } from '../../src/engine/machineWatch.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { onEndRequested } from '../support/endRequested.js';
import { descendants, killAll } from '../support/sshd.js';
import { createActions, type Actions, type Recovery } from './actions.js';
import { held, heldBeyond } from './leaks.js';
import { seededRandom } from './random.js';
import { createDisturbances, createRun, headerBytes, knock, now, stateText, type FlawKind, type Run } from './run.js';
import { startTraffic } from './traffic.js';
import { makeWorld } from './world.js';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' }, verbose: { type: 'boolean' } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: a number above 0 is wanted`);
const seed = values.seed ?? String(Math.floor(Math.random() * 1e9));

const lanes = 24;
/** Some eight times in a run, which is two a quarter for the memory. */
const checkEveryMs = Math.min(60_000, (minutes * 60_000) / 8);
const settleMs = 15_000;
/** What a person may take for at once, after a server can be reached again. */
const recoveryBoundMs = 2_000;
/** What a run may keep more at its end than after its first quarter: it is some 100 bytes a stream, and the noise of a heap. */
const heapBoundBytes = 12 * 1024 * 1024;

/** Of so many flaws each is told. */
const mostTold = 50;

interface Flaw {
  kind: FlawKind;
  text: string;
}

const startedAt = now();
const seconds = () => ((now() - startedAt) / 1000).toFixed(1);
const flaws: Flaw[] = [];
const flaw = (kind: FlawKind, text: string) => {
  flaws.push({ kind, text });
  if (flaws.length <= mostTold) console.log(`${seconds()} s: ${kind.toUpperCase()}: ${text}`);
};

console.log(`seed ${seed}`);
const limitMs = minutes * 60_000 + 5 * 60_000;
const home = mkdtempSync(join(tmpdir(), 'soak-'));
const watchdog = new Worker(join(__dirname, 'watchdog.mjs'), { workerData: { silenceMs: 60_000, limitMs, home } });
watchdog.on('error', (error) => console.log(`The watchdog has ended: ${error.message}`));
process.env['TMPDIR'] = home;
const realNow = Date.now;
let doing = 'starting';
let ending = false;

onEndRequested(() => {
  if (ending) process.exit(1);
  ending = true;
  endAll();
  process.exit(1);
});

const fail = (error: unknown) => {
  console.log(error);
  endAll();
  process.exit(1);
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
main().then((code) => process.exit(code), fail);

async function main(): Promise<number> {
  const beat = setInterval(() => watchdog.postMessage(doing), 1000);
  await new Promise((online) => watchdog.once('online', online));
  const before = held();
  const random = seededRandom(seed);
  const lag = monitorEventLoopDelay({ resolution: 20 });
  lag.enable();

  const traffic = startTraffic(() => run, lanes, random.fork('traffic'));
  const world = await makeWorld(random.fork('world'), headerBytes, traffic.serve);
  let machine = (_change: 'woke' | 'network') => {};
  const engine = createEngine({
    watch(onChange) {
      machine = onChange;
      // It sees the clock jump.
      return watchMachine(onChange);
    },
  });
  let waits: Waits = defaultWaits;
  const session = createSession(
    engine,
    () => world.configFile,
    () => waits,
  );
  const run = createRun({ world, engine, session, disturbances: createDisturbances(), flaw });
  watchForFlaws(run);
  const actions = createActions(run, random, {
    machine: (change) => machine(change),
    jumpClock(ms) {
      const now = Date.now;
      Date.now = () => now() + ms;
    },
    setWaits: (next) => (waits = next),
    tell: (text) => values.verbose && console.log(`${seconds()} s: ${text}`),
  });
  const heaps: number[] = [];
  const until = startedAt + minutes * 60_000;
  const isOver = () => now() >= until;

  doing = 'bringing the tunnels up';
  session.update((wanted) =>
    wantTunnels(
      wanted,
      world.slots.map(({ tunnel }) => tunnel),
      true,
    ),
  );
  await settle(run);
  traffic.start();

  const telling = setInterval(() => {
    const { whole, cut, bytes } = traffic.counts;
    const { p50, p99 } = percentiles(actions.recoveries.map(({ ms }) => ms));
    const count = Object.values(actions.done).reduce((sum, times) => sum + times, 0);
    console.log(
      `${seconds()} s: ${whole} streams whole, ${cut} cut, ${megabytes(bytes)}; ${count} actions; ` +
        `${actions.recoveries.length} recoveries, p50 ${p50} ms, p99 ${p99} ms; ${flaws.length} flaws; ` +
        `heap ${megabytes(heaps.at(-1) ?? 0)}, load ${loadavg()[0]!.toFixed(1)}`,
    );
  }, 60_000);

  const looking = setInterval(() => {
    if (values.verbose)
      console.log(
        `${seconds()} s: ${doing}; ${traffic.active} streams; event loop late by ${(lag.percentile(99) / 1e6).toFixed()} ms (p99), ` +
          `processor ${(process.cpuUsage().user / 1e6).toFixed(1)} s`,
      );
  }, 5000);
  const load = watchLoad();
  const gaps = random.fork('gaps');
  for (let nextCheck = now() + checkEveryMs; !isOver();) {
    doing = `doing ${[...actions.underWay].join(', ')}`;
    await actions.next();
    await sleep(gaps.between(50, 1000));
    if (now() < nextCheck && !isOver()) continue;
    doing = `waiting for the end of ${[...actions.underWay].join(', ')}`;
    await actions.idle();
    doing = 'checking what is shown against what is';
    traffic.pause();
    await settle(run);
    await compare(run, () => traffic.active);
    heaps.push(heap());
    traffic.resume();
    nextCheck = now() + checkEveryMs;
  }
  clearInterval(telling);
  doing = `waiting for the end of ${[...actions.underWay].join(', ')}`;
  await actions.idle();
  doing = 'waiting for the last streams';
  await traffic.stop(20_000);
  lag.disable();
  const busy = load.end();

  doing = 'closing the engine';
  await engine.close();
  doing = 'looking for what is left';
  await noneListens(run);
  const sessions = await left(() =>
    world.nodes.flatMap(({ name, sshd }) => sshd.sessions().map(() => `a session of ${name}`)),
  );
  const sockets = await left(() => Array<string>(world.serviceSockets()).fill('a connection of a service'));
  await world.close((what) => (doing = what));
  clearInterval(beat);
  clearInterval(looking);
  Date.now = realNow;
  const resources = await left(() => heldBeyond(before, held()));
  const files = existsSync(home)
    ? readdirSync(home, { recursive: true }).map((name) => `the file ${String(name)}`)
    : [];
  for (const what of new Set([...sessions, ...sockets, ...resources, ...files])) flaw('leak', what);
  rmSync(home, { recursive: true, force: true });

  const { excess } = judgeRecoveries(actions.recoveries, busy);
  const quarter = Math.ceil(heaps.length / 4);
  const [early, late] = [Math.min(...heaps.slice(0, quarter)), Math.min(...heaps.slice(-quarter))];
  if (heaps.length >= 4 && late - early > heapBoundBytes)
    flaw('memory grew', `from ${megabytes(early)} after a quarter to ${megabytes(late)} in the last`);
  printTable({ traffic: traffic.counts, actions, excess, heaps, busy, lagMs: lag.percentile(99) / 1e6 });
  return flaws.length > 0 ? 1 : 0;
}

/** What events tell that must not be. */
function watchForFlaws(run: Run): void {
  const { session, disturbances, world } = run;
  session.onChange((_, event) => {
    switch (event?.kind) {
      case 'connecting':
      case 'connected':
      case 'connectionIdle':
        if (values.verbose) console.log(`${seconds()} s: ${event.connection} ${event.kind}`);
        return;
      case 'listening':
      case 'listenRetrying':
        if (values.verbose) console.log(`${seconds()} s: ${event.forward} ${event.kind}`);
        return;
      case 'connectionLost': {
        const { connection, failure, attempt, retryAt } = event;
        if (values.verbose)
          console.log(
            `${seconds()} s: ${connection}, attempt ${attempt}: ${failureText(failure)} Again in ${retryAt - Date.now()} ms`,
          );
        if (!disturbances.touched([connection], now()))
          flaw('connection lost for nothing', `${connection}: ${failureText(failure)}`);
        return;
      }
      case 'connectionFailed': {
        if (!session.state.wanted.tunnels.some(({ destination }) => destination.host === event.connection)) return;
        flaw('failed for good', `${event.connection}: ${failureText(event.failure)}`);
        return repair(run, event.connection);
      }
      case 'listenFailed': {
        const slot = world.slots.find(({ id }) => id === event.forward);
        if (!slot || !run.isWanted(slot)) return;
        flaw('failed for good', `${slot.name}: ${failureText(event.failure)}`);
        return repair(run, slot.host, slot.id);
      }
      case 'asked':
        flaw('asked', JSON.stringify(event.ask));
        return run.engine.answer(event.ask.id, { kind: 'cancel' });
      case 'engineEnded':
        return flaw('failed for good', event.detail);
      default:
        return;
    }
  });
}

/** Goes on with what has failed, so that one flaw isn't all that a run finds. */
function repair({ session, disturbances, world }: Run, host: string, slotId?: string): void {
  const ends = [host, ...world.slots.filter((slot) => slot.host === host).map(({ id }) => id)].map(disturbances.begin);
  setTimeout(() => {
    session.update((wanted) =>
      slotId === undefined ? restartConnection(wanted, host) : restartTunnels(wanted, [slotId], true),
    );
    setTimeout(() => ends.forEach((end) => end()), settleMs);
  }, 500);
}

/** Waits until all that is wanted is ready; what is not in time is for `compare` to tell. */
async function settle(run: Run): Promise<void> {
  const late = now() + settleMs;
  const isSettled = () => run.world.slots.every((slot) => !run.isWanted(slot) || run.state(slot)?.kind === 'ready');
  while (!isSettled() && now() < late) await sleep(50);
}

/** In a quiet moment: what is shown of each tunnel is what a client finds, and nobody is connected who should not be. */
async function compare(run: Run, active: () => number): Promise<void> {
  const streamsOver = now() + 40_000;
  while (active() > 0 && now() < streamsOver) await sleep(50);
  await Promise.all(
    run.world.slots.map(async (slot) => {
      const state = run.state(slot);
      const answer = await knock(run, slot, 5000).answer;
      if (run.isWanted(slot) ? state?.kind !== 'ready' || answer !== true : answer === true)
        flaw(
          'wrong state',
          `${slot.name} is ${stateText(state)}, and a client finds: ${answer === true ? 'an answer' : answer}`,
        );
    }),
  );
  const clients = async () => {
    const lists = await Promise.all(
      run.world.slots.map(async ({ id, name }) => ((await run.engine.clients(id)).length > 0 ? name : '')),
    );
    return lists.filter((name) => name !== '');
  };
  const late = now() + 10_000;
  while (now() < late && ((await clients()).length > 0 || run.world.serviceSockets() > 0)) await sleep(50);
  if (active() > 0) flaw('stuck', `${active()} streams go on in a quiet moment`);
  for (const name of await clients()) flaw('leak', `a client that has gone is still on the list of ${name}`);
  if (run.world.serviceSockets() > 0 && active() === 0)
    flaw('leak', `${run.world.serviceSockets()} connections of services that have no client`);
}

/** After the engine's end. */
async function noneListens(run: Run): Promise<void> {
  await Promise.all(
    run.world.slots.map(async (slot) => {
      const answer = await knock(run, slot, 2000).answer;
      if (answer !== 'ECONNREFUSED' && answer !== 'ENOENT' && answer !== 'it has never listened')
        flaw('leak', `the listener of ${slot.name}: ${answer}`);
    }),
  );
}

/** What is still there after some seconds. */
async function left(find: () => readonly string[]): Promise<readonly string[]> {
  const late = now() + 10_000;
  while (find().length > 0 && now() < late) await sleep(100);
  return find();
}

function heap(): number {
  gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

interface Percentiles {
  p50: number;
  p99: number;
}

function percentiles(numbers: readonly number[]): Percentiles {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (part: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0);
  return { p50: at(0.5), p99: at(0.99) };
}

/** How many processes want to run for each processor, on average; 1 at least, which is a machine that keeps up. */
function watchLoad(): { end(): number } {
  const seen: number[] = [];
  const looking = setInterval(() => {
    seen.push(Number(/(\d+)\/\d+/.exec(readFileSync('/proc/loadavg', 'latin1'))![1]));
  }, 250);
  return {
    end() {
      clearInterval(looking);
      return Math.max(1, seen.reduce((sum, count) => sum + count, 0) / seen.length / availableParallelism());
    },
  };
}

function excessOf({ ms, unnoticedMs, announcedMs }: Recovery): number {
  return Math.max(0, ms - unnoticedMs - announcedMs);
}

/**
 * The bound holds for what is left of a recovery without the time in which a deaf server could not be known of (which has
 * a bound of its own), and the waits that the row announces: those grow with the length of an outage. Where two processes
 * want each processor, each gets half of the time, here and in the servers: the bound is twice as far.
 */
function judgeRecoveries(recoveries: readonly Recovery[], busy: number): { excess: Percentiles } {
  const excess = percentiles(recoveries.map(excessOf));
  const bound = recoveryBoundMs * busy;
  if (excess.p99 > bound) flaw('recovered late', `p99 ${excess.p99} ms, the bound is ${Math.round(bound)} ms`);
  const killed = percentiles(killedMs(recoveries));
  if (killed.p99 > bound)
    flaw('recovered late', `p99 ${killed.p99} ms after a killed session, the bound is ${Math.round(bound)} ms`);
  return { excess };
}

/** A killed session hides nothing and leaves its server in reach: all of the time counts, the announced waits, too. */
function killedMs(recoveries: readonly Recovery[]): number[] {
  return recoveries.filter(({ kind }) => kind === 'session killed').map(({ ms }) => ms);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

interface Results {
  traffic: ReturnType<typeof startTraffic>['counts'];
  actions: Actions;
  excess: Percentiles;
  heaps: readonly number[];
  busy: number;
  lagMs: number;
}

function printTable({ traffic, actions, excess, heaps, busy, lagMs }: Results): void {
  const { recoveries, starts, done } = actions;
  const text = ({ p50, p99 }: Percentiles) => `p50 ${p50} ms, p99 ${p99} ms`;
  const found = (...kinds: FlawKind[]) => String(flaws.filter(({ kind }) => kinds.includes(kind)).length);
  const ofKind = ([kind, times]: [string, number]) => {
    const own = recoveries.filter((recovery) => recovery.kind === kind).map(({ ms }) => ms);
    return [`  ${kind}`, `${times}${own.length > 0 ? `; ${own.length} recoveries, ${text(percentiles(own))}` : ''}`];
  };
  const killed = killedMs(recoveries);
  const rows = [
    ['seed', seed],
    ['minutes', ((now() - startedAt) / 60_000).toFixed(1)],
    ['streams whole', String(traffic.whole)],
    ['  of them parked, then answered', String(traffic.parked)],
    ['streams cut', `${traffic.cut}; ${traffic.again} started again`],
    ['  ended early where no reset exists', String(traffic.endedEarly)],
    ['streams whose client vanished', String(traffic.vanished)],
    ['streams refused (nobody listened)', String(traffic.refused)],
    ['bytes compared', megabytes(traffic.bytes)],
    ['actions', String(Object.values(done).reduce((sum, times) => sum + times, 0))],
    ...Object.entries(done).map(ofKind),
    ['recoveries of a tunnel', `${recoveries.length}, ${text(percentiles(recoveries.map(({ ms }) => ms)))}`],
    ['  after a killed session', `${killed.length}, ${text(percentiles(killed))}`],
    ['  without silence and announced waits', text(excess)],
    ['starts of a tunnel', `${starts.length}, ${text(percentiles(starts))}`],
    ['heap in quiet moments', heaps.map(megabytes).join(', ')],
    ['wanting each processor', `${busy.toFixed(1)} processes; our event loop was late by ${lagMs.toFixed()} ms (p99)`],
    ['wrong bytes', found('wrong bytes')],
    ['truncated, looked whole', found('truncated, looked whole')],
    ['wrong states', found('wrong state')],
    ['leaks', found('leak')],
    [
      'other flaws',
      String(
        flaws.filter(({ kind }) => !['wrong bytes', 'truncated, looked whole', 'wrong state', 'leak'].includes(kind))
          .length,
      ),
    ],
  ] as const;
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log(`\n${rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')}`);
  const worst = recoveries.toSorted((a, b) => excessOf(b) - excessOf(a)).slice(0, 3);
  for (const recovery of worst) {
    const { kind, tunnel, ms, unnoticedMs, announcedMs } = recovery;
    const parts = `${Math.round(unnoticedMs)} ms unnoticed, ${Math.round(announcedMs)} ms announced`;
    console.log(`slow: ${tunnel} after “${kind}”: ${Math.round(ms)} ms, of them ${parts}`);
  }
  for (const { kind, text: what } of flaws.slice(0, mostTold)) console.log(`${kind}: ${what}`);
  console.log(flaws.length === 0 ? 'The soak has found nothing wrong.' : `The soak has found ${flaws.length} flaws.`);
}

/** Ends what this run has started, without patience. */
function endAll(): void {
  killAll(descendants(process.pid));
  rmSync(home, { recursive: true, force: true });
}
