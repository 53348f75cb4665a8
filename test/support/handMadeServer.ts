// The server's half of SSH's transport (RFC 4253), made by hand of node:crypto and @noble, so that it shares no line with
// what it tests; and with a place to lie at each step.
import {
  createCipheriv,
  createDecipheriv,
  createDiffieHellman,
  createDiffieHellmanGroup,
  createECDH,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
} from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';

/** A host key as the wire has it. */
export interface HandMadeKey {
  blob: Buffer;
  /** The whole signature, with its algorithm's name. */
  sign(data: Buffer): Buffer;
}

export interface Honest {
  kex: string;
  hostKeyAlgorithm: string;
  hostKey: HandMadeKey;
}

/** Where it lies: each function gets what an honest server would send. */
export interface Lies {
  /** Instead of its first line. */
  ident?: Buffer;
  /** Sent between the first line and KEXINIT, as packets. */
  beforeKexInit?: readonly Buffer[];
  kexInit?(payload: Buffer): Buffer;
  afterKexInit?: readonly Buffer[];
  /** p and g of a group exchange. */
  group?: { prime: Buffer; generator: Buffer };
  /** Its public value. */
  answer?(answer: Buffer): Buffer;
  hostKey?(blob: Buffer): Buffer;
  signature?(signature: Buffer): Buffer;
  reply?(payload: Buffer): Buffer;
  /** Sent behind NEWKEYS, encrypted, before the client has said anything. */
  afterNewKeys?: readonly Buffer[];
}

export interface HandMadeSession {
  sessionId: Buffer;
  /** The next message of the client; rejects when it is gone. */
  read(): Promise<Buffer>;
  /** Several at once go in one piece. */
  send(...payloads: readonly Buffer[]): void;
  /** The same; resolves when there is room for more, and rejects when the client is gone. */
  sendInTurn(...payloads: readonly Buffer[]): Promise<void>;
  /** No packet, but these bytes. */
  sendRaw(bytes: Buffer): void;
}

export interface HandMadeServer {
  port: number;
  /** Types of the messages that came in, of all connections. */
  heard: number[];
  close(): Promise<void>;
}

