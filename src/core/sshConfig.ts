// ssh_config(5) as far as a forward-only connection needs it: the options that `ssh -G` prints, typed.
import { connectionTokens } from './configTokens.js';
import { parseHostAddress, type HostAddress } from './hostAddress.js';
import { hostPort } from './wording.js';

/** What the options come to for one host. Files are absolute paths, in the order in which ssh tries them. */
export interface HostConfig {
  /** The name as typed, which known_hosts and messages use unless HostKeyAlias says otherwise. */
  alias: string;
  hostName: string;
  /** 1 to 65535 */
  port: number;
  user: string;
  hostKeyAlias?: string;
  /** ProxyJump: the hosts to go through, nearest first, each with an ssh_config of its own; empty: none. */
  proxyJump: readonly HostAddress[];
  /** BindAddress: the address of this machine to connect from. */
  bindAddress?: string;
  /** 0: any family */
  addressFamily: 0 | 4 | 6;
  /** ProxyCommand, its tokens expanded: its standard input and output are the connection. A proxyJump goes before it. */
  proxyCommand?: string;
  /** How often to try to connect the socket, a second apart; 1 or more. */
  connectionAttempts: number;
  identityFiles: readonly string[];
  /** Certificates named apart from their keys; each key's own `-cert.pub` is looked for besides. */
  certificateFiles: readonly string[];
  identitiesOnly: boolean;
  /** Socket or pipe of the agent; absent: none. */
  identityAgent?: string;
  userKnownHostsFiles: readonly string[];
  globalKnownHostsFiles: readonly string[];
  strictHostKeyChecking: 'ask' | 'accept-new' | 'yes' | 'no';
  hashKnownHosts: boolean;
  /** A command that prints known_hosts lines; its tokens are not expanded yet, since some are of the key. */
  knownHostsCommand?: string;
  /** A list of public keys or an OpenSSH key revocation list. */
  revokedHostKeysFile?: string;
  /** The key's picture is shown with the question whether to accept it. */
  visualHostKey: boolean;
  /** RequiredRSASize: the fewest bits of an RSA key, of the host and of the user; shorter than 1024 none is taken anyway. */
  requiredRsaBits: number;
  /** NoHostAuthenticationForLocalhost: a host at a loopback address may have any key. */
  trustsLocalhost: boolean;
  /** The address that was connected to must not be known with another key. */
  checkHostIp: boolean;
  /** Whether further keys that the server proves to have go to known_hosts. */
  updateHostKeys: 'yes' | 'no' | 'ask';
  /** Methods in the order to try: publickey, password, ... */
  preferredAuthentications: readonly string[];
  /** What may be offered; an absent list is not narrowed. */
  algorithms: Algorithms;
  numberOfPasswordPrompts: number;
  batchMode: boolean;
  /** Seconds for each phase that waits for the network, 1 or more. */
  connectTimeout: number;
  /** Seconds; 0: no keepalive. */
  serverAliveInterval: number;
  serverAliveCountMax: number;
  /** When new keys are exchanged, where that is not left to the ciphers. */
  rekeyLimit?: RekeyLimit;
  exitOnForwardFailure: boolean;
  /** Local and dynamic forwards without a bind address listen on all interfaces. */
  gatewayPorts: boolean;
  /** umask of Unix sockets that are made on this machine. */
  streamLocalBindMask: number;
  /** Removes what stands at a Unix socket's path before it listens there. */
  streamLocalBindUnlink: boolean;
  /** What a remote SOCKS forward may reach: `host:port` with `*` for any; absent: everything. */
  permitRemoteOpen?: readonly string[];
  /** What `%h` and the like stand for in the path of a Unix socket. */
  tokens: Readonly<Record<string, string>>;
}

/** 0: none but that of the cipher, and none. */
export interface RekeyLimit {
  bytes: number;
  seconds: number;
}

/** Names of RFC 4253 section 6 that the user allows, as `ssh -G` prints them. */
export interface Algorithms {
  kex?: readonly string[];
  cipher?: readonly string[];
  mac?: readonly string[];
  hostKey?: readonly string[];
  /** PubkeyAcceptedAlgorithms: signatures of the user's keys. */
  pubkey?: readonly string[];
  /** CASignatureAlgorithms: signatures on host certificates. */
  caSignature?: readonly string[];
}

