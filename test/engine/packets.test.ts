import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import fc from 'fast-check';
import {
  canSealPackets,
  createOpener,
  createSealer,
  type Opener,
  type PacketKeys,
  type Sealer,
} from '../../src/engine/packets.js';
import { createSsh2Cipher, createSsh2Decipher, sendBySsh2 } from '../support/ssh2Crypto.js';

const names = ['aes-128-gcm', 'aes-256-gcm'] as const;

/** AES-GCM by its definition (NIST SP 800-38D), slowly: what all else is measured by. */
function gcm(key: Buffer, iv: Buffer, aad: Buffer, text: Buffer, way: 'seal' | 'open'): { text: Buffer; tag: Buffer } {
  const block = (input: Buffer) => {
    const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false);
    return cipher.update(input);
  };
  const number = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex') || '0'}`);
  const bytes = (value: bigint) => Buffer.from(value.toString(16).padStart(32, '0'), 'hex');
  const times = (one: bigint, other: bigint) => {
    let product = 0n;
    let shifted = other;
    for (let bit = 127n; bit >= 0n; bit--) {
      if ((one >> bit) & 1n) product ^= shifted;
      shifted = shifted & 1n ? (shifted >> 1n) ^ (0xe1n << 120n) : shifted >> 1n;
    }
    return product;
  };
  const counted = (count: number) => {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(count);
    return block(Buffer.concat([iv, counter]));
  };
  const turned = Buffer.from(text);
  for (let at = 0; at < text.length; at += 16) {
    const stream = counted(2 + at / 16);
    for (let offset = at; offset < Math.min(at + 16, text.length); offset++) turned[offset]! ^= stream[offset - at]!;
  }
  const filled = (part: Buffer) => Buffer.concat([part, Buffer.alloc((16 - (part.length % 16)) % 16)]);
  const lengths = Buffer.alloc(16);
  lengths.writeUInt32BE(aad.length * 8, 4);
  lengths.writeUInt32BE(text.length * 8, 12);
  const hashed = Buffer.concat([filled(aad), filled(way === 'seal' ? turned : text), lengths]);
  const hashKey = number(block(Buffer.alloc(16)));
  let hash = 0n;
  for (let at = 0; at < hashed.length; at += 16) hash = times(hash ^ number(hashed.subarray(at, at + 16)), hashKey);
  return { text: turned, tag: bytes(hash ^ number(counted(1))) };
}

function keysOf(name: PacketKeys['name'], seed: string, counter = 0n): PacketKeys {
  const digest = createHash('sha512').update(seed).digest();
  const iv = Buffer.from(digest.subarray(32, 44));
  iv.writeBigUInt64BE(counter, 4);
  return { name, key: digest.subarray(0, name === 'aes-128-gcm' ? 16 : 32), iv, sequence: 3 };
}

/** A packet with any body, right or wrong, made without the code under test. */
function sealedBody({ key, iv }: PacketKeys, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const { text, tag } = gcm(key, iv, length, body, 'seal');
  return Buffer.concat([length, text, tag]);
}

function seal(sealer: Sealer, payload: Buffer): void {
  const packet = sealer.allocPacket(payload.length);
  packet.set(payload, 5);
  sealer.encrypt(packet);
}

/** Each packet’s bytes, whatever the number of its writes. */
function sealedPackets(keys: PacketKeys, run: (sealer: Sealer, next: () => void) => void): Buffer[] {
  const packets: Buffer[][] = [[]];
  const sealer = createSealer(keys, (bytes) => packets.at(-1)!.push(bytes));
  run(sealer, () => packets.push([]));
  return packets.map((parts) => Buffer.concat(parts));
}

function channelData(recipient: number, data: Uint8Array): Buffer {
  const payload = Buffer.alloc(9 + data.length, 94);
  payload.writeUInt32BE(recipient, 1);
  payload.writeUInt32BE(data.length, 5);
  payload.set(data, 9);
  return payload;
}

/** An opener that collects what it hands on. */
function collecting(keys: PacketKeys): { opener: Opener; payloads: Buffer[] } {
  const payloads: Buffer[] = [];
  return { opener: createOpener(keys, (payload) => void payloads.push(payload)), payloads };
}

