/** The longest wait, in milliseconds; a connection that holds as long counts as one that works. */
export const longestMs = 30_000;

/**
 * Milliseconds until the next try: 0.5 s doubled each time up to `longest`, of which a random half is taken off. `random` is
 * in [0, 1).
 */
export function backoff(attempt: number, random: number, longest = longestMs): number {
  const full = Math.min(500 * 2 ** (attempt - 1), longest);
  return Math.round(full / 2 + (full / 2) * random);
}

/**
 * Where to go on counting when a connection is lost that came up at `attempt` and held for `upMs` milliseconds: a server
 * that lets in and hangs up at once is not to be called again and again without a wait.
 */
export function attemptAfter(attempt: number, upMs: number): number {
  return upMs < longestMs ? attempt : 1;
}
