import assert from 'node:assert/strict';
import { readConfigDocument } from '../../src/core/configDocument.js';
import { configLenses, forwardHover } from '../../src/core/configLens.js';
import { configTunnel } from '../../src/core/configForward.js';
import type { EngineEvent } from '../../src/core/engine.js';
import { nothingWanted, stopTunnels, tunnelId, wantTunnels, type SessionState } from '../../src/core/session.js';
import { emptySnapshot, reduce } from '../../src/core/snapshot.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const read = (...lines: string[]) => readConfigDocument(lines.join('\n'), {});
const spec = mustParseSpec('-L 5432:db:5432');
const tunnels = ['web01', 'web02'].map((host) => configTunnel({ host, spec }));
const [first, second] = tunnels.map(tunnelId) as [string, string];
const idle: SessionState = { wanted: nothingWanted, snapshot: emptySnapshot };
const wanted = wantTunnels(nothingWanted, [tunnels[0]!]);
const seen = (...events: EngineEvent[]) => events.reduce(reduce, emptySnapshot);
const ready = seen(
  { kind: 'connected', connection: 'web01', server: 'bob@192.0.2.1:22' },
  {
    kind: 'listening',
    forward: first,
    run: 1,
    bound: [{ kind: 'tcp', address: '127.0.0.1', port: 5432 }],
    unbound: [],
    asked: 'machine',
    access: 'machine',
  },
);
const failed = seen({
  kind: 'connectionFailed',
  connection: 'web01',
  failure: { kind: 'hostNotFound', host: 'web01' },
});

describe('the lenses of an ssh_config file', () => {
  const one = read('Host web01', 'LocalForward 5432 db:5432');
  const two = read('Host web01 web02', 'LocalForward 5432 db:5432');
  const shown = (document: typeof one, session: SessionState) =>
    configLenses(document, session).map((lens) => [
      lens.line,
      lens.title,
      lens.kind === 'start' ? lens.hosts : lens.id,
    ]);

  it('start a forward for its host', () => {
    assert.deepEqual(shown(one, idle), [[1, '$(play) Start · web01', ['web01']]]);
    const [lens] = configLenses(one, idle);
    assert.ok(lens?.kind === 'start');
    assert.deepEqual(lens.spec, spec);
  });

  it('say how it stands, and stop it', () => {
    const connecting = [[1, '$(debug-stop) Stop · web01 · connecting', first]];
    assert.deepEqual(shown(one, { wanted, snapshot: emptySnapshot }), connecting);
    assert.deepEqual(shown(one, { wanted, snapshot: ready }), [[1, '$(debug-stop) Stop · web01 · ready', first]]);
  });

  it('start one again that has failed or was stopped', () => {
    assert.deepEqual(shown(one, { wanted, snapshot: failed }), [[1, '$(play) Start · web01 · failed', ['web01']]]);
    const stopped = stopTunnels(wanted, [first]);
    assert.deepEqual(shown(one, { wanted: stopped, snapshot: ready }), [[1, '$(play) Start · web01', ['web01']]]);
  });

  it('cut what still finishes, or start it again', () =>
    assert.deepEqual(shown(one, { wanted: stopTunnels(wanted, [first], 'drain'), snapshot: ready }), [
      [1, '$(debug-stop) Stop · web01 · stopped, open connections finish', first],
    ]));

  it('let pick where a line is for several hosts', () => {
    assert.deepEqual(shown(two, idle), [[1, '$(play) Start…', ['web01', 'web02']]]);
    assert.deepEqual(shown(two, { wanted, snapshot: ready }), [
      [1, '$(debug-stop) Stop · web01 · ready', first],
      [1, '$(play) Start · web02', ['web02']],
    ]);
    assert.deepEqual(shown(two, { wanted: wantTunnels(nothingWanted, tunnels), snapshot: ready }), [
      [1, '$(debug-stop) Stop · web01 · ready', first],
      [1, '$(debug-stop) Stop · web02 · connecting', second],
    ]);
  });

  it('start none that ClearAllForwardings takes back, and stop one that runs', () => {
    const taken = read('Host web01', 'LocalForward 5432 db:5432', 'ClearAllForwardings yes');
    assert.deepEqual(shown(taken, idle), []);
    assert.deepEqual(shown(taken, { wanted, snapshot: ready }), [[1, '$(debug-stop) Stop · web01 · ready', first]]);
  });

  it('are none where there is no host, and none at a line that can’t be read', () => {
    assert.deepEqual(shown(read('Host *.eu', 'LocalForward 5432 db:5432'), idle), []);
    assert.deepEqual(shown(read('Host web01', 'LocalForward 5432'), idle), []);
  });
});

describe('the hover of a forward in ssh_config', () => {
  const hover = (lines: string[], session = idle) => forwardHover(read(...lines).forwards[0]!, session);

  it('says where it listens and comes out, and who can connect', () => {
    assert.deepEqual(hover(['Host web01', 'LocalForward 5432 db:5432']), [
      'localhost:5432 on this machine → db:5432, as web01 sees it',
      'Who can connect: only this machine',
    ]);
    assert.deepEqual(hover(['Host web01', 'DynamicForward *:1080']), [
      '*:1080 on this machine → SOCKS proxy, as web01 sees the network. Open to the network!',
      'Who can connect: everyone on the network who reaches this machine',
    ]);
    assert.deepEqual(hover(['Host web01 web02', 'RemoteForward 8080 localhost:3000']), [
      'localhost:8080 on the host → localhost:3000, as this machine sees it',
      'Who can connect: only the host; its GatewayPorts (sshd_config) may say otherwise',
    ]);
    assert.deepEqual(hover(['Host web01', 'LocalForward /tmp/db.sock db:5432']), [
      '/tmp/db.sock on this machine → db:5432, as web01 sees it',
      'Who can connect: only you on this machine',
    ]);
  });

  it('warns of a GatewayPorts that lets in the network', () =>
    assert.deepEqual(hover(['Host web01', 'LocalForward 5432 db:5432', 'Host *', 'GatewayPorts yes']).slice(2), [
      'GatewayPorts in line 4 lets in everyone on the network where it is in force.',
    ]));

  it('says that ClearAllForwardings takes it back', () =>
    assert.deepEqual(hover(['Host web01', 'LocalForward 5432 db:5432', 'ClearAllForwardings yes']).slice(2), [
      'ClearAllForwardings in line 3 takes it back: ssh does not open it.',
    ]));

  it('says how it stands for each host that it was started for', () =>
    assert.deepEqual(hover(['Host web01 web02', 'LocalForward 5432 db:5432'], { wanted, snapshot: ready }).slice(2), [
      'web01: ready',
    ]));
});
