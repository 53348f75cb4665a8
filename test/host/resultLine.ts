import { appendFileSync } from 'node:fs';

/** One line of the file in which the tests of the extension host report to the launcher outside. */
export type ResultLine =
  | { readonly kind: 'begin'; readonly title: string }
  | { readonly kind: 'pass'; readonly title: string; readonly ms: number }
  | { readonly kind: 'skip'; readonly title: string }
  | { readonly kind: 'fail'; readonly title: string; readonly error: string }
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'end' };

export const resultsVariable = 'SSH_TUNNELS_TEST_RESULTS';

/** At once and not at the end, so that the launcher can say which test an extension host hung or died in. */
export function write(line: ResultLine): void {
  const file = process.env[resultsVariable];
  if (file) appendFileSync(file, `${JSON.stringify(line)}\n`);
}

/** Has the launcher print a figure: what an extension host prints itself is seen by nobody. */
export function say(text: string): void {
  write({ kind: 'say', text });
}
