import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';

const dist = join(__dirname, '../../dist');
const text = (name: string) => readFileSync(join(dist, name), 'utf8');

describe('the bundles', () => {
  it('keep the extension below 220 KB and without ssh2', () => {
    assert.ok(statSync(join(dist, 'extension.js')).size < 220_000);
    assert.doesNotMatch(text('extension.js'), /SSH-2\.0-|ssh2js|curve25519-sha256/);
    // The same words are in the engine, so their absence means something.
    assert.match(text('worker.js'), /SSH-2\.0-/);
    assert.match(text('worker.js'), /curve25519-sha256/);
  });

  it('hold no native addon, and load without one beside them', () => {
    assert.deepEqual(
      readdirSync(dist).filter((name) => name.endsWith('.node')),
      [],
    );
    const bare = execFileSync(process.execPath, [join(dist, 'tunnel.js'), '-h'], { cwd: '/', encoding: 'utf8' });
    assert.match(bare, /^usage: tunnel/);
  });

  it('start the engine without the parts of ssh2 that no tunnel uses', () => {
    const required = [...text('worker.js').matchAll(/\brequire\("([^"]+)"\)/g)].map((match) => match[1]!);
    for (const name of ['http', 'https', 'zlib']) assert.ok(!required.includes(name), name);
    assert.match(text('worker.js'), /SFTP is left out/);
    assert.doesNotMatch(text('worker.js'), /SSH_FXP_OPEN|posix-rename/);
  });

  it('need nothing at run time but node’s own modules and VS Code', () => {
    for (const name of ['extension.js', 'worker.js', 'tunnel.js']) {
      const required = [...text(name).matchAll(/\brequire\("([^"]+)"\)/g)].map((match) => match[1]!);
      const foreign = new Set(required.filter((module) => !isBuiltin(module)));
      assert.deepEqual([...foreign], name === 'extension.js' ? ['vscode'] : [], name);
    }
  });
});
