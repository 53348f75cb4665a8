// The sequence of authentication, in OpenSSH's order: none (to learn the methods), keys of the agent that IdentityFile
// names, the agent's others, key files, password. Each key is one step; a passphrase is asked for only when the server
// has said that it would take the key.
import { FailureError, errorCode, type Failure } from '../core/failure.js';
import type { HostConfig } from '../core/sshConfig.js';
import type { AskUser } from './hostKeyCheck.js';
import {
  agentIdentities,
  publicBlob,
  readPrivateKey,
  type AuthState,
  type AuthStep,
  type Identity,
} from './sshClient.js';
import { readKeyFile, readPublicText } from './sshFiles.js';

/** Secrets that were given in this run, by name; they live in memory only, for reconnects. */
export type Secrets = Pick<Map<string, string>, 'get' | 'set' | 'delete'>;

export interface Authentication {
  next(state: AuthState): Promise<AuthStep | undefined>;
  /** What was tried, for the failure: names of keys and methods, no secret. */
  readonly tried: readonly string[];
  readonly offered: readonly string[];
  /** Why keys could not be used. */
  readonly notes: readonly Failure[];
}

export interface AuthenticationContext {
  config: HostConfig;
  ask: AskUser;
  /** Runs work in which another program may ask a person (an agent that wants a touch): its time is not the network's. */
  atLeisure<T>(work: () => Promise<T>): Promise<T>;
  secrets: Secrets;
  log(text: string): void;
}

export function createAuthentication(context: AuthenticationContext): Authentication {
  const { config, log } = context;
  const tried: string[] = [];
  const notes: Failure[] = [];
  let offered: readonly string[] = [];
  let keys: AsyncGenerator<Identity, undefined> | undefined;
  let passwords: AsyncGenerator<string, undefined> | undefined;

  const methods: Readonly<Record<string, () => Promise<AuthStep | undefined>>> = {
    async publickey() {
      keys ??= identities(context, notes);
      const next = await keys.next();
      if (next.done) return undefined;
      tried.push(next.value.name);
      log(`Offering ${next.value.name}`);
      return { kind: 'publickey', identity: next.value };
    },
    async password() {
      passwords ??= passwordTries(context);
      const next = await passwords.next();
      if (next.done) return undefined;
      if (!tried.includes('password')) tried.push('password');
      return { kind: 'password', password: next.value };
    },
  };

  return {
    async next(state) {
      if (state.offered === undefined) return { kind: 'none' };
      offered = state.offered;
      for (const name of config.preferredAuthentications) {
        if (!offered.includes(name)) continue;
        const step = await methods[name]?.();
        if (step) return step;
      }
      return undefined;
    },
    get tried() {
      return tried;
    },
    get offered() {
      return offered;
    },
    get notes() {
      return notes;
    },
  };
}

/** Every key worth offering, in order, none twice. Files are read when their turn comes. */
async function* identities(context: AuthenticationContext, notes: Failure[]): AsyncGenerator<Identity, undefined> {
  const { config } = context;
  const named = await Promise.all(config.identityFiles.map(async (path) => ({ path, blob: await namedKey(path) })));
  const inAgent = await fromAgent(context, notes);
  const isNamed = (identity: Identity) => named.findIndex(({ blob }) => blob?.equals(identity.publicBlob));
  const first = inAgent.filter((identity) => isNamed(identity) >= 0).sort((a, b) => isNamed(a) - isNamed(b));
  yield* first;
  if (!config.identitiesOnly) yield* inAgent.filter((identity) => isNamed(identity) < 0);
  for (const { path, blob } of named) {
    if (blob && inAgent.some((identity) => identity.publicBlob.equals(blob))) continue;
    const identity = await fromFile(path, blob, context, notes);
    if (identity) yield identity;
  }
}

