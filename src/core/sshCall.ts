// The calls of ssh in what a shell is to run.
import { splitSetting } from './configWords.js';
import type { Destination } from './destination.js';
import { addToWay, isWayKeyword, isWayOption, type Way } from './destinationOption.js';
import { FailureError, type CommandProblem, type DestinationProblem } from './failure.js';
import {
  forwardKindOf,
  parseConfigForward,
  parseForward,
  withSpec,
  type Environment,
  type ForwardSpec,
  type SpecResult,
} from './forwardSpec.js';
import { ignoredOption, ignoredSetting } from './ignoredOption.js';
import type { SshCall } from './nestedSsh.js';
import { jumpOfProxyCommand } from './proxyCommand.js';
import { joinWords, placeOf, plainWord, splitShell, type ShellToken, type Word } from './shellWords.js';
import { isSshOption, readSshWords, takesValue, type SshItem } from './sshWords.js';
import { t } from './translate.js';

/** What may stand in front of ssh and changes nothing that matters here. */
const wrappers = new Set(['sudo', 'doas', 'nohup', 'setsid', 'exec', 'command', 'time', 'nice', 'env', 'start', 'sshpass', 'caffeinate']); // prettier-ignore

/** What is gathered while a text is read. */
export interface Reading {
  /** The text as pasted. */
  text: string;
  ignored: Set<string>;
  notes: Set<string>;
}

export interface ShellCommand {
  words: readonly Word[];
  /** Absent for another program than ssh. */
  call?: SshCall;
}

/** An ssh in so many others is no way that anybody goes. */
const deepest = 8;

/**
 * Reads the commands of a shell; throws a FailureError for what an ssh among them can't be. `depth` is the number of
 * those that they run in.
 */
export function readCommands(
  reading: Reading,
  tokens: readonly ShellToken[],
  env: Environment,
  depth = 0,
): ShellCommand[] {
  return splitCommands(reading, tokens).map((words) => {
    const call = readCall(reading, words, env, depth);
    return call ? { words, call } : { words };
  });
}

export function failed({ text }: Reading, at: number, problem: CommandProblem): FailureError {
  return new FailureError({ kind: 'badCommand', text, at: Math.min(at, text.length), problem });
}

function misled({ text }: Reading, at: number, problem: DestinationProblem): FailureError {
  return new FailureError({ kind: 'badDestination', text, at: Math.min(at, text.length), problem });
}

/** The words of each command. What is written or read elsewhere, and `&`, means nothing to a tunnel. */
function splitCommands(reading: Reading, tokens: readonly ShellToken[]): (readonly Word[])[] {
  const commands: Word[][] = [[]];
  for (let next = 0; next < tokens.length; next++) {
    const token = tokens[next]!;
    if (token.kind === 'word') commands.at(-1)!.push(token.word);
    else if (token.kind === 'operator') {
      if (token.text === '&') reading.ignored.add('“&”');
      commands.push([]);
    } else if (token.kind === 'heredoc') {
      const words = commands.at(-1)!;
      const program = words.find(isSsh) ?? words[0];
      reading.ignored.add(
        program
          ? t('what is fed to {program}, which is not run here', { program: programOf(program) })
          : t('what is fed to a command, which is not run here'),
      );
    } else {
      const target = token.takesWord ? tokens[next + 1] : undefined;
      if (target?.kind === 'word') next++;
      reading.ignored.add(`“${token.text}${target?.kind === 'word' ? ` ${target.word.text}` : ''}”`);
    }
  }
  return commands.filter((words) => words.length > 0);
}

/** Reads the words of a command, or gives `undefined` when it does not run ssh. */
function readCall(reading: Reading, words: readonly Word[], env: Environment, depth: number): SshCall | undefined {
  const isAssignment = ({ text }: Word) => /^[A-Za-z_]\w*=/.test(text);
  const first = words.findIndex((word) => !isAssignment(word));
  if (first < 0) return undefined;
  const isWrapped = wrappers.has(programOf(words[first]!));
  const at = isWrapped
    ? words.findIndex((word, index) => index >= first && isSsh(word))
    : isSsh(words[first]!)
      ? first
      : -1;
  if (at < 0) return undefined;
  for (const word of words.slice(0, first))
    reading.ignored.add(t('“{word}” in front', { word: `${word.text.split('=')[0]}=` }));
  if (isWrapped) reading.ignored.add(t('“{word}” in front', { word: programOf(words[first]!) }));
  const isAutossh = programOf(words[at]!) === 'autossh';
  if (isAutossh) reading.ignored.add(t('autossh (a lost connection is made again anyway)'));
  return readSsh(reading, isAutossh ? withoutMonitor(words.slice(at + 1)) : words.slice(at + 1), env, depth);
}

/** The name of a program without its folder. */
function programOf({ text }: Word): string {
  return text
    .toLowerCase()
    .split(/[\\/]/)
    .at(-1)!
    .replace(/\.exe$/, '');
}

function isSsh(word: Word): boolean {
  return ['ssh', 'autossh'].includes(programOf(word));
}

/** autossh's own `-M port` is a flag to ssh. */
function withoutMonitor(words: readonly Word[]): readonly Word[] {
  const at = words.findIndex(({ text }) => /^-M(\d|$)/.test(text));
  return at < 0 ? words : words.toSpliced(at, words[at]!.text === '-M' ? 2 : 1);
}

