// Presets as the setting `sshTunnels.presets` holds them. A wrong one is named with its place; the good ones still work.
import * as v from 'valibot';
import { printDestination, type Destination } from './destination.js';
import { printSpec, type ForwardSpec } from './forwardSpec.js';
import {
  fillForward,
  fillHost,
  hasVariables,
  inputsOf,
  namesFolder,
  type Answers,
  type Filled,
  type TextProblem,
  type VariableWorld,
} from './presetVariables.js';
import { unseen } from './printable.js';
import type { NewTunnel } from './session.js';
import { t } from './translate.js';

/** Which settings file a preset came from; `folder` is the folder's name in a workspace of several. */
export type PresetScope = { kind: 'user' } | { kind: 'workspace' } | { kind: 'folder'; folder: string };

export const presetColors = ['red', 'orange', 'yellow', 'green', 'blue', 'purple'] as const;
/** One of the theme's colours for charts. */
export type PresetColor = (typeof presetColors)[number];

export const afterOpens = ['nothing', 'browser', 'simpleBrowser', 'copy'] as const;
/** What becomes of the first TCP forward once it is ready, after a start by hand. */
export type AfterOpen = (typeof afterOpens)[number];

/** What is told of an `${input:id}`. */
export interface PresetInput {
  description?: string;
  default?: string;
  /** The answers that are offered; another one can be typed. */
  options?: readonly string[];
}

/** What is asked when a preset is started. */
export interface PresetQuestion extends PresetInput {
  id: string;
}

interface Looks {
  description?: string;
  /** Rows of one group stand below a row with its name. */
  group?: string;
  /** A codicon's id, such as `database`. */
  icon?: string;
  color?: PresetColor;
}

export interface Preset extends Looks {
  name: string;
  /** While it is unfilled its host is the text as written, which is no name: see `presetHost`. */
  destination: Destination;
  /** None while it is unfilled. */
  forwards: readonly ForwardSpec[];
  autoStart: boolean;
  /** `"connect": "onDemand"`: it listens at once, and connects when a client comes. Without remote forwards. */
  onDemand?: true;
  afterOpen?: Exclude<AfterOpen, 'nothing'>;
  /** New terminals have the ports of its forwards. */
  terminalVariables?: true;
  /** As declared, by the id. */
  inputs?: Readonly<Record<string, PresetInput>>;
  /** The texts with their variables; absent where there is none. */
  written?: { host: string; forwards: readonly string[] };
  /** The inputs that stand in its texts, in order; absent where there is none. */
  questions?: readonly PresetQuestion[];
  /** Its inputs are not answered, or its environment may not be read: it has no tunnels yet. */
  isUnfilled?: true;
  scope: PresetScope;
}

export interface PresetProblem {
  /** `presets[2].forwards[0]` */
  place: string;
  message: string;
  scope: PresetScope;
  /** The place below the setting: `[2, 'forwards', 0]`. */
  path: readonly (string | number)[];
  /** Where in the text there, and how many UTF-16 units of it; absent: all of it, or from there to its end. */
  at?: number;
  length?: number;
  /** The setting's schema in package.json tells it, too, where an editor knows that. */
  isInSchema?: true;
}

/** A preset as written in settings.json. */
export interface StoredPreset {
  name: string;
  host: string;
  forwards: string[];
  autoStart?: boolean;
  connect?: 'now' | 'onDemand';
  description?: string;
  group?: string;
  icon?: string;
  color?: PresetColor;
  afterOpen?: AfterOpen;
  terminalVariables?: boolean;
  inputs?: Record<string, { description?: string; default?: string; options?: string[] }>;
}

/** Where presets are read. `answers`: what was last answered to the inputs of the preset with this name. */
export interface PresetWorld extends VariableWorld {
  answers?: (name: string) => Answers | undefined;
}

