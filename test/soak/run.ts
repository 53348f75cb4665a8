// What the parts of the soak share: the session under test, what has disturbed it, what is flawed, and knocking.
import type { Failure } from '../../src/core/failure.js';
import { isWanted } from '../../src/core/plan.js';
import type { Session } from '../../src/core/session.js';
import { tunnelState, type TunnelState } from '../../src/core/snapshot.js';
import type { Engine, EngineEvent } from '../../src/core/engine.js';
import { failureText } from '../../src/core/wording.js';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { proxyTurns, read, type Place, type ProxyKind } from '../support/targets.js';
import type { Host, Slot, World } from './world.js';

/** Milliseconds of a clock that never jumps: Date.now does here. */
export const now = (): number => performance.now();

export type FlawKind =
  | 'wrong bytes'
  | 'truncated, looked whole'
  | 'cut for nothing'
  | 'listener closed'
  | 'connection lost for nothing'
  | 'failed for good'
  | 'wrong state'
  | 'not recovered'
  | 'noticed late'
  | 'recovered late'
  | 'stuck'
  | 'asked'
  | 'memory grew'
  | 'leak';

export interface Disturbances {
  /** From now on things may break at this host, or tunnel by its id; returns what ends that. */
  begin(where: string): () => void;
  /** Whether something may have broken there after `since`; of what began by `until` at the latest. */
  touched(where: readonly string[], since: number, until?: number): boolean;
}

export function createDisturbances(): Disturbances {
  const spans: { where: string; from: number; to: number }[] = [];
  return {
    begin(where) {
      const span = { where, from: now(), to: Infinity };
      spans.push(span);
      return () => (span.to = now());
    },
    touched: (where, since, until = Infinity) =>
      spans.some((span) => where.includes(span.where) && span.to >= since && span.from <= until),
  };
}

/** A wait that was announced: until a connection, or a listener on the server, is tried again. */
interface Wait {
  where: string;
  from: number;
  to: number;
}

export interface Run {
  world: World;
  engine: Engine;
  session: Session;
  disturbances: Disturbances;
  flaw(kind: FlawKind, text: string): void;
  /** Times when the connection was found broken. */
  losses(host: Host): readonly { at: number; failure: Failure }[];
  /** How much of a span the engine had announced to wait, for the tunnel's connection or its listener. */
  announced(slot: Slot, from: number, to: number): number;
  /** How long the host is to be waited for yet, in milliseconds. */
  waitLeft(host: Host): number;
  isWanted(slot: Slot): boolean;
  state(slot: Slot): TunnelState | undefined;
  /** Where it listens or has listened last. */
  place(slot: Slot): Place | undefined;
}

/** Watches the session's events for what the run has to know. */
export function createRun(given: Pick<Run, 'world' | 'engine' | 'session' | 'disturbances' | 'flaw'>): Run {
  const { session } = given;
  const losses = new Map<string, { at: number; failure: Failure }[]>();
  const waits: Wait[] = [];
  const places = new Map<string, Place>();
  const endWait = (where: string) => {
    for (const wait of waits) if (wait.where === where && wait.to > now()) wait.to = now();
  };
  const beginWait = (where: string, retryAt: number) => {
    endWait(where);
    waits.push({ where, from: now(), to: now() + Math.max(0, retryAt - Date.now()) });
  };
  const lose = (connection: string, failure: Failure) =>
    losses.set(connection, [...(losses.get(connection) ?? []), { at: now(), failure }]);
  const hear = (event: EngineEvent) => {
    switch (event.kind) {
      case 'connectionLost':
        lose(event.connection, event.failure);
        return beginWait(event.connection, event.retryAt);
      case 'connectionIdle':
        // On demand, and nobody has come yet.
        if (event.failure) lose(event.connection, event.failure);
        return endWait(event.connection);
      case 'connecting':
      case 'connected':
        return endWait(event.connection);
      case 'listenRetrying':
        return beginWait(event.forward, event.retryAt);
      case 'listening': {
        endWait(event.forward);
        const [bound] = event.bound;
        if (bound)
          places.set(
            event.forward,
            bound.kind === 'unix' ? { path: bound.path } : { host: bound.address, port: bound.port },
          );
        return;
      }
      default:
        return;
    }
  };
  session.onChange((_, event) => event && hear(event));
  const tunnelOf = (slot: Slot) => session.state.wanted.tunnels.find(({ id }) => id === slot.id);
  return {
    ...given,
    losses: (host) => losses.get(host) ?? [],
    announced(slot, from, to) {
      const own = waits.filter(({ where }) => where === slot.id || where === slot.host);
      // They may overlap: what is covered by any counts once.
      let [sum, covered] = [0, from];
      for (const wait of own.toSorted((a, b) => a.from - b.from)) {
        const begin = Math.max(covered, wait.from);
        const end = Math.min(to, wait.to);
        if (end <= begin) continue;
        sum += end - begin;
        covered = end;
      }
      return sum;
    },
    waitLeft: (host) => Math.max(0, ...waits.filter(({ where }) => where === host).map(({ to }) => to - now())),
    isWanted: (slot) => isWanted(tunnelOf(slot) ?? { wish: 'stop' }),
    state(slot) {
      const tunnel = tunnelOf(slot);
      return tunnel && tunnelState(tunnel, session.state.snapshot);
    },
    place: (slot) => places.get(slot.id),
  };
}

