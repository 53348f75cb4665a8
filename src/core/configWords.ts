// The words of an ssh_config line, and of `-o keyword=value`.
import { wordPart, type Word } from './shellWords.js';

/**
 * Splits what follows a keyword at blanks; quotes and backslashes keep them. `undefined`: a quote is not closed. A command's
 * words know no comments.
 */
export function splitConfig({ text, places }: Word, isCommand = false): Word[] | undefined {
  const words: Word[] = [];
  for (let at = 0; at < text.length; at++) {
    if (/[ \t]/.test(text[at]!)) continue;
    if (!isCommand && text[at] === '#') break;
    let quote = '';
    let taken = '';
    const from: number[] = [];
    for (; at < text.length; at++) {
      const character = text[at]!;
      if (!quote && /[ \t]/.test(character)) break;
      if (character === quote) quote = '';
      else if (!quote && /["']/.test(character)) quote = character;
      else {
        if (character === '\\' && (quote ? /["'\\]/ : /["'\\ ]/).test(text[at + 1] ?? '')) at++;
        taken += text[at]!;
        from.push(places[at]!);
      }
    }
    if (quote) return undefined;
    words.push({ text: taken, places: [...from, places[at]!] });
  }
  return words;
}

/** The text as one word of an ssh_config line. */
export function quoteConfig(text: string): string {
  if (/^[^\s"'#]+$/.test(text) && !/\\([\\"']|$)/.test(text)) return text;
  return `"${text.replace(/\\(?=[\\"']|$)|"/g, '\\$&')}"`;
}

/** `keyword=value` or `keyword value` in its two parts; the value may be empty. `undefined`: no keyword. */
export function splitSetting(word: Word): { keyword: string; value: Word } | undefined {
  const [front, keyword] = /^\s*"?([A-Za-z]\w*)"?(?:\s*=\s*|\s+|$)/.exec(word.text) ?? [];
  if (front === undefined || keyword === undefined) return undefined;
  return { keyword, value: wordPart(word, front.length, word.text.trimEnd().length) };
}
