// Public keys and signatures as SSH writes them (RFC 4253 section 6.6): read by bounds, so that bytes of strangers never throw.
import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { readList, readWire, unsignedNumber, wireMpint, wireStrings } from './wire.js';

/** The strings that bytes consist of (RFC 4251 section 5); undefined when there is anything else among them. */
export function wholeStrings(data: Buffer): readonly Buffer[] | undefined {
  return readList(data, (wire) => wire.string());
}

/** The type that a key's blob names in its first string, or `''` where it holds none. */
export function blobType(blob: Buffer): string {
  if (blob.length < 4) return '';
  const length = blob.readUInt32BE(0);
  return length <= 64 && blob.length >= 4 + length ? blob.toString('latin1', 4, 4 + length) : '';
}

/** How many bits a number without leading zeroes has. */
export function bitLength(number: Buffer): number {
  return number.length === 0 ? 0 : number.length * 8 - (Math.clz32(number[0]!) - 24);
}

interface Curve {
  /** DER in front of an uncompressed point. */
  spki: string;
  /** RFC 7518 section 6.2.1.1 */
  jwk: string;
  /** Of a coordinate, in bytes. */
  size: number;
  hash: string;
}

/** RFC 5656 section 10.1 */
export const curves: Readonly<Record<string, Curve>> = {
  nistp256: { spki: '3059301306072a8648ce3d020106082a8648ce3d030107034200', jwk: 'P-256', size: 32, hash: 'sha256' },
  nistp384: { spki: '3076301006072a8648ce3d020106052b81040022036200', jwk: 'P-384', size: 48, hash: 'sha384' },
  nistp521: { spki: '30819b301006072a8648ce3d020106052b8104002303818600', jwk: 'P-521', size: 66, hash: 'sha512' },
};

/** RFC 8332 section 3; SHA-1 is offered only when ssh_config asks for it. */
const rsaHashes: Readonly<Record<string, string>> = {
  'rsa-sha2-512': 'sha512',
  'rsa-sha2-256': 'sha256',
  'ssh-rsa': 'sha1',
};

/** OpenSSH reads no RSA key that is shorter, whatever RequiredRSASize says. */
export const leastRsaBits = 1024;
/** The longest modulus that OpenSSL takes. */
const mostRsaBits = 16_384;

const rsaTypes = ['ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512'];

function rsaParts(blob: Buffer): { e: Buffer; n: Buffer } | undefined {
  return readWire(blob, (wire) => (rsaTypes.includes(wire.text()) ? { e: wire.mpint(), n: wire.mpint() } : wire.refuse())); // prettier-ignore
}

/** The length of a plain RSA key's modulus, of any length; undefined for what is none. */
export function rsaBits(blob: Buffer): number | undefined {
  const parts = rsaParts(blob);
  return parts && bitLength(parts.n);
}

/**
 * The one blob of a plain key that stands for all that say the same, as ssh compares keys: of RSA's, the type may be one of
 * its algorithms, and numbers may have zeroes before them.
 */
export function plainBlob(blob: Buffer): Buffer {
  const parts = rsaParts(blob);
  return parts ? Buffer.concat([wireStrings('ssh-rsa'), wireMpint(parts.e), wireMpint(parts.n)]) : blob;
}

function ed25519Key(fields: readonly Buffer[]): KeyObject | undefined {
  const [point] = fields;
  if (fields.length !== 1 || point!.length !== 32) return undefined;
  return spkiKey('302a300506032b6570032100', point!);
}

function ecdsaKey(name: string, fields: readonly Buffer[]): KeyObject | undefined {
  const { spki, size } = curves[name]!;
  const [curve, point] = fields;
  if (fields.length !== 2 || curve!.toString('latin1') !== name) return undefined;
  return point!.length === 1 + 2 * size && point![0] === 4 ? spkiKey(spki, point!) : undefined;
}

function rsaKey(fields: readonly Buffer[]): KeyObject | undefined {
  const [e, n] = fields.map(unsignedNumber);
  if (fields.length !== 2 || !e || !n) return undefined;
  const bits = bitLength(n);
  if (bits < leastRsaBits || bits > mostRsaBits || e.length > 8) return undefined;
  return createPublicKey({
    key: { kty: 'RSA', e: e.toString('base64url'), n: n.toString('base64url') },
    format: 'jwk',
  });
}

function spkiKey(prefix: string, rest: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([Buffer.from(prefix, 'hex'), rest]), format: 'der', type: 'spki' });
}

/**
 * A key that a signature can be checked with: ssh-ed25519, ecdsa-sha2-nistp256, 384 and 521, ssh-rsa of 1024 bits and more.
 * Undefined for another type, a certificate, a damaged blob, or one with bytes behind the key.
 */
export function readPublicKey(blob: Buffer): { type: string; key: KeyObject } | undefined {
  const [name, ...fields] = wholeStrings(blob) ?? [];
  const type = name?.toString('latin1');
  try {
    const key =
      type === 'ssh-ed25519'
        ? ed25519Key(fields)
        : type === 'ssh-rsa'
          ? rsaKey(fields)
          : type?.startsWith('ecdsa-sha2-') && type.slice(11) in curves
            ? ecdsaKey(type.slice(11), fields)
            : undefined;
    return key && { type: type!, key };
  } catch {
    // OpenSSL's word: a point that is not on its curve.
    return undefined;
  }
}

/**
 * Whether a signature (RFC 4253 section 6.6: its algorithm's name and the rest) is one of the data by the key, made with
 * exactly this algorithm.
 */
export function verifySignature(blob: Buffer, algorithm: string, data: Buffer, signature: Buffer): boolean {
  const found = readPublicKey(blob);
  const [name, value, ...more] = wholeStrings(signature) ?? [];
  if (!found || !name || !value || more.length > 0 || name.toString('latin1') !== algorithm) return false;
  const { type, key } = found;
  try {
    if (type === 'ssh-rsa') {
      const hash = Object.hasOwn(rsaHashes, algorithm) ? rsaHashes[algorithm] : undefined;
      return hash !== undefined && verifyRsa(key, hash, data, value);
    }
    if (algorithm !== type) return false;
    if (type === 'ssh-ed25519') return value.length === 64 && verify(null, data, key, value);
    return verifyEcdsa(key, curves[type.slice(11)]!, data, value);
  } catch {
    return false;
  }
}

function verifyRsa(key: KeyObject, hash: string, data: Buffer, value: Buffer): boolean {
  const size = Math.ceil(key.asymmetricKeyDetails!.modulusLength! / 8);
  if (value.length === 0 || value.length > size) return false;
  // Some implementations leave leading zeroes out (RFC 8332 section 3); OpenSSH puts them back, too.
  return verify(hash, data, key, Buffer.concat([Buffer.alloc(size - value.length), value]));
}

/** RFC 5656 section 3.1.2 */
function verifyEcdsa(key: KeyObject, { size, hash }: Curve, data: Buffer, value: Buffer): boolean {
  const numbers = wholeStrings(value)?.map(unsignedNumber);
  if (numbers?.length !== 2) return false;
  const [r, s] = numbers.map((number) =>
    number && number.length <= size ? Buffer.concat([Buffer.alloc(size - number.length), number]) : undefined,
  );
  return r !== undefined && s !== undefined && verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat([r, s])); // prettier-ignore
}
