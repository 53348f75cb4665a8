import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BoundAddress } from '../../src/core/engine.js';
import type { PlannedConnection } from '../../src/core/plan.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';

/** As the system names who has a port. */
const thisProcess = { program: 'node', pid: process.pid };

describe('the engine', () => {
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
  });
  after(async () => {
    await service.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const web01 = (ports: readonly number[], more: Partial<PlannedConnection> = {}) =>
    planned(
      'web01',
      ports.map((port) => `-L ${port}:127.0.0.1:${service.port}`),
      { configFile: config, ...more },
    );
  const apply = (...connections: PlannedConnection[]) => engine.engine.apply({ connections });
  const answers = async (port: number, host?: string) =>
    assert.equal((await exchange(port, Buffer.from('hi'), host)).received.toString(), 'hi');
  const refuses = async (port: number) => assert.equal((await exchange(port, Buffer.from('hi'))).end, 'ECONNREFUSED');
  const occupy = async (port: number, host: string) => {
    const server = createServer((socket) => socket.on('error', () => {}).destroy());
    servers.push(server);
    await new Promise<void>((listening) => server.listen({ port, host, ipv6Only: true }, listening));
  };

  it('does nothing for the same plan twice', async () => {
    const port = await freePort();
    apply(web01([port]));
    await engine.next('listening');
    const before = engine.kinds();
    apply(web01([port]));
    await sleep(200);
    assert.deepEqual(engine.kinds(), before);
    assert.equal(sshd.sessions().length > 0, true);
  });

  it('dials no host anew for who asks for it', async () => {
    const port = await freePort();
    const { host, ...rest } = web01([port]);
    apply({ ...rest, host: { ...host, fromWorkspace: true } });
    await engine.next('listening');
    const before = engine.kinds();
    const added = await freePort();
    apply({ ...web01([port, added]), host });
    await engine.next('listening');
    assert.deepEqual(engine.kinds().slice(before.length), ['listening']);
  });

  it('serves all forwards to a host over one SSH connection', async () => {
    const ports = [await freePort(), await freePort(), await freePort()];
    apply(web01(ports));
    for (const _ of ports) await engine.next('listening');
    for (const port of ports) await answers(port);
    assert.equal(engine.kinds().filter((kind) => kind === 'connected').length, 1);
  });

  it('adds and removes a forward on a live connection without touching its neighbour', async () => {
    const [stays, comes] = [await freePort(), await freePort()];
    apply(web01([stays]));
    await engine.next('listening');
    apply(web01([stays, comes]));
    await engine.next('listening');
    await answers(comes);
    apply(web01([stays]));
    await engine.next('forwardClosed');
    await refuses(comes);
    await answers(stays);
    assert.deepEqual(
      engine.kinds().filter((kind) => !kind.startsWith('channel')),
      ['connecting', 'connected', 'listening', 'listening', 'forwardClosed'],
    );
  });

  it('listens on both loopback families when no address is written, and on one when it is', async () => {
    const port = await freePort();
    apply(web01([port]));
    const { bound } = await engine.next('listening');
    assert.deepEqual(bound, [
      { kind: 'tcp', address: '127.0.0.1', port },
      { kind: 'tcp', address: '::1', port },
    ]);
    await answers(port, '127.0.0.1');
    await answers(port, '::1');
    const only = await freePort();
    apply(planned('web01', [`-L 127.0.0.1:${only}:127.0.0.1:${service.port}`], { configFile: config }));
    assert.deepEqual((await engine.next('listening')).bound, [{ kind: 'tcp', address: '127.0.0.1', port: only }]);
    assert.equal((await exchange(only, Buffer.from('x'), '::1')).end, 'ECONNREFUSED');
  });

  it('says that a port is in use, and takes it on a restart when it is free', async () => {
    const port = await freePort();
    await occupy(port, '127.0.0.1');
    await occupy(port, '::1');
    apply(web01([port]));
    const { run, failure } = await engine.next('listenFailed');
    assert.equal(run, 0);
    assert.deepEqual(failure, { kind: 'portInUse', address: '127.0.0.1', port, owner: thisProcess });
    for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed));
    const again = web01([port]);
    apply({ ...again, forwards: again.forwards.map((forward) => ({ ...forward, run: 1 })) });
    await engine.next('listening');
    await answers(port);
  });

  it('listens on one family and names the other when another program holds it', async () => {
    const port = await freePort();
    await occupy(port, '127.0.0.1');
    apply(web01([port]));
    const { bound, unbound } = await engine.next('listening');
    assert.deepEqual(bound, [{ kind: 'tcp', address: '::1', port }]);
    assert.deepEqual(unbound, [{ kind: 'portInUse', address: '127.0.0.1', port, owner: thisProcess }]);
  });

  it('shows the port that it took: the next free one only where that was asked for, or any', async () => {
    const port = await freePort();
    await occupy(port, '127.0.0.1');
    const [own] = web01([port]).forwards;
    const { spec } = own!;
    assert.ok(spec.kind === 'local' && spec.listen.kind === 'tcp');
    const anyPort = { ...spec, listen: { ...spec.listen, port: 0 } };
    apply(web01([], { forwards: [{ ...own!, wish: 'nextFree' }] }));
    const portsOf = ({ bound }: { bound: readonly BoundAddress[] }) =>
      bound.map((one) => one.kind === 'tcp' && one.port);
    const next = portsOf(await engine.next('listening'));
    assert.equal(next.length, 2);
    assert.ok(Number(next[0]) > port && next[0] === next[1]);
    await answers(Number(next[0]));
    apply(web01([], { forwards: [{ ...own!, run: 1 }] }));
    assert.deepEqual(portsOf(await engine.next('listening')), [port]);
    await refuses(Number(next[0]));
    apply(web01([], { forwards: [{ ...own!, run: 2, spec: anyPort }] }));
    const any = portsOf(await engine.next('listening'));
    assert.equal(any.length, 2);
    assert.ok(Number(any[0]) > 0 && any[0] === any[1]);
    await answers(Number(any[0]), '::1');
  });

  it('says that an address is not one of this machine', async () => {
    apply(planned('web01', ['-L 192.0.2.1:4000:x:1'], { configFile: config }));
    engine.engine.answer((await engine.next('asked')).ask.id, { kind: 'allow' });
    const { failure } = await engine.next('listenFailed');
    assert.deepEqual(failure, { kind: 'addressUnavailable', address: '192.0.2.1', port: 4000 });
  });

  it('runs forwards of every kind over one SSH connection', async () => {
    const [local, remote, dynamic] = [await freePort(), await freePort(), await freePort()];
    const target = `127.0.0.1:${service.port}`;
    const [localPath, remotePath] = [`${sshd.folder}/local.sock`, `${sshd.folder}/remote.sock`];
    const specs = [
      `-L ${local}:${target}`,
      `-R ${remote}:${target}`,
      `-D ${dynamic}`,
      `-L ${localPath}:${target}`,
      `-R ${remotePath}:${target}`,
    ];
    apply(planned('web01', specs, { configFile: config }));
    for (const _ of specs) await engine.next('listening');
    await answers(local);
    await answers(remote);
    assert.equal((await exchange({ path: localPath }, Buffer.from('hi'))).received.toString(), 'hi');
    assert.equal((await exchange({ path: remotePath }, Buffer.from('hi'))).received.toString(), 'hi');
    // SOCKS 4: version, CONNECT, port, address, no user; granted: 0, 90, and six bytes that say nothing.
    const request = Buffer.from([4, 1, service.port >> 8, service.port & 0xff, 127, 0, 0, 1, 0]);
    const { received } = await exchange(dynamic, Buffer.concat([request, Buffer.from('hi')]));
    assert.deepEqual([...received.subarray(0, 2)], [0, 90]);
    assert.equal(received.subarray(8).toString(), 'hi');
    assert.equal(engine.kinds().filter((kind) => kind === 'connected').length, 1);
  });

  it('takes a stopped forward’s port for another host at once', async () => {
    const port = await freePort();
    apply(web01([port]));
    await engine.next('listening');
    for (let time = 0; time < 5; time++) {
      const other = time % 2 === 0 ? 'web02' : 'web01';
      const path = sshd.configPath(other);
      apply(planned(other, [`-L ${port}:127.0.0.1:${service.port}`], { configFile: path }));
      await engine.next('listening');
    }
    assert.equal(engine.kinds().includes('listenFailed'), false);
    await answers(port);
  });

  it('waits for a port that a tunnel of another host is about to give up', async () => {
    const port = await freePort();
    await occupy(port, '127.0.0.1');
    // Half-bound it looks for who has the other half, which takes a while here.
    const path = process.env['PATH'];
    writeFileSync(`${sshd.folder}/ss`, '#!/bin/sh\nsleep 1\n', { mode: 0o755 });
    process.env['PATH'] = `${sshd.folder}:${path}`;
    try {
      const other = (specs: readonly string[]) => planned('web02', specs, { configFile: sshd.configPath('web02') });
      apply(other([]), web01([port]));
      await engine.next('connected');
      await engine.next('connected');
      await eventually(async () => assert.notEqual((await exchange(port, Buffer.alloc(0), '::1')).end, 'ECONNREFUSED'));
      apply(other([`-L [::1]:${port}:127.0.0.1:${service.port}`]), web01([]));
      assert.deepEqual((await engine.next('listening')).bound, [{ kind: 'tcp', address: '::1', port }]);
      await answers(port, '::1');
      assert.equal(engine.kinds().includes('listenFailed'), false);
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('ends with what the last of many hasty plans says', async () => {
    const ports = [await freePort(), await freePort()];
    const plans = [
      web01(ports),
      web01([ports[0]!]),
      undefined,
      web01([ports[1]!]),
      undefined,
      web01(ports),
      web01([ports[1]!]),
    ];
    for (const plan of plans) {
      apply(...(plan ? [plan] : []));
      await sleep(Math.random() * 60);
    }
    await eventually(() => answers(ports[1]!));
    await eventually(() => refuses(ports[0]!));
  });

  it('opens a new SSH connection when the connection is restarted', async () => {
    const port = await freePort();
    apply(web01([port]));
    await engine.next('listening');
    const [before] = sshd.sessions();
    apply({ ...web01([port]), run: 1 });
    await engine.next('connected');
    await engine.next('listening');
    await answers(port);
    await eventually(() => assert.equal(sshd.sessions().includes(before!), false));
  });

  it('does not dial again when one of two tunnels of a failed connection is stopped, but when one is started', async () => {
    const ports = [await freePort(), await freePort()];
    const options = [['IdentityFile', '/nowhere/key'] as const];
    const bad = (list: readonly number[], run = 0) => {
      const connection = web01(list);
      return {
        ...connection,
        host: {
          ...connection.host,
          configFile: 'none',
          options: [['HostName', '127.0.0.1'] as const, ['Port', '1'] as const, ...options],
        },
        forwards: connection.forwards.map((forward) => ({ ...forward, run })),
      };
    };
    apply(bad(ports));
    await engine.next('connectionFailed');
    apply(bad([ports[0]!]));
    await sleep(200);
    assert.equal(engine.kinds().filter((kind) => kind === 'connecting').length, 1);
    apply(bad([ports[0]!], 1));
    await engine.next('connectionFailed');
    assert.equal(engine.kinds().filter((kind) => kind === 'connecting').length, 2);
  });

  it('withdraws its question when the tunnel is stopped meanwhile', async () => {
    const connection = web01([await freePort()]);
    apply({
      ...connection,
      host: { ...connection.host, options: [['UserKnownHostsFile', `${sshd.folder}/none`]] },
    });
    const { ask } = await engine.next('asked');
    apply();
    assert.equal((await engine.next('askSettled')).id, ask.id);
    await engine.next('connectionClosed');
  });

  it('lists the hosts of ssh_config to pick from, with included files and without patterns', async () => {
    writeFileSync(`${sshd.folder}/more_1`, 'Host db db-*\n');
    writeFileSync(`${sshd.folder}/more_2`, 'host=cache\n');
    writeFileSync(
      `${sshd.folder}/hosts`,
      `Include ${sshd.folder}/more_*\nHost web01 web02 !web03 *.internal # note\n  Port 22\nMatch host x\nHost *\n`,
    );
    assert.deepEqual(await engine.engine.hosts(`${sshd.folder}/hosts`), ['web01', 'web02', 'db', 'cache']);
    assert.deepEqual(await engine.engine.hosts('/nowhere'), []);
  });
});
