import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { failureOf } from '../../src/core/failure.js';
import { hostConfig, type HostConfig } from '../../src/core/sshConfig.js';
import { connectToAny, openSocket } from '../../src/engine/openSocket.js';
import { localUser } from '../../src/engine/sshFiles.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';
import { startTarget, startTwins, type Target } from '../support/targets.js';

describe('a connection to a server', () => {
  let heldBefore: string[];
  const targets: Target[] = [];
  before(() => (heldBefore = heldResources()));
  afterEach(async () => {
    for (const target of targets.splice(0)) await target.close();
  });
  after(async () => {
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const never = new AbortController().signal;
  const silent = () => startTarget((socket) => void socket.resume().on('end', () => socket.end()));
  function config(port: number, options: Record<string, string> = {}): HostConfig {
    const given = { hostname: '127.0.0.1', port: String(port), ...options };
    return hostConfig('web01', new Map(Object.entries(given).map(([key, value]) => [key, [value]])), localUser());
  }
  const failure = async (work: Promise<unknown>) => {
    try {
      await work;
    } catch (error) {
      return failureOf(error);
    }
    throw new Error('it came up');
  };

  it('is tried as often as ConnectionAttempts says, a second apart', async () => {
    const port = await freePort();
    const since = performance.now();
    assert.deepEqual(await failure(openSocket(config(port, { connectionattempts: '3' }), never)), {
      kind: 'connectFailed',
      host: '127.0.0.1',
      port,
      code: 'ECONNREFUSED',
    });
    const took = performance.now() - since;
    assert.equal(took >= 1990 && took < 3500, true, `${took} ms`);
  });

  it('comes up when a later attempt succeeds', async () => {
    const port = await freePort();
    const opening = openSocket(config(port, { connectionattempts: '5' }), never);
    await new Promise((waited) => setTimeout(waited, 300));
    targets.push(await startTarget(() => {}, { host: '127.0.0.1', port }));
    (await opening).destroy();
  });

  it('is called off at once between two attempts', async () => {
    const abort = new AbortController();
    const opening = openSocket(config(await freePort(), { connectionattempts: '100' }), abort.signal);
    setTimeout(() => abort.abort(), 300);
    const since = performance.now();
    assert.deepEqual(await failure(opening), { kind: 'cancelled' });
    assert.equal(performance.now() - since < 900, true);
  });

  it('is called off before it begins', async () => {
    assert.deepEqual(await failure(openSocket(config(1), AbortSignal.abort())), { kind: 'cancelled' });
  });

  it('is made to the next address when the first refuses, and keeps none of the others', async () => {
    const [four, six] = await startTwins(() => {});
    targets.push(four);
    await six.close();
    const addresses = ['::1', '127.0.0.1', '::1'].map((address) => ({ address }));
    const socket = await connectToAny(addresses, config(four.port), never);
    assert.equal(socket.remoteAddress, '127.0.0.1');
    socket.destroy();
  });

  it('says what an address answered before it says that another has no way there', async () => {
    const port = await freePort();
    const addresses = [{ address: '127.0.0.1', from: '::1' }, { address: '127.0.0.1' }];
    assert.deepEqual(await failure(connectToAny(addresses, config(port), never)), {
      kind: 'connectFailed',
      host: '127.0.0.1',
      port,
      code: 'ECONNREFUSED',
    });
  });

  it('comes from BindAddress, of the family of the server’s address', async () => {
    const target = await startTarget((socket) => socket.end(socket.remoteAddress ?? ''));
    targets.push(target);
    const socket = await openSocket(config(target.port, { hostname: 'localhost', bindaddress: '127.0.0.7' }), never);
    const [from] = (await once(socket, 'data')) as [Buffer];
    assert.equal(from.toString(), '127.0.0.7');
    socket.destroy();
    assert.deepEqual(await failure(openSocket(config(target.port, { bindaddress: '::1' }), never)), {
      kind: 'connectFailed',
      host: '127.0.0.1',
      port: target.port,
      code: 'EADDRNOTAVAIL',
    });
  });

  describe('to an address that swallows everything', function () {
    this.timeout(20_000);
    let port: number;
    let child: ChildProcess;
    const fillers: Socket[] = [];

    before(async () => {
      // A program that is stopped takes what its queue holds; the system drops what comes then.
      const listen = `const server = require('node:net').createServer().listen(0, '127.0.0.2', 0, () => console.log(server.address().port))`;
      child = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'ignore'] });
      const [said] = (await once(child.stdout!, 'data')) as [Buffer];
      port = Number(said.toString());
      child.kill('SIGSTOP');
      for (let isFull = false; !isFull;) {
        const filler = connect({ host: '127.0.0.2', port }).on('error', () => {});
        fillers.push(filler);
        const isTaken = await Promise.race([once(filler, 'connect'), new Promise((late) => setTimeout(late, 300))]);
        isFull = isTaken === undefined;
      }
    });
    after(async () => {
      for (const filler of fillers) filler.destroy();
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    });

    it('is asked by a few sockets at once, of which none is left when it is called off', async function () {
      this.timeout(20_000);
      if (process.platform !== 'linux') this.skip();
      // Columns of /proc/net/tcp: local address, remote address (of 127.0.0.2), state: 02 is a socket without an answer.
      const hex = port.toString(16).toUpperCase().padStart(4, '0');
      const asking = () =>
        [...readFileSync('/proc/net/tcp', 'utf8').matchAll(new RegExp(`: ([0-9A-F:]+) 0200007F:${hex} 02 `, 'g'))].map(
          ([, from]) => from!,
        );
      // The last one that made the queue full.
      const fillers = asking();
      const own = () => asking().filter((from) => !fillers.includes(from));
      const abort = new AbortController();
      const opening = openSocket(config(port, { hostname: '127.0.0.2' }), abort.signal);
      const since = performance.now();
      const seen = new Set<string>();
      let first: string | undefined;
      while (performance.now() - since < 7000) {
        const now = own();
        assert.ok(now.length <= 3, String(now));
        first ??= now[0];
        if (first !== undefined) assert.ok(now.includes(first));
        for (const one of now) seen.add(one);
        await new Promise((waited) => setTimeout(waited, 100));
      }
      assert.ok(seen.size >= 4 && seen.size <= 6, String(seen.size));
      abort.abort();
      assert.deepEqual(await failure(opening), { kind: 'cancelled' });
      await eventually(() => assert.deepEqual(own(), []));
    });

    it('is given up after ConnectTimeout, each attempt on its own', async () => {
      const options = { hostname: '127.0.0.2', connecttimeout: '1', connectionattempts: '2' };
      const since = performance.now();
      assert.deepEqual(await failure(openSocket(config(port, options), never)), {
        kind: 'connectTimeout',
        host: '127.0.0.2',
        port,
        seconds: 1,
      });
      const took = performance.now() - since;
      assert.equal(took >= 2990 && took < 4500, true, `${took} ms`);
    });

    for (const seconds of ['15', '2', '1'])
      it(`is made to the next address besides, and in time (ConnectTimeout ${seconds})`, async () => {
        targets.push(await startTarget(() => {}, { host: '127.0.0.1', port }));
        const addresses = ['127.0.0.2', '127.0.0.1'].map((address) => ({ address }));
        const socket = await connectToAny(addresses, config(port, { connecttimeout: seconds }), never);
        assert.equal(socket.remoteAddress, '127.0.0.1');
        socket.destroy();
      });

    it('has the whole ConnectTimeout for each address', async () => {
      const addresses = ['127.0.0.2', '127.0.0.2', '127.0.0.2'].map((address) => ({ address }));
      const since = performance.now();
      assert.deepEqual(await failure(connectToAny(addresses, config(port, { connecttimeout: '1' }), never)), {
        kind: 'connectTimeout',
        host: '127.0.0.1',
        port,
        seconds: 1,
      });
      const took = performance.now() - since;
      assert.equal(took >= 1990 && took < 2900, true, `${took} ms`);
    });

    it('says what another address answered before it says that this one is silent', async () => {
      const addresses = ['127.0.0.2', '127.0.0.3'].map((address) => ({ address }));
      const found = await failure(connectToAny(addresses, config(port, { connecttimeout: '1' }), never));
      assert.equal(found.kind === 'connectFailed' && found.code, 'ECONNREFUSED');
    });
  });

  it('says that a name is not found', async () => {
    const name = 'no-such-host.invalid';
    assert.deepEqual(await failure(openSocket(config(22, { hostname: name }), never)), {
      kind: 'hostNotFound',
      host: name,
    });
  });

  it('has its packets sent at once, and the system ask from time to time whether the server is there', async function () {
    if (process.platform !== 'linux') this.skip();
    const target = await silent();
    targets.push(target);
    const socket = await openSocket(config(target.port), never);
    try {
      // Columns of /proc/net/tcp: local and remote address, state (01: established; who had the port before may still wait),
      // queues, and the timer: 02 is the one of keepalive.
      const hex = socket.localPort!.toString(16).toUpperCase().padStart(4, '0');
      const established = new RegExp(`^ *\\d+: [0-9A-F]+:${hex} [0-9A-F:]+ 01 `);
      const line = readFileSync('/proc/net/tcp', 'utf8')
        .split('\n')
        .find((one) => established.test(one));
      assert.match(line ?? '', / 02:[0-9A-F]+ /);
    } finally {
      socket.destroy();
    }
  });
});
