// OpenSSH's own programs as oracles: they are run without the user's files and never connect.
import { execFile, spawnSync } from 'node:child_process';

export interface Ran {
  /** -1: ended by a signal. */
  code: number;
  stdout: string;
  stderr: string;
}

/** Whether ssh and ssh-keygen are there to be asked. */
export const hasOpenSsh = ['ssh', 'ssh-keygen'].every(
  (program) => spawnSync(program, ['-?'], { stdio: 'ignore' }).error === undefined,
);

/** Runs a program to its end; a code other than 0 is an answer, too. */
export function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { env }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number' && !error.killed) reject(new Error(error.message));
      else resolve({ code: error ? (error.code ?? -1) : 0, stdout, stderr });
    });
    child.stdin?.end();
  });
}

/** Calls `ask` with each item, a few at a time; the answers stand in the items' order. */
export async function askEach<T, R>(items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      answers[index] = await ask(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return answers;
}
