// The port between what is wanted and what runs: implemented by engine/reconciler (in this thread) and by
// engine/workerEngine (in a worker thread). Everything that crosses it is plain data.
import type { ConfigForwards } from './configForward.js';
import type { Explanation } from './explanation.js';
import type { Failure } from './failure.js';
import type { ForwardSpec } from './forwardSpec.js';
import type { ConnectionId, ForwardId, HostRequest, Plan } from './plan.js';
import type { ServerPort } from './serverPort.js';

export interface Engine {
  /** Makes what runs equal to the plan. The whole plan each time; the same plan twice does nothing. */
  apply(plan: Plan): void;
  /** Answers an ask; an id that is no longer open is ignored. */
  answer(askId: string, reply: Reply): void;
  /** Calls the listener with every event from now on, in order; returns what ends that. */
  onEvent(listener: (event: EngineEvent) => void): () => void;
  /** The names a person can pick: Host entries of the ssh_config file (default ~/.ssh/config), patterns left out. */
  hosts(configFile: string | undefined): Promise<readonly string[]>;
  /**
   * The forwards that stand in ssh_config (default ~/.ssh/config) for each host that can be picked, and the files that
   * were read. No program is run for it: a `Match exec` counts as not matched.
   */
  configForwards(configFile: string | undefined): Promise<ConfigForwards>;
  /**
   * How a host is reached and why so, with a try to connect that changes nothing; secrets left out. It asks no person:
   * where one would be asked, the try ends there and says so. Called off, it rejects with `cancelled`.
   */
  explain(host: HostRequest, calledOff?: AbortSignal): Promise<Explanation>;
  /**
   * What listens on the server, as its own tools tell it over a connection that is up, or one made for it. Asks no person
   * and rejects with a FailureError where it can't be known. Called off, it rejects with `cancelled`.
   */
  serverPorts(host: HostRequest, calledOff?: AbortSignal): Promise<readonly ServerPort[]>;
  /** Who is connected through a forward now, the oldest first; nobody for an id that isn't there. */
  clients(forward: ForwardId): Promise<readonly Client[]>;
  /**
   * Whether the target of a forward answers, by a connection through it that carries no byte and is closed at once: the
   * failure if it doesn’t. A connection on demand is dialled for it. Of a forward without one target on the server’s side
   * (-R, -D) there is nothing to try. Rejects with a FailureError where the forward isn’t there, or its connection is down,
   * and with `cancelled` when it is called off.
   */
  probe(forward: ForwardId, calledOff?: AbortSignal): Promise<Failure | undefined>;
  /** What went through a forward while this window runs it; undefined where it does not. */
  numbers(forward: ForwardId): Promise<ForwardNumbers | undefined>;
  /** The hosts of a connection, the first hop first and its server last, as of the last dial; none before. */
  way(connection: ConnectionId): Promise<readonly WayHost[]>;
  /** Resets one client of a forward; one that has gone is ignored. */
  disconnect(forward: ForwardId, client: number): void;
  /** Ends every listener, channel and connection; resolves when they are closed. */
  close(): Promise<void>;
}

/**
 * What is really bound: of a listener on this machine as the system reports it, of one on the server what answered there,
 * or what was asked for where nothing could be tried. The port is 1 to 65535.
 */
export type BoundAddress = { kind: 'tcp'; address: string; port: number } | { kind: 'unix'; path: string };

/** Who can connect to a listener: only its user (a socket's mode), whoever is on its machine, or the network. */
export type Access = 'user' | 'machine' | 'network';

/** A connection through a forward. */
export interface Client {
  /** A number that no other client of this engine has. */
  id: number;
  /** Where it comes from: `127.0.0.1:50100`, or nothing where a Unix socket does not tell. */
  peer: string;
  /** Where it asked to go, through a SOCKS or HTTP proxy: `db:5432`. */
  target?: string;
  /** The connection is down, or not made yet: it waits for it. */
  isParked?: true;
  /** Bytes from the client to the target, and back. */
  sent: number;
  received: number;
  /** ms since 1970 */
  since: number;
}

/** For each of the last 300 full seconds, the oldest first. */
export interface TrafficSeries {
  /** Bytes from the clients to the target, and back. */
  sent: readonly number[];
  received: readonly number[];
  /** The most connections at once. */
  open: readonly number[];
}

/** What went through a forward since it was started. */
export interface ForwardNumbers {
  series: TrafficSeries;
  /** Bytes, those of clients included that are gone. */
  sent: number;
  received: number;
  /** How often the target was reached, for a client or a try. */
  reached: number;
}

/** A host that a connection goes through, or ends at. */
export interface WayHost {
  /** As ssh_config calls it. */
  host: string;
  /** `user@address:port` after ssh_config */
  server: string;
  isConnected: boolean;
  /** From here to it and back, in ms, by the last keepalive that it answered. */
  roundTripMs?: number;
}

/**
 * A line of known_hosts: an authority whose certificate is expected of the host, another name of the same key, or another
 * key of the host's address (CheckHostIP).
 */
export interface HostKeyHint {
  kind: 'authority' | 'otherName' | 'address';
  /** As written there, or the address. */
  hosts: string;
  keyType: string;
  file: string;
  line: number;
}

/**
 * A question that only a person can answer. `attempt` is 1, and more where an answer to the same question was refused.
 * `keepAs` is the name under which an answer may be kept, which tells no secret; absent: it must not be.
 */
