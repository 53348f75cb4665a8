import assert from 'node:assert/strict';
import { dialUnasked } from '../support/dialUnasked.js';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type AddressInfo, type Server as NetServer } from 'node:net';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import type { Ask, Reply } from '../../src/core/engine.js';
import { failureOf, innermost } from '../../src/core/failure.js';
import { failureText } from '../../src/core/wording.js';
import type { DialPhase } from '../../src/engine/dial.js';
import { dialHost, type JumpHosts } from '../../src/engine/dial.js';
import type { AskUser } from '../../src/engine/hostKeyCheck.js';
import { createHops, type Opening } from '../../src/engine/hops.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, keygen, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';

describe('what several share', () => {
  interface Thing {
    closed: number;
    end(): void;
    onEnd(listener: () => void): void;
    close(first: Promise<void>): Promise<void>;
  }
  const thing = (): Thing => {
    const listeners: (() => void)[] = [];
    return {
      closed: 0,
      end: () => listeners.forEach((listener) => listener()),
      onEnd: (listener) => void listeners.push(listener),
      async close(first) {
        await first;
        this.closed++;
      },
    };
  };
  const opened: Thing[] = [];
  beforeEach(() => void opened.splice(0));
  /** Opens at the next turn of the loop, unless told otherwise. */
  const opening = (more: Partial<Opening<Thing>> = {}): Opening<Thing> => ({
    abort: new AbortController().signal,
    async open() {
      await new Promise((next) => setImmediate(next));
      opened.push(thing());
      return opened.at(-1)!;
    },
    isOwn: () => false,
    ...more,
  });
  const fails = (message: string) => async () => {
    await new Promise((next) => setImmediate(next));
    throw new Error(message);
  };

  it('is opened once for all that come at the same time or later, and closed by the last that leaves', async () => {
    const hops = createHops<Thing>();
    const [one, two] = await Promise.all([hops.join('a', opening()), hops.join('a', opening())]);
    const three = await hops.join('a', opening());
    assert.deepEqual([one.wasOpen, two.wasOpen, three.wasOpen], [false, true, true]);
    await Promise.all([two.leave(), one.leave(), one.leave()]);
    assert.deepEqual(
      opened.map(({ closed }) => closed),
      [0],
    );
    await three.leave();
    assert.equal(opened[0]!.closed, 1);
  });

  it('is another one under another name', async () => {
    const hops = createHops<Thing>();
    const [one, two] = await Promise.all([hops.join('a', opening()), hops.join('b', opening())]);
    assert.notEqual(one.shared, two.shared);
  });

  it('is joined no more from the moment the last one leaves, though its closing takes time', async () => {
    const hops = createHops<Thing>();
    const one = await hops.join('a', opening());
    let first = () => {};
    const left = one.leave(new Promise((resolve) => (first = resolve)));
    const two = await hops.join('a', opening());
    assert.equal(two.wasOpen, false);
    assert.equal(opened[0]!.closed, 0);
    first();
    await left;
    assert.deepEqual(
      opened.map(({ closed }) => closed),
      [1, 0],
    );
  });

  it('is joined no more when it has ended by itself', async () => {
    const hops = createHops<Thing>();
    const one = await hops.join('a', opening());
    opened[0]!.end();
    const two = await hops.join('a', opening());
    assert.equal(two.wasOpen, false);
    await one.leave();
    assert.equal((await hops.join('a', opening())).shared, two.shared);
  });

  it('fails for all that wait when it can’t be opened, and is tried again by those that come then', async () => {
    const hops = createHops<Thing>();
    const both = [hops.join('a', opening({ open: fails('no') })), hops.join('a', opening())];
    for (const outcome of await Promise.allSettled(both))
      assert.equal(outcome.status === 'rejected' && (outcome.reason as Error).message, 'no');
    assert.equal((await hops.join('a', opening())).wasOpen, false);
  });

  it('is opened by the next one that waits when the reason of the first was its own', async () => {
    const hops = createHops<Thing>();
    const first = hops.join('a', opening({ open: fails('no'), isOwn: () => true }));
    const others = [hops.join('a', opening()), hops.join('a', opening())];
    await assert.rejects(first, /no/);
    const [two, three] = await Promise.all(others);
    assert.equal(two!.shared, three!.shared);
    assert.equal(opened.length, 1);
  });

  it('is opened by the next one that waits when the first is called off', async () => {
    const hops = createHops<Thing>();
    const abort = new AbortController();
    const first = hops.join('a', opening({ abort: abort.signal, open: fails('aborted') }));
    const other = hops.join('a', opening());
    abort.abort();
    await assert.rejects(first);
    assert.equal((await other).shared, opened[0]);
  });

  it('is not waited for by one that is called off', async () => {
    const hops = createHops<Thing>();
    const abort = new AbortController();
    const first = hops.join('a', opening());
    const other = hops.join('a', opening({ abort: abort.signal }));
    abort.abort();
    await assert.rejects(other, (error) => failureOf(error).kind === 'cancelled');
    await assert.rejects(hops.join('a', opening({ abort: abort.signal })), (error) => failureOf(error).kind === 'cancelled'); // prettier-ignore
    await (await first).leave();
    assert.equal(opened[0]!.closed, 1);
  });

  it('is closed when all are called off at the moment when it opens', async () => {
    for (const order of ['before', 'after']) {
      const hops = createHops<Thing>();
      const abort = new AbortController();
      const open = async () => {
        await new Promise((next) => setImmediate(next));
        if (order === 'before') abort.abort();
        else queueMicrotask(() => abort.abort());
        opened.push(thing());
        return opened.at(-1)!;
      };
      const all = [1, 2, 3].map(() => hops.join('a', opening({ abort: abort.signal, open })));
      for (const outcome of await Promise.allSettled(all))
        if (outcome.status === 'fulfilled') await outcome.value.leave();
      assert.deepEqual(
        opened.map(({ closed }) => closed),
        opened.map(() => 1),
      );
    }
  });
});

