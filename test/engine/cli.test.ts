import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { bytes, digest, echo, exchange, startTarget, type Target } from '../support/targets.js';

const tunnel = join(__dirname, '../../dist/tunnel.js');

describe('dist/tunnel.js', () => {
  let sshd: Sshd;
  let service: Target;
  const running: ChildProcess[] = [];

  before(async () => {
    sshd = await startSshd();
    service = await startTarget(echo);
  });
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
  });
  after(async () => {
    await service.close();
    await sshd.stop();
  });

  interface Run {
    child: ChildProcess;
    out(): string;
    err(): string;
    ended: Promise<number | null>;
  }
  function run(...words: readonly string[]): Run {
    const child = spawn(process.execPath, [tunnel, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
    running.push(child);
    let out = '';
    let err = '';
    child.stdout.on('data', (part: Buffer) => (out += part.toString()));
    child.stderr.on('data', (part: Buffer) => (err += part.toString()));
    return {
      child,
      out: () => out,
      err: () => err,
      ended: new Promise((resolve) => child.once('close', (code) => resolve(code))),
    };
  }
  async function listening(...words: readonly string[]): Promise<Run & { port: number }> {
    const port = await freePort();
    const started = run('-N', ...sshd.clientOptions, '-L', `${port}:127.0.0.1:${service.port}`, ...words, '127.0.0.1');
    await eventually(() => assert.match(started.out(), /->/, started.err()));
    return { ...started, port };
  }
  const fails = async (...words: readonly string[]) => {
    const failed = run(...words);
    assert.equal(await failed.ended, 255);
    return failed.err();
  };

  it('brings 20 MB bit for bit with half-close both ways, and prints a line for the forward', async () => {
    const { port, out } = await listening();
    const sent = bytes(20_000_000, 'cli');
    const { received, end } = await exchange(port, sent);
    assert.equal(digest(received), digest(sent));
    assert.equal(end, 'end');
    assert.equal(out(), `127.0.0.1:${port}, [::1]:${port} -> 127.0.0.1:${service.port}\n`);
  });

  it('serves curl', async () => {
    const web = createServer((_request, response) => response.end('a page')).listen(0, '127.0.0.1');
    try {
      await new Promise((listening) => web.once('listening', listening));
      const port = await freePort();
      const started = run(
        ...sshd.clientOptions,
        '-L',
        `${port}:localhost:${(web.address() as AddressInfo).port}`,
        '127.0.0.1',
      );
      await eventually(() => assert.match(started.out(), /->/));
      const { stdout } = await promisify(execFile)('curl', ['-sS', '--max-time', '10', `http://localhost:${port}/`]);
      assert.equal(stdout, 'a page');
    } finally {
      web.close();
    }
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    it(`ends cleanly on ${signal}, with its port free and its session gone`, async () => {
      const { child, port, ended } = await listening();
      assert.equal(sshd.sessions().length > 0, true);
      child.kill(signal);
      assert.equal(await ended, 0);
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
      await eventually(() => assert.deepEqual(sshd.sessions(), []));
    });

  it('takes ssh’s flags joined and values attached, and ssh:// destinations', async () => {
    const port = await freePort();
    const [, , , key] = sshd.clientOptions;
    const started = run(
      ...['-Nv', '-F/dev/null', `-i${key}`, `-oUserKnownHostsFile=${sshd.knownHostsPath}`, '-o', 'IdentitiesOnly yes'],
      ...['-oBatchMode=yes', `-L${port}:127.0.0.1:${service.port}`, `ssh://${sshd.user}@127.0.0.1:${sshd.port}`],
    );
    await eventually(() => assert.match(started.out(), /->/, started.err()));
    assert.equal((await exchange(port, Buffer.from('x'))).received.toString(), 'x');
  });

  it('brings remote and dynamic forwards and Unix sockets, and says where the server listens', async () => {
    const [port, socks] = [await freePort(), await freePort()];
    const path = join(sshd.folder, 'local.sock');
    const started = run(
      ...sshd.clientOptions,
      ...['-R', `${port}:127.0.0.1:${service.port}`, '-R', `0:127.0.0.1:${service.port}`, '-D', String(socks)],
      ...['-L', `${path}:127.0.0.1:${service.port}`, '127.0.0.1'],
    );
    await eventually(() => assert.equal(started.out().split('\n').length, 5, started.err()));
    const lines = started.out().trim().split('\n').sort();
    assert.deepEqual(
      lines.filter((line) => !/ on /.test(line)),
      [`${path} -> 127.0.0.1:${service.port}`, `127.0.0.1:${socks}, [::1]:${socks} -> SOCKS`],
    );
    const remote = lines.filter((line) => / on 127\.0\.0\.1 -> /.test(line));
    assert.equal(remote.length, 2);
    for (const line of remote) {
      const [, bound] = /^127\.0\.0\.1:(\d+), \[::1\]:\1 on/.exec(line) ?? [];
      assert.equal((await exchange(Number(bound), Buffer.from('x'))).received.toString(), 'x');
    }
  });

  it('warns when the server lets more connect than was asked for', async () => {
    const wide = await startSshd({ config: ['GatewayPorts yes'] });
    try {
      const port = await freePort();
      const started = run(...wide.clientOptions, '-R', `${port}:127.0.0.1:${service.port}`, '127.0.0.1');
      await eventually(() => assert.match(started.err(), /warning: .* to the network.*GatewayPorts yes/));
      assert.match(started.out(), new RegExp(`^0\\.0\\.0\\.0:${port}, \\[::\\]:${port} on`));
    } finally {
      await wide.stop();
    }
  });

  it('takes the lines of ~C on standard input: add, cancel while connections go on, help, and nonsense with its place', async () => {
    const { child, port, out, err } = await listening();
    const say = (line: string) => child.stdin!.write(`${line}\n`);
    const open = connect(port, '127.0.0.1');
    await once(open, 'connect');
    const answers = async (text: string) => {
      open.write(text);
      assert.equal(String((await once(open, 'data'))[0]), text);
    };
    await answers('before');
    const added = await freePort();
    say(`-L ${added}:127.0.0.1:${service.port}`);
    await eventually(() => assert.match(out(), new RegExp(`127\\.0\\.0\\.1:${added}, `)));
    assert.equal((await exchange(added, Buffer.from('x'))).received.toString(), 'x');
    say(`-KL ${port}`);
    await eventually(async () => assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED'));
    assert.match(out(), new RegExp(`cancelled -L ${port}:127\\.0\\.0\\.1:${service.port}\n`));
    await answers('behind');
    say(`-KL ${port}`);
    say('-L 8080:x');
    say('?');
    await eventually(() => assert.match(out(), /-KR \[bind_address:\]port +cancel a remote forward/));
    assert.match(err(), /8080:x.*target port missing/);
    assert.match(err(), new RegExp(`-KL ${port}`));
    child.stdin!.end();
    assert.equal((await exchange(added, Buffer.from('x'))).received.toString(), 'x');
    open.destroy();
  });

  it('goes on when nobody reads its lines any more', async () => {
    const { child, port } = await listening();
    child.stdout!.destroy();
    child.stderr!.destroy();
    const added = await freePort();
    child.stdin!.write(`-L ${added}:127.0.0.1:${service.port}\nnonsense\n`);
    await eventually(async () => assert.equal((await exchange(added, Buffer.from('x'))).received.toString(), 'x'));
    assert.equal((await exchange(port, Buffer.from('x'))).received.toString(), 'x');
    assert.equal(child.exitCode, null);
  });

  describe('with -G', () => {
    const given = ['-L', '8080:[::1]:80', '-R', '*:9090:db:5432', '-D', '[::1]:1080', '-R', '1081', '-J', 'bob@jump', '-p', '2222', '-l', 'bob', '-g', '-4', '-o', 'UserKnownHostsFile=~/a "/b c"', 'nowhere']; // prettier-ignore
    const config = () => {
      const file = join(sshd.folder, 'printed_config');
      writeFileSync(file, 'Host now*\n  HostName %h.invalid\n  LocalForward 8080 [::1]:80\n  LocalForward 81 db:81\n  Ciphers +3des-cbc\n  ServerAliveInterval 1m\n'); // prettier-ignore
      return file;
    };

    for (const withSsh of [true, false])
      it(`prints the effective values in the lines of ssh -G, and connects nowhere, ${withSsh ? 'through ssh' : 'without ssh'}`, async () => {
        const child = spawn(process.execPath, [tunnel, '-G', '-F', config(), ...given], {
          env: { ...process.env, ...(!withSsh && { SSH_TUNNELS_NO_SSH: '1' }) },
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        running.push(child);
        let out = '';
        child.stdout.on('data', (part: Buffer) => (out += part.toString()));
        assert.deepEqual(await once(child, 'close'), [0, null]);
        const { stdout } = await promisify(execFile)('ssh', ['-G', '-F', config(), ...given]);
        assert.match(stdout, /^hostname nowhere\.invalid$/m);
        const keywords = (text: string) => new Set(text.split('\n').map((line) => line.split(' ', 1)[0]!));
        const [theirs, ours] = [keywords(stdout), keywords(out)];
        // Another OpenSSH than the one that our own resolver follows has other lines and lists.
        const isComparable = (line: string) => {
          const [keyword] = line.split(' ', 1) as [string];
          const isVersions = /algorithms$|^(ciphers|macs|securitykeyprovider|xauthlocation|ipqos)$/.test(keyword);
          return withSsh || (!isVersions && theirs.has(keyword) && ours.has(keyword));
        };
        assert.deepEqual(out.split('\n').filter(isComparable), stdout.split('\n').filter(isComparable));
        assert.match(out, /^ciphers .*,3des-cbc$/m);
      });

    it('names a line of ssh_config that is wrong, with and without ssh', async () => {
      const file = join(sshd.folder, 'wrong_config');
      writeFileSync(file, 'Host *\n  Port 22\n  ConnectTimeout soon\n');
      const expected = `tunnel: ssh_config can’t be used: ${file} line 3: invalid time value.\n`;
      assert.equal(await fails('-G', '-F', file, 'nowhere'), expected);
      process.env['SSH_TUNNELS_NO_SSH'] = '1';
      try {
        assert.equal(await fails('-G', '-F', file, 'nowhere'), expected);
      } finally {
        delete process.env['SSH_TUNNELS_NO_SSH'];
      }
    });
  });

  describe('with forwards in ssh_config', () => {
    const config = (...lines: readonly string[]) => {
      const file = join(sshd.folder, 'forwarding_config');
      const own = [`Port ${sshd.port}`, `IdentityFile ${key()}`, 'IdentitiesOnly yes', `UserKnownHostsFile ${sshd.knownHostsPath}`]; // prettier-ignore
      writeFileSync(file, ['Host forwarding', '  HostName 127.0.0.1', ...[...lines, ...own].map((line) => `  ${line}`)].join('\n')); // prettier-ignore
      return file;
    };
    const key = () => sshd.clientOptions[3]!;

    for (const withSsh of [true, false])
      it(`opens them without -L, with those of the command line and each once, ${withSsh ? 'through ssh -G' : 'without ssh'}`, async () => {
        const port = await freePort();
        const other = await freePort();
        const file = config(`LocalForward 127.0.0.1:${port} 127.0.0.1:${service.port}`);
        if (!withSsh) process.env['SSH_TUNNELS_NO_SSH'] = '1';
        const started = run('-F', file, '-L', `127.0.0.1:${port}:127.0.0.1:${service.port}`, '-D', `127.0.0.1:${other}`, 'forwarding'); // prettier-ignore
        delete process.env['SSH_TUNNELS_NO_SSH'];
        await eventually(() => assert.equal(started.out().match(/->/g)?.length, 2, started.err()));
        assert.equal((await exchange(port, Buffer.from('x'))).received.toString(), 'x');
        const alone = run('-F', config(`LocalForward 127.0.0.1:${await freePort()} 127.0.0.1:${service.port}`), 'forwarding'); // prettier-ignore
        await eventually(() => assert.match(alone.out(), /->/, alone.err()));
      });

    it('opens the socket of one that ssh -G prints as a SOCKS port, too, and no SOCKS port', async () => {
      const port = await freePort();
      const socket = join(sshd.folder, '%% %h.sock');
      const started = run('-F', config(`LocalForward ${port} "${socket}"`), 'forwarding');
      await eventually(() => assert.match(started.out(), /->/, started.err()));
      assert.equal(started.out(), `127.0.0.1:${port}, [::1]:${port} -> ${socket.replace('%h', '127.0.0.1')}\n`);
    });

    it('opens none after ClearAllForwardings', async () => {
      const file = config('LocalForward 1 a:1', 'ClearAllForwardings yes');
      assert.match(await fails('-F', file, '-L', '2:a:2', 'forwarding'), /^tunnel: nothing to forward: add -L/);
      assert.match(await fails('-F', config('LocalForward 1 a:1'), '-o', 'ClearAllForwardings=yes', 'forwarding'), /^tunnel: nothing to forward/); // prettier-ignore
    });

    it('ends with ExitOnForwardFailure in it when one of two can’t listen', async () => {
      const file = config('ExitOnForwardFailure yes', `LocalForward 127.0.0.1:${service.port} a:1`, `LocalForward ${await freePort()} a:1`); // prettier-ignore
      assert.match(await fails('-F', file, 'forwarding'), /already in use/);
    });
  });

  it('warns of an identity file that is not there, and goes on', async () => {
    const { port, err } = await listening('-i', '/nowhere/key');
    assert.match(err(), /^tunnel: warning: .*The identity file \/nowhere\/key is left out: there is none\.$/m);
    assert.equal((await exchange(port, Buffer.from('x'))).received.toString(), 'x');
  });

  it('goes through a jump server with -J', async () => {
    const logins = () => sshd.log().match(/Accepted publickey/g)?.length ?? 0;
    const before = logins();
    const config = join(sshd.folder, 'jump_config');
    const [, , , key] = sshd.clientOptions;
    writeFileSync(
      config,
      `Host bastion\n  HostName 127.0.0.1\nHost *\n  Port ${sshd.port}\n  IdentityFile ${key}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${sshd.knownHostsPath}\n`,
    );
    const port = await freePort();
    const started = run('-F', config, '-J', 'bastion', '-L', `${port}:127.0.0.1:${service.port}`, '127.0.0.1');
    await eventually(() => assert.match(started.out(), /->/, started.err()));
    assert.equal((await exchange(port, Buffer.from('x'))).received.toString(), 'x');
    assert.equal(logins() - before, 2);
  });

  it('exits with 255 and the reason when it can’t connect', async () => {
    const port = await freePort();
    const words = sshd.clientOptions.map((word) => (word === String(sshd.port) ? String(port) : word));
    assert.match(
      await fails(...words, '-L', '4000:x:1', '127.0.0.1'),
      /^tunnel: 127\.0\.0\.1:\d+ refused the connection/,
    );
  });

  it('exits with 255 when the server does not let it in, and never prompts in BatchMode', async () => {
    const words = sshd.clientOptions.map((word) => (word === sshd.keyPath ? `${sshd.hostKeyPath}` : word));
    assert.match(await fails(...words, '-L', '4000:x:1', '127.0.0.1'), /did not let .* in/);
  });

  it('tells scripts, which have no terminal, why it does not ask: an unknown host, a password', async () => {
    const words = [
      '-F',
      '/dev/null',
      '-p',
      String(sshd.port),
      '-o',
      'GlobalKnownHostsFile=/dev/null',
      '-L',
      '4000:x:1',
    ];
    assert.match(
      await fails(...words, '-o', 'UserKnownHostsFile=/dev/null', '127.0.0.1'),
      /The host key of .* is not known .*BatchMode lets nobody be asked/,
    );
    assert.match(
      await fails(
        ...words,
        '-o',
        `UserKnownHostsFile=${sshd.knownHostsPath}`,
        '-o',
        'IdentityAgent=none',
        '-o',
        'IdentityFile=/nowhere',
        '127.0.0.1',
      ),
      /did not let .* in.*The server accepts: publickey/,
    );
  });

  it('takes a key file with a blank in its path beside a config file', async () => {
    mkdirSync(join(sshd.folder, 'a key'));
    const key = join(sshd.folder, 'a key', 'id');
    copyFileSync(sshd.keyPath, key);
    const config = join(sshd.folder, 'plain_config');
    writeFileSync(config, `UserKnownHostsFile ${sshd.knownHostsPath}\n`);
    const port = await freePort();
    const started = run(
      '-F',
      config,
      '-i',
      key,
      '-p',
      String(sshd.port),
      '-L',
      `${port}:127.0.0.1:${service.port}`,
      '127.0.0.1',
    );
    await eventually(() => assert.match(started.out(), /->/, started.err()));
  });

  it('takes an exact duplicate of a forward for the same one', async () => {
    const port = await freePort();
    const forward = ['-L', `${port}:127.0.0.1:${service.port}`];
    const started = run(...sshd.clientOptions, '-o', 'ExitOnForwardFailure=yes', ...forward, ...forward, '127.0.0.1');
    await eventually(() => assert.match(started.out(), /->/, started.err()));
    assert.equal((await exchange(port, Buffer.from('x'))).received.toString(), 'x');
  });

  it('exits with 255 when the connection breaks', async () => {
    const { ended, err } = await listening();
    sshd.killSessions();
    assert.equal(await ended, 255);
    assert.match(err(), /closed the connection|connection to .* broke/);
  });

  it('exits with 255 when its only port is in use, and with ExitOnForwardFailure when one of two is', async () => {
    const taken = `${service.port}:127.0.0.1:1`;
    assert.match(await fails(...sshd.clientOptions, '-L', `127.0.0.1:${taken}`, '127.0.0.1'), /already in use/);
    const free = await freePort();
    const err = await fails(
      ...sshd.clientOptions,
      ...['-o', 'ExitOnForwardFailure=yes', '-L', `127.0.0.1:${taken}`, '-L', `${free}:127.0.0.1:1`, '127.0.0.1'],
    );
    assert.match(err, /already in use/);
    const { err: warned, port } = await listening('-L', `127.0.0.1:${taken}`);
    await eventually(() => assert.match(warned(), /already in use/));
    assert.equal((await exchange(port, Buffer.from('x'))).received.toString(), 'x');
  });

  const refused: [words: string[], error: RegExp][] = [
    [['-f', 'host'], /^tunnel: -f is not supported yet/],
    [['-W', 'x:1', 'host'], /^tunnel: -W is not supported yet/],
    [['-Z', 'host'], /^tunnel: unknown option -Z/],
    [['-o', 'RemoteCommand=x', '-L', '1:x:1', 'host'], /^tunnel: -o RemoteCommand=x is not supported yet/],
    [['-L', '8080:x', 'host'], /^tunnel: -L 8080:x: “8080:x”: target port missing/],
    [['-p'], /^tunnel: -p needs a value/],
    [['-L', '1:x:1'], /^tunnel: destination missing/],
    [['-F', 'none', 'host'], /^tunnel: nothing to forward/],
    [['-L', '1:x:1', 'host', 'ls'], /^tunnel: ls: no command is run/],
    [['-L', '1:x:1', 'us er@host'], /a blank inside the name/],
    [['-F', '/dev/null', '-p', '70000', '-L', '1:x:1', 'host'], /port/],
    [
      ['-F', '/dev/null', '-o', 'ExitOnForwardFailure=perhaps', '-L', '1:x:1', 'host'],
      /line 0: unsupported option "perhaps"/,
    ],
  ];
  for (const [words, error] of refused)
    it(`refuses ${words.join(' ')}`, async () => {
      assert.match(await fails(...words), error);
    });

  it('says how it is used', async () => {
    const { ended, out } = run('-h');
    assert.equal(await ended, 0);
    assert.match(out(), /^usage: tunnel /);
  });
});
