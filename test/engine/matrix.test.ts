import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import {
  bytes,
  connectThrough,
  connectTo,
  digest,
  read,
  readToEnd,
  startTarget,
  startTwins,
  type Place,
  type ProxyKind,
  type Target,
} from '../support/targets.js';

type Side = 'TCP port' | 'Unix socket';
const sides: readonly Side[] = ['TCP port', 'Unix socket'];

/** Each way, in each of a cell's two connections. */
const amount = 1_500_000;

/** The first bytes of a client say which of the two it is; the rest of the line keeps it apart from all others. */
const labelLength = 16;
let clients = 0;
const label = (first: 'client ends' | 'target ends') => `${first[0]}${String(++clients).padStart(labelLength - 1)}`;
const question = (of: string) => Buffer.concat([Buffer.from(of), bytes(amount, `question ${of}`)]);
const answer = (of: string) => bytes(amount, `answer ${of}`);

const plainCells = (['-L', '-R'] as const).flatMap((option) =>
  sides.flatMap((listen) => sides.map((target) => ({ option, listen, target }))),
);
const proxies = (['-D', '-R'] as const).flatMap((option) => sides.map((listen) => ({ option, listen })));
const ways: readonly (readonly [kind: ProxyKind, host: string])[] = [
  ['SOCKS4', '127.0.0.1'],
  ['SOCKS4a', 'localhost'],
  ['SOCKS5', '127.0.0.1'],
  ['SOCKS5', '::1'],
  ['SOCKS5', 'localhost'],
  ['HTTP CONNECT', '127.0.0.1'],
  ['HTTP CONNECT', '::1'],
  ['HTTP CONNECT', 'localhost'],
];

describe('each kind of forward carries all bytes both ways, whoever ends first', () => {
  let sshd: Sshd;
  let engine: EngineProbe;
  let heldBefore: string[];
  const targets = {} as { four: Target; six: Target; unix: Target };
  const places = new Map<object, Place>();
  /** What the targets heard, by label. */
  const heard = new Map<string, string>();

  const serve = (socket: Socket) => {
    const parts: Buffer[] = [];
    void read(socket, labelLength).then((head) => {
      const of = head.toString();
      parts.push(head);
      if (of.startsWith('t')) socket.end(answer(of));
      socket.on('data', (part) => parts.push(part));
      socket.on('end', () => {
        heard.set(of, digest(Buffer.concat(parts)));
        if (of.startsWith('c')) socket.end(answer(of));
      });
      socket.resume();
    });
  };

  before(async () => {
    heldBefore = heldResources();
    sshd = await startSshd();
    const file = (name: string) => join(sshd.folder, name);
    // The same port, so that a name may lead to either.
    [targets.four, targets.six] = await startTwins(serve);
    targets.unix = await startTarget(serve, { path: file('target.sock') });
    const listenAt = async (cell: object, side: Side) => {
      const place: Place =
        side === 'TCP port'
          ? { host: '127.0.0.1', port: await freePort() }
          : { path: file(`listen${places.size}.sock`) };
      places.set(cell, place);
      return 'path' in place ? place.path : String(place.port);
    };
    const forwards: string[] = [];
    for (const cell of plainCells) {
      const target = cell.target === 'TCP port' ? `127.0.0.1:${targets.four.port}` : file('target.sock');
      forwards.push(`${cell.option} ${await listenAt(cell, cell.listen)}:${target}`);
    }
    for (const cell of proxies) forwards.push(`${cell.option} ${await listenAt(cell, cell.listen)}`);
    engine = probe(createEngine());
    engine.engine.apply({ connections: [planned('web01', forwards, { configFile: sshd.configPath('web01') })] });
    for (const _ of forwards) await engine.next('listening');
  });
  after(async () => {
    await eventually(() => {
      for (const { sockets } of Object.values(targets)) assert.equal(sockets.size, 0);
    });
    const told = engine.kinds().filter((kind) => /Failed|Lost/.test(kind));
    await engine.close();
    for (const target of Object.values(targets)) await target.close();
    await eventually(() => assert.deepEqual(sshd.sessions(), []));
    await sshd.stop();
    assert.deepEqual(told, []);
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  async function carries(open: () => Promise<Socket>): Promise<void> {
    const clientEnds = async () => {
      const of = label('client ends');
      const socket = await open();
      socket.end(question(of));
      const { received, end } = await readToEnd(socket);
      assert.equal(end, 'end');
      assert.equal(digest(received), digest(answer(of)));
      assert.equal(heard.get(of), digest(question(of)));
    };
    const targetEnds = async () => {
      const of = label('target ends');
      const socket = await open();
      const sent = question(of);
      socket.write(sent.subarray(0, labelLength));
      socket.once('end', () => socket.end(sent.subarray(labelLength)));
      const { received, end } = await readToEnd(socket);
      assert.equal(end, 'end');
      assert.equal(digest(received), digest(answer(of)));
      await eventually(() => assert.equal(heard.get(of), digest(sent)), 5000);
    };
    await Promise.all([clientEnds(), targetEnds()]);
  }

  for (const cell of plainCells)
    it(`${cell.option} from a ${cell.listen} to a ${cell.target}`, () => carries(() => connectTo(places.get(cell)!)));

  for (const proxy of proxies)
    for (const [kind, host] of ways)
      it(`${proxy.option} as a proxy on a ${proxy.listen}, ${kind} to ${host}`, () =>
        carries(() => connectThrough(places.get(proxy)!, kind, host, targets.four.port)));
});
