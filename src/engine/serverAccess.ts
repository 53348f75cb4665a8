// Who can really connect to a listener of the server. Its answer does not tell (sshd's GatewayPorts narrows and widens
// silently), so we knock from the server itself: at loopback, and where only a listener for all interfaces answers. One
// address after the other: what is told of a connection does not say which address it came to.
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import type { Access, BoundAddress } from '../core/engine.js';
import { failureOf, type Failure } from '../core/failure.js';
import { isLoopback } from '../core/wording.js';
import { channelStream } from './channelStream.js';
import type { IncomingChannel, RemoteListener, SshSession } from './sshClient.js';

/** How long a client is kept that may be our knocking, in milliseconds. */
const limitMs = 2_000;
/** How long a server that is near may take for all the knocking. */
const patienceMs = 4_000;
/** How long one that is near may take to tell of a connection, and to hand a word on. */
const wordMs = 1_000;
/** How long a word that was not heard in time may still come, over a line that stands still. */
const lateWordMs = 10_000;
const wordLength = 16;

/** Addresses of the loopback network that nobody asks for: a listener on 127.0.0.1 does not have them, one on all interfaces does. */
const elsewhere = ['127.83.83.72', '127.83.83.73'];

export interface ServerAccess {
  /** Takes a connection if it may be our own knocking; what turns out to be a client's is handed on, with all its bytes. */
  offer(incoming: IncomingChannel): boolean;
  /** Knocks, once. Never rejects. `others`: addresses that were asked for, too, but something else has. */
  find(listener: RemoteListener): Promise<{
    bound: readonly BoundAddress[];
    others: readonly string[];
    access: Access | 'unknown';
  }>;
  /** Ends the finding with what is known, and keeps nobody any longer. */
  end(): void;
}

/** `ours`: it came back to the listener; `other`: something else answered. */
type Answer = 'ours' | 'other' | 'refused' | 'unclear';

/** What is under way at one port of a server: several listeners of ours may have it, each at another address. */
interface Knocks {
  /** By the word that is sent through a listener and comes back to us; called with the listener that it came by. */
  words: Map<string, (by: object) => void>;
  /** How many of the words are on their way. */
  sent: number;
  /** Settles when the last knock that was asked for has its answer. */
  turn: Promise<unknown>;
  /** How many still find out. */
  finders: number;
  /** Called for each connection to the port. */
  arrived: () => void;
  /** Connections that have not said yet whose they are. */
  waiting: Set<Waiting>;
}
interface Waiting {
  /** By which listener it came. */
  by: object;
  /** It is no knock of ours, if none is on its way. */
  isDue: boolean;
  settle(): void;
}
const knocksOf = new WeakMap<SshSession, Map<number, Knocks>>();

/** `address` is what the server was asked for; a channel that is a client's goes to `serve`. */
export function createServerAccess(
  session: SshSession,
  address: string,
  serve: (incoming: IncomingChannel) => void,
): ServerAccess {
  const self = {};
  const ports = knocksOf.get(session) ?? new Map<number, Knocks>();
  knocksOf.set(session, ports);
  const askedAt = Date.now();
  /** Connections that were there before the server's answer had been read. */
  let early: IncomingChannel[] | undefined = [];
  let ownPort = 0;
  let isOver = false;
  let isEnded = false;
  let finish = () => {};
  const ended = new Promise<void>((resolve) => (finish = resolve));

  const listenTo = (incoming: IncomingChannel, knocks: Knocks) => {
    if (isEnded) return serve(incoming);
    const channel = incoming.accept();
    if (!channel) return;
    const stream = channelStream(channel);
    const settle = () => {
      clearTimeout(late);
      knocks.waiting.delete(waiting);
      stream.removeListener('readable', look);
      const word = stream.readableLength >= wordLength ? (stream.read(wordLength) as Buffer) : undefined;
      const heard = word && knocks.words.get(word.toString('hex'));
      if (heard) {
        heard(self);
        return channel.close();
      }
      if (word) stream.unshift(word);
      serve({ ...incoming, accept: () => stream.release(), reject: () => channel.close() });
    };
    // Looked at while it stays in the stream: what a client says, and its end, is for the target.
    const look = () => {
      if (stream.readableLength >= wordLength) settle();
    };
    const waiting: Waiting = { by: self, isDue: false, settle };
    knocks.waiting.add(waiting);
    knocks.arrived();
    // We are told of a knock that was let in at the same time as of the connection that it makes: a client that waits
    // for the target to speak first is not kept for those that the server is slow to let in.
    const late = setTimeout(() => {
      waiting.isDue = true;
      if (knocks.sent === 0) settle();
    }, limitMs);
    stream.on('readable', look);
  };

  /** Hands on who waits, unless a word of ours may still come by one of them. */
  const handOn = (knocks: Knocks) => {
    if (knocks.sent > 0) return;
    const isFound = knocks.finders === 0;
    if (isFound && ports.get(ownPort) === knocks) ports.delete(ownPort);
    for (const one of [...knocks.waiting]) if (isFound || one.isDue) one.settle();
  };

  const knock = async (at: string, knocks: Knocks): Promise<Answer> => {
    if (isOver) return 'unclear';
    const word = randomBytes(wordLength).toString('hex');
    const heard = new Promise<object>((resolve) => knocks.words.set(word, resolve));
    const arrived = new Promise<true>((resolve) => (knocks.arrived = () => resolve(true)));
    const since = Date.now();
    let isSent = false;
    const forget = () => {
      knocks.words.delete(word);
      handOn(knocks);
    };
    try {
      const channel = await session.openTcp({ host: at, port: ownPort }, { address: '127.0.0.1', port: 0 });
      const patience = wordMs + 3 * (Date.now() - since);
      // Another program of the server is not to be written to.
      if (!(await within(session, patience, arrived))) {
        channel.close();
        return 'other';
      }
      knocks.sent++;
      // However late: what was let in must not be taken for a client.
      channel.write(Buffer.from(word, 'hex'));
      const by = await within(session, patience, heard);
      channel.close();
      const isHeard = by ? Promise.resolve() : within(session, lateWordMs, heard);
      isSent = true;
      void isHeard.then(() => {
        knocks.sent--;
        forget();
      });
      return by === self ? 'ours' : 'other';
    } catch (error) {
      return isNobodyThere(failureOf(error)) ? 'refused' : 'unclear';
    } finally {
      if (!isSent) forget();
    }
  };

  const knockAt = async (addresses: readonly string[], found: Map<string, Answer>, knocks: Knocks) => {
    for (const at of addresses) {
      const answer = knocks.turn.then(() => knock(at, knocks));
      knocks.turn = answer;
      found.set(at, await answer);
    }
    knocks.finders--;
    handOn(knocks);
  };

  return {
    end() {
      isEnded = true;
      finish();
      for (const one of [...(ports.get(ownPort)?.waiting ?? [])]) if (one.by === self) one.settle();
    },
    offer(incoming) {
      const knocks = ports.get(ownPort);
      if (early) early.push(incoming);
      else if (knocks) listenTo(incoming, knocks);
      return early !== undefined || knocks !== undefined;
    },
    async find({ port, notes }) {
      ownPort = port;
      const knocks: Knocks = ports.get(port) ?? {
        words: new Map(),
        sent: 0,
        turn: Promise.resolve(),
        finders: 0,
        arrived: () => {},
        waiting: new Set(),
      };
      knocks.finders++;
      ports.set(port, knocks);
      for (const incoming of early ?? []) listenTo(incoming, knocks);
      early = undefined;
      const found = new Map<string, Answer>();
      const patience = patienceMs + 6 * (Date.now() - askedAt);
      const { loopbacks, other, specific } = doorsOf(address);
      const all = knockAt([...loopbacks, other, ...specific], found, knocks);
      await within(session, patience, Promise.race([all, ended]));
      isOver = true;

      // sshd says so when GatewayPorts yes widens what was asked for (channels.c, channel_fwd_bind_addr).
      const isOverridden = notes.some((note) => note.includes('overridden by server GatewayPorts'));
      const { bound, ...known } = accessBy(address, found, isOverridden);
      return { bound: bound.map((one) => ({ kind: 'tcp', address: one, port })), ...known };
    },
  };
}

