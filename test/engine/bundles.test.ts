import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { packExtension } from '../support/packExtension.js';
import { keygen, lockKey } from '../support/sshd.js';

const dist = join(__dirname, '../../dist');
const text = (name: string) => readFileSync(join(dist, name), 'utf8');

/** Each entry, and what it needs besides node's modules and the parts that several share. */
const needs: Readonly<Record<string, readonly string[]>> = {
  'extension.js': ['./onDemand.js', 'vscode'],
  'onDemand.js': ['vscode'],
  'worker.js': [],
  'tunnel.js': ['./worker.js'],
};
const requiredBy = (name: string) => [...text(name).matchAll(/\brequire\("([^"]+)"\)/g)].map((match) => match[1]!);
const isShared = (module: string) => /^\.\/shared-[A-Z0-9]+\.js$/.test(module);
/** With the shared parts that these need. */
const withShared = (...names: string[]): string[] => {
  const shared = names.flatMap((name) => requiredBy(name).filter(isShared));
  const more = [...new Set(shared.map((module) => module.slice(2)))].filter((name) => !names.includes(name));
  return more.length === 0 ? names : withShared(...names, ...more);
};
const textOf = (...names: string[]) =>
  withShared(...names)
    .map(text)
    .join('');
const shipped =
  /^(\[Content_Types\]\.xml|extension\.vsixmanifest|extension\/(dist\/[\w.-]+\.(js|css|d\.ts)|dist\/THIRD-PARTY-NOTICES\.txt|l10n\/[\w.-]+\.json|media\/[\w/-]+\.(svg|png)|package(\.nls(\.\w+)?)?\.json|(readme|changelog|support|security)\.md|LICENSE\.txt))$/i;

/** The names in a zip's directory: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.12. */
function filesOf(zip: Buffer): string[] {
  const names: string[] = [];
  const end = zip.lastIndexOf('PK\x05\x06');
  for (let at = zip.readUInt32LE(end + 16); zip.readUInt32BE(at) === 0x504b0102;) {
    const [name, extra, comment] = [28, 30, 32].map((offset) => zip.readUInt16LE(at + offset)) as [
      number,
      number,
      number,
    ];
    names.push(zip.toString('utf8', at + 46, at + 46 + name));
    at += 46 + name + extra + comment;
  }
  return names;
}

describe('the bundles', () => {
  it('keep the extension below 400 KB and without ssh2, and what a window starts with below 205', () => {
    const atStart = textOf('extension.js').length;
    assert.ok(atStart < 205_000, `${atStart} characters`);
    const all = textOf('extension.js', 'onDemand.js');
    // A copy of VS Code's namespace is for modules that `export default`; there would be one for each of ours.
    assert.doesNotMatch(all, /\w\(require\("vscode"\)/);
    assert.ok(all.length < 400_000, `${all.length} characters`);
    assert.doesNotMatch(all, /SSH-2\.0-|ssh2js|SSH_MSG_KEXINIT/);
    // The same words are in the engine, so their absence means something.
    assert.match(text('worker.js'), /SSH-2\.0-/);
    assert.match(text('worker.js'), /ssh2js/);
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
    const required = requiredBy('worker.js');
    for (const name of ['http', 'https', 'zlib']) assert.ok(!required.includes(name), name);
    assert.match(text('worker.js'), /SFTP is left out/);
    assert.doesNotMatch(text('worker.js'), /SSH_FXP_OPEN|posix-rename/);
  });

  it('are shipped in a package below 400 KB, with nothing beside them that is not named', function () {
    this.timeout(120_000);
    const path = packExtension();
    const files = filesOf(readFileSync(path));
    const { size } = statSync(path);
    console.log(`the package: ${(size / 1000).toFixed(0)} KB, ${files.length} files`);
    assert.ok(size < 400_000, `${size} bytes`);
    const foreign = files.filter((name) => !shipped.test(name));
    assert.deepEqual(foreign, []);
    const allowed = readFileSync(join(dist, '../.vscodeignore'), 'utf8').matchAll(/^!([^*\n]+)$/gm);
    // vsce gives some of them other names: readme.md, LICENSE.txt.
    const packed = files.map((name) => name.toLowerCase().replace('license.txt', 'license'));
    const missing = [...allowed]
      .map((line) => line[1]!)
      .filter((name) => !packed.includes(`extension/${name.toLowerCase()}`));
    assert.deepEqual(missing, []);
  });

  it('are shipped with the licences of all packages that are in them', () => {
    const [, ...notices] = text('THIRD-PARTY-NOTICES.txt').split(/^## /m);
    assert.deepEqual(
      notices.map((notice) => notice.slice(0, notice.indexOf(' '))),
      [
        '@noble/curves',
        '@noble/hashes',
        '@noble/post-quantum',
        'asn1',
        'bcrypt-pbkdf',
        'safer-buffer',
        'ssh2',
        'tweetnacl',
        'uplot',
        'valibot',
      ],
    );
    for (const notice of notices) assert.match(notice, /Copyright .*\n[^]*Permission|into the public domain/, notice);
  });

  it('open an encrypted key in a thread, and not with another passphrase', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-key-'));
    try {
      const path = join(folder, 'id');
      keygen(path);
      lockKey(path, 'correct horse');
      const text = readFileSync(path, 'utf8');
      const opened = async (passphrase: string) => {
        const thread = new Worker(join(dist, 'worker.js'), { workerData: { key: { text, passphrase } } });
        return ((await once(thread, 'message')) as [{ kind: string }])[0].kind;
      };
      assert.deepEqual([await opened('correct horse'), await opened('wrong')], ['key', 'wrongPassphrase']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('need nothing at run time but node’s own modules and VS Code', () => {
    for (const [name, others] of Object.entries(needs)) {
      const required = withShared(name).flatMap(requiredBy);
      const foreign = new Set(required.filter((module) => !isBuiltin(module) && !isShared(module)));
      assert.deepEqual([...foreign].sort(), [...others].sort(), name);
    }
  });
});
