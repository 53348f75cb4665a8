// Clients that wait for a session: in the order in which they came, so long and so many at most.
import { longestTimerMs } from './idling.js';
import type { SshSession } from './sshClient.js';

/** One that has exchanged no byte with its target. */
export interface WaitingClient {
  /** When it began to wait, in ms of performance.now(); earlier by what it has waited before. */
  since: number;
  /** Aborts when it is closed. */
  gone: AbortSignal;
}

export interface Parking {
  /** How many wait. */
  readonly size: number;
  /** Undefined when it has waited too long, or is gone, or may not wait. */
  wait(client: WaitingClient): Promise<SshSession | undefined>;
  /** Lets all that wait go on, the first first. */
  admit(session: SshSession): void;
  /** There is nothing to wait for any more. */
  turnAway(): void;
  /** What a client may wait has changed. */
  retime(): void;
}

export interface ParkingRules {
  /** How many may wait. */
  most: number;
  /** How long one may wait, in ms. */
  longestMs(): number;
  /** Called when the first is turned away since so many wait; again only after all that waited are gone. */
  onFull(): void;
  /** Called when the last has gone without a session. */
  onDeserted(): void;
}

export function createParking({ most, longestMs, onFull, onDeserted }: ParkingRules): Parking {
  const waiting = new Set<{ since: number; settle(session: SshSession | undefined): void }>();
  /** One for all of them, at the end of the first whose time is over. */
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Infinity;
  let isTold = false;

  const retime = () => {
    clearTimeout(timer);
    timerAt = Infinity;
    for (const { since } of waiting) arm(since + longestMs());
  };
  const arm = (at: number) => {
    if (at >= timerAt) return;
    clearTimeout(timer);
    timerAt = at;
    timer = setTimeout(expire, Math.min(Math.max(at - performance.now(), 0), longestTimerMs));
  };
  const expire = () => {
    // A timer may come a little early.
    const over = performance.now() - longestMs() + 1;
    for (const client of [...waiting]) if (client.since <= over) client.settle(undefined);
    retime();
    if (waiting.size === 0) onDeserted();
  };
  const settleAll = (session: SshSession | undefined) => {
    for (const { settle } of [...waiting]) settle(session);
    retime();
  };

  return {
    get size() {
      return waiting.size;
    },
    wait({ since, gone }) {
      if (gone.aborted || performance.now() - since >= longestMs()) return Promise.resolve(undefined);
      if (waiting.size >= most) {
        if (!isTold) onFull();
        isTold = true;
        return Promise.resolve(undefined);
      }
      return new Promise((resolve) => {
        const onGone = () => {
          client.settle(undefined);
          if (waiting.size > 0) return;
          retime();
          onDeserted();
        };
        const client = {
          since,
          settle(session: SshSession | undefined) {
            waiting.delete(client);
            if (waiting.size === 0) isTold = false;
            gone.removeEventListener('abort', onGone);
            resolve(session);
          },
        };
        waiting.add(client);
        gone.addEventListener('abort', onGone);
        arm(since + longestMs());
      });
    },
    admit: settleAll,
    turnAway: () => settleAll(undefined),
    retime,
  };
}
