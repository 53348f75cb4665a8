// All that touches the private parts of ssh2 1.17.0, each with its reason: other files see plain names.
import type { Readable } from 'node:stream';
import type { Channel, Client } from 'ssh2';
import { hooks } from 'ssh2/lib/protocol/kex.js';
import { FailureError, failureOf, type AlgorithmUse, type ChannelRefusal, type Failure } from '../core/failure.js';
import { printable, printableLines } from '../core/printable.js';
import type { Channels } from './channels.js';
import { keyExchangeHooks } from './keyExchange.js';
import {
  canSealPackets,
  createOpener,
  createSealer,
  type OnPayload,
  type Opener,
  type PacketKeys,
  type Sealer,
} from './packets.js';
import type { AuthAnswer, AuthTransport } from './userauth.js';

// The bridge from its key exchange to packets of our own: its AES-GCM costs twice the work a small packet, and three writes. Where
// ssh2 asks otherwise than it did, or the runtime’s cipher is not what it should be, nothing is given and ssh2 uses its own.

/** What ssh2 gives to its createCipher and createDecipher; nothing of it is taken for granted. */
interface CipherConfig {
  outbound?: Partial<Record<'cipherInfo' | 'cipherKey' | 'cipherIV' | 'seqno' | 'onWrite', unknown>>;
  inbound?: Partial<Record<'decipherInfo' | 'decipherKey' | 'decipherIV' | 'seqno' | 'onPayload', unknown>>;
}

const keyBytes: Readonly<Record<PacketKeys['name'], number>> = { 'aes-128-gcm': 16, 'aes-256-gcm': 32 };

function isName(name: unknown): name is PacketKeys['name'] {
  return typeof name === 'string' && Object.hasOwn(keyBytes, name);
}

function packetKeys(info: unknown, key: unknown, iv: unknown, sequence: unknown): PacketKeys | undefined {
  const name = (info as { sslName?: unknown } | null | undefined)?.sslName;
  if (!isName(name) || !Buffer.isBuffer(key) || key.length !== keyBytes[name]) return undefined;
  if (!Buffer.isBuffer(iv) || iv.length !== 12) return undefined;
  if (typeof sequence !== 'number' || sequence !== sequence >>> 0) return undefined;
  return { name, key, iv, sequence };
}

/** Gives it ssh2’s own names for what its key exchange reads and sets. */
function alsoNamed<T extends object, N extends string, Ours extends keyof T>(made: T, names: Record<N, Ours>) {
  for (const [name, ours] of Object.entries<Ours>(names))
    Object.defineProperty(made, name, {
      get: () => made[ours],
      set(value: T[Ours]) {
        made[ours] = value;
      },
    });
  return made as T & Record<N, T[Ours]>;
}

/** What the patched kex.js asks before it makes a cipher or decipher itself; undefined: it is to make its own. */
export const packetHooks = {
  cipher({ outbound }: CipherConfig): (Sealer & { outSeqno: number }) | undefined {
    const { cipherInfo, cipherKey, cipherIV, seqno, onWrite } = outbound ?? {};
    const keys = packetKeys(cipherInfo, cipherKey, cipherIV, seqno);
    if (!keys || typeof onWrite !== 'function' || !canSealPackets()) return undefined;
    return alsoNamed(createSealer(keys, onWrite as (bytes: Buffer) => void), { outSeqno: 'sequence' });
  },
  decipher({ inbound }: CipherConfig): (Opener & { inSeqno: number; _onPayload: OnPayload }) | undefined {
    const { decipherInfo, decipherKey, decipherIV, seqno, onPayload } = inbound ?? {};
    const keys = packetKeys(decipherInfo, decipherKey, decipherIV, seqno);
    if (!keys || typeof onPayload !== 'function' || !canSealPackets()) return undefined;
    const opener = alsoNamed(createOpener(keys, onPayload as OnPayload), { inSeqno: 'sequence' });
    return alsoNamed(opener, { _onPayload: 'onPayload' });
  },
};

