// How a user logs in, in OpenSSH's order: none (to learn the methods), then as PreferredAuthentications says: keys, rounds
// of questions, a password. What the server took in part is not offered again. A secret is asked for only when the server
// has said that it would take what it opens.
import { createHash } from 'node:crypto';
import { FailureError, errorCode, type Failure } from '../core/failure.js';
import { notAccepted, orderIdentities, type Identity, type IdentitySources } from '../core/identityOrder.js';
import { fingerprint } from '../core/knownHosts.js';
import { rsaBits } from '../core/publicKey.js';
import { printable, printableLines } from '../core/printable.js';
import { isPasswordRound, secretNames, type Login } from '../core/secretKeeping.js';
import type { HostConfig } from '../core/sshConfig.js';
import { isSecurityKey, readUserKey, signatureAlgorithm, wantsSha1, type UserKey } from '../core/userKey.js';
import { openAgent, type Agent } from './agent.js';
import type { AskUser } from './hostKeyCheck.js';
import { openPrivateKey } from './keyThread.js';
import { publicPart, readPrivateKey, type PrivateKey, type PrivateKeyResult } from './privateKey.js';
import { readKeyFile, readPublicText } from './sshFiles.js';
import { createUserAuth, type AuthAnswer, type AuthTransport, type Round, type UserAuth } from './userauth.js';

/** Secrets that were given in this run and were right, by name; they live in memory only, for reconnects. */
export type Secrets = Pick<Map<string, string>, 'get' | 'set' | 'delete' | 'keys'>;

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
  /** A key was tried last, and there is more to try. */
  readonly isUnfinished: boolean;
}

export interface AuthenticationContext {
  config: HostConfig;
  ask: AskUser;
  /** Runs work in which another program may ask a person (an agent that wants a touch): its time is not the network's. */
  atLeisure<T>(work: () => Promise<T>): Promise<T>;
  /** Hands on what the server tells without a question; printable. */
  serverSaid(text: string): void;
  secrets: Secrets;
  /** Nobody is asked: nothing may begin that a person would notice elsewhere, such as a question on their phone. */
  isUnattended: boolean;
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
  let isUnfinished = () => false;
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
      const login = loginOf(config, transport);
      methods.set('password', passwordMethod(context, auth, login, trying));
      methods.set('keyboard-interactive', interactiveMethod(context, auth, login, trying));
    }
    const exhausted = new Set<string>();
    isUnfinished = () => {
      const others = config.preferredAuthentications.filter((name) => name !== 'publickey' && methods.has(name));
      const isKey = !['none', 'password', 'keyboard-interactive'].includes(last);
      return isKey && (keys.hasMore() || others.some((name) => offered.includes(name)));
    };
    // As ssh does: while the server says what it takes.
    if (config.preferredAuthentications.includes('publickey')) keys.prepare();
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
    get isUnfinished() {
      return isUnfinished();
    },
  };
}

/** Steps of one login, rounds of one step: more than any server asks for. */
const mostSteps = 16;
const mostRounds = 64;
const mostPrompts = 32;
const mostSaid = 8;

function unexpected(detail = 'the server broke the rules of logging in'): FailureError {
  return new FailureError({ kind: 'unexpected', detail });
}

