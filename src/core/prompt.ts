// The words of the questions that only a person can answer: a host's key, a secret, the first start of a workspace's preset.
import { printDestination } from './destination.js';
import type { Ask } from './engine.js';
import { scopeText } from './present.js';
import type { Preset } from './preset.js';
import { accessText, askedAccess, effectText, hostPort, listenText, targetText } from './wording.js';

export interface Prompt {
  title: string;
  detail: string;
}

export function hostKeyPrompt({ connection, host, keyType, fingerprint, known }: Ask & { kind: 'hostKey' }): Prompt {
  // What the user typed, and what it came to in ssh_config.
  const name = connection === host ? host : `${connection} (${host})`;
  const shown = `It shows this ${keyType} key:\n${fingerprint}`;
  if (known.length === 0)
    return {
      title: `Connect to ${name} for the first time?`,
      detail: `${shown}\n\nCompare it with what the server’s administrator gave you.`,
    };
  const others = known.map((other) => `${other.keyType} (line ${other.line} of ${other.file})`).join(', ');
  return {
    title: `${name} shows a key that is not known. Connect all the same?`,
    detail: `${shown}\n\nOther keys of this host are known: ${others}. Somebody may be listening in, or the server was set up anew. Accept only if the server’s administrator gave you this very key.`,
  };
}

/** `detail` says why it is asked for; whether it will be remembered is added by who asks. */
export function secretPrompt(ask: Ask & { kind: 'passphrase' | 'password' }): Prompt {
  const again = ask.attempt > 1 ? 'The last one was wrong. ' : '';
  switch (ask.kind) {
    case 'passphrase':
      return { title: `Passphrase of ${ask.path}`, detail: `${again}Unlocks the key to connect to ${ask.connection}.` };
    case 'password':
      return {
        title: `Password of ${ask.user} on ${hostPort(ask.host, ask.port)}`,
        detail: `${again}Logs in to connect to ${ask.connection}.`,
      };
  }
}

/** Said when the box of a secret has gone without an answer. */
export function waitingText(ask: Ask & { kind: 'passphrase' | 'password' }): string {
  const { title } = secretPrompt(ask);
  return `${ask.connection} waits for the ${title.charAt(0).toLowerCase()}${title.slice(1)}.`;
}

/** Asked once before a forward is opened to the network. */
export function networkPrompt({ connection, spec, addresses }: Ask & { kind: 'openToNetwork' }): Prompt {
  const where = spec.kind === 'remote' ? connection : 'this machine';
  const bound = addresses.length > 0 ? ` (${addresses.join(', ')})` : '';
  return {
    title: `Open ${listenText(spec.listen)} on ${where} to the network?`,
    detail: `Everyone on the network who reaches ${where}${bound} can then connect to ${targetText(spec)}, without a password of yours. To keep it to ${where} itself, leave out the bind address or write localhost.\n\nYou are asked once for this forward.`,
  };
}

/** What starting a preset that came with the workspace means. */
export function consentPrompt({ name, scope, destination, forwards, autoStart }: Preset): Prompt {
  const host = printDestination(destination);
  const opens = forwards.map((spec) => {
    const access = accessText(askedAccess(spec), spec.kind === 'remote' ? host : undefined);
    return `• ${effectText(spec, host)}\n   Who can connect: ${access}`;
  });
  return {
    title: `Start “${name}” from ${scopeText(scope)}?`,
    detail: `It connects to ${host} over SSH with your keys and opens:\n${opens.join('\n')}\n\n${autoStart ? 'It will start with this workspace from now on. ' : ''}You are asked once, and again when it has changed.`,
  };
}
