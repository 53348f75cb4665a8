/**
 * Whether PermitRemoteOpen (ssh_config(5)) lets a remote SOCKS forward reach a target. `permitted` are `host:port` entries
 * with `*` for any host or port, and IPv6 addresses in brackets; undefined permits everything.
 */
export function permitsRemoteOpen(permitted: readonly string[] | undefined, host: string, port: number): boolean {
  return permitted?.some((entry) => matches(entry, host, port)) ?? true;
}

function matches(entry: string, host: string, port: number): boolean {
  const [, bracketed, plain, forPort] = /^(?:\[(.*)\]|([^:]*)):(.*)$/.exec(entry) ?? [];
  const name = bracketed ?? plain;
  if (name === undefined) return false;
  return (name === '*' || name === host) && (forPort === '*' || forPort === String(port));
}
