// The files of ssh on this machine: its config through `ssh -G`, known_hosts, identities.
import { execFile } from 'node:child_process';
import { readFile, readdir, stat } from 'node:fs/promises';
import { homedir, hostname, userInfo } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import type { ConfigForward, ConfigForwards } from '../core/configForward.js';
import { printValue } from '../core/destination.js';
import { FailureError, errorCode } from '../core/failure.js';
import { printHostAddress } from '../core/hostAddress.js';
import type { HostRequest } from '../core/plan.js';
import {
  expandPath,
  hostConfig,
  listHosts,
  parseOptionLines,
  unsupportedOptions,
  type HostConfig,
  type LocalUser,
} from '../core/sshConfig.js';
import { ConfigError, resolveConfig, userConfig } from '../core/sshConfigFile.js';
import { createConfigWorld } from './configWorld.js';

export function localUser(): LocalUser {
  const uid = process.getuid?.();
  return {
    name: userName(),
    ...(uid !== undefined && { uid }),
    home: homedir(),
    hostName: hostname(),
    env: process.env,
    windows: process.platform === 'win32',
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

/**
 * The options of a host, as `ssh -G` makes them of the request and the config files. Without an ssh program, or with
 * the config file `none`, the request alone counts. Throws a FailureError.
 */
async function resolveHost(request: HostRequest, abort: AbortSignal, log: (text: string) => void): Promise<HostConfig> {
  const { destination, configFile } = request;
  const options: (readonly [string, string])[] = [
    ...(destination.user !== undefined ? [['User', destination.user] as const] : []),
    ...(destination.port !== undefined ? [['Port', String(destination.port)] as const] : []),
    // First value wins, and nothing may take back that nobody can be asked.
    ...request.options,
    // A file's name goes to -i, which takes it without quotes.
    ...(destination.options ?? []).map(
      (option) => [option[0], option[0] === 'IdentityFile' ? option[1] : printValue(option)] as const,
    ),
  ];
  const given = options.map(([keyword, value]) => `${keyword} ${value}`);
  let lines = firstOfEach(given).join('\n');
  if (configFile === undefined || !['none', '/dev/null'].includes(configFile)) {
    const printed = await askSsh(destination.host, options, configFile, abort);
    if (printed === undefined) log('No ssh program was found: ~/.ssh/config is not read.');
    else lines = printed;
  }
  const parsed = parseOptionLines(lines);
  const [unsupported] = unsupportedOptions(parsed);
  if (unsupported)
    throw new FailureError({
      kind: 'notSupportedYet',
      what: `${unsupported}, which ssh_config sets for ${destination.host},`,
    });
  try {
    return hostConfig(destination.host, parsed, localUser());
  } catch (error) {
    throw new FailureError({ kind: 'sshConfig', detail: `${(error as Error).message}.` });
  }
}

/** A chain that grows with each step (`ProxyJump x%n`) never meets itself. */
const mostHops = 16;

/**
 * The hosts to connect to in turn, each through the one before: the jump hosts, nearest first, and the requested one last.
 * A jump host has the config files in common with it, and no more: what stands on the command line is for the requested
 * host alone, as in ssh, but for the BatchMode that says that nobody can be asked. Throws a FailureError.
 */
export async function resolveRoute(
  request: HostRequest,
  abort: AbortSignal,
  log: (text: string) => void,
): Promise<readonly HostConfig[]> {
  const { configFile } = request;
  const batch = request.options.filter(([keyword, value]) => /^batchmode$/i.test(keyword) && /^(yes|true|on)$/i.test(value)); // prettier-ignore
  const route = [await resolveHost(request, abort, log)];
  const followed: string[] = [];
  for (;;) {
    const before = route[0]!.proxyJump.slice(0, -1).map(printHostAddress).join(',');
    const destination = route[0]!.proxyJump.at(-1);
    if (!destination) return route;
    // As ssh does it: it runs itself to the last host of the list, with the earlier ones in place of that host's own.
    const hop = printHostAddress(destination);
    if (before === '') {
      if (followed.includes(hop) || route.length > mostHops)
        throw new FailureError({ kind: 'jumpLoop', host: request.destination.host, hop });
      followed.push(hop);
    }
    const options = [...batch, ...(before === '' ? [] : [['ProxyJump', before] as const])];
    route.unshift(
      await resolveHost({ destination, options, ...(configFile !== undefined && { configFile }) }, abort, log),
    );
  }
}

/** First value wins, but for the keywords that accumulate. */
function firstOfEach(lines: readonly string[]): string[] {
  const seen = new Set<string>();
  return lines.filter((line) => {
    const keyword = line.split(' ', 1)[0]!.toLowerCase();
    if (keyword === 'identityfile') return true;
    return !seen.has(keyword) && seen.add(keyword);
  });
}

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
    execFile('ssh', args, { timeout: 10_000, windowsHide: true, signal: abort }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      if (error.code === 'ENOENT') return resolve(undefined);
      const detail = stderr.trim().split(/\r?\n/)[0] || error.message;
      reject(new FailureError({ kind: 'sshConfig', detail: `${detail.replace(/\.$/, '')}.` }));
    });
  });
}

