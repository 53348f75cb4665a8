// ssh's command line, as far as it is about forwarding: what dist/tunnel.js takes.
import { parseDestination } from './destination.js';
import type { Failure } from './failure.js';
import { parseForward, printSpec, type Environment, type ForwardSpec } from './forwardSpec.js';
import { unsupportedForward, type HostRequest } from './plan.js';
import { isOverridable } from './sshConfig.js';
import { failureText } from './wording.js';

export interface TunnelCommand {
  host: HostRequest;
  specs: readonly ForwardSpec[];
  verbose: boolean;
}

export type ParsedArguments = { kind: 'command'; command: TunnelCommand } | { kind: 'help'; text: string } | Refused;

interface Refused {
  kind: 'refused';
  /** The option or word that can't be taken, as written. */
  word: string;
  reason:
    | { kind: 'unknown' | 'notYet' | 'noValue' | 'noDestination' | 'noForward' | 'command' }
    | { kind: 'failure'; failure: Failure };
}

const usage = `usage: tunnel [-Nv] [-F config_file] [-i identity_file] [-l login_name] [-o option=value] [-p port]
              -L [bind_address:]port:host:hostport [-L ...] destination`;

/** ssh(1)'s options that take a value; the rest are flags. */
const withValue = 'BbcDEeFIiJLlmOoPpQRSWw';
const known = 'FiLlNopvh';
const flags = 'AaCfGgKkMNnqsTtVvXxYy1246h';

/** Reads the words behind the program's name: flags may be joined (`-Nv`), values may follow at once (`-p22`). */
export function parseArguments(words: readonly string[], env: Environment): ParsedArguments {
  const options: [string, string][] = [];
  const specs: ForwardSpec[] = [];
  const rest: string[] = [];
  let configFile: string | undefined;
  let verbose = false;
  const queue = [...words];
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === '--') {
      rest.push(...queue.splice(0));
      break;
    }
    if (!/^-./.test(word)) {
      rest.push(word);
      // ssh takes what follows a destination's first word as a command, but options may still come between.
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!;
      const option = `-${letter}`;
      const refuse = (reason: Refused['reason']): Refused => ({ kind: 'refused', word: option, reason });
      if (!known.includes(letter)) return refuse({ kind: (withValue + flags).includes(letter) ? 'notYet' : 'unknown' });
      if (!withValue.includes(letter)) {
        if (letter === 'v') verbose = true;
        if (letter === 'h') return { kind: 'help', text: usage };
        continue;
      }
      const value = word.slice(at + 1) || queue.shift();
      if (value === undefined) return refuse({ kind: 'noValue' });
      if (letter === 'L') {
        const result = parseForward('local', value, env);
        const failure = result.ok ? unsupportedForward(result.spec) : result.failure;
        if (failure) return { kind: 'refused', word: `-L ${value}`, reason: { kind: 'failure', failure } };
        // As in ssh: an exact duplicate is no second forward.
        if (result.ok && !specs.some((spec) => printSpec(spec) === printSpec(result.spec))) specs.push(result.spec);
      } else if (letter === 'F') configFile = value;
      else if (letter === 'o') {
        const [, keyword = '', text = ''] = /^\s*([A-Za-z]\w*)\s*(?:=|\s)\s*(.*?)\s*$/.exec(value) ?? [];
        if (!isOverridable(keyword))
          return { kind: 'refused', word: `-o ${value}`, reason: { kind: keyword ? 'notYet' : 'unknown' } };
        options.push([keyword, text]);
      } else options.push([{ p: 'Port', l: 'User', i: 'IdentityFile' }[letter as 'p' | 'l' | 'i'], value]);
      break;
    }
  }
  const [where, extra] = rest;
  if (where === undefined) return { kind: 'refused', word: '', reason: { kind: 'noDestination' } };
  if (extra !== undefined) return { kind: 'refused', word: extra, reason: { kind: 'command' } };
  const destination = parseDestination(where);
  if (!destination.ok)
    return { kind: 'refused', word: where, reason: { kind: 'failure', failure: destination.failure } };
  if (specs.length === 0) return { kind: 'refused', word: '', reason: { kind: 'noForward' } };
  return {
    kind: 'command',
    command: {
      host: { destination: destination.destination, options, ...(configFile !== undefined && { configFile }) },
      specs,
      verbose,
    },
  };
}

/** What is wrong, with the word that is, in one line. */
export function commandLineFailure({ word, reason }: Refused): string {
  switch (reason.kind) {
    case 'unknown':
      return `unknown option ${word}\n${usage}`;
    case 'notYet':
      return `${word} is not supported yet`;
    case 'noValue':
      return `${word} needs a value\n${usage}`;
    case 'noDestination':
      return `destination missing\n${usage}`;
    case 'noForward':
      return `nothing to forward: add -L\n${usage}`;
    case 'command':
      return `${word}: no command is run at the destination; only forwards are\n${usage}`;
    case 'failure':
      return `${word}: ${failureText(reason.failure)}`;
  }
}
