import assert from 'node:assert/strict';
import { FailureError, errorCode, failureOf } from '../../src/core/failure.js';
import type { ChannelRefusal, DestinationProblem, Failure, SpecProblem } from '../../src/core/failure.js';
import { parseForward } from '../../src/core/forwardSpec.js';
import {
  accessText,
  boundText,
  destinationProblem,
  effectText,
  failureText,
  hostPort,
  isLoopback,
  listenText,
  specProblem,
  targetText,
} from '../../src/core/wording.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

type Sample<F> = readonly [failure: F, ...names: string[]];

const refusals: ChannelRefusal[] = ['prohibited', 'connectFailed', 'unknownType', 'resourceShortage', 'other'];
const lostReasons = ['closed', 'keepalive', 'reset', 'disconnected'] as const;
const key = { host: '[web01]:2222', keyType: 'ssh-ed25519', fingerprint: 'SHA256:abc' };
const place = { file: '/home/ann/.ssh/known_hosts', line: 7 };
const inUse: Failure = { kind: 'portInUse', address: '::1', port: 5432 };

/** Failures of each kind, with what their sentence must name. */
const samples: { [K in Failure['kind']]: readonly Sample<Failure & { kind: K }>[] } = {
  badSpec: [[{ kind: 'badSpec', text: '8080:web', at: 8, problem: { kind: 'targetPortMissing' } }, '8080:web']],
  badDestination: [[{ kind: 'badDestination', text: 'bob@', at: 4, problem: { kind: 'hostMissing' } }, 'bob@']],
  notSupportedYet: [[{ kind: 'notSupportedYet', what: 'A dynamic forward (-D)' }, '-D']],
  sshConfig: [
    [{ kind: 'sshConfig', detail: 'line 7: Bad port' }, 'line 7'],
    [{ kind: 'sshConfig', detail: 'line 7: Bad port.\n' }, 'line 7'],
  ],
  jumpLoop: [[{ kind: 'jumpLoop', host: 'db01', hop: 'bastion' }, 'db01', 'bastion', 'ProxyJump']],
  hostNotFound: [[{ kind: 'hostNotFound', host: 'web01' }, 'web01']],
  connectFailed: ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'EPERM'].map((code) => [
    { kind: 'connectFailed', host: '::1', port: 2222, code },
    '[::1]:2222',
  ]),
  connectTimeout: [[{ kind: 'connectTimeout', host: 'web01', port: 22, seconds: 20 }, 'web01:22', '20 s']],
  hopRefused: refusals.flatMap((refusal) =>
    ['', 'Connection refused', 'Name or service not known'].map(
      (detail) =>
        [{ kind: 'hopRefused', hop: 'bastion', target: 'db01:22', refusal, detail }, 'bastion', 'db01:22'] as const,
    ),
  ),
  notSsh: [
    [{ kind: 'notSsh', host: 'web01', port: 80, said: 'HTTP/1.1 400' }, 'web01:80', 'HTTP/1.1 400', 'Check the port'],
    [{ kind: 'notSsh', host: 'web01', port: 22, said: 'Exceeded MaxStartups' }, 'web01:22', 'Try again later'],
  ],
  handshakeFailed: [[{ kind: 'handshakeFailed', host: 'web01', detail: 'no cipher' }, 'web01', 'no cipher']],
  hostKeyUnknown: [true, false].map((strict) => [
    { kind: 'hostKeyUnknown', ...key, strict },
    '[web01]:2222',
    'SHA256:abc',
  ]),
  hostKeyChanged: [[{ kind: 'hostKeyChanged', ...key, ...place }, '[web01]:2222', 'SHA256:abc', 'line 7', place.file]],
  hostKeyRevoked: [[{ kind: 'hostKeyRevoked', ...key, ...place }, '[web01]:2222', 'SHA256:abc', 'line 7', place.file]],
  knownHostsUnreadable: [[{ kind: 'knownHostsUnreadable', file: '/k', code: 'EACCES' }, '/k', 'EACCES']],
  authFailed: [
    [{ kind: 'authFailed', user: 'bob', host: 'web01', tried: [], offered: [], notes: [] }, 'bob', 'web01'],
    [
      {
        kind: 'authFailed',
        user: 'bob',
        host: 'web01',
        tried: ['/k1'],
        offered: ['publickey'],
        notes: [{ kind: 'keyInvalid', path: '/k2' }],
        detail: 'Too many authentication failures.',
      },
      'bob',
      'web01',
      '/k1',
      'publickey',
      '/k2',
      'Too many authentication failures',
    ],
  ],
  keyUnreadable: ['ENOENT', 'EACCES'].map((code) => [{ kind: 'keyUnreadable', path: '/k', code }, '/k']),
  keyInvalid: [[{ kind: 'keyInvalid', path: '/k' }, '/k']],
  keyUnprotected: [[{ kind: 'keyUnprotected', path: '/k', mode: 0o644 }, '/k', '0644', 'chmod 600 /k']],
  passphraseWrong: [[{ kind: 'passphraseWrong', path: '/k' }, '/k']],
  agentUnreachable: [[{ kind: 'agentUnreachable', path: '/s', code: 'ENOENT' }, '/s', 'ENOENT']],
  signatureRefused: [[{ kind: 'signatureRefused', key: 'ann@home' }, 'ann@home']],
  connectionLost: lostReasons.flatMap((reason) => [
    [{ kind: 'connectionLost', host: 'web01', reason }, 'web01'],
    [{ kind: 'connectionLost', host: 'web01', reason, detail: 'by administrator.' }, 'web01'],
  ]),
  portInUse: [[inUse, '[::1]:5432']],
  portForbidden: [[{ kind: 'portForbidden', address: '127.0.0.1', port: 80 }, '127.0.0.1:80', '1023']],
  addressUnavailable: [[{ kind: 'addressUnavailable', address: '192.0.2.7', port: 80 }, '192.0.2.7']],
  listenFailed: [[{ kind: 'listenFailed', address: '*', port: 80, code: 'EIO' }, '*:80', 'EIO']],
  channelRefused: refusals.flatMap((refusal) =>
    ['', 'Connection refused', 'Name or service not known'].map(
      (detail) =>
        [
          { kind: 'channelRefused', target: 'db:5432', host: 'web01', refusal, detail },
          'web01',
          ...(refusal === 'unknownType' ? [] : ['db:5432']),
        ] as const,
    ),
  ),
  forwardsIncomplete: [[{ kind: 'forwardsIncomplete', failures: [inUse, inUse] }, '[::1]:5432']],
  workspaceUntrusted: [[{ kind: 'workspaceUntrusted' }, 'workspace']],
  engineEnded: [[{ kind: 'engineEnded', detail: 'out of memory' }, 'out of memory']],
  cancelled: [[{ kind: 'cancelled' }]],
  unexpected: [[{ kind: 'unexpected', detail: 'no such thing.' }, 'no such thing']],
};

