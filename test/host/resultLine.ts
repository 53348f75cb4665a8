/** One line of the file in which the tests of the extension host report to the launcher outside. */
export type ResultLine =
  | { readonly kind: 'begin'; readonly title: string }
  | { readonly kind: 'pass'; readonly title: string; readonly ms: number }
  | { readonly kind: 'skip'; readonly title: string }
  | { readonly kind: 'fail'; readonly title: string; readonly error: string }
  | { readonly kind: 'end' };

export const resultsVariable = 'SSH_TUNNELS_TEST_RESULTS';
