import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { SocketAddress } from 'node:net';
import fc from 'fast-check';
import {
  createProxyDecoder,
  proxyReply,
  type ProxyOutcome,
  type ProxyRefusal,
  type ProxyRequest,
} from '../../src/core/socks.js';
import { run } from '../support/openSsh.js';
import { startTarget, type Target } from '../support/targets.js';

/** Bytes as hex and text: `'05 01 00'`, `` `05 ${text('db')}` ``. */
const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ''), 'hex');
const text = (written: string): string => Buffer.from(written).toString('hex');

const socks4 = (host: string, port: number): ProxyRequest => ({ protocol: 'socks4', host, port });
const socks5 = (host: string, port: number): ProxyRequest => ({ protocol: 'socks5', host, port });
const http = (host: string, port: number): ProxyRequest => ({ protocol: 'http', host, port });

interface Heard {
  request?: ProxyRequest;
  reason?: ProxyRefusal;
  /** All that was said to the client, as latin1. */
  replies: string;
  /** What a target would get; of no interest after a refusal. */
  rest: string;
  /** Bytes held while more were awaited. */
  held: number;
}

/** What a decoder makes of the pieces; those behind the request go to the target, as in the engine. */
function hear(pieces: readonly Buffer[]): Heard {
  const decoder = createProxyDecoder();
  const heard: Heard = { replies: '', rest: '', held: 0 };
  for (const [index, piece] of pieces.entries()) {
    const step = decoder.push(piece);
    heard.replies += step.reply?.toString('latin1') ?? '';
    if (step.kind === 'more') heard.held += piece.length;
    if (step.kind === 'refused') return { ...heard, reason: step.reason };
    if (step.kind === 'request')
      return {
        ...heard,
        request: step.request,
        rest: Buffer.concat([step.rest, ...pieces.slice(index + 1)]).toString('latin1'),
      };
  }
  return heard;
}

const oneByOne = (data: Buffer): Buffer[] => Array.from(data, (byte) => Buffer.of(byte));

/** The outcome alone: how many bytes were held depends on the pieces. */
function outcome(pieces: readonly Buffer[]): Omit<Heard, 'held'> {
  const { request, reason, replies, rest } = hear(pieces);
  return { ...(request && { request }), ...(reason && { reason }), replies, rest };
}

const choice = '\x05\x00';
const socks5Reply = (code: number): string => `\x05${String.fromCharCode(code)}\0\x01\0\0\0\0\0\0`;
const no4 = '\0\x5b\0\0\0\0\0\0';

