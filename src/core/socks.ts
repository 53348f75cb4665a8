// What a client of a dynamic forward says, and what it is told: SOCKS 4, 4a and 5 (RFC 1928), and HTTP CONNECT
// (RFC 9110 section 9.3.6) on the same port. CONNECT only, no authentication, as in OpenSSH.
import { hostPort } from './wording.js';

/** What a client asks to be connected to. `host` is a name or an address as text, without brackets; `port` is 1 to 65535. */
export interface ProxyRequest {
  protocol: 'socks4' | 'socks5' | 'http';
  host: string;
  port: number;
}

/** Why a client got no further, for the log. */
export type ProxyRefusal =
  /** Neither SOCKS nor HTTP. The first byte tells which: 0x16 is TLS, 0x53 may be SSH. */
  | { kind: 'unknownProtocol'; firstByte: number }
  /** No offer to do without authentication. */
  | { kind: 'authentication' }
  /** 2 is BIND, 3 is UDP ASSOCIATE (SOCKS5 alone). */
  | { kind: 'command'; command: number }
  | { kind: 'addressType'; addressType: number }
  /** HTTP, but not CONNECT. */
  | { kind: 'method'; method: string }
  /** A name that can't be one, or a port outside 1 to 65535. */
  | { kind: 'target' }
  | { kind: 'malformed' }
  | { kind: 'tooLong' };

export type ProxyStep =
  /** Send `reply` if there is one, and read on. */
  | { kind: 'more'; reply?: Buffer }
  /** Send `reply` if there is one and connect; `rest` came behind the request and is for the target. */
  | { kind: 'request'; request: ProxyRequest; reply?: Buffer; rest: Buffer }
  /** Send `reply`, which may be empty, then end the connection. */
  | { kind: 'refused'; reply: Buffer; reason: ProxyRefusal };

export interface ProxyDecoder {
  /**
   * Takes what the client sent, in whatever pieces. Holds at most 16 KiB while it waits for more.
   * @throws {Error} after a `request` or `refused` step: the bytes are no longer its business.
   */
  push(data: Buffer): ProxyStep;
}

/** What came of the connection attempt. */
export type ProxyOutcome =
  'connected' | 'prohibited' | 'refused' | 'hostUnreachable' | 'networkUnreachable' | 'timedOut' | 'failed';

/** What all bytes so far come to. `reply` is all that is to be said to them, the method choice included. */
type Decoded =
  | { kind: 'more'; reply: Buffer }
  | { kind: 'request'; request: ProxyRequest; reply: Buffer; length: number }
  | { kind: 'refused'; reply: Buffer; reason: ProxyRefusal };

/** Bytes of a SOCKS4 request with its user and name: OpenSSH takes no more. */
const longestSocks4 = 1026;
/** Bytes of a request line and header: what Node's own HTTP server takes. */
const longestHead = 16 * 1024;
/** Bytes of a name: what SOCKS5 can carry; DNS ends at 253. */
const longestName = 255;

const nothing = Buffer.alloc(0);

/** A decoder for one client. */
export function createProxyDecoder(): ProxyDecoder {
  let held = nothing;
  let repliedBytes = 0;
  let isOver = false;
  return {
    push(data) {
      if (isOver) throw new Error('push after the request or refusal');
      held = Buffer.concat([held, data]);
      const decoded = decode(held);
      const reply = decoded.reply.subarray(repliedBytes);
      repliedBytes = decoded.reply.length;
      isOver = decoded.kind !== 'more';
      if (decoded.kind === 'refused') return { kind: 'refused', reply, reason: decoded.reason };
      const said = reply.length > 0 && { reply };
      if (decoded.kind === 'more') return { kind: 'more', ...said };
      return { kind: 'request', request: decoded.request, ...said, rest: held.subarray(decoded.length) };
    },
  };
}

/** The bytes that tell a client what came of its request. */
export function proxyReply(request: ProxyRequest, outcome: ProxyOutcome): Buffer {
  switch (request.protocol) {
    case 'socks4':
      return socks4Reply(outcome === 'connected');
    case 'socks5':
      return socks5Reply(socks5Codes[outcome]);
    case 'http':
      return connectReply(hostPort(request.host, request.port), outcome);
  }
}

