// The words of the questions that only a person can answer: a host's key, a secret, the first start of a workspace's preset.
import { printDestination } from './destination.js';
import type { Ask, HostKeyHint } from './engine.js';
import { machineName } from './machine.js';
import { scopeText } from './present.js';
import type { Preset } from './preset.js';
import { printable } from './printable.js';
import { t } from './translate.js';
import { accessText, askedAccess, effectText, hostPort, listOf, targetText } from './wording.js';

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
      : [
          t('Its certificate is by an authority that is not known for it: {authority}. So the key counts alone.', {
            authority,
          }),
        ];
  const places = (kind: HostKeyHint['kind'], text: (hint: HostKeyHint) => string) =>
    known
      .filter((hint) => hint.kind === kind)
      .map((hint) => t('{text} (line {line} of {file})', { text: text(hint), line: hint.line, file: hint.file }));
  const authorities = places('authority', (hint) =>
    hint.hosts
      ? t('{key} for {hosts}', { key: keyTypeText(hint.keyType), hosts: printable(hint.hosts) })
      : t('{key} for it', { key: keyTypeText(hint.keyType) }),
  );
  const addresses = places('address', (hint) =>
    t('{hosts} with {key}', { hosts: hint.hosts, key: keyTypeText(hint.keyType) }),
  );
  const names = places('otherName', (hint) => printable(hint.hosts));
  const isStrange = authorities.length + addresses.length > 0;
  return {
    title: isStrange
      ? t('{name} shows a key that is not expected. Connect all the same?', { name })
      : t('Connect to {name} for the first time?', { name }),
    detail: [
      t('It shows {key}:\n{fingerprint}', { key: keyTypeText(keyType), fingerprint }),
      ...certificate,
      ...(authorities.length > 0
        ? [
            t(
              'A certificate of an authority was expected: {authorities}. Somebody may be in between, or the server was set up anew.',
              { authorities: authorities.join(', ') },
            ),
          ]
        : []),
      ...(addresses.length > 0
        ? [
            t(
              'Its address is known with another key: {addresses}. The name may lead to a wrong machine, or the address was given to another one.',
              { addresses: addresses.join(', ') },
            ),
          ]
        : []),
      ...(names.length > 0 ? [t('The same key is known as {names}.', { names: names.join(', ') })] : []),
      isStrange
        ? t('Accept only if the server’s administrator gave you this very key.')
        : t('Compare it with what the server’s administrator gave you.'),
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
  if (curve !== undefined) return t('an ECDSA key (P-{curve})', { curve });
  if (type === 'ssh-ed25519') return t('an Ed25519 key');
  return type === 'ssh-rsa' ? t('an RSA key') : t('a key of type {type}', { type: printable(type) });
}

/** `detail` says why it is asked for; whether it will be remembered is added by who asks. */
export function secretPrompt(ask: Ask & { kind: 'passphrase' | 'password' }): Prompt {
  const again = ask.attempt > 1 ? [t('The last one was wrong.')] : [];
  switch (ask.kind) {
    case 'passphrase':
      return {
        title: t('Passphrase of {path}', { path: ask.path }),
        detail: [
          ...again,
          t('Unlocks the key to connect to {connection}. Leave it empty to go on without this key.', {
            connection: ask.connection,
          }),
        ].join(' '),
      };
    case 'password':
      return {
        title: t('Password of {user} on {address}', { user: ask.user, address: hostPort(ask.host, ask.port) }),
        detail: [...again, loginPurpose(ask)].join(' '),
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
  return alias === undefined || alias === connection
    ? t('Logs in to connect to {connection}.', { connection })
    : t('Logs in to {alias} to connect to {connection}.', { alias, connection });
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
    const address = hostPort(host, port);
    return {
      title:
        prompts.length > 1
          ? t('Log in as {user} on {address} ({number} of {count})', {
              user,
              address,
              number: index + 1,
              count: prompts.length,
            })
          : t('Log in as {user} on {address}', { user, address }),
      detail: [
        ...(attempt > 1 ? [t('It asks again: the last try was refused.')] : []),
        loginPurpose(ask),
        t('The server says: “{said}”', { said }),
      ].join(' '),
      question,
      isHidden: !echo,
    };
  });
}

/** Said when the box of a secret has gone without an answer. */
export function waitingText(ask: Ask & { kind: 'passphrase' | 'password' | 'interactive' }): string {
  if (ask.kind === 'interactive')
    return t('{connection} waits for your answer to log in as {user} on {address}.', {
      connection: ask.connection,
      user: ask.user,
      address: hostPort(ask.host, ask.port),
    });
  const { connection } = ask;
  return ask.kind === 'passphrase'
    ? t('{connection} waits for the passphrase of {path}.', { connection, path: ask.path })
    : t('{connection} waits for the password of {user} on {address}.', {
        connection,
        user: ask.user,
        address: hostPort(ask.host, ask.port),
      });
}

/** Asked once before a forward is opened to the network. */
export function networkPrompt({ spec, connection, addresses }: NetworkAsk): Prompt {
  const isRemote = spec.kind === 'remote';
  const machine = isRemote ? connection : machineName();
  const { listen } = spec;
  const through = isRemote ? machineName() : connection;
  const isProxy = spec.kind === 'dynamic' || spec.target.kind === 'socks';
  const isWritten = listen.kind === 'unix' || listen.bind !== undefined;
  return {
    title:
      listen.kind === 'unix'
        ? t('Open {path} on {machine} to the network?', { path: listen.path, machine })
        : listen.port === 0
          ? t('Open a free port on {machine} to the network?', { machine })
          : t('Open port {port} on {machine} to the network?', { port: listen.port, machine }),
    detail: `${[
      ...(addresses.length > 0 ? [t('It will listen on {addresses}.', { addresses: listOf(addresses) })] : []),
      isProxy
        ? t('Everyone on the network who reaches {machine} could then connect to everything that {through} reaches.', {
            machine,
            through,
          })
        : t('Everyone on the network who reaches {machine} could then connect to {target} through {through}.', {
            machine,
            target: targetText(spec),
            through,
          }),
      ...(isRemote ? [] : [t('They need no login: it is yours on {connection} that is used.', { connection })]),
      isWritten
        ? t('To keep it to {machine} itself, leave out the bind address or write localhost.', { machine })
        : t(
            'ssh_config asks for it (GatewayPorts yes). To keep it to {machine} itself, write localhost as the bind address.',
            { machine },
          ),
    ].join(' ')}\n\n${t('You are asked once for this forward.')}`,
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
  const [name, ...more] = tunnelNames;
  const through = name !== undefined && more.length === 0 ? name : t('{count} tunnels', { count: tunnelNames.length });
  const cut = t('A transfer that is under way breaks off');
  return {
    title:
      count === 1
        ? t('1 connection is open through {tunnels}. Let it finish?', { tunnels: through })
        : t('{count} connections are open through {tunnels}. Let them finish?', { count, tunnels: through }),
    detail: t('New connections are refused at once either way.'),
    choices:
      count === 1
        ? [
            { how: 'drain', label: t('Let It Finish'), description: t('It goes on to the end') },
            { how: 'stop', label: t('Cut It Now'), description: cut },
          ]
        : [
            { how: 'drain', label: t('Let Them Finish'), description: t('They go on to the end') },
            { how: 'stop', label: t('Cut Them Now'), description: cut },
          ],
  };
}

function afterwards({ afterOpen, terminalVariables }: Preset): string[] {
  return [
    ...(afterOpen === 'browser' ? [t('When you start it, its address is opened in the browser.')] : []),
    ...(afterOpen === 'simpleBrowser' ? [t('When you start it, its address is opened in the Simple Browser.')] : []),
    ...(afterOpen === 'copy' ? [t('When you start it, its address is copied to the clipboard.')] : []),
    ...(terminalVariables ? [t('New terminals are told its ports.')] : []),
  ];
}

/** What starting a preset that came with the workspace means. */
export function consentPrompt(preset: Preset, place = scopeText(preset.scope)): Prompt {
  const { name, destination, forwards, autoStart } = preset;
  const host = printDestination(destination);
  const opens = forwards.map((spec) => {
    const access = accessText(askedAccess(spec), spec.kind === 'remote' ? host : machineName(), spec.listen.kind);
    return `• ${effectText(spec, host)}\n   ${t('Who can connect: {who}', { who: access })}`;
  });
  return {
    title: t('Start “{name}” from {scope}?', { name, scope: place }),
    detail: [
      [t('It connects to {host} over SSH with your keys and opens:', { host }), ...opens].join('\n'),
      [
        ...afterwards(preset),
        ...(autoStart ? [t('It will start with this workspace from now on.')] : []),
        t('You are asked once, and again when it has changed.'),
      ].join(' '),
    ].join('\n\n'),
  };
}
