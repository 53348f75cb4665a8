// PATTERNS of ssh_config(5), and the networks of `Match localnetwork`.

/** Whether `*` (any characters) and `?` (one) in the pattern make it the text. Time grows with the product of both lengths. */
export function matchesPattern(text: string, pattern: string): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let resume = 0;
  while (at < text.length) {
    if (pattern[next] === '*') {
      star = next++;
      resume = at;
    } else if (next < pattern.length && (pattern[next] === '?' || pattern[next] === text[at])) {
      at++;
      next++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++resume;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(next));
}

/** A list with commas, in which `!` takes away: a text that one of those matches is not in the list. */
export function matchesList(text: string, list: string): boolean {
  return placeInList(text, list) === 'in';
}

export function placeInList(text: string, list: string): 'in' | 'negated' | 'out' {
  let place: 'in' | 'out' = 'out';
  for (const entry of list.split(',')) {
    if (entry.startsWith('!') && matchesPattern(text, entry.slice(1))) return 'negated';
    if (!entry.startsWith('!') && matchesPattern(text, entry)) place = 'in';
  }
  return place;
}

/** Whether one of the addresses is in a list of networks such as `192.0.2.0/24,!192.0.2.7`; `undefined`: no such list. */
export function matchesNetworks(addresses: readonly string[], list: string): boolean | undefined {
  const networks = list.split(',').map((entry) => {
    const negated = entry.startsWith('!');
    const [address = '', bits, ...more] = entry.slice(negated ? 1 : 0).split('/');
    const bytes = addressBytes(address, { short: false });
    const length = bits === undefined ? (bytes?.length ?? 0) * 8 : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (!bytes || more.length > 0 || length < 0 || length > bytes.length * 8) return undefined;
    // As in OpenSSH a network has no bits behind its mask.
    const rest = [...bytes].some((byte, index) => (byte & ~maskAt(length, index)) !== 0);
    return rest ? undefined : { negated, bytes, length };
  });
  if (networks.includes(undefined)) return undefined;
  return addresses.some((text) => {
    const bytes = addressBytes(text.replace(/%.*$/, ''), { short: false });
    if (!bytes) return false;
    const found = networks.filter(
      (network) =>
        network!.bytes.length === bytes.length &&
        bytes.every((byte, index) => (byte & maskAt(network!.length, index)) === network!.bytes[index]),
    );
    return found.length > 0 && found.every((network) => !network!.negated);
  });
}

function maskAt(length: number, index: number): number {
  return (0xff00 >> Math.min(Math.max(length - index * 8, 0), 8)) & 0xff;
}

/** A numeric address as the system prints it: `127.1` is 127.0.0.1, `::0001` is ::1. `undefined` for a name. */
export function canonicalAddress(text: string): string | undefined {
  const [address = '', scope] = text.split('%', 2);
  const bytes = addressBytes(address, { short: true });
  if (!bytes) return undefined;
  if (bytes.length === 4) return scope === undefined ? bytes.join('.') : undefined;
  return `${printIpv6(bytes)}${scope === undefined ? '' : `%${scope}`}`;
}

/** `short`: also the forms of inet_aton(3), such as 127.1 and 0x7f000001. */
function addressBytes(text: string, { short }: { short: boolean }): number[] | undefined {
  return text.includes(':') ? ipv6Bytes(text) : ipv4Bytes(text, short);
}

function ipv4Bytes(text: string, short: boolean): number[] | undefined {
  const parts = text.split('.');
  if (parts.length > 4 || (!short && parts.length !== 4)) return undefined;
  const numbers = parts.map((part) => {
    if (!short) return /^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : -1;
    if (/^0x[\da-f]+$/i.test(part)) return parseInt(part, 16);
    if (/^0[0-7]*$/.test(part)) return parseInt(part, 8);
    return /^[1-9]\d*$/.test(part) ? Number(part) : -1;
  });
  const last = numbers.pop()!;
  const places = 4 - numbers.length;
  if (last < 0 || last >= 256 ** places || numbers.some((number) => number < 0 || number > 255)) return undefined;
  const tail = Array.from({ length: places }, (_, index) => Math.floor(last / 256 ** (places - 1 - index)) % 256);
  return [...numbers, ...tail];
}

function ipv6Bytes(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const read = (half: string) => {
    if (half === '') return [];
    const groups = half.split(':');
    return groups.flatMap((group, index) => {
      if (group.includes('.'))
        return index === groups.length - 1 ? (ipv4Bytes(group, false) ?? [Number.NaN]) : [Number.NaN];
      return /^[\da-f]{1,4}$/i.test(group) ? [parseInt(group, 16) >> 8, parseInt(group, 16) & 255] : [Number.NaN];
    });
  };
  const [front = [], back] = halves.map(read);
  const length = front.length + (back?.length ?? 0);
  const bytes = back ? [...front, ...Array.from({ length: Math.max(16 - length, 0) }, () => 0), ...back] : front;
  if (bytes.length !== 16 || (back && length > 14) || bytes.some(Number.isNaN)) return undefined;
  return bytes;
}

/** RFC 5952, with the dotted end that inet_ntop(3) gives a mapped or compatible IPv4 address. */
function printIpv6(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes[index * 2]! * 256 + bytes[index * 2 + 1]!);
  const dotted = bytes.slice(12).join('.');
  const isZero = (to: number) => groups.slice(0, to).every((group) => group === 0);
  if (isZero(5) && groups[5] === 0xffff) return `::ffff:${dotted}`;
  if (isZero(6) && groups[6] !== 0) return `::${dotted}`;
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const text = (list: readonly number[]) => list.map((group) => group.toString(16)).join(':');
  if (best.at < 0) return text(groups);
  return `${text(groups.slice(0, best.at))}::${text(groups.slice(best.at + best.length))}`;
}
