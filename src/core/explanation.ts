// How a host is reached and why so: what "Explain Connection" shows. Plain data, no secret in it.
import type { ConfigForward, Origin } from './configForward.js';
import type { Ask } from './engine.js';
import type { Failure } from './failure.js';
import { printSpec } from './forwardSpec.js';
import { printable, unseen } from './printable.js';
import { inEnglish } from './translate.js';
import { failureText } from './wording.js';

/** Where an effective value comes from. */
export type ValueSource = { kind: 'file'; origin: Origin } | { kind: 'given' } | { kind: 'default' };

export interface ExplainedKey {
  /** Its file, or the agent's comment. */
  name: string;
  keyType: string;
  /** As `ssh-keygen -l` prints it; absent: its passphrase alone tells. */
  fingerprint?: string;
}

/** A step of the try, as engine/dial names it. */
export type ExplainedPhase = 'resolve' | 'connect' | 'handshake' | 'hostKey' | 'authentication' | 'ready';

/** One host of the way there, the jump hosts first. */
export interface ExplainedHost {
  /** As it was asked for. */
  name: string;
  /** `user@address:port` after ssh_config */
  server: string;
  /** In the lines of `ssh -G`; without a source where it can't be told. */
  options: readonly { keyword: string; value: string; source?: ValueSource }[];
  /** What would be offered, in order. */
  identities: readonly (ExplainedKey & { note?: string })[];
  /** Files of IdentityFile that are not there. */
  missing: readonly string[];
  /** What keeps keys and agents from being used. */
  notes: readonly Failure[];
  /** All keys of the agent; absent: there is no agent. */
  agent?: { path: string; keys: readonly ExplainedKey[] } | { path: string; failure: Failure };
  /** Under which name known_hosts is searched, and the lines that are about it. */
  knownHosts: {
    name: string;
    lines: readonly (Origin & { keyType: string; fingerprint: string; marker?: 'revoked' | 'cert-authority' })[];
    failure?: Failure;
  };
  /** Of the try to connect, in order; those that it did not come to are absent. Times in ms. */
  phases: readonly { phase: ExplainedPhase; ms: number }[];
  /** Where a person would have been asked; printable. */
  asked: readonly string[];
  /** What the server told who logs in; printable. */
  said: readonly string[];
}

export interface Explanation {
  /** The destination as printed. */
  host: string;
  hosts: readonly ExplainedHost[];
  /** What reading ssh_config took, in ms. */
  resolved?: number;
  /** The forwards that ssh_config has for the host. */
  forwards: readonly Pick<ConfigForward, 'spec' | 'origin'>[];
  /** Why the host was not reached. */
  failure?: Failure;
}

/** What a question of the try would have been, as the rest of `a person would be asked `. */
export function questionText(
  ask: Ask extends infer One ? (One extends Ask ? Omit<One, 'id' | 'connection'> : never) : never,
): string {
  switch (ask.kind) {
    case 'hostKey':
      return `whether the host key of ${ask.host} is right (${ask.keyType} ${ask.fingerprint})`;
    case 'passphrase':
      return `for the passphrase of ${ask.path}`;
    case 'password':
      return `for the password of ${ask.user}`;
    case 'interactive':
      return `for ${ask.prompts.map(({ text }) => `“${printable(text).trim()}”`).join(' and ')}`;
    case 'openToNetwork':
      return 'whether a port may be opened to the network';
  }
}

/** Keywords whose values may hold what nobody else is to read: only the beginning is told. */
const programs = ['proxycommand', 'knownhostscommand', 'localcommand', 'remotecommand'];

/** The value as it may be shown: of a command its program, if that is plain to see, and of variables their names. */
export function shownValue(keyword: string, value: string): string {
  if (keyword === 'setenv') return `${printable(value.trim().replace(/[=\s].*$/s, ''))}=…`;
  if (!programs.includes(keyword)) return printable(value);
  const [, program, rest] = commandShape.exec(value) ?? [];
  if (program === undefined) return '…';
  return rest ? `${program} …` : program;
}

