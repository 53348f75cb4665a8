import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import fc from 'fast-check';
import { parseDestination, printDestination, type Destination } from '../../src/core/destination.js';
import type { DestinationProblem } from '../../src/core/failure.js';
import { askEach, hasOpenSsh, run } from '../support/openSsh.js';

/** The destination, or the place and problem of the refusal. */
function answer(text: string): Destination | { at: number; problem: DestinationProblem } {
  const result = parseDestination(text);
  return result.ok ? result.destination : { at: result.failure.at, problem: result.failure.problem };
}

describe('parseDestination', () => {
  const accepted: [string, Destination][] = [
    ['web01', { host: 'web01' }],
    [' web01\t', { host: 'web01' }],
    ['bob@web01', { host: 'web01', user: 'bob' }],
    ['bob@web01:2222', { host: 'web01', user: 'bob', port: 2222 }],
    ['web01:2222', { host: 'web01', port: 2222 }],
    ['web01:00022', { host: 'web01', port: 22 }],
    ['web01:65535', { host: 'web01', port: 65535 }],
    ['192.0.2.7:22', { host: '192.0.2.7', port: 22 }],
    ['::1', { host: '::1' }],
    ['bob@2001:db8::1', { host: '2001:db8::1', user: 'bob' }],
    ['[::1]', { host: '::1' }],
    ['[::1]:2222', { host: '::1', port: 2222 }],
    ['bob@[fe80::1%eth0]:2222', { host: 'fe80::1%eth0', user: 'bob', port: 2222 }],
    ['[web01]:2222', { host: 'web01', port: 2222 }],
    ['bob@example.com@web01', { host: 'web01', user: 'bob@example.com' }],
    ['CORP\\bob@web01', { host: 'web01', user: 'CORP\\bob' }],
    ['ssh://web01', { host: 'web01' }],
    ['ssh://bob@web01:2222', { host: 'web01', user: 'bob', port: 2222 }],
    ['ssh://bob@web01:2222/', { host: 'web01', user: 'bob', port: 2222 }],
    ['SSH://web01/', { host: 'web01' }],
    ['ssh://bob%40example.com@web01', { host: 'web01', user: 'bob@example.com' }],
    ['ssh://100%@web01', { host: 'web01', user: '100%' }],
    ['ssh://[::1]:2222', { host: '::1', port: 2222 }],
  ];
  for (const [text, destination] of accepted) it(`reads “${text}”`, () => assert.deepEqual(answer(text), destination));

  const character = (character: string): DestinationProblem => ({ kind: 'character', character });
  const badPort = (text: string): DestinationProblem => ({ kind: 'port', text });
  const refused: [string, number, DestinationProblem][] = [
    ['', 0, { kind: 'hostMissing' }],
    ['   ', 3, { kind: 'hostMissing' }],
    ['bob@', 4, { kind: 'hostMissing' }],
    [':22', 0, { kind: 'hostMissing' }],
    ['[]:22', 0, { kind: 'hostMissing' }],
    ['ssh://', 6, { kind: 'hostMissing' }],
    ['@web01', 0, { kind: 'userMissing' }],
    ['ssh://@web01', 6, { kind: 'userMissing' }],
    ['-oProxyCommand=x', 0, { kind: 'leadingDash' }],
    ['bob@-web01', 4, { kind: 'leadingDash' }],
    ['-bob@web01', 0, { kind: 'leadingDash' }],
    ['ssh://%2Dbob@web01', 6, { kind: 'leadingDash' }],
    ['web 01', 3, character(' ')],
    ['ssh web01', 3, character(' ')],
    ['web01; reboot', 5, character(';')],
    ['bob@web$(reboot)', 7, character('$')],
    ['web`01', 3, character('`')],
    ['web\\01', 3, character('\\')],
    ['[web|01]:22', 4, character('|')],
    ['we\u0000b', 2, character('\u0000')],
    ['b"ob@web01', 1, character('"')],
    ['CORP\\b ob@web01', 6, character(' ')],
    ['bob\\@web01', 3, character('\\')],
    ['  b&b@web01', 3, character('&')],
    ['ssh://b%20b@web01', 6, character(' ')],
    ['ssh://ssh:%2F%2Fx@web01', 6, character('/')],
    ['web01:', 6, badPort('')],
    ['web01:0', 6, badPort('0')],
    ['web01:65536', 6, badPort('65536')],
    ['web01:ssh', 6, badPort('ssh')],
    ['web01:-1', 6, badPort('-1')],
    ['web01: 22', 6, badPort(' 22')],
    ['[::1]:99999', 6, badPort('99999')],
    ['http://web01', 5, badPort('//web01')],
    ['[::1', 0, { kind: 'bracket' }],
    ['bob@[::1]2222', 4, { kind: 'bracket' }],
    ['web]:22', 0, { kind: 'bracket' }],
    ['a]:b:c', 0, { kind: 'bracket' }],
    ['ssh://web01/home', 11, { kind: 'path' }],
  ];
  for (const [text, at, problem] of refused)
    it(`refuses ${JSON.stringify(text)}: ${problem.kind} at ${at}`, () =>
      assert.deepEqual(answer(text), { at, problem }));

  it('names the text of a refusal', () =>
    assert.deepEqual(parseDestination('bob@'), {
      ok: false,
      failure: { kind: 'badDestination', text: 'bob@', at: 4, problem: { kind: 'hostMissing' } },
    }));

  it('takes for host, user and port what ssh takes for them', async function () {
    if (!hasOpenSsh) this.skip();
    const texts = ['web01', 'bob@web01', 'a@b@web01', 'ssh://bob@web01:2222', 'ssh://bob%40x@web01/', 'CORP\\bob@web01', '192.0.2.7', '::1', '%h']; // prettier-ignore
    const theirs = await askEach(texts, async (text): Promise<Destination> => {
      const { stdout } = await run('ssh', ['-G', '-F', '/dev/null', '--', text]);
      const value = (keyword: string) => new RegExp(`^${keyword} (.*)$`, 'm').exec(stdout)?.[1] ?? '';
      const [host, user, port] = [value('host'), value('user'), Number(value('port'))];
      return { host, ...(user !== userInfo().username && { user }), ...(port !== 22 && { port }) };
    });
    assert.deepEqual(texts.map(answer), theirs);
  });
});

describe('printDestination', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'ab1:@[]%/\\-.+ $ü\t') }),
    fc.array(fc.constantFrom('ssh://', 'bob', '@', 'web01', ':', '22', '[::1]', '[', ']', '%2F', '%40', '/', ' ', '\\'), {maxLength: 8}).map((parts) => parts.join('')), // prettier-ignore
  );

  it('prints what reads back as the same destination, and no text makes the reader throw', () => {
    let read = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const result = parseDestination(text);
        if (result.ok) {
          read++;
          assert.deepEqual(answer(printDestination(result.destination)), result.destination);
        } else {
          assert.equal(result.failure.text, text);
          assert.ok(result.failure.at >= 0 && result.failure.at <= text.length, `${result.failure.at}`);
        }
      }),
      { numRuns: 5000 },
    );
    assert.ok(read > 500, `${read} were accepted`);
  });

  const table: [Destination, string][] = [
    [{ host: 'web01' }, 'web01'],
    [{ host: 'web01', user: 'bob', port: 2222 }, 'bob@web01:2222'],
    [{ host: '::1' }, '[::1]'],
    [{ host: '::1', user: 'bob', port: 22 }, 'bob@[::1]:22'],
  ];
  for (const [destination, text] of table)
    it(`prints “${text}”`, () => assert.equal(printDestination(destination), text));
});
