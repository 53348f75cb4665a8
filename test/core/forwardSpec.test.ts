import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { FailureError, type SpecProblem } from '../../src/core/failure.js';
import {
  forwardWords,
  parseAnswer,
  parseConfigForward,
  parseForward,
  parseSpec,
  printConfigForward,
  printForward,
  printSpec,
  type Endpoint,
  type ForwardKind,
  type ForwardSpec,
  type Listen,
  type SpecResult,
} from '../../src/core/forwardSpec.js';
import { printable } from '../../src/core/printable.js';
import { servicePort } from '../../src/core/servicePort.js';
import { quoteConfig } from '../../src/core/configWords.js';
import { quoteShell } from '../../src/core/shellWords.js';
import { askEach, hasOpenSsh, run, runAll, type Ran } from '../support/openSsh.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const env = {
  HOME: '/home/ann',
  EMPTY: '',
  BOTH: '9000:db',
  SPACED: ' 7',
  COLON: ':',
  MARK: '\u{e0041}',
  'odd name': 'odd',
};

const port = (port: number, bind?: string): Listen => ({ kind: 'tcp', bind, port });
const at = (host: string, port: number): Endpoint => ({ kind: 'tcp', host, port });
const socket = (path: string) => ({ kind: 'unix' as const, path });
const socks = { kind: 'socks' } as const;
const local = (listen: Listen, target: Endpoint): ForwardSpec => ({ kind: 'local', listen, target });
const remote = (listen: Listen, target: Endpoint | typeof socks): ForwardSpec => ({ kind: 'remote', listen, target });
const dynamic = (listen: Listen): ForwardSpec => ({ kind: 'dynamic', listen });

/** The spec, or the place and problem of the refusal. */
function answer(result: SpecResult): ForwardSpec | { at: number; problem: SpecProblem } {
  return result.ok ? result.spec : { at: result.failure.at, problem: result.failure.problem };
}