function decode(held: Buffer): Decoded {
  const first = held[0];
  if (first === undefined) return { kind: 'more', reply: nothing };
  if (first === 4) return decodeSocks4(held);
  if (first === 5) return decodeSocks5(held);
  if (/[A-Za-z]/.test(String.fromCharCode(first))) return decodeHttp(held);
  return { kind: 'refused', reply: nothing, reason: { kind: 'unknownProtocol', firstByte: first } };
}

function decodeSocks4(held: Buffer): Decoded {
  const message = held.subarray(0, longestSocks4);
  // 4a: the invalid address 0.0.0.x says that a name follows the user.
  const isNamed = message[4] === 0 && message[5] === 0 && message[6] === 0 && message[7] !== 0;
  const userEnd = message.indexOf(0, 8);
  const end = isNamed && userEnd >= 0 ? message.indexOf(0, userEnd + 1) : userEnd;
  const refuse = (reason: ProxyRefusal): Decoded => ({ kind: 'refused', reply: socks4Reply(false), reason });
  if (end < 0) return held.length > longestSocks4 ? refuse({ kind: 'tooLong' }) : { kind: 'more', reply: nothing };
  if (message[1] !== 1) return refuse({ kind: 'command', command: message[1]! });
  const host = isNamed ? readName(message.toString('utf8', userEnd + 1, end)) : message.subarray(4, 8).join('.');
  const port = message.readUInt16BE(2);
  if (host === undefined || port === 0) return refuse({ kind: 'target' });
  return { kind: 'request', request: { protocol: 'socks4', host, port }, reply: nothing, length: end + 1 };
}

function decodeSocks5(held: Buffer): Decoded {
  const methodsEnd = 2 + (held[1] ?? 0);
  if (held.length < 2 || held.length < methodsEnd) return { kind: 'more', reply: nothing };
  if (!held.subarray(2, methodsEnd).includes(0))
    return { kind: 'refused', reply: Buffer.from([5, 0xff]), reason: { kind: 'authentication' } };
  const choice = Buffer.from([5, 0]);
  const refuse = (code: number, reason: ProxyRefusal): Decoded => ({
    kind: 'refused',
    reply: Buffer.concat([choice, socks5Reply(code)]),
    reason,
  });
  const message = held.subarray(methodsEnd);
  // Every request has two bytes more; the fifth is a name's length.
  if (message.length < 5) return { kind: 'more', reply: choice };
  if (message[0] !== 5 || message[2] !== 0) return refuse(1, { kind: 'malformed' });
  const addressType = message[3]!;
  const nameEnd = 5 + message[4]!;
  const addressEnd = addressType === 1 ? 8 : addressType === 3 ? nameEnd : addressType === 4 ? 20 : undefined;
  if (addressEnd === undefined) return refuse(8, { kind: 'addressType', addressType });
  // A refusal waits for the whole request: to close on unread bytes would reset the connection, and lose the reply.
  if (message.length < addressEnd + 2) return { kind: 'more', reply: choice };
  if (message[1] !== 1) return refuse(7, { kind: 'command', command: message[1]! });
  const address = message.subarray(4, addressEnd);
  const host =
    addressType === 1
      ? address.join('.')
      : addressType === 4
        ? ipv6Text(address)
        : readName(address.toString('utf8', 1));
  const port = message.readUInt16BE(addressEnd);
  if (host === undefined || port === 0) return refuse(1, { kind: 'target' });
  const length = methodsEnd + addressEnd + 2;
  return { kind: 'request', request: { protocol: 'socks5', host, port }, reply: choice, length };
}

