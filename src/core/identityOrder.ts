// In which order keys and certificates are offered: that of OpenSSH's pubkey_prepare.
import { signatureAlgorithm, type UserKey } from './userKey.js';

/** A key or certificate that can be offered. `path`: the file that names it. */
export type Identity =
  /** An agent has it. */
  | { kind: 'agent'; key: UserKey; comment: string; path?: string }
  /** A private key's file; without `key` its passphrase alone tells what it is. */
  | { kind: 'file'; path: string; key?: UserKey }
  /** `path` is the certificate's; its key is with the agent, or in `keyPath`. */
  | { kind: 'certificate'; path: string; key: UserKey; keyPath?: string };

export interface IdentitySources {
  /** IdentityFile, in its order, with the public half that the file or its `.pub` tells. */
  files: readonly { path: string; key?: UserKey; /** of the key's own `-cert.pub` */ certificate?: NamedKey }[];
  /** CertificateFile; where there is any, the keys' own certificates don't count. */
  certificates: readonly NamedKey[];
  agent: readonly { key: UserKey; comment: string }[];
  identitiesOnly: boolean;
  /** PubkeyAcceptedAlgorithms; absent: all. */
  accepted: readonly string[] | undefined;
}

export interface NamedKey {
  path: string;
  key: UserKey;
}

/** The files of keys and certificates that are not offered, since PubkeyAcceptedAlgorithms does not have them. */
export function notAccepted({ files, certificates, accepted }: IdentitySources): NamedKey[] {
  return [...certificates, ...files.flatMap(({ path, key }) => (key ? [{ path, key }] : []))].filter(
    ({ key }) => !signatureAlgorithm(key, accepted, undefined),
  );
}

/** Certificates of CertificateFile, keys of the agent that a file names, other keys of the agent, files; none twice. */
export function orderIdentities(sources: IdentitySources): Identity[] {
  const { files, agent, identitiesOnly, accepted } = sources;
  const isUsable = ({ key }: { key: UserKey }) => key.certificate !== 'host';
  const named = files.flatMap(({ path, key, certificate }): Identity[] => [
    { kind: 'file', path, ...(key && { key }) },
    ...(certificate && sources.certificates.length === 0
      ? [{ kind: 'certificate' as const, ...certificate, keyPath: path }]
      : []),
  ]);
  const holderOf = ({ plain }: UserKey) => files.find(({ key }) => key?.plain.equals(plain))?.path;
  const certificates = sources.certificates.map((one): Identity => {
    const keyPath = holderOf(one.key);
    return { kind: 'certificate', ...one, ...(keyPath !== undefined && { keyPath }) };
  });
  const nameOf = (key: UserKey) => named.find((other) => other.key?.blob.equals(key.blob))?.path;
  const held = agent.map(({ key, comment }): Identity & { kind: 'agent' } => {
    const path = nameOf(key);
    return { kind: 'agent', key, comment, ...(path !== undefined && { path }) };
  });
  const ordered = [
    ...certificates,
    ...held.filter(({ path }) => path !== undefined),
    ...(identitiesOnly ? [] : held.filter(({ path }) => path === undefined)),
    ...named,
  ];
  const seen = new Set<string>();
  return ordered.filter((identity) => {
    if (!identity.key) return true;
    const { key } = identity;
    const name = key.blob.toString('latin1');
    if (seen.has(name) || !isUsable({ key }) || !signatureAlgorithm(key, accepted, undefined)) return false;
    seen.add(name);
    return true;
  });
}
