// A preset that is being made or changed in the form: what its fields say, and what is wrong with them.
import { parseAnswer, printSpec } from './forwardSpec.js';
import { machineName } from './machine.js';
import {
  parsePresets,
  presetColors,
  type AfterOpen,
  type PresetColor,
  type PresetScope,
  type StoredPreset,
} from './preset.js';
import { fillForward, fillHost, type VariableWorld } from './presetVariables.js';
import { scopeText } from './present.js';
import { t } from './translate.js';
import { accessText, askedAccess, effectText, specProblem } from './wording.js';

/** What the form is about. */
export interface PresetDraft {
  preset: StoredPreset;
  scope: PresetScope;
}

export type TextField = 'name' | 'host' | 'description' | 'group' | 'icon' | `forward ${number}`;
export type ChoiceField = 'start' | 'connect' | 'afterOpen' | 'color' | 'terminalVariables';
export type DraftField = TextField | ChoiceField | 'scope';

export interface DraftRow {
  field: DraftField;
  /** The heading that it stands below. */
  section: string;
  label: string;
  value: string;
  /** What a forward does, in words. */
  detail?: string;
  problem?: string;
}

/** How each file’s variables are read there, and the names that its other presets have. */
export interface DraftPlace {
  world: VariableWorld;
  taken: readonly string[];
}

export const emptyDraft: StoredPreset = { name: '', host: '', forwards: [] };

/** The index of a forward; one more than there are stands for the next. */
export function forwardIndex(field: DraftField): number | undefined {
  const [, index] = /^forward (\d+)$/.exec(field) ?? [];
  return index === undefined ? undefined : Number(index);
}

export function textOf({ forwards, ...preset }: StoredPreset, field: TextField): string {
  const index = forwardIndex(field);
  return (index === undefined ? preset[field as Exclude<TextField, `forward ${number}`>] : forwards[index]) ?? '';
}

/** Nothing written takes an optional field, or a forward, away. */
export function withText(preset: StoredPreset, field: TextField, text: string): StoredPreset {
  const written = text.trim();
  const index = forwardIndex(field);
  if (index !== undefined)
    return { ...preset, forwards: preset.forwards.toSpliced(index, 1, ...(written === '' ? [] : [written])) };
  if (field === 'name' || field === 'host') return { ...preset, [field]: written };
  const { [field as 'description' | 'group' | 'icon']: _, ...rest } = preset;
  return { ...rest, ...(written !== '' && { [field]: written }) };
}

/** One of the answers to a question; the first is what holds where nothing is written. */
export interface Choice {
  label: string;
  detail?: string;
  /** The preset with this answer. */
  chosen: (preset: StoredPreset) => StoredPreset;
  isChosen: (preset: StoredPreset) => boolean;
  /** Of a colour. */
  color?: PresetColor;
}

export function choicesOf(field: ChoiceField): Choice[] {
  switch (field) {
    case 'start':
      return choices('autoStart', [
        [undefined, t('By hand'), t('It starts when you click it')],
        [true, t('With the window'), t('It starts whenever a window opens where it is shown')],
      ]);
    case 'connect':
      return choices('connect', [
        [undefined, t('At once'), t('It connects when it is started, and stays connected')],
        [
          'onDemand',
          t('On demand'),
          t('It listens at once, connects when a client comes and hangs up when none is left'),
        ],
      ]);
    case 'afterOpen':
      return choices<'afterOpen', AfterOpen>('afterOpen', [
        [undefined, t('Nothing')],
        ['browser', t('Open in browser'), t('The first forward’s address, after a start by hand')],
        ['simpleBrowser', t('Open in Simple Browser'), t('The first forward’s address, in an editor of this window')],
        ['copy', t('Copy address'), t('The first forward’s address, to the clipboard')],
      ]);
    case 'terminalVariables':
      return choices('terminalVariables', [
        [undefined, t('No')],
        [true, t('Yes'), t('While it is ready, new terminals have its ports as environment variables')],
      ]);
    case 'color':
      return choices<'color', PresetColor>('color', [
        [undefined, t('No colour')],
        ['red', t('Red')],
        ['orange', t('Orange')],
        ['yellow', t('Yellow')],
        ['green', t('Green')],
        ['blue', t('Blue')],
        ['purple', t('Purple')],
      ]).map((choice, at) => (at === 0 ? choice : { ...choice, color: presetColors[at - 1]! }));
  }
}

type Option<V> = readonly [value: V | undefined, label: string, detail?: string];

function choices<K extends keyof StoredPreset, V extends StoredPreset[K]>(
  key: K,
  options: readonly Option<V>[],
): Choice[] {
  const values = options.map(([value]) => value);
  return options.map(([value, label, detail]) => ({
    label,
    ...(detail !== undefined && { detail }),
    chosen: ({ [key]: _, ...rest }) =>
      ({ ...rest, ...(value !== undefined && { [key]: value }) }) as unknown as StoredPreset,
    // What is not among the others, such as `"connect": "now"`, means what nothing written means.
    isChosen: (preset) => {
      const own = preset[key] as V | undefined;
      return (values.includes(own) ? own : undefined) === value;
    },
  }));
}

function chosenLabel(preset: StoredPreset, field: ChoiceField): string {
  return choicesOf(field).find(({ isChosen }) => isChosen(preset))?.label ?? '';
}

