// Certificates of hosts (OpenSSH PROTOCOL.certkeys): read strictly, and judged as ssh does, or stricter.
import { blobType, plainBlob, readPublicKey, verifySignature } from './publicKey.js';
import { readList, readWire, wireStrings } from './wire.js';

export interface HostCertificate {
  /** The name of the algorithm without its version: `ssh-ed25519`, `ssh-rsa`, ... */
  plainType: string;
  /** The blob of the plain public key inside. */
  plainKey: Buffer;
  serial: bigint;
  isHost: boolean;
  keyId: string;
  principals: readonly string[];
  /** Seconds since 1970: valid from `validAfter` on, before `validBefore`. */
  validAfter: bigint;
  validBefore: bigint;
  criticalOptions: readonly string[];
  /** The blob of the authority's key. */
  authority: Buffer;
  /** `ssh-ed25519`, `rsa-sha2-512`, ... */
  signatureAlgorithm: string;
  /** Whether the authority's key made the signature. */
  isSigned: boolean;
}

/** Why a certificate of a known authority does not count. Times in ms since 1970. */
export type CertificateProblem =
  | { kind: 'expired'; until: number }
  | { kind: 'notYetValid'; from: number }
  | { kind: 'otherPrincipal'; principals: readonly string[] }
  | { kind: 'user' }
  | { kind: 'options'; names: readonly string[] }
  | { kind: 'algorithm'; name: string };

const suffix = '-cert-v01@openssh.com';

/** The plain type of each type of certificate; the SHA-2 names of RSA are algorithms, and tolerated as types. */
const plainTypes: Readonly<Record<string, string>> = {
  [`ssh-ed25519${suffix}`]: 'ssh-ed25519',
  [`ecdsa-sha2-nistp256${suffix}`]: 'ecdsa-sha2-nistp256',
  [`ecdsa-sha2-nistp384${suffix}`]: 'ecdsa-sha2-nistp384',
  [`ecdsa-sha2-nistp521${suffix}`]: 'ecdsa-sha2-nistp521',
  [`ssh-rsa${suffix}`]: 'ssh-rsa',
  [`rsa-sha2-256${suffix}`]: 'ssh-rsa',
  [`rsa-sha2-512${suffix}`]: 'ssh-rsa',
};

/** The type of certificate that holds a key of a plain type. */
export function certificateType(plainType: string): string {
  return `${plainType}${suffix}`;
}

/** How many strings a key consists of behind its type. */
function keyParts(plainType: string): number {
  return plainType === 'ssh-ed25519' ? 1 : 2;
}

/** Whether a key's blob calls itself a certificate, of whatever type. */
export function isCertificate(blob: Buffer): boolean {
  return /-cert-v\d\d@/.test(blobType(blob));
}

/** As in OpenSSH. */
const mostPrincipals = 256;

/** Reads a certificate; undefined for anything else, and for one that is signed by a certificate. */
export function parseHostCertificate(blob: Buffer): HostCertificate | undefined {
  return readWire(blob, (wire) => {
    const type = wire.text();
    const plainType = Object.hasOwn(plainTypes, type) ? plainTypes[type]! : wire.refuse();
    wire.string(); // the nonce
    const keyAt = blob.length - wire.left;
    for (let skipped = 0; skipped < keyParts(plainType); skipped++) wire.string();
    const plainKey = plainBlob(Buffer.concat([wireStrings(plainType), blob.subarray(keyAt, blob.length - wire.left)]));
    if (!readPublicKey(plainKey)) wire.refuse();
    const serial = wire.uint64();
    const role = wire.uint32();
    if (role !== 1 && role !== 2) wire.refuse();
    const keyId = wire.text();
    const principals = readList(wire.string(), (list) => list.text()) ?? wire.refuse();
    if (principals.length > mostPrincipals) wire.refuse();
    const [validAfter, validBefore] = [wire.uint64(), wire.uint64()];
    const criticalOptions = readOptions(wire.string()) ?? wire.refuse();
    if (!readOptions(wire.string())) wire.refuse();
    wire.string(); // reserved
    const authority = plainBlob(Buffer.from(wire.string()));
    const signedTo = blob.length - wire.left;
    const signature = wire.string();
    const algorithm = readWire(signature, (parts) => [parts.text(), parts.string()] as const)?.[0] ?? '';
    return {
      plainType,
      plainKey,
      serial,
      isHost: role === 2,
      keyId,
      principals,
      validAfter,
      validBefore,
      criticalOptions,
      authority,
      signatureAlgorithm: algorithm,
      // SHA-1 never counts, and an authority that is itself a certificate has no public key.
      isSigned: algorithm !== 'ssh-rsa' && verifySignature(authority, algorithm, blob.subarray(0, signedTo), signature),
    };
  });
}

/** The blob of the plain public key inside a certificate; undefined where it can't be read. */
export function plainHostKey(certificate: Buffer): Buffer | undefined {
  return parseHostCertificate(certificate)?.plainKey;
}

/** Their names. */
function readOptions(data: Buffer): string[] | undefined {
  return readList(data, (wire) => {
    const name = wire.text();
    wire.string();
    return name;
  });
}

/** CASignatureAlgorithms where nothing narrows it. */
const usualAlgorithms = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];

/**
 * Why a certificate does not count for the host, or undefined when it does. Its authority must be known and its signature
 * right; that is not looked at here. `name` is the host's without its port, `now` in ms since 1970.
 */
export function certificateProblem(
  certificate: HostCertificate,
  name: string,
  now: number,
  algorithms: readonly string[] = usualAlgorithms,
): CertificateProblem | undefined {
  const { principals, validAfter, validBefore, criticalOptions } = certificate;
  const seconds = BigInt(Math.floor(now / 1000));
  if (!certificate.isHost) return { kind: 'user' };
  if (seconds < validAfter) return { kind: 'notYetValid', from: milliseconds(validAfter) };
  if (seconds >= validBefore) return { kind: 'expired', until: milliseconds(validBefore) };
  // Without a list, older versions of ssh take it for every host; newer ones for none.
  if (!principals.includes(name)) return { kind: 'otherPrincipal', principals };
  if (criticalOptions.length > 0) return { kind: 'options', names: criticalOptions };
  if (!algorithms.includes(certificate.signatureAlgorithm))
    return { kind: 'algorithm', name: certificate.signatureAlgorithm };
  return undefined;
}

/** The latest time that a Date can hold. */
const latest = 8_640_000_000_000_000n;

function milliseconds(seconds: bigint): number {
  return Number(seconds * 1000n > latest ? latest : seconds * 1000n);
}
