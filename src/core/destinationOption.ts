// ssh's options that belong to the way to a host: those that can only change how it is reached, so that a workspace may
// bring them. None of them runs a program, takes the check of a host key away, has it checked as another host's, or bears
// on the files of this machine. None brings a shell's marks into the %-tokens of the user's own Match exec.
import { splitConfig, splitSetting } from './configWords.js';
import type { DestinationProblem } from './failure.js';
import { parseHostAddress, printHostAddress, readPort, userProblem, type HostAddress } from './hostAddress.js';
import { placeOf, type Word } from './shellWords.js';
import type { SshItem } from './sshWords.js';

/** A keyword in ssh_config(5)'s spelling and its value without quotes. */
export type DestinationOption = readonly [keyword: string, value: string];

/** What is known of the way to a host while its words are read. */
export interface Way extends Partial<HostAddress> {
  options?: readonly DestinationOption[];
}
export type WayResult = { ok: true; way: Way } | Refused;

interface Refused {
  ok: false;
  /** A place in the whole text. */
  at: number;
  problem: DestinationProblem;
}
type ValueResult = { ok: true; value: string } | Refused;
type Reader = (word: Word, keyword: string) => ValueResult;

const kept =
  (keep: (text: string) => string | undefined): Reader =>
  (word, option) => {
    const value = keep(word.text);
    if (value !== undefined) return { ok: true, value };
    return { ok: false, at: placeOf(word), problem: { kind: 'optionValue', option, text: word.text } };
  };
