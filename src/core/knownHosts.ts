// known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): which keys are known for a host. `ssh-keygen -F` is the tests' oracle.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { matchesPattern } from './configPattern.js';
import {
  certificateProblem,
  certificateType,
  isCertificate,
  plainHostKey,
  type CertificateProblem,
  type HostCertificate,
} from './hostCertificate.js';
import type { SharedLine } from './failure.js';
import { blobType, plainBlob, wholeStrings } from './publicKey.js';

/** One entry; a line that can't be read makes none. */
export interface KnownHost {
  file: string;
  /** From 1. */
  line: number;
  marker?: 'revoked' | 'cert-authority';
  /** As written: a comma list of patterns, or `|1|salt|hash`. */
  hosts: string;
  /** The plain key's, also where a line revokes a certificate: that is, its key. */
  keyType: string;
  /** The plain key's blob (see plainBlob) in base64. */
  key: string;
}

export type HostKeyVerdict =
  /** `isExact`: not only without its port. */
  | { kind: 'known'; entry: KnownHost; isExact: boolean }
  /** By a certificate of the entry's authority. */
  | { kind: 'certified'; entry: KnownHost }
  /** `isAuthority`: it is the certificate's. */
  | { kind: 'revoked'; entry: KnownHost; isAuthority: boolean }
  | { kind: 'changed'; entry: KnownHost }
  /** The entry's authority made the certificate, but it does not count. */
  | { kind: 'certificateRefused'; entry: KnownHost; problem: CertificateProblem }
  /** `authorities`: those that are known for the host. */
  | { kind: 'unknown'; authorities: readonly KnownHost[] };

/** Reads a file's text. Blank lines, comments and lines that are no entry are passed over, as in ssh. */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
  return text.split('\n').flatMap((line, index) => {
    // To ssh a NUL ends a line, too.
    const words = line
      .replace(/\0.*|\r$/s, '')
      .replace(/^[ \t]+/, '')
      .split(/[ \t]+/);
    const marker = words[0]?.startsWith('@') ? words.shift()!.slice(1) : undefined;
    const [hosts, keyType, key] = words;
    if (!hosts || hosts.startsWith('#') || !keyType || !key) return [];
    if (marker !== undefined && marker !== 'revoked' && marker !== 'cert-authority') return [];
    const read = readKeyText(keyType, key);
    if (!read || (read.isCertificate && marker !== 'revoked')) return [];
    const { plain } = read;
    return [{ file, line: index + 1, hosts, keyType: blobType(plain), key: plain.toString('base64'), ...(marker && { marker }) }]; // prettier-ignore
  });
}

/** A type as written, or as a blob names it: that of RSA keys may be an algorithm of theirs. */
function keyTypeOf(name: string): string {
  return name.replace(/^rsa-sha2-(?:256|512)(?=$|-cert-v01@openssh\.com$)/, 'ssh-rsa');
}

/** A key as text, its type and base64, as loosely as ssh reads it: the plain key's blob, also of a certificate. */
export function readKeyText(type: string, encoded: string): { plain: Buffer; isCertificate: boolean } | undefined {
  const base64 = encoded.replace(/[\t-\r ]/g, '');
  const blob = Buffer.from(base64, 'base64');
  // What Buffer passes over, ssh refuses.
  if (blob.toString('base64') !== base64 || keyTypeOf(blobType(blob)) !== keyTypeOf(type)) return undefined;
  if (isCertificate(blob)) {
    const plain = plainHostKey(blob);
    return plain && { plain, isCertificate: true };
  }
  // A line cut off is no key.
  return (wholeStrings(blob) ?? []).length > 1 ? { plain: plainBlob(blob), isCertificate: false } : undefined;
}

