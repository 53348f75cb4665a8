// The raw values of a run, as `--json` keeps them, and what follows from them.
import type { MachineKind } from './machine.js';
import type { references } from './peers.js';
import { type PeerName } from './peers.js';
import { rowOf, type RowId } from './rows.js';

export interface Results {
  /** Of the end, `2026-01-31`. */
  date: string;
  machine: MachineKind;
  size: 'quick' | 'full';
  rounds: number;
  /** What has the round trip; nothing where none was measured. */
  line?: string;
  peers: readonly PeerName[];
  ciphers: Partial<Record<PeerName, string>>;
  /** By round; null where it could not be measured. */
  values: Partial<Record<RowId, Partial<Record<PeerName, (number | null)[]>>>>;
  measured: number;
  /** Of them, how many stood beside other work. */
  disturbed: number;
  /** Bytes that were wrong, lost or too many. */
  flaws: string[];
  /** What could not be measured, and why. */
  gaps: string[];
  curves: Curve[];
}

/** Throughput against something, for a plot. */
export interface Curve {
  of: 'round trip' | 'streams';
  direction: 'from' | 'to';
  peer: PeerName;
  /** MiB a second, by round. */
  points: { x: number; ys: (number | null)[] }[];
}

export interface Spread {
  median: number;
  least: number;
  most: number;
}

export function spreadOf(values: readonly (number | null)[]): Spread | undefined {
  const known = values
    .filter((value) => value !== null && Number.isFinite(value))
    .toSorted((a, b) => a! - b!) as number[];
  if (known.length === 0) return undefined;
  const half = (known.length - 1) / 2;
  return {
    median: (known[Math.floor(half)]! + known[Math.ceil(half)]!) / 2,
    least: known[0]!,
    most: known.at(-1)!,
  };
}

export type Reference = (typeof references)[number];

/** Ours to the reference, each within its round; above 1 ours is better. */
export function ratioOf(results: Results, id: RowId, reference: Reference, of: PeerName = 'ours'): Spread | undefined {
  const { [of]: ours = [], [reference]: others = [] } = results.values[id] ?? {};
  const { better } = rowOf(id);
  return spreadOf(
    ours.map((value, round) => {
      const other = others[round];
      if (value === null || other === null || other === undefined) return null;
      return better === 'more' ? value / other : other / value;
    }),
  );
}

/** Whether ours misses the row's goal against a reference; of a bound, whether its own number does. */
export function misses(results: Results, id: RowId, reference?: Reference): boolean {
  const { goal } = rowOf(id);
  if (!goal) return false;
  if (goal.kind === 'most') {
    const own = reference ? undefined : spreadOf(results.values[id]?.ours ?? []);
    return own !== undefined && own.median > goal.value;
  }
  const ratio = reference && ratioOf(results, id, reference);
  return ratio !== undefined && ratio.median < goal.least;
}
