// Private keys from files: OpenSSH's own form, PEM (PKCS#1, SEC1, PKCS#8), PuTTY's .ppk; and signatures with them.
import { createPrivateKey, sign, type JsonWebKey, type KeyObject } from 'node:crypto';
import { errorCode } from '../core/failure.js';
import { printable } from '../core/printable.js';
import { isPuttyKey, puttyPublicBlob, readPuttyKey } from '../core/puttyKey.js';
import { bitLength, curves, leastRsaBits, wholeStrings } from '../core/publicKey.js';
import { parsePublicLine, isSecurityKey, readUserKey, type UserKey } from '../core/userKey.js';
import { openSshKeyPem } from './sshClient.js';
import { readWire, unsignedNumber, wireMpint, wireStrings } from '../core/wire.js';

export interface PrivateKey {
  /** RFC 4253 section 6.6; made of the private half. */
  publicBlob: Buffer;
  /** PKCS#8 without a passphrase. */
  pem(): string;
  /** The signature's blob. Throws for an algorithm that is none of the key's. */
  sign(data: Buffer, algorithm: string): Buffer;
}

export type PrivateKeyResult =
  | { kind: 'key'; key: PrivateKey }
  | { kind: 'encrypted' }
  | { kind: 'wrongPassphrase' }
  /** The file only points to a security key. */
  | { kind: 'securityKey' }
  /** It is encrypted in a way that can't be undone here; `name` may be empty. */
  | { kind: 'cipherUnknown'; name: string }
  /** It takes longer to open than anybody waits. */
  | { kind: 'tooMuchWork' }
  | { kind: 'invalid' };

const openSshArmour = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----END/;

/** What its passphrase is made into a key with; 100 rounds take some 4 s, and ssh-keygen takes 16 or 24. */
const mostRounds = 256;

/** Those of ssh-keygen -Z, and of older ones, that ssh2 can undo. */
const openSshCiphers = /^(none|3des-cbc|aes(128|192|256)-(cbc|ctr)|aes(128|256)-gcm@openssh\.com)$/;

/**
 * Reads a private key's file text; `encrypted` where a passphrase is needed and none was given. With one it can take
 * seconds: keyThread's does it where nothing has to wait. Never throws.
 */
export function readPrivateKey(text: string, passphrase: string | undefined): PrivateKeyResult {
  try {
    const read = readKeyObject(text, passphrase);
    if (read.kind !== 'key') return read;
    const key = privateKeyOf(read.object);
    if (!key) return { kind: 'invalid' };
    // As ssh does: a file whose two halves don't belong together is offered as one key and signs with another.
    return read.publicBlob && !read.publicBlob.equals(key.publicBlob) ? { kind: 'invalid' } : { kind: 'key', key };
  } catch {
    return { kind: 'invalid' };
  }
}

type KeyObjectResult =
  { kind: 'key'; object: KeyObject; publicBlob?: Buffer } | Exclude<PrivateKeyResult, { kind: 'key' }>;

