// Where ssh connects to, in one word: `user@host`, `user@host:port`, `[::1]:2222`, `ssh://user@host:port`.
import type { DestinationProblem } from './failure.js';

/** The host may be an alias of ssh_config; what is absent comes from there. */
export interface HostAddress {
  host: string;
  user?: string;
  /** 1 to 65535 */
  port?: number;
}
export type HostAddressResult =
  { ok: true; address: HostAddress } | { ok: false; at: number; problem: DestinationProblem };

/** What ssh refuses in a name since it may reach a shell through ProxyCommand or Match exec (ssh.c, valid_hostname), and marks that nobody sees. */
const forbidden = /[\s\p{Cc}\p{Cf}'`"$\\;&<>|(){}]/u;
/** As above, but DOMAIN\user is a user's name; ssh refuses a backslash at its end. */
const forbiddenInUser = /[\s\p{Cc}\p{Cf}'`"$;&<>|(){}]|\\$/u;

/**
 * As in ssh the user is what stands before the last `@`. A port behind the host is our addition to ssh's plain form (a
 * host's name holds no colon, so nothing that ssh can reach reads differently).
 */
export function parseHostAddress(text: string): HostAddressResult {
  const refuse = (at: number, problem: DestinationProblem): HostAddressResult => ({
    ok: false,
    at: Math.max(at, 0),
    problem,
  });
  const lead = text.length - text.trimStart().length;
  let rest = text.trim();
  let offset = lead;
  const isUri = /^ssh:\/\//i.test(rest);
  if (isUri) {
    rest = rest.slice(6);
    offset += 6;
    // To ssh it is a part of the name; who writes it into a URI means a secret, which would be shown and kept with the name.
    const [, name] = /^([^@:/[]*):.*@/s.exec(rest) ?? [];
    if (name !== undefined) return refuse(offset + name.length, { kind: 'password' });
    const slash = rest.indexOf('/');
    if (slash >= 0 && slash < rest.length - 1) return refuse(offset + slash, { kind: 'path' });
    if (slash >= 0) rest = rest.slice(0, slash);
  }
  const at = rest.lastIndexOf('@');
  const writtenUser = at < 0 ? undefined : rest.slice(0, at);
  const user = writtenUser !== undefined && isUri ? decode(writtenUser) : writtenUser;
  const isDecoded = user !== writtenUser;
  const written = rest.slice(at + 1);
  const writtenAt = offset + at + 1;
  const badUser = user === undefined ? undefined : userProblem(user, isDecoded);
  if (badUser) return refuse(isDecoded ? offset : offset + badUser.at, badUser.problem);

  let host = written;
  let port: string | undefined;
  if (written.startsWith('[')) {
    const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(written);
    if (!bracketed) return refuse(writtenAt, { kind: 'bracket' });
    host = bracketed[1]!;
    port = bracketed[2];
  } else if (written.indexOf(':') === written.lastIndexOf(':') && written.includes(':')) {
    host = written.slice(0, written.indexOf(':'));
    port = written.slice(written.indexOf(':') + 1);
  }
  if (host === '') return refuse(writtenAt, { kind: 'hostMissing' });
  if (host.startsWith('-')) return refuse(writtenAt, { kind: 'leadingDash' });
  const hostAt = writtenAt + (written.startsWith('[') ? 1 : 0);
  const badHost = forbidden.exec(host);
  if (badHost) return refuse(hostAt + badHost.index, { kind: 'character', character: badHost[0] });
  if (/[[\]]/.test(host)) return refuse(writtenAt, { kind: 'bracket' });
  const number = port === undefined ? undefined : readPort(port);
  if (port !== undefined && number === undefined)
    return refuse(offset + rest.length - port.length, { kind: 'port', text: port });
  return {
    ok: true,
    address: { host, ...(user !== undefined && { user }), ...(number !== undefined && { port: number }) },
  };
}

/** `user@host:port` with what was given; reading it again gives the same. */
export function printHostAddress({ host, user, port }: HostAddress): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return `${user === undefined ? '' : `${user}@`}${name}${port === undefined ? '' : `:${port}`}`;
}

/** What is wrong with a user's name. Where `@` isn't behind it, it could hide a text that reads as a URI itself. */
export function userProblem(user: string, isApart: boolean): { at: number; problem: DestinationProblem } | undefined {
  if (user === '') return { at: 0, problem: { kind: 'userMissing' } };
  if (user.startsWith('-')) return { at: 0, problem: { kind: 'leadingDash' } };
  const bad = (isApart ? /\//.exec(user) : null) ?? forbiddenInUser.exec(user);
  return bad ? { at: bad.index, problem: { kind: 'character', character: bad[0] } } : undefined;
}

/** A port from 1 to 65535, or `undefined`. */
export function readPort(text: string): number | undefined {
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : undefined;
}

/** Whether two addresses can't both be bound at one port: the wildcard of a family has all its addresses, and no other. */
export function addressesOverlap(a: string, b: string): boolean {
  if (a.includes(':') !== b.includes(':')) return false;
  return a === b || [a, b].some((address) => address === '0.0.0.0' || address === '::');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