const matching = (pattern: RegExp) => kept((text) => (pattern.test(text) ? text : undefined));
const flag = kept((text) => (/^(yes|true)$/i.test(text) ? 'yes' : /^(no|false)$/i.test(text) ? 'no' : undefined));
const time = matching(/^(none|(\d{1,9}[smhdw]?)+)$/i);
const count = matching(/^\d{1,9}$/);
const file = matching(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u);
/** As strict as hostAddress, and without what would be a comment in ssh_config. */
const name = matching(/^(?!-)[^\s\p{Cc}\p{Cf}'`"$\\;&<>|(){}#]+$/u);

/** In the order in which they are printed. */
const readers: Readonly<Record<string, Reader>> = {
  ProxyJump: readJump,
  HostName: name,
  IdentityFile: file,
  IdentityAgent: file,
  IdentitiesOnly: flag,
  AddressFamily: kept((text) => /^(any|inet|inet6)$/i.exec(text)?.[0].toLowerCase()),
  BindAddress: name,
  ConnectTimeout: time,
  ServerAliveInterval: time,
  ServerAliveCountMax: count,
  PreferredAuthentications: name,
  NumberOfPasswordPrompts: count,
  ExitOnForwardFailure: flag,
};
const keywords = Object.keys(readers);

/** What would take back what ssh_config says of a host: whose key it shows, and what may be opened and removed here. */
const firmKeywords = /^(hostkeyalias|streamlocalbind(mask|unlink)|permitremoteopen)$/;
const hostKeyKeywords = /^(strict|hash)|knownhosts|hostkey|^checkhostip$|^nohostauth|^casignature/;
const programKeywords = /command$|provider$|location$|^proxyusefdpass$/;
const forwardKeywords = /^(local|remote|dynamic)forward$|^gatewayports$|^clearallforwardings$/;

/** Whether an option bears on the way to the host; `-o` does if its keyword does. */
export function isWayOption(letter: string): boolean {
  return 'Jilpbo46'.includes(letter);
}

/** Whether a keyword, in any case, is one for the way to a host, or one that is refused there instead of ignored. */
export function isWayKeyword(keyword: string): boolean {
  return knownKeyword(keyword) !== undefined || firmKeywords.test(keyword.toLowerCase());
}

function knownKeyword(written: string): string | undefined {
  return ['Port', 'User', ...keywords].find((known) => known.toLowerCase() === written.toLowerCase());
}

/** Adds what the host's word or an option of the way says. As in ssh the first counts, but for `-4`, `-6` and `-b`. */
export function addToWay(way: Way, item: SshItem): WayResult {
  if (item.kind === 'host') {
    const host = parseHostAddress(item.word.text);
    if (!host.ok) return { ...host, at: placeOf(item.word, host.at) };
    return { ok: true, way: { ...host.address, ...way, host: host.address.host } };
  }
  const { letter, value, at } = item;
  if (letter === '4' || letter === '6')
    return { ok: true, way: withOption(way, ['AddressFamily', letter === '4' ? 'inet' : 'inet6'], true) };
  if (!value?.text) return { ok: false, at, problem: { kind: 'optionValue', option: `-${letter}`, text: '' } };
  switch (letter) {
    case 'p':
      return addValue(way, 'Port', value);
    case 'l':
      return addValue(way, 'User', value);
    case 'i':
      return addValue(way, 'IdentityFile', value);
    case 'b':
      return addValue(way, 'BindAddress', value, true);
    case 'J':
      if (way.options?.some(([keyword]) => keyword === 'ProxyJump'))
        return { ok: false, at, problem: { kind: 'jumpTwice' } };
      return addValue(way, 'ProxyJump', value);
    default:
      return addSetting(way, value);
  }
}

/** Adds `keyword=value`, as `-o` takes it. */
function addSetting(way: Way, word: Word): WayResult {
  const setting = splitSetting(word);
  if (!setting)
    return { ok: false, at: placeOf(word), problem: { kind: 'optionValue', option: '-o', text: word.text } };
  const { keyword, value } = setting;
  const known = knownKeyword(keyword);
  if (!known)
    return { ok: false, at: placeOf(word), problem: { kind: 'option', option: keyword, reason: refusalOf(keyword) } };
  const words = splitConfig(value) ?? [];
  if (words.length !== 1)
    return { ok: false, at: placeOf(value), problem: { kind: 'optionValue', option: known, text: value.text } };
  return addValue(way, known, words[0]!);
}

function addValue(way: Way, keyword: string, word: Word, replaces = false): WayResult {
  if (keyword === 'Port') {
    const port = readPort(word.text);
    if (port === undefined) return { ok: false, at: placeOf(word), problem: { kind: 'port', text: word.text } };
    return { ok: true, way: { port, ...way } };
  }
  if (keyword === 'User') {
    const bad = userProblem(word.text, true);
    if (bad) return { ok: false, at: placeOf(word, bad.at), problem: bad.problem };
    return { ok: true, way: { user: word.text, ...way } };
  }
  const read = readers[keyword]!(word, keyword);
  return read.ok ? { ok: true, way: withOption(way, [keyword, read.value], replaces) } : read;
}

/** `none`, or hops parted by commas. As in ssh an IPv6 address needs its brackets here. */
function readJump(word: Word): ValueResult {
  if (/^none$/i.test(word.text)) return { ok: true, value: 'none' };
  const hops: string[] = [];
  let from = 0;
  for (const hop of word.text.split(',')) {
    const read = parseHostAddress(hop);
    if (!read.ok) return { ...read, at: placeOf(word, from + read.at) };
    if (read.address.host.includes(':') && !hop.includes('['))
      return { ok: false, at: placeOf(word, from), problem: { kind: 'bracket' } };
    hops.push(printHostAddress(read.address));
    from += hop.length + 1;
  }
  return { ok: true, value: hops.join(',') };
}

/** Keeps one order, so that the same options are the same connection. Each IdentityFile counts, once. */
function withOption(way: Way, added: DestinationOption, replaces = false): Way {
  const [keyword, value] = added;
  const options = (way.options ?? []).filter(([other]) => !replaces || other !== keyword);
  if (options.some(([other, known]) => other === keyword && (keyword !== 'IdentityFile' || known === value)))
    return way;
  const place = ([keyword]: DestinationOption) => keywords.indexOf(keyword);
  return { ...way, options: [...options, added].sort((a, b) => place(a) - place(b)) };
}

/** Why a keyword is none of these. */
function refusalOf(keyword: string): 'hostKey' | 'program' | 'forward' | 'elsewhere' {
  const lower = keyword.toLowerCase();
  if (firmKeywords.test(lower)) return 'elsewhere';
  if (hostKeyKeywords.test(lower)) return 'hostKey';
  if (programKeywords.test(lower)) return 'program';
  return forwardKeywords.test(lower) ? 'forward' : 'elsewhere';
}
