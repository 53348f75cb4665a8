// AES-GCM packets of SSH (RFC 5647, as OpenSSH does it: its PROTOCOL section 1.6), with little work for each.
import { createCipheriv, createDecipheriv, randomFillSync, type CipherGCM, type DecipherGCM } from 'node:crypto';

export interface PacketKeys {
  name: 'aes-128-gcm' | 'aes-256-gcm';
  key: Buffer;
  /** 12 bytes: 4 that stay, and a counter of 8 that goes up by one a packet (RFC 5647 section 7.1). */
  iv: Buffer;
  /** Of the next packet. */
  sequence: number;
}

/** What ssh2 asks of a cipher, and more. */
export interface Sealer {
  /** Of the next packet; a key exchange may set it. */
  sequence: number;
  /** A packet with room at 5 for the payload; its length and its padding are written already. */
  allocPacket(payloadLength: number): Buffer;
  /** Writes a packet of allocPacket, whose bytes are free again when it returns. */
  encrypt(packet: Buffer): void;
  /** Writes SSH_MSG_CHANNEL_DATA (RFC 4254 section 5.2) of 256 KiB at most; the source is free again when it returns. */
  sealData(recipient: number, source: Uint8Array, start: number, end: number): void;
  /** Makes ready what the next packet needs: half the work of a small one, for when there is nothing better to do. */
  prepare(): void;
  /** Nothing is written any more. */
  free(): void;
}

export type OnPayload = (payload: Buffer) => number | false | undefined;

/** What ssh2 asks of a decipher, and more. */
export interface Opener {
  /** Of the next packet; a key exchange may set it. */
  sequence: number;
  /**
   * Takes channel data past ssh2: `data` is its own from then on. False: it goes to `onPayload` as all others do, and so does
   * what comes while keys are exchanged.
   */
  onData: ((recipient: number, data: Buffer) => boolean) | undefined;
  /**
   * Opens what is whole and keeps what is not; nothing refers to `data` when it returns. A packet’s taker ends it by
   * returning where to go on, or false for behind the packet; that is returned, undefined otherwise. Throws at a packet that
   * is not what it should be, and ever after.
   */
  decrypt(data: Buffer, start: number, end: number): number | undefined;
  /** As the Sealer’s. */
  prepare(): void;
  /** Nothing is handed on any more. */
  free(): void;
  /** A key exchange puts its own in its place. */
  onPayload: OnPayload;
}

const blockBytes = 16;
const lengthBytes = 4;
const tagBytes = 16;
const fewestPadding = 4;
/** As OpenSSH’s PACKET_MAX_SIZE; ssh2 takes 35,000. */
const mostPacket = 256 * 1024;
const mostData = 256 * 1024;
const channelData = 94;
/** Type, recipient, length of the data. */
const dataHeader = 9;

/** Bytes of padding: at least 4, so many that its own length, the payload and it fill blocks (RFC 5647 section 7.2). */
function paddingFor(payloadLength: number): number {
  const padding = blockBytes - ((1 + payloadLength) % blockBytes);
  return padding < fewestPadding ? padding + blockBytes : padding;
}

let randomness: Buffer | undefined;
let randomUsed = 0;

/** Each random byte is used once; to ask for so few at a time would cost more than to encrypt them. */
function fillPadding(target: Buffer, start: number, end: number): void {
  if (!randomness || randomUsed + (end - start) > randomness.length) {
    randomness = randomFillSync(randomness ?? Buffer.allocUnsafeSlow(65_536));
    randomUsed = 0;
  }
  for (let at = start; at < end; at++) target[at] = randomness[randomUsed++]!;
}

