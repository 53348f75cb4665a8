// The keywords of ssh_config whose first value wins: how each is read, and how `ssh -G` prints it.
import { algorithmKinds, algorithmProblem } from './configAlgorithms.js';
import { expandVariables } from './configTokens.js';
import { servicePort } from './servicePort.js';
import type { LocalUser } from './sshConfig.js';

/** What follows a keyword. */
export interface ConfigArguments {
  /** The next word, quotes resolved. */
  next(): string | undefined;
  isEmpty(): boolean;
  /** The whole of it as written, which takes all words. */
  command(): string;
  local: LocalUser;
}

/** What is wrong with a line, in OpenSSH's words. */
export class LineProblem extends Error {}

/** Reads the value in the form in which it is printed. Throws a LineProblem. */
type Reader = (line: ConfigArguments) => string;

const needed = (line: ConfigArguments, problem = 'Missing argument.') => {
  const word = line.next();
  if (!word) throw new LineProblem(problem);
  return word;
};

const text: Reader = (line) => needed(line);

/** Words in any case, each with what is printed for it. */
const choice =
  (printed: Readonly<Record<string, string>>): Reader =>
  (line) => {
    const word = needed(line, 'missing argument.');
    const found = word.toLowerCase();
    if (!Object.hasOwn(printed, found)) throw new LineProblem(`unsupported option "${word}".`);
    return printed[found]!;
  };
const truth = { true: 'true', yes: 'true', false: 'false', no: 'false' };
const flag = choice({ true: 'yes', yes: 'yes', false: 'no', no: 'no' });

const longestInteger = 2 ** 31 - 1;
const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds of a time such as `1h30m`, or `undefined`. */
export function readTime(written: string): number | undefined {
  if (!/^(?:[ \t-\r]*[+-]?\d+(?:[smhdw]|$))+$/i.test(written)) return undefined;
  let total = 0;
  for (const [, number, unit] of written.matchAll(/([+-]?\d+)([smhdw]?)/gi)) {
    const seconds = Number(number) * (secondsOf[unit!.toLowerCase()] ?? 1);
    if (seconds < 0) return undefined;
    total += seconds;
  }
  return total <= longestInteger ? total + 0 : undefined;
}

const time: Reader = (line) => {
  const word = needed(line, 'missing time value.');
  if (word === 'none') return 'none';
  const seconds = readTime(word);
  if (seconds === undefined) throw new LineProblem('invalid time value.');
  return String(seconds);
};

/** As strtonum(3) reads it. */
function readInteger(word: string, least: number, most: number): number | 'invalid' | 'too small' | 'too large' {
  if (!/^[ \t-\r]*[+-]?\d+$/.test(word)) return 'invalid';
  const number = Number(word) + 0;
  return number < least ? 'too small' : number > most ? 'too large' : number;
}

const integer: Reader = (line) => {
  const word = line.next();
  const number = word ? readInteger(word, 0, longestInteger) : 'missing';
  if (typeof number === 'string') throw new LineProblem(`integer value ${number}.`);
  return String(number);
};

export function readPortNumber(word: string): number | undefined {
  const port = readInteger(word, 0, 65535);
  const number = port === 'invalid' ? servicePort(word) : port;
  return typeof number === 'number' && number > 0 ? number : undefined;
}

const port: Reader = (line) => {
  const word = needed(line);
  const number = readPortNumber(word);
  if (number === undefined) throw new LineProblem(`Bad port '${word}'.`);
  return String(number);
};

const command: Reader = (line) => line.command();

const algorithms =
  (keyword: string): Reader =>
  (line) => {
    const list = needed(line);
    const problem = algorithmProblem(keyword, list);
    if (problem) throw new LineProblem(problem);
    return list;
  };