describe('connections behind the same jump host', function () {
  this.timeout(40_000);
  const hosts = {} as { bastion: Sshd; db01: Sshd; db02: Sshd };
  let service: Target;
  let heldBefore: string[];
  const engines: EngineProbe[] = [];

  before(async () => {
    heldBefore = heldResources();
    const [bastion, db01, db02] = await Promise.all([startSshd(), startSshd(), startSshd()]);
    Object.assign(hosts, { bastion, db01, db02 });
    service = await startTarget(echo);
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    await eventually(() => assert.deepEqual(sessions(), []));
  });
  after(async () => {
    await service.close();
    for (const host of Object.values(hosts)) await host.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const sessions = () => Object.entries(hosts).flatMap(([alias, sshd]) => (sshd.sessions().length > 0 ? [alias] : []));
  const file = (name: string) => join(hosts.bastion.folder, name);
  const block = (alias: keyof typeof hosts, ...lines: string[]) =>
    readFileSync(hosts[alias].configPath(alias, lines), 'utf8');
  const jump = 'ProxyJump bastion';
  function config(...blocks: string[]): string {
    writeFileSync(file('config_of_all'), blocks.join('\n'), { mode: 0o600 });
    return file('config_of_all');
  }
  /** How often somebody has logged in to the bastion since. */
  function loginCount(): () => number {
    const count = () => [...hosts.bastion.log().matchAll(/Accepted publickey for/g)].length;
    const before = count();
    return () => count() - before;
  }

  interface Behind {
    engine: EngineProbe;
    ports: Record<string, number>;
    /** Plans the connections, each with how often it was started again. */
    apply(runs: Record<string, number>): void;
  }
  async function start(
    configFile: string,
    runs: Record<string, number> = { db01: 0, db02: 0 },
    answer?: (ask: Ask) => Reply | Promise<Reply>,
  ): Promise<Behind> {
    const engine = probe(createEngine(), answer);
    engines.push(engine);
    const ports: Record<string, number> = {};
    for (const host of Object.keys(runs)) ports[host] = await freePort();
    const apply: Behind['apply'] = (runs) =>
      engine.engine.apply({
        connections: Object.entries(runs).map(([host, run]) =>
          planned(host, [`-L 127.0.0.1:${ports[host]}:127.0.0.1:${service.port}`], { configFile, run }),
        ),
      });
    apply(runs);
    return { engine, ports, apply };
  }
  const of = ({ events }: EngineProbe, kind: string) =>
    events.flatMap((event) => (event.kind === kind && 'connection' in event ? [event.connection] : [])).sort();
  async function comeUp(...args: Parameters<typeof start>): Promise<Behind> {
    const started = await start(...args);
    await eventually(() => {
      const failed = started.engine.events.find((event) => event.kind === 'connectionFailed');
      assert.equal(failed && failureText(failed.failure), undefined);
      assert.equal(started.engine.kinds().filter((kind) => kind === 'listening').length, Object.keys(started.ports).length); // prettier-ignore
    });
    started.engine.skip();
    return started;
  }
  const echoed = async (port: number, text: string) => (await exchange(port, Buffer.from(text))).received.toString();
  async function client(port: number) {
    const socket = connect({ port, host: '127.0.0.1' });
    let end: string | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => (end = error.code));
    socket.on('end', () => (end = 'end'));
    socket.write('hello');
    await once(socket, 'data');
    return {
      isOpen: () => end === undefined,
      async says(text: string) {
        socket.write(text);
        return ((await once(socket, 'data')) as [Buffer])[0].toString();
      },
      close: () => socket.destroy(),
    };
  }
  const both = () => config(block('db01', jump), block('db02', jump), block('bastion'));

  it('log in to it once, when both dial at the same moment', async () => {
    const logins = loginCount();
    const { ports } = await comeUp(both());
    assert.equal(await echoed(ports['db01']!, 'one'), 'one');
    assert.equal(await echoed(ports['db02']!, 'two'), 'two');
    assert.equal(logins(), 1);
  });

  it('log in to it once, when one comes later, and leave it when the last one is stopped', async () => {
    const logins = loginCount();
    const { engine, ports, apply } = await comeUp(both(), { db01: 0 });
    ports['db02'] = await freePort();
    apply({ db01: 0, db02: 0 });
    await engine.next('listening');
    apply({ db02: 0 });
    await engine.next('connectionClosed');
    assert.equal(await echoed(ports['db02'], 'two'), 'two');
    assert.equal(logins(), 1);
    apply({});
    await engine.next('connectionClosed');
    await eventually(() => assert.deepEqual(sessions(), []), 3000);
  });

  it('log in to it each, when they go there with other options', async () => {
    const logins = loginCount();
    const other = block('bastion').replace('Host bastion', 'Host gate');
    await comeUp(config(block('db01', jump), block('db02', 'ProxyJump gate'), block('bastion'), other));
    assert.equal(logins(), 2);
  });

  it('share a way of two hops, and its first hop with one that goes on from there', async () => {
    const logins = loginCount();
    const blocks = [block('db01', jump), block('db02', 'ProxyJump bastion,db01'), block('bastion')];
    const { ports } = await comeUp(config(...blocks));
    assert.equal(await echoed(ports['db02']!, 'two'), 'two');
    assert.equal(logins(), 1);
  });

  it('are asked for themselves when nobody answers for another one, at the first of two hops', async () => {
    const unknown = block('bastion').replace(/UserKnownHostsFile .*/, `UserKnownHostsFile ${file('known_of_none')}`);
    const far = 'ProxyJump bastion,db01';
    const configFile = config(block('db01'), block('db02', far), block('db02', far).replace('Host db02', 'Host db03'), unknown); // prettier-ignore
    const real: JumpHosts = createHops();
    let joins = 0;
    const hops: JumpHosts = { join: (key, opening) => (joins++, real.join(key, opening)) };
    const dial = (host: string, ask: AskUser) =>
      dialHost(
        planned(host, [], { configFile }).host,
        { abort: new AbortController(), cancelled: false },
        { ask, memory: { secrets: new Map(), acceptedKeys: new Set() }, log: () => {}, hops },
      );
    let asked = () => {};
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    let cancel = () => {};
    const background = dial('db02', (): Promise<Reply> => {
      asked();
      return new Promise((reply) => (cancel = () => reply({ kind: 'cancel' })));
    });
    await isAsked;
    const asks: string[] = [];
    const foreground = dial('db03', ({ kind }): Promise<Reply> => {
      asks.push(kind);
      return Promise.resolve({ kind: 'hostKey', accept: 'once' });
    });
    // One for each hop of the first, and the second waits for the last of them.
    await eventually(() => assert.equal(joins, 3));
    cancel();
    await assert.rejects(background);
    await (await foreground).session.close();
    assert.deepEqual(asks, ['hostKey']);
  });

  it('do not cut one another when one is started again', async () => {
    const logins = loginCount();
    const { engine, ports, apply } = await comeUp(both());
    const other = await client(ports['db02']!);
    apply({ db01: 1, db02: 0 });
    await engine.next('listening');
    assert.equal(await echoed(ports['db01']!, 'again'), 'again');
    assert.equal(await other.says('still here'), 'still here');
    assert.deepEqual(of(engine, 'connectionLost'), []);
    assert.equal(logins(), 1);
    other.close();
  });

  it('have a new one when the only one there is started again', async () => {
    const logins = loginCount();
    const { engine, apply } = await comeUp(both(), { db01: 0 });
    apply({ db01: 1 });
    await engine.next('listening');
    assert.equal(logins(), 2);
  });

  it('are closed only when a dial is that was called off before', async () => {
    const mute = await startTarget(() => {});
    const held = heldResources();
    const line = `Port ${mute.port}`;
    const { engine, apply } = await start(config(block('db01', jump, line), block('bastion')), { db01: 0 });
    try {
      await eventually(() => assert.equal(mute.accepted, 1));
      const stopped = hosts.bastion.sessions();
      for (const pid of stopped) process.kill(pid, 'SIGSTOP');
      try {
        apply({ db01: 1 });
        apply({});
        await engine.next('connectionClosed');
        // It said goodbye to the jump host, which does not answer.
        const ofTarget = [...mute.sockets].map(() => 'TCPSocketWrap');
        const sockets = heldBeyond([...held, ...ofTarget]).filter((name) => name === 'TCPSocketWrap');
        assert.deepEqual(sockets, []);
      } finally {
        for (const pid of stopped) process.kill(pid, 'SIGCONT');
      }
    } finally {
      await mute.close();
    }
  });

  it('say who is gone when it dies, and come back by a new one that they share', async () => {
    const { engine, ports } = await comeUp(both());
    const clients = [await client(ports['db01']!), await client(ports['db02']!)];
    const logins = loginCount();
    hosts.bastion.killSessions();
    const lost = [await engine.next('connectionLost'), await engine.next('connectionLost')];
    assert.deepEqual(lost.map(({ connection }) => connection).sort(), ['db01', 'db02']);
    for (const { connection, failure } of lost)
      assert.match(failureText(failure), new RegExp(`^On the way to ${connection}: .*bastion`));
    await eventually(() => assert.deepEqual(clients.map((one) => one.isOpen()), [false, false])); // prettier-ignore
    await eventually(() => assert.deepEqual(of(engine, 'connected'), ['db01', 'db01', 'db02', 'db02']));
    assert.equal(await echoed(ports['db01']!, 'one'), 'one');
    assert.equal(await echoed(ports['db02']!, 'two'), 'two');
    // They try again at times of their own: the first may be up before the other one comes.
    assert.equal(logins(), 1);
  });

  describe('with a key that has a passphrase', () => {
    const encrypted = () => {
      keygen(file('locked'), '-N', 'open sesame');
      appendFileSync(hosts.bastion.authorizedKeysPath, readFileSync(file('locked.pub')));
      return block('bastion').replace(/IdentityFile .*/, `IdentityFile ${file('locked')}`);
    };
    let locked: string;
    before(() => (locked = encrypted()));
    const path = () => config(block('db01', jump), block('db02', jump), locked);
    const open: Reply = { kind: 'secret', secret: 'open sesame' };

    it('ask for it once', async () => {
      const { engine } = await comeUp(path(), undefined, () => open);
      assert.equal(of(engine, 'asked').length + engine.kinds().filter((kind) => kind === 'asked').length, 1);
    });

    it('ask for it on behalf of the next one when a person says no to the first', async () => {
      const asked: string[] = [];
      const { engine } = await start(path(), undefined, (ask) => {
        asked.push(ask.connection);
        return asked.length === 1 ? { kind: 'cancel' } : open;
      });
      await engine.next('listening');
      assert.deepEqual([...asked].sort(), ['db01', 'db02']);
      assert.deepEqual(of(engine, 'connectionFailed'), [asked[0]]);
      assert.deepEqual(of(engine, 'connected'), [asked[1]]);
    });

    it('ask for it on behalf of the next one when the first is stopped', async () => {
      const asked: string[] = [];
      const { engine, apply } = await start(path(), undefined, (ask) => {
        asked.push(ask.connection);
        if (asked.length > 1) return open;
        apply(ask.connection === 'db01' ? { db02: 0 } : { db01: 0 });
        return new Promise(() => {});
      });
      await engine.next('listening');
      assert.deepEqual([...asked].sort(), ['db01', 'db02']);
      assert.deepEqual(of(engine, 'connected'), [asked[1]]);
    });

    it('come back without a question, whichever opens it anew', async () => {
      for (const left of ['db01', 'db02']) {
        const { engine, apply } = await comeUp(path(), undefined, () => open);
        // The one that was asked may be the one that goes.
        apply({ [left]: 0 });
        await engine.next('connectionClosed');
        hosts.bastion.killSessions();
        await engine.next('connectionLost');
        await engine.next('connected');
        assert.equal(engine.kinds().filter((kind) => kind === 'asked').length, 1);
        await engine.close();
        await eventually(() => assert.deepEqual(sessions(), []));
      }
    });
  });

  it('fail together when it does not let them in, each with its own way', async () => {
    keygen(file('stranger'));
    const strange = block('bastion').replace(/IdentityFile .*/, `IdentityFile ${file('stranger')}`);
    const { engine } = await start(config(block('db01', jump), block('db02', jump), strange));
    for (const { connection, failure } of [
      await engine.next('connectionFailed'),
      await engine.next('connectionFailed'),
    ])
      assert.match(failureText(failure), new RegExp(`^On the way to ${connection}: bastion did not let .* in\\.`));
  });

  it('say which of three hosts has fallen silent, soon, though all keepalives could be the first to tell', async () => {
    const alive = ['ServerAliveInterval 1', 'ServerAliveCountMax 2'];
    const blocks = [block('db02', 'ProxyJump bastion,db01', ...alive), block('db01', ...alive), block('bastion', ...alive)]; // prettier-ignore
    const { engine } = await comeUp(config(...blocks), { db02: 0 });
    const stopped = hosts.db01.sessions();
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    try {
      const since = performance.now();
      const { failure } = await engine.next('connectionLost');
      assert.deepEqual(failure, {
        kind: 'hop',
        hop: 'db01',
        host: 'db02',
        failure: { kind: 'connectionLost', host: 'db01', reason: 'keepalive' },
      });
      assert.equal(performance.now() - since < 4000, true);
    } finally {
      for (const pid of stopped) {
        try {
          process.kill(pid, 'SIGCONT');
        } catch {
          // It has ended by itself.
        }
      }
    }
  });

  it('say it is the last host that has fallen silent when those before answer', async () => {
    const alive = ['ServerAliveInterval 1', 'ServerAliveCountMax 2'];
    const blocks = [block('db02', 'ProxyJump bastion,db01', ...alive), block('db01', ...alive), block('bastion', ...alive)]; // prettier-ignore
    const { engine } = await comeUp(config(...blocks), { db02: 0 });
    const stopped = hosts.db02.sessions();
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    try {
      const { failure } = await engine.next('connectionLost');
      assert.deepEqual(failure, { kind: 'connectionLost', host: 'db02', reason: 'keepalive' });
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
  });

  it('give nothing away to somebody in the place of the second host', async () => {
    const forged = ssh2.utils.generateKeyPairSync('ed25519');
    const attempts: string[] = [];
    const server = new ssh2.Server({ hostKeys: [forged.private] }, (connection) => {
      connection.on('error', () => {});
      connection.on('authentication', (context) => {
        attempts.push(context.method);
        context.reject();
      });
    }) as unknown as NetServer;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const known = readFileSync(hosts.db01.knownHostsPath, 'utf8').replaceAll(String(hosts.db01.port), String(port));
    writeFileSync(file('known_of_forged'), known);
    try {
      const lines = [jump, `Port ${port}`, `UserKnownHostsFile ${file('known_of_forged')}`];
      const { engine } = await start(config(block('db01', ...lines), block('bastion')), { db01: 0 });
      const { failure } = await engine.next('connectionFailed');
      assert.equal(failure.kind, 'hostKeyChanged');
      assert.deepEqual(attempts, []);
      const far = [block('db02', 'ProxyJump bastion,db01'), block('db01', ...lines.slice(1)), block('bastion')];
      const second = await start(config(...far), { db02: 0 });
      const { failure: onTheWay } = await second.engine.next('connectionFailed');
      assert.equal(innermost(onTheWay).kind, 'hostKeyChanged');
      assert.match(failureText(onTheWay), /^On the way to db02, at db01: The host key of/);
      assert.deepEqual(attempts, []);
      assert.equal(second.engine.kinds().includes('asked'), false);
    } finally {
      await new Promise((closed) => server.close(closed));
    }
  });

  it('tell who watches of each phase, by host', async () => {
    const phases: [string, DialPhase][] = [];
    const session = await dialUnasked('db01', both(), (host, phase) => phases.push([host, phase]));
    await session.close();
    const each: DialPhase[] = ['connect', 'handshake', 'hostKey', 'authentication', 'ready'];
    assert.deepEqual(phases, [
      ['db01', 'resolve'],
      ...['bastion', 'db01'].flatMap((host) => each.map((phase) => [host, phase])),
    ]);
  });
});
