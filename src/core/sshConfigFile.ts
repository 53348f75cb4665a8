// ssh_config(5) resolved without an ssh program: what `ssh -G` prints for a host, each value with the line that it comes
// from. Source: the man page, compared with `ssh -G` by test/engine/sshConfig.test.ts.
import { assembleAlgorithms, algorithmKinds } from './configAlgorithms.js';
import { isHostName, type Origin } from './configForward.js';
import {
  aliases,
  clearable,
  idle,
  LineProblem,
  printedKeywords,
  readAgentPath,
  readers,
  readPortNumber,
  readTime,
  times,
  type ConfigArguments,
} from './configKeywords.js';
import { readConfigLine, type ConfigLine } from './configLine.js';
import { matchConfig } from './configMatch.js';
import { canonicalAddress, matchesList, matchesPattern } from './configPattern.js';
import { connectionTokens, expandFile, expandHome, expandTokens, type TokenFacts } from './configTokens.js';
import type { ValueSource } from './explanation.js';
import {
  forwardKindOf,
  parseConfigForward,
  printConfigForward,
  printSpec,
  type Endpoint,
  type ForwardSpec,
  type Listen,
} from './forwardSpec.js';
import { parseHostAddress } from './hostAddress.js';
import { unseen } from './printable.js';
import type { LocalUser, Options } from './sshConfig.js';

/** A file as ssh finds it. `isOpen`: others than the user and root can write to it. */
export type ConfigText =
  { kind: 'text'; text: string; isOpen: boolean } | { kind: 'missing' } | { kind: 'unreadable'; reason: string };

/** All of this machine that counts. */
export interface ConfigWorld {
  read(path: string): Promise<ConfigText>;
  /** The paths that a pattern of the shell matches, in their order. */
  glob(pattern: string): Promise<readonly string[]>;
  /** Whether the command ends well; absent: no program is to be run, and a `Match exec` does not match. */
  run?(command: string): Promise<boolean>;
  /** Of this machine's interfaces, for `Match localnetwork`. */
  addresses(): readonly string[];
  /**
   * Looks a name up, for CanonicalizeHostname; `canonical` is the name that its CNAMEs lead to. Absent: names stay as
   * they are.
   */
  lookUp?(name: string): Promise<{ canonical?: string } | undefined>;
  /** Lets others have their turn, where that is due: a file may have very many lines. */
  pause?(): Promise<void> | undefined;
  user: LocalUser;
}

export interface ConfigQuery {
  /** As typed. */
  host: string;
  /** `-F`; `none` reads no file. */
  configFile?: string;
  /** `-o`, in order; the value of IdentityFile is a path as it is, as `-i` takes it. */
  options: readonly (readonly [keyword: string, value: string])[];
}

export interface ResolvedConfig {
  /** As `ssh -G` prints them, in its order; `words` of which a value is made, where they may have blanks in them. */
  lines: readonly { keyword: string; value: string; source: ValueSource; words?: readonly string[] }[];
  /** The forwards in the order in which they were written, the tokens in the paths of sockets as written. */
  forwards: readonly { spec: ForwardSpec; source: ValueSource }[];
  /** Every file that was read, with those that are not there and would be read. */
  files: readonly string[];
  /** Every line with a `Match exec`, or for which ssh might read one that is not seen here; it may not count for the host. */
  programs: readonly Origin[];
}

/** A config that ssh would refuse, in its words: `file line N: ...`; the `detail` is what stands behind that place. */
export class ConfigError extends Error {
  readonly detail: string;
  /** What had been read so far: one of them has to change. */
  files: readonly string[] = [];
  constructor(
    message: string,
    readonly origin?: Origin,
    detail?: string,
  ) {
    super(message);
    this.detail = detail ?? message;
  }
}

/** ssh's own bounds. */
const deepestInclude = 16;
const mostFiles = 32;
const mostIdentities = 100;
/** Ours: files that include each other twice over would be read for ever. */
const mostReads = 4096;

const canonicalDefaults = [
  ['canonicalizemaxdots', '1'],
  ['canonicalizefallbacklocal', 'yes'],
  ['canonicalizehostname', 'false'],
] as const;

interface Stored {
  text: string;
  words?: readonly string[];
  source: ValueSource;
}

interface State {
  /** As typed, and what it has become. */
  original: string;
  host: string;
  isFinal: boolean;
  wantsFinal: boolean;
  values: Map<string, Stored>;
  lists: Map<string, Stored[]>;
  /** By their specs as printed. */
  forwards: Map<string, { spec: ForwardSpec; source: ValueSource }>;
  jump?: { host: string; user?: string; port?: number; extra?: string; source: ValueSource };
  files: Set<string>;
  programs: Map<string, Origin>;
  reads: number;
  world: ConfigWorld;
}

interface Place {
  /** Absent: the command line. */
  origin?: Origin;
  isUsers: boolean;
  /** In a block that does not match: lines are read for their errors only, and nothing in it can match. */
  never: boolean;
  depth: number;
}

/** Resolves the config of a host; rejects with a ConfigError for what ssh refuses. */
export async function resolveConfig(query: ConfigQuery, world: ConfigWorld): Promise<ResolvedConfig> {
  const state = createState(query.host, world);
  try {
    return await resolve(state, query);
  } catch (error) {
    if (error instanceof ConfigError) error.files = [...state.files];
    throw error;
  }
}

