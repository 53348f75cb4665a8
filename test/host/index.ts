import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Mocha from 'mocha';
import { errorText } from '../support/counts';
import { write } from './resultLine';

/** What VS Code calls in its extension host: runs every *.test.js beside this file, and writes one line for each test's fate. */
export async function run(): Promise<void> {
  const mocha = new Mocha({ timeout: 30_000, grep: process.env['SSH_TUNNELS_GREP'] || undefined, forbidOnly: true });
  for (const name of readdirSync(__dirname).sort()) {
    if (name.endsWith('.test.js')) mocha.addFile(join(__dirname, name));
  }

  const failures = await new Promise<number>((done) => {
    const runner = mocha.run(done);
    runner.on('test', (test) => write({ kind: 'begin', title: test.fullTitle() }));
    runner.on('pass', (test) => write({ kind: 'pass', title: test.fullTitle(), ms: test.duration ?? 0 }));
    runner.on('pending', (test) => write({ kind: 'skip', title: test.fullTitle() }));
    runner.on('fail', (test, error: Error) =>
      write({ kind: 'fail', title: test.fullTitle(), error: errorText(error) }),
    );
    runner.on('end', () => write({ kind: 'end' }));
  });
  if (failures > 0) throw new Error(`${failures} failed`);
}
