// Builds dist/: extension.js (activation, no ssh2), onDemand.js (the parts of it that a window can start without), worker.js (the
// engine, in its thread and in a terminal), shared-*.js (what several of them use), tunnel.js (a name for the engine in a terminal).
// With --tests also out/host/: the mocha suite that runs inside VS Code.
import { build } from 'esbuild';
import { copyFileSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { patchedSsh2 } from './ssh2Patches.mjs';

/** ssh2 looks for its native addon and cpu-features inside try/catch: neither is shipped, so that one package serves every platform. */
const withoutNatives = {
  name: 'without-natives',
  setup(setup) {
    setup.onResolve({ filter: /\.node$|^cpu-features$/ }, ({ path }) => ({ path, namespace: 'native' }));
    setup.onLoad({ filter: /.*/, namespace: 'native' }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(path + ' is not shipped')})`,
    }));
  },
};

/**
 * Of ssh2, a client alone, and a server that is run when it is first asked for: what no tunnel uses would have to be read,
 * compiled and run before the first one is dialled. Whoever calls what is left out gets an error that says so.
 */
const clientAlone = {
  name: 'client-alone',
  setup(setup) {
    const leftOut = (what) => `throw new Error(${JSON.stringify(`${what} is left out`)});`;
    const texts = {
      'ssh2/lib/index.js': `exports.Client = require('./client.js');
        exports.utils = { parseKey: require('./protocol/keyParser.js').parseKey };
        Object.defineProperty(exports, 'Server', { enumerable: true, get: () => require('./server.js') });`,
      // Keys of agents are ours (src/engine/agent.ts).
      'ssh2/lib/agent.js': `exports.isAgent = () => false;
        exports.createAgent = exports.AgentContext = function () { ${leftOut('ssh2’s agent')} };`,
      'ssh2/lib/protocol/SFTP.js': `exports.SFTP = class { constructor() { ${leftOut('SFTP')} } };`,
    };
    setup.onLoad({ filter: /[\\/]ssh2[\\/]lib[\\/](index|agent|protocol[\\/]SFTP)\.js$/ }, ({ path }) => {
      const [, contents] = Object.entries(texts).find(([end]) => path.replaceAll('\\', '/').endsWith(end));
      return { contents };
    });
    // Its inflater is made only to find its class; no compression is ever agreed on.
    setup.onResolve({ filter: /^zlib$/ }, ({ importer }) =>
      /[\\/]ssh2[\\/]/.test(importer) ? { path: 'zlib', namespace: 'left-out' } : undefined,
    );
    setup.onLoad({ filter: /^zlib$/, namespace: 'left-out' }, () => ({
      contents: `class Handle { constructor() { ${leftOut('Compression')} } }
        exports.constants = {};
        exports.createInflate = () => ({ _handle: Object.create(Handle.prototype) });`,
    }));
    // bcrypt-pbkdf takes a hash of it, and nothing else of its 35 KB does anything.
    setup.onLoad({ filter: /[\\/]tweetnacl[\\/]nacl-fast\.js$/ }, () => ({
      contents: `const { createHash } = require('crypto');
        exports.lowlevel = {
          crypto_hash: (out, m, n) => void out.set(createHash('sha512').update(m.subarray(0, n)).digest()),
        };`,
    }));
    // The key of an encrypted file is derived in a thread of its own.
    setup.onResolve({ filter: /^bcrypt-pbkdf$/ }, ({ importer, resolveDir }) =>
      /[\\/]ssh2[\\/]/.test(importer) ? { path: 'bcrypt-pbkdf', namespace: 'late', pluginData: resolveDir } : undefined,
    );
    setup.onLoad({ filter: /^bcrypt-pbkdf$/, namespace: 'late' }, ({ pluginData }) => ({
      contents: `exports.pbkdf = (...given) => require('bcrypt-pbkdf').pbkdf(...given);`,
      resolveDir: pluginData,
    }));
  },
};

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['vscode'],
  logLevel: 'warning',
  legalComments: 'none',
};

// `node esbuild.mjs --sourcemap` of the same version tells what a line of a stack in somebody's log was called.
const sourcemap = process.argv.includes('--sourcemap');
for (const name of existsSync('dist') ? readdirSync('dist') : []) if (name.startsWith('shared')) rmSync(`dist/${name}`); // its name tells what is in it, so those of before would stay
// esbuild splits modules of ECMAScript alone, which a second step makes into what VS Code and a thread load soonest.
const { outputFiles, metafile } = await build({
  ...common,
  entryPoints: { extension: 'src/extension.ts', onDemand: 'src/onDemand.ts', worker: 'src/engineEntry.ts' },
  format: 'esm',
  splitting: true,
  chunkNames: 'shared-[hash]',
  outdir: 'dist',
  minify: true,
  sourcemap: sourcemap && 'inline',
  plugins: [withoutNatives, clientAlone, patchedSsh2],
  metafile: true,
  write: false,
});
for (const { path, text } of outputFiles) {
  // Else each module makes a copy of VS Code's whole namespace, of some hundred getters, at its start. As long as it was: the
  // places in the map stay right.
  const contents = text.replace(/\bimport ?\* ?as ([\w$]+) from ?"vscode";/g, (all, name) =>
    `let ${name}=require("vscode");`.padStart(all.length),
  );
  await build({
    ...common,
    bundle: false,
    external: undefined,
    supported: { 'dynamic-import': false }, // VS Code's own loader for what is read late, too
    stdin: { contents, sourcefile: path, loader: 'js' },
    outfile: path,
    minify: true,
    sourcemap: sourcemap && 'linked',
    logLevel: 'error', // what there is to warn of has been said
  });
}
const page = await build({
  ...common,
  entryPoints: { details: 'src/webview/details.ts' },
  platform: 'browser',
  target: 'chrome128',
  format: 'iife',
  outdir: 'dist',
  external: [],
  minify: true,
  sourcemap: sourcemap && 'linked',
  metafile: true,
});
writeFileSync('dist/tunnel.js', 'require("./worker.js");\n');
// Types alone, for other extensions.
copyFileSync('src/ui/api.ts', 'dist/api.d.ts');
writeFileSync('dist/THIRD-PARTY-NOTICES.txt', noticesOf([metafile, page.metafile]));

if (process.argv.includes('--tests')) {
  rmSync('out/host', { recursive: true, force: true }); // what is left of a renamed suite would run, too
  const tests = readdirSync('test/host').filter((name) => name.endsWith('.test.ts'));
  await build({
    ...common,
    entryPoints: ['test/host/index.ts', ...tests.map((name) => `test/host/${name}`)],
    outdir: 'out/host',
    external: ['vscode', 'mocha', 'fast-check'],
    plugins: [withoutNatives, clientAlone, patchedSsh2],
    sourcemap: 'inline',
  });
}

/** The licence of each package of which something is bundled, as it came with it. */
function noticesOf(metafiles) {
  const inputs = metafiles.flatMap((metafile) => Object.keys(metafile.inputs));
  const folders = new Set(inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []));
  const notices = [...folders].sort().map((folder) => {
    const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
    return `## ${name} ${version}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`;
  });
  return `SSH Tunnels holds parts of these packages, under their own licences.\n\n${notices.join('\n')}`;
}
