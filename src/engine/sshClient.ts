// The only importer of ssh2 1.17.0, and the only place that touches its private parts (each with its reason).
import { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { Client, utils, type Channel } from 'ssh2';
import { hooks } from 'ssh2/lib/protocol/kex.js';
import {
  FailureError,
  errorCode,
  failureOf,
  type AlgorithmUse,
  type ChannelRefusal,
  type Failure,
} from '../core/failure.js';
import { printable, printableLines } from '../core/printable.js';
import type { Algorithms, RekeyLimit } from '../core/sshConfig.js';
import { offeredAlgorithms, type NothingToOffer } from './algorithms.js';
import type { SshChannel } from './channel.js';
import { channelRefused, createChannels, type Channels, type Opening } from './channels.js';
import { createEnding } from './ending.js';
import type { ProveKeys } from './hostKeyCheck.js';
import { proveHostKeys } from './hostKeyProofs.js';
import { createKeepalive, type Keepalive, type Outgoing } from './keepalive.js';
import { isHostKey, keyExchangeHooks } from './keyExchange.js';
import { createOutbox } from './outbox.js';
import type { Opener, Sealer } from './packets.js';
import { lendReads } from './readBuffer.js';
import { createRekeying } from './rekeying.js';
import { packetHooks } from './ssh2Packets.js';
import type { AuthAnswer, AuthTransport } from './userauth.js';
import { withinTime } from './withinTime.js';

// Without its patches it would look the same, and take fewer hosts and more of what evil ones send.
if (!hooks)
  throw new Error('ssh2 is not patched: bundle with esbuild.mjs, or import test/support/patchedSsh2.mjs first');
Object.assign(hooks, keyExchangeHooks, packetHooks);

export interface SshOptions {
  /** Connected, no-delay set, or a channelStream; owned by the session from now on. */
  socket: Duplex;
  user: string;
  /** Key types that known_hosts has for the host, best first; of certificates, where it has an authority. Asked for before all others. */
  knownKeyTypes: readonly string[];
  /** What may be offered; an absent list is not narrowed. */
  algorithms: Algorithms;
  /** Says yes to a key or certificate, or throws a FailureError; called once, before any secret is sent. */
  verifyHostKey(blob: Buffer): Promise<void>;
  /** The server has signed the first key exchange with the key that was said yes to; called once, before any secret is sent. */
  hostKeyProven?(): void;
  /**
   * The server names its host keys (hostkeys-00@openssh.com), which may be any bytes; called once after it is ready, if at
   * all. `prove` resolves with those of the given ones that it proves to have.
   */
  hostKeysNamed?(blobs: readonly Buffer[], prove: ProveKeys): void;
  /** Logs in; resolves when that is done, or nothing is left to try. Throws a FailureError. */
  authenticate(transport: AuthTransport): Promise<void>;
  /** Hands on what the server tells who logs in (RFC 4252 section 5.4); printable. */
  serverSaid(text: string): void;
  /** ServerAliveInterval and ServerAliveCountMax; 0 seconds: silence alone does not end it. */
  keepaliveSeconds: number;
  keepaliveCount: number;
  /** The server is asked whether it lives, and so should be those that it is reached through. */
  onAsk?(): void;
  /** Absent: what is safe for the cipher. */
  rekeyLimit?: RekeyLimit;
  log(text: string): void;
}

export interface SshSession {
  /**
   * Opens a direct-tcpip channel (RFC 4254 section 7.2) to a host and port as the server sees them. Throws a
   * FailureError of kind channelRefused.
   */
  openTcp(target: { host: string; port: number }, origin: { address: string; port: number }): Promise<SshChannel>;
  /** Opens a direct-streamlocal@openssh.com channel (OpenSSH PROTOCOL section 2.4) to a socket of the server; throws as openTcp. */
  openUnix(path: string): Promise<SshChannel>;
  /**
   * Asks the server to listen (tcpip-forward, RFC 4254 section 7.1). `address` as the protocol has it: `localhost`, an empty
   * one for all interfaces, or an address; port 0: the server chooses. Rejects with ListenRefused.
   */
  listenTcp(address: string, port: number, onChannel: (incoming: IncomingChannel) => void): Promise<RemoteListener>;
  /** The same at a path (streamlocal-forward@openssh.com). The server leaves the file behind when it stops listening. */
  listenUnix(path: string, onChannel: (incoming: IncomingChannel) => void): Promise<RemoteListener>;
  /**
   * Runs a command on the server, without input. `stdout` is what it wrote within 5 s, 256 KB at most; the rest and its
   * other output are dropped. `code`: it ended by itself, and in time. Throws a FailureError of kind channelRefused where
   * the server runs none.
   */
  exec(command: string): Promise<{ code?: number; stdout: string }>;
  /**
   * Asks the server to answer now; when nothing at all is heard from it within so many seconds, the session ends with the
   * reason `keepalive`. Several at once do no harm.
   */
  probe(withinSeconds: number): void;
  /** ms between the last question to the server and its answer; undefined before. */
  readonly roundTripMs: number | undefined;
  readonly life: SignsOfLife;
  /**
   * Called once when the connection is gone, before any channel ends; with undefined after `close`. When it is gone already,
   * a little later. Returns what undoes it.
   */
  onEnd(listener: (failure: SessionEnd | undefined) => void): () => void;
  /** Says goodbye and closes the socket; resolves when it is closed. */
  close(): Promise<void>;
}

/** By which a host on the way is told from those behind it when they fall silent. */
export type SignsOfLife = Pick<Keepalive, 'heardAt' | 'askedAt' | 'ask'>;

/** A connection to a listener on the server; nothing is accepted that was not asked for. */
export interface IncomingChannel {
  /** The client as the server sees it; absent for a Unix socket. */
  origin?: { address: string; port: number };
  /** Undefined when the session has gone meanwhile. */
  accept(): SshChannel | undefined;
  /** Refuses it: the server closes its client. */
  reject(): void;
}

export interface RemoteListener {
  /** 1 to 65535; 0 for a socket. */
  port: number;
  /** What the server said while it answered (SSH_MSG_DEBUG). */
  notes: readonly string[];
  /** Resolves when the server listens no more, or is gone; with whether it said so. */
  close(): Promise<boolean>;
}

/** The server refused to listen, or `isOurs`: another forward of ours listens there. */
export class ListenRefused extends Error {
  constructor(
    message: string,
    readonly isOurs = false,
  ) {
    super(message);
  }
}

export interface SessionEnd {
  reason: 'closed' | 'keepalive' | 'reset' | 'disconnected';
  detail?: string;
  /** Which of the hosts on the way is gone; absent: this session's own. */
  host?: string;
}

/** Why a session did not come up; the caller knows the host's name and makes the failure. */
export type DialEnd =
  | { kind: 'failure'; failure: Failure }
  | { kind: 'notSsh'; /** the first line that it sent */ said: string }
  | { kind: 'closedEarly' }
  | { kind: 'handshake'; detail: string }
  | ({ kind: 'noCommonAlgorithm' } & Compared)
  | ({ kind: 'nothingToOffer' } & NothingToOffer)
  | { kind: 'denied'; detail?: string }
  | { kind: 'lost'; end: SessionEnd };

/** What the two sides offer of one kind. */
interface Compared {
  use: AlgorithmUse;
  ours: readonly string[];
  theirs: readonly string[];
}

export class DialError extends Error {
  constructor(readonly end: DialEnd) {
    super(end.kind);
  }
}

function firstLine(text: string): string {
  return text
    .split(/[\r\n]/, 1)[0]!
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 100);
}

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
  _protocol: AuthProtocol & {
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
}

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
interface OpenMessage {
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

interface SshError extends Error {
  level?: string;
  /** Of the server's own goodbye (RFC 4253 section 11.1); a string is the system's. */
  code?: number | string;
  reason?: number;
}

/** Shakes hands, checks the host's key and authenticates. Throws a DialError; the socket is destroyed then. */
export function openSession(options: SshOptions): Promise<SshSession> {
  const { socket } = options;
  const offered = offeredAlgorithms(options.algorithms, options.knownKeyTypes);
  if ('use' in offered) {
    socket.on('error', () => {});
    socket.destroy();
    return Promise.reject(new DialError({ kind: 'nothingToOffer', ...offered }));
  }
  return new Promise((resolve, reject) => {
    const client = new Client();
    const internals = client as unknown as Internals;
    const ending = createEnding<SessionEnd | undefined>();
    const waiting = new Set<() => void>();
    let phase: 'handshake' | 'authentication' | 'ready' | 'closing' | 'ended' = 'handshake';
    let verdict: { blob: Buffer } | { failure: Failure } | undefined;
    let heard: string | undefined;
    let compared: Compared | undefined;
    let debugs = 0;
    let hostSignature: Buffer | undefined;
    let authentication: { end(): void } = { end() {} };

    const keepalive = createKeepalive({
      intervalSeconds: options.keepaliveSeconds,
      count: options.keepaliveCount,
      isFull: () => socket.writableNeedDrain,
      // What takes a channel's or a program's bytes is not the server.
      ...(socket instanceof Socket && { outgoing: () => outgoingOf(socket) }),
      send(answered) {
        // The connection's end answers whatever is open, too, by an error.
        internals._callbacks.push((hasFailed) => typeof hasFailed === 'boolean' && answered());
        internals._protocol.ping();
      },
      ...(options.onAsk && { onAsk: options.onAsk }),
      onDead: () => end({ reason: 'keepalive' }),
    });
    const rekeying = createRekeying({
      limit: options.rekeyLimit ?? { bytes: 0, seconds: 0 },
      isExchanging: () => internals._protocol._kexinit !== undefined,
      begin() {
        if (phase === 'ready') internals._protocol.rekey();
      },
    });
    const stopWatching = () => {
      keepalive.end();
      rekeying.end();
    };

    const end = (found: SessionEnd) => {
      if (phase === 'ended') return;
      const was = phase;
      phase = 'ended';
      authentication.end();
      stopWatching();
      socket.destroy();
      waiting.clear();
      if (was === 'handshake') reject(new DialError(earlyEnd(found)));
      else if (was === 'authentication') reject(new DialError({ kind: 'lost', end: found }));
      else ending.end(was === 'closing' ? undefined : found);
      channels.end();
    };
    const failed = (detail: string) => end({ reason: 'reset', detail });
    const earlyEnd = (found: SessionEnd): DialEnd => {
      if (verdict && 'failure' in verdict) return { kind: 'failure', failure: verdict.failure };
      if (internals._remoteVer === undefined)
        return heard === undefined ? { kind: 'closedEarly' } : { kind: 'notSsh', said: firstLine(heard) };
      return { kind: 'lost', end: found };
    };
    const handshakeEnd = (said: string): DialEnd => {
      if (internals._remoteVer === undefined) return earlyEnd({ reason: 'closed' });
      // ssh2 has no other sign of it.
      if (compared && /^Handshake failed: no matching (?!.*compression)/i.test(said))
        return { kind: 'noCommonAlgorithm', ...compared };
      return { kind: 'handshake', detail: said };
    };
    const fail = (why: DialEnd) => {
      if (phase !== 'handshake' && phase !== 'authentication') return;
      phase = 'ended';
      authentication.end();
      stopWatching();
      socket.destroy();
      reject(new DialError(why));
    };

    // Before ssh2's own listeners: clients must be reset before their channels end, or a cut transfer would look complete.
    socket.on('error', (error) => end({ reason: 'reset', detail: errorCode(error) }));
    socket.on('end', () => end({ reason: 'closed' }));
    socket.on('close', () => end({ reason: 'closed' }));
    socket.once('data', (data: Buffer) => (heard = data.toString('latin1', 0, 200)));
    const outbox = createOutbox(socket, () => {
      sealerOf(internals._protocol)?.prepare();
      openerOf(internals._protocol)?.prepare();
      resumeAll();
    });
    /**
     * The server’s Nagle keeps a small packet until we have confirmed the one before, for which our system waits 40 ms in vain
     * where we have nothing to say. So something is said.
     */
    const acknowledge = () => {
      if (outbox.isDue || acknowledging || isFull()) return;
      const { sends } = outbox;
      acknowledging = setImmediate(() => {
        acknowledging = undefined;
        if (phase === 'ready' && !outbox.isDue && outbox.sends === sends)
          sendPayload(internals._protocol, ignoredMessage);
      });
    };
    let acknowledging: NodeJS.Immediate | undefined;
    /** While keys are exchanged ssh2 keeps what it is given, all of it: until a server that never ends that is found dead. */
    const isFull = () => outbox.isFull || (internals._protocol._queue?.length ?? 0) >= mostKept;
    const resumeAll = () => {
      if (isFull()) return;
      const resumed = [...waiting];
      waiting.clear();
      for (const resume of resumed) resume();
    };
    socket.on('drain', resumeAll);

    client.on('error', (error: SshError) => {
      const said = printable(error.message);
      options.log(`ssh2 ${error.level ?? phase}: ${said}`);
      if (verdict && 'failure' in verdict) fail({ kind: 'failure', failure: verdict.failure });
      else if (error.level === 'client-socket') end({ reason: 'reset', detail: errorCode(error) });
      else if (phase === 'handshake') fail(handshakeEnd(said));
      // All others are ssh2's own words for what it can't read.
      else if (typeof error.code !== 'number') end({ reason: 'reset', detail: said });
      else if (phase === 'authentication') fail({ kind: 'denied', detail: said });
      else end({ reason: 'disconnected', detail: said });
    });
    client.on('handshake', ({ cs, sc }) => {
      rekeying.keyed([cs.cipher, sc.cipher]);
      const opener = openerOf(internals._protocol);
      if (opener) opener.onData = onData;
      resumeAll();
      if (phase !== 'handshake') return;
      phase = 'authentication';
      options.hostKeyProven?.();
    });

    /** By what was asked for: address and port, or path. */
    const acceptors = new Map<string, (incoming: IncomingChannel) => void>();
    /** Channels of the server that are open, or not answered yet. */
    let incoming = 0;
    let isCrowded = false;
    /** Requests to listen that have no answer yet. */
    const requested = new Set<string>();
    /** What the server said since it answered the last request to listen. */
    let notes: string[] = [];

    /** Resolves with the server's answer, or with nothing when the connection ends before it comes. */
    const answerOf = <T>(ask: (answer: (given: T) => void) => void) =>
      new Promise<T | undefined>((resolve) => {
        const settle = (given?: T) => {
          stopWaiting();
          resolve(given);
        };
        const stopWaiting = ending.onEnd(() => settle());
        try {
          ask(settle);
        } catch {
          settle();
        }
      });
    const listenOnServer = async (
      asked: string | undefined,
      keyOf: (port: number) => string,
      onChannel: (incoming: IncomingChannel) => void,
      ask: (answer: (error: Error | undefined, port?: number) => void) => void,
    ) => {
      // A server that takes the place of a socket anew would leave the first listener without one.
      if (asked !== undefined && (acceptors.has(asked) || requested.has(asked)))
        throw new ListenRefused('asked for already', true);
      if (asked !== undefined) requested.add(asked);
      const answer = await answerOf<{ error: Error | undefined; port: number; said: string[] }>((given) =>
        ask((error, port = 0) => {
          // At once: the first channel may stand behind the answer in the same packet.
          if (!error) acceptors.set(keyOf(port), onChannel);
          given({ error, port, said: notes });
          notes = [];
        }),
      );
      if (asked !== undefined) requested.delete(asked);
      if (!answer || answer.error) throw new ListenRefused(answer?.error?.message ?? 'the connection is gone');
      return answer;
    };
    const stopListening = async (key: string, ask: (done: () => void) => void): Promise<boolean> => {
      acceptors.delete(key);
      if (phase !== 'ready') return false;
      const answer = answerOf<true>((given) => ask(() => given(true)));
      return (await withinTime(cancelMs, answer)) ?? false;
    };
    const offer = (key: string, origin: IncomingChannel['origin'], theirs: OpenMessage) => {
      const onChannel = acceptors.get(key);
      const refuse = (reason: number) => {
        if (phase === 'ready') internals._protocol.channelOpenFail(theirs.sender, reason, '');
      };
      if (!onChannel) return refuse(refusals.prohibited);
      if (incoming === mostIncoming) {
        if (!isCrowded)
          options.log(`The server opens more than ${mostIncoming} channels at once: the others are refused`);
        isCrowded = true;
        return refuse(refusals.resourceShortage);
      }
      incoming++;
      let isOver = false;
      const over = () => {
        if (!isOver) incoming--;
        isOver = true;
      };
      onChannel({
        ...(origin && { origin }),
        accept: () => {
          if (phase !== 'ready') return undefined;
          const { sender: number, window, packetSize } = theirs;
          const channel = channels.accept(
            { number, window, packetSize },
            (own) => internals._protocol.channelOpenConfirm(number, own.number, own.window, own.packetSize),
            over,
          );
          if (channel) return channel;
          over();
          refuse(refusals.connectFailed);
          return undefined;
        },
        reject: () => {
          over();
          refuse(refusals.connectFailed);
        },
      });
    };

    const hostVerifier = (blob: Buffer, verify: (accepted: boolean) => void) => {
      // Asked again at every rekey: only the same key passes.
      if (verdict) {
        verify('blob' in verdict && verdict.blob.equals(blob));
        return;
      }
      const copy = Buffer.from(blob);
      // An agent wants to see it; ssh2 forgets it when it has checked it.
      hostSignature = Buffer.from(internals._protocol._kex._sig ?? []);
      if (!isHostKey(copy)) throw new Error('the host key is damaged');
      const answer = (accepted: boolean) => {
        if (phase !== 'handshake') return;
        try {
          verify(accepted);
        } catch (error) {
          // Thrown from here it would reach nobody, and end the process.
          client.emit('error', error);
        }
      };
      options.verifyHostKey(copy).then(
        () => {
          verdict = { blob: copy };
          answer(true);
        },
        (error: unknown) => {
          verdict = { failure: failureOf(error) };
          answer(false);
        },
      );
    };

    client.on('ready', () => {
      if (phase !== 'authentication') return;
      phase = 'ready';
      // A line of it for each message would be written for nobody.
      internals._protocol._debug = undefined;
      keepalive.start();
      socket.on('data', (data: Buffer) => {
        keepalive.heard();
        rekeying.received(data.length);
      });
      resolve(session);
    });

    let leastRoundTripMs: number | undefined;
    const channels = createChannels(
      {
        data(recipient, source, start, end) {
          const { _protocol: protocol } = internals;
          const sealer = protocol._kexinit === undefined ? sealerOf(protocol) : undefined;
          if (sealer) sealer.sealData(recipient, source, start, end);
          else protocol.channelData(recipient, source.subarray(start, end));
        },
        windowAdjust: (recipient, bytes) => internals._protocol.channelWindowAdjust(recipient, bytes),
        eof: (recipient) => internals._protocol.channelEOF(recipient),
        close(recipient) {
          if (phase === 'ready') internals._protocol.channelClose(recipient);
        },
        hold(resume) {
          if (!isFull()) return false;
          waiting.add(resume);
          return true;
        },
        get roundTripMs() {
          return leastRoundTripMs;
        },
        get packetBytes() {
          return openerOf(internals._protocol) ? largePacketBytes : packetBytes;
        },
      },
      (ms) => (leastRoundTripMs = Math.min(leastRoundTripMs ?? ms, ms)),
    );
    const onData = (number: number, bytes: Buffer) => {
      const channel = channels.get(number);
      if (channel && !channel.onData(bytes)) failed(tooMuchData);
      return channel !== undefined;
    };
    const openChannel = (ask: (own: Opening) => void) =>
      phase === 'ready' ? channels.open(ask) : Promise.reject(channelRefused('other', 'the connection is gone'));

    const session: SshSession = {
      openTcp: ({ host, port }, origin) =>
        openChannel(({ number, window, packetSize }) =>
          internals._protocol.directTcpip(number, window, packetSize, {
            srcIP: origin.address,
            srcPort: origin.port,
            dstIP: host,
            dstPort: port,
          }),
        ),
      openUnix: (socketPath) =>
        openChannel(({ number, window, packetSize }) =>
          internals._protocol.openssh_directStreamLocal(number, window, packetSize, { socketPath }),
        ),
      listenTcp: async (address, port, onChannel) => {
        const bound = await listenOnServer(
          port === 0 ? undefined : tcpKey(address, port),
          (real) => tcpKey(address, real),
          onChannel,
          (answer) => client.forwardIn(address, port, answer),
        );
        return {
          port: bound.port,
          notes: bound.said,
          close: () =>
            stopListening(tcpKey(address, bound.port), (done) => client.unforwardIn(address, bound.port, () => done())),
        };
      },
      listenUnix: async (path, onChannel) => {
        const { said } = await listenOnServer(
          path,
          () => path,
          onChannel,
          (answer) => client.openssh_forwardInStreamLocal(path, ((error?: Error) => answer(error)) as never),
        );
        return {
          port: 0,
          notes: said,
          close: () => stopListening(path, (done) => client.openssh_unforwardInStreamLocal(path, () => done())),
        };
      },
      exec: (command) => runCommand(internals, () => phase === 'ready', command),
      probe(withinSeconds) {
        if (phase === 'ready') keepalive.probe(withinSeconds);
      },
      get roundTripMs() {
        return keepalive.roundTripMs;
      },
      life: keepalive,
      onEnd: (listener) => ending.onEnd(listener),
      close: () =>
        new Promise((closed) => {
          if (socket.destroyed) return closed();
          phase = 'closing';
          stopWatching();
          socket.once('close', () => closed());
          client.end();
          // A peer that does not answer the goodbye must not keep us.
          const impatient = setTimeout(() => socket.destroy(), 300);
          socket.once('close', () => clearTimeout(impatient));
        }),
    };

    client.connect({
      sock: socket,
      username: options.user,
      algorithms: {
        kex: offered.kex,
        serverHostKey: offered.hostKey,
        cipher: offered.cipher,
        hmac: offered.mac,
        compress: ['none'],
      } as never,
      hostVerifier,
      readyTimeout: 0,
      // Ours is keepalive.ts: it asks at set times even while data comes in, and counts missed answers only.
      keepaliveInterval: 0,
      strictVendor: false,
      debug: (text) => {
        if (phase === 'handshake') compared = comparedLists(text, compared);
        const [, said] = /^Debug output from server: (.*)$/s.exec(text) ?? [];
        if (said === undefined) return;
        if (phase === 'handshake') return;
        if (notes.length < mostNotes) notes.push(said);
        if (debugs++ < mostDebugs) options.log(printable(text));
        if (debugs === mostDebugs) options.log('What else the server says for debugging is left out');
      },
    });
    authentication = takeAuthentication(internals._protocol, options, {
      isOpen: () => phase === 'authentication',
      hostKey: () => (verdict && 'blob' in verdict && hostSignature ? { hostKey: verdict.blob, signature: hostSignature } : undefined), // prettier-ignore
      ended: (failure) => fail(failure ? { kind: 'failure', failure } : { kind: 'denied' }),
    });
    const { disconnect } = internals._protocol;
    const write = (data: Buffer) => {
      outbox.write(data);
      rekeying.sent(data.length);
    };
    // The later ciphers take it from the protocol.
    internals._protocol._onWrite = write;
    internals._protocol._cipher._onWrite = write;
    internals._protocol.disconnect = (reason) => {
      disconnect.call(internals._protocol, reason);
      // ssh2 ends the socket right behind it.
      outbox.flush();
    };
    const handlers = internals._protocol._handlers;
    let wereKeysNamed = false;
    // ssh2 proves them by looser rules, and ends with an error at a key that it doesn't know.
    handlers.GLOBAL_REQUEST = (_protocol, name, wantReply, data) => {
      if (name === 'hostkeys-00@openssh.com' && phase === 'ready' && !wereKeysNamed) {
        wereKeysNamed = true;
        const named = (data as readonly Buffer[]).map((blob) => Buffer.from(blob));
        options.hostKeysNamed?.(named, (asked) =>
          proveHostKeys(asked, {
            sessionId: internals._protocol._kex.sessionID,
            ask(blobs, answer) {
              if (phase !== 'ready') return answer(undefined);
              internals._callbacks.push((hasFailed, proofs) => answer(hasFailed || !proofs ? undefined : proofs));
              internals._protocol.openssh_hostKeysProve(blobs.map((blob) => ({ getPublicSSH: () => blob })));
            },
          }),
        );
      }
      if (wantReply) internals._protocol.requestFailure();
    };
    takeChannels(internals._protocol, channels, {
      incoming(message) {
        if (phase !== 'ready' || message.type === 'another') return false;
        if (message.type === 'forwarded-tcpip') {
          const { destIP, destPort, srcIP, srcPort } = message.data;
          offer(tcpKey(destIP, destPort), { address: printable(srcIP), port: srcPort }, message);
        } else offer(message.data.socketPath, undefined, message);
        return true;
      },
      acknowledge,
      tooMuch: () => failed(tooMuchData),
    });
    // Around those, too.
    const { DISCONNECT: onDisconnect } = internals._protocol._handlers;
    // ssh2 leaves it to the server then to close.
    internals._protocol._handlers.DISCONNECT = (protocol, reason, description) => {
      onDisconnect(protocol, reason, description);
      end({ reason: 'closed' });
    };
    limitServer(internals, { waiting: () => socket.writableLength, taken: () => outbox.taken }, failed);
    lendReads(socket, () => internals._protocol._kexinit === undefined && openerOf(internals._protocol) !== undefined);
  });
}

/** By Node's own measure of a write that goes on (the one behind `setTimeout` of a socket): others see a whole write alone. */
function outgoingOf(socket: Socket): Outgoing {
  const { writeQueueSize = 0 } = (socket as unknown as { _handle?: { writeQueueSize?: number } | null })._handle ?? {};
  const given = socket.bytesWritten;
  return { given, taken: given - socket.writableLength, refused: writeQueueSize };
}

/**
 * Has the connection ended with a server that sends more than the window which it was given (RFC 4254 section 5.2) and a
 * tenth, which OpenSSH takes, too, or that asks on and on and does not take the answers.
 */
function limitServer(
  { _chanMgr, _protocol }: Internals,
  line: { /** bytes */ waiting(): number; taken(): number },
  end: (detail: string) => void,
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
    const isDeaf = line.waiting() > fewUntaken || (_protocol._queue?.length ?? 0) >= mostKept;
    if (!isDeaf || line.taken() - takenBefore > mostUntaken * answerBytes) {
      untaken = 0;
      takenBefore = line.taken();
    } else untaken++;
    return untaken <= mostUntaken;
  };
  const tooMuch = () => end(tooMuchData);
  const tooOften = () => end('the server asked on and did not take the answers');
  Object.assign(handlers, {
    CHANNEL_DATA: (protocol, id, data) => (isBorne(id, data) ? CHANNEL_DATA(protocol, id, data) : tooMuch()),
    CHANNEL_EXTENDED_DATA: (protocol, id, data, type) =>
      isBorne(id, data) ? CHANNEL_EXTENDED_DATA(protocol, id, data, type) : tooMuch(),
    CHANNEL_OPEN: (protocol, info) => (isPatient() ? CHANNEL_OPEN(protocol, info) : tooOften()),
    CHANNEL_REQUEST: (...given) => (isPatient() ? CHANNEL_REQUEST(...given) : tooOften()),
    GLOBAL_REQUEST: (...given) => (isPatient() ? GLOBAL_REQUEST(...given) : tooOften()),
  } satisfies Partial<ServerMessages>);
}