describe('parseForward', () => {
  const accepted: [ForwardKind, string, ForwardSpec][] = [
    // -L: every shape
    ['local', '5432:db:5433', local(port(5432), at('db', 5433))],
    ['local', '127.0.0.1:5000:db:5432', local(port(5000, '127.0.0.1'), at('db', 5432))],
    ['local', 'localhost:5000:db:5432', local(port(5000, 'localhost'), at('db', 5432))],
    ['local', ':5000:db:5432', local(port(5000, ''), at('db', 5432))],
    ['local', '*:5000:db:5432', local(port(5000, '*'), at('db', 5432))],
    ['local', '0.0.0.0:5000:db:5432', local(port(5000, '0.0.0.0'), at('db', 5432))],
    ['local', '5000:/run/db.sock', local(port(5000), socket('/run/db.sock'))],
    ['local', '[::1]:5000:/run/db.sock', local(port(5000, '::1'), socket('/run/db.sock'))],
    ['local', ':5000:/run/db.sock', local(port(5000, ''), socket('/run/db.sock'))],
    ['local', '/tmp/a.sock:db:5432', local(socket('/tmp/a.sock'), at('db', 5432))],
    ['local', '/tmp/a.sock:/run/db.sock', local(socket('/tmp/a.sock'), socket('/run/db.sock'))],
    ['local', 'here/a.sock:there/b.sock', local(socket('here/a.sock'), socket('there/b.sock'))],
    // brackets, backslashes, variables
    ['local', '[::1]:8080:[2001:db8::1]:80', local(port(8080, '::1'), at('2001:db8::1', 80))],
    ['local', '[8080]:[web]:[80]', local(port(8080), at('web', 80))],
    ['local', '[]:8080:web:80', local(port(8080, ''), at('web', 80))],
    ['local', '8080:[/run/a:b]', local(port(8080), socket('/run/a:b'))],
    ['local', '8080:[/a\\b]', local(port(8080), socket('/a\\b'))],
    ['local', '\\:\\:1:8080:web:80', local(port(8080, '::1'), at('web', 80))],
    ['local', '\\8080:w\\eb:80', local(port(8080), at('web', 80))],
    ['local', '8080:\\[x]:80', local(port(8080), at('[x]', 80))],
    ['local', '8080:\\/run:80', local(port(8080), at('/run', 80))],
    ['local', '8080:a]b[c:80', local(port(8080), at('a]b[c', 80))],
    ['local', '8080:/run/my dir/x', local(port(8080), socket('/run/my dir/x'))],
    ['local', '8080:${HOME}/x.sock', local(port(8080), socket('/home/ann/x.sock'))],
    ['local', '${BOTH}:5432', local(port(9000), at('db', 5432))],
    ['local', '[${HOME}]:db:5432', local(socket('/home/ann'), at('db', 5432))],
    ['local', '80${EMPTY}80:web:80', local(port(8080), at('web', 80))],
    ['local', '${SPACED}7:web:80', local(port(77), at('web', 80))],
    ['local', '8080:${odd name}:80', local(port(8080), at('odd', 80))],
    ['local', '8080:$HOME:80', local(port(8080), at('$HOME', 80))],
    ['local', '8080:$\\{HOME}:80', local(port(8080), at('${HOME}', 80))],
    // ports
    ['local', '1:web:65535', local(port(1), at('web', 65535))],
    ['local', '65535:web:1', local(port(65535), at('web', 1))],
    ['local', '008080:web:080', local(port(8080), at('web', 80))],
    ['local', '+8080:web:+80', local(port(8080), at('web', 80))],
    ['local', '8080:web:http', local(port(8080), at('web', 80))],
    ['local', 'ssh:web:https', local(port(22), at('web', 443))],
    ['local', ' \t8080:web:80', local(port(8080), at('web', 80))],
    ['local', '8080:web: 80', local(port(8080), at('web', 80))],
    ['local', '8080:web:80:', local(port(8080), at('web', 80))],
    ['local', '8080:/a:80', local(port(8080), at('/a', 80))],
    // Windows' named pipes
    ['local', '[\\\\.\\pipe\\here]:db:80', local(socket('\\\\.\\pipe\\here'), at('db', 80))],
    ['local', '8080:\\\\\\\\?\\\\Pipe\\\\there', local(port(8080), socket('\\\\?\\Pipe\\there'))],
    ['local', `//./pipe/here:[\\\\.\\pipe\\${'x'.repeat(200)}]`, local(socket('//./pipe/here'), socket(`\\\\.\\pipe\\${'x'.repeat(200)}`))], // prettier-ignore
    // -R: the same with the sides swapped, the server's choice of a port, and SOCKS
    ['remote', '8080:localhost:3000', remote(port(8080), at('localhost', 3000))],
    ['remote', '*:8080:localhost:3000', remote(port(8080, '*'), at('localhost', 3000))],
    ['remote', '0:localhost:3000', remote(port(0), at('localhost', 3000))],
    ['remote', '[::1]:0:localhost:3000', remote(port(0, '::1'), at('localhost', 3000))],
    ['remote', '8080:/run/here.sock', remote(port(8080), socket('/run/here.sock'))],
    ['remote', '/run/there.sock:localhost:3000', remote(socket('/run/there.sock'), at('localhost', 3000))],
    ['remote', '/run/there.sock:/run/here.sock', remote(socket('/run/there.sock'), socket('/run/here.sock'))],
    ['remote', '1080', remote(port(1080), socks)],
    ['remote', '0', remote(port(0), socks)],
    ['remote', '-0', remote(port(0), socks)],
    ['remote', ':1080', remote(port(1080, ''), socks)],
    ['remote', '[::]:1080', remote(port(1080, '::'), socks)],
    ['remote', '/run/socks.sock', remote(socket('/run/socks.sock'), socks)],
    // -D
    ['dynamic', '1080', dynamic(port(1080))],
    ['dynamic', 'socks', dynamic(port(1080))],
    ['dynamic', '*:1080', dynamic(port(1080, '*'))],
    ['dynamic', ':1080', dynamic(port(1080, ''))],
    ['dynamic', '[::1]:1080', dynamic(port(1080, '::1'))],
    ['dynamic', '/run/socks.sock', dynamic(socket('/run/socks.sock'))],
  ];
  for (const [kind, text, spec] of accepted)
    it(`reads ${kind} “${text}”`, () => assert.deepEqual(answer(parseForward(kind, text, env)), spec));

  const listenPort = (text: string): SpecProblem => ({ kind: 'listenPort', text });
  const targetPort = (text: string): SpecProblem => ({ kind: 'targetPort', text });
  const refused: [ForwardKind, string, number, SpecProblem][] = [
    ['local', '', 0, { kind: 'empty' }],
    ['local', '   ', 3, { kind: 'empty' }],
    ['local', '${EMPTY}', 8, { kind: 'empty' }],
    ['local', '8080', 4, { kind: 'targetMissing' }],
    ['local', '/run/a.sock', 11, { kind: 'targetMissing' }],
    ['local', '8080:web', 8, { kind: 'targetPortMissing' }],
    ['local', '8080:web:', 9, { kind: 'targetPortMissing' }],
    ['local', '/run/a.sock:web', 15, { kind: 'targetPortMissing' }],
    ['local', '8080::80', 5, { kind: 'targetHostMissing' }],
    ['local', '8080:web:0', 9, targetPort('0')],
    ['local', '8080:web:65536', 9, targetPort('65536')],
    ['local', '8080:web:-1', 9, targetPort('-1')],
    ['local', '8080:web:80.5', 9, targetPort('80.5')],
    ['local', '8080:web:0x50', 9, targetPort('0x50')],
    ['local', '8080:web:nosuchservice', 9, targetPort('nosuchservice')],
    ['local', '8080:web:constructor', 9, targetPort('constructor')],
    ['local', '8080:web:HTTP', 9, targetPort('HTTP')],
    ['local', '8080:web:99999999999999999999', 9, targetPort('99999999999999999999')],
    ['local', 'auto:web:80', 0, listenPort('auto')],
    ['dynamic', 'auto', 0, listenPort('auto')],
    ['local', '[\\\\.\\pipe\\x]:80:web:80', 20, { kind: 'tooManyFields' }],
    ['local', '65536:web:80', 0, listenPort('65536')],
    ['local', 'web:80', 0, listenPort('web')],
    ['local', ':8080', 0, listenPort('')],
    ['local', '-0:web:80', 0, { kind: 'listenPortZero' }],
    ['local', '0:web:80', 0, { kind: 'listenPortZero' }],
    ['local', '127.0.0.1:0:web:80', 10, { kind: 'listenPortZero' }],
    ['dynamic', '0', 0, { kind: 'listenPortZero' }],
    ['dynamic', '65536', 0, listenPort('65536')],
    ['remote', '65536:web:80', 0, listenPort('65536')],
    ['remote', 'web:/run/a.sock', 0, listenPort('web')],
    ['local', '::1:8080:web:80', 9, { kind: 'tooManyFields' }],
    ['local', '8080:2001:db8::1:80', 15, { kind: 'tooManyFields' }],
    ['local', 'a:1:b:2:3', 8, { kind: 'tooManyFields' }],
    ['local', '/a:b:80:90', 8, { kind: 'tooManyFields' }],
    ['dynamic', '1080:web:80', 5, { kind: 'tooManyFields' }],
    ['dynamic', '1080:/run/a.sock', 5, { kind: 'tooManyFields' }],
    ['dynamic', '/run/a.sock:80', 12, { kind: 'tooManyFields' }],
    ['remote', '/run/a.sock:80', 14, { kind: 'targetPortMissing' }],
    ['local', '[::1:8080:web:80', 0, { kind: 'bracket' }],
    ['local', '8080:[::1', 5, { kind: 'bracket' }],
    ['local', '[::1]x:8080:web:80', 5, { kind: 'bracketTail' }],
    ['local', '8080:[::1]80', 10, { kind: 'bracketTail' }],
    ['local', '8080:web:80\\', 11, { kind: 'backslash' }],
    ['local', '8080:web:80:\\', 12, { kind: 'backslash' }],
    ['local', '8080:web:80 ', 11, { kind: 'blank' }],
    ['local', '80 80:web:80', 2, { kind: 'blank' }],
    ['local', '8080:my web:80', 7, { kind: 'blank' }],
    ['local', 'my host:8080:web:80', 2, { kind: 'blank' }],
    ['local', '8080:w\u00a0eb:80', 6, { kind: 'blank' }],
    ['local', '8080:w\u202eeb:80', 6, { kind: 'unseen', character: '\u202e' }],
    ['local', 'lo\u200bcal:8080:web:80', 2, { kind: 'unseen', character: '\u200b' }],
    ['local', '8080:/a\u{e0041}b', 7, { kind: 'unseen', character: '\u{e0041}' }],
    ['local', '8080:/a\tb', 7, { kind: 'unseen', character: '\t' }],
    ['local', '8080:x/${MARK}', 7, { kind: 'unseen', character: '\u{e0041}' }],
    ['remote', '/a\u2028b', 2, { kind: 'unseen', character: '\u2028' }],
    ['dynamic', '*\u0000:1080', 1, { kind: 'unseen', character: '\u0000' }],
    ['local', '[\\\\.\\pipe\\x\u2069]:web:80', 11, { kind: 'unseen', character: '\u2069' }],
    ['local', '8080:${NOPE}:80', 5, { kind: 'variable', name: 'NOPE' }],
    ['local', '8080:${}:80', 5, { kind: 'variable', name: '' }],
    ['local', '8080:${toString}:80', 5, { kind: 'variable', name: 'toString' }],
    ['local', '8080:\\${NOPE}:80', 6, { kind: 'variable', name: 'NOPE' }],
    ['local', '8080:${HOME:80', 5, { kind: 'variableSyntax' }],
    ['local', '${HOME}/x.sock:web:bad', 19, targetPort('bad')],
    ['local', `8080:/${'x'.repeat(107)}`, 5, { kind: 'pathTooLong' }],
    ['local', `/${'x'.repeat(107)}:web:80`, 0, { kind: 'pathTooLong' }],
    ['local', `8080:/${'ü'.repeat(54)}`, 5, { kind: 'pathTooLong' }],
    ['local', `8080:${'x'.repeat(1025)}:80`, 5, { kind: 'hostTooLong' }],
    ['local', `${'x'.repeat(1025)}:8080:web:80`, 0, { kind: 'hostTooLong' }],
  ];
  for (const [kind, text, at, problem] of refused)
    it(`refuses ${kind} “${printable(text.length > 60 ? `${text.slice(0, 60)}…` : text)}”: ${problem.kind} at ${at}`, () =>
      assert.deepEqual(answer(parseForward(kind, text, env)), { at, problem }));

  it('takes the longest path and host that OpenSSH takes', () => {
    const path = `/${'x'.repeat(106)}`;
    const host = 'x'.repeat(1024);
    assert.deepEqual(answer(parseForward('local', `8080:${path}`)), local(port(8080), socket(path)));
    assert.deepEqual(answer(parseForward('local', `8080:${host}:80`)), local(port(8080), at(host, 80)));
  });

  it('names the text of a refusal', () => {
    const result = parseForward('local', '8080:web');
    assert.deepEqual(result, {
      ok: false,
      failure: { kind: 'badSpec', text: '8080:web', at: 8, problem: { kind: 'targetPortMissing' } },
    });
  });
});

