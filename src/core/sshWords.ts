// ssh(1)'s command line as its getopt reads it: which words are options, which the host, which the command.
import { placeOf, wordPart, type Word } from './shellWords.js';

/** ssh(1)'s options that take a value; the rest are flags. */
const withValue = 'BbcDEeFIiJLlmOoPpQRSWw';
const flags = 'AaCfGgKkMNnqsTtVvXxYy1246';

export type SshItem =
  /** `value` is absent for a flag, and for an option at the end of the line that lacks its own. */
  { kind: 'option'; letter: string; at: number; value?: Word } | { kind: 'host'; word: Word };

/**
 * Reads the words behind `ssh`. Flags may be joined (`-fN`), a value may follow at once (`-p22`), and options may follow
 * the host; the next word that is none begins the command, and so does any word after a host that came behind `--`.
 */
export function readSshWords(words: readonly Word[]): { items: SshItem[]; command: readonly Word[] } {
  const items: SshItem[] = [];
  let hasHost = false;
  for (let next = 0; next < words.length; next++) {
    const word = words[next]!;
    const isEnd = word.text === '--';
    if (isEnd || !/^-./.test(word.text)) {
      if (hasHost) return { items, command: words.slice(isEnd ? next + 1 : next) };
      const host = words[isEnd ? next + 1 : next];
      if (host) items.push({ kind: 'host', word: host });
      if (isEnd) return { items, command: words.slice(next + 2) };
      hasHost = true;
      continue;
    }
    for (let at = 1; at < word.text.length; at++) {
      const letter = word.text[at]!;
      const option = { kind: 'option', letter, at: placeOf(word, at === 1 ? 0 : at) } as const;
      if (!takesValue(letter)) {
        items.push(option);
        continue;
      }
      const value = at + 1 < word.text.length ? wordPart(word, at + 1) : words[++next];
      items.push(value ? { ...option, value } : option);
      break;
    }
  }
  return { items, command: [] };
}

export function takesValue(letter: string): boolean {
  return withValue.includes(letter);
}

/** Whether ssh has an option of this letter. */
export function isSshOption(letter: string): boolean {
  return (withValue + flags).includes(letter);
}
