// Asks the user what the engine has to know, one question at a time.
import * as vscode from 'vscode';
import type { Ask, Reply } from '../core/engine.js';
import { failureOf } from '../core/failure.js';
import { hostKeyPrompt, networkConsentKey, networkPrompt, secretPrompt, waitingText } from '../core/prompt.js';
import type { GivenSecret, SecretAsk } from '../core/secretKeeping.js';
import type { Session } from '../core/session.js';
import type { Turns } from '../core/turns.js';
import { failureText } from '../core/wording.js';
import { commands } from './contributions.js';
import { createKeyPictures } from './keyPictures.js';
import { withoutLinks, type Messages } from './messages.js';
import type { NetworkConsents } from './networkConsents.js';
import type { Secrets } from './secrets.js';

export function answerAsks(
  session: Session,
  secrets: Secrets,
  networkConsents: NetworkConsents,
  turns: Turns,
  messages: Messages,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  const settled = new vscode.EventEmitter<void>();
  const pictures = createKeyPictures();
  // By identity: a new engine counts its asks from the start.
  const isOpen = (ask: Ask) => session.state.snapshot.asks.includes(ask);

  const answer = async (ask: Ask): Promise<void> => {
    let reply: Reply = { kind: 'cancel' };
    try {
      reply = await replyTo(ask);
    } catch (error) {
      log.error(failureText(failureOf(error)));
    }
    if (isOpen(ask)) session.answer(ask, reply);
  };

  const replyTo = (ask: Ask): Promise<Reply> => {
    switch (ask.kind) {
      case 'hostKey':
        return hostKeyReply(ask);
      case 'openToNetwork':
        return networkReply(ask);
      case 'passphrase':
      case 'password':
        return secretReply(ask);
      case 'interactive':
        return Promise.resolve({ kind: 'cancel' });
    }
  };

  const networkReply = async (ask: Ask & { kind: 'openToNetwork' }): Promise<Reply> => {
    const key = networkConsentKey(ask);
    if (networkConsents.has(key)) return { kind: 'allow' };
    return turns.wait(async () => {
      if (!isOpen(ask)) return { kind: 'cancel' };
      const { title, detail } = networkPrompt(ask);
      // The first one is the one that Enter presses, see askHostKey.
      const [edit, open] = ['Edit…', 'Open to the Network'];
      const pressed = await vscode.window.showWarningMessage(title, { modal: true, detail }, edit, open);
      if (pressed === edit) void vscode.commands.executeCommand(commands.edit, { kind: 'forward', id: ask.forward });
      if (pressed !== open) return { kind: 'cancel' };
      await networkConsents.give([key]);
      return { kind: 'allow' };
    });
  };

  /** A modal can't be closed by us: should the question settle meanwhile, its answer is ignored. */
  const hostKeyReply = (ask: Ask & { kind: 'hostKey' }): Promise<Reply> =>
    turns.wait(async () => {
      while (isOpen(ask)) {
        const pressed = await askHostKey(ask);
        if (pressed === 'copy') await vscode.env.clipboard.writeText(ask.fingerprint);
        else if (pressed === 'picture') await pictures.show(ask);
        else return pressed;
      }
      return { kind: 'cancel' };
    });

  const secretReply = async (ask: SecretAsk): Promise<Reply> => {
    const stored = ask.attempt === 1 ? await secrets.find(ask) : undefined;
    if (stored !== undefined) return { kind: 'secret', secret: stored };
    const wasRemembered = ask.attempt > 1 && (await secrets.drop(ask));
    let remember = secrets.lastTick(ask) ?? wasRemembered;
    while (isOpen(ask)) {
      const given = await turns.wait(() => showWhileOpen(ask, remember));
      if (!isOpen(ask)) break;
      if (given.secret !== undefined) {
        secrets.keep(ask, { ...given, secret: given.secret });
        return { kind: 'secret', secret: given.secret };
      }
      // Escape, or another quick input in its place: VS Code doesn't tell which.
      remember = given.remember;
      if ((await messages.show('warning', waitingText(ask), 'Answer', 'Cancel')) !== 'Answer') break;
    }
    return { kind: 'cancel' };
  };

  const showWhileOpen = async (ask: SecretAsk, remember: boolean): Promise<Answer> => {
    if (!isOpen(ask)) return { remember };
    const cancel = new vscode.CancellationTokenSource();
    const watching = settled.event(() => isOpen(ask) || cancel.cancel());
    const given = await askSecret(ask, remember, cancel.token);
    watching.dispose();
    cancel.dispose();
    return given;
  };

  const stop = session.onChange((_, event) => {
    if (event?.kind === 'asked') void answer(event.ask);
    else if (event) settled.fire();
  });
  return vscode.Disposable.from({ dispose: stop }, settled, pictures);
}

/** The first button is the one that Enter presses, and the question may come while somebody types: it must do no harm. */
async function askHostKey(ask: Ask & { kind: 'hostKey' }): Promise<Reply | 'copy' | 'picture'> {
  const { title, detail } = hostKeyPrompt(ask);
  const copy = 'Copy Fingerprint';
  const remember = 'Accept and Remember';
  const once = 'Accept Once';
  const picture = 'Show Picture';
  const buttons = [copy, ...(ask.file === undefined ? [] : [remember]), once, ...(ask.art === '' ? [] : [picture])];
  const pressed = await vscode.window.showWarningMessage(title, { modal: true, detail }, ...buttons);
  switch (pressed) {
    case copy:
      return 'copy';
    case picture:
      return 'picture';
    case remember:
      return { kind: 'hostKey', accept: 'remember' };
    case once:
      return { kind: 'hostKey', accept: 'once' };
    default:
      return { kind: 'cancel' };
  }
}

/** Without a secret: the box was hidden. */
type Answer = Partial<GivenSecret> & Pick<GivenSecret, 'remember'>;

function askSecret(ask: SecretAsk, rememberAtFirst: boolean, closed: vscode.CancellationToken): Promise<Answer> {
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
      resolve({ remember });
      input.dispose();
    });
    closed.onCancellationRequested(() => input.hide());
    input.show();
  });
}