/** Where this runs: what `~`, `%d`, `%u` and the defaults stand for. */
export interface LocalUser {
  name: string;
  /** The number of the user, `%i`; none on Windows. */
  uid?: number;
  home: string;
  /** The machine's name with its domain, `%l`. */
  hostName: string;
  env: Readonly<Record<string, string | undefined>>;
  windows: boolean;
  /** Apple’s ssh has an option of its own. */
  mac?: boolean;
}

/** Keyword in lower case to its values, in order; a keyword may come several times. */
export type Options = ReadonlyMap<string, readonly string[]>;

/** Reads the lines that `ssh -G` prints: `keyword value`. */
export function parseOptionLines(text: string): Options {
  const options = new Map<string, string[]>();
  for (const line of text.split(/\r?\n/)) {
    const [, keyword, value] = /^(\S+)(?:\s+(.*))?$/.exec(line) ?? [];
    if (!keyword) continue;
    const values = options.get(keyword.toLowerCase()) ?? [];
    values.push((value ?? '').trim());
    options.set(keyword.toLowerCase(), values);
  }
  return options;
}

/** The keywords of `-o` that are understood here; the rest is refused by name. */
const overridable = new Set([
  'hostname',
  'user',
  'port',
  'identityfile',
  'certificatefile',
  'identitiesonly',
  'identityagent',
  'userknownhostsfile',
  'globalknownhostsfile',
  'stricthostkeychecking',
  'hashknownhosts',
  'hostkeyalias',
  'addressfamily',
  'preferredauthentications',
  'numberofpasswordprompts',
  'batchmode',
  'connecttimeout',
  'serveraliveinterval',
  'serveralivecountmax',
  'rekeylimit',
  'exitonforwardfailure',
  'gatewayports',
  'streamlocalbindmask',
  'streamlocalbindunlink',
  'permitremoteopen',
  'bindaddress',
  'proxyjump',
  'proxycommand',
  'connectionattempts',
  'knownhostscommand',
  'revokedhostkeys',
  'checkhostip',
  'updatehostkeys',
  'visualhostkey',
  'pubkeyauthentication',
  'passwordauthentication',
  'kbdinteractiveauthentication',
  'ciphers',
  'macs',
  'kexalgorithms',
  'hostkeyalgorithms',
  'pubkeyacceptedalgorithms',
  'casignaturealgorithms',
  'canonicalizehostname',
  'canonicaldomains',
  'canonicalizefallbacklocal',
  'canonicalizemaxdots',
  'canonicalizepermittedcnames',
  'clearallforwardings',
  'ignoreunknown',
  'tag',
]);

export function isOverridable(keyword: string): boolean {
  return overridable.has(keyword.toLowerCase());
}

/** Defaults of our own where OpenSSH waits for ever: a person watches. */
const connectTimeoutSeconds = 20;
/** A ProxyCommand may be waiting for somebody to log in to it in a browser. */
const programTimeoutSeconds = 300;
const aliveIntervalSeconds = 15;

/**
 * Makes the typed options of a host. `options` is what `ssh -G` printed, or what was given by hand; what is absent gets
 * OpenSSH's default. An unreadable value throws a plain Error that names it.
 */
