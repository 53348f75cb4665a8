// How each row is measured, of one peer at a time.
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, forgetPeak, memoryMiB, peakMiB } from './machine.js';
import type { ForwardKind, PeerName, Place, Tunnel } from './peers.js';
import type { RowId } from './rows.js';
import type { Held, Outcome } from './traffic.js';
import type { WindowHost } from './window.js';

/** Sizes of one run. */
export interface Sizes {
  bulkMiB: number;
  /** On a line with a round trip, for one stream; 16 take twice as much. */
  slowMiB: number;
  stallMiB: number;
  echoes: number;
  handshakes: number;
}

/** Where one peer is measured. */
export interface Lab {
  sizes: Sizes;
  peer: PeerName;
  /** Open until the run is over; the slow ones are of one round trip at a time. */
  tunnel(kind: ForwardKind | 'slow'): Promise<Tunnel>;
  /** For what is done once with it. */
  withTunnel<T>(place: Place, use: (tunnel: Tunnel) => Promise<T>): Promise<T>;
  place: Place;
  slowPlace(): Promise<Place>;
  setRoundTrip(ms: number): Promise<void>;
  /** Runs the traffic, and keeps what was wrong with its bytes. */
  run(...args: readonly (string | number)[]): Promise<Outcome>;
  hold(...args: readonly (string | number)[]): Held;
  /** Takes the outcome of one that was held. */
  check(outcome: Outcome): void;
  window(): Promise<WindowHost>;
}

export interface Measurement {
  rows: readonly RowId[];
  /** `window`: only ours has one. `direct`: plain TCP is measured beside the tunnels. */
  of: 'direct' | 'tunnels' | 'window';
  /** Left out of the quick run. */
  isLong?: true;
  /** In the order of the rows. */
  measure(lab: Lab): Promise<readonly number[]>;
}

const mebibyte = 2 ** 20;
/** One chunk of so many is compared where speed is measured; all of them before, when it warms up. */
const sampled = 16;
const warmUpMiB = 48;

type Direction = 'from' | 'to';

function reversed(direction: Direction): Direction {
  return direction === 'from' ? 'to' : 'from';
}

/** MiB a second, and seconds of the client's processor for each GiB. */
async function bulk(lab: Lab, tunnel: Tunnel, direction: Direction, mib: number, streams: number) {
  const { address, port, pid } = tunnel;
  const bytes = Math.floor((mib * mebibyte) / streams);
  const before = pid === undefined ? NaN : cpuSeconds(pid);
  const { seconds = NaN } = await lab.run(direction, address, port, bytes, streams, sampled);
  const cpu = pid === undefined ? NaN : cpuSeconds(pid) - before;
  return { speed: mib / seconds, cpu: (cpu * 1024) / mib };
}

function onLoopback(direction: Direction, streams: number, ids: readonly RowId[]): Measurement {
  return {
    rows: ids,
    of: 'direct',
    async measure(lab) {
      const tunnel = await lab.tunnel('local');
      await lab.run(direction, tunnel.address, tunnel.port, (warmUpMiB * mebibyte) / streams, streams, 1);
      const { speed, cpu } = await bulk(lab, tunnel, direction, lab.sizes.bulkMiB, streams);
      return [speed, cpu].slice(0, ids.length);
    },
  };
}

function onSlowLine(direction: Direction, streams: number, roundTripMs: number, ids: readonly RowId[]): Measurement {
  return {
    rows: ids,
    of: 'direct',
    async measure(lab) {
      await lab.setRoundTrip(roundTripMs);
      const tunnel = await lab.tunnel('slow');
      const { address, port, pid } = tunnel;
      await lab.run(direction, address, port, (8 * mebibyte) / streams, streams, 1);
      const before = pid === undefined ? NaN : memoryMiB(pid);
      if (pid !== undefined) forgetPeak(pid);
      // A connection of plain TCP is new each time, and has to find its speed first.
      const more = (streams > 1 ? 2 : 1) * (pid === undefined ? 4 : 1);
      const { speed } = await bulk(lab, tunnel, direction, lab.sizes.slowMiB * more, streams);
      return [speed, pid === undefined ? NaN : peakMiB(pid) - before].slice(0, ids.length);
    },
  };
}

function onRemoteForward(direction: Direction, ids: readonly RowId[]): Measurement {
  return {
    rows: ids,
    of: 'tunnels',
    isLong: true,
    async measure(lab) {
      const tunnel = await lab.tunnel('remote');
      // Its client is on the server: what that sends goes from the server.
      const way = reversed(direction);
      await lab.run(way, tunnel.address, tunnel.port, warmUpMiB * mebibyte, 1, 1);
      const { speed } = await bulk(lab, tunnel, way, lab.sizes.bulkMiB, 1);
      return [speed];
    },
  };
}

function echo(kind: ForwardKind, size: number, ids: readonly RowId[]): Measurement {
  return {
    rows: ids,
    of: kind === 'local' ? 'direct' : 'tunnels',
    ...(kind === 'remote' && { isLong: true as const }),
    async measure(lab) {
      const { address, port } = await lab.tunnel(kind);
      await lab.run('echo', address, port, size, lab.sizes.echoes / 4, 0);
      const { p50 = NaN, p99 = NaN } = await lab.run('echo', address, port, size, lab.sizes.echoes, 0);
      return [p50, p99].slice(0, ids.length);
    },
  };
}

