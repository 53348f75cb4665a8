// Tunnels to one host as the ssh command that makes them.
import { printOptions, type Destination } from './destination.js';
import { printForward, printSpec, type ForwardSpec } from './forwardSpec.js';
import { quoteShell } from './shellWords.js';

/**
 * `ssh -N -L 127.0.0.1:5000:db:5432 -J bastion user@machine`, quoted for a POSIX shell. The port stands behind `-p`, since
 * ssh takes none behind a host's name. A port to listen on that is `auto` stays so, which ssh itself refuses. `configFile`:
 * the ssh_config file instead of the user's.
 */
export function printSshCommand(
  { host, user, port, options = [] }: Destination,
  specs: readonly ForwardSpec[],
  configFile?: string,
): string {
  return [
    'ssh',
    ...(configFile === undefined ? [] : [`-F ${quoteShell(configFile)}`]),
    '-N',
    ...specs.map((spec) => `${printSpec(spec).slice(0, 2)} ${quoteShell(printForward(spec))}`),
    ...(port === undefined ? [] : [`-p ${port}`]),
    ...printOptions(options),
    quoteShell(user === undefined ? host : `${user}@${host}`),
  ].join(' ');
}
