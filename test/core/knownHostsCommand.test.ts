import assert from 'node:assert/strict';
import { expandCommand } from '../../src/core/knownHostsCommand.js';

describe('KnownHostsCommand', () => {
  const tokens = { '%': '%', H: '[web01]:2222', I: 'ORDER', h: 'web01' };
  const table: [command: string, words: string[] | string][] = [
    ['/usr/bin/keys', ['/usr/bin/keys']],
    ['/usr/bin/keys %H  %I', ['/usr/bin/keys', '[web01]:2222', 'ORDER']],
    ['/usr/bin/keys "a b" \'c d\' e\\ f', ['/usr/bin/keys', 'a b', 'c d', 'e f']],
    ['/usr/bin/keys a"b c"d', ['/usr/bin/keys', 'ab cd']],
    ['/usr/bin/keys "" x', ['/usr/bin/keys', '', 'x']],
    ['/usr/bin/keys 100%% $HOME ; rm #', ['/usr/bin/keys', '100%', '$HOME', ';', 'rm', '#']],
    ['/usr/bin/keys ${WHO}', ['/usr/bin/keys', 'ann']],
    ['/usr/bin/%h %h', ['/usr/bin/%h', 'web01']],
    ['/usr/bin/keys %x', '%x is not known'],
    ['/usr/bin/keys %', '% is not known'],
    ['/usr/bin/keys ${NOBODY}', '${NOBODY} is not known'],
    ['/usr/bin/keys ${WHO', '${WHO is not closed'],
    ['/usr/bin/keys ${WHO%h', '${WHO%h is not closed'],
    ['/usr/bin/keys ${}', '${} is not known'],
    ['/usr/bin/keys "a', 'a quote is not closed'],
    ['  ', 'it is empty'],
  ];
  for (const [command, words] of table)
    it(`${typeof words === 'string' ? 'refuses' : 'splits'} ${command}`, () => {
      const expanded = expandCommand(command, tokens, { WHO: 'ann' });
      assert.deepEqual(expanded.ok ? expanded.words : expanded.detail, words);
    });

  it('keeps what a token stands for in one word', () => {
    const expanded = expandCommand('/k %h', { h: '"; rm -rf x %H' }, {});
    assert.deepEqual(expanded.ok && expanded.words, ['/k', '"; rm -rf x %H']);
  });
});
