// Why a host is reached as it is: what ssh_config, keys and known_hosts come to for each host of the way, and a try.
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { printDestination } from '../core/destination.js';
import {
  questionText,
  type ExplainedHost,
  type ExplainedKey,
  type ExplainedPhase,
  type Explanation,
} from '../core/explanation.js';
import { errorCode, failureOf, type Failure } from '../core/failure.js';
import type { Identity } from '../core/identityOrder.js';
import { fingerprint, matchesHost } from '../core/knownHosts.js';
import type { HostRequest } from '../core/plan.js';
import { knownHostsName, serverText, type HostConfig } from '../core/sshConfig.js';
import { readUserKey, type UserKey } from '../core/userKey.js';
import { openAgent } from './agent.js';
import { listIdentities } from './authentication.js';
import { dialHost } from './dial.js';
import type { AskUser } from './hostKeyCheck.js';
import { readKnownHosts } from './knownHostsFiles.js';
import { explainOptions, localUser, readConfigForwards, resolveWay } from './sshFiles.js';

type Log = (text: string) => void;

/** Tries to connect, too; nobody is asked, and nothing is remembered of it. Never throws but for the abort. */
export async function explain(request: HostRequest, abort: AbortController, log: Log): Promise<Explanation> {
  const host = printDestination(request.destination);
  const started = performance.now();
  const way = await resolveWay(request, abort.signal, log).catch((error: unknown) => failureOf(error));
  if ('kind' in way) return withoutHome({ host, hosts: [], forwards: [], failure: way });
  const resolved = performance.now() - started;
  const forwards = await forwardsOf(request);
  const hosts = await Promise.all(way.map(({ request, config }) => explainHost(request, config, abort.signal, log)));
  const { tries, failure } = await tryToConnect(
    request,
    way.map(({ config }) => config),
    abort,
    log,
  );
  abort.signal.throwIfAborted();
  return withoutHome({
    host,
    hosts: hosts.map((one, at) => ({ ...one, ...tries[at]! })),
    resolved,
    forwards,
    ...(failure && { failure }),
  });
}

async function forwardsOf({ configFile, destination }: HostRequest): Promise<Explanation['forwards']> {
  const { forwards } = await readConfigForwards(configFile);
  return forwards.filter(({ host }) => host === destination.host).map(({ spec, origin }) => ({ spec, origin }));
}

type Facts = Omit<ExplainedHost, 'phases' | 'asked' | 'said'>;

async function explainHost(request: HostRequest, config: HostConfig, ended: AbortSignal, log: Log): Promise<Facts> {
  const notes: Failure[] = [];
  const options = await explainOptions(request, ended, log).catch(() => []);
  const identities = await listIdentities(config, notes, ended).catch((error: unknown) => {
    notes.push(failureOf(error));
    return [];
  });
  const agent = await agentOf(config, ended);
  const missing = await missingFiles(config.identityFiles);
  const isThere = (identity: Identity) => identity.kind !== 'file' || !missing.includes(identity.path);
  return {
    name: config.alias,
    server: serverText(config),
    options,
    identities: identities.filter(isThere).map(shownIdentity),
    missing,
    // The agent's own part says so.
    notes: notes.filter(({ kind }) => kind !== 'agentUnreachable'),
    ...(agent && { agent }),
    knownHosts: await knownOf(config),
  };
}

async function missingFiles(paths: readonly string[]): Promise<string[]> {
  const isMissing = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        () => false,
        (error: unknown) => ['ENOENT', 'ENOTDIR'].includes(errorCode(error)),
      ),
    ),
  );
  return paths.filter((_, at) => isMissing[at]);
}

function shownIdentity(identity: Identity): ExplainedHost['identities'][number] {
  const key = identity.key && shownKey(identity.kind === 'agent' ? identity.comment : identity.path, identity.key);
  const base = key ?? { name: identity.kind === 'file' ? identity.path : '', keyType: '' };
  const note =
    identity.kind === 'certificate'
      ? `certificate${identity.keyPath === undefined ? ' of a key in the agent' : ` of ${identity.keyPath}`}`
      : identity.kind === 'agent' && identity.path !== undefined
        ? `named by ${identity.path}`
        : undefined;
  return { ...base, ...(note !== undefined && { note }) };
}

