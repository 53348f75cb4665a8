// What "Copy Diagnostics" has to know of before it is asked for.
import type * as vscode from 'vscode';
import type { Diagnostics } from '../core/diagnostics.js';
import type { Names } from '../core/redaction.js';
import type { Session } from '../core/session.js';
import { namesIn } from '../core/unnamed.js';

export interface DiagnosticsRecord extends vscode.Disposable {
  readonly engineEnds: Diagnostics['engineEnds'];
  /** Of hosts and users that this window had to do with. */
  readonly names: Names;
}

const rememberedEnds = 20;
/** Names of this window, besides those that its list and log have now. */
const rememberedNames = 10_000;

export function recordForDiagnostics(session: Session): DiagnosticsRecord {
  const engineEnds: Diagnostics['engineEnds'][number][] = [];
  const names = { hosts: new Set<string>(), users: new Set<string>() };
  const remember = (value: unknown) => {
    const { hosts, users } = namesIn(value);
    for (const [all, found] of [
      [names.hosts, hosts],
      [names.users, users],
    ] as const)
      // prettier-ignore
      for (const name of found) if (all.size < rememberedNames) all.add(name);
  };
  let { tunnels } = session.state.wanted;
  remember(tunnels);
  const stop = session.onChange(({ wanted }, event) => {
    if (wanted.tunnels !== tunnels) remember((tunnels = wanted.tunnels));
    // A log line may name it long after. Where a proxy's clients want to go has no end, and is told in the event alone.
    if (event && event.kind !== 'channelFailed') remember(event);
    if (event?.kind !== 'engineEnded') return;
    engineEnds.splice(0, engineEnds.length - rememberedEnds + 1);
    engineEnds.push({ at: Date.now(), detail: event.detail, isRestarted: event.isRestarted === true });
  });
  return { engineEnds, names, dispose: stop };
}
