// The files of ssh on this machine: its config through `ssh -G`, known_hosts, identities.
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { homedir, hostname, userInfo } from 'node:os';
import { assembleAlgorithms } from '../core/configAlgorithms.js';
import type { ConfigForward, ConfigForwards } from '../core/configForward.js';
import { expandHome } from '../core/configTokens.js';
import { quoteConfig } from '../core/configWords.js';
import { printValue } from '../core/destination.js';
import type { LogLevel } from '../core/engine.js';
import type { ValueSource } from '../core/explanation.js';
import { FailureError, errorCode } from '../core/failure.js';
import { forwardWords, type ForwardSpec } from '../core/forwardSpec.js';
import { printHostAddress } from '../core/hostAddress.js';
import type { HostRequest } from '../core/plan.js';
import { printedForwards } from '../core/printedForward.js';
import {
  hostConfig,
  parseOptionLines,
  type Algorithms,
  type HostConfig,
  type LocalUser,
  type Options,
} from '../core/sshConfig.js';
import {
  ConfigError,
  listConfigHosts,
  optionsOf,
  printConfigLines,
  resolveConfig,
  userConfig,
  type ConfigQuery,
  type ConfigWorld,
  type ResolvedConfig,
} from '../core/sshConfigFile.js';
import { askedAlgorithms } from './algorithms.js';
import { createConfigWorld, type ReadWorld } from './configWorld.js';

export function localUser(): LocalUser {
  const uid = process.getuid?.();
  return {
    name: userName(),
    ...(uid !== undefined && { uid }),
    home: userHome(),
    hostName: hostname(),
    env: process.env,
    windows: process.platform === 'win32',
    mac: process.platform === 'darwin',
  };
}

/** A container's user may have no entry in the password database. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env['USER'] ?? String(process.getuid?.() ?? '');
  }
}

/** The home that ssh goes by, which is not $HOME. Without an entry in the password database there is no other. */
function userHome(): string {
  try {
    return userInfo().homedir || homedir();
  } catch {
    return homedir();
  }
}

/** The effective options of a host. */
export interface HostOptions {
  options: Options;
  /** In the lines of `ssh -G`, as it or our own resolver printed them. */
  printed: string;
  /** OpenSSH's own lists, which stand in the options where nobody set one; absent: nobody has set any. */
  builtIn?: Algorithms;
  /** Of the config files and the request, each once, the tokens in sockets' paths as written; none if they are cleared. */
  forwards: readonly ForwardSpec[];
  /** Whether somebody set ServerAliveInterval: what is printed of it may be a default. */
  setsAliveInterval: boolean;
}

type Log = (text: string, level?: LogLevel) => void;

/** Set, our own resolver reads ssh_config even where there is an ssh program. */
const ownResolver = 'SSH_TUNNELS_NO_SSH';

/**
 * The options of a host as `ssh -G` makes them of the request, which has the first word, and of the config files; without
 * an ssh program our own resolver does. What a workspace asks for runs no program of a `Match exec`, and is not put to ssh,
 * which might read other files than those that were looked at. `forwards` are the request's own. Throws a FailureError.
 */
