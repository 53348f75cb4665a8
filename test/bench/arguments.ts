// The options of the benchmark.
import { parseArgs } from 'node:util';
import { measurements, type Measurement } from './measurements.js';
import { peerNames, type PeerName } from './peers.js';
import type { Results } from './results.js';
import { rowIds } from './rows.js';

export interface BenchArguments {
  kind: 'run';
  size: Results['size'];
  rounds: number;
  peers: readonly PeerName[];
  measurements: readonly Measurement[];
  hasPlots: boolean;
  /** Of the build; the project's own unless told. */
  dist?: string;
  /** The most that TCP may have under way from the server where there is a round trip; the kernel's own unless told. */
  sendBufferMiB?: number;
  json?: string;
  markdown?: string;
  onlySelfTest: boolean;
}

const mostRounds = 100;
const mostSendBufferMiB = 1024;
const things = [...rowIds, 'plots'] as const;

export const helpText = `npm run bench [-- options]

  --full            every row, large sizes, three rounds and the plots; without it a quick run of one round
  --rounds N        so many rounds
  --only ROW,ROW    these rows alone: ${things.join(', ')}
  --peers P,P       these alone: ${peerNames.join(', ')}
  --dist FOLDER     another build of ours than dist/
  --send-buffer MIB the most that TCP may have under way from the server where there is a round trip
  --json FILE       keeps the raw values
  --markdown FILE   writes the table as Markdown
  --self-test       only tries whether a spoilt byte would be noticed`;

type Parsed = BenchArguments | { kind: 'help' } | { kind: 'refused'; text: string };

export function parseBenchArguments(words: readonly string[]): Parsed {
  try {
    return parse(words);
  } catch (error) {
    return { kind: 'refused', text: `${(error as Error).message}\n\n${helpText}` };
  }
}

function parse(words: readonly string[]): Parsed {
  const { values } = parseArgs({
    args: [...words],
    options: {
      full: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      peers: { type: 'string', default: peerNames.join(',') },
      dist: { type: 'string' },
      'send-buffer': { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      'self-test': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { kind: 'help' };
  const rounds = Number(values.rounds ?? (values.full ? 3 : 1));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > mostRounds)
    throw new Error(`--rounds ${values.rounds}: a number from 1 to ${mostRounds} is wanted.`);
  const sendBufferMiB = Number(values['send-buffer'] ?? 1);
  if (!Number.isInteger(sendBufferMiB) || sendBufferMiB < 1 || sendBufferMiB > mostSendBufferMiB)
    throw new Error(`--send-buffer ${values['send-buffer']}: a number from 1 to ${mostSendBufferMiB} is wanted.`);
  const peers = listed('--peers', values.peers, peerNames);
  const only = values.only === undefined ? undefined : listed('--only', values.only, things);
  return {
    kind: 'run',
    size: values.full ? 'full' : 'quick',
    rounds,
    peers,
    measurements: measurements.filter(({ rows, isLong }) =>
      only ? rows.some((id) => only.includes(id)) : values.full || !isLong,
    ),
    hasPlots: only ? only.includes('plots') : values.full,
    ...(values.dist !== undefined && { dist: values.dist }),
    ...(values['send-buffer'] !== undefined && { sendBufferMiB }),
    ...(values.json !== undefined && { json: values.json }),
    ...(values.markdown !== undefined && { markdown: values.markdown }),
    onlySelfTest: values['self-test'],
  };
}

/** In the order of `known`. */
function listed<T extends string>(option: string, text: string, known: readonly T[]): readonly T[] {
  const names = text.split(',');
  const unknown = names.filter((name) => !known.some((one) => one === name));
  if (unknown.length > 0)
    throw new Error(
      `${option}: there is no ${unknown.map((name) => `“${name}”`).join(', ')}. There are ${known.join(', ')}.`,
    );
  return known.filter((name) => names.includes(name));
}
