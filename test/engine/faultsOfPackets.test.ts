// What the kernel does with packets that are lost or wait, which a proxy in one process can't show.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEngine } from '../../src/engine/reconciler.js';
import { planned } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import {
  keepaliveLines,
  noticedMs,
  recovery,
  recoveryBoundMs,
  startBench,
  startLeakCheck,
  type FaultBench,
  type LeakCheck,
} from '../support/faultBench.js';
import { startFaultyNetwork, whyNoFaultyNetwork, type FaultyNetwork } from '../support/faultyNetwork.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { echo, startTarget, type Place, type Target } from '../support/targets.js';

const whyNot = whyNoFaultyNetwork() ?? (spawnSync('tc', ['-V']).error ? 'tc of iproute2 is not installed' : undefined);

describe(`a tunnel whose packets are held up${whyNot === undefined ? '' : ` (skipped: ${whyNot})`}`, function () {
  this.timeout(60_000);
  let leaks: LeakCheck;
  let network: FaultyNetwork;
  let sshd: Sshd;
  let service: Target;
  let sink: Target;
  let bench: FaultBench | undefined;
  let device: string;
  const clients: Socket[] = [];

  before(async function () {
    if (whyNot !== undefined) this.skip();
    leaks = await startLeakCheck();
    network = await startFaultyNetwork();
    const route = execFileSync('ip', ['-j', 'route', 'get', network.machine.address], { encoding: 'utf8' });
    device = (JSON.parse(route) as { dev: string }[])[0]!.dev;
    sshd = await startSshd({ machine: network.machine });
    service = await startTarget(echo, { path: join(sshd.folder, 'echo.sock') });
    sink = await startTarget((socket) => void socket.resume().on('end', () => socket.end()), {
      path: join(sshd.folder, 'sink.sock'),
    });
  });
  afterEach(async () => {
    network.heal();
    spawnSync('tc', ['qdisc', 'delete', 'dev', device, 'root']);
    for (const client of clients.splice(0)) client.destroy();
    await bench?.close();
    bench = undefined;
    sshd.killSessions();
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    await eventually(() => assert.equal(service.sockets.size + sink.sockets.size, 0));
  });
  after(async () => {
    if (whyNot !== undefined) return;
    await service.close();
    await sink.close();
    await sshd.stop();
    await network.close();
    await leaks.done();
  });

  const start = async (name: string, engine = createEngine()) => {
    const port = await freePort();
    const id = `-L ${port}:${join(sshd.folder, name)}`;
    bench = await startBench(engine, [planned('far', [id], { configFile: sshd.configPath('far', keepaliveLines) })]);
    const place: Place = { host: '127.0.0.1', port };
    return { bench, id, place };
  };

  it('is back within two seconds when packets pass again, with the ConnectTimeout of every user', async () => {
    const { bench, place } = await start('echo.sock');
    const before = bench.kinds().length;
    network.dropAll();
    await bench.next('connectionLost');
    const served = recovery(place, performance.now(), 40_000);
    await bench.next('connecting');
    // The system asks after 7 s, and then after 11 or 15.
    await sleep(7300);
    network.heal();
    const since = performance.now();
    await served;
    const took = performance.now() - since;
    const bound = recoveryBoundMs(bench);
    assert.ok(took < bound, `it took ${took.toFixed(0)} ms of ${bound.toFixed(0)}`);
    const dials = bench
      .kinds()
      .slice(before)
      .filter((kind) => kind === 'connecting');
    assert.equal(dials.length, 1);
  });

  it('is up as long as uploads fill a thin line, and is given up in time when nothing passes any more', async () => {
    let change = () => {};
    const watch = (onChange: (what: 'woke' | 'network') => void) => {
      change = () => onChange('network');
      return () => {};
    };
    const { bench, place } = await start('sink.sock', createEngine({ watch }));
    execFileSync('tc', ['qdisc', 'add', 'dev', device, 'root', 'tbf', 'rate', '1mbit', 'burst', '16k', 'latency', '300ms']); // prettier-ignore
    const before = bench.kinds().length;
    for (let count = 0; count < 50; count++) clients.push(connect(place.port, '127.0.0.1').on('error', () => {}));
    // Else the last ones would wait behind what the first ones send.
    await eventually(() => assert.equal(sink.sockets.size, 50));
    // The server is silent for as long as it takes to fill a part of the window of each.
    for (const client of clients) {
      const feed = () => {
        while (client.write(Buffer.alloc(65_536)));
      };
      client.on('drain', feed);
      feed();
    }
    for (let time = 0; time < 4; time++) {
      await sleep(1500);
      change();
    }
    assert.deepEqual(bench.kinds().slice(before), []);
    const taken = clients.map((client) => client.bytesWritten - client.writableLength);
    assert.ok(Math.min(...taken) > 0, String(taken));
    const since = performance.now();
    network.dropAll();
    const { failure } = await bench.next('connectionLost');
    assert.ok(failure.kind === 'connectionLost' && failure.reason === 'keepalive');
    const took = performance.now() - since;
    assert.ok(took < noticedMs, `it was noticed after ${took.toFixed(0)} ms`);
  });
});
