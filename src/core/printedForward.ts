// The forwards in the lines that `ssh -G` prints.
import type { Endpoint, ForwardKind, ForwardSpec, Listen } from './forwardSpec.js';
import type { Options } from './sshConfig.js';

/**
 * The forwards of a host, local and dynamic ones in the order printed, then the remote ones. ssh has expanded the paths of
 * sockets already: what stands in them stays so.
 */
export function printedForwards(options: Options): ForwardSpec[] {
  return (['local', 'dynamic', 'remote'] as const).flatMap((kind) =>
    (options.get(`${kind}forward`) ?? []).flatMap((ends) => readEnds(kind, ends) ?? []),
  );
}

function readEnds(kind: ForwardKind, ends: string): ForwardSpec | undefined {
  if (kind === 'dynamic') {
    const listen = readListen(ends);
    return listen && { kind, listen };
  }
  const [, written, host, port] = /^(.*) \[(.*)\]:(\d+)$/s.exec(ends) ?? [];
  if (written !== undefined) {
    const listen = readListen(written);
    if (kind === 'remote' && host === 'socks' && port === '0')
      return listen && { kind, listen, target: { kind: 'socks' } };
    return listen && { kind, listen, target: { kind: 'tcp', host: host!, port: Number(port) } };
  }
  // A socket's path may have blanks; one that listens is parted from it where the next path begins.
  const [, from, to] = /^(\[.*?\]:\d+|\d+|.*?) ((?=\/|\\\\|[^ ]*$).*)$/s.exec(ends) ?? [];
  const listen = from === undefined ? undefined : readListen(from);
  const target: Endpoint = { kind: 'unix', path: asWritten(to ?? '') };
  return listen && { kind, listen, target };
}

function readListen(text: string): Listen | undefined {
  if (/^\d+$/.test(text)) return { kind: 'tcp', bind: undefined, port: Number(text) };
  const [, bind, port] = /^\[(.*)\]:(\d+)$/s.exec(text) ?? [];
  if (bind !== undefined) return { kind: 'tcp', bind, port: Number(port) };
  return text === '' ? undefined : { kind: 'unix', path: asWritten(text) };
}

function asWritten(path: string): string {
  return path.replaceAll('%', '%%');
}
