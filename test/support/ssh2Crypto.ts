// ssh2's own AES-GCM packets: no patch touches them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { patchSsh2 } from '../../ssh2Patches.mjs';
import type { OnPayload, PacketKeys } from '../../src/engine/packets.js';

interface Ssh2Cipher {
  outSeqno: number;
  allocPacket(payloadLength: number): Buffer;
  encrypt(packet: Buffer): void;
}

interface Ssh2Decipher {
  inSeqno: number;
  decrypt(data: Buffer, start: number, end: number): number | undefined;
}

interface Ssh2Crypto {
  CIPHER_INFO: Record<string, object>;
  createCipher(config: { outbound: object }): Ssh2Cipher;
  createDecipher(config: { inbound: object }): Ssh2Decipher;
}

interface Ssh2Protocol {
  prototype: { channelData(this: object, recipient: number, data: Buffer): void };
}

const load = createRequire(__filename);
const path = load.resolve('ssh2/lib/protocol/crypto.js');
assert.equal(patchSsh2(path, readFileSync(path, 'utf8')), undefined);
const crypto = load(path) as Ssh2Crypto;

function infoOf(name: PacketKeys['name']): object {
  return crypto.CIPHER_INFO[name === 'aes-128-gcm' ? 'aes128-gcm' : 'aes256-gcm']!;
}

/** What ssh2's key exchange asks a cipher for. */
export function cipherConfig({ name, key, iv, sequence }: PacketKeys, onWrite: (bytes: Buffer) => void) {
  const outbound = { cipherInfo: infoOf(name), cipherKey: key, cipherIV: Buffer.from(iv), seqno: sequence, onWrite };
  return { outbound: { ...outbound, forceNative: true } };
}

/** What ssh2's key exchange asks a decipher for. */
export function decipherConfig({ name, key, iv, sequence }: PacketKeys, onPayload: OnPayload) {
  const keyed = { decipherInfo: infoOf(name), decipherKey: key, decipherIV: Buffer.from(iv) };
  return { inbound: { ...keyed, seqno: sequence, onPayload, forceNative: true } };
}

export function createSsh2Cipher(keys: PacketKeys, onWrite: (bytes: Buffer) => void): Ssh2Cipher {
  return crypto.createCipher(cipherConfig(keys, onWrite));
}

export function createSsh2Decipher(keys: PacketKeys, onPayload: OnPayload): Ssh2Decipher {
  return crypto.createDecipher(decipherConfig(keys, onPayload));
}

/** What ssh2's protocol makes of channel data, through any cipher. */
export function sendBySsh2(cipher: Ssh2Cipher, recipient: number, data: Buffer): void {
  const Protocol = load('ssh2/lib/protocol/Protocol.js') as Ssh2Protocol;
  const { PacketWriter } = load('ssh2/lib/protocol/zlib.js') as { PacketWriter: new (protocol: object) => object };
  const protocol = { _cipher: cipher, _packetRW: {} };
  Object.assign(protocol._packetRW, { write: new PacketWriter(protocol) });
  Protocol.prototype.channelData.call(protocol, recipient, data);
}
