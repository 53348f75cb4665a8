// A program of the user's own, and all that it starts.
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../core/failure.js';
import { printable } from '../core/printable.js';
import { withinTime } from './withinTime.js';

export interface Program {
  child: ChildProcess;
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  /** Resolves when it has ended, or could not be run; what it started may run on. */
  exited: Promise<void>;
  /** Its exit code, the signal that ended it, or the system's error when it could not be run; undefined while it runs. */
  code(): number | string | undefined;
  /** Ends it and all that it has started, by force if need be. Never rejects. */
  end(): Promise<void>;
}

/** How long its last words may take when it has ended, in milliseconds. */
export const wordsMs = 200;
/** How long it may take to end by itself when it is told to, in milliseconds. */
const patienceMs = 500;

/** Runs it with pipes, in a process group of its own where there are such. Throws the system's error where that can't be tried. */
export function startProgram(file: string, args: readonly string[], options: SpawnOptions): Program {
  const child = spawn(file, args, { ...options, stdio: 'pipe', detached: process.platform !== 'win32' });
  const { pid, stdin, stdout, stderr } = child;
  let failed: string | undefined;
  let isGone = pid === undefined;
  child.on('error', (error) => (failed ??= errorCode(error)));
  if (!stdin || !stdout || !stderr) throw Object.assign(new Error('no pipes'), { code: 'EMFILE' });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      // Its number may be another's soon, unless those that it started still have it for their group's.
      if (pid === undefined || !signalGroup(pid, 0)) isGone = true;
      resolve();
    });
    if (pid === undefined) child.once('error', () => resolve());
  });
  return {
    child,
    stdin,
    stdout,
    stderr,
    exited,
    code: () => failed ?? child.exitCode ?? child.signalCode ?? undefined,
    async end() {
      if (!isGone && pid !== undefined) await endGroup(pid);
      await withinTime(wordsMs, exited);
    },
  };
}

/** Ends a program and those that it started: SIGHUP as ssh does, then by force. */
async function endGroup(pid: number): Promise<void> {
  if (process.platform === 'win32') {
    const kill = spawn('taskkill', ['/pid', String(pid), '/t', '/f'], { stdio: 'ignore', windowsHide: true });
    await withinTime(patienceMs, new Promise((done) => kill.once('exit', done).once('error', done)));
    return;
  }
  signalGroup(pid, 'SIGHUP');
  for (const until = Date.now() + patienceMs; Date.now() < until; await sleep(20)) if (!signalGroup(pid, 0)) return;
  signalGroup(pid, 'SIGKILL');
}

/** False when the group is gone. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Calls `onLine` with each line that is not empty, fit to be shown, and how many there were. */
export function readLines(stream: Readable, onLine: (line: string, count: number) => void): void {
  let count = 0;
  let rest = '';
  const tell = (line: string) => {
    const text = printable(line.trim());
    if (text !== '') onLine(text, ++count);
  };
  stream.setEncoding('utf8');
  stream.on('error', () => {});
  stream.on('data', (text: string) => {
    const lines = `${rest}${text}`.split(/[\r\n]+/);
    // Nobody reads on where a line has no end.
    rest = lines.pop()!.slice(0, 1000);
    for (const line of lines) tell(line);
  });
  stream.on('end', () => tell(rest));
}
