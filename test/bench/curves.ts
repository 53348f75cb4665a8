// The points of the plots: throughput of each tunnel by round trip, and by the number of streams.
import type { PeerName } from './peers.js';
import type { Curve } from './results.js';
import type { Lab } from './measurements.js';

/** One point of a curve, of one peer at a time. */
export interface PointMeasurement {
  of: Curve['of'];
  direction: Curve['direction'];
  x: number;
  /** MiB a second. */
  measure(lab: Lab): Promise<number>;
}

const mebibyte = 2 ** 20;
/** One chunk of so many is compared; all of them when it warms up. */
const sampled = 16;

async function speed(lab: Lab, kind: 'local' | 'slow', direction: Curve['direction'], mib: number, streams: number) {
  const { address, port } = await lab.tunnel(kind);
  const run = (size: number, every: number) =>
    lab.run(direction, address, port, Math.floor((size * mebibyte) / streams), streams, every);
  await run(mib / 8, 1);
  const { seconds = NaN } = await run(mib, sampled);
  return mib / seconds;
}

const directions = ['from', 'to'] as const;

export const pointMeasurements: readonly PointMeasurement[] = directions.flatMap((direction) => [
  ...[0, 10, 25, 50, 100, 200].map((ms): PointMeasurement => ({
    of: 'round trip',
    direction,
    x: ms,
    async measure(lab) {
      if (ms === 0) return speed(lab, 'local', direction, 256, 1);
      await lab.setRoundTrip(ms);
      // What the server’s own window lets through to it takes its time.
      return speed(lab, 'slow', direction, direction === 'from' ? 64 : 16, 1);
    },
  })),
  ...[1, 2, 4, 8, 16, 32].map((streams): PointMeasurement => ({
    of: 'streams',
    direction,
    x: streams,
    measure: (lab) => speed(lab, 'local', direction, 256, streams),
  })),
]);

/** Puts the value of a round where it belongs. */
export function keepPoint(
  curves: Curve[],
  { of, direction, x }: PointMeasurement,
  peer: PeerName,
  round: number,
  value: number,
): void {
  let curve = curves.find((one) => one.of === of && one.direction === direction && one.peer === peer);
  if (!curve) curves.push((curve = { of, direction, peer, points: [] }));
  let point = curve.points.find((one) => one.x === x);
  if (!point) curve.points.push((point = { x, ys: [] }));
  point.ys[round] = value;
}