/** Whether an entry's host field names the host; `name` is as `knownHostsName` prints it. */
export function matchesHost(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) return matchesHashed(hosts, name);
  const host = name.toLowerCase();
  let matched = false;
  for (const written of hosts.toLowerCase().split(',')) {
    const negated = written.startsWith('!');
    const pattern = negated ? written.slice(1) : written;
    if (pattern === '' || !matchesPattern(host, pattern)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

function matchesHashed(hosts: string, name: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|([^|]+)$/.exec(hosts) ?? [];
  if (!salt || !hash) return false;
  const wanted = Buffer.from(hash, 'base64');
  const made = createHmac('sha1', Buffer.from(salt, 'base64')).update(name.toLowerCase()).digest();
  return wanted.length === made.length && timingSafeEqual(wanted, made);
}

/** A server's key as it was shown: `plain` is its blob, or the one inside its certificate. */
export interface ShownKey {
  plain: Buffer;
  certificate?: HostCertificate;
}

export interface HostNames {
  /** As `knownHostsName` prints it. */
  name: string;
  /** The host without its port, where ssh looks a second time for a host on another port. */
  bare?: string;
  /** What a certificate must be made out to. */
  principal: string;
}

/**
 * Judges a server's key as ssh does. `printed` are the lines of KnownHostsCommand, which hold for the exact name alone;
 * `now` in ms since 1970; `algorithms` are CASignatureAlgorithms. A certificate that does not count leaves its plain key
 * to be judged as any other; unlike ssh, such a key can't be accepted anew.
 */
export function judgeHostKey(
  entries: readonly KnownHost[],
  { name, bare, principal }: HostNames,
  { plain, certificate }: ShownKey,
  now: number,
  algorithms?: readonly string[],
  printed: readonly KnownHost[] = [],
): HostKeyVerdict {
  const exact = entriesOf([...entries, ...printed], name);
  const places = [exact, ...(bare === undefined ? [] : [entriesOf(entries, bare)])];
  let refused: (HostKeyVerdict & { kind: 'certificateRefused' }) | undefined;
  if (certificate) {
    const authority = certificate.authority.toString('base64');
    for (const mine of places) {
      const revoked = revokedBy(mine, plain, certificate);
      if (revoked) return revoked;
      const entry = mine.find(({ marker, key }) => marker === 'cert-authority' && key === authority);
      if (!entry) continue;
      const problem = certificateProblem(certificate, principal, now, algorithms);
      if (!problem) return { kind: 'certified', entry };
      refused = { kind: 'certificateRefused', entry, problem };
      break;
    }
  }
  const key = plain.toString('base64');
  for (const mine of places) {
    const revoked = revokedBy(mine, plain);
    if (revoked) return revoked;
    const own = mine.filter(({ marker }) => marker === undefined);
    const entry = own.find((one) => one.key === key);
    if (entry) return { kind: 'known', entry, isExact: mine === exact };
    // A key of another type is as wrong as another one of the same type: the server was asked for the known ones first.
    const other = own.find(({ keyType }) => keyType === blobType(plain)) ?? own[0];
    if (other && mine === exact) return { kind: 'changed', entry: other };
  }
  return refused ?? { kind: 'unknown', authorities: exact.filter(({ marker }) => marker === 'cert-authority') };
}

function entriesOf(entries: readonly KnownHost[], name: string): KnownHost[] {
  return entries.filter(({ hosts }) => matchesHost(hosts, name));
}

function revokedBy(
  mine: readonly KnownHost[],
  plain: Buffer,
  certificate?: HostCertificate,
): (HostKeyVerdict & { kind: 'revoked' }) | undefined {
  const [key, authority] = [plain, certificate?.authority].map((blob) => blob?.toString('base64'));
  const entry = mine.find((one) => {
    if (one.marker !== 'revoked') return false;
    return one.key === key || one.key === authority;
  });
  return entry && { kind: 'revoked', entry, isAuthority: entry.key !== key };
}

/**
 * Every other entry that has the same key, so that a person may recognise it; hashed names tell nothing and are left
 * out.
 */
export function otherNamesOf(entries: readonly KnownHost[], plain: Buffer): KnownHost[] {
  const key = plain.toString('base64');
  return entries.filter((entry) => entry.marker === undefined && entry.key === key && !entry.hosts.startsWith('|'));
}

/** Those of the names that no line has the key for. */
export function missingHosts(entries: readonly KnownHost[], names: readonly string[], plain: Buffer): string[] {
  const key = keyOf(plain);
  return names.filter((name) => !entriesOf(entries, name).some((one) => one.marker === undefined && one.key === key));
}

/**
 * The first line of a file that `ssh-keygen -R name` would take away although it holds for other hosts, too; `address` is
 * the host's own, which ssh writes beside its name.
 */
export function sharedLine(
  entries: readonly KnownHost[],
  name: string,
  address: string | undefined,
  file: string,
): SharedLine | undefined {
  const own = [name, address].map((text) => text?.toLowerCase());
  const found = entriesOf(entries, name).find(
    (one) => one.file === file && one.marker === undefined && !isOnlyFor(one.hosts, own),
  );
  return found && { line: found.line, hosts: found.hosts };
}

/** Whether an entry's host field names none but these, in lower case; a hashed one names one host. */
function isOnlyFor(hosts: string, names: readonly (string | undefined)[]): boolean {
  return hosts.startsWith('|') || hosts.toLowerCase().split(',').every((host) => names.includes(host)); // prettier-ignore
}

/** The types of keys and certificates that are offered, best first, where nothing is known. */
const offeredTypes = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
] as const;

/**
 * All types of keys in the order in which a server is asked for them, as ssh does it: certificates first where the host
 * has an authority, then what is known of it, or a known host would look new; then the rest, certificates last.
 */
export function orderKeyTypes(
  entries: readonly KnownHost[],
  { name, bare }: Pick<HostNames, 'name' | 'bare'>,
): string[] {
  const mine = [name, ...(bare === undefined ? [] : [bare])].flatMap((host) => entriesOf(entries, host));
  const certificates = offeredTypes.map(certificateType);
  const known = mine.filter(({ marker }) => marker === undefined).map(({ keyType }) => keyType);
  return [
    ...new Set([
      ...(mine.some(({ marker }) => marker === 'cert-authority') ? certificates : []),
      ...offeredTypes.filter((type) => known.includes(type)),
      ...offeredTypes,
      ...certificates,
    ]),
  ];
}

function keyOf(blob: Buffer): string {
  return plainBlob(blob).toString('base64');
}

/** What a server's keys change in known_hosts; lines are of the file that was read, from 1. */
export interface HostKeyUpdate {
  /** Still to be proved. */
  added: readonly Buffer[];
  removed: readonly KnownHost[];
}

/**
 * What UpdateHostKeys does for a host that is known by a plain key of a user's file: of the keys that the server `named`,
 * those that are `wanted` and new are added, once they are proved; its lines with keys that were not named are removed. As in ssh nothing is done where lines have patterns or other names beside
 * it, where an authority or a revocation holds for it, or one of the keys is known by another name. `address` is the host's own
 * where CheckHostIP counts it in.
 */
export function planUpdate(
  entries: readonly KnownHost[],
  name: string,
  address: string | undefined,
  named: readonly Buffer[],
  wanted: readonly Buffer[],
): HostKeyUpdate | undefined {
  if (wanted.length === 0) return undefined;
  const [keys, there] = [wanted, named].map((blobs) => new Set(blobs.map(keyOf))) as [Set<string>, Set<string>];
  const mine = entriesOf(entries, name);
  if (mine.length === 0 || mine.some(({ marker }) => marker !== undefined)) return undefined;
  const allowed = [name, address].map((text) => text?.toLowerCase());
  if (!mine.every(({ hosts }) => isOnlyFor(hosts, allowed))) return undefined;
  // A type that can't be checked here may still be the server's.
  const removed = mine.filter(({ key, keyType }) => !there.has(key) && offeredTypes.some((type) => type === keyType));
  const touched = new Set([...keys, ...removed.map(({ key }) => key)]);
  const isOurs = (entry: KnownHost) =>
    mine.includes(entry) || (address !== undefined && matchesHost(entry.hosts, address));
  if (entries.some((entry) => touched.has(entry.key) && !isOurs(entry))) return undefined;
  const added = wanted.filter((blob) => !mine.some(({ key }) => key === keyOf(blob)));
  return added.length + removed.length > 0 ? { added, removed } : undefined;
}

/** A file's text without the lines of these numbers (from 1); all else stays byte for byte. */
export function withoutLines(text: string, lines: ReadonlySet<number>): string {
  return text
    .split(/(?<=\n)/)
    .filter((_, index) => !lines.has(index + 1))
    .join('');
}

/** The line to append for a host, with its end of line; `salt` (20 random bytes) hashes the name, as HashKnownHosts asks. */
export function printKnownHost(name: string, blob: Buffer, salt?: Buffer): string {
  const host = salt
    ? `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name.toLowerCase()).digest('base64')}`
    : name.toLowerCase();
  return `${host} ${blobType(blob)} ${blob.toString('base64')}\n`;
}

/** `SHA256:...` without padding, as `ssh-keygen -l` prints it. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}
