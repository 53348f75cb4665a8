// How a user logs in, in OpenSSH's order: none (to learn the methods), then as PreferredAuthentications says: keys, rounds
// of questions, a password. What the server took in part is not offered again. A secret is asked for only when the server
// has said that it would take what it opens.
import { FailureError, errorCode, type Failure } from '../core/failure.js';
import { orderIdentities, type Identity } from '../core/identityOrder.js';
import { printable, printableLines } from '../core/printable.js';
import { isPasswordRound, roundName } from '../core/secretKeeping.js';
import type { HostConfig } from '../core/sshConfig.js';
import { isSecurityKey, readUserKey, signatureAlgorithm, type UserKey } from '../core/userKey.js';
import { openAgent, type Agent } from './agent.js';
import type { AskUser } from './hostKeyCheck.js';
import { publicPart, readPrivateKey, type PrivateKey } from './privateKey.js';
import { readKeyFile, readPublicText } from './sshFiles.js';
import { createUserAuth, type AuthAnswer, type AuthTransport, type Round, type UserAuth } from './userauth.js';

/** Secrets that were given in this run, by name; they live in memory only, for reconnects. */
export type Secrets = Pick<Map<string, string>, 'get' | 'set' | 'delete'>;

export interface Authentication {
  /** Resolves when the server has let the user in, or when there is nothing left to try. Throws a FailureError. */
  run(transport: AuthTransport): Promise<void>;
  /** What was tried, for the failure: names of keys and methods, no secret. */
  readonly tried: readonly string[];
  /** What the server took, and wanted more besides. */
  readonly passed: readonly string[];
  readonly offered: readonly string[];
  /** Why keys could not be used. */
  readonly notes: readonly Failure[];
}

export interface AuthenticationContext {
  config: HostConfig;
  ask: AskUser;
  /** Runs work in which another program may ask a person (an agent that wants a touch): its time is not the network's. */
  atLeisure<T>(work: () => Promise<T>): Promise<T>;
  /** Hands on what the server tells without a question; printable. */
  serverSaid(text: string): void;
  secrets: Secrets;
  log(text: string): void;
}

/** A method's next request; undefined when it has none left. */
type Method = () => Promise<AuthAnswer | undefined>;

export function createAuthentication(context: AuthenticationContext): Authentication {
  const { config, log } = context;
  const tried: string[] = [];
  const passed: string[] = [];
  const notes: Failure[] = [];
  let offered: readonly string[] = [];
  /** What the last request was for. */
  let last = 'none';
  const trying = (what: string) => {
    last = what;
    if (!tried.includes(what)) tried.push(what);
  };

  const run = async (transport: AuthTransport): Promise<void> => {
    const auth = createUserAuth(transport);
    const agent = createAgentUse(context, transport, notes);
    const keys = createKeys(context, transport, auth, agent, notes, trying);
    const methods = new Map<string, Method>([['publickey', keys.next]]);
    if (!config.batchMode) {
      methods.set('password', passwordMethod(context, auth, trying));
      methods.set('keyboard-interactive', interactiveMethod(context, auth, trying));
    }
    const exhausted = new Set<string>();
    try {
      let answer = await auth.none();
      while (answer.kind !== 'success') {
        if (answer.kind !== 'failure') throw unexpected();
        offered = answer.methods.slice(0, mostSteps).map(printable);
        if (answer.partial) {
          // A server that takes something again and again is no server that lets anybody in.
          if (passed.length >= mostSteps) return;
          passed.push(last);
          log(`The server took ${last} and wants more: ${offered.join(', ')}`);
          exhausted.clear();
          keys.took();
        }
        const next = await nextAnswer(answer.methods, methods, exhausted);
        if (!next) return;
        answer = next;
      }
    } finally {
      agent.close();
    }
  };

  const nextAnswer = async (
    names: readonly string[],
    methods: ReadonlyMap<string, Method>,
    exhausted: Set<string>,
  ): Promise<AuthAnswer | undefined> => {
    for (const name of config.preferredAuthentications) {
      if (!names.includes(name) || exhausted.has(name)) continue;
      const answer = await methods.get(name)?.();
      if (answer) return answer;
      exhausted.add(name);
    }
    return undefined;
  };

  return {
    run,
    get tried() {
      return tried;
    },
    get passed() {
      return passed;
    },
    get offered() {
      return offered;
    },
    get notes() {
      return notes;
    },
  };
}

