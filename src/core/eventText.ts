import type { EngineEvent, LogLevel } from './engine.js';
import { inEnglish } from './translate.js';
import { boundText, engineRestartedText, failureText } from './wording.js';

export interface LogLine {
  level: LogLevel;
  text: string;
}

/**
 * What the log says about an event, or undefined; `now` in ms since 1970. An ask is named without its answer: no secret gets
 * here.
 */
export function eventText(event: EngineEvent, now: number): LogLine | undefined {
  return inEnglish(() => lineOf(event, now));
}

function lineOf(event: EngineEvent, now: number): LogLine | undefined {
  switch (event.kind) {
    case 'connecting':
      return info(`${event.connection}: connecting (attempt ${event.attempt})`);
    case 'connected':
      return info(`${event.connection}: connected as ${event.server}`);
    case 'connectionLost':
      return { level: 'warning', text: `${event.connection}: ${againText(event, now)}` };
    case 'connectionFailed':
      if (event.failure.kind === 'cancelled') return info(`${event.connection}: cancelled`);
      return { level: 'error', text: `${event.connection}: failed. ${failureText(event.failure)}` };
    case 'connectionIdle': {
      const reason = event.failure ? ` ${failureText(event.failure)}` : '';
      return info(`${event.connection}: not connected, waits for a client.${reason}`);
    }
    case 'connectionClosed':
      return info(`${event.connection}: closed`);
    case 'listening': {
      const { asked, access } = event;
      const unbound = event.unbound.map((failure) => ` ${failureText(failure)}`).join('');
      const isOther = access !== 'unknown' && access !== asked;
      const open = access === 'network' ? ' Open to the network.' : '';
      const other = isOther ? ` Who can connect: ${access}; asked for: ${asked}.` : '';
      return {
        level: unbound || isOther ? 'warning' : 'info',
        text: `${event.forward}: listening on ${boundText(event.bound)}.${open}${other}${unbound}`,
      };
    }
    case 'listenFailed':
      if (event.failure.kind === 'cancelled') return info(`${event.forward}: cancelled`);
      return { level: 'error', text: `${event.forward}: failed. ${failureText(event.failure)}` };
    case 'listenRetrying':
      return { level: 'warning', text: `${event.forward}: ${againText(event, now)}` };
    case 'runningElsewhere':
      return info(`${event.forward}: ${event.state.kind} in another window`);
    case 'forwardClosed':
      return info(`${event.forward}: stopped listening`);
    case 'drained':
      return info(`${event.forward}: its last client has left`);
    case 'channelOpened':
      return undefined;
    case 'channelFailed':
      return { level: 'warning', text: `${event.forward}: ${failureText(event.failure)}` };
    case 'serverSaid':
      return info(`${event.connection}: ${event.host} said: ${event.text.replaceAll('\n', '\n  ')}`);
    case 'asked':
      return info(`${event.ask.connection}: waiting for an answer (${event.ask.kind})`);
    case 'askSettled':
      return undefined;
    case 'logged':
      return { level: event.level, text: event.text };
    case 'engineEnded':
      if (event.isRestarted) return { level: 'error', text: engineRestartedText(event.detail) };
      return { level: 'error', text: failureText(event) };
  }
}

/** `retrying (attempt 3 in 1.2 s). web01:22 refused …` */
function againText(event: EngineEvent & { kind: 'connectionLost' | 'listenRetrying' }, now: number): string {
  const seconds = Math.max(0, event.retryAt - now) / 1000;
  const wait = seconds < 10 ? seconds.toFixed(1) : Math.round(seconds);
  return `retrying (attempt ${event.attempt + 1} in ${wait} s). ${failureText(event.failure)}`;
}

function info(text: string): LogLine {
  return { level: 'info', text };
}