/** Variables that are set for the program alone, its name or path, and the rest; whatever a shell would read more into is none. */
const commandShape = /^\s*(?:\w+=[\w.,:/@%+-]*\s+)*((?:[a-z]:[\w.\\/+-]*|[\w./~+-]+))(?:\s+(.*))?$/is;

const phaseNames: Readonly<Record<ExplainedPhase, string>> = {
  resolve: 'read ssh_config',
  connect: 'connect',
  handshake: 'agree on algorithms',
  hostKey: 'check the host key',
  authentication: 'log in',
  ready: 'ready',
};

/** The explanation as Markdown that also reads well as it is; `about` tells what made it. */
export function printExplanation(explanation: Explanation, about: string): string {
  return inEnglish(() => printAll(explanation, about));
}

function printAll(explanation: Explanation, about: string): string {
  const { host, hosts, forwards } = explanation;
  return (
    [
      `# ${heading(host)}`,
      summary(explanation),
      ...hosts.flatMap((one, index) => hostText(one, index, explanation)),
      `## Forwards in ssh_config`,
      forwards.length === 0
        ? 'None for this host.'
        : table(forwards.map(({ spec, origin }) => [printSpec(spec), placeText(origin)])),
      about,
    ].join('\n\n') + '\n'
  );
}

function summary({ hosts, failure, resolved }: Explanation): string {
  if (hosts.length === 0) return failure ? block([failureText(failure)]) : 'Nothing is known of this host.';
  const way = hosts.map(({ server }) => code(server)).join(' → ');
  const took = [...hosts.flatMap(({ phases }) => phases.map(({ ms }) => ms)), resolved ?? 0].reduce((a, b) => a + b, 0);
  if (!failure) return `${way}\n\n**Reached.** Connected in ${duration(took)}.`;
  return `${way}\n\n**Not reached.**\n\n${block([failureText(failure)])}`;
}

function hostText(host: ExplainedHost, index: number, { hosts, resolved, failure }: Explanation): string[] {
  const isLast = index === hosts.length - 1;
  const isEnd = failure !== undefined && !hosts[index + 1]?.phases.length;
  return [
    `## ${isLast ? '' : `Jump host ${index + 1}: `}${heading(host.name)}`,
    '### Options',
    optionsText(host),
    '### Identities, in the order in which they are offered',
    identitiesText(host),
    ...(host.notes.length > 0 ? [block(host.notes.map((note) => failureText(note)))] : []),
    '### Agent',
    agentText(host),
    '### Known host keys',
    knownText(host),
    '### A try to connect',
    tryText(host, index === 0 ? resolved : undefined, isEnd),
  ];
}

function optionsText({ options }: ExplainedHost): string {
  const own = options.filter(({ source }) => source?.kind !== 'default');
  const defaults = options.length - own.length;
  const rest = defaults === 0 ? '' : `OpenSSH’s defaults for ${defaults === 1 ? 'one other' : `${defaults} others`}.`;
  if (own.length === 0) return rest;
  const rows = own.map(({ keyword, value, source }) => [keyword, shownValue(keyword, value), sourceText(source)]);
  return [table(rows), ...(rest ? [rest] : [])].join('\n\n');
}

function sourceText(source: ValueSource | undefined): string {
  switch (source?.kind) {
    case 'file':
      return placeText(source.origin);
    case 'given':
      return 'asked for';
    case 'default':
      return 'default';
    case undefined:
      return 'not known from where';
  }
}

function placeText({ file, line }: Origin): string {
  return `${file}:${line}`;
}

function keyCells({ name, keyType, fingerprint }: ExplainedKey): string[] {
  return [name, keyType, fingerprint ?? 'known with its passphrase only'];
}

