// The channels of one session's forwards: their numbers, and what the server says of each.
import { FailureError, type ChannelRefusal } from '../core/failure.js';
import { printable } from '../core/printable.js';
import { createChannel, type ChannelSender, type OpenChannel, type SshChannel } from './channel.js';
import { windowBudget, type ReceiveWindow } from './windows.js';

/** What is told of a channel when it opens (RFC 4254 section 5.1), by whom it is told: `number` is that one's own. */
export interface Opening {
  number: number;
  window: number;
  packetSize: number;
}

export interface Channels {
  /** `ask` sends the request. Throws a FailureError of kind channelRefused, whose names the caller knows. */
  open(ask: (own: Opening) => void): Promise<SshChannel>;
  /**
   * Takes a channel that the server opens; `confirm` sends the answer,
   * `onReleased` is called once when it is gone, with all that came. Undefined: it would take no data.
   */
  accept(theirs: Opening, confirm: (own: Opening) => void, onReleased: () => void): SshChannel | undefined;
  /** What the server says of the channel with our number; false: none of these has it. */
  onConfirmation(number: number, theirs: Opening): boolean;
  onFailure(number: number, refusal: ChannelRefusal, description: string): boolean;
  /** The channel with our number, when it is open. */
  get(number: number): OpenChannel | undefined;
  /** The connection is gone. */
  end(): void;
}

/** Its names are the caller's. */
export function channelRefused(refusal: ChannelRefusal, detail: string): FailureError {
  return new FailureError({ kind: 'channelRefused', target: '', host: '', refusal, detail });
}

interface Asked {
  opened(channel: SshChannel): void;
  refused(refusal: ChannelRefusal, description: string): void;
  own: ReceiveWindow;
  since: number;
}

/**
 * `onRoundTrip` hears how long the server took to open a channel, in ms. Channels have numbers from `firstNumber` to twice as
 * much.
 */
export function createChannels(
  sender: ChannelSender,
  onRoundTrip: (ms: number) => void,
  firstNumber: number,
): Channels {
  const open = new Map<number, OpenChannel>();
  const asked = new Map<number, Asked>();
  let last = firstNumber;
  let hasEnded = false;

  const nextNumber = () => {
    do last = last === 2 * firstNumber ? firstNumber : last + 1;
    while (open.has(last) || asked.has(last));
    return last;
  };
  const add = (number: number, theirs: Opening, own: ReceiveWindow, onReleased?: () => void): SshChannel => {
    const { number: recipient, window, packetSize } = theirs;
    const added = createChannel({
      sender,
      recipient,
      window,
      packetSize,
      own,
      onClosed: () => open.delete(number),
      ...(onReleased && { onReleased }),
    });
    open.set(number, added);
    return added.channel;
  };

  return {
    open: (ask) =>
      new Promise((opened, reject) => {
        const refused = (refusal: ChannelRefusal, detail: string) => reject(channelRefused(refusal, detail));
        if (hasEnded) return refused('other', 'the connection is gone');
        const number = nextNumber();
        const own = windowBudget.open();
        asked.set(number, { opened, refused, own, since: performance.now() });
        ask({ number, window: own.initial, packetSize: sender.packetBytes });
      }),
    accept(theirs, confirm, onReleased) {
      if (theirs.packetSize === 0) return undefined;
      const number = nextNumber();
      const own = windowBudget.open();
      const channel = add(number, theirs, own, onReleased);
      confirm({ number, window: own.initial, packetSize: sender.packetBytes });
      return channel;
    },
    onConfirmation(number, theirs) {
      const asker = asked.get(number);
      if (!asker) return false;
      asked.delete(number);
      onRoundTrip(performance.now() - asker.since);
      const channel = add(number, theirs, asker.own);
      if (theirs.packetSize > 0) asker.opened(channel);
      else {
        channel.close();
        asker.refused('other', 'it takes no data');
      }
      return true;
    },
    onFailure(number, refusal, description) {
      const asker = asked.get(number);
      if (!asker) return false;
      asked.delete(number);
      asker.own.close();
      asker.refused(refusal, printable(description));
      return true;
    },
    get: (number) => open.get(number),
    end() {
      if (hasEnded) return;
      hasEnded = true;
      const askers = [...asked.values()];
      asked.clear();
      for (const { own, refused } of askers) {
        own.close();
        refused('other', 'the connection is gone');
      }
      for (const { onLost } of [...open.values()]) onLost();
    },
  };
}
