// Changes of one settings file's list of presets. Anything may stand in it: what a change is not about stays as it is, wrong
// entries too.
import { presetFields, type StoredPreset } from './preset.js';

/** Whether presets can be added: the setting is a list or not there. Anything else would be lost. */
export function isPresetList(value: unknown): boolean {
  return value === undefined || value === null || Array.isArray(value);
}

/** The names that entries have, in their order; wrong entries count. */
export function presetNames(value: unknown): string[] {
  return entriesOf(value).flatMap((entry) => nameOf(entry) ?? []);
}

/** The groups that entries are in, each once. */
export function presetGroups(value: unknown): string[] {
  return [...new Set(entriesOf(value).flatMap((entry) => groupOf(entry) ?? []))];
}

/** The entry that a row with this name stands for, as far as its fields can be read. */
export function findStored(value: unknown, name: string): StoredPreset | undefined {
  const entry = entriesOf(value)[indexOf(value, name)];
  return isWhole(entry) ? entry : undefined;
}

/** `X copy`, `X copy 2` and so on: the first that no entry has. */
export function copyName(value: unknown, name: string): string {
  const names = presetNames(value);
  const base = name.replace(/ copy(?: \d+)?$/, '');
  for (let number = 1; ; number++) {
    const copy = number === 1 ? `${base} copy` : `${base} copy ${number}`;
    if (!names.includes(copy)) return copy;
  }
}

/** At the end, or behind the last of its group. */
export function addPreset(value: unknown, preset: StoredPreset): unknown[] {
  const entries = entriesOf(value);
  const group = groupOf(preset);
  const last = group === undefined ? -1 : entries.findLastIndex((entry) => groupOf(entry) === group);
  return last < 0 ? [...entries, preset] : entries.toSpliced(last + 1, 0, preset);
}

/** What tunnels tell of their preset, beside its host and forwards: the rest stays where they are saved. */
export const tunnelFields: readonly string[] = ['connect', 'inputs'];

/** Puts the preset in the place of the entry with this name, of which it keeps all but `fields`; without one it is added. */
export function replacePreset(
  value: unknown,
  name: string,
  preset: StoredPreset,
  fields: readonly string[] = presetFields,
): unknown[] {
  const index = indexOf(value, name);
  if (index < 0) return addPreset(value, preset);
  const entries = entriesOf(value);
  const kept = Object.entries(entries[index] as object).filter(([field]) => !fields.includes(field));
  return entries.with(index, { ...Object.fromEntries(kept), ...preset });
}

export function removePreset(value: unknown, name: string): unknown[] {
  const index = indexOf(value, name);
  return entriesOf(value).filter((_, at) => at !== index);
}

/** Puts a copy behind the entry with this name; its own name is `copyName`'s. */
export function duplicatePreset(value: unknown, name: string): unknown[] {
  const index = indexOf(value, name);
  const entries = entriesOf(value);
  if (index < 0) return entries;
  return entries.toSpliced(index + 1, 0, { ...(entries[index] as object), name: copyName(value, name) });
}

/**
 * Moves a preset by one row. In a group it changes places within that; outside of one a whole group counts as one row.
 * `shown` are the names that have rows, `groupsAbove` the groups whose row stands with another settings file's presets.
 */
export function movePreset(
  value: unknown,
  name: string,
  direction: 'up' | 'down',
  shown: readonly string[],
  groupsAbove: readonly string[] = [],
): unknown[] {
  const entries = entriesOf(value);
  const moved = indexOf(value, name);
  if (moved < 0) return entries;
  const group = groupOf(entries[moved]);
  /** The entry that gives each row its place. */
  const rows: number[] = [];
  const groups = new Set(groupsAbove);
  for (const [at, entry] of entries.entries()) {
    const own = nameOf(entry);
    if (own === undefined || !shown.includes(own) || indexOf(value, own) !== at) continue;
    const other = groupOf(entry);
    if (group !== undefined ? other === group : other === undefined || !groups.has(other)) rows.push(at);
    if (other !== undefined) groups.add(other);
  }
  const row = rows.indexOf(moved);
  if (row < 0) return entries;
  const others = entries.toSpliced(moved, 1);
  if (direction === 'up') return row === 0 ? entries : others.toSpliced(rows[row - 1]!, 0, entries[moved]);
  if (row === rows.length - 1) return entries;
  // Before what comes after the next row: that may be a group of several entries.
  const after = rows[row + 2];
  const last = group === undefined ? others.length : rows[row + 1]!;
  return others.toSpliced(after === undefined ? last : after - 1, 0, entries[moved]);
}

