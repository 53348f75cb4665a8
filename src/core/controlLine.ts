// The small command line of a live connection, as `~C` has it in ssh: forwards are added and cancelled.
import type { CommandProblem, Failure } from './failure.js';
import {
  forwardKindOf,
  forwardWords,
  parseForward,
  type Environment,
  type ForwardKind,
  type ForwardSpec,
  type Listen,
} from './forwardSpec.js';
import { t } from './translate.js';

/** Which forward a line cancels: its kind and where it listens. */
export interface Cancelled {
  forward: ForwardKind;
  listen: Listen;
}

export type ControlLine =
  | { kind: 'add'; spec: ForwardSpec }
  | ({ kind: 'cancel' } & Cancelled)
  | { kind: 'help' | 'empty' }
  | { kind: 'refused'; failure: Failure };

/** What `?` says. */
export function controlLineHelp(): string {
  return t(`-L [bind_address:]port:host:hostport   add a local forward
-R [bind_address:]port:host:hostport   add a remote forward
-R [bind_address:]port                 add a remote SOCKS proxy
-D [bind_address:]port                 add a local SOCKS proxy
-KL [bind_address:]port                cancel a local forward
-KR [bind_address:]port                cancel a remote forward
-KD [bind_address:]port                cancel a SOCKS proxy
A path may stand for [bind_address:]port and for host:hostport: a Unix socket.`);
}

/** Parses a line. As in ssh the dash may be missing and a blank may stand before the forward. */
export function parseControlLine(text: string, env: Environment = {}): ControlLine {
  const refuse = (at: number, problem: CommandProblem): ControlLine => ({
    kind: 'refused',
    failure: { kind: 'badCommand', text, at, problem },
  });
  const line = text.trimEnd();
  const start = line.length - line.trimStart().length;
  if (line === '') return { kind: 'empty' };
  if (/^-?(\?|h|help)$/i.test(line.slice(start))) return { kind: 'help' };
  const [front, cancels, letter] = /^\s*-?(K?)([LRD])\s*/.exec(line) ?? [];
  if (front === undefined) return refuse(start, { kind: line[start] === '!' ? 'shell' : 'line', text: line.trim() });
  const forward = forwardKindOf(`-${letter}`)!;
  // A cancelled forward is named by its listening end, which is all that -D and a remote SOCKS forward have.
  const read = cancels && forward === 'local' ? 'dynamic' : forward;
  const result = parseForward(read, line.slice(front.length), env, { auto: true });
  if (!result.ok) {
    const at = Math.min(front.length + result.failure.at, text.length);
    if (cancels && result.failure.problem.kind === 'tooManyFields') return refuse(at, { kind: 'cancelTarget' });
    return { kind: 'refused', failure: { ...result.failure, text, at } };
  }
  const { spec } = result;
  if (!cancels) return { kind: 'add', spec };
  if (spec.kind === 'remote' && spec.target.kind !== 'socks') return refuse(front.length, { kind: 'cancelTarget' });
  return { kind: 'cancel', forward, listen: spec.listen };
}

/** A forward of a connection. `port` is the one that was allocated where the spec leaves it open. */
export interface ListeningForward {
  spec: ForwardSpec;
  port?: number;
}

/** Whether a forward is the cancelled one: nothing means localhost, empty means `*`, and names have no case. */
export function matchesListen({ spec, port }: ListeningForward, { forward, listen }: Cancelled): boolean {
  if (spec.kind !== forward) return false;
  if (spec.listen.kind === 'unix' || listen.kind === 'unix')
    return spec.listen.kind === 'unix' && listen.kind === 'unix' && spec.listen.path === listen.path;
  return (
    hasPort({ spec, ...(port !== undefined && { port }) }, listen) && meaning(spec.listen.bind) === meaning(listen.bind)
  );
}

function hasPort({ spec, port }: ListeningForward, listen: Listen): boolean {
  return (
    spec.listen.kind === 'tcp' && listen.kind === 'tcp' && (spec.listen.port === listen.port || port === listen.port)
  );
}

function meaning(bind: string | undefined): string {
  return bind === '' ? '*' : (bind ?? 'localhost').toLowerCase();
}

/** The forwards that a line cancels; when there is none, the failure names those on the same port. */
export function findCancelled<T extends ListeningForward>(
  forwards: readonly T[],
  cancelled: Cancelled,
): { ok: true; forwards: readonly T[] } | { ok: false; failure: Failure } {
  const found = forwards.filter((forward) => matchesListen(forward, cancelled));
  if (found.length > 0) return { ok: true, forwards: found };
  const near = forwards.filter((forward) => hasPort(forward, cancelled.listen)).map(cancelLine);
  return { ok: false, failure: { kind: 'noSuchForward', line: printCancel(cancelled), near } };
}

/** The line that cancels a forward: `-KL 8080`. */
export function cancelLine({ spec, port }: ListeningForward): string {
  const { listen } = spec;
  const isOpen = listen.kind === 'tcp' && listen.port === 0 && port !== undefined;
  return printCancel({ forward: spec.kind, listen: isOpen ? { ...listen, port } : listen });
}

function printCancel({ forward, listen }: Cancelled): string {
  const [where] = forwardWords(
    forward === 'remote' ? { kind: 'remote', listen, target: { kind: 'socks' } } : { kind: 'dynamic', listen },
  );
  return `-K${{ local: 'L', remote: 'R', dynamic: 'D' }[forward]} ${where}`;
}
