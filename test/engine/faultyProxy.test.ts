// The tool of the fault tests, tested itself: what it is blamed for must be what it was asked for.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { startFaultyProxy, type FaultyProxy } from '../support/faultyProxy.js';

describe('faulty proxy', () => {
  let server: Server;
  let onAccepted: (socket: Socket) => void;
  let accepted: Socket[];
  let proxy: FaultyProxy;
  let clients: Socket[];

  const echo = (socket: Socket) => void socket.pipe(socket);
  const dial = async () => {
    const client = connect({ host: '127.0.0.1', port: proxy.port, allowHalfOpen: true });
    clients.push(client.on('error', () => undefined));
    await once(client, 'connect');
    return client;
  };
  const roundTrip = async (client: Socket, text: string) => {
    client.write(text);
    let got = '';
    while (got.length < text.length) got += String(((await once(client, 'data')) as [Buffer])[0]);
    assert.equal(got, text);
  };
  const digestOf = async (socket: Socket) => {
    const hash = createHash('sha256');
    socket.on('data', (chunk: Buffer) => hash.update(chunk));
    await once(socket, 'end');
    return hash.digest('hex');
  };
  const errorOf = (socket: Socket) =>
    new Promise<string | undefined>((done) => {
      let code: string | undefined;
      socket.once('error', (error: NodeJS.ErrnoException) => (code = error.code));
      socket.once('close', () => done(code));
    });

  beforeEach(async () => {
    [accepted, clients, onAccepted] = [[], [], echo];
    server = createServer({ allowHalfOpen: true }, (socket) => {
      accepted.push(socket.on('error', () => undefined));
      onAccepted(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await startFaultyProxy({ port: (server.address() as AddressInfo).port });
  });

  afterEach(async () => {
    await proxy.close();
    for (const socket of [...clients, ...accepted]) socket.destroy();
    await new Promise((closed) => server.close(closed));
  });

  it('passes on every byte both ways, and the half-close before the answer', async () => {
    const sent = randomBytes(20 * 1024 * 1024);
    const wanted = createHash('sha256').update(sent).digest('hex');
    let atServer = '';
    onAccepted = (socket) =>
      void digestOf(socket).then((digest) => {
        atServer = digest;
        socket.end(sent);
      });
    const client = await dial();
    client.end(sent);
    assert.equal(await digestOf(client), wanted);
    assert.equal(atServer, wanted);
    assert.deepEqual({ ...proxy.passed }, { up: sent.length, down: sent.length });
    await eventually(() => assert.equal(proxy.connections, 0));
  });

  it('pauses the sender of what the other side doesn’t read', async () => {
    onAccepted = (socket) => void socket.pause();
    const client = await dial();
    const chunk = Buffer.alloc(1024 * 1024);
    let sent = 0;
    for (; sent < 200 && client.write(chunk); sent++) await new Promise(setImmediate);
    while (sent < 200 && (await Promise.race([once(client, 'drain'), sleep(1000, 'full')])) !== 'full') {
      client.write(chunk);
      sent++;
    }
    assert.ok(sent < 100, `${sent} MB went into a line that nobody reads`);
  });

  it('holds bytes while it is frozen, and loses none', async () => {
    const client = await dial();
    await roundTrip(client, 'before');
    proxy.freeze();
    let got = '';
    client.on('data', (chunk: Buffer) => (got += String(chunk)));
    client.end('frozen');
    await sleep(200);
    assert.equal(got, '');
    assert.equal(proxy.connections, 1);
    const late = await dial();
    late.write('late');
    proxy.thaw();
    await once(client, 'end');
    assert.equal(got, 'frozen');
    assert.equal(String(((await once(late, 'data')) as [Buffer])[0]), 'late');
  });

  it('freezes one way alone', async () => {
    let atServer = '';
    onAccepted = (socket) => void socket.on('data', (chunk: Buffer) => (atServer += String(chunk))).pipe(socket);
    const client = await dial();
    await roundTrip(client, 'a');
    proxy.freeze('down');
    client.write('b');
    await eventually(() => assert.equal(atServer, 'ab'));
    assert.equal(proxy.passed.down, 1);
    proxy.thaw();
    assert.equal(String(((await once(client, 'data')) as [Buffer])[0]), 'b');
  });

  it('swallows what it drops while the sockets stay open, and serves those that come later', async () => {
    const client = await dial();
    await roundTrip(client, 'before');
    proxy.drop();
    client.on('data', () => assert.fail('a byte came through'));
    client.write('lost');
    await sleep(200);
    proxy.thaw();
    client.write('lost, too');
    await roundTrip(await dial(), 'after');
    assert.ok(!client.destroyed && !accepted[0]!.destroyed);
    assert.equal(proxy.connections, 2);
  });

  it('resets both sides, and ends both sides', async () => {
    const cut = await dial();
    await roundTrip(cut, 'x');
    const codes = Promise.all([errorOf(cut), errorOf(accepted[0]!)]);
    proxy.resetAll();
    assert.deepEqual(await codes, ['ECONNRESET', 'ECONNRESET']);
    const other = await dial();
    await roundTrip(other, 'x');
    const ends = Promise.all([once(other, 'end'), once(accepted[1]!, 'end')]);
    proxy.finAll();
    await ends;
  });

  it('passes a reset on', async () => {
    const client = await dial();
    await roundTrip(client, 'x');
    const code = errorOf(client);
    accepted[0]!.resetAndDestroy();
    assert.equal(await code, 'ECONNRESET');
    await eventually(() => assert.equal(proxy.connections, 0));
  });

  it('resets the client when nobody listens behind it', async () => {
    await new Promise((closed) => server.close(closed));
    const client = connect(proxy.port, '127.0.0.1');
    assert.equal(await errorOf(client), 'ECONNRESET');
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  it('refuses and accepts again on the same port, while connections stay', async () => {
    const client = await dial();
    await roundTrip(client, 'x');
    await proxy.refuse();
    assert.equal(await errorOf(connect(proxy.port, '127.0.0.1')), 'ECONNREFUSED');
    await roundTrip(client, 'y');
    await proxy.accept();
    await roundTrip(await dial(), 'z');
  });

  it('delays each way, in order', async () => {
    const client = await dial();
    await roundTrip(client, 'x');
    proxy.delay(150);
    const start = performance.now();
    await roundTrip(client, 'delayed');
    const took = performance.now() - start;
    assert.ok(took >= 295, `${took} ms for two ways of 150 ms`);
  });

  it('thins the line', async () => {
    const client = await dial();
    proxy.rate(1_000_000);
    const start = performance.now();
    client.end(Buffer.alloc(300_000));
    client.resume();
    await once(client, 'end');
    const took = performance.now() - start;
    assert.ok(took >= 280 && took < 3000, `${took} ms for 300 kB at 1 MB/s`);
  });
});