describe('parseSpec', () => {
  const table: [string, ReturnType<typeof answer>][] = [
    ['-L 5432:db:5432', local(port(5432), at('db', 5432))],
    ['-L5432:db:5432', local(port(5432), at('db', 5432))],
    ['  -L   5432:db:5432  ', local(port(5432), at('db', 5432))],
    ['-R 8080:localhost:3000', remote(port(8080), at('localhost', 3000))],
    ['-R 1080', remote(port(1080), socks)],
    ['-D 1080', dynamic(port(1080))],
    ['-D${HOME}', dynamic(socket('/home/ann'))],
    ['-L 8080:/a ', local(port(8080), socket('/a'))],
    ['-L 8080:/a\\ ', local(port(8080), socket('/a '))],
    ['-L 8080:[/a ]', local(port(8080), socket('/a '))],
    ['-L auto:db:5432', local(port(0), at('db', 5432))],
    ['-L 127.0.0.1:auto:db:5432', local(port(0, '127.0.0.1'), at('db', 5432))],
    ['-L auto:/run/db.sock', local(port(0), socket('/run/db.sock'))],
    ['-L auto:5000:db:5432', local(port(5000, 'auto'), at('db', 5432))],
    ['-D auto', dynamic(port(0))],
    ['-D *:auto', dynamic(port(0, '*'))],
    ['-R auto:db:5432', { at: 3, problem: { kind: 'listenPort', text: 'auto' } }],
    ['-L 0:db:5432', { at: 3, problem: { kind: 'listenPortZero' } }],
    ['-L 5432:db:auto', { at: 11, problem: { kind: 'targetPort', text: 'auto' } }],
    ['', { at: 0, problem: { kind: 'empty' } }],
    ['  ', { at: 0, problem: { kind: 'empty' } }],
    ['5432:db:5432', { at: 0, problem: { kind: 'option', option: '' } }],
    [' -X 5432:db:5432', { at: 1, problem: { kind: 'option', option: '-X' } }],
    ['-l 5432', { at: 0, problem: { kind: 'option', option: '-l' } }],
    ['-L', { at: 2, problem: { kind: 'empty' } }],
    ['-L ', { at: 2, problem: { kind: 'empty' } }],
    ['-L 8080:web', { at: 11, problem: { kind: 'targetPortMissing' } }],
    ['-L 8080:web:x', { at: 12, problem: { kind: 'targetPort', text: 'x' } }],
    ['-L 8080:web:80 -N', { at: 14, problem: { kind: 'blank' } }],
  ];
  for (const [text, expected] of table)
    it(`reads “${text}”`, () => assert.deepEqual(answer(parseSpec(text, env)), expected));

  it('mustParseSpec throws the failure of a wrong one', () => {
    assert.deepEqual(mustParseSpec('-D 1080'), dynamic(port(1080)));
    assert.throws(
      () => mustParseSpec('-L 8080:web'),
      (error: unknown) => error instanceof FailureError && error.failure.kind === 'badSpec' && error.failure.at === 11,
    );
  });
});

