import assert from 'node:assert/strict';
import fc from 'fast-check';
import { quoteConfig, splitConfig } from '../../src/core/configWords.js';
import { joinWords, placeOf, plainWord, quoteShell, splitShell, wordPart } from '../../src/core/shellWords.js';
import { hasOpenSsh, run, runAll } from '../support/openSsh.js';

/** The words, other tokens in angle brackets, or what is wrong and where. */
function split(text: string, env = {}): string[] | { at: number; problem: string } {
  const result = splitShell(plainWord(text), env);
  if (!result.ok) return { at: result.at, problem: result.problem.kind };
  return result.tokens.map((token) => (token.kind === 'word' ? token.word.text : `<${token.text}>`));
}

describe('splitShell', () => {
  const table: [string, ReturnType<typeof split>][] = [
    ['', []],
    ['  a \t b\r', ['a', 'b']],
    ['a\u00a0b', ['a', 'b']],
    ['a"b c"d', ['ab cd']],
    ['\'a"b\' "a\'b"', ['a"b', "a'b"]],
    ['"" a', ['', 'a']],
    ['a\\ b \\"c \\\\', ['a b', '"c', '\\']],
    ['"a\\"b\\c\\\\" \'a\\\'', ['a"b\\c\\', 'a\\']],
    ['a \\\n b\\\nc', ['a', 'bc']],
    ['a ^\r\nb `\n c', ['a', 'b', 'c']],
    ['a # b\nc#d', ['a', '<\n>', 'c#d']],
    ['a&&b||c|d;e&', ['a', '<&&>', 'b', '<||>', 'c', '<|>', 'd', '<;>', 'e', '<&>']],
    ['a >b 2>&1 <c 3>>"d e"', ['a', '<>>', 'b', '<2>&1>', '<<>', 'c', '<3>>>', 'd e']],
    ['a <<EOF b\nc "\n`d`\n EOF2\nEOF\nf', ['a', '<<<>', 'b', '<\n>', 'f']],
    ['a <<\'E F\' <<-"G" | b\nc\nE F\n\td\n\tG\r\ne', ['a', '<<<>', '<<<->', '<|>', 'b', '<\n>', 'e']],
    ['a << EOF\n> b $(c)\n> EOF\nd; 0<<X\n"', ['a', '<<<>', '<\n>', 'd', '<;>', '<0<<>', '<\n>']],
    ['a <<EOF', ['a', '<<<>']],
    ['a <<< "b c" d', ['a', '<<<<>', 'b c', 'd']],
    ['a <<', ['a', '<<<>']],
    ['a &>/dev/null', ['a', '<&>>', '/dev/null']],
    ['$HOME "${HOME}x" \'$HOME\' $NOPE/x $ $5', ['/home/ann', '/home/annx', '$HOME', '${NOPE}/x', '$', '$5']],
    ['C:\\Users\\ann\\id -oIdentityFile=c:\\id \\\\.\\pipe\\x', ['C:\\Users\\ann\\id', '-oIdentityFile=c:\\id', '\\\\.\\pipe\\x']], // prettier-ignore
    ['"C:\\Program Files\\x"', ['C:\\Program Files\\x']],
    ['a "b', { at: 2, problem: 'quote' }],
    ["a b'c", { at: 3, problem: 'quote' }],
    ['a b\\', { at: 3, problem: 'backslash' }],
    ['a "$(b)"', { at: 3, problem: 'substitution' }],
    ['a `b`', { at: 2, problem: 'substitution' }],
    ["a '$(b) `c`'", ['a', '$(b) `c`']],
  ];
  for (const [text, expected] of table)
    it(`splits ${JSON.stringify(text)}`, () => assert.deepEqual(split(text, { HOME: '/home/ann' }), expected));

  it('splits as a shell does, whatever is quoted', async function () {
    if (!hasOpenSsh) this.skip();
    const piece = fc.constantFrom('a', 'ü', '-', ' ', ' ', '\t', '"', "'", '\\', '\\\n', '=', '~x', 'C:', '/', '.');
    const texts = fc.sample(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
      400,
    );
    // What we keep of Windows' paths, and what the shell asks the next line for.
    const sound = texts.filter((text) => {
      const words = split(text);
      return Array.isArray(words) && !words.includes('<\n>') && !/C:\\|\\\\\.\\/.test(text);
    });
    assert.ok(sound.length > 100, `${sound.length}`);
    const script = sound.map((text) => `set -- ${text}\nprintf '<%s>' "$@"; printf '\\036'`).join('\n');
    const { stdout } = await run('sh', ['-c', script]);
    const theirs = stdout.split('\x1e').slice(0, -1);
    assert.deepEqual(
      sound.map((text) => (split(text) as string[]).map((word) => `<${word}>`).join('') || '<>'),
      theirs,
    );
  });

  it('skips what a heredoc holds as a shell does', async function () {
    if (!hasOpenSsh) this.skip();
    const body = fc
      .array(fc.constantFrom('x', "'", '"', '$(', '`', '<<F', 'EE', 'a E', '#', '\\', 'ssh h', ''), { maxLength: 4 })
      .map((lines) => lines.map((line) => `${line}\n`).join(''));
    const heredoc = fc.constantFrom("<<'E'", '<<-"E"', '<< \\E', "0<<'E'");
    const texts = fc.sample(
      fc
        .tuple(heredoc, fc.option(heredoc), body, body, fc.constantFrom('', '\t'))
        .map(([one, two, body, more, tab]) => {
          const end = (written: string) => `${written.includes('-') ? tab : ''}E\n`;
          return `set -- a ${one} b ${two ?? ''}; printf '<%s>' "$@"\n${body}${end(one)}${two ? more + end(two) : ''}printf '<%s>' z\n`;
        }),
      100,
    );
    const ran = await runAll(texts.map((text) => `sh -c ${quoteShell(text)}`));
    texts.forEach((text, index) => {
      assert.equal(ran[index]!.stdout, '<a><b><z>', text);
      const words = (split(text) as string[]).filter((word) => !/^<[^>]*<[<-]*>$/.test(word));
      assert.deepEqual(words, ['set', '--', 'a', 'b', '<;>', 'printf', '<%s>', '$@', '<\n>', 'printf', '<%s>', 'z', '<\n>'], text); // prettier-ignore
    });
  });

  it('knows where each character stood', () => {
    const text = ' a "b\\"c" \\d $X';
    const result = splitShell(plainWord(text), { X: 'yz' });
    assert.ok(result.ok);
    const words = result.tokens.flatMap((token) => (token.kind === 'word' ? token.word : []));
    assert.deepEqual(words, [
      { text: 'a', places: [1, 2] },
      { text: 'b"c', places: [4, 5, 7, 9] },
      { text: 'd', places: [10, 12] },
      { text: 'yz', places: [13, 13, 15] },
    ]);
    // Once more: the words of a word.
    const again = splitShell(joinWords(words.slice(0, 3)));
    assert.deepEqual(again, { ok: false, at: 5, problem: { kind: 'quote' } });
    assert.equal(placeOf(wordPart(words[1]!, 1), 1), 7);
    assert.equal(placeOf(words[1]!, 99), 9);
  });
});

describe('quoteShell', () => {
  it('makes one word of any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab \t\n"\'\\$`~#|&;<>()*?[]{}!=%^:/.-ü') }), (text) => {
        assert.deepEqual(split(`x ${quoteShell(text)} y`), ['x', text, 'y']);
      }),
    );
  });

  const table = [
    ['8080:db:80', '8080:db:80'],
    ['[::1]:80', "'[::1]:80'"],
    ['*:80', "'*:80'"],
    ['~/x', "'~/x'"],
    ["it's", "'it'\\''s'"],
    ['', "''"],
  ] as const;
  for (const [text, quoted] of table) it(`prints ${quoted}`, () => assert.equal(quoteShell(text), quoted));
});

describe('quoteConfig', () => {
  it('makes one word of an ssh_config line of any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab \t"\'\\#=%${}~ü') }), (text) => {
        const words = splitConfig(plainWord(`x ${quoteConfig(text)} y # z`));
        assert.deepEqual(
          words?.map(({ text }) => text),
          ['x', text, 'y'],
        );
      }),
      { numRuns: 2000 },
    );
  });
});
