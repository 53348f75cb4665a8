// Plain data, such as events, tunnels and failures, without names and without what others said: before a sentence is made of
// it, so that our own words stay.
import { isAlgorithm } from './algorithmName.js';
import { parseDestination, printDestination, type Destination } from './destination.js';
import type { DestinationOption } from './destinationOption.js';
import { parseSpec, printSpec } from './forwardSpec.js';
import { parseHostAddress, printHostAddress } from './hostAddress.js';
import { knownHostsCommand } from './knownHostsCommand.js';
import type { Names, Redaction } from './redaction.js';

/** What stands for words that are left out. */
const leftOut = '…';

/** The same data; by the names of its fields. What stands in a field that nobody knows is left out. */
export function unnamed<T>(value: T, redaction: Redaction): T {
  return walk(value, '', undefined, redaction) as T;
}

/** The names that `unnamed` would replace. */
export function namesIn(value: unknown): Names {
  const hosts = new Set<string>();
  const users = new Set<string>();
  const note = (names: Set<string>) => (name: string) => {
    // What tells nobody anything.
    if (!/^(?:\*?|localhost)$/i.test(name)) names.add(name);
    return name;
  };
  const same = (text: string) => text;
  unnamed(value, { host: note(hosts), user: note(users), text: same, path: same, other: (_, name) => name });
  return { hosts, users };
}

function walk(part: unknown, key: string, kind: unknown, redaction: Redaction): unknown {
  if (typeof part === 'string') return part === '' ? '' : textOf(part, key, kind, redaction);
  if (Array.isArray(part))
    return part.map((one: unknown) =>
      key === 'options' && Array.isArray(one)
        ? optionOf(one as unknown as DestinationOption, redaction)
        : walk(one, key, kind, redaction),
    );
  if (typeof part !== 'object' || part === null) return part;
  const own = 'kind' in part ? part.kind : undefined;
  return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, walk(inner, name, own, redaction)]));
}

function textOf(text: string, key: string, kind: unknown, redaction: Redaction): string {
  switch (key) {
    case 'connection':
      return connectionOf(text, redaction);
    case 'forward':
    case 'id':
      return tunnelOf(text, redaction) ?? leftOut;
    case 'line':
    case 'near':
      return forwardOf(text, redaction) ?? leftOut;
    case 'user':
      return redaction.user(text);
    case 'hosts':
      return text
        .split(',')
        .map((host) => addressOf(host, redaction))
        .join(',');
    case 'host':
    case 'hop':
    case 'alias':
    case 'server':
    case 'address':
    case 'addresses':
    case 'bind':
    case 'principals':
      return addressOf(text, redaction);
    case 'target':
      return /[\\/]/.test(text) ? redaction.path(text) : addressOf(text, redaction);
    case 'program':
      return /[\\/]/.test(text) ? redaction.path(text) : redaction.text(text);
    case 'path':
    case 'file':
      return text === knownHostsCommand ? text : redaction.path(text);
    // The path of a key, or its comment in an agent, which may be anything.
    case 'key':
    case 'tried':
    case 'passed':
      if (isAlgorithm(text)) return text;
      return /^(?:~|[a-z]:)?[\\/]/i.test(text) ? redaction.path(text) : redaction.other('key', text);
    case 'kind':
    case 'because':
    case 'reason':
    case 'refusal':
    case 'use':
    case 'what':
    case 'wish':
    case 'access':
    case 'level':
    case 'about':
      return /^\w{1,30}$/.test(text) ? text : leftOut;
    case 'code':
      return isCode(text) ? text : leftOut;
    case 'fingerprint':
      return /^(?:SHA256|MD5):[\w+/:=]+$/.test(text) ? text : leftOut;
    case 'asked':
      return /^(?:user|machine|network)$/.test(text) || isAlgorithm(text) ? text : leftOut;
    case 'keyType':
    case 'knownType':
    case 'cipher':
    case 'ours':
    case 'theirs':
    case 'possible':
    case 'offered':
    case 'names':
      return isAlgorithm(text) ? text : leftOut;
    case 'detail':
      return detailOf(text, kind, redaction);
    case 'said':
      return (kind === 'notSsh' ? /^(?:Exceeded MaxStartups|Not allowed at this time)/.exec(text)?.[0] : undefined) ?? leftOut; // prettier-ignore
    case 'text':
      return kind === 'logged' ? loggedText(text, redaction) : leftOut;
    default:
      return leftOut;
  }
}

/** The system's words for what is wrong, which a server passes on. */
const systemWords =
  /connection refused|(?:connection|operation) timed out|no route to host|network is (?:unreachable|down)|host is down|can't assign requested address|temporary failure in name resolution|try again|name or service not known|nodename nor servname provided|no address associated with (?:host)?name|name does not resolve|no such host|no such file or directory|permission denied|operation not permitted|^open failed$/i;
const ofKnownHostsCommand =
  /^(?:exit code \d+|not an absolute path|it took longer than \d+ seconds|it printed more than \d+ MB)$/;

