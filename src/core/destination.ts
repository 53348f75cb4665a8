// Which host to connect to, as typed: `user@host:port`, and with ssh's options for the way there:
// `-J bastion -i ~/.ssh/work user@host`.
import { quoteConfig } from './configWords.js';
import { addToWay, isWayOption, type DestinationOption, type Way } from './destinationOption.js';
import type { DestinationProblem, Failure } from './failure.js';
import { parseHostAddress, printHostAddress, type HostAddress } from './hostAddress.js';
import { placeOf, plainWord, quoteShell, splitShell, type Word } from './shellWords.js';
import { isSshOption, readSshWords } from './sshWords.js';

/** A destination as written: the host may be an alias of ssh_config; what is absent comes from there. */
export interface Destination extends HostAddress {
  /** ssh's options for the way to the host, in a fixed order; absent when there are none. */
  options?: readonly DestinationOption[];
}
export type DestinationResult =
  { ok: true; destination: Destination } | { ok: false; failure: Failure & { kind: 'badDestination' } };

/** Parses a host, or a host with options in front of it or behind it, in the words that a shell makes of the text. */
export function parseDestination(text: string): DestinationResult {
  const refuse = (at: number, problem: DestinationProblem): DestinationResult => ({
    ok: false,
    failure: { kind: 'badDestination', text, at, problem },
  });
  if (!/(^|\s)-/.test(text)) {
    const host = parseHostAddress(text);
    return host.ok ? { ok: true, destination: host.address } : refuse(host.at, host.problem);
  }
  const split = splitShell(plainWord(text));
  if (!split.ok) {
    const { at, problem } = split;
    return refuse(at, problem.kind === 'substitution' ? { kind: 'character', character: text[at]! } : problem);
  }
  const words: Word[] = [];
  for (const token of split.tokens) {
    if (token.kind !== 'word') return refuse(token.at, { kind: 'character', character: token.text[0]! });
    words.push(token.word);
  }
  const { items, command } = readSshWords(words);
  if (command[0]) return refuse(placeOf(command[0]), { kind: 'word', text: command[0].text });
  let way: Way = {};
  for (const item of items) {
    if (item.kind === 'option' && !isWayOption(item.letter)) {
      const { letter } = item;
      return refuse(item.at, { kind: 'option', option: `-${letter}`, reason: refusalOf(letter) });
    }
    const added = addToWay(way, item);
    if (!added.ok) return refuse(added.at, added.problem);
    way = added.way;
  }
  const { host, ...rest } = way;
  if (host === undefined) return refuse(text.length, { kind: 'hostMissing' });
  return { ok: true, destination: { host, ...rest } };
}

function refusalOf(letter: string): (DestinationProblem & { kind: 'option' })['reason'] {
  if (letter === 'F') return 'configFile';
  if (letter === 'P') return 'elsewhere';
  if (/[LRDg]/.test(letter)) return 'forward';
  return isSshOption(letter) ? 'needless' : 'unknown';
}

/** The options and `user@host:port`, with what was given; reading it again gives the same destination. */
export function printDestination({ options = [], ...address }: Destination): string {
  const host = printHostAddress(address);
  if (options.length === 0) return host;
  return [...printOptions(options), quoteShell(host)].join(' ');
}

/** The options as words of a shell. A home directory stays bare in `-i`, where ssh knows it as well as any shell. */
export function printOptions(options: readonly DestinationOption[]): string[] {
  return options
    .flatMap(printOption)
    .map((word, index, words) =>
      words[index - 1] === '-i' && word.startsWith('~/') && quoteShell(word.slice(1)) === word.slice(1)
        ? word
        : quoteShell(word),
    );
}

/** The words of an option as ssh takes them: `-J bastion`, `-4`, `-o ConnectTimeout=5`. */
export function printOption([keyword, value]: DestinationOption): readonly string[] {
  switch (keyword) {
    case 'ProxyJump':
      return ['-J', value];
    case 'IdentityFile':
      return ['-i', value];
    case 'BindAddress':
      return ['-b', value];
    case 'AddressFamily':
      if (value !== 'any') return [value === 'inet' ? '-4' : '-6'];
  }
  return ['-o', `${keyword}=${printValue([keyword, value])}`];
}

/** The value as an ssh_config line has it. */
export function printValue([, value]: DestinationOption): string {
  return quoteConfig(value);
}
