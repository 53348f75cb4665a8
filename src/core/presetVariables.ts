// Variables in the host and the forwards of a preset. What one stands for is data: it fills a part of a host or forward, and
// never makes another one, whatever marks are in it.
import { parseDestination, printDestination, type Destination } from './destination.js';
import type { DestinationProblem, SpecProblem } from './failure.js';
import { parseFilledSpec, type Environment, type ForwardSpec } from './forwardSpec.js';
import { readPort } from './hostAddress.js';
import { unseen } from './printable.js';
import { t } from './translate.js';
import { destinationProblem, specProblem } from './wording.js';

export interface WorkspaceFolder {
  name: string;
  path: string;
}

/** What variables stand for in the presets of one settings file. */
export interface VariableWorld {
  folders: readonly WorkspaceFolder[];
  /** Its folders stand for nothing yet: a file that nobody trusts has named them. */
  isUntrusted?: true;
  /** The one whose settings are read, in a workspace of several. */
  folder?: WorkspaceFolder;
  /** Absent: nothing of it may be read, as for a workspace that is not trusted. */
  env?: Environment;
}

/** What was answered to `${input:id}`, by the id. */
export type Answers = Readonly<Record<string, string>>;

export interface TextProblem {
  /** Place in the text as written, and how many UTF-16 units it is about; absent: all of it. */
  at?: number;
  length?: number;
  message: string;
}

/** `unfilled`: it reads well so far, and waits for answers, or for what may not be read now. */
export type Filled<T> =
  { kind: 'filled'; value: T } | { kind: 'unfilled' } | { kind: 'wrong'; problems: readonly TextProblem[] };

interface Variable {
  /** `env:USER` */
  name: string;
  at: number;
}

function variablesOf(text: string): Variable[] {
  return [...text.matchAll(/\$\{([^{}$]*)\}/g)].map((match) => ({ name: match[1]!, at: match.index }));
}

/** As written: `${env:USER}`. */
function written(name: string): string {
  return `\${${name}}`;
}

/** The ids of `${input:id}` in the texts, each once, in order. */
export function inputsOf(texts: readonly string[]): string[] {
  return [...new Set(texts.flatMap(variablesOf).flatMap(({ name }) => inputId(name) ?? []))];
}

export function hasVariables(text: string): boolean {
  return variablesOf(text).some(({ name }) => isOurs(name));
}

/** Whether a folder of the workspace stands in the text. */
export function namesFolder(text: string): boolean {
  return variablesOf(text).some(({ name }) => isFolder(name));
}

function isFolder(name: string): boolean {
  return /^workspaceFolder(:|$)/.test(name);
}

function inputId(name: string): string | undefined {
  return /^input:([\w.-]+)$/.exec(name)?.[1];
}

function isOurs(name: string): boolean {
  return /^(workspaceFolder$|workspaceFolder:|env:|input:)/.test(name);
}

/** `unread`: it may not be read now, or is not answered yet. */
type Value = { kind: 'value'; text: string } | { kind: 'unread' } | { kind: 'wrong'; message: string };

function valueOf(name: string, world: VariableWorld, answers: Answers): Value {
  const wrong = (message: string): Value => ({ kind: 'wrong', message });
  const variable = written(name);
  const given = (text: string | undefined, missing: string): Value => {
    if (typeof text !== 'string' || text === '') return wrong(missing);
    if (unseen.test(text))
      return wrong(t('what {variable} stands for has a mark in it that nobody sees', { variable }));
    return { kind: 'value', text };
  };
  if (world.isUntrusted && isFolder(name)) return { kind: 'unread' };
  const [, folder] = /^workspaceFolder:(.*)$/s.exec(name) ?? [];
  if (folder !== undefined)
    return given(
      world.folders.find((one) => one.name === folder)?.path,
      t('the workspace has no folder called “{folder}”; name one that it has', { folder }),
    );
  if (name === 'workspaceFolder') {
    const [only, another] = world.folders;
    if (world.folder) return given(world.folder.path, '');
    if (!only) return wrong(t('no folder is open that {variable} could stand for; open one', { variable }));
    if (another)
      return wrong(
        t('the workspace has several folders; write the one you mean, as in {example}', {
          example: written(`workspaceFolder:${only.name}`),
        }),
      );
    return given(only.path, '');
  }
  const [, key] = /^env:(.+)$/s.exec(name) ?? [];
  if (key !== undefined) {
    if (!world.env) return { kind: 'unread' };
    return given(
      world.env[key],
      t('the environment variable {name} is not set; set it where VS Code is started, or write what it stands for', {
        name: key,
      }),
    );
  }
  const id = inputId(name);
  if (id !== undefined) {
    if (!Object.hasOwn(answers, id)) return { kind: 'unread' };
    return given(answers[id], t('nothing is answered to {variable}', { variable }));
  }
  return wrong(unknownText(name));
}

