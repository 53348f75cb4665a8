// The table of README's "How it is built": which room may import which.
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'core-is-pure',
      comment:
        'core: no vscode, ssh2, network, files, processes or timers; node:crypto is allowed, and pure npm packages',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { pathNot: ['^src/core/', '^(node:)?crypto$', 'node_modules/(valibot|@noble)/'] },
    },
    {
      name: 'engine-knows-no-editor',
      severity: 'error',
      from: { path: '^src/engine/' },
      to: { path: ['^src/ui/', '^src/extension', '^src/cli', '^vscode$', 'node_modules/@types/vscode'] },
    },
    {
      name: 'ssh2-through-sshClient-alone',
      comment: 'sshClient is the client; sandboxServer has the other half, a server to try tunnels with',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/engine/(sshClient|ssh2Inside|sandboxServer)\\.ts$' },
      to: { path: '(^|node_modules/)(@types/)?ssh2' },
    },
    {
      name: 'inside-of-ssh2-through-ssh2Inside-alone',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/engine/ssh2Inside\\.ts$' },
      to: { path: '(^|node_modules/)ssh2/lib/protocol' },
    },
    {
      name: 'ssh2Inside-through-sshClient-alone',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/engine/sshClient\\.ts$' },
      to: { path: '^src/engine/ssh2Inside\\.ts$' },
    },
    {
      name: 'ui-talks-to-core-and-vscode',
      severity: 'error',
      from: { path: '^src/ui/' },
      to: { pathNot: ['^src/core/', '^src/ui/', '^vscode$', 'node_modules/@types/vscode'] },
    },
    {
      name: 'webview-knows-types-of-core-alone',
      severity: 'error',
      from: { path: '^src/webview/' },
      to: { pathNot: ['^src/webview/', 'node_modules/uplot'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'webview-has-no-types-of-others',
      severity: 'error',
      from: { path: '^src/webview/' },
      to: { path: '^src/(engine|ui|extension|cli)' },
    },
    {
      name: 'nothing-imports-the-webview',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/webview/' },
      to: { path: '^src/webview/' },
    },
    {
      name: 'nothing-imports-the-entries',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/engineEntry\\.ts$' },
      to: { path: '^src/(extension|cli|engineEntry)\\.ts$' },
    },
    { name: 'product-knows-no-tests', severity: 'error', from: { path: '^src/' }, to: { path: '^test/' } },
    {
      name: 'resolvable',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true, pathNot: '^vscode$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { conditionNames: ['import', 'require', 'node', 'types'], exportsFields: ['exports'] },
  },
};
