// What measurements share: the servers, and the tunnels of each peer, all of which end with it.
import type { Lab, Sizes } from './measurements.js';
import { startDelayedNetwork, type DelayedNetwork } from './delayedNetwork.js';
import { createPeers, type PeerName, type Peers, type Place, type Tunnel } from './peers.js';
import type { Programs } from './programs.js';
import { createTraffic, flawOf, type Outcome, type Traffic } from './traffic.js';
import { startSshd } from '../support/sshd.js';
import { buildWindowHost, startWindow, type WindowHost } from './window.js';

export interface LabOptions {
  programs: Programs;
  /** For what is built. */
  folder: string;
  /** The build that is measured. */
  dist: string;
  sizes: Sizes;
  /** Of TCP, at the server of the line with a round trip. */
  sendBufferMiB?: number;
  /** Hears what was wrong with bytes. */
  onFlaw(peer: PeerName, what: string): void;
}

export interface Labs {
  of(peer: PeerName): Lab;
  peers: Peers;
  place: Place;
  traffic: Traffic;
  /** What has a round trip, once it was needed. */
  line(): string | undefined;
  /** Ends the tunnels of a peer, which failed. */
  forget(peer: PeerName): Promise<void>;
  close(): Promise<void>;
}

/** Nothing is written for each channel: that would be measured, too. */
const quietServer = { config: ['LogLevel INFO'] };

export async function openLabs({ programs, folder, dist, sizes, sendBufferMiB, onFlaw }: LabOptions): Promise<Labs> {
  const undo: (() => Promise<unknown>)[] = [];
  const traffic = createTraffic(programs.traffic);
  const peers = createPeers(traffic, dist);
  const sshd = await startSshd(quietServer);
  undo.push(() => sshd.stop());
  const target = await traffic.serve('127.0.0.1');
  undo.push(() => target.stop());
  const place: Place = {
    sshd,
    address: '127.0.0.1',
    port: sshd.port,
    target: target.port,
    direct: { address: '127.0.0.1', port: target.port },
  };

  let network: DelayedNetwork | undefined;
  const delayed = async () => {
    if (network) return network;
    network = await startDelayedNetwork(programs.wire, traffic, quietServer, sendBufferMiB);
    undo.push(network.close);
    return network;
  };
  let window: Promise<WindowHost> | undefined;
  const openWindow = async () => {
    const host = await startWindow(await buildWindowHost(folder), dist, place);
    undo.push(host.close);
    return host;
  };

  const tunnels = new Map<string, { peer: PeerName; tunnel: Tunnel }>();
  const closeAll = async (peer?: PeerName) => {
    for (const [key, one] of tunnels) {
      if (peer !== undefined && one.peer !== peer) continue;
      tunnels.delete(key);
      await one.tunnel.close();
    }
  };
  undo.push(() => closeAll());

  const of = (peer: PeerName): Lab => {
    const check = (outcome: Outcome) => {
      const flaw = flawOf(outcome);
      if (flaw) onFlaw(peer, flaw);
    };
    return {
      sizes,
      peer,
      place,
      async tunnel(kind) {
        const key = `${peer} ${kind}`;
        const open = tunnels.get(key);
        if (open) return open.tunnel;
        const tunnel =
          kind === 'slow'
            ? await peers.open(peer, (await delayed()).place, 'local')
            : await peers.open(peer, place, kind);
        tunnels.set(key, { peer, tunnel });
        return tunnel;
      },
      async withTunnel(where, use) {
        const tunnel = await peers.open(peer, where, 'local');
        try {
          return await use(tunnel);
        } finally {
          await tunnel.close();
        }
      },
      slowPlace: async () => (await delayed()).place,
      setRoundTrip: async (ms) => (await delayed()).setRoundTrip(ms),
      async run(...args) {
        const outcome = await traffic.run(...args);
        check(outcome);
        return outcome;
      },
      hold: traffic.hold,
      check,
      window: () => (window ??= openWindow()),
    };
  };

  return {
    of,
    peers,
    place,
    traffic,
    line: () => network?.kind,
    forget: closeAll,
    async close() {
      for (const one of undo.toReversed()) await one();
    },
  };
}