export const string = (data: Buffer | string) => {
  const bytes = Buffer.from(data);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
export const mpint = (number: Buffer) => {
  let bytes = number;
  while (bytes.length > 0 && bytes[0] === 0) bytes = bytes.subarray(1);
  return string(bytes.length > 0 && bytes[0]! & 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
};
/** The string at an offset. */
const stringAt = (data: Buffer, at: number) => data.subarray(at + 4, at + 4 + data.readUInt32BE(at));

const ident = 'SSH-2.0-HandMade_1.0';
const newKeys = 21;
const cipher = 'aes128-gcm@openssh.com';
const spkiX25519 = Buffer.from('302a300506032b656e032100', 'hex');

function x25519(theirs: Buffer): { mine: Buffer; secret: Buffer } {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const other = createPublicKey({ key: Buffer.concat([spkiX25519, theirs]), format: 'der', type: 'spki' });
  return {
    mine: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
    secret: diffieHellman({ privateKey, publicKey: other }),
  };
}

interface Exchanged {
  hash: string;
  /** As it stands in the exchange hash. */
  fields: Buffer;
  secret: Buffer;
  answer: Buffer;
  replyType: number;
}

export async function startHandMadeServer(
  honest: Honest,
  lies: Lies = {},
  serve: (session: HandMadeSession) => Promise<void> = async () => {},
): Promise<HandMadeServer> {
  const heard: number[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    // The end of the client is what most tests are about.
    talk(socket, honest, lies, heard, serve).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    heard,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** What one direction is encrypted with. */
interface Half {
  key: Buffer;
  iv: Buffer;
}

async function talk(
  socket: Socket,
  honest: Honest,
  lies: Lies,
  heard: number[],
  serve: (session: HandMadeSession) => Promise<void>,
): Promise<void> {
  let buffered = Buffer.alloc(0);
  const chunks = socket[Symbol.asyncIterator]();
  const need = async (length: number) => {
    while (buffered.length < length) {
      const next = (await chunks.next()) as IteratorResult<Buffer>;
      if (next.done) throw new Error('the client is gone');
      buffered = Buffer.concat([buffered, next.value]);
    }
  };
  const take = async (length: number) => {
    await need(length);
    const taken = buffered.subarray(0, length);
    buffered = buffered.subarray(length);
    return taken;
  };
  const keys: { inbound?: Half; outbound?: Half } = {};
  const step = (half: Half) => half.iv.writeBigUInt64BE(half.iv.readBigUInt64BE(4) + 1n, 4);
  const read = async (): Promise<Buffer> => {
    const head = await take(4);
    const length = head.readUInt32BE(0);
    let body = await take(length);
    const { inbound } = keys;
    if (inbound) {
      const tag = await take(16);
      const decipher = createDecipheriv('aes-128-gcm', inbound.key, inbound.iv).setAAD(head).setAuthTag(tag);
      body = Buffer.concat([decipher.update(body), decipher.final()]);
      step(inbound);
    }
    const payload = body.subarray(1, length - body[0]!);
    heard.push(payload[0]!);
    return payload;
  };
  const packet = (payload: Buffer) => {
    const { outbound } = keys;
    const block = outbound ? 16 : 8;
    let padding = block - ((payload.length + 1 + (outbound ? 0 : 4)) % block);
    if (padding < 4) padding += block;
    const body = Buffer.concat([Buffer.of(padding), payload, randomBytes(padding)]);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    if (!outbound) return Buffer.concat([head, body]);
    const encrypting = createCipheriv('aes-128-gcm', outbound.key, outbound.iv).setAAD(head);
    const sealed = Buffer.concat([head, encrypting.update(body), encrypting.final(), encrypting.getAuthTag()]);
    step(outbound);
    return sealed;
  };

  socket.write(lies.ident ?? `${ident}\r\n`);
  let line = '';
  while (!line.endsWith('\n')) line += (await take(1)).toString('latin1');
  const clientIdent = line.trimEnd();

  const lists = [
    honest.kex,
    honest.hostKeyAlgorithm,
    cipher,
    cipher,
    'hmac-sha2-256',
    'hmac-sha2-256',
    'none',
    'none',
    '',
    '',
  ];
  const init = Buffer.concat([Buffer.of(20), randomBytes(16), ...lists.map(string), Buffer.alloc(5)]);
  const sentInit = lies.kexInit?.(init) ?? init;
  socket.write(Buffer.concat([...(lies.beforeKexInit ?? []), sentInit, ...(lies.afterKexInit ?? [])].map(packet)));
  const clientInit = Buffer.from(await read());

  const send = (...payloads: readonly Buffer[]) => socket.write(Buffer.concat(payloads.map(packet)));
  const { hash, fields, secret, answer, replyType } = await exchange(honest.kex, lies, read, send);
  const blob = lies.hostKey?.(honest.hostKey.blob) ?? honest.hostKey.blob;
  const exchangeHash = createHash(hash)
    .update(Buffer.concat([clientIdent, ident, clientInit, sentInit, blob].map((one) => string(one))))
    .update(fields)
    .update(secret)
    .digest();
  const honestSignature = honest.hostKey.sign(exchangeHash);
  const signature = lies.signature?.(honestSignature) ?? honestSignature;
  const reply = Buffer.concat([Buffer.of(replyType), string(blob), string(answer), string(signature)]);
  const derived = (letter: string, length: number) =>
    createHash(hash)
      .update(secret)
      .update(exchangeHash)
      .update(letter)
      .update(exchangeHash)
      .digest()
      .subarray(0, length);
  // In one write, so that all of it comes in before the client has thought about the key.
  const last = [packet(lies.reply?.(reply) ?? reply), packet(Buffer.of(newKeys))];
  keys.outbound = { key: derived('D', 16), iv: Buffer.from(derived('B', 12)) };
  socket.write(Buffer.concat([...last, ...(lies.afterNewKeys ?? []).map(packet)]));
  while ((await read())[0] !== newKeys);
  keys.inbound = { key: derived('C', 16), iv: Buffer.from(derived('A', 12)) };
  const ended = new AbortController();
  socket.once('close', () => ended.abort());
  await serve({
    sessionId: exchangeHash,
    read,
    send: (...payloads) => void send(...payloads),
    async sendInTurn(...payloads) {
      ended.signal.throwIfAborted();
      if (!send(...payloads)) await once(socket, 'drain', { signal: ended.signal });
    },
    sendRaw: (bytes) => void socket.write(bytes),
  });
}

async function exchange(
  kex: string,
  lies: Lies,
  read: () => Promise<Buffer>,
  send: (payload: Buffer) => void,
): Promise<Exchanged> {
  const told = (answer: Buffer) => lies.answer?.(answer) ?? answer;
  const opening = await read();
  if (kex.startsWith('diffie-hellman-group-exchange')) {
    const { prime, generator } = lies.group ?? {
      prime: createDiffieHellmanGroup('modp14').getPrime(),
      generator: Buffer.of(2),
    };
    send(
      Buffer.concat([
        Buffer.of(31),
        string(prime[0]! & 0x80 ? Buffer.concat([Buffer.of(0), prime]) : prime),
        string(generator),
      ]),
    );
    const theirs = stringAt(await read(), 1);
    // OpenSSL looks whether it is a prime, which takes its time.
    const dh = createDiffieHellman(prime, generator);
    const answer = told(dh.generateKeys());
    const fields = Buffer.concat([opening.subarray(1), mpint(prime), mpint(generator), mpint(theirs), mpint(answer)]);
    return {
      hash: 'sha256',
      fields,
      secret: mpint(dh.computeSecret(theirs)),
      answer: mpint(answer).subarray(4),
      replyType: 33,
    };
  }
  const theirs = stringAt(opening, 1);
  const made = (hash: string, answer: Buffer, secret: Buffer): Exchanged => ({
    hash,
    fields: Buffer.concat([string(theirs), string(told(answer))]),
    secret,
    answer: told(answer),
    replyType: 31,
  });
  switch (kex) {
    case 'mlkem768x25519-sha256': {
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(theirs.subarray(0, 1184));
      const { mine, secret } = x25519(theirs.subarray(1184));
      const both = createHash('sha256').update(sharedSecret).update(secret).digest();
      return made('sha256', Buffer.concat([cipherText, mine]), string(both));
    }
    case 'curve25519-sha256': {
      const { mine, secret } = x25519(theirs);
      return made('sha256', mine, mpint(secret));
    }
    case 'ecdh-sha2-nistp256': {
      const ecdh = createECDH('prime256v1');
      const mine = ecdh.generateKeys();
      return made('sha256', mine, mpint(ecdh.computeSecret(theirs)));
    }
    default: {
      const [, group = '', hash = ''] = /^diffie-hellman-group(\d+)-(sha\d+)$/.exec(kex)!;
      const dh = createDiffieHellmanGroup(`modp${group === '1' ? '2' : group}`);
      const mine = mpint(dh.generateKeys()).subarray(4);
      return made(hash, mine, mpint(dh.computeSecret(theirs)));
    }
  }
}

/** Says yes to whoever asks to log in, and then goes on with `then`. */
export function letIn(then: (session: HandMadeSession) => Promise<void> = async () => {}) {
  return async (session: HandMadeSession) => {
    for (;;) {
      const message = await session.read();
      if (message[0] === 5) session.send(Buffer.concat([Buffer.of(6), string('ssh-userauth')]));
      if (message[0] !== 50) continue;
      session.send(Buffer.of(52));
      await then(session);
      for (;;) await session.read();
    }
  };
}
