// Which host to connect to, as typed: `user@host`, `user@host:port`, `[::1]:2222`, `ssh://user@host:port`.
import type { DestinationProblem, Failure } from './failure.js';

/** A destination as written: the host may be an alias of ssh_config; what is absent comes from there. */
export interface Destination {
  host: string;
  user?: string;
  /** 1 to 65535 */
  port?: number;
}
export type DestinationResult =
  { ok: true; destination: Destination } | { ok: false; failure: Failure & { kind: 'badDestination' } };

/** What ssh refuses in a name since it may reach a shell through ProxyCommand or Match exec (ssh.c, valid_hostname). */
const forbidden = /[\s\p{Cc}'`"$\\;&<>|(){}]/u;
/** As above, but DOMAIN\user is a user's name; ssh refuses a backslash at its end. */
const forbiddenInUser = /[\s\p{Cc}'`"$;&<>|(){}]|\\$/u;

/**
 * Parses a destination. As in ssh the user is what stands before the last `@`. A port behind the host is our addition
 * to ssh's plain form (a host's name holds no colon, so nothing that ssh can reach reads differently).
 */
export function parseDestination(text: string): DestinationResult {
  const refuse = (at: number, problem: DestinationProblem): DestinationResult => ({
    ok: false,
    failure: { kind: 'badDestination', text, at: Math.max(at, 0), problem },
  });
  const lead = text.length - text.trimStart().length;
  let rest = text.trim();
  let offset = lead;
  const isUri = /^ssh:\/\//i.test(rest);
  if (isUri) {
    rest = rest.slice(6);
    offset += 6;
    const slash = rest.indexOf('/');
    if (slash >= 0 && slash < rest.length - 1) return refuse(offset + slash, { kind: 'path' });
    if (slash >= 0) rest = rest.slice(0, slash);
  }
  const at = rest.lastIndexOf('@');
  const writtenUser = at < 0 ? undefined : rest.slice(0, at);
  const user = writtenUser !== undefined && isUri ? decode(writtenUser) : writtenUser;
  const isDecoded = user !== writtenUser;
  const address = rest.slice(at + 1);
  const addressAt = offset + at + 1;
  if (user === '') return refuse(offset, { kind: 'userMissing' });
  if (user?.startsWith('-')) return refuse(offset, { kind: 'leadingDash' });
  // Behind %2F a user could hide a text that reads as a URI itself.
  const badUser = user === undefined ? null : ((isDecoded ? /\//.exec(user) : null) ?? forbiddenInUser.exec(user));
  if (badUser) return refuse(isDecoded ? offset : offset + badUser.index, { kind: 'character', character: badUser[0] });

  let host = address;
  let port: string | undefined;
  if (address.startsWith('[')) {
    const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(address);
    if (!bracketed) return refuse(addressAt, { kind: 'bracket' });
    host = bracketed[1]!;
    port = bracketed[2];
  } else if (address.indexOf(':') === address.lastIndexOf(':') && address.includes(':')) {
    host = address.slice(0, address.indexOf(':'));
    port = address.slice(address.indexOf(':') + 1);
  }
  if (host === '') return refuse(addressAt, { kind: 'hostMissing' });
  if (host.startsWith('-')) return refuse(addressAt, { kind: 'leadingDash' });
  const hostAt = addressAt + (address.startsWith('[') ? 1 : 0);
  const badHost = forbidden.exec(host);
  if (badHost) return refuse(hostAt + badHost.index, { kind: 'character', character: badHost[0] });
  if (/[[\]]/.test(host)) return refuse(addressAt, { kind: 'bracket' });
  const number = port === undefined ? undefined : /^\d+$/.test(port) ? Number(port) : 0;
  if (number !== undefined && (number < 1 || number > 65535))
    return refuse(offset + rest.length - (port ?? '').length, { kind: 'port', text: port ?? '' });
  return {
    ok: true,
    destination: { host, ...(user !== undefined && { user }), ...(number !== undefined && { port: number }) },
  };
}

/** `user@host:port` with what was given; reading it again gives the same destination. */
export function printDestination({ host, user, port }: Destination): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return `${user === undefined ? '' : `${user}@`}${name}${port === undefined ? '' : `:${port}`}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
