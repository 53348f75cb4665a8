// The criteria of `Match` in ssh_config.
import { LineProblem } from './configKeywords.js';
import { cutWord } from './configLine.js';
import { matchesList, matchesNetworks } from './configPattern.js';
import type { LocalUser } from './sshConfig.js';

/** What is known of a connection when a `Match` is read. */
export interface MatchFacts {
  /** After HostName. */
  hostName: string;
  /** As typed. */
  original: string;
  user: string;
  localUser: LocalUser;
  tag: string;
  /** Whether the files are read again, for `final` and `canonical`. */
  isFinal: boolean;
  /** Asks for that. */
  wantFinal: () => void;
  addresses: () => readonly string[];
  /** The command with what its tokens stand for. */
  expand: (command: string, hostName: string) => string;
  /** `undefined`: no program is to be run. */
  run: (command: string) => Promise<boolean | undefined>;
}

/** The OpenSSH whose criteria these are. */
const version = 'OpenSSH_10.0';

/**
 * Whether the criteria hold, and what stands behind them that is none. An `exec` whose program is not to be run makes the
 * whole line not match, negated or not. Rejects with a LineProblem for what is no criterion.
 */
export async function matchConfig(text: string, facts: MatchFacts): Promise<{ matches: boolean; rest: string }> {
  const bad = (problem: string) => new LineProblem(`Bad Match condition (${problem})`);
  let rest: string | undefined = text;
  let matches = true;
  let count = 0;
  /** `undefined` at the end or a comment; an empty word is one. */
  const take = () => {
    const cut = rest === undefined ? undefined : cutWord(rest, true);
    rest = cut?.rest;
    return cut?.word;
  };
  for (let word = take(); word !== undefined && word !== ''; word = take()) {
    if (word.startsWith('#')) {
      rest = undefined;
      break;
    }
    const isNegated = word.startsWith('!');
    const criterion = word.slice(isNegated ? 1 : 0).toLowerCase();
    if (criterion === 'all') {
      const more = take();
      if (count > 1 || (more && !more.startsWith('#')))
        throw bad(`'${word}' cannot be combined with other Match attributes`);
      return { matches: matches && !isNegated, rest: more?.startsWith('#') ? '' : (rest ?? '') };
    }
    count++;
    const hold = (holds: boolean | undefined) => {
      if (holds === undefined || holds === isNegated) matches = false;
    };
    if (criterion === 'canonical' || criterion === 'final') {
      if (criterion === 'final') facts.wantFinal();
      hold(facts.isFinal);
      continue;
    }
    const argument = take();
    const mayBeEmpty = criterion === 'tagged' || criterion === 'command';
    if (argument === undefined || argument.startsWith('#') || (argument === '' && !mayBeEmpty))
      throw bad(`Missing Match criteria for ${criterion}`);
    switch (criterion) {
      case 'host':
        hold(matchesList(facts.hostName.toLowerCase(), argument.toLowerCase()));
        break;
      case 'originalhost':
        hold(matchesList(facts.original.toLowerCase(), argument.toLowerCase()));
        break;
      case 'user':
        hold(matchesList(facts.user, argument));
        break;
      case 'localuser':
        hold(matchesList(facts.localUser.name, argument));
        break;
      case 'localnetwork': {
        const found = matchesNetworks(facts.addresses(), argument);
        if (found === undefined) throw bad(`Invalid network entry "${argument}"`);
        hold(found);
        break;
      }
      case 'tagged':
        hold(facts.tag === '' ? argument === '' : matchesList(facts.tag, argument));
        break;
      case 'version':
        hold(matchesList(version, argument));
        break;
      case 'sessiontype':
        // A connection for forwards has neither a shell nor a command, as with -N.
        hold(matchesList('none', argument));
        break;
      case 'command':
        hold(argument === '' || matchesList('', argument));
        break;
      case 'exec': {
        // A program is run only if all before it holds; its tokens are looked at anyway.
        const command = facts.expand(argument, facts.hostName);
        if (matches) hold(await facts.run(command));
        break;
      }
      default:
        throw bad(`Unsupported Match attribute ${criterion}`);
    }
  }
  if (count === 0) throw bad('One or more attributes required for Match');
  return { matches, rest: rest ?? '' };
}
