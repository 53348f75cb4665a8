// A session by the client of ssh2 1.17.0; whatever is not in its types goes through ssh2Inside.ts.
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Client, utils } from 'ssh2';
import { errorCode, failureOf, type Failure } from '../core/failure.js';
import { printable } from '../core/printable.js';
import type { Algorithms, RekeyLimit } from '../core/sshConfig.js';
import { offeredAlgorithms, type NothingToOffer } from './algorithms.js';
import type { SshChannel } from './channel.js';
import { channelRefused, createChannels, type Opening } from './channels.js';
import { createEnding } from './ending.js';
import type { ProveKeys } from './hostKeyCheck.js';
import { proveHostKeys } from './hostKeyProofs.js';
import { createKeepalive, type Keepalive, type Outgoing } from './keepalive.js';
import { isHostKey } from './keyExchange.js';
import { createOutbox } from './outbox.js';
import { lendReads } from './readBuffer.js';
import { createRekeying } from './rekeying.js';
import {
  comparedLists,
  firstNumber,
  ssh2Inside,
  type Compared,
  type OpenMessage,
  type SshError,
} from './ssh2Inside.js';
import type { AuthTransport } from './userauth.js';
import { withinTime } from './withinTime.js';

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
export type SignsOfLife = Pick<Keepalive, 'heardAt' | 'askedAt' | 'roundTripMs' | 'ask'>;

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
    const inside = ssh2Inside(client);
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
      send: (answered) => inside.ping(answered),
      ...(options.onAsk && { onAsk: options.onAsk }),
      onDead: () => end({ reason: 'keepalive' }),
    });
    const rekeying = createRekeying({
      limit: options.rekeyLimit ?? { bytes: 0, seconds: 0 },
      isExchanging: () => inside.isExchanging,
      begin() {
        if (phase === 'ready') inside.protocol.rekey();
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
      if (!inside.hasGreeted)
        return heard === undefined ? { kind: 'closedEarly' } : { kind: 'notSsh', said: firstLine(heard) };
      return { kind: 'lost', end: found };
    };
    const handshakeEnd = (said: string): DialEnd => {
      if (!inside.hasGreeted) return earlyEnd({ reason: 'closed' });
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
      inside.prepare();
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
        if (phase === 'ready' && !outbox.isDue && outbox.sends === sends) inside.send(ignoredMessage);
      });
    };
    let acknowledging: NodeJS.Immediate | undefined;
    /** While keys are exchanged ssh2 keeps what it is given, all of it: until a server that never ends that is found dead. */
    const isFull = () => outbox.isFull || inside.isQueueFull;
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
      inside.onData(onData);
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
      const refuse = (refusal: 'prohibited' | 'connectFailed' | 'resourceShortage') => {
        if (phase === 'ready') inside.refuse(theirs.sender, refusal);
      };
      if (!onChannel) return refuse('prohibited');
      if (incoming === mostIncoming) {
        if (!isCrowded)
          options.log(`The server opens more than ${mostIncoming} channels at once: the others are refused`);
        isCrowded = true;
        return refuse('resourceShortage');
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
            (own) => inside.protocol.channelOpenConfirm(number, own.number, own.window, own.packetSize),
            over,
          );
          if (channel) return channel;
          over();
          refuse('connectFailed');
          return undefined;
        },
        reject: () => {
          over();
          refuse('connectFailed');
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
      hostSignature = inside.hostSignature();
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
      inside.endDebug();
      keepalive.start();
      socket.on('data', (data: Buffer) => {
        keepalive.heard();
        rekeying.received(data.length);
      });
      resolve(session);
    });

    let quickest: { ms: number; at: number } | undefined;
    const channels = createChannels(
      {
        data: (recipient, source, start, end) => inside.data(recipient, source, start, end),
        windowAdjust: (recipient, bytes) => inside.protocol.channelWindowAdjust(recipient, bytes),
        eof: (recipient) => inside.protocol.channelEOF(recipient),
        close(recipient) {
          if (phase === 'ready') inside.protocol.channelClose(recipient);
        },
        hold(resume) {
          if (!isFull()) return false;
          waiting.add(resume);
          return true;
        },
        get roundTripMs() {
          return quickest?.ms;
        },
        get packetBytes() {
          return inside.packetBytes;
        },
      },
      (ms) => {
        const at = performance.now();
        // A way may change while its connection stays.
        if (!quickest || ms <= quickest.ms || at - quickest.at > roundTripLastsMs) quickest = { ms, at };
      },
      firstNumber,
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
          inside.protocol.directTcpip(number, window, packetSize, {
            srcIP: origin.address,
            srcPort: origin.port,
            dstIP: host,
            dstPort: port,
          }),
        ),
      openUnix: (socketPath) =>
        openChannel(({ number, window, packetSize }) =>
          inside.protocol.openssh_directStreamLocal(number, window, packetSize, { socketPath }),
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
      exec: (command) => inside.runCommand(() => phase === 'ready', command),
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
    authentication = inside.takeAuthentication(options, {
      isOpen: () => phase === 'authentication',
      hostKey: () => (verdict && 'blob' in verdict && hostSignature ? { hostKey: verdict.blob, signature: hostSignature } : undefined), // prettier-ignore
      ended: (failure) => fail(failure ? { kind: 'failure', failure } : { kind: 'denied' }),
    });
    inside.writeBy(
      (data) => {
        outbox.write(data);
        rekeying.sent(data.length);
      },
      () => outbox.flush(),
    );
    let wereKeysNamed = false;
    inside.takeGlobalRequests((blobs) => {
      if (phase !== 'ready' || wereKeysNamed) return;
      wereKeysNamed = true;
      const named = blobs.map((blob) => Buffer.from(blob));
      options.hostKeysNamed?.(named, (asked) =>
        proveHostKeys(asked, {
          sessionId: inside.sessionId,
          ask: (blobs, answer) => (phase === 'ready' ? inside.proveHostKeys(blobs, answer) : answer(undefined)),
        }),
      );
    });
    inside.takeChannels(channels, {
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
    inside.limitServer(
      { waiting: () => socket.writableLength, taken: () => outbox.taken },
      {
        tooMuch: () => failed(tooMuchData),
        tooOften: () => failed('the server asked on and did not take the answers'),
      },
    );
    // ssh2 leaves it to the server then to close.
    inside.onDisconnect(() => end({ reason: 'closed' }));
    lendReads(socket, () => inside.areReadsLent);
  });
}

