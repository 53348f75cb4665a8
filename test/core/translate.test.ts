import assert from 'node:assert/strict';
import { t, useTranslations } from '../../src/core/translate.js';

describe('translate', () => {
  afterEach(() => useTranslations(undefined));

  it('puts values in the places that carry their names, and leaves other braces alone', () => {
    assert.equal(t('{a} to {b}, {c}', { a: 'x', b: 2 }), 'x to 2, {c}');
  });

  it('never reads a value as a pattern or as a place of another', () => {
    assert.equal(t('{a}{b}', { a: '{b}$&', b: '$1' }), '{b}$&$1');
  });

  it('takes the sentence of the bundle, and the English one where it has none', () => {
    useTranslations({ '{n} tunnels': '{n} Tunnel' });
    assert.equal(t('{n} tunnels', { n: 2 }), '2 Tunnel');
    assert.equal(t('stopped'), 'stopped');
    assert.equal(t('constructor'), 'constructor');
  });
});
