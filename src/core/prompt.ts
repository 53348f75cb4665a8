// The words of the questions that only a person can answer: a host's key, a secret, the first start of a workspace's preset.
import { printDestination } from './destination.js';
import type { Ask, HostKeyHint } from './engine.js';
import { machineName } from './machine.js';
import { scopeText } from './present.js';
import type { Preset } from './preset.js';
import { printable } from './printable.js';
import { accessText, askedAccess, effectText, hostPort, targetText } from './wording.js';

export interface Prompt {
  title: string;
  detail: string;
}

export function hostKeyPrompt(ask: Ask & { kind: 'hostKey' }): Prompt {
  const { connection, host, keyType, fingerprint, authority, known } = ask;
  // What the user typed, and what it came to in ssh_config.
  const name = connection === host ? host : `${connection} (${host})`;
  const certificate =
    authority === undefined
      ? []
      : [`Its certificate is by an authority that is not known for it: ${authority}. So the key counts alone.`];
  const places = (kind: HostKeyHint['kind'], text: (hint: HostKeyHint) => string) =>
    known.filter((hint) => hint.kind === kind).map((hint) => `${text(hint)} (line ${hint.line} of ${hint.file})`);
  const authorities = places(
    'authority',
    (hint) => `${keyTypeText(hint.keyType)} for ${printable(hint.hosts || 'it')}`,
  );
  const addresses = places('address', (hint) => `${hint.hosts} with ${keyTypeText(hint.keyType)}`);
  const names = places('otherName', (hint) => printable(hint.hosts));
  const isStrange = authorities.length + addresses.length > 0;
  return {
    title: isStrange
      ? `${name} shows a key that is not expected. Connect all the same?`
      : `Connect to ${name} for the first time?`,
    detail: [
      `It shows ${keyTypeText(keyType)}:\n${fingerprint}`,
      ...certificate,
      ...(authorities.length > 0
        ? [
            `A certificate of an authority was expected: ${authorities.join(', ')}. Somebody may be in between, or the server was set up anew.`,
          ]
        : []),
      ...(addresses.length > 0
        ? [
            `Its address is known with another key: ${addresses.join(', ')}. The name may lead to a wrong machine, or the address was given to another one.`,
          ]
        : []),
      ...(names.length > 0 ? [`The same key is known as ${names.join(', ')}.`] : []),
      isStrange
        ? 'Accept only if the server’s administrator gave you this very key.'
        : 'Compare it with what the server’s administrator gave you.',
    ].join('\n\n'),
  };
}

/** The key's picture with what it is of, for letters of one width. */
export function keyPicture({ host, fingerprint, art }: Ask & { kind: 'hostKey' }): string {
  return `${host}\n${fingerprint}\n${art}\n`;
}

/** `an Ed25519 key` */
export function keyTypeText(type: string): string {
  const [, curve] = /^ecdsa-sha2-nistp(\d+)$/.exec(type) ?? [];
  if (curve !== undefined) return `an ECDSA key (P-${curve})`;
  if (type === 'ssh-ed25519') return 'an Ed25519 key';
  return type === 'ssh-rsa' ? 'an RSA key' : `a key of type ${printable(type)}`;
}

/** `detail` says why it is asked for; whether it will be remembered is added by who asks. */
export function secretPrompt(ask: Ask & { kind: 'passphrase' | 'password' }): Prompt {
  const again = ask.attempt > 1 ? 'The last one was wrong. ' : '';
  switch (ask.kind) {
    case 'passphrase':
      return {
        title: `Passphrase of ${ask.path}`,
        detail: `${again}Unlocks the key to connect to ${ask.connection}. Leave it empty to go on without this key.`,
      };
    case 'password':
      return {
        title: `Password of ${ask.user} on ${hostPort(ask.host, ask.port)}`,
        detail: `${again}${loginPurpose(ask)}`,
      };
  }
}

export interface RoundPrompt extends Prompt {
  /** The server's own words. */
  question: string;
  /** What is typed may not be seen. */
  isHidden: boolean;
}

/** Says to which of several hosts it logs in. */
function loginPurpose({ connection, alias }: Ask & { kind: 'password' | 'interactive' }): string {
  const which = alias === undefined || alias === connection ? '' : ` to ${alias}`;
  return `Logs in${which} to connect to ${connection}.`;
}

/** Longer words of a server would push ours out of sight. */
const mostQuoted = 300;