/** The server was refused where it tried to connect to: nobody listens there. */
export function isNobodyThere(failure: Failure): boolean {
  return failure.kind === 'channelRefused' && failure.refusal === 'connectFailed' && /refused/i.test(failure.detail);
}

/** Where to knock at a listener that the server was asked for at `address`. */
function doorsOf(address: string) {
  const isOwn = isIP(address) > 0 && !/^(0\.0\.0\.0|::)$/.test(address);
  return {
    loopbacks: [...new Set(['127.0.0.1', '::1', ...(isOwn && isLoopback(address) ? [address] : [])])],
    /** Only a listener on all interfaces has it. */
    other: elsewhere.find((one) => one !== address)!,
    specific: isOwn && !isLoopback(address) ? [address] : [],
  };
}

/** What the answers to our knocking say of a listener that the server was asked for at `address`. */
export function accessBy(
  address: string,
  found: ReadonlyMap<string, Answer>,
  isOverridden: boolean,
): { bound: readonly string[]; others: readonly string[]; access: Access | 'unknown' } {
  const { loopbacks, other, specific } = doorsOf(address);
  const isOurs = (at: string) => found.get(at) === 'ours';
  const isWide = isOverridden || isOurs(other);
  const isWideFour = isOurs(other) || isOurs('127.0.0.1');
  // All of IPv6 has no other address that is there on every machine; but a server that narrows it takes IPv4, too.
  const isWideSix = !isWide && address === '::' && isOurs('::1') && found.get('127.0.0.1') === 'refused';
  const bound = isWide
    ? [...(isWideFour ? ['0.0.0.0'] : []), ...(isOurs('::1') ? ['::'] : [])]
    : isWideSix
      ? ['::']
      : [...loopbacks, ...specific].filter(isOurs);
  const asked = address === '' || isOverridden ? '*' : address;
  const wildcards: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const wanted = ['', 'localhost'].includes(address) ? ['127.0.0.1', '::1'] : [wildcards[address] ?? address];
  // A name may have an outer address, too, where the server listens if GatewayPorts is clientspecified.
  const isName = address !== '' && address !== 'localhost' && isIP(address) === 0;
  const isNarrow =
    !isName &&
    found.get(other) === 'refused' &&
    loopbacks.some((one) => isOurs(one) && (one !== '::1' || one === address));
  return {
    bound: bound.length > 0 ? bound : [asked],
    // sshd calls it success when one family could be bound (channels.c). If none of our knocks came back, whatever
    // answered may be ours.
    others: bound.length > 0 ? wanted.filter((one) => found.get(one) === 'other') : [],
    access: isWide || isWideSix || specific.some(isOurs) ? 'network' : isNarrow ? 'machine' : 'unknown',
  };
}

/** Undefined after so many milliseconds, or when the session is gone. */
function within<T>(session: SshSession, ms: number, wanted: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const settle = (value?: T) => {
      clearTimeout(late);
      forget();
      resolve(value);
    };
    const late = setTimeout(settle, ms);
    const forget = session.onEnd(() => settle());
    void wanted.then(settle);
  });
}
