// What becomes of the secrets that the user types: each waits until the connection that it was typed for is up.
import type { Ask, EngineEvent } from './engine.js';
import type { ConnectionId } from './plan.js';

export type SecretAsk = Ask & { kind: 'passphrase' | 'password' | 'interactive' };

/**
 * Whether the answer to a round may be kept: a single prompt for a password that stays the same. A code that is good once is
 * never kept, nor what is typed to choose a new password.
 */
export function isPasswordRound(prompts: readonly { text: string; echo: boolean }[]): boolean {
  const [prompt] = prompts;
  if (!prompt || prompts.length > 1 || prompt.echo) return false;
  const isOther =
    /one.?time|otp|code|token|factor|verif|challenge|response|expired|new\b|again|retype|re-enter|change|current|old\b|pin\b/i;
  return /password/i.test(prompt.text) && !isOther.test(prompt.text);
}

/** Whether an ask is for a secret that may be kept. */
export function isSecretAsk(ask: Ask): ask is SecretAsk {
  return (
    ask.kind === 'passphrase' || ask.kind === 'password' || (ask.kind === 'interactive' && isPasswordRound(ask.prompts))
  );
}

/** The name of the secret that answers a prompt of a login; it tells no secret. */
export function roundName({ user, host, port }: { user: string; host: string; port: number }, prompt: string): string {
  return `interactive:${user}@${host}:${port} ${prompt.trim()}`;
}

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
  switch (ask.kind) {
    case 'passphrase':
      return `passphrase:${ask.path}`;
    case 'password':
      return `password:${ask.user}@${ask.host}:${ask.port}`;
    case 'interactive':
      return roundName(ask, ask.prompts[0]?.text ?? '');
  }
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
      if (!isSecretAsk(ask)) return nothing;
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
