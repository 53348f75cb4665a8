import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import type { EngineEvent } from '../../src/core/engine.js';
import type { ForwardSpec } from '../../src/core/forwardSpec.js';
import type { PlannedConnection, PlannedForward } from '../../src/core/plan.js';
import type { Tunnel } from '../../src/core/session.js';
import { emptySnapshot, reduce, type Snapshot } from '../../src/core/snapshot.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { mustParseSpec } from '../support/mustParseSpec.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import {
  bytes,
  connectThrough,
  connectTo,
  digest,
  echo,
  exchange,
  readToEnd,
  startTarget,
  type Target,
} from '../support/targets.js';

const openFiles = (pid: number | 'self') => readdirSync(`/proc/${pid}/fd`).length;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('the engine under stress', function () {
  this.timeout(60_000);
  let sshd: Sshd;
  let config: string;
  let service: Target;
  let engine: EngineProbe;
  let heldBefore: string[];
  const servers: Server[] = [];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    config = sshd.configPath('web01');
    service = await startTarget(echo);
  });
  beforeEach(() => (engine = probe(createEngine())));
  afterEach(async () => {
    await engine.close();
    for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed));
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    await eventually(() => assert.equal(service.sockets.size, 0));
  });
  after(async () => {
    await service.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const target = () => `127.0.0.1:${service.port}`;
  const web01 = (specs: readonly string[], more: Parameters<typeof planned>[2] = {}) =>
    planned('web01', specs, { configFile: config, ...more });
  const apply = (...connections: PlannedConnection[]) => engine.engine.apply({ connections });
  const at = (port: number) => ({ host: '127.0.0.1', port });
  /** What is open here and in the server's sessions: a listener or a channel's socket is a file each. */
  const open = () => ({
    held: heldResources(),
    own: openFiles('self'),
    server: sshd.sessions().map((pid) => [pid, openFiles(pid)]),
  });
  /** The same once it has been the same for a while: what came before it is gone. */
  const settled = async () => {
    const seen: string[] = [];
    await eventually(() => {
      seen.push(JSON.stringify(open()));
      assert.ok(seen.length >= 5 && new Set(seen.slice(-5)).size === 1);
    });
    return open();
  };
  const signal = (pids: readonly number[], name: NodeJS.Signals) => {
    for (const pid of pids) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended by itself.
      }
    }
  };

  /** Says it, and hears it again. */
  const said = async (socket: Socket, data: Buffer) => {
    let length = 0;
    const heard: Buffer[] = [];
    await new Promise<void>((resolve, reject) => {
      const onData = (part: Buffer) => {
        heard.push(part);
        length += part.length;
        if (length < data.length) return;
        socket.removeListener('data', onData).removeListener('close', onClose);
        resolve();
      };
      const onClose = () => reject(new Error(`closed after ${length} of ${data.length} bytes`));
      socket.on('data', onData).on('close', onClose).resume();
      socket.write(data);
    });
    assert.equal(digest(Buffer.concat(heard)), digest(data));
  };
  /** Traffic through a port until `stop`, which tells how often it went there and back whole. */
  const traffic = async (port: number): Promise<{ stop(): Promise<number> }> => {
    const socket = await connectTo(at(port));
    const data = bytes(50_000, `traffic ${port}`);
    let isOver = false;
    let rounds = 0;
    const running = (async () => {
      for (; !isOver; rounds++) await said(socket, data);
    })();
    // Looked at when it is stopped.
    running.catch(() => {});
    return {
      async stop() {
        isOver = true;
        await running;
        socket.destroy();
        return rounds;
      },
    };
  };

  it('adds and cancels 1,000 forwards of every kind on one connection, and keeps nothing of them', async () => {
    const neighbourPort = await freePort();
    const neighbour = web01([`-L ${neighbourPort}:${target()}`]);
    apply(neighbour);
    await engine.next('listening');
    const { stop } = await traffic(neighbourPort);
    let made = 0;
    const anyPort = { kind: 'tcp', bind: undefined, port: 0 } as const;
    const to = { kind: 'tcp', host: '127.0.0.1', port: service.port } as const;
    const kinds: readonly (() => ForwardSpec)[] = [
      () => ({ kind: 'local', listen: anyPort, target: to }),
      () => ({ kind: 'dynamic', listen: anyPort }),
      () => ({ kind: 'remote', listen: anyPort, target: to }),
      () => ({ kind: 'local', listen: { kind: 'unix', path: `${sshd.folder}/l${made}` }, target: to }),
      () => ({ kind: 'remote', listen: { kind: 'unix', path: `${sshd.folder}/r${made}` }, target: to }),
    ];
    /** So many of each, one client through each, all at once; then all are cancelled. */
    const round = async (each: number) => {
      const forwards = Array.from({ length: each * kinds.length }, (_, index): PlannedForward => {
        made++;
        return { id: `forward ${made}`, spec: kinds[index % kinds.length]!(), run: 0, wish: 'exact' };
      });
      engine.events.length = 0;
      engine.skip();
      apply({ ...neighbour, forwards: [...neighbour.forwards, ...forwards] });
      const listening = [];
      for (const _ of forwards) listening.push(await engine.next('listening'));
      await Promise.all(
        listening.map(async ({ forward, bound: [first] }) => {
          const { spec } = forwards.find(({ id }) => id === forward)!;
          assert.ok(first);
          const place = first.kind === 'tcp' ? { host: first.address, port: first.port } : first;
          const socket = await (spec.kind === 'dynamic'
            ? connectThrough(place, 'SOCKS5', to.host, to.port)
            : connectTo(place));
          socket.end(forward);
          assert.equal((await readToEnd(socket)).received.toString(), forward);
        }),
      );
      apply(neighbour);
      for (const _ of forwards) await engine.next('forwardClosed');
      assert.deepEqual(
        engine.kinds().filter((kind) => !['listening', 'forwardClosed', 'channelOpened'].includes(kind)),
        [],
      );
    };
    const memory = () => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    await round(20);
    await eventually(() => assert.equal(service.sockets.size, 1));
    const before = await settled();
    // What is kept of each is kept every time; the rest is the machine's own.
    const kept: number[] = [];
    let last = memory();
    for (let time = 0; time < 3; time++) {
      for (let one = 0; one < 3; one++) await round(20);
      engine.events.length = 0;
      engine.skip();
      await settled();
      const now = memory();
      kept.push((now - last) / 300);
      last = now;
    }
    assert.equal(made, 1000);
    assert.ok(Math.min(...kept) < 1500, `bytes are kept of each forward: ${kept.map(Math.round).join(', ')}`);
    await eventually(() => assert.deepEqual(open(), before));
    assert.equal(service.sockets.size, 1);
    assert.equal((await engine.engine.clients(neighbour.forwards[0]!.id)).length, 1);
    assert.ok((await stop()) > 20);
  });

  it('runs what the last of 60 random plans says, whatever happened meanwhile', async () => {
    const [one, two, three, taken] = [await freePort(), await freePort(), await freePort(), await freePort()];
    const occupied = createServer((socket) => socket.destroy()).listen(taken, '127.0.0.1');
    await once(occupied, 'listening');
    servers.push(occupied);
    const web02 = sshd.configPath('web02');
    /** Of two connections; both have one that wants the first port, which only one can have at a time. */
    const slots = [
      { connection: 'web01', spec: `-L ${one}:${target()}` },
      { connection: 'web01', spec: `-R ${two}:${target()}` },
      { connection: 'web01', spec: `-L ${taken}:${target()}` },
      { connection: 'web01', spec: `-L ${sshd.folder}/plan.sock:${target()}` },
      { connection: 'web02', spec: `-L ${one}:${target()}` },
      { connection: 'web02', spec: `-D ${three}` },
    ] as const;
    const rivals = [0, 4];
    const step = fc.record({
      slot: fc.nat({ max: slots.length - 1 }),
      what: fc.constantFrom('start', 'start', 'start', 'stop', 'drain', 'restart connection', 'kill', 'client'),
      pause: fc.nat({ max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 60 }), async (steps) => {
        let snapshot: Snapshot = emptySnapshot;
        const forget = engine.engine.onEvent((event: EngineEvent) => (snapshot = reduce(snapshot, event)));
        const clients: Socket[] = [];
        const wanted = slots.map((): Pick<Tunnel, 'run' | 'wish'> => ({ run: 0, wish: 'stop' }));
        const runs = { web01: 0, web02: 0 };
        let run = 0;
        const plan = (): PlannedConnection[] =>
          (['web01', 'web02'] as const).flatMap((connection) => {
            const forwards = slots.flatMap((slot, index): PlannedForward[] => {
              const { run, wish } = wanted[index]!;
              if (slot.connection !== connection || wish === 'stop' || wish === 'lost') return [];
              return [{ id: `${connection} ${slot.spec}`, spec: mustParseSpec(slot.spec), run, wish }];
            });
            if (forwards.length === 0) return [];
            const configFile = connection === 'web01' ? config : web02;
            return [planned(connection, [], { configFile, forwards, run: runs[connection] })];
          });
        for (const { slot, what, pause } of steps) {
          const { connection, spec } = slots[slot]!;
          const own = wanted[slot]!;
          switch (what) {
            case 'start':
              run++;
              if (rivals.includes(slot)) for (const rival of rivals) wanted[rival]!.wish = 'stop';
              wanted[slot] = { run, wish: spec.includes(`-L ${taken}`) ? 'nextFree' : 'exact' };
              break;
            case 'stop':
              own.wish = 'stop';
              break;
            case 'drain':
              if (own.wish !== 'stop') own.wish = 'drain';
              break;
            case 'restart connection':
              runs[connection]++;
              break;
            case 'kill':
              // One that breaks before it has been up is not dialled again.
              if (Object.values(snapshot.connections).every(({ kind }) => kind === 'ready'))
                signal(sshd.sessions(), 'SIGKILL');
              break;
            case 'client':
              clients.push(
                connect(at(one))
                  .on('error', () => {})
                  .resume(),
              );
          }
          apply(...plan());
          await sleep(pause);
        }
        const last = plan();
        await eventually(async () => {
          const shouldRun = last.flatMap(({ forwards }) => forwards.filter(({ wish }) => wish !== 'drain'));
          const listening = Object.entries(snapshot.forwards).map(([id, seen]) => `${id} ${seen.kind} ${seen.run}`);
          assert.deepEqual(listening.sort(), shouldRun.map(({ id, run }) => `${id} listening ${run}`).sort());
          assert.deepEqual(
            Object.keys(snapshot.connections).sort(),
            last.map(({ id }) => id),
          );
          assert.ok(Object.values(snapshot.connections).every(({ kind }) => kind === 'ready'));
          for (const { id } of shouldRun) {
            const seen = snapshot.forwards[id]!;
            const [first] = seen.kind === 'listening' ? seen.bound : [];
            assert.ok(first);
            const place = first.kind === 'tcp' ? { host: first.address, port: first.port } : first;
            const socket = id.includes('-D')
              ? await connectThrough(place, 'SOCKS5', '127.0.0.1', service.port)
              : await connectTo(place);
            assert.equal((await readToEnd(socket.end(id))).received.toString(), id);
          }
        });
        const isListening = (slot: number) => ['exact', 'nextFree'].includes(wanted[slot]!.wish);
        if (!rivals.some(isListening)) assert.equal((await exchange(one, Buffer.from('x'))).end, 'ECONNREFUSED');
        if (!isListening(1)) assert.equal((await exchange(two, Buffer.from('x'))).end, 'ECONNREFUSED');
        if (!isListening(5)) assert.equal((await exchange(three, Buffer.from('x'))).end, 'ECONNREFUSED');
        for (const client of clients) client.destroy();
        forget();
        apply();
        await eventually(() => assert.deepEqual(sshd.sessions(), []));
      }),
      { numRuns: 2, endOnFailure: true },
    );
  });

  describe('with 2,000 clients at once', () => {
    /** What came of each: `right`, or its end. */
    const flood = async (port: number) => {
      const results = await Promise.all(
        Array.from({ length: 2000 }, async (_, index) => {
          const line = `client ${index}\n`;
          const { received, end } = await exchange(port, Buffer.from(line));
          return received.toString() === line && end === 'end' ? 'right' : `${received.length} bytes, ${end}`;
        }),
      );
      const count = new Map<string, number>();
      for (const result of results) count.set(result, (count.get(result) ?? 0) + 1);
      return count;
    };
    const start = async () => {
      const port = await freePort();
      const spec = `-L ${port}:${target()}`;
      apply(web01([spec]));
      await engine.next('listening');
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'end');
      await eventually(() => assert.equal(service.sockets.size, 0));
      const before = await settled();
      const nothingLeft = async () => {
        assert.deepEqual(await engine.engine.clients(spec), []);
        await eventually(() => {
          assert.equal(service.sockets.size, 0);
          assert.deepEqual(open(), before);
        });
      };
      return { port, nothingLeft };
    };

    it('serves each of them', async () => {
      const { port, nothingLeft } = await start();
      assert.deepEqual([...(await flood(port))], [['right', 2000]]);
      await nothingLeft();
    });

    it('serves some and resets the others when the server has not enough files, and serves all again later', async () => {
      const { port, nothingLeft } = await start();
      for (const pid of await sshd.settledSessions()) execFileSync('prlimit', ['--nofile=200', '--pid', String(pid)]);
      // Clients who stay, so that it is short for sure.
      const staying = await Promise.all(Array.from({ length: 150 }, () => connectTo(at(port))));
      await Promise.all(staying.map((socket, index) => said(socket, Buffer.from(`staying ${index}`))));
      const count = await flood(port);
      const { right, reset, ...others } = {
        right: count.get('right') ?? 0,
        reset: count.get('0 bytes, ECONNRESET') ?? 0,
        kinds: count.size,
      };
      assert.deepEqual(others, { kinds: 2 }, JSON.stringify([...count]));
      assert.ok(right > 0 && reset > 0);
      assert.equal(right + reset, 2000);
      const { failure } = await engine.next('channelFailed');
      assert.equal(failure.kind, 'channelRefused');
      for (const socket of staying) {
        await said(socket, Buffer.from('still here'));
        socket.end();
        assert.equal((await readToEnd(socket)).end, 'end');
      }
      assert.equal((await exchange(port, Buffer.from('again'))).received.toString(), 'again');
      await nothingLeft();
    });
  });

  describe('whose process may open no more files', () => {
    let child: ChildProcess | undefined;
    afterEach(async () => {
      if (!child || child.exitCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    });

    it('resets whom it can’t serve, says so once, and serves the others and later ones', async () => {
      const port = await freePort();
      const script = join(sshd.folder, 'few.js');
      // The engine's thread as the editor starts it.
      writeFileSync(
        script,
        `const { Worker } = require('node:worker_threads');
         const worker = new Worker(${JSON.stringify(join(__dirname, '../../dist/worker.js'))});
         worker.on('message', ({ event }) => process.send(event));
         process.on('message', (plan) => worker.postMessage({ kind: 'apply', plan }));
         process.on('disconnect', () => process.exit());`,
      );
      const limited = ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath, script];
      child = spawn('bash', limited, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      const events: EngineEvent[] = [];
      child.on('message', (event) => events.push(event as EngineEvent));
      child.send({ connections: [web01([`-L ${port}:${target()}`])] });
      await eventually(() => assert.ok(events.some(({ kind }) => kind === 'listening')));

      const serve = async () => {
        const served: Socket[] = [];
        const ends: string[] = [];
        // The reset may come before the client has heard that it is connected.
        const connected = Array.from({ length: 100 }, () =>
          connectTo(at(port)).catch((error: NodeJS.ErrnoException) => void ends.push(error.code ?? error.message)),
        );
        const sockets = (await Promise.all(connected)).filter((socket) => socket !== undefined);
        await Promise.all(
          sockets.map(async (socket, index) => {
            const gone = readToEnd(socket);
            const result = await Promise.race([said(socket, Buffer.from(`client ${index}`)).catch(() => {}), gone]);
            if (result) ends.push(result.end);
            else if (socket.destroyed) ends.push((await gone).end);
            else served.push(socket);
          }),
        );
        return { served, ends };
      };
      const first = await serve();
      assert.ok(first.served.length >= 5, `${first.served.length} are served`);
      // Not an end in order: it would look like the whole answer.
      assert.deepEqual(first.ends, Array<string>(100 - first.served.length).fill('ECONNRESET'));
      const data = bytes(300_000, 'much');
      await Promise.all(first.served.map((socket) => said(socket, data)));
      // None is free, one is, all are.
      assert.equal((await exchange(port, Buffer.from('none'))).end, 'ECONNRESET');
      const leaving = first.served.pop()!;
      leaving.end();
      await once(leaving, 'close');
      await eventually(async () => assert.equal((await exchange(port, Buffer.from('one'))).received.toString(), 'one'));
      for (const socket of first.served) socket.end();
      await eventually(() => assert.equal(service.sockets.size, 0));
      const second = await serve();
      assert.equal(second.served.length + second.ends.length, 100);
      assert.ok(second.served.length >= first.served.length);
      for (const socket of second.served) socket.destroy();
      await eventually(() => assert.equal(service.sockets.size, 0));
      assert.equal((await exchange(port, Buffer.from('back'))).received.toString(), 'back');
      const warnings = events.flatMap((event) =>
        event.kind === 'logged' && event.level === 'warning' ? [event.text] : [],
      );
      assert.equal(warnings.length, 1, warnings.join('\n'));
      assert.match(warnings[0]!, /^web01: 127\.0\.0\.1:\d+: clients are refused .*EMFILE/);
      assert.equal(child.exitCode, null);
      assert.deepEqual(
        events.filter(({ kind }) => /Lost|Failed|Ended/.test(kind)),
        [],
      );
    });
  });

  for (const option of ['-L', '-R', '-D'] as const)
    it(`leaves nothing on the server of 500 clients of ${option} who went abruptly`, async () => {
      const port = await freePort();
      const spec = option === '-D' ? `-D ${port}` : `${option} ${port}:${target()}`;
      apply(web01([spec]));
      await engine.next('listening');
      const before = await settled();
      const started = () => {
        if (option === '-D') return connectThrough(at(port), 'SOCKS5', '127.0.0.1', service.port);
        return connectTo(at(port));
      };
      const leave: readonly (() => Promise<void>)[] = [
        // Before there is a channel, or while there comes one.
        async () => void (await connectTo(at(port))).resetAndDestroy(),
        async () => void (await connectTo(at(port))).destroy(),
        async () => {
          const socket = await connectTo(at(port));
          socket.write('hello');
          await sleep(Math.random() * 20);
          socket.resetAndDestroy();
        },
        // With bytes under way in both directions.
        async () => {
          const socket = await started();
          socket.write(bytes(200_000, 'middle'));
          await once(socket, 'readable');
          socket.resetAndDestroy();
        },
        async () => {
          const socket = await started();
          socket.end(bytes(200_000, 'middle'));
          await once(socket, 'readable');
          socket.destroy();
        },
        // When all is said.
        async () => {
          const socket = await started();
          await said(socket, Buffer.from('all'));
          socket.resetAndDestroy();
        },
      ];
      for (let gone = 0; gone < 500; gone += 50)
        await Promise.all(Array.from({ length: 50 }, (_, index) => leave[(gone + index) % leave.length]!()));
      await eventually(async () => {
        assert.deepEqual(await engine.engine.clients(spec), []);
        assert.equal(service.sockets.size, 0);
        assert.deepEqual(open(), before);
      });
      const socket = await started();
      await said(socket, Buffer.from('next'));
      socket.destroy();
    });

  describe('with ExitOnForwardFailure', () => {
    let strict: Sshd;
    before(async () => {
      strict = await startSshd({ config: ['AllowTcpForwarding local'] });
    });
    after(() => strict.stop());

    it('in ssh_config gives up the connection and its other forwards when the server refuses a remote one', async () => {
      const [local, remote] = [await freePort(), await freePort()];
      const specs = [`-L ${local}:${target()}`, `-R ${remote}:${target()}`];
      apply(planned('strict', specs, { configFile: strict.configPath('strict', ['ExitOnForwardFailure yes']) }));
      const { failure } = await engine.next('connectionFailed');
      assert.ok(failure.kind === 'forwardsIncomplete');
      assert.deepEqual(
        failure.failures.map(({ kind }) => kind),
        ['remoteRefused'],
      );
      await eventually(async () => assert.equal((await exchange(local, Buffer.from('x'))).end, 'ECONNREFUSED'));
      await eventually(() => assert.deepEqual(strict.sessions(), []));
      assert.deepEqual(
        engine.kinds().filter((kind) => ['connecting', 'connectionLost'].includes(kind)),
        ['connecting'],
      );
    });

    it('keeps the connection and its other forwards without it', async () => {
      const [local, remote] = [await freePort(), await freePort()];
      const specs = [`-L ${local}:${target()}`, `-R ${remote}:${target()}`];
      apply(planned('strict', specs, { configFile: strict.configPath('strict') }));
      const { forward, failure } = await engine.next('listenFailed');
      assert.equal(forward, specs[1]);
      assert.equal(failure.kind, 'remoteRefused');
      assert.equal((await exchange(local, Buffer.from('here'))).received.toString(), 'here');
    });
  });

  describe('with a server that answers no more', () => {
    let frozen: number[];
    let local: number;
    let specs: string[];
    let socket: Socket;
    const limitMs = 3000;
    const soon = async (work: Promise<unknown>, what: string, ms = limitMs) => {
      const started = performance.now();
      await work;
      const took = performance.now() - started;
      assert.ok(took < ms, `${what} took ${took.toFixed(0)} ms`);
    };

    beforeEach(async () => {
      local = await freePort();
      specs = [
        `-L ${local}:${target()}`,
        `-R ${await freePort()}:${target()}`,
        `-D ${await freePort()}`,
        `-R ${sshd.folder}/${local}.sock:${target()}`,
      ];
      apply(web01(specs));
      for (const _ of specs) await engine.next('listening');
      socket = await connectTo(at(local));
      await said(socket, Buffer.from('before'));
      frozen = await sshd.settledSessions();
      signal(frozen, 'SIGSTOP');
    });
    afterEach(() => {
      socket.destroy();
      signal(frozen, 'SIGCONT');
    });

    it('stops every kind of forward in time, and resets its clients', async () => {
      const gone = readToEnd(socket);
      apply(web01([]));
      await soon(gone, 'the reset');
      assert.equal((await gone).end, 'ECONNRESET');
      for (const _ of specs) await engine.next('forwardClosed', limitMs);
      assert.equal((await exchange(local, Buffer.from('x'))).end, 'ECONNREFUSED');
      await soon(engine.close(), 'the close');
    });

    it('stops one that it never answered, and undoes it when it answers after all', async () => {
      const late = await freePort();
      apply(web01([...specs, `-R ${late}:${target()}`]));
      await sleep(200);
      apply(web01(specs));
      await engine.next('forwardClosed', limitMs);
      signal(frozen, 'SIGCONT');
      // What was asked for comes in the meantime, and goes.
      await sleep(500);
      await eventually(async () => assert.equal((await exchange(late, Buffer.from('x'))).end, 'ECONNREFUSED'));
      await said(socket, Buffer.from('after'));
      assert.equal(
        engine.events.some((event) => event.kind === 'listening' && event.forward.includes(` ${late}:`)),
        false,
      );
    });

    it('resets a client who waits for it, when the forward is stopped', async () => {
      const waiting = readToEnd(await connectTo(at(local)));
      apply(web01(specs.slice(1)));
      await soon(waiting, 'the reset');
      assert.equal((await waiting).end, 'ECONNRESET');
    });

    it('starts forwards of this machine for another host meanwhile', async () => {
      const other = planned('web02', [`-L ${local}:${target()}`], { configFile: sshd.configPath('web02') });
      engine.skip();
      apply(web01(specs.slice(1)), other);
      await soon(engine.next('listening'), 'the other');
      assert.equal((await exchange(local, Buffer.from('x'))).received.toString(), 'x');
    });

    it('closes the engine in time, with requests under way', async () => {
      apply(web01([...specs, `-R ${await freePort()}:${target()}`]));
      const gone = readToEnd(socket);
      const waiting = readToEnd(await connectTo(at(local)));
      await sleep(100);
      await soon(engine.close(), 'the close', 1500);
      assert.equal((await gone).end, 'ECONNRESET');
      assert.equal((await waiting).end, 'ECONNRESET');
    });

    it('connects anew in time when the connection is restarted', async () => {
      engine.skip();
      apply(web01(specs.slice(0, 1), { run: 1 }));
      await soon(engine.next('listening'), 'the restart');
      assert.equal((await exchange(local, Buffer.from('x'))).received.toString(), 'x');
    });
  });
});
