import * as vscode from 'vscode';

/** A tooltip with a paragraph for each line. The lines hold text of servers and presets: nothing in them is taken for markup. */
export function paragraphs(lines: readonly string[]): vscode.MarkdownString {
  const markdown = new vscode.MarkdownString();
  lines.forEach((line, index) => {
    if (index > 0) markdown.appendMarkdown('\n\n');
    markdown.appendText(line);
  });
  return markdown;
}

/** A tooltip that is a table, with a line below it; cells as in `paragraphs`. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  below?: string,
): vscode.MarkdownString {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |\n`;
  const markdown = new vscode.MarkdownString(
    line(head) + `|${' --- |'.repeat(head.length)}\n` + rows.map(line).join(''),
  );
  return below === undefined ? markdown : markdown.appendMarkdown('\n\n').appendText(below);
}

function cell(text: string): string {
  return new vscode.MarkdownString().appendText(text.replace(/\s+/g, ' ')).value.replaceAll('|', '\\|');
}