// Without its patches it would look the same, and take fewer hosts and more of what evil ones send.
if (!hooks)
  throw new Error('ssh2 is not patched: bundle with esbuild.mjs, or import test/support/patchedSsh2.mjs first');
Object.assign(hooks, keyExchangeHooks, packetHooks);

/** What is read of ssh2's client and not in its types. */
interface Internals {
  _remoteVer?: string;
  _chanMgr: {
    add(opened: object): number;
    /** A channel's number may be any of the server's: the last one throws. */
    get(id: number): object | undefined;
  };
  /** Of global requests, in the order of their answers. */
  _callbacks: ((hasFailed: boolean | Error, data?: Buffer | null) => void)[];
  _protocol: Protocol;
}

type Protocol = AuthProtocol & {
  openssh_hostKeysProve(keys: readonly { getPublicSSH(): Buffer }[]): void;
  requestFailure(): void;
  /** Asks for an answer to keepalive@openssh.com. */
  ping(): void;
  /** Begins to exchange new keys; does nothing while that is done. */
  rekey(): void;
  /** What each new cipher writes to. */
  _onWrite(data: Buffer): void;
  session(id: number, window: number, packetSize: number): void;
  exec(id: number, command: string, wantReply: boolean): void;
  directTcpip(
    id: number,
    window: number,
    packetSize: number,
    ends: { srcIP: string; srcPort: number; dstIP: string; dstPort: number },
  ): void;
  openssh_directStreamLocal(id: number, window: number, packetSize: number, end: { socketPath: string }): void;
  channelOpenConfirm(recipient: number, id: number, window: number, packetSize: number): void;
  channelOpenFail(recipient: number, reason: number, description: string): void;
  channelData(recipient: number, data: Buffer): void;
  channelWindowAdjust(recipient: number, bytes: number): void;
  channelEOF(recipient: number): void;
  channelClose(recipient: number): void;
  channelFailure(recipient: number): void;
  disconnect(reason: number): void;
  _debug?: ((text: string) => void) | undefined;
  _handlers: ServerMessages;
};

/** What a server may send at any time, and costs memory. */
interface ServerMessages {
  DISCONNECT: (protocol: unknown, reason: number, description: string) => void;
  CHANNEL_OPEN_CONFIRMATION: (protocol: unknown, info: OpenMessage & { recipient: number }) => void;
  CHANNEL_OPEN_FAILURE: (protocol: unknown, id: number, reason: number, description: string) => void;
  CHANNEL_WINDOW_ADJUST: (protocol: unknown, id: number, bytes: number) => void;
  CHANNEL_EOF: (protocol: unknown, id: number) => void;
  CHANNEL_CLOSE: (protocol: unknown, id: number) => void;
  CHANNEL_DATA: (protocol: unknown, id: number, data: Buffer) => void;
  CHANNEL_EXTENDED_DATA: (protocol: unknown, id: number, data: Buffer, type: number) => void;
  GLOBAL_REQUEST: (protocol: unknown, name: string, wantReply: boolean, data: unknown) => void;
  CHANNEL_OPEN: (protocol: unknown, info: OpenMessage & IncomingMessage) => void;
  CHANNEL_REQUEST: (protocol: unknown, id: number, type: string, wantReply: boolean, data: unknown) => void;
}

/** The server's side of a channel that opens. */
export interface OpenMessage {
  sender: number;
  window: number;
  packetSize: number;
}

type IncomingMessage =
  | { type: 'forwarded-tcpip'; data: { destIP: string; destPort: number; srcIP: string; srcPort: number } }
  | { type: 'forwarded-streamlocal@openssh.com'; data: { socketPath: string } }
  | { type: 'another' };