describe('parseAnswer', () => {
  const table: [string, ReturnType<typeof answer>][] = [
    ['5432', local(port(5432), at('localhost', 5432))],
    [' 5432 ', local(port(5432), at('localhost', 5432))],
    ['http', local(port(80), at('localhost', 80))],
    ['5000:5432', local(port(5000), at('localhost', 5432))],
    ['db:5432', local(port(5432), at('db', 5432))],
    ['db:postgresql', local(port(5432), at('db', 5432))],
    ['[::1]:80', local(port(80), at('::1', 80))],
    ['5000:db:5432', local(port(5000), at('db', 5432))],
    ['127.0.0.1:5000:db:5432', local(port(5000, '127.0.0.1'), at('db', 5432))],
    ['5000:/run/db.sock', local(port(5000), socket('/run/db.sock'))],
    ['/tmp/a.sock:/run/db.sock', local(socket('/tmp/a.sock'), socket('/run/db.sock'))],
    ['-L 5000:db:5432', local(port(5000), at('db', 5432))],
    [' -R 8080:localhost:3000', remote(port(8080), at('localhost', 3000))],
    ['-D 1080', dynamic(port(1080))],
    ['auto:5432', local(port(0), at('localhost', 5432))],
    ['auto:db:5432', local(port(0), at('db', 5432))],
    [' -D auto', dynamic(port(0))],
    ['auto', { at: 4, problem: { kind: 'targetMissing' } }],
    ['', { at: 0, problem: { kind: 'empty' } }],
    ['  ', { at: 0, problem: { kind: 'empty' } }],
    ['0', { at: 0, problem: { kind: 'listenPortZero' } }],
    ['65536', { at: 0, problem: { kind: 'listenPort', text: '65536' } }],
    ['web', { at: 0, problem: { kind: 'listenPort', text: 'web' } }],
    ['my web', { at: 2, problem: { kind: 'blank' } }],
    ['db:', { at: 0, problem: { kind: 'listenPort', text: 'db' } }],
    [':5432', { at: 0, problem: { kind: 'targetHostMissing' } }],
    ['db:x', { at: 3, problem: { kind: 'targetPort', text: 'x' } }],
    ['0:5432', { at: 0, problem: { kind: 'listenPortZero' } }],
    ['/run/db.sock', { at: 12, problem: { kind: 'targetMissing' } }],
    ['-X 1', { at: 0, problem: { kind: 'option', option: '-X' } }],
    ['1:2:3:4:5', { at: 8, problem: { kind: 'tooManyFields' } }],
  ];
  for (const [text, expected] of table)
    it(`reads “${text}”`, () => assert.deepEqual(answer(parseAnswer(text, env)), expected));
});

describe('parseConfigForward', () => {
  const table: [ForwardKind, string, ReturnType<typeof answer>][] = [
    ['local', '8080 db:80', local(port(8080), at('db', 80))],
    ['local', ' [::1]:8080\t[::2]:80 # the old one', local(port(8080, '::1'), at('::2', 80))],
    ['local', '/tmp/a.sock "/run/my dir"', local(socket('/tmp/a.sock'), socket('/run/my dir'))],
    ['local', '8080:db 80', local(port(8080), at('db', 80))],
    ['local', '8080 a\\:b:80', local(port(8080), at('a:b', 80))],
    ['local', '8080 ${HOME}/x', local(port(8080), socket('/home/ann/x'))],
    ['remote', '8080 localhost:3000', remote(port(8080), at('localhost', 3000))],
    ['remote', '1080', remote(port(1080), socks)],
    ['remote', '*:1080', remote(port(1080, '*'), socks)],
    ['remote', '8080:/run/x', remote(port(8080), socket('/run/x'))],
    ['remote', '0 /run/x', remote(port(0), socket('/run/x'))],
    ['remote', '1080 ""', remote(port(1080), socks)],
    ['dynamic', '1080', dynamic(port(1080))],
    ['dynamic', ':1080', dynamic(port(1080, ''))],
    ['dynamic', '/run/x', dynamic(socket('/run/x'))],
    ['local', '', { at: 0, problem: { kind: 'empty' } }],
    ['local', '"" db:80', { at: 2, problem: { kind: 'empty' } }],
    ['local', '8080:db:80', { at: 10, problem: { kind: 'targetMissing' } }],
    ['local', '8080 db:80 x', { at: 11, problem: { kind: 'blank' } }],
    ['local', '8080 "db":x', { at: 10, problem: { kind: 'targetPort', text: 'x' } }],
    ['local', '8080  db', { at: 8, problem: { kind: 'targetPortMissing' } }],
    ['local', '8080 "db:80', { at: 5, problem: { kind: 'quote' } }],
    ['local', 'auto db:80', { at: 0, problem: { kind: 'listenPort', text: 'auto' } }],
    ['remote', '8080:db:80', { at: 10, problem: { kind: 'targetMissing' } }],
    ['remote', 'h:8080:/run/x', { at: 13, problem: { kind: 'targetMissing' } }],
    ['dynamic', '1080 db:80', { at: 5, problem: { kind: 'blank' } }],
    ['dynamic', '0', { at: 0, problem: { kind: 'listenPortZero' } }],
  ];
  for (const [kind, text, expected] of table)
    it(`reads ${kind} “${text}”`, () => assert.deepEqual(answer(parseConfigForward(kind, text, env)), expected));
});

