// ssh_config in an editor: start and stop above each forward, what it does in a hover, and what is wrong with it. Only the
// text that is open is read, and nothing of the engine.
import * as vscode from 'vscode';
import { isAmong } from '../core/configFiles.js';
import { readConfigDocument, type ConfigDocument, type DocumentProblem, type Place } from '../core/configDocument.js';
import { configLenses, forwardHover, type ConfigLens } from '../core/configLens.js';
import { printSpec } from '../core/forwardSpec.js';
import { stateText } from '../core/present.js';
import type { Session } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';
import { t } from '../core/translate.js';
import type { ConfigList } from './configList.js';
import { commands, settings } from './contributions.js';
import { markDocuments } from './documentMarks.js';
import { configSelector } from './documentSelectors.js';
import { paragraphs } from './markdown.js';
import type { Presentation } from './presentation.js';

export function editConfigs(
  session: Session,
  presentation: Pick<Presentation, 'onDidChange'>,
  configList: Pick<ConfigList, 'current' | 'onDidChange'>,
  configFile: () => string | undefined,
): vscode.Disposable {
  const lensesChanged = new vscode.EventEmitter<void>();
  /** A lens, a hover and a check want the same text. */
  const documents = new WeakMap<vscode.TextDocument, { version: number; read: ConfigDocument }>();
  const readDocument = (document: vscode.TextDocument): ConfigDocument => {
    const { version } = document;
    const known = documents.get(document);
    if (known?.version === version) return known.read;
    const read = readConfigDocument(document.getText(), process.env);
    documents.set(document, { version, read });
    return read;
  };
  let states = '';
  /** Bytes and clients change all the time, and stand in no lens. */
  const fireIfChanged = () => {
    const now = JSON.stringify(
      session.state.wanted.tunnels.map((tunnel) => [
        tunnel.id,
        stateText(tunnel, tunnelState(tunnel, session.state.snapshot)),
      ]),
    );
    if (now === states) return;
    states = now;
    lensesChanged.fire();
  };
  let selector = configSelector(configFile());

  const isOurs = (document: vscode.TextDocument) => vscode.languages.match(selector, document) > 0;
  /** Before the list was read once, nobody knows: then the command finds out. */
  const canStart = (document: vscode.TextDocument) =>
    configList.current === undefined || isAmong(configList.current.files, document.uri.fsPath, process.platform);

  const lensProvider: vscode.CodeLensProvider = {
    onDidChangeCodeLenses: lensesChanged.event,
    provideCodeLenses: (document) =>
      canStart(document)
        ? configLenses(readDocument(document), session.state).map((lens) => toCodeLens(lens, document))
        : [],
  };
  const hoverProvider: vscode.HoverProvider = {
    provideHover(document, { line, character }) {
      const forward = readDocument(document).forwards.find(
        ({ place }) => place.line === line && place.start <= character && character <= place.end,
      );
      return forward && new vscode.Hover(paragraphs(forwardHover(forward, session.state)), toRange(forward.place));
    },
  };
  const register = () =>
    vscode.Disposable.from(
      vscode.languages.registerCodeLensProvider(selector, lensProvider),
      vscode.languages.registerHoverProvider(selector, hoverProvider),
    );
  let providers = register();

  const marks = markDocuments('ssh-tunnels', isOurs, (document) =>
    [...markProblems(document), ...readDocument(document).problems].map((problem) => toDiagnostic(problem, document)),
  );

  return vscode.Disposable.from(
    lensesChanged,
    marks,
    presentation.onDidChange(fireIfChanged),
    configList.onDidChange(() => lensesChanged.fire()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (!event.affectsConfiguration(settings.sshConfigFile)) return;
      providers.dispose();
      selector = configSelector(configFile());
      providers = register();
      marks.refresh();
    }),
    { dispose: () => void providers.dispose() },
  );
}

function toCodeLens(lens: ConfigLens, document: vscode.TextDocument): vscode.CodeLens {
  const { line, title } = lens;
  const range = new vscode.Range(line, 0, line, 0);
  switch (lens.kind) {
    case 'start': {
      const file = document.uri.fsPath;
      const given = { file, hosts: lens.hosts, forward: printSpec(lens.spec) };
      return new vscode.CodeLens(range, { title, command: commands.startConfigForward, arguments: [given] });
    }
    case 'stop':
      return new vscode.CodeLens(range, {
        title,
        command: commands.stop,
        arguments: [{ kind: 'forward', id: lens.id }],
      });
  }
}

function toDiagnostic({ severity, place, message, related }: DocumentProblem, { uri }: vscode.TextDocument) {
  const diagnostic = new vscode.Diagnostic(toRange(place), message, severities[severity]);
  diagnostic.source = 'SSH Tunnels';
  if (related) {
    const location = new vscode.Location(uri, toRange(related.place));
    diagnostic.relatedInformation = [new vscode.DiagnosticRelatedInformation(location, related.message)];
  }
  return diagnostic;
}

/** An editor leaves out of the text what ssh stumbles over. */
function markProblems(document: vscode.TextDocument): DocumentProblem[] {
  if (document.encoding !== 'utf8bom') return [];
  const place = { line: 0, start: 0, end: Math.max(document.lineAt(0).text.length, 1) };
  const message = t('The file begins with a byte order mark, which ssh refuses. Save it with the encoding UTF-8.');
  return [{ severity: 'error', place, message }];
}

const severities = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  information: vscode.DiagnosticSeverity.Information,
} as const;

function toRange({ line, start, end }: Place): vscode.Range {
  return new vscode.Range(line, start, line, end);
}
