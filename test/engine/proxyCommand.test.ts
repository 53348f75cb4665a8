import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { innermost, type Failure } from '../../src/core/failure.js';
import { failureText } from '../../src/core/wording.js';
import { openProxyCommand, shellCall } from '../../src/engine/proxyCommand.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { bytes, digest, echo, exchange, startTarget, type Target } from '../support/targets.js';

/** Programs of this machine whose command line has the text. */
function running(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    });
}

describe('the program of a ProxyCommand', function () {
  let folder: string;
  let heldBefore: string[];
  const logged: string[] = [];
  const sockets: Duplex[] = [];

  before(() => {
    heldBefore = heldResources();
    folder = mkdtempSync(join(tmpdir(), 'proxy-'));
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) await closed(socket);
    await eventually(() => assert.deepEqual(running(folder), []));
    logged.length = 0;
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  function open(command: string) {
    const opened = openProxyCommand(command, (text) => logged.push(text));
    sockets.push(opened.socket);
    return opened;
  }
  async function closed(socket: Duplex): Promise<void> {
    if (socket.closed) return;
    const close = once(socket, 'close');
    socket.destroy();
    await close;
  }
  async function toEnd(socket: Duplex): Promise<Buffer> {
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    await once(socket, 'end');
    return Buffer.concat(parts);
  }
  /** A script in a folder of its own, so that what it starts can be found. */
  function script(name: string, ...lines: string[]): string {
    const path = join(folder, name);
    writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o700 });
    return path;
  }

  it('gets and gives every byte, and is told that no more comes', async () => {
    const { socket } = open('cat');
    const received = toEnd(socket);
    const sent = bytes(20_000_000, 'cat');
    socket.end(sent);
    assert.equal(digest(await received), digest(sent));
  });

  it('has to wait while nobody reads what it says', async () => {
    const { socket } = open('head -c 50000000 /dev/zero');
    await once(socket, 'readable');
    await new Promise((waited) => setTimeout(waited, 200));
    assert.equal(socket.readableLength < 1_000_000, true);
    assert.equal((await toEnd(socket)).length, 50_000_000);
  });

  it('is run by the user’s shell, which gives it its place', async () => {
    const { socket } = open(`sh -c 'echo "$PPID"; cat' `);
    const [first] = (await once(socket, 'data')) as [Buffer];
    assert.equal(Number(first.toString().trim()), process.pid);
  });

  it('ends with its connection, and so does all that it has started', async () => {
    const path = script('starter.sh', `sh ${script('child.sh', 'sleep 1000')} &`, 'sleep 1000', 'true');
    const { socket } = open(path);
    await eventually(() => assert.equal(running(folder).length, 2));
    await closed(socket);
    assert.deepEqual(running(folder), []);
  });

  it('ends with its connection when it takes no notice of being told to', async () => {
    const { socket } = open(script('stubborn.sh', "trap '' HUP TERM", 'echo up', 'while :; do sleep 0.1; done'));
    await once(socket, 'data');
    await closed(socket);
    assert.deepEqual(running(folder), []);
  });

  it('leaves nothing behind when it ends before what it has started', async () => {
    const { socket } = open(script('leaver.sh', `sh ${script('left.sh', 'echo hello; sleep 1000')} & exit 0`));
    const [first] = (await once(socket, 'data')) as [Buffer];
    assert.equal(first.toString(), 'hello\n');
    await closed(socket);
    assert.deepEqual(running(folder), []);
  });

  const ends: [title: string, command: string, end: { code?: number | string; said: string }][] = [
    ['its exit code and last words', "sh -c 'echo first >&2; echo last >&2; exit 3'", { code: 3, said: 'last' }],
    ['its last words without an end of line', "sh -c 'printf oops >&2; exit 1'", { code: 1, said: 'oops' }],
    ['the signal that ended it', "sh -c 'kill -TERM $$'", { code: 'SIGTERM', said: '' }],
    ['that it had nothing to say', 'true', { code: 0, said: '' }],
  ];
  for (const [title, command, end] of ends)
    it(`tells of its end ${title}`, async () => {
      const { socket, ended } = open(command);
      await toEnd(socket);
      assert.deepEqual(await ended(), end);
    });

  it('tells of its end its exit code and last words when it has taken nothing more before', async () => {
    const goOn = join(folder, 'go-on');
    const waits = `until [ -e ${goOn} ]; do sleep 0.02; done`;
    const { socket, ended } = open(`sh -c 'exec 0<&-; echo shut >&2; ${waits}; echo last >&2; exit 3'`);
    await eventually(() => assert.deepEqual(logged, ['ProxyCommand: shut']));
    socket.write('SSH-2.0-x\r\n');
    writeFileSync(goOn, '');
    await toEnd(socket);
    assert.deepEqual(await ended(), { code: 3, said: 'last' });
  });

  it('is ended when it takes nothing more and goes on', async () => {
    const { socket } = open(script('deaf.sh', 'exec 0<&-', 'echo shut >&2', 'sleep 1000', 'true'));
    await eventually(() => assert.deepEqual(logged, ['ProxyCommand: shut']));
    socket.write('SSH-2.0-x\r\n');
    await assert.rejects(once(socket, 'close'), { code: 'EPIPE' });
    await eventually(() => assert.equal(socket.closed, true));
    assert.deepEqual(running(folder), []);
  });

  it('tells of its end the shell’s words where there is no such program', async () => {
    const { socket, ended } = open('no-such-program-here');
    await toEnd(socket);
    const { code, said } = await ended();
    assert.equal(code, 127);
    assert.match(said, /no-such-program-here.*not found/);
  });

  it('tells of its end the system’s code where there is no such shell', async () => {
    const shell = process.env['SHELL'];
    process.env['SHELL'] = join(folder, 'no-such-shell');
    try {
      const { socket, ended } = open('true');
      if (!socket.closed) await once(socket, 'close');
      assert.deepEqual(await ended(), { code: 'ENOENT', said: '' });
    } finally {
      if (shell === undefined) delete process.env['SHELL'];
      else process.env['SHELL'] = shell;
    }
  });

  it('tells of its end that it can’t be run where its command can’t be handed over', async () => {
    const { socket, ended } = open('true \0');
    assert.equal(socket.destroyed, true);
    assert.equal((await ended()).code, 'ERR_INVALID_ARG_VALUE');
  });

  it('has its standard error in the log, line by line, fit to be shown and not without end', async () => {
    const { socket } = open(`sh -c 'printf "one\\r\\ntw\\033[1mo\\n\\n" >&2; printf "%4000s\\n" x >&2; seq 1000 >&2'`);
    await toEnd(socket);
    await eventually(() => assert.equal(logged.length, 201));
    assert.deepEqual(logged.slice(0, 2), ['ProxyCommand: one', 'ProxyCommand: tw?[1mo']);
    assert.equal(
      logged.every((line) => line.length < 400),
      true,
    );
    assert.equal(logged.at(-1), 'ProxyCommand says more, which is left out.');
  });

  it('is found by no name in the current folder on Windows, and by the shell there', () => {
    const { file, args, options } = shellCall('nc "a b" 22', { ComSpec: 'C:\\cmd.exe', PATH: 'x' }, true);
    assert.equal(file, 'C:\\cmd.exe');
    assert.deepEqual(args, ['/d', '/s', '/c', '"nc "a b" 22"']);
    assert.equal(options.windowsVerbatimArguments, true);
    assert.deepEqual(options.env, { ComSpec: 'C:\\cmd.exe', PATH: 'x', NoDefaultCurrentDirectoryInExePath: '1' });
    assert.equal(shellCall('nc', {}, true).file, 'cmd.exe');
    assert.equal(shellCall('nc', { SHELL: '' }, false).file, '/bin/sh');
  });
});

