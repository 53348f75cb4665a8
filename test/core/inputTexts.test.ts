import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../../src/ui');

/** VS Code renders them with links that run commands. */
const rendered = /\b(?:prompt|validationMessage|message)(?: =|:) ([^,;]*)/g;

describe('the texts of inputs', () => {
  const found = readdirSync(folder).flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(rendered)].map(([, text = '']) => `${file}: ${text}`),
  );

  it('take nothing that a preset, a pasted command or a server says for a link', () => {
    const variable = found.filter((text) => /\{\w+\}|\$\{|: message\b/.test(text));
    assert.ok(variable.length >= 2, String(found));
    assert.deepEqual(
      variable.filter((text) => !/: withoutLinks\(/.test(text)),
      [],
    );
  });
});
