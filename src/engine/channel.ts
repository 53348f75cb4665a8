// A channel of a forward (RFC 4254 section 5). No stream: its bytes go from the packet to the socket and back without waiting in
// between, except for the windows of both sides.
import type { ReceiveWindow } from './windows.js';

/** What a channel sends by. What it gives is used up when the call returns. */
export interface ChannelSender {
  /** At most the bytes that the other side takes in a packet. */
  data(recipient: number, source: Buffer, start: number, end: number): void;
  windowAdjust(recipient: number, bytes: number): void;
  eof(recipient: number): void;
  close(recipient: number): void;
  /** Whether the connection has enough to send for now; if so, `resume` is called once when it takes more. */
  hold(resume: () => void): boolean;
  /** The least that was measured, in ms. */
  readonly roundTripMs: number | undefined;
  /** What a packet to us may carry, in bytes of data. */
  readonly packetBytes: number;
}

/** Whom a channel's bytes are for. */
export interface ChannelReader {
  /** Its own from now on; to be followed by `consumed` of the channel. */
  data(bytes: Buffer): void;
  /** No more bytes come; called once. */
  end(): void;
  /** What was written has gone, after a `write` that was false. */
  drain(): void;
  /** Called once, behind all others: both sides have closed it, or the connection is gone. */
  closed(): void;
}

export interface SshChannel {
  /** Hands on what has come and what comes, from now on to this reader alone. */
  read(reader: ChannelReader): void;
  /** Puts back the last bytes that a reader got, for the next one. */
  unread(bytes: Buffer): void;
  /** Bytes that the reader has handed on, or dropped: the server may send as many again. */
  consumed(bytes: number): void;
  /**
   * Sends what the server takes and keeps the rest, so that `bytes` may change afterwards. False: wait for `drain` before the
   * next. After `end` and `close` it is dropped.
   */
  write(bytes: Buffer): boolean;
  /** Says that no more comes, behind what was written. A channel that has ended on both sides is closed. */
  end(): void;
  /** Drops what is still to be sent and received. */
  close(): void;
  readonly isClosed: boolean;
}

/** The side that the connection sees. */
export interface OpenChannel {
  readonly channel: SshChannel;
  /** False: the server has sent more than it was allowed to. */
  onData(bytes: Buffer): boolean;
  /** Data of another type (RFC 4254 section 5.2), which no forward has: dropped. */
  onExtendedData(length: number): boolean;
  onWindowAdjust(bytes: number): void;
  onEof(): void;
  onClose(): void;
  /** The connection is gone. */
  onLost(): void;
  readonly recipient: number;
}

export interface ChannelOptions {
  sender: ChannelSender;
  /** The server's number of it. */
  recipient: number;
  /** What the server allows, in bytes. */
  window: number;
  /** What it takes in one packet, in bytes; at least 1. */
  packetSize: number;
  own: ReceiveWindow;
  /** Called once; no more is sent. */
  onClosed(): void;
  /** Called once, when its reader has handed on all that came, too. */
  onReleased?(): void;
}

/** More than 32-bit windows add up to nowhere (RFC 4254 section 5.2). */
const mostWindow = 2 ** 32 - 1;

/** Nothing is gained by larger packets, in bytes. */
const mostPacket = 256 * 1024;

export function createChannel(options: ChannelOptions): OpenChannel {
  const { sender, recipient, own } = options;
  const packetSize = Math.min(options.packetSize, mostPacket);
  let { window } = options;
  let reader: ChannelReader | undefined;
  /** Came while nobody read. */
  let unread: Buffer[] = [];
  /** Written, and beyond the window. */
  let unsent: Buffer[] = [];
  let wantsDrain = false;
  let isEnding = false;
  let hasSentEof = false;
  let hasSentClose = false;
  let hasEof = false;
  let isClosed = false;

  /** Returns from where on it was not sent. */
  const send = (bytes: Buffer): number => {
    let start = 0;
    while (start < bytes.length && window > 0) {
      const end = Math.min(bytes.length, start + Math.min(window, packetSize));
      sender.data(recipient, bytes, start, end);
      window -= end - start;
      start = end;
    }
    return start;
  };
  const sendEof = () => {
    hasSentEof = true;
    sender.eof(recipient);
    if (hasEof) close();
  };
  const close = () => {
    if (hasSentClose) return;
    hasSentClose = true;
    unsent = [];
    sender.close(recipient);
    own.close();
  };
  const drain = () => {
    if (isClosed || !wantsDrain || unsent.length > 0) return;
    wantsDrain = false;
    reader?.drain();
  };
  const consumed = (bytes: number) => {
    const more = own.consumed(bytes, performance.now(), sender.roundTripMs);
    if (more > 0 && !hasEof && !hasSentClose && !isClosed) sender.windowAdjust(recipient, more);
  };
  const finish = () => {
    if (isClosed) return;
    isClosed = true;
    unsent = [];
    options.onClosed();
    own.close(() => options.onReleased?.());
    if (!reader) return;
    if (!hasEof) reader.end();
    reader.closed();
  };

  const channel: SshChannel = {
    read(next) {
      reader = next;
      const came = unread;
      unread = [];
      for (const bytes of came) next.data(bytes);
      if (hasEof || isClosed) next.end();
      if (isClosed) next.closed();
      else if (wantsDrain) drain();
    },
    unread(bytes) {
      reader = undefined;
      unread.push(bytes);
    },
    consumed,
    write(bytes) {
      if (isEnding || hasSentClose || isClosed) return true;
      const sent = unsent.length > 0 ? 0 : send(bytes);
      if (sent < bytes.length) unsent.push(Buffer.from(bytes.subarray(sent)));
      else if (!sender.hold(drain)) return true;
      wantsDrain = true;
      return false;
    },
    end() {
      if (isEnding || hasSentClose || isClosed) return;
      isEnding = true;
      if (unsent.length === 0) sendEof();
    },
    close: () => {
      if (!isClosed) close();
    },
    get isClosed() {
      return isClosed;
    },
  };
  return {
    channel,
    recipient,
    onData(bytes) {
      // Without any it costs the server nothing, and us the keeping.
      if (bytes.length === 0 || hasEof || hasSentClose) return true;
      if (!own.received(bytes.length)) return false;
      if (reader) reader.data(bytes);
      else unread.push(bytes);
      return true;
    },
    onExtendedData(length) {
      if (hasSentClose) return true;
      if (!own.received(length)) return false;
      consumed(length);
      return true;
    },
    onWindowAdjust(bytes) {
      window = Math.min(window + bytes, mostWindow);
      while (unsent.length > 0) {
        const [first] = unsent as [Buffer];
        const sent = send(first);
        if (sent < first.length) {
          unsent[0] = first.subarray(sent);
          return;
        }
        unsent.shift();
      }
      if (isEnding && !hasSentEof && !hasSentClose) sendEof();
      else if (wantsDrain && !sender.hold(drain)) drain();
    },
    onEof() {
      if (hasEof) return;
      hasEof = true;
      reader?.end();
      if (hasSentEof) close();
    },
    onClose() {
      close();
      finish();
    },
    onLost() {
      hasSentClose = true;
      finish();
    },
  };
}
