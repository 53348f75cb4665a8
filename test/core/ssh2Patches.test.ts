import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { patchSsh2, ssh2Patches, ssh2Version } from '../../ssh2Patches.mjs';

const root = join(__dirname, '../..');
const pathOf = (file: string) => join(root, 'node_modules/ssh2/lib/protocol', file);
const textOf = (file: string) => readFileSync(pathOf(file), 'utf8');
const files = [...new Set(ssh2Patches.map(({ file }) => file))];

describe('the patches of ssh2', () => {
  it('are for the exact version that package.json has', () => {
    const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    assert.equal(devDependencies['ssh2'], ssh2Version);
  });

  it('each say why', () => {
    for (const { why } of ssh2Patches) assert.ok(why.length > 10);
  });

  for (const file of files)
    it(`make ${file} what they say, and nothing else of it`, () => {
      let undone = patchSsh2(pathOf(file), textOf(file))!;
      for (const { from, to } of ssh2Patches.filter((patch) => patch.file === file).reverse()) {
        assert.equal(undone.split(to).length, 2);
        undone = undone.split(to).join(from);
      }
      assert.equal(undone, textOf(file));
    });

  for (const { file, from, why } of ssh2Patches)
    it(`fail when ${file} has not, or has twice, the text to change: ${why}`, () => {
      const text = textOf(file);
      const expected = new RegExp(`${file.replace('.', '\\.')} has changed`);
      assert.throws(
        () =>
          patchSsh2(
            pathOf(file),
            text.replace(from, () => ''),
          ),
        expected,
      );
      assert.throws(() => patchSsh2(pathOf(file), text + from), expected);
    });

  it('know a file by where it is, on Windows too, and leave all others alone', () => {
    const windows = 'C:\\project\\node_modules\\ssh2\\lib\\protocol\\kex.js';
    assert.equal(patchSsh2(windows, textOf('kex.js')), patchSsh2(pathOf('kex.js'), textOf('kex.js')));
    for (const path of [
      pathOf('utils.js'),
      join(root, 'node_modules/ssh2/lib/kex.js'),
      '/node_modules/other/lib/protocol/kex.js',
    ])
      assert.equal(patchSsh2(path, textOf('kex.js')), undefined, path);
  });

  it('are missed at the start where they are not made', () => {
    const args = ['--import', 'tsx', '-e', "require('./src/engine/sshClient.ts')"];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
    assert.notEqual(status, 0);
    assert.match(stderr, /ssh2 is not patched/);
  });
});
