import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSandbox, type SandboxServer } from '../../src/engine/sandboxServer';
import { eventually } from '../support/eventually';
import { freePort } from '../support/sshd';

const page = '<p>This page came through an SSH tunnel: ü</p>';

describe('the sandbox server', () => {
  let root: string;
  let folder: string;
  let sandbox: SandboxServer;
  const clients: ChildProcess[] = [];

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'ssh-tunnels-'));
    // Blanks and a per cent sign: ssh_config has its own opinion of both.
    folder = join(root, 'global storage 100%', 'one');
    sandbox = await startSandbox(folder, page);
  });
  after(async () => {
    for (const client of clients) client.kill();
    await sandbox.close();
    rmSync(root, { recursive: true, force: true });
  });

  const ssh = (...args: string[]) => {
    const client = spawn('ssh', ['-F', sandbox.configFile, '-o', 'BatchMode=yes', ...args, 'sandbox'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    client.on('error', () => {});
    clients.push(client);
    return client;
  };
  const codeOf = async (client: ChildProcess) => ((await once(client, 'close')) as [number])[0];

  it('gives ssh its page through a tunnel, again and again, without a question', async () => {
    const port = await freePort();
    ssh('-N', '-o', 'ExitOnForwardFailure=yes', '-L', `127.0.0.1:${port}:hello:80`);
    const get = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
    assert.equal(await eventually(get), page);
    assert.deepEqual(await Promise.all([get(), get(), get()]), [page, page, page]);
  });

  it('opens nothing but its page', async () => {
    for (const target of [`127.0.0.1:${sandbox.port}`, 'hello:81', 'localhost:80'])
      assert.notEqual(await codeOf(ssh('-W', target)), 0, target);
  });

  it('runs no command, and listens for nobody', async () => {
    assert.notEqual(await codeOf(ssh('-T', 'true')), 0);
    const remote = ssh('-N', '-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1');
    assert.equal(await codeOf(remote), 255);
  });

  it('refuses a user that it does not know, and any other key', async () => {
    assert.equal(await codeOf(ssh('-N', '-l', 'root')), 255);
    const other = await startSandbox(join(root, 'other'), page);
    try {
      const wrong = join(root, 'wrong_key');
      writeFileSync(
        wrong,
        readFileSync(sandbox.configFile, 'utf8').replace(/IdentityFile .*/, `IdentityFile ${join(root, 'other/id')}`),
      );
      assert.equal(await codeOf(spawn('ssh', ['-F', wrong, '-o', 'BatchMode=yes', '-N', 'sandbox'])), 255);
    } finally {
      await other.close();
    }
  });

  it('is not changed by who connects and speaks no SSH', async () => {
    const stranger = connect(sandbox.port, '127.0.0.1');
    stranger.on('error', () => {});
    stranger.resume();
    stranger.end('GET / HTTP/1.1\r\n\r\n');
    await once(stranger, 'close');
    const port = await freePort();
    ssh('-N', '-L', `127.0.0.1:${port}:hello:80`);
    assert.equal(await eventually(async () => (await fetch(`http://127.0.0.1:${port}/`)).text()), page);
  });

  it('keeps its files from others, and leaves none', async () => {
    const own = join(root, 'mine');
    const { configFile, port, close } = await startSandbox(own, page);
    assert.equal(statSync(own).mode & 0o777, 0o700);
    for (const name of readdirSync(own)) assert.equal(statSync(join(own, name)).mode & 0o777, 0o600, name);
    assert.match(readFileSync(configFile, 'utf8'), new RegExp(`Port ${port}\\n`));
    await assert.rejects(startSandbox(own, page), { code: 'EEXIST' });
    assert.equal(existsSync(configFile), true);
    await close();
    assert.equal(existsSync(own), false);
    const late = connect(port, '127.0.0.1');
    const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  });
});
