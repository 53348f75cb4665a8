// Who can really connect to a listener of the server. Its answer does not tell (sshd's GatewayPorts narrows and widens
// silently), so we knock from the server itself: at loopback, and where only a listener for all interfaces answers.
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import type { Access, BoundAddress } from '../core/engine.js';
import { failureOf } from '../core/failure.js';
import { isLoopback } from '../core/wording.js';
import type { IncomingChannel, RemoteListener, SshChannel, SshSession } from './sshClient.js';

/** How long the server may take to let us knock, in milliseconds. */
const limitMs = 2_000;
const wordLength = 16;

/** Addresses of the loopback network that a listener on 127.0.0.1 does not have, and one on all interfaces does. */
const otherLoopbacks = ['127.0.0.2', '127.0.0.3'];

export interface ServerAccess {
  /** Takes a connection if it may be our own knocking; what turns out to be a client's is handed on, with all its bytes. */
  offer(incoming: IncomingChannel): boolean;
  /** Knocks, once. Never rejects. */
  find(listener: RemoteListener): Promise<{ bound: readonly BoundAddress[]; access: Access | 'unknown' }>;
}

type Knock = 'answered' | 'refused' | 'unclear';

/** `address` is what the server was asked for; a channel that is a client's goes to `serve`. */
export function createServerAccess(
  session: SshSession,
  address: string,
  serve: (incoming: IncomingChannel) => void,
): ServerAccess {
  /** By the word that is sent through the listener, and comes back to us. */
  const knocks = new Map<string, () => void>();
  /** Connections that have not said yet whose they are. */
  const waiting = new Set<() => void>();
  let isOver = false;

  const listenTo = (incoming: IncomingChannel) => {
    const channel = incoming.accept();
    if (!channel) return;
    const settle = () => {
      waiting.delete(settle);
      channel.removeListener('readable', look).removeListener('close', settle);
      const word = channel.readableLength >= wordLength ? (channel.read(wordLength) as Buffer) : undefined;
      const answered = word && knocks.get(word.toString('hex'));
      if (answered) {
        answered();
        return closeChannel(channel);
      }
      if (word) channel.unshift(word);
      serve({ ...incoming, accept: () => channel, reject: () => closeChannel(channel) });
    };
    // Looked at while it stays in the stream: what a client says, and its end, is for the target.
    const look = () => {
      if (channel.readableLength >= wordLength) settle();
    };
    waiting.add(settle);
    channel.on('readable', look);
    channel.once('close', settle);
  };

  const knock = async (at: string, port: number, signal: Promise<void>): Promise<Knock> => {
    const word = randomBytes(wordLength);
    const answered = new Promise<Knock>((resolve) => knocks.set(word.toString('hex'), () => resolve('answered')));
    try {
      const channel = await session.openTcp({ host: at, port }, { address: '127.0.0.1', port: 0 });
      channel.write(word);
      // Something else may listen there.
      const result = await Promise.race([answered, signal.then((): Knock => 'unclear')]);
      closeChannel(channel);
      return result;
    } catch (error) {
      const failure = failureOf(error);
      const isRefused = failure.kind === 'channelRefused' && failure.refusal === 'connectFailed';
      return isRefused && /refused/i.test(failure.detail) ? 'refused' : 'unclear';
    }
  };

  return {
    offer(incoming) {
      if (isOver) return false;
      listenTo(incoming);
      return true;
    },
    async find({ port, notes }) {
      const isOwn = isIP(address) > 0 && !/^(0\.0\.0\.0|::)$/.test(address);
      const specific = isOwn && !isLoopback(address) ? [address] : [];
      const loopbacks = [...new Set(['127.0.0.1', '::1', ...(isOwn && isLoopback(address) ? [address] : [])])];
      const other = otherLoopbacks.find((one) => one !== address)!;
      const places = [...loopbacks, other, ...specific];
      let giveUp = () => {};
      const late = new Promise<void>((resolve) => (giveUp = resolve));
      const timer = setTimeout(giveUp, limitMs);
      const forget = session.onEnd(giveUp);
      const found = new Map<string, Knock>();
      const all = Promise.all(
        places.map(async (at) => {
          found.set(at, await knock(at, port, late));
        }),
      );
      await Promise.race([all, late]);
      clearTimeout(timer);
      forget();
      isOver = true;
      for (const settle of [...waiting]) settle();
      const answers = (at: string) => found.get(at) === 'answered';
      // sshd says so when GatewayPorts yes widens what was asked for (channels.c, channel_fwd_bind_addr).
      const isOverridden = notes.some((note) => note.includes('overridden by server GatewayPorts'));
      const isWide = isOverridden || answers(other);
      const addresses = isWide
        ? ['0.0.0.0', ...(answers('::1') ? ['::'] : [])]
        : [...loopbacks, ...specific].filter(answers);
      // A listener on ::1 may be one on all of IPv6, which has no other address that is there on every machine.
      const isNarrow =
        found.get(other) === 'refused' && loopbacks.some((one) => answers(one) && (one !== '::1' || one === address));
      const access = isWide || specific.some(answers) ? 'network' : isNarrow ? 'machine' : 'unknown';
      const bound = addresses.map((one): BoundAddress => ({ kind: 'tcp', address: one, port }));
      const asked: BoundAddress = { kind: 'tcp', address: address === '' ? '*' : address, port };
      return { bound: bound.length > 0 ? bound : [asked], access };
    },
  };
}

function closeChannel(channel: SshChannel): void {
  channel.on('data', () => {});
  channel.resume();
  channel.close();
}
