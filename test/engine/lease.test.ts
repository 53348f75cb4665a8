import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { openLease, type Lease } from '../../src/engine/lease.js';
import {
  openLeaseRoom,
  pipePath,
  pipeRoom,
  sharedSecret,
  socketFolder,
  type LeaseRoom,
} from '../../src/engine/leaseRoom.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { echo, readToEnd, startTarget } from '../support/targets.js';

interface Contestant {
  lease: Lease;
  isOwner: boolean;
  heard: (string | undefined)[];
  broken?: unknown;
}

describe('a lease', () => {
  let folder: string;
  let heldBefore: string[];
  let all: Contestant[];

  beforeEach(() => {
    heldBefore = heldResources();
    folder = mkdtempSync(join(tmpdir(), 'lease-'));
    all = [];
  });
  afterEach(async () => {
    await Promise.all(all.map(({ lease }) => lease.close()));
    const left = readdirSync(folder);
    rmSync(folder, { recursive: true });
    assert.deepEqual(left, []);
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  /** `owned` is called with all that have it, each time that one gets it. */
  const enter = (room: LeaseRoom, identity = 'one', owned: (owners: number) => void = () => {}): Contestant => {
    const contestant: Contestant = {
      isOwner: false,
      heard: [],
      lease: openLease(room, identity, {
        onOwned() {
          contestant.isOwner = true;
          owned(all.filter(({ isOwner }) => isOwner).length);
        },
        onHeard(word) {
          assert.ok(!contestant.isOwner);
          contestant.heard.push(word);
        },
        onBroken: (error) => (contestant.broken = error),
      }),
    };
    all.push(contestant);
    return contestant;
  };
  const letGo = (one: Contestant, work: (lease: Lease) => unknown) => {
    one.isOwner = false;
    return work(one.lease);
  };
  const owners = () => all.filter(({ isOwner }) => isOwner);

  const secret = randomBytes(32);
  const rooms: readonly [string, () => LeaseRoom][] = [
    ['of sockets', () => openLeaseRoom(folder)],
    // In the place of pipes, as long as nobody dies.
    ['of pipes', () => pipeRoom(secret, (key) => join(folder, key))],
  ];
  for (const [name, open] of rooms)
    describe(`in a room ${name}`, () => {
      it('is had by one, who tells the others how it stands until the last word', async () => {
        const first = enter(open());
        first.lease.tell('early');
        first.lease.contend();
        await eventually(() => assert.ok(first.isOwner));
        const second = enter(open());
        second.lease.contend();
        await eventually(() => assert.deepEqual(second.heard, ['early']));
        first.lease.tell('late');
        first.lease.tell('late');
        await eventually(() => assert.deepEqual(second.heard, ['early', 'late']));
        letGo(first, (lease) => lease.observe('the end, “for all”'));
        await eventually(() => assert.ok(second.isOwner));
        assert.deepEqual(second.heard, ['early', 'late', 'the end, “for all”']);
        second.lease.tell('mine');
        await eventually(() => assert.deepEqual(first.heard, ['mine']));
      });

      it('is left alone by those who only observe', async () => {
        const [first, second] = [enter(open()), enter(open())];
        first.lease.contend();
        await eventually(() => assert.ok(first.isOwner));
        second.lease.observe();
        first.lease.tell('up');
        await eventually(() => assert.deepEqual(second.heard.at(-1), 'up'));
        await letGo(first, (lease) => lease.close());
        second.lease.contend();
        await eventually(() => assert.ok(second.isOwner));
      });

      it('is not shared by those who want another one', async () => {
        const room = open();
        const both = [enter(room, 'one'), enter(room, 'other')];
        for (const { lease } of both) lease.contend();
        await eventually(() => assert.equal(owners().length, 2));
      });

      it('is had by one at any moment, and by one in the end, whoever comes and goes', async () => {
        const step = fc.record({
          who: fc.nat(4),
          what: fc.constantFrom('contend' as const, 'contend' as const, 'observe' as const, 'close' as const),
          pause: fc.constantFrom(0, 0, 0, 1, 5),
        });
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
            let most = 0;
            const watch = (count: number) => (most = Math.max(most, count));
            const five = [1, 2, 3, 4, 5].map(() => enter(open(), 'one', watch));
            const wishes = five.map(() => false);
            const gone = new Set<number>();
            const closings: unknown[] = [];
            for (const { who, what, pause } of steps) {
              if (gone.has(who)) continue;
              const one = five[who]!;
              wishes[who] = what === 'contend';
              if (what === 'contend') one.lease.contend();
              else closings.push(letGo(one, (lease) => lease[what]()));
              if (what === 'close') gone.add(who);
              if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
            }
            await eventually(() => {
              assert.equal(owners().length, wishes.includes(true) ? 1 : 0);
            });
            assert.ok(five.every(({ isOwner }, at) => !isOwner || wishes[at]));
            await Promise.all([...closings, ...five.map(({ lease }) => lease.close())]);
            all = [];
            assert.ok(most <= 1, `${most} had it`);
            assert.deepEqual(
              five.map(({ broken }) => broken),
              five.map(() => undefined),
            );
          }),
          { numRuns: 20 },
        );
      });
    });

  it('is had in spite of those who died, and takes away what they have left', async () => {
    const room = openLeaseRoom(folder);
    const names = ['one', 'other'].map((identity) => room.keyOf(identity));
    for (const name of [`${names[0]}.0000000000`, `${names[0]}.zzzzzz0000`, `${names[1]}.aaaaaa0000`])
      await leaveSocket(name);
    const other = enter(openLeaseRoom(folder));
    other.lease.contend();
    await eventually(() => assert.ok(other.isOwner));
    await eventually(() => assert.equal(readdirSync(folder).length, 1));
  });

  it('is another one on another machine or network with the same folder, whose sockets seem dead from here', async () => {
    const there = openLeaseRoom(folder, 'there');
    const names = [`${there.keyOf('one')}.0000000000`, `${there.keyOf('two')}.0000000000`];
    for (const name of names) await leaveSocket(name);
    const long = new Date(Date.now() - 8 * 24 * 3_600_000);
    utimesSync(join(folder, names[1]!), long, long);
    const [one, other] = [enter(openLeaseRoom(folder, 'here')), enter(openLeaseRoom(folder, 'elsewhere'))];
    for (const { lease } of [one, other]) lease.contend();
    await eventually(() => assert.equal(owners().length, 2));
    await Promise.all([one, other].map(({ lease }) => lease.close()));
    // What is as old as that is left over.
    assert.deepEqual(readdirSync(folder), [names[0]]);
    unlinkSync(join(folder, names[0]!));
  });

  it('leaves alone what is being made, and what has another name', async () => {
    const here = openLeaseRoom(folder).keyOf('one').slice(0, 4);
    const [young, old] = [`.${here}.aaaaaa0000`, `.${here}.aaaaaa0001`];
    for (const name of [young, old]) await leaveSocket(name);
    const past = new Date(Date.now() - 120_000);
    utimesSync(join(folder, old), past, past);
    await leaveSocket('something.sock');
    const one = enter(openLeaseRoom(folder));
    one.lease.contend();
    await eventually(() => assert.ok(one.isOwner));
    await one.lease.close();
    await eventually(() => assert.deepEqual(readdirSync(folder).sort(), [young, 'something.sock']));
    for (const name of readdirSync(folder)) unlinkSync(join(folder, name));
  });

  it('goes to a name that goes first when that one wants it, too', async () => {
    const room = openLeaseRoom(folder);
    const path = join(folder, `${room.keyOf('one')}.0000000000`);
    const rival = await startTarget((socket) => void socket.resume(), { path });
    const one = enter(room);
    one.lease.contend();
    await eventually(() => assert.deepEqual(one.heard, [undefined]));
    assert.deepEqual(readdirSync(folder), [`${room.keyOf('one')}.0000000000`]);
    await rival.close();
    await eventually(() => assert.ok(one.isOwner));
  });

  it('waits for a name that goes later until that one has it or is gone', async () => {
    const room = openLeaseRoom(folder);
    const path = join(folder, `${room.keyOf('one')}.zzzzzz0000`);
    const rival = await startTarget((socket) => void socket.resume(), { path });
    const one = enter(room);
    one.lease.contend();
    await eventually(() => assert.deepEqual(one.heard, [undefined]));
    assert.equal(readdirSync(folder).length, 2);
    assert.ok(!one.isOwner);
    for (const socket of rival.sockets) socket.write('mine\n');
    await eventually(() => assert.deepEqual(one.heard, [undefined, 'mine']));
    assert.equal(readdirSync(folder).length, 1);
    await rival.close();
    await eventually(() => assert.ok(one.isOwner));
  });

  it('does not wait for one that says goodbye to each that comes, without rest', async () => {
    const room = openLeaseRoom(folder);
    const path = join(folder, `${room.keyOf('one')}.0000000000`);
    const rival = await startTarget((socket) => socket.destroy(), { path });
    const one = enter(room);
    one.lease.contend();
    await eventually(() => assert.ok(rival.accepted >= 3));
    const [before, begun] = [rival.accepted, performance.now()];
    await eventually(() => assert.ok(rival.accepted >= before + 5));
    assert.ok(performance.now() - begun > 150, 'it never rests');
    await rival.close();
    await eventually(() => assert.ok(one.isOwner));
  });

  it('is closed at once by one who waits', async () => {
    const [first, second] = [enter(openLeaseRoom(folder)), enter(openLeaseRoom(folder))];
    first.lease.contend();
    await eventually(() => assert.ok(first.isOwner));
    second.lease.contend();
    await eventually(() => assert.equal(second.heard.length, 1));
    await second.lease.close();
    assert.ok(first.isOwner);
  });

  it('lets no frozen listener fill the memory, nor keep it from ending', async () => {
    const one = enter(openLeaseRoom(folder));
    one.lease.contend();
    await eventually(() => assert.ok(one.isOwner));
    const frozen = connect({ path: join(folder, readdirSync(folder)[0]!) });
    await once(frozen, 'connect');
    frozen.pause();
    for (let word = 0; word < 100; word++) one.lease.tell(`${word} ${'x'.repeat(100_000)}`);
    const begun = performance.now();
    await letGo(one, (lease) => lease.close());
    assert.ok(performance.now() - begun < 1500);
    frozen.resume();
    const { received } = await readToEnd(frozen);
    assert.ok(received.length < 3_000_000, `${received.length} bytes were held for it`);
  });

  it('is broken where the folder can’t be used any more', async () => {
    const at = join(folder, 'inner');
    const room = openLeaseRoom(at);
    rmSync(at, { recursive: true });
    mkdirSync(at);
    chmodSync(at, 0o755);
    const one = enter(room);
    one.lease.contend();
    await eventually(() => assert.match(String(one.broken), /mode is 755/));
    rmSync(at, { recursive: true });
  });

  it('of pipes says nothing to one without the secret, and hears nothing from it', async () => {
    const one = enter(pipeRoom(secret, (key) => join(folder, key)));
    one.lease.tell('a secret place');
    one.lease.contend();
    await eventually(() => assert.ok(one.isOwner));
    const [pipe] = readdirSync(folder);
    const spy = connect({ path: join(folder, pipe!) });
    spy.write(`${'0'.repeat(32)}\n`);
    const line = await new Promise<Buffer>((resolve) => spy.once('data', resolve));
    spy.destroy();
    assert.match(line.toString(), /^[A-Za-z0-9+/]+=*\n$/);
    assert.ok(!Buffer.from(line.toString(), 'base64').includes('secret'));
    await letGo(one, (lease) => lease.close());
    // What a window once said is no more than any other noise.
    const fake = await startTarget((socket) => void socket.write(`mine\n${line.toString()}${line.toString()}`), {
      path: join(folder, pipe!),
    });
    const other = enter(pipeRoom(secret, (key) => join(folder, key)));
    other.lease.contend();
    await eventually(() => assert.deepEqual(other.heard, [undefined]));
    await fake.close();
    const stranger = pipeRoom(randomBytes(32), (key) => join(folder, key));
    assert.notEqual(stranger.keyOf('one'), pipe);
  });

  const strangers: readonly [string, Parameters<typeof startTarget>[0]][] = [
    ['says nothing', () => {}],
    ['hangs up', (socket) => socket.destroy()],
  ];
  for (const [what, serve] of strangers)
    it(`of pipes is given up where a stranger has the name and ${what}`, async () => {
      const room = pipeRoom(secret, (key) => join(folder, key), 500);
      const fake = await startTarget(serve, { path: join(folder, room.keyOf('one')) });
      const one = enter(room);
      one.lease.contend();
      await eventually(() => assert.match(String(one.broken), /in the place of a window/));
      await fake.close();
    });

  it('tells of one that says nothing any more, and of its next word', async () => {
    const room = openLeaseRoom(folder);
    const one = enter(room);
    const rival = await startTarget((socket) => void socket.write('mine\n'), {
      path: join(folder, `${room.keyOf('one')}.0000000000`),
    });
    one.lease.contend();
    await eventually(() => assert.deepEqual(one.heard, ['mine', undefined]));
    for (const socket of rival.sockets) socket.write('mine\n');
    await eventually(() => assert.deepEqual(one.heard, ['mine', undefined, 'mine']));
    await rival.close();
  });

  it('is heard again and again from one that has it and has nothing new to say', async () => {
    const one = enter(openLeaseRoom(folder));
    one.lease.tell('up');
    one.lease.contend();
    await eventually(() => assert.ok(one.isOwner));
    const listener = connect({ path: join(folder, readdirSync(folder)[0]!) });
    let heard = '';
    listener.on('data', (text) => (heard += String(text)));
    const other = enter(openLeaseRoom(folder));
    other.lease.contend();
    await eventually(() => assert.equal(heard, 'up\nup\nup\n'));
    listener.destroy();
    assert.deepEqual(other.heard, ['up']);
  });

  /** As one leaves it that is killed: a socket that nobody listens on. */
  async function leaveSocket(name: string): Promise<void> {
    const server = createServer(echo);
    const hidden = join(folder, '.hidden');
    await new Promise<void>((resolve) => server.listen(hidden, resolve));
    renameSync(hidden, join(folder, name));
    await new Promise((resolve) => server.close(resolve));
  }
});

