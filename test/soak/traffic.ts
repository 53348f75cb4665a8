// Clients of the tunnels, many at a time: what each stream came to, judged from both of its ends.
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { descendants } from '../support/sshd.js';
import type { ProxyKind } from '../support/targets.js';
import { isHeldBy } from './leaks.js';
import type { Random } from './random.js';
import { header, knockId, now, openClient, stateText, type Run } from './run.js';
import { drawStream, keystream, playEnd, type End, type EndSeen, type StreamPlan } from './stream.js';
import type { Slot } from './world.js';

export interface TrafficCounts {
  whole: number;
  cut: number;
  /** Of those that were cut, streams that were started again. */
  again: number;
  /** Whose client went by itself. */
  vanished: number;
  /** Nobody listened: the tunnel was stopped, or its connection (-R) down. */
  refused: number;
  /** Came while the connection was down, and were whole. */
  parked: number;
  /** Ended early where no reset can be told: at a Unix socket, or a socket of a server that was killed. */
  endedEarly: number;
  bytes: number;
}

export interface Traffic {
  readonly counts: TrafficCounts;
  readonly active: number;
  /** A client of the services. */
  serve(socket: Socket, header: Buffer): void;
  /** No stream begins until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends the clients when their streams are over, or after so many milliseconds. */
  stop(withinMs: number): Promise<void>;
}

interface Stream {
  id: number;
  name: string;
  slot: Slot;
  plan: StreamPlan;
  since: number;
  client?: End;
  service?: End;
  /** Ends it, from our side. */
  abandon(): void;
  isAbandoned: boolean;
  progress: { moved: number; at: number };
}

type Outcome = 'whole' | 'cut' | 'refused' | 'vanished' | 'abandoned';

/** A stream moves within this time, in milliseconds: silent ones, parked ones and slow readers all do. */
const stuckMs = 30_000;
/** A far end hears of its near end's end within this time. */
const otherEndMs = 20_000;
const mostTries = 5;
const proxies: readonly ProxyKind[] = ['SOCKS4', 'SOCKS4a', 'SOCKS5', 'HTTP CONNECT'];

