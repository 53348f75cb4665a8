import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createChannel, type ChannelReader, type OpenChannel } from '../../src/engine/channel.js';
import { createWindowBudget } from '../../src/engine/windows.js';

const recipient = 7;

/** A channel beside a server that notes what it is sent, and may be slow to take it. */
function start({
  window = 1_000_000,
  packetSize = 32_768,
  own = createWindowBudget().open(),
  onReleased = () => {},
} = {}) {
  const sent: Buffer[] = [];
  const said: string[] = [];
  const resumes = new Set<() => void>();
  const state = { isFull: false, closed: 0 };
  const open = createChannel({
    sender: {
      data(to, source, first, end) {
        assert.equal(to, recipient);
        assert.ok(end > first && end - first <= packetSize, `${end - first} bytes in a packet of ${packetSize}`);
        sent.push(Buffer.from(source.subarray(first, end)));
        said.push('data');
      },
      windowAdjust: (_, bytes) => said.push(`adjust ${bytes}`),
      eof: () => said.push('eof'),
      close: () => said.push('close'),
      hold(resume) {
        if (state.isFull) resumes.add(resume);
        return state.isFull;
      },
      roundTripMs: undefined,
      packetBytes: 32_768,
    },
    recipient,
    window,
    packetSize,
    own,
    onClosed: () => state.closed++,
    onReleased,
  });
  const empty = () => {
    state.isFull = false;
    const all = [...resumes];
    resumes.clear();
    for (const resume of all) resume();
  };
  return { open, channel: open.channel, sent, said, state, empty };
}

function listen(open: OpenChannel) {
  const heard: string[] = [];
  const bytes: Buffer[] = [];
  const reader: ChannelReader = {
    data: (piece) => {
      bytes.push(piece);
      heard.push('data');
    },
    end: () => heard.push('end'),
    drain: () => heard.push('drain'),
    closed: () => heard.push('closed'),
  };
  open.channel.read(reader);
  return { heard, text: () => Buffer.concat(bytes).toString() };
}

