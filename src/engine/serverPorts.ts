// What listens on a server, found out by its own programs.
import type { HostRequest } from '../core/plan.js';
import { readServerPorts, serverPortsCommand, type ServerPort } from '../core/serverPort.js';
import { dialHost, type JumpHosts } from './dial.js';
import type { SshSession } from './sshClient.js';

/** Asks over a session that is up. Throws a FailureError where the server runs no commands; one that is forced to run another has no ports. */
export async function listServerPorts(
  session: SshSession,
  log: (text: string) => void,
): Promise<readonly ServerPort[]> {
  const { stdout } = await session.exec(serverPortsCommand);
  const { tool, ports } = readServerPorts(stdout);
  log(tool ? `${ports.length} ports and sockets found by ${tool}` : 'nothing there tells what listens');
  return ports;
}

/** Asks over a session of its own, which ends with that. Nobody is asked anything. Throws a FailureError. */
export async function dialServerPorts(
  host: HostRequest,
  abort: AbortController,
  hops: JumpHosts,
  log: (text: string) => void,
): Promise<readonly ServerPort[]> {
  const { session } = await dialHost(
    { ...host, options: [['BatchMode', 'yes'], ...host.options] },
    { abort, cancelled: false },
    {
      ask: () => Promise.resolve({ kind: 'cancel' }),
      memory: { secrets: new Map(), acceptedKeys: new Set() },
      log,
      hops,
    },
  );
  const stop = () => void session.close();
  abort.signal.addEventListener('abort', stop);
  try {
    abort.signal.throwIfAborted();
    return await listServerPorts(session, log);
  } finally {
    abort.signal.removeEventListener('abort', stop);
    await session.close();
  }
}