export function hostConfig(alias: string, options: Options, local: LocalUser): HostConfig {
  const one = (keyword: string) => options.get(keyword)?.[0];
  const yes = (keyword: string, otherwise: boolean) => {
    const value = one(keyword)?.toLowerCase();
    if (value === undefined) return otherwise;
    if (['yes', 'true', 'on'].includes(value)) return true;
    if (['no', 'false', 'off'].includes(value)) return false;
    throw new Error(`${keyword} ${value}: expected yes or no`);
  };
  const number = (keyword: string, otherwise: number, least = 0) => {
    const value = one(keyword);
    if (value === undefined || value === 'none') return otherwise;
    if (!/^\d+$/.test(value) || Number(value) < least) throw new Error(`${keyword} ${value}: expected a number`);
    return Number(value);
  };
  const seconds = (keyword: string, otherwise: number, least = 0) => {
    const value = one(keyword);
    if (value === undefined || value === 'none') return otherwise;
    const parts = /^(\d[smhdw]?)+$/i.test(value) ? value.toLowerCase().match(/\d+[smhdw]?/g)! : [];
    const sum = Math.min(
      parts.reduce((total, part) => total + parseInt(part, 10) * (secondsOf[part.at(-1)!] ?? 1), 0),
      longestSeconds,
    );
    if (parts.length === 0 || sum < least) throw new Error(`${keyword} ${value}: expected a time`);
    return sum;
  };
  const set = (keyword: string) => !/^(none)?$/i.test(one(keyword) ?? '');
  const user = one('user') ?? local.name;
  const hostName = one('hostname') ?? alias;
  const port = number('port', 22, 1);
  if (port > 65535) throw new Error(`port ${port}: expected 1 to 65535`);
  const proxyJump = jumps(one('proxyjump'), { '%': '%', h: hostName, n: alias, p: String(port), r: user });
  const facts = { original: alias, hostName, port, user, jump: proxyJump.at(-1)?.host ?? '' };
  const keyAlias = one('hostkeyalias');
  const tokens = connectionTokens({ ...facts, ...(keyAlias !== undefined && { hostKeyAlias: keyAlias }) }, local);
  const path = (text: string) => expandPath(text, tokens, local);
  const paths = (keyword: string, otherwise: readonly string[]) => {
    const values = options.get(keyword)?.flatMap(splitFiles) ?? otherwise;
    return values.filter((value) => value.toLowerCase() !== 'none').map(path);
  };
  const hostKeyAlias = one('hostkeyalias');
  const bindAddress = one('bindaddress');
  const isOff = (method: string) =>
    ['no', 'false', 'off'].includes(one(`${method}authentication`)?.toLowerCase() ?? '');
  const list = (name: keyof Algorithms, keyword: string) => {
    const value = one(keyword);
    return value === undefined ? {} : { [name]: value.split(',') };
  };
  const agent = agentPath(one('identityagent'), local, path);
  const strict = (one('stricthostkeychecking') ?? 'ask').toLowerCase();
  const identityFiles = options.get('identityfile')?.filter((file) => file.toLowerCase() !== 'none');
  return {
    alias,
    hostName,
    port,
    user,
    ...(hostKeyAlias && { hostKeyAlias }),
    proxyJump,
    ...(set('proxycommand') && { proxyCommand: commandTokens('proxycommand', one('proxycommand')!, tokens) }),
    connectionAttempts: number('connectionattempts', 1, 1),
    ...(bindAddress && { bindAddress }),
    addressFamily: family((one('addressfamily') ?? 'any').toLowerCase()),
    identityFiles: (identityFiles ?? defaultIdentities).map((file) => path(unquote(file))),
    certificateFiles: paths('certificatefile', []),
    identitiesOnly: yes('identitiesonly', false),
    ...(agent !== undefined && { identityAgent: agent }),
    userKnownHostsFiles: paths('userknownhostsfile', ['~/.ssh/known_hosts', '~/.ssh/known_hosts2']),
    globalKnownHostsFiles: paths(
      'globalknownhostsfile',
      local.windows
        ? ['${ProgramData}/ssh/ssh_known_hosts']
        : ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
    ),
    strictHostKeyChecking: strictness(strict),
    hashKnownHosts: yes('hashknownhosts', false),
    ...(set('knownhostscommand') && { knownHostsCommand: one('knownhostscommand')! }),
    ...(set('revokedhostkeys') && { revokedHostKeysFile: path(unquote(one('revokedhostkeys')!)) }),
    visualHostKey: yes('visualhostkey', false),
    requiredRsaBits: number('requiredrsasize', 1024),
    trustsLocalhost: yes('nohostauthenticationforlocalhost', false),
    checkHostIp: yes('checkhostip', false),
    updateHostKeys: updating((one('updatehostkeys') ?? 'no').toLowerCase()),
    preferredAuthentications: (one('preferredauthentications') ?? 'publickey,keyboard-interactive,password')
      .split(',')
      .filter((method) => !isOff(switchOf[method] ?? method)),
    algorithms: {
      ...list('kex', 'kexalgorithms'),
      ...list('cipher', 'ciphers'),
      ...list('mac', 'macs'),
      ...list('hostKey', 'hostkeyalgorithms'),
      ...list('pubkey', 'pubkeyacceptedalgorithms'),
      ...list('caSignature', 'casignaturealgorithms'),
    },
    numberOfPasswordPrompts: number('numberofpasswordprompts', 3),
    batchMode: yes('batchmode', false),
    connectTimeout: seconds('connecttimeout', set('proxycommand') ? programTimeoutSeconds : connectTimeoutSeconds, 1),
    // A tunnel that nobody watches needs to notice a dead line.
    serverAliveInterval: seconds('serveraliveinterval', aliveIntervalSeconds),
    serverAliveCountMax: number('serveralivecountmax', 3),
    ...rekeying(one('rekeylimit') ?? '0 0'),
    exitOnForwardFailure: yes('exitonforwardfailure', false),
    gatewayPorts: yes('gatewayports', false),
    streamLocalBindMask: mask(one('streamlocalbindmask') ?? '0177'),
    streamLocalBindUnlink: yes('streamlocalbindunlink', false),
    ...permitted(one('permitremoteopen') ?? 'any'),
    tokens,
  };
}

