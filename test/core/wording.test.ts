import assert from 'node:assert/strict';
import { FailureError, errorCode, failureOf } from '../../src/core/failure.js';
import type { Access, BoundAddress } from '../../src/core/engine.js';
import type {
  ChannelRefusal,
  CommandProblem,
  DestinationProblem,
  Failure,
  SpecProblem,
} from '../../src/core/failure.js';
import { parseForward } from '../../src/core/forwardSpec.js';
import {
  accessText,
  askedAccess,
  boundText,
  commandProblem,
  destinationProblem,
  effectText,
  failureText,
  hostPort,
  isLoopback,
  isWider,
  listenedProblems,
  listenText,
  specProblem,
  targetText,
} from '../../src/core/wording.js';
import { knownHostsCommand } from '../../src/core/knownHostsCommand.js';
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
  badCommand: [
    [{ kind: 'badCommand', text: 'docker run', at: 0, problem: { kind: 'notSsh', word: 'docker' } }, 'docker run'],
  ],
  noForward: [[{ kind: 'noForward', host: 'web01' }, 'web01', '-L']],
  noSuchForward: [
    [{ kind: 'noSuchForward', line: '-KL 8080', near: ['-KL *:8080', '-KR 8080'] }, '-KL *:8080 or -KR 8080'],
    [{ kind: 'noSuchForward', line: '-KL 8080', near: [] }, '-KL 8080'],
  ],
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
  hop: [
    [{ kind: 'hop', hop: 'bastion', host: 'db01', failure: { kind: 'hostNotFound', host: 'b.lan' } }, 'db01', 'bastion', 'b.lan'], // prettier-ignore
  ],
  proxyCommandFailed: [
    [{ kind: 'proxyCommandFailed', host: 'web01', code: 127, said: 'exec: nc: not found' }, 'web01', '127', 'exec: nc: not found'], // prettier-ignore
    [{ kind: 'proxyCommandFailed', host: 'web01', code: 'ENOENT', said: '' }, 'web01', 'ENOENT', 'SHELL'],
    [{ kind: 'proxyCommandFailed', host: 'web01', said: '' }, 'web01', 'ProxyCommand', 'ssh_config'],
  ],
  notSsh: [
    [{ kind: 'notSsh', host: 'web01', port: 80, said: 'HTTP/1.1 400' }, 'web01:80', 'HTTP/1.1 400', 'Check the port'],
    [{ kind: 'notSsh', host: 'web01', port: 22, said: 'Exceeded MaxStartups' }, 'web01:22', 'Try again later'],
  ],
  handshakeFailed: [[{ kind: 'handshakeFailed', host: 'web01', detail: 'no cipher' }, 'web01', 'no cipher']],
  noCommonAlgorithm: [
    [
      { kind: 'noCommonAlgorithm', host: 'web01', use: 'kex', ours: ['ours-1', 'ours-2'], theirs: ['new-1', 'x-sha1'] },
      'web01 and this machine have no key exchange in common',
      'new-1, x-sha1',
      'ours-1, ours-2',
      'Check KexAlgorithms in ssh_config',
    ],
    [
      {
        kind: 'noCommonAlgorithm',
        host: 'web01',
        use: 'hostKey',
        ours: ['ssh-ed25519'],
        theirs: ['ssh-dss', 'ssh-rsa'],
      },
      'too old to be safe',
      'HostKeyAlgorithms +ssh-rsa in ssh_config',
    ],
    [
      { kind: 'noCommonAlgorithm', host: 'web01', use: 'cipher', ours: ['aes128-ctr'], theirs: ['arcfour'] },
      'ask who runs it to update it.',
    ],
    [{ kind: 'noCommonAlgorithm', host: 'web01', use: 'mac', ours: ['hmac-sha2-256'], theirs: [] }, 'has none', 'MACs'],
  ],
  nothingToOffer: [
    [
      { kind: 'nothingToOffer', host: 'web01', use: 'cipher', asked: ['a', 'b'], possible: ['c', 'd'] },
      'Ciphers in ssh_config',
      'web01',
      'a, b',
      'c, d',
    ],
  ],
  hostKeyUnknown: [
    [{ kind: 'hostKeyUnknown', ...key, because: 'strict' }, '[web01]:2222', 'SHA256:abc', 'StrictHostKeyChecking'],
    [{ kind: 'hostKeyUnknown', ...key, because: 'batch' }, '[web01]:2222', 'SHA256:abc', 'BatchMode'],
    [{ kind: 'hostKeyUnknown', ...key, because: 'refused' }, '[web01]:2222', 'SHA256:abc', 'not accepted'],
  ],
  hostKeyChanged: [
    [
      { kind: 'hostKeyChanged', ...key, ...place, knownType: 'ssh-ed25519', lax: false },
      '[web01]:2222',
      'SHA256:abc',
      'line 7',
      place.file,
      `ssh-keygen -R '[web01]:2222' -f ${place.file}`,
    ],
    [{ kind: 'hostKeyChanged', ...key, ...place, knownType: 'ssh-rsa', lax: true }, 'ssh-rsa', 'StrictHostKeyChecking'],
    [
      { kind: 'hostKeyChanged', ...key, file: knownHostsCommand, line: 1, knownType: 'ssh-rsa', lax: false },
      'KnownHostsCommand',
    ],
    [
      {
        kind: 'hostKeyChanged',
        ...key,
        ...place,
        knownType: 'ssh-rsa',
        lax: false,
        shared: { line: 5, hosts: '*.lan' },
      },
      `edit ${place.file} by hand: line 5`,
      '“*.lan”',
    ],
  ],
  hostAddressChanged: [
    [
      { kind: 'hostAddressChanged', ...key, ...place, address: '[192.0.2.7]:2222' },
      '[web01]:2222',
      'CheckHostIP',
      `ssh-keygen -R '[192.0.2.7]:2222' -f ${place.file}`,
    ],
  ],
  hostKeyRevoked: [
    ...(['key', 'certificate', 'authority'] as const).map((what): Sample<Failure & { kind: 'hostKeyRevoked' }> => [
      { kind: 'hostKeyRevoked', what, ...key, ...place },
      '[web01]:2222',
      'SHA256:abc',
      'line 7',
      place.file,
    ]),
    [{ kind: 'hostKeyRevoked', what: 'key', ...key, file: '/etc/ssh/revoked' }, '[web01]:2222', '/etc/ssh/revoked'],
  ],
  hostKeyTooShort: [
    [{ kind: 'hostKeyTooShort', host: 'web01', bits: 768, least: 1024 }, 'web01', '768', 'not safe', '1024'],
    [
      { kind: 'hostKeyTooShort', host: 'web01', bits: 2048, least: 3072, isAsked: true },
      '2048',
      'RequiredRSASize',
      '3072',
    ],
  ],
  hostCertificateExpired: [
    [{ kind: 'hostCertificateExpired', host: 'web01', until: Date.UTC(2026, 2, 5, 14, 30) }, 'web01', '5 March 2026, 14:30 UTC'], // prettier-ignore
  ],
  hostCertificateEarly: [
    [{ kind: 'hostCertificateEarly', host: 'web01', from: Date.UTC(2026, 2, 5, 14, 30) }, 'web01', '5 March 2026, 14:30 UTC'], // prettier-ignore
    [{ kind: 'hostCertificateEarly', host: 'web01', from: 8_640_000_000_000_000 }, 'web01', '275760'],
  ],
  hostCertificateForOthers: [
    [{ kind: 'hostCertificateForOthers', host: 'web01', principals: ['db01', 'db02'] }, 'web01', 'db01, db02'],
    [{ kind: 'hostCertificateForOthers', host: 'web01', principals: [] }, 'web01'],
    [
      { kind: 'hostCertificateForOthers', host: 'web01', principals: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] },
      'a, b, c, d, e and 2 more',
    ],
  ],
  hostCertificateInvalid: (['malformed', 'signature', 'user', 'options', 'algorithm'] as const).map((reason) => [
    { kind: 'hostCertificateInvalid', host: 'web01', reason, names: ['ssh-rsa'] },
    'web01',
  ]),
  revokedKeysUnreadable: ['ENOENT', 'INVALID'].map((code) => [
    { kind: 'revokedKeysUnreadable', file: '/etc/ssh/revoked', code },
    '/etc/ssh/revoked',
    'RevokedHostKeys',
  ]),
  knownHostsCommandFailed: [
    [{ kind: 'knownHostsCommandFailed', program: '/usr/bin/keys', detail: 'exit code 3' }, '/usr/bin/keys', 'exit code 3'], // prettier-ignore
  ],
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
    [
      {
        kind: 'authFailed',
        user: 'bob',
        host: 'web01',
        tried: ['/k1'],
        offered: ['publickey'],
        notes: [],
        detail: 'Too many authentication failures',
        isUnfinished: true,
      },
      'before all was tried',
      'IdentityFile',
      'IdentitiesOnly',
    ],
    [
      { kind: 'authFailed', user: 'bob', host: 'web01', tried: [], offered: ['password'], notes: [], isBatch: true },
      'BatchMode in ssh_config lets nobody be asked',
    ],
  ],
  keyUnreadable: ['ENOENT', 'EACCES'].map((code) => [{ kind: 'keyUnreadable', path: '/k', code }, '/k']),
  keyInvalid: [[{ kind: 'keyInvalid', path: '/k' }, '/k']],
  keyCipherUnknown: [
    [{ kind: 'keyCipherUnknown', path: '/k', cipher: 'x@y' }, '/k', 'with x@y, which', 'ssh-keygen -p -f /k'],
    [{ kind: 'keyCipherUnknown', path: '/k', cipher: '' }, '/k', 'in a way that can’t', 'SSH agent'],
  ],
  keyTooShort: [[{ kind: 'keyTooShort', key: '/k', bits: 2048, least: 3072 }, '/k', '2048', '3072', 'RequiredRSASize']],
  keyTooLong: [[{ kind: 'keyTooLong', key: '/k' }, '/k', 'longer']],
  keyTooMuchWork: [[{ kind: 'keyTooMuchWork', path: '/k' }, '/k', 'too long', 'SSH agent']],
  keyUnprotected: [[{ kind: 'keyUnprotected', path: '/k', mode: 0o644 }, '/k', '0644', 'chmod 600 /k']],
  passphraseWrong: [[{ kind: 'passphraseWrong', path: '/k' }, '/k']],
  keyNeedsAgent: [[{ kind: 'keyNeedsAgent', path: '/k_sk' }, 'ssh-add /k_sk']],
  keyNotAllowed: [
    [{ kind: 'keyNotAllowed', key: '/id_rsa' }, '/id_rsa', 'PubkeyAcceptedAlgorithms'],
    [{ kind: 'keyNotAllowed', key: '/id_rsa', wantsSha1: true }, '/id_rsa', 'SHA-1', 'not used here'],
  ],
  certificateUnusable: [
    [{ kind: 'certificateUnusable', path: '/k-cert.pub', reason: 'noKey' }, '/k-cert.pub', 'private key'],
    [{ kind: 'certificateUnusable', path: '/k-cert.pub', reason: 'host' }, '/k-cert.pub', 'host'],
    [{ kind: 'certificateUnusable', path: '/k-cert.pub', reason: 'invalid' }, '/k-cert.pub'],
  ],
  passwordExpired: [[{ kind: 'passwordExpired', user: 'ann', host: 'web01' }, 'ann', 'web01', 'ssh in a terminal']],
  answerNeeded: [
    [{ kind: 'answerNeeded', host: 'web01', what: 'hostKey' }, 'web01 waits for you', 'host key'],
    [{ kind: 'answerNeeded', host: 'web01', what: 'passphrase', path: '/k' }, 'web01', 'passphrase of /k'],
    [{ kind: 'answerNeeded', host: 'web01', what: 'password' }, 'web01', 'password'],
    [{ kind: 'answerNeeded', host: 'web01', what: 'interactive' }, 'web01', 'code'],
    [{ kind: 'answerNeeded', host: 'web01', what: 'openToNetwork' }, 'web01', 'network'],
  ],
  agentUnreachable: [[{ kind: 'agentUnreachable', path: '/s', code: 'ENOENT' }, '/s', 'ENOENT']],
  signatureRefused: [[{ kind: 'signatureRefused', key: 'ann@home' }, 'ann@home']],
  connectionLost: lostReasons.flatMap((reason) => [
    [{ kind: 'connectionLost', host: 'web01', reason }, 'web01'],
    [{ kind: 'connectionLost', host: 'web01', reason, detail: 'by administrator.' }, 'web01'],
  ]),
  portInUse: [
    [inUse, '[::1]:5432'],
    [{ ...inUse, owner: { program: 'node', pid: 4242 } }, '[::1]:5432', 'node (pid 4242)'],
  ],
  portForbidden: [
    [{ kind: 'portForbidden', address: '127.0.0.1', port: 80 }, '127.0.0.1:80', '1023'],
    [{ kind: 'portForbidden', address: '127.0.0.1', port: 50000 }, '127.0.0.1:50000', 'another port'],
  ],
  remoteHalf: [[{ kind: 'remoteHalf', host: 'web01', address: '::1', port: 8080 }, 'web01', '[::1]:8080']],
  addressUnavailable: [[{ kind: 'addressUnavailable', address: '192.0.2.7', port: 80 }, '192.0.2.7']],
  listenFailed: [[{ kind: 'listenFailed', address: '*', port: 80, code: 'EIO' }, '*:80', 'EIO']],
  socketInUse: [[{ kind: 'socketInUse', path: '/run/a' }, '/run/a', 'another path']],
  socketStale: [[{ kind: 'socketStale', path: '/run/a' }, '/run/a', 'Remove the file', 'StreamLocalBindUnlink']],
  socketBlocked: [[{ kind: 'socketBlocked', path: '/run/a' }, '/run/a', 'another path']],
  socketFailed: ['ENOENT', 'EACCES', 'EPERM', 'EROFS'].map((code) => [{ kind: 'socketFailed', path: '/run/a', code }, '/run/a']), // prettier-ignore
  remoteRefused: [true, false].flatMap((inUse) =>
    ['-R 8080', '-R 80', '-R *:8080', '-R 0', '-R *:0', '-R /run/a:db:1'].map(
      (text) =>
        [
          { kind: 'remoteRefused', host: 'web01', user: 'bob', listen: mustParseSpec(text).listen, inUse },
          'web01',
          ...text
            .slice(3)
            .split(':')
            .slice(0, -1)
            .filter((part) => part.startsWith('/')),
        ] as const,
    ),
  ),
  targetFailed: [
    'ECONNREFUSED',
    'ENOTFOUND',
    'EAI_AGAIN',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ENOENT',
    'EACCES',
    'EPIPE',
  ].flatMap((code) => [
    [{ kind: 'targetFailed', target: 'db:5432', code }, 'db', 'this machine'] as const,
    [{ kind: 'targetFailed', target: '/run/db', code }, '/run/db', 'this machine'] as const,
  ]),
  targetNotPermitted: [[{ kind: 'targetNotPermitted', target: 'db:5432' }, 'db:5432', 'PermitRemoteOpen']],
  channelRefused: refusals.flatMap((refusal) =>
    ['', 'Connection refused', 'Name or service not known', 'Permission denied', 'Cosmic rays'].flatMap((detail) => [
      [{ kind: 'channelRefused', target: 'db:5432', host: 'web01', refusal, detail }, 'web01', 'db'] as const,
      [{ kind: 'channelRefused', target: '/run/db', host: 'web01', refusal, detail }, 'web01', '/run/db'] as const,
    ]),
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
      { kind: 'portInUse', address: '127.0.0.1', port: 5432, owner: { program: 'postgres', pid: 4242 } },
      '127.0.0.1:5432 is already in use on this machine by postgres (pid 4242). Stop it, or choose another port.',
    ],
    [
      { kind: 'portForbidden', address: '127.0.0.1', port: 80 },
      '127.0.0.1:80 can’t be listened on: ports below 1024 are for administrators here. Choose a port above 1023.',
    ],
    [
      { kind: 'portForbidden', address: '127.0.0.1', port: 50000 },
      '127.0.0.1:50000 can’t be listened on: this machine keeps it for something else. Choose another port.',
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
      { kind: 'hop', hop: 'bastion', host: 'db01', failure: { kind: 'connectionLost', host: 'bastion', reason: 'keepalive' } }, // prettier-ignore
      'On the way to db01: bastion no longer answers.',
    ],
    [
      { kind: 'hop', hop: 'bastion', host: 'db01', failure: { kind: 'authFailed', user: 'bob', host: 'bastion', tried: ['/k1'], offered: ['publickey'], notes: [] } }, // prettier-ignore
      'On the way to db01: bastion did not let bob in. Tried: /k1. The server accepts: publickey. Check the user name and which key the server knows.', // prettier-ignore
    ],
    [
      { kind: 'hop', hop: 'bastion', host: 'db01', failure: { kind: 'connectTimeout', host: '192.0.2.7', port: 22, seconds: 20 } }, // prettier-ignore
      'On the way to db01, at bastion: 192.0.2.7:22 did not answer within 20 s. Check the address and your network or VPN.', // prettier-ignore
    ],
    [
      { kind: 'proxyCommandFailed', host: 'web01', code: 255, said: 'ssh: Could not resolve hostname gate' },
      'The ProxyCommand of web01 ended before SSH began (exit code 255). Its last words: ssh: Could not resolve hostname gate. Check it in ssh_config; the log has all that it said.', // prettier-ignore
    ],
    [
      { kind: 'proxyCommandFailed', host: 'web01', code: 'SIGTERM', said: '' },
      'The ProxyCommand of web01 ended before SSH began (SIGTERM). Check it in ssh_config; the log has all that it said.', // prettier-ignore
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

  it('names the next step for everything that goes wrong with a forward', () => {
    const kinds = [
      'portInUse',
      'portForbidden',
      'addressUnavailable',
      'listenFailed',
      'socketInUse',
      'socketStale',
      'socketBlocked',
      'socketFailed',
      'remoteRefused',
      'remoteHalf',
      'targetFailed',
      'targetNotPermitted',
      'channelRefused',
    ] as const;
    for (const kind of kinds)
      for (const [failure] of samples[kind] as readonly Sample<Failure>[])
        assert.match(failureText(failure), /\. (Add|Ask|Check|Choose|Close|Make|Name|Remove|Start|Stop|Try) [^.]+\.$/);
  });

  it('names the tunnel of this window that has the port instead of the program', () => {
    const owner = { program: 'code', pid: 7 };
    const ofWindow = 'by the tunnel “Billing DB” of this window. Stop it, or choose another port.';
    assert.equal(failureText({ ...inUse, owner }, 'Billing DB'), `[::1]:5432 is already in use on this machine ${ofWindow}`); // prettier-ignore
    const remote = {
      kind: 'remoteRefused',
      host: 'web01',
      user: 'bob',
      listen: mustParseSpec('-R 80').listen,
    } as const;
    assert.equal(failureText({ ...remote, inUse: true }, 'Billing DB'), `localhost:80 is already in use on web01 ${ofWindow}`); // prettier-ignore
  });
});