async function fromAgent({ config, atLeisure, log }: AuthenticationContext, notes: Failure[]): Promise<Identity[]> {
  const { identityAgent } = config;
  if (identityAgent === undefined) return [];
  try {
    const found = await atLeisure(() => agentIdentities(identityAgent));
    return found.map((identity) => ({
      ...identity,
      async sign(data, hash) {
        try {
          return await atLeisure(() => identity.sign(data, hash));
        } catch (error) {
          notes.push({ kind: 'signatureRefused', key: identity.name });
          throw error;
        }
      },
    }));
  } catch (error) {
    const failure: Failure = { kind: 'agentUnreachable', path: identityAgent, code: errorCode(error) };
    log(`The agent at ${identityAgent} can't be reached (${failure.code})`);
    notes.push(failure);
    return [];
  }
}

/** The public half of an identity file without any secret: from its .pub, from itself if it is one, or from its open part. */
async function namedKey(path: string): Promise<Buffer | undefined> {
  const text = (await readPublicText(`${path}.pub`)) ?? (await readPublicText(path));
  return text === undefined ? undefined : publicBlob(text);
}

async function fromFile(
  path: string,
  blob: Buffer | undefined,
  context: AuthenticationContext,
  notes: Failure[],
): Promise<Identity | undefined> {
  let text: string;
  try {
    text = await readKeyFile(path);
  } catch (error) {
    const { failure } = error as FailureError;
    // ssh's default files are tried silently; so is a .pub that names a key of the agent.
    if (!(failure.kind === 'keyUnreadable' && failure.code === 'ENOENT' && isDefault(path)) && !path.endsWith('.pub'))
      notes.push(failure);
    return undefined;
  }
  const read = readPrivateKey(path, text, undefined);
  switch (read.kind) {
    case 'key':
      return read.identity;
    case 'encrypted': {
      const unlock = () => unlockKey(path, text, context, notes);
      if (blob) return { name: path, publicBlob: blob, sign: async (data, hash) => (await unlock()).sign(data, hash) };
      return unlock().catch(() => undefined);
    }
    case 'invalid':
    case 'wrongPassphrase':
      if (!path.endsWith('.pub')) notes.push({ kind: 'keyInvalid', path });
      return undefined;
  }
}

function isDefault(path: string): boolean {
  return /[\\/]\.ssh[\\/]id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss)$/.test(path);
}

async function unlockKey(
  path: string,
  text: string,
  { ask, secrets }: AuthenticationContext,
  notes: Failure[],
): Promise<Identity> {
  const name = `passphrase:${path}`;
  const remembered = secrets.get(name);
  for (let attempt = 1; attempt <= 3; attempt++) {
    const reply =
      remembered !== undefined && attempt === 1 ? undefined : await ask({ kind: 'passphrase', path, attempt });
    if (reply && reply.kind !== 'secret') throw new FailureError({ kind: 'cancelled' });
    const passphrase = reply?.secret ?? remembered!;
    const read = readPrivateKey(path, text, passphrase);
    if (read.kind === 'key') {
      secrets.set(name, passphrase);
      return read.identity;
    }
  }
  secrets.delete(name);
  notes.push({ kind: 'passphraseWrong', path });
  throw new FailureError({ kind: 'passphraseWrong', path });
}

/** NumberOfPasswordPrompts tries; cancelling ends them. */
async function* passwordTries({ config, ask, secrets }: AuthenticationContext): AsyncGenerator<string, undefined> {
  const { user, hostName: host, port } = config;
  const name = `password:${user}@${host}:${port}`;
  const remembered = secrets.get(name);
  if (remembered !== undefined) yield remembered;
  secrets.delete(name);
  for (let attempt = 1; attempt <= config.numberOfPasswordPrompts; attempt++) {
    const reply = await ask({ kind: 'password', user, host, port, attempt });
    if (reply.kind !== 'secret') return;
    secrets.set(name, reply.secret);
    yield reply.secret;
    secrets.delete(name);
  }
}
