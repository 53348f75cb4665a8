// Which documents have something of ours in them.
import * as vscode from 'vscode';
import { sshConfigLanguage } from './contributions.js';

/** By its place: a settings file has the language that other extensions give it. */
export const presetSelector: vscode.DocumentFilter[] = ['file', 'vscode-userdata', 'vscode-remote'].flatMap((scheme) =>
  ['**/settings.json', '**/*.code-workspace'].map((pattern) => ({ scheme, pattern })),
);

/** Files that are ssh_config by their place, whatever language they were given. */
const patterns = [
  '**/.ssh/config',
  '**/.ssh/config.d/*',
  '**/.ssh/*.config',
  '/etc/ssh/ssh_config*',
  '/etc/ssh/ssh_config.d/*',
  '**/ProgramData/ssh/ssh_config',
];

/** Only files of the machine that this runs on: in those of another one the hosts are that one's. */
export function configSelector(configFile: string | undefined): vscode.DocumentFilter[] {
  const scheme = 'file';
  const own = configFile === undefined ? [] : [vscode.Uri.file(configFile)];
  return [
    { scheme, language: sshConfigLanguage },
    ...patterns.map((pattern) => ({ scheme, pattern })),
    ...own.map((uri) => {
      const name = uri.path.slice(uri.path.lastIndexOf('/') + 1);
      // As it is written: what a pattern would take for a mark stands in brackets.
      const pattern = name.replace(/[*?[\]{}]/g, '[$&]');
      return { scheme, pattern: new vscode.RelativePattern(vscode.Uri.joinPath(uri, '..'), pattern) };
    }),
  ];
}