export async function resolveOptions(
  request: HostRequest,
  abort: AbortSignal,
  log: Log,
  forwards: readonly ForwardSpec[] = [],
): Promise<HostOptions> {
  const { host } = request.destination;
  const user = localUser();
  const options = [...(await givenOptions(request, user, log)), ...forwards.map(forwardOption)];
  const configFile = request.configFile === '/dev/null' ? 'none' : request.configFile;
  const query = { host, options, ...(configFile !== undefined && { configFile }) };
  const resolveHere = async (programs?: { abort: AbortSignal }) => ownOptions(await ask(query, createConfigWorld(user, programs))); // prettier-ignore
  const ask = (asked: ConfigQuery, world: ConfigWorld) =>
    resolveConfig(asked, world).catch((error: unknown) => {
      throw error instanceof ConfigError ? sshConfigFailure(error.message) : error;
    });
  if (configFile === 'none') return resolveHere();
  if (request.fromWorkspace) {
    const resolved = await ask(query, createConfigWorld(user));
    const [first] = resolved.programs;
    if (first)
      log(`${host} comes from a workspace: Match exec (${first.file} line ${first.line}) counts as not matched.`);
    return ownOptions(resolved);
  }
  const programs = { abort };
  if (process.env[ownResolver] === '1') return resolveHere(programs);
  const asking = askSsh(host, options, configFile, abort);
  // What ssh does not print is read while it runs; where it matters it is awaited below.
  const world = createConfigWorld(user);
  const own = resolveConfig(query, world);
  const comparing = mayNameAlgorithms(own, world, options).then<Algorithms | undefined | false>(
    (mayName) => mayName && sshDefaults(abort),
  );
  const [printed, builtIn] = await Promise.all([asking, comparing]);
  if (printed === undefined || builtIn === undefined) {
    log('No ssh program was found: ssh_config is read without it.');
    return resolveHere(programs);
  }
  const parsed = parseOptionLines(realForwards(printed));
  return {
    options: parsed,
    printed,
    ...(builtIn && { builtIn }),
    forwards: printedForwards(parsed),
    // 300: Debian's for BatchMode.
    setsAliveInterval:
      !/^(0|300)$/.test(parsed.get('serveraliveinterval')?.[0] ?? '0') ||
      (await setsAliveInterval(own, world, () => resolveConfig(query, createConfigWorld(user, { abort })))),
  };
}

/**
 * Whether somebody may have set a list of algorithms, whoever it is for: to tell it from OpenSSH's own takes one more process,
 * which in an extension host of hundreds of megabytes costs more than its run. Never rejects.
 */
async function mayNameAlgorithms(
  own: Promise<ResolvedConfig>,
  world: ConfigWorld,
  options: readonly (readonly [string, string])[],
): Promise<boolean> {
  if (options.some(([keyword]) => algorithmKeywords.test(keyword))) return true;
  try {
    const { programs, files } = await own;
    // What a program says may lead to a file that is not seen here.
    if (programs.length > 0) return true;
    const read = await Promise.all(files.map((file) => world.read(file)));
    return read.some(
      (found) => found.kind === 'unreadable' || (found.kind === 'text' && algorithmKeywords.test(found.text)),
    );
  } catch {
    return true;
  }
}

const algorithmKeywords = /ciphers|macs|kexalgorithms|hostkeyalgorithms/i;

