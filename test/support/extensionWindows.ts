// Windows of a real VS Code in a browser with the extension as a user has it: installed from its package.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchBrowser } from './browser';
import { eventually } from './eventually';
import { madeFolder } from './madeFolder';
import { installedVariable, packExtension } from './packExtension';
import { installVsix, startVsCode, type Edition, type VsCode, type VsCodeOptions } from './vscodeServer';
import { openWorkbench, type Workbench } from './workbench';

export interface WindowOptions extends Pick<VsCodeOptions, 'trust' | 'colorTheme' | 'builtin'> {
  settings?: object;
  folderSettings?: object;
  /** Of what extensions say, such as `de`. */
  language?: string;
  /** A .code-workspace file to open instead of the folder. */
  workspace?: string;
}

/** One server of VS Code at a time. */
export interface ExtensionWindows {
  /** Goes when they close. */
  tmp: string;
  /** Opens the folder `shop` of a workspace with its own user settings, and ends the window before. */
  open(name: string, options: WindowOptions): Promise<Workbench>;
  /** Another window beside it, with the folder `name`. */
  openBeside(name: string): Promise<Workbench>;
  /** Ends the only extension host, as a crash does. VS Code starts another one by itself. */
  killExtensionHost(): Promise<void>;
  close(): Promise<void>;
}

/** `edition`: of VS Code, the newest unless given. */
export async function startExtensionWindows(edition: Edition = 'newest'): Promise<ExtensionWindows> {
  const browser = await launchBrowser();
  const tmp = mkdtempSync(join(tmpdir(), 'ssh-tunnels-ui-'));
  const extensionsDir = join(tmp, 'extensions');
  let vscode: VsCode | undefined;
  const extensionHosts = () => vscode?.extensionHosts() ?? [];
  // Installing starts a server of its own: a run does so once.
  const installed = await madeFolder(join(process.env[installedVariable] ?? tmp, edition), (folder) =>
    installVsix(packExtension(), join(folder, 'extensions'), edition),
  );
  await cp(join(installed, 'extensions'), extensionsDir, { recursive: true });
  return {
    tmp,
    async open(name, { settings, folderSettings, workspace, language, trust, colorTheme, builtin }) {
      await vscode?.stop();
      const folder = join(tmp, name, 'shop');
      mkdirSync(join(folder, '.vscode'), { recursive: true });
      if (folderSettings) writeFileSync(join(folder, '.vscode/settings.json'), JSON.stringify(folderSettings));
      vscode = await startVsCode({
        edition,
        tmp: join(tmp, name),
        extensionsDir,
        settings: { ...settings },
        ...(trust && { trust }),
        ...(colorTheme && { colorTheme }),
        ...(builtin && { builtin }),
      });
      return openWorkbench(browser, vscode, workspace ?? folder, { ...(language && { language }) });
    },
    openBeside(name) {
      assert.ok(vscode, 'a window is open');
      const folder = join(tmp, name);
      mkdirSync(folder, { recursive: true });
      return openWorkbench(browser, vscode, folder);
    },
    async killExtensionHost() {
      const killed = extensionHosts();
      assert.equal(killed.length, 1);
      process.kill(killed[0]!, 'SIGKILL');
      await eventually(() => {
        const now = extensionHosts();
        assert.ok(now.length === 1 && now[0] !== killed[0], `${now.join()} after ${killed.join()}`);
      });
    },
    async close() {
      await browser.close();
      await vscode?.stop();
      // What was killed may write its last file while it goes.
      rmSync(tmp, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}

/** Goes through the two steps of Forward Port. */
export async function forwardPort(window: Workbench, host: string, text: string): Promise<void> {
  const { quickInput } = window;
  await window.runCommand('SSH Tunnels: Forward Port');
  await quickInput.step('Forward Port (1/2)');
  await quickInput.type(host);
  await eventually(async () => assert.ok((await quickInput.items()).length > 0));
  await quickInput.accept();
  await quickInput.step('Forward Port (2/2)');
  await quickInput.accept(text);
}

/** Pictures of the same moment in both themes, the dark one first; notifications stay. */
export async function inBothThemes(window: Workbench, name: string): Promise<void> {
  await window.screenshot(`${name}-dark`);
  await window.runCommand('Preferences: Toggle between Light/Dark Themes');
  await window.quickInput.closed();
  await window.page.locator('.monaco-workbench.vs').waitFor();
  await window.page.waitForTimeout(500);
  await window.screenshot(`${name}-light`);
  await window.runCommand('Preferences: Toggle between Light/Dark Themes');
  await window.page.locator('.monaco-workbench.vs-dark').waitFor();
}
