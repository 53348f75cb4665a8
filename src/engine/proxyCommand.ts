// ProxyCommand: a program of the user's own, whose standard input and output are the connection.
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { Duplex, type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../core/failure.js';
import { printable } from '../core/printable.js';
import { withinTime } from './withinTime.js';

export interface ProxyCommand {
  /** Its standard input and output. Destroying it ends the program and all that it started; closed when they are gone. */
  socket: Duplex;
  /**
   * How it ended: `code` is its exit code, the signal that ended it, or the system's error when it could not be run;
   * absent: it runs on. `said`: the last line on its standard error; printable, may be empty. Never rejects.
   */
  ended(): Promise<{ code?: number | string; said: string }>;
}

/** How long its last words may take when it has ended, in milliseconds. */
const wordsMs = 200;
/** How long it may take to end by itself when it is told to, in milliseconds. */
const patienceMs = 500;
/** What it says is the user's own debug output: one that never stops must not fill the log. */
const mostLines = 200;

/** Starts the command, its tokens expanded; what it says on its standard error goes to the log. Never throws. */
export function openProxyCommand(command: string, log: (text: string) => void): ProxyCommand {
  const { file, args, options } = shellCall(command, process.env, process.platform === 'win32');
  let child: ChildProcess;
  try {
    child = spawn(file, args, { ...options, stdio: 'pipe' });
  } catch (error) {
    return notStarted(errorCode(error));
  }
  let failed: string | undefined;
  child.on('error', (error) => {
    failed ??= errorCode(error);
    socket.destroy();
  });
  const { pid, stdin, stdout, stderr } = child;
  let isHeard = false;
  let isGone = pid === undefined;
  let said = '';
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      // Its number may be another's soon, unless those that it started still have it for their group's.
      if (pid === undefined || !signalGroup(pid, 0)) isGone = true;
      resolve();
    });
    if (pid === undefined) child.once('error', () => resolve());
  });
  const take = (data: Buffer) => {
    isHeard = true;
    if (!socket.push(data)) stdout?.pause();
  };
  const socket = new Duplex({
    read: () => void stdout?.resume(),
    write: (data: Buffer, _encoding, done) => void stdin?.write(data, done),
    final: (done) => void stdin?.end(() => done()),
    destroy(error, done) {
      stdout?.removeListener('data', take);
      stdin?.destroy();
      stdout?.destroy();
      void end().then(() => {
        // Something that left the group may hold it open, as a master that ssh leaves behind does.
        stderr?.destroy();
        done(error);
      });
    },
  });
  const end = async () => {
    if (!isGone && pid !== undefined) await endGroup(pid);
    await withinTime(wordsMs, exited);
  };
  socket.on('error', () => {});
  stdin?.on('error', (error) => socket.destroy(error));
  stdout?.on('error', (error) => socket.destroy(error));
  stdout?.on('data', take);
  const outputEnded = stdout ? once(stdout, 'end').catch(() => {}) : Promise.resolve();
  // Its exit code and its last words may come a moment later; one that went without a word has ended all the same when
  // something else still holds its output.
  void outputEnded.then(() => withinTime(wordsMs, exited)).then(() => socket.push(null));
  void exited
    .then(() => withinTime(wordsMs, outputEnded))
    .then(() => {
      if (!isHeard) socket.push(null);
    });
  if (stderr)
    readLines(stderr, (line, count) => {
      said = line;
      if (count <= mostLines) log(`ProxyCommand: ${line}`);
      if (count === mostLines) log('ProxyCommand says more, which is left out.');
    });
  return {
    socket,
    async ended() {
      await withinTime(wordsMs, exited);
      const code = failed ?? child.exitCode ?? child.signalCode;
      return { ...(code !== null && { code }), said };
    },
  };
}

function notStarted(code: string): ProxyCommand {
  const socket = new Duplex({ read: () => {}, write: (_data, _encoding, done) => done() });
  socket.on('error', () => {});
  socket.destroy();
  return { socket, ended: () => Promise.resolve({ code, said: '' }) };
}

/** What is run for a command: on Unix what ssh runs, on Windows the shell that finds all that a terminal finds. */
export function shellCall(
  command: string,
  env: Readonly<Record<string, string | undefined>>,
  windows: boolean,
): { file: string; args: string[]; options: SpawnOptions } {
  if (!windows)
    return { file: env['SHELL'] || '/bin/sh', args: ['-c', `exec ${command}`], options: { detached: true } };
  return {
    file: env['ComSpec'] || 'cmd.exe',
    args: ['/d', '/s', '/c', `"${command}"`],
    options: {
      windowsVerbatimArguments: true,
      windowsHide: true,
      // Nothing is run because it lies in the folder that happens to be the current one.
      env: { ...env, NoDefaultCurrentDirectoryInExePath: '1' },
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
function readLines(stream: Readable, onLine: (line: string, count: number) => void): void {
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
