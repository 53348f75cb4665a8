import assert from 'node:assert/strict';
import { dialUnasked } from '../support/dialUnasked.js';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hooks } from 'ssh2/lib/protocol/kex.js';
import { createRekeying, type Rekeying, type RekeyingOptions } from '../../src/engine/rekeying.js';
import { channelStream, type ChannelStream } from '../../src/engine/channelStream.js';
import type { SessionEnd, SshSession } from '../../src/engine/sshClient.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { startDropbear, whyNoDropbear } from '../support/dropbear.js';
import { eventually } from '../support/eventually.js';
import { startSshd, type SshServer } from '../support/sshd.js';
import { bytes, digest, echo, startTarget, type Target } from '../support/targets.js';

const megabyte = 1_048_576;

describe('new keys', function () {
  this.timeout(60_000);
  let service: Target;
  let heldBefore: string[];
  const running: SshServer[] = [];
  const sessions: SshSession[] = [];

  before(async () => {
    heldBefore = heldResources();
    service = await startTarget(echo);
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
    for (const sshd of running.splice(0)) await sshd.stop();
  });
  after(async () => {
    await service.close();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  async function start(...config: string[]): Promise<SshServer> {
    const sshd = await startSshd({ config });
    running.push(sshd);
    return sshd;
  }
  const block = (alias: string, sshd: SshServer, ...lines: string[]) =>
    readFileSync(sshd.configPath(alias, lines), 'utf8');
  async function dial(...blocks: string[]) {
    const configFile = join(running[0]!.folder, 'config_of_all');
    writeFileSync(configFile, blocks.join('\n'), { mode: 0o600 });
    const session = await dialUnasked('db01', configFile);
    sessions.push(session);
    const ends: (SessionEnd | undefined)[] = [];
    session.onEnd((end) => ends.push(end));
    return { session, ends };
  }
  /** Through channels whose bytes come back, all at the same time. */
  async function carries({ session, ends }: Awaited<ReturnType<typeof dial>>, length: number, channels: number) {
    const one = async (_: unknown, index: number) => {
      const sent = bytes(length, `channel ${index}`);
      const channel = channelStream(
        await session.openTcp({ host: '127.0.0.1', port: service.port }, { address: '127.0.0.1', port: 1 }),
      );
      channel.end(sent);
      assert.equal(digest(await readAll(channel)), digest(sent));
    };
    await Promise.all(Array.from({ length: channels }, one));
    assert.deepEqual(ends, []);
  }
  function readAll(channel: ChannelStream): Promise<Buffer> {
    return new Promise((resolve) => {
      const parts: Buffer[] = [];
      channel.on('data', (part: Buffer) => parts.push(part));
      channel.on('close', () => resolve(Buffer.concat(parts)));
    });
  }
  const exchanges = (sshd: SshServer) => sshd.log().split('SSH2_MSG_NEWKEYS received').length - 1;

  const ciphers = [
    { cipher: 'chacha20-poly1305@openssh.com', config: ['Ciphers chacha20-poly1305@openssh.com'] },
    { cipher: 'aes128-gcm@openssh.com', config: ['Ciphers aes128-gcm@openssh.com'] },
    { cipher: 'aes256-ctr', config: ['Ciphers aes256-ctr', 'MACs hmac-sha2-256-etm@openssh.com'] },
  ];
  const sides = [
    { title: 'the server', server: ['RekeyLimit 1M'], client: [] },
    { title: 'this side', server: [], client: ['RekeyLimit 1M'] },
    { title: 'both', server: ['RekeyLimit 1M'], client: ['RekeyLimit 1M'] },
  ];
  for (const { cipher, config } of ciphers)
    for (const { title, server, client } of sides)
      it(`are exchanged for ${cipher} when ${title} wants it, every megabyte, while bytes flow both ways`, async () => {
        const sshd = await start(...config, ...server);
        await carries(await dial(block('db01', sshd, ...client)), 12 * megabyte, 2);
        assert.match(sshd.log(), new RegExp(`client->server cipher: ${cipher} `));
        assert.ok(exchanges(sshd) > 6, String(exchanges(sshd)));
      });

  for (const { title, server, client } of sides)
    it(`are exchanged with both hosts of a way when ${title} wants it`, async () => {
      const [bastion, db01] = await Promise.all([start(...server), start(...server)]);
      const blocks = [block('db01', db01, 'ProxyJump bastion', ...client), block('bastion', bastion, ...client)];
      await carries(await dial(...blocks), 8 * megabyte, 2);
      for (const sshd of [bastion, db01]) assert.ok(exchanges(sshd) > 4, String(exchanges(sshd)));
    });

  for (const { title, server } of [
    { title: 'as often as can be', server: [] },
    { title: 'often by both sides, who may want it at the same moment', server: ['RekeyLimit 200K'] },
  ])
    it(`are exchanged ${title}`, async () => {
      const sshd = await start(...server);
      const dialled = await dial(block('db01', sshd, 'RekeyLimit 16'));
      // How much goes between two of them, and with it how many there are, is a matter of how fast each is answered.
      for (let round = 0; round < 5 && exchanges(sshd) <= 6; round++) await carries(dialled, 3 * megabyte, 20);
      assert.ok(exchanges(sshd) > 6, String(exchanges(sshd)));
    });

  it('are exchanged with a dropbear, too', async function () {
    const reason = whyNoDropbear();
    if (reason !== undefined) return this.skip();
    const dropbear = await startDropbear();
    running.push(dropbear);
    const dialled = await dial(block('db01', dropbear, 'RekeyLimit 1M'));
    let checked = 0;
    const ours = hooks as { checkSignature(...args: unknown[]): void };
    const { checkSignature } = ours;
    ours.checkSignature = (...args) => {
      checked++;
      checkSignature(...args);
    };
    try {
      await carries(dialled, 8 * megabyte, 2);
    } finally {
      ours.checkSignature = checkSignature;
    }
    assert.ok(checked > 2, String(checked));
  });

  it('are exchanged after a time, where there was anything to protect', async () => {
    const sshd = await start();
    const { session } = await dial(block('db01', sshd, 'RekeyLimit default 1', 'ServerAliveInterval 0'));
    await eventually(() => assert.equal(exchanges(sshd), 2));
    session.probe(5);
    await eventually(() => assert.equal(exchanges(sshd), 3));
  });

  it('are left alone where nobody wants any and little is sent', async () => {
    const sshd = await start();
    await carries(await dial(block('db01', sshd)), 8 * megabyte, 2);
    assert.equal(exchanges(sshd), 1);
  });
});

describe('what one key may be used for', () => {
  const made: Rekeying[] = [];
  afterEach(() => made.splice(0).forEach((one) => one.end()));
  const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

  function make({ bytes: limit = 0, seconds = 0 }, ciphers: readonly string[]) {
    let isExchanging = false;
    let begun = 0;
    const options: RekeyingOptions = {
      limit: { bytes: limit, seconds },
      isExchanging: () => isExchanging,
      begin() {
        begun++;
        isExchanging = true;
      },
    };
    const rekeying = createRekeying(options);
    made.push(rekeying);
    rekeying.keyed(ciphers);
    return {
      rekeying,
      begun: async () => {
        await turn();
        return begun;
      },
      done() {
        rekeying.sent(100);
        isExchanging = false;
        rekeying.keyed(ciphers);
      },
    };
  }
  const chacha = 'chacha20-poly1305@openssh.com';
  const gigabyte = 2 ** 30;

  for (const { title, given = {}, ciphers, most } of [
    { title: '1 GB of ChaCha20, whose blocks are small', ciphers: [chacha, chacha], most: gigabyte },
    { title: '1 GB where one way has small blocks', ciphers: ['aes128-ctr', '3des-cbc'], most: gigabyte },
    { title: '32 GB of AES', ciphers: ['aes128-gcm@openssh.com', 'aes256-ctr'], most: 32 * gigabyte },
    { title: 'RekeyLimit', given: { bytes: 5000 }, ciphers: [chacha, chacha], most: 5000 },
    { title: 'RekeyLimit, but no more than is safe', given: { bytes: 2 ** 40 }, ciphers: [chacha, chacha], most: gigabyte }, // prettier-ignore
  ])
    for (const way of ['sent', 'received'] as const)
      it(`is ${title}, ${way}`, async () => {
        const { rekeying, begun, done } = make(given, ciphers);
        rekeying.sent(most - 10);
        rekeying.received(most - 10);
        assert.equal(await begun(), 0);
        rekeying[way](10);
        assert.equal(await begun(), 1);
        rekeying[way](10);
        done();
        rekeying.received(most - 1);
        assert.equal(await begun(), 1);
        rekeying.received(1);
        assert.equal(await begun(), 2);
      });
});
