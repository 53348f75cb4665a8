// The one grammar of forwards: what `ssh -L`, `-R` and `-D` take, presets hold and the Forward Port field accepts.
// Source: ssh(1) and ssh_config(5), compared with `ssh -G` by test/core/forwardSpec.test.ts.
import { FailureError, type Failure, type SpecProblem } from './failure.js';
import { servicePort } from './servicePort.js';

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

/** sun_path of Linux, with its end mark (macOS has 104; the system says so when it listens). */
const longestPath = 107;
/** NI_MAXHOST of netdb.h, with its end mark. */
const longestHost = 1024;

const optionOf = { local: '-L', remote: '-R', dynamic: '-D' } as const;
const kindOf: Readonly<Record<string, ForwardKind>> = { '-L': 'local', '-R': 'remote', '-D': 'dynamic' };

interface Character {
  text: string;
  /** Place in what the user wrote, although ${VAR} has been expanded. */
  at: number;
}
interface Field {
  text: string;
  at: number;
  isPath: boolean;
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

/** Parses the argument of `-L`, `-R` or `-D`. `env` resolves `${NAME}`; a name that is not set is an error, as in ssh. */
export function parseForward(kind: ForwardKind, text: string, env: Environment = {}): SpecResult {
  return attempt(text, () => parseArgument(kind, expand(text, env), text.length));
}

/** Parses a forward with its option, as presets hold it: `-L 5432:db:5432`, `-L5432:db:5432`. */
export function parseSpec(text: string, env: Environment = {}): SpecResult {
  return attempt(text, () => {
    const option = /^\s*(-\S)\s*/.exec(text);
    if (!option) throw new SpecError(0, text.trim() === '' ? { kind: 'empty' } : { kind: 'option', option: '' });
    const kind = kindOf[option[1]!];
    if (!kind) throw new SpecError(text.indexOf('-'), { kind: 'option', option: option[1]! });
    const end = text.trimEnd().length;
    return parseArgument(
      kind,
      expand(text.slice(0, end), env).filter(({ at }) => at >= option[0].length),
      end,
    );
  });
}

/**
 * Parses what a person types into Forward Port: ssh's spelling, with or without `-L`, and the plain answers
 * `5432` (the same port here and on the server), `5000:5432` (here:there), `db:5432` (the same port here).
 */
export function parseAnswer(text: string, env: Environment = {}): SpecResult {
  if (/^\s*-/.test(text)) return parseSpec(text, env);
  return attempt(text, () => {
    const end = text.trimEnd().length;
    const start = text.length - text.trimStart().length;
    const characters = expand(text.slice(0, end), env).filter(({ at }) => at >= start);
    const fields = splitFields(characters, end);
    const [first, second] = fields;
    if (!first) throw new SpecError(0, { kind: 'empty' });
    if (fields.length === 1) {
      if (first.isPath) throw new SpecError(end, { kind: 'targetMissing' });
      const port = listenPort('local', first);
      return {
        kind: 'local',
        listen: { kind: 'tcp', bind: undefined, port },
        target: { kind: 'tcp', host: 'localhost', port },
      };
    }
    if (fields.length === 2 && !first.isPath && !second!.isPath) {
      const port = targetPort(second!);
      // `5000:5432` as kubectl and docker write it; a host whose name is a bare number does not exist.
      if (/^\d+$/.test(first.text))
        return {
          kind: 'local',
          listen: { kind: 'tcp', bind: undefined, port: listenPort('local', first) },
          target: { kind: 'tcp', host: 'localhost', port },
        };
      return { kind: 'local', listen: { kind: 'tcp', bind: undefined, port }, target: tcpTarget(first, second!) };
    }
    return parseArgument('local', characters, end);
  });
}

/** Prints the argument of `-L`, `-R` or `-D`; reading it again gives the same spec. */
export function printForward(spec: ForwardSpec): string {
  const listen = printListen(spec.listen);
  if (spec.kind === 'dynamic' || spec.target.kind === 'socks') return listen;
  return `${listen}:${printEndpoint(spec.target)}`;
}

/** Prints a forward as presets and command lines hold it: `-L 5432:db:5432`. */
export function printSpec(spec: ForwardSpec): string {
  return `${optionOf[spec.kind]} ${printForward(spec)}`;
}

/** `db:5432`, `[::1]:80`, `/run/db.sock`. */
export function printEndpoint(endpoint: Endpoint): string {
  return endpoint.kind === 'unix' ? printField(endpoint.path) : `${printField(endpoint.host)}:${endpoint.port}`;
}

function printListen(listen: Listen): string {
  if (listen.kind === 'unix') return printField(listen.path);
  return listen.bind === undefined ? String(listen.port) : `${printField(listen.bind)}:${listen.port}`;
}

function printField(text: string): string {
  if (!/[:\\[\]$]/.test(text)) return text;
  if (!/[\]$]/.test(text)) return `[${text}]`;
  return text.replace(/[:\\[\]]/g, '\\$&');
}

/** The spec of a text that is known to be good; throws a FailureError otherwise. */
export function mustParseSpec(text: string): ForwardSpec {
  const result = parseSpec(text);
  if (!result.ok) throw new FailureError(result.failure);
  return result.spec;
}