/** Some take 40 ms for each connection. */
const slowVisits = 100;

function visits(kind: ForwardKind, atOnce: number, id: RowId): Measurement {
  return {
    rows: [id],
    of: kind === 'local' ? 'direct' : 'tunnels',
    ...(kind === 'remote' && { isLong: true as const }),
    async measure(lab) {
      const { address, port } = await lab.tunnel(kind);
      const { perSecond: first = 0 } = await lab.run('visits', address, port, atOnce, 40);
      const isSlow = first < slowVisits;
      if (!isSlow) await lab.run('visits', address, port, Math.min(8, atOnce), 600);
      const count = isSlow ? 40 : atOnce > 1 ? 3000 : 600;
      const { perSecond = NaN } = await lab.run('visits', address, port, atOnce, count);
      return [perSecond];
    },
  };
}

function handshake(id: RowId, roundTripMs?: number): Measurement {
  return {
    rows: [id],
    of: 'tunnels',
    async measure(lab) {
      if (roundTripMs !== undefined) await lab.setRoundTrip(roundTripMs);
      const place = roundTripMs === undefined ? lab.place : await lab.slowPlace();
      const found: number[] = [];
      for (let i = 0; i < lab.sizes.handshakes; i++)
        found.push(await lab.withTunnel(place, async ({ firstByteMs = NaN }) => Promise.resolve(firstByteMs)));
      return [found.toSorted((a, b) => a - b)[Math.floor(found.length / 2)]!];
    },
  };
}

const stall: Measurement = {
  rows: ['stall'],
  of: 'tunnels',
  measure: (lab) =>
    lab.withTunnel(lab.place, async ({ address, port, pid }) => {
      // What the first bytes through it take for good isn't what a stopped reader takes.
      await lab.run('from', address, port, warmUpMiB * mebibyte, 1, 1);
      await lab.run('half', address, port, 300_000, 500_000);
      await sleep(500);
      const before = memoryMiB(pid!);
      forgetPeak(pid!);
      const reader = lab.hold('stall', address, port, lab.sizes.stallMiB * mebibyte);
      await reader.ready;
      await sleep(2500);
      const grown = peakMiB(pid!) - before;
      lab.check(await reader.goOn());
      return [grown];
    }),
};

const idleConnections = 1000;

const idle: Measurement = {
  rows: ['idle'],
  of: 'tunnels',
  measure: (lab) =>
    lab.withTunnel(lab.place, async ({ address, port, pid }) => {
      await lab.run('visits', address, port, 1, 20);
      await sleep(500);
      const before = memoryMiB(pid!);
      const all = lab.hold('idle', address, port, idleConnections);
      await all.ready;
      await sleep(500);
      const grown = memoryMiB(pid!) - before;
      lab.check(await all.goOn());
      return [(grown * 1024) / idleConnections];
    }),
};

/** A pause between echoes, in microseconds: they are to meet the main thread in all of its states. */
const pauseUs = 5000;
const pacedEchoes = 500;

const blocked: Measurement = {
  rows: ['blocked'],
  of: 'window',
  async measure(lab) {
    const host = await lab.window();
    const p99 = async () => {
      const { p99 = NaN } = await lab.run('echo', '127.0.0.1', host.port, 1, pacedEchoes, pauseUs);
      return p99;
    };
    await p99();
    const unblocked = await p99();
    await host.block(true);
    const beside = await p99();
    await host.block(false);
    return [beside / unblocked];
  },
};

const mainDelay: Measurement = {
  rows: ['mainDelay'],
  of: 'window',
  async measure(lab) {
    const host = await lab.window();
    const bytes = lab.sizes.bulkMiB * 2 * mebibyte;
    await host.watchDelay();
    await lab.run('from', '127.0.0.1', host.port, bytes, 1, sampled);
    await lab.run('to', '127.0.0.1', host.port, bytes, 1, sampled);
    return [await host.delayP99Ms()];
  },
};

const workerStart: Measurement = {
  rows: ['workerStart'],
  of: 'window',
  measure: async (lab) => [await (await lab.window()).startMs()],
};

export const measurements: readonly Measurement[] = [
  handshake('handshake'),
  onLoopback('from', 1, ['from', 'cpuFrom']),
  onLoopback('to', 1, ['to', 'cpuTo']),
  onLoopback('from', 16, ['from16']),
  onLoopback('to', 16, ['to16']),
  echo('local', 1, ['echo1p50', 'echo1p99']),
  echo('local', 1024, ['echo1Kp50', 'echo1Kp99']),
  visits('local', 1, 'visits'),
  visits('local', 32, 'visits32'),
  handshake('handshake50', 50),
  onSlowLine('from', 1, 50, ['from50']),
  onSlowLine('to', 1, 50, ['to50']),
  onSlowLine('from', 16, 50, ['from16x50', 'memory16x50']),
  onSlowLine('to', 16, 50, ['to16x50']),
  { ...onSlowLine('from', 1, 100, ['from100']), isLong: true },
  { ...onSlowLine('to', 1, 100, ['to100']), isLong: true },
  stall,
  idle,
  onRemoteForward('from', ['remoteFrom']),
  onRemoteForward('to', ['remoteTo']),
  echo('remote', 1, ['remoteEcho']),
  visits('remote', 1, 'remoteVisits'),
  visits('remote', 32, 'remoteVisits32'),
  blocked,
  mainDelay,
  workerStart,
];
