// KnownHostsCommand: a program of the user's that prints lines of known_hosts.
import { once } from 'node:events';
import { isAbsolute } from 'node:path';
import type { Readable } from 'node:stream';
import { expandCommand, knownHostsCommand } from '../core/knownHostsCommand.js';
import { FailureError, errorCode } from '../core/failure.js';
import { parseKnownHosts, type KnownHost } from '../core/knownHosts.js';
import { orCancelled } from './openSocket.js';
import { readLines, startProgram, wordsMs, type Program } from './program.js';
import { withinTime } from './withinTime.js';

/** More than a host can have keys. */
const mostBytes = 1024 * 1024;
/** Of its standard error that go to the log. */
const mostLines = 200;
/** How long it may take, in milliseconds. */
const mostMs = 30_000;

/**
 * Runs it without a shell and reads what it prints; `tokens` are all that ssh knows for it. Throws a FailureError when it
 * can't be run, takes longer than `limitMs` or does not end well: a key that it would have revoked must not pass. When it is
 * called off, or fails so, all that it has started ends, too.
 */
export async function askKnownHostsCommand(
  command: string,
  tokens: Readonly<Record<string, string>>,
  signal: AbortSignal,
  log: (text: string) => void,
  limitMs = mostMs,
): Promise<KnownHost[]> {
  const expanded = expandCommand(command, tokens, process.env);
  const fail = (program: string, detail: string) =>
    new FailureError({ kind: 'knownHostsCommandFailed', program, detail });
  if (!expanded.ok) throw fail(command, expanded.detail);
  const [file, ...args] = expanded.words;
  // As in ssh: it is not looked for in the PATH.
  if (!isAbsolute(file)) throw fail(file, 'not an absolute path');
  if (signal.aborted) throw new FailureError({ kind: 'cancelled' });
  let program: Program;
  try {
    program = startProgram(file, args, { windowsHide: true });
  } catch (error) {
    throw fail(file, errorCode(error));
  }
  const { stdin, stdout, stderr, exited } = program;
  stdin.on('error', () => {}).end();
  const wordsEnded = once(stderr, 'end').catch(() => {});
  readLines(stderr, (line, count) => {
    if (count <= mostLines) log(`KnownHostsCommand: ${line}`);
  });
  const ending = readAll(stdout).then(async (printed) => {
    if (printed === undefined) throw fail(file, `it printed more than ${mostBytes / 1024 / 1024} MB`);
    await exited;
    return printed;
  });
  try {
    const printed = await withinTime(limitMs, orCancelled(ending, signal));
    if (printed === undefined) throw fail(file, `it took longer than ${limitMs / 1000} seconds`);
    await withinTime(wordsMs, wordsEnded);
    const code = program.code();
    if (code !== 0) throw fail(file, typeof code === 'number' ? `exit code ${code}` : String(code));
    return parseKnownHosts(printed.toString('latin1'), knownHostsCommand);
  } catch (error) {
    await program.end();
    throw error;
  } finally {
    stdout.destroy();
    stderr.destroy();
  }
}

/** Undefined when it is too much. */
async function readAll(stream: Readable): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let left = mostBytes;
  for await (const part of stream as AsyncIterable<Buffer>) {
    left -= part.length;
    if (left < 0) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