/**
 * What `ssh -G` prints without the `dynamicforward` that it makes of every `localforward` to a Unix socket, and that ssh
 * never opens.
 */
export function realForwards(printed: string): string {
  const lines = printed.split('\n');
  for (const line of [...lines]) {
    const [, ends] = /^localforward (.*)$/.exec(line) ?? [];
    if (ends === undefined || / \[[^\]]*\]:\d+\r?$/.test(ends)) continue;
    const bogus = lines.findIndex(
      (other) => other.startsWith('dynamicforward ') && ends.startsWith(`${other.slice(15).trimEnd()} `),
    );
    if (bogus >= 0) lines.splice(bogus, 1);
  }
  return lines.join('\n');
}

/** Host names to pick from, with those of included files. A file that can't be read has none. */
export async function readHosts(configFile: string | undefined): Promise<readonly string[]> {
  const local = localUser();
  const folder = join(local.home, '.ssh');
  const hosts = new Set<string>();
  const seen = new Set<string>();
  const read = async (file: string, depth: number): Promise<void> => {
    // ssh includes 16 deep at most.
    if (seen.has(file) || depth > 16) return;
    seen.add(file);
    const text = await readFile(file, 'utf8').catch(() => '');
    const listed = listHosts(text);
    for (const host of listed.hosts) hosts.add(host);
    for (const include of listed.includes) {
      const path = expandPath(include, {}, local);
      for (const name of await expandGlob(isAbsolute(path) ? path : join(folder, path))) await read(name, depth + 1);
    }
  };
  await read(configFile ?? join(folder, 'config'), 0);
  return [...hosts];
}

/**
 * The forwards of each host that can be picked, by our own resolver: no program is run, so that no `Match exec` matches,
 * and no name is looked up. A file that ssh refuses has none, and its problem says why.
 */
export async function readConfigForwards(configFile: string | undefined): Promise<ConfigForwards> {
  const { lookUp: _, ...world } = createConfigWorld(localUser());
  const forwards: ConfigForward[] = [];
  const problems = new Map<string, ConfigForwards['problems'][number]>();
  const files = new Set<string>();
  const top = configFile ?? userConfig(world.user).file;
  for (const host of await readHosts(configFile)) {
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
  return { forwards, problems: [...problems.values()], files: [...new Set([top, ...files])] };
}

/** `*` and `?` in the last part of a path, which is how people write Include. */
async function expandGlob(path: string): Promise<string[]> {
  const folder = dirname(path);
  const pattern = path.slice(folder.length + 1);
  if (!/[*?]/.test(pattern)) return [path];
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => new RegExp(`^${source}$`).test(name) && !name.startsWith('.'))
    .sort()
    .map((name) => join(folder, name));
}

/** The text of a private key's file. Throws a FailureError; on Unix also for a file that others can read, as ssh does. */
export async function readKeyFile(path: string): Promise<string> {
  try {
    const { mode } = await stat(path);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
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