const kinds = ['local', 'remote', 'dynamic'] as const;
const optionOf = { local: '-L', remote: '-R', dynamic: '-D' } as const;

// The pieces that the grammar turns on, and what people mistype.
const digits = fc.constantFrom('0', '1', '22', '080', '8080', '65535', '65536', '99999', '-1', '+80', '-0', '8 0', ' 80', '80 ', '0x50', '1.5'); // prettier-ignore
const name = fc.constantFrom('', '', '*', 'db', 'db.example.com', 'localhost', '127.0.0.1', '::1', 'a b', 'ü', '-x', '%h', '~', '$', '$HOME', '{', '}'); // prettier-ignore
const path = fc.constantFrom('//./pipe/x', '[\\\\.\\pipe\\x]', '\\\\\\\\?\\\\pipe\\\\x', '/', '/a', '/run/x.sock', './x', 'a/b', '/a b', '/a ', '~/x', `/${'x'.repeat(106)}`, `/${'y'.repeat(107)}`); // prettier-ignore
const variable = fc.constantFrom('${HOME}', '${EMPTY}', '${BOTH}', '${SPACED}', '${COLON}', '${NOPE}', '${}', '${HOME', '\\${HOME}', '$\\{HOME}', '${odd name}'); // prettier-ignore
const mark = fc.constantFrom(':', ':', ':', '[', ']', '\\', '/', ' ', '\t', '$', '${', '[]', '\\:', '\\\\', '\\/');

function specTexts(services: readonly string[]): fc.Arbitrary<string> {
  const plain = fc.oneof(
    { weight: 5, arbitrary: digits },
    { weight: 4, arbitrary: name },
    { weight: 2, arbitrary: path },
    { weight: 1, arbitrary: variable },
    ...(services.length > 0 ? [{ weight: 1, arbitrary: fc.constantFrom(...services) }] : []),
  );
  const wrapped = fc.oneof(
    { weight: 6, arbitrary: plain },
    { weight: 2, arbitrary: plain.map((text) => `[${text}]`) },
    { weight: 1, arbitrary: plain.map((text) => `\\${text}`) },
    { weight: 1, arbitrary: fc.tuple(plain, mark, plain).map((parts) => parts.join('')) },
  );
  const fields = fc.array(wrapped, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(':'));
  // Most random fields make no spec: these do, so that the meaning is compared as well.
  const goodPort = fc.constantFrom('0', '1', '22', '080', '8080', '65535', '+80', ...services);
  const goodName = fc.oneof(name, fc.constantFrom('[::1]', '\\[::1]', '[2001:db8::1]', '[]', '\\::', 'a\\:b', '[a/b]'));
  const goodPath = fc.oneof(path, fc.constantFrom('[/a:b]', '/a\\:b', '\\/a/b', '${HOME}/x'));
  const end = fc.oneof(
    goodPath,
    fc.tuple(goodName, goodPort).map((parts) => parts.join(':')),
  );
  const start = fc.oneof(goodPort, end);
  const good = fc.oneof(
    start,
    fc.tuple(start, end).map((parts) => parts.join(':')),
  );
  const soundPort = fc.constantFrom('1024', '8080', '08081', '+9000', '65535', '80${EMPTY}80');
  const soundName = fc.constantFrom('*', 'db', '127.0.0.1', '[::1]', '\\:\\:1', 'a\\]b', '[a]', '[]', 'ü', '$x', '%h');
  const soundListen = fc.oneof(
    soundPort,
    fc.tuple(fc.oneof(soundName, fc.constant('')), soundPort).map((parts) => parts.join(':')),
    goodPath,
  );
  const soundTarget = fc.oneof(
    fc
      .tuple(fc.constantFrom('db', '[::1]', '\\::', '[a:b]', '${BOTH}', '$'), soundPort)
      .map((parts) => parts.join(':')),
    goodPath,
  );
  const sound = fc.oneof(
    { weight: 1, arbitrary: soundListen },
    { weight: 3, arbitrary: fc.tuple(soundListen, soundTarget).map((parts) => parts.join(':')) },
  );
  const soup = fc.array(fc.oneof(mark, wrapped), { maxLength: 8 }).map((parts) => parts.join(''));
  const blank = fc.constantFrom('', '', '', '', ' ', '\t');
  const body = fc.oneof(
    { weight: 4, arbitrary: fields },
    { weight: 4, arbitrary: good },
    { weight: 10, arbitrary: sound },
    { weight: 2, arbitrary: soup },
  );
  return fc.tuple(blank, body, blank).map((parts) => parts.join(''));
}

/** The line that `ssh -G` prints for a spec. It fills in the %-tokens of paths, which is not the grammar's work. */
function lineOf(spec: ForwardSpec): string {
  const filled = JSON.parse(JSON.stringify(spec), (key, value: unknown) =>
    key === 'path' && typeof value === 'string' ? value.replaceAll('%h', 'host') : value,
  ) as ForwardSpec;
  return printConfigForward(filled);
}