describe('a target that could not be reached', () => {
  // What OpenSSH 9.2 really sent is marked: for what could not be tried without a name server or a firewall see channels.c,
  // strerror(3) and gai_strerror(3).
  const fromServer: [target: string, refusal: ChannelRefusal, detail: string, text: string][] = [
    /* sent */ ['db:5432', 'connectFailed', 'Connection refused', 'db:5432 refused the connection, as web01 sees it. Check that the service runs there.'], // prettier-ignore
    /* sent */ ['db:5432', 'connectFailed', 'Name or service not known', 'db was not found by web01, where the name is looked up. Check the name.'], // prettier-ignore
    ['db:5432', 'connectFailed', 'Name does not resolve', 'db was not found by web01, where the name is looked up. Check the name.'], // prettier-ignore
    ['db:5432', 'connectFailed', 'nodename nor servname provided, or not known', 'db was not found by web01, where the name is looked up. Check the name.'], // prettier-ignore
    ['db:5432', 'connectFailed', 'No address associated with hostname', 'db was not found by web01, where the name is looked up. Check the name.'], // prettier-ignore
    ['db:5432', 'connectFailed', 'Temporary failure in name resolution', 'db can’t be looked up on web01 at the moment. Try again, or write its address.'], // prettier-ignore
    ['db:5432', 'connectFailed', 'Connection timed out', 'db:5432 did not answer web01. Check the address, and that no firewall is in between.'], // prettier-ignore
    /* sent */ ['[2001:db8::1]:80', 'connectFailed', 'No route to host', '[2001:db8::1]:80 can’t be reached: web01 has no route to it. Check the address, and the network or VPN of web01.'], // prettier-ignore
    ['db:5432', 'connectFailed', 'Network is unreachable', 'db:5432 can’t be reached: web01 has no route to it. Check the address, and the network or VPN of web01.'], // prettier-ignore
    ['db:5432', 'connectFailed', 'Permission denied', 'db:5432 may not be connected to from web01 (Permission denied). Ask who runs the firewall there.'], // prettier-ignore
    /* sent */ ['[fe80::1]:80', 'connectFailed', 'open failed', 'web01 could not connect to [fe80::1]:80 and does not say why; most likely it has no route there. Check the address.'], // prettier-ignore
    ['db:5432', 'connectFailed', '', 'web01 could not connect to db:5432 and does not say why; most likely it has no route there. Check the address.'], // prettier-ignore
    ['db:5432', 'connectFailed', 'Protocol error', 'db:5432 can’t be reached from web01 (Protocol error). Check the address.'], // prettier-ignore
    /* sent */ ['db:5432', 'prohibited', 'open failed', 'web01 forbids forwarding to db:5432 (PermitOpen or AllowTcpForwarding). Ask who runs it.'], // prettier-ignore
    /* sent: missing, not a socket, not allowed by any of the three */ ['/run/db', 'connectFailed', 'open failed', 'web01 could not open /run/db and does not say why. Check that the service runs, that your user there may open it, and that sshd allows it (AllowStreamLocalForwarding, AllowTcpForwarding, PermitOpen).'], // prettier-ignore
    ['/run/db', 'connectFailed', 'No such file or directory', '/run/db does not exist on web01. Check the path, and that the service runs.'], // prettier-ignore
    ['/run/db', 'connectFailed', 'Permission denied', '/run/db on web01 may not be opened by your user there. Ask who runs the service.'], // prettier-ignore
    ['/run/db', 'connectFailed', 'Connection refused', 'Nobody listens on /run/db on web01. Start the service there.'], // prettier-ignore
    ['/run/db', 'prohibited', 'open failed', 'web01 forbids forwarding to /run/db (AllowStreamLocalForwarding). Ask who runs it.'], // prettier-ignore
    ['/run/db', 'unknownType', '', 'web01 can’t forward to Unix sockets such as /run/db: its SSH server does not know how. Choose a host and port.'], // prettier-ignore
  ];
  for (const [target, refusal, detail, text] of fromServer)
    it(`is said to be so for ${target}, ${refusal}, “${detail}”`, () =>
      assert.equal(failureText({ kind: 'channelRefused', target, host: 'web01', refusal, detail }), text));

  const fromHere: [target: string, code: string, text: string][] = [
    ['db:5432', 'ECONNREFUSED', 'db:5432 refused the connection, as this machine sees it. Check that the service runs there.'], // prettier-ignore
    ['db:5432', 'ENOTFOUND', 'db was not found by this machine, where the name is looked up. Check the name.'],
    ['[::1]:80', 'ENETUNREACH', '[::1]:80 can’t be reached: this machine has no route to it. Check the address, and the network or VPN of this machine.'], // prettier-ignore
    ['db:5432', 'ETIMEDOUT', 'db:5432 did not answer this machine. Check the address, and that no firewall is in between.'], // prettier-ignore
    ['db:5432', 'EPIPE', 'db:5432 can’t be reached from this machine (EPIPE). Check the address.'],
    ['/run/db', 'ENOENT', '/run/db does not exist on this machine. Check the path, and that the service runs.'],
    ['/run/db', 'EACCES', '/run/db on this machine may not be opened by you. Ask who runs the service.'],
    ['/run/db', 'ECONNREFUSED', 'Nobody listens on /run/db on this machine. Start the service there.'],
  ];
  for (const [target, code, text] of fromHere)
    it(`is said to be so for ${target}, ${code} on this machine`, () =>
      assert.equal(failureText({ kind: 'targetFailed', target, code }), text));
});

