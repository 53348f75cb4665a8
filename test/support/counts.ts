/** What a level of tests leaves in the file that the variable names; without that file it didn't come to its end. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Each test that failed, whole name first and error below, said again at the end of a run: it is far up in the output. */
  readonly failures: readonly string[];
}

/** Longer differences stand where the test ran. */
const mostLines = 25;

export function errorText(error: Error & { expected?: unknown; actual?: unknown }): string {
  const difference =
    'expected' in error && 'actual' in error
      ? `\nexpected: ${JSON.stringify(error.expected)}\nactual:   ${JSON.stringify(error.actual)}`
      : '';
  return `${error.stack ?? error.message}${difference}`;
}

export function failureText(title: string, error: string): string {
  const lines = error.trimEnd().split('\n');
  const shown = lines.length > mostLines ? [...lines.slice(0, mostLines), '…'] : lines;
  return [title, ...shown.map((line) => `    ${line}`)].join('\n');
}

export const countsVariable = 'SSH_TUNNELS_TEST_COUNTS';
