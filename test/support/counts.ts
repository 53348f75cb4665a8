/** What a level of tests leaves in the file that the variable names; without that file it didn't come to its end. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const countsVariable = 'SSH_TUNNELS_TEST_COUNTS';