describe('the folder of the sockets', () => {
  const mac = { uid: 501, temporary: '/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T', longest: 103 };
  const linux = { uid: 1000, temporary: '/tmp', longest: 107 };
  const cases: readonly [string, Parameters<typeof socketFolder>[1], RegExp | undefined][] = [
    ['/home/ann/.config/Code/User/globalStorage/maker.ssh-tunnels/shared', linux, undefined],
    ['/home/ann/.vscode-server/data/User/globalStorage/maker.ssh-tunnels/shared', linux, undefined],
    [`/home/${'a'.repeat(60)}/globalStorage/shared`, linux, /^\/tmp\/ssh-tunnels-1000-[0-9a-f]{8}$/],
    [
      '/Users/ann/Library/Application Support/Code/User/globalStorage/maker.ssh-tunnels/shared',
      mac,
      /^\/var\/folders\/.*\/T\/ssh-tunnels-501-[0-9a-f]{8}$/,
    ],
    // Bytes count, not characters.
    [`/home/${'ä'.repeat(40)}/shared`, linux, /^\/tmp\/ssh-tunnels-1000-/],
    [`/${'x'.repeat(200)}`, { ...mac, temporary: `/${'t'.repeat(90)}` }, /^\/tmp\/ssh-tunnels-501-/],
  ];
  for (const [asked, machine, expected] of cases)
    it(`is ${expected ? 'a stand-in for' : 'itself'} ${asked.slice(0, 50)}`, () => {
      const found = socketFolder(asked, machine);
      if (expected) assert.match(found, expected);
      else assert.equal(found, asked);
      assert.ok(Buffer.byteLength(found) + 29 <= machine.longest);
    });

  it('is another one for another folder', () => {
    const long = 'x'.repeat(200);
    assert.notEqual(socketFolder(`/${long}/a`, linux), socketFolder(`/${long}/b`, linux));
  });
});

describe('the pipes of Windows', () => {
  it('have names that only those know who have the secret', () => {
    const keys = [randomBytes(32), randomBytes(32)].map((secret) => pipeRoom(secret, pipePath).keyOf('one'));
    assert.notEqual(keys[0], keys[1]);
    assert.match(pipePath(keys[0]!), /^\\\\\.\\pipe\\ssh-tunnels-[0-9a-f]{32}$/);
  });

  it('have one secret for all windows, which lies in their folder', () => {
    const folder = mkdtempSync(join(tmpdir(), 'lease-'));
    const secret = sharedSecret(folder);
    assert.equal(secret.length, 32);
    assert.deepEqual(sharedSecret(folder), secret);
    assert.deepEqual(readdirSync(folder), ['secret']);
    writeFileSync(join(folder, 'secret'), 'gone');
    assert.throws(() => sharedSecret(folder), /holds no secret/);
    rmSync(folder, { recursive: true });
  });
});
