// Tasks of type `tunnel`: what tasks.json says, and the lines of their terminal. VS Code reads the marks at their beginning by
// the problem matcher of package.json: from `○` on the task is busy, at `✔` whoever waits for it goes on.
import * as v from 'valibot';
import { parseDestination } from './destination.js';
import { parseSpec } from './forwardSpec.js';
import { clientAddress, reasonText, tunnelName } from './present.js';
import type { Preset, PresetScope } from './preset.js';
import { printable, unseen } from './printable.js';
import type { SessionState, Tunnel } from './session.js';
import { tunnelState } from './snapshot.js';
import { presetCalled } from './subject.js';
import { t } from './translate.js';
import { failureText } from './wording.js';

export const taskType = 'tunnel';
/** The problem matcher of these tasks, by the name that package.json gives it. */
export const taskMatcher = '$ssh-tunnel';

/** How long a task waits at most for its target unless it says otherwise, in seconds. */
export const defaultTimeoutSeconds = 60;

export interface TunnelTask {
  tunnels: { kind: 'preset'; name: string } | { kind: 'forwards'; host: string; forwards: readonly string[] };
  /** It is ready only when its target has answered. */
  waitsForTarget: boolean;
  /** 1 to 3600; a person’s answer is waited for without end. */
  timeoutSeconds: number;
  /** It ends with the last debugging that it came before. */
  endsWithDebugging: boolean;
}

const text = v.pipe(
  v.string(),
  v.check((written) => !unseen.test(written)),
  v.trim(),
  v.nonEmpty(),
);
const definition = v.object({
  preset: v.optional(text),
  host: v.optional(text),
  forward: v.optional(v.union([text, v.pipe(v.array(text), v.nonEmpty())])),
  waitForTarget: v.optional(v.boolean(), true),
  timeoutSeconds: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(3600)), defaultTimeoutSeconds),
  endWithDebugging: v.optional(v.boolean(), false),
});

type Read<T> = { ok: true; value: T } | { ok: false; message: string };

/** Reads a task’s definition; anything may stand in tasks.json. */
export function readTunnelTask(given: unknown): Read<TunnelTask> {
  const read = v.safeParse(definition, given);
  if (!read.success) {
    const [issue] = read.issues;
    const field = issue.path?.map(({ key }) => String(key)).join('.') ?? '';
    return { ok: false, message: t('The task’s “{field}” is wrong. Correct it in tasks.json.', { field }) };
  }
  const { preset, host, forward, waitForTarget, timeoutSeconds, endWithDebugging } = read.output;
  const waits = { waitsForTarget: waitForTarget, timeoutSeconds, endsWithDebugging: endWithDebugging };
  if (preset !== undefined && host === undefined && forward === undefined)
    return { ok: true, value: { tunnels: { kind: 'preset', name: preset }, ...waits } };
  if (preset === undefined && host !== undefined && forward !== undefined) {
    const forwards = typeof forward === 'string' ? [forward] : forward;
    return { ok: true, value: { tunnels: { kind: 'forwards', host, forwards }, ...waits } };
  }
  return {
    ok: false,
    message: t('A tunnel task needs a “preset”, or a “host” and a “forward”. Correct it in tasks.json.'),
  };
}

export function presetNamed(presets: readonly Preset[], name: string): Read<Preset> {
  const value = presetCalled(presets, name);
  return value
    ? { ok: true, value }
    : {
        ok: false,
        message: t('No preset is called “{name}”. Correct the name, or add it to the setting sshTunnels.presets.', {
          name: printable(name),
        }),
      };
}

/** What a task opens, as a preset with the task’s label: where it stands in a workspace it is as foreign as one of its presets. */
export function taskPreset(
  { tunnels }: TunnelTask,
  label: string,
  scope: PresetScope,
  presets: readonly Preset[],
): Read<Preset> {
  if (tunnels.kind === 'preset') return presetNamed(presets, tunnels.name);
  const host = parseDestination(tunnels.host);
  if (!host.ok) return { ok: false, message: failureText(host.failure) };
  const specs = tunnels.forwards.map((forward) => parseSpec(forward));
  const wrong = specs.find((spec) => !spec.ok);
  if (wrong && !wrong.ok) return { ok: false, message: failureText(wrong.failure) };
  const forwards = specs.flatMap((spec) => (spec.ok ? [spec.spec] : []));
  return {
    ok: true,
    value: { name: printable(label), destination: host.destination, forwards, autoStart: false, scope },
  };
}

/** Why none is started where the workspace is not trusted. */
export function taskUntrustedText(): string {
  return t('This workspace is not trusted, so its tasks start no tunnels. Trust the workspace first.');
}

/** Whether `preLaunchTask` is this task: by its label, the label with the type before it, or what defines it. */
export function isTaskNamed(
  given: unknown,
  { name, definition }: { name: string; definition: Readonly<Record<string, unknown>> },
): boolean {
  if (typeof given === 'string') return given === name || given === `${taskType}: ${name}`;
  const other = (given ?? {}) as Readonly<Record<string, unknown>>;
  const isSame = (key: string) => JSON.stringify(other[key]) === JSON.stringify(definition[key]);
  return other['type'] === taskType && ['preset', 'host', 'forward'].every(isSame);
}

/** Where its tunnels were written, as the question says that comes before they start; undefined: as a preset says it. */
export function taskPlace({ tunnels }: TunnelTask): string | undefined {
  return tunnels.kind === 'forwards' ? t('the workspace’s tasks') : undefined;
}

/** `○` busy, `✔` ready, `✖` failed, `■` ended; a line without a mark changes nothing. */
export type TaskMark = '○' | '✔' | '✖' | '■' | ' ';

/** A line of the task’s terminal, without its end. */
export function taskLine(mark: TaskMark, line: string): string {
  return `${mark} ${printable(line)}`;
}

/** The notification of a task that has failed: its label is whatever stands in tasks.json. */
export function taskFailedText(label: string, reason: string): string {
  return t('The task “{name}” has failed. {reason}', { name: printable(label), reason });
}

/** How one of its tunnels stands, in a sentence; undefined where nobody has to know. */
export function tunnelLine(tunnel: Tunnel, session: SessionState): string | undefined {
  const state = tunnelState(tunnel, session.snapshot);
  const name = tunnelName(tunnel, state);
  switch (state.kind) {
    case 'connecting':
      return state.ask ? t('{name}: waiting for your answer', { name }) : t('{name}: connecting', { name });
    case 'ready': {
      const address = clientAddress(tunnel, state) ?? '';
      return state.isElsewhere
        ? t('{name}: listening on {address}, in another window', { name, address })
        : t('{name}: listening on {address}', { name, address });
    }
    case 'retrying':
      return t('{name}: retrying. {reason}', { name, reason: reasonText(state.failure, session) });
    case 'failed':
      return t('{name}: failed. {reason}', { name, reason: reasonText(state.failure, session) });
    case 'stopped':
      return t('{name}: stopped', { name });
  }
}