/** What is used of ssh2's protocol for an authentication of our own. */
interface AuthProtocol {
  _handlers: {
    SERVICE_ACCEPT: (protocol: unknown, service: string) => void;
    EXT_INFO: (protocol: unknown, extensions: readonly { name: string; algs?: string[] }[]) => void;
    USERAUTH_BANNER: (protocol: unknown, text: string) => void;
    USERAUTH_SUCCESS: (protocol: unknown) => void;
    USERAUTH_FAILURE: (protocol: unknown, methods: string[], partial: boolean) => void;
    USERAUTH_PK_OK: (protocol: unknown, algorithm: string, blob: Buffer) => void;
    USERAUTH_PASSWD_CHANGEREQ: (protocol: unknown, prompt: string) => void;
    USERAUTH_INFO_REQUEST: (
      protocol: unknown,
      name: string,
      instruction: string,
      prompts: { prompt: string; echo: boolean }[],
    ) => void;
  };
  /** The method whose answer is awaited: what message 60 means depends on it. */
  _authsQueue: string[];
  _kex: { sessionID: Buffer; /** the server's signature, until the keys are exchanged */ _sig?: Buffer };
  /** Set while keys are exchanged: other messages wait in the queue then, as mere payloads. */
  _kexinit?: Buffer;
  _queue?: Buffer[];
  _packetRW: { write: { allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer } };
  _cipher: { encrypt(packet: Buffer): void; _onWrite?: (data: Buffer) => void };
  _decipher?: object;
}

export interface SshError extends Error {
  level?: string;
  /** Of the server's own goodbye (RFC 4253 section 11.1); a string is the system's. */
  code?: number | string;
  reason?: number;
}

/** What a session does by ssh2’s private parts; those of the protocol are there from `connect` of the client on. */
export interface Ssh2Inside {
  readonly protocol: Pick<
    Protocol,
    | 'rekey'
    | 'directTcpip'
    | 'openssh_directStreamLocal'
    | 'channelOpenConfirm'
    | 'channelWindowAdjust'
    | 'channelEOF'
    | 'channelClose'
  >;
  /** The server’s first line was one of SSH. */
  readonly hasGreeted: boolean;
  /** Keys are exchanged; all other messages wait. */
  readonly isExchanging: boolean;
  /** So much waits for the end of the exchange that clients have to wait, too. */
  readonly isQueueFull: boolean;
  /** Nothing keeps what the socket has read: see lendReads. */
  readonly areReadsLent: boolean;
  /** What a packet to us may carry, in bytes of data. */
  readonly packetBytes: number;
  readonly sessionId: Buffer;
  /** A copy of the server’s signature of the key exchange; while its key is verified. */
  hostSignature(): Buffer;
  /** Asks for an answer to keepalive@openssh.com; the connection’s end is none. */
  ping(answered: () => void): void;
  /** Asks for proofs of keys (hostkeys-prove-00@openssh.com). */
  proveHostKeys(blobs: readonly Buffer[], answer: (proofs: Buffer | undefined) => void): void;
  /** Makes ready what the next packets need. */
  prepare(): void;
  /** Sends a message that ssh2 has no method for. */
  send(payload: Buffer): void;
  /** Sends data of a channel; the source is free again when it returns. */
  data(recipient: number, source: Buffer, start: number, end: number): void;
  refuse(sender: number, refusal: keyof typeof refusals): void;
  /** Says nothing more for debugging. */
  endDebug(): void;
  /** Takes data of channels past ssh2, as Opener’s; to be said for each new keys. */
  onData(take: (recipient: number, data: Buffer) => boolean): void;
  /** Gives all that is sent to `write`; `flush` is called before ssh2 ends the socket. */
  writeBy(write: (data: Buffer) => void, flush: () => void): void;
  /** `named` gets ssh2’s buffers each time when the server names its host keys. */
  takeGlobalRequests(named: (blobs: readonly Buffer[]) => void): void;
  /** The server has said goodbye. */
  onDisconnect(done: () => void): void;
  takeAuthentication(options: AuthOptions, turn: AuthTurn): { end(): void };
  takeChannels(channels: Channels, on: TakenChannels): void;
  limitServer(line: Line, on: { tooMuch(): void; tooOften(): void }): void;
  runCommand(isUp: () => boolean, command: string): Promise<{ code?: number; stdout: string }>;
}

