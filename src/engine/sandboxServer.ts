// An SSH server for trying the extension out, whose only use is to reach one page: that is served inside of the server, so
// that there is no other way to it. It lets in one key, which it makes, and knows nobody else.
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import ssh2, { type AuthContext, type Connection, type ParsedKey } from 'ssh2';
import { sandboxHost, sandboxTarget } from '../core/sandbox.js';
import type { FromSandbox, WorkerData } from './workerMessage.js';

export interface SandboxServer {
  /** Of the SSH server, on 127.0.0.1. */
  readonly port: number;
  /** An ssh_config in which the server is called `sandbox`. */
  readonly configFile: string;
  /** Ends the server with its connections, and removes the folder. */
  close(): Promise<void>;
}

const user = 'guest';
const loopback = '127.0.0.1';
/** More than a browser makes; each is a connection to no more than a page. */
const mostConnections = 16;

/** The folder, for its owner alone, is made and must not be there. `page` is HTML. */
export async function startSandbox(folder: string, page: string): Promise<SandboxServer> {
  const hostKey = newKey();
  const clientKey = newKey();
  const allowed = parsedKey(clientKey);

  // Where no sandbox is wanted, no web server is loaded.
  const { createServer } = await import('node:http');
  const web = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
    response.end(page);
  });
  const connections = new Set<Connection>();
  const ssh = new ssh2.Server({ hostKeys: [hostKey] }, (connection) => {
    connections.add(connection);
    connection.on('error', () => connection.end()); // it went away, or doesn't speak SSH
    connection.on('close', () => connections.delete(connection));
    connection.on('authentication', (context) => authenticate(context, allowed));
    connection.on('ready', () => serve(connection, (stream) => web.emit('connection', stream)));
  });
  ssh.maxConnections = mostConnections;
  let isMade = false;
  const close = async () => {
    for (const connection of connections) connection.end();
    web.closeAllConnections();
    // Its callback comes in any case, with an error where it never listened.
    await new Promise<void>((done) => ssh.close(() => done()));
    if (isMade) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    ssh.listen(0, loopback);
    await once(ssh, 'listening');
    const { port } = ssh.address() as AddressInfo;
    await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
    await mkdir(folder, { mode: 0o700 });
    isMade = true;
    return { port, configFile: await writeFiles(folder, port, clientKey, parsedKey(hostKey)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The part of the thread that is a sandbox; it ends when it is told to, or has failed. */
export function runSandbox(port: MessagePort, { folder, page }: NonNullable<WorkerData['sandbox']>): void {
  const send = (message: FromSandbox) => port.postMessage(message);
  const starting = startSandbox(folder, page);
  port.once('message', () => void starting.then(({ close }) => close()).finally(() => port.close()));
  starting.then(
    (server) => send({ kind: 'sandboxReady', port: server.port, configFile: server.configFile }),
    (error: unknown) => send({ kind: 'sandboxFailed', detail: error instanceof Error ? error.message : String(error) }),
  );
}

/** The config comes last: where it is, all is. */
async function writeFiles(folder: string, port: number, clientKey: string, hostKey: ParsedKey): Promise<string> {
  const write = async (name: string, text: string) => {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600, flag: 'wx' });
    return path;
  };
  const keyPath = await write('id', clientKey);
  const knownHosts = await write(
    'known_hosts',
    `[${loopback}]:${port} ${hostKey.type} ${hostKey.getPublicSSH().toString('base64')}\n`,
  );
  const lines = [
    `Host ${sandboxHost}`,
    `  HostName ${loopback}`,
    `  Port ${port}`,
    `  User ${user}`,
    `  IdentityFile ${quoted(keyPath)}`,
    '  IdentitiesOnly yes',
    '  IdentityAgent none',
    '  PreferredAuthentications publickey',
    `  UserKnownHostsFile ${quoted(knownHosts)}`,
    '  GlobalKnownHostsFile none',
    '  StrictHostKeyChecking yes',
    '  UpdateHostKeys no',
    '',
  ];
  return write('config', lines.join('\n'));
}

/** As ssh_config takes a path: on Windows, too, with slashes, since a backslash may begin an escape. */
function quoted(path: string): string {
  const slashed = process.platform === 'win32' ? path.replaceAll('\\', '/') : path;
  return `"${slashed.replaceAll('%', '%%')}"`;
}

function authenticate(context: AuthContext, allowed: ParsedKey): void {
  const isKnown =
    context.method === 'publickey' &&
    context.username === user &&
    context.key.algo === allowed.type &&
    context.key.data.equals(allowed.getPublicSSH());
  if (!isKnown) return context.reject(['publickey']);
  // The first request only asks whether the key would do, and has no signature.
  if (!context.signature || !context.blob) return context.accept();
  if (allowed.verify(context.blob, context.signature, context.hashAlgo) === true) context.accept();
  else context.reject(['publickey']);
}

/** Opens channels to the page alone. All else, commands and forwards of its own port among it, ssh2 refuses by itself. */
function serve(connection: Connection, takes: (stream: Socket) => void): void {
  connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
    if (destIP !== sandboxTarget.host || destPort !== sandboxTarget.port) return reject();
    const channel = accept();
    channel.on('error', () => channel.destroy());
    // A web server takes any stream of bytes both ways; ssh2's has no more of a socket's methods than that needs.
    takes(channel as unknown as Socket);
  });
}

/** P-256 in the one PEM form that ssh, ssh2 and node all read. */
function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return privateKey.export({ type: 'sec1', format: 'pem' }) as string;
}

function parsedKey(text: string): ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return Array.isArray(key) ? (key as ParsedKey[])[0]! : key;
}
