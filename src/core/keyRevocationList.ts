// RevokedHostKeys: a text of public keys, or a key revocation list (OpenSSH PROTOCOL.krl).
import { createHash } from 'node:crypto';
import type { HostCertificate } from './hostCertificate.js';
import { readKeyText } from './knownHosts.js';
import { readList, readWire, type Wire } from './wire.js';

export interface RevokedKeys {
  /** Blobs of plain keys in base64. */
  keys: ReadonlySet<string>;
  /** Fingerprints in base64. */
  sha1: ReadonlySet<string>;
  sha256: ReadonlySet<string>;
  certificates: readonly RevokedCertificates[];
}

interface RevokedCertificates {
  /** The authority's blob in base64; absent: of any authority. */
  authority?: string;
  /** From and to, both included. */
  serials: readonly (readonly [bigint, bigint])[];
  keyIds: ReadonlySet<string>;
}

/** Reads the file; undefined where any part of it can't be read: who is revoked would not be known then. */
export function parseRevokedKeys(data: Buffer): RevokedKeys | undefined {
  const magic = Buffer.from('SSHKRL\n\0', 'latin1');
  return data.subarray(0, magic.length).equals(magic)
    ? parseKrl(data.subarray(magic.length))
    : parseText(data.toString('latin1'));
}

function parseText(text: string): RevokedKeys | undefined {
  const keys = new Set<string>();
  for (const line of text.split(/\r?\n/)) {
    const [type, key] = line.replace(/^[ \t]+/, '').split(/[ \t]+/);
    if (!type || type.startsWith('#')) continue;
    const read = readKeyText(type, key ?? '');
    if (!read) return undefined;
    keys.add(read.plain.toString('base64'));
  }
  return { keys, sha1: new Set(), sha256: new Set(), certificates: [] };
}

function parseKrl(data: Buffer): RevokedKeys | undefined {
  return readWire(data, (wire) => {
    if (wire.uint32() !== 1) wire.refuse();
    for (let skipped = 0; skipped < 3; skipped++) wire.uint64(); // version, date, flags
    wire.string(); // reserved
    wire.text(); // comment
    const [keys, sha1, sha256] = [new Set<string>(), new Set<string>(), new Set<string>()];
    const certificates: RevokedCertificates[] = [];
    const addAll = (set: Set<string>, section: Buffer, size?: number) => {
      for (const item of readList(section, (list) => list.string()) ?? wire.refuse()) {
        if (size !== undefined && item.length !== size) wire.refuse();
        set.add(item.toString('base64'));
      }
    };
    while (wire.left > 0) {
      const type = wire.byte();
      const section = wire.string();
      switch (type) {
        case 1:
          certificates.push(parseCertificates(section) ?? wire.refuse());
          break;
        case 2:
          addAll(keys, section);
          break;
        case 3:
          addAll(sha1, section, 20);
          break;
        case 5:
          addAll(sha256, section, 32);
          break;
        case 255:
          skipExtension(section, wire);
          break;
        // A signature (4) is no longer read by ssh, either.
        default:
          wire.refuse();
      }
    }
    return { keys, sha1, sha256, certificates };
  });
}

function parseCertificates(section: Buffer): RevokedCertificates | undefined {
  return readWire(section, (wire) => {
    const authority = wire.string();
    wire.string(); // reserved
    const serials: (readonly [bigint, bigint])[] = [];
    const keyIds = new Set<string>();
    const addSerials = (from: bigint, to: bigint) => {
      if (from === 0n || from > to) wire.refuse();
      serials.push([from, to]);
    };
    while (wire.left > 0) {
      const type = wire.byte();
      const part = wire.string();
      switch (type) {
        case 0x20:
          for (const serial of readList(part, (list) => list.uint64()) ?? wire.refuse()) addSerials(serial, serial);
          break;
        case 0x21:
          addSerials(...(readWire(part, (range) => [range.uint64(), range.uint64()] as const) ?? wire.refuse()));
          break;
        case 0x22:
          for (const serial of readBitmap(part) ?? wire.refuse()) addSerials(serial, serial);
          break;
        case 0x23:
          for (const keyId of readList(part, (list) => list.text()) ?? wire.refuse()) keyIds.add(keyId);
          break;
        case 0x39:
          skipExtension(part, wire);
          break;
        default:
          wire.refuse();
      }
    }
    return { ...(authority.length > 0 && { authority: authority.toString('base64') }), serials, keyIds };
  });
}

/** An extension that isn't known may be passed over, unless it calls itself critical. */
function skipExtension(section: Buffer, wire: Wire): void {
  const isCritical = readWire(section, (extension) => {
    extension.text();
    const critical = extension.byte() !== 0;
    extension.string();
    return critical;
  });
  if (isCritical !== false) wire.refuse();
}

/** As in OpenSSH. */
const mostBitmapBytes = 2048;
const lastSerial = (1n << 64n) - 1n;

/** The serials whose bits are set; the lowest bit stands for the offset itself. */
function readBitmap(part: Buffer): bigint[] | undefined {
  return readWire(part, (wire) => {
    const offset = wire.uint64();
    const bits = wire.mpint();
    if (bits.length > mostBitmapBytes) wire.refuse();
    const serials: bigint[] = [];
    for (let bit = 0; bit < bits.length * 8; bit++) {
      if ((bits[bits.length - 1 - (bit >> 3)]! & (1 << (bit & 7))) === 0) continue;
      const serial = offset + BigInt(bit);
      if (serial > lastSerial) wire.refuse();
      serials.push(serial);
    }
    return serials;
  });
}

/** Whether a key, its certificate or the authority that signed it is revoked; `plain` is the key's blob. */
export function revocationOf(
  revoked: RevokedKeys,
  plain: Buffer,
  certificate?: HostCertificate,
): 'key' | 'certificate' | 'authority' | undefined {
  if (isListed(revoked, plain)) return 'key';
  if (!certificate) return undefined;
  const authority = certificate.authority.toString('base64');
  const isRevoked = revoked.certificates.some(
    (section) =>
      (section.authority === undefined || section.authority === authority) &&
      (section.keyIds.has(certificate.keyId) ||
        // 0 stands for a certificate without a number.
        (certificate.serial !== 0n &&
          section.serials.some(([from, to]) => from <= certificate.serial && certificate.serial <= to))),
  );
  if (isRevoked) return 'certificate';
  return isListed(revoked, certificate.authority) ? 'authority' : undefined;
}

function isListed({ keys, sha1, sha256 }: RevokedKeys, blob: Buffer): boolean {
  const hash = (name: string) => createHash(name).update(blob).digest('base64');
  return keys.has(blob.toString('base64')) || sha1.has(hash('sha1')) || sha256.has(hash('sha256'));
}
