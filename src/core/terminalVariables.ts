// The environment of new terminals while presets are ready that ask for it.
import type { BoundAddress } from './engine.js';
import { presetTunnels, type Preset } from './preset.js';
import { tunnelId, type SessionState } from './session.js';
import { tunnelState } from './snapshot.js';
import { clientHost } from './wording.js';

export interface TerminalVariables {
  variables: Readonly<Record<string, string>>;
  /** Presets whose variables another preset has already. */
  hidden: readonly { preset: string; by: string }[];
}

/** `SSH_TUNNEL_BILLING_DB` for `Billing DB`. */
export function variablePrefix(name: string): string {
  return `SSH_TUNNEL_${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`;
}

/**
 * `…_PORT` for a preset's first TCP listener on this machine, `…_PORT_2` for the next, and `…_HOST` where it isn't reached at
 * 127.0.0.1. None of a preset that isn't ready altogether. The first of two presets with one name for theirs has it.
 */
export function terminalVariables(presets: readonly Preset[], session: SessionState): TerminalVariables {
  const variables: Record<string, string> = {};
  const owners = new Map<string, string>();
  const hidden: { preset: string; by: string }[] = [];
  for (const preset of presets) {
    const bound = preset.terminalVariables ? listenersOf(preset, session) : [];
    if (bound.length === 0) continue;
    const prefix = variablePrefix(preset.name);
    const by = owners.get(prefix);
    if (by !== undefined) {
      hidden.push({ preset: preset.name, by });
      continue;
    }
    owners.set(prefix, preset.name);
    bound.forEach(({ address, port }, index) => {
      const suffix = index === 0 ? '' : `_${index + 1}`;
      variables[`${prefix}_PORT${suffix}`] = String(port);
      const host = clientHost(address);
      if (host !== '127.0.0.1') variables[`${prefix}_HOST${suffix}`] = host;
    });
  }
  return { variables, hidden };
}

/** Where each tunnel of the preset listens on this machine, if all of them are ready. */
function listenersOf(preset: Preset, { wanted, snapshot }: SessionState): (BoundAddress & { kind: 'tcp' })[] {
  const states = presetTunnels(preset).map((tunnel) => {
    const known = wanted.tunnels.find(({ id }) => id === tunnelId(tunnel));
    return known && { spec: known.spec, state: tunnelState(known, snapshot) };
  });
  return states.flatMap((one) => {
    if (states.some((other) => other?.state.kind !== 'ready') || one?.state.kind !== 'ready') return [];
    const [first] = one.spec.kind === 'remote' ? [] : one.state.bound;
    return first?.kind === 'tcp' ? [first] : [];
  });
}
