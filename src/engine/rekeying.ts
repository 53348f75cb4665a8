// When new keys are due: after so many bytes or so much time, by RekeyLimit and what is safe for the cipher (RFC 4344).
import type { RekeyLimit } from '../core/sshConfig.js';

export interface RekeyingOptions {
  limit: RekeyLimit;
  /** Keys are being exchanged now. */
  isExchanging(): boolean;
  /** Begins an exchange; called outside of all reading and writing. */
  begin(): void;
}

export interface Rekeying {
  /** Keys have been exchanged; the names of the ciphers of both directions, as negotiated. */
  keyed(ciphers: readonly string[]): void;
  /** Bytes of packets, in either direction. */
  sent(bytes: number): void;
  received(bytes: number): void;
  end(): void;
}

/**
 * What one key may be used for at most, in bytes: as OpenSSH's packet.c has it, 1 GB for a cipher of small blocks. For the
 * others half of its 64 GB, so that there can't be 2^31 packets either, which is its other bound: none is below 16 bytes.
 */
function mostBytes(ciphers: readonly string[]): number {
  return ciphers.every((name) => /^(aes|rijndael)/.test(name)) ? 2 ** 35 : 2 ** 30;
}

/** What a timer takes, in seconds. */
const longestSeconds = 2_147_483;

/** Watches how much is sent and received with the same keys, and begins to exchange new ones when that is too much. */
export function createRekeying({ limit, isExchanging, begin }: RekeyingOptions): Rekeying {
  const used = { sent: 0, received: 0 };
  let most = limit.bytes || 2 ** 30;
  let keyedAt = performance.now();
  let timer: NodeJS.Timeout | undefined;
  let due: NodeJS.Immediate | undefined;
  let hasEnded = false;

  const isDue = () =>
    used.sent >= most ||
    used.received >= most ||
    // Nothing sent and received is nothing to protect.
    (limit.seconds > 0 && used.sent + used.received > 0 && performance.now() - keyedAt >= limit.seconds * 1000);
  const check = () => {
    if (due || hasEnded || !isDue()) return;
    // A packet may have been written in part.
    due = setImmediate(() => {
      due = undefined;
      if (isDue() && !isExchanging()) begin();
    });
  };
  const count = (way: keyof typeof used, bytes: number) => {
    if (isExchanging()) {
      used.sent = used.received = 0;
      return;
    }
    used[way] += bytes;
    check();
  };
  return {
    keyed(ciphers) {
      const safe = mostBytes(ciphers);
      most = limit.bytes > 0 ? Math.min(limit.bytes, safe) : safe;
      keyedAt = performance.now();
      clearTimeout(timer);
      if (limit.seconds > 0 && !hasEnded) timer = setTimeout(check, Math.min(limit.seconds, longestSeconds) * 1000 + 1);
    },
    sent: (bytes) => count('sent', bytes),
    received: (bytes) => count('received', bytes),
    end() {
      hasEnded = true;
      clearTimeout(timer);
      clearImmediate(due);
    },
  };
}