function createState(host: string, world: ConfigWorld): State {
  return {
    original: host,
    host,
    isFinal: false,
    wantsFinal: false,
    values: new Map(),
    lists: new Map(),
    forwards: new Map(),
    files: new Set(),
    programs: new Map(),
    reads: 0,
    world,
  };
}

async function resolve(state: State, query: ConfigQuery): Promise<ResolvedConfig> {
  const commandLine: Place = { isUsers: true, never: false, depth: 0 };
  for (const [keyword, value] of query.options) {
    if (keyword.toLowerCase() === 'identityfile') addFile(state, 'identityfile', value, commandLine);
    else {
      const line = readConfigLine(`${keyword}=${value}`);
      if (line) await takeLine(state, line, commandLine, { matches: true });
    }
  }
  await readFiles(state, query.configFile);
  // What canonical names depend on can't change when the files are read again.
  for (const [keyword, text] of canonicalDefaults)
    if (!state.values.has(keyword)) state.values.set(keyword, { text, source: { kind: 'default' } });
  const written = state.values.get('hostname');
  if (written) state.host = expanded(() => expandTokens(written.text, { '%': '%', h: state.host }));
  const address = canonicalAddress(state.host);
  if (address === undefined) state.host = state.host.toLowerCase();
  // An address keeps the letters that it was written in.
  const isSame = address?.toLowerCase() === state.host.toLowerCase();
  const canonicalized = address === undefined ? await canonicalize(state) : isSame ? state.host : address;
  const isEnabled = (state.values.get('canonicalizehostname')?.text ?? 'false') !== 'false';
  if (written && canonicalized === undefined && state.host !== written.text)
    state.values.set('hostname', { ...written, text: state.host });
  if (canonicalized !== undefined) state.host = canonicalized;
  if (state.wantsFinal || isEnabled) {
    state.isFinal = true;
    state.values.set('hostname', { text: state.host, source: written?.source ?? { kind: 'default' } });
    await readFiles(state, query.configFile);
  }
  return finish(state, written?.source ?? { kind: 'default' });
}

/** The lines as `Options`, as parseOptionLines makes them of what `ssh -G` prints, but for quotes around what has a blank. */
export function optionsOf({ lines }: Pick<ResolvedConfig, 'lines'>): Options {
  const options = new Map<string, string[]>();
  for (const { keyword, value, words } of lines) {
    // A path with a blank would read as two.
    const text = words?.some((word) => /\s/.test(word)) ? words.map((word) => `"${word}"`).join(' ') : value;
    const values = options.get(keyword.toLowerCase()) ?? [];
    values.push(text);
    options.set(keyword.toLowerCase(), values);
  }
  return options;
}

/** The lines as `ssh -G` prints them. */
export function printConfigLines({ lines }: Pick<ResolvedConfig, 'lines'>): string {
  return lines.map(({ keyword, value }) => `${keyword} ${value}\n`).join('');
}

/** The system's file, and the folder from which it includes. */
function systemConfig({ windows, env }: LocalUser): { file: string; folder: string } {
  const folder = windows ? `${env['ProgramData'] ?? 'C:\\ProgramData'}\\ssh` : '/etc/ssh';
  return { file: `${folder}${windows ? '\\' : '/'}ssh_config`, folder };
}

/** The user's file, and the folder from which it includes. */
export function userConfig({ windows, home }: LocalUser): { file: string; folder: string } {
  const separator = windows ? '\\' : '/';
  const folder = `${home}${separator}.ssh`;
  return { file: `${folder}${separator}config`, folder };
}

async function readFiles(state: State, configFile: string | undefined): Promise<void> {
  const { user } = state.world;
  const top = (isUsers: boolean): Omit<Place, 'origin'> => ({ isUsers, never: false, depth: 0 });
  if (configFile !== undefined) {
    if (configFile.toLowerCase() === 'none') return;
    const problem = await readFile(state, configFile, top(true), false);
    if (problem !== undefined) throw new ConfigError(`Can't open user config file ${configFile}: ${problem}`);
    return;
  }
  await readFile(state, userConfig(user).file, top(true), true);
  await readFile(state, systemConfig(user).file, top(false), false);
}

/** Reads a file's lines; gives the reason where it can't be read. */
async function readFile(
  state: State,
  file: string,
  place: Omit<Place, 'origin'>,
  isChecked: boolean,
  active = { matches: true },
): Promise<string | undefined> {
  if (place.depth > deepestInclude || ++state.reads > mostReads)
    throw new ConfigError('Too many recursive configuration includes');
  state.files.add(file);
  const found = await state.world.read(file);
  if (found.kind === 'missing') return 'No such file or directory';
  if (found.kind === 'unreadable') return found.reason;
  if (isChecked && found.isOpen) throw new ConfigError(`Bad owner or permissions on ${file}`);
  const { lines, always, named } = await blocksOf(found, file, state.world);
  const own = named.get(state.host);
  const blocks = own ? [...always, ...own].sort((a, b) => a.from - b.from) : always;
  for (const { from, to, isSound, patterns } of blocks) {
    if (isSound && patterns && !isInHostLine(state.host, patterns)) continue;
    for (let at = from; at < to; at++) {
      const line = lines[at];
      if (line) await takeLine(state, line, { ...place, origin: { file, line: at + 1 } }, active);
      if (isSound && !active.matches) break;
    }
  }
  return undefined;
}

