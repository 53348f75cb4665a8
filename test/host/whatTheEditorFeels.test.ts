import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { extensionUnderTest } from './extensionUnderTest.js';
import { say } from './resultLine.js';

// What a person feels of the extension while they write: the thread that all extensions share. The figures are printed; the
// limits are some times the goals, for a machine that is busy with other things.

describe('the thread of the editor’s extensions', () => {
  const { activate, access, configure, run, forwards, become, removeAll } = extensionUnderTest();
  let sshd: Sshd;
  let traffic: ChildProcess;
  let servicePort: number;

  const ask = async (question: Record<string, unknown>): Promise<unknown> => {
    const answer = once(traffic, 'message');
    traffic.send(question);
    return (await answer)[0];
  };
  const openTunnel = async (): Promise<number> => {
    const port = await freePort();
    await run('forwardPort', { host: 'web01', forward: `127.0.0.1:${port}:127.0.0.1:${servicePort}` });
    await become('ready');
    return port;
  };

  before(async () => {
    await activate();
    sshd = await startSshd();
    await configure('sshConfigFile', sshd.configPath('web01'));
    const file = join(sshd.folder, 'traffic.js');
    writeFileSync(file, trafficProgram);
    traffic = fork(file, { execArgv: [] });
    servicePort = (await ask({ kind: 'serve' })) as number;
  });
  afterEach(removeAll);
  after(async () => {
    await configure('sshConfigFile', undefined);
    traffic.kill('SIGKILL');
    await sshd.stop();
  });

  it('is as good as free while a tunnel carries data as fast as it can', async () => {
    const rest = await watch(() => sleep(2000));
    say(`at rest: ${shown(rest)}`);
    const port = await openTunnel();
    for (const [kind, way] of [
      ['pull', 'from'],
      ['push', 'to'],
    ] as const) {
      let carried = 0;
      const seen = await watch(async () => void (carried = (await ask({ kind, port, ms: 2000 })) as number));
      say(`${Math.round(carried / 2 ** 21)} MiB/s ${way} the server: ${shown(seen)}`);
      assert.ok(carried > 2 ** 24, `${carried} bytes`);
      // Data that went by this thread would keep it busy all the time.
      assert.ok(seen.busy < rest.busy + 0.5, 'it carries nothing itself');
      // The goal is 5 ms; with one processor too few the system lets it wait for longer.
      assert.ok(seen.p99 < Math.max(100, 5 * rest.p99), `${seen.p99} ms`);
    }
  });

  it('may be blocked without a tunnel’s data having to wait', async () => {
    const port = await openTunnel();
    const free = (await ask({ kind: 'echo', port, ms: 2400 })) as Echo;
    const blocking = setInterval(() => {
      const until = performance.now() + 200;
      while (performance.now() < until);
    }, 400);
    try {
      // What the timer holds up here is the question, not the echo: the other process asks and waits.
      const blocked = (await ask({ kind: 'echo', port, ms: 2400 })) as Echo;
      say(`echo of 1 B while it is free: ${echoShown(free)}`);
      say(`while it is blocked 200 of every 400 ms: ${echoShown(blocked)}`);
      // By way of this thread half of the time would be waiting, and p99 near 200 ms.
      assert.ok(blocked.count > free.count / 4, 'as many as without');
      assert.ok(blocked.p99 < Math.max(50, 1.5 * free.p99), `${blocked.p99} ms`);
    } finally {
      clearInterval(blocking);
    }
  });

  it('paints the details twice a second at most while data flows, and never while they are hidden', async () => {
    const port = await openTunnel();
    await run('showDetails', { kind: 'forward', id: forwards()[0]!.id });
    const paints = async (ms: number) => {
      const before = access().detailsPaints();
      await ask({ kind: 'pull', port, ms });
      return access().detailsPaints() - before;
    };
    await eventually(async () => assert.ok((await paints(100)) > 0, 'it is painted'));
    const shown = await paints(2000);
    assert.ok(shown >= 1 && shown <= 5, `${shown} paints in 2 s`);
    await vscode.commands.executeCommand('workbench.action.closeSidebar');
    await eventually(async () => assert.equal(await paints(700), 0));
    assert.equal(await paints(1500), 0);
    say(`details: ${shown} paints in 2 s of traffic, 0 in 1.5 s while hidden`);
  });

  it('has little to do with 1,000 connections in view', async () => {
    const port = await openTunnel();
    const rest = await watch(() => sleep(2000));
    assert.equal(await ask({ kind: 'hold', port, count: 1000 }), 1000);
    const closed = await watch(() => sleep(3000));
    /** With the focus on the tunnel's row, below its connection's. */
    const onRow = async (action: string) => {
      for (const step of ['sshTunnels.tunnels.focus', 'list.focusFirst', 'list.focusDown', action])
        await vscode.commands.executeCommand(step);
    };
    await eventually(async () => {
      await onRow('list.expand');
      const before = access().clientReads();
      await sleep(100);
      assert.ok(access().clientReads() > before, 'the counters are read');
    });
    assert.equal((await access().clients(forwards()[0]!.id)).length, 1000);
    const reads = access().clientReads();
    const opened = await watch(() => sleep(4000));
    assert.ok(access().clientReads() >= reads + 3, 'they are read each second');
    await onRow('list.collapse');
    await ask({ kind: 'let go' });
    say(
      `1,000 connections, each with traffic: ${shown(closed)}; with their row opened ${shown(opened)}; before ${shown(rest)}`,
    );
    assert.ok(closed.busy < rest.busy + 0.3, `${closed.busy} instead of ${rest.busy}`);
    assert.ok(opened.busy < rest.busy + 0.3, `${opened.busy} instead of ${rest.busy}`);
    assert.ok(opened.p99 < Math.max(100, 5 * rest.p99), `${opened.p99} ms`);
  });
});