export function ssh2Inside(client: Client): Ssh2Inside {
  const internals = client as unknown as Internals;
  return {
    get protocol() {
      return internals._protocol;
    },
    get hasGreeted() {
      return internals._remoteVer !== undefined;
    },
    get isExchanging() {
      return internals._protocol._kexinit !== undefined;
    },
    get isQueueFull() {
      return isQueueFull(internals._protocol);
    },
    get areReadsLent() {
      return internals._protocol._kexinit === undefined && openerOf(internals._protocol) !== undefined;
    },
    get packetBytes() {
      return openerOf(internals._protocol) ? largePacketBytes : packetBytes;
    },
    get sessionId() {
      return internals._protocol._kex.sessionID;
    },
    hostSignature: () => Buffer.from(internals._protocol._kex._sig ?? []),
    ping(answered) {
      // The connection's end answers whatever is open, too, by an error.
      internals._callbacks.push((hasFailed) => typeof hasFailed === 'boolean' && answered());
      internals._protocol.ping();
    },
    proveHostKeys(blobs, answer) {
      internals._callbacks.push((hasFailed, proofs) => answer(hasFailed || !proofs ? undefined : proofs));
      internals._protocol.openssh_hostKeysProve(blobs.map((blob) => ({ getPublicSSH: () => blob })));
    },
    prepare() {
      sealerOf(internals._protocol)?.prepare();
      openerOf(internals._protocol)?.prepare();
    },
    send: (payload) => sendPayload(internals._protocol, payload),
    data(recipient, source, start, end) {
      const { _protocol: protocol } = internals;
      const sealer = protocol._kexinit === undefined ? sealerOf(protocol) : undefined;
      if (sealer) sealer.sealData(recipient, source, start, end);
      else protocol.channelData(recipient, source.subarray(start, end));
    },
    refuse: (sender, refusal) => internals._protocol.channelOpenFail(sender, refusals[refusal], ''),
    endDebug: () => (internals._protocol._debug = undefined),
    onData(take) {
      const opener = openerOf(internals._protocol);
      if (opener) opener.onData = take;
    },
    writeBy(write, flush) {
      const { disconnect } = internals._protocol;
      // The later ciphers take it from the protocol.
      internals._protocol._onWrite = write;
      internals._protocol._cipher._onWrite = write;
      internals._protocol.disconnect = (reason) => {
        disconnect.call(internals._protocol, reason);
        // ssh2 ends the socket right behind it.
        flush();
      };
    },
    takeGlobalRequests(named) {
      // ssh2 proves them by looser rules, and ends with an error at a key that it doesn't know.
      internals._protocol._handlers.GLOBAL_REQUEST = (_protocol, name, wantReply, data) => {
        if (name === 'hostkeys-00@openssh.com') named(data as readonly Buffer[]);
        if (wantReply) internals._protocol.requestFailure();
      };
    },
    onDisconnect(done) {
      const { DISCONNECT } = internals._protocol._handlers;
      internals._protocol._handlers.DISCONNECT = (protocol, reason, description) => {
        DISCONNECT(protocol, reason, description);
        done();
      };
    },
    takeAuthentication: (options, turn) => takeAuthentication(internals._protocol, options, turn),
    takeChannels: (channels, on) => takeChannels(internals._protocol, channels, on),
    limitServer: (line, on) => limitServer(internals, line, on),
    runCommand: (isUp, command) => runCommand(internals, isUp, command),
  };
}

/** Whether ssh2 keeps enough while keys are exchanged: it keeps what it is given, all of it. */
function isQueueFull({ _queue }: AuthProtocol): boolean {
  return (_queue?.length ?? 0) >= mostKept;
}

/** That of our own packets, which takes data without a copy. */
function sealerOf({ _cipher: cipher }: AuthProtocol): Pick<Sealer, 'sealData' | 'prepare'> | undefined {
  return 'sealData' in cipher ? (cipher as Sealer) : undefined;
}

