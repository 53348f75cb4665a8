// JSON with comments and trailing commas, as VS Code's settings have it, with the place of everything. What is half written
// reads as far as it goes.

/** `start` and `end` are offsets in UTF-16 units. */
export type JsonNode = { start: number; end: number } & (
  | { kind: 'object'; members: readonly JsonMember[] }
  | { kind: 'array'; items: readonly JsonNode[] }
  | {
      kind: 'string';
      value: string;
      /** Where each unit of the value stands, and where it ends. */ places: readonly number[];
    }
  | { kind: 'other'; value: unknown }
);
export interface JsonMember {
  key: JsonNode & { kind: 'string' };
  /** Absent while it isn't written. */
  value?: JsonNode;
  /** Where its value may stand: behind the colon, up to the comma. */
  from: number;
  to: number;
}

const escaped = /^\\(?:u([\da-fA-F]{4})|([^\n\r]))/;
const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
/** Deeper ones are left out. */
const deepest = 200;

export function readJson(text: string): JsonNode | undefined {
  let at = 0;
  const skip = () => {
    const blank = /(?:[\s\uFEFF]|\/\/[^\n\r]*|\/\*[^]*?(?:\*\/|$))*/y;
    blank.lastIndex = at;
    at += blank.exec(text)![0].length;
  };
  const readString = (): JsonNode & { kind: 'string' } => {
    const start = at++;
    let value = '';
    const places: number[] = [];
    while (at < text.length && !/["\n\r]/.test(text[at]!)) {
      places.push(at);
      const [escape, hex, letter] = text[at] === '\\' ? (escaped.exec(text.slice(at, at + 6)) ?? []) : [];
      if (escape === undefined) value += text[at++]!;
      else {
        value += hex === undefined ? (escapes[letter!] ?? letter!) : String.fromCharCode(parseInt(hex, 16));
        at += escape.length;
      }
    }
    places.push(at);
    if (text[at] === '"') at++;
    return { kind: 'string', value, places, start, end: at };
  };
  const readValue = (depth: number): JsonNode | undefined => {
    skip();
    const start = at;
    const opening = text[at];
    if (opening === '"') return readString();
    if ((opening === '{' || opening === '[') && depth < deepest) {
      at++;
      const members: JsonMember[] = [];
      const items: JsonNode[] = [];
      for (skip(); at < text.length && !/[}\]]/.test(text[at]!); skip()) {
        const before = at;
        if (opening === '[') {
          const item = readValue(depth + 1);
          if (item) items.push(item);
        } else if (text[at] === '"') {
          const key = readString();
          skip();
          if (text[at] === ':') at++;
          const from = at;
          const value = /[}\],]/.test(text[at] ?? '') ? undefined : readValue(depth + 1);
          skip();
          members.push({ key, from, to: value ? value.end : at, ...(value && { value }) });
        }
        skip();
        if (text[at] === ',' || at === before) at++;
      }
      at = Math.min(at + 1, text.length);
      return opening === '{' ? { kind: 'object', members, start, end: at } : { kind: 'array', items, start, end: at };
    }
    const word = /[^\s,:{}[\]"/]+/y;
    word.lastIndex = at;
    const [written] = word.exec(text) ?? [];
    if (written === undefined) return undefined;
    at += written.length;
    return { kind: 'other', value: plainValue(written), start, end: at };
  };
  return readValue(0);
}

function plainValue(written: string): unknown {
  try {
    return JSON.parse(written) as unknown;
  } catch {
    return undefined;
  }
}

/** Of several members with one name the last counts. */
export function memberOf(node: JsonNode | undefined, name: string): JsonMember | undefined {
  return node?.kind === 'object' ? node.members.findLast(({ key }) => key.value === name) : undefined;
}

/** The value as JSON.parse would give it; what isn't written yet is left out. */
export function jsonValue(node: JsonNode): unknown {
  switch (node.kind) {
    case 'object':
      return Object.fromEntries(
        node.members.flatMap(({ key, value }) => (value ? [[key.value, jsonValue(value)]] : [])),
      );
    case 'array':
      return node.items.map(jsonValue);
    default:
      return node.value;
  }
}
