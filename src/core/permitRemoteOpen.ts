import { servicePort } from './servicePort.js';

/**
 * Whether PermitRemoteOpen (ssh_config(5)) lets a remote SOCKS forward reach a target. `permitted` are `host:port` entries
 * with `*` for any host or port, a service's name for its port, and IPv6 addresses in brackets; undefined permits everything.
 */
export function permitsRemoteOpen(permitted: readonly string[] | undefined, host: string, port: number): boolean {
  return permitted?.some((entry) => matches(entry, host, port)) ?? true;
}

function matches(entry: string, host: string, port: number): boolean {
  const [, bracketed, plain, forPort] = /^(?:\[(.*)\]|([^:]*)):(.*)$/.exec(entry) ?? [];
  const name = bracketed ?? plain;
  if (name === undefined || forPort === undefined) return false;
  const number = /^\d+$/.test(forPort) ? Number(forPort) : servicePort(forPort);
  return (name === '*' || name === host) && (forPort === '*' || number === port);
}
