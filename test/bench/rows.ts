// What the table shows: a line for each number, and what ours is to reach.

/** `ratio` is ours to the reference, turned so that more is better; `most` bounds our own number. */
export type Goal = { kind: 'ratio'; least: number } | { kind: 'most'; value: number };

export interface Row {
  title: string;
  unit: string;
  better: 'more' | 'less';
  goal?: Goal;
}

const least = (ratio: number): Goal => ({ kind: 'ratio', least: ratio });
/** So many times the reference's at most, of a number of which less is better. */
const times = (factor: number): Goal => least(1 / factor);
const most = (value: number): Goal => ({ kind: 'most', value });

const throughput = (title: string, ratio = 1): Row => ({ title, unit: 'MiB/s', better: 'more', goal: least(ratio) });
const latency = (title: string, unit: string, factor: number): Row => ({
  title,
  unit,
  better: 'less',
  goal: times(factor),
});
const rate = (title: string): Row => ({ title, unit: '/s', better: 'more', goal: least(1) });
const bounded = (title: string, unit: string, value: number): Row => ({
  title,
  unit,
  better: 'less',
  goal: most(value),
});

export const rows = {
  from: throughput('one stream from the server'),
  to: throughput('one stream to the server'),
  from16: throughput('16 streams from the server'),
  to16: throughput('16 streams to the server'),
  cpuFrom: latency('client CPU per GiB from the server', 's', 1.3),
  cpuTo: latency('client CPU per GiB to the server', 's', 1.3),
  echo1p50: latency('echo of 1 B, p50', 'µs', 1.2),
  echo1p99: latency('echo of 1 B, p99', 'µs', 1.5),
  echo1Kp50: latency('echo of 1 KiB, p50', 'µs', 1.2),
  echo1Kp99: latency('echo of 1 KiB, p99', 'µs', 1.5),
  visits: rate('new connections, one after another'),
  visits32: rate('new connections, 32 at once'),
  handshake: latency('start to first byte', 'ms', 1.1),
  handshake50: latency('50 ms round trip: start to first byte', 'ms', 1.1),
  from50: throughput('50 ms round trip: one stream from the server', 2),
  to50: throughput('50 ms round trip: one stream to the server', 2),
  from16x50: throughput('50 ms round trip: 16 streams from the server'),
  to16x50: throughput('50 ms round trip: 16 streams to the server'),
  memory16x50: { title: '50 ms round trip: memory that 16 streams take', unit: 'MiB', better: 'less' },
  from100: throughput('100 ms round trip: one stream from the server', 2),
  to100: throughput('100 ms round trip: one stream to the server', 2),
  // One window of 2 MiB, and 4 MiB.
  stall: bounded('growth behind a reader that stops', 'MiB', 6),
  idle: bounded('each of 1,000 idle connections', 'KiB', 20),
  remoteFrom: throughput('-R: one stream from the server'),
  remoteTo: throughput('-R: one stream to the server'),
  remoteEcho: latency('-R: echo of 1 B, p50', 'µs', 1.2),
  remoteVisits: rate('-R: new connections, one after another'),
  remoteVisits32: rate('-R: new connections, 32 at once'),
  blocked: bounded('window: echo p99 beside a blocked main thread, times unblocked', '×', 1.5),
  mainDelay: bounded('window: main thread’s delay at full speed, p99', 'ms', 5),
  workerStart: bounded('window: start of the worker to the first listening port', 'ms', 150),
} satisfies Record<string, Row>;

export type RowId = keyof typeof rows;

export const rowIds = Object.keys(rows) as readonly RowId[];

export function rowOf(id: RowId): Row {
  return rows[id];
}
