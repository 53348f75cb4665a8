// Tunnels to one host as a block of ssh_config.
import { quoteConfig } from './configWords.js';
import { printValue, type Destination } from './destination.js';
import { forwardWords, type ForwardSpec } from './forwardSpec.js';

/**
 * A `Host` block under `name`, else under the host's own. A forward whose port to listen on is `auto` becomes a comment,
 * since one that ssh can't read makes it refuse the whole file.
 */
export function printSshConfigBlock(
  { host, user, port, options = [] }: Destination,
  specs: readonly ForwardSpec[],
  name = host,
): string {
  const pattern = patternOf(name) || host;
  const hasHostName = options.some(([keyword]) => keyword === 'HostName');
  const settings: (readonly [keyword: string, value: string])[] = [
    ...(pattern === host || hasHostName ? [] : [['HostName', host.replaceAll('%', '%%')] as const]),
    ...(user === undefined ? [] : [['User', quoteConfig(user)] as const]),
    ...(port === undefined ? [] : [['Port', String(port)] as const]),
    ...options.map((option) => [option[0], printValue(option)] as const),
    ...specs.map((spec) => [keywordOf(spec), forwardWords(spec).map(quoteConfig).join(' ')] as const),
  ];
  return [`Host ${pattern}`, ...settings.map(([keyword, value]) => `  ${keyword} ${value}`)].join('\n') + '\n';
}

export interface ConfigGroup {
  destination: Destination;
  specs: readonly ForwardSpec[];
}

/**
 * A block for each destination, parted by an empty line. ssh takes together what several blocks of one name say, so a
 * further one of a host is named for its user or port as well, else by a number: `web01-bob`.
 */
export function printSshConfigBlocks(groups: readonly ConfigGroup[]): string {
  const fold = (name: string) => (patternOf(name) || name).toLowerCase();
  const hosts = new Set(groups.map(({ destination }) => fold(destination.host)));
  const taken = new Set<string>();
  const blocks = groups.map(({ destination, specs }) => {
    const { host, user, port } = destination;
    const isFree = (name: string) => !taken.has(fold(name)) && (name === host || !hosts.has(fold(name)));
    const own = [host, ...[user, port].flatMap((part) => (part === undefined ? [] : `${host}-${part}`))];
    let name = own.find(isFree);
    for (let number = 2; name === undefined; number++) if (isFree(`${host}-${number}`)) name = `${host}-${number}`;
    taken.add(fold(name));
    return printSshConfigBlock(destination, specs, name);
  });
  return blocks.join('\n');
}

/** Blanks would make several patterns of a name, the marks of patterns another one, and ssh refuses the rest in a host. */
function patternOf(name: string): string {
  return name.replace(/[\s\p{Cc}\p{Cf}*?!"'#,@`$\\;&<>|(){}]+/gu, '-').replace(/^-+|-+$/g, '');
}

const keywords = { local: 'LocalForward', remote: 'RemoteForward', dynamic: 'DynamicForward' } as const;

function keywordOf({ kind, listen }: ForwardSpec): string {
  const isAuto = kind !== 'remote' && listen.kind === 'tcp' && listen.port === 0;
  return isAuto ? `# choose a port: ${keywords[kind]}` : keywords[kind];
}