function shownKey(name: string, { type, plain }: UserKey): ExplainedKey {
  return { name, keyType: type, fingerprint: fingerprint(plain) };
}

async function agentOf(config: HostConfig, ended: AbortSignal): Promise<ExplainedHost['agent']> {
  const path = config.identityAgent;
  if (path === undefined) return undefined;
  try {
    const agent = await openAgent(path, { user: config.tokens['u'] ?? '', ended });
    try {
      const keys = await agent.keys();
      return {
        path,
        keys: keys.map(({ blob, comment }) => {
          const key = readUserKey(blob);
          return key ? shownKey(comment, key) : { name: comment, keyType: 'unknown', fingerprint: fingerprint(blob) };
        }),
      };
    } finally {
      agent.close();
    }
  } catch (error) {
    return { path, failure: { kind: 'agentUnreachable', path, code: errorCode(error) } };
  }
}

async function knownOf(config: HostConfig): Promise<ExplainedHost['knownHosts']> {
  const name = knownHostsName(config);
  try {
    const entries = await readKnownHosts([...config.userKnownHostsFiles, ...config.globalKnownHostsFiles]);
    const lines = entries
      .filter(({ hosts }) => matchesHost(hosts, name))
      .map(({ file, line, keyType, key, marker }) => ({
        file,
        line,
        keyType,
        fingerprint: fingerprint(Buffer.from(key, 'base64')),
        ...(marker && { marker }),
      }));
    return { name, lines };
  } catch (error) {
    return { name, lines: [], failure: failureOf(error) };
  }
}

type Try = Pick<ExplainedHost, 'phases' | 'asked' | 'said'>;

/** One for each host of the way. */
async function tryToConnect(
  request: HostRequest,
  route: readonly HostConfig[],
  abort: AbortController,
  log: Log,
): Promise<{ tries: readonly Try[]; failure?: Failure }> {
  const tries = route.map(() => ({
    phases: [] as { phase: ExplainedPhase; ms: number }[],
    asked: [] as string[],
    said: [] as string[],
  }));
  /** The host that is dialled: two of the way may have the same name. */
  let at = -1;
  let begun: { phase: ExplainedPhase; since: number } | undefined;
  const next = (phase?: ExplainedPhase) => {
    const now = performance.now();
    if (begun && begun.phase !== 'resolve') tries[at]?.phases.push({ phase: begun.phase, ms: now - begun.since });
    begun = phase && { phase, since: now };
  };
  const ask: AskUser = (question) => {
    tries[at]?.asked.push(questionText(question));
    return Promise.resolve({ kind: 'cancel' });
  };
  try {
    const { session } = await dialHost(
      request,
      { abort, cancelled: false },
      {
        ask,
        memory: { secrets: new Map(), acceptedKeys: new Set() },
        log,
        route,
        serverSaid: (_about, text) => tries[at]?.said.push(text),
        watch: (_host, phase) => {
          next(phase);
          if (phase === 'connect') at++;
        },
        // As ssh has it: what stands first is written to, and nothing is written there.
        adjust: (config) => ({ ...config, userKnownHostsFiles: ['/dev/null', ...config.userKnownHostsFiles] }),
      },
    );
    next();
    await session.close();
    return { tries };
  } catch (error) {
    next();
    return { tries, failure: failureOf(error) };
  }
}

/** With `~` for ssh's home directory, and `$HOME` where that is another: they tell more than is needed of whoever pastes it. */
function withoutHome<T>(value: T): T {
  const names = new Map([
    [homedir().replace(/[\\/]+$/, ''), '$HOME'],
    [localUser().home.replace(/[\\/]+$/, ''), '~'],
  ]);
  names.delete('');
  if (names.size === 0) return value;
  const homes = [...names.keys()].sort((one, other) => other.length - one.length);
  const escaped = homes.map((home) => home.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  const inPath = new RegExp(`(?<![\\w./\\\\-])(?:${escaped})(?=[\\\\/]|$)`, 'g');
  const walk = (one: unknown): unknown => {
    if (typeof one === 'string') return one.replace(inPath, (home) => names.get(home)!);
    if (Array.isArray(one)) return one.map(walk);
    if (typeof one !== 'object' || one === null) return one;
    return Object.fromEntries(Object.entries(one).map(([key, inner]) => [key, walk(inner)]));
  };
  return walk(value) as T;
}
