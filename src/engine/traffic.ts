// What went through a forward in the last minutes: a sample for each second, taken only while it has clients.
import type { TrafficSeries } from '../core/engine.js';

/** Bytes of all clients since the forward was made, those included that are gone. */
export interface Totals {
  sent: number;
  received: number;
}

export interface Traffic {
  /** So many clients are there now. */
  opened(count: number): void;
  read(): TrafficSeries;
}

/** Seconds that are remembered. */
const trafficSeconds = 300;

/** Of a second in the ring: which one it is, bytes both ways, and the most clients at once. */
const columns = 4;

/** `totals` is read once a second while there are clients. The clock is performance.now(). */
export function createTraffic(totals: () => Totals): Traffic {
  /** Made for the first client: most forwards of a long list never have one. */
  let ring: Float64Array | undefined;
  let timer: NodeJS.Timeout | undefined;
  let open = 0;
  let most = 0;
  let last: Totals = { sent: 0, received: 0 };
  /** The last second that has its sample. */
  let sampled = 0;

  const thisSecond = () => Math.floor(performance.now() / 1000);
  /** What has gone through since the last sample, as of all seconds up to this one. */
  const sample = (ring: Float64Array, second: number) => {
    const now = totals();
    // One that comes late has to do with several; of a second in which all clients left and others came there are two.
    const since = Math.max(1, Math.min(second - sampled, trafficSeconds));
    for (let at = second - since + 1; at <= second; at++) {
      const place = slot(at);
      if (ring[place] !== at) ring.set([at, 0, 0, 0], place);
      ring[place + 1]! += (now.sent - last.sent) / since;
      ring[place + 2]! += (now.received - last.received) / since;
      ring[place + 3] = Math.max(ring[place + 3]!, most);
    }
    last = { sent: now.sent, received: now.received };
    most = open;
    sampled = second;
  };
  const wait = (ring: Float64Array) => {
    timer = setTimeout(
      () => {
        // A timer may come a little too early for its second.
        const second = Math.round(performance.now() / 1000) - 1;
        if (second > sampled) sample(ring, second);
        wait(ring);
      },
      1000 - (performance.now() % 1000),
    ).unref();
  };

  return {
    opened(count) {
      open = count;
      most = Math.max(most, count);
      if (count > 0 && !timer) {
        ring ??= new Float64Array(trafficSeconds * columns).fill(NaN);
        sampled = thisSecond() - 1;
        wait(ring);
      }
      // At once: a forward that has been closed is kept by no timer.
      if (count === 0 && timer && ring) {
        clearTimeout(timer);
        timer = undefined;
        sample(ring, thisSecond());
      }
    },
    read() {
      const newest = thisSecond() - 1;
      const series = (column: number) =>
        Array.from({ length: trafficSeconds }, (_, index) => {
          const second = newest - trafficSeconds + 1 + index;
          return ring?.[slot(second)] === second ? ring[slot(second) + column]! : 0;
        });
      return { sent: series(1), received: series(2), open: series(3) };
    },
  };
}

function slot(second: number): number {
  return (((second % trafficSeconds) + trafficSeconds) % trafficSeconds) * columns;
}
