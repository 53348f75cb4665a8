// Lines that an input of one line has joined.

/** How many lines of `copied` an input shows as `value`, with blanks or nothing for their ends; 0: it shows something else, or one line. */
export function pastedLines(value: string, copied: string): number {
  const lines = copied.split(/\r\n|\r|\n/).filter((line) => line.trim() !== '');
  const bare = (text: string) => text.replace(/\s+/g, '');
  return lines.length > 1 && bare(value) === bare(copied) ? lines.length : 0;
}
