// The one grammar of forwards: what `ssh -L`, `-R` and `-D` take, presets hold and the Forward Port field accepts.
// Source: ssh(1) and ssh_config(5), compared with `ssh -G` by test/core/forwardSpec.test.ts.
import { splitConfig } from './configWords.js';
import type { Failure, SpecProblem } from './failure.js';
import { unseen } from './printable.js';
import { servicePort } from './servicePort.js';
import { placeOf, plainWord } from './shellWords.js';

/** One end of a forward. `port` is 1 to 65535 for a target and 0 to 65535 for a listener (0: the listening side chooses). */
export type Endpoint = { kind: 'tcp'; host: string; port: number } | { kind: 'unix'; path: string };

/**
 * Where a forward listens. `bind` is as written: `undefined` for nothing (loopback), `''` or `*` for all interfaces,
 * `localhost` for both loopback families, else an address or a name.
 */
export type Listen = { kind: 'tcp'; bind: string | undefined; port: number } | { kind: 'unix'; path: string };

export type ForwardSpec =
  | { kind: 'local'; listen: Listen; target: Endpoint }
  | { kind: 'remote'; listen: Listen; target: Endpoint | { kind: 'socks' } }
  | { kind: 'dynamic'; listen: Listen };

export type ForwardKind = ForwardSpec['kind'];
export type SpecResult = { ok: true; spec: ForwardSpec } | { ok: false; failure: Failure & { kind: 'badSpec' } };
export type Environment = Readonly<Record<string, string | undefined>>;

/** Bytes of Linux's sun_path without its end mark (macOS has 103; the system says so when it listens). */
const longestPath = 107;
/** Bytes of netdb.h's NI_MAXHOST without its end mark. */
const longestHost = 1024;

/** Written for the port to listen on: any that is free. */
const automatic = 'auto';

const optionOf = { local: '-L', remote: '-R', dynamic: '-D' } as const;
const kindOf: Readonly<Record<string, ForwardKind>> = { '-L': 'local', '-R': 'remote', '-D': 'dynamic' };

interface Character {
  text: string;
  /** Place in what the user wrote, although ${VAR} has been expanded. */
  at: number;
  /** It stands for itself, whatever it means in the grammar. */
  isData?: true;
}
interface Field {
  text: string;
  at: number;
  isPath: boolean;
  /** Place of the first blank in it. */
  blankAt?: number;
  /** The first mark in it that nobody sees, with its place. */
  unseen?: { character: string; at: number };
}

class SpecError extends Error {
  constructor(
    readonly at: number,
    readonly problem: SpecProblem,
  ) {
    super(problem.kind);
  }
}

function attempt(text: string, parse: () => ForwardSpec): SpecResult {
  try {
    return { ok: true, spec: parse() };
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    return { ok: false, failure: { kind: 'badSpec', text, at: error.at, problem: error.problem } };
  }
}

/**
 * Parses the argument of `-L`, `-R` or `-D` as ssh does. `env` resolves `${NAME}`; a name that is not set is an error.
 * With `auto` the word may stand for the port that -L or -D listens on, which is ours: it becomes port 0.
 */
export function parseForward(
  kind: ForwardKind,
  text: string,
  env: Environment = {},
  { auto = false }: { auto?: boolean } = {},
): SpecResult {
  return attempt(text, () => parseArgument(kind, expand(text, env), text.length, auto));
}

/**
 * Parses what follows `LocalForward`, `RemoteForward` or `DynamicForward` in ssh_config: the listening end and, but for
 * SOCKS, the target as a second word. ssh joins the two with a colon, and so do we.
 */
