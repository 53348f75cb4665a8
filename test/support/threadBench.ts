// For engines in a thread of their own: a server to dial, and a service behind it.
import { join } from 'node:path';
import type { Plan } from '../../src/core/plan.js';
import { startWorkerEngine } from '../../src/engine/workerEngine.js';
import { planned, probe, type EngineProbe } from './engineProbe.js';
import { startSshd, type Sshd } from './sshd.js';
import { echo, startTarget, type Target } from './targets.js';

/** Of what `npm run build` made. */
const workerPath = join(__dirname, '../../dist/worker.js');

export interface ThreadBench {
  sshd: Sshd;
  /** An ssh_config that has `web01`. */
  config: string;
  /** One forward from `port` of loopback to a service that echoes. */
  plan(port: number): Plan;
  /** How many threads this process has. */
  threads(): number;
}

/** Has the suite that calls it start a server and a service, and close them. */
export function useThreadBench(): ThreadBench {
  let service: Target;
  const bench = {} as ThreadBench;
  before(async () => {
    bench.sshd = await startSshd();
    bench.config = bench.sshd.configPath('web01');
    service = await startTarget(echo);
  });
  after(async () => {
    await service.close();
    await bench.sshd.stop();
  });
  return Object.assign(bench, {
    plan: (port: number) => ({
      connections: [planned('web01', [`-L ${port}:127.0.0.1:${service.port}`], { configFile: bench.config })],
    }),
    threads: () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length,
  });
}

/** Its thread starts with the first plan. */
export function engineInThread(options: { sharedFolder?: string } = {}): EngineProbe {
  return probe(startWorkerEngine(workerPath, options));
}
