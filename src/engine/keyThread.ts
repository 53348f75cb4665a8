// Opens encrypted private keys where no tunnel has to wait for it: what makes a passphrase into a key takes its time on purpose.
import { Worker, workerData } from 'node:worker_threads';
import { FailureError } from '../core/failure.js';
import { readPrivateKey, type PrivateKeyResult } from './privateKey.js';
import type { WorkerData } from './workerMessage.js';

/** What comes back from the thread: a key as PKCS#8, or why there is none. */
export type OpenedKey = { kind: 'key'; pem: string } | Exclude<PrivateKeyResult, { kind: 'key' }>;

/** ms; none that is allowed takes that long, so that something must be wrong. */
const longest = 60_000;

/**
 * As `readPrivateKey`, in a thread of its own where this is the engine's of the bundle. Rejects with a FailureError of kind
 * cancelled when `ended`, or with what ended the thread.
 */
export async function openPrivateKey(text: string, passphrase: string, ended: AbortSignal): Promise<PrivateKeyResult> {
  const { path } = (workerData ?? {}) as Partial<WorkerData>;
  if (path === undefined) return readPrivateKey(text, passphrase);
  const opened = await openIn(path, { path, key: { text, passphrase } }, ended);
  return opened.kind === 'key' ? readPrivateKey(opened.pem, undefined) : opened;
}

/** The thread's own part. */
export function openHere({ text, passphrase }: NonNullable<WorkerData['key']>): OpenedKey {
  const read = readPrivateKey(text, passphrase);
  return read.kind === 'key' ? { kind: 'key', pem: read.key.pem() } : read;
}

function openIn(path: string, data: WorkerData, ended: AbortSignal): Promise<OpenedKey> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(path, { name: 'ssh-tunnels-key', workerData: data });
    const stop = () => void thread.terminate();
    const late = setTimeout(stop, longest);
    ended.addEventListener('abort', stop);
    if (ended.aborted) stop();
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', () => {
      clearTimeout(late);
      ended.removeEventListener('abort', stop);
      if (ended.aborted) reject(new FailureError({ kind: 'cancelled' }));
      else resolve({ kind: 'tooMuchWork' });
    });
  });
}
