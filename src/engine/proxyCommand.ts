// ProxyCommand: a program of the user's own, whose standard input and output are the connection.
import type { SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { errorCode } from '../core/failure.js';
import { readLines, startProgram, wordsMs, type Program } from './program.js';
import { streamSocket } from './streamSocket.js';
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

/** What it says is the user's own debug output: one that never stops must not fill the log. */
const mostLines = 200;

/** Starts the command, its tokens expanded; what it says on its standard error goes to the log. Never throws. */
export function openProxyCommand(command: string, log: (text: string) => void): ProxyCommand {
  const { file, args, options } = shellCall(command, process.env, process.platform === 'win32');
  let program: Program;
  try {
    program = startProgram(file, args, options);
  } catch (error) {
    return notStarted(errorCode(error));
  }
  const { child, stdin, stdout, stderr, exited } = program;
  let isHeard = false;
  let said = '';
  const socket = streamSocket(stdout, stdin, async () => {
    stdin.destroy();
    stdout.destroy();
    await program.end();
    // Something that left the group may hold it open, as a master that ssh leaves behind does.
    stderr.destroy();
  });
  child.on('error', () => socket.destroy());
  stdout.on('error', (error) => socket.destroy(error));
  stdout.once('data', () => (isHeard = true));
  const outputEnded = once(stdout, 'end').then(
    () => true,
    () => false,
  );
  stdin.on('error', (error) => {
    // One that takes no more may be about to say why.
    void withinTime(wordsMs, outputEnded).then((hasEnded) => {
      if (!hasEnded) socket.destroy(error);
    });
  });
  // Its exit code and its last words may come a moment later; one that went without a word has ended all the same when
  // something else still holds its output.
  void outputEnded.then(() => withinTime(wordsMs, exited)).then(() => socket.push(null));
  void exited
    .then(() => withinTime(wordsMs, outputEnded))
    .then(() => {
      if (!isHeard) socket.push(null);
    });
  readLines(stderr, (line, count) => {
    said = withoutCommand(line, command);
    if (count <= mostLines) log(`ProxyCommand: ${said}`);
    if (count === mostLines) log('ProxyCommand says more, which is left out.');
  });
  return {
    socket,
    async ended() {
      await withinTime(wordsMs, exited);
      const code = program.code();
      return { ...(code !== undefined && { code }), said };
    },
  };
}

/** bash quotes a command that it can't read, and a secret may stand among its arguments. */
function withoutCommand(line: string, command: string): string {
  if (!/\s/.test(command)) return line;
  return line.replaceAll(command, '…').replace(/`exec .*/, '`exec …');
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
  if (!windows) return { file: env['SHELL'] || '/bin/sh', args: ['-c', `exec ${command}`], options: {} };
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