/** The option that turns a method off, where its name is another one. */
const switchOf: Readonly<Record<string, string>> = {
  publickey: 'pubkey',
  'keyboard-interactive': 'kbdinteractive',
};

/** As `ssh -G` prints it: bytes and seconds. */
function rekeying(value: string): Pick<HostConfig, 'rekeyLimit'> {
  const [, bytes, seconds] = /^(\d+) (\d+)$/.exec(value) ?? [];
  if (bytes === undefined) throw new Error(`rekeylimit ${value}: expected bytes and seconds`);
  const rekeyLimit = { bytes: Number(bytes), seconds: Number(seconds) };
  return rekeyLimit.bytes > 0 || rekeyLimit.seconds > 0 ? { rekeyLimit } : {};
}

function updating(value: string): HostConfig['updateHostKeys'] {
  if (value === 'ask') return value;
  return ['yes', 'true', 'on'].includes(value) ? 'yes' : 'no';
}

/** A ProxyCommand in which each token stands for what it means; one that ssh does not take there is an error, as in ssh. */
function commandTokens(keyword: string, command: string, tokens: Readonly<Record<string, string>>): string {
  return command.replace(/%(.?)/gs, (token, letter: string) => {
    const meaning = '%hknpr'.includes(letter) ? tokens[letter] : undefined;
    if (meaning === undefined) throw new Error(`${keyword} ${command}: unknown token ${token}`);
    return meaning;
  });
}

const defaultIdentities = [
  '~/.ssh/id_rsa',
  '~/.ssh/id_ecdsa',
  '~/.ssh/id_ecdsa_sk',
  '~/.ssh/id_ed25519',
  '~/.ssh/id_ed25519_sk',
];

function mask(value: string): number {
  if (/^[0-7]{1,4}$/.test(value)) return parseInt(value, 8);
  throw new Error(`streamlocalbindmask ${value}: expected an octal number`);
}

function permitted(value: string): Pick<HostConfig, 'permitRemoteOpen'> {
  const words = splitWords(value);
  if (words.length === 1 && words[0]!.toLowerCase() === 'any') return {};
  return { permitRemoteOpen: words.length === 1 && words[0]!.toLowerCase() === 'none' ? [] : words };
}

/** The longest time that a timer of Node takes. */
const longestSeconds = 2_147_483;

const secondsOf: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400, w: 604_800 };

function family(value: string): HostConfig['addressFamily'] {
  switch (value) {
    case 'any':
      return 0;
    case 'inet':
      return 4;
    case 'inet6':
      return 6;
    default:
      throw new Error(`addressfamily ${value}: expected any, inet or inet6`);
  }
}

