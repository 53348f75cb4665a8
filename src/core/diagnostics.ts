// "Copy Diagnostics": what one has to know who is to find out what went wrong elsewhere, without the names of hosts and users.
import { printDestination } from './destination.js';
import { eventText } from './eventText.js';
import { printSpec } from './forwardSpec.js';
import type { Logged } from './logFolding.js';
import { unplaced } from './machine.js';
import { stateText } from './present.js';
import { unseen } from './printable.js';
import { createRedaction, type Names, type Redaction } from './redaction.js';
import type { SessionState, Tunnel } from './session.js';
import { tunnelState } from './snapshot.js';
import { inEnglish } from './translate.js';
import { namesIn, unnamed } from './unnamed.js';
import { accessText, boundText, failureText } from './wording.js';

/** A name and what it has, such as a setting. */
export type Fact = readonly [name: string, value: string];

export interface Diagnostics {
  /** Of the extension, VS Code and what they run on. */
  versions: readonly Fact[];
  /** How many there are. */
  presets?: Fact;
  /** The extension's own, with their values. */
  settings: readonly (readonly [name: string, value: unknown])[];
  session: SessionState;
  /** When the engine's thread ended by itself, in ms since 1970. */
  engineEnds: readonly { at: number; detail: string; isRestarted: boolean }[];
  /** The oldest first. */
  log: readonly Logged[];
  /** Names that are to be hidden besides those of the tunnels and events, such as the hosts of ssh_config. */
  names: Names;
  /** The hosts of ssh_config could not be had, and are not among the names. */
  lacksConfigHosts?: boolean;
  /** ms since 1970 */
  now: number;
}

const head = `Names of hosts and users are replaced: host1, user1, or private1 and public1 for an address, the same one for the same name throughout; so are those of files and keys (name1, key1) that are not called so everywhere. What servers and programs said is left out (…), and so are names of tunnels and presets. No password, passphrase or key is in here. Read it through before you post it: a name that stood in the middle of other text may have been missed.`;
const lacking = `The hosts of ssh_config could not be read when this was made: look for their names in it with more care.`;

/** UTF-16 units of a line of the log. */
const longestLine = 2000;

/** The text as Markdown that reads well as it is. */
export function printDiagnostics(diagnostics: Diagnostics): string {
  return unplaced(() => inEnglish(() => printAll(diagnostics)));
}

function printAll(diagnostics: Diagnostics): string {
  const { versions, presets, settings, session, engineEnds, log, names, lacksConfigHosts, now } = diagnostics;
  const { tunnels } = session.wanted;
  const told = log.map(({ event, text }) => event ?? { kind: 'logged', text });
  const found = [names, namesIn(tunnels), namesIn(session.snapshot), namesIn(told)];
  const redaction = createRedaction({
    hosts: new Set(found.flatMap(({ hosts }) => [...hosts])),
    users: new Set(found.flatMap(({ users }) => [...users])),
  });
  const ends = engineEnds.map(
    ({ at, detail, isRestarted }) =>
      `${timeText(at)}  ${isRestarted ? 'started again' : 'stopped'}: ${redaction.text(cut(detail))}`,
  );
  return (
    [
      '# SSH Tunnels diagnostics',
      head,
      ...(lacksConfigHosts ? [lacking] : []),
      '## Versions',
      block(columns(versions)),
      '## Settings',
      block(
        columns([
          ...(presets ? [presets] : []),
          ...settings.map(([name, value]): Fact => [name, settingText(value, redaction)]),
        ]),
      ),
      `## Tunnels (${tunnels.length})`,
      block(tunnels.flatMap((tunnel, index) => tunnelLines(tunnel, index, session, redaction, now))),
      '## Ends of the engine',
      block(ends),
      `## Log, the last ${log.length} lines, up to ${timeText(now)}`,
      block(log.map((line) => `${timeText(line.at)} ${line.level.padEnd(7)} ${saidText(line, redaction)}`)),
    ].join('\n\n') + '\n'
  );
}

/** One word is a choice of the setting's, or none of anybody's. */
function settingText(value: unknown, redaction: Redaction): string {
  if (value === undefined) return 'none';
  if (typeof value !== 'string') return redaction.text(cut(JSON.stringify(value)));
  const text = cut(value);
  if (/[\\/]/.test(text)) return `"${redaction.path(text)}"`;
  return `"${/^[a-z]{0,20}$/i.test(text) ? text : redaction.text(text)}"`;
}

function tunnelLines(
  named: Tunnel,
  index: number,
  { snapshot }: SessionState,
  redaction: Redaction,
  now: number,
): string[] {
  const state = unnamed(tunnelState(named, snapshot), redaction);
  const tunnel = unnamed(named, redaction);
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
    ...('failure' in state && state.failure ? [failureText(state.failure)] : []),
  ];
  const name = `${printSpec(tunnel.spec)} through ${printDestination(tunnel.destination)}`;
  return [`${index + 1}. ${name}: ${stateText(tunnel, state)}`, ...notes.map((note) => `   ${note}`)];
}

/** What a server or a program said may hold anything. */
function saidText({ at, text, event = { kind: 'logged', level: 'info', text } }: Logged, redaction: Redaction): string {
  const [repeated = ''] = / \(\d+ more within a second\)$/.exec(text) ?? [];
  if (event.kind === 'serverSaid') {
    const { connection, host } = unnamed(event, redaction);
    const count = event.text.split('\n').length;
    return `${connection}: ${host} said ${count === 1 ? 'a line' : `${count} lines`}, left out here${repeated}`;
  }
  const short = event.kind === 'logged' ? { ...event, text: cut(event.text) } : event;
  const said = eventText(unnamed(short, redaction), at)?.text ?? '';
  return said.endsWith(repeated) ? said : said + repeated;
}

/** Before it is searched for names; with no half of a name at its end. */
function cut(text: string): string {
  return text.length > longestLine ? `${text.slice(0, longestLine).replace(/[^\s]{1,300}$/, '')}…` : text;
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