/** As our own resolver sees it: `ssh -G` prints an explicit 0 and nothing alike. A config that it can't read sets none. */
async function setsAliveInterval(
  own: Promise<ResolvedConfig>,
  world: ConfigWorld,
  withPrograms: () => Promise<ResolvedConfig>,
): Promise<boolean> {
  try {
    const resolved = await own;
    if (hasAliveInterval(resolved)) return true;
    // Programs of `Match exec` have been run by ssh: no second time unless it matters.
    if (resolved.programs.length === 0) return false;
    const read = await Promise.all(resolved.files.map((file) => world.read(file)));
    if (!read.some((found) => found.kind === 'text' && aliveKeywords.test(found.text))) return false;
    return hasAliveInterval(await withPrograms());
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** ServerAliveInterval and its other names. */
const aliveKeywords = /serveraliveinterval|protocolkeepalives|setuptimeout/i;

function hasAliveInterval({ lines }: ResolvedConfig): boolean {
  return lines.some(({ keyword, source }) => keyword === 'serveraliveinterval' && source.kind !== 'default');
}

/**
 * The lines of resolveOptions, each with where it comes from as our own resolver sees it; `undefined` where the two
 * differ. Throws a FailureError.
 */
export async function explainOptions(
  request: HostRequest,
  abort: AbortSignal,
  log: Log,
): Promise<readonly { keyword: string; value: string; source?: ValueSource }[]> {
  const { options } = await resolveOptions(request, abort, log);
  const user = localUser();
  const { configFile } = request;
  const query = { host: request.destination.host, options: await givenOptions(request, user, () => {}), ...(configFile !== undefined && { configFile }) }; // prettier-ignore
  const programs = request.fromWorkspace ? undefined : { abort };
  const own = await resolveConfig(query, createConfigWorld(user, programs)).then(
    ({ lines }) => [...lines],
    (error: unknown) => {
      if (error instanceof ConfigError) return [];
      throw error;
    },
  );
  const sources = new Map<string, (typeof own)[number][]>();
  for (const line of own) {
    const key = `${line.keyword.toLowerCase()} ${line.value}`;
    const known = sources.get(key) ?? [];
    known.push(line);
    sources.set(key, known);
  }
  return [...options].flatMap(([keyword, values]) =>
    values.map((value) => {
      const found = sources.get(`${keyword} ${value}`)?.shift();
      return { keyword, value, ...(found && { source: found.source }) };
    }),
  );
}

/** What stands on the command line, in ssh's order. A key's file that is not there is left out, as ssh does it. */
async function givenOptions(
  { destination, options }: HostRequest,
  user: LocalUser,
  log: Log,
): Promise<[string, string][]> {
  const given: [string, string][] = [
    ...(destination.user !== undefined ? [['User', destination.user] as [string, string]] : []),
    ...(destination.port !== undefined ? [['Port', String(destination.port)] as [string, string]] : []),
    // First value wins, and nothing may take back that nobody can be asked.
    ...options.map(([keyword, value]): [string, string] => [keyword, value]),
    // A file's name goes to -i, which takes it without quotes.
    ...(destination.options ?? []).map((option): [string, string] => [
      option[0],
      option[0] === 'IdentityFile' ? option[1] : printValue(option),
    ]),
  ]; // prettier-ignore
  const isThere = await Promise.all(
    given.map(async ([keyword, value]) => {
      if (keyword.toLowerCase() !== 'identityfile') return true;
      const problem = await stat(expandHome(value, user)).then(() => undefined, errorCode);
      if (problem !== undefined) log(`The identity file ${value} is left out: ${problem === 'ENOENT' ? 'there is none' : problem}.`, 'warning'); // prettier-ignore
      return problem === undefined;
    }),
  );
  return given.filter((_, index) => isThere[index]);
}

function forwardOption(spec: ForwardSpec): [string, string] {
  const keyword = { local: 'LocalForward', remote: 'RemoteForward', dynamic: 'DynamicForward' }[spec.kind];
  return [keyword, forwardWords(spec).map(quoteConfig).join(' ')];
}

function ownOptions(resolved: ResolvedConfig): HostOptions {
  const list = (keyword: string) => assembleAlgorithms(keyword, undefined)!;
  return {
    options: optionsOf(resolved),
    printed: printConfigLines(resolved),
    builtIn: {
      kex: list('kexalgorithms'),
      cipher: list('ciphers'),
      mac: list('macs'),
      hostKey: list('hostkeyalgorithms'),
    },
    forwards: resolved.forwards.map(({ spec }) => spec),
    setsAliveInterval: hasAliveInterval(resolved),
  };
}

let defaults: Promise<Algorithms | undefined> | undefined;

/** The lists that the ssh program has by itself, which it is asked for once; `undefined`: there is none. */
async function sshDefaults(abort: AbortSignal): Promise<Algorithms | undefined> {
  defaults ??= askSsh('localhost', [], 'none', AbortSignal.timeout(longestAnswer)).then(
    (printed) => printed === undefined ? undefined : hostConfig('localhost', parseOptionLines(printed), localUser()).algorithms, // prettier-ignore
    (error: unknown) => {
      defaults = undefined;
      throw error;
    },
  );
  abort.throwIfAborted();
  return defaults;
}

async function resolveHost(request: HostRequest, abort: AbortSignal, log: Log): Promise<HostConfig> {
  const { host } = request.destination;
  const { keepaliveSeconds } = request;
  const { options: resolved, builtIn, setsAliveInterval } = await resolveOptions(request, abort, log);
  const options = setsAliveInterval ? resolved : new Map([...resolved].filter(([keyword]) => keyword !== 'serveraliveinterval')); // prettier-ignore
  if (wantsPassedSocket(options))
    throw new FailureError({ kind: 'notSupportedYet', what: `ProxyUseFdpass, which ssh_config sets for ${host},` });
  try {
    const config = hostConfig(host, options, localUser());
    return {
      ...config,
      ...(!setsAliveInterval && keepaliveSeconds !== undefined && { serverAliveInterval: keepaliveSeconds }),
      algorithms: askedAlgorithms(config.algorithms, builtIn ?? config.algorithms),
    };
  } catch (error) {
    throw sshConfigFailure((error as Error).message);
  }
}

function sshConfigFailure(detail: string): FailureError {
  return new FailureError({ kind: 'sshConfig', detail: `${detail.replace(/\.$/, '')}.` });
}

/** A ProxyCommand that hands a connected socket over, which takes more than a pipe. */
function wantsPassedSocket(options: Options): boolean {
  const value = (keyword: string) => options.get(keyword)?.[0]?.toLowerCase() ?? '';
  return ['yes', 'true', 'on'].includes(value('proxyusefdpass')) && !/^(none)?$/.test(value('proxycommand'));
}

/** A chain that grows with each step (`ProxyJump x%n`) never meets itself. */
const mostHops = 16;

/**
 * The hosts to connect to in turn, each through the one before: the jump hosts, nearest first, and the requested one last.
 * A jump host has the config files in common with it, and no more: what stands on the command line is for the requested
 * host alone, as in ssh, but for the BatchMode that says that nobody can be asked. Throws a FailureError.
 */
export async function resolveRoute(request: HostRequest, abort: AbortSignal, log: Log): Promise<readonly HostConfig[]> {
  return (await resolveWay(request, abort, log)).map(({ config }) => config);
}

/** The same with the request for each of them. */
export async function resolveWay(
  request: HostRequest,
  abort: AbortSignal,
  log: Log,
): Promise<readonly { request: HostRequest; config: HostConfig }[]> {
  const { configFile, fromWorkspace, keepaliveSeconds } = request;
  const batch = request.options.filter(([keyword, value]) => /^batchmode$/i.test(keyword) && /^(yes|true|on)$/i.test(value)); // prettier-ignore
  const route = [{ request, config: await resolveHost(request, abort, log) }];
  const followed: string[] = [];
  for (;;) {
    const before = route[0]!.config.proxyJump.slice(0, -1).map(printHostAddress).join(',');
    const destination = route[0]!.config.proxyJump.at(-1);
    if (!destination) return route;
    // As ssh does it: it runs itself to the last host of the list, with the earlier ones in place of that host's own.
    const hop = printHostAddress(destination);
    if (before === '') {
      if (followed.includes(hop) || route.length > mostHops)
        throw new FailureError({ kind: 'jumpLoop', host: request.destination.host, hop });
      followed.push(hop);
    }
    const options = [...batch, ...(before === '' ? [] : [['ProxyJump', before] as const])];
    const hopRequest = { destination, options, ...(configFile !== undefined && { configFile }), ...(fromWorkspace && { fromWorkspace }), ...(keepaliveSeconds !== undefined && { keepaliveSeconds }) }; // prettier-ignore
    route.unshift({ request: hopRequest, config: await resolveHost(hopRequest, abort, log) });
  }
}

/** ms */
const longestAnswer = 10_000;

/** What `ssh -G` prints; `undefined`: there is no ssh program. Throws a FailureError. */
function askSsh(
  host: string,
  options: readonly (readonly [string, string])[],
  configFile: string | undefined,
  abort: AbortSignal,
): Promise<string | undefined> {
  const args = [
    '-G',
    ...(configFile === undefined ? [] : ['-F', configFile]),
    // -o would split a path at its blanks.
    ...options.flatMap(([keyword, value]) =>
      keyword.toLowerCase() === 'identityfile' ? ['-i', value] : ['-o', `${keyword}=${value}`],
    ),
    '--',
    host,
  ];
  return new Promise((resolve, reject) => {
    execFile('ssh', args, { timeout: longestAnswer, windowsHide: true, signal: abort }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      if (error.code === 'ENOENT') return resolve(undefined);
      // What it only warns of is not the reason.
      const said = stderr.trim().split(/\r?\n/).filter((line) => !/Unsupported option|^Pseudo-terminal|^Warning: /.test(line)); // prettier-ignore
      reject(sshConfigFailure(said[0] || error.message));
    });
  });
}

/**
 * What `ssh -G` prints without the `dynamicforward` that it makes of every `localforward` to a Unix socket, and that ssh
 * never opens.
 */
export function realForwards(printed: string): string {
  const lines = printed.split('\n');
  const dynamic = new Map<string, number[]>();
  for (const [at, line] of lines.entries()) {
    if (!line.startsWith('dynamicforward ')) continue;
    const listen = line.slice(15).trimEnd();
    const places = dynamic.get(listen) ?? [];
    places.push(at);
    dynamic.set(listen, places);
  }
  const bogus = new Set<number>();
  for (const line of lines) {
    const [, ends] = /^localforward (.*)$/.exec(line) ?? [];
    if (ends === undefined || / \[[^\]]*\]:\d+\r?$/.test(ends)) continue;
    const listens = [...ends.matchAll(/ /g)].map(({ index }) => dynamic.get(ends.slice(0, index)) ?? []);
    const [first] = listens.filter((places) => places.length > 0).sort((a, b) => a[0]! - b[0]!);
    const at = first?.shift();
    if (at !== undefined) bogus.add(at);
  }
  return lines.filter((_, at) => !bogus.has(at)).join('\n');
}

