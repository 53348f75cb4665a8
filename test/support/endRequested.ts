/**
 * Calls `end` once when this process is to end: by a signal, or because what started it is gone. npm passes a SIGTERM on to a shell
 * only, which dies without telling its children.
 */
export function onEndRequested(end: () => void): void {
  const parent = process.ppid;
  let called = false;
  const once = () => {
    if (called) return;
    called = true;
    clearInterval(watch);
    end();
  };
  const watch = setInterval(() => {
    if (process.ppid !== parent) once();
  }, 500);
  watch.unref();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, once);
}
