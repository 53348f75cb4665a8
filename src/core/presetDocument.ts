// Presets in the text of a settings file: what is wrong with them and where, what stands at a place, and what could stand there.
import { parseDestination, printDestination } from './destination.js';
import { jsonValue, memberOf, readJson, type JsonMember, type JsonNode } from './jsonText.js';
import { machineName } from './machine.js';
import { parsePresets, type PresetProblem, type PresetScope, type PresetWorld } from './preset.js';
import { fillForward, fillHost, inputsOf } from './presetVariables.js';
import { t } from './translate.js';
import { accessText, askedAccess, effectText } from './wording.js';

const setting = 'sshTunnels.presets';

/** Offsets in UTF-16 units. */
export interface Span {
  start: number;
  end: number;
}

export interface PresetDocumentProblem extends Span {
  severity: 'error' | 'hint';
  message: string;
}

/** The list of presets in a settings file, or under `settings` in a `.code-workspace`. */
function presetsOf(text: string): JsonMember | undefined {
  // Most settings files have none, and are not read.
  if (!text.includes(setting)) return undefined;
  const root = readJson(text);
  return memberOf(root, setting) ?? memberOf(memberOf(root, 'settings')?.value, setting);
}

/** What is wrong beyond what the setting's schema tells. */
export function presetDocumentProblems(text: string, scope: PresetScope, world: PresetWorld): PresetDocumentProblem[] {
  const list = presetsOf(text)?.value;
  if (!list) return [];
  const { problems } = parsePresets(jsonValue(list), scope, world);
  const wrong = problems
    .filter(({ isInSchema }) => !isInSchema)
    .map((problem): PresetDocumentProblem => ({
      severity: 'error',
      message: problem.message,
      ...spanOf(list, problem),
    }));
  return [...wrong, ...unusedInputs(list)];
}

function unusedInputs(list: JsonNode): PresetDocumentProblem[] {
  const presets = list.kind === 'array' ? list.items : [];
  return presets.flatMap((preset) => {
    const inputs = memberOf(preset, 'inputs')?.value;
    const used = inputsOf(textsOf(preset));
    const declared = inputs?.kind === 'object' ? inputs.members.map(({ key }) => key) : [];
    return declared
      .filter(({ value }) => !used.includes(value))
      .map(({ value, start, end }) => ({
        severity: 'hint' as const,
        message: t('nothing asks for it: {variable} stands neither in the host nor in a forward', {
          variable: `\${input:${value}}`,
        }),
        start,
        end,
      }));
  });
}

/** Its host and forwards. */
function textsOf(preset: JsonNode): string[] {
  const host = memberOf(preset, 'host')?.value;
  const forwards = memberOf(preset, 'forwards')?.value;
  const all = [...(host ? [host] : []), ...(forwards?.kind === 'array' ? forwards.items : [])];
  return all.flatMap((node) => (node.kind === 'string' ? [node.value] : []));
}

/** Where the preset, or the field of it that the path names, stands in the text; as much of the path as is there. */
export function findInPresets(text: string, path: PresetProblem['path']): Span | undefined {
  const list = presetsOf(text);
  return list && (list.value ? spanOf(list.value, { path }) : list.key);
}

/** Where a preset of this name stands. */
export function findPresetNamed(text: string, name: string): Span | undefined {
  const list = presetsOf(text)?.value;
  const presets = list?.kind === 'array' ? list.items : [];
  const found = presets.flatMap((preset) => {
    const value = memberOf(preset, 'name')?.value;
    return value?.kind === 'string' && value.value.trim() === name ? [value] : [];
  });
  return found[0] && inner(found[0]);
}

function spanOf(list: JsonNode, { path, at, length }: Pick<PresetProblem, 'path' | 'at' | 'length'>): Span {
  let node = list;
  for (const [depth, key] of path.entries()) {
    const isLast = depth === path.length - 1;
    const member = memberOf(node, String(key));
    const next = node.kind === 'array' && typeof key === 'number' ? node.items[key] : member?.value;
    // What is missing is told at the brace of what lacks it.
    if (!next) return member?.key ?? { start: node.start, end: node.start + 1 };
    // A name that is not known is told at the name.
    if (isLast && member && next.kind !== 'string') return { start: member.key.start, end: next.end };
    node = next;
  }
  if (node.kind !== 'string') return node;
  if (at === undefined) return { start: node.start, end: node.end };
  const { value, places } = node;
  // At the end something is missing: the last mark is underlined.
  const from = Math.min(at, Math.max(value.length - 1, 0));
  const to = length === undefined ? value.length : Math.min(from + length, value.length);
  return value === '' ? { start: node.start, end: node.end } : { start: places[from]!, end: places[to]! };
}

function inner({ start, end, kind }: JsonNode): Span {
  return kind === 'string' ? { start: start + 1, end: Math.max(end - 1, start + 1) } : { start, end };
}

/** The innermost place at an offset: the path of names and numbers to it, and the value there, if there is one. */
function placeAt(list: JsonMember, offset: number): { path: (string | number)[]; node?: JsonNode } | undefined {
  const path: (string | number)[] = [];
  let node = list.value;
  while (node && node.start < offset && offset < node.end) {
    if (node.kind === 'array') {
      const index = node.items.findIndex(({ start, end }) => start < offset && offset < end);
      if (index < 0) return { path, node };
      path.push(index);
      node = node.items[index];
    } else if (node.kind === 'object') {
      const member: JsonMember | undefined = node.members.find(({ from, to }) => from <= offset && offset <= to);
      if (!member) return { path, node };
      path.push(member.key.value);
      if (!member.value) return { path };
      node = member.value;
    } else return { path, node };
  }
  return node && path.length > 0 && node.start <= offset && offset <= node.end ? { path, node } : undefined;
}