function readKeyObject(text: string, passphrase: string | undefined): KeyObjectResult {
  if (isPuttyKey(text)) {
    const read = readPuttyKey(text, passphrase);
    if (read.kind !== 'key') return read;
    const jwk = puttyJwk(read.publicBlob, read.privateBlob);
    if (!jwk) return { kind: 'invalid' };
    return { kind: 'key', object: createPrivateKey({ key: jwk, format: 'jwk' }), publicBlob: read.publicBlob };
  }
  if (openSshArmour.test(text)) {
    const { publicBlob, cipher, derivation, rounds } = openPart(text) ?? {};
    const open = publicBlob && readUserKey(publicBlob);
    if (!open) return { kind: 'invalid' };
    if (isSecurityKey(open)) return { kind: 'securityKey' };
    if (!openSshCiphers.test(cipher!)) return { kind: 'cipherUnknown', name: cipher! };
    if (derivation !== (cipher === 'none' ? 'none' : 'bcrypt')) return { kind: 'cipherUnknown', name: derivation! };
    if (rounds! > mostRounds) return { kind: 'tooMuchWork' };
    // bcrypt takes no empty one.
    if (cipher !== 'none' && passphrase === '') return { kind: 'wrongPassphrase' };
    const read = openSshKeyPem(text.replace(/\r\n?/g, '\n'), passphrase);
    return read.kind === 'key' ? { kind: 'key', object: createPrivateKey(read.pem), publicBlob } : read;
  }
  if (!/-----BEGIN (RSA |EC |ENCRYPTED )?PRIVATE KEY-----/.test(text)) return { kind: 'invalid' };
  const isEncrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text);
  if (isEncrypted && passphrase === undefined) return { kind: 'encrypted' };
  try {
    return { kind: 'key', object: createPrivateKey({ key: text, ...(isEncrypted && { passphrase }) }) };
  } catch (error) {
    if (!isEncrypted) return { kind: 'invalid' };
    // OpenSSL's and BoringSSL's words for what they can't decrypt; for a wrong passphrase they have many.
    const isUnknown = /EVP_UNSUPPORTED|UNKNOWN_ALGORITHM|UNSUPPORTED_(CIPHER|ENCRYPTION)/.test(errorCode(error));
    return isUnknown ? { kind: 'cipherUnknown', name: '' } : { kind: 'wrongPassphrase' };
  }
}

const base64url = (data: Buffer) => data.toString('base64url');

/** The strings at the start of bytes that may have padding behind them; as many as are asked for, or undefined. */
function leading(data: Buffer, count: number): readonly Buffer[] | undefined {
  return readWire(data, (wire) => {
    const strings = Array.from({ length: count }, () => wire.string());
    while (wire.left > 0) wire.byte();
    return strings;
  });
}

function puttyJwk(publicBlob: Buffer, privateBlob: Buffer): JsonWebKey | undefined {
  const [name, ...open] = wholeStrings(publicBlob) ?? [];
  const type = name?.toString('latin1') ?? '';
  if (type === 'ssh-rsa') {
    const [[e, n], secret] = [open, leading(privateBlob, 4)];
    if (!e || !n || !secret) return undefined;
    const [d, p, q, qi] = secret as [Buffer, Buffer, Buffer, Buffer];
    const number = (data: Buffer) => BigInt(`0x${data.toString('hex') || '0'}`);
    const remainder = (prime: Buffer) => {
      const hex = (number(d) % (number(prime) - 1n)).toString(16);
      return Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
    };
    const parts = { n, e, d, p, q, qi, dp: remainder(p), dq: remainder(q) };
    const encoded = Object.entries(parts).map(([name, value]) => [name, unsignedNumber(value)?.toString('base64url')]);
    return { kty: 'RSA', ...(Object.fromEntries(encoded) as JsonWebKey) };
  }
  const [d] = leading(privateBlob, 1) ?? [];
  if (!d) return undefined;
  if (type === 'ssh-ed25519') {
    // PuTTY writes it as a number, its lowest byte first.
    if (open.length !== 1 || d.length > 32) return undefined;
    const padded = Buffer.concat([d, Buffer.alloc(32 - d.length)]);
    return { kty: 'OKP', crv: 'Ed25519', x: base64url(open[0]!), d: base64url(padded) };
  }
  const [named, point] = open;
  const curveName = named?.toString('latin1') ?? '';
  const curve = type === `ecdsa-sha2-${curveName}` && Object.hasOwn(curves, curveName) ? curves[curveName] : undefined;
  if (!curve || point?.length !== 1 + 2 * curve.size || point[0] !== 4) return undefined;
  const scalar = unsignedNumber(d);
  if (!scalar || scalar.length > curve.size) return undefined;
  return {
    kty: 'EC',
    crv: curve.jwk,
    x: base64url(point.subarray(1, 1 + curve.size)),
    y: base64url(point.subarray(1 + curve.size)),
    d: base64url(Buffer.concat([Buffer.alloc(curve.size - scalar.length), scalar])),
  };
}

