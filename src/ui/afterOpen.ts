// What a preset wants once it is open: its address in a browser or in the clipboard, once for each start by hand.
import * as vscode from 'vscode';
import { isCopiedElsewhere } from '../core/machine.js';
import { presetTunnels, type Preset } from '../core/preset.js';
import { browserUrl, clientAddress } from '../core/present.js';
import { tunnelId, type Session, type Tunnel } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';
import { t } from '../core/translate.js';
import { showCopiedNote } from './copiedNote.js';
import { openInBrowser } from './openInBrowser.js';

export interface AfterOpen extends vscode.Disposable {
  /** The preset was started by hand: waits until its first forward with an address is ready, or has ended. */
  expect(preset: Preset): void;
}

/** How long the status bar says that an address was copied, in ms. */
const copiedMs = 5000;

export function createAfterOpen(session: Session): AfterOpen {
  /** By the tunnel's id, with the run that is waited for. */
  const expected = new Map<string, { run: number; what: NonNullable<Preset['afterOpen']> }>();

  const look = () => {
    const { wanted, snapshot } = session.state;
    for (const [id, { run, what }] of expected) {
      const tunnel = wanted.tunnels.find((one) => one.id === id);
      const state = tunnel && tunnelState(tunnel, snapshot);
      const isOver = !tunnel || tunnel.run !== run || state?.kind === 'stopped' || state?.kind === 'failed';
      const address = tunnel && state?.kind === 'ready' ? clientAddress(tunnel, state) : undefined;
      if (isOver || address !== undefined) expected.delete(id);
      if (!isOver && address !== undefined) void open(tunnel, address, what);
    }
  };
  const stop = session.onChange(look);
  return {
    expect(preset) {
      const { afterOpen } = preset;
      if (!afterOpen) return;
      const first = presetTunnels(preset).find((own) =>
        afterOpen === 'copy' ? own.spec.listen.kind === 'tcp' : browserUrl(own, '') !== undefined,
      );
      const tunnel = first && session.state.wanted.tunnels.find(({ id }) => id === tunnelId(first));
      if (!tunnel) return;
      expected.set(tunnel.id, { run: tunnel.run, what: afterOpen });
      look();
    },
    dispose: () => {
      stop();
      expected.clear();
    },
  };
}

async function open(tunnel: Tunnel, address: string, what: NonNullable<Preset['afterOpen']>): Promise<void> {
  if (what === 'copy') {
    await vscode.env.clipboard.writeText(address);
    // Nobody has asked for it just now, so it is said in any window.
    if (!isCopiedElsewhere() || tunnel.spec.kind === 'remote')
      vscode.window.setStatusBarMessage(t('{address} is copied', { address }), copiedMs);
    else showCopiedNote([address]);
    return;
  }
  const url = browserUrl(tunnel, address);
  if (url !== undefined) await openInBrowser(url, what === 'simpleBrowser');
}
