import type * as vscode from 'vscode';
import type { Ask } from '../core/engine.js';
import type { ConnectionId } from '../core/plan.js';
import type { Session } from '../core/session.js';

export type SecretAsk = Ask & { kind: 'passphrase' | 'password' };

/** Passphrases and passwords in VS Code's secret storage. */
export interface Secrets extends vscode.Disposable {
  find(ask: SecretAsk): Promise<string | undefined>;
  /** Forgets a secret that was wrong; tells whether there was one. */
  drop(ask: SecretAsk): Promise<boolean>;
  /** Keeps the secret once the connection has come up with it, and not if it fails. */
  keepIfConnected(ask: SecretAsk, secret: string): void;
  /** Gives how many there were. */
  forgetAll(): Promise<number>;
}

/** Secret storage can't list what it holds: the names of its entries, which tell no secret, stand here. */
const indexKey = 'secretNames';

export function createSecrets(context: vscode.ExtensionContext, session: Session): Secrets {
  const waiting = new Map<ConnectionId, Map<string, string>>();
  const index = () => context.globalState.get<readonly string[]>(indexKey, []);
  const store = async (name: string, secret: string) => {
    if (!index().includes(name)) await context.globalState.update(indexKey, [...index(), name]);
    await context.secrets.store(name, secret);
  };
  const stop = session.onChange((_, event) => {
    switch (event?.kind) {
      case 'connected':
        for (const [name, secret] of waiting.get(event.connection) ?? []) void store(name, secret);
        waiting.delete(event.connection);
        break;
      case 'connectionFailed':
      case 'connectionLost':
      case 'connectionClosed':
        waiting.delete(event.connection);
        break;
      case 'engineEnded':
        waiting.clear();
        break;
      default:
        break;
    }
  });
  return {
    find: async (ask) => context.secrets.get(nameOf(ask)),
    async drop(ask) {
      const name = nameOf(ask);
      const wasThere = (await context.secrets.get(name)) !== undefined;
      await context.secrets.delete(name);
      await context.globalState.update(
        indexKey,
        index().filter((other) => other !== name),
      );
      return wasThere;
    },
    keepIfConnected(ask, secret) {
      const secrets = waiting.get(ask.connection) ?? new Map<string, string>();
      waiting.set(ask.connection, secrets.set(nameOf(ask), secret));
    },
    async forgetAll() {
      const names = index();
      for (const name of names) await context.secrets.delete(name);
      await context.globalState.update(indexKey, []);
      return names.length;
    },
    dispose: stop,
  };
}

function nameOf(ask: SecretAsk): string {
  return ask.kind === 'passphrase' ? `passphrase:${ask.path}` : `password:${ask.user}@${ask.host}:${ask.port}`;
}
