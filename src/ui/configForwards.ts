// Starting what stands in ssh_config from an editor or the palette.
import * as vscode from 'vscode';
import { isAmong } from '../core/configFiles.js';
import { configTunnel, type ConfigForwards } from '../core/configForward.js';
import { tunnelId, type NewTunnel } from '../core/session.js';
import { readEditorLine, type EditorLine } from '../core/subject.js';
import { t } from '../core/translate.js';
import type { Turns } from '../core/turns.js';
import { printable } from '../core/printable.js';
import type { ConfigList } from './configList.js';
import type { Messages } from './messages.js';
import type { Presentation } from './presentation.js';

/**
 * The tunnels that a line in an editor stands for, else what the user picks from the list. A line counts when ssh reads
 * its file: in another one its host may be a different machine. Nothing needs to be saved: the line is what is seen.
 */
export async function chooseConfigForwards(
  given: unknown,
  presentation: Presentation,
  configList: ConfigList,
  turns: Turns,
  messages: Messages,
): Promise<readonly NewTunnel[]> {
  const line = readEditorLine(given);
  if (!line && given !== undefined && given !== null) return [];
  const list = await configList.refresh();
  if (!list) {
    void messages.show('error', t('ssh_config can’t be read. The log says why.'));
    return [];
  }
  return line ? ofLine(line, list, turns, messages) : ofList(list, presentation, turns, messages);
}

async function ofLine(
  { file, hosts, spec }: EditorLine,
  { files }: ConfigForwards,
  turns: Turns,
  messages: Messages,
): Promise<readonly NewTunnel[]> {
  if (!isAmong(files, file, process.platform)) {
    const text = t(
      'ssh does not read {file}, so its hosts are not known. Include it in your ssh_config, or name it in the setting sshTunnels.sshConfigFile.',
      { file: printable(file) },
    );
    void messages.show('error', text);
    return [];
  }
  const title = t('Start for Which Host?');
  const host =
    hosts.length === 1 ? hosts[0] : await turns.take(() => vscode.window.showQuickPick([...hosts], { title }));
  return host === undefined ? [] : [configTunnel({ host, spec })];
}

type PickedForwards = vscode.QuickPickItem & { /** of the tunnels */ ids: readonly string[] };

async function ofList(
  { forwards, files }: ConfigForwards,
  presentation: Presentation,
  turns: Turns,
  messages: Messages,
): Promise<readonly NewTunnel[]> {
  const groups = presentation.presented.rows.flatMap((row) => (row.kind === 'sshConfig' ? row.rows : []));
  const items = groups.flatMap((row): PickedForwards[] => {
    if (row.kind !== 'configHost') return [];
    const all = {
      label: t('All {count} forwards', { count: row.forwards.length }),
      description: row.host,
      ids: row.forwards.map(idOf),
    };
    return [
      ...(row.forwards.length > 1 ? [all] : []),
      ...row.forwards.map(({ id, label, description }) => ({
        label,
        description: [row.host, ...(description ? [description] : [])].join(' · '),
        ids: [id],
      })),
    ];
  });
  if (items.length === 0) {
    const where = files[0] === undefined ? 'ssh_config' : printable(files[0]);
    const text = t(
      'No forward stands in {where} for a host by name. Add one there, such as LocalForward 8080 localhost:80.',
      { where },
    );
    void messages.show('information', text);
    return [];
  }
  const options = { title: t('Start Forward of ssh_config'), matchOnDescription: true };
  const picked = await turns.take(() => vscode.window.showQuickPick(items, options));
  return forwards.map(configTunnel).filter((tunnel) => picked?.ids.includes(tunnelId(tunnel)));
}

function idOf({ id }: { id: string }): string {
  return id;
}
