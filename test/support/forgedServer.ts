// An SSH server that lets everybody in and does what no sshd would: for a server that is evil, slow or strange.
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type AuthContext, type Connection, type ParsedKey } from 'ssh2';

export interface ForgedServer {
  /** An ssh_config in which it is called `web01`. */
  configPath: string;
  /** Those that are logged in. */
  connections: Set<Connection>;
  /** How many requests to log in came. */
  readonly logins: number;
  close(): Promise<void>;
}

export interface Forgery {
  /** The private key that it signs with, asked for at each key exchange; the first one is known to the client. */
  hostKey?(): string;
  /** A key's blob that it shows in place of its own. */
  shows?(): Buffer;
  /** Answers a request to log in, in place of letting everybody in. */
  logIn?(context: AuthContext, connection: Connection): void;
}

/** `serve` is called with each connection that has logged in. */
export async function startForgedServer(
  serve: (connection: Connection) => void,
  forgery: Forgery = {},
): Promise<ForgedServer> {
  const folder = mkdtempSync(join(tmpdir(), 'forged-'));
  const own = madeKey();
  const keyNow = () => parsedKey(forgery.hostKey?.() ?? own);
  const hostKey = Object.assign(parsedKey(own), {
    getPublicSSH: () => forgery.shows?.() ?? keyNow().getPublicSSH(),
    sign: (data: Buffer) => keyNow().sign(data),
  });
  const known = `ssh-ed25519 ${keyNow().getPublicSSH().toString('base64')}`;
  let logins = 0;
  const connections = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [{ key: hostKey as unknown as string }] }, (connection) => {
    connection.on('error', () => {});
    connection.on('close', () => connections.delete(connection));
    connection.on('authentication', (context) => {
      logins++;
      if (forgery.logIn) forgery.logIn(context, connection);
      else context.accept();
    });
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
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${known}\n`);
  const lines = [
    ...['Host web01', 'HostName 127.0.0.1', `Port ${port}`, 'User ann', 'IdentityAgent none', 'IdentityFile none'],
    ...[`UserKnownHostsFile ${knownHosts}`, 'GlobalKnownHostsFile /dev/null', ''],
  ];
  writeFileSync(configPath, lines.join('\n'), { mode: 0o600 });
  return {
    configPath,
    connections,
    get logins() {
      return logins;
    },
    async close() {
      for (const connection of connections) connection.end();
      await new Promise((closed) => server.close(closed));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** ssh2 leaves a zero at a key's start out, so that one in two hundred of its keys is none. */
function madeKey(): string {
  const key = ssh2.utils.generateKeyPairSync('ed25519').private;
  return ssh2.utils.parseKey(key) instanceof Error ? madeKey() : key;
}

function parsedKey(text: string): ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return Array.isArray(key) ? (key as ParsedKey[])[0]! : key;
}
