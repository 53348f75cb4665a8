// Who may show an input: what the user called for at once, the engine's questions when nothing else of ours is open.

export interface Turns {
  /** Shows what the user has just called for. */
  take<T>(show: () => PromiseLike<T>): Promise<T>;
  /** Shows a question after those before it, and not while something that was called for is open: what is typed there must not go astray. */
  wait<T>(show: () => PromiseLike<T>): Promise<T>;
}

export function createTurns(): Turns {
  const open = new Set<Promise<unknown>>();
  let last: Promise<unknown> = Promise.resolve();
  return {
    take(show) {
      const shown = Promise.resolve(show());
      open.add(shown);
      return shown.finally(() => open.delete(shown));
    },
    wait(show) {
      const turn = last.then(async () => {
        while (open.size > 0) await Promise.allSettled(open);
        return show();
      });
      last = turn.catch(() => {});
      return turn;
    },
  };
}