/** That of our own packets, which takes data without a copy. */
function sealerOf({ _cipher: cipher }: AuthProtocol): Pick<Sealer, 'sealData' | 'prepare'> | undefined {
  return 'sealData' in cipher ? (cipher as Sealer) : undefined;
}

function openerOf({ _decipher: decipher }: AuthProtocol): Opener | undefined {
  return decipher && 'onData' in decipher ? (decipher as Opener) : undefined;
}

const tooMuchData = 'the server sent more data than it was allowed to';

/** Hands what a server says of our own channels to them, past ssh2's. `incoming` is whether a new one is taken care of. */
function takeChannels(
  protocol: Internals['_protocol'],
  channels: Channels,
  on: {
    incoming(message: OpenMessage & IncomingMessage): boolean;
    /** The server may wait with what it has to say until it knows that this has come. */
    acknowledge(): void;
    tooMuch(): void;
  },
): void {
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
function takeAuthentication(protocol: AuthProtocol, options: SshOptions, turn: AuthTurn): { end(): void } {
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
      if (said !== '' && turn.isOpen() && banners++ < mostNotes) options.serverSaid(said);
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

/** How long a server may take to stop listening before it is given up, in milliseconds. */
const cancelMs = 2_000;

/** Channels of a server that may be open at once: each has a connection of this machine, and a window of memory. */
const mostIncoming = 10_000;

/** SSH_MSG_IGNORE (RFC 4253 section 11.2) with nothing in it. */
const ignoredMessage = Buffer.from([2, 0, 0, 0, 0]);

/** Messages that are kept while keys are exchanged before clients have to wait. */
const mostKept = 100;

/** What a server may ask while it takes no answer: so many bytes wait for it. */
const mostUntaken = 10_000;
const fewUntaken = 16 * 1024;
/** Of an answer, at most. */
const answerBytes = 64;

/** What the server says between two answers: one that never stops must not fill the memory. */
const mostNotes = 20;

/** Of a server's SSH_MSG_DEBUG in a session, for the log. */
const mostDebugs = 100;

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
function comparedLists(text: string, before: Compared | undefined): Compared | undefined {
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

function tcpKey(address: string, port: number): string {
  return `${address} ${port}`;
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

export type OpenSshKeyResult =
  { kind: 'key'; pem: string } | { kind: 'encrypted' } | { kind: 'wrongPassphrase' } | { kind: 'invalid' };

/** A private key in OpenSSH's own form as PEM: ssh2 has the derivation of its encryption (bcrypt). */
export function openSshKeyPem(text: string, passphrase: string | undefined): OpenSshKeyResult {
  const key = utils.parseKey(text, passphrase);
  if (key instanceof Error) {
    // ssh2 tells these apart by its message alone.
    if (/no passphrase given/i.test(key.message)) return { kind: 'encrypted' };
    return { kind: /integrity check failed -- bad|unable to authenticate data/.test(key.message) ? 'wrongPassphrase' : 'invalid' }; // prettier-ignore
  }
  return key.isPrivateKey() ? { kind: 'key', pem: key.getPrivatePEM() } : { kind: 'invalid' };
}
