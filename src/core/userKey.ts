// Public keys and certificates that a user logs in with (RFC 4253 section 6.6, OpenSSH PROTOCOL.certkeys and PROTOCOL.u2f).
// They are sent and named here; nobody has to check a signature of theirs.
import { readWire, wireStrings } from './wire.js';

/** How many strings follow the type in each key's blob. DSA is none of them: OpenSSH takes it no more. */
const keyFields: Readonly<Record<string, number>> = {
  'ssh-ed25519': 1,
  'ssh-rsa': 2,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519@openssh.com': 2,
  'sk-ecdsa-sha2-nistp256@openssh.com': 3,
};

const certificateSuffix = '-cert-v01@openssh.com';

export interface UserKey {
  /** What is sent: the key's blob, or its certificate's. */
  blob: Buffer;
  /** The key's type, without what makes it a certificate. */
  type: string;
  /** The key's own blob: what a certificate and its key have in common. */
  plain: Buffer;
  /** Absent: no certificate. */
  certificate?: 'user' | 'host';
}

/** Undefined for what is no key that can be used to log in. */
export function readUserKey(blob: Buffer): UserKey | undefined {
  return readWire(blob, (wire) => {
    const name = wire.text();
    const isCertificate = name.endsWith(certificateSuffix);
    const type = isCertificate ? plainType(name.slice(0, -certificateSuffix.length)) : name;
    const count = Object.hasOwn(keyFields, type) ? keyFields[type]! : wire.refuse();
    // The nonce.
    if (isCertificate) wire.string();
    const fields = Array.from({ length: count }, () => wire.string());
    if (fields.some((field) => field.length === 0)) wire.refuse();
    const plain = wireStrings(type, ...fields);
    if (!isCertificate) return { blob, type, plain };
    wire.uint64();
    const kind = wire.uint32();
    if (kind !== 1 && kind !== 2) wire.refuse();
    // Id and principals; validity; critical options, extensions, reserved, the authority's key and signature.
    for (let skipped = 0; skipped < 2; skipped++) wire.string();
    for (let skipped = 0; skipped < 2; skipped++) wire.uint64();
    for (let skipped = 0; skipped < 5; skipped++) wire.string();
    return { blob, type, plain, certificate: kind === 1 ? 'user' : 'host' };
  });
}

/** The certificates of security keys have the key's own suffix left out. */
function plainType(name: string): string {
  return name.startsWith('sk-') ? `${name}@openssh.com` : name;
}

/** Whether a key lives in a security key, which its file only points to. */
export function isSecurityKey({ type }: UserKey): boolean {
  return type.startsWith('sk-');
}

/**
 * The key on the first line of a `.pub` file that has one: type, base64, comment. Undefined where there is none, or where
 * the type written is not the blob's.
 */
export function parsePublicLine(text: string): UserKey | undefined {
  for (const line of text.split(/\r?\n/)) {
    const [type, encoded] = line.trim().split(/\s+/);
    if (!type || type.startsWith('#')) continue;
    if (!encoded || !/^[A-Za-z0-9+/]+=*$/.test(encoded)) return undefined;
    const key = readUserKey(Buffer.from(encoded, 'base64'));
    return key && firstText(key.blob) === type ? key : undefined;
  }
  return undefined;
}

/** RFC 8332 section 3; SHA-1 is not used, as in OpenSSH since 8.8. */
const rsaAlgorithms = ['rsa-sha2-512', 'rsa-sha2-256'];

/**
 * The name under which a key is offered, and that of its signature. `accepted`: PubkeyAcceptedAlgorithms, absent: all;
 * `server`: its server-sig-algs (RFC 8308), absent: it said nothing. Undefined: the key can't be used with both.
 */
export function signatureAlgorithm(
  { type, certificate }: UserKey,
  accepted: readonly string[] | undefined,
  server: readonly string[] | undefined,
): { offered: string; signature: string } | undefined {
  const offeredName = (signature: string) =>
    certificate ? `${signature.replace(/@openssh\.com$/, '')}${certificateSuffix}` : signature;
  const candidates = (type === 'ssh-rsa' ? rsaAlgorithms : [type])
    .map((signature) => ({ offered: offeredName(signature), signature }))
    .filter(({ offered }) => accepted?.includes(offered) ?? true);
  if (type !== 'ssh-rsa') return candidates[0];
  // The user's order counts, as in ssh.
  if (accepted) candidates.sort((a, b) => accepted.indexOf(a.offered) - accepted.indexOf(b.offered));
  return server ? candidates.find(({ signature }) => server.includes(signature)) : candidates[0];
}

/** Whether it is for SHA-1 alone that an RSA key can't be used: the option or the server, as for `signatureAlgorithm`, has that. */
export function wantsSha1(
  key: UserKey,
  accepted: readonly string[] | undefined,
  server: readonly string[] | undefined,
): boolean {
  if (key.type !== 'ssh-rsa' || signatureAlgorithm(key, accepted, server)) return false;
  const hasSha1 = (names: readonly string[] | undefined) =>
    names?.some((name) => /^ssh-rsa($|-cert-)/.test(name)) ?? false;
  return hasSha1(accepted) || hasSha1(server);
}

/** The first string of a blob, which is the name of its algorithm; undefined where there is none. */
export function firstText(blob: Buffer): string | undefined {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : blob.length;
  return length <= 64 && blob.length >= 4 + length ? blob.toString('latin1', 4, 4 + length) : undefined;
}
