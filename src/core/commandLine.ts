// ssh's command line, as far as it is about forwarding: what dist/tunnel.js takes.
import { splitConfig, splitSetting } from './configWords.js';
import { parseDestination } from './destination.js';
import type { Failure } from './failure.js';
import {
  forwardKindOf,
  parseConfigForward,
  parseForward,
  withSpec,
  type Environment,
  type ForwardSpec,
  type SpecResult,
} from './forwardSpec.js';
import type { HostRequest } from './plan.js';
import { plainWord, type Word } from './shellWords.js';
import { isOverridable } from './sshConfig.js';
import { isSshOption, readSshWords, type SshItem } from './sshWords.js';
import { failureText } from './wording.js';

export interface TunnelCommand {
  host: HostRequest;
  /** Those of the command line; ssh_config may have more. */
  specs: readonly ForwardSpec[];
  verbose: boolean;
  /** `-G`: the effective options are to be printed only. */
  print: boolean;
}

export type ParsedArguments = { kind: 'command'; command: TunnelCommand } | { kind: 'help'; text: string } | Refused;

export interface Refused {
  kind: 'refused';
  /** The option or word that can't be taken, as written. */
  word: string;
  reason:
    | { kind: 'unknown' | 'notYet' | 'noValue' | 'noDestination' | 'noForward' | 'command' }
    | { kind: 'failure'; failure: Failure };
}

const usage = `usage: tunnel [-46aGgkNnqTvx] [-b bind_address] [-D [bind_address:]port] [-F config_file]
              [-i identity_file] [-J destination] [-L address] [-l login_name] [-o option=value]
              [-p port] [-R address] destination`;

/** Flags of ssh that mean nothing where there is no command, no terminal and no display. */
const needless = 'akNnqTx';
const keywordOf: Readonly<Record<string, string>> = { i: 'IdentityFile', J: 'ProxyJump', l: 'User', p: 'Port' };
/** What wins over `-o` wherever it stands, the last of them first. */
const firm: Readonly<Record<string, (value: string) => [keyword: string, value: string]>> = {
  '4': () => ['AddressFamily', 'inet'],
  '6': () => ['AddressFamily', 'inet6'],
  b: (value) => ['BindAddress', value],
  g: () => ['GatewayPorts', 'yes'],
};

/** What has been read so far. */
interface Draft {
  options: [string, string][];
  specs: readonly ForwardSpec[];
  configFile?: string;
  verbose: boolean;
  print: boolean;
}

/** Reads the words behind the program's name as ssh does. */
export function parseArguments(words: readonly string[], env: Environment): ParsedArguments {
  const { items, command } = readSshWords(words.map(plainWord));
  const draft: Draft = { options: [], specs: [], verbose: false, print: false };
  let where: string | undefined;
  let before: readonly string[] = [];
  for (const item of items) {
    if (item.kind === 'host') {
      where = item.word.text;
      before = draft.options.map(([keyword]) => keyword.toLowerCase());
    } else if (item.letter === 'h') return { kind: 'help', text: usage };
    else {
      const refused = addOption(draft, item, env);
      if (refused) return refused;
    }
  }
  if (where === undefined) return { kind: 'refused', word: '', reason: { kind: 'noDestination' } };
  if (command[0]) return { kind: 'refused', word: command[0].text, reason: { kind: 'command' } };
  const read = parseDestination(where);
  if (!read.ok) return { kind: 'refused', word: where, reason: { kind: 'failure', failure: read.failure } };
  const { options, specs, configFile, verbose, print } = draft;
  // As in ssh the user and port that are given first count.
  const { user, port, ...address } = read.destination;
  const destination = {
    ...address,
    ...(user !== undefined && !before.includes('user') && { user }),
    ...(port !== undefined && !before.includes('port') && { port }),
  };
  const host: HostRequest = { destination, options, ...(configFile !== undefined && { configFile }) };
  return { kind: 'command', command: { host, specs, verbose, print } };
}

function addOption(
  draft: Draft,
  { letter, value }: SshItem & { kind: 'option' },
  env: Environment,
): Refused | undefined {
  const option = `-${letter}`;
  const kind = forwardKindOf(option);
  const takesValue = kind !== undefined || 'bFo'.includes(letter) || letter in keywordOf;
  if (letter === 'v') draft.verbose = true;
  else if (letter === 'G') draft.print = true;
  else if (!takesValue && !(letter in firm)) {
    if (needless.includes(letter)) return undefined;
    return { kind: 'refused', word: option, reason: { kind: isSshOption(letter) ? 'notYet' : 'unknown' } };
  } else if (takesValue && !value?.text) return { kind: 'refused', word: option, reason: { kind: 'noValue' } };
  else if (kind) return addForward(draft, parseForward(kind, value!.text, env), `${option} ${value!.text}`);
  else if (letter === 'o') return addSetting(draft, value!, env);
  else if (letter === 'F') draft.configFile = value!.text;
  else if (letter in firm) draft.options.unshift(firm[letter]!(value?.text ?? ''));
  else if (letter === 'J' && draft.options.some(([keyword]) => /^proxycommand$/i.test(keyword)))
    return refusedBySsh(option, 'Cannot specify -J with ProxyCommand');
  else draft.options.push([keywordOf[letter]!, value!.text]);
  return undefined;
}

function refusedBySsh(word: string, detail: string): Refused {
  return { kind: 'refused', word, reason: { kind: 'failure', failure: { kind: 'sshConfig', detail: `${detail}.` } } };
}

function addForward(draft: Draft, result: SpecResult, word: string): Refused | undefined {
  if (!result.ok) return { kind: 'refused', word, reason: { kind: 'failure', failure: result.failure } };
  draft.specs = withSpec(draft.specs, result.spec);
  return undefined;
}

/** Adds `keyword=value`, as `-o` takes it. */
function addSetting(draft: Draft, setting: Word, env: Environment): Refused | undefined {
  const word = `-o ${setting.text}`;
  const { keyword, value } = splitSetting(setting) ?? {};
  if (!keyword || !value) return { kind: 'refused', word, reason: { kind: 'unknown' } };
  const kind = forwardKindOf(keyword);
  if (kind) return addForward(draft, parseConfigForward(kind, value.text, env), word);
  if (!isOverridable(keyword)) return { kind: 'refused', word, reason: { kind: 'notYet' } };
  // A file's name goes to the engine as `-i` has it, without quotes.
  const isFile = keyword.toLowerCase() === 'identityfile';
  const files = isFile ? (splitConfig(value) ?? []) : [];
  if (files.length > 1) return refusedBySsh(word, 'keyword identityfile extra arguments at end of line');
  draft.options.push([keyword, isFile ? (files[0]?.text ?? '') : value.text]);
  return undefined;
}

/** What is wrong, with the word that is, in one line. */
export function commandLineFailure({ word, reason }: Refused): string {
  switch (reason.kind) {
    case 'unknown':
      return `unknown option ${word}\n${usage}`;
    case 'notYet':
      return `${word} is not supported yet`;
    case 'noValue':
      return `${word} needs a value\n${usage}`;
    case 'noDestination':
      return `destination missing\n${usage}`;
    case 'noForward':
      return `nothing to forward: add -L, -R or -D, or a forward to ssh_config\n${usage}`;
    case 'command':
      return `${word}: no command is run at the destination; only forwards are\n${usage}`;
    case 'failure':
      return `${word}: ${failureText(reason.failure)}`;
  }
}
