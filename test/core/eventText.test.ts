import assert from 'node:assert/strict';
import type { Ask, EngineEvent } from '../../src/core/engine.js';
import { eventText } from '../../src/core/eventText.js';
import type { Failure } from '../../src/core/failure.js';

const refused: Failure = { kind: 'connectFailed', host: 'web01', port: 22, code: 'ECONNREFUSED' };
const stale: Failure = {
  kind: 'remoteRefused',
  host: 'web01',
  user: 'alice',
  listen: { kind: 'tcp', bind: undefined, port: 8080 },
  inUse: true,
  isStale: true,
};
const ask: Ask = { id: '7', connection: 'web01', kind: 'password', user: 'alice', host: 'web01', port: 22, attempt: 1 };
const listening = {
  kind: 'listening',
  forward: 'f',
  run: 1,
  unbound: [],
  asked: 'machine',
  access: 'machine',
} as const;
const bound = [{ kind: 'tcp', address: '127.0.0.1', port: 5432 }] as const;

describe('a line of the log', () => {
  const lines: [EngineEvent, string | undefined][] = [
    [{ kind: 'connecting', connection: 'web01', attempt: 2 }, 'info web01: connecting (attempt 2)'],
    [{ kind: 'connected', connection: 'web01', server: 'a@b:22' }, 'info web01: connected as a@b:22'],
    [
      { kind: 'connectionLost', connection: 'web01', failure: refused, attempt: 1, retryAt: 6240 },
      'warning web01: retrying (attempt 2 in 1.2 s). web01:22 refused',
    ],
    [
      { kind: 'connectionLost', connection: 'web01', failure: refused, attempt: 11, retryAt: 34_600 },
      'warning web01: retrying (attempt 12 in 30 s). web01:22 refused',
    ],
    [
      {
        kind: 'connectionLost',
        connection: 'web01',
        failure: { kind: 'hop', hop: 'gw', host: 'web01', failure: { kind: 'hostNotFound', host: 'gw' } },
        attempt: 1,
        retryAt: 0,
      },
      'warning web01: retrying (attempt 2 in 0.0 s). On the way to web01: gw was not found',
    ],
    [{ kind: 'connectionIdle', connection: 'web01' }, 'info web01: not connected, waits for a client.'],
    [
      { kind: 'connectionIdle', connection: 'web01', failure: refused },
      'info web01: not connected, waits for a client. web01:22 refused',
    ],
    [
      { kind: 'listenRetrying', forward: 'f', run: 1, failure: stale, attempt: 2, retryAt: 7000 },
      'warning f: retrying (attempt 3 in 2.0 s). ',
    ],
    [
      { kind: 'runningElsewhere', forward: 'f', run: 1, state: { kind: 'connecting' } },
      'info f: connecting in another window',
    ],
    [{ kind: 'listenFailed', forward: 'f', run: 1, failure: { kind: 'cancelled' } }, 'info f: cancelled'],
    [{ kind: 'connectionFailed', connection: 'web01', failure: refused }, 'error web01: failed. web01:22 refused'],
    [{ kind: 'connectionFailed', connection: 'web01', failure: { kind: 'cancelled' } }, 'info web01: cancelled'],
    [{ ...listening, bound }, 'info f: listening on 127.0.0.1:5432.'],
    [{ ...listening, bound: [{ kind: 'unix', path: '/run/f' }], access: 'unknown' }, 'info f: listening on /run/f.'],
    [
      { ...listening, bound, unbound: [{ kind: 'portInUse', address: '::1', port: 5432 }] },
      'warning f: listening on 127.0.0.1:5432. [::1]:5432 is already in use',
    ],
    [
      { ...listening, bound, asked: 'network', access: 'network' },
      'info f: listening on 127.0.0.1:5432. Open to the network.',
    ],
    [
      { ...listening, bound, access: 'network' },
      'warning f: listening on 127.0.0.1:5432. Open to the network. Who can connect: network; asked for: machine.',
    ],
    [
      { ...listening, bound, asked: 'network' },
      'warning f: listening on 127.0.0.1:5432. Who can connect: machine; asked for: network.',
    ],
    [{ kind: 'forwardClosed', forward: 'f' }, 'info f: stopped listening'],
    [{ kind: 'drained', forward: 'f', run: 1 }, 'info f: its last client has left'],
    [{ kind: 'channelOpened', forward: 'f' }, undefined],
    [
      { kind: 'channelFailed', forward: 'f', failure: { kind: 'targetNotPermitted', target: 'db:1' } },
      'warning f: db:1 may not be reached',
    ],
    [{ kind: 'connectionClosed', connection: 'web01' }, 'info web01: closed'],
    [
      { kind: 'listenFailed', forward: 'f', run: 1, failure: { kind: 'portInUse', address: '::1', port: 1 } },
      'error f: failed. [::1]:1 is',
    ],
    [
      { kind: 'serverSaid', connection: 'web01', host: 'gw', about: 'login', text: 'Push\nsent' },
      'info web01: gw said: Push\n  sent',
    ],
    [{ kind: 'asked', ask }, 'info web01: waiting for an answer (password)'],
    [{ kind: 'askSettled', id: '7' }, undefined],
    [{ kind: 'logged', level: 'debug', text: 'hello' }, 'debug hello'],
    [
      { kind: 'engineEnded', detail: 'out of memory', isRestarted: true },
      'error The tunnel engine ended unexpectedly (out of memory) and was started again; open connections were cut.',
    ],
    [{ kind: 'engineEnded', detail: 'out of memory' }, 'error The tunnel engine ended unexpectedly (out of memory)'],
  ];
  for (const [event, expected] of lines)
    it(`tells of ${event.kind}${expected === undefined ? ' nothing' : ` “${expected}”`}`, () => {
      const said = eventText(event, 5000);
      if (expected === undefined) assert.equal(said, undefined);
      else if (expected.endsWith('.')) assert.equal(said && `${said.level} ${said.text}`, expected);
      else assert.ok(said && `${said.level} ${said.text}`.startsWith(expected), JSON.stringify(said));
    });
});
