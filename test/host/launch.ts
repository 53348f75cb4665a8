// Runs the tests of out/host inside a real VS Code, with the repository's own extension under development.
// A desktop VS Code when VSCODE_PATH names one or when there is a display to download one for; else VS Code's server with a browser.
import { runTests } from '@vscode/test-electron';
import { createWriteStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchBrowser } from '../support/browser';
import { countsVariable, failureText, type Counts } from '../support/counts';
import { canServeVsCode, repositoryRoot, startVsCode } from '../support/vscodeServer';
import { resultsVariable, type ResultLine } from './resultLine';

const testsPath = join(repositoryRoot, 'out/host/index');
const timeLimitMs = Number(process.env['SSH_TUNNELS_HOST_TIMEOUT_MS'] ?? 300_000);

type Outcome = { readonly kind: 'ended'; readonly code: number } | { readonly kind: 'timeout' };

async function main(): Promise<number> {
  const tmp = await mkdtemp(join(tmpdir(), 'ssh-tunnels-host-'));
  try {
    const results = join(tmp, 'results.jsonl');
    const folder = join(tmp, 'workspace');
    await mkdir(folder);
    writeFileSync(results, '');
    const env = { [resultsVariable]: results, SSH_TUNNELS_TEST_TMP: tmp };
    const outcome = await runSomewhere({ tmp, folder, env });
    return report(outcome, readResults(results), tmp);
  } finally {
    await rm(tmp, { recursive: true, force: true, maxRetries: 10 });
  }
}

interface Run {
  readonly tmp: string;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

async function runSomewhere(run: Run): Promise<Outcome> {
  const executable = process.env['VSCODE_PATH'];
  const hasDisplay = process.platform !== 'linux' || Boolean(process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY']);
  if (executable) {
    console.log(`VS Code: ${executable}`);
    return runOnDesktop(run, executable);
  }
  if (!canServeVsCode || (hasDisplay && !process.env['CI'])) {
    console.log('VS Code: the latest desktop release, downloaded');
    try {
      return await runOnDesktop(run, undefined);
    } catch (error) {
      if (!canServeVsCode) throw error;
      console.log(`That didn't work out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  console.log('VS Code: its server from the npm package code-server, in a headless Chromium');
  return runInBrowser(run);
}

/** A failing test and a VS Code that doesn't start both end it with an exception: what the tests wrote tells them apart. */
async function runOnDesktop(run: Run, vscodeExecutablePath: string | undefined): Promise<Outcome> {
  const profile = ['--user-data-dir', join(run.tmp, 'user'), '--extensions-dir', join(run.tmp, 'extensions')];
  const running = runTests({
    ...(vscodeExecutablePath
      ? { vscodeExecutablePath }
      : { cachePath: join(repositoryRoot, 'node_modules/.cache/vscode') }),
    extensionDevelopmentPath: repositoryRoot,
    extensionTestsPath: testsPath,
    extensionTestsEnv: run.env,
    launchArgs: [run.folder, ...profile, '--disable-extensions'],
  }).then(
    (code): Outcome => ({ kind: 'ended', code }),
    (error: unknown): Outcome => {
      if (readResults(run.env[resultsVariable] ?? '').length === 0) throw error;
      return { kind: 'ended', code: 1 };
    },
  );
  process.once('SIGTERM', () => {
    endDesktop();
    process.exit(1);
  });
  const outcome = await withTimeLimit(running);
  if (outcome.kind === 'timeout') endDesktop();
  return outcome;
}

/** test-electron ends the VS Code that it started at a second Ctrl+C, and in no other way. */
function endDesktop(): void {
  process.emit('SIGINT');
  process.emit('SIGINT');
}

async function runInBrowser(run: Run): Promise<Outcome> {
  const vscode = await startVsCode({ tmp: run.tmp, smoke: true, env: run.env });
  try {
    const browser = await launchBrowser();
    try {
      const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
      const page = await context.newPage();
      const log = createWriteStream(join(run.tmp, 'console.log'));
      await page.exposeFunction('codeAutomationLog', (type: string, args: unknown[]) => {
        log.write(`[${type}] ${args.join(' ')}\n`);
        if (process.env['SSH_TUNNELS_VERBOSE']) console.log(`  [${type}]`, ...args);
      });
      const ended = new Promise<Outcome>((done) => {
        void page.exposeFunction('codeAutomationExit', (code: number) => done({ kind: 'ended', code }));
      });
      await page.goto(vscode.url(run.folder, { dev: repositoryRoot, tests: testsPath }));
      return await withTimeLimit(ended);
    } finally {
      await browser.close();
    }
  } finally {
    await vscode.stop();
  }
}

async function withTimeLimit(running: Promise<Outcome>): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<Outcome>((done) => {
    timer = setTimeout(() => done({ kind: 'timeout' }), timeLimitMs);
  });
  try {
    return await Promise.race([running, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function readResults(file: string): ResultLine[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as ResultLine);
}

/** Prints each test's fate and gives the exit code. */
function report(outcome: Outcome, lines: readonly ResultLine[], tmp: string): number {
  console.log('');
  for (const line of lines) {
    if (line.kind === 'pass') console.log(`  ✔ ${line.title} (${line.ms}ms)`);
    if (line.kind === 'say') console.log(`    ${line.text}`);
    if (line.kind === 'skip') console.log(`  - ${line.title}`);
    if (line.kind === 'fail') console.log(`  ✘ ${line.title}\n${indented(line.error)}`);
  }
  const count = (kind: ResultLine['kind']) => lines.filter((line) => line.kind === kind).length;
  const complete = count('end') > 0 && outcome.kind === 'ended';
  const failures = lines.flatMap((line) => (line.kind === 'fail' ? [failureText(line.title, line.error)] : []));
  if (!complete) {
    const last = lines.at(-1);
    const where = last?.kind === 'begin' ? ` in: ${last.title}` : '';
    const what =
      outcome.kind === 'timeout' ? `no end after ${timeLimitMs / 1000} s` : `VS Code ended with ${outcome.code}`;
    const unfinished = `the extension host didn't finish${where} (${what})`;
    failures.push(unfinished);
    console.log(`  ✘ ${unfinished}`);
    for (const name of ['console.log', 'server.log']) {
      const log = join(tmp, name);
      if (existsSync(log)) console.log(indented(`${name}:\n${readFileSync(log, 'utf8').slice(-1500)}`));
    }
  }
  const counts: Counts = { passed: count('pass'), failed: failures.length, skipped: count('skip'), failures };
  console.log(`\n  ${counts.passed} passing, ${counts.failed} failing, ${counts.skipped} pending\n`);
  const file = process.env[countsVariable];
  if (file) writeFileSync(file, JSON.stringify(counts));
  // An extension host that dies at its start reports success: only tests that passed are proof.
  const noneButAllowed = counts.passed === 0 && !process.env['SSH_TUNNELS_GREP'];
  return counts.failed > 0 || noneButAllowed || (outcome.kind === 'ended' && outcome.code !== 0) ? 1 : 0;
}

function indented(text: string): string {
  return text.replace(/^/gm, '      ');
}

main().then(
  // Not by itself: an Electron that outlived the time limit would keep this process.
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
