// A key's fingerprint as a picture, bit for bit as `ssh-keygen -lv` draws it: a walk over a field, two bits a step.
import { createHash } from 'node:crypto';
import { readPublicKey } from './publicKey.js';

const width = 17;
const height = 9;
/** How often a place was visited. */
const marks = ' .o+=*BOX@%&#/^';

const titles: Readonly<Record<string, string>> = {
  'ssh-ed25519': 'ED25519 256',
  'ecdsa-sha2-nistp256': 'ECDSA 256',
  'ecdsa-sha2-nistp384': 'ECDSA 384',
  'ecdsa-sha2-nistp521': 'ECDSA 521',
};

/** The picture of a plain key's SHA-256, as lines of 19 characters; `''` for a blob that is no key. */
export function randomArt(blob: Buffer): string {
  const key = readPublicKey(blob);
  if (!key) return '';
  const visits = new Array<number>(width * height).fill(0);
  const start = (height >> 1) * width + (width >> 1);
  let [x, y] = [width >> 1, height >> 1];
  for (const byte of createHash('sha256').update(blob).digest())
    for (let shift = 0; shift < 8; shift += 2) {
      const step = byte >> shift;
      x = Math.min(Math.max(x + (step & 1 ? 1 : -1), 0), width - 1);
      y = Math.min(Math.max(y + (step & 2 ? 1 : -1), 0), height - 1);
      visits[y * width + x] = Math.min(visits[y * width + x]! + 1, marks.length - 1);
    }
  const mark = (place: number) => {
    if (place === y * width + x) return 'E';
    return place === start ? 'S' : marks[visits[place]!];
  };
  const rows = Array.from({ length: height }, (_, row) =>
    Array.from({ length: width }, (_, column) => mark(row * width + column)).join(''),
  );
  const title = titles[key.type] ?? `RSA ${key.key.asymmetricKeyDetails?.modulusLength}`;
  return [`+${frame(`[${title}]`)}+`, ...rows.map((row) => `|${row}|`), `+${frame('[SHA256]')}+`].join('\n');
}

function frame(title: string): string {
  const left = (width - title.length) >> 1;
  return `${'-'.repeat(left)}${title}${'-'.repeat(width - title.length - left)}`;
}