/** What is wrong with a text that is to stand in a field; undefined: it can. */
export function textProblem(field: TextField, text: string, { world, taken }: DraftPlace): string | undefined {
  const written = text.trim();
  if (forwardIndex(field) !== undefined) {
    const read = readForwardText(written, world);
    return read.ok ? undefined : read.problem;
  }
  if (field === 'name' && taken.includes(written))
    return t('Another preset there is called “{name}” already.', { name: written });
  if (written === '' && field !== 'name' && field !== 'host') return undefined;
  const preset = withText({ name: 'x', host: 'x', forwards: ['-D 1080'] }, field, written);
  const [problem] = parsePresets([preset], { kind: 'user' }, world).problems;
  return problem && sentence(problem.message);
}

/** `as it is to be stored`; a short form, such as `db:5432`, in full. */
export function readForwardText(
  text: string,
  world: VariableWorld,
): { ok: true; text: string } | { ok: false; problem: string } {
  const isShort = !/^\s*-/.test(text);
  if (isShort) {
    const read = parseAnswer(text);
    return read.ok
      ? { ok: true, text: printSpec(read.spec) }
      : { ok: false, problem: sentence(specProblem(read.failure.problem)) };
  }
  const filled = fillForward(text, world);
  return filled.kind === 'wrong'
    ? { ok: false, problem: sentence(filled.problems[0]?.message ?? '') }
    : { ok: true, text: text.trim() };
}

/** What a forward does, in words; undefined while that can’t be told. */
export function forwardEffect(text: string, host: string, world: VariableWorld): string | undefined {
  const read = readForwardText(text, world);
  const filled = read.ok ? fillForward(read.text, world) : undefined;
  if (filled?.kind !== 'filled') return undefined;
  const destination = fillHost(host, world);
  const name = destination.kind === 'filled' ? destination.value.host : host || t('the host');
  const { kind, listen } = filled.value;
  const effect = effectText(filled.value, name);
  if (askedAccess(filled.value) !== 'network') return effect;
  const who = accessText('network', kind === 'remote' ? name : machineName(), listen.kind);
  return t('{effect}. Who can connect: {who}', { effect, who });
}

/** The fields in the order of the form. */
export function draftRows({ preset, scope }: PresetDraft, place: DraftPlace): DraftRow[] {
  const problems = draftProblems({ preset, scope }, place);
  const row = (section: string, field: DraftField, label: string, value: string, detail?: string): DraftRow => {
    const problem = problems.find((one) => one.field === field)?.message;
    return {
      field,
      section,
      label,
      value,
      ...(detail !== undefined && { detail }),
      ...(problem !== undefined && { problem }),
    };
  };
  const [way, run, looks] = [t('What it opens'), t('When it starts'), t('How it is shown')];
  const { forwards } = preset;
  return [
    row(way, 'name', t('Name'), preset.name),
    row(way, 'host', t('Host'), preset.host),
    ...forwards.map((text, index) =>
      row(
        way,
        `forward ${index}`,
        forwards.length === 1 ? t('Forward') : t('Forward {number}', { number: index + 1 }),
        text,
        forwardEffect(text, preset.host, place.world),
      ),
    ),
    row(way, `forward ${forwards.length}`, t('Add Forward…'), ''),
    row(run, 'start', t('Start'), chosenLabel(preset, 'start')),
    row(run, 'connect', t('Connect'), chosenLabel(preset, 'connect')),
    row(run, 'afterOpen', t('After Opening'), chosenLabel(preset, 'afterOpen')),
    row(run, 'terminalVariables', t('Terminal Variables'), chosenLabel(preset, 'terminalVariables')),
    row(looks, 'group', t('Group'), preset.group ?? t('No group')),
    row(looks, 'icon', t('Icon'), preset.icon ?? t('No icon')),
    row(looks, 'color', t('Colour'), chosenLabel(preset, 'color')),
    row(looks, 'description', t('Description'), preset.description ?? t('No description')),
    row(looks, 'scope', t('Save In'), scopeText(scope)),
  ];
}

export interface DraftProblem {
  /** Where it can be mended in the form; undefined: in the settings file alone. */
  field?: DraftField;
  message: string;
}

/** What keeps the draft from being saved. */
export function draftProblems({ preset, scope }: PresetDraft, place: DraftPlace): DraftProblem[] {
  const { forwards } = preset;
  const own: DraftProblem[] = [
    ...(preset.name.trim() === '' ? [{ field: 'name' as const, message: t('The name is missing.') }] : []),
    ...(preset.host.trim() === '' ? [{ field: 'host' as const, message: t('The host is missing.') }] : []),
    ...(forwards.length === 0 ? [{ field: 'forward 0' as const, message: t('There is no forward yet.') }] : []),
    ...(place.taken.includes(preset.name.trim())
      ? [{ field: 'name' as const, message: textProblem('name', preset.name, place)! }]
      : []),
  ];
  // What is missing is said once.
  const whole = { ...preset, name: preset.name.trim() || 'x', host: preset.host.trim() || 'x', forwards: forwards.length > 0 ? forwards : ['-D 1080'] }; // prettier-ignore
  const read = parsePresets([whole], scope, place.world).problems.map(({ path, message }): DraftProblem => {
    const field = fieldOf(path);
    return { ...(field !== undefined && { field }), message: sentence(message) };
  });
  return [...own, ...read];
}

function fieldOf([, key, index]: readonly (string | number)[]): DraftField | undefined {
  switch (key) {
    case 'forwards':
      return `forward ${Number(index ?? 0)}`;
    case 'autoStart':
      return 'start';
    case 'name':
    case 'host':
    case 'description':
    case 'group':
    case 'icon':
    case 'connect':
    case 'afterOpen':
    case 'color':
    case 'terminalVariables':
      return key;
    default:
      return undefined;
  }
}

/** A phrase as a line of its own. */
function sentence(phrase: string): string {
  return `${phrase.charAt(0).toUpperCase()}${phrase.slice(1)}${/[.!?]$/.test(phrase) ? '' : '.'}`;
}
