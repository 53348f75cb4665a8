import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as vscode from 'vscode';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';
import { extensionUnderTest } from './extensionUnderTest.js';

describe('every kind of forward inside VS Code', () => {
  const { activate, access, configure, run, connections, forwards, notices, lastNotice, become, removeAll } =
    extensionUnderTest();
  let sshd: Sshd;
  let web: Server;
  let service: Target;
  const clients = new Set<Socket>();

  before(async () => {
    await activate();
    sshd = await startSshd();
    web = createServer((_request, response) => response.end('a page behind the server'));
    await new Promise<void>((listening) => web.listen(0, '127.0.0.1', listening));
    service = await startTarget(echo);
    await configure('sshConfigFile', sshd.configPath('web01'));
  });
  afterEach(async () => {
    for (const socket of clients) socket.destroy();
    clients.clear();
    await removeAll();
  });
  after(async () => {
    await configure('sshConfigFile', undefined);
    await service.close();
    web.close();
    await sshd.stop();
  });

  const start = async (forward: string, label?: string) => {
    const before = forwards().length;
    await run('forwardPort', { host: 'web01', forward, label });
    await eventually(() => assert.equal(forwards()[before]?.status, 'ready', JSON.stringify(forwards())));
    return { kind: 'forward', id: forwards()[before]!.id };
  };
  /** A client that stays, and has got what it sent. */
  const stay = async (port: number): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    clients.add(socket);
    socket.on('error', () => {});
    socket.write('here');
    assert.equal(String(await new Promise((got) => socket.once('data', got))), 'here');
    return socket;
  };
  const closed = (socket: Socket) =>
    eventually(() => assert.ok(socket.destroyed || socket.readableEnded, 'the client is still connected'));
  const answers = async (socket: Socket) => {
    socket.write('more');
    assert.equal(String(await new Promise((got) => socket.once('data', got))), 'more');
  };
  const refuses = (port: number) =>
    eventually(async () => assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED'));
  /** Presses Enter in the quick pick until `done`: it may not be open yet. */
  const acceptPick = (done: () => void) =>
    eventually(async () => {
      await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
      done();
    });

  it('brings what connects on the server to this machine', async () => {
    const port = await freePort();
    const row = await start(`-R ${port}:localhost:${service.port}`);
    assert.equal(forwards()[0]!.label, `on web01: localhost:${port} → localhost:${service.port}`);
    assert.equal(String((await exchange(port, Buffer.from('ping'))).received), 'ping');
    await run('copyAddress', row);
    assert.equal(await vscode.env.clipboard.readText(), `localhost:${port}`);
  });

  it('shows the port that the server chose', async () => {
    await start(`-R 0:localhost:${service.port}`);
    const port = Number(/localhost:(\d+) →/.exec(forwards()[0]!.label)?.[1]);
    assert.ok(port > 0, forwards()[0]!.label);
    assert.equal(String((await exchange(port, Buffer.from('ping'))).received), 'ping');
  });

  it('is a SOCKS and HTTP proxy for -D, which resolves names on the server', async () => {
    const port = await freePort();
    await start(`-D ${port}`);
    const url = `http://localhost:${(web.address() as AddressInfo).port}/`;
    for (const proxy of [`socks5h://127.0.0.1:${port}`, `socks4a://127.0.0.1:${port}`]) {
      const { stdout } = await promisify(execFile)('curl', ['-sS', '--noproxy', '', '--proxy', proxy, url]);
      assert.equal(stdout, 'a page behind the server');
    }
  });

  it('opens all that a pasted ssh command has, on one connection', async () => {
    const [local, remote] = [await freePort(), await freePort()];
    const command = `ssh -N \\\n  -L ${local}:localhost:${service.port} \\\n  -R ${remote}:localhost:${service.port} web01`;
    await run('newFromCommand', { command });
    await become('ready', 'ready');
    assert.equal(connections().length, 1);
    for (const port of [local, remote]) assert.equal(String((await exchange(port, Buffer.from('x'))).received), 'x');
    await run('copySshCommand', { kind: 'connection', id: 'web01' });
    const copied = await vscode.env.clipboard.readText();
    const file = sshd.configPath('web01');
    assert.equal(
      copied,
      `ssh -F ${file} -N -L ${local}:localhost:${service.port} -R ${remote}:localhost:${service.port} web01`,
    );
    await run('copyConfigBlock', { kind: 'connection', id: 'web01' });
    assert.equal(
      await vscode.env.clipboard.readText(),
      `Host web01\n  LocalForward ${local} localhost:${service.port}\n  RemoteForward ${remote} localhost:${service.port}\n`,
    );
  });

  it('refuses a command with its place, and opens nothing', async () => {
    await run('newFromCommand', { command: 'ssh -N -L 99999:db:80 web01' });
    await eventually(() => assert.match(lastNotice(), /“99999” is not a port to listen on.*at character 11/));
    assert.deepEqual(forwards(), []);
  });

  it('adds forwards to a live connection and cancels them by a line, and disturbs no neighbour', async () => {
    const [first, second] = [await freePort(), await freePort()];
    const row = await start(`${first}:localhost:${service.port}`);
    const client = await stay(first);
    const sessions = sshd.sessions();
    await run('commandLine', { kind: 'connection', id: 'web01' }, `-L ${second}:localhost:${service.port}`);
    await become('ready', 'ready');
    const neighbour = await stay(second);
    await run('commandLine', { connection: 'web01', line: `-KL ${second}` });
    await become('ready', 'stopped');
    await refuses(second);
    await answers(neighbour);
    await answers(client);
    assert.deepEqual(sshd.sessions(), sessions);
    for (const [line, text] of [
      [`-KL ${second}`, /^-KL \d+ cancels nothing/],
      ['-L 99999:db:80', /“99999” is not a port to listen on.*at character 4/],
      ['-Q', /-Q/],
    ] as const) {
      await run('commandLine', row, line);
      await eventually(() => assert.match(lastNotice(), text));
    }
    await become('ready', 'stopped');
  });

  it('asks before it stops a tunnel that is in use, and lets its connections finish', async () => {
    const port = await freePort();
    const row = await start(`${port}:localhost:${service.port}`);
    const client = await stay(port);
    void run('stop', row);
    await acceptPick(() => assert.equal(forwards()[0]!.status, 'stopped'));
    assert.equal(forwards()[0]!.description, 'stopped, open connections finish');
    await refuses(port);
    await answers(client);
    client.end();
    await eventually(() => assert.equal(forwards()[0]!.description, 'stopped'));
  });

  it('cuts those that finish when it is stopped again', async () => {
    const port = await freePort();
    const row = await start(`${port}:localhost:${service.port}`);
    const client = await stay(port);
    await run('stop', { ...row, how: 'drain' });
    await become('stopped');
    await answers(client);
    await run('stop', row);
    await closed(client);
    assert.equal(forwards()[0]!.description, 'stopped');
  });

  it('stops one that nobody uses without a question', async () => {
    const row = await start(`${await freePort()}:localhost:${service.port}`);
    await run('stop', row);
    assert.equal(forwards()[0]!.status, 'stopped');
  });

  it('asks about the connections that finish already, too, unless their tunnel alone is stopped', async () => {
    const [port, idle] = [await freePort(), await freePort()];
    const row = await start(`${port}:localhost:${service.port}`);
    const client = await stay(port);
    await run('stop', { ...row, how: 'drain' });
    await start(`${idle}:localhost:${service.port}`);
    void run('stop', { kind: 'connection', id: 'web01' });
    await acceptPick(() => assert.equal(forwards()[1]!.status, 'stopped'));
    await refuses(idle);
    await answers(client);
  });

  it('lets those finish, too, that came while it was asked', async () => {
    const [port, idle] = [await freePort(), await freePort()];
    await start(`${port}:localhost:${service.port}`);
    await start(`${idle}:localhost:${service.port}`);
    const client = await stay(port);
    const before = access().clientReads();
    void run('stop', { kind: 'connection', id: 'web01' }, [{ kind: 'connection', id: 'web01' }, ...forwards()]);
    await eventually(() => assert.ok(access().clientReads() >= before + 2));
    assert.equal(access().clientReads(), before + 2, 'each tunnel is counted once');
    const late = await stay(idle);
    await acceptPick(() => assert.deepEqual([...new Set(forwards().map(({ status }) => status))], ['stopped']));
    await refuses(idle);
    await answers(client);
    await answers(late);
  });

  it('leaves those that finish when a button that came before stops their tunnel for another one', async () => {
    const port = await freePort();
    const row = await start(`127.0.0.1:${port}:localhost:${service.port}`, 'First');
    const client = await stay(port);
    await vscode.commands.executeCommand('notifications.clearAll');
    await run('forwardPort', { host: 'web01', forward: `127.0.0.1:${port}:localhost:${service.port + 1}` });
    await eventually(() => assert.match(lastNotice(), /in use .* by the tunnel “First”/));
    await run('stop', { ...row, how: 'drain' });
    await eventually(async () => {
      await vscode.commands.executeCommand('notification.acceptPrimaryAction');
      assert.deepEqual(
        forwards().map(({ status }) => status),
        ['stopped', 'ready'],
      );
    });
    await answers(client);
  });

  it('takes one that finishes off the list when it has, and not before', async () => {
    for (const how of [undefined, 'drain'] as const) {
      const port = await freePort();
      const row = await start(`${port}:localhost:${service.port}`);
      const client = await stay(port);
      await run('stop', { ...row, how: 'drain' });
      await run('remove', { ...row, how });
      await answers(client);
      assert.equal(forwards().length, 1);
      client.end();
      await eventually(() => assert.deepEqual(forwards(), []));
    }
  });

  it('tells what a command that was given leaves out, and that one without a forward opens nothing', async () => {
    await run('newFromCommand', { command: 'ssh -N -C web01' });
    await eventually(() => assert.match(lastNotice(), /^This command connects to web01 and forwards nothing/));
    assert.deepEqual(forwards(), []);
    await run('newFromCommand', { command: `ssh -t -L ${await freePort()}:db:1 web01 sleep 60` });
    assert.ok(notices().some((text) => /^Open a tunnel through web01\. Ignored: .*sleep 60/.test(text)));
    await become('ready');
  });

  it('takes variables in what is typed', async () => {
    const forward = '-L ${SSH_TUNNELS_TEST_TMP}/typed.sock:' + `localhost:${service.port}`;
    await run('forwardPort', { host: 'web01', forward });
    await become('ready');
  });

  it('takes a tunnel off the list when the connections that may finish have', async () => {
    const port = await freePort();
    const row = await start(`${port}:localhost:${service.port}`);
    const client = await stay(port);
    await run('remove', { ...row, how: 'drain' });
    await become('stopped');
    await answers(client);
    client.end();
    await eventually(() => assert.deepEqual(forwards(), []));
  });

  it('closes one connection of a tunnel and leaves the others', async () => {
    const port = await freePort();
    const row = await start(`${port}:localhost:${service.port}`);
    const [first, second] = [await stay(port), await stay(port)];
    const listed = await access().clients(row.id);
    assert.equal(listed.length, 2);
    await run('disconnectClient', { kind: 'client', forward: row.id, id: listed[0]!.id });
    await closed(first);
    await answers(second);
    assert.deepEqual(
      (await access().clients(row.id)).map(({ id }) => id),
      [listed[1]!.id],
    );
  });

  it('takes the next free port when told so, and never by itself', async () => {
    const taken = await startTarget(() => {});
    await run('forwardPort', { host: 'web01', forward: `127.0.0.1:${taken.port}:localhost:${service.port}` });
    await become('failed');
    await run('startOnFreePort', { kind: 'forward', id: forwards()[0]!.id });
    await become('ready');
    const real = Number(/port (\d+) instead of (\d+)/.exec(forwards()[0]!.description)?.[1]);
    assert.ok(real > taken.port, forwards()[0]!.description);
    assert.equal(String((await exchange(real, Buffer.from('x'))).received), 'x');
    await taken.close();
    await run('restart', { kind: 'forward', id: forwards()[0]!.id });
    await eventually(() => assert.equal(forwards()[0]!.description, 'ready'));
  });

  it('opens nothing to the network that was not agreed to, and leaves the other tunnels alone', async () => {
    await start(`${await freePort()}:localhost:${service.port}`);
    // VS Code shows no dialog to a test: that is a no.
    const port = await freePort();
    await run('forwardPort', { host: 'web01', forward: `*:${port}:localhost:${service.port}` });
    await become('ready', 'stopped');
    await refuses(port);
    assert.equal(forwards()[1]!.isOpen, false);
  });

  it('copies two logins on one host as two blocks that ssh keeps apart', async () => {
    for (const host of ['web01', 'nobody@web01']) await run('forwardPort', { host, forward: '5000:db:5432' });
    await run('copyConfigBlock', forwards()[0], forwards());
    assert.equal(
      await vscode.env.clipboard.readText(),
      'Host web01\n  LocalForward 5000 db:5432\n\nHost web01-nobody\n  HostName web01\n  User nobody\n  LocalForward 5000 db:5432\n',
    );
  });

  it('reads no counters while nobody looks, and each second while somebody does', async () => {
    const port = await freePort();
    await start(`${port}:localhost:${service.port}`, 'Service');
    const client = await stay(port);
    const reads = async (ms: number) => {
      const before = access().clientReads();
      await sleep(ms);
      return access().clientReads() - before;
    };
    /** With the focus on the tunnel's row, below its connection's. */
    const onRow = async (action: string) => {
      for (const step of ['sshTunnels.tunnels.focus', 'list.focusFirst', 'list.focusDown', action])
        await vscode.commands.executeCommand(step);
    };
    await vscode.commands.executeCommand('sshTunnels.tunnels.focus');
    await answers(client);
    assert.equal(await reads(1300), 0, 'the row is closed');
    await eventually(async () => {
      await onRow('list.expand');
      assert.ok((await reads(100)) > 0);
    });
    const looked = await reads(2500);
    assert.ok(looked >= 2 && looked <= 4, `${looked} reads in 2.5 s`);
    await vscode.commands.executeCommand('workbench.view.explorer');
    await sleep(200);
    assert.equal(await reads(1300), 0, 'the view is hidden');
    await vscode.commands.executeCommand('sshTunnels.tunnels.focus');
    await eventually(async () => assert.ok((await reads(100)) > 0, 'it is seen again'));
    assert.ok((await reads(1300)) >= 1, 'and is read on');
    await eventually(async () => {
      await onRow('list.collapse');
      assert.equal(await reads(1300), 0, 'the row is closed again');
    });
  });
});