interface Issue {
  received: string;
}
const needed =
  (sentence: (values: { received: string }) => string) =>
  ({ received }: Issue) => {
    if (received === 'undefined') return t('missing');
    return sentence({
      received: received === 'Object' ? t('an object') : received === 'Array' ? t('a list') : received,
    });
  };
const neededText = needed((values) => t('a text expected, not {received}', values));
const neededFlag = needed((values) => t('true or false expected, not {received}', values));
const neededObject = needed((values) => t('an object expected, not {received}', values));
const neededForward = needed((values) => t('a forward like "-L 5432:db:5432" expected, not {received}', values));
const oneOf = (options: readonly string[]) => {
  const quoted = options.map((option) => JSON.stringify(option));
  const [first, last] = [quoted.slice(0, -1).join(', '), quoted.at(-1)!];
  return needed((values) => t('{first} or {last} expected, not {received}', { ...values, first, last }));
};
/** The message of an object, for a name that it does not know and for what is none. */
const unknownName = (issue: Issue & { expected: string | null }) =>
  issue.expected === 'never' ? t('this name is not known here') : neededObject(issue);

/** A text that is shown. Control and direction marks could make a row or a question read as another one. */
const noControls = v.check(
  (text: string) => !unseen.test(text),
  () => t('a control character in the text'),
);
const shownText = v.pipe(v.string(neededText), noControls);

const presetInput = v.strictObject(
  {
    description: v.optional(shownText),
    default: v.optional(shownText),
    options: v.optional(
      v.array(
        shownText,
        needed((values) => t('a list of texts expected, not {received}', values)),
      ),
    ),
  },
  unknownName,
);

const storedPreset = v.strictObject(
  {
    name: v.pipe(
      shownText,
      v.trim(),
      v.nonEmpty(() => t('name is empty')),
    ),
    host: shownText,
    forwards: v.pipe(
      v.array(
        v.pipe(v.string(neededForward), noControls),
        needed((values) => t('a list of forwards expected, not {received}', values)),
      ),
      v.nonEmpty(() => t('no forward; add one like "-L 5432:db:5432"')),
    ),
    autoStart: v.optional(v.boolean(neededFlag)),
    connect: v.optional(v.picklist(['now', 'onDemand'], oneOf(['now', 'onDemand']))),
    description: v.optional(shownText),
    group: v.optional(
      v.pipe(
        shownText,
        v.trim(),
        v.nonEmpty(() => t('the group has no name; leave it out')),
      ),
    ),
    icon: v.optional(
      v.pipe(
        v.string(neededText),
        v.regex(/^[a-z][a-z0-9-]*$/, () => t('the name of a product icon expected, such as "database"')),
      ),
    ),
    color: v.optional(v.picklist(presetColors, oneOf(presetColors))),
    afterOpen: v.optional(v.picklist(afterOpens, oneOf(afterOpens))),
    terminalVariables: v.optional(v.boolean(neededFlag)),
    inputs: v.optional(
      v.pipe(
        v.unknown(),
        v.check(
          (inputs) => !Array.isArray(inputs),
          () => neededObject({ received: 'Array' }),
        ),
        v.record(
          v.pipe(
            v.string(),
            v.regex(/^[\w.-]+$/, () => t('a name of letters, digits, -, _ and . expected')),
          ),
          presetInput,
          neededObject,
        ),
      ),
    ),
  },
  unknownName,
);

/** The names of what a preset may hold. */
export const presetFields: readonly string[] = Object.keys(storedPreset.entries);

const emptyWorld: PresetWorld = { folders: [], env: {} };

