// ProxyCommand, which runs a program, where it only does what ProxyJump does: older tutorials know no other way.
import { addToWay, isWayOption, type Way } from './destinationOption.js';
import { printHostAddress } from './hostAddress.js';
import { joinWords, splitShell, type Word } from './shellWords.js';
import { readSshWords } from './sshWords.js';

/** The jump host of `ssh -W %h:%p bastion` and `ssh bastion nc %h %p`; `undefined` for any other command. */
export function jumpOfProxyCommand(command: Word): string | undefined {
  const split = splitShell(command);
  if (!split.ok) return undefined;
  const words = split.tokens.flatMap((token) => (token.kind === 'word' ? token.word : []));
  if (words.length < split.tokens.length || words[0]?.text !== 'ssh') return undefined;
  const { items, command: relay } = readSshWords(words.slice(1));
  let way: Way = {};
  let isRelayed = /^(nc|netcat|ncat)( -w ?\d+)? %h %p$/.test(joinWords(relay).text);
  for (const item of items) {
    if (item.kind === 'option' && item.letter === 'W') isRelayed = /^(%h|\[%h\]):%p$/.test(item.value?.text ?? '');
    else if (item.kind === 'host' || isWayOption(item.letter)) {
      const added = addToWay(way, item);
      if (!added.ok) return undefined;
      way = added.way;
    } else if (!'qTaxn'.includes(item.letter)) return undefined;
  }
  const { host, options, ...rest } = way;
  return isRelayed && host !== undefined && !options ? printHostAddress({ host, ...rest }) : undefined;
}
