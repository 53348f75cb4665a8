// What ssh2 lacks in a key exchange; ssh2Patches.mjs makes it call these. An Error that is thrown here ends the connection.
import { createHash, createPublicKey, diffieHellman, generateKeyPairSync, randomBytes } from 'node:crypto';
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { plainHostKey } from '../core/hostCertificate.js';
import { bitLength, readPublicKey, verifySignature } from '../core/publicKey.js';
import { unsignedNumber } from '../core/wire.js';

const certificate = '-cert-v01@openssh.com';

export function isCertificateAlgorithm(algorithm: string): boolean {
  return algorithm.endsWith(certificate);
}

/** The algorithm that a certificate's key signs with: the name without the certificate's part. */
function plainAlgorithm(algorithm: string): string {
  return isCertificateAlgorithm(algorithm) ? algorithm.slice(0, -certificate.length) : algorithm;
}

/** The type that a host key names which is proved by an algorithm: RSA keys know nothing of SHA-2 (RFC 8332 section 3). */
export function hostKeyType(algorithm: string): string {
  return algorithm.replace(/^rsa-sha2-(?:256|512)/, 'ssh-rsa');
}

/** The client's half of mlkem768x25519-sha256 (draft-ietf-sshm-mlkem-hybrid-kex). */
export interface HybridHalf {
  /** ML-KEM-768's key, 1184 bytes, and X25519's, 32. */
  publicValue: Buffer;
  /** The shared secret for the server's ciphertext, 1088 bytes, and X25519 value, 32. Throws for any other length. */
  secret(answer: Buffer): Buffer;
}

const ciphertextSize = 1088;
const x25519Prefix = Buffer.from('302a300506032b656e032100', 'hex');

export function startHybrid(): HybridHalf {
  const kem = ml_kem768.keygen();
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return {
    publicValue: Buffer.concat([
      kem.publicKey,
      publicKey.export({ format: 'der', type: 'spki' }).subarray(x25519Prefix.length),
    ]),
    secret(answer) {
      if (answer.length !== ciphertextSize + 32) throw new Error('the ML-KEM answer has a wrong length');
      const theirs = Buffer.concat([x25519Prefix, answer.subarray(ciphertextSize)]);
      const classical = diffieHellman({
        privateKey,
        publicKey: createPublicKey({ key: theirs, format: 'der', type: 'spki' }),
      });
      if (classical.every((byte) => byte === 0)) throw new Error('the X25519 secret is zero');
      return createHash('sha256')
        .update(ml_kem768.decapsulate(answer.subarray(0, ciphertextSize), kem.secretKey))
        .update(classical)
        .digest();
    },
  };
}

/** Whether a blob is a key that can prove a host, or a certificate with one, and nothing else. */
export function isHostKey(blob: Buffer): boolean {
  return readPublicKey(plainHostKey(blob) ?? blob) !== undefined;
}

/** Whether the host signed the exchange (RFC 4253 section 8) with its key, or the key in its certificate; throws when not. */
function checkSignature(algorithm: string, hostKey: Buffer, signature: Buffer, exchangeHash: Buffer): void {
  const key = isCertificateAlgorithm(algorithm) ? plainHostKey(hostKey) : hostKey;
  if (!key || !verifySignature(key, plainAlgorithm(algorithm), exchangeHash, signature))
    throw new Error('the server has not proved that it has its host key (wrong signature)');
}

/** The coordinates of the curves, in bytes. */
const ecdhSizes: Readonly<Record<string, number>> = {
  'ecdh-sha2-nistp256': 32,
  'ecdh-sha2-nistp384': 48,
  'ecdh-sha2-nistp521': 66,
};

/**
 * Throws for a server's public value that OpenSSH refuses: for Diffie-Hellman outside of 2 to p - 2 or almost without bits
 * (RFC 4253 section 8), and for a curve one of another form. Whether a point is on its curve is OpenSSL's to say.
 */
export function checkAnswer(algorithm: string, answer: Buffer, group: { prime: Buffer } | undefined): void {
  const size = ecdhSizes[algorithm];
  if (size !== undefined && (answer.length !== 1 + 2 * size || answer[0] !== 4))
    throw new Error('the server’s ECDH value has a wrong form');
  if (algorithm.startsWith('curve25519-') && answer.length !== 32)
    throw new Error('the server’s X25519 value has a wrong length');
  if (!group) return;
  const value = unsignedNumber(answer);
  const prime = unsignedNumber(group.prime);
  if (!value || !prime || compare(value, Buffer.from([1])) <= 0 || compare(value, minusOne(prime)) >= 0)
    throw new Error('the server’s Diffie-Hellman value is out of range');
  if (bitsSet(value) < fewestBitsSet) throw new Error('the server’s Diffie-Hellman value is trivial');
}

