// An engine under test with everything it said, and a way to wait for what it will say.
import assert from 'node:assert/strict';
import { parseDestination } from '../../src/core/destination.js';
import type { Ask, Engine, EngineEvent, Reply } from '../../src/core/engine.js';
import type { PlannedConnection } from '../../src/core/plan.js';
import { mustParseSpec } from './mustParseSpec.js';

type EventOf<K extends EngineEvent['kind']> = Extract<EngineEvent, { kind: K }>;

export interface EngineProbe {
  engine: Engine;
  events: EngineEvent[];
  /** Kinds of the events without the log, in order. */
  kinds(): string[];
  /** The first event of the kind after those already waited for; fails after `ms`. */
  next<K extends EngineEvent['kind']>(kind: K, ms?: number): Promise<EventOf<K>>;
  /** Goes on behind the newest event. */
  skip(): void;
  close(): Promise<void>;
}

/** `answer` replies to asks; without it every ask fails the test that waits. */
export function probe(engine: Engine, answer?: (ask: Ask) => Reply | Promise<Reply>): EngineProbe {
  const events: EngineEvent[] = [];
  const waiters = new Set<() => void>();
  let seen = 0;
  engine.onEvent((event) => {
    events.push(event);
    if (event.kind === 'asked' && answer)
      void Promise.resolve(answer(event.ask)).then((reply) => engine.answer(event.ask.id, reply));
    for (const wake of [...waiters]) wake();
  });
  return {
    engine,
    events,
    kinds: () => events.filter(({ kind }) => kind !== 'logged').map(({ kind }) => kind),
    skip: () => (seen = events.length),
    async next(kind, ms = 10_000) {
      const until = Date.now() + ms;
      for (;;) {
        const at = events.findIndex((event, index) => index >= seen && event.kind === kind);
        if (at >= 0) {
          seen = at + 1;
          return events[at] as EventOf<typeof kind>;
        }
        const left = until - Date.now();
        if (left <= 0)
          assert.fail(
            `no ${kind} within ${ms} ms; after the last one came ${JSON.stringify(events.slice(seen), null, 1)}`,
          );
        await new Promise<void>((resolve) => {
          const timer = setTimeout(done, left);
          function done() {
            clearTimeout(timer);
            waiters.delete(done);
            resolve();
          }
          waiters.add(done);
        });
      }
    },
    close: () => engine.close(),
  };
}

/** A connection of a plan; forwards in ssh's spelling, their text is their id. */
export function planned(
  destination: string,
  forwards: readonly string[],
  more: Partial<PlannedConnection> & { configFile?: string; options?: readonly (readonly [string, string])[] } = {},
): PlannedConnection {
  const { configFile, options = [], ...rest } = more;
  const parsed = parseDestination(destination);
  assert.ok(parsed.ok);
  return {
    id: destination,
    host: { destination: parsed.destination, options, ...(configFile !== undefined && { configFile }) },
    forwards: forwards.map((text) => ({ id: text, spec: mustParseSpec(text), run: 0, wish: 'exact' })),
    run: 0,
    reconnect: true,
    ...rest,
  };
}

/** Sockets, servers and processes that this process holds open. */
export function heldResources(): string[] {
  const mine = ['TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'ProcessWrap', 'TCPConnectWrap', 'MessagePort'];
  return process
    .getActiveResourcesInfo()
    .filter((name) => mine.includes(name))
    .sort();
}

/** What is held now and was not before: nothing, when nothing leaks. A process of an earlier suite may have ended since. */
export function heldBeyond(before: readonly string[]): string[] {
  const rest = [...before];
  return heldResources().filter((name) => {
    const at = rest.indexOf(name);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}
