// Tasks of type `tunnel`: they start tunnels, are ready when the targets answer, and stop what they have started.
import * as vscode from 'vscode';
import type { Engine } from '../core/engine.js';
import { failureOf, type Failure } from '../core/failure.js';
import type { Hold, Holds } from '../core/holds.js';
import { isWanted } from '../core/plan.js';
import { tunnelName } from '../core/present.js';
import type { PresetScope } from '../core/preset.js';
import type { Session, SessionState, Tunnel } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';
import { t } from '../core/translate.js';
import {
  isTaskNamed,
  readTunnelTask,
  taskFailedText,
  taskLine,
  taskMatcher,
  taskPlace,
  taskPreset,
  taskType,
  taskUntrustedText,
  tunnelLine,
  type TaskMark,
  type TunnelTask,
} from '../core/tunnelTask.js';
import { failureText } from '../core/wording.js';
import type { Messages } from './messages.js';
import type { PortHolds } from './portHolds.js';
import type { Presets, PresetSettings } from './presets.js';

export interface TaskParts {
  session: Session;
  engine: Pick<Engine, 'probe'>;
  holds: Holds;
  portHolds: Pick<PortHolds, 'takeOver'>;
  presets: Pick<Presets, 'agree'>;
  presetSettings: Pick<PresetSettings, 'current'>;
  messages: Messages;
}

/** What is tried again is tried so often, in milliseconds. */
const againMs = 1_000;

export type TunnelTasks = ReturnType<typeof createTunnelTasks>;

export function createTunnelTasks(parts: TaskParts) {
  return {
    provideTasks(): vscode.Task[] {
      const names = new Set(parts.presetSettings.current.presets.map(({ name }) => name));
      const scope = vscode.workspace.workspaceFolders ? vscode.TaskScope.Workspace : vscode.TaskScope.Global;
      return [...names].map((preset) => taskOf({ type: taskType, preset }, preset, scope, parts));
    },
    resolveTask: ({ definition, name, scope = vscode.TaskScope.Workspace }: vscode.Task): vscode.Task =>
      taskOf(definition, name, scope, parts),
  };
}

function taskOf(
  definition: vscode.TaskDefinition,
  name: string,
  scope: vscode.WorkspaceFolder | vscode.TaskScope,
  parts: TaskParts,
): vscode.Task {
  const place: PresetScope = { kind: scope === vscode.TaskScope.Global ? 'user' : 'workspace' };
  const run = (resolved: vscode.TaskDefinition) => openTerminal(resolved, name, place, parts);
  const execution = new vscode.CustomExecution((resolved) => Promise.resolve(run(resolved)));
  const task = new vscode.Task(definition, scope, name, taskType, execution, [taskMatcher]);
  task.isBackground = true;
  task.presentationOptions = {
    reveal: vscode.TaskRevealKind.Silent,
    panel: vscode.TaskPanelKind.Dedicated,
    clear: true,
  };
  return task;
}

/** The task’s terminal; nothing happens before VS Code opens it. */
function openTerminal(
  definition: vscode.TaskDefinition,
  name: string,
  scope: PresetScope,
  parts: TaskParts,
): vscode.Pseudoterminal {
  const written = new vscode.EventEmitter<string>();
  const closed = new vscode.EventEmitter<number | void>();
  let running: vscode.Disposable | undefined;
  let isOver = false;
  const say = (mark: TaskMark, line: string) => isOver || written.fire(`${taskLine(mark, line)}\r\n`);
  const end = (code: number | undefined) => {
    if (isOver) return;
    isOver = true;
    running?.dispose();
    // Without a number VS Code does not start what waits for the task; with one it would, though the task has failed.
    closed.fire(code);
  };
  const fail = (reason: string, isTold = false) => {
    say('✖', reason);
    end(undefined);
    if (!isTold) void parts.messages.show('error', taskFailedText(name, reason));
  };

  const open = async (): Promise<void> => {
    say('○', t('Starting {name}', { name }));
    if (!vscode.workspace.isTrusted) return fail(taskUntrustedText());
    const task = readTunnelTask(definition);
    if (!task.ok) return fail(task.message);
    const preset = taskPreset(task.value, name, scope, parts.presetSettings.current.presets);
    if (!preset.ok) return fail(preset.message);
    const tunnels = await parts.presets.agree(preset.value, taskPlace(task.value));
    if (isOver) return;
    if (!tunnels) return fail(t('Not started: you did not agree to it.'), true);
    const hold = parts.holds.hold(tunnels, 'task');
    parts.portHolds.takeOver(hold.tunnels);
    running = watch(task.value, hold);
  };

  const watch = (task: TunnelTask, hold: Hold): vscode.Disposable => {
    const follower = followTunnels(task, hold.tunnels, parts, { say, fail, ended: () => end(0) });
    const debugging = task.endsWithDebugging ? whenDebuggingEnds(definition, name, () => end(0)) : undefined;
    return {
      dispose() {
        follower.dispose();
        debugging?.dispose();
        hold.release();
      },
    };
  };

  return {
    onDidWrite: written.event,
    onDidClose: closed.event,
    open: () => void open().catch((error: unknown) => fail(failureText(failureOf(error)))),
    close() {
      end(undefined);
      written.dispose();
      closed.dispose();
    },
  };
}