function strictness(value: string): HostConfig['strictHostKeyChecking'] {
  switch (value) {
    case 'ask':
    case 'accept-new':
      return value;
    case 'yes':
    case 'true':
    case 'on':
      return 'yes';
    case 'no':
    case 'off':
    case 'false':
      return 'no';
    default:
      throw new Error(`stricthostkeychecking ${value}: expected ask, accept-new, yes or no`);
  }
}

/** The tokens are those of ProxyCommand, which ssh makes of ProxyJump; `none` and nothing mean: directly. */
function jumps(value: string | undefined, tokens: Readonly<Record<string, string>>): HostAddress[] {
  if (value === undefined || /^(none|"")?$/i.test(value)) return [];
  const expand = (text: string) =>
    text.replace(/%(.?)/g, (token, letter: string) => {
      const meaning = tokens[letter];
      if (meaning === undefined) throw new Error(`proxyjump ${value}: unknown token ${token}`);
      return meaning;
    });
  return value.split(',').map((text) => {
    const hop = parseHostAddress(text);
    if (!hop.ok) throw new Error(`proxyjump ${value}: ${text.trim() ? `${text} is not a host` : 'a host is missing'}`);
    const { host, user, port } = hop.address;
    return {
      host: expand(host),
      ...(user !== undefined && { user: expand(user) }),
      ...(port !== undefined && { port }),
    };
  });
}

/** The agent that ssh would use: IdentityAgent (a path, none, SSH_AUTH_SOCK, $NAME), else SSH_AUTH_SOCK, on Windows the OpenSSH pipe. */
function agentPath(
  value: string | undefined,
  { env, windows }: LocalUser,
  path: (text: string) => string,
): string | undefined {
  const standard = env['SSH_AUTH_SOCK'] || (windows ? '\\\\.\\pipe\\openssh-ssh-agent' : undefined);
  if (value === undefined || value === '' || value === 'SSH_AUTH_SOCK') return standard;
  if (value.toLowerCase() === 'none') return undefined;
  if (/^\$\w+$/.test(value)) return env[value.slice(1)] || undefined;
  return path(unquote(value));
}

/** Expands a leading `~`, `${NAME}` and the %-tokens; what has no meaning stays as it is. */
export function expandPath(text: string, tokens: Readonly<Record<string, string>>, { home, env }: LocalUser): string {
  return text.replace(/^~(?=[\\/]|$)|^__PROGRAMDATA__|\$\{(\w+)\}|%(.)/g, (whole, name?: string, token?: string) => {
    // How ssh on Windows prints its system-wide files.
    if (whole === '__PROGRAMDATA__') return env['ProgramData'] ?? whole;
    if (name !== undefined) return env[name] ?? whole;
    return token === undefined ? home : (tokens[token] ?? whole);
  });
}

/**
 * Splits a list of files. `ssh -G` prints it without the quotes, so a blank parts two files only where the next word
 * begins as a path does: a home directory may be called `C:\Users\Ann Lee`.
 */
function splitFiles(text: string): string[] {
  if (text.includes('"')) return splitWords(text);
  return text.split(/\s+(?=[/~%$\\]|__PROGRAMDATA__|[a-z]:[\\/]|none$)/i);
}

/** Splits a value at blanks, as ssh does; "quotes" keep them. */
function splitWords(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2]!);
}

function unquote(text: string): string {
  return /^".*"$/.test(text) ? text.slice(1, -1) : text;
}

/** The name under which known_hosts holds a host: HostKeyAlias as it is, else `host`, with a port other than 22 `[host]:port`. */
export function knownHostsName({ hostKeyAlias, hostName, port }: HostConfig): string {
  if (hostKeyAlias) return hostKeyAlias;
  return port === 22 ? hostName : `[${hostName}]:${port}`;
}

/** `user@host:port` as it is really dialled. */
export function serverText({ user, hostName, port }: HostConfig): string {
  return `${user}@${hostPort(hostName, port)}`;
}