/** Undefined: nothing may be kept, since nobody knows whose it would be. */
function loginOf({ user, hostName: host, port }: HostConfig, { binding }: AuthTransport): Login | undefined {
  if (!binding) return undefined;
  // A certificate is made anew, its key stays.
  const key = readUserKey(binding.hostKey)?.plain ?? binding.hostKey;
  return { user, host, port, hostKey: fingerprint(key) };
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
  let isClosed = false;
  return {
    async keys() {
      const { identityAgent } = config;
      if (identityAgent === undefined) return [];
      try {
        return await atLeisure(async () => {
          agent = await openAgent(identityAgent, { user: config.tokens['u'] ?? '', ended, binding });
          // Whoever is let in without a key needs none of its.
          if (isClosed) agent.close();
          return usableKeys(await agent.keys());
        });
      } catch (error) {
        if (isClosed) return [];
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
    close() {
      isClosed = true;
      agent?.close();
    },
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
    return orderedIdentities(await sources(config, await agent.keys(), notes), (failure) => notes.push(failure));
  } finally {
    agent.close();
  }
}

function orderedIdentities(found: IdentitySources, note: (failure: Failure) => void): Identity[] {
  for (const { path, key } of notAccepted(found))
    note({ kind: 'keyNotAllowed', key: path, ...(wantsSha1(key, found.accepted, undefined) && { wantsSha1: true }) });
  return orderIdentities(found);
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
  /** Finds them, so that the first one is at hand when it is wanted. */
  prepare(): void;
  next: Method;
  /** The last one was right: it is not offered again, nor is any certificate of it. */
  took(): void;
  hasMore(): boolean;
}

function createKeys(
  context: AuthenticationContext,
  { serverAlgorithms, ended }: AuthTransport,
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
    const key = await readKey(path, context, ended);
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

  let finding: Promise<readonly Identity[]> | undefined;
  const find = () =>
    (finding ??= agent
      .keys()
      .then((held) => sources(config, held, notes))
      .then((found) => orderedIdentities(found, note)));

  const next: Method = async () => {
    if (!all) {
      all = await find();
      left = all;
      untried = [...all];
    }
    for (;;) {
      const identity = untried.shift();
      if (!identity) return undefined;
      let name = '';
      try {
        const offer = await offerOf(identity, all);
        if (!offer) continue;
        name = offer.name;
        const bits = rsaBits(offer.key.plain);
        if (bits !== undefined && bits < config.requiredRsaBits) {
          note({ kind: 'keyTooShort', key: name, bits, least: config.requiredRsaBits });
          continue;
        }
        const accepted = config.algorithms.pubkey;
        const algorithm = signatureAlgorithm(offer.key, accepted, serverAlgorithms);
        const isForSha1 = wantsSha1(offer.key, accepted, serverAlgorithms);
        if (!algorithm) {
          note({ kind: 'keyNotAllowed', key: offer.name, ...(isForSha1 && { wantsSha1: true }) });
          continue;
        }
        current = { identity, key: offer.key };
        trying(offer.name);
        log(`Offering ${offer.name} (${algorithm.offered})`);
        const answer = await auth.offerKey(algorithm.offered, offer.key.blob);
        // ssh would go on to SHA-1 with a server that does not say what it takes.
        if (answer.kind === 'failure' && !answer.partial && !serverAlgorithms && wantsSha1(offer.key, accepted, []))
          note({ kind: 'keyNotAllowed', key: offer.name, wantsSha1: true });
        if (answer.kind !== 'keyOk') return answer;
        // Another key than the one that was asked about must not be signed with.
        if (answer.algorithm !== algorithm.offered || !answer.blob.equals(offer.key.blob)) throw unexpected();
        return await auth.signedKey(algorithm.offered, offer.key.blob, (data) => offer.sign(data, algorithm.signature));
      } catch (error) {
        if (!(error instanceof FailureError) || error.failure.kind === 'unexpected') throw error;
        const failure: Failure =
          error.failure.kind === 'keyTooLong' ? { kind: 'keyTooLong', key: name } : error.failure;
        if (failure.kind === 'cancelled') continue;
        // ssh's default files are tried silently.
        const isMissing = failure.kind === 'keyUnreadable' && failure.code === 'ENOENT';
        if (!(isMissing && isDefault(failure.path))) note(failure);
      }
    }
  };

  return {
    // Where it fails, `next` says so.
    prepare: () => void find().catch(() => {}),
    next,
    hasMore: () => untried.length > 0,
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

function unreadableKey(path: string, result: Exclude<PrivateKeyResult, { kind: 'key' }>): Failure {
  switch (result.kind) {
    case 'securityKey':
      return { kind: 'keyNeedsAgent', path };
    case 'cipherUnknown':
      return { kind: 'keyCipherUnknown', path, cipher: result.name };
    case 'tooMuchWork':
      return { kind: 'keyTooMuchWork', path };
    case 'encrypted':
    case 'wrongPassphrase':
      return { kind: 'passphraseWrong', path };
    case 'invalid':
      return { kind: 'keyInvalid', path };
  }
}

/** A file's private key. Throws a FailureError, `cancelled` where no passphrase is given. */
async function readKey(
  path: string,
  { config, ask, secrets, atLeisure }: AuthenticationContext,
  ended: AbortSignal,
): Promise<PrivateKey> {
  const text = await readKeyFile(path);
  // Opening it may take seconds, which a reconnect need not spend again.
  const openedAs = `opened:${createHash('sha256').update(text).digest('hex')}`;
  const read = readPrivateKey(secrets.get(openedAs) ?? text, undefined);
  if (read.kind === 'key') return read.key;
  if (read.kind !== 'encrypted') throw new FailureError(unreadableKey(path, read));
  const keepAs = secretNames.passphrase(path);
  let remembered = secrets.get(keepAs);
  let attempt = 1;
  for (let prompts = 0; remembered !== undefined || prompts < config.numberOfPasswordPrompts; attempt++) {
    let passphrase = remembered;
    remembered = undefined;
    if (passphrase === undefined) {
      prompts++;
      const reply = await ask({ kind: 'passphrase', path, attempt, keepAs });
      // As ssh: an empty one goes on to the next key.
      if (reply.kind !== 'secret' || reply.secret === '') throw new FailureError({ kind: 'cancelled' });
      passphrase = reply.secret;
    }
    const given = passphrase;
    const opened = await atLeisure(() => openPrivateKey(text, given, ended));
    if (opened.kind === 'key') {
      secrets.set(keepAs, passphrase);
      secrets.set(openedAs, opened.key.pem());
      return opened.key;
    }
    secrets.delete(keepAs);
    if (opened.kind !== 'wrongPassphrase') throw new FailureError(unreadableKey(path, opened));
  }
  throw new FailureError({ kind: 'passphraseWrong', path });
}

/** What was given before is tried once; then NumberOfPasswordPrompts questions. No answer ends them. */
function passwordMethod(
  { config, ask, secrets, atLeisure }: AuthenticationContext,
  auth: UserAuth,
  login: Login | undefined,
  trying: (what: string) => void,
): Method {
  const { user, hostName: host, port, alias } = config;
  let keepAs = login && secretNames.password(login);
  let remembered = keepAs === undefined ? undefined : secrets.get(keepAs);
  let prompts = 0;
  let refused = 0;
  return async () => {
    let password = remembered;
    remembered = undefined;
    if (password === undefined) {
      if (prompts >= config.numberOfPasswordPrompts) return undefined;
      prompts++;
      const kept = keepAs === undefined ? {} : { keepAs };
      const reply = await ask({ kind: 'password', user, host, port, alias, attempt: refused + 1, ...kept });
      if (reply.kind !== 'secret') return undefined;
      password = reply.secret;
    }
    trying('password');
    const given = password;
    // At leisure: a server may ask its user's phone before it answers.
    const answer = await atLeisure(() => auth.password(given));
    if (answer.kind === 'passwordChange') throw new FailureError({ kind: 'passwordExpired', user, host: alias });
    if (isRight(answer)) {
      if (keepAs !== undefined) secrets.set(keepAs, given);
      // One that is wanted behind it is another one.
      keepAs = undefined;
      refused = 0;
    } else {
      if (keepAs !== undefined) secrets.delete(keepAs);
      refused++;
    }
    return answer;
  };
}

/** RFC 4256: as many logins as NumberOfPasswordPrompts, each with as many rounds as the server wants. */
function interactiveMethod(
  { config, ask, secrets, atLeisure, serverSaid, isUnattended }: AuthenticationContext,
  auth: UserAuth,
  login: Login | undefined,
  trying: (what: string) => void,
): Method {
  const { user, hostName: host, port, alias } = config;
  const who = { kind: 'interactive', user, host, port, alias } as const;
  /** How often a login was refused in which a round came up. */
  const refused = new Map<string, number>();
  /** Names of the passwords that were right in steps before. */
  const passed = new Set<string>();
  const said = new Set<string>();
  let logins = 0;
  let wasAsked = false;

  const tell = (text: string) => {
    if (text === '' || said.has(text) || said.size >= mostSaid) return;
    said.add(text);
    serverSaid(text);
  };
  /** What was seen and given in one login: keys of rounds, names of passwords. */
  interface Seen {
    rounds: Set<string>;
    passwords: Set<string>;
    given: Map<string, string>;
  }
  /** The name to keep a round's answer under; undefined: it must not be kept. */
  const nameFor = (round: Round, { passwords, given }: Seen): string | undefined => {
    if (!login || !isPasswordRound(round)) return undefined;
    const name = secretNames.round(login, round.prompts[0]!.text);
    const isFirst = passed.size + passwords.size === 0;
    if (passed.has(name) || passwords.has(name)) {
      // The same question twice: one of them may be for a code, and nobody knows which.
      given.delete(name);
      secrets.delete(name);
    }
    passwords.add(name);
    return isFirst ? name : undefined;
  };
  /** Undefined: a person has to answer, and does not. */
  const answersTo = async (asked: Round, seen: Seen): Promise<readonly string[] | undefined> => {
    if (asked.prompts.length > mostPrompts)
      throw unexpected(`the server asked more than ${mostPrompts} questions at once`);
    const [name, instruction] = [asked.name, asked.instruction].map(printableLines) as [string, string];
    const prompts = asked.prompts.map(({ text, echo }) => ({ text: printableLines(text), echo }));
    const round: Round = { name, instruction, prompts };
    if (prompts.length === 0) {
      const text = [name, instruction].filter((part) => part !== '').join('\n');
      tell(text);
      if (text === '' || !isUnattended) return [];
      // It may wait for a person in another place.
      await ask({ ...who, attempt: 1, ...round });
      return undefined;
    }
    const key = JSON.stringify([name, prompts]);
    const attempt = (refused.get(key) ?? 0) + 1;
    seen.rounds.add(key);
    const keepAs = nameFor(round, seen);
    const remembered = keepAs !== undefined && attempt === 1 ? secrets.get(keepAs) : undefined;
    if (remembered !== undefined) {
      seen.given.set(keepAs!, remembered);
      return [remembered];
    }
    const reply = await ask({ ...who, attempt, ...round, ...(keepAs !== undefined && { keepAs }) });
    if (reply.kind !== 'answers' || reply.answers.length !== prompts.length) return undefined;
    if (keepAs !== undefined) seen.given.set(keepAs, reply.answers[0]!);
    return reply.answers;
  };
  const isRemembered = () => {
    const start = login && secretNames.rounds(login);
    return start !== undefined && [...secrets.keys()].some((name) => name.startsWith(start));
  };

  return async () => {
    // As ssh: a server that had no question has no use for another try.
    if (logins >= config.numberOfPasswordPrompts || (logins > 0 && !wasAsked)) return undefined;
    if (isUnattended && !isRemembered()) {
      await ask({ ...who, attempt: 1, name: '', instruction: '', prompts: [] });
      return undefined;
    }
    logins++;
    trying('keyboard-interactive');
    const seen: Seen = { rounds: new Set(), passwords: new Set(), given: new Map() };
    // At leisure: a server may ask its user's phone before it answers.
    let answer = await atLeisure(() => auth.interactive());
    for (let round = 1; answer.kind === 'round'; round++) {
      wasAsked = true;
      if (round > mostRounds) throw unexpected(`the server asked more than ${mostRounds} times`);
      const answers = await answersTo(answer, seen);
      if (!answers) return undefined;
      answer = await atLeisure(() => auth.respond(answers));
    }
    if (isRight(answer)) {
      for (const [name, secret] of seen.given) secrets.set(name, secret);
      for (const name of seen.passwords) passed.add(name);
    } else {
      for (const name of seen.given.keys()) secrets.delete(name);
      for (const key of seen.rounds) refused.set(key, (refused.get(key) ?? 0) + 1);
    }
    return answer;
  };
}
