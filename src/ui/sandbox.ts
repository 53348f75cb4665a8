// Try with a Sandbox Server: an SSH server of our own, a tunnel to its page, and the page; all of it is taken away again.
import * as vscode from 'vscode';
import { clientAddress } from '../core/present.js';
import {
  sandboxTunnelId,
  usesSandbox,
  withoutSandbox,
  withSandbox,
  type Sandbox,
  type Sandboxes,
} from '../core/sandbox.js';
import { sandboxPage } from '../core/sandboxPage.js';
import { restartTunnels, type Session } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';
import { t } from '../core/translate.js';
import { commands, views } from './contributions.js';
import type { Log } from './log.js';
import type { Messages } from './messages.js';
import { noticeLevel } from './settings.js';
import type { Tree } from './tree.js';

export interface SandboxTrial extends vscode.Disposable {
  /** Starts the sandbox and its tunnel where they don't run, and opens its page. */
  try(): Promise<void>;
  /** Takes the sandbox away with all that leads to it. */
  remove(): Promise<void>;
  /** The same when the window closes, without a word; nothing is started any more. */
  close(): Promise<void>;
}

/** What windows left that crashed is removed when this one has other things behind it, in ms after its start. */
const cleanAfterMs = 5000;
/** A row that is edited leaves the list for a moment, in ms; the sandbox of one that has left ends after that. */
const unusedMs = 2000;

export function createSandboxTrial(
  session: Session,
  sandboxes: Sandboxes,
  tree: Pick<Tree, 'reveal'>,
  messages: Messages,
  log: Pick<Log, 'info' | 'error'>,
): SandboxTrial {
  /** The one of this window, from when its thread starts until its files are gone. */
  let current: Promise<Sandbox | undefined> | undefined;
  let running: Sandbox | undefined;
  let trying: Promise<void> | undefined;
  let isClosed = false;
  let unused: NodeJS.Timeout | undefined;

  const start = async (): Promise<Sandbox | undefined> => {
    const title = t('Starting the sandbox server…');
    try {
      const starting = sandboxes.start(sandboxPage());
      const options = { location: { viewId: views.tunnels }, title };
      const sandbox = await vscode.window.withProgress(options, () => starting);
      void sandbox.ended.then(() => forget(sandbox));
      if (isClosed) {
        await sandbox.close();
        return undefined;
      }
      running = sandbox;
      log.info(`The sandbox server listens on 127.0.0.1:${sandbox.port}.`);
      session.update((wanted) => withSandbox(wanted, sandbox));
      return sandbox;
    } catch (error) {
      current = undefined;
      const reason = error instanceof Error ? error.message : String(error);
      log.error(`The sandbox server did not start: ${reason}`);
      void sayNotStarted(reason);
      return undefined;
    }
  };
  const sayNotStarted = async (reason: string) => {
    const show = t('Show Log');
    const text = t('The sandbox server could not be started: {reason}', { reason });
    if ((await messages.show('error', text, show)) === show) await vscode.commands.executeCommand(commands.showLog);
  };
  /** Whatever ended it. */
  const forget = (sandbox: Sandbox) => {
    if (running === sandbox) running = undefined;
    current = undefined;
    clearTimeout(unused);
    unused = undefined;
    if (isClosed) return;
    log.info('The sandbox server has ended, and its files are removed.');
    session.update((wanted) => withoutSandbox(wanted, sandbox));
  };
  /** First the tunnels, so that none of them finds its server gone. */
  const end = async (sandbox: Sandbox): Promise<void> => {
    if (!isClosed) session.update((wanted) => withoutSandbox(wanted, sandbox));
    await sandbox.close();
  };

  /** Resolves when its tunnel is ready, with the address; with nothing when it won't be. */
  const ready = (id: string): Promise<string | undefined> =>
    new Promise((resolve) => {
      const look = () => {
        const tunnel = session.state.wanted.tunnels.find((other) => other.id === id);
        const state = tunnel && tunnelState(tunnel, session.state.snapshot);
        if (state && !['ready', 'failed', 'stopped'].includes(state.kind)) return;
        stopLooking();
        resolve(state?.kind === 'ready' ? clientAddress(tunnel!, state) : undefined);
      };
      const stopLooking = session.onChange(look);
      look();
    });

  const tryNow = async (): Promise<void> => {
    if (isClosed) return;
    const sandbox = await (current ??= start());
    if (!sandbox || running !== sandbox) return;
    const id = sandboxTunnelId(sandbox);
    const { wanted, snapshot } = session.state;
    const tunnel = wanted.tunnels.find((other) => other.id === id);
    const state = tunnel && tunnelState(tunnel, snapshot).kind;
    if (!tunnel) session.update((now) => withSandbox(now, sandbox));
    else if (state === 'stopped' || state === 'failed') session.update((now) => restartTunnels(now, [id]));
    await tree.reveal(id);
    const address = await ready(id);
    // A failure is told of as any other.
    if (address === undefined || running !== sandbox) return;
    if (noticeLevel() === 'all') void sayReady(address);
    await openPage(address);
  };

  const stopWatching = session.onChange(({ wanted }) => {
    if (!running || isClosed || usesSandbox(wanted, running)) {
      clearTimeout(unused);
      unused = undefined;
      return;
    }
    const sandbox = running;
    unused ??= setTimeout(() => {
      unused = undefined;
      if (running === sandbox && !usesSandbox(session.state.wanted, sandbox)) void end(sandbox);
    }, unusedMs);
  });
  const cleaning = setTimeout(() => void sandboxes.clean(), cleanAfterMs);

  return {
    // A double click opens one page.
    try: () => (trying ??= tryNow().finally(() => (trying = undefined))),
    async remove() {
      const sandbox = await current;
      if (sandbox) await end(sandbox);
    },
    async close() {
      isClosed = true;
      clearTimeout(cleaning);
      clearTimeout(unused);
      await (await current)?.close();
    },
    dispose() {
      stopWatching();
      clearTimeout(cleaning);
      clearTimeout(unused);
    },
  };

  async function sayReady(address: string): Promise<void> {
    const [open, remove] = [t('Open in Browser'), t('Remove Sandbox')];
    const text = t(
      'The sandbox’s page is at {address}, through an SSH tunnel. Remove the sandbox when you have seen enough.',
      {
        address,
      },
    );
    const pressed = await messages.show('information', text, open, remove);
    if (pressed === open) await openPage(address);
    if (pressed === remove) await vscode.commands.executeCommand(commands.removeSandbox);
  }
}

async function openPage(address: string): Promise<void> {
  await vscode.env.openExternal(await vscode.env.asExternalUri(vscode.Uri.parse(`http://${address}`)));
}
