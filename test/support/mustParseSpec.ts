import { FailureError } from '../../src/core/failure.js';
import { parseSpec, type ForwardSpec } from '../../src/core/forwardSpec.js';

/** The spec of a text that is known to be good; throws a FailureError otherwise. */
export function mustParseSpec(text: string): ForwardSpec {
  const result = parseSpec(text);
  if (!result.ok) throw new FailureError(result.failure);
  return result.spec;
}