describe('a channel', () => {
  it('sends in packets that the server takes, no more than its window, and the rest when there is more', () => {
    const { open, channel, sent } = start({ window: 100, packetSize: 40 });
    const { heard } = listen(open);
    assert.equal(channel.write(Buffer.alloc(150, 'a')), false);
    assert.deepEqual(
      sent.map(({ length }) => length),
      [40, 40, 20],
    );
    open.onWindowAdjust(30);
    assert.deepEqual(heard, []);
    open.onWindowAdjust(100);
    assert.equal(Buffer.concat(sent).length, 150);
    assert.deepEqual(heard, ['drain']);
    assert.equal(channel.write(Buffer.alloc(80)), true);
  });

  it('keeps what it can’t send: the writer’s buffer may be used for something else', () => {
    const { open, channel, sent } = start({ window: 2 });
    const buffer = Buffer.from('abcdef');
    channel.write(buffer);
    buffer.fill('x');
    open.onWindowAdjust(10);
    assert.equal(Buffer.concat(sent).toString(), 'abcdef');
  });

  it('has its writer wait while the connection has enough to send', () => {
    const { open, channel, state, empty } = start();
    const { heard } = listen(open);
    state.isFull = true;
    assert.equal(channel.write(Buffer.from('a')), false);
    assert.deepEqual(heard, []);
    empty();
    assert.deepEqual(heard, ['drain']);
  });

  it('waits for both, the window and the connection', () => {
    const { open, channel, state, empty } = start({ window: 1 });
    const { heard } = listen(open);
    state.isFull = true;
    assert.equal(channel.write(Buffer.from('ab')), false);
    empty();
    assert.deepEqual(heard, []);
    state.isFull = true;
    open.onWindowAdjust(10);
    assert.deepEqual(heard, []);
    empty();
    assert.deepEqual(heard, ['drain']);
  });

  it('ends behind what was written, and closes when both sides have ended', () => {
    const { open, channel, said } = start({ window: 1 });
    const { heard } = listen(open);
    channel.write(Buffer.from('ab'));
    channel.end();
    open.onEof();
    assert.deepEqual(said, ['data']);
    open.onWindowAdjust(5);
    assert.deepEqual(said, ['data', 'data', 'eof', 'close']);
    assert.equal(channel.isClosed, false);
    open.onClose();
    assert.equal(channel.isClosed, true);
    assert.deepEqual(heard, ['end', 'closed']);
  });

  it('goes on sending after the server has ended', () => {
    const { open, channel, said } = start();
    open.onEof();
    assert.equal(channel.write(Buffer.from('a')), true);
    assert.deepEqual(said, ['data']);
  });

  it('drops what was written after its end, or after it was closed', () => {
    const ended = start();
    ended.channel.end();
    ended.channel.write(Buffer.from('late'));
    assert.deepEqual(ended.said, ['eof']);
    const closed = start();
    closed.channel.close();
    closed.channel.close();
    closed.channel.end();
    assert.equal(closed.channel.write(Buffer.from('late')), true);
    assert.deepEqual(closed.said, ['close']);
  });

  it('drops what waited when it is closed', () => {
    const { open, channel, said } = start({ window: 0 });
    channel.write(Buffer.from('a'));
    channel.close();
    open.onWindowAdjust(100);
    assert.deepEqual(said, ['close']);
  });

  it('answers the server’s close, tells its reader once, and gives its window back', () => {
    const { open, said, state } = start();
    const { heard } = listen(open);
    open.onClose();
    open.onClose();
    open.onLost();
    assert.deepEqual(said, ['close']);
    assert.deepEqual(heard, ['end', 'closed']);
    assert.equal(state.closed, 1);
  });

  it('says nothing to a connection that is gone', () => {
    const { open, channel, said } = start();
    const { heard } = listen(open);
    open.onLost();
    channel.write(Buffer.from('a'));
    channel.end();
    channel.close();
    channel.consumed(1_000_000);
    assert.deepEqual(said, []);
    assert.deepEqual(heard, ['end', 'closed']);
  });

  it('keeps what comes until somebody reads, its end and its close, too', () => {
    const { open } = start();
    open.onData(Buffer.from('a'));
    open.onData(Buffer.from('b'));
    open.onEof();
    open.onClose();
    const { heard, text } = listen(open);
    assert.equal(text(), 'ab');
    assert.deepEqual(heard, ['data', 'data', 'end', 'closed']);
  });

  it('hands what one reader puts back to the next one, before what comes', () => {
    const { open, channel } = start();
    listen(open);
    open.onData(Buffer.from('abc'));
    channel.unread(Buffer.from('bc'));
    open.onData(Buffer.from('d'));
    assert.equal(listen(open).text(), 'bcd');
  });

  it('lets the server send more as its reader hands on', () => {
    const { open, channel, said } = start();
    listen(open);
    open.onData(Buffer.alloc(300_000));
    assert.deepEqual(said, []);
    channel.consumed(300_000);
    assert.deepEqual(said, ['adjust 300000']);
  });

  it('lets nothing come any more once the server has ended, or it was closed', () => {
    const ended = start();
    listen(ended.open);
    ended.open.onData(Buffer.alloc(300_000));
    ended.open.onEof();
    ended.channel.consumed(300_000);
    assert.deepEqual(ended.said, []);
    const closed = start();
    const { heard } = listen(closed.open);
    closed.channel.close();
    assert.equal(closed.open.onData(Buffer.alloc(300_000)), true);
    assert.deepEqual(heard, []);
  });

  it('keeps nothing of packets without a byte', () => {
    const { open } = start();
    for (let count = 0; count < 3; count++) open.onData(Buffer.alloc(0));
    assert.deepEqual(listen(open).heard, []);
    open.onData(Buffer.alloc(0));
    assert.deepEqual(listen(open).heard, []);
  });

  it('gives its window back when all that came was handed on, though it was closed before', () => {
    let released = 0;
    const budget = createWindowBudget();
    const { open, channel } = start({ own: budget.open(), onReleased: () => released++ });
    listen(open);
    open.onData(Buffer.alloc(1000));
    open.onClose();
    assert.equal(released, 0);
    channel.consumed(400);
    assert.equal(released, 0);
    channel.consumed(600);
    assert.equal(released, 1);
  });

  it('gives its window back once, also when both sides close it one after the other', () => {
    let released = 0;
    const { open, channel } = start({ onReleased: () => released++ });
    channel.close();
    assert.equal(released, 0);
    open.onClose();
    open.onLost();
    assert.equal(released, 1);
  });

  it('counts data of another type, and drops it', () => {
    const { open, said } = start();
    const { heard } = listen(open);
    assert.equal(open.onExtendedData(300_000), true);
    assert.deepEqual(said, ['adjust 300000']);
    assert.deepEqual(heard, []);
  });

  it('tells of a server that sends more than it may, by data of either type', () => {
    const { open } = start();
    assert.equal(open.onData(Buffer.alloc(2 * 1024 * 1024)), true);
    assert.equal(open.onData(Buffer.alloc(209_715)), true);
    assert.equal(open.onData(Buffer.alloc(1)), false);
    assert.equal(open.onExtendedData(1), false);
  });

  it('brings all bytes in their order, whatever window and connection do', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 200 }) }),
      fc.record({ kind: fc.constant('adjust' as const), bytes: fc.integer({ min: 0, max: 150 }) }),
      fc.record({ kind: fc.constant('fill' as const) }),
      fc.record({ kind: fc.constant('empty' as const) }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 0, max: 300 }),
        (steps, packetSize, window) => {
          const { open, channel, sent, state, empty } = start({ window, packetSize });
          const { heard } = listen(open);
          const written: Buffer[] = [];
          let allowed = window;
          let waits = false;
          const total = () => sent.reduce((sum, { length }) => sum + length, 0);
          for (const one of steps) {
            if (one.kind === 'adjust') {
              allowed += one.bytes;
              open.onWindowAdjust(one.bytes);
            } else if (one.kind === 'fill') state.isFull = true;
            else if (one.kind === 'empty') empty();
            else if (!waits) {
              const bytes = Buffer.from(one.bytes);
              written.push(Buffer.from(bytes));
              waits = !channel.write(bytes);
              bytes.fill(0);
            }
            if (heard.splice(0).includes('drain')) waits = false;
            assert.ok(total() <= allowed);
          }
          channel.end();
          empty();
          open.onWindowAdjust(100_000);
          assert.ok(Buffer.concat(sent).equals(Buffer.concat(written)), 'other bytes were sent than written');
        },
      ),
    );
  });
});
