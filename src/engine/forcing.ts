// Dials at once where the machine or its network has changed, and not in a tight loop.

/** Milliseconds from one forced dial to the next at least, and at most. */
const shortestForceMs = 1_000;
const longestForceMs = 30_000;

export interface Forcing {
  /** Something has changed: dials now, or as soon as that may be. */
  force(): void;
  /** A dial has come to an end of its own. */
  relax(): void;
  stop(): void;
}

/**
 * Forces dials, but not one after the other where changes come again and again: the time between two grows as long as the
 * first is called off by the second. `dial` is told when the last change was, in ms of performance.now().
 */
export function createForcing(dial: (changedAt: number) => { calledOff: boolean }): Forcing {
  let changedAt = 0;
  let last = -Infinity;
  let gap = shortestForceMs;
  let timer: NodeJS.Timeout | undefined;
  const attempt = () => {
    clearTimeout(timer);
    const left = last + gap - performance.now();
    if (left > 0) {
      timer = setTimeout(attempt, left);
      return;
    }
    last = performance.now();
    if (dial(changedAt).calledOff) gap = Math.min(gap * 2, longestForceMs);
  };
  return {
    force() {
      changedAt = performance.now();
      attempt();
    },
    relax() {
      gap = shortestForceMs;
    },
    stop: () => clearTimeout(timer),
  };
}
