// What the engine shall run: the wanted tunnels, grouped into one SSH connection for each destination.
import { printDestination, type Destination } from './destination.js';
import type { ForwardSpec } from './forwardSpec.js';
import type { Tunnel, Wanted, Wish } from './session.js';

/** The destination as printed: tunnels with the same one share a connection. */
export type ConnectionId = string;
export type ForwardId = string;

/** How to reach a host: what was typed; the engine asks ssh_config for the rest each time it dials. */
export interface HostRequest {
  destination: Destination;
  /** `-F`: the ssh_config file instead of the user's and the system's; `/dev/null` or `none` reads no file. */
  configFile?: string;
  /** `-o`: keyword and value, first one wins, before any file. */
  options: readonly (readonly [keyword: string, value: string])[];
  /** A workspace asks for it and nobody else: no program of a `Match exec` is run for it. */
  fromWorkspace?: true;
  /** Where ssh_config sets no ServerAliveInterval, in seconds; 0: silence alone does not end it. Absent: 15. */
  keepaliveSeconds?: number;
}

/** What the settings say of every host, where nothing nearer does. */
export interface HostDefaults {
  /** Tried as with `ssh -i`. */
  identityFile?: string;
  /** See HostRequest. */
  keepaliveSeconds?: number;
}

export interface PlannedForward {
  id: ForwardId;
  spec: ForwardSpec;
  /** Changes when the user asks for a restart. */
  run: number;
  /**
   * `exact`: on its port or not at all. `nextFree`: on the first free port from its own upwards. `drain`: listens no
   * more, while the clients that are connected may finish.
   */
  wish: Exclude<Wish, 'stop' | 'lost'>;
  /** It listens at once, and its connection is dialled when the first client comes. Of no meaning to a remote forward. */
  onDemand?: true;
  /** What the server allocated to it in another window, and is asked for first. */
  preferredPort?: number;
}

export interface PlannedConnection {
  id: ConnectionId;
  host: HostRequest;
  forwards: readonly PlannedForward[];
  /** Changes when the user asks for a restart. */
  run: number;
  /**
   * Changes when the user wants it dialled at once; listeners and waiting clients stay. One that is up is left alone, but asked
   * at once for the ports that it still holds.
   */
  retry?: number;
  /** Whether a connection that was up and broke is dialled again. */
  reconnect: boolean;
  /** With `reconnect`: it is dialled again, too, when its first dial fails for something that may pass. */
  isPersistent?: true;
  /**
   * Nobody in this window has started it: it was taken over, or is dialled again after the engine's end. No person is asked
   * for it, and it is dialled again as with `isPersistent`.
   */
  isUnattended?: true;
}

/** How long one waits for the other. */
export interface Waits {
  /** What a client waits at most for a connection that is down, in seconds; 0: it is reset at once. */
  parkSeconds: number;
  /** After so many seconds without a client a connection on demand hangs up. */
  idleSeconds: number;
}

export const defaultWaits: Waits = { parkSeconds: 20, idleSeconds: 600 };

/** The waits by what stands in settings: 0 to 600 seconds, 1 to 1440 minutes; the defaults for anything else. */
export function readWaits(parkSeconds: unknown, idleMinutes: unknown): Waits {
  return {
    parkSeconds: isWhole(parkSeconds, 0, 600) ? parkSeconds : defaultWaits.parkSeconds,
    idleSeconds: isWhole(idleMinutes, 1, 1440) ? idleMinutes * 60 : defaultWaits.idleSeconds,
  };
}

/** The seconds that stand in a setting: 0 to 3600; undefined for anything else. */
export function readKeepalive(seconds: unknown): number | undefined {
  return isWhole(seconds, 0, 3600) ? seconds : undefined;
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

export interface Plan {
  connections: readonly PlannedConnection[];
  /** Absent: `defaultWaits`. */
  waits?: Waits;
}

/** Plans the wanted tunnels; those that are stopped or lost are left out. */
export function planTunnels(
  wanted: Wanted,
  configFile: string | undefined,
  waits?: Waits,
  defaults: HostDefaults = {},
): Plan {
  const running = wanted.tunnels.filter(isPlanned);
  const connections = new Set(running.map(connectionOf));
  return {
    connections: [...connections].map((id) => {
      const tunnels = running.filter((tunnel) => connectionOf(tunnel) === id);
      const retry = countOf(wanted.connectionRetries, id);
      return {
        id,
        host: requestFor(tunnels, tunnels[0]!.destination, ...sshFor(wanted, id, configFile, defaults)),
        forwards: tunnels.map(({ id, spec, run, wish, onDemand }) => ({
          id,
          spec,
          run,
          wish,
          ...(onDemand && { onDemand }),
        })),
        run: connectionRun(wanted, id),
        ...(retry > 0 && { retry }),
        reconnect: true,
        ...(tunnels.some(({ automatic }) => automatic) && { isPersistent: true as const }),
      };
    }),
    ...(waits && { waits }),
  };
}

/** What counts for a host: of the sandbox's, its own file alone. */
export function sshFor(
  wanted: Pick<Wanted, 'sandboxes'>,
  id: ConnectionId,
  configFile: string | undefined,
  defaults: HostDefaults,
): [configFile: string | undefined, defaults: HostDefaults] {
  const own = sandboxOf(wanted, id);
  return own === undefined ? [configFile, defaults] : [own, {}];
}

/** The ssh_config file of a sandbox's host; undefined for any other. */
export function sandboxOf({ sandboxes = {} }: Pick<Wanted, 'sandboxes'>, id: ConnectionId): string | undefined {
  return Object.hasOwn(sandboxes, id) ? sandboxes[id] : undefined;
}

/** For a host that these tunnels lead to: one that only a workspace has asked for is no more trusted than that. */
export function requestFor(
  tunnels: readonly Pick<Tunnel, 'fromWorkspace'>[],
  destination: Destination,
  configFile: string | undefined,
  { identityFile, keepaliveSeconds }: HostDefaults = {},
): HostRequest {
  const isForeign = tunnels.length > 0 && tunnels.every(({ fromWorkspace }) => fromWorkspace);
  const namesKey = destination.options?.some(([keyword]) => keyword === 'IdentityFile');
  return {
    destination,
    options: identityFile !== undefined && !namesKey ? [['IdentityFile', identityFile]] : [],
    ...(configFile && { configFile }),
    ...(isForeign && { fromWorkspace: true }),
    ...(keepaliveSeconds !== undefined && { keepaliveSeconds }),
  };
}

/** Whether the engine has to do with it. */
export function isPlanned(tunnel: Tunnel): tunnel is Tunnel & { wish: PlannedForward['wish'] } {
  return isWanted(tunnel) || tunnel.wish === 'drain';
}

export function isWanted({ wish }: Pick<Tunnel, 'wish'>): boolean {
  return wish === 'exact' || wish === 'nextFree';
}

/** How often the user asked for a new connection. */
export function connectionRun({ connectionRuns }: Wanted, id: ConnectionId): number {
  return countOf(connectionRuns, id);
}

/** A host may be called `constructor`, too. */
export function countOf(counts: Readonly<Record<ConnectionId, number>>, id: ConnectionId): number {
  return Object.hasOwn(counts, id) ? counts[id]! : 0;
}

export function connectionOf({ destination }: Pick<Tunnel, 'destination'>): ConnectionId {
  return printDestination(destination);
}
