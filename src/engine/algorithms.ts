// What is offered to a server: what OpenSSH offers, in its order, less what this runtime and ssh2 can't do.
import {
  createCipheriv,
  createECDH,
  createPublicKey,
  generateKeyPairSync,
  getCipherInfo,
  getHashes,
} from 'node:crypto';
import type { AlgorithmUse } from '../core/failure.js';
import type { Algorithms } from '../core/sshConfig.js';
import { hostKeyType, isCertificateAlgorithm } from './keyExchange.js';

/** One kind of list; `needs` names what the runtime must have for it. */
interface Method {
  name: string;
  needs?: string;
  /** Offered only when ssh_config names it: OpenSSH leaves it out, too. */
  isWeak?: true;
}

const names = (...all: readonly string[]): Method[] => all.map((name) => ({ name }));
const each = (needs: string, ...all: readonly string[]): Method[] => all.map((name) => ({ name, needs }));
const weak = (...methods: readonly Method[]): Method[] => methods.map((method) => ({ ...method, isWeak: true }));

/**
 * OpenSSH 10's order, but for the ciphers: AES-GCM is the fastest by far where the processor has instructions for it (here
 * 1,500 MiB/s in the runtime against the 400 of ssh2's ChaCha20 with its Poly1305 in WebAssembly).
 */
const methods: Readonly<Record<AlgorithmUse, readonly Method[]>> = {
  kex: [
    ...each('x25519', 'mlkem768x25519-sha256', 'curve25519-sha256', 'curve25519-sha256@libssh.org'),
    ...each('curve prime256v1', 'ecdh-sha2-nistp256'),
    ...each('curve secp384r1', 'ecdh-sha2-nistp384'),
    ...each('curve secp521r1', 'ecdh-sha2-nistp521'),
    ...names('diffie-hellman-group-exchange-sha256', 'diffie-hellman-group16-sha512'),
    ...names('diffie-hellman-group18-sha512', 'diffie-hellman-group14-sha256'),
    ...weak(
      ...each('hash sha1', 'diffie-hellman-group14-sha1'),
      ...each('hash sha1', 'diffie-hellman-group-exchange-sha1', 'diffie-hellman-group1-sha1'),
    ),
  ],
  hostKey: [
    ...each('ed25519', 'ssh-ed25519-cert-v01@openssh.com'),
    ...each('curve prime256v1', 'ecdsa-sha2-nistp256-cert-v01@openssh.com'),
    ...each('curve secp384r1', 'ecdsa-sha2-nistp384-cert-v01@openssh.com'),
    ...each('curve secp521r1', 'ecdsa-sha2-nistp521-cert-v01@openssh.com'),
    ...names('rsa-sha2-512-cert-v01@openssh.com', 'rsa-sha2-256-cert-v01@openssh.com'),
    ...each('ed25519', 'ssh-ed25519'),
    ...each('curve prime256v1', 'ecdsa-sha2-nistp256'),
    ...each('curve secp384r1', 'ecdsa-sha2-nistp384'),
    ...each('curve secp521r1', 'ecdsa-sha2-nistp521'),
    ...names('rsa-sha2-512', 'rsa-sha2-256'),
    ...weak(...each('hash sha1', 'ssh-rsa')),
  ],
  cipher: [
    ...each('cipher aes-128-gcm', 'aes128-gcm@openssh.com'),
    ...each('cipher aes-256-gcm', 'aes256-gcm@openssh.com'),
    ...each('cipher aes-128-ctr', 'aes128-ctr'),
    ...each('cipher aes-192-ctr', 'aes192-ctr'),
    ...each('cipher aes-256-ctr', 'aes256-ctr'),
    ...each('cipher chacha20', 'chacha20-poly1305@openssh.com'),
    ...weak(
      ...each('cipher aes-128-cbc', 'aes128-cbc'),
      ...each('cipher aes-192-cbc', 'aes192-cbc'),
      ...each('cipher aes-256-cbc', 'aes256-cbc'),
      ...each('cipher des-ede3-cbc', '3des-cbc'),
    ),
  ],
  mac: [
    ...each('hash sha256', 'hmac-sha2-256-etm@openssh.com'),
    ...each('hash sha512', 'hmac-sha2-512-etm@openssh.com'),
    ...each('hash sha1', 'hmac-sha1-etm@openssh.com'),
    ...each('hash sha256', 'hmac-sha2-256'),
    ...each('hash sha512', 'hmac-sha2-512'),
    ...each('hash sha1', 'hmac-sha1'),
    ...weak(...each('hash sha1', 'hmac-sha1-96'), ...each('hash md5', 'hmac-md5', 'hmac-md5-96')),
  ],
};

/** Ciphers that need no MAC beside them. */
const authenticated = /-gcm@|-poly1305@/;

/** ChaCha20 goes first without it: 350 MiB/s in ssh2 against the 200 of AES-GCM that is computed by ordinary instructions. */
const quickAes = 'quick aes';
const chaCha20 = 'chacha20-poly1305@openssh.com';

/** Names as in `needs`, and `quick aes`. */
export type Abilities = ReadonlySet<string>;

