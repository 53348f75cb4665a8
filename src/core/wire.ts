// The data types of SSH (RFC 4251 section 5) out of bytes that a stranger made.

export interface Wire {
  readonly left: number;
  byte(): number;
  uint32(): number;
  uint64(): bigint;
  /** A string's bytes, not copied. */
  string(): Buffer;
  /** A string of text without a NUL. */
  text(): string;
  /** A positive mpint's bytes without leading zeros. */
  mpint(): Buffer;
  /** Ends the reading: the bytes are not what they should be. */
  refuse(): never;
}

class Malformed extends Error {}

/** What `read` makes of the bytes; undefined where they end too soon, are not used up, or are refused. */
export function readWire<T>(data: Buffer, read: (wire: Wire) => T): T | undefined {
  let at = 0;
  const take = (length: number): Buffer => {
    if (length > data.length - at) throw new Malformed();
    at += length;
    return data.subarray(at - length, at);
  };
  const refuse = (): never => {
    throw new Malformed();
  };
  const wire: Wire = {
    get left() {
      return data.length - at;
    },
    byte: () => take(1)[0]!,
    uint32: () => take(4).readUInt32BE(0),
    uint64: () => take(8).readBigUInt64BE(0),
    string: () => take(wire.uint32()),
    text() {
      const bytes = wire.string();
      return bytes.includes(0) ? refuse() : bytes.toString('utf8');
    },
    mpint() {
      return unsignedNumber(wire.string()) ?? refuse();
    },
    refuse,
  };
  try {
    const made = read(wire);
    return wire.left === 0 ? made : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** The bytes of a number that is not negative, without leading zeroes; undefined for another. RFC 4251 section 5, mpint. */
export function unsignedNumber(mpint: Buffer): Buffer | undefined {
  if (mpint.length > 0 && mpint[0]! >= 0x80) return undefined;
  const first = mpint.findIndex((byte) => byte !== 0);
  return first < 0 ? Buffer.alloc(0) : mpint.subarray(first);
}

/** The items that fill the bytes; undefined as for `readWire`. */
export function readList<T>(data: Buffer, read: (wire: Wire) => T): T[] | undefined {
  return readWire(data, (wire) => {
    const items: T[] = [];
    while (wire.left > 0) items.push(read(wire));
    return items;
  });
}

/** Strings as on the wire, one behind the other. */
export function wireStrings(...strings: readonly (Buffer | string)[]): Buffer {
  return Buffer.concat(
    strings.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

export function wireUint32(value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32BE(value);
  return data;
}

/** A number that is not negative, from its bytes, the highest first. */
export function wireMpint(number: Buffer): Buffer {
  const bytes = unsignedNumber(Buffer.concat([Buffer.of(0), number]))!;
  return wireStrings(bytes.length > 0 && bytes[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}
