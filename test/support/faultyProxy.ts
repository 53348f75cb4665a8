// A TCP line to a server that can be made to fail: frozen, deaf, cut, slow, refused. Without a fault it passes on every
// byte, half-close, reset and pause.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** To the server, or back from it. */
export type Way = 'up' | 'down';

const ways: readonly Way[] = ['up', 'down'];

export interface FaultyProxy {
  /** Of 127.0.0.1; stays the same over `refuse` and `accept`. */
  readonly port: number;
  /** Pairs of sockets that aren't closed yet. */
  readonly connections: number;
  /** Bytes that went through so far, of all connections. */
  readonly passed: Readonly<Record<Way, number>>;
  /** Holds back all bytes, ends and resets, both ways unless one is named. Connections stay, new ones are accepted. */
  freeze(way?: Way): void;
  /** Lets what was held go on, and ends `drop` for connections that are new. */
  thaw(): void;
  /** Swallows all bytes, ends and resets, both ways unless one is named: for good, since a stream with a gap is none. */
  drop(way?: Way): void;
  /** Cuts each connection by a reset of both its sockets. */
  resetAll(): void;
  /** Ends each connection as a program does that closes its sockets: what comes after that goes nowhere. */
  finAll(): void;
  /** Closes the listener; connections stay. */
  refuse(): Promise<void>;
  /** Opens it again, on the same port. */
  accept(): Promise<void>;
  /** Each chunk arrives so many milliseconds later, both ways, in order; 0 for at once. */
  delay(ms: number): void;
  /** All connections together get so many bytes a second each way; Infinity for no bound. */
  rate(bytesPerSecond: number): void;
  close(): Promise<void>;
}

type Item = { kind: 'data'; bytes: Buffer; due: number } | { kind: 'end' | 'reset'; due: number };

/** What is held of one way of one connection before its sender is paused. */
const heldLimit = 4 * 1024 * 1024;

/** With a shutdown under way the system refuses the reset, and Node would lose the socket without closing it. */
function reset(socket: Socket): void {
  const isShuttingDown = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (isShuttingDown) socket.destroy();
  else socket.resetAndDestroy();
}

export async function startFaultyProxy(target: { port: number; host?: string }): Promise<FaultyProxy> {
  const pairs = new Set<Pair>();
  const frozen = new Set<Way>();
  const dropping = new Set<Way>();
  const passed = { up: 0, down: 0 };
  const freeAt = { up: 0, down: 0 };
  let delayMs = 0;
  let bytesPerSecond = Infinity;

  interface Pair {
    wake(): void;
    swallow(way: Way): void;
    reset(): void;
    fin(): void;
    closed: Promise<unknown>;
  }

  /** One way of one connection. */
  function flow(way: Way, source: Socket, sink: Socket) {
    const queue: Item[] = [];
    let held = 0;
    let isSwallowing = dropping.has(way);
    let timer: NodeJS.Timeout | undefined;

    const add = (item: Item) => {
      if (isSwallowing) return;
      if (item.kind === 'data') held += item.bytes.length;
      queue.push(item);
      go();
    };
    const go = () => {
      clearTimeout(timer);
      timer = undefined;
      while (!frozen.has(way) && queue.length > 0) {
        const item = queue[0]!;
        const wait = Math.max(item.due, item.kind === 'data' ? freeAt[way] : 0) - performance.now();
        if (wait > 0) {
          timer = setTimeout(go, wait);
          break;
        }
        if (item.kind !== 'data') {
          queue.shift();
          if (item.kind === 'end') sink.end();
          else reset(sink);
          continue;
        }
        if (sink.writableNeedDrain) break;
        const { bytes } = item;
        // In small pieces, so that a thin line flows rather than jerks.
        const piece = bytes.subarray(0, Math.max(1, Math.min(bytes.length, bytesPerSecond / 50)));
        if (piece.length === bytes.length) queue.shift();
        else item.bytes = bytes.subarray(piece.length);
        held -= piece.length;
        passed[way] += piece.length;
        freeAt[way] = performance.now() + (piece.length / bytesPerSecond) * 1000;
        sink.write(piece);
      }
      if (frozen.has(way) || held > heldLimit) source.pause();
      else if (source.isPaused()) source.resume();
    };
    const due = () => performance.now() + delayMs;

    source.on('data', (bytes: Buffer) => add({ kind: 'data', bytes, due: due() }));
    source.once('end', () => add({ kind: 'end', due: due() }));
    source.on('error', () => {
      // What a reset overtakes is lost, as it is in a kernel.
      queue.length = held = 0;
      add({ kind: 'reset', due: due() });
    });
    sink.on('drain', go);
    return {
      go,
      swallow() {
        isSwallowing = true;
        queue.length = held = 0;
        go();
      },
      stop: () => clearTimeout(timer),
    };
  }

  const onClient = (client: Socket) => {
    const server = connect({ host: target.host ?? '127.0.0.1', port: target.port, allowHalfOpen: true, noDelay: true });
    const flows = { up: flow('up', client, server), down: flow('down', server, client) };
    const sockets = [client, server];
    const closed = Promise.all(
      sockets.map((socket) => new Promise<void>((done) => socket.once('close', () => done()))),
    );
    const pair: Pair = {
      wake: () => ways.forEach((way) => flows[way].go()),
      swallow: (way) => flows[way].swallow(),
      reset: () => sockets.forEach(reset),
      fin() {
        ways.forEach((way) => flows[way].swallow());
        sockets.forEach((socket) => socket.end());
      },
      closed,
    };
    pairs.add(pair);
    void closed.then(() => {
      ways.forEach((way) => flows[way].stop());
      pairs.delete(pair);
    });
    if (frozen.size > 0) pair.wake();
  };

  const listen = async (port: number): Promise<Server> => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, onClient);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  let listener: Server | undefined = await listen(0);
  const { port } = listener.address() as AddressInfo;

  const each = (act: (pair: Pair) => void) => [...pairs].forEach(act);
  const chosen = (way: Way | undefined) => (way === undefined ? ways : [way]);
  const refuse = () => {
    listener?.close();
    listener = undefined;
    return Promise.resolve();
  };

  return {
    port,
    get connections() {
      return pairs.size;
    },
    passed,
    freeze(way) {
      for (const one of chosen(way)) frozen.add(one);
      each((pair) => pair.wake());
    },
    thaw() {
      frozen.clear();
      dropping.clear();
      each((pair) => pair.wake());
    },
    drop(way) {
      for (const one of chosen(way)) {
        dropping.add(one);
        each((pair) => pair.swallow(one));
      }
    },
    resetAll: () => each((pair) => pair.reset()),
    finAll: () => each((pair) => pair.fin()),
    refuse,
    async accept() {
      for (let tries = 100; !listener; tries--) {
        try {
          listener = await listen(port);
        } catch (error) {
          // Meanwhile the kernel may have lent the port to a socket of someone else.
          if (tries === 0) throw error;
          await sleep(50);
        }
      }
    },
    delay: (ms) => (delayMs = ms),
    rate(bound) {
      bytesPerSecond = bound;
      freeAt.up = freeAt.down = 0;
      each((pair) => pair.wake());
    },
    async close() {
      await refuse();
      const all = [...pairs];
      all.forEach((pair) => pair.reset());
      await Promise.all(all.map(({ closed }) => closed));
    },
  };
}
