// PuTTY's private key files (.ppk), versions 2 and 3: "PuTTY documentation, appendix C".
import { createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { argon2d, argon2i, argon2id } from '@noble/hashes/argon2.js';
import { printable } from './printable.js';
import { readUserKey } from './userKey.js';
import { wireStrings } from './wire.js';

export interface PuttyKey {
  /** RFC 4253 section 6.6 */
  publicBlob: Buffer;
  /** What the key's type has besides its public numbers, in PuTTY's order, with padding behind it. */
  privateBlob: Buffer;
}

export type PuttyKeyResult =
  | ({ kind: 'key' } & PuttyKey)
  | { kind: 'encrypted' }
  | { kind: 'wrongPassphrase' }
  /** Encrypted by what this doesn't know. */
  | { kind: 'cipherUnknown'; name: string }
  /** It asks for more memory or time than a key is worth. */
  | { kind: 'tooMuchWork' }
  | { kind: 'invalid' };

const firstLine = /^PuTTY-User-Key-File-([23]): (\S+)$/;

export function isPuttyKey(text: string): boolean {
  return text.startsWith('PuTTY-User-Key-File-');
}

interface File {
  version: 2 | 3;
  type: string;
  encryption: string;
  comment: string;
  publicBlob: Buffer;
  privateBlob: Buffer;
  headers: ReadonlyMap<string, string>;
}

function readFile(text: string): File | undefined {
  const lines = text.split(/\r\n|\n|\r/);
  const [, version, type] = firstLine.exec(lines[0] ?? '') ?? [];
  if (!type) return undefined;
  const headers = new Map<string, string>();
  const blobs: Record<string, Buffer> = {};
  for (let at = 1; at < lines.length; at++) {
    const [, name, value] = /^([A-Za-z0-9-]+): (.*)$/.exec(lines[at]!) ?? [];
    if (name === undefined) continue;
    headers.set(name, value!);
    if (!/^(Public|Private)-Lines$/.test(name)) continue;
    const count = /^\d{1,4}$/.test(value!) ? Number(value) : -1;
    if (count < 0 || at + count >= lines.length) return undefined;
    blobs[name] = Buffer.from(lines.slice(at + 1, at + 1 + count).join(''), 'base64');
    at += count;
  }
  const [publicBlob, privateBlob] = [blobs['Public-Lines'], blobs['Private-Lines']];
  if (!publicBlob || !privateBlob || readUserKey(publicBlob)?.type !== type) return undefined;
  return {
    version: version === '2' ? 2 : 3,
    type,
    encryption: headers.get('Encryption') ?? '',
    comment: headers.get('Comment') ?? '',
    publicBlob,
    privateBlob,
    headers,
  };
}

/** The public half, for which no passphrase is needed; undefined for what is no such file. */
export function puttyPublicBlob(text: string): Buffer | undefined {
  return readFile(text)?.publicBlob;
}

/** `encrypted` where a passphrase is needed and none was given. With one it can take seconds. */
export function readPuttyKey(text: string, passphrase: string | undefined): PuttyKeyResult {
  const file = readFile(text);
  if (!file) return { kind: 'invalid' };
  const isEncrypted = file.encryption === 'aes256-cbc';
  if (!isEncrypted && file.encryption !== 'none') return { kind: 'cipherUnknown', name: printable(file.encryption) };
  if (isEncrypted && (file.privateBlob.length === 0 || file.privateBlob.length % 16 !== 0)) return { kind: 'invalid' };
  const derivation = isEncrypted && file.version === 3 ? readDerivation(file) : undefined;
  if (derivation && !('derive' in derivation)) return derivation;
  if (isEncrypted && passphrase === undefined) return { kind: 'encrypted' };
  const keys = file.version === 2 ? secondKeys(passphrase ?? '', isEncrypted) : thirdKeys(derivation, passphrase ?? '');
  const privateBlob = isEncrypted ? decrypt(file.privateBlob, keys) : file.privateBlob;
  const covered = wireStrings(file.type, file.encryption, file.comment, file.publicBlob, privateBlob);
  const mac = createHmac(file.version === 2 ? 'sha1' : 'sha256', keys.mac)
    .update(covered)
    .digest();
  const written = Buffer.from(file.headers.get('Private-MAC') ?? '', 'hex');
  if (written.length !== mac.length || !timingSafeEqual(written, mac))
    return { kind: isEncrypted ? 'wrongPassphrase' : 'invalid' };
  return { kind: 'key', publicBlob: file.publicBlob, privateBlob };
}

interface FileKeys {
  cipher: Buffer;
  iv: Buffer;
  mac: Buffer;
}

function decrypt(data: Buffer, { cipher, iv }: FileKeys): Buffer {
  const decipher = createDecipheriv('aes-256-cbc', cipher, iv).setAutoPadding(false);
  return Buffer.concat([decipher.update(data), decipher.final()]);
}

function secondKeys(passphrase: string, isEncrypted: boolean): FileKeys {
  const part = (index: number) =>
    createHash('sha1')
      .update(Buffer.of(0, 0, 0, index))
      .update(passphrase)
      .digest();
  return {
    cipher: Buffer.concat([part(0), part(1)]).subarray(0, 32),
    iv: Buffer.alloc(16),
    mac: createHash('sha1')
      .update('putty-private-key-file-mac-key')
      .update(isEncrypted ? passphrase : '')
      .digest(),
  };
}

const derivations = { Argon2d: argon2d, Argon2i: argon2i, Argon2id: argon2id };

/** KiB; puttygen writes 8192. */
const mostMemory = 65_536;
/** KiB in all passes: some 10 s. puttygen writes what takes it a tenth of a second, up to 300 000. */
const mostWork = 1_048_576;

interface Derivation {
  derive: typeof argon2id;
  salt: Buffer;
  m: number;
  t: number;
  p: number;
}

function readDerivation({ headers }: File): Derivation | Exclude<PuttyKeyResult, { kind: 'key' }> {
  const name = headers.get('Key-Derivation') ?? '';
  if (!Object.hasOwn(derivations, name)) return { kind: 'cipherUnknown', name: printable(name) };
  const derive = derivations[name as keyof typeof derivations];
  const number = (keyword: string) => Number(/^[1-9]\d{0,9}$/.exec(headers.get(keyword) ?? '')?.[0] ?? 0);
  const [m, t, p] = [number('Argon2-Memory'), number('Argon2-Passes'), number('Argon2-Parallelism')];
  const salt = headers.get('Argon2-Salt') ?? '';
  if (!/^([0-9a-f]{2}){8,64}$/i.test(salt) || !t || !p || m < 8 * p) return { kind: 'invalid' };
  if (m > mostMemory || m * t > mostWork) return { kind: 'tooMuchWork' };
  return { derive, salt: Buffer.from(salt, 'hex'), m, t, p };
}

function thirdKeys(derivation: Derivation | undefined, passphrase: string): FileKeys {
  if (!derivation) return { cipher: Buffer.alloc(0), iv: Buffer.alloc(0), mac: Buffer.alloc(0) };
  const { derive, salt, m, t, p } = derivation;
  const made = Buffer.from(derive(Buffer.from(passphrase, 'utf8'), salt, { m, t, p, dkLen: 80 }));
  return { cipher: made.subarray(0, 32), iv: made.subarray(32, 48), mac: made.subarray(48) };
}
