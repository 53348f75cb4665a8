// What other extensions get from `activate()`: the same tunnels as the user's, opened for a while.
import * as vscode from 'vscode';
import { failureOf, innermost } from '../core/failure.js';
import type { Holds } from '../core/holds.js';
import { needsTrust } from '../core/preset.js';
import type { NewTunnel, Session } from '../core/session.js';
import { t } from '../core/translate.js';
import { reasonText } from '../core/present.js';
import { presetCalled } from '../core/subject.js';
import { printable } from '../core/printable.js';
import { failureText } from '../core/wording.js';
import type { OpenTunnel, SshTunnelsApi, TunnelError, TunnelSpec } from './api.js';
import { readForward } from './givenForward.js';
import type { Presets, PresetSettings } from './presets.js';
import { clientEnd, tunnelInfo } from './tunnelInfo.js';

export interface ExtensionApi extends vscode.Disposable {
  readonly api: SshTunnelsApi;
}

export function createExtensionApi(
  session: Session,
  holds: Holds,
  presets: Pick<Presets, 'agree'>,
  presetSettings: Pick<PresetSettings, 'current'>,
): ExtensionApi {
  const changed = new vscode.EventEmitter<void>();
  const infos = () => session.state.wanted.tunnels.map((tunnel) => tunnelInfo(tunnel, session.state));

  const tunnelsOf = async (spec: TunnelSpec): Promise<readonly NewTunnel[]> => {
    // It comes from other people's code, and not all of that is type-checked.
    const { preset: name, host, forward, label } = (spec ?? {}) as unknown as Readonly<Record<string, unknown>>;
    if (typeof name === 'string') {
      const preset = presetCalled(presetSettings.current.presets, name);
      if (!preset) throw problem('noSuchPreset', t('No preset is called “{name}”.', { name: printable(name) }));
      if (needsTrust(preset) && !vscode.workspace.isTrusted)
        throw problem('workspaceUntrusted', failureText({ kind: 'workspaceUntrusted' }));
      const tunnels = await presets.agree(preset);
      if (!tunnels) throw problem('cancelled', failureText({ kind: 'cancelled' }));
      return tunnels;
    }
    if (typeof host !== 'string' || typeof forward !== 'string')
      throw new TypeError('openTunnel takes { host, forward } or { preset }, all of them strings.');
    const read = readForward({ host, forward });
    if (!read.ok) throw problem(read.failure.kind, failureText(read.failure));
    const shown = typeof label === 'string' ? printable(label.trim()) : '';
    return [{ ...read.tunnel, ...(shown !== '' && { label: shown }) }];
  };

  const openTunnel = async (spec: TunnelSpec, cancel?: vscode.CancellationToken): Promise<OpenTunnel> => {
    const tunnels = await tunnelsOf(spec);
    if (cancel?.isCancellationRequested) throw problem('cancelled', failureText({ kind: 'cancelled' }));
    const hold = holds.hold(tunnels, 'extension');
    const called = cancel?.onCancellationRequested(() => hold.release());
    try {
      await hold.ready;
    } catch (error) {
      const failure = failureOf(error);
      const text = reasonText(failure, session.state);
      hold.release();
      throw problem(innermost(failure).kind, text);
    } finally {
      called?.dispose();
    }
    const ready = hold.tunnels.flatMap((id) => infos().filter((info) => info.id === id));
    return Object.freeze({ ...clientEnd(ready[0]?.listen ?? []), tunnels: ready, dispose: () => hold.release() });
  };

  let before = session.state;
  let told = '[]';
  const stop = session.onChange((state) => {
    const isSame = state.wanted === before.wanted && state.snapshot === before.snapshot;
    before = state;
    if (isSame) return;
    const now = JSON.stringify(infos());
    if (now === told) return;
    told = now;
    changed.fire();
  });

  return {
    api: Object.freeze({ apiVersion: 1, openTunnel, tunnels: infos, onDidChange: changed.event } as const),
    dispose() {
      stop();
      changed.dispose();
    },
  };
}

function problem(code: string, message: string): TunnelError {
  return Object.assign(new Error(message), { name: 'TunnelError', code });
}
