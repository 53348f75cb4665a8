import assert from 'node:assert/strict';
import {
  cancelLine,
  controlLineHelp,
  findCancelled,
  matchesListen,
  parseControlLine,
  type ControlLine,
} from '../../src/core/controlLine.js';
import { printSpec, type ForwardKind, type Listen } from '../../src/core/forwardSpec.js';
import { failureText } from '../../src/core/wording.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const port = (port: number, bind?: string): Listen => ({ kind: 'tcp', bind, port });
const cancel = (forward: ForwardKind, listen: Listen): ControlLine => ({ kind: 'cancel', forward, listen });
const add = (spec: string): ControlLine => ({ kind: 'add', spec: mustParseSpec(spec) });

describe('parseControlLine', () => {
  const table: [string, ControlLine][] = [
    ['-L 8080:db:80', add('-L 8080:db:80')],
    ['-L8080:db:80 ', add('-L 8080:db:80')],
    ['  L 8080:db:80', add('-L 8080:db:80')],
    ['-R 1080', add('-R 1080')],
    ['-R0:localhost:3000', add('-R 0:localhost:3000')],
    ['-D [::1]:1080', add('-D [::1]:1080')],
    ['-D auto', add('-D auto')],
    ['-L ${HOME}/x:db:80', add('-L /home/ann/x:db:80')],
    ['-KL8080', cancel('local', port(8080))],
    ['-KL 127.0.0.1:8080', cancel('local', port(8080, '127.0.0.1'))],
    ['KL auto', cancel('local', port(0))],
    ['-KL /tmp/a.sock', cancel('local', { kind: 'unix', path: '/tmp/a.sock' })],
    ['-KR 8080', cancel('remote', port(8080))],
    ['-KR *:0', cancel('remote', port(0, '*'))],
    ['-KR /tmp/a.sock', cancel('remote', { kind: 'unix', path: '/tmp/a.sock' })],
    ['-KD :1080', cancel('dynamic', port(1080, ''))],
    ['?', { kind: 'help' }],
    [' -? ', { kind: 'help' }],
    ['help', { kind: 'help' }],
    ['-h', { kind: 'help' }],
    ['H', { kind: 'help' }],
    ['', { kind: 'empty' }],
    [' \t', { kind: 'empty' }],
  ];
  for (const [line, expected] of table)
    it(`reads “${line}”`, () => assert.deepEqual(parseControlLine(line, { HOME: '/home/ann' }), expected));

  const refused: [line: string, at: number, words: RegExp][] = [
    ['!ls', 0, /commands are not run here/],
    [' -X 8080', 1, /expected -L, -R, -D, -KL, -KR, -KD or \?/],
    ['-K 8080', 0, /expected -L/],
    ['-kl 8080', 0, /expected -L/],
    ['-L', 2, /nothing to forward/],
    ['-L 8080:db', 10, /target port missing/],
    ['  -L 8080:db:x', 13, /“x” is not a target port/],
    ['-L 0:db:80', 3, /port 0/],
    ['-KL', 3, /nothing to forward/],
    ['-KL 8080:db:80', 9, /by where it listens alone/],
    ['-KR 8080:db:80', 4, /by where it listens alone/],
    ['-KD 1080:/x', 9, /by where it listens alone/],
    ['-KL web', 4, /“web” is not a port/],
  ];
  for (const [line, at, words] of refused)
    it(`refuses “${line}”`, () => {
      const read = parseControlLine(line);
      assert.ok(read.kind === 'refused');
      assert.match(failureText(read.failure), words);
      assert.ok('at' in read.failure);
      assert.deepEqual([read.failure.at, read.failure.text], [at, line]);
    });

  it('has help that names each command', () => {
    for (const command of ['-L', '-R', '-D', '-KL', '-KR', '-KD']) assert.ok(controlLineHelp().includes(`${command} `));
  });
});

describe('what a line cancels', () => {
  const cancelled = (line: string) => {
    const read = parseControlLine(line);
    assert.ok(read.kind === 'cancel');
    return read;
  };
  const table: [spec: string, line: string, matches: boolean][] = [
    ['-L 8080:db:80', '-KL 8080', true],
    ['-L localhost:8080:db:80', '-KL 8080', true],
    ['-D 1080', '-KD LocalHost:1080', true],
    ['-R 8080:a:1', '-KR localhost:8080', true],
    ['-L :8080:db:80', '-KL *:8080', true],
    ['-L Db.Local:8080:db:80', '-KL db.local:8080', true],
    ['-L /a:db:80', '-KL /a', true],
    ['-R 1080', '-KR 1080', true],
    ['-L 127.0.0.1:8080:db:80', '-KL 8080', false],
    ['-L *:8080:db:80', '-KL 8080', false],
    ['-L 8080:db:80', '-KL 8081', false],
    ['-L 8080:db:80', '-KR 8080', false],
    ['-L 8080:db:80', '-KD 8080', false],
    ['-L /a:db:80', '-KL /A', false],
    ['-L /a:db:80', '-KL 8080', false],
    ['-L 8080:db:80', '-KL /a', false],
  ];
  for (const [spec, line, matches] of table)
    it(`${line} ${matches ? 'cancels' : 'leaves'} ${spec}`, () =>
      assert.equal(matchesListen({ spec: mustParseSpec(spec) }, cancelled(line)), matches));

  const forwards = ['-L 8080:db:80', '-L 127.0.0.1:9000:db:80', '-R *:9000:a:1', '-D auto', '-L /x y:db:1', '-R 0:a:1'].map(
    (spec, index) => ({ id: index, spec: mustParseSpec(spec), ...(index === 3 && { port: 49152 }) }),
  ); // prettier-ignore

  it('finds the forward', () => {
    assert.deepEqual(findCancelled(forwards, cancelled('-KL 8080')), { ok: true, forwards: [forwards[0]] });
    assert.deepEqual(findCancelled(forwards, cancelled('-KR 0')), { ok: true, forwards: [forwards[5]] });
  });

  it('finds an automatic port by its number, too', () => {
    for (const line of ['-KD auto', '-KD 49152', '-KD localhost:49152'])
      assert.deepEqual(findCancelled(forwards, cancelled(line)), { ok: true, forwards: [forwards[3]] });
  });

  it('names those on the same port when there is none', () => {
    const said = (line: string) => {
      const found = findCancelled(forwards, cancelled(line));
      return found.ok ? '' : failureText(found.failure);
    };
    assert.equal(
      said('-KL 9000'),
      '-KL 9000 cancels nothing, since nothing listens there. For the same port, write -KL 127.0.0.1:9000 or -KR *:9000.',
    );
    assert.match(said('-KL /y'), /^-KL \/y cancels nothing, since nothing listens there\. Write the kind/);
  });

  it('is the line that is offered for it', () => {
    assert.deepEqual(forwards.map(cancelLine), [
      '-KL 8080',
      '-KL 127.0.0.1:9000',
      '-KR *:9000',
      '-KD 49152',
      '-KL /x y',
      '-KR 0',
    ]);
    for (const forward of forwards)
      assert.deepEqual(findCancelled(forwards, cancelled(cancelLine(forward))), { ok: true, forwards: [forward] }, printSpec(forward.spec)); // prettier-ignore
  });
});
