// Jump hosts are shared: several connections go through one session, which the first of them opens and the last closes.

import { FailureError } from '../core/failure.js';

/** What can be shared: `onEnd` calls its listener once, when it is gone by itself, and also when it is gone already. */
export interface Sharable {
  onEnd(listener: () => void): void;
  /** Begins when `first` is done. */
  close(first: Promise<void>): Promise<void>;
}

export interface Joined<T> {
  shared: T;
  /** It was there, or another one has opened it. */
  wasOpen: boolean;
  /** Gives it back at once: nobody joins what the last one has left. That one closes it when `first` is done. */
  leave(first?: Promise<void>): Promise<void>;
}

export interface Opening<T> {
  /** Calls off the waiting, and the opening of the one that opens. */
  abort: AbortSignal;
  /** Settles soon when `abort` is. */
  open(): Promise<T>;
  /** Whether `open` failed for a reason that is the opener's alone: others that wait try for themselves. */
  isOwn(error: unknown): boolean;
}

export interface Hops<T extends Sharable> {
  /**
   * Joins what is open under this key, waits for one that opens it now, or opens it. Throws what `open` threw, the one who
   * waited too, unless it was the opener's alone; a FailureError of kind cancelled when it is called off.
   */
  join(key: string, opening: Opening<T>): Promise<Joined<T>>;
}

interface Entry<T> {
  outcome: Promise<{ kind: 'open'; shared: T } | { kind: 'failed'; error: unknown; isOwn: boolean }>;
  /** Once it is open. */
  shared?: T;
  users: Set<object>;
}

export function createHops<T extends Sharable>(): Hops<T> {
  const entries = new Map<string, Entry<T>>();
  const forget = (key: string, entry: Entry<T>) => {
    if (entries.get(key) === entry) entries.delete(key);
  };

  const start = (key: string, { abort, open, isOwn }: Opening<T>): Entry<T> => {
    const entry: Entry<T> = {
      users: new Set(),
      outcome: open().then(
        (shared) => {
          entry.shared = shared;
          shared.onEnd(() => forget(key, entry));
          return { kind: 'open', shared };
        },
        (error: unknown) => {
          // At once: the first of those that go on opens it anew, and the others find that one.
          forget(key, entry);
          return { kind: 'failed', error, isOwn: abort.aborted || isOwn(error) };
        },
      ),
    };
    entries.set(key, entry);
    return entry;
  };

  return {
    async join(key, opening) {
      const { abort } = opening;
      for (;;) {
        if (abort.aborted) throw new FailureError({ kind: 'cancelled' });
        const found = entries.get(key);
        const entry = found ?? start(key, opening);
        const user = {};
        entry.users.add(user);
        const outcome = await (found ? orAborted(entry.outcome, abort) : entry.outcome);
        const leave = async (first = Promise.resolve()) => {
          if (!entry.users.delete(user) || entry.users.size > 0) return;
          forget(key, entry);
          await entry.shared?.close(first);
        };
        if (outcome?.kind === 'open' && !abort.aborted)
          return { shared: outcome.shared, wasOpen: found !== undefined, leave };
        await leave();
        if (outcome?.kind === 'failed' && !(found && outcome.isOwn)) throw outcome.error;
      }
    },
  };
}

/** Undefined when it is aborted first. */
async function orAborted<T>(work: Promise<T>, abort: AbortSignal): Promise<T | undefined> {
  let give = () => {};
  const aborted = new Promise<undefined>((resolve) => (give = () => resolve(undefined)));
  abort.addEventListener('abort', give);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    abort.removeEventListener('abort', give);
  }
}
