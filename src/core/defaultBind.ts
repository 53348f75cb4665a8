// Where a forward listens that was typed without a bind address, as the settings have it.
import type { ForwardSpec } from './forwardSpec.js';

/** `localhost`: as ssh does it, which ssh_config's GatewayPorts may widen. */
export type DefaultBind = 'localhost' | '127.0.0.1' | '::1' | '*';

/** What stands in the setting; anything else opens no wider than ssh does. */
export function readDefaultBind(value: unknown): DefaultBind {
  return value === '127.0.0.1' || value === '::1' || value === '*' ? value : 'localhost';
}

/** The spec with the bind address where it has none. What a server listens on is left to the server. */
export function withDefaultBind<Spec extends ForwardSpec>(spec: Spec, bind: DefaultBind): Spec {
  const { kind, listen } = spec;
  if (kind === 'remote' || listen.kind === 'unix' || listen.bind !== undefined || bind === 'localhost') return spec;
  return { ...spec, listen: { ...listen, bind } };
}
