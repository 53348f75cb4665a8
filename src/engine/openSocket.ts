// A TCP connection to a host: all addresses of its name, and again as often as ConnectionAttempts says.
import { lookup } from 'node:dns/promises';
import type { LookupAddress } from 'node:dns';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createReadBuffer } from './readBuffer.js';
import { FailureError, errorCode, type Failure } from '../core/failure.js';
import type { HostConfig } from '../core/sshConfig.js';

/** When the next address is tried besides, in milliseconds at most: the first one may be of a network that swallows everything. */
const nextAddressMs = 2500;
const nextAttemptMs = 1000;
/** What a connection takes to send before those who send have to wait, in bytes. */
const mostWaiting = 1024 * 1024;
/**
 * When an address that says nothing is asked by one more socket, in milliseconds, and by how many at once. A system asks again
 * at ever longer intervals: an address that nothing reached for a while would not hear of it for many seconds when it could.
 */
const againMs = 1500;
const mostSockets = 3;

/** A connected socket, with no-delay from the start. Throws a FailureError; each address may take ConnectTimeout, each time. */
export async function openSocket(config: HostConfig, abort: AbortSignal): Promise<Socket> {
  const addresses = await findAddresses(config, abort);
  for (let attempt = 1; ; attempt++) {
    try {
      return await connectToAny(addresses, config, abort);
    } catch (error) {
      if (abort.aborted || attempt >= config.connectionAttempts) throw error;
      await orCancelled(sleep(nextAttemptMs, undefined, { signal: abort }), abort);
    }
  }
}

/** What the work comes to, or a FailureError of kind cancelled; what comes later is discarded. */
export function orCancelled<T>(work: Promise<T>, abort: AbortSignal, discard?: (late: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = () => {
      reject(new FailureError({ kind: 'cancelled' }));
      if (discard) work.then(discard, () => {});
    };
    if (abort.aborted) cancel();
    else abort.addEventListener('abort', cancel);
    work.then(
      (value) => {
        abort.removeEventListener('abort', cancel);
        resolve(value);
      },
      (error: Error) => {
        abort.removeEventListener('abort', cancel);
        reject(error);
      },
    );
  });
}

interface Address {
  address: string;
  /** BindAddress as an address of the same family. */
  from?: string;
}

async function findAddresses(config: HostConfig, abort: AbortSignal): Promise<readonly Address[]> {
  const { hostName, port, addressFamily: family, bindAddress } = config;
  const find = async (name: string): Promise<LookupAddress[]> => {
    try {
      return await orCancelled(lookup(name, { all: true, family }), abort);
    } catch (error) {
      if (error instanceof FailureError) throw error;
      const code = errorCode(error);
      if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') throw new FailureError({ kind: 'hostNotFound', host: name });
      throw new FailureError({ kind: 'connectFailed', host: name, port, code });
    }
  };
  const addresses = await find(hostName);
  if (bindAddress === undefined) return addresses;
  const own = await find(bindAddress);
  const pairs = addresses.flatMap(({ address, family }) => {
    const from = own.find((one) => one.family === family)?.address;
    return from === undefined ? [] : [{ address, from }];
  });
  if (pairs.length === 0)
    throw new FailureError({ kind: 'connectFailed', host: hostName, port, code: 'EADDRNOTAVAIL' });
  return pairs;
}

/** Says nothing about the host: another address may. */
const noAnswer = ['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EINVAL'];

/** Stands among the system's codes for an address that said nothing within ConnectTimeout. */
const tooLate = 'ConnectTimeout';

/** What the addresses came to, by the first that tells something of the host. */
function connectFailure(codes: readonly string[], host: string, port: number, seconds: number): Failure {
  const code = codes.find((one) => !noAnswer.includes(one)) ?? codes[0]!;
  return code === tooLate
    ? { kind: 'connectTimeout', host, port, seconds }
    : { kind: 'connectFailed', host, port, code };
}

/** What is tried at one address. */
interface Trial {
  /** The first one stays up to ConnectTimeout, the others make room for newer ones. */
  sockets: Socket[];
  late: NodeJS.Timeout;
  again: NodeJS.Timeout;
}

/** The first of the addresses that answers; only the socket that is returned has anything to say to it. */
export function connectToAny(
  addresses: readonly Address[],
  { hostName: host, port, connectTimeout: seconds }: HostConfig,
  abort: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const trials = new Set<Trial>();
    const codes: string[] = [];
    const rest = [...addresses];
    let next: NodeJS.Timeout | undefined;
    let isSettled = false;
    const end = (trial: Trial, kept?: Socket) => {
      trials.delete(trial);
      clearTimeout(trial.late);
      clearInterval(trial.again);
      for (const socket of trial.sockets) if (socket !== kept) socket.destroy();
    };
    const settle = (outcome: Socket | FailureError) => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(next);
      abort.removeEventListener('abort', cancel);
      for (const trial of [...trials]) end(trial, outcome instanceof FailureError ? undefined : outcome);
      if (outcome instanceof FailureError) reject(outcome);
      else resolve(outcome);
    };
    const cancel = () => settle(new FailureError({ kind: 'cancelled' }));
    const failed = (trial: Trial, code: string) => {
      if (!trials.has(trial)) return;
      end(trial);
      codes.push(code);
      if (rest.length > 0) tryNext();
      else if (trials.size === 0) settle(new FailureError(connectFailure(codes, host, port, seconds)));
    };
    const addSocket = (trial: Trial, { address, from }: Address) => {
      const isFirst = trial.sockets.length === 0;
      if (trial.sockets.length === mostSockets) trial.sockets.splice(1, 1)[0]!.destroy();
      const reading = createReadBuffer();
      const socket = connect({
        host: address,
        port,
        ...(from !== undefined && { localAddress: from }),
        noDelay: true,
        // TCPKeepAlive, at the system's pace.
        keepAlive: true,
        onread: reading.onread,
        ...{ highWaterMark: mostWaiting },
      });
      reading.serve(socket);
      trial.sockets.push(socket);
      socket.on('error', (error) => {
        const code = errorCode(error);
        // What this machine has to say of one more socket is no reason to give up the first one.
        if (isFirst || code === 'ECONNREFUSED') failed(trial, code);
        else trial.sockets = trial.sockets.filter((one) => one !== socket);
      });
      socket.once('connect', () => settle(socket));
    };
    const tryNext = () => {
      clearTimeout(next);
      const address = rest.shift();
      if (!address || isSettled) return;
      const trial: Trial = {
        sockets: [],
        late: setTimeout(() => failed(trial, tooLate), seconds * 1000),
        again: setInterval(() => addSocket(trial, address), againMs),
      };
      trials.add(trial);
      addSocket(trial, address);
      if (rest.length > 0) next = setTimeout(tryNext, Math.min(nextAddressMs, seconds * 500));
    };
    if (abort.aborted) return cancel();
    abort.addEventListener('abort', cancel);
    tryNext();
  });
}
