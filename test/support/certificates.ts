// Certificates of a certificate authority that is made for a test, signed by ssh-keygen.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { keygen, publicKey } from './sshd.js';

export interface Authority {
  /** Its private key; `.pub` beside it is what TrustedUserCAKeys takes. */
  keyPath: string;
  /** Type and key, as known_hosts has it behind `@cert-authority`. */
  publicKey: string;
  /** Signs a host's public key; gives the path of the certificate, for HostCertificate. */
  signHost(publicKeyPath: string, terms?: Terms): string;
  /** Signs a user's public key; gives the path of the certificate. */
  signUser(publicKeyPath: string, terms?: Terms): string;
}

export interface Terms {
  /** Hosts or users that it is good for; none: any. */
  principals?: readonly string[];
  validity?: keyof typeof validities;
  serial?: number;
  /** Further arguments of ssh-keygen, such as `-O`, `force-command=...` or `-t`, `rsa-sha2-256`. */
  args?: readonly string[];
}

const validities = { now: '-1h:+1h', expired: '-2d:-1d', 'not yet': '+1d:+2d' };

/** A new one, whose key lies in the folder; ed25519 unless the arguments of ssh-keygen say otherwise. */
export function makeAuthority(folder: string, name = 'authority', ...keygenArgs: readonly string[]): Authority {
  const keyPath = join(folder, name);
  keygen(keyPath, ...keygenArgs);
  const sign = (publicKeyPath: string, { principals = [], validity = 'now', serial = 1, args = [] }: Terms) => {
    const limits = [...(principals.length > 0 ? ['-n', principals.join(',')] : []), '-V', validities[validity]];
    execFileSync(
      'ssh-keygen',
      ['-q', '-s', keyPath, '-I', 'test', '-z', String(serial), ...limits, ...args, publicKeyPath],
      { stdio: 'pipe' },
    );
    return publicKeyPath.replace(/\.pub$/, '-cert.pub');
  };
  return {
    keyPath,
    publicKey: publicKey(`${keyPath}.pub`),
    signHost: (path, { args = [], ...terms } = {}) => sign(path, { ...terms, args: ['-h', ...args] }),
    signUser: (path, terms = {}) => sign(path, terms),
  };
}