/** Reads the value of the setting in one scope. Never throws; anything may stand in a settings file. */
export function parsePresets(
  value: unknown,
  scope: PresetScope,
  world: PresetWorld = emptyWorld,
): { presets: Preset[]; problems: PresetProblem[] } {
  const presets: Preset[] = [];
  const problems: PresetProblem[] = [];
  const problem = (path: PresetProblem['path'], { message, at, length }: TextProblem, isInSchema = false) =>
    problems.push({
      place: `presets${printPath(path)}`,
      message,
      scope,
      path,
      ...(at !== undefined && { at }),
      ...(length !== undefined && { length }),
      ...(isInSchema && { isInSchema }),
    });
  if (value === undefined || value === null) return { presets, problems };
  if (!Array.isArray(value)) {
    problem([], { message: t('a list expected') }, true);
    return { presets, problems };
  }
  value.forEach((entry: unknown, index) => {
    const before = problems.length;
    const stored = v.safeParse(storedPreset, entry);
    if (!stored.success) {
      for (const { path, message } of stored.issues) {
        const keys = (path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)));
        problem([index, ...keys], { message }, true);
      }
      return;
    }
    const preset = readPreset(stored.output, scope, world, (path, one) => problem([index, ...path], one));
    const { name, onDemand } = preset;
    if (onDemand && stored.output.forwards.some((text) => /^\s*-R/.test(text)))
      problem([index, 'connect'], {
        message: t(
          '"onDemand" is not for -R: a server listens only while it is connected; put the -R forwards into a preset of their own',
        ),
      });
    if (presets.some((other) => other.name === name))
      problem([index, 'name'], { message: t('another preset is called “{name}” already', { name }) });
    if (problems.length === before) presets.push(preset);
  });
  return { presets, problems };
}

/** Tells of what is wrong with its host and forwards. */
function readPreset(
  stored: v.InferOutput<typeof storedPreset>,
  scope: PresetScope,
  world: PresetWorld,
  problem: (path: readonly (string | number)[], problem: TextProblem) => void,
): Preset {
  const { name, host, autoStart = false, connect, afterOpen, terminalVariables } = stored;
  const inputs = stored.inputs && Object.fromEntries(Object.entries(stored.inputs).map(([id, input]) => [id, readInput(input)])); // prettier-ignore
  const questions = inputsOf([host, ...stored.forwards]).map((id): PresetQuestion => ({
    id,
    ...(inputs && Object.hasOwn(inputs, id) ? inputs[id] : {}),
  }));
  // Answers of another time may not fit what the preset is now.
  const answers = world.answers?.(name) ?? {};
  const fill = <T>(filler: (text: string, world: VariableWorld, answers: Answers) => Filled<T>, text: string) => {
    const filled = filler(text, world, answers);
    return filled.kind === 'wrong' ? filler(text, world, {}) : filled;
  };
  const filledHost = fill(fillHost, host);
  const filledForwards = stored.forwards.map((text) => fill(fillForward, text));
  for (const one of problemsIn(filledHost)) problem(['host'], one);
  filledForwards.forEach((filled, number) => {
    for (const one of problemsIn(filled)) problem(['forwards', number], one);
  });
  return {
    name,
    ...wayOf(filledHost, filledForwards, host),
    autoStart,
    scope,
    ...(connect === 'onDemand' && { onDemand: true }),
    ...looksOf(stored),
    ...(afterOpen !== undefined && afterOpen !== 'nothing' && { afterOpen }),
    ...(terminalVariables && { terminalVariables }),
    ...(inputs && { inputs }),
    ...([host, ...stored.forwards].some(hasVariables) && { written: { host, forwards: stored.forwards } }),
    ...(questions.length > 0 && { questions }),
  };
}

/** Where it leads to; nowhere yet while a part of it is unfilled. */
function wayOf(
  destination: Filled<Destination>,
  forwards: readonly Filled<ForwardSpec>[],
  host: string,
): Pick<Preset, 'destination' | 'forwards' | 'isUnfilled'> {
  const specs = forwards.flatMap((filled) => (filled.kind === 'filled' ? [filled.value] : []));
  return destination.kind === 'filled' && specs.length === forwards.length
    ? { destination: destination.value, forwards: specs }
    : { destination: { host }, forwards: [], isUnfilled: true };
}