function openerOf({ _decipher: decipher }: AuthProtocol): Opener | undefined {
  return decipher && 'onData' in decipher ? (decipher as Opener) : undefined;
}

/** Sends a message that ssh2 has no method for, as its own sendPacket does. */
function sendPayload(protocol: AuthProtocol, payload: Buffer): void {
  if (protocol._kexinit !== undefined) {
    (protocol._queue ??= []).push(payload);
    return;
  }
  const { write } = protocol._packetRW;
  const packet = write.alloc(payload.length);
  packet.set(payload, write.allocStart);
  protocol._cipher.encrypt(write.finalize(packet));
}

/** What waits to be sent to the server, and what has left, in bytes. */
interface Line {
  waiting(): number;
  taken(): number;
}

/**
 * Has the connection ended with a server that sends more than the window which it was given (RFC 4254 section 5.2) and a
 * tenth, which OpenSSH takes, too, or that asks on and on and does not take the answers.
 */
function limitServer(
  { _chanMgr, _protocol }: Internals,
  line: Line,
  { tooMuch, tooOften }: { tooMuch(): void; tooOften(): void },
): void {
  const handlers = _protocol._handlers;
  const { CHANNEL_DATA, CHANNEL_EXTENDED_DATA, CHANNEL_OPEN, CHANNEL_REQUEST, GLOBAL_REQUEST } = handlers;
  /** What channels have had beyond their windows since they last kept to them. */
  const beyond = new WeakMap<object, number>();
  const isBorne = (id: number, { length }: Buffer) => {
    const { incoming } = (_chanMgr.get(id) ?? {}) as Partial<ChannelInternals>;
    if (incoming === undefined) return true;
    if (length <= incoming.window) {
      if (length > 0) beyond.delete(incoming);
      return true;
    }
    const excess = (beyond.get(incoming) ?? 0) + length - incoming.window;
    if (excess > windowBytes / 10) return false;
    beyond.set(incoming, excess);
    // ssh2 would drop what comes without any, and count on with less than none.
    incoming.window = length;
    return true;
  };
  let untaken = 0;
  let takenBefore = 0;
  // A line that is full all the time gets rid of something, too.
  const isPatient = () => {
    const isDeaf = line.waiting() > fewUntaken || isQueueFull(_protocol);
    if (!isDeaf || line.taken() - takenBefore > mostUntaken * answerBytes) {
      untaken = 0;
      takenBefore = line.taken();
    } else untaken++;
    return untaken <= mostUntaken;
  };
  Object.assign(handlers, {
    CHANNEL_DATA: (protocol, id, data) => (isBorne(id, data) ? CHANNEL_DATA(protocol, id, data) : tooMuch()),
    CHANNEL_EXTENDED_DATA: (protocol, id, data, type) =>
      isBorne(id, data) ? CHANNEL_EXTENDED_DATA(protocol, id, data, type) : tooMuch(),
    CHANNEL_OPEN: (protocol, info) => (isPatient() ? CHANNEL_OPEN(protocol, info) : tooOften()),
    CHANNEL_REQUEST: (...given) => (isPatient() ? CHANNEL_REQUEST(...given) : tooOften()),
    GLOBAL_REQUEST: (...given) => (isPatient() ? GLOBAL_REQUEST(...given) : tooOften()),
  } satisfies Partial<ServerMessages>);
}

interface TakenChannels {
  /** Whether a new one is taken care of. */
  incoming(message: OpenMessage & IncomingMessage): boolean;
  /** The server may wait with what it has to say until it knows that this has come. */
  acknowledge(): void;
  tooMuch(): void;
}

