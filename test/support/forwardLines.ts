import { printConfigForward, type ForwardSpec } from '../../src/core/forwardSpec.js';

/** The forwards in the lines that `ssh -G` prints for them, in its order. */
export function printForwardLines(specs: readonly ForwardSpec[]): string {
  const kinds = ['dynamic', 'local', 'remote'];
  const ordered = specs.toSorted((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
  return ordered.map((spec) => `${printConfigForward(spec)}\n`).join('');
}
