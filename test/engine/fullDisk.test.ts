import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'; // prettier-ignore
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ask, Reply } from '../../src/core/engine.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, knownHostsLine, publicKey, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';

const isRoot = process.getuid?.() === 0;

describe(`a known_hosts file that can’t be written (${isRoot ? 'a full disk' : 'read-only'})`, () => {
  let heldBefore: string[];
  let disk: string;
  let isMounted = false;
  let sshd: Sshd;
  let service: Target;
  const path = (name: string) => join(disk, name);
  /** By the one name that it is reached by. */
  const line = (key: string) => knownHostsLine(sshd.port, key).replace(/,\S*/, '');
  const engines: EngineProbe[] = [];

  before(async function () {
    heldBefore = heldResources();
    disk = mkdtempSync(join(tmpdir(), 'disk-'));
    if (isRoot) {
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', disk], { stdio: 'pipe' });
        isMounted = true;
      } catch {
        // As in a container: nothing can be mounted, and nothing is read-only to root.
        rmSync(disk, { recursive: true });
        this.skip();
      }
    }
    sshd = await startSshd();
    service = await startTarget(echo);
  });
  after(async () => {
    await service?.close();
    await sshd?.stop();
    if (isMounted) execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true });
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });
  beforeEach(() => {
    mkdirSync(path('full'));
    // A page is full but for some bytes, so that a part of a line would find room.
    writeFileSync(path('full/known_hosts'), `# ${'x'.repeat(97)}\n`.repeat(40) + '# no end');
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    free();
    rmSync(path('full'), { recursive: true });
  });

  const fill = () => {
    if (!isRoot) {
      chmodSync(path('full/known_hosts'), 0o400);
      chmodSync(path('full'), 0o500);
      return;
    }
    const file = openSync(path('filler'), 'w');
    try {
      for (;;) writeSync(file, Buffer.alloc(4096));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    } finally {
      closeSync(file);
    }
  };
  function free() {
    rmSync(path('filler'), { force: true });
    if (isRoot) return;
    chmodSync(path('full'), 0o700);
    chmodSync(path('full/known_hosts'), 0o600);
  }
  const file = () => ({
    text: readFileSync(path('full/known_hosts'), 'latin1'),
    inode: statSync(path('full/known_hosts')).ino,
    beside: readdirSync(path('full')),
  });
  /** Connects, says yes for ever to a new key, and goes on until it can tell what came of it. */
  const connect = async (lines: readonly string[] = []) => {
    const asks: Ask['kind'][] = [];
    const answer = ({ kind }: Ask): Reply => {
      asks.push(kind);
      return kind === 'hostKey' ? { kind, accept: 'remember' } : { kind: 'cancel' };
    };
    const engine = probe(createEngine(), answer);
    engines.push(engine);
    const port = await freePort();
    const own = [...lines, `UserKnownHostsFile ${path('full/known_hosts')}`, 'StrictHostKeyChecking ask'];
    const configFile = sshd.configPath('web01', own);
    engine.engine.apply({ connections: [planned('web01', [`-L ${port}:127.0.0.1:${service.port}`], { configFile })] });
    await engine.next('listening');
    assert.equal((await exchange(port, Buffer.from('hi'))).received.toString(), 'hi');
    const warnings = () =>
      engine.events.flatMap((event) => (event.kind === 'logged' && event.level === 'warning' ? [event.text] : []));
    return { asks, warnings, close: () => engine.close() };
  };
  const reason = isRoot ? 'ENOSPC' : 'EACCES';

  it('is as it was, while the connection goes on and the user is told; and gets the key when there is room', async () => {
    fill();
    const before = file();
    const first = await connect();
    assert.deepEqual(first.asks, ['hostKey']);
    assert.equal(first.warnings().length, 1);
    assert.match(first.warnings()[0]!, new RegExp(`known_hosts could not be written \\(${reason}\\): .* asked about`));
    await first.close();
    assert.deepEqual(file(), before);
    free();
    const second = await connect();
    assert.deepEqual([second.asks, second.warnings()], [['hostKey'], []]);
    await second.close();
    const { text } = file();
    assert.equal(text, `${before.text}\n${line(publicKey(`${sshd.hostKeyPath}.pub`))}`); // prettier-ignore
    const third = await connect();
    assert.deepEqual(third.asks, []);
    await third.close();
  });

  it('is as it was, too, where an old key was to be taken out of it', async () => {
    // In place of an old key that the server has no more.
    const old = join(sshd.folder, 'old');
    execFileSync('ssh-keygen', ['-q', '-t', 'ecdsa', '-N', '', '-f', old]);
    const known = [publicKey(`${sshd.hostKeyPath}.pub`), publicKey(`${old}.pub`)];
    writeFileSync(path('full/known_hosts'), `${file().text}\n${known.map(line).join('')}`); // prettier-ignore
    fill();
    const before = file();
    const { asks, warnings, close } = await connect(['UpdateHostKeys yes']);
    await eventually(() => assert.equal(warnings().length, 1));
    assert.match(warnings()[0]!, new RegExp(`known_hosts could not be written \\(${reason}\\): `));
    assert.deepEqual(asks, []);
    await close();
    assert.deepEqual(file(), before);
  });
});