interface Follower {
  say(mark: TaskMark, line: string): void;
  fail(reason: string): void;
  /** Somebody has stopped the tunnels. */
  ended(): void;
}

/** Tells how the tunnels stand, and when all of them can be used. */
function followTunnels(
  { waitsForTarget, timeoutSeconds }: TunnelTask,
  ids: readonly string[],
  { session, engine }: Pick<TaskParts, 'session' | 'engine'>,
  { say, fail, ended }: Follower,
): vscode.Disposable {
  const calledOff = new AbortController();
  const told = new Map<string, string>();
  /** Whose target has answered since it listened last. */
  const answered = new Set<string>();
  const probing = new Set<string>();
  const begun = new Map(ids.map((id) => [id, failureIn(id, session.state)]));
  /** `waiting`: so many ms without a person who has to answer. */
  let stand: { kind: 'waiting'; ms: number } | { kind: 'ready' } = { kind: 'waiting', ms: 0 };
  let reason = '';
  /** One that was ready is waited for without end: a break of the line is no reason to end it. */
  let wasReady = false;

  const mark = (): TaskMark => (stand.kind === 'waiting' ? '○' : ' ');
  const tell = (id: string, line: string, with_: TaskMark = mark()) => {
    if (told.get(id) === line) return;
    told.set(id, line);
    say(with_, line);
  };

  const look = (): void => {
    if (calledOff.signal.aborted) return;
    for (const id of ids) {
      const tunnel = find(id, session.state);
      if (!tunnel || !isWanted(tunnel)) {
        if (tunnel?.wish === 'lost') return fail(tunnelLine(tunnel, session.state) ?? '');
        say('■', t('The tunnel was stopped.'));
        return ended();
      }
      const state = tunnelState(tunnel, session.state.snapshot);
      // One that failed as it had before has not heard of its start yet.
      if (state.kind === 'failed' && state.failure !== begun.get(id)) return fail(lineOf(tunnel));
      if (state.kind === 'failed') continue;
      begun.delete(id);
      if (state.kind !== 'ready') {
        answered.delete(id);
        if (stand.kind === 'ready') stand = { kind: 'waiting', ms: 0 };
        reason = lineOf(tunnel);
      }
      tell(id, lineOf(tunnel));
      if (state.kind === 'ready' && !answered.has(id)) void probe(tunnel);
    }
    if (stand.kind === 'ready' || answered.size < ids.length) return;
    stand = { kind: 'ready' };
    wasReady = true;
    say('✔', ids.length === 1 ? t('The tunnel is ready') : t('All {count} tunnels are ready', { count: ids.length }));
  };
  const lineOf = (tunnel: Tunnel) => tunnelLine(tunnel, session.state) ?? '';

  const probe = async (tunnel: Tunnel): Promise<void> => {
    const { id } = tunnel;
    if (!waitsForTarget) {
      answered.add(id);
      return;
    }
    if (probing.has(id)) return;
    probing.add(id);
    try {
      const failure = await engine.probe(id, calledOff.signal);
      if (calledOff.signal.aborted) return;
      if (failure) sayUnanswered(tunnel, failure);
      else if (tunnelState(tunnel, session.state.snapshot).kind === 'ready') answered.add(id);
    } catch {
      // It could not be tried: its connection went, and it will be told how it goes on.
    } finally {
      probing.delete(id);
    }
    if (answered.has(id)) look();
  };
  const sayUnanswered = (tunnel: Tunnel, failure: Failure) => {
    const name = tunnelName(tunnel, tunnelState(tunnel, session.state.snapshot));
    reason = t('{name}: its target does not answer yet. {reason}', { name, reason: failureText(failure) });
    tell(`${tunnel.id} target`, reason);
  };

  const tick = () => {
    if (stand.kind === 'ready') return;
    if (wasReady) return look();
    const isAsking = ids.some((id) => {
      const tunnel = find(id, session.state);
      const state = tunnel && tunnelState(tunnel, session.state.snapshot);
      return state?.kind === 'connecting' && state.ask;
    });
    if (!isAsking) stand.ms += againMs;
    if (stand.ms > timeoutSeconds * 1000)
      return fail(t('Not ready within {seconds} s. {reason}', { seconds: timeoutSeconds, reason }));
    look();
  };
  const timer = setInterval(tick, againMs);
  const stop = session.onChange(look);
  queueMicrotask(look);
  return {
    dispose() {
      calledOff.abort();
      clearInterval(timer);
      stop();
    },
  };
}

function find(id: string, { wanted }: SessionState): Tunnel | undefined {
  return wanted.tunnels.find((tunnel) => tunnel.id === id);
}

function failureIn(id: string, state: SessionState): Failure | undefined {
  const tunnel = find(id, state);
  const seen = tunnel && tunnelState(tunnel, state.snapshot);
  return seen?.kind === 'failed' ? seen.failure : undefined;
}

/** Calls back when the last debugging has ended that this task came before. */
function whenDebuggingEnds(definition: vscode.TaskDefinition, name: string, then: () => void): vscode.Disposable {
  const open = new Set<string>();
  return vscode.Disposable.from(
    vscode.debug.onDidStartDebugSession(({ id, configuration }) => {
      if (isTaskNamed(configuration['preLaunchTask'], { name, definition })) open.add(id);
    }),
    vscode.debug.onDidTerminateDebugSession(({ id }) => {
      if (open.delete(id) && open.size === 0) then();
    }),
  );
}
