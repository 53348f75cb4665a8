// npm run bench [-- options]: tunnels of ours beside OpenSSH's, on the same server and in the same run; ends with a table
// of numbers, ratios and goals. It fails on wrong bytes alone, never for slowness. `--help` tells the options.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSshd } from '../support/sshd.js';
import { helpText, parseBenchArguments, type BenchArguments } from './arguments.js';
import { ensureBuilt } from './built.js';
import { openLabs, type Labs } from './lab.js';
import { machineKind, quietCores, untilQuiet, watchOtherWork } from './machine.js';
import type { Measurement, Sizes } from './measurements.js';
import { ciphersOf, type PeerName } from './peers.js';
import { buildPrograms } from './programs.js';
import type { Results } from './results.js';
import { rowOf, type RowId } from './rows.js';
import { selfTest } from './selfTest.js';
import { tableMarkdown, tableText } from './table.js';

const sizesOf: Record<Results['size'], Sizes> = {
  quick: { bulkMiB: 256, slowMiB: 32, stallMiB: 256, echoes: 2000, handshakes: 3 },
  full: { bulkMiB: 1024, slowMiB: 128, stallMiB: 1024, echoes: 6000, handshakes: 5 },
};

/** How long a run waits for other work to end: before one measurement, and in all; and how often it tries one. */
const patienceOf: Record<Results['size'], { eachMs: number; allMs: number; tries: number }> = {
  quick: { eachMs: 3000, allMs: 15_000, tries: 1 },
  full: { eachMs: 10_000, allMs: 600_000, tries: 3 },
};

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
  try {
    const programs = buildPrograms(folder);
    const complaints = await selfTest(programs);
    for (const complaint of complaints) console.error(complaint);
    if (complaints.length > 0) return 1;
    console.log('Spoilt bytes are noticed.');
    if (parsed.onlySelfTest) return 0;
    const dist = ensureBuilt(parsed.dist);
    return await measureAll(parsed, { programs, folder, dist });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Kit = { programs: ReturnType<typeof buildPrograms>; folder: string; dist: string };

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
  let doing: readonly RowId[] = [];
  const labs = await openLabs({
    ...kit,
    sizes: sizesOf[size],
    onFlaw(peer, what) {
      const flaw = `${peer}, ${doing.map((id) => rowOf(id).title).join(' and ')}: ${what}`;
      results.flaws.push(flaw);
      console.error(`WRONG BYTES: ${flaw}`);
    },
  });
  try {
    results.ciphers = await ciphers(labs, peers);
    for (const [name, cipher] of Object.entries(results.ciphers)) console.log(`${name} runs ${cipher}`);
    const measureOne = createMeasure(results);
    for (let round = 0; round < rounds; round++) {
      for (const measurement of chosen.measurements) {
        doing = measurement.rows;
        const order = peersOf(measurement, peers);
        for (const peer of round % 2 ? order.toReversed() : order) {
          const values = await measureOne(labs, measurement, peer);
          measurement.rows.forEach((id, index) => {
            const row = (results.values[id] ??= {});
            const value = values?.[index] ?? NaN;
            (row[peer] ??= [])[round] = Number.isFinite(value) ? value : null;
          });
        }
        console.error(`${round + 1}/${rounds} ${progress(results, measurement, round)}`);
      }
    }
    const line = labs.line();
    if (line !== undefined) results.line = line;
  } finally {
    await labs.close();
  }
  report(results, chosen);
  return results.flaws.length > 0 ? 1 : 0;
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

/** Measures beside as little other work as can be had; the values are none where it failed. */
function createMeasure(results: Results) {
  const { eachMs, allMs, tries } = patienceOf[results.size];
  let patienceMs = allMs;
  return async (labs: Labs, measurement: Measurement, peer: PeerName): Promise<readonly number[] | undefined> => {
    let best: { values: readonly number[]; cores: number } | undefined;
    for (let i = 0; i < tries; i++) {
      patienceMs -= await untilQuiet(Math.min(eachMs, patienceMs));
      const otherWork = watchOtherWork();
      try {
        const values = await measurement.measure(labs.of(peer));
        const cores = otherWork();
        if (!best || cores < best.cores) best = { values, cores };
      } catch (error) {
        const titles = measurement.rows.map((id) => rowOf(id).title).join(' and ');
        results.gaps.push(`${peer}, ${titles}: ${error instanceof Error ? error.message : String(error)}`);
        await labs.forget(peer);
        break;
      }
      if (best.cores < quietCores) break;
    }
    if (!best) return undefined;
    results.measured += 1;
    if (best.cores >= quietCores) results.disturbed += 1;
    return best.values;
  };
}

function progress({ values }: Results, { rows: ids }: Measurement, round: number): string {
  return ids
    .map((id) => {
      const row = Object.entries(values[id] ?? {}).map(([name, all]) => `${name} ${all[round]?.toFixed(1) ?? '–'}`);
      return `${rowOf(id).title} (${rowOf(id).unit}): ${row.join(', ')}`;
    })
    .join('; ');
}

function report(results: Results, { json, markdown }: BenchArguments): void {
  console.log(`\n${tableText(results)}`);
  if (results.gaps.length > 0) console.log(`\nNot measured:\n${results.gaps.join('\n')}`);
  if (results.flaws.length > 0) console.log(`\nWrong bytes:\n${results.flaws.join('\n')}`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, null, 1)}\n`);
  if (markdown !== undefined) writeFileSync(markdown, tableMarkdown(results));
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  },
);
