// Keeps a log readable when something tells the same a thousand times: what repeats within a second is counted instead.
import type { EngineEvent, LogLevel } from './engine.js';
import type { LogLine } from './eventText.js';

/** A line of the log with its time in ms since 1970, and the event that it tells of. */
export interface Logged extends LogLine {
  at: number;
  event?: EngineEvent;
}

/** Within which a line that repeats is folded, in ms. */
export const foldingMs = 1000;
/** Of one level within `foldingMs`; the rest is counted. */
const mostLines = 200;

/** What was written since `since`, in ms since 1970, and what was not: how often each line came again. */
export interface Folding {
  since: number;
  repeats: ReadonlyMap<string, { line: Logged; count: number }>;
  written: Readonly<Partial<Record<LogLevel, number>>>;
  leftOut: Readonly<Partial<Record<LogLevel, number>>>;
}

export const nothingFolded: Folding = { since: 0, repeats: new Map(), written: {}, leftOut: {} };

/** Whether something was counted, which `unfold` tells when the second is over. */
export function isFolding({ repeats, leftOut }: Folding): boolean {
  return [...repeats.values()].some(({ count }) => count > 0) || Object.keys(leftOut).length > 0;
}

/** Takes a line in, and tells what to write now. */
export function fold(folding: Folding, line: Logged): { folding: Folding; write: readonly Logged[] } {
  const isOver = Math.abs(line.at - folding.since) >= foldingMs;
  const before = isOver ? unfold(folding, line.at) : [];
  const current = isOver ? { ...nothingFolded, since: line.at } : folding;
  const { level } = line;
  const key = `${level} ${line.text}`;
  const again = current.repeats.get(key);
  const written = current.written[level] ?? 0;
  if (again) {
    const repeats = new Map(current.repeats).set(key, { line, count: again.count + 1 });
    return { folding: { ...current, repeats }, write: before };
  }
  if (written >= mostLines) {
    const leftOut = { ...current.leftOut, [level]: (current.leftOut[level] ?? 0) + 1 };
    return { folding: { ...current, leftOut }, write: before };
  }
  const repeats = new Map(current.repeats).set(key, { line, count: 0 });
  return {
    folding: { ...current, repeats, written: { ...current.written, [level]: written + 1 } },
    write: [...before, line],
  };
}

/** What was counted, as lines of the time `at`. */
export function unfold({ repeats, leftOut }: Folding, at: number): readonly Logged[] {
  const again = [...repeats.values()]
    .filter(({ count }) => count > 0)
    .map(({ line, count }): Logged => ({ ...line, at, text: `${line.text} (${count} more within a second)` }));
  const rest = Object.entries(leftOut).map(([level, count]): Logged => ({
    at,
    level: level as LogLevel,
    text: `${count} more lines within a second are left out`,
  }));
  return [...again, ...rest];
}
