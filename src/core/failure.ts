// The union of all that can go wrong, as values. `wording` makes the sentence; code matches on `kind`, never on text.

/** What is wrong with the text of a forward; `wording.specProblem` names each in words. */
export type SpecProblem =
  | { kind: 'empty' }
  | { kind: 'blank' }
  /** A control, format or line-separator character in a name or path. */
  | { kind: 'unseen'; character: string }
  | { kind: 'option'; option: string }
  | { kind: 'bracket' }
  | { kind: 'bracketTail' }
  | { kind: 'backslash' }
  | { kind: 'quote' }
  | { kind: 'variable'; name: string }
  | { kind: 'variableSyntax' }
  | { kind: 'tooManyFields' }
  | { kind: 'listenPort'; text: string }
  | { kind: 'listenPortZero' }
  | { kind: 'targetMissing' }
  | { kind: 'targetHostMissing' }
  | { kind: 'targetPortMissing' }
  | { kind: 'targetPort'; text: string }
  | { kind: 'pathTooLong' }
  | { kind: 'hostTooLong' };

export type DestinationProblem =
  | { kind: 'hostMissing' }
  | { kind: 'userMissing' }
  /** In a URI. */
  | { kind: 'password' }
  | { kind: 'leadingDash' }
  | { kind: 'character'; character: string }
  | { kind: 'port'; text: string }
  | { kind: 'bracket' }
  | { kind: 'path' }
  /** An option that is none for the way to a host, or a keyword of `-o`. */
  | {
      kind: 'option';
      option: string;
      reason: 'hostKey' | 'program' | 'forward' | 'elsewhere' | 'configFile' | 'needless' | 'unknown';
    }
  | { kind: 'optionValue'; option: string; text: string }
  | { kind: 'jumpTwice' }
  | { kind: 'word'; text: string }
  | { kind: 'quote' }
  | { kind: 'backslash' };

import type { Listen } from './forwardSpec.js';
import type { PortOwner } from './portOwner.js';

/** What is wrong with a pasted command. `notSsh`: the word where ssh was expected, or none. */
export type CommandProblem =
  | { kind: 'notSsh'; word: string }
  | { kind: 'quote' }
  | { kind: 'backslash' }
  | { kind: 'substitution'; text: string }
  | { kind: 'control'; command: string }
  | { kind: 'tooLong' }
  /** Of a line for a live connection: `!command`, another line that is none, and a target behind -KL, -KR or -KD. */
  | { kind: 'shell' | 'line'; text: string }
  | { kind: 'cancelTarget' };

/** Why the server did not open a channel (RFC 4254 section 5.1), or that it never answered. */
export type ChannelRefusal = 'prohibited' | 'connectFailed' | 'unknownType' | 'resourceShortage' | 'other';

/** What two sides of a connection agree on, as in `Algorithms`. */
export type AlgorithmUse = 'kex' | 'hostKey' | 'cipher' | 'mac';

/** A line of known_hosts that holds for other hosts, too, and that `ssh-keygen -R` would take away all the same. */
export interface SharedLine {
  line: number;
  hosts: string;
}

