import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { BoundAddress } from '../../src/core/engine.js';
import { presetTunnels, type Preset } from '../../src/core/preset.js';
import { tunnelId } from '../../src/core/session.js';
import { terminalVariables, variablePrefix } from '../../src/core/terminalVariables.js';
import { mustParseSpec } from '../support/mustParseSpec.js';
import { silentSession } from '../support/silentSession.js';

const preset = (name: string, ...forwards: string[]): Preset => ({
  name,
  destination: { host: 'bastion' },
  forwards: forwards.map((forward) => mustParseSpec(forward)),
  autoStart: false,
  terminalVariables: true,
  scope: { kind: 'user' },
});

/** A session in which these presets are wanted, and each forward listens where it is said, if it is. */
function sessionWith(presets: readonly Preset[], bound: readonly (string | undefined)[]) {
  const tunnels = presets.flatMap(presetTunnels);
  const { session, tell, listens } = silentSession(tunnels);
  tell({ kind: 'connected', connection: 'bastion', server: 'bastion:22' });
  tunnels.forEach((tunnel, index) => {
    const text = bound[index];
    if (text === undefined) return;
    const at = text.lastIndexOf(':');
    const one: BoundAddress = text.startsWith('/')
      ? { kind: 'unix', path: text }
      : { kind: 'tcp', address: text.slice(0, at), port: Number(text.slice(at + 1)) };
    listens(tunnelId(tunnel), one);
  });
  return session.state;
}

describe('variables of new terminals', () => {
  it('are the port, those of further forwards by number, and the host where it isn’t 127.0.0.1', () => {
    const own = preset('Billing DB', '-L 5432:db:5432', '-L [::1]:6379:cache:6379', '-D 10.0.0.1:1080');
    const state = sessionWith([own], ['127.0.0.1:5432', '::1:6379', '10.0.0.1:1080']);
    assert.deepEqual(terminalVariables([own], state), {
      variables: {
        SSH_TUNNEL_BILLING_DB_PORT: '5432',
        SSH_TUNNEL_BILLING_DB_PORT_2: '6379',
        SSH_TUNNEL_BILLING_DB_HOST_2: '::1',
        SSH_TUNNEL_BILLING_DB_PORT_3: '1080',
        SSH_TUNNEL_BILLING_DB_HOST_3: '10.0.0.1',
      },
      hidden: [],
    });
  });

  it('reach a wildcard by loopback', () => {
    const own = preset('web', '-L 0.0.0.0:80:web:80', '-L [::]:81:web:80');
    const state = sessionWith([own], ['0.0.0.0:80', ':::81']);
    assert.deepEqual(terminalVariables([own], state).variables, {
      SSH_TUNNEL_WEB_PORT: '80',
      SSH_TUNNEL_WEB_PORT_2: '81',
      SSH_TUNNEL_WEB_HOST_2: '::1',
    });
  });

  it('are none while a forward of the preset is not ready, and none that the preset does not ask for', () => {
    const own = preset('DB', '-L 5432:db:5432', '-L 6379:cache:6379');
    assert.deepEqual(terminalVariables([own], sessionWith([own], ['127.0.0.1:5432'])).variables, {});
    const { terminalVariables: _, ...silent } = own;
    const state = sessionWith([silent], ['127.0.0.1:5432', '127.0.0.1:6379']);
    assert.deepEqual(terminalVariables([silent], state).variables, {});
  });

  it('leave out what has no port on this machine', () => {
    const own = preset('DB', '-R 8080:localhost:80', '-L /tmp/db.sock:db:5432', '-L 5432:db:5432');
    const state = sessionWith([own], ['127.0.0.1:8080', '/tmp/db.sock', '127.0.0.1:5432']);
    assert.deepEqual(terminalVariables([own], state).variables, { SSH_TUNNEL_DB_PORT: '5432' });
  });

  it('are those of the first of two presets that come to the same name', () => {
    const [one, other] = [preset('my db', '-L 1:db:1'), preset('My-DB', '-L 2:db:2')];
    const state = sessionWith([one, other], ['127.0.0.1:1', '127.0.0.1:2']);
    assert.deepEqual(terminalVariables([one, other], state), {
      variables: { SSH_TUNNEL_MY_DB_PORT: '1' },
      hidden: [{ preset: 'My-DB', by: 'my db' }],
    });
  });

  it('have names that every shell takes, whatever the preset is called', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) =>
        assert.match(variablePrefix(name), /^SSH_TUNNEL_[A-Z0-9_]*$/),
      ),
    );
  });
});
