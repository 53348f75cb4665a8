// The only place that shows notifications.
import * as vscode from 'vscode';

type Severity = 'information' | 'warning' | 'error';

export interface Messages {
  /** Shows a notification and gives the button that was pressed. */
  show(severity: Severity, text: string, ...buttons: string[]): Promise<string | undefined>;
  /** What was shown last, the oldest first. */
  readonly shown: readonly string[];
}

const remembered = 500;

export function createMessages(): Messages {
  const shown: string[] = [];
  return {
    shown,
    async show(severity, text, ...buttons) {
      shown.splice(0, shown.length - remembered + 1);
      shown.push(text);
      switch (severity) {
        case 'information':
          return vscode.window.showInformationMessage(withoutLinks(text), ...buttons);
        case 'warning':
          return vscode.window.showWarningMessage(withoutLinks(text), ...buttons);
        case 'error':
          return vscode.window.showErrorMessage(withoutLinks(text), ...buttons);
      }
    },
  };
}

/** VS Code takes `[text](command:...)` in messages and prompts for a link; text of a server must not become one. */
export function withoutLinks(text: string): string {
  return text.replaceAll('](', '] (');
}

/** VS Code makes icons of `$(name)` in labels and in the status bar. */
export function withoutIcons(text: string): string {
  return text.replaceAll('$(', '$ (');
}
