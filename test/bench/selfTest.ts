// Whether a spoilt byte would be noticed: what carries the traffic here alters, drops or doubles one, both ways.
import { spawn } from 'node:child_process';
import type { Programs } from './programs.js';
import { createTraffic, firstLine, flawOf, type Outcome } from './traffic.js';

const mebibyte = 2 ** 20;
/** Behind the header of a connection, and within what each client sends and gets. */
const spoiltAt = 100_003;
/** An echo waits so long for the byte that was dropped. */
const silenceMs = 1000;

/** What goes unnoticed, or was found where nothing is wrong; nothing when all is well. */
export async function selfTest({ wire, traffic: program }: Programs): Promise<readonly string[]> {
  const traffic = createTraffic(program, silenceMs);
  const server = await traffic.serve('127.0.0.1');
  const complaints: string[] = [];
  const clients = (port: number): Record<string, Promise<Outcome>> => {
    const stalled = traffic.hold('stall', '127.0.0.1', port, mebibyte);
    return {
      from: traffic.run('from', '127.0.0.1', port, mebibyte, 2, 1),
      to: traffic.run('to', '127.0.0.1', port, mebibyte, 2, 1),
      echo: traffic.run('echo', '127.0.0.1', port, 1024, 200, 0),
      half: traffic.run('half', '127.0.0.1', port, mebibyte, mebibyte),
      stall: stalled.ready.then(() => stalled.goOn()),
    };
  };
  const judge = async (port: number, spoiling?: string) => {
    for (const [client, outcome] of Object.entries(clients(port))) {
      const flaw = flawOf(await outcome);
      if (spoiling && !flaw) complaints.push(`${client}: nobody noticed what ${spoiling} did to a byte`);
      if (!spoiling && flaw) complaints.push(`${client}: ${flaw}, with nothing between client and server`);
    }
  };
  try {
    await judge(server.port);
    for (const spoiling of ['flip', 'drop', 'double']) {
      const command = [wire, 'alter', '127.0.0.1', String(server.port), spoiling, String(spoiltAt)];
      const proxy = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
      proxy.stdin.on('error', () => {});
      await judge(Number(await firstLine(proxy)), spoiling);
      proxy.stdin.end();
    }
  } finally {
    await server.stop();
  }
  return complaints;
}
