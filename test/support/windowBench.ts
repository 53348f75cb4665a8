// What the suites of the extension’s own view have: a server, a key with a passphrase, a page behind them, and windows to look at.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually } from './eventually.js';
import { startExtensionWindows, type ExtensionWindows } from './extensionWindows.js';
import { keygen, lockKey, startSshd, type Sshd } from './sshd.js';
import type { Edition } from './vscodeServer.js';
import type { StatusItem, View, Workbench } from './workbench.js';

const statusId = 'ssh-tunnels.ssh-tunnels';

export interface WindowBench {
  windows: ExtensionWindows;
  sshd: Sshd;
  /** Of a service that brings a page. */
  webPort: number;
  /** A key that may log in and has `passphrase`. */
  keyPath: string;
  passphrase: string;
  /** The id of the status bar item. */
  statusId: string;
  /** As `windows` do; the newest window is the one that is looked at. */
  open(...given: Parameters<ExtensionWindows['open']>): Promise<Workbench>;
  openBeside(...given: Parameters<ExtensionWindows['openBeside']>): Promise<Workbench>;
  /** The view in that window; `name` is what it is called there, where that is not in English. */
  openView(name?: string): Promise<View>;
  /** What its rows say. */
  rows(): Promise<string[]>;
  shows(...expected: string[]): Promise<void>;
  status(): Promise<StatusItem | undefined>;
}

/** Makes a suite for each VS Code that the extension is for. `suffix` is for names of pictures, `inTitle` for a story's title. */
export function inEachEdition(suite: (edition: Edition, suffix: string, inTitle: string) => void): void {
  suite('newest', '', '');
  suite('minimum', '-minimum', ', in the oldest VS Code');
}

/** Has the suite that calls it start all this, and close it; takes a picture of what fails. `edition`: of VS Code. */
export function useWindowBench(edition: Edition = 'newest'): WindowBench {
  const bench = { passphrase: 'correct horse', statusId } as WindowBench;
  let window: Workbench | undefined;
  let tunnels: View;
  /** What has been started: `before` may end in the middle. */
  const undo: (() => unknown)[] = [];
  before(async () => {
    bench.sshd = await startSshd();
    undo.push(() => bench.sshd.stop());
    bench.keyPath = join(bench.sshd.folder, 'id_locked');
    keygen(bench.keyPath);
    lockKey(bench.keyPath, bench.passphrase);
    appendFileSync(bench.sshd.authorizedKeysPath, readFileSync(`${bench.keyPath}.pub`));
    const web = createServer((_request, response) => response.end('the page behind web01'));
    await new Promise<void>((listening) => web.listen(0, '127.0.0.1', listening));
    undo.push(() => web.close());
    bench.webPort = (web.address() as AddressInfo).port;
    bench.windows = await startExtensionWindows(edition);
    undo.push(() => bench.windows.close());
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await window?.screenshot(`failed-${this.currentTest.title}`);
  });
  after(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });
  const rows = async () => (await tunnels.rows()).map(({ label, description }) => `${label} · ${description}`);
  return Object.assign(bench, {
    open: async (...given: Parameters<ExtensionWindows['open']>) => (window = await bench.windows.open(...given)),
    openBeside: async (...given: Parameters<ExtensionWindows['openBeside']>) =>
      (window = await bench.windows.openBeside(...given)),
    openView: async (name = 'Tunnels') => {
      assert.ok(window, 'a window is open');
      return (tunnels = await window.view('SSH Tunnels', name));
    },
    rows,
    shows: async (...expected: string[]) => {
      await eventually(async () => assert.deepEqual(await rows(), expected));
    },
    status: async () => window?.statusItem(statusId),
  });
}
