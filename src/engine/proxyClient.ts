// A client of a dynamic forward: read what it asks for, tell it what came of that.
import type { Socket } from 'node:net';
import type { Failure } from '../core/failure.js';
import { createProxyDecoder, type ProxyOutcome, type ProxyRefusal, type ProxyRequest } from '../core/socks.js';
import type { ChannelStream } from './channelStream.js';

/** How long a client may take to say where it wants to go, in milliseconds. */
const longestRequestMs = 30_000;
/** How long it may take to read why it got no further. */
const lingerMs = 1000;

/**
 * Reads the request from a stream that is paused, and leaves it paused with what came behind the request put back.
 * Undefined: it is refused, too slow or gone, and its end is under way.
 */
export function readProxyRequest(
  stream: Socket | ChannelStream,
  onRefused: (reason: ProxyRefusal) => void,
  limitMs = longestRequestMs,
): Promise<ProxyRequest | undefined> {
  const decoder = createProxyDecoder();
  return new Promise((resolve) => {
    const finish = (request?: ProxyRequest) => {
      clearTimeout(tooSlow);
      stream.removeListener('data', onData).removeListener('end', onGone).removeListener('close', onGone);
      resolve(request);
    };
    const onGone = () => {
      finish();
      stream.destroy();
    };
    const onData = (data: Buffer) => {
      const step = decoder.push(data);
      switch (step.kind) {
        case 'more':
          if (step.reply) stream.write(step.reply);
          return;
        case 'request':
          stream.pause();
          finish(step.request);
          if (step.reply) stream.write(step.reply);
          if (step.rest.length > 0) stream.unshift(step.rest);
          return;
        case 'refused':
          finish();
          onRefused(step.reason);
          endWith(stream, step.reply);
      }
    };
    const tooSlow = setTimeout(onGone, limitMs);
    stream.on('data', onData);
    stream.once('end', onGone);
    stream.once('close', onGone);
    stream.resume();
  });
}

/**
 * Sends the last words, and closes when the client has ended, too, or has had the time to read them: unread bytes would
 * make the end a reset, so what it still says is dropped.
 */
export function endWith(stream: Socket | ChannelStream, reply: Buffer): void {
  const late = setTimeout(() => stream.destroy(), lingerMs);
  const settle = () => {
    if (stream.readableEnded && stream.writableFinished) stream.destroy();
  };
  stream.once('close', () => clearTimeout(late));
  stream.once('end', settle).once('finish', settle);
  stream.on('data', () => {});
  stream.resume();
  stream.end(reply);
}

/** What a proxy's client is told of a failure. */
export function outcomeOf(failure: Failure): ProxyOutcome {
  switch (failure.kind) {
    case 'targetNotPermitted':
      return 'prohibited';
    case 'targetFailed':
      return outcomeOfCode[failure.code] ?? 'failed';
    case 'channelRefused':
      if (failure.refusal === 'prohibited') return 'prohibited';
      if (failure.refusal !== 'connectFailed') return 'failed';
      return saidByServer.find(([said]) => said.test(failure.detail))?.[1] ?? 'hostUnreachable';
    default:
      return 'failed';
  }
}

const outcomeOfCode: Readonly<Record<string, ProxyOutcome>> = {
  ECONNREFUSED: 'refused',
  ENOTFOUND: 'hostUnreachable',
  EAI_AGAIN: 'hostUnreachable',
  EHOSTUNREACH: 'hostUnreachable',
  ENETUNREACH: 'networkUnreachable',
  ETIMEDOUT: 'timedOut',
};

/** strerror(3) in sshd's answer (channels.c, connect failed); a name that it can't resolve comes with gai_strerror(3). */
const saidByServer: readonly (readonly [RegExp, ProxyOutcome])[] = [
  [/refused/i, 'refused'],
  [/timed out/i, 'timedOut'],
  [/network is unreachable/i, 'networkUnreachable'],
];
