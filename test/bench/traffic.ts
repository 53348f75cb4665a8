// Runs traffic.c: servers, clients that end by themselves, and clients that are held until they are told to go on.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** What came of a client: numbers of bytes, and of connections that were cut, never came to be or were silent for too long. */
export interface Outcome {
  bytes: number;
  wrong: number;
  lost: number;
  extra: number;
  cut: number;
  /** Of bulk. */
  seconds?: number;
  /** Of echoes, in microseconds. */
  p50?: number;
  p99?: number;
  /** Of connections. */
  perSecond?: number;
  /** Of the first byte: seconds of the monotonic clock. */
  at?: number;
}

export interface Held {
  /** It is as far as it goes before it is told to go on. */
  ready: Promise<void>;
  goOn(): Promise<Outcome>;
}

export interface Server {
  port: number;
  stop(): Promise<void>;
}

export interface Traffic {
  run(...args: readonly (string | number)[]): Promise<Outcome>;
  hold(...args: readonly (string | number)[]): Held;
  /** `command` runs it elsewhere: in another network namespace. */
  serve(host: string, command?: readonly string[]): Promise<Server>;
}

/** Longer than any of its waits for a byte. */
const limitMs = 600_000;

/** What was flawed, in words; nothing when all bytes came back as they were. */
export function flawOf({ wrong, lost, extra, cut }: Outcome): string | undefined {
  const parts = [
    wrong > 0 && `${wrong} wrong`,
    lost > 0 && `${lost} lost`,
    extra > 0 && `${extra} too many`,
    cut > 0 && `${cut} cut or never made`,
  ];
  return parts.filter(Boolean).join(', ') || undefined;
}

/** `silenceMs`: a connection without a byte for so long counts as cut. */
export function createTraffic(program: string, silenceMs = 60_000): Traffic {
  const env = { ...process.env, TRAFFIC_SILENCE_MS: String(silenceMs) };
  const start = (args: readonly (string | number)[]) => {
    const child = spawn(program, args.map(String), { stdio: ['pipe', 'pipe', 'inherit'], timeout: limitMs, env });
    child.stdin.on('error', () => {});
    const lines: string[] = [];
    const reader = createInterface(child.stdout).on('line', (line) => lines.push(line));
    const outcome = once(child, 'close').then(([status]) => {
      const last = lines.at(-1);
      if (status !== 0 || !last?.startsWith('{')) throw new Error(`traffic ${args.join(' ')} ended with ${status}`);
      return JSON.parse(last) as Outcome;
    });
    return { child, reader, outcome };
  };
  return {
    run: (...args) => start(args).outcome,
    hold(...args) {
      const { child, reader, outcome } = start(args);
      outcome.catch(() => {});
      return {
        ready: Promise.race([once(reader, 'line'), outcome]).then(() => {}),
        goOn() {
          child.stdin.end();
          return outcome;
        },
      };
    },
    serve: (host, command = []) => startServer([...command, program, 'serve', host]),
  };
}

/** A program that prints its port first. */
async function startServer(command: readonly string[]): Promise<Server> {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  const port = Number(await firstLine(child));
  return {
    port,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}

/** Rejects where the program ends without a line. */
export async function firstLine(child: ChildProcess): Promise<string> {
  const ended = once(child, 'close').then(([status]) => {
    throw new Error(`${child.spawnargs.join(' ')} ended with ${status}`);
  });
  ended.catch(() => {});
  const [line] = (await Promise.race([once(createInterface(child.stdout!), 'line'), ended])) as [string];
  return line;
}