/**
 * What OpenSSH accepts and we refuse: what would only fail later, or loses what was written. And Windows' named pipes,
 * which OpenSSH takes for host names or refuses. The only differences.
 */
const exceptions: {
  name: string;
  covers: (kind: ForwardKind, text: string, problem: SpecProblem, ran: Ran) => boolean;
}[] = [
  {
    name: 'an empty target host, which no server can connect to',
    covers: (_, __, problem, { stdout }) =>
      problem.kind === 'targetHostMissing' && /^(local|remote)forward .* \[\]:\d+$/m.test(stdout),
  },
  {
    name: 'a blank in a host name or bind address, which nothing resolves',
    covers: (_, __, problem, { stdout }) =>
      problem.kind === 'blank' && /^(local|remote|dynamic)forward .*\[.*\s.*\]:\d+/m.test(stdout),
  },
  {
    name: 'a path as bind address, which nothing resolves: a socket whose target lacks its host or port',
    covers: (_, __, problem, { stdout }) =>
      ['targetPortMissing', 'tooManyFields', 'pathTooLong'].includes(problem.kind) &&
      /^(local|remote|dynamic)forward \[.*\/.*\]:\d+/m.test(stdout),
  },
  {
    name: 'a target behind -D, which ssh drops',
    covers: (kind, _, problem, { stdout }) =>
      kind === 'dynamic' && problem.kind === 'tooManyFields' && /^localforward .*\/.*$/m.test(stdout),
  },
  {
    name: 'a last field of a backslash alone, which ssh drops',
    covers: (kind, text, problem, ran) =>
      problem.kind === 'backslash' && difference(kind, text.replace(/\\(\$\{EMPTY\})*$/, ''), ran) === undefined,
  },
  {
    name: 'a mark in a name or path that nobody sees',
    covers: (_, text, problem) => problem.kind === 'unseen' && text.includes(problem.character),
  },
  { name: 'a named pipe of Windows, which ssh takes for a name', covers: (_, text) => hasPipe(text) },
];

function hasPipe(text: string): boolean {
  return /\\[.?]\\+pipe\\/i.test(text);
}

async function askSsh(kind: ForwardKind, text: string): Promise<Ran> {
  const args = ['-G', '-F', '/dev/null', optionOf[kind], text, 'host'];
  return run('ssh', args, { ...env, PATH: process.env['PATH'] });
}

/** How ours and OpenSSH's reading differ, or `undefined`. */
function difference(
  kind: ForwardKind,
  text: string,
  ran: Ran,
  ours: SpecResult = parseForward(kind, text, env),
): string | undefined {
  const said = `${optionOf[kind]} ${JSON.stringify(text)}`;
  // ssh has read the spec before it says so.
  const isPrivileged = /Privileged ports/.test(ran.stdout + ran.stderr);
  const theirs = ran.code === 0 || isPrivileged;
  if (ours.ok && hasPipe(text)) return undefined;
  if (!theirs) return ours.ok ? `${said}: ssh refuses what we read as ${lineOf(ours.spec)}` : undefined;
  if (!ours.ok) {
    const { problem } = ours.failure;
    if (isPrivileged || exceptions.some(({ covers }) => covers(kind, text, problem, ran))) return undefined;
    return `${said}: we refuse (${problem.kind}) what ssh reads as ${ran.stdout.match(/^\w+forward .*$/gm)?.join(' | ')}`;
  }
  const line = lineOf(ours.spec);
  if (isPrivileged || ran.stdout.split('\n').includes(line)) return undefined;
  return `${said}: we read ${line}, ssh ${ran.stdout.match(/^(local|remote|dynamic)forward .*$/gm)?.join(' | ')}`;
}

interface Asked {
  kind: ForwardKind;
  text: string;
}

/** The words of a shell that ask OpenSSH for some specs at once. */
function question(asked: readonly Asked[]): string {
  // The shell would not hand this one on.
  const odd = asked.some(({ text }) => text.includes('odd name')) ? ['env', 'odd name=odd'] : [];
  const options = asked.flatMap(({ kind, text }) => [optionOf[kind], text]);
  return [...odd, 'ssh', '-G', '-F', '/dev/null', ...options, 'host'].map(quoteShell).join(' ');
}

/** Those of the specs that OpenSSH reads otherwise than we when it is given all at once; it stops at the first that it refuses. */
function doubtful(asked: readonly Asked[], { code, stdout }: Ran): readonly Asked[] {
  const specs = asked.map(({ kind, text }) => mustParse(kind, text));
  const ours = new Set(specs.map(lineOf));
  // ssh -G prints each local forward that has a socket once more, as a dynamic one.
  const again = specs.flatMap((spec) =>
    spec.kind === 'local' && [spec.listen, spec.target].some(({ kind }) => kind === 'unix')
      ? [lineOf(dynamic(spec.listen))]
      : [],
  );
  const theirs: readonly string[] = stdout.match(/^(local|remote|dynamic)forward .*$/gm) ?? [];
  const isSame = code === 0 && theirs.every((line) => ours.has(line) || again.includes(line));
  return isSame ? asked.filter((_, index) => !theirs.includes(lineOf(specs[index]!))) : asked;
}

/** Only root may ask this ssh for a listener below 1024; others would learn nothing of the group. */
function isPrivileged({ kind, listen }: ForwardSpec): boolean {
  return process.getuid?.() !== 0 && kind !== 'remote' && listen.kind === 'tcp' && listen.port < 1024;
}