function privateKeyOf(object: KeyObject): PrivateKey | undefined {
  const jwk = object.export({ format: 'jwk' });
  const part = (name: 'n' | 'e' | 'x' | 'y') => Buffer.from(jwk[name] ?? '', 'base64url');
  const wrapped = (algorithm: string, signature: Buffer) => wireStrings(algorithm, signature);
  const pem = () => object.export({ format: 'pem', type: 'pkcs8' }) as string;
  const refuse = (algorithm: string): never => {
    throw new Error(`the key does not sign with ${algorithm}`);
  };
  switch (jwk.kty) {
    case 'RSA': {
      if (bitLength(part('n')) < leastRsaBits) return undefined;
      return {
        pem,
        publicBlob: Buffer.concat([wireStrings('ssh-rsa'), wireMpint(part('e')), wireMpint(part('n'))]),
        sign(data, algorithm) {
          const [, hash] = /^rsa-sha2-(256|512)$/.exec(algorithm) ?? [];
          return hash ? wrapped(algorithm, sign(`sha${hash}`, data, object)) : refuse(algorithm);
        },
      };
    }
    case 'OKP': {
      if (jwk.crv !== 'Ed25519') return undefined;
      const type = 'ssh-ed25519';
      return {
        pem,
        publicBlob: wireStrings(type, part('x')),
        sign: (data, algorithm) => (algorithm === type ? wrapped(type, sign(null, data, object)) : refuse(algorithm)),
      };
    }
    case 'EC': {
      const [name, curve] = Object.entries(curves).find(([, { jwk: crv }]) => crv === jwk.crv) ?? [];
      if (!name || !curve) return undefined;
      const type = `ecdsa-sha2-${name}`;
      const point = Buffer.concat([Buffer.of(4), part('x'), part('y')]);
      return {
        pem,
        publicBlob: wireStrings(type, name, point),
        sign(data, algorithm) {
          if (algorithm !== type) return refuse(algorithm);
          const pair = sign(curve.hash, data, { key: object, dsaEncoding: 'ieee-p1363' });
          // RFC 5656 section 3.1.2
          const numbers = [pair.subarray(0, curve.size), pair.subarray(curve.size)].map(wireMpint);
          return wrapped(type, Buffer.concat(numbers));
        },
      };
    }
    default:
      return undefined;
  }
}

/**
 * What a file tells of its key without a passphrase: of a public key's or certificate's line, an OpenSSH private key, a
 * .ppk; undefined where there is nothing.
 */
export function publicPart(text: string): UserKey | undefined {
  const blob = isPuttyKey(text)
    ? puttyPublicBlob(text)
    : openSshArmour.test(text)
      ? openPart(text)?.publicBlob
      : undefined;
  return blob ? readUserKey(blob) : parsePublicLine(text);
}

interface OpenPart {
  publicBlob: Buffer;
  /** Printable. */
  cipher: string;
  derivation: string;
  /** 0 without a derivation that counts them. */
  rounds: number;
}

/** OpenSSH PROTOCOL.key: magic, cipher, kdf, kdf options, number of keys, public key. */
function openPart(text: string): OpenPart | undefined {
  const data = Buffer.from(openSshArmour.exec(text)?.[1] ?? '', 'base64');
  const magic = 'openssh-key-v1\0';
  if (data.toString('latin1', 0, magic.length) !== magic) return undefined;
  return readWire(data.subarray(magic.length), (wire) => {
    const [cipher, derivation] = [printable(wire.text()), printable(wire.text())];
    const options = wire.string();
    const rounds = derivation === 'bcrypt' ? readWire(options, (inner) => (inner.string(), inner.uint32())) : 0;
    if (rounds === undefined || wire.uint32() < 1) return wire.refuse();
    const publicBlob = wire.string();
    // The private half, and the tag of a cipher that has one.
    wire.string();
    while (wire.left > 0) wire.byte();
    return { publicBlob, cipher, derivation, rounds };
  });
}