describe('a connection through a ProxyCommand', function () {
  this.timeout(30_000);
  const hosts = {} as { bastion: Sshd; db01: Sshd };
  let service: Target;
  let heldBefore: string[];
  let relay: string;
  const engines: EngineProbe[] = [];

  before(async () => {
    heldBefore = heldResources();
    const [bastion, db01] = await Promise.all([startSshd(), startSshd()]);
    Object.assign(hosts, { bastion, db01 });
    service = await startTarget(echo);
    // What nc does, which not every machine has.
    const path = join(db01.folder, 'relay.cjs');
    writeFileSync(
      path,
      `const socket = require('node:net').connect({ host: process.argv[2], port: +process.argv[3], allowHalfOpen: true });
process.stdin.pipe(socket).pipe(process.stdout);
socket.on('error', (error) => { console.error('relay: ' + error.code); process.exit(4); });
`,
    );
    relay = `${process.execPath} ${path} %h %p`;
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    assert.deepEqual(running(hosts.db01.folder).filter((pid) => !isServer(pid)), []); // prettier-ignore
    await eventually(() => assert.deepEqual([...hosts.bastion.sessions(), ...hosts.db01.sessions()], []));
  });
  after(async () => {
    await service.close();
    for (const host of Object.values(hosts)) await host.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const isServer = (pid: string) => /^(sshd|\/usr\/sbin\/sshd)/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  const block = (sshd: Sshd, alias: string, ...lines: string[]) => readFileSync(sshd.configPath(alias, lines), 'utf8');
  const file = (name: string) => join(hosts.db01.folder, name);
  function config(...blocks: string[]): string {
    writeFileSync(file('config_of_all'), blocks.join('\n'), { mode: 0o600 });
    return file('config_of_all');
  }
  async function start(configFile: string, destination = 'db01') {
    const port = await freePort();
    const engine = probe(createEngine());
    engines.push(engine);
    const forwards = [`-L 127.0.0.1:${port}:127.0.0.1:${service.port}`];
    engine.engine.apply({ connections: [planned(destination, forwards, { configFile })] });
    return { engine, port };
  }
  async function comesUp(configFile: string, destination?: string) {
    const started = await start(configFile, destination);
    await eventually(() => {
      const failed = started.engine.events.find((event) => event.kind === 'connectionFailed');
      assert.equal(failed && failureText(failed.failure), undefined);
      assert.equal(started.engine.kinds().includes('listening'), true);
    });
    started.engine.skip();
    return started;
  }
  async function fails(configFile: string): Promise<Failure> {
    const { engine } = await start(configFile);
    return (await engine.next('connectionFailed')).failure;
  }
  const logOf = ({ events }: EngineProbe) => events.flatMap((event) => (event.kind === 'logged' ? [event.text] : []));
  const echoed = async (port: number, text: string) => (await exchange(port, Buffer.from(text))).received.toString();

  /** db01 as nobody reaches it but through the command: its port is the relay's business. */
  const commands: [title: string, lines: () => string[]][] = [
    ['a relay', () => [`ProxyCommand ${relay}`]],
    ['bash alone', () => [`ProxyCommand bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'`]],
    ['ssh -W', () => [`ProxyCommand ssh -F ${hosts.bastion.configPath('bastion')} -o BatchMode=yes -W %h:%p bastion`]],
    ['a relay, with a ProxyJump that comes later', () => [`ProxyCommand ${relay}`, 'ProxyJump nowhere']],
    ['nothing, when it says none', () => ['ProxyCommand none']],
  ];
  for (const [title, lines] of commands)
    it(`brings 5 MB there and back bit for bit: ${title}`, async () => {
      const { port } = await comesUp(config(block(hosts.db01, 'db01', ...lines())));
      const sent = bytes(5_000_000, title);
      const { received, end } = await exchange(port, sent);
      assert.equal(digest(received), digest(sent));
      assert.equal(end, 'end');
    });

  it('does not start it when a ProxyJump comes first', async () => {
    const lines = ['ProxyJump bastion', `ProxyCommand touch ${file('touched')}`];
    await comesUp(config(block(hosts.db01, 'db01', ...lines), block(hosts.bastion, 'bastion')));
    assert.equal(hosts.bastion.sessions().length > 0, true);
    assert.equal(existsSync(file('touched')), false);
  });

  it('goes on to the destination from a jump host that is reached so', async () => {
    const { engine, port } = await comesUp(
      config(block(hosts.db01, 'db01', 'ProxyJump bastion'), block(hosts.bastion, 'bastion', `ProxyCommand ${relay}`)),
    );
    assert.equal(await echoed(port, 'hello'), 'hello');
    assert.equal(running(file('relay.cjs')).length, 1);
    engine.engine.apply({ connections: [] });
    await engine.next('connectionClosed');
    assert.deepEqual(running(file('relay.cjs')), []);
  });

  it('is lost when the program is killed, resets its clients, and comes back with another', async () => {
    const { engine, port } = await comesUp(config(block(hosts.db01, 'db01', `ProxyCommand ${relay}`)));
    const client = connect({ port, host: '127.0.0.1' });
    const reset = once(client, 'error');
    client.write('hello');
    await once(client, 'data');
    const [pid] = running(file('relay.cjs'));
    process.kill(Number(pid), 'SIGKILL');
    await engine.next('connectionLost');
    assert.equal(((await reset) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
    await engine.next('connected');
    assert.equal(await echoed(port, 'again'), 'again');
    assert.notDeepEqual(running(file('relay.cjs')), [pid]);
  });

  it('tells that the program ended before SSH began, its code and its last words', async () => {
    const closed = await freePort();
    const failure = await fails(config(block(hosts.db01, 'db01', `Port ${closed}`, `ProxyCommand ${relay}`)));
    assert.deepEqual(failure, { kind: 'proxyCommandFailed', host: 'db01', code: 4, said: 'relay: ECONNREFUSED' });
  });

  it('tells so with its host when it is the jump host’s', async () => {
    const blocks = [block(hosts.db01, 'db01', 'ProxyJump bastion'), block(hosts.bastion, 'bastion', 'ProxyCommand false')]; // prettier-ignore
    const failure = await fails(config(...blocks));
    assert.deepEqual(innermost(failure), { kind: 'proxyCommandFailed', host: 'bastion', code: 1, said: '' });
    assert.match(failureText(failure), /^On the way to db01: The ProxyCommand of bastion ended/);
  });

  it('tells what the program said in place of a server', async () => {
    const failure = await fails(config(block(hosts.db01, 'db01', 'ProxyCommand echo please log in first')));
    assert.equal(failure.kind === 'notSsh' && failure.said, 'please log in first');
  });

  it('has the program’s standard error in the log', async () => {
    const { engine } = await comesUp(
      config(block(hosts.db01, 'db01', `ProxyCommand sh -c 'echo knocking >&2; exec ${relay}'`)),
    );
    assert.deepEqual(
      logOf(engine).filter((line) => line.includes('knocking')),
      ['db01: ProxyCommand: knocking'],
    );
  });

  it('gives up a program that says nothing after ConnectTimeout, and ends it', async () => {
    const lines = ['ConnectTimeout 1', `ProxyCommand sh -c 'sleep 1000; : ${file('mute')}'`];
    const failure = await fails(config(block(hosts.db01, 'db01', ...lines)));
    assert.equal(failure.kind, 'connectTimeout');
    await eventually(() => assert.deepEqual(running(file('mute')), []), 3000);
  });

  it('is called off while the program says nothing', async () => {
    const { engine } = await start(
      config(block(hosts.db01, 'db01', `ProxyCommand sh -c 'sleep 1000; : ${file('mute')}'`)),
    );
    await eventually(() => assert.equal(running(file('mute')).length, 1));
    engine.engine.apply({ connections: [] });
    await engine.next('connectionClosed');
    assert.deepEqual(running(file('mute')), []);
  });

  it('refuses ProxyUseFdpass by name, and takes no notice of it without a ProxyCommand', async () => {
    const failure = await fails(config(block(hosts.db01, 'db01', 'ProxyUseFdpass yes', `ProxyCommand ${relay}`)));
    assert.equal(
      failureText(failure),
      'ProxyUseFdpass, which ssh_config sets for db01, is not supported yet by this version.',
    );
    await comesUp(config(block(hosts.db01, 'db01', 'ProxyUseFdpass yes')));
  });
});
