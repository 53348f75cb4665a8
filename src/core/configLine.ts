// A line of ssh_config as OpenSSH takes it apart. Source: ssh_config(5), compared with `ssh -G` by
// test/engine/sshConfig.test.ts.
import { splitConfig } from './configWords.js';
import { plainWord } from './shellWords.js';

export interface ConfigLine {
  /** In lower case. */
  keyword: string;
  /** What follows, without the blanks around it; quotes and comments stand in it. */
  rest: string;
  /** `undefined`: a quote is not closed. */
  words: readonly string[] | undefined;
}

/** Reads a line; `undefined` for one that says nothing. */
export function readConfigLine(line: string): ConfigLine | undefined {
  // A C string ends at its first NUL; the first character is never stripped.
  const whole = line.split('\0', 1)[0]!;
  let end = whole.length;
  while (end > 1 && ' \t\r\n\f'.includes(whole[end - 1]!)) end--;
  const text = whole.slice(0, end);
  let cut = cutWord(text, true);
  if (cut?.word === '') cut = cut.rest === undefined ? undefined : cutWord(cut.rest, true);
  if (!cut || cut.word === '' || cut.word.startsWith('#')) return undefined;
  const rest = (cut.rest ?? '').replace(/^[ \t\r\n]+/, '');
  return {
    keyword: cut.word.toLowerCase(),
    rest,
    words: splitConfig(plainWord(rest))?.map((word) => word.text),
  };
}

/**
 * Cuts the first word off, up to a blank, to the end of a quoted part in it, or to `=` where that may part two words.
 * `undefined`: a quote is not closed. Without a `rest` it was the last one.
 */
export function cutWord(text: string, equals: boolean): { word: string; rest?: string } | undefined {
  const at = text.search(equals ? /[ \t\r\n"=]/ : /[ \t\r\n"]/);
  if (at < 0) return { word: text };
  const front = text.slice(0, at);
  const behind = text.slice(at + 1);
  if (text[at] === '"') {
    const end = behind.indexOf('"');
    if (end < 0) return undefined;
    return { word: front + behind.slice(0, end), rest: skipBlanks(behind.slice(end + 1)) };
  }
  const rest = skipBlanks(behind);
  return { word: front, rest: equals && text[at] !== '=' && rest.startsWith('=') ? skipBlanks(rest.slice(1)) : rest };
}

function skipBlanks(text: string): string {
  return text.replace(/^[ \t\r\n]+/, '');
}