export type Failure =
  | { kind: 'badSpec'; text: string; at: number; problem: SpecProblem }
  | { kind: 'badDestination'; text: string; at: number; problem: DestinationProblem }
  | { kind: 'badCommand'; text: string; at: number; problem: CommandProblem }
  /** A pasted command that forwards nothing; `host` is where it connects to. */
  | { kind: 'noForward'; host: string }
  /** A line that cancels nothing; `near` are those for the forwards on the same port. */
  | { kind: 'noSuchForward'; line: string; near: readonly string[] }
  | { kind: 'notSupportedYet'; what: string }
  | { kind: 'sshConfig'; detail: string }
  /** ProxyJump leads back to `hop`, or on for ever. */
  | { kind: 'jumpLoop'; host: string; hop: string }
  | { kind: 'hostNotFound'; host: string }
  | { kind: 'connectFailed'; host: string; port: number; code: string }
  | { kind: 'connectTimeout'; host: string; port: number; seconds: number }
  /** The jump host `hop` did not connect on to the next host, `target`. */
  | { kind: 'hopRefused'; hop: string; target: string; refusal: ChannelRefusal; detail: string }
  /** What failed is not `host` but `hop`, on the way there; both as they are called in ssh_config. */
  | { kind: 'hop'; hop: string; host: string; failure: Failure }
  /**
   * ProxyCommand ended before SSH began. `code`: its exit code, the signal that ended it, or the system's error when it
   * could not be run; absent: it runs on. `said`: the last line on its standard error; printable, may be empty.
   */
  | { kind: 'proxyCommandFailed'; host: string; code?: number | string; said: string }
  /** `said`: the first line that it sent instead of SSH's; printable. */
  | { kind: 'notSsh'; host: string; port: number; said: string }
  | { kind: 'handshakeFailed'; host: string; detail: string }
  /** `theirs`: as the server has it; printable. */
  | { kind: 'noCommonAlgorithm'; host: string; use: AlgorithmUse; ours: readonly string[]; theirs: readonly string[] }
  /** What ssh_config asks for is nothing that can be done here. */
  | { kind: 'nothingToOffer'; host: string; use: AlgorithmUse; asked: readonly string[]; possible: readonly string[] }
  /** `because`: StrictHostKeyChecking yes, BatchMode, or a person's no. */
  | {
      kind: 'hostKeyUnknown';
      host: string;
      keyType: string;
      fingerprint: string;
      because: 'strict' | 'batch' | 'refused';
    }
  /** `file` may be `knownHostsCommand`. `knownType`: the type of the key that stands there. */
  | {
      kind: 'hostKeyChanged';
      host: string;
      keyType: string;
      fingerprint: string;
      file: string;
      line: number;
      knownType: string;
      /** StrictHostKeyChecking no, with which ssh goes on without forwards. */
      lax: boolean;
      shared?: SharedLine;
    }
  /** CheckHostIP: another key is known for the address of the host. */
  | {
      kind: 'hostAddressChanged';
      host: string;
      address: string;
      keyType: string;
      fingerprint: string;
      file: string;
      line: number;
      shared?: SharedLine;
    }
  /** By a line of known_hosts, or by RevokedHostKeys, which tells no line. */
  | {
      kind: 'hostKeyRevoked';
      what: 'key' | 'certificate' | 'authority';
      host: string;
      keyType: string;
      fingerprint: string;
      file: string;
      line?: number;
    }
  /** `isAsked`: by RequiredRSASize. */
  | { kind: 'hostKeyTooShort'; host: string; bits: number; least: number; isAsked?: true }
  /** Times in ms since 1970. */
  | { kind: 'hostCertificateExpired'; host: string; until: number }
  | { kind: 'hostCertificateEarly'; host: string; from: number }
  | { kind: 'hostCertificateForOthers'; host: string; principals: readonly string[] }
  /** `names`: of critical options, or of the algorithm. */
  | {
      kind: 'hostCertificateInvalid';
      host: string;
      reason: 'malformed' | 'signature' | 'user' | 'options' | 'algorithm';
      names: readonly string[];
    }
  | { kind: 'revokedKeysUnreadable'; file: string; /** of the system, or `INVALID` */ code: string }
  /** `detail`: what went wrong with the program, without its output. */
  | { kind: 'knownHostsCommandFailed'; program: string; detail: string }
  | { kind: 'knownHostsUnreadable'; file: string; code: string }
  | {
      kind: 'authFailed';
      user: string;
      host: string;
      tried: readonly string[];
      /** What the server took, and wanted more besides. */
      passed?: readonly string[];
      offered: readonly string[];
      notes: readonly Failure[];
      /** The server's own words when it hung up. */
      detail?: string;
      /** It did so at a key, with more to try. */
      isUnfinished?: boolean;
      /** BatchMode: nobody was asked. */
      isBatch?: boolean;
    }
  | { kind: 'keyUnreadable'; path: string; code: string }
  | { kind: 'keyInvalid'; path: string }
  /** Others on this machine can read it; `mode` are its permission bits. */
  | { kind: 'keyUnprotected'; path: string; mode: number }
  | { kind: 'passphraseWrong'; path: string }
  /** It is encrypted in a way that can't be undone here; `cipher` is printable and may be empty. */
  | { kind: 'keyCipherUnknown'; path: string; cipher: string }
  /** To make its passphrase into a key would take longer than anybody waits. */
  | { kind: 'keyTooMuchWork'; path: string }
  /** The file only points to a security key (FIDO). */
  | { kind: 'keyNeedsAgent'; path: string }
  /** PubkeyAcceptedAlgorithms, or what the server takes, leaves no signature that it can make. `wantsSha1`: but RSA's with SHA-1. */
  | { kind: 'keyNotAllowed'; key: string; wantsSha1?: boolean }
  /** Of RSA, by RequiredRSASize. */
  | { kind: 'keyTooShort'; key: string; bits: number; least: number }
  /** Its blob or signature fits into no message. */
  | { kind: 'keyTooLong'; key: string }
  /** `noKey`: its private key is nowhere; `host`: it is a host's; `invalid`: it is none. */
  | { kind: 'certificateUnusable'; path: string; reason: 'noKey' | 'host' | 'invalid' }
  /** The server wants a new one before it lets in. */
  | { kind: 'passwordExpired'; user: string; host: string }
  /** A person has to answer, and nobody was asked: it was dialled in the background. `path`: of a passphrase. */
  | {
      kind: 'answerNeeded';
      host: string;
      what: 'hostKey' | 'passphrase' | 'password' | 'interactive' | 'openToNetwork';
      path?: string;
    }
  | { kind: 'agentUnreachable'; path: string; code: string }
  | { kind: 'signatureRefused'; key: string }
  | { kind: 'connectionLost'; host: string; reason: 'closed' | 'keepalive' | 'reset' | 'disconnected'; detail?: string }
  | { kind: 'portInUse'; address: string; port: number; /** who has it, where that can be told */ owner?: PortOwner }
  | { kind: 'portForbidden'; address: string; port: number }
  | { kind: 'addressUnavailable'; address: string; port: number }
  | { kind: 'listenFailed'; address: string; port: number; code: string }
  /** `socketInUse`: a program listens there; `socketStale`: nobody does any more; `socketBlocked`: it is no socket. */
  | { kind: 'socketInUse' | 'socketStale' | 'socketBlocked'; path: string }
  | { kind: 'socketFailed'; path: string; code: string }
  /**
   * The server refused a remote forward. `inUse`: something answers there already. `isStale`: it was ours until the
   * connection broke, and most likely the server still holds it for that one.
   */
  | { kind: 'remoteRefused'; host: string; user: string; listen: Listen; inUse: boolean; isStale?: true }
  /** Something else answers at an address of the server that a remote forward was to have, too. */
  | { kind: 'remoteHalf'; host: string; address: string; port: number }
  /** A remote forward's target, as this machine sees it; `code` of the system. */
  | { kind: 'targetFailed'; target: string; code: string }
  | { kind: 'targetNotPermitted'; target: string }
  | { kind: 'channelRefused'; target: string; host: string; refusal: ChannelRefusal; detail: string }
  | { kind: 'forwardsIncomplete'; failures: readonly Failure[] }
  | { kind: 'workspaceUntrusted' }
  | { kind: 'engineEnded'; detail: string }
  | { kind: 'cancelled' }
  | { kind: 'unexpected'; detail: string };

/** Thrown inside the engine to carry a failure up an async call; `failureOf` takes it out again. */
export class FailureError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.kind);
  }
}

type AnswerNeeded = Failure & { kind: 'answerNeeded' };

/** What becomes of a question that nobody was there to answer. */
export function unanswered(ask: { kind: AnswerNeeded['what']; path?: string }, host: string): AnswerNeeded {
  const path = ask.kind === 'passphrase' && ask.path !== undefined ? { path: ask.path } : {};
  return { kind: 'answerNeeded', host, what: ask.kind, ...path };
}

/** The one mapper from any thrown thing to a failure. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof FailureError) return thrown.failure;
  return { kind: 'unexpected', detail: thrown instanceof Error ? thrown.message : String(thrown) };
}

/** The failure itself, where it is one of a host on the way. */
export function innermost(failure: Failure): Exclude<Failure, { kind: 'hop' }> {
  return failure.kind === 'hop' ? innermost(failure.failure) : failure;
}

/** The system's error code (`ECONNREFUSED`, ...) of a thrown thing, or `UNKNOWN`. */
export function errorCode(thrown: unknown): string {
  const code = (thrown as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : 'UNKNOWN';
}