/** The lines from a Host or Match to the next one, or those before the first. */
interface Block {
  from: number;
  to: number;
  /** There is nothing in it, but for its first line, that bears on a host which it does not match. */
  isSound: boolean;
  /** Of its Host line, if that is no error. */
  patterns?: readonly string[];
}

/** A file taken apart so that a host, of which there may be a thousand, needs to look at what may be for it alone. */
interface ConfigBlocks {
  lines: readonly (ConfigLine | undefined)[];
  /** What each host has to look at, in its order. */
  always: readonly Block[];
  /** The others, by the names in their Host lines. */
  named: ReadonlyMap<string, readonly Block[]>;
}

const takenApart = new WeakMap<ConfigText, Promise<ConfigBlocks>>();

/** A text that is handed out again, for the next host, is taken apart once. */
function blocksOf(found: ConfigText & { kind: 'text' }, file: string, world: ConfigWorld): Promise<ConfigBlocks> {
  const blocks = takenApart.get(found) ?? takeApart(found.text, file, world);
  takenApart.set(found, blocks);
  return blocks;
}

async function takeApart(text: string, file: string, world: ConfigWorld): Promise<ConfigBlocks> {
  const lines: (ConfigLine | undefined)[] = [];
  const blocks: Block[] = [{ from: 0, to: 0, isSound: true }];
  const state = createState('', world);
  for (const written of text.split('\n')) {
    await world.pause?.();
    const at = lines.length;
    const line = readConfigLine(written);
    lines.push(line);
    if (isHead(line) && at > 0) blocks.push({ from: at, to: at, isSound: true });
    const block = blocks.at(-1)!;
    block.to = at + 1;
    if (line && !isHead(line)) block.isSound &&= await isSound(state, line, file, at + 1);
  }
  const always: Block[] = [];
  const named = new Map<string, Block[]>();
  for (const block of blocks) {
    const head = lines[block.from];
    if (head?.keyword === 'host' && head.words?.length && !head.words.includes('')) block.patterns = head.words;
    const names = block.isSound ? block.patterns : undefined;
    if (!names || names.some((name) => /[*?!]/.test(name))) always.push(block);
    else
      for (const name of new Set(names)) {
        const known = named.get(name) ?? [];
        known.push(block);
        named.set(name, known);
      }
  }
  return { lines, always, named };
}

function isHead(line: ConfigLine | undefined): boolean {
  return line?.keyword === 'host' || line?.keyword === 'match';
}

/** What counts in a block that does not match, or depends on more than the line. */
const everywhere = new Set(['host', 'match', 'include', 'streamlocalbindmask', 'syslogfacility']);

