import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import type { Listened } from '../../src/core/engine.js';
import { nothingWanted, tunnelId, wantTunnels, type NewTunnel } from '../../src/core/session.js';
import { emptySnapshot, reduce, type Snapshot } from '../../src/core/snapshot.js';
import { clientEnd, tunnelInfo } from '../../src/ui/tunnelInfo.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const root = join(import.meta.dirname, '../..');

describe('what other extensions are told of a tunnel', () => {
  const newTunnel = (spec: string, label?: string): NewTunnel => ({
    destination: { host: 'web01', user: 'bob' },
    spec: mustParseSpec(spec),
    ...(label !== undefined && { label }),
  });
  const infoOf = (given: NewTunnel, change: (snapshot: Snapshot) => Snapshot) => {
    const wanted = wantTunnels(nothingWanted, [given]);
    const snapshot = change(emptySnapshot);
    return tunnelInfo(wanted.tunnels[0]!, { wanted, snapshot });
  };
  const listening = (given: NewTunnel, bound: Listened['bound']) =>
    infoOf(given, (snapshot) =>
      [
        { kind: 'connected', connection: 'bob@web01', server: 'bob@192.0.2.1:22' } as const,
        { kind: 'listening', forward: tunnelId(given), run: 1, bound, unbound: [], asked: 'machine', access: 'machine' } as const, // prettier-ignore
      ].reduce(reduce, snapshot),
    );

  it('is what it is, where it really listens, and where it leads', () =>
    assert.deepEqual(listening(newTunnel('-L auto:db:5432'), [{ kind: 'tcp', address: '127.0.0.1', port: 49152 }]), {
      id: 'bob@web01 -L auto:db:5432',
      label: 'localhost:49152 → db:5432',
      host: 'bob@web01',
      kind: 'local',
      state: 'ready',
      listen: [{ host: '127.0.0.1', port: 49152 }],
      target: 'db:5432',
    }));

  it('is no target where clients choose it, and a path where it is a Unix socket', () => {
    const proxy = listening(newTunnel('-D 1080', 'Proxy'), [{ kind: 'tcp', address: '::1', port: 1080 }]);
    assert.deepEqual([proxy.label, 'target' in proxy], ['Proxy', false]);
    const socket = listening(newTunnel('-L /tmp/a.sock:/run/b.sock'), [{ kind: 'unix', path: '/tmp/a.sock' }]);
    assert.deepEqual([socket.listen, socket.target], [[{ path: '/tmp/a.sock' }], '/run/b.sock']);
  });

  it('is why it failed, as a kind and a sentence', () => {
    const { state, listen, failure } = infoOf(newTunnel('-L 5432:db:5432'), (snapshot) =>
      reduce(snapshot, {
        kind: 'connectionFailed',
        connection: 'bob@web01',
        failure: { kind: 'hop', hop: 'bastion', host: 'web01', failure: { kind: 'hostNotFound', host: 'bastion' } },
      }),
    );
    assert.deepEqual([state, listen, failure?.code], ['failed', [], 'hostNotFound']);
    assert.match(failure?.message ?? '', /^On the way to web01: bastion was not found/);
  });

  for (const [listen, end] of [
    [
      [
        { host: '127.0.0.1', port: 80 },
        { host: '::1', port: 80 },
      ],
      { host: '127.0.0.1', port: 80 },
    ],
    [[{ host: '0.0.0.0', port: 80 }], { host: '127.0.0.1', port: 80 }],
    [[{ host: '::', port: 80 }], { host: '::1', port: 80 }],
    [[{ host: '192.0.2.7', port: 80 }], { host: '192.0.2.7', port: 80 }],
    [[{ path: '/tmp/a.sock' }], { host: '', port: 0 }],
    [[], { host: '', port: 0 }],
  ] as const)
    // prettier-ignore
    it(`is where a client connects to: ${JSON.stringify(listen)}`, () => assert.deepEqual(clientEnd(listen), end));
});

describe('the types of the API', () => {
  it('stand by themselves as dist/api.d.ts, for an extension that is written against them', function () {
    this.timeout(20_000);
    const folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-types-'));
    try {
      mkdirSync(join(folder, 'dist'));
      copyFileSync(join(root, 'src/ui/api.ts'), join(folder, 'dist/api.d.ts'));
      const user = join(folder, 'user.ts');
      writeFileSync(
        user,
        `import type { OpenTunnel, SshTunnelsApi, TunnelError } from './dist/api';
         export async function connect(api: SshTunnelsApi): Promise<string> {
           const version: 1 = api.apiVersion;
           const listening = api.onDidChange(() => api.tunnels().map(({ state, listen }) => [state, listen]));
           try {
             const tunnel: OpenTunnel = await api.openTunnel({ host: 'web01', forward: '-L auto:db:5432' });
             tunnel.dispose();
             // @ts-expect-error: a host needs a forward
             await api.openTunnel({ host: 'web01' });
             return tunnel.host + ':' + tunnel.port + version;
           } catch (error) {
             return (error as TunnelError).code;
           } finally {
             listening.dispose();
           }
         }`,
      );
      const program = ts.createProgram([user], {
        strict: true,
        noEmit: true,
        // The shipped file itself is checked, too.
        skipLibCheck: false,
        skipDefaultLibCheck: true,
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.Preserve,
        moduleResolution: ts.ModuleResolutionKind.Bundler,
        types: [],
        paths: { vscode: [join(root, 'node_modules/@types/vscode/index.d.ts')] },
      });
      const problems = ts.getPreEmitDiagnostics(program).filter(({ file }) => file?.fileName.startsWith(folder));
      assert.deepEqual(
        problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
        [],
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