function decodeHttp(held: Buffer): Decoded {
  const head = held.toString('latin1', 0, longestHead);
  const refuse = (reason: ProxyRefusal, status: string, sentence: string, fields?: readonly string[]): Decoded => ({
    kind: 'refused',
    reply: httpReply(status, sentence, fields),
    reason,
  });
  const more = (): Decoded =>
    held.length > longestHead
      ? refuse({ kind: 'tooLong' }, '431 Request Header Fields Too Large', 'The request’s head is longer than 16 KiB.')
      : { kind: 'more', reply: nothing };
  // RFC 9112 section 2.2: a bare LF may end a line.
  const lineEnd = head.indexOf('\n');
  if (lineEnd < 0) return more();
  const line = /^([A-Za-z-]{1,32}) (\S+) HTTP\/1\.\d\r?$/.exec(held.toString('utf8', 0, lineEnd));
  // Said at once: an SSH client, for one, sends a line and waits for an answer.
  if (!line) return refuse({ kind: 'unknownProtocol', firstByte: held[0]! }, '400 Bad Request', helpText);
  const headEnd = /\n\r?\n/.exec(head);
  if (!headEnd) return more();
  const [, method, target] = line;
  if (method !== 'CONNECT')
    return refuse({ kind: 'method', method: method! }, '405 Method Not Allowed', helpText, ['Allow: CONNECT']);
  const request = readAuthority(target!);
  if (!request) return refuse({ kind: 'target' }, '400 Bad Request', authorityText);
  return { kind: 'request', request, reply: nothing, length: headEnd.index + headEnd[0].length };
}

/** RFC 9112 section 3.2.3. */
function readAuthority(target: string): ProxyRequest | undefined {
  const authority = /^(?:\[([\d.:A-Fa-f]+)\]|([^:/?#@[\]\\]+)):(\d+)$/.exec(target);
  if (!authority) return undefined;
  const [, address, name, digits] = authority;
  if (address !== undefined && !URL.canParse(`http://[${address}]`)) return undefined;
  const host = address ?? readName(name!);
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65535 ? undefined : { protocol: 'http', host, port };
}

/** A name to be resolved where the connection comes out; none with what can’t be in one and would deceive who reads it in a log. */
function readName(text: string): string | undefined {
  const isName = text !== '' && Buffer.byteLength(text) <= longestName && !/[\s\p{Cc}\p{Cf}\ufffd]/u.test(text);
  return isName ? text : undefined;
}

/** As RFC 5952 has it and inet_ntop(3) prints it: PermitOpen and PermitRemoteOpen compare text. */
function ipv6Text(address: Buffer): string {
  const isMapped = address.readUIntBE(0, 6) === 0 && address.readUIntBE(6, 6) === 0xffff;
  if (isMapped) return `::ffff:${address.subarray(12).join('.')}`;
  const groups = address.toString('hex').match(/.{4}/g)!;
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function socks4Reply(isGranted: boolean): Buffer {
  return Buffer.from([0, isGranted ? 0x5a : 0x5b, 0, 0, 0, 0, 0, 0]);
}

/** RFC 1928 section 6. It has no code for a timeout: Tor says 6, which Firefox shows as one. */
const socks5Codes: Readonly<Record<ProxyOutcome, number>> = {
  connected: 0,
  failed: 1,
  prohibited: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  timedOut: 6,
};

/** The address bound for the client is 0.0.0.0:0, as in OpenSSH. */
function socks5Reply(code: number): Buffer {
  return Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
}

const helpText =
  'This port is a SOCKS and HTTP CONNECT proxy. Plain http:// requests through it aren’t supported: set it as a SOCKS 5 proxy instead.';
const authorityText = 'CONNECT takes a host and a port from 1 to 65535, as in “CONNECT db:5432 HTTP/1.1”.';

function connectReply(target: string, outcome: ProxyOutcome): Buffer {
  switch (outcome) {
    case 'connected':
      // RFC 9110 section 9.3.6: no Content-Length here.
      return Buffer.from('HTTP/1.1 200 Connection Established\r\n\r\n');
    case 'prohibited':
      return httpReply('403 Forbidden', `This tunnel may not connect to ${target}.`);
    case 'refused':
      return httpReply('502 Bad Gateway', `${target} refused the connection.`);
    case 'hostUnreachable':
      return httpReply('502 Bad Gateway', `${target} can’t be found or reached.`);
    case 'networkUnreachable':
      return httpReply('502 Bad Gateway', `The network of ${target} can’t be reached.`);
    case 'failed':
      return httpReply('502 Bad Gateway', `The connection to ${target} failed.`);
    case 'timedOut':
      return httpReply('504 Gateway Timeout', `${target} did not answer in time.`);
  }
}

function httpReply(status: string, sentence: string, fields: readonly string[] = []): Buffer {
  const body = `${sentence}\n`;
  const head = [
    `HTTP/1.1 ${status}`,
    ...fields,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}
