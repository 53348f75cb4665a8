// dist/tunnel.js: the engine from a terminal, with ssh's own flags. For scripts, tests and measurements.
import { commandLineFailure, parseArguments } from './core/commandLine.js';
import { failureText, boundText, targetText } from './core/wording.js';
import type { Plan } from './core/plan.js';
import { createEngine } from './engine/reconciler.js';
import { askTerminal } from './engine/terminalAsk.js';

/** ssh's own exit status for whatever went wrong. */
const failedStatus = 255;

async function main(words: readonly string[]): Promise<number> {
  const parsed = parseArguments(words, process.env);
  if (parsed.kind === 'refused') {
    process.stderr.write(`tunnel: ${commandLineFailure(parsed)}\n`);
    return failedStatus;
  }
  if (parsed.kind === 'help') {
    process.stdout.write(`${parsed.text}\n`);
    return 0;
  }
  const { specs, verbose } = parsed.command;
  // Without a terminal there is nobody to ask: the reason is told instead.
  const isInteractive = process.stdin.isTTY && process.stderr.isTTY;
  const batch = isInteractive ? [] : [['BatchMode', 'yes'] as const];
  const host = { ...parsed.command.host, options: [...batch, ...parsed.command.host.options] };
  const id = host.destination.host;
  const plan: Plan = {
    connections: [
      {
        id,
        host,
        forwards: specs.map((spec, index) => ({ id: String(index), spec, run: 0, wish: 'exact' as const })),
        run: 0,
        reconnect: false,
      },
    ],
  };
  const engine = createEngine();
  let status: number | undefined;
  let finish = () => {};
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const end = (code: number) => {
    status ??= code;
    finish();
  };
  const listens = new Set<string>();
  engine.onEvent((event) => {
    switch (event.kind) {
      case 'listening':
        listens.add(event.forward);
        process.stdout.write(`${boundText(event.bound)} -> ${targetText(specs[Number(event.forward)]!)}\n`);
        for (const failure of event.unbound) process.stderr.write(`tunnel: warning: ${failureText(failure)}\n`);
        break;
      case 'listenFailed':
        process.stderr.write(`tunnel: ${failureText(event.failure)}\n`);
        listens.delete(event.forward);
        failedForwards.add(event.forward);
        if (failedForwards.size === specs.length) end(failedStatus);
        break;
      case 'channelFailed':
        process.stderr.write(`tunnel: ${failureText(event.failure)}\n`);
        break;
      case 'connectionFailed':
        process.stderr.write(`tunnel: ${failureText(event.failure)}\n`);
        end(failedStatus);
        break;
      case 'asked':
        void askTerminal(event.ask).then((reply) => engine.answer(event.ask.id, reply));
        break;
      case 'logged':
        if (verbose) process.stderr.write(`debug: ${event.text}\n`);
        break;
      default:
        if (verbose) process.stderr.write(`debug: ${event.kind}\n`);
    }
  });
  const failedForwards = new Set<string>();
  process.once('SIGINT', () => end(0));
  process.once('SIGTERM', () => end(0));
  process.once('SIGHUP', () => end(0));
  engine.apply(plan);
  await finished;
  await engine.close();
  return status ?? 0;
}

void main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    process.stderr.write(`tunnel: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(failedStatus);
  },
);
