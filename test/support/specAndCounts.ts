import { writeFileSync } from 'node:fs';
import { reporters, type MochaOptions, type Runner } from 'mocha';
import { countsVariable, type Counts } from './counts';

/** mocha's spec reporter, which also leaves the counts for test/run.ts, read from the runner and not from what it printed. */
class SpecAndCounts extends reporters.Spec {
  constructor(runner: Runner, options: MochaOptions) {
    super(runner, options);
    runner.once('end', () => {
      const file = process.env[countsVariable];
      const counts: Counts = { passed: this.stats.passes, failed: this.stats.failures, skipped: this.stats.pending };
      if (file) writeFileSync(file, JSON.stringify(counts));
    });
  }
}

// mocha takes a reporter by `require` alone, and expects the class itself.
export = SpecAndCounts;
