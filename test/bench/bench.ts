// npm run bench [-- options]: tunnels of ours beside OpenSSH's, on the same server and in the same run; ends with a table
// of numbers, ratios and goals. It fails on wrong bytes alone, never for slowness. `--help` tells the options.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onEndRequested } from '../support/endRequested.js';
import { descendants, killAll, startSshd } from '../support/sshd.js';
import { helpText, parseBenchArguments, type BenchArguments } from './arguments.js';
import { createAttempt } from './attempts.js';
import { ensureBuilt } from './built.js';
import { keepPoint, pointMeasurements } from './curves.js';
import { openLabs, type Labs } from './lab.js';
import { machineKind } from './machine.js';
import type { Lab, Measurement, Sizes } from './measurements.js';
import { ciphersOf, type PeerName } from './peers.js';
import { plots, plotSvg } from './plot.js';
import { buildPrograms, type Programs } from './programs.js';
import type { Results } from './results.js';
import { rowOf } from './rows.js';
import { selfTest } from './selfTest.js';
import { tableMarkdown, tableText } from './table.js';

const sizesOf: Record<Results['size'], Sizes> = {
  quick: { bulkMiB: 256, slowMiB: 32, stallMiB: 256, echoes: 2000, handshakes: 3 },
  full: { bulkMiB: 1024, slowMiB: 192, stallMiB: 1024, echoes: 6000, handshakes: 5 },
};

const plotsFolder = join(__dirname, 'plots');

async function main(words: readonly string[]): Promise<number> {
  const parsed = parseBenchArguments(words);
  if (parsed.kind === 'help') {
    console.log(helpText);
    return 0;
  }
  if (parsed.kind === 'refused') {
    console.error(parsed.text);
    return 2;
  }
  if (process.platform !== 'linux') throw new Error('The benchmark runs on Linux alone: it reads /proc.');
  const folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-bench-'));
  // Servers put theirs there, too, and all is gone with this process, however it ends.
  process.env['TMPDIR'] = folder;
  process.once('exit', () => {
    killAll(descendants(process.pid));
    rmSync(folder, { recursive: true, force: true });
  });
  const programs = buildPrograms(folder);
  const complaints = await selfTest(programs);
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) return 1;
  console.log('Spoilt bytes are noticed.');
  if (parsed.onlySelfTest) return 0;
  return measureAll(parsed, { programs, folder, dist: ensureBuilt(parsed.dist) });
}

type Kit = { programs: Programs; folder: string; dist: string };

async function measureAll(chosen: BenchArguments, kit: Kit): Promise<number> {
  const { size, rounds, peers } = chosen;
  const results: Results = {
    date: new Date().toISOString().slice(0, 10),
    machine: machineKind(),
    size,
    rounds,
    peers,
    ciphers: {},
    values: {},
    measured: 0,
    disturbed: 0,
    flaws: [],
    gaps: [],
    curves: [],
  };
  let doing = '';
  const labs = await openLabs({
    ...kit,
    sizes: sizesOf[size],
    ...(chosen.sendBufferMiB !== undefined && { sendBufferMiB: chosen.sendBufferMiB }),
    onFlaw(peer, what) {
      const flaw = `${peer}, ${doing}: ${what}`;
      results.flaws.push(flaw);
      console.error(`WRONG BYTES: ${flaw}`);
    },
  });
  const attempt = createAttempt(results);
  const inTurn = async (title: string, round: number, names: readonly PeerName[], one: One) => {
    doing = title;
    const begun = performance.now();
    const told: string[] = [];
    for (const peer of round % 2 ? names.toReversed() : names) {
      const text = await attempt(() => one(labs.of(peer), peer)).catch(async (error: unknown) => {
        results.gaps.push(`${peer}, ${title}: ${error instanceof Error ? error.message : String(error)}`);
        await labs.forget(peer);
        return 'not measured';
      });
      told.push(`${peer} ${text}`);
    }
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    console.error(`${round + 1}/${rounds} ${title}: ${told.join(', ')} (${seconds} s)`);
  };
  try {
    results.ciphers = await ciphers(labs, peers);
    for (const [name, cipher] of Object.entries(results.ciphers)) console.log(`${name} runs ${cipher}`);
    for (let round = 0; round < rounds; round++) {
      for (const measurement of chosen.measurements)
        await inTurn(titleOf(measurement), round, peersOf(measurement, peers), async (lab, peer) => {
          const values = await measurement.measure(lab);
          measurement.rows.forEach((id, index) => {
            const value = values[index] ?? NaN;
            ((results.values[id] ??= {})[peer] ??= [])[round] = Number.isFinite(value) ? value : null;
          });
          return values.map((value) => value.toFixed(1)).join(' and ');
        });
      for (const point of chosen.hasPlots ? pointMeasurements : [])
        await inTurn(
          `${point.direction} the server, ${point.of} ${point.x} (MiB/s)`,
          round,
          peers.filter((name) => name !== 'direct'),
          async (lab, peer) => {
            const value = await point.measure(lab);
            keepPoint(results.curves, point, peer, round, value);
            return value.toFixed(1);
          },
        );
    }
    const line = labs.line();
    if (line !== undefined) results.line = line;
  } finally {
    await labs.close();
  }
  report(results, chosen);
  return results.flaws.length > 0 ? 1 : 0;
}

/** Measures, keeps the values, and tells them. */
type One = (lab: Lab, peer: PeerName) => Promise<string>;

function titleOf({ rows: ids }: Measurement): string {
  return ids.map((id) => `${rowOf(id).title} (${rowOf(id).unit})`).join(' and ');
}

function peersOf({ of }: Measurement, peers: readonly PeerName[]): readonly PeerName[] {
  if (of === 'window') return peers.filter((name) => name === 'ours');
  return of === 'direct' ? peers : peers.filter((name) => name !== 'direct');
}

/** Of a server beside those that are measured, which writes down what was agreed. */
async function ciphers({ peers: open, place }: Labs, peers: readonly PeerName[]): Promise<Results['ciphers']> {
  const sshd = await startSshd();
  try {
    return Object.fromEntries(await ciphersOf(open, peers, { ...place, sshd, port: sshd.port }));
  } finally {
    await sshd.stop();
  }
}

function report(results: Results, { json, markdown }: BenchArguments): void {
  console.log(`\n${tableText(results)}`);
  if (results.gaps.length > 0) console.log(`\nNot measured:\n${results.gaps.join('\n')}`);
  if (results.flaws.length > 0) console.log(`\nWrong bytes:\n${results.flaws.join('\n')}`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, null, 1)}\n`);
  if (markdown !== undefined) writeFileSync(markdown, tableMarkdown(results));
  for (const plot of plots) {
    const svg = plotSvg(plot, results);
    if (svg === undefined) continue;
    mkdirSync(plotsFolder, { recursive: true });
    writeFileSync(join(plotsFolder, plot.file), svg);
  }
}

onEndRequested(() => process.exit(2));

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  },
);
