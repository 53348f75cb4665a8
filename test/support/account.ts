// Another account than the system's for whoever runs the tests, in the eyes of a server: nss_wrapper tells it so.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

const library = 'libnss_wrapper.so';

/** The Debian package that it takes. */
export const accountPackage = 'libnss-wrapper';

export const accountPassword = 'Correct-Horse-7';
/** Of the password, as crypt(5) has it. */
const hash = '$5$rounds=1000$tunnels$/Qav50yx2xbyo5ux8SxlqjW3OBjjwo0.tLPNg4MSRt8';

/** Why there can be no such account here; nothing where there can. */
export function whyNoAccount(): string | undefined {
  if (process.platform !== 'linux') return 'another account can be pretended on Linux alone';
  // The loader complains of what it can't preload, and goes on.
  const { stderr } = spawnSync('true', { env: { ...process.env, LD_PRELOAD: library }, encoding: 'utf8' });
  return stderr === '' ? undefined : `${accountPackage} is not installed`;
}

/** The environment of a server for which the user has the password above, and the folder as home. */
export function accountEnvironment(folder: string): Record<string, string> {
  const { username, uid, gid } = userInfo();
  const [passwd, shadow] = [join(folder, 'passwd'), join(folder, 'shadow')];
  // Others are still looked for: sshd has a user of its own.
  const others = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .filter((line) => !line.startsWith(`${username}:`));
  writeFileSync(passwd, [`${username}:x:${uid}:${gid}::${folder}:/bin/sh`, ...others].join('\n'));
  writeFileSync(shadow, `${username}:${hash}:19000:0:99999:7:::\n`, { mode: 0o600 });
  return {
    LD_PRELOAD: library,
    NSS_WRAPPER_PASSWD: passwd,
    NSS_WRAPPER_SHADOW: shadow,
    NSS_WRAPPER_GROUP: '/etc/group',
  };
}
