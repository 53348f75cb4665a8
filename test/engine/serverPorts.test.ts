// What listens on a server, told by a real sshd's own programs, and by servers that refuse, keep silent or never stop.
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection } from 'ssh2';
import { FailureError } from '../../src/core/failure.js';
import type { HostRequest } from '../../src/core/plan.js';
import type { ServerPort } from '../../src/core/serverPort.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { startWorkerEngine } from '../../src/engine/workerEngine.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startForgedServer, type ForgedServer } from '../support/forgedServer.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';

/** The far end of ssh2's protocol, for answers that its own server would not give. */
interface Wire {
  _protocol: {
    channelEOF(id: number): void;
    channelData(id: number, data: Buffer): void;
    channelExtData(id: number, data: Buffer, type: number): void;
  };
}

const workerPath = join(__dirname, '../../dist/worker.js');

describe('serverPorts', () => {
  const held = heldResources();
  let sshd: Sshd;
  let engine: EngineProbe;
  let server: ChildProcess;
  let port: number;
  let socket: string;

  before(async () => {
    sshd = await startSshd();
    port = await freePort();
    socket = join(sshd.folder, 'web.sock');
    const script = `for (const at of [[${port}, '127.0.0.1'], [${JSON.stringify(socket)}]])
      require('net').createServer().listen(...at, () => process.send('up'));`;
    server = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await once(server, 'message');
    await once(server, 'message');
  });
  beforeEach(() => (engine = probe(createEngine())));
  afterEach(() => engine.close());
  after(async () => {
    server.kill();
    await once(server, 'exit');
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(held), []));
  });

  const request = (configFile: string): HostRequest => planned('web01', [], { configFile }).host;
  const portsOf = (configFile: string) => engine.engine.serverPorts(request(configFile));
  const has = (ports: readonly ServerPort[]) => {
    const [tcp] = ports.filter((one) => one.kind === 'tcp' && one.port === port);
    const [unix] = ports.filter((one) => one.kind === 'unix' && one.path === socket);
    const { pid, program } = { pid: server.pid, program: 'node' };
    assert.deepEqual(tcp, { kind: 'tcp', address: '127.0.0.1', port, program, pid });
    assert.deepEqual(unix, { kind: 'unix', path: socket, program, pid });
  };
  /** The kind of the failure, and that nothing else is thrown. */
  const refusal = async (configFile: string): Promise<string> => {
    const error = await portsOf(configFile).then(
      (ports) => assert.fail(JSON.stringify(ports)),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof FailureError, String(error));
    return error.failure.kind;
  };
  /** A login that runs `command` whatever it is asked for. */
  const forced = (command: string): string => {
    const key = readFileSync(`${sshd.keyPath}.pub`, 'utf8');
    writeFileSync(sshd.authorizedKeysPath, `command=${JSON.stringify(command)} ${key}`);
    return sshd.configPath('web01');
  };
  const unforced = () => writeFileSync(sshd.authorizedKeysPath, readFileSync(`${sshd.keyPath}.pub`));

  it('tells ports and Unix sockets with their programs, over a connection of its own that ends', async () => {
    has(await portsOf(sshd.configPath('web01')));
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    assert.deepEqual(engine.kinds(), []);
  });

  it('goes over the connection that is up, and leaves it up', async () => {
    const connection = planned('web01', [`-L ${await freePort()}:localhost:${port}`], {
      configFile: sshd.configPath('web01'),
    });
    engine.engine.apply({ connections: [connection] });
    await engine.next('listening');
    const sessions = await sshd.settledSessions();
    has(await engine.engine.serverPorts(connection.host));
    assert.equal(sshd.log().split('Accepted publickey').length - 1, 2);
    assert.deepEqual(await sshd.settledSessions(), sessions);
  });

  for (const tool of ['lsof', 'netstat'])
    it(`asks ${tool} where there is no ss`, async function () {
      if (!hasProgram(tool)) this.skip();
      // The login's own programs come first: those before are there, and fail.
      const folder = join(sshd.folder, `without-ss-for-${tool}`);
      execFileSync('mkdir', ['-p', folder]);
      for (const program of tool === 'lsof' ? ['ss'] : ['ss', 'lsof']) {
        writeFileSync(join(folder, program), '#!/bin/sh\nexit 1\n');
        chmodSync(join(folder, program), 0o755);
      }
      const config = forced(`export PATH=${folder}:$PATH; eval "$SSH_ORIGINAL_COMMAND"`);
      try {
        has(await portsOf(config));
        const told = engine.events.flatMap((event) => (event.kind === 'logged' ? [event.text] : []));
        assert.match(told.at(-1) ?? '', new RegExp(`found by ${tool}$`));
      } finally {
        unforced();
      }
    });

  it('has nothing to tell where another command is forced', async () => {
    try {
      assert.deepEqual(await portsOf(forced('echo "Welcome! ESTABLISHED 127.0.0.1:80 LISTEN"')), []);
      // One that waits for input has none.
      assert.deepEqual(await portsOf(forced('cat')), []);
    } finally {
      unforced();
    }
  });

  it('rejects where it may not log in, without a question', async () => {
    writeFileSync(sshd.authorizedKeysPath, '');
    try {
      assert.equal(await refusal(sshd.configPath('web01')), 'authFailed');
      const unknown = join(sshd.folder, 'no_known_hosts');
      assert.equal(await refusal(sshd.configPath('web01', [`UserKnownHostsFile ${unknown}`])), 'hostKeyUnknown');
      assert.deepEqual(engine.kinds(), []);
    } finally {
      unforced();
    }
  });

  it('rejects where the server opens no session', async () => {
    const closed = await startSshd({ config: ['MaxSessions 0'] });
    try {
      assert.equal(await refusal(closed.configPath('web01')), 'channelRefused');
      await eventually(() => assert.deepEqual(closed.sessions(), []));
    } finally {
      await closed.stop();
    }
  });

  it('ends with the engine', async () => {
    try {
      const asked = portsOf(forced('touch started; sleep 60'));
      const rejected = asked.then(
        (ports) => assert.deepEqual(ports, []),
        () => {},
      );
      await eventually(() => assert.ok(sshd.sessions().length > 2));
      const since = performance.now();
      await engine.close();
      await rejected;
      assert.ok(performance.now() - since < 3000);
      await eventually(() => assert.deepEqual(sshd.sessions(), []));
    } finally {
      unforced();
    }
  });

  for (const [place, create] of [
    ['here', createEngine],
    ['in its thread', () => startWorkerEngine(workerPath)],
  ] as const)
    it(`ends when it is called off, ${place}`, async () => {
      const other = probe(create());
      try {
        const abort = new AbortController();
        const config = forced('sleep 60');
        const asked = other.engine.serverPorts(request(config), abort.signal);
        const rejected = assert.rejects(asked, { failure: { kind: 'cancelled' } });
        await eventually(() => assert.ok(sshd.sessions().length > 1));
        abort.abort();
        const since = performance.now();
        await rejected;
        await eventually(() => assert.deepEqual(sshd.sessions(), []));
        // Before the command would be given up.
        assert.ok(performance.now() - since < 3000);
        await assert.rejects(other.engine.serverPorts(request(config), abort.signal), {
          failure: { kind: 'cancelled' },
        });
      } finally {
        unforced();
        await other.close();
      }
    });

  describe('of a server that is no sshd', () => {
    let forged: ForgedServer;
    afterEach(() => forged.close());

    /** `answer` is called with the request to run a command, and the server's number of the channel. */
    const serve = async (
      answer: (
        accept: () => { write(data: Buffer | string): boolean; exit(code: number): void; end(): void },
        reject: () => void,
        wire: Wire['_protocol'],
        channel: number,
      ) => void,
    ) => {
      forged = await startForgedServer((connection: Connection) => {
        connection.on('session', (accept) => {
          const session = accept();
          const { id } = (session as unknown as { _chanInfo: { outgoing: { id: number } } })._chanInfo.outgoing;
          session.on('exec', (run, reject) =>
            answer(
              () => {
                const channel = run();
                channel.on('error', () => {});
                return channel;
              },
              () => reject(),
              (connection as unknown as Wire)._protocol,
              id,
            ),
          );
        });
      });
      return forged.configPath;
    };
    const listening = `LISTEN 0 1 127.0.0.1:80 0.0.0.0:* users:(("evil",pid=1,fd=3))\n`;

    it('rejects where the command is refused', async () => {
      assert.equal(await refusal(await serve((_accept, reject) => reject())), 'channelRefused');
    });

    it('gives up one that never answers', async () => {
      const config = await serve(() => {});
      const since = performance.now();
      assert.equal(await refusal(config), 'channelRefused');
      assert.ok(performance.now() - since < 9000);
      await eventually(() => assert.equal(forged.connections.size, 0));
    }).timeout(20_000);

    it('takes what one said that never ends', async () => {
      const config = await serve((accept) => accept().write(`= ss\n${listening}`));
      assert.deepEqual(await portsOf(config), [
        { kind: 'tcp', address: '127.0.0.1', port: 80, program: 'evil', pid: 1 },
      ]);
      await eventually(() => assert.equal(forged.connections.size, 0));
    }).timeout(20_000);

    it('cuts a flood, and keeps what stood at its beginning', async () => {
      const config = await serve((accept) => {
        const channel = accept();
        channel.write(`= ss\n${listening}`);
        const more = () => {
          while (forged.connections.size > 0 && channel.write(Buffer.alloc(32_768, 'x\n')));
          if (forged.connections.size > 0) setImmediate(more);
        };
        more();
      });
      const before = process.memoryUsage().arrayBuffers;
      const ports = await portsOf(config);
      assert.equal(ports.length, 1);
      assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 * 1024);
      await eventually(() => assert.equal(forged.connections.size, 0));
    }).timeout(20_000);

    it('stays alive when data comes behind its end, before the answer', async () => {
      const config = await serve((accept, _reject, wire, channel) => {
        wire.channelData(channel, Buffer.from(`= ss\n${listening}`));
        wire.channelEOF(channel);
        wire.channelData(channel, Buffer.from('more'));
        wire.channelExtData(channel, Buffer.from('more'), 1);
        const opened = accept();
        opened.exit(0);
        opened.end();
      });
      assert.equal((await portsOf(config)).length, 1);
    }).timeout(20_000);
  });
});

function hasProgram(name: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
