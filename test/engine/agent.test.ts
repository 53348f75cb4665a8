import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { AgentRefused, openAgent, pageantPipe } from '../../src/engine/agent.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { framed, identitiesAnswer, startFakeAgent, string, uint32, type FakeAgent } from '../support/fakeAgent.js';

describe('the client of an agent', () => {
  let heldBefore: string[];
  let agent: FakeAgent;
  let reply: (request: Buffer, socket: Socket) => void;
  const key = Buffer.from('a key');
  const open = (ended = new AbortController().signal) => openAgent(agent.socketPath, { user: 'ann', ended });

  before(async () => {
    heldBefore = heldResources();
    agent = await startFakeAgent((request, socket) => reply(request, socket));
  });
  after(async () => {
    await agent.close();
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  it('lists keys of every kind untouched, with comments fit to be shown', async () => {
    const answer = framed(12, uint32(2), string('one'), string('an\u001bn'), string(''), string(''));
    reply = (_, socket) => {
      for (const byte of answer) socket.write(Buffer.of(byte));
    };
    const client = await open();
    assert.deepEqual(await client.keys(), [
      { blob: Buffer.from('one'), comment: 'an?n' },
      { blob: Buffer.alloc(0), comment: '' },
    ]);
    client.close();
  });

  for (const [algorithm, flags] of [
    ['rsa-sha2-256', 2],
    ['rsa-sha2-512', 4],
    ['sk-ssh-ed25519@openssh.com', 0],
  ] as const)
    it(`asks for ${algorithm} by flags ${flags}, and passes the signature untouched`, async () => {
      const signature = Buffer.concat([string(algorithm), string('signed'), Buffer.of(1, 0, 0, 0, 9)]);
      reply = (request, socket) => {
        assert.deepEqual(request, Buffer.concat([Buffer.of(13), string(key), string('data'), uint32(flags)]));
        socket.write(framed(14, string(signature)));
      };
      const client = await open();
      assert.deepEqual(await client.sign(key, Buffer.from('data'), algorithm), signature);
      client.close();
    });

  it('takes no signature of another algorithm than asked for, such as RSA with SHA-1', async () => {
    reply = (_, socket) => socket.write(framed(14, string(Buffer.concat([string('ssh-rsa'), string('x')]))));
    const client = await open();
    await assert.rejects(client.sign(key, Buffer.alloc(1), 'rsa-sha2-512'), AgentRefused);
    client.close();
  });

  const binding = { hostKey: Buffer.from('host'), sessionId: Buffer.from('id'), signature: Buffer.from('s') };
  const bound = (ended = new AbortController().signal) =>
    openAgent(agent.socketPath, { user: 'ann', ended, binding, promptMs: 100 });

  it('tells it the host, and goes on whatever it says to that', async () => {
    for (const answer of [5, 6, 28, 99]) {
      agent.requests.length = 0;
      reply = (request, socket) => {
        if (request[0] !== 27) return socket.write(identitiesAnswer());
        const told = [string('session-bind@openssh.com'), string('host'), string('id'), string('s'), Buffer.of(0)];
        assert.deepEqual(request, Buffer.concat([Buffer.of(27), ...told]));
        return socket.write(framed(answer));
      };
      const client = await bound();
      assert.deepEqual(await client.keys(), []);
      assert.deepEqual(agent.requests, [27, 11]);
      client.close();
    }
  });

  for (const [title, atBind] of [
    ['hangs up', (socket: Socket) => void socket.end()],
    ['breaks off', (socket: Socket) => void socket.destroy()],
    ['says nothing', () => {}],
    ['answers with nonsense', (socket: Socket) => void socket.write(uint32(0))],
  ] as const)
    it(`lists the keys of one that ${title} when it is told the host`, async () => {
      reply = (request, socket) => {
        if (request[0] === 27) atBind(socket);
        else socket.write(identitiesAnswer(key));
      };
      const client = await bound();
      assert.deepEqual(await client.keys(), [{ blob: key, comment: '' }]);
      client.close();
    });

  it('does not wait for ever for a list, and waits for a signature, which a person may have to allow', async () => {
    reply = (request, socket) => {
      const signature = Buffer.concat([string('ssh-ed25519'), string('signed')]);
      if (request[0] === 13) setTimeout(() => socket.write(framed(14, string(signature))), 250);
    };
    const client = await bound();
    assert.equal((await client.sign(key, Buffer.alloc(1), 'ssh-ed25519')).length, 25);
    await assert.rejects(client.keys(), { code: 'ETIMEDOUT' });
    client.close();
  });

  const evil: [title: string, answer: Buffer][] = [
    ['refuses', framed(5)],
    ['claims too many keys', framed(12, uint32(0xffff_ffff))],
    ['claims a key that is longer than its reply', framed(12, uint32(1), uint32(0xffff_fff0))],
    ['leaves bytes over', framed(12, uint32(0), Buffer.of(0))],
    ['claims a reply of 4 GB', uint32(0xffff_ffff)],
    ['claims a reply of nothing', uint32(0)],
  ];
  for (const [title, answer] of evil)
    it(`has no keys of one that ${title}`, async () => {
      reply = (_, socket) => socket.write(answer);
      const client = await open();
      await assert.rejects(client.keys());
      client.close();
    });

  it('rejects when the agent hangs up, or is not there, or nobody waits any more', async () => {
    reply = (_, socket) => socket.end(Buffer.of(0, 0));
    const hungUp = await open();
    await assert.rejects(hungUp.keys(), { code: 'ECONNRESET' });
    await assert.rejects(hungUp.keys(), { code: 'ECONNRESET' });
    await assert.rejects(openAgent(`${agent.socketPath}-gone`, { user: 'ann', ended: new AbortController().signal }), {
      code: 'ENOENT',
    });
    const abort = new AbortController();
    reply = () => abort.abort();
    const silent = await open(abort.signal);
    await assert.rejects(silent.keys(), /ended/);
    await assert.rejects(open(abort.signal), /ended/);
  });

  it('never hangs, never throws anything strange, and never takes random bytes for a signature', () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, isFramed) => {
        const answer = Buffer.from(bytes);
        reply = (_, socket) => socket.end(isFramed ? string(answer) : answer);
        const client = await open();
        const listed = await client.keys().then(
          (keys) => keys.length,
          () => 'refused',
        );
        assert.ok(listed === 'refused' || bytes[isFramed ? 0 : 4] === 12);
        client.close();
        const signer = await open();
        await assert.rejects(signer.sign(key, Buffer.alloc(8), 'ssh-ed25519'));
        signer.close();
      }),
      { numRuns: 100 },
    ));

  it('knows the user’s Pageant among all pipes', () => {
    const names = ['openssh', 'pageant.bob.1234', 'Pageant.Ann.abcd'];
    assert.equal(pageantPipe(names, 'ann'), '\\\\.\\pipe\\Pageant.Ann.abcd');
    assert.equal(pageantPipe(names, 'carol'), undefined);
  });
});
