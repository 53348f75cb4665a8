// A tunnel as other extensions and agents are told of it: plain data, and nothing that its row does not show.
import { printDestination } from '../core/destination.js';
import type { BoundAddress } from '../core/engine.js';
import { innermost } from '../core/failure.js';
import { reasonText, tunnelName } from '../core/present.js';
import type { SessionState, Tunnel } from '../core/session.js';
import { boundOf, tunnelState } from '../core/snapshot.js';
import { clientHost, targetText } from '../core/wording.js';
import type { ListenAddress, TunnelInfo } from './api.js';

export function tunnelInfo(tunnel: Tunnel, session: SessionState): TunnelInfo {
  const state = tunnelState(tunnel, session.snapshot);
  const { spec } = tunnel;
  const isSocks = spec.kind === 'dynamic' || spec.target.kind === 'socks';
  return {
    id: tunnel.id,
    label: tunnelName(tunnel, state),
    host: printDestination(tunnel.destination),
    kind: spec.kind,
    state: state.kind,
    listen: boundOf(state).map(listenAddress),
    ...(!isSocks && { target: targetText(spec) }),
    ...('failure' in state && {
      failure: { code: innermost(state.failure).kind, message: reasonText(state.failure, session) },
    }),
  };
}

function listenAddress(bound: BoundAddress): ListenAddress {
  return bound.kind === 'unix' ? { path: bound.path } : { host: bound.address, port: bound.port };
}

/** Where a client connects to: the first address that is bound, by loopback where that is all of them. */
export function clientEnd([first]: readonly ListenAddress[]): { host: string; port: number } {
  if (!first || 'path' in first) return { host: '', port: 0 };
  return { host: clientHost(first.host), port: first.port };
}