function unknownText(name: string): string {
  if (name.startsWith('input:'))
    return t('{variable} needs a name of letters, digits, -, _ and .', { variable: written(name) });
  const known = '${workspaceFolder}, ${workspaceFolder:name}, ${env:NAME}, ${input:name}';
  if (/^[A-Za-z_]\w*$/.test(name) && name === name.toUpperCase())
    return t('{variable} is not known here; for the environment’s write {example}', {
      variable: written(name),
      example: written(`env:${name}`),
    });
  return t('{variable} is not known here; the variables of presets are {known}', { variable: written(name), known });
}

/** Stands for what is not known yet: what it is a part of has to read well with one of these. */
const samples = ['50001', '/sample'];

/** In one text: nobody writes as many, and it takes time. */
const mostVariables = 20;

/** Combinations of samples that are tried. */
const mostTries = 16;

/** `${input:...}` takes what `answers` has. Problems name what is wrong as written, and never what an environment has. */
export function fillForward(text: string, world: VariableWorld, answers: Answers = {}): Filled<ForwardSpec> {
  const variables = variablesOf(text).filter(({ name }) => name !== '');
  const values = new Map(variables.map(({ name }) => [name, valueOf(name, world, answers)]));
  const wrong = problemsOf(variables, values);
  if (wrong.length > 0) return { kind: 'wrong', problems: wrong };
  const unread = [...values].flatMap(([name, { kind }]) => (kind === 'unread' ? [name] : []));
  const known = [...values].flatMap(([name, value]) => (value.kind === 'value' ? [[name, value.text] as const] : []));
  const tries = Math.min(samples.length ** unread.length, mostTries);
  const results = Array.from({ length: tries }, (_, number) => {
    const sampled = unread.map((name, place) => [name, samples[(number >> place) & 1]!] as const);
    return { sampled, result: parseFilledSpec(text, Object.fromEntries([...known, ...sampled])) };
  });
  const good = results.find(({ result }) => result.ok)?.result;
  if (good?.ok) return unread.length > 0 ? { kind: 'unfilled' } : { kind: 'filled', value: good.spec };
  const { sampled, result } = results[0]!;
  if (result.ok) return { kind: 'unfilled' };
  const { at, problem } = result.failure;
  return {
    kind: 'wrong',
    problems: [{ at, message: specProblem(unfill(problem, [...known.filter(isHidden), ...sampled])) }],
  };
}

function problemsOf(variables: readonly Variable[], values: ReadonlyMap<string, Value>): TextProblem[] {
  if (variables.length > mostVariables)
    return [{ message: t('more than {count} variables in one text', { count: mostVariables }) }];
  return variables.flatMap(({ name, at }) => {
    const value = values.get(name)!;
    return value.kind === 'wrong' ? [{ at, length: written(name).length, message: value.message }] : [];
  });
}

/** What was answered is shown; what an environment holds may be a secret. */
function isHidden([name]: readonly [name: string, value: string]): boolean {
  return inputId(name) === undefined;
}