async function isSound(state: State, line: ConfigLine, file: string, number: number): Promise<boolean> {
  const keyword = keywordOf(line);
  if (!isKeyword(keyword) || everywhere.has(keyword)) return false;
  const place = { isUsers: true, never: true, depth: 0, origin: { file, line: number } };
  try {
    await takeLine(state, line, place, { matches: false });
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** Reads a line; throws a ConfigError that names it. `active` tells whether it counts, which `Host` and `Match` change. */
async function takeLine(state: State, line: ConfigLine, place: Place, active: { matches: boolean }): Promise<void> {
  const { origin } = place;
  const where = origin ? `${origin.file} line ${origin.line}` : 'command-line line 0';
  try {
    if (line.rest === '') throw new LineProblem(`no argument after keyword "${line.keyword}"`);
    const keyword = keywordOf(line);
    const isKnown = isKeyword(keyword);
    const isApples = keyword === 'usekeychain' && state.world.user.mac === true;
    if (!isKnown && !isApples && !matchesList(keyword, state.values.get('ignoreunknown')?.text.toLowerCase() ?? '')) {
      const colon = origin ? `${origin.file}: line ${origin.line}` : 'command-line: line 0';
      const mark = line.keyword.startsWith('\ufeff') ? ' (the file begins with a byte order mark; save it without one)' : ''; // prettier-ignore
      const detail = `Bad configuration option: ${visible(line.keyword)}${mark}`;
      throw new ConfigError(`${colon}: ${detail}`, origin, detail);
    }
    if (!line.words) throw new LineProblem('invalid quotes');
    if (isApples) return;
    if (isKnown && !idle.has(keyword)) await takeValue(state, { ...line, keyword }, line.words, place, active);
  } catch (error) {
    if (!(error instanceof LineProblem)) throw error;
    const detail = visible(error.message);
    throw new ConfigError(`${where}: ${detail}`, origin, detail);
  }
}

const special = new Set(['host', 'match', 'include', 'identityfile', 'certificatefile', 'sendenv', 'setenv', 'proxycommand', 'proxyjump',
  'globalknownhostsfile', 'userknownhostsfile', 'canonicaldomains', 'canonicalizepermittedcnames', 'logverbose',
  'permitremoteopen', 'forwardagent', 'rekeylimit', 'streamlocalbindmask', 'syslogfacility', 'refuseconnection',
  'localforward', 'remoteforward', 'dynamicforward']); // prettier-ignore

/** A message in which what nobody would see stands in octal, as in ssh's. */
function visible(message: string): string {
  const octal = (marks: string) => [...Buffer.from(marks)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join(''); // prettier-ignore
  return message.replace(new RegExp(unseen.source, 'gu'), octal);
}

function keywordOf({ keyword }: ConfigLine): string {
  return Object.hasOwn(aliases, keyword) ? aliases[keyword]! : keyword;
}

function isKeyword(keyword: string): boolean {
  return special.has(keyword) || idle.has(keyword) || Object.hasOwn(readers, keyword);
}

async function takeValue(
  state: State,
  line: ConfigLine,
  words: readonly string[],
  place: Place,
  active: { matches: boolean },
): Promise<void> {
  const { keyword, rest } = line;
  const source: ValueSource = place.origin ? { kind: 'file', origin: place.origin } : { kind: 'given' };
  const left = [...words];
  const next = () => left.shift();
  const counts = active.matches;
  const setOnce = (name: string, text: string, values?: readonly string[]) => {
    if (counts && !state.values.has(name)) state.values.set(name, { text, source, ...(values && { words: values }) });
  };
  const setList = (what: string, most: number, check: (word: string) => string = (word) => word) => {
    const list = readList(keyword, left.splice(0)).map(check);
    if (counts && list.length > most && !state.values.has(keyword)) throw new LineProblem(`too many ${what}.`);
    if (list.length > 0) setOnce(keyword, list.join(' '), list);
  };
  const command = () => {
    left.length = 0;
    return rest.replace(/^[ \t\r\n=]+/, '');
  };
  const kind = forwardKindOf(keyword);
  switch (keyword) {
    case 'host':
      active.matches = matchHost(state, left.splice(0), place);
      return;
    case 'match': {
      if (!place.origin) throw new LineProblem('Host directive not supported as a command-line option');
      const found = await matchConfig(rest, matchFacts(state, place.origin));
      active.matches = found.matches && !place.never;
      if (found.rest === '') left.length = 0;
      break;
    }
    case 'include':
      await include(state, left.splice(0), place, counts);
      return;
    case 'identityfile':
    case 'certificatefile': {
      const file = next();
      if (!file) throw new LineProblem('Missing argument.');
      if (counts) addFile(state, keyword, file, place);
      break;
    }
    case 'sendenv':
      for (const name of left.splice(0)) {
        if (name === '' || name.includes('=')) throw new LineProblem('Invalid environment name.');
        if (!counts) continue;
        const list = state.lists.get(keyword) ?? [];
        if (name.startsWith('-'))
          state.lists.set(keyword, list.filter(({ text }) => !matchesPattern(text, name.slice(1)))); // prettier-ignore
        else state.lists.set(keyword, list);
        if (!name.startsWith('-')) list.push({ text: name, source });
      }
      return;
    case 'setenv': {
      const settings = new Map<string, string>();
      for (const setting of left.splice(0)) {
        if (!setting.includes('=')) throw new LineProblem('Invalid SetEnv.');
        const name = setting.slice(0, setting.indexOf('='));
        if (!settings.has(name)) settings.set(name, setting);
      }
      const list = [...settings.values()].map((text) => ({ text, source }));
      if (counts && list.length > 0 && !state.lists.has(keyword)) state.lists.set(keyword, list);
      return;
    }
    case 'proxycommand': {
      const text = command();
      if (!state.jump || isNoJump(state.jump)) setOnce(keyword, text);
      return;
    }
    case 'proxyjump':
      takeJump(state, command(), counts, source);
      return;
    case 'globalknownhostsfile':
    case 'userknownhostsfile':
      return setList(`${keyword} entries`, mostFiles);
    case 'canonicaldomains':
      return setList('hostname suffixes', mostFiles, (domain) => {
        const problem = /^none$/i.test(domain) ? undefined : domainProblem(domain);
        if (problem) throw new LineProblem(problem);
        return domain.toLowerCase();
      });
    case 'canonicalizepermittedcnames':
      return setList('permitted CNAMEs', mostFiles, (rule) => {
        if (/^none$/i.test(rule)) return 'none';
        if (rule === '*') return '*:*';
        const [from, to] = rule.toLowerCase().split(/:(.*)/s);
        if (!to) throw new LineProblem(`Invalid permitted CNAME "${rule.toLowerCase()}"`);
        return `${from!}:${to}`;
      });
    case 'logverbose': {
      const list = readList(keyword, left.splice(0));
      if (list[0] !== undefined) setOnce(keyword, list[0]);
      return;
    }
    case 'permitremoteopen': {
      if (!words[0]) throw new LineProblem('missing permitremoteopen specification');
      if (words[0] === 'any' || words[0] === 'none') {
        setOnce(keyword, next()!);
        break;
      }
      for (const target of left.splice(0)) {
        const [, host, port] = /^(\[[^\]]*\]|[^:]*):(.*)$/s.exec(target) ?? [];
        if (host === undefined || port === undefined || (port !== '*' && readPortNumber(port) === undefined))
          throw new LineProblem(`bad port number in permitremoteopen`);
      }
      setOnce(keyword, words.join(' '), words);
      return;
    }
    case 'forwardagent': {
      const word = next();
      if (!word) throw new LineProblem('missing argument.');
      const isFlag = /^(yes|true|no|false)$/i.test(word);
      setOnce(keyword, isFlag ? (/^[yt]/i.test(word) ? 'yes' : 'no') : 'yes');
      if (!isFlag) setOnce('forwardagent path', readAgentPath(word, state.world.user));
      break;
    }
    case 'rekeylimit': {
      const word = next();
      if (!word) throw new LineProblem('Missing argument.');
      setOnce(keyword, String(readSize(word)));
      if (left[0] === 'none') next();
      else if (left.length > 0) {
        const seconds = readTime(next()!);
        if (seconds === undefined) throw new LineProblem('invalid time value.');
        setOnce('rekeylimit interval', String(seconds));
      }
      break;
    }
    case 'streamlocalbindmask': {
      const word = next();
      if (!word) throw new LineProblem('Missing StreamLocalBindMask argument.');
      const octal = /^[ \t-\r]*\+?([0-7]+)/.exec(word)?.[1];
      if (octal === undefined || parseInt(octal, 8) > 0o777) throw new LineProblem('Bad mask.');
      // OpenSSH takes the last one, and that of a block which does not match, too.
      state.values.set(keyword, { text: `0${parseInt(octal, 8).toString(8)}`, source });
      break;
    }
    case 'syslogfacility': {
      const word = next();
      const facility = word?.toUpperCase() ?? '';
      if (!/^(DAEMON|USER|AUTH|AUTHPRIV|LOCAL[0-7])$/.test(facility))
        throw new LineProblem(`unsupported log facility '${word ?? '<NONE>'}'`);
      if (!state.values.has(keyword)) state.values.set(keyword, { text: facility, source });
      break;
    }
    case 'refuseconnection': {
      const reason = next();
      if (!reason) throw new LineProblem('Missing argument.');
      if (counts) throw new LineProblem(`RefuseConnection: ${reason}`);
      break;
    }
    default: {
      if (kind) {
        const spec = readForward(kind, words, rest, state.world.user);
        left.splice(0, kind === 'dynamic' ? 1 : 2);
        if (counts && left.length === 0) addForward(state, spec, source);
        break;
      }
      const text = readers[keyword]!({
        next,
        isEmpty: () => left.length === 0,
        command,
        local: state.world.user,
      } satisfies ConfigArguments);
      // To OpenSSH no time is one that was not set.
      if (text !== 'none' || !times.has(keyword)) setOnce(keyword, text);
    }
  }
  if (left.length > 0) throw new LineProblem(`keyword ${line.keyword} extra arguments at end of line`);
}

/** Words of which `none` stands alone. */
function readList(keyword: string, words: readonly string[]): string[] {
  return words.map((word) => {
    if (word === '') throw new LineProblem(`keyword ${keyword} empty argument`);
    if (/^none$/i.test(word) && words.length > 1)
      throw new LineProblem(`keyword ${keyword} "none" argument must appear alone.`);
    return keyword !== 'logverbose' && /^none$/i.test(word) ? 'none' : word;
  });
}

function readForward(
  kind: ForwardSpec['kind'],
  words: readonly string[],
  rest: string,
  { env }: LocalUser,
): ForwardSpec {
  if (!words[0]) throw new LineProblem('Missing argument.');
  if (kind === 'local' && !words[1]) throw new LineProblem('Missing target argument.');
  const isTooLong = words.length > (kind === 'dynamic' ? 1 : 2);
  const read = parseConfigForward(kind, rest, env);
  if (read.ok) return read.spec;
  throw new LineProblem(
    isTooLong ? `keyword ${kind}forward extra arguments at end of line` : 'Bad forwarding specification.',
  );
}

function addForward(state: State, spec: ForwardSpec, source: ValueSource): void {
  const key = printSpec(spec);
  if (!state.forwards.has(key)) state.forwards.set(key, { spec, source });
}

function addFile(state: State, keyword: string, file: string, { isUsers, origin }: Place): void {
  const list = state.lists.get(keyword) ?? [];
  const what = keyword === 'identityfile' ? 'identity files' : 'certificate files';
  if (list.length >= mostIdentities) throw new LineProblem(`Too many ${what} specified (max ${mostIdentities}).`);
  const mark = isUsers ? 'user' : 'system';
  if (list.some((known) => known.text === file && known.words?.[0] === mark)) return;
  const source: ValueSource = origin ? { kind: 'file', origin } : { kind: 'given' };
  state.lists.set(keyword, [...list, { text: file, words: [mark], source }]);
}

/** Whichever of ProxyJump and ProxyCommand comes first counts. */
function takeJump(state: State, text: string, counts: boolean, source: ValueSource): void {
  const isNone = text.toLowerCase() === 'none';
  const list = text.split('#', 1)[0]!.trimEnd();
  const hops = isNone ? [] : list.split(',').map(readHop);
  if (hops.includes(undefined)) throw new LineProblem(`Invalid ProxyJump "${text}"`);
  if (!counts || state.jump || state.values.has('proxycommand')) return;
  const comma = text.lastIndexOf(',');
  state.jump = {
    ...(hops.at(-1) ?? { host: 'none' }),
    ...(comma > 0 && { extra: text.slice(0, comma) }),
    source,
  };
}

function readHop(text: string) {
  // A blank is part of a name, and an IPv6 address needs its brackets; a URI has none for it.
  if (/\s/.test(text) || (/^ssh:\/\//i.test(text) && text.includes('['))) return undefined;
  const read = parseHostAddress(text);
  if (!read.ok || /[/]/.test(read.address.host)) return undefined;
  return read.address.host.includes(':') && !text.includes('[') ? undefined : read.address;
}

/** As scan_scaled(3) reads it: `1.5G`. */
function readSize(word: string): bigint {
  if (word === 'default') return 0n;
  const [, number, fraction = '', scale = ''] = /^[ \t-\r]*\+?(\d{1,18})(?:\.(\d*))?([bkmgtpe]?)$/i.exec(word) ?? [];
  if (number === undefined) throw new LineProblem(`Bad number '${word}': Invalid argument`);
  const factor = 1024n ** BigInt('bkmgtpe'.indexOf(scale.toLowerCase() || 'b'));
  const digits = fraction.slice(0, 15);
  const size = BigInt(number) * factor + (BigInt(digits || '0') * factor) / 10n ** BigInt(digits.length);
  if (size >= 2n ** 63n) throw new LineProblem(`Bad number '${word}': Numerical result out of range`);
  if (size !== 0n && size < 16n) throw new LineProblem('RekeyLimit too small');
  return size;
}

function domainProblem(domain: string): string | undefined {
  if (!/^[a-z0-9]/i.test(domain)) return `domain name "${domain}" starts with invalid character`;
  if (/[^a-z0-9.\-_]/i.test(domain)) return `domain name "${domain}" contains invalid characters`;
  return domain.includes('..') ? `domain name "${domain}" contains consecutive separators` : undefined;
}

function matchHost(state: State, patterns: readonly string[], { origin, never }: Place): boolean {
  if (!origin) throw new LineProblem('Host directive not supported as a command-line option');
  return isInHostLine(state.host, never ? patterns.slice(0, 1) : patterns) && !never;
}

/** Throws a LineProblem for an empty pattern. */
function isInHostLine(host: string, patterns: readonly string[]): boolean {
  let isIn = false;
  for (const pattern of patterns) {
    if (pattern === '') throw new LineProblem('keyword host empty argument');
    const isNegated = pattern.startsWith('!');
    if (!matchesPattern(host, pattern.slice(isNegated ? 1 : 0))) continue;
    if (isNegated) return false;
    isIn = true;
  }
  return isIn;
}

function matchFacts(state: State, origin: Origin) {
  const { values, world, isFinal, original } = state;
  const host = values.get('hostname')?.text;
  return {
    // In the last pass it is expanded already.
    hostName:
      host === undefined || isFinal
        ? (host ?? state.host)
        : expanded(() => expandTokens(host, { '%': '%', h: state.host }), origin),
    original,
    user: values.get('user')?.text ?? world.user.name,
    tag: values.get('tag')?.text ?? '',
    isFinal,
    wantFinal: () => (state.wantsFinal = true),
    addresses: () => world.addresses(),
    localUser: world.user,
    expand: (command: string, hostName: string): string => {
      addProgram(state, origin);
      const facts = { ...tokenFacts(state, hostName), hostKeyAlias: values.get('hostkeyalias')?.text ?? hostName };
      return expanded(() => expandTokens(command, connectionTokens(facts, world.user)), origin);
    },
    run: async (command: string): Promise<boolean | undefined> => world.run?.(command),
  };
}

function addProgram({ programs }: State, origin: Origin): void {
  programs.set(`${origin.file}:${origin.line}`, origin);
}

function tokenFacts(state: State, hostName: string): TokenFacts {
  const { values, jump, world, original } = state;
  const hostKeyAlias = values.get('hostkeyalias');
  return {
    original,
    hostName,
    port: Number(values.get('port')?.text ?? 22),
    user: values.get('user')?.text ?? world.user.name,
    ...(hostKeyAlias && { hostKeyAlias: lowerAscii(hostKeyAlias.text) }),
    jump: jump && !isNoJump(jump) ? jump.host : '',
  };
}

async function include(state: State, paths: readonly string[], place: Place, counts: boolean): Promise<void> {
  const { origin, isUsers, never, depth } = place;
  const { user } = state.world;
  if (!origin) throw new LineProblem('Include directive not supported as a command-line option');
  for (const path of paths) {
    if (path === '') throw new LineProblem('keyword include empty argument');
    if (path.startsWith('~') && !isUsers) throw new LineProblem(`bad include path ${path}.`);
    const pattern = includePattern(path, isUsers, user);
    // What only ssh finds: another user's home, classes of characters, and what newer ones expand in a path.
    if (pattern.startsWith('~') || /\[[:.=]|[%$]/.test(pattern)) addProgram(state, origin);
    const files = await state.world.glob(pattern);
    // What may come to be there is to be watched.
    if (files.length === 0) state.files.add(pattern);
    for (const file of files) {
      const within = { isUsers, never: never || !counts, depth: depth + 1 };
      // A Host or Match in it ends with it.
      const problem = await readFile(state, file, within, true, { matches: counts });
      if (problem !== undefined && problem !== 'No such file or directory')
        throw new LineProblem(`Can't open user config file ${file}: ${problem}`);
    }
  }
}

/** What the path of an Include stands for, as a pattern of the shell. */
function includePattern(path: string, isUsers: boolean, user: LocalUser): string {
  const { folder } = isUsers ? userConfig(user) : systemConfig(user);
  const isAbsolute = path.startsWith('/') || (user.windows && /^([a-z]:)?[\\/]/i.test(path));
  return isAbsolute ? path : path.startsWith('~') ? expandHome(path, user) : `${folder}/${path}`;
}

export interface ConfigHosts {
  /** In the order written, each once. */
  hosts: readonly string[];
  /** Whether there is a forward for any of them. */
  hasForwards: boolean;
  /** What was read; an Include's pattern that matches no file stands for itself. */
  files: readonly string[];
}

/** The names in `Host` lines that are no patterns, with those of included files. A file that can't be read has none. */
export async function listConfigHosts(configFile: string | undefined, world: ConfigWorld): Promise<ConfigHosts> {
  const hosts = new Set<string>();
  const files = new Set<string>();
  let hasForwards = false;
  const list = async (file: string, depth: number): Promise<void> => {
    if (files.has(file) || depth > deepestInclude) return;
    files.add(file);
    const found = await world.read(file);
    if (found.kind !== 'text') return;
    const included: string[] = [];
    for (const line of (await blocksOf(found, file, world)).lines) {
      if (!line) continue;
      if (forwardKindOf(line.keyword)) hasForwards = true;
      if (line.keyword === 'host') for (const name of line.words ?? []) if (isHostName(name)) hosts.add(name);
      if (line.keyword === 'include') included.push(...(line.words ?? []));
    }
    // Behind the file's own, which its user has written here: some programs put an Include of theirs on top.
    for (const path of included) {
      const pattern = includePattern(path, true, world.user);
      const names = path === '' ? [] : await world.glob(pattern);
      if (names.length === 0) files.add(pattern);
      for (const name of names) await list(name, depth + 1);
    }
  };
  if (configFile?.toLowerCase() !== 'none') await list(configFile ?? userConfig(world.user).file, 0);
  return { hosts: [...hosts], hasForwards, files: [...files] };
}

/** The name that CanonicalizeHostname makes of the host; `undefined`: it stays. */
async function canonicalize(state: State): Promise<string | undefined> {
  const value = (keyword: string, standard: string) => state.values.get(keyword)?.text ?? standard;
  const mode = value('canonicalizehostname', 'false');
  const isDirect = !state.jump && /^none$/i.test(value('proxycommand', 'none'));
  const rules = (state.values.get('canonicalizepermittedcnames')?.words ?? []).filter((rule) => rule !== 'none');
  const follow = (name: string, canonical: string | undefined) => {
    const isFollowed = rules.some((rule) => {
      const [from, to] = rule.split(/:(.*)/s);
      return matchesList(name.toLowerCase(), from!) && matchesList(canonical?.toLowerCase() ?? '', to ?? '');
    });
    return canonical !== undefined && isFollowed ? canonical : name;
  };
  const { host, world } = state;
  if (!world.lookUp || mode === 'false' || (!isDirect && mode !== 'always')) return undefined;
  const isAnchored = host.endsWith('.');
  const isShort = host.split('.').length - 1 <= Number(value('canonicalizemaxdots', '1'));
  if (isAnchored || isShort) {
    const domains = (state.values.get('canonicaldomains')?.words ?? []).filter((domain) => !/^none$/i.test(domain));
    for (const name of isAnchored ? [host] : domains.map((domain) => `${host}.${domain}.`)) {
      const found = await world.lookUp(name);
      if (found) return follow(name.slice(0, -1), found.canonical?.replace(/\.$/, ''));
    }
    if (value('canonicalizefallbacklocal', 'yes') === 'no')
      throw new ConfigError(`ssh: Could not resolve host "${host}"`);
  }
  // By the system's own search, where a name that it leads to may be taken.
  const found = rules.length > 0 ? await world.lookUp(host) : undefined;
  return found && follow(host, found.canonical?.replace(/\.$/, ''));
}

/** Runs an expansion; what it can't expand is an error of the config. */
function expanded<T>(expand: () => T, origin?: Origin): T {
  try {
    return expand();
  } catch (error) {
    throw new ConfigError((error as Error).message, origin);
  }
}

/** As ssh does it, in its C locale. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function isNoJump({ host, user, port }: NonNullable<State['jump']>): boolean {
  return host === 'none' && user === undefined && port === undefined;
}

function finish(state: State, hostSource: ValueSource): ResolvedConfig {
  const { values, lists, world, jump } = state;
  const standard: ValueSource = { kind: 'default' };
  const facts = tokenFacts(state, state.host);
  const tokens = connectionTokens(facts, world.user);
  const originOf = (source: ValueSource) => (source.kind === 'file' ? source.origin : undefined);
  const put = (keyword: string, next: (text: string) => string) => {
    const stored = values.get(keyword);
    if (stored) values.set(keyword, { ...stored, text: expanded(() => next(stored.text), originOf(stored.source)) });
  };
  const asFile = (text: string) => expandFile(text, tokens, world.user);
  const isCleared = (keyword: string) => clearable.has(keyword) && /^none$/i.test(values.get(keyword)?.text ?? '');
  const cleared = new Set([...values.keys()].filter(isCleared));
  for (const keyword of cleared) values.delete(keyword);
  for (const keyword of ['controlpath', 'identityagent', 'forwardagent path']) put(keyword, asFile);
  put('remotecommand', (text) => expandTokens(text, tokens));
  put('hostkeyalias', lowerAscii);
  if ((values.get('connectionattempts')?.text ?? '1') === '0')
    throw new ConfigError('Invalid number of ConnectionAttempts', originOf(values.get('connectionattempts')!.source));
  const userFiles = values.get('userknownhostsfile')?.words;
  if (!values.has('updatehostkeys') && !updatesHostKeys(userFiles, values.get('verifyhostkeydns')?.text))
    values.set('updatehostkeys', { text: 'false', source: standard });
  if (values.get('updatehostkeys')?.text === 'ask' && values.has('remotecommand'))
    values.set('updatehostkeys', { ...values.get('updatehostkeys')!, text: 'false' });
  const knownHosts = values.get('userknownhostsfile');
  if (knownHosts) {
    const words = expanded(() => userFiles!.map(asFile), originOf(knownHosts.source));
    values.set('userknownhostsfile', { ...knownHosts, words, text: words.join(' ') });
  }
  const forwards = values.get('clearallforwardings')?.text === 'yes' ? [] : [...state.forwards.values()];
  const printed = forwards.map(({ spec, source }) => {
    const socket = (path: string) => expanded(() => expandTokens(path, tokens), originOf(source));
    return { spec: withPaths(spec, socket), source };
  });
  const line = (keyword: string, { text, source, words }: Stored) => ({
    keyword,
    value: text,
    source,
    ...(words && keyword.endsWith('knownhostsfile') && { words }),
  });
  const lines = printedKeywords.flatMap(([keyword, otherwise]) => {
    const stored = values.get(keyword.toLowerCase());
    const list = lists.get(keyword);
    switch (keyword) {
      case 'host':
        return line(keyword, { text: state.original, source: standard });
      case 'hostname':
        return line(keyword, { text: state.host, source: hostSource });
      case 'user':
        return line(keyword, stored ?? { text: world.user.name, source: standard });
      case 'identityfile':
        return (list ?? defaultIdentities.map((text) => ({ text, source: standard }))).map((one) => line(keyword, one));
      case 'globalknownhostsfile':
      case 'userknownhostsfile':
        return line(keyword, stored ?? { ...knownHostsFiles(keyword, world.user), source: standard });
      case 'serveraliveinterval':
        if (stored) break;
        return line(keyword, { text: values.get('batchmode')?.text === 'yes' ? '300' : '0', source: standard });
      case 'forwardagent':
        if (!values.has('forwardagent path')) break;
        return line(keyword, values.get('forwardagent path')!);
      case 'rekeylimit': {
        const interval = values.get('rekeylimit interval');
        const text = `${stored?.text ?? '0'} ${interval?.text ?? '0'}`;
        return line(keyword, { text, source: stored?.source ?? standard });
      }
      case 'proxyjump':
        return jump && !isNoJump(jump) ? line(keyword, { text: printJump(jump), source: jump.source }) : [];
      case 'proxycommand':
        if (jump && !isNoJump(jump)) return [];
        break;
      case 'dynamicforward':
      case 'localforward':
      case 'remoteforward':
        return printed
          .filter(({ spec }) => `${spec.kind}forward` === keyword)
          .map(({ spec, source }) =>
            line(keyword, { text: printConfigForward(spec).slice(keyword.length + 1), source }),
          );
    }
    if (Object.hasOwn(algorithmKinds, keyword)) {
      const names = assembleAlgorithms(keyword, stored?.text);
      if (!names) throw new ConfigError(`${keyword}: no algorithm is left`, stored && originOf(stored.source));
      return line(keyword, { text: names.join(','), source: stored?.source ?? standard });
    }
    if (list) return list.map((one) => line(keyword, one));
    if (stored) return line(keyword, stored);
    return otherwise === undefined || cleared.has(keyword) ? [] : line(keyword, { text: otherwise, source: standard });
  });
  return { lines, forwards, files: [...state.files], programs: [...state.programs.values()] };
}

const defaultIdentities = ['rsa', 'ecdsa', 'ecdsa_sk', 'ed25519', 'ed25519_sk', 'xmss', 'dsa'].map((type) => `~/.ssh/id_${type}`); // prettier-ignore

function knownHostsFiles(keyword: string, local: LocalUser): Omit<Stored, 'source'> {
  const folder = keyword.startsWith('user') ? userConfig(local).folder : systemConfig(local).folder;
  const name = keyword.startsWith('user') ? 'known_hosts' : 'ssh_known_hosts';
  const words = [`${folder}/${name}`, `${folder}/${name}2`];
  return { words, text: words.join(' ') };
}

/** OpenSSH turns it on by itself where the files are its own, and DNS has no say. */
function updatesHostKeys(userFiles: readonly string[] | undefined, verifyDns = 'false'): boolean {
  const isStandard = !userFiles || (userFiles.length === 1 && userFiles[0] === '~/.ssh/known_hosts');
  return verifyDns === 'false' && isStandard;
}

function printJump({ host, user, port, extra }: NonNullable<State['jump']>): string {
  const name = host.includes(':') || /^[\d.]*$/.test(host) ? `[${host}]` : host;
  return `${extra === undefined ? '' : `${extra},`}${user === undefined ? '' : `${user}@`}${name}${port === undefined ? '' : `:${port}`}`;
}

function withPaths(spec: ForwardSpec, path: (text: string) => string): ForwardSpec {
  const end = <E extends Listen | Endpoint | { kind: 'socks' }>(one: E): E =>
    one.kind === 'unix' ? { ...one, path: path(one.path) } : one;
  if (spec.kind === 'dynamic') return { ...spec, listen: end(spec.listen) };
  if (spec.kind === 'local') return { ...spec, listen: end(spec.listen), target: end(spec.target) };
  return { ...spec, listen: end(spec.listen), target: end(spec.target) };
}
