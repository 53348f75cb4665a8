// Paths of Unix sockets on the server.
import { expandPath } from '../core/sshConfig.js';

/** Expands the %-tokens, as ssh does; `~` and `${NAME}` would be those of this machine. */
export function expandServerPath(path: string, tokens: Readonly<Record<string, string>>): string {
  return expandPath(path, tokens, { name: '', home: '~', hostName: '', env: {}, windows: false });
}