/** What the words of one ssh have come to so far. */
interface Draft {
  way: Way;
  specs: readonly ForwardSpec[];
  gatewayPorts?: boolean;
  clear?: boolean;
}

/** Reads the words behind `ssh`. */
function readSsh(reading: Reading, words: readonly Word[], env: Environment, depth: number): SshCall {
  const draft: Draft = { way: {}, specs: [] };
  const { items, command } = readSshWords(words);
  for (const item of items) {
    if (item.kind === 'host') addItem(reading, draft, item);
    else addOption(reading, draft, item, env);
  }
  const { host, ...rest } = draft.way;
  if (host === undefined)
    throw misled(reading, placeOf(words.at(-1) ?? plainWord(reading.text), Infinity), { kind: 'hostMissing' });
  const destination: Destination = { host, ...rest };
  if (draft.clear) reading.notes.add(t('ClearAllForwardings leaves no forward'));
  const specs = draft.clear ? [] : draft.specs.map((spec) => (draft.gatewayPorts ? opened(spec) : spec));
  return { destination, specs, inner: readInner(reading, command, depth + 1) };
}

/** The calls of ssh with forwards that another shall run at its destination, where the shell has other variables. */
function readInner(reading: Reading, command: readonly Word[], depth: number): readonly SshCall[] {
  if (command.length === 0) return [];
  const split = splitShell(joinWords(command));
  const isRead = split.ok && depth <= deepest;
  const commands = isRead ? readCommands(reading, split.tokens, {}, depth) : [{ words: command }];
  return commands.flatMap(({ words, call }: ShellCommand) => {
    if (call && (call.specs.length > 0 || call.inner.length > 0)) return call;
    reading.ignored.add(notRun(words));
    return [];
  });
}

function addOption(reading: Reading, draft: Draft, item: SshItem & { kind: 'option' }, env: Environment): void {
  const { letter, value, at } = item;
  const option = `-${letter}`;
  if (!isSshOption(letter)) throw misled(reading, at, { kind: 'option', option, reason: 'unknown' });
  if (takesValue(letter) && !value?.text) throw misled(reading, at, { kind: 'optionValue', option, text: '' });
  const kind = forwardKindOf(option);
  if (kind) addSpec(reading, draft, value!, parseForward(kind, value!.text, env, { auto: true }));
  else if (letter === 'g') draft.gatewayPorts = true;
  else if (letter === 'o') addSetting(reading, draft, item, env);
  else if (isWayOption(letter)) addItem(reading, draft, item);
  // Another ssh_config would count, and another host might be meant.
  else if (letter === 'P') throw misled(reading, at, { kind: 'option', option, reason: 'elsewhere' });
  else if (letter === 'F' && !/^(none|\/dev\/null)$/i.test(value!.text))
    throw misled(reading, at, { kind: 'option', option, reason: 'configFile' });
  else if (letter === 'O' && value!.text !== 'forward')
    throw failed(reading, at, { kind: 'control', command: value!.text });
  else reading.ignored.add(ignoredOption(letter, value?.text));
}

function addSetting(reading: Reading, draft: Draft, item: SshItem & { kind: 'option' }, env: Environment): void {
  const setting = splitSetting(item.value!);
  const { keyword, value } = setting ?? { keyword: '', value: item.value! };
  const kind = forwardKindOf(keyword);
  const isOn = /^(yes|true)$/i.test(value.text);
  if (kind) return addSpec(reading, draft, value, parseConfigForward(kind, value.text, env));
  switch (keyword.toLowerCase()) {
    case 'gatewayports':
      draft.gatewayPorts ??= isOn;
      return;
    case 'clearallforwardings':
      draft.clear ??= isOn;
      return;
    case 'proxycommand': {
      if (/^none$/i.test(value.text)) return;
      const jump = jumpOfProxyCommand(value);
      if (jump === undefined) break;
      reading.notes.add(t('ProxyCommand became -J {jump}', { jump }));
      addItem(reading, draft, { ...item, letter: 'J', value: { text: jump, places: value.places } });
      return;
    }
  }
  // What decides where this connects can't be left out; addToWay refuses it by name.
  const isWay =
    isWayKeyword(keyword) || keyword === '' || /^(proxy|canonical|tag$|include$|match$|host$)/i.test(keyword);
  if (isWay) addItem(reading, draft, item);
  else reading.ignored.add(ignoredSetting(keyword, value.text));
}

function addSpec(reading: Reading, draft: Draft, word: Word, result: SpecResult): void {
  if (!result.ok) {
    const { at, problem } = result.failure;
    throw new FailureError({
      kind: 'badSpec',
      text: reading.text,
      at: Math.min(placeOf(word, at), reading.text.length),
      problem,
    });
  }
  draft.specs = withSpec(draft.specs, result.spec);
}

function addItem(reading: Reading, draft: Draft, item: SshItem): void {
  const added = addToWay(draft.way, item);
  if (!added.ok) throw misled(reading, added.at, added.problem);
  draft.way = added.way;
}

/** A forward as GatewayPorts means it. */
function opened(spec: ForwardSpec): ForwardSpec {
  if (spec.kind === 'remote' || spec.listen.kind === 'unix' || spec.listen.bind !== undefined) return spec;
  return { ...spec, listen: { ...spec.listen, bind: '*' } };
}

export function notRun(words: readonly Word[]): string {
  const { text } = joinWords(words);
  const command = text.length > 40 ? `${text.slice(0, 39)}…` : text;
  return t('the command “{command}”, which is not run', { command });
}
