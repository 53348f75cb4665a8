// Whether the target of a forward answers that another window runs: all that can be seen of it is what becomes of a client.
import { connect } from 'node:net';
import type { BoundAddress } from '../core/engine.js';
import { FailureError } from '../core/failure.js';

/** How long a client that isn't reset is taken for one whose target answered, once there is a connection, in milliseconds. */
const momentMs = 2_000;
const lookMs = 50;

/**
 * Connects to the listener and sends nothing; false when it is reset. `isIdle` tells whether the other window still has to
 * dial. Rejects with a FailureError of kind `cancelled` when it is called off.
 */
export function probeElsewhere(bound: BoundAddress, isIdle: () => boolean, calledOff?: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(bound.kind === 'unix' ? { path: bound.path } : { host: bound.address, port: bound.port });
    let waited = 0;
    const timer = setInterval(() => {
      waited = isIdle() ? 0 : waited + lookMs;
      if (waited >= momentMs) settle(() => resolve(true));
    }, lookMs);
    const settle = (then: () => void) => {
      clearInterval(timer);
      calledOff?.removeEventListener('abort', callOff);
      socket.destroy();
      then();
    };
    const callOff = () => settle(() => reject(new FailureError({ kind: 'cancelled' })));
    socket.on('error', () => {});
    // A target that has something to say is there.
    socket.once('data', () => settle(() => resolve(true)));
    socket.once('close', () => settle(() => resolve(false)));
    if (calledOff?.aborted) callOff();
    else calledOff?.addEventListener('abort', callOff);
  });
}
