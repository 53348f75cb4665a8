// The bridge from the key exchange of ssh2 1.17.0 to packets of our own: its AES-GCM costs twice the work a small packet, and
// three writes. Where ssh2 asks otherwise than it did, or the runtime’s cipher is not what it should be, nothing is given and
// ssh2 uses its own.
import {
  canSealPackets,
  createOpener,
  createSealer,
  type OnPayload,
  type Opener,
  type PacketKeys,
  type Sealer,
} from './packets.js';

/** What ssh2 gives to its createCipher and createDecipher; nothing of it is taken for granted. */
interface CipherConfig {
  outbound?: Partial<Record<'cipherInfo' | 'cipherKey' | 'cipherIV' | 'seqno' | 'onWrite', unknown>>;
  inbound?: Partial<Record<'decipherInfo' | 'decipherKey' | 'decipherIV' | 'seqno' | 'onPayload', unknown>>;
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
  cipher({ outbound }: CipherConfig): Sealer | undefined {
    const { cipherInfo, cipherKey, cipherIV, seqno, onWrite } = outbound ?? {};
    const keys = packetKeys(cipherInfo, cipherKey, cipherIV, seqno);
    if (!keys || typeof onWrite !== 'function' || !canSealPackets()) return undefined;
    return createSealer(keys, onWrite as (bytes: Buffer) => void);
  },
  decipher({ inbound }: CipherConfig): Opener | undefined {
    const { decipherInfo, decipherKey, decipherIV, seqno, onPayload } = inbound ?? {};
    const keys = packetKeys(decipherInfo, decipherKey, decipherIV, seqno);
    if (!keys || typeof onPayload !== 'function' || !canSealPackets()) return undefined;
    return createOpener(keys, onPayload as OnPayload);
  },
};