describe('a server that refuses to listen', () => {
  const table: [forward: string, user: string, inUse: boolean, text: string][] = [
    ['-R 8080', 'bob', false, 'web01 refused to listen on localhost:8080. It may forbid it (AllowTcpForwarding, PermitListen), or the port is taken there. Choose another one, or ask who runs it.'], // prettier-ignore
    ['-R 8080', 'bob', true, 'localhost:8080 is already in use on web01, perhaps by a connection of yours that broke and that it still holds. Stop what uses it there, or choose another port.'], // prettier-ignore
    ['-R *:80', 'bob', false, 'web01 refused to listen on *:80: ports below 1024 are for root there. Choose a port above 1023.'], // prettier-ignore
    ['-R *:80', 'root', false, 'web01 refused to listen on *:80. It may forbid it (AllowTcpForwarding, PermitListen), or the port is taken there. Choose another one, or ask who runs it.'], // prettier-ignore
    ['-R 0', 'bob', false, 'web01 refused to choose a port. It may forbid it (AllowTcpForwarding, PermitListen). Name a port that it permits, or ask who runs it.'], // prettier-ignore
    ['-R 192.0.2.7:0', 'bob', false, 'web01 refused to choose a port on 192.0.2.7. It may forbid it (AllowTcpForwarding, PermitListen), or not have that address. Name a port that it permits, or ask who runs it.'], // prettier-ignore
    ['-R /run/a:db:1', 'bob', false, 'web01 refused to listen on /run/a. The file may be there already, its folder missing or not yours, or sshd forbids it (AllowStreamLocalForwarding, AllowTcpForwarding). Remove the file there, or choose another path.'], // prettier-ignore
  ];
  for (const [forward, user, inUse, text] of table)
    it(`is said to, with what to do: ${forward} as ${user}${inUse ? ', in use' : ''}`, () => {
      const { listen } = mustParseSpec(forward);
      assert.equal(failureText({ kind: 'remoteRefused', host: 'web01', user, listen, inUse }), text);
    });

  const stale: [forward: string, holder: string | undefined, text: string][] = [
    ['-R 80', undefined, 'localhost:80 on web01 is still held, most likely by the connection that was lost: its server has not noticed yet. It is asked for again until it is free; to have it sooner, end the old session there, or what else uses it. With ClientAliveInterval in its sshd_config the server notices sooner by itself.'], // prettier-ignore
    ['-R 80', 'Web', 'localhost:80 is already in use on web01 by the tunnel “Web” of this window. Stop it, or choose another port.'], // prettier-ignore
    ['-R /run/a:db:1', undefined, 'web01 refused to listen on /run/a again. Most likely the connection that was lost has left the socket’s file there, and the server does not replace it (StreamLocalBindUnlink no in its sshd_config). Remove the file there and start the tunnel again, or ask who runs web01 for StreamLocalBindUnlink yes.'], // prettier-ignore
  ];
  for (const [forward, holder, text] of stale)
    it(`where it did before, is said with what to do: ${forward}${holder ? ', which another tunnel has' : ''}`, () => {
      const { listen } = mustParseSpec(forward);
      const failure = {
        kind: 'remoteRefused',
        host: 'web01',
        user: 'bob',
        listen,
        inUse: true,
        isStale: true,
      } as const;
      assert.equal(failureText(failure, holder), text);
    });
});

