// What stands in ssh_config: read by the engine when it is first wanted, and again when one of its files changes.
import * as vscode from 'vscode';
import { isHostName, type ConfigForwards } from '../core/configForward.js';
import type { Engine } from '../core/engine.js';
import { failureOf } from '../core/failure.js';
import { failureText } from '../core/wording.js';
import { settings } from './contributions.js';

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
  log: Pick<vscode.LogOutputChannel, 'error'>,
): ConfigList {
  const changed = new vscode.EventEmitter<void>();
  let current: ConfigForwards | undefined;
  let latest: Promise<ConfigForwards | undefined> | undefined;
  let reads = 0;
  let timer: NodeJS.Timeout | undefined;
  let watched = '';
  let watching: vscode.Disposable | undefined;

  const refresh = (): Promise<ConfigForwards | undefined> => {
    const read = ++reads;
    latest = engine.configForwards(configFile()).then(
      ({ forwards, ...rest }) => {
        const list = { ...rest, forwards: forwards.filter(({ host }) => isHostName(host)) };
        // A later one knows better.
        if (read === reads) take(list);
        return list;
      },
      (error: unknown) => {
        log.error(`ssh_config can’t be listed: ${failureText(failureOf(error))}`);
        if (read === reads) latest = undefined;
        return undefined;
      },
    );
    return latest;
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
  /** Whole folders, not recursively: a file that Include would find may not be there yet. */
  const watch = (files: readonly string[]) => {
    const uris = files.map((file) => vscode.Uri.file(file));
    const paths = new Set(uris.map(({ path }) => path));
    const folders = new Map(uris.map((uri) => vscode.Uri.joinPath(uri, '..')).map((folder) => [folder.path, folder]));
    const key = [...paths].join('\n');
    if (key === watched) return;
    watched = key;
    watching?.dispose();
    const onChange = ({ path }: vscode.Uri) => paths.has(path) && refreshSoon();
    const watchers = [...folders.values()].map((folder) =>
      vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(folder, '*')),
    );
    watching = vscode.Disposable.from(
      ...watchers.flatMap((watcher) => [
        watcher,
        watcher.onDidChange(onChange),
        watcher.onDidCreate(refreshSoon),
        watcher.onDidDelete(refreshSoon),
      ]),
    );
  };

  const parts = vscode.Disposable.from(
    changed,
    vscode.workspace.onDidChangeConfiguration(
      (event) => event.affectsConfiguration(settings.sshConfigFile) && latest && refresh(),
    ),
    // Not every file system tells of changes.
    vscode.window.onDidChangeWindowState(({ focused }) => focused && refreshSoon()),
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
