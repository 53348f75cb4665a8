// What becomes of the secrets that the user types: each waits until the connection that it was typed for is up.
import type { Ask, EngineEvent } from './engine.js';
import type { ConnectionId } from './plan.js';

export type SecretAsk = Ask & { kind: 'passphrase' | 'password' };

export interface GivenSecret {
  secret: string;
  /** The user ticked that it shall be remembered. */
  remember: boolean;
}

/** The answers of each connection's dial under way, by `secretName`. A wrong one leaves its tick alone. */
export type Keeping = ReadonlyMap<ConnectionId, ReadonlyMap<string, { remember: boolean; secret?: string }>>;

export const nothingKept: Keeping = new Map();

/** The name in the secret storage; it tells no secret. */
export function secretName(ask: SecretAsk): string {
  return ask.kind === 'passphrase' ? `passphrase:${ask.path}` : `password:${ask.user}@${ask.host}:${ask.port}`;
}

/** Drops what has turned out wrong or unproven, and gives what is to be stored now: what brought a connection up. */
export function keepAfterEvent(
  keeping: Keeping,
  event: EngineEvent,
): { keeping: Keeping; toStore: readonly (readonly [name: string, secret: string])[] } {
  const nothing = { keeping, toStore: [] };
  switch (event.kind) {
    case 'asked': {
      const { ask } = event;
      if (ask.kind !== 'passphrase' && ask.kind !== 'password') return nothing;
      const answers = new Map(keeping.get(ask.connection));
      const last = answers.get(secretName(ask));
      if (!last) return nothing;
      if (ask.attempt > 1) answers.set(secretName(ask), { remember: last.remember });
      else answers.delete(secretName(ask));
      return { keeping: new Map(keeping).set(ask.connection, answers), toStore: [] };
    }
    case 'connected': {
      const answers = [...(keeping.get(event.connection) ?? [])];
      const toStore = answers.flatMap(([name, { remember, secret }]) =>
        remember && secret !== undefined ? [[name, secret] as const] : [],
      );
      return { keeping: without(keeping, event.connection), toStore };
    }
    case 'connecting':
    case 'connectionFailed':
    case 'connectionLost':
    case 'connectionClosed':
      return { keeping: without(keeping, event.connection), toStore: [] };
    case 'engineEnded':
      return { keeping: nothingKept, toStore: [] };
    default:
      return nothing;
  }
}

export function keepAnswer(keeping: Keeping, ask: SecretAsk, given: GivenSecret): Keeping {
  const answers = new Map(keeping.get(ask.connection)).set(secretName(ask), given);
  return new Map(keeping).set(ask.connection, answers);
}

/** Whether the user wanted the last answer of this dial remembered; undefined: there was none. */
export function lastTick(keeping: Keeping, ask: SecretAsk): boolean | undefined {
  return keeping.get(ask.connection)?.get(secretName(ask))?.remember;
}

function without(keeping: Keeping, connection: ConnectionId): Keeping {
  return new Map([...keeping].filter(([other]) => other !== connection));
}
