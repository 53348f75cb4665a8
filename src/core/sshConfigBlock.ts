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
  // Blanks would make several patterns of it, and the marks of patterns another one.
  const pattern = name.replace(/[\s\p{Cc}*?!"'#,]+/gu, '-').replace(/^-+|-+$/g, '') || host;
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

const keywords = { local: 'LocalForward', remote: 'RemoteForward', dynamic: 'DynamicForward' } as const;

function keywordOf({ kind, listen }: ForwardSpec): string {
  const isAuto = kind !== 'remote' && listen.kind === 'tcp' && listen.port === 0;
  return isAuto ? `# choose a port: ${keywords[kind]}` : keywords[kind];
}
