import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { connectTo, echo, startTarget, type Target } from '../support/targets.js';

describe('the numbers of a forward', () => {
  let bastion: Sshd;
  let web01: Sshd;
  let service: Target;
  let engine: EngineProbe;
  let config: string;
  let heldBefore: string[];

  before(async () => {
    heldBefore = heldResources();
    [bastion, web01] = await Promise.all([startSshd(), startSshd()]);
    service = await startTarget(echo);
    config = join(web01.folder, 'config_of_both');
    const blocks = [bastion.configPath('bastion'), web01.configPath('web01', ['ProxyJump bastion'])];
    writeFileSync(config, blocks.map((path) => readFileSync(path, 'utf8')).join('\n'), { mode: 0o600 });
  });
  beforeEach(() => (engine = probe(createEngine())));
  afterEach(() => engine.close());
  after(async () => {
    await service.close();
    await Promise.all([bastion.stop(), web01.stop()]);
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const start = async (configFile = config) => {
    const port = await freePort();
    const forward = `-L 127.0.0.1:${port}:127.0.0.1:${service.port}`;
    engine.engine.apply({ connections: [planned('web01', [forward], { configFile })] });
    await engine.next('listening');
    return { port, forward };
  };
  const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);

  it('tell what went through it each second, also of clients that are gone', async () => {
    const { port, forward } = await start();
    const before = await engine.engine.numbers(forward);
    assert.deepEqual([before?.sent, before?.received, before?.reached, sum(before!.series.open)], [0, 0, 0, 0]);
    for (const bytes of [1000, 234]) {
      const socket = await connectTo({ host: '127.0.0.1', port });
      let heard = 0;
      socket.on('data', (data: Buffer) => {
        if ((heard += data.length) === bytes) socket.end();
      });
      socket.end(Buffer.alloc(bytes));
      await new Promise((closed) => socket.once('close', closed));
      assert.equal(heard, bytes);
    }
    await eventually(async () => {
      const numbers = await engine.engine.numbers(forward);
      assert.ok(numbers, 'it runs');
      const { series, sent, received, reached } = numbers;
      assert.deepEqual([sent, received, reached], [1234, 1234, 2]);
      assert.deepEqual([sum(series.sent), sum(series.received)], [1234, 1234]);
      assert.equal(series.sent.length, 300);
      // One that came and went between two samples has been there, too.
      assert.ok(Math.max(...series.open) >= 1, series.open.slice(-5).join());
    });
  });

  it('are none of a forward that does not run', async () => {
    assert.equal(await engine.engine.numbers('-L 1:db:1'), undefined);
    assert.deepEqual(await engine.engine.way('web01'), []);
  });

  it('have each host of the way, and how long each takes to answer', async () => {
    await start();
    await eventually(async () => {
      const way = await engine.engine.way('web01');
      assert.deepEqual(
        way.map(({ host, isConnected }) => ({ host, isConnected })),
        ['bastion', 'web01'].map((host) => ({ host, isConnected: true })),
      );
      for (const { host, server, roundTripMs } of way) {
        assert.match(server, /@127\.0\.0\.1:\d+$/);
        assert.ok(roundTripMs !== undefined && roundTripMs > 0, `${host} has answered`);
      }
    });
    web01.killSessions();
    await engine.next('connectionLost');
    assert.equal(
      (await engine.engine.way('web01')).some(({ isConnected }) => isConnected),
      false,
    );
  });

  for (const [asked, quiet] of [
    ['bastion', 'web01'],
    ['web01', 'bastion'],
  ] as const)
    it(`ask ${quiet}, which has no keepalive, nothing, and ${asked}, which has one, again and again`, async () => {
      const file = join(web01.folder, `config_of_quiet_${quiet}`);
      const blocks = `Host ${asked}\n  ServerAliveInterval 1\nHost ${quiet}\n  ServerAliveInterval 0\n`;
      writeFileSync(file, blocks + readFileSync(config, 'utf8'), { mode: 0o600 });
      await start(file);
      const answers = new Set<number>();
      // By then the other one’s turn would have been long ago.
      await eventually(async () => {
        const way = await engine.engine.way('web01');
        const of = (alias: string) => way.find(({ host }) => host === alias);
        const roundTripMs = of(asked)?.roundTripMs;
        if (roundTripMs !== undefined) answers.add(roundTripMs);
        assert.ok(of(quiet)?.isConnected, `${quiet} is connected`);
        assert.equal(of(quiet)?.roundTripMs, undefined);
        assert.ok(answers.size >= 3, `${asked} has answered three times`);
      });
    });
});
