import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { EngineEvent } from '../../src/core/engine.js';
import type { PlannedConnection, PlannedForward } from '../../src/core/plan.js';
import { socketFolder } from '../../src/engine/leaseRoom.js';
import { heldBeyond, heldResources, planned, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, killAll, startSshd, type Sshd } from '../support/sshd.js';
import { connectTo, echo, readToEnd, startTarget, type Target } from '../support/targets.js';
import { gapDuring, isElsewhere, isOpen, listens, openWindow, seen, want } from '../support/tunnelWindow.js';

describe('windows that want the same tunnel', function () {
  let sshd: Sshd;
  let config: string;
  let service: Target;
  let folder: string;
  let heldBefore: string[];
  let windows: EngineProbe[];

  before(async () => {
    heldBefore = heldResources();
    [sshd, service] = await Promise.all([startSshd(), startTarget(echo)]);
    config = sshd.configPath('web01');
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'windows-'));
    windows = [];
  });
  afterEach(async () => {
    await Promise.all(windows.map((window) => window.close()));
    // No socket is left over.
    assert.deepEqual(readdirSync(folder), []);
    rmSync(folder, { recursive: true });
  });
  after(async () => {
    await service.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const open = () => {
    const window = openWindow(folder);
    windows.push(window);
    return window;
  };
  const web01 = (ports: readonly number[], more: Partial<PlannedConnection> = {}) =>
    planned(
      'web01',
      ports.map((port) => `-L ${port}:127.0.0.1:${service.port}`),
      { configFile: config, ...more },
    );
  const change = (connection: PlannedConnection, next: Partial<PlannedForward>): PlannedConnection => ({
    ...connection,
    forwards: connection.forwards.map((forward) => ({ ...forward, ...next })),
  });

  it('have it once: the others see where it listens', async () => {
    const [first, second] = [open(), open()];
    const port = await freePort();
    want(first, web01([port]));
    const { bound } = await first.next('listening');
    want(second, web01([port]));
    await isElsewhere(second);
    const { state } = (await second.next('runningElsewhere')) as EngineEvent & { state: { kind: 'ready' } };
    assert.deepEqual(state, { kind: 'ready', bound, unbound: [], asked: 'machine', access: 'machine' });
    assert.deepEqual([...new Set(second.kinds())], ['runningElsewhere']);
    assert.deepEqual(await second.engine.clients(`-L ${port}:127.0.0.1:${service.port}`), []);
  });

  it('take over when the one that has it closes, without a gap', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    want(first, web01([port]));
    await first.next('listening');
    want(second, web01([port]));
    await isElsewhere(second);
    const gap = await gapDuring(port, async () => {
      await first.close();
      await second.next('listening');
    });
    assert.ok(gap < 2000, `nobody answered for ${gap} ms`);
    const kinds = second.kinds().filter((kind) => !['runningElsewhere', 'channelOpened'].includes(kind));
    assert.deepEqual(kinds, ['forwardClosed', 'connecting', 'connected', 'listening']);
  });

  it('have one winner of three each time that the one that has it stops', async () => {
    const port = await freePort();
    const three = [open(), open(), open()];
    for (const window of three) want(window, web01([port]));
    const listening = () => three.filter((window) => seen(window)?.kind === 'listening');
    for (const left of [3, 2, 1]) {
      const [has] = await eventually(() => {
        const kinds = three.map((window) => seen(window)?.kind);
        assert.deepEqual(kinds.filter((kind) => kind === 'listening').length, 1);
        assert.deepEqual(kinds.filter((kind) => kind === 'elsewhere').length, left - 1);
        return listening();
      });
      assert.ok(await isOpen(port));
      want(has!);
      await eventually(() => assert.equal(seen(has!), undefined));
    }
    assert.ok(!three.some((window) => window.kinds().includes('listenFailed')));
    assert.equal(await isOpen(port), false);
  });

  it('go on in one when another one stops', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    want(first, web01([port]));
    await first.next('listening');
    want(second, web01([port]));
    await isElsewhere(second);
    const before = first.kinds();
    want(second);
    assert.equal(seen(second), undefined);
    await second.close();
    assert.ok(await isOpen(port));
    assert.deepEqual(first.kinds(), before);
  });

  it('share some forwards of a host, and each run their own', async () => {
    const [first, second] = [open(), open()];
    const [shared, own] = [await freePort(), await freePort()];
    want(first, web01([shared]));
    await first.next('listening');
    want(second, web01([shared, own]));
    const { bound } = await second.next('listening');
    assert.equal(bound[0]?.kind === 'tcp' && bound[0].port, own);
    assert.ok(await isOpen(own));
    await first.close();
    await second.next('listening');
    assert.equal(second.kinds().filter((kind) => kind === 'connected').length, 1);
  });

  it('tell how it stands while its connection is down', async () => {
    const other = await startSshd();
    const [first, second, port] = [open(), open(), await freePort()];
    try {
      const connection = planned('web02', [`-L ${port}:127.0.0.1:${service.port}`], {
        configFile: other.configPath('web02'),
      });
      want(first, connection);
      await first.next('listening');
      want(second, connection);
      await isElsewhere(second);
      const sessions = other.sessions();
      await other.stopListening();
      killAll(sessions);
      await isElsewhere(second, 'retrying');
      const forward = seen(second);
      assert.ok(forward?.kind === 'elsewhere' && forward.state.kind === 'retrying');
      assert.ok(['connectionLost', 'connectFailed'].includes(forward.state.failure.kind));
      await other.start();
      await isElsewhere(second);
    } finally {
      await Promise.all([first.close(), second.close()]);
      await other.stop();
    }
  });

  it('tell of one on demand that it waits, and wait as it does when they have taken it over', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    const connection = change(web01([port]), { onDemand: true });
    want(first, connection);
    await first.next('listening');
    want(second, connection);
    await eventually(() => {
      const forward = seen(second);
      assert.ok(forward?.kind === 'elsewhere' && forward.state.kind === 'ready' && forward.state.isIdle);
    });
    assert.ok(!first.kinds().includes('connected'));
    await first.close();
    await listens(second);
    assert.ok(!second.kinds().includes('connected'));
    assert.ok(await isOpen(port));
  });

  it('let a drained one go as soon as its port is free, while its clients finish', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    want(first, web01([port]));
    await first.next('listening');
    want(second, web01([port]));
    await isElsewhere(second);
    const client = await connectTo({ host: '127.0.0.1', port });
    client.write('a');
    want(first, change(web01([port]), { wish: 'drain' }));
    await second.next('listening');
    assert.ok(!first.kinds().includes('drained'));
    client.end('b');
    assert.equal((await readToEnd(client)).received.toString(), 'ab');
    await first.next('drained');
    assert.ok(await isOpen(port));
  });

  it('drain at once where it runs elsewhere', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    want(first, web01([port]));
    await first.next('listening');
    want(second, web01([port]));
    await isElsewhere(second);
    want(second, change(web01([port]), { wish: 'drain', run: 1 }));
    assert.equal((await second.next('drained')).run, 1);
    assert.equal(seen(second), undefined);
    assert.ok(!second.kinds().includes('connecting'));
  });

  it('each take a port of their own where the next free one is wanted', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    want(first, web01([port]));
    await first.next('listening');
    want(second, change(web01([port]), { wish: 'nextFree' }));
    const { bound } = await second.next('listening');
    assert.ok(bound[0]?.kind === 'tcp' && bound[0].port > port);
  });

  it('don’t take over what has failed, and give it to the one where it is started again', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    const blocker = await startTarget(echo, { host: '127.0.0.1', port });
    const six = await startTarget(echo, { host: '::1', port });
    want(first, web01([port]));
    want(second, web01([port]));
    const failures = await Promise.all([first.next('listenFailed'), second.next('listenFailed')]);
    assert.deepEqual(failures[0], failures[1]);
    assert.equal(failures[0].failure.kind, 'portInUse');
    const [had, heard] = first.kinds().includes('connected') ? [first, second] : [second, first];
    assert.ok(!heard.kinds().includes('connecting'));
    await Promise.all([blocker.close(), six.close()]);
    want(heard, change(web01([port]), { run: 1 }));
    assert.equal((await heard.next('listening')).run, 1);
    await isElsewhere(had);
    assert.ok(await isOpen(port));
    // It is wanted in both, still.
    await heard.close();
    await listens(had);
  });

  it('start again what failed over the connection that it had, with what was typed for it', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    const { host, ...rest } = web01([port]);
    const bad = { ...rest, host: { ...host, options: [['Port', '1']] as const } };
    want(first, bad);
    const { failure } = await first.next('connectionFailed');
    want(first, { ...bad, run: 1 });
    assert.deepEqual((await first.next('connectionFailed')).failure, failure);
    assert.deepEqual(first.kinds(), ['connecting', 'connectionFailed', 'connecting', 'connectionFailed']);
    // Nobody has it: it is tried here.
    want(second, bad);
    await second.next('connectionFailed');
  });

  it('ask nobody again what was called off in one of them', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    const unknown = web01([port]);
    const asking = { ...unknown, host: { ...unknown.host, options: [['UserKnownHostsFile', '/dev/null']] as const } };
    want(first, asking);
    const { ask } = await first.next('asked');
    want(second, asking);
    await isElsewhere(second, 'connecting');
    first.engine.answer(ask.id, { kind: 'cancel' });
    assert.equal((await first.next('connectionFailed')).failure.kind, 'cancelled');
    // There it is not called off, but waits for its own person.
    const { failure } = await second.next('listenFailed');
    assert.deepEqual(failure, { kind: 'answerNeeded', host: 'web01', what: 'hostKey' });
    assert.ok(!second.kinds().includes('connecting'));
  });

  /** Whoever connects has to accept its key. */
  const unknownHost = (ports: readonly number[]) => {
    const { host, ...more } = web01(ports);
    return { ...more, host: { ...host, options: [['UserKnownHostsFile', '/dev/null']] as const } };
  };
  const accept = async (window: EngineProbe) => {
    const { ask } = await window.next('asked');
    window.engine.answer(ask.id, { kind: 'hostKey', accept: 'once' });
  };

  it('ask no person for what they have taken over, until one starts it in any of them', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    const asking = unknownHost([port]);
    want(first, asking);
    await accept(first);
    await first.next('listening');
    want(second, asking);
    await isElsewhere(second);
    await first.close();
    const { failure } = await second.next('connectionFailed');
    assert.deepEqual(failure, { kind: 'answerNeeded', host: 'web01', what: 'hostKey' });
    assert.ok(!second.kinds().includes('asked'));
    // In a window that has heard of it, and in the one that has tried.
    const third = open();
    want(third, asking);
    await accept(third);
    await third.next('listening');
    await isElsewhere(second);
    await third.close();
    assert.equal((await second.next('connectionFailed')).failure.kind, 'answerNeeded');
    want(second, change(asking, { run: 1 }));
    await accept(second);
    await second.next('listening');
  });

  it('ask when a person starts something over a connection that was taken over and is being made', async () => {
    const [first, second] = [open(), open()];
    const [port, own] = [await freePort(), await freePort()];
    want(first, unknownHost([port]));
    await accept(first);
    await first.next('listening');
    want(second, unknownHost([port]));
    await isElsewhere(second);
    second.engine.onEvent(({ kind }) => kind === 'connecting' && want(second, unknownHost([port, own])));
    await first.close();
    await accept(second);
    await second.next('listening');
    await second.next('listening');
  });

  it('let only what is kept answer for what they have taken over', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    const { forwards, ...more } = web01([port]);
    const spec = { ...forwards[0]!.spec, listen: { kind: 'tcp' as const, bind: '0.0.0.0', port } };
    const network = { ...more, forwards: [{ ...forwards[0]!, spec }] } as PlannedConnection;
    want(first, network);
    const { ask } = await first.next('asked');
    assert.equal(ask.isUnattended, undefined);
    first.engine.answer(ask.id, { kind: 'allow' });
    await first.next('listening');
    want(second, network);
    await isElsewhere(second);
    await first.close();
    const { ask: again } = await second.next('asked');
    assert.deepEqual([again.kind, again.isUnattended], ['openToNetwork', true]);
    second.engine.answer(again.id, { kind: 'cancel' });
    const { failure } = await second.next('listenFailed');
    assert.deepEqual(failure, { kind: 'answerNeeded', host: 'web01', what: 'openToNetwork' });
  });

  it('go on trying to connect for what they have taken over while the server is away', async () => {
    const other = await startSshd();
    const [first, second, port] = [open(), open(), await freePort()];
    try {
      const connection = planned('web02', [`-L ${port}:127.0.0.1:${service.port}`], {
        configFile: other.configPath('web02'),
      });
      want(first, connection);
      await first.next('listening');
      want(second, connection);
      await isElsewhere(second);
      await other.stopListening();
      await first.close();
      assert.equal((await second.next('connectionLost')).failure.kind, 'connectFailed');
      await other.start();
      await listens(second);
    } finally {
      await Promise.all([first.close(), second.close()]);
      await other.stop();
    }
  });

  it('wait for a port that the system has not given back yet', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    want(first, web01([port]));
    await first.next('listening');
    want(second, web01([port]));
    await isElsewhere(second);
    const blockers: Promise<Target>[] = [];
    first.engine.onEvent(({ kind }) => {
      if (kind !== 'forwardClosed') return;
      for (const host of ['127.0.0.1', '::1']) blockers.push(startTarget(echo, { host, port }));
    });
    want(first);
    await second.next('connected');
    await sleep(600);
    assert.ok(!second.kinds().includes('listening'));
    for (const blocker of await Promise.all(blockers)) await blocker.close();
    await second.next('listening');
    assert.ok(!second.kinds().includes('listenFailed'));
  });

  it('have it once, or nobody where nobody wants it, whatever they do', async () => {
    const port = await freePort();
    const three = [open(), open(), open()];
    /** The run that each wants. */
    const wishes: (number | undefined)[] = [undefined, undefined, undefined];
    let run = 0;
    const step = fc.record({ window: fc.nat(2), wanted: fc.boolean(), isHurried: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 8 }), async (steps) => {
        for (const { window, wanted, isHurried } of steps) {
          wishes[window] = wanted ? ++run : undefined;
          want(three[window]!, ...(wanted ? [change(web01([port]), { run })] : []));
          if (isHurried) continue;
          await eventually(() => {
            const states = three.map(seen);
            assert.deepEqual(
              states.map((state) => state?.run),
              wishes,
            );
            const listening = states.filter((state) => state?.kind === 'listening').length;
            assert.equal(listening, wishes.some((wish) => wish !== undefined) ? 1 : 0);
            for (const state of states)
              if (state?.kind !== 'listening') assert.ok(!state || state.kind === 'elsewhere', state?.kind);
          });
          assert.equal(
            await isOpen(port),
            wishes.some((wish) => wish !== undefined),
          );
        }
      }),
      { numRuns: 6 },
    );
    assert.ok(!three.some((window) => window.kinds().includes('listenFailed')));
  });

  describe('in a folder', () => {
    const refused: [string, RegExp, (folder: string) => void][] = [
      ['that others may enter', /mode is 755/, (folder) => (mkdirSync(folder), chmodSync(folder, 0o755))],
      ['that others may list', /mode is 740/, (folder) => (mkdirSync(folder), chmodSync(folder, 0o740))],
      ['that a link stands for', /is no folder/, (folder) => symlinkSync(tmpdir(), folder)],
      ['that is a file', /EEXIST|ENOTDIR/, (folder) => writeFileSync(folder, '')],
      ...(process.getuid?.() === 0
        ? ([
            [
              'of another user',
              /belongs to another user/,
              (folder) => (mkdirSync(folder, { mode: 0o700 }), chownSync(folder, 1, 1)),
            ],
          ] as [string, RegExp, (folder: string) => void][])
        : []),
    ];
    for (const [name, reason, make] of refused)
      it(`${name} are not shared, and say so once`, async () => {
        const at = join(folder, 'shared');
        make(at);
        const [first, second] = [openWindow(at), openWindow(at)];
        const port = await freePort();
        want(first, web01([port]));
        await first.next('listening');
        want(second, web01([port]));
        assert.equal((await second.next('listenFailed')).failure.kind, 'portInUse');
        want(second, web01([await freePort()]));
        await second.next('listening');
        const warnings = second.events.filter((event) => event.kind === 'logged' && event.level === 'warning');
        assert.equal(warnings.length, 1);
        assert.match((warnings[0] as { text: string }).text, reason);
        await Promise.all([first.close(), second.close()]);
        rmSync(at, { recursive: true });
      });

    it('with a long path meet all the same', async () => {
      const parent = join(folder, 'x'.repeat(200));
      const at = join(parent, 'shared');
      const [first, second, port] = [openWindow(at), openWindow(at), await freePort()];
      want(first, web01([port]));
      await first.next('listening');
      want(second, web01([port]));
      await isElsewhere(second);
      await Promise.all([first.close(), second.close()]);
      const standIn = socketFolder(at, { uid: process.getuid!(), temporary: tmpdir(), longest: 107 });
      assert.deepEqual(readdirSync(standIn), []);
      rmSync(standIn, { recursive: true });
    });

    it('that is removed while they wait make it again', async () => {
      const at = join(folder, 'shared');
      const [first, second, port] = [openWindow(at), openWindow(at), await freePort()];
      want(first, web01([port]));
      await first.next('listening');
      want(second, web01([port]));
      await isElsewhere(second);
      rmSync(at, { recursive: true });
      await first.close();
      await second.next('listening');
      await second.close();
      rmSync(at, { recursive: true });
    });
  });

  it('are not disturbed by one that talks to the one that has it', async () => {
    const [first, second, port] = [open(), open(), await freePort()];
    want(first, web01([port]));
    await first.next('listening');
    want(second, web01([port]));
    await isElsewhere(second);
    const [name] = readdirSync(folder);
    for (const garbage of [Buffer.from('\n\n{}\n'), Buffer.alloc(1 << 20, 0xff), Buffer.from('{"kind":"failed"}\n')]) {
      const socket = connect({ path: join(folder, name!) });
      socket.write(garbage);
      await readToEnd(socket);
    }
    const events = second.events.length;
    assert.ok(await isOpen(port));
    assert.equal(second.events.length, events);
  });

  const garbage: readonly [string, Buffer][] = [
    ['no JSON', Buffer.from('hello\n\n{"kind":\n')],
    ['JSON of another kind', Buffer.from('null\n[]\n{"kind":"dancing"}\n{"kind":"ready","bound":[{"kind":"tcp"}]}\n')],
    ['a failure that can’t be put in words', Buffer.from('{"kind":"failed","failure":{"kind":"constructor"}}\n')],
    ['a line without end', Buffer.alloc(3 << 20, 'x')],
    ['bytes that are no text', Buffer.concat([Buffer.alloc(4096, 0xff), Buffer.from('\n')])],
  ];
  for (const [name, said] of garbage)
    it(`wait for one that says ${name}, and take over when it ends`, async () => {
      const [first, port] = [open(), await freePort()];
      want(first, web01([port]));
      await first.next('listening');
      const [own] = readdirSync(folder);
      await first.close();
      // A name that goes first.
      const path = join(folder, `${own!.split('.')[0]}.0000000000`);
      const fake = await startTarget((socket) => void socket.write(said), { path });
      const second = open();
      want(second, web01([port]));
      await isElsewhere(second, 'connecting');
      assert.ok(!second.kinds().includes('connecting'));
      await fake.close();
      await second.next('listening');
      assert.ok(!second.kinds().includes('listenFailed'));
    });

  it('end in time beside a server that answers no more, and the next one has the ports soon', async () => {
    const other = await startSshd();
    const [first, second] = [open(), open()];
    const ports = await Promise.all(Array.from({ length: 10 }, freePort));
    const connection = planned(
      'web02',
      ports.map((port) => `-L ${port}:127.0.0.1:${service.port}`),
      { configFile: other.configPath('web02') },
    );
    want(first, connection);
    for (const _ of ports) await first.next('listening');
    want(second, connection);
    for (const _ of ports) await second.next('runningElsewhere');
    const frozen = await other.settledSessions();
    for (const pid of frozen) process.kill(pid, 'SIGSTOP');
    try {
      const begun = performance.now();
      const closed = first.close().then(() => performance.now() - begun);
      for (const _ of ports) await second.next('listening');
      const taken = performance.now() - begun;
      assert.ok((await closed) < 2500, `it took ${await closed} ms to close`);
      assert.ok(taken < 2000, `it took ${taken} ms to take over`);
      assert.equal(second.kinds().filter((kind) => kind === 'connecting').length, 1);
    } finally {
      for (const pid of frozen) process.kill(pid, 'SIGCONT');
      await Promise.all([first.close(), second.close()]);
      await other.stop();
    }
  });
});
