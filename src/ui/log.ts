import type * as vscode from 'vscode';
import { eventText } from '../core/eventText.js';
import type { Session } from '../core/session.js';

/** Writes a line for each event, until disposed. */
export function logEvents(session: Session, channel: vscode.LogOutputChannel): vscode.Disposable {
  const stop = session.onChange((_, event) => {
    const line = event && eventText(event, Date.now());
    if (!line) return;
    switch (line.level) {
      case 'debug':
        return channel.debug(line.text);
      case 'info':
        return channel.info(line.text);
      case 'warning':
        return channel.warn(line.text);
      case 'error':
        return channel.error(line.text);
    }
  });
  return { dispose: stop };
}
