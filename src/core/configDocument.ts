// The text of an ssh_config file as an editor has it: its forwards with their places, and what is wrong with them. What
// Include names is not looked at, and of a Match nobody knows here whether it holds.
import { isHostName } from './configForward.js';
import { readConfigLine } from './configLine.js';
import { matchesPattern } from './configPattern.js';
import { quoteConfig, splitConfig } from './configWords.js';
import type { SpecProblem } from './failure.js';
import {
  forwardKindOf,
  forwardWords,
  parseConfigForward,
  parseForward,
  printSpec,
  type Environment,
  type ForwardKind,
  type ForwardSpec,
} from './forwardSpec.js';
import { addressesOverlap } from './hostAddress.js';
import { plainWord } from './shellWords.js';
import { t } from './translate.js';
import { listenText, specProblem } from './wording.js';

/** A piece of a line; all from 0, the end behind the last character. */
export interface Place {
  line: number;
  start: number;
  end: number;
}

export interface DocumentForward {
  spec: ForwardSpec;
  /** The whole forward, with its keyword. */
  place: Place;
  /** The names in this file that the line is for; none under a Match, or where only patterns are. */
  hosts: readonly string[];
  /** The line with a `GatewayPorts yes` that may open it to the network, from 0. */
  gatewayPorts?: number;
  /** The line of its own block with a `ClearAllForwardings yes`, from 0: ssh opens none of them. */
  cleared?: number;
}

export interface DocumentProblem {
  severity: 'error' | 'warning' | 'information';
  place: Place;
  message: string;
  /** The other line that it is about. */
  related?: { place: Place; message: string };
}

export interface ConfigDocument {
  forwards: readonly DocumentForward[];
  /** In the order of their lines. */
  problems: readonly DocumentProblem[];
}

/** UTF-16 units; nobody writes a longer one by hand. */
const longest = 1_000_000;
/** Names that a forward is told with, and comparisons of names with patterns for a whole text: it can't stall the editor. */
const mostHosts = 1000;
const mostComparisons = 1_000_000;

/** A `Host` or `Match` line with what stands below it, or what stands before the first of them. */
interface Block {
  /** `Host`'s words, `*` before the first block; undefined: a Match. */
  patterns: readonly string[] | undefined;
}
interface Written {
  block: Block;
  spec: ForwardSpec;
  place: Place;
  listen: Place;
}

