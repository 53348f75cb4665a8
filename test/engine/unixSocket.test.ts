import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join, relative } from 'node:path';
import { parseSpec } from '../../src/core/forwardSpec.js';
import type { PlannedConnection } from '../../src/core/plan.js';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { connectTo, echo, exchange, readToEnd, startTarget, type Target } from '../support/targets.js';

describe('a Unix socket', () => {
  let sshd: Sshd;
  let folder: string;
  let service: Target;
  let engine: EngineProbe;
  let heldBefore: string[];
  const targets: Target[] = [];

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    service = await startTarget(echo);
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sockets-'));
    engine = probe(createEngine());
  });
  afterEach(async () => {
    await engine.close();
    for (const target of targets.splice(0)) await target.close();
    await eventually(() => assert.equal(service.sockets.size, 0), 5000);
    rmSync(folder, { recursive: true });
  });
  after(async () => {
    await service.close();
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    await sshd.stop();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  const file = (name: string) => join(folder, name);
  const web01 = (forwards: readonly string[], lines: readonly string[] = [], server = sshd): PlannedConnection =>
    planned('web01', forwards, { configFile: server.configPath('web01', lines) });
  const apply = (...connections: PlannedConnection[]) => engine.engine.apply({ connections });
  async function target(path: string, onSocket: (socket: Socket) => void = echo): Promise<Target> {
    const made = await startTarget(onSocket, { path });
    targets.push(made);
    return made;
  }
  const answers = async (path: string) =>
    assert.equal((await exchange({ path }, Buffer.from('hi'))).received.toString(), 'hi');
  /** A socket file whose program was killed. */
  const leaveStale = async (path: string) => {
    const other = file('other.sock');
    const server = createServer().listen(other);
    await once(server, 'listening');
    // A second name: node removes its own at the close, and nobody listens at this one any more.
    linkSync(other, path);
    await new Promise((closed) => server.close(closed));
    assert.equal((await exchange({ path }, Buffer.from('hi'))).end, 'ECONNREFUSED');
  };
  const failure = async () => (await engine.next('listenFailed')).failure;

  describe('that is listened on here', () => {
    const modes: readonly (readonly [lines: readonly string[], mode: number, access: string])[] = [
      [[], 0o600, 'user'],
      [['StreamLocalBindMask 0177'], 0o600, 'user'],
      [['StreamLocalBindMask 0111'], 0o666, 'machine'],
      [['StreamLocalBindMask 0117'], 0o660, 'machine'],
    ];
    for (const option of ['-L', '-D'] as const)
      for (const [lines, mode, access] of modes)
        it(`has the mode ${mode.toString(8)} with ${option} and ${lines.join() || 'no StreamLocalBindMask'}`, async () => {
          const path = file('db.sock');
          apply(web01([option === '-L' ? `-L ${path}:127.0.0.1:${service.port}` : `-D ${path}`], lines));
          const listening = await engine.next('listening');
          assert.deepEqual(listening.bound, [{ kind: 'unix', path }]);
          assert.deepEqual([listening.asked, listening.access], [access, access]);
          assert.equal(lstatSync(path).mode & 0o777, mode);
        });

    it('is removed when the tunnel is stopped, and can be listened on again at once', async () => {
      const path = file('db.sock');
      for (let time = 0; time < 3; time++) {
        apply(web01([`-L ${path}:127.0.0.1:${service.port}`]));
        await engine.next('listening');
        await answers(path);
        apply();
        await engine.next('forwardClosed');
        assert.equal(existsSync(path), false);
        await engine.next('connectionClosed');
      }
    });

    it('is kept as it was when a stale one stands there, which is said', async () => {
      const path = file('db.sock');
      await leaveStale(path);
      apply(web01([`-L ${path}:127.0.0.1:${service.port}`]));
      const found = await failure();
      assert.deepEqual(found, { kind: 'socketStale', path });
      assert.match(failureText(found), /was left behind .*StreamLocalBindUnlink yes/);
      assert.equal(existsSync(path), true);
    });

    it('takes the place of a stale one with StreamLocalBindUnlink', async () => {
      const path = file('db.sock');
      await leaveStale(path);
      apply(web01([`-L ${path}:127.0.0.1:${service.port}`], ['StreamLocalBindUnlink yes']));
      await engine.next('listening');
      await answers(path);
      assert.equal(lstatSync(path).mode & 0o777, 0o600);
    });

    it('is not taken from a program that lives', async () => {
      const path = file('db.sock');
      const other = await target(path, (socket) => socket.end('other'));
      apply(web01([`-L ${path}:127.0.0.1:${service.port}`]));
      assert.deepEqual(await failure(), { kind: 'socketInUse', path });
      assert.equal((await exchange({ path }, Buffer.alloc(0))).received.toString(), 'other');
      assert.ok(other.accepted >= 1);
    });

    for (const [title, make] of [
      ['a regular file', (path: string) => writeFileSync(path, 'precious')],
      ['a folder', (path: string) => mkdirSync(path)],
      ['a link that leads nowhere', (path: string) => symlinkSync('/nowhere/at/all', path)],
    ] as const)
      for (const lines of [[], ['StreamLocalBindUnlink yes']])
        it(`is never put in the place of ${title}${lines.length > 0 ? ', not even with StreamLocalBindUnlink' : ''}`, async () => {
          const path = file('db.sock');
          make(path);
          const before = lstatSync(path);
          apply(web01([`-L ${path}:127.0.0.1:${service.port}`], lines));
          const found = await failure();
          assert.deepEqual(found, { kind: 'socketBlocked', path });
          assert.match(failureText(found), /exists and is no socket/);
          assert.equal(lstatSync(path).ino, before.ino);
          if (before.isFile()) assert.equal(readFileSync(path, 'utf8'), 'precious');
        });

    it('needs a folder that is there', async () => {
      const path = file('none/db.sock');
      apply(web01([`-L ${path}:127.0.0.1:${service.port}`]));
      const found = await failure();
      assert.deepEqual(found, { kind: 'socketFailed', path, code: 'ENOENT' });
      assert.match(failureText(found), /folder does not exist/);
    });

    it('has ssh’s %-tokens, ~ and ${NAME} in its path', async () => {
      const { username, homedir } = userInfo();
      const fromHome = relative(homedir, folder);
      const names: readonly (readonly [written: string, path: string])[] = [
        [`${folder}/%h.sock`, file('127.0.0.1.sock')],
        [`${folder}/%n-%r-%%.sock`, file(`web01-${sshd.user}-%.sock`)],
        [`${folder}/%p.sock`, file(`${sshd.port}.sock`)],
        [`${folder}/%u.sock`, file(`${username}.sock`)],
        [`~/${fromHome}/tilde.sock`, file('tilde.sock')],
        ['${SOCKETS}/variable.sock', file('variable.sock')],
      ];
      for (const [written, path] of names) {
        const text = `-L ${written}:127.0.0.1:${service.port}`;
        const parsed = parseSpec(text, { SOCKETS: folder });
        assert.ok(parsed.ok);
        const connection = web01([]);
        apply({ ...connection, forwards: [{ id: text, spec: parsed.spec, run: 0, wish: 'exact' }] });
        const { bound } = await engine.next('listening');
        // `~/../../tmp` is a name for it, too.
        assert.ok(bound[0]?.kind === 'unix');
        assert.equal(join(bound[0].path), path);
        await answers(path);
      }
    });

    it('ends its client when the target is not there, since it has no reset', async () => {
      const path = file('db.sock');
      apply(web01([`-L ${path}:127.0.0.1:${await freePort()}`]));
      await engine.next('listening');
      const since = Date.now();
      const { received, end } = await exchange({ path }, Buffer.alloc(0));
      assert.equal(received.length, 0);
      assert.match(end, /^(end|ECONNRESET)$/);
      assert.ok(Date.now() - since < 2000);
      await engine.next('channelFailed');
    });

    it('keeps listening while the connection is made again', async () => {
      const path = file('db.sock');
      apply(web01([`-L ${path}:127.0.0.1:${service.port}`]));
      await engine.next('listening');
      sshd.killSessions();
      await engine.next('connectionLost');
      assert.equal(existsSync(path), true);
      await engine.next('connected');
      await answers(path);
    });
  });

  describe('that a forward leads to on the server', () => {
    it('is reached from a port and from a socket, with ssh’s %-tokens in its path', async () => {
      const port = await freePort();
      await target(file('web01-db.sock'));
      apply(web01([`-L ${port}:${folder}/%n-db.sock`, `-L ${file('listen.sock')}:${folder}/%n-db.sock`]));
      await engine.next('listening');
      await engine.next('listening');
      await answers(file('listen.sock'));
      assert.equal((await exchange(port, Buffer.from('hi'))).received.toString(), 'hi');
    });

    it('is not looked for in the home directory of this machine', async () => {
      const port = await freePort();
      apply(web01([`-L ${port}:~/${relative(userInfo().homedir, folder)}/db.sock`]));
      await engine.next('listening');
      await target(file('db.sock'));
      assert.equal((await exchange(port, Buffer.from('hi'))).end, 'ECONNRESET');
    });

    it('resets the client and says why when it is not there', async () => {
      const port = await freePort();
      const path = file('none.sock');
      apply(web01([`-L ${port}:${path}`]));
      await engine.next('listening');
      for (const said of ['', 'hello']) {
        const socket = await connectTo({ host: '127.0.0.1', port });
        if (said !== '') socket.write(said);
        const { received, end } = await readToEnd(socket);
        assert.equal(received.length, 0);
        assert.equal(end, 'ECONNRESET');
      }
      const { failure } = await engine.next('channelFailed');
      assert.ok(failure.kind === 'channelRefused' && failure.target === path && failure.host === 'web01');
      assert.match(failureText(failure), /^web01 .*none\.sock/);
    });

    it('says that the server forbids it (AllowStreamLocalForwarding no)', async () => {
      const server = await startSshd({ config: ['AllowStreamLocalForwarding no'] });
      try {
        const port = await freePort();
        await target(file('db.sock'));
        apply(web01([`-L ${port}:${file('db.sock')}`], [], server));
        await engine.next('listening');
        assert.equal((await exchange(port, Buffer.from('hi'))).end, 'ECONNRESET');
        const { failure } = await engine.next('channelFailed');
        // sshd gives the same reason as for a socket that is not there.
        assert.ok(failure.kind === 'channelRefused' && failure.target === file('db.sock'));
        assert.match(failureText(failure), /^web01 .*AllowStreamLocalForwarding/);
        await engine.close();
      } finally {
        await server.stop();
      }
    });
  });

  describe('that the server listens on', () => {
    it('leads to a port and to a socket of this machine, with ssh’s %-tokens in its path', async () => {
      await target(file('target.sock'));
      const paths = ['one', 'two'].map((name) => file(`web01-${name}.sock`));
      apply(
        web01([`-R ${folder}/%n-one.sock:127.0.0.1:${service.port}`, `-R ${folder}/%n-two.sock:${folder}/target.sock`]),
      );
      const bound = [await engine.next('listening'), await engine.next('listening')];
      assert.deepEqual(bound.flatMap((one) => one.bound).map((one) => one.kind === 'unix' && one.path).sort(), paths); // prettier-ignore
      for (const { asked, access } of bound) assert.deepEqual([asked, access], ['user', 'unknown']);
      for (const path of paths) await answers(path);
    });

    it('is listened on no more when the tunnel is stopped, although its file stays', async () => {
      const path = file('remote.sock');
      apply(web01([`-R ${path}:127.0.0.1:${service.port}`]));
      await engine.next('listening');
      apply(web01([]));
      await engine.next('forwardClosed');
      await eventually(async () =>
        assert.match((await exchange({ path }, Buffer.alloc(0))).end, /ECONNREFUSED|ENOENT/),
      );
    });

    it('is told to be taken when something is there', async () => {
      const path = file('remote.sock');
      const other = await target(path);
      apply(web01([`-R ${path}:127.0.0.1:${service.port}`]));
      const found = await failure();
      assert.ok(found.kind === 'remoteRefused');
      assert.match(failureText(found), /remote\.sock/);
      assert.equal(other.accepted, 0);
    });

    it('is not taken from our own other forward, where sshd would replace it', async () => {
      const server = await startSshd({ config: ['StreamLocalBindUnlink yes'] });
      try {
        const path = file('remote.sock');
        const [first, second] = ['127.0.0.1', 'localhost'].map((host) => `-R ${path}:${host}:${service.port}`);
        apply(web01([first!, second!], [], server));
        const found = await failure();
        assert.equal(found.kind === 'remoteRefused' && found.inUse, true);
        await engine.next('listening');
        await answers(path);
        await engine.close();
      } finally {
        await server.stop();
      }
    });

    it('says that the server forbids it (AllowStreamLocalForwarding no)', async () => {
      const server = await startSshd({ config: ['AllowStreamLocalForwarding no'] });
      try {
        apply(web01([`-R ${file('remote.sock')}:127.0.0.1:${service.port}`], [], server));
        const found = await failure();
        assert.ok(found.kind === 'remoteRefused');
        assert.match(failureText(found), /^web01 refused to listen on .*remote\.sock\. .*AllowStreamLocalForwarding/);
        await engine.close();
      } finally {
        await server.stop();
      }
    });

    it('listens again after the connection was lost, where sshd removes what is stale', async () => {
      const server = await startSshd({ config: ['StreamLocalBindUnlink yes'] });
      try {
        const path = file('remote.sock');
        apply(web01([`-R ${path}:127.0.0.1:${service.port}`], [], server));
        await engine.next('listening');
        server.killSessions();
        await engine.next('connectionLost');
        await engine.next('listening');
        await answers(path);
        await engine.close();
      } finally {
        await server.stop();
      }
    });
  });
});
