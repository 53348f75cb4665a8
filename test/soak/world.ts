// What the soak runs on: six servers, each behind a proxy that can fail, four hosts, and tunnels of each kind to them.
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { parseDestination } from '../../src/core/destination.js';
import { tunnelId, type NewTunnel } from '../../src/core/session.js';
import { startFaultyProxy, type FaultyProxy } from '../support/faultyProxy.js';
import { mustParseSpec } from '../support/mustParseSpec.js';
import { keygen, knownHostsLine, publicKey, startSshd, type Sshd } from '../support/sshd.js';
import { read, startTarget, type Place, type Target } from '../support/targets.js';
import type { Random } from './random.js';

export const hosts = ['web01', 'db01', 'inner', 'lazy01'] as const;
export type Host = (typeof hosts)[number];

/** A server, and the host whose connections it carries. */
export interface Node {
  name: string;
  host: Host;
  sshd: Sshd;
  proxy: FaultyProxy;
}

/** A tunnel that may be wanted or not. */
export interface Slot {
  name: string;
  host: Host;
  tunnel: NewTunnel;
  /** Of the tunnel. */
  id: string;
  /** Where its clients ask a proxy to bring them. */
  isProxy: boolean;
  /** Which end of a stream has a socket of this program on its other side, and which kind of socket that is. */
  near: 'client' | 'service';
  nearKind: 'tcp' | 'unix';
}

export interface World {
  /** All that this run writes. */
  folder: string;
  configFile: string;
  nodes: readonly Node[];
  slots: readonly Slot[];
  /** Where the services are. */
  servicePort: number;
  /** Connections that the services have open. */
  serviceSockets(): number;
  /** `tell` hears what is closed now. */
  close(tell: (what: string) => void): Promise<void>;
}

const keepaliveSeconds = 1;
const keepaliveCount = 3;
const connectSeconds = 2;
/** How long a server may be deaf before that is noticed, and a dial that it swallows given up, in milliseconds. */
export const silenceMs = (Math.max(keepaliveSeconds * keepaliveCount, connectSeconds) + 1) * 1000;

