// What stands in ssh_config: read by the engine when it is first wanted, and again when one of its files changes.
import * as vscode from 'vscode';
import { isAmong, mayBeIncluded } from '../core/configFiles.js';
import { isHostName, type ConfigForwards } from '../core/configForward.js';
import type { Engine } from '../core/engine.js';
import { failureOf } from '../core/failure.js';
import { inEnglish } from '../core/translate.js';
import { failureText } from '../core/wording.js';
import { settings } from './contributions.js';
import type { Log } from './log.js';

export interface ConfigList extends vscode.Disposable {
  /** As last read; undefined before. */
  readonly current: ConfigForwards | undefined;
  readonly onDidChange: vscode.Event<void>;
  /** Reads it unless that is done; from then on it is kept up to date. Undefined: it can't be read, and the log says why. */
  read(): Promise<ConfigForwards | undefined>;
  /** Reads it as it is now. */
  refresh(): Promise<ConfigForwards | undefined>;
}

/** An editor may write a file in several steps. */
const settleMs = 200;

export function createConfigList(
  engine: Pick<Engine, 'configForwards'>,
  configFile: () => string | undefined,
  log: Pick<Log, 'error'>,
): ConfigList {
  const changed = new vscode.EventEmitter<void>();
  let current: ConfigForwards | undefined;
  let latest: Promise<ConfigForwards | undefined> | undefined;
  /** One at a time: the one under way, and the one that begins when it has ended. */
  let reading: Promise<ConfigForwards | undefined> | undefined;
  let next: Promise<ConfigForwards | undefined> | undefined;
  /** How the files stood when they were read last. */
  let seen: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let watched = '';
  let watching: vscode.Disposable | undefined;

  const refresh = (): Promise<ConfigForwards | undefined> => {
    if (!reading) {
      latest = reading = readNow().finally(() => (reading = undefined));
      return reading;
    }
    next ??= reading.then(() => {
      next = undefined;
      return refresh();
    });
    return next;
  };
  const readNow = async (): Promise<ConfigForwards | undefined> => {
    try {
      const before = current && (await standing(current.files));
      const { forwards, ...rest } = await engine.configForwards(configFile());
      const list = { ...rest, forwards: forwards.filter(({ host }) => isHostName(host)) };
      const isKnown = before !== undefined && list.files.join('\n') === current?.files.join('\n');
      seen = isKnown ? before : await standing(list.files);
      take(list);
      return list;
    } catch (error) {
      log.error(`ssh_config can’t be listed: ${inEnglish(() => failureText(failureOf(error)))}`);
      latest = undefined;
      return undefined;
    }
  };
  const take = (list: ConfigForwards) => {
    const isSame = JSON.stringify(list) === JSON.stringify(current);
    current = list;
    if (isSame) return;
    watch(list.files);
    changed.fire();
  };
  /** What was read once is kept up to date. */
  const refreshSoon = () => {
    if (!latest) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      void refresh();
    }, settleMs);
  };
  /** Not every file system tells of changes, and of a link only its own folder is watched. */
  const refreshIfChanged = async () => {
    if (!current || reading || seen === (await standing(current.files))) return;
    refreshSoon();
  };
  /** Whole folders, not recursively: a file that Include would find may not be there yet. */
  const watch = (files: readonly string[]) => {
    const key = files.join('\n');
    if (key === watched) return;
    watched = key;
    watching?.dispose();
    const onDelete = ({ fsPath }: vscode.Uri) => isAmong(files, fsPath, process.platform) && refreshSoon();
    // Also of a change: one that came before its folder was watched is first heard of by that.
    const onChange = async (uri: vscode.Uri) => {
      if (isAmong(files, uri.fsPath, process.platform)) return refreshSoon();
      if (!mayBeIncluded(files, uri.fsPath, process.platform)) return;
      // ssh’s own sockets (ControlPath) mostly lie there, too.
      const { type } = await stat(uri);
      if (type & vscode.FileType.File) refreshSoon();
    };
    const watchers = foldersOf(files).map((folder) =>
      vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(folder, '*')),
    );
    watching = vscode.Disposable.from(
      ...watchers.flatMap((watcher) => [
        watcher,
        watcher.onDidChange((uri) => void onChange(uri)),
        watcher.onDidCreate((uri) => void onChange(uri)),
        watcher.onDidDelete(onDelete),
      ]),
    );
  };

  const parts = vscode.Disposable.from(
    changed,
    vscode.workspace.onDidChangeConfiguration(
      (event) => event.affectsConfiguration(settings.sshConfigFile) && latest && refresh(),
    ),
    vscode.window.onDidChangeWindowState(({ focused }) => focused && void refreshIfChanged()),
    { dispose: () => clearTimeout(timer) },
    { dispose: () => void watching?.dispose() },
  );
  return {
    get current() {
      return current;
    },
    onDidChange: changed.event,
    read: () => latest ?? refresh(),
    refresh,
    dispose: () => void parts.dispose(),
  };
}

function foldersOf(files: readonly string[]): vscode.Uri[] {
  const folders = files.map((file) => vscode.Uri.joinPath(vscode.Uri.file(file), '..'));
  return [...new Map(folders.map((folder) => [folder.path, folder])).values()];
}

/** Times and sizes, also of the folders in which an Include may find more. */
async function standing(files: readonly string[]): Promise<string> {
  const uris = [...files.map((file) => vscode.Uri.file(file)), ...foldersOf(files.slice(1))];
  const stats = await Promise.all(uris.map(stat));
  return stats.map(({ mtime, size }) => `${mtime} ${size}`).join('\n');
}

/** What is not there has no size. */
async function stat(uri: vscode.Uri): Promise<{ type: vscode.FileType; mtime: number; size: number }> {
  try {
    return await vscode.workspace.fs.stat(uri);
  } catch {
    return { type: vscode.FileType.Unknown, mtime: 0, size: -1 };
  }
}