describe('who can connect', () => {
  const table: [Access | 'unknown', 'tcp' | 'unix', string][] = [
    ['machine', 'tcp', 'only web01'],
    ['network', 'tcp', 'everyone on the network who reaches web01'],
    ['unknown', 'tcp', 'not known: web01 decides (GatewayPorts in its sshd_config), and it could not be tried out'],
    ['user', 'unix', 'only you on web01'],
    ['machine', 'unix', 'you, and others on web01 whom StreamLocalBindMask lets in'],
    ['unknown', 'unix', 'only your user on web01, unless StreamLocalBindMask in its sshd_config lets in others'],
  ];
  for (const [access, listen, text] of table)
    it(`is said for ${access} by ${listen}`, () => assert.equal(accessText(access, 'web01', listen), text));
});

describe('what to know of a tunnel that is ready', () => {
  const tcp = (...addresses: string[]): BoundAddress[] =>
    addresses.map((address) => ({ kind: 'tcp', address, port: 8080 }));
  const widened = (wanted: string) =>
    `web01 opened it on all its addresses to the network, although you asked for ${wanted} alone (GatewayPorts yes in its sshd_config). Stop it if that must not be, and ask who runs web01 for GatewayPorts clientspecified.`;
  const narrowed =
    'Only web01 itself can connect, not the network as you asked (GatewayPorts no in its sshd_config). Ask who runs web01 for GatewayPorts clientspecified, or leave out the bind address.';

  /** What each asked for by what it came to. */
  const table: [spec: string, bound: BoundAddress[], access: Access | 'unknown', said: string[]][] = [
    ['-L 8080:db:80', tcp('127.0.0.1', '::1'), 'machine', []],
    ['-L *:8080:db:80', tcp('0.0.0.0', '::'), 'network', []],
    ['-D 192.0.2.7:8080', tcp('192.0.2.7'), 'network', []],
    ['-L /run/a:db:80', [{ kind: 'unix', path: '/run/a' }], 'user', []],
    ['-L /run/a:db:80', [{ kind: 'unix', path: '/run/a' }], 'machine', []],
    ['-R /run/a:db:80', [{ kind: 'unix', path: '/run/a' }], 'unknown', []],
    ['-R 8080', tcp('127.0.0.1', '::1'), 'machine', []],
    ['-R 8080', tcp('127.0.0.1'), 'unknown', []],
    ['-R 8080', tcp('0.0.0.0', '::'), 'network', [widened('web01')]],
    ['-R 127.0.0.2:8080', tcp('0.0.0.0', '::'), 'network', [widened('web01')]],
    ['-R *:8080', tcp('0.0.0.0', '::'), 'network', []],
    ['-R 0.0.0.0:8080', tcp('0.0.0.0'), 'network', []],
    ['-R 192.0.2.7:8080', tcp('*'), 'network', [widened('192.0.2.7')]],
    ['-R *:8080', tcp('127.0.0.1', '::1'), 'machine', [narrowed]],
    ['-R *:8080', tcp('*'), 'unknown', []],
    ['-R 192.0.2.7:8080', tcp('192.0.2.7'), 'network', []],
    ['-R 192.0.2.7:8080', tcp('127.0.0.1', '::1'), 'machine', [narrowed]],
    ['-R 192.0.2.7:8080', tcp('0.0.0.0'), 'network', [widened('192.0.2.7')]],
    ['-R 8080', tcp('::1'), 'unknown', []],
    ['-R [::1]:8080', tcp('::1'), 'machine', []],
  ];
  for (const [text, bound, access, said] of table)
    it(`is ${said.length === 0 ? 'nothing' : 'a warning'} for ${text} that ${access} can connect to at ${boundText(bound)}`, () => {
      const spec = mustParseSpec(text);
      const listened = { bound, unbound: [], asked: askedAccess(spec), access };
      assert.deepEqual(
        listenedProblems(spec, listened, 'web01', () => undefined),
        said,
      );
      assert.equal(
        isWider(spec, listened),
        said.some((each) => each.includes('GatewayPorts yes')),
      );
    });

  const half = (spec: string, failure: Failure, holder?: string) =>
    listenedProblems(
      mustParseSpec(spec),
      { bound: tcp('::1'), unbound: [failure], asked: 'machine', access: 'machine' },
      'web01',
      () => holder,
    ).join(' ');
  const taken = { kind: 'portInUse', address: '127.0.0.1', port: 8080 } as const;

  it('is who has the other half of localhost', () => {
    const owner = { program: 'node', pid: 4242 };
    assert.equal(
      half('-L 8080:db:80', { ...taken, owner }),
      'Only [::1]:8080 could be bound. 127.0.0.1:8080 is in use by node (pid 4242). A client of localhost:8080 may reach that instead. Stop it, or choose another port.',
    );
    assert.equal(
      half('-L 8080:db:80', taken),
      'Only [::1]:8080 could be bound. 127.0.0.1:8080 is in use by another program. A client of localhost:8080 may reach that instead. Stop it, or choose another port.',
    );
    assert.equal(
      half('-D *:8080', { ...taken, owner }, 'Billing DB'),
      'Only [::1]:8080 could be bound. 127.0.0.1:8080 is in use by the tunnel “Billing DB” of this window. A client of localhost:8080 may reach that instead. Stop it, or choose another port.',
    );
  });

  it('is that something else has the other half on the server', () => {
    const said = (spec: string, own: string, other: string) =>
      listenedProblems(
        mustParseSpec(spec),
        {
          bound: tcp(own),
          unbound: [{ kind: 'remoteHalf', host: 'web01', address: other, port: 8080 }],
          asked: 'machine',
          access: 'unknown',
        },
        'web01',
      );
    assert.deepEqual(said('-R 8080', '::1', '127.0.0.1'), [
      'On web01 [::1]:8080 leads here. 127.0.0.1:8080 there is in use by something else. A client of localhost:8080 may reach that instead. Stop it, or choose another port.',
    ]);
    assert.deepEqual(said('-R *:8080:db:80', '127.0.0.1', '::1'), [
      'On web01 127.0.0.1:8080 leads here. [::1]:8080 there is in use by something else. A client of localhost:8080 may reach that instead. Stop it, or choose another port.',
    ]);
    assert.deepEqual(said('-R 127.0.0.2:8080', '::', '127.0.0.2'), [
      'On web01 [::]:8080 leads here. 127.0.0.2:8080 there is in use by something else. Stop it, or choose another port.',
    ]);
  });

  it('is what else could not be bound', () => {
    assert.equal(
      half('-L dev.test:8080:db:80', taken),
      'Only [::1]:8080 could be bound. 127.0.0.1:8080 is in use by another program. Stop it, or choose another port.',
    );
    assert.equal(
      half('-L dev.test:8080:db:80', { kind: 'addressUnavailable', address: '192.0.2.7', port: 8080 }),
      'Only [::1]:8080 could be bound. 192.0.2.7 is not an address of this machine, so nothing can listen there. Choose localhost or one of its addresses.',
    );
  });
});

