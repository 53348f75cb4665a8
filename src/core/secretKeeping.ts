// What becomes of the secrets that the user types: each waits until the connection that it was typed for is up.
import type { Ask, EngineEvent } from './engine.js';
import type { ConnectionId } from './plan.js';

/** An ask for a secret that may be kept. */
export type SecretAsk = Ask & { kind: 'passphrase' | 'password' | 'interactive'; keepAs: string };

export function isSecretAsk(ask: Ask): ask is SecretAsk {
  return 'keepAs' in ask && ask.keepAs !== undefined;
}

export interface Round {
  name: string;
  instruction: string;
  prompts: readonly { text: string; echo: boolean }[];
}

/**
 * Whether the answer to a round may be kept: nothing but a single hidden prompt for a password, in a form that is known to be
 * one that stays the same. A code that is good once is never kept, nor what is typed to choose a new password.
 */
export function isPasswordRound({ name, instruction, prompts }: Round): boolean {
  const [prompt] = prompts;
  if (!prompt || prompts.length > 1 || prompt.echo) return false;
  const text = prompt.text.trim();
  return (
    /^(\S+['’]s )?password( for \S+)?\s*:?$/i.test(text) &&
    !/\b(token\w*|\w*code|t?otp|otc|pin|duo|securid|yubi\w*|rsa|\w*factor|new|old|current)\b/i.test(text) &&
    [name, instruction].every(isHarmless)
  );
}

/** What servers call such a round by. */
function isHarmless(words: string): boolean {
  return /^(((using )?(ssh|pam|password|keyboard.interactive)( |$))*(authentication|login)?[.:]?)?$/i.test(
    words.trim(),
  );
}

export interface Login {
  user: string;
  host: string;
  port: number;
  /** The fingerprint of the server's key: an address may be another machine's, behind another jump host. */
  hostKey: string;
}

/** Names of secrets; they tell none. */
export const secretNames = {
  passphrase: (path: string) => `passphrase:${path}`,
  password: (login: Login) => `password:${loginText(login)}`,
  /** What the names of all rounds of a login begin with. */
  rounds: (login: Login) => `interactive:${loginText(login)} `,
  round: (login: Login, prompt: string) => `${secretNames.rounds(login)}${prompt.trim()}`,
};

function loginText({ user, host, port, hostKey }: Login): string {
  return `${user}@${host}:${port} ${hostKey}`;
}

export interface GivenSecret {
  secret: string;
  /** The user ticked that it shall be remembered. */
  remember: boolean;
}

/** The answers of each connection's dial under way, by `keepAs`. A wrong one leaves its tick alone. */
export type Keeping = ReadonlyMap<ConnectionId, ReadonlyMap<string, { remember: boolean; secret?: string }>>;

export const nothingKept: Keeping = new Map();

/** Drops what has turned out wrong or unproven, and gives what is to be stored now: what has proved right when a connection came up. */
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
      const last = answers.get(ask.keepAs);
      if (!last) return nothing;
      if (ask.attempt > 1) answers.set(ask.keepAs, { remember: last.remember });
      else answers.delete(ask.keepAs);
      return { keeping: new Map(keeping).set(ask.connection, answers), toStore: [] };
    }
    case 'connected': {
      const answers = [...(keeping.get(event.connection) ?? [])];
      const isProven = (name: string) => event.proven?.includes(name) ?? false;
      const toStore = answers.flatMap(([name, { remember, secret }]) =>
        remember && secret !== undefined && isProven(name) ? [[name, secret] as const] : [],
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
  const answers = new Map(keeping.get(ask.connection)).set(ask.keepAs, given);
  return new Map(keeping).set(ask.connection, answers);
}

/** Whether the user wanted the last answer of this dial remembered; undefined: there was none. */
export function lastTick(keeping: Keeping, ask: SecretAsk): boolean | undefined {
  return keeping.get(ask.connection)?.get(ask.keepAs)?.remember;
}

function without(keeping: Keeping, connection: ConnectionId): Keeping {
  return new Map([...keeping].filter(([other]) => other !== connection));
}
