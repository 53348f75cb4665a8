// Builds dist/: extension.js (activation, no ssh2), worker.js (the engine in its thread), tunnel.js (the engine in a terminal).
// With --tests also out/host/: the mocha suite that runs inside VS Code.
import { build } from 'esbuild';
import { readdirSync } from 'node:fs';
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

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['vscode'],
  logLevel: 'warning',
  legalComments: 'none',
};

await build({
  ...common,
  entryPoints: { extension: 'src/extension.ts', worker: 'src/engine/worker.ts', tunnel: 'src/cli.ts' },
  outdir: 'dist',
  minify: true,
  keepNames: true,
  sourcemap: process.argv.includes('--sourcemap') ? 'linked' : false,
  plugins: [withoutNatives, patchedSsh2],
});

if (process.argv.includes('--tests')) {
  const tests = readdirSync('test/host').filter((name) => name.endsWith('.test.ts'));
  await build({
    ...common,
    entryPoints: ['test/host/index.ts', ...tests.map((name) => `test/host/${name}`)],
    outdir: 'out/host',
    external: ['vscode', 'mocha', 'fast-check'],
    plugins: [withoutNatives, patchedSsh2],
    sourcemap: 'inline',
  });
}