const hex = (parts: readonly Buffer[]) => parts.map((part) => part.toString('hex'));

describe('the AES-GCM that packets are measured by', () => {
  const text =
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39';
  const aad = 'feedfacedeadbeeffeedfacedeadbeefabaddad2';
  const key = 'feffe9928665731c6d6a8f9467308308';
  const iv = 'cafebabefacedbaddecaf888';
  const zeros = (bytes: number) => '00'.repeat(bytes);
  const vectors = [
    {
      title: '1',
      key: zeros(16),
      iv: zeros(12),
      aad: '',
      text: '',
      sealed: '',
      tag: '58e2fccefa7e3061367f1d57a4e7455a',
    },
    {
      title: '2',
      key: zeros(16),
      iv: zeros(12),
      aad: '',
      text: zeros(16),
      sealed: '0388dace60b6a392f328c2b971b2fe78',
      tag: 'ab6e47d42cec13bdf53a67b21257bddf',
    },
    {
      title: '4',
      key,
      iv,
      aad,
      text,
      sealed:
        '42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091',
      tag: '5bc94fbc3221a5db94fae95ae7121a47',
    },
    {
      title: '16',
      key: key + key,
      iv,
      aad,
      text,
      sealed:
        '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662',
      tag: '76fc6ece0f4e1768cddf8853bb2d551b',
    },
  ];
  for (const { title, sealed, tag, ...given } of vectors)
    it(`gives what NIST was given as test case ${title}`, () => {
      const [keyBytes, ivBytes, aadBytes, textBytes] = [given.key, given.iv, given.aad, given.text].map((part) =>
        Buffer.from(part, 'hex'),
      ) as [Buffer, Buffer, Buffer, Buffer];
      const made = gcm(keyBytes, ivBytes, aadBytes, textBytes, 'seal');
      assert.deepEqual(hex([made.text, made.tag]), [sealed, tag]);
      const found = gcm(keyBytes, ivBytes, aadBytes, made.text, 'open');
      assert.deepEqual(hex([found.text, found.tag]), [given.text, tag]);
    });
});

