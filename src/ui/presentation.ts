import * as vscode from 'vscode';
import { noConfigForwards } from '../core/configForward.js';
import type { Waits } from '../core/plan.js';
import { countdownStep, present, type Presented } from '../core/present.js';
import type { Session } from '../core/session.js';
import type { ConfigList } from './configList.js';
import type { ReadPresets } from './settings.js';

/** What the views show. */
export interface Presentation extends vscode.Disposable {
  /** As of now. */
  readonly presented: Presented;
  /** Fires when what is shown has changed, at most every 50 ms. */
  readonly onDidChange: vscode.Event<Presented>;
  /** Fires at once if something has changed. */
  flush(): void;
  /** Whether the rows are seen: what counts down does so only then. */
  look(isSeen: boolean): void;
}

const intervalMs = 50;

export function createPresentation(
  session: Session,
  presets: { readonly current: ReadPresets; readonly onDidChange: vscode.Event<void> },
  config: Pick<ConfigList, 'current' | 'onDidChange'>,
  waits: () => Waits,
): Presentation {
  const changed = new vscode.EventEmitter<Presented>();
  let timer: NodeJS.Timeout | undefined;
  let countdown: NodeJS.Timeout | undefined;
  let isSeen = false;
  let last = '';
  const now = () =>
    present({
      session: session.state,
      ...presets.current,
      trusted: vscode.workspace.isTrusted,
      config: config.current ?? noConfigForwards,
      waits: waits(),
      now: Date.now(),
    });
  const countDown = () => {
    clearTimeout(countdown);
    const step = isSeen ? countdownStep(session.state, Date.now()) : undefined;
    countdown = step === undefined ? undefined : setTimeout(flush, step);
  };
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    countDown();
    const presented = now();
    const text = JSON.stringify(presented);
    if (text === last) return;
    last = text;
    changed.fire(presented);
  };
  const schedule = () => {
    timer ??= setTimeout(flush, intervalMs);
  };
  const parts = vscode.Disposable.from(
    changed,
    { dispose: session.onChange(schedule) },
    presets.onDidChange(schedule),
    config.onDidChange(schedule),
    vscode.workspace.onDidGrantWorkspaceTrust(schedule),
    {
      dispose() {
        clearTimeout(timer);
        clearTimeout(countdown);
      },
    },
  );
  schedule();
  return {
    get presented() {
      return now();
    },
    onDidChange: changed.event,
    flush,
    look(isSeenNow) {
      isSeen = isSeenNow;
      schedule();
    },
    dispose: () => void parts.dispose(),
  };
}
