// The words of KnownHostsCommand (ssh_config(5)), split and expanded as ssh does, without a shell.
import { splitConfig } from './configWords.js';
import { plainWord } from './shellWords.js';

/** Stands for the file of an entry that it printed. */
export const knownHostsCommand = 'KnownHostsCommand’s output';

export type ExpandedCommand =
  { ok: true; words: readonly [program: string, ...args: string[]] } | { ok: false; detail: string };

/**
 * Splits a command at blanks, which quotes and backslashes keep, and expands %-tokens and `${NAME}` in its arguments, the
 * program left as it is. A token or variable that isn't there is an error.
 */
export function expandCommand(
  command: string,
  tokens: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string | undefined>>,
): ExpandedCommand {
  const split = splitConfig(plainWord(command), true)?.map(({ text }) => text);
  const [program, ...args] = split ?? [];
  if (!split) return { ok: false, detail: 'a quote is not closed' };
  if (program === undefined) return { ok: false, detail: 'it is empty' };
  let detail: string | undefined;
  const expand = (word: string) =>
    word.replace(/%(.?)|\$\{([^}]*)(\}?)/gsu, (whole, token?: string, name?: string, end?: string) => {
      if (end === '') detail ??= `${whole} is not closed`;
      const value = token === undefined ? env[name!] : Object.hasOwn(tokens, token) ? tokens[token] : undefined;
      if (value === undefined) detail ??= `${whole} is not known`;
      return value ?? '';
    });
  const expanded = args.map(expand);
  return detail === undefined ? { ok: true, words: [program, ...expanded] } : { ok: false, detail };
}