/** Host names to pick from, with those of included files. A file that can't be read has none. */
export async function readHosts(configFile: string | undefined): Promise<readonly string[]> {
  return (await listConfigHosts(configFile, createConfigWorld(localUser()))).hosts;
}

let lastRead: { configFile: string | undefined; world: ReadWorld; list: ConfigForwards } | undefined;
let reading: Promise<unknown> = Promise.resolve();
const waiting = new Map<string | undefined, Promise<ConfigForwards>>();

/**
 * The forwards of each host that can be picked, by our own resolver: no program is run, so that no `Match exec` matches,
 * and no name is looked up. A file that ssh refuses has none, and its problem says why. What is asked for while it is
 * read is read once more when that is done; what has not changed is not.
 */
export function readConfigForwards(configFile: string | undefined): Promise<ConfigForwards> {
  const joined = waiting.get(configFile);
  if (joined) return joined;
  const read = reading.then(async () => {
    waiting.delete(configFile);
    if (lastRead && lastRead.configFile === configFile && (await lastRead.world.isCurrent())) return lastRead.list;
    const world = createConfigWorld(localUser());
    const list = await listForwards(configFile, world);
    lastRead = { configFile, world, list };
    return list;
  });
  waiting.set(configFile, read);
  reading = read.catch(() => {});
  return read;
}

