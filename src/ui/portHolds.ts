import type { Hold } from '../core/holds.js';

/** Tunnels that were started for the port in a launch configuration, until its task takes them over. */
export interface PortHolds {
  /** Lets go of it later, if no task takes it over. */
  keep(hold: Hold): void;
  /** A task holds these tunnels now. */
  takeOver(tunnels: readonly string[]): void;
  dispose(): void;
}

/** How long a task may take to come, in milliseconds. */
const handOverMs = 60_000;

export function createPortHolds(): PortHolds {
  const kept = new Map<Hold, NodeJS.Timeout>();
  const release = (hold: Hold) => {
    clearTimeout(kept.get(hold));
    kept.delete(hold);
    hold.release();
  };
  return {
    keep(hold) {
      kept.set(
        hold,
        setTimeout(() => release(hold), handOverMs),
      );
    },
    takeOver(tunnels) {
      for (const hold of [...kept.keys()]) if (hold.tunnels.some((id) => tunnels.includes(id))) release(hold);
    },
    dispose() {
      for (const hold of [...kept.keys()]) release(hold);
    },
  };
}
