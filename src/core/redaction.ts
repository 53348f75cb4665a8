// Texts without the names of hosts and users, for pasting into an issue: each name has a placeholder of its own.
import { ofAlgorithms } from './algorithmName.js';

export interface Names {
  hosts: ReadonlySet<string>;
  users: ReadonlySet<string>;
}

/** What stands before a colon and a number, and is no host. */
const noHost = /^(?:\d+|localhost|SHA256|MD5|node)$/i;

/** What replaces names. The same name has the same placeholder in all of it, in any case of its letters. */
export interface Redaction {
  /**
   * In any text: the given names wherever they stand as words, what looks like a host, user or address besides, and the
   * names in paths. Its time grows with the text alone.
   */
  text(text: string): string;
  /** A name or an address, which keeps its kind: `private1`, `public1`. Loopback and wildcards stay as they are. */
  host(name: string): string;
  user(name: string): string;
  /** A name of any other kind, such as `key`. */
  other(kind: string, name: string): string;
  /** Of a file or socket. What is called so everywhere stays, and so do the ends of files’ names. */
  path(path: string): string;
}

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** What is called so on any machine. */
const pathWords = words(`
  . .. .config .ssh .vscode .vscode-server 1password agent agent.sock appdata authorized_keys bin conf.d config config.d data
  dev dist documents etc extensions extension.js home id_dsa id_ecdsa id_ecdsa_sk id_ed25519 id_ed25519_sk id_rsa
  keyring keys known_hosts known_hosts.d known_hosts2 lib lib64 library local mnt node_modules null opt openssh openssh-ssh-agent
  out pageant pipe private program proc programdata remote revoked_keys roaming root run sbin share shared sock socket sockets srv
  src ssh ssh-agent ssh_config ssh_config.d ssh_known_hosts system system32 temp tmp tunnels usr user users var volumes windows
  worker.js zsh bash fish sh ssh.exe
`);
/** Ends of files’ names. */
const fileEnd = /(?:-cert)?\.(?:pub|sock|socket|ppk|pem|key|conf|config|json|krl|log|exe|dll|sh|[cm]?[jt]s)$/i;

/** `config_web01` names a host. */
const start = '(?<![\\p{L}\\p{N}_])';
const end = '(?![\\p{L}\\p{N}_])';
/** Not a part of a path; the host of a URL is none. */
const outside = `(?<![\\p{L}\\p{N}_.-]|(?<![\\\\/])[\\\\/])`;
const label = '[\\p{L}\\p{N}](?:[\\p{L}\\p{N}-]{0,62}[\\p{L}\\p{N}])?';
const inPath = `[^\\s\\\\/:"'“”‘’(),;<>|=]`;
/** A user’s folder may have blanks in its name. */
const inUsers = `(?<=[\\\\/](?:home|Users)[\\\\/]{1,4})${inPath}{1,64}(?: ${inPath}{1,64}){0,2}(?=[\\\\/])`;
const root = `(?:file:)?(?:~${inPath}{0,64}|[a-z]:)?[\\\\/]`;

// Each is tried at each word of a text: none may look further than some hundred characters ahead.
const atUser = rule(
  `${start}([^\\s@:/'"“”(),;=<>[\\]]{1,256})@(\\[[\\w:.%]{1,64}\\]|[\\p{L}\\p{N}_.-]{0,253}[\\p{L}\\p{N}_])`,
);
const atQuotedPath = rule(`(?<=["“])${root}[^"”\\n]{0,1024}(?=["”])|(?<=['‘])${root}[^'’\\n]{0,1024}(?=['’])`);
const atPath = rule(
  `(?<![\\p{L}\\p{N}_.\\\\/@~-]|SHA256:)(?!(?<=:)[\\\\/]{2})${root}(?:[\\\\/]|${inUsers}|${inPath}{1,255})*`,
);
const atHome = rule('(?<=[\\\\/](?:home|Users)[\\\\/])[^\\\\/\\s:]{1,64}');
const atIpv6 = rule('(?<![\\p{L}\\p{N}_:.])[0-9a-f:.]{3,64}(?:%\\w{1,16})?');
const atIpv4 = rule(`(?<![\\p{L}\\p{N}_.])\\d{1,3}(?:\\.\\d{1,3}){3}${end}`);
const atFullName = rule(`${outside}(?:${label}\\.){1,16}\\p{L}{2,63}${end}`);
const atHostWithPort = rule(`${outside}[\\p{L}\\p{N}_](?:[\\p{L}\\p{N}_.-]{0,253}[\\p{L}\\p{N}_])?(?=:\\d{1,5}${end})`);
const atDomain = rule(`(?:\\.${label}){1,16}(?![\\p{L}\\p{N}])`);
const atWord = rule('[\\p{L}\\p{N}]+|[^]');

