import assert from 'node:assert/strict';
import { inEnglish, t, useTranslations } from '../../src/core/translate.js';

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

  it('inflects a value where the translation has that form of it, and leaves any other as it is', () => {
    useTranslations({
      'on {machine}': 'auf {machine:dative}',
      'this machine': 'dieser Computer',
      'dieser Computer:dative': 'diesem Computer',
    });
    assert.equal(t('on {machine}', { machine: t('this machine') }), 'auf diesem Computer');
    assert.equal(t('on {machine}', { machine: 'web01' }), 'auf web01');
  });

  it('speaks English for what is pasted elsewhere, and the user’s language again after it, also when that fails', () => {
    useTranslations({ stopped: 'gestoppt' });
    assert.equal(inEnglish(() => t('stopped')), 'stopped'); // prettier-ignore
    assert.throws(() => inEnglish(() => assert.fail('broken')), /broken/);
    assert.equal(t('stopped'), 'gestoppt');
  });
});
