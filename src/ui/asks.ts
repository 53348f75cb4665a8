// Asks the user what the engine has to know, one question at a time.
import * as vscode from 'vscode';
import type { Ask, Reply } from '../core/engine.js';
import { failureOf } from '../core/failure.js';
import {
  hostKeyPrompt,
  networkConsentKey,
  networkPrompt,
  quotable,
  roundPrompts,
  secretPrompt,
  waitingText,
  type Prompt,
} from '../core/prompt.js';
import { isSecretAsk, type GivenSecret, type SecretAsk } from '../core/secretKeeping.js';
import type { Session } from '../core/session.js';
import { t } from '../core/translate.js';
import type { Turns } from '../core/turns.js';
import { failureText } from '../core/wording.js';
import { commands } from './contributions.js';
import { createKeyPictures } from './keyPictures.js';
import type { Log } from './log.js';
import { withoutLinks, type Messages } from './messages.js';
import type { NetworkConsents } from './networkConsents.js';
import type { Secrets } from './secrets.js';

export function answerAsks(
  session: Session,
  secrets: Secrets,
  networkConsents: NetworkConsents,
  turns: Turns,
  messages: Messages,
  log: Pick<Log, 'error'>,
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
        return isSecretAsk(ask) ? secretReply(ask) : plainReply(ask);
      case 'interactive':
        return isSecretAsk(ask) ? secretReply(ask) : roundReply(ask);
    }
  };

  const networkReply = async (ask: Ask & { kind: 'openToNetwork' }): Promise<Reply> => {
    const key = networkConsentKey(ask);
    if (networkConsents.has(key)) return { kind: 'allow' };
    if (ask.isUnattended) return { kind: 'cancel' };
    return turns.wait(async () => {
      if (!isOpen(ask)) return { kind: 'cancel' };
      const { title, detail } = networkPrompt(ask);
      // The first one is the one that Enter presses, see askHostKey.
      const [edit, open] = [t('Edit…'), t('Open to the Network')];
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
    const replyWith = (secret: string): Reply =>
      ask.kind === 'interactive' ? { kind: 'answers', answers: [secret] } : { kind: 'secret', secret };
    const stored = ask.attempt === 1 ? await secrets.find(ask) : undefined;
    if (stored !== undefined) return replyWith(stored);
    if (ask.isUnattended) return { kind: 'cancel' };
    const wasRemembered = ask.attempt > 1 && (await secrets.drop(ask));
    const question = ask.kind === 'interactive' ? roundPrompts(ask)[0]! : secretPrompt(ask);
    const given = await answerTo(ask, question, { isHidden: true, remember: secrets.lastTick(ask) ?? wasRemembered });
    if (!given) return { kind: 'cancel' };
    secrets.keep(ask, { ...given, remember: given.remember === true });
    return replyWith(given.secret);
  };

  /** Of a secret that must not be kept. */
  const plainReply = async (ask: Ask & { kind: 'passphrase' | 'password' }): Promise<Reply> => {
    const given = await answerTo(ask, secretPrompt(ask), { isHidden: true });
    return given ? { kind: 'secret', secret: given.secret } : { kind: 'cancel' };
  };

  /** One box for each prompt, in order; nothing of it is kept. */
  const roundReply = async (ask: Ask & { kind: 'interactive' }): Promise<Reply> => {
    const answers: string[] = [];
    for (const prompt of roundPrompts(ask)) {
      const given = await answerTo(ask, prompt, prompt);
      if (!given) return { kind: 'cancel' };
      answers.push(given.secret);
    }
    return { kind: 'answers', answers };
  };

  /** Undefined: nobody wants to answer, or the question is no longer open. */
  const answerTo = async (
    ask: Ask & { kind: 'passphrase' | 'password' | 'interactive' },
    prompt: Prompt,
    box: Box,
  ): Promise<(Answer & { secret: string }) | undefined> => {
    let remember = box.remember;
    while (isOpen(ask)) {
      const given = await turns.wait(() =>
        showWhileOpen(ask, prompt, { ...box, ...(remember !== undefined && { remember }) }),
      );
      if (!isOpen(ask)) break;
      if (given.secret !== undefined) return { ...given, secret: given.secret };
      // Escape, or another quick input in its place: VS Code doesn't tell which.
      remember = given.remember;
      const again = t('Answer');
      if ((await messages.show('warning', waitingText(ask), again, t('Cancel'))) !== again) break;
    }
    return undefined;
  };

  const showWhileOpen = async (ask: Ask, prompt: Prompt, box: Box): Promise<Answer> => {
    if (!isOpen(ask)) return {};
    const cancel = new vscode.CancellationTokenSource();
    const watching = settled.event(() => isOpen(ask) || cancel.cancel());
    const given = await askSecret(prompt, box, cancel.token);
    watching.dispose();
    cancel.dispose();
    return given;
  };

  const stop = session.onChange((_, event) => {
    if (event?.kind === 'asked') void answer(event.ask);
    // What the server waits for may be somewhere else: on the user's phone. Banners are in the log.
    else if (event?.kind === 'serverSaid' && event.about === 'login')
      void messages.show(
        'information',
        t('{connection}: {host} says: “{text}”', {
          connection: event.connection,
          host: event.host,
          text: quotable(event.text),
        }),
      );
    else if (event) settled.fire();
  });
  return vscode.Disposable.from({ dispose: stop }, settled, pictures);
}

/** The first button is the one that Enter presses, and the question may come while somebody types: it must do no harm. */
async function askHostKey(ask: Ask & { kind: 'hostKey' }): Promise<Reply | 'copy' | 'picture'> {
  const { title, detail } = hostKeyPrompt(ask);
  const copy = t('Copy Fingerprint');
  const remember = t('Accept and Remember');
  const once = t('Accept Once');
  const picture = t('Show Picture');
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

interface Box {
  isHidden: boolean;
  /** Whether the answer is to be remembered, at first; absent: it can't be. */
  remember?: boolean;
  /** What stands in the empty box. */
  question?: string;
}

/** Without a secret: the box was hidden. */
type Answer = Partial<GivenSecret>;

function askSecret({ title, detail }: Prompt, box: Box, closed: vscode.CancellationToken): Promise<Answer> {
  const input = vscode.window.createInputBox();
  let { remember } = box;
  const show = () => {
    const keeping = remember
      ? [t('It will be remembered in VS Code’s secret storage.')]
      : remember === false
        ? [t('It will not be remembered.')]
        : [];
    input.prompt = withoutLinks([detail, ...keeping].join(' '));
    if (remember === undefined) return;
    input.buttons = [
      remember
        ? { iconPath: new vscode.ThemeIcon('pass-filled'), tooltip: t('Don’t remember') }
        : { iconPath: new vscode.ThemeIcon('key'), tooltip: t('Remember in VS Code’s secret storage') },
    ];
  };
  input.title = title;
  input.password = box.isHidden;
  if (box.question !== undefined) input.placeholder = box.question;
  input.ignoreFocusOut = true;
  show();
  return new Promise((resolve) => {
    input.onDidTriggerButton(() => {
      remember = !remember;
      show();
    });
    input.onDidAccept(() => {
      resolve({ secret: input.value, ...(remember !== undefined && { remember }) });
      input.hide();
    });
    input.onDidHide(() => {
      resolve({ ...(remember !== undefined && { remember }) });
      input.dispose();
    });
    closed.onCancellationRequested(() => input.hide());
    input.show();
  });
}