for (const name of names)
  describe(`packets of ${name}`, () => {
    it('are as RFC 5647 and OpenSSH want them, for every length of a payload', () => {
      const keys = keysOf(name, 'lengths', 2n ** 32n - 20n);
      const payloads = Array.from({ length: 70 }, (_, length) => Buffer.alloc(length, length + 1));
      const packets = sealedPackets(keys, (sealer, next) => {
        for (const payload of payloads) {
          seal(sealer, payload);
          next();
        }
      });
      const iv = Buffer.from(keys.iv);
      for (const [index, payload] of payloads.entries()) {
        iv.writeBigUInt64BE(2n ** 32n - 20n + BigInt(index), 4);
        const packet = packets[index]!;
        const length = packet.readUInt32BE(0);
        assert.equal(packet.length, 4 + length + 16);
        assert.equal(length % 16, 0);
        const { text, tag } = gcm(keys.key, iv, packet.subarray(0, 4), packet.subarray(4, -16), 'open');
        assert.deepEqual(packet.subarray(-16), tag);
        const padding = text[0]!;
        assert.ok(padding >= 4 && padding < 20, String(padding));
        assert.deepEqual(text.subarray(1, length - padding), payload);
      }
    });

    it('are opened as the definition seals them, for every length of a payload and of its padding', () => {
      for (let length = 0; length < 40; length++)
        for (let padding = 4; padding < 256; padding++) {
          if ((1 + length + padding) % 16 !== 0) continue;
          const keys = keysOf(name, `${length} ${padding}`, 7n);
          const payload = Buffer.alloc(length, 200);
          const packet = sealedBody(keys, Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(padding, 3)]));
          const { opener, payloads } = collecting(keys);
          assert.equal(opener.decrypt(packet, 0, packet.length), undefined);
          assert.deepEqual(payloads, [payload]);
        }
    });

    for (const [title, counter] of [
      ['across 2^32', 2n ** 32n - 2n],
      ['across its end, and leaves the fixed part alone', 2n ** 64n - 2n],
    ] as const)
      it(`count the IV up ${title}`, () => {
        const keys = keysOf(name, 'counter', counter);
        const packets = sealedPackets(keys, (sealer, next) => {
          for (let count = 0; count < 5; count++) {
            if (count % 2) sealer.prepare();
            seal(sealer, Buffer.of(count));
            next();
          }
        });
        const { opener, payloads } = collecting(keys);
        for (const [index, packet] of packets.slice(0, 5).entries()) {
          const iv = Buffer.from(keys.iv);
          iv.writeBigUInt64BE(BigInt.asUintN(64, counter + BigInt(index)), 4);
          const { text, tag } = gcm(keys.key, iv, packet.subarray(0, 4), packet.subarray(4, -16), 'open');
          assert.deepEqual(packet.subarray(-16), tag);
          assert.equal(text[1], index);
          if (index % 2) opener.prepare();
          opener.decrypt(packet, 0, packet.length);
        }
        assert.deepEqual(hex(payloads), ['00', '01', '02', '03', '04']);
      });

    it('are refused with any bit of them flipped, and nothing of them is handed on', () => {
      const keys = keysOf(name, 'flipped');
      const data = Buffer.from('flip me');
      const [before, packet] = sealedPackets(keys, (sealer, next) => {
        sealer.sealData(1, data, 0, data.length);
        next();
        sealer.sealData(2, data, 0, data.length);
      }) as [Buffer, Buffer];
      // As much as the longest packet: a length that was altered waits for that many bytes.
      const rest = Buffer.alloc(300 * 1024);
      for (let bit = 0; bit < packet.length * 8; bit++) {
        const altered = Buffer.from(packet);
        altered[bit >> 3]! ^= 1 << (bit & 7);
        const handedOn: unknown[] = [];
        const opener = createOpener(keys, (payload) => void handedOn.push(payload));
        opener.onData = (recipient) => handedOn.push(recipient) > 0;
        const stream = Buffer.concat(bit < 32 ? [before, altered, rest] : [before, altered]);
        assert.throws(() => opener.decrypt(stream, 0, stream.length), /^Error: Bad packet/, `bit ${bit}`);
        assert.throws(() => opener.decrypt(packet, 0, packet.length), /^Error: Bad packet/, `after bit ${bit}`);
        assert.deepEqual(handedOn, [1]);
        assert.equal(opener.sequence, keys.sequence + 1);
      }
    });

    it('are refused when they come again, in another order, or one is left out', () => {
      const keys = keysOf(name, 'order');
      const [one, two, three] = sealedPackets(keys, (sealer, next) => {
        for (let count = 0; count < 3; count++) {
          seal(sealer, Buffer.of(count));
          next();
        }
      }) as [Buffer, Buffer, Buffer];
      for (const [order, opened] of [
        [[one, one], 1],
        [[two, one], 0],
        [[one, three], 1],
        [[one, two, one], 2],
      ] as const) {
        const { opener, payloads } = collecting(keys);
        const stream = Buffer.concat(order);
        assert.throws(() => opener.decrypt(stream, 0, stream.length), /tag/);
        assert.equal(payloads.length, opened);
      }
    });

    it('are opened once they are whole, wherever a read ends', () => {
      const keys = keysOf(name, 'cut');
      const payloads = [Buffer.from('one'), Buffer.alloc(0), channelData(9, Buffer.alloc(40, 1)), Buffer.from('four')];
      const packets = sealedPackets(keys, (sealer, next) => {
        for (const payload of payloads) {
          seal(sealer, payload);
          next();
        }
      });
      const ends = packets.map((_, index) => Buffer.concat(packets.slice(0, index + 1)).length);
      const stream = Buffer.concat(packets);
      for (let cut = 0; cut <= stream.length; cut++) {
        const { opener, payloads: opened } = collecting(keys);
        opener.decrypt(stream, 0, cut);
        assert.equal(opened.length, ends.filter((end, index) => end <= cut && index < payloads.length).length);
        opener.decrypt(stream, cut, stream.length);
        assert.deepEqual(opened, payloads);
      }
    });

    it('are the same packets to ssh2’s own code, in both directions, for any traffic and any reads', () => {
      const step = fc.record({
        payload: fc.oneof(
          fc.uint8Array({ maxLength: 100 }),
          fc.nat({ max: 33_000 }).map((length) => Buffer.alloc(length, length)),
        ),
        asData: fc.boolean(),
        prepare: fc.boolean(),
      });
      fc.assert(
        fc.property(
          fc.array(step, { minLength: 1, maxLength: 12 }),
          fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 60_000 }))),
          (steps, counter, reads) => {
            const keys = keysOf(name, 'traffic', counter);
            const written = { ours: [] as Buffer[], theirs: [] as Buffer[] };
            const ours = createSealer(keys, (bytes) => written.ours.push(Buffer.from(bytes)));
            const theirs = createSsh2Cipher(keys, (bytes) => written.theirs.push(Buffer.from(bytes)));
            const sent: Buffer[] = [];
            for (const { payload, asData, prepare } of steps) {
              if (prepare) ours.prepare();
              const from = { ours: written.ours.length, theirs: written.theirs.length };
              const whole = asData ? channelData(5, payload) : Buffer.from(payload);
              sent.push(whole);
              const packet = theirs.allocPacket(whole.length);
              packet.set(whole, 5);
              if (asData) ours.sealData(5, payload, 0, payload.length);
              else {
                const own = ours.allocPacket(whole.length);
                assert.deepEqual(own.subarray(0, 5), packet.subarray(0, 5));
                own.set(packet.subarray(5), 5);
                ours.encrypt(own);
              }
              theirs.encrypt(packet);
              const [mine, other] = [written.ours.slice(from.ours), written.theirs.slice(from.theirs)].map((parts) =>
                Buffer.concat(parts),
              ) as [Buffer, Buffer];
              // Random padding makes its own bytes and the tag differ, nothing else.
              const same = asData ? 5 + whole.length : other.length;
              assert.equal(mine.length, other.length);
              assert.ok(mine.subarray(0, same).equals(other.subarray(0, same)));
            }
            assert.equal(ours.sequence, theirs.outSeqno);
            const opened = { ours: [] as Buffer[], theirs: [] as Buffer[] };
            const opener = createOpener(keys, (payload) => void opened.ours.push(payload));
            opener.onData = (recipient, data) => opened.ours.push(channelData(recipient, data)) > 0;
            const decipher = createSsh2Decipher(keys, (payload) => void opened.theirs.push(Buffer.from(payload)));
            const shared = Buffer.alloc(60_000);
            for (const [stream, target] of [
              [Buffer.concat(written.theirs), opener],
              [Buffer.concat(written.ours), decipher],
            ] as const)
              for (let at = 0; at < stream.length;) {
                const read = Math.min(reads.next().value as number, stream.length - at);
                stream.copy(shared, 0, at, at + read);
                // ssh2 takes the whole buffer for what was read.
                const given = target === opener ? shared : shared.subarray(0, read);
                assert.equal(target.decrypt(given, 0, read), undefined);
                shared.fill(0xff);
                at += read;
              }
            assert.equal(opener.sequence, decipher.inSeqno);
            for (const found of [opened.ours, opened.theirs]) {
              assert.equal(found.length, sent.length);
              for (const [index, payload] of sent.entries()) assert.ok(found[index]!.equals(payload));
            }
          },
        ),
        { numRuns: 150 },
      );
    });

    it('of channel data are what ssh2 sends for it', () => {
      for (const length of [0, 1, 2, 3, 4, 5, 30, 2024, 2025, 2040, 2041, 32_768]) {
        const keys = keysOf(name, 'channel data');
        const data = Buffer.alloc(length, 42);
        const bySsh2: Buffer[] = [];
        sendBySsh2(
          createSsh2Cipher(keys, (bytes) => bySsh2.push(bytes)),
          4_000_000_000,
          data,
        );
        const [byUs] = sealedPackets(keys, (sealer) => sealer.sealData(4_000_000_000, data, 0, length)) as [Buffer];
        const theirs = Buffer.concat(bySsh2);
        assert.equal(byUs.length, theirs.length);
        assert.deepEqual(byUs.subarray(0, 14 + length), theirs.subarray(0, 14 + length));
        const { opener, payloads } = collecting(keys);
        opener.decrypt(byUs, 0, byUs.length);
        assert.deepEqual(payloads, [channelData(4_000_000_000, data)]);
      }
    });

    for (const [title, length] of [
      ['4 GB', 0xffff_fff0],
      ['nothing', 0],
      ['less than a block', 8],
      ['no whole blocks', 33],
      ['more than 256 KiB with all that is around it', 262_144 - 16],
    ] as const)
      it(`are refused at a length of ${title}, before anything else is waited for`, () => {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(length);
        for (const cut of [1, 2, 3, 4]) {
          const { opener } = collecting(keysOf(name, 'length'));
          assert.throws(() => {
            opener.decrypt(bytes, 0, cut);
            opener.decrypt(bytes, cut, 4);
          }, /^Error: Bad packet length$/);
          assert.throws(() => opener.decrypt(Buffer.alloc(100), 0, 100), /^Error: Bad packet length$/);
        }
      });

    it('of 256 KiB with all that is around them are opened, in reads of any size', () => {
      const keys = keysOf(name, 'longest');
      const payload = channelData(1, Buffer.alloc(262_144 - 4 - 16 - 16 - 9 - 1, 9));
      const packet = Buffer.concat(sealedPackets(keys, (sealer) => seal(sealer, payload)));
      for (const read of [packet.length, 100_000, 4096]) {
        const { opener, payloads } = collecting(keys);
        for (let at = 0; at < packet.length; at += read) opener.decrypt(packet, at, Math.min(at + read, packet.length));
        assert.ok(payloads[0]!.equals(payload));
      }
    });

    for (const padding of [0, 1, 2, 3, 32, 33, 255])
      it(`are refused with ${padding} bytes of padding where 4 to 31 can be, though their tag is right`, () => {
        const keys = keysOf(name, 'padding');
        const packet = sealedBody(keys, Buffer.concat([Buffer.of(padding), Buffer.alloc(31, 94)]));
        const { opener, payloads } = collecting(keys);
        opener.onData = () => assert.fail('channel data of a packet that is not one');
        assert.throws(() => opener.decrypt(packet, 0, packet.length), /^Error: Bad packet padding$/);
        assert.deepEqual(payloads, []);
      });

    it('hand channel data on past ssh2 only where it is taken, is whole, and no keys are exchanged', () => {
      const keys = keysOf(name, 'data');
      const wrongLength = channelData(1, Buffer.from('malformed'));
      wrongLength.writeUInt32BE(8, 5);
      const cases = [
        { payload: channelData(1, Buffer.from('taken')), takes: true, to: 'data' },
        { payload: channelData(1, Buffer.alloc(0)), takes: true, to: 'data' },
        { payload: channelData(1, Buffer.from('left')), takes: false, to: 'payload' },
        { payload: wrongLength, takes: true, to: 'payload' },
        { payload: channelData(1, Buffer.alloc(0)).subarray(0, 8), takes: true, to: 'payload' },
        { payload: Buffer.concat([Buffer.of(95), channelData(1, Buffer.from('extended')).subarray(1)]), takes: true, to: 'payload' }, // prettier-ignore
        { payload: Buffer.alloc(0), takes: true, to: 'payload' },
        { payload: channelData(1, Buffer.from('early')), takes: true, exchanging: true, to: 'exchange' },
      ];
      for (const { payload, takes, exchanging, to } of cases) {
        const seen: { to: string; bytes: string }[] = [];
        const note = (where: string) => (bytes: Buffer) =>
          void seen.push({ to: where, bytes: bytes.toString('latin1') });
        const opener = createOpener(keys, note('payload'));
        opener.onData = (recipient, data) => {
          if (takes) note('data')(channelData(recipient, data));
          return takes;
        };
        if (exchanging) opener.onPayload = note('exchange');
        const [packet] = sealedPackets(keys, (sealer) => seal(sealer, payload)) as [Buffer];
        opener.decrypt(packet, 0, packet.length);
        assert.deepEqual(seen, [{ to, bytes: payload.toString('latin1') }]);
      }
    });

    it('leave what they handed on to its taker, whoever writes into the read buffer or another packet', () => {
      const keys = keysOf(name, 'own');
      const stream = Buffer.concat(
        sealedPackets(keys, (sealer) => {
          for (const text of ['first', 'second', 'third']) sealer.sealData(1, Buffer.from(text), 0, text.length);
        }),
      );
      const taken: Buffer[] = [];
      const opener = createOpener(keys, () => assert.fail('not taken'));
      opener.onData = (_, data) => {
        taken.at(-1)?.fill(0);
        return taken.push(data) > 0;
      };
      opener.decrypt(stream, 0, stream.length);
      stream.fill(0xff);
      assert.deepEqual(
        taken.map((data) => data.toString()),
        ['\0\0\0\0\0', '\0\0\0\0\0\0', 'third'],
      );
    });

    it('say where to go on as the taker of one wants it', () => {
      const keys = keysOf(name, 'position');
      const [one, two] = sealedPackets(keys, (sealer, next) => {
        seal(sealer, Buffer.from('one'));
        next();
        seal(sealer, Buffer.from('two'));
      }) as [Buffer, Buffer];
      const stream = Buffer.concat([Buffer.alloc(5), one, two]);
      for (const [answer, expected, taken] of [
        [false, 5 + one.length, 1],
        [Infinity, Infinity, 1],
        [0, 0, 1],
        [undefined, undefined, 2],
      ] as const) {
        let count = 0;
        const opener = createOpener(keys, () => {
          count++;
          return answer;
        });
        assert.equal(opener.decrypt(stream, 5, stream.length), expected);
        assert.equal(count, taken);
      }
    });
  });

