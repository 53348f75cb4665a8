// The words of KnownHostsCommand (ssh_config(5)), split and expanded as ssh does, without a shell.

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
  const split = splitArguments(command);
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

/** Undefined: a quote is not closed. */
function splitArguments(text: string): string[] | undefined {
  const words: string[] = [];
  for (let at = 0; at < text.length; at++) {
    if (/[ \t]/.test(text[at]!)) continue;
    let quote = '';
    let word = '';
    for (; at < text.length; at++) {
      const character = text[at]!;
      if (!quote && /[ \t]/.test(character)) break;
      if (character === quote) quote = '';
      else if (!quote && /["']/.test(character)) quote = character;
      else {
        if (character === '\\' && (quote ? /["'\\]/ : /["'\\ ]/).test(text[at + 1] ?? '')) at++;
        word += text[at]!;
      }
    }
    if (quote) return undefined;
    words.push(word);
  }
  return words;
}