/** Hands what a server says of our own channels to them, past ssh2's. */
function takeChannels(protocol: Protocol, channels: Channels, on: TakenChannels): void {
  const handlers = protocol._handlers;
  const theirs = { ...handlers };
  Object.assign(handlers, {
    CHANNEL_OPEN(_, message) {
      if (!on.incoming(message)) theirs.CHANNEL_OPEN(protocol, message);
    },
    CHANNEL_OPEN_CONFIRMATION(_, message) {
      const { recipient, sender: number, window, packetSize } = message;
      if (!channels.onConfirmation(recipient, { number, window, packetSize }))
        theirs.CHANNEL_OPEN_CONFIRMATION(protocol, message);
      // A target may speak first.
      on.acknowledge();
    },
    CHANNEL_OPEN_FAILURE(_, id, reason, description) {
      if (!channels.onFailure(id, refusalOf(reason), description))
        theirs.CHANNEL_OPEN_FAILURE(protocol, id, reason, description);
    },
    CHANNEL_DATA(_, id, data) {
      const channel = channels.get(id);
      if (!channel) theirs.CHANNEL_DATA(protocol, id, data);
      else if (!channel.onData(data)) on.tooMuch();
    },
    CHANNEL_EXTENDED_DATA(_, id, data, type) {
      const channel = channels.get(id);
      if (!channel) theirs.CHANNEL_EXTENDED_DATA(protocol, id, data, type);
      else if (!channel.onExtendedData(data.length)) on.tooMuch();
    },
    CHANNEL_WINDOW_ADJUST(_, id, bytes) {
      const channel = channels.get(id);
      if (channel) channel.onWindowAdjust(bytes);
      else theirs.CHANNEL_WINDOW_ADJUST(protocol, id, bytes);
      on.acknowledge();
    },
    CHANNEL_EOF(_, id) {
      const channel = channels.get(id);
      if (channel) channel.onEof();
      else theirs.CHANNEL_EOF(protocol, id);
      on.acknowledge();
    },
    CHANNEL_CLOSE(_, id) {
      const channel = channels.get(id);
      if (channel) channel.onClose();
      else if (!channels.onFailure(id, 'other', 'the server closed it')) theirs.CHANNEL_CLOSE(protocol, id);
      on.acknowledge();
    },
    CHANNEL_REQUEST(_, id, type, wantReply, data) {
      const channel = channels.get(id);
      if (!channel) theirs.CHANNEL_REQUEST(protocol, id, type, wantReply, data);
      // Only a session has any; some servers ask this way whether we are alive.
      else if (wantReply) protocol.channelFailure(channel.recipient);
    },
  } satisfies Partial<ServerMessages>);
}

interface AuthOptions {
  user: string;
  authenticate(transport: AuthTransport): Promise<void>;
  serverSaid(text: string): void;
}

interface AuthTurn {
  /** Keys are exchanged, the host's key is accepted, and nobody is let in yet. */
  isOpen(): boolean;
  hostKey(): { hostKey: Buffer; signature: Buffer } | undefined;
  /** Without a failure: the server lets nobody in. */
  ended(failure: Failure | undefined): void;
}

/**
 * Puts our own user authentication in place of ssh2's, which knows no certificates, security keys and rounds without a
 * prompt, and loses what a server takes in part. USERAUTH_SUCCESS stays ssh2's: it starts the keepalive.
 */