/** The problem with the variables in the place of what they stand for. */
function unfill<P extends SpecProblem | DestinationProblem>(
  problem: P,
  filled: readonly (readonly [name: string, value: string])[],
): P {
  if (!('text' in problem)) return problem;
  const longestFirst = [...filled].sort(([, a], [, b]) => b.length - a.length);
  const pattern = longestFirst.map(([, value]) => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  if (pattern === '') return problem;
  const text = problem.text.replace(new RegExp(pattern, 'g'), (found) =>
    written(longestFirst.find(([, value]) => value === found)![0]),
  );
  return { ...problem, text };
}

/**
 * As `fillForward`. A variable may stand for a user, a name or address, a part of one of these or of an option’s value, or
 * for a port, but for no part of one. `${HOME}` and its like are left to ssh, which knows them in the names of key files.
 */
export function fillHost(text: string, world: VariableWorld, answers: Answers = {}): Filled<Destination> {
  const variables = variablesOf(text).filter(({ name }) => isOurs(name) || !/^[A-Z_][A-Z0-9_]*$|^$/.test(name));
  const values = new Map(variables.map(({ name }) => [name, valueOf(name, world, answers)]));
  const wrong = problemsOf(variables, values);
  if (wrong.length > 0) return { kind: 'wrong', problems: wrong };
  // First with a number for each, which reads well in any part: so the marks of a value take no part in the reading.
  const { sample, tokens, placeOf } = sampleText(text, variables);
  const read = parseDestination(sample);
  if (!read.ok) {
    const { at, problem } = read.failure;
    const names = tokens.map(({ token, name }) => [name, token] as const);
    return { kind: 'wrong', problems: [{ at: placeOf(at), message: destinationProblem(unfill(problem, names)) }] };
  }
  const known = tokens.flatMap(({ token, name }) => {
    const value = values.get(name)!;
    return value.kind === 'value' ? [{ token, name, value: value.text }] : [];
  });
  const filled = fillDestination(read.destination, known);
  if (typeof filled === 'string') return { kind: 'wrong', problems: [{ message: filled }] };
  return [...values.values()].some(({ kind }) => kind === 'unread')
    ? { kind: 'unfilled' }
    : { kind: 'filled', value: filled };
}

interface Token {
  token: string;
  name: string;
}

/** The text with a number from 50001 upwards for each variable, one that is found in it nowhere else. */
function sampleText(
  text: string,
  variables: readonly Variable[],
): { sample: string; tokens: readonly Token[]; placeOf: (at: number) => number } {
  for (let first = 50001; ; first += variables.length) {
    const tokens = variables.map(({ name }, index) => ({ token: String(first + index), name }));
    const starts: number[] = [];
    let sample = '';
    let end = 0;
    variables.forEach(({ name, at }, index) => {
      sample += text.slice(end, at);
      starts.push(sample.length);
      sample += tokens[index]!.token;
      end = at + written(name).length;
    });
    sample += text.slice(end);
    const found = tokens.length > 0 ? [...sample.matchAll(patternOf(tokens))].map(({ index }) => index) : [];
    if (JSON.stringify(found) !== JSON.stringify(starts)) continue;
    const placeOf = (at: number) => {
      const last = starts.findLastIndex((start) => start <= at);
      if (last < 0) return at;
      const isInside = at < starts[last]! + tokens[last]!.token.length;
      const behind = variables[last]!.at + written(variables[last]!.name).length;
      return isInside ? variables[last]!.at : behind + at - starts[last]! - tokens[last]!.token.length;
    };
    return { sample, tokens, placeOf };
  }
}

function patternOf(tokens: readonly Token[]): RegExp {
  return new RegExp(tokens.map(({ token }) => token).join('|'), 'g');
}

/** In their values ssh would replace marks once more. */
const withTokens = ['IdentityFile', 'IdentityAgent', 'HostName'];

/** The destination with values in the places of the tokens, or what is wrong with that. */
function fillDestination(sampled: Destination, known: readonly (Token & { value: string })[]): Destination | string {
  if (known.length === 0) return sampled;
  const fill = (text: string, change = (value: string) => value) =>
    text.replace(patternOf(known), (found) => change(known.find(({ token }) => token === found)!.value));
  const names = known.map(({ name, value }) => [name, value] as const).filter(isHidden);
  const { host, user, port, options } = sampled;
  const filledPort = port === undefined ? undefined : readPort(fill(String(port)));
  if (port !== undefined && filledPort === undefined) {
    const text = fill(String(port));
    return destinationProblem(unfill({ kind: 'port', text }, names));
  }
  const isPlain = options?.every(([keyword, value]) => {
    const found = [...value.matchAll(patternOf(known))].map(([token]) => fill(token));
    if (keyword === 'ProxyJump') return found.every((one) => !/[,@:[\]]/.test(one));
    return !withTokens.includes(keyword) || found.every((one) => !one.includes('$'));
  });
  const filled: Destination = {
    host: fill(host),
    ...(user !== undefined && { user: fill(user) }),
    ...(filledPort !== undefined && { port: filledPort }),
    ...(options && {
      options: options.map(([keyword, value]) => {
        const escapes = withTokens.includes(keyword);
        return [keyword, fill(value, (one) => (escapes ? one.replaceAll('%', '%%') : one))] as const;
      }),
    }),
  };
  const read = parseDestination(printDestination(filled));
  if (!read.ok) return destinationProblem(unfill(read.failure.problem, names));
  const isAddress = /^[\da-f:.]+(%[\w.-]+)?$/i.test(filled.host);
  if (isPlain === false || (filled.host.includes(':') && !isAddress) || !isSame(read.destination, filled))
    return t('a variable stands for one part of the host alone: a user, a name or a port');
  return filled;
}

function isSame(one: Destination, other: Destination): boolean {
  const partsOf = ({ host, user, port, options }: Destination) => JSON.stringify([host, user, port, options]);
  return partsOf(one) === partsOf(other);
}
