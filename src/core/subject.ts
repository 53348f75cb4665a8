// What a command is about, as a menu, a notification's button, a keybinding or another extension says it.
import * as v from 'valibot';
import { isHostName } from './configForward.js';
import { parseSpec, type ForwardSpec } from './forwardSpec.js';
import type { Preset, PresetScope } from './preset.js';

const presetScope = v.variant('kind', [
  v.object({ kind: v.literal('user') }),
  v.object({ kind: v.literal('workspace') }),
  v.object({ kind: v.literal('folder'), folder: v.string() }),
]);

const subject = v.variant('kind', [
  v.object({ kind: v.literal('forward'), id: v.string() }),
  v.object({ kind: v.literal('connection'), id: v.string() }),
  v.object({ kind: v.literal('client'), forward: v.string(), id: v.number() }),
  v.object({ kind: v.literal('presets') }),
  v.object({ kind: v.literal('presetGroup'), name: v.string() }),
  v.object({ kind: v.literal('preset'), preset: v.object({ name: v.string(), scope: presetScope }) }),
  v.object({
    kind: v.literal('problem'),
    scope: presetScope,
    path: v.optional(v.array(v.union([v.string(), v.number()]))),
  }),
  v.object({ kind: v.literal('sshConfig') }),
  v.object({ kind: v.literal('configHost'), host: v.string() }),
  v.object({ kind: v.literal('configForward'), id: v.string() }),
  v.object({ kind: v.literal('configProblem'), origin: v.object({ file: v.string(), line: v.number() }) }),
  v.object({ kind: v.literal('selection') }),
]);

/** How a keybinding or a task names a connection: beside what else it has to say, such as a line. */
const ofConnection = v.pipe(
  v.object({ connection: v.string() }),
  v.transform(({ connection }) => ({ kind: 'connection' as const, id: connection })),
);

/** A row by what names it; `selection` stands for the selected rows. */
export type Subject = v.InferOutput<typeof subject>;

/** What names a preset; its forwards are read from the settings alone. */
export type PresetKey = Pick<Preset, 'name' | 'scope'>;

/** What a command's first two arguments name; undefined: nothing was given. What is no row is left out. */
export function readSubjects(given: unknown, selected: unknown): readonly Subject[] | undefined {
  if (given === undefined || given === null) return undefined;
  const all: readonly unknown[] = Array.isArray(selected) && selected.length > 0 ? selected : [given];
  return all.flatMap((one) => {
    const read = v.safeParse(v.union([subject, ofConnection]), one);
    return read.success ? [read.output] : [];
  });
}

/** A forward in the editor of an ssh_config file, and the names that it may be started for. */
export interface EditorLine {
  file: string;
  hosts: readonly string[];
  spec: ForwardSpec;
}

const editorLine = v.object({ file: v.string(), hosts: v.array(v.string()), forward: v.string() });

/** What an editor's command says, `forward` as presets hold it: `-L 5432:db:5432`. Undefined for anything else. */
export function readEditorLine(given: unknown): EditorLine | undefined {
  const read = v.safeParse(editorLine, given);
  const parsed = read.success ? parseSpec(read.output.forward) : undefined;
  if (!read.success || !parsed?.ok) return undefined;
  const { file, hosts } = read.output;
  return hosts.length > 0 && hosts.every(isHostName) ? { file, hosts, spec: parsed.spec } : undefined;
}

export function findPreset(presets: readonly Preset[], key: PresetKey): Preset | undefined {
  return presets.find((preset) => samePreset(preset, key));
}

/** Where a name alone is known: the first that has it; those of the workspace come first. */
export function presetCalled(presets: readonly Preset[], name: string): Preset | undefined {
  return presets.find((preset) => preset.name === name.trim());
}

export function samePreset(one: PresetKey, other: PresetKey): boolean {
  return one.name === other.name && sameScope(one.scope, other.scope);
}

export function sameScope(one: PresetScope, other: PresetScope): boolean {
  return one.kind === other.kind && (one.kind !== 'folder' || one.folder === (other as typeof one).folder);
}

/** Each once. */
export function scopesOf(keys: readonly PresetKey[]): PresetScope[] {
  return keys
    .map(({ scope }) => scope)
    .filter((scope, at, all) => all.findIndex((other) => sameScope(scope, other)) === at);
}