export interface PresetHover extends Span {
  /** A paragraph each. */
  lines: readonly string[];
}

/** What a forward does, or which host the variables in a host come to. */
export function presetHover(text: string, offset: number, world: PresetWorld): PresetHover | undefined {
  const list = presetsOf(text);
  const place = list && placeAt(list, offset);
  if (!list?.value || place?.node?.kind !== 'string') return undefined;
  const { node, path } = place;
  const [index, field, ...rest] = path;
  const preset = list.value.kind === 'array' && typeof index === 'number' ? list.value.items[index] : undefined;
  const name = memberOf(preset, 'name')?.value;
  const answers = (name?.kind === 'string' ? world.answers?.(name.value.trim()) : undefined) ?? {};
  const written = memberOf(preset, 'host')?.value;
  const host = written?.kind === 'string' ? fillHost(written.value, world, answers) : undefined;
  const span = { start: node.start, end: node.end };
  if (field === 'host' && rest.length === 0) {
    if (host?.kind !== 'filled' || !node.value.includes('${')) return undefined;
    return { lines: [t('Comes to {host}', { host: printDestination(host.value) })], ...span };
  }
  if (field !== 'forwards' || rest.length !== 1) return undefined;
  const forward = fillForward(node.value, world, answers);
  const asked = inputsOf([node.value]);
  if (forward.kind === 'wrong') return undefined;
  if (forward.kind === 'unfilled')
    return asked.length > 0
      ? { lines: [t('Asks when it is started: {names}', { names: asked.join(', ') })], ...span }
      : undefined;
  const spec = forward.value;
  const way = host?.kind === 'filled' ? host.value : undefined;
  const hostText = way ? printDestination(way) : t('the host');
  const who = accessText(askedAccess(spec), spec.kind === 'remote' ? hostText : machineName(), spec.listen.kind);
  return {
    lines: [
      effectText(spec, hostText),
      t('Who can connect: {who}', { who }),
      ...(asked.length > 0 ? [t('With what was answered last; asks again when it is started')] : []),
    ],
    ...span,
  };
}

/** What could stand at a place, in the place of a part of the text. `isQuoted`: with its quotes, since there are none yet. */
export interface PresetOffer extends Span {
  what: 'host' | 'group' | 'variable';
  isQuoted: boolean;
  /** For `group` those in use, for `variable` the names of all; hosts are asked elsewhere. */
  known: readonly string[];
}

export function presetOffers(text: string, offset: number): PresetOffer | undefined {
  const list = presetsOf(text);
  const place = list && placeAt(list, offset);
  if (!list?.value || !place || typeof place.path[0] !== 'number') return undefined;
  const { node, path } = place;
  const [index, field] = path;
  const isField = path.length === 2;
  const isForward = path.length === 3 && field === 'forwards';
  const quotes = { start: offset, end: offset, isQuoted: true };
  if (!node) {
    if (isField && field === 'host') return { what: 'host', known: [], ...quotes };
    return isField && field === 'group' ? { what: 'group', known: groupsOf(list.value, index), ...quotes } : undefined;
  }
  if (node.kind !== 'string' || offset <= node.start) return undefined;
  const content = inner(node);
  const before = text.slice(content.start, offset);
  const variable = /\$(?:\{[^}]*)?$/.exec(before);
  if (variable && ((isField && field === 'host') || isForward)) {
    const preset = list.value.kind === 'array' ? list.value.items[index as number] : undefined;
    const inputs = memberOf(preset, 'inputs')?.value;
    const ids = inputs?.kind === 'object' ? inputs.members.map(({ key }) => key.value) : [];
    const known = ['workspaceFolder', 'env:', ...[...new Set([...ids, ...(preset ? inputsOf(textsOf(preset)) : [])])].map((id) => `input:${id}`), 'input:']; // prettier-ignore
    const behind = /^[^}"\s]*\}/.exec(text.slice(offset, content.end))?.[0] ?? '';
    return {
      what: 'variable',
      known,
      start: offset - variable[0].length,
      end: offset + behind.length,
      isQuoted: false,
    };
  }
  if (isField && field === 'group')
    return { what: 'group', known: groupsOf(list.value, index), ...content, isQuoted: false };
  if (!isField || field !== 'host') return undefined;
  // The word that is written: behind options, a user or another hop.
  const start = offset - /[^\s@,]*$/.exec(before)![0].length;
  const end = offset + /^[^\s@,:]*/.exec(text.slice(offset, content.end))![0].length;
  return { what: 'host', known: [], start, end, isQuoted: false };
}

/** Of the other presets: the one that is written has a half of it. */
function groupsOf(list: JsonNode, without: string | number | undefined): string[] {
  const presets = list.kind === 'array' ? list.items.filter((_, index) => index !== without) : [];
  const groups = presets.flatMap((preset) => {
    const group = memberOf(preset, 'group')?.value;
    return group?.kind === 'string' && group.value.trim() !== '' ? [group.value.trim()] : [];
  });
  return [...new Set(groups)];
}

/** Whether a name of ssh_config can stand in a host as it is. */
export function isPlainHost(name: string): boolean {
  const read = parseDestination(name);
  return read.ok && printDestination(read.destination) === name;
}
