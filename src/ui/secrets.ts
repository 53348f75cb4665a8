import type * as vscode from 'vscode';
import {
  keepAfterEvent,
  keepAnswer,
  lastTick,
  nothingKept,
  type GivenSecret,
  type SecretAsk,
} from '../core/secretKeeping.js';
import type { Session } from '../core/session.js';
import type { Log } from './log.js';

/** Passphrases and passwords in VS Code's secret storage. Where it fails, nothing was stored: the user is asked. */
export interface Secrets extends vscode.Disposable {
  find(ask: SecretAsk): Promise<string | undefined>;
  /** Forgets a secret that was wrong; tells whether there was one. */
  drop(ask: SecretAsk): Promise<boolean>;
  /** Stores the secret once the connection has come up with it, if the user wants that. */
  keep(ask: SecretAsk, given: GivenSecret): void;
  /** Whether the user wanted the last answer of this login remembered; undefined: there was none. */
  lastTick(ask: SecretAsk): boolean | undefined;
  /** Gives how many there were. */
  forgetAll(): Promise<number>;
}

/** Secret storage can't list what it holds: the names of its entries, which tell no secret, stand here. */
const indexKey = 'secretNames';

export function createSecrets(context: vscode.ExtensionContext, session: Session, log: Pick<Log, 'warn'>): Secrets {
  let keeping = nothingKept;
  const index = () => context.globalState.get<readonly string[]>(indexKey, []);
  const attempt = async <T>(what: string, ask: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await ask();
    } catch {
      // Its message is left out: nobody knows what it holds.
      log.warn(`VS Code’s secret storage failed: ${what}`);
      return otherwise;
    }
  };
  const store = async (name: string, secret: string): Promise<void> => {
    if (!index().includes(name)) await context.globalState.update(indexKey, [...index(), name]);
    await context.secrets.store(name, secret);
  };
  const stop = session.onChange((_, event) => {
    if (!event) return;
    const after = keepAfterEvent(keeping, event);
    keeping = after.keeping;
    for (const [name, secret] of after.toStore)
      void attempt(`${name} was not stored`, () => store(name, secret), undefined);
  });
  return {
    find: (ask) => {
      const name = ask.keepAs;
      return attempt(`${name} was not read`, async () => context.secrets.get(name), undefined);
    },
    drop: (ask) => {
      const name = ask.keepAs;
      const drop = async () => {
        const wasThere = (await context.secrets.get(name)) !== undefined;
        await context.secrets.delete(name);
        await context.globalState.update(
          indexKey,
          index().filter((other) => other !== name),
        );
        return wasThere;
      };
      return attempt(`${name} was not forgotten`, drop, false);
    },
    keep: (ask, given) => void (keeping = keepAnswer(keeping, ask, given)),
    lastTick: (ask) => lastTick(keeping, ask),
    async forgetAll() {
      const names = index();
      for (const name of names) await context.secrets.delete(name);
      await context.globalState.update(indexKey, []);
      return names.length;
    },
    dispose: stop,
  };
}
