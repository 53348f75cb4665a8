// The servers that are there to be reached, by make.
import { type DropbearOptions, startDropbear, whyNoDropbear } from './dropbear.js';
import { newerOpenSsh } from './newerOpenSsh.js';
import { startSshd, type SshdOptions, type SshServer } from './sshd.js';

export interface ServerMake {
  name: string;
  isOpenSsh: boolean;
  /** Makes it ready to start; gives why it can't be had here. */
  prepare(): Promise<{ kind: 'ready'; make: ReadyMake } | { kind: 'missing'; why: string }>;
}

type ServerOptions = Pick<SshdOptions, 'config' | 'hostKeys' | 'env'> & Pick<DropbearOptions, 'args'>;

export interface ReadyMake {
  /** The ssh that is asked the same. */
  ssh: string;
  /** dropbear takes `args` instead of lines of sshd_config, and always has an account of its own. */
  start(options: ServerOptions): Promise<SshServer>;
}

export const installedOpenSsh: ServerMake = {
  name: 'the installed OpenSSH',
  isOpenSsh: true,
  prepare: () => Promise.resolve({ kind: 'ready', make: { ssh: 'ssh', start: startSshd } }),
};

export const newestOpenSsh: ServerMake = {
  name: 'a newer OpenSSH',
  isOpenSsh: true,
  async prepare() {
    const newer = await newerOpenSsh();
    if ('missing' in newer) return { kind: 'missing', why: newer.missing };
    return {
      kind: 'ready',
      make: { ssh: newer.ssh, start: (options) => startSshd({ ...options, program: newer.sshd }) },
    };
  },
};

export const dropbear: ServerMake = {
  name: 'dropbear',
  isOpenSsh: false,
  prepare() {
    const why = whyNoDropbear();
    if (why !== undefined) return Promise.resolve({ kind: 'missing', why });
    return Promise.resolve({
      kind: 'ready',
      make: { ssh: 'ssh', start: startDropbear },
    });
  },
};

export const serverMakes: readonly ServerMake[] = [installedOpenSsh, newestOpenSsh, dropbear];
