// TOKENS and ENVIRONMENT VARIABLES of ssh_config(5).
import { createHash } from 'node:crypto';
import type { LocalUser } from './sshConfig.js';

/** What stands behind `%`, to what it means. */
export type Tokens = Readonly<Record<string, string>>;

/** What a connection is made of, as far as it is known. */
export interface TokenFacts {
  /** As typed. */
  original: string;
  hostName: string;
  port: number;
  user: string;
  hostKeyAlias?: string;
  /** The host of ProxyJump that is next to the requested one; empty: none. */
  jump: string;
}

/**
 * The tokens that files and commands take. `%C` has the jump host in it, as since OpenSSH 9.6: without one it is what it
 * was before.
 */
export function connectionTokens(facts: TokenFacts, local: LocalUser): Tokens {
  const { original, hostName, port, user, hostKeyAlias, jump } = facts;
  const hash = createHash('sha1').update(`${local.hostName}${hostName}${port}${user}${jump}`).digest('hex');
  return {
    '%': '%',
    C: hash,
    L: local.hostName.split('.', 1)[0]!,
    d: local.home,
    h: hostName,
    ...(local.uid !== undefined && { i: String(local.uid) }),
    j: jump,
    k: hostKeyAlias ?? original,
    l: local.hostName,
    n: original,
    p: String(port),
    r: user,
    u: local.name,
  };
}

/** Throws a plain Error for a token that has no meaning there. */
export function expandTokens(text: string, tokens: Tokens): string {
  return text.replace(/%(.?)/gs, (_, letter: string) => meaningOf(letter, tokens));
}

/** Expands a leading `~`, tokens and `${NAME}`; throws a plain Error for what has no meaning. */
export function expandFile(text: string, tokens: Tokens, local: LocalUser): string {
  return expandHome(text, local).replace(/%(.?)|\$\{([^}]*)(\}?)/gs, (whole, letter?: string, name?: string, end?: string) => {
    if (letter !== undefined) return meaningOf(letter, tokens);
    return variable(whole, name!, end!, local);
  }); // prettier-ignore
}

/** A text without tokens; throws as above. */
export function expandVariables(text: string, local: LocalUser): string {
  return text.replace(/\$\{([^}]*)(\}?)/gs, (whole, name: string, end: string) => variable(whole, name, end, local));
}

/** `~` and `~user` at the start; only the own user's home is known. */
export function expandHome(text: string, { home, name }: LocalUser): string {
  const [front, user] = /^~([^/\\]*)(?=[/\\]|$)/.exec(text) ?? [];
  return front !== undefined && (user === '' || user === name) ? home + text.slice(front.length) : text;
}

function meaningOf(letter: string, tokens: Tokens): string {
  if (Object.hasOwn(tokens, letter)) return tokens[letter]!;
  throw new Error(`percent_expand: unknown key %${letter}`);
}

function variable(whole: string, name: string, end: string, { env }: LocalUser): string {
  if (name === '' || end === '') throw new Error(`“${whole}” is no variable`);
  const value = env[name];
  if (typeof value !== 'string') throw new Error(`the variable \${${name}} is not set`);
  return value;
}
