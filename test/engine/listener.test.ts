import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync, readdirSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Failure } from '../../src/core/failure.js';
import { failureOf } from '../../src/core/failure.js';
import { listenTcp, listenUnix, resolveBind, type Listener } from '../../src/engine/listener.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';
import { connectTo, exchange, readToEnd } from '../support/targets.js';

const thisProcess = { program: 'node', pid: process.pid };
const loopback = [
  { address: '127.0.0.1', optional: false },
  { address: '::1', optional: true },
];
const handlers = {
  onSocket: (socket: { end(text: string): void; resume(): void }) => {
    socket.resume();
    socket.end('served');
  },
  log: () => {},
};

describe('a listener on this machine', () => {
  let heldBefore: string[];
  const listeners: Listener[] = [];
  const servers: Server[] = [];

  before(() => {
    heldBefore = heldResources();
  });
  afterEach(async () => {
    for (const listener of listeners.splice(0)) await listener.close();
    for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed));
  });
  after(() => eventually(() => assert.deepEqual(heldBeyond(heldBefore), [])));

  const listen = async (port: number, nextFree = false, candidates = loopback) => {
    const listener = await listenTcp(candidates, port, nextFree, handlers);
    listeners.push(listener);
    return listener;
  };
  const refusal = (work: Promise<unknown>): Promise<Failure> =>
    work.then(
      () => assert.fail('it listens'),
      (error: unknown) => failureOf(error),
    );
  const occupy = async (port: number, host: string) => {
    const server = createServer().listen({ port, host, ipv6Only: true });
    await once(server, 'listening');
    servers.push(server);
  };
  const both = (port: number) => [
    { kind: 'tcp', address: '127.0.0.1', port },
    { kind: 'tcp', address: '::1', port },
  ];
  /** The first of so many ports in a row that are free on both families; none that the system gives away by itself. */
  const freeRow = async (length: number): Promise<number> => {
    for (let first = 61_100; first < 65_000; first += length) {
      const ports = Array.from({ length }, (_, index) => first + index);
      const tries = await Promise.allSettled(ports.map((port) => listenTcp(loopback, port, false, handlers)));
      for (const one of tries) if (one.status === 'fulfilled') await one.value.close();
      if (tries.every((one) => one.status === 'fulfilled' && one.value.unbound.length === 0)) return first;
    }
    return assert.fail('no free ports in a row');
  };

  it('takes its own port for the next free one when it is free', async () => {
    const port = await freeRow(1);
    const { bound, unbound } = await listen(port, true);
    assert.deepEqual(bound, both(port));
    assert.deepEqual(unbound, []);
  });

  it('takes the next port that both families can have, and gives those in between back', async () => {
    const port = await freeRow(4);
    await occupy(port, '127.0.0.1');
    await occupy(port + 1, '::1');
    await occupy(port + 2, '127.0.0.1');
    await occupy(port + 2, '::1');
    const { bound, unbound } = await listen(port, true);
    assert.deepEqual(bound, both(port + 3));
    assert.deepEqual(unbound, []);
    await occupy(port, '::1');
    await occupy(port + 1, '127.0.0.1');
  });

  it('keeps to its own port, which one family has, when there is no other that both can have', async () => {
    for (let port = 65_533; port <= 65_535; port++) await occupy(port, '127.0.0.1');
    const { bound, unbound } = await listen(65_533, true);
    assert.deepEqual(bound, [{ kind: 'tcp', address: '::1', port: 65_533 }]);
    assert.deepEqual(unbound, [{ kind: 'portInUse', address: '127.0.0.1', port: 65_533, owner: thisProcess }]);
  });

  it('names its own port when all up to the last one are taken', async () => {
    for (let port = 65_534; port <= 65_535; port++) for (const host of ['127.0.0.1', '::1']) await occupy(port, host);
    assert.deepEqual(await refusal(listen(65_534, true)), {
      kind: 'portInUse',
      address: '127.0.0.1',
      port: 65_534,
      owner: thisProcess,
    });
  });

  it('listens on the last port that there is', async () => {
    assert.deepEqual((await listen(65_535, true)).bound, both(65_535));
  });

  it('never changes its port by itself', async () => {
    const port = await freeRow(2);
    await occupy(port, '127.0.0.1');
    assert.deepEqual((await listen(port)).bound, [{ kind: 'tcp', address: '::1', port }]);
    await occupy(port + 1, '127.0.0.1');
    await occupy(port + 1, '::1');
    assert.equal((await refusal(listen(port + 1))).kind, 'portInUse');
  });

  it('has one port for both families where the port is left to it', async () => {
    const ports = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const { bound, unbound } = await listen(0);
        const [first] = bound;
        assert.ok(first?.kind === 'tcp' && first.port > 0);
        assert.deepEqual(bound, both(first.port));
        assert.deepEqual(unbound, []);
        return first.port;
      }),
    );
    assert.equal(new Set(ports).size, 50);
    assert.equal((await exchange(ports[0]!, Buffer.from('x'), '::1')).received.toString(), 'served');
  });

  it('names the program that has the port', async () => {
    const script = `
      process.title = 'other-program';
      const server = require('node:net').createServer();
      server.listen(0, '::1', () => console.log(server.address().port));
      process.stdin.on('end', () => process.exit()).resume();
    `;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const closed = once(child, 'close');
    try {
      const [printed] = (await once(child.stdout, 'data')) as [Buffer];
      const port = Number(printed);
      const { unbound } = await listen(port);
      const owner = { program: 'other-program', pid: child.pid! };
      assert.deepEqual(unbound, [{ kind: 'portInUse', address: '::1', port, owner }]);
      const failure = await refusal(listen(port, false, [{ address: '::1', optional: false }]));
      assert.deepEqual(failure, unbound[0]);
    } finally {
      child.stdin.end();
      await closed;
    }
  });

  it('goes without an address that the machine does not have', async () => {
    const port = await freePort();
    const withOther = [...loopback, { address: '192.0.2.1', optional: false }];
    const { bound, unbound } = await listen(port, true, withOther);
    assert.deepEqual(bound, both(port));
    assert.deepEqual(unbound, [{ kind: 'addressUnavailable', address: '192.0.2.1', port }]);
  });

  it('frees the port at once when it is closed, and leaves its clients connected', async () => {
    const port = await freePort();
    const accepted: Socket[] = [];
    const clients: Socket[] = [];
    for (let time = 0; time < 20; time++) {
      const onSocket = (socket: Socket) => accepted.push(socket);
      const listener = await listenTcp(loopback, port, false, { ...handlers, onSocket });
      assert.deepEqual(listener.unbound, []);
      clients.push(await connectTo({ host: '127.0.0.1', port }));
      await eventually(() => assert.equal(accepted.length, clients.length));
      await listener.close();
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    }
    for (const socket of accepted) socket.end('still here').resume();
    for (const client of clients) assert.equal((await readToEnd(client.end())).received.toString(), 'still here');
  });

  const binds: readonly (readonly [
    bind: string | undefined,
    gatewayPorts: boolean,
    family: 0 | 4 | 6,
    expected: string,
  ])[] = [
    [undefined, false, 0, '127.0.0.1 ::1'],
    [undefined, false, 4, '127.0.0.1'],
    [undefined, false, 6, '::1'],
    [undefined, true, 0, '0.0.0.0 ::'],
    ['', false, 0, '0.0.0.0 ::'],
    ['*', false, 6, '::'],
    ['localhost', true, 0, '127.0.0.1 ::1'],
    ['LocalHost', true, 4, '127.0.0.1'],
    ['0.0.0.0', false, 0, '0.0.0.0'],
    ['127.0.0.2', true, 0, '127.0.0.2'],
    ['::1', false, 0, '::1'],
  ];
  for (const [bind, gatewayPorts, family, expected] of binds)
    it(`binds ${expected} for ${bind === undefined ? 'no address' : `“${bind}”`}, GatewayPorts ${gatewayPorts}, family ${family}`, async () => {
      const found = await resolveBind(bind, 1, { gatewayPorts, family });
      assert.equal(found.map(({ address }) => address).join(' '), expected);
    });

  it('refuses an address of the other family, and a name that nobody knows', async () => {
    for (const bind of ['127.0.0.1', 'no-such-name.invalid'])
      assert.deepEqual(await refusal(resolveBind(bind, 7, { gatewayPorts: false, family: 6 })), {
        kind: 'addressUnavailable',
        address: bind,
        port: 7,
      });
  });

  describe('on a Unix socket', () => {
    let folder: string;
    let path: string;
    const asked = { mask: 0o177, unlink: false };
    const listenAt = async (at: string, options = asked) => {
      const listener = await listenUnix(at, options, handlers);
      listeners.push(listener);
      return listener;
    };
    /** What a program leaves behind that ended without removing its socket. */
    const leaveStale = async () => {
      const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
      await once(spawn(process.execPath, ['-e', script, path], { stdio: 'ignore' }), 'exit');
      assert.ok(lstatSync(path).isSocket());
    };

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-socket-'));
      path = join(folder, 'one.sock');
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    it('serves with the mode that StreamLocalBindMask leaves, and removes the file at the end', async () => {
      for (const [mask, mode] of [
        [0o177, 0o600],
        [0o111, 0o666],
        [0, 0o777],
      ] as const) {
        const listener = await listenUnix(path, { mask, unlink: false }, handlers);
        assert.deepEqual(listener.bound, [{ kind: 'unix', path }]);
        assert.equal(statSync(path).mode & 0o777, mode);
        assert.equal((await exchange({ path }, Buffer.from('x'))).received.toString(), 'served');
        await listener.close();
        assert.equal(existsSync(path), false);
      }
    });

    it('tells a stale file from a live socket and from what is none', async () => {
      await leaveStale();
      assert.deepEqual(await refusal(listenAt(path)), { kind: 'socketStale', path });
      rmSync(path);
      await listenAt(path);
      assert.deepEqual(await refusal(listenAt(path)), { kind: 'socketInUse', path });
      const file = join(folder, 'file');
      writeFileSync(file, 'kept');
      assert.deepEqual(await refusal(listenAt(file)), { kind: 'socketBlocked', path: file });
      const nowhere = join(folder, 'no', 'folder.sock');
      assert.deepEqual(await refusal(listenAt(nowhere)), { kind: 'socketFailed', path: nowhere, code: 'ENOENT' });
    });

    it('refuses a path that the system would cut short, and leaves nothing behind', async () => {
      const long = join(folder, 'x'.repeat(109 - folder.length - 1));
      assert.deepEqual(await refusal(listenAt(long)), { kind: 'socketFailed', path: long, code: 'ENAMETOOLONG' });
      assert.deepEqual(readdirSync(folder), []);
    });

    it('shows the socket only when its mode is right, and leaves no folder behind', async () => {
      const before = process.umask(0);
      try {
        await listenAt(path);
      } finally {
        process.umask(before);
      }
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.deepEqual(readdirSync(folder), [basename(path)]);
    });

    it('does not remove a socket that another one has put in its place', async () => {
      const unlink = { mask: 0o177, unlink: true };
      const first = await listenUnix(path, unlink, handlers);
      await listenAt(path, unlink);
      await first.close();
      assert.equal((await exchange({ path }, Buffer.from('x'))).received.toString(), 'served');
    });

    it('takes a stale file’s place with StreamLocalBindUnlink, and never a file’s or a link’s', async () => {
      const unlink = { mask: 0o177, unlink: true };
      await leaveStale();
      await listenAt(path, unlink);
      assert.equal((await exchange({ path }, Buffer.from('x'))).received.toString(), 'served');
      const [file, link] = [join(folder, 'file'), join(folder, 'link')];
      writeFileSync(file, 'kept');
      symlinkSync(path, link);
      for (const one of [file, link])
        assert.deepEqual(await refusal(listenAt(one, unlink)), { kind: 'socketBlocked', path: one });
      assert.equal(lstatSync(file).size, 4);
      assert.ok(lstatSync(link).isSymbolicLink());
    });
  });
});
