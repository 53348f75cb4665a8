import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { connect, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type AuthContext, type Connection, type ParsedKey, type ServerChannel } from 'ssh2';
import { demoPage } from './demoPage';

/** An SSH server for trying the extension out, whose only use is to reach the demo's page. For nothing but the demo. */
export interface Sandbox {
  readonly sshPort: number;
  readonly webPort: number;
  readonly user: string;
  readonly keyPath: string;
  readonly knownHostsPath: string;
  /** An ssh_config in which the server is called `sandbox`. */
  readonly configPath: string;
  /** Ends the servers with their connections, and removes the keys. */
  close(): Promise<void>;
}

const user = 'demo';
const loopback = '127.0.0.1';

export async function startSandbox(): Promise<Sandbox> {
  const folder = await mkdtemp(join(tmpdir(), 'ssh-tunnels-sandbox-')); // readable for its owner alone
  const hostKey = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'sandbox host' });
  const clientKey = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'sandbox client' });

  const web = createHttpServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
    response.end(demoPage);
  });
  const webPort = await listen(web);

  const connections = new Set<Connection>();
  const ssh = new ssh2.Server({ hostKeys: [hostKey.private] }, (connection) => {
    connections.add(connection);
    connection.on('error', () => {}); // one that goes away, or that doesn't speak SSH, is no concern of the others
    connection.on('close', () => connections.delete(connection));
    connection.on('authentication', (context) => authenticate(context, parsedKey(clientKey.public)));
    connection.on('ready', () => serve(connection, webPort));
  });
  const sshPort = await listen(ssh);

  const keyPath = join(folder, 'id_ed25519');
  const knownHostsPath = join(folder, 'known_hosts');
  const configPath = join(folder, 'config');
  const config = [
    'Host sandbox',
    `  HostName ${loopback}`,
    `  Port ${sshPort}`,
    `  User ${user}`,
    `  IdentityFile "${keyPath}"`,
    '  IdentitiesOnly yes',
    `  UserKnownHostsFile "${knownHostsPath}"`,
    '',
  ];
  await writeFile(keyPath, clientKey.private, { mode: 0o600 });
  await writeFile(knownHostsPath, `[${loopback}]:${sshPort} ${hostKey.public}\n`, { mode: 0o600 });
  await writeFile(configPath, config.join('\n'), { mode: 0o600 });

  const close = async () => {
    for (const connection of connections) connection.end();
    web.closeAllConnections();
    await Promise.all([closed(web), closed(ssh as unknown as NetServer)]);
    await rm(folder, { recursive: true, force: true });
  };
  return { sshPort, webPort, user, keyPath, knownHostsPath, configPath, close };
}

function authenticate(context: AuthContext, allowed: ParsedKey): void {
  const known =
    context.method === 'publickey' &&
    context.username === user &&
    context.key.algo === allowed.type &&
    context.key.data.equals(allowed.getPublicSSH());
  if (!known) return context.reject(['publickey']);
  // The first request only asks whether the key would do, and has no signature.
  if (!context.signature || !context.blob) return context.accept();
  if (allowed.verify(context.blob, context.signature, context.hashAlgo) === true) context.accept();
  else context.reject(['publickey']);
}

/** Opens channels to the demo's page alone, under any name that this machine's loopback has. */
function serve(connection: Connection, webPort: number): void {
  const sockets = new Set<Socket>();
  connection.on('close', () => sockets.forEach((socket) => socket.destroy()));
  connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
    if (destPort !== webPort || !['localhost', loopback, '::1'].includes(destIP)) return reject();
    const socket = connect({ host: loopback, port: webPort, allowHalfOpen: true, noDelay: true });
    sockets.add(socket);
    let channel: ServerChannel | undefined;
    socket.on('error', () => {
      if (channel) channel.close();
      else reject();
    });
    socket.on('close', () => sockets.delete(socket));
    socket.once('connect', () => {
      channel = accept();
      channel.on('error', () => socket.destroy());
      channel.on('close', () => socket.destroy());
      channel.pipe(socket).pipe(channel); // an end on one side ends only that direction of the other
    });
  });
}

function parsedKey(text: string): ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key;
}

async function listen(server: NetServer): Promise<number> {
  server.listen(0, loopback);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function closed(server: NetServer): Promise<void> {
  await new Promise<void>((done) => server.close(() => done()));
}