/** Steps of one login, rounds of one step: more than any server asks for. */
const mostSteps = 16;
const mostRounds = 64;

function unexpected(): FailureError {
  return new FailureError({
    kind: 'unexpected',
    detail: 'the server’s answer while logging in was none to what was asked',
  });
}

function isRight(answer: AuthAnswer): boolean {
  return answer.kind === 'success' || (answer.kind === 'failure' && answer.partial);
}

interface AgentUse {
  keys(): Promise<readonly { key: UserKey; comment: string }[]>;
  sign(key: UserKey, comment: string, data: Buffer, algorithm: string): Promise<Buffer>;
  close(): void;
}

/** One connection to the agent for a login, told about the host before anything is asked of it. */
function createAgentUse(
  { config, atLeisure, log }: Pick<AuthenticationContext, 'config' | 'atLeisure' | 'log'>,
  { binding, ended }: Pick<AuthTransport, 'binding' | 'ended'>,
  notes: Failure[],
): AgentUse {
  let agent: Agent | undefined;
  return {
    async keys() {
      const { identityAgent } = config;
      if (identityAgent === undefined) return [];
      try {
        return await atLeisure(async () => {
          agent = await openAgent(identityAgent, { user: config.tokens['u'] ?? '', ended, binding });
          return usableKeys(await agent.keys());
        });
      } catch (error) {
        const failure: Failure = { kind: 'agentUnreachable', path: identityAgent, code: errorCode(error) };
        log(`The agent at ${identityAgent} can't be used (${failure.code})`);
        notes.push(failure);
        return [];
      }
    },
    async sign(key, comment, data, algorithm) {
      try {
        if (!agent) throw new Error('no agent');
        const used = agent;
        return await atLeisure(() => used.sign(key.blob, data, algorithm));
      } catch {
        throw new FailureError({ kind: 'signatureRefused', key: comment });
      }
    },
    close: () => agent?.close(),
  };
}

function usableKeys(keys: readonly { blob: Buffer; comment: string }[]): { key: UserKey; comment: string }[] {
  return keys.flatMap(({ blob, comment }) => {
    const key = readUserKey(blob);
    return key ? [{ key, comment: `${comment || key.type} (agent)` }] : [];
  });
}

/**
 * The keys and certificates that would be offered to a host, in order; nothing is asked of a person but by the agent itself.
 * `notes` takes what keeps the agent or a certificate from being used.
 */
export async function listIdentities(config: HostConfig, notes: Failure[], ended: AbortSignal): Promise<Identity[]> {
  const context = { config, atLeisure: <T>(work: () => Promise<T>) => work(), log: () => {} };
  const agent = createAgentUse(context, { binding: undefined, ended }, notes);
  try {
    return orderIdentities(await sources(config, await agent.keys(), notes));
  } finally {
    agent.close();
  }
}

async function sources(config: HostConfig, agent: readonly { key: UserKey; comment: string }[], notes: Failure[]) {
  const certificates = await Promise.all(
    config.certificateFiles.map(async (path) => {
      const key = await publicKeyAt(path);
      if (key?.certificate === 'user') return [{ path, key }];
      notes.push(
        (await readPublicText(path)) === undefined
          ? { kind: 'keyUnreadable', path, code: 'ENOENT' }
          : { kind: 'certificateUnusable', path, reason: key?.certificate === 'host' ? 'host' : 'invalid' },
      );
      return [];
    }),
  );
  const files = await Promise.all(
    config.identityFiles.map(async (path) => {
      const key = await publicKeyAt(path);
      const certificatePath = `${path}-cert.pub`;
      const certificate = await publicKeyAt(certificatePath);
      return {
        path,
        ...(key && { key }),
        ...(certificate?.certificate === 'user' && { certificate: { path: certificatePath, key: certificate } }),
      };
    }),
  );
  const { identitiesOnly, algorithms } = config;
  return { files, certificates: certificates.flat(), agent, identitiesOnly, accepted: algorithms.pubkey };
}

