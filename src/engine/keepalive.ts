// Whether a server is still there: it is asked while it is silent, and taken for dead when it stays so.

export interface KeepaliveOptions {
  /** ServerAliveInterval; 0: it is asked only by `ask` and `probe`. */
  intervalSeconds: number;
  /** ServerAliveCountMax; 0 counts as 1. Silence of so many intervals is the end. */
  count: number;
  /** Whether a question has to wait behind what the connection can't get rid of: one that waits is enough. */
  isFull(): boolean;
  /** How its bytes leave; absent where that says nothing of the server. */
  outgoing?(): Outgoing;
  /** Sends a question; `answered` is called at most once, in the order of the questions. */
  send(answered: () => void): void;
  /** It is being asked, or would be if there were room. */
  onAsk?(): void;
  /** Called once: it is dead. All timers are gone. */
  onDead(): void;
}

/** Bytes on their way to the server, since the connection began. */
export interface Outgoing {
  /** All that it was given. */
  given: number;
  /** Those that the system has taken; it may lag behind. */
  taken: number;
  /** Those that the system has been asked to take, and has no room for. */
  refused: number;
}

export interface Keepalive {
  /** The server can be asked from now on. */
  start(): void;
  /** Any byte has come from the server. */
  heard(): void;
  /** When the server was heard last, in ms of performance.now(). */
  readonly heardAt: number;
  /** When it was asked last, by the same clock. */
  readonly askedAt: number;
  /** Between the last question that was answered and its answer. */
  readonly roundTripMs: number | undefined;
  ask(): void;
  /** Asks now; it is dead when it says nothing at all for so long, and no byte leaves. The strictest of several counts. */
  probe(withinSeconds: number): void;
  end(): void;
}

/** How much later than due a timer may be, in ms, before its thread counts as stalled, or its machine as suspended. */
const lateMs = 300;

/** The last question is given so much longer, in ms: where interval and count are 1, it would otherwise have half a second. */
const graceMs = 250;

/** How often it is looked whether bytes leave while the server is silent, in ms. */
const lookMs = 200;

/** More than the systems on the way keep, in bytes: where so much has left behind a question, the question has, too. */
const mostKept = 8 * 1024 * 1024;

/** Questions without an answer, or as many as the count: more are of no use, and some servers answer none. */
const fewOpen = 4;

/**
 * Watches a server from its start on. Its questions, `count` of them, lie evenly within the time that it may be silent, so that
 * each can be answered before that is over. The clock is performance.now(): one that is set does no harm.
 *
 * On a full line the answer waits behind all that was written before, which may take long. So what leaves it counts as well:
 * where the system had no room for bytes and has some now, the other side has confirmed others. On a dead path it never does.
 */
export function createKeepalive(options: KeepaliveOptions): Keepalive {
  const count = Math.max(options.count, 1);
  const stepMs = (options.intervalSeconds * 1000 * count) / (count + 1);
  let heardAt = performance.now();
  let askedAt = heardAt;
  let roundTripMs: number | undefined;
  let isOn = false;
  /** When those were asked that have no answer yet. */
  const open: number[] = [];
  /** When bytes were last seen to have left a full line. */
  let movedAt = -Infinity;
  let looking: { since: number; timer: NodeJS.Timeout } | undefined;
  let stopWatching = () => {};
  let probing: { since: number; due: number; stop(): void } | undefined;

  const stopLooking = () => {
    clearInterval(looking?.timer);
    looking = undefined;
  };
  /** Looks until the server is heard. */
  const look = () => {
    const { outgoing } = options;
    if (!outgoing || (looking && heardAt <= looking.since)) return;
    stopLooking();
    let last = outgoing();
    const most = last.given + mostKept;
    const timer = setInterval(() => {
      if (heardAt > since) return stopLooking();
      const now = outgoing();
      const hasMoved = last.refused > 0 && (now.taken > last.taken || now.refused < last.refused);
      if (hasMoved && now.taken < most) movedAt = performance.now();
      last = now;
    }, lookMs);
    const since = performance.now();
    looking = { since, timer };
  };

  const end = () => {
    isOn = false;
    stopLooking();
    stopWatching();
    probing?.stop();
  };
  const die = () => {
    end();
    options.onDead();
  };
  const ask = () => {
    if (!isOn) return;
    askedAt = performance.now();
    options.onAsk?.();
    if (open.length < (options.isFull() ? 1 : Math.max(count, fewOpen))) {
      open.push(askedAt);
      options.send(() => (roundTripMs = performance.now() - open.shift()!));
    }
    look();
  };

  /** Watches a silence that began at `since`, in which `asked` questions were put, as though they came from `start` on. */
  const watch = (since: number, asked = 0, start = since) => {
    const isLast = asked === count;
    const due = start + (asked + 1) * stepMs + (isLast ? graceMs : 0);
    stopWatching = at(due, (late) => {
      if (heardAt !== since) watch(heardAt);
      else if (!isLast) {
        ask();
        if (isOn) watch(since, asked + 1, start + late);
      } else if (late > 0) {
        // While this thread stood still nobody may have been asked, or been able to answer.
        ask();
        if (isOn) watch(since, asked, performance.now() - count * stepMs);
      } else if (movedAt > start) watch(since, asked, movedAt);
      else die();
    });
  };
  const expect = (since: number, ms: number, from = performance.now()) => {
    const due = from + ms;
    const stop = at(due, (late) => {
      probing = undefined;
      if (heardAt > since) return;
      if (late > 0) {
        ask();
        if (isOn) expect(since, ms);
      } else if (movedAt > from) expect(since, ms, movedAt);
      else die();
    });
    probing = { since, due, stop };
  };

  return {
    start() {
      isOn = true;
      heardAt = performance.now();
      if (options.intervalSeconds > 0) watch(heardAt);
    },
    heard: () => (heardAt = performance.now()),
    get heardAt() {
      return heardAt;
    },
    get askedAt() {
      return askedAt;
    },
    get roundTripMs() {
      return roundTripMs;
    },
    ask,
    probe(withinSeconds) {
      if (!isOn) return;
      const now = performance.now();
      const unanswered = probing && heardAt <= probing.since ? probing : undefined;
      ask();
      if (!isOn || (unanswered && unanswered.due <= now + withinSeconds * 1000)) return;
      probing?.stop();
      expect(unanswered?.since ?? now, withinSeconds * 1000);
    },
    end,
  };
}

/**
 * Calls `act` at a time of performance.now(), when all that had come by then has been read. `late` is by how many ms it
 * came too late, 0 when that is little. Returns what undoes it.
 */
function at(due: number, act: (late: number) => void): () => void {
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    const late = performance.now() - due;
    // Timers come before the network in a turn of the event loop, immediates behind it.
    turn = setImmediate(() => act(late > lateMs ? late : 0));
  }, due - performance.now());
  return () => {
    clearTimeout(timer);
    clearImmediate(turn);
  };
}
