import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ask, Reply } from '../../src/core/engine.js';
import type { PlannedConnection } from '../../src/core/plan.js';
import type { MachineChange } from '../../src/engine/machineWatch.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startFaultyProxy, type FaultyProxy } from '../support/faultyProxy.js';
import { freePort, keygen, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';

describe('a connection that is lost', () => {
  let sshd: Sshd;
  let proxy: FaultyProxy;
  let configFile: string;
  let service: Target;
  let engine: EngineProbe;
  let port: number;
  let spec: string;
  let heldBefore: string[];
  let changed: ((change: MachineChange) => void) | undefined;
  let answer: ((ask: Ask) => Reply | Promise<Reply>) | undefined;

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    proxy = await startFaultyProxy(sshd);
    service = await startTarget(echo);
  });
  beforeEach(async () => {
    configFile = config();
    answer = undefined;
    const watch = (onChange: (change: MachineChange) => void) => {
      assert.equal(changed, undefined);
      changed = onChange;
      return () => (changed = undefined);
    };
    engine = probe(createEngine({ watch }), (ask) => answer?.(ask) ?? assert.fail(`asked for ${ask.kind}`));
    port = await freePort();
    spec = `-L ${port}:127.0.0.1:${service.port}`;
  });
  afterEach(async () => {
    await engine.close();
    assert.equal(changed, undefined);
    proxy.thaw();
    proxy.resetAll();
    await proxy.accept();
  });
  after(async () => {
    await service.close();
    await proxy.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const config = (...lines: string[]) =>
    sshd.configPath('web01', [...lines, `Port ${proxy.port}`, `HostKeyAlias [127.0.0.1]:${sshd.port}`]);
  const web01 = (more: Partial<PlannedConnection> = {}) => planned('web01', [spec], { configFile, ...more });
  const apply = (...connections: PlannedConnection[]) => engine.engine.apply({ connections });
  const isUp = async (plan = web01()) => {
    apply(plan);
    await engine.next('listening');
  };
  /** Lost, and not to be dialled before the proxy accepts. */
  const cutOff = async () => {
    await proxy.refuse();
    proxy.resetAll();
    await engine.next('connectionLost');
  };
  /** After so many attempts the next one is some seconds away. */
  const waitsLong = async (least = 3) => {
    await cutOff();
    for (;;) {
      const { attempt, retryAt } = await engine.next('connectionLost');
      if (attempt >= least) return retryAt;
    }
  };
  const attempts = () => engine.events.flatMap((event) => (event.kind === 'connecting' ? [event.attempt] : []));
  const answers = async (text = 'hi') =>
    assert.equal((await exchange(port, Buffer.from(text))).received.toString(), text);

  it('is back within two seconds when its session was killed, with a request answered that came meanwhile', async () => {
    await isUp();
    await answers();
    for (const pid of await sshd.settledSessions()) process.kill(pid, 'SIGKILL');
    const began = performance.now();
    await engine.next('connectionLost');
    await answers('meanwhile');
    const took = performance.now() - began;
    assert.ok(took < 2000, `${took.toFixed(0)} ms`);
    assert.equal(engine.kinds().filter((kind) => kind === 'listening').length, 1);
  });

  it('is dialled sooner when a client comes, who would not wait as long', async () => {
    await isUp();
    let retryAt = await waitsLong(4);
    while (retryAt - Date.now() < 2200) ({ retryAt } = await engine.next('connectionLost'));
    const waiting = exchange(port, Buffer.from('soon'));
    assert.ok((await engine.next('connectionLost')).retryAt - Date.now() <= 2000);
    await proxy.accept();
    assert.equal((await waiting).received.toString(), 'soon');
  });

  it('is dialled at once when the machine woke, in the background, and starts its waits over', async () => {
    await isUp();
    const retryAt = await waitsLong();
    changed!('woke');
    await engine.next('connecting');
    assert.ok(Date.now() < retryAt - 200);
    const { attempt, retryAt: next } = await engine.next('connectionLost');
    assert.deepEqual([attempt, attempts().at(-1)], [2, 2]);
    assert.ok(next - Date.now() < 1000);
    await proxy.accept();
    await engine.next('connected');
    await answers();
  });

  it('is not dialled in a tight loop when changes come again and again', async () => {
    await isUp();
    await waitsLong();
    const before = attempts().length;
    const began = performance.now();
    while (performance.now() - began < 2200) {
      changed!('network');
      await sleep(20);
    }
    const dials = attempts().length - before;
    // One a second by force, and those that come of themselves after each.
    assert.ok(dials >= 2 && dials <= 8, `${dials} dials`);
  });

  it('drops a dial that has no answer yet for a new one, less and less often', async () => {
    const silent: Socket[] = [];
    const server = createServer((socket) => void silent.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as { port: number };
      configFile = sshd.configPath('web01', [`Port ${port}`, 'ConnectTimeout 30']);
      apply(web01());
      await eventually(() => assert.equal(silent.length, 1));
      const began = performance.now();
      while (performance.now() - began < 2600) {
        changed!('network');
        await sleep(50);
      }
      // At once, one second later, and two seconds after that.
      assert.ok(silent.length >= 2 && silent.length <= 3, `${silent.length} connections`);
      // By a hand, and still so.
      assert.deepEqual(new Set(attempts()), new Set([1]));
    } finally {
      for (const socket of silent) socket.destroy();
      server.close();
    }
  });

  it('drops a dial through a jump host that was connected, and has been dead since the change', async () => {
    const block = (alias: string, ...lines: string[]) =>
      readFileSync(sshd.configPath(alias, [...lines, `HostKeyAlias [127.0.0.1]:${sshd.port}`]), 'utf8');
    const all = [
      block('bastion', `Port ${proxy.port}`),
      ...['web01', 'web02'].map((at) => block(at, 'ProxyJump bastion')),
    ];
    configFile = join(sshd.folder, 'config_of_hops');
    writeFileSync(configFile, all.join('\n'), { mode: 0o600 });
    await isUp();
    proxy.drop();
    const web02 = planned('web02', [`-L ${await freePort()}:127.0.0.1:${service.port}`], { configFile });
    apply(web01(), web02);
    const isJoined = () =>
      engine.events.some((event) => event.kind === 'logged' && /connected already/.test(event.text));
    await eventually(() => assert.ok(isJoined()));
    // Whoever uses it, too, would find out that it is dead.
    apply(web02);
    await engine.next('connectionClosed');
    proxy.thaw();
    changed!('woke');
    const began = performance.now();
    await engine.next('connected');
    assert.ok(performance.now() - began < 5000);
  });

  it('leaves a dial alone that has got an answer', async () => {
    configFile = config(`UserKnownHostsFile ${sshd.folder}/nobody_known`);
    let settle = (_reply: Reply) => {};
    answer = () => new Promise<Reply>((resolve) => (settle = resolve));
    apply(web01());
    await engine.next('asked');
    changed!('network');
    changed!('woke');
    settle({ kind: 'hostKey', accept: 'once' });
    await engine.next('listening');
    assert.deepEqual(engine.kinds(), ['connecting', 'asked', 'askSettled', 'connected', 'listening']);
  });

  it('is no loss when the machine or its network changes and the server answers, who is asked at once', async () => {
    configFile = config('ServerAliveInterval 300');
    await isUp();
    const sessions = await sshd.settledSessions();
    for (const change of ['woke', 'network'] as const) {
      const { up, down } = proxy.passed;
      changed!(change);
      await eventually(() => assert.ok(proxy.passed.up > up && proxy.passed.down > down));
    }
    for (let time = 0; time < 20; time++) changed!('network');
    await answers();
    assert.deepEqual(sshd.sessions(), sessions);
    assert.deepEqual(attempts(), [1]);
  });

  describe('and retried by hand', () => {
    it('is dialled at once as by the user, and listeners and those who wait at them stay', async () => {
      await isUp();
      const retryAt = await waitsLong();
      const waiting = exchange(port, Buffer.from('waited'));
      await eventually(async () => assert.equal((await engine.engine.clients(spec))[0]?.isParked, true));
      await proxy.accept();
      apply(web01({ retry: 1 }));
      await engine.next('connected');
      assert.ok(Date.now() < retryAt);
      assert.equal(attempts().at(-1), 1);
      assert.equal((await waiting).received.toString(), 'waited');
      assert.equal(engine.kinds().filter((kind) => ['listening', 'forwardClosed'].includes(kind)).length, 1);
    });

    it('is left alone when it is up', async () => {
      await isUp();
      apply(web01({ retry: 1 }));
      await answers();
      await sleep(200);
      assert.deepEqual(attempts(), [1]);
    });

    it('starts anew when it has failed for good, and may ask then', async () => {
      const key = `${sshd.folder}/with_passphrase`;
      keygen(key, '-N', 'secret words', '-q');
      const authorized = readFileSync(sshd.authorizedKeysPath, 'utf8');
      writeFileSync(sshd.authorizedKeysPath, authorized + readFileSync(`${key}.pub`, 'utf8'));
      configFile = config(`IdentityFile ${key}`);
      // Up with the other key; what it lists first asks for its passphrase.
      answer = () => ({ kind: 'secret', secret: '' });
      await isUp();
      writeFileSync(sshd.authorizedKeysPath, readFileSync(`${key}.pub`, 'utf8'));
      try {
        answer = undefined;
        proxy.resetAll();
        const { failure } = await engine.next('connectionFailed');
        assert.deepEqual(failure, { kind: 'answerNeeded', host: 'web01', what: 'passphrase', path: key });
        assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
        answer = () => ({ kind: 'secret', secret: 'secret words' });
        apply(web01({ retry: 1 }));
        await engine.next('listening');
        await answers();
      } finally {
        writeFileSync(sshd.authorizedKeysPath, authorized);
      }
    });
  });

  it('waits for a config file that is being edited, and for a name that can’t be found now', async () => {
    await isUp();
    const good = readFileSync(configFile, 'utf8');
    writeFileSync(configFile, good.replace('  User', '  NoSuchOption yes\n  User'));
    proxy.resetAll();
    await engine.next('connectionLost');
    assert.equal((await engine.next('connectionLost')).failure.kind, 'sshConfig');
    writeFileSync(configFile, good.replace('HostName 127.0.0.1', 'HostName no-such-host.invalid'));
    changed!('network');
    await eventually(async () => assert.equal((await engine.next('connectionLost')).failure.kind, 'hostNotFound'));
    writeFileSync(configFile, good);
    await engine.next('connected', 15_000);
    await answers();
    assert.equal(engine.kinds().includes('connectionFailed'), false);
  });

  describe('before it was up', () => {
    it('fails for good when nobody answers', async () => {
      await proxy.refuse();
      apply(web01());
      assert.equal((await engine.next('connectionFailed')).failure.kind, 'connectFailed');
      assert.deepEqual(attempts(), [1]);
    });

    it('is dialled on and on when it is to be there always', async () => {
      await proxy.refuse();
      apply(web01({ isPersistent: true }));
      await engine.next('connectionLost');
      await engine.next('connectionLost');
      await proxy.accept();
      await engine.next('listening');
      await answers();
    });

    it('fails for good, always or not, for what does not pass', async () => {
      configFile = config('IdentityFile /nowhere/key', 'IdentitiesOnly yes');
      writeFileSync(configFile, readFileSync(configFile, 'utf8').replace(`IdentityFile ${sshd.keyPath}`, ''));
      apply(web01({ isPersistent: true }));
      assert.equal((await engine.next('connectionFailed')).failure.kind, 'authFailed');
      assert.deepEqual(attempts(), [1]);
    });
  });

  it('is not dialled anew for whether it is to be there always, and heeds that from then on', async () => {
    await isUp();
    const before = engine.kinds().length;
    apply(web01({ isPersistent: true, reconnect: true }));
    apply(web01({ reconnect: false }));
    await sleep(200);
    assert.deepEqual(engine.kinds().slice(before), []);
    proxy.resetAll();
    await engine.next('connectionFailed');
  });
});