/** The public half of a file without any secret: the file itself if it is one, its .pub, or what a private key tells openly. */
async function publicKeyAt(path: string): Promise<UserKey | undefined> {
  const [own, beside] = await Promise.all([readPublicText(path), readPublicText(`${path}.pub`)]);
  const isPrivate = own !== undefined && /PRIVATE KEY|^PuTTY-User-Key-File/.test(own);
  const texts = isPrivate ? [beside, own] : [own, beside];
  for (const text of texts) {
    const key = text === undefined ? undefined : publicPart(text);
    if (key) return key;
  }
  return undefined;
}

/** A key at its turn: `sign` is called only when the server has said that it would take it. */
interface Offer {
  name: string;
  key: UserKey;
  sign(data: Buffer, algorithm: string): Promise<Buffer>;
}

interface Keys {
  next: Method;
  /** The last one was right: it is not offered again, nor is any certificate of it. */
  took(): void;
}

function createKeys(
  context: AuthenticationContext,
  { serverAlgorithms }: AuthTransport,
  auth: UserAuth,
  agent: AgentUse,
  notes: Failure[],
  trying: (what: string) => void,
): Keys {
  const { config, log } = context;
  /** As found, and those of them that are still of use, and of these the ones that have their turn to come. */
  let all: readonly Identity[] | undefined;
  let left: readonly Identity[] = [];
  let untried: Identity[] = [];
  let current: { identity: Identity; key: UserKey } | undefined;
  const opened = new Map<string, PrivateKey>();

  const note = (failure: Failure) => {
    if (!notes.some((other) => JSON.stringify(other) === JSON.stringify(failure))) notes.push(failure);
  };
  /** The private key of a file; asks for its passphrase if need be. Throws a FailureError. */
  const openFile = async (path: string): Promise<PrivateKey> => {
    const before = opened.get(path);
    if (before) return before;
    const key = await readKey(path, context);
    opened.set(path, key);
    return key;
  };
  const signWithFile = async (path: string, key: UserKey, data: Buffer, algorithm: string) => {
    const own = await openFile(path);
    try {
      // As ssh does: a .pub that is another key's must not make this one sign.
      if (own.publicBlob.equals(key.plain)) return own.sign(data, algorithm);
    } catch (error) {
      log(`${path} could not sign (${errorCode(error)})`);
    }
    throw new FailureError({ kind: 'keyInvalid', path });
  };
  const holderIn = (identities: readonly Identity[], { plain }: UserKey) =>
    identities.find(
      (other): other is Identity & { kind: 'agent' } => other.kind === 'agent' && other.key.plain.equals(plain),
    );

  const offerOf = async (identity: Identity, held: readonly Identity[]): Promise<Offer | undefined> => {
    switch (identity.kind) {
      case 'agent': {
        const { key, comment } = identity;
        return { name: comment, key, sign: (data, algorithm) => agent.sign(key, comment, data, algorithm) };
      }
      case 'certificate': {
        const { key, path, keyPath } = identity;
        const holder = holderIn(held, key);
        if (holder)
          return {
            name: path,
            key,
            sign: (data, algorithm) => agent.sign(holder.key, holder.comment, data, algorithm),
          };
        if (keyPath !== undefined && !isSecurityKey(key) && !keyPath.endsWith('.pub'))
          return { name: path, key, sign: (data, algorithm) => signWithFile(keyPath, key, data, algorithm) };
        note({ kind: 'certificateUnusable', path, reason: 'noKey' });
        return undefined;
      }
      case 'file': {
        const { path, key } = identity;
        // A .pub names a key of the agent, and is none itself.
        if (path.endsWith('.pub')) return undefined;
        if (key && isSecurityKey(key)) {
          if (await isThere(path)) note({ kind: 'keyNeedsAgent', path });
          return undefined;
        }
        if (key) {
          // Nothing is offered that could not be used: a file that is missing, open to others, or none.
          await readKeyFile(path);
          return { name: path, key, sign: (data, algorithm) => signWithFile(path, key, data, algorithm) };
        }
        const read = readUserKey((await openFile(path)).publicBlob)!;
        return { name: path, key: read, sign: (data, algorithm) => signWithFile(path, read, data, algorithm) };
      }
    }
  };

  const next: Method = async () => {
    if (!all) {
      all = orderIdentities(await sources(config, await agent.keys(), notes));
      left = all;
      untried = [...all];
    }
    for (;;) {
      const identity = untried.shift();
      if (!identity) return undefined;
      try {
        const offer = await offerOf(identity, all);
        if (!offer) continue;
        const algorithm = signatureAlgorithm(offer.key, config.algorithms.pubkey, serverAlgorithms);
        if (!algorithm) {
          note({ kind: 'keyNotAllowed', key: offer.name });
          continue;
        }
        current = { identity, key: offer.key };
        trying(offer.name);
        log(`Offering ${offer.name} (${algorithm.offered})`);
        const answer = await auth.offerKey(algorithm.offered, offer.key.blob);
        if (answer.kind !== 'keyOk') return answer;
        // Another key than the one that was asked about must not be signed with.
        if (answer.algorithm !== algorithm.offered || !answer.blob.equals(offer.key.blob)) throw unexpected();
        return await auth.signedKey(algorithm.offered, offer.key.blob, (data) => offer.sign(data, algorithm.signature));
      } catch (error) {
        if (!(error instanceof FailureError) || error.failure.kind === 'unexpected') throw error;
        const { failure } = error;
        if (failure.kind === 'cancelled') continue;
        // ssh's default files are tried silently.
        const isMissing = failure.kind === 'keyUnreadable' && failure.code === 'ENOENT';
        if (!(isMissing && isDefault(failure.path))) note(failure);
      }
    }
  };

  return {
    next,
    took() {
      if (!current) return;
      const { identity, key } = current;
      // As ssh: those that were not tried yet, and then the others again, since the server now wants something else.
      left = [...untried, ...left.filter((one) => !untried.includes(one))].filter(
        (one) => one !== identity && !one.key?.plain.equals(key.plain),
      );
      untried = [...left];
      current = undefined;
    },
  };
}