/** `$NAME`, or a path with variables that are set. */
export function readAgentPath(word: string, local: LocalUser): string {
  try {
    expandVariables(word, local);
  } catch {
    throw new LineProblem(`Invalid environment expansion ${word}.`);
  }
  if (/^\$(?!\{)/.test(word) && !/^\$[A-Za-z_]\w*$/.test(word))
    throw new LineProblem(`Invalid environment name ${word}.`);
  return word;
}

const gssKex =
  /^gss-(gex-sha1|group1-sha1|group14-sha1|group14-sha256|group16-sha512|nistp256-sha256|curve25519-sha256)-$/;
const gssAlgorithms: Reader = (line) => {
  const list = needed(line);
  if (list.split(',').every((name) => gssKex.test(name))) return list;
  throw new LineProblem(`Bad GSSAPI KexAlgorithms '${list}'.`);
};

const logLevels = ['SILENT', 'QUIET', 'FATAL', 'ERROR', 'INFO', 'VERBOSE', 'DEBUG', 'DEBUG1', 'DEBUG2', 'DEBUG3'];
const logLevel: Reader = (line) => {
  const word = line.next();
  const level = logLevels.find((name) => name === word?.toUpperCase());
  if (!level) throw new LineProblem(`unsupported log level '${word ?? '<NONE>'}'`);
  return level === 'DEBUG1' ? 'DEBUG' : level === 'QUIET' ? 'SILENT' : level;
};

const escapeChar: Reader = (line) => {
  const word = needed(line);
  if (word === 'none') return word;
  const bytes = Buffer.from(word);
  const control = /^\^([@-\x7f])$/.exec(word)?.[1];
  if (bytes.length !== 1 && control === undefined) throw new LineProblem('Bad escape character.');
  return printByte(control === undefined ? bytes[0]! : control.charCodeAt(0) & 31);
};

/** vis(3) with VIS_WHITE. */
function printByte(byte: number): string {
  if (byte === 0x20 || byte === 9 || byte === 10) return `\\${byte.toString(8).padStart(3, '0')}`;
  if (byte < 0x20) return `\\^${String.fromCharCode(byte + 64)}`;
  if (byte === 0x7f) return '\\^?';
  return byte === 0x5c ? '\\\\' : String.fromCharCode(byte);
}

const addKeys: Reader = (line) => {
  const word = needed(line, 'missing argument.');
  const lifespan = line.next();
  const states: Readonly<Record<string, string>> = { ...truth, ask: 'ask', confirm: 'confirm' };
  const state = Object.hasOwn(states, word.toLowerCase()) ? states[word.toLowerCase()] : undefined;
  if (state === 'confirm' && lifespan !== undefined) {
    const seconds = readTime(lifespan);
    if (seconds === undefined) throw new LineProblem('invalid time value.');
    return seconds > 0 ? `confirm ${seconds}` : 'confirm';
  }
  const seconds = state === undefined && lifespan === undefined ? readTime(word) : undefined;
  if (lifespan !== undefined || (state === undefined && seconds === undefined))
    throw new LineProblem('unsupported option');
  return state ?? (seconds! > 0 ? String(seconds) : 'true');
};

const controlPersist: Reader = (line) => {
  const word = needed(line, 'Missing ControlPersist argument.');
  if (word === 'no' || word === 'false') return 'no';
  if (word === 'yes' || word === 'true') return 'yes';
  const seconds = readTime(word);
  if (seconds === undefined) throw new LineProblem('Bad ControlPersist argument.');
  return seconds === 0 ? 'yes' : String(seconds);
};

const tunnelDevice: Reader = (line) => {
  const word = needed(line);
  const ends = word.split(':');
  const read = (end: string) => (end === 'any' ? end : readInteger(end, 0, longestInteger - 2));
  const numbers = ends.map(read);
  if (ends.length > 2 || numbers.some((number) => /^(invalid|too)/.test(String(number))))
    throw new LineProblem('Bad tun device.');
  return `${numbers[0]!}:${numbers[1] ?? 'any'}`;
};

const qualities: Readonly<Record<string, number>> = {
  af11: 0x28, af12: 0x30, af13: 0x38, af21: 0x48, af22: 0x50, af23: 0x58, af31: 0x68, af32: 0x70, af33: 0x78,
  af41: 0x88, af42: 0x90, af43: 0x98, cs0: 0x00, cs1: 0x20, cs2: 0x40, cs3: 0x60, cs4: 0x80, cs5: 0xa0, cs6: 0xc0,
  cs7: 0xe0, ef: 0xb8, le: 0x04, lowdelay: 0x10, throughput: 0x08, reliability: 0x04,
}; // prettier-ignore

const quality: Reader = (line) => {
  const read = (word: string | undefined) => {
    const name = word?.toLowerCase().replace(/^\+/, '') ?? '';
    if (name === 'none') return name;
    const number = Object.hasOwn(qualities, name)
      ? qualities[name]!
      : /^0x[\da-f]+$/i.test(name)
        ? parseInt(name, 16)
        : /^0[0-7]*$/.test(name)
          ? parseInt(name, 8)
          : /^[1-9]\d*$/.test(name)
            ? Number(name)
            : 256;
    if (number > 255) throw new LineProblem(`Bad IPQoS value: ${word ?? ''}`);
    const known = Object.keys(qualities).find((key) => qualities[key] === number);
    return known ?? `0x${number.toString(16).padStart(2, '0')}`;
  };
  const first = read(line.next());
  return `${first} ${line.isEmpty() ? first : read(line.next())}`;
};

const hashes = ['MD5', 'SHA1', 'SHA256', 'SHA384', 'SHA512'];
const hash: Reader = (line) => {
  const word = needed(line);
  if (!hashes.includes(word.toUpperCase())) throw new LineProblem(`Invalid hash algorithm "${word}".`);
  return word.toUpperCase();
};

const obscure: Reader = (line) => {
  const word = needed(line);
  if (/^interval:\d{1,9}$/.test(word)) return word;
  return choice({ true: 'yes', yes: 'yes', false: 'no', no: 'no' })({ ...line, next: () => word });
};

/** All words as one. */
const words: Reader = (line) => {
  const list: string[] = [];
  for (let word = needed(line); ; word = needed(line)) {
    list.push(word);
    if (line.isEmpty()) return list.join(' ');
  }
};

/** By keyword in lower case. */
export const readers: Readonly<Record<string, Reader>> = {
  addkeystoagent: addKeys,
  addressfamily: choice({ inet: 'inet', inet6: 'inet6', any: 'any' }),
  batchmode: flag,
  bindaddress: text,
  bindinterface: text,
  canonicalizefallbacklocal: flag,
  canonicalizehostname: choice({ ...truth, always: 'always' }),
  canonicalizemaxdots: integer,
  channeltimeout: words,
  checkhostip: flag,
  clearallforwardings: flag,
  compression: choice({ yes: 'yes', no: 'no' }),
  connectionattempts: integer,
  connecttimeout: time,
  controlmaster: choice({ ...truth, auto: 'auto', ask: 'ask', autoask: 'autoask' }),
  controlpath: text,
  controlpersist: controlPersist,
  enableescapecommandline: flag,
  enablesshkeysign: flag,
  escapechar: escapeChar,
  exitonforwardfailure: flag,
  fingerprinthash: hash,
  forkafterauthentication: flag,
  forwardx11: flag,
  forwardx11timeout: time,
  forwardx11trusted: flag,
  gatewayports: flag,
  gssapiauthentication: flag,
  gssapiclientidentity: text,
  gssapidelegatecredentials: flag,
  gssapikexalgorithms: gssAlgorithms,
  gssapikeyexchange: flag,
  gssapirenewalforcesrekey: flag,
  gssapiserveridentity: text,
  gssapitrustdns: flag,
  hashknownhosts: flag,
  hostbasedauthentication: flag,
  hostkeyalias: text,
  hostname: text,
  identitiesonly: flag,
  identityagent: (line) => readAgentPath(needed(line), line.local),
  ignoreunknown: text,
  ipqos: quality,
  kbdinteractiveauthentication: flag,
  kbdinteractivedevices: text,
  knownhostscommand: command,
  localcommand: command,
  loglevel: logLevel,
  nohostauthenticationforlocalhost: flag,
  numberofpasswordprompts: integer,
  obscurekeystroketiming: obscure,
  passwordauthentication: flag,
  permitlocalcommand: flag,
  pkcs11provider: text,
  port,
  preferredauthentications: text,
  proxyusefdpass: flag,
  pubkeyauthentication: choice({ ...truth, unbound: 'unbound', 'host-bound': 'host-bound' }),
  remotecommand: command,
  requesttty: choice({ ...truth, force: 'force', auto: 'auto' }),
  requiredrsasize: integer,
  revokedhostkeys: text,
  securitykeyprovider: text,
  serveralivecountmax: integer,
  serveraliveinterval: time,
  sessiontype: choice({ none: 'none', subsystem: 'subsystem', default: 'default' }),
  stdinnull: flag,
  streamlocalbindunlink: flag,
  stricthostkeychecking: choice({ ...truth, ask: 'ask', off: 'false', 'accept-new': 'accept-new' }),
  tag: text,
  tcpkeepalive: flag,
  tunnel: choice({
    ethernet: 'ethernet',
    'point-to-point': 'point-to-point',
    true: 'point-to-point',
    yes: 'point-to-point',
    false: 'false',
    no: 'false',
  }),
  tunneldevice: tunnelDevice,
  updatehostkeys: choice({ ...truth, ask: 'ask' }),
  user: text,
  verifyhostkeydns: choice({ ...truth, ask: 'ask' }),
  versionaddendum: text,
  visualhostkey: flag,
  warnweakcrypto: flag,
  xauthlocation: text,
  ...Object.fromEntries(Object.keys(algorithmKinds).map((keyword) => [keyword, algorithms(keyword)])),
};

/** Keywords whose value is a time. */
export const times = new Set(Object.keys(readers).filter((keyword) => readers[keyword] === time));

/** Other names of the same, and Debian's. */
export const aliases: Readonly<Record<string, string>> = {
  challengeresponseauthentication: 'kbdinteractiveauthentication',
  skeyauthentication: 'kbdinteractiveauthentication',
  tisauthentication: 'kbdinteractiveauthentication',
  dsaauthentication: 'pubkeyauthentication',
  hostbasedkeytypes: 'hostbasedacceptedalgorithms',
  identityfile2: 'identityfile',
  keepalive: 'tcpkeepalive',
  protocolkeepalives: 'serveraliveinterval',
  pubkeyacceptedkeytypes: 'pubkeyacceptedalgorithms',
  setuptimeout: 'serveraliveinterval',
  smartcarddevice: 'pkcs11provider',
};

/** Keywords of old that do nothing, with whatever follows. */
export const idle = new Set([
  'afstokenpassing',
  'cipher',
  'compressionlevel',
  'fallbacktorsh',
  'globalknownhostsfile2',
  'kerberosauthentication',
  'kerberostgtpassing',
  'protocol',
  'rhostsauthentication',
  'rhostsrsaauthentication',
  'rsaauthentication',
  'useprivilegedport',
  'userknownhostsfile2',
  'useroaming',
  'usersh',
]);

/** The lines of `ssh -G` in their order (OpenSSH 9.2 as Debian has it), with what is printed where nothing was written. */
export const printedKeywords: readonly (readonly [keyword: string, standard?: string])[] = [
  ['host'],
  ['user'],
  ['hostname'],
  ['port', '22'],
  ['addressfamily', 'any'],
  ['batchmode', 'no'],
  ['canonicalizefallbacklocal', 'yes'],
  ['canonicalizehostname', 'false'],
  ['checkhostip', 'no'],
  ['compression', 'no'],
  ['controlmaster', 'false'],
  ['enablesshkeysign', 'no'],
  ['clearallforwardings', 'no'],
  ['exitonforwardfailure', 'no'],
  ['fingerprinthash', 'SHA256'],
  ['forwardx11', 'no'],
  ['forwardx11trusted', 'yes'],
  ['gatewayports', 'no'],
  ['gssapiauthentication', 'no'],
  ['gssapikeyexchange', 'no'],
  ['gssapidelegatecredentials', 'no'],
  ['gssapitrustdns', 'no'],
  ['gssapirenewalforcesrekey', 'no'],
  ['gssapiclientidentity'],
  ['gssapiserveridentity'],
  ['gssapikexalgorithms', 'gss-group14-sha256-,gss-group16-sha512-,gss-nistp256-sha256-,gss-curve25519-sha256-,gss-group14-sha1-,gss-gex-sha1-'], // prettier-ignore
  ['hashknownhosts', 'no'],
  ['hostbasedauthentication', 'no'],
  ['identitiesonly', 'no'],
  ['kbdinteractiveauthentication', 'yes'],
  ['nohostauthenticationforlocalhost', 'no'],
  ['passwordauthentication', 'yes'],
  ['permitlocalcommand', 'no'],
  ['proxyusefdpass', 'no'],
  ['pubkeyauthentication', 'true'],
  ['requesttty', 'auto'],
  ['sessiontype', 'default'],
  ['stdinnull', 'no'],
  ['forkafterauthentication', 'no'],
  ['streamlocalbindunlink', 'no'],
  ['stricthostkeychecking', 'ask'],
  ['tcpkeepalive', 'yes'],
  ['tunnel', 'false'],
  ['verifyhostkeydns', 'false'],
  ['visualhostkey', 'no'],
  ['updatehostkeys', 'true'],
  ['enableescapecommandline', 'no'],
  ['canonicalizemaxdots', '1'],
  ['connectionattempts', '1'],
  ['forwardx11timeout', '1200'],
  ['numberofpasswordprompts', '3'],
  ['serveralivecountmax', '3'],
  ['serveraliveinterval', '0'],
  ['requiredrsasize', '1024'],
  ['bindaddress'],
  ['bindinterface'],
  ['ciphers'],
  ['controlpath'],
  ['hostkeyalgorithms'],
  ['hostkeyalias'],
  ['hostbasedacceptedalgorithms'],
  ['identityagent'],
  ['ignoreunknown'],
  ['kbdinteractivedevices'],
  ['kexalgorithms'],
  ['casignaturealgorithms'],
  ['localcommand'],
  ['remotecommand'],
  ['loglevel', 'INFO'],
  ['macs'],
  ['pkcs11provider'],
  ['securitykeyprovider', 'internal'],
  ['preferredauthentications'],
  ['pubkeyacceptedalgorithms'],
  ['revokedhostkeys'],
  ['xauthlocation', '/usr/bin/xauth'],
  ['knownhostscommand'],
  // Since OpenSSH 9.4; printed where they were written.
  ['tag'],
  ['versionaddendum'],
  ['warnweakcrypto'],
  ['dynamicforward'],
  ['localforward'],
  ['remoteforward'],
  ['identityfile'],
  ['canonicaldomains', 'none'],
  ['certificatefile'],
  ['globalknownhostsfile'],
  ['userknownhostsfile'],
  ['sendenv'],
  ['setenv'],
  ['logverbose', 'none'],
  ['channeltimeout'],
  ['permitremoteopen', 'any'],
  ['addkeystoagent', 'false'],
  ['forwardagent', 'no'],
  ['connecttimeout', 'none'],
  ['tunneldevice', 'any:any'],
  ['canonicalizePermittedcnames', 'none'],
  ['controlpersist', 'no'],
  ['escapechar', '~'],
  ['ipqos', 'lowdelay throughput'],
  ['rekeylimit', '0 0'],
  ['streamlocalbindmask', '0177'],
  ['syslogfacility', 'USER'],
  ['obscurekeystroketiming'],
  ['proxycommand'],
  ['proxyjump'],
];

/** Cleared by `none`. */
export const clearable = new Set([
  'localcommand',
  'remotecommand',
  'proxycommand',
  'controlpath',
  'revokedhostkeys',
  'pkcs11provider',
  'securitykeyprovider',
  'knownhostscommand',
]);
