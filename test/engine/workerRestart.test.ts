import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import type { FailureError } from '../../src/core/failure.js';
import type { EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';
import { exchange, startTarget } from '../support/targets.js';
import { engineInThread, useThreadBench } from '../support/threadBench.js';

describe('the thread of the engine', () => {
  const bench = useThreadBench();
  const { plan, threads } = bench;
  let engine: EngineProbe;
  beforeEach(() => (engine = engineInThread()));
  afterEach(() => engine.close());

  describe('that ends by itself', () => {
    /** The newest thread. */
    let thread: Worker;
    const onWorker = (worker: Worker) => (thread = worker);
    before(() => process.on('worker', onWorker));
    after(() => process.off('worker', onWorker));
    const now = performance.now;
    afterEach(() => (performance.now = now));
    const ends: readonly [string, RegExp, () => void][] = [
      // As a defect would: a plan that is none.
      ['at an error that nothing catches', /not iterable|connections/, () => thread.postMessage(badPlan)],
      ['without a word', /its thread ended/, () => void thread.terminate()],
    ];
    const badPlan = { kind: 'apply', plan: { connections: 1 } };

    for (const [how, detail, end] of ends)
      it(`${how} is started again, with the plan that was applied last`, async () => {
        const [port, other] = [await freePort(), await freePort()];
        engine.engine.apply(plan(port));
        await engine.next('listening');
        engine.engine.apply(plan(other));
        await engine.next('listening');
        end();
        const ended = await engine.next('engineEnded');
        assert.match(ended.detail, detail);
        assert.equal(ended.isRestarted, true);
        await engine.next('listening');
        assert.equal((await exchange(other, Buffer.from('back'))).received.toString(), 'back');
        assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
        assert.equal(engine.kinds().filter((kind) => kind === 'engineEnded').length, 1);
      });

    it('is started again without a question to a person, until one starts something', async () => {
      const { host, ...more } = plan(await freePort()).connections[0]!;
      const connection = { ...more, host: { ...host, options: [['UserKnownHostsFile', '/dev/null']] as const } };
      const accept = async () => {
        const { ask } = await engine.next('asked');
        engine.engine.answer(ask.id, { kind: 'hostKey', accept: 'once' });
        await engine.next('listening');
      };
      engine.engine.apply({ connections: [connection] });
      await accept();
      void thread.terminate();
      assert.equal((await engine.next('engineEnded')).isRestarted, true);
      assert.equal((await engine.next('connectionFailed')).failure.kind, 'answerNeeded');
      const forwards = connection.forwards.map((forward) => ({ ...forward, run: 1 }));
      engine.engine.apply({ connections: [{ ...connection, forwards }] });
      await accept();
    });

    it('is not started again twice within a minute, but at the next plan', async () => {
      const port = await freePort();
      engine.engine.apply(plan(port));
      await engine.next('listening');
      void thread.terminate();
      await engine.next('engineEnded');
      await engine.next('listening');
      void thread.terminate();
      assert.deepEqual(await engine.next('engineEnded'), { kind: 'engineEnded', detail: 'its thread ended' });
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
      engine.engine.apply(plan(port));
      await engine.next('listening');
    });

    it('is started again when the last end is more than a minute ago', async () => {
      engine.engine.apply(plan(await freePort()));
      await engine.next('listening');
      for (const later of [0, 61_000, 122_000]) {
        performance.now = () => now.call(performance) + later;
        void thread.terminate();
        assert.equal((await engine.next('engineEnded')).isRestarted, true);
        await engine.next('listening');
      }
    });

    it('of a plan that it can’t stand has ended for good after the second time', async () => {
      engine.engine.apply({ connections: [1] } as never);
      assert.equal((await engine.next('engineEnded')).isRestarted, true);
      assert.equal((await engine.next('engineEnded')).isRestarted, undefined);
      const port = await freePort();
      engine.engine.apply(plan(port));
      await engine.next('listening');
    });

    it('runs what is wanted by whoever hears of it', async () => {
      const [port, other] = [await freePort(), await freePort()];
      engine.engine.apply(plan(port));
      await engine.next('listening');
      const off = engine.engine.onEvent(({ kind }) => kind === 'engineEnded' && engine.engine.apply(plan(other)));
      void thread.terminate();
      const { forward } = (await engine.next('engineEnded')) && (await engine.next('listening'));
      off();
      assert.equal(forward, plan(other).connections[0]!.forwards[0]!.id);
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    });

    it('is not started again where nothing is wanted any more', async () => {
      const before = threads();
      engine.engine.apply(plan(await freePort()));
      await engine.next('listening');
      engine.engine.onEvent(({ kind }) => kind === 'engineEnded' && engine.engine.apply({ connections: [] }));
      await thread.terminate();
      await engine.next('engineEnded');
      assert.equal(threads(), before);
    });

    it('refuses what was asked of it', async () => {
      engine.engine.apply(plan(await freePort()));
      await engine.next('listening');
      const silent = await startTarget(() => {});
      const destination = { host: '127.0.0.1', port: silent.port };
      const asked = engine.engine.explain({ destination, options: [], configFile: '/dev/null' });
      await eventually(() => assert.equal(silent.accepted, 1));
      void thread.terminate();
      await assert.rejects(
        asked,
        (error: FailureError) => error.failure.kind === 'engineEnded' && error.failure.detail === 'its thread ended',
      );
      await engine.next('engineEnded');
      await engine.next('listening');
      await silent.close();
    });

    it('ends at a leak, before it takes the extension host with it', async () => {
      engine.engine.apply(plan(await freePort()));
      await engine.next('listening');
      assert.equal(thread.resourceLimits?.maxOldGenerationSizeMb, 512);
    });
  });

  describe('with a folder to meet in', () => {
    it('shares its tunnels, and takes over those of a thread that ends', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'worker-'));
      const threads: Worker[] = [];
      const onWorker = (worker: Worker) => threads.push(worker);
      process.on('worker', onWorker);
      const [first, second] = [1, 2].map(() => engineInThread({ sharedFolder: folder }));
      try {
        const port = await freePort();
        first!.engine.apply(plan(port));
        await first!.next('listening');
        second!.engine.apply(plan(port));
        await eventually(async () => assert.equal((await second!.next('runningElsewhere')).state.kind, 'ready'));
        void threads[0]!.terminate();
        await second!.next('listening');
        assert.equal((await first!.next('engineEnded')).isRestarted, true);
        await eventually(async () => assert.equal((await first!.next('runningElsewhere')).state.kind, 'ready'));
        assert.equal((await exchange(port, Buffer.from('over'))).received.toString(), 'over');
      } finally {
        process.off('worker', onWorker);
        await Promise.all([first!.close(), second!.close()]);
      }
      assert.deepEqual(readdirSync(folder), []);
      rmSync(folder, { recursive: true });
    });
  });
});
