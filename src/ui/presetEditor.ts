// Presets in the editor of a settings file: what is wrong with them, what a forward does, and which hosts, groups and
// variables could be written.
import * as vscode from 'vscode';
import type { Engine } from '../core/engine.js';
import type { PresetWorld } from '../core/preset.js';
import type { PresetScope } from '../core/preset.js';
import {
  isPlainHost,
  presetDocumentProblems,
  presetHover,
  presetOffers,
  type PresetOffer,
  type Span,
} from '../core/presetDocument.js';
import { t } from '../core/translate.js';
import { markDocuments } from './documentMarks.js';
import { presetSelector } from './documentSelectors.js';
import { paragraphs } from './markdown.js';
import type { PresetAnswers } from './presetAnswers.js';
import type { PresetSettings } from './presets.js';
import { folderScope, presetWorld } from './settings.js';

export function editPresets(
  engine: Pick<Engine, 'hosts'>,
  configFile: () => string | undefined,
  presetSettings: PresetSettings,
  answers: PresetAnswers,
): vscode.Disposable {
  const isOurs = (document: vscode.TextDocument) => vscode.languages.match(presetSelector, document) > 0;

  /** Undefined for a file that holds no settings of this window, and tells not what they would be. */
  const worldOf = (uri: vscode.Uri): { scope: PresetScope; world: PresetWorld } | undefined => {
    const scope = scopeOf(uri);
    if (!scope) return undefined;
    return { scope, world: { ...presetWorld(scope), answers: (name) => answers.of({ name, scope })[0] } };
  };
  const problemsOf = (document: vscode.TextDocument): vscode.Diagnostic[] | undefined => {
    const known = worldOf(document.uri);
    if (!known) return undefined;
    const problems = presetDocumentProblems(document.getText(), known.scope, known.world);
    return problems.map(({ severity, message, ...span }) => {
      const isHint = severity === 'hint';
      const one = new vscode.Diagnostic(
        rangeOf(document, span),
        message,
        isHint ? vscode.DiagnosticSeverity.Hint : vscode.DiagnosticSeverity.Error,
      );
      one.source = 'SSH Tunnels';
      if (isHint) one.tags = [vscode.DiagnosticTag.Unnecessary];
      return one;
    });
  };
  const marks = markDocuments('ssh-tunnels.presets', isOurs, problemsOf);

  const namesOf = async ({ what, known }: PresetOffer): Promise<readonly string[]> => {
    if (what === 'host') return (await engine.hosts(configFile())).filter(isPlainHost);
    if (what === 'variable') return known;
    // Those of other files, too.
    return [...new Set([...known, ...presetSettings.current.presets.flatMap(({ group }) => group ?? [])])];
  };
  const hoverProvider: vscode.HoverProvider = {
    provideHover(document, position) {
      const world = worldOf(document.uri)?.world;
      const hover = world && presetHover(document.getText(), document.offsetAt(position), world);
      return hover && new vscode.Hover(paragraphs(hover.lines), rangeOf(document, hover));
    },
  };
  const completionProvider: vscode.CompletionItemProvider = {
    async provideCompletionItems(document, position) {
      const offer = presetOffers(document.getText(), document.offsetAt(position));
      if (!offer) return [];
      const names = await namesOf(offer);
      const range = rangeOf(document, offer);
      return names.map((name) => toItem(offer.what, name, offer.isQuoted, range));
    },
  };
  return vscode.Disposable.from(
    marks,
    presetSettings.onDidChange(marks.refresh),
    vscode.languages.registerHoverProvider(presetSelector, hoverProvider),
    vscode.languages.registerCompletionItemProvider(presetSelector, completionProvider, '"', '@', ',', '$', '{'),
  );
}

/** Whose settings the file holds. */
function scopeOf(uri: vscode.Uri): PresetScope | undefined {
  const { workspaceFile, workspaceFolders = [] } = vscode.workspace;
  if (uri.path.endsWith('.code-workspace'))
    return workspaceFile?.toString() === uri.toString() ? { kind: 'workspace' } : undefined;
  const folder = workspaceFolders.find(
    (one) => vscode.Uri.joinPath(one.uri, '.vscode', 'settings.json').toString() === uri.toString(),
  );
  if (folder) return workspaceFile ? folderScope(folder) : { kind: 'workspace' };
  const isUsers = uri.scheme === 'vscode-userdata' || /\/User\/(profiles\/[^/]+\/)?settings\.json$/.test(uri.path);
  return isUsers ? { kind: 'user' } : undefined;
}

function rangeOf(document: vscode.TextDocument, { start, end }: Span): vscode.Range {
  return new vscode.Range(document.positionAt(start), document.positionAt(end));
}

function toItem(
  what: 'host' | 'group' | 'variable',
  name: string,
  isQuoted: boolean,
  range: vscode.Range,
): vscode.CompletionItem {
  switch (what) {
    case 'host':
    case 'group': {
      const item = new vscode.CompletionItem(name, vscode.CompletionItemKind.Value);
      const text = JSON.stringify(name);
      item.insertText = isQuoted ? text : text.slice(1, -1);
      item.range = range;
      item.detail = what === 'host' ? t('Host of ssh_config') : t('Group of presets');
      return item;
    }
    case 'variable': {
      const item = new vscode.CompletionItem(`\${${name}}`, vscode.CompletionItemKind.Variable);
      // What is open still has a name to come.
      item.insertText = name.endsWith(':')
        ? new vscode.SnippetString().appendText(`\${${name}`).appendPlaceholder('NAME').appendText('}')
        : `\${${name}}`;
      item.range = range;
      return item;
    }
  }
}