export function parseConfigForward(kind: ForwardKind, text: string, env: Environment = {}): SpecResult {
  const refuse = (at: number, problem: SpecProblem): SpecResult => ({
    ok: false,
    failure: { kind: 'badSpec', text, at, problem },
  });
  const words = splitConfig(plainWord(text));
  if (!words) return refuse(text.search(/["']/), { kind: 'quote' });
  const [listen, target, extra] = words;
  if (!listen?.text) return refuse(listen ? placeOf(listen) : text.length, { kind: 'empty' });
  const tooMany = kind === 'dynamic' ? target : extra;
  if (tooMany) return refuse(placeOf(tooMany), { kind: 'blank' });
  if (kind === 'local' && !target?.text) return refuse(text.length, { kind: 'targetMissing' });
  const joined = target?.text ? `${listen.text}:${target.text}` : listen.text;
  const places = [...listen.places, ...(target?.text ? target.places : [])];
  const result = parseForward(kind, joined, env);
  if (!result.ok) return refuse(places[Math.min(result.failure.at, places.length - 1)]!, result.failure.problem);
  // Two words are no SOCKS, and one alone is read as that of DynamicForward is, which has room for two fields.
  const { spec } = result;
  if (spec.kind !== 'remote') return result;
  const isShort =
    spec.target.kind === 'socks' ||
    (spec.target.kind === 'unix' && (spec.listen.kind === 'unix' || spec.listen.bind === undefined));
  const isSound = target?.text ? spec.target.kind !== 'socks' : isShort;
  return isSound ? result : refuse(text.length, { kind: 'targetMissing' });
}

/** Parses a forward with its option, as presets hold it: `-L 5432:db:5432`, `-L5432:db:5432`, `-L auto:db:5432`. */
export function parseSpec(text: string, env: Environment = {}): SpecResult {
  return parseOption(text, env, false);
}

/** The same, but what a variable stands for is data: no mark in it parts fields, opens a bracket or escapes anything. */
export function parseFilledSpec(text: string, values: Environment): SpecResult {
  return parseOption(text, values, true);
}

function parseOption(text: string, env: Environment, isData: boolean): SpecResult {
  return attempt(text, () => {
    const option = /^\s*(-\S)\s*/.exec(text);
    if (!option) throw new SpecError(0, text.trim() === '' ? { kind: 'empty' } : { kind: 'option', option: '' });
    const kind = forwardKindOf(option[1]!);
    if (!kind) throw new SpecError(text.indexOf('-'), { kind: 'option', option: option[1]! });
    const end = trimmedEnd(text);
    return parseArgument(
      kind,
      expand(text.slice(0, end), env, isData).filter(({ at }) => at >= option[0].length),
      end,
      true,
    );
  });
}

/**
 * Parses what a person types into Forward Port: ssh's spelling, with or without `-L`, and the plain answers
 * `5432` (the same port here and on the server), `5000:5432` and `auto:5432` (here:there), `db:5432` (the same port here).
 */
export function parseAnswer(text: string, env: Environment = {}): SpecResult {
  if (/^\s*-/.test(text)) return parseSpec(text, env);
  return attempt(text, () => {
    const end = trimmedEnd(text);
    const start = text.length - text.trimStart().length;
    const characters = expand(text.slice(0, end), env).filter(({ at }) => at >= start);
    const fields = splitFields(characters, end);
    const [first, second] = fields;
    if (!first) throw new SpecError(0, { kind: 'empty' });
    if (fields.length === 1) {
      if (first.isPath || first.text === automatic) throw new SpecError(end, { kind: 'targetMissing' });
      const port = listenPort('local', first, false);
      return {
        kind: 'local',
        listen: { kind: 'tcp', bind: undefined, port },
        target: { kind: 'tcp', host: 'localhost', port },
      };
    }
    if (fields.length === 2 && !first.isPath && !second!.isPath) {
      const port = targetPort(second!);
      // `5000:5432` as kubectl and docker write it; a host whose name is a bare number does not exist.
      if (/^\d+$/.test(first.text) || first.text === automatic)
        return {
          kind: 'local',
          listen: { kind: 'tcp', bind: undefined, port: listenPort('local', first, true) },
          target: { kind: 'tcp', host: 'localhost', port },
        };
      return { kind: 'local', listen: { kind: 'tcp', bind: undefined, port }, target: tcpTarget(first, second!) };
    }
    return parseArgument('local', characters, end, true);
  });
}

/** Prints the argument of `-L`, `-R` or `-D`; reading it again gives the same spec. */
export function printForward(spec: ForwardSpec): string {
  return forwardWords(spec).join(':');
}

/** The kind that `-L`, `-R`, `-D` or a keyword such as `LocalForward` stands for. */
export function forwardKindOf(written: string): ForwardKind | undefined {
  const keyword = /^(local|remote|dynamic)forward$/.exec(written.toLowerCase())?.[1] as ForwardKind | undefined;
  return keyword ?? (Object.hasOwn(kindOf, written) ? kindOf[written] : undefined);
}

/** The list with the spec added, if it is no exact duplicate: ssh drops those. */
export function withSpec(specs: readonly ForwardSpec[], spec: ForwardSpec): readonly ForwardSpec[] {
  return specs.some((known) => printSpec(known) === printSpec(spec)) ? specs : [...specs, spec];
}

/** The listening end and, but for SOCKS, the target: the words of an ssh_config line before they are quoted. */
export function forwardWords(spec: ForwardSpec): string[] {
  const listen = printListen(spec.kind, spec.listen);
  if (spec.kind === 'dynamic' || spec.target.kind === 'socks') return [listen];
  return [listen, printEndpoint(spec.target)];
}

/** The line that `ssh -G` prints for a forward: `localforward 8080 [db]:80`, `remoteforward 1080 [socks]:0`. */
export function printConfigForward(spec: ForwardSpec): string {
  const ends: (Listen | Endpoint | { kind: 'socks' })[] =
    spec.kind === 'dynamic' ? [spec.listen] : [spec.listen, spec.target];
  const words = ends.map((end) => {
    if (end.kind === 'unix') return end.path;
    if (end.kind === 'socks') return '[socks]:0';
    const host = 'host' in end ? end.host : end.bind;
    return host === undefined ? String(end.port) : `[${host}]:${end.port}`;
  });
  return `${spec.kind}forward ${words.join(' ')}`;
}

/** Prints a forward as presets and command lines hold it: `-L 5432:db:5432`. */
export function printSpec(spec: ForwardSpec): string {
  return `${optionOf[spec.kind]} ${printForward(spec)}`;
}

/** `db:5432`, `[::1]:80`, `/run/db.sock`. */
export function printEndpoint(endpoint: Endpoint): string {
  return endpoint.kind === 'unix' ? printPath(endpoint.path) : `${printName(endpoint.host)}:${endpoint.port}`;
}

function printListen(kind: ForwardKind, listen: Listen): string {
  if (listen.kind === 'unix') return printPath(listen.path);
  const port = listen.port === 0 && kind !== 'remote' ? automatic : String(listen.port);
  return listen.bind === undefined ? port : `${printName(listen.bind)}:${port}`;
}

/** Brackets where they suffice, else backslashes; the one between `$` and `{` keeps `${` from being taken for a variable. */
function printPath(path: string): string {
  if (!/[:\\[\]]|\$\{|^\s|\s$/.test(path)) return path;
  if (!/\]|\$\{/.test(path)) return `[${path}]`;
  return path.replace(/[:\\[\]]|(?<=\$)\{|^\s|\s$/g, '\\$&');
}

/** A host or bind address: as a path, but a bare slash would make it one. */
function printName(name: string): string {
  return name.includes('/') ? name.replace(/[:\\[\]/]|(?<=\$)\{/g, '\\$&') : printPath(name);
}

function expand(text: string, env: Environment, isData = false): Character[] {
  const characters: Character[] = [];
  for (let at = 0; at < text.length;) {
    if (text.startsWith('${', at)) {
      const name = /^\$\{([^}]*)\}/.exec(text.slice(at));
      if (!name) throw new SpecError(at, { kind: 'variableSyntax' });
      const value = name[1] === '' ? undefined : env[name[1]!];
      if (typeof value !== 'string') throw new SpecError(at, { kind: 'variable', name: name[1]! });
      for (const character of value) characters.push({ text: character, at, ...(isData && { isData }) });
      at += name[0].length;
    } else {
      characters.push({ text: text[at]!, at });
      at++;
    }
  }
  return characters;
}

/** Where a text ends without the blanks behind it; one that a backslash holds stays. */
function trimmedEnd(text: string): number {
  const trimmed = text.trimEnd();
  const isEscaped = /\\*$/.exec(trimmed)![0].length % 2 === 1;
  return Math.min(trimmed.length + (isEscaped ? 1 : 0), text.length);
}

function splitFields(characters: readonly Character[], end: number): Field[] {
  const fields: Field[] = [];
  let next = 0;
  while (next < characters.length) {
    const { at } = characters[next]!;
    const taken: Character[] = [];
    let isPath = false;
    if (isMark(characters[next]!, '[')) {
      const close = characters.findIndex((character, index) => index > next && isMark(character, ']'));
      if (close < 0) throw new SpecError(at, { kind: 'bracket' });
      taken.push(...characters.slice(next + 1, close));
      isPath = taken.some(({ text }) => text === '/');
      const after = characters[close + 1];
      if (after && !isMark(after, ':')) throw new SpecError(after.at, { kind: 'bracketTail' });
      next = close + 2;
    } else {
      for (; next < characters.length && !isMark(characters[next]!, ':'); next++) {
        if (characters[next]!.text === '/') isPath = true;
        if (isMark(characters[next]!, '\\') && ++next === characters.length)
          throw new SpecError(end - 1, { kind: 'backslash' });
        taken.push(characters[next]!);
      }
      next++;
    }
    const blank = taken.find(({ text }) => /\s/.test(text));
    const text = taken.map(({ text }) => text).join('');
    const mark = findUnseen(text, taken);
    fields.push({
      text,
      at,
      isPath: isPath || isPipe(text),
      ...(blank && { blankAt: blank.at }),
      ...(mark && { unseen: mark }),
    });
  }
  return fields;
}

function isMark({ text, isData }: Character, mark: string): boolean {
  return text === mark && !isData;
}

function findUnseen(text: string, characters: readonly Character[]): Field['unseen'] {
  const [character] = unseen.exec(text) ?? [];
  if (character === undefined) return undefined;
  // One from a variable may be a pair of surrogates, one that was written is two.
  const marks = characters.findIndex(({ text }) => text.startsWith(character) || text === character[0]);
  return { character, at: characters[marks]?.at ?? 0 };
}

/** Windows' named pipes, which stand where Unix sockets stand elsewhere; `//./pipe/` is a path by its slashes. */
function isPipe(text: string): boolean {
  return /^\\\\[.?]\\pipe\\/i.test(text);
}

function parseArgument(kind: ForwardKind, written: readonly Character[], end: number, auto: boolean): ForwardSpec {
  const start = written.findIndex(({ text, isData }) => isData || !/[ \t-\r]/.test(text));
  if (start < 0) throw new SpecError(end, { kind: 'empty' });
  const fields = splitFields(written.slice(start), end);
  if (fields.length > 4) throw new SpecError(fields[4]!.at, { kind: 'tooManyFields' });
  const { listen, rest } = takeListen(kind, fields, auto);
  const [first, second, third] = rest;
  if (kind === 'dynamic') {
    if (first) throw new SpecError(first.at, { kind: 'tooManyFields' });
    return { kind, listen };
  }
  if (!first) {
    if (kind === 'remote') return { kind, listen, target: { kind: 'socks' } };
    throw new SpecError(end, { kind: 'targetMissing' });
  }
  if (first.isPath && !second) return { kind, listen, target: { kind: 'unix', path: socketPath(first) } };
  if (!second) throw new SpecError(end, { kind: 'targetPortMissing' });
  if (third) throw new SpecError(third.at, { kind: 'tooManyFields' });
  return { kind, listen, target: tcpTarget(first, second) };
}

/** The listening end takes one field (a port or a path) or two (bind address and port); how many is told by the count. */
function takeListen(
  kind: ForwardKind,
  fields: readonly Field[],
  auto: boolean,
): { listen: Listen; rest: readonly Field[] } {
  const [first, second] = fields as readonly [Field, ...Field[]];
  if (first.isPath) return { listen: { kind: 'unix', path: socketPath(first) }, rest: fields.slice(1) };
  const withBind =
    fields.length === 4 ||
    (fields.length === 3 && fields[2]!.isPath) ||
    (fields.length === 2 && !second!.isPath && kind !== 'local');
  if (withBind)
    return {
      listen: { kind: 'tcp', bind: hostName(first), port: listenPort(kind, second!, auto) },
      rest: fields.slice(2),
    };
  return { listen: { kind: 'tcp', bind: undefined, port: listenPort(kind, first, auto) }, rest: fields.slice(1) };
}

function listenPort(kind: ForwardKind, field: Field, auto: boolean): number {
  if (auto && kind !== 'remote' && field.text === automatic) return 0;
  const port = parsePort(field.text);
  if (port === undefined) throw badPort(field, { kind: 'listenPort', text: field.text });
  if (port === 0 && kind !== 'remote') throw new SpecError(field.at, { kind: 'listenPortZero' });
  return port;
}

function targetPort(field: Field): number {
  const port = parsePort(field.text);
  if (port) return port;
  throw badPort(field, field.text === '' ? { kind: 'targetPortMissing' } : { kind: 'targetPort', text: field.text });
}

function badPort({ at, blankAt }: Field, problem: SpecProblem): SpecError {
  return blankAt === undefined ? new SpecError(at, problem) : new SpecError(blankAt, { kind: 'blank' });
}

function tcpTarget(host: Field, port: Field): Endpoint {
  if (host.text === '') throw new SpecError(host.at, { kind: 'targetHostMissing' });
  return { kind: 'tcp', host: hostName(host), port: targetPort(port) };
}

/** A name with a blank in it would only fail later, when nobody finds it. */
function hostName(field: Field): string {
  const { text, at, blankAt } = field;
  if (blankAt !== undefined) throw new SpecError(blankAt, { kind: 'blank' });
  refuseUnseen(field);
  if (Buffer.byteLength(text) > longestHost) throw new SpecError(at, { kind: 'hostTooLong' });
  return text;
}

function socketPath(field: Field): string {
  const { text, at } = field;
  refuseUnseen(field);
  if (!isPipe(text) && Buffer.byteLength(text) > longestPath) throw new SpecError(at, { kind: 'pathTooLong' });
  return text;
}

/** A name or path is shown where a person decides about it: no mark may make it read as another one. */
function refuseUnseen({ unseen }: Field): void {
  if (unseen) throw new SpecError(unseen.at, { kind: 'unseen', character: unseen.character });
}

/** A port from 0 to 65535 as strtonum(3) reads it (blanks, a sign and zeros may lead), or a service's name; `undefined` for anything else. */
function parsePort(text: string): number | undefined {
  if (!/^[ \t-\r]*[+-]?\d+$/.test(text)) return servicePort(text);
  const port = Number(text) + 0;
  return port >= 0 && port <= 65535 ? port : undefined;
}
