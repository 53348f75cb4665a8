// A TCP connection to a host: all addresses of its name, and again as often as ConnectionAttempts says.
import { lookup } from 'node:dns/promises';
import type { LookupAddress } from 'node:dns';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { FailureError, errorCode } from '../core/failure.js';
import type { HostConfig } from '../core/sshConfig.js';

/** When the next address is tried besides, in milliseconds: the first one may be of a network that swallows everything. */
const nextAddressMs = 2500;
const nextAttemptMs = 1000;

/** A connected socket, with no-delay from the start. Throws a FailureError; each attempt may take ConnectTimeout. */
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

/** The first of the addresses that answers. */
export function connectToAny(
  addresses: readonly Address[],
  { hostName: host, port, connectTimeout: seconds }: HostConfig,
  abort: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const trying = new Set<Socket>();
    const codes: string[] = [];
    const rest = [...addresses];
    let next: NodeJS.Timeout | undefined;
    let isSettled = false;
    const settle = (outcome: Socket | FailureError) => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(next);
      clearTimeout(late);
      abort.removeEventListener('abort', cancel);
      for (const socket of trying) if (socket !== outcome) socket.destroy();
      if (outcome instanceof FailureError) reject(outcome);
      else resolve(outcome);
    };
    const cancel = () => settle(new FailureError({ kind: 'cancelled' }));
    const late = setTimeout(
      () => settle(new FailureError({ kind: 'connectTimeout', host, port, seconds })),
      seconds * 1000,
    );
    const tryNext = () => {
      clearTimeout(next);
      const address = rest.shift();
      if (!address || isSettled) return;
      const { from } = address;
      const socket = connect({
        host: address.address,
        port,
        ...(from !== undefined && { localAddress: from }),
        noDelay: true,
        // TCPKeepAlive, at the system's pace.
        keepAlive: true,
      });
      trying.add(socket);
      socket.on('error', (error) => {
        if (!trying.delete(socket)) return;
        codes.push(errorCode(error));
        const code = codes.find((one) => !noAnswer.includes(one)) ?? codes[0]!;
        if (rest.length === 0 && trying.size === 0)
          settle(new FailureError({ kind: 'connectFailed', host, port, code }));
        else tryNext();
      });
      socket.once('connect', () => settle(socket));
      if (rest.length > 0) next = setTimeout(tryNext, nextAddressMs);
    };
    if (abort.aborted) return cancel();
    abort.addEventListener('abort', cancel);
    tryNext();
  });
}