function takeAuthentication(protocol: AuthProtocol, options: AuthOptions, turn: AuthTurn): { end(): void } {
  const handlers = protocol._handlers;
  const gone = new AbortController();
  let serverAlgorithms: readonly string[] | undefined;
  /** The one request that has no answer yet. */
  let awaited: { resolve(answer: AuthAnswer): void; reject(error: Error): void } | undefined;
  let hasBegun = false;
  let banners = 0;

  const answered = (answer: AuthAnswer) => {
    const waiting = awaited;
    awaited = undefined;
    waiting?.resolve(answer);
  };
  const send: AuthTransport['send'] = (payload, method) =>
    new Promise((resolve, reject) => {
      if (gone.signal.aborted || !turn.isOpen()) return reject(new Error('the connection has ended'));
      awaited = { resolve, reject };
      // An earlier request that was given up has no answer to come (RFC 4252 section 5.1).
      if (method !== undefined) protocol._authsQueue = [method];
      sendPayload(protocol, payload);
    });
  const begin = () => {
    const { sessionID: sessionId } = protocol._kex;
    const host = turn.hostKey();
    const transport: AuthTransport = {
      user: options.user,
      sessionId,
      get serverAlgorithms() {
        return serverAlgorithms;
      },
      binding: host && { ...host, sessionId },
      ended: gone.signal,
      send,
    };
    options.authenticate(transport).then(
      () => turn.ended(undefined),
      (error: unknown) => turn.ended(failureOf(error)),
    );
  };

  const { USERAUTH_SUCCESS: onSuccess } = handlers;
  Object.assign(handlers, {
    SERVICE_ACCEPT(_, service) {
      if (hasBegun || !turn.isOpen() || service !== 'ssh-userauth') return;
      hasBegun = true;
      begin();
    },
    EXT_INFO(_, extensions) {
      serverAlgorithms ??= extensions.find(({ name }) => name === 'server-sig-algs')?.algs;
    },
    USERAUTH_BANNER(_, text) {
      const said = printableLines(text);
      if (said !== '' && turn.isOpen() && banners++ < mostBanners) options.serverSaid(said);
    },
    USERAUTH_SUCCESS(_) {
      // It answers a request, as a refusal does.
      if (!awaited) return;
      onSuccess(protocol);
      answered({ kind: 'success' });
    },
    USERAUTH_FAILURE: (_, methods, partial) => answered({ kind: 'failure', methods, partial }),
    USERAUTH_PK_OK: (_, algorithm, blob) => answered({ kind: 'keyOk', algorithm, blob: Buffer.from(blob) }),
    USERAUTH_PASSWD_CHANGEREQ: (_, prompt) => answered({ kind: 'passwordChange', prompt }),
    USERAUTH_INFO_REQUEST: (_, name, instruction, prompts) =>
      answered({
        kind: 'round',
        name,
        instruction,
        prompts: prompts.map(({ prompt, echo }) => ({ text: prompt, echo })),
      }),
  } satisfies AuthProtocol['_handlers']);
  return {
    end() {
      gone.abort();
      awaited?.reject(new Error('the connection has ended'));
      awaited = undefined;
    },
  };
}

/** What is told before anybody is let in: one that never stops must not fill the memory. */
const mostBanners = 20;

/** Of channels that are not ssh2's: it counts its own from 0. */
export const firstNumber = 2 ** 29;

/** Messages that are kept while keys are exchanged before clients have to wait. */
const mostKept = 100;

/** What a server may ask while it takes no answer: so many bytes wait for it. */
const mostUntaken = 10_000;
const fewUntaken = 16 * 1024;
/** Of an answer, at most. */
const answerBytes = 64;

/** What the two sides offer of one kind. */
export interface Compared {
  use: AlgorithmUse;
  ours: readonly string[];
  theirs: readonly string[];
}

/** Of a server's list that are kept, and of a name (RFC 4250 section 4.6.1). */
const mostNames = 100;
const longestName = 64;

const usesInDebug: Readonly<Record<string, AlgorithmUse>> = {
  'KEX method': 'kex',
  'Host key format': 'hostKey',
  'C->S cipher': 'cipher',
  'S->C cipher': 'cipher',
  'C->S MAC': 'mac',
  'S->C MAC': 'mac',
};

/** Reads ssh2's `Handshake: (remote) C->S cipher: a,b`, which comes right behind the same of `(local)`. */
export function comparedLists(text: string, before: Compared | undefined): Compared | undefined {
  const [, side, what = '', list = ''] = /^Handshake: \((local|remote)\) ([^:]+): (.*)$/s.exec(text) ?? [];
  const use = Object.hasOwn(usesInDebug, what) ? usesInDebug[what] : undefined;
  if (!use) return before;
  const names = list
    .split(',', mostNames)
    .map((name) => printable(name.slice(0, longestName)))
    // Those are marks of extensions, and no key exchanges.
    .filter((name) => name !== '' && !/^ext-info-|^kex-strict-/.test(name));
  return side === 'local' ? { use, ours: names, theirs: [] } : before && { ...before, theirs: names };
}