describe('a sealer of packets', () => {
  const keys = keysOf('aes-128-gcm', 'sealer');

  it('takes the bytes between start and end of any view, and needs them no more when it returns', () => {
    const whole = new Uint8Array(50_000).map((_, at) => at % 251);
    for (const [start, end] of [
      [0, 50_000],
      [0, 10],
      [49_990, 50_000],
      [100, 33_000],
      [7, 7],
    ] as const) {
      const source = whole.slice();
      const { opener, payloads } = collecting(keys);
      const [packet] = sealedPackets(keys, (sealer) => {
        sealer.sealData(3, source, start, end);
        source.fill(0);
      }) as [Buffer];
      opener.decrypt(packet, 0, packet.length);
      assert.ok(payloads[0]!.equals(channelData(3, whole.subarray(start, end))));
    }
  });

  it('needs a packet of its own making no more when it returns', () => {
    const { opener, payloads } = collecting(keys);
    const [packet] = sealedPackets(keys, (sealer) => {
      const made = sealer.allocPacket(3000);
      made.fill('x', 5, 3005);
      sealer.encrypt(made);
      made.fill(0);
    }) as [Buffer];
    opener.decrypt(packet, 0, packet.length);
    assert.equal(payloads[0]!.toString(), 'x'.repeat(3000));
  });

  for (const [start, end] of [
    [0, 101],
    [-1, 10],
    [60, 50],
    [0, NaN],
    [NaN, 1],
  ] as const)
    it(`refuses to seal what is not there, from ${start} to ${end} of 100 bytes, and the next packet is right`, () => {
      const { opener, payloads } = collecting(keys);
      const [packet] = sealedPackets(keys, (sealer) => {
        assert.throws(() => sealer.sealData(1, Buffer.alloc(100), start, end), RangeError);
        sealer.sealData(1, Buffer.from('right'), 0, 5);
        assert.equal(sealer.sequence, keys.sequence + 1);
      }) as [Buffer];
      opener.decrypt(packet, 0, packet.length);
      assert.deepEqual(payloads, [channelData(1, Buffer.from('right'))]);
    });

  it('refuses more than 256 KiB of data, and seals as much', () => {
    const data = Buffer.alloc(256 * 1024 + 1, 1);
    const [packet] = sealedPackets(keys, (sealer) => {
      assert.throws(() => sealer.sealData(1, data, 0, data.length), RangeError);
      sealer.sealData(1, data, 1, data.length);
    }) as [Buffer];
    const { text } = gcm(keys.key, keys.iv, packet.subarray(0, 4), packet.subarray(4, 36), 'open');
    assert.equal(packet.readUInt32BE(0), packet.length - 20);
    assert.equal(text.readUInt32BE(6), 256 * 1024);
  });

  it('counts packets as ssh2’s key exchange expects, from what it sets, and begins anew behind 2^32', () => {
    const sealer = createSealer({ ...keys, sequence: 2 ** 32 - 2 }, () => {});
    seal(sealer, Buffer.of(1));
    assert.equal(sealer.sequence, 2 ** 32 - 1);
    sealer.sealData(1, Buffer.of(1), 0, 1);
    assert.equal(sealer.sequence, 0);
    sealer.sequence = 50;
    seal(sealer, Buffer.of(1));
    assert.equal(sealer.sequence, 51);
  });

  it('writes nothing any more when it is free, not even a packet that was begun', () => {
    const written: Buffer[] = [];
    const sealer = createSealer(keys, (bytes) => written.push(bytes));
    const begun = sealer.allocPacket(10);
    sealer.prepare();
    sealer.free();
    sealer.prepare();
    sealer.encrypt(begun);
    sealer.sealData(1, Buffer.alloc(10), 0, 10);
    assert.deepEqual(written, []);
    assert.equal(sealer.sequence, keys.sequence);
  });

  it('keeps its keys to itself: ssh2’s may be overwritten', () => {
    const given = { ...keys, key: Buffer.from(keys.key), iv: Buffer.from(keys.iv) };
    const written: Buffer[] = [];
    const sealer = createSealer(given, (bytes) => written.push(bytes));
    const { opener, payloads } = collecting(given);
    for (const secret of [given.key, given.iv]) secret.fill(0);
    seal(sealer, Buffer.from('kept'));
    opener.decrypt(written[0]!, 0, written[0]!.length);
    const { opener: right, payloads: alike } = collecting(keys);
    right.decrypt(written[0]!, 0, written[0]!.length);
    assert.deepEqual(
      hex([...payloads, ...alike]),
      [...'..'].map(() => Buffer.from('kept').toString('hex')),
    );
  });

  it('pads with bytes that are never used twice', () => {
    const seen = new Set<string>();
    const sealer = createSealer(keys, () => {});
    const count = 12_000;
    // 15 bytes of padding each: several times the pool that they come from.
    for (let packet = 0; packet < count; packet++) seen.add(sealer.allocPacket(16).toString('hex', 21));
    assert.equal(seen.size, count);
    assert.equal([...seen][0]!.length, 15 * 2);
    // Nor are the zeroes behind the pool's end.
    assert.deepEqual(
      [...seen].filter((padding) => padding.endsWith('00'.repeat(8))),
      [],
    );
  });
});

