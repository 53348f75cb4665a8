// Chance that can be had again: the same seed draws the same.
import { createHash } from 'node:crypto';

export interface Random {
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number;
  /** The same, where each order of magnitude is as likely as the others; from 1. */
  sized(least: number, most: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** One of its own: what it draws depends on the name and not on what others draw. */
  fork(name: string): Random;
}

export function seededRandom(seed: string): Random {
  // mulberry32 (public domain, T. Ettinger)
  let state = createHash('sha256').update(seed).digest().readUInt32LE();
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    between,
    sized: (least, most) => Math.min(most, Math.floor(least * (most / least + 1) ** next())),
    chance: (probability) => next() < probability,
    pick: (list) => list[between(0, list.length - 1)]!,
    fork: (name) => seededRandom(`${seed}/${name}`),
  };
}