let found: Abilities | undefined;

/** What this runtime can do: Electron's BoringSSL lacks some of what Node's OpenSSL has. Each is tried once. */
export function runtimeAbilities(): Abilities {
  if (found) return found;
  const needed = Object.values(methods)
    .flat()
    .flatMap(({ needs }) => (needs === undefined ? [] : [needs]));
  found = new Set([...needed, quickAes].filter(isAble));
  return found;
}

function isAble(ability: string): boolean {
  const [kind, name = ''] = ability.split(' ');
  try {
    switch (kind) {
      case 'cipher': {
        const { keyLength, ivLength = 0 } = getCipherInfo(name)!;
        createCipheriv(name, Buffer.alloc(keyLength), Buffer.alloc(ivLength));
        return true;
      }
      case 'curve':
        createECDH(name);
        return true;
      case 'quick':
        return isAesQuick(cipherMs);
      case 'hash':
        return getHashes().includes(name);
      case 'x25519':
        generateKeyPairSync('x25519');
        return true;
      default:
        createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) }, format: 'jwk' });
        return true;
    }
  } catch {
    return false;
  }
}

/**
 * Whether the processor has instructions for AES, told by its time beside that of ChaCha20, which has none anywhere: with
 * them the two are level (1.1 to 1.3 times in trials), without AES-GCM takes 3 to 4 times as long.
 */
export function isAesQuick(msOf: (cipher: string) => number): boolean {
  // In turn, and the best of each: something else may have run in between.
  const trials = Array.from({ length: 4 }, () => [msOf('aes-128-gcm'), msOf('chacha20')] as const);
  const best = (of: 0 | 1) => Math.min(...trials.map((trial) => trial[of]));
  return best(0) <= 2 * best(1);
}

const trialData = Buffer.alloc(16_384);

/** A tenth of a millisecond at most. */
function cipherMs(name: string): number {
  const { keyLength, ivLength = 0 } = getCipherInfo(name)!;
  const began = performance.now();
  createCipheriv(name, Buffer.alloc(keyLength), Buffer.alloc(ivLength)).update(trialData);
  return performance.now() - began;
}

/** What nothing is left of: an option of ssh_config names nothing that can be done here. */
export interface NothingToOffer {
  use: AlgorithmUse;
  asked: readonly string[];
  possible: readonly string[];
}

export type Offer = Readonly<Record<AlgorithmUse, readonly string[]>>;

/**
 * The lists to offer, best first: ssh_config's own where it has one. Host keys that are known come first, and certificates
 * that no authority is known for last: a server that has a plain key, too, is to show that.
 */
export function offeredAlgorithms(
  algorithms: Algorithms,
  knownKeyTypes: readonly string[],
  abilities: Abilities = runtimeAbilities(),
): Offer | NothingToOffer {
  const possible = (use: AlgorithmUse) =>
    methods[use].filter(({ needs }) => needs === undefined || abilities.has(needs));
  const inOrderOfSpeed = (names: string[]) =>
    !abilities.has(quickAes) && names.includes(chaCha20) ? [...new Set([chaCha20, ...names])] : names;
  const list = (use: AlgorithmUse): readonly string[] => {
    const able = possible(use);
    const asked = algorithms[use];
    if (!asked) return inOrderOfSpeed(able.filter(({ isWeak }) => !isWeak).map(({ name }) => name));
    return [...new Set(asked)].filter((name) => able.some((method) => method.name === name));
  };
  const offer = {
    kex: list('kex'),
    hostKey: inOrderOfKnown(list('hostKey'), knownKeyTypes),
    cipher: list('cipher'),
    mac: list('mac'),
  };
  if (offer.mac.length === 0) {
    // The ciphers that bring their own will do, as in ssh; ssh2 wants a list all the same, which then counts for nothing.
    const alone = offer.cipher.filter((name) => authenticated.test(name));
    if (alone.length > 0) Object.assign(offer, { cipher: alone, mac: possible('mac').map(({ name }) => name) });
  }
  for (const use of ['kex', 'hostKey', 'cipher', 'mac'] as const)
    if (offer[use].length === 0)
      return { use, asked: algorithms[use] ?? [], possible: possible(use).map(({ name }) => name) };
  return offer;
}

function inOrderOfKnown(names: readonly string[], known: readonly string[]): string[] {
  const rank = (name: string) => {
    const at = known.findIndex((type) => type === name || type === hostKeyType(name));
    return at >= 0 ? at : known.length + (isCertificateAlgorithm(name) ? 1 : 0);
  };
  return names.toSorted((one, other) => rank(one) - rank(other));
}

/** The lists that somebody set: `ssh -G` prints OpenSSH's own, `builtIn`, in full where nobody did. */
export function askedAlgorithms(printed: Algorithms, builtIn: Algorithms): Algorithms {
  const isBuiltIn = (use: AlgorithmUse) => printed[use]?.join() === builtIn[use]?.join();
  const asked = { ...printed };
  for (const use of ['kex', 'hostKey', 'cipher', 'mac'] as const) if (isBuiltIn(use)) delete asked[use];
  return asked;
}