function expand(text: string, env: Environment): Character[] {
  const characters: Character[] = [];
  for (let at = 0; at < text.length;) {
    if (text.startsWith('${', at)) {
      const name = /^\$\{([^}]*)\}/.exec(text.slice(at));
      if (!name) throw new SpecError(at, { kind: 'variableSyntax' });
      const value = name[1] === '' ? undefined : env[name[1]!];
      if (value === undefined) throw new SpecError(at, { kind: 'variable', name: name[1]! });
      for (const character of value) characters.push({ text: character, at });
      at += name[0].length;
    } else {
      characters.push({ text: text[at]!, at });
      at++;
    }
  }
  return characters;
}

function splitFields(characters: readonly Character[], end: number): Field[] {
  const fields: Field[] = [];
  let next = 0;
  while (next < characters.length) {
    const at = characters[next]!.at;
    let text = '';
    if (characters[next]!.text === '[') {
      const close = characters.findIndex((character, index) => index > next && character.text === ']');
      if (close < 0) throw new SpecError(at, { kind: 'bracket' });
      text = characters
        .slice(next + 1, close)
        .map((character) => character.text)
        .join('');
      const after = characters[close + 1];
      if (after && after.text !== ':') throw new SpecError(after.at, { kind: 'bracketTail' });
      fields.push({ text, at, isPath: text.includes('/') });
      next = close + 2;
      continue;
    }
    let isPath = false;
    let closed = false;
    for (; next < characters.length && !closed; next++) {
      const character = characters[next]!.text;
      if (character === ':') closed = true;
      else if (character === '\\') {
        const escaped = characters[++next];
        if (!escaped) throw new SpecError(end - 1, { kind: 'backslash' });
        text += escaped.text;
      } else {
        if (character === '/') isPath = true;
        text += character;
      }
    }
    fields.push({ text, at, isPath });
  }
  return fields;
}

function parseArgument(kind: ForwardKind, characters: readonly Character[], end: number): ForwardSpec {
  const [start] = characters;
  if (!start) throw new SpecError(end, { kind: 'empty' });
  const blank = characters.find(({ text }) => /\s/.test(text));
  if (blank) throw new SpecError(blank.at, { kind: 'blank' });
  const fields = splitFields(characters, end);
  if (fields.length > 4) throw new SpecError(fields[4]!.at, { kind: 'tooManyFields' });
  const { listen, rest } = takeListen(kind, fields);
  const [first, second, third] = rest;
  if (kind === 'dynamic') {
    if (first) throw new SpecError(first.at, { kind: 'tooManyFields' });
    return { kind, listen };
  }
  if (!first) {
    if (kind === 'remote') return { kind, listen, target: { kind: 'socks' } };
    throw new SpecError(end, { kind: 'targetMissing' });
  }
  if (first.isPath && !second) {
    if (first.text.length > longestPath) throw new SpecError(first.at, { kind: 'pathTooLong' });
    return { kind, listen, target: { kind: 'unix', path: first.text } };
  }
  if (!second) throw new SpecError(end, { kind: 'targetPortMissing' });
  if (third) throw new SpecError(third.at, { kind: 'tooManyFields' });
  return { kind, listen, target: tcpTarget(first, second) };
}

/** The listening end takes one field (a port or a path) or two (bind address and port); how many is told by the count. */
function takeListen(kind: ForwardKind, fields: readonly Field[]): { listen: Listen; rest: readonly Field[] } {
  const [first, second] = fields as readonly [Field, ...Field[]];
  const last = fields.at(-1)!;
  const withBind =
    fields.length === 4 ||
    (fields.length === 3 && last.isPath && !first.isPath) ||
    (fields.length === 2 && !second!.isPath && !first.isPath && kind !== 'local');
  if (withBind) {
    if (first.text.length >= longestHost) throw new SpecError(first.at, { kind: 'hostTooLong' });
    return { listen: { kind: 'tcp', bind: first.text, port: listenPort(kind, second!) }, rest: fields.slice(2) };
  }
  if (first.isPath) {
    if (first.text.length > longestPath) throw new SpecError(first.at, { kind: 'pathTooLong' });
    return { listen: { kind: 'unix', path: first.text }, rest: fields.slice(1) };
  }
  return { listen: { kind: 'tcp', bind: undefined, port: listenPort(kind, first) }, rest: fields.slice(1) };
}

function listenPort(kind: ForwardKind, field: Field): number {
  const port = parsePort(field.text);
  if (port === undefined) throw new SpecError(field.at, { kind: 'listenPort', text: field.text });
  if (port === 0 && kind !== 'remote') throw new SpecError(field.at, { kind: 'listenPortZero' });
  return port;
}

function targetPort(field: Field): number {
  const port = parsePort(field.text);
  if (!port)
    throw new SpecError(
      field.at,
      field.text === '' ? { kind: 'targetPortMissing' } : { kind: 'targetPort', text: field.text },
    );
  return port;
}

function tcpTarget(host: Field, port: Field): Endpoint {
  if (host.text === '') throw new SpecError(host.at, { kind: 'targetHostMissing' });
  if (host.text.length >= longestHost) throw new SpecError(host.at, { kind: 'hostTooLong' });
  return { kind: 'tcp', host: host.text, port: targetPort(port) };
}

/** A port from 0 to 65535 in digits (leading zeros pass), or a service's name; `undefined` for anything else. */
function parsePort(text: string): number | undefined {
  if (/^\d+$/.test(text)) {
    const port = Number(text);
    return port <= 65535 ? port : undefined;
  }
  return servicePort(text);
}
