// On which machine tunnels listen, as sentences call it. In a remote window that is not always the one with the browser.
import { t } from './translate.js';

/** Where the extension runs, as VS Code and the system tell it. */
export interface Surroundings {
  /** `vscode.env.remoteName`: `ssh-remote`, `wsl`; that of VS Code's server by itself is its address. */
  remoteName: string | undefined;
  /** At the user's side of a remote window, or at the side of the workspace. */
  extension: 'ui' | 'workspace';
  /** What VS Code is shown in. */
  shownIn: 'desktop' | 'web';
  /** Of the machine on which the extension runs. */
  hostName: string;
  /** `WSL_DISTRO_NAME` */
  wslName: string | undefined;
}

/**
 * `here`: all is on one machine. `computer`: a remote window whose tunnels are on the computer that shows it. `remote`: they
 * are on the remote, and the browser is not; `server`: there runs VS Code itself, and `other`: no name tells which it is.
 */
export type Place =
  | { kind: 'here' }
  | { kind: 'computer' }
  | { kind: 'remote'; remote: 'named'; name: string }
  | { kind: 'remote'; remote: 'wsl'; name: string | undefined }
  | { kind: 'remote'; remote: 'container' | 'codespace' | 'server' | 'other' };

export function placeOf({ remoteName, extension, shownIn, hostName, wslName }: Surroundings): Place {
  if (extension === 'ui' && shownIn === 'desktop')
    return remoteName === undefined ? { kind: 'here' } : { kind: 'computer' };
  switch (remoteName) {
    case 'ssh-remote':
    case 'tunnel':
      return { kind: 'remote', remote: 'named', name: hostName };
    case 'wsl':
      return { kind: 'remote', remote: 'wsl', name: wslName };
    case 'dev-container':
    case 'attached-container':
      return { kind: 'remote', remote: 'container' };
    case 'codespaces':
      return { kind: 'remote', remote: 'codespace' };
    case undefined:
      if (shownIn === 'desktop') return { kind: 'here' };
  }
  return { kind: 'remote', remote: shownIn === 'web' ? 'server' : 'other' };
}

let place: Place = { kind: 'here' };

/** Has all sentences from now on say where tunnels listen. Once, at the start. */
export function usePlace(found: Place): void {
  place = found;
}

/** What `make` says where no place is told, which may be a machine's own name: for what tells nobody's names. */
export function unplaced<T>(make: () => T): T {
  const kept = place;
  place = { kind: 'here' };
  try {
    return make();
  } finally {
    place = kept;
  }
}

/** What sentences call the machine that listens for local forwards, and that remote forwards lead to: `this machine`. */
export function machineName(): string {
  switch (place.kind) {
    case 'here':
      return t('this machine');
    case 'computer':
      return t('this computer');
    case 'remote':
      return remoteMachine(place);
  }
}

function remoteMachine(remote: Place & { kind: 'remote' }): string {
  switch (remote.remote) {
    case 'named':
      return remote.name;
    case 'wsl':
      return remote.name === undefined ? 'WSL' : `WSL: ${remote.name}`;
    case 'container':
      return t('the container');
    case 'codespace':
      return t('the codespace');
    case 'other':
      return t('the remote machine');
    case 'server':
      return t('the machine that runs VS Code');
  }
}

/** Where tunnels listen, above the rows of the view; undefined where there is but one machine. */
export function placeText(): string | undefined {
  return place.kind === 'here' ? undefined : t('Listening on {machine}', { machine: machineName() });
}

/** Who can’t use an address as it is shown; undefined where there is but one machine. */
export function placeNote(): string | undefined {
  switch (place.kind) {
    case 'here':
      return undefined;
    case 'computer':
      return t('Tunnels listen on this computer: programs in the remote window, its terminals too, don’t reach them.');
    case 'remote':
      return t('Tunnels listen on {machine}: a browser on your computer gets there by Open in Browser.', {
        machine: machineName(),
      });
  }
}

/** Whether an address that is copied may be pasted on a machine where it leads nowhere. */
export function isCopiedElsewhere(): boolean {
  return place.kind === 'remote';
}
