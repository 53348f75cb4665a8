// What a pasted ssh command says that is neither about forwards nor about the way to the host: a phrase for each.
import { t } from './translate.js';

/** Why an option of ssh(1) has no effect here; those that need no reason have none. */
const reasons: Readonly<Record<string, () => string>> = {
  A: () => t('no agent is forwarded'),
  B: () => t('the system chooses the network interface'),
  C: () => t('nothing is compressed'),
  c: () => t('ciphers are set in ssh_config'),
  E: () => t('this extension has its own log'),
  F: () => t('ssh_config counts all the same; the setting “sshTunnels.sshConfigFile” names the file'),
  I: () => t('keys of PKCS#11 devices are offered by an agent only'),
  K: () => t('no credentials are forwarded'),
  M: () => t('tunnels to one host share a connection anyway'),
  m: () => t('MACs are set in ssh_config'),
  S: () => t('tunnels to one host share a connection anyway'),
  t: () => t('there is no terminal'),
  W: () => t('no terminal is connected to a port'),
  w: () => t('no network devices (tun) are made'),
  X: () => t('no X11 is forwarded'),
  Y: () => t('no X11 is forwarded'),
};

const settingReasons: readonly [RegExp, () => string][] = [
  [
    /^(strict|hash)|knownhosts|hostkey|^checkhostip$|^nohostauth|^casignature/i,
    () => t('host keys are always checked'),
  ],
  [/^control|^tunnel/i, () => t('tunnels to one host share a connection anyway')],
  [/^(forward(agent|x11)|sendenv|setenv|requesttty|remotecommand|sessiontype|permitlocalcommand|localcommand)/i, () => t('there is no shell')], // prettier-ignore
  [/^batchmode$/i, () => t('you are asked when there is something to ask')],
];

/** `-N`, `-A (no agent is forwarded)`. */
export function ignoredOption(letter: string, value: string | undefined): string {
  return withReason(`-${letter}${value === undefined ? '' : ` ${value}`}`, reasons[letter]);
}

/** `-o StrictHostKeyChecking=no (host keys are always checked)`. */
export function ignoredSetting(keyword: string, value: string): string {
  const reason = settingReasons.find(([pattern]) => pattern.test(keyword))?.[1];
  return withReason(`-o ${keyword}=${value}`, reason);
}

function withReason(what: string, reason: (() => string) | undefined): string {
  return reason === undefined ? what : `${what} (${reason()})`;
}