function detailOf(text: string, kind: unknown, redaction: Redaction): string {
  switch (kind) {
    // Our own, of a mistake.
    case 'engineEnded':
    case 'unexpected':
      return redaction.text(text);
    case 'hopRefused':
    case 'channelRefused':
      return systemWords.exec(text)?.[0] ?? leftOut;
    case 'connectionLost':
      return isCode(text) ? text : leftOut;
    case 'knownHostsCommandFailed':
      return isCode(text) || ofKnownHostsCommand.test(text) ? text : leftOut;
    case 'sshConfig':
      return `${/\bline \d+\b/.exec(text)?.[0] ?? ''}${leftOut}`;
    default:
      return leftOut;
  }
}

/** `ECONNREFUSED`, `SIGTERM` */
function isCode(text: string): boolean {
  return /^(?:E|SIG|UNKNOWN$|INVALID$|ERR_)[A-Z0-9_]*$/.test(text);
}

/** Where others' words begin in a line of the log that tells of no event, or of a failure in a sentence. */
const beginsWords =
  /: (?:ProxyCommand|KnownHostsCommand|Debug output from server|ssh2 [\w -]{1,40}): |Its last words: |said “|takes no connection now \(|It said: |a secure connection: |ssh_config can’t be used: |ended the connection: |(?: broke|KnownHostsCommand failed) \(|(?: from | a connection to | connect on to )\S+ \(|The server (?:has|accepts|took) |It took |it names |(?:conditions that are not understood here|was signed with)|is encrypted with /;
/** Where a sentence of the log names a host alone. */
const namesHost = /^(Going (?:through the ProxyCommand of|through|on from)|The key of|New key of|Old key of) ([^\s,]+)/;

/** `alice@web01: connecting`: the name in front by itself, the rest as any text. */
function loggedText(text: string, redaction: Redaction): string {
  const words = beginsWords.exec(text);
  if (words) return loggedText(text.slice(0, words.index), redaction) + words[0].replace(/\S+ \($/, '… (') + leftOut;
  const [front = '', name] = /^(.{1,1000}?): /.exec(text) ?? [];
  const id = name === undefined ? undefined : idOf(name, redaction);
  if (id !== undefined) return `${id}: ${loggedText(text.slice(front.length), redaction)}`;
  const [sentence = '', begin, host] = namesHost.exec(text) ?? [];
  if (host === undefined) return redaction.text(text);
  return `${begin} ${addressOf(host, redaction)}${redaction.text(text.slice(sentence.length))}`;
}

function idOf(text: string, redaction: Redaction): string | undefined {
  return tunnelOf(text, redaction) ?? (parseDestination(text).ok ? connectionOf(text, redaction) : undefined);
}

function connectionOf(text: string, redaction: Redaction): string {
  const parsed = parseDestination(text);
  if (!parsed.ok) return addressOf(text, redaction);
  const { host, user, port, options }: Destination = parsed.destination;
  return printDestination({
    host: redaction.host(host),
    ...(user !== undefined && { user: redaction.user(user) }),
    ...(port !== undefined && { port }),
    ...(options && { options: options.map((option) => optionOf(option, redaction)) }),
  });
}

/** Its destination and its forward; undefined: it is no tunnel's id. */
function tunnelOf(text: string, redaction: Redaction): string | undefined {
  const [, host, forward] = /^(.*?) (-[LRD] .*)$/s.exec(text) ?? [];
  if (host === undefined || forward === undefined) return undefined;
  if (!parseSpec(forward).ok) return undefined;
  return `${connectionOf(host, redaction)} ${forwardOf(forward, redaction)}`;
}

function forwardOf(text: string, redaction: Redaction): string | undefined {
  const parsed = parseSpec(text);
  return parsed.ok ? printSpec(unnamed(parsed.spec, redaction)) : undefined;
}

function addressOf(text: string, redaction: Redaction): string {
  const parsed = parseHostAddress(text);
  if (!parsed.ok) return redaction.host(text);
  const { host, user, port } = parsed.address;
  return printHostAddress({
    host: redaction.host(host),
    ...(user !== undefined && { user: redaction.user(user) }),
    ...(port !== undefined && { port }),
  });
}

function optionOf([keyword, value]: DestinationOption, redaction: Redaction): DestinationOption {
  switch (keyword) {
    case 'ProxyJump':
      if (value === 'none') break;
      return [keyword, value.split(',').map((hop) => addressOf(hop, redaction)).join(',')]; // prettier-ignore
    case 'HostName':
    case 'BindAddress':
      return [keyword, redaction.host(value)];
    case 'IdentityFile':
    case 'IdentityAgent':
      return [keyword, value === 'none' ? value : redaction.path(value)];
  }
  const isPlain = /^(?:yes|no|none|any|inet6?|[\dsmhdw]+)$/i.test(value) || value.split(',').every(isAlgorithm);
  return [keyword, isPlain ? value : leftOut];
}
