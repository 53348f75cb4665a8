import { writeFileSync } from 'node:fs';
import { reporters, type MochaOptions, type Runner, type Test } from 'mocha';
import { countsVariable, errorText, failureText, type Counts } from './counts';

/** mocha's spec reporter, which also leaves the counts for test/run.ts, read from the runner and not from what it printed. */
class SpecAndCounts extends reporters.Spec {
  constructor(runner: Runner, options: MochaOptions) {
    super(runner, options);
    const failures: string[] = [];
    const retried = new Map<string, string>();
    runner.on('retry', (test: Test, error: Error) =>
      retried.set(test.fullTitle(), failureText(test.fullTitle(), errorText(error))),
    );
    runner.on('fail', (test, error: Error) => {
      failures.push(failureText(test.fullTitle(), errorText(error)));
      retried.delete(test.fullTitle());
    });
    runner.once('end', () => {
      const file = process.env[countsVariable];
      const { passes: passed, failures: failed, pending: skipped } = this.stats;
      const counts: Counts = { passed, failed, skipped, failures, retried: [...retried.values()] };
      if (file) writeFileSync(file, JSON.stringify(counts));
    });
  }
}

// mocha takes a reporter by `require` alone, and expects the class itself.
export = SpecAndCounts;
