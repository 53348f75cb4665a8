// What an editor offers and says at a forward of ssh_config.
import { configTunnel } from './configForward.js';
import type { ConfigDocument, DocumentForward } from './configDocument.js';
import { stateText, statusText } from './present.js';
import type { ForwardSpec } from './forwardSpec.js';
import { machineName } from './machine.js';
import { tunnelId, type SessionState, type Tunnel } from './session.js';
import { tunnelState, type TunnelState } from './snapshot.js';
import { t } from './translate.js';
import { accessText, askedAccess, effectText } from './wording.js';

/** A command above a line, which is from 0. The title has VS Code's icon codes. */
export type ConfigLens = { line: number; title: string } & (
  | { kind: 'start'; spec: ForwardSpec; /** At least one; of several the user picks. */ hosts: readonly string[] }
  | { kind: 'stop'; /** of the tunnel */ id: string }
);

interface Running {
  host: string;
  tunnel: Tunnel;
  state: TunnelState;
}

/** For each forward: a stop for every host that it runs for, and one start for the others; nothing where there is no host. */
export function configLenses({ forwards }: ConfigDocument, session: SessionState): ConfigLens[] {
  return forwards.flatMap(({ spec, place: { line }, hosts, cleared }): ConfigLens[] => {
    const listed = listedOf(spec, hosts, session);
    const up = listed.filter(({ state }) => isUp(state));
    const down = cleared === undefined ? hosts.filter((host) => !up.some((one) => one.host === host)) : [];
    const [host, another] = down;
    const failed = listed.find((one) => one.host === host && one.state.kind === 'failed');
    const start =
      another === undefined
        ? [t('Start · {host}', { host: host ?? '' }), ...(failed ? [statusText('failed')] : [])].join(' · ')
        : t('Start…');
    return [
      ...up.map(({ host, tunnel, state }) => ({
        line,
        title: `$(debug-stop) ${t('Stop · {host} · {state}', { host, state: stateText(tunnel, state) })}`,
        kind: 'stop' as const,
        id: tunnel.id,
      })),
      ...(host === undefined ? [] : [{ line, title: `$(play) ${start}`, kind: 'start' as const, spec, hosts: down }]),
    ];
  });
}

/** What a forward will do, in a line each: where it listens and comes out, who can connect, and how it stands. */
export function forwardHover({ spec, hosts, gatewayPorts, cleared }: DocumentForward, session: SessionState): string[] {
  const host = hosts.length === 1 ? hosts[0]! : t('the host');
  const isRemote = spec.kind === 'remote';
  const who = accessText(askedAccess(spec), isRemote ? host : machineName(), spec.listen.kind);
  return [
    effectText(spec, host),
    isRemote && spec.listen.kind === 'tcp'
      ? t('Who can connect: {who}; its GatewayPorts (sshd_config) may say otherwise', { who })
      : t('Who can connect: {who}', { who }),
    ...(gatewayPorts === undefined
      ? []
      : [
          t('GatewayPorts in line {line} lets in everyone on the network where it is in force.', {
            line: gatewayPorts + 1,
          }),
        ]),
    ...(cleared === undefined
      ? []
      : [t('ClearAllForwardings in line {line} takes it back: ssh does not open it.', { line: cleared + 1 })]),
    ...listedOf(spec, hosts, session).map(({ host, tunnel, state }) => `${host}: ${stateText(tunnel, state)}`),
  ];
}

function listedOf(spec: ForwardSpec, hosts: readonly string[], { wanted, snapshot }: SessionState): Running[] {
  // There are fewer tunnels than hosts may be.
  const running = new Map<string, Tunnel>();
  for (const tunnel of wanted.tunnels) {
    const { host } = tunnel.destination;
    if (tunnel.id === tunnelId(configTunnel({ host, spec }))) running.set(host, tunnel);
  }
  if (running.size === 0) return [];
  return hosts.flatMap((host) => {
    const tunnel = running.get(host);
    return tunnel ? [{ host, tunnel, state: tunnelState(tunnel, snapshot) }] : [];
  });
}

function isUp(state: TunnelState): boolean {
  return state.kind === 'stopped' ? state.draining : state.kind !== 'failed';
}