describe('the problems of a text', () => {
  const ofSpec: { [K in SpecProblem['kind']]: SpecProblem & { kind: K } } = {
    empty: { kind: 'empty' },
    blank: { kind: 'blank' },
    unseen: { kind: 'unseen', character: '\u202e' },
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
    password: { kind: 'password' },
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

  const ofCommand: { [K in CommandProblem['kind']]: CommandProblem & { kind: K } } = {
    notSsh: { kind: 'notSsh', word: 'docker' },
    quote: { kind: 'quote' },
    backslash: { kind: 'backslash' },
    substitution: { kind: 'substitution', text: '$(' },
    control: { kind: 'control', command: 'cancel' },
    tooLong: { kind: 'tooLong' },
    shell: { kind: 'shell', text: '!ls' },
    line: { kind: 'line', text: '-X' },
    cancelTarget: { kind: 'cancelTarget' },
  };

  it('are told apart, in words that can stand inside a sentence', () => {
    const texts = [
      ...Object.values(ofSpec).map(specProblem),
      ...Object.values(ofDestination).map(destinationProblem),
      destinationProblem({ kind: 'character', character: ' ' }),
      destinationProblem({ kind: 'character', character: '\u200b' }),
      destinationProblem({ kind: 'optionValue', option: '-p', text: '' }),
      ...(['hostKey', 'forward', 'elsewhere', 'configFile', 'needless', 'unknown'] as const).map((reason) =>
        destinationProblem({ kind: 'option', option: '-X', reason }),
      ),
      ...Object.values(ofCommand).map(commandProblem),
      commandProblem({ kind: 'notSsh', word: '' }),
      specProblem({ kind: 'option', option: '' }),
      specProblem({ kind: 'variable', name: '' }),
    ];
    for (const text of texts) {
      assertReadable(text);
      assert.doesNotMatch(text, /[.!]$/);
    }
    assert.equal(new Set(texts).size, texts.length);
  });

  it('show no mark that nobody sees', () => {
    assert.equal(destinationProblem({ kind: 'character', character: '\t' }), 'a blank inside the name');
    for (const character of ['\u202e', '\u0000', '\u001b', '\ufeff', '\u2028', '\u{e0041}']) {
      const code = `U\\+0*${character.codePointAt(0)!.toString(16).toUpperCase()}\\)`;
      const texts = [
        destinationProblem({ kind: 'character', character }),
        specProblem({ kind: 'unseen', character }),
        specProblem({ kind: 'targetPort', text: `8${character}0` }),
        commandProblem({ kind: 'notSsh', word: `a${character}b` }),
        failureText({ kind: 'badDestination', text: `a${character}\nb`, at: 1, problem: { kind: 'hostMissing' } }),
      ];
      for (const text of texts) assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      for (const text of texts.slice(0, 2)) assert.match(text, new RegExp(code));
    }
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
    ['-R *:8080:localhost:3000', '*:8080 on web01 → localhost:3000, as this machine sees it. Open to web01’s network!', 'everyone on the network who reaches web01'], // prettier-ignore
    ['-R 1080', 'localhost:1080 on web01 → SOCKS proxy, as this machine sees the network', 'only web01'],
  ];
  for (const [text, effect, access] of table)
    it(`is said for ${text}, and who can connect`, () => {
      const spec = mustParseSpec(text);
      assert.equal(effectText(spec, 'web01'), effect);
      const machine = spec.kind === 'remote' ? 'web01' : 'this machine';
      assert.equal(accessText(askedAccess(spec), machine, spec.listen.kind), access);
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
    const texts = [
      '-L 80:web:81',
      '-L :80:web:81',
      '-L [::]:80:[::1]:81',
      '-L /a:/b',
      '-D 80',
      '-R 80',
      '-R *:0:web:81',
    ];
    assert.deepEqual(
      texts.map(mustParseSpec).map((spec) => [listenText(spec.listen), targetText(spec)]),
      [
        ['localhost:80', 'web:81'],
        ['*:80', 'web:81'],
        ['[::]:80', '[::1]:81'],
        ['/a', '/b'],
        ['localhost:80', 'SOCKS'],
        ['localhost:80', 'SOCKS'],
        ['*:auto', 'web:81'],
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
