// What the suites of the extension’s own view have: a server, a key with a passphrase, a page behind them, and windows to look at.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
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
  /** The view in that window. */
  openView(): Promise<View>;
  /** What its rows say. */
  rows(): Promise<string[]>;
  shows(...expected: string[]): Promise<void>;
  status(): Promise<StatusItem | undefined>;
}

/** Has the suite that calls it start all this, and close it; takes a picture of what fails. `edition`: of VS Code. */
export function useWindowBench(edition: Edition = 'newest'): WindowBench {
  const bench = { passphrase: 'correct horse', statusId } as WindowBench;
  let web: Server;
  let window: Workbench;
  let tunnels: View;
  before(async () => {
    bench.windows = await startExtensionWindows(edition);
    bench.sshd = await startSshd();
    bench.keyPath = join(bench.sshd.folder, 'id_locked');
    keygen(bench.keyPath);
    lockKey(bench.keyPath, bench.passphrase);
    appendFileSync(bench.sshd.authorizedKeysPath, readFileSync(`${bench.keyPath}.pub`));
    web = createServer((_request, response) => response.end('the page behind web01'));
    await new Promise<void>((listening) => web.listen(0, '127.0.0.1', listening));
    bench.webPort = (web.address() as AddressInfo).port;
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await window.screenshot(`failed-${this.currentTest.title}`);
  });
  after(async () => {
    await bench.windows.close();
    web.close();
    await bench.sshd.stop();
  });
  const rows = async () => (await tunnels.rows()).map(({ label, description }) => `${label} · ${description}`);
  return Object.assign(bench, {
    open: async (...given: Parameters<ExtensionWindows['open']>) => (window = await bench.windows.open(...given)),
    openView: async () => (tunnels = await window.view('SSH Tunnels', 'Tunnels')),
    rows,
    shows: async (...expected: string[]) => {
      await eventually(async () => assert.deepEqual(await rows(), expected));
    },
    status: () => window.statusItem(statusId),
  });
}