function mustParse(kind: ForwardKind, text: string): ForwardSpec {
  const result = parseForward(kind, text, env);
  assert.ok(result.ok, text);
  return result.spec;
}

describe('the grammar beside OpenSSH', () => {
  const serviceNames = ['ftp', 'ssh', 'telnet', 'smtp', 'domain', 'gopher', 'http', 'www', 'kerberos', 'pop3', 'sunrpc', 'nntp', 'ntp', 'imap2', 'imap', 'snmp', 'ldap', 'https', 'submissions', 'submission', 'ldaps', 'rsync', 'ftps', 'imaps', 'pop3s', 'socks', 'openvpn', 'ms-sql-s', 'mqtt', 'nfs', 'mysql', 'ms-wbt-server', 'svn', 'sip', 'xmpp-client', 'postgresql', 'amqps', 'amqp', 'x11', 'redis', 'http-alt', 'secure-mqtt']; // prettier-ignore
  /** What the system knows by name: its table may be short or missing. */
  const known = serviceNames.filter((name) => spawnSync('getent', ['services', `${name}/tcp`]).status === 0);

  before(function () {
    if (!hasOpenSsh) this.skip();
  });

  it('has the port of every service that ssh knows', async () => {
    const asked = await askEach(known, async (name) => (await askSsh('remote', name)).stdout);
    const theirs = asked.map((stdout) => Number(/^remoteforward (\d+)/m.exec(stdout)?.[1]));
    assert.deepEqual(known.map(servicePort), theirs);
    for (const name of serviceNames) assert.ok(servicePort(name), name);
  });

  it('reads and refuses the tables’ specs as ssh does', async () => {
    const texts = ['8080:web:80', '[::1]:8080:/run/x', '8080::80', '8080:my web:80', '/a:80', '/a:1:web:80', '1080:/x', '/x:/y', '8080:web:80:\\', '1080:\\', 'socks', '0', `8080:${'x'.repeat(1024)}:80`, `8080:${'x'.repeat(1025)}:80`, `8080:/${'x'.repeat(106)}`, `8080:/${'x'.repeat(107)}`].filter((text) => text !== 'socks' || known.includes(text)); // prettier-ignore
    const asked = texts.flatMap((text) => kinds.map((kind) => ({ kind, text })));
    const ran = await askEach(asked, ({ kind, text }) => askSsh(kind, text));
    assert.deepEqual(
      asked.flatMap(({ kind, text }, index) => difference(kind, text, ran[index]!) ?? []),
      [],
    );
  });

  const exceptional: [ForwardKind, string][] = [
    ['local', '8080::80'],
    ['local', '8080:my web:80'],
    ['remote', '/run/a.sock:80'],
    ['dynamic', '1080:/run/a.sock'],
    ['local', '8080:web:80:\\'],
    ['local', '8080:/run/\u202ex'],
    ['local', '[\\\\.\\pipe\\x]:8080:web:80'],
  ];
  exceptions.forEach(({ name, covers }, index) =>
    it(`differs in ${name}`, async () => {
      const [kind, text] = exceptional[index]!;
      const ours = parseForward(kind, text, env);
      const ran = await askSsh(kind, text);
      assert.equal(ran.code, 0, 'ssh accepts it');
      assert.ok(!ours.ok && covers(kind, text, ours.failure.problem, ran));
    }),
  );

  const seed = Number(process.env['SSH_TUNNELS_SEED'] ?? Date.now() % 2 ** 31);
  const shellEnv = { ...env, PATH: process.env['PATH'] };

  function assertNone(differences: string[], what: string): void {
    differences.sort((a, b) => a.length - b.length);
    assert.deepEqual(differences.slice(0, 20), [], `${differences.length} ${what} with SSH_TUNNELS_SEED=${seed}`);
  }

  it('reads and refuses random specs as ssh does, with the same meaning', async function () {
    const count = Number(process.env['SSH_TUNNELS_SPECS'] ?? 10_000);
    this.timeout(30_000 + count * 30);
    const texts = specTexts(known.filter((name) => name !== 'socks')); // -G does not print -L to a host called socks
    const asked = fc.sample(fc.record({ kind: fc.constantFrom(...kinds), text: texts }), { numRuns: count, seed });
    // Those that we read are asked for in groups, since ssh takes several; the others one by one.
    const mayGroup = ({ kind, text }: Asked) => {
      const result = parseForward(kind, text, env);
      return result.ok && !hasPipe(text) && !isPrivileged(result.spec);
    };
    const read = asked.filter(mayGroup);
    const groups = Array.from({ length: Math.ceil(read.length / 40) }, (_, index) =>
      read.slice(index * 40, index * 40 + 40),
    );
    const grouped = await runAll(groups.map(question), shellEnv);
    const isRead = new Set(read);
    const single = [
      ...asked.filter((one) => !isRead.has(one)),
      ...groups.flatMap((group, index) => doubtful(group, grouped[index]!)),
    ];
    const ran = await runAll(
      single.map((one) => question([one])),
      shellEnv,
    );
    assertNone(
      single.flatMap(({ kind, text }, index) => difference(kind, text, ran[index]!) ?? []),
      'differences',
    );
    assert.ok(read.length > count / 4 && read.length < count * 0.9, `${read.length} of ${count} were accepted`);
  });

  it('reads and refuses the random lines of an ssh_config file as ssh does', async function () {
    const count = 600;
    this.timeout(60_000);
    const blank = fc.constantFrom(' ', '  ', '\t', ' " ', " '", ' # ', '\\ ', '" "');
    const lines = fc
      .record({
        kind: fc.constantFrom(...kinds),
        text: specTexts(['http']),
        blank,
        colon: fc.nat(3),
        quoted: fc.nat(3),
      })
      .map(({ kind, text, blank, colon, quoted }) => {
        const fields = text.split(':');
        const words = [fields.slice(0, colon).join(':'), fields.slice(colon).join(':')].filter((word) => word !== '');
        return { kind, text: words.map((word) => (quoted === 0 ? word : quoteConfig(word))).join(blank) };
      });
    // Quotes hide the last field that is a backslash alone, the difference above.
    const asked = fc.sample(lines, { numRuns: count, seed }).filter(({ kind, text }) => {
      const read = parseConfigForward(kind, text, env);
      return read.ok || read.failure.problem.kind !== 'backslash';
    });
    const keyword = { local: 'LocalForward', remote: 'RemoteForward', dynamic: 'DynamicForward' };
    const ran = await runAll(
      asked.map(({ kind, text }) => {
        const odd = text.includes('odd name') ? `env 'odd name=odd' ` : '';
        return `printf '%s\\n' ${quoteShell(`${keyword[kind]} ${text}`)} | ${odd}ssh -G -F /dev/stdin host`;
      }),
      shellEnv,
    );
    assertNone(
      asked.flatMap(
        ({ kind, text }, index) => difference(kind, text, ran[index]!, parseConfigForward(kind, text, env)) ?? [],
      ),
      'different lines',
    );
    const read = asked.filter(({ kind, text }) => parseConfigForward(kind, text, env).ok).length;
    assert.ok(read > count / 10 && read < count * 0.9, `${read} of ${count} were accepted`);
  });
});

