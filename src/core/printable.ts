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
