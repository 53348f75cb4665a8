// Import Presets: from ssh_config, a pasted ssh command, or the ports that Remote-SSH forwards.
import * as vscode from 'vscode';
import type { PresetScope } from '../core/preset.js';
import { textProblem } from '../core/presetDraft.js';
import {
  ofConfig,
  ofRemotePorts,
  ofTunnels,
  presetsOf,
  readRemotePorts,
  withImported,
  type ImportedForward,
} from '../core/presetImport.js';
import { scopeText } from '../core/present.js';
import type { PresetKey } from '../core/subject.js';
import { t } from '../core/translate.js';
import type { ConfigList } from './configList.js';
import type { Messages } from './messages.js';
import type { PresetFiles } from './presetFiles.js';
import { askHost, askScope } from './presetSteps.js';
import { presetWorld, scopeForNew } from './settings.js';
import { askSshCommand } from './sshCommandBox.js';
import { back, type Answer } from './steps.js';

/** Gives those that were added. */
export type PresetImport = () => Promise<readonly PresetKey[]>;

type Source = 'config' | 'command' | 'remoteSsh';

export function createPresetImport(
  files: PresetFiles,
  configList: Pick<ConfigList, 'refresh'>,
  hosts: () => Promise<readonly string[]>,
  messages: Messages,
): PresetImport {
  const find = async (source: Source): Promise<Answer<readonly ImportedForward[]>> => {
    switch (source) {
      case 'config': {
        const list = await configList.refresh();
        if (list && list.forwards.length > 0) return ofConfig(list.forwards);
        const text = list
          ? t(
              'No forward stands in ssh_config for a host by name. Add one there, such as LocalForward 8080 localhost:80.',
            )
          : t('ssh_config can’t be read. The log says why.');
        void messages.show(list ? 'information' : 'error', text);
        return undefined;
      }
      case 'command': {
        const read = await askSshCommand(t('Import Presets from ssh Command'));
        if (!read) return undefined;
        if (read.tunnels.length > 0) return ofTunnels(read.tunnels);
        void messages.show('information', t('This command has no -L, -R or -D: nothing to import.'));
        return undefined;
      }
      case 'remoteSsh': {
        const host = await askOneHost(hosts);
        return typeof host === 'string' ? ofRemotePorts(remotePorts(), host) : host;
      }
    }
  };

  return async () => {
    for (;;) {
      const source = await askSource();
      if (source === undefined) return [];
      const found = await find(source);
      if (found === undefined) return [];
      if (found === back) continue;
      const picked = await pickForwards(found);
      if (picked === back) continue;
      if (!picked || picked.length === 0) return [];
      const scope = await askWhere(files);
      if (scope === back) continue;
      if (scope === undefined) return [];
      const presets = presetsOf(picked);
      let added: readonly string[] = [];
      const isWritten = await files.change(scope, (value) => {
        const imported = withImported(value, presets);
        added = imported.added;
        return imported.list;
      });
      if (!isWritten) return [];
      void messages.show('information', addedText(added.length, presets.length - added.length, scope));
      return added.map((name) => ({ name, scope }));
    }
  };
}

function addedText(count: number, known: number, scope: PresetScope): string {
  const place = scopeText(scope);
  const added =
    count === 0
      ? t('No preset was added to {place}.', { place })
      : count === 1
        ? t('1 preset was added to {place}.', { place })
        : t('{count} presets were added to {place}.', { count, place });
  if (known === 0) return added;
  const there = known === 1 ? t('1 was there already.') : t('{count} were there already.', { count: known });
  return `${added} ${there}`;
}

/** Of the user's own settings: a workspace's could lead anywhere. */
function remotePorts() {
  const setting = vscode.workspace.getConfiguration().inspect<unknown>('remote.SSH.defaultForwardedPorts');
  return readRemotePorts(setting?.globalValue);
}

async function askSource(): Promise<Source | undefined> {
  const ports = remotePorts().length;
  const item = (label: string, icon: string, detail: string, answer: Source) => ({
    label,
    detail,
    answer,
    iconPath: new vscode.ThemeIcon(icon),
  });
  const items = [
    item(t('From ssh_config'), 'file-code', t('The forwards that stand there for your hosts'), 'config'),
    item(t('From an ssh Command'), 'terminal', t('Paste one, such as ssh -N -L 5000:db:5432 user@machine'), 'command'),
    ...(ports > 0
      ? [
          item(
            t('From Remote-SSH'),
            'remote',
            ports === 1
              ? t('The port of its setting remote.SSH.defaultForwardedPorts')
              : t('The {count} ports of its setting remote.SSH.defaultForwardedPorts', { count: ports }),
            'remoteSsh',
          ),
        ]
      : []),
  ];
  const options = { title: t('Import Presets'), placeHolder: t('Where to import from'), ignoreFocusOut: true };
  return (await vscode.window.showQuickPick(items, options))?.answer;
}

function askOneHost(hosts: () => Promise<readonly string[]>): Promise<Answer<string>> {
  const placeholder = t('Remote-SSH forwards its ports for every host: which one are the presets for?');
  const problem = (text: string) => textProblem('host', text, { world: presetWorld({ kind: 'user' }), taken: [] });
  return askHost({ title: t('Import Presets from Remote-SSH'), text: '' }, placeholder, hosts, problem);
}

function pickForwards(found: readonly ImportedForward[]): Promise<Answer<readonly ImportedForward[]>> {
  type Item = vscode.QuickPickItem & { imported?: ImportedForward };
  const pick = vscode.window.createQuickPick<Item>();
  pick.title = t('Import Presets');
  pick.placeholder = t('Tick what to import; forwards of one host become one preset');
  pick.canSelectMany = true;
  pick.ignoreFocusOut = true;
  pick.matchOnDescription = true;
  pick.buttons = [vscode.QuickInputButtons.Back];
  const all = [...new Map(found.map((one) => [JSON.stringify(one), one])).values()];
  const hosts = [...new Set(all.map(({ host }) => host))];
  pick.items = hosts.flatMap((host): Item[] => [
    { label: host, kind: vscode.QuickPickItemKind.Separator },
    ...all
      .filter((one) => one.host === host)
      .map((imported) => ({
        label: imported.forward,
        ...(imported.name !== undefined && { description: imported.name }),
        imported,
      })),
  ]);
  pick.selectedItems = pick.items.filter(({ imported }) => imported);
  return new Promise((resolve) => {
    const answer = (given: readonly ImportedForward[] | typeof back | undefined) => {
      resolve(given);
      pick.hide();
    };
    pick.onDidAccept(() => answer(pick.selectedItems.flatMap(({ imported }) => imported ?? [])));
    pick.onDidTriggerButton(() => answer(back));
    pick.onDidHide(() => {
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
  });
}

function askWhere(files: PresetFiles): Promise<Answer<PresetScope>> {
  const scopes = files.scopes();
  // Nothing to choose from one.
  if (scopes.length === 1) return Promise.resolve(scopes[0]);
  return askScope({ title: t('Import Presets'), text: '' }, t('Where the presets are saved'), scopes, scopeForNew());
}
