// Texts of servers and other strangers, fit to be shown.

/** Marks that nobody sees, and that could make a text read as another one: control, format, and the ends of lines. */
export const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/** UTF-16 units, with the mark of what is left out. */
const longest = 300;

/** The text with `?` for each mark that nobody sees, cut to 300 characters. */
export function printable(text: string): string {
  const kept = text.length > longest ? `${text.slice(0, longest - 1).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
  return kept.replace(new RegExp(unseen, 'gu'), '?');
}

/** Of a text of several lines. */
const mostLines = 40;

/** The same for a text of several lines: the ends of its lines stay, up to 40 of them, and blank ones around it go. */
export function printableLines(text: string): string {
  const lines = text
    .slice(0, 100 * longest)
    .split(/\r\n|\n|\r/)
    .map((line) => printable(line.replaceAll('\t', ' ').trimEnd()));
  const first = lines.findIndex((line) => line !== '');
  const last = lines.findLastIndex((line) => line !== '');
  if (first < 0) return '';
  const kept = lines.slice(first, last + 1);
  return (kept.length > mostLines ? [...kept.slice(0, mostLines - 1), '…'] : kept).join('\n');
}
