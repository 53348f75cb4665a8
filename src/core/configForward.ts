// The forwards that stand in ssh_config, each with the host that it is for and the line that says so.
import type { ForwardSpec } from './forwardSpec.js';
import { parseHostAddress } from './hostAddress.js';
import { tunnelId, type NewTunnel } from './session.js';
import type { Subject } from './subject.js';

/** A line of an ssh_config file. */
export interface Origin {
  file: string;
  /** From 1. */
  line: number;
}

export interface ConfigForward {
  /** A name that a `Host` line has, and no pattern. */
  host: string;
  spec: ForwardSpec;
  origin: Origin;
}

export interface ConfigForwards {
  /** In the order of the hosts in the file, and for each in the order in which ssh takes them. */
  forwards: readonly ConfigForward[];
  /** Lines that can't be read, in words. */
  problems: readonly { origin: Origin; message: string }[];
  /**
   * Every file that was read, with those that are not there and would be read: what to watch. An Include's pattern that
   * matches no file stands for itself.
   */
  files: readonly string[];
}

export const noConfigForwards: ConfigForwards = { forwards: [], problems: [], files: [] };

/** The tunnel that a forward of ssh_config is: the same one as when its host and spec are typed. */
export function configTunnel({ host, spec }: Pick<ConfigForward, 'host' | 'spec'>): NewTunnel {
  return { destination: { host }, spec };
}

/** Whether a word of a `Host` line is a name that ssh can be given, and no pattern. */
export function isHostName(word: string): boolean {
  if (/[*?!,]/.test(word)) return false;
  const read = parseHostAddress(word);
  return read.ok && read.address.host === word && Object.keys(read.address).length === 1;
}

/** Where it is written what a row of the list stands for; of a host its first forward. */
export function originOf(subject: Subject, { forwards, problems }: ConfigForwards): Origin | undefined {
  switch (subject.kind) {
    case 'configForward':
      return forwards.find((forward) => tunnelId(configTunnel(forward)) === subject.id)?.origin;
    case 'configHost':
      return forwards.find(({ host }) => host === subject.host)?.origin;
    case 'configProblem': {
      const { file, line } = subject.origin;
      return problems.find(({ origin }) => origin.file === file && origin.line === line)?.origin;
    }
    default:
      return undefined;
  }
}
