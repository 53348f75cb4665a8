// KnownHostsCommand: a program of the user's that prints lines of known_hosts.
import { execFile } from 'node:child_process';
import { isAbsolute } from 'node:path';
import { expandCommand } from '../core/knownHostsCommand.js';
import { FailureError } from '../core/failure.js';
import { knownHostsCommand, parseKnownHosts, type KnownHost } from '../core/knownHosts.js';
import { printable } from '../core/printable.js';

/** More than a host can have keys. */
const mostBytes = 1024 * 1024;

/**
 * Runs it without a shell and reads what it prints; `tokens` are all that ssh knows for it. Throws a FailureError when it
 * can't be run or does not end well: a key that it would have revoked must not pass.
 */
export function askKnownHostsCommand(
  command: string,
  tokens: Readonly<Record<string, string>>,
  signal: AbortSignal,
  log: (text: string) => void,
): Promise<KnownHost[]> {
  const expanded = expandCommand(command, tokens, process.env);
  const fail = (program: string, detail: string) =>
    new FailureError({ kind: 'knownHostsCommandFailed', program, detail });
  if (!expanded.ok) return Promise.reject(fail(command, expanded.detail));
  const [program, ...args] = expanded.words;
  // As in ssh: it is not looked for in the PATH.
  if (!isAbsolute(program)) return Promise.reject(fail(program, 'not an absolute path'));
  return new Promise((resolve, reject) => {
    const options = { signal, maxBuffer: mostBytes, windowsHide: true, encoding: 'latin1' } as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      for (const line of stderr.split(/\r?\n/)) if (line) log(`KnownHostsCommand: ${printable(line)}`);
      if (!error) return resolve(parseKnownHosts(stdout, knownHostsCommand));
      const detail = typeof error.code === 'number' ? `exit code ${error.code}` : (error.signal ?? String(error.code));
      reject(fail(program, detail));
    }).stdin?.end();
  });
}
