// `${command:sshTunnels.localPort}`: the port of a preset’s tunnel, for launch.json and tasks.json.
import * as vscode from 'vscode';
import { failureOf } from '../core/failure.js';
import type { Hold, Holds } from '../core/holds.js';
import { machineName } from '../core/machine.js';
import { reasonText } from '../core/present.js';
import { presetHost, presetTunnels, type Preset } from '../core/preset.js';
import { startTunnels, tunnelId, type Session, type SessionState } from '../core/session.js';
import { boundOf, tunnelState } from '../core/snapshot.js';
import { t } from '../core/translate.js';
import {
  isTaskNamed,
  presetNamed,
  readTunnelTask,
  taskPlace,
  taskPreset,
  taskType,
  taskUntrustedText,
} from '../core/tunnelTask.js';
import { inTime } from './inTime.js';
import { withoutLinks, type Messages } from './messages.js';
import type { PortHolds } from './portHolds.js';
import type { Presets, PresetSettings } from './presets.js';

export interface PortParts {
  session: Session;
  holds: Holds;
  portHolds: Pick<PortHolds, 'keep'>;
  presets: Pick<Presets, 'agree'>;
  presetSettings: Pick<PresetSettings, 'current'>;
  messages: Messages;
}

/** How long a person waits without a word, in milliseconds. */
const patienceMs = 2_000;

/**
 * The port of this machine where the preset's first tunnel listens, as text; the preset is started if it isn't up. `given` is
 * the input's `args` (`{ "preset": "…" }`), or the launch configuration, whose `preLaunchTask` names one of our tasks, or
 * nothing: then it is the one preset that runs, or that there is, or the user picks one. Undefined when there is none: VS Code
 * then does not go on, and a notification has said why.
 */
export async function localPort(given: unknown, parts: PortParts): Promise<string | undefined> {
  const refuse = (text: string) => void parts.messages.show('error', text);
  if (!vscode.workspace.isTrusted) return refuse(taskUntrustedText());
  const found = await presetFor(given, parts);
  if (!found) return undefined;
  if (!found.ok) return refuse(found.message);
  const { value: preset, isTask = false, place } = found;
  const tunnels = await parts.presets.agree(preset, place);
  if (!tunnels) return undefined;
  // What a task holds is the user's from here on, too.
  if (!isTask) parts.session.update(() => startTunnels(parts.session.state, tunnels).wanted);
  const hold = parts.holds.hold(tunnels, 'task');
  try {
    await untilReady(hold, preset.name);
    const { name } = preset;
    return (
      portOf(hold.tunnels, parts.session) ??
      refuse(t('“{name}” has no port on {machine}.', { name, machine: machineName() }))
    );
  } catch (error) {
    const failure = failureOf(error);
    if (failure.kind === 'cancelled') return undefined;
    const reason = reasonText(failure, parts.session.state);
    return refuse(t('There is no port of “{name}”. {reason}', { name: preset.name, reason }));
  } finally {
    if (isTask) parts.portHolds.keep(hold);
    else hold.release();
  }
}

/** Says after a while what is waited for, and lets the user call it off. */
async function untilReady(hold: Hold, name: string): Promise<void> {
  const isSoon = hold.ready.then(
    () => true,
    () => true,
  );
  if (await inTime(patienceMs, isSoon)) return hold.ready;
  const title = t('Waiting until “{name}” is ready', { name: withoutLinks(name) });
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  await vscode.window.withProgress(options, (_, calledOff) => {
    calledOff.onCancellationRequested(() => hold.release());
    return hold.ready;
  });
}

type Found = ReturnType<typeof presetNamed> & { isTask?: boolean; place?: string | undefined };

async function presetFor(given: unknown, { presetSettings, session }: PortParts): Promise<Found | undefined> {
  const { presets } = presetSettings.current;
  const { preset: name, preLaunchTask } = (given ?? {}) as { preset?: unknown; preLaunchTask?: unknown };
  if (typeof name === 'string') return presetNamed(presets, name);
  if (preLaunchTask !== undefined) {
    const tasks = await vscode.tasks.fetchTasks({ type: taskType });
    const task = tasks.find((one) => isTaskNamed(preLaunchTask, one));
    const read = task && readTunnelTask(task.definition);
    if (task && read && !read.ok) return read;
    if (task && read?.ok) {
      const scope = { kind: task.scope === vscode.TaskScope.Global ? ('user' as const) : ('workspace' as const) };
      return { ...taskPreset(read.value, task.name, scope, presets), isTask: true, place: taskPlace(read.value) };
    }
  }
  return pickPreset(presets, session);
}

async function pickPreset(presets: readonly Preset[], { state }: Session): Promise<Found | undefined> {
  const found = (value: Preset): Found => ({ ok: true, value });
  if (presets.length === 0)
    return { ok: false, message: t('There is no preset. Add one to the setting sshTunnels.presets.') };
  const running = presets.filter((preset) => isRunning(preset, state));
  const [only, ...more] = running.length > 0 ? running : presets;
  if (only && more.length === 0) return found(only);
  const items = presets.map((preset) => ({ label: preset.name, description: presetHost(preset), preset }));
  const picked = await vscode.window.showQuickPick(items, {
    title: t('Local Port of a Preset'),
    placeHolder: t('Whose port is wanted?'),
  });
  return picked && found(picked.preset);
}

function isRunning(preset: Preset, { wanted, snapshot }: SessionState): boolean {
  return presetTunnels(preset).some((own) => {
    const tunnel = wanted.tunnels.find(({ id }) => id === tunnelId(own));
    return tunnel && tunnelState(tunnel, snapshot).kind === 'ready';
  });
}

/** Of the first that listens on this machine. */
function portOf(ids: readonly string[], { state }: Session): string | undefined {
  for (const id of ids) {
    const tunnel = state.wanted.tunnels.find((one) => one.id === id);
    const [first] = tunnel && tunnel.spec.kind !== 'remote' ? boundOf(tunnelState(tunnel, state.snapshot)) : [];
    if (first?.kind === 'tcp') return String(first.port);
  }
  return undefined;
}
