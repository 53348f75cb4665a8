// What `npm test` runs: npm test [-- [core] [engine] [host] [ui] [--grep text]]; all levels unless some are named.
// Its last line is the sum, "N passed, N failed" with ", N skipped" where some were.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { countsVariable, type Counts } from './support/counts';
import { dropbearPackages, whyNoDropbear } from './support/dropbear';
import { onEndRequested } from './support/endRequested';
import { installedVariable, packageVariable, packExtension } from './support/packExtension';
import { postgresPackage } from './support/postgres';
import { ensureSystemPackages, packageWith, sshPackages, type SystemPackage } from './support/systemPackages';
import { canServeVsCode, ensureVsCodeHost, repositoryRoot, type Edition } from './support/vscodeServer';

const levels = ['core', 'engine', 'host', 'ui'] as const;
type Level = (typeof levels)[number];

/** Tests of dropbear, of a database, and of a network that loses packets, are skipped where these can't be had. */
const packagesOfSomeTests: readonly SystemPackage[] = [
  ...dropbearPackages.map((name) => ({ name, isThere: () => whyNoDropbear() === undefined })),
  ...(process.platform === 'linux' ? [packageWith('nftables', 'nft'), postgresPackage] : []),
];

const levelTimeLimitMs = 15 * 60_000;
const exitTimeLimitMs = 10_000;
const tsx = join(repositoryRoot, 'node_modules/tsx/dist/cli.mjs');
const mocha = join(repositoryRoot, 'node_modules/mocha/bin/mocha.js');

/** In the environment of all that a run starts, so that what is left at its end can be told from other people's processes. */
const runVariable = 'SSH_TUNNELS_TEST_RUN';
const runId = randomUUID();

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { grep: { type: 'string', short: 'g' } },
});
const chosen = levels.filter((level) => positionals.length === 0 || positionals.includes(level));
let running: ChildProcess | undefined;

onEndRequested(() => {
  if (running) signalGroup(running, 'SIGKILL');
  void endLeftovers().then(() => process.exit(1));
});

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);

async function main(): Promise<number> {
  const unknown = positionals.filter((name) => !levels.some((level) => level === name));
  if (unknown.length > 0) throw new Error(`No such level: ${unknown.join(', ')}. There are ${levels.join(', ')}.`);
  // On Windows there is no sshd that tests could start: what runs there is chosen with --grep.
  if (chosen.some((level) => level !== 'core') && process.platform !== 'win32')
    ensureSystemPackages(sshPackages, packagesOfSomeTests);
  if (chosen.some((level) => level !== 'core')) await build();
  // Outside of every time limit of a test, and while those run that need no VS Code.
  const downloads = Promise.all(editionsOf(chosen).map(ensureVsCodeHost));
  downloads.catch(() => {}); // awaited below
  const wantsPackage = chosen.some((level) => level === 'ui' || level === 'engine');
  if (wantsPackage && values.grep === undefined) process.env[packageVariable] = packExtension();

  const tmp = mkdtempSync(join(tmpdir(), 'ssh-tunnels-test-'));
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const failures: string[] = [];
  let flawless = true;
  try {
    for (const level of chosen) {
      if (editionsOf([level]).length > 0) await downloads;
      const outcome = await runLevel(level, join(tmp, `${level}.json`));
      sum.passed += outcome.counts.passed;
      sum.failed += outcome.counts.failed;
      sum.skipped += outcome.counts.skipped;
      failures.push(...outcome.counts.failures.map((text) => `${level}: ${text}`));
      if (outcome.complaint) {
        const complaint = `${level}: ${outcome.complaint}`;
        failures.push(complaint);
        console.log(complaint);
        flawless = false;
        if (outcome.counts.failed === 0) sum.failed += 1; // so that the last line never looks well when the run isn't
      }
    }
  } finally {
    rmSync(tmp, { recursive: true, force: true });
  }
  const leftovers = await endLeftovers();
  if (leftovers.length > 0) console.log(`Left running by the tests, ended now: ${leftovers.join('; ')}`);
  if (sum.passed === 0 && sum.failed === 0) {
    console.log('No test ran.');
    flawless = false;
  }

  if (failures.length > 0) console.log(`\nWhat failed:\n\n${failures.join('\n\n')}`);
  console.log(`\n${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`);
  return flawless && sum.failed === 0 ? 0 : 1;
}

/** Those of VS Code that tests of these levels run in. */
function editionsOf(of: readonly Level[]): Edition[] {
  if (!canServeVsCode) return [];
  if (of.includes('ui')) return ['newest', 'minimum'];
  return of.includes('host') ? ['newest'] : [];
}

interface LevelOutcome {
  readonly counts: Counts;
  readonly complaint?: string;
}

