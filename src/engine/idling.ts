// When a connection on demand has had no client for a while.

/** Longer ones run off at once. */
export const longestTimerMs = 2 ** 31 - 1;

export interface Idling {
  /** One has come, or gone. */
  count(change: 1 | -1): void;
  /** The connection is new, and has had none. */
  begin(): void;
  watch(isWatched: boolean): void;
}

/** Calls `hangUp` when there has been no client for so many ms, while it is watched. */
export function createIdling(longestMs: () => number, hangUp: () => void): Idling {
  let clients = 0;
  /** When the last one left, in ms of performance.now(). */
  let since = 0;
  let timer: NodeJS.Timeout | undefined;
  const arm = () => {
    const left = clients > 0 ? longestMs() : since + longestMs() - performance.now();
    timer = setTimeout(check, Math.min(Math.max(left, 0), longestTimerMs));
  };
  const check = () => {
    if (clients === 0 && performance.now() - since >= longestMs()) hangUp();
    else arm();
  };
  return {
    count(change) {
      clients += change;
      since = performance.now();
    },
    begin() {
      since = performance.now();
    },
    watch(isWatched) {
      clearTimeout(timer);
      if (isWatched) arm();
    },
  };
}
