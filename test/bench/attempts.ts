// Measures beside as little other work as can be had, and keeps count of where it could not be had.
import { quietCores, untilQuiet, watchOtherWork } from './machine.js';
import type { Results } from './results.js';

/** How long a run waits for other work to end: before one measurement, and in all; and how often it tries one. */
const patienceOf: Record<Results['size'], { eachMs: number; allMs: number; tries: number }> = {
  quick: { eachMs: 3000, allMs: 15_000, tries: 1 },
  full: { eachMs: 6000, allMs: 240_000, tries: 2 },
};

/** The value of the try that other work disturbed least. Rejects as `measure` does. */
export type Attempt = <T>(measure: () => Promise<T>) => Promise<T>;

export function createAttempt(results: Results): Attempt {
  const { eachMs, allMs, tries } = patienceOf[results.size];
  let patienceMs = allMs;
  return async (measure) => {
    let best: { value: Awaited<ReturnType<typeof measure>>; cores: number } | undefined;
    // Where it never becomes quiet, trying again only costs time.
    for (let i = 0; i < (patienceMs > 0 ? tries : 1); i++) {
      patienceMs -= await untilQuiet(Math.min(eachMs, patienceMs));
      const otherWork = watchOtherWork();
      const value = await measure();
      const cores = otherWork();
      if (!best || cores < best.cores) best = { value, cores };
      if (cores < quietCores) break;
    }
    results.measured += 1;
    if (best!.cores >= quietCores) results.disturbed += 1;
    return best!.value;
  };
}
