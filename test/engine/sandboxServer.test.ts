import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { startSandbox, type Sandbox } from '../demo/sandboxServer';
import { eventually } from '../support/eventually';

describe('the sandbox server of the demo', () => {
  let sandbox: Sandbox;
  const clients: ChildProcess[] = [];

  before(async () => {
    sandbox = await startSandbox();
  });
  after(async () => {
    for (const client of clients) client.kill();
    await sandbox.close();
    assert.equal(existsSync(sandbox.keyPath), false);
  });

  const ssh = (...args: string[]) => {
    const options = ['-F', sandbox.configPath, '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes'];
    const client = spawn('ssh', [...options, ...args, 'sandbox'], { stdio: ['ignore', 'ignore', 'pipe'] });
    client.on('error', () => {});
    clients.push(client);
    return client;
  };

  it('gives ssh its page through a tunnel', async () => {
    const port = await freePort();
    ssh('-N', '-o', 'ExitOnForwardFailure=yes', '-L', `127.0.0.1:${port}:localhost:${sandbox.webPort}`);
    const page = await eventually(async () => (await fetch(`http://127.0.0.1:${port}/`)).text());
    assert.match(page, /This page came through an SSH tunnel/);
  });

  it('opens nothing but its page', async () => {
    const client = ssh('-W', `127.0.0.1:${sandbox.sshPort}`);
    const [code] = (await once(client, 'close')) as [number];
    assert.notEqual(code, 0);
  });

  it('refuses a user that it does not know', async () => {
    const client = ssh('-N', '-l', 'root');
    const [code] = (await once(client, 'close')) as [number];
    assert.equal(code, 255);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
