// As much of PNG (RFC 2083) as makes a screenshot small: its colours become a palette, which loses next to nothing of an
// interface that has few.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Four bytes each: red, green, blue, alpha. */
  readonly data: Uint8Array;
}

/** The same picture with at most 256 colours. Takes 8 bits a channel without interlace, and throws at anything else. */
export function withPalette(png: Buffer): Buffer {
  return printPaletted(parse(png));
}

function parse(png: Buffer): Pixels {
  const parts: Buffer[] = [];
  let header: Buffer | undefined;
  for (let at = signature.length; at < png.length;) {
    const length = png.readUInt32BE(at);
    const kind = png.toString('latin1', at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + length);
    if (kind === 'IHDR') header = body;
    if (kind === 'IDAT') parts.push(body);
    at += 12 + length;
  }
  const channels = header && { 2: 3, 6: 4 }[header[9]!];
  if (!header || channels === undefined || header[8] !== 8 || header[12] !== 0)
    throw new Error('not a PNG of 8 bits a channel, in colour and not interlaced');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const lines = unfiltered(inflateSync(Buffer.concat(parts)), width * channels, height, channels);
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++)
    for (let channel = 0; channel < channels; channel++) data[pixel * 4 + channel] = lines[pixel * channels + channel]!;
  return { width, height, data };
}

/** RFC 2083, 6. */
function unfiltered(raw: Buffer, stride: number, height: number, step: number): Uint8Array {
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]!;
    for (let x = 0; x < stride; x++) {
      const left = x >= step ? out[y * stride + x - step]! : 0;
      const up = y > 0 ? out[(y - 1) * stride + x]! : 0;
      const corner = x >= step && y > 0 ? out[(y - 1) * stride + x - step]! : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]!;
      out[y * stride + x] = raw[y * (stride + 1) + 1 + x]! + guess;
    }
  }
  return out;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [toLeft, toUp, toCorner] = [left, up, corner].map((one) => Math.abs(guess - one)) as [number, number, number];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function printPaletted({ width, height, data }: Pixels): Buffer {
  const colours = new Uint32Array(data.buffer, data.byteOffset, width * height);
  const { palette, indexOf } = paletteOf(colours);
  const raw = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) raw[y * (width + 1) + 1 + x] = indexOf.get(colours[y * width + x]!)!;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const bytes = (part: (colour: Colour) => number[]) => Buffer.from(palette.flatMap(part));
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk(
      'PLTE',
      bytes(([red, green, blue]) => [red, green, blue]),
    ),
    chunk(
      'tRNS',
      bytes(([, , , alpha]) => [alpha]),
    ),
    chunk('IDAT', deflateSync(raw, { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  const named = Buffer.concat([Buffer.from(kind, 'latin1'), body]);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([head, named, check]);
}

type Colour = readonly [number, number, number, number];
interface Counted {
  readonly key: number;
  readonly colour: Colour;
  readonly count: number;
}

/** Median cut: the box of colours that spans most, weighed by how many pixels have them, is halved until there are 256. */
function paletteOf(colours: Uint32Array): { palette: Colour[]; indexOf: Map<number, number> } {
  const counts = new Map<number, number>();
  for (const key of colours) counts.set(key, (counts.get(key) ?? 0) + 1);
  const bytes = Buffer.alloc(4);
  const all = [...counts].map(([key, count]): Counted => {
    bytes.writeUInt32LE(key);
    return { key, colour: [bytes[0]!, bytes[1]!, bytes[2]!, bytes[3]!], count };
  });
  const boxes: Counted[][] = [all];
  while (boxes.length < 256) {
    const { box, channel } = boxes
      .map((one, box) => ({ box, ...widest(one) }))
      .reduce((best, one) => (one.weight > best.weight ? one : best));
    const halved = boxes[box]!;
    if (halved.length < 2) break;
    halved.sort((one, other) => one.colour[channel]! - other.colour[channel]!);
    const half = halved.reduce((sum, { count }) => sum + count, 0) / 2;
    let [at, sum] = [0, 0];
    while (at < halved.length - 1 && (at === 0 || sum < half)) sum += halved[at++]!.count;
    boxes.push(halved.splice(at));
  }
  const indexOf = new Map<number, number>();
  const palette = boxes.map((box, index): Colour => {
    for (const { key } of box) indexOf.set(key, index);
    // The one that most pixels have, so that what is flat keeps its colour.
    return box.reduce((best, one) => (one.count > best.count ? one : best)).colour;
  });
  return { palette, indexOf };
}

function widest(box: readonly Counted[]): { channel: number; weight: number } {
  const pixels = box.reduce((sum, { count }) => sum + count, 0);
  const spans = [0, 1, 2, 3].map((channel) => {
    let [least, most] = [255, 0];
    for (const { colour } of box) {
      least = Math.min(least, colour[channel]!);
      most = Math.max(most, colour[channel]!);
    }
    return most - least;
  });
  const span = Math.max(...spans);
  return { channel: spans.indexOf(span), weight: box.length < 2 ? -1 : span * Math.cbrt(pixels) };
}
