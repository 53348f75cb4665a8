// The only importer of ssh2 1.17.0, and the only place that touches its private parts (each with its reason).
import type { Duplex, Readable } from 'node:stream';
import { BaseAgent, Client, createAgent, utils, type Channel, type ParsedKey } from 'ssh2';
import { FailureError, errorCode, failureOf, type ChannelRefusal, type Failure } from '../core/failure.js';
import { printable } from '../core/printable.js';
import type { Algorithms } from '../core/sshConfig.js';
import { withinTime } from './withinTime.js';

export type SshChannel = Channel;

/** A key that can be offered: `sign` is called only when the server has said that it would take this key. */
export interface Identity {
  /** Its file or the agent's comment, for the log. */
  name: string;
  /** RFC 4253 section 6.6 */
  publicBlob: Buffer;
  sign(data: Buffer, hash: string | undefined): Promise<Buffer>;
}

export type AuthStep =
  { kind: 'none' } | { kind: 'publickey'; identity: Identity } | { kind: 'password'; password: string };

/** What the server's last answer left: `undefined` before the first one. */
export interface AuthState {
  /** The methods that can go on (RFC 4252 section 5.1). */
  offered: readonly string[] | undefined;
  /** The last step was right, and another one is wanted. */
  partial: boolean;
}

export interface SshOptions {
  /** Connected, no-delay set, or a channelSocket; owned by the session from now on. */
  socket: Duplex;
  user: string;
  /** Key types that known_hosts has for the host, best first: asked for before all others. */
  knownKeyTypes: readonly string[];
  /** What may be offered; an absent list is not narrowed. */
  algorithms: Algorithms;
  /** Says yes or throws a FailureError; called once, before any secret is sent. */
  verifyHostKey(blob: Buffer): Promise<void>;
  /** The next step, or undefined when there is none left. */
  authenticate(state: AuthState): Promise<AuthStep | undefined>;
  keepaliveSeconds: number;
  keepaliveCount: number;
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
  /** Whether the connection has enough to send for now; if so, `resume` is called once when it takes more. */
  hold(resume: () => void): boolean;
  /** Called once when the connection is gone, before any channel ends; with undefined after `close`. Returns what undoes it. */
  onEnd(listener: (failure: SessionEnd | undefined) => void): () => void;
  /** Says goodbye and closes the socket; resolves when it is closed. */
  close(): Promise<void>;
}

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
  /** Resolves when the server listens no more, or is gone. */
  close(): Promise<void>;
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
  | { kind: 'denied'; detail?: string }
  | { kind: 'lost'; end: SessionEnd };

export class DialError extends Error {
  constructor(readonly end: DialEnd) {
    super(end.kind);
  }
}

/** RSA keys are known as ssh-rsa and proved with SHA-2; SHA-1 is not offered, as in OpenSSH since 8.8. */
const hostKeyAlgorithms: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

function preferredHostKeys(known: readonly string[]): string[] {
  const types = [...known.filter((type) => type in hostKeyAlgorithms), ...Object.keys(hostKeyAlgorithms)];
  return [...new Set(types)].flatMap((type) => hostKeyAlgorithms[type]!);
}

/**
 * What ssh2 offers by itself, less what the user does not allow; host keys in our own order. Throws a DialError when
 * that leaves no host key: ssh2 would take an empty list for its own.
 */
function offeredAlgorithms({ knownKeyTypes, algorithms }: SshOptions): object {
  const serverHostKey = preferredHostKeys(knownKeyTypes).filter((name) => algorithms.hostKey?.includes(name) ?? true);
  if (serverHostKey.length === 0)
    throw new DialError({
      kind: 'handshake',
      detail: `none of HostKeyAlgorithms is supported: ${algorithms.hostKey?.join(', ')}`,
    });
  const narrowed = (name: string, allowed: readonly string[] | undefined) => {
    if (!allowed) return {};
    const names = allowed.map((one) => one.replace(/[^\w@-]/g, '\\$&')).join('|');
    return { [name]: { remove: [new RegExp(`^(?!(?:${names})$)`)] } };
  };
  return {
    serverHostKey,
    compress: ['none'],
    ...narrowed('kex', algorithms.kex),
    ...narrowed('cipher', algorithms.cipher),
    ...narrowed('hmac', algorithms.mac),
  };
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
  /** Restarts the keepalive's count. */
  _resetKA?: () => void;
  _chanMgr: { add(opened: object): number };
  _protocol: {
    session(id: number, window: number, packetSize: number): void;
    exec(id: number, command: string, wantReply: boolean): void;
    _handlers: { USERAUTH_FAILURE: (protocol: unknown, methods: string[], partial: boolean) => void };
  };
}

