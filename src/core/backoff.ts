/** Milliseconds until the next try: 0.5 s doubled each time up to 30 s, of which a random half is taken off. `random` is in [0, 1). */
export function backoff(attempt: number, random: number): number {
  const full = Math.min(500 * 2 ** (attempt - 1), 30_000);
  return Math.round(full / 2 + (full / 2) * random);
}