/** How late the thread was for a timer, in ms, and the part of the time that it was busy. */
interface Watched {
  p99: number;
  longest: number;
  busy: number;
}

async function watch(work: () => Promise<unknown>): Promise<Watched> {
  const resolution = 5;
  const monitor = monitorEventLoopDelay({ resolution });
  monitor.enable();
  const before = performance.eventLoopUtilization();
  await work();
  const { utilization } = performance.eventLoopUtilization(before);
  monitor.disable();
  const late = (nanoseconds: number) => Math.max(nanoseconds / 1e6 - resolution, 0);
  return { p99: late(monitor.percentile(99)), longest: late(monitor.max), busy: utilization };
}

/** Of 1 B and back, in ms. */
interface Echo {
  count: number;
  p50: number;
  p99: number;
  longest: number;
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function shown({ p99, longest, busy }: Watched): string {
  return `p99 ${ms(p99)} late, ${ms(longest)} at most, busy for ${(busy * 100).toFixed(1)} %`;
}

function echoShown({ count, p50, p99, longest }: Echo): string {
  return `p50 ${ms(p50)}, p99 ${ms(p99)}, longest ${ms(longest)} of ${count}`;
}

/** Service and clients in a process of their own. A client's first byte says what it wants: e(cho), s(ource), d(iscard). */
const trafficProgram = `
const net = require('node:net');
const held = [];
const noDelay = true;
const block = Buffer.alloc(256 * 1024);
const open = (port, first) => {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay }, () => socket.write(first));
  return socket.on('error', () => {});
};
const flood = (socket) => { while (!socket.destroyed && socket.write(block)); };
const modes = {
  e: (socket) => socket.pipe(socket),
  s(socket) { socket.on('drain', () => flood(socket)).resume(); flood(socket); },
  d: (socket) => socket.resume(),
};
const work = {
  serve: (_, answer) => {
    const server = net.createServer({ noDelay }, (socket) => {
      socket.on('error', () => {}).once('readable', () => modes[String(socket.read(1))](socket));
    }).listen(0, '127.0.0.1', () => answer(server.address().port));
  },
  pull({ port, ms }, answer) {
    let bytes = 0;
    const socket = open(port, 's').on('data', (data) => (bytes += data.length));
    setTimeout(() => { socket.destroy(); answer(bytes); }, ms);
  },
  push({ port, ms }, answer) {
    const socket = open(port, 'd').on('drain', () => flood(socket)).once('connect', () => flood(socket));
    setTimeout(() => { answer(socket.bytesWritten - socket.writableLength); socket.destroy(); }, ms);
  },
  echo({ port, ms }, answer) {
    const times = [];
    let sent;
    const until = performance.now() + ms;
    const socket = open(port, 'e').once('connect', () => ping()).on('data', () => {
      times.push(performance.now() - sent);
      if (performance.now() < until) return ping();
      socket.destroy();
      times.sort((one, other) => one - other);
      const at = (part) => times[Math.floor((times.length - 1) * part)];
      answer({ count: times.length, p50: at(0.5), p99: at(0.99), longest: at(1) });
    });
    const ping = () => { sent = performance.now(); socket.write('x'); };
  },
  hold({ port, count }, answer) {
    let left = count;
    const next = () => {
      const socket = open(port, 'ex');
      held.push(socket);
      socket.once('data', () => {
        if (--left === 0) {
          held.push({ destroy: clearInterval.bind(null, setInterval(() => held.forEach((one) => one.write?.('x')), 500)) });
          answer(count);
        } else if (held.length < count) next();
      });
      socket.on('data', () => {});
    };
    for (let i = 0; i < 20; i++) next();
  },
  'let go'(_, answer) { for (const one of held.splice(0)) one.destroy(); answer(true); },
};
process.on('message', (question) => work[question.kind](question, (value) => process.send(value)));
process.on('disconnect', () => process.exit());
`;