describe('printForward', () => {
  const name = fc.string({ unit: fc.constantFrom(...'ab1:\\[]${}/*.ü-'), maxLength: 12 });
  const path = fc
    .tuple(fc.string({ unit: fc.constantFrom(...'ab :\\[]${}/ü-'), maxLength: 12 }), fc.nat(12))
    .map(([text, at]) => `${text.slice(0, at)}/${text.slice(at)}`);
  const tcpTarget = fc.tuple(name, fc.integer({ min: 1, max: 65535 })).map(([host, port]) => at(host || 'db', port));
  const target = fc.oneof(tcpTarget, path.map(socket));
  const listen: fc.Arbitrary<Listen> = fc.oneof(
    fc
      .tuple(fc.integer({ min: 0, max: 65535 }), fc.option(name, { nil: undefined }))
      .map(([number, bind]) => port(number, bind)),
    path.map(socket),
    fc.constantFrom('\\\\.\\pipe\\x', '\\\\?\\Pipe\\[a]:${b}').map(socket),
  );
  const specs: fc.Arbitrary<ForwardSpec> = fc.oneof(
    fc.tuple(listen, target).map(([listen, target]) => local(listen, target)),
    fc.tuple(listen, fc.oneof(target, fc.constant(socks))).map(([listen, target]) => remote(listen, target)),
    listen.map(dynamic),
  );

  it('prints what reads back as the same spec, whatever its names and paths hold', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const isAuto = spec.kind !== 'remote' && spec.listen.kind === 'tcp' && spec.listen.port === 0;
        assert.deepEqual(answer(parseForward(spec.kind, printForward(spec), env, { auto: isAuto })), spec);
        assert.deepEqual(answer(parseSpec(printSpec(spec), env)), spec);
        assert.deepEqual(answer(parseAnswer(` ${printSpec(spec)} `, env)), spec);
        const words = forwardWords(spec).map(quoteConfig).join(' ');
        if (!isAuto) assert.deepEqual(answer(parseConfigForward(spec.kind, words, env)), spec);
      }),
      { numRuns: 3000 },
    );
  });

  it('prints what any accepted text reads as, so that the print reads the same', () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), specTexts(['http']), (kind, text) => {
        const read = parseForward(kind, text, env);
        if (read.ok) assert.deepEqual(answer(parseForward(kind, printForward(read.spec), env)), read.spec);
      }),
      { numRuns: 5000 },
    );
  });

  const table: [string, string][] = [
    ['-L 05432:db:postgresql', '-L 5432:db:5432'],
    ['-L [::1]:8080:[2001:db8::1]:80', '-L [::1]:8080:[2001:db8::1]:80'],
    ['-L :8080:web:80', '-L :8080:web:80'],
    ['-L 8080:[/a:b]', '-L 8080:[/a:b]'],
    ['-L 8080:/a\\:b\\]', '-L 8080:/a\\:b\\]'],
    ['-L 8080:$\\{HOME}:80', '-L 8080:$\\{HOME}:80'],
    ['-L 8080:$HOME:80', '-L 8080:$HOME:80'],
    ['-R 1080', '-R 1080'],
    ['-R *:0:localhost:80', '-R *:0:localhost:80'],
    ['-D [::]:1080', '-D [::]:1080'],
    ['-L auto:db:5432', '-L auto:db:5432'],
    ['-D [::1]:auto', '-D [::1]:auto'],
    ['-L [\\\\.\\pipe\\a]:db:80', '-L [\\\\.\\pipe\\a]:db:80'],
  ];
  for (const [written, printed] of table)
    it(`prints “${written}” as “${printed}”`, () => assert.equal(printSpec(mustParseSpec(written)), printed));
});

describe('all readers of forwards', () => {
  it('never throw, and place a refusal inside the text', () => {
    const texts = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), specTexts(['http']));
    fc.assert(
      fc.property(texts, (text) => {
        const results = [
          parseSpec(text),
          parseAnswer(text),
          ...kinds.flatMap((kind) => [parseForward(kind, text, env), parseConfigForward(kind, text, env)]),
        ];
        for (const result of results)
          if (!result.ok) {
            assert.equal(result.failure.text, text);
            assert.ok(result.failure.at >= 0 && result.failure.at <= text.length, `${result.failure.at}`);
          }
      }),
      { numRuns: 2000 },
    );
  });
});
