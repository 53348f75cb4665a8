// A host key's picture as a read-only document: a modal is drawn with letters of different widths, where it can't be recognised.
import * as vscode from 'vscode';
import type { Ask } from '../core/engine.js';
import { keyPicture } from '../core/prompt.js';
import { t } from '../core/translate.js';

export interface KeyPictures extends vscode.Disposable {
  show(ask: Ask & { kind: 'hostKey' }): Promise<void>;
}

const scheme = 'ssh-tunnels-host-key';

export function createKeyPictures(): KeyPictures {
  const texts = new Map<string, string>();
  const provider = vscode.workspace.registerTextDocumentContentProvider(scheme, {
    provideTextDocumentContent: ({ path }) => texts.get(path) ?? '',
  });
  return {
    async show(ask) {
      // The fingerprint stands in the path, so that no document ever shows another key than at first.
      const path = `/${ask.fingerprint.replace(/[^\w]/g, '-')}/${t('Host key of {connection}', { connection: ask.connection.replace(/[\\/]/g, '-') })}`;
      texts.set(path, keyPicture(ask));
      const document = await vscode.workspace.openTextDocument(vscode.Uri.from({ scheme, path }));
      await vscode.window.showTextDocument(document, { preview: true, preserveFocus: true });
    },
    dispose: () => void provider.dispose(),
  };
}
