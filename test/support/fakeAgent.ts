// An SSH agent made by hand on a Unix socket: with a security key (FIDO) of software, or with whatever replies a test wants.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FakeAgent {
  socketPath: string;
  /** The types of all requests that came, in order. */
  requests: number[];
  close(): Promise<void>;
}

/** `reply` gets a request's bytes, its type first, and sends what it wants. */
export async function startFakeAgent(reply: (request: Buffer, socket: Socket) => void): Promise<FakeAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'agent-'));
  const socketPath = join(folder, 'socket');
  const requests: number[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    let heard = Buffer.alloc(0);
    socket.on('data', (data) => {
      heard = Buffer.concat([heard, data]);
      while (heard.length >= 4 && heard.length >= 4 + heard.readUInt32BE(0)) {
        const end = 4 + heard.readUInt32BE(0);
        const request = Buffer.from(heard.subarray(4, end));
        heard = Buffer.from(heard.subarray(end));
        requests.push(request[0]!);
        reply(request, socket);
      }
    });
  });
  await new Promise<void>((listening) => server.listen(socketPath, listening));
  return {
    socketPath,
    requests,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function uint32(value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32BE(value);
  return data;
}

export function string(value: Buffer | string): Buffer {
  return Buffer.concat([uint32(Buffer.byteLength(value)), Buffer.from(value)]);
}

/** A reply of an agent, or any other message with its length before it. */
export function framed(type: number, ...parts: readonly Buffer[]): Buffer {
  return string(Buffer.concat([Buffer.of(type), ...parts]));
}

/** SSH_AGENT_IDENTITIES_ANSWER with keys that have no comment. */
export function identitiesAnswer(...blobs: readonly Buffer[]): Buffer {
  return framed(12, uint32(blobs.length), ...blobs.flatMap((blob) => [string(blob), string('')]));
}

export interface SecurityKey {
  blob: Buffer;
  /** For authorized_keys. */
  line: string;
  /** SSH_AGENT_SIGN_RESPONSE's signature (OpenSSH PROTOCOL.u2f); each counts one up. */
  sign(data: Buffer): Buffer;
}

/** `isTouched`: whether a person was there, which sshd wants. */
export function makeSecurityKey(kind: 'ed25519' | 'ecdsa', isTouched = true): SecurityKey {
  const application = 'ssh:';
  const type = kind === 'ed25519' ? 'sk-ssh-ed25519@openssh.com' : 'sk-ecdsa-sha2-nistp256@openssh.com';
  const { publicKey, privateKey } =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = publicKey.export({ format: 'jwk' });
  const [x, y] = [jwk.x, jwk.y].map((part) => Buffer.from(part ?? '', 'base64url')) as [Buffer, Buffer];
  const numbers = kind === 'ed25519' ? [string(x)] : [string('nistp256'), string(Buffer.concat([Buffer.of(4), x, y]))];
  const blob = Buffer.concat([string(type), ...numbers, string(application)]);
  let counter = 0;
  const mpint = (number: Buffer) => string(Buffer.concat([Buffer.of(0), number]));
  return {
    blob,
    line: `${type} ${blob.toString('base64')}`,
    sign(data) {
      const hash = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();
      const end = Buffer.concat([Buffer.of(isTouched ? 1 : 0), uint32(++counter)]);
      const signed = Buffer.concat([hash(application), end, hash(data)]);
      const pair =
        kind === 'ecdsa' ? sign('sha256', signed, { key: privateKey, dsaEncoding: 'ieee-p1363' }) : undefined;
      const signature = pair
        ? Buffer.concat([mpint(pair.subarray(0, 32)), mpint(pair.subarray(32))])
        : sign(null, signed, privateKey);
      return Buffer.concat([string(type), string(signature), end]);
    },
  };
}
