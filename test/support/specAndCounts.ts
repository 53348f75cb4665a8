import { writeFileSync } from 'node:fs';
import { reporters, type MochaOptions, type Runner } from 'mocha';
import { countsVariable, errorText, failureText, type Counts } from './counts';

/** mocha's spec reporter, which also leaves the counts for test/run.ts, read from the runner and not from what it printed. */
class SpecAndCounts extends reporters.Spec {
  constructor(runner: Runner, options: MochaOptions) {
    super(runner, options);
    const failures: string[] = [];
    runner.on('fail', (test, error: Error) => failures.push(failureText(test.fullTitle(), errorText(error))));
    runner.once('end', () => {
      const file = process.env[countsVariable];
      const { passes: passed, failures: failed, pending: skipped } = this.stats;
      const counts: Counts = { passed, failed, skipped, failures };
      if (file) writeFileSync(file, JSON.stringify(counts));
    });
  }
}

// mocha takes a reporter by `require` alone, and expects the class itself.
export = SpecAndCounts;
