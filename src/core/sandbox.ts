// The sandbox: an SSH server of our own on this machine, to try a tunnel with. Nothing but its one page is behind it.
import { printDestination, type Destination } from './destination.js';
import { connectionOf, type ConnectionId } from './plan.js';
import { removeTunnels, tunnelId, wantTunnels, type NewTunnel, type Wanted } from './session.js';
import { t } from './translate.js';

/** A sandbox that runs. */
export interface Sandbox {
  /** Where its SSH server listens, on 127.0.0.1. */
  readonly port: number;
  /** The ssh_config file by which it is reached, under the name `sandbox`; its key and known_hosts are beside it. */
  readonly configFile: string;
  /** Resolves when the server and its files are gone, however it ended. */
  readonly ended: Promise<void>;
  /** Ends the server and its connections, and removes its files. */
  close(): Promise<void>;
}

/** Made by engine/sandboxThread. */
export interface Sandboxes {
  /** Starts another one that serves this page. Rejects with an Error that tells what was in the way. */
  start(page: string): Promise<Sandbox>;
  /** Removes the files of those whose window has gone without a word. Never rejects. */
  clean(): Promise<void>;
}

/** In its config file. */
export const sandboxHost = 'sandbox';

/** Where its page is, as the sandbox sees it. */
export const sandboxTarget = { host: 'hello', port: 80 } as const;

function sandboxDestination({ port }: Pick<Sandbox, 'port'>): Destination {
  return { host: sandboxHost, port };
}

export function sandboxConnection(sandbox: Pick<Sandbox, 'port'>): ConnectionId {
  return printDestination(sandboxDestination(sandbox));
}

/** The tunnel to its page, on a free port. */
function sandboxTunnel(sandbox: Pick<Sandbox, 'port'>): NewTunnel {
  return {
    destination: sandboxDestination(sandbox),
    spec: {
      kind: 'local',
      listen: { kind: 'tcp', bind: undefined, port: 0 },
      target: { kind: 'tcp', ...sandboxTarget },
    },
    label: t('Sandbox page'),
  };
}

/** With the tunnel to its page, which is started. */
export function withSandbox(wanted: Wanted, sandbox: Pick<Sandbox, 'port' | 'configFile'>): Wanted {
  const sandboxes = { ...wanted.sandboxes, [sandboxConnection(sandbox)]: sandbox.configFile };
  return wantTunnels({ ...wanted, sandboxes }, [sandboxTunnel(sandbox)]);
}

/** Without the sandbox and all that leads to it. */
export function withoutSandbox(wanted: Wanted, sandbox: Pick<Sandbox, 'port'>): Wanted {
  const id = sandboxConnection(sandbox);
  const { [id]: _, ...sandboxes } = wanted.sandboxes ?? {};
  const own = wanted.tunnels.filter((tunnel) => connectionOf(tunnel) === id).map(({ id }) => id);
  const { sandboxes: _all, ...rest } = removeTunnels(wanted, own);
  return Object.keys(sandboxes).length > 0 ? { ...rest, sandboxes } : rest;
}

/** Whether anything on the list leads to it. */
export function usesSandbox({ tunnels }: Wanted, sandbox: Pick<Sandbox, 'port'>): boolean {
  return tunnels.some((tunnel) => connectionOf(tunnel) === sandboxConnection(sandbox));
}

export function sandboxTunnelId(sandbox: Pick<Sandbox, 'port'>): string {
  return tunnelId(sandboxTunnel(sandbox));
}