/**
 * Makes a fresh channel safe from its server: an error of its second stream, which no forward uses, would end the process,
 * and ssh2 never comes to an end with packets of no bytes. Undefined: it is closed.
 */
function guarded(channel: Channel): Channel | undefined {
  channel.on('error', () => {});
  (channel.stderr as Readable).on('error', () => {}).resume();
  if ((channel as unknown as { outgoing: { packetSize: number } }).outgoing.packetSize > 0) return channel;
  channel.close();
  return undefined;
}

/** How long a command may take with all that is around it, in milliseconds, and what it may write, in bytes. */
const commandMs = 5_000;
const commandBytes = 256 * 1024;

/** What ssh2 tells the server of a channel, and counts with. */
const windowBytes = 2 * 1024 * 1024;
const packetBytes = 32 * 1024;
/**
 * Half as many packets for many streams. Still larger ones gain more, and keep the others on a slow line waiting: a server
 * may have one of each stream on its way. ssh2's own ciphers take 35,000 bytes.
 */
const largePacketBytes = 64 * 1024;

/** What is read of ssh2's channel and not in its types. */
interface ChannelInternals {
  incoming: { window: number };
  outgoing: { id: number };
  /** Called with the answers to requests, in their order. */
  _callbacks: ((isRefused: unknown) => void)[];
}

/**
 * As `Client.exec`, which hands the channel on only with the server's answer: what comes before it would end the process,
 * or fill the memory.
 */
function runCommand(
  { _chanMgr, _protocol }: Internals,
  isUp: () => boolean,
  command: string,
): Promise<{ code?: number; stdout: string }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let left = commandBytes;
    let code: number | undefined;
    let channel: Channel | undefined;
    let isRunning = false;
    let isOver = false;
    const end = (refusal: ChannelRefusal = 'other', detail = 'it ran no command') => {
      if (isOver) return;
      isOver = true;
      clearTimeout(late);
      if (channel && isUp()) channel.close();
      const stdout = Buffer.concat(chunks).toString();
      if (isRunning) resolve({ ...(code !== undefined && { code }), stdout });
      else reject(new FailureError({ kind: 'channelRefused', target: '', host: '', refusal, detail }));
    };
    const late = setTimeout(() => end('other', 'it did not answer in time'), commandMs);
    const opened = (error: SshError | undefined, fresh: Channel) => {
      if (error) return end(refusalOf(error.reason), printable(error.message));
      channel = guarded(fresh);
      if (!channel) return end();
      if (isOver) return fresh.resume().close();
      fresh.on('data', (data: Buffer) => {
        if (isOver) return;
        chunks.push(data.subarray(0, left));
        left -= data.length;
        if (left <= 0) end();
      });
      fresh.on('exit', (given: unknown) => {
        if (typeof given === 'number') code = given;
      });
      fresh.on('close', () => end());
      const { outgoing, _callbacks } = fresh as unknown as ChannelInternals;
      _callbacks.push((isRefused) => {
        if (isRefused) return end();
        isRunning = true;
        if (!isOver) fresh.end();
      });
      _protocol.exec(outgoing.id, command, true);
    };
    if (!isUp()) return end('other', 'the connection is gone');
    const id = _chanMgr.add(Object.assign(opened, { type: 'session' }));
    if (id < 0) end('resourceShortage', 'too many channels');
    else _protocol.session(id, windowBytes, packetBytes);
  });
}

/** RFC 4254 section 5.1 */
const refusals = { prohibited: 1, connectFailed: 2, unknownType: 3, resourceShortage: 4 } as const;

function refusalOf(reason: number | undefined): ChannelRefusal {
  const found = Object.entries(refusals).find(([, code]) => code === reason);
  return (found?.[0] as ChannelRefusal | undefined) ?? 'other';
}