/** `serve` gets each client of the services with the first bytes that it has sent, as many as `headerBytes`. */
export async function makeWorld(
  random: Random,
  headerBytes: number,
  serve: (socket: Parameters<Parameters<typeof startTarget>[0]>[0], header: Buffer) => void,
): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'soak-'));
  const file = (name: string) => join(folder, name);
  mkdirSync(file('s'));
  keygen(file('client'));

  const onSocket: Parameters<typeof startTarget>[0] = (socket) => {
    read(socket, headerBytes).then(
      (header) => serve(socket, header),
      // Cut before it has said who it is.
      () => socket.destroy(),
    );
  };
  const services: Target[] = [
    await startTarget(onSocket),
    await startTarget(onSocket, { path: file('s/service') } satisfies Place),
  ];
  const servicePort = services[0]!.port;

  const node = async (name: string, host: Host, more: readonly string[] = []): Promise<Node> => {
    const sshd = await startSshd({
      config: [
        `AuthorizedKeysFile ${file('client.pub')}`,
        'StreamLocalBindUnlink yes',
        // What a client has left behind is gone a little later: its remote ports are free.
        'ClientAliveInterval 1',
        'ClientAliveCountMax 5',
        ...more,
      ],
    });
    return { name, host, sshd, proxy: await startFaultyProxy({ port: sshd.port }) };
  };
  const nodes = [
    await node('web01', 'web01'),
    await node('db01', 'db01', ['RekeyLimit 1M']),
    await node('jump1', 'inner'),
    await node('jump2', 'inner'),
    await node('inner', 'inner'),
    await node('lazy01', 'lazy01'),
  ];

  writeFileSync(
    file('known_hosts'),
    nodes.map(({ sshd, proxy }) => knownHostsLine(proxy.port, publicKey(`${sshd.hostKeyPath}.pub`))).join(''),
  );
  const configFile = file('config');
  writeFileSync(
    configFile,
    [
      ...nodes.flatMap(({ name, proxy }) => [
        `Host ${name}`,
        `  Port ${proxy.port}`,
        ...(name === 'inner' ? ['  ProxyJump jump1,jump2'] : []),
      ]),
      'Host *',
      '  HostName 127.0.0.1',
      `  User ${userInfo().username}`,
      `  IdentityFile ${file('client')}`,
      '  IdentitiesOnly yes',
      '  IdentityAgent none',
      `  UserKnownHostsFile ${file('known_hosts')}`,
      '  GlobalKnownHostsFile /dev/null',
      `  ServerAliveInterval ${keepaliveSeconds}`,
      `  ServerAliveCountMax ${keepaliveCount}`,
      `  ConnectTimeout ${connectSeconds}`,
      '  StreamLocalBindUnlink yes',
      '',
    ].join('\n'),
    { mode: 0o600 },
  );

  const taken = new Set<number>();
  const slot = async (
    host: Host,
    name: string,
    from: 'port' | 'socket',
    to: 'port' | 'socket' | 'anywhere',
    isOnDemand = false,
  ): Promise<Slot> => {
    const isRemote = name.startsWith('-R');
    const listen = from === 'port' ? String(await quietPort(random, taken)) : file(`s/${taken.size}${host}${name}`);
    const target = { port: `:127.0.0.1:${servicePort}`, socket: `:${file('s/service')}`, anywhere: '' }[to];
    if (from === 'socket') taken.add(-taken.size);
    const destination = parseDestination(host);
    if (!destination.ok) throw new Error(host);
    const tunnel: NewTunnel = {
      destination: destination.destination,
      spec: mustParseSpec(`${name.slice(0, 2)} ${listen}${target}`),
      ...(isOnDemand && { onDemand: true }),
    };
    const nearKind = (isRemote ? to : from) === 'socket' ? 'unix' : 'tcp';
    return {
      name: `${host} ${name} ${from} to ${to}${isOnDemand ? ', on demand' : ''}`,
      host,
      tunnel,
      id: tunnelId(tunnel),
      isProxy: to === 'anywhere',
      near: isRemote ? 'service' : 'client',
      nearKind,
    };
  };
  const slots = [
    await slot('web01', '-L', 'port', 'port'),
    await slot('web01', '-L', 'port', 'socket'),
    await slot('web01', '-L', 'socket', 'port'),
    await slot('web01', '-L', 'port', 'port', true),
    await slot('web01', '-D', 'port', 'anywhere'),
    await slot('web01', '-R', 'port', 'port'),
    await slot('web01', '-R', 'socket', 'port'),
    await slot('web01', '-R', 'port', 'anywhere'),
    await slot('db01', '-L', 'port', 'port'),
    await slot('db01', '-L', 'socket', 'socket'),
    await slot('db01', '-D', 'port', 'anywhere'),
    await slot('db01', '-R', 'port', 'socket'),
    await slot('db01', '-R', 'port', 'port'),
    await slot('inner', '-L', 'port', 'port'),
    await slot('inner', '-L', 'socket', 'port'),
    await slot('inner', '-D', 'port', 'anywhere'),
    await slot('inner', '-R', 'port', 'port'),
    await slot('inner', '-R', 'socket', 'socket'),
    await slot('lazy01', '-L', 'port', 'port', true),
    await slot('lazy01', '-L', 'socket', 'socket', true),
    await slot('lazy01', '-D', 'port', 'anywhere', true),
  ];

  return {
    folder,
    configFile,
    nodes,
    slots,
    servicePort,
    serviceSockets: () => services.reduce((sum, { sockets }) => sum + sockets.size, 0),
    async close(tell) {
      for (const { name, proxy, sshd } of nodes) {
        tell(`closing the proxy of ${name}`);
        await proxy.close();
        tell(`stopping ${name}`);
        await sshd.stop();
      }
      tell('closing the services');
      for (const service of services) await service.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A free port that the system lends to nobody: a tunnel that is stopped finds it again. */
async function quietPort(random: Random, taken: Set<number>): Promise<number> {
  for (;;) {
    const port = random.between(12_000, 30_000);
    if (taken.has(port)) continue;
    taken.add(port);
    const server = createServer();
    server.listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    await new Promise((closed) => server.close(closed));
    if (isFree) return port;
  }
}