/** Puts presets beside another one, and into its group: below it where they come from above, else above it. */
export function placePresets(value: unknown, names: readonly string[], target: string): unknown[] {
  const entries = entriesOf(value);
  const at = indexOf(value, target);
  if (at < 0 || names.includes(target)) return entries;
  const moved = indexesOf(value, names);
  const isFromAbove = moved.some((index) => index < at);
  const group = groupOf(entries[at]);
  const place = isFromAbove ? at + 1 : at;
  const isLeft = (index: number) => !moved.includes(index);
  return [
    ...entries.filter((_, index) => index < place && isLeft(index)),
    ...moved.map((index) => withGroup(entries[index], group)),
    ...entries.filter((_, index) => index >= place && isLeft(index)),
  ];
}

/** Puts presets at the end of a group; undefined: of those that are in none. Those that are in it already stay where they are. */
export function groupPresets(value: unknown, names: readonly string[], group: string | undefined): unknown[] {
  const entries = entriesOf(value);
  const moved = indexesOf(value, names).filter((index) => groupOf(entries[index]) !== group);
  const left = entries.filter((_, index) => !moved.includes(index));
  const last = left.findLastIndex((entry) => groupOf(entry) === group && (group !== undefined || isWhole(entry)));
  const place = last < 0 ? left.length : last + 1;
  return left.toSpliced(place, 0, ...moved.map((index) => withGroup(entries[index], group)));
}

/** Gives every preset of a group another one; undefined: none. */
export function renameGroup(value: unknown, group: string, name: string | undefined): unknown[] {
  return entriesOf(value).map((entry) => (groupOf(entry) === group ? withGroup(entry, name) : entry));
}

function entriesOf(value: unknown): unknown[] {
  return Array.isArray(value) ? [...(value as unknown[])] : [];
}

function nameOf(entry: unknown): string | undefined {
  return textOf(entry, 'name');
}

function groupOf(entry: unknown): string | undefined {
  return textOf(entry, 'group') || undefined;
}

function textOf(entry: unknown, field: 'name' | 'group'): string | undefined {
  const text = (entry as Partial<Record<typeof field, unknown>> | null | undefined)?.[field];
  return typeof text === 'string' ? text.trim() : undefined;
}

/** Whether a row can come of it: of two with one name the second has none, unless the first is wrong. */
function isWhole(entry: unknown): entry is StoredPreset {
  const { host, forwards } = (entry ?? {}) as { host?: unknown; forwards?: unknown };
  const isForward = (text: unknown) => typeof text === 'string';
  return (
    nameOf(entry) !== undefined &&
    typeof host === 'string' &&
    Array.isArray(forwards) &&
    forwards.length > 0 &&
    forwards.every(isForward)
  );
}

function indexOf(value: unknown, name: string): number {
  const entries = entriesOf(value);
  const isNamed = (entry: unknown) => nameOf(entry) === name.trim();
  const whole = entries.findIndex((entry) => isNamed(entry) && isWhole(entry));
  return whole >= 0 ? whole : entries.findIndex(isNamed);
}

/** In the order of the list. */
function indexesOf(value: unknown, names: readonly string[]): number[] {
  const indexes = names.map((name) => indexOf(value, name)).filter((index) => index >= 0);
  return [...new Set(indexes)].sort((a, b) => a - b);
}

function withGroup(entry: unknown, group: string | undefined): object {
  const { group: _, ...rest } = entry as { group?: unknown };
  return { ...rest, ...(group !== undefined && { group }) };
}
