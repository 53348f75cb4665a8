// The table of a run, for a terminal and for Markdown.
import { references } from './peers.js';
import { misses, ratioOf, spreadOf, type Results, type Spread } from './results.js';
import { rowIds, rowOf, type RowId } from './rows.js';

const missed = ' ✗';

function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

function spreadText({ median, least, most }: Spread, isAlone: boolean): string {
  return isAlone ? digits(median) : `${digits(median)} [${digits(least)}–${digits(most)}]`;
}

function goalText(id: RowId): string {
  const { goal, unit } = rowOf(id);
  if (!goal) return '';
  return goal.kind === 'ratio' ? `≥ ${digits(goal.least)}` : `≤ ${goal.value} ${unit}`;
}

function cells(results: Results): string[][] {
  const { peers, values, rounds } = results;
  const compared = references.filter((name) => peers.includes(name) && peers.includes('ours'));
  const head = ['', 'unit', ...peers, ...compared.map((name) => `ours : ${name}`), 'goal'];
  const lines = rowIds
    .filter((id) => values[id])
    .map((id) => {
      const own = peers.map((name) => {
        const spread = spreadOf(values[id]?.[name] ?? []);
        if (!spread) return '–';
        return digits(spread.median) + (name === 'ours' && misses(results, id) ? missed : '');
      });
      const ratios = compared.map((name) => {
        const spread = rowOf(id).goal && ratioOf(results, id, name);
        return spread ? spreadText(spread, rounds === 1) + (misses(results, id, name) ? missed : '') : '–';
      });
      return [rowOf(id).title, rowOf(id).unit, ...own, ...ratios, goalText(id)];
    });
  return [head, ...lines];
}

/** What has to be known to read it. */
function legend(results: Results): string[] {
  const { machine, size, rounds, ciphers, line, measured, disturbed } = results;
  const ran = Object.entries(ciphers).map(([name, cipher]) => `${name} ${cipher}`);
  const what = rounds === 1 ? 'One round' : `Medians of ${rounds} rounds [least–most]`;
  return [
    `${what}, ${size} sizes, ${results.date}, on ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB, ` +
      `Linux ${machine.kernel}, Node.js ${machine.node.slice(1)}, ${machine.openssh} at both ends.`,
    'Ratios are taken within a round and turned so that above 1 ours is better; ✗ misses the goal.',
    `Ciphers that ran: ${ran.join(', ')}.`,
    ...(line === undefined ? [] : [`Round trips: ${line}.`]),
    `${disturbed} of ${measured} measurements were made beside other work on the machine.`,
  ];
}

export function tableText(results: Results): string {
  const all = cells(results);
  const widths = all[0]!.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const lines = all.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
  );
  return [lines[0]!, '-'.repeat(lines[0]!.length), ...lines.slice(1), '', ...legend(results)].join('\n');
}

export function tableMarkdown(results: Results): string {
  const all = cells(results);
  const row = (line: readonly string[]) => `| ${line.join(' | ')} |`;
  const rule = row(all[0]!.map((_, column) => (column === 0 ? '---' : '--:')));
  return [row(all[0]!), rule, ...all.slice(1).map(row), '', legend(results).join(' '), ''].join('\n');
}
