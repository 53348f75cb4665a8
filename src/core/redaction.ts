// Texts without the names of hosts and users, for pasting into an issue: each name has a placeholder of its own.
import { parseDestination, type Destination } from './destination.js';
import { parseSpec } from './forwardSpec.js';
import { parseHostAddress } from './hostAddress.js';

export interface Names {
  hosts: ReadonlySet<string>;
  users: ReadonlySet<string>;
}

/** The names that stand in plain data, such as events and tunnels, by the names of its fields. */
export function namesIn(value: unknown): Names {
  const hosts = new Set<string>();
  const users = new Set<string>();
  const addAddress = (text: string) => {
    const parsed = parseHostAddress(text);
    if (!parsed.ok) return void hosts.add(text);
    hosts.add(parsed.address.host);
    if (parsed.address.user !== undefined) users.add(parsed.address.user);
  };
  const addDestination = ({ host, user, options = [] }: Destination) => {
    hosts.add(host);
    if (user !== undefined) users.add(user);
    for (const option of options) addOption(option);
  };
  const addOption = ([keyword, text]: readonly [string, string]) => {
    if (keyword === 'ProxyJump' && text !== 'none') for (const hop of text.split(',')) addAddress(hop);
    if (keyword === 'HostName') hosts.add(text);
  };
  const addTyped = (text: string) => {
    const parsed = parseDestination(text);
    if (parsed.ok) addDestination(parsed.destination);
    else addAddress(text);
  };
  /** A tunnel's id: its destination and its forward. */
  const addTunnel = (text: string) => {
    const [, host, forward] = /^(.*) (-[LRD] .*)$/s.exec(text) ?? [];
    if (host === undefined || forward === undefined) return;
    addTyped(host);
    const parsed = parseSpec(forward);
    if (parsed.ok) walk(parsed.spec, '');
  };
  const addText = (text: string, key: string) => {
    switch (key) {
      case 'connection':
        return addTyped(text);
      case 'forward':
        return addTunnel(text);
      case 'user':
        return void users.add(text);
      case 'hosts':
        for (const host of text.split(',')) addAddress(host);
        return;
      case 'host':
      case 'hop':
      case 'alias':
      case 'target':
      case 'server':
      case 'address':
      case 'bind':
      case 'principals':
        return addAddress(text);
    }
  };
  const walk = (part: unknown, key: string): void => {
    if (typeof part === 'string') return addText(part, key);
    if (Array.isArray(part)) {
      for (const one of part as readonly unknown[])
        if (key === 'options' && Array.isArray(one)) addOption(one as unknown as readonly [string, string]);
        else walk(one, key);
    } else if (typeof part === 'object' && part !== null)
      for (const [name, inner] of Object.entries(part)) walk(inner, name);
  };
  walk(value, '');
  return { hosts: real(hosts), users: real(users) };
}

/** Without what tells nobody anything. */
function real(names: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...names].filter((name) => !/^(?:\*?|localhost)$/i.test(name)));
}

/** Domains of which algorithms and extensions have their names. */
const ofAlgorithms = /(?:^|@)(?:openssh\.com|libssh\.org|lysator\.liu\.se|[\w.]*tartarus\.org)$/i;
/** What stands before a colon and a number, and is no host. */
const noHost = /^(?:\d+|localhost|SHA256|MD5|node)$/i;

/** `config_web01` names a host. */
const before = '(?<![\\p{L}\\p{N}])';
const after = '(?![\\p{L}\\p{N}])';
const start = '(?<![\\p{L}\\p{N}_])';
const end = '(?![\\p{L}\\p{N}_])';
/** Not a part of a path; the host of a URL is none. */
const outside = `(?<![\\p{L}\\p{N}_.-]|(?<![\\\\/])[\\\\/])`;

interface Rule {
  pattern: RegExp;
  /** Undefined: it is none. */
  replace(match: readonly (string | undefined)[]): string | undefined;
}

/**
 * What replaces the names in a text: the given ones wherever they stand as words, and what looks like a host or user besides.
 * An address keeps its kind: `private1`, `public1`; loopback and wildcards stay as they are. The same name is the same
 * placeholder in all texts.
 */
