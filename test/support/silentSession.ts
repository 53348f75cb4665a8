import type { BoundAddress, Engine, EngineEvent } from '../../src/core/engine.js';
import { createSession, wantTunnels, type NewTunnel, type Session } from '../../src/core/session.js';

export interface SilentSession {
  session: Session;
  /** Has its engine say this. */
  tell(event: EngineEvent): void;
  /** Has its engine say that the tunnel of that id listens there, for this machine alone. */
  listens(id: string, bound: BoundAddress): void;
}

/** A session that wants these tunnels, and whose engine only says what it is told to. */
export function silentSession(tunnels: readonly NewTunnel[] = []): SilentSession {
  let tell: (event: EngineEvent) => void = () => {};
  const engine: Pick<Engine, 'apply' | 'onEvent'> = {
    apply: () => {},
    onEvent: (listener) => ((tell = listener), () => {}),
  };
  const session = createSession(engine as Engine, () => undefined);
  session.update((wanted) => wantTunnels(wanted, tunnels));
  return {
    session,
    tell,
    listens(id, bound) {
      const { run } = session.state.wanted.tunnels.find((tunnel) => tunnel.id === id)!;
      tell({ kind: 'listening', forward: id, run, bound: [bound], unbound: [], asked: 'machine', access: 'machine' });
    },
  };
}
