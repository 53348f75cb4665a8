// What a pasted ssh command says that is neither about forwards nor about the way to the host: a phrase for each.

/** Why an option of ssh(1) has no effect here; those that need no reason have none. */
const reasons: Readonly<Record<string, string>> = {
  A: 'no agent is forwarded',
  B: 'the system chooses the network interface',
  C: 'nothing is compressed',
  c: 'ciphers are set in ssh_config',
  E: 'this extension has its own log',
  F: 'ssh_config counts all the same; the setting “sshTunnels.sshConfigFile” names the file',
  I: 'keys of PKCS#11 devices are offered by an agent only',
  K: 'no credentials are forwarded',
  M: 'tunnels to one host share a connection anyway',
  m: 'MACs are set in ssh_config',
  S: 'tunnels to one host share a connection anyway',
  t: 'there is no terminal',
  W: 'no terminal is connected to a port',
  w: 'no network devices (tun) are made',
  X: 'no X11 is forwarded',
  Y: 'no X11 is forwarded',
};

const settingReasons: readonly [RegExp, string][] = [
  [/^(strict|hash)|knownhosts|hostkey|^checkhostip$|^nohostauth|^casignature/i, 'host keys are always checked'],
  [/^control|^tunnel/i, 'tunnels to one host share a connection anyway'],
  [/^(forward(agent|x11)|sendenv|setenv|requesttty|remotecommand|sessiontype|permitlocalcommand|localcommand)/i, 'there is no shell'], // prettier-ignore
  [/^batchmode$/i, 'you are asked when there is something to ask'],
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

function withReason(what: string, reason: string | undefined): string {
  return reason === undefined ? what : `${what} (${reason})`;
}
