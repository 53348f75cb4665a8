// dist/tunnel.js: the engine from a terminal, with ssh's own flags. For scripts, tests and measurements.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { commandLineFailure, parseArguments, type TunnelCommand } from './core/commandLine.js';
import { controlLineHelp, findCancelled, parseControlLine, type ListeningForward } from './core/controlLine.js';
import type { EngineEvent, LogLevel } from './core/engine.js';
import { failureOf } from './core/failure.js';
import { printSpec, type ForwardSpec } from './core/forwardSpec.js';
import type { PlannedForward } from './core/plan.js';
import { boundText, failureText, listenedProblems, targetText } from './core/wording.js';
import { createEngine } from './engine/reconciler.js';
import { resolveOptions } from './engine/sshFiles.js';
import { askTerminal } from './engine/terminalAsk.js';

/** ssh's own exit status for whatever went wrong. */
const failedStatus = 255;

async function main(words: readonly string[]): Promise<number> {
  const parsed = parseArguments(words, process.env);
  if (parsed.kind === 'refused') {
    complain(commandLineFailure(parsed));
    return failedStatus;
  }
  if (parsed.kind === 'help') {
    process.stdout.write(`${parsed.text}\n`);
    return 0;
  }
  const { host, specs, verbose, print } = parsed.command;
  const log = (text: string, level?: LogLevel) => {
    // Otherwise the engine tells it once more.
    if (level === 'warning' && print) complain(`warning: ${text}`);
    else if (verbose) process.stderr.write(`debug: ${text}\n`);
  };
  const resolved = await resolveOptions(host, new AbortController().signal, log, specs).catch(failureOf);
  if ('kind' in resolved) {
    complain(failureText(resolved));
    return failedStatus;
  }
  const { printed, forwards } = resolved;
  if (print) {
    process.stdout.write(printed);
    return 0;
  }
  if (forwards.length === 0) {
    complain(commandLineFailure({ kind: 'refused', word: '', reason: { kind: 'noForward' } }));
    return failedStatus;
  }
  return run({ ...parsed.command, specs: forwards });
}

async function run({ host: asked, specs, verbose }: TunnelCommand): Promise<number> {
  // Without a terminal there is nobody to ask: the reason is told instead.
  const isInteractive = process.stdin.isTTY && process.stderr.isTTY;
  const host = isInteractive ? asked : { ...asked, options: [['BatchMode', 'yes'] as const, ...asked.options] };
  const id = host.destination.host;
  const engine = createEngine();
  /** With the port that was allocated where the forward leaves it open. */
  let forwards: readonly (PlannedForward & ListeningForward)[] = [];
  let numbers = 0;
  const apply = (next: typeof forwards) => {
    forwards = next;
    const planned = forwards.map(({ id, spec, run, wish }) => ({ id, spec, run, wish }));
    engine.apply({ connections: [{ id, host, forwards: planned, run: 0, reconnect: false }] });
  };
  const plan = (spec: ForwardSpec): PlannedForward => ({ id: String(numbers++), spec, run: 0, wish: 'exact' });
  const specOf = (forward: string) => forwards.find((other) => other.id === forward)?.spec;
  const change = (id: string, next: Partial<PlannedForward & ListeningForward>) =>
    forwards.map((forward) => (forward.id === id ? { ...forward, ...next } : forward));
  const without = (id: string) => forwards.filter((forward) => forward.id !== id);

  let status: number | undefined;
  let finish = () => {};
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const end = (code: number) => {
    status ??= code;
    finish();
  };
  /** Those of the command line that have not failed; when none is left there is nothing to do. */
  const hopeful = new Set<string>();
  const onEvent = (event: EngineEvent) => {
    switch (event.kind) {
      case 'connected':
        readLines((line) => control(line));
        break;
      case 'listening': {
        const spec = specOf(event.forward);
        if (!spec) break;
        const [first] = event.bound;
        if (first?.kind === 'tcp') forwards = change(event.forward, { port: first.port });
        const where = spec.kind === 'remote' ? ` on ${id}` : '';
        process.stdout.write(`${boundText(event.bound)}${where} -> ${targetText(spec)}\n`);
        for (const problem of listenedProblems(spec, event, id)) complain(`warning: ${problem}`);
        break;
      }
      case 'listenFailed':
        complain(failureText(event.failure));
        apply(without(event.forward));
        if (hopeful.delete(event.forward) && hopeful.size === 0) end(failedStatus);
        break;
      case 'drained':
        apply(without(event.forward));
        break;
      case 'channelFailed':
        complain(failureText(event.failure));
        break;
      case 'connectionFailed':
        complain(failureText(event.failure));
        end(failedStatus);
        break;
      case 'asked':
        void askTerminal(event.ask).then((reply) => engine.answer(event.ask.id, reply));
        break;
      case 'logged':
        if (event.level === 'warning') complain(`warning: ${event.text}`);
        else if (verbose) process.stderr.write(`debug: ${event.text}\n`);
        break;
      default:
        if (verbose) process.stderr.write(`debug: ${event.kind}\n`);
    }
  };
  /** A line of standard input, as `~C` takes it. What is cancelled listens no more; its connections go on, as in ssh. */
  const control = (text: string) => {
    const line = parseControlLine(text, process.env);
    switch (line.kind) {
      case 'add':
        return apply([...forwards, plan(line.spec)]);
      case 'cancel': {
        const found = findCancelled(
          forwards.filter(({ wish }) => wish === 'exact'),
          line,
        );
        if (!found.ok) return complain(failureText(found.failure));
        for (const { spec } of found.forwards) process.stdout.write(`cancelled ${printSpec(spec)}\n`);
        const ids = found.forwards.map((forward) => forward.id);
        return apply(forwards.map((forward) => (ids.includes(forward.id) ? { ...forward, wish: 'drain' } : forward)));
      }
      case 'help':
        return void process.stdout.write(`${controlLineHelp()}\n`);
      case 'refused':
        return complain(failureText(line.failure));
      case 'empty':
    }
  };
  engine.onEvent(onEvent);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => end(0));
  const first = specs.map(plan);
  for (const forward of first) hopeful.add(forward.id);
  apply(first);
  await finished;
  await engine.close();
  return status ?? 0;
}

/** Hands each line of standard input on; its end means that no more will come. */
function readLines(onLine: (line: string) => void): void {
  process.stdin.on('error', () => {});
  const lines = createInterface({ input: process.stdin, terminal: false }).on('line', onLine);
  const follow = () => {
    if (isBackground()) lines.pause();
    else lines.resume();
  };
  follow();
  process.on('SIGCONT', follow);
}

/** Whether a read from the terminal would stop us (SIGTTIN). */
function isBackground(): boolean {
  if (!process.stdin.isTTY || process.platform === 'win32') return false;
  try {
    const args = ['-o', 'pgid=', '-o', 'tpgid=', '-p', String(process.pid)];
    const [own, foreground] = execFileSync('ps', args, { encoding: 'utf8' }).trim().split(/\s+/);
    return own !== foreground;
  } catch {
    // Without ps: proc(5), pgrp and tpgid.
    const fields = existsSync('/proc/self/stat')
      ? readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)!.split(' ')
      : [];
    return fields[2] !== fields[5];
  }
}

function complain(text: string): void {
  process.stderr.write(`tunnel: ${text}\n`);
}

/** Runs it with the words of its command line, and ends the process. */
export function runCli(words: readonly string[]): void {
  // Whoever reads our lines may leave: the tunnels go on, as ssh's do.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  void main(words).then(
    (status) => process.exit(status),
    (error: unknown) => {
      complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
      process.exit(failedStatus);
    },
  );
}
