import { parseDestination } from '../core/destination.js';
import type { Failure } from '../core/failure.js';
import { parseAnswer } from '../core/forwardSpec.js';
import type { NewTunnel } from '../core/session.js';

/** Reads what a keybinding, a task or another extension gives instead of the two steps of Forward Port. */
export function readForward(given: {
  host: string;
  forward: string;
}): { ok: true; tunnel: NewTunnel } | { ok: false; failure: Failure } {
  const host = parseDestination(given.host);
  if (!host.ok) return host;
  const forward = parseAnswer(given.forward, process.env);
  return forward.ok ? { ok: true, tunnel: { destination: host.destination, spec: forward.spec } } : forward;
}