export function createRedaction({ hosts, users }: Names): (text: string) => string {
  const given = new Set([...hosts, ...users].map((name) => name.toLowerCase()));
  const isUser = new Set([...users].filter((name) => !hosts.has(name)).map((name) => name.toLowerCase()));
  const placeholders = new Map<string, string>();
  const counts = new Map<string, number>();
  const placeholder = (kind: string, name: string): string => {
    const key = name.toLowerCase();
    const known = placeholders.get(key);
    if (known !== undefined) return known;
    let count = counts.get(kind) ?? 0;
    let made;
    // A host may really be called host1.
    do made = `${kind}${++count}`;
    while (given.has(made));
    counts.set(kind, count);
    placeholders.set(key, made);
    return made;
  };
  const address = (text: string): string => {
    const kind = addressKind(text);
    return kind === 'kept' ? text : placeholder(kind, text);
  };
  const host = (text: string): string => {
    const bare = text.replace(/^\[(.*)\]$/, '$1');
    if (/^localhost$/i.test(bare)) return text;
    return isIpv4(bare) || isIpv6(bare) ? text.replace(bare, () => address(bare)) : placeholder('host', bare);
  };

  const longestFirst = [...given].sort((a, b) => b.length - a.length).map((name) => name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')); // prettier-ignore
  const rules: readonly Rule[] = [
    {
      pattern: rule(`${start}([^\\s@:/'"“”(),;=<>[\\]]+)@(\\[[\\w:.%]+\\]|[\\p{L}\\p{N}_.-]*[\\p{L}\\p{N}_])`),
      replace: ([all = '', user = '', at = '']) =>
        ofAlgorithms.test(all) ? all : `${placeholder('user', user)}@${host(at)}`,
    },
    ...(longestFirst.length === 0
      ? []
      : [
          {
            // With the domain behind it, which nobody may have named.
            pattern: rule(
              `${before}(${longestFirst.join('|')})${after}(?:\\.[\\p{L}\\p{N}](?:[\\p{L}\\p{N}-]*[\\p{L}\\p{N}])?)*${after}`,
            ),
            replace: ([name = '', known = '']: readonly (string | undefined)[]) =>
              isUser.has(known.toLowerCase()) ? placeholder('user', name) : host(name),
          },
        ]),
    {
      pattern: rule('(?<=[\\\\/](?:home|Users)[\\\\/])[^\\\\/\\s:]+'),
      replace: ([user = '']) => placeholder('user', user),
    },
    {
      pattern: rule(`(?<![\\p{L}\\p{N}_:.])[0-9a-f:]*:[0-9a-f:.]*:[0-9a-f.]*[0-9a-f](?:%\\w+)?${end}`),
      replace: ([text = '']) => (isIpv6(text) ? address(text) : undefined),
    },
    {
      pattern: rule(`(?<![\\p{L}\\p{N}_.])\\d{1,3}(?:\\.\\d{1,3}){3}${end}`),
      replace: ([text = '']) => (isIpv4(text) ? address(text) : undefined),
    },
    {
      pattern: rule(`${outside}(?:[\\p{L}\\p{N}](?:[\\p{L}\\p{N}-]*[\\p{L}\\p{N}])?\\.)+\\p{L}{2,}${end}`),
      replace: ([name = '']) => (ofAlgorithms.test(name) || name.startsWith('sshTunnels.') ? undefined : host(name)),
    },
    {
      pattern: rule(`${outside}[\\p{L}\\p{N}_](?:[\\p{L}\\p{N}_.-]*[\\p{L}\\p{N}_])?(?=:\\d{1,5}${end})`),
      replace: ([name = '']) => (noHost.test(name) ? undefined : host(name)),
    },
  ];

  const replacedAt = (text: string, at: number): { made: string; length: number } | undefined => {
    for (const { pattern, replace } of rules) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      const made = match && replace(match);
      if (match && typeof made === 'string') return { made, length: match[0].length };
    }
    return undefined;
  };
  return (text) => {
    let made = '';
    for (let at = 0; at < text.length;) {
      const replaced = replacedAt(text, at);
      const character = String.fromCodePoint(text.codePointAt(at)!);
      made += replaced?.made ?? character;
      at += replaced?.length ?? character.length;
    }
    return made;
  };
}

function rule(source: string): RegExp {
  return new RegExp(source, 'iuy');
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  const halves = text.replace(/%.*$/, '').split('::');
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1);
  const words = last !== undefined && isIpv4(last) ? [...groups.slice(0, -1), '0', '0'] : groups;
  if (!words.every((word) => /^[0-9a-f]{1,4}$/i.test(word))) return false;
  return halves.length === 2 ? words.length < 8 : halves.length === 1 && words.length === 8;
}

/** RFC 1918, 3927, 4193, 4291, 6598. `kept`: loopback and wildcards, which every machine has. */
function addressKind(text: string): 'kept' | 'private' | 'linkLocal' | 'public' {
  const mapped = /^::ffff:([\d.]+)$/i.exec(text)?.[1];
  if (mapped !== undefined && isIpv4(mapped)) return addressKind(mapped);
  if (!isIpv4(text)) {
    if (/^[0:]*(?:::|:)0*1?$/.test(text)) return 'kept';
    if (/^fe[89ab][0-9a-f]:/i.test(text)) return 'linkLocal';
    return /^f[cd][0-9a-f]{2}:/i.test(text) ? 'private' : 'public';
  }
  const [first = 0, second = 0] = text.split('.').map(Number);
  if (first === 127 || text === '0.0.0.0') return 'kept';
  if (first === 169 && second === 254) return 'linkLocal';
  const isPrivate =
    first === 10 ||
    (first === 172 && second >= 16 && second < 32) ||
    (first === 192 && second === 168) ||
    (first === 100 && second >= 64 && second < 128);
  return isPrivate ? 'private' : 'public';
}
