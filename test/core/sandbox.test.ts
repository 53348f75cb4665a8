import assert from 'node:assert/strict';
import type { EngineEvent } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import { planTunnels, sshFor } from '../../src/core/plan.js';
import type { Status } from '../../src/core/present.js';
import { storeTunnels } from '../../src/core/restore.js';
import {
  sandboxConnection,
  sandboxTunnelId,
  usesSandbox,
  withoutSandbox,
  withSandbox,
} from '../../src/core/sandbox.js';
import { sandboxPage } from '../../src/core/sandboxPage.js';
import { nothingWanted, removeTunnels, tunnelId, wantTunnels, type NewTunnel } from '../../src/core/session.js';
import { emptySnapshot, reduce, tunnelState } from '../../src/core/snapshot.js';
import { useTranslations } from '../../src/core/translate.js';
import { rowFlags } from '../../src/ui/rowFlags.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const sandbox = { port: 41000, configFile: '/storage/sandbox/1/config' };
const other = { port: 41001, configFile: '/storage/sandbox/2/config' };
/** A host of the user’s may have the same name. */
const theirs: NewTunnel = { destination: { host: 'sandbox' }, spec: mustParseSpec('-L 8080:web:80') };
const defaults = { identityFile: '/home/ann/key', keepaliveSeconds: 9 };

describe('the sandbox on the list', () => {
  const wanted = withSandbox(wantTunnels(nothingWanted, [theirs]), sandbox);

  it('is reached by its own file alone, with nothing of the settings', () => {
    const plan = planTunnels(wanted, '/home/ann/config', undefined, defaults);
    assert.deepEqual(
      plan.connections.map(({ id, host }) => [id, host.configFile, host.options, host.keepaliveSeconds]),
      [
        ['sandbox', '/home/ann/config', [['IdentityFile', '/home/ann/key']], 9],
        ['sandbox:41000', sandbox.configFile, [], undefined],
      ],
    );
    assert.deepEqual(sshFor(wanted, 'sandbox:41000', '/home/ann/config', defaults), [sandbox.configFile, {}]);
    assert.deepEqual(sshFor(wanted, 'constructor', undefined, defaults), [undefined, defaults]);
  });

  it('has one tunnel, to its page, on a free port of this machine alone', () => {
    assert.equal(sandboxTunnelId(sandbox), 'sandbox:41000 -L auto:hello:80');
    assert.deepEqual(
      wanted.tunnels.map(({ id, wish }) => [id, wish]),
      [
        ['sandbox -L 8080:web:80', 'exact'],
        ['sandbox:41000 -L auto:hello:80', 'exact'],
      ],
    );
  });

  it('is known on the row of its tunnel while that is tried again, too, and on no other', () => {
    const id = sandboxTunnelId(sandbox);
    const connection = sandboxConnection(sandbox);
    const failure: Failure = { kind: 'connectionLost', host: 'sandbox', reason: 'keepalive' };
    const seen: readonly (readonly [Status, EngineEvent])[] = [
      ['connecting', { kind: 'connecting', connection, attempt: 1 }],
      ['retrying', { kind: 'connectionLost', connection, failure, attempt: 1, retryAt: 0 }],
      ['failed', { kind: 'connectionFailed', connection, failure }],
    ];
    for (const [status, event] of seen) {
      const session = { wanted, snapshot: reduce(emptySnapshot, event) };
      const tunnel = wanted.tunnels.find((one) => one.id === id)!;
      assert.equal(tunnelState(tunnel, session.snapshot).kind, status);
      assert.deepEqual(rowFlags({ id }, session), ['sandbox'], status);
      assert.deepEqual(rowFlags({ id: tunnelId(theirs) }, session), [], status);
    }
  });

  it('goes with all that leads to it, and leaves the rest as it was', () => {
    const added = wantTunnels(withSandbox(wanted, other), [
      { destination: { host: 'sandbox', port: sandbox.port }, spec: mustParseSpec('-D 1080') },
    ]);
    const left = withoutSandbox(added, sandbox);
    assert.deepEqual(
      left.tunnels.map(({ id }) => id),
      ['sandbox -L 8080:web:80', sandboxTunnelId(other)],
    );
    assert.deepEqual(left.sandboxes, { [sandboxConnection(other)]: other.configFile });
    const { starts: _, ...none } = withoutSandbox(left, other);
    const { starts: _before, ...before } = wantTunnels(nothingWanted, [theirs]);
    assert.deepEqual(none, before);
  });

  it('is used as long as anything on the list leads to it', () => {
    assert.equal(usesSandbox(wanted, sandbox), true);
    assert.equal(usesSandbox(wanted, other), false);
    assert.equal(usesSandbox(removeTunnels(wanted, [sandboxTunnelId(sandbox)]), sandbox), false);
  });

  it('is not kept for the next window', () => {
    assert.deepEqual(
      storeTunnels(wanted)?.tunnels.map(({ host, forward }) => [host, forward]),
      [['sandbox', '-L 8080:web:80']],
    );
    assert.equal(storeTunnels(withSandbox(nothingWanted, sandbox)), undefined);
  });
});

describe('the sandbox’s page', () => {
  after(() => useTranslations(undefined));

  it('says that it works, in the user’s language and without markup of it', () => {
    assert.match(sandboxPage(), /<h1>It works<\/h1>[^]*<p>This page came through an SSH tunnel\.<\/p>/);
    useTranslations({ 'It works': 'Es <klappt> & läuft' });
    assert.match(sandboxPage(), /<title>Es &#60;klappt&#62; &#38; läuft<\/title>/);
    assert.doesNotMatch(sandboxPage(), /\{\w+\}/);
  });
});