/** Reads the text; `env` resolves `${NAME}`. Never throws. One that is longer than a million characters says nothing. */
export function readConfigDocument(text: string, env: Environment): ConfigDocument {
  if (text.length > longest) return { forwards: [], problems: [] };
  const names: string[] = [];
  const written: Written[] = [];
  const problems: DocumentProblem[] = [];
  const gateways: { block: Block; line: number }[] = [];
  const clearings = new Map<Block, { isYes: boolean; line: number }>();
  let block: Block = { patterns: ['*'] };
  text.split('\n').forEach((whole, line) => {
    const read = readConfigLine(whole);
    if (!read) return;
    const { keyword, rest, words = [] } = read;
    if (!read.words && (keyword === 'host' || keyword === 'match')) {
      const end = whole.trimEnd().length;
      const start = whole.lastIndexOf(rest) + Math.max(rest.search(/["']/), 0);
      problems.push({
        severity: 'error',
        place: { line, start, end },
        message: sentence(specProblem({ kind: 'quote' })),
      });
    }
    const kind = forwardKindOf(keyword);
    if (keyword === 'match') block = { patterns: words.length === 1 && words[0] === 'all' ? ['*'] : undefined };
    else if (keyword === 'host') {
      block = { patterns: words };
      for (const word of words) if (isHostName(word)) names.push(word);
    } else if (keyword === 'clearallforwardings' && !clearings.has(block)) {
      clearings.set(block, { isYes: /^(yes|true)$/i.test(words[0] ?? ''), line });
    } else if (keyword === 'gatewayports' && /^(yes|true)$/i.test(words[0] ?? '')) gateways.push({ block, line });
    if (!kind) return;
    const from = rest === '' ? whole.trimEnd().length : whole.lastIndexOf(rest);
    const place = { line, start: whole.search(/\S/), end: from + rest.length };
    const result = parseConfigForward(kind, rest, env);
    if (result.ok) written.push({ block, spec: result.spec, place, listen: listenPlace(rest, line, from) });
    else {
      const { at, problem } = result.failure;
      const start = from + at < place.end ? from + at : place.start;
      problems.push({
        severity: severityOf(problem),
        place: { ...place, start },
        message: sentence(problemText(kind, rest, problem, env)),
      });
    }
  });

  const known = [...new Set(names)];
  const budget = { comparisons: mostComparisons };
  const hostsOf = new Map<Block, ReadonlySet<string>>();
  const namesOf = ({ block }: { block: Block }) => {
    const found = hostsOf.get(block) ?? new Set(hostsIn(block, known, budget));
    hostsOf.set(block, found);
    return found;
  };
  const listed = new Map<Block, readonly string[]>();
  const hosts = (forward: { block: Block }) => {
    const found = listed.get(forward.block) ?? [...namesOf(forward)].slice(0, mostHosts);
    listed.set(forward.block, found);
    return found;
  };
  const meets = (one: { block: Block }, other: { block: Block }) =>
    one.block === other.block || hosts(one).some((name) => namesOf(other).has(name));
  const forwards = written.map((forward): DocumentForward => {
    const mayMeet = (one: { block: Block }) =>
      !one.block.patterns || !forward.block.patterns || one.block.patterns.includes('*') || meets(one, forward);
    const gateway = isUnbound(forward.spec) ? gateways.find(mayMeet) : undefined;
    const clearing = clearings.get(forward.block);
    return {
      spec: forward.spec,
      place: forward.place,
      hosts: hosts(forward),
      ...(gateway && { gatewayPorts: gateway.line }),
      ...(clearing?.isYes && { cleared: clearing.line }),
    };
  });
  problems.push(...findDuplicates(written, hosts, meets));
  return { forwards, problems: problems.sort((a, b) => a.place.line - b.place.line) };
}

/** Those of the names that the block is for; with the budget spent, those that it has word by word. */
function hostsIn({ patterns }: Block, names: readonly string[], budget: { comparisons: number }): string[] {
  if (!patterns) return [];
  const [taken, left] = [
    matcherOf(patterns.filter((pattern) => !pattern.startsWith('!'))),
    matcherOf(patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1))),
  ];
  return names.filter((name) => taken(name, budget) && !left(name, budget));
}

function matcherOf(patterns: readonly string[]): (name: string, budget: { comparisons: number }) => boolean {
  const words = new Set(patterns);
  const wild = [...words].filter((pattern) => /[*?]/.test(pattern));
  return (name, budget) => {
    if (words.has(name) || words.has('*')) return true;
    if (budget.comparisons < wild.length) return false;
    budget.comparisons -= wild.length;
    return wild.some((pattern) => matchesPattern(name, pattern));
  };
}

const keywordOf = { local: 'LocalForward', remote: 'RemoteForward', dynamic: 'DynamicForward' } as const;

/** What is wrong, where a forward has its ends in two words. */
function problemText(kind: ForwardKind, rest: string, problem: SpecProblem, env: Environment): string {
  const keyword = keywordOf[kind];
  const [word, ...more] = splitConfig(plainWord(rest)) ?? [];
  if (problem.kind === 'blank' && more.length > (kind === 'dynamic' ? 0 : 1))
    return kind === 'dynamic'
      ? t('{keyword} takes one word: the port to listen on', { keyword })
      : t('{keyword} takes two words: the port to listen on and the target', { keyword });
  if (problem.kind !== 'targetMissing' || !word) return specProblem(problem);
  const meant = more.length === 0 ? parseForward(kind, word.text, env) : undefined;
  return meant?.ok
    ? t('write the port and the target as two words: {line}', {
        line: [keyword, ...forwardWords(meant.spec).map(quoteConfig)].join(' '),
      })
    : t('target missing; write {keyword} port host:hostport', { keyword });
}

/** Whether GatewayPorts decides who can connect. */
function isUnbound({ kind, listen }: ForwardSpec): boolean {
  return kind !== 'remote' && listen.kind === 'tcp' && listen.bind === undefined;
}

function listenPlace(rest: string, line: number, from: number): Place {
  const places = splitConfig(plainWord(rest))?.[0]?.places ?? [0];
  return { line, start: from + places[0]!, end: from + places.at(-1)! };
}

/** A variable may be set where ssh runs; for the rest ssh refuses the whole file. */
function severityOf({ kind }: SpecProblem): DocumentProblem['severity'] {
  return kind === 'variable' ? 'warning' : 'error';
}

/** The first line before each that listens where it does: on one machine only one of them can. */
function findDuplicates(
  written: readonly Written[],
  hosts: (forward: Written) => readonly string[],
  meets: (one: Written, other: Written) => boolean,
): DocumentProblem[] {
  const before = new Map<string, Written[]>();
  return written.flatMap((forward): DocumentProblem[] => {
    const { listen, kind } = forward.spec;
    const side = kind === 'remote' ? 'there' : 'here';
    const key = JSON.stringify([side, listen.kind === 'unix' ? listen.path : listen.port]);
    const earlier = before.get(key) ?? [];
    before.set(key, [...earlier, forward].slice(0, mostAtOnePort));
    // The server chooses, another one each time.
    if (listen.kind === 'tcp' && listen.port === 0) return [];
    const overlapping = earlier.filter((other) => overlaps(forward.spec, other.spec));
    const same = overlapping.find((other) => meets(forward, other));
    const other = same ?? (side === 'here' ? overlapping[0] : undefined);
    if (!other) return [];
    const related = {
      place: other.place,
      message: t('{address} is listened on here first', { address: listenText(other.spec.listen) }),
    };
    return [{ ...judge(forward, other, same !== undefined, hosts), place: forward.listen, related }];
  });
}

/** Those beyond it are compared with these alone: a text can't stall the editor. */
const mostAtOnePort = 100;

function judge(
  forward: Written,
  other: Written,
  isSameHost: boolean,
  hosts: (forward: Written) => readonly string[],
): Pick<DocumentProblem, 'severity' | 'message'> {
  const where = listenText(forward.spec.listen);
  const line = other.place.line + 1;
  if (!isSameHost) {
    const [name] = hosts(other);
    return {
      severity: 'information',
      message:
        name === undefined
          ? t('{where} is listened on in line {line}, too: only one of them can run at a time.', { where, line })
          : t('{where} is listened on for {host} in line {line}, too: only one of them can run at a time.', {
              where,
              host: name,
              line,
            }),
    };
  }
  if (printSpec(forward.spec) === printSpec(other.spec))
    return {
      severity: 'information',
      message: t('This forward stands in line {line} already; ssh takes it once.', { line }),
    };
  return {
    severity: 'warning',
    message:
      forward.spec.kind === 'remote'
        ? t(
            '{where} of the server is listened on in line {line} already: only one of the two can. Choose another port.',
            { where, line },
          )
        : t('{where} is listened on in line {line} already: only one of the two can. Choose another port.', {
            where,
            line,
          }),
  };
}

function overlaps(one: ForwardSpec, other: ForwardSpec): boolean {
  if (one.listen.kind === 'unix' || other.listen.kind === 'unix') return true;
  const [ours, theirs] = [bindAddresses(one.listen.bind), bindAddresses(other.listen.bind)];
  return ours.some((address) => theirs.some((another) => addressesOverlap(address, another)));
}

/** What a bind address stands for; a name stands for itself. */
function bindAddresses(bind: string | undefined): readonly string[] {
  if (bind === '' || bind === '*') return ['0.0.0.0', '::'];
  if (bind === undefined || /^localhost$/i.test(bind)) return ['127.0.0.1', '::1'];
  return [bind.toLowerCase()];
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
