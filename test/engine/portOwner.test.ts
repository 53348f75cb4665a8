import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { findPortOwner } from '../../src/engine/portOwner.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/sshd.js';

const realPath = process.env['PATH'] ?? '';

interface Program {
  port: number;
  owner: { program: string; pid: number };
  end: () => Promise<void>;
}

/** Another program, which listens on an address and a free port until its input ends. */
async function startListener(address: string): Promise<Program> {
  const script = `
    const server = require('node:net').createServer();
    server.listen(0, process.argv[1], () => console.log(server.address().port));
    process.stdin.on('end', () => process.exit()).resume();
  `;
  const child = spawn(process.execPath, ['-e', script, address], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [printed] = (await once(child.stdout, 'data')) as [Buffer];
  const closed = once(child, 'close');
  const end = async () => {
    child.stdin.end();
    await closed;
  };
  return { port: Number(printed), owner: { program: 'node', pid: child.pid! }, end };
}

function programPath(name: string): string {
  const folders = [...realPath.split(delimiter), '/usr/sbin', '/sbin'];
  const path = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  assert.ok(path, `${name} is not installed`);
  return path;
}

describe('findPortOwner', () => {
  let folder: string;
  let heldBefore: string[];
  const programs: Program[] = [];

  before(() => {
    heldBefore = heldResources();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-programs-'));
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) await program.end();
    process.env['PATH'] = realPath;
    rmSync(folder, { recursive: true, force: true });
  });
  after(() => eventually(() => assert.deepEqual(heldBeyond(heldBefore), [])));

  async function listenElsewhere(address: string): Promise<Program> {
    const program = await startListener(address);
    programs.push(program);
    return program;
  }

  /** More than once, since on a busy machine the two seconds may be over before the answer is there. */
  const finds = (address: string, port: number, owner: Program['owner']) =>
    eventually(async () => assert.deepEqual(await findPortOwner(address, port), owner));

  /** From here on the PATH leads to the test's folder alone. */
  function have(programs: Record<string, 'real' | readonly string[]>): void {
    for (const [name, lines] of Object.entries(programs)) {
      if (lines === 'real') symlinkSync(programPath(name), join(folder, name));
      else writeFileSync(join(folder, name), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
    }
    process.env['PATH'] = folder;
  }

  const fails = ['echo "unknown option" >&2', 'exit 255'];
  const ways: [title: string, programs: () => Parameters<typeof have>[0]][] = [
    ['with lsof alone', () => ({ lsof: 'real' })],
    ['with an ss that fails', () => ({ ss: fails, lsof: 'real' })],
    ['with an lsof that ends with an error', () => ({ ss: fails, lsof: [`${programPath('lsof')} "$@"`, 'exit 1'] })],
  ];
  if (process.platform === 'linux') ways.push(['with ss alone', () => ({ ss: 'real' })]);

  for (const [title, programs] of ways)
    describe(title, () => {
      beforeEach(() => have(programs()));

      it('tells the program on this address, and not on the other loopback address', async () => {
        const { port, owner, end } = await listenElsewhere('127.0.0.1');
        await finds('127.0.0.1', port, owner);
        assert.equal(await findPortOwner('::1', port), undefined);
        await end();
        assert.equal(await findPortOwner('127.0.0.1', port), undefined);
      });

      it('tells the program on a wildcard, of one family or both', async () => {
        const four = await listenElsewhere('0.0.0.0');
        const both = await listenElsewhere('::');
        await finds('127.0.0.1', four.port, four.owner);
        assert.equal(await findPortOwner('::1', four.port), undefined);
        await finds('127.0.0.1', both.port, both.owner);
        await finds('::1', both.port, both.owner);
      });
    });

  it('tells nobody without a program to ask', async () => {
    have({ ss: fails, lsof: fails });
    const { port } = await listenElsewhere('127.0.0.1');
    assert.equal(await findPortOwner('127.0.0.1', port), undefined);
  });

  /** Asks a program that never comes to an end, and gives the pid that it wrote down. */
  async function askSlow(...lines: string[]): Promise<number> {
    have({ ss: lines, lsof: lines });
    const started = performance.now();
    assert.equal(await findPortOwner('127.0.0.1', await freePort()), undefined);
    const took = performance.now() - started;
    assert.ok(took > 1_500 && took < 10_000, `${took} ms`);
    const asked = process.platform === 'linux' ? 'ss' : 'lsof';
    return Number(readFileSync(join(folder, `${asked}.pid`), 'utf8'));
  }

  it('tells nobody after two seconds when the program hangs, and ends it', async () => {
    const pid = await askSlow('echo $$ >"$0.pid"', 'exec /bin/sleep 30');
    await eventually(() => assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }));
  });

  it('tells nobody after two seconds when the program has ended but its output is still open', async () => {
    const pid = await askSlow('/bin/sleep 30 &', 'echo $! >"$0.pid"');
    try {
      await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []), 2_000);
    } finally {
      process.kill(pid);
    }
  });
});
