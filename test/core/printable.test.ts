import assert from 'node:assert/strict';
import fc from 'fast-check';
import { printable, printableLines } from '../../src/core/printable.js';

describe('printable', () => {
  const table: [text: string, shown: string][] = [
    ['', ''],
    ['Grüße, 世界 👋 “x”', 'Grüße, 世界 👋 “x”'],
    ['a\u001b[31mb\r\nc\td\u0000', 'a?[31mb??c?d?'],
    ['\u202eevil\u200b\u2066\ufeff\u00ad', '?evil????'],
    ['a\u2028b\u2029c\u0085d', 'a?b?c?d'],
    ['a\u{e0041}b\ud800c', 'a?b?c'],
    ['x'.repeat(300), 'x'.repeat(300)],
    ['x'.repeat(301), `${'x'.repeat(299)}…`],
    [`${'x'.repeat(298)}👋👋`, `${'x'.repeat(298)}…`],
  ];
  for (const [text, shown] of table)
    it(`shows ${JSON.stringify(text.slice(0, 30))} (${text.length})`, () => assert.equal(printable(text), shown));

  it('holds at most 300 characters that can be seen, and shows its own words as they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 700 }), (text) => {
        const shown = printable(text);
        assert.ok(shown.length <= 300);
        assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
        assert.equal(printable(shown), shown);
      }),
    );
  });
});

describe('printable lines', () => {
  it('keep the ends of lines, and lose blank ones around them', () => {
    assert.equal(
      printableLines('\r\n\n  Push sent. \r\n\nLook at\tyour phone\u001b[2J\n\n'),
      '  Push sent.\n\nLook at your phone?[2J',
    );
    assert.equal(printableLines(' \n\t\n'), '');
  });

  it('are 40 at most, of 300 characters at most', () => {
    assert.equal(printableLines('x\n'.repeat(40)), Array(40).fill('x').join('\n'));
    assert.equal(printableLines('x\n'.repeat(41)), [...Array<string>(39).fill('x'), '…'].join('\n'));
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), (text) => {
        const lines = printableLines(text).split('\n');
        assert.ok(lines.length <= 40);
        for (const line of lines) assert.ok(line.length <= 300 && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(line));
      }),
    );
  });
});