function isThere(path: string): Promise<boolean> {
  return readPublicText(path).then((text) => text !== undefined);
}

function isDefault(path: string): boolean {
  return /[\\/]\.ssh[\\/]id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss)$/.test(path);
}

/** A file's private key; three tries for its passphrase. Throws a FailureError, `cancelled` where none is given. */
async function readKey(path: string, { ask, secrets }: AuthenticationContext): Promise<PrivateKey> {
  const text = await readKeyFile(path);
  const read = readPrivateKey(text, undefined);
  switch (read.kind) {
    case 'key':
      return read.key;
    case 'securityKey':
      throw new FailureError({ kind: 'keyNeedsAgent', path });
    case 'invalid':
    case 'wrongPassphrase':
      throw new FailureError({ kind: 'keyInvalid', path });
    case 'encrypted':
  }
  const name = `passphrase:${path}`;
  const remembered = secrets.get(name);
  for (let attempt = 1; attempt <= 3; attempt++) {
    const reply =
      remembered !== undefined && attempt === 1 ? undefined : await ask({ kind: 'passphrase', path, attempt });
    if (reply && reply.kind !== 'secret') throw new FailureError({ kind: 'cancelled' });
    const passphrase = reply?.secret ?? remembered!;
    const opened = readPrivateKey(text, passphrase);
    if (opened.kind === 'key') {
      secrets.set(name, passphrase);
      return opened.key;
    }
    if (opened.kind === 'invalid') throw new FailureError({ kind: 'keyInvalid', path });
  }
  secrets.delete(name);
  throw new FailureError({ kind: 'passphraseWrong', path });
}

