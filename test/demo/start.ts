// What `npm start` runs: the extension in a VS Code, with a sample folder whose one preset leads through a sandbox SSH server to a
// page. In the desktop VS Code when `code` is on the PATH, else (or with --no-open) in VS Code's server, to be opened in a browser.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { sandboxPage } from '../../src/core/sandboxPage';
import { startSandbox } from '../../src/engine/sandboxServer';
import { onEndRequested } from '../support/endRequested';
import { portNear } from '../support/portNear';
import { canServeVsCode, copyExtension, repositoryRoot, startVsCode } from '../support/vscodeServer';

const { values } = parseArgs({ options: { 'no-open': { type: 'boolean', default: false } } });
const presetName = 'Sandbox page';

/** What is to be undone at the end, the last first. */
const undo: (() => unknown)[] = [];
let ending: Promise<void> | undefined;

onEndRequested(() => void end(0));

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  void end(1);
});

async function main(): Promise<void> {
  const desktop = values['no-open'] ? undefined : onPath('code');
  if (!desktop && !canServeVsCode) {
    throw new Error(
      "Needs VS Code's command `code` on the PATH (in VS Code: Shell Command: Install 'code' command in PATH).",
    );
  }
  await build();
  const tmp = await mkdtemp(join(tmpdir(), 'ssh-tunnels-demo-'));
  undo.push(() => rm(tmp, { recursive: true, force: true, maxRetries: 5 }));
  const sandbox = await startSandbox(join(tmp, 'sandbox'), sandboxPage());
  undo.push(() => sandbox.close());

  const listenPort = await portNear(8080);
  const folder = await makeWorkspace(tmp, listenPort);
  const settings = { 'sshTunnels.sshConfigFile': sandbox.configFile };
  console.log(
    `Sandbox: an SSH server on 127.0.0.1:${sandbox.port}, called "sandbox", which reaches one page on its side.`,
  );
  if (desktop) await openDesktop(desktop, tmp, folder, settings, listenPort);
  else await openServer(tmp, folder, settings, listenPort);
}

async function makeWorkspace(tmp: string, listenPort: number): Promise<string> {
  const folder = join(tmp, 'sample');
  const preset = {
    name: presetName,
    host: 'sandbox',
    forwards: [`-L ${listenPort}:hello:80`],
    description: 'A page that only the sandbox server can reach',
  };
  await mkdir(join(folder, '.vscode'), { recursive: true });
  await writeFile(
    join(folder, '.vscode/settings.json'),
    JSON.stringify({ 'sshTunnels.presets': [preset] }, undefined, 2),
  );
  return folder;
}

async function openServer(tmp: string, folder: string, settings: object, listenPort: number): Promise<void> {
  const extensionsDir = join(tmp, 'extensions');
  await mkdir(extensionsDir);
  await copyExtension(repositoryRoot, extensionsDir);
  const vscode = await startVsCode({ tmp, extensionsDir, trust: 'ask', settings: { ...settings } });
  undo.push(() => vscode.stop());
  console.log(`\nOpen  ${vscode.url(folder)}\n`);
  explain(listenPort);
}

async function openDesktop(
  code: string,
  tmp: string,
  folder: string,
  settings: object,
  listenPort: number,
): Promise<void> {
  const userData = join(tmp, 'user');
  await mkdir(join(userData, 'User'), { recursive: true });
  await writeFile(join(userData, 'User/settings.json'), JSON.stringify(settings));
  const args = ['--new-window', '--wait', '--extensionDevelopmentPath', repositoryRoot, '--user-data-dir', userData];
  args.push('--extensions-dir', join(tmp, 'extensions'));
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  args.push(folder);
  // On Windows `code` is a script, which only a shell can start.
  const child: ChildProcess =
    process.platform === 'win32'
      ? spawn([code, ...args].map((part) => `"${part}"`).join(' '), { stdio: 'inherit', shell: true })
      : spawn(code, args, { stdio: 'inherit' });
  child.once('error', (error) => {
    console.error(error.message);
    void end(1);
  });
  child.once('exit', () => void end(0));
  undo.push(async () => {
    child.kill();
    // `code` only waits for the window: VS Code itself is no child of it, and tells its process id in its data folder.
    const lock = join(userData, 'code.lock');
    if (existsSync(lock)) signal(Number(await readFile(lock, 'utf8')));
  });
  console.log('\nVS Code opens in a new window; closing it ends the demo.');
  explain(listenPort);
}

function explain(listenPort: number): void {
  console.log(
    `Trust the folder, open SSH Tunnels in the activity bar, start "${presetName}" and look at http://localhost:${listenPort}`,
  );
  console.log('Ctrl+C ends all of it.');
}

function end(code: number): Promise<void> {
  ending ??= (async () => {
    for (const step of undo.reverse()) {
      try {
        await step();
      } catch (error) {
        console.error(error);
      }
    }
    process.exit(code);
  })();
  return ending;
}

async function build(): Promise<void> {
  const child = spawn(process.execPath, ['esbuild.mjs'], { cwd: repositoryRoot, stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`The build failed (esbuild ended with ${code}).`);
}

function onPath(program: string): string | undefined {
  const names = process.platform === 'win32' ? [`${program}.cmd`] : [program];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find((path) => existsSync(path));
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // it has ended
  }
}