/** By Node's own measure of a write that goes on (the one behind `setTimeout` of a socket): others see a whole write alone. */
function outgoingOf(socket: Socket): Outgoing {
  // eslint-disable-next-line no-restricted-syntax -- Node's
  const { writeQueueSize = 0 } = (socket as unknown as { _handle?: { writeQueueSize?: number } | null })._handle ?? {};
  const given = socket.bytesWritten;
  return { given, taken: given - socket.writableLength, refused: writeQueueSize };
}

const tooMuchData = 'the server sent more data than it was allowed to';

/** How long a server may take to stop listening before it is given up, in milliseconds. */
const cancelMs = 2_000;

/** Channels of a server that may be open at once: each has a connection of this machine, and a window of memory. */
const mostIncoming = 10_000;

/** SSH_MSG_IGNORE (RFC 4253 section 11.2) with nothing in it. */
const ignoredMessage = Buffer.from([2, 0, 0, 0, 0]);

/** For how long the quickest answer counts, in milliseconds. */
const roundTripLastsMs = 10_000;

/** What the server says between two answers: one that never stops must not fill the memory. */
const mostNotes = 20;

/** Of a server's SSH_MSG_DEBUG in a session, for the log. */
const mostDebugs = 100;

function tcpKey(address: string, port: number): string {
  return `${address} ${port}`;
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
