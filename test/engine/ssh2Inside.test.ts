import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { PacketKeys } from '../../src/engine/packets.js';
import { packetHooks } from '../../src/engine/ssh2Inside.js';
import { cipherConfig, decipherConfig } from '../support/ssh2Crypto.js';

const keys: PacketKeys = { name: 'aes-256-gcm', key: Buffer.alloc(32, 1), iv: Buffer.alloc(12, 2), sequence: 9 };

describe('the bridge from ssh2 to packets of our own', () => {
  for (const [name, length] of [
    ['aes-128-gcm', 16],
    ['aes-256-gcm', 32],
  ] as const)
    it(`makes of what ssh2 asks for ${name} a sealer and an opener that fit together`, () => {
      const asked = { ...keys, name, key: Buffer.alloc(length, 1) };
      const payloads: string[] = [];
      const opener = packetHooks.decipher(decipherConfig(asked, (payload) => void payloads.push(payload.toString())))!;
      const sealer = packetHooks.cipher(cipherConfig(asked, (bytes) => void opener.decrypt(bytes, 0, bytes.length)))!;
      assert.deepEqual([sealer.outSeqno, opener.inSeqno], [9, 9]);
      const packet = sealer.allocPacket(5);
      packet.write('hello', 5);
      sealer.encrypt(packet);
      assert.deepEqual(payloads, ['hello']);
      assert.deepEqual([sealer.outSeqno, opener.inSeqno], [10, 10]);
    });

  it('makes them with the names by which ssh2’s key exchange sets what is next', () => {
    const payloads: string[] = [];
    const opener = packetHooks.decipher(decipherConfig(keys, () => undefined))!;
    const sealer = packetHooks.cipher(cipherConfig(keys, (bytes) => void opener.decrypt(bytes, 0, bytes.length)))!;
    sealer.outSeqno = opener.inSeqno = 0;
    opener._onPayload = (payload) => void payloads.push(payload.toString());
    const packet = sealer.allocPacket(5);
    packet.write('hello', 5);
    sealer.encrypt(packet);
    assert.deepEqual(payloads, ['hello']);
    assert.deepEqual([sealer.sequence, opener.sequence], [1, 1]);
  });

  const strange = {
    info: [undefined, null, {}, { sslName: 'chacha20' }, { sslName: 'aes-128-ctr' }, { sslName: 'constructor' }],
    key: [undefined, null, Buffer.alloc(16), new Uint8Array(32), 'x'.repeat(32)],
    iv: [undefined, null, Buffer.alloc(16), Buffer.alloc(0), new Uint8Array(12), 'x'.repeat(12)],
    sequence: [undefined, null, -1, 0.5, 2 ** 32, NaN, '9'],
    callback: [undefined, null, {}],
  };
  const properties = {
    info: ['cipherInfo', 'decipherInfo'],
    key: ['cipherKey', 'decipherKey'],
    iv: ['cipherIV', 'decipherIV'],
    sequence: ['seqno', 'seqno'],
    callback: ['onWrite', 'onPayload'],
  } as const;
  for (const part of ['info', 'key', 'iv', 'sequence', 'callback'] as const)
    it(`leaves to ssh2 what has another ${part} than it is known to have`, () => {
      const [ofCipher, ofDecipher] = properties[part];
      for (const value of strange[part]) {
        const { outbound } = cipherConfig(keys, () => {});
        assert.equal(packetHooks.cipher({ outbound: { ...outbound, [ofCipher]: value } }), undefined);
        const { inbound } = decipherConfig(keys, () => undefined);
        assert.equal(packetHooks.decipher({ inbound: { ...inbound, [ofDecipher]: value } }), undefined);
      }
    });

  it('leaves to ssh2 what has no direction at all', () => {
    assert.equal(packetHooks.cipher({}), undefined);
    assert.equal(packetHooks.decipher({}), undefined);
  });

  const lies = {
    'that forgets the IV':
      'createCipheriv = (name, key, iv) => right.createCipheriv(name, key, Buffer.alloc(iv.length))',
    'that takes any tag': `createDecipheriv = (...given) => {
      const decipher = right.createDecipheriv(...given);
      decipher.final = () => Buffer.alloc(0);
      return decipher;
    }`,
    'that can’t': 'createCipheriv = () => { throw new Error("no such cipher"); }',
    'that is right': 'createCipheriv = right.createCipheriv',
  };
  for (const [title, lie] of Object.entries(lies))
    it(`asks a runtime ${title} once whether its AES-GCM is what it should be`, () => {
      const script = `
        const crypto = require('node:crypto');
        const right = { ...crypto };
        crypto.${lie};
        const { packetHooks } = require('./src/engine/ssh2Inside.ts');
        const { cipherConfig, decipherConfig } = require('./test/support/ssh2Crypto.ts');
        const keys = { name: 'aes-128-gcm', key: Buffer.alloc(16), iv: Buffer.alloc(12), sequence: 0 };
        for (let time = 0; time < 2; time++)
          process.stdout.write([
            packetHooks.cipher(cipherConfig(keys, () => {})) !== undefined,
            packetHooks.decipher(decipherConfig(keys, () => undefined)) !== undefined,
          ].join() + ' ');`;
      const root = join(__dirname, '../..');
      const args = ['--import', 'tsx', '--import', './test/support/patchedSsh2.mjs', '-e', script];
      const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
      const isRight = title === 'that is right';
      assert.equal(stdout, `${isRight},${isRight} `.repeat(2), stderr);
    });
});