/** OpenSSH's dh_pub_is_valid. */
const fewestBitsSet = 4;

/** Throws for a group (RFC 4419 section 3) that is out of the bounds that were asked for, in bits, or can't be one. */
export function checkGroup(prime: Buffer, generator: Buffer, fewest: number, most: number): void {
  const p = unsignedNumber(prime);
  const g = unsignedNumber(generator);
  if (!p || !g) throw new Error('the server’s Diffie-Hellman group has a negative number');
  const bits = bitLength(p);
  if (bits < fewest || bits > most)
    throw new Error(`the server’s Diffie-Hellman group has ${bits} bits, not ${fewest} to ${most}`);
  if ((p.at(-1)! & 1) === 0 || compare(g, Buffer.from([1])) <= 0 || compare(g, minusOne(p)) >= 0)
    throw new Error('the server’s Diffie-Hellman group is none');
}

/** Of numbers without leading zeroes. */
function compare(one: Buffer, other: Buffer): number {
  return one.length - other.length || Buffer.compare(one, other);
}

/** Of an odd number, as primes are. */
function minusOne(odd: Buffer): Buffer {
  const less = Buffer.from(odd);
  less[less.length - 1]! &= 0xfe;
  return less;
}

function bitsSet(value: Buffer): number {
  let count = 0;
  for (const byte of value) for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}

/** Diffie-Hellman in the form of node:crypto's, as far as ssh2 uses it. */
interface GroupHalf {
  generateKeys(): Buffer;
  computeSecret(answer: Buffer): Buffer;
  getPrime(): Buffer;
  getGenerator(): Buffer;
}

/** Of a private number: twice the strength of the strongest cipher here (RFC 4419 section 6.2). */
const privateBits = 512;

/**
 * One exchange in a group. OpenSSL would first look whether the prime is one, which takes 4 seconds for 4096 bits and 30
 * for 8192, with the whole engine waiting; OpenSSH doesn't look either. The private number is used once, so that the time
 * it takes tells nobody anything.
 */
export function groupHalf(prime: Buffer, generator: Buffer): GroupHalf {
  const p = numberOf(prime);
  const g = numberOf(generator);
  const bits = Math.min(privateBits, bitLength(bytesOf(p)) - 1);
  const x = (numberOf(randomBytes(Math.ceil(bits / 8))) % (1n << BigInt(bits))) | (1n << BigInt(bits - 1));
  return {
    generateKeys: () => bytesOf(power(g, x, p)),
    computeSecret: (answer) => bytesOf(power(numberOf(answer), x, p)),
    getPrime: () => bytesOf(p),
    getGenerator: () => bytesOf(g),
  };
}

/** RFC 2409 section 6.2 and RFC 3526: 2^n - 2^(n - 64) - 1 + 2^64 * ([2^(n - 130) pi] + k), generator 2. */
const groups: Readonly<Record<string, { bits: number; k: bigint }>> = {
  modp2: { bits: 1024, k: 129_093n },
  modp14: { bits: 2048, k: 124_476n },
  modp15: { bits: 3072, k: 1_690_314n },
  modp16: { bits: 4096, k: 240_904n },
  modp17: { bits: 6144, k: 929_484n },
  modp18: { bits: 8192, k: 4_743_158n },
};

/** A group by its name in node:crypto: Electron lacks some, and in it others are as slow as unknown ones. */
export function namedGroupHalf(name: string): GroupHalf {
  const { bits, k } = groups[name]!;
  const n = BigInt(bits);
  const prime = (1n << n) - (1n << (n - 64n)) - 1n + ((piTimes2To(n - 130n) + k) << 64n);
  return groupHalf(bytesOf(prime), Buffer.of(2));
}

/** Machin: pi = 16 arctan 1/5 - 4 arctan 1/239. */
function piTimes2To(bits: bigint): bigint {
  const spare = 64n;
  const arctan = (denominator: bigint) => {
    let term = (1n << (bits + spare)) / denominator;
    let sum = 0n;
    for (let odd = 1n; term !== 0n; odd += 2n) {
      sum += odd % 4n === 1n ? term / odd : -(term / odd);
      term /= denominator * denominator;
    }
    return sum;
  };
  return (16n * arctan(5n) - 4n * arctan(239n)) >> spare;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus;
    if (bit === '1') result = (result * base) % modulus;
  }
  return result;
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x0${bytes.toString('hex')}`);
}

function bytesOf(number: bigint): Buffer {
  const hex = number.toString(16);
  return Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
}

/** What the patched ssh2 calls. */
export const keyExchangeHooks = {
  startHybrid,
  groupHalf,
  namedGroupHalf,
  hostKeyType,
  checkSignature,
  checkAnswer,
  checkGroup,
};
