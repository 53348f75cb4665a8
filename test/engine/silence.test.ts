import assert from 'node:assert/strict';
import { dialUnasked } from '../support/dialUnasked.js';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { channelStream, type ChannelStream } from '../../src/engine/channelStream.js';
import type { SessionEnd, SshSession } from '../../src/engine/sshClient.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startFaultyProxy, type FaultyProxy } from '../support/faultyProxy.js';
import { knownHostsLine, publicKey, startSshd, type Sshd } from '../support/sshd.js';
import { bytes, digest, echo, startTarget, type Target } from '../support/targets.js';

/** Nothing runs in this thread for so long. */
const stall = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

const hostNames = ['bastion', 'middle', 'db01', 'coldBastion', 'coldMiddle', 'coldDb01'] as const;
type Host = (typeof hostNames)[number];

/** ServerAliveInterval and ServerAliveCountMax */
const patience = [
  [1, 3],
  [1, 1],
  [2, 1],
] as const;

const chains: readonly { hops: readonly [Host, Host, Host]; frozen: Host }[] = [
  { hops: ['coldBastion', 'middle', 'db01'], frozen: 'coldBastion' },
  { hops: ['bastion', 'coldMiddle', 'db01'], frozen: 'coldMiddle' },
  { hops: ['bastion', 'middle', 'coldDb01'], frozen: 'coldDb01' },
];

