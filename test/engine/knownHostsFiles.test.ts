import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import fsPromises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { appendLines, rewriteFile } from '../../src/engine/knownHostsFiles.js';
import { run } from '../support/openSsh.js';

describe('a known_hosts file', () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'known-hosts-'));
    file = join(folder, 'known_hosts');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is made with its folder, for its user alone', async () => {
    const deep = join(folder, 'new', 'known_hosts');
    await appendLines(deep, 'a\n');
    assert.equal(readFileSync(deep, 'utf8'), 'a\n');
    assert.deepEqual([deep, join(folder, 'new')].map((path) => statSync(path).mode & 0o777), [0o600, 0o700]); // prettier-ignore
  });

  it('gets lines at the end of a line, and keeps its mode', async () => {
    writeFileSync(file, '# no end');
    chmodSync(file, 0o644);
    await appendLines(file, 'a\n');
    await appendLines(file, 'b\nc\n');
    assert.equal(readFileSync(file, 'utf8'), '# no end\na\nb\nc\n');
    assert.equal(statSync(file).mode & 0o777, 0o644);
  });

  it('loses nothing when many change it at the same time', async () => {
    writeFileSync(file, 'gone\n');
    const names = Array.from({ length: 20 }, (_, index) => `line${index}`);
    await Promise.all([
      ...names.map((name) => appendLines(file, `${name}\n`)),
      rewriteFile(file, (text) => text.replace('gone\n', '')),
      ...names.map((name) => rewriteFile(file, (text) => `${text}${name} again\n`)),
    ]);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    assert.deepEqual(lines.sort(), names.flatMap((name) => [name, `${name} again`]).sort());
  });

  it('is replaced with its mode, byte for byte but for the change, where a symlink leads', async () => {
    const link = join(folder, 'link');
    const before = Buffer.concat([Buffer.from('a\r\n# '), Buffer.of(0xff, 0xc3, 0x28), Buffer.from('\nold\nz')]);
    writeFileSync(file, before);
    chmodSync(file, 0o640);
    symlinkSync('known_hosts', link);
    await rewriteFile(link, (text) => text.replace('old\n', ''));
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.deepEqual(readFileSync(file), Buffer.concat([before.subarray(0, -5), Buffer.from('z')]));
    assert.equal(statSync(file).mode & 0o777, 0o640);
    assert.deepEqual(readdirSync(folder).sort(), ['known_hosts', 'link']);
  });

  it('is left alone where nothing changes, or another program changes it meanwhile', async () => {
    writeFileSync(file, 'a\n');
    const { ino } = statSync(file);
    await rewriteFile(file, (text) => text);
    assert.equal(statSync(file).ino, ino);
    const interrupted = rewriteFile(file, (text) => {
      writeFileSync(file, `${text}b\n`);
      return '';
    });
    await assert.rejects(interrupted, { code: 'EBUSY' });
    assert.equal(readFileSync(file, 'utf8'), 'a\nb\n');
    assert.deepEqual(readdirSync(folder), ['known_hosts']);
    await assert.rejects(
      rewriteFile(join(folder, 'none'), () => 'x'),
      { code: 'ENOENT' },
    );
    assert.equal(existsSync(join(folder, 'none')), false);
  });

  it('keeps what another program appends to the old one while it is replaced', async function () {
    if (process.platform === 'win32') this.skip();
    writeFileSync(file, 'gone\na\n');
    const other = openSync(file, 'a');
    const { rename } = fsPromises;
    // Behind the comparison, so that the new file can't have it.
    fsPromises.rename = (from, to) => {
      writeSync(other, 'b\n');
      return rename(from, to);
    };
    syncBuiltinESMExports();
    try {
      await rewriteFile(file, (text) => text.replace('gone\n', ''));
    } finally {
      fsPromises.rename = rename;
      syncBuiltinESMExports();
      closeSync(other);
    }
    assert.equal(readFileSync(file, 'utf8'), 'a\nb\n');
  });

  it('gets its lines also where another program replaces it at that moment', async function () {
    if (process.platform === 'win32') this.skip();
    writeFileSync(file, 'a\n');
    let isReplaced = false;
    await whileWriting(
      file,
      (write) => {
        if (isReplaced) return write();
        isReplaced = true;
        writeFileSync(`${file}.new`, 'a\nb\n');
        renameSync(`${file}.new`, file);
        return write();
      },
      () => appendLines(file, 'c\n'),
    );
    assert.equal(readFileSync(file, 'utf8'), 'a\nb\nc\n');
  });

  it('keeps a line that another program appends while there is no room for ours', async () => {
    writeFileSync(file, 'a\n');
    const full = Object.assign(new Error('no room'), { code: 'ENOSPC' });
    let calls = 0;
    const failing = whileWriting(
      file,
      (write) => {
        if (calls++ > 0) return Promise.reject(full);
        writeFileSync(file, 'theirs\n', { flag: 'a' });
        return write(3);
      },
      () => appendLines(file, 'ours is longer\n'),
    );
    await assert.rejects(failing, { code: 'ENOSPC' });
    assert.match(readFileSync(file, 'utf8'), /^a\ntheirs\n/);
    // Alone, it leaves nothing behind.
    writeFileSync(file, 'a\n');
    calls = 0;
    const alone = whileWriting(
      file,
      (write) => (calls++ > 0 ? Promise.reject(full) : write(3)),
      () => appendLines(file, 'ours is longer\n'),
    );
    await assert.rejects(alone, { code: 'ENOSPC' });
    assert.equal(readFileSync(file, 'utf8'), 'a\n');
  });

  it('stays as it was when there is no room for the change', async function () {
    this.timeout(30_000);
    const before = `${'x'.repeat(99)}\n`.repeat(40);
    writeFileSync(file, before);
    const script = join(folder, 'fill.mts');
    const module = pathToFileURL(join(import.meta.dirname, '../../src/engine/knownHostsFiles.ts'));
    writeFileSync(
      script,
      `import { appendLines, rewriteFile } from ${JSON.stringify(module)};
      const lines = ${JSON.stringify(`${'y'.repeat(99)}\n`.repeat(10))};
      for (const change of [() => appendLines(${JSON.stringify(file)}, lines), () => rewriteFile(${JSON.stringify(file)}, (text) => text + lines)])
        console.log(await change().then(() => 'done', (error) => error.code));`,
    );
    // No file may grow beyond 4096 bytes: what a full disk does, without one. The shell's unit is 512 bytes.
    const limit = execFileSync('sh', ['-c', 'ulimit -f 8; ulimit -f'], { encoding: 'utf8' }).trim();
    assert.equal(limit, '8');
    const { stdout } = await run('sh', [
      '-c',
      'ulimit -f 8; exec "$@"',
      'sh',
      process.execPath,
      '--import',
      'tsx',
      script,
    ]);
    assert.deepEqual(stdout.trim().split('\n'), ['EFBIG', 'EFBIG']);
    assert.equal(readFileSync(file, 'utf8'), before);
    assert.deepEqual(readdirSync(folder).sort(), ['fill.mts', 'known_hosts']);
  });
});

/** Runs work in which `write` stands in for each write to an open file; it gets the true one, of so many bytes at most. */
async function whileWriting(
  file: string,
  write: (write: (most?: number) => Promise<{ bytesWritten: number }>) => Promise<{ bytesWritten: number }>,
  work: () => Promise<void>,
): Promise<void> {
  const handle = await fsPromises.open(file, 'r');
  const handles = Object.getPrototypeOf(handle) as { write: unknown };
  await handle.close();
  const real = handles.write as (data: Buffer, offset?: number, length?: number) => Promise<{ bytesWritten: number }>;
  handles.write = function (this: FileHandle, data: Buffer, offset = 0) {
    return write((most = data.length) => real.call(this, data, offset, Math.min(most, data.length - offset)));
  };
  try {
    await work();
  } finally {
    handles.write = real;
  }
}
