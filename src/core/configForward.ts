// The forwards that stand in ssh_config, each with the host that it is for and the line that says so.
import type { ForwardSpec } from './forwardSpec.js';

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
  /** Every file that was read, with those that are not there and would be read: what to watch. */
  files: readonly string[];
}
