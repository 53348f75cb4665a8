import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { startTarget, type Target } from '../support/targets.js';
import { isElsewhere, openWindow } from '../support/tunnelWindow.js';

describe('a try of a target through its forward', () => {
  let sshd: Sshd;
  let configFile: string;
  let service: Target;
  let heldBefore: string[];
  /** What the target heard of each client that came, until its end. */
  let heard: Promise<string>[];
  const engines: EngineProbe[] = [];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    configFile = sshd.configPath('web01');
    service = await startTarget((socket: Socket) => heard.push(readAll(socket)));
  });
  beforeEach(() => (heard = []));
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
  });
  after(async () => {
    await service.close();
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const start = async (spec: string, more: { onDemand?: true } = {}): Promise<EngineProbe> => {
    const engine = probe(createEngine());
    engines.push(engine);
    const plan = planned('web01', [spec], { configFile });
    const forwards = plan.forwards.map((forward) => ({ ...forward, ...more }));
    engine.engine.apply({ connections: [{ ...plan, forwards }] });
    await engine.next('listening');
    return engine;
  };

  it('finds one that answers, which hears no byte and an end', async () => {
    const spec = `-L ${await freePort()}:127.0.0.1:${service.port}`;
    const { engine } = await start(spec);
    assert.equal(await engine.probe(spec), undefined);
    await eventually(() => assert.equal(heard.length, 1));
    assert.equal(await heard[0], '');
    assert.deepEqual(await engine.clients(spec), []);
    assert.equal((await engine.numbers(spec))?.reached, 1);
  });

  it('tells why one does not, as a client’s failure is told', async () => {
    const closed = await freePort();
    const spec = `-L ${await freePort()}:127.0.0.1:${closed}`;
    const { engine, next } = await start(spec);
    const failure = await engine.probe(spec);
    assert.ok(failure?.kind === 'channelRefused', JSON.stringify(failure));
    assert.deepEqual(
      [failure.refusal, failure.target, failure.host],
      ['connectFailed', `127.0.0.1:${closed}`, 'web01'],
    );
    assert.deepEqual((await next('channelFailed')).failure, failure);
  });

  it('has a connection on demand dialled', async () => {
    const spec = `-L ${await freePort()}:127.0.0.1:${service.port}`;
    const { engine, kinds } = await start(spec, { onDemand: true });
    assert.ok(!kinds().includes('connected'), kinds().join());
    assert.equal(await engine.probe(spec), undefined);
    assert.ok(kinds().includes('connected'), kinds().join());
  });

  it('has nothing to try where the target is on this machine, or each client names its own', async () => {
    for (const spec of [`-R 0:127.0.0.1:${service.port}`, `-D ${await freePort()}`]) {
      const { engine } = await start(spec);
      assert.equal(await engine.probe(spec), undefined);
    }
    assert.equal(heard.length, 0);
  });

  it('rejects for a forward that is not there', async () => {
    const { engine } = await start(`-D ${await freePort()}`);
    await assert.rejects(engine.probe('nothing'), { failure: { kind: 'cancelled' } });
  });

  it('asks the window that runs the tunnel, by a client of it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'probe-'));
    try {
      const good = `-L ${await freePort()}:127.0.0.1:${service.port}`;
      const bad = `-L ${await freePort()}:127.0.0.1:${await freePort()}`;
      for (const [spec, expected] of [
        [good, undefined],
        [bad, 'connectFailed'],
      ] as const) {
        const windows = [openWindow(folder), openWindow(folder)] as const;
        for (const window of windows) window.engine.apply({ connections: [planned('web01', [spec], { configFile })] });
        const second = await eventually(() => {
          const found = windows.find(({ kinds }) => kinds().includes('runningElsewhere'));
          assert.ok(found, windows.map(({ kinds }) => kinds().join()).join(' / '));
          return found;
        });
        await isElsewhere(second);
        const failure = await second.engine.probe(spec);
        assert.ok(failure === undefined || failure.kind === 'channelRefused', JSON.stringify(failure));
        if (expected === undefined) assert.equal(failure, undefined);
        else assert.ok(failure, 'it says that the target does not answer');
        for (const window of windows) await window.close();
      }
      assert.equal(await heard[0], '');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('blames no target for the end of the window that ran the tunnel', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'probe-'));
    const spec = `-L ${await freePort()}:127.0.0.1:${service.port}`;
    const windows = [openWindow(folder), openWindow(folder)] as const;
    try {
      for (const window of windows) window.engine.apply({ connections: [planned('web01', [spec], { configFile })] });
      const first = await eventually(() => {
        const found = windows.find(({ kinds }) => kinds().includes('listening'));
        assert.ok(found, windows.map(({ kinds }) => kinds().join()).join(' / '));
        return found;
      });
      const second = windows.find((window) => window !== first)!;
      await isElsewhere(second);
      const tried = assert.rejects(second.engine.probe(spec), { failure: { kind: 'cancelled' } });
      await eventually(() => assert.equal(heard.length, 1));
      await first.close();
      await tried;
    } finally {
      for (const window of windows) await window.close();
      rmSync(folder, { recursive: true });
    }
  });
});

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const part of socket) text += (part as Buffer).toString();
  return text;
}