/** What was given before is tried once; then NumberOfPasswordPrompts questions. No answer ends them. */
function passwordMethod(
  { config, ask, secrets, atLeisure }: AuthenticationContext,
  auth: UserAuth,
  trying: (what: string) => void,
): Method {
  const { user, hostName: host, port } = config;
  const name = `password:${user}@${host}:${port}`;
  let remembered = secrets.get(name);
  let attempt = 0;
  return async () => {
    let password = remembered;
    remembered = undefined;
    if (password === undefined) {
      if (attempt >= config.numberOfPasswordPrompts) return undefined;
      attempt++;
      const reply = await ask({ kind: 'password', user, host, port, attempt });
      if (reply.kind !== 'secret') return undefined;
      password = reply.secret;
    }
    trying('password');
    const given = password;
    // At leisure: a server may ask its user's phone before it answers.
    const answer = await atLeisure(() => auth.password(given));
    if (answer.kind === 'passwordChange') throw new FailureError({ kind: 'passwordExpired', user, host: config.alias });
    if (isRight(answer)) secrets.set(name, given);
    else secrets.delete(name);
    return answer;
  };
}

/** RFC 4256: as many logins as NumberOfPasswordPrompts, each with as many rounds as the server wants. */
function interactiveMethod(
  { config, ask, secrets, atLeisure, serverSaid }: AuthenticationContext,
  auth: UserAuth,
  trying: (what: string) => void,
): Method {
  const { user, hostName: host, port } = config;
  /** How often each round came up. */
  const seen = new Map<string, number>();
  let logins = 0;
  let wasAsked = false;

  /** Undefined: a person has to answer, and does not. */
  const answersTo = async (round: Round, given: Map<string, string>): Promise<readonly string[] | undefined> => {
    const [name, instruction] = [round.name, round.instruction].map(printableLines) as [string, string];
    if (round.prompts.length === 0) {
      const text = [name, instruction].filter((part) => part !== '').join('\n');
      if (text !== '') serverSaid(text);
      return [];
    }
    const prompts = round.prompts.map(({ text, echo }) => ({ text: printableLines(text), echo }));
    const key = JSON.stringify([name, prompts]);
    const attempt = (seen.get(key) ?? 0) + 1;
    seen.set(key, attempt);
    const secret = isPasswordRound(prompts) ? roundName({ user, host, port }, prompts[0]!.text) : undefined;
    const remembered = secret !== undefined && attempt === 1 ? secrets.get(secret) : undefined;
    if (remembered !== undefined) {
      given.set(secret!, remembered);
      return [remembered];
    }
    const reply = await ask({ kind: 'interactive', user, host, port, attempt, name, instruction, prompts });
    if (reply.kind !== 'answers' || reply.answers.length !== prompts.length) return undefined;
    if (secret !== undefined) given.set(secret, reply.answers[0]!);
    return reply.answers;
  };

  return async () => {
    // As ssh: a server that had no question has no use for another try.
    if (logins >= config.numberOfPasswordPrompts || (logins > 0 && !wasAsked)) return undefined;
    logins++;
    trying('keyboard-interactive');
    const given = new Map<string, string>();
    // At leisure: a server may ask its user's phone before it answers.
    let answer = await atLeisure(() => auth.interactive());
    for (let round = 1; answer.kind === 'round'; round++) {
      wasAsked = true;
      if (round > mostRounds) throw unexpected();
      const answers = await answersTo(answer, given);
      if (!answers) {
        for (const name of given.keys()) secrets.delete(name);
        return undefined;
      }
      answer = await atLeisure(() => auth.respond(answers));
    }
    for (const [name, secret] of given) {
      if (isRight(answer)) secrets.set(name, secret);
      else secrets.delete(name);
    }
    return answer;
  };
}
