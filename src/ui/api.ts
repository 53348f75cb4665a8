// What SSH Tunnels gives other extensions. This file holds types alone: it is shipped as it is, as dist/api.d.ts.
import type { CancellationToken, Event } from 'vscode';

/** What `activate()` of the extension `ssh-tunnels.ssh-tunnels` resolves to. Frozen. */
export interface SshTunnelsApi {
  /** Grows when something here changes in a way that breaks its users; additions don’t count. */
  readonly apiVersion: 1;

  /**
   * Opens tunnels, or shares those that run, and resolves when all of them are ready. The user answers what has to be asked
   * (host key, password, who may connect, a workspace’s preset), so it may take as long as a person does. One whose connection
   * is being tried again is waited for. A tunnel that the user has is left alone by `dispose`; one that was opened here ends
   * with the last `dispose`, and is not opened again with the next window.
   *
   * Rejects with a {@link TunnelError}; then nothing is held.
   *
   * @param spec What to open.
   * @param cancel Calls it off while it is not ready; it rejects with the code `cancelled`.
   */
  openTunnel(spec: TunnelSpec, cancel?: CancellationToken): Promise<OpenTunnel>;

  /** The tunnels on the list of this window, running or not, as of now. */
  tunnels(): readonly TunnelInfo[];

  /** Fires when {@link tunnels} says something else. */
  readonly onDidChange: Event<void>;
}

export type TunnelSpec =
  | {
      /** A name of ssh_config or `user@host:port`, with ssh’s options for the way there if need be: `-J bastion web01`. */
      readonly host: string;
      /**
       * What to forward, as in Forward Port: `-L 5000:db:5432`, `-R`, `-D`, or plainly `5432` and `db:5432`. `auto` in the
       * place of the listening port takes a free one: `-L auto:db:5432`.
       */
      readonly forward: string;
      /** The name of its row, without marks that nobody sees. */
      readonly label?: string;
    }
  | {
      /** The name of a preset; of several with one name that of the workspace counts. */
      readonly preset: string;
    };

export interface OpenTunnel {
  /**
   * What a client connects to: an address that the first of the tunnels really listens on, a loopback address where it
   * listens on all. Of a remote forward it is on the server. Empty where it listens on a Unix socket: see `tunnels`.
   */
  readonly host: string;
  /** 1 to 65535; 0 where it listens on a Unix socket. */
  readonly port: number;
  /** As they were when they got ready; a preset may have several. */
  readonly tunnels: readonly TunnelInfo[];
  /** Lets go of them, at once. A second call does nothing. */
  dispose(): void;
}

export interface TunnelInfo {
  /** The same for the same forward of the same host, also in another window. */
  readonly id: string;
  /** What its row says. */
  readonly label: string;
  /** As it was asked for. */
  readonly host: string;
  /** ssh’s `-L`, `-R` and `-D`. */
  readonly kind: 'local' | 'remote' | 'dynamic';
  readonly state: 'connecting' | 'ready' | 'retrying' | 'failed' | 'stopped';
  /** What is really bound: on this side, of a remote forward on the server; empty while nothing is. */
  readonly listen: readonly ListenAddress[];
  /** `db:5432` or a socket’s path; absent where clients choose (SOCKS). */
  readonly target?: string;
  /** Why it is `failed` or `retrying`. */
  readonly failure?: { readonly code: string; readonly message: string };
}

export type ListenAddress =
  { readonly host: string; readonly port: number } | { /** of a Unix socket */ readonly path: string };

/** What `openTunnel` rejects with. */
export interface TunnelError extends Error {
  /**
   * `badSpec` and `badDestination`: the text can’t be read. `noSuchPreset`. `workspaceUntrusted`: a preset of a workspace that is
   * not trusted. `cancelled`: by the user or the caller. Else what went wrong, such as `authFailed`, `hostKeyChanged` or
   * `portInUse`; more kinds may come. The message is a sentence for the user, without secrets.
   */
  readonly code: string;
}
