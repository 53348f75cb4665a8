// "Copy Diagnostics": what one has to know who is to find out what went wrong elsewhere, without the names of hosts and users.
import { printDestination } from './destination.js';
import { printSpec } from './forwardSpec.js';
import type { Logged } from './logFolding.js';
import { stateText } from './present.js';
import { unseen } from './printable.js';
import { createRedaction, namesIn, type Names } from './redaction.js';
import type { SessionState, Tunnel } from './session.js';
import { tunnelState } from './snapshot.js';
import { accessText, boundText, failureText } from './wording.js';

/** A name and what it has, such as a setting. */
export type Fact = readonly [name: string, value: string];

export interface Diagnostics {
  /** Of the extension, VS Code and what they run on. */
  versions: readonly Fact[];
  /** The extension's own; presets as their number alone. */
  settings: readonly Fact[];
  session: SessionState;
  /** When the engine's thread ended by itself, in ms since 1970. */
  engineEnds: readonly { at: number; detail: string; isRestarted: boolean }[];
  /** The oldest first. */
  log: readonly Logged[];
  /** Names that are to be hidden besides those of the tunnels and events, such as the hosts of ssh_config. */
  names: Names;
  /** ms since 1970 */
  now: number;
}

const head = `Host and user names are replaced: host1, user1, or private1 and public1 for an address, the same one for the same name throughout. What servers and programs said is left out, and so are names of tunnels and presets. No password, passphrase or key is in here. Read it through before you post it: a name that stood in the middle of other text may have been missed.`;

/** UTF-16 units of a line of the log. */
const longestLine = 2000;

/** The text as Markdown that reads well as it is. */
export function printDiagnostics({ versions, settings, session, engineEnds, log, names, now }: Diagnostics): string {
  const { tunnels } = session.wanted;
  const events = log.flatMap(({ event }) => event ?? []);
  const found = [names, namesIn(tunnels), namesIn(session.snapshot), namesIn(events)];
  const redact = createRedaction({
    hosts: new Set(found.flatMap(({ hosts }) => [...hosts])),
    users: new Set(found.flatMap(({ users }) => [...users])),
  });
  const ends = engineEnds.map(
    ({ at, detail, isRestarted }) => `${timeText(at)}  ${isRestarted ? 'started again' : 'stopped'}: ${redact(detail)}`,
  );
  return (
    [
      '# SSH Tunnels diagnostics',
      head,
      '## Versions',
      block(columns(versions.map(([name, value]) => [name, redact(value)]))),
      '## Settings',
      block(columns(settings.map(([name, value]) => [name, redact(value)]))),
      `## Tunnels (${tunnels.length})`,
      block(tunnels.flatMap((tunnel, index) => tunnelLines(tunnel, index, session, now).map(redact))),
      '## Ends of the engine',
      block(ends),
      `## Log, the last ${log.length} lines, up to ${timeText(now)}`,
      block(log.map((line) => `${timeText(line.at)} ${line.level.padEnd(7)} ${redact(saidText(line))}`)),
    ].join('\n\n') + '\n'
  );
}

function tunnelLines(tunnel: Tunnel, index: number, { snapshot }: SessionState, now: number): string[] {
  const state = tunnelState(tunnel, snapshot);
  const marks = [
    ...(tunnel.wish === 'nextFree' ? ['on the next free port'] : []),
    ...(tunnel.automatic ? ['started with the window'] : []),
    ...(tunnel.fromWorkspace ? ['of the workspace'] : []),
    ...(tunnel.onDemand ? ['on demand'] : []),
  ];
  const notes = [
    ...(marks.length > 0 ? [marks.join(', ')] : []),
    ...(state.kind === 'ready'
      ? [
          `listens on ${boundText(state.bound) || 'nothing'}`,
          `who can connect: ${accessText(state.access, tunnel.spec.kind === 'remote' ? tunnel.destination.host : 'this machine', tunnel.spec.listen.kind)}`,
          ...state.unbound.map((failure) => failureText(failure)),
          ...(state.refused ? [`last client: ${failureText(state.refused)}`] : []),
        ]
      : []),
    ...(state.kind === 'retrying'
      ? [
          `attempt ${state.attempt}${state.retryAt === undefined ? '' : `, again in ${Math.max(0, (state.retryAt - now) / 1000).toFixed(1)} s`}`,
        ]
      : []),
    ...('failure' in state ? [failureText(state.failure)] : []),
  ];
  const name = `${printSpec(tunnel.spec)} through ${printDestination(tunnel.destination)}`;
  return [`${index + 1}. ${name}: ${stateText(tunnel, state)}`, ...notes.map((note) => `   ${note}`)];
}

/** What a server or a program said may hold anything. */
function saidText({ text, event }: Logged): string {
  if (event?.kind === 'serverSaid') {
    const count = event.text.split('\n').length;
    return `${event.connection}: ${event.host} said ${count === 1 ? 'a line' : `${count} lines`}, left out here`;
  }
  return text.replace(/(: (?:ProxyCommand|KnownHostsCommand|Debug output from server): ).*$/s, '$1…');
}

function timeText(at: number): string {
  return new Date(at).toISOString();
}

function columns(facts: readonly Fact[]): string[] {
  const width = Math.max(0, ...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

/** Lines as an indented block: nothing in them is read as Markdown. */
function block(lines: readonly string[]): string {
  if (lines.length === 0) return 'None.';
  return lines
    .flatMap((line) => line.slice(0, longestLine).split(/\r\n|\n|\r/))
    .map((line) => `    ${line.replace(new RegExp(unseen, 'gu'), '?').trimEnd()}`)
    .join('\n');
}
