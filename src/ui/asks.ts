// Asks the user what the engine has to know, one question at a time.
import * as vscode from 'vscode';
import type { Ask, Reply } from '../core/engine.js';
import { failureOf } from '../core/failure.js';
import { hostKeyPrompt, secretPrompt } from '../core/prompt.js';
import type { Session } from '../core/session.js';
import { failureText } from '../core/wording.js';
import { withoutLinks } from './messages.js';
import type { SecretAsk, Secrets } from './secrets.js';

export function answerAsks(session: Session, secrets: Secrets, log: vscode.LogOutputChannel): vscode.Disposable {
  const settled = new vscode.EventEmitter<void>();
  const isOpen = ({ id }: Ask) => session.state.snapshot.asks.some((ask) => ask.id === id);
  let last = Promise.resolve();

  const answer = async (ask: Ask): Promise<void> => {
    if (!isOpen(ask)) return;
    let reply: Reply = { kind: 'cancel' };
    try {
      reply = ask.kind === 'hostKey' ? await askHostKey(ask) : await secretReply(ask);
    } catch (error) {
      log.error(failureText(failureOf(error)));
    }
    session.answer(ask, reply);
  };

  const secretReply = async (ask: SecretAsk): Promise<Reply> => {
    const stored = ask.attempt === 1 ? await secrets.find(ask) : undefined;
    if (stored !== undefined) return { kind: 'secret', secret: stored };
    const wasRemembered = ask.attempt > 1 && (await secrets.drop(ask));
    if (!isOpen(ask)) return { kind: 'cancel' };
    const cancel = new vscode.CancellationTokenSource();
    const watching = settled.event(() => isOpen(ask) || cancel.cancel());
    const given = await askSecret(ask, wasRemembered, cancel.token);
    watching.dispose();
    cancel.dispose();
    if (!given) return { kind: 'cancel' };
    if (given.remember) secrets.keepIfConnected(ask, given.secret);
    return { kind: 'secret', secret: given.secret };
  };

  const stop = session.onChange((_, event) => {
    if (event?.kind === 'asked') last = last.then(() => answer(event.ask));
    else if (event) settled.fire();
  });
  return vscode.Disposable.from({ dispose: stop }, settled);
}

/** A modal can't be closed by us: should the question settle meanwhile, its answer is ignored. */
async function askHostKey(ask: Ask & { kind: 'hostKey' }): Promise<Reply> {
  const { title, detail } = hostKeyPrompt(ask);
  const remember = 'Accept and Remember';
  const once = 'Accept Once';
  const buttons = ask.file === undefined ? [once] : [remember, once];
  const pressed = await vscode.window.showWarningMessage(title, { modal: true, detail }, ...buttons);
  switch (pressed) {
    case remember:
      return { kind: 'hostKey', accept: 'remember' };
    case once:
      return { kind: 'hostKey', accept: 'once' };
    default:
      return { kind: 'cancel' };
  }
}

function askSecret(
  ask: SecretAsk,
  rememberAtFirst: boolean,
  closed: vscode.CancellationToken,
): Promise<{ secret: string; remember: boolean } | undefined> {
  const { title, detail } = secretPrompt(ask);
  const input = vscode.window.createInputBox();
  let remember = rememberAtFirst;
  const show = () => {
    const place = 'VS Code’s secret storage';
    input.prompt = withoutLinks(`${detail} It will ${remember ? `be remembered in ${place}` : 'not be remembered'}.`);
    input.buttons = [
      remember
        ? { iconPath: new vscode.ThemeIcon('pass-filled'), tooltip: 'Don’t remember' }
        : { iconPath: new vscode.ThemeIcon('key'), tooltip: `Remember in ${place}` },
    ];
  };
  input.title = title;
  input.password = true;
  input.ignoreFocusOut = true;
  show();
  return new Promise((resolve) => {
    input.onDidTriggerButton(() => {
      remember = !remember;
      show();
    });
    input.onDidAccept(() => {
      resolve({ secret: input.value, remember });
      input.hide();
    });
    input.onDidHide(() => {
      resolve(undefined);
      input.dispose();
    });
    closed.onCancellationRequested(() => input.hide());
    input.show();
  });
}
