// Presets made of what the user has elsewhere: forwards of ssh_config, a pasted command, the ports of Remote-SSH.
import type { ConfigForward } from './configForward.js';
import { printDestination } from './destination.js';
import { printSpec } from './forwardSpec.js';
import { readPort } from './hostAddress.js';
import { addPreset, presetNames } from './presetList.js';
import type { StoredPreset } from './preset.js';
import { unseen } from './printable.js';
import type { NewTunnel } from './session.js';

/** A forward to be picked. Those of one host and name become one preset. */
export interface ImportedForward {
  host: string;
  /** As presets hold it: `-L 5432:db:5432`. */
  forward: string;
  /** The preset’s; the host’s without one. */
  name?: string;
}

export function ofConfig(forwards: readonly Pick<ConfigForward, 'host' | 'spec'>[]): ImportedForward[] {
  return forwards.map(({ host, spec }) => ({ host, forward: printSpec(spec) }));
}

export function ofTunnels(tunnels: readonly NewTunnel[]): ImportedForward[] {
  return tunnels.map(({ destination, spec }) => ({ host: printDestination(destination), forward: printSpec(spec) }));
}

/** A port that Remote-SSH forwards whenever it connects, to whatever host. */
export interface RemotePort {
  name?: string;
  localPort: number;
  remotePort: number;
}

/**
 * Reads the setting `remote.SSH.defaultForwardedPorts`: a list of `{ "name", "localPort", "remotePort" }`, of which a missing
 * local port is the remote one. What is no port is left out.
 */
export function readRemotePorts(value: unknown): RemotePort[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown): RemotePort[] => {
    const { name, localPort, remotePort } = (entry ?? {}) as Record<'name' | 'localPort' | 'remotePort', unknown>;
    const [remote, local] = [portOf(remotePort), portOf(localPort ?? remotePort)];
    if (remote === undefined || local === undefined) return [];
    const label = typeof name === 'string' && !unseen.test(name) ? name.trim() : '';
    return [{ localPort: local, remotePort: remote, ...(label !== '' && { name: label }) }];
  });
}

/** Remote-SSH reaches the server’s own ports. */
export function ofRemotePorts(ports: readonly RemotePort[], host: string): ImportedForward[] {
  return ports.map(({ name, localPort, remotePort }) => ({
    host,
    forward: `-L ${localPort}:localhost:${remotePort}`,
    ...(name !== undefined && { name }),
  }));
}

function portOf(value: unknown): number | undefined {
  const port = typeof value === 'number' || typeof value === 'string' ? readPort(String(value)) : undefined;
  return port === undefined || port === 0 ? undefined : port;
}

/** The presets that forwards become, in their order. */
export function presetsOf(forwards: readonly ImportedForward[]): StoredPreset[] {
  const presets = new Map<string, StoredPreset>();
  for (const { host, forward, name = host } of forwards) {
    const key = JSON.stringify([host, name]);
    const known = presets.get(key) ?? { name, host, forwards: [] };
    if (!known.forwards.includes(forward)) presets.set(key, { ...known, forwards: [...known.forwards, forward] });
  }
  return [...presets.values()];
}

/** The list with presets added. Nothing is replaced: one whose name is taken gets a number, and the very same is not added twice. */
export function withImported(value: unknown, presets: readonly StoredPreset[]): { list: unknown[]; added: string[] } {
  const added: string[] = [];
  let list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  for (const preset of presets) {
    if (list.some((entry) => isSame(entry, preset))) continue;
    const names = presetNames(list);
    let name = preset.name;
    for (let number = 2; names.includes(name); number++) name = `${preset.name} ${number}`;
    list = addPreset(list, { ...preset, name });
    added.push(name);
  }
  return { list, added };
}

/** Whether an entry leads to the same, whatever it is called. */
function isSame(entry: unknown, { host, forwards }: StoredPreset): boolean {
  const other = entry as Partial<Record<keyof StoredPreset, unknown>> | null | undefined;
  return other?.host === host && JSON.stringify(other.forwards) === JSON.stringify(forwards);
}
