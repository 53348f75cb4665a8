// An SSH server that lets everybody in and does what no sshd would: for a server that is evil, slow or strange.
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type Connection } from 'ssh2';

export interface ForgedServer {
  /** An ssh_config in which it is called `web01`. */
  configPath: string;
  /** Those that are logged in. */
  connections: Set<Connection>;
  close(): Promise<void>;
}

/** `serve` is called with each connection that has logged in. */
export async function startForgedServer(serve: (connection: Connection) => void): Promise<ForgedServer> {
  const folder = mkdtempSync(join(tmpdir(), 'forged-'));
  const hostKey = ssh2.utils.generateKeyPairSync('ed25519');
  const connections = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [hostKey.private] }, (connection) => {
    connection.on('error', () => {});
    connection.on('close', () => connections.delete(connection));
    connection.on('authentication', (context) => context.accept());
    connection.on('ready', () => {
      connections.add(connection);
      serve(connection);
    });
  }) as unknown as NetServer;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const knownHosts = join(folder, 'known_hosts');
  const configPath = join(folder, 'config');
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${hostKey.public}\n`);
  const lines = [
    ...['Host web01', 'HostName 127.0.0.1', `Port ${port}`, 'User ann', 'IdentityAgent none', 'IdentityFile none'],
    ...[`UserKnownHostsFile ${knownHosts}`, 'GlobalKnownHostsFile /dev/null', ''],
  ];
  writeFileSync(configPath, lines.join('\n'), { mode: 0o600 });
  return {
    configPath,
    connections,
    async close() {
      for (const connection of connections) connection.end();
      await new Promise((closed) => server.close(closed));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