export type Ask = {
  id: string;
  connection: ConnectionId;
  /** No person here has started what it is about: only what is kept may answer. */
  isUnattended?: true;
} & (
  | {
      kind: 'hostKey';
      /** As it will stand in known_hosts: `web01` or `[web01]:2222`. */
      host: string;
      keyType: string;
      /** `SHA256:...`, as ssh-keygen -l prints it. */
      fingerprint: string;
      /** The key as a picture, as `ssh-keygen -lv` draws it: lines of text. */
      art: string;
      /** VisualHostKey: the picture is wanted with the first question. */
      visual?: boolean;
      /** The server showed a certificate, by an authority (its fingerprint) that is not known for this host. */
      authority?: string;
      /** What known_hosts has that bears on it. */
      known: readonly HostKeyHint[];
      /** Where Accept and Remember will write; absent: it can't be remembered. */
      file?: string;
    }
  /** An empty answer: go on without the key. */
  | { kind: 'passphrase'; path: string; attempt: number; keepAs?: string }
  | {
      kind: 'password';
      user: string;
      host: string;
      port: number;
      /** The host of the way that it is for, as ssh_config calls it. */
      alias?: string;
      attempt: number;
      keepAs?: string;
    }
  /** A round of keyboard-interactive (RFC 4256 section 3.2); 1 to 32 prompts. */
  | {
      kind: 'interactive';
      user: string;
      host: string;
      port: number;
      alias?: string;
      attempt: number;
      keepAs?: string;
      /** The server's own words; printable, of one line or more, may be empty. */
      name: string;
      instruction: string;
      /** `echo`: what is typed may be seen. */
      prompts: readonly { text: string; echo: boolean }[];
    }
  /** Before a listener that the network can reach is opened. */
  | {
      kind: 'openToNetwork';
      forward: ForwardId;
      spec: ForwardSpec;
      /** The addresses that would be bound on this machine; empty for a remote forward: its server decides. */
      addresses: readonly string[];
    }
);

export type Reply =
  | { kind: 'cancel' }
  | { kind: 'hostKey'; accept: 'once' | 'remember' }
  | { kind: 'secret'; secret: string }
  /** One for each prompt. */
  | { kind: 'answers'; answers: readonly string[] }
  | { kind: 'allow' };

/** What came of listening. */
export interface Listened {
  bound: readonly BoundAddress[];
  /** asked for, but not to be had */
  unbound: readonly Failure[];
  /** Who was to connect, by the forward and ssh_config. */
  asked: Access;
  /** Who really can; `unknown` where the server let nothing be tried. */
  access: Access | 'unknown';
}

/** A tunnel that listens, and whose connection is up or made when somebody comes. */
export interface Ready extends Listened {
  kind: 'ready';
  /** of the last channel, or of the last dial while it is idle */
  refused?: Failure;
  /** It has no connection: that is made when somebody comes. */
  isIdle?: true;
}

/** How a tunnel stands in the window that runs it. */
export type ElsewhereState =
  | { kind: 'connecting' }
  | Ready
  /** As in `connectionLost`; without `retryAt` it is tried right now. */
  | { kind: 'retrying'; failure: Failure; attempt: number; retryAt?: number };

export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

/** Facts, in the past tense. */
export type EngineEvent =
  | { kind: 'connecting'; connection: ConnectionId; attempt: number }
  | {
      kind: 'connected';
      connection: ConnectionId;
      /** `user@address:port` after ssh_config */
      server: string;
      /** By `keepAs`: which secrets were right. */
      proven?: readonly string[];
    }
  | {
      kind: 'connectionLost';
      connection: ConnectionId;
      failure: Failure;
      /** The one that failed, or was up until now; the next is one more. */
      attempt: number;
      /** ms since 1970 */ retryAt: number;
    }
  | { kind: 'connectionFailed'; connection: ConnectionId; failure: Failure }
  /**
   * It is not connected, and will be when a client comes: all its forwards are on demand. `failure`: what the last dial came
   * to, which nobody waits for any more.
   */
  | { kind: 'connectionIdle'; connection: ConnectionId; failure?: Failure }
  | { kind: 'connectionClosed'; connection: ConnectionId }
  | ({
      kind: 'listening';
      forward: ForwardId;
      /** The planned run that listens. */
      run: number;
    } & Listened)
  | { kind: 'listenFailed'; forward: ForwardId; run: number; failure: Failure }
  /** The server still holds what the connection before had there; it is asked again at `retryAt`, in ms since 1970. */
  | {
      kind: 'listenRetrying';
      forward: ForwardId;
      run: number;
      failure: Failure;
      attempt: number;
      retryAt: number;
    }
  /** Another window has the same tunnel, and this is how it stands there. */
  | { kind: 'runningElsewhere'; forward: ForwardId; run: number; state: ElsewhereState }
  /** It no longer listens. */
  | { kind: 'forwardClosed'; forward: ForwardId }
  /** The last client of a run that was stopped in peace has left. */
  | { kind: 'drained'; forward: ForwardId; run: number }
  | { kind: 'channelOpened'; forward: ForwardId }
  | { kind: 'channelFailed'; forward: ForwardId; failure: Failure }
  /** The server told something while a person logs in (a banner, or a round without a prompt: "push sent"); printable, of one line or more. */
  | {
      kind: 'serverSaid';
      connection: ConnectionId;
      /** Which host of the way said it, as ssh_config calls it. */
      host: string;
      /** `login`: a person logs in now, and may have to do something elsewhere; the rest is for the log. */
      about: 'banner' | 'login';
      text: string;
    }
  | { kind: 'asked'; ask: Ask }
  | { kind: 'askSettled'; id: string }
  | { kind: 'logged'; level: LogLevel; text: string }
  /** By itself. `isRestarted`: it has been started again, with the same plan. */
  | { kind: 'engineEnded'; detail: string; isRestarted?: true };