export function startTraffic(getRun: () => Run, lanes: number, random: Random): Traffic & { start(): void } {
  const counts: TrafficCounts = {
    whole: 0,
    cut: 0,
    again: 0,
    vanished: 0,
    refused: 0,
    parked: 0,
    endedEarly: 0,
    bytes: 0,
  };
  const streams = new Map<number, Stream>();
  /** Those that have ended last. */
  const lately: Stream[] = [];
  let ids = knockId;
  let isOver = false;
  let gate: { open: Promise<void>; resume: () => void } | undefined;
  let looking: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();
  const quit = new AbortController();
  setMaxListeners(0, quit.signal);
  const pauseFor = (ms: number) => sleep(ms, undefined, { signal: quit.signal }).catch(() => {});

  const serve = (socket: Socket, head: Buffer) => {
    const id = head.readUInt32LE(4);
    if (!head.subarray(0, 4).equals(Buffer.from('SOAK'))) {
      // Other programs of this machine may knock at our ports, too.
      const isOurs = isHeldBy([process.pid, ...descendants(process.pid)], socket);
      if (isOurs !== false)
        getRun().flaw(
          'wrong bytes',
          `a service heard ${head.toString('hex')} first: ${whose(head)} (${isOurs ? 'ours' : 'gone'})`,
        );
      socket.destroy();
      return;
    }
    if (id === knockId) {
      socket.resume();
      socket.end('k');
      return;
    }
    const stream = streams.get(id);
    if (!stream) return void socket.destroy();
    const { plan, name } = stream;
    stream.service = playEnd(socket, {
      part: plan.service,
      expected: plan.client.bytes,
      sends: `${name} down`,
      expects: `${name} up`,
      isSecond: plan.order === 'client',
    });
  };

  /** Of which streams the bytes are, that a service has heard without the number of a stream before them. */
  const whose = (bytes: Buffer) => {
    const found = [...streams.values(), ...lately].flatMap(({ name, slot, plan }) => {
      const at = keystream(`${name} up`)(plan.client.bytes).indexOf(bytes);
      return at < 0 ? [] : [`byte ${at} of ${name} at ${slot.name}`];
    });
    return found.join(', ') || 'of no stream';
  };

  const play = async (slot: Slot, plan: StreamPlan, name: string, proxy: ProxyKind): Promise<Outcome> => {
    const run = getRun();
    const place = run.place(slot);
    if (!place) return 'refused';
    const since = now();
    const wasWanted = run.isWanted(slot);
    const before = run.state(slot);
    const wasDown = before?.kind !== 'ready' || before.isIdle === true;
    const { socket, reached } = openClient(slot, place, run.world.servicePort, proxy);
    const stream: Stream = {
      id: ++ids,
      name,
      slot,
      plan,
      since,
      isAbandoned: false,
      abandon() {
        stream.isAbandoned = true;
        socket.destroy();
        stream.service?.leave();
      },
      progress: { moved: 0, at: since },
    };
    streams.set(stream.id, stream);
    try {
      let client: EndSeen;
      try {
        await reached;
        socket.write(header(stream.id));
        stream.client = playEnd(socket, {
          part: plan.client,
          expected: plan.service.bytes,
          sends: `${name} up`,
          expects: `${name} down`,
          isSecond: plan.order === 'service',
          ...(plan.vanish && { vanish: plan.vanish }),
        });
        client = await stream.client.seen;
      } catch (error) {
        const { code = '', message } = error as NodeJS.ErrnoException;
        client = { sent: 0, received: 0, outcome: code || message };
      }
      const service = await otherEnd(stream);
      return judge(run, stream, client, service, wasWanted, wasDown);
    } finally {
      streams.delete(stream.id);
      lately.push(stream);
      if (lately.length > 100) lately.shift();
    }
  };

  const otherEnd = async ({ service, slot, name, since }: Stream): Promise<EndSeen | undefined> => {
    if (!service) return undefined;
    const late = new AbortController();
    const waited = sleep(otherEndMs, 'late' as const, { signal: late.signal }).catch(() => 'late' as const);
    const found = await Promise.race([service.seen, waited]);
    late.abort();
    if (found !== 'late') return found;
    service.leave();
    const run = getRun();
    if (!run.disturbances.touched([slot.host, slot.id], since))
      run.flaw('stuck', `${name} at ${slot.name}: the client has gone, its service has not heard of it`);
    return { ...(await service.seen), outcome: 'late' };
  };

  const judge = (
    run: Run,
    { slot, plan, name, since, isAbandoned }: Stream,
    client: EndSeen,
    service: EndSeen | undefined,
    wasWanted: boolean,
    wasDown: boolean,
  ): Outcome => {
    const at = `${name} at ${slot.name}`;
    const told = `client ${client.outcome} with ${client.received} of ${plan.service.bytes}, service ${
      service ? `${service.outcome} with ${service.received} of ${plan.client.bytes}` : 'not reached'
    }`;
    counts.bytes += client.received + (service?.received ?? 0);
    for (const [end, seen] of Object.entries({ client, service }))
      if (seen?.wrong !== undefined) run.flaw('wrong bytes', `${at}, ${end}: ${seen.wrong}`);
    if (isAbandoned) return 'abandoned';
    if (plan.vanish && client.outcome === 'left') {
      counts.vanished++;
      return 'vanished';
    }
    const isComplete = (seen: EndSeen | undefined, expected: number) =>
      seen?.outcome === 'end' && seen.received === expected;
    if (
      isComplete(client, plan.service.bytes) &&
      client.sent === plan.client.bytes &&
      isComplete(service, plan.client.bytes)
    ) {
      counts.whole++;
      if (wasDown) counts.parked++;
      return 'whole';
    }
    const isTruncated = (seen: EndSeen | undefined, expected: number) =>
      seen?.outcome === 'end' && seen.received < expected;
    const isNearTruncated =
      slot.near === 'client' ? isTruncated(client, plan.service.bytes) : isTruncated(service, plan.client.bytes);
    if (isNearTruncated && slot.nearKind === 'tcp') run.flaw('truncated, looked whole', `${at}: ${told}`);
    else if (isTruncated(client, plan.service.bytes) || isTruncated(service, plan.client.bytes)) counts.endedEarly++;

    const isRefused = ['ECONNREFUSED', 'ENOENT'].includes(client.outcome) && client.sent === 0;
    const { touched } = run.disturbances;
    if (isRefused && slot.near === 'client' && wasWanted && !touched([slot.id, `edge ${slot.id}`], since - 100))
      run.flaw('listener closed', `${at}: ${client.outcome}; the tunnel is ${stateText(run.state(slot))}`);
    const isExplained =
      !wasWanted ||
      touched([slot.host, slot.id], since - 100) ||
      touched([`edge ${slot.id}`], since - 100, since + 1000);
    if (!isExplained)
      run.flaw(
        'cut for nothing',
        `${at}: ${told}; after ${Math.round(now() - since)} ms, the tunnel is ${stateText(run.state(slot))}`,
      );
    if (isRefused) counts.refused++;
    else counts.cut++;
    return isRefused ? 'refused' : 'cut';
  };

  const lane = async (number: number) => {
    const own = random.fork(`lane ${number}`);
    for (let count = 1; !isOver; count++) {
      const { world } = getRun();
      const slot = own.pick(world.slots);
      const plan = drawStream(own);
      const proxy = own.pick(proxies);
      const restMs = own.sized(1, 800);
      for (let tries = 1; tries <= mostTries; tries++) {
        await gate?.open;
        if (isOver || !getRun().isWanted(slot)) break;
        if (tries > 1) counts.again++;
        const outcome = await play(slot, plan, `stream ${number}.${count}.${tries}`, proxy);
        if (outcome !== 'cut' && outcome !== 'refused') break;
        await pauseFor(300);
      }
      await pauseFor(restMs);
    }
  };

  const lookForStuck = () => {
    for (const stream of streams.values()) {
      const moved = (stream.client?.moved ?? 0) + (stream.service?.moved ?? 0);
      if (moved !== stream.progress.moved) stream.progress = { moved, at: now() };
      else if (now() - stream.progress.at > stuckMs && !stream.isAbandoned) {
        const { slot, name, plan, client, service } = stream;
        getRun().flaw(
          'stuck',
          `${name} at ${slot.name}: client ${client?.moved ?? 'waits'}, service ${service?.moved ?? 'not reached'} ` +
            `of ${plan.client.bytes} up and ${plan.service.bytes} down, ${plan.order} ends first; the tunnel is ${stateText(getRun().state(slot))}`,
        );
        stream.abandon();
      }
    }
  };

  return {
    counts,
    get active() {
      return streams.size;
    },
    serve,
    start() {
      looking = setInterval(lookForStuck, 1000);
      running = Promise.all(Array.from({ length: lanes }, (_, index) => lane(index + 1)));
    },
    pause() {
      if (gate) return;
      let resume = () => {};
      const open = new Promise<void>((resolve) => (resume = resolve));
      gate = { open, resume };
    },
    resume() {
      gate?.resume();
      gate = undefined;
    },
    async stop(withinMs) {
      isOver = true;
      gate?.resume();
      gate = undefined;
      quit.abort();
      const late = setTimeout(() => {
        for (const stream of streams.values()) stream.abandon();
      }, withinMs);
      await running;
      clearTimeout(late);
      clearInterval(looking);
    },
  };
}