describe('a session', function () {
  this.timeout(30_000);
  const hosts = {} as Record<Host, Sshd>;
  let service: Target;
  let heldBefore: string[];
  const proxies: FaultyProxy[] = [];
  const sessions: SshSession[] = [];
  const targets: Target[] = [];
  const frozen = new Set<number>();

  before(async () => {
    heldBefore = heldResources();
    const started = await Promise.all(hostNames.map(async (name) => [name, await startSshd()] as const));
    Object.assign(hosts, Object.fromEntries(started));
    service = await startTarget(echo);
  });
  const tidyUp = async () => {
    for (const pid of frozen) {
      try {
        process.kill(pid, 'SIGCONT');
      } catch {
        // It has ended by itself.
      }
    }
    frozen.clear();
    await Promise.all(sessions.splice(0).map((session) => session.close()));
    await Promise.all([...proxies.splice(0), ...targets.splice(0)].map((one) => one.close()));
    await eventually(() =>
      assert.deepEqual(
        Object.values(hosts).flatMap((host) => host.sessions()),
        [],
      ),
    );
  };
  after(async () => {
    await service.close();
    await Promise.all(Object.values(hosts).map((host) => host.stop()));
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const freeze = async (...names: Host[]) => {
    const pids = await Promise.all(names.map((name) => hosts[name].settledSessions()));
    for (const pid of pids.flat()) {
      process.kill(pid, 'SIGSTOP');
      frozen.add(pid);
    }
    return performance.now();
  };
  async function proxyTo(host: Host): Promise<FaultyProxy> {
    const proxy = await startFaultyProxy({ port: hosts[host].port });
    proxies.push(proxy);
    return proxy;
  }
  async function serve(onSocket: Parameters<typeof startTarget>[0]): Promise<Target> {
    const target = await startTarget(onSocket);
    targets.push(target);
    return target;
  }
  const block = (host: Host, ...lines: string[]) => readFileSync(hosts[host].configPath(host, lines), 'utf8');
  const times = (seconds: number, count: number) => [`ServerAliveInterval ${seconds}`, `ServerAliveCountMax ${count}`];
  const off = 'ServerAliveInterval 0';

  interface Dialled {
    session: SshSession;
    /** How it ended, and when, by performance.now(). */
    ended: Promise<{ end: SessionEnd | undefined; at: number }>;
    isUp(): boolean;
  }
  let files = 0;
  /** The first block is the host to reach. */
  async function dial(...blocks: string[]): Promise<Dialled> {
    const configFile = join(hosts.db01.folder, `config_${files++}`);
    writeFileSync(configFile, blocks.join('\n'), { mode: 0o600 });
    const session = await dialUnasked(/^Host (\S+)/.exec(blocks[0]!)![1]!, configFile);
    sessions.push(session);
    let isOver = false;
    const ended = new Promise<{ end: SessionEnd | undefined; at: number }>((resolve) => {
      session.onEnd((end) => {
        isOver = true;
        resolve({ end, at: performance.now() });
      });
    });
    return { session, ended, isUp: () => !isOver };
  }
  /** Through a proxy, whose port known_hosts has under the same key. */
  function dialThrough(proxy: FaultyProxy, host: Host, ...lines: string[]) {
    const known = join(hosts.db01.folder, `known_${files++}`);
    writeFileSync(known, knownHostsLine(proxy.port, publicKey(`${hosts[host].hostKeyPath}.pub`)));
    return dial(block(host, `Port ${proxy.port}`, `UserKnownHostsFile ${known}`, ...lines));
  }
  const reach = async (session: SshSession, { port }: Target = service) =>
    channelStream(await session.openTcp({ host: '127.0.0.1', port }, { address: '127.0.0.1', port: 1 }));
  async function readAll(channel: ChannelStream): Promise<Buffer> {
    const parts: Buffer[] = [];
    channel.on('data', (part: Buffer) => parts.push(part));
    await once(channel, 'end');
    return Buffer.concat(parts);
  }
  async function isAlive({ session, isUp }: Dialled) {
    assert.equal(isUp(), true);
    const channel = await reach(session);
    channel.end('hello');
    assert.equal((await readAll(channel)).toString(), 'hello');
  }

  // Together, since all of them wait; what is frozen is frozen for all at the same moment.
  describe('that falls silent', () => {
    const dialled = new Map<string, Dialled>();
    const talking: NodeJS.Timeout[] = [];
    let since: number;
    let beforeProbe: Map<string, boolean>;

    before(async () => {
      const add = async (title: string, dialling: Promise<Dialled>) => {
        const one = await dialling;
        dialled.set(title, one);
        return one;
      };
      const proxy = { up: await proxyTo('db01'), down: await proxyTo('db01') };
      await Promise.all([
        ...patience.map(([seconds, count]) =>
          add(`${seconds} ${count}`, dial(block('coldDb01', ...times(seconds, count)))),
        ),
        add('off', dial(block('coldDb01', off))),
        add('rekeying', dial(block('coldDb01', 'RekeyLimit 1K', ...times(1, 1)))).then(async ({ session }) => {
          const channel = await reach(session);
          channel.on('error', () => {});
          talking.push(setInterval(() => channel.write('x'.repeat(5000)), 50));
        }),
        ...(['up', 'down'] as const).map((way) =>
          add(way, dialThrough(proxy[way], 'db01', ...times(1, 2))).then(async ({ session }) => {
            const channel = await reach(session);
            channel.on('error', () => {}).resume();
            talking.push(setInterval(() => channel.write('x'.repeat(100)), 50));
            await once(channel, 'data');
          }),
        ),
        ...chains.flatMap(({ hops: [first, second, last], frozen }) => {
          const hops = [`ProxyJump ${first},${second}`, block(second, off), block(first, off)] as const;
          const [jump, ...others] = hops;
          return [
            add(`probed ${frozen}`, dial(block(last, jump, off), ...others)),
            add(`impatient ${frozen}`, dial(block(last, jump, ...times(1, 1)), block(second), block(first))),
            add(`over ${frozen}`, dial(block(last, jump, ...times(1, 1)), block(second, off), block(first))),
          ];
        }),
      ]);
      since = await freeze('coldBastion', 'coldMiddle', 'coldDb01');
      proxy.up.drop('up');
      proxy.down.drop('down');
      const probed = ['off', ...chains.map(({ frozen }) => `probed ${frozen}`)];
      await sleep(500);
      beforeProbe = new Map(probed.map((title) => [title, dialled.get(title)!.isUp()]));
      for (const title of probed) for (const seconds of [5, 1, 3]) dialled.get(title)!.session.probe(seconds);
    });
    after(async () => {
      talking.forEach(clearInterval);
      await tidyUp();
    });

    /** Within so many ms; no sooner than the second number. */
    const mustEnd = async (title: string, most: number, least: number, host?: string) => {
      const { end, at } = await dialled.get(title)!.ended;
      assert.deepEqual(end, { reason: 'keepalive', ...(host !== undefined && { host }) });
      const silent = at - since;
      assert.ok(silent >= least && silent < most, `${silent} ms`);
    };

    for (const [seconds, count] of patience)
      it(`is ended within a second more than ${count} times ${seconds} s`, () =>
        // What was heard last may have been the answer to the question before.
        mustEnd(`${seconds} ${count}`, seconds * count * 1000 + 1000, (seconds * count * 1000) / (count + 1)));

    it('is ended when nothing arrives there any more, while it talks', () => mustEnd('up', 3000, 1000));
    it('is ended when nothing arrives here any more, though all arrives there', () => mustEnd('down', 3000, 1000));
    it('is ended while keys are exchanged, when no question can be sent', () => mustEnd('rekeying', 2000, 400));
    it('is left alone with ServerAliveInterval 0, and ended by a probe in its time, the strictest of several', async () => {
      assert.equal(beforeProbe.get('off'), true);
      await mustEnd('off', 2500, 1490);
    });

    for (const { frozen, hops } of chains) {
      const named = hops[2] === frozen ? undefined : frozen;
      it(`is ended by a probe that finds out that ${frozen} of three is the reason`, async () => {
        assert.equal(beforeProbe.get(`probed ${frozen}`), true);
        await mustEnd(`probed ${frozen}`, 2500, 1490, named);
      });
      it(`blames ${frozen} of three, though the last one is the most impatient`, () =>
        mustEnd(`impatient ${frozen}`, 2000, 400, named));
      const asked = hops[1] === frozen ? undefined : named;
      it(`blames ${asked ?? 'the last one'} when ${frozen} of three falls silent, and not the middle one, which is not asked`, () =>
        mustEnd(`over ${frozen}`, 2000, 400, asked));
    }
  });

  describe('that lives', () => {
    afterEach(tidyUp);

    it('lives on without traffic and with probes, and while bytes flow over a thin line, for long enough', async () => {
      const sent = bytes(1_000_000, 'thin');
      const source = await serve((socket) => socket.end(sent));
      const drain = await serve((socket) => {
        const parts: Buffer[] = [];
        socket.on('data', (part: Buffer) => parts.push(part));
        socket.on('end', () => socket.end(digest(Buffer.concat(parts))));
      });
      const thin = async () => {
        const proxy = await proxyTo('db01');
        const one = await dialThrough(proxy, 'db01', ...times(1, 1));
        proxy.rate(350_000);
        return one;
      };
      const [idle, probed, up, both] = await Promise.all([
        dial(block('db01', ...times(1, 1))),
        dial(block('db01', off)),
        thin(),
        thin(),
      ]);
      assert.equal(probed.session.roundTripMs, undefined);
      const since = performance.now();
      const download = async ({ session }: Dialled) => {
        assert.equal(digest(await readAll(await reach(session, source))), digest(sent));
      };
      const upload = async ({ session }: Dialled) => {
        const channel = await reach(session, drain);
        channel.end(sent);
        assert.equal((await readAll(channel)).toString(), digest(sent));
      };
      const probing = async () => {
        for (let times = 0; times < 3; times++) {
          probed.session.probe(0.9);
          probed.session.probe(0.8);
          await sleep(300);
        }
        await sleep(1000);
      };
      await Promise.all([upload(up), upload(both), download(both), probing(), sleep(3000)]);
      assert.ok(performance.now() - since > 2800);
      for (const { session } of [idle, probed])
        assert.ok(session.roundTripMs! > 0 && session.roundTripMs! < 900, String(session.roundTripMs));
      for (const one of [idle, probed, up, both]) await isAlive(one);
      await probed.session.close();
      probed.session.probe(0.1);
    });

    it('lives on when this thread has stood still for longer than it may be silent, and is ended if it is frozen', async () => {
      // One at each point between two questions.
      const live: Dialled[] = [];
      for (let phase = 0; phase < 6; phase++) {
        live.push(await dial(block('db01', ...times(1, 1))));
        await sleep(60);
      }
      stall(1700);
      await sleep(300);
      const cold = await dial(block('coldDb01', ...times(1, 1)));
      await freeze('coldDb01');
      stall(1700);
      const since = performance.now();
      const { end, at } = await cold.ended;
      assert.deepEqual(end, { reason: 'keepalive' });
      assert.ok(at - since < 2000, `${at - since} ms`);
      for (const one of live) await isAlive(one);
    });
  });
});