function assertReadable(text: string) {
  assert.doesNotMatch(text, /undefined|null|\[object|NaN|function|\n/);
  assert.doesNotMatch(text, /\.\.|\s\s|\s[.,]| $|^\s*$|\(\)/);
}

describe('failureText', () => {
  for (const [kind, ofKind] of Object.entries<readonly Sample<Failure>[]>(samples))
    it(`says what failed, where it did and ends its sentence: ${kind}`, () => {
      assert.ok(ofKind.length > 0);
      for (const [failure, ...names] of ofKind) {
        const text = failureText(failure);
        assertReadable(text);
        assert.match(text, /\.$/);
        for (const name of names) assert.ok(text.includes(name), `“${text}” names ${name}`);
      }
    });

  const exact: [Failure, string][] = [
    [
      { kind: 'badSpec', text: '8080:web', at: 8, problem: { kind: 'targetPortMissing' } },
      '“8080:web”: target port missing, at the end.',
    ],
    [
      { kind: 'badSpec', text: '8080:my web:80', at: 7, problem: { kind: 'blank' } },
      '“8080:my web:80”: a blank inside the forward, at character 8.',
    ],
    [{ kind: 'badSpec', text: '', at: 0, problem: { kind: 'empty' } }, '“”: nothing to forward.'],
    [
      { kind: 'connectFailed', host: 'web01', port: 22, code: 'ECONNREFUSED' },
      'web01:22 refused the connection. Check that an SSH server runs there and the port is right.',
    ],
    [
      { kind: 'portInUse', address: '127.0.0.1', port: 5432 },
      '127.0.0.1:5432 is already in use on this machine. Stop the program that uses it, or choose another port.',
    ],
    [
      { kind: 'portForbidden', address: '127.0.0.1', port: 80 },
      '127.0.0.1:80 can’t be listened on: ports below 1024 are for administrators here. Choose a port above 1023.',
    ],
    [
      { kind: 'channelRefused', target: 'db:5432', host: 'web01', refusal: 'prohibited', detail: 'open failed' },
      'web01 forbids forwarding to db:5432. Ask who runs it about AllowTcpForwarding and PermitOpen.',
    ],
    [
      {
        kind: 'channelRefused',
        target: 'db:5432',
        host: 'web01',
        refusal: 'connectFailed',
        detail: 'Connection refused',
      },
      'db:5432 refused the connection, as web01 sees it. Check that the service runs there.',
    ],
    [
      { kind: 'hopRefused', hop: 'bastion', target: 'db01:22', refusal: 'connectFailed', detail: 'Connection refused' },
      'db01:22 refused the connection, as bastion sees it. Check that an SSH server runs there and the port is right.',
    ],
    [
      { kind: 'hopRefused', hop: 'bastion', target: 'db01:22', refusal: 'prohibited', detail: 'open failed' },
      'bastion forbids connecting on to db01:22. Ask who runs it about AllowTcpForwarding and PermitOpen.',
    ],
    [
      { kind: 'connectionLost', host: 'web01', reason: 'disconnected', detail: 'Timeout, client not responding.' },
      'web01 ended the connection: Timeout, client not responding.',
    ],
    [
      { kind: 'authFailed', user: 'bob', host: 'web01', tried: ['/k1', 'password'], offered: ['publickey'], notes: [] },
      'web01 did not let bob in. Tried: /k1, password. The server accepts: publickey. Check the user name and which key the server knows.', // prettier-ignore
    ],
  ];
  for (const [failure, text] of exact) it(`says “${text}”`, () => assert.equal(failureText(failure), text));
});

describe('the problems of a text', () => {
  const ofSpec: { [K in SpecProblem['kind']]: SpecProblem & { kind: K } } = {
    empty: { kind: 'empty' },
    blank: { kind: 'blank' },
    option: { kind: 'option', option: '-X' },
    bracket: { kind: 'bracket' },
    bracketTail: { kind: 'bracketTail' },
    backslash: { kind: 'backslash' },
    quote: { kind: 'quote' },
    variable: { kind: 'variable', name: 'HOME' },
    variableSyntax: { kind: 'variableSyntax' },
    tooManyFields: { kind: 'tooManyFields' },
    listenPort: { kind: 'listenPort', text: '70000' },
    listenPortZero: { kind: 'listenPortZero' },
    targetMissing: { kind: 'targetMissing' },
    targetHostMissing: { kind: 'targetHostMissing' },
    targetPortMissing: { kind: 'targetPortMissing' },
    targetPort: { kind: 'targetPort', text: 'x' },
    pathTooLong: { kind: 'pathTooLong' },
    hostTooLong: { kind: 'hostTooLong' },
  };
  const ofDestination: { [K in DestinationProblem['kind']]: DestinationProblem & { kind: K } } = {
    hostMissing: { kind: 'hostMissing' },
    userMissing: { kind: 'userMissing' },
    leadingDash: { kind: 'leadingDash' },
    character: { kind: 'character', character: '$' },
    port: { kind: 'port', text: '0' },
    bracket: { kind: 'bracket' },
    path: { kind: 'path' },
    option: { kind: 'option', option: 'ProxyCommand', reason: 'program' },
    optionValue: { kind: 'optionValue', option: 'ConnectTimeout', text: 'soon' },
    jumpTwice: { kind: 'jumpTwice' },
    word: { kind: 'word', text: 'uptime' },
    quote: { kind: 'quote' },
    backslash: { kind: 'backslash' },
  };

  it('are told apart, in words that can stand inside a sentence', () => {
    const texts = [
      ...Object.values(ofSpec).map(specProblem),
      ...Object.values(ofDestination).map(destinationProblem),
      destinationProblem({ kind: 'character', character: ' ' }),
      destinationProblem({ kind: 'optionValue', option: '-p', text: '' }),
      ...(['hostKey', 'forward', 'elsewhere', 'needless', 'unknown'] as const).map((reason) =>
        destinationProblem({ kind: 'option', option: '-X', reason }),
      ),
      specProblem({ kind: 'option', option: '' }),
      specProblem({ kind: 'variable', name: '' }),
    ];
    for (const text of texts) {
      assertReadable(text);
      assert.doesNotMatch(text, /[.!]$/);
    }
    assert.equal(new Set(texts).size, texts.length);
  });

  it('say what is missing or wrong', () => {
    const said = (kind: 'local' | 'dynamic', text: string) => {
      const result = parseForward(kind, text);
      return result.ok ? 'nothing' : specProblem(result.failure.problem);
    };
    assert.equal(said('local', '8080:web'), 'target port missing');
    assert.equal(said('local', '8080::80'), 'target host missing');
    assert.equal(said('local', '8080'), 'target missing; write port:host:hostport');
    assert.equal(said('local', '::1:8080:web:80'), 'too many fields; write an IPv6 address in [brackets]');
    assert.equal(said('dynamic', '70000'), '“70000” is not a port to listen on (1 to 65535)');
    assert.equal(said('local', '1:${}:2'), 'no name between ${ and }');
  });
});

describe('what a forward does', () => {
  const table: [spec: string, effect: string, access: string][] = [
    ['-L 127.0.0.1:5000:db:5432', '127.0.0.1:5000 on this machine → db:5432, as web01 sees it', 'only this machine'],
    ['-L 5000:db:5432', 'localhost:5000 on this machine → db:5432, as web01 sees it', 'only this machine'],
    ['-L [::1]:5000:[::1]:80', '[::1]:5000 on this machine → [::1]:80, as web01 sees it', 'only this machine'],
    ['-L /a.sock:/b.sock', '/a.sock on this machine → /b.sock, as web01 sees it', 'only you on this machine'],
    ['-L :5000:db:5432', '*:5000 on this machine → db:5432, as web01 sees it. Open to the network!', 'everyone on the network who reaches this machine'], // prettier-ignore
    ['-L 192.0.2.7:5000:db:5432', '192.0.2.7:5000 on this machine → db:5432, as web01 sees it. Open to the network!', 'everyone on the network who reaches this machine'], // prettier-ignore
    ['-D 1080', 'localhost:1080 on this machine → SOCKS proxy, as web01 sees the network', 'only this machine'],
    ['-D *:1080', '*:1080 on this machine → SOCKS proxy, as web01 sees the network. Open to the network!', 'everyone on the network who reaches this machine'], // prettier-ignore
    ['-R 8080:localhost:3000', 'localhost:8080 on web01 → localhost:3000, as this machine sees it', 'only web01'],
    ['-R *:8080:localhost:3000', '*:8080 on web01 → localhost:3000, as this machine sees it', 'everyone on the network who reaches web01'], // prettier-ignore
    ['-R 1080', 'localhost:1080 on web01 → SOCKS proxy, as this machine sees the network', 'only web01'],
  ];
  for (const [text, effect, access] of table)
    it(`is said for ${text}, and who can connect`, () => {
      const spec = mustParseSpec(text);
      assert.equal(effectText(spec, 'web01'), effect);
      assert.equal(accessText(spec.listen, spec.kind === 'remote' ? 'web01' : undefined), access);
    });
});

describe('addresses', () => {
  it('put an IPv6 address into brackets', () => {
    assert.equal(hostPort('127.0.0.1', 80), '127.0.0.1:80');
    assert.equal(hostPort('::1', 80), '[::1]:80');
    assert.equal(
      boundText([
        { kind: 'tcp', address: '127.0.0.1', port: 80 },
        { kind: 'tcp', address: '::1', port: 80 },
      ]),
      '127.0.0.1:80, [::1]:80',
    );
  });

  it('stand for where a forward listens and comes out', () => {
    const texts = ['-L 80:web:81', '-L :80:web:81', '-L [::]:80:[::1]:81', '-L /a:/b', '-D 80', '-R 80'];
    assert.deepEqual(
      texts.map(mustParseSpec).map((spec) => [listenText(spec.listen), targetText(spec)]),
      [
        ['localhost:80', 'web:81'],
        ['*:80', 'web:81'],
        ['[::]:80', '[::1]:81'],
        ['/a', '/b'],
        ['localhost:80', 'SOCKS'],
        ['localhost:80', 'SOCKS'],
      ],
    );
  });

  it('are loopback only where nobody else gets in', () => {
    const loopback = [undefined, 'localhost', 'LOCALHOST', '127.0.0.1', '127.1.2.3', '::1'];
    const open = ['', '*', '0.0.0.0', '::', '192.0.2.7', 'web01', '127.0.0.1.example.com', 'localhost.example.com'];
    assert.deepEqual(
      loopback.filter((bind) => !isLoopback(bind)),
      [],
    );
    assert.deepEqual(open.filter(isLoopback), []);
  });
});

describe('failureOf', () => {
  it('takes out the failure that was thrown', () => {
    assert.equal(failureOf(new FailureError(inUse)), inUse);
  });

  it('makes a failure of anything else', () => {
    assert.deepEqual(failureOf(new Error('x')), { kind: 'unexpected', detail: 'x' });
    assert.deepEqual(failureOf('x'), { kind: 'unexpected', detail: 'x' });
    assert.deepEqual(failureOf(undefined), { kind: 'unexpected', detail: 'undefined' });
  });

  it('leaves the system’s code to errorCode', () => {
    assert.equal(errorCode(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })), 'ECONNREFUSED');
    for (const thrown of [new Error('x'), { code: 5 }, null, undefined, 'x'])
      assert.equal(errorCode(thrown), 'UNKNOWN');
  });
});
