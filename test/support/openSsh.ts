// OpenSSH's own programs as oracles: they are run without the user's files and never connect.
import { spawn, spawnSync } from 'node:child_process';

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
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const ran: Ran = { code: -1, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...ran, code: code ?? -1 }));
  });
}

/**
 * Runs many commands, fifty in one shell, which starts them several times faster than Node does. What they write stands
 * in `stdout`, errors too; the shell hands on no variable whose name is none to it.
 */
export async function runAll(commands: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Ran[]> {
  const groups = Array.from({ length: Math.ceil(commands.length / 50) }, (_, index) =>
    commands.slice(index * 50, index * 50 + 50),
  );
  const ran = await askEach(groups, async (group) => {
    const script = group.map((command) => `${command} 2>&1; printf '\\036%d\\036' $?`).join('\n');
    const { stdout } = await run('sh', ['-c', script], env);
    const parts = stdout.split('\x1e');
    return group.map((_, index) => ({ code: Number(parts[2 * index + 1]), stdout: parts[2 * index]!, stderr: '' }));
  });
  return ran.flat();
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