/** The given names are hidden in texts wherever they stand; what else is hidden need not be among them. */
export function createRedaction({ hosts, users }: Names): Redaction {
  const given = new Set([...hosts, ...users].map((name) => name.toLowerCase()));
  const isUser = new Set([...users].filter((name) => !hosts.has(name)).map((name) => name.toLowerCase()));
  // Beside their lower case, which for some letters has more characters and so may fall into other words.
  const known = createLookup(new Set([...hosts, ...users, ...given]));
  const placeholders = new Map<string, string>();
  const counts = new Map<string, number>();
  const other = (kind: string, name: string): string => {
    const key = name.toLowerCase();
    const before = placeholders.get(key);
    if (before !== undefined) return before;
    let count = counts.get(kind) ?? 0;
    let made;
    // A host may really be called host1.
    do made = `${kind}${++count}`;
    while (given.has(made.toLowerCase()));
    counts.set(kind, count);
    placeholders.set(key, made);
    return made;
  };
  const user = (name: string) => other('user', name);
  const address = (text: string): string => {
    const kind = addressKind(text);
    return kind === 'kept' ? text : other(kind, text);
  };
  const host = (text: string): string => {
    const bare = text.replace(/^\[(.*)\]$/, '$1');
    if (/^(?:|\*|localhost)$/i.test(bare)) return text;
    return isIpv4(bare) || isIpv6(bare) ? text.replace(bare, () => address(bare)) : other('host', bare);
  };

  const pathPart = (part: string, before: string | undefined): string => {
    if (/^(?:~|[a-z]:|file:|\d*)$/i.test(part)) return part;
    if (part.startsWith('~')) return `~${user(part.slice(1))}`;
    if (before !== undefined && /^(?:home|users)$/i.test(before)) return user(part);
    const lower = part.toLowerCase();
    if (isUser.has(lower)) return user(part);
    if (pathWords.has(lower) && !given.has(lower)) return part;
    const [kept = ''] = fileEnd.exec(part) ?? [];
    return other('name', part.slice(0, part.length - kept.length)) + kept;
  };
  const path = (whole: string): string => {
    // A share of Windows; `\\\\.\\pipe` is none.
    const [, lead = '', server, rest = ''] = /^([\\/]{2,4})([^\\/.?][^\\/]*)(.*)$/s.exec(whole) ?? [];
    if (server !== undefined && lead.startsWith('\\')) return `${lead}${host(server)}${path(rest)}`;
    const parts = whole.split(/([\\/]+)/);
    return parts.map((part, at) => (at % 2 === 1 ? part : pathPart(part, parts[at - 2]))).join('');
  };

  const replacedAt = (text: string, at: number): readonly [made: string, length: number] | undefined => {
    const asUser = atUser(text, at);
    if (asUser) {
      const [all, name = '', server = ''] = asUser;
      return [ofAlgorithms.test(all) ? all : `${user(name)}@${host(server)}`, all.length];
    }
    const asPath = atQuotedPath(text, at) ?? atPath(text, at);
    if (asPath) return [path(asPath[0]), asPath[0].length];
    const word = known(text, at);
    if (word > 0) {
      const name = text.slice(at, at + word);
      if (isUser.has(name.toLowerCase())) return [user(name), word];
      // Its domain may be one that nobody has named.
      const full = name + (atDomain(text, at + word)?.[0] ?? '');
      return [host(full), full.length];
    }
    const home = atHome(text, at);
    if (home) return [user(home[0]), home[0].length];
    const six = ipv6In(atIpv6(text, at)?.[0] ?? '', text, at);
    if (six !== undefined) return [address(six), six.length];
    const four = atIpv4(text, at)?.[0];
    if (four !== undefined && isIpv4(four)) return [address(four), four.length];
    const full = atFullName(text, at)?.[0];
    if (full !== undefined && !ofAlgorithms.test(full) && !full.startsWith('sshTunnels.'))
      return [host(full), full.length];
    const named = atHostWithPort(text, at)?.[0];
    return named !== undefined && !noHost.test(named) ? [host(named), named.length] : undefined;
  };
  return {
    text(text) {
      let made = '';
      for (let at = 0; at < text.length;) {
        const replaced = replacedAt(text, at);
        const [kept, length] = replaced ?? [atWord(text, at)![0], undefined];
        made += kept;
        at += length ?? kept.length;
      }
      return made;
    },
    host,
    user,
    other,
    path,
  };
}

interface Branch {
  next: Map<string, Branch>;
  isName: boolean;
}

/** How long the longest of the names is that begins at a place of a text, or 0: one look for each word, however many names. */
function createLookup(names: ReadonlySet<string>): (text: string, at: number) => number {
  const tree: Branch = { next: new Map(), isName: false };
  const wordAt = (text: string, at: number): string => atWord(text, at)![0];
  for (const name of names) {
    if (!/[\p{L}\p{N}]/u.test(name)) continue;
    let branch = tree;
    for (let at = 0; at < name.length;) {
      const word = wordAt(name, at);
      const key = word.toLowerCase();
      const next: Branch = branch.next.get(key) ?? { next: new Map(), isName: false };
      branch.next.set(key, next);
      branch = next;
      at += word.length;
    }
    branch.isName = true;
  }
  return (text, at) => {
    let longest = 0;
    let branch: Branch | undefined = tree;
    for (let end = at; end < text.length;) {
      const word = wordAt(text, end);
      branch = branch.next.get(word.toLowerCase());
      if (!branch) break;
      end += word.length;
      if (branch.isName) longest = end - at;
    }
    return longest;
  };
}

/** The address at the beginning of what is made of the same characters; `[^LN_]` or nothing stands behind it. */
function ipv6In(run: string, text: string, at: number): string | undefined {
  const isApart = (part: string) => !/^[\p{L}\p{N}_]/u.test(text.slice(at + part.length, at + part.length + 2));
  const trimmed = run.replace(/[:.]+$/, '');
  const shorter = trimmed.replace(/[0-9a-f]+$/i, '').replace(/[:.]+$/, '');
  return [trimmed, shorter].find((part) => part.includes(':') && isIpv6(part) && isApart(part));
}

/** What begins at a place of a text. Made when it is used first: all of them would hold up the start by 2 ms. */
function rule(source: string): (text: string, at: number) => RegExpExecArray | null {
  let made: RegExp | undefined;
  return (text, at) => {
    made ??= new RegExp(source, 'iuy');
    made.lastIndex = at;
    return made.exec(text);
  };
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
