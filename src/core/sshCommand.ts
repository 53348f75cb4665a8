// A pasted ssh command, as tunnels.
import { printDestination, type Destination } from './destination.js';
import { FailureError, type Failure } from './failure.js';
import { printSpec, type Environment } from './forwardSpec.js';
import { joinCalls, type PastedTunnel } from './nestedSsh.js';
import { placeOf, plainWord, splitShell } from './shellWords.js';
import { failed, notRun, readCommands, type Reading } from './sshCall.js';

export interface SshCommand {
  ok: true;
  /** Where the first ssh connects to, for a command without a forward. */
  destination: Destination;
  tunnels: readonly PastedTunnel[];
  /** What has no effect here, a phrase each: `-N`, `the command “sleep 60”, which is not run`. */
  ignored: readonly string[];
  /** What else became otherwise than it was written, a phrase each. */
  notes: readonly string[];
}
export type SshCommandResult = SshCommand | { ok: false; failure: Failure };

/** UTF-16 units; no person pastes more on purpose, and the longest must be read at once while somebody types. */
const longest = 16_384;

/**
 * Reads one ssh command or several, as a terminal, a script or a web page has them: with a prompt, quotes, lines that go
 * on, `sudo` or `autossh` in front. `env` resolves variables; one that it lacks is an error where a forward has it.
 */
export function parseSshCommand(text: string, env: Environment = {}): SshCommandResult {
  const reading: Reading = { text, ignored: new Set(), notes: new Set() };
  try {
    if (text.length > longest) throw failed(reading, longest, { kind: 'tooLong' });
    const split = splitShell(plainWord(withoutPrompts(text)), env);
    if (!split.ok) throw failed(reading, split.at, split.problem);
    const commands = readCommands(reading, split.tokens, env);
    const calls = commands.flatMap(({ call }) => call ?? []);
    const [first] = calls;
    if (!first) {
      const stranger = commands[0]?.words[0];
      throw failed(reading, stranger ? placeOf(stranger) : 0, { kind: 'notSsh', word: stranger?.text ?? '' });
    }
    for (const { words, call } of commands) if (!call) reading.ignored.add(notRun(words));
    const tunnels = new Map<string, PastedTunnel>();
    for (const joined of calls.map(joinCalls)) {
      for (const note of joined.notes) reading.notes.add(note);
      for (const tunnel of joined.tunnels)
        tunnels.set(`${printDestination(tunnel.destination)} ${printSpec(tunnel.spec)}`, tunnel);
    }
    return {
      ok: true,
      destination: first.destination,
      tunnels: [...tunnels.values()],
      ignored: shown(reading.ignored),
      notes: shown(reading.notes),
    };
  } catch (error) {
    if (error instanceof FailureError) return { ok: false, failure: error.failure };
    throw error;
  }
}

/**
 * Blanks out what a terminal or a web page puts in front of a command, and what made a line go on where an input has
 * joined the lines; makes plain the marks that text processors change. Each character keeps its place.
 */
function withoutPrompts(text: string): string {
  const prompt =
    /^[^\S\n]*(?:\(\w+\) )?(?:(?:PS )?[A-Za-z]:\\[^>\n]*>|\[[^\]\n]*\][$#%]|[\w.@:~/+-]*(?: [\w.:~/+-]+)? ?[$#%❯➜»](?=\s))/u;
  const isSsh = (word: string) => /(^|[\\/"])(auto)?ssh(\.exe)?"?$/i.test(word);
  return text
    .replace(/^\s*`+(?:(?:sh|bash|shell|console)?(?=\n))?|(?<!`)`+\s*$/g, (mark) => mark.replace(/\S/g, ' '))
    .replace(/(?<=\s)[\\^`](?=[^\S\n]+\S)/g, ' ')
    .replace(/(^|\s)[–—−](?=\w)/g, '$1-')
    .replace(/[“”]/g, '"')
    .replace(/[‘’]/g, "'")
    .split('\n')
    .map((line) => {
      const [mark = ''] = prompt.exec(line) ?? [];
      return line.slice(mark.length).trim().split(/\s+/, 8).some(isSsh)
        ? line.replace(mark, ' '.repeat(mark.length))
        : line;
    })
    .join('\n')
    .replace(/(?<=[\\^`][^\S\n]*\n[^\S\n]*)>(?= )/g, ' ');
}

/** Control and direction marks could make a phrase read as another one. */
function shown(phrases: ReadonlySet<string>): string[] {
  return [...phrases].map((phrase) => phrase.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' '));
}
