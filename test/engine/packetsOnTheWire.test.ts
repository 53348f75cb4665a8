import assert from 'node:assert/strict';
import { dialUnasked } from '../support/dialUnasked.js';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Transform } from 'node:stream';
import { hooks } from 'ssh2/lib/protocol/kex.js';
import { channelStream } from '../../src/engine/channelStream.js';
import type { SessionEnd } from '../../src/engine/sshClient.js';
import { packetHooks } from '../../src/engine/ssh2Inside.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startSshd, type Sshd } from '../support/sshd.js';
import { bytes, digest, echo, startTarget, type Target } from '../support/targets.js';

const megabyte = 1_048_576;
type Hooks = typeof packetHooks;

describe('packets of our own, to a real sshd', function () {
  this.timeout(60_000);
  let service: Target;
  let heldBefore: string[];
  const undo: (() => unknown)[] = [];

  before(async () => {
    heldBefore = heldResources();
    service = await startTarget(echo);
  });
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
    Object.assign(hooks!, packetHooks);
  });
  after(async () => {
    await service.close();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  /** What became of what ssh2 asked for. */
  function watchHooks(answer: <T>(made: T) => T | undefined = (made) => made) {
    const made = { sealers: 0, openers: 0, none: 0 };
    Object.assign(hooks!, {
      cipher(config) {
        const sealer = answer(packetHooks.cipher(config));
        made[sealer ? 'sealers' : 'none']++;
        return sealer;
      },
      decipher(config) {
        const opener = answer(packetHooks.decipher(config));
        made[opener ? 'openers' : 'none']++;
        return opener;
      },
    } satisfies Hooks);
    return made;
  }
  async function start(...config: string[]): Promise<Sshd> {
    const sshd = await startSshd({ config });
    undo.push(() => sshd.stop());
    return sshd;
  }
  async function dial(sshd: Sshd, ...lines: string[]) {
    const session = await dialUnasked('db01', sshd.configPath('db01', lines));
    undo.push(() => session.close());
    const ends: (SessionEnd | undefined)[] = [];
    session.onEnd((end) => ends.push(end));
    const open = async () =>
      channelStream(
        await session.openTcp({ host: '127.0.0.1', port: service.port }, { address: '127.0.0.1', port: 1 }),
      );
    return { open, ends };
  }
  /** Writes of all sizes, there and back by several channels at once; the digest of what came back of each. */
  async function carried({ open }: Awaited<ReturnType<typeof dial>>, length: number, seed: string) {
    const one = async (index: number) => {
      const sent = bytes(length, `${seed} ${index}`);
      const stream = await open();
      const back: Buffer[] = [];
      stream.on('data', (part: Buffer) => back.push(part));
      const closed = once(stream, 'close');
      for (let at = 0, turn = 0; at < sent.length; turn++) {
        // Sizes follow from the bytes: the same for each cipher.
        const size = 1 + (sent.readUInt32LE(Math.min(at, sent.length - 4)) % (turn % 3 === 0 ? 100_000 : 300));
        if (!stream.write(sent.subarray(at, at + size))) await once(stream, 'drain');
        at += size;
      }
      stream.end();
      await closed;
      const whole = Buffer.concat(back);
      assert.equal(whole.length, sent.length);
      assert.equal(digest(whole), digest(sent));
    };
    await Promise.all([0, 1, 2].map(one));
  }

  const sides = [
    { title: 'the server wants new keys', server: ['RekeyLimit 1M'], client: [] },
    { title: 'this side wants new keys', server: [], client: ['RekeyLimit 1M'] },
    { title: 'both want new keys', server: ['RekeyLimit 1M'], client: ['RekeyLimit 1M'] },
  ];
  for (const cipher of ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'])
    for (const { title, server, client } of sides)
      it(`carry data both ways by ${cipher} while ${title} every megabyte`, async () => {
        const made = watchHooks();
        const sshd = await start(`Ciphers ${cipher}`, ...server);
        const dialled = await dial(sshd, ...client);
        await carried(dialled, 4 * megabyte, cipher);
        assert.deepEqual(dialled.ends, []);
        assert.match(sshd.log(), new RegExp(`client->server cipher: ${cipher} `));
        const exchanges = sshd.log().split('SSH2_MSG_NEWKEYS received').length - 1;
        assert.ok(exchanges > 2, String(exchanges));
        assert.ok(made.sealers >= exchanges && made.openers >= exchanges, JSON.stringify({ made, exchanges }));
        assert.equal(made.none, 0);
      });

  const answers: { title: string; answer: <T>(made: T) => T | undefined; ours: Partial<Record<string, boolean>> }[] = [
    { title: 'neither way', answer: () => undefined, ours: {} },
    { title: 'to the server alone', answer: (made) => (isSealer(made) ? made : undefined), ours: { sealers: true } },
    { title: 'from the server alone', answer: (made) => (isSealer(made) ? undefined : made), ours: { openers: true } },
  ];
  for (const { title, answer, ours } of answers)
    it(`give way to ssh2’s own where they are to be had ${title}, and the same bytes arrive`, async () => {
      const made = watchHooks(answer);
      const sshd = await start('Ciphers aes128-gcm@openssh.com', 'RekeyLimit 1M');
      const dialled = await dial(sshd);
      await carried(dialled, 2 * megabyte, 'fallback');
      assert.deepEqual(dialled.ends, []);
      assert.ok(made.none > 2);
      assert.deepEqual([made.sealers > 0, made.openers > 0], [ours['sealers'] ?? false, ours['openers'] ?? false]);
    });

  it('are left to ssh2 for every other cipher', async () => {
    const made = watchHooks();
    const sshd = await start('Ciphers aes256-ctr');
    await carried(await dial(sshd), megabyte, 'other');
    assert.deepEqual(made, { sealers: 0, openers: 0, none: 2 });
  });

  for (const way of ['to the server', 'from the server'] as const)
    it(`end the connection when one bit is flipped on its way ${way}, and nothing altered arrives`, async () => {
      const sshd = await start('Ciphers aes128-gcm@openssh.com');
      let isFlipping = false;
      const flipped = () =>
        new Transform({
          transform(chunk: Buffer, _, done) {
            if (isFlipping) {
              chunk[chunk.length >> 1]! ^= 4;
              isFlipping = false;
            }
            done(null, chunk);
          },
        });
      const line = await startTarget((near) => {
        const far = connect(sshd.port, '127.0.0.1');
        far.on('error', () => near.destroy());
        near.on('close', () => far.destroy());
        const toServer = way === 'to the server' ? near.pipe(flipped()) : near;
        const fromServer = way === 'from the server' ? far.pipe(flipped()) : far;
        toServer.pipe(far);
        fromServer.pipe(near);
      });
      undo.push(() => line.close());
      const dialled = await dial(sshd, `Port ${line.port}`, `HostKeyAlias [127.0.0.1]:${sshd.port}`);
      const stream = await dialled.open();
      const back: Buffer[] = [];
      stream.on('error', () => {});
      stream.on('data', (part: Buffer) => back.push(part));
      const sent = bytes(100_000, 'flipped');
      stream.write(sent);
      await eventually(() => assert.equal(Buffer.concat(back).length, sent.length));
      isFlipping = true;
      stream.write(sent);
      await eventually(() => assert.equal(dialled.ends.length, 1));
      const whole = Buffer.concat(back);
      assert.ok(Buffer.concat([sent, sent]).subarray(0, whole.length).equals(whole));
      assert.ok(whole.length < 2 * sent.length);
    });
});

function isSealer(made: unknown): boolean {
  return typeof made === 'object' && made !== null && 'sealData' in made;
}
