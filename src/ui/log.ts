import * as vscode from 'vscode';
import { eventText, type LogLine } from '../core/eventText.js';
import { fold, foldingMs, isFolding, nothingFolded, unfold, type Logged } from '../core/logFolding.js';
import type { Session } from '../core/session.js';

/** The output channel "SSH Tunnels": a line for each event, and what the parts of the extension have to say. */
export interface Log extends vscode.Disposable {
  warn(text: string): void;
  error(text: string): void;
  info(text: string): void;
  show(): void;
  /** The last lines of any level, the oldest first; those that the channel's level hides, too. */
  readonly recent: readonly Logged[];
}

const remembered = 200;

export function createLog(session: Session): Log {
  const channel = vscode.window.createOutputChannel('SSH Tunnels', { log: true });
  const recent: Logged[] = [];
  let folding = nothingFolded;
  let timer: NodeJS.Timeout | undefined;

  const write = (line: Logged) => {
    recent.splice(0, recent.length - remembered + 1);
    recent.push(line);
    channel[methods[line.level]](line.text);
  };
  const endFolding = () => {
    timer = undefined;
    for (const line of unfold(folding, Date.now())) write(line);
    folding = nothingFolded;
  };
  const take = (line: Logged) => {
    const { folding: next, write: due } = fold(folding, line);
    folding = next;
    for (const one of due) write(one);
    if (isFolding(folding)) timer ??= setTimeout(endFolding, foldingMs);
  };
  const say = (level: LogLine['level']) => (text: string) => take({ at: Date.now(), level, text });

  const stop = session.onChange((_, event) => {
    const at = Date.now();
    const line = event && eventText(event, at);
    if (line) take({ ...line, at, event });
  });
  return {
    warn: say('warning'),
    error: say('error'),
    info: say('info'),
    show: () => channel.show(),
    recent,
    dispose() {
      stop();
      clearTimeout(timer);
      channel.dispose();
    },
  };
}

const methods = { debug: 'debug', info: 'info', warning: 'warn', error: 'error' } as const;
