import assert from 'node:assert/strict';
import fc from 'fast-check';
import { jsonValue, memberOf, readJson, type JsonNode } from '../../src/core/jsonText.js';

const valueOf = (text: string) => {
  const node = readJson(text);
  return node && jsonValue(node);
};

describe('JSON with comments', () => {
  it('reads as JSON does', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        assert.deepEqual(valueOf(text), JSON.parse(text));
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves out comments, and commas that are too many', () => {
    const text = '\uFEFF// a\n{ /* b */ "a": [1, /* , */ 2,], // "c": 3\r\n "b": "// no", , }';
    assert.deepEqual(valueOf(text), { a: [1, 2], b: '// no' });
  });

  it('reads what is half written as far as it goes', () => {
    assert.deepEqual(valueOf('{ "a": "b'), { a: 'b' });
    assert.deepEqual(valueOf('{ "a": [1, {"b": '), { a: [1, {}] });
    assert.deepEqual(valueOf('{ "a": , "b": 1 }'), { b: 1 });
    assert.deepEqual(valueOf('{ "a" "b": nul }'), { a: 'b' });
    assert.equal(valueOf(''), undefined);
    assert.equal(valueOf('/* no end'), undefined);
  });

  it('tells where each mark of a text stands', () => {
    const text = '["a\\nb\\u00e9c"]';
    const node = readJson(text);
    assert.ok(node?.kind === 'array' && node.items[0]?.kind === 'string', 'no text');
    const { value, places } = node.items[0];
    assert.equal(value, 'a\nbéc');
    assert.deepEqual(places, [2, 3, 5, 6, 12, 13]);
  });

  it('takes the last of several members with one name', () => {
    const node = readJson('{ "a": 1, "a": 2 }');
    assert.deepEqual(memberOf(node, 'a')?.value && jsonValue(memberOf(node, 'a')!.value!), 2);
  });

  it('ends for every text, with places in order and inside it', () => {
    const marks = fc.string({ unit: fc.constantFrom(...'{}[]",:\\/*\n ua1') });
    const walk = (node: JsonNode, text: string, start: number, end: number) => {
      assert.ok(start <= node.start && node.start < node.end && node.end <= end, JSON.stringify(text));
      const children =
        node.kind === 'array'
          ? node.items
          : node.kind === 'object'
            ? node.members.flatMap(({ key, value }) => [key, ...(value ? [value] : [])])
            : [];
      let from = node.start;
      for (const child of children) {
        walk(child, text, from, node.end);
        from = child.end;
      }
    };
    fc.assert(
      fc.property(fc.oneof(marks, fc.string()), (text) => {
        const node = readJson(text);
        if (node) walk(node, text, 0, text.length);
      }),
      { numRuns: 3000 },
    );
    assert.ok(readJson('['.repeat(100_000)), 'nothing read');
  });
});
