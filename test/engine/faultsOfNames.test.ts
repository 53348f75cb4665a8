// Names that can't be found for a while. The engine's thread runs in a mount namespace of its own, with its own /etc/hosts.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { EngineEvent } from '../../src/core/engine.js';
import { emptySnapshot, reduce, tunnelState, type Snapshot } from '../../src/core/snapshot.js';
import { planned } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { answers, endServer, recovery, useFaultyServer } from '../support/faultBench.js';
import { freePort } from '../support/sshd.js';

const inNewMounts = ['unshare', '--mount', ...(userInfo().uid === 0 ? [] : ['--user', '--map-root-user'])] as const;

function whyNoNames(): string | undefined {
  if (process.platform !== 'linux') return 'there are mount namespaces on Linux alone';
  const script = 'mount --bind /etc/hosts /etc/resolv.conf && mount --bind /etc/hosts /etc/nsswitch.conf';
  const tried = spawnSync(inNewMounts[0], [...inNewMounts.slice(1), 'sh', '-c', script], { encoding: 'utf8' });
  if (tried.error || tried.status !== 0)
    return `a file can’t be put over another here: ${tried.error?.message ?? tried.stderr.split('\n')[0]}`;
  return undefined;
}

const whyNot = whyNoNames();

(whyNot === undefined ? describe : describe.skip)(
  `a tunnel whose host’s name can’t be found${whyNot ? ` (skipped: ${whyNot})` : ''}`,
  function () {
    this.timeout(60_000);
    const faulty = useFaultyServer();
    const name = 'db01.tunnels.invalid';
    it('says so, and is back when it can be found again', async () => {
      const file = (name: string) => join(faulty.sshd.folder, name);
      const setNames = (text: string) => writeFileSync(file('hosts'), `127.0.0.1 localhost\n${text}`);
      setNames(`127.0.0.1 ${name}\n`);
      writeFileSync(file('nsswitch.conf'), 'passwd: files\nhosts: files dns\n');
      // Nobody answers there: the resolver itself fails.
      writeFileSync(file('resolv.conf'), 'nameserver 127.83.71.5\noptions timeout:1 attempts:1\n');
      // The engine's thread as the editor starts it.
      writeFileSync(
        file('engine.js'),
        `const { Worker } = require('node:worker_threads');
       const worker = new Worker(${JSON.stringify(join(__dirname, '../../dist/worker.js'))});
       worker.on('message', ({ event }) => event && process.send(event));
       process.on('message', (plan) => worker.postMessage({ kind: 'apply', plan }));
       process.on('disconnect', () => process.exit());`,
      );
      const mounts = ['hosts', 'nsswitch.conf', 'resolv.conf']
        .filter((one) => existsSync(`/etc/${one}`))
        .map((one) => `mount --bind ${file(one)} /etc/${one}`);
      const script = [...mounts, 'exec "$0" "$@"'].join(' && ');
      const child = spawn(
        inNewMounts[0],
        [...inNewMounts.slice(1), 'sh', '-c', script, process.execPath, file('engine.js')],
        {
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        },
      );
      const ended = once(child, 'exit');
      faulty.owns({
        async close() {
          if (child.connected) child.disconnect();
          await ended;
        },
      });
      const events: EngineEvent[] = [];
      let snapshot: Snapshot = emptySnapshot;
      child.on('message', (message) => {
        events.push(message as EngineEvent);
        snapshot = reduce(snapshot, message as EngineEvent);
      });

      const port = await freePort();
      const id = `-L ${port}:127.0.0.1:${faulty.service.port}`;
      const configFile = faulty.sshd.configPath('db01', [
        `HostName ${name}`,
        `HostKeyAlias [127.0.0.1]:${faulty.sshd.port}`,
      ]);
      const connection = planned('db01', [id], { configFile });
      const { destination } = connection.host;
      const state = () => tunnelState({ ...connection.forwards[0]!, destination, automatic: false }, snapshot);
      child.send({ connections: [connection] });
      await eventually(() => assert.equal(state().kind, 'ready', JSON.stringify(events.at(-1))));
      const place = { host: '127.0.0.1', port };
      assert.ok(await answers(place, 5000));

      setNames('');
      await endServer(faulty.sshd);
      await faulty.sshd.start();
      await eventually(() => {
        const now = state();
        assert.ok(now.kind === 'retrying' && now.failure.kind === 'hostNotFound', JSON.stringify(now));
      });
      assert.equal(await answers(place, 200), false);
      setNames(`127.0.0.1 ${name}\n`);
      await recovery(place, performance.now());
      assert.equal(state().kind, 'ready');
    });
  },
);
