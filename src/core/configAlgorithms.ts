// Lists of algorithms in ssh_config: OpenSSH's own, and what `+`, `-` and `^` make of them.
import { matchesList, matchesPattern, placeInList } from './configPattern.js';

interface AlgorithmKind {
  /** What counts where nothing is written, best first. */
  standard: readonly string[];
  /** All that can be named, in the order in which a pattern finds them. */
  all: readonly string[];
  /** Whether patterns may stand where names are added or replaced, too. */
  patterns: boolean;
  /** The words of the error for a list that names something else. */
  problem: (list: string) => string;
}

const signatures = [
  'ssh-ed25519',
  'sk-ssh-ed25519@openssh.com',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ecdsa-sha2-nistp256@openssh.com',
  'webauthn-sk-ecdsa-sha2-nistp256@openssh.com',
  'ssh-dss',
  'ssh-rsa',
  'rsa-sha2-256',
  'rsa-sha2-512',
];
const standardSignatures = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
  'rsa-sha2-512',
  'rsa-sha2-256',
];
const certificateOf = (name: string) =>
  name.endsWith('@openssh.com') ? name.replace('@', '-cert-v01@') : `${name}-cert-v01@openssh.com`;

const publicKeys: AlgorithmKind = {
  standard: [...standardSignatures.map(certificateOf), ...standardSignatures],
  all: signatures.flatMap((name) => (name.startsWith('webauthn') ? [name] : [name, certificateOf(name)])),
  patterns: true,
  problem: (list) => `Bad key types '${list}'.`,
};

/** By keyword. The standard lists are those of OpenSSH 9.2; what newer ones know can be named. */
export const algorithmKinds: Readonly<Record<string, AlgorithmKind>> = {
  ciphers: {
    standard: [
      'chacha20-poly1305@openssh.com',
      'aes128-ctr',
      'aes192-ctr',
      'aes256-ctr',
      'aes128-gcm@openssh.com',
      'aes256-gcm@openssh.com',
    ],
    all: [
      '3des-cbc',
      'aes128-cbc',
      'aes192-cbc',
      'aes256-cbc',
      'aes128-ctr',
      'aes192-ctr',
      'aes256-ctr',
      'aes128-gcm@openssh.com',
      'aes256-gcm@openssh.com',
      'chacha20-poly1305@openssh.com',
    ],
    patterns: false,
    problem: (list) => `Bad SSH2 cipher spec '${list}'.`,
  },
  macs: {
    standard: [
      'umac-64-etm@openssh.com',
      'umac-128-etm@openssh.com',
      'hmac-sha2-256-etm@openssh.com',
      'hmac-sha2-512-etm@openssh.com',
      'hmac-sha1-etm@openssh.com',
      'umac-64@openssh.com',
      'umac-128@openssh.com',
      'hmac-sha2-256',
      'hmac-sha2-512',
      'hmac-sha1',
    ],
    all: [
      'hmac-sha1',
      'hmac-sha1-96',
      'hmac-sha2-256',
      'hmac-sha2-512',
      'hmac-md5',
      'hmac-md5-96',
      'umac-64@openssh.com',
      'umac-128@openssh.com',
      'hmac-sha1-etm@openssh.com',
      'hmac-sha1-96-etm@openssh.com',
      'hmac-sha2-256-etm@openssh.com',
      'hmac-sha2-512-etm@openssh.com',
      'hmac-md5-etm@openssh.com',
      'hmac-md5-96-etm@openssh.com',
      'umac-64-etm@openssh.com',
      'umac-128-etm@openssh.com',
    ],
    patterns: false,
    problem: (list) => `Bad SSH2 MAC spec '${list}'.`,
  },
  kexalgorithms: {
    standard: [
      'sntrup761x25519-sha512',
      'sntrup761x25519-sha512@openssh.com',
      'curve25519-sha256',
      'curve25519-sha256@libssh.org',
      'ecdh-sha2-nistp256',
      'ecdh-sha2-nistp384',
      'ecdh-sha2-nistp521',
      'diffie-hellman-group-exchange-sha256',
      'diffie-hellman-group16-sha512',
      'diffie-hellman-group18-sha512',
      'diffie-hellman-group14-sha256',
    ],
    all: [
      'diffie-hellman-group1-sha1',
      'diffie-hellman-group14-sha1',
      'diffie-hellman-group14-sha256',
      'diffie-hellman-group16-sha512',
      'diffie-hellman-group18-sha512',
      'diffie-hellman-group-exchange-sha1',
      'diffie-hellman-group-exchange-sha256',
      'ecdh-sha2-nistp256',
      'ecdh-sha2-nistp384',
      'ecdh-sha2-nistp521',
      'curve25519-sha256',
      'curve25519-sha256@libssh.org',
      'sntrup761x25519-sha512',
      'sntrup761x25519-sha512@openssh.com',
      'mlkem768x25519-sha256',
    ],
    patterns: false,
    problem: (list) => `Bad SSH2 KexAlgorithms '${list}'.`,
  },
  hostkeyalgorithms: publicKeys,
  hostbasedacceptedalgorithms: publicKeys,
  pubkeyacceptedalgorithms: publicKeys,
  casignaturealgorithms: { ...publicKeys, standard: standardSignatures, all: signatures },
};

/** What is wrong with a list as written, in OpenSSH's words, or `undefined`. */
export function algorithmProblem(keyword: string, list: string): string | undefined {
  const { all, patterns, problem } = algorithmKinds[keyword]!;
  if (list.startsWith('-')) return undefined;
  const names = list.replace(/^[+^]/, '');
  // OpenSSH stops at an empty name.
  const [read = ''] = names.split(',,', 1);
  const isKnown = (name: string) =>
    patterns ? publicKeys.all.some((known) => placeInList(known, name) !== 'out') : all.includes(name);
  const sound = names !== '' && (names.startsWith(',') || read.replace(/,$/, '').split(',').every(isKnown));
  return sound ? undefined : problem(list);
}

/** The effective names; `undefined`: none would be left. */
export function assembleAlgorithms(keyword: string, list: string | undefined): readonly string[] | undefined {
  const { standard, all } = algorithmKinds[keyword]!;
  if (list === undefined) return standard;
  const names = list.slice(1);
  const join = (...lists: (readonly string[])[]) => [...new Set(lists.flat())];
  if (list.startsWith('-')) return standard.filter((name) => !matchesList(name, names));
  const patterns = list.startsWith('+')
    ? join(standard, names.split(','))
    : list.startsWith('^')
      ? join(names.split(','), standard)
      : list.split(',');
  if (patterns.some((pattern) => pattern.startsWith('!'))) return undefined;
  const found = join(patterns.flatMap((pattern) => all.filter((name) => matchesPattern(name, pattern))));
  return found.length > 0 ? found : undefined;
}
