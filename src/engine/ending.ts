// An end that comes once, and may come before anybody has asked to hear of it.

export interface Ending<T> {
  /** Calls the listener once with the end; a little later when it has come already. Returns what undoes it. */
  onEnd(listener: (end: T) => void): () => void;
  /** Only the first counts. */
  end(found: T): void;
}

export function createEnding<T>(): Ending<T> {
  const listeners = new Set<(end: T) => void>();
  let ended: { found: T } | undefined;
  return {
    onEnd(listener) {
      if (!ended) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      }
      const { found } = ended;
      let isWanted = true;
      queueMicrotask(() => {
        if (isWanted) listener(found);
      });
      return () => (isWanted = false);
    },
    end(found) {
      if (ended) return;
      ended = { found };
      for (const listener of listeners) listener(found);
      listeners.clear();
    },
  };
}
