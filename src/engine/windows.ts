// How much a server may send ahead on a channel (RFC 4254 section 5.2): what its way holds, and for all channels together no
// more than this process can keep when their readers stop.

/** OpenSSH's own. */
const usualBytes = 2 * 1024 * 1024;
const leastBytes = 128 * 1024;
/** Enough for 2.5 Gbit/s over 100 ms. */
const mostBytes = 32 * 1024 * 1024;

/** The shortest time in which a reader's pace is measured, in ms: bytes come in bursts. */
const paceMs = 10;

export interface ReceiveWindow {
  /** What the server may send at first, in bytes. */
  readonly initial: number;
  /** Bytes came. False: more than were allowed and a tenth, which OpenSSH takes, too. */
  received(bytes: number): boolean;
  /**
   * Of these, bytes were handed on. Returns how many more the server is to be allowed now; 0: none yet. `roundTripMs` is the
   * least that was measured; undefined: not yet. `now` is of performance.now().
   */
  consumed(bytes: number, now: number, roundTripMs: number | undefined): number;
  /** No more comes: what it has of the budget is given back when nothing of it is held, and `onReleased` called. */
  close(onReleased?: () => void): void;
}

export interface WindowBudget {
  /** A channel's window: smaller when there are many, most of which never carry much. */
  open(): ReceiveWindow;
}

/**
 * `totalBytes` is what all windows may have beyond OpenSSH's own, which each of them may come to; and what they begin with
 * together.
 */
export function createWindowBudget(totalBytes = 256 * 1024 * 1024): WindowBudget {
  let left = totalBytes;
  let windows = 0;
  return {
    open() {
      windows++;
      const initial = Math.floor(Math.max(leastBytes, Math.min(usualBytes, totalBytes / windows)));
      /** Of the budget. */
      let reserved = 0;
      /** What it is, or will be when so much has been handed on: one that shrinks takes nothing back. */
      let limit = initial;
      /** What the server may still send. */
      let allowed = initial;
      /** Received, and not handed on. */
      let held = 0;
      let excess = 0;
      let used = 0;
      let since: number | undefined;
      let isClosed = false;
      let isReleased = false;
      let released: (() => void) | undefined;

      const reserve = (bytes: number) => {
        left += reserved - bytes;
        reserved = bytes;
      };
      /** Those that are idle keep what they have: so nobody takes more than a part of what is left. */
      const isToBeHad = (wanted: number) => wanted <= usualBytes || wanted - Math.max(limit, usualBytes) <= left / 8;
      /** As TCP's: a reader that uses up half of a window in a round trip is kept waiting by it, or soon will be. */
      const fit = (now: number, roundTripMs: number) => {
        since ??= now;
        const ms = now - since;
        if (ms < Math.max(paceMs, roundTripMs)) return;
        const aRoundTrip = (used / ms) * roundTripMs;
        const wanted = Math.min(limit * 2, mostBytes);
        if (aRoundTrip >= limit / 2 && isToBeHad(wanted)) limit = wanted;
        else if (aRoundTrip < limit / 8) limit = Math.max(limit / 2, initial);
        used = 0;
        since = now;
      };
      const settle = () => {
        if (isReleased || held > 0) return;
        isReleased = true;
        reserve(0);
        windows--;
        released?.();
      };

      return {
        initial,
        received(bytes) {
          held += bytes;
          allowed -= bytes;
          if (allowed >= 0) {
            // What has no bytes shows nothing.
            if (bytes > 0) excess = 0;
            return true;
          }
          excess -= allowed;
          allowed = 0;
          return excess <= limit / 10;
        },
        consumed(bytes, now, roundTripMs) {
          held -= bytes;
          if (isClosed) {
            if (bytes > 0) settle();
            return 0;
          }
          used += bytes;
          if (roundTripMs !== undefined) fit(now, roundTripMs);
          const more = limit - allowed - held;
          const isWorthIt = more >= limit / 8;
          if (isWorthIt) allowed += more;
          reserve(Math.max(0, Math.max(limit, allowed + held) - usualBytes));
          return isWorthIt ? more : 0;
        },
        close(onReleased) {
          isClosed = true;
          if (isReleased) return onReleased?.();
          released = onReleased ?? released;
          settle();
        },
      };
    },
  };
}

/** Of this process. */
export const windowBudget = createWindowBudget();
