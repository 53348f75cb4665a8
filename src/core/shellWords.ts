// A text in the words that a POSIX shell makes of it, each character with its place: what people paste was meant for one.
import type { Environment } from './forwardSpec.js';

export interface Word {
  text: string;
  /** Where each of its characters stands in the whole text, and behind them where the word ends. */
  places: readonly number[];
}

/**
 * `operator` ends a command (`|`, `&&`, `;`, a new line, ...); a `redirection` takes the word behind it if `takesWord`. A
 * `heredoc` stands for the whole of it: what it feeds to the command is no text of the shell's.
 */
export type ShellToken =
  | { kind: 'word'; word: Word }
  | { kind: 'operator'; text: string; at: number }
  | { kind: 'redirection'; text: string; at: number; takesWord: boolean }
  | { kind: 'heredoc'; text: string; at: number };

/** What no shell could read, or only by running a command (`$(...)`). */
export type ShellProblem = { kind: 'quote' } | { kind: 'backslash' } | { kind: 'substitution'; text: string };
export type ShellResult = { ok: true; tokens: ShellToken[] } | { ok: false; at: number; problem: ShellProblem };

/** A word that needs no splitting, such as a program's argument. */
export function plainWord(text: string): Word {
  return { text, places: Array.from({ length: text.length + 1 }, (_, index) => index) };
}

export function wordPart({ text, places }: Word, from: number, to = text.length): Word {
  return { text: text.slice(from, to), places: places.slice(from, to + 1) };
}

/** Where a character of the word stands in the whole text. */
export function placeOf({ places }: Word, at = 0): number {
  return places[Math.min(at, places.length - 1)] ?? 0;
}

/** Several words as the one that they make with a blank between them. */
export function joinWords(words: readonly Word[]): Word {
  return { text: words.map(({ text }) => text).join(' '), places: words.flatMap(({ places }) => places) };
}

/**
 * Splits as a shell does: quotes, backslashes, comments, and a line that goes on after `\`, `^` (cmd) or a backtick
 * (PowerShell). A variable that `env` lacks becomes `${NAME}`, which ssh resolves itself in forwards and files. The
 * backslashes of a Windows path (`C:\Users`, `\\.\pipe`) stay: nobody means what would be left without them.
 */
export function splitShell(whole: Word, env: Environment = {}): ShellResult {
  const { text } = whole;
  const place = (at: number) => placeOf(whole, at);
  const tokens: ShellToken[] = [];
  const ends: string[] = [];
  for (let at = 0; at < text.length;) {
    const heredoc = matchAt(/\d*<<-?(?![<&])[^\S\n]*(?=[^\s;|&()<>])/y, text, at);
    const skipped = matchAt(/[^\S\n]+|#[^\n]*|[\\^`][^\S\n]*\n/y, text, at);
    const redirection = matchAt(/(?:\d*|&)[<>]+(?:&[\d-]+|[|&]?)/y, text, at);
    const operator = matchAt(/&&|\|\||\|&|;;|[\n;|&()]/y, text, at);
    if (heredoc) {
      const end = readWord(text, at + heredoc.length, {});
      if (!end.ok) return { ...end, at: place(end.at) };
      tokens.push({ kind: 'heredoc', text: heredoc.trim(), at: place(at) });
      ends.push(end.word.text);
      at = end.end;
    } else if (skipped) at += skipped.length;
    else if (redirection) {
      tokens.push({ kind: 'redirection', text: redirection, at: place(at), takesWord: !/&[\d-]+$/.test(redirection) });
      at += redirection.length;
    } else if (operator) {
      tokens.push({ kind: 'operator', text: operator, at: place(at) });
      at += operator.length;
      if (operator === '\n') for (const end of ends.splice(0)) at = behindHeredoc(text, at, end);
    } else {
      const read = readWord(text, at, env);
      if (!read.ok) return { ...read, at: place(read.at) };
      tokens.push({ kind: 'word', word: { ...read.word, places: read.word.places.map(place) } });
      at = read.end;
    }
  }
  return { ok: true, tokens };
}

/** Where the text goes on behind a heredoc's last line, before which a terminal may have put `> `; at its end without one. */
function behindHeredoc(text: string, start: number, end: string): number {
  for (let at = start; at < text.length;) {
    const next = text.indexOf('\n', at);
    const line = text.slice(at, next < 0 ? text.length : next);
    at += line.length + 1;
    if (line.trim().replace(/^> ?/, '') === end) return Math.min(at, text.length);
  }
  return text.length;
}

type WordResult = { ok: true; word: Word; end: number } | { ok: false; at: number; problem: ShellProblem };

function readWord(text: string, start: number, env: Environment): WordResult {
  let taken = '';
  const places: number[] = [];
  let quote: '' | '"' | "'" = '';
  let quoteAt = start;
  let isPath = false;
  let at = start;
  /** Takes what `length` characters here come to. */
  const take = (characters: string, length = 1) => {
    taken += characters;
    for (let index = 0; index < characters.length; index++) places.push(at);
    at += length;
  };
  while (at < text.length) {
    const character = text[at]!;
    if (quote === "'" && character !== quote) {
      take(character);
      continue;
    }
    if (character === quote || (!quote && /["']/.test(character))) {
      quoteAt = at;
      quote = quote ? '' : (character as '"' | "'");
      take('');
      continue;
    }
    const continued = matchAt(/[\\^`]\r?\n/y, text, at);
    if (continued) {
      take('', continued.length);
      continue;
    }
    const substitution = matchAt(/`|\$\(/y, text, at);
    if (substitution) return { ok: false, at, problem: { kind: 'substitution', text: substitution } };
    const variable = matchAt(/\$(?:[A-Za-z_]\w*|\{[^}]*\})/y, text, at);
    if (variable) {
      const name = variable.replace(/[${}]/g, '');
      const value = env[name];
      take(typeof value === 'string' ? value : `\${${name}}`, variable.length);
      continue;
    }
    if (!quote && /[\s;|&()<>]/.test(character)) break;
    isPath ||= !quote && isWindowsPath(text, at, taken);
    if (character !== '\\' || isPath || (quote && !/[$`"\\]/.test(text[at + 1] ?? ''))) take(character);
    else if (at + 1 < text.length) take(text[at + 1]!, 2);
    else return { ok: false, at, problem: { kind: 'backslash' } };
  }
  if (quote) return { ok: false, at: quoteAt, problem: { kind: 'quote' } };
  return { ok: true, word: { text: taken, places: [...places, at] }, end: at };
}

/** Whether `C:\` or `\\.\` begins here, at the start of a word or of a value behind `=`. */
function isWindowsPath(text: string, at: number, taken: string): boolean {
  return (taken === '' || taken.endsWith('=')) && matchAt(/[A-Za-z]:\\|\\\\[.?]\\/y, text, at) !== undefined;
}

function matchAt(sticky: RegExp, text: string, at: number): string | undefined {
  sticky.lastIndex = at;
  return sticky.exec(text)?.[0];
}

/** The text as one word of a POSIX shell, quoted where it must be or where zsh would read a pattern. */
export function quoteShell(text: string): string {
  return /^(?!~)[\w@%+=:,./~^-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
