import { setTimeout as sleep } from 'node:timers/promises';

/** Repeats `check` until it doesn't throw, and gives what it returned; after `timeoutMs` throws what it threw last. */
export async function eventually<T>(check: () => T | Promise<T>, timeoutMs = 15_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() >= deadline) throw error;
      await sleep(50);
    }
  }
}