function problemsIn<T>(filled: Filled<T>): readonly TextProblem[] {
  return filled.kind === 'wrong' ? filled.problems : [];
}

function readInput({ description, default: answer, options }: v.InferOutput<typeof presetInput>): PresetInput {
  return {
    ...(description !== undefined && { description }),
    ...(answer !== undefined && { default: answer }),
    ...(options !== undefined && { options }),
  };
}

function looksOf({ description, group, icon, color }: { [K in keyof Looks]: Looks[K] | undefined }): Looks {
  return {
    ...(description !== undefined && { description }),
    ...(group !== undefined && { group }),
    ...(icon !== undefined && { icon }),
    ...(color !== undefined && { color }),
  };
}

function printPath(path: PresetProblem['path']): string {
  return path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');
}

/** The preset with its inputs answered, and its other variables as they are in this world. */
export function fillPreset(
  preset: Preset,
  world: VariableWorld,
  answers: Answers,
): { ok: true; preset: Preset } | { ok: false; message: string } {
  const { written } = preset;
  if (!written) return { ok: true, preset };
  const host = fillHost(written.host, world, answers);
  const forwards = written.forwards.map((text) => fillForward(text, world, answers));
  const [problem] = [...problemsIn(host), ...forwards.flatMap(problemsIn)];
  if (problem) return { ok: false, message: problem.message };
  const { isUnfilled: _, ...rest } = preset;
  return { ok: true, preset: { ...rest, ...wayOf(host, forwards, written.host) } };
}

/** The host to show: as written while it is unfilled. */
export function presetHost({ destination, written, isUnfilled }: Preset): string {
  return isUnfilled && written ? written.host : printDestination(destination);
}

/** Whether it starts only where its workspace is trusted: it came with that, or is about a folder of it. */
export function needsTrust({ scope, written }: Pick<Preset, 'scope' | 'written'>): boolean {
  return scope.kind !== 'user' || (written !== undefined && [written.host, ...written.forwards].some(namesFolder));
}

/** The preset as it is written to settings.json, with its variables; `parsePresets` reads it back to the same. */
export function printPreset(preset: Omit<Preset, 'scope'>): StoredPreset {
  const { name, destination, forwards, autoStart, onDemand, afterOpen, terminalVariables, inputs, written } = preset;
  return {
    name,
    host: written?.host ?? printDestination(destination),
    forwards: written ? [...written.forwards] : forwards.map(printSpec),
    ...(autoStart && { autoStart }),
    ...(onDemand && { connect: 'onDemand' as const }),
    ...looksOf({ description: undefined, group: undefined, icon: undefined, color: undefined, ...preset }),
    ...(afterOpen && { afterOpen }),
    ...(terminalVariables && { terminalVariables }),
    ...(inputs && { inputs: structuredClone(inputs) as NonNullable<StoredPreset['inputs']> }),
  };
}

/** The tunnels that a preset wants, none while it is unfilled; one forward takes the preset's name as its label. */
export function presetTunnels(preset: Preset): NewTunnel[] {
  return preset.forwards.map((spec) => ({
    destination: preset.destination,
    spec,
    ...(preset.forwards.length === 1 && { label: preset.name }),
    ...(preset.scope.kind !== 'user' && { fromWorkspace: true }),
    ...(preset.onDemand && { onDemand: true }),
  }));
}

/**
 * What a consent is given for, with its variables filled: another host, forward or place makes it another preset; not when it
 * connects, or how it looks.
 */
export function presetFingerprint(preset: Preset): string {
  return JSON.stringify([
    preset.scope,
    preset.name,
    printDestination(preset.destination),
    preset.forwards.map(printSpec),
    preset.autoStart,
    // Not there in what was agreed to before there were these.
    ...(preset.afterOpen || preset.terminalVariables
      ? [preset.afterOpen ?? 'nothing', preset.terminalVariables === true]
      : []),
  ]);
}
