import * as vscode from 'vscode';
import { readDefaultBind, type DefaultBind } from '../core/defaultBind.js';
import { readNoticeLevel, type NoticeLevel } from '../core/notice.js';
import { readKeepalive, readWaits, type HostDefaults, type Waits } from '../core/plan.js';
import { parsePresets, type Preset, type PresetProblem, type PresetScope } from '../core/preset.js';
import type { Answers, VariableWorld } from '../core/presetVariables.js';
import type { PresetKey } from '../core/subject.js';
import { settings } from './contributions.js';

/** The ssh_config file that the user chose, with `home` for a leading `~`; undefined: ssh's own. */
export function sshConfigFile(home: string): string | undefined {
  return readPath(settings.sshConfigFile, home);
}

/** What holds for every host where ssh_config, or what was typed, says nothing else. */
export function hostDefaults(home: string): HostDefaults {
  const identityFile = readPath(settings.identityFile, home);
  const keepaliveSeconds = readKeepalive(valueOf(settings.keepaliveSeconds));
  return {
    ...(identityFile !== undefined && { identityFile }),
    ...(keepaliveSeconds !== undefined && { keepaliveSeconds }),
  };
}

function readPath(setting: string, home: string): string | undefined {
  const text = valueOf(setting);
  if (typeof text !== 'string' || text.trim() === '') return undefined;
  return text.trim().replace(/^~(?=[\\/]|$)/, () => home);
}

function valueOf(setting: string): unknown {
  const [configuration, key] = configurationOf(setting);
  return configuration.get<unknown>(key);
}

/** By the section: without it VS Code copies the settings of all extensions each time. `scope` null: none of the folders. */
function configurationOf(
  setting: string,
  scope?: vscode.ConfigurationScope | null,
): [configuration: vscode.WorkspaceConfiguration, key: string] {
  const dot = setting.indexOf('.');
  return [vscode.workspace.getConfiguration(setting.slice(0, dot), scope), setting.slice(dot + 1)];
}

/** Which notices appear as notifications. */
export function noticeLevel(): NoticeLevel {
  return readNoticeLevel(valueOf(settings.notifications));
}

/** Where that listens which is typed into Forward Port without a bind address. */
export function defaultBind(): DefaultBind {
  return readDefaultBind(valueOf(settings.defaultBind));
}

/** Whether presets with autoStart start by themselves. */
export function startsPresets(): boolean {
  return valueOf(settings.autoStart) !== false;
}

/** Whether Forward Port may run a command on the server to find what listens there. */
export function findsServerPorts(): boolean {
  return valueOf(settings.findServerPorts) !== false;
}

/** Whether tunnels that ran when the window closed are started with the next one. */
export function restoresTunnels(): 'ask' | 'always' | 'never' {
  const value = valueOf(settings.restoreTunnels);
  return value === 'always' || value === 'never' ? value : 'ask';
}

/** How long clients wait for a connection, and a connection on demand for a client. */
export function waits(): Waits {
  return readWaits(valueOf(settings.parkSeconds), valueOf(settings.idleMinutes));
}

export interface ReadPresets {
  presets: readonly Preset[];
  problems: readonly PresetProblem[];
}

/** The presets of all settings files: those of the workspace first. `answers`: what was last answered to their inputs. */
export function readPresets(answers: (preset: PresetKey) => Answers | undefined): ReadPresets {
  const read = presetValues().map(({ scope, value }) =>
    parsePresets(value, scope, { ...presetWorld(scope), answers: (name) => answers({ name, scope }) }),
  );
  return { presets: read.flatMap(({ presets }) => presets), problems: read.flatMap(({ problems }) => problems) };
}

/** What variables stand for in the presets of one settings file. */
export function presetWorld(scope: PresetScope): VariableWorld {
  const all = vscode.workspace.workspaceFolders ?? [];
  const read = ({ name, uri }: vscode.WorkspaceFolder) => ({
    name,
    path: uri.scheme === 'file' ? uri.fsPath : uri.path,
  });
  const own = all.find((folder) => scope.kind === 'folder' && folderScope(folder).folder === scope.folder);
  const { isTrusted } = vscode.workspace;
  return {
    folders: all.map(read),
    ...(own && { folder: read(own) }),
    ...(!isTrusted && { isUntrusted: true }),
    ...((isTrusted || scope.kind === 'user') && { env: process.env }),
  };
}

/** By its name, or by its path where another folder is called the same. */
export function folderScope(folder: vscode.WorkspaceFolder): PresetScope & { kind: 'folder' } {
  const folders = vscode.workspace.workspaceFolders ?? [];
  const isNamesake = folders.some((other) => other !== folder && other.name === folder.name);
  return { kind: 'folder', folder: isNamesake ? folder.uri.path : folder.name };
}

export function presetValues(): { scope: PresetScope; value: unknown }[] {
  const folders = vscode.workspace.workspaceFolders ?? [];
  const values = inspectPresets();
  // Without a .code-workspace file the workspace's settings are those of its one folder.
  const ofFolders = vscode.workspace.workspaceFile === undefined ? [] : folders;
  return [
    { scope: { kind: 'workspace' }, value: values?.workspaceValue },
    ...ofFolders.map((folder) => ({ scope: folderScope(folder), value: inspectPresets(folder)?.workspaceFolderValue })),
    { scope: { kind: 'user' }, value: values?.globalValue },
  ];
}

function inspectPresets(folder?: vscode.WorkspaceFolder) {
  const [configuration, key] = configurationOf(settings.presets, folder?.uri ?? null);
  return configuration.inspect<unknown>(key);
}

/** Where a new preset goes: the workspace's settings, the user's while none is open. */
export function scopeForNew(): PresetScope & { kind: 'workspace' | 'user' } {
  return vscode.workspace.workspaceFolders?.length ? { kind: 'workspace' } : { kind: 'user' };
}
