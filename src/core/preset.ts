// Presets as the setting `sshTunnels.presets` holds them. A wrong one is named with its place; the good ones still work.
import * as v from 'valibot';
import { parseDestination, printDestination, type Destination } from './destination.js';
import type { SpecProblem } from './failure.js';
import { parseSpec, printSpec, type ForwardSpec } from './forwardSpec.js';
import { unseen } from './printable.js';
import type { NewTunnel } from './session.js';
import { destinationProblem, specProblem } from './wording.js';

/** Which settings file a preset came from; `folder` is the folder's name in a workspace of several. */
export type PresetScope = { kind: 'user' } | { kind: 'workspace' } | { kind: 'folder'; folder: string };

export interface Preset {
  name: string;
  destination: Destination;
  forwards: readonly ForwardSpec[];
  autoStart: boolean;
  /** `"connect": "onDemand"`: it listens at once, and connects when a client comes. Without remote forwards. */
  onDemand?: true;
  description?: string;
  scope: PresetScope;
}

export interface PresetProblem {
  /** `presets[2].forwards[0]` */
  place: string;
  message: string;
  scope: PresetScope;
}

/** A preset as written in settings.json. */
export interface StoredPreset {
  name: string;
  host: string;
  forwards: string[];
  autoStart?: boolean;
  connect?: 'now' | 'onDemand';
  description?: string;
}

const inWords: Readonly<Record<string, string>> = { Object: 'an object', Array: 'a list' };
const needed =
  (what: string) =>
  ({ received }: { received: string }) =>
    received === 'undefined' ? 'missing' : `${what} expected, not ${inWords[received] ?? received}`;

/** A text that is shown. Control and direction marks could make a row or a question read as another one. */
const noControls = v.check((text: string) => !unseen.test(text), 'a control character in the text');
const shownText = v.pipe(v.string(needed('a text')), noControls);

const storedPreset = v.strictObject(
  {
    name: v.pipe(shownText, v.trim(), v.nonEmpty('name is empty')),
    host: shownText,
    forwards: v.pipe(
      v.array(v.pipe(v.string(needed('a forward like "-L 5432:db:5432"')), noControls), needed('a list of forwards')),
      v.nonEmpty('no forward; add one like "-L 5432:db:5432"'),
    ),
    autoStart: v.optional(v.boolean(needed('true or false'))),
    connect: v.optional(v.picklist(['now', 'onDemand'], needed('"now" or "onDemand"'))),
    description: v.optional(shownText),
  },
  (issue) => (issue.expected === 'never' ? 'this name is not known here' : needed('an object')(issue)),
);

/** Reads the value of the setting in one scope. Never throws; anything may stand in a settings file. */
export function parsePresets(value: unknown, scope: PresetScope): { presets: Preset[]; problems: PresetProblem[] } {
  const presets: Preset[] = [];
  const problems: PresetProblem[] = [];
  const problem = (place: string, message: string) => problems.push({ place, message, scope });
  if (value === undefined || value === null) return { presets, problems };
  if (!Array.isArray(value)) {
    problem('presets', 'a list expected');
    return { presets, problems };
  }
  value.forEach((entry: unknown, index) => {
    const place = `presets[${index}]`;
    const before = problems.length;
    const stored = v.safeParse(storedPreset, entry);
    if (!stored.success) {
      for (const issue of stored.issues) problem(place + printPath(issue.path ?? []), issue.message);
      return;
    }
    const host = parseDestination(stored.output.host);
    if (!host.ok) problem(`${place}.host`, destinationProblem(host.failure.problem));
    const forwards = stored.output.forwards.flatMap((text, number) => {
      const result = parseSpec(text);
      if (result.ok) return [result.spec];
      problem(`${place}.forwards[${number}]`, forwardProblem(result.failure.problem));
      return [];
    });
    const onDemand = stored.output.connect === 'onDemand';
    if (onDemand && forwards.some(({ kind }) => kind === 'remote'))
      problem(
        `${place}.connect`,
        '"onDemand" is not for -R: a server listens only while it is connected; put the -R forwards into a preset of their own',
      );
    if (presets.some(({ name }) => name === stored.output.name))
      problem(`${place}.name`, `another preset is called “${stored.output.name}” already`);
    if (!host.ok || problems.length > before) return;
    const { name, autoStart = false, description } = stored.output;
    presets.push({
      name,
      destination: host.destination,
      forwards,
      autoStart,
      scope,
      ...(onDemand && { onDemand }),
      ...(description !== undefined && { description }),
    });
  });
  return { presets, problems };
}

/** A preset means the same for everyone who has it, whatever stands in their environment. */
function forwardProblem(problem: SpecProblem): string {
  if (problem.kind !== 'variable' || problem.name === '') return specProblem(problem);
  return `presets know no variables; write what \${${problem.name}} stands for`;
}

function printPath(path: readonly { key: unknown }[]): string {
  return path.map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
}

/** The preset as it is written to settings.json; `parsePresets` reads it back to the same. */
export function printPreset({
  name,
  destination,
  forwards,
  autoStart,
  onDemand,
  description,
}: Omit<Preset, 'scope'>): StoredPreset {
  return {
    name,
    host: printDestination(destination),
    forwards: forwards.map(printSpec),
    ...(autoStart && { autoStart }),
    ...(onDemand && { connect: 'onDemand' as const }),
    ...(description !== undefined && { description }),
  };
}

/**
 * The setting's value with the preset added, or put in the place of the one with its name, of which it keeps what tunnels
 * don't tell. Other entries stay as they are, wrong ones too.
 */
export function withPreset(value: unknown, preset: StoredPreset): unknown[] {
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  const index = list.findIndex((entry) => {
    const name = (entry as { name?: unknown } | null)?.name;
    return typeof name === 'string' && name.trim() === preset.name;
  });
  if (index < 0) return [...list, preset];
  const { connect: _, ...kept } = list[index] as { connect?: unknown };
  return list.with(index, { ...kept, ...preset });
}

/** The tunnels that a preset wants; one forward takes the preset's name as its label. */
export function presetTunnels(preset: Preset): NewTunnel[] {
  return preset.forwards.map((spec) => ({
    destination: preset.destination,
    spec,
    ...(preset.forwards.length === 1 && { label: preset.name }),
    ...(preset.scope.kind !== 'user' && { fromWorkspace: true }),
    ...(preset.onDemand && { onDemand: true }),
  }));
}

/** What a consent is given for: another host, forward or place makes it another preset; not when it connects. */
export function presetFingerprint(preset: Preset): string {
  return JSON.stringify([
    preset.scope,
    preset.name,
    printDestination(preset.destination),
    preset.forwards.map(printSpec),
    preset.autoStart,
  ]);
}
