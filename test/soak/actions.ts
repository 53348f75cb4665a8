// What is done to the tunnels: faults of servers and networks, and what people do; each drawn first, and then done.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  removeTunnels,
  restartConnection,
  restartTunnels,
  retryConnection,
  stopTunnels,
  wantTunnels,
} from '../../src/core/session.js';
import { connectionOf, type Waits } from '../../src/core/plan.js';
import { killAll } from '../support/sshd.js';
import type { Random } from './random.js';
import { knock, knockUntilAnswered, now, stateText, type Run } from './run.js';
import { hosts, silenceMs, type Host, type Node, type Slot } from './world.js';

/** Of one tunnel after one fault that cut its connection, in milliseconds. */
export interface Recovery {
  kind: ActionKind;
  /** The tunnel's name. */
  tunnel: string;
  /** From the moment that the server could be reached again, or the listener be had, to the first byte. */
  ms: number;
  /** How much of it nobody could know of the fault: a deaf server tells nothing. */
  unnoticedMs: number;
  /** How much of it was a wait for the next try, as the row shows it. */
  announcedMs: number;
}

export interface Actions {
  readonly done: Readonly<Partial<Record<ActionKind, number>>>;
  /** After faults. */
  readonly recoveries: readonly Recovery[];
  /** Until a tunnel that was started carries bytes, in milliseconds. */
  readonly starts: readonly number[];
  /** What is being done, for who wants to know why nothing happens. */
  readonly underWay: ReadonlySet<string>;
  /** Begins the next of the sequence, or has it wait until its host has recovered from the one before. */
  next(): Promise<void>;
  /** Resolves when all is done, and what was broken works again. */
  idle(): Promise<void>;
}

export interface Levers {
  /** Tells the engine what the machine has noticed. */
  machine(change: 'woke' | 'network'): void;
  /** Puts Date.now forward, or back. */
  jumpClock(ms: number): void;
  setWaits(waits: Waits): void;
  tell(text: string): void;
}

/** The weight of each. */
const weights = {
  'session killed': 5,
  'session stopped': 2,
  'sshd restarted': 2,
  'listener restarted': 1,
  'line frozen': 2,
  'line deaf': 2,
  'line reset': 3,
  'line ended': 2,
  'port refused': 2,
  'line slow': 1,
  flapping: 1,
  'tunnel stopped': 2,
  'tunnel restarted': 2,
  'tunnel drained': 1,
  'tunnel removed': 1,
  'connection restarted': 1,
  retry: 2,
  'plan changed': 1,
  woke: 1,
  'network changed': 1,
  'clock jumped': 1,
  'client disconnected': 2,
} as const;
export type ActionKind = keyof typeof weights;

interface Drawn {
  kind: ActionKind;
  node: Node;
  slot: Slot;
  host: Host;
  random: Random;
}

/** Longer than any wait that is announced. */
const recoveryLimitMs = 60_000;
/** Actions that are under way or wait for their host's turn. */
const mostWaiting = 5;
const drainLimitMs = 12_000;
/** A machine with much to do takes its time until an event is told. */
const tellMs = 3_000;