function writeUint32(target: Buffer, value: number, at: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

function readUint32(source: Buffer, at: number): number {
  return source[at]! * 0x1000000 + ((source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!);
}

function countUp(iv: Buffer): void {
  for (let at = 11; at >= 4; at--) {
    iv[at] = (iv[at]! + 1) & 0xff;
    if (iv[at] !== 0) return;
  }
}

/** Bytes behind the length: the padding’s length, the payload and the padding. */
function bodyLength(payloadLength: number): number {
  return 1 + payloadLength + paddingFor(payloadLength);
}

/** Writes the padding’s length and the padding around a payload’s room. */
function pad(body: Buffer, payloadLength: number): void {
  body[0] = paddingFor(payloadLength);
  fillPadding(body, 1 + payloadLength, body.length);
}

/** The length in the clear, as the cipher takes it in; nothing that needs it outlives a call. */
const aad = Buffer.alloc(lengthBytes);

/** Where packets of channel data are put together: encrypted before anything else can need it. */
let staging = Buffer.alloc(0);
/** Its beginning, of the length last used: most packets are as long as the one before. */
let staged = staging;

function stage(length: number): Buffer {
  if (staging.length < length) staging = Buffer.allocUnsafeSlow(Math.max(length, 33 * 1024));
  if (staged.length !== length) staged = staging.subarray(0, length);
  return staged;
}

/** Up to that a copy into one buffer costs less than three writes, in bytes: measured. */
const mostCopied = 2048;

/** A packet may take several calls of `write`, in which nothing else may be sealed by the same sealer. */
export function createSealer(keys: PacketKeys, write: (bytes: Buffer) => void): Sealer {
  const { name } = keys;
  const key = Buffer.from(keys.key);
  const iv = Buffer.from(keys.iv);
  let prepared: CipherGCM | undefined;
  let isFree = false;

  const seal = (body: Buffer) => {
    const { length } = body;
    const cipher = prepared ?? createCipheriv(name, key, iv);
    prepared = undefined;
    countUp(iv);
    writeUint32(aad, length, 0);
    cipher.setAAD(aad);
    const sealed = cipher.update(body);
    cipher.final();
    const tag = cipher.getAuthTag();
    sealer.sequence = (sealer.sequence + 1) >>> 0;
    const isCopied = length <= mostCopied;
    const packet = Buffer.allocUnsafe(isCopied ? lengthBytes + length + tagBytes : lengthBytes);
    writeUint32(packet, length, 0);
    if (isCopied) {
      packet.set(sealed, lengthBytes);
      packet.set(tag, lengthBytes + length);
    }
    write(packet);
    if (isCopied) return;
    write(sealed);
    write(tag);
  };
  const sealer: Sealer = {
    sequence: keys.sequence,
    allocPacket(payloadLength) {
      const length = bodyLength(payloadLength);
      const packet = Buffer.allocUnsafe(lengthBytes + length);
      writeUint32(packet, length, 0);
      pad(packet.subarray(lengthBytes), payloadLength);
      return packet;
    },
    encrypt(packet) {
      if (!isFree) seal(packet.subarray(lengthBytes));
    },
    sealData(recipient, source, start, end) {
      const length = end - start;
      if (!(start >= 0 && length >= 0 && length <= mostData && end <= source.length))
        throw new RangeError(`Channel data from ${start} to ${end} of ${source.length} bytes`);
      if (isFree) return;
      const body = stage(bodyLength(dataHeader + length));
      body[1] = channelData;
      writeUint32(body, recipient, 2);
      writeUint32(body, length, 6);
      body.set(length === source.length ? source : source.subarray(start, end), 1 + dataHeader);
      pad(body, dataHeader + length);
      seal(body);
    },
    prepare() {
      if (!isFree) prepared ??= createCipheriv(name, key, iv);
    },
    free() {
      isFree = true;
      prepared = undefined;
    },
  };
  return sealer;
}

/** All but channel data that `onData` takes goes to `onPayload`, which gets payloads of its own to keep. */
export function createOpener(keys: PacketKeys, onPayload: OnPayload): Opener {
  const { name } = keys;
  const key = Buffer.from(keys.key);
  const iv = Buffer.from(keys.iv);
  let prepared: DecipherGCM | undefined;
  let isFree = false;
  let failure: Error | undefined;
  /** What was read of a packet whose end is still to come. */
  let carry = Buffer.alloc(0);
  let carried = 0;

  const fail = (said: string): never => {
    failure = new Error(said);
    throw failure;
  };
  /** Bytes of the packet that begins there, all in all. */
  const totalOf = (source: Buffer, at: number): number => {
    const length = readUint32(source, at);
    const total = lengthBytes + length + tagBytes;
    if (length < blockBytes || length % blockBytes !== 0 || total > mostPacket) fail('Bad packet length');
    return total;
  };
  /** The padding’s length, the payload and the padding, once the tag has been found right. */
  const open = (source: Buffer, at: number, total: number): Buffer => {
    const decipher = prepared ?? createDecipheriv(name, key, iv);
    prepared = undefined;
    countUp(iv);
    const tagAt = at + total - tagBytes;
    writeUint32(aad, total - lengthBytes - tagBytes, 0);
    decipher.setAAD(aad);
    decipher.setAuthTag(source.subarray(tagAt, tagAt + tagBytes));
    const body = decipher.update(source.subarray(at + lengthBytes, tagAt));
    try {
      decipher.final();
    } catch {
      fail('Bad packet authentication tag');
    }
    const padding = body[0]!;
    if (padding < fewestPadding || padding >= body.length) fail('Bad packet padding');
    opener.sequence = (opener.sequence + 1) >>> 0;
    return body;
  };
  const isTaken = (body: Buffer, end: number): boolean => {
    // While keys are exchanged there is no such thing as channel data, and ssh2 is to say so.
    if (!opener.onData || opener.onPayload !== onPayload || body[1] !== channelData) return false;
    // Any that is not exactly so long is malformed.
    if (readUint32(body, 6) !== end - 1 - dataHeader) return false;
    return opener.onData(readUint32(body, 2), body.subarray(1 + dataHeader, end));
  };
  /** What the payload’s taker returned. */
  const handOn = (body: Buffer): number | false | undefined => {
    const end = body.length - body[0]!;
    return isTaken(body, end) ? undefined : opener.onPayload(body.subarray(1, end));
  };
  /** Takes bytes until there are so many of the packet; returns how many it took. */
  const carryUpTo = (wanted: number, data: Buffer, at: number, end: number): number => {
    const taken = Math.min(wanted - carried, end - at);
    if (taken <= 0) return 0;
    if (carry.length < wanted) {
      const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 1024));
      larger.set(carry.subarray(0, carried));
      carry = larger;
    }
    carry.set(data.subarray(at, at + taken), carried);
    carried += taken;
    return taken;
  };

  const opener: Opener = {
    sequence: keys.sequence,
    onData: undefined,
    onPayload,
    decrypt(data, start, end) {
      if (failure) throw failure;
      let at = start;
      while (at < end && !isFree) {
        let body: Buffer;
        if (carried === 0 && end - at >= lengthBytes) {
          const total = totalOf(data, at);
          if (end - at < total) {
            carryUpTo(total, data, at, end);
            return undefined;
          }
          body = open(data, at, total);
          at += total;
        } else {
          at += carryUpTo(lengthBytes, data, at, end);
          if (carried < lengthBytes) return undefined;
          const total = totalOf(carry, 0);
          at += carryUpTo(total, data, at, end);
          if (carried < total) return undefined;
          body = open(carry, 0, total);
          carried = 0;
        }
        const result = handOn(body);
        if (result !== undefined) return result === false ? at : result;
        // Another may have taken its place.
        if (isFree) return at;
      }
      return undefined;
    },
    prepare() {
      if (!isFree) prepared ??= createDecipheriv(name, key, iv);
    },
    free() {
      isFree = true;
      prepared = undefined;
      carry = Buffer.alloc(0);
      carried = 0;
    },
  };
  return opener;
}