async function runLevel(level: Level, countsFile: string): Promise<LevelOutcome> {
  console.log(`\n=== ${level}`);
  const none: Counts = { passed: 0, failed: 0, skipped: 0, failures: [] };
  if (testFilesOf(level).length === 0) return { counts: none, complaint: `no test file in test/${level}` };

  const started = Date.now();
  const child = spawn(process.execPath, commandOf(level), {
    cwd: repositoryRoot,
    stdio: 'inherit',
    detached: true,
    env: {
      ...process.env,
      [countsVariable]: countsFile,
      [runVariable]: runId,
      [installedVariable]: join(dirname(countsFile), 'installed'),
      ...(values.grep === undefined ? {} : { SSH_TUNNELS_GREP: values.grep }),
    },
  });
  running = child;
  const end = await endOf(child, countsFile);
  running = undefined;
  signalGroup(child, 'SIGKILL');
  console.log(`${level}: ${((Date.now() - started) / 1000).toFixed(1)} s`);

  const counts = existsSync(countsFile) ? (JSON.parse(readFileSync(countsFile, 'utf8')) as Counts) : undefined;
  if (!counts) return { counts: none, complaint: `ended before its tests did (${end})` };
  if (end === 'open handles') {
    return { counts, complaint: 'its tests are over but the process goes on: something is still open' };
  }
  if (counts.passed + counts.failed === 0 && values.grep === undefined) return { counts, complaint: 'no test ran' };
  if (end !== 'exit 0' && counts.failed === 0) return { counts, complaint: `ended with ${end}` };
  return { counts };
}

/** The largest first: one of those that take longest, begun last, would keep the others' processors idle. */
function testFilesOf(level: Level): string[] {
  const folder = join(repositoryRoot, 'test', level);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => ({ path: join('test', level, name), size: statSync(join(folder, name)).size }))
    .sort((one, other) => other.size - one.size)
    .map(({ path }) => path);
}

function commandOf(level: Level): string[] {
  if (level === 'host') return [tsx, 'test/host/launch.ts'];
  const args = [mocha, '--reporter', 'test/support/specAndCounts.ts', ...testFilesOf(level)];
  args.push('--parallel', '--jobs', String(jobsOf(level)));
  if (level === 'ui') args.push('--timeout', '120000');
  if (values.grep !== undefined) args.push('--grep', values.grep);
  return args;
}

function jobsOf(level: Exclude<Level, 'host'>): number {
  // Most of its time the engine's level waits: for servers, and for what must not come.
  if (level === 'engine') return Math.max(4, availableParallelism());
  // One window keeps a processor and a half busy.
  return Math.max(2, level === 'ui' ? Math.floor(availableParallelism() / 1.5) : availableParallelism());
}

/** A process that still runs well after its counts were written has left a handle open: a leak, which the tests are to show. */
async function endOf(child: ChildProcess, countsFile: string): Promise<string> {
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended = signal ?? `exit ${code}`));
  const deadline = Date.now() + levelTimeLimitMs;
  let exitDeadline = Infinity;
  while (ended === undefined) {
    if (Date.now() > deadline) return 'time limit';
    if (exitDeadline === Infinity && existsSync(countsFile)) exitDeadline = Date.now() + exitTimeLimitMs;
    if (Date.now() > exitDeadline) return 'open handles';
    await sleep(50);
  }
  return ended;
}

async function build(): Promise<void> {
  const child = spawn(process.execPath, ['esbuild.mjs', '--tests'], { cwd: repositoryRoot, stdio: 'inherit' });
  const code = await new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('exit', done);
  });
  if (code !== 0) throw new Error(`The build failed (esbuild ended with ${code}).`);
}

function signalGroup(leader: ChildProcess, signal: NodeJS.Signals): void {
  if (leader.pid === undefined) return;
  try {
    process.kill(-leader.pid, signal);
  } catch {
    // the whole group has ended
  }
}

/** Ends what carries this run's mark and gives its command lines. Only Linux shows the environment of other processes. */
async function endLeftovers(): Promise<string[]> {
  const found = new Map<number, string>();
  for (let round = 0; round < 20; round++) {
    const marked = markedProcesses();
    if (marked.length === 0) break;
    for (const { pid, command } of marked) {
      // What had its signal from a level's own end may take a moment to be gone, and isn't a leftover.
      if (round >= 10) {
        found.set(pid, command);
        process.kill(pid, 'SIGKILL');
      }
    }
    await sleep(100);
  }
  return [...found.values()];
}

function markedProcesses(): { pid: number; command: string }[] {
  if (process.platform !== 'linux') return [];
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid);
  return pids.flatMap((pid) => {
    try {
      readlinkSync(`/proc/${pid}/exe`); // fails for one that has ended and waits to be reaped
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${runVariable}=${runId}`)) return [];
      return [{ pid, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() }];
    } catch {
      return []; // gone meanwhile, or another user's
    }
  });
}
