// An ssh that is run by an ssh, as tutorials have it: `ssh -L a:localhost:b m1 ssh -L b:db:80 m2`. Where a forward leads to
// the listener of the inner ssh, the two are one forward through a jump host.
import type { Destination } from './destination.js';
import { printSpec, type Endpoint, type ForwardSpec, type Listen } from './forwardSpec.js';
import { parseHostAddress, printHostAddress } from './hostAddress.js';
import { t } from './translate.js';
import { machineName } from './machine.js';
import { isLoopback } from './wording.js';

/** An ssh to run, and those that it shall run at its destination. */
export interface SshCall {
  destination: Destination;
  specs: readonly ForwardSpec[];
  inner: readonly SshCall[];
}

export interface PastedTunnel {
  destination: Destination;
  spec: ForwardSpec;
}

/** The tunnels that need no ssh elsewhere, and what is to be known of them. */
export function joinCalls({ destination, specs, inner }: SshCall): { tunnels: PastedTunnel[]; notes: string[] } {
  const below = inner.map(joinCalls);
  const notes = below.flatMap(({ notes }) => notes);
  const further = below.flatMap(({ tunnels }) => tunnels);
  const used = new Set<PastedTunnel>();
  const tunnels = specs.map((spec): PastedTunnel => {
    for (const tunnel of further) {
      const joined = joinSpecs(spec, tunnel.spec, destination);
      if (!joined) continue;
      used.add(tunnel);
      const through = throughHost(destination, tunnel.destination);
      notes.push(...through.notes);
      return { destination: through.destination, spec: joined };
    }
    return { destination, spec };
  });
  for (const tunnel of further) {
    const { spec } = tunnel;
    if (used.has(tunnel)) continue;
    const values = { forward: printSpec(spec), host: destination.host };
    notes.push(
      spec.kind === 'remote'
        ? t('{forward} is left out: it leads to {host}, where nothing of ours runs', values)
        : t('{forward} is left out: it listens on {host}, where nothing of ours runs', values),
    );
  }
  return { tunnels, notes };
}

/** One forward for two of which the outer ends where the inner begins, or the other way round for remote ones. */
function joinSpecs(outer: ForwardSpec, inner: ForwardSpec, host: Destination): ForwardSpec | undefined {
  if (outer.kind === 'local' && inner.kind !== 'remote')
    return meets(outer.target, inner.listen, host) ? { ...inner, listen: outer.listen } : undefined;
  if (outer.kind === 'remote' && inner.kind === 'remote' && inner.target.kind !== 'socks')
    return meets(inner.target, outer.listen, host) ? { ...outer, listen: inner.listen } : undefined;
  return undefined;
}

/** Whether a target, as `host` sees it, is a listener on `host`. */
function meets(target: Endpoint, listen: Listen, { host, options = [] }: Destination): boolean {
  if (target.kind === 'unix' || listen.kind === 'unix')
    return target.kind === 'unix' && listen.kind === 'unix' && target.path === listen.path;
  if (target.port !== listen.port) return false;
  const name = target.host.toLowerCase();
  const bind = (listen.bind ?? 'localhost').toLowerCase();
  if (name === bind) return true;
  const names = [host, ...options.flatMap(([keyword, value]) => (keyword === 'HostName' ? [value] : []))];
  const isOwn = names.some((own) => own.toLowerCase() === name);
  const isAll = ['', '*', '0.0.0.0', '::'].includes(bind);
  if (isOwn) return isAll || isLoopback(bind);
  return isLoopback(name) && (isAll || (isLoopback(bind) && (name === 'localhost' || bind === 'localhost')));
}

/** What of the inner way was meant for the machine that ran it. */
const foreign = ['IdentityFile', 'IdentityAgent', 'BindAddress', 'AddressFamily', 'ProxyJump'];

/** The inner destination with the outer one as its jump host. */
function throughHost(outer: Destination, inner: Destination): { destination: Destination; notes: string[] } {
  const { options: outerOptions = [], ...hop } = outer;
  const { options: innerOptions = [], ...address } = inner;
  const between = jumpsOf(innerOptions);
  const jumps = [...jumpsOf(outerOptions), printHostAddress(hop), ...between].join(',');
  const kept = innerOptions.filter(([keyword]) => !foreign.includes(keyword));
  const next = parseHostAddress(between.join(',').split(',')[0]!);
  const notes = [
    t('{host} is looked up by {host2}', { host: next.ok ? next.address.host : inner.host, host2: outer.host }),
  ];
  for (const [keyword, value] of innerOptions)
    if (keyword === 'IdentityFile' || keyword === 'IdentityAgent')
      notes.push(
        t('{keyword} {value} is left out: it is on {host}, and {machine} logs in to {host2} itself', {
          machine: machineName(),
          keyword,
          value,
          host: outer.host,
          host2: inner.host,
        }),
      );
  for (const [keyword, value] of outerOptions)
    if (keyword !== 'ProxyJump')
      notes.push(
        t('{keyword} {value} is left out: for a jump host such as {host} it is set in ssh_config', {
          keyword,
          value,
          host: outer.host,
        }),
      );
  return { destination: { ...address, options: [['ProxyJump', jumps], ...kept] }, notes };
}

function jumpsOf(options: Destination['options'] = []): string[] {
  return options.flatMap(([keyword, value]) => (keyword === 'ProxyJump' && value !== 'none' ? [value] : []));
}
