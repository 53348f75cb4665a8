// Answers asks on the terminal, as ssh does.
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Ask, Reply } from '../core/engine.js';
import { hostKeyPrompt } from '../core/prompt.js';

export async function askTerminal(ask: Ask): Promise<Reply> {
  switch (ask.kind) {
    case 'hostKey': {
      const { title, detail } = hostKeyPrompt(ask);
      const art = ask.visual ? `${ask.art}\n` : '';
      const answer = await question(`${title}\n${detail}\n${art}Connect and remember it (yes/no)? `, true);
      return answer?.trim() === 'yes' || answer?.trim() === ask.fingerprint
        ? { kind: 'hostKey', accept: 'remember' }
        : { kind: 'cancel' };
    }
    case 'passphrase':
      return secretReply(await question(`Passphrase of ${ask.path} (empty: go on without it): `, false));
    case 'password':
      return secretReply(await question(`Password of ${ask.user}@${ask.host}: `, false));
    case 'interactive': {
      for (const text of [ask.name, ask.instruction]) if (text !== '') process.stderr.write(`${text}\n`);
      const answers: string[] = [];
      for (const { text, echo } of ask.prompts) {
        const answer = await question(`(${ask.user}@${ask.host}) ${text} `, echo);
        if (answer === undefined) return { kind: 'cancel' };
        answers.push(answer);
      }
      return { kind: 'answers', answers };
    }
    case 'openToNetwork':
      // Who wrote the bind address on the command line has said so.
      return { kind: 'allow' };
  }
}

function secretReply(secret: string | undefined): Reply {
  return secret === undefined ? { kind: 'cancel' } : { kind: 'secret', secret };
}

/** Undefined: the input has ended, and nobody is there to answer. */
function question(text: string, echo: boolean): Promise<string | undefined> {
  process.stderr.write(text);
  // A prompt that is not echoed writes nowhere.
  const output = echo ? process.stderr : new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  return new Promise((resolve) => {
    let answer: string | undefined;
    lines.once('line', (line) => {
      answer = line;
      lines.close();
    });
    lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    lines.once('close', () => {
      if (!echo) process.stderr.write('\n');
      resolve(answer);
    });
  });
}