export function stateText(state: TunnelState | undefined): string {
  if (!state) return 'not on the list';
  return 'failure' in state ? `${state.kind} (${failureText(state.failure)})` : state.kind;
}

export const headerBytes = 8;
/** The number that no stream has. */
export const knockId = 0;

export function header(id: number): Buffer {
  const made = Buffer.from('SOAK\0\0\0\0');
  made.writeUInt32LE(id, 4);
  return made;
}

/** Connects to a tunnel; `reached` when a service may be talked to. The socket is paused, half-open allowed. */
export function openClient(
  slot: Slot,
  place: Place,
  servicePort: number,
  proxy: ProxyKind = 'SOCKS5',
): { socket: Socket; reached: Promise<void> } {
  const socket = connect({ ...place, allowHalfOpen: true, noDelay: true });
  socket.on('error', () => {});
  const reach = async () => {
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
    if (socket.destroyed) throw new Error('given up');
    if (!slot.isProxy) return;
    const turns = proxyTurns(proxy, '127.0.0.1', servicePort);
    for (const turn of turns.slice(0, -1)) {
      socket.write(turn);
      await read(socket, 2);
    }
    socket.write(turns.at(-1)!);
    if (proxy === 'HTTP CONNECT') {
      let head = '';
      while (!head.endsWith('\r\n\r\n')) head += (await read(socket, 1)).toString('latin1');
      if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(head);
    } else {
      const [first, code] = await read(socket, proxy === 'SOCKS5' ? 10 : 8);
      if (proxy === 'SOCKS5' ? first !== 5 || code !== 0 : first !== 0 || code !== 0x5a)
        throw new Error(`the proxy said ${first} ${code}`);
    }
  };
  const reached = reach().catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  return { socket, reached };
}

interface Knock {
  /** Whether a service has answered, and if not, a system's code or why. */
  answer: Promise<true | string>;
  giveUp(): void;
}

/** One client that waits for one byte. */
export function knock(run: Run, slot: Slot, limitMs: number): Knock {
  const place = run.place(slot);
  if (!place) return { answer: Promise.resolve('it has never listened'), giveUp() {} };
  const { socket, reached } = openClient(slot, place, run.world.servicePort);
  const late = setTimeout(() => socket.destroy(), limitMs);
  const hear = async (): Promise<true> => {
    await reached;
    socket.write(header(knockId));
    await read(socket, 1);
    return true;
  };
  const answer = hear()
    .catch((error: unknown) => (error as NodeJS.ErrnoException).code ?? (error as Error).message)
    .finally(() => {
      clearTimeout(late);
      socket.destroy();
    });
  return { answer, giveUp: () => socket.destroy() };
}

/** How long one knock waits for its answer: on a busy machine a way of three hops takes its time. */
const knockMs = 6_000;
/** After so long another one is begun beside it: it may wait where nobody will answer it any more. */
const knockAgainMs = 400;

/** Knocks again and again; when the first byte came, or undefined when none came in time. */
export async function knockUntilAnswered(run: Run, slot: Slot, limitMs: number): Promise<number | undefined> {
  const until = now() + limitMs;
  const open = new Set<Knock>();
  let answeredAt: number | undefined;
  while (answeredAt === undefined && now() < until) {
    const one = knock(run, slot, knockMs);
    open.add(one);
    const ended = one.answer.then((answer) => {
      open.delete(one);
      if (answer === true) answeredAt ??= now();
    });
    await Promise.race([ended.then(() => (answeredAt === undefined ? sleep(25) : undefined)), sleep(knockAgainMs)]);
  }
  for (const { giveUp } of open) giveUp();
  return answeredAt;
}
