// dist/worker.js: in a thread the engine of a window, as a program (dist/tunnel.js) the same engine from a terminal. They are
// one bundle, since they share nearly all of it.
import { isMainThread } from 'node:worker_threads';
import { runCli } from './cli.js';
import { runWorker } from './engine/worker.js';

if (isMainThread) runCli(process.argv.slice(2));
else runWorker();