describe('an opener of packets', () => {
  const keys = keysOf('aes-256-gcm', 'opener');
  const three = () =>
    Buffer.concat(
      sealedPackets(keys, (sealer) => {
        for (const text of ['one', 'two', 'three']) sealer.sealData(1, Buffer.from(text), 0, text.length);
      }),
    );

  it('has counted a packet when it hands it on, and begins anew behind 2^32', () => {
    const counts: number[] = [];
    const opener = createOpener({ ...keys, sequence: 2 ** 32 - 2 }, () => void counts.push(opener.sequence));
    const stream = three();
    opener.decrypt(stream, 0, stream.length);
    assert.deepEqual(counts, [2 ** 32 - 1, 0, 1]);
  });

  for (const how of ['data', 'payload'] as const)
    it(`hands nothing on any more when it is free, be it while it hands on ${how}`, () => {
      const stream = three();
      let count = 0;
      const takeAndFree = (): undefined => {
        count++;
        opener.free();
      };
      const opener = createOpener(keys, takeAndFree);
      if (how === 'data')
        opener.onData = () => {
          takeAndFree();
          return true;
        };
      // What follows is the next one's, when another has taken its place.
      assert.equal(opener.decrypt(stream, 0, stream.length), stream.length / 3);
      assert.equal(opener.decrypt(stream, 0, stream.length), undefined);
      opener.prepare();
      assert.equal(count, 1);
    });

  it('goes on with its next packet after a taker has thrown', () => {
    const stream = three();
    const taken: string[] = [];
    const opener = createOpener(keys, (payload) => {
      taken.push(payload.toString('latin1', 9));
      if (taken.length === 1) throw new Error('of the taker');
      return undefined;
    });
    assert.throws(() => opener.decrypt(stream, 0, stream.length), /of the taker/);
    opener.decrypt(stream, stream.length / 3, stream.length);
    assert.deepEqual(taken, ['one', 'two', 'three']);
  });
});

describe('this runtime', () => {
  it('seals packets as the known answers say', () => assert.equal(canSealPackets(), true));
});
