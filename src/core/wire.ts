// The data types of SSH (RFC 4251 section 5), written and read one by one.

export function wireUint32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

export function wireString(text: Buffer | string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([wireUint32(bytes.length), bytes]);
}

/** A number that is not negative, its highest byte first. */
export function wireMpint(number: Buffer): Buffer {
  const first = number.findIndex((byte) => byte !== 0);
  if (first < 0) return wireUint32(0);
  const bytes = number.subarray(first);
  return wireString(bytes[0]! & 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}

export interface WireReader {
  /** Undefined where the bytes end before it does. */
  uint32(): number | undefined;
  string(): Buffer | undefined;
}

/** Reads from the start on; what can't be read leaves nothing behind it to read, either. */
export function readWire(data: Buffer): WireReader {
  let rest = data;
  const take = (length: number): Buffer | undefined => {
    if (length > rest.length) {
      rest = Buffer.alloc(0);
      return undefined;
    }
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  };
  const uint32 = () => take(4)?.readUInt32BE(0);
  return {
    uint32,
    string() {
      const length = uint32();
      return length === undefined ? undefined : take(length);
    },
  };
}
