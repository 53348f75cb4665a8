// A thread beside the soak, which ends it when it hangs: also in a loop, when no timer of its own runs. Plain JavaScript,
// since a thread has no tsx. workerData: `silenceMs` without a sign of life, or `limitMs` without an end, is a hang;
// `home` is the folder of the run.
import { readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const started = performance.now();
let heardAt = started;
let doing = 'starting';

parentPort.on('message', (text) => {
  heardAt = performance.now();
  doing = text;
});
setInterval(() => {
  const now = performance.now();
  const isSilent = now - heardAt > workerData.silenceMs;
  if (!isSilent && now - started < workerData.limitMs) return;
  const what = isSilent ? 'It has hung for' : 'It is not over after';
  const seconds = Math.round((now - (isSilent ? heardAt : started)) / 1000);
  writeSync(2, `${what} ${seconds} s, and is ended. The last that it did: ${doing}\n`);
  // Its servers would outlive it.
  for (const pid of startedBy(process.pid)) end(pid);
  rmSync(workerData.home, { recursive: true, force: true });
  end(process.pid);
}, 1000);

function end(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function startedBy(ancestor) {
  const parents = new Map();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const afterName = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1);
      parents.set(Number(name), Number(afterName.split(' ')[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const descends = (pid) => parents.has(pid) && (parents.get(pid) === ancestor || descends(parents.get(pid)));
  return [...parents.keys()].filter(descends);
}