describe('createProxyDecoder', () => {
  const accepted: [string, Buffer, ProxyRequest, string?][] = [
    ['SOCKS4', bytes('04 01 1538 7f000001 00'), socks4('127.0.0.1', 5432)],
    ['SOCKS4 with a user', bytes(`04 01 0050 0a000001 ${text('ann')} 00`), socks4('10.0.0.1', 80)],
    ['SOCKS4 with a user of any bytes', bytes('04 01 0050 0a000001 ff0a0d2080 00'), socks4('10.0.0.1', 80)],
    ['SOCKS4 to 0.0.0.0', bytes('04 01 0050 00000000 00'), socks4('0.0.0.0', 80)],
    ['SOCKS4a', bytes(`04 01 1538 00000001 00 ${text('db')} 00`), socks4('db', 5432)],
    ['SOCKS4a with a user', bytes(`04 01 ffff 000000ff ${text('ann')} 00 ${text('db.test')} 00`), socks4('db.test', 65535)], // prettier-ignore
    ['SOCKS4 with the longest user', bytes(`04 01 0050 0a000001 ${'61'.repeat(1017)} 00`), socks4('10.0.0.1', 80)],
    ['SOCKS5 with IPv4', bytes('05 01 00 05 01 00 01 7f000001 0050'), socks5('127.0.0.1', 80), choice],
    ['SOCKS5 with IPv6', bytes('05 01 00 05 01 00 04 20010db8000000000000000000000001 01bb'), socks5('2001:db8::1', 443), choice], // prettier-ignore
    ['SOCKS5 with a name', bytes(`05 01 00 05 01 00 03 02 ${text('db')} 1538`), socks5('db', 5432), choice],
    ['SOCKS5 with the longest name', bytes(`05 01 00 05 01 00 03 ff ${'61'.repeat(255)} 0050`), socks5('a'.repeat(255), 80), choice], // prettier-ignore
    ['SOCKS5 with a name that is an address', bytes(`05 01 00 05 01 00 03 03 ${text('::1')} 0050`), socks5('::1', 80), choice], // prettier-ignore
    ['SOCKS5 with a name beyond ASCII', bytes(`05 01 00 05 01 00 03 07 ${text('bücher')} 0050`), socks5('bücher', 80), choice], // prettier-ignore
    ['SOCKS5 with other methods, too', bytes('05 03 02 01 00 05 01 00 01 7f000001 0050'), socks5('127.0.0.1', 80), choice], // prettier-ignore
    ['CONNECT', Buffer.from('CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n'), http('db', 5432)],
    ['CONNECT of HTTP/1.0 without fields', Buffer.from('CONNECT db:5432 HTTP/1.0\r\n\r\n'), http('db', 5432)],
    ['CONNECT with bare line feeds', Buffer.from('CONNECT db:5432 HTTP/1.1\nHost: db\n\n'), http('db', 5432)],
    ['CONNECT with mixed line ends', Buffer.from('CONNECT db:5432 HTTP/1.1\nHost: db\r\n\n'), http('db', 5432)],
    ['CONNECT to IPv6', Buffer.from('CONNECT [::1]:443 HTTP/1.1\r\n\r\n'), http('::1', 443)],
    ['CONNECT to mapped IPv4', Buffer.from('CONNECT [::FFFF:10.0.0.1]:443 HTTP/1.1\r\n\r\n'), http('::FFFF:10.0.0.1', 443)], // prettier-ignore
    ['CONNECT with a zero before the port', Buffer.from('CONNECT db:0443 HTTP/1.1\r\n\r\n'), http('db', 443)],
    ['CONNECT with fields of any bytes', Buffer.from('CONNECT db:1 HTTP/1.1\r\nA: \0\xff\r\r\n \x04\r\n\r\n', 'latin1'), http('db', 1)], // prettier-ignore
    ['CONNECT with the longest head', Buffer.from(`CONNECT db:1 HTTP/1.1\r\n${'a'.repeat(16 * 1024 - 27)}\r\n\r\n`), http('db', 1)], // prettier-ignore
  ];
  for (const [title, data, request, replies = ''] of accepted)
    it(`takes ${title}, in one piece or byte by byte, and keeps what came behind it`, () => {
      const behind = Buffer.from('\0\x05\x01\0behind\r\n\r\n', 'latin1');
      const expected = { request, replies, rest: behind.toString('latin1') };
      assert.deepEqual(outcome([Buffer.concat([data, behind])]), expected);
      assert.deepEqual(outcome(oneByOne(Buffer.concat([data, behind]))), expected);
      assert.deepEqual(outcome([data]), { request, replies, rest: '' });
      assert.equal(outcome([data.subarray(0, -1)]).request, undefined);
    });

  const socks5Name = (name: string | Buffer, port = '0050'): Buffer =>
    Buffer.concat([bytes('05 01 00 05 01 00 03'), Buffer.of(name.length), Buffer.from(name), bytes(port)]);
  const refused: [string, Buffer, string, ProxyRefusal][] = [
    ['BIND of SOCKS4', bytes('04 02 0050 7f000001 00'), no4, { kind: 'command', command: 2 }],
    ['port 0 of SOCKS4', bytes('04 01 0000 7f000001 00'), no4, { kind: 'target' }],
    ['SOCKS4a without a name', bytes('04 01 0050 00000001 00 00'), no4, { kind: 'target' }],
    ['SOCKS4a with a line feed in the name', bytes('04 01 0050 00000001 00 640a62 00'), no4, { kind: 'target' }],
    ['SOCKS4a with too long a name', bytes(`04 01 0050 00000001 00 ${'61'.repeat(256)} 00`), no4, { kind: 'target' }],
    ['SOCKS4 with too long a user', bytes(`04 01 0050 0a000001 ${'61'.repeat(1018)} 00`), no4, { kind: 'tooLong' }],
    ['SOCKS4a that never ends', bytes(`04 01 0050 00000001 00 ${'61'.repeat(1018)}`), no4, { kind: 'tooLong' }],
    ['SOCKS5 with a password alone', bytes('05 01 02'), '\x05\xff', { kind: 'authentication' }],
    ['SOCKS5 without a method', bytes('05 00'), '\x05\xff', { kind: 'authentication' }],
    ['BIND of SOCKS5', bytes('05 01 00 05 02 00 01 7f000001 0050'), choice + socks5Reply(7), { kind: 'command', command: 2 }], // prettier-ignore
    ['UDP ASSOCIATE', bytes('05 01 00 05 03 00 01 00000000 0000'), choice + socks5Reply(7), { kind: 'command', command: 3 }], // prettier-ignore
    ['an unknown address type', bytes('05 01 00 05 01 00 02 7f'), choice + socks5Reply(8), { kind: 'addressType', addressType: 2 }], // prettier-ignore
    ['a request of another version', bytes('05 01 00 04 01 00 01 7f'), choice + socks5Reply(1), { kind: 'malformed' }],
    ['a reserved byte in use', bytes('05 01 00 05 01 01 01 7f'), choice + socks5Reply(1), { kind: 'malformed' }],
    ['port 0 of SOCKS5', bytes('05 01 00 05 01 00 01 7f000001 0000'), choice + socks5Reply(1), { kind: 'target' }],
    ['SOCKS5 without a name', socks5Name(''), choice + socks5Reply(1), { kind: 'target' }],
    ['a NUL in a name', socks5Name('db\0.test'), choice + socks5Reply(1), { kind: 'target' }],
    ['a blank in a name', socks5Name('a b'), choice + socks5Reply(1), { kind: 'target' }],
    ['an escape in a name', socks5Name('\x1b[31m'), choice + socks5Reply(1), { kind: 'target' }],
    ['a name that reads backwards', socks5Name(Buffer.from('a\u202eb')), choice + socks5Reply(1), { kind: 'target' }],
    ['a name that is not UTF-8', socks5Name(bytes('62fc')), choice + socks5Reply(1), { kind: 'target' }],
    ['TLS', bytes('16 03 01 00'), '', { kind: 'unknownProtocol', firstByte: 0x16 }],
    ['SOCKS of version 6', bytes('06 00'), '', { kind: 'unknownProtocol', firstByte: 6 }],
    ['an empty line', Buffer.from('\r\n'), '', { kind: 'unknownProtocol', firstByte: 13 }],
  ];
  for (const [title, data, replies, reason] of refused)
    it(`refuses ${title}`, () => {
      assert.deepEqual(outcome([data]), { reason, replies, rest: '' });
      assert.deepEqual(outcome(oneByOne(data)), { reason, replies, rest: '' });
    });

  const refusedHttp: [string, string, RegExp, ProxyRefusal][] = [
    ['GET http://db/ HTTP/1.1\r\nHost: db\r\n\r\n', '405 Method Not Allowed', /SOCKS and HTTP CONNECT proxy.*http:\/\//, { kind: 'method', method: 'GET' }], // prettier-ignore
    ['OPTIONS * HTTP/1.0\n\n', '405 Method Not Allowed', /SOCKS/, { kind: 'method', method: 'OPTIONS' }],
    ['connect db:1 HTTP/1.1\r\n\r\n', '405 Method Not Allowed', /SOCKS/, { kind: 'method', method: 'connect' }],
    ...[
      'db', 'db:', 'db:0', 'db:65536', 'db:-1', 'db:+1', 'db:0x50', 'db:http', ':80', '::1:80', '[::1]', '[::1]80', '[:::]:80',
      '[db]:80', '[fe80::1%eth0]:80', '[]:80', 'a:b:80', 'ann@db:80', 'db/:80', '/db:80', 'http://db:80', 'db:80/', 'db?:80',
      `${'a'.repeat(256)}:80`, 'd\0b:80',
    ].map((target): (typeof refusedHttp)[number] => [`CONNECT ${target} HTTP/1.1\r\n\r\n`, '400 Bad Request', /a host and a port/, { kind: 'target' }]), // prettier-ignore
    ...[
      'SSH-2.0-OpenSSH_9.2\r\n', 'CONNECT\r\n', 'CONNECT db:80\r\n', 'CONNECT  db:80 HTTP/1.1\r\n', 'CONNECT db:80 HTTP/2.0\r\n',
      'CONNECT db:80 HTTP/1.1 \r\n', 'CONNECT db 80 HTTP/1.1\r\n', 'GET /\r\n', `${'A'.repeat(33)} / HTTP/1.1\r\n`,
    ].map((line): (typeof refusedHttp)[number] => [line, '400 Bad Request', /SOCKS/, { kind: 'unknownProtocol', firstByte: line.charCodeAt(0) }]), // prettier-ignore
    [`CONNECT ${'a'.repeat(16 * 1024)}`, '431 Request Header Fields Too Large', /16 KiB/, { kind: 'tooLong' }],
    [`CONNECT db:1 HTTP/1.1\r\n${'a'.repeat(16 * 1024 - 26)}\r\n\r\n`, '431 Request Header Fields Too Large', /16 KiB/, { kind: 'tooLong' }], // prettier-ignore
  ];
  for (const [data, status, sentence, reason] of refusedHttp)
    it(`refuses ${JSON.stringify(data.length > 60 ? `${data.slice(0, 60)}…` : data)} in HTTP’s words`, () => {
      const heard = outcome([Buffer.from(data)]);
      assert.deepEqual(heard.reason, reason);
      const { status: said, fields, body } = httpAnswer(heard.replies);
      assert.equal(said, `HTTP/1.1 ${status}`);
      assert.match(body, sentence);
      assert.equal(fields.get('allow'), reason.kind === 'method' ? 'CONNECT' : undefined);
      assert.deepEqual(outcome(oneByOne(Buffer.from(data))), heard);
    });

  it('chooses the method before the request comes', () => {
    const decoder = createProxyDecoder();
    assert.deepEqual(decoder.push(bytes('05 02 00')), { kind: 'more' });
    assert.deepEqual(decoder.push(bytes('02')), { kind: 'more', reply: bytes('05 00') });
    assert.deepEqual(decoder.push(bytes('05 01 00 01 7f')), { kind: 'more' });
    const request = socks5('127.0.0.1', 80);
    assert.deepEqual(decoder.push(bytes('000001 0050 aa')), { kind: 'request', request, rest: bytes('aa') });
  });

  it('waits for more when nothing came', () => {
    assert.deepEqual(createProxyDecoder().push(Buffer.alloc(0)), { kind: 'more' });
  });

  it('takes nothing after a request or a refusal', () => {
    for (const data of ['04 01 0050 7f000001 00', '16']) {
      const decoder = createProxyDecoder();
      assert.notEqual(decoder.push(bytes(data)).kind, 'more');
      assert.throws(() => decoder.push(bytes('00')), /after the request or refusal/);
    }
  });

  it('keeps what a client sent although the buffer that held it is used again', () => {
    const decoder = createProxyDecoder();
    const buffer = bytes('04 01 0050 7f000001');
    decoder.push(buffer);
    buffer.fill(0xff);
    const last = bytes('00 aa');
    const step = decoder.push(last);
    last.fill(0xff);
    assert.deepEqual(step, { kind: 'request', request: socks4('127.0.0.1', 80), rest: bytes('aa') });
  });

  it('prints IPv6 addresses as the system does', () => {
    // Apart from ::/96, where systems differ.
    const address = fc
      .array(fc.oneof(fc.constantFrom(0, 0, 0xffff), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
      .filter((groups) => groups.slice(0, 6).some((group) => group !== 0));
    fc.assert(
      fc.property(address, (groups) => {
        const request = Buffer.concat([bytes('05 01 00 05 01 00 04'), Buffer.alloc(16), bytes('0050')]);
        groups.forEach((group, index) => request.writeUInt16BE(group, 7 + 2 * index));
        const full = groups.map((group) => group.toString(16)).join(':');
        const { address: printed } = new SocketAddress({ family: 'ipv6', address: full });
        assert.equal(outcome([request]).request?.host, printed);
      }),
      { examples: [[[0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]], [[1, 0, 0, 2, 0, 0, 3, 4]], [[1, 0, 2, 3, 4, 5, 6, 7]]] },
    );
    const ipv6 = (hex: string) => outcome([bytes(`05 01 00 05 01 00 04 ${hex.padStart(32, '0')} 0050`)]).request?.host;
    assert.equal(ipv6('1'), '::1');
    assert.equal(ipv6('0'), '::');
  });

  interface Valid {
    data: Buffer;
    request: ProxyRequest;
    replies: string;
  }
  const byte = (value: number): string => value.toString(16).padStart(2, '0');
  const port = fc.integer({ min: 1, max: 65535 });
  const portBytes = (value: number): string => byte(value >> 8) + byte(value & 0xff);
  const name = fc.stringMatching(/^[a-z\d][a-z\d.ü-]{0,100}$/);
  const ipv4 = fc.ipV4().filter((address) => !/^0\.0\.0\.[^0]/.test(address));
  const ipv4Bytes = (address: string): string => address.split('.').map(Number).map(byte).join('');

  const user = fc.uint8Array({ maxLength: 700 }).map((given) => Buffer.from(given.filter((byte) => byte !== 0)));
  const destination4 = fc.oneof(
    ipv4.map((host) => ({ host, address: ipv4Bytes(host), behindUser: '' })),
    fc
      .tuple(name, fc.integer({ min: 1, max: 255 }))
      .map(([host, last]) => ({ host, address: `000000 ${byte(last)}`, behindUser: `${text(host)} 00` })),
  );
  const valid4 = fc.tuple(destination4, port, user).map(([{ host, address, behindUser }, port, user]): Valid => ({
    data: bytes(`04 01 ${portBytes(port)} ${address} ${user.toString('hex')} 00 ${behindUser}`),
    request: socks4(host, port),
    replies: '',
  }));

  const methods = fc.uint8Array({ maxLength: 254 }).map((others) => Buffer.from([...others, 0]));
  const destination5 = fc.oneof(
    ipv4.map((host) => ({ host, address: `01 ${ipv4Bytes(host)}` })),
    name.map((host) => ({ host, address: `03 ${byte(Buffer.byteLength(host))} ${text(host)}` })),
    fc.constant({ host: 'fe80::ff', address: '04 fe80 0000 0000 0000 0000 0000 0000 00ff' }),
  );
  const valid5 = fc.tuple(methods, destination5, port).map(([methods, { host, address }, port]): Valid => ({
    data: bytes(`05 ${byte(methods.length)} ${methods.toString('hex')} 05 01 00 ${address} ${portBytes(port)}`),
    request: socks5(host, port),
    replies: choice,
  }));

  const fields = fc.array(fc.stringMatching(/^[A-Za-z-]{1,20}: [ -~]{0,40}$/), { maxLength: 5 });
  const destinationHttp = fc.oneof(
    fc.oneof(ipv4, name).map((host) => ({ host, target: host })),
    fc.ipV6().map((host) => ({ host, target: `[${host}]` })),
  );
  const validHttp = fc
    .tuple(destinationHttp, port, fields, fc.constantFrom('\r\n', '\n'))
    .map(([{ host, target }, port, fields, end]): Valid => ({
      data: Buffer.from([`CONNECT ${target}:${port} HTTP/1.1`, ...fields, '', ''].join(end)),
      request: http(host, port),
      replies: '',
    }));

  const valid = fc.oneof(valid4, valid5, validHttp);
  const cuts = fc.oneof(fc.constant(1), fc.array(fc.integer({ min: 0, max: 64 }), { maxLength: 40 }));

  /** Byte by byte, or pieces of these sizes (0 is an empty one) and what is left. */
  function cut(data: Buffer, sizes: 1 | readonly number[]): Buffer[] {
    if (sizes === 1) return oneByOne(data);
    let at = 0;
    const pieces = sizes.map((size) => data.subarray(at, (at += size)));
    return [...pieces, data.subarray(at)];
  }

  it('hears the same request, says the same and loses no byte, however a client cuts it', () => {
    fc.assert(
      fc.property(valid, fc.uint8Array({ maxLength: 100 }), cuts, ({ data, request, replies }, behind, sizes) => {
        const pieces = cut(Buffer.concat([data, behind]), sizes);
        assert.deepEqual(outcome(pieces), { request, replies, rest: Buffer.from(behind).toString('latin1') });
      }),
      { numRuns: 1000 },
    );
  });

  /** Beginnings of each protocol with anything behind them, and requests with one byte changed. */
  const anything: fc.Arbitrary<Buffer> = fc.oneof(
    fc.uint8Array({ maxLength: 600 }).map((data) => Buffer.from(data)),
    fc
      .tuple(
        fc.constantFrom('04', '0401005000000001', '05', '050100', '050100050100', '05010005010003', text('CONNECT '), text('C d:1 HTTP/1.1\r\n')), // prettier-ignore
        fc.uint8Array({ maxLength: 600 }),
        fc.oneof(fc.constant(0), fc.integer({ min: 900, max: 1100 }), fc.integer({ min: 16_000, max: 17_000 })),
        fc.constantFrom(0x61, 0x0a, 0x0d, 0x20, 0xff),
      )
      .map(([start, data, times, byte]) => Buffer.concat([bytes(start), data, Buffer.alloc(times, byte)])),
    fc.tuple(valid, fc.nat(), fc.nat(255)).map(([{ data }, at, byte]) => {
      const changed = Buffer.from(data);
      changed[at % changed.length] = byte;
      return changed;
    }),
  );

  it('never throws, says the same however it is cut, and holds no more than its bound', () => {
    fc.assert(
      fc.property(anything, cuts, (data, sizes) => {
        const pieces = cut(data, sizes);
        assert.deepEqual(outcome(pieces), outcome([data]));
        const bound = data[0] === 4 ? 1026 : data[0] === 5 ? 257 + 262 : 16 * 1024;
        assert.ok(hear(pieces).held <= bound);
      }),
      { numRuns: 500 },
    );
  });
});

interface HttpAnswer {
  status: string;
  fields: ReadonlyMap<string, string>;
  body: string;
}

/** Reads an answer (latin1), and holds it to its own length. */
function httpAnswer(answer: string): HttpAnswer {
  const [head, body] = answer.split('\r\n\r\n') as [string, string];
  const [status, ...lines] = head.split('\r\n');
  const fields = new Map(
    lines.map((line) => {
      const [name, value] = line.split(': ');
      return [name!.toLowerCase(), value!] as const;
    }),
  );
  assert.equal(Number(fields.get('content-length')), body.length);
  assert.equal(fields.get('connection'), 'close');
  return { status: status!, fields, body: Buffer.from(body, 'latin1').toString() };
}

describe('proxyReply', () => {
  const outcomes: Record<ProxyOutcome, [granted: boolean, socks5Code: number, status: string, sentence: string]> = {
    connected: [true, 0, '', ''],
    failed: [false, 1, '502 Bad Gateway', 'The connection to [::1]:443 failed.\n'],
    prohibited: [false, 2, '403 Forbidden', 'This tunnel may not connect to [::1]:443.\n'],
    networkUnreachable: [false, 3, '502 Bad Gateway', 'The network of [::1]:443 can’t be reached.\n'],
    hostUnreachable: [false, 4, '502 Bad Gateway', '[::1]:443 can’t be found or reached.\n'],
    refused: [false, 5, '502 Bad Gateway', '[::1]:443 refused the connection.\n'],
    timedOut: [false, 6, '504 Gateway Timeout', '[::1]:443 did not answer in time.\n'],
  };
  for (const [outcome, [granted, code, status, sentence]] of Object.entries(outcomes) as [
    ProxyOutcome,
    (typeof outcomes)[ProxyOutcome],
  ][])
    it(`tells each protocol’s client: ${outcome}`, () => {
      assert.deepEqual(
        proxyReply(socks4('127.0.0.1', 80), outcome),
        bytes(granted ? '00 5a 0000 00000000' : '00 5b 0000 00000000'),
      );
      assert.deepEqual(proxyReply(socks5('db', 80), outcome), bytes(`05 0${code} 00 01 00000000 0000`));
      const answer = proxyReply(http('::1', 443), outcome);
      if (granted) {
        assert.equal(answer.toString(), 'HTTP/1.1 200 Connection Established\r\n\r\n');
        return;
      }
      const { status: said, body } = httpAnswer(answer.toString('latin1'));
      assert.deepEqual([said, body], [`HTTP/1.1 ${status}`, sentence]);
    });
});

describe('curl as a client', () => {
  /** Answers every request itself with what was asked for; `refused.test` is refused, and so on. */
  let proxy: Target;
  before(async function () {
    if (spawnSync('curl', ['--version'], { stdio: 'ignore' }).error) this.skip();
    proxy = await startTarget((socket) => {
      const decoder = createProxyDecoder();
      socket.on('data', function decide(data: Buffer) {
        const step = decoder.push(data);
        if (step.reply) socket.write(step.reply);
        if (step.kind === 'more') return;
        socket.off('data', decide);
        if (step.kind === 'refused') {
          socket.end();
          return;
        }
        const { request, rest } = step;
        const outcome = request.host.endsWith('.test') ? (request.host.slice(0, -5) as ProxyOutcome) : 'connected';
        socket.write(proxyReply(request, outcome));
        if (outcome !== 'connected') {
          socket.end();
          return;
        }
        if (rest.length > 0) socket.unshift(rest);
        socket.once('data', () => {
          const body = JSON.stringify(request);
          socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
        });
      });
    });
  });
  after(() => proxy?.close());

  const { NO_PROXY: _, no_proxy: __, ...env } = process.env;
  const curl = (option: string, ...rest: readonly string[]) => {
    const address = `127.0.0.1:${proxy.port}`;
    const proxyOptions = option === '--proxytunnel' ? [option, '--proxy', `http://${address}`] : [option, address];
    return run('curl', ['-q', '-sS', '--max-time', '10', ...proxyOptions, ...rest], env);
  };

  const asked: [option: string, url: string, ProxyRequest][] = [
    ['--socks4', 'http://127.0.0.1:81/', socks4('127.0.0.1', 81)],
    ['--socks4a', 'http://db.example:8080/', socks4('db.example', 8080)],
    ['--socks5', 'http://127.0.0.1:81/', socks5('127.0.0.1', 81)],
    ['--socks5', 'http://[2001:db8:0:0::1]/', socks5('2001:db8::1', 80)],
    ['--socks5-hostname', 'http://db.example:8080/', socks5('db.example', 8080)],
    ['--proxytunnel', 'http://db.example:8080/', http('db.example', 8080)],
    ['--proxytunnel', 'http://[2001:db8::1]/', http('2001:db8::1', 80)],
  ];
  for (const [option, url, request] of asked)
    it(`gets through with ${option} to ${url}`, async () => {
      const { code, stdout, stderr } = await curl(option, url);
      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(stdout), request);
    });

  const told: [option: string, outcome: ProxyOutcome, RegExp][] = [
    ['--socks4a', 'refused', /rejected or failed/],
    ['--socks5-hostname', 'refused', /\(5\)/],
    ['--socks5-hostname', 'prohibited', /\(2\)/],
    ['--socks5-hostname', 'timedOut', /\(6\)/],
    ['--proxytunnel', 'refused', /502/],
    ['--proxytunnel', 'prohibited', /403/],
  ];
  for (const [option, outcome, said] of told)
    it(`learns with ${option} that the connection was ${outcome}`, async () => {
      const { code, stderr } = await curl(option, `http://${outcome}.test/`);
      assert.notEqual(code, 0);
      assert.match(stderr, said);
    });

  it('shows the answer to a plain http:// request', async () => {
    const { stdout } = await curl('--proxy', 'http://db.example/', '-w', '%{http_code}');
    assert.match(stdout, /^This port is a SOCKS and HTTP CONNECT proxy\..*\n405$/);
  });
});
