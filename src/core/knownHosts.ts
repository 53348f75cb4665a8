// known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): which keys are known for a host. `ssh-keygen -F` is the tests' oracle.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** One entry; a line that can't be read makes none. */
export interface KnownHost {
  file: string;
  /** From 1. */
  line: number;
  marker?: 'revoked' | 'cert-authority';
  /** As written: a comma list of patterns, or `|1|salt|hash`. */
  hosts: string;
  keyType: string;
  /** The key's blob in base64. */
  key: string;
}

export type HostKeyVerdict =
  | { kind: 'known' }
  | { kind: 'revoked'; entry: KnownHost }
  | { kind: 'changed'; entry: KnownHost }
  /** `others`: keys of other types that are known for the host. */
  | { kind: 'unknown'; others: readonly KnownHost[] };

/** Reads a file's text. Blank lines, comments and lines that are no entry are passed over, as in ssh. */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const words = line.replace(/^[ \t]+/, '').split(/[ \t]+/);
    const marker = words[0]?.startsWith('@') ? words.shift()!.slice(1) : undefined;
    const [hosts, keyType, key] = words;
    if (!hosts || hosts.startsWith('#') || !keyType || !key) return [];
    if (marker !== undefined && marker !== 'revoked' && marker !== 'cert-authority') return [];
    const blob = Buffer.from(key, 'base64');
    if (blob.toString('base64') !== key || blobType(blob) !== keyType || !isWhole(blob)) return [];
    return [{ file, line: index + 1, hosts, keyType, key, ...(marker && { marker }) }];
  });
}

/** Whether an entry's host field names the host; `name` is as `knownHostsName` prints it. */
export function matchesHost(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) return matchesHashed(hosts, name);
  const host = name.toLowerCase();
  let matched = false;
  for (const written of hosts.toLowerCase().split(',')) {
    const negated = written.startsWith('!');
    const pattern = negated ? written.slice(1) : written;
    if (pattern === '' || !matchesPattern(pattern, host)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

/** `*` any run, `?` any one character, all else literal (brackets too). Linear: no pattern of a file can stall us. */
function matchesPattern(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

function matchesHashed(hosts: string, name: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|([^|]+)$/.exec(hosts) ?? [];
  if (!salt || !hash) return false;
  const wanted = Buffer.from(hash, 'base64');
  const made = createHmac('sha1', Buffer.from(salt, 'base64')).update(name.toLowerCase()).digest();
  return wanted.length === made.length && timingSafeEqual(wanted, made);
}

/** Judges a server's key (its blob, RFC 4253 section 6.6). A revocation counts before anything else. */
export function judgeHostKey(entries: readonly KnownHost[], name: string, blob: Buffer): HostKeyVerdict {
  const mine = entries.filter((entry) => matchesHost(entry.hosts, name));
  const key = blob.toString('base64');
  const revoked = mine.find((entry) => entry.marker === 'revoked' && entry.key === key);
  if (revoked) return { kind: 'revoked', entry: revoked };
  const plain = mine.filter((entry) => entry.marker === undefined);
  if (plain.some((entry) => entry.key === key)) return { kind: 'known' };
  const changed = plain.find((entry) => entry.keyType === blobType(blob));
  if (changed) return { kind: 'changed', entry: changed };
  return { kind: 'unknown', others: plain };
}

/**
 * Judges as ssh does for a port other than 22: a key that is unknown under `[host]:port` is also accepted when it is known
 * for the bare host; only that, and a revocation, counts there.
 */
export function judgeWithoutPort(
  entries: readonly KnownHost[],
  verdict: HostKeyVerdict,
  host: string,
  blob: Buffer,
): HostKeyVerdict {
  if (verdict.kind !== 'unknown') return verdict;
  const bare = judgeHostKey(entries, host, blob);
  return bare.kind === 'known' || bare.kind === 'revoked' ? bare : verdict;
}

/** The key types known for a host: a server is asked for those first, or a known host would look new. */
export function knownKeyTypes(entries: readonly KnownHost[], name: string): string[] {
  const mine = entries.filter((entry) => entry.marker === undefined && matchesHost(entry.hosts, name));
  return [...new Set(mine.map((entry) => entry.keyType))];
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

/** The type that a key's blob names in its first string, or `''` where it holds none. */
export function blobType(blob: Buffer): string {
  if (blob.length < 4) return '';
  const length = blob.readUInt32BE(0);
  return length <= 64 && blob.length >= 4 + length ? blob.toString('latin1', 4, 4 + length) : '';
}

/** Whether a key's blob consists of whole strings, the type and at least one more: a line cut off is no key. */
function isWhole(blob: Buffer): boolean {
  let at = 0;
  let strings = 0;
  for (; at + 4 <= blob.length; strings++) at += 4 + blob.readUInt32BE(at);
  return at === blob.length && strings > 1;
}