interface SshError extends Error {
  level?: string;
  reason?: number;
}

/** Shakes hands, checks the host's key and authenticates. Throws a DialError; the socket is destroyed then. */
export function openSession(options: SshOptions): Promise<SshSession> {
  const { socket } = options;
  const algorithms = offeredAlgorithms(options);
  return new Promise((resolve, reject) => {
    const client = new Client();
    const internals = client as unknown as Internals;
    const endListeners = new Set<(end: SessionEnd | undefined) => void>();
    const waiting = new Set<() => void>();
    let phase: 'handshake' | 'authentication' | 'ready' | 'closing' | 'ended' = 'handshake';
    let verdict: { blob: Buffer } | { failure: Failure } | undefined;
    let heard: string | undefined;
    const authState: { offered: readonly string[] | undefined; partial: boolean } = {
      offered: undefined,
      partial: false,
    };

    const end = (found: SessionEnd) => {
      if (phase === 'ended') return;
      const was = phase;
      phase = 'ended';
      socket.destroy();
      waiting.clear();
      if (was === 'handshake') reject(new DialError(earlyEnd(found)));
      else if (was === 'authentication') reject(new DialError({ kind: 'lost', end: found }));
      else for (const listener of endListeners) listener(was === 'closing' ? undefined : found);
    };
    const earlyEnd = (found: SessionEnd): DialEnd => {
      if (verdict && 'failure' in verdict) return { kind: 'failure', failure: verdict.failure };
      if (internals._remoteVer === undefined)
        return heard === undefined ? { kind: 'closedEarly' } : { kind: 'notSsh', said: firstLine(heard) };
      return { kind: 'lost', end: found };
    };
    const fail = (why: DialEnd) => {
      if (phase !== 'handshake' && phase !== 'authentication') return;
      phase = 'ended';
      socket.destroy();
      reject(new DialError(why));
    };

    // Before ssh2's own listeners: clients must be reset before their channels end, or a cut transfer would look complete.
    socket.on('error', (error) => end({ reason: 'reset', detail: errorCode(error) }));
    socket.on('end', () => end({ reason: 'closed' }));
    socket.on('close', () => end({ reason: 'closed' }));
    socket.once('data', (data: Buffer) => (heard = data.toString('latin1', 0, 200)));
    socket.on('drain', () => {
      const resumed = [...waiting];
      waiting.clear();
      for (const resume of resumed) resume();
    });

    client.on('error', (error: SshError) => {
      const said = printable(error.message);
      options.log(`ssh2 ${error.level ?? phase}: ${said}`);
      if (error.level === 'agent') return;
      if (verdict && 'failure' in verdict) fail({ kind: 'failure', failure: verdict.failure });
      else if (error.level === 'client-timeout') end({ reason: 'keepalive' });
      else if (error.level === 'client-socket') end({ reason: 'reset', detail: errorCode(error) });
      else if (error.level === 'client-authentication') fail({ kind: 'denied' });
      // The server's own goodbye, which ssh2 hands on with the disconnect code and no level.
      else if (phase === 'authentication') fail({ kind: 'denied', detail: said });
      else if (phase === 'handshake')
        fail(internals._remoteVer === undefined ? earlyEnd({ reason: 'closed' }) : { kind: 'handshake', detail: said });
      else end({ reason: 'disconnected', detail: said });
    });
    client.on('change password', () =>
      fail({ kind: 'denied', detail: 'the password has expired; change it with ssh' }),
    );
    client.on('handshake', () => {
      if (phase === 'handshake') phase = 'authentication';
    });

    /** By what was asked for: address and port, or path. */
    const acceptors = new Map<string, (incoming: IncomingChannel) => void>();
    /** Requests to listen that have no answer yet. */
    const requested = new Set<string>();
    /** What the server said since it answered the last request to listen. */
    let notes: string[] = [];

    /** Resolves with the server's answer, or with nothing when the connection ends before it comes. */
    const answerOf = <T>(ask: (answer: (given: T) => void) => void) =>
      new Promise<T | undefined>((resolve) => {
        const settle = (given?: T) => {
          endListeners.delete(gone);
          resolve(given);
        };
        const gone = () => settle();
        endListeners.add(gone);
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
    const stopListening = async (key: string, ask: (done: () => void) => void): Promise<void> => {
      acceptors.delete(key);
      if (phase === 'ready') await withinTime(cancelMs, answerOf<void>(ask));
    };
    const offer = (key: string, origin: IncomingChannel['origin'], accept: () => Channel, reject: () => void) => {
      const onChannel = acceptors.get(key);
      if (!onChannel) return reject();
      onChannel({
        ...(origin && { origin }),
        accept: () => {
          if (phase !== 'ready') return undefined;
          return guarded(accept());
        },
        reject: () => {
          if (phase === 'ready') reject();
        },
      });
    };
    client.on('tcp connection', ({ destIP, destPort, srcIP, srcPort }, accept, reject) =>
      offer(tcpKey(destIP, destPort), { address: printable(srcIP), port: srcPort }, accept, reject),
    );
    client.on('unix connection', ({ socketPath }, accept, reject) => offer(socketPath, undefined, accept, reject));

    const hostVerifier = (blob: Buffer, verify: (accepted: boolean) => void) => {
      // Asked again at every rekey: only the same key passes.
      if (verdict) {
        verify('blob' in verdict && verdict.blob.equals(blob));
        return;
      }
      const copy = Buffer.from(blob);
      options.verifyHostKey(copy).then(
        () => {
          verdict = { blob: copy };
          verify(true);
        },
        (error: unknown) => {
          verdict = { failure: failureOf(error) };
          verify(false);
        },
      );
    };

    const nextStep = (next: (step: unknown) => void) => {
      options.authenticate({ ...authState }).then(
        (step) => {
          if (phase === 'authentication') next(step ? ssh2Step(options.user, step) : false);
        },
        (error: unknown) => fail({ kind: 'failure', failure: failureOf(error) }),
      );
    };

    client.on('ready', () => {
      phase = 'ready';
      let fresh = true;
      const rest = setInterval(() => (fresh = true), 1000);
      rest.unref();
      socket.once('close', () => clearInterval(rest));
      // ssh2 counts missed answers even while data comes in; any byte of the server proves that it lives.
      socket.on('data', () => {
        if (!fresh) return;
        fresh = false;
        internals._resetKA?.();
      });
      resolve(session);
    });

    const session: SshSession = {
      openTcp: ({ host, port }, origin) =>
        openChannel((opened) => client.forwardOut(origin.address, origin.port, host, port, opened)),
      openUnix: (path) => openChannel((opened) => client.openssh_forwardOutStreamLocal(path, opened)),
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
      hold(resume) {
        if (!socket.writableNeedDrain) return false;
        waiting.add(resume);
        return true;
      },
      onEnd(listener) {
        endListeners.add(listener);
        return () => endListeners.delete(listener);
      },
      close: () =>
        new Promise((closed) => {
          if (socket.destroyed) return closed();
          phase = 'closing';
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
      algorithms,
      hostVerifier,
      authHandler: ((_methods: unknown, _partial: unknown, next: (step: unknown) => void) => nextStep(next)) as never,
      readyTimeout: 0,
      keepaliveInterval: options.keepaliveSeconds * 1000,
      keepaliveCountMax: options.keepaliveCount,
      strictVendor: false,
      debug: (text) => {
        const [, said] = /^Debug output from server: (.*)$/s.exec(text) ?? [];
        if (said === undefined) return;
        if (notes.length < mostNotes) notes.push(said);
        options.log(printable(text));
      },
    });
    // ssh2 forgets the server's answer to an agent's key (which methods are left, and whether the step was right).
    const handlers = internals._protocol._handlers;
    const onFailure = handlers.USERAUTH_FAILURE;
    handlers.USERAUTH_FAILURE = (protocol, methods, partial) => {
      authState.offered = methods;
      authState.partial = partial;
      onFailure(protocol, methods, partial);
    };
  });
}

/** How long a server may take to stop listening before it is given up, in milliseconds. */
const cancelMs = 2_000;

/** What the server says between two answers: one that never stops must not fill the memory. */
const mostNotes = 20;

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

function openChannel(
  open: (opened: (error: SshError | undefined, channel: Channel) => void) => void,
): Promise<SshChannel> {
  return new Promise((opened, refused) => {
    const refuse = (refusal: ChannelRefusal, detail: string) =>
      refused(new FailureError({ kind: 'channelRefused', target: '', host: '', refusal, detail }));
    try {
      open((error, channel) => {
        if (error)
          return refuse(
            refusalOf(error.reason),
            printable(error.message.replace(/^\(SSH\) Channel open failure: /, '')),
          );
        if (guarded(channel)) opened(channel);
        else refuse('other', 'it takes no data');
      });
    } catch (error) {
      refuse('other', error instanceof Error ? error.message : String(error));
    }
  });
}

/** How long a command may take with all that is around it, in milliseconds, and what it may write, in bytes. */
const commandMs = 5_000;
const commandBytes = 256 * 1024;

/** What ssh2 tells the server of a channel, and counts with. */
const windowBytes = 2 * 1024 * 1024;
const packetBytes = 32 * 1024;

/** What is read of ssh2's channel and not in its types. */
interface ChannelInternals {
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
function refusalOf(reason: number | undefined): ChannelRefusal {
  const names: readonly ChannelRefusal[] = ['prohibited', 'connectFailed', 'unknownType', 'resourceShortage'];
  return names[(reason ?? 0) - 1] ?? 'other';
}

function ssh2Step(username: string, step: AuthStep): object {
  switch (step.kind) {
    case 'none':
      return { type: 'none', username };
    case 'password':
      return { type: 'password', username, password: step.password };
    case 'publickey':
      return { type: 'agent', username, agent: new OneKey(step.identity) };
  }
}

/** Every key, a file's too, goes to ssh2 as an agent with one key: it is asked to sign only after the server's yes. */
class OneKey extends BaseAgent<ParsedKey> {
  constructor(private readonly identity: Identity) {
    super();
  }
  override getIdentities(callback: (error: Error | undefined, keys?: ParsedKey[]) => void): void {
    const key = utils.parseKey(this.identity.publicBlob);
    if (key instanceof Error) callback(key);
    else callback(undefined, [key]);
  }
  override sign(
    _key: unknown,
    data: Buffer,
    options: unknown,
    callback?: (error?: Error, signature?: Buffer) => void,
  ): void {
    const { hash } = (options ?? {}) as { hash?: string };
    this.identity.sign(Buffer.from(data), hash).then(
      (signature) => callback?.(undefined, signature),
      (error: unknown) => callback?.(error instanceof Error ? error : new Error(String(error))),
    );
  }
}

/** The keys of an agent in its order; those that ssh2 can't use are left out. Rejects with the system's error. */
export function agentIdentities(path: string): Promise<Identity[]> {
  const agent = createAgent(path);
  return new Promise((resolve, reject) => {
    agent.getIdentities((error, keys) => {
      if (error) return reject(error);
      const usable = (keys ?? [])
        .map((key) => utils.parseKey(key as ParsedKey))
        .filter((key): key is ParsedKey => !(key instanceof Error));
      resolve(
        usable.map((key) => ({
          name: `${key.comment || key.type} (agent)`,
          publicBlob: key.getPublicSSH(),
          sign: (data, hash) =>
            new Promise((signed, refused) => {
              agent.sign(key, data, hash ? { hash: hash as 'sha256' } : {}, (error, signature) => {
                if (signature) signed(signature);
                else refused(error ?? new Error('no signature'));
              });
            }),
        })),
      );
    });
  });
}

export type PrivateKeyResult =
  { kind: 'key'; identity: Identity } | { kind: 'encrypted' } | { kind: 'wrongPassphrase' } | { kind: 'invalid' };

/** Reads a private key's file text (OpenSSH, PEM, PuTTY); `encrypted` where a passphrase is needed and none was given. */
export function readPrivateKey(name: string, text: string, passphrase: string | undefined): PrivateKeyResult {
  const key = utils.parseKey(text, passphrase);
  if (key instanceof Error) {
    // ssh2 tells these apart by its message alone.
    if (/no passphrase given/i.test(key.message)) return { kind: 'encrypted' };
    return { kind: passphrase === undefined ? 'invalid' : 'wrongPassphrase' };
  }
  const single = Array.isArray(key) ? (key as ParsedKey[])[0]! : key;
  if (!single.isPrivateKey()) return { kind: 'invalid' };
  return {
    kind: 'key',
    identity: {
      name,
      publicBlob: single.getPublicSSH(),
      sign: (data, hash) => {
        const signature: Buffer | Error = single.sign(data, hash);
        return signature instanceof Error ? Promise.reject(signature) : Promise.resolve(signature);
      },
    },
  };
}

/** The blob of a public key's file text, or of the open part of an OpenSSH private key; undefined where there is none. */
export function publicBlob(text: string): Buffer | undefined {
  const armour = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----END/.exec(text);
  if (armour) return openPart(Buffer.from(armour[1]!, 'base64'));
  if (text.includes('PRIVATE KEY')) return undefined;
  const key = utils.parseKey(text);
  return key instanceof Error ? undefined : key.getPublicSSH();
}

/** OpenSSH PROTOCOL.key: magic, cipher, kdf, kdf options, number of keys, public key. */
function openPart(data: Buffer): Buffer | undefined {
  const magic = 'openssh-key-v1\0';
  if (data.toString('latin1', 0, magic.length) !== magic) return undefined;
  let at = magic.length;
  const read = (): Buffer | undefined => {
    if (at + 4 > data.length) return undefined;
    const length = data.readUInt32BE(at);
    at += 4 + length;
    return at <= data.length ? data.subarray(at - length, at) : undefined;
  };
  for (let skipped = 0; skipped < 3; skipped++) if (!read()) return undefined;
  at += 4;
  const blob = read();
  return blob && Buffer.from(blob);
}
