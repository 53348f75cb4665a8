import { dialHost, type DialContext } from '../../src/engine/dial.js';
import type { SshSession } from '../../src/engine/sshClient.js';
import { planned } from './engineProbe.js';

/** Dials a host of a config file by itself; a question would be a failure. */
export async function dialUnasked(
  alias: string,
  configFile: string,
  watch?: DialContext['watch'],
): Promise<SshSession> {
  const { host } = planned(alias, [], { configFile });
  const { session } = await dialHost(
    host,
    { abort: new AbortController(), cancelled: false },
    {
      ask: () => Promise.reject(new Error('nobody is asked')),
      memory: { secrets: new Map(), acceptedKeys: new Set() },
      log: () => {},
      ...(watch && { watch }),
    },
  );
  return session;
}