function identitiesText({ identities, missing }: ExplainedHost): string {
  const found = identities.length === 0 ? 'None.' : table(identities.map(identityCells));
  return missing.length === 0 ? found : `${found}\n\nNot there: ${missing.map(code).join(', ')}.`;
}

function identityCells(identity: ExplainedKey & { note?: string }): string[] {
  return [...keyCells(identity), identity.note ?? ''];
}

function agentText({ agent }: ExplainedHost): string {
  if (!agent) return 'None.';
  if ('failure' in agent) return block([failureText(agent.failure)]);
  const where = code(agent.path);
  return agent.keys.length === 0 ? `${where} has no keys.` : `${where}\n\n${table(agent.keys.map(keyCells))}`;
}

function knownText({ knownHosts: { name, lines, failure } }: ExplainedHost): string {
  if (failure) return block([failureText(failure)]);
  if (lines.length === 0) return `None for ${code(name)}.`;
  const rows = lines.map((line) => [
    placeText(line),
    line.keyType,
    line.fingerprint,
    line.marker === undefined ? '' : `@${line.marker}`,
  ]);
  return `For ${code(name)}:\n\n${table(rows)}`;
}

/** `isEnd`: the way ends here, and not as wanted. */
function tryText({ phases, asked, said }: ExplainedHost, resolved: number | undefined, isEnd: boolean): string {
  const all = [...(resolved === undefined ? [] : [{ phase: 'resolve' as const, ms: resolved }]), ...phases];
  if (all.length === 0) return 'It did not come to that.';
  const rows = all.map(({ phase, ms }, at) => [
    phaseNames[phase],
    phase === 'ready' ? '' : duration(ms),
    isEnd && at === all.length - 1 ? 'and no further' : '',
  ]);
  const notes = [
    ...asked.map((what) => `A person would be asked ${what}.`),
    ...said.map((text) => `The server says: ${text}`),
  ];
  return [table(rows), ...(notes.length > 0 ? [block(notes)] : [])].join('\n\n');
}

function duration(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

// Servers, files and agents have a say in these texts, and the document is made to be pasted into an issue: nothing of them
// may be read as Markdown, which an indented block and a code span leave as it is.

/** Texts in an indented block, each from a line of its own. */
function block(texts: readonly string[]): string {
  return texts
    .flatMap((text) => text.slice(0, longestText).split(/\r\n|\n|\r/))
    .flatMap((line) => line.replace(new RegExp(unseen, 'gu'), '?').match(/\S.{0,99}(?=\s|$)|\S+/gu) ?? [])
    .map((line) => `    ${line.trimEnd()}`)
    .join('\n');
}

/** UTF-16 units of one text. */
const longestText = 4000;

/** A code span that the text can't end. */
function code(text: string): string {
  const shown = printable(text) || ' ';
  const fence = '`'.repeat(1 + Math.max(0, ...(shown.match(/`+/g) ?? []).map(({ length }) => length)));
  const edge = /^`|`$/.test(shown) ? ' ' : '';
  return `${fence}${edge}${shown}${edge}${fence}`;
}

/** `user@host:port` as it is; what no host would be called as code. */
function heading(name: string): string {
  return /^(?:\w(?:[\w.-]*\w)?@)?(?:\w[\w.:%-]*|\[[\w.:%-]+\](?::\d+)?)$/.test(name) ? name : code(name);
}

/** Columns in an indented block, which Markdown leaves as it is. */
function table(rows: readonly (readonly string[])[]): string {
  const clean = rows.map((row) => row.map((cell) => printable(cell)));
  const widths = clean.reduce<number[]>(
    (widest, row) => row.map((cell, at) => Math.max(widest[at] ?? 0, Math.min(cell.length, widestCell))),
    [],
  );
  return clean
    .map(
      (row) =>
        `    ${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}`,
    )
    .join('\n');
}

/** One long value must not push what stands beside the others out of sight. */
const widestCell = 48;
