// The bridge from the key exchange of ssh2 1.17.0 to packets of our own: its AES-GCM costs twice the work a packet. Where
// ssh2 asks otherwise than it did, or the runtime’s cipher is not what it should be, nothing is given and ssh2 uses its own.
import {
  canSealPackets,
  createOpener,
  createSealer,
  type OnPayload,
  type Opener,
  type PacketKeys,
  type Sealer,
} from './packets.js';

type Unsure<T> = { readonly [key in keyof T]?: unknown };

/** What ssh2 gives to its createCipher and createDecipher, as far as it is used here. */
interface CipherConfig {
  outbound: {
    cipherInfo: { sslName: string };
    cipherKey: Buffer;
    cipherIV: Buffer;
    seqno: number;
    onWrite: (bytes: Buffer) => void;
  };
  inbound: {
    decipherInfo: { sslName: string };
    decipherKey: Buffer;
    decipherIV: Buffer;
    seqno: number;
    onPayload: OnPayload;
  };
}

const keyBytes: Readonly<Record<PacketKeys['name'], number>> = { 'aes-128-gcm': 16, 'aes-256-gcm': 32 };

function isName(name: unknown): name is PacketKeys['name'] {
  return typeof name === 'string' && Object.hasOwn(keyBytes, name);
}

function packetKeys(info: unknown, key: unknown, iv: unknown, sequence: unknown): PacketKeys | undefined {
  const name = (info as { sslName?: unknown } | null | undefined)?.sslName;
  if (!isName(name) || !Buffer.isBuffer(key) || key.length !== keyBytes[name]) return undefined;
  if (!Buffer.isBuffer(iv) || iv.length !== 12) return undefined;
  if (typeof sequence !== 'number' || sequence !== sequence >>> 0) return undefined;
  return { name, key, iv, sequence };
}

/** What the patched kex.js asks before it makes a cipher or decipher itself; undefined: it is to make its own. */
export const packetHooks = {
  cipher(config: Unsure<CipherConfig>): Sealer | undefined {
    const { cipherInfo, cipherKey, cipherIV, seqno, onWrite } = (config.outbound ?? {}) as Unsure<
      CipherConfig['outbound']
    >;
    const keys = packetKeys(cipherInfo, cipherKey, cipherIV, seqno);
    if (!keys || typeof onWrite !== 'function' || !canSealPackets()) return undefined;
    return createSealer(keys, onWrite as CipherConfig['outbound']['onWrite']);
  },
  decipher(config: Unsure<CipherConfig>): Opener | undefined {
    const { decipherInfo, decipherKey, decipherIV, seqno, onPayload } = (config.inbound ?? {}) as Unsure<
      CipherConfig['inbound']
    >;
    const keys = packetKeys(decipherInfo, decipherKey, decipherIV, seqno);
    if (!keys || typeof onPayload !== 'function' || !canSealPackets()) return undefined;
    return createOpener(keys, onPayload as OnPayload);
  },
};
