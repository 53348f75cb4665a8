// "Explain Connection" as a document to read, and to copy into an issue.
import * as vscode from 'vscode';
import { printDestination } from '../core/destination.js';
import type { Engine } from '../core/engine.js';
import { printExplanation } from '../core/explanation.js';
import { failureOf } from '../core/failure.js';
import type { HostRequest } from '../core/plan.js';
import { t } from '../core/translate.js';
import { failureText } from '../core/wording.js';
import type { Messages } from './messages.js';

export interface Explanations extends vscode.Disposable {
  /** Finds out how a host is reached, and shows it: one document for each host. */
  show(host: HostRequest): Promise<void>;
}

const scheme = 'ssh-tunnels';

/** `about`: what made it, for those who read it elsewhere. */
export function createExplanations(engine: Pick<Engine, 'explain'>, messages: Messages, about: string): Explanations {
  /** By the document's address. */
  const texts = new Map<string, string>();
  const changed = new vscode.EventEmitter<vscode.Uri>();
  const parts = vscode.Disposable.from(
    changed,
    vscode.workspace.registerTextDocumentContentProvider(scheme, {
      onDidChange: changed.event,
      provideTextDocumentContent: (uri) => texts.get(uri.toString()) ?? '',
    }),
    vscode.workspace.onDidCloseTextDocument(({ uri }) => texts.delete(uri.toString())),
  );
  return {
    async show(host) {
      const name = printDestination(host.destination);
      const location = vscode.ProgressLocation.Notification;
      const options = { location, title: t('Finding out how {name} is reached', { name }), cancellable: true };
      const explanation = await vscode.window.withProgress(options, (_progress, cancelled) => {
        const abort = new AbortController();
        cancelled.onCancellationRequested(() => abort.abort());
        return engine.explain(host, abort.signal).catch((error: unknown) => failureOf(error));
      });
      if ('kind' in explanation) {
        if (explanation.kind !== 'cancelled') void messages.show('error', failureText(explanation));
        return;
      }
      const uri = vscode.Uri.from({ scheme, path: `/Explain ${name.replaceAll('/', '∕')}` });
      texts.set(uri.toString(), printExplanation(explanation, about));
      changed.fire(uri);
      const document = await vscode.workspace.openTextDocument(uri);
      await vscode.window.showTextDocument(await vscode.languages.setTextDocumentLanguage(document, 'markdown'), {
        preview: false,
        // One that was there already stands where it was left.
        selection: new vscode.Range(0, 0, 0, 0),
      });
    },
    dispose: () => void parts.dispose(),
  };
}