/** Two packets of one channel’s “hello” with padding of zeroes, under the key 00 01 02 ...; the counter carries into its upper half. */
const known = {
  iv: 'a0a1a2a300000000ffffffff',
  payload: '5e000000070000000568656c6c6f',
  packets: {
    'aes-128-gcm':
      '000000203b2a9c5492a948a62946987d84d57989ccf477f8532e8bc85ab0f758be57165a480b8fb2320158ee6703d9b98f59d44d' +
      '0000002078cfce9e6216b39fbf8dff026fb4b44f82b8ec4484ca61ce3c772dd886e2e9fcf3ca6f70904c9c0fbbabd53f750ca763',
    'aes-256-gcm':
      '00000020a43c79999c738ae07b508493e74cd1594288293d3963f5bf000029884becb4ab59d01c3580a5a63ef0ad7b63f448c121' +
      '00000020cb073283f9dc283e16fd798f3569a54ebb52ec82d9772a4f033ca44e11ad050c738bad6ae8ec9b3cf11b7a6351e8a363',
  },
} as const;

/** Whether what a runtime’s cipher makes of the known packets, and of one that was altered, is what it should be. */
function answersKnown(name: PacketKeys['name']): boolean {
  const payload = Buffer.from(known.payload, 'hex');
  const packets = Buffer.from(known.packets[name], 'hex');
  const keys: PacketKeys = {
    name,
    key: Buffer.from(Array.from({ length: name === 'aes-128-gcm' ? 16 : 32 }, (_, at) => at)),
    iv: Buffer.from(known.iv, 'hex'),
    sequence: 0,
  };
  const sealed: Buffer[] = [];
  const sealer = createSealer(keys, (bytes) => sealed.push(bytes));
  const opened: Buffer[] = [];
  const opener = createOpener(keys, (found) => void opened.push(found));
  const deceived = createOpener(keys, (found) => void opened.push(found));
  for (const each of [sealer, opener]) each.prepare();
  for (let count = 0; count < 2; count++) {
    const packet = sealer.allocPacket(payload.length).fill(0, 5);
    packet.set(payload, 5);
    sealer.encrypt(packet);
  }
  opener.decrypt(packets, 0, packets.length);
  const altered = Buffer.from(packets);
  altered[altered.length / 2 - 1]! ^= 1;
  try {
    deceived.decrypt(altered, 0, altered.length);
    return false;
  } catch {
    return (
      Buffer.concat(sealed).equals(packets) && opened.length === 2 && opened.every((found) => found.equals(payload))
    );
  }
}

let isKnownToAnswer: boolean | undefined;

/** Whether this runtime’s AES-GCM gives what the known answers say; tried once. */
export function canSealPackets(): boolean {
  try {
    isKnownToAnswer ??= answersKnown('aes-128-gcm') && answersKnown('aes-256-gcm');
  } catch {
    isKnownToAnswer = false;
  }
  return isKnownToAnswer;
}