/** A server's words in one line, which can’t end the quotation marks that they stand in. */
export function quotable(text: string): string {
  const line = text.split('\n').map((part) => part.trim()).filter((part) => part !== '').join(' '); // prettier-ignore
  const plain = line.replace(/["“”„‟«»″＂❝❞〝〞〟]/g, '’');
  return plain.length > mostQuoted ? `${plain.slice(0, mostQuoted - 1).replace(/[\uD800-\uDBFF]$/, '')}…` : plain;
}

/** One for each prompt of a round; what the server says is told apart from what we say. */
export function roundPrompts(ask: Ask & { kind: 'interactive' }): RoundPrompt[] {
  const { user, host, port, prompts, attempt } = ask;
  return prompts.map(({ text, echo }, index) => {
    const question = quotable(text);
    // The question is what matters most, and stands in the box as well.
    const said = quotable([ask.name, ask.instruction, question].join('\n'));
    const again = attempt > 1 ? 'It asks again: the last try was refused. ' : '';
    const count = prompts.length > 1 ? ` (${index + 1} of ${prompts.length})` : '';
    return {
      title: `Log in as ${user} on ${hostPort(host, port)}${count}`,
      detail: `${again}${loginPurpose(ask)} The server says: “${said}”`,
      question,
      isHidden: !echo,
    };
  });
}

/** Said when the box of a secret has gone without an answer. */
export function waitingText(ask: Ask & { kind: 'passphrase' | 'password' | 'interactive' }): string {
  if (ask.kind === 'interactive')
    return `${ask.connection} waits for your answer to log in as ${ask.user} on ${hostPort(ask.host, ask.port)}.`;
  const { title } = secretPrompt(ask);
  return `${ask.connection} waits for the ${title.charAt(0).toLowerCase()}${title.slice(1)}.`;
}

/** Asked once before a forward is opened to the network. */
export function networkPrompt({ spec, connection, addresses }: NetworkAsk): Prompt {
  const isRemote = spec.kind === 'remote';
  const machine = isRemote ? connection : machineName();
  const { listen } = spec;
  const place = listen.kind === 'unix' ? listen.path : listen.port === 0 ? 'a free port' : `port ${listen.port}`;
  const binds = addresses.length > 0 ? `It will listen on ${addresses.join(' and ')}. ` : '';
  const [through, login] = isRemote
    ? [machineName(), '']
    : [connection, ` They need no login: it is yours on ${connection} that is used.`];
  const isProxy = spec.kind === 'dynamic' || spec.target.kind === 'socks';
  const use = isProxy
    ? `connect to everything that ${through} reaches`
    : `connect to ${targetText(spec)} through ${through}`;
  const isWritten = listen.kind === 'unix' || listen.bind !== undefined;
  const keep = isWritten
    ? `To keep it to ${machine} itself, leave out the bind address or write localhost.`
    : `ssh_config asks for it (GatewayPorts yes). To keep it to ${machine} itself, write localhost as the bind address.`;
  return {
    title: `Open ${place} on ${machine} to the network?`,
    detail: `${binds}Everyone on the network who reaches ${machine} could then ${use}.${login} ${keep}\n\nYou are asked once for this forward.`,
  };
}

type NetworkAsk = Ask & { kind: 'openToNetwork' };

/**
 * What a permission to open a forward to the network is remembered by. It holds when the machine's own addresses change,
 * and not when all of them are to be bound instead of some.
 */
export function networkConsentKey({ forward, addresses }: NetworkAsk): string {
  const isAll = addresses.length === 0 || addresses.some((address) => address === '0.0.0.0' || address === '::');
  return `${forward} on ${isAll ? 'all' : 'some'} addresses`;
}

export interface StopPrompt extends Prompt {
  /** `how` is for `stopTunnels`; the first does no harm. */
  choices: readonly { how: 'drain' | 'stop'; label: string; description: string }[];
}

/** Asked before tunnels are stopped that `count` connections, at least one, are open through. */
export function stopPrompt(tunnelNames: readonly string[], count: number): StopPrompt {
  const isOne = count === 1;
  const it = isOne ? 'It' : 'Them';
  const [name, ...more] = tunnelNames;
  const through = name !== undefined && more.length === 0 ? name : `${tunnelNames.length} tunnels`;
  return {
    title: `${isOne ? '1 connection is' : `${count} connections are`} open through ${through}. Let ${it.toLowerCase()} finish?`,
    detail: 'New connections are refused at once either way.',
    choices: [
      { how: 'drain', label: `Let ${it} Finish`, description: `${isOne ? 'It goes' : 'They go'} on to the end` },
      { how: 'stop', label: `Cut ${it} Now`, description: 'A transfer that is under way breaks off' },
    ],
  };
}

/** What starting a preset that came with the workspace means. */
export function consentPrompt({ name, scope, destination, forwards, autoStart }: Preset): Prompt {
  const host = printDestination(destination);
  const opens = forwards.map((spec) => {
    const access = accessText(askedAccess(spec), spec.kind === 'remote' ? host : machineName(), spec.listen.kind);
    return `• ${effectText(spec, host)}\n   Who can connect: ${access}`;
  });
  return {
    title: `Start “${name}” from ${scopeText(scope)}?`,
    detail: `It connects to ${host} over SSH with your keys and opens:\n${opens.join('\n')}\n\n${autoStart ? 'It will start with this workspace from now on. ' : ''}You are asked once, and again when it has changed.`,
  };
}
