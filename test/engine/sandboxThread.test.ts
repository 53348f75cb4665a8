import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createSandboxes } from '../../src/engine/sandboxThread.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { planTunnels } from '../../src/core/plan.js';
import { withSandbox, type Sandboxes } from '../../src/core/sandbox.js';
import { nothingWanted } from '../../src/core/session.js';
import { probe } from '../support/engineProbe.js';
import { freePort } from '../support/sshd.js';
import { fetchPage } from '../support/targets.js';

const worker = join(import.meta.dirname, '../../dist/worker.js');

describe('sandboxes in their threads', () => {
  let root: string;
  let sandboxes: Sandboxes;
  before(() => {
    root = join(mkdtempSync(join(tmpdir(), 'ssh-tunnels-')), 'sandbox');
    sandboxes = createSandboxes(worker, root);
  });
  after(() => rmSync(dirname(root), { recursive: true, force: true }));

  const listens = (port: number) =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => (socket.destroy(), resolve(true)));
      socket.once('error', () => resolve(false));
    });

  it('give their page through a tunnel, two at once, and leave nothing', async () => {
    const [first, second] = await Promise.all([sandboxes.start('<p>one'), sandboxes.start('<p>two')]);
    const engine = probe(createEngine());
    try {
      for (const [sandbox, page] of [
        [first, '<p>one'],
        [second, '<p>two'],
      ] as const) {
        engine.engine.apply(planTunnels(withSandbox(nothingWanted, sandbox), '/nonexistent', undefined, {}));
        const { bound } = await engine.next('listening');
        assert.equal(bound[0]?.kind === 'tcp' && (await fetchPage(bound[0].port)), page);
      }
    } finally {
      await engine.close();
      await Promise.all([first.close(), second.close()]);
    }
    assert.deepEqual(readdirSync(root), []);
    assert.deepEqual([await listens(first.port), await listens(second.port)], [false, false]);
    await first.close(); // once more does nothing
  });

  it('tell why one does not start', async () => {
    const file = join(dirname(root), 'file');
    writeFileSync(file, '');
    await assert.rejects(createSandboxes(worker, file).start(''), /ENOTDIR|EEXIST/);
  });

  it('remove what a window that crashed has left, and nothing of one that runs here or may run on another machine', async () => {
    const gone = spawn(process.execPath, ['-e', '']);
    await once(gone, 'close');
    const living = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const leave = (name: string, config?: string) => {
      mkdirSync(join(root, name), { recursive: true });
      if (config !== undefined) writeFileSync(join(root, name, 'config'), config);
    };
    const sandbox = await sandboxes.start('');
    const own = basename(dirname(sandbox.configFile));
    const here = own.split('-')[0];
    const daysAgo = (days: number) => new Date(Date.now() - days * 24 * 3_600_000);
    try {
      leave(`${here}-${gone.pid}-crashed`, `Host sandbox\n  Port ${port}\n`);
      leave(`${here}-${living.pid}-running`, `Host sandbox\n  Port ${port}\n`);
      leave(`${here}-${living.pid}-starting`);
      // Its process has another’s number by now: nobody listens.
      leave(`${here}-${living.pid}-reused`, `Host sandbox\n  Port ${await freePort()}\n`);
      leave(`${here}-no-number`);
      leave(`${here}-${process.pid}-ended`);
      // Of a machine with the same home folder: neither its processes nor its ports can be seen from here.
      for (const [title, days] of [
        ['new', 0],
        ['weeks', 20],
        ['forgotten', 31],
      ] as const) {
        leave(`elsewhere-${gone.pid}-${title}`, `Host sandbox\n  Port ${await freePort()}\n`);
        utimesSync(join(root, `elsewhere-${gone.pid}-${title}`), daysAgo(days), daysAgo(days));
      }
      await sandboxes.clean();
      assert.deepEqual(
        readdirSync(root).sort(),
        [
          own,
          `${here}-${living.pid}-running`,
          `${here}-${living.pid}-starting`,
          `elsewhere-${gone.pid}-new`,
          `elsewhere-${gone.pid}-weeks`,
        ].sort(),
      );
      assert.match(readFileSync(sandbox.configFile, 'utf8'), /^Host sandbox$/m);
    } finally {
      living.kill();
      server.close();
      await sandbox.close();
    }
    assert.equal(existsSync(dirname(sandbox.configFile)), false);
  });

  it('have nothing to remove where there never was one', () => createSandboxes(worker, join(root, 'never')).clean());
});
