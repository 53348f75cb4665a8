// Streams of which every byte is known, through a tunnel that is put through faults.
import assert from 'node:assert/strict';
import { download, startCheckedService, upload, type CheckedService, type StreamEnd } from './checkedStreams.js';
import { planned } from './engineProbe.js';
import { eventually } from './eventually.js';
import { createDeafEngine, keepaliveLines, startBench, type FaultBench, type FaultyServer } from './faultBench.js';
import { freePort } from './sshd.js';
import type { Place } from './targets.js';

export interface StreamBench {
  bench: FaultBench;
  /** Of an echo, by a local forward. */
  id: string;
  place: Place;
  /** The service of checked streams by a local forward, and by a remote one. */
  local: Place;
  remote: Place;
  /** The user wants it dialled at once. */
  retryNow(): void;
  /** What became of four at once: there and back, by each way. */
  fourStreams(length: number): Promise<FourEnds>;
  /** What has been told of the connection and its listeners since the start. */
  news(): string[];
}

interface FourEnds {
  localDown: StreamEnd;
  localUp: StreamEnd;
  remoteDown: StreamEnd;
  remoteUp: StreamEnd;
}

export const allWhole: FourEnds = {
  localDown: { kind: 'whole' },
  localUp: { kind: 'whole' },
  remoteDown: { kind: 'whole' },
  remoteUp: { kind: 'whole' },
};

export interface StreamSuite {
  checked: CheckedService;
  /** By way of the suite's proxy. */
  start(): Promise<StreamBench>;
  /** A name that no other stream has: of a remote forward's target it begins with R. */
  streamName(isRemote: boolean): string;
  /** Waits until so many more bytes have gone through the proxy. */
  passed(way: 'up' | 'down', bytes: number): Promise<void>;
  /** Fails when a target that was connected to from here took a part for the whole. Those of local forwards are the server's to end. */
  assertNoTargetTruncated(): void;
}

export function useStreams(faulty: FaultyServer): StreamSuite {
  const suite = {} as StreamSuite;
  let streams = 0;
  before(async () => {
    suite.checked = faulty.ownsToTheEnd(await startCheckedService());
  });
  afterEach(() => eventually(() => assert.equal(suite.checked.sockets.size, 0)));

  return Object.assign(suite, {
    async start(): Promise<StreamBench> {
      const [one, two, three] = [await freePort(), await freePort(), await freePort()];
      const forwards = [
        `-L ${one}:127.0.0.1:${faulty.service.port}`,
        `-L ${two}:127.0.0.1:${suite.checked.port}`,
        `-R ${three}:127.0.0.1:${suite.checked.port}`,
      ];
      const configFile = faulty.sshd.configPath('web01', [`Port ${faulty.proxy.port}`, ...keepaliveLines]);
      const connection = planned('web01', forwards, { configFile });
      const bench = faulty.owns(await startBench(createDeafEngine(), [connection]));
      const before = bench.kinds().length;
      const at = (port: number): Place => ({ host: '127.0.0.1', port });
      const [local, remote] = [at(two), at(three)];
      let retry = 0;
      return {
        bench,
        id: forwards[0]!,
        place: at(one),
        local,
        remote,
        retryNow: () => bench.engine.apply({ connections: [{ ...connection, retry: ++retry }] }),
        async fourStreams(length) {
          const [localDown, localUp, remoteDown, remoteUp] = await Promise.all(
            [local, remote].flatMap((place) =>
              [download, upload].map((go) => go(place, suite.streamName(place === remote), length)),
            ),
          );
          return { localDown: localDown!, localUp: localUp!, remoteDown: remoteDown!, remoteUp: remoteUp! };
        },
        news: () =>
          bench
            .kinds()
            .slice(before)
            .filter((kind) => kind !== 'channelOpened'),
      };
    },
    streamName: (isRemote: boolean) => `${isRemote ? 'R' : 'L'}${++streams}`,
    async passed(way: 'up' | 'down', bytes: number) {
      const from = faulty.proxy.passed[way];
      await eventually(() => assert.ok(faulty.proxy.passed[way] - from >= bytes), 30_000);
    },
    assertNoTargetTruncated() {
      const truncated = [...suite.checked.truncated].filter((name) => name.startsWith('R'));
      assert.deepEqual(truncated, []);
    },
  });
}