async function listForwards(
  configFile: string | undefined,
  { lookUp: _, ...world }: ConfigWorld,
): Promise<ConfigForwards> {
  // prettier-ignore
  const forwards: ConfigForward[] = [];
  const problems = new Map<string, ConfigForwards['problems'][number]>();
  const top = configFile ?? userConfig(world.user).file;
  const listed = await listConfigHosts(configFile, world);
  const files = new Set([top, ...(listed.hosts.length > 0 ? [] : listed.files)]);
  // Where there is no forward, one host shows whether ssh would refuse the files.
  for (const host of listed.hasForwards ? listed.hosts : listed.hosts.slice(0, 1)) {
    await world.pause?.();
    try {
      const query = { host, options: [], ...(configFile !== undefined && { configFile }) };
      const resolved = await resolveConfig(query, world);
      for (const file of resolved.files) files.add(file);
      for (const { spec, source } of resolved.forwards)
        if (source.kind === 'file') forwards.push({ host, spec, origin: source.origin });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const file of error.files) files.add(file);
      const origin = error.origin ?? { file: top, line: 1 };
      problems.set(`${origin.file}:${origin.line}`, { origin, message: error.detail });
    }
  }
  return { forwards, problems: [...problems.values()], files: [...files] };
}

/** The text of a private key's file. Throws a FailureError; on Unix also for one's own that others can read, as ssh does. */
export async function readKeyFile(path: string): Promise<string> {
  try {
    const { mode, uid } = await stat(path);
    if (uid === process.getuid?.() && (mode & 0o077) !== 0)
      throw new FailureError({ kind: 'keyUnprotected', path, mode: mode & 0o777 });
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof FailureError) throw error;
    throw new FailureError({ kind: 'keyUnreadable', path, code: errorCode(error) });
  }
}

/** The text of a file from which only public parts are taken, or undefined. */
export function readPublicText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