export function createActions(run: Run, seed: Random, levers: Levers): Actions {
  const { world, session, disturbances } = run;
  const done: Partial<Record<ActionKind, number>> = {};
  const recoveries: Recovery[] = [];
  const starts: number[] = [];
  const underWay = new Set<string>();
  const working = new Set<Promise<void>>();
  const waiting = new Set<Promise<void>>();
  /** One at a time for each host: what is measured is then due to one. */
  const turns = new Map<Host, Promise<void>>();
  /** Not while something with a deadline by the clock is awaited. */
  let clock: Promise<void> = Promise.resolve();
  let number = 0;

  const count = (kind: ActionKind) => (done[kind] = (done[kind] ?? 0) + 1);
  const draw = (): Drawn => {
    const random = seed.fork(`action ${++number}`);
    const kinds = Object.entries(weights).flatMap(([kind, weight]) =>
      Array<ActionKind>(weight).fill(kind as ActionKind),
    );
    const kind = random.pick(kinds);
    const node = random.pick(world.nodes);
    const slot = random.pick(world.slots);
    return { kind, node, slot, host: random.pick(hosts), random };
  };

  const slotsOf = (host: Host) => world.slots.filter((slot) => slot.host === host && run.isWanted(slot));
  const lossesSince = (host: Host, at: number) => run.losses(host).filter((loss) => loss.at >= at);

  /** Waits for the first byte after a start. */
  const awaitStart = async (slot: Slot) => {
    const since = now();
    const at = await knockUntilAnswered(run, slot, recoveryLimitMs);
    if (at === undefined) run.flaw('not recovered', `${slot.name} was started; it is ${stateText(run.state(slot))}`);
    else starts.push(at - since);
  };

  /**
   * Breaks something (`fault` resolves when the server can be reached again), and waits until every tunnel of the host
   * carries bytes. What is not lost needs no recovery.
   */
  const breakHost = async ({ kind, node: { host }, random }: Drawn, isSilent: boolean, fault: () => Promise<void>) => {
    const slots = slotsOf(host);
    const last = world.nodes.find(({ name }) => name === host)!;
    // One that is connected on demand shall have something to lose.
    await Promise.all(slots.filter(({ tunnel }) => tunnel.onDemand).map((slot) => knock(run, slot, 3000).answer));
    const end = disturbances.begin(host);
    let holders: Gone | undefined;
    let impatience: NodeJS.Timeout | undefined;
    try {
      // A remote listener can be had when the session that had it is gone.
      holders = watchGone(last.sshd.sessions());
      const brokenAt = now();
      await fault();
      const since = now();
      // Most have somebody before them who sees the countdown.
      if (random.chance(0.8)) impatience = setInterval(() => clickRetry(host), 1500);
      await Promise.all(
        slots.map(async (slot) => {
          const isRemote = slot.near === 'service';
          const at = await knockUntilAnswered(run, slot, recoveryLimitMs);
          const freeAt = holders?.at ?? Infinity;
          const losses = lossesSince(host, brokenAt);
          if (at === undefined)
            return run.flaw('not recovered', `${slot.name} after “${kind}”; it is ${stateText(run.state(slot))}`);
          if (losses.length === 0) return;
          const from = isRemote && freeAt < at ? Math.max(since, freeAt) : since;
          const heardAt = isSilent ? (losses.findLast((loss) => loss.at <= at)?.at ?? from) : from;
          const unnoticedMs = Math.max(0, heardAt - from);
          recoveries.push({
            kind,
            tunnel: slot.name,
            ms: at - from,
            unnoticedMs,
            announcedMs: run.announced(slot, Math.max(from, heardAt), at),
          });
          const toldBy = now() + tellMs;
          while (run.state(slot)?.kind !== 'ready' && now() < toldBy && run.isWanted(slot)) await sleep(20);
          if (run.state(slot)?.kind !== 'ready' && lossesSince(host, at).length === 0)
            run.flaw('wrong state', `${slot.name} carries bytes after “${kind}” and is ${stateText(run.state(slot))}`);
        }),
      );
      const [first] = lossesSince(host, brokenAt);
      if (isSilent && first && first.at - brokenAt > silenceMs)
        run.flaw('noticed late', `${host} after “${kind}”: ${Math.round(first.at - brokenAt)} ms`);
    } finally {
      holders?.stop();
      clearInterval(impatience);
      end();
    }
  };

  const clickRetry = (host: Host) => {
    if (run.waitLeft(host) < 1500) return;
    count('retry');
    session.update((wanted) => retryConnection(wanted, host));
  };
  const killNow = ({ sshd }: Node) => killAll(sshd.sessions());

  const faults: Partial<Record<ActionKind, (drawn: Drawn) => Promise<void>>> = {
    'session killed': (drawn) =>
      breakHost(drawn, false, () => {
        killNow(drawn.node);
        return Promise.resolve();
      }),
    'session stopped': (drawn) =>
      breakHost(drawn, true, async () => {
        const pids = drawn.node.sshd.sessions();
        signalAll(pids, 'SIGSTOP');
        await sleep(drawn.random.between(300, 6000));
        signalAll(pids, 'SIGCONT');
      }),
    'sshd restarted': (drawn) =>
      breakHost(drawn, false, async () => {
        const { sshd } = drawn.node;
        killNow(drawn.node);
        await sshd.stopListening();
        await sleep(drawn.random.between(0, 3000));
        await (clock = clock.then(() => sshd.start()));
      }),
    'listener restarted': (drawn) =>
      breakHost(drawn, false, async () => {
        const { sshd } = drawn.node;
        // Those that live on would be nobody's: their server is another process now.
        killNow(drawn.node);
        await sshd.stopListening();
        await (clock = clock.then(() => sshd.start()));
      }),
    'line frozen': (drawn) =>
      breakHost(drawn, true, async () => {
        const { node, random } = drawn;
        const way = random.pick(['up', 'down', undefined] as const);
        node.proxy.freeze(way);
        // Where our side alone is held, whatever the server still says is a sign of life, to ssh as well.
        await sleep(random.between(300, way === 'up' ? 3000 : 7000));
        node.proxy.thaw();
      }),
    'line deaf': (drawn) =>
      breakHost(drawn, true, async () => {
        const { node, random } = drawn;
        node.proxy.drop(random.pick(['down', undefined] as const));
        await sleep(random.between(100, 7000));
        // As a network does that is back: each side hears from the other that it doesn’t know the connection any more.
        node.proxy.resetAll();
        node.proxy.thaw();
      }),
    'line reset': (drawn) =>
      breakHost(drawn, false, () => {
        drawn.node.proxy.resetAll();
        return Promise.resolve();
      }),
    'line ended': (drawn) =>
      breakHost(drawn, false, () => {
        drawn.node.proxy.finAll();
        return Promise.resolve();
      }),
    'port refused': (drawn) =>
      breakHost(drawn, false, async () => {
        const { proxy } = drawn.node;
        await proxy.refuse();
        proxy.resetAll();
        await sleep(drawn.random.between(200, 5000));
        await proxy.accept();
      }),
    'line slow': (drawn) =>
      breakHost(drawn, false, async () => {
        const { proxy } = drawn.node;
        proxy.delay(drawn.random.between(5, 120));
        await sleep(drawn.random.between(500, 3000));
        proxy.delay(0);
      }),
    flapping: (drawn) =>
      breakHost(drawn, false, async () => {
        for (let times = drawn.random.between(3, 6); times > 0; times--) {
          if (drawn.random.chance(0.5)) killNow(drawn.node);
          else drawn.node.proxy.resetAll();
          await sleep(drawn.random.between(100, 1000));
        }
        drawn.node.proxy.resetAll();
      }),
  };

  const reach = async (slot: Slot) => {
    const answer = await knock(run, slot, 2000).answer;
    return answer === true ? 'somebody answered' : answer;
  };
  /** Stopped tunnels say so, and nobody listens. */
  const isDown = async (slot: Slot, state: string | undefined) => {
    const until = now() + tellMs;
    let found = '';
    do {
      await sleep(50);
      found = `${run.state(slot)?.kind}, ${await reach(slot)}`;
    } while (!new RegExp(`^${state}, E(CONNREFUSED|NOENT)$`).test(found) && now() < until);
    if (now() >= until) run.flaw('wrong state', `${slot.name} was to be ${state} and refuse clients: ${found}`);
  };
  /** Takes a tunnel away for a while. */
  const takeAway = async ({ slot, random }: Drawn, remove: () => void, state: string | undefined) => {
    const end = disturbances.begin(slot.id);
    try {
      remove();
      await isDown(slot, state);
      await sleep(random.between(0, 3000));
      session.update((wanted) => wantTunnels(wanted, [slot.tunnel], true));
      await awaitStart(slot);
    } finally {
      end();
    }
  };

  const ofTunnels: Partial<Record<ActionKind, (drawn: Drawn) => Promise<void>>> = {
    'tunnel stopped': (drawn) =>
      takeAway(drawn, () => session.update((wanted) => stopTunnels(wanted, [drawn.slot.id])), 'stopped'),
    'tunnel removed': (drawn) =>
      takeAway(drawn, () => session.update((wanted) => removeTunnels(wanted, [drawn.slot.id])), undefined),
    async 'tunnel restarted'({ slot }) {
      const end = disturbances.begin(slot.id);
      session.update((wanted) => restartTunnels(wanted, [slot.id], true));
      await awaitStart(slot);
      end();
    },
    async 'tunnel drained'({ slot }) {
      // Who has just come, and is not let in yet, may be reset with the listener.
      const endEdge = disturbances.begin(`edge ${slot.id}`);
      session.update((wanted) => stopTunnels(wanted, [slot.id], 'drain'));
      await isDown(slot, 'stopped');
      endEdge();
      const until = now() + drainLimitMs;
      const isDraining = () => session.state.wanted.tunnels.some(({ id, wish }) => id === slot.id && wish === 'drain');
      while (isDraining() && now() < until) await sleep(50);
      const end = disturbances.begin(slot.id);
      session.update((wanted) => stopTunnels(wanted, [slot.id]));
      session.update((wanted) => wantTunnels(wanted, [slot.tunnel], true));
      await awaitStart(slot);
      end();
    },
    async 'connection restarted'({ slot }) {
      const end = disturbances.begin(slot.host);
      // Its listeners are closed and opened, too.
      const ends = slotsOf(slot.host).map(({ id }) => disturbances.begin(id));
      session.update((wanted) => restartConnection(wanted, connectionOf(slot.tunnel)));
      await Promise.all(slotsOf(slot.host).map(awaitStart));
      for (const endOne of [end, ...ends]) endOne();
    },
  };

  const atOnce: Partial<Record<ActionKind, (drawn: Drawn) => Promise<void> | void>> = {
    retry: ({ host }) => session.update((wanted) => retryConnection(wanted, host)),
    'plan changed'({ random }) {
      levers.setWaits({ parkSeconds: random.between(5, 20), idleSeconds: random.between(1, 8) });
      session.update((wanted) => wanted);
    },
    woke: () => levers.machine('woke'),
    'network changed': () => levers.machine('network'),
    async 'clock jumped'({ random }) {
      await (clock = clock.then(() =>
        levers.jumpClock((random.chance(0.5) ? 1 : -1) * random.between(1, 7200) * 1000),
      ));
    },
    async 'client disconnected'({ slot, random }) {
      const clients = await run.engine.clients(slot.id);
      if (clients.length === 0) return;
      disturbances.begin(slot.id)();
      run.engine.disconnect(slot.id, random.pick(clients).id);
    },
  };

  const begin = (drawn: Drawn, where: string, work: (drawn: Drawn) => Promise<void> | void): Promise<void> => {
    const text = `${drawn.kind} (${where})`;
    underWay.add(text);
    count(drawn.kind);
    levers.tell(text);
    const working1 = Promise.resolve(work(drawn)).finally(() => {
      underWay.delete(text);
      levers.tell(`${text} is over`);
      working.delete(working1);
    });
    working.add(working1);
    return working1;
  };

  return {
    done,
    recoveries,
    starts,
    underWay,
    async next() {
      const drawn = draw();
      const { kind, node, slot, host } = drawn;
      const immediate = atOnce[kind];
      if (immediate) return void begin(drawn, kind === 'retry' ? host : slot.name, immediate);
      const ofTunnel = ofTunnels[kind];
      const at = ofTunnel ? slot.host : node.host;
      const work = ofTunnel ?? faults[kind]!;
      const turn = (turns.get(at) ?? Promise.resolve()).then(() =>
        begin(drawn, ofTunnel ? slot.name : node.name, work),
      );
      turns.set(at, turn);
      waiting.add(turn);
      void turn.finally(() => waiting.delete(turn));
      while (waiting.size > mostWaiting) await Promise.race(waiting);
    },
    async idle() {
      await Promise.all([...waiting, ...working]);
    },
  };
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
  }
}

interface Gone {
  /** When the last of them had ended, by the clock of `now`. */
  readonly at: number | undefined;
  stop(): void;
}

function watchGone(pids: readonly number[]): Gone {
  const lives = (pid: number) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };
  let at: number | undefined;
  const looking = setInterval(() => {
    if (pids.some(lives)) return;
    at = now();
    clearInterval(looking);
  }, 20);
  return {
    get at() {
      return at;
    },
    stop: () => clearInterval(looking),
  };
}
